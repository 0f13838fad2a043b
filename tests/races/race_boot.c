/* SPDX-License-Identifier: MIT */
/*
 * race_boot.c: race replay in the kernel: each role is a thread on a CPU of its own.
 *
 * Owns: the script and the result under way.
 */
#include "engine.h"
#include <quarry/race.h>
#include <quarry/smp.h>

static struct race_script script;
static struct race_result result;

static void print_trace(void)
{
	const char *line = result.trace, *end;

	for (; *line; line = end + 1) {
		for (end = line; *end != '\n';)
			end++;
		printk("%.*s\n", (int)(end - line), line);
	}
}

/* False: it did not end as expected of the right code. */
static bool run_one(void)
{
	if (script.error[0]) {
		printk("race: %s cannot be read: %s\n", script.name, script.error);
		return false;
	}
	if (script.nr_roles > nr_cpus_online()) {
		printk("race: %s has %u roles, each on a CPU of its own: this machine has %u CPUs online\n",
		    script.name, script.nr_roles, nr_cpus_online());
		return false;
	}
	race_run(&script, &result);
	printk("race: begin %s\n", script.name);
	print_trace();
	printk("race: end %s %s\n", script.name, result.outcome);
	if (result.why[0])
		printk("race: why: %s\n", result.why);
	if (result.abandoned)
		printk("race: a role never came back; no more can be run\n");
	return strcmp(result.outcome, script.expect) == 0;
}

/* Is the script's name one of the comma-separated names? */
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

bool race_boot(const char *names)
{
	const char *text = race_texts;
	unsigned found = 0;
	bool good = true;

	while (*text && !result.abandoned) {
		text = race_parse(text, &script);
		if (strcmp(names, "all") != 0 && !named(names))
			continue;
		found++;
		good &= run_one();
	}
	if (!found) {
		printk("race: no script %s; there are:", names);
		for (text = race_texts; *text;) {
			text = race_parse(text, &script);
			printk(" %s", script.name);
		}
		printk("\n");
	}
	return found && good;
}
