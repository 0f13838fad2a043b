/* SPDX-License-Identifier: MIT */
/*
 * pcp.c: per-CPU page caches: refill, spill, capacities, and giving back what they hold.
 *
 * Owns:       struct pcp's stacks, and every page in state PCP.
 * Locks:      none for the stacks: only the owning CPU touches them, irqs off; the zone lock to refill
 *             and to give back.
 * Invariants: each stack holds count blocks of its order, in its zone, state PCP, each in one slot;
 *             count <= capacity, save between a change of plan and the owner's next refresh; with
 *             depth > 0 and the round done, every count and capacity of the zone is 0; over all CPUs
 *             the capacities of a zone make at most 1/16 of it.
 * Checked by: check_memory().  Tests: pcp, pcp_exact, pcp_bounds, play_refill, zone_locks, drain,
 *             nodes.  The fast paths are in pcp_body.h.
 */
#include "mm/pcp_body.h"

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
 * From the smallest order up, as long as the zone's share lasts: so what does not fit gets capacity 0,
 * the largest order first.  A zone without slots yet, or without memory, has none.  A claimed range may
 * have pages that are not managed, so that more is to leave than there is.
 */
void zone_plan_capacity(struct zone *zone, unsigned long leaving)
{
	unsigned long managed = READ_ONCE(zone->managed);
	unsigned long budget = (managed - MIN(managed, leaving)) / CACHED_DIVISOR / zone->mem->nr_cpus;
	unsigned types = zone->kind == ZONE_MOVABLE ? 1 : NR_CACHED_TYPES;
	unsigned index, type;

	if (!zone->mem->pcp[0]->slot[zone_stack(zone, 0, MT_UNMOVABLE)])
		budget = 0;
	for (index = 0; index < NR_CACHED_ORDERS; index++) {
		unsigned long each = budget / types >> index_order(index);

		each = MIN(each, max_capacity[index]);
		budget -= (each * types) << index_order(index);
		for (type = 0; type < NR_CACHED_TYPES; type++) {
			bool used = zone->kind != ZONE_MOVABLE || type == MT_MOVABLE;

			WRITE_ONCE(zone->pcp_capacity[index][type], (u16)(used ? each : 0));
		}
	}
}

void pcp_set_first(struct memory *mem, unsigned cpu)
{
	unsigned n = arch_cpu_node(cpu), gfp;
	const struct node *node = &mem->nodes[n < mem->nr_nodes ? n : 0];

	for (gfp = 0; gfp < 8; gfp++) {
		enum zone_kind kind = gfp_kind(gfp);
		/* A node without such memory: a zone that is empty, so always the slow path. */
		unsigned id = node->id * NR_ZONE_KINDS + kind;

		if (load_acquire(&node->nr_zones[kind]) &&
		    mem->zones[load_acquire(&node->zonelist[kind][0])].node == node->id)
			id = load_acquire(&node->zonelist[kind][0]);
		WRITE_ONCE(mem->pcp[cpu]->first[gfp],
		    (u16)(id * STACKS_PER_ZONE + (unsigned)gfp_type(gfp)));
	}
}

/* Give back the @n oldest blocks of a stack, from the bottom.  Owner, irqs off, zone lock held. */
static void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
    REQUIRES_ZONE(zone)
{
	unsigned order = index_order(stack % STACKS_PER_ZONE / NR_CACHED_TYPES);
	unsigned count = pcp->count[stack], i;

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

/*
 * The owner's capacity of one stack, brought up to date.  Only the owner ever writes it, as depth ? 0
 * : plan; nobody else can therefore make one interrupt-off section see two capacities.  The acquire
 * pairs with the release in zone_pcp_enable: who sees depth 0 sees all that was done before it.
 */
static unsigned pcp_update_capacity(struct zone *zone, struct pcp *pcp, unsigned stack)
{
	unsigned in_zone = stack % STACKS_PER_ZONE;
	u16 plan = READ_ONCE(zone->pcp_capacity[in_zone / NR_CACHED_TYPES][in_zone % NR_CACHED_TYPES]);
	u16 capacity = load_acquire(&zone->pcp_depth) ? 0 : plan;

	WRITE_ONCE(pcp->capacity[stack], capacity);
	return capacity;
}

/* Take one block for the caller and push up to @n - 1 more.  Owner, irqs off.  NULL: nothing there. */
static struct page *pcp_refill(struct zone *zone, struct pcp *pcp, unsigned order, unsigned stack,
    gfp_t gfp, bool lower)
{
	unsigned n = 1, pushed = 0, index = order_index(order);
	enum migratetype type = gfp_type(gfp);
	struct memory *mem = zone->mem;
	pfn_t first = PFN_NONE, pfn;

	if (index < NR_CACHED_ORDERS) {
		/* Once, and not inside MIN or MAX, which would ask again: a disable may come in between. */
		unsigned capacity = pcp_update_capacity(zone, pcp, stack);

		n = MAX(1u, MIN(order_batch(order), capacity));
	}
	sched_point("alloc.refill");
	zone_lock(zone);
	/* The caller's look at the watermark was without the lock: others may have passed it since. */
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
		/* Listed under its pageblock's type and not isolated: it has this stack's number. */
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

struct page *pcp_alloc_zone(struct zone *zone, gfp_t gfp, unsigned order, bool lower)
{
	unsigned index = order_index(order), stack = zone->id * STACKS_PER_ZONE + STACK_NONE;
	enum migratetype type = gfp_type(gfp);
	irqflags_t flags = arch_irq_save();
	struct pcp *pcp = this_pcp_slow(zone->mem);
	struct page *page = NULL;

	if (index < NR_CACHED_ORDERS)
		stack = zone_stack(zone, index, type);
	/* What this CPU has cached is not counted as free, so no watermark guards it. */
	if (pcp->count[stack] > 0) {
		page = pcp->slot[stack][pcp->count[stack] - 1];
		page_set_state(page, PG_PCP, PG_ALLOC, 0, order, 1, order);
		WRITE_ONCE(pcp->count[stack], (u16)(pcp->count[stack] - 1));
	} else if (zone_watermark_ok(zone, order, gfp, lower)) {
		page = pcp_refill(zone, pcp, order, stack, gfp, lower);
	}
	arch_irq_restore(flags);
	if (page)
		alloc_check(zone->mem, page, order);
	return page;
}

bool pcp_free_slow(struct memory *mem, struct page *page, unsigned order, u32 word)
{
	unsigned index = order_index(order), stack = 0, n = 0;
	pfn_t pfn = page_to_pfn_in(mem, page);
	struct zone *zone = zone_of(mem, pfn);
	irqflags_t flags = arch_irq_save();
	struct pcp *pcp = this_pcp_slow(mem);
	u32 found;

	if (index < NR_CACHED_ORDERS) {
		stack = READ_ONCE(pageblock_of(mem, pfn)->stack[index]);
		/*
		 * Poison never enters a cache.  The word is read here: what the caller saw before interrupts
		 * went off may be older than a mark that was set while the caches were off, and are on again.
		 */
		if (pcp->count[stack] < pcp->capacity[stack] && !(word & PAGE_POISON) &&
		    page_word(page) == word) {
			WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
			pcp->slot[stack][pcp->count[stack]] = page;
			WRITE_ONCE(pcp->count[stack], (u16)(pcp->count[stack] + 1));
			arch_irq_restore(flags);
			return true;
		}
		n = MIN(order_batch(order), pcp->count[stack]);
		MM_EVENT(mem, PCP_SPILL);
	}
	sched_point("free.direct");
	zone_lock(zone);
	sched_point("free.buddy_locked");
	/* Read again under the lock (law 4): it may be poisoned since, or another CPU have freed it too. */
	found = page_word(page);
	if ((found ^ word) & ~PAGE_POISON) {
		zone_unlock(zone);
		arch_irq_restore(flags);
		return false;
	}
	if (n)
		pcp_give_back(zone, pcp, stack, n);
	trace_page(mem, TR_direct, pfn, order);
	if (unlikely(found & PAGE_POISON))
		poison_free_block(zone, pfn, order);
	else
		buddy_free(zone, pfn, order);
	zone_unlock(zone);
	MM_EVENT_ADD(mem, PCP_SPILL_BLOCKS, n);
	MM_EVENT(mem, FREE_DIRECT);
	arch_irq_restore(flags);
	return true;
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
		MM_EVENT_ADD(zone->mem, PCP_DRAINED, count);
	}
}

/*
 * Look at each cached page's pageblock, and give back those that are isolated, from wherever they lie
 * in the stack; the others keep their order.
 */
void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned i, from;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = zone->id * STACKS_PER_ZONE + i, count = pcp->count[stack], kept = 0;
		unsigned order = index_order(i / NR_CACHED_TYPES);
		struct page **slot = pcp->slot[stack];

		if (!count)
			continue;
		zone_lock(zone);
		for (from = 0; from < count; from++) {
			pfn_t pfn = page_to_pfn_in(mem, slot[from]);

			if (!pageblock_isolated(pageblock_of(mem, pfn))) {
				slot[kept++] = slot[from];
				continue;
			}
			trace_page(mem, TR_give, pfn, order);
			buddy_free(zone, pfn, order);
		}
		zone_unlock(zone);
		WRITE_ONCE(pcp->count[stack], (u16)kept);
		MM_EVENT_ADD(mem, PCP_DRAINED, count - kept);
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
