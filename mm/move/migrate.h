/* SPDX-License-Identifier: MIT */
/*
 * migrate.h: moving pages (migrate_lru.c, migrate_movable.c, migrate_kind.c, migrate.c), and
 * compaction (compact.c).
 */
#ifndef QUARRY_MM_MIGRATE_H
#define QUARRY_MM_MIGRATE_H

#include <quarry/mm.h>

/* Is a page in this state moved by its owner's struct movable_ops? */
static inline bool state_owned(enum page_state state)
{
	return state == PG_MOVABLE_OPS || state == PG_BALLOON;
}

/* Can a page in this state be moved, as long as it has an owner? */
static inline bool state_movable(enum page_state state)
{
	return state_owned(state) || state == PG_LRU;
}

/* Pages in a batch: they share a cross-call, and their arrays fit on a thread's stack. */
#define MIGRATE_BATCH 64

/*
 * A source of target pages.  The thread that moves pages calls its functions, with no lock held.
 * get() returns a block of 2^order pages that is the caller's alone (ALLOC, one reference), or
 * NULL; give_back() takes back a block that was not needed.
 */
struct migrate_target {
	const struct node *node; /* of the page that moves; set before each call of get, get_many */
	struct page *(*get)(struct migrate_target *to, struct memory *mem, unsigned order);
	/* Gets @nr pages of order 0; returns how many it got.  NULL: get() is called for each. */
	unsigned (*get_many)(
	    struct migrate_target *to, struct memory *mem, struct page **pages, unsigned nr);
	void (*give_back)(
	    struct migrate_target *to, struct memory *mem, struct page *page, unsigned order);
	/* The used part of a budget of walks (vm.h); beyond it: -EBUSY.  NULL: no limit. */
	u32 *walked;
};

static inline void target_near(
    struct migrate_target *to, struct memory *mem, const struct page *src)
{
	to->node = &mem->nodes[zone_of(mem, page_to_pfn_in(mem, src))->node];
}

/* Targets on the page's node, or on the nearest with free memory.  Each thread uses a copy. */
extern struct migrate_target migrate_anywhere;

/* Functions for pages of one kind, up to MIGRATE_BATCH at a time; err[] has each page's result. */
struct migrate_kind {
	void (*move)(struct memory *mem, struct page **pages, unsigned nr,
	    struct migrate_target *to, int *err);
	void (*putback)(struct memory *mem, struct page *page);
};
/* The function move of migrate_movable_kind (migrate_movable.c).  Context: thread, may sleep. */
void migrate_movable_batch(struct memory *mem, struct page **pages, unsigned nr,
    struct migrate_target *to, int *err) EXCLUDES(lru_class, zone_class);
extern const struct migrate_kind migrate_movable_kind;
extern const struct migrate_kind migrate_lru_kind;

struct migrate_stats {
	unsigned moved;     /* blocks */
	unsigned retries;   /* tries that found the page in use */
	unsigned at_try[4]; /* pages moved at the first, second, third and later tries */
	bool no_target;     /* there was no memory to move a page to */
};
/* Isolated pages, MIGRATE_BATCH at most, and the source of targets; @to NULL: migrate_anywhere. */
struct isolated_pages {
	struct migrate_target *to;
	/* pages of objects from the start up; pages of movable owners from the end down */
	struct page *lru[MIGRATE_BATCH];
	unsigned nr_movable, nr_lru;
};
/*
 * Isolate the page at @pfn, an object's or MOVABLE_OPS, and add it to @pages, which has space.
 * Returns 0; -EAGAIN nothing there can be moved just now; -EBUSY it is pinned or broken; otherwise
 * the owner's error.
 */
int isolate_page(struct memory *mem, pfn_t pfn, struct isolated_pages *pages);
/* As migrate_pages, for pages of both kinds; adds to *@stats. */
unsigned migrate_isolated(struct memory *mem, struct isolated_pages *pages, struct mm_fail *fail,
    struct migrate_stats *stats);
/* Put an isolated page back to its owner, or free it if the owner has released it. */
void putback_movable_page(struct memory *mem, struct page *page) EXCLUDES(lru_class, zone_class);

/* ---- compaction (compact.c) ---- */

/* Call compact_zone for each zone of a zonelist until a block is free.  Returns as compact_zone. */
int compact_zonelist(const struct node *node, gfp_t gfp, unsigned order)
    EXCLUDES(object_class, lru_class, zone_class);

#endif
