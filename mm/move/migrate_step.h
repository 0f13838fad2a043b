/* SPDX-License-Identifier: MIT */
/*
 * migrate_step.h: the steps that migrate_lru.c and reclaim_lru.c share, for an isolated, locked
 * page of an object: they make it unreachable and freeze its references.
 */
#ifndef QUARRY_MM_MIGRATE_STEP_H
#define QUARRY_MM_MIGRATE_STEP_H

#include "mm/core/page.h"
#include "mm/vm/vm.h"

/*
 * Replace @page in @slot by a marker; the caller then calls rmap_migrate in the same hold of the
 * object's lock.  The slot's reference is the caller's from now on.
 */
static inline void mig_mark(const struct vm_object *object, u64 *slot, struct page *page)
{
	PAGE_ASSERT(object->mem, page, page_word(page) & PAGE_LOCKED);
	CHECKED_ASSERT(slot_page(*slot) == page);
	*slot = slot_marker(page_to_pfn_in(object->mem, page));
}

/*
 * Set the reference count of a page from 2, the caller's references, to 0: afterwards there is no
 * reference that another CPU could duplicate.  A third reference belongs to a thread that still
 * reads the page, or to an unmapping whose shootdown is not over; then the page may still be
 * written to, and the result is false.
 */
static inline bool mig_freeze(struct page *src)
{
	u32 word;

	do {
		word = page_word(src);
		PAGE_ASSERT(NULL, src, word & PAGE_LOCKED && word_state(word) == PG_ISO_MIG);
		if (word_ref(word) != 2)
			return false;
	} while (!atomic_cas(&src->word, word, word & ~PAGE_REF_MASK));
	return true;
}

/* Give a frozen page its two references back; none is taken before a slot or entry shows it. */
static inline void mig_thaw(struct page *page)
{
	u32 word;

	do {
		word = page_word(page);
		KASSERT(word_ref(word) == 0);
	} while (!atomic_cas(&page->word, word, word + 2));
}

/* Unlock the page; if it is @frozen, give it back one reference, the isolation's. */
static inline void mig_unlock(struct page *src, bool frozen)
{
	u32 word;

	do {
		word = page_word(src);
		KASSERT(word & PAGE_LOCKED);
	} while (!atomic_cas(&src->word, word, (word & ~PAGE_LOCKED) + frozen));
}

#endif
