/* SPDX-License-Identifier: MIT */
/*
 * bench.c: the cost of ring 3, in cycles of the time stamp counter.  `make bench` boots it on one
 * CPU, for which QEMU executes one instruction each cycle.
 *
 * handle: the capability to start programs.  The other tasks run this program too: arg1 is their
 * role, and handle an endpoint.  A figure is the least cost per operation of several runs,
 * including the loop.
 */
#include "quarry.h"

#define RUNS    8
#define TIMES   64
#define PAGES   64
#define WAIT_NS (60 * NS_PER_S)

enum { MEASURE, ECHO, YIELD, PAGER };

/* ---- the other tasks ---- */

/* Answer each call with its own words, until a call's first word is 0. */
static int echo(u64 endpoint)
{
	struct message m;
	s64 from = receive(endpoint, &m, ABI_WAIT_FOREVER);

	while (from > 0 && m.word[0])
		from = reply_receive((u64)from, endpoint, &m, ABI_WAIT_FOREVER);
	if (from < 0)
		return 1;
	m.handle = 0;
	reply((u64)from, &m);
	return 0;
}

static u64 paged, paged_at;

static void serve(u64 arg)
{
	static char page[ABI_PAGE_SIZE] __attribute__((aligned(ABI_PAGE_SIZE)));
	struct message m;
	s64 from = receive(paged_at, &m, ABI_WAIT_FOREVER);

	for (;;) {
		s64 err = pager_supply(paged, m.word[1], page);

		m.word[0] = err ? ABI_PAGER_FAILED : ABI_PAGER_DONE;
		from = reply_receive((u64)from, paged_at, &m, ABI_WAIT_FOREVER);
	}
}

static int be_pager(u64 report)
{
	static struct thread server;
	struct message m = {.word = {1}};

	paged_at = (u64)endpoint_create();
	paged = (u64)pager_bind(paged_at, RUNS * PAGES, 0, WAIT_NS / 10);
	m.handle = (u64)handle_dup(paged, RIGHT_READ | RIGHT_DUP);
	if (thread_start(&server, serve, 0))
		return 1;
	return call(report, &m, ABI_WAIT_FOREVER) ? 1 : 0;
}

/* ---- figures ---- */

static u64 null_syscall;

static u64 counter(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

static void figure(const char *name, u64 value)
{
	printf("%s %lu cycles\n", name, value);
}

/* Cycles per operation in the fastest of RUNS calls of fn(run); each makes @times operations. */
static u64 least(void (*fn)(u64), u64 times)
{
	u64 best = ~0UL, run;

	for (run = 0; run < RUNS; run++) {
		u64 began = counter(), took;

		fn(run);
		took = counter() - began;
		best = took < best ? took : best;
	}
	return (best + times / 2) / times;
}

static void no_calls(u64 run)
{
	u64 i;

	for (i = 0; i < TIMES; i++)
		sys(NR_SYSCALLS, 0, 0, 0, 0, 0);
}

static void yields(u64 run)
{
	u64 i;

	for (i = 0; i < TIMES; i++)
		yield();
}

static u64 echo_at;

static void round_trips(u64 run)
{
	struct message m = {.word = {1, 2, 3, 4}};
	u64 i;

	for (i = 0; i < TIMES; i++)
		call(echo_at, &m, WAIT_NS);
}

static volatile char *memory;

static void touch(u64 run)
{
	u64 i;

	for (i = 0; i < PAGES; i++)
		(void)memory[(run * PAGES + i) * ABI_PAGE_SIZE];
}

/* Start another task of this program with a copy of @give; returns the task's handle. */
static u64 other(u64 programs, unsigned what, u64 give)
{
	s64 task = task_create(programs, "bench", give, 0, what);

	if (task < 0)
		exit(2);
	return (u64)task;
}

static int join(u64 task)
{
	int status = -1;

	return task_wait(task, WAIT_NS, &status) == TASK_EXITED ? status : -1;
}

static int measure(u64 programs)
{
	u64 endpoint = (u64)endpoint_create(), task;
	struct message m = {.word = {0}};
	s64 from;
	int bad;

	printf("compiler %s\n", __VERSION__);
	null_syscall = least(no_calls, TIMES);
	figure("null_syscall", null_syscall);

	/* Each yield of this task is followed by a yield of the other task. */
	task = other(programs, YIELD, 0);
	yields(0);
	figure("context_switch", least(yields, 2 * TIMES) - null_syscall);
	task_kill(task);
	bad = join(task) != -1;

	echo_at = endpoint;
	task = other(programs, ECHO, endpoint);
	round_trips(0);
	figure("ipc_round_trip", least(round_trips, TIMES));
	bad += call(endpoint, &m, WAIT_NS) || join(task);

	memory = address_for(RUNS * PAGES);
	if (!pages_map((void *)memory, RUNS * PAGES))
		return 3;
	figure("fault_anonymous", least(touch, PAGES));
	task = other(programs, PAGER, endpoint);
	from = receive(endpoint, &m, WAIT_NS);
	memory = address_for(RUNS * PAGES);
	if (from < 0 || map(m.handle, (void *)memory, RUNS * PAGES, 0, ABI_READ))
		return 4;
	figure("fault_pager", least(touch, PAGES));
	m = (struct message){.word = {0}};
	reply((u64)from, &m);
	return bad + join(task);
}

int main(u64 handle, u64 arg0, u64 what)
{
	switch (what) {
	case MEASURE: return measure(handle);
	case ECHO: return echo(handle);
	case PAGER: return be_pager(handle);
	default:
		for (;;)
			yield();
	}
}
