/* SPDX-License-Identifier: MIT */
/* ktest_stop.h: ending a run of tests before its end. */
#ifndef QUARRY_KTEST_STOP_H
#define QUARRY_KTEST_STOP_H

#include <quarry/types.h>

/*
 * Set by ktest_hook: ktest_run ends after the test under way.  The caller of ktest_run clears it
 * before.
 */
extern bool ktest_stop;

#endif
