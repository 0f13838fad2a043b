/* SPDX-License-Identifier: MIT */
/* plans.h: the tests of the model layer (plans.c), and their reports (report.c). */
#ifndef QUARRY_LABS_PLANS_H
#define QUARRY_LABS_PLANS_H

#include "tests/model/model.h"

/* ---- the calls of a test, for a report (report.c) ---- */

#define NR_LOG 4096
struct logged {
	struct wire_call call;
	s64 r;
	bool done;
};
extern struct logged call_log[NR_LOG];
extern unsigned nr_log;
extern const char *const call_names[];
struct plan;
/*
 * Print one JSON line: the test, its verdict @what, and unless @what is PASS the calls that concern
 * the failure.
 */
void report(const struct plan *p, const char *what, u64 seed);

/* ---- tests (plans.c) ---- */

struct plan {
	const char *name;
	const char *about; /* a description, of one line */
	const struct wire_shape *shape;
	unsigned calls;
	u8 weight[NR_CALLS];
	u8 orders;    /* allocations are of orders 0 .. orders */
	bool off;     /* with all caches off */
	bool movable; /* all allocations are movable */
	bool wrong;   /* some frees are bad */
	bool irqs;    /* some calls with interrupts off */
	bool damage;  /* at the end the word of a cached page is overwritten */
	u8 policies;  /* a bit for each isolation policy; 0: all */
	u16 most;     /* live blocks, at most */
};
extern const struct plan plans[];
extern const unsigned nr_plans;
/* Choose the next call of @p; false: the test has ended, and all memory has been freed. */
bool plan_next(const struct plan *p, u64 *rand, unsigned nr, struct wire_call *c);

#endif
