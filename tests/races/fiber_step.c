/* SPDX-License-Identifier: MIT */
/*
 * fiber_step.c: stepping through a race on fibers, by keys from stdin, and schedules by seeds.
 *
 * Owns: nothing.
 */
#include "explore.h"
#include "step.h"
#include <stdio.h>
#include <stdlib.h>

static void print(const char *line)
{
	printf("%s\n", line);
	fflush(stdout);
}

static int key(void)
{
	int c = getchar();

	return c == EOF ? -1 : c;
}

static void run(const struct race_script *s, struct race_result *res)
{
	script_once(s, res, 0);
}

bool fiber_step(const struct race_script *s, const char *moves)
{
	step_run = run;
	return step_by_keys(s, moves, key, print);
}

bool fiber_schedules(const struct race_script *s, const char *seeds)
{
	char *end;
	u64 from = strtoull(seeds, &end, 0), to = *end == '-' ? strtoull(end + 1, &end, 0) : from,
	    seed;
	bool good = true;

	if (*end || end == seeds || to < from) {
		fprintf(stderr, "race: not a seed, or seeds as N-M: %s\n", seeds);
		return false;
	}
	step_run = run;
	for (seed = from; seed <= to; seed++)
		good &= step_by_seed(s, seed, from == to, print);
	return good;
}
