/* SPDX-License-Identifier: MIT */
/*
 * init.c: the first program: starts the other programs, waits for their ends, and compares each
 * result with the expected one.
 *
 * handle: the capability to start programs.  The exit status is the number of wrong results.
 */
#include "quarry.h"

#define NR_FAULTS 17 /* cases of fault.c; all but the last end by a fault */
#define LIMIT_NS  (120 * NS_PER_S)

static const char shared_text[] = "shared by init, ";
static u64 programs, seed;
static int failures;
static u32 served;

static const char *end_name(s64 how)
{
	static const char *const names[] = {"still runs", "exited", "faulted", "was killed"};

	return how >= 0 && how < (s64)ARRAY_SIZE(names) ? names[how]
	                                                : "was not started, or waited for";
}

/*
 * Start a program, wait for its end, and compare how it ended.  @status is compared only if @how is
 * TASK_EXITED.
 */
static void expect(const char *name, u64 give, u64 arg0, u64 arg1, enum task_end how, int status)
{
	s64 task = task_create(programs, name, give, arg0, arg1), end = task;
	int have = 0;
	bool good;

	if (task > 0) {
		end = task_wait((u64)task, LIMIT_NS, &have);
		handle_close((u64)task);
	}
	good = end == (s64)how && (how != TASK_EXITED || have == status);
	printf("%s %s(%lu, %lu) %s, %d%s\n", good ? "ok" : "not ok", name, arg0, arg1,
	    end_name(end), end < 0 ? (int)end : have, good ? "" : ": not as expected");
	failures += !good;
}

static void check(const char *what, s64 have, s64 want)
{
	if (have == want)
		return;
	printf("not ok %s: %ld, not %ld\n", what, have, want);
	failures++;
}

/* ---- the other side of hello's calls ---- */

static void serve(u64 endpoint)
{
	char *page = address_for(1);
	s64 object = object_create(1), shared, from;
	struct message m;

	check("map", map((u64)object, page, 1, 0, ABI_READ | ABI_WRITE), 0);
	memcpy(page, shared_text, sizeof(shared_text));
	shared = handle_dup((u64)object, RIGHT_READ | RIGHT_WRITE | RIGHT_DUP);
	from = receive(endpoint, &m, LIMIT_NS);
	check("word 3 of the first call", (s64)m.word[3], 4000);
	m = (struct message){
	    {m.word[0] * 2, m.word[1] * 2, m.word[2] * 2, m.word[3] * 2}, (u64)shared};
	check("first reply", reply((u64)from, &m), 0);
	check("a second reply to the same call", reply((u64)from, &m), -EBADF);
	from = receive(endpoint, &m, LIMIT_NS);
	printf("read: %s\n", page);
	served = !strcmp(page, "shared by init, written by hello");
	m = (struct message){.word = {0}};
	check("second reply", reply((u64)from, &m), 0);
	unmap(page, 1);
	handle_close((u64)shared);
	handle_close((u64)object);
}

static void test_messages(void)
{
	static struct thread server;
	s64 endpoint = endpoint_create();
	s64 send = handle_dup((u64)endpoint, RIGHT_SEND | RIGHT_DUP);
	struct message m = {.word = {0}};

	check("receiving without the right", receive((u64)send, &m, 0), -EACCES);
	check("more rights than there are", handle_dup((u64)send, RIGHT_RECEIVE), -EACCES);
	check("a call that nobody takes", call((u64)send, &m, 10 * NS_PER_MS), -ETIMEDOUT);
	check("nobody calls", receive((u64)endpoint, &m, 10 * NS_PER_MS), -ETIMEDOUT);
	if (thread_start(&server, serve, (u64)endpoint)) {
		check("server", 1, 0);
		return;
	}
	expect("hello", (u64)send, 0, 1, TASK_EXITED, 0);
	thread_join(&server);
	check("what hello wrote", served, 1);
	handle_close((u64)endpoint);
	check("a call with no receiver left", call((u64)send, &m, LIMIT_NS), -EPIPE);
	handle_close((u64)send);
	check("a closed handle", handle_close((u64)send), -EBADF);
}

/* ---- stress: stopped by an answer, or killed ---- */

static void test_stress(void)
{
	s64 endpoint = endpoint_create(), send = handle_dup((u64)endpoint, RIGHT_SEND | RIGHT_DUP);
	s64 task = task_create(programs, "stress", (u64)send, seed, 0), from;
	struct message m;
	int status = -1, reports;

	check("stress", task > 0, 1);
	for (reports = 1; reports <= 3; reports++) {
		from = receive((u64)endpoint, &m, LIMIT_NS);
		check("a report", from > 0, 1);
		check("wrong pages", (s64)m.word[1], 0);
		m = (struct message){.word = {reports == 3}};
		check("an answer", reply((u64)from, &m), 0);
	}
	check("stress's end", task_wait((u64)task, LIMIT_NS, &status), TASK_EXITED);
	check("stress's status", status, 0);
	handle_close((u64)task);

	/*
	 * Without a receiver for its report, stress waits in the call; a kill must end that wait.
	 */
	task = task_create(programs, "stress", (u64)send, seed + 1, 0);
	check("waiting for one that runs", task_wait((u64)task, 100 * NS_PER_MS, &status),
	    -ETIMEDOUT);
	check("kill", task_kill((u64)task), 0);
	check("its end", task_wait((u64)task, LIMIT_NS, &status), TASK_KILLED);
	handle_close((u64)task);
	handle_close((u64)send);
	handle_close((u64)endpoint);
}

int main(u64 handle, u64 arg0, u64 arg1)
{
	u64 i, cpus = (u64)info(INFO_CPUS, 0);
	s64 handles = info(INFO_HANDLES, 0);

	programs = handle;
	seed = arg0;
	printf("task %ld, seed %lx\n", info(INFO_TASK, 0), seed);
	expect("hello", 0, 0, 0, TASK_EXITED, 0);
	test_messages();
	expect("abi", programs, 0, 0, TASK_EXITED, 0);
	for (i = 0; i < NR_FAULTS; i++)
		expect("fault", 0, i, 0, i + 1 < NR_FAULTS ? TASK_FAULTED : TASK_EXITED, 77);
	check("no such program", task_create(programs, "nobody", 0, 0, 0), -ENOENT);
	check("a program by a handle that is none", task_create(0, "hello", 0, 0, 0), -EBADF);
	expect("paged", programs, 0, 0, TASK_EXITED, 0);
	expect("fpu", 0, 2 * cpus, 1000, TASK_EXITED, 0);
	test_stress();
	expect("stress", 0, seed, 20, TASK_EXITED, 0);
	expect("fuzz", 0, seed, 20000, TASK_EXITED, 0);
	check("handles that are left", info(INFO_HANDLES, 0), handles);
	printf("%d not as expected\n", failures);
	return failures;
}
