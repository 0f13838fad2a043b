/* SPDX-License-Identifier: MIT */
/*
 * qemu_yield.c: a plugin of QEMU (-plugin yield.so): where a CPU of the guest executes pause, its
 * thread lets others run.
 *
 * If each CPU has a host thread, a CPU that waits for another CPU keeps a core busy until its time
 * slice ends, and the other CPU may need that core.  But the core may as well go to a program that
 * computes, for a time slice at each pause: then a loop of 1,000 pauses would take seconds.  So a
 * CPU that was away for long runs for a while before it lets other threads run.
 *
 * Owns:       again, a variable of each thread.
 * Locks:      none.
 * Invariants: a CPU that waits is away for at most STAYS times the time that it runs, but for
 *             absences below LONG_NS.
 * Tests:      tests/qemu/test_boot.py.
 */
#include "qemu_plugin.h"

#include <sched.h>
#include <time.h>

static const unsigned char pause_insn[] = {0xf3, 0x90};

#define LONG_NS 1000000 /* far more than another CPU of the guest takes until it waits too */
#define STAYS   4

static __thread uint64_t again; /* ns: the time before which the CPU does not let others run */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void waits(unsigned cpu, void *data)
{
	uint64_t began = now_ns(), back;

	if (began < again)
		return;
	sched_yield();
	back = now_ns();
	if (back - began > LONG_NS)
		again = back + (back - began) / STAYS;
}

static bool is_pause(const void *insn)
{
#if PLUGIN_API < 3
	const void *data = qemu_plugin_insn_data(insn);
#else
	unsigned char data[sizeof(pause_insn)];

	qemu_plugin_insn_data(insn, data, sizeof(data));
#endif
	return !memcmp(data, pause_insn, sizeof(pause_insn));
}

static void translated(void *tb)
{
	size_t i;

	for (i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		void *insn = qemu_plugin_tb_get_insn(tb, i);

		if (qemu_plugin_insn_size(insn) == sizeof(pause_insn) && is_pause(insn))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, waits, NO_REGS, NULL);
	}
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	plugin_calls(id, translated, NULL);
	return 0;
}
