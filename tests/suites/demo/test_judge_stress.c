/* SPDX-License-Identifier: MIT */
/*
 * test_judge_stress.c: the steps of a stress thread, one by one, in a simulated world: the calls of
 * each step, and the counts.
 */
#define stress_start judge_stress_start
#define stress_stop  judge_stress_stop
#define stress_ops   judge_stress_ops
#define stress_cpus  judge_stress_cpus
#include <quarry/handle.h>
#include <quarry/stress.h>

#include "tests/host/judge_handles.h"

#define PAGES   (4u << MAX_ORDER)
#define THREADS 3u

static struct {
	unsigned used;     /* pages that were given out, from the first on */
	unsigned room;     /* number of pages that exist */
	unsigned no_alloc; /* number of the kmalloc, from 1, that fails */
	unsigned allocs;
	bool refuses;     /* frees are refused */
	bool others_only; /* no thread can be started on a chosen CPU */
	int handle_err;
	struct page map[PAGES];
	u64 words[PAGES][PAGE_SIZE / 8];
} world;
static struct memory pretend;

static void *allocate(size_t bytes)
{
	return ++world.allocs == world.no_alloc ? NULL : kmalloc(bytes);
}

static struct page *get_block(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct page *page = &world.map[world.used];

	judge_note("[alloc %x %u]", gfp, order);
	if (world.used + (1u << order) > world.room)
		return NULL;
	page->word = order << PAGE_ORDER_SHIFT;
	world.used += 1u << order;
	return page;
}

static int free_block(struct memory *mem, struct page *page, unsigned order)
{
	judge_note("[free %u %u]", (unsigned)(page - world.map), order);
	return world.refuses ? -EINVAL : 0;
}

static void *bytes_of(const struct memory *mem, const struct page *page)
{
	return world.words[page - world.map];
}

static void dump(const struct memory *mem, pfn_t pfn, const char *why)
{
	judge_note("[dump %lu]", pfn);
}

static void init(struct handle_table *t, struct memory *mem, struct handle *handles, u32 nr)
{
	judge_note("[%u handles]", nr);
	*t = (struct handle_table){.mem = mem, .handles = handles, .nr = nr, .moved = 5};
}

static int put_object(struct handle_table *t, u32 h, unsigned order, gfp_t gfp, u64 seed)
{
	judge_note("[object %u of order %u, %s, seed %llu]", h, order,
	    gfp == GFP_NOWAIT ? "nowait"
	        : gfp         ? "?"
	                      : "waits",
	    (unsigned long long)seed);
	return world.handle_err;
}

static int drop_object(struct handle_table *t, u32 h)
{
	judge_note("[drop %u]", h);
	return 0;
}

static struct thread *start(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	if (cpu >= 0 && world.others_only)
		return NULL;
	return judge_start(name, cpu, fn, arg);
}

static void yield(void)
{
	judge_note("[yield]");
	judge_yield();
}

#define printk            judge_say
#define ktest_rand        judge_rand
#define thread_start      start
#define thread_join       judge_join
#define thread_yield      yield
#define thread_sleep      judge_sleep
#define kmalloc           allocate
#define mem_alloc_pages   get_block
#define mem_free_pages    free_block
#define page_address_in   bytes_of
#define dump_page         dump
#define handle_table_init init
#define handle_alloc      put_object
#define handle_free       drop_object
#include "demo/stress.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static struct stress load;
static struct stress_thread threads[THREADS];

static void begin(unsigned nr)
{
	unsigned i;

	judge_begin();
	memset(&world, 0, sizeof(world));
	memset(&load, 0, sizeof(load));
	memset(threads, 0, sizeof(threads));
	world.room = PAGES;
	pretend = (struct memory){.memmap = world.map, .backed = true, .nr_nodes = 1};
	load = (struct stress){
	    .mem = &pretend, .first = 2, .nr = nr, .budget = PAGES, .threads = threads};
	for (i = 0; i < THREADS; i++)
		threads[i] = (struct stress_thread){.s = &load, .cpu = i + 2, .index = i, .ops = 1};
}

/* ---- bare blocks ---- */

static void orders_halve_in_number(struct ktest *t)
{
	static const struct {
		u64 r;
		unsigned order;
	} draws[] = {
	    {0, 0}, {2, 0}, {1, 1}, {5, 1}, {3, 2}, {7, 3}, {~0ULL - 1, 0}, {~0ULL, MAX_ORDER}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(draws); i++) {
		u64 rand = draws[i].r;

		EXPECT_EQ(t, random_order(&rand), MIN(draws[i].order, (unsigned)MAX_ORDER));
	}
}

static void each_page_of_a_block_has_words_of_its_own(struct ktest *t)
{
	struct page *page;
	unsigned i;

	begin(2);
	page = get_block(&pretend, 0, 1);
	judge_clear();
	pattern_write(&pretend, page, 1, 77);
	EXPECT(t, page->index == 77 && pattern_intact(&pretend, page, 1));
	for (i = 0; i < 8; i++) {
		EXPECT(
		    t, world.words[0][65 * i] && world.words[0][65 * i] != world.words[1][65 * i]);
		world.words[i % 2][65 * i] ^= 1;
		EXPECT(t, !pattern_intact(&pretend, page, 1));
		world.words[i % 2][65 * i] ^= 1;
	}
	EXPECT_SAID(t, "[dump 0][dump 1][dump 0][dump 1][dump 0][dump 1][dump 0][dump 1]");
	/* Memory beyond the block is not checked; a block of another generation has other words. */
	EXPECT(t, pattern_intact(&pretend, page, 1) && !world.words[2][0]);
	page->index = 78;
	EXPECT(t, !pattern_intact(&pretend, page, 1));
	/* In a memory without bytes nothing is verified or written. */
	pretend.backed = false;
	EXPECT(t, pattern_intact(&pretend, page, 1));
	world.words[0][0] = 5;
	pattern_write(&pretend, page, 1, 79);
	EXPECT(t, page->index == 79 && world.words[0][0] == 5);
}

static void blocks_are_taken_within_the_budget(struct ktest *t)
{
	struct stress_thread *me = &threads[1];
	unsigned i;

	begin(2);
	me->rand = 3; /* draws order 2, then flags number 4 % 4 */
	load.budget = 4;
	bare_alloc(me, 5);
	EXPECT(t,
	    me->bare[5] == world.map && me->pages == 4 && me->generation == 1 &&
	        world.map->index == (1 << 8 | 1));
	me->rand = 0;
	bare_alloc(me, 6);
	EXPECT(t, !me->bare[6] && me->pages == 4 && !me->failed);
	load.budget = 5;
	me->rand = 0;
	bare_alloc(me, 6);
	EXPECT(t,
	    me->bare[6] == world.map + 4 && me->pages == 5 && world.map[4].index == (2 << 8 | 1));
	load.budget = PAGES;
	bare_alloc(me, 7);
	bare_alloc(me, 8);
	EXPECT_SAID(t, "[alloc 0 2][alloc 2 0][alloc 1a 0][alloc 2 0]");
	/* There are four kinds of requests. */
	load.budget = 2 * PAGES;
	for (i = 0; i < 4; i++) {
		me->rand = i;
		bare_alloc(me, 20 + i);
	}
	EXPECT_SAID(t, "[alloc 2 0][alloc 8 1][alloc 1a 0][alloc 0 2]");
	/* Each 64th request takes the next order in turn. */
	me->rand = 0;
	me->ops = 64 * (NR_ORDERS + 1);
	bare_alloc(me, 9);
	EXPECT_EQ(t, word_order(me->bare[9]->word), 1);
	me->ops = 64;
	world.room = 0;
	bare_alloc(me, 10);
	EXPECT(t, me->failed == 1 && !me->bare[10]);
}

static void blocks_are_freed_and_verified(struct ktest *t)
{
	struct stress_thread *me = &threads[0];

	begin(2);
	me->rand = 3;
	bare_alloc(me, 0);
	judge_clear();
	bare_free(me, me->bare[0]);
	EXPECT(t, me->frees == 1 && !me->corrupt);
	world.words[3][0]++;
	bare_free(me, me->bare[0]);
	EXPECT(t, me->frees == 2 && me->corrupt == 1);
	world.words[3][0]--;
	world.refuses = true;
	bare_free(me, me->bare[0]);
	EXPECT(t, me->frees == 3 && me->corrupt == 2);
	EXPECT_SAID(t, "[free 0 2][dump 3][free 0 2][free 0 2]");
}

/*
 * A thread hands a block to another thread, never to itself, and puts it into the first empty
 * place.
 */
static void blocks_are_handed_to_other_threads(struct ktest *t)
{
	struct stress_thread *me = &threads[1];
	struct page *page;
	unsigned i;

	begin(3);
	page = &world.map[1];
	me->rand = 0;
	EXPECT(t, give_away(me, page) && threads[2].inbox[0] == page);
	EXPECT(t, give_away(me, page + 1) && threads[0].inbox[0] == page + 1);
	EXPECT(t, give_away(me, page + 2) && threads[2].inbox[1] == page + 2);
	for (i = 0; i < INBOX_SLOTS; i++)
		threads[0].inbox[i] = page;
	EXPECT(t, !give_away(me, page));
	threads[0].inbox[INBOX_SLOTS - 1] = NULL;
	me->rand = 1;
	EXPECT(t,
	    give_away(me, page + 3) && threads[0].inbox[INBOX_SLOTS - 1] == page + 3 &&
	        threads[0].inbox[0] == page);
	EXPECT(t, !threads[1].inbox[0] && !threads[2].inbox[2]);
	pretend.backed = false;
	empty_inbox(&threads[2]);
	EXPECT(t,
	    threads[2].remote == 2 && threads[2].frees == 2 && !threads[2].inbox[0] &&
	        !threads[2].inbox[1]);
	empty_inbox(&threads[0]);
	EXPECT(t,
	    threads[0].remote == INBOX_SLOTS && threads[0].frees == INBOX_SLOTS &&
	        !threads[0].corrupt);
}

/* Three of ten blocks are freed by another thread. */
static void a_step_takes_or_gives_back_one_block(struct ktest *t)
{
	struct stress_thread *me = &threads[0];
	unsigned i;

	begin(2);
	me->rand = BARE_SLOTS + 7; /* slot 7; then order 0 */
	bare_op(me);
	EXPECT(t, me->bare[7] && me->pages == 1);
	me->rand = 7;
	bare_op(me);
	EXPECT(t,
	    !me->bare[7] && !me->pages && me->given == 1 && !me->frees &&
	        threads[1].inbox[0] == world.map);
	for (i = 1; i < 20; i++) {
		me->rand = BARE_SLOTS + 7;
		bare_op(me);
		me->rand = 7;
		bare_op(me);
		EXPECT_EQ(t, me->given + me->frees, i + 1);
		EXPECT(t, me->given * 10 <= (me->frees + me->given) * 3 + 10);
	}
	EXPECT(t, me->given == 7 || me->given == 6);
	/* If no place is free, the thread keeps the block. */
	for (i = 0; i < INBOX_SLOTS; i++)
		threads[1].inbox[i] = world.map;
	me->given = 3;
	me->frees = 7;
	me->rand = BARE_SLOTS + 7;
	bare_op(me);
	me->rand = 7;
	bare_op(me);
	EXPECT(t, me->bare[7] && me->pages == 1 && me->given == 3 && me->frees == 7);
	/*
	 * The thread frees the block itself if more than three of ten were given away, or if there
	 * is no other thread.
	 */
	me->frees = 6;
	me->rand = 7;
	bare_op(me);
	EXPECT(t, !me->bare[7] && me->frees == 7 && me->given == 3);
	load.nr = 1;
	me->given = me->frees = 0;
	me->rand = BARE_SLOTS + 7;
	bare_op(me);
	me->rand = 7;
	bare_op(me);
	EXPECT(t, me->frees == 1 && !me->given);
}

/* ---- objects ---- */

static void steps_with_objects_are_drawn(struct ktest *t)
{
	struct stress_thread *me = &threads[0];
	u64 r;

	begin(2);
	load.handles.nr = 5;
	for (r = 0; r < 8; r++) {
		me->rand = 2 * 256 + 16 * (r & 1) + r - 1; /* the second number drawn is one more */
		handle_op(me);
	}
	EXPECT_SAID(t,
	    "[object 1 of order 2, waits, seed 512][object 3 of order 2, nowait, seed "
	    "529][object 3 of order 2, waits, seed 514][drop 0][drop 0][verify "
	    "2][write 2 518][write 4 535]");
	EXPECT_EQ(t, me->failed, 0);
	world.handle_err = -ENOMEM;
	me->rand = 7;
	handle_op(me);
	world.handle_err = -EBUSY;
	me->rand = 7;
	handle_op(me);
	EXPECT_EQ(t, me->failed, 1);
}

/* ---- all of the stress ---- */

static void thread_yields_every_sixteenth_step(struct ktest *t)
{
	struct stress_thread *me = &threads[0];

	begin(2);
	load.handles.nr = 5;
	judge.quiet = true;
	judge.stop = &load.stop;
	judge.sleeps = 2;
	me->ops = 0;
	threads[0].inbox[3] = get_block(&pretend, 0, 0);
	stress_thread_fn(me);
	EXPECT(t, me->ops == 32 && me->remote == 1);
	begin(2);
	load.handles.nr = 5;
	load.pause = 9;
	load.budget = 0;
	judge.stop = &load.stop;
	judge.sleeps = 1;
	world.room = 0;
	me->ops = 15;
	me->rand = 2; /* an object, handle 3 */
	stress_thread_fn(me);
	EXPECT_SAID(t, "[drop 3][sleep 9]\n");
}

static void all_starts_and_ends(struct ktest *t)
{
	struct stress_report r;
	struct stress *s;
	unsigned i;

	begin(0);
	pretend.zones[0] = (struct zone){.kind = ZONE_NORMAL, .nr_free = 80};
	pretend.zones[1] = (struct zone){.kind = ZONE_DMA32, .nr_free = 16};
	pretend.zones[2] = (struct zone){.kind = ZONE_MOVABLE, .nr_free = 1000};
	s = NEED(t, stress_start(&pretend, 2, 3, 6));
	EXPECT_SAID(t, "[576 handles][stress on 2][stress on 3][stress on 4]");
	EXPECT(t, s->budget == 8 && !s->pause && stress_cpus(s) == 3);
	EXPECT(t, s->threads[0].rand == ((6 ^ 0x9e3779b97f4a7c15ULL) | 1));
	EXPECT(t,
	    s->threads[2].rand == ((6 ^ 3 * 0x9e3779b97f4a7c15ULL) | 1) &&
	        s->threads[2].index == 2);
	for (i = 0; i < 3; i++) {
		s->threads[i].ops = 100 + i;
		s->threads[i].failed = 10;
		s->threads[i].frees = 300 + i;
		s->threads[i].remote = 66 + i;
	}
	EXPECT(t,
	    stress_ops(s, 2) == 100 && stress_ops(s, 4) == 102 && !stress_ops(s, 1) &&
	        !stress_ops(s, 5));
	/* Blocks left at the end are verified and freed, but not counted. */
	s->threads[1].bare[BARE_SLOTS - 1] = get_block(&pretend, 0, 0);
	s->threads[2].inbox[INBOX_SLOTS - 1] = get_block(&pretend, 0, 0);
	pretend.backed = false;
	judge.quiet = true;
	EXPECT_EQ(t, stress_stop(s, &r), 0);
	EXPECT(t,
	    r.ops == 303 && r.failed == 30 && r.frees == 903 && r.frees_remote == 201 &&
	        !r.corrupt && r.moved == 5);
	EXPECT_EQ(t, world.used, 2);
	/* A thread that cannot start on its own CPU is started on any CPU. */
	begin(0);
	world.others_only = true;
	s = NEED(t, stress_start(&pretend, 2, 1, 6));
	EXPECT_SAID(t, "[192 handles][stress on -1]");
	EXPECT_EQ(t, stress_stop(s, &r), 0);
}

static void too_few_remote_frees_and_damage_are_errors(struct ktest *t)
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

		begin(0);
		judge.quiet = true;
		s = NEED(t, stress_start(&pretend, 0, ends[i].nr, 6));
		s->threads[0].frees = ends[i].frees;
		s->threads[0].remote = ends[i].remote;
		s->threads[0].corrupt = ends[i].corrupt;
		EXPECT_EQ(t, stress_stop(s, &r), ends[i].err);
	}
	for (i = 1; i <= 3; i++) {
		begin(0);
		world.no_alloc = i;
		EXPECT(t, !stress_start(&pretend, 0, 2, 6));
		EXPECT_SAID(t, "");
	}
	/* If the second of two threads does not start, the first one is stopped again. */
	begin(0);
	world.no_alloc = 0;
	judge.no_job = 2;
	world.others_only = true;
	EXPECT(t, !stress_start(&pretend, 0, 2, 6));
	EXPECT_EQ(t, judge_times("[stress joined]"), 1);
}

KTEST_SUITE(judge_stress, KTEST_QUICK | KTEST_MOSTLY_INSIDE, KTEST(orders_halve_in_number),
    KTEST(each_page_of_a_block_has_words_of_its_own), KTEST(blocks_are_taken_within_the_budget),
    KTEST(blocks_are_freed_and_verified), KTEST(blocks_are_handed_to_other_threads),
    KTEST(a_step_takes_or_gives_back_one_block), KTEST(steps_with_objects_are_drawn),
    KTEST(thread_yields_every_sixteenth_step), KTEST(all_starts_and_ends),
    KTEST(too_few_remote_frees_and_damage_are_errors));
