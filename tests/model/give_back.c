/* SPDX-License-Identifier: MIT */
/*
 * give_back.c: the way from any state back to the memory that is all free.
 *
 * Owns:       nothing.
 * Locks:      none: one thread.
 * Invariants: the calls are right ones, so each must succeed.
 * Tests:      tests/qemu/test_grade.py, tests/qemu/test_states.py.
 */
#include "model.h"

bool model_give_back(struct wire_call *c)
{
	unsigned i;

	for (i = 0; i < m.shape.nodes * NR_ZONE_KINDS; i++) {
		*c = (struct wire_call){.code = CALL_ENABLE, .a = i};
		if (m.depth[i])
			return true;
	}
	for (i = m.first; i < m.first + m.blocks; i++) {
		*c = (struct wire_call){.a = (s64)block_pfn(i), .b = PAGEBLOCK_PAGES};
		c->code = m.block[i].offline ? CALL_ONLINE : CALL_UNDO;
		if (m.block[i].offline || m.block[i].isolated)
			return true;
	}
	for (i = 0; i < NR_HANDLES; i++) {
		*c = (struct wire_call){.a = i};
		c->code = m.handle_pins[i] ? CALL_HOLD_UNPIN : CALL_DROP;
		if (m.at[i] != ~0ULL)
			return true;
	}
	if (m.nr_live) {
		const struct model_live *l = &m.live[0];

		*c = (struct wire_call){.a = l->pfn, .b = l->order};
		c->code = l->pins ? CALL_UNPIN : l->refs > 1 ? CALL_PUT : CALL_FREE;
		return true;
	}
	for (i = m.first << PAGEBLOCK_ORDER; m.nr_retired; i++) {
		*c = (struct wire_call){.code = CALL_REPAIR, .a = i};
		if (m.owner[i] == OWNER_BROKEN)
			return true;
	}
	/* Drain the caches once, so that all pages are on the free lists again. */
	*c = (struct wire_call){.code = CALL_DRAIN, .a = -1};
	for (i = 0; i < m.shape.nodes * NR_ZONE_KINDS; i++) {
		if (zone_pcp_pages(&m.mem->zones[i]))
			return true;
	}
	return false;
}
