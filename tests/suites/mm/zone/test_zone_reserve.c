/* SPDX-License-Identifier: MIT */
/* test_zone_reserve.c: a zone keeps a reserve only from requests that can use a higher kind. */
#include "mm/core/zone.h"
#include "tests/lib/mm_test.h"

/* All that requests with @gfp get of a memory of one zone, and then what atomic ones get. */
static void expect_no_reserve(struct ktest *t, unsigned dma32, unsigned normal, gfp_t gfp)
{
	struct memory *mem = NEED(t, ktest_memory(t, dma32, normal, 0));
	struct zone *zone = &mem->zones[dma32 ? ZONE_DMA32 : ZONE_NORMAL];
	struct pile pile = {NULL, 0};

	all_caches_off(t, mem);
	EXPECT(t, zone->reserve > 0);
	pile_alloc(mem, &pile, gfp | GFP_NOWAIT, 0, ALL_THERE_IS);
	EXPECT_EQ(t, zone->nr_free, zone->wmark[WMARK_MIN]);
	pile_alloc(mem, &pile, gfp | GFP_ATOMIC, 0, ALL_THERE_IS);
	EXPECT_EQ(t, zone->nr_free, zone->wmark[WMARK_MIN] / 2);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
}

static void kernel_requests_get_all_of_dma32_without_normal(struct ktest *t)
{
	expect_no_reserve(t, CACHED_BLOCKS, 0, GFP_KERNEL);
}

static void movable_requests_get_all_of_normal_without_movable(struct ktest *t)
{
	expect_no_reserve(t, 0, CACHED_BLOCKS, GFP_MOVABLE);
}

/* Only kinds of zone that have memory, and that the request may use, hold back a reserve. */
static void a_reserve_is_kept_for_kinds_that_have_memory(struct ktest *t)
{
	static const struct zone_spec specs[] = {{0, ZONE_DMA32, 2}, {1, ZONE_NORMAL, 2}};
	struct memory *mem = NEED(t, build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs)));
	struct zone *dma32 = &mem->zones[ZONE_DMA32];
	struct zone *normal = &mem->zones[NR_ZONE_KINDS + ZONE_NORMAL];
	unsigned long managed = normal->managed;

	EXPECT(t, !zone_reserved(dma32, GFP_DMA32));
	EXPECT(t, !zone_reserved(dma32, GFP_DMA32 | GFP_MOVABLE));
	EXPECT(t, zone_reserved(dma32, GFP_KERNEL));
	EXPECT(t, zone_reserved(dma32, GFP_MOVABLE));
	EXPECT(t, !zone_reserved(dma32, GFP_KERNEL | GFP_THISNODE));
	EXPECT(t, !zone_reserved(normal, GFP_KERNEL));
	EXPECT(t, !zone_reserved(normal, GFP_MOVABLE));
	/* All of NORMAL is offline. */
	normal->managed = 0;
	EXPECT(t, !zone_reserved(dma32, GFP_KERNEL));
	normal->managed = managed;
	drop_memory(t, mem);
}

KTEST_SUITE(zone_reserve, KTEST_QUICK, KTEST(kernel_requests_get_all_of_dma32_without_normal),
    KTEST(movable_requests_get_all_of_normal_without_movable),
    KTEST(a_reserve_is_kept_for_kinds_that_have_memory));
