/* SPDX-License-Identifier: MIT */
/* judge_handles.h: a simulated world in which a load uses its objects. */
#ifndef QUARRY_TESTS_JUDGE_HANDLES_H
#define QUARRY_TESTS_JUDGE_HANDLES_H

#include "tests/host/judge_help.h"
#include <quarry/handle.h>

int judge_verify(struct handle_table *t, u32 h);

int judge_write(struct handle_table *t, u32 h, u64 seed);

void judge_drain_owner(struct movable_owner *owner);

/* The load's source is included after this header, and calls the functions above. */
#define handle_verify       judge_verify
#define handle_write        judge_write
#define movable_owner_drain judge_drain_owner

#endif
