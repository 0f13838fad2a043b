/* SPDX-License-Identifier: MIT */
/*
 * migrate_lru_inline.h: moving isolated pages of memory objects, a batch at a time.
 *
 * Compiled by migrate_lru.c; and by a test with scheduling points in it.
 *
 * The steps, and what others see meanwhile:
 *   prepare   the object is held, a target allocated, the page locked: nothing is seen
 *   unmap     under the object's lock the slot becomes a marker and each entry a migration entry: a
 *             thread that finds either waits (migwait.c).  CPUs with a TLB entry still use the page
 *   flush     one cross-call for the whole batch: from here on nobody uses the page
 *   freeze    exactly two references, or another thread has the page: then all goes back
 *   copy
 *   replace   under the object's lock slot and entries get the new page, as their regions allow by
 *             now; if the marker is gone, so is what it stood for, and the copy is dropped
 *   wake, unlock, and our caller drops the last reference of the old page, past every list
 *
 * References to the source: the slot's, which the marker hands over to us and a restored slot takes
 * back; one for each entry, dropped as it is unmapped; the isolation's, which our caller drops on
 * success and putback_lru_page on failure.
 */
#ifndef QUARRY_MM_MIGRATE_LRU_INLINE_H
#define QUARRY_MM_MIGRATE_LRU_INLINE_H

#include "mm/lru.h"
#include "mm/migrate.h"
#include "mm/migrate_step.h"
#include "mm/migwait.h"
#include "mm/page.h"
#include "mm/page_assert.h"
#include "mm/pagetable.h"
#include "mm/rmap.h"
#include "mm/tlb.h"
#include "mm/vm.h"
#include <quarry/sched_point.h>

/* What the new page takes over; never LOCKED, nor what is wrong with the old frame. */
#define FLAGS_MOVED (PAGE_DIRTY | PAGE_REFERENCED | PAGE_ACTIVE | PAGE_UPTODATE)

/*
 * One page in migration.  From step to step the two pages keep it, so that no stack has to: both
 * are ours alone, and the source is on no list.
 */
struct mig {
	struct page *src, *dst;   /* src->next is the pfn of dst */
	struct vm_object *object; /* src's, with a reference; dst->owner */
};

static struct mig mig_of(struct memory *mem, struct page *src)
{
	struct page *dst = pfn_to_page_in(mem, src->next);

	return (struct mig){.src = src, .dst = dst, .object = dst->owner};
}

/* On success all of it is held; else nothing. */
static int mig_prepare(struct memory *mem, struct page *src, struct migrate_target *to)
{
	struct vm_object *object;
	struct page *dst;

	PAGE_ASSERT(mem, src, word_state(page_word(src)) == PG_ISO_MIG);
	if (READ_ONCE(src->pincount))
		return -EBUSY;
	object = lru_get_object(mem, src);
	if (!object)
		return -ENOENT;
	dst = to->get(to, mem, 0);
	/* It may have broken meanwhile. */
	if (dst)
		PAGE_ASSERT(mem, dst, (page_word(dst) & ~PAGE_POISON) == PAGE_WORD(1, PG_ALLOC, 0));
	if (dst && page_trylock(src)) {
		src->next = (u32)page_to_pfn_in(mem, dst);
		dst->owner = object;
		return 0;
	}
	vm_object_put(object);
	if (!dst)
		return -ENOMEM;
	to->give_back(to, mem, dst, 0);
	return -EAGAIN;
}

/* Drop what mig_prepare has taken; with an error the target too, which is not in use. */
static void mig_release(struct memory *mem, const struct mig *m, struct migrate_target *to, int err)
{
	if (err) {
		m->dst->owner = NULL;
		to->give_back(to, mem, m->dst, 0);
	}
	vm_object_put(m->object);
}

/* Where the object still has the page, put marker and migration entries in its place. */
static int mig_unmap(const struct mig *m, struct tlb_gather *g)
{
	int err = 0;

	object_lock(m->object);
	if (slot_page(object_lookup(m->object, m->src->index)) != m->src) {
		err = -ENOENT;
	} else if (READ_ONCE(m->src->pincount)) {
		/* Pins are taken under this lock, and from slots: there will be no other. */
		err = -EBUSY;
	} else {
		mig_mark(m->object, m->src, g);
	}
	spin_unlock(&m->object->lock);
	if (err)
		mig_unlock(m->src, false);
	return err;
}

/*
 * Put @page, the copy or the source itself, where the marker stands.  -ENOENT: it does not any
 * more.
 */
static int mig_replace(struct memory *mem, const struct mig *m, struct page *page)
{
	pfn_t pfn = page_to_pfn_in(mem, m->src);
	u32 index = m->src->index;
	int err = -ENOENT;
	u64 *slot;

	object_lock(m->object);
	slot = object_slot(m->object, index);
	if (*slot == slot_marker(pfn)) {
		*slot = (uintptr_t)page;
		if (page != m->src) {
			page_set_flags(page, page_word(m->src) & FLAGS_MOVED);
			lru_release_page(mem, m->src);
			lru_add_page(mem, page, m->object, index);
		}
		rmap_restore(m->object, index, pte_migration(pfn), page);
		err = 0;
	}
	spin_unlock(&m->object->lock);
	sched_point("mig.restored");
	return err;
}

/* From the freeze to the wake-up; everybody has forgotten the page's entries. */
static int mig_finish(struct memory *mem, const struct mig *m)
{
	bool frozen = mig_freeze(m->src);
	int err;

	sched_point("mig.frozen");
	if (frozen) {
		memcpy(page_address_in(mem, m->dst), page_address_in(mem, m->src), PAGE_SIZE);
		sched_point("mig.copied");
	}
	/* The target broke under the copy: all goes back, and the next try has another one. */
	if (frozen && page_poisoned(m->dst)) {
		mig_thaw(m->src);
		frozen = false;
	}
	if (frozen) {
		err = mig_replace(mem, m, m->dst);
	} else {
		err = mig_replace(mem, m, m->src);
		/* Removed from its slot, whose reference was handed to us. */
		if (err)
			mem_put_page(mem, m->src);
		err = err ? err : -EAGAIN;
	}
	/* Before the unlock: waiters have seen a locked page. */
	migwait_wake(mem, page_to_pfn_in(mem, m->src));
	mig_unlock(m->src, frozen);
	sched_point("mig.unlock");
	return err;
}

/*
 * Move up to MIGRATE_BATCH isolated pages; err[] tells for each what became of it.  0: its content
 * is elsewhere; -ENOENT: its object has released it, nothing was left to move; -EAGAIN: another
 * thread has a reference or the lock; -EBUSY: pinned; -ENOMEM: no page to move to, and the rest was
 * not tried.  In every case the caller still has the isolation's reference.
 */
static void migrate_lru_batch(
    struct memory *mem, struct page **pages, unsigned nr, struct migrate_target *to, int *err)
{
	bool no_memory = false;
	struct tlb_gather g;
	struct mig m;
	unsigned i;

	KASSERT(nr <= MIGRATE_BATCH);
	for (i = 0; i < nr; i++) {
		err[i] = no_memory ? -ENOMEM : mig_prepare(mem, pages[i], to);
		no_memory = err[i] == -ENOMEM;
	}
	sched_point("mig.locked");
	tlb_gather_init(&g, mem);
	for (i = 0; i < nr; i++) {
		if (err[i])
			continue;
		m = mig_of(mem, pages[i]);
		err[i] = mig_unmap(&m, &g);
		if (err[i])
			mig_release(mem, &m, to, err[i]);
	}
	sched_point("mig.entry_set");
	tlb_flush(&g);
	sched_point("mig.unmapped");
	for (i = 0; i < nr; i++) {
		if (err[i])
			continue;
		m = mig_of(mem, pages[i]);
		err[i] = mig_finish(mem, &m);
		mig_release(mem, &m, to, err[i]);
	}
}

#endif
