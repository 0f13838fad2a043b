/* SPDX-License-Identifier: MIT */
/*
 * test_silence_lock.c: spin locks that a CPU holds: released in any order, taken in a wrong order,
 * or taken twice; and the panics that name them.
 */
#include "fiber_threads.h"
#include "tests/fiber/silence_help.h"
#include <quarry/lock.h>

#define MOST 8u /* locks that a test holds at the same time */

static struct spinlock locks[MOST + 3]; /* without a rank; then: of an LRU, a zone, an object */

static void begin(void)
{
	unsigned i;

	for (i = 0; i < MOST; i++)
		locks[i] = SPINLOCK(i % 2 ? "odd" : "even", RANK_NONE);
	locks[i++] = SPINLOCK("lru", RANK_LRU);
	locks[i++] = SPINLOCK("zone", RANK_ZONE);
	locks[i++] = SPINLOCK("object", RANK_OBJECT);
}

static int take_mutex(bool named)
{
	struct mutex free = MUTEX("free"), nameless = {0};

	if (named)
		arch_irq_save();
	else
		spin_lock(&locks[0]);
	mutex_lock(named ? &free : &nameless);
	return 0;
}

DO(begin, begin());
DO(lock, spin_lock(&locks[a[0]]));
DO(unlock, spin_unlock(&locks[a[0]]));
VERB(lru, MOST);
VERB(zone, MOST + 1);
VERB(object, MOST + 2);
VERB(depth, spin_depth());
VERB(take_mutex, take_mutex(a[0]));
/* As if the lock's memory were freed, and now had other content. */
DO(take_freed, locks[1].locked = nr_cpus + 1; locks[1].name = (const char *)1;
    spin_lock(&locks[1]));

KTEST_SUITE(silence_lock, 0);

#define RELEASED                                                                                   \
	"released, not being held, by CPU 0; its holder: CPU -1 (-1: none); innermost here: "

KTEST(wrong_use_of_a_lock_panics_and_names_it)
ROWS("begin; panics [which is no CPU; was its memory freed?] take_freed;"
     "panics [" RELEASED "none] unlock 1; lock 0; lock 1;"
     "panics [lock even taken twice by CPU 0] lock 0; unlock 0;"
     "panics [" RELEASED "odd] unlock 0; unlock 1; lock zone; lock 0;"
     "panics [taken out of order by CPU 0] lock object;"
     "panics [innermost here: zone] lock object; unlock 0; unlock zone")

/*
 * Hold as many locks as allowed, and release them from both ends and the middle: the others stay
 * held and recorded.
 */
KTEST(locks_are_released_in_any_order)
{
	static const unsigned order[][MOST] = {{0, 1, 2, 3, 4, 5, 6, 7}, {7, 6, 5, 4, 3, 2, 1, 0},
	    {3, 7, 0, 4, 1, 6, 2, 5}, {1, 0, 6, 7, 5, 2, 4, 3}};
	unsigned way, i, j;

	begin();
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

/*
 * After a release in the middle only the locks still held count for the order: those taken before
 * and after it.
 */
KTEST(lock_order_is_checked_against_the_locks_still_held)
ROWS("begin; lock object; lock lru; lock zone; unlock lru; panics [object taken twice] lock object;"
     "panics [lock lru (rank] lock lru; unlock zone; lock lru; unlock object;"
     "panics [innermost here: lru] lock object; lock zone; unlock lru; unlock zone; depth")

KTEST(free_mutex_is_not_taken_where_nothing_may_sleep)
ROWS("begin; panics [lock free taken where nothing may sleep] take_mutex 1;"
     "panics [lock without a name taken where nothing may] take_mutex")
