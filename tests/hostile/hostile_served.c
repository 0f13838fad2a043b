/* SPDX-License-Identifier: MIT */
/*
 * hostile_served.c: an honest pager, a client whose dirty pages the pager takes back on request,
 * and a worker that needs the memory of these pages.  No task is killed, whatever other clients of
 * that pager do.
 *
 * The cases run under icount, on a small machine with one CPU, and only if chosen by number
 * (tests/qemu/test_hostile.py).
 */
#include "tests/hostile/hostile.h"

#define RW         (ABI_READ | ABI_WRITE)
#define CLIENT     7000u  /* pages of the honest client; some 14,000 are free */
#define WORKER     8500u  /* pages of the worker */
#define TABLES     200u   /* page tables of the worker; below its limit of mappings of one object */
#define OBJECT     60000u /* pages of the object; those behind the client's are served slowly */
#define NR_SERVERS 3u
#define NR_READERS 60u
#define STORE_NS   (5 * NS_PER_MS)
#define WORD(i)    (0x1770ce17UL * ((i) + 1))

/* ---- the pager: it knows the content of every page, so its store needs no memory ---- */

static u64 served_at, object;

/* Take a page back and check its first word; returns the answer to the kernel. */
static u64 take_back(u64 page, u64 *buffer)
{
	if (pager_take_back(object, page, buffer))
		return ABI_PAGER_FAILED;
	WANT(buffer[0], WORD(page));
	return ABI_PAGER_DONE;
}

static u64 bring(u64 page, u64 *buffer)
{
	s64 err;

	if (page >= CLIENT)
		sleep_ns(STORE_NS);
	buffer[0] = WORD(page);
	err = pager_supply(object, page, buffer);
	return err == -ENOMEM ? ABI_PAGER_NO_MEMORY : ABI_PAGER_DONE;
}

static void serve(u64 arg)
{
	static u64 buffer[NR_SERVERS][ABI_PAGE_SIZE / 8] __attribute__((aligned(ABI_PAGE_SIZE)));
	struct message m;
	s64 from;

	buffer[arg][0] = 0;
	while ((from = receive(served_at, &m, ABI_WAIT_FOREVER)) > 0) {
		u64 page = m.word[1];

		m = (struct message){
		    .word = {m.word[0] == ABI_PAGER_GET ? bring(page, buffer[arg])
		                                        : take_back(page, buffer[arg])}};
		reply((u64)from, &m);
	}
}

static int be_pager(u64 handle, u64 arg)
{
	static struct thread server[NR_SERVERS];
	struct message m;
	unsigned i;

	served_at = (u64)endpoint_create();
	object = (u64)pager_bind(served_at, OBJECT, 0, 2 * NS_PER_S);
	for (i = 0; i < NR_SERVERS; i++)
		WANT(thread_start(&server[i], serve, i), 0);
	m = (struct message){
	    .handle = (u64)handle_dup(object, RIGHT_READ | RIGHT_WRITE | RIGHT_DUP)};
	WANT(call(handle, &m, HOSTILE_NS), 0);
	/* The answer comes at the end of the case. */
	m = (struct message){.word = {0}};
	WANT(call(handle, &m, ABI_WAIT_FOREVER), 0);
	return 0;
}

/* ---- its clients, and the worker ---- */

/* Report; returns the handle that the answer brings, or 0. */
static u64 report(u64 endpoint)
{
	struct message m = {.word = {0}};

	WANT(call(endpoint, &m, ABI_WAIT_FOREVER), 0);
	return m.handle;
}

static int write_and_compare(u64 handle, u64 arg)
{
	volatile u64 *at = (volatile u64 *)address_for(CLIENT);
	u64 i, wrong = 0;

	WANT(map(report(handle), (void *)at, CLIENT, 0, RW), 0);
	for (i = 0; i < CLIENT; i++)
		at[i * 512] = WORD(i);
	report(handle);
	for (i = 0; i < CLIENT; i++)
		wrong += at[i * 512] != WORD(i);
	WANT(wrong, 0);
	return 0;
}

static volatile char *readable;

static void read_at_random(u64 state)
{
	for (;;)
		(void)readable[(CLIENT + next_random(&state) % (OBJECT - CLIENT)) * ABI_PAGE_SIZE];
}

static int read_behind(u64 handle, u64 arg)
{
	static struct thread reader[NR_READERS];
	unsigned i;

	readable = address_for(OBJECT);
	WANT(map(report(handle), (void *)readable, OBJECT, 0, ABI_READ), 0);
	for (i = 0; i < NR_READERS; i++)
		WANT(thread_start(&reader[i], read_at_random, i + 1), 0);
	report(handle);
	return 99;
}

static char *table(u64 i)
{
	return (char *)0x10000000000UL + i * 512 * ABI_PAGE_SIZE;
}

static int work(u64 handle, u64 arg)
{
	volatile u64 *at = pages_alloc(WORKER);
	u64 few = (u64)object_create(1), i, wrong = 0;

	for (i = 0; at && i < WORKER; i++)
		at[i * 512] = WORD(i);
	/* Make page tables too: the kernel allocates them from other zones. */
	for (i = 0; i < TABLES; i++) {
		WANT(map(few, table(i), 1, 0, RW), 0);
		*table(i) = 1;
	}
	for (i = 0; at && i < WORKER; i++)
		wrong += at[i * 512] != WORD(i);
	WANT(wrong, 0);
	return at ? 0 : 1;
}

/* ---- cases ---- */

/* Answer with @handle, and wait for the next report. */
static void answer(u64 endpoint, s64 *from, u64 handle)
{
	struct message m = {.handle = handle};

	WANT(reply((u64)*from, &m), 0);
	*from = receive(endpoint, &m, HOSTILE_NS);
	WANT(*from > 0, 1);
}

static void ends_well(s64 task, s64 from)
{
	int status;

	WANT(reply((u64)from, &(struct message){.word = {0}}), 0);
	WANT(hostile_end(task, &status), TASK_EXITED);
	WANT(status, 0);
}

static void work_beside(bool attacked)
{
	u64 endpoint = (u64)endpoint_create(), shared;
	s64 pager, client, reader = 0, at_pager, at_client, at_reader;
	struct message m;
	int status;

	pager = hostile_hear(endpoint, be_pager, 0, &m, &at_pager);
	shared = m.handle;
	answer(endpoint, &at_pager, 0);
	client = hostile_hear(endpoint, write_and_compare, 0, &m, &at_client);
	answer(endpoint, &at_client, shared);
	if (attacked) {
		reader = hostile_hear(endpoint, read_behind, 0, &m, &at_reader);
		answer(endpoint, &at_reader, (u64)handle_dup(shared, RIGHT_READ | RIGHT_DUP));
	}
	hostile_expect(work, 0, 0, TASK_EXITED, 0);
	if (attacked) {
		WANT(task_kill((u64)reader), 0);
		WANT(hostile_end(reader, &status), TASK_KILLED);
		WANT(status == -ENOMEM, 0);
	}
	ends_well(client, at_client);
	ends_well(pager, at_pager);
}

static void worker_needs_what_a_pager_takes_back(void)
{
	work_beside(false);
}

static void clients_keep_a_pager_busy(void)
{
	work_beside(true);
}

static const struct hostile_case cases[] = {
    ENDS_WELL(worker_needs_what_a_pager_takes_back),
    ENDS_WELL(clients_keep_a_pager_busy),
};
const struct hostile_subject hostile_served = SUBJECT_ALONE("served", cases);
