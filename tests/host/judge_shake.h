/* SPDX-License-Identifier: MIT */
/* judge_shake.h: as judge_soak.h: CPUs and ranges that go and come beside a soak. */
#ifndef QUARRY_TESTS_JUDGE_SHAKE_H
#define QUARRY_TESTS_JUDGE_SHAKE_H

#include "tests/host/judge_soak.h"

#define shaker_start JUDGE(shaker_start)
#define shaker_stop  JUDGE(shaker_stop)
#include "demo/shake.c" /* NOLINT(bugprone-suspicious-include): what is judged */

#endif
