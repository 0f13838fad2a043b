/* SPDX-License-Identifier: MIT */
/*
 * monitor.c: the prompt on the serial line or the screen: reads lines and carries out commands.
 *
 * Owns:       the table of commands and the line being typed.
 * Locks:      none.
 * Invariants: for bad input one line says what is wrong and what is expected.  A command that
 *             returns an error has printed the reason.
 * Tests:      tests/qemu/test_monitor.py, tests/qemu/test_prompt.py.
 */
#include "demo/demo.h"
#include "demo/line_edit.h"
#include "demo/live.h"
#include "demo/live_term.h"
#include "demo/monitor.h"

#include <quarry/console.h>
#include <quarry/errno.h>
#include <quarry/isolation.h>
#include <quarry/machine.h>
#include <quarry/port.h>

#define MAX_WORDS 8
#define WATCH_MS  1000
#define KEY_MS    10
#define CLEAR     "\033[H\033[2J"

const struct live_tty live_tty = {.present = serial_present,
    .key = console_getc,
    .write = terminal_write,
    .status = console_status};

/* ---- commands about commands ---- */

static int cmd_halt(unsigned n, char **arg)
{
	monitor_state.halted = true;
	return 0;
}

/* Succeed if the command fails, but not if it is unknown or has a wrong number of arguments. */
static int cmd_expect_fail(unsigned n, char **arg)
{
	int err = monitor_obey(n, arg);

	if (err == -ENOSYS || err == -E2BIG)
		return err;
	if (err)
		return 0;
	printk("expect-fail: %s did not fail\n", arg[0]);
	return -EINVAL;
}

/*
 * Has a key been typed?  The rest of an arrow key's sequence, which follows at once, is discarded.
 */
static bool key_pressed(void)
{
	unsigned waited;
	int c = console_getc();

	if (c < 0)
		return false;
	for (waited = 0; c == 27 && waited < 5; waited++) {
		thread_sleep(KEY_MS * 1000000ULL);
		while (console_getc() >= 0)
			;
	}
	return true;
}

static bool only_shows(unsigned n, char **arg)
{
	const struct command *c = monitor_find(arg[0]);

	if (!c) {
		monitor_no_such(arg[0]);
		return false;
	}
	if (monitor_watchable(c, n == 1))
		return true;
	if (c->flags & FOLLOWS)
		printk("watch: %s follows the memory by itself, until a key\n", arg[0]);
	else if (c->flags & NEEDS_KEYS)
		printk("watch: %s needs keys, and any key ends a watch\n", arg[0]);
	else
		printk("watch: %s changes something\n", arg[0]);
	monitor_show_watchable();
	return false;
}

static int cmd_watch(unsigned n, char **arg)
{
	unsigned waited, i;
	int err = 0;

	if (n == 0) {
		monitor_show_watchable();
		return 0;
	}
	if (!only_shows(n, arg))
		return -EINVAL;
	for (;;) {
		console_write(CLEAR, sizeof(CLEAR) - 1);
		printk("watch:");
		for (i = 0; i < n; i++)
			printk(" %s", arg[i]);
		printk(": every second; any key ends it\n\n");
		monitor_state.no_keys = true; /* a key ends the watch, not the command */
		err = monitor_obey(n, arg);
		monitor_state.no_keys = false;
		if (err)
			return err;
		for (waited = 0; waited < WATCH_MS; waited += KEY_MS) {
			if (key_pressed())
				return 0;
			thread_sleep(KEY_MS * 1000000ULL);
		}
	}
}

static int cmd_map(unsigned n, char **arg)
{
	u64 pfn = PFN_NONE;

	if (n && !monitor_number(arg[0], &pfn))
		return -EINVAL;
	if (n && !pfn_valid_in(&kernel_memory, pfn)) {
		printk("map: pfn %#llx: no such page\n", (unsigned long long)pfn);
		return -EINVAL;
	}
	live_look(pfn, monitor_state.no_keys);
	return 0;
}

/* ---- the table ---- */

/* clang-format off */
static const struct command commands[] = {
    {"mem", "", "totals and event counters", 0, 0, cmd_mem,
        .group = GROUP_MEMORY, SHOWS, "watch mem"},
    {"zone", "", "each zone: span, watermarks, free blocks", 0, 0, cmd_zone,
        .group = GROUP_MEMORY, SHOWS, "zone"},
    {"pcp", "", "what each CPU caches", 0, 0, cmd_pcp,
        .group = GROUP_MEMORY, SHOWS, "watch pcp"},
    {"block", "PFN", "the pageblock of PFN, and the page", 1, 1, cmd_block,
        .group = GROUP_MEMORY, SHOWS, "block 0x1000", {WORD_ONLINE}},
    {"page", "PFN", "the page, and its history", 1, 1, cmd_page,
        .group = GROUP_MEMORY, SHOWS, "page 0x1000", {WORD_ONLINE}},
    {"history", "[PFN]", "the newest records, or those of a page", 0, 1, cmd_history,
        .group = GROUP_MEMORY, SHOWS, "history", {WORD_ONLINE}},
    {"trace", "on|off", "record all allocations, or slow ones", 1, 1, cmd_trace,
        .group = GROUP_MEMORY, SHOWS_BARE, "trace on", {WORD_CHOICE}, "on off"},
    {"compact", "", "compaction: gather free memory", 0, 0, cmd_compact,
        .group = GROUP_MEMORY, SEEN, "compact"},
    {"cma", "[make|end|alloc|free N N]", "the area of contiguous memory", 0, 3, cmd_cma,
        .group = GROUP_MEMORY, SHOWS_BARE, "cma make 16", {WORD_CHOICE}, "make end alloc free"},
    {"map", "[PFN]", "the live screen; PFN: around that page", 0, 1, cmd_map,
        .group = GROUP_MEMORY, SHOWS | FOLLOWS, "map 0x8000", {WORD_ONLINE}},
    {"counts", "", "tasks, threads, objects ... in use", 0, 0, cmd_counts,
        .group = GROUP_MEMORY, SHOWS, "counts"},
    {"check", "", "verify all invariants (check_memory)", 0, 0, cmd_check,
        .group = GROUP_MEMORY, SHOWS, "check"},

    {"offline", "PFN NR [POLICY]", "offline NR pages from PFN on", 2, 3, cmd_offline,
        .group = GROUP_OFFLINE, SHOWS_BARE | SEEN, "offline 0x8000 4096 precise",
        {WORD_ONLINE, WORD_NR, WORD_POLICY}},
    {"online", "PFN NR", "bring them back online", 2, 2, cmd_online,
        .group = GROUP_OFFLINE, SHOWS_BARE | SEEN, "online 0x8000 4096", {WORD_OFFLINE, WORD_NR}},
    {"query", "PFN NR", "list blockers of an offline", 2, 2, cmd_query,
        .group = GROUP_OFFLINE, SHOWS | SHOWS_BARE, "query 0 1024", {WORD_ONLINE, WORD_NR}},
    {"policy", ISO_POLICY_NAMES("|"), "the default policy of offlines", 1, 1, cmd_policy,
        .group = GROUP_OFFLINE, SHOWS_BARE, "policy disable", {WORD_POLICY}},
    {"evacuate", "NODE [whole|undo]", "offline a node's movable memory", 1, 2, cmd_evacuate,
        .group = GROUP_OFFLINE, SHOWS_BARE | SEEN, "evacuate 0",
        {WORD_NODE, WORD_CHOICE}, "whole undo"},
    {"add", "PFN NR [NODE]", "add NR pages of new memory from PFN on", 2, 3, cmd_add,
        .group = GROUP_OFFLINE, SHOWS_BARE, "add 0x100000 65536",
        {WORD_NONE, WORD_NONE, WORD_NODE}},
    {"remove", "PFN NR", "remove offline memory", 2, 2, cmd_remove,
        .group = GROUP_OFFLINE, SHOWS_BARE, "remove 0x8000 4096", {WORD_OFFLINE, WORD_NR}},
    {"busy", "[PFN]", "keep a movable page busy; release it", 0, 1, cmd_busy,
        .group = GROUP_OFFLINE, 0, "busy 0x8003", {WORD_ONLINE}},

    {"cpus", "", "each CPU: state, threads, interrupts", 0, 0, cmd_cpus,
        .group = GROUP_OFFLINE, SHOWS, "watch cpus"},
    {"cpu", "down|up|hang N [MS]", "CPU N offline, online, or deaf for MS", 2, 3, cmd_cpu,
        .group = GROUP_OFFLINE, SHOWS_BARE | SEEN, "cpu down 1",
        {WORD_CHOICE, WORD_CPU}, "down up hang"},

    {"poison", "[PFN]", "retire a broken page; list broken pages", 0, 1, cmd_poison,
        .group = GROUP_BROKEN, SHOWS_BARE, "poison 0x8003", {WORD_ONLINE}},
    {"soft", "PFN", "move a page's content, and retire it", 1, 1, cmd_soft,
        .group = GROUP_BROKEN, SHOWS_BARE | SEEN, "soft 0x8003", {WORD_ONLINE}},
    {"unpoison", "PFN", "put a retired page back to use", 1, 1, cmd_unpoison,
        .group = GROUP_BROKEN, SHOWS_BARE, "unpoison 0x8003", {WORD_BROKEN}},
    {"mce", "", "machine checks: banks, records", 0, 0, cmd_mce,
        .group = GROUP_BROKEN, SHOWS, "mce"},

    {"run", "SUITE[.TEST][,...]", "run selftests: quick, all, or by name", 1, 1, cmd_run,
        .group = GROUP_TESTS, SHOWS_BARE, "run buddy,pcp", {WORD_TEST}},
    {"rounds", "N", "N offlines under stress, each policy", 1, 1, cmd_rounds,
        .group = GROUP_TESTS, SHOWS_BARE | SEEN, "rounds 10"},
    {"load", "[MIB]", "start a load on MIB; end it", 0, 1, cmd_load,
        .group = GROUP_TESTS, SEEN, "load 64"},
    {"burst", "MIB [ROUNDS]", "use up MIB, verify it, and free it", 1, 2, cmd_burst,
        .group = GROUP_TESTS, SHOWS_BARE, "burst 64 3"},
    {"race", "NAME", "step through a race; in a race build", 1, 1, cmd_race,
        .group = GROUP_TESTS, SHOWS_BARE | NEEDS_KEYS, "race R-S1b"},

    {"about", "", "one page on this machine, for a report", 0, 0, cmd_about,
        .group = GROUP_MACHINE, SHOWS, "about"},
    {"slots", "", "slots for memory modules and CPUs", 0, 0, cmd_slots,
        .group = GROUP_MACHINE, SHOWS, "slots"},
    {"virtio", "", "memory that the host gave and took", 0, 0, cmd_virtio,
        .group = GROUP_MACHINE, SHOWS, "watch virtio"},
    {"user", "PROGRAM [ARG [ARG]]", "run a program of the boot modules", 1, 3, cmd_user,
        .group = GROUP_MACHINE, SHOWS_BARE, "user hello", {WORD_PROGRAM}},
    {"halt", "", "power off; also quit, exit", 0, 0, cmd_halt,
        .group = GROUP_MACHINE, 0, "halt"},

    {"help", "[COMMAND|SUBJECT]", "all commands, a subject, or one command", 0, 1, cmd_help,
        .group = GROUP_PROMPT, SHOWS, "help offline", {WORD_HELP}},
    {"watch", "COMMAND ...", "repeat what shows, every second", 1, 4, cmd_watch,
        .group = GROUP_PROMPT, SHOWS_BARE | NEEDS_KEYS, "watch zone", {WORD_COMMAND}},
    {"expect-fail", "COMMAND ...", "succeed if COMMAND fails; for scripts", 1, 6, cmd_expect_fail,
        .group = GROUP_PROMPT, 0, "expect-fail offline 0 512", {WORD_COMMAND}},
};
/* clang-format on */

const struct command *monitor_command(unsigned i)
{
	return i < ARRAY_SIZE(commands) ? &commands[i] : NULL;
}

const struct command *monitor_find(const char *name)
{
	static const char *const aliases[][2] = {{"?", "help"}, {"quit", "halt"}, {"exit", "halt"}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(aliases); i++)
		if (!strcmp(aliases[i][0], name))
			name = aliases[i][1];
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/*
 * Run the command; @word is its name and @n arguments.  A command that only shows something runs
 * without the live screen.
 */
static int run_seen(const struct command *c, unsigned n, char **word)
{
	char title[LINE_MAX];
	unsigned i;
	int at = 0, err;

	for (i = 0; i <= n; i++)
		at += ksnprintf(title + at, sizeof(title) - (size_t)at, i ? " %s" : "%s", word[i]);
	if (!(c->flags & SEEN) || (!n && c->flags & SHOWS_BARE) || monitor_state.no_keys ||
	    !live_begin(title))
		return c->run(n, word + 1);
	err = c->run(n, word + 1);
	live_end();
	return err;
}

int monitor_obey(unsigned n, char **word)
{
	const struct command *c = monitor_find(word[0]);

	if (!c) {
		monitor_no_such(word[0]);
		return -ENOSYS;
	}
	n--;
	if ((n < c->min || n > c->max) && (n || !(c->flags & SHOWS_BARE))) {
		printk("usage: %s %s\n", c->name, c->args);
		return -E2BIG;
	}
	if (monitor_state.no_keys && (c->flags & NEEDS_KEYS)) {
		printk("%s: needs keys, which a script does not have\n", c->name);
		return -E2BIG;
	}
	return run_seen(c, n, word);
}

static unsigned split(char *text, char **word)
{
	unsigned n = 0;

	while (n < MAX_WORDS) {
		while (*text == ' ' || *text == '\t')
			*text++ = '\0';
		if (!*text)
			break;
		word[n++] = text;
		while (*text && *text != ' ' && *text != '\t')
			text++;
	}
	return n;
}

int monitor_obey_text(char *text)
{
	char *word[MAX_WORDS];
	unsigned n = split(text, word);

	return n ? monitor_obey(n, word) : 0;
}

/* ---- the prompt ---- */

static void write_line(void *arg, const char *s, size_t len)
{
	console_write(s, len);
}

static const struct line_ops line_ops = {.write = write_line, .complete = monitor_complete};

void monitor(u64 seed)
{
	static struct line_edit line;
	enum line_event event;

	monitor_state.seed = seed;
	if (screen_present()) /* it is all that a reporter can photograph */
		monitor_about();
	if (!console_can_read()) {
		printk("monitor: no serial port and no keyboard to read commands from\n");
		return;
	}
	if (!monitor_state.halted)
		printk("Type help for the list of commands; Tab completes a word.  To begin with:\n"
		       "  map         the live screen: all memory, until a key\n"
		       "  offline     which memory could leave, and which has left\n"
		       "  rounds 3    16 MiB leave and come back under load, by each policy\n");
	line_init(&line, &line_ops, NULL, "quarry> ");
	while (!monitor_state.halted) {
		line_begin(&line);
		do {
			event = line_feed(&line, console_getc_wait());
		} while (event == LINE_GOES_ON);
		if (event == LINE_READY) {
			monitor_obey_text(line.text);
		} else {
			console_write("halt\n", 5);
			monitor_state.halted = true;
		}
	}
	power_off_wanted = true;
}
