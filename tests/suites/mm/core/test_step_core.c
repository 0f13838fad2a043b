/* SPDX-License-Identifier: MIT */
/*
 * test_step_core.c: what other CPUs see between two stores to the limits of caches or to zonelists,
 * and while a pin is dropped; and a thread that moves while it drains its CPU. Hosted only.
 */
#include "mm/core/claim.h"
#include "tests/host/moment.h"
#include "tests/lib/mm_help.h"
#include "tests/lib/pager_help.h"
#include <quarry/contig.h>
#include <quarry/isolation.h>

#include "host.h"

KTEST_SUITE(step_core, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

static struct ktest *now;

/* ---- limits ---- */

#define PAGES (1ul << 16) /* 256 MiB: each order gets a limit, until some memory leaves */
#define PARTS 64u

static struct zone *limited;
static unsigned long most, stores; /* the most pages that all limits allowed; stores to the zone */

/* Look at the limits, if check_memory may stop this CPU here. */
static void look_at_limits(const void *to)
{
	unsigned long pages = 0;
	unsigned index, type;

	stores++;
	if (!arch_irqs_enabled())
		return;
	for (index = 0; index < NR_CACHED_ORDERS; index++)
		for (type = 0; type < NR_CACHED_TYPES; type++)
			pages += (unsigned long)limited->pcp_capacity[index][type]
			    << index_order(index);
	most = MAX(most, pages * limited->mem->nr_cpus);
}

static const struct watch limit_watch = {.store = look_at_limits};

static void limit_leaving(unsigned long leaving) NO_LOCK_ANALYSIS
{
	(void)WATCHED(&limit_watch, (zone_set_limits(limited, leaving), 0));
	look_at_limits(NULL);
}

/* Each amount of memory that is leaving comes after each other one. */
KTEST(limits_fit_into_the_zone_between_two_stores)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 2));
	unsigned long managed;
	unsigned from, to;

	limited = movable_zone(mem);
	managed = limited->managed;
	most = stores = 0;
	hotplug_lock(mem);
	limited->managed = PAGES;
	for (from = 0; from <= PARTS; from++) {
		for (to = 0; to <= PARTS; to++) {
			limit_leaving(PAGES * from / PARTS);
			limit_leaving(PAGES * to / PARTS);
		}
	}
	limited->managed = managed;
	limit_leaving(0);
	hotplug_unlock(mem);
	EXPECT(t, most > PAGES / 16 / 2);
	EXPECT(t, most <= PAGES / 16);
	expect_sound(t, mem);
}

/* ---- free pages that are lent ---- */

static long least; /* pages that a kernel request may take */

static void look_at_spare(const void *to)
{
	least = MIN(least, zone_spare(limited, GFP_KERNEL, false));
}

static const struct watch spare_watch = {.store = look_at_spare};

/* Lent pages go, come back, and are freed: the pages that are not lent never seem fewer. */
KTEST(lent_pages_that_move_make_no_request_fail)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS, 0));
	struct cma area;
	struct page *page;
	long spare;

	limited = test_zone(mem, ZONE_NORMAL);
	REQUIRE(t, cma_create(&area, "test", mem, BLOCK(2), BLOCK(2)) == 0);
	page = NEED(t, take_block(limited, 3, MT_CMA));
	spare = least = zone_spare(limited, GFP_KERNEL, false);
	EXPECT_EQ(t,
	    WATCHED(
	        &spare_watch, start_isolate_page_range(mem, BLOCK(2), BLOCK(1), ISO_PRECISE, NULL)),
	    0);
	(void)WATCHED(&spare_watch, (undo_isolate_page_range(mem, BLOCK(2), BLOCK(1)), 0));
	(void)WATCHED(&spare_watch, (give_block(limited, page), 0));
	EXPECT_EQ(t, least, spare);
	EXPECT_EQ(t, cma_destroy(&area), 0);
}

/* Any other CPU could make top differ from slot for a moment, and the owner would pop garbage. */
KTEST(no_other_cpu_stores_to_a_stack)
{
	limited = movable_zone(NEED(t, ktest_memory(t, 0, 0, 2)));
	stores = 0;
	EXPECT_EQ(t, WATCHED(&limit_watch, zone_alloc_slots(limited)), 0);
	EXPECT_EQ(t, stores, 0);
}

/* ---- zonelists ---- */

/* Only the memory's nodes and the spans of its zones are read. */
static struct memory listed;

/* A reader of one list, as alloc_from_zonelist reads it, a step at a time. */
struct reader {
	unsigned node, kind, at;
	u32 seen;
};
static struct reader readers[MAX_NODES * NR_ZONE_KINDS];
static u32 there[NR_ZONE_KINDS]; /* index: highest kind allowed; bits: zones that were there */
static u32 coming;               /* the zone that is being added */
static u64 rand_state;

static void read_on(struct reader *r)
{
	const struct node *node = &listed.nodes[r->node];

	if (r->at < node->nr_zones[r->kind]) {
		r->seen |= 1u << node->zonelist[r->kind][r->at++];
		return;
	}
	EXPECT_EQ(now, there[r->kind] & ~r->seen, 0);
	EXPECT_EQ(now, r->seen & ~(there[r->kind] | coming), 0);
	r->at = r->seen = 0;
}

/*
 * Let the readers read on, and read each list as a whole: every zone that was there must be found.
 */
static void look_at_lists(const void *to)
{
	struct reader whole;
	unsigned i, steps;

	for (i = 0; i < listed.nr_nodes * NR_ZONE_KINDS; i++) {
		for (steps = ktest_rand(&rand_state) % 3; steps; steps--)
			read_on(&readers[i]);
		whole = readers[i];
		whole.at = whole.seen = 0;
		do
			read_on(&whole);
		while (whole.at);
	}
}

static void begin_reading(void)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(readers); i++)
		readers[i] = (struct reader){.node = i / NR_ZONE_KINDS, .kind = i % NR_ZONE_KINDS};
}

static void add_zone(unsigned id)
{
	static const struct watch watch = {.store = look_at_lists};
	unsigned kind;

	begin_reading();
	listed.zones[id].start_pfn = id * PAGEBLOCK_PAGES;
	listed.zones[id].end_pfn = (id + 1) * PAGEBLOCK_PAGES;
	coming = 1u << id;
	(void)WATCHED(&watch, (memory_build_zonelists(&listed), 0));
	look_at_lists(NULL);
	for (kind = id % NR_ZONE_KINDS; kind < NR_ZONE_KINDS; kind++)
		there[kind] |= 1u << id;
	/* A reader that begins now sees the new zone. */
	begin_reading();
	look_at_lists(NULL);
}

static void set_nodes(unsigned nr)
{
	unsigned n, other;

	memset(&listed, 0, sizeof(listed));
	memset(there, 0, sizeof(there));
	listed.nr_nodes = nr;
	for (n = 0; n < nr; n++) {
		listed.nodes[n].id = (u8)n;
		listed.nodes[n].mem = &listed;
		for (other = 0; other < nr; other++)
			listed.nodes[n].distance[other] =
			    (u8)(n == other ? 10 : 11 + ktest_rand(&rand_state) % 8);
	}
	for (n = 0; n < nr * NR_ZONE_KINDS; n++) {
		listed.zones[n].id = (u8)n;
		listed.zones[n].node = (u8)(n / NR_ZONE_KINDS);
		listed.zones[n].kind = (u8)(n % NR_ZONE_KINDS);
	}
}

/* Zones are added one after the other, in any order, while each list is read. */
KTEST(zone_list_readers_miss_no_zone)
{
	unsigned round, i, left, pick, id[MAX_ZONES];

	now = t;
	rand_state = t->seed;
	for (round = 0; round < 20; round++) {
		set_nodes(MAX_NODES);
		for (i = 0; i < MAX_ZONES; i++)
			id[i] = i;
		for (left = MAX_ZONES; left; left--) {
			pick = (unsigned)(ktest_rand(&rand_state) % left);
			add_zone(id[pick]);
			id[pick] = id[left - 1];
		}
		for (i = 0; i < MAX_NODES; i++)
			EXPECT_EQ(t, listed.nodes[i].nr_zones[ZONE_MOVABLE], MAX_ZONES);
	}
}

/* ---- pins ---- */

static const struct page *pinned;
static unsigned pins; /* that the page must have at the next put */

static void look_at_pin(void)
{
	EXPECT_EQ(now, READ_ONCE(pinned->pincount), pins);
	EXPECT(now, !arch_irqs_enabled());
}

static struct page *pin(struct ktest *t, struct memory *mem, unsigned nr)
{
	struct page *page = mem_alloc_pages(mem, GFP_MOVABLE, 0);

	for (pins = 0; page && pins < nr; pins++)
		EXPECT_EQ(t, pin_page(page), 0);
	now = t;
	return (struct page *)(pinned = page);
}

/* check_memory, which stops each CPU where its interrupts are on, sees both dropped, or none. */
static void unpin(struct memory *mem, struct page *page)
{
	pins--;
	EXPECT_AT(now, (mem_unpin_page(mem, page), 0), 0, .point = "put.read", .act = look_at_pin);
}

/* The page's owner has another reference; interrupts stay as they were. */
KTEST(a_pin_and_its_reference_are_dropped_in_one_piece)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	struct page *page = NEED(t, pin(t, mem, 2));
	irqflags_t flags;

	unpin(mem, page);
	EXPECT(t, arch_irqs_enabled());
	flags = arch_irq_save();
	unpin(mem, page);
	EXPECT(t, !arch_irqs_enabled());
	arch_irq_restore(flags);
	EXPECT_EQ(t, page_word(page) & ~PAGE_PINNED, PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
}

/* The owner has released the page, so the last pin frees the page. */
KTEST(the_last_pin_frees_the_page)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	unsigned long free;
	struct page *page;

	drain_all_pages(mem, NULL);
	free = memory_free_pages(mem);
	page = NEED(t, pin(t, mem, 1));
	EXPECT_EQ(t, mem_put_page(mem, page), 0);
	EXPECT_EQ(t, word_ref(page_word(page)), 1);
	unpin(mem, page);
	EXPECT(t, arch_irqs_enabled());
	drain_all_pages(mem, NULL);
	EXPECT_EQ(t, memory_free_pages(mem), free);
}

/* ---- drains ---- */

/* This thread continues on @cpu. */
static void move_to(unsigned cpu)
{
	host_cpu_give();
	host_this.cpu = cpu;
	host_cpu_take();
}

static void move_on(void)
{
	move_to(1);
}

static void drain_and_move(void *arg)
{
	struct memory *mem = arg;

	EXPECT_AT(now, (drain_local_pages(mem, NULL), 0), 0, .lock = &mem->zones[ZONE_NORMAL].lock,
	    .step = LOCK_LEFT, .act = move_on);
	EXPECT(now, arch_cpu_id() == 1 && arch_irqs_enabled());
	move_to(0);
}

/* All that the thread's new CPU caches is drained, not only what the old one had left. */
KTEST(thread_that_moves_drains_all_of_its_new_cpu)
{
	static const gfp_t kinds[] = {GFP_DMA32, GFP_KERNEL};
	struct memory *mem;
	struct page *page;
	unsigned i;

	if (!ktest_needs_cpus(t, 2))
		return;
	mem = NEED(t, ktest_memory(t, CACHED_BLOCKS, CACHED_BLOCKS, CACHED_BLOCKS));
	now = t;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		EXPECT_EQ(t, alloc_on(1, mem, kinds[i], 0, 1, &page), 1);
		EXPECT_EQ(t, free_on(1, mem, 0, 1, &page), 1);
		EXPECT(t, pcp_zone_nonempty(mem, 1, &mem->zones[i]));
	}
	EXPECT_EQ(t, alloc_on(0, mem, GFP_KERNEL, 0, 1, &page), 1);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &page), 1);
	ktest_on_cpu(0, drain_and_move, mem);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		EXPECT(t, !pcp_zone_nonempty(mem, 1, &mem->zones[i]));
}
