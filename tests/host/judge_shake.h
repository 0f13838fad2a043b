/* SPDX-License-Identifier: MIT */
/*
 * judge_shake.h: like judge_soak.h, for demo/shake.c: CPUs and ranges go offline and come back
 * during a soak.
 */
#ifndef QUARRY_TESTS_JUDGE_SHAKE_H
#define QUARRY_TESTS_JUDGE_SHAKE_H

#define ktest_rand      judge_rand
#define thread_start    judge_start
#define thread_join     judge_join
#define thread_sleep    judge_sleep
#define cpu_online_mask judge.online
#define nr_cpus_online  judge_nr_online
#define cpu_down        judge_cpu_down
#define cpu_up          judge_cpu_up
#include "tests/host/judge_soak.h"

#define shaker_start JUDGE(shaker_start)
#define shaker_stop  JUDGE(shaker_stop)
#include "demo/shake.c" /* NOLINT(bugprone-suspicious-include): the tested source */

#endif
