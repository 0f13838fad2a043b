/* SPDX-License-Identifier: MIT */
/*
 * test_poison_states.c: a page in each state is soft-offlined, hit by a failure, and unpoisoned:
 * the result, and the state afterwards. test_poison_vm.c has pages of memory objects.
 *
 * Each line of STATES is a test, named in the line's first column. docs/mm/poison.md has the same
 * lines as a table, and `make lint' compares them.
 */
#include "tests/lib/poison_help.h"
#include <quarry/handle.h>
#include <quarry/memory_hotplug.h>

static struct handle handles[2];
static struct handle_table table;

static struct zone *zone_of_kind(struct stand *s, enum zone_kind kind)
{
	return &s->mem->zones[kind];
}

static void at(struct stand *s, const struct page *page)
{
	s->page = (struct page *)page;
	s->pfn = page_to_pfn_in(s->mem, page);
}

/* ---- free ---- */

static bool make_free_page(struct stand *s)
{
	struct page *page = take_block(zone_of_kind(s, ZONE_MOVABLE), 0, MT_MOVABLE);

	/* Its buddy stays allocated, so the page is a block of its own. */
	s->other[0] = take_block(zone_of_kind(s, ZONE_MOVABLE), 0, MT_MOVABLE);
	at(s, page);
	give_block(zone_of_kind(s, ZONE_MOVABLE), page);
	return free_order_at(s->mem, s->pfn) == 0;
}

static bool make_inside_a_free_block(struct stand *s)
{
	s->pfn = zone_of_kind(s, ZONE_MOVABLE)->start_pfn + PAGEBLOCK_PAGES / 2 + 1;
	return page_word(pfn_to_page_in(s->mem, s->pfn)) == 0;
}

static bool make_isolated_block(struct stand *s)
{
	s->pfn = zone_of_kind(s, ZONE_MOVABLE)->start_pfn + 3;
	s->block = ALIGN_DOWN(s->pfn, PAGEBLOCK_PAGES);
	set_isolated(zone_of(s->mem, s->pfn), s->block, true);
	return true;
}

static void release_block(struct stand *s)
{
	set_isolated(zone_of(s->mem, s->pfn), s->block, false);
}

/* Runs on the CPU that is to cache the page. */
static void alloc_and_free(void *arg)
{
	struct stand *s = arg;
	struct page *page = mem_alloc_pages(s->mem, GFP_MOVABLE, s->order);

	if (page) {
		at(s, page);
		mem_free_pages(s->mem, page, s->order);
	}
}

static bool cache_on(struct stand *s, unsigned cpu, unsigned order)
{
	s->order = order;
	ktest_on_cpu(cpu, alloc_and_free, s);
	return s->page && word_state(page_word(s->page)) == PG_PCP;
}

static bool make_in_a_cache(struct stand *s)
{
	return cache_on(s, 0, 0);
}

static bool make_in_another_cpus_cache(struct stand *s)
{
	return cache_on(s, ktest_cpus() - 1, 0);
}

static bool make_in_a_cached_block(struct stand *s)
{
	struct zone *zone = zone_of_kind(s, ZONE_MOVABLE);

	/* The zone is small, so its own limits allow no stack of order 2. */
	memset(zone->pcp_capacity, 0, sizeof(zone->pcp_capacity));
	zone->pcp_capacity[order_index(2)][MT_MOVABLE] = 1;
	pcp_refresh_all(s->mem);
	if (!cache_on(s, ktest_cpus() - 1, 2))
		return false;
	s->pfn += 1;
	return true;
}

static void plan(struct stand *s, struct zone *zone)
{
	set_limits(zone, 0);
	pcp_refresh_all(s->mem);
}

static void plan_anew(struct stand *s)
{
	plan(s, zone_of_kind(s, ZONE_MOVABLE));
}

/* ---- in use, and not movable ---- */

static bool allocate(struct stand *s, unsigned order)
{
	struct page *page = mem_alloc_pages(s->mem, GFP_KERNEL, order);

	if (page)
		at(s, page);
	return page;
}

static void free_it(struct stand *s)
{
	EXPECT_EQ(s->t, mem_free_pages(s->mem, s->page, word_order(page_word(s->page))), 0);
}

static bool make_kernel_page(struct stand *s)
{
	return allocate(s, 0);
}

static bool make_head_of_a_block(struct stand *s)
{
	return allocate(s, 3);
}

static bool make_tail_of_a_block(struct stand *s)
{
	bool good = allocate(s, 3);

	s->pfn += 5;
	return good;
}

static bool make_tail_of_a_largest_block(struct stand *s)
{
	bool good = allocate(s, MAX_ORDER);

	s->pfn += PAGEBLOCK_PAGES - 1;
	return good;
}

static bool make_slab_page(struct stand *s)
{
	if (!allocate(s, 0))
		return false;
	page_cas_state(s->page, PG_ALLOC, PG_SLAB);
	return true;
}

static void free_slab(struct stand *s)
{
	page_cas_state(s->page, PG_SLAB, PG_ALLOC);
	free_it(s);
}

static bool make_page_table(struct stand *s)
{
	if (!allocate(s, 0))
		return false;
	page_cas_state(s->page, PG_ALLOC, PG_PGTABLE);
	return true;
}

static void free_table(struct stand *s)
{
	page_cas_state(s->page, PG_PGTABLE, PG_ALLOC);
	free_it(s);
}

static bool make_once_pinned_page(struct stand *s)
{
	if (!allocate(s, 0) || pin_page(s->page))
		return false;
	mem_unpin_page(s->mem, s->page);
	return true;
}

/* Make a block reserved, as at boot: the allocator never had it. */
static bool make_reserved(struct stand *s)
{
	struct zone *zone = zone_of_kind(s, ZONE_NORMAL);

	at(s, take_block(zone, 2, MT_MOVABLE));
	WRITE_ONCE(s->page->word, PAGE_WORD(1, PG_RESERVED, 2));
	zone->managed -= 4;
	zone_set_watermarks(zone);
	plan(s, zone);
	s->pfn += 2;
	return true;
}

static void give_to_the_allocator(struct stand *s)
{
	struct zone *zone = zone_of(s->mem, s->pfn);

	zone->managed += 4;
	zone_set_watermarks(zone);
	plan(s, zone);
	WRITE_ONCE(s->page->word, PAGE_WORD(1, PG_ALLOC, 2) | (page_word(s->page) & PAGE_POISON));
	free_it(s);
}

/* ---- movable through their owner ---- */

static bool hold(struct stand *s, unsigned order)
{
	handle_table_init(&table, s->mem, handles, ARRAY_SIZE(handles));
	if (handle_alloc(&table, 0, order, GFP_MOVABLE, 1))
		return false;
	s->pfn = handle_pfn(&table, 0);
	return true;
}

static void drop(struct stand *s)
{
	EXPECT_EQ(s->t, handle_verify(&table, 0), 0);
	EXPECT_EQ(s->t, handle_free(&table, 0), 0);
	EXPECT_EQ(s->t, table.corrupt, 0);
	movable_owner_drain(&table.owner);
}

static bool make_movable_page(struct stand *s)
{
	return hold(s, 0);
}

/* Make a page in the state of a page that the balloon has lent. */
static bool make_balloon_page(struct stand *s)
{
	static struct movable_ops lent;

	handle_table_init(&table, s->mem, handles, ARRAY_SIZE(handles));
	lent = *table.owner.ops;
	lent.balloon = true;
	table.owner.ops = &lent;
	if (handle_alloc(&table, 0, 0, GFP_MOVABLE, 1))
		return false;
	s->pfn = handle_pfn(&table, 0);
	return word_state(page_word(pfn_to_page_in(s->mem, s->pfn))) == PG_BALLOON;
}

static bool make_tail_of_a_movable_block(struct stand *s)
{
	bool good = hold(s, 2);

	s->pfn += 3;
	return good;
}

static bool make_pinned_movable_page(struct stand *s)
{
	return hold(s, 0) && handle_pin(&table, 0) == 0;
}

static void unpin_and_drop(struct stand *s)
{
	EXPECT_EQ(s->t, handle_unpin(&table, 0), 0);
	drop(s);
}

/* A migrator holds the page and never returns it. */
static bool make_movable_page_taken_for_long(struct stand *s)
{
	return hold(s, 0) && isolate_movable_page(s->mem, s->pfn) == 0;
}

static void put_back_and_drop(struct stand *s)
{
	putback_movable_page(s->mem, pfn_to_page_in(s->mem, s->pfn));
	drop(s);
}

/* ---- not online ---- */

static bool make_offline(struct stand *s)
{
	s->block = zone_of_kind(s, ZONE_MOVABLE)->start_pfn;
	s->pfn = s->block + 2;
	return offline_pages(s->mem, s->block, PAGEBLOCK_PAGES, NULL, NULL) == 0;
}

static bool make_first_page_offline(struct stand *s)
{
	bool good = make_offline(s);

	s->pfn = s->block;
	return good;
}

static void back_online(struct stand *s)
{
	EXPECT_EQ(s->t, online_pages(s->mem, s->block, PAGEBLOCK_PAGES, NULL), 0);
}

static bool make_hole_page(struct stand *s)
{
	struct zone *zone = zone_of_kind(s, ZONE_MOVABLE);
	irqflags_t flags;

	if (!make_offline(s))
		return false;
	flags = zone_lock_irqsave(zone);
	pageblock_set_state(zone, s->block, PB_HOLE);
	zone_unlock_irqrestore(zone, flags);
	return true;
}

static void fill_hole(struct stand *s)
{
	struct zone *zone = zone_of(s->mem, s->block);
	irqflags_t flags = zone_lock_irqsave(zone);

	pageblock_set_state(zone, s->block, PB_OFFLINE);
	zone_unlock_irqrestore(zone, flags);
	back_online(s);
}

static bool make_not_memory_at_all(struct stand *s)
{
	s->pfn = s->mem->end_pfn;
	return true;
}

static bool make_no_page_number(struct stand *s)
{
	s->pfn = PFN_NONE;
	return true;
}

/* ---- flagged before ---- */

static bool make_retired_before(struct stand *s)
{
	return make_inside_a_free_block(s) && mem_soft_offline_page(s->mem, s->pfn) == 0;
}

static bool make_doomed_before(struct stand *s)
{
	return allocate(s, 1) && mem_memory_failure(s->mem, ++s->pfn, 0, NULL) == -EBUSY;
}

/*
 * Columns: test; description; result of a soft offline; result and outcome of a failure; result of
 * an unpoison after that, while the page is still in use; function that releases the page.
 */
#define STATES(X)                                                                                  \
	X(free_page, "free, a block of its own", 0, 0, RECOVERED, 0, NULL)                         \
	X(inside_a_free_block, "free, inside a larger block", 0, 0, RECOVERED, 0, NULL)            \
	X(isolated_block, "free, in an isolated pageblock", 0, 0, RECOVERED, 0, release_block)     \
	X(in_a_cache, "in the cache of the CPU that asks", 0, 0, RECOVERED, 0, NULL)               \
	X(in_another_cpus_cache, "in another CPU's cache", 0, 0, RECOVERED, 0, NULL)               \
	X(in_a_cached_block, "in a cached block of order 2", 0, 0, RECOVERED, 0, plan_anew)        \
	X(kernel_page, "kernel memory", -EBUSY, -EBUSY, IGNORED, -EBUSY, free_it)                  \
	X(once_pinned_page, "kernel memory that was pinned", -EBUSY, -EBUSY, IGNORED, -EBUSY,      \
	    free_it)                                                                               \
	X(head_of_a_block, "head of a high-order allocation", -EBUSY, -EBUSY, IGNORED, -EBUSY,     \
	    free_it)                                                                               \
	X(tail_of_a_block, "tail of a high-order allocation", -EBUSY, -EBUSY, IGNORED, -EBUSY,     \
	    free_it)                                                                               \
	X(tail_of_a_largest_block, "last page of a block of the largest order", -EBUSY, -EBUSY,    \
	    IGNORED, -EBUSY, free_it)                                                              \
	X(slab_page, "small objects", -EBUSY, -EBUSY, IGNORED, -EBUSY, free_slab)                  \
	X(page_table, "page table", -EBUSY, -EBUSY, IGNORED, -EBUSY, free_table)                   \
	X(reserved, "reserved", -EBUSY, -EBUSY, IGNORED, -EBUSY, give_to_the_allocator)            \
	X(movable_page, "movable by its owner", 0, -EBUSY, IGNORED, -EBUSY, drop)                  \
	X(balloon_page, "lent to the host", 0, -EBUSY, IGNORED, -EBUSY, drop)                      \
	X(tail_of_a_movable_block, "tail of a movable block", 0, -EBUSY, IGNORED, -EBUSY, drop)    \
	X(pinned_movable_page, "movable, but pinned", -EBUSY, -EBUSY, IGNORED, -EBUSY,             \
	    unpin_and_drop)                                                                        \
	X(movable_page_taken_for_long, "being moved, without end", -EBUSY, -EBUSY, IGNORED,        \
	    -EBUSY, put_back_and_drop)                                                             \
	X(offline, "offline", -ENXIO, -ENXIO, RECOVERED, 0, back_online)                           \
	X(first_page_offline, "first page of an offline pageblock", -ENXIO, -ENXIO, RECOVERED, 0,  \
	    back_online)                                                                           \
	X(retired_before, "retired already", 0, -EHWPOISON, FAILED, 0, NULL)                       \
	X(doomed_before, "flagged already, in use", -EBUSY, -EHWPOISON, FAILED, -EBUSY, free_it)   \
	X(hole_page, "a hole", -ENXIO, -ENXIO, FAILED, -ENXIO, fill_hole)                          \
	X(not_memory_at_all, "not memory at all", -ENXIO, -ENXIO, FAILED, -ENXIO, NULL)            \
	X(no_page_number, "no page number", -ENXIO, -ENXIO, FAILED, -ENXIO, NULL)

KTEST_SUITE(poison_states, 0);

#define STATE_TEST(name, text, soft, hard, outcome, unpoison, release)                             \
	KTEST(name)                                                                                \
	{                                                                                          \
		static const struct page_in_state state = {                                        \
		    make_##name, release, soft, hard, POISON_##outcome, unpoison};                 \
		try_state(t, ktest_memory(t, 0, 6, CACHED_BLOCKS + 2), &state);                    \
	}
STATES(STATE_TEST)
