/* SPDX-License-Identifier: MIT */
/*
 * explore_oom_seen.c: what the OOM killer finds out about tasks: objects that a thread gives away
 * while no task has a handle, and which task is the first. Run without preemption.
 *
 * Owns:  the tasks.
 */
#include "explore_tasks.h"
#include <quarry/mm.h>
#include <quarry/oom.h>
#include <quarry/string.h>

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			explore_fail("WRONG", #cond);                                              \
	} while (0)

/* The first task, and two tasks that it has started. */
static struct task *first, *giver, *other;
static s64 to_call, to_give; /* handles of the giver */
static bool seen;

/* A handle of @task to an object with @nr pages that is charged to @account. */
static s64 has_object(struct task *task, struct account *account, unsigned nr)
{
	struct account *before = account_use(account);
	struct vm_object *object = new_object(nr);
	s64 handle;
	unsigned i;

	account_use(before);
	for (i = 0; i < nr; i++)
		if (vm_object_supply(object, i, NULL))
			panic("no page");
	handle = give(task, CAP_OBJECT, RIGHT_READ | RIGHT_DUP, object);
	vm_object_put(object);
	return handle;
}

static void close_in(struct task *task, s64 handle)
{
	struct cap cap;

	CHECK(!cap_take(&task->caps, (u64)handle, CAP_OBJECT, &cap));
	cap_drop(&cap);
}

static void give_by_call(u64 arg)
{
	struct syscall_regs r = {.nr = SYS_CALL, .arg = {(u64)to_call, WAIT_FOREVER}};

	r.arg[ABI_GIVE] = (u64)to_give;
	user_call(&r);
}

/* While a new task is loaded. */
static void look_at_gift(void)
{
	struct vm_object *gift[ABI_MAX_THREADS];
	unsigned nr;

	close_in(first, to_give);
	nr = task_gifts(first, gift);
	CHECK(nr == 1 && vm_object_present(gift[0]) == 2);
	vm_object_put(gift[0]);
	seen = true;
}

static void give_to_a_new_task(void)
{
	u64 name, programs = (u64)give(first, CAP_PROGRAMS, RIGHT_EXEC, NULL);
	struct vm_object *gift[ABI_MAX_THREADS];
	s64 task;

	memcpy(&name, "program", sizeof(name));
	user_store(DATA, name);
	to_give = has_object(first, first->account, 2);
	programs_found = look_at_gift;
	task = CALL(SYS_TASK_CREATE, programs, DATA, 7, (u64)to_give);
	programs_found = NULL;
	CHECK(seen && !task_gifts(first, gift));
	CHECK(CALL(SYS_TASK_WAIT, (u64)task, WAIT_FOREVER) == TASK_EXITED);
}

/* The program of the first task. */
static void look_at_call(u64 arg)
{
	CALL(SYS_SLEEP, 5 * THREADS_TICK_NS);
	close_in(giver, to_give);
	/* As oom_alloc does. */
	kernel_memory.oom.asked = load_acquire(&kernel_memory.oom.left);
	kernel_memory.oom.going++;
	CHECK(kernel_memory.oom.kill(&kernel_memory, GFP_MOVABLE, 0, kernel_memory.oom.arg));
	CHECK(giver->victim && !other->ending);
	task_abandon(other);
	give_to_a_new_task();
	x.done = true;
}

/*
 * A task that has ended was charged for the gift, which is larger than the other task's object.
 */
void oom_gifts(void)
{
	struct endpoint *ep = endpoint_create();
	struct vm_object *data = new_object(1);
	struct account *before;
	struct task *head;

	oom_init();
	first = new_task(0);
	first->first = true;
	map_data(first, data);
	vm_object_put(data);
	before = account_use(first->account);
	if (task_create("head", &head))
		panic("no task");
	giver = new_task(1);
	other = new_task(2);
	account_use(before);
	to_call = give(giver, CAP_ENDPOINT, RIGHT_SEND, ep);
	give(first, CAP_ENDPOINT, RIGHT_RECEIVE, ep);
	endpoint_put(ep, RIGHT_RECEIVE);
	to_give = has_object(giver, head->account, 40);
	has_object(other, other->account, 25);
	task_abandon(head);
	task_put(head);
	new_program(giver, 1, give_by_call, 0);
	new_program(first, 2, look_at_call, 0);
}

/* While the first task is loaded. */
static void look_at_first(void)
{
	struct task *task = task_after(0);

	CHECK(task && task->first && task->starting);
	task_put(task);
	seen = true;
}

void oom_first(void)
{
	struct cap none = {.kind = CAP_NONE};
	const u64 arg[2] = {0};

	programs_found = look_at_first;
	CHECK(!task_start_first("program", &none, arg, &x.tasks[0]));
	programs_found = NULL;
	CHECK(seen && x.tasks[0]->first && !x.tasks[0]->starting);
	x.done = true;
}
