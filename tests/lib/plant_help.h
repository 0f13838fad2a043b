/* SPDX-License-Identifier: MIT */
/* plant_help.h: damage planted in a memory, and the expected report of check_memory. */
#ifndef QUARRY_TESTS_PLANT_HELP_H
#define QUARRY_TESTS_PLANT_HELP_H

#include "tests/lib/mm_priv.h"
#include <quarry/ktest.h>
#include <quarry/string.h>

/* check_memory fails, and its message starts with @name. */
void expect_said(struct ktest *t, struct memory *mem, const char *name, int line);

/* Store @value in @place, expect the damage to be found as @name, and restore the old value. */
#define PLANT(t, mem, place, value, name)                                                          \
	do {                                                                                       \
		__typeof__(place) saved_ = (place);                                                \
		(place) = (value);                                                                 \
		expect_said((t), (mem), (name), __LINE__);                                         \
		(place) = saved_;                                                                  \
	} while (0)

#endif
