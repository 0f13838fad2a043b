/* SPDX-License-Identifier: MIT */
/*
 * pager_help.h: what the suites of reclaim share: a pager that keeps the content of its pages in memory
 * of the kernel's own, and a scene in which only so many pages are left.
 */
#ifndef QUARRY_TESTS_PAGER_HELP_H
#define QUARRY_TESTS_PAGER_HELP_H

#include "mm/lru_scan.h"
#include "tests/lib/mm_test.h"
#include "tests/lib/vm_help.h"

#define STORE_PAGES 256

struct store {
	struct page *page[STORE_PAGES]; /* of the kernel's memory: what the pager has */
	unsigned nr;
	int answer;            /* a: of clean; not 0: it takes nothing */
	unsigned refuse_one_in; /* it refuses so often, by chance; 0: never */
	u64 chance;
	u32 gets, cleans;      /* a: calls */
	u32 cleaned[STORE_PAGES]; /* a: times that it took each */
	/* Called by clean before it takes the page. */
	void (*meanwhile)(struct store *s, struct vm_object *object, u32 index);
	void *arg;
};

static inline int store_get(struct vm_object *object, u32 index)
{
	struct store *s = object->pager;
	int err = vm_object_supply(object, index, page_address(s->page[index]));

	atomic_add(&s->gets, 1u);
	/* Another fault was faster; or it is being moved already. */
	return err == -EEXIST || err == -EAGAIN ? 0 : err;
}

static inline int store_clean(struct vm_object *object, u32 index, const void *data)
{
	struct store *s = object->pager;
	u32 nr = atomic_add(&s->cleans, 1u);

	if (READ_ONCE(s->meanwhile))
		READ_ONCE(s->meanwhile)(s, object, index);
	if (READ_ONCE(s->answer))
		return READ_ONCE(s->answer);
	if (s->refuse_one_in && nr % s->refuse_one_in == 0)
		return nr & 1 ? -EIO : -ETIMEDOUT;
	memcpy(page_address(s->page[index]), data, PAGE_SIZE);
	atomic_add(&s->cleaned[index], 1u);
	return 0;
}

static const struct vm_pager_ops store_ops = {.get = store_get, .clean = store_clean};

static inline void store_end(struct store *s)
{
	while (s->nr > 0)
		free_pages(s->page[--s->nr], 0);
}

/* False, and the test is skipped, if the kernel has not so much memory. */
static inline bool store_begin(struct ktest *t, struct store *s, unsigned nr)
{
	memset(s, 0, sizeof(*s));
	while (s->nr < nr && (s->page[s->nr] = alloc_pages(GFP_KERNEL | GFP_ZERO, 0)))
		s->nr++;
	if (s->nr == nr)
		return true;
	store_end(s);
	ktest_skip(t, "no memory for what the pager has");
	return false;
}

/* A scene whose object is the store's; its pager is asked by @ops. */
static inline bool store_scene_by(struct ktest *t, struct vm_scene *s, struct store *store, unsigned nr,
    const struct vm_pager_ops *ops)
{
	if (!store_begin(t, store, nr))
		return false;
	if (scene_begin_pager(t, s, nr, ops, store))
		return true;
	store_end(store);
	return false;
}

static inline bool store_scene(struct ktest *t, struct vm_scene *s, struct store *store, unsigned nr)
{
	return store_scene_by(t, s, store, nr, &store_ops);
}

/* REQUIRE, for a test that has begun: the suite's end() comes first. */
#define REQUIRE_OR_END(t, s, cond)                                                                 \
	do {                                                                                       \
		bool holds = (cond);                                                               \
                                                                                                   \
		if (!holds)                                                                        \
			end(t, s);                                                                 \
		REQUIRE(t, holds);                                                                 \
	} while (0)

static inline void store_scene_end(struct ktest *t, struct vm_scene *s, struct store *store)
{
	scene_end(t, s);
	store_end(store);
}

static inline struct zone *movable_zone(struct memory *mem)
{
	return &mem->zones[ZONE_MOVABLE];
}

/* ---- reclaim by hand ---- */

/* What a reclaim thread does in one pass; returns pages dropped. */
static inline unsigned long scan_once(struct memory *mem, struct lru_scan *scan)
{
	unsigned long left = zone_evictable(movable_zone(mem)), before = scan->freed;

	scan->zone = movable_zone(mem);
	scan->batch = RECLAIM_BATCH;
	for (; left > 0; left -= MIN(left, (unsigned long)RECLAIM_BATCH))
		reclaim_batch(scan);
	return scan->freed - before;
}

/* ---- memory that is short ---- */

/* Without caches every page that is freed counts as free, and is there for whoever asks. */
static inline void caches_off(struct ktest *t, struct memory *mem)
{
	EXPECT_EQ(t, zone_pcp_disable(&mem->zones[ZONE_NORMAL]), 0);
	EXPECT_EQ(t, zone_pcp_disable(movable_zone(mem)), 0);
}

static inline void caches_on(struct ktest *t, struct memory *mem)
{
	EXPECT_EQ(t, zone_pcp_enable(movable_zone(mem)), 0);
	EXPECT_EQ(t, zone_pcp_enable(&mem->zones[ZONE_NORMAL]), 0);
}

/*
 * Take everything that movable allocations get, but for @left pages above the mark below which they get
 * nothing; those are in zone MOVABLE, where pages of objects come from first.
 */
static inline void take_all_but(struct ktest *t, struct memory *mem, struct pile *pile, unsigned left)
{
	struct zone *zone = movable_zone(mem);
	struct pile other = {NULL, 0};
	struct page *page;

	pile_alloc(mem, pile, GFP_MOVABLE | GFP_NOWAIT, 0, ALL_THERE_IS);
	while (left > 0 && (page = pile_pop(pile))) {
		if (zone_of(mem, page_to_pfn_in(mem, page)) == zone) {
			EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
			left--;
		} else {
			pile_push(&other, page);
		}
	}
	while ((page = pile_pop(&other)))
		pile_push(pile, page);
	EXPECT_EQ(t, left, 0);
	drain_local_pages(mem, NULL);
}

/* Tables and slots for the scene are there: from now on only its pages are allocated. */
static inline void prepare_scene(struct ktest *t, struct vm_scene *s)
{
	unsigned i;

	for (i = 0; i < s->nr; i++) {
		EXPECT_EQ(t, object_prepare(s->object, i, 0), 0);
		EXPECT_EQ(t, pt_prepare(&s->space->pt, page_at(i)), 0);
	}
}

#endif
