/* SPDX-License-Identifier: MIT */
/*
 * test_silence_lock.c: spin locks that a CPU holds: released in any order, taken in a wrong order,
 * or taken twice; and the panics that name them.
 */
#include "fiber_threads.h"
#include "tests/fiber/silence_help.h"
#include <quarry/lock.h>

#define MOST 8u /* locks that a test holds at the same time */

static struct spinlock locks[MOST];

static void name_locks(void)
{
	unsigned i;

	for (i = 0; i < MOST; i++)
		locks[i] = SPINLOCK(i % 2 ? "odd" : "even", RANK_NONE);
}

static void take_twice(void *arg)
{
	spin_lock(&locks[0]);
	spin_lock(&locks[1]);
	spin_lock(&locks[0]);
}

static void release_without(void *arg)
{
	spin_lock(&locks[1]);
	spin_unlock(&locks[0]);
}

static void release_with_none(void *arg)
{
	spin_unlock(&locks[1]);
}

/* As if the lock's memory were freed, and now had other content. */
static void take_freed(void *arg)
{
	locks[1].locked = nr_cpus + 1;
	locks[1].name = (const char *)1;
	spin_lock(&locks[1]);
}

static struct spinlock inner = SPINLOCK("inner", RANK_ZONE), outer = SPINLOCK("outer", RANK_OBJECT);

static void take_in_wrong_order(void *arg)
{
	spin_lock(&inner);
	spin_lock(&locks[0]);
	spin_lock(&outer);
}

KTEST_SUITE(silence_lock, 0);

KTEST(wrong_use_of_a_lock_panics_and_names_it)
{
	u64 ns;

	name_locks();
	EXPECT(t, whole_panics(take_twice, NULL, "lock even taken twice by CPU 0", &ns));
	EXPECT(t, whole_panics(take_freed, NULL, "which is no CPU; was its memory freed?", &ns));
	EXPECT(t,
	    whole_panics(release_without, NULL,
	        "released, not being held, by CPU 0; its holder: CPU -1 (-1: none); innermost "
	        "here: odd",
	        &ns));
	EXPECT(t,
	    whole_panics(release_with_none, NULL,
	        "released, not being held, by CPU 0; its holder: CPU -1 (-1: none); innermost "
	        "here: none",
	        &ns));
	EXPECT(t, whole_panics(take_in_wrong_order, NULL, "taken out of order by CPU 0", &ns));
	EXPECT(t, whole_panics(take_in_wrong_order, NULL, "innermost here: inner", &ns));
}

/*
 * Hold as many locks as allowed, and release them from both ends and the middle: the others stay
 * held and recorded.
 */
KTEST(locks_are_released_in_any_order)
{
	static const unsigned order[][MOST] = {{0, 1, 2, 3, 4, 5, 6, 7}, {7, 6, 5, 4, 3, 2, 1, 0},
	    {3, 7, 0, 4, 1, 6, 2, 5}, {1, 0, 6, 7, 5, 2, 4, 3}};
	unsigned way, i, j;

	name_locks();
	for (way = 0; way < ARRAY_SIZE(order); way++) {
		u32 preempt = arch_preempt_count(), held = (1u << MOST) - 1;

		for (i = 0; i < MOST; i++) {
			EXPECT_EQ(t, spin_depth(), i);
			if (i % 3)
				spin_lock(&locks[i]);
			else
				REQUIRE(t, spin_trylock(&locks[i]));
		}
		EXPECT_EQ(t, arch_preempt_count(), preempt + MOST);
		EXPECT(t, !spin_trylock(&locks[5]));
		EXPECT_EQ(t, arch_preempt_count(), preempt + MOST);
		for (i = 0; i < MOST; i++) {
			spin_unlock(&locks[order[way][i]]);
			held &= ~(1u << order[way][i]);
			EXPECT_EQ(t, spin_depth(), MOST - 1 - i);
			EXPECT_EQ(t, arch_preempt_count(), preempt + MOST - 1 - i);
			for (j = 0; j < MOST; j++) {
				EXPECT_EQ(t, spin_is_held(&locks[j]), held >> j & 1);
				EXPECT_EQ(t, locks[j].locked, held >> j & 1);
			}
		}
	}
}

/* After a release in the middle only the locks still held count for the order. */
KTEST(lock_order_is_checked_against_the_locks_still_held)
{
	struct spinlock lru = SPINLOCK("lru", RANK_LRU), zone = SPINLOCK("zone", RANK_ZONE);
	u64 ns;

	name_locks();
	locks[0] = SPINLOCK("even", RANK_OBJECT);
	spin_lock(&locks[0]);
	spin_lock(&lru);
	spin_lock(&zone);
	spin_unlock(&lru);
	/* The locks taken before and after "lru" are still held. */
	EXPECT(t,
	    whole_panics(
	        (void (*)(void *))(uintptr_t)spin_lock, &locks[0], "lock even taken twice", &ns));
	EXPECT(
	    t, whole_panics((void (*)(void *))(uintptr_t)spin_lock, &lru, "lock lru (rank", &ns));
	spin_unlock(&zone);
	spin_lock(&lru);
	spin_unlock(&locks[0]);
	EXPECT(t,
	    whole_panics(
	        (void (*)(void *))(uintptr_t)spin_lock, &locks[0], "innermost here: lru", &ns));
	spin_lock(&zone);
	spin_unlock(&lru);
	spin_unlock(&zone);
	EXPECT_EQ(t, spin_depth(), 0);
}

static void take_mutex(void *arg)
{
	struct mutex free = MUTEX("free"), nameless = {0};

	if (arg)
		spin_lock(&locks[0]);
	else
		arch_irq_save();
	mutex_lock(arg ? &nameless : &free);
}

KTEST(free_mutex_is_not_taken_where_nothing_may_sleep)
{
	u64 ns;

	name_locks();
	EXPECT(t, whole_panics(take_mutex, NULL, "lock free taken where nothing may sleep", &ns));
	EXPECT(
	    t, whole_panics(take_mutex, &ns, "lock without a name taken where nothing may", &ns));
}
