/* SPDX-License-Identifier: MIT */
/*
 * step.c: goes through a race one move at a time.
 *
 * Every point stops a role.  A move lets one role go on, to its next point, or until it waits for
 * another, or its operation has ended.  Meanwhile nobody else runs, save interrupts, up to their first
 * point.  Who waits looks at what it waits for when it is told to: after the move, one after the other,
 * and who finds it goes on to its own next point before the next one looks.  So the list of
 * moves decides everything, on fibers as on real CPUs, and the same moves lead to the same end.
 * Time, as roles see it, is counted in moves: it stands still while somebody thinks.
 *
 * Owns:       step: where everybody is kept.
 * Locks:      race.lock.
 * Invariants: at most one actor has been let go and is not kept again.
 */
#include "step_priv.h"
#include <quarry/sched_point.h>
#include <quarry/smp.h>

#define MOVE_NS    10000000ULL    /* of the roles' time */
#define LOOK_NS    1000           /* what a look at the clock takes */
#define SETTLE_NS  20000000000ULL /* of the machine's: a role that has not come back by then never will */
#define TURNS_PER_LOOK 256
/* The same picture so often, and only one role that can move: it is let go on alone, so many times. */
#define ROUNDS     3
#define ALONE      200
#define PICTURES   64

struct step step;
struct step_session *step_session;

/* How often a role has been at a point, since the setup. */
static struct hit {
	unsigned role, times;
	char name[RACE_NAME];
} hits[WATCHES];
static unsigned nr_hits;

/* ---- where a thread or an interrupt is kept ---- */

/* The role that runs here, or the helper; NULL: neither. */
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

/* How often this role has been at this point, with this time. */
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
	irqflags_t flags = race_enter();

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
}

/* A wait begins with the first look that finds nothing. */
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

/* Waits that come and go inside the scheduler or the console are no part of the race. */
static bool counts(const struct frame *f, const void *what)
{
	return ops_owns(what) || what == &cpu_hotplug.wq.first || !strcmp(f->name, "answer");
}

/* Called with interrupts as they are during the wait, which may serve one. */
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

/* A thread that is no role and waits for something of the memory works for it: the reclaim thread. */
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
			if (step.actor[i].frame[j].kind == FRAME_WAIT && step.actor[i].frame[j].what == what)
				step.actor[i].frame[j].woken = true;
	race_leave(flags);
}

u64 race_time(u64 ns)
{
	if (likely(!READ_ONCE(race.stepping)) || arch_in_interrupt() || !race_my_role())
		return ns;
	return race_over() ? MAX(ns, step.clock) : atomic_add(&step.clock, LOOK_NS);
}

/* ---- operations ---- */

static unsigned op_from(unsigned role, unsigned i)
{
	const struct race_script *s = race.script;

	while (i < s->nr && (s->entry[i].role != role ||
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

/* ---- until nobody runs any more ---- */

static bool takes_interrupts(unsigned cpu)
{
	const struct frame *f = step.actor[cpu].frame;

	return cpu >= race.nr_roles || (!f[1].kind && (!f[0].kind || f[0].irqs_on));
}

static bool is_kept(unsigned i)
{
	const struct frame *f = step_top(i);

	if (f)
		return !f->go;
	return i < RACE_ROLES && !race.role[i].running && !step.actor[i].start;
}

/* Is everybody kept, and no interrupt on its way?  Under race.lock. */
static bool all_kept(void)
{
	unsigned i, from;

	for (i = 0; i < race.nr_roles; i++)
		if (!is_kept(i))
			return false;
	for (i = 0; i < step.nr_helpers; i++)
		if (!is_kept(RACE_ROLES + i))
			return false;
	for (i = 0; i < nr_cpus; i++)
		for (from = 0; from < nr_cpus; from++)
			if (takes_interrupts(i) && smp_unanswered(from, i))
				return false;
	return true;
}

static bool settled(void)
{
	u32 turns = 0;
	u64 since = 0, now;
	irqflags_t flags;
	bool kept;

	for (;;) {
		flags = race_enter();
		kept = all_kept();
		race_leave(flags);
		if (kept || race_over())
			return kept;
		thread_yield();
		if (++turns % TURNS_PER_LOOK)
			continue;
		now = arch_clock_ns();
		since = since ? since : now;
		if (now - since > SETTLE_NS)
			return false;
	}
}

/* Let @i look at what it waits for.  True: it found it, and has gone on; *good is false if it is lost. */
static bool let_look(unsigned i, bool *good)
{
	irqflags_t flags = race_enter();
	struct frame *f = step_top(i);
	u32 serial;

	if (!f || f->kind != FRAME_WAIT || (f->sleeps ? !f->woken : f->tried)) {
		race_leave(flags);
		return false;
	}
	serial = f->serial;
	f->woken = false;
	f->tried = f->go = true;
	race_leave(flags);
	*good = settled();
	return f->kind != FRAME_WAIT || f->serial != serial;
}

static void look_again(void)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(step.actor); i++)
		step.actor[i].frame[0].tried = step.actor[i].frame[1].tried = false;
}

/* After a move: nobody runs, and nobody who waits would find what it waits for. */
static bool come_to_rest(void)
{
	unsigned i, nr = RACE_ROLES + step.nr_helpers;
	bool good = settled();

	for (i = 0; good && i < nr; i++) {
		if (let_look(i, &good)) {
			look_again();
			step.others_too = true;
			i = ~0u; /* from the first one again */
		}
	}
	return good;
}

/* ---- moves ---- */

unsigned step_movable(void)
{
	unsigned role, movable = 0;

	for (role = 0; role < race.nr_roles; role++) {
		const struct frame *f = step_top(role);

		if (f ? f->kind == FRAME_STOP
		      : !race.role[role].running && step.actor[role].next < race.script->nr)
			movable |= 1u << role;
	}
	return movable;
}

static bool all_idle(void)
{
	unsigned role;

	for (role = 0; role < race.nr_roles; role++)
		if (race.role[role].running || step_top(role))
			return false;
	return true;
}

static void let_go(unsigned role)
{
	irqflags_t flags = race_enter();
	struct frame *f = step_top(role);

	step.mover = role;
	atomic_add(&step.clock, MOVE_NS);
	step_made_move(&step_session->made, role);
	step.others_too = false;
	look_again();
	if (f)
		f->go = true;
	else
		step.actor[role].start = true;
	race_leave(flags);
}

/* Pictures seen since only @role can move. */
static struct {
	unsigned role, nr;
	u64 hash[PICTURES];
	unsigned times[PICTURES];
} seen;

/* How often this picture has been seen since only this role can move; 0: others can too. */
static unsigned times_seen(unsigned movable, unsigned role)
{
	u64 hash = step_look_hash();
	unsigned i;

	if (movable != 1u << role || seen.role != role)
		seen.nr = 0;
	seen.role = role;
	if (movable != 1u << role)
		return 0;
	for (i = 0; i < seen.nr; i++)
		if (seen.hash[i] == hash)
			return ++seen.times[i];
	if (seen.nr < PICTURES) {
		seen.hash[seen.nr] = hash;
		seen.times[seen.nr++] = 1;
	}
	return 1;
}

/* It comes round and round: does it get out of that alone?  False: no, and it is where it was. */
static bool gets_out(unsigned role, bool *good)
{
	u64 picture = step_look_hash();
	unsigned i;

	for (i = 0; *good && (i < ALONE || step_look_hash() != picture); i++) {
		let_go(role);
		*good = come_to_rest();
		if (*good && times_seen(step_movable(), role) <= 1) {
			seen.nr = 0;
			return true;
		}
	}
	return !*good;
}

static void goes_round(unsigned role)
{
	const struct frame *f = step_top(role);
	char why[sizeof(race.res->why)];
	size_t n;

	n = (size_t)ksnprintf(why, sizeof(why), "%c goes round: %s for the %urd time, and %u moves later the "
	    "same; ", (int)('A' + role), f ? f->name : "?", ROUNDS, ALONE);
	n += step_page(why + n, sizeof(why) - n);
	n += (size_t)ksnprintf(why + n, sizeof(why) - n, "; ");
	step_why_stuck(role, why + n, sizeof(why) - n);
	race_end("STUCK", why);
}

/* No operation runs: what must hold then?  @more: some are still to come. */
static void judge(bool more)
{
	struct race_finding found;

	if (!race_check("final", &found))
		race_end(found.outcome, found.why);
	else if (!more)
		race_end("OK", "");
}

static void lost(void)
{
	char why[sizeof(race.res->why)] = "somebody runs and comes to no point: ";
	size_t n = strlen(why);

	race_whereabouts(why + n, sizeof(why) - n);
	race_end("STUCK", why);
}

/* Write down where each role has come to by the last move. */
static void note(void)
{
	struct race_result *res = race.res;
	unsigned role;

	for (role = 0; role < race.nr_roles; role++) {
		struct actor *a = &step.actor[role];
		char text[sizeof(a->noted)];

		step_where(role, text, sizeof(text));
		if ((role != step.mover && !strcmp(text, a->noted)) || res->used >= sizeof(res->trace))
			continue;
		memcpy(a->noted, text, sizeof(text));
		if (step_session->nr_moves)
			res->used += (size_t)ksnprintf(res->trace + res->used, sizeof(res->trace) - res->used,
			    "%u %c %s\n", step_session->nr_moves, (int)('A' + role), text);
	}
}

/* Did the play end with what has come to rest?  Then the outcome is known, and the script is whole. */
static bool has_ended(unsigned movable)
{
	struct race_script *made = &step_session->made;
	bool good = true;
	unsigned role = 0;
	char why[200];

	if (all_idle()) {
		judge(movable);
		if (race_over())
			step_made_end(made, STEP_CHECKED);
		return race_over();
	}
	while (movable && !(movable >> role & 1))
		role++;
	if (!movable) {
		step_why_stuck(NO_ROLE, why, sizeof(why));
		race_end("STUCK", why);
	} else if (times_seen(movable, role) >= ROUNDS && !gets_out(role, &good)) {
		goes_round(role);
	} else if (!good) {
		lost();
	} else {
		return false;
	}
	step_made_end(made, STEP_STUCK);
	return true;
}

void step_prepare(void)
{
	memset(&step, 0, sizeof(step));
	nr_hits = 0;
	seen.nr = 0;
	store_release(&step.tracking, 1u);
}

void step_finish(void)
{
	store_release(&step.tracking, 0u);
	store_release(&race.stepping, 0u);
}

/* The setup is over: wait until its last operation has come back and the reclaim thread sleeps. */
static bool begin(void)
{
	unsigned role;
	bool good;

	while (!READ_ONCE(step.nr_helpers))
		thread_yield();
	good = settled();
	for (role = 0; role < race.nr_roles; role++)
		step.actor[role].next = op_from(role, race.script->first);
	step_session->nr_moves = 0;
	step_session->moves[0] = '\0';
	step_made_begin(&step_session->made, race.script);
	step.clock = arch_clock_ns();
	step.mover = NO_ROLE;
	store_release(&race.stepping, 1u);
	return good;
}

void step_drive(void)
{
	struct step_session *session = step_session;
	bool good = begin() && come_to_rest();

	while (good && !race_over()) {
		unsigned movable = step_movable();
		int role;

		note();
		if (has_ended(movable))
			break;
		/* One that went round alone has got out of that. */
		if (step_movable() != movable)
			continue;
		step_show(session);
		role = session->nr_moves < STEP_MOVES ? session->choose(session, movable) : STEP_QUIT;
		if (role == STEP_QUIT) {
			step_made_end(&session->made, STEP_LEFT);
			race_end("QUIT", "left before its end");
			return;
		}
		session->moves[session->nr_moves++] = (char)('a' + role);
		session->moves[session->nr_moves] = '\0';
		session->ended = false;
		let_go((unsigned)role);
		good = come_to_rest();
	}
	if (!good && !race_over()) {
		lost();
		step_made_end(&session->made, STEP_STUCK);
	}
	step_show(session);
}
