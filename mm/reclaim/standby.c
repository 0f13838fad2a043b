/* SPDX-License-Identifier: MIT */
/*
 * standby.c: standby memory: offline after the boot, it comes online by itself when memory is low.
 *
 * Owns:       zone->standby, the cursor.
 * Locks:      mem->hotplug; the zone lock for each pageblock and for the cursor.  A reclaim thread
 *             only tries mem->hotplug: the holder may wait for memory, and so for the reclaim
 *             thread.  It leaves the waiting to the standby thread, for which no thread waits
 *             without a limit.
 * Invariants: standby memory is [standby, standby_end) of a zone, all of it OFFLINE or HOLE.  The
 *             cursor only rises, with each pageblock that comes online, and no other code brings
 *             memory above it online.  So memory that was offlined by request lies below it, and
 *             does not come back by itself.  A pageblock that broke while it was standby has all
 *             its pages counted in nr_poisoned; they are flagged in their descriptors too, in the
 *             lock hold in which the cursor passes the pageblock.
 * Tests:      standby, standby_exact, step_reclaim, offline_bounds, silence_standby.
 */
#include "mm/core/buddy.h"
#include "mm/core/event.h"
#include "mm/core/page.h"
#include "mm/reclaim/reclaim.h"
#include <quarry/memory_hotplug.h>
#include <quarry/sched_point.h>

/* The first pageblock of the step without broken pages, for its own descriptors; else PFN_NONE. */
static pfn_t own_block(const struct memory *mem, pfn_t start, pfn_t end)
{
	pfn_t pfn;

	for (pfn = start; pfn < end; pfn += PAGEBLOCK_PAGES) {
		const struct pageblock *pb = pageblock_of(mem, pfn);

		if (pageblock_state(pb) == PB_OFFLINE && !READ_ONCE(pb->nr_poisoned))
			return pfn;
	}
	return PFN_NONE;
}

/*
 * Bring a pageblock online that has the step's descriptors in its first @own pages, which stay
 * RESERVED for ever.  If the pageblock broke after own_block chose it, all of it stays RESERVED.
 */
static void online_with_own(struct zone *zone, pfn_t pfn, unsigned long own) REQUIRES_ZONE(zone)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	KASSERT(own <= PAGEBLOCK_PAGES);
	if (pb->nr_poisoned)
		own = PAGEBLOCK_PAGES;
	WRITE_ONCE(pb->nr_poisoned, 0);
	page_store(pfn_to_page_in(zone->mem, pfn), AS_TAIL, AS_RESERVED(MAX_ORDER));
	pageblock_set_state(zone, pfn, PB_ONLINE);
	zone_add_pages(zone, PAGEBLOCK_PAGES, 0);
	zone_free_reserved(zone, pfn + own, pfn + PAGEBLOCK_PAGES);
}

/*
 * Bring one pageblock of a step online; the step's descriptors lie in the first @own pages of the
 * pageblock @at.  Returns how many pages.  The cursor passes the pageblock in the same lock hold:
 * between two holds it would count as offlined by request, and a page of it could be flagged.
 */
static unsigned long block_comes(struct zone *zone, pfn_t pfn, pfn_t at, unsigned long own)
    REQUIRES_ZONE(zone)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);
	unsigned long managed = zone->managed;

	ASSERT_ZONE_LOCKED(zone);
	KASSERT(zone->standby >= pfn && pfn < zone->standby_end);
	KASSERT(pageblock_state(pb) != PB_ONLINE);
	WRITE_ONCE(zone->standby, pfn + PAGEBLOCK_PAGES);
	if (pageblock_state(pb) == PB_HOLE)
		return 0;
	memset(tree_of(zone->mem, pfn), 0, sizeof(struct pageblock_tree));
	if (at == PFN_NONE) { /* all of the step is broken, and it has no descriptors */
		pageblock_set_hole(zone, pfn);
		return 0;
	}
	if (own && pfn == at) {
		online_with_own(zone, pfn, own);
	} else {
		if (pb->nr_poisoned)
			poison_flag_block(zone, pfn);
		block_go_online(zone, pfn);
	}
	KASSERT(zone->managed >= managed);
	zone->from_standby += zone->managed - managed;
	return PAGEBLOCK_PAGES;
}

unsigned long memory_managed_by_request(struct memory *mem, unsigned long *from_standby)
{
	unsigned long pages = 0, brought = 0;
	irqflags_t flags;
	struct zone *zone;

	for_each_zone(mem, zone) {
		/* The two counts are read in one lock hold, since they change in one. */
		flags = zone_lock_irqsave(zone);
		pages += zone->managed - zone->from_standby;
		brought += zone->from_standby;
		zone_unlock_irqrestore(zone, flags);
	}
	if (from_standby)
		*from_standby = brought;
	return pages;
}

static long next_step(struct zone *zone) REQUIRES(mem_hotplug_class)
{
	struct memory *mem = zone->mem;
	unsigned long pages = 0, own = 0; /* own: pages that the step's own descriptors take */

	KASSERT(mutex_is_held(&mem->hotplug));
	while (!pages && zone_standby(zone)) {
		pfn_t start = zone->standby, end, at, pfn;
		irqflags_t flags;
		int err = 0;

		end = MIN(start - start % mem->standby_step + mem->standby_step, zone->standby_end);
		KASSERT(start < end && !((start | end) & (PAGEBLOCK_PAGES - 1)));
		at = own_block(mem, start, end);
		if (at != PFN_NONE && mem->arrays) {
			own = ALIGN_UP((end - start) * sizeof(struct page), PAGE_SIZE) / PAGE_SIZE;
			err = mem->arrays->grow_inside(mem, start, end - start, at);
		}
		if (err)
			return err;
		for (pfn = start; pfn < end; pfn += PAGEBLOCK_PAGES) {
			sched_point("standby.block");
			flags = zone_lock_irqsave(zone);
			pages += block_comes(zone, pfn, at, own);
			zone_unlock_irqrestore(zone, flags);
		}
	}
	return (long)pages;
}

static long bring_step(struct zone *zone) REQUIRES(mem_hotplug_class)
{
	long pages = next_step(zone);

	if (pages > 0) {
		zone_set_watermarks(zone);
		/* As in online_pages: each CPU takes the larger capacity at its next refill. */
		zone_reset_limits(zone);
		MM_EVENT_ADD(zone->mem, STANDBY_ONLINE, (u64)pages >> PAGEBLOCK_ORDER);
	}
	return pages;
}

long standby_online(struct zone *zone)
{
	struct memory *mem = zone->mem;
	long pages;

	if (!zone_standby(zone))
		return 0;
	if (!hotplug_trylock(mem))
		return -EAGAIN;
	pages = bring_step(zone);
	hotplug_unlock(mem);
	return pages;
}

/* ---- the standby thread ---- */

/* The sleep between tries while another thread has the lock of the descriptors' page tables. */
#define TABLES_NS 1000000ULL

static bool standby_wanted(void *arg)
{
	const struct standby_thread *s = arg;

	return READ_ONCE(s->stop) || tickets_waiting(&s->tickets);
}

/* Bring a step of @zone online if it is still wanted: other threads may have freed enough. */
static void bring_wanted(struct zone *zone, u64 run_for)
{
	u64 mine = requests_for(run_for, (enum zone_kind)zone->kind);
	long pages = 0;
	bool wanted;

	if (!zone_standby(zone))
		return;
	do {
		if (pages == -EAGAIN)
			thread_sleep(TABLES_NS);
		hotplug_lock(zone->mem);
		/* Enough pages may be free, but not side by side; a step has a large block. */
		wanted = zone_low(zone) || requests_large(mine) ||
		    (mine && zone_lacks(zone, mine, false));
		pages = wanted ? bring_step(zone) : 0;
		hotplug_unlock(zone->mem);
	} while (pages == -EAGAIN && !READ_ONCE(zone->mem->standby.stop));
	if (pages > 0)
		reclaim_note_freed(zone, (unsigned long)pages, 0);
}

static void standby_run(void *arg)
{
	struct memory *mem = arg;
	struct standby_thread *s = &mem->standby;
	struct zone *zone;
	u64 upto, run_for;

	/* The reserve is for tables: only this thread can bring the memory it would wait for. */
	WRITE_ONCE(port_task()->reserve, 1);
	for (;;) {
		wait_until(&s->wake, standby_wanted, s, WAIT_FOREVER);
		if (READ_ONCE(s->stop))
			return;
		upto = tickets_begin(&s->tickets);
		run_for = atomic_and(&s->run_for, 0ULL);
		for_each_zone(mem, zone)
			bring_wanted(zone, run_for);
		tickets_end(&s->tickets, upto);
		wake_up(&s->served);
	}
}

int standby_start(struct memory *mem)
{
	struct standby_thread *s = &mem->standby;
	unsigned long pages = 0;
	struct zone *zone;

	for_each_zone(mem, zone)
		pages += zone_standby(zone);
	if (!pages)
		return 0;
	WRITE_ONCE(s->stop, 0);
	WRITE_ONCE(s->thread, thread_start("standby", (int)mem->thread_cpus - 1, standby_run, mem));
	return s->thread ? 0 : -ENOMEM;
}

void standby_stop(struct memory *mem)
{
	struct standby_thread *s = &mem->standby;

	if (!s->thread)
		return;
	WRITE_ONCE(s->stop, 1);
	wake_up(&s->wake);
	thread_join(s->thread);
	WRITE_ONCE(s->thread, NULL);
	wake_up(&s->served);
}
