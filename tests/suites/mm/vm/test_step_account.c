/* SPDX-License-Identifier: MIT */
/*
 * test_step_account.c: a charge of another task in the middle of account_charge.  The test includes
 * the source of mm/vm/account.c, which calls it there.  Hosted only.
 */
#define account_charge   stepped_charge
#define account_count    stepped_count
#define account_uncharge stepped_uncharge
#define account_get      stepped_get
#define account_put      stepped_put
#define account_current  stepped_current
#define account_use      stepped_use
#define account_family   stepped_family
#define account_pages    stepped_pages
#define account_content  stepped_content
#define account_all      stepped_all
#define counts_read      stepped_read
#define counts_differ    stepped_differ
#define show_counts      stepped_show
#include "tests/lib/mm_test.h"
#include <quarry/account.h>

static struct account above, full, other;
static bool other_asks;
static int other_got;

/* Another task charges its account as soon as this one has charged one. */
static bool cas_and_ask(u64 *used, u64 old, u64 new)
{
	bool done = atomic_cas(used, old, new);

	if (done && other_asks) {
		other_asks = false;
		other_got = account_charge(&other, ACCOUNT_THREADS, 1);
	}
	return done;
}

#undef atomic_cas
#define atomic_cas cas_and_ask
#include "mm/vm/account.c" /* NOLINT(bugprone-suspicious-include): the tested source */

KTEST_SUITE(account_steps, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* A child that is full takes nothing from its parent, not even for a moment. */
KTEST(charge_of_a_full_child_refuses_no_other)
{
	above = full = other = (struct account){.parent = NULL};
	full.parent = other.parent = &above;
	above.limit[ACCOUNT_THREADS] = other.limit[ACCOUNT_THREADS] = 1;
	other_asks = true;
	EXPECT_EQ(t, account_charge(&full, ACCOUNT_THREADS, 1), -EDQUOT);
	if (other_asks)
		other_got = account_charge(&other, ACCOUNT_THREADS, 1);
	other_asks = false;
	EXPECT_EQ(t, other_got, 0);
	EXPECT(t, above.used[ACCOUNT_THREADS] == 1 && other.used[ACCOUNT_THREADS] == 1);
}
