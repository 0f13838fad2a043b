/* SPDX-License-Identifier: MIT */
/*
 * search.c: finds all states that the calls of a scope lead to, breadth first, so that the list of
 * calls to each is a shortest one.
 *
 * The model judges each call (tests/model).  check_memory checks each new state, and from each the
 * way back to the empty memory is gone: all is given back, and all must be free and merged.
 *
 * Owns:       the present call.
 * Locks:      none: one thread.
 * Invariants: none.
 * Tests:      tests/qemu/test_states.py.
 */
#define _GNU_SOURCE
#include "states.h"
#include "tests/fuzz/fuzz.h"
#include <quarry/string.h>
#include <quarry/trace_ring.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SAME_EACH 997 /* of so many states that were found again one is compared */

static struct {
	const struct scope *scope;
	u32 state; /* the number of the state in which the call is made */
	u16 op;    /* or NO_OP: all is given back */
	u16 then;  /* NO_OP, or a call after that: states are compared */
	u64 calls, found_again, compared;
	u64 good;       /* a bit for each code of a call that has succeeded */
	u64 calls_then; /* when the timer ran out last */
} at;

/* ---- a call ---- */

const char *judged_call(const struct wire_call *c, struct wire_result *r)
{
	if (c->code != CALL_BUILD)
		model_before(c);
	wire_run(c, r);
	if (setjmp(verdict_given))
		return verdict.text;
	WANT(r->irqs_off == c->irqs_off && !host_this.preempt && !spin_depth(),
	    "a lock, or interrupts off, are left by the call");
	model_after(c, r);
	judge_stacks(c, r);
	return NULL;
}

static const char *judged_memory(bool all_free)
{
	if (setjmp(verdict_given))
		return verdict.text;
	model_check();
	if (all_free)
		model_end();
	return NULL;
}

bool judged_op(const struct scope *scope, const struct op *op, const char **wrong)
{
	static struct wire_call c;
	static struct wire_result r;

	if (!op_call(scope, op, &c))
		return false;
	*wrong = NULL;
	if (c.code == CALL_OFFLINE) {
		c.code = CALL_QUERY;
		*wrong = judged_call(&c, &r);
		c.code = CALL_OFFLINE;
	}
	if (!*wrong)
		*wrong = judged_call(&c, &r);
	if (r.r >= 0)
		at.good |= 1ULL << op->code;
	return true;
}

const char *give_all_back(bool say)
{
	const char *wrong = NULL;
	struct wire_result r;
	struct wire_call c;
	unsigned nr = 0;

	while (!wrong && model_give_back(&c)) {
		if (say)
			say_call(&c);
		wrong = nr++ < 4096 ? judged_call(&c, &r) : "giving back has no end";
		if (say)
			say_result(&c, &r);
	}
	return wrong ? wrong : judged_memory(true);
}

const char *scope_begin(const struct scope *scope)
{
	static struct wire_call c = {.code = CALL_BUILD};
	static struct wire_result r;
	const char *wrong;
	unsigned cpu;

	arena_map();
	host_fuzz_log = false;
	memcpy(c.pfns, &scope->shape, sizeof(scope->shape));
	model_begin(&scope->shape);
	wrong = judged_call(&c, &r);
	for (cpu = 0; !wrong && !scope->shape.watched && cpu < scope->shape.cpus; cpu++)
		m.mem->pcp[cpu]->ring = NULL;
	if (!wrong && scope->shape.watched) {
		wire_use_all();
		trace_switch(m.mem, true);
	}
	return wrong ? wrong : judged_memory(false);
}

/* ---- what is wrong ---- */

/*
 * Print the shortest list by making its calls again, in this program from its beginning: the call
 * that is wrong may have crashed in the middle of a change.
 */
static void print_list(void) __attribute__((noreturn));
/* NOLINTBEGIN(bugprone-signal-handler): after a crash nothing but this runs any more */
static void print_list(void)
{
	static char list[8192];
	u16 path[1024];
	unsigned nr = 0;
	size_t n;
	u32 s;

	if (at.then != NO_OP)
		path[nr++] = at.then;
	if (at.op != NO_OP)
		path[nr++] = at.op;
	for (s = at.state; store_at(s)->parent && nr < ARRAY_SIZE(path); s = store_at(s)->parent)
		path[nr++] = store_at(s)->op;
	n = (size_t)snprintf(list, sizeof(list), "%s:", at.scope->name);
	while (nr-- > 0)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%u,", path[nr]);
	if (at.op == NO_OP)
		snprintf(list + n, sizeof(list) - n, "back");
	else
		list[n - 1] = '\0';
	execl("/proc/self/exe", "states", "--again", list, (char *)NULL);
	_exit(3);
}
/* NOLINTEND(bugprone-signal-handler) */

static void crashed(int sig)
{
	sigset_t all;

	sigemptyset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	print_list();
}

static void timer(int sig)
{
	if (at.calls == at.calls_then)
		crashed(sig);
	at.calls_then = at.calls;
}

static void watch(void)
{
	struct itimerval every = {{STUCK_AFTER, 0}, {STUCK_AFTER, 0}};

	signal(SIGABRT, crashed);
	signal(SIGBUS, crashed);
	signal(SIGFPE, crashed);
	signal(SIGILL, crashed);
	signal(SIGVTALRM, timer);
	setitimer(ITIMER_VIRTUAL, &every, NULL);
}

/* ---- the search ---- */

/* The sum over all calls of the states that they lead to from @s; it does not depend on order. */
static u64 sum_of_calls(const struct state *s)
{
	const char *wrong = NULL;
	u64 sum = 0;
	unsigned i;

	for (i = 0; i < nr_ops; i++) {
		state_load(s);
		at.then = (u16)i;
		if (judged_op(at.scope, &ops[i], &wrong))
			sum += state_hash() * (2 * ops[i].code + 1) + (wrong != NULL);
	}
	at.then = NO_OP;
	return sum;
}

/* Does the present state, which has the hash of @number, behave as that does? */
static bool compare(u32 number)
{
	struct state again = {0};
	bool same;

	state_save(&again);
	same = sum_of_calls(&again) == sum_of_calls(store_at(number));
	state_free(&again);
	at.compared++;
	return same;
}

/* Make the call at.op in the state at.state; returns what is wrong. */
static const char *step(void)
{
	const char *wrong = NULL;
	u64 hash;
	u32 found;

	state_load(store_at(at.state));
	if (!judged_op(at.scope, &ops[at.op], &wrong))
		return NULL;
	at.calls++;
	if (wrong)
		return wrong;
	hash = state_hash();
	found = store_find(hash);
	if (!found) {
		wrong = judged_memory(false);
		if (!wrong)
			store_add(hash, at.state, at.op);
	} else if (at.found_again++ % SAME_EACH == 0 && !compare(found)) {
		wrong = "two states with one hash differ";
		printf("%s: %s (tests/states/store.c); to one of them:\n", at.scope->name, wrong);
	}
	return wrong;
}

static const char *all_steps(void)
{
	const char *wrong = NULL;
	u32 limit = at.scope->limit ? at.scope->limit : ~0U;
	u16 i;

	for (at.state = 1; !wrong && at.state <= store_count(); at.state++) {
		at.op = NO_OP;
		state_load(store_at(at.state));
		wrong = give_all_back(false);
		at.calls++;
		for (i = 0; !wrong && i < nr_ops && store_count() < limit; i++) {
			at.op = i;
			wrong = step();
		}
		if (wrong)
			return wrong;
		if (store_count() >= limit)
			break;
	}
	return NULL;
}

static unsigned depth_of(u32 s)
{
	unsigned depth = 0;

	for (; store_at(s)->parent; s = store_at(s)->parent)
		depth++;
	return depth;
}

bool search(const struct scope *scope)
{
	clock_t begin = clock();
	const char *wrong = scope_begin(scope);
	bool complete;

	memset(&at, 0, sizeof(at));
	at.scope = scope;
	at.then = NO_OP;
	if (wrong) {
		printf("not ok %s: %s\n", scope->name, wrong);
		return false;
	}
	ops_list(scope);
	store_begin(crashed);
	store_add(state_hash(), 0, NO_OP);
	watch();
	wrong = all_steps();
	if (wrong) {
		fflush(stdout);
		print_list();
	}
	complete = at.state > store_count();
	if (complete && scope->calls & ~at.good) {
		say_vain(scope, scope->calls & ~at.good);
		return false;
	}
	printf("ok %s %s: %u states, %llu calls, depth %u, %.1f s; %llu compared, %llu MB\n",
	    scope->name, complete ? "COMPLETE" : "bounded", store_count(),
	    (unsigned long long)at.calls, depth_of(store_count()),
	    (double)(clock() - begin) / CLOCKS_PER_SEC, (unsigned long long)at.compared,
	    (unsigned long long)(store_bytes() >> 20));
	fflush(stdout);
	return true;
}
