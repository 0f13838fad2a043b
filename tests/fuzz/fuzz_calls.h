/* SPDX-License-Identifier: MIT */
/* fuzz_calls.h: the calls that fuzz_mm.c and fuzz_range.c make. */
#ifndef QUARRY_TESTS_FUZZ_CALLS_H
#define QUARRY_TESTS_FUZZ_CALLS_H

#include "fuzz.h"
#include "tests/model/model.h"

/* Make and judge a call; does not return if it is wrong. */
void call(const struct wire_call *c);
/* Each completes the call @c by operands from @b, and makes it. */
void op_isolate(struct wire_call *c, struct bytes *b);
void op_undo(struct wire_call *c, struct bytes *b, bool undo); /* @undo false: only check */
void op_offline(struct wire_call *c, struct bytes *b);
void op_online(struct wire_call *c, struct bytes *b);
void op_migrate(struct wire_call *c, struct bytes *b);

#endif
