/* SPDX-License-Identifier: MIT */
/*
 * host_main.c: the hosted test program: a machine (host_start.c), then the suites.
 *
 *   check [--cpus=N] [--seed=N] [SUITES]
 *   check --list[=SUITES]     SUITE.TEST and its tag, one a line, instead
 *
 * SUITES is what selftest= takes at boot: "all" (the default), "quick", a tag, or SUITE and
 * SUITE.TEST with commas.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: none.
 */
#include "host.h"
#include <quarry/ktest.h>
#include <quarry/memory_init.h>
#include <quarry/string.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_CPUS 4
#define DEFAULT_SEED 0x5eed

static u64 number(const char *text)
{
	char *end;
	u64 value = strtoull(text, &end, 0);

	if (!*text || *end) {
		fprintf(stderr, "check: not a number: %s\n", text);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	u64 seed = DEFAULT_SEED, cpus = DEFAULT_CPUS;
	const char *which = "all";
	bool list = false;
	int i, failed;

	for (i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "--list", 6)) {
			list = true;
			if (argv[i][6] == '=')
				which = argv[i] + 7;
			continue;
		}
		if (!strncmp(argv[i], "--cpus=", 7))
			cpus = number(argv[i] + 7);
		else if (!strncmp(argv[i], "--seed=", 7))
			seed = number(argv[i] + 7);
		else
			which = argv[i];
	}
	if (cpus < 1 || cpus > HOST_MAX_CPUS) {
		fprintf(stderr, "check: 1 to %d CPUs\n", HOST_MAX_CPUS);
		return 2;
	}
	host_start((unsigned)cpus);
	failed = list ? ktest_list(which) : ktest_run(which, seed);
	memory_stop(&kernel_memory);
	return failed ? 1 : 0;
}
