/* SPDX-License-Identifier: MIT */
/*
 * test_migrate_list.c: moving lists of pages: longer than a batch, with pages that are in use,
 * pinned or broken; and pages lent to the host, which stay where they are.
 */
#include "mm/move/migrate.h"
#include "tests/lib/mm_test.h"
#include "tests/lib/mov_help.h"
#include "tests/lib/vm_help.h"
#include <quarry/movable.h>
#include <quarry/poison.h>

#define MANY (MIGRATE_BATCH + 16)

/* An owner of single pages: its first @busy calls return -EAGAIN, later calls @answer. */
static struct lister {
	struct movable_owner owner;
	unsigned busy, calls;
	u8 each, tries[MANY];   /* likewise the first @each of each page, by its index */
	int answer;             /* -ENOENT: it releases the page, too */
	int refuse;             /* the result of isolate */
	unsigned offered, told; /* calls of isolate and putback */
	unsigned unsafe; /* calls without the lock, the reference or the user that they need */
} lister;
static struct page *listed[MANY];

static void expect_lru_lock(struct memory *mem, struct page *page)
{
	lister.unsafe += !spin_is_held(&zone_of(mem, page_to_pfn_in(mem, page))->lru_lock);
}

static int lister_isolate(struct memory *mem, struct page *page)
{
	expect_lru_lock(mem, page);
	lister.offered++;
	return lister.refuse;
}

static int lister_migrate(
    struct movable_owner *owner, struct memory *mem, struct page *dst, struct page *src)
{
	lister.calls++;
	lister.unsafe += !READ_ONCE(owner->users);
	if (lister.busy) {
		lister.busy--;
		return -EAGAIN;
	}
	if (lister.tries[src->index]++ < lister.each)
		return -EAGAIN;
	if (lister.answer == -ENOENT)
		page_release_movable(mem, src);
	if (lister.answer)
		return lister.answer;
	if (!page_make_movable(mem, dst, owner, src->index))
		return -EAGAIN;
	page_release_movable(mem, src);
	return 0;
}

static bool lister_putback(struct memory *mem, struct page *page)
{
	expect_lru_lock(mem, page);
	lister.unsafe += word_ref(page_word(page)) < 2;
	lister.told++;
	return true;
}

static const struct movable_ops lister_ops = {
    .isolate = lister_isolate, .migrate = lister_migrate, .putback = lister_putback};
static const struct movable_ops lent_ops = {.isolate = lister_isolate,
    .migrate = lister_migrate,
    .putback = lister_putback,
    .balloon = true};

/* Fill the list with @nr isolated pages; the first @busy tries to move a page find it in use. */
static struct memory *list_pages(
    struct ktest *t, unsigned nr, unsigned busy, const struct movable_ops *ops)
{
	struct memory *mem = ktest_memory(t, 0, 4, MAX(2u, CACHED_BLOCKS / 2));
	unsigned i;

	lister = (struct lister){.owner.ops = ops, .busy = busy};
	for (i = 0; mem && i < nr; i++) {
		listed[i] = mem_alloc_pages(mem, GFP_MOVABLE | GFP_NOWAIT, 0);
		KASSERT(listed[i]);
		make_movable(mem, listed[i], &lister.owner, i);
		EXPECT_EQ(t, isolate_movable_page(mem, page_to_pfn_in(mem, listed[i])), 0);
	}
	return mem;
}

/* Expect exactly @nr pages in use, all in @state, none isolated; release them. */
static void expect_each(struct ktest *t, struct memory *mem, unsigned nr, enum page_state state)
{
	unsigned found = 0;
	pfn_t pfn;

	for (pfn = mem->start_pfn; pfn < mem->end_pfn; pfn++) {
		struct page *page = pfn_to_page_in(mem, pfn);
		u32 word = page_word(page);

		if (word_state(word) == PG_TAIL || word_state(word) == PG_PCP)
			continue;
		EXPECT_EQ(t, word, PAGE_WORD(1, state, 0));
		found++;
		page_release_movable(mem, page);
	}
	EXPECT_EQ(t, found, nr);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
	EXPECT_EQ(t, lister.owner.users, 0);
	EXPECT_EQ(t, lister.unsafe, 0);
}

KTEST_SUITE(migrate_list, KTEST_QUICK);

/* All are in use until the last try. */
KTEST(more_pages_than_a_batch_are_moved)
{
	struct memory *mem = NEED(t, list_pages(t, MANY, 0, &lister_ops));

	lister.each = MIGRATE_PASSES - 1;
	EXPECT_EQ(t, migrate_pages(mem, listed, MANY, NULL), 0);
	EXPECT_EQ(t, lister.calls, MANY * MIGRATE_PASSES);
	expect_each(t, mem, MANY, PG_MOVABLE_OPS);
}

/* At first all pages of the first batch are in use, and some pages of the second. */
KTEST(pages_in_use_are_moved_later)
{
	struct memory *mem = NEED(t, list_pages(t, MANY, MIGRATE_BATCH + 6, &lister_ops));

	EXPECT_EQ(t, migrate_pages(mem, listed, MANY, NULL), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_MIGRATE_OK), MANY);
	EXPECT_EQ(t, mm_event_sum(mem, EV_MIGRATE_AGAIN), MIGRATE_BATCH + 6);
	expect_each(t, mem, MANY, PG_MOVABLE_OPS);
}

KTEST(page_that_stays_in_use_stays_where_it_is)
{
	struct memory *mem = NEED(t, list_pages(t, 1, 10000, &lister_ops));
	struct mm_fail fail = {.pfn = PFN_NONE};
	struct page *page = listed[0];

	EXPECT_EQ(t, migrate_pages(mem, listed, 1, &fail), 1);
	EXPECT_EQ(t, fail.pfn, page_to_pfn_in(mem, page));
	EXPECT_EQ(t, fail.why, WHY_BUSY);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
	expect_each(t, mem, 1, PG_MOVABLE_OPS);
}

KTEST(lent_page_is_put_back_as_one)
{
	struct memory *mem = NEED(t, list_pages(t, 1, 10000, &lent_ops));

	EXPECT_EQ(t, migrate_pages(mem, listed, 1, NULL), 1);
	EXPECT_EQ(t, word_state(page_word(listed[0])), PG_BALLOON);
	lister.refuse = -EBUSY;
	EXPECT_EQ(t, isolate_movable_page(mem, page_to_pfn_in(mem, listed[0])), -EBUSY);
	expect_each(t, mem, 1, PG_BALLOON);
}

/* A pin may last long: another try would only allocate another target. */
KTEST_COST(pinned_page_is_tried_once)
{
	struct memory *mem = NEED(t, list_pages(t, 1, 0, &lister_ops));

	lister.answer = -EBUSY;
	EXPECT_EQ(t, migrate_pages(mem, listed, 1, NULL), 1);
	EXPECT_EQ(t, lister.calls, 1);
	EXPECT_EQ(t, page_word(listed[0]), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
	page_release_movable(mem, listed[0]);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

/* The data of a broken page may be damaged, but a copy of them would count as intact. */
KTEST(broken_page_is_not_isolated)
{
	struct memory *mem = NEED(t, list_pages(t, 1, 0, &lister_ops));
	struct isolated_pages pages = {.to = NULL};
	struct page *page = listed[0];
	pfn_t pfn;

	pfn = page_to_pfn_in(mem, page);
	putback_movable_page(mem, page);
	EXPECT_EQ(t, mem_memory_failure(mem, pfn, 0, NULL), -EBUSY);
	EXPECT_EQ(t, isolate_movable_page(mem, pfn), -EBUSY);
	EXPECT_EQ(t, isolate_page(mem, pfn, &pages), -EBUSY);
	EXPECT_EQ(t, pages.nr_lru + pages.nr_movable, 0);
	EXPECT_EQ(t, word_state(page_word(page)), PG_MOVABLE_OPS);
	page_release_movable(mem, page);
	EXPECT_EQ(t, mem_unpoison_page(mem, pfn), 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

static void give_back(
    struct migrate_target *to, struct memory *mem, struct page *page, unsigned order)
{
	migrate_anywhere.give_back(to, mem, page, order);
}

/* The page, or another one of its block, breaks after it was isolated. */
static void expect_not_offered(struct ktest *t, u32 broken, unsigned pins)
{
	struct memory *mem = NEED(t, list_pages(t, 1, 0, &lister_ops));
	struct mm_fail fail = {.pfn = PFN_NONE};

	page_set_flags(listed[0], broken);
	listed[0]->pincount = pins;
	EXPECT_EQ(t, migrate_pages(mem, listed, 1, &fail), 1);
	listed[0]->pincount = 0;
	EXPECT_EQ(t, lister.calls, 0);
	EXPECT_EQ(t, fail.pfn, page_to_pfn_in(mem, listed[0]));
	EXPECT_EQ(t, fail.why, WHY_HWPOISON);
	page_clear_flags(listed[0], broken);
	expect_each(t, mem, 1, PG_MOVABLE_OPS);
}

KTEST(page_that_broke_is_not_offered_to_its_owner)
{
	expect_not_offered(t, PAGE_F_HWPOISON, 0);
}

KTEST(page_that_broke_is_named_as_broken_though_it_is_pinned)
{
	expect_not_offered(t, PAGE_F_HWPOISON, 1);
}

KTEST(block_whose_tail_broke_is_not_offered_to_its_owner)
{
	expect_not_offered(t, PAGE_F_HAS_HWPOISON, 0);
}

static struct page *broken_target;

/* The first target breaks between its allocation and the move. */
static struct page *get_and_break(struct migrate_target *to, struct memory *mem, unsigned order)
{
	struct page *page = migrate_anywhere.get(to, mem, order);

	if (page && !broken_target) {
		broken_target = page;
		/* -EBUSY: the page has an owner, so it is only flagged. */
		if (mem_memory_failure(mem, page_to_pfn_in(mem, page), 0, NULL) != -EBUSY)
			return NULL;
	}
	return page;
}

/* Both have happened: the owner has released the page, and its target has broken. */
KTEST(released_page_is_not_tried_again, KTEST_SLOW)
{
	struct migrate_target target = {.get = get_and_break, .give_back = give_back};
	struct memory *mem = NEED(t, list_pages(t, 1, 0, &lister_ops));
	struct isolated_pages pages = {.to = &target, .nr_movable = 1};
	struct migrate_stats stats = {0};

	pages.lru[MIGRATE_BATCH - 1] = listed[0];
	broken_target = NULL;
	page_release_movable(mem, listed[0]);
	EXPECT_EQ(t, migrate_isolated(mem, &pages, NULL, &stats), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_MIGRATE_AGAIN), 0);
	if (broken_target) /* whoever looks for the owner first needs no target */
		EXPECT_EQ(t, mem_unpoison_page(mem, page_to_pfn_in(mem, broken_target)), 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

KTEST(target_that_broke_is_not_moved_to)
{
	struct migrate_target target = {.get = get_and_break, .give_back = give_back};
	struct memory *mem = NEED(t, list_pages(t, 0, 0, &lister_ops));
	struct isolated_pages pages = {.to = &target};
	struct migrate_stats stats = {0};
	struct page *page;

	broken_target = NULL;
	page = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE, 0));
	make_movable(mem, page, &lister.owner, 0);
	EXPECT_EQ(t, isolate_page(mem, page_to_pfn_in(mem, page), &pages), 0);
	EXPECT_EQ(t, migrate_isolated(mem, &pages, NULL, &stats), 0);
	REQUIRE(t, broken_target);
	EXPECT_EQ(t, mm_event_sum(mem, EV_MIGRATE_AGAIN), 1);
	EXPECT_EQ(t, lister.calls, 1);
	/* The broken target was retired when it was given back. */
	EXPECT_EQ(t, word_state(page_word(broken_target)), PG_HWPOISON);
	EXPECT_EQ(t, mem_unpoison_page(mem, page_to_pfn_in(mem, broken_target)), 0);
	expect_each(t, mem, 1, PG_MOVABLE_OPS);
}

/* ---- what is counted ---- */

static unsigned given; /* targets, less those given back */

static struct page *get_given(struct migrate_target *to, struct memory *mem, unsigned order)
{
	struct page *page = migrate_anywhere.get(to, mem, order);

	given += page != NULL;
	return page;
}

static void give_back_given(
    struct migrate_target *to, struct memory *mem, struct page *page, unsigned order)
{
	given--;
	give_back(to, mem, page, order);
}

static struct page *get_none(struct migrate_target *to, struct memory *mem, unsigned order)
{
	return NULL;
}

/* The ends that a move of one page can have. */
static const struct {
	unsigned busy; /* so many tries find the page in use */
	int answer;    /* of its owner, at last */
	bool released, pinned, no_target;
	enum mm_why why; /* WHY_NONE: the page has not failed */
} ends[] = {{.why = WHY_NONE}, {.busy = 3}, {.busy = MIGRATE_PASSES - 1},
    {.busy = 10000, .why = WHY_BUSY}, {.answer = -ENOENT}, {.busy = 2, .answer = -ENOENT},
    {.answer = -EBUSY, .why = WHY_PINNED}, {.busy = 2, .answer = -EBUSY, .why = WHY_PINNED},
    {.answer = -EHWPOISON, .why = WHY_HWPOISON}, {.no_target = true, .why = WHY_NO_TARGET},
    {.pinned = true, .no_target = true, .why = WHY_PINNED}, {.released = true}};

/* Each try of the page is one event, and none if its owner has released it. */
static void expect_end(struct ktest *t, struct memory *mem, unsigned nr, bool before)
{
	u64 ok = mm_event_sum(mem, EV_MIGRATE_OK), again = mm_event_sum(mem, EV_MIGRATE_AGAIN),
	    fail = mm_event_sum(mem, EV_MIGRATE_FAIL);
	struct migrate_target to = {
	    .get = ends[nr].no_target ? get_none : get_given, .give_back = give_back_given};
	struct isolated_pages pages = {.to = &to};
	struct migrate_stats stats = {.no_target = before};
	struct page *page = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE, 0));
	bool failed = ends[nr].why != WHY_NONE;
	/* A failure of now takes the place of an earlier one. */
	struct mm_fail reason = {PFN_NONE, failed ? WHY_LAST : WHY_NONE};
	bool gone = ends[nr].released || ends[nr].answer == -ENOENT;
	pfn_t pfn = page_to_pfn_in(mem, page);

	lister.busy = ends[nr].busy;
	lister.answer = ends[nr].answer;
	lister.calls = lister.told = given = 0;
	make_movable(mem, page, &lister.owner, 0);
	EXPECT_EQ(t, isolate_page(mem, pfn, &pages), 0);
	if (ends[nr].released)
		page_release_movable(mem, page);
	WRITE_ONCE(page->pincount, ends[nr].pinned);
	EXPECT_EQ(t, migrate_isolated(mem, &pages, &reason, &stats), failed);
	WRITE_ONCE(page->pincount, 0);
	EXPECT_EQ(t, reason.pfn, failed ? pfn : PFN_NONE);
	EXPECT_EQ(t, reason.why, ends[nr].why);
	/* A page that is pinned needs no memory to move to. */
	EXPECT_EQ(t, stats.no_target, before || ends[nr].why == WHY_NO_TARGET);
	ok = mm_event_sum(mem, EV_MIGRATE_OK) - ok;
	again = mm_event_sum(mem, EV_MIGRATE_AGAIN) - again;
	EXPECT_EQ(t, ok, !failed && !gone);
	EXPECT_EQ(t, given, ok);
	EXPECT_EQ(t, lister.told, failed);
	EXPECT_EQ(t, mm_event_sum(mem, EV_MIGRATE_FAIL) - fail, failed);
	EXPECT_RANGE(t, lister.calls, 0, MIGRATE_PASSES);
	EXPECT_EQ(t, again, MAX(lister.calls, 1u) - 1);
	expect_each(t, mem, !gone, PG_MOVABLE_OPS);
}

/* Of two pages one is pinned, and for the other no memory is free, whichever comes first. */
static void expect_no_target(struct ktest *t, struct memory *mem, unsigned pinned)
{
	struct migrate_target to = {.get = get_none, .give_back = give_back_given};
	struct isolated_pages pages = {.to = &to};
	struct migrate_stats stats = {0};
	unsigned i;

	for (i = 0; i < 2; i++) {
		listed[i] = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE, 0));
		make_movable(mem, listed[i], &lister.owner, i);
		EXPECT_EQ(t, isolate_page(mem, page_to_pfn_in(mem, listed[i]), &pages), 0);
	}
	WRITE_ONCE(listed[pinned]->pincount, 1);
	EXPECT_EQ(t, migrate_isolated(mem, &pages, NULL, &stats), 2);
	WRITE_ONCE(listed[pinned]->pincount, 0);
	EXPECT(t, stats.no_target);
	expect_each(t, mem, 2, PG_MOVABLE_OPS);
}

KTEST(each_end_of_a_page_is_counted)
{
	struct memory *mem = NEED(t, list_pages(t, 0, 0, &lister_ops));
	unsigned nr;

	for (nr = 0; nr < 2; nr++)
		expect_no_target(t, mem, nr);
	/* Each end alone, and after a page for which no memory was free. */
	for (nr = 0; nr < 2 * ARRAY_SIZE(ends); nr++)
		expect_end(t, mem, nr / 2, nr % 2);
}

/* In place of an operation that has had the lock of the page's zone. */
static void page_loses_its_owner(const char *what, const struct spinlock *lock)
{
	if (lock->rank == RANK_LRU)
		listed[0]->owner = NULL;
}

/* Another owner may have it by then, or none. */
KTEST(page_released_before_the_lock_is_not_put_back)
{
	struct memory *mem = NEED(t, list_pages(t, 1, 0, &lister_ops));

	lister.told = 0;
	locks_told_begin(RANK_LRU, page_loses_its_owner);
	putback_movable_page(mem, listed[0]);
	locks_told_end();
	EXPECT_EQ(t, lister.told, 0);
	EXPECT_EQ(t, page_word(listed[0]), PAGE_WORD(1, PG_ISO_MIG, 0));
	mem_put_page(mem, listed[0]);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

static struct zone *first_zone; /* the zone of the page, until its lock is wanted */

/* In place of an operation that has the lock: the pageblock comes to another zone. */
static void page_changes_zone(const char *what, const struct spinlock *lock)
{
	struct memory *mem = first_zone->mem;
	const struct zone *other = first_zone == mem->zones ? mem->zones + 1 : mem->zones;

	if (lock == &first_zone->lru_lock)
		pageblock_of(mem, page_to_pfn_in(mem, listed[0]))->zone = other->id;
}

/* Its owner must not be asked under the lock of another zone. */
KTEST(page_that_has_changed_its_zone_is_not_isolated)
{
	struct memory *mem = NEED(t, list_pages(t, 1, 0, &lister_ops));
	pfn_t pfn = page_to_pfn_in(mem, listed[0]);
	u32 word;
	int err;

	putback_movable_page(mem, listed[0]);
	word = page_word(listed[0]);
	first_zone = zone_of(mem, pfn);
	lister.offered = 0;
	locks_told_begin(RANK_LRU, page_changes_zone);
	err = isolate_movable_page(mem, pfn);
	locks_told_end();
	EXPECT_EQ(t, err, -EAGAIN);
	pageblock_of(mem, pfn)->zone = first_zone->id;
	EXPECT_EQ(t, lister.offered, 0);
	EXPECT_EQ(t, page_word(listed[0]), word);
	page_release_movable(mem, listed[0]);
}

/* A page with all the references that its word can count gets no further one. */
KTEST(page_with_too_many_references_is_not_isolated)
{
	struct memory *mem = NEED(t, list_pages(t, 1, 0, &lister_ops));
	const u32 full = PAGE_WORD(PAGE_REF_MAX, PG_MOVABLE_OPS, 0);

	putback_movable_page(mem, listed[0]);
	WRITE_ONCE(listed[0]->word, full);
	lister.offered = 0;
	EXPECT_EQ(t, isolate_movable_page(mem, page_to_pfn_in(mem, listed[0])), -EAGAIN);
	EXPECT_EQ(t, page_word(listed[0]), full);
	/* The reference comes first: the owner has nothing to undo. */
	EXPECT_EQ(t, lister.offered, 0);
	WRITE_ONCE(listed[0]->word, PAGE_WORD(1, PG_MOVABLE_OPS, 0));
	expect_each(t, mem, 1, PG_MOVABLE_OPS);
}

/*
 * Such a page has no movable owner that could be asked, too.  Without the pin it fails beside an
 * owner's page, as no memory is free for them, and each goes back where it was.
 */
KTEST(pinned_page_of_an_object_is_busy)
{
	struct migrate_target none = {.get = get_none, .give_back = give_back};
	struct isolated_pages pages = {.to = &none};
	struct migrate_stats stats = {0};
	struct page *pinned, *owned;
	struct vm_scene s;

	lister = (struct lister){.owner.ops = &lister_ops};
	if (!scene_begin_filled(t, &s, 1))
		return;
	REQUIRE(t, vm_object_pin(s.object, 0, &pinned) == 0);
	EXPECT_EQ(t, isolate_page(s.mem, page_to_pfn_in(s.mem, pinned), &pages), -EBUSY);
	EXPECT_EQ(t, pages.nr_lru + pages.nr_movable, 0);
	mem_unpin_page(s.mem, pinned);
	owned = NEED(t, mem_alloc_pages(s.mem, GFP_MOVABLE, 0));
	make_movable(s.mem, owned, &lister.owner, 0);
	EXPECT_EQ(t, isolate_page(s.mem, page_to_pfn_in(s.mem, pinned), &pages), 0);
	EXPECT_EQ(t, isolate_page(s.mem, page_to_pfn_in(s.mem, owned), &pages), 0);
	EXPECT_EQ(t, pages.nr_lru, 1);
	EXPECT_EQ(t, migrate_isolated(s.mem, &pages, NULL, &stats), 2);
	EXPECT_EQ(t, word_state(page_word(pinned)), PG_LRU);
	EXPECT_EQ(t, word_state(page_word(owned)), PG_MOVABLE_OPS);
	page_release_movable(s.mem, owned);
	scene_end(t, &s);
}
