/* SPDX-License-Identifier: MIT */
/*
 * title: an enable restores the capacities of the caller's own CPU at once
 * file: mm/core/drain.c
 */

int zone_pcp_enable(struct zone *zone)
{
	struct memory *mem = zone->mem;
	irqflags_t flags;

	rounds_lock(mem);
	if (zone->pcp_depth == 0) {
		rounds_unlock(mem);
		MM_EVENT(mem, PCP_UNBALANCED);
		return -EINVAL;
	}
	store_release(&zone->pcp_depth, zone->pcp_depth - 1);
	if (zone->pcp_depth == 0) {
		flags = arch_irq_save();
		pcp_refresh_zone_local(zone);
		arch_irq_restore(flags);
	}
	rounds_unlock(mem);
	return 0;
}
