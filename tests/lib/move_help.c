/* SPDX-License-Identifier: MIT */
/* move_help.c: see move_help.h. */
#include "tests/lib/move_help.h"
#include "tests/lib/wait_help.h"

/*
 * Pageblocks that cannot go offline, in the zone MOVABLE that this CPU allocates from: some of
 * their pages belong to the firmware or to a module.
 */
static pfn_t stay[32];
static unsigned nr_stay;
static struct page *hoard[8 * PAGEBLOCK_PAGES];

static bool stays(pfn_t pfn)
{
	unsigned i;

	for (i = 0; i < nr_stay; i++)
		if (stay[i] == ALIGN_DOWN(pfn, PAGEBLOCK_PAGES))
			return true;
	return false;
}

static void find_what_stays(struct ktest *t)
{
	struct page *sample = NEED(t, alloc_pages(GFP_MOVABLE, 0));
	const struct zone *zone;
	pfn_t pfn;

	zone = zone_of(&kernel_memory, page_to_pfn_in(&kernel_memory, sample));
	free_pages(sample, 0);
	EXPECT_EQ(t, zone->kind, ZONE_MOVABLE);
	nr_stay = 0;
	for (pfn = zone->start_pfn; pfn < zone->end_pfn && nr_stay < ARRAY_SIZE(stay);
	     pfn += PAGEBLOCK_PAGES)
		if (offline_query(&kernel_memory, pfn, PAGEBLOCK_PAGES, NULL))
			stay[nr_stay++] = pfn;
}

void hoard_pages(struct ktest *t)
{
	unsigned i, left, free = 1, more = PCP_SLOTS; /* pages that this CPU may have cached */

	find_what_stays(t);
	drain_all_pages(&kernel_memory, NULL);
	for (i = 0; i < ARRAY_SIZE(hoard) && (free || more--); i++) {
		REQUIRE(t, (hoard[i] = alloc_pages(GFP_MOVABLE, 0)));
		for (free = left = 0; left < nr_stay; left++)
			free += pageblock_of(&kernel_memory, stay[left])->nr_free;
	}
	EXPECT_EQ(t, free, 0);
	for (i = 0; i < ARRAY_SIZE(hoard); i++) {
		if (hoard[i] && !stays(page_to_pfn_in(&kernel_memory, hoard[i]))) {
			EXPECT_EQ(t, free_pages(hoard[i], 0), 0);
			hoard[i] = NULL;
		}
	}
}

void release_pages(struct ktest *t)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(hoard); i++) {
		if (hoard[i])
			EXPECT_EQ(t, free_pages(hoard[i], 0), 0);
		hoard[i] = NULL;
	}
}

pfn_t frame_of(struct vm_object *object, u32 index)
{
	struct page *page = NULL;
	pfn_t pfn;

	if (!YIELD_UNTIL(!vm_object_pin(object, index, &page)))
		return PFN_NONE;
	pfn = page_to_pfn_in(&kernel_memory, page);
	mem_unpin_page(&kernel_memory, page);
	return pfn;
}
