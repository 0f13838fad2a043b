/* SPDX-License-Identifier: MIT */
/*
 * run.c: a run of a script from its roles' threads to its outcome.
 *
 * Owns:       the roles' threads; which CPUs were online when the run began.
 * Invariants: checks are made by the thread that called race_run, which is no role.
 */
#include "engine_priv.h"
#include "step.h"
#include <quarry/console.h>
#include <quarry/hotplug.h>
#include <quarry/smp.h>

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

static void add_counted(const struct race_script *s)
{
	unsigned i;

	for (i = 0; i < s->nr; i++)
		if (s->entry[i].kind == RACE_COUNT && !ops_count(s->entry[i].op, NULL) &&
		    race.nr_counted < COUNTED)
			race.counted[race.nr_counted++].name = s->entry[i].op;
}

static bool has_reclaim(const struct race_script *s)
{
	unsigned i;

	for (i = 0; i < s->nr; i++)
		if (s->entry[i].role == RACE_RECLAIM)
			return true;
	return false;
}

void race_begin(unsigned nr, const struct race_script *s, struct race_result *res)
{
	memset(&race, 0, sizeof(race));
	step_finish();
	res->outcome[0] = res->why[0] = res->trace[0] = '\0';
	res->used = 0;
	res->abandoned = false;
	race.script = s;
	race.res = res;
	race.nr_roles = nr;
	if (s) {
		add_watches(s);
		add_counted(s);
		race.role[RACE_RECLAIM] = (struct role){.running = has_reclaim(s), .op = "reclaim"};
	}
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

/* The operation of @role that the step at the cursor starts; it counts as running. NULL: none. */
static const struct race_entry *next_op(unsigned role)
{
	irqflags_t flags = race_enter();
	const struct race_entry *e = NULL;
	struct role *r = &race.role[role];

	/*
	 * The role's CPU may be offline, or online again while the role's thread is still on
	 * another CPU.
	 */
	if (role != arch_cpu_id()) {
		race_leave(flags);
		return NULL;
	}
	if (race.active && !race.over && step_session && race.cursor >= race.script->first) {
		e = step_next_op(role);
	} else if (race.active && !race.over && race.cursor < race.script->nr) {
		e = &race.script->entry[race.cursor];
		if (e->role != role || (e->kind != RACE_START && e->kind != RACE_RUN))
			e = NULL;
	}
	if (e) {
		r->op = e->op;
		r->running = true;
		if (e->kind == RACE_START && !race.stepping) {
			race_step(e->op, "started");
			race_settle();
		}
	}
	race_leave(flags);
	return e;
}

static void op_ended(unsigned role, const struct race_entry *e, int result)
{
	irqflags_t flags = race_enter();
	struct role *r = &race.role[role];

	r->result = result;
	r->running = false;
	if (race.stepping) {
		step_op_ended(role, result);
	} else {
		if (e->kind == RACE_RUN && !race.over)
			race_step_result(e, r);
		race_settle();
	}
	race_leave(flags);
}

static void role_main(void *arg)
{
	unsigned role = (unsigned)((struct role *)arg - race.role);
	struct race_watchdog dog = {0};
	const struct race_entry *e;

	race_be(role);
	while (!race_over()) {
		e = next_op(role);
		if (e) {
			op_ended(role, e, ops_run(role, e->op));
		} else {
			race_watch(&dog);
			cpu_relax();
			thread_yield();
		}
	}
}

static void do_count(const struct race_entry *e)
{
	char text[120], detail[80], outcome[RACE_NAME], what[RACE_NAME];
	irqflags_t flags;
	u64 value = 0;
	unsigned i;

	if (!ops_count(e->op, &value))
		for (i = 0; i < race.nr_counted; i++)
			if (!strcmp(race.counted[i].name, e->op))
				value = READ_ONCE(race.counted[i].hits);
	ksnprintf(what, sizeof(what), "count %s", e->op);
	ops_detail(e->op, detail, sizeof(detail));
	ksnprintf(text, sizeof(text), "%llu%s%s", (unsigned long long)value, detail[0] ? ": " : "",
	    detail);
	ksnprintf(outcome, sizeof(outcome), "COUNT(%s)", e->op);
	flags = race_enter();
	race_step(what, text);
	if (e->wants && value != (u64)e->want)
		race_set_outcome(outcome, "more or fewer than the script wants");
	race_settle();
	race_leave(flags);
}

bool race_check(const char *what, struct race_finding *found)
{
	struct mm_violation v = {.what = "?"};
	size_t len = 0;

	if (ops_check(what, &v))
		return true;
	while (v.what[len] && v.what[len] != ' ')
		len++;
	ksnprintf(found->id, sizeof(found->id), "%.*s", (int)len, v.what);
	ksnprintf(found->outcome, sizeof(found->outcome), "CHECK(%s)", found->id);
	ksnprintf(found->why, sizeof(found->why), "%s: at %#lx: %lu, should be %lu", v.what, v.pfn,
	    v.have, v.want);
	return false;
}

static void do_check(const struct race_entry *e)
{
	struct race_finding found;
	bool good = race_check(e->op, &found);
	char what[RACE_NAME];
	irqflags_t flags;

	ksnprintf(what, sizeof(what), "check%s%s", e->op[0] ? " " : "", e->op);
	flags = race_enter();
	race_step(what, good ? "ok" : found.id);
	if (!good)
		race_set_outcome(found.outcome, found.why);
	race_settle();
	race_leave(flags);
}

/*
 * Make the script's checks up to entry @end, and watch that something moves. Runs in the thread
 * that called race_run.
 */
static void drive(u32 end)
{
	struct race_watchdog dog = {0};

	while (!race_over() && READ_ONCE(race.cursor) < end) {
		u32 cursor = READ_ONCE(race.cursor);

		if (cursor < race.script->nr && race.script->entry[cursor].kind == RACE_CHECK)
			do_check(&race.script->entry[cursor]);
		if (cursor < race.script->nr && race.script->entry[cursor].kind == RACE_COUNT)
			do_count(&race.script->entry[cursor]);
		dog.turns = 0; /* a pass of this loop sleeps, so check in each pass */
		race_watch(&dog);
		thread_sleep(1000000);
	}
}

/*
 * True: all roles have returned. No point stops a role now; a role that does not return is left
 * behind.
 */
static bool all_idle(void)
{
	u64 since = arch_clock_ns();
	unsigned i;

	for (i = 0; i < race.nr_roles; i++) {
		while (READ_ONCE(race.role[i].running)) {
			if (arch_clock_ns() - since > race_patience_ns)
				return false;
			thread_sleep(1000000);
		}
	}
	return true;
}

/*
 * Bring back the CPUs that the script took down, so that roles get the answers that they wait for.
 * Do nothing while cpu_hotplug is held: its holder may never release it.
 */
static void bring_up(const cpumask_t *were_online)
{
	unsigned cpu;

	for (cpu = 0; cpu < RACE_ROLES && cpu < nr_cpus; cpu++)
		if (cpumask_test(were_online, cpu) && !cpumask_test(cpu_online_mask, cpu) &&
		    READ_ONCE(cpu_hotplug.l.count) == 0 && cpu_up(cpu))
			printk("race: CPU %u does not come back\n", cpu);
}

void race_run(const struct race_script *s, struct race_result *res)
{
	cpumask_t online = READ_ONCE(cpu_online_mask[0]);
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
	if (step_session)
		step_prepare();
	ops_build(s);
	store_release(&race.active, 1u);
	drive(step_session ? s->first : ~0u);
	if (step_session)
		step_drive();
	bring_up(&online);
	res->abandoned = !all_idle();
	if (res->abandoned)
		return;
	bring_up(&online);
	for (i = 0; i < s->nr_roles; i++)
		thread_join(race.role[i].thread);
	store_release(&race.active, 0u);
	ops_stop(!strcmp(res->outcome, "OK"));
	step_finish();
}
