/* SPDX-License-Identifier: MIT */
/*
 * test_judge_load.c: the prompt's load and bursts in a simulated world: too little memory, and the
 * damage that they find.
 */
#include "demo/monitor.h"
#include "demo/progress.h"
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/errno.h>
#include <quarry/handle.h>
#include <quarry/panic.h>
#include <quarry/stress.h>

#include "tests/host/judge_help.h"

#define PAGES 512u /* 2 MiB */

static struct {
	u32 handles; /* number of objects that can be allocated */
	bool no_stress, no_memory;
	int stop_err;
	u32 corrupt;
	const unsigned *room; /* pages available, in each round */
	/* wrong: number of requests with wrong flags */
	unsigned used, largest, allocs, frees, dumps, wrong;
	pfn_t dumped;
	bool damage; /* damage page 0 when another page is freed */
	struct page map[PAGES];
	u64 words[PAGES][PAGE_SIZE / 8];
} world;
static struct memory pretend;

/* ---- objects ---- */

static void *allocate(size_t bytes)
{
	return world.no_memory ? NULL : kmalloc(1); /* never read */
}

static void init(struct handle_table *t, struct memory *mem, struct handle *handles, u32 nr)
{
	*t = (struct handle_table){
	    .mem = mem, .handles = handles, .nr = nr, .moved = 5, .corrupt = world.corrupt};
}

static int put_object(struct handle_table *t, u32 h, unsigned order, gfp_t gfp, u64 seed)
{
	return h < world.handles ? 0 : -ENOMEM;
}

static int drop_object(struct handle_table *t, u32 h)
{
	return 0;
}

static int verify_object(struct handle_table *t, u32 h)
{
	judge_note("[verify %u]", h);
	return 0;
}

static int write_object(struct handle_table *t, u32 h, u64 seed)
{
	judge_note("[write %u %llu]", h, (unsigned long long)seed);
	return 0;
}

static void drain_owner(struct movable_owner *owner)
{
}

static struct stress *begin_stress(struct memory *mem, unsigned first, unsigned nr, u64 seed)
{
	return world.no_stress || nr != nr_cpus ? NULL : (struct stress *)&world;
}

static int end_stress(struct stress *s, struct stress_report *report)
{
	*report = (struct stress_report){.ops = 50, .moved = 20, .corrupt = 1};
	return world.stop_err;
}

/* ---- pages ---- */

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

static int free_block(struct page *page, unsigned order)
{
	world.frees += 1u << order;
	if (world.frees == world.used) {
		world.used = world.frees = 0;
		world.room++;
	} else if (world.damage) {
		world.words[0][511] ^= 1;
		world.damage = false;
	}
	return page->owner ? -EINVAL : 0;
}

static void *bytes_of(const struct page *page)
{
	return world.words[page - world.map];
}

static void dump(const struct memory *mem, pfn_t pfn, const char *why)
{
	world.dumps++;
	world.dumped = pfn;
}

static int drain_all(struct memory *mem, struct zone *zone)
{
	return 0;
}

static bool number(const char *word, u64 *value)
{
	return parse_u64(word, value) == 0;
}

static void no_progress(struct progress *p, const char *what, const char *hint, bool off)
{
	*p = (struct progress){.what = what};
}

static void no_row(struct progress *p)
{
}

static bool no_key(void)
{
	return false;
}

static struct monitor_state no_state;
#define monitor_state       no_state
#define monitor_key_cancels no_key
#define progress_begin      no_progress
#define progress_tick       no_row
#define progress_end        no_row
#define printk              judge_say
#define ktest_rand          judge_rand
#define thread_start        judge_start
#define thread_join         judge_join
#define thread_yield        judge_yield
#define kernel_memory       pretend
#define run_seed            6ULL
#define monitor_number      number
#define kmalloc             allocate
#define handle_table_init   init
#define handle_alloc        put_object
#define handle_free         drop_object
#define handle_verify       verify_object
#define handle_write        write_object
#define movable_owner_drain drain_owner
#define stress_start        begin_stress
#define stress_stop         end_stress
#define alloc_pages         get_block
#define free_pages          free_block
#define page_address        bytes_of
#define dump_page           dump
#define drain_all_pages     drain_all
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
	pretend.memmap = world.map;
	judge.stop = &load.stop;
}

static int say(int (*command)(unsigned n, char **arg), const char *word, const char *other)
{
	char first[20], second[16], *arg[] = {first, second};

	ksnprintf(first, sizeof(first), "%s", word);
	ksnprintf(second, sizeof(second), "%s", other);
	return command(!!*word + !!*other, arg);
}

KTEST_SUITE(judge_load, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- the load ---- */

KTEST(load_continues_with_the_objects_it_has)
{
	begin();
	world.handles = 70;
	judge.no_job = 2;
	say(cmd_load, "3", "");
	EXPECT_SAID(t, "load: 2 MiB in movable objects, and stress on all CPUs\n");
	EXPECT(t, load.thread[0] && !load.thread[1]);
	say(cmd_load, "", "");
	EXPECT_SAID(t, "load: ended: 50 operations, 25 objects moved, 1 damaged\n");
	begin();
	world.no_stress = true;
	world.corrupt = 3;
	EXPECT_EQ(t, say(cmd_load, "1024", ""), -ENOMEM);
	EXPECT_SAID(t, "load: 1024 MiB in movable objects, and no memory for the stress threads\n");
	say(cmd_load, "", "");
	EXPECT_SAID(t, "load: ended: 0 operations, 5 objects moved, 3 damaged\n");
	begin();
	world.corrupt = 3;
	world.stop_err = -EUCLEAN;
	say(cmd_load, "1", "");
	judge_clear();
	EXPECT_EQ(t, say(cmd_load, "", ""), -EUCLEAN);
	EXPECT_SAID(t, "load: ended: 50 operations, 25 objects moved, 4 damaged: FAIL\n");
	begin();
	world.no_memory = true;
	EXPECT_EQ(t, say(cmd_load, "1", ""), -ENOMEM);
	say(cmd_load, "", "");
	EXPECT_SAID(t, "load: no memory\nload: not running\n");
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

KTEST(a_burst_takes_all_pages_whatever_their_blocks)
{
	static const unsigned few[] = {37, 37};
	struct burst b = {.seed = 9};

	begin();
	burst_take(&b, 100);
	EXPECT(t, b.pages == 100 && world.used == 100 && world.allocs < 100 && !world.wrong);
	burst_give(&b);
	EXPECT(t, !b.damaged && !b.top && !world.used && !world.dumps);
	/* Only single pages can be allocated; then, there are too few pages. */
	begin();
	world.largest = 0;
	b = (struct burst){.seed = 9};
	burst_take(&b, 40);
	EXPECT(t, b.pages == 40 && world.used == 40);
	burst_give(&b);
	begin();
	world.room = few;
	b = (struct burst){.seed = 9};
	burst_take(&b, 40);
	EXPECT(t, b.pages == 37 && world.used == 37);
	burst_give(&b);
	EXPECT(t, !b.damaged && !world.used);
	burst_take(&b, 0);
	EXPECT(t, !b.top);
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

	begin();
	world.room = less;
	world.largest = 0;
	world.damage = true;
	EXPECT_EQ(t, say(cmd_burst, "2", "3"), -EUCLEAN);
	EXPECT_SAID(t, "burst: 3 rounds of 1 MiB used and freed, 1 page damaged\n");
}
