/* SPDX-License-Identifier: MIT */
/* explore.h: running operations of several roles under many schedules, on fibers. */
#ifndef QUARRY_RACES_EXPLORE_H
#define QUARRY_RACES_EXPLORE_H

#include "engine.h"
#include "fiber.h"
#include "fiber_stores.h"

#define MAX_CUTS   8
#define MAX_EVENTS 2048
#define MAX_OPS    6 /* operations of one role */

/* A set of operations for each role, after steps that set the scene. */
struct explore_set {
	const char *name;
	/* entries "A:scene ; B:disable"; a letter that is no role adds a CPU */
	const char *setup;
	const char *roles; /* "free(P) | offline(P)=0 | drain; drain" */
	enum iso_policy policy;
};

/* One preemption: the point, and the role that runs next. */
struct cut {
	unsigned at; /* number of the point in the run, from 1 */
	unsigned to;
};
struct plan {
	unsigned nr;
	struct cut cut[MAX_CUTS];
	u8 order[FIBER_CPUS]; /* the order of the roles */
	u64 chance;           /* under the weak model: fiber_chance */
};

enum event_kind { EVENT_START, EVENT_POINT, EVENT_END };
struct event {
	enum event_kind kind;
	unsigned role;
	unsigned nth;   /* POINT: the role's hit of the point; START, END: the operation */
	bool interrupt; /* the role was in an interrupt */
	bool cut;       /* the role was preempted here */
	const char *name;
};

struct outcome {
	char what[RACE_NAME]; /* OK, STUCK, CHECK(id), WRONG(role), CRASH */
	char why[200];
	unsigned points; /* points passed */
	unsigned cuts;   /* preemptions of the plan that happened */
};

/* The set that was read, and the last run's events. */
struct explore {
	struct race_script setup;
	enum iso_policy policy;
	unsigned nr_roles, nr_cpus;
	unsigned nr_ops[RACE_ROLES];
	char op[RACE_ROLES][MAX_OPS][RACE_NAME];
	bool wants[RACE_ROLES][MAX_OPS];
	int want[RACE_ROLES][MAX_OPS];
	struct event event[MAX_EVENTS];
	unsigned nr_events;
	char error[80];
};
extern struct explore ex;

/* Begin a run whose outcome is @out. explore_fail...: report a failure; the first one is kept. */
void explore_begin(struct outcome *out);
void explore_fail(const char *what, const char *why);
void explore_fail_check(const struct mm_violation *v);
bool explore_failed(const struct outcome *out);
/* fiber_main.c: call @drive on @nr CPUs that are fibers; no hook is set before or after it. */
bool fibers_once(unsigned nr, void (*drive)(void *));
/* Boot the fibers of @nr CPUs, and one more; those from @first on idle. */
void fibers_boot(unsigned first, unsigned nr);
bool explore_read(const struct explore_set *set);
void explore_once(const struct plan *plan, struct outcome *out);
/* Run a script on fibers; with a seed other than 0, CPUs are preempted by chance at every point. */
void script_once(const struct race_script *s, struct race_result *res, u64 seed);
struct explore_report {
	u64 schedules; /* schedules that were run */
	u64 failed_at; /* number of the first schedule that failed; 0: none */
	u64 left_out;  /* schedules that were not run, since there are too many */
	struct outcome outcome;
	struct plan plan;
	bool complete; /* all schedules with at most two preemptions were run */
};
/*
 * Run all schedules with at most two preemptions. If there are more than @max, run all with fewer
 * than two preemptions, and a fixed choice of the others, in total about @max.
 */
void explore_all(u64 max, struct explore_report *rep);
/* Called by explore_all after every 512 schedules; NULL: not called. */
extern void (*explore_goes_on)(void);
/* Run up to @max random schedules, until one fails. */
void explore_random(u64 seed, u64 max, struct explore_report *rep);
/*
 * Make the plan of a failure as short as possible, and write a script of it. False: the script does
 * not show the failure.
 */
bool explore_shrink(struct explore_report *rep, char *text, size_t size);

/* ---- fiber_explore.c ---- */

struct explore_options {
	bool json;   /* a line for each set, and not text */
	bool random; /* random schedules, by @seed */
	u64 seed, max;
	/* for given operations; the one schedule to run, or NULL */
	const char *setup, *plan;
	enum iso_policy policy; /* for given operations */
	int model;              /* enum fiber_model; -1: that of each set */
};
/*
 * Run the set called @name, all sets ("all"), or operations: "free(P) | offline(P)=0". False: a
 * schedule has failed, or @name is wrong, which has been printed.
 */
bool explore_named(const char *name, const struct explore_options *o);
/* Print the names of the sets. */
void explore_list(void);
/* For explore_goes_on: prints a line. */
void explore_say_alive(void);

/*
 * fiber_memory.c: run @operations, with ';' between them, on a small memory, and print a line of
 * JSON for the memory at first and for each operation.  False: an operation could not be read, or
 * did not return.  Context: outside all CPUs.
 */
bool play_memory(const char *operations);

#endif
