/* SPDX-License-Identifier: MIT */
/*
 * alloc_oom.c: the OOM killer, as an allocation calls it.
 *
 * Owns:       mem->oom.
 * Locks:      mem->oom.lock, a mutex, around each decision; nothing is held while a victim is
 *             waited for.
 * Invariants: one victim at a time: while it is exiting no other is chosen.  Nobody is chosen
 *             unless, since the allocation last began anew, no victim has gone, reclaim has freed
 *             nothing and a complete drain has been made; nor before one more search under the
 *             lock, for pages that others have freed meanwhile.  Nor from a table that lacks a task
 *             which has given its memory back since then: the request looks for that first
 *             (memory_oom_outdated).
 * Tests:      play_oom, oom, oom_exact, oom_tasks, held, standby.
 */
#include "mm/alloc.h"
#include "mm/entry.h"
#include "mm/event.h"
#include "mm/zone.h"
#include <quarry/oom.h>
#include <quarry/sched_point.h>

/*
 * How long a victim has.  After that it is taken to wait for a thread that needs memory itself, and
 * another victim is chosen.
 */
#define GOING_NS 20000000000ULL

/*
 * How long no other is chosen after one has ended: a migrator, or reclaim, may have a reference
 * to an object of its; the pages in that come back when it is dropped.
 */
#define GRACE_NS 200000000ULL

/*
 * An allocation begins anew so often because others leave: what they give back may be of no use to
 * it.
 */
#define MAX_RUNS     8
#define HOWEVER_MANY (~0ULL)

void memory_set_oom(struct memory *mem,
    bool (*kill)(struct memory *mem, gfp_t gfp, unsigned order, void *arg), void *arg)
{
	mutex_lock(&mem->oom.lock);
	mem->oom.arg = arg;
	WRITE_ONCE(mem->oom.kill, kill);
	mutex_unlock(&mem->oom.lock);
}

void memory_oom_gone(struct memory *mem)
{
	WRITE_ONCE(mem->oom.gone_at, arch_clock_ns());
	atomic_add(&mem->oom.gone, 1);
	store_release(&mem->oom.going, 0u);
	wake_up(&mem->oom.wq);
}

void memory_oom_left(struct memory *mem)
{
	atomic_add(&mem->oom.left, 1);
}

/*
 * The decision is for a request whose drain, or whose last search, has missed what one gave back.
 * Under the lock.
 */
static bool begins_anew(const struct oom_state *oom)
{
	return oom->asked != HOWEVER_MANY && load_acquire(&oom->left) != oom->asked;
}

bool memory_oom_outdated(struct memory *mem)
{
	return load_acquire(&mem->oom.going) && begins_anew(&mem->oom);
}

void oom_begin(const struct memory *mem, struct oom_seen *seen)
{
	seen->gone = READ_ONCE(mem->oom.gone);
	seen->left = load_acquire(&mem->oom.left);
	seen->runs++;
}

/*
 * Would the end of a task help?  Not a request that is particular about where its memory lies; nor
 * a large block if there are pages enough, only not side by side.
 */
static bool death_helps(struct memory *mem, gfp_t gfp, unsigned order)
{
	const struct zone *zone;
	unsigned at;

	if (gfp & (GFP_NORETRY | GFP_THISNODE | GFP_DMA32) || !READ_ONCE(mem->oom.kill))
		return false;
	if (order == 0)
		return true;
	for_each_zone_of(memory_node(mem, arch_cpu_id()), gfp, zone, at) {
		if (zone_watermark_ok(zone, 0, gfp | GFP_WMARK_HIGH, zone->kind != gfp_kind(gfp)))
			return false;
	}
	return true;
}

/* A task is exiting, since now or before, or has ended; false: there is none.  Under the lock. */
static bool choose(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct oom_state *oom = &mem->oom;

	KASSERT(mutex_is_held(&oom->lock));
	if (load_acquire(&oom->going) || READ_ONCE(port_task()->reserve))
		return true;
	sched_point("oom.choose");
	/* Before the call: the victim may be gone when it returns. */
	WRITE_ONCE(oom->going, 1);
	if (!oom->kill || !oom->kill(mem, gfp, order, oom->arg)) {
		WRITE_ONCE(oom->going, 0);
		if (begins_anew(oom))
			return true;
		MM_EVENT(mem, OOM_NOBODY);
		return false;
	}
	MM_EVENT(mem, OOM_KILLS);
	return true;
}

/* Until another one may be chosen. */
static u64 grace_left(const struct oom_state *oom)
{
	u64 passed = arch_clock_ns() - READ_ONCE(oom->gone_at);

	return READ_ONCE(oom->gone) && passed < GRACE_NS ? GRACE_NS - passed : 0;
}

struct wait_gone {
	const struct oom_state *oom;
	u64 gone;
};

/* A victim does not wait for itself, or it would never exit. */
static bool has_gone(void *arg)
{
	const struct wait_gone *w = arg;

	return READ_ONCE(w->oom->gone) != w->gone || READ_ONCE(port_task()->reserve);
}

struct page *oom_alloc(
    struct memory *mem, gfp_t gfp, unsigned order, const struct oom_seen *seen, bool *again)
{
	struct wait_gone w = {&mem->oom, seen->gone};
	struct page *page;
	u64 grace;

	KASSERT(may_sleep() && seen->runs > 0);
	*again = false;
	if (!death_helps(mem, gfp, order))
		return NULL;
	mutex_lock(&mem->oom.lock);
	page = alloc_from_zonelist(mem, gfp, order);
	grace = grace_left(&mem->oom);
	mem->oom.asked = seen->runs < MAX_RUNS ? seen->left : HOWEVER_MANY;
	if (!page)
		*again = READ_ONCE(mem->oom.gone) != seen->gone || grace || choose(mem, gfp, order);
	mutex_unlock(&mem->oom.lock);
	if (*again && grace) {
		wait_until(&mem->oom.wq, has_gone, &w, grace);
		return NULL;
	}
	if (!*again || !load_acquire(&mem->oom.going) ||
	    wait_until(&mem->oom.wq, has_gone, &w, GOING_NS))
		return page;
	mutex_lock(&mem->oom.lock);
	if (READ_ONCE(mem->oom.gone) == seen->gone && load_acquire(&mem->oom.going)) {
		MM_EVENT(mem, OOM_STUCK);
		WRITE_ONCE(mem->oom.going, 0);
	}
	mutex_unlock(&mem->oom.lock);
	return NULL;
}
