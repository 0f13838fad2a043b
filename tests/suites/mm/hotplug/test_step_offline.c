/* SPDX-License-Identifier: MIT */
/*
 * test_step_offline.c: the steps of an offline and an online in their order. It includes
 * mm/core/claim.c and mm/hotplug/offline.c, and checks the state each time a pageblock is offlined,
 * or a zone's cache limits are set. Hosted only.
 */
#include "tests/lib/mm_test.h"
#include <quarry/memory_hotplug.h>

#define ZONE  72u
#define FIRST 3u
#define HOLD  64u /* pageblocks that one hold of the lock takes */
#define PLANS 8

static struct {
	struct ktest *t;
	unsigned long leaving[PLANS]; /* pages that are leaving at each setting of limits */
	unsigned plans, marks;        /* settings of limits, and of watermarks */
	unsigned gone, unclaimed;     /* pageblocks offlined; of these, without a claim */
	pfn_t last;
	struct memory *mem;
	unsigned claims; /* number of claims when the lock was released last */
} steps;

static unsigned count_claims(void) NO_LOCK_ANALYSIS
{
	const struct range_claim *claim;
	unsigned nr = 0;

	LIST_FOREACH(claim, &steps.mem->claims, link)
		nr++;
	return nr;
}

/* No other operation runs, so claims have not changed while the lock was not held. */
static void steps_take(struct mutex *m) NO_LOCK_ANALYSIS
{
	EXPECT_EQ(steps.t, count_claims(), steps.claims);
	mutex_lock(m);
}

static void steps_drop(struct mutex *m) NO_LOCK_ANALYSIS
{
	steps.claims = count_claims();
	mutex_unlock(m);
}

static void steps_plan(struct zone *zone, unsigned long leaving)
{
	EXPECT(steps.t, mutex_is_held(&zone->mem->hotplug));
	if (steps.plans < PLANS)
		steps.leaving[steps.plans] = leaving;
	steps.plans++;
	zone_set_limits(zone, leaving);
}

static void steps_offline(struct zone *zone, pfn_t pfn);

void steps_lock(struct memory *mem);
void steps_unlock(struct memory *mem);
bool steps_trylock(struct memory *mem);
void steps_plan_claimed(struct zone *zone);
bool steps_claimed(const struct memory *mem, struct pfn_range range);
unsigned long steps_count(
    const struct memory *mem, struct pfn_range range, enum pageblock_state state);
int steps_claim(struct memory *mem, struct range_claim *claim);
void steps_unclaim(struct memory *mem, struct range_claim *claim);
int steps_offline_pages(struct memory *mem, pfn_t start, unsigned long nr,
    const struct offline_opts *opts, struct offline_result *result);
int steps_online_pages(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail);
void steps_go_online(struct zone *zone, pfn_t pfn);

#define mutex_lock             steps_take
#define mutex_unlock           steps_drop
#define zone_set_limits        steps_plan
#define zone_set_watermarks(z) (steps.marks++, zone_set_watermarks(z))
#define pageblock_set_offline  steps_offline
#define hotplug_lock           steps_lock
#define hotplug_unlock         steps_unlock
#define hotplug_trylock        steps_trylock
#define zone_reset_limits      steps_plan_claimed
#define range_claimed          steps_claimed
#define range_count            steps_count
#define range_claim(mem, c)    steps_claim(mem, c)
#define range_unclaim          steps_unclaim
#define offline_pages          steps_offline_pages
#define online_pages           steps_online_pages
#define block_go_online        steps_go_online
#include "mm/core/claim.c"      /* NOLINT(bugprone-suspicious-include): the tested source */
#include "mm/hotplug/offline.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef pageblock_set_offline

static void steps_offline(struct zone *zone, pfn_t pfn) NO_LOCK_ANALYSIS
{
	EXPECT(steps.t, mutex_is_held(&zone->mem->hotplug));
	EXPECT_EQ(steps.t, pfn, steps.gone ? steps.last + PAGEBLOCK_PAGES : BLOCK(FIRST));
	steps.last = pfn;
	steps.gone++;
	steps.unclaimed += !steps_claimed(zone->mem, block_range(pfn));
	pageblock_set_offline(zone, pfn);
}

static bool begin(struct ktest *t, struct memory *mem)
{
	memset(&steps, 0, sizeof(steps));
	steps.t = t;
	steps.mem = mem;
	return mem;
}

/* An offlined pageblock is no longer claimed: the limits count only the rest as leaving. */
static void expect_offline(struct ktest *t, struct memory *mem, unsigned blocks)
{
	unsigned left = blocks, i;

	begin(t, mem);
	EXPECT_EQ(t, steps_offline_pages(mem, BLOCK(FIRST), BLOCK(blocks), NULL, NULL), 0);
	EXPECT_EQ(t, steps.gone, blocks);
	EXPECT_EQ(t, steps.unclaimed, 0);
	EXPECT_EQ(t, steps.marks, (blocks + HOLD - 1) / HOLD);
	EXPECT_EQ(t, steps.plans, 1 + steps.marks);
	EXPECT_EQ(t, steps.leaving[0], BLOCK(blocks));
	for (i = 1; i < steps.plans; i++) {
		left -= MIN(left, HOLD);
		EXPECT_EQ(t, steps.leaving[i], BLOCK(left));
	}
	EXPECT(t, LIST_EMPTY(&mem->claims));
	EXPECT_EQ(t, zone_of(mem, 0)->managed, BLOCK(ZONE - blocks));
}

KTEST_SUITE(offline_steps, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST_COST(commit_holds_the_lock_for_64_pageblocks)
{
	static const unsigned sizes[] = {1, HOLD, HOLD + 1, 68};
	struct memory *mem = ktest_memory(t, 0, 0, ZONE);
	unsigned i;

	REQUIRE(t, begin(t, mem));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		expect_offline(t, mem, sizes[i]);
		/* An online leaves no claim; watermarks are set once for each hold of the lock. */
		steps.plans = steps.marks = 0;
		EXPECT_EQ(t, steps_online_pages(mem, BLOCK(FIRST), BLOCK(sizes[i]), NULL), 0);
		EXPECT_EQ(t, steps.marks, (sizes[i] + HOLD - 1) / HOLD);
		EXPECT_EQ(t, steps.plans, steps.marks + 1);
		EXPECT_EQ(t, steps.leaving[0] + steps.leaving[1], 0);
		EXPECT_EQ(t, zone_of(mem, 0)->managed, BLOCK(ZONE));
	}
}

/* A refusal after the claim sets the limits once more; a refusal before it does not. */
KTEST(refused_offline_plans_caches_once)
{
	struct memory *mem = ktest_memory(t, 0, 0, ZONE);
	const u32 cancel = 1;
	const struct offline_opts opts = {.policy = ISO_PRECISE, .cancel = &cancel};
	struct mm_fail fail;

	REQUIRE(t, begin(t, mem));
	EXPECT_EQ(t, steps_offline_pages(mem, BLOCK(FIRST), BLOCK(4), &opts, NULL), -EINTR);
	EXPECT_EQ(t, steps.plans, 2);
	EXPECT_EQ(t, steps.leaving[0], BLOCK(4));
	EXPECT_EQ(t, steps.leaving[1], 0);
	EXPECT_EQ(t, steps_online_pages(mem, BLOCK(FIRST), BLOCK(4), &fail), -EALREADY);
	EXPECT_EQ(t, fail.pfn, BLOCK(FIRST));
	EXPECT_EQ(t, steps.plans, 3);
	EXPECT_EQ(t, steps_online_pages(mem, BLOCK(FIRST), 1, NULL), -EINVAL);
	EXPECT_EQ(t, steps_offline_pages(mem, BLOCK(FIRST), 1, NULL, NULL), -EINVAL);
	EXPECT_EQ(t, steps.plans, 3);
	EXPECT_EQ(t, steps.marks + steps.gone, 0);
}

/* A claim is added and removed under the lock. */
KTEST(claims_change_under_the_lock)
{
	struct memory *mem = ktest_memory(t, 0, 0, ZONE);
	struct range_claim claim = {.range = {BLOCK(FIRST), BLOCK(FIRST + 2)}};

	REQUIRE(t, begin(t, mem));
	EXPECT_EQ(t, steps_claim(mem, &claim), 0);
	EXPECT_EQ(t, steps.claims, 1);
	EXPECT_EQ(t, steps_offline_pages(mem, BLOCK(FIRST), BLOCK(1), NULL, NULL), -EBUSY);
	EXPECT_EQ(t, steps.claims, 1);
	steps_unclaim(mem, &claim);
	EXPECT_EQ(t, steps.claims, 0);
	EXPECT_EQ(t, steps_offline_pages(mem, BLOCK(FIRST), BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, steps_online_pages(mem, BLOCK(FIRST), BLOCK(1), NULL), 0);
	EXPECT_EQ(t, steps.claims, 0);
}
