/* SPDX-License-Identifier: MIT */
/*
 * porting_tests.h: helpers of the checks of porting_check(), and the checks in files of their own.
 */
#ifndef QUARRY_PORTING_TESTS_H
#define QUARRY_PORTING_TESTS_H

#include "porting_check.h"
#include <quarry/errno.h>
#include <quarry/mm_types.h>

#define MS           1000000ULL
#define PATIENCE     (2000 * MS)
#define MAX_CPUS     256
#define ADDS         2000u
#define ROUNDS       200u
#define EXPECT(cond) porting_expect((cond), #cond, __FILE__, __LINE__)

/* Only the whole library needs these, so a port of the core may lack them. */
#pragma weak thread_start
#pragma weak thread_join
#pragma weak thread_yield
#pragma weak thread_sleep
#pragma weak threads_had_turn

/* ---- helpers (porting_check.c) ---- */

extern bool porting_failed; /* the running check has failed */
void porting_expect(bool good, const char *what, const char *file, int line);
/* Have PATIENCE nanoseconds gone by since @since? */
bool porting_late(u64 since);
/* Wait, with irqs as they are, until *@word is at least @value.  False: not in time. */
bool porting_becomes(const u32 *word, u32 value);
unsigned porting_cpus(void);
/* Another CPU that is online; there must be one. */
unsigned porting_other_cpu(void);
/* A mask of one CPU, which is valid until the next call. */
cpumask_t *porting_only(unsigned cpu);
/* Run @fn(@arg) in a thread on each CPU that is online, and wait for all; returns their number. */
unsigned porting_on_all(void (*fn)(void *), void *arg);

/* ---- checks: porting_calls.c ---- */

void call_runs_once_on_every_online_cpu(void);
void call_runs_on_cpus_of_the_mask_only(void);
void call_to_oneself_is_made_directly(void);
void call_is_refused_where_it_would_deadlock(void);
void call_waits_while_interrupts_are_off_there(void);
void calls_of_all_cpus_at_once_all_arrive(void);

/* ---- checks: porting_threads.c ---- */

void clock_goes_on_and_never_back(void);
void wait_ends_with_its_time(void);
void no_wake_up_is_lost(void);
void sleeper_is_woken_from_a_call(void);
void mutex_keeps_other_threads_out(void);
void thread_runs_where_it_is_bound(void);
void sleep_lasts_as_long_as_asked(void);
void all_threads_have_their_turn(void);

#endif
