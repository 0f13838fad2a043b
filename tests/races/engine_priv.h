/* SPDX-License-Identifier: MIT */
/*
 * engine_priv.h: shared by engine.c, where roles pass points, and run.c, where runs begin and end.
 */
#ifndef QUARRY_RACES_ENGINE_PRIV_H
#define QUARRY_RACES_ENGINE_PRIV_H

#include "engine.h"

#define WATCHES 128
#define COUNTED 8

struct role {
	struct mm_task *task; /* mm_task of the thread that plays the role */
	struct thread *thread;
	bool ready, running;
	bool waits;           /* its last point was a wait for a lock or an answer */
	u32 parked;           /* points at which it is kept; 2 if one of them is in an interrupt */
	u32 passes;           /* points passed since the last step while no other role could move */
	int result;           /* result of its last operation */
	const char *op;       /* the last operation, or the one under way */
	char last[RACE_NAME]; /* the point that it hit last */
};

/* Hits of one point by one role. */
struct watch {
	unsigned role;
	const char *name;
	unsigned hits;
};

/* A point whose hits by any role are counted, from the first traced entry on. */
struct counted {
	const char *name;
	u32 hits; /* atomic */
};

struct race_state {
	const struct race_script *script;
	struct race_result *res;
	struct role role[RACE_ROLES + 1]; /* the last one is RACE_RECLAIM */
	struct watch watch[WATCHES];
	struct counted counted[COUNTED];
	unsigned nr_roles, nr_watches, nr_counted;
	u32 lock;     /* atomic */
	u32 active;   /* atomic: points follow the script */
	u32 cursor;   /* under lock */
	u32 over;     /* atomic: the outcome is known: no point stops a role */
	u32 stepping; /* atomic: after the setup, step.c chooses the moves instead of the script */
};
extern struct race_state race;

/* Take and release race.lock, with interrupts off.  The functions below run under it. */
irqflags_t race_enter(void);
void race_leave(irqflags_t flags);
/* Set the outcome, unless it is known; from then on no point stops a role. */
void race_set_outcome(const char *outcome, const char *why);
void race_stuck(const char *what);
/*
 * Record the step at the cursor and advance the cursor. race_step_result: the step is the end of an
 * operation.
 */
void race_step(const char *what, const char *outcome);
void race_step_result(const struct race_entry *e, const struct role *r);
/*
 * race_watch is called in each pass of a wait for the script, without race.lock. It ends the run as
 * STUCK if nothing has moved for long.
 */
struct race_watchdog {
	u64 since;
	u32 cursor, turns;
};
void race_watch(struct race_watchdog *dog);
/* Take the steps that no role is going to take. */
void race_settle(void);
/*
 * The role that runs here: in an interrupt the CPU's, whatever thread was interrupted.  NULL: none.
 */
struct role *race_my_role(void);

/* ---- step.c, for engine.c and run.c ---- */

/*
 * step_point: a role comes to a point and is kept there. step_will_wait: a role is about to wait
 * for @lock; @point is lock.wait(...).
 */
void step_point(struct role *r, const char *name);
void step_will_wait(const char *lock, const char *point);
/* The operation that @role may begin now, or NULL. Note its end. Both under race.lock. */
const struct race_entry *step_next_op(unsigned role);
void step_op_ended(unsigned role, int result);
/*
 * step_prepare: called before the memory is built. step_drive: chooses the moves from the setup to
 * the outcome, instead of the script. step_finish: called at the end.
 */
void step_prepare(void);
void step_drive(void);
void step_finish(void);

/* ---- run.c, for step.c ---- */

/* A check that failed: the invariant, the outcome, and a description in words. */
struct race_finding {
	char id[16], outcome[RACE_NAME], why[200];
};
/* Make a check in the caller's thread.  False: *found is filled in. */
bool race_check(const char *what, struct race_finding *found);

#endif
