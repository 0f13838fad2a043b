/* SPDX-License-Identifier: MIT */
/*
 * step.h: stepping through a race one move at a time, with moves chosen by a reader, a list, or a
 * seed.
 *
 * A script gives the setup, the policy, and for each role its operations; their order is left open.
 * docs/races/README.md, "Stepping".
 */
#ifndef QUARRY_RACES_STEP_H
#define QUARRY_RACES_STEP_H

#include "engine.h"

#define STEP_MOVES 1000
#define STEP_QUIT  (-1)

struct step_session {
	/* The role that moves next, one of the bits of @movable, or STEP_QUIT. */
	int (*choose)(struct step_session *session, unsigned movable);
	/* Print a line; NULL: nothing is shown. */
	void (*say)(const char *line);
	/*
	 * For choose: the next key, or -1 if there are no more; the moves to make before the first
	 * key; the state of the random choice.
	 */
	int (*key)(void);
	const char *given;
	u64 rand;
	int run;   /* the role that moves without further keys; -1: none */
	bool back; /* the reader has chosen a step back */
	bool hush; /* the given moves are not shown */

	bool ended; /* the operation of the role that moved last has ended */

	/* The result: the roles that moved, a letter each; and the script of that order. */
	unsigned nr_moves;
	char moves[STEP_MOVES + 1];
	struct race_script made;
};

/* ---- step.c ---- */

/* While it is not NULL, race_run follows this session instead of the script. */
extern struct step_session *step_session;

/* A hash of all that is shown between two moves. */
u64 step_look_hash(void);

/* ---- step_play.c ---- */

/*
 * Step through @s by keys, after the moves of @given, a letter each. False: one of these moves was
 * not possible. For a step back @s is run again, without its last move.
 */
bool step_by_keys(const struct race_script *s, const char *given, int (*key)(void),
    void (*say)(const char *line));
/* Run @s in an order that derives from @seed, and print the result.  True: the outcome was OK. */
bool step_by_seed(
    const struct race_script *s, u64 seed, bool always, void (*say)(const char *line));
/* How a script is run: race_run, or a function around it. */
extern void (*step_run)(const struct race_script *s, struct race_result *res);

#endif
