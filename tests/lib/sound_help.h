/* SPDX-License-Identifier: MIT */
/* sound_help.h: check_memory in the middle of a test. */
#ifndef QUARRY_TESTS_SOUND_HELP_H
#define QUARRY_TESTS_SOUND_HELP_H

#include <quarry/ktest.h>

/* Expect check_memory to find nothing in @mem; if it does, the test fails with its message. */
void expect_sound(struct ktest *t, struct memory *mem);

/*
 * As expect_sound, for a memory that no other CPU uses meanwhile, so no CPU has to stop. For tests
 * that check hundreds of times: a stop takes many milliseconds where CPUs are threads that share a
 * core.
 */
void expect_sound_unshared(struct ktest *t, struct memory *mem);

#endif
