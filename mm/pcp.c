/* SPDX-License-Identifier: MIT */
/*
 * pcp.c: per-CPU page caches: refill, capacities, and giving back what they hold.  The fast paths
 * are in pcp_inline.h, what they leave to the zone lock in pcp_slow.c.
 *
 * Owns:       struct pcp's stacks, and every page in state PCP.
 * Locks:      none for the stacks: only the owning CPU touches them, irqs off; the zone lock to
 *             refill and to give back.
 * Invariants: each stack holds count blocks of its order, in its zone, state PCP, each in one slot;
 *             count <= capacity, save between a change of limits and the owner's next refresh; with
 *             depth > 0 and the round done, every count and capacity of the zone is 0; over all
 *             CPUs the capacities of a zone make at most 1/16 of it.
 * Checked by: check_memory().  Tests: pcp, pcp_exact, pcp_bounds, play_refill, zone_locks, drain,
 *             nodes.
 */
#include "mm/buddy.h"
#include "mm/event.h"
#include "mm/page.h"
#include "mm/page_assert.h"
#include "mm/pcp.h"
#include <quarry/sched_point.h>

/* Most blocks a stack may hold, by cached order; PCP_SLOTS is three times their sum. */
static const u16 max_capacity[5] = {64, 32, 16, 8, 2};
/* At most this part of a zone may sit in caches. */
#define CACHED_DIVISOR 16

int zone_alloc_slots(struct zone *zone)
{
	struct memory *mem = zone->mem;
	unsigned cpu, index, type;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		struct page **slots;

		/* An earlier call had memory for some. */
		if (mem->pcp[cpu]->slot[zone_stack(zone, 0, MT_UNMOVABLE)])
			continue;
		slots = mem->alloc(mem->alloc_arg, PCP_SLOTS * sizeof(*slots));
		if (!slots)
			return -ENOMEM;
		for (index = 0; index < NR_CACHED_ORDERS; index++) {
			for (type = 0; type < NR_CACHED_TYPES; type++) {
				unsigned stack = zone_stack(zone, index, (enum migratetype)type);

				mem->pcp[cpu]->slot[stack] = slots;
				slots += max_capacity[index];
			}
		}
	}
	return 0;
}

/*
 * From the smallest order up, as long as the zone's share lasts: so what does not fit gets capacity
 * 0, the largest order first.  A zone without slots yet, or without memory, has none.  A claimed
 * range may have pages that are not managed, so that more is to leave than there is.
 */
void zone_set_limits(struct zone *zone, unsigned long leaving)
{
	unsigned long managed = READ_ONCE(zone->managed);
	unsigned long budget =
	    (managed - MIN(managed, leaving)) / CACHED_DIVISOR / zone->mem->nr_cpus;
	unsigned types = zone->kind == ZONE_MOVABLE ? 1 : NR_CACHED_TYPES;
	unsigned index, type;

	KASSERT(mutex_is_held(&zone->mem->hotplug));
	if (!zone->mem->pcp[0]->slot[zone_stack(zone, 0, MT_UNMOVABLE)])
		budget = 0;
	for (index = 0; index < NR_CACHED_ORDERS; index++) {
		unsigned long each = budget / types >> index_order(index);

		each = MIN(each, max_capacity[index]);
		KASSERT((each * types) << index_order(index) <= budget);
		budget -= (each * types) << index_order(index);
		for (type = 0; type < NR_CACHED_TYPES; type++) {
			bool used = zone->kind != ZONE_MOVABLE || type == MT_MOVABLE;

			WRITE_ONCE(zone->pcp_capacity[index][type], (u16)(used ? each : 0));
		}
	}
}

void pcp_set_first(struct memory *mem, unsigned cpu)
{
	const struct node *node = memory_node(mem, cpu);
	unsigned gfp;

	KASSERT(cpu < mem->nr_cpus);
	for (gfp = 0; gfp < 8; gfp++) {
		unsigned at = 0;
		const struct zone *zone = zonelist_next(node, gfp, &at);
		/* A node without such memory: a zone that is empty, so always the slow path. */
		unsigned id = node->id * NR_ZONE_KINDS + gfp_kind(gfp);

		if (zone && zone->node == node->id)
			id = zone->id;
		WRITE_ONCE(mem->pcp[cpu]->first[gfp],
		    (u16)(id * STACKS_PER_ZONE + (unsigned)gfp_type(gfp)));
	}
}

void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
{
	unsigned order = index_order(stack % STACKS_PER_ZONE / NR_CACHED_TYPES);
	unsigned count = pcp->count[stack], i;

	ASSERT_ZONE_LOCKED(zone);
	KASSERT(stack / STACKS_PER_ZONE == zone->id);
	KASSERT(n <= count);
	for (i = 0; i < n; i++) {
		struct page *page = pcp->slot[stack][i];

		if (page_word(page) != PAGE_WORD(0, PG_PCP, order))
			page_corrupt(page, PAGE_WORD(0, PG_PCP, order));
		trace_page(zone->mem, TR_give, page_to_pfn_in(zone->mem, page), order);
		buddy_free(zone, page_to_pfn_in(zone->mem, page), order);
	}
	memmove(pcp->slot[stack], pcp->slot[stack] + n, (count - n) * sizeof(pcp->slot[stack][0]));
	WRITE_ONCE(pcp->count[stack], (u16)(count - n));
}

unsigned pcp_update_capacity(struct zone *zone, struct pcp *pcp, unsigned stack)
{
	unsigned in_zone = stack % STACKS_PER_ZONE;
	const u16 *limits = zone->pcp_capacity[0]; /* the stacks of a zone are in its order */
	u16 limit = READ_ONCE(limits[in_zone]);
	u16 capacity = load_acquire(&zone->pcp_depth) ? 0 : limit;

	CHECKED_ASSERT(stack / STACKS_PER_ZONE == zone->id && in_zone != STACK_NONE);
	CHECKED_ASSERT(capacity <= max_capacity[in_zone / NR_CACHED_TYPES]);
	WRITE_ONCE(pcp->capacity[stack], capacity);
	return capacity;
}

struct page *pcp_refill(
    struct zone *zone, struct pcp *pcp, unsigned order, unsigned stack, gfp_t gfp, bool lower)
{
	unsigned n = 1, pushed = 0, index = order_index(order);
	enum migratetype type = gfp_type(gfp);
	struct memory *mem = zone->mem;
	pfn_t first = PFN_NONE, pfn;

	/* What is pushed goes to the bottom. */
	CHECKED_ASSERT(pcp->count[stack] == 0);
	CHECKED_ASSERT(!arch_irqs_enabled());
	if (index < NR_CACHED_ORDERS) {
		/*
		 * Once, and not inside MIN or MAX, which would ask again: a disable may come in
		 * between.
		 */
		unsigned capacity = pcp_update_capacity(zone, pcp, stack);

		n = MAX(1u, MIN(order_batch(order), capacity));
	}
	sched_point("alloc.refill");
	zone_lock(zone);
	/*
	 * The caller's check of the watermark was without the lock: others may have passed it
	 * since.
	 */
	if (zone_watermark_ok(zone, order, gfp, lower)) {
		first = buddy_alloc(zone, order, type);
		if (first == PFN_NONE)
			first = buddy_alloc_fallback(zone, order, type);
	}
	/* Other threads will take what is cached, so it never comes from below the marks. */
	gfp &= ~(gfp_t)(GFP_RESERVE | GFP_ALL_RESERVE);
	while (first != PFN_NONE && --n > 0 && zone_watermark_ok(zone, order, gfp, lower)) {
		struct page *page;

		pfn = buddy_alloc(zone, order, type);
		if (pfn == PFN_NONE)
			break;
		/*
		 * Listed under its pageblock's type and not isolated: it has this stack's number.
		 */
		page = pfn_to_page_in(mem, pfn);
		PAGE_ASSERT(mem, page, pageblock_of(mem, pfn)->stack[index] == stack);
		page_set_state(page, PG_FREE, PG_PCP, 0, order, 0, order);
		trace_page(mem, TR_refill, pfn, order);
		pcp->slot[stack][pushed++] = page;
	}
	if (first != PFN_NONE) {
		page_set_state(pfn_to_page_in(mem, first), PG_FREE, PG_ALLOC, 0, order, 1, order);
		trace_page(mem, TR_take, first, order);
	}
	zone_unlock(zone);
	WRITE_ONCE(pcp->count[stack], (u16)pushed);
	if (pushed) {
		MM_EVENT(mem, PCP_REFILL);
		MM_EVENT_ADD(mem, PCP_REFILL_PAGES, pushed);
	}
	if (first == PFN_NONE)
		return NULL;
	MM_EVENT(mem, ALLOC_DIRECT);
	return pfn_to_page_in(mem, first);
}

void pcp_refresh_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = zone->id * STACKS_PER_ZONE + i;
		unsigned capacity = pcp_update_capacity(zone, pcp, stack);
		unsigned count = pcp->count[stack];

		if (count <= capacity)
			continue;
		zone_lock(zone);
		pcp_give_back(zone, pcp, stack, count - capacity);
		zone_unlock(zone);
		KASSERT(pcp->count[stack] == capacity);
		MM_EVENT_ADD(zone->mem, PCP_DRAINED, count - capacity);
	}
}

/* One lock hold a stack: a bounded number of blocks (max_capacity) with interrupts off. */
void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = zone->id * STACKS_PER_ZONE + i, count = pcp->count[stack];

		if (!count)
			continue;
		zone_lock(zone);
		pcp_give_back(zone, pcp, stack, count);
		zone_unlock(zone);
		KASSERT(pcp->count[stack] == 0);
		MM_EVENT_ADD(zone->mem, PCP_DRAINED, count);
	}
}

bool pcp_zone_nonempty(const struct memory *mem, unsigned cpu, const struct zone *zone)
{
	const struct pcp *pcp = mem->pcp[cpu];
	unsigned i, any = 0;

	for (i = 0; i < STACKS_PER_ZONE; i++)
		any |= READ_ONCE(pcp->count[zone->id * STACKS_PER_ZONE + i]);
	return any != 0;
}

unsigned long zone_pcp_pages(const struct zone *zone)
{
	const struct memory *mem = zone->mem;
	unsigned long pages = 0;
	unsigned cpu, i;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++)
			pages += (unsigned long)READ_ONCE(
			             mem->pcp[cpu]->count[zone->id * STACKS_PER_ZONE + i])
			    << index_order(i / NR_CACHED_TYPES);
	}
	return pages;
}
