/* SPDX-License-Identifier: MIT */
/*
 * step.c: goes through a race one move at a time: roles stop, wait and continue.
 *
 * Every point stops a role.  A move releases one role: it runs to its next point, or until it
 * waits for another, or until its operation has ended.  Meanwhile no other role runs, save
 * interrupts, up to their first point.  Waiting roles check their conditions only when told to:
 * after the move, one after the other; a role whose condition is true runs to its own next point
 * before the next one checks.  So the list of moves decides everything, on fibers as on real CPUs,
 * and the same moves lead to the same end.  The time that operations measure their patience by
 * (sched_time) is counted in moves.
 *
 * Owns:       step: where each role is kept.
 * Locks:      race.lock.
 * Invariants: at most one actor has been released and is not kept again.
 */
#include "step_priv.h"
#include <quarry/console.h>
#include <quarry/sched_point.h>
#include <quarry/smp.h>

struct step step;
struct step_session *step_session;

/* The visits of a role to a point since the setup. */
static struct hit {
	unsigned role, times;
	char name[RACE_NAME];
} hits[WATCHES];
static unsigned nr_hits;

/* ---- where a thread or an interrupt is kept ---- */

/* The role or the helper (a thread that works for the memory) that runs here; NULL: neither. */
static struct actor *my_actor(void)
{
	const struct role *r = race_my_role();
	const struct mm_task *task;
	unsigned i;

	if (r)
		return &step.actor[r - race.role];
	if (arch_in_interrupt())
		return NULL;
	task = port_task();
	for (i = 0; i < READ_ONCE(step.nr_helpers); i++)
		if (step.actor[RACE_ROLES + i].task == task)
			return &step.actor[RACE_ROLES + i];
	return NULL;
}

static unsigned number_of(const struct actor *a)
{
	return (unsigned)(a - step.actor);
}

struct frame *step_top(unsigned role)
{
	struct frame *f = step.actor[role].frame;

	return f[1].kind ? &f[1] : f[0].kind ? &f[0] : NULL;
}

/* The visits of this role to this point, including this one. */
static unsigned count_hit(unsigned role, const char *name)
{
	struct hit *h;

	for (h = hits; h < hits + nr_hits; h++)
		if (h->role == role && !strcmp(h->name, name))
			return ++h->times;
	if (nr_hits == WATCHES)
		return 0;
	nr_hits++;
	h->role = role;
	h->times = 1;
	ksnprintf(h->name, sizeof(h->name), "%s", name);
	return 1;
}

static void keep(struct frame *f, enum frame_kind kind, bool irqs_on)
{
	f->kind = kind;
	f->irqs_on = irqs_on;
	f->mover = step.mover;
	f->go = f->woken = f->written = false;
	f->tried = true;
	f->serial = ++step.serial;
}

void step_point(struct role *r, const char *name)
{
	struct actor *a = &step.actor[r - race.role];
	struct frame *f = &a->frame[arch_in_interrupt()];
	bool irqs_on = arch_irqs_enabled();
	irqflags_t flags;

	/*
	 * Between operations the role's thread may act as the idle thread of a CPU that goes down
	 * or comes up: do not stop it.
	 */
	if (!READ_ONCE(r->running) && !arch_in_interrupt())
		return;
	stores_hold();
	flags = race_enter();
	ksnprintf(f->name, sizeof(f->name), "%s", name);
	ksnprintf(r->last, sizeof(r->last), "%s", name);
	f->nth = count_hit(number_of(a), name);
	keep(f, FRAME_STOP, irqs_on);
	while (!race.over && !f->go) {
		race_leave(flags);
		cpu_relax();
		flags = race_enter();
	}
	*f = (struct frame){.kind = FRAME_NONE};
	race_leave(flags);
	stores_go_on();
}

/* Note the name only: a wait begins with the first check that fails. */
void step_will_wait(const char *lock, const char *point)
{
	struct actor *a = my_actor();
	struct frame *f;
	irqflags_t flags;

	if (!a)
		return;
	f = &a->frame[arch_in_interrupt()];
	flags = race_enter();
	ksnprintf(f->name, sizeof(f->name), "%s", lock);
	if (number_of(a) < RACE_ROLES)
		f->nth = count_hit(number_of(a), point);
	race_leave(flags);
}

/* True: the wait is part of the race; short waits inside the scheduler or the console are not. */
static bool counts(const struct frame *f, const void *what)
{
	return ops_owns(what) || what == &cpu_hotplug.l.wq.first || !strcmp(f->name, "answer");
}

/* Called with interrupts as they are during the wait, so an interrupt may be served here. */
void race_look(const void *what)
{
	struct actor *a;
	struct frame *f;
	irqflags_t flags;

	if (!READ_ONCE(race.stepping))
		return;
	a = my_actor();
	if (!a)
		return;
	f = &a->frame[arch_in_interrupt()];
	flags = race_enter();
	while (!race.over && f->kind == FRAME_WAIT && f->what == what && !f->go) {
		race_leave(flags);
		cpu_relax();
		flags = race_enter();
	}
	race_leave(flags);
}

/* A thread that is no role but waits for a part of the memory is the reclaim thread. */
static struct actor *add_helper(const void *what)
{
	struct actor *a = NULL;
	irqflags_t flags;

	if (arch_in_interrupt() || race_my_role() || !ops_owns(what))
		return NULL;
	flags = race_enter();
	if (step.nr_helpers < STEP_HELPERS) {
		a = &step.actor[RACE_ROLES + step.nr_helpers];
		*a = (struct actor){.task = port_task()};
		WRITE_ONCE(step.nr_helpers, step.nr_helpers + 1);
	}
	race_leave(flags);
	return a;
}

bool race_looked(const void *what, bool sleeps, bool found)
{
	bool irqs_on = arch_irqs_enabled();
	struct actor *a;
	struct frame *f;
	irqflags_t flags;

	if (!READ_ONCE(step.tracking))
		return found;
	a = my_actor();
	if (!a && sleeps && !found)
		a = add_helper(what);
	if (!a || (number_of(a) < RACE_ROLES && !READ_ONCE(race.stepping)))
		return found;
	f = &a->frame[arch_in_interrupt()];
	flags = race_enter();
	if (f->kind == FRAME_WAIT) {
		if (f->what == what && found)
			*f = (struct frame){.kind = FRAME_NONE};
		else if (f->what == what)
			f->go = false;
	} else if (found) {
		f->name[0] = '\0';
	} else if ((sleeps || f->name[0]) && counts(f, what)) {
		f->what = what;
		f->sleeps = sleeps;
		keep(f, FRAME_WAIT, irqs_on);
	}
	race_leave(flags);
	return found;
}

void race_wake(const void *what)
{
	irqflags_t flags;
	unsigned i, j;

	if (!READ_ONCE(step.tracking))
		return;
	flags = race_enter();
	for (i = 0; i < ARRAY_SIZE(step.actor); i++)
		for (j = 0; j < 2; j++)
			if (step.actor[i].frame[j].kind == FRAME_WAIT &&
			    step.actor[i].frame[j].what == what)
				step.actor[i].frame[j].woken = true;
	race_leave(flags);
}

/* True: the caller is an operation of a role. */
static bool operates(void)
{
	const struct role *r;

	if (likely(!READ_ONCE(race.stepping)) || arch_in_interrupt())
		return false;
	r = race_my_role();
	return r && READ_ONCE(r->running);
}

bool race_turns(bool had)
{
	return had || operates();
}

u64 race_time(u64 ns)
{
	if (!operates())
		return ns;
	return race_over() ? MAX(ns, step.clock) : READ_ONCE(step.clock);
}

/* ---- operations ---- */

static unsigned op_from(unsigned role, unsigned i)
{
	const struct race_script *s = race.script;

	while (i < s->nr &&
	    (s->entry[i].role != role ||
	        (s->entry[i].kind != RACE_START && s->entry[i].kind != RACE_RUN)))
		i++;
	return i;
}

const struct race_entry *step_next_op(unsigned role)
{
	struct actor *a = &step.actor[role];
	const struct race_entry *e;

	if (!race.stepping || !a->start)
		return NULL;
	e = &race.script->entry[a->next];
	a->start = false;
	a->next = op_from(role, a->next + 1);
	step_made_started(&step_session->made, role, e->op);
	return e;
}

void step_op_ended(unsigned role, int result)
{
	if (race.over)
		return;
	step_made_ended(&step_session->made, role, result);
	step.actor[role].ended = race.role[role].op;
	step_session->ended |= role == step.mover;
	step.actor[role].frame[0] = (struct frame){.kind = FRAME_NONE};
}

/* ---- begin and end ---- */

void step_prepare(void)
{
	memset(&step, 0, sizeof(step));
	nr_hits = 0;
	store_release(&step.tracking, 1u);
}

void step_start(void)
{
	unsigned role;

	for (role = 0; role < race.nr_roles; role++)
		step.actor[role].next = op_from(role, race.script->first);
	step.clock = arch_clock_ns();
	step.mover = NO_ROLE;
	store_release(&race.stepping, 1u);
}

void step_finish(void)
{
	store_release(&step.tracking, 0u);
	store_release(&race.stepping, 0u);
}
