/* SPDX-License-Identifier: MIT */
/*
 * monitor.c: the prompt on the serial line: show memory, offline ranges, run suites.
 *
 * Owns:       the table of commands and the line being typed.
 * Locks:      none.
 * Invariants: for bad input one line says what is wrong and what is expected.
 * Tests:      tests/qemu/test_monitor.py, tests/qemu/test_shown.py.
 */
#include "demo/demo.h"
#include "demo/monitor.h"
#include "demo/provoke.h"
#include "demo/soak.h"

#include <quarry/account.h>
#include <quarry/acpi.h>
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/ktest.h>
#include <quarry/mce.h>
#include <quarry/race.h>
#include <quarry/smp.h>
#include <quarry/task.h>
#include <quarry/isolation.h>
#include <quarry/virtio.h>

#define LINE_MAX    120
#define MAX_WORDS   5
#define NR_HISTORY  8
#define HANG_MAX_MS 3600000u

struct line {
	char text[LINE_MAX];
	size_t len;
};
static struct line history[NR_HISTORY];
static unsigned history_used;
static u64 monitor_seed;

struct command {
	const char *name, *args, *help;
	unsigned min, max; /* arguments */
	void (*run)(unsigned n, char **arg);
};

/* ---- reading a line ---- */

static void retype(struct line *line, const struct line *with)
{
	for (; line->len > 0; line->len--)
		console_write("\b \b", 3);
	*line = *with;
	console_write(line->text, line->len);
}

/* Arrow keys come as ESC [ A and ESC [ B. */
static void escape_sequence(struct line *line, unsigned *back)
{
	static const struct line empty;
	int c = serial_getc_wait();

	if (c != '[')
		return;
	c = serial_getc_wait();
	if (c == 'A' && *back < MIN(history_used, (unsigned)NR_HISTORY))
		(*back)++;
	else if (c == 'B' && *back > 0)
		(*back)--;
	else
		return;
	retype(line, *back ? &history[(history_used - *back) % NR_HISTORY] : &empty);
}

static void read_line(struct line *line)
{
	unsigned back = 0;

	line->len = 0;
	for (;;) {
		int c = serial_getc_wait();
		char out = (char)c;

		if (c == '\r' || c == '\n')
			break;
		if (c == 27) {
			escape_sequence(line, &back);
		} else if (c == 4 && line->len == 0) { /* Ctrl-D: the end of the input */
			static const struct line halt = {"halt", 4};

			retype(line, &halt);
			break;
		} else if (c == 3 || c == 21) { /* Ctrl-C, Ctrl-U: forget the line */
			static const struct line empty;

			retype(line, &empty);
		} else if ((c == 8 || c == 127) && line->len > 0) {
			line->len--;
			console_write("\b \b", 3);
		} else if (c >= ' ' && c < 127 && line->len + 1 < LINE_MAX) {
			line->text[line->len++] = out;
			console_write(&out, 1);
		}
	}
	line->text[line->len] = '\0';
	console_write("\n", 1);
	if (line->len)
		history[history_used++ % NR_HISTORY] = *line;
}

/* ---- commands ---- */

bool monitor_number(const char *word, u64 *value)
{
	if (parse_u64(word, value) == 0)
		return true;
	printk("%s: not a number (decimal, or 0x and hexadecimal)\n", word);
	return false;
}

bool monitor_policy(const char *word, enum iso_policy *policy)
{
	*policy = iso_policy_by_name(word);
	if (*policy != NR_ISO_POLICIES)
		return true;
	printk("%s: no such policy: " ISO_POLICY_NAMES(", ") "\n", word);
	return false;
}

static void cmd_mem(unsigned n, char **arg)
{
	show_mem(&kernel_memory);
}

static void cmd_zone(unsigned n, char **arg)
{
	show_zones(&kernel_memory);
}

static void cmd_pcp(unsigned n, char **arg)
{
	show_pcp(&kernel_memory);
}

static void cmd_block(unsigned n, char **arg)
{
	u64 pfn;

	if (monitor_number(arg[0], &pfn))
		show_block(&kernel_memory, pfn);
}

static void cmd_trace(unsigned n, char **arg)
{
	if (strcmp(arg[0], "on") != 0 && strcmp(arg[0], "off") != 0)
		printk("usage: trace on|off\n");
	else
		trace_switch(&kernel_memory, arg[0][1] == 'n');
}

static void cmd_page(unsigned n, char **arg)
{
	u64 pfn;

	if (!monitor_number(arg[0], &pfn))
		return;
	dump_page(&kernel_memory, pfn, "page");
	trace_history(&kernel_memory, pfn);
}

static void cmd_policy(unsigned n, char **arg)
{
	enum iso_policy policy;

	if (monitor_policy(arg[0], &policy))
		WRITE_ONCE(kernel_memory.policy, policy);
}

static void cmd_check(unsigned n, char **arg)
{
	struct mm_violation v;

	if (check_memory(&kernel_memory, &v))
		printk("check: %s at %#lx: %#lx, should be %#lx\n", v.what, v.pfn, v.have, v.want);
	else
		printk("check: every invariant holds\n");
}

static void cmd_counts(unsigned n, char **arg)
{
	show_counts();
	show_tasks();
}

static void cmd_run(unsigned n, char **arg)
{
	ktest_run(arg[0], monitor_seed);
}

static void cmd_rounds(unsigned n, char **arg)
{
	u64 rounds;

	if (monitor_number(arg[0], &rounds) && rounds < 1000000)
		offline_soak(&kernel_memory, (unsigned)rounds, NR_ISO_POLICIES, monitor_seed);
}

static void cmd_cpus(unsigned n, char **arg)
{
	show_cpus();
}

static void cmd_slots(unsigned n, char **arg)
{
	show_all_slots();
}

static void nothing(void *arg)
{
}

/* Make @cpu deaf for @ms, by default long enough to be reported, and call it. */
static void hang_cpu(unsigned cpu, u64 ms)
{
	u64 began = arch_clock_ns();
	struct fault_hang hang;
	int err = fault_hang_start(&hang, cpu, ms * 1000000);

	if (err) {
		printk("cpu: error %d\n", err);
		return;
	}
	smp_call_mask(NULL, nothing, NULL);
	printk("cpu: all have answered after %llu ms\n",
	    (unsigned long long)((arch_clock_ns() - began) / 1000000));
	fault_hang_end(&hang);
}

static void cmd_cpu(unsigned n, char **arg)
{
	u64 cpu, ms = smp_timeout_ns / 1000000 * 2;
	int err;

	if (!monitor_number(arg[1], &cpu) || (n > 2 && !monitor_number(arg[2], &ms)))
		return;
	cpu = MIN(cpu, (u64)nr_cpus);
	if (strcmp(arg[0], "hang") == 0) {
		if (ms <= HANG_MAX_MS)
			hang_cpu((unsigned)cpu, ms);
		else
			printk("cpu hang: at most %u ms\n", HANG_MAX_MS);
		return;
	}
	if (strcmp(arg[0], "down") == 0) {
		err = cpu_down((unsigned)cpu);
	} else if (strcmp(arg[0], "up") == 0) {
		err = cpu_up((unsigned)cpu);
	} else {
		printk("usage: cpu down N, cpu up N, cpu hang N [MS]\n");
		return;
	}
	if (err)
		printk("cpu: error %d: %s\n", err,
		    err == -ENODEV         ? "no such CPU"
		        : err == -EALREADY ? "already so"
		        : err == -EBUSY    ? "the last CPU online"
		                           : "no answer");
	else
		printk("cpu: done: %u of %u online\n", nr_cpus_online(), nr_cpus);
}

static void cmd_mce(unsigned n, char **arg)
{
	mce_show();
}

static void cmd_race(unsigned n, char **arg)
{
	race_step_by_keys(arg[0]);
}

static void cmd_user(unsigned n, char **arg)
{
	u64 arg0 = monitor_seed, arg1 = 0;

	if ((n > 1 && !monitor_number(arg[1], &arg0)) || (n > 2 && !monitor_number(arg[2], &arg1)))
		return;
	user_run(arg[0], arg0, arg1);
}

static void cmd_virtio(unsigned n, char **arg)
{
	virtio_show();
}

static void cmd_help(unsigned n, char **arg);

static const struct command commands[] = {
    {"help", "", "this list", 0, 0, cmd_help},
    {"mem", "", "totals and event counters", 0, 0, cmd_mem},
    {"zone", "", "each zone: span, watermarks, free lists", 0, 0, cmd_zone},
    {"pcp", "", "what each CPU caches", 0, 0, cmd_pcp},
    {"block", "PFN", "the pageblock that PFN lies in, and the page", 1, 1, cmd_block},
    {"page", "PFN", "the page, and what happened to it lately", 1, 1, cmd_page},
    {"trace", "on|off", "record all allocations, or slow paths only", 1, 1, cmd_trace},
    {"offline", "PFN NR [POLICY]", "take NR pages from PFN on offline", 2, 3, cmd_offline},
    {"online", "PFN NR", "bring them back online", 2, 2, cmd_online},
    {"add", "PFN NR [NODE]", "add NR pages of new memory from PFN on", 2, 3, cmd_add},
    {"remove", "PFN NR", "remove memory that is offline", 2, 2, cmd_remove},
    {"query", "PFN NR", "list blockers of an offline", 2, 2, cmd_query},
    {"evacuate", "NODE [whole|undo]", "offline a node's movable memory; undo", 1, 2, cmd_evacuate},
    {"compact", "", "compaction: gather free memory", 0, 0, cmd_compact},
    {"cma", "[make|end|alloc|free N N]", "the area of contiguous memory", 0, 3, cmd_cma},
    {"busy", "[PFN]", "keep a movable page in use; release it", 0, 1, cmd_busy},
    {"poison", "[PFN]", "retire a broken page; list broken pages", 0, 1, cmd_poison},
    {"soft", "PFN", "move a page's content, and retire it", 1, 1, cmd_soft},
    {"unpoison", "PFN", "put a retired page back to use", 1, 1, cmd_unpoison},
    {"mce", "", "machine checks: banks, records", 0, 0, cmd_mce},
    {"policy", ISO_POLICY_NAMES("|"), "the default policy of offlines", 1, 1, cmd_policy},
    {"check", "", "verify all invariants (check_memory)", 0, 0, cmd_check},
    {"counts", "", "tasks, threads, objects ... in use", 0, 0, cmd_counts},
    {"run", "SUITE[.TEST][,...]", "run selftests: quick, all, or by name", 1, 1, cmd_run},
    {"rounds", "N", "N offline rounds under stress, for each policy", 1, 1, cmd_rounds},
    {"cpus", "", "each CPU: its state, threads, interrupts", 0, 0, cmd_cpus},
    {"cpu", "down|up|hang N [MS]", "CPU N offline, online, or deaf for MS", 2, 3, cmd_cpu},
    {"slots", "", "slots for memory modules and CPUs", 0, 0, cmd_slots},
    {"race", "NAME", "step through a race; in a race build", 1, 1, cmd_race},
    {"user", "PROGRAM [ARG [ARG]]", "run a program of the boot modules in ring 3", 1, 3, cmd_user},
    {"load", "[MIB]", "a background load on MIB; end it", 0, 1, cmd_load},
    {"burst", "MIB [ROUNDS]", "use up MIB, verify it, and free it", 1, 2, cmd_burst},
    {"virtio", "", "memory that the host gave and took", 0, 0, cmd_virtio},
    {"halt", "", "power off", 0, 0, NULL},
};

static void cmd_help(unsigned n, char **arg)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		printk("  %-8s %-26s %s\n", commands[i].name, commands[i].args, commands[i].help);
}

static unsigned split(char *text, char **word)
{
	unsigned n = 0;

	while (n < MAX_WORDS) {
		while (*text == ' ')
			*text++ = '\0';
		if (!*text)
			break;
		word[n++] = text;
		while (*text && *text != ' ')
			text++;
	}
	return n;
}

/* Carry out one line.  False: power off. */
static bool obey(char *text)
{
	char *word[MAX_WORDS];
	unsigned n = split(text, word), i;

	if (n == 0)
		return true;
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->name, word[0]) != 0)
			continue;
		if (n - 1 < c->min || n - 1 > c->max) {
			printk("usage: %s %s\n", c->name, c->args);
			return true;
		}
		if (!c->run)
			return false;
		c->run(n - 1, word + 1);
		return true;
	}
	printk("%s: no such command; try help\n", word[0]);
	return true;
}

void monitor(u64 seed)
{
	static struct line line;

	monitor_seed = seed;
	if (!serial_present()) {
		printk("monitor: no serial port to read commands from\n");
		return;
	}
	printk("Type help for the list of commands.\n");
	do {
		console_write("quarry> ", 8);
		read_line(&line);
	} while (obey(line.text));
}
