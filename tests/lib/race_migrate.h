/* SPDX-License-Identifier: MIT */
/*
 * race_migrate.h: a migration that a test can hold between two of its steps.
 *
 * race_migrate.c has its own copy of migrate_lru_batch with scheduling points in it.  A struct
 * race_migrate sets where the copy stops; the test releases it. While the migration is held, it
 * keeps its CPU, with interrupts on, and serves shootdowns.
 */
#ifndef QUARRY_TESTS_RACE_MIGRATE_H
#define QUARRY_TESTS_RACE_MIGRATE_H

#include "tests/lib/vm_help.h"
#include "tests/lib/wait_help.h"

#define WAITERS_NS 5000000000ULL /* time limit until all waiters wait */
#define RACE_CPUS  8

struct race_migrate {
	struct memory *mem;
	struct page *page; /* the page to isolate and move */
	const char *point; /* the scheduling point to stop at */
	u32 held;          /* atomic: the migration has stopped at @point */
	u32 ended;         /* atomic: the migration has ended */
	u32 release;       /* atomic: go on */
	u32 gave_up;       /* atomic: the migration was never released */
	int isolated, err; /* results of isolate_lru_page and of the move */
};

/*
 * Try once to move @page, which is isolated. Only a try of race_migrate_start is held. Returns 0,
 * or the error because of which the page stays.
 */
int race_migrate_try(struct memory *mem, struct page *page);

/* Start @r on @cpu and wait until it is held. False: it was not held. */
bool race_migrate_start(struct race_migrate *r, unsigned cpu);

/* Release @r and wait for its end. */
void race_migrate_end(struct ktest *t, struct race_migrate *r, unsigned cpu);

/* ---- a scene, and a migrator held in it ---- */

#define WAITERS 3 /* at most: one waiter on each CPU from 2 on */

/* A scene of 4 written pages, and a migrator of the page in slot 1. */
struct stage {
	struct ktest *t;
	struct vm_scene s;
	struct race_migrate r;
};

bool stage_begin(struct ktest *t, struct stage *st, const char *point);

/* Expect the move to have ended with @err and all memory to be back. */
void stage_end(struct stage *st, int err);

pfn_t stage_source(const struct stage *st);

void expect_content(struct stage *st);

/* ---- readers that wait for the migration ---- */

struct toucher {
	struct vm_space *space;
	uintptr_t va;
	u64 value;
	int err;
	u32 done; /* atomic */
};

void toucher_run(void *arg);

/*
 * Start a reader of @va on each CPU from 2 on, WAITERS at most, and wait until all of them wait.
 * Returns their number.
 */
unsigned start_waiters(struct stage *st, struct toucher *w, struct vm_space *space, uintptr_t va);

void join_waiters(struct stage *st, const struct toucher *w, unsigned nr, u64 value);

#endif
