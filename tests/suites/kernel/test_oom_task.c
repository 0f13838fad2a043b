/* SPDX-License-Identifier: MIT */
/*
 * test_oom_task.c: the choice of the task that is killed on OOM; the hook is called as mm/ calls
 * it, although memory is free.
 */
#include "tests/lib/task_help.h"
#include <quarry/account.h>
#include <quarry/oom.h>
#include <quarry/pager.h>
#include <quarry/sched.h>

#define WINDOW  0x10000000UL /* where a task has its pages */
#define NR      64           /* pages of its object */
#define MEMBERS 8

/* A task without threads that has touched pages of its object, which its account pays for. */
static struct member {
	struct task *task; /* NULL: there is none */
	struct vm_object *object;
} m[MEMBERS];

enum { NOBODY = -2, FIRST = -1 };
struct plan {
	unsigned pages;
	int parent; /* its number, as if it had started the task; FIRST: the task is never killed */
};

static bool start_one(struct member *x, struct ktest *t, const struct plan *plan)
{
	struct account *before = NULL;
	unsigned i;

	if (plan->parent >= 0)
		before = account_use(m[plan->parent].task->account);
	if (task_create("test", &x->task)) {
		EXPECT(t, !"a task");
		x->task = NULL;
	} else {
		struct account *outer = account_use(x->task->account);

		x->task->first = plan->parent == FIRST;
		if (vm_object_create(&kernel_memory, OBJ_ANON, NR, NULL, NULL, &x->object) ||
		    vm_map(x->task->space, WINDOW, NR, VM_READ | VM_WRITE, x->object, 0))
			EXPECT(t, !"its memory");
		space_use(x->task->space);
		for (i = 0; i < plan->pages; i++)
			EXPECT_EQ(t, copy_to_user(WINDOW + i * PAGE_SIZE, &i, sizeof(i)), 0);
		space_use(NULL);
		account_use(outer);
	}
	if (plan->parent >= 0)
		account_use(before);
	return x->task;
}

static bool start(struct ktest *t, const struct plan *plan, unsigned nr)
{
	unsigned i;

	memset(m, 0, sizeof(m));
	for (i = 0; i < nr; i++)
		if (!start_one(&m[i], t, &plan[i]))
			return false;
	return true;
}
#define START(t, ...)                                                                              \
	do {                                                                                       \
		static const struct plan plan_[] = {__VA_ARGS__};                                  \
		REQUIRE(t, start(t, plan_, ARRAY_SIZE(plan_)));                                    \
	} while (0)

static void leave(unsigned nr)
{
	vm_object_put(m[nr].object);
	task_abandon(m[nr].task);
	task_put(m[nr].task);
	m[nr].task = NULL;
}

static void leave_all(void)
{
	unsigned i;

	for (i = MEMBERS; i-- > 0;)
		if (m[i].task)
			leave(i);
}

/* Call the hook as a new allocation does, which knows of all victims that are gone. */
static bool ask_for(gfp_t gfp)
{
	static u32 number = 1000;
	bool found;

	kernel_memory.oom.asked = load_acquire(&kernel_memory.oom.left);
	kernel_memory.oom.going = ++number;
	found = kernel_memory.oom.kill(&kernel_memory, gfp, 0, kernel_memory.oom.arg);
	if (!found)
		kernel_memory.oom.going = 0;
	return found;
}

static bool is_victim(unsigned nr)
{
	const struct task *task = m[nr].task;

	return task->victim && task->ending == TASK_KILLED && task->status == -ENOMEM;
}

/* The hook kills number @nr, and no other task. */
static void expect_victim(struct ktest *t, gfp_t gfp, unsigned nr)
{
	bool ended[MEMBERS];
	unsigned i;

	for (i = 0; i < MEMBERS; i++)
		ended[i] = m[i].task && m[i].task->ending;
	EXPECT(t, ask_for(gfp));
	EXPECT(t, is_victim(nr));
	for (i = 0; i < MEMBERS; i++)
		if (m[i].task && i != nr)
			EXPECT_EQ(t, m[i].task->ending != TASK_RUNS, ended[i]);
}

/* Touch @nr pages so far apart that each needs a page table of its own. */
static void use_tables(struct ktest *t, const struct member *x, unsigned nr)
{
	struct account *before = account_use(x->task->account);
	unsigned i;

	space_use(x->task->space);
	for (i = 1; i <= nr; i++) {
		u64 va = WINDOW + (u64)i * PT_ENTRIES * PAGE_SIZE;

		EXPECT_EQ(t, vm_map(x->task->space, va, 1, VM_READ | VM_WRITE, x->object, 0), 0);
		EXPECT_EQ(t, copy_to_user(va, &i, sizeof(i)), 0);
	}
	space_use(NULL);
	account_use(before);
}

/* Give number @to a handle to the object of number @of. */
static void give(struct ktest *t, unsigned to, unsigned of)
{
	struct cap cap = {.kind = CAP_OBJECT, .rights = RIGHT_READ, .object = m[of].object};

	cap_get(&cap);
	EXPECT(t, cap_install(&m[to].task->caps, &cap) > 0);
}

KTEST_SUITE(oom_task, 0);

#define COLUMNS                                                                                    \
	"; of * pages in use none can be reclaimed\n"                                              \
	"oom:  task name         family  threads    pages  -shared     +has  +kernel\n"
#define TABLE        "oom: no memory for the kernel, 1 page, flags 0x1" COLUMNS
#define TABLE_KERNEL "oom: no memory for the kernel, 1 page, flags 0" COLUMNS
#define SUM          "oom: * pages are charged, * are free, * are the kernel's own\n"
#define GONE_TOO     "oom: task * test is gone, * pages are free\n"
#define GONE         SUM GONE_TOO

KTEST(task_with_the_most_pages_is_killed,
    .says = TABLE "oom: * test * 0 * 10 * 0 * 0 * 6\n"
                  "oom: * test * 0 * 20 * 0 * 0 * 6  the most: killed\n"
                  "oom: * test * 0 * 10 * 0 * 0 * 6\n" GONE)
{
	u64 gone = kernel_memory.oom.gone;

	START(t, {10, NOBODY}, {20, NOBODY}, {10, NOBODY});
	expect_victim(t, GFP_MOVABLE, 1);
	/* A victim is gone when it has freed everything; it is counted once. */
	EXPECT_EQ(t, kernel_memory.oom.gone, gone);
	leave(1);
	EXPECT_EQ(t, kernel_memory.oom.gone, gone + 1);
	leave_all();
	EXPECT_EQ(t, kernel_memory.oom.gone, gone + 1);
}

/* No page table maps the pages, and the task has no handle. */
KTEST(pages_count_for_their_account_though_nobody_maps_them,
    .says = TABLE "oom: * test * 0 * 12 * 0 * 0 * 6  the most: killed\n"
                  "oom: * test * 0 * 10 * 0 * 0 * 6\n" GONE)
{
	struct vm_space *space;

	START(t, {12, NOBODY}, {10, NOBODY});
	space = m[0].task->space;
	EXPECT_EQ(t, vm_map(space, 2 * WINDOW, NR, VM_READ, m[0].object, 0), 0);
	EXPECT_EQ(t, vm_unmap(space, WINDOW, NR), 0);
	EXPECT_EQ(t, vm_space_resident(space, ZONE_MOVABLE, NULL, NULL), 0);
	expect_victim(t, GFP_MOVABLE, 0);
	leave_all();
}

/* The server has the pages mapped, and a handle, but its end would free nothing. */
KTEST(pages_do_not_count_for_who_was_given_them,
    .says = TABLE "oom: * test * 0 * 20 * 0 * 0 * 6  the most: killed\n"
                  "oom: * test * 0 * 5 * 0 * 0 * 7\n" GONE TABLE
                  "oom: * test * 0 * 5 * 0 * 22 * 7  the most: killed\n" GONE)
{
	struct vm_space *space;
	unsigned i;

	START(t, {20, NOBODY}, {5, NOBODY});
	give(t, 1, 0);
	space = m[1].task->space;
	EXPECT_EQ(t, vm_map(space, 2 * WINDOW, NR, VM_READ, m[0].object, 0), 0);
	space_use(space);
	for (i = 0; i < 20; i++) {
		u32 word;

		EXPECT_EQ(t, copy_from_user(&word, 2 * WINDOW + i * PAGE_SIZE, sizeof(word)), 0);
		EXPECT_EQ(t, word, i);
	}
	space_use(NULL);
	expect_victim(t, GFP_MOVABLE, 0);
	/* The pages are charged to no task any more, so they count for the task that has them. */
	leave(0);
	expect_victim(t, GFP_MOVABLE, 1);
	leave_all();
}

/* Unmapped pages of an ended task count once: for a task with a handle, or for the family. */
KTEST(pages_of_the_dead_count_for_who_is_left,
    .says = TABLE "oom: * test * 0 * 31 * 30 * 0 * *  first task: exempt\n"
                  "oom: * test * 0 * 2 * 0 * 32 * 6  the most: killed\n"
                  "oom: * test * 0 * 25 * 0 * 0 * 6\n" GONE TABLE
                  "oom: * test * 0 * 1 * 0 * 0 * *  first task: exempt\n"
                  "oom: * test * 0 * 25 * 0 * 0 * 6  the most: killed\n" GONE)
{
	struct vm_object *object;

	START(t, {1, FIRST}, {30, 0}, {2, 1}, {25, 0});
	give(t, 2, 1);
	give(t, 2, 1);
	object = m[1].object;
	vm_object_get(object); /* as a message would */
	leave(1);
	expect_victim(t, GFP_MOVABLE, 2);
	leave(2);
	vm_object_put(object);
	expect_victim(t, GFP_MOVABLE, 3);
	leave_all();
}

/* The family's task that is left has more than the other, but not what the other has inherited. */
KTEST(pages_of_the_dead_count_once_if_another_family_has_them,
    .says = TABLE "oom: * test * 0 * 31 * 30 * 0 * *  first task: exempt\n"
                  "oom: * test * 0 * 10 * 0 * 0 * 6\n"
                  "oom: * test * 0 * 5 * 0 * 32 * 6  the most: killed\n" GONE)
{
	START(t, {1, FIRST}, {30, 0}, {10, 1}, {5, 0});
	give(t, 3, 1);
	leave(1);
	expect_victim(t, GFP_MOVABLE, 3);
	leave_all();
}

#define LEAVES 60u /* tables of slots */

/* Give @task a handle to an object with many tables but no page, and to one with a pager. */
static void give_empty_objects(struct ktest *t, struct account *charged, struct task *task)
{
	struct account *before = account_use(charged);
	struct cap cap[2] = {{.kind = CAP_OBJECT}, {.kind = CAP_OBJECT}};
	struct endpoint *ep = endpoint_create();
	struct vm_object *paged = NULL, *object = NULL;
	unsigned i;

	EXPECT(t, ep && !pager_create(ep, 1, 0, 1, &paged));
	EXPECT_EQ(t,
	    vm_object_create(&kernel_memory, OBJ_ANON, LEAVES * PT_ENTRIES, NULL, NULL, &object),
	    0);
	account_use(before);
	REQUIRE(t, paged && object);
	endpoint_put(ep, RIGHT_RECEIVE);
	for (i = 0; i < LEAVES; i++)
		EXPECT_EQ(t, vm_object_supply(object, i * PT_ENTRIES, NULL), 0);
	EXPECT_EQ(t, vm_object_remove(object, 0, LEAVES * PT_ENTRIES), 0);
	cap[0].object = paged;
	cap[1].object = object;
	for (i = 0; i < 2; i++)
		EXPECT(t, cap_install(&task->caps, &cap[i]) > 0);
}

KTEST(kernel_memory_of_the_dead_counts_for_who_is_left,
    .says = TABLE "oom: * test * 0 * 1 * 0 * 0 * *  first task: exempt\n"
                  "oom: * test * 0 * 1 * 0 * 63 * 6  the most: killed\n"
                  "oom: * test * 0 * 25 * 0 * 0 * 6\n" GONE)
{
	START(t, {1, FIRST}, {1, 0}, {1, 1}, {25, 0});
	give_empty_objects(t, m[1].task->account, m[2].task);
	leave(1);
	expect_victim(t, GFP_MOVABLE, 2);
	leave_all();
}

KTEST(pages_in_a_message_count_for_their_family,
    .says = TABLE "oom: * test * 0 * 31 * 0 * 0 * *  first task: exempt\n"
                  "oom: * test * 0 * 2 * 0 * 0 * 6  the most: killed\n"
                  "oom: * test * 0 * 25 * 0 * 0 * 6\n" GONE)
{
	struct vm_object *object;

	START(t, {1, FIRST}, {30, 0}, {2, 1}, {25, 0});
	object = m[1].object;
	vm_object_get(object);
	leave(1);
	expect_victim(t, GFP_MOVABLE, 2);
	vm_object_put(object);
	leave_all();
}

KTEST(kernel_allocations_count_for_their_task,
    .says = TABLE "oom: * test * 0 * 60 * 0 * 0 * 6\n"
                  "oom: * test * 0 * 1 * 0 * 0 * 86  the most: killed\n" GONE)
{
	START(t, {60, NOBODY}, {1, NOBODY});
	use_tables(t, &m[1], 80);
	EXPECT_EQ(t, vm_object_present(m[1].object), 1);
	EXPECT_EQ(t, vm_unmap(m[1].task->space, WINDOW, 81 * PT_ENTRIES), 0);
	expect_victim(t, GFP_MOVABLE, 1);
	leave_all();
}

KTEST(pages_that_the_request_cannot_use_do_not_count,
    .says = TABLE_KERNEL
    "oom: * test * 0 * 0 * 0 * 0 * 6  and 60 in other zones\n"
    "oom: * test * 0 * 0 * 0 * 0 * 26  the most: killed  and 1 in other zones\n" SUM TABLE
    "oom: * test * 0 * 60 * 0 * 0 * 6  the most: killed\n"
    "oom: * test * 0 * 1 * 0 * 0 * 26  ending\n" GONE GONE_TOO)
{
	START(t, {60, NOBODY}, {1, NOBODY});
	use_tables(t, &m[1], 20);
	if (vm_space_resident(m[0].task->space, ZONE_NORMAL, NULL, NULL)) {
		ktest_skip(t, "there is no zone of movable pages only");
	} else {
		EXPECT_EQ(t, vm_space_resident(m[0].task->space, ZONE_MOVABLE, NULL, NULL), 60);
		expect_victim(t, GFP_KERNEL, 1);
		expect_victim(t, GFP_MOVABLE, 0);
	}
	leave_all();
}

/* Task 2 has little, but the largest family: the largest task of this family is killed. */
KTEST(family_with_the_most_pages_loses_its_largest_task,
    .says = TABLE "oom: * test * 0 * 1 * 0 * 0 * *  first task: exempt\n"
                  "oom: * test * 0 * 63 * 0 * 0 * 6\n"
                  "oom: * test * 0 * 1 * 0 * 0 * *\n"
                  "oom: * test * 0 * 30 * 0 * 0 * *  the most: killed\n"
                  "oom: * test * 0 * 3 * 0 * 0 * 6\n"
                  "oom: * test * 0 * 24 * 0 * 0 * 6\n"
                  "oom: * test * 0 * 1 * 0 * 0 * 6\n" GONE TABLE
                  "oom: * test * 0 * 1 * 0 * 0 * *  first task: exempt\n"
                  "oom: * test * 0 * 63 * 0 * 0 * 6  the most: killed\n"
                  "oom: * test * 0 * 1 * 0 * 0 * *\n"
                  "oom: * test * 0 * 3 * 0 * 0 * 6\n"
                  "oom: * test * 0 * 24 * 0 * 0 * 6\n"
                  "oom: * test * 0 * 1 * 0 * 0 * 6\n" GONE TABLE
                  "oom: * test * 0 * 1 * 0 * 0 * *  first task: exempt\n"
                  "oom: * test * 0 * 1 * 0 * 0 * *\n"
                  "oom: * test * 0 * 3 * 0 * 0 * 6\n"
                  "oom: * test * 0 * 24 * 0 * 0 * 6  the most: killed\n"
                  "oom: * test * 0 * 1 * 0 * 0 * 6\n" GONE)
{
	/* 1 is alone; 2 has the children 3 and 4, and 3 has the children 5 and 6. */
	START(t, {1, FIRST}, {63, 0}, {1, 0}, {30, 2}, {3, 2}, {24, 3}, {1, 3});
	expect_victim(t, GFP_MOVABLE, 3);
	leave(3);
	/* Now the family has less than task 1. */
	expect_victim(t, GFP_MOVABLE, 1);
	leave(1);
	expect_victim(t, GFP_MOVABLE, 5);
	leave_all();
}

/*
 * A child has exited and left a child of its own, for which the kernel allocates much: that orphan
 * is killed.
 */
KTEST(orphans_do_not_count_for_their_grandparent,
    .says = TABLE_KERNEL
    "oom: * test * 0 * 0 * 0 * 0 * *  first task: exempt  and 1 in other zones\n"
    "oom: * test * 0 * 0 * 0 * 0 * *  and 5 in other zones\n"
    "oom: * test * 0 * 0 * 0 * 0 * 88  the most: killed  and 1 in other zones\n" GONE)
{
	START(t, {1, FIRST}, {5, 0}, {1, 1}, {1, 2});
	use_tables(t, &m[3], 80);
	leave(2);
	expect_victim(t, GFP_KERNEL, 3);
	leave_all();
}

KTEST(first_task_is_never_killed,
    .says = TABLE "oom: * test * 0 * 30 * 0 * 0 * 6  first task: exempt\n"
                  "oom: * test * 0 * 1 * 0 * 0 * 6  the most: killed\n" GONE)
{
	START(t, {30, FIRST});
	EXPECT(t, !ask_for(GFP_MOVABLE)); /* no victim: the allocation fails */
	EXPECT(t, !m[0].task->ending);
	REQUIRE(t, start_one(&m[1], t, &(struct plan){1, NOBODY}));
	expect_victim(t, GFP_MOVABLE, 1);
	leave_all();
	EXPECT(t, !ask_for(GFP_MOVABLE));
}

/* All tasks that are ending get the reserve: the killer does not wait for one after the other. */
KTEST(exiting_tasks_are_the_victims,
    .says = TABLE "oom: * test * 0 * 1 * 0 * 0 * 6  ending: waited for\n"
                  "oom: * test * 0 * 1 * 0 * 0 * 6  ending\n"
                  "oom: * test * 0 * 30 * 0 * 0 * 6\n" SUM TABLE
                  "oom: * test * 0 * 1 * 0 * 0 * 6  ending\n"
                  "oom: * test * 0 * 1 * 0 * 0 * 6  ending\n"
                  "oom: * test * 0 * 30 * 0 * 0 * 6  the most: killed\n" GONE GONE_TOO GONE_TOO)
{
	u64 gone = kernel_memory.oom.gone;

	START(t, {1, NOBODY}, {1, NOBODY}, {30, NOBODY});
	task_end(m[0].task, TASK_EXITED, 7);
	task_end(m[1].task, TASK_EXITED, 7);
	EXPECT(t, ask_for(GFP_MOVABLE));
	EXPECT(t, m[0].task->victim && m[0].task->status == 7 && m[1].task->victim);
	EXPECT(t, !m[2].task->ending);
	/* The first victims are stuck, so the next one is chosen. */
	expect_victim(t, GFP_MOVABLE, 2);
	leave_all();
	EXPECT_EQ(t, kernel_memory.oom.gone, gone + 3);
}

/* Threads of a victim exit from any state, and may use the reserve for it. */
KTEST(killed_victim_exits,
    .says = TABLE "oom: * test * 1 *  the most: killed\n" GONE TABLE
                  "oom: * test * 1 *  the most: killed\n" GONE TABLE
                  "oom: * test * 1 *  the most: killed\n" GONE)
{
	const u64 entry[] = {code_at(user_spin), code_at(user_sleep), code_at(user_store_cpu)};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(entry); i++) {
		struct task *task = new_task(t);
		u64 gone = kernel_memory.oom.gone;

		REQUIRE(t, task);
		EXPECT_EQ(t, add_thread(task, -1, entry[i], DATA), 0);
		/*
		 * The thread has its stack and registers from the start, so it may be killed in any
		 * state.
		 */
		EXPECT(t, ask_for(GFP_MOVABLE));
		expect_end(t, task, TASK_KILLED, -ENOMEM);
		EXPECT_EQ(t, kernel_memory.oom.gone, gone + 1);
	}
}

/* The record of an ended task, kept by a reference, counts for the task that started it. */
KTEST(an_ended_task_counts_until_its_last_reference_goes)
{
	const u64 *records;
	struct task *child;

	START(t, {1, NOBODY});
	records = &m[0].task->account->used[ACCOUNT_RECORDS];
	EXPECT_EQ(t, *records, 0);
	REQUIRE(t, start_one(&m[1], t, &(struct plan){1, 0}));
	child = m[1].task;
	task_get(child);
	leave(1);
	EXPECT(t, *records * (PAGE_SIZE / 32) > sizeof(struct task));
	task_put(child);
	EXPECT_EQ(t, *records, 0);
	leave_all();
}

/* A thread that needs a decision is a share of its own: the kernel has set the hook for it. */
KTEST_INSIDE(decisions_about_the_kernels_memory_have_a_share)
{
	EXPECT(t, kernel_memory.oom.boost == sched_boost);
}

/* ---- a killed task frees every page, despite references ---- */

KTEST(a_pinned_page_comes_back_with_its_pin)
{
	unsigned long free;
	struct page *page;

	kmalloc_trim();
	free = memory_free_pages(&kernel_memory);
	START(t, {10, NOBODY});
	REQUIRE(t, vm_object_pin(m[0].object, 3, &page) == 0);
	leave_all();
	kmalloc_trim();
	EXPECT_EQ(t, memory_free_pages(&kernel_memory), free - 1);
	mem_unpin_page(&kernel_memory, page);
	EXPECT_EQ(t, memory_free_pages(&kernel_memory), free);
}
