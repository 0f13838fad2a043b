/* SPDX-License-Identifier: MIT */
/*
 * explore.c: runs the operations of a few roles under many schedules, and judges each by its
 * outcome.
 *
 * Without preemption a schedule is fixed: a role runs until it waits. So a schedule is a list of
 * points at which the running role is preempted, each with the role that runs next. A preempted
 * role continues when all others wait. Meanwhile it takes interrupts, if they are on at its point.
 *
 * Owns: ex, able.
 */
#include "explore.h"
#include <quarry/console.h>
#include <quarry/ktest.h>
#include <quarry/smp.h>
#include <quarry/string.h>

#define PATIENCE   1500 /* passes of a waiting loop: an offline fails for a pinned page after 200 */
#define MAX_POINTS 4096 /* points of a run in able[]; at later points all roles are tried */

struct explore ex;
static const struct plan *plan_now;
static struct outcome *out_now;
static unsigned next_cut;
static int results[RACE_ROLES][MAX_OPS];
static struct race_result unused_result;
void (*explore_goes_on)(void);
/* At each point of the last runs without and with one preemption: the roles that could run. */
static u8 able[2][MAX_POINTS];
BUILD_ASSERT(RACE_ROLES <= 8);

/* ---- reading a set ---- */

/* Read the operations of @role, the text between @text and @end. */
static bool read_role(const char *text, const char *end, unsigned role)
{
	struct race_script *s = &ex.setup;
	char entry[160];
	unsigned first = s->nr, i;
	const char *stop;

	for (; text < end; text = stop + (stop < end)) {
		for (stop = text; stop < end && *stop != ';';)
			stop++;
		while (text < stop && *text == ' ')
			text++;
		if (stop - text > (long)sizeof(entry) - 3 || s->nr - first == MAX_OPS) {
			ksnprintf(s->error, sizeof(s->error), "%s: \"%.30s\"",
			    s->nr - first == MAX_OPS ? "too many operations" : "too long", text);
			return false;
		}
		ksnprintf(
		    entry, sizeof(entry), "%c:%.*s", (int)('A' + role), (int)(stop - text), text);
		if (!race_parse_entries(s, entry))
			return false;
	}
	/* The parser of scripts has added the operations to the setup; take them out of it. */
	for (i = first; i < s->nr; i++) {
		memcpy(ex.op[role][i - first], s->entry[i].op, RACE_NAME);
		ex.wants[role][i - first] = s->entry[i].wants;
		ex.want[role][i - first] = s->entry[i].want;
	}
	ex.nr_ops[role] = i - first;
	s->nr = first;
	return true;
}

/* The CPU of an operation like "cpu_down(2)"; -1: it does not begin with @what. */
static int cpu_of(const char *op, const char *what)
{
	size_t len = strlen(what);

	return strncmp(op, what, len) ? -1 : op[len] - '0';
}

/*
 * A fiber is a CPU and its one thread: a role cannot continue elsewhere when its CPU goes down, nor
 * begin on an offline CPU.  So a set is refused if the CPU of a role with operations goes down; the
 * CPU of a role without operations may go down.
 */
static bool roles_keep_their_cpus(void)
{
	unsigned long down = 0;
	unsigned role, i;
	int cpu;

	for (i = 0; i < ex.setup.nr; i++) {
		cpu = cpu_of(ex.setup.entry[i].op, "cpu_down(");
		down |= cpu >= 0 && cpu < RACE_ROLES ? 1UL << cpu : 0;
		cpu = cpu_of(ex.setup.entry[i].op, "cpu_up(");
		down &= ~(cpu >= 0 && cpu < RACE_ROLES ? 1UL << cpu : 0);
	}
	for (role = 0; role < ex.nr_roles; role++) {
		for (i = 0; i < ex.nr_ops[role]; i++) {
			cpu = cpu_of(ex.op[role][i], "cpu_down(");
			down |= cpu >= 0 && cpu < RACE_ROLES ? 1UL << cpu : 0;
		}
	}
	for (role = 0; role < ex.nr_roles; role++) {
		if (!ex.nr_ops[role] || !(down >> role & 1))
			continue;
		ksnprintf(ex.error, sizeof(ex.error),
		    "role %c has operations, and its CPU %u goes down", (int)('A' + role), role);
		return false;
	}
	return true;
}

bool explore_read(const struct explore_set *set)
{
	const char *text = set->roles, *end;

	memset(&ex, 0, sizeof(ex));
	ex.policy = set->policy;
	if (!race_parse_entries(&ex.setup, set->setup))
		goto bad;
	for (;; text = end + 1) {
		for (end = text; *end && *end != '|';)
			end++;
		if (ex.nr_roles == RACE_ROLES)
			goto bad;
		if (!read_role(text, end, ex.nr_roles++))
			goto bad;
		if (!*end)
			break;
	}
	ex.nr_cpus = MAX(ex.nr_roles, ex.setup.nr_roles);
	if (ex.nr_cpus <= RACE_ROLES)
		return roles_keep_their_cpus();
bad:
	ksnprintf(ex.error, sizeof(ex.error), "%s",
	    ex.setup.error[0] ? ex.setup.error : "too many roles");
	return false;
}

/* ---- one schedule ---- */

static struct event *note(enum event_kind kind, unsigned role, unsigned nth, const char *name)
{
	struct event *e = &ex.event[ex.nr_events];

	/* An endless loop fills the list; the events that matter came before. */
	if (ex.nr_events < MAX_EVENTS - 1)
		ex.nr_events++;
	*e = (struct event){
	    .kind = kind, .role = role, .nth = nth, .name = name, .interrupt = arch_in_interrupt()};
	return e;
}

static void note_able(unsigned nr_cuts, unsigned at)
{
	unsigned role;

	if (nr_cuts >= ARRAY_SIZE(able) || at > MAX_POINTS)
		return;
	able[nr_cuts][at - 1] = 0;
	for (role = 0; role < ex.nr_roles; role++)
		able[nr_cuts][at - 1] |= (u8)(fiber_can_run(role) << role);
}

static void at_point(unsigned role, const char *name, bool waits)
{
	struct event *e;

	if (waits)
		return;
	/* The number of the hit is filled in when a script is made. */
	e = note(EVENT_POINT, role, 0, name);
	note_able(plan_now->nr, ++out_now->points);
	if (next_cut < plan_now->nr && plan_now->cut[next_cut].at == out_now->points) {
		unsigned to = plan_now->cut[next_cut++].to;

		e->cut = fiber_can_run(to);
		out_now->cuts += e->cut;
		e->cut = e->cut && fiber_preempt_to(to);
	}
}

static void setup_main(void *arg)
{
	const struct race_entry *e = arg;
	int err = ops_run(e->role, e->op);

	if (err)
		panic("setup: %s: %s", e->op, race_errno(err));
	fiber_idle();
}

static void role_main(void *arg)
{
	unsigned role = *(unsigned *)arg, i;

	race_be(role);
	for (i = 0; i < ex.nr_ops[role]; i++) {
		note(EVENT_START, role, i, ex.op[role][i]);
		results[role][i] = ops_run(role, ex.op[role][i]);
		note(EVENT_END, role, i, ex.op[role][i]);
	}
	fiber_idle();
}

bool explore_failed(const struct outcome *out)
{
	return strcmp(out->what, "OK") != 0;
}

void explore_fail(const char *what, const char *why)
{
	if (explore_failed(out_now))
		return;
	ksnprintf(out_now->what, sizeof(out_now->what), "%s", what);
	ksnprintf(out_now->why, sizeof(out_now->why), "%s", why);
}

void explore_fail_check(const struct mm_violation *v)
{
	const char *said = v->what ? v->what : "?";
	char what[RACE_NAME], why[200];
	int len = 0;

	while (said[len] && said[len] != ' ')
		len++;
	ksnprintf(what, sizeof(what), "CHECK(%.*s)", len, said);
	ksnprintf(
	    why, sizeof(why), "%s: at %#lx: %lu, should be %lu", said, v->pfn, v->have, v->want);
	explore_fail(what, why);
}

static void on_stuck(void)
{
	explore_fail("STUCK", "no role can go on");
	fiber_leave();
}

static void on_panic(const char *text)
{
	explore_fail("CRASH", text);
	fiber_leave();
}

void explore_begin(struct outcome *out)
{
	out_now = out;
	*out = (struct outcome){.what = "OK"};
	fiber_on_stuck = on_stuck;
	fiber_on_panic = on_panic;
	fiber_patience = PATIENCE;
}

static void judge(void)
{
	struct mm_violation v = {.what = NULL};
	char text[RACE_NAME], why[200];
	unsigned role, i;

	if (!ops_final(&v))
		explore_fail_check(&v);
	for (role = 0; role < ex.nr_roles; role++) {
		for (i = 0; i < ex.nr_ops[role]; i++) {
			if (!ex.wants[role][i] || ex.want[role][i] == results[role][i])
				continue;
			ksnprintf(text, sizeof(text), "WRONG(%c)", (int)('A' + role));
			ksnprintf(why, sizeof(why), "%s returned %s", ex.op[role][i],
			    race_errno(results[role][i]));
			explore_fail(text, why);
		}
	}
}

static void end_main(void *arg)
{
	ops_run(0, "end");
	fiber_idle();
}

/* End all objects and spaces; nothing of them may stay. */
static void judge_end(void)
{
	if (!ops_has_objects() || explore_failed(out_now))
		return;
	race_hook = NULL;
	race_begin(0, NULL, &unused_result);
	fiber_start("end", 0, end_main, NULL);
	fiber_wait_all();
	judge();
}

static void drive(void *arg)
{
	static unsigned number[RACE_ROLES];
	struct race_script *s = &ex.setup;
	unsigned i;

	fibers_boot(0, ex.nr_cpus);
	s->nr_cpus = ex.nr_cpus;
	s->policy = ex.policy;
	ops_build(s);
	for (i = 0; i < s->nr; i++) {
		fiber_start("setup", s->entry[i].role, setup_main, &s->entry[i]);
		fiber_wait_all();
	}
	race_begin(ex.nr_roles, NULL, &unused_result);
	race_hook = at_point;
	fiber_order = plan_now->order;
	for (i = 0; i < ex.nr_roles; i++) {
		number[i] = i;
		fiber_start("role", i, role_main, &number[i]);
	}
	fiber_wait_all();
	race_end("OK", "");
	judge();
	judge_end();
}

void explore_once(const struct plan *plan, struct outcome *out)
{
	plan_now = plan;
	next_cut = 0;
	ex.nr_events = 0;
	explore_begin(out);
	fiber_chance = plan->chance;
	fiber_order = NULL;
	fibers_once(ex.nr_cpus, drive);
}

/* ---- many ---- */

/* @any: run it even if a preemption does not happen. */
static bool try_one(struct plan *plan, struct explore_report *rep, unsigned *points, bool any)
{
	struct outcome out;

	if (rep->failed_at)
		return false;
	plan->chance = rep->schedules;
	explore_once(plan, &out);
	*points = out.points;
	/* A preemption did not happen: a shorter plan has this schedule already. */
	if (!any && out.cuts < plan->nr)
		return false;
	rep->schedules++;
	if (explore_goes_on && rep->schedules % 512 == 0)
		explore_goes_on();
	if (explore_failed(&out)) {
		rep->failed_at = rep->schedules;
		rep->outcome = out;
		rep->plan = *plan;
	}
	return true;
}

static void set_order(struct plan *plan, u64 number)
{
	unsigned i;

	for (i = 0; i < FIBER_CPUS; i++)
		plan->order[i] = (u8)i;
	for (i = ex.nr_roles; i > 1; i--, number /= i + 1) {
		unsigned j = i - 1 - (unsigned)(number % i); /* number 0: no change */
		u8 other = plan->order[j];

		plan->order[j] = plan->order[i - 1];
		plan->order[i - 1] = other;
	}
}

/* True: role @to could run at point @at of the last run with @nr_cuts preemptions. */
static bool is_able(unsigned nr_cuts, unsigned at, unsigned to)
{
	return at > MAX_POINTS || able[nr_cuts][at - 1] >> to & 1;
}

/* @nr: schedules with two preemptions so far. One in @stride of them is run; none if it is 0. */
struct pairs {
	u64 nr, stride;
};

/* Is the schedule run? A hash of its number decides, because points come in patterns. */
static bool is_chosen(const struct pairs *pairs)
{
	return pairs->stride == 1 || (pairs->nr * 0x9e3779b97f4a7c15ULL >> 32) % pairs->stride == 0;
}

/* Try each second preemption. @plan has one; its run has passed @points points. */
static void second_cuts(
    struct plan *plan, struct pairs *pairs, struct explore_report *rep, unsigned points)
{
	unsigned at, to, ignored;

	plan->nr = 2;
	for (at = plan->cut[0].at + 1; at <= points; at++) {
		for (to = 0; to < ex.nr_roles; to++) {
			if (!is_able(1, at, to))
				continue;
			pairs->nr++;
			plan->cut[1] = (struct cut){at, to};
			if (pairs->stride && is_chosen(pairs))
				try_one(plan, rep, &ignored, false);
			else
				rep->left_out++;
		}
	}
	plan->nr = 1;
}

static void explore_order(struct plan *plan, struct pairs *pairs, struct explore_report *rep)
{
	unsigned at, to, first, points;

	if (!try_one(plan, rep, &first, false))
		return;
	for (at = 1; at <= first && !rep->failed_at; at++) {
		for (to = 0; to < ex.nr_roles; to++) {
			if (!is_able(0, at, to))
				continue;
			plan->nr = 1;
			plan->cut[0] = (struct cut){at, to};
			if (try_one(plan, rep, &points, false))
				second_cuts(plan, pairs, rep, points);
		}
	}
}

static void explore_orders(u64 stride, struct explore_report *rep)
{
	struct pairs pairs = {.stride = stride};
	u64 orders = 1, order;
	unsigned i;

	*rep = (struct explore_report){0};
	for (i = 2; i <= ex.nr_roles; i++)
		orders *= i;
	for (order = 0; order < orders && !rep->failed_at; order++) {
		struct plan plan = {.nr = 0};

		set_order(&plan, order);
		explore_order(&plan, &pairs, rep);
	}
}

void explore_all(u64 max, struct explore_report *rep)
{
	u64 room, pairs;

	/* Run the schedules with less than two preemptions, and count those with two. */
	explore_orders(0, rep);
	room = max > rep->schedules ? max - rep->schedules : 1;
	pairs = rep->left_out;
	if (rep->failed_at && pairs > room)
		return;
	explore_orders(pairs > room ? (pairs + room - 1) / room : 1, rep);
	rep->complete = !rep->failed_at && !rep->left_out;
}

void explore_random(u64 seed, u64 max, struct explore_report *rep)
{
	u64 rand = seed * 0x9e3779b97f4a7c15ULL | 1;
	unsigned points, longest = 40, i, j;

	*rep = (struct explore_report){0};
	while (rep->schedules < max && !rep->failed_at) {
		struct plan plan = {.nr = 1 + (unsigned)(ktest_rand(&rand) % 4)};

		set_order(&plan, ktest_rand(&rand) >> 8);
		for (i = 0; i < plan.nr; i++) {
			struct cut c = {1 + (unsigned)((ktest_rand(&rand) >> 8) % longest),
			    (unsigned)((ktest_rand(&rand) >> 8) % ex.nr_roles)};

			for (j = i; j > 0 && plan.cut[j - 1].at > c.at; j--)
				plan.cut[j] = plan.cut[j - 1];
			plan.cut[j] = c;
		}
		/* Count schedules whose preemptions did not happen, too: chance chose them. */
		try_one(&plan, rep, &points, true);
		longest = MAX(longest, MIN(points, 400u));
	}
}
