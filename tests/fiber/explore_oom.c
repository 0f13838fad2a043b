/* SPDX-License-Identifier: MIT */
/*
 * explore_oom.c: sets of the explorer of threads: memory runs out, and the victim exits by itself
 * meanwhile. In each order the victim ends once, is reported once, and no other task dies.
 *
 * Owns:  all memory except the tasks'.
 */
#include "explore_tasks.h"
#include "mm/reclaim/request.h"
#include <quarry/mm.h>
#include <quarry/oom.h>

#define LARGE 8 /* pages of the victim */
#define SMALL 2 /* pages of the other task */

static struct page *hoard[THREADS_PAGES];
static unsigned orders[THREADS_PAGES], nr_hoarded;
static s64 to_victim;
static u64 kills;

/* ---- memory runs out ---- */

static void take_all(gfp_t gfp, unsigned order)
{
	while ((hoard[nr_hoarded] = alloc_pages(gfp, order)))
		orders[nr_hoarded++] = order;
}

/* Allocate all memory but the reserve for victims. */
static void run_out(void)
{
	unsigned order;

	for (order = MAX_ORDER; order > 0; order--)
		take_all(GFP_MOVABLE | GFP_NOWAIT, order);
	take_all(GFP_MOVABLE | GFP_NORETRY, 0);
	kills = mm_event_sum(&kernel_memory, EV_OOM_KILLS);
	/* The OOM killer must not wait for a victim of an earlier run. */
	kernel_memory.oom.gone = 0;
}

static void give_back(void)
{
	while (nr_hoarded > 0) {
		nr_hoarded--;
		free_pages(hoard[nr_hoarded], orders[nr_hoarded]);
	}
}

/* ---- victim, requester, onlookers ---- */

static struct task *task_with(unsigned nr, unsigned pages, unsigned touched)
{
	struct task *task = task_with_data(nr, pages);
	unsigned i;

	for (i = 0; i < touched; i++)
		if (vm_fault(task->space, DATA + i * PAGE_SIZE, VM_WRITE))
			panic("no page");
	return task;
}

/* Wait for the victim's end, then exit. */
static void look_on(u64 arg)
{
	struct syscall_regs r = {.nr = SYS_TASK_WAIT, .arg = {(u64)to_victim, WAIT_FOREVER}};

	x.result[0] = user_call(&r);
	x.result[1] = (s64)r.arg[1];
	CALL(SYS_EXIT, STATUS);
}

static void touch_one_more(u64 arg)
{
	user_store(DATA + LARGE * PAGE_SIZE, 1);
	x.result[2] = (s64)user_load(DATA + LARGE * PAGE_SIZE);
}

/* Allocate a page for the kernel. */
static void ask(void)
{
	struct page *page = alloc_pages(GFP_MOVABLE, 0);

	if (page)
		free_pages(page, 0);
	x.done = page != NULL;
}

static void set_up(void (*a)(u64), void (*b)(u64))
{
	struct task *victim = task_with(0, LARGE + 1, LARGE), *other = task_with(1, SMALL, SMALL);
	struct vm_object *object = new_object(1);

	oom_init();
	/* An object that may be counted while it goes. */
	give(victim, CAP_OBJECT, RIGHT_READ, object);
	vm_object_put(object);
	to_victim = give(other, CAP_TASK, RIGHT_WAIT, victim);
	new_program(other, 3, look_on, 0);
	new_program(victim, 2, a, 0);
	if (b)
		new_program(victim, b == touch_one_more ? 1 : 3, b, 0);
	run_out();
}

ROLE(exits, set_up(end_task, NULL));
ROLE(last_threads_end, set_up(end_thread, end_thread));
ROLE(exits_and_asks, set_up(end_task, touch_one_more));

/* ---- a task releases the last of what it has ---- */

static u32 had_left, was_gone;
static unsigned long content;

static void exits_with_pages(void)
{
	had_left = kernel_memory.oom.left;
	was_gone = kernel_memory.oom.gone;
	content = account_content(&account_all, true);
	new_program(task_with(0, SMALL, SMALL), 2, end_task, 0);
}

/* Wait until the task has left; it is chosen a moment before its end, or too late. */
static void look_and_choose(void)
{
	while (READ_ONCE(kernel_memory.oom.left) == had_left)
		cpu_relax();
	x.done = account_content(&account_all, true) == content;
	x.flag = task_end_victim(x.tasks[0], 5);
}

/* The task has no reference but its thread's. */
static void exits_unheld(void)
{
	oom_init();
	exits_with_pages();
	task_put(x.tasks[0]);
	x.tasks[0] = NULL;
}

static void choose_anybody(void)
{
	struct oom_state *oom = &kernel_memory.oom;

	mutex_lock(&oom->lock);
	oom->asked = READ_ONCE(oom->left);
	WRITE_ONCE(oom->going, 5);
	x.flag = oom->kill(&kernel_memory, GFP_MOVABLE, 0, oom->arg);
	if (!x.flag)
		WRITE_ONCE(oom->going, 0);
	mutex_unlock(&oom->lock);
}

/* ---- a task starts another one ---- */

#define TRIES 24 /* each has two more free pages than the one before */

/*
 * At first there is no memory for the new task, then too little for its program, at last enough.
 * While it is loaded it is the only task that could be killed, but its creator would have to wait
 * for its end, and to bring it about.
 */
static void start_until_there_is_memory(u64 programs)
{
	struct cap child;
	s64 began;
	unsigned i;

	for (i = 0; i < TRIES && x.result[0] < 0; i++) {
		/* The first pages are not movable, the last ones are. */
		free_pages(hoard[i], 0);
		hoard[i] = hoard[--nr_hoarded];
		free_pages(hoard[--nr_hoarded], 0);
		began = CALL(SYS_CLOCK);
		x.result[0] = CALL(SYS_TASK_CREATE, programs, DATA, 7, 0);
		if (x.result[0] < 0 && x.result[0] != -ENOMEM)
			explore_fail("WRONG", "another error than no memory");
		if (CALL(SYS_CLOCK) - began > (s64)(20 * THREADS_TICK_NS))
			explore_fail("WRONG", "the start has waited for its own end");
	}
	x.result[1] = i;
	x.result[2] = CALL(SYS_TASK_WAIT, (u64)x.result[0], WAIT_FOREVER);
	if (!cap_lookup(&task_current()->caps, (u64)x.result[0], CAP_TASK, RIGHT_WAIT, &child)) {
		x.done = !((struct task *)child.object)->starting;
		cap_drop(&child);
	}
}

static void starts_without_memory(void)
{
	struct vm_object *object = new_object(1);
	struct task *task = new_task(0);
	u64 page[PAGE_SIZE / sizeof(u64)] = {0};

	oom_wait_ns = 50 * THREADS_TICK_NS; /* less than tasks_end waits */
	oom_init();
	task->first = true;
	memcpy(page, "program", 7);
	if (vm_object_supply(object, 0, page))
		panic("no page");
	map_data(task, object);
	vm_object_put(object);
	if (vm_fault(task->space, DATA, VM_READ))
		panic("no page mapped");
	x.result[0] = -ENOMEM;
	new_program(
	    task, 1, start_until_there_is_memory, (u64)give(task, CAP_PROGRAMS, RIGHT_EXEC, NULL));
	take_all(GFP_KERNEL | GFP_NORETRY, 0);
	take_all(GFP_MOVABLE | GFP_NORETRY, 0);
	kills = mm_event_sum(&kernel_memory, EV_OOM_KILLS);
}

/* ---- checks in each order ---- */

static const char *judge_victim(s32 status)
{
	const struct task *victim = x.tasks[0], *other = x.tasks[1];
	const struct oom_state *oom = &kernel_memory.oom;
	bool killed = victim->ending == TASK_KILLED;

	give_back();
	kills = mm_event_sum(&kernel_memory, EV_OOM_KILLS) - kills;
	if (other->ending != TASK_EXITED || other->status != STATUS)
		return "another task was killed";
	if (!killed && victim->ending != TASK_EXITED)
		return "it ended by nobody";
	if (victim->status != (killed ? -ENOMEM : status))
		return "the status is not of who ended it";
	if (x.result[0] != (s64)victim->ending || x.result[1] != victim->status)
		return "who waited was told differently";
	if (kills > 1 || (killed && !kills))
		return "it was not chosen once";
	if (oom->gone != kills || oom->going)
		return "its end was not told once";
	return NULL;
}

static const char *judge_had(s32 status)
{
	const char *bad = judge_victim(status);

	return bad || x.done ? bad : "an allocation has failed";
}

static const char *judge_left(void)
{
	if (!x.done)
		return "a task that has left still has pages";
	return kernel_memory.oom.gone - was_gone == x.flag ? NULL : "its end was not told once";
}

JUDGE(judge_unheld, kernel_memory.oom.gone - was_gone == x.flag && !kernel_memory.oom.going,
    "its end was not told once");
JUDGE_BY(judge_exit, judge_had(STATUS));
JUDGE_BY(judge_last, judge_had(0));

static const char *judge_asker(void)
{
	const char *bad = judge_victim(STATUS);

	return bad || x.result[2] == NOT_YET || x.result[2] == 1 ? bad : "a word was lost";
}

static const char *judge_starter(void)
{
	give_back();
	if (mm_event_sum(&kernel_memory, EV_OOM_KILLS) != kills)
		return "a task was killed";
	if (x.result[1] < 4)
		return "there was memory all the time";
	if (x.result[2] != TASK_EXITED)
		return "the new task has not run";
	return x.done ? NULL : "a task that has run cannot be killed";
}

/* A race that needs three preemptions shows in about one of 3,000 random schedules: .rare. */
static const struct set sets[] = {
    X(an_oom_kill_meets_an_exit, exits, judge_exit, .role = {ask}, .rare = 6),
    X(an_oom_kill_meets_the_end_of_the_last_threads, last_threads_end, judge_last, .role = {ask},
        .rare = 6),
    X(a_task_is_chosen_when_it_has_left, exits_with_pages, judge_left, .role = {look_and_choose}),
    X(a_task_is_chosen_that_nobody_else_holds, exits_unheld, judge_unheld,
        .role = {choose_anybody}),
    X(an_oom_kill_meets_the_exit_of_who_asks, exits_and_asks, judge_asker),
    X(a_task_is_started_without_memory, starts_without_memory, judge_starter),
};

const struct explore_suite oom_suite = {"oom", sets, ARRAY_SIZE(sets), NULL};
