/* SPDX-License-Identifier: MIT */
/*
 * matrix.h: every operation under way, in every policy, with everything that can come between two
 * of its steps.
 */
#ifndef QUARRY_RACES_MATRIX_H
#define QUARRY_RACES_MATRIX_H

#include "ops.h"

#define MATRIX_CPUS 3 /* that of the operation, the visitor's, and one more that may cache pages */
#define VISITOR_CPU 1

/* ---- matrix_scene.c: a memory with a page in each state, and what must hold of it ---- */

/* Pageblocks of zone MOVABLE; MATRIX_WIDE is enough for caches that a spill does not empty. */
#define MATRIX_FEW  12u
#define MATRIX_WIDE RACE_WIDE

struct matrix_scene {
	unsigned blocks;       /* of zone MOVABLE; the first MATRIX_KEPT stay */
	unsigned first, going; /* the range that goes, or comes */
	bool every;            /* objects in every pageblock: none is wholly free */
	bool offline;          /* the range is offline at first */
	bool no_kernel_pages;  /* those of zone NORMAL are all in use */
};
#define MATRIX_KEPT 2u

/* Set it; on the CPU of the operation, and on the visitor's. */
void matrix_set(const struct matrix_scene *plan, enum iso_policy policy);
void matrix_set_visitor(void);
/* The range; a pageblock outside. */
struct pfn_range matrix_range(void);
pfn_t matrix_other(void);
/* The first page, or block, in that state; PFN_NONE. */
pfn_t matrix_find(enum page_state state);
/* A page of the visitor's, to free; NULL: no more.  One more of the caller's. */
struct page *matrix_pop(void);
void matrix_push(struct page *page);
/* The page at @pfn is known to be broken, just now. */
void matrix_broke(pfn_t pfn);
/* A pageblock that the visitor has isolated: it is undone at the end. */
void matrix_isolated(pfn_t block);
void matrix_undo(void);
/*
 * What must hold between any two steps; true also where nobody may look: a CPU has interrupts off,
 * or a round is under way.
 */
bool matrix_check(struct mm_violation *v);
/* And when all have ended. */
bool matrix_check_end(struct mm_violation *v);

/* ---- matrix_rows.c ---- */

/* What is under way, and what comes in between. */
struct matrix_row {
	const char *name;
	int (*run)(enum page_state state);
	struct matrix_scene scene;
	bool by_policy;   /* it depends on the policy; else the default one will do */
	bool by_state;    /* once for a page in each state */
	bool fails_whole; /* if it fails, its page is as it was */
};
extern const struct matrix_row matrix_rows[];
extern const unsigned matrix_nr_rows;
struct matrix_visit {
	const char *name;
	/* True, or the answer is wrong: *@v says how. */
	bool (*run)(enum page_state state, struct mm_violation *v);
	bool by_state;
};
extern const struct matrix_visit matrix_visits[];
extern const unsigned matrix_nr_visits;

/* ---- matrix.c ---- */

/* Steps of the operation that is under way, so far. */
u64 matrix_steps(void);
/*
 * All cells of the row that arg[0] names, or of "all"; with --part=N of each N-th cell; or the cell
 * ROW/POLICY/STATE/VISITOR/STATE/STEP, with its steps.  --json: one line for each row.  Returns 0,
 * or 1: something is wrong.
 */
int matrix_main(int nr, char **arg);

#endif
