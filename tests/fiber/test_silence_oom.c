/* SPDX-License-Identifier: MIT */
/*
 * test_silence_oom.c: victims that do not end: the wait for each, and the number chosen meanwhile,
 * in the machine's time.  Threads of a task that needs a decision, beside computing threads of the
 * same task.
 */
#include "silence_help.h"
#include "kernel/thread.h"
#include "mm/reclaim/request.h"
#include "tests/lib/mm_test.h"
#include <quarry/oom.h>
#include <quarry/sched.h>

#define WAITERS 3u
#define COMPUTE 20u
#define TURNS   10u

static struct memory *mem;
static struct pile pile;
static u32 nr;         /* victims chosen so far */
static u32 numbers[8]; /* numbers of the victims */
static u64 chosen_at[8];

static bool choose(struct memory *m, gfp_t gfp, unsigned order, void *arg)
{
	if (nr < ARRAY_SIZE(numbers)) {
		numbers[nr] = m->oom.going;
		chosen_at[nr] = arch_clock_ns();
	}
	WRITE_ONCE(nr, nr + 1);
	return true;
}

static void ask(void *arg)
{
	struct page *page = mem_alloc_pages(mem, GFP_KERNEL, 0);

	if (page)
		mem_free_pages(mem, page, 0);
}

/* Make a memory without free pages, for which @waiters threads wait; they begin a second apart. */
static bool begin(struct ktest *t, unsigned waiters)
{
	unsigned cpu;

	mem = ktest_memory(t, 0, 16, 0);
	if (!mem)
		return false;
	nr = 0;
	pile = (struct pile){NULL, 0};
	all_caches_off(t, mem);
	pile_alloc(mem, &pile, GFP_KERNEL | GFP_NOWAIT, 0, ALL_THERE_IS);
	memory_set_oom(mem, choose, NULL);
	for (cpu = 1; cpu <= waiters; cpu++) {
		ktest_start(cpu, ask, NULL);
		thread_sleep(1 * S);
	}
	EXPECT_EQ(t, READ_ONCE(nr), waiters ? 1 : 0);
	return true;
}

static void end(struct ktest *t, unsigned waiters)
{
	unsigned cpu;
	u64 began = arch_clock_ns();

	/* No call tells the waiters that pages are free. */
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	for (cpu = 1; cpu <= waiters; cpu++)
		ktest_join(cpu);
	EXPECT_TOOK(t, arch_clock_ns() - began, 0);
	memory_set_oom(mem, NULL, NULL);
	memory_oom_gone(mem, mem->oom.going);
}

/* Sleep until @ns after the choice of the first victim. */
static void sleep_until(u64 ns)
{
	u64 now = arch_clock_ns() - chosen_at[0];

	if (now < ns)
		thread_sleep(ns - now);
}

KTEST_SUITE(silence_oom, 0);

KTEST(victim_has_its_time_however_many_wait)
{
	if (!begin(t, WAITERS))
		return;
	sleep_until(39 * S);
	EXPECT_EQ(t, READ_ONCE(nr), 2);
	EXPECT_TOOK(t, chosen_at[1] - chosen_at[0], oom_wait_ns);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OOM_STUCK), 1);
	EXPECT(t, numbers[0] != numbers[1] && mem->oom.going == numbers[1]);
	sleep_until(59 * S);
	EXPECT_EQ(t, READ_ONCE(nr), 3);
	EXPECT_TOOK(t, chosen_at[2] - chosen_at[1], oom_wait_ns);
	end(t, WAITERS);
}

/*
 * The first victim ends late, after the choice of a second one, and frees nothing: the second
 * victim keeps its time.
 */
KTEST(late_end_of_a_victim_is_no_other_ones)
{
	if (!begin(t, 1))
		return;
	sleep_until(22 * S);
	EXPECT_EQ(t, READ_ONCE(nr), 2);
	memory_oom_gone(mem, numbers[0]);
	sleep_until(30 * S);
	EXPECT_EQ(t, READ_ONCE(nr), 2);
	EXPECT_EQ(t, mem->oom.going, numbers[1]);
	memory_oom_gone(mem, numbers[1]);
	EXPECT_EQ(t, mem->oom.going, 0);
	/*
	 * After a wait for the second victim's pages, a third victim is chosen before the time of
	 * the second would be over.
	 */
	sleep_until(35 * S);
	EXPECT_EQ(t, READ_ONCE(nr), 3);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OOM_STUCK), 1);
	end(t, 1);
}

/* Just after boot no victim has ended, so there is nothing to wait for. */
KTEST(first_victim_is_chosen_at_once)
{
	u64 began;

	if (!begin(t, 0))
		return;
	mem->oom.gone_at = arch_clock_ns();
	ktest_start(1, ask, NULL);
	thread_sleep(1 * S);
	EXPECT_EQ(t, READ_ONCE(nr), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_DRAIN_WAIT), 1);
	/* After a victim has ended, there is a wait for its pages. */
	memory_oom_gone(mem, mem->oom.going);
	began = arch_clock_ns();
	thread_sleep(1 * S);
	EXPECT_EQ(t, READ_ONCE(nr), 2);
	EXPECT_TOOK(t, chosen_at[1] - began, 200 * MS);
	end(t, 1);
}

/*
 * The victim's pages are freed a moment after its death: another reference to their object
 * remained.
 */
KTEST(no_second_victim_is_chosen_at_once)
{
	if (!begin(t, 1))
		return;
	memory_oom_gone(mem, mem->oom.going);
	thread_sleep(100 * MS);
	end(t, 1);
	EXPECT_EQ(t, READ_ONCE(nr), 1);
}

/* ---- the thread that decides ---- */

/* Stands for a task with threads on two CPUs. */
static struct {
	struct share *shares;
	struct thread *asker[2];
	u32 turns;        /* atomic: of its computing threads */
	u32 turns_beside; /* of these, during TURNS turns of the thread that decides */
	u32 left;         /* atomic: askers that were threads of the task again at the end */
	u32 decided;      /* atomic: the decision may end */
	u32 stop;         /* atomic */
} task;

/* The running thread is one of the task's from here on. */
static void join_task(void)
{
	struct thread *t = thread_current();

	t->shares = task.shares;
	t->share = &task.shares[t->cpu];
}

static void compute(void *arg)
{
	join_task();
	while (!load_acquire(&task.stop)) {
		atomic_add(&task.turns, 1u);
		thread_yield();
	}
	sched_leave_shares(thread_current());
}

static void ask_for_task(void *arg)
{
	struct thread **self = arg, *t = thread_current();

	WRITE_ONCE(*self, t);
	join_task();
	ask(NULL);
	atomic_add(&task.left, t->share == &task.shares[t->cpu]);
	sched_leave_shares(t);
}

static bool choose_slowly(struct memory *m, gfp_t gfp, unsigned order, void *arg)
{
	u32 before = READ_ONCE(task.turns);
	unsigned i;

	for (i = 0; i < TURNS; i++)
		thread_yield();
	task.turns_beside = READ_ONCE(task.turns) - before;
	WRITE_ONCE(nr, nr + 1);
	while (!load_acquire(&task.decided))
		thread_sleep(10 * MS);
	return true;
}

/*
 * The task's computing threads together have as many turns as the thread that decides.  The thread
 * that waits for the decision has its own turns too, since it may be the next to decide.
 */
KTEST(decision_waits_for_no_other_thread_of_its_task)
{
	struct thread *computing[COMPUTE];
	unsigned i;

	if (!begin(t, 0))
		return;
	memset(&task, 0, sizeof(task));
	task.shares = NEED(t, shares_new());
	memory_set_oom(mem, choose_slowly, NULL);
	memory_set_boost(mem, sched_boost);
	for (i = 0; i < COMPUTE; i++)
		computing[i] = NEED(t, thread_start("computing", 1, compute, NULL));
	ktest_start(1, ask_for_task, &task.asker[0]);
	while (!READ_ONCE(nr))
		thread_sleep(10 * MS);
	EXPECT(t, task.turns_beside <= 2 * TURNS);
	ktest_start(2, ask_for_task, &task.asker[1]);
	thread_sleep(1 * S);
	EXPECT(t, mem->oom.lock.l.first && READ_ONCE(nr) == 1);
	for (i = 0; i < 2; i++)
		EXPECT(t, task.asker[i]->share == &task.asker[i]->own);
	/* The second thread leaves the line, while the first one still decides. */
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	ktest_join(2);
	EXPECT_EQ(t, task.left, 1);
	store_release(&task.decided, 1u);
	ktest_join(1);
	EXPECT_EQ(t, task.left, 2);
	store_release(&task.stop, 1u);
	for (i = 0; i < COMPUTE; i++)
		thread_join(computing[i]);
	kfree(task.shares);
	memory_set_oom(mem, NULL, NULL);
	memory_oom_gone(mem, mem->oom.going);
}
