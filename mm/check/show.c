/* SPDX-License-Identifier: MIT */
/*
 * show.c: printing the state of the memory manager, for the monitor, the tour and reports.
 *
 * Owns:       nothing.
 * Locks:      none: the figures are unlocked reads, each right at some moment.
 * Invariants: it only reads.
 * Tests:      words, cover.
 */
#include "mm/core/free_map.h"
#include "mm/core/pcp.h"
#include "mm/core/zone.h"
#include "mm/hotplug/offline.h"
#include <quarry/isolation.h>

#define SHOWN_COLUMNS 80
#define STACKS_AT     9  /* the column behind "  cpu N" */
#define BLOCKS_AT     18 /* the column behind "  free TYPE" */

static const char *const kind_names[NR_ZONE_KINDS] = {"DMA32", "NORMAL", "MOVABLE"};

unsigned long memory_free_pages(struct memory *mem)
{
	unsigned long pages = 0;
	struct zone *zone;
	pfn_t pfn;

	for_each_zone(mem, zone) {
		pages += READ_ONCE(zone->nr_free) + zone_pcp_pages(zone);
		if (READ_ONCE(zone->nr_isolated) == 0)
			continue;
		for_each_zone_block(zone, pfn)
			if (pageblock_isolated(pageblock_of(mem, pfn)))
				pages += READ_ONCE(pageblock_of(mem, pfn)->nr_free);
	}
	return pages;
}

unsigned long memory_managed_pages(const struct memory *mem)
{
	unsigned long pages = 0;
	const struct zone *zone;

	for_each_zone(mem, zone)
		pages += READ_ONCE(zone->managed);
	return pages;
}

unsigned long memory_spare_pages(const struct memory *mem, gfp_t gfp)
{
	unsigned long pages = 0;
	const struct zone *zone;

	for_each_zone(mem, zone)
		if (zone->kind <= gfp_kind(gfp))
			pages +=
			    (unsigned long)MAX(0L, zone_spare(zone, gfp, zone_reserved(zone, gfp)));
	return pages;
}

/* Can @zone allocate from the pageblock at @pfn, as @type? */
static bool is_listed(const struct zone *zone, pfn_t pfn, unsigned type)
{
	const struct pageblock *pb = pageblock_of(zone->mem, pfn);

	/* The trees of standby memory have no meaning. */
	return zone_owns_block(zone, pfn) && pageblock_state(pb) == PB_ONLINE &&
	    !pageblock_isolated(pb) && pageblock_type(pb) == type;
}

unsigned zone_free_blocks(const struct zone *zone, unsigned order, unsigned type)
{
	unsigned nr = 0;
	pfn_t pfn;

	for_each_zone_block(zone, pfn)
		if (is_listed(zone, pfn, type))
			nr += free_map_count(&tree_of(zone->mem, pfn)->map, order);
	return nr;
}

pfn_t zone_next_free(const struct zone *zone, unsigned order, unsigned type, pfn_t pfn)
{
	pfn = pfn == PFN_NONE ? zone->start_pfn : pfn + (1UL << order);
	while (pfn < zone->end_pfn) {
		const struct free_map *map = &tree_of(zone->mem, pfn)->map;

		if (!is_listed(zone, pfn, type) || !free_map_count(map, order))
			pfn = ALIGN_DOWN(pfn, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES;
		else if (free_map_order_at(map, (unsigned)(pfn & (PAGEBLOCK_PAGES - 1))) ==
		    (int)order)
			return pfn;
		else
			pfn += 1UL << order;
	}
	return PFN_NONE;
}

void show_mem(struct memory *mem)
{
	unsigned long standby = 0;
	struct zone *zone;

	for_each_zone(mem, zone)
		standby += zone_standby(zone);
	printk("%s: %lu MiB managed, %lu MiB free, %lu MiB standby\n"
	       "  %u node%s, %u CPU%s, policy %s\n",
	    mem->name, memory_managed_pages(mem) >> (20 - PAGE_SHIFT),
	    memory_free_pages(mem) >> (20 - PAGE_SHIFT), standby >> (20 - PAGE_SHIFT),
	    mem->nr_nodes, mem->nr_nodes == 1 ? "" : "s", mem->nr_cpus,
	    mem->nr_cpus == 1 ? "" : "s", iso_policy_name(READ_ONCE(mem->policy)));
	if (READ_ONCE(mem->vm.nr_kept))
		printk("  pages kept for dead CPUs: %u\n", READ_ONCE(mem->vm.nr_kept));
}

void show_events(const struct memory *mem, const u64 *before)
{
	bool none = true;
	unsigned ev;

	for (ev = 0; ev < NR_MM_EVENTS; ev++) {
		u64 n = mm_event_sum(mem, (enum mm_event)ev) - (before ? before[ev] : 0);

		if (n) {
			printk("  %-18s %llu\n", mm_event_name((enum mm_event)ev),
			    (unsigned long long)n);
			none = false;
		}
	}
	if (none)
		printk("  none\n");
}

static unsigned digits(unsigned n)
{
	return n < 10 ? 1 : 1 + digits(n / 10);
}

/*
 * A row from column @first on has come to @column: if @width more do not fit, it continues below.
 * Returns the column behind them.
 */
static unsigned fit(unsigned first, unsigned column, unsigned width)
{
	if (column + width > SHOWN_COLUMNS && column > first) {
		printk("\n%*s", (int)first, "");
		column = first;
	}
	return column + width;
}

static void show_zone(const struct zone *zone)
{
	unsigned order, type, column, nr;

	printk("zone %u: node %u %-7s pfn %#lx-%#lx present %lu\n"
	       "  managed %lu free %lu cached %lu\n",
	    zone->id, zone->node, kind_names[zone->kind], zone->start_pfn, zone->end_pfn,
	    READ_ONCE(zone->present), READ_ONCE(zone->managed), READ_ONCE(zone->nr_free),
	    zone_pcp_pages(zone));
	printk("  min %lu low %lu high %lu reserve %lu\n"
	       "  isolated pageblocks %lu, caches disabled: %u\n",
	    READ_ONCE(zone->wmark[WMARK_MIN]), READ_ONCE(zone->wmark[WMARK_LOW]),
	    READ_ONCE(zone->wmark[WMARK_HIGH]), READ_ONCE(zone->reserve),
	    READ_ONCE(zone->nr_isolated), READ_ONCE(zone->pcp_depth));
	if (zone_standby(zone))
		printk("  standby: pfn %#lx-%#lx\n", READ_ONCE(zone->standby),
		    READ_ONCE(zone->standby_end));
	if (READ_ONCE(zone->nr_doomed))
		printk("  broken pages still in use: %lu\n", READ_ONCE(zone->nr_doomed));
	printk("  objects' pages: inactive %lu active %lu unevictable %lu\n",
	    READ_ONCE(zone->lru[LRU_INACTIVE].nr), READ_ONCE(zone->lru[LRU_ACTIVE].nr),
	    READ_ONCE(zone->lru[LRU_UNEVICTABLE].nr));
	if (READ_ONCE(zone->nr_reclaiming))
		printk("  pages being reclaimed: %u\n", READ_ONCE(zone->nr_reclaiming));
	for (type = 0; type < NR_MIGRATETYPES; type++) {
		unsigned long any = 0;

		for (order = 0; order < NR_ORDERS; order++)
			any |= zone_free_blocks(zone, order, type);
		if (!any)
			continue;
		printk("  free %-11s", migratetype_names[type]);
		for (order = 0, column = BLOCKS_AT; order < NR_ORDERS; order++) {
			nr = zone_free_blocks(zone, order, type);
			column = fit(BLOCKS_AT, column, 1 + MAX(5u, digits(nr)));
			printk(" %5u", nr);
		}
		printk("\n");
	}
}

void show_zones(struct memory *mem)
{
	struct zone *zone;

	for_each_zone(mem, zone)
		if (zone_has_span(zone))
			show_zone(zone);
}

/* Print the stacks of one CPU for a zone; those that do not fit into the row continue below. */
static void show_stacks(const struct zone *zone, const struct pcp *pcp)
{
	unsigned index, type, column = STACKS_AT;

	for (index = 0; index < NR_CACHED_ORDERS; index++) {
		unsigned count[NR_CACHED_TYPES], capacity[NR_CACHED_TYPES], width = 0;
		bool last = index + 1 == NR_CACHED_ORDERS;

		for (type = 0; type < NR_CACHED_TYPES; type++) {
			unsigned s = zone_stack(zone, index, (enum migratetype)type);

			count[type] = stack_count(&pcp->stack[s]);
			capacity[type] = stack_capacity(&pcp->stack[s]);
			width += 2 + digits(count[type]) + digits(capacity[type]);
		}
		column = fit(STACKS_AT, column, width + (last ? 0 : 2));
		for (type = 0; type < NR_CACHED_TYPES; type++)
			printk(" %u/%u", count[type], capacity[type]);
		printk(last ? "\n" : " |");
	}
}

void show_pcp(struct memory *mem)
{
	const struct zone *zone;
	unsigned cpu;

	for_each_zone(mem, zone) {
		if (!zone_has_span(zone))
			continue;
		printk("zone %u %s: count/capacity by order (0 1 2 3 4 and largest) and type (U M "
		       "R)\n",
		    zone->id, kind_names[zone->kind]);
		for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
			if (!pcp_zone_nonempty(mem, cpu, zone))
				continue;
			printk("  cpu %-3u", cpu);
			show_stacks(zone, mem->pcp[cpu]);
		}
	}
}

void show_block(struct memory *mem, pfn_t pfn)
{
	static const char *const states[] = {"hole", "offline", "online", "?"};
	const struct pageblock *pb;
	unsigned long pages[(PAGE_STATE_MASK >> PAGE_STATE_SHIFT) + 1] = {0};
	unsigned state;
	pfn_t head, block = ALIGN_DOWN(pfn, PAGEBLOCK_PAGES);

	if (pfn < mem->start_pfn || pfn >= mem->end_pfn) {
		printk("pfn %#lx: outside %#lx-%#lx\n", pfn, mem->start_pfn, mem->end_pfn);
		return;
	}
	pb = pageblock_of(mem, pfn);
	printk("pageblock %#lx (pfn %#lx): %s, %s%s, zone %u, %u pages free\n",
	    pfn >> PAGEBLOCK_ORDER, block, states[pageblock_state(pb)],
	    migratetype_names[pageblock_type(pb) & 3], pageblock_isolated(pb) ? ", isolated" : "",
	    pb->zone, READ_ONCE(pb->nr_free));
	if (READ_ONCE(pb->nr_poisoned))
		printk("  broken       %u\n", READ_ONCE(pb->nr_poisoned));
	if (pageblock_state(pb) != PB_ONLINE)
		return;
	/* Without the lock heads may change meanwhile: one that became a tail counts as a page. */
	for (head = block; head < block + PAGEBLOCK_PAGES;) {
		u32 word = block_word(mem, head);
		unsigned long n = word_state(word) == PG_TAIL ? 1 : 1UL << word_order(word);

		pages[word_state(word)] += n;
		head += n;
	}
	for (state = 0; state < ARRAY_SIZE(pages); state++)
		if (pages[state])
			printk(
			    "  %-12s %lu\n", page_state_name((enum page_state)state), pages[state]);
	dump_page(mem, pfn, "page");
}
