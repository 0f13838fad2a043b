/* SPDX-License-Identifier: MIT */
/*
 * fuzz_range.c: the calls of fuzz_mm.c that work on ranges: isolate, offline, online, migrate.
 */
#include "fuzz_calls.h"

static void take_range(struct wire_call *c, struct bytes *b)
{
	u8 start = take_u8(b), len = take_u8(b);

	c->a = (s64)block_pfn(m.first + start % (m.blocks + 2));
	c->b = (s64)((len & 7) * PAGEBLOCK_PAGES);
	if ((len & 0xf0) == 0xf0) {
		c->a += len & 8 ? 3 : 0;
		c->b = len & 4 ? -1 - c->a - (len & 3) : c->b + 1;
	} else if ((len & 0xf0) == 0xe0) {
		c->b = (s64)(m.blocks * PAGEBLOCK_PAGES);
	}
}

void op_isolate(struct wire_call *c, struct bytes *b)
{
	c->code = CALL_ISOLATE;
	c->c = take_u8(b) % NR_ISO_POLICIES;
	take_range(c, b);
	call(c);
}

void op_undo(struct wire_call *c, struct bytes *b, bool undo)
{
	take_range(c, b);
	if (model_look((pfn_t)c->a, (unsigned long)c->b).bad)
		return;
	c->code = CALL_TEST;
	call(c);
	c->code = CALL_UNDO;
	if (undo)
		call(c);
}

void op_offline(struct wire_call *c, struct bytes *b)
{
	u8 how = take_u8(b);

	c->c = how % (NR_ISO_POLICIES + 1);
	c->d = how & 4             ? OFFLINE_PLAIN
	    : (how & 0x38) == 0x38 ? OFFLINE_CANCELLED
	    : (how & 0x30) == 0x20 ? OFFLINE_LATE
	                           : 0;
	take_range(c, b);
	c->code = CALL_QUERY;
	call(c);
	c->code = CALL_OFFLINE;
	call(c);
}

void op_online(struct wire_call *c, struct bytes *b)
{
	c->code = CALL_ONLINE;
	take_range(c, b);
	call(c);
}

/* Isolate up to four handles' pages, interfere with the first page, then move or put back all. */
void op_migrate(struct wire_call *c, struct bytes *b)
{
	u8 how = take_u8(b);
	pfn_t stray = block_pfn(m.first) + take_u8(b);
	unsigned h;

	c->c = NR_HANDLES;
	for (h = how & 15; h < NR_HANDLES && c->a < 4; h += 1 + (how >> 4 & 1)) {
		if (m.at[h] == ~0ULL)
			continue;
		c->pfns[c->a++] = (u32)m.at[h];
		if (!m.handle_pins[h])
			c->c = MIN(c->c, (s64)h);
	}
	if (stray < block_pfn(m.first + m.blocks) && !(m.owner[stray] & OWNER_HANDLE))
		c->pfns[c->a++] = (u32)stray;
	if (c->c == NR_HANDLES)
		c->c = 0;
	else if ((how & 0x60) == 0x20)
		c->b = MEANWHILE_PIN;
	else if ((how & 0x60) == 0x40)
		c->b = MEANWHILE_DROP;
	c->code = how & 0x80 ? CALL_PUT_BACK : CALL_MOVE;
	call(c);
}
