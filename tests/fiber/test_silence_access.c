/* SPDX-License-Identifier: MIT */
/*
 * test_silence_access.c: accesses to pages of a pager that answers.  Others are late: the thread
 * that has requested the same page, or the pager of another object.
 */
#include "mm/reclaim/reclaim.h"
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

KTEST_SUITE(silence_access, 0);

KTEST(an_answer_ends_each_wait_for_it)
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
KTEST(supplied_page_reaches_all_that_wait_for_it)
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

/* ---- an access beside a silent pager of another object ---- */

#define SILENT_VA (WINDOW + 0x100000)
#define SILENCE   (3 * LIMIT) /* the time limit of the silent pager */

static struct paged paged, silent;

/* The silent pager's page is dirty; @a has requested the other pager's page: this call, or NULL. */
static struct ipc_call *begin_beside_silence(struct ktest *t, struct access *a)
{
	int err = vm_space_create(&kernel_memory, &space);

	EXPECT_EQ(t, err, 0);
	if (err || !paged_begin(t, &paged, WINDOW, LIMIT) ||
	    !paged_begin(t, &silent, SILENT_VA, SILENCE))
		return NULL;
	make_dirty(t, &silent);
	return access_begin(t, a, &paged, 1, touch_page_0) ? receive(t, &paged, ABI_PAGER_GET, S)
	                                                   : NULL;
}

static void end_beside_silence(struct ktest *t)
{
	vm_space_put(space);
	paged_end(t, &paged);
	paged_end(t, &silent);
	expect_sound(t, &kernel_memory);
}

static void reclaim_zone_of(void *arg)
{
	struct lru_scan scan = {.batch = RECLAIM_BATCH, .desperate = true};

	scan.zone = zone_of(&kernel_memory, page_to_pfn_in(&kernel_memory, arg));
	reclaim_batch(&scan);
}

/*
 * The page that the access waits for is reclaimed together with a page of the silent pager, which
 * is asked first.  The access's own pager is never late.
 */
KTEST(reclaim_of_another_page_takes_no_time_of_an_access)
{
	static u64 taken[PAGE_SIZE / sizeof(u64)];
	struct ipc_call *call;
	struct access a;

	call = NEED(t, begin_beside_silence(t, &a));
	make_dirty(t, &paged);
	ktest_start(2, reclaim_zone_of, page_in(silent.object, 0));
	thread_sleep(LIMIT / 5);
	EXPECT(t, !page_in(paged.object, 0));
	answer(t, call, ABI_PAGER_DONE);
	call = receive(t, &paged, ABI_PAGER_CLEAN, SILENCE);
	EXPECT_EQ(t, a.ended, 0);
	EXPECT_EQ(t, pager_take_back(paged.object, 0, (uintptr_t)taken), 0);
	answer(t, call, ABI_PAGER_DONE);
	ktest_join(2);
	call = receive(t, &paged, ABI_PAGER_GET, S);
	supply(t, &paged);
	answer(t, call, ABI_PAGER_DONE);
	access_end(t, &a, 0, SILENCE);
	end_beside_silence(t);
}

/* All free memory. */
static void take_memory(struct pile *pile)
{
	*pile = (struct pile){NULL, 0};
	drain_all_pages(&kernel_memory, NULL);
	pile_alloc(&kernel_memory, pile, GFP_MOVABLE | GFP_NOWAIT, 0, ALL_THERE_IS);
}

/*
 * From now on accesses wait for memory, since reclaim waits for the silent pager.  Then there is
 * memory again, and the pager is asked once more.
 */
static void memory_comes_late(struct ktest *t, struct ipc_call *call, u64 word, struct access *a)
{
	struct pile pile;

	take_memory(&pile);
	answer(t, call, word);
	thread_sleep(2 * LIMIT);
	EXPECT_EQ(t, a->ended, 0);
	EXPECT_EQ(t, pile_free(&kernel_memory, &pile), 0);
	call = receive(t, &paged, ABI_PAGER_GET, S);
	supply(t, &paged);
	answer(t, call, ABI_PAGER_DONE);
	access_end(t, a, 0, 2 * LIMIT);
	/* The reclaim thread still waits for the silent pager. */
	thread_sleep(2 * SILENCE);
}

KTEST(memory_for_a_dropped_page_takes_no_time_of_an_access)
{
	struct ipc_call *call;
	struct access a;

	call = NEED(t, begin_beside_silence(t, &a));
	supply(t, &paged);
	EXPECT_EQ(t, pager_drop(paged.object, 0, 1), 0);
	memory_comes_late(t, call, ABI_PAGER_DONE, &a);
	end_beside_silence(t);
}

/* Each access waits for memory itself. */
KTEST(memory_for_the_pager_takes_no_time_of_an_access)
{
	struct ipc_call *call;
	struct access a, other;

	call = NEED(t, begin_beside_silence(t, &a));
	REQUIRE(t, access_begin(t, &other, &paged, 3, touch_page_0));
	thread_sleep(LIMIT / 5);
	memory_comes_late(t, call, ABI_PAGER_NO_MEMORY, &a);
	access_end(t, &other, 0, 2 * LIMIT);
	end_beside_silence(t);
}

/* One thread of the pager has supplied the page, the other one found no memory for it. */
KTEST(page_supplied_without_memory_is_used)
{
	struct ipc_call *call;
	struct access a;
	struct page *page;
	struct pile pile;

	REQUIRE(t, !vm_space_create(&kernel_memory, &space));
	REQUIRE(t, paged_begin(t, &paged, WINDOW, LIMIT));
	REQUIRE(t, access_begin(t, &a, &paged, 1, touch_page_0));
	call = receive(t, &paged, ABI_PAGER_GET, S);
	supply(t, &paged);
	EXPECT_EQ(t, vm_object_pin(paged.object, 0, &page), 0); /* reclaim must not take it */
	take_memory(&pile);
	answer(t, call, ABI_PAGER_NO_MEMORY);
	access_end(t, &a, 0, 0);
	mem_unpin_page(&kernel_memory, page);
	EXPECT_EQ(t, pile_free(&kernel_memory, &pile), 0);
	vm_space_put(space);
	paged_end(t, &paged);
}
