/* SPDX-License-Identifier: MIT */
/*
 * model_cache.c: judges drains, and caches switched off and on; and the stacks of a cache: the
 * newest block is allocated, the oldest are given back.
 *
 * Owns:       the depths in m; the stacks before the call.
 * Locks:      none: one thread.
 * Invariants: as model.c.
 * Tests:      tests/qemu/test_grade.py, tests/qemu/test_states.py.
 */
#include "model.h"
#include "mm/core/pcp.h"

void judge_cache(const struct wire_call *c, const struct wire_result *r)
{
	const struct zone *zone = c->a < 0 ? NULL : &m.mem->zones[c->a];
	s64 want = c->irqs_off ? -EDEADLK : 0;
	unsigned i;

	switch (c->code) {
	case CALL_DRAIN:
		WANT(want ? r->r == want : r->r >= 0, "drain_all_pages returned %lld",
		    (long long)r->r);
		for (i = 0; !want && i < m.shape.nodes * NR_ZONE_KINDS; i++)
			WANT((zone && zone->id != i) || zone_pcp_pages(&m.mem->zones[i]) == 0,
			    "after drain_all_pages %lu pages of zone %u are still cached",
			    zone_pcp_pages(&m.mem->zones[i]), i);
		return;
	case CALL_DRAIN_HERE:
		for (i = 0; i < m.shape.nodes * NR_ZONE_KINDS; i++)
			WANT((zone && zone->id != i) ||
			        !pcp_zone_nonempty(m.mem, c->cpu, &m.mem->zones[i]),
			    "after drain_local_pages CPU %u still caches pages of zone %u", c->cpu,
			    i);
		return;
	case CALL_DISABLE:
		WANT(r->r == want, "zone_pcp_disable returned %lld: expected %lld", (long long)r->r,
		    (long long)want);
		model_counts(EV_PCP_DISABLE, !want && !m.depth[c->a]);
		m.depth[c->a] += !want;
		return;
	case CALL_ENABLE:
		want = m.depth[c->a] ? 0 : -EINVAL;
		model_counts(EV_PCP_UNBALANCED, want != 0);
		WANT(r->r == want, "zone_pcp_enable returned %lld: expected %lld", (long long)r->r,
		    (long long)want);
		m.depth[c->a] -= !want;
		return;
	default: return;
	}
}

/* ---- stacks ---- */

#define NO_STACK ((MAX_ZONES + 1) * STACKS_PER_ZONE) /* more than any machine has */

/* The stacks before the call: the place of their blocks in the pool, the oldest first. */
static struct {
	unsigned at, nr;
} stacks[ARENA_CPUS][NO_STACK];
static u32 pool[ARENA_PAGES];

static u32 cached_at(unsigned cpu, unsigned stack, unsigned i)
{
	return (u32)page_to_pfn_in(m.mem, m.mem->pcp[cpu]->stack[stack].slot[i]);
}

static unsigned count_of(unsigned cpu, unsigned stack)
{
	return stack_count(&m.mem->pcp[cpu]->stack[stack]);
}

/* The stack that must serve the call, or take its block; NO_STACK: none. */
static unsigned must_use;

/* The stack that @c must use (must_use), by the counts and capacities before the call. */
static unsigned stack_of_call(const struct wire_call *c)
{
	unsigned order = (unsigned)c->b, index, stack;
	const struct pcp *pcp;

	if ((c->code != CALL_ALLOC && (c->code != CALL_FREE || c->c)) || c->b < 0 ||
	    c->b > MAX_ORDER)
		return NO_STACK;
	index = order_index(order);
	if (index >= NR_CACHED_ORDERS)
		return NO_STACK;
	pcp = m.mem->pcp[c->cpu];
	if (c->code == CALL_ALLOC) {
		stack = pcp->first[(u8)c->a] + index * NR_CACHED_TYPES;
		return stack_count(&pcp->stack[stack]) ? stack : NO_STACK;
	}
	if (c->a < (s64)block_pfn(m.first) || c->a >= (s64)block_pfn(m.first + m.blocks) ||
	    page_word(pfn_to_page_in(m.mem, (pfn_t)c->a)) != PAGE_WORD(1, PG_ALLOC, order))
		return NO_STACK;
	stack = pageblock_of(m.mem, (pfn_t)c->a)->stack + index * NR_CACHED_TYPES;
	return pcp->stack[stack].top < pcp->stack[stack].limit ? stack : NO_STACK;
}

void stacks_before(const struct wire_call *c)
{
	unsigned cpu, stack, i, at = 0;

	if (c->code > CALL_REFRESH)
		return;
	must_use = stack_of_call(c);
	for (cpu = 0; cpu < m.shape.cpus; cpu++) {
		for (stack = 0; stack < nr_stacks(m.mem); stack++) {
			unsigned nr = count_of(cpu, stack);

			nr = MIN(nr, (unsigned)ARRAY_SIZE(pool) - at);
			stacks[cpu][stack].at = at;
			stacks[cpu][stack].nr = nr;
			for (i = 0; i < nr; i++)
				pool[at++] = cached_at(cpu, stack, i);
		}
	}
}

/* The index that @pfn had in the stack, or @nr. */
static unsigned position(const u32 *was, unsigned nr, u32 pfn)
{
	unsigned i;

	for (i = 0; i < nr && was[i] != pfn; i++)
		;
	return i;
}

/*
 * Only the oldest blocks may have left the stack and, if the call @takes a block, the newest.  New
 * blocks must be on top.
 */
static void judge_stack(unsigned cpu, unsigned stack, bool takes)
{
	unsigned nr = stacks[cpu][stack].nr, now = count_of(cpu, stack), i, from;
	const u32 *was = &pool[stacks[cpu][stack].at];

	if (!nr || !now)
		return;
	from = position(was, nr, cached_at(cpu, stack, 0));
	for (i = 0; i < now && from + i < nr && was[from + i] == cached_at(cpu, stack, i);)
		i++;
	WANT_OF(takes || from == nr || from + i == nr, was[from + i],
	    "pfn %#x has left a stack of CPU %u, where an older block stays", was[from + i], cpu);
	for (; i < now; i++) {
		u32 pfn = cached_at(cpu, stack, i);

		WANT_OF(position(was, nr, pfn) == nr, pfn,
		    "pfn %#x has changed its place in a stack of CPU %u, among those that stayed",
		    pfn, cpu);
	}
}

/*
 * If an allocated block was in a stack, it must have been the stack's newest block, and the stack
 * one for this type; unless the call has given back all that this CPU caches, as one for a larger
 * order may.
 */
static void judge_newest(unsigned cpu, u32 pfn, unsigned order, enum migratetype type)
{
	unsigned stack;

	for (stack = 0; stack < nr_stacks(m.mem); stack++) {
		unsigned nr = stacks[cpu][stack].nr;
		unsigned at = position(&pool[stacks[cpu][stack].at], nr, pfn);

		bool back = at == nr || (order && !count_of(cpu, stack));

		WANT_OF(back || stack % NR_CACHED_TYPES == type, pfn,
		    "pfn %#x was allocated for a request of type %u from a stack of type %u on CPU "
		    "%u",
		    pfn, type, stack % NR_CACHED_TYPES, cpu);
		WANT_OF(back || at + 1 == nr, pfn,
		    "pfn %#x was allocated, the block number %u from below of a stack of %u on CPU "
		    "%u: "
		    "expected the newest",
		    pfn, at, nr, cpu);
	}
}

/* A freed block that can be cached must be cached; a cached block must serve the request. */
static void judge_used(const struct wire_call *c, const struct wire_result *r)
{
	unsigned nr = stacks[c->cpu][must_use].nr, now = count_of(c->cpu, must_use);
	u32 top = c->code == CALL_ALLOC ? pool[stacks[c->cpu][must_use].at + nr - 1]
	    : now                       ? cached_at(c->cpu, must_use, now - 1)
	                                : (u32)PFN_NONE;

	if (c->code == CALL_ALLOC)
		WANT_OF(r->r == (s64)top, top,
		    "CPU %u caches pfn %#x for such a request, the newest: it was not allocated",
		    c->cpu, top);
	else
		WANT_OF(now == nr + 1 && top == (u32)c->a, c->a,
		    "pfn %#llx was freed where its stack on CPU %u has room: expected that it is "
		    "the newest in that stack, number %u",
		    (unsigned long long)c->a, c->cpu, must_use);
}

/* Every CPU must have set its capacities anew. */
static void judge_capacities(void)
{
	unsigned cpu, stack;

	for (stack = STACKS_PER_ZONE; stack < nr_stacks(m.mem); stack++) {
		const struct zone *zone = &m.mem->zones[stack / STACKS_PER_ZONE - 1];
		unsigned in_zone = stack % STACKS_PER_ZONE, want;

		if (!zone_there(zone->id))
			continue;
		want = m.depth[zone->id]
		    ? 0
		    : zone->pcp_capacity[in_zone / NR_CACHED_TYPES][in_zone % NR_CACHED_TYPES];
		for (cpu = 0; cpu < m.shape.cpus; cpu++)
			WANT(stack_capacity(&m.mem->pcp[cpu]->stack[stack]) == want,
			    "a stack of zone %u on CPU %u may hold %u blocks: expected %u",
			    zone->id, cpu, stack_capacity(&m.mem->pcp[cpu]->stack[stack]), want);
	}
}

void judge_stacks(const struct wire_call *c, const struct wire_result *r)
{
	bool takes = c->code == CALL_ALLOC || c->code == CALL_BULK_ALLOC;
	unsigned cpu, stack;

	if (c->code == CALL_BUILD || c->code == CALL_REFRESH)
		judge_capacities();
	if (c->code > CALL_REFRESH || c->code == CALL_BUILD)
		return;
	if (must_use < NO_STACK)
		judge_used(c, r);
	if (takes && model_waits((gfp_t)c->a))
		return;
	if (c->code == CALL_ALLOC && r->r >= 0)
		judge_newest(c->cpu, (u32)r->r, (unsigned)c->b, gfp_type((gfp_t)c->a));
	for (cpu = 0; cpu < m.shape.cpus; cpu++) {
		for (stack = 0; stack < nr_stacks(m.mem); stack++)
			judge_stack(cpu, stack, takes);
	}
}
