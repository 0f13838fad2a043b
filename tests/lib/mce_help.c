/* SPDX-License-Identifier: MIT */
/* mce_help.c: see mce_help.h. */
#include "tests/lib/mce_help.h"
#include "x86.h"

bool real_check;

bool emulated(struct ktest *t, unsigned last)
{
	EXPECT(t, YIELD_UNTIL(mce_started()));
	real_check = READ_ONCE(kernel_memory.machine_check);
	if ((rdmsr(MSR_MCG_CAP) & MCG_CAP_BANKS) > last && rdmsr(MSR_MCG_CAP) & MCG_CAP_SER &&
	    mce_emulated())
		return true;
	ktest_skip(t, "needs an emulator with machine checks");
	return false;
}

void undo(struct ktest *t, pfn_t pfn)
{
	WRITE_ONCE(kernel_memory.machine_check, false);
	EXPECT_EQ(t, unpoison_page(pfn), 0);
	WRITE_ONCE(kernel_memory.machine_check, real_check);
}

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
