/* SPDX-License-Identifier: MIT */
/* pager_help.c: see pager_help.h. */
#include "tests/lib/pager_help.h"

int store_get(struct vm_object *object, u32 index)
{
	struct store *s = object->pager;
	int err = vm_object_supply(object, index, page_address(s->page[index]));

	atomic_add(&s->gets, 1u);
	/* Another fault has supplied the page already, or the page is being moved. */
	return err == -EEXIST || err == -EAGAIN ? 0 : err;
}

static int store_clean(struct vm_object *object, u32 index, const void *data, u64 limit_ns)
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

void store_end(struct store *s)
{
	while (s->nr > 0)
		free_pages(s->page[--s->nr], 0);
}

/* False, and the test is skipped: the kernel has too little memory for the store. */
static bool store_begin(struct ktest *t, struct store *s, unsigned nr)
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

bool store_scene_by(struct ktest *t, struct vm_scene *s, struct store *store, unsigned nr,
    const struct vm_pager_ops *ops)
{
	if (!store_begin(t, store, nr))
		return false;
	if (scene_begin_pager(t, s, nr, ops, store))
		return true;
	store_end(store);
	return false;
}

bool store_scene(struct ktest *t, struct vm_scene *s, struct store *store, unsigned nr)
{
	return store_scene_by(t, s, store, nr, &store_ops);
}

void supply_all(struct ktest *t, struct vm_scene *s, struct store *store, u32 flags)
{
	u32 i;

	for (i = 0; i < s->nr; i++) {
		const void *from = store ? page_address(store->page[i]) : NULL;

		EXPECT_EQ(t, vm_object_supply(s->object, i, from), 0);
		if (flags && page_in(s->object, i))
			page_set_flags(page_in(s->object, i), flags);
	}
}

void store_scene_end(struct ktest *t, struct vm_scene *s, struct store *store)
{
	scene_end(t, s);
	store_end(store);
}

bool store_scene_loaded(struct ktest *t, struct vm_scene *s, struct store *store, unsigned nr)
{
	if (!store_scene(t, s, store, nr))
		return false;
	soft_load_space(s->space);
	return true;
}

void store_scene_unload(struct ktest *t, struct vm_scene *s, struct store *store)
{
	soft_unload_space();
	expect_sound(t, s->mem);
	store_scene_end(t, s, store);
}

struct zone *movable_zone(struct memory *mem)
{
	return &mem->zones[ZONE_MOVABLE];
}

void use_up_movable(struct memory *mem, struct pile *pile)
{
	while (pile_alloc(mem, pile, GFP_MOVABLE | GFP_NOWAIT, 0, 1) &&
	    zone_of(mem, page_to_pfn_in(mem, pile->top)) == movable_zone(mem))
		;
}

void raise_high(struct memory *mem, unsigned nr)
{
	unsigned long *mark = &movable_zone(mem)->wmark[WMARK_HIGH];

	WRITE_ONCE(*mark, *mark + nr);
}

/* ---- reclaim by hand ---- */

unsigned long scan_once(struct memory *mem, struct lru_scan *scan)
{
	unsigned long left = zone_evictable(movable_zone(mem)), before = scan->freed;

	scan->zone = movable_zone(mem);
	scan->batch = RECLAIM_BATCH;
	for (; left > 0; left -= MIN(left, (unsigned long)RECLAIM_BATCH))
		reclaim_batch(scan);
	return scan->freed - before;
}

/* ---- memory that is short ---- */

void caches_off(struct ktest *t, struct memory *mem)
{
	EXPECT_EQ(t, zone_pcp_disable(&mem->zones[ZONE_NORMAL]), 0);
	EXPECT_EQ(t, zone_pcp_disable(movable_zone(mem)), 0);
}

void caches_on(struct ktest *t, struct memory *mem)
{
	EXPECT_EQ(t, zone_pcp_enable(movable_zone(mem)), 0);
	EXPECT_EQ(t, zone_pcp_enable(&mem->zones[ZONE_NORMAL]), 0);
}

void take_all_but(struct ktest *t, struct memory *mem, struct pile *pile, unsigned left)
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

void prepare_scene(struct ktest *t, struct vm_scene *s)
{
	unsigned i;

	for (i = 0; i < s->nr; i++) {
		EXPECT_EQ(t, object_prepare(s->object, i, 0), 0);
		EXPECT_EQ(t, pt_prepare(&s->space->pt, page_at(i)), 0);
	}
}

bool store_scene_short(
    struct ktest *t, struct vm_scene *s, struct store *store, unsigned nr, struct pile *hoard)
{
	if (!store_scene(t, s, store, nr))
		return false;
	caches_off(t, s->mem);
	prepare_scene(t, s);
	*hoard = (struct pile){NULL, 0};
	return true;
}

void store_scene_relieve(struct ktest *t, struct vm_scene *s, struct pile *hoard)
{
	reclaim_stop(s->mem);
	expect_sound(t, s->mem);
	EXPECT_EQ(t, pile_free(s->mem, hoard), 0);
	caches_on(t, s->mem);
}
