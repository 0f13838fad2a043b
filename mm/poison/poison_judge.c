/* SPDX-License-Identifier: MIT */
/*
 * poison_judge.c: deciding what to do about a broken page, by its state; and retiring it.
 *
 * Owns:       nothing; the request belongs to the caller, which holds mem->poison and, except at
 *             the first try of a soft offline, has switched the zone's caches off.
 * Locks:      the zone lock for each check, and for the action that follows in the same hold.
 * Invariants: those of poison.c: a page that may have been allocated meanwhile is never marked.
 * Tests:      poison_states, poison_exact, poison, poison_race, poison_standby.
 */
#include "mm/core/buddy.h"
#include "mm/core/page.h"
#include "mm/hotplug/offline.h"
#include "mm/poison/poison.h"
#include <quarry/sched_point.h>

/* After so many checks that find the page allocated, its present owner counts as final. */
#define ALLOC_LOOKS 3

/* With caches on, a free that began earlier would not see the new flag (mm_types.h, law 4). */
#define CACHES_ASSERT_OFF(r)                                                                       \
	PAGE_ASSERT(                                                                               \
	    (r)->mem, pfn_to_page_in((r)->mem, (r)->head), READ_ONCE((r)->zone->pcp_depth) > 0)

static enum poison_verdict settled(
    struct poison_request *r, enum poison_outcome outcome, int err, int *out)
{
	r->res->outcome = outcome;
	*out = err;
	return SETTLED;
}

/* The page's pageblock is OFFLINE: the flag takes effect when it comes back online. */
static enum poison_verdict judge_offline(struct poison_request *r, int *err) REQUIRES_ZONE(r->zone)
{
	struct page *page = pfn_to_page_in(r->mem, r->pfn);
	struct pageblock *pb = pageblock_of(r->mem, r->pfn);

	ASSERT_ZONE_LOCKED(r->zone);
	if (!r->hard)
		return settled(r, POISON_FAILED, -ENXIO, err);
	r->res->standby = block_is_standby(r->zone, r->pfn);
	if (r->res->standby ? pb->nr_poisoned : page_word(page) & PAGE_F_HWPOISON)
		return settled(r, POISON_FAILED, -EHWPOISON, err);
	PAGE_ASSERT(r->mem, page, pb->nr_poisoned < PAGEBLOCK_PAGES);
	if (r->res->standby) {
		/* The page has no descriptor yet, so the descriptor of its pageblock is marked. */
		WRITE_ONCE(pb->nr_poisoned, (u16)PAGEBLOCK_PAGES);
	} else {
		WRITE_ONCE(page->word, PAGE_F_HWPOISON);
		WRITE_ONCE(pb->nr_poisoned, (u16)(pb->nr_poisoned + 1));
	}
	return settled(r, POISON_RECOVERED, -ENXIO, err);
}

/* Can the page be taken from an object?  An unlocked read: owners change under the lru lock. */
static bool object_has(const struct poison_request *r, enum page_state state)
{
	return (state == PG_LRU || state == PG_OBJECT) &&
	    READ_ONCE(pfn_to_page_in(r->mem, r->head)->owner);
}

/* Is the page about to be freed by its last put, so that no other code finds it? */
static bool last_put_missing(const struct poison_request *r, enum page_state state)
{
	if (state == PG_FREEING)
		return true;
	return (state == PG_LRU || state == PG_OBJECT || state == PG_ISO_MIG) &&
	    !READ_ONCE(pfn_to_page_in(r->mem, r->head)->owner);
}

/*
 * Judge a page that is flagged already.  If it is retired, nothing is left to do.  If it is doomed,
 * it may now be possible to take it from its owner, or the owner may have released it.
 */
static enum poison_verdict judge_flagged(struct poison_request *r, enum page_state state, int *err)
{
	if (state == PG_HWPOISON)
		return settled(r, POISON_FAILED, r->hard ? -EHWPOISON : 0, err);
	if (r->hard && object_has(r, state))
		return TAKE;
	if (r->hard && last_put_missing(r, state))
		return settled(r, POISON_DELAYED, -EHWPOISON, err);
	return settled(r, POISON_FAILED, r->hard ? -EHWPOISON : -EBUSY, err);
}

/* The owner needs the page, which stays in use. */
static enum poison_verdict judge_stays(struct poison_request *r, int *err) REQUIRES_ZONE(r->zone)
{
	if (!r->hard)
		return settled(r, POISON_FAILED, -EBUSY, err);
	CACHES_ASSERT_OFF(r);
	sched_point("mf.stays");
	/* Since it was judged, the page may have become an object's, which can lose it. */
	if (object_has(r, poison_doom(r->zone, r->head, r->pfn)))
		return TAKE;
	return settled(r, POISON_IGNORED, -EBUSY, err);
}

/* No other code finds the page any more; the drop of its last reference frees it. */
static enum poison_verdict judge_leaves(struct poison_request *r, int *err) REQUIRES_ZONE(r->zone)
{
	CACHES_ASSERT_OFF(r);
	poison_doom(r->zone, r->head, r->pfn);
	return settled(r, POISON_DELAYED, 0, err);
}

/* Judge a page of an object, or a page that its object has released but that is still pinned. */
static enum poison_verdict judge_object_page(
    struct poison_request *r, enum page_state state, int *err) REQUIRES_ZONE(r->zone)
{
	if (r->hard)
		return object_has(r, state) ? TAKE : judge_leaves(r, err);
	return state == PG_LRU ? TAKE : judge_stays(r, err);
}

/* Judge a page that was taken off its list, perhaps one that its object has released since. */
static enum poison_verdict judge_moving(struct poison_request *r, enum page_state state, int *err)
    REQUIRES_ZONE(r->zone)
{
	r->moving = true;
	if (!r->last)
		return AGAIN;
	return r->hard && last_put_missing(r, state) ? judge_leaves(r, err) : judge_stays(r, err);
}

/* May the allocated page be in transit to an owner that lets it move? */
static bool owner_may_come(struct poison_request *r)
{
	enum migratetype type = pageblock_type(pageblock_of(r->mem, r->pfn));

	return (type == MT_MOVABLE || type == MT_CMA) && ++r->allocs < ALLOC_LOOKS && !r->last;
}

/*
 * Judge a page of an ONLINE pageblock by its state.  The states of free pages, and of pages being
 * freed, are certain: while the caches are off they change under the zone lock only.  The state of
 * a page in use may be out of date; taking it checks again under its owner's lock.
 */
static enum poison_verdict judge(struct poison_request *r, int *err) REQUIRES_ZONE(r->zone)
{
	const struct page *page = pfn_to_page_in(r->mem, r->pfn);
	enum page_state state;

	r->head = page_head(r->mem, r->pfn);
	PAGE_ASSERT(r->mem, page, r->head != PFN_NONE);
	state = word_state(block_word(r->mem, r->head));
	r->res->state = state;
	if (page_word(page) & PAGE_F_HWPOISON)
		return judge_flagged(r, state, err);
	switch (state) {
	case PG_FREE:
		poison_take_free(r->zone, r->pfn);
		return settled(r, POISON_RECOVERED, 0, err);
	case PG_PCP: /* a CPU that goes on- or offline gives it back in a moment */ return AGAIN;
	case PG_FREEING: return r->hard ? judge_leaves(r, err) : AGAIN;
	case PG_ALLOC: return owner_may_come(r) ? AGAIN : judge_stays(r, err);
	case PG_MOVABLE_OPS:
	case PG_BALLOON:
		/* There is no way to tell the page's owner that the content is lost. */
		return r->hard ? judge_stays(r, err) : TAKE;
	case PG_OBJECT:
	case PG_LRU: return judge_object_page(r, state, err);
	case PG_ISO_MIG: return judge_moving(r, state, err);
	case PG_RESERVED:
	case PG_SLAB:
	case PG_PGTABLE:
	case PG_TAIL:     /* never the state of a head */
	case PG_HWPOISON: /* judged above, since it is flagged */
	case NR_PAGE_STATES: break;
	}
	return judge_stays(r, err);
}

enum poison_verdict poison_judge_once(struct poison_request *r, int *err)
{
	irqflags_t flags;
	enum poison_verdict v;

	sched_point("mf.before_flag");
	flags = zone_lock_irqsave(r->zone);
	KASSERT(mutex_is_held(&r->mem->poison));
	/* Standby memory whose whole step was broken is a hole now. */
	if (!zone_owns_block(r->zone, r->pfn))
		v = settled(r, POISON_FAILED, -ENXIO, err);
	else if (pageblock_state(pageblock_of(r->mem, r->pfn)) == PB_ONLINE)
		v = judge(r, err);
	else
		v = judge_offline(r, err);
	zone_unlock_irqrestore(r->zone, flags);
	sched_point("mf.flagged");
	return v;
}

/* ---- retiring a page ---- */

/*
 * The references of a page that is retired softly, and where each is dropped:
 *
 *   reference     taken by                dropped by
 *   each entry    the fault that made it  the unmapping step of the migration
 *   the slot's    filling the slot        handed over with the marker; gone with the freeze
 *   (MOVABLE_OPS: the owner's, dropped in ops->migrate)
 *   isolation     isolate_lru_page,       not dropped: a retired page keeps it.  It is retired in
 *                 isolate_movable_page    one hold of the zone lock, so it is never free in between
 *
 * No other reference is taken: one more would make the freeze fail.  If another thread still has
 * one (a pin; an unmapping whose shootdown is not over), the page is only marked, the isolation's
 * reference is dropped, and the last put retires the page.
 */
void poison_retire(struct poison_request *r)
{
	struct page *head = pfn_to_page_in(r->mem, r->head), *page = pfn_to_page_in(r->mem, r->pfn);
	irqflags_t flags;
	bool ours;

	sched_point("mf.retire");
	flags = zone_lock_irqsave(r->zone);
	ours = word_ref(page_word(head)) == 1;
	if (r->hard)
		CACHES_ASSERT_OFF(r);
	PAGE_ASSERT(r->mem, head, word_ref(page_word(head)) > 0);
	PAGE_ASSERT(r->mem, head, r->pfn - r->head < 1UL << word_order(page_word(head)));
	if (!(page_word(page) & PAGE_F_HWPOISON))
		poison_doom(r->zone, r->head, r->pfn);
	if (ours)
		poison_free_block(r->zone, r->head, word_order(page_word(head)));
	zone_unlock_irqrestore(r->zone, flags);
	r->res->outcome = ours ? POISON_RECOVERED : POISON_DELAYED;
	if (!ours)
		mem_put_page(r->mem, head);
	sched_point("mf.flagged");
}
