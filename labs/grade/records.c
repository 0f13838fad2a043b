/* SPDX-License-Identifier: MIT */
/*
 * records.c: the records of a graded hosted program, apart from its output: a line for each test
 * that begins or has failed, written to the descriptor that LAB_RECORDS names.
 *
 * The student's objects cannot name any symbol of this file (tools/grade_object.py).  A test has
 * ended when the next one begins, so a process that ends early lacks the end of its last test.  The
 * suite lab_end, which is named last, is not a test of the lab.
 *
 * Owns:       the two hooks of ktest.
 * Locks:      none: between tests there is one thread.
 * Invariants: one write for each record.
 * Tests:      tests/qemu/test_grade.py.
 */
#include <quarry/ktest.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int records = -1;

static void record(char what, const char *suite, const struct ktest *t)
{
	char line[200];
	int len = snprintf(line, sizeof(line), "%c %s.%s%s\n", what, suite, t->name,
	    what == 'F' && t->skipped ? " skipped" : "");

	if (len > 0 && write(records, line, (size_t)MIN(len, (int)sizeof(line) - 1)) < 0)
		abort();
}

static void at_begin(const char *suite, const struct ktest *t, bool begins)
{
	if (begins)
		record('B', suite, t);
	else if (t->skipped)
		record('S', suite, t);
}

static void at_failure(const char *suite, const struct ktest *t)
{
	record('F', suite, t);
}

__attribute__((constructor)) static void records_begin(void)
{
	const char *fd = getenv("LAB_RECORDS");

	if (!fd)
		return;
	records = (int)strtol(fd, NULL, 10);
	ktest_hook = at_begin;
	ktest_failed = at_failure;
}

static void end(struct ktest *t)
{
}

KTEST_SUITE(lab_end, KTEST_EXTRA, KTEST(end));
