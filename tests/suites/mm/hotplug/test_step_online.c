/* SPDX-License-Identifier: MIT */
/*
 * test_step_online.c: online_pages while a step of standby memory is coming online, held between
 * the change of the cursor and that of the pageblock.  It includes the sources of
 * mm/reclaim/standby.c and mm/hotplug/offline.c, and replaces calls that lie between these steps.
 * Hosted only.
 */
#include "tests/lib/standby_help.h"
#include "tests/lib/wait_help.h"
#include "mm/core/buddy.h"
#include "mm/core/event.h"
#include "mm/hotplug/offline.h"
#include "mm/core/page.h"
#include "mm/reclaim/reclaim.h"
#include <quarry/lock.h>

static struct {
	struct ktest *t;
	struct memory *mem;
	bool armed;     /* the next pageblock of a standby step is held */
	unsigned zones; /* calls of range_zone by the online */
	u32 claimed;    /* atomic: the online has claimed its range */
	u32 passed;     /* atomic: the cursor has passed the pageblock, which is offline */
	u32 counted;    /* atomic: the online has counted pageblocks, or has ended */
	struct mm_fail fail;
	int err;
} amid;

/* The first thing that a pageblock does when the cursor has passed it: it clears its tree. */
static void *amid_memset(void *to, int c, size_t n)
{
	memset(to, c, n);
	if (amid.armed) {
		amid.armed = false;
		store_release(&amid.passed, 1u);
		/* The online waits for the lock that this step holds, or it uses what it sees. */
		EXPECT(amid.t,
		    SPIN_UNTIL(
		        load_acquire(&amid.counted) || sleep_lock_waiters(&amid.mem->hotplug.l)));
	}
	return to;
}

unsigned long amid_managed(struct memory *mem, unsigned long *from_standby);
long amid_standby_online(struct zone *zone);
int amid_standby_start(struct memory *mem);
void amid_standby_stop(struct memory *mem);

#define memory_managed_by_request amid_managed
#define standby_online            amid_standby_online
#define standby_start             amid_standby_start
#define standby_stop              amid_standby_stop
#define memset                    amid_memset
#include "mm/reclaim/standby.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef memset
#undef standby_online

/* The second call comes after the claim. */
static int amid_range_zone(
    struct memory *mem, struct pfn_range range, struct zone **zone, struct mm_fail *fail)
{
	if (++amid.zones == 2) {
		store_release(&amid.claimed, 1u);
		EXPECT(amid.t, YIELD_UNTIL(load_acquire(&amid.passed)));
	}
	return range_zone(mem, range, zone, fail);
}

static unsigned long amid_count(
    const struct memory *mem, struct pfn_range range, enum pageblock_state state)
{
	unsigned long nr = range_count(mem, range, state);

	store_release(&amid.counted, 1u);
	return nr;
}

int amid_offline_pages(struct memory *mem, pfn_t start, unsigned long nr,
    const struct offline_opts *opts, struct offline_result *result);
int amid_online_pages(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail);
void amid_go_online(struct zone *zone, pfn_t pfn);

#define offline_pages   amid_offline_pages
#define online_pages    amid_online_pages
#define block_go_online amid_go_online
#define range_zone      amid_range_zone
#define range_count     amid_count
#include "mm/hotplug/offline.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void bring_online(void *arg)
{
	amid.err = amid_online_pages(amid.mem, BLOCK(ONLINE), BLOCK(1), &amid.fail);
	store_release(&amid.counted, 1u);
}

KTEST_SUITE(online_steps, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(pageblock_is_not_onlined_amid_a_standby_step)
{
	struct memory *mem;

	if (!ktest_needs_cpus(t, 2))
		return;
	mem = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	memset(&amid, 0, sizeof(amid));
	amid.t = t;
	amid.mem = mem;
	amid.armed = true;
	ktest_start(1, bring_online, NULL);
	EXPECT(t, YIELD_UNTIL(load_acquire(&amid.claimed)));
	EXPECT_EQ(t, amid_standby_online(zone_in(mem, ZONE_NORMAL)), (long)BLOCK(STEP));
	ktest_join(1);
	EXPECT_EQ(t, amid.err, -EALREADY);
	EXPECT_EQ(t, amid.fail.why, WHY_ALREADY);
	EXPECT_EQ(t, zone_in(mem, ZONE_NORMAL)->managed, BLOCK(ONLINE + STEP));
	drop_memory(t, mem);
}
