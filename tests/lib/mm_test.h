/* SPDX-License-Identifier: MIT */
/*
 * mm_test.h: helpers of the suites of the memory manager: checks, functions that need a lock, piles
 * of blocks, blocks taken straight from the buddy, fingerprints to compare, and memories of several
 * nodes built by hand.
 */
#ifndef QUARRY_TESTS_MM_TEST_H
#define QUARRY_TESTS_MM_TEST_H

#include "tests/lib/mm_priv.h"
#include <quarry/ktest.h>
#include <quarry/memory_init.h>
#include <quarry/string.h>

/* Expect check_memory to find nothing in @mem; if it does, the test fails with its message. */
void expect_sound(struct ktest *t, struct memory *mem);
/*
 * As expect_sound, for a memory that no other CPU uses meanwhile, so no CPU has to stop. For tests
 * that check hundreds of times: a stop takes many milliseconds where CPUs are threads that share a
 * core.
 */
void expect_sound_unshared(struct ktest *t, struct memory *mem);
/* zone_set_limits, under hotplug.  Context: thread, may sleep. */
void set_limits(struct zone *zone, unsigned long leaving);
/* buddy_has, under the zone lock. */
bool has_free(struct zone *zone, unsigned order, enum migratetype type);
/*
 * Until locks_told_end, @hook is called before this CPU takes a lock of @rank: a lock of that rank
 * is held meanwhile, so the lock checker reports each.  Interrupts are off; one test at a time.
 */
void locks_told_begin(
    enum lock_rank rank, void (*hook)(const char *what, const struct spinlock *lock));
void locks_told_end(void);
/* How often @fn takes the zone's lock.  Interrupts are off. */
unsigned zone_locks_of(const struct zone *zone, void (*fn)(void *), void *arg);
/* ktest_start on each CPU from @first on; ktest_join on each; both. */
void start_from(unsigned first, void (*fn)(void *), void *arg);
void join_from(unsigned first);
void run_from(unsigned first, void (*fn)(void *), void *arg);

/* Pageblocks of a zone that is large enough for every CPU to cache order 0 of every type. */
#define CACHED_BLOCKS ((unsigned)MAX(2UL, 512 / PAGEBLOCK_PAGES))

/* Allocated blocks, chained through page->owner: a pile needs no other memory. */
struct pile {
	struct page *top;
	unsigned long nr;
};
void pile_push(struct pile *p, struct page *page);
struct page *pile_pop(struct pile *p);
/* Allocate up to @max blocks onto the pile; fewer if no more can be had. Returns their number. */
unsigned long pile_alloc(
    struct memory *mem, struct pile *p, gfp_t gfp, unsigned order, unsigned long max);
/* Allocate every page that movable requests can have, past all watermarks. */
void pile_alloc_last(struct memory *mem, struct pile *p);
/* Free all blocks of the pile; returns the number of frees that were refused. */
unsigned long pile_free(struct memory *mem, struct pile *p);
#define ALL_THERE_IS (~0UL)

/* Disable the CPU caches of all zones of @mem: allocations would take cached pages first. */
void all_caches_off(struct ktest *t, struct memory *mem);
/* Set whether bad frees of the kernel's own memory panic; returns the old setting. */
bool set_badpage_panic(bool on);
/* Zone NORMAL of a new memory that has no other pageblocks; NULL: the test has failed. */
struct zone *normal_zone(struct ktest *t, unsigned blocks);
/* A block straight from the buddy, state ALLOC, past the watermarks; NULL if there is none. */
struct page *take_block(struct zone *zone, unsigned order, enum migratetype type);
/* As take_block, but from the lists of other types. */
struct page *take_fallback(struct zone *zone, unsigned order, enum migratetype type);
/* Free a block straight to the buddy. */
void give_block(struct zone *zone, struct page *page);
/* The free page @pfn, as take_block. */
struct page *hold_pfn(struct memory *mem, pfn_t pfn);
/* Take @nr single pages of @zone, of any type; false if fewer are free.  Give all of them back. */
bool take_pages(struct zone *zone, unsigned long nr, struct pile *pile);
void give_pages(struct zone *zone, struct pile *pile);
/*
 * The pages that an offline must leave free: every zone's high watermark, and what zones reserve
 * for the kernel.
 */
unsigned long kept_free(struct memory *mem);
/* Set a pageblock's type, as a fallback would. */
void set_type(struct zone *zone, pfn_t block, enum migratetype type);
/* Isolate a pageblock, or undo it. */
void set_isolated(struct zone *zone, pfn_t block, bool on);

/*
 * The state that a failed call must not change: each page, each pageblock, lists, counts, caches,
 * and all events but BAD_FREE. Exact while no CPU uses the memory.
 */
struct fingerprint {
	u64 hash;
	unsigned long free, managed, cached;
};
struct fingerprint take_fingerprint(struct memory *mem);
bool fingerprint_same(const struct fingerprint *a, const struct fingerprint *b);

/* A zone of a memory that is built by hand, in the arena that ktest_memory(t, ...) opened. */
struct zone_spec {
	u8 node, kind;
	u16 blocks;
};
/* Add these zones to @mem, one after the other, all free.  Returns 0, or an error. */
int add_zones(struct memory *mem, const struct zone_spec *specs, unsigned nr);
/*
 * Fill in @cfg with arrays for @blocks pageblocks from pfn @start on, in t->mem's arena. False: the
 * test has failed.
 */
bool bare_config(struct ktest *t, struct memory_config *cfg, pfn_t start, unsigned blocks);
/* A memory of @blocks pageblocks from pfn @start on, without zones.  NULL: the test has failed. */
struct memory *bare_memory(
    struct ktest *t, pfn_t start, unsigned blocks, unsigned nr_nodes, const u8 *distance);
/* Zone NORMAL, from pfn 0 on, of a new memory that has no RAM yet.  NULL: the test has failed. */
struct zone *bare_zone(struct ktest *t, unsigned blocks);
/*
 * Build a memory of these zones, one after the other, all free, caches on. NULL: the test has
 * failed.
 */
struct memory *build_memory(struct ktest *t, unsigned nr_nodes, const u8 *distance,
    const struct zone_spec *specs, unsigned nr);
/*
 * Make @mem ready and start it, unless setting it up has returned an error, @err. Returns @mem.
 * NULL: a step failed, and so has the test.
 */
struct memory *begin_memory(struct ktest *t, struct memory *mem, int err);
/* Check @mem, and stop its threads. */
void drop_memory(struct ktest *t, struct memory *mem);

/* ---- planted damage ---- */

/* check_memory fails, and its message starts with @name. */
static inline void expect_said(struct ktest *t, struct memory *mem, const char *name, int line)
{
	struct mm_violation v = {.what = NULL};
	int err = check_memory(mem, &v);

	if (err != -EUCLEAN || !v.what || strncmp(v.what, name, strlen(name)) != 0)
		ktest_fail(t, __FILE__, line, "expected \"%s\", got %d %s", name, err,
		    v.what ? v.what : "nothing");
}

/* Store @value in @place, expect the damage to be found as @name, and restore the old value. */
#define PLANT(t, mem, place, value, name)                                                          \
	do {                                                                                       \
		__typeof__(place) saved_ = (place);                                                \
		(place) = (value);                                                                 \
		expect_said((t), (mem), (name), __LINE__);                                         \
		(place) = saved_;                                                                  \
	} while (0)

#endif
