/* SPDX-License-Identifier: MIT */
/*
 * test_silence_trust.c: the time that reclaim waits for a task's pagers, which depends on their
 * earlier silence and answers; the order of calls; bounds of a pager's object.
 */
#include "kernel/thread.h"
#include "tests/lib/mm_test.h"
#include "tests/fiber/silence_help.h"
#include <quarry/account.h>
#include <quarry/errno.h>
#include <quarry/ipc.h>
#include <quarry/pager.h>
#include <quarry/task.h>
#include <quarry/vm.h>

#define LIMIT  S /* a pager's time limit for an answer */
#define NR     130u
#define LEAST  (100 * MS) /* with less trust the pager is not asked */
#define MARGIN (60 * MS)
#define MAX_NS ((s64)(2 * S)) /* the most time for pagers; lost time comes back 4 times as slowly */
#define STOP   99u

static u64 content[PAGE_SIZE / sizeof(u64)], store[PAGE_SIZE / sizeof(u64)];

static struct vm_object *new_pager(struct ktest *t, struct endpoint *ep)
{
	struct vm_object *object = NULL;

	EXPECT_EQ(t, pager_create(ep, NR, 7, LIMIT, &object), 0);
	return object;
}

/* Hand over one page.  Returns the error; *@took: the time that it took. */
static int clean(struct vm_object *object, u64 *took)
{
	u64 began = arch_clock_ns();
	int err = object->ops->clean(object, 3, content, WAIT_FOREVER);

	*took = arch_clock_ns() - began;
	return err;
}

/*
 * Returns true if reclaim waits for the object's pager, which is silent. The wait must take LEAST
 * or more, and no longer than reclaim's trust in the pager allows.
 */
static bool waits(struct ktest *t, struct vm_object *object)
{
	u64 took;

	EXPECT_EQ(t, clean(object, &took), -ETIMEDOUT);
	EXPECT(t, took < 1 * MS || (took >= LEAST && took < LIMIT + 50 * MS));
	return took >= LEAST;
}

static void sleep_to(u64 when)
{
	u64 now = arch_clock_ns();

	if (when > now)
		thread_sleep(when - now);
}

KTEST_SUITE(silence_trust, 0);

/*
 * Time that a silence has cost comes back four times as slowly; from LEAST on the pager is asked
 * again.
 */
KTEST(each_silence_costs_twice_as_much_as_the_one_before)
{
	struct endpoint *ep = endpoint_create();
	struct vm_object *object = NEED(t, new_pager(t, ep));
	u64 began = arch_clock_ns(), took;
	unsigned missed;

	EXPECT_EQ(t, clean(object, &took), -ETIMEDOUT);
	EXPECT(t, took >= LIMIT && took < LIMIT + 50 * MS);
	for (missed = 0; missed < 7; missed++) {
		/* The cost doubles each time, up to sixteenfold. */
		u64 again = began + took + 4 * ((took << MIN(missed, 4u)) + LEAST) - took;

		sleep_to(again - MARGIN);
		EXPECT(t, !waits(t, object));
		sleep_to(again + MARGIN);
		began = arch_clock_ns();
		EXPECT_EQ(t, clean(object, &took), -ETIMEDOUT);
		EXPECT(t, took >= LEAST && took < LEAST + 100 * MS);
	}
	vm_object_put(object);
	endpoint_put(ep, RIGHT_RECEIVE);
}

static int get(struct vm_object *object, u32 index)
{
	port_task()->access_ns = 0; /* another access */
	return object->ops->get(object, index);
}

/* A requested page that does not come costs no trust: reclaim has not waited for it. */
KTEST(missing_page_costs_no_trust)
{
	struct endpoint *ep = endpoint_create();
	struct vm_object *object = NEED(t, new_pager(t, ep));
	u64 began = arch_clock_ns(), took;

	EXPECT_EQ(t, get(object, 0), -ETIMEDOUT);
	EXPECT_EQ(t, get(object, 1), -ETIMEDOUT);
	took = arch_clock_ns() - began;
	EXPECT(t, took >= 2 * LIMIT && took < 2 * LIMIT + 100 * MS);
	EXPECT_EQ(t, clean(object, &took), -ETIMEDOUT);
	EXPECT(t, took >= LIMIT);
	vm_object_put(object);
	endpoint_put(ep, RIGHT_RECEIVE);
}

/*
 * A run with less time than the trust allows ends its wait early, which does not count as silence.
 */
KTEST(a_run_at_its_end_waits_for_no_longer)
{
	struct endpoint *ep = endpoint_create();
	struct vm_object *object = NEED(t, new_pager(t, ep));
	u64 began = arch_clock_ns(), took;

	EXPECT_EQ(t, object->ops->clean(object, 3, content, 0), -ETIMEDOUT);
	EXPECT(t, arch_clock_ns() - began < 1 * MS);
	EXPECT_EQ(t, object->ops->clean(object, 3, content, 200 * MS), -ETIMEDOUT);
	took = arch_clock_ns() - began;
	EXPECT(t, took >= 200 * MS && took < 250 * MS);
	EXPECT_EQ(t, clean(object, &took), -ETIMEDOUT);
	EXPECT(t, took >= LIMIT);
	vm_object_put(object);
	endpoint_put(ep, RIGHT_RECEIVE);
}

/* ---- a pager that answers ---- */

static struct {
	struct endpoint *ep;
	struct vm_object *object;
	u64 late;              /* the delay of its answers */
	u64 answer;            /* if not ABI_PAGER_DONE, the pager does nothing but answer */
	bool drops;            /* the pager drops the page it supplied, before it answers */
	bool idle;             /* answers without supplying or taking back, whatever @answer is */
	struct endpoint *gift; /* sent with each answer, unless NULL */
	unsigned calls;
	struct ktest *t;
} server;

static void serve(void *arg)
{
	struct ipc_call *call;
	struct ipc_msg msg;
	bool stop;

	do {
		if (ipc_receive(server.ep, &msg, &call, WAIT_FOREVER))
			return;
		stop = msg.word[0] == STOP;
		if (!stop) {
			server.calls++;
			if (server.late)
				thread_sleep(server.late);
			if (server.answer != ABI_PAGER_DONE || server.idle)
				;
			else if (msg.word[0] == ABI_PAGER_CLEAN)
				(void)!pager_take_back(
				    server.object, msg.word[1], (uintptr_t)store);
			else
				(void)!pager_supply(server.object, msg.word[1], (uintptr_t)content);
			if (server.drops)
				EXPECT_EQ(server.t, pager_drop(server.object, msg.word[1], 1), 0);
		}
		msg = (struct ipc_msg){.word = {server.answer}};
		if (server.gift) {
			msg.give = (struct cap){
			    .kind = CAP_ENDPOINT, .rights = RIGHT_SEND, .object = server.gift};
			cap_get(&msg.give);
		}
		(void)!ipc_reply(call, &msg);
	} while (!stop);
}

static void server_begin(struct ktest *t)
{
	server.ep = endpoint_create();
	server.object = new_pager(t, server.ep);
	server.late = server.calls = 0;
	server.answer = ABI_PAGER_DONE;
	server.idle = server.drops = false;
	server.t = t;
	server.gift = NULL;
	ktest_start(2, serve, NULL);
}

static void server_end(struct ktest *t)
{
	EXPECT_EQ(t, ipc_call(server.ep, &(struct ipc_msg){.word = {STOP}}, WAIT_FOREVER), 0);
	ktest_join(2);
	vm_object_put(server.object);
	endpoint_put(server.ep, RIGHT_RECEIVE);
}

/* The test computes the remaining time too; if that is nearly LEAST, either result is right. */
KTEST(late_answers_are_charged_their_time)
{
	static const u64 late[] = {0, 0, 300 * MS, 300 * MS, 50 * MS, 300 * MS, 0, 90 * MS};
	unsigned i, served = 0, refused = 0;
	s64 left = MAX_NS;
	u64 at;

	server_begin(t);
	at = arch_clock_ns();
	for (i = 0; i < 12 * ARRAY_SIZE(late); i++) {
		u64 took, now = arch_clock_ns();
		int err;

		left = MIN(left + (s64)((now - at) / 4), MAX_NS);
		at = now;
		server.late = late[i % ARRAY_SIZE(late)];
		/* Avoid silence, which costs more. */
		if (left > (s64)LEAST && left < (s64)(server.late + 50 * MS))
			server.late = 50 * MS;
		err = clean(server.object, &took);
		if (left > (s64)(LEAST + 30 * MS))
			EXPECT_EQ(t, err, 0);
		else if (left < (s64)(LEAST - 30 * MS))
			EXPECT_EQ(t, err, -ETIMEDOUT);
		if (err) {
			refused++;
			EXPECT(t, took < 1 * MS);
		} else {
			served++;
			EXPECT(t, took >= server.late && took < server.late + 50 * MS);
			left -= took > 10 * MS ? (s64)(took - 10 * MS) : 0;
		}
		thread_sleep(20 * MS);
	}
	EXPECT(t, served > 6 && refused > 6);
	EXPECT_EQ(t, server.calls, served);
	server_end(t);
}

KTEST(answer_ends_the_doubling_of_the_charge)
{
	u64 took, began;
	unsigned i;

	server_begin(t);
	server.late = 3 * LIMIT;
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(t, clean(server.object, &took), -ETIMEDOUT);
		sleep_to(arch_clock_ns() + 20 * LIMIT);
	}
	server.late = 0;
	for (i = 0; i < 100; i++)
		EXPECT_EQ(t, clean(server.object, &took), 0);
	server.late = 3 * LIMIT;
	began = arch_clock_ns();
	EXPECT_EQ(t, clean(server.object, &took), -ETIMEDOUT);
	sleep_to(began + 4 * (took + LEAST) - MARGIN);
	EXPECT(t, !waits(t, server.object));
	sleep_to(began + 4 * (took + LEAST) + MARGIN);
	EXPECT(t, waits(t, server.object));
	server.late = 0;
	server_end(t);
}

/* Each answer after which the page is still dirty is charged its time, though it is short. */
static void expect_a_charge_for(struct ktest *t, u64 answer)
{
	unsigned i, asked;
	u64 took;

	server_begin(t);
	server.answer = answer;
	server.idle = true;
	server.late = 8 * MS;
	for (i = 0; i < 1000 && server.calls == i; i++)
		EXPECT(t, clean(server.object, &took) < 0);
	asked = server.calls;
	EXPECT(t, asked >= 200 && asked < 350);
	server.answer = ABI_PAGER_DONE;
	server_end(t);
}

KTEST(refusals_are_charged)
{
	expect_a_charge_for(t, ABI_PAGER_FAILED);
	expect_a_charge_for(t, ABI_PAGER_DONE); /* but it has not taken the content */
}

/* ---- a pager without memory ---- */

KTEST(pager_without_memory_is_asked_until_its_time_limit)
{
	struct pile pile = {NULL, 0};
	struct page *page;
	unsigned long free;
	u64 began;

	server_begin(t);
	server.answer = ABI_PAGER_NO_MEMORY;
	server.late = 100 * MS;
	drain_all_pages(&kernel_memory, NULL);
	free = memory_free_pages(&kernel_memory);
	began = arch_clock_ns();
	EXPECT_EQ(t, get(server.object, 1), -ETIMEDOUT);
	EXPECT_TOOK(t, arch_clock_ns() - began, LIMIT);
	EXPECT(t, server.calls >= LIMIT / server.late && server.calls <= LIMIT / server.late + 2);
	drain_all_pages(&kernel_memory, NULL);
	EXPECT_EQ(t, memory_free_pages(&kernel_memory), free);
	/* Now nothing can be reclaimed for the pager. */
	pile_alloc(&kernel_memory, &pile, GFP_MOVABLE | GFP_NOWAIT, 0, ALL_THERE_IS);
	while ((page = mem_alloc_pages(&kernel_memory, GFP_MOVABLE, 0)))
		pile_push(&pile, page);
	server.calls = 0;
	EXPECT_EQ(t, get(server.object, 1), -ENOMEM);
	EXPECT_EQ(t, server.calls, 1);
	EXPECT_EQ(t, pile_free(&kernel_memory, &pile), 0);
	server.answer = ABI_PAGER_DONE;
	EXPECT_EQ(t, get(server.object, 1), 0);
	server_end(t);
}

/* The pager supplies the page each time, and drops it before the access sees it. */
KTEST(one_access_ends_in_time)
{
	u64 began = arch_clock_ns();
	unsigned tries = 0;
	int err;

	server_begin(t);
	server.drops = true;
	server.late = 100 * MS;
	port_task()->access_ns = 0;
	while (!(err = server.object->ops->get(server.object, 5)) && ++tries < 100)
		;
	EXPECT_EQ(t, err, -ETIMEDOUT);
	EXPECT_TOOK(t, arch_clock_ns() - began, LIMIT);
	EXPECT(t, tries >= 8 && tries <= 10);
	/* The next access has its own time. */
	server.drops = false;
	EXPECT_EQ(t, get(server.object, 5), 0);
	server_end(t);
}

/* ---- tasks of pagers ---- */

static struct vm_object *pager_of_task(struct ktest *t, struct task *task, struct endpoint *ep)
{
	struct vm_object *object;

	thread_current()->task = task;
	object = new_pager(t, ep);
	ipc_forget(thread_current());
	thread_current()->task = NULL;
	return object;
}

static void unlimited(struct account *own, struct account *parent)
{
	unsigned i;

	*own = (struct account){.parent = parent, .refs = 1};
	for (i = 0; i < NR_ACCOUNT_KINDS; i++)
		own->limit[i] = ~0ULL;
}

/* The first two objects are of two tasks of one family; the last object is the kernel's. */
KTEST(pagers_of_one_family_share_their_trust)
{
	static struct account first, head[2], child;
	static struct task tasks[3];
	struct account *const account[] = {&head[0], &child, &head[1]};
	struct endpoint *ep = endpoint_create();
	struct vm_object *object[4];
	unsigned i;
	u64 took;

	unlimited(&first, &account_all);
	unlimited(&head[0], &first);
	unlimited(&head[1], &first);
	unlimited(&child, &head[0]);
	for (i = 0; i < 3; i++)
		tasks[i] =
		    (struct task){.id = 5 + i, .refs = 1, .lock = SPINLOCK("task", RANK_TASK)};
	for (i = 0; i < 4; i++) {
		struct account *before = account_use(i < 3 ? account[i] : account_current());

		object[i] = i < 3 ? pager_of_task(t, &tasks[i], ep) : new_pager(t, ep);
		account_use(before);
		REQUIRE(t, object[i]);
	}
	EXPECT_EQ(t, first.used[ACCOUNT_BUFFERS], 3);
	EXPECT(t, account_pages(&first) >= 6);
	EXPECT(t, waits(t, object[0]));
	EXPECT(t, !waits(t, object[1]));
	EXPECT(t, waits(t, object[2]));
	EXPECT(t, waits(t, object[3]));
	/* A thread that would wait for itself gets an error; another task's thread does not. */
	thread_sleep(50 * S);
	for (i = 0; i < 4; i++) {
		thread_current()->task = &tasks[0];
		EXPECT_EQ(t, clean(object[i], &took), i == 0 ? -EIO : -ETIMEDOUT);
		EXPECT_EQ(t, took >= LEAST, i > 0);
		ipc_forget(thread_current());
		thread_current()->task = NULL;
	}
	for (i = 0; i < 4; i++)
		vm_object_put(object[i]);
	for (i = 0; i < NR_ACCOUNT_KINDS; i++)
		EXPECT_EQ(t, first.used[i], 0);
	endpoint_put(ep, RIGHT_RECEIVE);
}

/* ---- the order of calls ---- */

/* Request a page; a page that is handed over must come before waiting requests. */
static void want_a_page(void *arg)
{
	(void)!get(server.object, (u32)(uintptr_t)arg);
}

KTEST(a_page_that_is_handed_over_goes_first)
{
	u64 took;

	server_begin(t);
	server.late = 100 * MS;
	ktest_start(1, want_a_page, (void *)1);
	ktest_start(3, want_a_page, (void *)2);
	thread_sleep(10 * MS);
	/* The pager is busy with one request, and another request waits. */
	EXPECT_EQ(t, clean(server.object, &took), 0);
	EXPECT(t, took >= 150 * MS && took < 250 * MS);
	ktest_join(1);
	ktest_join(3);
	server_end(t);
}

/* No thread has asked for these capabilities, or could use them. */
KTEST(capabilities_in_answers_are_dropped)
{
	u64 endpoints = account_all.used[ACCOUNT_ENDPOINTS], took;
	struct endpoint *gift = NEED(t, endpoint_create());

	server_begin(t);
	server.gift = gift;
	EXPECT_EQ(t, get(server.object, 0), 0);
	EXPECT_EQ(t, clean(server.object, &took), 0);
	server.answer = ABI_PAGER_FAILED;
	EXPECT_EQ(t, get(server.object, 1), -EIO);
	server.gift = NULL;
	server_end(t);
	endpoint_put(gift, RIGHT_RECEIVE);
	EXPECT_EQ(t, account_all.used[ACCOUNT_ENDPOINTS], endpoints);
}

KTEST(objects_and_limits_of_time_have_bounds)
{
	static const struct {
		unsigned long nr;
		u64 timeout;
		int err;
	} tries[] = {{1, 1, 0}, {0, 1, -EINVAL}, {OBJ_MAX_PAGES, 1, 0},
	    {OBJ_MAX_PAGES + 1, 1, -EINVAL}, {1, 0, -EINVAL}, {1, ABI_MAX_PAGER_NS, 0},
	    {1, ABI_MAX_PAGER_NS + 1, -EINVAL}};
	struct endpoint *ep = endpoint_create();
	struct vm_object *object;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(tries); i++) {
		EXPECT_EQ(
		    t, pager_create(ep, tries[i].nr, 7, tries[i].timeout, &object), tries[i].err);
		if (tries[i].err)
			continue;
		EXPECT_EQ(t, object->nr_pages, tries[i].nr);
		/* The first and the last page may be dropped, and none beyond. */
		EXPECT_EQ(t, pager_drop(object, tries[i].nr - 1, 1), 0);
		EXPECT_EQ(t, pager_drop(object, 0, tries[i].nr), 0);
		EXPECT_EQ(t, pager_drop(object, tries[i].nr, 1), -EINVAL);
		EXPECT_EQ(t, pager_drop(object, 0, tries[i].nr + 1), -EINVAL);
		vm_object_put(object);
	}
	endpoint_put(ep, RIGHT_RECEIVE);
}
