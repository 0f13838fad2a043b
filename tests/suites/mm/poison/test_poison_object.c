/* SPDX-License-Identifier: MIT */
/*
 * test_poison_object.c: a page of an object breaks: its content moves, or the users are told of the
 * loss and can replace the page. All other pages stay.
 */
#include "mm/core/zone.h"
#include "mm/poison/poison.h"
#include "tests/lib/poison_help.h"
#include "tests/lib/vm_help.h"
#include "tests/lib/wait_help.h"

KTEST_SUITE(poison_object, 0);

KTEST(soft_offline_moves_the_content)
{
	struct vm_scene s;
	struct page *page;
	unsigned long free;
	u64 faults;

	if (!scene_begin_loaded(t, &s, 3, t->seed))
		return;
	page = page_in(s.object, 1);
	faults = mm_event_sum(s.mem, EV_FAULTS);
	free = memory_free_pages(s.mem);
	EXPECT_EQ(t, mem_soft_offline_page(s.mem, page_to_pfn_in(s.mem, page)), 0);
	EXPECT(t, page_in(s.object, 1) && page_in(s.object, 1) != page);
	expect_pages(t, 0, 3, t->seed);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_FAULTS), faults);
	/* The target was allocated, and the source is retired. */
	EXPECT_EQ(t, memory_free_pages(s.mem), free - 1);
	EXPECT(t, is_retired(s.mem, page_to_pfn_in(s.mem, page)));
	expect_poisoned(t, s.mem, 1);
	soft_unload_space();
	EXPECT_EQ(t, mem_unpoison_page(s.mem, page_to_pfn_in(s.mem, page)), 0);
	scene_end(t, &s);
}

KTEST(a_failed_soft_offline_changes_nothing)
{
	struct pile pile = {NULL, 0};
	struct vm_scene s;
	struct page *page;
	pfn_t pfn;

	if (!scene_begin_loaded(t, &s, 3, 8))
		return;
	REQUIRE(t, vm_object_pin(s.object, 1, &page) == 0);
	pfn = page_to_pfn_in(s.mem, page);
	EXPECT_EQ(t, mem_soft_offline_page(s.mem, pfn), -EBUSY);
	EXPECT_EQ(t, word_state(page_word(page)), PG_LRU);
	EXPECT(t, page_in(s.object, 1) == page && !is_flagged(s.mem, pfn));
	expect_poisoned(t, s.mem, 0);
	mem_unpin_page(s.mem, page);
	pile_alloc_last(s.mem, &pile);
	EXPECT_EQ(t, mem_soft_offline_page(s.mem, pfn), -ENOMEM);
	EXPECT_EQ(t, page_word(page) & ~(PAGE_PINNED | PAGE_DIRTY | PAGE_REFERENCED),
	    PAGE_WORD(2, PG_LRU, 0));
	expect_poisoned(t, s.mem, 0);
	EXPECT_EQ(t, pile_free(s.mem, &pile), 0);
	expect_pages(t, 0, 3, 8);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_SOFT_OFFLINE_FAIL), 2);
	EXPECT_EQ(t, mem_soft_offline_page(s.mem, pfn), 0);
	expect_pages(t, 0, 3, 8);
	soft_unload_space();
	EXPECT_EQ(t, mem_unpoison_page(s.mem, pfn), 0);
	scene_end(t, &s);
}

/* Every access to a lost page fails, and the other pages stay. Its slot can get a new page. */
KTEST(a_lost_page_is_reported_and_replaced)
{
	struct poison_result res;
	struct page *page;
	struct vm_scene s;
	u64 value;
	pfn_t pfn;

	if (!scene_begin_loaded(t, &s, 3, 7))
		return;
	pfn = page_to_pfn_in(s.mem, page_in(s.object, 1));
	EXPECT_EQ(t, mem_memory_failure(s.mem, pfn, 0, &res), 0);
	EXPECT_EQ(t, res.state, PG_LRU);
	EXPECT_EQ(t, res.unmapped, 1);
	EXPECT(t, res.lost);
	/* The page was in the TLB of this CPU. */
	EXPECT_EQ(t, soft_try_write(page_at(1), 1), -EFAULT);
	EXPECT_EQ(t, soft_read(page_at(1), &value), -EHWPOISON);
	EXPECT_EQ(t, soft_write(page_at(1) + 8, 1), -EHWPOISON);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_FAULT_LOST), 2);
	EXPECT_EQ(t, vm_object_supply(s.object, 1, NULL), -EHWPOISON);
	EXPECT_EQ(t, vm_object_pin(s.object, 1, &page), -EHWPOISON);
	EXPECT(t, vm_object_has(s.object, 1));
	EXPECT_EQ(t, vm_object_present(s.object), 2);
	EXPECT_EQ(t, vm_object_pages(s.object, ZONE_MOVABLE), 2);
	expect_pages(t, 0, 1, 7);
	expect_pages(t, 2, 3, 7);
	expect_poisoned(t, s.mem, 1);
	EXPECT_EQ(t, vm_object_remove(s.object, 1, 1), 0);
	EXPECT_EQ(t, soft_read(page_at(1), &value), 0);
	EXPECT_EQ(t, value, 0);
	EXPECT_EQ(t, vm_object_present(s.object), 3);
	soft_unload_space();
	EXPECT_EQ(t, mem_unpoison_page(s.mem, pfn), 0);
	scene_end(t, &s);
}

/* An object with a lost page is destroyed like any other. */
KTEST(object_with_a_lost_page_is_destroyed)
{
	struct poison_result res;
	struct vm_scene s;
	pfn_t pfn;

	if (!scene_begin_filled(t, &s, 3))
		return;
	pfn = page_to_pfn_in(s.mem, page_in(s.object, 2));
	EXPECT_EQ(t, mem_memory_failure(s.mem, pfn, 0, &res), 0);
	EXPECT_EQ(t, res.unmapped, 0);
	EXPECT(t, res.lost);
	vm_object_put(s.object);
	vm_space_put(s.space);
	s.object = NULL;
	s.space = NULL;
	expect_poisoned(t, s.mem, 1);
	EXPECT_EQ(t, mem_unpoison_page(s.mem, pfn), 0);
	scene_end(t, &s);
}

/*
 * A page is flagged by a judgement from before it entered its slot. It stays with its object,
 * neither moved nor dropped. The next failure retires it, or the last put after that.
 */
static void flagged_in_transit(struct ktest *t, struct vm_object *object, bool pinned)
{
	struct memory *mem = object->mem;
	struct poison_result res;
	struct page *page;
	pfn_t pfn;

	REQUIRE(t, !vm_object_supply(object, 0, NULL));
	REQUIRE(t, (page = mem_alloc_pages(mem, object_gfp(object), 0)));
	pfn = page_to_pfn_in(mem, page);
	spin_lock(&object->lock);
	EXPECT(t, object_fill(object, object_slot(object, 1), 1, page));
	spin_unlock(&object->lock);
	EXPECT_EQ(t, pinned ? pin_page(page) : 0, 0);
	doom_page(mem, pfn);
	expect_poisoned(t, mem, 1);
	EXPECT(t, isolate_lru_page(mem, pfn) < 0);
	EXPECT_EQ(t, mem_soft_offline_page(mem, pfn), -EBUSY);
	EXPECT_EQ(t, mem_memory_failure(mem, pfn, 0, &res), 0);
	EXPECT_EQ(t, res.outcome, pinned ? POISON_DELAYED : POISON_RECOVERED);
	if (pinned)
		mem_unpin_page(mem, page);
	EXPECT(t, is_retired(mem, pfn));
	EXPECT_EQ(t, mem_poisoned(mem).retired, 1);
	expect_poisoned(t, mem, 1);
	EXPECT_EQ(t, mem_unpoison_page(mem, pfn), 0);
}

KTEST(page_flagged_before_its_slot_stays_with_the_object)
{
	struct vm_object *fixed;
	struct vm_scene s;

	if (!scene_begin_pager(t, &s, 3, &scene_pager, NULL))
		return;
	flagged_in_transit(t, s.object, false);
	if (vm_object_create(s.mem, OBJ_PHYS, 3, NULL, NULL, &fixed) == 0) {
		flagged_in_transit(t, fixed, true);
		vm_object_put(fixed);
	}
	scene_end(t, &s);
}

static u32 locked, retiring; /* atomic: this CPU has the lock; the other is at poison_retire */

static void retire(void *request)
{
	own_wait(&locked);
	store_release(&retiring, 1);
	poison_retire(request);
}

/*
 * Another CPU drops its reference while it holds the zone lock and poison_retire waits for that
 * lock.  In the hold of poison_retire the isolation's reference is the only one.
 */
KTEST(reference_dropped_before_the_hold_is_no_reference)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 0));
	struct page *page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 0));
	struct poison_result res = {.outcome = POISON_IGNORED};
	struct poison_request request = {.mem = mem, .res = &res};
	irqflags_t flags;

	if (!ktest_needs_cpus(t, 2)) {
		EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
		return;
	}
	request.pfn = request.head = page_to_pfn_in(mem, page);
	request.zone = zone_of(mem, request.pfn);
	EXPECT_EQ(t, get_page(page), 0);
	locked = retiring = 0;
	ktest_start(1, retire, &request);
	flags = zone_lock_irqsave(request.zone);
	store_release(&locked, 1);
	/* On fibers the other CPU runs on until it waits for the lock. */
	EXPECT(t, own_wait(&retiring));
	EXPECT_EQ(t, mem_put_page(mem, page), 0);
	zone_unlock_irqrestore(request.zone, flags);
	ktest_join(1);
	EXPECT_EQ(t, res.outcome, POISON_RECOVERED);
	EXPECT(t, is_retired(mem, request.pfn));
	expect_poisoned(t, mem, 1);
	EXPECT_EQ(t, mem_unpoison_page(mem, request.pfn), 0);
}

/* ---- one step alone ---- */

static void retire_it(void *r)
{
	poison_retire(r);
}

/*
 * The lists of an object's page say whether it can be taken: a page that is on none stays, and no
 * attempt is made.
 */
KTEST(soft_report_does_not_try_a_page_on_no_list)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	struct page *page = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE, 0));
	struct poison_result res = {0};
	struct poison_request r = {.mem = mem, .pfn = page_to_pfn_in(mem, page), .res = &res};
	int err = 0;

	r.zone = zone_of(mem, r.pfn);
	page->owner = &res; /* not looked at: only the state says whether the page is on a list */
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_OBJECT, 0));
	mutex_lock(&mem->poison);
	EXPECT_EQ(t, poison_judge_once(&r, &err), SETTLED);
	mutex_unlock(&mem->poison);
	EXPECT_EQ(t, err, -EBUSY);
	EXPECT_EQ(t, res.outcome, POISON_FAILED);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_OBJECT, 0));
	page->owner = NULL;
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
}

/*
 * Between two holds another CPU could get a reference to the page, or drop one.  The references are
 * those of the block, whose tail the page may be.
 */
KTEST(page_is_retired_in_one_hold)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	unsigned order;

	for (order = 0; order < 2; order++) {
		struct page *head = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE, order));
		struct poison_result res = {0};
		struct poison_request r = {.mem = mem, .res = &res};

		r.head = page_to_pfn_in(mem, head);
		r.pfn = r.head + order;
		r.zone = zone_of(mem, r.pfn);
		WRITE_ONCE(head->word, PAGE_WORD(2, PG_ISO_MIG, order));
		EXPECT_EQ(t, zone_locks_of(r.zone, retire_it, &r), 1);
		EXPECT_EQ(t, res.outcome, POISON_DELAYED);
		EXPECT_EQ(t, page_word(head),
		    PAGE_WORD(1, PG_ISO_MIG, order) |
		        (order ? PAGE_F_HAS_HWPOISON : PAGE_F_HWPOISON));
		EXPECT(t, is_flagged(mem, r.pfn));
		EXPECT_EQ(t, zone_locks_of(r.zone, retire_it, &r), 1);
		EXPECT_EQ(t, res.outcome, POISON_RECOVERED);
		expect_poisoned(t, mem, 1);
		EXPECT_EQ(t, mem_poisoned(mem).doomed, 0);
		EXPECT_EQ(t, mem_unpoison_page(mem, r.pfn), 0);
	}
}
