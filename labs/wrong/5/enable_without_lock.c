/* SPDX-License-Identifier: MIT */
/*
 * title: an enable reads the depth and stores one less, under no lock: of two one is lost
 * layer: explorer
 * file: mm/core/drain.c
 */

int zone_pcp_enable(struct zone *zone)
{
	unsigned depth = READ_ONCE(zone->pcp_depth);

	if (depth == 0) {
		MM_EVENT(zone->mem, PCP_UNBALANCED);
		return -EINVAL;
	}
	store_release(&zone->pcp_depth, depth - 1);
	return 0;
}
