/* SPDX-License-Identifier: MIT */
/*
 * poison.c: taking broken pages out of use: soft, when they still work; hard, when their content is
 * damaged.
 *
 * Owns:       mem->poison and mem->machine_check.
 * Locks:      mem->poison from the first check to the last: meanwhile no memory is removed, so a
 *             page stays in its zone; the zone lock for each check, and for the action that follows
 *             in the same hold.  The zone's caches are off at each check, except the first of a
 *             soft offline.
 * Invariants: while the caches are off, each free page is in the buddy allocator: a free takes the
 *             zone lock and reads the word again under it.  So "free, and taken" and "in use, and
 *             marked" are each one lock hold, and a page that may have been allocated meanwhile is
 *             never marked.  A soft offline marks a page only when it is out of use: on a free
 *             list, or held by the isolation; that works with caches on too.  If it fails, it marks
 *             and counts nothing.
 * Tests:      poison, poison_states, poison_vm, poison_object, poison_race, held,
 *             poison_exact, memory_span, poison_standby, trace_ring.
 */
#include "mm/core/buddy.h"
#include "mm/core/claim.h"
#include "mm/core/event.h"
#include "mm/core/page.h"
#include "mm/core/zone.h"
#include "mm/hotplug/isolate.h"
#include "mm/hotplug/offline.h"
#include "mm/poison/poison.h"
#include "mm/vm/lru.h"
#include "mm/vm/vm.h"
#include <quarry/movable.h>
#include <quarry/sched_point.h>

/* The wait must end even without turns: meanwhile no other page is retired, the caches are off. */
u64 poison_patience_ns = 5000000000ULL;
#define PAUSE_NS 1000000ULL
/* An owner that moves its page on just before each of so many takes, at the end, keeps it. */
#define LATE_TAKES 16

/* ---- taking the page from its user ---- */

/*
 * Move the page's content elsewhere, and retire the page.  Returns 0; -EAGAIN the page has another
 * owner now, so check again; -EBUSY; -ENOMEM.
 */
static int take_softly(struct poison_request *r)
{
	struct migrate_target to = migrate_anywhere;
	const struct migrate_kind *kind = &migrate_lru_kind;
	struct page *page = pfn_to_page_in(r->mem, r->head);
	int err = isolate_lru_page(r->mem, r->head), moved = -EAGAIN;
	unsigned pass;

	if (err == -EAGAIN) {
		kind = &migrate_movable_kind;
		err = isolate_movable_page(r->mem, r->head);
	}
	if (err)
		return err;
	sched_point("mf.isolated");
	/* Since the check the page may have been freed, and allocated again in another block. */
	if (r->head + (1UL << word_order(page_word(page))) <= r->pfn) {
		kind->putback(r->mem, page);
		return -EAGAIN;
	}
	for (pass = 0; pass < MIGRATE_PASSES && moved == -EAGAIN; pass++) {
		if (pass)
			thread_yield();
		kind->move(r->mem, &page, 1, &to, &moved);
	}
	sched_point("mf.migrated");
	/* -ENOENT: the owner has released the page, so there was nothing to move. */
	if (moved && moved != -ENOENT) {
		kind->putback(r->mem, page);
		return moved == -EAGAIN ? -EBUSY : moved;
	}
	poison_retire(r);
	return 0;
}

static int poison_take_page(struct poison_request *r)
{
	int err;

	if (!r->hard)
		return take_softly(r);
	err = poison_take_object_page(r->mem, r->pfn, r->res);
	if (!err)
		poison_retire(r);
	if (err != -EOVERFLOW)
		return err;
	/* No further reference to the page is possible, so its last put must retire it. */
	err = poison_doom_object_page(r->zone, r->pfn, r->res);
	if (!err)
		r->res->outcome =
		    word_state(page_word(pfn_to_page_in(r->mem, r->pfn))) == PG_HWPOISON
		    ? POISON_RECOVERED
		    : POISON_DELAYED;
	return err;
}

/* The answer if the flagged page's object has let go of it just before it could be taken. */
static int let_go(struct poison_result *res)
{
	if (res->outcome == POISON_FAILED)
		res->outcome = res->state == PG_HWPOISON ? POISON_RECOVERED : POISON_IGNORED;
	return res->outcome == POISON_IGNORED ? -EBUSY : 0;
}

/*
 * Check the page and take it, until the request is settled.  The caches are off.  As in evacuate, a
 * thread that holds the page counts as keeping it only after its turns.
 */
static int poison_settle(struct poison_request *r)
{
	u64 deadline = deadline_from_now(READ_ONCE(poison_patience_ns));
	unsigned late = 0;
	struct patience patience;
	bool tried = false;
	int err = 0;

	patience_begin(&patience);
	for (;;) {
		enum poison_verdict v = poison_judge_once(r, &err);

		if (v == SETTLED)
			return tried && err == -EHWPOISON ? let_go(r->res) : err;
		if (v == TAKE) {
			tried = true;
			err = poison_take_page(r);
			if (err != -EAGAIN)
				return err;
		}
		/* A broken page that moved on once more is judged again, and doomed. */
		if (r->last && (!r->hard || v != TAKE || ++late > LATE_TAKES))
			return -EBUSY;
		MM_EVENT(r->mem, POISON_WAIT);
		thread_sleep(PAUSE_NS);
		r->last = patience_over(&patience) || deadline_past(deadline);
	}
}

/*
 * The first try of a soft offline, with the caches on.  A free page is taken off its list in the
 * lock hold that found it there.  A page that was moved is held by the isolation's reference.  So
 * its flag is set before the last put, which reads the word in the compare-and-swap that drops the
 * reference, and a free through a cache cannot overlook the flag.  False: the page is cached, in
 * use, or in transit; with the caches off it may be found free.
 */
static bool settle_at_once(struct poison_request *r, int *err)
{
	enum poison_verdict v = poison_judge_once(r, err);

	r->allocs = 0;
	if (v == TAKE)
		*err = take_softly(r);
	return v == TAKE ? *err != -EAGAIN : v == SETTLED && !*err;
}

static int handle(struct poison_request *r)
{
	int err;

	if (!may_sleep())
		return -EDEADLK;
	poison_lock(r->mem);
	sched_point("mf.enter");
	r->zone = pfn_valid_in(r->mem, r->pfn) ? zone_of(r->mem, r->pfn) : NULL;
	err = r->zone ? 0 : -ENXIO;
	if (!err && (r->hard || !settle_at_once(r, &err))) {
		err = zone_pcp_disable(r->zone);
		if (!err) {
			err = poison_settle(r);
			zone_pcp_enable(r->zone);
		}
	}
	poison_unlock(r->mem);
	return err;
}

int mem_soft_offline_page(struct memory *mem, pfn_t pfn)
{
	struct poison_result res = {.outcome = POISON_FAILED};
	struct poison_request r = {.mem = mem, .pfn = pfn, .res = &res};
	int err = handle(&r);

	mem_event_add(mem, err ? EV_SOFT_OFFLINE_FAIL : EV_SOFT_OFFLINE_OK, 1);
	return err;
}

int mem_memory_failure(struct memory *mem, pfn_t pfn, unsigned flags, struct poison_result *result)
{
	struct poison_result local = {.outcome = POISON_FAILED}, *res = result ? result : &local;
	struct poison_request r = {.mem = mem, .pfn = pfn, .hard = true, .res = res};
	int err;

	*res = (struct poison_result){.outcome = POISON_FAILED};
	/*
	 * Set before the locks are taken: unpoison checks it under them.  A report about an address
	 * that is no memory does not count.
	 */
	if (flags & FAILURE_MACHINE_CHECK && pfn_valid_in(mem, pfn))
		WRITE_ONCE(mem->machine_check, true);
	err = handle(&r);
	/* A reference that is left may be of a thread that just unmaps or moves the page. */
	if (res->outcome == POISON_DELAYED)
		tlb_flush_pending(mem);
	/* A migrator was copying the page, and has released it: the copy may be damaged too. */
	if (r.moving && !err && (res->state == PG_FREE || res->state == PG_FREEING))
		MM_EVENT(mem, FAILURE_COPIED);
	if (res->outcome == POISON_RECOVERED)
		MM_EVENT(mem, FAILURE_RECOVERED);
	else if (res->outcome == POISON_DELAYED && !err)
		MM_EVENT(mem, FAILURE_DELAYED);
	else if (res->outcome == POISON_IGNORED)
		MM_EVENT(mem, FAILURE_IGNORED);
	return err;
}

/* ---- unpoison ---- */

static int unpoison(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone)
{
	struct page *page = pfn_to_page_in(zone->mem, pfn);
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	ASSERT_ZONE_LOCKED(zone);
	/* Checked under the lock: the machine may have reported a page while we waited for it. */
	if (READ_ONCE(zone->mem->machine_check))
		return -EOPNOTSUPP;
	/* Standby memory whose whole step was broken is a hole now. */
	if (!zone_owns_block(zone, pfn))
		return -ENXIO;
	if (pageblock_state(pb) == PB_OFFLINE && block_is_standby(zone, pfn))
		return pb->nr_poisoned ? -EBUSY : -EINVAL;
	if (!(page_word(page) & PAGE_F_HWPOISON))
		return -EINVAL;
	if (pageblock_state(pb) == PB_OFFLINE) {
		PAGE_ASSERT(zone->mem, page, pb->nr_poisoned > 0);
		WRITE_ONCE(page->word, 0);
		WRITE_ONCE(pb->nr_poisoned, (u16)(pb->nr_poisoned - 1));
		return 0;
	}
	if (word_state(page_word(page)) != PG_HWPOISON)
		return -EBUSY;
	poison_give_back(zone, pfn);
	return 0;
}

int mem_unpoison_page(struct memory *mem, pfn_t pfn)
{
	int err = -ENXIO;

	poison_lock(mem);
	sched_point("mf.unpoison");
	if (pfn_valid_in(mem, pfn)) {
		struct zone *zone = zone_of(mem, pfn);
		irqflags_t flags = zone_lock_irqsave(zone);

		err = unpoison(zone, pfn);
		zone_unlock_irqrestore(zone, flags);
	}
	poison_unlock(mem);
	if (!err)
		MM_EVENT(mem, UNPOISON_OK);
	return err;
}

/* ---- reading ---- */

struct poison_count mem_poisoned(const struct memory *mem)
{
	struct poison_count n = {0};
	unsigned i;
	pfn_t pfn;

	for (i = 0; i < mem->nr_nodes * NR_ZONE_KINDS; i++)
		n.doomed += READ_ONCE(mem->zones[i].nr_doomed);
	for (pfn = mem->start_pfn; pfn < mem->end_pfn; pfn += PAGEBLOCK_PAGES) {
		const struct pageblock *pb = pageblock_of(mem, pfn);

		if (pageblock_state(pb) == PB_ONLINE)
			n.retired += READ_ONCE(pb->nr_poisoned);
		else
			n.offline += READ_ONCE(pb->nr_poisoned);
	}
	return n;
}

pfn_t mem_poisoned_next(struct memory *mem, pfn_t pfn)
{
	for (pfn = MAX(pfn, mem->start_pfn); pfn < mem->end_pfn; pfn = block_range(pfn).end) {
		const struct pageblock *pb = pageblock_of(mem, pfn);
		enum pageblock_state state = pageblock_state(pb);
		pfn_t found = pfn;

		if (state == PB_HOLE ||
		    (!READ_ONCE(pb->nr_poisoned) &&
		        (state != PB_ONLINE || !READ_ONCE(zone_of(mem, pfn)->nr_doomed))))
			continue;
		/* Standby memory is flagged by whole pageblocks. */
		if (state != PB_OFFLINE || !block_is_standby(zone_of(mem, pfn), pfn))
			found = poison_first(mem, pfn, block_range(pfn).end);
		if (found != PFN_NONE)
			return found;
	}
	return PFN_NONE;
}
