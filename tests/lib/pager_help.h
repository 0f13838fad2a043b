/* SPDX-License-Identifier: MIT */
/*
 * pager_help.h: helpers of the suites of reclaim: a pager that stores the content of its pages in
 * the kernel's own memory, and a scene in which only few free pages are left.
 */
#ifndef QUARRY_TESTS_PAGER_HELP_H
#define QUARRY_TESTS_PAGER_HELP_H

#include "mm/reclaim/reclaim.h"
#include "tests/lib/mm_test.h"
#include "tests/lib/vm_help.h"

#define STORE_PAGES 256

struct store {
	struct page *page[STORE_PAGES]; /* of the kernel's memory: the pager's store */
	unsigned nr;
	int answer;             /* atomic: the result of clean; not 0: the pager takes no page */
	unsigned refuse_one_in; /* the pager refuses one call of clean in this many; 0: none */
	u64 chance;
	u32 gets, cleans;         /* atomic: calls of get and of clean */
	u32 cleaned[STORE_PAGES]; /* atomic: times that the pager took each page */
	/* Called by clean before it takes the page. */
	void (*meanwhile)(struct store *s, struct vm_object *object, u32 index);
	void *arg;
};

int store_get(struct vm_object *object, u32 index);
void store_end(struct store *s);
/* A scene whose object has @store as its pager, called through @ops. */
bool store_scene_by(struct ktest *t, struct vm_scene *s, struct store *store, unsigned nr,
    const struct vm_pager_ops *ops);

bool store_scene(struct ktest *t, struct vm_scene *s, struct store *store, unsigned nr);

/* As REQUIRE, for a test that has begun: it calls the suite's end() before the test ends. */
#define REQUIRE_OR_END(t, cond)                                                                    \
	do {                                                                                       \
		bool holds = (cond);                                                               \
                                                                                                   \
		if (!holds)                                                                        \
			end(t);                                                                    \
		REQUIRE(t, holds);                                                                 \
	} while (0)

/* Supply all pages of the scene, unmapped, with @flags; from @store, or zeros if it is NULL. */
void supply_all(struct ktest *t, struct vm_scene *s, struct store *store, u32 flags);

void store_scene_end(struct ktest *t, struct vm_scene *s, struct store *store);
/*
 * store_scene with its space loaded on this CPU. The second function ends the scene and checks the
 * memory.
 */
bool store_scene_loaded(struct ktest *t, struct vm_scene *s, struct store *store, unsigned nr);
void store_scene_unload(struct ktest *t, struct vm_scene *s, struct store *store);

struct zone *movable_zone(struct memory *mem);
/* Allocate all pages of zone MOVABLE that may be had, and one page of the next zone: the top. */
void use_up_movable(struct memory *mem, struct pile *pile);
/* Let a run of zone MOVABLE go on until @nr more pages are free; zone_set_watermarks undoes it. */
void raise_high(struct memory *mem, unsigned nr);

/* ---- reclaim by hand ---- */

/*
 * One pass over zone MOVABLE, as the reclaim thread makes it; returns the number of pages dropped.
 */
unsigned long scan_once(struct memory *mem, struct lru_scan *scan);

/* ---- memory that is short ---- */

/* Disable the caches: then every freed page counts as free, and any CPU can allocate it. */
void caches_off(struct ktest *t, struct memory *mem);

void caches_on(struct ktest *t, struct memory *mem);
/*
 * Take all pages that movable allocations can get, except @left pages above the min watermark.
 * These @left pages are in zone MOVABLE, from which objects get their pages first.
 */
void take_all_but(struct ktest *t, struct memory *mem, struct pile *pile, unsigned left);
/* Allocate the tables and slots of the scene: from now on it allocates only its pages. */
void prepare_scene(struct ktest *t, struct vm_scene *s);
/* store_scene and prepare_scene; caches are off, and @hoard is empty. */
bool store_scene_short(
    struct ktest *t, struct vm_scene *s, struct store *store, unsigned nr, struct pile *hoard);
/* Stop the reclaim thread, free @hoard and enable the caches; before store_scene_end. */
void store_scene_relieve(struct ktest *t, struct vm_scene *s, struct pile *hoard);

#endif
