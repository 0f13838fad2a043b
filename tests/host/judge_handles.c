/* SPDX-License-Identifier: MIT */
/* judge_handles.c: see judge_handles.h. */
#include "tests/host/judge_handles.h"

int judge_verify(struct handle_table *t, u32 h)
{
	judge_note("[verify %u]", h);
	return 0;
}

int judge_write(struct handle_table *t, u32 h, u64 seed)
{
	judge_note("[write %u %llu]", h, (unsigned long long)seed);
	return 0;
}

void judge_drain_owner(struct movable_owner *owner)
{
	judge_note("[drain]\n");
}
