/* SPDX-License-Identifier: MIT */
/*
 * test_silence_drop.c: a thread that drops pages of an object again and again, each time with a
 * walk over the object's regions: its effect on threads that wait for the object.
 */
#include "kernel/thread.h"
#include "mm/vm/vm.h"
#include "tests/fiber/silence_help.h"
#include "tests/lib/vm_help.h"
#include <quarry/task.h>

#define REGIONS 8u
#define MOST    1000u /* drops, if the other thread does not get the object */

static struct vm_object *object; /* of pager 0 */

/* The page is shown by many regions.  A walk pauses behind each region. */
static int begin(void)
{
	unsigned i;
	int err = 0;

	object = paged[0].object;
	for (i = 1; i < REGIONS && !err; i++)
		err = vm_map(paged_space, PAGED_VA(0) + i * PAGE_SIZE, 1, VM_READ, object, 0);
	kernel_memory.vm.at_once = 1;
	return err;
}

VERB(begin, begin());
DO(end, kernel_memory.vm.at_once = RMAP_AT_ONCE);

#define BEGIN "begin_pager 0 1 1 1s; begin;"
#define END   "end; end_pager 0"

static u32 drops, stop; /* atomic */

/* Each page is mapped once. */
static int drop_again_and_again(void)
{
	while (!load_acquire(&stop) && READ_ONCE(drops) < MOST) {
		PLAY(playing, "supply 0; fault 0; drop 0");
		atomic_add(&drops, 1u);
	}
	return 0;
}

/* Returns the number of drops between the request for the lock and the time when it was taken. */
static u32 take_lock(void)
{
	u32 before = READ_ONCE(drops), after;

	object_lock(object);
	after = READ_ONCE(drops);
	spin_unlock(&object->lock);
	store_release(&stop, 1u);
	return after - before;
}

VERB(drop_again_and_again, drop_again_and_again());
VERB(take_lock, take_lock());
VERB(waiting, object->waiting);
DO(three_drops, while (READ_ONCE(drops) < 3) thread_yield());

KTEST_SUITE(silence_drop, 0);

/* The drops leave no gap in which a woken thread, on this CPU or another, could find no walk. */
KTEST(lock_is_taken_between_two_of_many_drops)
{
	unsigned cpu;

	for (cpu = 1; cpu <= 2; cpu++) {
		drops = stop = 0;
		PLAY(t,
		    BEGIN "1> drop_again_and_again @?; three_drops; %u> take_lock <= 2; join;"
		          "waiting;" END,
		    cpu);
	}
}

/* ---- a drop that must end ---- */

static struct task ending = {.ending = TASK_KILLED};

DO(walk, object->walked = 1);
DO(end_the_walk, thread_sleep(S); spin_lock(&object->lock); object_walk_ends(object);
    spin_unlock(&object->lock));
DO(be_killed, thread_current()->task = a[0] ? &ending : NULL);

KTEST(drop_behind_a_walk_ends_with_its_task)
ROWS(BEGIN "supply 0; fault 0; walk; 2> end_the_walk @1s; be_killed 1; drop 0 = -EINTR;"
           "be_killed 0; has 0 = 1; join;" END)
