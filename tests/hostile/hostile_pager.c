/* SPDX-License-Identifier: MIT */
/*
 * hostile_pager.c: pagers that delay other tasks, and objects with very many regions.
 *
 * The pager of an object is a thread of the task itself, or no thread.
 */
#include "tests/hostile/hostile.h"

#define PAGES    4u
#define SHORT_NS (20 * NS_PER_MS)
#define LONG_NS  (10 * NS_PER_S) /* no more than ABI_MAX_PAGER_NS */
/* More regions than one hold of an object's lock visits, and fewer than a task's limit. */
#define REGIONS 200u
#define RW      (ABI_READ | ABI_WRITE)

static char *memory; /* address of the mapped pages */
static char source[ABI_PAGE_SIZE] __attribute__((aligned(ABI_PAGE_SIZE)));

static volatile char *page(unsigned i)
{
	return memory + (u64)i * ABI_PAGE_SIZE;
}

static s64 bind(u64 endpoint, u64 timeout_ns)
{
	return pager_bind(endpoint, PAGES, 0, timeout_ns);
}

/* Map an object whose pager is this task, at `memory`.  No thread answers its requests yet. */
static u64 paged(u64 *endpoint, u64 timeout_ns)
{
	s64 object;

	*endpoint = (u64)endpoint_create();
	object = bind(*endpoint, timeout_ns);
	WANT(object > 0, 1);
	memory = address_for(PAGES);
	WANT(map((u64)object, memory, PAGES, 0, RW), 0);
	return (u64)object;
}

/* ---- pagers ---- */

static void silent_pager_is_waited_for(void)
{
	u64 endpoint;

	paged(&endpoint, SHORT_NS);
	(void)*page(0);
}

static void system_call_waits_for_a_silent_pager(void)
{
	u64 endpoint;

	paged(&endpoint, SHORT_NS);
	WANT(sys(SYS_DEBUG_WRITE, (u64)page(0), 1, 0, 0, 0), -EFAULT);
	WANT(sys(SYS_DEBUG_WRITE, (u64)page(1), 1, 0, 0, 0), -EFAULT);
}

static void pager_has_no_time_or_too_much(void)
{
	u64 endpoint = (u64)endpoint_create();

	WANT(bind(endpoint, 0), -EINVAL);
	WANT(bind(endpoint, ABI_MAX_PAGER_NS + 1), -EINVAL);
	WANT(bind(endpoint, ~0UL), -EINVAL);
	WANT(bind(~0UL, LONG_NS), -EBADF);
}

/* The content to supply is in the very page that is requested. */
static void page_is_supplied_from_itself(void)
{
	u64 endpoint, object = paged(&endpoint, SHORT_NS);

	WANT(pager_supply(object, 0, (const void *)page(0)), -EFAULT);
	WANT(pager_supply(object, 0, (const void *)page(1)), -EFAULT);
	WANT(pager_supply(object, 0, source), 0);
	WANT(*page(0), 0);
}

static void what_is_not_there_is_taken_back(void)
{
	u64 endpoint, object = paged(&endpoint, SHORT_NS), i;

	for (i = 0; i < PAGES; i++) {
		WANT(pager_take_back(object, i, source), -ENOENT);
		WANT(pager_supply(object, i, source), 0);
		WANT(pager_take_back(object, i, source), -ENOENT);
	}
	WANT(pager_drop(object, 0, PAGES + 1), -EINVAL);
	WANT(pager_drop(object, PAGES, 1), -EINVAL);
	WANT(pager_drop(object, 1, ~0UL), -EINVAL);
	WANT(pager_drop(object, 0, PAGES), 0);
}

/*
 * A pager, in the task that uses the object: it supplies each page, and drops the page before the
 * first use.
 */
struct fickle {
	u64 endpoint, object;
};
static struct fickle fickle;

static void bring_and_drop(u64 arg)
{
	struct message m;
	s64 from;

	while ((from = receive(fickle.endpoint, &m, LONG_NS)) > 0) {
		u64 index = m.word[1];

		pager_supply(fickle.object, index, source);
		pager_drop(fickle.object, index, 1);
		m = (struct message){.word = {ABI_PAGER_DONE}};
		reply((u64)from, &m);
	}
}

static struct thread server;

static int touch_what_never_stays(u64 handle, u64 how)
{
	u64 other = 0, endpoint;

	if (how == 1) {
		other = (u64)bind((u64)endpoint_create(), LONG_NS);
		WANT((s64)other > 0, 1);
	}
	fickle.object = paged(&endpoint, how == 2 ? SHORT_NS : LONG_NS);
	fickle.endpoint = endpoint;
	WANT(thread_start(&server, bring_and_drop, 0), 0);
	while (fickle.object) {
		if (how != 1)
			(void)*page(0);
		else
			pager_supply(other, 0, (const void *)page(0));
		pager_drop(fickle.object, 0, 1);
	}
	return 1;
}

/* The task loops in ring 3 or in the kernel; a kill must end it in either case. */
static void end_one(u64 how)
{
	s64 task = hostile_start(touch_what_never_stays, 0, how);
	u64 began;
	int status;

	WANT(task > 0, 1);
	sleep_ns(100 * NS_PER_MS);
	WANT(task_kill((u64)task), 0);
	began = clock_ns();
	WANT(hostile_end(task, &status), TASK_KILLED);
	WANT(clock_ns() - began < HOSTILE_NS / 2, 1);
}

static void page_is_brought_and_dropped_for_ever(void)
{
	end_one(0);
}

/* All requests of one access share the time limit of one request. */
static void page_is_brought_and_dropped_for_too_long(void)
{
	u64 began = clock_ns();

	hostile_expect(touch_what_never_stays, 0, 2, TASK_FAULTED, 0);
	WANT(clock_ns() - began < HOSTILE_NS / 2, 1);
}

static void page_is_supplied_from_one_that_never_stays(void)
{
	end_one(1);
}

/* ---- many regions ---- */

/* Map page 0 of @object in REGIONS regions, at `memory`. */
static void map_often(u64 object)
{
	unsigned i;

	memory = address_for(REGIONS);
	for (i = 0; i < REGIONS; i++)
		WANT(map(object, (void *)page(i), 1, 0, RW), 0);
}

static void touch_all(char value)
{
	unsigned i, wrong = 0;

	*page(0) = value;
	for (i = 0; i < REGIONS; i++)
		wrong += *page(i) != value;
	WANT(wrong, 0);
}

static void one_page_is_shown_many_times(void)
{
	u64 object = (u64)object_create(1);

	map_often(object);
	touch_all(1);
	WANT(unmap(memory, REGIONS), 0);
	WANT(sys(SYS_DEBUG_WRITE, (u64)page(REGIONS - 1), 1, 0, 0, 0), -EFAULT);
	map_often(object);
	WANT(*page(REGIONS / 2), 1);
}

static void shown_page_is_dropped_everywhere(void)
{
	u64 endpoint, object = paged(&endpoint, SHORT_NS);

	unmap(memory, PAGES);
	map_often(object);
	source[0] = 7;
	WANT(pager_supply(object, 0, source), 0);
	touch_all(7);
	WANT(pager_drop(object, 0, PAGES), 0);
	WANT(sys(SYS_DEBUG_WRITE, (u64)page(REGIONS - 1), 1, 0, 0, 0), -EFAULT);
	source[0] = 9;
	WANT(pager_supply(object, 0, source), 0);
	WANT(*page(REGIONS - 1), 9);
}

/* Split a mapping into regions of one page, and unmap every other region. */
static void region_is_cut_to_pieces(void)
{
	u64 object = (u64)object_create(REGIONS);
	unsigned i;

	memory = address_for(REGIONS);
	WANT(map(object, memory, REGIONS, 0, RW), 0);
	for (i = 0; i < REGIONS; i++)
		*page(i) = (char)i;
	for (i = 0; i < REGIONS; i += 2)
		WANT(unmap((void *)page(i), 1), 0);
	for (i = 1; i < REGIONS; i += 2)
		WANT(*page(i), (char)i);
	for (i = 0; i < REGIONS; i += 2)
		WANT(map(object, (void *)page(i), 1, i, ABI_READ), 0);
	for (i = 0; i < REGIONS; i++)
		WANT(*page(i), (char)i);
}

static struct fickle good;
static struct thread dropper;
static u32 done, stop;

static void bring(u64 arg)
{
	struct message m;
	s64 from;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		from = receive(good.endpoint, &m, SHORT_NS);
		if (from < 0)
			continue;
		pager_supply(good.object, m.word[1], source);
		m = (struct message){.word = {ABI_PAGER_DONE}};
		reply((u64)from, &m);
	}
}

static void drop_often(u64 arg)
{
	unsigned i;

	for (i = 0; i < 100; i++) {
		pager_drop(good.object, 0, 1);
		yield();
	}
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
}

/* A thread that touches a page while its entries are being removed waits, and then continues. */
static void shown_page_is_touched_while_it_is_dropped(void)
{
	unsigned i, wrong = 0;

	good.object = paged(&good.endpoint, LONG_NS);
	unmap(memory, PAGES);
	map_often(good.object);
	source[0] = 5;
	WANT(pager_supply(good.object, 0, source), 0);
	WANT(thread_start(&server, bring, 0), 0);
	touch_all(5);
	WANT(thread_start(&dropper, drop_often, 0), 0);
	for (i = 0; !__atomic_load_n(&done, __ATOMIC_ACQUIRE); i = (i + 7) % REGIONS)
		wrong += *page(i) != 5;
	thread_join(&dropper);
	/* The server stops only here: the touches above needed its answers. */
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	thread_join(&server);
	WANT(pager_drop(good.object, 0, 1), 0);
	WANT(pager_supply(good.object, 0, source), 0);
	WANT(wrong, 0);
	WANT(*page(REGIONS - 1), 5);
}

static int show_and_leave(u64 object, u64 arg)
{
	map_often(object);
	touch_all((char)arg);
	return 0;
}

static void others_show_it_and_leave(void)
{
	u64 object = (u64)object_create(1);
	unsigned i;

	map_often(object);
	for (i = 1; i < 4; i++) {
		hostile_expect(show_and_leave, object, i, TASK_EXITED, 0);
		WANT(*page(REGIONS - i), (char)i);
	}
	touch_all(9);
}

static const struct hostile_case cases[] = {
    FAULTS(silent_pager_is_waited_for),
    ENDS_WELL(system_call_waits_for_a_silent_pager),
    ENDS_WELL(pager_has_no_time_or_too_much),
    ENDS_WELL(page_is_supplied_from_itself),
    ENDS_WELL(what_is_not_there_is_taken_back),
    ENDS_WELL(page_is_brought_and_dropped_for_ever),
    ENDS_WELL(page_is_brought_and_dropped_for_too_long),
    ENDS_WELL(page_is_supplied_from_one_that_never_stays),
    ENDS_WELL(one_page_is_shown_many_times),
    ENDS_WELL(shown_page_is_dropped_everywhere),
    ENDS_WELL(region_is_cut_to_pieces),
    ENDS_WELL(shown_page_is_touched_while_it_is_dropped),
    ENDS_WELL(others_show_it_and_leave),
};
const struct hostile_subject hostile_pager = SUBJECT("pager", cases);
