/* SPDX-License-Identifier: MIT */
/*
 * matrix.h: every operation, under every policy, with every visitor that can come between two of
 * its steps.
 */
#ifndef QUARRY_RACES_MATRIX_H
#define QUARRY_RACES_MATRIX_H

#include "ops.h"

#define MATRIX_CPUS 3 /* the operation's, the visitor's, and one more that may cache pages */
#define VISITOR_CPU 1

/* ---- matrix_scene.c: a memory with a page in each state, and its checks ---- */

/* Pageblocks of zone MOVABLE; MATRIX_WIDE is enough for caches that a spill does not empty. */
#define MATRIX_FEW  12u
#define MATRIX_WIDE RACE_WIDE

struct matrix_scene {
	unsigned blocks;       /* pageblocks of zone MOVABLE; the first MATRIX_KEPT stay online */
	unsigned first, going; /* the range that goes offline or online: start, length */
	bool every;            /* objects in every pageblock: none is wholly free */
	bool offline;          /* the range is offline at first */
	bool no_kernel_pages;  /* all pages of zone NORMAL are in use */
};
#define MATRIX_KEPT 2u

/* Build the scene on the operation's CPU; then the visitor's part, on the visitor's CPU. */
void matrix_set(const struct matrix_scene *plan, enum iso_policy policy);
void matrix_set_visitor(void);
/* The range of the scene; a pageblock outside it. */
struct pfn_range matrix_range(void);
pfn_t matrix_other(void);
/* The first page, or first head of a block, in @state; PFN_NONE: none. */
pfn_t matrix_find(enum page_state state);
/* Take one of the visitor's pages, to free it; NULL: it has none. Give the visitor a page. */
struct page *matrix_pop(void);
void matrix_push(struct page *page);
/* Note that the page at @pfn has just been found broken. */
void matrix_broke(pfn_t pfn);
/* Note a pageblock that the visitor has isolated; undo that isolation. */
void matrix_isolated(pfn_t block);
void matrix_undo(void);
/*
 * Check the memory between any two steps. True also if no check is allowed: a CPU has interrupts
 * off, or a drain round is under way.
 */
bool matrix_check(struct mm_violation *v);
/* Check the memory when all operations have ended. */
bool matrix_check_end(struct mm_violation *v);

/* ---- matrix_rows.c ---- */

/* An operation under way, and a visitor that comes in between. */
struct matrix_row {
	const char *name;
	int (*run)(enum page_state state);
	struct matrix_scene scene;
	bool by_policy;   /* run with each policy; otherwise only with `precise' */
	bool by_state;    /* run once for a page in each state */
	bool fails_whole; /* if the operation fails, its page is as it was */
};
extern const struct matrix_row matrix_rows[];
extern const unsigned matrix_nr_rows;
struct matrix_visit {
	const char *name;
	/* False: the result is wrong, and *@v says how. */
	bool (*run)(enum page_state state, struct mm_violation *v);
	bool by_state;
};
extern const struct matrix_visit matrix_visits[];
extern const unsigned matrix_nr_visits;

/* ---- matrix.c ---- */

/* Steps of the operation that is under way, so far. */
u64 matrix_steps(void);
/*
 * Run all cells of the row that arg[0] names, or of "all"; with --part=N only each N-th cell. Or
 * run the cell ROW/POLICY/STATE/VISITOR/STATE/STEP, and show its steps. --json: one line for each
 * row. Returns 0, or 1 if something is wrong.
 */
int matrix_main(int nr, char **arg);

#endif
