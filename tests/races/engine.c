/* SPDX-License-Identifier: MIT */
/*
 * engine.c: runs a script: who may pass which point is decided by a cursor that walks over it.
 *
 * A role that hits a point which the script mentions stays there, with interrupts as they are, until
 * the cursor lets it go on; all other points let everybody pass.  A step is written down by whoever
 * moves the cursor over it, so the trace holds nothing that the script does not decide, but results.
 *
 * Owns:       the run under way: cursor, roles, trace.
 * Locks:      race.lock, a bare word with interrupts off, innermost of all: a point may lie anywhere.
 * Invariants: nothing is printed, allocated or waited for under race.lock.
 */
#include "engine.h"
#include <quarry/sched_point.h>
#include <quarry/smp.h>

/* Points that one role passes while no other can move, until that counts as going round for ever. */
#define PASS_LIMIT 1000
/*
 * Nanoseconds of the machine's time without a step, for what counting cannot see: a last resort.  Less
 * where every role is kept or waits for a lock or an answer: then no CPU is merely slow.
 */
#define WATCHDOG_NS 20000000000ULL
#define DEADLOCK_NS 3000000000ULL
#define WATCHES     64

struct role {
	struct mm_task *task; /* of the thread that plays it */
	struct thread *thread;
	bool ready, running;
	bool waits;           /* for a lock or an answer, if nothing came after it */
	u32 parked;           /* points at which it is kept; 2 if one of them is in an interrupt */
	u32 passes;           /* since the last step, while nobody else could move */
	int result;           /* of its last operation */
	const char *op;       /* that, or the one under way */
	char last[RACE_NAME]; /* point it hit last */
};

/* Hits of one point by one role. */
struct watch {
	unsigned role;
	const char *name;
	unsigned hits;
};

static struct {
	const struct race_script *script;
	struct race_result *res;
	struct role role[RACE_ROLES];
	struct watch watch[WATCHES];
	unsigned nr_roles, nr_watches;
	u32 lock;   /* a */
	u32 active; /* a: points look at the script */
	u32 cursor; /* lock */
	u32 over;   /* a: the outcome is known: everybody passes */
} race;
void (*race_hook)(unsigned role, const char *name, bool waits);
void (*race_jitter)(void);

static irqflags_t enter(void)
{
	irqflags_t flags = arch_irq_save();

	while (atomic_xchg(&race.lock, 1u))
		cpu_relax();
	return flags;
}

static void leave(irqflags_t flags)
{
	store_release(&race.lock, 0u);
	arch_irq_restore(flags);
}

/* In an interrupt, whatever thread it came upon, the role is the CPU's. */
static struct role *my_role(void)
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

bool race_over(void)
{
	return load_acquire(&race.over);
}

/* Under race.lock. */
static void set_outcome(const char *outcome, const char *why)
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
	irqflags_t flags = enter();

	set_outcome(outcome, why);
	leave(flags);
}

void race_whereabouts(char *buf, size_t size)
{
	size_t used = 0;
	unsigned i;

	for (i = 0; i < race.nr_roles && used + 1 < size; i++) {
		const struct role *r = &race.role[i];

		used += (size_t)ksnprintf(buf + used, size - used, "%s%c %s%s%s%s", i ? "; " : "",
		    (int)('A' + i), r->running ? r->op : "idle", r->parked ? " kept at " : r->last[0] ? " after " : "",
		    r->last, r->running ? "" : " (operation ended)");
	}
}

static void stuck(const char *what)
{
	const struct race_entry *e = &race.script->entry[race.cursor];
	struct race_result *res = race.res;
	char why[200];
	int n = ksnprintf(why, sizeof(why), "%s: ", what);

	race_whereabouts(why + n, sizeof(why) - (size_t)n);
	if (!race.over && race.cursor >= race.script->first && res->used < sizeof(res->trace))
		res->used += (size_t)ksnprintf(res->trace + res->used, sizeof(res->trace) - res->used,
		    "%u %c %s STUCK\n", race.cursor - race.script->first + 1, (int)('A' + e->role),
		    e->kind <= RACE_LEAVE ? e->place[0].name : race.role[e->role].op);
	set_outcome("STUCK", why);
}

/* The script does not fit the code: a role's operation ended without coming to the point. */
static void missed(const struct race_entry *e)
{
	char text[RACE_NAME];

	ksnprintf(text, sizeof(text), "MISSED(%c)", (int)('A' + e->role));
	set_outcome(text, e->place[0].name);
}

static const char *result_text(int result)
{
	return race_errno(result);
}

/* Write down the step at the cursor and move on.  Under race.lock. */
static void step(const char *what, const char *outcome)
{
	const struct race_entry *e = &race.script->entry[race.cursor];
	struct race_result *res = race.res;
	unsigned i;

	if (race.over)
		return;
	if (race.cursor >= race.script->first && res->used < sizeof(res->trace))
		res->used += (size_t)ksnprintf(res->trace + res->used, sizeof(res->trace) - res->used,
		    "%u %c %s %s\n", race.cursor - race.script->first + 1,
		    e->kind == RACE_CHECK ? '-' : (int)('A' + e->role), what, outcome);
	for (i = 0; i < race.nr_roles; i++)
		race.role[i].passes = 0;
	WRITE_ONCE(race.cursor, race.cursor + 1);
}

static void step_result(const struct race_entry *e, const struct role *r)
{
	char text[32];

	ksnprintf(text, sizeof(text), "returned %s", result_text(r->result));
	step(r->op, text);
	if (e->wants && e->want != r->result) {
		ksnprintf(text, sizeof(text), "WRONG(%c)", (int)('A' + e->role));
		set_outcome(text, "an operation did not return what the script wants");
	}
}

static bool has_place(const struct race_entry *e, const char *name)
{
	unsigned i;

	for (i = 0; i < e->nr_places; i++)
		if (!strcmp(e->place[i].name, name))
			return true;
	return false;
}

/* Take the steps that nobody else is going to take.  Under race.lock. */
static void settle(void)
{
	while (!race.over && race.cursor < race.script->nr) {
		const struct race_entry *e = &race.script->entry[race.cursor];
		const struct role *r = &race.role[e->role];

		if (e->kind == RACE_CHECK || r->running || e->kind == RACE_START || e->kind == RACE_RUN)
			return;
		if (e->kind == RACE_JOIN)
			step_result(e, r);
		else if (e->kind == RACE_ARRIVE && has_place(e, "done"))
			step(r->op, "done");
		else if (!strncmp(e->place[0].name, "drain.handler", 13))
			return; /* in an interrupt, which may come to an idle CPU */
		else
			missed(e);
	}
	if (race.cursor == race.script->nr)
		set_outcome("OK", "");
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

/* A role that goes round and round while nobody else can move goes round for ever. */
static void count_pass(struct role *r)
{
	unsigned i;

	for (i = 0; i < race.nr_roles; i++) {
		const struct role *o = &race.role[i];

		if (o != r && o->running && !o->parked)
			r->passes = 0;
	}
	if (r->running && ++r->passes > PASS_LIMIT)
		stuck("a role goes round for ever");
}

/* Keep the role here until the script lets it pass.  Returns under race.lock again. */
static irqflags_t park(struct role *r, const char *name, int arrive, int depart, irqflags_t flags)
{
	r->parked++;
	while (!race.over) {
		if ((int)race.cursor == arrive) {
			step(name, "arrived");
			settle();
		}
		if (depart >= 0 && (int)race.cursor == depart) {
			r->parked--;
			step(name, "left");
			settle();
			return flags;
		}
		if ((int)race.cursor > MAX(arrive, depart))
			break;
		leave(flags);
		cpu_relax();
		flags = enter();
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
	flags = enter();
	r->waits = waits;
	ksnprintf(r->last, sizeof(r->last), "%s", name);
	for (i = 0; i < race.nr_watches; i++)
		if (&race.role[race.watch[i].role] == r && !strcmp(race.watch[i].name, name))
			w = &race.watch[i];
	/* What sets the scene is not part of the play. */
	if (w && race.cursor >= race.script->first) {
		int arrive, depart;

		w->hits++;
		arrive = find_entry(RACE_ARRIVE, w->role, name, w->hits);
		depart = find_entry(RACE_LEAVE, w->role, name, w->hits);
		if (MAX(arrive, depart) >= (int)race.cursor)
			flags = park(r, name, arrive, depart, flags);
	}
	count_pass(r);
	leave(flags);
}

void race_point(const char *name)
{
	struct role *r;

	if (likely(!READ_ONCE(race.active)) || race_over())
		return;
	r = my_role();
	if (!r)
		return;
	if (race_hook)
		race_hook((unsigned)(r - race.role), name, false);
	else
		at_point(r, name, !strcmp(name, "ipi.sent"));
}

void race_lock_wait(const char *lock)
{
	char name[RACE_NAME];
	struct role *r;

	if (likely(!READ_ONCE(race.active)) || race_over())
		return;
	r = my_role();
	if (!r)
		return;
	ksnprintf(name, sizeof(name), "lock.wait(%s)", lock ? lock : "?");
	if (race_hook)
		race_hook((unsigned)(r - race.role), name, true);
	else
		at_point(r, name, true);
}

/* ---- a run ---- */

static void add_watches(const struct race_script *s)
{
	unsigned i, j, k;

	race.nr_watches = 0;
	for (i = 0; i < s->nr; i++) {
		const struct race_entry *e = &s->entry[i];

		for (j = 0; j < e->nr_places && race.nr_watches < WATCHES; j++) {
			for (k = 0; k < race.nr_watches; k++)
				if (race.watch[k].role == e->role &&
				    !strcmp(race.watch[k].name, e->place[j].name))
					break;
			if (k == race.nr_watches)
				race.watch[race.nr_watches++] =
				    (struct watch){.role = e->role, .name = e->place[j].name};
		}
	}
}

void race_begin(unsigned nr, const struct race_script *s, struct race_result *res)
{
	memset(&race, 0, sizeof(race));
	res->outcome[0] = res->why[0] = res->trace[0] = '\0';
	res->used = 0;
	res->abandoned = false;
	race.script = s;
	race.res = res;
	race.nr_roles = nr;
	if (s)
		add_watches(s);
	WRITE_ONCE(ops_cancel, 0u);
}

void race_be(unsigned role)
{
	struct role *r = &race.role[role];

	r->task = port_task();
	r->op = "?";
	r->running = race_hook != NULL;
	store_release(&r->ready, true);
	store_release(&race.active, race_hook != NULL);
}

/* Is the step at the cursor the start of an operation of @r?  Then it runs from here on. */
static const struct race_entry *next_op(unsigned role)
{
	irqflags_t flags = enter();
	const struct race_entry *e = NULL;
	struct role *r = &race.role[role];

	if (race.active && !race.over && race.cursor < race.script->nr) {
		e = &race.script->entry[race.cursor];
		if (e->role != role || (e->kind != RACE_START && e->kind != RACE_RUN))
			e = NULL;
	}
	if (e) {
		r->op = e->op;
		r->running = true;
		if (e->kind == RACE_START) {
			step(e->op, "started");
			settle();
		}
	}
	leave(flags);
	return e;
}

static void op_ended(unsigned role, const struct race_entry *e, int result)
{
	irqflags_t flags = enter();
	struct role *r = &race.role[role];

	r->result = result;
	r->running = false;
	if (e->kind == RACE_RUN && !race.over)
		step_result(e, r);
	settle();
	leave(flags);
}

static void role_main(void *arg)
{
	unsigned role = (unsigned)((struct role *)arg - race.role);
	const struct race_entry *e;

	race_be(role);
	while (!race_over()) {
		e = next_op(role);
		if (e) {
			op_ended(role, e, ops_run(role, e->op));
		} else {
			cpu_relax();
			thread_yield();
		}
	}
}

/* Does every role wait for another?  A look from outside: right if it stays so. */
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

static void do_check(const struct race_entry *e)
{
	struct mm_violation v = {.what = NULL};
	bool good = ops_check(e->op, &v);
	char id[16], outcome[RACE_NAME], what[RACE_NAME], why[200];
	irqflags_t flags;
	size_t i;

	ksnprintf(what, sizeof(what), "check%s%s", e->op[0] ? " " : "", e->op);
	for (i = 0; v.what && v.what[i] && v.what[i] != ' ' && i + 1 < sizeof(id); i++)
		id[i] = v.what[i];
	id[i] = '\0';
	ksnprintf(outcome, sizeof(outcome), "CHECK(%s)", id);
	ksnprintf(why, sizeof(why), "%s: at %#lx: %lu, should be %lu", v.what ? v.what : "?", v.pfn, v.have,
	    v.want);
	flags = enter();
	step(what, good ? "ok" : id);
	if (!good)
		set_outcome(outcome, why);
	settle();
	leave(flags);
}

/* Check where the script says so, and look whether anything moves.  In the caller's thread. */
static void drive(void)
{
	u64 since = arch_clock_ns();
	u32 seen = ~0u;

	while (!race_over()) {
		u32 cursor = READ_ONCE(race.cursor);

		if (cursor < race.script->nr && race.script->entry[cursor].kind == RACE_CHECK)
			do_check(&race.script->entry[cursor]);
		if (cursor != seen) {
			seen = cursor;
			since = arch_clock_ns();
		} else if (arch_clock_ns() - since > (all_wait() ? DEADLOCK_NS : WATCHDOG_NS)) {
			irqflags_t flags = enter();

			stuck("nothing moves");
			leave(flags);
		}
		thread_sleep(1000000);
	}
}

/* All points let everybody pass now; a role that does not come back is left where it is. */
static bool all_idle(void)
{
	u64 since = arch_clock_ns();
	unsigned i;

	for (i = 0; i < race.nr_roles; i++) {
		while (READ_ONCE(race.role[i].running)) {
			if (arch_clock_ns() - since > DEADLOCK_NS)
				return false;
			thread_sleep(1000000);
		}
	}
	return true;
}

void race_run(const struct race_script *s, struct race_result *res)
{
	unsigned i;

	race_begin(s->nr_roles, s, res);
	for (i = 0; i < s->nr_roles; i++) {
		race.role[i].thread = thread_start("race", (int)i, role_main, &race.role[i]);
		if (!race.role[i].thread)
			panic("race: no thread for role %c", (int)('A' + i));
	}
	for (i = 0; i < s->nr_roles; i++)
		while (!load_acquire(&race.role[i].ready))
			thread_sleep(1000000);
	ops_build(s->nr_roles, s->policy);
	store_release(&race.active, 1u);
	drive();
	res->abandoned = !all_idle();
	if (res->abandoned)
		return;
	for (i = 0; i < s->nr_roles; i++)
		thread_join(race.role[i].thread);
	store_release(&race.active, 0u);
	ops_stop();
}
