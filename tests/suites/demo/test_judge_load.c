/* SPDX-License-Identifier: MIT */
/*
 * test_judge_load.c: the prompt's load and bursts in a simulated world: too little memory, and the
 * damage that they find.
 */
#define JUDGE(name) judge_load_##name
#include "tests/host/judge_world.h"

#include "demo/monitor.h"
#include "demo/progress.h"
#include <quarry/handle.h>
#include <quarry/panic.h>

#define PAGES 512u /* 2 MiB */

static struct {
	u32 handles; /* number of objects that can be allocated */
	bool no_memory;
	u32 corrupt;
	const unsigned *room; /* pages available, in each round */
	/* wrong: number of requests with wrong flags */
	unsigned used, largest, allocs, frees, dumps, wrong;
	pfn_t dumped;
	bool damage; /* damage page 0 when another page is freed */
	struct page map[PAGES];
	u64 words[PAGES][PAGE_SIZE / 8];
} world;

static struct page *get_block(gfp_t gfp, unsigned order)
{
	struct page *page = &world.map[world.used];

	world.allocs++;
	world.wrong += gfp != (GFP_MOVABLE | GFP_NORETRY);
	if (order > world.largest || world.used + (1u << order) > *world.room)
		return NULL;
	page->word = order << PAGE_ORDER_SHIFT;
	world.used += 1u << order;
	return page;
}

static void free_block(struct page *page, unsigned order)
{
	world.frees += 1u << order;
	world.wrong += page->owner != NULL;
	if (world.frees == world.used) {
		world.used = world.frees = 0;
		world.room++;
	} else if (world.damage) {
		world.words[0][511] ^= 1;
		world.damage = false;
	}
}

#define run_seed                 6ULL
#define monitor_key_cancels()    false
#define monitor_number(word, to) (parse_u64((word), (to)) == 0)
#define progress_begin(p, ...)   ((p)->done = 0)
#define progress_tick(p)         ((void)(p))
#define progress_end(p)          ((void)(p))
#define kmalloc(bytes)           (world.no_memory ? NULL : (kmalloc)(1)) /* never read */
#define handle_table_init(t, m, h, n)                                                              \
	(*(t) = (struct handle_table){                                                             \
	     .handles = (h), .nr = (n), .moved = 5, .corrupt = world.corrupt})
#define handle_alloc(t, h, order, gfp, seed) ((h) < world.handles ? 0 : -ENOMEM)
#define handle_free(t, h)                    ((void)(h))
#define handle_verify(t, h)                  judge_note("[verify %u]", (h))
#define handle_write(t, h, seed)             judge_note("[write %u %llu]", (h), (seed) + 0ULL)
#define movable_owner_drain(owner)           ((void)(owner))
#define alloc_pages                          get_block
#define free_pages                           free_block
#define page_address(page)                   (world.words[(page)-world.map])
#define dump_page(m, pfn, why)               (world.dumps++, world.dumped = (pfn))
#define drain_all_pages(m, z)                ((void)(z))
#include "demo/load.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static const unsigned all[] = {PAGES, PAGES, PAGES, PAGES};

static void begin(void)
{
	judge_begin();
	judge.quiet = true;
	memset(&world, 0, sizeof(world));
	memset(&load, 0, sizeof(load));
	world.handles = ~0u;
	world.largest = MAX_ORDER;
	world.room = all;
	judge_memory.memmap = world.map;
	judge.stop = &load.stop;
	judge.report.moved = 20;
	judge.report.corrupt = 1;
}

static int say(int (*command)(unsigned n, char **arg), const char *word, const char *other)
{
	char first[20], second[16], *arg[] = {first, second};

	ksnprintf(first, sizeof(first), "%s", word);
	ksnprintf(second, sizeof(second), "%s", other);
	return command(!!*word + !!*other, arg);
}

/* Start a load, and end it; returns the result of its end. */
static int loaded(const char *mib)
{
	say(cmd_load, mib, "");
	return say(cmd_load, "", "");
}

KTEST_SUITE(judge_load, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(load_continues_with_the_objects_it_has)
{
	EXPECT_VERDICT(t, world.handles = 70; judge.no_job = 2, loaded("3"), -EUCLEAN,
	               "load: 2 MiB in movable objects, and stress on all CPUs\n"
	               "load: ended: 50 operations, 25 objects moved, 1 damaged\n");
	EXPECT_VERDICT(
	    t, judge.report.corrupt = 0, loaded("1"), 0, "25 objects moved, 0 damaged\n");
	EXPECT_VERDICT(t, world.corrupt = 3; judge.stop_err = -EUCLEAN, loaded("1"), -EUCLEAN,
	               "load: ended: 50 operations, 25 objects moved, 4 damaged: FAIL\n");
	EXPECT_VERDICT(t, judge.no_stress = true; world.corrupt = 3, loaded("1024"), -EUCLEAN,
	               "load: 1024 MiB in movable objects, and no memory for the stress threads\n"
	               "load: ended: 0 operations, 5 objects moved, 3 damaged\n");
	EXPECT_VERDICT(t, judge.no_stress = true, say(cmd_load, "1", ""), -ENOMEM, "and no memory");
	EXPECT_EQ(t, say(cmd_load, "", ""), 0);
	EXPECT_VERDICT(
	    t, world.no_memory = true, say(cmd_load, "1", ""), -ENOMEM, "load: no memory\n");
	EXPECT_EQ(t, say(cmd_load, "", ""), 0);
	EXPECT_SAID(t, "load: not running\n");
	EXPECT_VERDICT(t, , say(cmd_load, "1025", ""), -EINVAL, "load: 1 to 1024 MiB\n");
}

/* One of four accesses writes. */
KTEST(objects_are_verified_and_written_at_random)
{
	u64 rand = 0x3ff;

	begin();
	judge.quiet = false;
	load.table.nr = 3;
	judge.sleeps = 6;
	load_thread(&rand);
	EXPECT_SAID(t, "[verify 0][write 1 1024][verify 1][verify 1][verify 1][write 1 1028]");
}

/* ---- bursts ---- */

/* Only blocks up to @largest can be allocated, or only @room pages in all. */
KTEST(a_burst_takes_all_pages_whatever_their_blocks)
{
	static const unsigned few[] = {37, 37};
	static const struct {
		unsigned largest, want, got;
		const unsigned *room;
	} rows[] = {{MAX_ORDER, 100, 100, all}, {0, 40, 40, all}, {MAX_ORDER, 40, 37, few},
	    {MAX_ORDER, 0, 0, all}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct burst b = {.seed = 9};

		begin();
		world.largest = rows[i].largest;
		world.room = rows[i].room;
		burst_take(&b, rows[i].want);
		EXPECT(t, b.pages == rows[i].got && world.used == rows[i].got);
		EXPECT(t, i || world.allocs < 100);
		burst_give(&b);
		EXPECT(t, !b.damaged && !b.top && !world.used && !world.dumps && !world.wrong);
	}
}

KTEST(each_damaged_page_is_counted_once)
{
	static const unsigned at[] = {0, 170, 341, 511};
	unsigned order, i;

	for (order = 0; order <= MAX_ORDER; order++) {
		struct burst b = {.seed = 9};

		begin();
		world.largest = order;
		burst_take(&b, 100);
		for (i = 0; i < 4; i++)
			world.words[20 + 20 * i][at[i]] ^= 1ULL << 63;
		world.words[20][at[1]] ^= 1;
		/* Words that no burst wrote are not checked. */
		world.words[5][1]++;
		burst_give(&b);
		EXPECT(t, b.damaged == 4 && world.dumps == 1 && (order || world.dumped == 80));
	}
}

KTEST(damage_in_one_burst_of_several_is_reported)
{
	static const unsigned less[] = {PAGES, PAGES / 2, PAGES};

	EXPECT_VERDICT(t, world.room = less; world.largest = 0; world.damage = true,
	               say(cmd_burst, "2", "3"), -EUCLEAN,
	               "burst: 3 rounds of 1 MiB used and freed, 1 page damaged\n");
	EXPECT_VERDICT(t, , say(cmd_burst, "2", "x"), -EINVAL, "0:burst");
}
