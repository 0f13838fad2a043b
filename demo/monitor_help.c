/* SPDX-License-Identifier: MIT */
/*
 * monitor_help.c: the prompt's help: all commands by subject, the commands of one subject, and one
 * command with an example.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: no line is wider than 80 columns.
 * Tests:      tests/qemu/test_prompt.py.
 */
#include "demo/monitor.h"

#include <quarry/errno.h>
#include <quarry/console.h>
#include <quarry/port.h>
#include <quarry/string.h>

#define LONGEST_NAME 16

/* The number of letters to add, leave out or replace until @typed is @name. */
static unsigned edits(const char *typed, const char *name)
{
	unsigned row[LONGEST_NAME + 1], len = strlen(name), i;

	KASSERT(len <= LONGEST_NAME);
	for (i = 0; i <= len; i++)
		row[i] = i;
	for (; *typed; typed++) {
		unsigned before = row[0]++;

		for (i = 1; i <= len; i++) {
			unsigned replaced = before + (*typed != name[i - 1]);

			before = row[i];
			row[i] = MIN(replaced, MIN(row[i], row[i - 1]) + 1);
		}
	}
	return row[len];
}

void monitor_no_such(const char *name)
{
	const struct command *c, *nearest = NULL;
	unsigned least = 3, i;

	for (i = 0; (c = monitor_command(i)); i++) {
		unsigned n = edits(name, c->name);

		if (n < least && 2 * n <= strlen(c->name) && *name == *c->name) {
			least = n;
			nearest = c;
		}
	}
	printk("%s: no such command; try %s\n", name, nearest ? nearest->name : "help");
}

static const struct {
	const char *subject, *title;
} groups[NR_COMMAND_GROUPS] = {
    [GROUP_MEMORY] = {"memory", "memory as it is"},
    [GROUP_OFFLINE] = {"hotplug", "memory and CPUs that leave and return"},
    [GROUP_BROKEN] = {"broken", "pages that break"},
    [GROUP_TESTS] = {"tests", "tests and load"},
    [GROUP_MACHINE] = {"machine", "the machine"},
    [GROUP_PROMPT] = {"prompt", "the prompt"},
};

#define INDENT 10 /* columns before the names of a subject's commands */

const char *monitor_subject(unsigned group)
{
	return groups[group].subject;
}

/* Print a line for each command of the group. */
static void show_group(unsigned group)
{
	const struct command *c;
	unsigned i;

	printk("%s\n", groups[group].title);
	for (i = 0; (c = monitor_command(i)); i++)
		if (c->group == group)
			printk("  %-11s %-25s %s\n", c->name, c->args, c->help);
}

/* Print the names of the group's commands. */
static void show_names(unsigned group)
{
	const struct command *c;
	size_t column = INDENT;
	unsigned i;

	printk("%-*s", INDENT - 1, groups[group].subject);
	for (i = 0; (c = monitor_command(i)); i++) {
		size_t len = 1 + strlen(c->name);

		if (c->group != group)
			continue;
		if (column + len > CONSOLE_COLUMNS) {
			printk("\n%-*s", INDENT - 1, "");
			column = INDENT;
		}
		printk(" %s", c->name);
		column += len;
	}
	printk("\n");
}

static int show_command(const char *name)
{
	const struct command *c = monitor_find(name);

	if (!c) {
		monitor_no_such(name);
		return -EINVAL;
	}
	printk("%s%s%s: %s\n", c->name, *c->args ? " " : "", c->args, c->help);
	if (c->flags & SHOWS_BARE)
		printk("  without arguments: the present state\n");
	if (c->example)
		printk("  for example: %s\n", c->example);
	return 0;
}

bool monitor_watchable(const struct command *c, bool bare)
{
	return !(c->flags & (FOLLOWS | NEEDS_KEYS)) &&
	    (c->flags & (bare ? SHOWS | SHOWS_BARE : SHOWS));
}

/* Print the commands that can be watched with arguments too, or (@bare) only without arguments. */
static void show_watchable(const char *what, bool bare)
{
	const struct command *c;
	size_t column = strlen(what), len;
	unsigned i;

	printk("%s", what);
	for (i = 0; (c = monitor_command(i)); i++) {
		if (!monitor_watchable(c, true) || monitor_watchable(c, false) == bare ||
		    c->group == GROUP_PROMPT)
			continue;
		len = 1 + strlen(c->name);
		column = column + len > CONSOLE_COLUMNS ? 0 : column;
		printk("%s %s", column ? "" : "\n   ", c->name);
		column += column ? len : 3 + len;
	}
	printk("\n");
}

void monitor_show_watchable(void)
{
	show_watchable("  to be watched:", false);
	show_watchable("  and without arguments:", true);
}

static void show_subjects(void)
{
	unsigned group;

	for (group = 0; group < NR_COMMAND_GROUPS; group++)
		show_names(group);
	printk("help COMMAND: what it does, with an example (help offline)\n"
	       "help SUBJECT: a line for each command of a row (help memory, help all)\n"
	       "Numbers are decimal or 0x.  Tab completes; Up and Down bring earlier lines.\n"
	       "In make run Ctrl-A is QEMU's: Ctrl-A x ends it; typed twice: start of the line.\n");
}

int cmd_help(unsigned n, char **arg)
{
	bool all = n && !strcmp(arg[0], "all");
	unsigned group;

	if (n == 0)
		show_subjects();
	for (group = 0; n && group < NR_COMMAND_GROUPS; group++) {
		if (!all && strcmp(arg[0], groups[group].subject) != 0)
			continue;
		show_group(group);
		if (!all)
			return 0;
	}
	return n && !all ? show_command(arg[0]) : 0;
}
