/* SPDX-License-Identifier: MIT */
/*
 * judge_act.h: puts demo/act.c, which the acts of the tour share, into the simulated world of a
 * test. Its functions are named JUDGE(name) there. The variable pretend is the memory, judge.online
 * has the CPUs, and the act runs on CPU 1.
 */
#ifndef QUARRY_TESTS_JUDGE_ACT_H
#define QUARRY_TESTS_JUDGE_ACT_H

#define act_cpus   JUDGE(act_cpus)
#define act_failed JUDGE(act_failed)
#define plural     JUDGE(plural)
#include "demo/act.h"
#include "tests/host/judge_live.h"

static struct memory pretend;

#define kernel_memory   pretend
#define cpu_online_mask judge.online
#define arch_cpu_id()   1u
#define arch_clock_ns   judge_clock
#define thread_yield    judge_yield
#define printk          judge_say
#include "demo/act.c" /* NOLINT(bugprone-suspicious-include): the tested source */

/* Set CPUs 0 .. @nr - 1 online; for @nr 1, only CPU 1, on which the act runs. */
static inline void judge_cpus(unsigned nr)
{
	pretend.nr_cpus = MAX(nr, 2u);
	judge.online[0] = nr == 1 ? 2 : (1ul << nr) - 1;
}

/* Returns false if the test is skipped, because its figures are not those of this build. */
static inline bool judge_figures(struct ktest *t)
{
	if (PAGEBLOCK_ORDER != 9)
		ktest_skip(t, "the figures are those of pageblocks of 512 pages");
	return PAGEBLOCK_ORDER == 9;
}

#endif
