/* SPDX-License-Identifier: MIT */
/*
 * fuzz_mm.c: turns bytes into calls of the memory manager on several CPUs; the model judges the
 * results (tests/model).
 *
 * The first two bytes choose the memory.  Then each call is an opcode, whose upper bits choose the
 * CPU, and its operands.  At the end everything is given back, and all memory must be free.
 */
#include "fuzz_calls.h"
#include <quarry/memory_init.h>
#include <quarry/string.h>

#define MAX_OPS     200
#define CHECK_EVERY 16

static struct wire_result r; /* of the last call */

void call(const struct wire_call *c)
{
	if (c->code != CALL_BUILD)
		model_before(c);
	wire_run(c, &r);
	WANT(r.irqs_off == c->irqs_off && !host_this.preempt && !spin_depth(),
	    "a lock, or interrupts off, are left by the call");
	model_after(c, &r);
	judge_stacks(c, &r);
}

static void build(u8 shape, u8 more)
{
	static const struct wire_zone zones[][WIRE_ZONES] = {
	    {{0, ZONE_DMA32, 4}, {0, ZONE_NORMAL, 12}, {0, ZONE_MOVABLE, 8}, {1, ZONE_NORMAL, 4},
	        {1, ZONE_MOVABLE, 4}},
	    {{0, ZONE_DMA32, 2}, {0, ZONE_NORMAL, 4}, {0, ZONE_MOVABLE, 3}, {1, ZONE_MOVABLE, 2}},
	    {{0, ZONE_NORMAL, 20}, {1, ZONE_NORMAL, 12}},
	    {{0, ZONE_NORMAL, 12}, {0, ZONE_MOVABLE, 20}},
	};
	struct wire_shape s = {.cpus = 1 + (shape & 3), .bare = !(shape >> 3 & 1), .kernel = true};
	struct wire_call c = {.code = CALL_BUILD};
	unsigned i;

	s.nodes = 1 + (shape >> 2 & 1);
	for (i = 0; i < WIRE_ZONES; i++) {
		if (zones[shape >> 4 & 3][i].node < s.nodes)
			s.zone[i] = zones[shape >> 4 & 3][i];
	}
	/* The numbers 2, 3 and 1 are in the first zone, 7 is in the second zone of most shapes. */
	s.lent = more & 1 ? 2 : 0;
	s.hole = more & 2 ? (more & 8 ? 7 : 3) : 0;
	s.reserved = more & 4 ? 1 : 0;
	memcpy(c.pfns, &s, sizeof(s));
	model_begin(&s);
	call(&c);
	m.mem->policy = (enum iso_policy)((more >> 4) % NR_ISO_POLICIES);
	for (i = 0; i < s.cpus; i++)
		m.mem->pcp[i]->ring = NULL;
}

/* Flags for an allocation; without GFP_ZERO if the memory has no bytes behind its pages. */
static gfp_t take_gfp(struct bytes *b)
{
	gfp_t gfp = take_u8(b);

	return m.mem->backed ? gfp : gfp & ~GFP_ZERO;
}

static s64 take_pfn(struct bytes *b, u8 low)
{
	return (s64)(block_pfn(m.first) + (low | take_u8(b) << 8) % (m.blocks * PAGEBLOCK_PAGES));
}

static void op_alloc(struct wire_call *c, struct bytes *b)
{
	u8 how;

	c->code = CALL_ALLOC;
	c->a = take_gfp(b);
	how = take_u8(b);
	c->b = (how & 0x1c) == 0x1c ? MAX_ORDER + 1 + take_u8(b) : how & 3;
	c->irqs_off = how & 0x20 && c->a & GFP_NOWAIT;
	c->own = how >> 6 & 1;
	call(c);
}

/* An address that is not that of a page of the memory. */
static void free_foreign(struct wire_call *c, u8 which)
{
	static struct page other[4];

	c->a = -1;
	c->b = which >> 4 & 3;
	switch (which & 7) {
	case 0: c->own = which >> 7; break;
	case 1: c->c = (s64)(uintptr_t)&other[which >> 6]; break;
	case 2:
		c->a = (s64)block_pfn(m.first);
		c->c = 8 * (1 + (which >> 4) % 3);
		break;
	case 3: c->a = (s64)block_pfn(m.first) - 1; break;
	case 4: c->a = (s64)block_pfn(m.first + m.blocks); break;
	default: c->c = which << 20; break;
	}
	call(c);
}

static void op_free(struct wire_call *c, struct bytes *b)
{
	u8 how = take_u8(b), which = take_u8(b);
	const struct model_live *l = m.nr_live ? &m.live[which % m.nr_live] : NULL;

	c->code = CALL_FREE;
	if ((how & 7) == 6) {
		free_foreign(c, which);
		return;
	}
	c->own = how >> 6 & 1;
	c->b = how >> 3 & 7;
	switch (how & 7) {
	case 5: c->a = take_pfn(b, which); break;
	case 7:
		c->a = m.last_freed;
		c->b &= 3;
		break;
	default:
		if (!l)
			return;
		c->a = l->pfn;
		c->b = (how & 7) == 4 ? c->b : l->order;
		break;
	}
	call(c);
}

static void op_bulk_alloc(struct wire_call *c, struct bytes *b)
{
	u8 how;

	c->code = CALL_BULK_ALLOC;
	c->a = take_gfp(b);
	how = take_u8(b);
	c->b = how % (WIRE_PFNS + 1);
	c->own = how >> 7;
	call(c);
}

static void op_bulk_free(struct wire_call *c, struct bytes *b)
{
	u8 how = take_u8(b), want = how & 31;
	unsigned i;

	c->code = CALL_BULK_FREE;
	c->own = how >> 7;
	for (i = m.nr_live; i-- > 0 && c->a < want;)
		c->pfns[c->a++] = m.live[i].pfn;
	if (how & 0x20)
		c->pfns[c->a++] = (u32)PFN_NONE;
	if (how & 0x40 && c->a) {
		c->pfns[c->a] = c->pfns[0]; /* the same page twice */
		c->a++;
	}
	call(c);
}

/* Drop a reference of a page that has none, unless the page is pinned by a handle. */
static void put_stray(struct wire_call *c, s64 pfn)
{
	u16 who = m.owner[pfn];

	if ((who & OWNER_LIVE && m.live[who - OWNER_LIVE].pfn == pfn) ||
	    (who & OWNER_HANDLE && m.handle_pins[who - OWNER_HANDLE]))
		return;
	c->code = CALL_PUT;
	c->a = pfn;
	call(c);
}

static void op_refs(struct wire_call *c, struct bytes *b)
{
	static const u8 codes[] = {CALL_GET, CALL_PUT, CALL_PIN, CALL_UNPIN};
	u8 how = take_u8(b), which = take_u8(b);
	const struct model_live *l = m.nr_live ? &m.live[which % m.nr_live] : NULL;

	if ((how & 7) == 7) {
		put_stray(c, take_pfn(b, which));
		return;
	}
	c->code = codes[how & 3];
	/* A caller puts no reference that is a pin's. */
	if (!l || (c->code == CALL_UNPIN && !l->pins) ||
	    (c->code == CALL_PUT && l->refs > 1 && l->refs == l->pins))
		return;
	c->a = l->pfn;
	call(c);
}

static void op_handle(struct wire_call *c, struct bytes *b)
{
	static const u8 codes[] = {CALL_HOLD, CALL_HOLD, CALL_DROP, CALL_HOLD_WRITE,
	    CALL_HOLD_CHECK, CALL_HOLD_PIN, CALL_HOLD_UNPIN, CALL_HOLD_UNPIN};
	u8 how = take_u8(b);

	c->code = codes[how & 7];
	c->a = (how >> 3) % (NR_HANDLES + 1);
	if (c->code == CALL_HOLD) {
		how = take_u8(b);
		c->b = how & 7;
		c->c = how & 8 ? take_gfp(b) & ~GFP_ZERO : 0;
	} else if (c->code == CALL_HOLD_WRITE) {
		c->b = take_u8(b);
	} else if (c->code == CALL_HOLD_PIN && c->a < NR_HANDLES && m.handle_pins[c->a] == 255) {
		return;
	}
	call(c);
}

static void op_cache(struct wire_call *c, struct bytes *b)
{
	static const u8 codes[] = {CALL_DRAIN, CALL_DRAIN, CALL_DRAIN_HERE, CALL_DRAIN_HERE,
	    CALL_REFRESH, CALL_DISABLE, CALL_ENABLE, CALL_ENABLE};
	u8 how = take_u8(b);
	unsigned nr = m.shape.nodes * NR_ZONE_KINDS, zone = (how >> 3) % nr;

	while (!zone_there(zone))
		zone = (zone + 1) % nr;
	c->code = codes[how & 7];
	c->a = (how & 7) < 4 && !(how & 1) ? -1 : (s64)zone;
	c->irqs_off = (how & 0xc0) == 0xc0 && (c->code == CALL_DRAIN || c->code == CALL_DISABLE);
	if (c->code != CALL_DISABLE || m.depth[zone] < 8)
		call(c);
}

static void one_call(struct bytes *b)
{
	u8 op = take_u8(b);
	struct wire_call c = {.cpu = (op >> 6) % m.mem->nr_cpus};

	switch (op & 15) {
	case 0:
	case 1:
	case 2: op_alloc(&c, b); break;
	case 3:
	case 4: op_free(&c, b); break;
	case 5: op_bulk_alloc(&c, b); break;
	case 6: op_bulk_free(&c, b); break;
	case 7: op_refs(&c, b); break;
	case 8:
	case 9: op_handle(&c, b); break;
	case 10: op_cache(&c, b); break;
	case 11: op_isolate(&c, b); break;
	case 12: op_undo(&c, b, op & 0x30); break;
	case 13: op_offline(&c, b); break;
	case 14: op_online(&c, b); break;
	default: op_migrate(&c, b); break;
	}
}

static void play(struct bytes *b)
{
	struct wire_call c;
	unsigned ops, i;

	i = take_u8(b);
	build((u8)i, take_u8(b));
	for (ops = 1; ops <= MAX_OPS && b->at < b->end; ops++) {
		one_call(b);
		if (ops % CHECK_EVERY == 0)
			model_check();
	}
	model_check();
	while (model_give_back(&c))
		call(&c);
	model_check();
	model_end();
	memory_stop(m.mem);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static bool mapped;
	struct bytes b = {data, data + size};

	if (!mapped)
		arena_map();
	mapped = true;
	host_fuzz_log = false;
	if (setjmp(verdict_given)) {
		host_fuzz_log = true;
		panic("oracle: %s", verdict.text);
	}
	play(&b);
	return 0;
}
