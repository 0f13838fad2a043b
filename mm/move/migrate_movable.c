/* SPDX-License-Identifier: MIT */
/*
 * migrate_movable.c: pages that are moved by their owner's struct movable_ops: isolating them,
 * moving them, putting them back.
 *
 * Owns:       pages in state ISO_MIG that have such an owner, with one reference.
 * Locks:      the zone's lru lock for MOVABLE_OPS and BALLOON ↔ ISO_MIG and for page->owner of
 *             pages in these states.  A scanner looks the zone up without a lock, and compares it
 *             again under the lock: the pageblock may have been removed meanwhile, and have come
 *             back in another zone.
 * Invariants: an owner may release its page at any time: then the drop of the last reference frees
 *             the page.  An owner that has users is not freed (movable_owner_drain).
 * Tests:      migrate, migrate_list, handle, migrate_exact, step_move, silence_owner.
 */
#include "mm/core/page.h"
#include "mm/core/zone.h"
#include "mm/move/migrate.h"
#include <quarry/movable.h>
#include <quarry/sched_point.h>

bool page_make_movable(
    struct memory *mem, struct page *page, struct movable_owner *owner, u32 index)
{
	struct zone *zone = zone_of(mem, page_to_pfn_in(mem, page));
	irqflags_t flags = lru_lock_irqsave(zone);
	bool made;

	page->owner = owner;
	page->index = index;
	made = page_take_state(page, owner->ops->balloon ? PG_BALLOON : PG_MOVABLE_OPS);
	if (!made)
		WRITE_ONCE(page->owner, NULL);
	lru_unlock_irqrestore(zone, flags);
	if (made)
		trace_page(mem, TR_movable, page_to_pfn_in(mem, page), word_order(page_word(page)));
	return made;
}

void page_release_movable(struct memory *mem, struct page *page)
{
	struct zone *zone = zone_of(mem, page_to_pfn_in(mem, page));
	irqflags_t flags = lru_lock_irqsave(zone);

	/* The state stays: a migrator finds no owner, and no thread isolates a page without one. */
	page->owner = NULL;
	lru_unlock_irqrestore(zone, flags);
	sched_point("own.released");
	mem_put_page(mem, page);
}

const struct movable_ops *movable_ops_at(struct memory *mem, pfn_t pfn)
{
	const struct page *page = pfn_to_page_in(mem, pfn);
	struct zone *zone = zone_of(mem, pfn);
	irqflags_t flags = lru_lock_irqsave(zone);
	const struct movable_owner *owner = load_acquire(&page->owner);
	bool owned = state_owned(word_state(page_word(page))) && zone_has_page(zone, page);
	/* An owner that has a page is not freed, and keeps the page while this lock is held. */
	const struct movable_ops *ops = owner && owned ? owner->ops : NULL;

	lru_unlock_irqrestore(zone, flags);
	return ops;
}

int isolate_movable_page(struct memory *mem, pfn_t pfn)
{
	struct page *page = pfn_to_page_in(mem, pfn);
	int err = -EAGAIN;
	struct zone *zone = zone_of(mem, pfn);
	irqflags_t flags = lru_lock_irqsave(zone);
	struct movable_owner *owner = load_acquire(&page->owner);
	enum page_state state;

	sched_point("lru.isolate");
	/* Such a page is a head; it gets this state under the lock, so its owner was read later. */
	state = word_state(page_word(page));
	if (owner && state_owned(state) && zone_has_page(zone, page)) {
		/* A pinned page must not move, and a broken page is not copied. */
		err = READ_ONCE(page->pincount) || page_poisoned(page) ? -EBUSY : get_page(page);
		if (!err) {
			err = owner->ops->isolate(mem, page);
			if (err)
				mem_put_page(mem, page); /* not the last: the owner has its own */
			else if (state == PG_BALLOON)
				page_cas_state(page, PG_BALLOON, PG_ISO_MIG);
			else
				page_cas_state(page, PG_MOVABLE_OPS, PG_ISO_MIG);
			if (!err)
				trace_page(mem, TR_lru_take, pfn, word_order(page_word(page)));
		}
	}
	lru_unlock_irqrestore(zone, flags);
	return err;
}

/* The owner of an isolated page, kept alive until put_owner; NULL if it has released the page. */
static struct movable_owner *get_owner(struct memory *mem, struct page *page)
{
	struct zone *zone = zone_of(mem, page_to_pfn_in(mem, page));
	irqflags_t flags = lru_lock_irqsave(zone);
	struct movable_owner *owner = page->owner;

	if (owner)
		atomic_add(&owner->users, 1u);
	lru_unlock_irqrestore(zone, flags);
	return owner;
}

static void put_owner(struct movable_owner *owner)
{
	u32 users = atomic_sub(&owner->users, 1u);

	KASSERT(users > 0);
}

/* Users come only under the lru lock of a page that still names the owner, so 0 is final. */
void movable_owner_drain(struct movable_owner *owner)
{
	while (load_acquire(&owner->users))
		thread_yield();
}

void putback_movable_page(struct memory *mem, struct page *page)
{
	struct zone *zone = zone_of(mem, page_to_pfn_in(mem, page));
	irqflags_t flags = lru_lock_irqsave(zone);
	struct movable_owner *owner = page->owner;

	PAGE_ASSERT(mem, page, word_state(page_word(page)) == PG_ISO_MIG);
	if (owner && owner->ops->putback(mem, page)) {
		if (owner->ops->balloon)
			page_cas_state(page, PG_ISO_MIG, PG_BALLOON);
		else
			page_cas_state(page, PG_ISO_MIG, PG_MOVABLE_OPS);
	}
	lru_unlock_irqrestore(zone, flags);
	mem_put_page(mem, page);
}

/*
 * References to the source: the owner's (from its allocation; the owner drops it in ops->migrate
 * when dst has replaced src, or in page_release_movable) and the isolation's (from
 * isolate_movable_page; dropped here on success, in putback on failure).  Dropping the last one
 * frees the page, which is on no list.  The source may be pinned, or broken, since its isolation.
 */
static int migrate_one(struct memory *mem, struct page *src, struct migrate_target *to)
{
	unsigned order = word_order(page_word(src));
	struct movable_owner *owner;
	struct page *dst;
	int err;

	sched_point("mig.begin");
	if (READ_ONCE(src->pincount) || page_poisoned(src))
		return page_poisoned(src) ? -EHWPOISON : -EBUSY;
	if (!(dst = to->get(to, mem, order)))
		return -ENOMEM;
	PAGE_ASSERT(mem, dst, (page_word(dst) & ~PAGE_POISON) == PAGE_WORD(1, PG_ALLOC, order));
	owner = get_owner(mem, src);
	if (!owner) {
		to->give_back(to, mem, dst, order);
		return -ENOENT;
	}
	sched_point("mig.target");
	/* Either page may have broken meanwhile; the next try gets another target. */
	err = page_poisoned(src) ? -EHWPOISON : page_poisoned(dst) ? -EAGAIN : 0;
	err = err ? err : owner->ops->migrate(owner, mem, dst, src);
	sched_point("mig.done");
	put_owner(owner);
	if (!err)
		trace_page(mem, TR_moved, page_to_pfn_in(mem, src), order);
	if (err)
		to->give_back(to, mem, dst, order);
	return err;
}

void migrate_movable_batch(
    struct memory *mem, struct page **pages, unsigned nr, struct migrate_target *to, int *err)
{
	unsigned i, none = NR_ORDERS; /* from this order on there is no memory to move to */

	for (i = 0; i < nr; i++) {
		unsigned order = word_order(page_word(pages[i]));

		target_near(to, mem, pages[i]);
		err[i] = order >= none ? -ENOMEM : migrate_one(mem, pages[i], to);
		if (err[i] == -ENOMEM)
			none = MIN(none, order);
	}
}
