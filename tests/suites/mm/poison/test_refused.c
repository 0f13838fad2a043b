/* SPDX-License-Identifier: MIT */
/*
 * test_refused.c: the exact values that the assertions about references, regions and broken pages
 * refuse: one less or more is accepted. Hosted only.
 */
#include "tests/host/moment.h"
#include "tests/lib/vm_help.h"
#include <quarry/alloc_check.h>

/* @call is refused if @want is true, and accepted otherwise. */
#define REFUSED(t, call, want) EXPECT_EQ(t, PANICS(call), want)

#define PAGES 8

KTEST_SUITE(refused, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- references ---- */

/* With @nr references @call is refused if @want is true. */
#define AT_REFS(t, of, nr, call, want)                                                             \
	do {                                                                                       \
		u32 refs_ = (of)->refs;                                                            \
                                                                                                   \
		(of)->refs = (nr);                                                                 \
		REFUSED(t, call, want);                                                            \
		(of)->refs = refs_;                                                                \
	} while (0)

/* At 0 references none can be taken or put; the largest count is reached, but not exceeded. */
KTEST(a_reference_is_taken_from_another)
{
	static const struct {
		u32 refs;
		bool refused;
	} rows[] = {{0, true}, {1, false}, {2, false}, {~0u - 1, false}, {~0u, true}};
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, PAGES))
		return;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		AT_REFS(t, s.space, rows[i].refs, vm_space_get(s.space), rows[i].refused);
		AT_REFS(t, s.object, rows[i].refs, vm_object_get(s.object), rows[i].refused);
	}
	AT_REFS(t, s.space, 0, vm_space_put(s.space), true);
	AT_REFS(t, s.space, 2, vm_space_put(s.space), false);
	AT_REFS(t, s.object, 0, vm_object_put(s.object), true);
	AT_REFS(t, s.object, 2, vm_object_put(s.object), false);
	scene_end(t, &s);
}

/* ---- regions ---- */

static void cut_to(struct vm_region *r, uintptr_t end)
{
	uintptr_t whole = r->end;
	u32 below = r->below;

	rmap_cut(r, end);
	r->end = whole;
	r->below = below;
}

/* A cut must leave a part of the region, and cut a part off, in whole pages. */
KTEST(a_region_is_cut_inside)
{
	struct vm_region *r;
	struct vm_scene s;

	if (!scene_begin(t, &s, PAGES))
		return;
	r = NEED(t, region_find(s.space, page_at(0)));
	REFUSED(t, cut_to(r, page_at(4)), true); /* the lock is not held */
	spin_lock(&s.object->lock);
	REFUSED(t, cut_to(r, r->start), true);
	REFUSED(t, cut_to(r, page_at(1)), false);
	REFUSED(t, cut_to(r, page_at(1) + 16), true);
	REFUSED(t, cut_to(r, page_at(PAGES - 1)), false);
	REFUSED(t, cut_to(r, r->end), true);
	spin_unlock(&s.object->lock);
	scene_end(t, &s);
}

static void add_and_remove(struct vm_region *r)
{
	rmap_add(r);
	rmap_remove(r);
}

/* A region shows at least one page, and none behind its object's last. */
KTEST(a_region_shows_pages_of_its_object_only)
{
	struct vm_region r = {.start = page_at(PAGES)};
	struct vm_scene s;

	if (!scene_begin(t, &s, PAGES))
		return;
	r.space = s.space;
	r.object = s.object;
	r.offset = PAGES - 2;
	r.end = r.start + 2 * PAGE_SIZE;
	REFUSED(t, add_and_remove(&r), true); /* the lock is not held */
	spin_lock(&s.object->lock);
	REFUSED(t, add_and_remove(&r), false);
	r.offset++;
	REFUSED(t, add_and_remove(&r), true);
	r.end -= PAGE_SIZE;
	REFUSED(t, add_and_remove(&r), false);
	r.end = r.start;
	r.offset = 1;
	REFUSED(t, add_and_remove(&r), true);
	spin_unlock(&s.object->lock);
	scene_end(t, &s);
}

/* ---- broken pages ---- */

/* No page of an allocated block may be flagged, from the first to the last. */
KTEST(an_allocated_block_has_no_broken_page)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	unsigned order;
	struct page *page;
	pfn_t pfn, at;

	pfn = mem->end_pfn - PAGEBLOCK_PAGES;
	for (order = 0; order < MAX_ORDER; order++) {
		const pfn_t start = pfn + (1UL << order), end = start + (1UL << order),
		            places[] = {start - 1, start, start + (1UL << order) / 2, end - 1, end};
		unsigned i;

		for (i = 0; i < ARRAY_SIZE(places); i++) {
			at = places[i];
			if (at == pfn + PAGEBLOCK_PAGES)
				continue;
			page = pfn_to_page_in(mem, at);
			page->word |= PAGE_F_HWPOISON;
			REFUSED(t, poison_check_allocated(mem, pfn_to_page_in(mem, start), order),
			    at >= start && at < end);
			page->word &= ~PAGE_F_HWPOISON;
			REFUSED(t, poison_check_allocated(mem, pfn_to_page_in(mem, start), order),
			    false);
		}
	}
}
