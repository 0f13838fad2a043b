/* SPDX-License-Identifier: MIT */
/*
 * engine.c: runs a script: a cursor that walks over it decides which role may pass which point.
 *
 * A role that hits a point which the script mentions stays there, with interrupts as they are,
 * until the cursor reaches it; other points stop no role.  The thread that moves the cursor over a
 * step records it, so the trace holds only decisions of the script, and results.
 *
 * Owns:       the run under way: cursor, roles, trace.
 * Locks:      race.lock, a bare word with interrupts off, innermost of all: a point may lie
 *             anywhere.
 * Invariants: nothing is printed, allocated or waited for under race.lock.
 */
#include "engine_priv.h"
#include <quarry/console.h>
#include <quarry/sched_point.h>
#include <quarry/string.h>

/* Points that one role may pass while no other can move; more count as an endless loop. */
#define PASS_LIMIT 1000
/* Turns of a held role after which the others see its stores: a buffer empties by itself. */
#define STORES_STAY 100
/*
 * Nanoseconds without a step after which the run is STUCK, for cases that counting points does not
 * see. If every role is held or waits for a lock or an answer, race_patience_ns applies instead:
 * then no CPU is merely slow.
 */
#define WATCHDOG_NS    20000000000ULL
#define TURNS_PER_LOOK 256

struct race_state race;
void (*race_hook)(unsigned role, const char *name, bool waits);
void (*race_jitter)(void);
void (*race_spy)(const char *name);
u64 race_patience_ns = 3000000000ULL;

irqflags_t race_enter(void)
{
	irqflags_t flags = arch_irq_save();

	while (atomic_xchg(&race.lock, 1u))
		cpu_relax();
	return flags;
}

void race_leave(irqflags_t flags)
{
	store_release(&race.lock, 0u);
	arch_irq_restore(flags);
}

int race_letter(unsigned role)
{
	return role == RACE_RECLAIM ? 'R' : (int)('A' + role);
}

static bool starts_with(const char *name, const char *start)
{
	return !strncmp(name, start, strlen(start));
}

/* Points that a CPU passes regardless of its role: in an interrupt, or in its idle thread. */
static bool of_cpu(const char *name)
{
	return starts_with(name, "drain.handler") || starts_with(name, "cpu.");
}

/* In an interrupt the role is that of the CPU, whatever thread was interrupted. */
struct role *race_my_role(void)
{
	const struct mm_task *task;
	unsigned i;

	if (arch_in_interrupt()) {
		i = arch_cpu_id();
		return i < race.nr_roles ? &race.role[i] : NULL;
	}
	task = port_task();
	for (i = 0; i < race.nr_roles; i++)
		if (race.role[i].task == task)
			return &race.role[i];
	return NULL;
}

/*
 * The role that a point belongs to, also in two threads that play no role. The reclaim thread is
 * known by its own point. The idle thread of a CPU that goes down or comes up stands for the CPU's
 * role; on fibers it is the role's own thread, between two operations.
 */
static struct role *role_at(const char *name)
{
	struct role *r = race_my_role(), *reclaim = &race.role[RACE_RECLAIM];
	unsigned cpu = arch_cpu_id();

	if (arch_in_interrupt() || race_hook || READ_ONCE(race.stepping))
		return r;
	if (r)
		return READ_ONCE(r->running) || starts_with(name, "cpu.") ? r : NULL;
	if (reclaim->running && (reclaim->task == port_task() || !strcmp(name, "reclaim.woken"))) {
		reclaim->task = port_task();
		return reclaim;
	}
	return starts_with(name, "cpu.") && cpu < race.nr_roles ? &race.role[cpu] : NULL;
}

static void count_hit(const char *name)
{
	unsigned i;

	for (i = 0; i < race.nr_counted && READ_ONCE(race.cursor) >= race.script->first; i++)
		if (!strcmp(race.counted[i].name, name))
			atomic_add(&race.counted[i].hits, 1u);
}

bool race_over(void)
{
	return load_acquire(&race.over);
}

/* Under race.lock. */
void race_set_outcome(const char *outcome, const char *why)
{
	if (race.over)
		return;
	ksnprintf(race.res->outcome, sizeof(race.res->outcome), "%s", outcome);
	ksnprintf(race.res->why, sizeof(race.res->why), "%s", why);
	WRITE_ONCE(ops_cancel, 1u);
	store_release(&race.over, 1u);
}

void race_end(const char *outcome, const char *why)
{
	irqflags_t flags = race_enter();

	race_set_outcome(outcome, why);
	race_leave(flags);
}

void race_whereabouts(char *buf, size_t size)
{
	size_t used = 0;
	unsigned i;

	for (i = 0; i < race.nr_roles && used + 1 < size; i++) {
		const struct role *r = &race.role[i];

		used += (size_t)ksnprintf(buf + used, size - used, "%s%c %s%s%s%s", i ? "; " : "",
		    race_letter(i), r->running ? r->op : "idle",
		    r->parked        ? " kept at "
		        : r->last[0] ? " after "
		                     : "",
		    r->last, r->running ? "" : " (operation ended)");
	}
}

void race_stuck(const char *what)
{
	const struct race_entry *e = &race.script->entry[race.cursor];
	struct race_result *res = race.res;
	char why[200];
	int n = ksnprintf(why, sizeof(why), "%s: ", what);

	race_whereabouts(why + n, sizeof(why) - (size_t)n);
	if (!race.over && race.cursor >= race.script->first && res->used < sizeof(res->trace))
		res->used += (size_t)ksnprintf(res->trace + res->used,
		    sizeof(res->trace) - res->used, "%u %c %s STUCK\n",
		    race.cursor - race.script->first + 1, race_letter(e->role),
		    e->kind <= RACE_LEAVE ? e->place[0].name : race.role[e->role].op);
	race_set_outcome("STUCK", why);
}

/* The script does not fit the code: a role's operation ended without coming to the point. */
static void missed(const struct race_entry *e)
{
	char text[RACE_NAME];

	ksnprintf(text, sizeof(text), "MISSED(%c)", race_letter(e->role));
	race_set_outcome(text, e->place[0].name);
}

static const char *result_text(int result)
{
	return race_errno(result);
}

/* Record the step at the cursor and advance the cursor. Under race.lock. */
void race_step(const char *what, const char *outcome)
{
	const struct race_entry *e = &race.script->entry[race.cursor];
	struct race_result *res = race.res;
	unsigned i;

	if (race.over)
		return;
	if (race.cursor >= race.script->first && res->used < sizeof(res->trace))
		res->used +=
		    (size_t)ksnprintf(res->trace + res->used, sizeof(res->trace) - res->used,
		        "%u %c %s %s\n", race.cursor - race.script->first + 1,
		        e->kind >= RACE_CHECK ? '-' : race_letter(e->role), what, outcome);
	for (i = 0; i < race.nr_roles; i++)
		race.role[i].passes = 0;
	WRITE_ONCE(race.cursor, race.cursor + 1);
}

void race_step_result(const struct race_entry *e, const struct role *r)
{
	char text[32];

	ksnprintf(text, sizeof(text), "returned %s", result_text(r->result));
	race_step(r->op, text);
	if (e->wants && e->want != r->result) {
		ksnprintf(text, sizeof(text), "WRONG(%c)", race_letter(e->role));
		race_set_outcome(text, "an operation did not return what the script wants");
	}
}

/* True: every role waits.  The unlocked reads are exact if nothing changes. */
static bool all_wait(void)
{
	unsigned i;

	for (i = 0; i < race.nr_roles; i++) {
		const struct role *r = &race.role[i];

		if (READ_ONCE(r->running) && !READ_ONCE(r->parked) && !READ_ONCE(r->waits))
			return false;
	}
	return true;
}

/*
 * Called in every wait for the script, since other threads, even the thread that drives the run,
 * may never run again.
 */
void race_watch(struct race_watchdog *dog)
{
	irqflags_t flags;
	u64 now;

	if (READ_ONCE(race.stepping))
		return;
	/* The memory is still being built: no role can move. */
	if (!READ_ONCE(race.active)) {
		dog->since = 0;
		return;
	}
	if (dog->turns++ % TURNS_PER_LOOK && dog->cursor == READ_ONCE(race.cursor))
		return;
	now = arch_clock_ns();
	if (!dog->since || dog->cursor != READ_ONCE(race.cursor)) {
		dog->cursor = READ_ONCE(race.cursor);
		dog->since = now;
		return;
	}
	if (now - dog->since <= (all_wait() ? race_patience_ns : WATCHDOG_NS))
		return;
	flags = race_enter();
	if (dog->cursor == race.cursor && READ_ONCE(race.active))
		race_stuck("nothing moves");
	race_leave(flags);
}

static bool has_place(const struct race_entry *e, const char *name)
{
	unsigned i;

	for (i = 0; i < e->nr_places; i++)
		if (!strcmp(e->place[i].name, name))
			return true;
	return false;
}

/* True: an operation of @role is under way.  The reclaim thread works for all roles' operations. */
static bool runs(unsigned role)
{
	unsigned i;

	if (role != RACE_RECLAIM)
		return race.role[role].running;
	for (i = 0; i < race.nr_roles; i++)
		if (race.role[i].running)
			return true;
	return false;
}

/* Take the steps at the cursor that no role will take.  Under race.lock. */
void race_settle(void)
{
	while (!race.over && race.cursor < race.script->nr) {
		const struct race_entry *e = &race.script->entry[race.cursor];
		const struct role *r = &race.role[e->role];

		if (e->kind >= RACE_CHECK || runs(e->role) || e->kind == RACE_START ||
		    e->kind == RACE_RUN)
			return;
		if (e->kind == RACE_JOIN)
			race_step_result(e, r);
		else if (has_place(e, "done"))
			race_step(r->op, "done");
		else if (of_cpu(e->place[0].name))
			return; /* may be passed while the role has nothing to do */
		else
			missed(e);
	}
	if (race.cursor == race.script->nr)
		race_set_outcome("OK", "");
}

static int find_entry(enum race_kind kind, unsigned role, const char *name, unsigned nth)
{
	const struct race_script *s = race.script;
	unsigned i, j;

	for (i = 0; i < s->nr; i++) {
		const struct race_entry *e = &s->entry[i];

		for (j = 0; e->kind == kind && e->role == role && j < e->nr_places; j++)
			if (e->place[j].nth == nth && !strcmp(e->place[j].name, name))
				return (int)i;
	}
	return -1;
}

/* A role that passes many points while no other can move is in an endless loop. */
static void count_pass(struct role *r)
{
	unsigned i;

	for (i = 0; i < race.nr_roles; i++) {
		const struct role *o = &race.role[i];

		if (o != r && o->running && !o->parked)
			r->passes = 0;
	}
	if (r->running && ++r->passes > PASS_LIMIT)
		race_stuck("a role goes round for ever");
}

/* Keep the role here until the script lets it pass.  Returns under race.lock again. */
static irqflags_t park(struct role *r, const char *name, int arrive, int depart, irqflags_t flags)
{
	struct race_watchdog dog = {0};
	unsigned turns = 0;

	r->parked++;
	while (!race.over) {
		if ((int)race.cursor == arrive) {
			race_step(name, "arrived");
			race_settle();
		}
		if (depart >= 0 && (int)race.cursor == depart) {
			r->parked--;
			race_step(name, "left");
			race_settle();
			return flags;
		}
		if ((int)race.cursor > MAX(arrive, depart))
			break;
		race_leave(flags);
		if (++turns == STORES_STAY)
			stores_leave();
		race_watch(&dog);
		cpu_relax();
		flags = race_enter();
	}
	r->parked--;
	return flags;
}

static void at_point(struct role *r, const char *name, bool waits)
{
	struct watch *w = NULL;
	irqflags_t flags;
	unsigned i;

	if (race_jitter)
		race_jitter();
	stores_hold();
	flags = race_enter();
	r->waits = waits;
	ksnprintf(r->last, sizeof(r->last), "%s", name);
	for (i = 0; i < race.nr_watches; i++)
		if (&race.role[race.watch[i].role] == r && !strcmp(race.watch[i].name, name))
			w = &race.watch[i];
	/* Hits count only after the steps that set the scene. */
	if (w && race.cursor >= race.script->first) {
		int arrive, depart;

		w->hits++;
		arrive = find_entry(RACE_ARRIVE, w->role, name, w->hits);
		depart = find_entry(RACE_LEAVE, w->role, name, w->hits);
		if (MAX(arrive, depart) >= (int)race.cursor)
			flags = park(r, name, arrive, depart, flags);
	}
	count_pass(r);
	race_leave(flags);
	stores_go_on();
}

void race_point(const char *name)
{
	void (*spy)(const char *) = READ_ONCE(race_spy);
	struct role *r;

	if (unlikely(spy))
		spy(name);
	if (likely(!READ_ONCE(race.active)) || race_over())
		return;
	count_hit(name);
	r = role_at(name);
	if (!r)
		return;
	if (race_hook)
		race_hook((unsigned)(r - race.role), name, false);
	else if (!READ_ONCE(race.stepping))
		at_point(r, name, false);
	else if (race.script->tso || !starts_with(name, "look."))
		step_point(r, name);
}

/*
 * A spin lock whose release is in a store buffer is no lock that a role holds: a script that kept
 * the waiting role at this point would keep its interrupts off for ever.  So the stores arrive, and
 * the role looks at the lock again.
 */
void race_lock_wait(const char *lock)
{
	char name[RACE_NAME];
	struct role *r;
	bool stepping;

	if (likely(!READ_ONCE(race.active)) || race_over())
		return;
	ksnprintf(name, sizeof(name), "lock.wait(%s)", lock ? lock : "?");
	r = role_at(name);
	stepping = READ_ONCE(race.stepping); /* read once: stepping may end meanwhile */
	if (!r && !stepping)
		return;
	if (r && race_hook)
		race_hook((unsigned)(r - race.role), name, true);
	else if (stepping)
		step_will_wait(lock ? lock : "?", name);
	else if (arch_irqs_enabled() || !stores_arrive())
		at_point(r, name, true);
}
