/* SPDX-License-Identifier: MIT */
/* test_fail.c: tests that fail, to test the reports of failures. */
#include <quarry/errno.h>
#include <quarry/ktest.h>

KTEST_SUITE(fail, KTEST_EXTRA);

KTEST(fails_as_it_should)
{
	EXPECT_EQ(t, 1 + 1, 3);
	EXPECT_EQ(t, 0, -EBUSY);
}

KTEST(leaves_memory_behind)
{
	EXPECT(t, kmalloc(100));
}
