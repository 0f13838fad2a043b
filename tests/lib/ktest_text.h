/* SPDX-License-Identifier: MIT */
/* ktest_text.h: checks of the text that a test prints, for ktest.c. */
#ifndef QUARRY_TESTS_KTEST_TEXT_H
#define QUARRY_TESTS_KTEST_TEXT_H

#include <quarry/ktest.h>

/*
 * The test fails unless the text in the log from @pos on is as @c says (struct ktest_case).  A test
 * that has failed is not checked.
 */
void ktest_check_text(struct ktest *t, const struct ktest_case *c, u64 pos);
/* Nanoseconds of waiting for a report that is missing: another thread may print it. */
extern u64 ktest_text_ns;

#endif
