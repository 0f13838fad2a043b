/* SPDX-License-Identifier: MIT */
/*
 * mm_help.h: helpers of the suites of caches, isolation and offlining: work on a chosen CPU, using
 * a zone up, and a census, by which two states of a memory can be compared.
 */
#ifndef QUARRY_TESTS_MM_HELP_H
#define QUARRY_TESTS_MM_HELP_H

#include "tests/lib/mm_test.h"
#include <quarry/memory_hotplug.h>
#include <quarry/string.h>
#include <quarry/isolation.h>

#define TEST_MAX_CPUS   8
#define TEST_MAX_BLOCKS 72
/*
 * Pageblocks of a zone so large that each of 8 CPUs may cache a few order-0 pages, for any
 * PAGEBLOCK_ORDER.
 */
#define TEST_BLOCKS (PAGEBLOCK_ORDER >= 9 ? 8u : 64u)

struct zone *test_zone(struct memory *mem, enum zone_kind kind);
/* Blocks of one order and type that @cpu caches (cached), and that it may cache (may_cache). */
unsigned cached(const struct zone *zone, unsigned cpu, unsigned order, unsigned type);
/* Block number @i from below of CPU @cpu's stack of movable pages of order 0; NULL: none. */
const struct page *movable_slot(const struct zone *zone, unsigned cpu, unsigned i);

unsigned may_cache(const struct zone *zone, unsigned cpu, unsigned order, unsigned type);
/* Sum of the capacities of @zone on @cpu. */
unsigned capacity_sum(const struct zone *zone, unsigned cpu);
/* Let every CPU cache up to @capacity blocks of one order and type, and no others of @zone. */
void set_plan(struct zone *zone, unsigned order, enum migratetype type, u16 capacity);

void restore_plan(struct zone *zone);
/* The state of the block that @page lies in; exact while no other CPU uses the memory. */
enum page_state state_of(const struct memory *mem, const struct page *page);

/* ---- work on a chosen CPU ---- */

struct page_job {
	struct memory *mem;
	gfp_t gfp;
	unsigned order, nr, done;
	struct page **pages;
};

void job_drain(void *arg);
/* Allocate, or free, @nr blocks on @cpu; returns the number of blocks allocated or freed. */
unsigned alloc_on(
    unsigned cpu, struct memory *mem, gfp_t gfp, unsigned order, unsigned nr, struct page **pages);

unsigned free_on(
    unsigned cpu, struct memory *mem, unsigned order, unsigned nr, struct page **pages);
/* Empty the caches of all CPUs, without drain_all_pages. */
void empty_all(struct memory *mem);

/* ---- using a zone up ---- */

struct hoard {
	struct memory *mem;
	gfp_t gfp;
	unsigned nr;
	struct page *page[TEST_MAX_BLOCKS * 2];
	u8 order[TEST_MAX_BLOCKS * 2];
};

/*
 * Allocate all pages down to the watermark, largest blocks first. This CPU's cache is empty
 * afterwards.
 */
void hoard_take(void *arg);

void hoard_give(void *arg);

/* ---- census ---- */

struct zone_census {
	u64 list[NR_ORDERS][NR_MIGRATETYPES]; /* the sum of the hashes of the listed blocks' pfns */
	u32 nr[NR_ORDERS][NR_MIGRATETYPES];
	unsigned long free, present, managed, isolated, high;
	u32 depth;
};
struct census {
	struct zone_census zone[NR_ZONE_KINDS];
	struct pageblock block[TEST_MAX_BLOCKS];
	struct pageblock_tree tree[TEST_MAX_BLOCKS];
	u64 words[TEST_MAX_BLOCKS]; /* by pageblock: a hash of the words of its pages */
	u32 pending;                /* isolations under way */
};

/*
 * Count everything while no CPU uses @mem. Empty the caches first: a cached page is not in the
 * buddy allocator.
 */
void census_take(struct census *c, struct memory *mem);
/* Expect all of @b, the later census, to be as in @a. */
void census_compare(struct ktest *t, const struct census *a, const struct census *b);
/* Turn the free pageblock at @pfn into one that has no memory. */
void make_hole(struct ktest *t, struct memory *mem, pfn_t pfn);

/* ---- isolation ---- */

static const enum iso_policy policies[] = {ISO_DISABLE, ISO_PRECISE};

/* Isolate a range as an offline does: with policy `disable' the caches of the zone are off. */
static inline int isolate(
    struct memory *mem, pfn_t start, unsigned long nr, enum iso_policy policy, struct mm_fail *fail)
{
	struct zone *zone = zone_of(mem, start);
	int err = 0;

	if (policy == ISO_DISABLE && zone_pcp_disable(zone))
		panic("isolation: caches cannot be disabled");
	err = start_isolate_page_range(mem, start, nr, policy, fail);
	if (err && policy == ISO_DISABLE)
		zone_pcp_enable(zone);
	return err;
}

static inline void unisolate(
    struct memory *mem, pfn_t start, unsigned long nr, enum iso_policy policy)
{
	undo_isolate_page_range(mem, start, nr);
	if (policy == ISO_DISABLE)
		zone_pcp_enable(zone_of(mem, start));
}

#endif
