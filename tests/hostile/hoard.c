/* SPDX-License-Identifier: MIT */
/*
 * hoard.c: random tasks that hoard the kernel's memory of each kind, beside two tasks that work.
 *
 * handle: the capability to start programs; arg0: the seed; arg1: the number of hoarders.  Each
 * hoarder takes as much memory as it can of several kinds, in random order.  A hoarder may be
 * refused memory and may die, but no other task may.  Afterwards everything must be free again.
 * The exit status is the number of wrong results.  With arg1 of HOARDER or above, the program runs
 * as one of these tasks.
 */
#include "user/quarry.h"

#define HOARDER    (1UL << 32) /* arg0: its seed */
#define WORKER     (2UL << 32) /* arg0: its number */
#define SLEEPER    (3UL << 32) /* waits until the endpoint handle has no receiver */
#define NR_WORK    2u
#define PAGES      64u
#define WORD(n, i) (0x5eed000000000000UL + (n)*0x10000UL + (i))
#define AT(i)      ((char *)0x10000000000UL + (i)*0x200000UL)
#define LIMIT_NS   (120 * NS_PER_S)
#define AT_MOST    100000u

static u64 programs, random_state, places;
static int surprises;

static void want(int line, s64 have, s64 wanted)
{
	if (have == wanted)
		return;
	printf("hoard.c:%d: %ld, not %ld\n", line, have, wanted);
	surprises++;
}
#define WANT(have, wanted) want(__LINE__, (have), (wanted))

/* ---- hoarders ---- */

static s64 keep(s64 object, u64 pages)
{
	s64 err =
	    object < 0 ? object : map((u64)object, AT(places), pages, 0, ABI_READ | ABI_WRITE);

	places += !err;
	return err;
}

static void regions(u64 handle)
{
	s64 object = 0, err = 0;
	u64 i;

	for (i = 0; i < AT_MOST && !err; i++) {
		if (i % ABI_MAX_MAPPINGS == 0) {
			handle_close((u64)object);
			object = object_create(1);
		}
		err = keep(object, 1);
	}
	handle_close((u64)object);
}

static void objects(u64 handle)
{
	s64 object, err = 0;
	u64 i;

	for (i = 0; i < AT_MOST && !err; i++) {
		object = object_create(1 + next_random(&random_state) % 512);
		err = keep(object, 1);
		handle_close((u64)object);
	}
}

static void tables(u64 handle)
{
	u64 first = places, i;

	objects(handle);
	for (i = first; i < places; i++)
		*(volatile char *)AT(i) = 1;
}

static void endpoints(u64 handle)
{
	u64 i;

	for (i = 0; i < AT_MOST && endpoint_create() > 0; i++)
		;
}

static void handles(u64 handle)
{
	while (handle_dup(handle, RIGHT_SEND) > 0)
		;
}

static void waiter(u64 handle)
{
	struct message m = {.word = {0}};

	call(handle, &m, ABI_WAIT_FOREVER);
}

static void threads(u64 handle)
{
	static struct thread thread[ABI_MAX_THREADS];
	unsigned i;

	for (i = 0; i < ABI_MAX_THREADS && !thread_start(&thread[i], waiter, handle); i++)
		;
}

static void tasks(u64 handle)
{
	s64 task;

	do {
		task = task_create(programs, "hoard", handle, 0, SLEEPER);
		handle_close((u64)task);
	} while (task > 0);
}

static void messages(u64 handle)
{
	struct message m = {.word = {0}};
	unsigned i;

	for (i = 0; i < 300; i++)
		call(handle, &m, 0);
}

static void pagers(u64 handle)
{
	s64 endpoint = endpoint_create(), err = 0;
	u64 i;

	for (i = 0; i < AT_MOST && !err; i++) {
		s64 object =
		    pager_bind((u64)endpoint, 1 + next_random(&random_state) % 100000, i, NS_PER_S);

		err = keep(object, 1);
		handle_close((u64)object);
	}
	handle_close((u64)endpoint);
}

static void pages(u64 handle)
{
	s64 object = object_create(ABI_MAX_PAGES / 2);
	volatile char *at = AT(places);
	u64 i, nr = 1 + next_random(&random_state) % (ABI_MAX_PAGES / 2);

	if (keep(object, ABI_MAX_PAGES / 2))
		return;
	places += ABI_MAX_PAGES / 2 / 512;
	for (i = 0; i < nr; i++)
		at[i * ABI_PAGE_SIZE] = 1;
}

static int hoard(u64 handle, u64 seed)
{
	static void (*const kinds[])(u64 handle) = {
	    regions, objects, tables, endpoints, handles, threads, tasks, messages, pagers, pages};
	struct message m = {.word = {0}};
	unsigned i, nr;

	if (call(handle, &m, LIMIT_NS))
		return 1;
	programs = m.handle;
	random_state = seed * 2 + 1;
	nr = 1 + next_random(&random_state) % ARRAY_SIZE(kinds);
	for (i = 0; i < nr; i++)
		kinds[next_random(&random_state) % ARRAY_SIZE(kinds)](handle);
	return 0;
}

/* ---- the other tasks ---- */

/* Verify this task's pages, use a new page, and report, until the answer says stop. */
static int work(u64 handle, u64 number)
{
	volatile u64 *at = pages_alloc(PAGES);
	struct message m;
	u64 i, wrong = 0;

	for (i = 0; at && i < PAGES; i++)
		at[i * 512] = WORD(number, i);
	do {
		volatile char *fresh = address_for(1);

		for (i = 0; at && i < PAGES; i++)
			wrong += at[i * 512] != WORD(number, i);
		if (pages_map((void *)fresh, 1)) {
			*fresh = 1;
			unmap((void *)fresh, 1);
		}
		m = (struct message){.word = {number, at ? wrong : 999}};
	} while (!call(handle, &m, ABI_WAIT_FOREVER) && !m.word[0]);
	return (int)wrong;
}

static void hear_all(u64 endpoint, bool stop)
{
	const struct message answer = {.word = {stop}};
	struct message m;
	u64 seen = 0;

	while (seen != (1u << NR_WORK) - 1) {
		s64 from = receive(endpoint, &m, LIMIT_NS);

		if (from < 0) {
			WANT(from, 1);
			return;
		}
		WANT((s64)m.word[1], 0);
		seen |= 1ULL << m.word[0];
		reply((u64)from, &answer);
	}
}

/* Wait until no INFO_USED is above its value in @before: the last threads may still be ending. */
static void wait_for_rest(const u64 *before)
{
	unsigned i, turn;

	for (i = 0; i < NR_LIMITS; i++) {
		for (turn = 0; turn < 20000 && (u64)info(INFO_USED, i) > before[i]; turn++)
			sleep_ns(NS_PER_MS);
		WANT((u64)info(INFO_USED, i) > before[i] ? info(INFO_USED, i) : 0, 0);
	}
}

/* Run one hoarder.  The workers wait for an answer meanwhile, so their usage does not change. */
static void one(u64 seed, unsigned *ends)
{
	s64 endpoint = endpoint_create(), send = handle_dup((u64)endpoint, RIGHT_SEND | RIGHT_DUP),
	    task, from, how;
	struct message m;
	int status;

	task = task_create(programs, "hoard", (u64)send, seed, HOARDER);
	from = receive((u64)endpoint, &m, LIMIT_NS);
	m = (struct message){.handle = programs};
	WANT(task > 0 && from > 0, 1);
	WANT(reply((u64)from, &m), 0);
	how = task_wait((u64)task, LIMIT_NS, &status);
	if (how != TASK_EXITED && how != TASK_FAULTED &&
	    !(how == TASK_KILLED && status == -ENOMEM)) {
		printf("seed %lu: how %ld, status %d\n", seed, how, status);
		surprises++;
		task_kill((u64)task);
	} else {
		ends[how]++;
	}
	handle_close((u64)task);
	handle_close((u64)send);
	handle_close((u64)endpoint);
}

int main(u64 handle, u64 arg0, u64 arg1)
{
	s64 endpoint, send, worker[NR_WORK];
	unsigned ends[4] = {0}, i;
	u64 before[NR_LIMITS], nr;
	int status;

	if (arg1 == HOARDER)
		return hoard(handle, arg0);
	if (arg1 == WORKER)
		return work(handle, arg0);
	if (arg1 == SLEEPER) {
		waiter(handle);
		return 0;
	}
	programs = handle;
	endpoint = endpoint_create();
	send = handle_dup((u64)endpoint, RIGHT_SEND | RIGHT_DUP);
	for (i = 0; i < NR_WORK; i++)
		worker[i] = task_create(programs, "hoard", (u64)send, i, WORKER);
	hear_all((u64)endpoint, false);
	hear_all((u64)endpoint, false);
	for (i = 0; i < NR_LIMITS; i++)
		before[i] = (u64)info(INFO_USED, i) + (i == LIMIT_TABLES ? 64 : NR_WORK);
	for (nr = 0; nr < arg1 && !surprises; nr++) {
		one(arg0 + nr, ends);
		hear_all((u64)endpoint, false);
		wait_for_rest(before);
		before[LIMIT_TABLES] += NR_WORK; /* a worker's new page may need a table */
	}
	hear_all((u64)endpoint, true);
	for (i = 0; i < NR_WORK; i++) {
		WANT(task_wait((u64)worker[i], LIMIT_NS, &status), TASK_EXITED);
		WANT(status, 0);
	}
	printf("%lu programs: %u ended, %u faulted, %u were killed; %d surprises\n", nr,
	    ends[TASK_EXITED], ends[TASK_FAULTED], ends[TASK_KILLED], surprises);
	return surprises;
}
