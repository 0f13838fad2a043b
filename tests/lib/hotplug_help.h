/* SPDX-License-Identifier: MIT */
/* hotplug_help.h: helpers of the suites of CPU hotplug, which work on the kernel's own memory. */
#ifndef QUARRY_TESTS_HOTPLUG_HELP_H
#define QUARRY_TESTS_HOTPLUG_HELP_H

#include "tests/lib/mm_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/hotplug.h>
#include <quarry/machine.h>
#include <quarry/smp.h>

#define WARM_PAGES 8

void warm_caches(void *arg);
/* Blocks of the kernel's memory that @cpu caches; the sum of the CPU's capacities. */
unsigned cached_by(unsigned cpu);

unsigned capacity_of(unsigned cpu);
/*
 * The sum of capacities of a CPU that has just come up. A CPU that stayed online may have its old
 * capacities until its next refill.
 */
unsigned planned_capacity(void);

bool needs_two(struct ktest *t);
/* The zone with the most managed pages: of all zones, or of the node near @cpu. */
struct zone *big_zone(void);
struct zone *big_zone_near(unsigned cpu);
/*
 * Let @cpu allocate and free pages: does it cache pages of @zone then? Try again after each drain
 * that came in between; any thread may start a drain.
 */
bool caches_after_use(unsigned cpu, const struct zone *zone);

bool wait_for(bool (*cond)(void *), void *arg);
bool at_home(void *arg);

#endif
