/* SPDX-License-Identifier: MIT */
/*
 * each.c: the tests of a graded hosted program, each in a process of its own: a forked child is a
 * copy of the machine, which is one OS thread.  A crash or a hang ends no other test.
 *
 * Records go to the descriptor that LAB_RECORDS names, apart from the output, a line each:
 *
 *   B TEST           it begins
 *   F TEST, S TEST   it has failed, or was skipped
 *   E TEST           it has ended
 *   D TEST STATUS    its process is gone; STATUS as of waitpid
 *
 * The student's objects cannot name any symbol of this file (grade_source.py).  A process
 * that ends early lacks the record E.
 *
 * Owns:       the two hooks of ktest; the records.
 * Locks:      none: between tests there is one thread.
 * Invariants: one write for each record.
 * Tests:      tests/qemu/test_grade.py.
 */
#include "fiber_threads.h"
#include "fiber_whole.h"
#include "tests/lib/ktest_select.h"
#include <quarry/ktest.h>
#include <quarry/string.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE  10000 /* ticks: 100 s, ten times the limit of a test's wait */
#define TEST_CPU  1     /* seconds of processor time; a test takes milliseconds */
#define MOST_SLOW 3     /* tests that used TEST_CPU; after them no other is run */
#define MOST_TEXT 16384 /* printed bytes of one test */

static int records = -1;
static size_t printed; /* bytes that this test has printed */

static void record(char what, const char *test, const char *more)
{
	char line[200];
	int len = snprintf(line, sizeof(line), "%c %s%s\n", what, test, more);

	if (len > 0 && write(records, line, (size_t)MIN(len, (int)sizeof(line) - 1)) < 0)
		abort();
}

static void record_of(char what, const char *suite, const struct ktest *t)
{
	char test[150];

	snprintf(test, sizeof(test), "%s.%s", suite, t->name);
	record(what, test, "");
}

static void at_begin(const char *suite, const struct ktest *t, bool begins)
{
	if (begins)
		record_of('B', suite, t);
	else if (t->skipped)
		record_of('S', suite, t);
}

static void at_failure(const char *suite, const struct ktest *t)
{
	record_of('F', suite, t);
}

static void print(const char *text)
{
	printed += strlen(text);
	if (printed < MOST_TEXT)
		fputs(text, stdout);
}

static void run_here(const char *test, u64 seed)
{
	const struct itimerval limit = {.it_value = {.tv_sec = TEST_CPU}};

	setitimer(ITIMER_PROF, &limit, NULL);
	ktest_run(test, seed);
	record('E', test, "");
	_exit(0);
}

/* Returns whether the test kept its limit of processor time. */
static bool run_apart(const char *suite, const char *name, u64 seed)
{
	char test[150], text[20];
	int status = -1;
	pid_t child;

	snprintf(test, sizeof(test), "%s.%s", suite, name);
	child = fork();
	if (!child)
		run_here(test, seed);
	if (child < 0 || waitpid(child, &status, 0) < 0)
		abort();
	snprintf(text, sizeof(text), " %d", status);
	record('D', test, text);
	return !WIFSIGNALED(status) || WTERMSIG(status) != SIGPROF;
}

static int run_each(const char *which, u64 seed)
{
	struct ktest_suite s = {.name = NULL};
	unsigned i, slow = 0;

	if (ktest_check_names(which))
		return 1;
	threads_patience = PATIENCE;
	while (ktest_next_suite(&s))
		for (i = 0; i < s.nr_cases && slow < MOST_SLOW; i++)
			if (ktest_selected(&s, i, which))
				slow += !run_apart(s.name, s.cases[i].name, seed);
	return 0;
}

__attribute__((constructor)) static void each_begin(void)
{
	const char *fd = getenv("LAB_RECORDS");

	if (!fd)
		return;
	records = (int)strtol(fd, NULL, 10);
	ktest_hook = at_begin;
	ktest_failed = at_failure;
	whole_run = run_each;
	threads_on_print = print;
}
