/* SPDX-License-Identifier: MIT */
/*
 * monitor_show.c: the prompt's commands that show memory and the machine, that take CPUs down and
 * up, and that run tests.
 *
 * Owns:       the progress of the tests under way; the events of tests that have ended.
 * Locks:      none.
 * Tests:      tests/qemu/test_monitor.py, tests/qemu/test_script.py.
 */
#include "demo/monitor.h"
#include "demo/progress.h"
#include "demo/provoke.h"
#include "demo/soak.h"

#include <quarry/account.h>
#include <quarry/acpi.h>
#include <quarry/bootfile.h>
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/errno.h>
#include <quarry/errname.h>
#include <quarry/hotplug.h>
#include <quarry/smp.h>
#include <quarry/isolation.h>
#include <quarry/ktest.h>
#include <quarry/ktest_stop.h>
#include <quarry/mce.h>
#include <quarry/race.h>
#include <quarry/stress.h>
#include <quarry/string.h>
#include <quarry/task.h>
#include <quarry/virtio.h>

#define MAX_ROUNDS   1000000
#define ROUNDS_PAGES (16UL << (20 - PAGE_SHIFT)) /* pages of a round, about */
#define LIST_COLUMNS 78
#define HANG_MAX_MS  3600000u
#define CPU_USAGE    "usage: cpu down N, cpu up N, cpu hang N [MS]\n"

/* ---- arguments ---- */

bool monitor_policy(const char *word, enum iso_policy *policy)
{
	*policy = iso_policy_by_name(word);
	if (*policy != NR_ISO_POLICIES)
		return true;
	printk("%s: no such policy: " ISO_POLICY_NAMES(", ") "\n", word);
	return false;
}

/* ---- memory ---- */

static u64 test_events[NR_MM_EVENTS]; /* wrong calls among them */

void monitor_tests(bool ended)
{
	unsigned ev;

	for (ev = 0; ev < NR_MM_EVENTS; ev++) {
		u64 sum = mm_event_sum(&kernel_memory, (enum mm_event)ev);

		test_events[ev] += ended ? sum : -sum;
	}
}

int cmd_mem(unsigned n, char **arg)
{
	show_mem(&kernel_memory);
	printk("  events since the selftests:\n");
	show_events(&kernel_memory, test_events);
	return 0;
}

int cmd_zone(unsigned n, char **arg)
{
	show_zones(&kernel_memory);
	return 0;
}

int cmd_pcp(unsigned n, char **arg)
{
	show_pcp(&kernel_memory);
	return 0;
}

int cmd_block(unsigned n, char **arg)
{
	u64 pfn;

	if (!monitor_number(arg[0], &pfn))
		return -EINVAL;
	show_block(&kernel_memory, pfn);
	return pfn < kernel_memory.end_pfn ? 0 : -EINVAL;
}

int cmd_page(unsigned n, char **arg)
{
	u64 pfn;

	if (!monitor_number(arg[0], &pfn))
		return -EINVAL;
	dump_page(&kernel_memory, pfn, "page");
	/* Memory that was removed has a history. */
	if (pfn < kernel_memory.end_pfn)
		trace_history(&kernel_memory, pfn);
	return pfn_valid_in(&kernel_memory, pfn) ? 0 : -EINVAL;
}

int cmd_history(unsigned n, char **arg)
{
	u64 pfn;

	if (n == 0) {
		trace_history(&kernel_memory, PFN_NONE);
		return 0;
	}
	if (!monitor_number(arg[0], &pfn))
		return -EINVAL;
	if (pfn >= kernel_memory.end_pfn) {
		printk("history: pfn %#llx: no such page\n", (unsigned long long)pfn);
		return -EINVAL;
	}
	trace_history(&kernel_memory, pfn);
	return 0;
}

int cmd_trace(unsigned n, char **arg)
{
	if (n && strcmp(arg[0], "on") != 0 && strcmp(arg[0], "off") != 0) {
		printk("usage: trace on|off\n");
		return -EINVAL;
	}
	if (n)
		trace_switch(&kernel_memory, arg[0][1] == 'n');
	printk("trace: %s\n",
	    trace_is_on(&kernel_memory)
	        ? "on: every allocation and free is recorded"
	        : "off: of allocations and frees, only slow paths are recorded");
	return 0;
}

int cmd_policy(unsigned n, char **arg)
{
	enum iso_policy policy;
	unsigned i;

	if (n) {
		if (!monitor_policy(arg[0], &policy))
			return -EINVAL;
		WRITE_ONCE(kernel_memory.policy, policy);
		printk("policy: %s from now on:\n  %s\n", iso_policy_name(policy),
		    iso_policy_story(policy));
		return 0;
	}
	for (i = 0; i < NR_ISO_POLICIES; i++)
		printk("%c %-8s %s\n", i == (unsigned)READ_ONCE(kernel_memory.policy) ? '*' : ' ',
		    iso_policy_name((enum iso_policy)i), iso_policy_story((enum iso_policy)i));
	return 0;
}

int cmd_check(unsigned n, char **arg)
{
	struct mm_violation v;

	if (check_memory(&kernel_memory, &v)) {
		printk("check: %s at %#lx: %#lx, should be %#lx\n", v.what, v.pfn, v.have, v.want);
		return -EUCLEAN;
	}
	printk("check: every invariant holds\n");
	return 0;
}

int cmd_counts(unsigned n, char **arg)
{
	show_counts();
	show_tasks();
	return 0;
}

/* ---- tests ---- */

static void show_suites(void)
{
	struct ktest_suite s = {.name = NULL};
	unsigned i, tests = 0, column = 0;

	for (i = 0; ktest_next_suite(&s); i++) {
		unsigned len = (unsigned)strlen(s.name) + 2;

		column = column + len > LIST_COLUMNS ? 0 : column;
		printk("%s  %s", column || !i ? "" : "\n", s.name);
		column += len;
		tests += s.nr_cases;
	}
	printk("\nrun: %u suites with %u tests; groups: quick, all, contract, cost, inside\n", i,
	    tests);
}

static struct progress testing;

static void monitor_on_test(const char *suite, const struct ktest *t, bool begins)
{
	progress_tick(&testing);
	testing.done += !begins;
	if (monitor_key_cancels())
		ktest_stop = true;
}

int cmd_run(unsigned n, char **arg)
{
	unsigned cpu;
	int failed;

	if (n == 0) {
		show_suites();
		return 0;
	}
	for (cpu = 0; cpu < ktest_cpus(); cpu++)
		if (!cpumask_test(cpu_online_mask, cpu)) {
			printk("run: tests use CPU %u, which is offline: cpu up %u\n", cpu, cpu);
			return -EBUSY;
		}
	progress_begin(&testing, "run", MONITOR_CANCELS, monitor_state.no_keys);
	testing.unit = "tests";
	testing.total = ktest_count(arg[0]);
	ktest_stop = false;
	ktest_hook = monitor_on_test;
	monitor_tests(false);
	failed = ktest_run(arg[0], monitor_state.seed);
	monitor_tests(true);
	ktest_hook = NULL;
	progress_end(&testing);
	if (ktest_stop) {
		printk("run: cancelled after %llu of %llu tests\n",
		    (unsigned long long)testing.done, (unsigned long long)testing.total);
		return -EINTR;
	}
	return failed > 0 ? -EIO : failed;
}

static int monitor_rounds(void *arg)
{
	const u64 *rounds = arg;

	return offline_soak(&kernel_memory, (unsigned)*rounds, NR_ISO_POLICIES, monitor_state.seed);
}

int cmd_rounds(unsigned n, char **arg)
{
	unsigned long nr;
	pfn_t busiest;
	u64 rounds;

	if (n == 0) {
		busiest = offline_busiest(&kernel_memory, ROUNDS_PAGES, &nr);
		if (busiest == PFN_NONE)
			printk("rounds: no movable range could leave\n");
		else
			printk("rounds: the busiest range that could leave: pfn %#lx, %lu pages\n",
			    busiest, nr);
		return 0;
	}
	if (!monitor_number(arg[0], &rounds))
		return -EINVAL;
	if (!rounds || rounds >= MAX_ROUNDS) {
		printk("rounds: 1 to %u\n", MAX_ROUNDS - 1);
		return -EINVAL;
	}
	soak_stop = 0;
	return monitor_wait("rounds", monitor_rounds, &rounds, &soak_stop, NULL);
}

int cmd_race(unsigned n, char **arg)
{
	race_step_by_keys(n ? arg[0] : "");
	return 0;
}

/* ---- the machine ---- */

int cmd_slots(unsigned n, char **arg)
{
	show_all_slots();
	return 0;
}

int cmd_mce(unsigned n, char **arg)
{
	mce_show();
	return 0;
}

struct user_job {
	const char *name;
	u64 arg[2];
};

static int monitor_user(void *arg)
{
	const struct user_job *job = arg;

	return user_run(job->name, job->arg[0], job->arg[1]) ? 0 : -EIO;
}

int cmd_user(unsigned n, char **arg)
{
	u64 arg0 = monitor_state.seed, arg1 = 0;
	struct user_job job;
	u32 cancel = 0;
	int err;

	if (n == 0) {
		printk("user: programs:");
		boot_files_print();
		printk("\n");
		return 0;
	}
	if ((n > 1 && !monitor_number(arg[1], &arg0)) || (n > 2 && !monitor_number(arg[2], &arg1)))
		return -EINVAL;
	job = (struct user_job){.name = arg[0], .arg = {arg0, arg1}};
	monitor_state.on_cancel = tasks_kill_all;
	err = monitor_wait("user", monitor_user, &job, &cancel, NULL);
	monitor_state.on_cancel = NULL;
	return err;
}

int cmd_virtio(unsigned n, char **arg)
{
	if (!virtio_show())
		printk("virtio: no memory device and no balloon\n");
	return 0;
}

/* ---- CPUs ---- */

int cmd_cpus(unsigned n, char **arg)
{
	show_cpus();
	return 0;
}

/* Print the error, if there is one, and return it.  @already: the text for -EALREADY. */
static int cpu_said(int err, const char *already)
{
	if (err)
		printk("cpu: error %s: %s\n", errno_name(err),
		    err == -ENODEV         ? "no such CPU"
		        : err == -EALREADY ? already
		        : err == -EBUSY    ? "the last CPU online"
		                           : "no answer");
	return err;
}

static void answer_call(void *arg)
{
}

/* Let @cpu spin with interrupts off for @ms, and make a cross-call, which waits for that CPU. */
static int hang_cpu(unsigned cpu, u64 ms)
{
	u64 began = arch_clock_ns();
	struct fault_hang hang;
	int err = fault_hang_start(&hang, cpu, ms * 1000000);

	if (err)
		return cpu_said(err, "");
	printk("cpu: CPU %u has interrupts off for %llu ms; a call waits for it\n", cpu,
	    (unsigned long long)ms);
	smp_call_mask(NULL, answer_call, NULL);
	printk("cpu: all have answered after %llu ms\n",
	    (unsigned long long)((arch_clock_ns() - began) / 1000000));
	fault_hang_end(&hang);
	return 0;
}

int cmd_cpu(unsigned n, char **arg)
{
	u64 cpu, ms = smp_timeout_ns / 1000000 * 2;
	bool hang;
	int err;

	if (n == 0) {
		printk("cpu: %u of %u online; cpus shows each\n", nr_cpus_online(), nr_cpus);
		return 0;
	}
	if (!monitor_number(arg[1], &cpu) || (n > 2 && !monitor_number(arg[2], &ms)))
		return -EINVAL;
	hang = strcmp(arg[0], "hang") == 0;
	if (n > 2 && !hang) {
		printk(CPU_USAGE);
		return -EINVAL;
	}
	cpu = MIN(cpu, (u64)nr_cpus);
	if (hang && ms > HANG_MAX_MS) {
		printk("cpu hang: at most %u ms\n", HANG_MAX_MS);
		return -EINVAL;
	}
	if (hang)
		return hang_cpu((unsigned)cpu, ms);
	if (strcmp(arg[0], "down") == 0) {
		err = cpu_down((unsigned)cpu);
	} else if (strcmp(arg[0], "up") == 0) {
		err = cpu_up((unsigned)cpu);
	} else {
		printk(CPU_USAGE);
		return -EINVAL;
	}
	if (!err)
		printk("cpu: done: %u of %u online\n", nr_cpus_online(), nr_cpus);
	return cpu_said(err, strcmp(arg[0], "up") == 0 ? "already online" : "already offline");
}
