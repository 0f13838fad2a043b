/* SPDX-License-Identifier: MIT */
/*
 * test_verdict.c: the verdicts of demonstrations and soaks: figures, and the verdict and words that
 * follow from them.
 */
#include "demo/verdict.h"
#include "tests/soak/soak_verdict.h"

#include <quarry/errno.h>
#include <quarry/ktest.h>
#include <quarry/smp.h>
#include <quarry/string.h>

#define MIB(n) ((unsigned long)(n) << (20 - PAGE_SHIFT))

static void expect_row(struct ktest *t, struct verdict have, bool good, const char *words, int line)
{
	if (have.good != good || strcmp(have.text, words) != 0)
		ktest_fail(t, __FILE__, line, "%s: \"%s\"", have.good ? "good" : "bad", have.text);
}
/* A row: a verdict, whether it is good, and its words; "FAIL: " comes before those of BAD. */
#define GOOD(verdict, words) expect_row(t, (verdict), true, words, __LINE__)
#define BAD(verdict, words)  expect_row(t, (verdict), false, "FAIL: " words, __LINE__)
#define ENDS(verdict, words) expect_row(t, (verdict), false, words, __LINE__)

KTEST_SUITE(verdict, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- the acts ---- */

#define STUCK    "the page did not keep the range from leaving"
#define ALIKE    "these figures do not differ as the policies do"
#define DIFFER   "redrain drains again; disable costs the caches; precise neither"
#define NOT_HELD "no free was held back: one CPU, too small a cache, or a pause"

/* The verdict on drain rounds of the three policies, and hit rates of the last two. */
static struct verdict policies(
    const unsigned rounds[3], unsigned disable, unsigned precise, bool redrained, bool counted)
{
	const struct live_policy row[NR_ISO_POLICIES] = {[ISO_REDRAIN] = {.rounds = rounds[0]},
	    [ISO_DISABLE] = {.rounds = rounds[1], .hit_rate = disable},
	    [ISO_PRECISE] = {.rounds = rounds[2], .hit_rate = precise}};

	return policies_verdict(row, redrained, counted);
}
#define ROUNDS(...) ((const unsigned[]){__VA_ARGS__})

KTEST(acts_1_and_2)
{
	GOOD(drain_verdict(true, true, true), "");
	BAD(drain_verdict(true, true, false), STUCK);
	GOOD(drain_verdict(false, true, false), "");
	GOOD(drain_verdict(true, false, false), "");
	GOOD(policies(ROUNDS(2, 1, 1), 5, 6, true, true), DIFFER);
	BAD(policies(ROUNDS(1, 1, 1), 5, 6, true, true), ALIKE);
	BAD(policies(ROUNDS(2, 2, 1), 5, 6, true, true), ALIKE);
	BAD(policies(ROUNDS(2, 1, 2), 5, 6, true, true), ALIKE);
	BAD(policies(ROUNDS(2, 1, 1), 6, 98, true, true), ALIKE);
	BAD(policies(ROUNDS(2, 1, 1), 5, 5, true, true), ALIKE);
	/* No free was held, or no hits could be counted. */
	GOOD(policies(ROUNDS(1, 1, 1), 5, 6, false, true), NOT_HELD);
	GOOD(policies(ROUNDS(2, 1, 1), 6, 6, true, false), DIFFER);
	BAD(policies(ROUNDS(2, 0, 1), 0, 6, false, false), ALIKE);
	EXPECT_EQ(
	    t, range_ending_with(5 * PAGEBLOCK_PAGES + 1, PAGEBLOCK_PAGES), 5 * PAGEBLOCK_PAGES);
	EXPECT_EQ(
	    t, range_ending_with(5 * PAGEBLOCK_PAGES, 4 * PAGEBLOCK_PAGES), 2 * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, hit_rate(400, 4), 99);
	EXPECT_EQ(t, hit_rate(400, 400), 0);
	EXPECT_EQ(t, hit_rate(400, 500), 0);
	EXPECT_EQ(t, hit_rate(0, 0), 0);
}

#define OUT(wrong) "page 0x604 is in use, or the programs do not go on: " wrong " wrong"

#define broken(...) broken_verdict(0x604, __VA_ARGS__)

KTEST(acts_3_and_4)
{
	GOOD(programs_verdict(0, true), "");
	BAD(programs_verdict(1, true), "1 pages are wrong, or a program has ended");
	BAD(programs_verdict(0, false), "0 pages are wrong, or a program has ended");
	GOOD(
	    broken(true, 7, 0, true, false), "the programs go on: 7 pages verified since, 0 wrong");
	GOOD(broken(true, 0, 0, true, true), "the programs go on: 0 pages verified since, 0 wrong");
	BAD(broken(false, 7, 0, true, false), OUT("0"));
	BAD(broken(true, 7, 1, true, false), OUT("1"));
	BAD(broken(true, 7, 0, false, false), OUT("0"));
	BAD(broken(true, 0, 0, true, false), OUT("0"));
	/* The range is at most half of the largest zone; the act waits for 7/8 of the pages. */
	EXPECT_EQ(t, programs_range(MIB(256)), MIB(128));
	EXPECT_EQ(t, programs_range(MIB(4000)), MIB(128));
	EXPECT_EQ(t, programs_range(MIB(256) - 2), MIB(64));
	EXPECT_EQ(t, programs_range(MIB(20)), MIB(8));
	EXPECT_EQ(t, programs_least(2, 6144), 10752);
}

KTEST(rounds_under_programs)
{
	GOOD(program_round_verdict(0, 100, 1, ISO_PRECISE), "");
	GOOD(program_round_verdict(0, 100, 2, ISO_REDRAIN), "");
	BAD(program_round_verdict(0, 99, 1, ISO_PRECISE),
	    "online: error none; 99 faults meanwhile, 1 drain round");
	BAD(program_round_verdict(0, 125, 2, ISO_DISABLE),
	    "online: error none; 125 faults meanwhile, 2 drain rounds");
	BAD(program_round_verdict(-EINVAL, 125, 1, ISO_PRECISE),
	    "online: error EINVAL; 125 faults meanwhile, 1 drain round");
	GOOD(task_verdict(11, 0, TASK_EXITED, 0), "");
	ENDS(task_verdict(11, 0, TASK_EXITED, 9), "task 11 exited, status 9");
	ENDS(task_verdict(11, 0, TASK_FAULTED, 0), "task 11 faulted, status 0");
	ENDS(task_verdict(11, 0, TASK_KILLED, -12), "task 11 was killed, status -12");
	ENDS(task_verdict(11, -ETIMEDOUT, TASK_RUNS, 0), "task 11 does not end");
	GOOD(crowd_verdict(2, 0, 11, 0), "2 verified 11 pages, 0 wrong; all ended well");
	ENDS(crowd_verdict(2, 0, 11, 1), "2 verified 11 pages, 1 wrong; all ended well");
	ENDS(crowd_verdict(3, 1, 0, 0), "3 verified 0 pages, 0 wrong");
}

/* ---- loads and soaks ---- */

KTEST(rounds_under_stress)
{
	GOOD(window_verdict(10, 1, 1), "");
	BAD(window_verdict(10, 0, 70),
	    "in the last 10 rounds 0 pages moved, 70 freed while isolated");
	BAD(window_verdict(10, 50, 0),
	    "in the last 10 rounds 50 pages moved, 0 freed while isolated");
	EXPECT_EQ(t, round_verdict(false, 1, ISO_PRECISE), 0);
	EXPECT_EQ(t, round_verdict(false, 2, ISO_PRECISE), -ERANGE);
	EXPECT_EQ(t, round_verdict(false, 0, ISO_DISABLE), -ERANGE);
	EXPECT_EQ(t, round_verdict(false, 2, ISO_REDRAIN), 0);
	EXPECT_EQ(t, round_verdict(true, 1, ISO_PRECISE), -ETIME);
}

/* Too few remote frees, and damage, are errors. */
KTEST(stress_of_threads)
{
	static const struct {
		unsigned nr;
		struct stress_report r;
		int err;
	} rows[] = {{2, {.frees = 1000, .frees_remote = 200}, 0},
	    {2, {.frees = 1000, .frees_remote = 199}, -ERANGE}, {2, {.frees = 999}, 0},
	    {1, {.frees = 1000}, 0},
	    {2, {.frees = 1000, .frees_remote = 200, .corrupt = 1}, -EUCLEAN},
	    {1, {.corrupt = 1}, -EUCLEAN}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		EXPECT_EQ(t, stress_verdict(&rows[i].r, rows[i].nr), rows[i].err);
}

KTEST(cpus_that_come_and_go)
{
	static const struct smp_stats none;
	const struct {
		struct smp_stats now;
		const char *words;
	} calls[NR_BAD_CALLS] = {
	    {{.offline_cpu = 1}, "FAIL: calls asked of CPUs that are not online: 1"},
	    {{.spurious_calls = 2}, "FAIL: call interrupts at CPUs that are not online: 2"},
	    {{.bad_cpu = 1}, "FAIL: calls asked of CPUs out of range: 1"},
	    {{.bad_context = 1}, "FAIL: calls in a wrong context: 1"},
	    {{.silent = 1}, "FAIL: CPUs reported silent: 1"}};
	struct hotplug_step step;
	unsigned i, k;

	for (i = 0; i < NR_BAD_CALLS; i++)
		for (k = 0; k < NR_BAD_CALLS; k++)
			expect_row(t, calls_verdict(k, &none, &calls[i].now), i != k,
			    i == k ? calls[i].words : "", __LINE__);
	GOOD(hotplug_verdict(0, 100, false), "");
	BAD(hotplug_verdict(0, 101, false), "0 offlines beside 101 downs: they hardly got through");
	GOOD(hotplug_verdict(1, 200, false), "");
	GOOD(hotplug_verdict(0, 101, true), "");
	for (i = 0; i < 6; i++) {
		step = hotplug_step(i % 2, 1 + i / 2);
		EXPECT(t, step.up == !(i % 2) && step.want == (i == 1 ? -EBUSY : 0));
	}
	EXPECT(t, shaken_may_fail(-ENOMEM) && shaken_may_fail(-EBUSY));
	EXPECT(t, shaken_may_fail(-ETIMEDOUT) && shaken_may_fail(-EINTR));
	EXPECT(t, !shaken_may_fail(-EIO) && !shaken_may_fail(-EINVAL));
	GOOD(rest_verdict(513, 513), "");
	BAD(rest_verdict(512, 513), "512 pages free, 513 before");
}

/* ---- broken memory ---- */

#define UNSAID "flagged, and no answer said so"

static bool same(struct poison_answer a, bool listed, const char *failure)
{
	return a.listed == listed && !strcmp(a.failure ? a.failure : "", failure ? failure : "");
}

KTEST(answers_to_requests)
{
	static const struct {
		enum poison_what what;
		enum poison_outcome outcome;
		int err;
		bool before, after;
		const char *failure;
	} rows[] = {{ASK_SOFT, 0, 0, false, true, NULL}, {ASK_SOFT, 0, -EBUSY, 0, 0, NULL},
	    {ASK_SOFT, 0, -ENOMEM, 1, 1, NULL}, {ASK_SOFT, 0, -ENXIO, 0, 0, NULL},
	    {ASK_SOFT, 0, -EIO, 0, 0, "soft offline"},
	    {ASK_HARD, POISON_RECOVERED, 0, false, true, NULL},
	    {ASK_HARD, POISON_DELAYED, 0, false, true, NULL},
	    {ASK_HARD, POISON_IGNORED, -EBUSY, false, true, NULL},
	    {ASK_HARD, POISON_FAILED, -EBUSY, 0, 0, NULL},
	    {ASK_HARD, POISON_FAILED, -ENXIO, 0, 0, NULL},
	    {ASK_HARD, POISON_FAILED, -EHWPOISON, true, true, NULL},
	    {ASK_HARD, POISON_FAILED, -EHWPOISON, 0, 0, UNSAID},
	    {ASK_HARD, POISON_FAILED, -EIO, 0, 0, "memory failure"},
	    {ASK_BACK, 0, 0, true, false, NULL}, {ASK_BACK, 0, -EBUSY, true, true, NULL},
	    {ASK_BACK, 0, 0, 0, 0, UNSAID}, {ASK_BACK, 0, -EINVAL, true, true, "unpoison"}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct poison_answer a = rows[i].what == ASK_SOFT
		    ? soft_answer(rows[i].err, rows[i].before)
		    : rows[i].what == ASK_HARD
		    ? hard_answer(rows[i].outcome, rows[i].err, rows[i].before)
		    : back_answer(rows[i].err, rows[i].before);

		if (!same(a, rows[i].after, rows[i].failure))
			ktest_fail(t, __FILE__, __LINE__, "row %u", i);
	}
}

/* Half of the requests are soft, and an eighth are undone; with many listed pages, all. */
KTEST(requests_and_the_end)
{
	static const struct beside then, none_down = {1, 1, 1, 0}, no_offline = {1, 1, 0, 1},
	                                 not_moved = {1, 0, 1, 1}, not_reclaimed = {0, 1, 1, 1},
	                                 each = {1, 1, 1, 1};
	unsigned i;

	for (i = 8; i < 16; i++) {
		EXPECT_EQ(t, poison_request(i, 512),
		    i < 12       ? ASK_SOFT
		        : i < 15 ? ASK_HARD
		                 : ASK_BACK);
		EXPECT_EQ(t, poison_request(i, 513), ASK_BACK);
	}
	EXPECT(t, page_is_cleanable(5, 5) && page_is_cleanable(6, 5));
	EXPECT(t, !page_is_cleanable(7, 5) && !page_is_cleanable(4, 5));
	EXPECT(t, beside_went_on(then, each, 2) && !beside_went_on(then, none_down, 2));
	EXPECT(t, beside_went_on(then, none_down, 1) && !beside_went_on(then, no_offline, 1));
	EXPECT(t, !beside_went_on(then, not_moved, 2) && !beside_went_on(then, not_reclaimed, 2));
	EXPECT(t, flags_agree(6, 6, (struct poison_count){1, 2, 3}));
	EXPECT(t, !flags_agree(6, 6, (struct poison_count){1, 2, 4}));
	EXPECT(t, !flags_agree(6, 5, (struct poison_count){1, 2, 3}));
	EXPECT(t, poison_passes(0, 0, 2, 2) && !poison_passes(0, 0, 3, 2));
	EXPECT(t, !poison_passes(1, 0, 0, 0) && !poison_passes(0, 1, 0, 0));
}
