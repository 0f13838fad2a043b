/* SPDX-License-Identifier: MIT */
/* movable.h: pages that their owners can move, and moving them (mm/move/migrate.c). */
#ifndef QUARRY_MOVABLE_H
#define QUARRY_MOVABLE_H

#include <quarry/mm.h>

/*
 * The functions that move a page in state MOVABLE_OPS; the page's owner field points to a struct
 * movable_owner.
 *  isolate   under the zone's lru lock: may this page be taken now?  0; -EBUSY pinned, do not try
 *            again; -EAGAIN.  The core has taken a reference and, on 0, sets ISO_MIG.
 *  migrate   copy src to dst, an allocated block of the same order, and use dst from now on: thread
 *            context, no lock held.  On 0 the owner has dropped its reference to src and dst is in
 *            state MOVABLE_OPS.  -EAGAIN: the page is in use, or dst broke (page_make_movable);
 *            -EBUSY: pinned; -ENOENT: the owner has released src meanwhile.
 *  putback   under the lru lock: src was not moved; true if the owner still has it (it becomes
 *            MOVABLE_OPS again), false if the owner has released it.
 *  balloon   the page's state is BALLOON instead: it is lent to the host, which may drop the
 *            content; migrate copies nothing.
 */
struct movable_owner;
struct movable_ops {
	int (*isolate)(struct memory *mem, struct page *page);
	int (*migrate)(
	    struct movable_owner *owner, struct memory *mem, struct page *dst, struct page *src);
	bool (*putback)(struct memory *mem, struct page *page);
	bool balloon;
};
struct movable_owner {
	const struct movable_ops *ops;
	u32 users; /* atomic: migrators that may still call the owner */
};
/*
 * Wait until no migrator will call @owner any more.  Called after the owner's last page has been
 * released, before the owner is freed.
 * Context: thread, may sleep.
 */
void movable_owner_drain(struct movable_owner *owner);

/*
 * movable_ops_at - the movable_ops of the page at @pfn, for reports.  NULL: no page that an owner
 * moves begins there, a migrator has it, or its owner has just released it.
 * Context: any but NMI.  Locks: lru.
 */
const struct movable_ops *movable_ops_at(struct memory *mem, pfn_t pfn) EXCLUDES(lru_class);

/*
 * Make an ALLOC page movable through @owner.  False: the page broke since its allocation; the
 * caller frees it, which retires it.  Locks: lru.
 */
bool page_make_movable(struct memory *mem, struct page *page, struct movable_owner *owner,
    u32 index) must_check EXCLUDES(lru_class);
/*
 * The owner releases its page, whether or not a migrator has it.  The caller serialises the owner's
 * calls.  Drops the owner's reference.  Locks: lru, zone.
 */
void page_release_movable(struct memory *mem, struct page *page) EXCLUDES(lru_class, zone_class);

/*
 * isolate_movable_page - isolate a page that a scanner found at @pfn.  Returns 0, and the page is
 * ISO_MIG with one more reference; -EAGAIN not movable at this moment; -EBUSY pinned, or broken.
 * Locks: lru.
 */
int isolate_movable_page(struct memory *mem, pfn_t pfn) must_check EXCLUDES(lru_class);
/*
 * migrate_pages - move @nr isolated pages elsewhere.  Moved pages have been released, the others
 * put back.  Returns how many did not move; *@fail: the first page that did not move.  Entries of
 * @pages may change their places, and stay pages.
 * Context: thread, may sleep.  Locks: lru, zone, the owners'.
 */
unsigned migrate_pages(struct memory *mem, struct page **pages, unsigned nr, struct mm_fail *fail)
    EXCLUDES(object_class, lru_class, zone_class);

#endif
