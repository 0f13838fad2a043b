/* SPDX-License-Identifier: MIT */
/*
 * reclaim_lru.c: choosing pages of objects when memory is short, and dropping them.
 *
 * Owns:       pages that it has isolated, until they are dropped or put back; zone->nr_reclaiming.
 * Locks:      a page's LOCKED bit (trylock); the object's lock, in it the tables' and lru locks.
 * Invariants: only a page of a pager's object is dropped, and only while its pager has the content:
 *             a dirty page is first handed over, when no thread can write to it any more.  While it
 *             is unmapped for that, a marker and migration entries stand in its place, as in a move
 *             (migrate_lru.c): a fault on it waits.  A mapped page needs a shootdown, which is a
 *             cross-call: only reclaim threads drop such pages, with one for each batch.
 * Tests:      reclaim_lru, reclaim_choice, reclaim_clean, reclaim_stress, reclaim_exact, held.
 *
 * References: the slot's and the isolation's.  A page that has just these two, under the object's
 * lock, is neither mapped nor in use: other references are taken only from slots and entries, under
 * that lock; and an unmapping keeps its own reference until its shootdown is over (tlb.c).
 */
#include "mm/core/event.h"
#include "mm/move/migrate_step.h"
#include "mm/reclaim/reclaim.h"
#include "mm/vm/vm.h"
#include <quarry/sched_point.h>

/* The decision about an isolated page. */
enum verdict {
	KEEP,     /* put it back */
	DROPPED,  /* out of its slot; the slot's reference is the caller's: free the page */
	UNMAPPED, /* replaced by a marker and unmapped: settle it after the shootdown */
};

struct unmapped {
	struct page *page;
	struct vm_object *object; /* with a reference */
	bool mapped;              /* it was mapped: migration entries stand in its place */
};

/* Wait for pagers for this long before waiting allocations know what was freed meanwhile. */
#define TELL_NS 5000000ULL

/* The number of runs ever made over zones, of all memories. */
static u64 runs; /* atomic */

struct batch {
	struct lru_scan *scan;
	struct lru_scan told; /* of this, as it was then, waiting allocations know */
	struct tlb_gather *g;
	unsigned nr;
	struct unmapped page[RECLAIM_BATCH];
};

/* Put an isolated page back, or free it; until then it is counted (run_may_gain, check_memory). */
static void reclaim_settled(struct zone *zone, struct page *page, bool dropped)
{
	irqflags_t flags = arch_irq_save();
	u32 before;

	if (dropped)
		mem_put_page(zone->mem, page);
	else
		putback_lru_page(zone->mem, page);
	before = atomic_sub(&zone->nr_reclaiming, 1u);
	KASSERT(before > 0);
	arch_irq_restore(flags);
}

static void count_freed(struct lru_scan *scan, const struct page *page)
{
	scan->freed++;
	scan->freed_cma += page_lent(scan->zone, page);
}

/* The active list keeps a page that is needed, or stays for now, away from the next batches. */
static enum verdict keep_active(struct page *page)
{
	page_set_flags(page, PAGE_ACTIVE);
	return KEEP;
}

/* Empty the slot of @page, which is the only way to reach it.  Under the object's lock. */
static void reclaim_slot(struct vm_object *object, struct page *page)
{
	object_release_page(object, page, 0);
	trace_page(object->mem, TR_dropped, page_to_pfn_in(object->mem, page), 0);
}

/* Has the page been touched since the last call?  *@dirty: it has been written to. */
static bool was_touched(
    struct vm_object *object, struct page *page, struct tlb_gather *g, bool *dirty)
{
	/* Without a mapping there is no entry to check, so the regions are not walked. */
	u64 bits = g && page->mapcount ? rmap_age(object, page->index, g) : 0;
	u32 word = page_word(page);

	page_clear_flags(page, PAGE_REFERENCED);
	*dirty = word & PAGE_DIRTY || bits & PTE_DIRTY;
	return word & PAGE_REFERENCED || bits & PTE_ACCESSED;
}

/* May the run ask the object's pager?  Not after a refusal in this run, nor without time left. */
static bool may_ask(const struct lru_scan *scan, const struct vm_object *object)
{
	return object->ops->clean && READ_ONCE(object->refused) != scan->run &&
	    scan->waited_ns < RUN_PAGERS_NS;
}

/* Decide about a locked page, under the object's lock. */
static enum verdict reclaim_judge(struct batch *b, struct vm_object *object, struct page *page)
{
	struct lru_scan *scan = b->scan;
	bool touched, dirty;

	KASSERT(spin_is_held(&object->lock));
	PAGE_ASSERT(object->mem, page, page_word(page) & PAGE_LOCKED);
	/* A walk changes the entries of a slot; an allocation must not wait for its end. */
	if (object->walked)
		return KEEP;
	/* The page may have left its slot, or be pinned: pins are taken under this lock. */
	if (slot_page(object_lookup(object, page->index)) != page)
		return KEEP;
	if (READ_ONCE(page->pincount))
		return keep_active(page);
	if (scan->spare_cma && page_lent(scan->zone, page))
		return KEEP;
	/* A dirty page that no pager takes would not be dropped: do not walk its entries. */
	if (!scan->direct && page_word(page) & PAGE_DIRTY && !may_ask(scan, object))
		return keep_active(page);
	if (!scan->direct && !rmap_may_walk(&scan->walked, object, page))
		return keep_active(page);
	touched = was_touched(object, page, scan->direct ? NULL : b->g, &dirty);
	if (touched && !scan->desperate) {
		MM_EVENT(object->mem, RECLAIM_KEPT);
		return keep_active(page);
	}
	if (!dirty && word_ref(page_word(page)) == 2) {
		reclaim_slot(object, page);
		return DROPPED;
	}
	if (scan->direct)
		return KEEP;
	if (dirty && !may_ask(scan, object))
		return keep_active(page);
	mig_mark(object, object_slot(object, page->index), page);
	b->page[b->nr].mapped = page->mapcount;
	if (page->mapcount)
		rmap_migrate(object, &page, 1, b->g);
	return UNMAPPED;
}

static void look_at(struct batch *b, struct page *page)
{
	struct zone *zone = b->scan->zone;
	struct vm_object *object = lru_get_object(zone->mem, page);
	enum verdict verdict = KEEP;

	/* Do not wait for the page's lock: its holder may be waiting for memory. */
	if (object && page_trylock(page)) {
		spin_lock(&object->lock);
		verdict = reclaim_judge(b, object, page);
		spin_unlock(&object->lock);
		if (verdict == UNMAPPED) {
			KASSERT(b->nr < RECLAIM_BATCH && !b->scan->direct);
			b->page[b->nr].page = page;
			b->page[b->nr++].object = object;
			return;
		}
		mig_unlock(page, false);
	}
	if (verdict == DROPPED) {
		mem_put_page(zone->mem, page); /* the slot's reference, not the last one */
		count_freed(b->scan, page);
	}
	reclaim_settled(zone, page, verdict == DROPPED);
	if (object)
		vm_object_put(object);
}

/* Give the frozen page, if it is dirty, to its pager.  True: the pager has its content. */
static bool is_clean(struct batch *b, const struct unmapped *u)
{
	struct vm_object *object = u->object;
	struct lru_scan *scan = b->scan;
	u64 began, now;
	int err;

	if (!(page_word(u->page) & PAGE_DIRTY))
		return true;
	/* Again: it may have been written to since reclaim_judge.  A broken page is not read. */
	if (page_poisoned(u->page) || !may_ask(scan, object))
		return false;
	began = arch_clock_ns();
	err = object->ops->clean(object, u->page->index, page_address_in(object->mem, u->page),
	    RUN_PAGERS_NS - scan->waited_ns);
	now = arch_clock_ns();
	scan->waited_ns += now > began ? now - began : 0;
	sched_point("reclaim.cleaned");
	if (err == -EAGAIN)
		return false; /* the run's time is over, and not the pager's */
	if (err) {
		MM_EVENT(object->mem, RECLAIM_REFUSED);
		WRITE_ONCE(object->refused, scan->run);
		return false;
	}
	MM_EVENT(object->mem, RECLAIM_CLEANED);
	WRITE_ONCE(object->refused, 0);
	page_clear_flags(u->page, PAGE_DIRTY);
	return true;
}

/* After the shootdown: drop the page, or map it again. */
static void reclaim_finish(struct batch *b, struct unmapped *u)
{
	struct vm_object *object = u->object;
	struct memory *mem = object->mem;
	pfn_t pfn = page_to_pfn_in(mem, u->page);
	bool frozen = mig_freeze(u->page), drop = frozen && is_clean(b, u), gone;
	u64 *slot;

	if (frozen)
		mig_thaw(u->page);
	object_lock(object);
	slot = object_slot(object, u->page->index);
	/* Another thread may have emptied the slot; then it has left the slot's reference to us. */
	gone = *slot != slot_marker(pfn);
	if (!gone && drop) {
		if (u->mapped)
			rmap_unmap(object, u->page->index, 0, NULL);
		reclaim_slot(object, u->page);
	} else if (!gone) {
		*slot = (uintptr_t)u->page;
		if (u->mapped)
			rmap_restore(object, u->page->index, pte_migration(pfn), u->page);
	}
	spin_unlock(&object->lock);
	if (gone || drop)
		mem_put_page(mem, u->page);
	/* Wake before the unlock: the page that a queued thread waits for is locked. */
	migwait_wake(mem, pfn);
	mig_unlock(u->page, false);
	if (drop && !gone)
		count_freed(b->scan, u->page);
	reclaim_settled(b->scan->zone, u->page, gone || drop);
	vm_object_put(object);
}

/* Let waiting allocations know what was freed; other CPUs cannot use this CPU's cache. */
static void tell(struct batch *b)
{
	struct lru_scan *scan = b->scan;
	unsigned long freed = scan->freed - b->told.freed;

	MM_EVENT_ADD(scan->zone->mem, RECLAIM_FREED, freed);
	if (freed && !scan->direct) {
		drain_local_pages(scan->zone->mem, scan->zone);
		reclaim_note_freed(scan->zone, freed, scan->freed_cma - b->told.freed_cma);
	}
	b->told = *scan;
}

/*
 * Settle the unmapped pages, first those that need no pager.  A freed page does not wait here for
 * more than one call of a pager and TELL_NS: 32 slow calls would delay an allocation too long.
 */
static void finish_all(struct batch *b)
{
	struct unmapped *u;
	unsigned pass;

	for (pass = 0; pass < 2; pass++) {
		for (u = b->page; u < b->page + b->nr; u++) {
			if (!u->page || (pass == 0 && page_word(u->page) & PAGE_DIRTY))
				continue;
			reclaim_finish(b, u);
			u->page = NULL;
			if (b->scan->waited_ns - b->told.waited_ns >= TELL_NS)
				tell(b);
		}
		tell(b);
	}
}

/*
 * Age one batch of the active list: pages that were not touched since the last pass become
 * inactive.  A desperate pass drops touched pages too, and keeps its walks for that.
 */
static noinline void age_batch(struct lru_scan *scan, struct tlb_gather *g)
{
	struct zone *zone = scan->zone;
	struct page *pages[RECLAIM_BATCH];
	unsigned nr = lru_isolate_tail(zone, LRU_ACTIVE, TAKE_ANY, pages, RECLAIM_BATCH), i;

	for (i = 0; i < nr; i++) {
		struct vm_object *object = lru_get_object(zone->mem, pages[i]);
		bool touched = false, dirty;

		if (object && !scan->desperate) {
			/* A thread that walks the object's regions may not run for long. */
			spin_lock(&object->lock);
			if (object->walked)
				touched = true;
			else if (slot_page(object_lookup(object, pages[i]->index)) == pages[i])
				touched = !rmap_may_walk(&scan->walked, object, pages[i]) ||
				    was_touched(object, pages[i], g, &dirty);
			spin_unlock(&object->lock);
		}
		if (!touched) {
			page_clear_flags(pages[i], PAGE_ACTIVE);
			MM_EVENT(zone->mem, RECLAIM_AGED);
		}
		reclaim_settled(zone, pages[i], false);
		if (object)
			vm_object_put(object);
	}
}

/* This one, drop_batch and age_batch are not inlined: one frame cannot hold all their arrays. */
static noinline unsigned judge_batch(struct batch *b)
{
	struct page *pages[RECLAIM_BATCH];
	struct lru_scan *scan = b->scan;
	unsigned nr, i;

	nr = lru_isolate_tail(
	    scan->zone, LRU_INACTIVE, scan->direct ? TAKE_UNMAPPED : TAKE_ANY, pages, scan->batch);
	for (i = 0; i < nr; i++)
		look_at(b, pages[i]);
	return nr;
}

/* All pages unmapped here share one shootdown. */
static noinline unsigned drop_batch(struct lru_scan *scan, struct tlb_gather *g)
{
	struct batch b = {.scan = scan, .told = *scan, .g = g};
	unsigned nr = judge_batch(&b), i;
	bool all;

	sched_point("reclaim.entry_set");
	/* An allocation has changed no entry, so it makes no shootdown. */
	KASSERT(!scan->direct || g->nr == 0);
	/* A page that a dead CPU may still write to is not frozen: its pin has a reference. */
	all = tlb_flush(g);
	for (i = 0; i < b.nr && unlikely(!all); i++)
		tlb_keep(scan->zone->mem, b.page[i].page);
	sched_point("reclaim.unmapped");
	finish_all(&b);
	return nr;
}

void reclaim_batch(struct lru_scan *scan)
{
	struct zone *zone = scan->zone;
	struct tlb_gather g;
	unsigned nr;

	KASSERT(may_sleep());
	KASSERT(scan->batch > 0 && scan->batch <= RECLAIM_BATCH);
	if (!scan->run)
		scan->run = atomic_add(&runs, 1ULL) + 1;
	tlb_gather_init(&g, zone->mem);
	if (!scan->direct &&
	    READ_ONCE(zone->lru[LRU_INACTIVE].nr) < READ_ONCE(zone->lru[LRU_ACTIVE].nr))
		age_batch(scan, &g);
	nr = drop_batch(scan, &g);
	MM_EVENT_ADD(zone->mem, RECLAIM_SCANNED, nr);
}
