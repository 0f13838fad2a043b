/* SPDX-License-Identifier: MIT */
/*
 * test_play_oom.c: the OOM killer with simulated clock, locks, waits and allocation: which victim
 * is chosen when, how long it is waited for, and the result that an allocation gets.
 */
#include "tests/host/judge_help.h"
#include "tests/lib/mm_test.h"

#include <quarry/console.h>
#include <quarry/oom.h>

#define BLOCKS   (PAGEBLOCK_ORDER >= 9 ? 4u : 64u)
#define GRACE_MS 200u
#define MS       1000000ULL
#define RUNS     8u /* so often an allocation begins anew because others leave */

static struct memory *world;
static u64 now;
static struct page *found; /* by the try under the lock */
static bool finds;         /* the killer finds a victim */
static bool too_late;      /* there is no further check when a wait has lasted long enough */
static void (*in_kill)(void), (*in_wait)(void);
static struct page some_page;

static void note_lock(struct mutex *m)
{
	judge_note(m == &world->oom.lock ? "lock\n" : "lock of ?\n");
	m->l.count = SLEEP_EXCLUSIVE;
}

static void note_unlock(struct mutex *m)
{
	judge_note(m == &world->oom.lock ? "unlock\n" : "unlock of ?\n");
	m->l.count = 0;
}

static void note_wake(struct waitq *wq)
{
	judge_note(wq == &world->oom.wq ? "wake\n" : "wake ?\n");
}

static bool note_wait(struct waitq *wq, bool (*cond)(void *), void *arg, u64 timeout_ns)
{
	bool was = cond(arg);

	judge_note("%s %llu ms%s\n", was ? "no wait of" : "wait",
	    (unsigned long long)(timeout_ns / MS), timeout_ns % MS ? " and more" : "");
	if (!was && in_wait)
		in_wait();
	return !too_late && cond(arg);
}

static struct page *note_look(struct memory *mem, gfp_t gfp, unsigned order)
{
	judge_note("look %u\n", order);
	return found;
}

static u64 clock_ns(void)
{
	return now;
}

#define mutex_lock          note_lock
#define mutex_unlock        note_unlock
#define wake_up             note_wake
#define wait_until          note_wait
#define alloc_from_zonelist note_look
#define arch_clock_ns       clock_ns
#define memory_set_oom      played_set_oom
#define memory_oom_gone     played_gone
#define memory_oom_left     played_left
#define memory_oom_outdated played_outdated
#define oom_begin           played_begin
#define oom_alloc           played_alloc
static void played_set_oom(struct memory *mem,
    bool (*kill)(struct memory *mem, gfp_t gfp, unsigned order, void *arg), void *arg);
static void played_gone(struct memory *mem);
static void played_left(struct memory *mem);
static bool played_outdated(struct memory *mem);
static void played_begin(const struct memory *mem, struct oom_seen *seen);
static struct page *played_alloc(
    struct memory *mem, gfp_t gfp, unsigned order, const struct oom_seen *seen, bool *again);
#include "mm/alloc_oom.c" /* NOLINT(bugprone-suspicious-include): what is played */

static bool kill_one(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	judge_note("kill for %x %u%s%s\n", gfp, order, arg == &now ? "" : " with ?",
	    READ_ONCE(mem->oom.going) ? "" : " too early");
	if (in_kill)
		in_kill();
	return finds;
}

static bool begin(struct ktest *t)
{
	judge_begin();
	world = ktest_memory(t, 0, BLOCKS, BLOCKS);
	if (!world)
		return false;
	now = 5 * MS; /* not long after the boot */
	found = NULL;
	finds = true;
	too_late = false;
	in_kill = in_wait = NULL;
	played_set_oom(world, kill_one, &now);
	EXPECT_SAID(t, "lock\nunlock\n");
	return true;
}

static void end(void)
{
	world->oom.kill = NULL;
	world->oom.going = 0;
}

static struct oom_seen seen;

/* The result of an allocation that began just now, or earlier. */
static void expect_answer(
    struct ktest *t, gfp_t gfp, unsigned order, struct page *page, bool again, const char *said)
{
	bool more = !again;

	EXPECT(t, played_alloc(world, gfp, order, &seen, &more) == page);
	EXPECT_EQ(t, more, again);
	EXPECT_SAID(t, said);
}

static void start(void)
{
	seen.runs = 0;
	played_begin(world, &seen);
}

#define CHOICE "lock\nlook 0\nkill for 0 0\nunlock\n"
#define RETRY  "lock\nlook 0\nunlock\n"

static void one_goes(void)
{
	played_gone(world);
}

/* It has exited, and the next victim is exiting already. */
static void one_goes_unseen(void)
{
	world->oom.gone++;
}

static void another_has_given_up(void)
{
	world->oom.going = 0;
}

static void wait_for_a_victim_is_bounded(struct ktest *t)
{
	if (!begin(t))
		return;
	start();
	EXPECT_EQ(t, seen.runs, 1);
	in_wait = one_goes;
	expect_answer(t, GFP_KERNEL, 0, NULL, true, CHOICE "wait 20000 ms\nwake\n");
	EXPECT_EQ(t, world->oom.going, 0);
	EXPECT_EQ(t, world->oom.gone, 1);
	EXPECT_EQ(t, world->oom.gone_at, now);
	EXPECT_EQ(t, mm_event_sum(world, EV_OOM_KILLS), 1);
	/* An allocation that began before that tries again. */
	expect_answer(t, GFP_KERNEL, 0, NULL, true, RETRY "no wait of 200 ms\n");
	now += GRACE_MS * MS;
	expect_answer(t, GFP_KERNEL, 0, NULL, true, RETRY);
	/* A victim that does not exit is given up. */
	start();
	in_wait = NULL;
	expect_answer(t, GFP_KERNEL, 0, NULL, true, CHOICE "wait 20000 ms\nlock\nunlock\n");
	EXPECT_EQ(t, mm_event_sum(world, EV_OOM_STUCK), 1);
	EXPECT_EQ(t, world->oom.going, 0);
	/* While it exits no other is chosen. */
	world->oom.going = 1;
	expect_answer(t, GFP_KERNEL, 0, NULL, true, RETRY "wait 20000 ms\nlock\nunlock\n");
	EXPECT_EQ(t, mm_event_sum(world, EV_OOM_STUCK), 2);
	/* Another thread has given it up already. */
	in_wait = another_has_given_up;
	expect_answer(t, GFP_KERNEL, 0, NULL, true, CHOICE "wait 20000 ms\nlock\nunlock\n");
	EXPECT_EQ(t, mm_event_sum(world, EV_OOM_STUCK), 2);
	EXPECT_EQ(t, mm_event_sum(world, EV_OOM_KILLS), 3);
	EXPECT_EQ(t, mm_event_sum(world, EV_OOM_NOBODY), 0);
	end();
}

/* It exited after the wait, before the lock was taken: the next victim is not given up for it. */
static void victim_that_exits_late_still_counts(struct ktest *t)
{
	if (!begin(t))
		return;
	start();
	too_late = true;
	in_wait = one_goes_unseen;
	expect_answer(t, GFP_KERNEL, 0, NULL, true, CHOICE "wait 20000 ms\nlock\nunlock\n");
	EXPECT_EQ(t, world->oom.going, 1);
	EXPECT_EQ(t, mm_event_sum(world, EV_OOM_STUCK), 0);
	end();
}

static void no_second_victim_is_chosen_for_a_while(struct ktest *t)
{
	if (!begin(t))
		return;
	/* Just after the boot no task has exited. */
	start();
	finds = false;
	expect_answer(t, GFP_KERNEL, 0, NULL, false, CHOICE);
	played_gone(world);
	judge_clear();
	finds = true;
	start();
	now += 50 * MS;
	expect_answer(t, GFP_KERNEL, 0, NULL, true, RETRY "wait 150 ms\n");
	/* A page that is there by now is had. */
	found = &some_page;
	expect_answer(t, GFP_KERNEL, 0, &some_page, false, RETRY);
	found = NULL;
	now += 150 * MS - 1;
	expect_answer(t, GFP_KERNEL, 0, NULL, true, RETRY "wait 0 ms and more\n");
	now++;
	in_wait = one_goes;
	expect_answer(t, GFP_KERNEL, 0, NULL, true, CHOICE "wait 20000 ms\nwake\n");
	end();
}

static void killer_retries_the_allocation_under_its_lock(struct ktest *t)
{
	if (!begin(t))
		return;
	start();
	found = &some_page;
	expect_answer(t, GFP_MOVABLE, 0, &some_page, false, RETRY);
	/* Even with a victim exiting: the allocation has its page. */
	world->oom.going = 1;
	expect_answer(t, GFP_MOVABLE, 0, &some_page, false, RETRY);
	EXPECT_EQ(t, mm_event_sum(world, EV_OOM_KILLS), 0);
	end();
}

static void restricted_requests_kill_no_task(struct ktest *t)
{
	static const gfp_t particular[] = {GFP_NORETRY, GFP_THISNODE, GFP_DMA32};
	unsigned i;

	if (!begin(t))
		return;
	start();
	for (i = 0; i < ARRAY_SIZE(particular); i++)
		expect_answer(t, GFP_KERNEL | particular[i], 0, NULL, false, "");
	/* There are pages enough, only not side by side. */
	expect_answer(t, GFP_KERNEL, 3, NULL, false, "");
	expect_answer(t, GFP_MOVABLE, 1, NULL, false, "");
	played_set_oom(world, NULL, NULL);
	judge_clear();
	expect_answer(t, GFP_KERNEL, 0, NULL, false, "");
	end();
}

/* The flags and the order that the killer gets. */
static void large_request_kills_only_below_the_high_watermark(struct ktest *t)
{
	struct zone *normal, *movable;
	unsigned long free[2];
	char want[80];

	if (!begin(t))
		return;
	start();
	normal = &world->zones[ZONE_NORMAL];
	movable = &world->zones[ZONE_MOVABLE];
	free[0] = normal->nr_free;
	free[1] = movable->nr_free;
	normal->nr_free = normal->wmark[WMARK_HIGH];
	in_wait = one_goes;
	expect_answer(t, GFP_KERNEL, 3, NULL, true,
	    "lock\nlook 3\nkill for 0 3\nunlock\nwait 20000 ms\nwake\n");
	now += GRACE_MS * MS;
	start();
	/*
	 * Another zone that it may use has enough; of the reserve for others it may have nothing.
	 */
	expect_answer(t, GFP_MOVABLE, 3, NULL, false, "");
	movable->nr_free = movable->wmark[WMARK_HIGH];
	normal->nr_free = normal->wmark[WMARK_HIGH] + normal->reserve;
	EXPECT(t, normal->reserve > 0);
	ksnprintf(want, sizeof(want), "lock\nlook 3\nkill for %x 3\nunlock\nwait 20000 ms\nwake\n",
	    GFP_MOVABLE);
	expect_answer(t, GFP_MOVABLE, 3, NULL, true, want);
	normal->nr_free++;
	expect_answer(t, GFP_MOVABLE, 3, NULL, false, "");
	normal->nr_free = free[0];
	movable->nr_free = free[1];
	end();
}

/* A victim itself neither chooses nor waits. */
static void victim_neither_kills_nor_waits(struct ktest *t)
{
	if (!begin(t))
		return;
	start();
	WRITE_ONCE(port_task()->reserve, 1);
	expect_answer(t, GFP_KERNEL, 0, NULL, true, RETRY);
	world->oom.going = 1;
	expect_answer(t, GFP_KERNEL, 0, NULL, true, RETRY "no wait of 20000 ms\n");
	WRITE_ONCE(port_task()->reserve, 0);
	end();
}

/* ---- tasks that exit ---- */

static void one_leaves(void)
{
	played_left(world);
}

static void exiting_task_lets_allocations_retry(struct ktest *t)
{
	if (!begin(t))
		return;
	finds = false;
	start();
	in_kill = one_leaves;
	expect_answer(t, GFP_KERNEL, 0, NULL, true, CHOICE);
	EXPECT_EQ(t, world->oom.going, 0);
	EXPECT_EQ(t, mm_event_sum(world, EV_OOM_NOBODY), 0);
	/* A task that exited before the allocation began has no effect on it. */
	start();
	in_kill = NULL;
	expect_answer(t, GFP_KERNEL, 0, NULL, false, CHOICE);
	EXPECT_EQ(t, mm_event_sum(world, EV_OOM_NOBODY), 1);
	in_kill = one_leaves;
	seen.runs = RUNS - 1;
	expect_answer(t, GFP_KERNEL, 0, NULL, true, CHOICE);
	seen.runs = RUNS;
	expect_answer(t, GFP_KERNEL, 0, NULL, false, CHOICE);
	EXPECT_EQ(t, mm_event_sum(world, EV_OOM_NOBODY), 2);
	EXPECT_EQ(t, mm_event_sum(world, EV_OOM_KILLS), 0);
	EXPECT_EQ(t, world->oom.left, 3);
	/* Only an allocation that would choose a victim is told so. */
	world->oom.asked = 1;
	EXPECT(t, !played_outdated(world));
	world->oom.going = 1;
	EXPECT(t, played_outdated(world));
	world->oom.asked = 3;
	EXPECT(t, !played_outdated(world));
	end();
}

KTEST_SUITE(play_oom, KTEST_MOSTLY_INSIDE, KTEST(wait_for_a_victim_is_bounded),
    KTEST(victim_that_exits_late_still_counts), KTEST(no_second_victim_is_chosen_for_a_while),
    KTEST(killer_retries_the_allocation_under_its_lock), KTEST(restricted_requests_kill_no_task),
    KTEST(large_request_kills_only_below_the_high_watermark), KTEST(victim_neither_kills_nor_waits),
    KTEST(exiting_task_lets_allocations_retry));
