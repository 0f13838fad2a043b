/* SPDX-License-Identifier: MIT */
/*
 * pcp_slow.c: allocations from one zone, and frees, that the fast paths did not serve: with the
 * cache if possible, else under the zone lock.
 *
 * Owns:       pages in state FREEING that go to the buddy allocator.
 * Locks:      interrupts off; the zone lock inside.
 * Invariants: no poisoned page gets into a cache.  A free reads the page's word again under the
 *             zone lock, so it notices changes since the caller's check.  A stack never holds more
 *             than its capacity when interrupts go on again.
 * Tests:      pcp, pcp_exact, play_uncached, nodes, zone_locks, badinput, poison_race.
 */
#include "mm/core/buddy.h"
#include "mm/core/pcp_inline.h"

struct page *pcp_alloc_zone(struct zone *zone, gfp_t gfp, unsigned order, bool lower)
{
	unsigned index = order_index(order), stack = 0;
	enum migratetype type = gfp_type(gfp);
	irqflags_t flags = arch_irq_save();
	struct pcp *pcp = this_pcp_slow(zone->mem);
	struct page *page = NULL;
	struct pcp_stack *s;

	CHECKED_ASSERT(order <= MAX_ORDER && type < NR_CACHED_TYPES);
	if (index < NR_CACHED_ORDERS)
		stack = zone_stack(zone, index, type);
	/* Pages that this CPU caches do not count as free, so no watermark is checked. */
	s = &pcp->stack[stack];
	if (s->top != s->slot) {
		page = pcp_pop(s, order);
		alloc_check(zone->mem, page, order);
	} else if (zone_watermark_ok(zone, order, gfp, lower)) {
		page = pcp_refill(zone, pcp, order, stack, gfp, lower);
	}
	/*
	 * The fast path takes the next page from the same stack, which is another zone's if the
	 * first zone had no page.  Once that stack is empty, the slow path tries the zones in order
	 * again.  With GFP_THISNODE a zone of another node is left out: the thread has moved to
	 * this CPU since the zone was chosen.
	 */
	if (page && order == 0 &&
	    (!(gfp & GFP_THISNODE) || zone->node == pcp->home[gfp % ARRAY_SIZE(pcp->home)]->node))
		WRITE_ONCE(pcp->first[(u8)gfp], (u16)zone_stack(zone, 0, type));
	arch_irq_restore(flags);
	return page;
}

/*
 * A stack whose limit was lowered may hold more blocks than the new limit.  Giving back the whole
 * excess at once would keep interrupts off for long.  So the capacity goes down with the count:
 * nothing is pushed meanwhile, and each further free spills some blocks.
 */
static void fit_capacity(struct pcp_stack *stack)
{
	if (stack->top > stack->limit)
		stack_set_capacity(stack, stack_count(stack));
}

bool pcp_free_slow(struct memory *mem, struct page *page, unsigned order, u32 word)
{
	unsigned index = order_index(order), stack = 0, n = 0;
	struct pcp_stack *s;
	pfn_t pfn = page_to_pfn_in(mem, page);
	struct zone *zone = zone_of(mem, pfn);
	irqflags_t flags = arch_irq_save();
	struct pcp *pcp = this_pcp_slow(mem);
	u32 found;

	CHECKED_ASSERT(word_state(word) == PG_ALLOC || word_state(word) == PG_FREEING);
	CHECKED_ASSERT(word_order(word) == order && order <= MAX_ORDER);
	if (index < NR_CACHED_ORDERS) {
		stack = READ_ONCE(pageblock_of(mem, pfn)->stack) + index * NR_CACHED_TYPES;
		/* The caches may be on again; a CPU that only frees must notice too. */
		if (stack >= STACKS_PER_ZONE)
			pcp_update_capacity(zone, pcp, stack);
		/*
		 * Poison never enters a cache.  The word is read here, after the capacity: the
		 * caller's read, before interrupts went off, may be older than a flag that was set
		 * while the caches were off.
		 */
		s = &pcp->stack[stack];
		if (s->top < s->limit && !(word & PAGE_POISON) && page_word(page) == word) {
			WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
			pcp_put(s, page);
			arch_irq_restore(flags);
			return true;
		}
		CHECKED_ASSERT(stack < STACKS_PER_ZONE || stack_of_zone(zone, stack));
		n = MIN(spill_batch(order, stack_capacity(s)), stack_count(s));
		MM_EVENT(mem, PCP_SPILL);
	}
	CHECKED_ASSERT(stack < nr_stacks(mem));
	sched_point("free.direct");
	zone_lock(zone);
	sched_point("free.buddy_locked");
	/* Read the word again (law 4): it may be poisoned by now, or freed by another CPU. */
	found = page_word(page);
	if ((found ^ word) & ~PAGE_POISON) {
		fit_capacity(&pcp->stack[stack]);
		zone_unlock(zone);
		arch_irq_restore(flags);
		return false;
	}
	if (n)
		pcp_give_back(zone, pcp, stack, n);
	fit_capacity(&pcp->stack[stack]);
	trace_page(mem, TR_direct, pfn, order);
	if (unlikely(found & PAGE_POISON))
		poison_free_block(zone, pfn, order);
	else
		buddy_free(zone, pfn, order);
	zone_unlock(zone);
	MM_EVENT_ADD(mem, PCP_SPILL_BLOCKS, n);
	MM_EVENT(mem, FREE_UNCACHED);
	arch_irq_restore(flags);
	return true;
}
