/* SPDX-License-Identifier: MIT */
/*
 * alloc_wait.c: what an allocation that found nothing, and may sleep, waits for.
 *
 * Owns:       the order in which remedies are tried.
 * Locks:      none; it holds none while it waits.
 * Invariants: an allocation never makes a cross-call: what takes one is asked of the reclaim
 *             thread.
 * Tests:      play_alloc, reclaim, compact, oom.
 */
#include "mm/alloc.h"
#include "mm/entry.h"
#include "mm/event.h"
#include "mm/reclaim_ask.h"
#include <quarry/sched_point.h>

/*
 * A request that has found nothing, and what shall become of it when a remedy has brought no page.
 */
struct attempt {
	struct memory *mem;
	gfp_t gfp;
	unsigned order;
	struct oom_seen seen;
	enum { TRY_NEXT, BEGIN_ANEW, GIVE_UP } then;
};

static struct page *try_zones(const struct attempt *a)
{
	return alloc_from_zonelist(a->mem, a->gfp, a->order);
}

/*
 * What keeps an allocation from trying for ever to free pages for a block that does not come
 * together.
 */
#define RECLAIM_TURNS 16

/*
 * As long as it frees anything that the request can use; for a larger block a few times only: what
 * is freed need not lie together.  For one page there is no other bound: in each of its turns pages
 * that would do were freed, and other requests were served with them.
 */
static struct page *by_reclaim(struct attempt *a)
{
	struct page *page;
	unsigned turns = 0;
	bool freed;

	do {
		freed = reclaim_direct(a->mem, a->gfp, a->order);
		page = try_zones(a);
	} while (!page && freed && (a->order == 0 || ++turns < RECLAIM_TURNS));
	if (page || !READ_ONCE(port_task()->reserve))
		return page;
	/* Chosen to die meanwhile: no more waiting. */
	a->then = GIVE_UP;
	return alloc_from_zonelist(a->mem, a->gfp | GFP_ALL_RESERVE, a->order);
}

/* What a compaction has made others may take first: then once more, so often. */
#define COMPACT_TRIES 4

/* A larger block: the reclaim thread compacts, which takes cross-calls. */
static struct page *by_compaction(struct attempt *a)
{
	struct page *page = NULL;
	unsigned try;

	if (a->order == 0 || a->gfp & GFP_NORETRY)
		return NULL;
	for (try = 0; try < COMPACT_TRIES && !page; try++) {
		MM_EVENT(a->mem, ALLOC_COMPACT_WAIT);
		if (!reclaim_wait_compact(a->mem, a->gfp, a->order))
			break;
		page = try_zones(a);
	}
	return page;
}

static struct page *by_drain(struct attempt *a)
{
	MM_EVENT(a->mem, ALLOC_DRAIN_WAIT);
	sched_point("slow.drain_wait");
	return reclaim_wait_drain(a->mem) ? try_zones(a) : NULL;
}

/* Standby memory that another thread's lock keeps offline. */
static struct page *by_standby(struct attempt *a)
{
	int brought = a->gfp & GFP_NORETRY ? 0 : reclaim_wait_standby(a->mem, a->gfp, a->order);

	if (brought)
		a->then = brought > 0 ? BEGIN_ANEW : GIVE_UP;
	return NULL;
}

static struct page *by_oom(struct attempt *a)
{
	bool again;
	struct page *page = oom_alloc(a->mem, a->gfp, a->order, &a->seen, &again);

	a->then = again ? BEGIN_ANEW : GIVE_UP;
	return page;
}

/* In this order, until there is a page; the last one ends the turn. */
static struct page *(*const remedies[])(struct attempt *a) = {
    by_reclaim, by_compaction, by_drain, by_standby, by_oom};

struct page *alloc_wait(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct attempt a = {.mem = mem, .gfp = gfp, .order = order};
	struct page *page = NULL;
	unsigned i;

	KASSERT(may_sleep() && !(gfp & GFP_NOWAIT) && order <= MAX_ORDER);
	KASSERT(port_task()->in_alloc > 0);
	do {
		oom_begin(mem, &a.seen);
		a.then = TRY_NEXT;
		for (i = 0; !page && a.then == TRY_NEXT; i++) {
			KASSERT(i < ARRAY_SIZE(remedies));
			page = remedies[i](&a);
		}
	} while (!page && a.then == BEGIN_ANEW);
	return page;
}
