/* SPDX-License-Identifier: MIT */
/*
 * race_migrate.h: a migration that a test can hold between two of its steps.
 *
 * The file that includes this gets its own copy of migrate_lru_batch with scheduling points in it.  A
 * struct race_migrate says where it stops; the test lets it go on.  It keeps its CPU meanwhile, with
 * interrupts on, and takes shootdowns.
 */
#ifndef QUARRY_TESTS_RACE_MIGRATE_H
#define QUARRY_TESTS_RACE_MIGRATE_H

#include "tests/vm_help.h"

/* Turns of a wait before it counts as failed: seconds, where the right answer takes microseconds. */
#define RACE_TURNS (1u << 25)
#define RACE_CPUS  8

struct race_migrate {
	struct memory *mem;
	struct page *page;  /* to isolate and move */
	const char *point;  /* where to stop */
	u32 held;           /* a: it has stopped */
	u32 release;        /* a: go on */
	u32 gave_up;        /* a: nobody released it */
	int isolated, err;  /* of isolate_lru_page; of the move */
};

static struct race_migrate *race_of[RACE_CPUS]; /* by the CPU that moves */

static inline bool race_wait(const u32 *flag)
{
	unsigned turn;

	for (turn = 0; turn < RACE_TURNS; turn++) {
		if (load_acquire(flag))
			return true;
		cpu_relax();
	}
	return false;
}

static inline void race_migrate_point(const char *name)
{
	struct race_migrate *r = race_of[arch_cpu_id() % RACE_CPUS];

	if (!r || strcmp(name, r->point) != 0)
		return;
	store_release(&r->held, 1u);
	if (!race_wait(&r->release))
		store_release(&r->gave_up, 1u);
}

#undef SCHED_POINT
#define SCHED_POINT(name) race_migrate_point(name)
#include "mm/migrate_lru_body.h"

/* On the CPU that shall be held: one try. */
static inline void race_migrate_run(void *arg)
{
	struct race_migrate *r = arg;

	r->isolated = isolate_lru_page(r->mem, page_to_pfn_in(r->mem, r->page));
	if (r->isolated)
		return;
	race_of[arch_cpu_id() % RACE_CPUS] = r;
	migrate_lru_batch(r->mem, &r->page, 1, &r->err);
	race_of[arch_cpu_id() % RACE_CPUS] = NULL;
	if (r->err && r->err != -ENOENT)
		putback_lru_page(r->mem, r->page);
	else
		mem_put_page(r->mem, r->page);
}

/* Start it on @cpu and wait until it is held. */
static inline bool race_migrate_start(struct race_migrate *r, unsigned cpu)
{
	ktest_start(cpu, race_migrate_run, r);
	return race_wait(&r->held);
}

/* Let it go on and wait for its end. */
static inline void race_migrate_end(struct ktest *t, struct race_migrate *r, unsigned cpu)
{
	store_release(&r->release, 1u);
	ktest_join(cpu);
	EXPECT_EQ(t, r->gave_up, 0);
	EXPECT_EQ(t, r->isolated, 0);
}

#endif
