/* SPDX-License-Identifier: MIT */
/*
 * explore_main.c: the explorer of threads: the kernel's scheduler, waiting, capabilities, messages,
 * tasks and system calls, on CPUs that are fibers, under many schedules (explore_run.c).
 *
 *   check [SUITE.TEST,...]    KTAP, as the other hosted programs; a set is a test, and a process of
 *                             its own
 *   check --each ...          all runs with one preemption, and no others
 */
#include "explore_threads.h"
#include "fiber_stores.h"
#include <quarry/string.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_S 40 /* seconds of CPU time for a set; a set takes up to 5, or 8 with a sanitizer */

ROLE(on_stuck, explore_fail("STUCK", "no role can go on"));

/* SIGPROF: a loop without scheduling points has used up the CPU time of the set. */
static void on_signal(int number)
{
	static const char hangs[] = "  # HANGS: a loop does not end\n",
	                  crash[] = "  # CRASH: a bad address\n";

	_exit((number == SIGPROF ? write(STDOUT_FILENO, hangs, sizeof(hangs) - 1)
	                         : write(STDOUT_FILENO, crash, sizeof(crash) - 1)) < 0
	        ? 2
	        : 1);
}

static void on_panic(const char *text)
{
	explore_fail("CRASH", text);
}

static const struct explore_suite *const suites[] = {&thread_suite, &task_suite, &pager_suite,
    &lost_suite, &oom_suite, &family_suite, &call_suite, &boot_suite};

static bool is_wanted(const char *which, const char *suite, const char *name)
{
	char full[96];
	size_t len = (size_t)snprintf(full, sizeof(full), "%s.%s", suite, name),
	       of_suite = strlen(suite);

	if (!strcmp(which, "all") || !strcmp(which, "quick"))
		return true;
	while (*which) {
		size_t have = 0;

		while (which[have] && which[have] != ',')
			have++;
		if ((have == len && !strncmp(which, full, len)) ||
		    (have == of_suite && !strncmp(which, suite, have)))
			return true;
		which += have + (which[have] == ',');
	}
	return false;
}

static bool run_set(const struct set *set)
{
	const struct itimerval limit = {.it_value.tv_sec = explore_each ? 10 * LIMIT_S : LIMIT_S};
	int status = 1;
	pid_t child;

	set_now = set;
	fflush(stdout);
	child = fork();
	if (!child) {
		signal(SIGPROF, on_signal);
		signal(SIGSEGV, on_signal);
		signal(SIGBUS, on_signal);
		setitimer(ITIMER_PROF, &limit, NULL);
		threads_on_stuck = on_stuck;
		threads_on_panic = on_panic;
		threads_boot(explore, NULL);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static unsigned nr_wanted(const char *which, const struct explore_suite *suite)
{
	unsigned i, nr = 0;

	for (; suite; suite = suite->more)
		for (i = 0; i < suite->nr; i++)
			nr += is_wanted(which, suite->name, suite->sets[i].name);
	return nr;
}

/* Returns the number of sets that failed. */
static unsigned run_suite(const char *which, const struct explore_suite *suite, unsigned number)
{
	const struct explore_suite *part;
	const char *of = suite->name;
	unsigned i, nr = 0, failed = 0;

	printf("  KTAP version 1\n  1..%u\n", nr_wanted(which, suite));
	for (part = suite; part; part = part->more) {
		for (i = 0; i < part->nr; i++) {
			const char *name = part->sets[i].name;
			bool good;

			if (!is_wanted(which, of, name))
				continue;
			printf("  # begin %s.%s\n", of, name);
			good = run_set(&part->sets[i]);
			failed += !good;
			printf("  %sok %u %s\n", good ? "" : "not ", ++nr, name);
		}
	}
	printf("%sok %u %s\n", failed ? "not " : "", number, of);
	return failed;
}

int main(int argc, char **argv)
{
	unsigned i, nr = 0, tests = 0, failed = 0;
	const char *which = "all";
	int a;

	for (a = 1; a < argc; a++)
		if (!strncmp(argv[a], "--leave-out=", 12))
			fiber_left_out = argv[a] + 12;
		else if (!strcmp(argv[a], "--fine"))
			fiber_fine = true;
		else if (!strcmp(argv[a], "--each"))
			explore_each = true;
		else if (!strcmp(argv[a], "--orders"))
			fiber_orders = 1;
		else if (strncmp(argv[a], "--", 2) != 0)
			which = argv[a];
	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		tests += nr_wanted(which, suites[i]);
		nr += nr_wanted(which, suites[i]) > 0;
	}
	printf("KTAP version 1\n1..%u\n", nr);
	for (i = nr = 0; i < ARRAY_SIZE(suites); i++)
		if (nr_wanted(which, suites[i]))
			failed += run_suite(which, suites[i], ++nr);
	if (!nr) {
		printf("selftest: known:");
		for (i = 0; i < ARRAY_SIZE(suites); i++)
			printf(" %s", suites[i]->name);
		printf(" all quick\n");
	}
	printf("# selftest: %u suites, %u tests, %u failed\n", nr, tests, failed);
	return failed != 0 || !nr;
}
