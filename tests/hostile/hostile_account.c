/* SPDX-License-Identifier: MIT */
/*
 * hostile_account.c: tasks that try to exceed their limits of the kernel's memory: mappings,
 * objects, tables, endpoints, threads, tasks; and shared pages that one user maps as often as it
 * can.
 */
#include "tests/hostile/hostile.h"

#define AT(i)    ((char *)0x10000000000UL + (i)*0x200000UL) /* an address with its own page table */
#define FEW      10u
#define NR_SHARE 8u /* tasks that share a page */

static u64 limit_of(enum abi_limit which)
{
	return (u64)info(INFO_LIMIT, which);
}

static u64 used(enum abi_limit which)
{
	return (u64)info(INFO_USED, which);
}

/*
 * Run a role with the limit @nr for @which, and inherited limits for the rest; it must end as @how.
 */
static void expect_limited(hostile_role *role, enum abi_limit which, u64 nr, enum task_end how)
{
	struct abi_limits limits;
	unsigned i;
	int status;

	for (i = 0; i < NR_LIMITS; i++)
		limits.limit[i] = i == which ? nr : ABI_LIMIT_INHERIT;
	WANT(hostile_end(hostile_start_limited(role, programs, nr, &limits), &status), how);
	if (how == TASK_EXITED)
		WANT(status, 0);
}

/* ---- memory of the kernel ---- */

/* Map an object and close its handle: the object lives as long as the mapping. */
static s64 keep_object(u64 i)
{
	s64 object = object_create(1), err;

	if (object < 0)
		return object;
	err = map((u64)object, AT(i), 1, 0, ABI_READ | ABI_WRITE);
	handle_close((u64)object);
	return err;
}

static int keep_objects(u64 handle, u64 nr)
{
	u64 i, had = used(LIMIT_OBJECTS);

	WANT(limit_of(LIMIT_OBJECTS), nr);
	for (i = had; i < nr; i++)
		WANT(keep_object(i), 0);
	WANT(keep_object(i), -EDQUOT);
	WANT(used(LIMIT_OBJECTS), nr);
	WANT(unmap(AT(had), 1), 0);
	WANT(keep_object(had), 0);
	WANT(keep_object(i), -EDQUOT);
	return 0;
}

static void objects_without_handles_are_kept_until_refused(void)
{
	expect_limited(keep_objects, LIMIT_OBJECTS, 300, TASK_EXITED);
}

static int cut_regions(u64 handle, u64 nr)
{
	char *at = pages_alloc(2 * nr);
	s64 err = 0;
	u64 i;

	for (i = 0; i < nr && !err; i++)
		err = protect(at + 2 * i * ABI_PAGE_SIZE, 1, ABI_READ);
	WANT(err, -EDQUOT);
	WANT(unmap(at + (2 * nr - 3) * ABI_PAGE_SIZE, 1), -EDQUOT);
	WANT(used(LIMIT_REGIONS) <= nr, 1);
	/* The mapping is still usable, and can be unmapped as a whole. */
	at[ABI_PAGE_SIZE] = 1;
	WANT(unmap(at, 2 * nr), 0);
	WANT(pages_map(at, 1), 1);
	return 0;
}

static void regions_are_cut_until_refused(void)
{
	expect_limited(cut_regions, LIMIT_REGIONS, 100, TASK_EXITED);
}

static int touch_far_apart(u64 handle, u64 nr)
{
	u64 i;

	for (i = 0; i <= nr; i++) {
		WANT(keep_object(i), 0);
		*(volatile char *)AT(i) = 1;
	}
	return 99;
}

static void page_tables_are_touched_until_refused(void)
{
	expect_limited(touch_far_apart, LIMIT_TABLES, 60, TASK_FAULTED);
}

static int name_far_apart(u64 handle, u64 nr)
{
	s64 err = 1;
	u64 i;

	for (i = 0; i <= nr && err != -EFAULT; i++) {
		WANT(keep_object(i), 0);
		err = sys(SYS_DEBUG_WRITE, (u64)AT(i), 0, 0, 0, 0)
		    ? 0
		    : sys(SYS_TASK_CREATE, handle, (u64)AT(i), 1, 0, 0);
	}
	WANT(err, -EFAULT);
	WANT(used(LIMIT_TABLES), nr);
	return 0;
}

static void page_tables_for_arguments_are_refused(void)
{
	expect_limited(name_far_apart, LIMIT_TABLES, 60, TASK_EXITED);
}

static int make_endpoints(u64 handle, u64 nr)
{
	s64 last = 0;
	u64 i;

	for (i = 0; i < nr; i++) {
		last = endpoint_create();
		WANT(last > 0, 1);
	}
	WANT(endpoint_create(), -EDQUOT);
	WANT(handle_close((u64)last), 0);
	WANT(endpoint_create() > 0, 1);
	return 0;
}

static void endpoints_are_made_until_refused(void)
{
	expect_limited(make_endpoints, LIMIT_ENDPOINTS, FEW, TASK_EXITED);
}

/* Calls that timed out are not charged to the task, so it may go on calling. */
static void calls_are_left_behind(void)
{
	s64 endpoint = endpoint_create();
	struct message m = {.word = {0}};
	u64 i;

	for (i = 0; i < 1000; i++)
		WANT(call((u64)endpoint, &m, 0), -ETIMEDOUT);
	handle_close((u64)endpoint);
}

static void limits_above_ones_own_are_refused(void)
{
	struct abi_limits limits;
	unsigned which, i;

	for (which = 0; which < NR_LIMITS; which++) {
		for (i = 0; i < NR_LIMITS; i++)
			limits.limit[i] =
			    i == which ? limit_of((enum abi_limit)i) + 1 : ABI_LIMIT_INHERIT;
		WANT(task_create_limited(programs, "hello", 0, 0, 0, &limits), -EACCES);
		limits.limit[which] = ABI_LIMIT_INHERIT - 1;
		WANT(task_create_limited(programs, "hello", 0, 0, 0, &limits), -EACCES);
	}
	WANT(
	    task_create_limited(programs, "hello", 0, 0, 0, (void *)0xffff888000001000UL), -EFAULT);
	WANT(info(INFO_LIMIT, NR_LIMITS), -EINVAL);
	WANT(info(INFO_USED, ~0UL), -EINVAL);
}

static int keep_some(u64 handle, u64 nr)
{
	struct message m = {.word = {0}};
	u64 i;

	for (i = 0; i < nr; i++)
		WANT(keep_object(i), 0);
	return call(handle, &m, HOSTILE_NS) ? 1 : 0;
}

static void what_a_child_has_counts_for_its_parent(void)
{
	s64 endpoint = endpoint_create(), send = handle_dup((u64)endpoint, RIGHT_SEND | RIGHT_DUP),
	    task, from;
	u64 objects = used(LIMIT_OBJECTS), tasks = used(LIMIT_TASKS), threads = used(LIMIT_THREADS);
	struct message m;
	int status;

	task = hostile_start(keep_some, (u64)send, FEW);
	from = receive((u64)endpoint, &m, HOSTILE_NS);
	WANT(used(LIMIT_OBJECTS) >= objects + FEW, 1);
	WANT(used(LIMIT_TASKS), tasks + 1);
	WANT(used(LIMIT_THREADS), threads + 1);
	WANT(reply((u64)from, &m), 0);
	WANT(hostile_end(task, &status), TASK_EXITED);
	WANT(status, 0);
	WANT(used(LIMIT_OBJECTS), objects);
	WANT(used(LIMIT_TASKS), tasks);
}

/* ---- tasks and threads ---- */

static int wait_for_ever(u64 handle, u64 arg)
{
	sleep_ns(ABI_WAIT_FOREVER);
	return 99;
}

/* Start up to @max tasks; returns their number.  *@err: the last result. */
static u64 start_many(s64 *task, u64 max, s64 *err)
{
	u64 nr = 0;

	do
		*err = task[nr] = hostile_start(wait_for_ever, 0, 0);
	while (*err > 0 && ++nr < max);
	return nr;
}

static void kill_all(const s64 *task, u64 nr)
{
	int status;
	u64 i;

	for (i = 0; i < nr; i++) {
		WANT(task_kill((u64)task[i]), 0);
		WANT(hostile_end(task[i], &status), TASK_KILLED);
	}
}

static int fill_the_slots(u64 handle, u64 arg)
{
	s64 task[ABI_MAX_TASKS], err;
	u64 nr;

	programs = handle;
	nr = start_many(task, ABI_MAX_TASKS, &err);
	WANT(err, -EAGAIN);
	WANT(nr, limit_of(LIMIT_TASKS));
	kill_all(task, nr);
	/* A task that has ended frees its slot. */
	task[0] = hostile_start(wait_for_ever, 0, 0);
	kill_all(task, 1);
	return 0;
}

static void tasks_are_started_until_refused(void)
{
	hostile_expect(fill_the_slots, programs, 0, TASK_EXITED, 0);
	expect_limited(fill_the_slots, LIMIT_TASKS, 3, TASK_EXITED);
}

/* Get the capability to start programs, fill the slots, and keep them until the second answer. */
static int fill_and_wait(u64 handle, u64 arg)
{
	struct message m = {.word = {0}};
	s64 task[ABI_MAX_TASKS], err;
	u64 nr;

	WANT(call(handle, &m, HOSTILE_NS), 0);
	programs = m.handle;
	nr = start_many(task, ABI_MAX_TASKS, &err);
	WANT(err, -EAGAIN);
	m = (struct message){.word = {nr}};
	WANT(call(handle, &m, HOSTILE_NS), 0);
	kill_all(task, nr);
	return 0;
}

/* A task that fills all its slots leaves slots to its neighbours. */
static void a_neighbour_starts_tasks_beside_one_that_fills_the_slots(void)
{
	s64 endpoint = endpoint_create(), send = handle_dup((u64)endpoint, RIGHT_SEND | RIGHT_DUP);
	s64 hog = hostile_start(fill_and_wait, (u64)send, 0), task[2], err = 0, from;
	struct message m;
	int status;
	u64 nr;

	from = receive((u64)endpoint, &m, HOSTILE_NS);
	m = (struct message){.handle = programs};
	WANT(reply((u64)from, &m), 0);
	from = receive((u64)endpoint, &m, HOSTILE_NS);
	WANT(m.word[0] > 2, 1);
	nr = start_many(task, ARRAY_SIZE(task), &err);
	WANT(nr, ARRAY_SIZE(task));
	kill_all(task, nr);
	WANT(reply((u64)from, &m), 0);
	WANT(hostile_end(hog, &status), TASK_EXITED);
	WANT(status, 0);
}

static int start_none(u64 handle, u64 arg)
{
	programs = handle;
	WANT(limit_of(LIMIT_TASKS), 0);
	WANT(hostile_start(wait_for_ever, 0, 0), -EAGAIN);
	return 0;
}

static void a_task_that_may_start_none_starts_none(void)
{
	expect_limited(start_none, LIMIT_TASKS, 0, TASK_EXITED);
}

static int pass_on(u64 handle, u64 depth)
{
	u64 own = limit_of(LIMIT_TASKS);
	struct abi_limits limits;
	unsigned i;
	int status = 0;

	programs = handle;
	for (i = 0; i < NR_LIMITS; i++)
		limits.limit[i] = limit_of((enum abi_limit)i);
	WANT(hostile_start_limited(pass_on, programs, depth + 1, &limits), own ? -EACCES : -EAGAIN);
	if (!own)
		return 0;
	limits.limit[LIMIT_TASKS] = own - 1;
	WANT(hostile_end(hostile_start_limited(pass_on, programs, depth + 1, &limits), &status),
	    TASK_EXITED);
	return status;
}

/* Each task in a chain may start one task fewer than its parent. */
static void chains_of_tasks_end(void)
{
	expect_limited(pass_on, LIMIT_TASKS, 4, TASK_EXITED);
}

static void sleeper(u64 arg)
{
	sleep_ns(ABI_WAIT_FOREVER);
}

static int start_threads(u64 handle, u64 nr)
{
	static struct thread thread[ABI_MAX_THREADS + 1];
	u64 i;

	for (i = 1; i < nr && i < ABI_MAX_THREADS; i++)
		WANT(thread_start(&thread[i], sleeper, 0), 0);
	WANT(thread_start(&thread[i], sleeper, 0), -EAGAIN);
	WANT(info(INFO_THREADS, 0), (s64)i);
	exit(0);
}

static void threads_are_started_until_refused(void)
{
	expect_limited(start_threads, LIMIT_THREADS, 5, TASK_EXITED);
	hostile_expect(start_threads, 0, 1000, TASK_EXITED, 0);
}

static int use_threads_below(u64 handle, u64 nr)
{
	struct abi_limits limits;
	unsigned i;
	int status;

	programs = handle;
	for (i = 0; i < NR_LIMITS; i++)
		limits.limit[i] = i == LIMIT_THREADS ? nr : ABI_LIMIT_INHERIT;
	/* The child has the same limit, but this thread counts too. */
	WANT(hostile_end(hostile_start_limited(start_threads, 0, nr - 1, &limits), &status),
	    TASK_EXITED);
	return status;
}

static void threads_of_children_count(void)
{
	expect_limited(use_threads_below, LIMIT_THREADS, 6, TASK_EXITED);
}

/* ---- a shared page ---- */

static u64 map_often(u64 object, u64 max, s64 *err)
{
	u64 i;

	for (i = 0; i < max; i++) {
		*err = map(object, AT(i), 1, 0, ABI_READ | ABI_WRITE);
		if (*err)
			break;
		*(volatile char *)AT(i) = 1;
	}
	return i;
}

static void a_page_is_mapped_until_refused(void)
{
	s64 object = object_create(1), err;

	WANT(map_often((u64)object, 40000, &err), ABI_MAX_MAPPINGS);
	WANT(err, -EMLINK);
	WANT(unmap(AT(7), 1), 0);
	WANT(map((u64)object, AT(7), 1, 0, ABI_READ), 0);
	WANT(map((u64)object, AT(40000), 1, 0, ABI_READ), -EMLINK);
}

static void another_handle_to_it_is_refused_too(void)
{
	s64 object = object_create(1), dup = handle_dup((u64)object, RIGHT_READ | RIGHT_WRITE), err;

	WANT(map_often((u64)object, 40000, &err), ABI_MAX_MAPPINGS);
	WANT(map((u64)dup, AT(40000), 1, 0, ABI_READ), -EMLINK);
	WANT(keep_object(40001), 0);
}

static int map_share(u64 handle, u64 max)
{
	s64 err;

	WANT(map_often(handle, max, &err), ABI_MAX_MAPPINGS);
	sleep_ns(ABI_WAIT_FOREVER);
	return 99;
}

/* A task that has mapped a page can access it, whatever other tasks do with the page. */
static void a_page_that_others_map_too_often_can_be_touched(void)
{
	s64 object = object_create(1),
	    share = handle_dup((u64)object, RIGHT_READ | RIGHT_WRITE | RIGHT_DUP);
	s64 task[NR_SHARE];
	unsigned i;

	WANT(map((u64)object, AT(0), 1, 0, ABI_READ | ABI_WRITE), 0);
	for (i = 0; i < NR_SHARE; i++)
		task[i] = hostile_start(map_share, (u64)share, 40000);
	for (i = 0; i < 3000 && used(LIMIT_REGIONS) < NR_SHARE * ABI_MAX_MAPPINGS; i++)
		sleep_ns(10 * NS_PER_MS);
	WANT(used(LIMIT_REGIONS) >= NR_SHARE * ABI_MAX_MAPPINGS, 1);
	*(volatile char *)AT(0) = 2;
	WANT(*(volatile char *)AT(0) > 0, 1);
	kill_all(task, NR_SHARE);
}

static void parts_of_a_mapping_count(void)
{
	s64 object = object_create(2 * ABI_MAX_MAPPINGS);
	char *at = AT(0);
	u64 i;

	WANT(map((u64)object, at, 2 * ABI_MAX_MAPPINGS, 0, ABI_READ | ABI_WRITE), 0);
	/* Splitting regions is allowed: it maps no page more often. */
	for (i = 0; i < ABI_MAX_MAPPINGS; i++)
		WANT(protect(at + 2 * i * ABI_PAGE_SIZE, 1, ABI_READ), 0);
	WANT(map((u64)object, AT(100), 1, 0, ABI_READ), -EMLINK);
	WANT(unmap(at, 2 * ABI_MAX_MAPPINGS), 0);
	WANT(map((u64)object, AT(100), 1, 0, ABI_READ), 0);
}

static void refused_mappings_leave_nothing(void)
{
	s64 object = object_create(1), err;
	u64 regions = used(LIMIT_REGIONS), i;

	WANT(map_often((u64)object, 40000, &err), ABI_MAX_MAPPINGS);
	for (i = 0; i < 1000; i++)
		WANT(map((u64)object, AT(40000), 1, 0, ABI_READ), -EMLINK);
	WANT(used(LIMIT_REGIONS), regions + ABI_MAX_MAPPINGS);
	for (i = 0; i < ABI_MAX_MAPPINGS; i++)
		WANT(unmap(AT(i), 1), 0);
	WANT(used(LIMIT_REGIONS), regions);
}

static const struct hostile_case cases[] = {
    ENDS_WELL(objects_without_handles_are_kept_until_refused),
    ENDS_WELL(regions_are_cut_until_refused),
    ENDS_WELL(page_tables_are_touched_until_refused),
    ENDS_WELL(page_tables_for_arguments_are_refused),
    ENDS_WELL(endpoints_are_made_until_refused),
    ENDS_WELL(calls_are_left_behind),
    ENDS_WELL(limits_above_ones_own_are_refused),
    ENDS_WELL(what_a_child_has_counts_for_its_parent),
    ENDS_WELL(tasks_are_started_until_refused),
    ENDS_WELL(a_neighbour_starts_tasks_beside_one_that_fills_the_slots),
    ENDS_WELL(a_task_that_may_start_none_starts_none),
    ENDS_WELL(chains_of_tasks_end),
    ENDS_WELL(threads_are_started_until_refused),
    ENDS_WELL(threads_of_children_count),
    ENDS_WELL(a_page_is_mapped_until_refused),
    ENDS_WELL(another_handle_to_it_is_refused_too),
    ENDS_WELL(a_page_that_others_map_too_often_can_be_touched),
    ENDS_WELL(parts_of_a_mapping_count),
    ENDS_WELL(refused_mappings_leave_nothing),
};
const struct hostile_subject hostile_account = SUBJECT("account", cases);
