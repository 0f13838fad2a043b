/* SPDX-License-Identifier: MIT */
/* judge_handles.h: of a world made up, what a load does with objects that it has. */
#ifndef QUARRY_TESTS_JUDGE_HANDLES_H
#define QUARRY_TESTS_JUDGE_HANDLES_H

#include "tests/host/judge_help.h"
#include <quarry/handle.h>

static int verify(struct handle_table *t, u32 h)
{
	judge_note("[verify %u]", h);
	return 0;
}

static int write(struct handle_table *t, u32 h, u64 seed)
{
	judge_note("[write %u %llu]", h, (unsigned long long)seed);
	return 0;
}

static void drain_owner(struct movable_owner *owner)
{
	judge_note("[drain]\n");
}

#endif
