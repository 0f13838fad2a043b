/* SPDX-License-Identifier: MIT */
/* test_fail.c: a test that fails, so that everything that reports failures can be tested. */
#include <quarry/ktest.h>

static void fails_as_it_should(struct ktest *t)
{
	EXPECT_EQ(t, 1 + 1, 3);
}

KTEST_SUITE(fail, KTEST_EXTRA, KTEST(fails_as_it_should));
