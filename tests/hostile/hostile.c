/* SPDX-License-Identifier: MIT */
/*
 * hostile.c: a program that tries to break out of ring 3, to take the memory of other tasks, and to
 * stop them.
 *
 * handle: the capability to start programs; arg0: the seed; arg1: 0 for every subject that runs on
 * any machine, or the number of one subject.  Runs every case of hostile_*.c in a task of its own
 * and prints a line for each.  The exit status is the number of cases that did not end as required.
 */
#include "tests/hostile/hostile.h"

#define IS_ROLE (1UL << 63) /* bit of arg1: this task runs a case, or a role of a case */

static const struct hostile_subject *const subjects[] = {
    &hostile_ldt,
    &hostile_regs,
    &hostile_handles,
    &hostile_pager,
    &hostile_account,
    &hostile_sched,
    &hostile_oom,
    &hostile_paid,
    &hostile_reclaim,
    &hostile_served,
    &hostile_gone,
    &hostile_disguised,
    &hostile_late,
    &hostile_costly,
};

u64 programs, seed, hostile_meeting;
static int surprises;

void hostile_want(const char *file, int line, s64 have, s64 wanted)
{
	if (have == wanted)
		return;
	printf("%s:%d: %ld, not %ld\n", file, line, have, wanted);
	__atomic_fetch_add(&surprises, 1, __ATOMIC_RELAXED);
}

s64 hostile_start(hostile_role *role, u64 give, u64 arg)
{
	return hostile_start_limited(role, give, arg, NULL);
}

s64 hostile_start_limited(hostile_role *role, u64 give, u64 arg, const struct abi_limits *limits)
{
	return task_create_limited(programs, "hostile", give, (u64)role, arg | IS_ROLE, limits);
}

s64 hostile_hear(u64 endpoint, hostile_role *role, u64 arg, struct message *m, s64 *from)
{
	s64 send = handle_dup(endpoint, RIGHT_SEND | RIGHT_DUP),
	    task = hostile_start(role, (u64)send, arg);

	*from = receive(endpoint, m, HOSTILE_NS);
	WANT(task > 0 && *from > 0, 1);
	handle_close((u64)send);
	return task;
}

int hostile_nothing(u64 handle, u64 arg)
{
	return 0;
}

u64 hostile_filled(u64 pages)
{
	u64 object = (u64)object_create(pages), i;
	char *at = address_for(pages);

	WANT(map(object, at, pages, 0, ABI_READ | ABI_WRITE), 0);
	for (i = 0; i < pages; i++)
		at[i * ABI_PAGE_SIZE] = 1;
	unmap(at, pages);
	return object;
}

s64 hostile_end(s64 task, int *status)
{
	s64 how;

	*status = 0;
	if (task < 0)
		return task;
	how = task_wait((u64)task, HOSTILE_NS, status);
	if (how == -ETIMEDOUT)
		task_kill((u64)task);
	handle_close((u64)task);
	return how;
}

void hostile_expect(hostile_role *role, u64 give, u64 arg, enum task_end how, int status)
{
	int have;

	WANT(hostile_end(hostile_start(role, give, arg), &have), how);
	if (how != TASK_FAULTED)
		WANT(have, status);
}

/*
 * Run a case, given by its address, which is below 2^32 and the same in every task of this program.
 */
static int run_case(u64 handle, u64 arg)
{
	const struct hostile_case *c = (const struct hostile_case *)(arg & 0xffffffff);

	programs = handle;
	if (c->other) {
		struct message m;
		s64 from;

		hostile_meeting = handle;
		from = receive(hostile_meeting, &m, HOSTILE_NS);
		programs = m.handle;
		WANT(reply((u64)from, &(struct message){.handle = 0}), 0);
	}
	seed = arg >> 32;
	c->run();
	return 0;
}

/* Send the case's task the capability to start programs; then start its other task. */
static s64 start_other(const struct hostile_case *c, u64 meeting)
{
	struct message m = {.handle = programs};
	s64 send = handle_dup(meeting, RIGHT_SEND | RIGHT_DUP), task = -1;

	if (call((u64)send, &m, HOSTILE_NS) == 0)
		task = hostile_start(c->other, (u64)send, 0);
	handle_close((u64)send);
	return task;
}

/*
 * Run and judge one case.  True: it ended as required, and the number of handles has not changed.
 */
static bool judge(const struct hostile_subject *s, const struct hostile_case *c)
{
	static const char *const ends[] = {"still runs", "exited", "faulted", "was killed"};
	s64 handles = info(INFO_HANDLES, 0), meeting = c->other ? endpoint_create() : 0, how,
	    task = hostile_start_limited(
	        run_case, meeting ? (u64)meeting : programs, (u64)c | seed << 32, s->limits),
	    other = c->other ? start_other(c, (u64)meeting) : 0;
	int status = 0, others = 0;
	bool good;

	handle_close((u64)meeting);
	how = hostile_end(task, &status);
	good = how == (s64)c->end && (how == TASK_FAULTED || status == c->status);
	if (c->other)
		good &= hostile_end(other, &others) == TASK_EXITED && others == 0;
	good &= info(INFO_HANDLES, 0) == handles;
	printf("%s %s.%s %s, %d%s\n", good ? "ok" : "not ok", s->name, c->name,
	    how >= 0 && how < (s64)ARRAY_SIZE(ends) ? ends[how]
	                                            : "was not started, or does not end",
	    how < 0 ? (int)how : status, good ? "" : ": not as it must");
	return good;
}

int main(u64 handle, u64 arg0, u64 arg1)
{
	unsigned i, j, nr = 0, failed = 0;
	int status;

	if (arg1 & IS_ROLE) {
		status = ((hostile_role *)arg0)(handle, arg1 & ~IS_ROLE);
		return status ? status : surprises;
	}
	programs = handle;
	seed = arg0 & 0x7fffffff;
	for (i = 0; i < ARRAY_SIZE(subjects); i++) {
		for (j = 0; j < subjects[i]->nr && (arg1 ? arg1 == i + 1 : !subjects[i]->alone);
		     j++, nr++)
			failed += !judge(subjects[i], &subjects[i]->cases[j]);
	}
	printf("%u cases of seed %lu, %u not as they must\n", nr, seed, failed);
	return nr ? (int)failed : 1;
}
