/* SPDX-License-Identifier: MIT */
/* ktest_select.h: which tests are to run, for ktest.c. */
#ifndef QUARRY_TESTS_KTEST_SELECT_H
#define QUARRY_TESTS_KTEST_SELECT_H

#include <quarry/ktest.h>

/* Does @which, as of ktest_run, select test @i of @s? */
bool ktest_selected(const struct ktest_suite *s, unsigned i, const char *which);
/* 0 if each name in @which stands for a test; else -EINVAL, and a message. */
int ktest_check_names(const char *which);

#endif
