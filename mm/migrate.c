/* SPDX-License-Identifier: MIT */
/*
 * migrate.c: taking movable pages from where they are found, moving them, and putting them back.
 * Objects' pages are isolated by lru.c and moved by migrate_lru.c; passes and results are here.
 *
 * Owns:       pages in state ISO_MIG, with one reference.
 * Locks:      the zone's lru lock for MOVABLE_OPS and BALLOON ↔ ISO_MIG and for page->owner of these.
 * Invariants: who isolated a page either moves it and releases it, or puts it back; the two never
 *             share a line.  An owner may let go of its page at any time: then whoever drops the last
 *             reference frees it.
 * Tests:      migrate, handle, held, offline_bounds, migrate_exact.
 */
#include "mm/vm_priv.h"

void page_make_movable(struct memory *mem, struct page *page, struct movable_owner *owner, u32 index)
{
	struct zone *zone = zone_of(mem, page_to_pfn_in(mem, page));
	irqflags_t flags = lru_lock_irqsave(zone);

	page->owner = owner;
	page->index = index;
	if (owner->ops->balloon)
		page_cas_state(page, PG_ALLOC, PG_BALLOON);
	else
		page_cas_state(page, PG_ALLOC, PG_MOVABLE_OPS);
	lru_unlock_irqrestore(zone, flags);
	trace_page(mem, TR_movable, page_to_pfn_in(mem, page), word_order(page_word(page)));
}

void page_release_movable(struct memory *mem, struct page *page)
{
	struct zone *zone = zone_of(mem, page_to_pfn_in(mem, page));
	irqflags_t flags = lru_lock_irqsave(zone);

	/*
	 * The state stays: with a migrator ISO_MIG, which putback and migrate find without an owner; without
	 * one MOVABLE_OPS or BALLOON, which nobody will isolate, until the last put a moment later.
	 */
	page->owner = NULL;
	lru_unlock_irqrestore(zone, flags);
	sched_point("own.released");
	mem_put_page(mem, page);
}

int isolate_movable_page(struct memory *mem, pfn_t pfn)
{
	struct page *page = pfn_to_page_in(mem, pfn);
	struct zone *zone = zone_of(mem, pfn);
	irqflags_t flags = lru_lock_irqsave(zone);
	enum page_state state = word_state(page_word(page));
	struct movable_owner *owner;
	int err = -EAGAIN;

	sched_point("lru.isolate");
	/* Entered and left under this lock only, so with it the page is a head, and its owner's. */
	if ((state == PG_MOVABLE_OPS || state == PG_BALLOON) && (owner = page->owner)) {
		/* A broken one is not copied. */
		err = READ_ONCE(page->pincount) || page_poisoned(page) ? -EBUSY : get_page(page);
		if (!err) {
			err = owner->ops->isolate(mem, page);
			if (err)
				mem_put_page(mem, page); /* not the last: the owner has its own */
			else if (state == PG_BALLOON)
				page_cas_state(page, PG_BALLOON, PG_ISO_MIG);
			else
				page_cas_state(page, PG_MOVABLE_OPS, PG_ISO_MIG);
			if (!err)
				trace_page(mem, TR_lru_take, pfn, word_order(page_word(page)));
		}
	}
	lru_unlock_irqrestore(zone, flags);
	return err;
}

/* The owner of an isolated page, kept alive until put_owner; NULL if it has let go. */
static struct movable_owner *get_owner(struct memory *mem, struct page *page)
{
	struct zone *zone = zone_of(mem, page_to_pfn_in(mem, page));
	irqflags_t flags = lru_lock_irqsave(zone);
	struct movable_owner *owner = page->owner;

	if (owner)
		atomic_add(&owner->users, 1u);
	lru_unlock_irqrestore(zone, flags);
	return owner;
}

static void put_owner(struct movable_owner *owner)
{
	atomic_sub(&owner->users, 1u);
}

/* Users only rise under the lru lock of a page that still names the owner, so 0 is final. */
void movable_owner_drain(struct movable_owner *owner)
{
	while (load_acquire(&owner->users))
		thread_yield();
}

void putback_movable_page(struct memory *mem, struct page *page)
{
	struct zone *zone = zone_of(mem, page_to_pfn_in(mem, page));
	irqflags_t flags = lru_lock_irqsave(zone);
	struct movable_owner *owner = page->owner;

	if (owner && owner->ops->putback(mem, page)) {
		if (owner->ops->balloon)
			page_cas_state(page, PG_ISO_MIG, PG_BALLOON);
		else
			page_cas_state(page, PG_ISO_MIG, PG_MOVABLE_OPS);
	}
	lru_unlock_irqrestore(zone, flags);
	mem_put_page(mem, page);
}

static struct page *get_anywhere(struct migrate_target *to, struct memory *mem, unsigned order)
{
	return mem_alloc_pages(mem, GFP_MOVABLE | GFP_NORETRY, order);
}

static void give_back_anywhere(
    struct migrate_target *to, struct memory *mem, struct page *page, unsigned order)
{
	mem_free_pages(mem, page, order);
}

struct migrate_target migrate_anywhere = {.get = get_anywhere, .give_back = give_back_anywhere};

/*
 * References to the source: the owner's (from its allocation; the owner drops it in ops->migrate when
 * dst has taken over, or in page_release_movable) and the isolation's (from isolate_movable_page;
 * dropped here on success, in putback on failure).  The last one frees the page, past every list.
 */
static int migrate_one(struct memory *mem, struct page *src, struct migrate_target *to)
{
	unsigned order = word_order(page_word(src));
	struct movable_owner *owner;
	struct page *dst;
	int err;

	sched_point("mig.begin");
	if (READ_ONCE(src->pincount))
		return -EBUSY;
	dst = to->get(to, mem, order);
	if (!dst)
		return -ENOMEM;
	owner = get_owner(mem, src);
	if (!owner) {
		to->give_back(to, mem, dst, order);
		return -ENOENT;
	}
	sched_point("mig.target");
	err = owner->ops->migrate(owner, mem, dst, src);
	sched_point("mig.done");
	put_owner(owner);
	if (!err)
		trace_page(mem, TR_moved, page_to_pfn_in(mem, src), order);
	if (err)
		to->give_back(to, mem, dst, order);
	return err;
}

static void migrate_movable_batch(struct memory *mem, struct page **pages, unsigned nr,
    struct migrate_target *to, int *err)
{
	unsigned i, none = NR_ORDERS; /* from this order on there is no memory to move to */

	for (i = 0; i < nr; i++) {
		unsigned order = word_order(page_word(pages[i]));

		err[i] = order >= none ? -ENOMEM : migrate_one(mem, pages[i], to);
		if (err[i] == -ENOMEM)
			none = MIN(none, order);
	}
}

const struct migrate_kind migrate_movable_kind = {
    .move = migrate_movable_batch,
    .putback = putback_movable_page,
};

static enum mm_why migrate_why(int err)
{
	return err == -EBUSY ? WHY_PINNED : err == -ENOMEM ? WHY_NO_TARGET : WHY_BUSY;
}

/* One list of pages of one kind; what somebody was using is tried again. */
struct migrate_list {
	struct memory *mem;
	const struct migrate_kind *kind;
	struct page **pages;
	struct migrate_target *to;
	unsigned left, failed;
	struct mm_fail *fail;
	struct migrate_stats *stats;
};

/* What became of a page at try number @pass; true: it stays on the list. */
static bool settle(struct migrate_list *l, struct page *page, unsigned pass, int err)
{
	if (err == -EAGAIN && pass + 1 < MIGRATE_PASSES) {
		MM_EVENT(l->mem, MIGRATE_AGAIN);
		l->stats->retries++;
		return true;
	}
	if (err == 0 || err == -ENOENT) {
		/* Or its owner let go of it: nothing was left to move. */
		if (!err) {
			MM_EVENT(l->mem, MIGRATE_OK);
			l->stats->moved++;
			l->stats->at_try[MIN(pass, ARRAY_SIZE(l->stats->at_try) - 1)]++;
		}
		mem_put_page(l->mem, page);
	} else {
		MM_EVENT(l->mem, MIGRATE_FAIL);
		if (l->failed++ == 0)
			mm_fail(l->fail, page_to_pfn_in(l->mem, page), migrate_why(err), err);
		l->kind->putback(l->mem, page);
	}
	return false;
}

static unsigned migrate_list(struct migrate_list *l)
{
	unsigned pass, from, i, again;
	int err[MIGRATE_BATCH];

	for (pass = 0; l->left > 0; pass++) { /* after MIGRATE_PASSES none is left */
		again = 0;
		for (from = 0; from < l->left; from += MIGRATE_BATCH) {
			unsigned nr = MIN(l->left - from, (unsigned)MIGRATE_BATCH);

			l->kind->move(l->mem, l->pages + from, nr, l->to, err);
			for (i = from; i < from + nr; i++) {
				if (settle(l, l->pages[i], pass, err[i - from]))
					l->pages[again++] = l->pages[i];
			}
		}
		l->left = again;
		if (again)
			thread_yield();
	}
	return l->failed;
}

unsigned migrate_pages(struct memory *mem, struct page **pages, unsigned nr, struct mm_fail *fail)
{
	struct migrate_stats stats = {0};
	struct migrate_list list = {mem, &migrate_movable_kind, pages, &migrate_anywhere, nr, 0, fail, &stats};

	return migrate_list(&list);
}

int isolate_page(struct memory *mem, pfn_t pfn, struct isolated_pages *pages)
{
	struct page *page = pfn_to_page_in(mem, pfn);
	int err = isolate_lru_page(mem, pfn);

	if (!err) {
		pages->lru[pages->nr_lru++] = page;
	} else if (err == -EAGAIN) {
		err = isolate_movable_page(mem, pfn);
		if (!err)
			pages->movable[pages->nr_movable++] = page;
	}
	return err;
}

unsigned migrate_isolated(struct memory *mem, struct isolated_pages *pages, struct mm_fail *fail,
    struct migrate_stats *stats)
{
	struct migrate_target *to = pages->to ? pages->to : &migrate_anywhere;
	struct migrate_list movable = {
	    mem, &migrate_movable_kind, pages->movable, to, pages->nr_movable, 0, fail, stats};
	struct migrate_list lru = {
	    mem, &migrate_lru_kind, pages->lru, to, pages->nr_lru, 0, fail, stats};
	unsigned failed = migrate_list(&lru);

	/* The first reason is the one that is told. */
	movable.failed = failed;
	return migrate_list(&movable);
}
