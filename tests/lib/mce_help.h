/* SPDX-License-Identifier: MIT */
/* mce_help.h: helpers of the suites of machine checks. */
#ifndef QUARRY_TESTS_MCE_HELP_H
#define QUARRY_TESTS_MCE_HELP_H

#include "tests/lib/poison_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/mce.h>
#include <quarry/smp.h>

/*
 * True: the test can fill banks up to @last here, and the thread that deals with machine checks has
 * started.  Otherwise the test is skipped.
 */
bool emulated(struct ktest *t, unsigned last);
/* Unpoison a page that the test itself reported as broken; forget that a machine check came. */
void undo(struct ktest *t, pfn_t pfn);

/* A machine check was reported that the test did not cause; set by emulated(). */
extern bool real_check;

/* Wait until *@count is at least @nr. */
bool wait_for_count(const u64 *count, u64 nr);
/*
 * Wait until all errors found have been dealt with; returns the number of errors dealt with so far.
 */
u64 wait_all_dealt(void);
/*
 * Allocate and free 1 << @order pages, and return the first pfn; some_page: the same for one page.
 */
pfn_t some_pages(struct ktest *t, unsigned order);
pfn_t some_page(struct ktest *t);

#endif
