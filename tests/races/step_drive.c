/* SPDX-License-Identifier: MIT */
/*
 * step_drive.c: drives a race move by move: which role may continue, whether all are at rest, the
 * end.
 *
 * Owns:       the hashes ("pictures") of states, which tell whether a role repeats itself for ever.
 * Locks:      race.lock.
 * Invariants: after a move all its consequences have happened before the next move is chosen.
 */
#include "step_priv.h"
#include <quarry/console.h>
#include <quarry/hotplug.h>
#include <quarry/smp.h>
#include <quarry/string.h>

#define MOVE_NS        10000000ULL    /* a move counts as this time for operations' patience */
#define SETTLE_NS      20000000000ULL /* the machine's time in which all roles must come to rest */
#define TURNS_PER_LOOK 256
#define NO_TIMEOUT_NS  (1ULL << 50)
/*
 * If the same picture comes ROUNDS times while only one role can move, that role is released alone,
 * ALONE times.
 */
#define ROUNDS   3
#define ALONE    200
#define PICTURES 64

/* ---- until no role runs ---- */

static bool takes_interrupts(unsigned cpu)
{
	const struct frame *f;

	if (cpu_is_parked(cpu))
		return false;
	if (cpu >= race.nr_roles)
		return true;
	f = step.actor[cpu].frame;
	return !f[1].kind && (!f[0].kind || f[0].irqs_on);
}

/* True: an interrupt is pending for @cpu, or its handler runs there. */
static bool interrupted(unsigned cpu)
{
	unsigned from;

	for (from = 0; from < nr_cpus; from++) {
		const struct frame *f = step.actor[from < race.nr_roles ? from : 0].frame;

		/* A sender held at ipi.chosen has chosen its targets, but sent no IPI yet. */
		if (from < race.nr_roles && f->kind == FRAME_STOP && !strcmp(f->name, "ipi.chosen"))
			continue;
		if (smp_unanswered(from, cpu))
			return true;
	}
	return false;
}

static bool is(const char *state, unsigned cpu)
{
	return !strcmp(cpu_state_name(cpu), state);
}

/*
 * True: a CPU that goes offline or comes online is delayed, by an interrupt that is held there or
 * by the call of a role that is held.
 */
static bool held_up(unsigned cpu)
{
	const struct frame *f = step_top(cpu);
	unsigned i;

	if (f && !f->go && (f != step.actor[cpu].frame || !f->irqs_on))
		return true;
	if (!is("leaving", cpu) || cpumask_test(cpu_online_mask, cpu))
		return false;
	for (i = 0; i < race.nr_roles; i++)
		if (i != cpu && step_top(i) && !step_top(i)->go && smp_calling(i))
			return true;
	return false;
}

unsigned step_waits_for_cpu(unsigned role)
{
	unsigned cpu;

	if (!race.role[role].running || step_top(role) ||
	    strncmp(race.role[role].op, "cpu_", 4) != 0)
		return nr_cpus;
	for (cpu = 0; cpu < race.nr_roles; cpu++)
		if ((is("leaving", cpu) || is("coming", cpu)) && held_up(cpu))
			return cpu;
	return nr_cpus;
}

static bool is_kept(unsigned i)
{
	const struct frame *f = step_top(i);

	if (f)
		return !f->go;
	if (i >= RACE_ROLES || step.actor[i].start)
		return false;
	return !race.role[i].running || step_waits_for_cpu(i) < nr_cpus;
}

/* True: every role is kept, and no interrupt is pending.  Under race.lock. */
static bool all_kept(void)
{
	unsigned i;

	for (i = 0; i < race.nr_roles; i++)
		if (!is_kept(i))
			return false;
	for (i = 0; i < step.nr_helpers; i++)
		if (!is_kept(RACE_ROLES + i))
			return false;
	for (i = 0; i < nr_cpus; i++)
		if (takes_interrupts(i) && interrupted(i))
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

/*
 * Let @i check the condition that it waits for.  True: it holds, and the role has continued; *good
 * is false if the role is lost.
 */
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

/* Wait after a move until no role runs and no waiter's condition holds.  False: a role is lost. */
static bool come_to_rest(void)
{
	unsigned i, nr = RACE_ROLES + step.nr_helpers;
	bool good = settled();

	for (i = 0; good && i < nr; i++) {
		if (let_look(i, &good)) {
			look_again();
			step.others_too = true;
			i = ~0u; /* from the first actor again */
		}
	}
	return good;
}

/* ---- moves ---- */

static unsigned movable_roles(void)
{
	unsigned role, movable = 0;

	for (role = 0; role < race.nr_roles; role++) {
		const struct frame *f = step_top(role);

		if (f ? f->kind == FRAME_STOP
		      : !race.role[role].running && step.actor[role].next < race.script->nr &&
		            cpumask_test(cpu_online_mask, role))
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

static void release_role(unsigned role)
{
	irqflags_t flags = race_enter();
	struct frame *f = step_top(role);

	step.mover = role;
	WRITE_ONCE(step.clock, step.clock + MOVE_NS);
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

/*
 * The number of times that the present picture has been seen since only @role can move; 0: other
 * roles can move too.
 */
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

/*
 * Let @role, which repeats itself, move alone. False: it does not leave its loop, and the state is
 * as before.
 */
static bool gets_out(unsigned role, bool *good)
{
	u64 picture = step_look_hash();
	unsigned i;

	for (i = 0; *good && (i < ALONE || step_look_hash() != picture); i++) {
		release_role(role);
		*good = come_to_rest();
		if (*good && times_seen(movable_roles(), role) <= 1) {
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

	n = (size_t)ksnprintf(why, sizeof(why),
	    "%c goes round: %s for the %urd time, and %u moves later the "
	    "same; ",
	    (int)('A' + role), f ? f->name : "?", ROUNDS, ALONE);
	n += step_page(why + n, sizeof(why) - n);
	n += (size_t)ksnprintf(why + n, sizeof(why) - n, "; ");
	step_why_stuck(role, why + n, sizeof(why) - n);
	race_end("STUCK", why);
}

/* Make the final checks while no operation runs.  @more: some operations have not begun yet. */
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

/* Record the place of each role after the last move. */
static void note(void)
{
	struct race_result *res = race.res;
	unsigned role;

	for (role = 0; role < race.nr_roles; role++) {
		struct actor *a = &step.actor[role];
		char text[sizeof(a->noted)];

		step_where(role, text, sizeof(text));
		if ((role != step.mover && !strcmp(text, a->noted)) ||
		    res->used >= sizeof(res->trace))
			continue;
		memcpy(a->noted, text, sizeof(text));
		if (step_session->nr_moves)
			res->used += (size_t)ksnprintf(res->trace + res->used,
			    sizeof(res->trace) - res->used, "%u %c %s\n", step_session->nr_moves,
			    (int)('A' + role), text);
	}
}

/*
 * True: the race has ended with the roles at rest, the outcome is known, and the script is
 * complete.
 */
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

/* smp_timeout_ns before stepping; while stepping it is so long that a reader may take any time */
static u64 timeout_ns;

/* The setup is over: wait until its last operation has come back and the reclaim thread sleeps. */
static bool begin(void)
{
	bool good;

	while (!READ_ONCE(step.nr_helpers))
		thread_yield();
	good = settled();
	seen.nr = 0;
	step_session->nr_moves = 0;
	step_session->moves[0] = '\0';
	step_made_begin(&step_session->made, race.script);
	if (smp_timeout_ns != NO_TIMEOUT_NS)
		timeout_ns = smp_timeout_ns;
	smp_timeout_ns = NO_TIMEOUT_NS;
	step_start();
	return good;
}

static void play(struct step_session *session)
{
	bool good = begin() && come_to_rest();

	while (good && !race_over()) {
		unsigned movable = movable_roles();
		int role;

		note();
		if (has_ended(movable))
			break;
		/* has_ended may have moved a role out of its loop: then other roles can move. */
		if (movable_roles() != movable)
			continue;
		step_show(session);
		role =
		    session->nr_moves < STEP_MOVES ? session->choose(session, movable) : STEP_QUIT;
		if (role == STEP_QUIT) {
			step_made_end(&session->made, STEP_LEFT);
			race_end("QUIT", "left before its end");
			return;
		}
		session->moves[session->nr_moves++] = (char)('a' + role);
		session->moves[session->nr_moves] = '\0';
		session->ended = false;
		release_role((unsigned)role);
		good = come_to_rest();
	}
	if (!good && !race_over()) {
		lost();
		step_made_end(&session->made, STEP_STUCK);
	}
	step_show(session);
}

void step_drive(void)
{
	play(step_session);
	smp_timeout_ns = timeout_ns;
}
