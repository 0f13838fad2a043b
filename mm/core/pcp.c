/* SPDX-License-Identifier: MIT */
/*
 * pcp.c: per-CPU page caches: refill, capacities, and giving pages back.  The fast paths are in
 * pcp_inline.h, the slow paths in pcp_slow.c, the limits in pcp_limits.c.
 *
 * Owns:       struct pcp's stacks, and every page in state PCP.
 * Locks:      none for the stacks: only the owning CPU touches them, irqs off; the zone lock to
 *             refill and to give back.
 * Invariants: each stack holds count blocks of its order, in its zone, state PCP, each in one slot;
 *             count <= capacity, except between two pieces of a drain round (DRAIN_PIECE).  While
 *             depth > 0, after the round of the first zone_pcp_disable has ended, every count and
 *             capacity of the zone is 0.  A refill leaves the zone its watermark in pages that are
 *             not lent (CMA), and caches no lent page.
 * Checked by: check_memory().  Tests: pcp, pcp_exact, pcp_bounds, play_uncached, nodes, cma_lent.
 */
#include "mm/core/buddy.h"
#include "mm/core/page.h"
#include "mm/core/pcp.h"
#include <quarry/alloc_check.h>
#include <quarry/sched_point.h>

void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
{
	unsigned order = index_order((stack - stacks_of(zone->id)) / NR_CACHED_TYPES);
	struct pcp_stack *s = &pcp->stack[stack];

	ASSERT_ZONE_LOCKED(zone);
	KASSERT(stack_of_zone(zone, stack));
	KASSERT(n <= stack_count(s));
	buddy_give_batch(zone, s->slot, n, order, PAGE_WORD(0, PG_PCP, order));
	store_barrier(); /* a CPU that reads the new count finds the blocks (drain_unless) */
	memmove(s->slot, s->slot + n, (stack_count(s) - n) * sizeof(*s->slot));
	stack_set_top(s, s->top - n);
}

/* The stack has no slots yet.  Out of line, so that the usual case saves no registers. */
static noinline unsigned first_capacity(
    const struct zone *zone, struct pcp *pcp, unsigned stack, unsigned capacity)
{
	pcp_give_slots(zone, pcp, stack);
	stack_set_capacity(&pcp->stack[stack], capacity);
	return capacity;
}

unsigned pcp_update_capacity(struct zone *zone, struct pcp *pcp, unsigned stack)
{
	unsigned in_zone = stack - stacks_of(zone->id);
	struct pcp_stack *s = &pcp->stack[stack];
	u16 limit, capacity;

	KASSERT(stack_of_zone(zone, stack));
	limit = READ_ONCE(zone->pcp_limit[in_zone]);
	capacity = load_acquire(&zone->pcp_depth) ? 0 : limit;
	CHECKED_ASSERT(capacity <= stack_most(in_zone / NR_CACHED_TYPES));
	if (unlikely(!s->slot && capacity))
		return first_capacity(zone, pcp, stack, capacity);
	stack_set_capacity(s, capacity);
	return capacity;
}

/* Take a lent block, which the caller may not cache.  PFN_NONE: there is none for the request. */
static pfn_t take_lent(struct zone *zone, unsigned order, gfp_t gfp, bool lower) REQUIRES_ZONE(zone)
{
	pfn_t pfn = PFN_NONE;

	if (gfp & GFP_MOVABLE && zone_watermark_ok(zone, order, gfp, lower))
		pfn = buddy_alloc(zone, order, MT_CMA);
	if (pfn != PFN_NONE)
		MM_EVENT(zone->mem, FALLBACK_MIX);
	return pfn;
}

struct page *pcp_refill(
    struct zone *zone, struct pcp *pcp, unsigned order, unsigned stack, gfp_t gfp, bool lower)
{
	unsigned n = 1, got = 0, index = order_index(order);
	enum migratetype type = gfp_type(gfp);
	u32 cached = PAGE_WORD(0, PG_PCP, order);
	struct memory *mem = zone->mem;
	struct page *one = NULL, **out = &one;

	/* The stack is empty, so pushed blocks go to its bottom. */
	CHECKED_ASSERT(stack_count(&pcp->stack[stack]) == 0);
	CHECKED_ASSERT(!arch_irqs_enabled());
	if (index < NR_CACHED_ORDERS) {
		/* The capacity is computed only once here: a second result could be 0. */
		unsigned capacity = pcp_update_capacity(zone, pcp, stack);

		n = MAX(1u, refill_batch(order, capacity));
		if (n > 1)
			out = pcp->stack[stack].slot;
	}
	sched_point("alloc.refill");
	zone_lock(zone);
	/* The caller checked the watermark without the lock: other CPUs may have taken pages. */
	n = zone_share(zone, n, order, gfp, lower);
	if (n > 0)
		got = buddy_take_batch(zone, order, type, cached, out, n);
	if (got > 0) {
		one = out[--got];
		page_store(one, AS_PCP(order), AS_ALLOC(order));
	} else {
		/* The block may be in a pageblock of another type, so it is not cached. */
		pfn_t pfn = n > 0 ? buddy_alloc_fallback(zone, order, type)
		                  : take_lent(zone, order, gfp, lower);

		if (pfn != PFN_NONE) {
			one = pfn_to_page_in(mem, pfn);
			page_store(one, AS_TAIL, AS_ALLOC(order));
			if (n > 1)
				got = buddy_take_batch(zone, order, type, cached, out, n - 1);
			if (n == 2 && got) /* a batch of one has no record */
				trace_page(mem, TR_refill, page_to_pfn_in(mem, out[0]), order);
		}
	}
	if (one) {
		trace_page(mem, TR_take, page_to_pfn_in(mem, one), order);
		alloc_check(mem, one, order);
	}
	if (got > 0) {
		/* The pageblock of out[0] has @type and is not isolated: @stack is its number. */
		PAGE_ASSERT(mem, out[0],
		    pageblock_of(mem, page_to_pfn_in(mem, out[0]))->stack +
		            index * NR_CACHED_TYPES ==
		        stack);
	}
	zone_unlock(zone);
	stack_set_count(&pcp->stack[stack], got);
	if (got) {
		MM_EVENT(mem, PCP_REFILL);
		MM_EVENT_ADD(mem, PCP_REFILL_PAGES, got);
	}
	if (one)
		MM_EVENT(mem, ALLOC_UNCACHED);
	return one;
}

/* Give back blocks of @stack beyond @keep, at most *@left in this piece; false: some remain. */
static bool give_piece(
    struct zone *zone, struct pcp *pcp, unsigned stack, unsigned keep, unsigned *left)
{
	const struct pcp_stack *s = &pcp->stack[stack];
	unsigned n = MIN(stack_count(s) - keep, *left);

	if (n) {
		zone_lock(zone);
		pcp_give_back(zone, pcp, stack, n);
		zone_unlock(zone);
		MM_EVENT_ADD(zone->mem, PCP_DRAINED, n);
	}
	*left -= n;
	pcp->work += (u8)n;
	pcp->unfinished = stack_count(s) > keep;
	return !pcp->unfinished;
}

void pcp_refresh_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i, left = DRAIN_PIECE;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i;
		unsigned capacity = pcp_update_capacity(zone, pcp, stack);

		if (pcp->stack[stack].top > pcp->stack[stack].limit &&
		    !give_piece(zone, pcp, stack, capacity, &left))
			return;
	}
}

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i, left = DRAIN_PIECE;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i;

		if (pcp->stack[stack].top != pcp->stack[stack].slot &&
		    !give_piece(zone, pcp, stack, 0, &left))
			return;
	}
}

bool pcp_zone_nonempty(const struct memory *mem, unsigned cpu, const struct zone *zone)
{
	return seems_to_cache(mem->pcp[cpu], zone->id);
}

unsigned long zone_pcp_pages(const struct zone *zone)
{
	const struct memory *mem = zone->mem;
	const struct pcp_stack *s;
	unsigned long pages = 0;
	unsigned cpu, i;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		if (!seems_to_cache(mem->pcp[cpu], zone->id))
			continue;
		s = &mem->pcp[cpu]->stack[stacks_of(zone->id)];
		for (i = 0; i < STACKS_PER_ZONE; i++, s++) {
			unsigned index = i / NR_CACHED_TYPES, count = stack_count(s);

			/* Its owner may be giving it its slots: the new slot beside the old top. */
			if (count && count <= stack_most(index))
				pages += (unsigned long)count << index_order(index);
		}
	}
	return pages;
}
