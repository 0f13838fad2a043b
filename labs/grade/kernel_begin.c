/* SPDX-License-Identifier: MIT */
/*
 * kernel_begin.c: as each.c, in the kernel: each record goes to a port that QEMU writes to a
 * file.  The suite lab_begin is linked in front of all others, lab_end (kernel_end.c) behind them.
 *
 * The student's objects have no port instructions, and cannot name any symbol of this file.
 *
 * Owns:       the two hooks of ktest.
 * Locks:      none: between tests there is one thread.
 * Invariants: none.
 * Tests:      tests/qemu/test_grade_kernel.py.
 */
#include <quarry/ktest.h>
#include <x86_instr.h>

#define RECORDS_PORT 0xe9 /* QEMU's -debugcon */

static void put(const char *text)
{
	for (; *text; text++)
		outb(RECORDS_PORT, (u8)*text);
}

static void record(const char *what, const char *suite, const struct ktest *t)
{
	put(what);
	put(suite);
	put(".");
	put(t->name);
	put("\n");
}

static void at_begin(const char *suite, const struct ktest *t, bool begins)
{
	if (begins)
		record("B ", suite, t);
	else if (t->skipped)
		record("S ", suite, t);
}

static void at_failure(const char *suite, const struct ktest *t)
{
	record("F ", suite, t);
}

KTEST_SUITE(lab_begin, KTEST_EXTRA);

KTEST(begin)
{
	ktest_hook = at_begin;
	ktest_failed = at_failure;
}
