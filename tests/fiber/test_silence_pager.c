/* SPDX-License-Identifier: MIT */
/*
 * test_silence_pager.c: a pager in ring 3 gets a request for a page, or to take one back, and
 * answers nothing, for a while or for ever: its effect on an offline, a cpu_down and an
 * allocation.  Time is the machine's (arch/fiber/fiber_whole.c).
 */
#include "kernel/thread.h"
#include "mm/reclaim/reclaim.h"
#include "tests/lib/mm_test.h"
#include "tests/fiber/silence_help.h"
#include "tests/lib/vm_help.h"
#include <quarry/pager.h>
#include <quarry/memory_hotplug.h>
#include <quarry/task.h>

#define NR     8u
#define WINDOW 0x10000000UL
#define LIMIT  (5 * S) /* the pager's time limit */
#define CLEAN  (2 * S) /* reclaim's time limit for all pagers of a run: RUN_PAGERS_NS */
#define NUMBER 7

static struct endpoint *ep;
static struct vm_object *object;
static struct vm_space *space;
static u64 content[PAGE_SIZE / sizeof(u64)]; /* the pager's data */

static bool begin(struct ktest *t)
{
	int err = 0;

	object = NULL;
	ep = endpoint_create();
	err = ep ? vm_space_create(&kernel_memory, &space) : -ENOMEM;
	err = err ? err : pager_create(ep, NR, NUMBER, LIMIT, &object);
	err = err ? err : vm_map(space, WINDOW, NR, VM_READ | VM_WRITE, object, 0);
	EXPECT_EQ(t, err, 0);
	return !err;
}

static void end(struct ktest *t)
{
	vm_space_put(space);
	EXPECT_EQ(t, READ_ONCE(object->refs), 1);
	vm_object_put(object);
	endpoint_put(ep, RIGHT_RECEIVE);
}

static uintptr_t page_va(unsigned i)
{
	return WINDOW + i * PAGE_SIZE;
}

/* The pager supplies page @i, which is mapped and written to. */
static void make_dirty(struct ktest *t, unsigned i)
{
	EXPECT_EQ(t, pager_supply(object, i, (uintptr_t)content), 0);
	soft_load_space(space);
	EXPECT_EQ(t, soft_write(page_va(i), i + 100), 0);
	soft_unload_space();
}

static void expect_dirty(struct ktest *t, unsigned i)
{
	u64 value = 0;

	soft_load_space(space);
	EXPECT_EQ(t, soft_read(page_va(i), &value), 0);
	soft_unload_space();
	EXPECT_EQ(t, value, i + 100);
}

/* ---- threads that wait for the pager ---- */

struct waiter {
	struct thread *thread;
	u64 took;
	int err;
	u32 ended; /* atomic */
};
static struct waiter reader, cleaner;
static pfn_t dirty_block; /* the pageblock of page 0 */

/* Reads page 1, which the pager has not supplied. */
static void read_page_1(void *arg)
{
	u64 began = arch_clock_ns();

	reader.err = vm_fault(space, page_va(1), VM_READ);
	reader.took = arch_clock_ns() - began;
	store_release(&reader.ended, 1u);
}

/* Hand over page 0, which is dirty, as the reclaim thread does. */
static void clean_page_0(void *arg)
{
	struct lru_scan scan = {.batch = RECLAIM_BATCH, .desperate = true};
	u64 began = arch_clock_ns();
	struct page *page = arg;

	scan.zone = zone_of(&kernel_memory, page_to_pfn_in(&kernel_memory, page));
	reclaim_batch(&scan);
	cleaner.err = READ_ONCE(object->refused) == scan.run ? -ETIMEDOUT : 0;
	cleaner.took = arch_clock_ns() - began;
	store_release(&cleaner.ended, 1u);
}

static void wait_begin(struct ktest *t, int cpu)
{
	reader = cleaner = (struct waiter){.err = 1};
	make_dirty(t, 0);
	dirty_block = block_of(page_to_pfn_in(&kernel_memory, page_in(object, 0)));
	cleaner.thread = thread_start("cleaner", cpu, clean_page_0, page_in(object, 0));
	reader.thread = thread_start("reader", cpu, read_page_1, NULL);
	REQUIRE(t, reader.thread && cleaner.thread);
	thread_sleep(100 * MS);
	EXPECT_EQ(t, reader.ended + cleaner.ended, 0);
}

/* Each wait ended by the pager's time limit or reclaim's; no page was lost. */
static void wait_end(struct ktest *t)
{
	thread_join(reader.thread);
	thread_join(cleaner.thread);
	EXPECT_EQ(t, reader.err, -ETIMEDOUT);
	EXPECT_EQ(t, cleaner.err, -ETIMEDOUT);
	EXPECT_TOOK(t, reader.took, LIMIT);
	EXPECT_TOOK(t, cleaner.took, CLEAN);
	expect_dirty(t, 0);
	expect_sound(t, &kernel_memory);
}

/*
 * The pager answers late: the page that it takes back is no longer handed over; a page that it
 * supplies stays, and serves the next faults.
 */
static void answer_late(struct ktest *t)
{
	static u64 taken[PAGE_SIZE / sizeof(u64)];

	EXPECT_EQ(t, pager_take_back(object, 0, (uintptr_t)taken), -ENOENT);
	EXPECT_EQ(t, pager_supply(object, 1, (uintptr_t)content), 0);
	EXPECT_EQ(t, vm_fault(space, page_va(1), VM_READ), 0);
	expect_dirty(t, 0);
	expect_sound(t, &kernel_memory);
}

KTEST_SUITE(silence_pager, 0);

/* ---- an offline ---- */

/*
 * Reclaim holds the page for a bounded time, while the pager is asked to take it. Then the page is
 * moved without the pager.
 */
KTEST(offline_beside_a_silent_pager_ends_in_time)
{
	struct offline_opts opts = {.policy = NR_ISO_POLICIES, .deadline_ns = S};
	struct offline_result res;
	u64 began;

	REQUIRE(t, begin(t));
	wait_begin(t, -1);
	began = arch_clock_ns();
	EXPECT_EQ(t, offline_pages(&kernel_memory, dirty_block, PAGEBLOCK_PAGES, &opts, &res),
	    -ETIMEDOUT);
	EXPECT_TOOK(t, arch_clock_ns() - began, S);
	EXPECT_EQ(t, res.fail.why, WHY_DEADLINE);
	EXPECT_EQ(t, block_of(res.fail.pfn), dirty_block);
	opts.deadline_ns = 0;
	EXPECT_EQ(t, offline_pages(&kernel_memory, dirty_block, PAGEBLOCK_PAGES, &opts, &res), 0);
	EXPECT_TOOK(t, arch_clock_ns() - began, CLEAN - SLACK);
	wait_end(t);
	answer_late(t);
	EXPECT(t, block_of(page_to_pfn_in(&kernel_memory, page_in(object, 0))) != dirty_block);
	EXPECT_EQ(t, online_pages(&kernel_memory, dirty_block, PAGEBLOCK_PAGES, NULL), 0);
	/*
	 * While no page is handed over, the offline does not wait, though a thread waits for a
	 * page.
	 */
	EXPECT_EQ(t, pager_drop(object, 1, 1), 0);
	reader = (struct waiter){.thread = thread_start("reader", -1, read_page_1, NULL)};
	REQUIRE(t, reader.thread);
	thread_sleep(100 * MS);
	dirty_block = block_of(page_to_pfn_in(&kernel_memory, page_in(object, 0)));
	began = arch_clock_ns();
	EXPECT_EQ(t, offline_pages(&kernel_memory, dirty_block, PAGEBLOCK_PAGES, &opts, &res), 0);
	EXPECT_TOOK(t, arch_clock_ns() - began, 0);
	EXPECT_EQ(t, online_pages(&kernel_memory, dirty_block, PAGEBLOCK_PAGES, NULL), 0);
	thread_join(reader.thread);
	EXPECT_EQ(t, reader.err, -ETIMEDOUT);
	expect_dirty(t, 0);
	end(t);
}

/* ---- cpu_down ---- */

KTEST(cpu_down_beside_a_silent_pager_succeeds_at_once)
{
	u64 began;

	REQUIRE(t, begin(t));
	wait_begin(t, 2);
	began = arch_clock_ns();
	EXPECT_EQ(t, cpu_down(2), 0);
	EXPECT_TOOK(t, arch_clock_ns() - began, 0);
	/* The threads go on waiting on another CPU, as long as before. */
	wait_end(t);
	EXPECT_EQ(t, cpu_up(2), 0);
	answer_late(t);
	end(t);
}

/* The pager has received the calls, and answers when no thread waits any more. */
KTEST(answer_after_the_time_limit_is_dropped)
{
	struct ipc_call *call[2];
	struct ipc_msg msg;
	unsigned i;

	REQUIRE(t, begin(t));
	wait_begin(t, 2);
	for (i = 0; i < 2; i++)
		REQUIRE(t, ipc_receive(ep, &msg, &call[i], 0) == 0);
	EXPECT_EQ(t, ipc_receive(ep, &msg, &call[0], S), -ETIMEDOUT);
	EXPECT_EQ(t, cpu_down(2), 0);
	wait_end(t);
	for (i = 0; i < 2; i++) {
		msg = (struct ipc_msg){.word = {ABI_PAGER_DONE}};
		EXPECT_EQ(t, ipc_reply(call[i], &msg), -EPIPE);
	}
	EXPECT_EQ(t, cpu_up(2), 0);
	answer_late(t);
	end(t);
}

/* ---- content that is taken too late ---- */

#define SHORT (200 * MS) /* a run's time for its pagers */

static int handed[2]; /* results of two requests to take page 0; 1: none yet */

static void hand_over_twice(void *arg)
{
	content[0] = 1;
	handed[0] = object->ops->clean(object, 0, content, SHORT);
	content[0] = 2;
	handed[1] = object->ops->clean(object, 0, content, SHORT);
}

/* The first content has been copied; before the pager goes on, the page is handed over again. */
static void let_the_next_begin(void)
{
	silence_copied = NULL;
	while (handed[0] == 1)
		thread_sleep(10 * MS);
	thread_sleep(SHORT / 4);
}

/* What the pager has then is not what the page contains now. */
KTEST(content_of_an_earlier_request_is_refused)
{
	static u64 taken[PAGE_SIZE / sizeof(u64)];
	struct ipc_call *call;
	struct ipc_msg msg;

	REQUIRE(t, begin(t));
	handed[0] = handed[1] = 1;
	ktest_start(2, hand_over_twice, NULL);
	REQUIRE(t, ipc_receive(ep, &msg, &call, S) == 0);
	silence_copied = let_the_next_begin;
	EXPECT_EQ(t, pager_take_back(object, 0, (uintptr_t)taken), -ENOENT);
	EXPECT_EQ(t, taken[0], 1);
	EXPECT_EQ(t, ipc_reply(call, &msg), -EPIPE);
	REQUIRE(t, ipc_receive(ep, &msg, &call, S) == 0);
	msg = (struct ipc_msg){.word = {ABI_PAGER_DONE}};
	EXPECT_EQ(t, ipc_reply(call, &msg), 0);
	ktest_join(2);
	EXPECT_EQ(t, handed[0], -ETIMEDOUT);
	EXPECT_EQ(t, handed[1], -EIO);
	end(t);
}

/* ---- requests of threads that end ---- */

static struct task ending;
static struct waiter asker;

/* Request page 0, and again each time that the request was interrupted. */
static void ask_again_and_again(void *arg)
{
	thread_current()->task = &ending;
	do {
		port_task()->access_ns = 0; /* another access */
		asker.err = object->ops->get(object, 0);
	} while (asker.err == -EINTR && atomic_xchg(&ending.ending, 0u));
	thread_current()->task = NULL;
}

static void want_page_0(void *arg)
{
	u64 began = arch_clock_ns();

	reader.err = object->ops->get(object, 0);
	reader.took = arch_clock_ns() - began;
	store_release(&reader.ended, 1u);
}

static void interrupt_asker(void)
{
	store_release(&ending.ending, 1u);
	thread_wake(asker.thread);
}

/*
 * The reader waits for another thread's request, which is interrupted again and again, and made
 * again before the reader runs.  The reader's waits together take no longer than the pager's time
 * limit.
 */
KTEST(wait_for_interrupted_requests_ends_in_time)
{
	REQUIRE(t, begin(t));
	asker = reader = (struct waiter){.err = 1};
	ending.ending = 0;
	/*
	 * Both threads run on one CPU: the woken reader runs when the asker has made its request
	 * again.
	 */
	asker.thread = thread_start("asker", 2, ask_again_and_again, NULL);
	REQUIRE(t, asker.thread);
	thread_sleep(100 * MS);
	reader.thread = thread_start("reader", 2, want_page_0, NULL);
	REQUIRE(t, reader.thread);
	thread_sleep(LIMIT / 2);
	interrupt_asker();
	thread_sleep(LIMIT / 4);
	EXPECT_EQ(t, reader.ended, 0);
	interrupt_asker();
	thread_join(reader.thread);
	EXPECT_EQ(t, reader.err, -ETIMEDOUT);
	EXPECT_TOOK(t, reader.took, LIMIT);
	thread_join(asker.thread);
	EXPECT_EQ(t, asker.err, -ETIMEDOUT);
	end(t);
}

/* ---- an allocation ---- */

static u32 serve_on; /* atomic */

/* The pager serves requests at last. */
static void serve(void *arg)
{
	static u64 taken[PAGE_SIZE / sizeof(u64)];
	struct ipc_call *call;
	struct ipc_msg msg;

	while (load_acquire(&serve_on)) {
		bool wanted;

		if (ipc_receive(ep, &msg, &call, 100 * MS))
			continue;
		wanted = msg.word[0] == ABI_PAGER_GET;
		if (wanted ? pager_supply(object, msg.word[1], (uintptr_t)content)
		           : pager_take_back(object, msg.word[1], (uintptr_t)taken))
			*(u32 *)arg += 1;
		msg = (struct ipc_msg){.word = {ABI_PAGER_DONE}};
		ipc_reply(call, &msg);
	}
}

/* All pages that could be reclaimed are dirty, and their pager takes none. */
KTEST(an_allocation_beside_a_silent_pager_ends_in_time)
{
	struct pile pile = {NULL, 0};
	struct thread *server;
	u64 began;
	struct page *page;
	u32 wrong = 0;
	unsigned i;

	REQUIRE(t, begin(t));
	for (i = 0; i < NR; i++)
		make_dirty(t, i);
	pile_alloc(&kernel_memory, &pile, GFP_MOVABLE | GFP_NOWAIT, 0, ALL_THERE_IS);
	/* Cached pages come first; then reclaim waits for the pager, a single time. */
	began = arch_clock_ns();
	while ((page = mem_alloc_pages(&kernel_memory, GFP_MOVABLE, 0)))
		pile_push(&pile, page);
	EXPECT_TOOK(t, arch_clock_ns() - began, CLEAN);
	began = arch_clock_ns();
	EXPECT(t, !mem_alloc_pages(&kernel_memory, GFP_MOVABLE, 0));
	EXPECT_TOOK(t, arch_clock_ns() - began, 0);
	for (i = 0; i < NR; i++)
		EXPECT(t, page_in(object, i));
	expect_sound(t, &kernel_memory);
	/*
	 * The pager answers again, and is asked again as soon as it has regained the time that its
	 * silence has cost.
	 */
	serve_on = 1;
	server = NEED(t, thread_start("pager", -1, serve, &wrong));
	began = arch_clock_ns();
	while (!(page = mem_alloc_pages(&kernel_memory, GFP_MOVABLE, 0)) &&
	    arch_clock_ns() - began < 500 * S)
		thread_sleep(S);
	EXPECT(t, page);
	if (page)
		EXPECT_EQ(t, mem_free_pages(&kernel_memory, page, 0), 0);
	EXPECT_EQ(t, wrong, 0);
	EXPECT_EQ(t, pile_free(&kernel_memory, &pile), 0);
	for (i = 0; i < NR && page_in(object, i); i++)
		expect_dirty(t, i);
	EXPECT(t, i < NR);
	store_release(&serve_on, 0u);
	thread_join(server);
	expect_sound(t, &kernel_memory);
	end(t);
}
