/* SPDX-License-Identifier: MIT */
/* sound_help.c: see sound_help.h. */
#include "tests/lib/sound_help.h"

void expect_sound(struct ktest *t, struct memory *mem)
{
	struct mm_violation v = {.what = NULL};
	int err = check_memory(mem, &v);

	if (err)
		ktest_fail(t, __FILE__, __LINE__, "check_memory: %d %s: pfn %#lx have %ld want %ld",
		    err, v.what ? v.what : "?", v.pfn, (long)v.have, (long)v.want);
}
