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

#define COMPUTE 20u
#define TURNS   10u
#define MOST    8u

static struct memory *mem;
static struct pile pile;
static u32 nr;            /* victims chosen so far */
static u32 numbers[MOST]; /* numbers of the victims */
static u64 chosen_at[MOST];

static bool choose(struct memory *m, gfp_t gfp, unsigned order, void *arg)
{
	if (nr < MOST) {
		numbers[nr] = m->oom.going;
		chosen_at[nr] = arch_clock_ns();
	}
	WRITE_ONCE(nr, nr + 1);
	return true;
}

static void ask(void)
{
	struct page *page = mem_alloc_pages(mem, GFP_KERNEL, 0);

	if (page)
		mem_free_pages(mem, page, 0);
}

/* Sleep until @ns after the choice of the first victim. */
static void sleep_until(u64 ns)
{
	u64 now = arch_clock_ns() - chosen_at[0];

	if (now < ns)
		thread_sleep(ns - now);
}

static int waited(unsigned i)
{
	return chosen_at[i] - chosen_at[i - 1] - oom_wait_ns < SLACK;
}

WAIT(ask, ask());
WAIT(until, sleep_until((u64)a[0]));
VERB(nr, READ_ONCE(nr));
VERB(waited, waited((unsigned)a[0])); /* for victim a[0], before the next was chosen */
VERB(stuck, mm_event_sum(mem, EV_OOM_STUCK));
VERB(drain_waits, mm_event_sum(mem, EV_ALLOC_DRAIN_WAIT));
VERB(going, mem->oom.going);
VERB(victim, numbers[a[0]]);
DO(gone, memory_oom_gone(mem, numbers[a[0]]));
DO(just_gone, mem->oom.gone_at = arch_clock_ns());
VERB(give_back, pile_free(mem, &pile)); /* no call tells the waiters that pages are free */
DO(joined, play(playing, __FILE__, __LINE__, "join"));

/* Make a memory without free pages. */
static bool begin(void)
{
	mem = ktest_memory(playing, 0, 16, 0);
	if (!mem)
		return false;
	nr = 0;
	pile = (struct pile){NULL, 0};
	all_caches_off(playing, mem);
	pile_alloc(mem, &pile, GFP_KERNEL | GFP_NOWAIT, 0, ALL_THERE_IS);
	memory_set_oom(mem, choose, NULL);
	return true;
}

VERB(begin, !begin());
DO(end, memory_set_oom(mem, NULL, NULL); memory_oom_gone(mem, mem->oom.going));

KTEST_SUITE(silence_oom, 0);

KTEST(victim_has_its_time_however_many_wait)
ROWS("begin; 1> ask; sleep 1s; 2> ask; sleep 1s; 3> ask; sleep 1s; nr = 1; until 39s; nr = 2;"
     "waited 1 = 1; stuck = 1; victim 0 != victim.1; going = victim.1; until 59s; nr = 3;"
     "waited 2 = 1; give_back; joined; end")

/*
 * The first victim ends late, after the choice of a second one, and frees nothing: the second
 * victim keeps its time.  After a wait for the second victim's pages, a third victim is chosen
 * before the time of the second would be over.
 */
KTEST(late_end_of_a_victim_is_no_other_ones)
ROWS("begin; 1> ask; sleep 1s; nr = 1; until 22s; nr = 2; gone 0; until 30s; nr = 2; going = "
     "victim.1; gone 1;"
     "going = 0; until 35s; nr = 3; stuck = 1; give_back; joined; end")

/*
 * Just after boot no victim has ended, so there is nothing to wait for.  After a victim has ended,
 * there is a wait of 200 ms for its pages.
 */
KTEST(first_victim_is_chosen_at_once)
ROWS("begin; just_gone; 1> ask; sleep 1s; nr = 1; drain_waits = 1; gone 0; sleep 190ms; nr = 1;"
     "sleep 510ms; nr = 2; give_back; joined; end")

/*
 * The victim's pages are freed a moment after its death: another reference to their object
 * remained.
 */
KTEST(no_second_victim_is_chosen_at_once)
ROWS("begin; 1> ask; sleep 1s; nr = 1; gone 0; sleep 100ms; give_back; joined; nr = 1; end")

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
static struct thread *join_task(void)
{
	struct thread *t = thread_current();

	t->shares = task.shares;
	t->share = &task.shares[t->cpu];
	return t;
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

static void ask_for_task(unsigned i)
{
	struct thread *t = join_task();

	task.asker[i] = t;
	ask();
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
		thread_sleep(TICK);
	return true;
}

WAIT(ask_for_task, ask_for_task((unsigned)a[0]));
WAIT(decision, while (!READ_ONCE(nr)) thread_sleep(TICK));
DO(decide, store_release(&task.decided, 1u));
VERB(turns_beside, task.turns_beside);
VERB(left, task.left);
VERB(in_line, mem->oom.lock.l.first != NULL);
VERB(own_share, task.asker[a[0]]->share == &task.asker[a[0]]->own);

/*
 * The task's computing threads together have as many turns as the thread that decides.  The thread
 * that waits for the decision has its own turns too, since it may be the next to decide.  It leaves
 * the line while the first one still decides.
 */
KTEST(decision_waits_for_no_other_thread_of_its_task)
{
	struct thread *computing[COMPUTE];
	unsigned i;

	PLAY(t, "begin");
	memset(&task, 0, sizeof(task));
	task.shares = NEED(t, shares_new());
	memory_set_oom(mem, choose_slowly, NULL);
	memory_set_boost(mem, sched_boost);
	for (i = 0; i < COMPUTE; i++)
		computing[i] = NEED(t, thread_start("computing", 1, compute, NULL));
	PLAY(t,
	    "1> ask_for_task 0; decision; turns_beside <= 20; 2> ask_for_task 1; sleep 1s;"
	    "in_line = 1; nr = 1; own_share 0 = 1; own_share 1 = 1; give_back; sleep 200ms;"
	    "running = 1; left = 1; decide; join; left = 2");
	store_release(&task.stop, 1u);
	for (i = 0; i < COMPUTE; i++)
		thread_join(computing[i]);
	kfree(task.shares);
	PLAY(t, "end");
}
