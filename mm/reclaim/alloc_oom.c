/* SPDX-License-Identifier: MIT */
/*
 * alloc_oom.c: the OOM killer, as an allocation calls it.
 *
 * Owns:       mem->oom.
 * Locks:      mem->oom.lock, a mutex, around each decision; none while a victim is waited for.
 * Invariants: one victim at a time: while it is exiting no other is chosen.  Each victim has a
 *             number.  Only a thread that waits for this number may clear it after the time limit,
 *             and the end of one victim never counts as that of another.  A victim is chosen only
 *             if one more search under the lock finds no page and if, since the allocation last
 *             started over, no victim has exited, reclaim has freed nothing, and all caches were
 *             drained.  Nor is one chosen if a task has released its memory since then
 *             (memory_oom_outdated), nor while free pages that the request can use are being
 *             reported to the host: they come back (page_report.c).
 * Tests:      oom, step_reclaim, silence_oom, oom_tasks, held, standby.
 */
#include "mm/core/event.h"
#include "mm/core/zone.h"
#include "mm/reclaim/request.h"
#include <quarry/oom.h>
#include <quarry/sched_point.h>

/* The time that a victim has to exit; then it is assumed to be stuck, and another is chosen. */
u64 oom_wait_ns = 20000000000ULL;

/* For so long after a victim's exit no other is chosen: references to its objects may remain. */
#define GRACE_NS 200000000ULL

/* While free memory is being reported to the host, a request begins again after so long. */
#define REPORT_NS 200000000ULL

/* The most restarts because tasks have released memory: the request may be unable to use it. */
#define MAX_OTHERS   7
#define HOWEVER_MANY (~0ULL)

/* The last number given to a victim, of any memory. */
static u32 numbers; /* atomic */

void memory_set_oom(struct memory *mem,
    bool (*kill)(struct memory *mem, gfp_t gfp, unsigned order, void *arg), void *arg)
{
	mutex_lock(&mem->oom.lock);
	mem->oom.arg = arg;
	WRITE_ONCE(mem->oom.kill, kill);
	mutex_unlock(&mem->oom.lock);
}

void memory_set_boost(struct memory *mem, void (*boost)(bool on))
{
	mem->oom.boost = boost;
}

/* A victim that has timed out does not end the wait for a later one. */
void memory_oom_gone(struct memory *mem, u32 victim)
{
	WRITE_ONCE(mem->oom.gone_at, arch_clock_ns());
	atomic_add(&mem->oom.gone, 1);
	(void)atomic_cas(&mem->oom.going, victim, 0u);
	wake_up(&mem->oom.wq);
}

void memory_oom_left(struct memory *mem)
{
	atomic_add(&mem->oom.left, 1);
}

/* Has a task released memory that the request's last search may have missed?  Under the lock. */
static bool begins_anew(const struct oom_state *oom)
{
	return oom->asked != HOWEVER_MANY && READ_ONCE(oom->left) != oom->asked;
}

bool memory_oom_outdated(struct memory *mem)
{
	return READ_ONCE(mem->oom.going) && begins_anew(&mem->oom);
}

void oom_begin(struct request *q)
{
	q->gone = READ_ONCE(q->mem->oom.gone);
	q->left = load_acquire(&q->mem->oom.left);
}

/*
 * Would the end of a task help?  Not if the request may fail early, or accepts only one node or
 * only memory below 4 GiB; nor if it needs a larger block and enough pages are free, but not side
 * by side.
 */
static bool death_helps(const struct request *q)
{
	const struct zone *zone;
	unsigned at;

	if (q->gfp & (GFP_NORETRY | GFP_THISNODE | GFP_DMA32) || !READ_ONCE(q->mem->oom.kill))
		return false;
	if (q->order == 0)
		return true;
	for_each_zone_of(q->node, q->gfp, zone, at)
		if (zone_watermark_ok(
		        zone, 0, q->gfp | GFP_WMARK_HIGH, zone_reserved(zone, q->gfp)))
			return false;
	return true;
}

/* Choose a victim and end it.  Under the lock.  TRY_NEXT: a victim is exiting, or has exited. */
static enum outcome oom_choose(struct request *q)
{
	struct oom_state *oom = &q->mem->oom;

	KASSERT(mutex_is_held(&oom->lock));
	sched_point("oom.choose");
	oom->asked = q->others < MAX_OTHERS ? q->left : HOWEVER_MANY;
	/* Set before the call: the victim may have exited when the call returns. */
	WRITE_ONCE(oom->going, atomic_add(&numbers, 1u) % ~0u + 1);
	if (oom->kill && oom->kill(q->mem, q->gfp, q->order, oom->arg)) {
		MM_EVENT(q->mem, OOM_KILLS);
		return TRY_NEXT;
	}
	WRITE_ONCE(oom->going, 0);
	if (begins_anew(oom)) {
		q->others++;
		return TRY_ANEW;
	}
	MM_EVENT(q->mem, OOM_NOBODY);
	return TRY_NO_MORE;
}

/* The victim to wait for, and the time limit.  Victim 0: wait until another one may be chosen. */
struct victim_wait {
	const struct oom_state *oom;
	u32 victim;
	u64 ns;
};

static bool other_victim(const void *arg)
{
	const struct victim_wait *p = arg;

	return load_acquire(&p->oom->going) != p->victim;
}

/* Are free pageblocks of the request's zones being reported to the host? */
static bool reports_for(const struct request *q)
{
	const struct zone *zone;

	for_each_request_zone(q, zone)
		if (load_acquire(&zone->nr_reporting))
			return true;
	return false;
}

/* Search for a page once more, then decide.  Under the lock.  TRY_NEXT: wait as @p says. */
static enum outcome decide(struct request *q, struct victim_wait *p)
{
	struct oom_state *oom = &q->mem->oom;
	u64 since = arch_clock_ns() - READ_ONCE(oom->gone_at);
	enum outcome then = TRY_NEXT;
	/*
	 * Read before the search, which finds the pages of a report that has ended by now, and
	 * after it, since a report may begin meanwhile, and others take the rest.
	 */
	bool reports = reports_for(q);

	sched_point("oom.search");
	q->page = alloc_from_zonelist(memory_node(q->mem, arch_cpu_id()), q->gfp, q->order);
	if (q->page)
		return GOT_IT;
	*p = (struct victim_wait){.oom = oom, .ns = GRACE_NS - MIN(since, GRACE_NS)};
	/* Read before `gone': a victim that exits between the two reads is counted in `gone'. */
	p->victim = load_acquire(&oom->going);
	if (READ_ONCE(oom->gone) != q->gone)
		return TRY_ANEW;
	if (!p->victim && (reports || reports_for(q))) {
		p->ns = REPORT_NS;
		return TRY_NEXT;
	}
	if (!p->victim && (!q->gone || !p->ns)) {
		then = oom_choose(q);
		p->victim = load_acquire(&oom->going);
	}
	if (p->victim)
		p->ns = READ_ONCE(oom_wait_ns);
	return then;
}

static void boost(const struct oom_state *oom, bool on)
{
	if (oom->boost)
		oom->boost(on);
}

/*
 * Take the lock.  The threads in line need no decision if memory comes, and the thread to which the
 * lock is handed may not run for long.  False: the request need not wait any more.
 */
static bool oom_lock(struct oom_state *oom, const struct request *q) TRY_ACQUIRE(true, oom->lock)
{
	while (!mutex_lock_unless(&oom->lock, NULL, READ_ONCE(reclaim_recheck_ns)))
		if (request_over(q))
			return false;
	return true;
}

enum outcome oom_alloc(struct request *q)
{
	struct oom_state *oom = &q->mem->oom;
	struct victim_wait p;
	enum outcome then;

	if (!death_helps(q))
		return TRY_NO_MORE;
	/* From here to the unlock, since the lock may be handed to a thread before it runs. */
	boost(oom, true);
	if (!oom_lock(oom, q)) {
		boost(oom, false);
		return TRY_ANEW;
	}
	then = decide(q, &p);
	mutex_unlock(&oom->lock);
	boost(oom, false);
	if (then == TRY_ANEW)
		request_renew(q); /* a task has ended, and its memory may be free now */
	if (then != TRY_NEXT)
		return then;
	then = request_wait(q, &oom->wq, other_victim, &p, p.ns);
	if (then != TRY_ANEW)
		request_renew(q);
	/* The victim is stuck: of the threads that wait for it, one clears its number. */
	if (then == TRY_NO_MORE && p.victim && atomic_cas(&oom->going, p.victim, 0u)) {
		MM_EVENT(q->mem, OOM_STUCK);
		wake_up(&oom->wq);
	}
	return TRY_ANEW;
}
