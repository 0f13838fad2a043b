/* SPDX-License-Identifier: MIT */
/*
 * fiber_main.c: the program that replays race scripts and looks for races, CPUs being fibers.
 *
 *   race [--verbose] [--jitter=N] SCRIPT...   replay: a script's name, or a file; N times more,
 *                                     with CPUs preempted by chance, for the same trace
 *   race --step [--moves=LETTERS] SCRIPT      one move at a time, by keys; after those moves
 *   race --schedule=N[-M] SCRIPT      in the orders that derive from these seeds
 *        [--model=sc|tso|weak]     of scripts and sets: store buffers (fiber_stores.c), or none
 *   race --list | --sets              the names of the scripts; of the explorer's sets
 *   race --explore SET [--seed=N] [--max=N] [--json]
 *                                     SET a name, "all", or operations: "free(P) | offline(P)=0";
 *                                     without a seed all with at most two preemptions, or about N
 *        [--alive]                  a line now and then: a schedule that runs for ever prints none
 *        [--orders] [--leave-out=PLACES]   fiber_left_out
 *        [--fine]                          fiber_fine
 *        [--setup=ENTRIES] [--policy=NAME] for operations; [--plan=PLAN] one schedule
 *   race --matrix ROW|all|CELL [--part=N] [--json]    matrix.c; race --memory=OPERATIONS
 *
 * Exit status 0: every script ended as its file expects of the right code; no schedule failed.
 */
#include "explore.h"
#include "matrix.h"
#include "step.h"
#include <quarry/ktest.h>
#include <quarry/smp.h>
#include <quarry/isolation.h>
#include <quarry/string.h>
#include <stdio.h>
#include <stdlib.h>

static const char *moves; /* when stepping: moves made before the first key */
static const char *seeds; /* seeds of the schedules to run */
static int model = -1;    /* enum fiber_model of all scripts; -1: as each says */
static u64 jitters;       /* more replays of each script, with preemptions by chance */
static struct race_script script;
static struct race_result result;
static const struct race_script *script_now;
static struct race_result *result_now;

/* ---- CPUs ---- */

static void idle_main(void *arg)
{
	fiber_idle();
}

void fibers_boot(unsigned first, unsigned nr)
{
	unsigned i;

	fiber_boot(nr + 1);
	for (i = first; i < nr; i++)
		fiber_start("idle", i, idle_main, NULL);
}

bool fibers_once(unsigned nr, void (*drive)(void *))
{
	static struct race_result none;
	bool good;

	race_hook = NULL;
	race_begin(0, NULL, &none);
	good = fiber_run(nr, drive, NULL);
	race_hook = NULL;
	race_jitter = NULL;
	fiber_order = NULL;
	race_begin(0, NULL, &none);
	return good;
}

/* ---- replay ---- */

static void script_stuck(void)
{
	race_end("STUCK", "all wait for each other");
	fiber_leave();
}

static void script_panic(const char *text)
{
	race_end("CRASH", text);
	fiber_leave();
}

static u64 jitter_rand;

static void jitter(void)
{
	u64 r = ktest_rand(&jitter_rand) >> 8;

	if (r % 3 == 0)
		fiber_preempt_to((unsigned)(r / 3 % script_now->nr_roles));
}

static void script_drive(void *arg)
{
	fibers_boot(script_now->nr_roles, script_now->nr_cpus);
	race_run(script_now, result_now);
}

void script_once(const struct race_script *s, struct race_result *res, u64 seed)
{
	script_now = s;
	result_now = res;
	fiber_on_stuck = script_stuck;
	fiber_on_panic = script_panic;
	fiber_patience = step_session ? ~0ULL : 200000; /* a reader may take any time */
	race_jitter = seed ? jitter : NULL;
	fiber_model = !s->tso ? FIBER_SC : model == FIBER_WEAK ? FIBER_WEAK : FIBER_TSO;
	jitter_rand = seed * 0x9e3779b97f4a7c15ULL | 1;
	fibers_once(s->nr_cpus, script_drive);
}

/* Replay the script again, disturbed by chance: the trace must be the same. */
static bool replay_disturbed(void)
{
	static struct race_result other;
	u64 seed;

	for (seed = 1; seed <= jitters; seed++) {
		script_once(&script, &other, seed);
		if (!strcmp(other.trace, result.trace) && !strcmp(other.outcome, result.outcome))
			continue;
		printf("race: with jitter %llu another trace:\n%srace: ends %s %s\n",
		    (unsigned long long)seed, other.trace, other.outcome, other.why);
		return false;
	}
	return true;
}

/* ---- steps by keys from stdin; schedules by seeds "N" or "N-M" ---- */

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

static void run_once(const struct race_script *s, struct race_result *res)
{
	script_once(s, res, 0);
}

static bool step_through(void)
{
	step_run = run_once;
	return step_by_keys(&script, moves, key, print);
}

static bool run_seeds(void)
{
	char *end;
	u64 from = strtoull(seeds, &end, 0), to = *end == '-' ? strtoull(end + 1, &end, 0) : from,
	    seed;
	bool good = true;

	if (*end || end == seeds || to < from) {
		fprintf(stderr, "race: not a seed, or seeds as N-M: %s\n", seeds);
		return false;
	}
	step_run = run_once;
	for (seed = from; seed <= to; seed++)
		good &= step_by_seed(&script, seed, from == to, print);
	return good;
}

static bool replay(void)
{
	if (script.error[0]) {
		fprintf(stderr, "race: %s cannot be read: %s\n", script.name, script.error);
		return false;
	}
	if (model >= 0)
		script.tso = model != FIBER_SC;
	if (moves)
		return step_through();
	if (seeds)
		return run_seeds();
	script_once(&script, &result, 0);
	printf("race: begin %s\n%srace: end %s %s\n", script.name, result.trace, script.name,
	    result.outcome);
	if (result.why[0])
		printf("race: why: %s\n", result.why);
	return replay_disturbed() && strcmp(result.outcome, script.expect) == 0;
}

static bool replay_file(const char *path)
{
	FILE *f = fopen(path, "r");
	static char text[65536];
	const char *p = text;
	bool good = true;
	size_t len;

	if (!f) {
		fprintf(stderr, "race: no script and no file %s; --list names the scripts\n", path);
		return false;
	}
	len = fread(text, 1, sizeof(text), f);
	fclose(f);
	if (len == 0 || len == sizeof(text)) {
		fprintf(stderr, "race: %s cannot be read: %s\n", path,
		    len ? "it is larger than 65535 bytes" : "it is empty, or no file");
		return false;
	}
	text[len] = '\0';
	while (*p) {
		p = race_parse(p, &script);
		good &= replay();
	}
	return good;
}

static bool replay_named(const char *name)
{
	const char *text = race_texts;
	bool good = true;

	if (strcmp(name, "all") != 0)
		return race_find(name, &script) ? replay() : replay_file(name);
	while (*text) {
		text = race_parse(text, &script);
		good &= replay();
	}
	return good;
}

static void list(void)
{
	const char *text = race_texts;

	while (*text) {
		text = race_parse(text, &script);
		printf("%s\n", script.name);
	}
}

/* The value of "--name=value", or NULL. */
static const char *value_of(const char *arg, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(arg, name, len) && arg[len] == '=' ? arg + len + 1 : NULL;
}

/* Note what an option says; other words are left to main. */
static void option(const char *arg, struct explore_options *o)
{
	const char *value;

	if (!strcmp(arg, "--json"))
		o->json = true;
	else if (!strcmp(arg, "--alive"))
		explore_goes_on = explore_say_alive;
	else if ((value = value_of(arg, "--jitter")))
		jitters = strtoull(value, NULL, 0);
	else if (!strcmp(arg, "--step") && !moves)
		moves = "";
	else if ((value = value_of(arg, "--moves")))
		moves = value;
	else if ((value = value_of(arg, "--schedule")))
		seeds = value;
	else if (!strcmp(arg, "--orders"))
		fiber_orders = 1;
	else if ((value = value_of(arg, "--leave-out")))
		fiber_left_out = value;
	else if (!strcmp(arg, "--fine"))
		fiber_fine = true;
	else if (!strcmp(arg, "--verbose"))
		fiber_verbose = true;
	else if ((value = value_of(arg, "--seed")))
		o->random = true, o->seed = strtoull(value, NULL, 0);
	else if ((value = value_of(arg, "--max")))
		o->max = strtoull(value, NULL, 0);
	else if ((value = value_of(arg, "--plan")))
		o->plan = value;
	else if ((value = value_of(arg, "--setup")))
		o->setup = value;
	else if ((value = value_of(arg, "--model")))
		o->model = !strcmp(value, "sc") ? FIBER_SC
		    : !strcmp(value, "tso")     ? FIBER_TSO
		    : !strcmp(value, "weak")    ? FIBER_WEAK
		                                : NR_FIBER_MODELS;
	else if ((value = value_of(arg, "--policy")))
		o->policy = iso_policy_by_name(value);
}

int main(int argc, char **argv)
{
	struct explore_options o = {
	    .max = 1000000, .setup = "A:scene", .policy = ISO_PRECISE, .model = -1};
	const char *explore = NULL, *value;
	bool good = true, done = false;
	int i;

	if (argc > 2 && !strcmp(argv[1], "--matrix"))
		return matrix_main(argc - 2, argv + 2);
	if (argc == 2 && (value = value_of(argv[1], "--memory")))
		return play_memory(value) ? 0 : 1;
	for (i = 1; i < argc; i++)
		option(argv[i], &o);
	if (o.policy == NR_ISO_POLICIES) {
		fprintf(stderr, "race: --policy=redrain, disable or precise\n");
		return 2;
	}
	if (fiber_fine && !fiber_hooked) {
		fprintf(stderr, "race: --fine: build/fiber-weak/race\n");
		return 2;
	}
	if (o.model == NR_FIBER_MODELS || (o.model == FIBER_WEAK && !fiber_hooked)) {
		fprintf(stderr, "race: --model=sc or tso; weak: build/fiber-weak/race\n");
		return 2;
	}
	model = o.model;
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--list") || !strcmp(argv[i], "--sets")) {
			if (argv[i][2] == 'l')
				list();
			else
				explore_list();
			return 0;
		}
		if (!strcmp(argv[i], "--explore") && i + 1 < argc)
			explore = argv[++i];
		else if (strncmp(argv[i], "--", 2) != 0)
			good &= replay_named(argv[i]);
		else
			continue;
		done = true;
	}
	good &= !explore || explore_named(explore, &o);
	if (!done) {
		fprintf(stderr,
		    "usage: race [--step | --schedule=N-M] [--model=sc|tso|weak] SCRIPT... | "
		    "--list | "
		    "--sets | "
		    "--explore SET [--seed=N] [--max=N] [--json]\n");
		return 2;
	}
	return good ? 0 : 1;
}
