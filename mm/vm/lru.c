/* SPDX-License-Identifier: MIT */
/*
 * lru.c: the pages of memory objects, listed by age in each zone.
 *
 * Owns:       zone->lru[], and the states LRU and, for objects' pages, ISO_MIG.
 * Locks:      the zone's lru lock for the lists, those states and page->owner.
 * Invariants: a page whose owner is an object is counted once in that object's account, by the kind
 *             of its zone.
 *             A page in state LRU with an owner is on the list that its object and its flag ACTIVE
 *             determine.  A page without an owner is on no list, and is about to be freed by its
 *             last put.  An object's slot holds a reference, which is dropped only after the page
 *             has left its list; so a page found on a list is referenced.  There is no list per
 *             CPU: it would hide pages from a scanner, and hold references to them.
 * Tests:      lru, reclaim_choice, reclaim_lru, held, step_move.
 */
#include "mm/core/page.h"
#include "mm/core/zone.h"
#include "mm/vm/lru.h"
#include <quarry/account.h>
#include <quarry/sched_point.h>

/* The list for @page, which has an owner; the owner exists as long as the page names it. */
static struct lru_list *list_of(struct zone *zone, const struct page *page)
{
	const struct vm_object *object = page->owner;

	if (object->kind == OBJ_ANON)
		return &zone->lru[LRU_UNEVICTABLE];
	return &zone->lru[page_word(page) & PAGE_ACTIVE ? LRU_ACTIVE : LRU_INACTIVE];
}

/* Insert @page at the head of its list, as the youngest.  lru lock. */
static always_inline void list_insert(struct zone *zone, struct page *page)
{
	struct lru_list *list = list_of(zone, page);
	u32 pfn = (u32)page_to_pfn_in(zone->mem, page);

	CHECKED_ASSERT(spin_is_held(&zone->lru_lock));
	PAGE_ASSERT(zone->mem, page, word_state(page_word(page)) == PG_LRU);
	page->prev = (u32)PFN_NONE;
	page->next = list->head;
	if (list->head == PFN_NONE)
		list->tail = pfn;
	else
		pfn_to_page_in(zone->mem, list->head)->prev = pfn;
	list->head = pfn;
	WRITE_ONCE(list->nr, list->nr + 1);
	sched_point("lru.insert");
}

/* Remove the @nr pages from @young to @old, which are neighbours on their list.  lru lock. */
static void list_remove_run(
    struct zone *zone, const struct page *young, const struct page *old, unsigned nr)
{
	struct lru_list *list = list_of(zone, old);

	CHECKED_ASSERT(spin_is_held(&zone->lru_lock));
	PAGE_ASSERT(zone->mem, old, list->nr >= nr);
	CHECKED_ASSERT(
	    (list->head == page_to_pfn_in(zone->mem, young)) == (young->prev == PFN_NONE));
	CHECKED_ASSERT((list->tail == page_to_pfn_in(zone->mem, old)) == (old->next == PFN_NONE));
	if (young->prev == PFN_NONE)
		list->head = old->next;
	else
		pfn_to_page_in(zone->mem, young->prev)->next = old->next;
	if (old->next == PFN_NONE)
		list->tail = young->prev;
	else
		pfn_to_page_in(zone->mem, old->next)->prev = young->prev;
	WRITE_ONCE(list->nr, list->nr - nr);
	sched_point("lru.remove");
}

static void list_remove(struct zone *zone, const struct page *page)
{
	list_remove_run(zone, page, page, 1);
}

/* lru_add_page under the lru lock.  False: the page broke; it is on no list. */
static always_inline bool add_locked(
    struct zone *zone, struct page *page, struct vm_object *object, u32 index) REQUIRES(lru_class)
{
	bool listed = object->kind != OBJ_PHYS;

	PAGE_ASSERT(zone->mem, page, word_order(page_word(page)) == 0 && page->mapcount == 0);
	WRITE_ONCE(page->owner, object);
	page->index = index;
	if (!page_take_state(page, listed ? PG_LRU : PG_OBJECT))
		return false;
	if (!listed) {
		page_set_flags(page, PAGE_UNEVICTABLE);
	} else {
		list_insert(zone, page);
		if (object->kind != OBJ_ANON)
			WRITE_ONCE(zone->lru_came, zone->lru_came + 1);
	}
	return true;
}

static enum account_kind kind_in(const struct zone *zone)
{
	return zone->kind == ZONE_MOVABLE ? ACCOUNT_MOVABLE : ACCOUNT_PAGES;
}

bool lru_add_page(struct memory *mem, struct page *page, struct vm_object *object, u32 index)
{
	struct zone *zone = zone_of(mem, page_to_pfn_in(mem, page));
	irqflags_t flags = lru_lock_irqsave(zone);
	bool added = add_locked(zone, page, object, index);

	if (added)
		account_count(object->account, kind_in(zone), 1);
	else
		WRITE_ONCE(page->owner, NULL);
	lru_unlock_irqrestore(zone, flags);
	if (added)
		trace_page(mem, TR_movable, page_to_pfn_in(mem, page), 0);
	return added;
}

/* Correct the accounts: pages new[] of zone @to have replaced old[], perhaps of other zones. */
static void account_moved(const struct zone *to, struct page **old, struct page **new, unsigned nr)
{
	unsigned i, end;

	for (i = 0; i < nr; i = end) {
		const struct zone *from = zone_of(to->mem, page_to_pfn_in(to->mem, old[i]));
		const struct vm_object *object = new[i]->owner;

		for (end = i + 1; end < nr && new[end]->owner == object; end++)
			if (!zone_has_page(from, old[end]))
				break;
		if (kind_in(from) == kind_in(to))
			continue;
		account_count(object->account, kind_in(to), end - i);
		account_uncharge(object->account, kind_in(from), end - i);
	}
}

unsigned lru_replace_pages(struct memory *mem, struct page **old, struct page **new, unsigned nr)
{
	unsigned i, end;
	bool broke = false;

	KASSERT(nr <= LRU_AT_ONCE);
	for (i = 0; i < nr; i = end) {
		struct zone *zone = zone_of(mem, page_to_pfn_in(mem, old[i]));
		irqflags_t flags = lru_lock_irqsave(zone);

		for (end = i; end < nr && zone_has_page(zone, old[end]); end++) {
			PAGE_ASSERT(mem, old[end], word_state(page_word(old[end])) == PG_ISO_MIG);
			PAGE_ASSERT(mem, old[end], old[end]->mapcount == 0);
			WRITE_ONCE(old[end]->owner, NULL);
		}
		lru_unlock_irqrestore(zone, flags);
	}
	for (i = 0; i < nr && !broke; i = end) {
		struct zone *zone = zone_of(mem, page_to_pfn_in(mem, new[i]));
		irqflags_t flags = lru_lock_irqsave(zone);

		for (end = i; end < nr && zone_has_page(zone, new[end]) && !broke;) {
			broke = !add_locked(zone, new[end], new[end]->owner, old[end]->index);
			end += !broke;
		}
		account_moved(zone, old + i, new + i, end - i);
		lru_unlock_irqrestore(zone, flags);
	}
	/* The old pages are isolated and frozen, so nobody misses their owner meanwhile. */
	for (end = i; end < nr; end++)
		WRITE_ONCE(old[end]->owner, new[end]->owner);
	trace_blocks(mem, TR_movable, new, i, 0);
	return i;
}

/* How many of pages[], from the first on, are neighbours on their list: 1 to @nr. */
static unsigned run_on_list(const struct memory *mem, struct page **pages, unsigned nr)
{
	unsigned i;

	for (i = 1; i < nr; i++)
		if (word_state(page_word(pages[i])) != PG_LRU ||
		    pages[i]->next != page_to_pfn_in(mem, pages[i - 1]))
			break;
	return i;
}

/* Pages added one after the other are neighbours on their list, and leave it in one step. */
void lru_release_pages(struct memory *mem, struct page **pages, unsigned nr)
{
	unsigned i = 0;

	while (i < nr) {
		struct zone *zone = zone_of(mem, page_to_pfn_in(mem, pages[i]));
		const struct vm_object *object = pages[i]->owner;
		irqflags_t flags = lru_lock_irqsave(zone);
		unsigned first = i;

		do {
			unsigned run = 1;

			/* In state ISO_MIG: its migrator will find that it has no owner. */
			if (word_state(page_word(pages[i])) == PG_LRU) {
				run = run_on_list(mem, pages + i, nr - i);
				list_remove_run(zone, pages[i + run - 1], pages[i], run);
			}
			while (run--) {
				PAGE_ASSERT(mem, pages[i],
				    pages[i]->mapcount == 0 && pages[i]->owner == object);
				WRITE_ONCE(pages[i++]->owner, NULL);
			}
		} while (i < nr && zone_has_page(zone, pages[i]));
		account_uncharge(object->account, kind_in(zone), i - first);
		lru_unlock_irqrestore(zone, flags);
	}
}

/* isolate_lru_page for a page that was found in @zone, whose lru lock is held. */
static int isolate_locked(struct zone *zone, struct page *page)
{
	const void *owner = load_acquire(&page->owner);
	int err;

	sched_point("lru.isolate");
	/*
	 * A page gets this state under the lock, so a page that still has it had it when its owner
	 * was read.  One without an owner has left its list, and may be freed and used otherwise.
	 * The pageblock may have come back in another zone: its zone is read after the state.
	 */
	if (!owner || word_state(page_word(page)) != PG_LRU || !zone_has_page(zone, page))
		return -EAGAIN;
	/* A pinned page must not move, and a broken page is not copied. */
	err = READ_ONCE(page->pincount) || page_poisoned(page) ? -EBUSY : get_page(page);
	if (!err) {
		list_remove(zone, page);
		page_cas_state(page, PG_LRU, PG_ISO_MIG);
	}
	return err;
}

int isolate_lru_page(struct memory *mem, pfn_t pfn)
{
	struct zone *zone = zone_of(mem, pfn);
	irqflags_t flags = spin_lock_irqsave(&zone->lru_lock);
	int err = isolate_locked(zone, pfn_to_page_in(mem, pfn));

	spin_unlock_irqrestore(&zone->lru_lock, flags);
	if (!err)
		trace_page(mem, TR_lru_take, pfn, 0);
	return err;
}

unsigned lru_isolate_found(struct zone *zone, u32 *found, unsigned *nr, struct page **pages)
{
	unsigned i = 0, left = 0, taken = 0;

	while (i < *nr) {
		unsigned end = MIN(i + LRU_AT_ONCE, *nr);
		irqflags_t flags = lru_lock_irqsave(zone);

		for (; i < end; i++) {
			struct page *page = pfn_to_page_in(zone->mem, found[i]);
			int err = isolate_locked(zone, page);

			if (!err)
				pages[taken++] = page;
			else if (err == -EAGAIN)
				found[left++] = found[i];
		}
		lru_unlock_irqrestore(zone, flags);
	}
	trace_blocks(zone->mem, TR_lru_take, pages, taken, 0);
	*nr = left;
	return taken;
}

int isolate_broken_page(struct memory *mem, pfn_t pfn)
{
	struct page *page = pfn_to_page_in(mem, pfn);
	struct zone *zone = zone_of(mem, pfn);
	irqflags_t flags = lru_lock_irqsave(zone);
	const void *owner = load_acquire(&page->owner); /* before the state: isolate_locked */
	enum page_state state = word_state(page_word(page));
	bool there = owner && (state == PG_LRU || state == PG_OBJECT);
	int err = !there ? -EAGAIN : get_page(page) ? -EOVERFLOW : 0;

	if (!err && state == PG_LRU) {
		list_remove(zone, page);
		page_cas_state(page, PG_LRU, PG_ISO_MIG);
	} else if (!err) {
		page_cas_state(page, PG_OBJECT, PG_ISO_MIG);
	}
	lru_unlock_irqrestore(zone, flags);
	return err;
}

/* Can the page be dropped without an unmapping?  If only its slot refers to it, no entry does. */
static bool needs_no_unmapping(const struct page *page)
{
	u32 word = page_word(page);

	return word_ref(word) == 1 && !(word & (PAGE_LOCKED | PAGE_DIRTY | PAGE_REFERENCED));
}

/* Is the page one that a scan for @take moves to the other end of its list? */
static bool passed_over(const struct zone *zone, const struct page *page, enum lru_take take)
{
	return take >= TAKE_LENT && page_lent(zone, page) != (take == TAKE_LENT);
}

unsigned lru_isolate_tail(
    struct zone *zone, unsigned which, enum lru_take take, struct page **pages, unsigned max)
{
	irqflags_t flags = lru_lock_irqsave(zone);
	u32 pfn = zone->lru[which].tail;
	unsigned looked, nr = 0;

	KASSERT(which < NR_LRU);
	for (looked = 0; looked < LRU_SCAN && nr < max && pfn != PFN_NONE; looked++) {
		struct page *page = pfn_to_page_in(zone->mem, pfn);

		pfn = page->prev;
		if (take == TAKE_UNMAPPED && !needs_no_unmapping(page))
			continue;
		list_remove(zone, page);
		/* What is not taken goes to the other end: no later scan meets it first. */
		if (passed_over(zone, page, take) || READ_ONCE(page->pincount) ||
		    page_poisoned(page) || get_page(page)) {
			list_insert(zone, page);
			continue;
		}
		page_cas_state(page, PG_LRU, PG_ISO_MIG);
		pages[nr++] = page;
	}
	atomic_add(&zone->nr_reclaiming, nr);
	lru_unlock_irqrestore(zone, flags);
	return nr;
}

void putback_lru_page(struct memory *mem, struct page *page)
{
	struct zone *zone = zone_of(mem, page_to_pfn_in(mem, page));
	irqflags_t flags = spin_lock_irqsave(&zone->lru_lock);
	bool owned = page->owner;

	PAGE_ASSERT(mem, page, word_state(page_word(page)) == PG_ISO_MIG);
	if (owned) {
		page_cas_state(page, PG_ISO_MIG, PG_LRU);
		list_insert(zone, page);
		mem_put_page(mem, page); /* not the last reference: the page's slot has one */
	}
	spin_unlock_irqrestore(&zone->lru_lock, flags);
	if (!owned)
		mem_put_page(mem, page);
}
