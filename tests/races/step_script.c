/* SPDX-License-Identifier: MIT */
/*
 * step_script.c: the script of the moves that were made, ready to be run.
 *
 * Moves of one role that follow each other need no entry.  Before another role moves, each role
 * that is kept or waits gets an entry "role?P".  A role gets an entry "role@P" if it continues from
 * such a place, from a place that it reached by another role's move, or after other roles have
 * continued.
 *
 * Owns: nothing; the script is the session's.
 */
#include "step_priv.h"
#include <quarry/console.h>
#include <quarry/string.h>

static struct race_entry *add(struct race_script *made, enum race_kind kind, unsigned role)
{
	static struct race_entry full;
	struct race_entry *e = &made->entry[made->nr];

	if (made->nr == RACE_ENTRIES) {
		ksnprintf(made->error, sizeof(made->error), "more than %u entries", RACE_ENTRIES);
		return &full;
	}
	made->nr++;
	*e = (struct race_entry){.kind = kind, .role = role};
	return e;
}

static void add_place(
    struct race_script *made, enum race_kind kind, unsigned role, const struct frame *f)
{
	struct race_entry *e = add(made, kind, role);
	struct race_place *p = &e->place[0];

	e->nr_places = 1;
	p->nth = f->nth;
	ksnprintf(
	    p->name, sizeof(p->name), f->kind == FRAME_WAIT ? "lock.wait(%s)" : "%s", f->name);
}

void step_made_begin(struct race_script *made, const struct race_script *s)
{
	*made = *s;
	made->nr = made->first;
	made->expect[0] = '\0';
}

/* Write the points that @role, which does not move, has reached since its last entry. */
static void write_arrivals(struct race_script *made, unsigned role)
{
	struct actor *a = &step.actor[role];
	unsigned i;

	for (i = 0; i < 2; i++) {
		struct frame *f = &a->frame[i];

		/*
		 * An idle role's wait in an interrupt is not part of an operation, and the reclaim
		 * thread is no role.
		 */
		if (!f->kind || f->written ||
		    (f->kind == FRAME_WAIT && (i || !strncmp(f->name, "reclaim", 7))))
			continue;
		add_place(made, RACE_ARRIVE, role, f);
		f->written = true;
	}
}

void step_made_move(struct race_script *made, unsigned role)
{
	const struct frame *f = step_top(role);
	unsigned i;

	for (i = 0; i < race.nr_roles; i++)
		if (i != role)
			write_arrivals(made, i);
	if (f && (f->written || f->mover != role || step.others_too))
		add_place(made, RACE_LEAVE, role, f);
}

void step_made_started(struct race_script *made, unsigned role, const char *op)
{
	struct race_entry *e = add(made, RACE_START, role);

	ksnprintf(e->op, sizeof(e->op), "%s", op);
}

/* An operation that began and ended with nothing in between is run as a whole. */
void step_made_ended(struct race_script *made, unsigned role, int result)
{
	struct race_entry *e = made->nr > made->first ? &made->entry[made->nr - 1] : NULL;

	if (e && e->kind == RACE_START && e->role == role)
		e->kind = RACE_RUN;
	else
		e = add(made, RACE_JOIN, role);
	e->wants = true;
	e->want = result;
}

void step_made_end(struct race_script *made, enum step_end how)
{
	unsigned i;

	for (i = 0; i < race.nr_roles; i++) {
		if (how == STEP_LEFT)
			write_arrivals(made, i);
		else if (how == STEP_STUCK && race.role[i].running)
			add(made, RACE_JOIN, i);
	}
	if (how == STEP_CHECKED)
		ksnprintf(add(made, RACE_CHECK, 0)->op, RACE_NAME, "final");
}
