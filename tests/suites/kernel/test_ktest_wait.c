/* SPDX-License-Identifier: MIT */
/* test_ktest_wait.c: waits for a function of a lab that is not written. */
#include "tests/lib/wait_help.h"
#include <quarry/ktest.h>
#include <quarry/lab.h>

KTEST_SUITE(ktest_wait, KTEST_MOSTLY_INSIDE);

/*
 * A wait for lab code that is not written ends after RACE_TURNS turns. A wait for an event of the
 * test itself goes on, because the time that turns take depends on the host.
 */
KTEST(a_wait_for_what_is_not_written_ends_by_its_turns)
{
	struct wait_limit other = {.turns = RACE_TURNS}, own = {.turns = RACE_TURNS, .own = true};
	bool before = lab_unwritten;

	lab_unwritten = true;
	EXPECT(t, !wait_goes_on(&other));
	EXPECT(t, wait_goes_on(&own));
	lab_unwritten = before;
}
