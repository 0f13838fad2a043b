/* SPDX-License-Identifier: MIT */
/*
 * plans.c: the tests of the model layer: the mix of calls and the memory of each test.
 *
 * The next call depends on a seed and on the model, never on how the code under test works inside.
 *
 * Owns:       plans.
 * Locks:      none: one thread.
 * Invariants: at the end of a plan all memory has been freed.
 * Tests:      tests/qemu/test_grade.py.
 */
#include "plans.h"
#include <quarry/ktest.h>

/* Small zones, so that they run out; `nodes` has a hole and reserved pages. */
static const struct wire_shape one_block = {.zone = {{0, ZONE_NORMAL, 1}}, .nodes = 1, .cpus = 1};
static const struct wire_shape flat = {
    .zone = {{0, ZONE_NORMAL, 6}, {0, ZONE_MOVABLE, 4}}, .nodes = 1, .cpus = 4};
static const struct wire_shape nodes = {
    .zone = {{0, ZONE_DMA32, 2}, {0, ZONE_NORMAL, 5}, {0, ZONE_MOVABLE, 3}, {1, ZONE_NORMAL, 3},
        {1, ZONE_MOVABLE, 2}},
    .nodes = 2,
    .cpus = 4,
    .hole = 5,
    .reserved = 3};

/* One CPU may cache all that the limits allow. */
static const struct wire_shape large = {.zone = {{0, ZONE_NORMAL, 24}}, .nodes = 1, .cpus = 1};
static const struct wire_shape lending = {
    .zone = {{0, ZONE_NORMAL, 5}}, .nodes = 1, .cpus = 4, .lent = 3};

#define ANY_POLICY (1u << ISO_REDRAIN | 1u << ISO_DISABLE | 1u << ISO_PRECISE)
#define USE(a, f)  [CALL_ALLOC] = (a), [CALL_FREE] = (f)
#define CACHES(n)                                                                                  \
	[CALL_DRAIN] = (n), [CALL_DRAIN_HERE] = (n), [CALL_DISABLE] = (n), [CALL_ENABLE] = (n) + 2
#define REFS(n)     [CALL_GET] = (n), [CALL_PUT] = (n), [CALL_PIN] = (n), [CALL_UNPIN] = (n)
#define ISOLATES(n) [CALL_ISOLATE] = (n), [CALL_UNDO] = (n), [CALL_TEST] = (n)
#define HANDLES(n)                                                                                 \
	[CALL_HOLD] = (n), [CALL_DROP] = (n) / 2, [CALL_HOLD_PIN] = (n) / 4,                       \
	[CALL_HOLD_UNPIN] = (n) / 3

const struct plan plans[] = {
    {"one_block", "blocks of all orders of a single pageblock, caches off", &one_block, 500,
        {USE(20, 17)}, .orders = MAX_ORDER, .off = true, .most = 60},
    {"one_block_pages", "a single pageblock filled with small blocks, and emptied", &one_block, 700,
        {USE(20, 17), [CALL_BULK_ALLOC] = 3, [CALL_BULK_FREE] = 3}, .orders = 2, .off = true,
        .most = 500},
    {"blocks", "blocks of all orders, caches off", &flat, 600, {USE(20, 17)}, .orders = MAX_ORDER,
        .off = true, .most = 120},
    {"types", "all types and zones on two nodes, caches off", &nodes, 800, {USE(20, 16)},
        .orders = 4, .off = true, .most = 700},
    {"full", "memory that runs out, caches off", &flat, 900,
        {USE(20, 14), [CALL_BULK_ALLOC] = 12, [CALL_BULK_FREE] = 5}, .orders = 7, .off = true,
        .most = 1500},
    {"lent", "a pageblock that is lent to movable requests, in memory that runs out", &lending, 900,
        {USE(20, 15), [CALL_BULK_ALLOC] = 8, [CALL_BULK_FREE] = 4}, .orders = 5, .off = true,
        .most = 1500},
    {"wrong_frees", "double frees, wrong orders, pages never allocated", &flat, 500, {USE(20, 25)},
        .orders = 3, .wrong = true, .most = 80},
    {"references", "get, put, pin, unpin", &flat, 600, {USE(12, 10), REFS(8)}, .orders = 3,
        .most = 60},
    {"caches", "allocations and frees on four CPUs, with drains", &flat, 900,
        {USE(30, 26), [CALL_BULK_ALLOC] = 3, [CALL_BULK_FREE] = 3, [CALL_DRAIN] = 2,
            [CALL_DRAIN_HERE] = 3, [CALL_REFRESH] = 1},
        .orders = 3, .most = 250},
    {"caches_full", "the same with memory that runs out, on two nodes", &nodes, 900,
        {USE(26, 16), [CALL_BULK_ALLOC] = 14, [CALL_BULK_FREE] = 6, [CALL_DRAIN] = 1}, .orders = 3,
        .most = 1800},
    {"caches_large", "caches as large as they can be, of one CPU", &large, 1100,
        {USE(40, 12), [CALL_BULK_ALLOC] = 1}, .orders = 3, .most = 600},
    {"damaged_word", "in the end the word of a cached page is overwritten", &flat, 60,
        {USE(20, 19)}, .orders = 1, .damage = true, .most = 60},
    {"limits", "caches that may hold less, since pageblocks go offline; and more again", &flat, 900,
        {USE(30, 24), [CALL_BULK_ALLOC] = 2, [CALL_BULK_FREE] = 6, [CALL_REFRESH] = 3,
            [CALL_OFFLINE] = 4, [CALL_ONLINE] = 5},
        .orders = 3, .movable = true, .policies = 1u << ISO_PRECISE, .most = 120},
    {"drain", "drains of all zones and of one, some with interrupts off", &nodes, 700,
        {USE(24, 20), [CALL_DRAIN] = 14, [CALL_DRAIN_HERE] = 3}, .orders = 3, .irqs = true,
        .most = 200},
    {"disable", "caches off and on, nested, between allocations and frees", &nodes, 900,
        {USE(24, 20), CACHES(7), [CALL_REFRESH] = 2}, .orders = 3, .irqs = true, .most = 200},
    {"isolate", "isolated ranges, by every policy, between allocations and frees", &flat, 900,
        {USE(24, 21), ISOLATES(8), [CALL_DISABLE] = 3, [CALL_ENABLE] = 4, [CALL_DRAIN] = 1},
        .orders = 3, .policies = ANY_POLICY, .most = 60},
    {"isolate_precise", "pages in caches of a range that is isolated", &flat, 900,
        {USE(30, 29), ISOLATES(6)}, .orders = 3, .policies = 1u << ISO_PRECISE, .most = 40},
    {"isolate_mixed", "the same, with caches that hold pages of many pageblocks", &flat, 900,
        {USE(16, 20), [CALL_BULK_ALLOC] = 5, [CALL_BULK_FREE] = 2, ISOLATES(4)}, .orders = 1,
        .movable = true, .policies = 1u << ISO_PRECISE, .most = 1500},
    {"isolate_nodes", "isolated ranges with holes, reserved and pinned pages, two zones", &nodes,
        900, {USE(20, 19), ISOLATES(8), HANDLES(8), [CALL_DISABLE] = 3, [CALL_ENABLE] = 4},
        .orders = 3, .policies = ANY_POLICY, .irqs = true, .most = 40},
    {"offline", "free ranges go offline and come back", &flat, 700,
        {USE(20, 20), [CALL_OFFLINE] = 8, [CALL_ONLINE] = 10, [CALL_ISOLATE] = 1, [CALL_UNDO] = 2,
            [CALL_DISABLE] = 1, [CALL_ENABLE] = 2},
        .orders = 3, .policies = ANY_POLICY, .most = 30},
    {"offline_moves", "ranges with movable pages go offline", &nodes, 700,
        {USE(10, 11), HANDLES(16), [CALL_OFFLINE] = 8, [CALL_ONLINE] = 10}, .orders = 3,
        .policies = ANY_POLICY, .most = 20},
    {"offline_broken", "ranges with broken pages go offline and come back", &flat, 800,
        {USE(12, 14), [CALL_OFFLINE] = 8, [CALL_ONLINE] = 12, [CALL_BREAK] = 5, [CALL_REPAIR] = 2},
        .orders = 3, .policies = ANY_POLICY, .most = 30},
    {"contig", "given ranges of pages, some with movable pages in them", &nodes, 700,
        {USE(8, 8), HANDLES(12), [CALL_CONTIG] = 10, [CALL_FREE_RANGE] = 14}, .orders = 3,
        .most = 900},
    {"broken", "pages break: free, cached, allocated, movable; and are repaired", &flat, 800,
        {USE(14, 14),
            HANDLES(8), [CALL_DRAIN] = 1, [CALL_BREAK] = 8, [CALL_SOFT] = 6, [CALL_REPAIR] = 8},
        .orders = 5, .most = 60},
    {"move", "movable pages are taken, and moved or put back", &flat, 700,
        {USE(8, 8), HANDLES(16), [CALL_MOVE] = 10, [CALL_PUT_BACK] = 5}, .orders = 3, .most = 40},
};
const unsigned nr_plans = ARRAY_SIZE(plans);

static unsigned upto(u64 *rand, unsigned n)
{
	return (unsigned)((ktest_rand(rand) >> 16) % n);
}

static s64 some_zone(u64 *rand)
{
	unsigned id;

	do {
		id = upto(rand, m.shape.nodes * NR_ZONE_KINDS);
	} while (!zone_there(id));
	return id;
}

static unsigned some_handle(u64 *rand, bool used)
{
	unsigned h = upto(rand, NR_HANDLES), i;

	for (i = 0; i < NR_HANDLES && (m.at[h] != ~0ULL) != used; i++)
		h = (h + 1) % NR_HANDLES;
	return h;
}

static bool make_alloc(const struct plan *p, u64 *rand, struct wire_call *c)
{
	static const gfp_t gfps[] = {GFP_UNMOVABLE, GFP_MOVABLE, GFP_MOVABLE, GFP_RECLAIMABLE};
	bool far = p->shape->nodes > 1;

	c->a = (p->movable ? GFP_MOVABLE : gfps[upto(rand, 4)]) | GFP_NOWAIT;
	if (far && upto(rand, 8) == 0)
		c->a |= GFP_DMA32;
	if (far && upto(rand, 8) == 0)
		c->a |= GFP_THISNODE;
	if (upto(rand, 16) == 0)
		c->a |= GFP_RESERVE;
	/* Small orders are more frequent. */
	c->b = upto(rand, 3) ? upto(rand, p->orders / 2 + 1u) : upto(rand, p->orders + 1u);
	if (c->code == CALL_BULK_ALLOC)
		c->b = 1 + upto(rand, MIN(WIRE_PFNS - 1u, NR_LIVE - 1 - m.nr_live));
	return m.nr_live < p->most;
}

static bool make_free(const struct plan *p, u64 *rand, struct wire_call *c)
{
	unsigned i = m.nr_live ? upto(rand, m.nr_live) : 0, k;

	if (!m.nr_live)
		return false;
	if (c->code == CALL_BULK_FREE) {
		for (k = 0; k < MIN(m.nr_live, WIRE_PFNS - 2u); k++)
			c->pfns[k] = m.live[(i + k) % m.nr_live].pfn;
		c->a = k;
		return true;
	}
	c->a = m.live[i].pfn;
	c->b = m.live[i].order;
	if (!p->wrong)
		return m.live[i].refs == 1 && !m.live[i].pins;
	switch (upto(rand, 8)) {
	case 0: c->b = (c->b + 1) % NR_ORDERS; break;
	case 1: c->a += 1; break;
	case 2: c->a = m.last_freed; break;
	case 3: c->a = (s64)(block_pfn(m.first) + upto(rand, m.blocks << PAGEBLOCK_ORDER)); break;
	case 4: c->a = -1; break;
	default: break;
	}
	return c->a != (s64)block_pfn(m.first + m.blocks);
}

static bool make_refs(u64 *rand, struct wire_call *c)
{
	const struct model_live *l;

	if (!m.nr_live)
		return false;
	l = &m.live[upto(rand, m.nr_live)];
	c->a = l->pfn;
	/* Never leave a pin without a reference. */
	if (c->code == CALL_UNPIN)
		return l->pins > 0;
	if (c->code == CALL_PUT)
		return l->refs == 1 || l->refs > l->pins;
	return l->refs < 100;
}

static bool make_range(const struct plan *p, u64 *rand, struct wire_call *c)
{
	unsigned block = m.first + upto(rand, m.blocks), i;

	/* Usually choose a pageblock in the state that the call needs. */
	for (i = 0; i < m.blocks && upto(rand, 4); i++) {
		const struct model_block *b = &m.block[block];

		if (c->code == CALL_ONLINE ? b->offline
		        : c->code == CALL_UNDO || c->code == CALL_TEST
		        ? b->isolated
		        : !b->offline && !b->isolated)
			break;
		block = m.first + (block - m.first + 1) % m.blocks;
	}
	c->a = (s64)block_pfn(block);
	c->b = (s64)PAGEBLOCK_PAGES * (1 + (upto(rand, 3) ? 0 : upto(rand, 3)));
	do {
		c->c = upto(rand, NR_ISO_POLICIES);
	} while (p->policies && !(p->policies >> c->c & 1));
	/* The range of an undo may lie in two zones. */
	if (c->code == CALL_UNDO)
		return !model_look((pfn_t)c->a, (unsigned long)c->b).beyond;
	if (c->code == CALL_TEST)
		return !model_look((pfn_t)c->a, (unsigned long)c->b).bad;
	if (upto(rand, 24) == 0)
		c->a += 1;
	return true;
}

/* Choose a range directly before or behind a block in use, perhaps with a part of the block. */
static void beside(u64 *rand, pfn_t *start, pfn_t *end)
{
	const struct model_live *l = &m.live[upto(rand, m.nr_live)];
	unsigned tries, into;

	for (tries = 0; tries < 16 && l->gfp & GFP_MOVABLE; tries++)
		l = &m.live[upto(rand, m.nr_live)];
	into = upto(rand, 3) ? 0 : upto(rand, 1U << l->order);
	if (upto(rand, 2)) {
		*end = l->pfn + into;
		*start = *end - 1 - upto(rand, 40);
	} else {
		*start = l->pfn + (1U << l->order) - into;
		*end = *start + 1 + upto(rand, 40);
	}
}

/* Choose a range in one or two pageblocks; or live pages that can be freed in one piece. */
static bool make_contig(u64 *rand, struct wire_call *c)
{
	pfn_t at = block_pfn(m.first) + upto(rand, m.blocks << PAGEBLOCK_ORDER), end;

	if (c->code == CALL_CONTIG) {
		end = at + 1 + upto(rand, upto(rand, 3) ? 40 : 400);
		if (m.nr_live && upto(rand, 3) == 0)
			beside(rand, &at, &end);
		c->a = (s64)at;
		c->b = (s64)end;
		c->c = MT_MOVABLE;
		return at >= block_pfn(m.first) && end <= block_pfn(m.first + m.blocks) &&
		    m.nr_live + 450 < NR_LIVE;
	}
	if (!m.nr_live)
		return false;
	at = end = m.live[upto(rand, m.nr_live)].pfn;
	while (end < at + 64 && model_plain_page(end))
		end++;
	c->a = (s64)at;
	c->b = (s64)(end - at);
	return end > at;
}

/* Choose a page: at times a page in use; for a repair, mostly a retired page if there is one. */
static bool make_poison(u64 *rand, struct wire_call *c)
{
	pfn_t at = block_pfn(m.first) + upto(rand, m.blocks << PAGEBLOCK_ORDER), tries;
	const struct model_block *b;

	if (c->code == CALL_REPAIR && m.nr_retired && upto(rand, 8)) {
		for (tries = 0; tries < ARENA_PAGES && m.owner[at] != OWNER_BROKEN; tries++)
			at = block_pfn(m.first) +
			    (at + 1 - block_pfn(m.first)) % (m.blocks << PAGEBLOCK_ORDER);
	} else if (m.nr_live && upto(rand, 3) == 0) {
		const struct model_live *l = &m.live[upto(rand, m.nr_live)];

		at = l->pfn + upto(rand, 1U << l->order);
	} else if (c->code == CALL_SOFT && upto(rand, 2)) {
		unsigned h = some_handle(rand, true);

		if (m.at[h] != ~0ULL)
			at = m.at[h] + upto(rand, 1U << m.handle_order[h]);
	}
	c->a = (s64)at;
	b = &m.block[block_index(at)];
	if (b->hole || b->offline || b->reserved || m.owner[at] == OWNER_KEPT)
		return false;
	/* Leave out the cases that only the table in docs/mm/poison.md decides. */
	if (m.owner[at] & OWNER_HANDLE)
		return c->code == CALL_SOFT;
	return !(m.doomed[at] && c->code == CALL_SOFT) && m.nr_retired < 60;
}

static bool make_move(u64 *rand, struct wire_call *c)
{
	unsigned h, from = upto(rand, NR_HANDLES);

	for (h = from; h < MIN(from + 6, NR_HANDLES + 0u); h++) {
		if (m.at[h] != ~0ULL)
			c->pfns[c->a++] = (u32)m.at[h];
	}
	return c->a > 0;
}

/* Choose the operands of the call; false: it cannot be made now. */
static bool make(const struct plan *p, u64 *rand, struct wire_call *c)
{
	switch (c->code) {
	case CALL_ALLOC:
	case CALL_BULK_ALLOC: return make_alloc(p, rand, c);
	case CALL_FREE:
	case CALL_BULK_FREE: return make_free(p, rand, c);
	case CALL_GET:
	case CALL_PUT:
	case CALL_PIN:
	case CALL_UNPIN: return make_refs(rand, c);
	case CALL_DRAIN:
	case CALL_DRAIN_HERE:
		c->a = upto(rand, 2) ? some_zone(rand) : -1;
		c->irqs_off = p->irqs && c->code == CALL_DRAIN && upto(rand, 8) == 0;
		return true;
	case CALL_DISABLE:
	case CALL_ENABLE:
		c->a = some_zone(rand);
		c->irqs_off = p->irqs && c->code == CALL_DISABLE && upto(rand, 8) == 0;
		return c->code == CALL_ENABLE ? m.depth[c->a] || p->irqs : m.depth[c->a] < 4;
	case CALL_HOLD:
		c->a = some_handle(rand, false);
		c->b = upto(rand, 4);
		return true;
	case CALL_DROP:
	case CALL_HOLD_PIN:
	case CALL_HOLD_UNPIN: c->a = some_handle(rand, true); return m.handle_pins[c->a] < 8;
	case CALL_MOVE:
	case CALL_PUT_BACK: return make_move(rand, c);
	case CALL_REFRESH: return true;
	case CALL_CONTIG:
	case CALL_FREE_RANGE: return make_contig(rand, c);
	case CALL_BREAK:
	case CALL_SOFT:
	case CALL_REPAIR: return make_poison(rand, c);
	default: return make_range(p, rand, c);
	}
}

bool plan_next(const struct plan *p, u64 *rand, unsigned nr, struct wire_call *c)
{
	unsigned total = 0, at, code, tries;

	/* The first calls turn the caches off, if the plan has them off. */
	for (at = 0; p->off && nr < MAX_ZONES && at < m.shape.nodes * NR_ZONE_KINDS; at++) {
		*c = (struct wire_call){.code = CALL_DISABLE, .a = at};
		if (zone_there(at) && !m.depth[at])
			return true;
	}
	for (code = 0; code < NR_CALLS; code++)
		total += p->weight[code];
	for (tries = 0; nr < p->calls && tries < 100; tries++) {
		at = upto(rand, total);
		for (code = 0; at >= p->weight[code]; code++)
			at -= p->weight[code];
		*c = (struct wire_call){.code = code, .cpu = upto(rand, m.shape.cpus)};
		if (make(p, rand, c))
			return true;
	}
	return model_give_back(c);
}
