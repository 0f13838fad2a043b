/* SPDX-License-Identifier: MIT */
/*
 * test_poison_exact.c: pages that break between two steps of another operation, the counts at that
 * time, and the search for flagged pages in a memory of several zones and nodes.
 */
#include "tests/lib/mm_priv.h"
#include "mm/poison/poison.h"
#include "tests/lib/mov_help.h"
#include "tests/lib/poison_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/contig.h>
#include <quarry/memory_hotplug.h>

#define BLOCKS   8u
#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)

KTEST_SUITE(poison_exact, KTEST_MOSTLY_INSIDE);

/* ---- between two steps ---- */

/* A failure does not wait for a page being freed: it flags the page before the free ends. */
KTEST_CONTRACT(page_being_freed_is_retired_by_its_free)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, BLOCKS, 0));
	struct poison_result res;
	struct page *page;
	unsigned turn;
	pfn_t pfn;

	page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 0));
	pfn = page_to_pfn_in(mem, page);
	/* The last reference is gone, and the free does not have the zone lock yet. */
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_FREEING, 0));
	for (turn = 0; turn < 3; turn++) {
		EXPECT_EQ(t, mem_memory_failure(mem, pfn, 0, &res), turn ? -EHWPOISON : 0);
		EXPECT_EQ(t, res.outcome, POISON_DELAYED);
		EXPECT_EQ(t, res.state, PG_FREEING);
		EXPECT_EQ(t, mm_event_sum(mem, EV_FAILURE_DELAYED), 1);
		EXPECT_EQ(t, mem_poisoned(mem).doomed, 1);
	}
	EXPECT_EQ(t, mm_event_sum(mem, EV_POISON_WAIT), 0);
	EXPECT_EQ(t, mem_soft_offline_page(mem, pfn), -EBUSY);
	EXPECT_EQ(t, mem_unpoison_page(mem, pfn), -EBUSY);
	REQUIRE(t, page_word(page) == (PAGE_WORD(0, PG_FREEING, 0) | PAGE_F_HWPOISON));
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, 0) | PAGE_F_HWPOISON);
	page->owner = page; /* a user's value, which the free must clear */
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	EXPECT(t, is_retired(mem, pfn));
	EXPECT(t, !page->owner);
	expect_poisoned(t, mem, 1);
	EXPECT_EQ(t, mem_unpoison_page(mem, pfn), 0);
}

/* After a timeout the page stays as it is. */
KTEST_CONTRACT(page_being_freed_is_waited_for_softly)
{
	const u32 word = PAGE_WORD(0, PG_FREEING, 0);
	struct memory *mem = NEED(t, ktest_memory(t, 0, BLOCKS, 0));
	struct page *page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 0));

	WRITE_ONCE(page->word, word);
	EXPECT_EQ(t, mem_soft_offline_page(mem, page_to_pfn_in(mem, page)), -EBUSY);
	EXPECT(t, mm_event_sum(mem, EV_POISON_WAIT) >= 5);
	EXPECT_EQ(t, page_word(page), word);
	EXPECT_EQ(t, mm_event_sum(mem, EV_SOFT_OFFLINE_FAIL), 1);
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
}

/* A cached page that the round missed, as in the cache of a CPU coming online. */
KTEST(cached_page_is_waited_for)
{
	const u32 word = PAGE_WORD(0, PG_PCP, 0);
	struct memory *mem = NEED(t, ktest_memory(t, 0, BLOCKS, 0));
	struct poison_result res = {.outcome = POISON_IGNORED};
	struct page *page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 0));

	WRITE_ONCE(page->word, word);
	EXPECT_EQ(t, mem_memory_failure(mem, page_to_pfn_in(mem, page), 0, &res), -EBUSY);
	EXPECT(t, mm_event_sum(mem, EV_POISON_WAIT) >= 5);
	EXPECT_EQ(t, res.outcome, POISON_FAILED);
	EXPECT_EQ(t, res.state, PG_PCP);
	EXPECT_EQ(t, page_word(page), word);
	EXPECT_EQ(t, mem_poisoned(mem).doomed, 0);
	EXPECT_EQ(t,
	    mm_event_sum(mem, EV_FAILURE_IGNORED) + mm_event_sum(mem, EV_FAILURE_DELAYED) +
	        mm_event_sum(mem, EV_FAILURE_RECOVERED),
	    0);
	EXPECT_EQ(t, mem->zones[ZONE_NORMAL].pcp_depth, 0);
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
}

/* A page just allocated from a movable pageblock is checked again: it may become movable. */
KTEST_CONTRACT(only_movable_pages_are_checked_again)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, BLOCKS, 0));
	struct poison_result res;
	struct zone *zone;
	struct page *page;
	unsigned type;
	pfn_t block;

	zone = &mem->zones[ZONE_NORMAL];
	page = NEED(t, take_block(zone, 0, MT_MOVABLE));
	block = ALIGN_DOWN(page_to_pfn_in(mem, page), PAGEBLOCK_PAGES);
	for (type = 0; type < NR_MIGRATETYPES; type++) {
		u64 waits = mm_event_sum(mem, EV_POISON_WAIT);
		bool moves = type == MT_MOVABLE || type == MT_CMA;

		set_type(zone, block, (enum migratetype)type);
		EXPECT_EQ(t, mem_soft_offline_page(mem, page_to_pfn_in(mem, page)), -EBUSY);
		EXPECT_EQ(t, mm_event_sum(mem, EV_POISON_WAIT), waits + (moves ? 2 : 0));
	}
	/* A failure checks as often, and then flags the page. */
	set_type(zone, block, MT_MOVABLE);
	EXPECT_EQ(t, mem_memory_failure(mem, page_to_pfn_in(mem, page), 0, &res), -EBUSY);
	EXPECT_EQ(t, res.outcome, POISON_IGNORED);
	EXPECT_EQ(t, res.state, PG_ALLOC);
	EXPECT_EQ(t, mm_event_sum(mem, EV_POISON_WAIT), 2 * 3);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	EXPECT_EQ(t, mem_unpoison_page(mem, page_to_pfn_in(mem, page)), 0);
}

static struct failure {
	struct memory *mem;
	pfn_t pfn;
	struct poison_result res;
	int err;
	u32 ended; /* atomic */
} failure;

static void fail_page(void *arg)
{
	failure.err = mem_memory_failure(failure.mem, failure.pfn, 0, &failure.res);
	store_release(&failure.ended, 1u);
}

/* The page is isolated for a migration and put back: its content was not copied. */
KTEST_CONTRACT(uncopied_page_is_not_counted_as_migrated)
{
	struct page *page;
	struct vm_scene s;

	if (!ktest_needs_cpus(t, 2))
		return;
	if (!scene_begin_filled(t, &s, 3))
		return;
	page = page_in(s.object, 1);
	failure = (struct failure){.mem = s.mem, .pfn = page_to_pfn_in(s.mem, page)};
	EXPECT_EQ(t, isolate_lru_page(s.mem, failure.pfn), 0);
	ktest_start(1, fail_page, NULL);
	EXPECT(t, YIELD_UNTIL(mm_event_sum(s.mem, EV_POISON_WAIT) || load_acquire(&failure.ended)));
	putback_lru_page(s.mem, page);
	ktest_join(1);
	EXPECT_EQ(t, failure.err, 0);
	EXPECT_EQ(t, failure.res.outcome, POISON_RECOVERED);
	EXPECT_EQ(t, failure.res.state, PG_LRU);
	EXPECT_EQ(t, mem_unpoison_page(s.mem, failure.pfn), 0);
	/* A free page is not counted as migrated either. */
	EXPECT_EQ(t, mem_memory_failure(s.mem, failure.pfn, 0, &failure.res), 0);
	EXPECT_EQ(t, failure.res.outcome, POISON_RECOVERED);
	EXPECT_EQ(t, failure.res.state, PG_FREE);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_FAILURE_COPIED), 0);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_FAILURE_RECOVERED), 2);
	EXPECT_EQ(t, mem_unpoison_page(s.mem, failure.pfn), 0);
	scene_end(t, &s);
}

/* ---- owners that release the page ---- */

/* Like page_release_movable, with the lock held already. */
static int release_it(struct memory *mem, struct page *page)
{
	page->owner = NULL;
	mov.pages[page->index] = NULL;
	return mem_put_page(mem, page); /* not the last reference */
}

/*
 * The owner, asked to isolate the page, releases the page instead. So the page cannot be moved, but
 * it is retired.
 */
KTEST_CONTRACT(page_released_by_its_owner_is_retired)
{
	static struct movable_ops ops;
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);
	struct page *page;
	pfn_t pfn;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill(2);
	REQUIRE(t, mov.nr == 2);
	page = mov.pages[1];
	pfn = page_to_pfn_in(mem, page);
	ops = mov_ops;
	ops.isolate = release_it;
	mov.owner.ops = &ops;
	EXPECT_EQ(t, mem_soft_offline_page(mem, pfn), 0);
	EXPECT(t, is_retired(mem, pfn));
	EXPECT_EQ(t, mov.moved, 0);
	expect_poisoned(t, mem, 1);
	EXPECT_EQ(t, mem_poisoned(mem).doomed, 0);
	/* The target of the migration has been freed. */
	drain_all_pages(mem, NULL);
	EXPECT_EQ(t, memory_free_pages(mem), BLOCK(BLOCKS) - 2);
	EXPECT_EQ(t, mem_unpoison_page(mem, pfn), 0);
	mov_end(t);
}

/*
 * A page is flagged before its object gets it. At the second failure the page's reference count is
 * at the limit. The page is still counted only once.
 */
KTEST_CONTRACT(page_flagged_before_counts_once)
{
	struct poison_result res;
	struct vm_scene s;
	struct page *page;
	unsigned refs = 0;
	pfn_t pfn;

	if (!scene_begin(t, &s, 3))
		return;
	page = NEED(t, mem_alloc_pages(s.mem, object_gfp(s.object), 0));
	pfn = page_to_pfn_in(s.mem, page);
	REQUIRE(t, !vm_object_supply(s.object, 0, NULL));
	spin_lock(&s.object->lock);
	EXPECT(t, object_fill(s.object, object_slot(s.object, 1), 1, page));
	spin_unlock(&s.object->lock);
	doom_page(s.mem, pfn);
	atomic_add(&s.mem->vm.flushing, 1u);
	while (get_page(page) == 0)
		refs++;
	EXPECT_EQ(t, mem_memory_failure(s.mem, pfn, 0, &res), 0);
	EXPECT_EQ(t, res.outcome, POISON_DELAYED);
	EXPECT(t, !page_in(s.object, 1));
	EXPECT_EQ(t, s.mem->zones[ZONE_MOVABLE].nr_doomed, 1);
	EXPECT_EQ(t, mem_poisoned(s.mem).doomed, 1);
	while (refs-- > 0)
		EXPECT_EQ(t, mem_put_page(s.mem, page), 0);
	atomic_sub(&s.mem->vm.flushing, 1u);
	EXPECT(t, is_retired(s.mem, pfn));
	expect_poisoned(t, s.mem, 1);
	EXPECT_EQ(t, mem_poisoned(s.mem).doomed, 0);
	EXPECT_EQ(t, mem_unpoison_page(s.mem, pfn), 0);
	scene_end(t, &s);
}

/*
 * The page's object has lost its last reference and is about to drop its pages. The failure only
 * flags the page; the drop retires it.
 */
KTEST(dying_object_drops_its_broken_page)
{
	struct poison_result res;
	struct vm_scene s;
	unsigned refs;
	pfn_t pfn;

	if (!scene_begin_filled(t, &s, 3))
		return;
	pfn = page_to_pfn_in(s.mem, page_in(s.object, 1));
	vm_space_put(s.space);
	s.space = NULL;
	refs = s.object->refs;
	EXPECT_EQ(t, refs, 1);
	s.object->refs = 0;
	EXPECT_EQ(t, poison_doom_object_page(&s.mem->zones[ZONE_MOVABLE], pfn, &res), -EAGAIN);
	EXPECT(t, !is_flagged(s.mem, pfn));
	EXPECT_EQ(t, mem_memory_failure(s.mem, pfn, 0, &res), 0);
	EXPECT_EQ(t, res.outcome, POISON_DELAYED);
	EXPECT_EQ(t, res.unmapped, 0);
	EXPECT(t, !res.lost);
	EXPECT(t, is_flagged(s.mem, pfn) && page_in(s.object, 1));
	s.object->refs = refs;
	vm_object_put(s.object);
	s.object = NULL;
	EXPECT(t, is_retired(s.mem, pfn));
	expect_poisoned(t, s.mem, 1);
	EXPECT_EQ(t, mem_unpoison_page(s.mem, pfn), 0);
	scene_end(t, &s);
}

/* ---- a page that has another owner by now ---- */

/* An owner of movable pages, and the bytes behind it, which an object would have as fields. */
static union {
	struct movable_owner owner;
	struct vm_object object;
} room;

static u32 ended; /* atomic */

/* A thread that takes the owner for an object would wait for the lock for ever. */
static void free_the_lock(void *arg)
{
	if (SPIN_UNTIL(READ_ONCE(room.object.refs) != 7 || load_acquire(&ended)) && !ended)
		store_release(&room.object.lock.locked, 0u);
}

KTEST(owner_of_another_kind_is_left_alone)
{
	struct memory *mem = ktest_backed_memory(t, VM_NORMAL, VM_MOVABLE);
	struct poison_result res;
	struct page *page, *top;
	struct zone *zone;

	if (!mem || !ktest_needs_cpus(t, 2))
		return;
	zone = &mem->zones[ZONE_MOVABLE];
	page = mem_alloc_pages(mem, GFP_MOVABLE, 0);
	top = mem_alloc_pages(mem, GFP_KERNEL | GFP_ZERO, 0);
	REQUIRE(t, page && top);
	memset(&room, 0, sizeof(room));
	room.object.refs = 7;
	room.object.nr_pages = 1;
	room.object.mem = mem;
	room.object.top = top;
	room.owner.ops = &mov_ops;
	make_movable(mem, page, &room.owner, 0);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	ended = 0;
	ktest_start(1, free_the_lock, NULL);
	EXPECT_EQ(t, poison_doom_object_page(zone, page_to_pfn_in(mem, page), &res), -EAGAIN);
	store_release(&ended, 1u);
	ktest_join(1);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	EXPECT(t, room.owner.ops == &mov_ops);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
	page_release_movable(mem, page);
	EXPECT_EQ(t, mem_free_pages(mem, top, 0), 0);
}

static struct {
	struct vm_object *object, *other;
	struct page *page;
	u32 refs, locked, asked; /* atomic */
} change;

/* While its lock is waited for, the page comes to another object, behind the first one's end. */
static void change_object(void *zone)
{
	irqflags_t flags;

	spin_lock(&change.object->lock);
	store_release(&change.locked, 1u);
	change.asked = SPIN_UNTIL(READ_ONCE(change.object->refs) > change.refs);
	flags = lru_lock_irqsave(zone);
	change.page->owner = change.other;
	change.page->index = change.other->nr_pages - 1;
	lru_unlock_irqrestore(zone, flags);
	spin_unlock(&change.object->lock);
}

KTEST(page_that_has_changed_its_object_is_left_alone)
{
	struct poison_result res;
	struct vm_scene s;
	struct zone *zone;
	pfn_t pfn;

	if (!ktest_needs_cpus(t, 2) || !scene_begin_filled(t, &s, 3))
		return;
	memset(&change, 0, sizeof(change));
	change.object = s.object;
	change.page = page_in(s.object, 1);
	change.refs = s.object->refs;
	REQUIRE(t, vm_object_create(s.mem, OBJ_ANON, 600, NULL, NULL, &change.other) == 0);
	pfn = page_to_pfn_in(s.mem, change.page);
	zone = zone_of(s.mem, pfn);
	ktest_start(1, change_object, zone);
	EXPECT(t, YIELD_UNTIL(load_acquire(&change.locked)));
	EXPECT_EQ(t, poison_doom_object_page(zone, pfn, &res), -EAGAIN);
	ktest_join(1);
	EXPECT(t, change.asked);
	change.page->owner = s.object;
	change.page->index = 1;
	EXPECT_EQ(t, s.object->refs, change.refs);
	EXPECT(t, page_in(s.object, 1) == change.page && !is_flagged(s.mem, pfn));
	vm_object_put(change.other);
	scene_end(t, &s);
}

/* ---- a contiguous range ---- */

static pfn_t breaks;

static void break_one(struct page *dst, struct page *src)
{
	mov.on_move = NULL;
	EXPECT_EQ(mov.t, mem_soft_offline_page(mov.mem, breaks), 0);
}

/*
 * A page of the range is retired while other pages are moved out. The check at the end finds it,
 * and nothing is allocated.
 */
KTEST(page_that_breaks_during_migrations_is_found)
{
	const pfn_t start = BLOCK(2), end = BLOCK(5);
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);
	struct mm_fail fail = {.why = WHY_NONE};

	REQUIRE(t, mov_begin(t, mem));
	mov_fill_range(BLOCK(2), BLOCK(3));
	breaks = BLOCK(4) + 7;
	mov.on_move = break_one;
	EXPECT_EQ(t, alloc_contig_range(mem, start, end, MT_MOVABLE, &fail), -EBUSY);
	EXPECT_EQ(t, fail.why, WHY_HWPOISON);
	EXPECT_EQ(t, fail.pfn, breaks);
	EXPECT_EQ(t, mov.moved, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, mm_event_sum(mem, EV_CONTIG_FAIL), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_BAD_FREE), 0);
	drain_all_pages(mem, NULL);
	EXPECT_EQ(t, memory_free_pages(mem), BLOCK(BLOCKS) - PAGEBLOCK_PAGES - 1);
	EXPECT_EQ(t, pageblock_of(mem, BLOCK(3))->nr_free, PAGEBLOCK_PAGES);
	expect_poisoned(t, mem, 1);
	/* The pages before the broken one can be allocated. */
	EXPECT_EQ(t, alloc_contig_range(mem, start, breaks, MT_MOVABLE, &fail), 0);
	EXPECT_EQ(t, free_contig_range(mem, start, breaks - start), 0);
	EXPECT_EQ(t, mem_unpoison_page(mem, breaks), 0);
	drain_all_pages(mem, NULL);
	mov_end(t);
}

/* ---- counts, and finding flagged pages ---- */

/* Two nodes with two zones each, one behind the other. */
static struct memory *two_nodes(struct ktest *t)
{
	static const struct zone_spec specs[] = {
	    {0, ZONE_NORMAL, 4}, {0, ZONE_MOVABLE, 4}, {1, ZONE_NORMAL, 4}, {1, ZONE_MOVABLE, 4}};

	return ktest_memory(t, 0, 1, 0) ? build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs)) : NULL;
}

/* Expect searches from around each flagged page to find the @nr pages of @pfn, and no others. */
static void expect_found(struct ktest *t, struct memory *mem, const pfn_t *pfn, unsigned nr)
{
	pfn_t from = 0;
	unsigned i;

	for (i = 0; i < nr; i++) {
		EXPECT_EQ(t, mem_poisoned_next(mem, from), pfn[i]);
		EXPECT_EQ(t, mem_poisoned_next(mem, MAX(pfn[i], from + 1) - 1), pfn[i]);
		EXPECT_EQ(t, mem_poisoned_next(mem, pfn[i]), pfn[i]);
		from = pfn[i] + 1;
	}
	EXPECT_EQ(t, mem_poisoned_next(mem, from), PFN_NONE);
	EXPECT_EQ(t, mem_poisoned_next(mem, mem->end_pfn), PFN_NONE);
	EXPECT_EQ(t, mem_poisoned_next(mem, mem->end_pfn + BLOCK(1)), PFN_NONE);
}

KTEST_CONTRACT(flagged_pages_are_found_in_every_zone)
{
	struct memory *mem = NEED(t, two_nodes(t));
	struct poison_count n;
	pfn_t found[8];
	unsigned i;

	/* In each zone the first page is in use, and the last one is retired. */
	for (i = 0; i < 4; i++) {
		const pfn_t first = mem->start_pfn + BLOCK(4 * i);
		struct zone *zone = zone_of(mem, first);
		irqflags_t flags = zone_lock_irqsave(zone);

		buddy_take_range(zone, first, first + 1);
		zone_unlock_irqrestore(zone, flags);
		found[2 * i] = first;
		found[2 * i + 1] = first + BLOCK(4) - 1;
		EXPECT_EQ(t, mem_memory_failure(mem, found[2 * i], 0, NULL), -EBUSY);
		EXPECT_EQ(t, zone->nr_doomed, 1);
		EXPECT_EQ(t, mem_memory_failure(mem, found[2 * i + 1], 0, NULL), 0);
		n = mem_poisoned(mem);
		EXPECT_EQ(t, n.doomed, i + 1);
		EXPECT_EQ(t, n.retired, i + 1);
		EXPECT_EQ(t, n.offline, 0);
		expect_found(t, mem, found, 2 * i + 2);
	}
	/* The last pageblock is offlined, and its flagged page counts as offline. */
	EXPECT_EQ(t, offline_pages(mem, mem->end_pfn - BLOCK(1), BLOCK(1), NULL, NULL), 0);
	n = mem_poisoned(mem);
	EXPECT_EQ(t, n.doomed, 4);
	EXPECT_EQ(t, n.retired, 3);
	EXPECT_EQ(t, n.offline, 1);
	expect_found(t, mem, found, 8);
	EXPECT_EQ(t, online_pages(mem, mem->end_pfn - BLOCK(1), BLOCK(1), NULL), 0);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(t, mem_free_pages(mem, pfn_to_page_in(mem, found[2 * i]), 0), 0);
		EXPECT_EQ(t, mem_poisoned(mem).doomed, 3 - i);
		EXPECT_EQ(t, mem_poisoned(mem).retired, 5 + i);
	}
	expect_found(t, mem, found, 8);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(t, mem_unpoison_page(mem, found[i]), 0);
	expect_found(t, mem, found, 0);
	drop_memory(t, mem);
}
