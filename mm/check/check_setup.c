/* SPDX-License-Identifier: MIT */
/*
 * check_setup.c: the part of check_memory that compares fields with others from which they follow:
 * ranges, zonelists, watermarks, the first zones and the stacks of each CPU, requests.
 *
 * Owns:       nothing; it never repairs.
 * Locks:      none: every CPU is stopped.  A field whose mutex is held is not checked.
 * Invariants: those it checks are in docs/mm/check.md.  The other parts of check_memory rely on
 *             them.
 * Tests:      fields.
 */
#include "mm/check/check.h"
#include "mm/core/pcp.h"
#include "mm/core/zone.h"
#include "mm/reclaim/reclaim.h"
#include "mm/vm/lru.h"

struct setup {
	struct memory *mem;
	struct mm_violation *v;
	bool adding, hotplug; /* these locks are not held: their fields are at rest */
};

static bool aligned(pfn_t pfn)
{
	return !(pfn & (PAGEBLOCK_PAGES - 1));
}

static bool check_arrays(struct setup *c)
{
	const struct memory *mem = c->mem;
	pfn_t start = mem->start_pfn, end = mem->end_pfn;

	CHECK(c, start < end && end <= PFN_NONE && aligned(start | end), "I-Z1 range of a memory",
	    start, end, 0);
	CHECK_EQ(c, mem->nr_pfns, end - start, "I-Z1 pages of a memory", start);
	CHECK(c, mem->first_page == (uintptr_t)mem->memmap + start * sizeof(struct page),
	    "I-Z1 descriptor of the first page", start, mem->first_page, mem->memmap);
	CHECK(c,
	    (uintptr_t)mem->first_block ==
	        (uintptr_t)mem->pageblocks + (start >> PAGEBLOCK_ORDER << PAGEBLOCK_SHIFT),
	    "I-Z1 descriptor of the first pageblock", start, mem->first_block, mem->pageblocks);
	CHECK(c, mem->nr_nodes - 1 < MAX_NODES, "I-Z1 nodes of a memory", 0, mem->nr_nodes,
	    MAX_NODES);
	CHECK(c, mem->nr_cpus - 1 < nr_cpus && mem->thread_cpus <= mem->nr_cpus,
	    "I-Z1 CPUs of a memory", 0, mem->nr_cpus, nr_cpus);
	CHECK(c, mem->standby_step && aligned(mem->standby_step), "I-Z1 step of standby memory", 0,
	    mem->standby_step, PAGEBLOCK_PAGES);
	CHECK(c, mem->policy < NR_ISO_POLICIES && mem->blocks_at_once && mem->vm.at_once,
	    "I-Z1 settings of a memory", 0, mem->policy, NR_ISO_POLICIES);
	return true;
}

/* ---- zones ---- */

static bool check_span(struct setup *c, unsigned id)
{
	const struct zone *zone = &c->mem->zones[id];
	pfn_t start = zone->start_pfn, end = zone->end_pfn;

	CHECK(c,
	    zone->mem == c->mem && zone->id == id && zone->node == id / NR_ZONE_KINDS &&
	        zone->kind == id % NR_ZONE_KINDS,
	    "I-Z2 number of a zone", id, zone->id, id);
	CHECK(c,
	    start == end ||
	        (start < end && aligned(start | end) && id < nr_zones(c->mem) &&
	            start >= c->mem->start_pfn && end <= c->mem->end_pfn),
	    "I-Z2 span of a zone", id, start, end);
	start = zone->standby_end ? zone->start_pfn : 0;
	CHECK(c,
	    start <= zone->standby && zone->standby <= zone->standby_end &&
	        zone->standby_end <= end && aligned(zone->standby | zone->standby_end),
	    "I-Z2 standby memory of a zone", id, zone->standby, zone->standby_end);
	return true;
}

/* Is each pageblock in the span of the zone that it names? */
static bool check_owners(struct setup *c) WHILE_STOPPED
{
	pfn_t pfn;

	for (pfn = c->mem->start_pfn; pfn < c->mem->end_pfn; pfn += PAGEBLOCK_PAGES) {
		const struct pageblock *pb = pageblock_of(c->mem, pfn);
		const struct zone *zone = &c->mem->zones[MIN(pb->zone, MAX_ZONES - 1)];

		CHECK(c, pageblock_state(pb) <= PB_ONLINE, "I-I3 state of a pageblock", pfn,
		    pageblock_state(pb), PB_ONLINE);
		CHECK(c,
		    pageblock_state(pb) == PB_HOLE ||
		        (pb->zone < MAX_ZONES && pfn >= zone->start_pfn && pfn < zone->end_pfn),
		    "I-N4 zone of a pageblock", pfn, pb->zone, 0);
		CHECK(c, !(pb->bits & PB_EVACUATED) || pageblock_state(pb) == PB_OFFLINE,
		    "I-O3 evacuated, and not offline", pfn, pb->bits, 0);
		CHECK(c, !(pb->bits & PB_REPORTED) || pageblock_state(pb) == PB_ONLINE,
		    "I-R2 reported, and not online", pfn, pb->bits, 0);
		CHECK(c, pageblock_type(pb) < NR_MIGRATETYPES, "I-I3 type of a pageblock", pfn,
		    pageblock_type(pb), NR_MIGRATETYPES);
	}
	return true;
}

static bool check_counters(struct setup *c, const struct zone *zone) WHILE_STOPPED
{
	const struct reclaim *r = &c->mem->nodes[zone->node].reclaim;
	struct zone_marks marks = zone_marks(zone);
	unsigned i;

	for (i = 0; c->hotplug && i < ARRAY_SIZE(marks.wmark); i++)
		CHECK_EQ(c, zone->wmark[i], marks.wmark[i], "I-W1 watermarks", zone->id);
	CHECK(c, !c->hotplug || zone->reserve == marks.reserve, "I-W1 watermarks: the reserve",
	    zone->id, zone->reserve, marks.reserve);
	/* Only the node's reclaim thread moves pages to MOVABLE, a batch at a time. */
	CHECK(c,
	    !zone->nr_moving || (r->thread && !r->wake.first && zone->nr_moving <= RECLAIM_BATCH),
	    "I-N7 pages that move to MOVABLE", zone->id, zone->nr_moving, RECLAIM_BATCH);
	CHECK(c, zone->futile <= 1 && zone->futile_came <= READ_ONCE(zone->lru_came),
	    "I-N7 mark of a run that did not help", zone->id, zone->futile_came,
	    READ_ONCE(zone->lru_came));
	return true;
}

/* The zones of a list: nearest node first, of equally near ones by number; highest kind first. */
static bool check_zonelist(struct setup *c, const struct node *node, unsigned kind)
{
	unsigned nr = node->nr_zones[kind], want = 0, n = c->mem->nr_nodes, i;
	u32 key, last = 0;

	for (i = 0; i < nr_zones(c->mem); i++)
		want += i % NR_ZONE_KINDS <= kind && zone_has_span(&c->mem->zones[i]);
	CHECK_EQ(c, nr, want, "I-Z3 zones of a zonelist", node->id);
	for (i = 0; i < nr; i++, last = key) {
		unsigned id = node->zonelist[kind][i], on = id / NR_ZONE_KINDS;

		CHECK(c,
		    id < nr_zones(c->mem) && id % NR_ZONE_KINDS <= kind &&
		        zone_has_span(&c->mem->zones[id]),
		    "I-Z3 zone in a zonelist", node->id, id, kind);
		key = (u32)node->distance[on] << 16 | (on + n - node->id) % n << 8 |
		    (NR_ZONE_KINDS - id % NR_ZONE_KINDS);
		CHECK(c, key > last, "I-Z3 order of a zonelist", node->id, id, i);
	}
	return true;
}

static bool check_node(struct setup *c, unsigned n)
{
	const struct node *node = &c->mem->nodes[n];
	const struct reclaim *r = &node->reclaim;
	unsigned kind;
	bool ok = true;

	CHECK(c, node->mem == c->mem && node->id == n, "I-Z2 number of a node", n, node->id, n);
	CHECK(c, are_requests(r->run_for | r->run_failed | r->compact | r->compact_failed),
	    "I-R3 requests to a reclaim thread", n, r->run_for, r->compact);
	for (kind = 0; ok && c->adding && kind < NR_ZONE_KINDS; kind++)
		ok = check_zonelist(c, node, kind);
	return ok;
}

/* ---- CPUs ---- */

static bool check_stack(
    struct setup *c, const struct zone *zone, unsigned cpu, unsigned i) WHILE_STOPPED
{
	const struct pcp *pcp = c->mem->pcp[cpu];
	unsigned stack = stacks_of(zone->id) + i;
	const struct pcp_stack *s = &pcp->stack[stack];
	unsigned most = has_stack(zone, i % NR_CACHED_TYPES) ? stack_most(i / NR_CACHED_TYPES) : 0;
	uintptr_t slot = (uintptr_t)s->slot, top = (uintptr_t)s->top, limit = (uintptr_t)s->limit;

	CHECK(c, READ_ONCE(zone->pcp_limit[i]) <= most, "I-P7 limit above the stack's slots",
	    zone->id, READ_ONCE(zone->pcp_limit[i]), most);
	CHECK(c, !slot || s->slot == pcp_slots(zone, pcp, stack), "I-P5 slots of a stack", cpu,
	    slot, stack);
	most = slot ? most * (unsigned)sizeof(*s->slot) : 0;
	CHECK(c, limit - slot <= most && !(limit % sizeof(*s->slot)),
	    "I-P1 capacity above the stack's slots", cpu, limit - slot, most);
	CHECK(c, top - slot <= most && !(top % sizeof(*s->slot)),
	    "I-P1 more cached than the stack's slots", cpu, top - slot, most);
	return true;
}

static bool check_stacks(struct setup *c, const struct zone *zone) WHILE_STOPPED
{
	unsigned cpu, i;

	for (cpu = 0; cpu < c->mem->nr_cpus; cpu++) {
		const struct pcp *pcp = c->mem->pcp[cpu];
		uintptr_t given = 0;

		for (i = 0; i < STACKS_PER_ZONE; i++) {
			if (!check_stack(c, zone, cpu, i))
				return false;
			given += (uintptr_t)pcp->stack[stacks_of(zone->id) + i].slot;
		}
		CHECK_EQ(c, pcp->given[zone->id], given, "I-P5 sum of the places of slots", cpu);
	}
	return true;
}

/* The number of the zone that a CPU of @node tries first for @gfp (pcp_set_first). */
static unsigned first_zone(const struct memory *mem, unsigned node, unsigned gfp)
{
	unsigned top = node * NR_ZONE_KINDS + gfp_kind(gfp), id = top;

	while (id > node * NR_ZONE_KINDS && !zone_has_span(&mem->zones[id]))
		id--;
	return zone_has_span(&mem->zones[id]) ? id : top;
}

/* The stacks from which an online CPU takes pages, and its place in a round: none is under way. */
static bool check_cpu(struct setup *c, unsigned cpu)
{
	const struct pcp *pcp = c->mem->pcp[cpu];
	const struct zone *zones = c->mem->zones;
	unsigned node = memory_node(c->mem, cpu)->id, gfp;

	for (gfp = 0; c->adding && gfp < ARRAY_SIZE(pcp->first); gfp++) {
		unsigned id = pcp->first[gfp] / STACKS_PER_ZONE - 1;

		CHECK(c,
		    gfp >= ARRAY_SIZE(pcp->home) ||
		        pcp->home[gfp] == &zones[first_zone(c->mem, node, gfp)],
		    "I-P5 first zone of a CPU", cpu, gfp, first_zone(c->mem, node, gfp));
		CHECK(c,
		    id < nr_zones(c->mem) && id % NR_ZONE_KINDS <= gfp_kind(gfp) &&
		        (!(gfp & GFP_THISNODE) || id / NR_ZONE_KINDS == node),
		    "I-P5 zone of a CPU's first stack", cpu, pcp->first[gfp], gfp);
		CHECK(c, pcp->first[gfp] % STACKS_PER_ZONE == (unsigned)gfp_type(gfp),
		    "I-P5 type of a CPU's first stack", cpu, pcp->first[gfp], gfp);
	}
	CHECK(c, !pcp->round_zone && !pcp->scan_stack && !pcp->scan_left,
	    "I-P5 place of a CPU in a round", cpu, pcp->round_zone, pcp->scan_left);
	return true;
}

/* The claims are at rest if c->hotplug. */
static bool check_rounds(struct setup *c) NO_LOCK_ANALYSIS
{
	const struct memory *mem = c->mem;
	const struct range_claim *claim;

	CHECK_EQ(c, mem->round_done, mem->round_started, "I-R1 rounds begun and ended", 0);
	CHECK(c, are_requests(mem->standby.run_for), "I-R3 requests for standby memory", 0,
	    mem->standby.run_for, 0);
	CHECK(c, mem->iso_pending <= 2 * mem->nr_isolating, "I-I6 isolations under way", 0,
	    mem->iso_pending, 2 * mem->nr_isolating);
	if (!c->hotplug)
		return true;
	LIST_FOREACH(claim, &mem->claims, link) {
		CHECK(c, claim->nr < mem->nr_claims, "I-I6 number of a claim", claim->range.start,
		    claim->nr, mem->nr_claims);
		CHECK(c, claim->range.start < claim->range.end && range_ok(mem, claim->range),
		    "I-I6 range of a claim", claim->range.start, claim->range.start,
		    claim->range.end);
	}
	return true;
}

bool check_setup(struct memory *mem, struct mm_violation *v)
{
	struct setup setup = {.mem = mem, .v = v}, *c = &setup;
	bool listed = READ_ONCE(mem->link.le_prev) != NULL, ok = check_arrays(c);
	unsigned i;

	c->adding = listed && !mutex_is_held(&mem->adding);
	c->hotplug = listed && !mutex_is_held(&mem->hotplug);
	for (i = 0; ok && i < MAX_ZONES; i++)
		ok = check_span(c, i);
	for (i = 0; ok && i < mem->nr_nodes; i++)
		ok = check_node(c, i);
	for (i = 0; ok && i < nr_zones(mem); i++)
		ok = check_counters(c, &mem->zones[i]) && check_stacks(c, &mem->zones[i]);
	for (i = 0; ok && i < mem->nr_cpus; i++)
		ok = !cpumask_test(cpu_online_mask, i) || check_cpu(c, i);
	return ok && check_owners(c) && check_rounds(c);
}
