/* SPDX-License-Identifier: MIT */
/* bench.h: the figures, in guest instructions under icount. */
#ifndef DEMO_BENCH_H
#define DEMO_BENCH_H

#include <quarry/types.h>

/*
 * Measure, and print one line "bench: NAME VALUE UNIT" for each figure.  Meaningful under icount
 * with shift 0, where the TSC counts instructions.  False: something could not be measured.
 */
bool bench_run(void);

/* Print one figure. */
void bench_figure(const char *name, u64 value, const char *unit);
/* bench_vm.c; as bench_run. */
bool bench_migrate(void);
bool bench_object(void);

#endif
