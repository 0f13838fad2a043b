/* SPDX-License-Identifier: MIT */
/*
 * mm_priv.h: what the files of mm/ share with each other and with tests/, and nobody else.
 */
#ifndef QUARRY_MM_PRIV_H
#define QUARRY_MM_PRIV_H

#include "mm/page_state.h"
#include "mm/poison_take.h"
#include <quarry/alloc_check.h>
#include <quarry/contig.h>
#include <quarry/mm.h>
#include <quarry/sched_point.h>

/* ---- events ---- */

/* Count @n events @ev of @mem on this CPU.  Any context; a stale CPU number only moves the count. */
static inline void mem_event_add(struct memory *mem, enum mm_event ev, u64 n)
{
	unsigned cpu = arch_cpu_id();

	counter_add(&mem->pcp[cpu < mem->nr_cpus ? cpu : 0]->event[ev], n);
}
#define MM_EVENT(mem, ev)        mem_event_add((mem), EV_##ev, 1)
#define MM_EVENT_ADD(mem, ev, n) mem_event_add((mem), EV_##ev, (n))

/* Fill @fail (may be NULL) and pass @err on. */
static inline int mm_fail(struct mm_fail *fail, pfn_t pfn, enum mm_why why, int err)
{
	if (fail)
		*fail = (struct mm_fail){.pfn = pfn, .why = why};
	return err;
}

/* ---- locks: as zone_lock, mm.h ---- */

/* Behind a function: its caller holds the lock of @zone. */
#define REQUIRES_ZONE(zone) REQUIRES((zone)->lock, zone_class)

static inline irqflags_t lru_lock_irqsave(struct zone *zone) ACQUIRE(zone->lru_lock, lru_class)
    NO_LOCK_ANALYSIS
{
	return spin_lock_irqsave(&zone->lru_lock);
}

static inline void lru_unlock_irqrestore(struct zone *zone, irqflags_t flags)
    RELEASE(zone->lru_lock, lru_class) NO_LOCK_ANALYSIS
{
	spin_unlock_irqrestore(&zone->lru_lock, flags);
}

/* Claims, commits and plans: claim.c, which measures each hold.  Context: thread, may sleep. */
void hotplug_lock(struct memory *mem) ACQUIRE(mem_hotplug_class);
void hotplug_unlock(struct memory *mem) RELEASE(mem_hotplug_class);
/* For those that somebody with the lock may wait for. */
bool hotplug_trylock(struct memory *mem) TRY_ACQUIRE(true, mem_hotplug_class);
/* One broken page at a time, and no memory is removed meanwhile.  Context: thread, may sleep. */
static inline void poison_lock(struct memory *mem) ACQUIRE(poison_class) NO_LOCK_ANALYSIS
{
	mutex_lock(&mem->poison);
}

static inline void poison_unlock(struct memory *mem) RELEASE(poison_class) NO_LOCK_ANALYSIS
{
	mutex_unlock(&mem->poison);
}

/* Rounds and depths: the set of online CPUs stays, and no other round runs.  Context: thread, may sleep. */
static inline void rounds_lock(struct memory *mem) ACQUIRE_SHARED(cpu_hotplug) ACQUIRE(pcp_ctl_class)
    NO_LOCK_ANALYSIS
{
	rwsem_lock_shared(&cpu_hotplug);
	mutex_lock(&mem->pcp_ctl);
}

static inline void rounds_unlock(struct memory *mem) RELEASE_SHARED(cpu_hotplug) RELEASE(pcp_ctl_class)
    NO_LOCK_ANALYSIS
{
	mutex_unlock(&mem->pcp_ctl);
	rwsem_unlock_shared(&cpu_hotplug);
}

/* ---- panics that are about a page (page.c) ---- */

/* What this thread panics with next is about @page, of @mem or, if that is NULL, of the kernel's memory. */
void panic_blame(const struct memory *mem, const struct page *page) __attribute__((cold));
void page_assert_failed(const struct memory *mem, const struct page *page, const char *where,
    const char *what) __attribute__((noreturn, cold));
/* KASSERT, with a page for the panic to show. */
#define PAGE_ASSERT(mem, page, cond)                                                               \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			page_assert_failed((mem), (page), __FILE__ ":" PAGE_ASSERT_TEXT(__LINE__), #cond); \
	} while (0)
#define PAGE_ASSERT_TEXT(line)  PAGE_ASSERT_TEXT_(line)
#define PAGE_ASSERT_TEXT_(line) #line

/* ---- orders and stacks ---- */

/* Index of a cached order among the cached orders; NR_CACHED_ORDERS or more: not cached. */
static always_inline unsigned order_index(unsigned order)
{
	if (likely(order < NR_SMALL_CACHED))
		return order;
	return order == MAX_ORDER ? NR_SMALL_CACHED : NR_CACHED_ORDERS;
}

static inline unsigned index_order(unsigned index)
{
	return index < NR_SMALL_CACHED ? index : MAX_ORDER;
}

/* Blocks that one refill or spill moves: 16 pages' worth. */
static inline unsigned order_batch(unsigned order)
{
	return order < 4 ? PCP_BATCH >> order : 1;
}

static inline unsigned zone_stack(const struct zone *zone, unsigned index, enum migratetype type)
{
	return zone->id * STACKS_PER_ZONE + index * NR_CACHED_TYPES + type;
}

/* This CPU's cache of @mem; irqs off.  The CPU must be one of the memory's. */
static inline struct pcp *this_pcp(const struct memory *mem)
{
	unsigned cpu = arch_cpu_id();

	KASSERT(cpu < mem->nr_cpus);
	return mem->pcp[cpu];
}

/* The same, off the hot paths: says so if interrupts are on. */
static inline struct pcp *this_pcp_slow(const struct memory *mem)
{
	KASSERT(!arch_irqs_enabled());
	return this_pcp(mem);
}

/* ---- flags of a page in use (page.c) ---- */

/* Set, or clear, flags PAGE_...: by one who has a reference, or a lock that keeps the page in use. */
void page_set_flags(struct page *page, u32 flags);
void page_clear_flags(struct page *page, u32 flags);
/* Set PAGE_LOCKED; false if it is set. */
bool page_trylock(struct page *page);

/* ---- pageblocks (pageblock.c) ---- */

/* All RANK_ZONE held.  Each recomputes the stack numbers. */
void pageblock_set_isolated(struct zone *zone, pfn_t pfn, bool on) REQUIRES_ZONE(zone);
void pageblock_set_state(struct zone *zone, pfn_t pfn, enum pageblock_state state) REQUIRES_ZONE(zone);
/* To OFFLINE, from isolated and wholly free. */
void pageblock_set_offline(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/* To HOLE, from OFFLINE: what was broken there is gone with it. */
void pageblock_set_hole(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/* Note that it went offline with its node, until it is online again. */
void pageblock_set_evacuated(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/* The host knows that it is wholly free. */
void pageblock_set_reported(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/* Change the type; the pageblock's free blocks move to the lists of the new one. */
void pageblock_change_type(struct zone *zone, pfn_t pfn, enum migratetype type) REQUIRES_ZONE(zone);
/* Set type and zone of a pageblock that has no free block yet. */
void pageblock_init(struct memory *mem, pfn_t pfn, struct zone *zone, enum migratetype type);

/*
 * Walk the heads of the pageblock at @pfn, under the zone lock: there heads and orders do not change,
 * since only the buddy makes and unmakes heads (pages going in and out of caches and hands keep
 * theirs).
 */
#define for_each_head(mem, pfn, block)                                                             \
	for ((pfn) = (block); (pfn) < (block) + PAGEBLOCK_PAGES;                                   \
	     (pfn) += 1UL << word_order(page_word(pfn_to_page_in((mem), (pfn)))))

/*
 * Is every page of a pageblock free?  Without the lock: while it is isolated nothing is allocated from it, so the
 * answer yes stays true.  Retired pages are not counted in: two counts that are read without the lock need not
 * belong together.  Where there are some, the answer is no, and who needs to know looks under the lock.
 */
static inline bool pageblock_all_free(const struct pageblock *pb)
{
	return READ_ONCE(pb->nr_free) == (unsigned)PAGEBLOCK_PAGES;
}

/* ---- buddy (buddy.c), all under the zone lock ---- */

/*
 * The only two places that touch a free list, its counts and the pageblock's count.  They read the
 * isolate bit themselves: blocks of an isolated pageblock are counted by it and are on no list.
 */
void buddy_list_add(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
void buddy_list_del(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
/*
 * Put back a block that the caller owns, whose head still has its old word, and merge it.  The type
 * and isolate bit of the pageblock are read here, under the lock, and nowhere earlier.
 */
void buddy_free(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
/* Take a block of exactly @order, state FREE and on no list; PFN_NONE if the type has none. */
pfn_t buddy_alloc(struct zone *zone, unsigned order, enum migratetype type) REQUIRES_ZONE(zone);
/* The same from other types, stealing pageblocks where that is allowed. */
pfn_t buddy_alloc_fallback(struct zone *zone, unsigned order, enum migratetype type)
    REQUIRES_ZONE(zone);
/* Take the listed block at @pfn, of order @have, and cut it down to @order.  Returns @pfn. */
pfn_t buddy_take(struct zone *zone, pfn_t pfn, unsigned have, unsigned order) REQUIRES_ZONE(zone);
/* Is there a block of @order or larger that a request of @type, a cached one, can take? */
bool buddy_has(const struct zone *zone, unsigned order, enum migratetype type) REQUIRES_ZONE(zone);

/*
 * Take the pages [start, end), which lie in one pageblock and are all free, as order 0; what their
 * blocks have beyond stays free (buddy_range.c).
 */
void buddy_take_range(struct zone *zone, pfn_t start, pfn_t end) REQUIRES_ZONE(zone);
/* Free the pages [@start, @end) of one pageblock of @zone, which are RESERVED (buddy_range.c). */
void zone_free_reserved(struct zone *zone, pfn_t start, pfn_t end) REQUIRES_ZONE(zone);

/* ---- zones (zone.c) ---- */

/* Has @zone a span, and with it a place in zonelists?  It stays so.  Any context. */
static inline bool zone_has_span(const struct zone *zone)
{
	return READ_ONCE(zone->end_pfn) > READ_ONCE(zone->start_pfn);
}

/* Is the pageblock at @pfn, in the span of @zone, one of its own, and no HOLE? */
static inline bool zone_owns_block(const struct zone *zone, pfn_t pfn)
{
	const struct pageblock *pb = pageblock_of(zone->mem, pfn);

	return pageblock_state(pb) != PB_HOLE && READ_ONCE(pb->zone) == zone->id;
}
/* Walk the pageblocks of @zone; what lies between and is another zone's, or nobody's, is left out. */
#define for_each_zone_block(zone, pfn)                                                             \
	for ((pfn) = READ_ONCE((zone)->start_pfn); (pfn) < READ_ONCE((zone)->end_pfn);             \
	     (pfn) += PAGEBLOCK_PAGES)                                                             \
		if (zone_owns_block((zone), (pfn)))

/* For zone_spare, besides the flags of mm.h: no watermark at all; the high one; the low one. */
#define GFP_ALL_RESERVE 0x100u
#define GFP_HIGH_MARK   0x200u
#define GFP_LOW_MARK    0x400u
/*
 * Pages that a request may take of @zone, below 0 if it lacks some.  @lower: it could have used a higher
 * kind of zone.  Everything that asks whether a zone has enough asks this.
 */
long zone_spare(const struct zone *zone, gfp_t gfp, bool lower);
/* May a request take 2^order pages of @zone? */
bool zone_watermark_ok(const struct zone *zone, unsigned order, gfp_t gfp, bool lower);
/* From what the zone manages now; takes its lock. */
void zone_set_watermarks(struct zone *zone) EXCLUDES(zone_class);
/*
 * Also while others read them, when zones have come since: a reader never misses one that was there.
 * Nobody else builds.
 */
void memory_build_zonelists(struct memory *mem);
/* The @i-th zone that @gfp allows, nearest first; NULL: there are no more.  A hint: the CPU may change. */
struct zone *zonelist_zone(struct memory *mem, gfp_t gfp, unsigned i);
/* The highest kind of zone that @gfp allows. */
static inline enum zone_kind gfp_kind(gfp_t gfp)
{
	if (gfp & GFP_DMA32)
		return ZONE_DMA32;
	return (gfp & GFP_MOVABLE) ? ZONE_MOVABLE : ZONE_NORMAL;
}
static inline enum migratetype gfp_type(gfp_t gfp)
{
	return (gfp & GFP_MOVABLE) ? MT_MOVABLE : (enum migratetype)(gfp & GFP_TYPE_MASK);
}

/* ---- ranges (claim.c, offline_query.c), under hotplug ---- */

/*
 * Would what is left without the range, and without those that others claimed before @mine (NULL: at all), be
 * enough?  A hint.  hotplug not held.
 */
bool enough_left(struct memory *mem, pfn_t start, unsigned long nr, const struct range_claim *mine)
    EXCLUDES(mem_hotplug_class);
/*
 * Everything that can be refused without touching anything.  With a claim on the range it stays so; without one,
 * and @mine NULL, the answer is a hint.  Errors as offline_pages.
 */
int offline_check(struct memory *mem, pfn_t start, unsigned long nr, const struct range_claim *mine,
    struct mm_fail *fail) EXCLUDES(mem_hotplug_class, zone_class);
/* Does an operation under way work on part of the range? */
bool range_claimed(const struct memory *mem, pfn_t start, unsigned long nr) REQUIRES(mem_hotplug_class);
/* From here until range_unclaim the range is the caller's.  0; -EBUSY an operation works on part of it. */
int range_claim(struct memory *mem, struct range_claim *claim) must_check EXCLUDES(mem_hotplug_class);
void range_unclaim(struct memory *mem, struct range_claim *claim) EXCLUDES(mem_hotplug_class);
/* zone_plan_capacity, for what is left when the ranges being worked on have gone. */
void zone_plan_claimed(struct zone *zone) REQUIRES(mem_hotplug_class);
/* Pageblocks of the range in @state. */
unsigned long range_count(const struct memory *mem, pfn_t start, unsigned long nr,
    enum pageblock_state state);

/* Put a pageblock, all of whose pages but the head's are TAIL, into its zone's service.  Zone lock. */
void block_go_online(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);

/* ---- memory that stands by (standby.c) ---- */

/* Pages of @zone that stand by, holes among them.  A hint without hotplug. */
static inline unsigned long zone_standby(const struct zone *zone)
{
	pfn_t from = READ_ONCE(zone->standby), to = READ_ONCE(zone->standby_end);

	return from < to ? to - from : 0;
}
/* Is some of the range, of the pageblock of @pfn, standby?  Under hotplug; a pageblock OFFLINE: or the zone lock. */
static inline bool range_stands_by(const struct zone *zone, pfn_t start, unsigned long nr)
{
	return start < READ_ONCE(zone->standby_end) && start + nr > READ_ONCE(zone->standby);
}
static inline bool block_stands_by(const struct zone *zone, pfn_t pfn)
{
	return range_stands_by(zone, ALIGN_DOWN(pfn, PAGEBLOCK_PAGES), PAGEBLOCK_PAGES);
}
/*
 * Bring the next step of @zone's standby online.  Returns its pages; 0 nothing stands by; -EAGAIN somebody
 * adds, takes or brings memory just now; -ENOMEM for tables.  Context: thread, may sleep; it waits for no memory
 * if the thread may use the reserve.  Locks: hotplug (tried), cpu_hotplug shared, zone.
 */
long standby_online(struct zone *zone) EXCLUDES(zone_class);
/*
 * Somebody else has the lock: let the standby thread bring some when it has it, for requests in @run_for
 * (request_bit), or where a zone is low.  The ticket for that; 0: there is no such thread.  Any context in
 * which a wake-up is.
 */
u64 standby_ask(struct memory *mem, u64 run_for);
int standby_start(struct memory *mem);
void standby_stop(struct memory *mem);

/* ---- caches (pcp.c) ---- */

/* Compute how much each CPU may cache of @zone once @leaving pages have left it.  Under hotplug. */
void zone_plan_capacity(struct zone *zone, unsigned long leaving) REQUIRES(mem_hotplug_class);
/* Owner, irqs off: capacities from depth and plan; give back what no longer fits. */
void pcp_refresh_zone_local(struct zone *zone) EXCLUDES(zone_class);
/* Owner, irqs off: give back all of the zone / all of its isolated pageblocks. */
void pcp_drain_zone_local(struct zone *zone) EXCLUDES(zone_class);
void pcp_drain_isolated_local(struct zone *zone) EXCLUDES(zone_class);
/* First-zone stack numbers of @cpu's cache.  Nobody uses it yet, or the owner with irqs off. */
void pcp_set_first(struct memory *mem, unsigned cpu);
/* One block of @zone from this CPU's cache or, with a refill, from the buddy; NULL if there is none. */
struct page *pcp_alloc_zone(struct zone *zone, gfp_t gfp, unsigned order, bool lower)
    EXCLUDES(zone_class);
/*
 * Give a block that is the caller's alone, with exactly that word, to the cache or the buddy; poison that
 * came upon it meanwhile is seen.  False: the word was another one; nothing was done.
 */
bool pcp_free_slow(struct memory *mem, struct page *page, unsigned order, u32 word)
    EXCLUDES(zone_class);
/* Bring the slots of @zone's stacks for all CPUs; -ENOMEM.  Before the zone's caches are turned on. */
int zone_alloc_slots(struct zone *zone);
/*
 * Zones have come: each CPU looks up its first ones again, and sees all that was written before.
 * Context: thread, may sleep.
 */
void pcp_zones_changed(struct memory *mem) EXCLUDES(pcp_ctl_class, zone_class);

/* ---- rounds and isolation ---- */

/* What the forced rounds of an operation cost. */
struct drain_cost {
	unsigned rounds, ipis;
};
int pcp_disable_counted(struct zone *zone, struct drain_cost *cost) EXCLUDES(pcp_ctl_class);
int isolate_range(struct memory *mem, pfn_t from, unsigned long pages, enum iso_policy policy,
    struct mm_fail *fail, struct drain_cost *cost);
/*
 * test_pages_isolated for [start, end), whose pageblocks are isolated and may reach beyond it: what lies
 * beyond need not be free.
 */
int test_range_free(struct memory *mem, pfn_t start, pfn_t end, struct mm_fail *fail)
    EXCLUDES(zone_class);

/* ---- migration (migrate.c) ---- */

/* Passes over the pages that somebody was using just then. */
#define MIGRATE_PASSES 10
/* Can a page in this state be moved, as long as it has an owner? */
static inline bool state_movable(enum page_state state)
{
	return state == PG_MOVABLE_OPS || state == PG_LRU || state == PG_BALLOON;
}

/* Pages that one cross-call is made for, and a thread's stack has room for. */
#define MIGRATE_BATCH 64

/*
 * Where pages are moved to, called in the thread that moves them, with no lock held: get() brings a
 * block of 2^order pages that is the caller's alone (ALLOC, one reference) or NULL; give_back() takes
 * back one that was not needed.
 */
struct migrate_target {
	struct page *(*get)(struct migrate_target *to, struct memory *mem, unsigned order);
	void (*give_back)(
	    struct migrate_target *to, struct memory *mem, struct page *page, unsigned order);
};

/* Wherever memory is allocated. */
extern struct migrate_target migrate_anywhere;

/* How pages of one kind are moved: up to MIGRATE_BATCH at a time, err[] telling what became of each. */
struct migrate_kind {
	void (*move)(struct memory *mem, struct page **pages, unsigned nr, struct migrate_target *to,
	    int *err);
	void (*putback)(struct memory *mem, struct page *page);
};
extern const struct migrate_kind migrate_movable_kind;
extern const struct migrate_kind migrate_lru_kind;

struct migrate_stats {
	unsigned moved;     /* blocks */
	unsigned retries;   /* tries that met somebody else */
	unsigned at_try[4]; /* of the moved: at the first try, the second, the third, later */
};
/* Isolated pages, by kind, and where they shall go; NULL: anywhere. */
struct isolated_pages {
	struct migrate_target *to;
	struct page *movable[MIGRATE_BATCH], *lru[MIGRATE_BATCH];
	unsigned nr_movable, nr_lru;
};
/*
 * Isolate what can be moved at @pfn, object's page or MOVABLE_OPS, and add it to @pages, which has room.
 * Returns 0; -EAGAIN nothing movable just now; -EBUSY pinned, or what the owner says.
 */
int isolate_page(struct memory *mem, pfn_t pfn, struct isolated_pages *pages);
/* migrate_pages for both kinds; adds to *@stats. */
unsigned migrate_isolated(struct memory *mem, struct isolated_pages *pages, struct mm_fail *fail,
    struct migrate_stats *stats);
/*
 * Why the block with its head at @pfn would be in the way of an isolation.  WHY_NONE: it is free, cached, or
 * can move; WHY_BUSY: it will be one of these in a moment, or stays; else it cannot move.  Zone lock.
 */
enum mm_why page_in_way(const struct zone *zone, pfn_t pfn);
/*
 * What of [start, start + nr) cannot move: 0, or -EBUSY, and which page is the first and why.  It takes
 * the zone lock where it must look.
 */
int scan_unmovable(struct zone *zone, pfn_t start, unsigned long nr, struct mm_fail *fail)
    EXCLUDES(zone_class);
/* Put an isolated page back to its owner, or free it if the owner has let go. */
void putback_movable_page(struct memory *mem, struct page *page) EXCLUDES(lru_class, zone_class);

/* ---- emptying an isolated range (evacuate.c) ---- */

struct evacuation {
	struct zone *zone;
	pfn_t start, end;       /* what shall become free */
	enum iso_policy policy; /* by which it was isolated */
	u64 deadline;           /* of deadline_from_now */
	const u32 *cancel;      /* a: a word that becomes non-zero to call it off; may be NULL */
	struct mm_fail *fail;   /* where and why it ended without success */
	struct drain_cost cost; /* what follows is added to */
	struct migrate_stats stats;
	unsigned loops;         /* passes over the range */
	bool no_target;         /* the last pass found no memory to move to */
};
/* @ns from now; ~0 is never. */
u64 deadline_from_now(u64 ns);
/*
 * Move what can be moved until all of the range is free.  0; -EINTR; -ENOMEM nowhere to move to; -EBUSY
 * what stays there cannot move; -ETIMEDOUT.
 */
int evacuate(struct evacuation *e);

/* ---- compaction (compact.c) ---- */

/* compact_zone for the zones of a zonelist, until one has a block.  As compact_zone. */
int compact_zonelist(const struct node *node, gfp_t gfp, unsigned order)
    EXCLUDES(object_class, lru_class, zone_class);

/* ---- the checker's part for objects, spaces and reclaim lists (check_vm.c); all CPUs stopped ---- */

/* The zone's lists, which shall have @pages pages together; reclaim has no more than @taken. */
bool check_lru(struct memory *mem, const struct zone *zone, unsigned long pages,
    unsigned long taken, struct mm_violation *v);
/* Slots, tables and who waits. */
void check_vm(struct memory *mem, struct mm_violation *v);

/* ---- others ---- */

/* May this thread make a cross-call and sleep now? */
static inline bool may_sleep(void)
{
	return arch_irqs_enabled() && !arch_in_interrupt() && spin_depth() == 0;
}

/* ---- the front door (page_alloc.c) ---- */

/* Try each zone that @gfp allows, nearest first (zonelist.c). */
struct page *alloc_from_zonelist(struct memory *mem, gfp_t gfp, unsigned order);
/*
 * Of an allocation that may sleep and found nothing: wait for reclaim, compaction, a drain, standby memory or
 * the OOM killer, until there is a page; NULL: none of them helps (alloc_wait.c).
 */
struct page *alloc_wait(struct memory *mem, gfp_t gfp, unsigned order) EXCLUDES(zone_class);
/* Report and count a free of @page that cannot be; -EINVAL. */
int bad_free(struct memory *mem, const struct page *page, unsigned order, const char *why);
struct page *alloc_slow(struct memory *mem, gfp_t gfp, unsigned order) EXCLUDES(zone_class);
/* Zero a block, which is returned; outside any interrupt-off section. */
struct page *zero_block(const struct memory *mem, struct page *page, unsigned order);
int free_slow(struct memory *mem, struct page *page, unsigned order) EXCLUDES(zone_class);

/* True if [start, start + nr) is a non-empty, aligned, non-wrapping range inside @mem. */
static inline bool range_ok(const struct memory *mem, pfn_t start, unsigned long nr)
{
	return nr > 0 && !(start & (PAGEBLOCK_PAGES - 1)) && !(nr & (PAGEBLOCK_PAGES - 1)) &&
	    start >= mem->start_pfn && start < mem->end_pfn && nr <= mem->end_pfn - start;
}
/* As above, and all pageblocks are of one zone and no HOLE: 0 and the zone, or -EINVAL and why. */
int range_zone(struct memory *mem, pfn_t start, unsigned long nr, struct zone **zone,
    struct mm_fail *fail);

#include "mm/reclaim.h"

#endif
