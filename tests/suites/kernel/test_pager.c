/* SPDX-License-Identifier: MIT */
/*
 * test_pager.c: pages that a pager brings and takes back; here the pager is a thread of the kernel.
 */
#include "tests/lib/move_help.h"
#include "tests/lib/task_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/account.h>
#include <quarry/pager.h>
#include <quarry/string.h>

#define NR       8
#define WINDOW   0x10000000UL /* the object's pages, seen */
#define STORE    0x20000000UL /* the pager's, in the same space */
#define MS       1000000ULL
#define LONG_NS  (10000 * MS) /* no more than ABI_MAX_PAGER_NS */
#define SHORT_NS (50 * MS)
/* Enough to be answered on a busy host, and to be asked again several times. */
#define ANSWER_NS (300 * MS)
#define STOP      99 /* as word 0 of a call */
#define NUMBER    0x1234567812345678ULL
#define READERS   6

struct server {
	struct vm_space *space;
	struct vm_object *object, *store;
	struct endpoint *ep;
	struct thread *thread;
	bool idle; /* answers without having done anything */
	u64 answer;
	u32 gets, cleans; /* written by the pager */
	u32 wrong;        /* calls that were not as they should be */
	int err;          /* of the last supply or taking back */
};

static u64 store_page(u64 index)
{
	return STORE + index * PAGE_SIZE;
}

static void answer(struct server *s, struct ipc_msg *msg)
{
	u64 what = msg->word[0], index = msg->word[1];

	s->wrong += index >= NR || msg->word[2] != NUMBER || msg->give.kind != CAP_NONE;
	if (what == ABI_PAGER_GET) {
		WRITE_ONCE(s->gets, s->gets + 1);
		s->err = s->idle ? 0 : pager_supply(s->object, index, store_page(index));
	} else {
		WRITE_ONCE(s->cleans, s->cleans + 1);
		s->err = s->idle ? 0 : pager_take_back(s->object, index, store_page(index));
	}
	*msg = (struct ipc_msg){.word = {s->answer}};
}

static void serve(void *arg)
{
	struct server *s = arg;
	struct ipc_call *call;
	struct ipc_msg msg;
	bool stop;
	int err;

	space_use(s->space);
	do {
		err = ipc_receive(s->ep, &msg, &call, WAIT_FOREVER);
		KASSERT(!err);
		stop = msg.word[0] == STOP;
		if (!stop)
			answer(s, &msg);
		ipc_reply(call, &msg);
	} while (!stop);
	space_use(NULL);
}

/* Page i of the store holds i + 1 in its first byte. */
static bool begin(struct ktest *t, struct server *s, u64 timeout)
{
	u8 byte;
	u64 i;

	*s = (struct server){.ep = endpoint_create()};
	if (!s->ep || vm_space_create(&kernel_memory, &s->space) ||
	    vm_object_create(&kernel_memory, OBJ_ANON, NR, NULL, NULL, &s->store) ||
	    pager_create(s->ep, NR, NUMBER, timeout, &s->object) ||
	    vm_map(s->space, STORE, NR, VM_READ | VM_WRITE, s->store, 0) ||
	    vm_map(s->space, WINDOW, NR, VM_READ | VM_WRITE, s->object, 0)) {
		EXPECT(t, !"a pager");
		return false;
	}
	space_use(s->space);
	for (i = 0; i < NR; i++) {
		byte = (u8)(i + 1);
		EXPECT_EQ(t, copy_to_user(store_page(i), &byte, 1), 0);
	}
	return true;
}

static void start_server(struct ktest *t, struct server *s)
{
	s->thread = thread_start("pager", -1, serve, s);
	REQUIRE(t, s->thread);
}

static void end(struct ktest *t, struct server *s)
{
	struct ipc_msg msg = {.word = {STOP}};

	space_use(NULL);
	if (s->thread) {
		EXPECT_EQ(t, ipc_call(s->ep, &msg, LONG_NS), 0);
		thread_join(s->thread);
	}
	EXPECT_EQ(t, s->wrong, 0);
	vm_space_put(s->space);
	EXPECT_EQ(t, READ_ONCE(s->object->refs), 1);
	vm_object_put(s->object);
	vm_object_put(s->store);
	endpoint_put(s->ep, RIGHT_RECEIVE);
}

static int clean(const struct server *s, u32 index, const void *data)
{
	return s->object->ops->clean(s->object, index, data);
}

/* Any page will do. */
static const void *some_page(const struct server *s)
{
	return page_address_in(&kernel_memory, s->object->top);
}

struct reader {
	struct server *s;
	struct thread *thread;
	u8 have[NR];
	int err;
};

static void read_all(void *arg)
{
	struct reader *r = arg;
	u64 i;

	space_use(r->s->space);
	for (i = 0; i < NR && !r->err; i++)
		r->err = copy_from_user(&r->have[i], WINDOW + i * PAGE_SIZE, 1);
	space_use(NULL);
}

static void one_page_is_requested_once(struct ktest *t)
{
	struct reader readers[READERS];
	struct server s;
	unsigned i, j;

	if (!begin(t, &s, LONG_NS))
		return;
	/* All of them wait for the first page before it is brought. */
	for (i = 0; i < READERS; i++) {
		readers[i] = (struct reader){.s = &s};
		readers[i].thread = thread_start("reader", -1, read_all, &readers[i]);
		REQUIRE(t, readers[i].thread);
	}
	thread_sleep(20 * MS);
	start_server(t, &s);
	for (i = 0; i < READERS; i++) {
		thread_join(readers[i].thread);
		EXPECT_EQ(t, readers[i].err, 0);
		for (j = 0; j < NR; j++)
			EXPECT_EQ(t, readers[i].have[j], j + 1);
	}
	EXPECT_EQ(t, s.gets, NR);
	EXPECT_EQ(t, vm_object_present(s.object), NR);
	end(t, &s);
}

static void fault_ends_despite_any_pager_answer(struct ktest *t)
{
	struct server s;
	u64 began;
	u8 byte;

	if (!begin(t, &s, SHORT_NS))
		return;
	/* There is no receiver. */
	began = arch_clock_ns();
	EXPECT_EQ(t, vm_fault(s.space, WINDOW, VM_READ), -ETIMEDOUT);
	EXPECT(t, arch_clock_ns() - began >= SHORT_NS);
	EXPECT_EQ(t, copy_from_user(&byte, WINDOW, 1), -EFAULT);
	end(t, &s);
	/* Answers: an error; success without the page; and a meaningless one. */
	if (!begin(t, &s, ANSWER_NS))
		return;
	start_server(t, &s);
	s.idle = true;
	s.answer = ABI_PAGER_FAILED;
	EXPECT_EQ(t, vm_fault(s.space, WINDOW, VM_READ), -EIO);
	s.answer = ABI_PAGER_DONE;
	EXPECT_EQ(t, vm_fault(s.space, WINDOW, VM_READ), -EIO);
	s.answer = 12345;
	EXPECT_EQ(t, vm_fault(s.space, WINDOW, VM_READ), -EIO);
	/* No memory, it answers, and again: there is some, so it is called until its time is up. */
	s.answer = ABI_PAGER_NO_MEMORY;
	EXPECT_EQ(t, vm_fault(s.space, WINDOW, VM_READ), -ETIMEDOUT);
	EXPECT(t, s.gets > 4);
	s.idle = false;
	s.answer = ABI_PAGER_DONE;
	EXPECT_EQ(t, vm_fault(s.space, WINDOW, VM_READ), 0);
	EXPECT_EQ(t, copy_from_user(&byte, WINDOW, 1), 0);
	EXPECT_EQ(t, byte, 1);
	end(t, &s);
}

static void fault_without_a_receiver_fails(struct ktest *t)
{
	struct server s;

	if (!begin(t, &s, LONG_NS))
		return;
	endpoint_get(s.ep, 0);
	endpoint_put(s.ep, RIGHT_RECEIVE);
	EXPECT_EQ(t, vm_fault(s.space, WINDOW, VM_READ), -EIO);
	EXPECT_EQ(t, clean(&s, 0, some_page(&s)), -EIO);
	endpoint_get(s.ep, RIGHT_RECEIVE);
	endpoint_put(s.ep, 0);
	end(t, &s);
}

static void dirty_pages_are_handed_over(struct ktest *t)
{
	char *data = kmalloc(PAGE_SIZE), *have = kmalloc(PAGE_SIZE);
	struct server s;

	REQUIRE(t, data && have);
	memset(data, 0x5a, PAGE_SIZE);
	if (!begin(t, &s, LONG_NS))
		return;
	start_server(t, &s);
	EXPECT_EQ(t, clean(&s, 3, data), 0);
	EXPECT_EQ(t, s.cleans, 1);
	EXPECT_EQ(t, s.err, 0);
	EXPECT_EQ(t, copy_from_user(have, store_page(3), PAGE_SIZE), 0);
	EXPECT_EQ(t, memcmp(have, data, PAGE_SIZE), 0);
	/* It gets back the content that it was handed. */
	EXPECT_EQ(t, copy_from_user(have, WINDOW + 3 * PAGE_SIZE, PAGE_SIZE), 0);
	EXPECT_EQ(t, memcmp(have, data, PAGE_SIZE), 0);
	/* It has not taken the page, whatever it answers; or it answers that it has not. */
	s.idle = true;
	EXPECT_EQ(t, clean(&s, 3, data), -EIO);
	s.answer = ABI_PAGER_FAILED;
	EXPECT_EQ(t, clean(&s, 3, data), -EIO);
	/* Nothing is handed over just now. */
	EXPECT_EQ(t, pager_take_back(s.object, 3, store_page(3)), -ENOENT);
	end(t, &s);
	kfree(data);
	kfree(have);
}

/* One page is handed to a pager that does not answer: is the whole time limit spent on it? */
static bool waits_unanswered(struct ktest *t, struct server *s)
{
	u64 began = arch_clock_ns();

	EXPECT_EQ(t, clean(s, 0, some_page(s)), -ETIMEDOUT);
	return arch_clock_ns() - began >= 4 * SHORT_NS;
}

static void silent_pager_is_waited_for_once(struct ktest *t)
{
	unsigned i, waited = 0;
	struct server s;

	if (!begin(t, &s, 4 * SHORT_NS))
		return;
	EXPECT_EQ(t, clean(&s, 0, some_page(&s)), -ETIMEDOUT);
	for (i = 0; i < 20; i++)
		waited += waits_unanswered(t, &s);
	/* Room for a machine that stands still for as long. */
	EXPECT(t, waited <= 6);
	/*
	 * Until it has been given another chance, and has answered; but for a machine that stands
	 * still just then.
	 */
	start_server(t, &s);
	for (waited = 0; waited < 5; waited++) {
		for (i = 0; i < 200 && clean(&s, 0, some_page(&s)); i++)
			thread_sleep(SHORT_NS);
		EXPECT(t, i < 200);
		if (!clean(&s, 0, some_page(&s)))
			break;
	}
	EXPECT(t, waited < 5);
	end(t, &s);
}

/* Another of its threads works on: it shows nothing about the one that does not answer. */
static void pager_regains_trust_by_an_answer(struct ktest *t)
{
	unsigned i, waited = 0;
	struct server s;

	if (!begin(t, &s, 4 * SHORT_NS))
		return;
	EXPECT_EQ(t, clean(&s, 0, some_page(&s)), -ETIMEDOUT);
	for (i = 0; i < 12; i++) {
		EXPECT_EQ(t, pager_supply(s.object, i % NR, store_page(0)), 0);
		EXPECT_EQ(t, pager_take_back(s.object, i % NR, store_page(0)), -ENOENT);
		EXPECT_EQ(t, pager_drop(s.object, i % NR, 1), 0);
		waited += waits_unanswered(t, &s);
	}
	/* Room for a machine that stands still for as long. */
	EXPECT(t, waited <= 4);
	end(t, &s);
}

/* ---- a thread that supplies a page is to end ---- */

#define FICKLE 0x600000UL
#define ARGS   0x700000UL

static u32 nr_brought, refuses;

/* A pager of the kernel's that brings each page, and takes it away again. */
static int bring_and_drop(struct vm_object *object, u32 index)
{
	int err = READ_ONCE(refuses) ? -EIO : vm_object_supply(object, index, NULL);

	atomic_add(&nr_brought, 1u);
	return err ? err : vm_object_remove(object, index, 1);
}

static const struct vm_pager_ops fickle_ops = {.get = bring_and_drop};

static void endless_supply_can_be_killed(struct ktest *t)
{
	struct cap cap = {.kind = CAP_OBJECT, .rights = RIGHT_SUPPLY};
	u64 args[5] = {SYS_PAGER_SUPPLY, 0, 0, FICKLE};
	struct vm_object *fickle, *page;
	struct task *task = new_task(t);
	enum task_end how;
	struct server s;
	unsigned i;
	s32 status;

	REQUIRE(t, task);
	if (!begin(t, &s, LONG_NS))
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
	/* Should it be there still. */
	WRITE_ONCE(refuses, 1);
	expect_end(t, task, TASK_KILLED, 9);
	vm_object_put(fickle);
	vm_object_put(page);
	end(t, &s);
}

static void read_page_1(void *arg)
{
	struct reader *r = arg;

	space_use(r->s->space);
	r->err = copy_from_user(&r->have[1], WINDOW + PAGE_SIZE, 1);
	space_use(NULL);
}

/* The thread that waits for the answer is killed; the other waiter is another task's. */
static void killed_requester_leaves_other_waiters_alone(struct ktest *t)
{
	struct task *task = new_task(t);
	struct reader reader;
	struct server s;
	u64 messages;
	unsigned i;
	u32 refs;

	REQUIRE(t, task);
	if (!begin(t, &s, LONG_NS))
		return;
	EXPECT_EQ(t, vm_map(task->space, FICKLE, 1, VM_READ, s.object, 1), 0);
	messages = READ_ONCE(account_all.used[ACCOUNT_MESSAGES]);
	REQUIRE(t, add_thread(task, -1, code_at(user_load), FICKLE) == 0);
	/* The call is made when the request can be found. */
	for (i = 0; i < 10000 && READ_ONCE(account_all.used[ACCOUNT_MESSAGES]) == messages; i++)
		thread_sleep(MS);
	EXPECT(t, i < 10000);
	/* A fault has a reference to the object, and after a turn or two it waits for the pager. */
	refs = READ_ONCE(s.object->refs);
	reader = (struct reader){.s = &s};
	reader.thread = thread_start("reader", -1, read_page_1, &reader);
	REQUIRE(t, reader.thread);
	for (i = 0; i < 10000 && READ_ONCE(s.object->refs) == refs; i++)
		thread_sleep(MS);
	EXPECT(t, i < 10000);
	for (i = 0; i < 3; i++) {
		u64 since = arch_clock_ns();

		EXPECT(t, YIELD_UNTIL(threads_had_turn(since)));
	}
	task_end(task, TASK_KILLED, 9);
	expect_end(t, task, TASK_KILLED, 9);
	start_server(t, &s);
	thread_join(reader.thread);
	EXPECT_EQ(t, reader.err, 0);
	EXPECT_EQ(t, reader.have[1], 2);
	EXPECT_EQ(t, s.gets, 1);
	end(t, &s);
}

static void touch_page_1(void *arg)
{
	struct reader *r = arg;

	r->err = vm_fault(r->s->space, WINDOW + PAGE_SIZE, VM_READ);
}

/* A thread waits for a silent pager; the pages of the object can still be offlined. */
static void a_silent_pager_stops_no_offline(struct ktest *t)
{
	struct reader reader;
	struct server s;
	pfn_t pfn, block;
	u8 byte = 0;

	if (!begin(t, &s, LONG_NS))
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
	start_server(t, &s);
	thread_join(reader.thread);
	EXPECT_EQ(t, reader.err, -EIO);
	EXPECT_EQ(t, s.gets, 1);
	release_pages(t);
	end(t, &s);
}

static void wrong_pager_calls_are_refused(struct ktest *t)
{
	struct vm_object *plain;
	struct server s;

	if (!begin(t, &s, LONG_NS))
		return;
	EXPECT_EQ(t, pager_create(s.ep, NR, 0, 0, &plain), -EINVAL);
	EXPECT_EQ(t, pager_create(s.ep, NR, 0, ABI_MAX_PAGER_NS + 1, &plain), -EINVAL);
	EXPECT_EQ(t, pager_create(s.ep, 0, 0, LONG_NS, &plain), -EINVAL);
	EXPECT_EQ(t, pager_supply(s.object, NR, store_page(0)), -EINVAL);
	EXPECT_EQ(t, pager_supply(s.object, 1UL << 32, store_page(0)), -EINVAL);
	EXPECT_EQ(t, pager_supply(s.object, 0, STORE + NR * PAGE_SIZE), -EFAULT);
	EXPECT_EQ(t, pager_supply(s.object, 0, ARCH_DIRECT_MAP), -EFAULT);
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	EXPECT_EQ(t, pager_supply(s.object, 0, store_page(0)), 0);
	EXPECT_EQ(t, pager_supply(s.object, 0, store_page(0)), -EEXIST);
	EXPECT_EQ(t, pager_take_back(s.object, NR, store_page(0)), -EINVAL);
	EXPECT_EQ(t, pager_take_back(s.object, 0, store_page(0)), -ENOENT);
	EXPECT_EQ(t, pager_drop(s.object, 0, NR + 1), -EINVAL);
	EXPECT_EQ(t, pager_drop(s.object, 1, NR), -EINVAL);
	EXPECT_EQ(t, pager_drop(s.object, 0, 1UL << 32), -EINVAL);
	EXPECT_EQ(t, pager_drop(s.object, 0, 1), 0);
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	/* Objects without a pager have none of this. */
	EXPECT_EQ(t, pager_supply(s.store, 0, store_page(0)), -EINVAL);
	EXPECT_EQ(t, pager_take_back(s.store, 0, store_page(0)), -EINVAL);
	EXPECT_EQ(t, pager_drop(s.store, 0, 1), -EINVAL);
	end(t, &s);
}

KTEST_SUITE(pager, KTEST_QUICK, KTEST_COST(one_page_is_requested_once),
    KTEST(fault_ends_despite_any_pager_answer), KTEST(fault_without_a_receiver_fails),
    KTEST(dirty_pages_are_handed_over), KTEST_COST(silent_pager_is_waited_for_once),
    KTEST(pager_regains_trust_by_an_answer), KTEST(endless_supply_can_be_killed),
    KTEST(killed_requester_leaves_other_waiters_alone), KTEST(a_silent_pager_stops_no_offline),
    KTEST(wrong_pager_calls_are_refused));
