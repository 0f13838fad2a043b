/* SPDX-License-Identifier: MIT */
/*
 * mov_help.h: helpers of the suites of compaction and contiguous ranges: an owner of single movable
 * pages that fills a memory and decides how each migration ends.
 */
#ifndef QUARRY_TESTS_MOV_HELP_H
#define QUARRY_TESTS_MOV_HELP_H

#include "tests/lib/mm_test.h"
#include "tests/lib/vm_help.h"
#include <quarry/movable.h>
#include <quarry/port.h>

struct zone *zone_in(struct memory *mem, enum zone_kind kind);
/* Empty the caches of @mem, which no other CPU uses. */
void empty_caches(struct memory *mem);

#define MOV_MANY   14
#define MOV_ENOUGH 40

/* An owner of single movable pages that decides how each migration ends; one test at a time. */
struct mov {
	struct movable_owner owner;
	struct memory *mem;
	struct page **pages; /* the owner's pages, by index */
	u32 nr;
	unsigned calls;      /* calls of migrate, counted if @refuse is not 0 */
	unsigned downwards;  /* migrations to a lower pageblock; there must be none */
	unsigned long least; /* fewest free pages of the zone during any migration */
	unsigned moved;      /* migrations that succeeded */
	/* Called at each migration that succeeds, before src is released; may be NULL. */
	void (*on_move)(struct page *dst, struct page *src);
	unsigned busy;           /* this many migrations fail first and must be tried again */
	u32 refuse;              /* one in this many migrations is refused; 0: none */
	void (*on_refuse)(void); /* called at each refusal; may be NULL */
	/*
	 * ns: the time of the last refusal; the shortest time between two refusals after MOV_MANY
	 * calls
	 */
	u64 last, least_gap;
	u32 enough;       /* atomic: not 0 after MOV_ENOUGH counted calls */
	struct pile rest; /* pages that the watermark keeps from allocations */
	struct ktest *t;
};
extern struct mov mov;

int mov_isolate(struct memory *mem, struct page *page);
int mov_migrate(
    struct movable_owner *owner, struct memory *mem, struct page *dst, struct page *src);
bool mov_putback(struct memory *mem, struct page *page);
extern const struct movable_ops mov_ops;
bool mov_begin(struct ktest *t, struct memory *mem);
/* mov_begin with one movable page; NULL: there is none. */
struct page *mov_begin_one(struct ktest *t, struct memory *mem);
/* A memory whose only zone is of @kind, all free, its caches off; NULL: the test has failed. */
struct zone *mov_only_zone(struct ktest *t, enum zone_kind kind, unsigned blocks);
/* Allocate movable pages: @max of them, or until no memory is left. */
void mov_fill(unsigned long max);
/* Allocate all pages of [@start, @end), free pages of one zone, as movable pages. */
void mov_fill_range(pfn_t start, pfn_t end);
/* Movable pages in every second place of [@start, @end), free pages of one zone. */
void mov_half_fill(pfn_t start, pfn_t end);

void mov_free(u32 index);
/* Be busy until the time @ns: the step of a migration lasts so long. */
void mov_wait_until(u64 ns);
/* Take every page, also pages below the watermarks, so that no migration finds a free target. */
void mov_take_rest(void);
/* Free every fifth page, so that no two free pages are neighbours. */
void mov_thin_out(void);
/* Pageblocks that are wholly free. */
unsigned free_blocks(struct zone *zone);

/* Pageblocks of a zone for mov_fragmented. */
#define MOV_ZONE (PAGEBLOCK_ORDER >= 9 ? 20u : 64u)

/* A zone of which four fifths are movable pages; none of its pageblocks is wholly free. */
struct zone *mov_fragmented(struct ktest *t, struct memory *mem, enum zone_kind kind);

void mov_end(struct ktest *t);
/* As mov_end, and expect that no migration went to a lower pageblock. */
void mov_end_upwards(struct ktest *t);

static inline void make_movable(
    struct memory *mem, struct page *page, struct movable_owner *owner, u32 index)
{
	if (!page_make_movable(mem, page, owner, index))
		panic("a page of a test broke");
}

#endif
