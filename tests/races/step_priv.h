/* SPDX-License-Identifier: MIT */
/*
 * step_priv.h: shared by step.c, where roles stop and are released, and its observers:
 * step_show.c and step_script.c.
 */
#ifndef QUARRY_RACES_STEP_PRIV_H
#define QUARRY_RACES_STEP_PRIV_H

#include "engine_priv.h"
#include "step.h"

#define STEP_HELPERS 2
#define NO_ROLE      (~0u)

enum frame_kind { FRAME_NONE, FRAME_STOP, FRAME_WAIT };

/*
 * The place where a thread, or an interrupt on top of it, is kept. FRAME_NONE: it runs, or is not
 * there.
 */
struct frame {
	enum frame_kind kind;
	/* STOP: the point; WAIT: the awaited thing; NONE: the awaited thing, if a wait follows */
	char name[RACE_NAME];
	unsigned nth;     /* number of the hit of the point, or of lock.wait(...) */
	unsigned mover;   /* the role whose move led here */
	const void *what; /* WAIT: the lock, the queue */
	bool irqs_on;
	bool sleeps;       /* WAIT: checks again only when woken */
	bool woken, tried; /* WAIT: woken since its last check; checked since the last change */
	bool go;           /* the role may pass the point, or check its condition */
	bool written;      /* the script that is made mentions this stop or wait */
	u32 serial;        /* different for each stop and wait */
};

/* A role; or a thread that works for the memory, which stops at no point. */
struct actor {
	const struct mm_task *task; /* of a helper; NULL for roles */
	struct frame frame[2];      /* place of its thread; place of an interrupt on its CPU */
	unsigned next;              /* entry of the script that has its next operation; nr: none */
	bool start;                 /* the role may begin that operation */
	const char *ended;          /* the last operation that has ended */
	char noted[96];             /* its place when the trace was written last */
};

struct step {
	struct actor actor[RACE_ROLES + STEP_HELPERS];
	unsigned nr_helpers;
	unsigned mover;  /* the role released last */
	bool others_too; /* the last move let waiting roles continue */
	u32 tracking;    /* atomic: waits are checked */
	u32 serial;
	u64 clock; /* atomic: the clock by which roles measure their patience */
};
extern struct step step; /* under race.lock */

/* The place where @role is kept: the interrupt's, if there is one.  NULL: it is not kept. */
struct frame *step_top(unsigned role);
/* The setup is over: from now on points stop roles. */
void step_start(void);

/* ---- step_drive.c ---- */

/* The CPU that @role waits for, to take it down or up, while that CPU is held up; nr_cpus: none. */
unsigned step_waits_for_cpu(unsigned role);

/* ---- step_show.c ---- */

/* Describe the place of @role in words. */
size_t step_where(unsigned role, char *buf, size_t size);
/* Describe page P in words. */
size_t step_page(char *buf, size_t size);
/* Print the whole state, one line for each part. */
void step_show(struct step_session *session);
/* Say why no role but @role can continue: which role waits for which. */
void step_why_stuck(unsigned role, char *buf, size_t size);

/* ---- step_script.c: the script of the moves made ---- */

void step_made_begin(struct race_script *made, const struct race_script *s);
void step_made_move(struct race_script *made, unsigned role);
void step_made_started(struct race_script *made, unsigned role, const char *op);
void step_made_ended(struct race_script *made, unsigned role, int result);
/*
 * How the race ended.  STEP_CHECKED: no role runs any more, and the checks have been made;
 * STEP_STUCK: no role can continue; STEP_LEFT: the reader has left before the end.
 */
enum step_end { STEP_CHECKED, STEP_STUCK, STEP_LEFT };
void step_made_end(struct race_script *made, enum step_end how);

#endif
