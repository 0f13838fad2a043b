/* SPDX-License-Identifier: MIT */
/*
 * fiber_explore.c: the explorer's sets by name, and the report about a set, as text or as a line of
 * JSON.
 *
 * A single schedule (`plan`) is printed move by move; for a set's first failure the report says how
 * to see it again.
 */
#include "explore.h"
#include <quarry/string.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LANE      28 /* columns of a role in the moves of a schedule */
#define LANE_JSON 14
#define MOVES     200

static const struct explore_set sets[] = {
    {"free-offline", "A:scene", "free(P) | offline(P)=0", ISO_PRECISE},
    {"free-offline-disable", "A:scene", "free(P) | offline(P)=0", ISO_DISABLE},
    {"free-disable", "A:scene", "free(P)=0 | disable=0", ISO_PRECISE},
    {"fill-disable", "A:scene ; A:fill", "fill; fill | disable=0", ISO_PRECISE},
    {"free-enable-disable", "A:scene ; B:disable", "free(P)=0 | enable=0 | disable=0", ISO_PRECISE},
    {"free-cached", "A:scene", "reuse=0; reuse=0 | alloc(UNMOVABLE)=0", ISO_PRECISE},
    {"put-cached", "A:scene(K)", "put(K)=0; uncached(K)=-EBUSY | fill; fill(UNMOVABLE)",
        ISO_PRECISE},
    {"free-drain-zone", "A:scene ; A:fill(UNMOVABLE)", "reuse=0 | drain(U)=0", ISO_PRECISE},
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
    {"empty-isolate", "A:scene", "empty=0 | isolate(U)", ISO_PRECISE},
    {"drain-empty-zone", "A:scene ; C:fill(UNMOVABLE)", "drain(U)=0 | empty=0", ISO_PRECISE},
    {"drain-drained", "A:scene ; C:free(P)", "drain=0 | drain=0; uncached(P)=0 | fill(UNMOVABLE)",
        ISO_PRECISE},
    {"free-drain-disable", "A:scene", "free(P)=0; alloc=0 | drain=0 | disable=0", ISO_PRECISE},
    {"offline-online", "A:scene ; A:free(P)", "fill; fill | offline(P)=0; online(P)=0",
        ISO_PRECISE},
    {"contig-fill", "A:scene ; A:free(P)", "contig(P) | alloc | fill", ISO_PRECISE},
    {"contig-fail", "A:scene ; A:free(P)", "contig(P) | fail(P)", ISO_PRECISE},
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
    {"drain-down", "A:scene ; C:free(P)", "drain=0; uncached(P)=0 | cpu_down(2)=0", ISO_PRECISE},
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
    {"machine-unpoison", "A:scene ; A:free(P)", "machine(P)=0; retired(P)=0 | unpoison(P)",
        ISO_PRECISE},
    {"soft-touch", "A:scene(V)", "soft(V)=0 | touch(V)=0 | touch(W)=0", ISO_PRECISE},
    {"soft-alloc", "A:scene(V)", "soft(V)=0; retired(V)=0 | alloc=0; fill", ISO_PRECISE},
    {"pin-pin", "A:scene(V)", "pin(V)=0; unpin(V)=0 | pin(V)=0; unpin(V)=0", ISO_PRECISE},
    {"soft-pin", "A:scene(V)", "soft(V) | pin(V); unpin(V)", ISO_PRECISE},
    {"fail-remove", "A:scene(V)", "fail(V)=0 | remove(V)=0 | touch(W)", ISO_PRECISE},
    {"fail-move", "A:scene(V)", "fail(V)=0 | move(V)", ISO_PRECISE},
    {"put-remove", "A:scene(V) ; B:get(V)", "remove(V)=0 | put(V)=0", ISO_PRECISE},
    {"remove-find", "A:scene(V) ; A:trace", "remove(V)=0; fill; drain | fill; find=0", ISO_PRECISE},
    {"report-query", "A:scene ; A:hoard(UNMOVABLE)",
        "report=0; report=0 | query(6-31)=0; query(5-31)=-EBUSY", ISO_PRECISE},
    {"report-query-leaving", "A:scene ; A:hoard(UNMOVABLE)",
        "report=0; report=0 | query(0-25)=0; query(0-26)=-EBUSY", ISO_PRECISE},
    {"report-oom", "A:scene ; A:hoard(UNMOVABLE)", "report | hoard | oom=0", ISO_PRECISE},
    {"give-oom", "A:scene ; A:hoard(UNMOVABLE) ; A:report(take) ; A:hoard",
        "report(give)=0 | oom=0", ISO_PRECISE},
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
    {"store-remove-unmap", "A:scene(V)", "store(V) | remove(V)=0 | unmap(V)=0", ISO_PRECISE},
    {"move-end", "A:scene(V)", "move(V) | leave(V)=0; leave(W)=0; close=0 | store(V)", ISO_PRECISE},
};

/* Sets about two CPUs that each store and then read the other's word: explored under TSO. */
static const struct explore_set tso_sets[] = {
    {"tso-drain-drain", "A:scene", "free(P)=0; drain=0; uncached(P)=0 | fill(UNMOVABLE); drain=0",
        ISO_PRECISE},
    {"tso-drain-zone", "A:scene", "free(P)=0; drain(P)=0; uncached(P)=0 | fill(UNMOVABLE); drain=0",
        ISO_PRECISE},
    {"tso-call-down", "A:scene ; C:fill", "call=0 | cpu_down(2)=0", ISO_PRECISE},
    {"tso-store-move", "A:scene(V)", "store(V)=0 | once(V)", ISO_PRECISE},
    {"tso-store-protect", "A:scene(V)", "store(V) | protect(V)=0", ISO_PRECISE},
};

/* ---- text ---- */

void explore_say_alive(void)
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

/* Print @text as the value of a JSON string. */
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

/* Text to which more is appended; the part that does not fit is left out. */
struct story {
	size_t len;
	char text[16384];
};

static __attribute__((format(printf, 2, 3))) void tell(struct story *s, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(s->text + s->len, sizeof(s->text) - s->len, fmt, args);
	va_end(args);
	s->len = MIN(s->len + (size_t)n, sizeof(s->text) - 1);
}

/*
 * "BAC,12:B,20:A": the order of the roles; at the run's 12th point B preempts; ...  Under the weak
 * model the number that decides the choices is last.
 */
static void tell_plan(struct story *s, const struct plan *plan)
{
	unsigned i;

	for (i = 0; i < ex.nr_roles; i++)
		tell(s, "%c", 'A' + plan->order[i]);
	for (i = 0; i < plan->nr; i++)
		tell(s, ",%u:%c", plan->cut[i].at, (int)('A' + plan->cut[i].to));
	if (fiber_model == FIBER_WEAK)
		tell(s, ",%llu", (unsigned long long)plan->chance);
}

static void tell_moves(struct story *s, int lane)
{
	static const char *const kinds[] = {" starts", "", " ended"};
	unsigned i;

	for (i = 0; i < ex.nr_events && i < MOVES; i++)
		tell(s, "%4u  %*s%c %s%s%s%s\n", i + 1, (int)ex.event[i].role * lane, "",
		    (int)('A' + ex.event[i].role), ex.event[i].name, kinds[ex.event[i].kind],
		    ex.event[i].interrupt ? " (in an interrupt)" : "",
		    ex.event[i].cut ? " - preempted" : "");
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
		if (!*end) {
			plan->chance = c->at;
			plan->nr--;
			return true;
		}
		if (*end != ':' || end[1] < 'A' || end[1] >= (char)('A' + ex.nr_roles))
			return false;
		c->to = (unsigned)(end[1] - 'A');
	}
	return !*text;
}

/* ---- one set ---- */

static void print_json(const struct explore_set *set, const struct explore_options *o,
    const struct explore_report *rep, const struct story *story, double took)
{
	struct story plan = {0};

	printf("{\"set\": \"%s\", \"seed\": ", set->name);
	if (o->random)
		printf("%llu", (unsigned long long)o->seed);
	else
		printf("null");
	printf(", \"schedules\": %llu, \"complete\": %s, \"left_out\": %llu, "
	       "\"failed_at\": %llu, \"seconds\": %.3f, \"outcome\": \"%s\", \"script\": ",
	    (unsigned long long)rep->schedules, rep->complete ? "true" : "false",
	    (unsigned long long)rep->left_out, (unsigned long long)rep->failed_at, took,
	    rep->failed_at ? rep->outcome.what : "OK");
	print_quoted(story->text);
	if (rep->failed_at)
		tell_plan(&plan, &rep->plan);
	printf(", \"plan\": \"%s\", \"why\": ", plan.text);
	print_quoted(rep->failed_at ? rep->outcome.why : "");
	printf("}\n");
}

static void print_text(const struct explore_set *set, const struct explore_report *rep,
    const struct story *script, bool scripted, double took)
{
	struct story plan = {0};

	printf("%-22s %8llu schedules %7.2f s  %s\n", set->name, (unsigned long long)rep->schedules,
	    took,
	    rep->failed_at      ? rep->outcome.what
	        : rep->complete ? "all with <= 2 preemptions: OK"
	                        : "OK");
	if (!rep->failed_at)
		return;
	tell_plan(&plan, &rep->plan);
	printf("  %s\n  the schedule: --explore '%s' --plan=%s\n  %s\n%s", rep->outcome.why,
	    set->name, plan.text,
	    scripted ? "the shortest script that shows it; save it to a file and run: race FILE"
	             : "NOT reproduced by this script; save it to a file and run: race FILE",
	    script->text);
}

/* Run one schedule of the set that was read, and print the moves of each role. */
static bool explore_plan(const struct explore_set *set, const struct explore_options *o)
{
	static struct story moves;
	struct explore_report rep = {.schedules = 1};

	if (!read_plan(o->plan, &rep.plan)) {
		fprintf(stderr, "race: not a plan: %s\n", o->plan);
		return false;
	}
	explore_once(&rep.plan, &rep.outcome);
	rep.failed_at = explore_failed(&rep.outcome);
	rep.complete = rep.outcome.cuts == rep.plan.nr;
	moves.len = 0;
	tell_moves(&moves, o->json ? LANE_JSON : LANE);
	if (o->json)
		print_json(set, o, &rep, &moves, 0);
	else
		printf("%s%s %s%s\n", moves.text, rep.outcome.what, rep.outcome.why,
		    rep.complete ? "" : " (a preemption of the plan did not happen)");
	return !rep.failed_at && rep.complete;
}

static bool explore_set(
    const struct explore_set *set, const struct explore_options *o, enum fiber_model model)
{
	static struct story script;
	struct explore_report rep;
	double start = seconds();
	bool scripted = false;

	fiber_model = o->model < 0 ? model : (enum fiber_model)o->model;
	if (!explore_read(set)) {
		fprintf(stderr, "race: %s: %s\n", set->name, ex.error);
		return false;
	}
	if (o->plan)
		return explore_plan(set, o);
	if (o->random)
		explore_random(o->seed, o->max, &rep);
	else
		explore_all(o->max, &rep);
	fiber_orders += fiber_orders > 0;
	script.text[0] = '\0';
	start = seconds() - start;
	if (rep.failed_at)
		scripted = explore_shrink(&rep, script.text, sizeof(script.text));
	if (o->json)
		print_json(set, o, &rep, &script, start);
	else
		print_text(set, &rep, &script, scripted, start);
	return !rep.failed_at;
}

/* Set number @i, and its model; NULL: there is none. */
static const struct explore_set *set_at(unsigned i, enum fiber_model *model)
{
	*model = i < ARRAY_SIZE(sets) ? FIBER_SC : FIBER_TSO;
	if (i >= ARRAY_SIZE(sets) + ARRAY_SIZE(tso_sets))
		return NULL;
	return i < ARRAY_SIZE(sets) ? &sets[i] : &tso_sets[i - ARRAY_SIZE(sets)];
}

bool explore_named(const char *name, const struct explore_options *o)
{
	struct explore_set own = {"given", o->setup, name, o->policy};
	const struct explore_set *set;
	bool good = true, found = false;
	enum fiber_model model;
	unsigned i;

	for (i = 0; (set = set_at(i, &model)); i++) {
		if (strcmp(name, "all") != 0 && strcmp(name, set->name) != 0)
			continue;
		found = true;
		good &= explore_set(set, o, model);
		fflush(stdout);
	}
	return found ? good : explore_set(&own, o, FIBER_SC);
}

void explore_list(void)
{
	const struct explore_set *set;
	enum fiber_model model;
	unsigned i;

	for (i = 0; (set = set_at(i, &model)); i++)
		printf("%s\n", set->name);
}
