/* SPDX-License-Identifier: MIT */
/*
 * monitor_help.c: the prompt's help: all commands in groups, and one of them with an example.
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

static const char *const groups[NR_COMMAND_GROUPS] = {
    [GROUP_MEMORY] = "memory",
    [GROUP_OFFLINE] = "memory that leaves and returns",
    [GROUP_CPUS] = "CPUs",
    [GROUP_BROKEN] = "pages that break",
    [GROUP_TESTS] = "tests and load",
    [GROUP_MACHINE] = "the machine",
    [GROUP_PROMPT] = "the prompt",
};

static void show_group(unsigned group)
{
	const struct command *c;
	unsigned i;

	printk("%s\n", groups[group]);
	for (i = 0; (c = monitor_command(i)); i++)
		if (c->group == group)
			printk("  %-11s %-25s %s\n", c->name, c->args, c->help);
}

static int show_command(const char *name)
{
	const struct command *c = monitor_find(name);

	if (!c) {
		printk("%s: no such command; try help\n", name);
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
	return !(c->flags & FOLLOWS) && (c->flags & (bare ? SHOWS | SHOWS_BARE : SHOWS));
}

/* The commands for which it works with arguments too, or (@bare) only without. */
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

int cmd_help(unsigned n, char **arg)
{
	unsigned group;

	if (n)
		return show_command(arg[0]);
	for (group = 0; group < NR_COMMAND_GROUPS; group++)
		show_group(group);
	printk("Numbers are decimal or 0x.  help COMMAND has an example; Tab completes.\n");
	return 0;
}
