/* SPDX-License-Identifier: MIT */
/*
 * points.h: included before the student's sources when the explorer grades them.  So the explorer
 * can preempt them at each lock, unlock, change of the interrupt state, cross-call, atomic
 * addition, store by WRITE_ONCE or store_release, and get or put of a page, even if the code names
 * no point there.
 */
#ifndef QUARRY_LABS_POINTS_H
#define QUARRY_LABS_POINTS_H

#include "mm/core/buddy.h"
#include "mm/core/drain.h"
#include "mm/core/event.h"
#include "mm/core/page.h"
#include "mm/core/pcp.h"
#include "mm/hotplug/scan.h"
#include "mm/core/zone.h"
#include <quarry/sched_point.h>
#include <quarry/smp.h>

/*
 * In one hold of a zone's lock one pageblock may be isolated, restored, scanned or offlined (the
 * explorer's memory has blocks_at_once 1).  lab_held[] has this pageblock + 1, by zone, under the
 * lock.  Any lock that is taken ends the hold as far as this check is concerned: it finds too
 * little, and never too much.
 */
static pfn_t lab_held[MAX_ZONES];
/*
 * In a hold a zone's counts change together with its pageblocks: what the counts have besides the
 * pages that are online, + 1, as the lock was taken, by zone.  0: not known.
 */
static unsigned long lab_besides[MAX_ZONES];

static inline void lab_new_hold(void)
{
	memset(lab_held, 0, sizeof(lab_held));
	memset(lab_besides, 0, sizeof(lab_besides));
}

static inline unsigned long lab_uncounted(const struct zone *zone)
{
	unsigned long pages = zone->present + zone->managed;
	pfn_t pfn;

	for_each_zone_block(zone, pfn)
		if (pageblock_state(pageblock_of(zone->mem, pfn)) == PB_ONLINE)
			pages -= 2 * PAGEBLOCK_PAGES;
	return pages + 1;
}

static inline void lab_begin_hold(const struct zone *zone)
{
	lab_new_hold();
	lab_besides[zone->id] = lab_uncounted(zone);
}

static inline void lab_end_hold(const struct zone *zone)
{
	if (lab_besides[zone->id] && lab_besides[zone->id] != lab_uncounted(zone))
		panic("a zone's counts and pageblocks change in different holds of its lock");
	lab_besides[zone->id] = 0;
}

static inline void lab_holds_block(const struct zone *zone, pfn_t pfn)
{
	pfn_t held = ALIGN_DOWN(pfn, PAGEBLOCK_PAGES) + 1;

	if (lab_held[zone->id] && lab_held[zone->id] != held)
		panic("the zone lock is held from one pageblock to the next");
	lab_held[zone->id] = held;
}

/* Until an isolation has looked at all caches these may hold pages of its pageblocks. */
static inline void lab_isolates(const struct zone *zone, pfn_t pfn, bool on)
{
	lab_holds_block(zone, pfn);
	if (on && !READ_ONCE(zone->mem->iso_pending))
		panic("a pageblock is isolated, and no isolation is pending");
}

#define pageblock_set_isolated(zone, pfn, on)                                                      \
	(lab_isolates((zone), (pfn), (on)), pageblock_set_isolated((zone), (pfn), (on)))
#define pageblock_set_offline(zone, pfn)                                                           \
	(lab_holds_block((zone), (pfn)), pageblock_set_offline((zone), (pfn)))
#define states_let_pass(zone, block)                                                               \
	(lab_holds_block((zone), (block)), states_let_pass((zone), (block)))
/* A drain takes the lock in an interrupt. */
static inline void lab_irqs_off(void)
{
	if (arch_irqs_enabled())
		panic("a zone's lock is taken with interrupts on");
}

#define zone_lock(zone)                                                                            \
	(lab_irqs_off(), race_point("lab.lock"), zone_lock(zone), lab_begin_hold(zone))
#define zone_unlock(zone) (lab_end_hold(zone), zone_unlock(zone), race_point("lab.unlocked"))
#define zone_lock_irqsave(zone)                                                                    \
	({                                                                                         \
		irqflags_t lab_flags = (race_point("lab.lock"), zone_lock_irqsave(zone));          \
		lab_begin_hold(zone);                                                              \
		lab_flags;                                                                         \
	})
#define zone_unlock_irqrestore(zone, flags)                                                        \
	(lab_end_hold(zone), zone_unlock_irqrestore((zone), (flags)), race_point("lab.unlocked"))
/* They may take a zone's lock, too. */
#define spin_lock(lock)   (race_point("lab.lock"), spin_lock(lock), lab_new_hold())
#define spin_unlock(lock) (spin_unlock(lock), race_point("lab.unlocked"))
#define spin_lock_irqsave(lock)                                                                    \
	({                                                                                         \
		irqflags_t lab_flags = (race_point("lab.lock"), spin_lock_irqsave(lock));          \
		lab_new_hold();                                                                    \
		lab_flags;                                                                         \
	})
#define spin_unlock_irqrestore(lock, flags)                                                        \
	(spin_unlock_irqrestore((lock), (flags)), race_point("lab.unlocked"))
#define lru_lock_irqsave(zone) (race_point("lab.lock"), lru_lock_irqsave(zone))
#define lru_unlock_irqrestore(zone, flags)                                                         \
	(lru_unlock_irqrestore((zone), (flags)), race_point("lab.unlocked"))
/*
 * The lock of the set of CPUs comes before the mutex of the caches: a CPU that goes offline waits
 * for those who have the one, and keeps out those who ask for it.
 */
static bool lab_has_caches[16];

static inline void lab_note(const struct mutex *m, bool held)
{
	if (!strcmp(m->l.wq.lock.name, "pcp_ctl"))
		lab_has_caches[arch_cpu_id() % 16] = held;
}

static inline void lab_cpus_first(const struct rwsem *sem)
{
	if (sem == &cpu_hotplug && lab_has_caches[arch_cpu_id() % 16])
		panic("the lock of the set of CPUs is taken behind the mutex of the caches");
	race_point("lab.lock");
}

/*
 * A cache belongs to the CPU that the thread runs on, and with interrupts on the thread may move.
 * By CPU: its number, by which the cache may have been found, was read then.
 */
static bool lab_may_move[16];

static inline void lab_find_cpu(bool irqs)
{
	lab_may_move[arch_cpu_id() % 16] = irqs;
}

static inline void lab_on_own_cpu(void)
{
	if (lab_may_move[arch_cpu_id() % 16])
		panic("a CPU's cache is looked up with interrupts on");
}

#define arch_cpu_id()           (lab_find_cpu(arch_irqs_enabled()), arch_cpu_id())
#define hot_pcp(mem)            (lab_find_cpu(false), hot_pcp(mem))
#define this_pcp_slow(mem)      (lab_find_cpu(false), this_pcp_slow(mem))
#define stack_set_top(s, top)   (lab_on_own_cpu(), stack_set_top((s), (top)))
#define mutex_lock(m)           (race_point("lab.lock"), mutex_lock(m), lab_note((m), true))
#define mutex_unlock(m)         (lab_note((m), false), mutex_unlock(m), race_point("lab.unlocked"))
#define rwsem_lock_shared(sem)  (lab_cpus_first(sem), rwsem_lock_shared(sem))
#define rounds_lock(mem)        (race_point("lab.lock"), rounds_lock(mem))
#define rounds_unlock(mem)      (rounds_unlock(mem), race_point("lab.unlocked"))
#define arch_irq_save()         (race_point("lab.irqs_on"), arch_irq_save())
#define arch_irq_restore(flags) (arch_irq_restore(flags), race_point("lab.irqs_back"))
/* Only for the student's own files: given sources that include a student's header define these. */
#ifdef LAB_OWN
/* stores.c: a count that was stored just now is not below the number of blocks still cached. */
void lab_count_stored(void);
#define buddy_give_batch(...) (lab_count_stored(), buddy_give_batch(__VA_ARGS__))
#define get_page(page)        (race_point("lab.get"), get_page(page))
/* The last put takes the lock of the page's zone. */
static inline void lab_may_put(const struct memory *mem)
{
	const struct zone *zone;

	for_each_zone(mem, zone)
		if (spin_is_held(&zone->lock))
			panic("a reference is dropped under the lock of a zone");
}

#define mem_put_page(mem, page)                                                                    \
	(lab_may_put(mem), race_point("lab.put"), mem_put_page((mem), (page)))
#endif
/*
 * Another CPU may store between a read and the store of a value computed from it.  stores.c puts a
 * point before other stores to some variables.
 */
extern const volatile void *lab_passed;
#define lab_store(name, to, value, how, order)                                                     \
	({                                                                                         \
		__typeof__(*(to)) lab_value = (value), *lab_to = (to);                             \
		race_point(name);                                                                  \
		lab_passed = lab_to;                                                               \
		how(lab_to, lab_value, order);                                                     \
	})
#undef atomic_add
#define atomic_add(p, v)                                                                           \
	NOTE_BARRIER(lab_store("lab.add", p, v, __atomic_fetch_add, __ATOMIC_SEQ_CST))
#undef atomic_sub
#define atomic_sub(p, v)                                                                           \
	NOTE_BARRIER(lab_store("lab.sub", p, v, __atomic_fetch_sub, __ATOMIC_SEQ_CST))
#undef WRITE_ONCE
#define WRITE_ONCE(x, v) lab_store("lab.store", &(x), v, ordered_store, __ATOMIC_RELAXED)
#undef store_release
#define store_release(p, v) lab_store("lab.store", p, v, ordered_store, __ATOMIC_RELEASE)
/* Until the barrier the stores before it may be pending, and the loads before it are done. */
#undef full_barrier
#define full_barrier()                                                                             \
	(race_point("lab.barrier"), NOTE_BARRIER(__atomic_thread_fence(__ATOMIC_SEQ_CST)))
#define smp_call_mask(mask, call, arg)                                                             \
	(race_point("lab.call"), smp_call_mask((mask), (call), (arg)))

#endif
