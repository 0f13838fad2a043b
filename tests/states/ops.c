/* SPDX-License-Identifier: MIT */
/*
 * ops.c: the calls of a scope, and which of them a state allows.
 *
 * A call that a caller must not make is left out, such as a put of a pin's reference; a call that
 * must be refused is made.
 *
 * Owns:       ops.
 * Locks:      none: one thread.
 * Invariants: which calls a state allows depends on the model alone.
 * Tests:      tests/qemu/test_states.py.
 */
#include "states.h"

struct op ops[MAX_OPS];
unsigned nr_ops;

static const struct scope *of;

static bool uses(enum wire_code code)
{
	return of->calls >> code & 1;
}

static void add(enum wire_code code, unsigned cpu, s64 a, s64 b, s64 c)
{
	if (!uses(code))
		return;
	if (nr_ops == MAX_OPS)
		panic("states: %s has too many calls", of->name);
	ops[nr_ops++] = (struct op){(u8)code, (u8)cpu, (s32)a, (s32)b, (s32)c};
}

/* ---- the list ---- */

static void list_pages(unsigned cpu)
{
	s64 pfn, end = (s64)block_pfn(m.first + m.blocks);
	unsigned order, i;

	for (i = 0; i < of->gfps; i++) {
		gfp_t gfp = of->gfp[i] | GFP_NOWAIT;

		for (order = 0; order <= MAX_ORDER + 1; order++) {
			if (of->orders >> order & 1)
				add(CALL_ALLOC, cpu, gfp, order, 0);
		}
		add(CALL_BULK_ALLOC, cpu, gfp, of->bulk, 0);
	}
	for (pfn = (s64)block_pfn(m.first); pfn < end; pfn++) {
		add(CALL_FREE, cpu, pfn, -1, 0);
		for (order = 0; of->wrong && order <= MAX_ORDER + 1; order++)
			add(CALL_FREE, cpu, pfn, order, 0);
		add(CALL_GET, cpu, pfn, 0, 0);
		add(CALL_PUT, cpu, pfn, 0, 0);
		add(CALL_PIN, cpu, pfn, 0, 0);
		add(CALL_UNPIN, cpu, pfn, 0, 0);
	}
	add(CALL_BULK_FREE, cpu, 0, 0, 0);
	if (!of->shape.watched) /* a wrong free's record is that of a free, too */
		add(CALL_BULK_FREE, cpu, 0, 1, 0);
}

static void list_handles(unsigned cpu)
{
	unsigned h, order;

	for (order = 0; order <= MAX_ORDER; order++) {
		if (of->orders >> order & 1)
			add(CALL_HOLD, cpu, 0, order, GFP_NOWAIT);
	}
	for (h = 0; h < of->handles; h++) {
		add(CALL_DROP, cpu, h, 0, 0);
		add(CALL_HOLD_PIN, cpu, h, 0, 0);
		add(CALL_HOLD_UNPIN, cpu, h, 0, 0);
		add(CALL_MOVE, cpu, h, 0, 0);
		add(CALL_PUT_BACK, cpu, h, 0, 0);
	}
	if (of->handles > 1)
		add(CALL_MOVE, cpu, -1, 0, 0);
}

static void list_ranges(void)
{
	unsigned block, policy;

	for (block = m.first; block < m.first + m.blocks; block++) {
		s64 start = (s64)block_pfn(block);

		for (policy = 0; policy < NR_ISO_POLICIES; policy++) {
			if (!(of->policies >> policy & 1))
				continue;
			add(CALL_ISOLATE, 0, start, PAGEBLOCK_PAGES, policy);
			add(CALL_OFFLINE, 0, start, PAGEBLOCK_PAGES, policy);
		}
		add(CALL_TEST, 0, start, PAGEBLOCK_PAGES, 0);
		add(CALL_UNDO, 0, start, PAGEBLOCK_PAGES, 0);
		add(CALL_ONLINE, 0, start, PAGEBLOCK_PAGES, 0);
	}
}

static void list_frames(void)
{
	s64 pfn, end = (s64)block_pfn(m.first + m.blocks);

	for (pfn = (s64)block_pfn(m.first); pfn < end; pfn++) {
		if (pfn + of->range <= end)
			add(CALL_CONTIG, 0, pfn, pfn + of->range, MT_MOVABLE);
		add(CALL_FREE_RANGE, 0, pfn, 0, 0);
		if (of->frames && pfn + of->frames < end)
			continue;
		add(CALL_BREAK, 0, pfn, 0, 0);
		add(CALL_SOFT, 0, pfn, 0, 0);
		add(CALL_REPAIR, 0, pfn, 0, 0);
	}
}

void ops_list(const struct scope *scope)
{
	unsigned cpu, zone;

	of = scope;
	nr_ops = 0;
	for (cpu = 0; cpu < scope->shape.cpus; cpu++) {
		list_pages(cpu);
		list_handles(cpu);
		add(CALL_DRAIN_HERE, cpu, -1, 0, 0);
	}
	add(CALL_DRAIN, 0, -1, 0, 0);
	for (zone = 0; zone < scope->shape.nodes * NR_ZONE_KINDS; zone++) {
		if (!zone_there(zone))
			continue;
		add(CALL_DISABLE, 0, zone, 0, 0);
		add(CALL_ENABLE, 0, zone, 0, 0);
	}
	add(CALL_REFRESH, 0, 0, 0, 0);
	add(CALL_REPORT, 0, 1, true, 0);
	add(CALL_REPORT, 0, 2, false, 0);
	list_ranges();
	list_frames();
}

/* ---- a call in a state ---- */

/* The live block that begins at @pfn, or NULL. */
static const struct model_live *live_at(s64 pfn)
{
	u16 who = m.owner[pfn];

	if (!(who & OWNER_LIVE) || m.live[who - OWNER_LIVE].pfn != pfn)
		return NULL;
	return &m.live[who - OWNER_LIVE];
}

static bool may_take(const struct scope *scope, unsigned nr)
{
	return m.nr_live + nr <= (scope->live ? scope->live : NR_LIVE);
}

static bool call_page(const struct scope *scope, const struct op *op, struct wire_call *c)
{
	const struct model_live *l = op->code == CALL_ALLOC ? NULL : live_at(c->a);

	switch (op->code) {
	case CALL_ALLOC: return may_take(scope, 1);
	case CALL_FREE:
		if (op->b >= 0)
			return true;
		c->b = l ? l->order : 0;
		return l && l->refs == 1 && !l->pins;
	case CALL_GET: return l && l->refs < 2;
	case CALL_PIN: return l && !l->pins && l->refs < 3;
	case CALL_UNPIN: return l && l->pins;
	default: return l ? l->refs == 1 || l->refs > l->pins : !m.owner[c->a]; /* PUT */
	}
}

/* A bulk free takes all plain pages; with @b the first of them comes twice. */
static bool call_bulk(const struct scope *scope, struct wire_call *c)
{
	pfn_t pfn;

	if (c->code == CALL_BULK_ALLOC)
		return may_take(scope, scope->bulk);
	for (pfn = block_pfn(m.first); pfn < block_pfn(m.first + m.blocks); pfn++) {
		if (model_plain_page(pfn) && c->a < WIRE_PFNS)
			c->pfns[c->a++] = (u32)pfn;
	}
	if (c->b && c->a < WIRE_PFNS)
		c->pfns[c->a++] = c->pfns[0];
	return c->a > 1;
}

/* Handles differ in their numbers only, so a new object gets the lowest free one. */
static bool call_handle(const struct scope *scope, const struct op *op, struct wire_call *c)
{
	unsigned h;
	pfn_t pfn;

	switch (op->code) {
	case CALL_HOLD:
		while (c->a < scope->handles && m.at[c->a] != ~0ULL)
			c->a++;
		return c->a < scope->handles;
	case CALL_HOLD_PIN: return m.at[c->a] != ~0ULL && !m.handle_pins[c->a];
	case CALL_DROP:
	case CALL_HOLD_UNPIN: return m.at[c->a] != ~0ULL;
	default:
		for (pfn = block_pfn(m.first), c->a = 0; pfn < block_pfn(m.first + m.blocks);
		     pfn++) {
			h = m.owner[pfn] & OWNER_HANDLE ? m.owner[pfn] - OWNER_HANDLE : NR_HANDLES;
			if (h < NR_HANDLES && m.at[h] == pfn && (op->a < 0 || op->a == (s32)h))
				c->pfns[c->a++] = (u32)pfn;
		}
		return c->a > (op->a < 0);
	}
}

static bool call_frame(const struct scope *scope, const struct op *op, struct wire_call *c)
{
	const struct model_block *b = &m.block[block_index((pfn_t)c->a)];
	u16 who = m.owner[c->a];
	pfn_t end = (pfn_t)c->a;

	if (op->code == CALL_CONTIG)
		return may_take(scope, scope->range);
	if (op->code == CALL_FREE_RANGE) {
		while (end < block_pfn(m.first + m.blocks) && model_plain_page(end))
			end++;
		c->b = (s64)end - c->a;
		return c->b > 1 &&
		    (c->a == (s64)block_pfn(m.first) || !model_plain_page((pfn_t)c->a - 1));
	}
	if (b->hole || b->offline || b->isolated || who == OWNER_KEPT)
		return false;
	/* The table in docs/mm/poison.md decides the other cases. */
	if (who & OWNER_HANDLE)
		return op->code == CALL_SOFT;
	return !(m.doomed[c->a] && op->code == CALL_SOFT);
}

bool op_call(const struct scope *scope, const struct op *op, struct wire_call *c)
{
	*c = (struct wire_call){
	    .code = op->code, .cpu = op->cpu, .a = op->a, .b = op->b, .c = op->c};
	switch (op->code) {
	case CALL_BULK_ALLOC:
	case CALL_BULK_FREE: return call_bulk(scope, c);
	case CALL_DRAIN:
	case CALL_DRAIN_HERE:
	case CALL_REFRESH:
	case CALL_REPORT:
	case CALL_ISOLATE:
	case CALL_OFFLINE:
	case CALL_ENABLE: return true;
	case CALL_DISABLE: return m.depth[c->a] < 2;
	case CALL_TEST:
	case CALL_UNDO: return m.block[block_index((pfn_t)c->a)].isolated;
	case CALL_ONLINE: return m.block[block_index((pfn_t)c->a)].offline;
	case CALL_HOLD:
	case CALL_DROP:
	case CALL_HOLD_PIN:
	case CALL_HOLD_UNPIN:
	case CALL_MOVE:
	case CALL_PUT_BACK: return call_handle(scope, op, c);
	case CALL_CONTIG:
	case CALL_FREE_RANGE:
	case CALL_BREAK:
	case CALL_SOFT:
	case CALL_REPAIR: return call_frame(scope, op, c);
	default: return call_page(scope, op, c);
	}
}
