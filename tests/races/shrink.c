/* SPDX-License-Identifier: MIT */
/*
 * shrink.c: makes a schedule that fails as short as possible, and a script that shows the same
 * failure.
 *
 * A shorter plan or script is not trusted: it counts only if it fails in the same way when it is
 * run.
 *
 * Owns: nothing.
 */
#include "explore.h"
#include <quarry/console.h>

#define JITTERS 12 /* seeds of the disturbances; a script must fail with each */

static struct race_script candidate;
static struct race_result result;

static bool same_failure(const struct plan *plan, const char *what)
{
	struct outcome out;

	explore_once(plan, &out);
	return !strcmp(out.what, what);
}

static void drop_cuts(struct explore_report *rep)
{
	unsigned i, j;

	for (i = 0; i < rep->plan.nr;) {
		struct plan shorter = rep->plan;

		for (j = i + 1; j < shorter.nr; j++)
			shorter.cut[j - 1] = shorter.cut[j];
		shorter.nr--;
		if (same_failure(&shorter, rep->outcome.what)) {
			rep->plan = shorter;
			i = 0;
		} else {
			i++;
		}
	}
}

/* ---- a script of the last run's events ---- */

struct maker {
	struct race_script *s;
	bool held[RACE_ROLES];
	const struct event *at[RACE_ROLES]; /* the point where the role is held */
};

static void add(
    struct race_script *s, enum race_kind kind, unsigned role, const char *name, unsigned nth)
{
	struct race_entry *e = &s->entry[s->nr];

	if (s->nr >= RACE_ENTRIES - RACE_ROLES - 2)
		return;
	*e = (struct race_entry){.kind = kind, .role = role};
	if (kind <= RACE_LEAVE) {
		e->nr_places = 1;
		e->place[0].nth = nth;
		ksnprintf(e->place[0].name, RACE_NAME, "%s", name);
	} else {
		ksnprintf(e->op, RACE_NAME, "%s", name);
	}
	s->nr++;
}

static void number_points(void)
{
	unsigned i, j;

	for (i = 0; i < ex.nr_events; i++) {
		struct event *e = &ex.event[i];

		for (j = 0; e->kind == EVENT_POINT && j <= i; j++)
			e->nth += ex.event[j].kind == EVENT_POINT && ex.event[j].role == e->role &&
			    !strcmp(ex.event[j].name, e->name);
	}
}

static void add_event(struct maker *m, const struct event *e, const struct event *next)
{
	bool last = !next || next->role != e->role || next->interrupt != e->interrupt;

	if (m->held[e->role] && !e->interrupt) {
		const struct event *at = m->at[e->role];

		m->held[e->role] = false;
		add(m->s, RACE_LEAVE, e->role, at->name, at->nth);
	}
	if (e->kind == EVENT_START)
		add(m->s, RACE_START, e->role, e->name, 0);
	else if (e->kind == EVENT_END)
		add(m->s, RACE_JOIN, e->role, "", 0);
	else if (e->cut || last)
		add(m->s, RACE_ARRIVE, e->role, e->name, e->nth);
	if (e->cut) {
		m->held[e->role] = true;
		m->at[e->role] = e;
	}
}

/*
 * Make entries of the last run: the points where a role gave way to another, and the order of all
 * operations.
 */
static void make_script(struct race_script *s)
{
	struct maker m = {.s = s};
	unsigned i, j, role, ended[RACE_ROLES] = {0};

	*s = ex.setup;
	ksnprintf(s->name, sizeof(s->name), "found");
	s->first = s->nr;
	s->policy = ex.policy;
	s->tso = fiber_model == FIBER_TSO;
	/* CPUs that only the setup names are roles in a script */
	s->nr_roles = s->nr_cpus = ex.nr_cpus;
	number_points();
	for (i = 0; i < ex.nr_events; i++) {
		const struct event *e = &ex.event[i], *next = NULL;

		if (i + 1 < ex.nr_events)
			next = &ex.event[i + 1];
		add_event(&m, e, next);
		if (e->kind == EVENT_START)
			ended[e->role] = 1;
		else if (e->kind == EVENT_END)
			ended[e->role] = 0;
	}
	for (role = 0; role < ex.nr_roles; role++)
		if (ended[role])
			add(s, RACE_JOIN, role, "", 0);
	s->entry[s->nr++] = (struct race_entry){.kind = RACE_CHECK, .op = "final"};
	for (i = s->first; i < s->nr; i++) {
		struct race_entry *e = &s->entry[i];
		unsigned op = 0;

		for (j = s->first; e->kind == RACE_JOIN && j < i; j++)
			op += s->entry[j].kind == RACE_JOIN && s->entry[j].role == e->role;
		if (e->kind == RACE_JOIN && op < MAX_OPS) {
			e->wants = ex.wants[e->role][op];
			e->want = ex.want[e->role][op];
		}
	}
}

static bool script_fails(const struct race_script *s, const char *what)
{
	u64 seed;

	for (seed = 0; seed <= JITTERS; seed++) {
		script_once(s, &result, seed);
		if (strcmp(result.outcome, what) != 0)
			return false;
	}
	return true;
}

static bool without(struct race_script *s, unsigned i, const char *what)
{
	static struct race_script shorter;

	shorter = *s;
	memmove(&shorter.entry[i], &shorter.entry[i + 1], (s->nr - i - 1) * sizeof(s->entry[0]));
	shorter.nr--;
	if (!script_fails(&shorter, what))
		return false;
	*s = shorter;
	return true;
}

/* Leave out, one at a time, points that are not needed. */
static void drop_entries(struct race_script *s, const char *what)
{
	bool again = true;
	unsigned i;

	while (again) {
		again = false;
		for (i = s->first; i < s->nr; i++) {
			if (s->entry[i].kind > RACE_LEAVE)
				continue;
			if (without(s, i, what)) {
				again = true;
				i--;
			}
		}
	}
}

bool explore_shrink(struct explore_report *rep, char *text, size_t size)
{
	struct outcome out;
	const char *what = rep->outcome.what;

	drop_cuts(rep);
	explore_once(&rep->plan, &out);
	text[0] = '\0';
	if (fiber_model == FIBER_WEAK)
		return false; /* a script does not say which stores arrive */
	make_script(&candidate);
	if (!script_fails(&candidate, what)) {
		race_write(&candidate, what, text, size);
		return false;
	}
	drop_entries(&candidate, what);
	race_write(&candidate, what, text, size);
	return true;
}
