/* SPDX-License-Identifier: MIT */
/* boot_zones.h: cutting RAM into nodes, zones and standby memory at boot; boot CPU only. */
#ifndef QUARRY_BOOT_ZONES_H
#define QUARRY_BOOT_ZONES_H

#include <quarry/mm_types.h>

/*
 * The number of pages whose descriptors fill a pageblock: standby memory comes online in steps of
 * this size.
 */
#define BOOT_STANDBY_STEP ((PAGEBLOCK_PAGES << PAGE_SHIFT) / sizeof(struct page))

struct acpi_info;
struct memblock;

/* No standby= on the command line: decide by the size of the machine. */
#define BOOT_STANDBY_BY_SIZE (~0ULL)

struct boot_machine {
	const struct memblock *mb; /* its RAM: at least one range */
	const struct acpi_info *info;
	unsigned long movable; /* percent of each node's pageblocks */
	u64 standby; /* MiB of a zone that are online at boot, 0: all; or BOOT_STANDBY_BY_SIZE */
};

struct zone_plan {
	pfn_t start, end;           /* end 0: no such zone */
	pfn_t standby, standby_end; /* its standby part */
};

struct boot_plan {
	struct zone_plan zone[MAX_ZONES]; /* node * NR_ZONE_KINDS + kind */
	pfn_t start, end;                 /* the range of all RAM, pageblock aligned */
	unsigned nr_nodes;
};

/* Cut the RAM of @m into nodes and zones. */
void boot_zones_plan(const struct boot_machine *m, struct boot_plan *plan);
/* Add the zones to @mem, still empty. */
void boot_zones_add(const struct boot_plan *plan, struct memory *mem);
/* Is the page at @start standby?  The answer holds for [@start, *@to); *@to is @end at most. */
bool boot_is_standby(const struct boot_plan *plan, pfn_t start, pfn_t end, pfn_t *to);

#endif
