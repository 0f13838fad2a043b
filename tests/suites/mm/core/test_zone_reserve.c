/* SPDX-License-Identifier: MIT */
/*
 * test_zone_reserve.c: a zone keeps a reserve only from requests that can use a higher kind (what
 * requests get then: suite layouts).
 */
#include "mm/core/zone.h"
#include "tests/lib/mm_test.h"

KTEST_SUITE(zone_reserve, KTEST_QUICK);

/* Only kinds of zone that have memory, and that the request may use, hold back a reserve. */
KTEST(a_reserve_is_kept_for_kinds_that_have_memory)
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
