/* SPDX-License-Identifier: MIT */
/*
 * test_migrate_lru.c: migrating pages of objects, mapped and not, while no other CPU uses them:
 * what is kept, which pages are refused and put back, and the cost.  With other CPUs:
 * test_migrate_race.c.
 */
#include "tests/lib/pager_help.h"
#include <quarry/account.h>
#include <quarry/memory_hotplug.h>

#define PAGES 100

/* Used by one test at a time. */
static struct vm_scene s;
static struct isolated_pages isolated;
static struct migrate_stats stats;
static struct mm_fail fail;

/* A scene of @nr pages, all written to, whose space is loaded here. */
static bool begin(struct ktest *t, unsigned nr, u64 seed)
{
	memset(&isolated, 0, sizeof(isolated));
	memset(&stats, 0, sizeof(stats));
	memset(&fail, 0, sizeof(fail));
	return scene_begin_loaded(t, &s, nr, seed);
}

static void isolate(struct ktest *t, u32 index)
{
	const struct page *page = page_in(s.object, index);

	EXPECT_EQ(t, isolate_page(s.mem, page_to_pfn_in(s.mem, page), &isolated), 0);
}

/*
 * Isolate the pages in slots [from, to) of the scene's object and move them.  Returns how many did
 * not move; @stats and @fail are of this move.
 */
static unsigned move_pages(struct ktest *t, u32 from, u32 to)
{
	unsigned failed = 0;

	isolated.nr_lru = isolated.nr_movable = 0;
	memset(&stats, 0, sizeof(stats));
	memset(&fail, 0, sizeof(fail));
	for (; from < to; from++) {
		if (!page_in(s.object, from)) {
			ktest_fail(t, __FILE__, __LINE__, "no page %u", from);
			return failed;
		}
		isolate(t, from);
		if (isolated.nr_lru == MIGRATE_BATCH || from + 1 == to) {
			failed += migrate_isolated(s.mem, &isolated, &fail, &stats);
			isolated.nr_lru = 0;
		}
	}
	return failed;
}

KTEST_SUITE(migrate_lru, KTEST_QUICK);

KTEST(content_and_mapping_survive_a_move)
{
	struct page *src;
	u64 faults;

	if (!begin(t, 3, t->seed))
		return;
	src = page_in(s.object, 1);
	faults = mm_event_sum(s.mem, EV_FAULTS);
	EXPECT_EQ(t, move_pages(t, 1, 2), 0);
	EXPECT_EQ(t, stats.moved, 1);
	EXPECT_EQ(t, stats.at_try[0], 1);
	EXPECT(t, page_in(s.object, 1) && page_in(s.object, 1) != src);
	EXPECT(t, word_state(page_word(src)) != PG_ISO_MIG);
	expect_pages(t, 0, 3, t->seed);
	EXPECT_EQ(t, soft_write(page_at(1), stamp(1, 0, t->seed)), 0);
	/* The new page was mapped where the old one was: no fault is needed. */
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_FAULTS), faults);
	scene_unload(t, &s);
}

KTEST(references_flags_and_counts_are_kept)
{
	struct vm_space *other;
	unsigned long free;
	struct page *page;

	if (!scene_begin(t, &s, 2))
		return;
	REQUIRE(t, !vm_space_create(s.mem, &other));
	EXPECT_EQ(t, vm_map(other, VM_BASE, 2, VM_READ, s.object, 0), 0);
	soft_load_space(s.space);
	write_pages(t, 0, 2, 5);
	REQUIRE(t, pages_there(&s, 2));
	soft_unload_space();
	soft_load_space(other);
	expect_pages(t, 0, 2, 5);
	soft_unload_space();
	EXPECT_EQ(t, isolate_lru_page(s.mem, page_to_pfn_in(s.mem, page_in(s.object, 0))), 0);
	page_set_flags(page_in(s.object, 0), PAGE_ACTIVE | PAGE_UPTODATE);
	putback_lru_page(s.mem, page_in(s.object, 0));
	/* For page 1 only the bits of its page-table entries say that it was used. */
	page_clear_flags(page_in(s.object, 1), PAGE_REFERENCED);
	free = memory_free_pages(s.mem);
	EXPECT_EQ(t, move_pages(t, 0, 2), 0);
	EXPECT_EQ(t, memory_free_pages(s.mem), free);
	REQUIRE(t, pages_there(&s, 2));
	page = page_in(s.object, 0);
	/*
	 * PAGE_DIRTY: the entry's dirty bit reached the old page, and was copied to the new page.
	 */
	EXPECT_EQ(t, page_word(page),
	    PAGE_WORD(3, PG_LRU, 0) | PAGE_DIRTY | PAGE_REFERENCED | PAGE_ACTIVE | PAGE_UPTODATE);
	EXPECT_EQ(t, page->mapcount, 2);
	EXPECT(t, page->owner == s.object);
	EXPECT_EQ(t, page->index, 0);
	EXPECT_EQ(t, page_word(page_in(s.object, 1)),
	    PAGE_WORD(3, PG_LRU, 0) | PAGE_DIRTY | PAGE_REFERENCED);
	/* Each entry has the rights of its region. */
	EXPECT(t, pte_at(s.space, page_at(0)) & PTE_WRITE);
	EXPECT(t, !(pte_at(other, page_at(0)) & PTE_WRITE));
	soft_load_space(other);
	expect_pages(t, 0, 2, 5);
	EXPECT_EQ(t, soft_write(page_at(0), 1), -EACCES);
	soft_unload_space();
	expect_sound(t, s.mem);
	vm_space_put(other);
	scene_end(t, &s);
}

/* The region shows slots 2 and 3 only; later none, so that no shootdown is needed. */
KTEST(pages_outside_the_region_move_unmapped)
{
	u64 rounds;
	u32 i;

	if (!begin(t, 6, 6))
		return;
	EXPECT_EQ(t, vm_unmap(s.space, VM_BASE, 2), 0);
	EXPECT_EQ(t, vm_unmap(s.space, page_at(4), 2), 0);
	EXPECT_EQ(t, move_pages(t, 0, 6), 0);
	EXPECT_EQ(t, stats.moved, 6);
	for (i = 0; i < 6; i++)
		EXPECT_EQ(t, page_in(s.object, i)->mapcount, i == 2 || i == 3);
	expect_pages(t, 2, 4, 6);
	EXPECT_EQ(t, vm_unmap(s.space, page_at(2), 2), 0);
	rounds = mm_event_sum(s.mem, EV_TLB_ROUNDS);
	EXPECT_EQ(t, move_pages(t, 0, 6), 0);
	EXPECT_EQ(t, stats.moved, 6);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_TLB_ROUNDS), rounds);
	EXPECT_EQ(t, vm_map(s.space, page_at(2), 2, VM_RW, s.object, 2), 0);
	EXPECT_EQ(t, vm_map(s.space, VM_BASE, 2, VM_RW, s.object, 0), 0);
	EXPECT_EQ(t, vm_map(s.space, page_at(4), 2, VM_RW, s.object, 4), 0);
	expect_pages(t, 0, 6, 6);
	scene_unload(t, &s);
}

KTEST_COST(a_batch_makes_one_shootdown, KTEST_SLOW)
{
	u64 rounds;

	if (!begin(t, PAGES, 7))
		return;
	rounds = mm_event_sum(s.mem, EV_TLB_ROUNDS);
	EXPECT_EQ(t, move_pages(t, 0, PAGES), 0);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_TLB_ROUNDS),
	    rounds + (PAGES + MIGRATE_BATCH - 1) / MIGRATE_BATCH);
	EXPECT_EQ(t, stats.moved, PAGES);
	EXPECT_EQ(t, stats.retries, 0);
	expect_pages(t, 0, PAGES, 7);
	scene_unload(t, &s);
}

/* ---- pages that are put back ---- */

KTEST(a_pinned_page_is_put_back)
{
	struct page *page, *pinned;

	if (!begin(t, 3, 8))
		return;
	page = page_in(s.object, 1);
	isolate(t, 1);
	/* Pin the page after its isolation. */
	REQUIRE(t, vm_object_pin(s.object, 1, &pinned) == 0);
	EXPECT_EQ(t, migrate_isolated(s.mem, &isolated, &fail, &stats), 1);
	EXPECT_EQ(t, fail.why, WHY_PINNED);
	EXPECT_EQ(t, fail.pfn, page_to_pfn_in(s.mem, page));
	/* A pin may last long, so the page is not tried again. */
	EXPECT_EQ(t, stats.retries, 0);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_MIGRATE_FAIL), 1);
	EXPECT(t, page_in(s.object, 1) == page);
	EXPECT_EQ(t, word_state(page_word(page)), PG_LRU);
	EXPECT_EQ(t, word_ref(page_word(page)), 3);
	expect_pages(t, 0, 3, 8);
	expect_sound(t, s.mem);
	mem_unpin_page(s.mem, pinned);
	EXPECT_EQ(t, move_pages(t, 1, 2), 0);
	expect_pages(t, 0, 3, 8);
	scene_unload(t, &s);
}

KTEST(a_page_with_a_reference_too_many_is_put_back)
{
	struct page *page;
	unsigned long free;

	if (!begin(t, 3, 8))
		return;
	page = page_in(s.object, 1);
	free = memory_free_pages(s.mem);
	EXPECT_EQ(t, get_page(page), 0);
	EXPECT_EQ(t, move_pages(t, 0, 3), 1);
	EXPECT_EQ(t, fail.why, WHY_BUSY);
	EXPECT_EQ(t, fail.pfn, page_to_pfn_in(s.mem, page));
	EXPECT_EQ(t, stats.moved, 2);
	EXPECT_EQ(t, stats.retries, 9);
	EXPECT(t, page_in(s.object, 1) == page);
	EXPECT_EQ(t, page->mapcount, 1);
	EXPECT_EQ(t, word_ref(page_word(page)), 3);
	EXPECT(t, !(page_word(page) & PAGE_LOCKED));
	/* The page is mapped again, and no target was kept. */
	EXPECT_EQ(t, pte_pfn(pte_at(s.space, page_at(1))), page_to_pfn_in(s.mem, page));
	EXPECT_EQ(t, memory_free_pages(s.mem), free);
	expect_pages(t, 0, 3, 8);
	EXPECT_EQ(t, mem_put_page(s.mem, page), 0);
	expect_sound(t, s.mem);
	EXPECT_EQ(t, move_pages(t, 1, 2), 0);
	expect_pages(t, 0, 3, 8);
	scene_unload(t, &s);
}

KTEST_COST(a_locked_page_is_put_back)
{
	struct page *page;
	unsigned long free;

	if (!scene_begin(t, &s, 1))
		return;
	REQUIRE(t, !vm_object_supply(s.object, 0, NULL));
	page = page_in(s.object, 0);
	free = memory_free_pages(s.mem);
	EXPECT(t, page_trylock(page));
	EXPECT(t, !page_trylock(page));
	EXPECT_EQ(t, move_pages(t, 0, 1), 1);
	EXPECT_EQ(t, stats.retries, 9);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_LRU, 0) | PAGE_LOCKED);
	EXPECT_EQ(t, memory_free_pages(s.mem), free);
	atomic_and(&page->word, ~PAGE_LOCKED);
	EXPECT_EQ(t, move_pages(t, 0, 1), 0);
	scene_end(t, &s);
}

KTEST(batch_without_targets_is_put_back)
{
	struct pile pile = {NULL, 0};
	unsigned i;
	u64 failed;

	if (!begin(t, 20, 9))
		return;
	pile_alloc_last(s.mem, &pile);
	failed = mm_event_sum(s.mem, EV_ALLOC_FAIL);
	EXPECT_EQ(t, move_pages(t, 0, 20), 20);
	EXPECT_EQ(t, fail.why, WHY_NO_TARGET);
	EXPECT_EQ(t, stats.moved, 0);
	EXPECT_EQ(t, stats.retries, 0);
	/* After the first failure no other target was requested. */
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_ALLOC_FAIL), failed + 1);
	for (i = 0; i < 20; i++)
		EXPECT_EQ(t, word_state(page_word(page_in(s.object, i))), PG_LRU);
	expect_pages(t, 0, 20, 9);
	EXPECT_EQ(t, pile_free(s.mem, &pile), 0);
	EXPECT_EQ(t, move_pages(t, 0, 20), 0);
	expect_pages(t, 0, 20, 9);
	scene_unload(t, &s);
}

KTEST(released_page_is_not_migrated)
{
	unsigned i;

	if (!begin(t, 3, 1))
		return;
	soft_unload_space();
	for (i = 0; i < 3; i++)
		isolate(t, i);
	EXPECT_EQ(t, vm_object_remove(s.object, 0, 1), 0);
	vm_object_put(s.object);
	vm_space_put(s.space);
	s.object = NULL;
	s.space = NULL;
	EXPECT_EQ(t, memory_free_pages(s.mem), s.free - 3);
	EXPECT_EQ(t, migrate_isolated(s.mem, &isolated, NULL, &stats), 0);
	EXPECT_EQ(t, stats.moved, 0);
	scene_end(t, &s);
}

/* A shootdown that is not over counts as a user: the page may still be written to. */
KTEST_INSIDE(page_just_unmapped_waits_for_its_shootdown, KTEST_SLOW)
{
	struct tlb_gather g;
	struct page *page;

	if (!begin(t, 1, 1))
		return;
	page = page_in(s.object, 0);
	unmap_without_flush(&s, &g);
	EXPECT_EQ(t, soft_try_write(VM_BASE, stamp(0, 0, 1)), 0);
	EXPECT_EQ(t, move_pages(t, 0, 1), 1);
	EXPECT(t, page_in(s.object, 0) == page);
	expect_sound(t, s.mem);
	tlb_flush(&g);
	EXPECT_EQ(t, soft_try_write(VM_BASE, 1), -EFAULT);
	EXPECT_EQ(t, move_pages(t, 0, 1), 0);
	expect_pages(t, 0, 1, 1);
	scene_unload(t, &s);
}

/* ---- offline ---- */

#define RANGE (PAGEBLOCK_ORDER >= 9 ? PAGEBLOCK_PAGES : 8 * PAGEBLOCK_PAGES)

KTEST(mapped_memory_is_offlined, KTEST_SLOW)
{
	struct offline_result res;
	unsigned inside = 0, i;
	pfn_t start;
	u64 faults;

	if (!begin(t, PAGES, 2))
		return;
	start = ALIGN_DOWN(page_to_pfn_in(s.mem, page_in(s.object, 0)), RANGE);
	for (i = 0; i < PAGES; i++)
		inside += ALIGN_DOWN(page_to_pfn_in(s.mem, page_in(s.object, i)), RANGE) == start;
	faults = mm_event_sum(s.mem, EV_FAULTS);
	EXPECT_EQ(t, offline_pages(s.mem, start, RANGE, NULL, &res), 0);
	EXPECT_EQ(t, res.moved, inside);
	EXPECT_EQ(t, res.at_try[0], inside);
	EXPECT_EQ(t, res.retries, 0);
	for (i = 0; i < PAGES; i++)
		EXPECT(t, ALIGN_DOWN(page_to_pfn_in(s.mem, page_in(s.object, i)), RANGE) != start);
	expect_pages(t, 0, PAGES, 2);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_FAULTS), faults);
	soft_unload_space();
	expect_sound(t, s.mem);
	EXPECT_EQ(t, online_pages(s.mem, start, RANGE, NULL), 0);
	scene_end(t, &s);
}

KTEST(a_pinned_page_stops_an_offline)
{
	struct offline_result res;
	struct page *pinned;
	pfn_t start, pfn;

	if (!begin(t, 10, 2))
		return;
	REQUIRE(t, vm_object_pin(s.object, 4, &pinned) == 0);
	pfn = page_to_pfn_in(s.mem, pinned);
	start = ALIGN_DOWN(pfn, RANGE);
	EXPECT_EQ(t, offline_pages(s.mem, start, RANGE, NULL, &res), -EBUSY);
	EXPECT_EQ(t, res.fail.why, WHY_PINNED);
	EXPECT_EQ(t, res.fail.pfn, pfn);
	EXPECT_EQ(t, res.moved, 0);
	expect_pages(t, 0, 10, 2);
	mem_unpin_page(s.mem, pinned);
	EXPECT_EQ(t, offline_pages(s.mem, start, RANGE, NULL, &res), 0);
	expect_pages(t, 0, 10, 2);
	soft_unload_space();
	EXPECT_EQ(t, online_pages(s.mem, start, RANGE, NULL), 0);
	scene_end(t, &s);
}

/* Expect each page to count for its object's account, by the kind of zone that it lies in. */
static void expect_account(struct ktest *t, const struct account *account)
{
	unsigned i, low = 0, all = 0;

	for (i = 0; i < s.nr; i++) {
		const struct page *page = page_in(s.object, i);

		all += page != NULL;
		low += page && zone_of(s.mem, page_to_pfn_in(s.mem, page))->kind != ZONE_MOVABLE;
	}
	EXPECT_EQ(t, account_content(account, false), low);
	EXPECT_EQ(t, account_content(account, true), all);
}

KTEST(pages_count_where_they_have_moved_to)
{
	struct account mine = {.parent = &account_all, .max_mappings = ~0ULL}, *before;
	struct pile pile = {0};
	bool made, moved = false;
	unsigned i;

	for (i = 0; i < NR_ACCOUNT_KINDS; i++)
		mine.limit[i] = ~0ULL;
	before = account_use(&mine);
	made = scene_begin(t, &s, PAGES);
	account_use(before);
	if (!made)
		return;
	use_up_movable(s.mem, &pile);
	fault_pages(t, &s, 0, PAGES / 2);
	expect_account(t, &mine);
	EXPECT(t, account_content(&mine, false) > 0);
	EXPECT_EQ(t, pile_free(s.mem, &pile), 0);
	drain_all_pages(s.mem, NULL);
	fault_pages(t, &s, PAGES / 2, PAGES);
	expect_account(t, &mine);
	/* A batch has pages of both zones, the last one of zone MOVABLE. */
	EXPECT_EQ(t, move_pages(t, PAGES / 2 - 8, PAGES / 2 + 8), 0);
	expect_account(t, &mine);
	for (i = 0; i < PAGES / 2; i++) {
		unsigned long low = account_content(&mine, false);

		EXPECT_EQ(t, move_pages(t, i, i + 1), 0);
		expect_account(t, &mine);
		moved |= account_content(&mine, false) < low;
	}
	EXPECT(t, moved);
	EXPECT_EQ(t, vm_object_remove(s.object, 0, 3), 0);
	expect_account(t, &mine);
	scene_end(t, &s);
	for (i = 0; i < NR_ACCOUNT_KINDS; i++)
		EXPECT_EQ(t, mine.used[i], 0);
}
