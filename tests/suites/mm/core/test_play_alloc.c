/* SPDX-License-Identifier: MIT */
/*
 * test_play_alloc.c: the slow path of an allocation with simulated callees: the requests that it
 * makes, their order, number and flags; and the number of pages that the bulk forms move with
 * interrupts off.
 */
#define OWN(name) judged_##name
#include "tests/host/page_alloc_names.h"
#define memory_build_zonelists judged_build_zonelists
#define alloc_from_zonelist    judged_alloc_from_zonelist
#include "tests/host/judge_help.h"
#include "tests/lib/mm_test.h"
#include <quarry/console.h>
#include <quarry/string.h>

static struct {
	bool bulk; /* pages come from the caches, and only sections with interrupts off are noted */
	unsigned node; /* node of this CPU */
	bool interrupt;
	unsigned looks, at; /* tries so far; number of the try that finds a page; 0: none */
	gfp_t gfp;          /* flags of all tries, or'ed */
	bool outside;       /* a call was made outside the allocation's own section */
	struct page page;
	struct zone *zone;
	unsigned long cached; /* cached pages at the beginning of a section */
} world;

static void note(const char *what)
{
	world.outside |= port_task()->in_alloc != 1;
	judge_note("%s%s", judge.len ? " " : "", what);
}

static struct page *look(struct zone *zone, gfp_t gfp, unsigned order, bool lower)
{
	char text[40];

	if (world.bulk)
		return pcp_alloc_zone(zone, gfp, order, lower);
	ksnprintf(text, sizeof(text), "look%u%s%s", zone->id, lower ? "-lower" : "",
	    gfp & GFP_ALL_RESERVE ? "-all" : "");
	note(text);
	world.gfp |= gfp;
	return ++world.looks == world.at ? &world.page : NULL;
}

static void wake(struct zone *zone)
{
	note("wake");
}

static void wish(struct memory *mem, gfp_t gfp, unsigned order)
{
	note("wish");
}

static struct page *waiting(struct memory *mem, gfp_t gfp, unsigned order)
{
	note("wait");
	world.gfp |= gfp;
	return ++world.looks == world.at ? &world.page : NULL;
}

static struct node *node_of_cpu(struct memory *mem, unsigned cpu)
{
	return &mem->nodes[world.node < mem->nr_nodes ? world.node : 0];
}

static void drain_own(struct memory *mem, struct zone *zone)
{
	note(zone ? "own drain of a zone" : "own-drain");
}

static irqflags_t section_begin(void)
{
	irqflags_t flags = arch_irq_save();

	if (world.zone)
		world.cached = zone_pcp_pages(world.zone);
	return flags;
}

static void section_end(irqflags_t flags)
{
	unsigned long cached = world.zone ? zone_pcp_pages(world.zone) : 0;

	if (world.bulk)
		judge_note("[%ld]", (long)(cached - world.cached));
	arch_irq_restore(flags);
}

/* Only the steps after the direct allocation are judged. */
static struct page *none_uncached(struct memory *mem, gfp_t gfp, unsigned order)
{
	return NULL;
}

#define alloc_uncached      none_uncached
#define pcp_alloc_zone      look
#define drain_local_pages   drain_own
#define memory_node         node_of_cpu
#define arch_in_interrupt() world.interrupt
#define arch_irq_save       section_begin
#define arch_irq_restore    section_end
#include "mm/core/zonelist.c"   /* NOLINT(bugprone-suspicious-include): the tested source */
#include "mm/core/page_alloc.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void begin(void)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
}

/* Returns true if the allocation gets world.page. */
static bool finds(struct memory *mem, gfp_t gfp, unsigned order)
{
	static const struct reclaim_ops ops = {.wait = waiting, .wish = wish, .wake = wake};
	const struct reclaim_ops *own = mem->reclaim;
	struct page *page;

	mem->reclaim = &ops;
	page = alloc_slow(mem, gfp, order);
	mem->reclaim = own;
	WRITE_ONCE(port_task()->reserve, 0);
	return page == &world.page;
}

/* ---- the order ---- */

struct request {
	gfp_t gfp;
	unsigned order;
	const char *says;
};

/* All steps of a request when nothing is found. */
static const struct request requests[] = {{GFP_KERNEL, 0, "look1 wait wish"},
    {GFP_KERNEL | GFP_NORETRY, 0, "look1 wait wish"}, {GFP_NOWAIT, 0, "look1 wish"},
    {GFP_NOWAIT, 1, "look1 own-drain look1 wish"},
    {GFP_ATOMIC, MAX_ORDER, "look1 own-drain look1 wish"},
    {GFP_KERNEL, 1, "look1 own-drain look1 wait wish"},
    {GFP_MOVABLE, 0, "look1-lower look1 wait wish"}};

static void ask(unsigned at)
{
	begin();
	world.at = at;
}

KTEST_SUITE(play_alloc, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* First, no try finds a page; then each try in turn finds a page, and no call follows it. */
KTEST(slow_path_takes_its_steps_until_a_page_is_found)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 1, 0));
	static char upto[JUDGE_TEXT];
	unsigned i, at, looks;
	const char *end;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		const struct request *q = &requests[i];

		ask(0);
		EXPECT(t, !finds(mem, q->gfp, q->order));
		EXPECT(t, !world.outside && port_task()->in_alloc == 0);
		EXPECT_SAID(t, q->says);
		looks = world.looks;
		for (at = 1, end = q->says; at <= looks; at++) {
			while (strncmp(end, "look", 4) != 0 && strncmp(end, "wait", 4) != 0)
				end++;
			while (*end && *end != ' ')
				end++;
			memcpy(upto, q->says, (size_t)(end - q->says));
			upto[end - q->says] = '\0';
			ask(at);
			EXPECT(t, finds(mem, q->gfp, q->order));
			EXPECT(t, !world.outside && port_task()->in_alloc == 0);
			EXPECT_SAID(t, upto);
		}
	}
}

/* In atomic context an allocation makes no call that waits. */
KTEST(atomic_allocation_waits_for_nothing)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 1, 0));
	struct spinlock lock = SPINLOCK("test", RANK_OBJECT);
	irqflags_t flags;

	begin();
	spin_lock(&lock);
	EXPECT(t, !finds(mem, GFP_KERNEL, 1));
	spin_unlock(&lock);
	EXPECT_SAID(t, "look1 own-drain look1 wish");
	begin();
	flags = arch_irq_save();
	EXPECT(t, !finds(mem, GFP_KERNEL, 0));
	arch_irq_restore(flags);
	EXPECT_SAID(t, "look1 wish");
	begin();
	EXPECT(t, !finds(mem, GFP_KERNEL, MAX_ORDER + 1));
	EXPECT_SAID(t, "");
}

KTEST(each_answer_is_counted)
{
	static const struct {
		gfp_t gfp;
		unsigned order, at;
		unsigned fail, atomic, local;
	} want[] = {{GFP_KERNEL, 0, 0, 1, 0, 0}, {GFP_KERNEL, 1, 0, 1, 0, 1},
	    {GFP_NOWAIT, 0, 0, 1, 1, 0}, {GFP_NOWAIT, 1, 0, 1, 1, 1}, {GFP_NOWAIT, 1, 2, 0, 0, 1},
	    {GFP_KERNEL, 0, 1, 0, 0, 0}, {GFP_KERNEL, 0, 2, 0, 0, 0}};
	static const enum mm_event events[] = {
	    EV_ALLOC_SLOW, EV_ALLOC_FAIL, EV_ALLOC_ATOMIC_FAIL, EV_ALLOC_DRAIN_LOCAL};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 1, 0));
	u64 before[ARRAY_SIZE(events)];
	unsigned i, e;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		const unsigned counts[] = {1, want[i].fail, want[i].atomic, want[i].local};

		begin();
		world.at = want[i].at;
		for (e = 0; e < ARRAY_SIZE(events); e++)
			before[e] = mm_event_sum(mem, events[e]);
		EXPECT_EQ(t, finds(mem, want[i].gfp, want[i].order), want[i].at > 0);
		for (e = 0; e < ARRAY_SIZE(events); e++)
			EXPECT_EQ(t, mm_event_sum(mem, events[e]) - before[e], counts[e]);
	}
}

/* ---- zones and flags ---- */

KTEST(only_the_dying_thread_itself_gets_the_reserve)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 1, 0));

	begin();
	WRITE_ONCE(port_task()->reserve, 1);
	EXPECT(t, !finds(mem, GFP_NOWAIT, 0));
	EXPECT_SAID(t, "look1-all");
	begin();
	world.interrupt = true;
	WRITE_ONCE(port_task()->reserve, 1);
	EXPECT(t, !finds(mem, GFP_NOWAIT, 0));
	EXPECT_SAID(t, "look1 wish");
	begin();
	EXPECT(t, !finds(mem, GFP_ATOMIC, 0));
	EXPECT_SAID(t, "look1 wish");
	EXPECT_EQ(t, world.gfp, GFP_ATOMIC);
}

static void expect_looks(
    struct ktest *t, struct memory *mem, gfp_t gfp, unsigned node, const char *want)
{
	begin();
	world.node = node;
	EXPECT(t, !finds(mem, gfp | GFP_NOWAIT, 0));
	EXPECT_SAID(t, want);
}

KTEST(zones_are_tried_from_the_own_node_on)
{
	static const struct zone_spec specs[] = {
	    {0, ZONE_NORMAL, 1}, {0, ZONE_MOVABLE, 1}, {1, ZONE_NORMAL, 1}, {1, ZONE_MOVABLE, 1}};
	struct memory *mem = NEED(t, build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs)));

	expect_looks(t, mem, GFP_MOVABLE, 0, "look2 look1-lower look5 look4-lower wish");
	expect_looks(t, mem, GFP_MOVABLE, 1, "look5 look4-lower look2 look1-lower wish");
	expect_looks(t, mem, GFP_KERNEL, 1, "look4 look1 wish");
	expect_looks(t, mem, GFP_MOVABLE | GFP_THISNODE, 1, "look5 look4-lower wish");
	expect_looks(t, mem, GFP_KERNEL | GFP_THISNODE, 0, "look1 wish");
	expect_looks(t, mem, GFP_DMA32, 0, "wish");
	/* The CPU is on a node that the memory does not have. */
	expect_looks(t, mem, GFP_KERNEL, 2, "look1 look4 wish");
	expect_looks(t, mem, GFP_KERNEL, MAX_NODES, "look1 look4 wish");
	drop_memory(t, mem);
}

/* An allocation wakes the thread of each zone that it tried and that is below its low watermark. */
KTEST(zone_below_low_wakes_its_reclaim_thread)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 1, 1));
	struct zone *normal, *movable;

	normal = &mem->zones[ZONE_NORMAL];
	movable = &mem->zones[ZONE_MOVABLE];
	movable->wmark[WMARK_LOW] = movable->nr_free + 1;
	expect_looks(t, mem, GFP_MOVABLE, 0, "look2 wake look1-lower wish");
	normal->wmark[WMARK_LOW] = normal->nr_free + 1;
	movable->wmark[WMARK_LOW] = movable->nr_free;
	normal->futile = 1;
	expect_looks(t, mem, GFP_MOVABLE, 0, "look2 look1-lower wake wish");
	begin();
	world.at = 2;
	EXPECT(t, finds(mem, GFP_MOVABLE | GFP_NOWAIT, 0));
	EXPECT_SAID(t, "look2 look1-lower wake");
	begin();
	world.at = 1;
	EXPECT(t, finds(mem, GFP_MOVABLE | GFP_NOWAIT, 0));
	EXPECT_SAID(t, "look2");
	normal->futile = 0;
	zone_set_watermarks(normal);
	zone_set_watermarks(movable);
}

/* ---- with interrupts off ---- */

#define FULL 128u

static void move_in_bulk(void *arg)
{
	static struct page *pages[FULL];
	struct ktest *t = arg;
	unsigned i;

	for (i = 0; i < FULL; i++) {
		pages[i] = take_block(world.zone, 0, MT_MOVABLE);
		REQUIRE(t, pages[i]);
	}
	EXPECT_EQ(t, mem_free_pages_bulk(t->mem, FULL, pages), 0);
	EXPECT_SAID(t, "[64][64]");
	EXPECT_EQ(t, mem_alloc_pages_bulk(t->mem, GFP_MOVABLE, FULL, pages), FULL);
	EXPECT_SAID(t, "[-64][-64]");
	EXPECT_EQ(t, mem_free_pages_bulk(t->mem, 65, pages), 0);
	EXPECT_SAID(t, "[64][1]");
	EXPECT_EQ(t, mem_alloc_pages_bulk(t->mem, GFP_MOVABLE, 63, pages), 63);
	EXPECT_SAID(t, "[-63]");
	/* The two pages in between are still in the cache. */
	memmove(pages + 63, pages + 65, 63 * sizeof(pages[0]));
	EXPECT_EQ(t, mem_free_pages_bulk(t->mem, FULL - 2, pages), 0);
	EXPECT_SAID(t, "[64][62]");
	EXPECT_EQ(t, zone_pcp_pages(world.zone), FULL);
	EXPECT(t, arch_irqs_enabled());
}

/*
 * Take a page from the cache and free it into the cache; then, a block of an order that is not
 * cached.
 */
static void move_one(void *arg)
{
	struct ktest *t = arg;
	struct page *page = mem_alloc_pages(t->mem, GFP_MOVABLE, 0);

	REQUIRE(t, page);
	EXPECT_SAID(t, "[-1]");
	EXPECT_EQ(t, mem_free_pages(t->mem, page, 0), 0);
	EXPECT_SAID(t, "[1]");
	page = mem_alloc_pages(t->mem, GFP_MOVABLE, 1);
	REQUIRE(t, page);
	EXPECT_SAID(t, "[0]");
	EXPECT_EQ(t, mem_free_pages(t->mem, page, 1), 0);
	EXPECT_SAID(t, "[0]");
	EXPECT_EQ(t, zone_pcp_pages(world.zone), FULL);
}

/* A CPU takes interrupts after each batch, however many pages a bulk call moves. */
KTEST_COST(bulk_allocation_enables_interrupts_between_batches)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, CACHED_BLOCKS));

	begin();
	world.bulk = true;
	world.zone = &mem->zones[ZONE_MOVABLE];
	memset(world.zone->pcp_capacity, 0, sizeof(world.zone->pcp_capacity));
	world.zone->pcp_capacity[0][MT_MOVABLE] = FULL;
	pcp_refresh_all(mem);
	ktest_on_cpu(0, move_in_bulk, t);
	ktest_on_cpu(0, move_one, t);
	set_limits(world.zone, 0);
	pcp_refresh_all(mem);
	world.zone = NULL;
}
