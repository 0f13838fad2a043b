/* SPDX-License-Identifier: MIT */
/*
 * test_pager_wait.c: limits of the wait for a pager that does not answer. Threads that wait for a
 * pager, or supply pages, end or go on, whatever happens to other threads.
 */
#include "tests/lib/move_help.h"
#include "tests/lib/server_help.h"
#include "tests/lib/task_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/account.h>

/* ---- a pager that does not answer ---- */

/* Give one page to a pager that does not answer. True: the call waited for the whole time limit. */
static bool waits_unanswered(struct ktest *t, struct server *s)
{
	u64 began = arch_clock_ns();

	EXPECT_EQ(t, server_clean(s, 0, server_page(s)), -ETIMEDOUT);
	return arch_clock_ns() - began >= 4 * SHORT_NS;
}

KTEST_SUITE(pager_wait, KTEST_QUICK);

KTEST_COST(silent_pager_is_waited_for_once, KTEST_SLOW)
{
	unsigned i, waited = 0;
	struct server s;

	if (!server_begin(t, &s, 4 * SHORT_NS))
		return;
	EXPECT_EQ(t, server_clean(&s, 0, server_page(&s)), -ETIMEDOUT);
	for (i = 0; i < 20; i++)
		waited += waits_unanswered(t, &s);
	/* A few more waits may happen on a machine that stands still for so long. */
	EXPECT(t, waited <= 6);
	/*
	 * Wait until the pager has been given another chance and has answered. The loops are
	 * limited only for a machine that stands still.
	 */
	server_start(t, &s);
	for (waited = 0; waited < 5; waited++) {
		for (i = 0; i < 200 && server_clean(&s, 0, server_page(&s)); i++)
			thread_sleep(SHORT_NS);
		EXPECT(t, i < 200);
		if (!server_clean(&s, 0, server_page(&s)))
			break;
	}
	EXPECT(t, waited < 5);
	server_end(t, &s);
}

/* Its family has no trust left; nobody need be waited for. */
KTEST(a_pager_that_has_ended_is_not_waited_for, KTEST_SLOW)
{
	struct server s;

	if (!server_begin(t, &s, 4 * SHORT_NS))
		return;
	EXPECT_EQ(t, server_clean(&s, 0, server_page(&s)), -ETIMEDOUT);
	EXPECT_EQ(t, server_clean(&s, 0, server_page(&s)), -ETIMEDOUT);
	endpoint_get(s.ep, 0);
	endpoint_put(s.ep, RIGHT_RECEIVE);
	EXPECT_EQ(t, server_clean(&s, 0, server_page(&s)), 0);
	endpoint_get(s.ep, RIGHT_RECEIVE);
	endpoint_put(s.ep, 0);
	server_end(t, &s);
}

/* The work of another thread of the pager proves nothing about the thread that does not answer. */
KTEST(pager_regains_trust_by_an_answer, KTEST_SLOW)
{
	unsigned i, waited = 0;
	struct server s;

	if (!server_begin(t, &s, 4 * SHORT_NS))
		return;
	EXPECT_EQ(t, server_clean(&s, 0, server_page(&s)), -ETIMEDOUT);
	for (i = 0; i < 12; i++) {
		EXPECT_EQ(t, pager_supply(s.object, i % NR, store_page(0)), 0);
		EXPECT_EQ(t, pager_take_back(s.object, i % NR, store_page(0)), -ENOENT);
		EXPECT_EQ(t, pager_drop(s.object, i % NR, 1), 0);
		waited += waits_unanswered(t, &s);
	}
	/* A few more waits may happen on a machine that stands still for so long. */
	EXPECT(t, waited <= 4);
	server_end(t, &s);
}

/* ---- a thread that supplies a page must end ---- */

#define FICKLE 0x600000UL
#define ARGS   0x700000UL

static u32 nr_brought, refuses;

/* A pager in the kernel that supplies each page, and drops it again. */
static int bring_and_drop(struct vm_object *object, u32 index)
{
	int err = task_interrupted() ? -EINTR
	    : READ_ONCE(refuses)     ? -EIO
	                             : vm_object_supply(object, index, NULL);

	atomic_add(&nr_brought, 1u);
	return err ? err : vm_object_remove(object, index, 1);
}

static const struct vm_pager_ops fickle_ops = {.get = bring_and_drop};

KTEST(endless_supply_can_be_killed)
{
	struct cap cap = {.kind = CAP_OBJECT, .rights = RIGHT_SUPPLY};
	u64 args[5] = {SYS_PAGER_SUPPLY, 0, 0, FICKLE};
	struct vm_object *fickle, *page;
	struct task *task = NEED(t, new_task(t));
	enum task_end how;
	struct server s;
	unsigned i;
	s32 status;

	if (!server_begin(t, &s, LONG_NS))
		return;
	nr_brought = refuses = 0;
	cap.object = s.object;
	vm_object_get(s.object);
	args[1] = (u64)cap_install(&task->caps, &cap);
	page = map_page(task, ARGS, VM_READ, (const char *)args, sizeof(args));
	REQUIRE(
	    t, page && !vm_object_create(&kernel_memory, OBJ_PAGER, 1, &fickle_ops, NULL, &fickle));
	EXPECT_EQ(t, vm_map(task->space, FICKLE, 1, VM_READ, fickle, 0), 0);
	REQUIRE(t, add_thread(task, -1, code_at(user_call), ARGS) == 0);
	for (i = 0; i < 10000 && READ_ONCE(nr_brought) < 100; i++)
		thread_sleep(MS);
	EXPECT(t, i < 10000);
	task_end(task, TASK_KILLED, 9);
	EXPECT_EQ(t, task_wait(task, LONG_NS, &how, &status), 0);
	/* If the task is still there, its faults fail from now on, so that it can end. */
	WRITE_ONCE(refuses, 1);
	expect_end(t, task, TASK_KILLED, 9);
	vm_object_put(fickle);
	vm_object_put(page);
	server_end(t, &s);
}

/* The thread that waits for the answer is killed; the other waiter belongs to another task. */
KTEST(killed_requester_leaves_other_waiters_alone)
{
	struct task *task = NEED(t, new_task(t));
	struct reader reader;
	struct server s;
	u64 messages;
	unsigned i;
	u32 refs;

	if (!server_begin(t, &s, LONG_NS))
		return;
	EXPECT_EQ(t, vm_map(task->space, FICKLE, 1, VM_READ, s.object, 1), 0);
	messages = READ_ONCE(account_all.used[ACCOUNT_MESSAGES]);
	REQUIRE(t, add_thread(task, -1, code_at(user_load), FICKLE) == 0);
	/* Wait until the call is made: then the request can be found. */
	for (i = 0; i < 10000 && READ_ONCE(account_all.used[ACCOUNT_MESSAGES]) == messages; i++)
		thread_sleep(MS);
	EXPECT(t, i < 10000);
	/* A fault has a reference to the object, and after a turn or two it waits for the pager. */
	refs = READ_ONCE(s.object->refs);
	reader_start(t, &reader, &s, 1, 2);
	for (i = 0; i < 10000 && READ_ONCE(s.object->refs) == refs; i++)
		thread_sleep(MS);
	EXPECT(t, i < 10000);
	for (i = 0; i < 3; i++) {
		u64 since = arch_clock_ns();

		EXPECT(t, YIELD_UNTIL(threads_had_turn(since)));
	}
	expect_killed(t, task, 9);
	server_start(t, &s);
	thread_join(reader.thread);
	EXPECT_EQ(t, reader.err, 0);
	EXPECT_EQ(t, reader.have[1], 2);
	EXPECT_EQ(t, s.gets, 1);
	server_end(t, &s);
}

static void touch_page_1(void *arg)
{
	struct reader *r = arg;

	r->err = vm_fault(r->s->space, WINDOW + PAGE_SIZE, VM_READ);
}

/* A thread waits for a silent pager; the pages of the object can still be offlined. */
KTEST(a_silent_pager_stops_no_offline, KTEST_SLOW)
{
	struct reader reader;
	struct server s;
	pfn_t pfn, block;
	u8 byte = 0;

	if (!server_begin(t, &s, LONG_NS))
		return;
	hoard_pages(t);
	EXPECT_EQ(t, pager_supply(s.object, 0, store_page(0)), 0);
	EXPECT_EQ(t, copy_from_user(&byte, WINDOW, 1), 0);
	reader = (struct reader){.s = &s};
	reader.thread = thread_start("reader", -1, touch_page_1, &reader);
	REQUIRE(t, reader.thread);
	thread_sleep(20 * MS);
	pfn = frame_of(s.object, 0);
	block = ALIGN_DOWN(pfn, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, offline_pages(&kernel_memory, block, PAGEBLOCK_PAGES, NULL, NULL), 0);
	EXPECT(t, frame_of(s.object, 0) != pfn);
	EXPECT_EQ(t, online_pages(&kernel_memory, block, PAGEBLOCK_PAGES, NULL), 0);
	EXPECT_EQ(t, copy_from_user(&byte, WINDOW, 1), 0);
	EXPECT_EQ(t, byte, 1);
	/* All this time the pager has not answered. */
	s.idle = true;
	s.answer = ABI_PAGER_FAILED;
	server_start(t, &s);
	thread_join(reader.thread);
	EXPECT_EQ(t, reader.err, -EIO);
	EXPECT_EQ(t, s.gets, 1);
	release_pages(t);
	server_end(t, &s);
}
