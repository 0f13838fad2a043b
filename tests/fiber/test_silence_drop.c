/* SPDX-License-Identifier: MIT */
/*
 * test_silence_drop.c: a thread that drops pages of an object again and again, each time with a
 * walk over the object's regions: its effect on threads that wait for the object.
 */
#include "kernel/thread.h"
#include "mm/vm/vm.h"
#include "tests/fiber/silence_help.h"
#include "tests/lib/mm_test.h"
#include "tests/lib/vm_help.h"
#include <quarry/pager.h>
#include <quarry/task.h>

#define REGIONS 8u
#define MOST    1000u /* drops, if the other thread does not get the object */
#define WINDOW  0x10000000UL

static struct endpoint *ep;
static struct vm_object *object;
static struct vm_space *space;
static u64 content[PAGE_SIZE / sizeof(u64)];

/* An object of one page, which many regions show.  A walk pauses behind each region. */
static bool begin(struct ktest *t)
{
	unsigned i;
	int err;

	object = NULL;
	ep = endpoint_create();
	err = ep ? vm_space_create(&kernel_memory, &space) : -ENOMEM;
	err = err ? err : pager_create(ep, 1, 0, S, &object);
	for (i = 0; i < REGIONS && !err; i++)
		err = vm_map(space, WINDOW + i * PAGE_SIZE, 1, VM_READ, object, 0);
	EXPECT_EQ(t, err, 0);
	kernel_memory.vm.at_once = 1;
	return !err;
}

static void end(struct ktest *t)
{
	kernel_memory.vm.at_once = RMAP_AT_ONCE;
	vm_space_put(space);
	EXPECT_EQ(t, READ_ONCE(object->refs), 1);
	vm_object_put(object);
	endpoint_put(ep, RIGHT_RECEIVE);
}

/* Each page is mapped once. */
static int supply(void)
{
	int err = pager_supply(object, 0, (uintptr_t)content);

	return err ? err : vm_fault(space, WINDOW, VM_READ);
}

/* ---- drops without end ---- */

static u32 drops, stop; /* atomic */

static void drop_again_and_again(void *arg)
{
	while (!load_acquire(&stop) && READ_ONCE(drops) < MOST) {
		if (supply() || pager_drop(object, 0, 1))
			panic("no page to drop");
		atomic_add(&drops, 1u);
	}
}

struct taker {
	u32 before; /* drops before it asked for the lock */
	u32 after;  /* and until it had the lock */
};

static void take_lock(void *arg)
{
	struct taker *taker = arg;

	taker->before = READ_ONCE(drops);
	object_lock(object);
	taker->after = READ_ONCE(drops);
	spin_unlock(&object->lock);
	store_release(&stop, 1u);
}

KTEST_SUITE(silence_drop, 0);

/* The drops leave no gap in which a woken thread, on this CPU or another, could find no walk. */
KTEST(lock_is_taken_between_two_of_many_drops)
{
	unsigned cpu;

	for (cpu = 1; cpu <= 2; cpu++) {
		struct thread *dropper, *thread;
		struct taker taker = {0};

		REQUIRE(t, begin(t));
		drops = stop = 0;
		dropper = NEED(t, thread_start("dropper", 1, drop_again_and_again, NULL));
		while (READ_ONCE(drops) < 3)
			thread_yield();
		thread = NEED(t, thread_start("taker", (int)cpu, take_lock, &taker));
		thread_join(thread);
		thread_join(dropper);
		EXPECT(t, taker.before >= 3 && taker.after - taker.before <= 2);
		EXPECT_EQ(t, object->waiting, 0);
		end(t);
	}
}

/* ---- a drop that must end ---- */

static struct task ending = {.ending = TASK_KILLED};

static void end_the_walk(void *arg)
{
	thread_sleep(S);
	spin_lock(&object->lock);
	object_walk_ends(object);
	spin_unlock(&object->lock);
}

KTEST(drop_behind_a_walk_ends_with_its_task)
{
	struct thread *walker;
	u64 began;

	REQUIRE(t, begin(t));
	EXPECT_EQ(t, supply(), 0);
	object->walked = 1;
	walker = NEED(t, thread_start("walker", 2, end_the_walk, NULL));
	began = arch_clock_ns();
	thread_current()->task = &ending;
	EXPECT_EQ(t, pager_drop(object, 0, 1), -EINTR);
	thread_current()->task = NULL;
	EXPECT(t, arch_clock_ns() - began < S / 2);
	EXPECT(t, vm_object_has(object, 0));
	thread_join(walker);
	end(t);
}
