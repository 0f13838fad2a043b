/* SPDX-License-Identifier: MIT */
/* mce_help.c: see mce_help.h. */
#include "tests/lib/mce_help.h"

bool wait_for_count(const u64 *count, u64 nr)
{
	u64 end = arch_clock_ns() + WAIT_NS;
	unsigned rounds = 0;

	while (READ_ONCE(*count) < nr && !waited_enough(end, &rounds))
		thread_yield();
	return READ_ONCE(*count) >= nr;
}

u64 wait_all_dealt(void)
{
	u64 found = 0;

	for (unsigned i = MCE_CORRECTED; i < MCE_FATAL; i++)
		found += READ_ONCE(mce_stats.found[i]);
	wait_for_count(&mce_stats.dealt, found - READ_ONCE(mce_stats.lost));
	return READ_ONCE(mce_stats.dealt);
}

pfn_t some_pages(struct ktest *t, unsigned order)
{
	struct page *page = alloc_pages(GFP_MOVABLE, order);
	pfn_t pfn = page ? page_to_pfn_in(&kernel_memory, page) : PFN_NONE;

	EXPECT(t, page);
	if (page)
		EXPECT_EQ(t, free_pages(page, order), 0);
	return pfn;
}

pfn_t some_page(struct ktest *t)
{
	return some_pages(t, 0);
}
