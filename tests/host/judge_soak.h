/* SPDX-License-Identifier: MIT */
/*
 * judge_soak.h: puts demo/soak.c, which soaks share, into the simulated world of a test. Its
 * functions are named JUDGE(name) there.
 */
#ifndef QUARRY_TESTS_JUDGE_SOAK_H
#define QUARRY_TESTS_JUDGE_SOAK_H

#define printk                    judge_say
#define arch_clock_ns             judge_clock
#define check_memory              judge_check
#define memory_managed_by_request judge_managed

#define soak_begin      JUDGE(soak_begin)
#define soak_report_due JUDGE(soak_report_due)
#define soak_check      JUDGE(soak_check)
#define soak_end        JUDGE(soak_end)
#include "demo/soak.c" /* NOLINT(bugprone-suspicious-include): the tested source */

#endif
