/* SPDX-License-Identifier: MIT */
/* poison_help.c: see poison_help.h. */
#include "tests/lib/poison_help.h"

unsigned long nr_poisoned(const struct memory *mem)
{
	struct poison_count n = mem_poisoned(mem);

	return n.retired + n.doomed + n.offline;
}

unsigned long nr_flagged(struct memory *mem)
{
	unsigned long nr = 0;
	pfn_t pfn = 0;

	while ((pfn = mem_poisoned_next(mem, pfn)) != PFN_NONE) {
		nr++;
		pfn++;
	}
	return nr;
}

bool is_flagged(const struct memory *mem, pfn_t pfn)
{
	return page_word(pfn_to_page_in(mem, pfn)) & PAGE_F_HWPOISON;
}

void doom_page(struct memory *mem, pfn_t pfn)
{
	struct zone *zone = zone_of(mem, pfn);
	irqflags_t flags = zone_lock_irqsave(zone);

	poison_doom(zone, pfn, pfn);
	zone_unlock_irqrestore(zone, flags);
}

bool is_retired(const struct memory *mem, pfn_t pfn)
{
	return page_word(pfn_to_page_in(mem, pfn)) ==
	    (PAGE_WORD(1, PG_HWPOISON, 0) | PAGE_F_HWPOISON);
}

void expect_poisoned(struct ktest *t, struct memory *mem, unsigned long nr)
{
	EXPECT_EQ(t, nr_poisoned(mem), nr);
	EXPECT_EQ(t, nr_flagged(mem), nr);
	expect_sound(t, mem);
}

void expect_never_allocated(struct ktest *t, struct memory *mem, pfn_t pfn)
{
	struct zone *zone = zone_of(mem, pfn);
	struct pile pile = {NULL, 0};
	unsigned type, found = 0;
	struct page *page;

	drain_all_pages(mem, NULL);
	for (type = 0; type < NR_MIGRATETYPES; type++) {
		while ((page = take_block(zone, 0, (enum migratetype)type))) {
			found += page_to_pfn_in(mem, page) == pfn;
			pile_push(&pile, page);
		}
	}
	EXPECT_EQ(t, found, 0);
	EXPECT(t, is_flagged(mem, pfn));
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	drain_all_pages(mem, NULL);
}
