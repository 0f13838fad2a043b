/* SPDX-License-Identifier: MIT */
/*
 * fiber_main.c: the program that replays race scripts and looks for races, CPUs being fibers.
 *
 *   race [--verbose] [--jitter=N] SCRIPT...   replay: a script's name, or a file; N times more,
 *                                     with CPUs preempted by chance, for the same trace
 *   race --step [--moves=LETTERS] SCRIPT      one move at a time, by keys; after those moves
 *   race --schedule=N[-M] SCRIPT      in the orders that derive from these seeds
 *   race --list | --sets              the names of the scripts; of the explorer's sets
 *   race --explore SET [--seed=N] [--max=N] [--json]
 *                                     SET a name, "all", or operations: "free(P) | offline(P)=0";
 *                                     without a seed all with at most two preemptions, or about N
 *        [--alive]                  a line now and then: a schedule that runs for ever prints none
 *        [--setup=ENTRIES] [--policy=NAME] for operations; [--plan=PLAN] one schedule
 *   race --matrix ROW|all|CELL [--part=N] [--json]    matrix.c; race --memory=OPERATIONS
 *
 * Exit status 0: every script ended as its file expects of the right code; no schedule failed.
 */
#include "explore.h"
#include "fiber_memory.h"
#include "matrix.h"
#include "step.h"
#include <quarry/ktest.h>
#include <quarry/smp.h>
#include <quarry/isolation.h>
#include <quarry/string.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct explore_set sets[] = {
    {"free-offline", "A:scene", "free(P) | offline(P)=0", ISO_PRECISE},
    {"free-offline-disable", "A:scene", "free(P) | offline(P)=0", ISO_DISABLE},
    {"free-disable", "A:scene", "free(P)=0 | disable=0", ISO_PRECISE},
    {"fill-disable", "A:scene ; A:fill", "fill; fill | disable=0", ISO_PRECISE},
    {"free-enable-disable", "A:scene ; B:disable", "free(P)=0 | enable=0 | disable=0", ISO_PRECISE},
    {"disable-disable", "A:scene ; A:fill", "disable=0; off=0 | disable=0; off=0 | fill",
        ISO_PRECISE},
    {"enable-enable", "A:scene ; A:fill ; A:disable", "enable | enable | fill", ISO_PRECISE},
    {"alloc-isolate", "A:scene ; A:disable(U)", "isolate(U) | alloc(UNMOVABLE)=0", ISO_DISABLE},
    {"alloc-isolate-precise", "A:scene", "isolate(U) | alloc(UNMOVABLE)=0", ISO_PRECISE},
    {"alloc-cached-isolate", "A:scene(K) ; B:free(K)", "isolate(U) | alloc(UNMOVABLE)=0",
        ISO_PRECISE},
    {"isolate-isolate", "A:scene", "isolate(0-1); undo(0-1) | isolate(1-2)", ISO_PRECISE},
    {"free-disable-offline", "A:scene", "free(P)=0 | disable=0; enable=0 | offline(P)=0",
        ISO_DISABLE},
    {"fill-drain-offline", "A:scene ; A:free(P)", "fill | drain=0 | offline(P)=0", ISO_PRECISE},
    {"drain-empty", "A:scene ; C:fill", "drain=0 | empty=0", ISO_PRECISE},
    {"drain-empty-zone", "A:scene ; C:fill(UNMOVABLE)", "drain(U)=0 | empty=0", ISO_PRECISE},
    {"drain-drained", "A:scene ; C:free(P)", "drain=0 | drain=0; uncached(P)=0 | fill(UNMOVABLE)",
        ISO_PRECISE},
    {"free-drain-disable", "A:scene", "free(P)=0; alloc=0 | drain=0 | disable=0", ISO_PRECISE},
    {"offline-online", "A:scene ; A:free(P)", "fill; fill | offline(P)=0; online(P)=0",
        ISO_PRECISE},
    {"contig-fill", "A:scene ; A:free(P)", "contig(P) | alloc | fill", ISO_PRECISE},
    {"offline-offline", "A:scene ; A:free(P)", "fill | offline(S) | offline(P)", ISO_PRECISE},
    {"put-isolate", "A:scene(K)", "put(K)=0; alloc(UNMOVABLE)=0 | isolate(U)", ISO_PRECISE},
    {"alloc-alloc", "A:scene ; A:hoard", "alloc | alloc", ISO_PRECISE},
    {"migrate-migrate", "A:scene ; A:hold(O)", "migrate(O) | migrate(O)", ISO_PRECISE},
    {"migrate-drop", "A:scene ; A:hold(O)", "migrate(O) | drop(O)=0; hold(O)=0", ISO_PRECISE},
    {"migrate-retire", "A:scene ; A:hold(O)", "migrate(O) | drop(O)=0; retire=0", ISO_PRECISE},
    {"migrate-drop-no-target", "A:scene ; A:hold(O) ; A:hoard", "migrate(O) | drop(O)=0",
        ISO_PRECISE},
    {"migrate-pin", "A:scene ; A:hold(O)", "migrate(O) | write(O)=0; pin(O)=0", ISO_PRECISE},
    {"migrate-unpin", "A:scene ; A:hold(O) ; A:pin(O)", "migrate(O) | unpin(O)=0; write(O)=0",
        ISO_PRECISE},
    {"migrate-migrate-drop", "A:scene ; A:hold(O)", "migrate(O) | migrate(O) | drop(O)=0",
        ISO_PRECISE},
    {"hold-offline", "A:scene ; A:free(P) ; A:hold", "drop=0; hold=0 | offline(P)=0; online(P)=0",
        ISO_PRECISE},
    {"drain-down", "A:scene ; C:fill", "drain=0 | cpu_down(2)=0", ISO_PRECISE},
    {"drain-down-up", "A:scene ; C:fill", "drain=0; drain=0 | cpu_down(2)=0; cpu_up(2)=0",
        ISO_PRECISE},
    {"disable-up", "A:scene ; C:fill ; B:cpu_down(2)", "disable=0 | cpu_up(2)=0", ISO_PRECISE},
    {"disable-down-up", "A:scene ; C:fill", "disable=0; enable=0 | cpu_down(2)=0; cpu_up(2)=0",
        ISO_PRECISE},
    {"offline-down", "A:scene ; A:free(P) ; C:fill", "offline(P)=0 | cpu_down(2)=0; cpu_up(2)=0",
        ISO_PRECISE},
    {"alloc-up", "A:scene ; C:fill ; B:cpu_down(2) ; B:fill ; A:hoard ; A:hoard(UNMOVABLE)",
        "alloc | cpu_up(2)=0", ISO_PRECISE},
    {"call-down-up", "A:scene ; C:fill", "call=0; call=0 | cpu_down(2)=0; cpu_up(2)=0",
        ISO_PRECISE},
    {"call-locked", "A:scene ; A:disable", "call(locked) | free(P)=0", ISO_PRECISE},
    {"move-touch", "A:scene(V)", "once(V)=0 | touch(V)=0", ISO_PRECISE},
    {"move-touch-first", "A:scene(V)", "once(V)=0 | touch(V)=0; touch(V)=0 | touch(W)=0",
        ISO_PRECISE},
    {"move-move-touch", "A:scene(V)", "move(V) | move(V) | touch(W)=0", ISO_PRECISE},
    {"move-move", "A:scene(V)", "once(V)=0; once(V)=0 | touch(V)=0; touch(W)=0", ISO_PRECISE},
    {"move-unmap", "A:scene(V)", "move(V) | unmap(V)=0 | touch(W)=0", ISO_PRECISE},
    {"move-remove", "A:scene(V)", "move(V) | remove(V)=0 | touch(W)", ISO_PRECISE},
    {"move-pin", "A:scene(V)", "move(V); move(V) | pin(V); fill; unpin(V)", ISO_PRECISE},
    {"move-offline", "A:scene(V)", "move(V) | offline(V)=0 | touch(V)=0", ISO_PRECISE},
    {"free-fail", "A:scene(K)", "free(K)=0 | fail(K); isolate(U)", ISO_PRECISE},
    {"put-fail", "A:scene(K)", "put(K)=0; alloc(UNMOVABLE)=0 | fail(K)", ISO_PRECISE},
    {"fail-offline", "A:scene ; A:free(P)", "fail(P) | offline(P)=0; online(P)=0", ISO_PRECISE},
    {"fail-isolate-unpoison", "A:scene ; A:free(P)",
        "fail(P); unpoison(P) | isolate(P)=0; undo(P)=0", ISO_PRECISE},
    {"soft-touch", "A:scene(V)", "soft(V)=0 | touch(V)=0 | touch(W)=0", ISO_PRECISE},
    {"soft-alloc", "A:scene(V)", "soft(V)=0; retired(V)=0 | alloc=0; fill", ISO_PRECISE},
    {"soft-pin", "A:scene(V)", "soft(V) | pin(V); unpin(V)", ISO_PRECISE},
    {"fail-remove", "A:scene(V)", "fail(V)=0 | remove(V)=0 | touch(W)", ISO_PRECISE},
    {"fail-move", "A:scene(V)", "fail(V)=0 | move(V)", ISO_PRECISE},
    {"call-call", "A:scene", "call=0; free(P)=0 | call=0; drain=0 | disable=0", ISO_PRECISE},
    {"fault-fault", "A:scene(N) ; A:limit(3)", "store(V)=0 | store(V)=0", ISO_PRECISE},
    {"fault-fault-spaces", "A:scene(N)", "store(V)=0 | store(W)=0 | store(V)=0", ISO_PRECISE},
    {"fault-supply", "A:scene(G)", "store(V)=0 | store(V)=0 | supply(V)", ISO_PRECISE},
    {"fault-no-memory", "A:scene(N) ; A:hoard ; A:hoard(UNMOVABLE)",
        "store(V) | store(V) | free(P)", ISO_PRECISE},
    {"fault-unmap", "A:scene(N)", "store(V) | unmap(V)=0 | store(W)=0", ISO_PRECISE},
    {"fault-remap", "A:scene(G)", "store(V) | remap(V) | leave(W)=0; close=0", ISO_PRECISE},
    {"fault-remap-remap", "A:scene(N)", "remap(V) | remap(V) | store(V)", ISO_PRECISE},
    {"fault-shift", "A:scene(N)", "store(V) | shift(V)=0 | store(V)", ISO_PRECISE},
    {"fault-protect", "A:scene(N)", "store(V) | protect(V)=0 | store(V)", ISO_PRECISE},
    {"fault-remove", "A:scene(G)", "store(V)=0 | remove(V)=0 | store(W)=0", ISO_PRECISE},
    {"fault-end", "A:scene(N)", "store(V) | leave(V)=0; leave(W)=0 | close=0", ISO_PRECISE},
    {"move-end", "A:scene(V)", "move(V) | leave(V)=0; leave(W)=0; close=0 | store(V)", ISO_PRECISE},
};

static const char *moves; /* step through each script: made before the first key */
static const char *seeds; /* run each by these */
static u64 jitters;       /* times each script is replayed once more */
static struct race_script script;
static struct race_result result;
static const struct race_script *script_now;
static struct race_result *result_now;

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

static void idle_main(void *arg)
{
	fiber_idle();
}

static void script_drive(void *arg)
{
	unsigned i;

	fiber_boot(script_now->nr_cpus + 1);
	for (i = script_now->nr_roles; i < script_now->nr_cpus; i++)
		fiber_start("idle", i, idle_main, NULL);
	race_run(script_now, result_now);
}

void script_once(const struct race_script *s, struct race_result *res, u64 seed)
{
	static struct race_result none;

	script_now = s;
	result_now = res;
	fiber_on_stuck = script_stuck;
	fiber_on_panic = script_panic;
	fiber_patience = step_session ? ~0ULL : 200000; /* the reader decides who is stuck */
	race_hook = NULL;
	race_jitter = seed ? jitter : NULL;
	jitter_rand = seed * 0x9e3779b97f4a7c15ULL | 1;
	race_begin(0, NULL, &none);
	fiber_run(s->nr_cpus, script_drive, NULL);
	race_jitter = NULL;
	race_begin(0, NULL, &none);
}

/* Again, disturbed by chance: the trace must be the same. */
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

static bool replay(void)
{
	if (script.error[0]) {
		fprintf(stderr, "race: %s cannot be read: %s\n", script.name, script.error);
		return false;
	}
	if (moves)
		return fiber_step(&script, moves);
	if (seeds)
		return fiber_schedules(&script, seeds);
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

	if (!f) {
		fprintf(stderr, "race: no script and no file %s; --list names the scripts\n", path);
		return false;
	}
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
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

/* ---- exploring ---- */

struct options {
	bool json, random;
	u64 seed, max;
	const char *setup, *plan;
	enum iso_policy policy;
};

static void say_alive(void)
{
	puts("alive");
	fflush(stdout);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Print it as the value of a JSON string. */
static void print_quoted(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '\n')
			printf("\\n");
		else if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else
			putchar(*text);
	}
	putchar('"');
}

/* "BAC,12:B,20:A": the first role; at its 12th point the running role is preempted for B; ... */
static void print_plan(const struct plan *plan)
{
	unsigned i;

	for (i = 0; i < ex.nr_roles; i++)
		putchar('A' + plan->order[i]);
	for (i = 0; i < plan->nr; i++)
		printf(",%u:%c", plan->cut[i].at, (int)('A' + plan->cut[i].to));
}

static bool read_plan(const char *text, struct plan *plan)
{
	unsigned i;
	char *end;

	*plan = (struct plan){.nr = 0};
	for (i = 0; i < FIBER_CPUS; i++)
		plan->order[i] = (u8)i;
	for (i = 0; i < ex.nr_roles && text[i] >= 'A' && text[i] < (char)('A' + ex.nr_roles); i++)
		plan->order[i] = (u8)(text[i] - 'A');
	for (text += i; *text == ',' && plan->nr < MAX_CUTS; text = end + 2) {
		struct cut *c = &plan->cut[plan->nr++];

		c->at = (unsigned)strtoul(text + 1, &end, 10);
		if (*end != ':' || end[1] < 'A' || end[1] >= (char)('A' + ex.nr_roles))
			return false;
		c->to = (unsigned)(end[1] - 'A');
	}
	return !*text;
}

static bool explore_plan(const char *text)
{
	static const char *const kinds[] = {"starts", "", "ended"};
	struct outcome out;
	struct plan plan;
	unsigned i;

	if (!read_plan(text, &plan)) {
		fprintf(stderr, "race: not a plan: %s\n", text);
		return false;
	}
	explore_once(&plan, &out);
	for (i = 0; i < ex.nr_events && i < 200; i++)
		printf("%4u  %*s%c %s %s%s%s\n", i + 1, (int)ex.event[i].role * 28, "",
		    (int)('A' + ex.event[i].role), ex.event[i].name, kinds[ex.event[i].kind],
		    ex.event[i].interrupt ? "(in an interrupt)" : "",
		    ex.event[i].cut ? " - preempted" : "");
	printf("%s %s\n", out.what, out.why);
	return !strcmp(out.what, "OK");
}

static bool explore_set(const struct explore_set *set, const struct options *o)
{
	static char text[8192], seed[24] = "null";
	struct explore_report rep;
	double start = seconds();
	bool scripted = false;

	if (!explore_read(set)) {
		fprintf(stderr, "race: %s: %s\n", set->name, ex.error);
		return false;
	}
	if (o->plan)
		return explore_plan(o->plan);
	if (o->random)
		explore_random(o->seed, o->max, &rep);
	else
		explore_all(o->max, &rep);
	text[0] = '\0';
	start = seconds() - start;
	if (rep.failed_at)
		scripted = explore_shrink(&rep, text, sizeof(text));
	if (o->json) {
		if (o->random)
			snprintf(seed, sizeof(seed), "%llu", (unsigned long long)o->seed);
		printf("{\"set\": \"%s\", \"seed\": %s, \"schedules\": %llu, \"complete\": %s, "
		       "\"left_out\": %llu, \"failed_at\": %llu, \"seconds\": %.3f, "
		       "\"outcome\": \"%s\", \"script\": ",
		    set->name, seed, (unsigned long long)rep.schedules,
		    rep.complete ? "true" : "false", (unsigned long long)rep.left_out,
		    (unsigned long long)rep.failed_at, start,
		    rep.failed_at ? rep.outcome.what : "OK");
		print_quoted(text);
		printf(", \"why\": ");
		print_quoted(rep.failed_at ? rep.outcome.why : "");
		printf("}\n");
		return !rep.failed_at;
	}
	printf("%-22s %8llu schedules %7.2f s  %s\n", set->name, (unsigned long long)rep.schedules,
	    start,
	    rep.failed_at      ? rep.outcome.what
	        : rep.complete ? "all with <= 2 preemptions: OK"
	                       : "OK");
	if (rep.failed_at) {
		printf("  %s\n  the schedule: --explore '%s' --plan=", rep.outcome.why, set->name);
		print_plan(&rep.plan);
		printf("\n  %s; save it to a file and run: race FILE\n%s",
		    scripted ? "the shortest script that shows it"
		             : "NOT reproduced by this script",
		    text);
	}
	return !rep.failed_at;
}

static bool explore_named(const char *name, const struct options *o)
{
	struct explore_set own = {"given", o->setup, name, o->policy};
	bool good = true, found = false;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(sets); i++) {
		if (strcmp(name, "all") != 0 && strcmp(name, sets[i].name) != 0)
			continue;
		found = true;
		good &= explore_set(&sets[i], o);
		fflush(stdout);
	}
	return found ? good : explore_set(&own, o);
}

/* The value of "--name=value", or NULL. */
static const char *value_of(const char *arg, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(arg, name, len) && arg[len] == '=' ? arg + len + 1 : NULL;
}

int main(int argc, char **argv)
{
	struct options o = {.max = 1000000, .setup = "A:scene", .policy = ISO_PRECISE};
	const char *explore = NULL, *value;
	bool good = true, done = false;
	unsigned k;
	int i;

	if (argc > 2 && !strcmp(argv[1], "--matrix"))
		return matrix_main(argc - 2, argv + 2);
	if (argc == 2 && (value = value_of(argv[1], "--memory")))
		return play_memory(value) ? 0 : 1;
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			o.json = true;
		else if (!strcmp(argv[i], "--alive"))
			explore_goes_on = say_alive;
		else if ((value = value_of(argv[i], "--jitter")))
			jitters = strtoull(value, NULL, 0);
		else if (!strcmp(argv[i], "--step") && !moves)
			moves = "";
		else if ((value = value_of(argv[i], "--moves")))
			moves = value;
		else if ((value = value_of(argv[i], "--schedule")))
			seeds = value;
		else if (!strcmp(argv[i], "--verbose"))
			fiber_verbose = true;
		else if ((value = value_of(argv[i], "--seed")))
			o.random = true, o.seed = strtoull(value, NULL, 0);
		else if ((value = value_of(argv[i], "--max")))
			o.max = strtoull(value, NULL, 0);
		else if ((value = value_of(argv[i], "--plan")))
			o.plan = value;
		else if ((value = value_of(argv[i], "--setup")))
			o.setup = value;
		else if ((value = value_of(argv[i], "--policy")))
			o.policy = iso_policy_by_name(value);
	}
	if (o.policy == NR_ISO_POLICIES) {
		fprintf(stderr, "race: --policy=redrain, disable or precise\n");
		return 2;
	}
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--list") || !strcmp(argv[i], "--sets")) {
			for (k = 0; argv[i][2] == 's' && k < ARRAY_SIZE(sets); k++)
				printf("%s\n", sets[k].name);
			if (argv[i][2] == 'l')
				list();
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
		    "usage: race [--step | --schedule=N-M] SCRIPT... | --list | --sets | "
		    "--explore SET [--seed=N] [--max=N] [--json]\n");
		return 2;
	}
	return good ? 0 : 1;
}
