/* SPDX-License-Identifier: MIT */
/* share_help.h: a run queue that only one test uses, and the shares of its tasks. */
#ifndef QUARRY_TESTS_SHARE_HELP_H
#define QUARRY_TESTS_SHARE_HELP_H

#include "tests/lib/mm_test.h"
#include "kernel/share_inline.h"
#include <quarry/port.h>

/* Prepare @rq and the shares of @nr tasks, which are all zeros at first. */
void start_queue(struct runq *rq, struct share *task, unsigned nr);

#endif
