/* SPDX-License-Identifier: MIT */
/*
 * migrate.c: moving lists of isolated pages, in passes, until each has moved or been put back.
 * Pages of objects: lru.c isolates, migrate_lru.c moves them; migrate_movable.c does all others.
 *
 * Owns:       the pages on its lists, in state ISO_MIG, with one reference each.
 * Locks:      none of its own.
 * Invariants: each isolated page is either moved and released, or put back; never both.
 * Tests:      migrate, migrate_list, handle, held, offline_bounds, migrate_exact.
 */
#include "mm/core/event.h"
#include "mm/core/page.h"
#include "mm/move/migrate.h"
#include "mm/vm/lru.h"
#include <quarry/movable.h>

static enum mm_why migrate_why(int err)
{
	return err == -EBUSY    ? WHY_PINNED
	    : err == -EHWPOISON ? WHY_HWPOISON
	    : err == -ENOMEM    ? WHY_NO_TARGET
	                        : WHY_BUSY;
}

/* A list of pages of one kind to be moved; pages found in use are tried again. */
struct migrate_list {
	struct memory *mem;
	const struct migrate_kind *kind;
	struct page **pages;
	struct migrate_target *to;
	unsigned left, failed;
	struct mm_fail *fail;
	struct migrate_stats *stats;
	struct page *done[PUT_MANY]; /* moved or released; put_done drops their references */
	unsigned nr_done;
};

static void put_done(struct migrate_list *l)
{
	if (l->nr_done == 1)
		mem_put_page(l->mem, l->done[0]);
	else
		put_many(l->mem, l->done, l->nr_done);
	l->nr_done = 0;
}

/* Settle a page after try number @pass; true: it stays on the list. */
static bool settle(struct migrate_list *l, struct page *page, unsigned pass, int err)
{
	if (err == -EAGAIN && pass + 1 < MIGRATE_PASSES) {
		MM_EVENT(l->mem, MIGRATE_AGAIN);
		l->stats->retries++;
		return true;
	}
	if (err == 0 || err == -ENOENT) { /* -ENOENT: its owner has released the page */
		if (!err) {
			MM_EVENT(l->mem, MIGRATE_OK);
			l->stats->moved++;
			l->stats->at_try[MIN(pass, ARRAY_SIZE(l->stats->at_try) - 1)]++;
		}
		l->done[l->nr_done++] = page;
		if (l->nr_done == PUT_MANY)
			put_done(l);
	} else {
		MM_EVENT(l->mem, MIGRATE_FAIL);
		l->stats->no_target |= err == -ENOMEM;
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
		KASSERT(pass < MIGRATE_PASSES);
		for (from = 0; from < l->left; from += MIGRATE_BATCH) {
			unsigned nr = MIN(l->left - from, (unsigned)MIGRATE_BATCH);

			l->kind->move(l->mem, l->pages + from, nr, l->to, err);
			for (i = from; i < from + nr; i++)
				if (settle(l, l->pages[i], pass, err[i - from]))
					l->pages[again++] = l->pages[i];
			put_done(l);
		}
		l->left = again;
		if (again)
			thread_yield();
	}
	return l->failed;
}

unsigned migrate_pages(struct memory *mem, struct page **pages, unsigned nr, struct mm_fail *fail)
{
	struct migrate_target to = migrate_anywhere;
	struct migrate_stats stats = {0};
	struct migrate_list list = {
	    mem, &migrate_movable_kind, pages, &to, nr, 0, fail, &stats, {0}, 0};

	return migrate_list(&list);
}

int isolate_page(struct memory *mem, pfn_t pfn, struct isolated_pages *pages)
{
	struct page *page = pfn_to_page_in(mem, pfn);
	int err;

	KASSERT(pages->nr_lru + pages->nr_movable < MIGRATE_BATCH);
	err = isolate_lru_page(mem, pfn);
	if (!err) {
		pages->lru[pages->nr_lru++] = page;
	} else if (err == -EAGAIN) {
		err = isolate_movable_page(mem, pfn);
		if (!err)
			pages->lru[MIGRATE_BATCH - ++pages->nr_movable] = page;
	}
	return err;
}

unsigned migrate_isolated(struct memory *mem, struct isolated_pages *pages, struct mm_fail *fail,
    struct migrate_stats *stats)
{
	struct migrate_target anywhere = migrate_anywhere;
	struct migrate_target *to = pages->to ? pages->to : &anywhere;
	struct migrate_list list = {
	    mem, &migrate_lru_kind, pages->lru, to, pages->nr_lru, 0, fail, stats, {0}, 0};

	migrate_list(&list);
	/* If an object's page has failed, @fail keeps its reason. */
	list.kind = &migrate_movable_kind;
	list.left = pages->nr_movable;
	list.pages = &pages->lru[MIGRATE_BATCH - pages->nr_movable];
	return migrate_list(&list);
}
