/* SPDX-License-Identifier: MIT */
/*
 * migrate_lru.c: moving isolated pages of memory objects, mapped or not, a batch at a time.
 *
 * Owns:       isolated pages of objects while they are moved; markers and migration entries.
 * Locks:      a page's LOCKED bit (trylock); the object's lock, in it the tables' and lru locks.
 * Invariants: at every instant either a page or its copy can be reached, or neither, and then
 *             readers wait.  A marker, and a migration entry, exists only while its page is locked,
 *             isolated and held by a migrator.
 * Tests:      migrate_lru, migrate_race.
 *
 * The steps, and their effect on other threads:
 *   prepare   the object is referenced, a target allocated, the page locked: no effect
 *   unmap     under the object's lock the slot becomes a marker and each entry a migration entry: a
 *             thread that finds either waits (migwait.c).  CPUs with a TLB entry still use the page
 *   flush     one cross-call for the whole batch: after it no CPU uses the page
 *   freeze    the page must have exactly two references; a third means that another thread uses it:
 *             then the move is undone
 *   copy
 *   replace   under the object's lock slot and entries get the new page, with the protection that
 *             their regions have by now; if the marker is gone, the page was removed from the
 *             object meanwhile, and the copy is dropped
 *   wake, unlock; then the caller drops the last reference of the old page, which is on no list
 *
 * Pages of one object are unmapped and replaced in runs.  If the object has one region, a run is
 * one hold of the object's lock: no walk releases the lock, and other threads see the run as one
 * step.  If it has more regions, there is one hold for each page.
 *
 * References to the source: the slot's, which the marker hands over to the migrator and a restored
 * slot takes back; one for each entry, dropped when it is unmapped; the isolation's, which the
 * caller drops on success and putback_lru_page on failure.
 */
#include "mm/move/migrate.h"
#include "mm/move/migrate_step.h"
#include "mm/vm/lru.h"
#include "mm/vm/vm.h"
#include <quarry/sched_point.h>

/* Flags that the new page inherits; never LOCKED, nor flags about the old frame. */
#define FLAGS_MOVED (PAGE_DIRTY | PAGE_REFERENCED | PAGE_ACTIVE | PAGE_UPTODATE)

/*
 * The state of a migration is kept in the two pages, not on a stack: only the migrator uses both,
 * and the source is on no list.  The source's next is the pfn of its target; the target's owner is
 * the object, with a reference.
 */
static struct page *mig_target(const struct memory *mem, const struct page *src)
{
	return pfn_to_page_in(mem, src->next);
}

static struct vm_object *mig_object(const struct memory *mem, const struct page *src)
{
	return mig_target(mem, src)->owner;
}

/* Pages that are prepared together, or changed in one hold of their object's lock. */
#define MIG_AT_ONCE 16

/* Allocate target pages for @nr sources, all on the node of @src; returns how many it got. */
static unsigned mig_targets(struct memory *mem, struct migrate_target *to, const struct page *src,
    struct page **dst, unsigned nr)
{
	unsigned have = 0, i;

	target_near(to, mem, src);
	if (nr > 1 && to->get_many)
		have = to->get_many(to, mem, dst, nr);
	else
		while (have < nr && (dst[have] = to->get(to, mem, 0)))
			have++;
	/* A target may have broken since its allocation, so poison flags are allowed. */
	for (i = 0; i < have; i++)
		PAGE_ASSERT(
		    mem, dst[i], (page_word(dst[i]) & ~PAGE_POISON) == PAGE_WORD(1, PG_ALLOC, 0));
	return have;
}

/*
 * Prepare @nr pages.  Pages with err[] 0 are then locked, and have a target and a reference to
 * their object; the others have none of these.  False: there is not enough memory to move to.
 */
static noinline bool mig_prepare(
    struct memory *mem, struct page **pages, unsigned nr, struct migrate_target *to, int *err)
{
	struct vm_object *object[MIG_AT_ONCE];
	struct page *dst[MIG_AT_ONCE];
	unsigned i, have, want = 0, used = 0;
	bool enough;

	KASSERT(nr <= MIG_AT_ONCE);
	lru_get_objects(mem, pages, nr, object);
	for (i = 0; i < nr; i++) {
		PAGE_ASSERT(mem, pages[i], word_state(page_word(pages[i])) == PG_ISO_MIG);
		err[i] = READ_ONCE(pages[i]->pincount) ? -EBUSY
		    : !object[i]                       ? -ENOENT
		    : page_poisoned(pages[i])          ? -EHWPOISON
		                                       : 0;
		want += !err[i];
	}
	have = mig_targets(mem, to, pages[0], dst, want);
	enough = have == want;
	for (i = 0; i < nr; i++) {
		if (!err[i] && used == have)
			err[i] = -ENOMEM;
		else if (!err[i] && !page_trylock(pages[i]))
			err[i] = -EAGAIN;
		if (!err[i]) {
			pages[i]->next = (u32)page_to_pfn_in(mem, dst[used]);
			WRITE_ONCE(dst[used++]->owner, object[i]);
		} else if (object[i]) {
			vm_object_put(object[i]);
		}
	}
	while (have > used)
		to->give_back(to, mem, dst[--have], 0);
	return enough;
}

/*
 * Give back the target of a page that has not moved.  If it broke in lru_replace_pages, it has the
 * page's flags.
 */
static void mig_give_back(struct memory *mem, const struct page *src, struct migrate_target *to)
{
	struct page *dst = mig_target(mem, src);

	WRITE_ONCE(dst->owner, NULL);
	page_clear_flags(dst, FLAGS_MOVED);
	to->give_back(to, mem, dst, 0);
}

#define FOR_EACH_OF(run, i)                                                                        \
	for (u32 left_ = (run); left_ && ((i) = (unsigned)__builtin_ctz(left_), true);             \
	     left_ &= left_ - 1)

/* Replace @src by a marker in its slot, if the object still has it. */
static int mig_unmap(struct vm_object *object, struct page *src)
{
	u64 *slot = object_slot(object, src->index);

	/* Pins are taken from slots under this lock, so no new pin can follow. */
	if (READ_ONCE(src->pincount))
		return -EBUSY;
	if (!slot || slot_page(*slot) != src)
		return -ENOENT;
	mig_mark(object, slot, src);
	return 0;
}

/*
 * Unmap the first run: the first of pages[] whose err[] is 0 and the next ones of the same object,
 * as many as one hold of its lock may change.  Returns how many pages it has looked at.
 */
static noinline unsigned mig_unmap_run(struct memory *mem, struct page **pages, unsigned nr,
    struct migrate_target *to, int *err, struct tlb_gather *g)
{
	struct page *run[MIG_AT_ONCE]; /* marked pages; from the end down: pages that stay */
	unsigned i = 0, marked = 0, stay = 0, most;
	struct vm_object *object;

	while (i < nr && err[i])
		i++;
	if (i == nr)
		return nr;
	object = mig_object(mem, pages[i]);
	object_lock(object);
	most = rmap_single(object) ? MIG_AT_ONCE : 1;
	for (; i < nr && marked + stay < most; i++) {
		if (err[i])
			continue;
		if (mig_object(mem, pages[i]) != object)
			break;
		err[i] = to->walked && !rmap_may_walk(to->walked, object, pages[i])
		    ? -EBUSY
		    : mig_unmap(object, pages[i]);
		if (!err[i])
			run[marked++] = pages[i];
		else
			run[MIG_AT_ONCE - ++stay] = pages[i];
	}
	rmap_migrate(object, run, marked, g);
	spin_unlock(&object->lock);
	while (stay) {
		struct page *src = run[MIG_AT_ONCE - stay--];

		mig_unlock(src, false);
		mig_give_back(mem, src, to);
		vm_object_put(object);
	}
	return i;
}

/* Freeze and copy the source, after the flush.  False: it was not frozen, or a frame broke. */
static bool mig_copy(struct memory *mem, struct page *src)
{
	struct page *dst = mig_target(mem, src);
	bool frozen = mig_freeze(src);

	sched_point("mig.frozen");
	if (!frozen)
		return false;
	/* Reading a frame that is known to be broken would raise a fatal machine check. */
	if (!page_poisoned(src)) {
		memcpy(page_address_in(mem, dst), page_address_in(mem, src), PAGE_SIZE);
		sched_point("mig.copied");
		if (!page_poisoned(dst))
			return true;
	}
	/* Undo everything.  The next try uses another target, or finds that the source broke. */
	mig_thaw(src);
	return false;
}

/*
 * Replace the markers of the pages in @hold, a bit for each: by the page's copy if the page is in
 * @frozen, else by the page itself.  err[]: -ENOENT if the slot does not have the marker any more.
 * Returns the pages that are settled: not all if a copy broke just now.
 */
static u32 mig_replace(
    struct vm_object *object, struct page **pages, u32 hold, u32 *frozen, int *err)
{
	struct page *old[MIG_AT_ONCE], *new[MIG_AT_ONCE];
	struct memory *mem = object->mem;
	u64 *slot[MIG_AT_ONCE];
	u8 bit[MIG_AT_ONCE];
	unsigned i, nr = 0, done;

	FOR_EACH_OF(hold, i)
	{
		struct page *src = pages[i], *dst = mig_target(mem, src);
		pfn_t pfn = page_to_pfn_in(mem, src);

		slot[nr] = object_slot(object, src->index);
		err[i] = *slot[nr] == slot_marker(pfn) ? 0 : -ENOENT;
		if (err[i])
			continue;
		/* The target may have broken since mig_copy, while others were copied. */
		if (*frozen >> i & 1 && page_poisoned(dst)) {
			mig_thaw(src);
			*frozen &= ~(1U << i);
		}
		if (!(*frozen >> i & 1)) {
			*slot[nr] = (uintptr_t)src;
			rmap_restore(object, src->index, pte_migration(pfn), src);
			continue;
		}
		if (page_word(src) & FLAGS_MOVED)
			page_set_flags(dst, page_word(src) & FLAGS_MOVED);
		bit[nr] = (u8)i;
		old[nr] = src;
		new[nr++] = dst;
	}
	sched_point("mig.replace");
	/* First the lists: a thread that takes a copy off one waits for the object's lock. */
	done = lru_replace_pages(mem, old, new, nr);
	KASSERT(done <= nr);
	for (i = 0; i < done; i++)
		*slot[i] = (uintptr_t) new[i];
	rmap_arrive(object, old, new, done);
	for (; done < nr; done++)
		hold &= ~(1U << bit[done]);
	return hold;
}

/*
 * Do the steps from freeze to unlock for the first pages that are of one object, in one hold of its
 * lock or, if it has more regions, one for each page.  Returns how many it has looked at.
 */
static noinline unsigned mig_finish_run(
    struct memory *mem, struct page **pages, unsigned nr, struct migrate_target *to, int *err)
{
	struct vm_object *object = NULL;
	u32 run = 0, frozen = 0, left, hold;
	unsigned i, tried = 0;

	for (i = 0; i < nr && i < MIG_AT_ONCE; i++) {
		if (err[i])
			continue;
		if (object && mig_object(mem, pages[i]) != object)
			break;
		object = mig_object(mem, pages[i]);
		run |= 1U << i;
		frozen |= (u32)mig_copy(mem, pages[i]) << i;
	}
	nr = i;
	for (left = run; left; left &= ~hold) {
		object_lock(object);
		hold = rmap_single(object) ? left : left & -left;
		hold = mig_replace(object, pages, hold, &frozen, err);
		spin_unlock(&object->lock);
		sched_point("mig.restored");
	}
	FOR_EACH_OF(run, i)
	{
		struct page *src = pages[i];

		if (!(frozen >> i & 1)) {
			/* The page left its slot, whose reference the marker handed to us. */
			if (err[i])
				mem_put_page(mem, src);
			err[i] = err[i] ? err[i] : -EAGAIN;
		}
		/* Wake before the unlock: the page that a queued thread waits for is locked. */
		migwait_wake(mem, page_to_pfn_in(mem, src));
		mig_unlock(src, frozen >> i & 1);
		sched_point("mig.unlock");
		if (err[i])
			mig_give_back(mem, src, to);
		tried++;
	}
	if (tried)
		vm_object_put_many(object, tried);
	return nr;
}

/*
 * Move up to MIGRATE_BATCH isolated pages; err[] has the result for each.  0: it was moved;
 * -ENOENT: its object has released it; -EAGAIN: another thread has a reference or the lock, or a
 * frame broke now; -EBUSY: pinned, or with too many mappings (to->walked); -EHWPOISON: broken
 * before; -ENOMEM: no page to move to, or not tried for this reason.  In every case the caller
 * still has the isolation's reference.
 */
static void migrate_lru_batch(
    struct memory *mem, struct page **pages, unsigned nr, struct migrate_target *to, int *err)
{
	struct tlb_gather g;
	bool memory = true, all;
	unsigned i, n;

	KASSERT(nr <= MIGRATE_BATCH);
	for (i = 0; i < nr && memory; i += n) {
		n = MIN(nr - i, (unsigned)MIG_AT_ONCE);
		memory = mig_prepare(mem, pages + i, n, to, err + i);
	}
	/* The rest is not tried: each allocation would wait, and fail. */
	for (; i < nr; i++)
		err[i] = -ENOMEM;
	sched_point("mig.locked");
	tlb_gather_init(&g, mem);
	for (i = 0; i < nr; i += n)
		n = mig_unmap_run(mem, pages + i, nr - i, to, err + i, &g);
	sched_point("mig.entry_set");
	/* A page that a dead CPU may still write to is not frozen: its pin has a reference. */
	all = tlb_flush(&g);
	for (i = 0; i < nr && unlikely(!all); i++)
		if (!err[i])
			tlb_keep(mem, pages[i]);
	sched_point("mig.unmapped");
	for (i = 0; i < nr; i += n)
		n = mig_finish_run(mem, pages + i, nr - i, to, err + i);
}

const struct migrate_kind migrate_lru_kind = {
    .move = migrate_lru_batch,
    .putback = putback_lru_page,
};
