/* SPDX-License-Identifier: MIT */
/* plant_help.c: see plant_help.h. */
#include "tests/lib/plant_help.h"

void expect_said(struct ktest *t, struct memory *mem, const char *name, int line)
{
	struct mm_violation v = {.what = NULL};
	int err = check_memory(mem, &v);

	if (err != -EUCLEAN || !v.what || strncmp(v.what, name, strlen(name)) != 0)
		ktest_fail(t, __FILE__, line, "expected \"%s\", got %d %s", name, err,
		    v.what ? v.what : "nothing");
}
