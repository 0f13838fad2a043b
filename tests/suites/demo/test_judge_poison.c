/* SPDX-License-Identifier: MIT */
/*
 * test_judge_poison.c: the soak of broken memory in a simulated world: its requests, its end, and
 * each failure it reports.
 */
#define JUDGE(name) judge_poison_##name
#include "tests/host/judge_poison.h"
#include <quarry/smp.h>

KTEST_SUITE(judge_poison, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- requests ---- */

KTEST(each_answer_is_counted_and_listed)
{
	static const struct {
		int err;
		bool ok, listed, bad;
	} softs[] = {{0, true, true, false}, {-EBUSY, false, false, false},
	    {-ENOMEM, false, false, false}, {-ENXIO, false, false, false},
	    {-EIO, false, false, true}};
	static const struct {
		enum poison_outcome outcome;
		int err;
		bool before, after, bad;
	} hards[] = {{POISON_RECOVERED, 0, false, true, false},
	    {POISON_DELAYED, 0, false, true, false}, {POISON_IGNORED, -EBUSY, false, true, false},
	    {POISON_FAILED, -EBUSY, false, false, false},
	    {POISON_FAILED, -ENXIO, false, false, false},
	    {POISON_FAILED, -EHWPOISON, true, true, false},
	    {POISON_FAILED, -EHWPOISON, false, false, true},
	    {POISON_FAILED, -EIO, false, false, true}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(softs); i++) {
		REQUIRE(t, begin_scene());
		world.soft = softs[i].err;
		request_soft(START + 70);
		EXPECT(t, soak.soft_ok == softs[i].ok && soak.soft_no == !softs[i].ok);
		EXPECT(t,
		    pfn_is_listed(START + 70) == softs[i].listed &&
		        soak.nr_listed == softs[i].listed);
		EXPECT_EQ(t, soak.failed, softs[i].bad);
		scene_end();
	}
	for (i = 0; i < ARRAY_SIZE(hards); i++) {
		REQUIRE(t, begin_scene());
		world.hard = hards[i].err;
		world.res = (struct poison_result){.outcome = hards[i].outcome, .lost = true};
		list_pfn(START + 639, hards[i].before);
		request_hard(START + 639);
		EXPECT_EQ(t, soak.hard_ok, hards[i].outcome == POISON_RECOVERED);
		EXPECT_EQ(t, soak.delayed, hards[i].outcome == POISON_DELAYED);
		EXPECT_EQ(t, soak.ignored, hards[i].outcome == POISON_IGNORED);
		EXPECT_EQ(t, soak.hard_no, hards[i].outcome == POISON_FAILED);
		EXPECT_EQ(t, soak.lost, 1);
		EXPECT(t,
		    pfn_is_listed(START + 639) == hards[i].after &&
		        soak.nr_listed == hards[i].after);
		EXPECT_EQ(t, soak.failed, hards[i].bad);
		scene_end();
	}
}

KTEST(unpoisoned_page_leaves_the_list)
{
	REQUIRE(t, begin_scene());
	request_back(START);
	EXPECT_SAID(t, "");
	request_soft(START + 64);
	request_soft(START + 66);
	EXPECT(t,
	    !pfn_is_listed(START) && pfn_is_listed(START + 64) && !pfn_is_listed(START + 65) &&
	        pfn_is_listed(START + 66));
	world.back = -EBUSY;
	request_back(START + 10);
	EXPECT(t, soak.nr_listed == 2 && !soak.back && !soak.failed);
	world.back = 0;
	request_back(START + 65);
	EXPECT(t,
	    soak.nr_listed == 1 && soak.back == 1 && !pfn_is_listed(START + 66) &&
	        pfn_is_listed(START + 64));
	EXPECT_SAID(t, "[soft 0x1040][soft 0x1042][back 0x1040][back 0x1042]");
	/* A flagged page that no call had reported is a failure. */
	world.flagged[5] = true;
	request_back(START);
	EXPECT_SAID(
	    t, "[back 0x1005]poison: FAIL: flagged, and no answer said so: pfn 0x1005: 0\n");
	EXPECT(t, soak.nr_listed == 1 && soak.back == 2);
	world.back = -EINVAL;
	request_back(START);
	EXPECT_SAID(t, "[back 0x1040]poison: FAIL: unpoison: pfn 0x1040: -22\n");
	EXPECT(t, soak.nr_listed == 1 && soak.back == 2 && soak.failed == 2);
	/* Not more than nine failures are printed. */
	for (soak.failed = 7; soak.failed < 10;)
		request_back(START);
	EXPECT_SAID(t,
	    "[back 0x1040]poison: FAIL: unpoison: pfn 0x1040: -22\n"
	    "[back 0x1040]poison: FAIL: unpoison: pfn 0x1040: -22\n[back 0x1040]");
	scene_end();
}

KTEST(half_of_the_requests_are_soft_and_an_eighth_are_undone)
{
	unsigned i;

	REQUIRE(t, begin_scene());
	world.soft = -EBUSY;
	world.hard = -EBUSY;
	world.flagged[639] = true;
	list_pfn(START + 639, true);
	world.back = -EBUSY;
	for (i = 0, soak.rand = 639; i < 8; i++) {
		request();
		soak.rand--;
	}
	EXPECT_SAID(t,
	    "[soft 0x127f][soft 0x1000][soft 0x1001][soft 0x1002][hard 0x1003][hard "
	    "0x1004][hard 0x1005][back 0x127f]");
	/* If more than LISTED_MAX pages are listed, each request repairs a page. */
	soak.nr_listed = LISTED_MAX;
	soak.rand = 639;
	request();
	EXPECT_SAID(t, "[soft 0x127f]");
	soak.nr_listed = LISTED_MAX + 1;
	soak.rand = 639;
	request();
	EXPECT_SAID(t, "[back 0x127f]");
	scene_end();
}

/* ---- the end ---- */

KTEST(flags_list_and_counts_must_agree)
{
	REQUIRE(t, begin_scene());
	request_soft(START);
	request_soft(START + 639);
	judge.quiet = true;
	judge_clear();
	compare();
	EXPECT_SAID(t, "poison: 2 pages flagged, on the list 2; 0 retired, 0 in use, 2 offline\n");
	EXPECT_EQ(t, soak.failed, 0);
	world.count_off = 1;
	compare();
	EXPECT_SAID(t,
	    "poison: FAIL: flagged pages: pfn 0x2: 2\n"
	    "poison: 2 pages flagged, on the list 2; 1 retired, 1 in use, 1 offline\n");
	world.count_off = 0;
	world.flagged[9] = true;
	compare();
	EXPECT_SAID(t,
	    "poison: FAIL: flagged, and not on the list: pfn 0x1009: 0\npoison: FAIL: flagged "
	    "pages: pfn 0x2: 3\n"
	    "poison: 3 pages flagged, on the list 2; 1 retired, 1 in use, 1 offline\n");
	world.flagged[9] = world.flagged[0] = false;
	compare();
	EXPECT_SAID(t,
	    "poison: FAIL: flagged pages: pfn 0x2: 1\npoison: 1 pages flagged, on the list 2; 0 "
	    "retired, 0 in use, "
	    "1 offline\n");
	/* All pages are repaired, and all CPUs come back online. */
	judge.quiet = false;
	soak.failed = 0;
	world.flagged[3] = true;
	all_back();
	EXPECT_SAID(t, "[back 0x1003][back 0x127f]");
	judge.online[0] = 2;
	shaker_stop(&soak.shaker);
	EXPECT_SAID(t, "[up 0]");
	EXPECT(t, !soak.failed && !soak.shaker.failed);
	judge.online[0] = 1;
	judge.cpu_err = -EIO;
	shaker_stop(&soak.shaker);
	EXPECT_SAID(t, "[up 1]poison: FAIL: cpu_up: error EIO\n");
	EXPECT_EQ(t, soak.shaker.failed, 1);
	scene_end();
}

static int run_all(unsigned requests)
{
	judge.tick = 4000000000;
	return poison_soak(&pretend, requests, 6);
}

KTEST(poison_soak_runs_its_steps_in_order)
{
	unsigned job;

	begin(2);
	world.soft = world.hard = -EBUSY;
	judge.stop = NULL;
	EXPECT_EQ(t, run_all(1), 0);
	EXPECT_SAID(t,
	    "[object of 8][map 8 at 0x10000000, 3, from 0]\n"
	    "[stress on 2 from 0, seed 6]\n"
	    "[user on -1][user on -1][user on -1][user on -1][shake_cpus on "
	    "-1][shake_memory on -1][soft 0x1007][shake_cpus joined]\n"
	    "[shake_memory joined]\n[space][no space][user joined]\n"
	    "[space][no space][user joined]\n[space][no space][user joined]\n"
	    "[space][no space][user joined]\n[stress ends]\n"
	    "poison: 0 pages flagged, on the list 0; 0 retired, 0 in use, 0 offline\n"
	    "[check]\n"
	    "poison: soft 0 done, 1 refused; hard 0 retired, 0 delayed, 0 ignored, 0 "
	    "refused; 0 taken back\n"
	    "poison: 0 pages lost, 0 met by their users, 0 wrong; 1 reclaimed, 1 "
	    "moved, 0 offlines, 0 refused, 0 downs, 0 ups; stress made 50 operations\n"
	    "[object goes][space goes]poison: PASS\n");
	begin(2);
	world.soft = world.hard = -EBUSY;
	judge.quiet = true;
	EXPECT_EQ(t, run_all(501), 0);
	EXPECT_SAID(t,
	    "poison: 250 of 501 requests, 0 pages flagged\n"
	    "poison: 500 of 501 requests, 0 pages flagged\n"
	    "poison: 0 pages flagged, on the list 0; 0 retired, 0 in use, 0 offline\n"
	    "poison: soft 0 done, 251 refused; hard 0 retired, 0 delayed, 0 ignored, "
	    "250 refused; 0 taken back\n"
	    "poison: 0 pages lost, 0 met by their users, 0 wrong; 11 reclaimed, 11 "
	    "moved, 0 offlines, 0 refused, 0 downs, 0 ups; stress made 50 operations\n"
	    "poison: PASS\n");
	/* At the end the soak repairs a flagged page, and brings an offline CPU online. */
	begin(2);
	judge.online[0] = 1;
	EXPECT_EQ(t, run_all(1), 0);
	EXPECT_EQ(t,
	    judge_times("poison: 1 pages flagged, on the list 1; 0 retired, 0 in use, 1 "
	                "offline\n[back 0x1007][check]\n"),
	    1);
	EXPECT_EQ(t, judge_times("[shake_memory joined]\n[up 1]"), 1);
	for (job = 1; job <= 6; job++) {
		begin(2);
		judge.no_job = job;
		judge.quiet = true;
		EXPECT_EQ(t, run_all(5), -EIO);
		EXPECT_EQ(t, soak.soft_ok + soak.soft_no + soak.hard_ok, 0);
		EXPECT_EQ(t, soak.failed, 1);
	}
	begin(2);
	world.no_stress = true;
	EXPECT_EQ(t, run_all(5), -EIO);
	EXPECT_SAID(t,
	    "[object of 8][map 8 at 0x10000000, 3, from 0]\n"
	    "[stress on 2 from 0, seed 6]\npoison: FAIL: no memory for the load\n"
	    "[object goes][space goes]");
	begin(2);
	world.create_err = -ENOMEM;
	EXPECT_EQ(t, run_all(5), -EIO);
	EXPECT_SAID(t, "[object of 8]poison: FAIL: no memory for the load\n");
}

KTEST(each_failure_is_reported_and_fails_the_soak)
{
	begin(2);
	world.stop_err = -ERANGE; /* too few remote frees are no failure here */
	EXPECT_EQ(t, run_all(1), 0);
	begin(2);
	world.stop_err = -EUCLEAN;
	EXPECT_EQ(t, run_all(1), -EIO);
	EXPECT_COMPLAINT(t, "poison: FAIL: stress: damaged: pfn 0: 3\n");
	begin(2);
	world.calls_across = 2;
	EXPECT_EQ(t, run_all(1), -EIO);
	EXPECT_COMPLAINT(t, "poison: FAIL: allocations made cross-calls\n");
	begin(2);
	judge.violation = (struct mm_violation){"word", 5, 6, 7};
	EXPECT_EQ(t, run_all(1), -EIO);
	EXPECT_COMPLAINT(t, "poison: FAIL: word at 0x5: 0x6, should be 0x7\n");
	begin(2);
	judge.managed[1] = 1;
	EXPECT_EQ(t, run_all(1), -EIO);
	EXPECT_COMPLAINT(t,
	    "poison: FAIL: 1 pages managed without those from standby, 0 before; 7 from standby\n");
	begin(2);
	world.count_off = 3;
	EXPECT_EQ(t, run_all(1), -EIO);
	EXPECT_COMPLAINT(t, "poison: FAIL: flagged pages: pfn 0x1: 1\n");
}
