/* SPDX-License-Identifier: MIT */
/*
 * test_cma.c: areas of CMA pageblocks: which allocations borrow them, and that their users get
 * them back.
 */
#include "tests/lib/mov_help.h"

#define BLOCK(n)  ((pfn_t)(n) << PAGEBLOCK_ORDER)
#define ZONE_SIZE (PAGEBLOCK_ORDER >= 9 ? 8u : 64u)
#define AREA      (PAGEBLOCK_ORDER >= 9 ? 2u : 16u) /* pageblocks of the area */
#define FIRST     (PAGEBLOCK_ORDER >= 9 ? 3u : 16u) /* the area's first pageblock */

static struct cma cma;

static struct memory *with_area(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, ZONE_SIZE, 0);

	if (!mem)
		return NULL;
	if (cma_create(&cma, "test", mem, BLOCK(FIRST), BLOCK(AREA))) {
		ktest_fail(t, __FILE__, __LINE__, "no area");
		return NULL;
	}
	return mem;
}

/*
 * REQUIRE for a test with an area: on failure it also frees cma.used, which the end of the test
 * does not free.
 */
#define AREA_NEEDS(t, cond)                                                                        \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			ktest_fail((t), __FILE__, __LINE__, "required %s", #cond);                 \
			kfree(cma.used);                                                           \
			return;                                                                    \
		}                                                                                  \
	} while (0)

static void drop_area(struct ktest *t, struct memory *mem)
{
	EXPECT_EQ(t, cma.nr_used, 0);
	expect_sound(t, mem);
	AREA_NEEDS(t, !cma_destroy(&cma));
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

static bool in_area(struct memory *mem, const struct page *page)
{
	pfn_t pfn = page_to_pfn_in(mem, page);

	return pfn >= cma.start && pfn < cma.end;
}

static unsigned long count_in_area(struct memory *mem, const struct pile *pile)
{
	const struct page *page;
	unsigned long nr = 0;

	for (page = pile->top; page; page = page->owner)
		nr += in_area(mem, page);
	return nr;
}

/* Free the pages with even pfns, and keep the others in @pile. */
static void thin_out(struct memory *mem, struct pile *pile)
{
	struct pile odd = {NULL, 0};
	struct page *page;

	while ((page = pile_pop(pile))) {
		if (page_to_pfn_in(mem, page) % 2)
			pile_push(&odd, page);
		else
			mem_free_pages(mem, page, 0);
	}
	*pile = odd;
	drain_all_pages(mem, NULL);
}

KTEST_SUITE(cma, KTEST_QUICK);

KTEST(only_movable_allocations_borrow_from_an_area, KTEST_SLOW)
{
	static const gfp_t gfps[] = {GFP_KERNEL, GFP_RECLAIMABLE, GFP_KERNEL | GFP_ATOMIC};
	struct memory *mem = NEED(t, with_area(t));
	struct pile pile = {NULL, 0};
	struct zone *zone;
	unsigned i;

	zone = &mem->zones[ZONE_NORMAL];
	for (i = 0; i < ARRAY_SIZE(gfps); i++) {
		unsigned long mark = zone->wmark[WMARK_MIN] / (gfps[i] & GFP_RESERVE ? 2 : 1);

		pile_alloc(mem, &pile, gfps[i] | GFP_NOWAIT, 0, ALL_THERE_IS);
		EXPECT_EQ(t, count_in_area(mem, &pile), 0);
		drain_all_pages(mem, NULL);
		/* These requests stop when the free pages outside the area reach the watermark. */
		EXPECT_EQ(t, zone->nr_free, BLOCK(AREA) + mark);
	}
	/* Take the pages below the watermark too, because some of them may be neighbours. */
	pile_alloc(mem, &pile, GFP_KERNEL | GFP_ALL_RESERVE | GFP_NOWAIT, 0, ALL_THERE_IS);
	EXPECT_EQ(t, count_in_area(mem, &pile), 0);
	drain_all_pages(mem, NULL);
	EXPECT_EQ(t, zone->nr_free, BLOCK(AREA));
	/* Outside the area no two free pages are neighbours: only the area has large blocks. */
	thin_out(mem, &pile);
	EXPECT(t, !mem_alloc_pages(mem, GFP_KERNEL | GFP_NOWAIT, MAX_ORDER));
	EXPECT(
	    t, pile_alloc(mem, &pile, GFP_MOVABLE | GFP_NOWAIT, 0, ALL_THERE_IS) > BLOCK(AREA) / 2);
	EXPECT(t, count_in_area(mem, &pile) > BLOCK(AREA) / 2);
	/* CMA pages are never cached, so a free gives them back at once. */
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	drop_area(t, mem);
}

KTEST(borrowed_pages_are_migrated_out, KTEST_SLOW)
{
	struct memory *mem = NEED(t, with_area(t));
	struct page *page = NULL;
	u32 i, inside = 0;

	AREA_NEEDS(t, mov_begin(t, mem));
	mov_fill(ALL_THERE_IS);
	for (i = 0; i < mov.nr; i++)
		inside += in_area(mem, mov.pages[i]);
	EXPECT(t, inside > BLOCK(AREA) / 2);
	/* Free some pages outside the area, as targets of the migrations. */
	for (i = 0; i < mov.nr; i++) {
		if (!in_area(mem, mov.pages[i]) && i % 2)
			mov_free(i);
	}
	EXPECT_EQ(t, cma_alloc(&cma, BLOCK(AREA), MAX_ORDER, &page), 0);
	AREA_NEEDS(t, page);
	EXPECT_EQ(t, page_to_pfn_in(mem, page), cma.start);
	for (i = 0; i < mov.nr; i++)
		EXPECT(t, !mov.pages[i] || !in_area(mem, mov.pages[i]));
	expect_sound(t, mem);
	EXPECT_EQ(t, cma_free(&cma, page, BLOCK(AREA)), 0);
	mov_end(t);
	drop_area(t, mem);
}

KTEST(allocations_are_aligned_and_disjoint)
{
	struct memory *mem = NEED(t, with_area(t));
	struct page *page[6] = {NULL};
	const unsigned long nr[] = {1, 3, 2, PAGEBLOCK_PAGES, 1, 4};
	const unsigned align[] = {0, 1, 3, 2, 0, 2};
	unsigned i, k;

	for (i = 0; i < 6; i++) {
		EXPECT_EQ(t, cma_alloc(&cma, nr[i], align[i], &page[i]), 0);
		AREA_NEEDS(t, page[i]);
		EXPECT_EQ(t, page_to_pfn_in(mem, page[i]) & ((1UL << align[i]) - 1), 0);
		EXPECT(t, in_area(mem, page[i]) && in_area(mem, page[i] + nr[i] - 1));
		for (k = 0; k < i; k++)
			EXPECT(t, page[i] >= page[k] + nr[k] || page[k] >= page[i] + nr[i]);
	}
	EXPECT_EQ(t, cma.nr_used, 11 + PAGEBLOCK_PAGES);
	EXPECT_EQ(t, cma_alloc(&cma, BLOCK(AREA), 0, &page[0]), -ENOMEM);
	for (i = 0; i < 6; i++)
		EXPECT_EQ(t, cma_free(&cma, page[i], nr[i]), 0);
	drop_area(t, mem);
}

KTEST(bad_arguments_are_refused, KTEST_SLOW)
{
	struct memory *mem = NEED(t, with_area(t));
	struct page *page = NULL, *none = NULL;
	struct cma other;

	EXPECT_EQ(t, cma_alloc(&cma, 0, 0, &none), -EINVAL);
	EXPECT_EQ(t, cma_alloc(&cma, BLOCK(AREA) + 1, 0, &none), -EINVAL);
	EXPECT_EQ(t, cma_alloc(&cma, ~0UL, 0, &none), -EINVAL);
	EXPECT_EQ(t, cma_alloc(&cma, 1, 64, &none), -EINVAL);
	EXPECT(t, !none);
	EXPECT_EQ(t, cma_alloc(&cma, 4, 2, &page), 0);
	AREA_NEEDS(t, page);
	EXPECT_EQ(t, cma_free(&cma, page, 0), -EINVAL);
	EXPECT_EQ(t, cma_free(&cma, page, 5), -EINVAL);
	EXPECT_EQ(t, cma_free(&cma, page + 4, 1), -EINVAL);
	EXPECT_EQ(t, cma_free(&cma, pfn_to_page_in(mem, cma.start - 1), 2), -EINVAL);
	EXPECT_EQ(t, cma_free(&cma, pfn_to_page_in(mem, cma.end), 1), -EINVAL);
	/* Pages beyond the area's end are refused: they could belong to another area. */
	cma.end = cma.start + 3;
	EXPECT_EQ(t, cma_free(&cma, page, 4), -EINVAL);
	EXPECT_EQ(t, cma_free(&cma, page + 2, 2), -EINVAL);
	EXPECT_EQ(t, cma_free(&cma, page + 3, 1), -EINVAL);
	cma.end = cma.start + BLOCK(AREA);
	EXPECT_EQ(t, cma.nr_used, 4);
	EXPECT_EQ(t, cma_destroy(&cma), -EBUSY);
	/* A run may be freed in parts, here the middle first. */
	EXPECT_EQ(t, cma_free(&cma, page + 1, 2), 0);
	EXPECT_EQ(t, cma_free(&cma, page + 1, 1), -EINVAL);
	EXPECT_EQ(t, cma_free(&cma, page, 4), -EINVAL);
	EXPECT_EQ(t, cma.nr_used, 2);
	EXPECT_EQ(t, cma_free(&cma, page, 1), 0);
	EXPECT_EQ(t, cma_free(&cma, page + 3, 1), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_BAD_FREE), 0);

	EXPECT_EQ(t, cma_create(&other, "b", mem, BLOCK(FIRST), BLOCK(1)), -EINVAL);
	EXPECT_EQ(t, cma_create(&other, "b", mem, BLOCK(1) + 1, BLOCK(1)), -EINVAL);
	EXPECT_EQ(t, cma_create(&other, "b", mem, BLOCK(1), 0), -EINVAL);
	EXPECT_EQ(t, cma_create(&other, "b", mem, BLOCK(1), ~0UL), -EINVAL);
	drop_area(t, mem);
}

KTEST(zone_movable_has_no_areas)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, ZONE_SIZE));

	EXPECT_EQ(t, cma_create(&cma, "test", mem, BLOCK(1), BLOCK(1)), -EINVAL);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(1))), MT_MOVABLE);
}

KTEST(pinned_pages_are_skipped, KTEST_SLOW)
{
	struct memory *mem = NEED(t, with_area(t));
	struct page *page = NULL, *pinned = NULL;
	u32 i;

	AREA_NEEDS(t, mov_begin(t, mem));
	mov_fill(ALL_THERE_IS);
	/* Find the lowest page in the area: it will be the first blocker. */
	for (i = 0; i < mov.nr; i++) {
		if (in_area(mem, mov.pages[i]) && (!pinned || mov.pages[i] < pinned))
			pinned = mov.pages[i];
	}
	AREA_NEEDS(t, pinned);
	EXPECT_EQ(t, pin_page(pinned), 0);
	for (i = 0; i < mov.nr; i++) {
		if (!in_area(mem, mov.pages[i]))
			mov_free(i);
	}
	EXPECT_EQ(t, cma_alloc(&cma, 8, 0, &page), 0);
	AREA_NEEDS(t, page);
	EXPECT(t, page > pinned || page + 8 <= pinned);
	EXPECT_EQ(t, cma_free(&cma, page, 8), 0);
	EXPECT_EQ(t, cma_alloc(&cma, BLOCK(AREA), 0, &page), -EBUSY);
	EXPECT_EQ(t, cma.nr_used, 0);
	mem_unpin_page(mem, pinned);
	EXPECT_EQ(t, cma_alloc(&cma, BLOCK(AREA), 0, &page), 0);
	EXPECT_EQ(t, cma_free(&cma, page, BLOCK(AREA)), 0);
	mov_end(t);
	drop_area(t, mem);
}

/* Pageblocks in use may become an area; when the area is destroyed, they are movable again. */
KTEST(area_is_created_and_destroyed)
{
	struct memory *mem = ktest_memory(t, 0, ZONE_SIZE, 0);
	unsigned i;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill(BLOCK(ZONE_SIZE / 2));
	REQUIRE(t, !cma_create(&cma, "test", mem, BLOCK(FIRST), BLOCK(AREA)));
	for (i = 0; i < AREA; i++)
		EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(FIRST + i))), MT_CMA);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(FIRST - 1))), MT_MOVABLE);
	expect_sound(t, mem);
	EXPECT_EQ(t, cma_destroy(&cma), 0);
	for (i = 0; i < AREA; i++)
		EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(FIRST + i))), MT_MOVABLE);
	mov_end(t);
}

/* Place the area high, but below unmovable pages; it takes at most half of the free memory. */
KTEST(area_is_placed_by_the_allocator)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, ZONE_SIZE, 1));
	struct zone *zone;
	struct page *page;
	struct cma other;
	pfn_t start;

	zone = zone_in(mem, ZONE_NORMAL);
	start = zone->end_pfn - BLOCK(1);
	/* A page of the topmost pageblock is allocated. */
	set_type(zone, start, MT_UNMOVABLE);
	page = NEED(t, take_block(zone, 0, MT_UNMOVABLE));
	EXPECT_EQ(t, cma_create_anywhere(&cma, "test", mem, BLOCK(1) + 1), -EINVAL);
	EXPECT_EQ(t, cma_create_anywhere(&cma, "test", mem, 0), -EINVAL);
	EXPECT_EQ(t, cma_create_anywhere(&cma, "test", mem, BLOCK(ZONE_SIZE / 2)), -ENOMEM);
	EXPECT_EQ(t, cma_create_anywhere(&cma, "test", mem, ~0UL << PAGEBLOCK_ORDER), -ENOMEM);
	EXPECT_EQ(t, cma_create_anywhere(&cma, "test", mem, BLOCK(AREA)), 0);
	AREA_NEEDS(t, cma.start == start - BLOCK(AREA));
	EXPECT_EQ(t, cma_create_anywhere(&other, "other", mem, BLOCK(1)), 0);
	EXPECT_EQ(t, other.start, cma.start - BLOCK(1));
	EXPECT_EQ(t, cma_destroy(&other), 0);
	give_block(zone, page);
	drop_area(t, mem);
}

/* Only memory that the kernel can use counts; zone MOVABLE does not. */
KTEST(area_may_take_half_of_the_free_memory, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, ZONE_SIZE, 1));

	EXPECT_EQ(t, cma_create_anywhere(&cma, "test", mem, BLOCK(ZONE_SIZE / 2 + 1)), -ENOMEM);
	EXPECT_EQ(t, cma_create_anywhere(&cma, "test", mem, BLOCK(ZONE_SIZE / 2)), 0);
	AREA_NEEDS(t, cma.start == BLOCK(ZONE_SIZE / 2));
	drop_area(t, mem);
}

/* No pageblock can become an area, because each pageblock has pinned pages. */
KTEST_COST(places_tried_for_an_area_are_bounded, KTEST_SLOW)
{
	const unsigned blocks = 24, tries = 16;
	struct memory *mem = ktest_memory(t, 0, blocks, 0);
	struct zone *zone;
	unsigned i;

	REQUIRE(t, mov_begin(t, mem));
	zone = zone_in(mem, ZONE_NORMAL);
	mov_fill(ALL_THERE_IS);
	mov_take_rest();
	for (i = 0; i < mov.nr; i++) {
		if (page_to_pfn_in(mem, mov.pages[i]) % 8 == 3)
			EXPECT_EQ(t, pin_page(mov.pages[i]), 0);
		else
			mov_free(i);
	}
	empty_caches(mem);
	EXPECT(t, zone->nr_free > zone->managed / 2);
	EXPECT_EQ(t, cma_create_anywhere(&cma, "test", mem, BLOCK(1)), -EBUSY);
	EXPECT_EQ(t, mm_event_sum(mem, EV_CONTIG_FAIL), tries);
	EXPECT(t, !cma.used);
	for (i = 0; i < mov.nr; i++) {
		if (mov.pages[i])
			mem_unpin_page(mem, mov.pages[i]);
	}
	mov_end(t);
}

/* Used, lent and free pages add up to the area. */
KTEST(use_of_an_area_is_counted, KTEST_SLOW)
{
	struct memory *mem = NEED(t, with_area(t));
	struct page *page = NULL;
	unsigned long inside = 0;
	struct cma_use use;
	u32 i;

	AREA_NEEDS(t, mov_begin(t, mem));
	EXPECT_EQ(t, cma_alloc(&cma, 5, 0, &page), 0);
	AREA_NEEDS(t, page);
	mov_fill(ALL_THERE_IS);
	for (i = 0; i < mov.nr; i++)
		inside += in_area(mem, mov.pages[i]);
	drain_all_pages(mem, NULL);
	use = cma_count(&cma);
	EXPECT_EQ(t, use.users, 5);
	EXPECT_EQ(t, use.lent, inside);
	EXPECT_EQ(t, use.free, BLOCK(AREA) - 5 - inside);
	EXPECT_EQ(t, use.offline + use.gone, 0);
	EXPECT(t, inside > 0);
	EXPECT_EQ(t, cma_free(&cma, page, 5), 0);
	mov_end(t);
	drop_area(t, mem);
}

/* While another operation has isolated a pageblock of the area, the next one is used. */
KTEST(isolated_pageblock_is_skipped)
{
	struct memory *mem = NEED(t, with_area(t));
	struct page *page = NULL, *none = NULL;
	struct zone *zone;

	zone = zone_in(mem, ZONE_NORMAL);
	set_isolated(zone, BLOCK(FIRST), true);
	EXPECT_EQ(t, cma_alloc(&cma, 3, 0, &page), 0);
	EXPECT(t, page && !pageblock_isolated(pageblock_of(mem, page_to_pfn_in(mem, page))));
	EXPECT_COUNTED(t, mem, EV_CONTIG_FAIL, 1);
	EXPECT_EQ(t, cma_alloc(&cma, BLOCK(AREA), 0, &none), -ENOMEM);
	EXPECT_EQ(t, page ? cma_free(&cma, page, 3) : 0, 0);
	EXPECT_EQ(t, cma_alloc(&cma, BLOCK(AREA), 0, &none), -EBUSY);
	set_isolated(zone, BLOCK(FIRST), false);
	/*
	 * An alignment to a section is valid, though no page here has it. A larger one is refused.
	 */
	EXPECT_EQ(t, cma_alloc(&cma, 1, SECTION_ORDER, &none), -ENOMEM);
	EXPECT_EQ(t, cma_alloc(&cma, 1, SECTION_ORDER + 1, &none), -EINVAL);
	EXPECT(t, !none);
	drop_area(t, mem);
}

/* One page between two used ones is free; the rest of the area is used. */
KTEST(gap_of_one_page_is_found)
{
	struct memory *mem = NEED(t, with_area(t));
	const unsigned long rest = BLOCK(AREA) - 3;
	struct page *page[3] = {NULL}, *most = NULL, *again = NULL;
	unsigned i, middle = 0;

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(t, cma_alloc(&cma, 1, 0, &page[i]), 0);
		AREA_NEEDS(t, page[i]);
	}
	EXPECT_EQ(t, cma_alloc(&cma, rest, 0, &most), 0);
	for (i = 0; i < 3; i++)
		if (page[i] > MIN(MIN(page[0], page[1]), page[2]) &&
		    page[i] < MAX(MAX(page[0], page[1]), page[2]))
			middle = i;
	EXPECT_EQ(t, cma_free(&cma, page[middle], 1), 0);
	EXPECT_EQ(t, cma_alloc(&cma, 1, 0, &again), 0);
	EXPECT(t, again == page[middle]);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(t, cma_free(&cma, page[i], 1), 0);
	EXPECT_EQ(t, most ? cma_free(&cma, most, rest) : 0, 0);
	drop_area(t, mem);
}

struct user {
	struct page *page[8];
	int errors;
};

static void use_area(void *arg)
{
	struct user *u = arg;
	unsigned i;

	for (i = 0; i < 8; i++)
		u->errors += cma_alloc(&cma, 2, 1, &u->page[i]) != 0;
	for (i = 0; i < 8 && !u->errors; i += 2)
		u->errors += cma_free(&cma, u->page[i], 2) != 0;
}

KTEST(concurrent_users_all_succeed, KTEST_SLOW)
{
	struct memory *mem = NEED(t, with_area(t));
	struct user users[4] = {{.errors = 0}};
	unsigned cpu, i, cpus = MIN(ktest_cpus(), 4u);

	for (cpu = 0; cpu < cpus; cpu++)
		ktest_start(cpu, use_area, &users[cpu]);
	for (cpu = 0; cpu < cpus; cpu++) {
		ktest_join(cpu);
		EXPECT_EQ(t, users[cpu].errors, 0);
	}
	EXPECT_EQ(t, cma.nr_used, cpus * 8);
	for (cpu = 0; cpu < cpus; cpu++) {
		for (i = 1; i < 8; i += 2)
			EXPECT(t, users[cpu].page[i] && !cma_free(&cma, users[cpu].page[i], 2));
	}
	drop_area(t, mem);
}
