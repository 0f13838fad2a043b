/* SPDX-License-Identifier: MIT */
/*
 * memory_add.c: adding memory while the machine runs, and removing it.
 *
 * Owns:       the change of pageblocks between HOLE and OFFLINE; the growth of zones' spans; the
 *             memory for descriptors, where there is a struct memory_arrays.
 * Locks:      mem->adding throughout, so that one thread at a time adds or removes; mem->hotplug
 *             for the claim and for the span only, so that no offline waits for a long range;
 *             mem->poison while pageblocks become holes; the zone lock for pageblocks and spans.
 * Invariants: a pageblock that is no HOLE has descriptors for all its pages; a section of holes
 *             only need not have any.  Descriptors of holes are zeros.  A span only grows: a walk
 *             without a lock may miss pageblocks that were just added, which are OFFLINE, and skips
 *             missing memory, which reads as HOLE.  Removed memory takes its broken pages with it:
 *             memory added later at their place is other memory.  A range is claimed throughout all
 *             changes: no other operation can bring online, offline or remove any of it meanwhile.
 * Tests:      memory_add, memory_add_exact, memory_span, held, step_add.
 */
#include "mm/core/buddy.h"
#include "mm/core/drain.h"
#include "mm/core/event.h"
#include "mm/core/pcp.h"
#include "mm/hotplug/offline.h"
#include <quarry/memory_hotplug.h>
#include <quarry/sched_point.h>

/* Are all pageblocks of the section at pfn @section holes? */
static bool section_empty(const struct memory *mem, pfn_t section)
{
	struct pfn_range range = {
	    MAX(section, mem->start_pfn), MIN(section + SECTION_PAGES, mem->end_pfn)};

	return range_count(mem, range, PB_HOLE) == range_pages(range) >> PAGEBLOCK_ORDER;
}

#define for_each_section(section, range)                                                           \
	for ((section) = ALIGN_DOWN((range).start, SECTION_PAGES); (section) < (range).end;        \
	     (section) += SECTION_PAGES)

/* The range has become holes: free the descriptors of sections that consist of holes only. */
static void unback(struct memory *mem, struct pfn_range range) REQUIRES(mem_adding_class)
{
	pfn_t section;

	KASSERT(mutex_is_held(&mem->adding));
	if (!mem->arrays)
		return;
	for_each_section(section, range)
		if (section_empty(mem, section))
			mem->arrays->shrink(mem, section, SECTION_PAGES);
	mem->arrays->unmap(mem, range.start, range_pages(range));
}

static int back(struct memory *mem, struct pfn_range range) REQUIRES(mem_adding_class)
{
	pfn_t section;
	int err;

	if (!mem->arrays)
		return 0;
	err = mem->arrays->map(mem, range.start, range_pages(range));
	for_each_section(section, range)
		if (!err && section_empty(mem, section))
			err = mem->arrays->grow(mem, section, SECTION_PAGES);
	if (err)
		unback(mem, range);
	return err;
}

/* Extend the zone's span to @range; if the zone had no span, it also enters the zonelists. */
static void grow_span(struct zone *zone, struct pfn_range range) REQUIRES(mem_adding_class)
{
	bool first = !zone_has_span(zone);
	irqflags_t flags;

	KASSERT(mutex_is_held(&zone->mem->adding));
	KASSERT(range.start < range.end);
	KASSERT(!((range.start | range.end) & (PAGEBLOCK_PAGES - 1)));
	hotplug_lock(zone->mem);
	flags = zone_lock_irqsave(zone);
	WRITE_ONCE(zone->start_pfn, first ? range.start : MIN(range.start, zone->start_pfn));
	store_release(&zone->end_pfn, MAX(range.end, zone->end_pfn)); /* zone_span */
	zone_unlock_irqrestore(zone, flags);
	hotplug_unlock(zone->mem);
	if (first) {
		memory_build_zonelists(zone->mem);
		pcp_zones_changed(zone->mem);
	}
}

/*
 * Change some pageblocks from HOLE to OFFLINE, from @pfn on, in one hold of the zone lock.  Returns
 * the pfn behind the last of them.  Their pages' descriptors are zeros already.
 */
static pfn_t blocks_arrive(struct zone *zone, pfn_t pfn, pfn_t end)
{
	irqflags_t flags = zone_lock_irqsave(zone);

	end = blocks_end(zone->mem, pfn, end);
	KASSERT(pfn >= zone->start_pfn && end <= zone->end_pfn);
	for (; pfn < end; pfn += PAGEBLOCK_PAGES) {
		KASSERT(!tree_of(zone->mem, pfn)->map.counts);
		pageblock_init(zone->mem, pfn, zone, MT_MOVABLE);
		pageblock_set_state(zone, pfn, PB_OFFLINE);
	}
	zone_unlock_irqrestore(zone, flags);
	return end;
}

/* Does the range contain standby memory of any zone? */
static bool any_is_standby(const struct memory *mem, struct pfn_range range)
{
	const struct zone *zone;

	for_each_zone(mem, zone)
		if (range_is_standby(zone, range))
			return true;
	return false;
}

/* The answer 0 stays true: mem->adding guards holes, and standby memory only shrinks. */
static int addable(const struct memory *mem, struct pfn_range range) REQUIRES(mem_adding_class)
{
	if (range_count(mem, range, PB_HOLE) != range_pages(range) >> PAGEBLOCK_ORDER)
		return -EEXIST;
	/* A hole in standby memory is refused: the step around it may come online any moment. */
	return any_is_standby(mem, range) ? -EBUSY : 0;
}

static int add_claimed(struct memory *mem, struct pfn_range range, struct zone *zone)
    REQUIRES(mem_adding_class)
{
	int err = zone_alloc_slots(zone);
	pfn_t pfn;

	if (!err)
		err = back(mem, range);
	if (err)
		return err;
	grow_span(zone, range);
	for (pfn = range.start; pfn < range.end;) {
		sched_point("add.block");
		pfn = blocks_arrive(zone, pfn, range.end);
	}
	return 0;
}

/* May the range be removed?  With a claim on it the answer stays true; without, it is a hint. */
static int removable(const struct memory *mem, struct pfn_range range) REQUIRES(mem_adding_class)
{
	if (range_count(mem, range, PB_HOLE))
		return -EINVAL;
	if (any_is_standby(mem, range) ||
	    range_count(mem, range, PB_OFFLINE) != range_pages(range) >> PAGEBLOCK_ORDER)
		return -EBUSY;
	return 0;
}

static int remove_claimed(struct memory *mem, struct pfn_range range) REQUIRES(mem_adding_class)
{
	int err = removable(mem, range);
	pfn_t pfn;

	if (err)
		return err;
	KASSERT(mutex_is_held(&mem->adding));
	/* This waits for a thread that retires a broken page and has looked up its zone. */
	poison_lock(mem);
	for_each_block(pfn, range) {
		struct zone *zone = zone_of(mem, pfn);
		irqflags_t flags;

		sched_point("remove.block");
		flags = zone_lock_irqsave(zone);
		pageblock_set_hole(zone, pfn);
		zone_unlock_irqrestore(zone, flags);
	}
	poison_unlock(mem);
	/* Some descriptors are not freed: those from the boot, and those beside other memory. */
	memset(pfn_to_page_in(mem, range.start), 0, range_pages(range) * sizeof(struct page));
	unback(mem, range);
	return 0;
}

bool memory_there(const struct memory *mem, pfn_t start, unsigned long nr)
{
	struct pfn_range range = range_blocks(
	    (struct pfn_range){MAX(start, mem->start_pfn), MIN(start + nr, mem->end_pfn)});

	return range.start < range.end &&
	    range_count(mem, range, PB_HOLE) != range_pages(range) >> PAGEBLOCK_ORDER;
}

/* The attributes tell clang that the mutex of @mem stands for its lock class. */
static void adding_lock(struct memory *mem) ACQUIRE(mem_adding_class) NO_LOCK_ANALYSIS
{
	mutex_lock(&mem->adding);
}

static void adding_unlock(struct memory *mem) RELEASE(mem_adding_class) NO_LOCK_ANALYSIS
{
	mutex_unlock(&mem->adding);
}

/* Add the range to @zone; NULL: remove it. */
static int change_memory(struct memory *mem, struct pfn_range range, struct zone *zone)
{
	struct range_claim claim = {.range = range, .stays = true};
	int err;

	if (!range_ok(mem, range))
		return -EINVAL;
	if (!may_sleep())
		return -EDEADLK;
	adding_lock(mem);
	/* Check first: a claim on a range that is refused could make another operation fail. */
	err = zone ? addable(mem, range) : removable(mem, range);
	sched_point("add.checked");
	if (!err)
		err = range_claim(mem, &claim);
	if (!err) {
		err = zone ? add_claimed(mem, range, zone) : remove_claimed(mem, range);
		range_unclaim(mem, &claim);
	}
	adding_unlock(mem);
	if (!err)
		mem_event_add(mem, zone ? EV_MEMORY_ADDED : EV_MEMORY_REMOVED,
		    range_pages(range) >> PAGEBLOCK_ORDER);
	return err;
}

int add_memory(struct memory *mem, pfn_t start, unsigned long nr, unsigned node)
{
	struct pfn_range range = pfn_range(start, nr);

	if (node >= mem->nr_nodes)
		return range_ok(mem, range) ? -ENODEV : -EINVAL;
	return change_memory(mem, range, &mem->zones[node * NR_ZONE_KINDS + ZONE_MOVABLE]);
}

int remove_memory(struct memory *mem, pfn_t start, unsigned long nr)
{
	return change_memory(mem, pfn_range(start, nr), NULL);
}
