/* SPDX-License-Identifier: MIT */
/*
 * title: a CPU that caches pages of the zone gives all of them back
 * file: mm/hotplug/page_isolation.c
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	if (pcp_zone_nonempty(zone->mem, arch_cpu_id(), zone))
		pcp_drain_zone_local(zone);
}
