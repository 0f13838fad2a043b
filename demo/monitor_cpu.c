/* SPDX-License-Identifier: MIT */
/*
 * monitor_cpu.c: the prompt's commands for CPUs.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Tests:      tests/qemu/test_monitor.py.
 */
#include "demo/monitor.h"
#include "demo/provoke.h"

#include <quarry/errname.h>
#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/smp.h>

#define HANG_MAX_MS 3600000u
#define USAGE       "usage: cpu down N, cpu up N, cpu hang N [MS]\n"

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
		printk(USAGE);
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
		printk(USAGE);
		return -EINVAL;
	}
	if (!err)
		printk("cpu: done: %u of %u online\n", nr_cpus_online(), nr_cpus);
	return cpu_said(err, strcmp(arg[0], "up") == 0 ? "already online" : "already offline");
}
