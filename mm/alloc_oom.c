/* SPDX-License-Identifier: MIT */
/*
 * alloc_oom.c: the OOM killer, as an allocation calls it.
 *
 * Owns:       mem->oom.
 * Locks:      mem->oom.lock, a mutex, around each decision; nothing is held while a victim is
 *             waited for.
 * Invariants: one victim at a time: while it is exiting no other is chosen.  Each has a number:
 *             only who waits for it gives it up, and its end is no other's.  Nobody is chosen
 *             unless, since the allocation last began anew, no victim has gone, reclaim has freed
 *             nothing and a complete drain has been made; nor before one more search under the
 *             lock, for pages that others have freed meanwhile.  Nor from a table that lacks a task
 *             which has given its memory back since then: the request looks for that first
 *             (memory_oom_outdated).
 * Tests:      oom, oom_exact, silence_oom, oom_tasks, held, standby.
 */
#include "mm/alloc.h"
#include "mm/event.h"
#include "mm/request.h"
#include "mm/zone.h"
#include <quarry/oom.h>
#include <quarry/sched_point.h>

/*
 * How long a victim has.  After that it is taken to wait for a thread that needs memory itself, and
 * another victim is chosen.
 */
u64 oom_wait_ns = 20000000000ULL;

/*
 * How long no other is chosen after one has ended: a migrator, or reclaim, may have a reference
 * to an object of its; the pages in that come back when it is dropped.
 */
#define GRACE_NS 200000000ULL

/*
 * An allocation begins anew so often because others leave: what they give back may be of no use to
 * it.
 */
#define MAX_OTHERS   7
#define HOWEVER_MANY (~0ULL)

/* The number of no victim: no wait ends by it. */
#define NOBODY (~0ULL)

void memory_set_oom(struct memory *mem,
    bool (*kill)(struct memory *mem, gfp_t gfp, unsigned order, void *arg), void *arg)
{
	mutex_lock(&mem->oom.lock);
	mem->oom.arg = arg;
	WRITE_ONCE(mem->oom.kill, kill);
	mutex_unlock(&mem->oom.lock);
}

/* Nobody waits for @victim any more; false: nobody did. */
static bool victim_over(struct oom_state *oom, u64 victim)
{
	bool last = atomic_cas(&oom->over, victim - 1, victim);

	wake_up(&oom->wq);
	return last;
}

/* One that was given up does not end the wait for another. */
void memory_oom_gone(struct memory *mem, u64 victim)
{
	WRITE_ONCE(mem->oom.gone_at, arch_clock_ns());
	atomic_add(&mem->oom.gone, 1);
	(void)victim_over(&mem->oom, victim);
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
	return READ_ONCE(mem->oom.over) != READ_ONCE(mem->oom.chosen) && begins_anew(&mem->oom);
}

/*
 * Would the end of a task help?  Not a request that is particular about where its memory lies; nor
 * a large block if there are pages enough, only not side by side.
 */
static bool death_helps(const struct request *q)
{
	const struct zone *zone;
	unsigned at;

	if (q->gfp & (GFP_NORETRY | GFP_THISNODE | GFP_DMA32) || !READ_ONCE(q->mem->oom.kill))
		return false;
	if (q->order == 0)
		return true;
	for_each_zone_of(q->node, q->gfp, zone, at) {
		if (zone_watermark_ok(
		        zone, 0, q->gfp | GFP_WMARK_HIGH, zone->kind != gfp_kind(q->gfp)))
			return false;
	}
	return true;
}

/* Under the lock, when no victim goes.  TRY_NEXT: one does now, or has gone. */
static enum outcome choose(struct request *q)
{
	struct oom_state *oom = &q->mem->oom;

	sched_point("oom.choose");
	oom->asked = q->others < MAX_OTHERS ? q->left : HOWEVER_MANY;
	/* Before the call: the victim may be gone when it returns. */
	WRITE_ONCE(oom->chosen, oom->chosen + 1);
	if (oom->kill && oom->kill(q->mem, q->gfp, q->order, oom->arg)) {
		MM_EVENT(q->mem, OOM_KILLS);
		return TRY_NEXT;
	}
	WRITE_ONCE(oom->over, oom->chosen);
	if (begins_anew(oom)) {
		q->others++;
		return TRY_ANEW;
	}
	MM_EVENT(q->mem, OOM_NOBODY);
	return TRY_NO_MORE;
}

/* Under the lock.  TRY_NEXT: wait as the ticket says, at most *@ns. */
static enum outcome decide(struct request *q, u64 *ns)
{
	struct oom_state *oom = &q->mem->oom;
	u64 since = arch_clock_ns() - READ_ONCE(oom->gone_at);
	/* Before gone is read: a victim that is over has been counted. */
	bool goes = load_acquire(&oom->over) != oom->chosen;
	enum outcome then = TRY_NEXT;

	KASSERT(mutex_is_held(&oom->lock));
	q->page = alloc_from_zonelist(q->mem, q->gfp, q->order);
	if (q->page)
		return GOT_IT;
	if (READ_ONCE(oom->gone) != q->gone)
		return TRY_ANEW;
	q->ticket = (struct ticket){.done = &oom->over, .number = NOBODY};
	*ns = GRACE_NS - MIN(since, GRACE_NS);
	if (!goes && q->gone && *ns)
		return TRY_NEXT;
	if (!goes)
		then = choose(q);
	q->ticket.number = oom->chosen;
	*ns = READ_ONCE(oom_wait_ns);
	return then;
}

enum outcome oom_alloc(struct request *q)
{
	struct oom_state *oom = &q->mem->oom;
	enum outcome then;
	u64 ns = 0;

	if (!death_helps(q))
		return TRY_NO_MORE;
	mutex_lock(&oom->lock);
	then = decide(q, &ns);
	mutex_unlock(&oom->lock);
	if (then != TRY_NEXT)
		return then;
	then = request_wait(q, &oom->wq, ns);
	if (then != TRY_ANEW)
		request_renew(q);
	/* It is stuck: only who waits for this one gives it up, and of those one. */
	if (then == TRY_NO_MORE && victim_over(oom, q->ticket.number))
		MM_EVENT(q->mem, OOM_STUCK);
	return TRY_ANEW;
}
