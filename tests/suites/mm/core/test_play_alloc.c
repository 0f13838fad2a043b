/* SPDX-License-Identifier: MIT */
/*
 * test_play_alloc.c: the slow path of an allocation, in memory without free pages: the zones that
 * it tries and the requests that it makes, in order; and the number of pages that the bulk forms
 * move with interrupts off. Hosted only.
 */
#include "tests/host/judge_help.h"
#include "tests/host/moment.h"
#include "tests/lib/mm_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/console.h>
#include <quarry/string.h>

/*
 * Each zone is below its low watermark, so whoever tries it wakes its reclaim thread: "2" is a try
 * of zone 2.  The pages of zone NORMAL come just after step @at; 0: none comes.
 */
static struct {
	struct memory *mem;
	struct zone *normal;
	unsigned at, steps;
	bool outside;      /* a step was made outside the allocation's own section */
	struct pile taken; /* of zone NORMAL */
	struct pile others;
} world;

static void step(const char *what)
{
	world.outside |= port_task()->in_alloc != 1;
	judge_note("%s%s", judge.len ? " " : "", what);
	if (++world.steps == world.at && strcmp(what, "wait") != 0)
		give_pages(world.normal, &world.taken);
}

static void wake(struct zone *zone)
{
	char text[8];

	ksnprintf(text, sizeof(text), "%u", zone->id);
	step(text);
}

static void wish(struct memory *mem, gfp_t gfp, unsigned order)
{
	step("wish");
}

static struct page *waiting(struct memory *mem, gfp_t gfp, unsigned order)
{
	step("wait");
	return world.steps == world.at ? pile_pop(&world.taken) : NULL;
}

static void at_point(const char *name)
{
	if (!strcmp(name, "drain.handler"))
		step("drain");
}

static const struct watch drains = {.point = at_point};

static void take_again(struct ktest *t)
{
	EXPECT(t, take_pages(world.normal, world.normal->nr_free, &world.taken));
}

/* The memory of the test has no free page. */
static bool begin(struct ktest *t, struct memory *mem)
{
	static const struct reclaim_ops ops = {.wait = waiting, .wish = wish, .wake = wake};
	struct zone *zone;

	world.mem = mem;
	if (!mem)
		return false;
	world.normal = &mem->zones[ZONE_NORMAL];
	all_caches_off(t, mem);
	reclaim_stop(mem);
	mem->reclaim = &ops;
	for_each_zone(mem, zone) {
		EXPECT(t,
		    take_pages(
		        zone, zone->nr_free, zone == world.normal ? &world.taken : &world.others));
		zone->wmark[WMARK_MIN] = zone->reserve = 0;
		zone->wmark[WMARK_LOW] = zone->wmark[WMARK_HIGH] = 1UL << 30;
	}
	return true;
}

static void end(struct ktest *t)
{
	struct memory *mem = world.mem;
	struct zone *zone;

	give_pages(world.normal, &world.taken);
	while (world.others.top) {
		struct page *page = pile_pop(&world.others);

		give_block(zone_of(mem, page_to_pfn_in(mem, page)), page);
	}
	for_each_zone(mem, zone) {
		zone_set_watermarks(zone);
		if (zone->managed)
			EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	}
	mem->reclaim = &memory_reclaim;
	EXPECT_EQ(t, reclaim_start(mem), 0);
}

static struct page *allocate(gfp_t gfp, unsigned order)
{
	judge_begin();
	world.steps = 0;
	world.outside = false;
	return WATCHED(&drains, mem_alloc_pages(world.mem, gfp, order));
}

/* An allocation that finds nothing takes the steps @want. */
static void expect_none(struct ktest *t, gfp_t gfp, unsigned order, const char *want)
{
	EXPECT(t, !allocate(gfp, order));
	EXPECT(t, !world.outside && port_task()->in_alloc == 0);
	EXPECT_SAID(t, want);
}

KTEST_SUITE(play_alloc, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* All steps of a request when nothing is found: it tries zone NORMAL, waits, and wishes. */
KTEST(slow_path_takes_its_steps_until_a_page_is_found)
{
	static const struct {
		gfp_t gfp;
		unsigned order, local;
		const char *says;
	} rows[] = {{GFP_KERNEL, 0, 0, "1 wait wish"},
	    {GFP_KERNEL | GFP_NORETRY, 0, 0, "1 wait wish"}, {GFP_NOWAIT, 0, 0, "1 wish"},
	    {GFP_NOWAIT, 1, 1, "1 drain 1 wish"}, {GFP_ATOMIC, MAX_ORDER, 1, "1 drain 1 wish"},
	    {GFP_KERNEL, 1, 1, "1 drain 1 wait wish"}, {GFP_MOVABLE, 0, 0, "1 wait wish"}};
	static const enum mm_event events[] = {
	    EV_ALLOC_SLOW, EV_ALLOC_FAIL, EV_ALLOC_ATOMIC_FAIL, EV_ALLOC_DRAIN_LOCAL};
	u64 before[ARRAY_SIZE(events)];
	unsigned i, e;

	REQUIRE(t, begin(t, ktest_memory(t, 0, 1, 0)));
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const unsigned counts[] = {1, 1, (rows[i].gfp & GFP_NOWAIT) != 0, rows[i].local};

		for (e = 0; e < ARRAY_SIZE(events); e++)
			before[e] = mm_event_sum(world.mem, events[e]);
		expect_none(t, rows[i].gfp, rows[i].order, rows[i].says);
		for (e = 0; e < ARRAY_SIZE(events); e++)
			EXPECT_EQ(t, mm_event_sum(world.mem, events[e]) - before[e], counts[e]);
	}
	end(t);
}

/* No step follows the try that finds a page; what it finds is no failure. */
KTEST(nothing_is_asked_for_once_there_is_a_page)
{
	static const struct {
		gfp_t gfp;
		unsigned order, at;
		const char *says;
	} rows[] = {{GFP_KERNEL, 0, 0, "1"}, {GFP_KERNEL, 0, 2, "1 wait"},
	    {GFP_MOVABLE, 0, 2, "1 wait"}, {GFP_NOWAIT, 1, 1, "1 drain 1"},
	    {GFP_NOWAIT, 1, 2, "1 drain 1"}, {GFP_KERNEL, 1, 4, "1 drain 1 wait"}};
	struct page *page;
	unsigned i;

	REQUIRE(t, begin(t, ktest_memory(t, 0, 1, 0)));
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!rows[i].at)
			give_pages(world.normal, &world.taken);
		world.at = rows[i].at;
		page = allocate(rows[i].gfp, rows[i].order);
		world.at = 0;
		EXPECT(t, page && !world.outside && port_task()->in_alloc == 0);
		EXPECT_SAID(t, rows[i].says);
		if (page)
			give_block(world.normal, page);
		take_again(t);
	}
	EXPECT_EQ(t, mm_event_sum(world.mem, EV_ALLOC_FAIL), 0);
	end(t);
}

/* In atomic context an allocation makes no call that waits. */
KTEST(atomic_allocation_waits_for_nothing)
{
	struct spinlock lock = SPINLOCK("test", RANK_OBJECT);
	irqflags_t flags;

	REQUIRE(t, begin(t, ktest_memory(t, 0, 1, 0)));
	spin_lock(&lock);
	expect_none(t, GFP_KERNEL, 1, "1 drain 1 wish");
	spin_unlock(&lock);
	flags = arch_irq_save();
	expect_none(t, GFP_KERNEL, 0, "1 wish");
	arch_irq_restore(flags);
	expect_none(t, GFP_KERNEL, MAX_ORDER + 1, "");
	end(t);
}

/* ---- zones and flags ---- */

static struct page *got;

static void use_reserve(void *arg)
{
	WRITE_ONCE(port_task()->reserve, 1);
	got = mem_alloc_pages(world.mem, GFP_NOWAIT, 0);
	WRITE_ONCE(port_task()->reserve, 0);
}

/* All pages are below the watermark; an interrupt of the dying thread may not have them. */
KTEST(only_the_dying_thread_itself_gets_the_reserve)
{
	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, begin(t, ktest_memory(t, 0, 1, 0)));
	judge_begin();
	/* Nor does the thread wish for memory. */
	use_reserve(NULL);
	EXPECT(t, !got);
	EXPECT_SAID(t, "1");
	world.normal->wmark[WMARK_MIN] = 1UL << 29;
	give_pages(world.normal, &world.taken);
	EXPECT_EQ(t, call_cpu(1, use_reserve, NULL), 1);
	EXPECT(t, !got);
	EXPECT_SAID(t, "1 wish");
	EXPECT(t, !mem_alloc_pages(world.mem, GFP_ATOMIC, 0));
	EXPECT_SAID(t, "1 wish");
	use_reserve(NULL);
	EXPECT(t, got);
	EXPECT_SAID(t, "1");
	if (got)
		give_block(world.normal, got);
	end(t);
}

KTEST(zones_are_tried_from_the_own_node_on)
{
	static const struct zone_spec specs[] = {
	    {0, ZONE_NORMAL, 1}, {0, ZONE_MOVABLE, 1}, {1, ZONE_NORMAL, 1}, {1, ZONE_MOVABLE, 1}};
	static const struct {
		gfp_t gfp;
		unsigned node;
		const char *says;
	} rows[] = {{GFP_MOVABLE, 0, "2 1 5 4 wish"}, {GFP_MOVABLE, 1, "5 4 2 1 wish"},
	    {GFP_KERNEL, 1, "4 1 wish"}, {GFP_MOVABLE | GFP_THISNODE, 1, "5 4 wish"},
	    {GFP_KERNEL | GFP_THISNODE, 0, "1 wish"}, {GFP_DMA32, 0, "wish"},
	    /* The CPU is on a node that the memory does not have. */
	    {GFP_KERNEL, 2, "1 4 wish"}, {GFP_KERNEL, MAX_NODES, "1 4 wish"}};
	unsigned i, cpu = arch_cpu_id(), node = host_cpu_nodes[cpu];

	REQUIRE(t, begin(t, build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs))));
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		host_cpu_nodes[cpu] = rows[i].node;
		expect_none(t, rows[i].gfp | GFP_NOWAIT, 0, rows[i].says);
	}
	host_cpu_nodes[cpu] = node;
	end(t);
	drop_memory(t, world.mem);
}

/* A zone's thread is woken, too, if the zone was futile and has enough again. */
KTEST(zone_below_low_wakes_its_reclaim_thread)
{
	struct zone *zone;

	REQUIRE(t, begin(t, ktest_memory(t, 0, 1, 1)));
	for_each_zone(world.mem, zone)
		zone->wmark[WMARK_LOW] = 0;
	expect_none(t, GFP_MOVABLE | GFP_NOWAIT, 0, "wish");
	world.mem->zones[ZONE_NORMAL].futile = 1;
	expect_none(t, GFP_MOVABLE | GFP_NOWAIT, 0, "1 wish");
	world.mem->zones[ZONE_NORMAL].futile = 0;
	end(t);
}

/* ---- with interrupts off ---- */

#define FULL 128u

static struct zone *moving;
static long began; /* cached pages when interrupts went off */

static void note_pages(void)
{
	long cached = (long)zone_pcp_pages(moving);

	if (cached != began)
		judge_note("[%ld]", cached - began);
	began = cached;
}

/* At the first store with interrupts off since they were on, note the pages moved before. */
static void note_section(const void *to)
{
	u32 *want = &host_attention[arch_cpu_id()].want;

	if (arch_irqs_enabled() || READ_ONCE(*want) & HOST_WANT_CALL)
		return;
	note_pages();
	/* Taken, and so cleared, when interrupts are enabled. */
	atomic_or(want, HOST_WANT_CALL);
}

static const struct watch sections = {.store = note_section};

/* @call returns @result, and each section with interrupts off moves as many pages as @want says. */
#define MOVES(t, call, result, want)                                                               \
	do {                                                                                       \
		judge_begin();                                                                     \
		began = (long)zone_pcp_pages(moving);                                              \
		EXPECT_EQ(t, WATCHED(&sections, call), result);                                    \
		note_pages();                                                                      \
		EXPECT_SAID(t, want);                                                              \
	} while (0)

static void move_in_bulk(void *arg)
{
	static struct page *pages[FULL];
	struct ktest *t = arg;
	unsigned i;

	for (i = 0; i < FULL; i++)
		pages[i] = NEED(t, take_block(moving, 0, MT_MOVABLE));
	MOVES(t, mem_free_pages_bulk(t->mem, FULL, pages), 0, "[64][64]");
	MOVES(t, mem_alloc_pages_bulk(t->mem, GFP_MOVABLE, FULL, pages), FULL, "[-64][-64]");
	MOVES(t, mem_free_pages_bulk(t->mem, 65, pages), 0, "[64][1]");
	MOVES(t, mem_alloc_pages_bulk(t->mem, GFP_MOVABLE, 63, pages), 63, "[-63]");
	/* The two pages in between are still in the cache. */
	memmove(pages + 63, pages + 65, 63 * sizeof(pages[0]));
	MOVES(t, mem_free_pages_bulk(t->mem, FULL - 2, pages), 0, "[64][62]");
	EXPECT(t, arch_irqs_enabled());
}

/* A CPU takes interrupts after each batch, however many pages a bulk call moves. */
KTEST_COST(bulk_allocation_enables_interrupts_between_batches)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, CACHED_BLOCKS));

	moving = &mem->zones[ZONE_MOVABLE];
	set_plan(moving, 0, MT_MOVABLE, FULL);
	ktest_on_cpu(0, move_in_bulk, t);
	restore_plan(moving);
}
