/* SPDX-License-Identifier: MIT */
/*
 * boot_zones.c: how RAM is cut into nodes and zones, and which part of it is standby memory.
 *
 * Owns:       nothing: the plan is its caller's; boot_memory.c carries it out.
 * Locks:      none: boot CPU only.
 * Invariants: a pageblock belongs to the node of its first RAM page; zones are disjoint.  RAM is
 *             walked in runs, not in pageblocks, so the time does not grow with the size of RAM.
 * Tests:      boot_zones, tests/qemu/test_start.py, tests/qemu/test_nodes.py.
 *
 * Layout of a node: the upper part (movable=, 50 % of its pageblocks by default) is zone MOVABLE,
 * which can be offlined.  The lower part is zone NORMAL above 4 GiB and zone DMA32 below 4 GiB.  On
 * a big machine only the first STANDBY_AFTER MiB of a zone are online at boot; the rest is standby
 * (mm/reclaim/standby.c).
 */
#include <quarry/acpi.h>
#include <quarry/boot_zones.h>
#include <quarry/memblock.h>
#include <quarry/mm.h>
#include <quarry/memory_init.h>

#define PFN_4G        (1UL << (32 - PAGE_SHIFT))
#define MIB_PAGES     (1UL << (20 - PAGE_SHIFT))
#define BIG_MACHINE   (64UL << (30 - PAGE_SHIFT)) /* pages of RAM; with more, some is standby */
#define STANDBY_AFTER 512ULL                      /* big machine: MiB of a zone online at boot */

/* ---- runs ---- */

/* Pageblocks [start, end): either none has RAM, or all have RAM of one node. */
struct ram_run {
	pfn_t start, end;
	bool ram;
	unsigned node;
};

/* The first RAM range that ends above @pa; NULL: there is none. */
static const struct memblock_range *ram_above(const struct memblock *mb, phys_t pa)
{
	unsigned i;

	for (i = 0; i < mb->ram.nr; i++) {
		if (mb->ram.range[i].end > pa)
			return &mb->ram.range[i];
	}
	return NULL;
}

/*
 * The lowest start or end above @pa of a range in the ACPI table SRAT, which tells the node of each
 * range; all bits set: none.
 */
static phys_t affinity_end(const struct acpi_info *info, phys_t pa)
{
	phys_t end = ~0ULL;
	unsigned i;

	for (i = 0; i < info->nr_affinity; i++) {
		const struct acpi_affinity *a = &info->affinity[i];

		if (a->start > pa)
			end = MIN(end, a->start);
		else if (a->end > pa)
			end = MIN(end, a->end);
	}
	return end;
}

/* The run that begins at @pfn; it ends at @end at the latest. */
static struct ram_run run_at(const struct boot_machine *m, pfn_t pfn, pfn_t end)
{
	struct ram_run run = {.start = pfn, .end = end};
	/* Page 0 is always taken, so the first pageblock is judged from page 1 on. */
	phys_t pa = MAX((phys_t)pfn << PAGE_SHIFT, (phys_t)PAGE_SIZE);
	const struct memblock_range *r = ram_above(m->mb, pa);
	pfn_t to;

	if (!r)
		return run;
	pa = MAX(pa, r->start);
	if (pa >> PAGE_SHIFT >= pfn + PAGEBLOCK_PAGES) {
		run.end = MIN(end, ALIGN_DOWN(pa >> PAGE_SHIFT, PAGEBLOCK_PAGES));
		return run;
	}
	run.ram = true;
	run.node = acpi_node_in(m->info, pa);
	to = ALIGN_DOWN(MIN(r->end, affinity_end(m->info, pa)) >> PAGE_SHIFT, PAGEBLOCK_PAGES);
	run.end = MIN(end, MAX(to, pfn + PAGEBLOCK_PAGES));
	return run;
}

#define for_each_run(m, run, from, to)                                                             \
	for ((run) = run_at((m), (from), (to)); (run).start < (to); (run) = (run).end < (to)       \
	         ? run_at((m), (run).end, (to))                                                    \
	         : (struct ram_run){.start = (to)})

/* ---- nodes ---- */

struct node_span {
	pfn_t start, end;         /* of the node's RAM; end 0: it has none */
	unsigned long pageblocks; /* number of its pageblocks with RAM */
};

/* Find each node's span.  False: nodes interleave, so their spans overlap and cannot be zones. */
static bool node_spans(
    const struct boot_machine *m, struct node_span *span, pfn_t start, pfn_t end, bool merge)
{
	struct ram_run run;
	unsigned i, j;

	memset(span, 0, MAX_NODES * sizeof(*span));
	for_each_run(m, run, start, end) {
		unsigned node = merge || run.node >= m->info->nr_nodes ? 0 : run.node;

		if (!run.ram)
			continue;
		if (!span[node].end)
			span[node].start = run.start;
		span[node].end = run.end;
		span[node].pageblocks += (run.end - run.start) >> PAGEBLOCK_ORDER;
	}
	for (i = 0; i < m->info->nr_nodes; i++) {
		for (j = 0; j < i; j++) {
			if (span[i].start < span[j].end && span[j].start < span[i].end)
				return false;
		}
	}
	return true;
}

/* ---- zones ---- */

/* The end of the first @pages pages of RAM from @start on; at most @end. */
static pfn_t behind_ram(const struct boot_machine *m, pfn_t start, pfn_t end, unsigned long pages)
{
	struct ram_run run;

	for_each_run(m, run, start, end) {
		if (!run.ram)
			continue;
		if (pages < run.end - run.start)
			return run.start + pages;
		pages -= run.end - run.start;
	}
	return end;
}

/* May [start, end) be standby?  Only if it is all RAM and none of it taken, or if it has no RAM. */
static bool can_be_standby(const struct memblock *mb, pfn_t start, pfn_t end)
{
	phys_t from = (phys_t)start << PAGE_SHIFT, to = (phys_t)end << PAGE_SHIFT;
	const struct memblock_range *r = ram_above(mb, from);
	unsigned i;

	if (!r || r->start >= to)
		return true;
	for (i = 0; i < mb->taken.nr; i++) {
		if (mb->taken.range[i].start < to && mb->taken.range[i].end > from)
			return false;
	}
	return r->start <= from && r->end >= to;
}

static void plan_zone(
    const struct boot_machine *m, struct zone_plan *p, pfn_t start, pfn_t end, unsigned long online)
{
	pfn_t pfn;

	if (start >= end)
		return;
	/* Skip a hole at the beginning. */
	start = behind_ram(m, start, end, 0);
	*p = (struct zone_plan){.start = start, .end = end};
	/* Boot memory comes from below 4 GiB first, so memory there is never standby. */
	if (start >= end || start < PFN_4G || !online)
		return;
	pfn = ALIGN_UP(behind_ram(m, start, end, online), BOOT_STANDBY_STEP);
	for (p->standby = p->standby_end = pfn; pfn + BOOT_STANDBY_STEP <= end;
	     pfn += BOOT_STANDBY_STEP) {
		if (!can_be_standby(m->mb, pfn, pfn + BOOT_STANDBY_STEP))
			break;
		p->standby_end = pfn + BOOT_STANDBY_STEP;
	}
}

static void plan_node(const struct boot_machine *m, struct zone_plan *zone,
    const struct node_span *span, unsigned long online)
{
	unsigned long movable = span->pageblocks * m->movable / 100;
	pfn_t border =
	    behind_ram(m, span->start, span->end, (span->pageblocks - movable) << PAGEBLOCK_ORDER);

	/* Align the border, so that standby memory can reach it in whole steps. */
	if (online && ALIGN_DOWN(border, BOOT_STANDBY_STEP) > span->start)
		border = ALIGN_DOWN(border, BOOT_STANDBY_STEP);
	plan_zone(m, &zone[ZONE_MOVABLE], border, span->end, online);
	plan_zone(m, &zone[ZONE_NORMAL], MAX(span->start, PFN_4G), border, online);
	plan_zone(m, &zone[ZONE_DMA32], span->start, MIN(border, PFN_4G), online);
}

/* The number of pages of a zone that are online at boot; 0: all. */
static unsigned long online_pages_wanted(const struct boot_machine *m, unsigned long ram)
{
	if (m->standby == BOOT_STANDBY_BY_SIZE)
		return ram > BIG_MACHINE ? STANDBY_AFTER * MIB_PAGES : 0;
	return m->standby * MIB_PAGES;
}

void boot_zones_plan(const struct boot_machine *m, struct boot_plan *plan)
{
	const struct memblock_type *all = &m->mb->ram;
	struct node_span span[MAX_NODES];
	unsigned long ram = 0, online;
	unsigned i;

	*plan = (struct boot_plan){.nr_nodes = m->info->nr_nodes,
	    .start = ALIGN_DOWN(all->range[0].start >> PAGE_SHIFT, PAGEBLOCK_PAGES),
	    .end = ALIGN_UP(
	        (all->range[all->nr - 1].end + PAGE_SIZE - 1) >> PAGE_SHIFT, PAGEBLOCK_PAGES)};
	if (!node_spans(m, span, plan->start, plan->end, false)) {
		printk("boot: memory of the nodes interleaves; taking it all as one node\n");
		plan->nr_nodes = 1;
		node_spans(m, span, plan->start, plan->end, true);
	}
	for (i = 0; i < plan->nr_nodes; i++)
		ram += span[i].pageblocks << PAGEBLOCK_ORDER;
	online = online_pages_wanted(m, ram);
	for (i = 0; i < plan->nr_nodes; i++) {
		if (span[i].end)
			plan_node(m, &plan->zone[i * NR_ZONE_KINDS], &span[i], online);
	}
}

void boot_zones_add(const struct boot_plan *plan, struct memory *mem)
{
	unsigned i;

	for (i = 0; i < MAX_ZONES; i++) {
		const struct zone_plan *p = &plan->zone[i];
		unsigned node = i / NR_ZONE_KINDS;
		enum zone_kind kind = (enum zone_kind)(i % NR_ZONE_KINDS);

		if (p->start < p->end && memory_add_zone(mem, node, kind, p->start, p->end))
			panic("boot: zone %u of node %u cannot be [%#lx, %#lx)", kind, node,
			    p->start, p->end);
	}
}

bool boot_is_standby(const struct boot_plan *plan, pfn_t start, pfn_t end, pfn_t *to)
{
	unsigned i;

	*to = end;
	for (i = 0; i < MAX_ZONES; i++) {
		const struct zone_plan *p = &plan->zone[i];

		if (p->standby <= start && start < p->standby_end) {
			*to = MIN(end, p->standby_end);
			return true;
		}
		if (start < p->standby && p->standby < p->standby_end)
			*to = MIN(*to, p->standby);
	}
	return false;
}
