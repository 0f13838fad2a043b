/* SPDX-License-Identifier: MIT */
/* test_warmup.c: the arithmetic of lab 0, at its borders. */
#include "labs/0/warmup.h"
#include <quarry/ktest.h>

KTEST_SUITE(warmup, KTEST_EXTRA);

KTEST(a_range_has_its_first_page_and_not_its_end)
{
	EXPECT(t, pfn_in_range(8, 8, 4));
	EXPECT(t, pfn_in_range(11, 8, 4));
	EXPECT(t, !pfn_in_range(7, 8, 4));
	EXPECT(t, !pfn_in_range(12, 8, 4));
	EXPECT(t, !pfn_in_range(8, 8, 0));
	EXPECT(t, !pfn_in_range(0, 0, 0));
	EXPECT(t, !pfn_in_range((1ULL << 32) + 8, 8, 4));
}

KTEST(a_range_may_end_with_the_last_page)
{
	pfn_t last = ~(pfn_t)0;

	EXPECT(t, pfn_in_range(last, last - 3, 4));
	EXPECT(t, !pfn_in_range(0, last - 3, 4));
	EXPECT(t, pfn_in_range(last, 1, last));
}

KTEST(the_smallest_block_that_holds_the_bytes)
{
	EXPECT_EQ(t, order_for(0), 0);
	EXPECT_EQ(t, order_for(1), 0);
	EXPECT_EQ(t, order_for(PAGE_SIZE), 0);
	EXPECT_EQ(t, order_for(PAGE_SIZE + 1), 1);
	EXPECT_EQ(t, order_for(3 * PAGE_SIZE), 2);
	EXPECT_EQ(t, order_for(3 * PAGE_SIZE + 1), 2);
	EXPECT_EQ(t, order_for(4 * PAGE_SIZE), 2);
	EXPECT_EQ(t, order_for((PAGE_SIZE << (MAX_ORDER - 1)) + PAGE_SIZE + 1), MAX_ORDER);
}

KTEST(no_block_holds_more_than_the_largest)
{
	EXPECT_EQ(t, order_for((u64)PAGE_SIZE << MAX_ORDER), MAX_ORDER);
	EXPECT_EQ(t, order_for(((u64)PAGE_SIZE << MAX_ORDER) + 1), NR_ORDERS);
	EXPECT_EQ(t, order_for(1ULL << 32), NR_ORDERS);
	EXPECT_EQ(t, order_for(~0ULL), NR_ORDERS);
}

KTEST(a_multiple_stays_and_all_others_go_up)
{
	EXPECT_EQ(t, align_up(0, 12), 0);
	EXPECT_EQ(t, align_up(1, 12), 4096);
	EXPECT_EQ(t, align_up(4096, 12), 4096);
	EXPECT_EQ(t, align_up(4097, 12), 8192);
	EXPECT_EQ(t, align_up(77, 0), 77);
}

KTEST(large_values_are_aligned_in_64_bits)
{
	EXPECT_EQ(t, align_up((1ULL << 40) + 1, 21), (1ULL << 40) + (1ULL << 21));
	EXPECT_EQ(t, align_up(1, 63), 1ULL << 63);
	EXPECT_EQ(t, align_up(~0ULL, 12), 0);
	EXPECT_EQ(t, align_up(~0ULL - 4095, 12), ~0ULL - 4095);
}
