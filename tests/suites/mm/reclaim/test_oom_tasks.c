/* SPDX-License-Identifier: MIT */
/*
 * test_oom_tasks.c: of tasks that need more memory than there is, one is killed and the others
 * finish.
 */
#include "tests/lib/pager_help.h"
#include <quarry/oom.h>

#define WAIT_NS 20000000000ULL

static struct pile hoard;

#define TASKS 3
static const unsigned sizes[TASKS] = {120, 40, 40};
#define TASK_LEFT 100u

struct task {
	const char *name;
	struct vm_scene s;
	struct mm_task *mm; /* under tasks_lock; NULL: not begun, ended, or killed */
	u32 touched;        /* atomic */
	u32 killed, errors, finished;
};
static struct task tasks[TASKS];
static struct mutex tasks_lock = {.l = {.wq = WAITQ_BARE("tasks")}};
static u32 nr_killed;

/* Chooses the largest task and, as a kernel would, prints the candidates. */
static bool kill_largest(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	struct task *victim = NULL;
	unsigned long most = 0;
	unsigned i;

	mutex_lock(&tasks_lock);
	printk("  # out of memory: order %u, flags %#x\n", order, gfp);
	for (i = 0; i < TASKS; i++) {
		unsigned long nr =
		    tasks[i].mm ? vm_space_resident(tasks[i].s.space, ZONE_MOVABLE, NULL, NULL) : 0;

		if (tasks[i].mm)
			printk("  #   task %s: %lu pages\n", tasks[i].name, nr);
		if (nr > most) {
			most = nr;
			victim = &tasks[i];
		}
	}
	if (victim) {
		printk("  # task %s is killed: it has most\n", victim->name);
		WRITE_ONCE(victim->mm->reserve, 1);
		victim->mm = NULL;
		WRITE_ONCE(victim->killed, mem->oom.going);
		WRITE_ONCE(nr_killed, nr_killed + 1);
	}
	mutex_unlock(&tasks_lock);
	return victim;
}

static void task_exit(struct task *task)
{
	mutex_lock(&tasks_lock);
	task->mm = NULL;
	mutex_unlock(&tasks_lock);
	soft_unload_space();
	vm_object_put(task->s.object);
	vm_space_put(task->s.space);
	if (READ_ONCE(task->killed))
		memory_oom_gone(task->s.mem, task->killed);
}

static void task_run(void *arg)
{
	u64 value, until = arch_clock_ns() + WAIT_NS;
	struct task *task = arg;
	unsigned i;

	mutex_lock(&tasks_lock);
	task->mm = port_task();
	mutex_unlock(&tasks_lock);
	soft_load_space(task->s.space);
	for (i = 0; i < task->s.nr && !READ_ONCE(task->killed); i++) {
		int err;

		/* After 60 pages the large task waits until the next task has begun. */
		while (i == 60 && !READ_ONCE(task->killed) && !READ_ONCE(tasks[1].touched) &&
		    arch_clock_ns() < until)
			thread_yield();
		err = soft_write(page_at(i), stamp(i, 0, task->s.nr));

		/* Only a killed task may fail. */
		if (err && !READ_ONCE(task->killed))
			task->errors++;
		WRITE_ONCE(task->touched, i + 1);
	}
	/* A task that has written all its pages waits until some task has been killed. */
	while (!READ_ONCE(task->killed) && !READ_ONCE(nr_killed) && arch_clock_ns() < until)
		thread_yield();
	for (i = 0; i < task->s.nr && !READ_ONCE(task->killed); i++) {
		if (soft_read(page_at(i), &value) || value != stamp(i, 0, task->s.nr))
			task->errors += !READ_ONCE(task->killed);
	}
	task->finished = !READ_ONCE(task->killed);
	task_exit(task);
}

static bool make_tasks(struct ktest *t)
{
	static const char *const names[TASKS] = {"large", "one", "other"};
	struct memory *mem = ktest_backed_memory(t, VM_NORMAL, VM_MOVABLE);
	unsigned i;
	int err = 0;

	for (i = 0; mem && i < TASKS; i++) {
		struct task *task = &tasks[i];

		*task = (struct task){.name = names[i], .s = {.mem = mem, .nr = sizes[i]}};
		err = err ? err
		          : vm_object_create(mem, OBJ_ANON, sizes[i], NULL, NULL, &task->s.object);
		err = err ? err : vm_space_create(mem, &task->s.space);
		err =
		    err ? err : vm_map(task->s.space, VM_BASE, sizes[i], VM_RW, task->s.object, 0);
		EXPECT_EQ(t, err, 0);
		if (!err)
			prepare_scene(t, &task->s);
	}
	return mem && !err;
}

KTEST_SUITE(oom_tasks, KTEST_QUICK);

/* The tasks need about twice the free memory: one is killed, and the others finish. */
KTEST(one_task_is_killed_and_the_others_finish)
{
	u64 until;
	unsigned i;

	if (!ktest_needs_cpus(t, 4))
		return;
	if (!make_tasks(t))
		return;
	nr_killed = 0;
	hoard = (struct pile){NULL, 0};
	take_all_but(t, tasks[0].s.mem, &hoard, TASK_LEFT);
	memory_set_oom(tasks[0].s.mem, kill_largest, NULL);
	until = arch_clock_ns() + WAIT_NS;
	ktest_start(1, task_run, &tasks[0]);
	/* The large task touches 60 pages before the others begin, so it is always the largest. */
	while (READ_ONCE(tasks[0].touched) < 60 && arch_clock_ns() < until)
		thread_yield();
	ktest_start(2, task_run, &tasks[1]);
	ktest_start(3, task_run, &tasks[2]);
	for (i = 0; i < TASKS; i++)
		ktest_join(i + 1);
	memory_set_oom(tasks[0].s.mem, NULL, NULL);
	EXPECT_EQ(t, nr_killed, 1);
	EXPECT_EQ(t, mm_event_sum(tasks[0].s.mem, EV_OOM_KILLS), 1);
	EXPECT_EQ(t, mm_event_sum(tasks[0].s.mem, EV_OOM_STUCK), 0);
	for (i = 0; i < TASKS; i++) {
		EXPECT_EQ(t, tasks[i].killed != 0, i == 0);
		EXPECT_EQ(t, tasks[i].finished, i != 0);
		EXPECT_EQ(t, tasks[i].errors, 0);
	}
	EXPECT_EQ(t, pile_free(tasks[0].s.mem, &hoard), 0);
	expect_sound(t, tasks[0].s.mem);
}
