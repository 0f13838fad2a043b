/* SPDX-License-Identifier: MIT */
/*
 * poison.c: taking broken pages out of use: soft, when they still work; hard, when what is in them is damaged.
 *
 * Owns:       mem->poison and mem->machine_check.
 * Locks:      mem->poison from the first look to the last: meanwhile no memory is removed, so that a page stays its
 *             zone's; the zone lock for each look, and in the same hold what follows from it; the zone's caches
 *             are off all the while.
 * Invariants: the caches being off, a page that is free is in the buddy, and nothing hides: who frees takes the
 *             zone lock and reads the word again under it.  So "free, and taken" and "in use, and marked" are each
 *             one lock hold, and a page is never marked that somebody may have got meanwhile.
 *             Soft: the mark comes only when the page is out of use; a failure marks and counts nothing.
 * Tests:      poison, poison_states, poison_vm, poison_race, held, poison_tries, poison_exact,
 *             memory_span, poison_standby, trace_ring.
 */
#include "mm/poison_priv.h"

/* For one who moves the page, or frees it, to have done so: time, and turns of every thread (see evacuate). */
#define PATIENCE_NS    200000000ULL
#define PATIENCE_TURNS 5
/* The bound where turns do not come: nobody else can have a page retired meanwhile, and the caches are off. */
#define PATIENCE_MAX_NS 5000000000ULL
/* Looks at a page that was just allocated, until it counts as its owner's for good. */
#define ALLOC_LOOKS 3
#define PAUSE_NS    1000000ULL

struct request {
	struct memory *mem;
	struct zone *zone;
	pfn_t pfn, head;  /* head: of the block it was found in */
	bool hard;
	bool moving;      /* it was in a migrator's hands */
	bool last;        /* no more waiting */
	unsigned allocs;  /* times it was found just allocated */
	struct poison_result *res;
};

/* What comes of a look. */
enum verdict {
	SETTLED, /* request->err says how */
	AGAIN,   /* it is in somebody's hands, for a moment */
	TAKE,    /* it can be taken from who has it */
};

static enum verdict settled(struct request *r, enum poison_outcome outcome, int err, int *out)
{
	r->res->outcome = outcome;
	*out = err;
	return SETTLED;
}

/* ---- a look, under the zone lock ---- */

/* Its pageblock is offline: the mark waits for it to come back. */
static enum verdict judge_offline(struct request *r, int *err) REQUIRES_ZONE(r->zone)
{
	struct page *page = pfn_to_page_in(r->mem, r->pfn);
	struct pageblock *pb = pageblock_of(r->mem, r->pfn);

	if (!r->hard)
		return settled(r, POISON_FAILED, -ENXIO, err);
	r->res->standby = block_stands_by(r->zone, r->pfn);
	if (r->res->standby ? pb->nr_poisoned : page_word(page) & PAGE_F_HWPOISON)
		return settled(r, POISON_FAILED, -EHWPOISON, err);
	if (r->res->standby) {
		/* It has no descriptor yet that could be marked, but its pageblock has one. */
		WRITE_ONCE(pb->nr_poisoned, (u16)PAGEBLOCK_PAGES);
	} else {
		WRITE_ONCE(page->word, PAGE_F_HWPOISON);
		WRITE_ONCE(pb->nr_poisoned, (u16)(pb->nr_poisoned + 1));
	}
	return settled(r, POISON_RECOVERED, -ENXIO, err);
}

/* Is it an object's, from which it can be taken?  A look: who lets go of it, or takes it, has the lru lock. */
static bool object_has(const struct request *r, enum page_state state)
{
	return (state == PG_LRU || state == PG_OBJECT) && READ_ONCE(pfn_to_page_in(r->mem, r->head)->owner);
}

/* Has its object let go of it, so that nobody finds it any more, and only the last put is missing? */
static bool on_its_way_out(const struct request *r, enum page_state state)
{
	if (state == PG_FREEING)
		return true;
	return (state == PG_LRU || state == PG_OBJECT || state == PG_ISO_MIG) &&
	    !READ_ONCE(pfn_to_page_in(r->mem, r->head)->owner);
}

/* Retired: nothing is left to do.  Doomed: perhaps its owner can do without it by now, or has let go of it. */
static enum verdict judge_flagged(struct request *r, enum page_state state, int *err)
{
	if (state == PG_HWPOISON)
		return settled(r, POISON_FAILED, r->hard ? -EHWPOISON : 0, err);
	if (r->hard && object_has(r, state))
		return TAKE;
	if (r->hard && on_its_way_out(r, state))
		return settled(r, POISON_DELAYED, -EHWPOISON, err);
	return settled(r, POISON_FAILED, r->hard ? -EHWPOISON : -EBUSY, err);
}

/* Whoever has it cannot do without it. */
static enum verdict judge_stays(struct request *r, int *err) REQUIRES_ZONE(r->zone)
{
	if (!r->hard)
		return settled(r, POISON_FAILED, -EBUSY, err);
	poison_doom(r->zone, r->head, r->pfn);
	return settled(r, POISON_IGNORED, -EBUSY, err);
}

/* Nobody finds it any more; who still has it frees it. */
static enum verdict judge_leaves(struct request *r, int *err) REQUIRES_ZONE(r->zone)
{
	poison_doom(r->zone, r->head, r->pfn);
	return settled(r, POISON_DELAYED, 0, err);
}

/* An object's page, or one that its object has let go of, and somebody who pins it has not. */
static enum verdict judge_object_page(struct request *r, enum page_state state, int *err) REQUIRES_ZONE(r->zone)
{
	if (r->hard)
		return object_has(r, state) ? TAKE : judge_leaves(r, err);
	return state == PG_LRU ? TAKE : judge_stays(r, err);
}

/* On its way to an owner who could let it move? */
static bool on_its_way(struct request *r)
{
	enum migratetype type = pageblock_type(pageblock_of(r->mem, r->pfn));

	return (type == MT_MOVABLE || type == MT_CMA) && ++r->allocs < ALLOC_LOOKS && !r->last;
}

/*
 * Who owns the page at this instant is certain where the state says that it is free, or being freed: these
 * change under the zone lock only, the caches being off.  Of pages in use it may be a moment old, and who
 * takes one looks again under its owner's lock.
 */
static enum verdict judge(struct request *r, int *err) REQUIRES_ZONE(r->zone)
{
	const struct page *page = pfn_to_page_in(r->mem, r->pfn);
	enum page_state state;

	r->head = page_head(r->mem, r->pfn);
	PAGE_ASSERT(r->mem, page, r->head != PFN_NONE);
	state = word_state(page_word(pfn_to_page_in(r->mem, r->head)));
	r->res->state = state;
	if (page_word(page) & PAGE_F_HWPOISON)
		return judge_flagged(r, state, err);
	switch (state) {
	case PG_FREE:
		poison_take_free(r->zone, r->head, r->pfn);
		return settled(r, POISON_RECOVERED, 0, err);
	case PG_PCP: /* of a CPU that is coming or going: it has none in a moment */
		return AGAIN;
	case PG_FREEING:
		return r->hard ? judge_leaves(r, err) : AGAIN;
	case PG_ALLOC:
		return on_its_way(r) ? AGAIN : judge_stays(r, err);
	case PG_MOVABLE_OPS:
	case PG_BALLOON:
		/* Its owner has no way to be told that the content is gone. */
		return r->hard ? judge_stays(r, err) : TAKE;
	case PG_OBJECT:
	case PG_LRU:
		return judge_object_page(r, state, err);
	case PG_ISO_MIG:
		r->moving = true;
		return r->last ? judge_stays(r, err) : AGAIN;
	default:
		/* RESERVED, SLAB, PGTABLE. */
		return judge_stays(r, err);
	}
}

static enum verdict look(struct request *r, int *err)
{
	irqflags_t flags;
	enum verdict v;

	sched_point("mf.before_flag");
	flags = zone_lock_irqsave(r->zone);
	/* What stood by, and broke with all of its step, is a hole now. */
	if (!zone_owns_block(r->zone, r->pfn))
		v = settled(r, POISON_FAILED, -ENXIO, err);
	else if (pageblock_state(pageblock_of(r->mem, r->pfn)) == PB_ONLINE)
		v = judge(r, err);
	else
		v = judge_offline(r, err);
	zone_unlock_irqrestore(r->zone, flags);
	sched_point("mf.flagged");
	return v;
}

/* ---- taking it from who has it ---- */

/*
 * The references of a page that is taken softly, and who drops each:
 *
 *   reference     taken by                            dropped by
 *   each entry    the fault that made it              the unmapping step of the migration
 *   the slot's    who filled the slot                 handed to the migrator with the marker; gone with the freeze
 *   (MOVABLE_OPS: the owner's, dropped in ops->migrate)
 *   isolation     isolate_lru_page,                   nobody: it becomes the poison owner's, here, in one hold of
 *                 isolate_movable_page                the zone lock; so the page is never free in between
 *
 * We take no other: one more would make the freeze fail.  Where somebody still has one (a pin; an unmapping
 * whose shootdown is not over) the page is only marked, ours is dropped, and the last put retires it.
 */
static void retire(struct request *r)
{
	struct page *head = pfn_to_page_in(r->mem, r->head), *page = pfn_to_page_in(r->mem, r->pfn);
	irqflags_t flags;
	bool ours;

	sched_point("mf.retire");
	flags = zone_lock_irqsave(r->zone);
	ours = word_ref(page_word(head)) == 1;
	if (!(page_word(page) & PAGE_F_HWPOISON))
		poison_doom(r->zone, r->head, r->pfn);
	if (ours)
		poison_free_block(r->zone, r->head, word_order(page_word(head)));
	zone_unlock_irqrestore(r->zone, flags);
	r->res->outcome = ours ? POISON_RECOVERED : POISON_DELAYED;
	if (!ours)
		mem_put_page(r->mem, head);
	sched_point("mf.flagged");
}

/* Move what is in it elsewhere.  0; -EAGAIN it has gone to somebody else: look again; -EBUSY; -ENOMEM. */
static int take_softly(struct request *r)
{
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
	/* Freed since the look, and allocated again in other blocks: what we hold is not the page that is wanted. */
	if (r->head + (1UL << word_order(page_word(page))) <= r->pfn) {
		kind->putback(r->mem, page);
		return -EAGAIN;
	}
	for (pass = 0; pass < MIGRATE_PASSES && moved == -EAGAIN; pass++) {
		if (pass)
			thread_yield();
		kind->move(r->mem, &page, 1, &migrate_anywhere, &moved);
	}
	sched_point("mf.migrated");
	/* -ENOENT: its owner let go of it, so that there was nothing to move. */
	if (moved && moved != -ENOENT) {
		kind->putback(r->mem, page);
		return moved == -EAGAIN ? -EBUSY : moved;
	}
	retire(r);
	return 0;
}

static int take(struct request *r)
{
	int err;

	if (!r->hard)
		return take_softly(r);
	err = poison_take_object_page(r->mem, r->pfn, r->res);
	if (!err)
		retire(r);
	if (err != -EOVERFLOW)
		return err;
	/* It has as many references as there can be, and we have none: whoever drops the last one retires it. */
	err = poison_doom_object_page(r->zone, r->pfn, r->res);
	if (!err)
		r->res->outcome = word_state(page_word(pfn_to_page_in(r->mem, r->pfn))) == PG_HWPOISON ? POISON_RECOVERED
		                                                                              : POISON_DELAYED;
	return err;
}

/*
 * Look, and take, until it is settled.  The caches are off.  Who has the page in hand is waited for as evacuate
 * does: that he keeps it says something only if he could have gone on.
 */
static int settle(struct request *r)
{
	u64 began = deadline_from_now(0), counted = began, waited;
	unsigned turns = 0;
	int err = 0;

	for (;;) {
		enum verdict v = look(r, &err);

		if (v == SETTLED)
			return err;
		if (v == TAKE) {
			err = take(r);
			if (err != -EAGAIN)
				return err;
		}
		if (r->last)
			return -EBUSY;
		MM_EVENT(r->mem, POISON_WAIT);
		thread_sleep(PAUSE_NS);
		if (threads_had_turn(counted)) {
			counted = deadline_from_now(0);
			turns++;
		}
		waited = deadline_from_now(0) - began;
		r->last = (turns >= PATIENCE_TURNS && waited >= PATIENCE_NS) || waited >= PATIENCE_MAX_NS;
	}
}

static bool known(const struct memory *mem, pfn_t pfn)
{
	return pfn != PFN_NONE && pfn_valid_in(mem, pfn);
}

void poison_lock(struct memory *mem) NO_LOCK_ANALYSIS
{
	mutex_lock(&mem->poison);
}

void poison_unlock(struct memory *mem) NO_LOCK_ANALYSIS
{
	mutex_unlock(&mem->poison);
}

static int handle(struct request *r)
{
	int err;

	if (!may_sleep())
		return -EDEADLK;
	poison_lock(r->mem);
	sched_point("mf.enter");
	/* From here on no memory is removed: what is there stays, and of its zone. */
	r->zone = known(r->mem, r->pfn) ? zone_of(r->mem, r->pfn) : NULL;
	err = r->zone ? zone_pcp_disable(r->zone) : -ENXIO;
	if (!err) {
		err = settle(r);
		zone_pcp_enable(r->zone);
	}
	poison_unlock(r->mem);
	return err;
}

int mem_soft_offline_page(struct memory *mem, pfn_t pfn)
{
	struct poison_result res = {.outcome = POISON_FAILED};
	struct request r = {.mem = mem, .pfn = pfn, .res = &res};
	int err = handle(&r);

	mem_event_add(mem, err ? EV_SOFT_OFFLINE_FAIL : EV_SOFT_OFFLINE_OK, 1);
	return err;
}

int mem_memory_failure(struct memory *mem, pfn_t pfn, unsigned flags, struct poison_result *result)
{
	struct poison_result local = {.outcome = POISON_FAILED}, *res = result ? result : &local;
	struct request r = {.mem = mem, .pfn = pfn, .hard = true, .res = res};
	int err;

	*res = (struct poison_result){.outcome = POISON_FAILED};
	/* Before the locks: unpoison looks under them.  An address that is no memory says nothing about memory. */
	if (flags & FAILURE_MACHINE_CHECK && known(mem, pfn))
		WRITE_ONCE(mem->machine_check, true);
	err = handle(&r);
	if (res->outcome == POISON_RECOVERED) {
		MM_EVENT(mem, FAILURE_RECOVERED);
		/* Somebody was copying it: what he has may be damaged too. */
		if (r.moving && res->state == PG_FREE)
			MM_EVENT(mem, FAILURE_COPIED);
	} else if (res->outcome == POISON_DELAYED && !err) {
		MM_EVENT(mem, FAILURE_DELAYED);
	} else if (res->outcome == POISON_IGNORED) {
		MM_EVENT(mem, FAILURE_IGNORED);
	}
	return err;
}

/* ---- back ---- */

static int unpoison(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone)
{
	struct page *page = pfn_to_page_in(zone->mem, pfn);
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	/* Only now: the machine may have reported a page while we waited for the locks. */
	if (READ_ONCE(zone->mem->machine_check))
		return -EOPNOTSUPP;
	if (pageblock_state(pb) == PB_OFFLINE && block_stands_by(zone, pfn))
		return pb->nr_poisoned ? -EBUSY : -EINVAL;
	if (!(page_word(page) & PAGE_F_HWPOISON))
		return -EINVAL;
	if (pageblock_state(pb) == PB_OFFLINE) {
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
	if (known(mem, pfn)) {
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

/* ---- to look at ---- */

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

/* The first flagged page from @pfn on in its pageblock, which is worth a look; standby is flagged as a whole. */
static pfn_t first_in_block(struct memory *mem, pfn_t pfn)
{
	bool standby = pageblock_state(pageblock_of(mem, pfn)) == PB_OFFLINE && block_stands_by(zone_of(mem, pfn), pfn);

	return standby ? pfn : poison_first(mem, pfn, ALIGN_DOWN(pfn, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES);
}

/* Can there be a flagged page in its pageblock? */
static bool worth_a_look(struct memory *mem, pfn_t pfn)
{
	const struct pageblock *pb = pageblock_of(mem, pfn);

	return pageblock_state(pb) != PB_HOLE &&
	    (READ_ONCE(pb->nr_poisoned) ||
		(pageblock_state(pb) == PB_ONLINE && READ_ONCE(zone_of(mem, pfn)->nr_doomed)));
}

pfn_t mem_poisoned_next(struct memory *mem, pfn_t pfn)
{
	pfn_t end, found;

	for (pfn = MAX(pfn, mem->start_pfn); pfn < mem->end_pfn; pfn = end) {
		end = ALIGN_DOWN(pfn, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES;
		found = worth_a_look(mem, pfn) ? first_in_block(mem, pfn) : PFN_NONE;
		if (found != PFN_NONE)
			return found;
	}
	return PFN_NONE;
}
