/* SPDX-License-Identifier: MIT */
/*
 * matrix.c: runs the matrix: each operation, under each policy, with each visitor, a second
 * operation, between any two of its steps.
 *
 * A cell is a row, a policy, a visitor, and the states of the pages that row and visitor choose.
 * It is run once for each step: the operation runs alone up to that step, then the visitor runs
 * until it ends or waits, then the operation goes on, step by step as long as the visitor waits.
 * Steps are the scheduling points that the operation passes, in interrupts of other CPUs too.  All
 * of the memory is checked at each step at which a check is allowed, and at the end.
 *
 * Owns: the cell that is run.
 */
#include "explore.h"
#include "fiber_cpu.h"
#include "matrix.h"
#include <quarry/console.h>
#include <quarry/isolation.h>
#include <quarry/string.h>
#include <stdio.h>
#include <stdlib.h>

#define STEP_NS   1000000 /* time that a step takes while a visitor waits */
#define STEPS_MAX 4000    /* steps of one run; more count as an endless loop */

struct cell {
	const struct matrix_row *row;
	const struct matrix_visit *visit;
	enum iso_policy policy;
	enum page_state state, visited;
	unsigned step; /* the visitor comes at this step; 0: at the end */
};

static struct run {
	struct cell cell;
	unsigned steps; /* steps that the operation has passed */
	u32 have;       /* the page states that occur at the step, a bit for each */
	bool come;      /* the visitor may run */
	bool gone;      /* the visitor has ended */
	bool ended, show;
	struct outcome out;
} run;
static u32 states_at[STEPS_MAX]; /* by step: the states with a page, in the run without a visitor */
static struct race_result unused_result;

u64 matrix_steps(void)
{
	return run.steps;
}

/* ---- one run ---- */

/* The states that pages are in now. */
static u32 states_now(void)
{
	unsigned state;
	u32 set = 0;

	for (state = 0; state < NR_PAGE_STATES; state++)
		set |= (u32)(matrix_find((enum page_state)state) != PFN_NONE) << state;
	return set;
}

static void at_point(unsigned role, const char *name, bool waits)
{
	struct mm_violation v;

	if (waits || run.ended || explore_failed(&run.out))
		return;
	if (!matrix_check(&v))
		explore_fail_check(&v);
	if (run.show)
		printf("  %4u %c %s%s\n", run.steps, (int)('A' + role), name,
		    explore_failed(&run.out) ? " - damage is seen" : "");
	if (role == VISITOR_CPU)
		return;
	if (++run.steps >= STEPS_MAX) {
		explore_fail("STUCK", "the operation does not end");
		fiber_leave();
	}
	if (!run.cell.visit)
		states_at[run.steps] = states_now();
	/* A waiting visitor checks again after each step of the operation, which takes STEP_NS. */
	if (run.steps == run.cell.step || (run.come && role == 0 && !arch_in_interrupt())) {
		run.come = true;
		fiber_clock_advance(STEP_NS);
		if (!run.gone && fiber_can_run(VISITOR_CPU))
			fiber_preempt_to(VISITOR_CPU);
	}
}

static void other_main(void *arg)
{
	race_be(MATRIX_CPUS - 1);
	fiber_idle();
}

static void visitor_main(void *arg)
{
	const struct matrix_visit *visit = run.cell.visit;
	struct mm_violation v = {.what = "?"};

	race_be(VISITOR_CPU);
	while (!run.come)
		fiber_yield();
	if (run.show)
		printf("       B comes\n");
	if (visit && !visit->run(run.cell.visited, &v))
		explore_fail_check(&v);
	if (run.show)
		printf("       B has ended\n");
	run.gone = true;
	fiber_idle();
}

static void set_main(void *arg)
{
	matrix_set(&run.cell.row->scene, run.cell.policy);
	fiber_idle();
}

static void set_visitor_main(void *arg)
{
	matrix_set_visitor();
	fiber_idle();
}

static void row_main(void *arg)
{
	int err;

	race_be(0);
	err = run.cell.row->run(run.cell.state);
	if (run.show)
		printf("       A has ended: %s\n", race_errno(err));
	run.come = true;
	fiber_idle();
}

static void drive(void *arg)
{
	struct mm_violation v;

	fibers_boot(0, MATRIX_CPUS);
	fiber_start("set", 0, set_main, NULL);
	fiber_wait_all();
	fiber_start("set", VISITOR_CPU, set_visitor_main, NULL);
	fiber_wait_all();
	race_begin(MATRIX_CPUS, NULL, &unused_result);
	race_hook = at_point;
	fiber_start("visitor", VISITOR_CPU, visitor_main, NULL);
	fiber_start("other", MATRIX_CPUS - 1, other_main, NULL);
	fiber_start("row", 0, row_main, NULL);
	fiber_wait_all();
	run.ended = true;
	race_end("OK", "");
	if (!explore_failed(&run.out) && !matrix_check_end(&v))
		explore_fail_check(&v);
}

static bool run_cell(const struct cell *cell, bool show)
{
	static const u8 order[FIBER_CPUS] = {0, 2, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11};

	memset(&run, 0, sizeof(run));
	run.cell = *cell;
	run.show = show;
	explore_begin(&run.out);
	fiber_order = order;
	fibers_once(MATRIX_CPUS, drive);
	return !explore_failed(&run.out);
}

/* ---- cells ---- */

static void print_cell(const struct cell *cell)
{
	printf("%s/%s/%s/%s/%s/%u", cell->row->name, iso_policy_name(cell->policy),
	    page_state_name(cell->state), cell->visit ? cell->visit->name : "nobody",
	    page_state_name(cell->visited), cell->step);
}

struct report {
	u64 cells, runs;
	struct cell failed;
	struct outcome out;
};

/* Run the cell once; false: it failed. */
static bool count_run(const struct cell *cell, struct report *rep)
{
	rep->runs++;
	if (run_cell(cell, false))
		return true;
	rep->failed = *cell;
	rep->out = run.out;
	return false;
}

/* Run the visitor at each of @steps steps at which there is a page in the state that it chooses. */
static bool visit_each_step(struct cell cell, unsigned steps, struct report *rep)
{
	rep->cells++;
	for (cell.step = 1; cell.step <= steps; cell.step++) {
		if (cell.visit->by_state && !(states_at[cell.step] >> cell.visited & 1))
			continue;
		if (!count_run(&cell, rep))
			return false;
	}
	return true;
}

/* Run all visitors, in all states, but only each @part-th of these cells. */
static bool visit_row(struct cell cell, unsigned part, struct report *rep)
{
	unsigned i, state, nr = 0, steps;

	if (!count_run(&cell, rep))
		return false;
	steps = run.steps;
	for (i = 0; i < matrix_nr_visits; i++) {
		cell.visit = &matrix_visits[i];
		for (state = 0; state < (cell.visit->by_state ? (unsigned)NR_PAGE_STATES : 1);
		     state++) {
			cell.visited = (enum page_state)state;
			if (nr++ % part == 0 && !visit_each_step(cell, steps, rep))
				return false;
		}
	}
	return true;
}

static bool explore_row(const struct matrix_row *row, unsigned part, struct report *rep)
{
	unsigned policy, state;

	for (policy = 0; policy < NR_ISO_POLICIES; policy++) {
		if (!row->by_policy && policy != ISO_PRECISE)
			continue;
		for (state = 0; state < (row->by_state ? (unsigned)NR_PAGE_STATES : 1); state++) {
			struct cell cell = {.row = row,
			    .policy = (enum iso_policy)policy,
			    .state = (enum page_state)state};

			if (!visit_row(cell, part, rep))
				return false;
		}
	}
	return true;
}

/* ---- a cell by its name ---- */

static bool same_word(const char **text, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*text, word, len) != 0 || ((*text)[len] && (*text)[len] != '/'))
		return false;
	*text += len + ((*text)[len] == '/');
	return true;
}

static bool read_state(const char **text, enum page_state *state)
{
	unsigned i;

	for (i = 0; i < NR_PAGE_STATES; i++) {
		if (!same_word(text, page_state_name((enum page_state)i)))
			continue;
		*state = (enum page_state)i;
		return true;
	}
	return false;
}

static bool read_cell(const char *text, struct cell *cell)
{
	unsigned i;

	*cell = (struct cell){0};
	for (i = 0; i < matrix_nr_rows && !cell->row; i++) {
		if (same_word(&text, matrix_rows[i].name))
			cell->row = &matrix_rows[i];
	}
	for (i = 0; i < NR_ISO_POLICIES; i++) {
		if (same_word(&text, iso_policy_name((enum iso_policy)i)))
			break;
	}
	cell->policy = (enum iso_policy)i;
	if (!cell->row || i == NR_ISO_POLICIES || !read_state(&text, &cell->state))
		return false;
	for (i = 0; i < matrix_nr_visits && !cell->visit; i++) {
		if (same_word(&text, matrix_visits[i].name))
			cell->visit = &matrix_visits[i];
	}
	if (!cell->visit && !same_word(&text, "nobody"))
		return false;
	if (!read_state(&text, &cell->visited))
		return false;
	cell->step = (unsigned)strtoul(text, NULL, 10);
	return true;
}

static void print_report(const char *name, const struct report *rep, bool good, bool json)
{
	if (json) {
		printf("{\"set\": \"matrix %s\", \"cells\": %llu, \"schedules\": %llu, "
		       "\"failed_at\": %llu, \"outcome\": \"%s\", \"why\": \"%s\", \"script\": \"",
		    name, (unsigned long long)rep->cells, (unsigned long long)rep->runs,
		    (unsigned long long)(good ? 0 : rep->runs), good ? "OK" : rep->out.what,
		    rep->out.why);
		if (!good)
			print_cell(&rep->failed);
		printf("\", \"complete\": true}\n");
		return;
	}
	printf("matrix %-14s %4llu cells %7llu runs  %s\n", name, (unsigned long long)rep->cells,
	    (unsigned long long)rep->runs, good ? "OK" : rep->out.what);
	if (!good) {
		printf("  %s\n  to see its steps: --matrix ", rep->out.why);
		print_cell(&rep->failed);
		printf("\n");
	}
}

static bool explore_rows(const char *name, unsigned part, bool json)
{
	bool good = true, any = false;
	struct cell cell;
	unsigned i;

	for (i = 0; i < matrix_nr_rows; i++) {
		struct report rep = {0};
		bool one;

		if (strcmp(name, "all") != 0 && strcmp(name, matrix_rows[i].name) != 0)
			continue;
		any = true;
		one = explore_row(&matrix_rows[i], part, &rep);
		print_report(matrix_rows[i].name, &rep, one, json);
		fflush(stdout);
		good &= one;
	}
	if (any)
		return good;
	if (!read_cell(name, &cell)) {
		fprintf(stderr, "race: no row and no cell of the matrix: %s\n", name);
		return false;
	}
	good = run_cell(&cell, true);
	printf("%s %s\n", run.out.what, run.out.why);
	return good;
}

int matrix_main(int nr, char **arg)
{
	unsigned part = 1;
	bool json = false;
	int i;

	for (i = 1; i < nr; i++) {
		if (!strncmp(arg[i], "--part=", 7))
			part = MAX(1u, (unsigned)strtoul(arg[i] + 7, NULL, 0));
		json |= !strcmp(arg[i], "--json");
	}
	return explore_rows(arg[0], part, json) ? 0 : 1;
}
