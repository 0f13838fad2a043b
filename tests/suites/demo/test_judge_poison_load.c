/* SPDX-License-Identifier: MIT */
/*
 * test_judge_poison_load.c: the load beside the soak of broken memory, in a simulated world: users
 * of the pages, CPUs and ranges that change, and the wait for each part of the load.
 */
#define JUDGE(name) judge_poison_load_##name
#include "tests/host/judge_poison.h"
#include <quarry/smp.h>

KTEST_SUITE(judge_poison_load, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- the users ---- */

KTEST(a_page_holds_its_number_at_both_ends)
{
	static u64 data[PAGE_SIZE / sizeof(u64)];

	REQUIRE(t, begin_scene());
	EXPECT(t, soak.nr == PAGES && soak.rand == 7 && soak.mem == &pretend);
	soak.store[2] = 9;
	EXPECT_EQ(t, store_get(soak.object, 2), 0);
	world.supply_err = -EEXIST;
	EXPECT_EQ(t, store_get(soak.object, 1), 0);
	world.supply_err = -EAGAIN;
	EXPECT_EQ(t, store_get(soak.object, 1), 0);
	world.supply_err = -ENOMEM;
	EXPECT_EQ(t, store_get(soak.object, 1), -ENOMEM);
	EXPECT_SAID(t, "[supply 2: 9 9][supply 1: 0 0][supply 1: 0 0][supply 1: 0 0]");
	/*
	 * The two ends of a page may differ by 1, between its user's two writes; other differences
	 * are damage.
	 */
	data[0] = 5;
	data[ARRAY_SIZE(data) - 1] = 5;
	EXPECT(t,
	    !store_clean(soak.object, 3, data, WAIT_FOREVER) && !soak.wrong && soak.store[3] == 5);
	data[0] = 6;
	EXPECT(t,
	    !store_clean(soak.object, 3, data, WAIT_FOREVER) && !soak.wrong && soak.store[3] == 6);
	data[0] = 7;
	EXPECT(t, !store_clean(soak.object, 3, data, WAIT_FOREVER) && soak.wrong == 1);
	data[0] = 4;
	EXPECT(t, !store_clean(soak.object, 3, data, WAIT_FOREVER) && soak.wrong == 2);
	scene_end();
}

KTEST(pages_are_read_compared_and_written)
{
	REQUIRE(t, begin_scene());
	EXPECT_EQ(t, use_page(1, false), 0);
	EXPECT(t, world.nr_copies == 2 && !world.page[1][0] && !soak.wrong);
	EXPECT_EQ(t, use_page(1, true), 0);
	EXPECT(t, world.page[1][0] == 1 && world.page[1][1] == 1 && !soak.wrong);
	/* One end has the number of another page. */
	soak.want[1] = 1;
	world.page[1][0] = 2;
	EXPECT(t, !use_page(1, false) && soak.wrong == 1);
	world.page[1][0] = 1;
	world.page[1][1] = 0;
	EXPECT(t, !use_page(1, false) && soak.wrong == 2);
	world.page[1][0] = 0;
	EXPECT(t, !use_page(1, false) && soak.wrong == 3);
	/* A failed access is tried again while the errors only mean that memory is short. */
	world.copies_fail = world.nr_copies + 3;
	world.fault[1] = -ENOMEM;
	world.fault[2] = -EAGAIN;
	world.fault[3] = -EHWPOISON;
	soak.want[1] = 0;
	world.page[1][0] = world.page[1][1] = 0;
	EXPECT_EQ(t, use_page(1, false), 0);
	EXPECT_SAID(t, "[fault 0x10001000: 0][fault 0x10001000: -12][fault 0x10001000: -11]");
	EXPECT_EQ(t, soak.wrong, 3);
	world.copies_fail = ~0u;
	EXPECT_EQ(t, use_page(1, true), -EHWPOISON);
	EXPECT_SAID(t, "[fault 0x10001000: -133]");
	scene_end();
}

/* A user uses every fourth page, and writes in one of four accesses. */
KTEST(user_has_every_fourth_page_and_drops_lost_ones)
{
	unsigned i;

	REQUIRE(t, begin_scene());
	soak.rand = 0;
	judge.stop = &soak.shaker.stop;
	for (i = 0; i < PAGES; i++)
		soak.want[i] = soak.store[i] = world.page[i][0] = world.page[i][1] = i * 10;
	soak.shaker.stop = 1;
	user((void *)2);
	EXPECT_SAID(t, "[space][no space]");
	/*
	 * The first access fails with an error other than "lost", the second because its page is
	 * lost.
	 */
	soak.shaker.stop = 0;
	world.copies_fail = ~0u;
	world.fault[0] = -EIO;
	world.fault[1] = -EHWPOISON;
	world.fault[2] = world.fault[3] = 0;
	soak.store[6] = 77;
	judge.sleeps = 1;
	judge.quiet = false;
	/* The third access succeeds after its fault, and then the user stops. */
	world.fault[2] = 0;
	world.copies_fail = 3;
	user((void *)2);
	EXPECT_SAID(t,
	    "[space][fault 0x10006000: -5]poison: FAIL: a page could not be used: pfn "
	    "0x6: -5\n"
	    "[fault 0x10006000: -133][remove 1 at 6][fault 0x10006000: 0][no space]");
	EXPECT_EQ(t, soak.lost_seen, 1);
	scene_end();
}

/* ---- CPUs and ranges that change ---- */

KTEST(cpus_go_down_and_up)
{
	REQUIRE(t, begin_scene());
	soak.shaker.rand_cpu = 1;
	judge.sleeps = 4;
	shake_cpus(&soak.shaker);
	EXPECT_SAID(t, "[down 1][sleep 2]\n[up 1][sleep 4]\n[down 1][sleep 6]\n[up 1][sleep 8]\n");
	EXPECT(t, soak.shaker.downs == 2 && soak.shaker.ups == 2 && !soak.shaker.failed);
	/* The last CPU online stays online, and so does the only CPU of a machine. */
	soak.shaker.stop = 0;
	soak.shaker.rand_cpu = 1;
	judge.online[0] = 2;
	judge.sleeps = 2;
	shake_cpus(&soak.shaker);
	EXPECT_SAID(t, "[sleep 2]\n[sleep 4]\n");
	soak.shaker.stop = 0;
	soak.shaker.rand_cpu = 1;
	judge.online[0] = 1;
	world.cpus = 1;
	judge.sleeps = 2;
	shake_cpus(&soak.shaker);
	EXPECT_SAID(t, "[sleep 2]\n[sleep 4]\n");
	EXPECT(t, soak.shaker.downs == 2 && soak.shaker.ups == 2 && !soak.shaker.failed);
	soak.shaker.stop = 0;
	soak.shaker.rand_cpu = 1;
	judge.online[0] = 3;
	world.cpus = 2;
	judge.cpu_err = -EIO;
	judge.sleeps = 1;
	shake_cpus(&soak.shaker);
	EXPECT_SAID(t, "[down 1]poison: FAIL: CPU hotplug: error EIO\n[sleep 2]\n");
	EXPECT(t, soak.shaker.downs == 2 && soak.shaker.ups == 2 && soak.shaker.failed == 1);
	scene_end();
}

KTEST(ranges_are_offlined_and_onlined_or_refused)
{
	static const int allowed[] = {-ENOMEM, -EBUSY, -ETIMEDOUT, -EINTR};
	unsigned i;

	REQUIRE(t, begin_scene());
	soak.shaker.rand_mem = 1;
	judge.sleeps = 4;
	shake_memory(&soak.shaker);
	EXPECT_SAID(t,
	    "[offline 4 at 0x200, disable, 2000000000 ns][sleep 2]\n"
	    "[online 4 at 0x200]\n[sleep 3]\n"
	    "[offline 4 at 0x200, disable, 2000000000 ns][sleep 5]\n"
	    "[online 4 at 0x200]\n[sleep 6]\n");
	EXPECT(t, soak.shaker.offlines == 2 && !soak.shaker.refused && !soak.shaker.failed);
	soak.shaker.stop = 0;
	soak.shaker.rand_mem = 1;
	world.online_err = -EBUSY;
	judge.sleeps = 2;
	shake_memory(&soak.shaker);
	EXPECT_SAID(t,
	    "[offline 4 at 0x200, disable, 2000000000 ns][sleep 2]\n"
	    "[online 4 at 0x200]\npoison: FAIL: online: error EBUSY: page busy\n[sleep 3]\n");
	EXPECT(t, soak.shaker.offlines == 3 && soak.shaker.failed == 1);
	for (i = 0; i < ARRAY_SIZE(allowed); i++) {
		soak.shaker.stop = 0;
		judge.sleeps = 1;
		world.offline_err = allowed[i];
		shake_memory(&soak.shaker);
		EXPECT_EQ(t, soak.shaker.refused, i + 1);
	}
	soak.shaker.stop = 0;
	judge.sleeps = 1;
	world.no_range = true;
	world.offline_err = -EIO;
	shake_memory(&soak.shaker);
	EXPECT(t, soak.shaker.refused == 5 && soak.shaker.failed == 1);
	soak.shaker.stop = 0;
	judge.sleeps = 1;
	world.no_range = false;
	judge.quiet = true;
	judge_clear();
	shake_memory(&soak.shaker);
	EXPECT_SAID(t, "poison: FAIL: offline: error EIO: pinned page\n");
	EXPECT(t, soak.shaker.offlines == 3 && soak.shaker.refused == 5 && soak.shaker.failed == 2);
	scene_end();
}

/* ---- the amount of load ---- */

/* The counts of reclaimed and moved pages rise with each reading. */
KTEST(each_part_of_the_load_is_waited_for)
{
	struct beside then;

	REQUIRE(t, begin_scene());
	judge.stop = NULL;
	then = beside_now();
	soak.shaker.offlines = soak.shaker.downs = 1;
	wait_for_load(then);
	EXPECT_SAID(t, "");
	judge.tick = 4000000000;
	soak.shaker.offlines = 0;
	wait_for_load(beside_now());
	EXPECT_SAID(t, "[sleep 1000000]\n[sleep 1000000]\n[sleep 1000000]\n[sleep 1000000]\n");
	then = beside_now();
	soak.shaker.offlines = 1;
	wait_for_load(then);
	EXPECT_SAID(t, "[sleep 1000000]\n[sleep 1000000]\n[sleep 1000000]\n[sleep 1000000]\n");
	world.cpus = 1;
	wait_for_load(then);
	EXPECT_SAID(t, "");
	world.cpus = 2;
	soak.failed = 1;
	wait_for_load(then);
	EXPECT_SAID(t, "");
	soak.failed = 0;
	soak.shaker.downs = 2;
	then.reclaimed = world.reclaimed;
	wait_for_load(then);
	EXPECT_SAID(t, "[sleep 1000000]\n");
	then = beside_now();
	soak.shaker.offlines = soak.shaker.downs = 3;
	then.moved = world.moved;
	wait_for_load(then);
	EXPECT_SAID(t, "[sleep 1000000]\n");
	/* The event that happens in the third sleep ends the wait. */
	then = beside_now();
	then.offlines = soak.shaker.offlines = 0;
	then.downs = 0;
	judge.tick = 1;
	judge.stop = &soak.shaker.offlines;
	judge.sleeps = 3;
	wait_for_load(then);
	EXPECT_SAID(t, "[sleep 1000000]\n[sleep 1000000]\n[sleep 1000000]\n");
	judge.stop = NULL;
	scene_end();
}
