/* SPDX-License-Identifier: MIT */
/*
 * test_step_account.c: a charge that is refused, as another task's charge sees it. Hosted only.
 */
#include "tests/host/moment.h"
#include "tests/lib/mm_test.h"
#include <quarry/account.h>

KTEST_SUITE(account_steps, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* A child that is full takes nothing from its parent, not even for a moment. */
KTEST(charge_of_a_full_child_refuses_no_other)
{
	struct account above = {.limit[ACCOUNT_THREADS] = 1}, full = {.parent = &above};
	struct account other = {.parent = &above, .limit[ACCOUNT_THREADS] = 1};

	EXPECT_EQ(t,
	    AT(account_charge(&full, ACCOUNT_THREADS, 1), .store = &above.used[ACCOUNT_THREADS]),
	    -EDQUOT);
	EXPECT_EQ(t, moment.seen, 0);
	EXPECT_EQ(t, account_charge(&other, ACCOUNT_THREADS, 1), 0);
	EXPECT(t, above.used[ACCOUNT_THREADS] == 1 && other.used[ACCOUNT_THREADS] == 1);
}
