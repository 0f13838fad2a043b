/* SPDX-License-Identifier: MIT */
/* test_errname.c: error numbers by name. */
#include <quarry/errname.h>
#include <quarry/errno.h>
#include <quarry/ktest.h>
#include <quarry/string.h>

KTEST_SUITE(errname, KTEST_QUICK);

KTEST(numbers_have_their_names)
{
	EXPECT_EQ(t, strcmp(errno_name(-EBUSY), "EBUSY"), 0);
	EXPECT_EQ(t, strcmp(errno_name(EBUSY), "EBUSY"), 0);
	EXPECT_EQ(t, strcmp(errno_name(-EPERM), "EPERM"), 0);
	EXPECT_EQ(t, strcmp(errno_name(-EHWPOISON), "EHWPOISON"), 0);
	EXPECT_EQ(t, strcmp(errno_name(0), "none"), 0);
}

KTEST(other_numbers_have_none)
{
	EXPECT_EQ(t, strcmp(errno_name(-EHWPOISON - 1), "E?"), 0);
	EXPECT_EQ(t, strcmp(errno_name(-41), "E?"), 0);
	EXPECT_EQ(t, strcmp(errno_name(-0x7fffffffffffffffL - 1), "E?"), 0);
}
