/* SPDX-License-Identifier: MIT */
/* plant_help.h: damage planted in a memory, and the expected report of check_memory. */
#ifndef QUARRY_TESTS_PLANT_HELP_H
#define QUARRY_TESTS_PLANT_HELP_H

#include "tests/lib/mm_priv.h"
#include <quarry/ktest.h>
#include <quarry/string.h>

/* check_memory fails, and its message starts with @name. */
static inline void expect_said(struct ktest *t, struct memory *mem, const char *name, int line)
{
	struct mm_violation v = {.what = NULL};
	int err = check_memory(mem, &v);

	if (err != -EUCLEAN || !v.what || strncmp(v.what, name, strlen(name)) != 0)
		ktest_fail(t, __FILE__, line, "expected \"%s\", got %d %s", name, err,
		    v.what ? v.what : "nothing");
}

/* Store @value in @place, expect the damage to be found as @name, and restore the old value. */
#define PLANT(t, mem, place, value, name)                                                          \
	do {                                                                                       \
		__typeof__(place) saved_ = (place);                                                \
		(place) = (value);                                                                 \
		expect_said((t), (mem), (name), __LINE__);                                         \
		(place) = saved_;                                                                  \
	} while (0)

#endif
