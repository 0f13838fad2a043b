/* SPDX-License-Identifier: MIT */
/*
 * race_boot.c: race replay in the kernel: each role is a thread on a CPU of its own.
 *
 * The thread that runs the scripts is bound to the last CPU, since most scripts have their roles on
 * the first CPUs. On the same CPU, a role that waits for ever with preemption off could stop the
 * thread from reporting.
 *
 * Owns: the script and the result under way; pages taken offline, whose bytes scripts use.
 */
#include "step.h"
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/machine.h>
#include <quarry/race.h>
#include <quarry/smp.h>
#include <quarry/memory_hotplug.h>
#include <quarry/string.h>

static struct race_script script;
static struct race_result result;

/* Nothing uses the bytes of offline memory, so scripts may. */
static pfn_t borrowed = PFN_NONE;
static unsigned long nr_borrowed;

pfn_t race_ram(unsigned long nr)
{
	unsigned long got;

	if (borrowed != PFN_NONE && nr <= nr_borrowed)
		return borrowed;
	KASSERT(borrowed == PFN_NONE);
	borrowed = offline_candidate(&kernel_memory, nr, &got);
	if (borrowed == PFN_NONE || got < nr ||
	    offline_pages(&kernel_memory, borrowed, nr, NULL, NULL))
		return borrowed = PFN_NONE;
	nr_borrowed = nr;
	return borrowed;
}

static void give_back(void)
{
	if (borrowed != PFN_NONE && online_pages(&kernel_memory, borrowed, nr_borrowed, NULL))
		printk("race: the borrowed range is lost\n");
	borrowed = PFN_NONE;
}

static void print_trace(void)
{
	const char *line = result.trace, *end;

	for (; *line; line = end + 1) {
		for (end = line; *end != '\n';)
			end++;
		printk("%.*s\n", (int)(end - line), line);
	}
}

static void print(const char *line)
{
	printk("%s\n", line);
}

/* True: the script can be run here, with @spare CPUs in addition to its roles'. */
static bool can_run(unsigned spare)
{
	unsigned cpu = 0;

	while (cpu < MIN(script.nr_cpus, nr_cpus) && cpumask_test(cpu_online_mask, cpu))
		cpu++;
	if (script.error[0])
		printk("race: %s cannot be read: %s\n", script.name, script.error);
	else if (cpu < script.nr_cpus || script.nr_cpus + spare > nr_cpus_online())
		printk(
		    "race: %s has %u roles, on CPUs 0 to %u%s: this machine has %u CPUs online\n",
		    script.name, script.nr_roles, script.nr_cpus - 1,
		    spare ? ", and needs one more" : "", nr_cpus_online());
	else
		return true;
	return false;
}

/* Run the script.  False: it did not end as expected of the right code. */
static bool run_one(void)
{
	if (!can_run(0))
		return false;
	race_run(&script, &result);
	printk("race: begin %s\n", script.name);
	print_trace();
	printk("race: end %s %s\n", script.name, result.outcome);
	if (result.why[0])
		printk("race: why: %s\n", result.why);
	return strcmp(result.outcome, script.expect) == 0;
}

/* ---- moves that are chosen, by a thread on a CPU that no role has ---- */

struct choice {
	u64 from, to;      /* first and last seed */
	const char *moves; /* NULL: moves by seeds; otherwise by keys, after these moves */
	bool good;
};

static int key(void)
{
	int c = console_getc();

	while (c < 0) {
		thread_yield();
		c = console_getc();
	}
	return c;
}

static void choose_main(void *arg)
{
	struct choice *c = arg;
	u64 seed;

	if (c->moves) {
		serial_disable_irq();
		c->good = step_by_keys(&script, c->moves, key, print);
		serial_enable_irq();
		return;
	}
	c->good = true;
	for (seed = c->from; seed <= c->to; seed++)
		c->good &= step_by_seed(&script, seed, c->from == c->to, print);
}

static bool run_chosen(struct choice *c)
{
	struct thread *thread;
	unsigned cpu = nr_cpus - 1;

	if (!can_run(1))
		return false;
	while (!cpumask_test(cpu_online_mask, cpu))
		cpu--;
	thread = thread_start("step", (int)cpu, choose_main, c);
	if (!thread) {
		printk("race: no memory for a thread\n");
		return false;
	}
	thread_join(thread);
	return c->good;
}

/* True: the script's name is one of the comma-separated names. */
static bool named(const char *names)
{
	size_t len = strlen(script.name);

	for (; *names; names++) {
		if (!strncmp(names, script.name, len) && (!names[len] || names[len] == ','))
			return true;
		while (*names && *names != ',')
			names++;
		if (!*names)
			break;
	}
	return false;
}

static void print_names(const char *wanted)
{
	const char *text;

	printk("race: no script %s; there are:", wanted);
	for (text = race_texts; *text;) {
		text = race_parse(text, &script);
		printk(" %s", script.name);
	}
	printk("\n");
}

void race_step_by_keys(const char *name)
{
	struct choice c = {.moves = ""};

	if (race_find(name, &script))
		run_chosen(&c);
	else
		print_names(name);
}

static bool run_all(const char *names)
{
	const char *text = race_texts;
	struct choice c = {.moves = cmdline_get("race_step", NULL)};
	bool seeds = cmdline_range("race_seed", &c.from, &c.to);
	unsigned found = 0;
	bool good = true;

	while (*text && !result.abandoned && (!found || !c.moves)) {
		text = race_parse(text, &script);
		if (strcmp(names, "all") != 0 && !named(names))
			continue;
		found++;
		good &= c.moves || seeds ? run_chosen(&c) : run_one();
	}
	if (!found)
		print_names(names);
	return found && good;
}

struct races {
	const char *names;
	u64 repeat;
	bool good;
};

static void run_races(void *arg)
{
	struct races *r = arg;

	if (!strcmp(r->names, "waiters")) {
		r->good = waiters_run();
		return;
	}
	for (r->good = true; r->repeat && !result.abandoned; r->repeat--)
		r->good &= run_all(r->names);
	if (result.abandoned) {
		/* The role that never came back may keep the boot thread's CPU for ever. */
		printk("race: a role never came back; no more can be run\nquarry: FAIL\n");
		machine_power_off(false);
	}
}

bool race_boot(const char *names)
{
	struct races r = {.names = names, .repeat = cmdline_u64("race_repeat", 1)};
	u64 patience = cmdline_u64("race_patience", 0);
	unsigned last = nr_cpus;
	struct thread *t;

	if (patience)
		race_patience_ns = patience * 1000000;
	while (last > 0 && !cpumask_test(cpu_online_mask, last - 1))
		last--;
	t = thread_start("races", (int)last - 1, run_races, &r);
	if (!t)
		return false;
	thread_join(t);
	give_back();
	return r.good;
}
