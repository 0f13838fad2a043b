/* SPDX-License-Identifier: MIT */
/*
 * uncached.c: allocates one block straight from the buddy allocator of the nearest zone, or frees
 * it there, if the order has no stack, or the zone's caches are off, and the case is plain.
 *
 * Owns:       nothing.
 * Locks:      interrupts off; the zone lock inside, in one hold.
 * Invariants: these paths leave to the slow paths each case that is not plain.  An allocation is
 *             plain if its zone stays above its low watermark and all its reserves, a free if the
 *             block's word, read before the zone lock is taken and again under it, shows only that
 *             the block is allocated.
 * Tests:      play_uncached, page_alloc, pcp, zone_locks, events, poison_race.
 */
#include "mm/core/buddy.h"
#include "mm/core/page.h"
#include "mm/core/pcp.h"
#include <quarry/alloc_check.h>
#include <quarry/sched_point.h>

/* May @zone have a stack for @order?  Not while the zone's caches are off. */
static always_inline bool may_have_stack(const struct zone *zone, unsigned order)
{
	return order_index(order) < NR_CACHED_ORDERS && arch_u32_is(&zone->pcp_depth, 0);
}

/*
 * Take a block of @zone if the zone has plenty: enough free pages, without lent (CMA) ones, that no
 * request can bring it below its low watermark.  irqs off.
 */
static always_inline struct page *take_uncached(
    struct zone *zone, const struct pcp *pcp, unsigned order, enum migratetype type)
{
	/* Watermarks and reserves hardly ever change, so one read of each is enough. */
	unsigned long enough = READ_ONCE(zone->wmark[WMARK_MIN]) +
	    READ_ONCE(zone->wmark[WMARK_LOW]) + READ_ONCE(zone->reserve) + (1UL << order);
	pfn_t pfn = PFN_NONE;
	struct page *page;

	if (unlikely(READ_ONCE(zone->nr_free) < enough + READ_ONCE(zone->nr_free_cma) ||
	        !arch_u32_is(&zone->futile, 0)))
		return NULL;
	zone_lock(zone);
	/* Check again: others may have taken pages, and lent ones, which do not count, come. */
	if (likely(zone->nr_free - zone->nr_free_cma >= enough))
		pfn = buddy_alloc(zone, order, type);
	if (unlikely(pfn == PFN_NONE)) {
		zone_unlock(zone);
		return NULL;
	}
	page = pfn_to_page_in(zone->mem, pfn);
	page_store(page, AS_TAIL, AS_ALLOC(order));
	if (likely(pcp->ring))
		trace_store(pcp->ring, TR_take, pfn, order, 0);
	alloc_check(zone->mem, page, order);
	zone_unlock(zone);
	if (!page)
		__builtin_unreachable(); /* not NULL, since its word was read */
	return page;
}

struct page *alloc_uncached(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct page *page = NULL;
	irqflags_t flags;
	struct zone *zone;
	struct pcp *pcp;

	if (unlikely(order > MAX_ORDER))
		return NULL;
	flags = arch_irq_save();
	pcp = hot_pcp(mem);
	zone = READ_ONCE(pcp->home[gfp % ARRAY_SIZE(pcp->home)]);
	if (!may_have_stack(zone, order))
		page = take_uncached(zone, pcp, order, gfp_type(gfp));
	if (page) {
		counter_add(&pcp->event[EV_ALLOC_SLOW], 1);
		counter_add(&pcp->event[EV_ALLOC_UNCACHED], 1);
	}
	arch_irq_restore(flags);
	return page;
}

bool free_uncached(struct memory *mem, struct page *page, unsigned order)
{
	u32 word = PAGE_WORD(1, PG_ALLOC, order);
	const struct pageblock *pb;
	bool done = false;
	irqflags_t flags;
	struct zone *zone;
	struct pcp *pcp;
	size_t nr;
	pfn_t pfn;

	/* This refuses NULL, too: it is no descriptor of the array. */
	if (unlikely(!page_number(mem, page, &nr) || order > MAX_ORDER))
		return false;
	pfn = mem->start_pfn + nr;
	pb = pageblock_of(mem, pfn);
	if (unlikely((READ_ONCE(pb->bits) & PB_STATE_MASK) != PB_ONLINE << PB_STATE_SHIFT ||
	        !arch_u32_is(&page->word, word)))
		return false;
	zone = &mem->zones[pb->zone];
	/* Pages of isolated and CMA pageblocks are never cached. */
	if (may_have_stack(zone, order) && READ_ONCE(pb->stack))
		return false;
	flags = arch_irq_save();
	pcp = hot_pcp(mem);
	sched_point("free.direct");
	zone_lock(zone);
	sched_point("free.buddy_locked");
	/* Read the word again (law 4): it may be poisoned by now, or freed by another CPU. */
	if (likely(arch_u32_is(&page->word, word))) {
		buddy_free(zone, pfn, order);
		/* Last: reading the clock waits for all before it, long if just after the lock. */
		if (likely(pcp->ring))
			trace_store(pcp->ring, TR_direct, pfn, order, 0);
		done = true;
	}
	zone_unlock(zone);
	if (done)
		counter_add(&pcp->event[EV_FREE_UNCACHED], 1);
	arch_irq_restore(flags);
	return done;
}
