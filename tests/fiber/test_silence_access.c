/* SPDX-License-Identifier: MIT */
/*
 * test_silence_access.c: accesses to pages of a pager that answers.  Others are late: the thread
 * that has requested the same page, or the pager of another object.
 */
#include "mm/reclaim.h"
#include "tests/lib/mm_test.h"
#include "tests/fiber/silence_help.h"
#include "tests/lib/vm_help.h"
#include <quarry/pager.h>

#define NR     2u
#define WINDOW 0x10000000UL
#define LIMIT  (S / 2) /* the pager's time limit */

/* A pager, which this test's thread is, and its object. */
struct paged {
	struct endpoint *ep;
	struct vm_object *object;
	uintptr_t va; /* where the object is mapped */
};

static struct vm_space *space;
static u64 content[PAGE_SIZE / sizeof(u64)];

static bool paged_begin(struct ktest *t, struct paged *p, uintptr_t va, u64 limit)
{
	int err;

	*p = (struct paged){.ep = endpoint_create(), .va = va};
	err = p->ep ? pager_create(p->ep, NR, 0, limit, &p->object) : -ENOMEM;
	err = err ? err : vm_map(space, va, NR, VM_READ | VM_WRITE, p->object, 0);
	EXPECT_EQ(t, err, 0);
	return !err;
}

static void paged_end(struct ktest *t, struct paged *p)
{
	EXPECT_EQ(t, READ_ONCE(p->object->refs), 1);
	vm_object_put(p->object);
	endpoint_put(p->ep, RIGHT_RECEIVE);
}

/* The next request to the pager is @what, for page 0. */
static struct ipc_call *receive(struct ktest *t, struct paged *p, u64 what, u64 limit)
{
	struct ipc_call *call = NULL;
	struct ipc_msg msg;
	int err = ipc_receive(p->ep, &msg, &call, limit);

	EXPECT_EQ(t, err, 0);
	if (!err)
		EXPECT(t, msg.word[0] == what && msg.word[1] == 0);
	return call;
}

static void answer(struct ktest *t, struct ipc_call *call, u64 word)
{
	struct ipc_msg msg = {.word = {word}};

	if (call)
		EXPECT_EQ(t, ipc_reply(call, &msg), 0);
}

static void supply(struct ktest *t, struct paged *p)
{
	EXPECT_EQ(t, pager_supply(p->object, 0, (uintptr_t)content), 0);
}

static void make_dirty(struct ktest *t, struct paged *p)
{
	supply(t, p);
	soft_load_space(space);
	EXPECT_EQ(t, soft_write(p->va, 1), 0);
	soft_unload_space();
}

struct access {
	struct paged *p;
	struct thread *thread;
	u64 took;
	int err;
	u32 ended; /* atomic */
};

static void touch_page_0(void *arg)
{
	struct access *a = arg;
	u64 began = arch_clock_ns();

	a->err = vm_fault(space, a->p->va, VM_READ);
	a->took = arch_clock_ns() - began;
	store_release(&a->ended, 1u);
}

/* One try of an access. */
static void request_page_0(void *arg)
{
	struct access *a = arg;
	u64 began = arch_clock_ns();

	a->err = a->p->object->ops->get(a->p->object, 0);
	a->took = arch_clock_ns() - began;
	store_release(&a->ended, 1u);
}

static bool access_begin(
    struct ktest *t, struct access *a, struct paged *p, int cpu, void (*fn)(void *))
{
	*a = (struct access){.p = p, .err = 1};
	a->thread = thread_start("access", cpu, fn, a);
	EXPECT(t, a->thread);
	return a->thread;
}

static void access_end(struct ktest *t, struct access *a, int err, u64 took)
{
	thread_join(a->thread);
	EXPECT_EQ(t, a->err, err);
	EXPECT_TOOK(t, a->took, took);
}

/* ---- two accesses to one page ---- */

/* Page 0 was requested by @asker, which waits on CPU 2; @other waits too.  Returns the request. */
static struct ipc_call *two_wait(
    struct ktest *t, struct paged *p, struct access *asker, struct access *other)
{
	struct ipc_call *call;

	if (!access_begin(t, asker, p, 2, touch_page_0))
		return NULL;
	call = receive(t, p, ABI_PAGER_GET, S);
	if (!access_begin(t, other, p, 1, touch_page_0))
		return NULL;
	thread_sleep(100 * MS);
	EXPECT_EQ(t, asker->ended + other->ended, 0);
	return call;
}

static void an_answer_ends_each_wait_for_it(struct ktest *t)
{
	struct access asker, other;
	struct paged p;

	REQUIRE(t, !vm_space_create(&kernel_memory, &space));
	REQUIRE(t, paged_begin(t, &p, WINDOW, 5 * S));
	answer(t, NEED(t, two_wait(t, &p, &asker, &other)), ABI_PAGER_FAILED);
	access_end(t, &asker, -EIO, 100 * MS);
	access_end(t, &other, -EIO, 100 * MS);
	vm_space_put(space);
	paged_end(t, &p);
}

/* The thread that has requested the page does not run. */
static void supplied_page_reaches_all_that_wait_for_it(struct ktest *t)
{
	struct access asker, other, later;
	struct ipc_call *call;
	struct deaf deaf;
	struct paged p;

	REQUIRE(t, !vm_space_create(&kernel_memory, &space));
	REQUIRE(t, paged_begin(t, &p, WINDOW, 5 * S));
	call = NEED(t, two_wait(t, &p, &asker, &other));
	deaf_begin(&deaf, 2, WAIT_FOREVER);
	supply(t, &p);
	answer(t, call, ABI_PAGER_DONE);
	access_end(t, &other, 0, 100 * MS);
	/* If the page is dropped, the pager is asked for it again. */
	EXPECT_EQ(t, pager_drop(p.object, 0, 1), 0);
	REQUIRE(t, access_begin(t, &later, &p, 1, request_page_0));
	call = receive(t, &p, ABI_PAGER_GET, S);
	supply(t, &p);
	answer(t, call, ABI_PAGER_DONE);
	access_end(t, &later, 0, 0);
	EXPECT_EQ(t, load_acquire(&asker.ended), 0);
	deaf_end(&deaf);
	thread_join(asker.thread);
	EXPECT_EQ(t, asker.err, 0);
	vm_space_put(space);
	paged_end(t, &p);
}

KTEST_SUITE(silence_access, 0, KTEST(an_answer_ends_each_wait_for_it),
    KTEST(supplied_page_reaches_all_that_wait_for_it));
