/* SPDX-License-Identifier: MIT */
/* test_fail.c: tests that fail, to test the reports of failures. */
#include <quarry/ktest.h>

static void fails_as_it_should(struct ktest *t)
{
	EXPECT_EQ(t, 1 + 1, 3);
}

static void leaves_memory_behind(struct ktest *t)
{
	EXPECT(t, kmalloc(100));
}

KTEST_SUITE(fail, KTEST_EXTRA, KTEST(fails_as_it_should), KTEST(leaves_memory_behind));
