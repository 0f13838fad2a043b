/* SPDX-License-Identifier: MIT */
/*
 * test_oom_task.c: the choice of the task that is killed on OOM; the hook is called as mm/ calls
 * it, although memory is free.
 */
#include "tests/lib/oom_task_help.h"
#include <quarry/account.h>
#include <quarry/pager.h>
#include <quarry/sched.h>

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
	struct vm_object *object[3];
	struct task *task[3];
	u64 gone = kernel_memory.oom.gone;
	unsigned i;

	for (i = 0; i < 3; i++) {
		task[i] = task_with(t, i == 1 ? 20 : 10, false, &object[i]);
		REQUIRE(t, task[i]);
	}
	EXPECT(t, ask());
	EXPECT(t, is_victim(task[1]));
	EXPECT(t, !task[0]->ending && !task[2]->ending);
	/* A victim is gone when it has freed everything; it is counted once. */
	EXPECT_EQ(t, kernel_memory.oom.gone, gone);
	leave(task[1], object[1]);
	EXPECT_EQ(t, kernel_memory.oom.gone, gone + 1);
	leave(task[0], object[0]);
	leave(task[2], object[2]);
	EXPECT_EQ(t, kernel_memory.oom.gone, gone + 1);
}

/* No page table maps the pages, and the task has no handle. */
KTEST(pages_count_for_their_account_though_nobody_maps_them,
    .says = TABLE "oom: * test * 0 * 12 * 0 * 0 * 6  the most: killed\n"
                  "oom: * test * 0 * 10 * 0 * 0 * 6\n" GONE)
{
	struct vm_object *object[2];
	struct task *hides = task_with(t, 12, false, &object[0]),
	            *shows = task_with(t, 10, false, &object[1]);

	REQUIRE(t, hides && shows);
	EXPECT_EQ(t, vm_map(hides->space, 2 * WINDOW, NR, VM_READ, object[0], 0), 0);
	EXPECT_EQ(t, vm_unmap(hides->space, WINDOW, NR), 0);
	EXPECT_EQ(t, vm_space_resident(hides->space, ZONE_MOVABLE, NULL, NULL), 0);
	EXPECT(t, ask());
	EXPECT(t, is_victim(hides) && !shows->ending);
	leave(hides, object[0]);
	leave(shows, object[1]);
}

/* The server has the pages mapped, and a handle, but its end would free nothing. */
KTEST(pages_do_not_count_for_who_was_given_them,
    .says = TABLE "oom: * test * 0 * 20 * 0 * 0 * 6  the most: killed\n"
                  "oom: * test * 0 * 5 * 0 * 0 * 7\n" GONE TABLE
                  "oom: * test * 0 * 5 * 0 * 22 * 7  the most: killed\n" GONE)
{
	struct task *client, *server;
	struct vm_object *object, *own;
	struct cap cap = {.kind = CAP_OBJECT, .rights = RIGHT_READ};
	unsigned i;

	client = task_with(t, 20, false, &object);
	server = task_with(t, 5, false, &own);
	REQUIRE(t, client && server);
	cap.object = object;
	cap_get(&cap);
	EXPECT(t, cap_install(&server->caps, &cap) > 0);
	EXPECT_EQ(t, vm_map(server->space, 2 * WINDOW, NR, VM_READ, object, 0), 0);
	space_use(server->space);
	for (i = 0; i < 20; i++) {
		u32 word;

		EXPECT_EQ(t, copy_from_user(&word, 2 * WINDOW + i * PAGE_SIZE, sizeof(word)), 0);
		EXPECT_EQ(t, word, i);
	}
	space_use(NULL);
	EXPECT(t, ask());
	EXPECT(t, is_victim(client) && !server->ending);
	/* The pages are charged to no task any more, so they count for the task that has them. */
	leave(client, object);
	EXPECT(t, ask());
	EXPECT(t, is_victim(server));
	leave(server, own);
}

/* Unmapped pages of an ended task count once: for a task with a handle, or for the family. */
KTEST(pages_of_the_dead_count_for_who_is_left,
    .says = TABLE "oom: * test * 0 * 31 * 30 * 0 * *  first task: exempt\n"
                  "oom: * test * 0 * 2 * 0 * 32 * 6  the most: killed\n"
                  "oom: * test * 0 * 25 * 0 * 0 * 6\n" GONE TABLE
                  "oom: * test * 0 * 1 * 0 * 0 * *  first task: exempt\n"
                  "oom: * test * 0 * 25 * 0 * 0 * 6  the most: killed\n" GONE)
{
	struct vm_object *none, *object, *own[3];
	struct task *first = task_with(t, 1, true, &none), *head, *child, *other;
	struct cap cap = {.kind = CAP_OBJECT, .rights = RIGHT_READ};
	s64 handle[2];
	unsigned i;

	REQUIRE(t, first);
	head = NEED(t, child_with(t, first, 30, &object));
	child = child_with(t, head, 2, &own[0]);
	other = child_with(t, first, 25, &own[1]);
	REQUIRE(t, child && other);
	cap.object = object;
	for (i = 0; i < 2; i++) {
		cap_get(&cap);
		handle[i] = cap_install(&child->caps, &cap);
		EXPECT(t, handle[i] > 0);
	}
	vm_object_get(object); /* as a message would */
	leave(head, object);
	EXPECT(t, ask());
	EXPECT(t, is_victim(child) && !other->ending);
	leave(child, own[0]);
	child = NULL;
	vm_object_put(object);
	EXPECT(t, ask());
	EXPECT(t, is_victim(other));
	leave(other, own[1]);
	leave(first, none);
}

/* The family's task that is left has more than the other, but not what the other has inherited. */
KTEST(pages_of_the_dead_count_once_if_another_family_has_them,
    .says = TABLE "oom: * test * 0 * 31 * 30 * 0 * *  first task: exempt\n"
                  "oom: * test * 0 * 10 * 0 * 0 * 6\n"
                  "oom: * test * 0 * 5 * 0 * 32 * 6  the most: killed\n" GONE)
{
	struct vm_object *none, *object, *own[2];
	struct task *first = task_with(t, 1, true, &none), *head, *child, *other;
	struct cap cap = {.kind = CAP_OBJECT, .rights = RIGHT_READ};

	REQUIRE(t, first);
	head = NEED(t, child_with(t, first, 30, &object));
	child = child_with(t, head, 10, &own[0]);
	other = child_with(t, first, 5, &own[1]);
	REQUIRE(t, child && other);
	cap.object = object;
	cap_get(&cap);
	EXPECT(t, cap_install(&other->caps, &cap) > 0);
	leave(head, object);
	EXPECT(t, ask());
	EXPECT(t, is_victim(other) && !child->ending);
	leave(other, own[1]);
	leave(child, own[0]);
	leave(first, none);
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
	struct vm_object *none, *own[3];
	struct task *first = task_with(t, 1, true, &none), *head, *holder, *other;

	REQUIRE(t, first);
	head = NEED(t, child_with(t, first, 1, &own[0]));
	holder = child_with(t, first, 1, &own[1]);
	other = child_with(t, first, 25, &own[2]);
	REQUIRE(t, holder && other);
	give_empty_objects(t, head->account, holder);
	leave(head, own[0]);
	EXPECT(t, ask());
	EXPECT(t, is_victim(holder) && !other->ending);
	leave(holder, own[1]);
	leave(other, own[2]);
	leave(first, none);
}

KTEST(pages_in_a_message_count_for_their_family,
    .says = TABLE "oom: * test * 0 * 31 * 0 * 0 * *  first task: exempt\n"
                  "oom: * test * 0 * 2 * 0 * 0 * 6  the most: killed\n"
                  "oom: * test * 0 * 25 * 0 * 0 * 6\n" GONE)
{
	struct vm_object *none, *object, *own[2];
	struct task *first = task_with(t, 1, true, &none), *head, *child, *other;

	REQUIRE(t, first);
	head = NEED(t, child_with(t, first, 30, &object));
	child = child_with(t, head, 2, &own[0]);
	other = child_with(t, first, 25, &own[1]);
	REQUIRE(t, child && other);
	vm_object_get(object);
	leave(head, object);
	EXPECT(t, ask());
	EXPECT(t, is_victim(child) && !other->ending);
	vm_object_put(object);
	leave(child, own[0]);
	leave(other, own[1]);
	leave(first, none);
}

KTEST(kernel_allocations_count_for_their_task,
    .says = TABLE "oom: * test * 0 * 60 * 0 * 0 * 6\n"
                  "oom: * test * 0 * 1 * 0 * 0 * 86  the most: killed\n" GONE)
{
	struct vm_object *object[2];
	struct task *many = task_with(t, 60, false, &object[0]),
	            *tables = task_with(t, 1, false, &object[1]);

	REQUIRE(t, many && tables);
	use_tables(t, tables, object[1], 80);
	EXPECT_EQ(t, vm_object_present(object[1]), 1);
	EXPECT_EQ(t, vm_unmap(tables->space, WINDOW, 81 * PT_ENTRIES), 0);
	EXPECT(t, ask());
	EXPECT(t, is_victim(tables) && !many->ending);
	leave(many, object[0]);
	leave(tables, object[1]);
}

KTEST(pages_that_the_request_cannot_use_do_not_count,
    .says = TABLE_KERNEL
    "oom: * test * 0 * 0 * 0 * 0 * 6  and 60 in other zones\n"
    "oom: * test * 0 * 0 * 0 * 0 * 26  the most: killed  and 1 in other zones\n" SUM TABLE
    "oom: * test * 0 * 60 * 0 * 0 * 6  the most: killed\n"
    "oom: * test * 0 * 1 * 0 * 0 * 26  ending\n" GONE GONE_TOO)
{
	struct vm_object *object[2];
	struct task *movable = task_with(t, 60, false, &object[0]),
	            *tables = task_with(t, 1, false, &object[1]);

	REQUIRE(t, movable && tables);
	use_tables(t, tables, object[1], 20);
	if (vm_space_resident(movable->space, ZONE_NORMAL, NULL, NULL)) {
		ktest_skip(t, "there is no zone of movable pages only");
	} else {
		EXPECT_EQ(t, vm_space_resident(movable->space, ZONE_MOVABLE, NULL, NULL), 60);
		EXPECT(t, ask_for(GFP_KERNEL));
		EXPECT(t, is_victim(tables) && !movable->ending);
		EXPECT(t, ask_for(GFP_MOVABLE));
		EXPECT(t, is_victim(movable));
	}
	leave(movable, object[0]);
	leave(tables, object[1]);
}

/* Task 1 has little, but the largest family: the largest task of this family is killed. */
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
	static const unsigned pages[] = {63, 1, 30, 3, 24, 1};
	struct vm_object *object[ARRAY_SIZE(pages)];
	struct task *task[ARRAY_SIZE(pages)] = {NULL}, *first;
	struct vm_object *none;
	unsigned i;

	first = NEED(t, task_with(t, 1, true, &none));
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		/*
		 * Task 0 is alone; task 1 has the children 2 and 3, and task 2 has the children 4
		 * and 5.
		 */
		const struct task *parent = i < 2 ? first : i < 4 ? task[1] : task[2];

		task[i] = child_with(t, parent, pages[i], &object[i]);
		REQUIRE(t, task[i]);
	}
	EXPECT(t, ask());
	EXPECT(t, is_victim(task[2]));
	leave(task[2], object[2]);
	/* Now the family has less than task 0. */
	EXPECT(t, ask());
	EXPECT(t, is_victim(task[0]) && !task[4]->ending);
	leave(task[0], object[0]);
	EXPECT(t, ask());
	EXPECT(t, is_victim(task[4]) && !task[1]->ending && !first->ending);
	leave(task[4], object[4]);
	for (i = 1; i < ARRAY_SIZE(pages); i += 2)
		leave(task[i], object[i]);
	leave(first, none);
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
	struct vm_object *object[4];
	struct task *first = task_with(t, 1, true, &object[0]), *top, *middle, *orphan;

	REQUIRE(t, first);
	top = NEED(t, child_with(t, first, 5, &object[1]));
	middle = NEED(t, child_with(t, top, 1, &object[2]));
	orphan = NEED(t, child_with(t, middle, 1, &object[3]));
	use_tables(t, orphan, object[3], 80);
	leave(middle, object[2]);
	EXPECT(t, ask_for(GFP_KERNEL));
	EXPECT(t, is_victim(orphan));
	EXPECT(t, !top->ending);
	leave(orphan, object[3]);
	leave(top, object[1]);
	leave(first, object[0]);
}

KTEST(first_task_is_never_killed,
    .says = TABLE "oom: * test * 0 * 30 * 0 * 0 * 6  first task: exempt\n"
                  "oom: * test * 0 * 1 * 0 * 0 * 6  the most: killed\n" GONE)
{
	struct vm_object *object[2];
	struct task *first = task_with(t, 30, true, &object[0]), *task;

	REQUIRE(t, first);
	EXPECT(t, !ask()); /* no victim: the allocation fails */
	EXPECT(t, !first->ending);
	task = NEED(t, task_with(t, 1, false, &object[1]));
	EXPECT(t, ask());
	EXPECT(t, is_victim(task) && !first->ending);
	leave(task, object[1]);
	leave(first, object[0]);
	EXPECT(t, !ask());
}

KTEST(exiting_task_is_the_victim,
    .says = TABLE "oom: * test * 0 * 1 * 0 * 0 * 6  ending: waited for\n"
                  "oom: * test * 0 * 30 * 0 * 0 * 6\n" SUM TABLE
                  "oom: * test * 0 * 1 * 0 * 0 * 6  ending\n"
                  "oom: * test * 0 * 30 * 0 * 0 * 6  the most: killed\n" GONE GONE_TOO)
{
	struct vm_object *object[2];
	struct task *ends = task_with(t, 1, false, &object[0]),
	            *other = task_with(t, 30, false, &object[1]);
	u64 gone = kernel_memory.oom.gone;

	REQUIRE(t, ends && other);
	task_end(ends, TASK_EXITED, 7);
	EXPECT(t, ask());
	EXPECT(t, ends->victim && ends->status == 7 && !other->ending);
	/* The first victim is stuck, so the next one is chosen. */
	EXPECT(t, ask());
	EXPECT(t, is_victim(other));
	leave(ends, object[0]);
	leave(other, object[1]);
	EXPECT_EQ(t, kernel_memory.oom.gone, gone + 2);
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
		EXPECT(t, ask());
		expect_end(t, task, TASK_KILLED, -ENOMEM);
		EXPECT_EQ(t, kernel_memory.oom.gone, gone + 1);
	}
}

/* The record of an ended task, kept by a reference, counts for the task that started it. */
KTEST(an_ended_task_counts_until_its_last_reference_goes)
{
	struct vm_object *none, *object;
	struct task *parent = task_with(t, 1, false, &none), *child;
	const u64 *records = &parent->account->used[ACCOUNT_RECORDS];

	REQUIRE(t, parent);
	EXPECT_EQ(t, *records, 0);
	child = NEED(t, child_with(t, parent, 1, &object));
	task_get(child);
	leave(child, object);
	EXPECT(t, *records * (PAGE_SIZE / 32) > sizeof(struct task));
	task_put(child);
	EXPECT_EQ(t, *records, 0);
	leave(parent, none);
}

/* A thread that needs a decision is a share of its own: the kernel has set the hook for it. */
KTEST_INSIDE(decisions_about_the_kernels_memory_have_a_share)
{
	EXPECT(t, kernel_memory.oom.boost == sched_boost);
}

/* ---- a killed task frees every page, despite references ---- */

KTEST(a_pinned_page_comes_back_with_its_pin)
{
	struct vm_object *object;
	unsigned long free;
	struct task *task;
	struct page *page;

	kmalloc_trim();
	free = memory_free_pages(&kernel_memory);
	task = NEED(t, task_with(t, 10, false, &object));
	REQUIRE(t, vm_object_pin(object, 3, &page) == 0);
	leave(task, object);
	kmalloc_trim();
	EXPECT_EQ(t, memory_free_pages(&kernel_memory), free - 1);
	mem_unpin_page(&kernel_memory, page);
	EXPECT_EQ(t, memory_free_pages(&kernel_memory), free);
}
