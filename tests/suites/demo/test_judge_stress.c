/* SPDX-License-Identifier: MIT */
/*
 * test_judge_stress.c: the stress in a simulated world: the words of its blocks, its result, and
 * threads that cannot be started.
 */
#define stress_start judged_stress_start
#define stress_stop  judged_stress_stop
#define stress_ops   judged_stress_ops
#define stress_cpus  judged_stress_cpus
#include <quarry/handle.h>
#include <quarry/stress.h>

#include "tests/host/judge_help.h"

static struct {
	unsigned no_alloc; /* number of the kmalloc, from 1, that fails */
	unsigned allocs;
	bool others_only; /* no thread can be started on a chosen CPU */
	struct page map[3];
	u64 words[3][PAGE_SIZE / 8];
} world;

static struct thread *start(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	return cpu >= 0 && world.others_only ? NULL : judge_start(name, cpu, fn, arg);
}

#define thread_start                     start
#define thread_join                      judge_join
#define kmalloc(n)                       (++world.allocs == world.no_alloc ? NULL : (kmalloc)(n))
#define mem_alloc_pages(mem, gfp, order) ((void)(gfp), (struct page *)NULL)
#define page_address_in(mem, page)       ((void *)world.words[(page)-world.map])
#define dump_page(mem, pfn, why)         judge_note("[dump %lu]", (pfn))
#include "demo/stress.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void begin(void)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	judge_memory = (struct memory){.memmap = world.map, .backed = true};
}

static struct stress *start_two(void)
{
	return stress_start(&judge_memory, 2, 2, 6);
}

KTEST_SUITE(judge_stress, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(each_page_of_a_block_has_words_of_its_own)
{
	struct page *page = world.map;
	unsigned i;

	begin();
	pattern_write(&judge_memory, page, 1, 77);
	EXPECT(t, page->index == 77 && pattern_intact(&judge_memory, page, 1));
	for (i = 0; i < 8; i++) {
		EXPECT(
		    t, world.words[0][65 * i] && world.words[0][65 * i] != world.words[1][65 * i]);
		world.words[i % 2][65 * i] ^= 1;
		EXPECT(t, !pattern_intact(&judge_memory, page, 1));
		world.words[i % 2][65 * i] ^= 1;
	}
	EXPECT_SAID(t, "[dump 0][dump 1][dump 0][dump 1][dump 0][dump 1][dump 0][dump 1]");
	/* Memory beyond the block is not checked; a block of another generation has other words. */
	EXPECT(t, pattern_intact(&judge_memory, page, 1) && !world.words[2][0]);
	page->index = 78;
	EXPECT(t, !pattern_intact(&judge_memory, page, 1));
	/* In a memory without bytes nothing is verified or written. */
	judge_memory.backed = false;
	EXPECT(t, pattern_intact(&judge_memory, page, 1));
	world.words[0][0] = 5;
	pattern_write(&judge_memory, page, 1, 79);
	EXPECT(t, page->index == 79 && world.words[0][0] == 5);
}

/* All threads together use a quarter of what is free outside zone MOVABLE. */
KTEST(blocks_are_taken_within_the_budget)
{
	struct stress load = {.mem = &judge_memory};
	struct stress_thread me = {.s = &load, .ops = 1};

	begin();
	judge_memory.nr_nodes = 1;
	judge_memory.zones[0] = (struct zone){.kind = ZONE_NORMAL, .nr_free = 80};
	judge_memory.zones[1] = (struct zone){.kind = ZONE_DMA32, .nr_free = 16};
	judge_memory.zones[2] = (struct zone){.kind = ZONE_MOVABLE, .nr_free = 1000};
	load.budget = bare_budget(&judge_memory, 3);
	EXPECT_EQ(t, load.budget, 8);
	me.pages = 8;
	bare_alloc(&me, 0);
	EXPECT(t, !me.failed && me.pages == 8);
	me.pages = 0;
	me.ops = 0; /* order 0 */
	bare_alloc(&me, 0);
	EXPECT(t, me.failed == 1 && !me.pages && !me.bare[0]);
}

KTEST(too_few_remote_frees_and_damage_are_errors)
{
	static const struct {
		unsigned nr;
		u64 frees, remote, corrupt;
		int err;
	} ends[] = {{2, 1000, 200, 0, 0}, {2, 1000, 199, 0, -ERANGE}, {2, 999, 0, 0, 0},
	    {1, 1000, 0, 0, 0}, {2, 1000, 0, 1, -EUCLEAN}};
	struct stress_report r;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		struct stress *s;

		begin();
		s = NEED(t, stress_start(&judge_memory, 0, ends[i].nr, 6));
		s->threads[0].frees = ends[i].frees;
		s->threads[0].remote = ends[i].remote;
		s->threads[0].corrupt = ends[i].corrupt;
		EXPECT_EQ(t, stress_stop(s, &r), ends[i].err);
	}
}

/* If the second of two threads does not start, the first one is stopped again. */
KTEST(threads_start_on_their_cpus_or_elsewhere)
{
	struct stress_report r;
	unsigned i;

	for (i = 1; i <= 3; i++) {
		begin();
		world.no_alloc = i;
		EXPECT(t, !start_two());
		EXPECT_SAID(t, "");
	}
	begin();
	EXPECT_EQ(t, stress_stop(NEED(t, start_two()), &r), 0);
	EXPECT_SAID(t, "[stress on 2][stress on 3][stress joined]\n[stress joined]\n");
	begin();
	judge.no_job = 2;
	world.others_only = true;
	EXPECT(t, !start_two());
	EXPECT_SAID(t, "[stress on -1][no stress on -1][stress joined]\n");
}
