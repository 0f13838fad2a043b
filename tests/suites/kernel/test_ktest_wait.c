/* SPDX-License-Identifier: MIT */
/* test_ktest_wait.c: how long suites wait where a function of a lab is not written. */
#include "tests/lib/wait_help.h"
#include <quarry/ktest.h>
#include <quarry/lab.h>

/* Only what comes in any case is worth more turns: their number depends on the host. */
static void a_wait_for_what_is_not_written_ends_by_its_turns(struct ktest *t)
{
	struct wait_limit other = {.turns = RACE_TURNS}, own = {.turns = RACE_TURNS, .own = true};
	bool before = lab_unwritten;

	lab_unwritten = true;
	EXPECT(t, !wait_goes_on(&other));
	EXPECT(t, wait_goes_on(&own));
	lab_unwritten = before;
}

KTEST_SUITE(
    ktest_wait, KTEST_MOSTLY_INSIDE, KTEST(a_wait_for_what_is_not_written_ends_by_its_turns));
