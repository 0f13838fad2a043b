/* SPDX-License-Identifier: MIT */
/*
 * judge_world.h: puts sources of demo/ into the simulated world of judge_help.h.  A suite defines
 * JUDGE, includes this, replaces the names of other callees, and includes the sources.  Functions
 * that several demonstrations share are named JUDGE(name) there.  A demonstration's screen is text;
 * text that is too wide for the screen is recorded as a fault.
 */
#ifndef QUARRY_TESTS_JUDGE_WORLD_H
#define QUARRY_TESTS_JUDGE_WORLD_H

#define smp_stats judge_smp
#include <quarry/bootfile.h>
#include <quarry/cmdline.h>
#include <quarry/contig.h>
#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/isolation.h>
#include <quarry/machine.h>
#include <quarry/smp.h>
#include <quarry/task.h>

#include "demo/live.h"
#include "tests/host/judge_help.h"

#define kernel_memory             judge_memory
#define cpu_online_mask           judge.online
#define printk                    judge_say
#define arch_clock_ns             judge_clock
#define ktest_rand                judge_rand
#define thread_start              judge_start
#define thread_join               judge_join
#define thread_yield              judge_yield
#define thread_sleep              judge_sleep
#define nr_cpus_online            judge_nr_online
#define cpu_down                  judge_cpu_down
#define cpu_up                    judge_cpu_up
#define check_memory              judge_check
#define memory_managed_by_request judge_managed
#define mm_event_sum              judge_events
#define offline_candidate         judge_range
#define offline_pages             judge_offline
#define online_pages              judge_online
#define stress_start              judge_stress_start
#define stress_stop               judge_stress_stop

#define soak_begin      JUDGE(soak_begin)
#define soak_report_due JUDGE(soak_report_due)
#define soak_check      JUDGE(soak_check)
#define soak_end        JUDGE(soak_end)
#define shaker_start    JUDGE(shaker_start)
#define shaker_stop     JUDGE(shaker_stop)
#define act_cpus        JUDGE(act_cpus)
#define act_failed      JUDGE(act_failed)
#define act_hold_start  JUDGE(hold_start)
#define act_hold_push   JUDGE(hold_push)
#define act_hold_end    JUDGE(hold_end)
#define act_load_start  JUDGE(load_start)
#define act_load_page   JUDGE(load_page)
#define act_load_allocs JUDGE(load_allocs)
#define act_load_misses JUDGE(load_misses)
#define act_load_stop   JUDGE(load_stop)

/* Returns false if the test is skipped, because its figures are not those of this build. */
static inline bool judge_figures(struct ktest *t)
{
	if (PAGEBLOCK_ORDER != 9)
		ktest_skip(t, "the figures are those of pageblocks of 512 pages");
	return PAGEBLOCK_ORDER == 9;
}

/* Set CPUs 0 .. @nr - 1 online; for @nr 1, only CPU 1, on which acts run. */
static inline void judge_cpus(unsigned nr)
{
	judge_memory.nr_cpus = MAX(nr, 2u);
	judge.online[0] = nr == 1 ? 2 : (1ul << nr) - 1;
}

/* ---- the screen ---- */

static inline void judge_line(const char *what, size_t most, const char *fmt, ...)
{
	char text[256];
	size_t len;
	va_list ap;

	va_start(ap, fmt);
	len = (size_t)kvsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	judge_say("%s%s%s\n", what, text, len > most ? " [too wide]" : "");
}

static inline void judge_live_range(pfn_t start, unsigned long nr)
{
	if (nr)
		judge_note("[range %#lx %lu]", start, nr);
	else
		judge_note("[no range]\n");
}

static inline void judge_live_offline(const struct offline_result *res)
{
	judge_note("[%s]", res ? "watch" : "watched");
}

static inline void judge_live_policy(enum iso_policy policy, const struct live_policy *row)
{
	if (row->running)
		judge_note("[row %u runs]", policy);
	else
		judge_note("[row %u: %u %u %u%% %llu]\n", policy, row->rounds, row->ipis,
		    row->hit_rate, (unsigned long long)row->ms);
}

static inline void judge_live_hold(unsigned ms)
{
	judge_note("[hold %u]", ms);
	judge.now += judge.live ? ms * 1000000ULL : 0;
}

static inline bool judge_live_quit(void)
{
	return ++judge.asked_quit >= judge.quits && judge.quits;
}

#define live_act(nr, of, ...)                                                                      \
	(judge_say("act %u of %u: ", (nr), (of)), judge_line("", 60, __VA_ARGS__))
#define live_say(...)    judge_line("say: ", 78, __VA_ARGS__)
#define live_result(...) judge_line("  ", 78, __VA_ARGS__)
#define live_range       judge_live_range
#define live_offline     judge_live_offline
#define live_policy(...) judge_live_policy(__VA_ARGS__)
#define live_hold        judge_live_hold
#define live_on()        (judge.live)
#define live_quit        judge_live_quit

#endif
