/* SPDX-License-Identifier: MIT */
/* test_task.c: tasks in ring 3: how they end, their limits, and that they leave nothing behind. */
#include "kernel/thread.h"
#include "tests/lib/task_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/machine.h>
#include <quarry/string.h>

static void run(struct ktest *t, u64 entry, u64 arg, enum task_end how, int status)
{
	struct task *task = NEED(t, new_task(t));

	EXPECT_EQ(t, add_thread(task, -1, entry, arg), 0);
	expect_end(t, task, how, status);
}

KTEST_SUITE(task, 0);

/* ---- names ---- */

/* clang-format off */
static const char six_faults[] =
    ENDS_BY("test", "invalid opcode")
    ENDS_BY("test", "page fault: read of 0000000000000000: not mapped")
    ENDS_BY("test", "page fault: read of ffff888000000000: not a user address")
    ENDS_BY("test", "page fault: execute of 0000000000001000: not mapped")
    ENDS_BY("test", "page fault: execute of 0000000000500000: not allowed there")
    ENDS_BY("test", "page fault: execute of 00007fffffffefff: not mapped");
static const char forged[] =
    ENDS_BY("x?kernel:???~ is cut of", "page fault: execute of 0000000000400000: not mapped");
static const char two_faults[] =
    ENDS_BY("test", "invalid opcode")
    ENDS_BY("test", "invalid opcode");
/* clang-format on */

KTEST(name_of_a_task_is_no_line_of_the_kernels, .says = forged)
{
	struct task *task;

	REQUIRE(t, !task_create("x\nkernel:\t\x7f\xff~ is cut off here", &task));
	EXPECT_EQ(t, add_thread(task, -1, code_at(user_exit), 0), 0);
	expect_end(t, task, TASK_FAULTED, 0);
}

/* ---- how tasks end ---- */

KTEST(exit_status_comes_back)
{
	run(t, code_at(user_exit), 0, TASK_EXITED, 0);
	run(t, code_at(user_exit), 42, TASK_EXITED, 42);
	run(t, code_at(user_exit), (u64)-7, TASK_EXITED, -7);
}

KTEST(last_thread_ends_the_task)
{
	struct task *task = NEED(t, new_task(t));
	struct vm_space *space;
	const u64 go = 1;
	unsigned i;

	for (i = 0; i < 5; i++)
		EXPECT_EQ(t, add_thread(task, -1, code_at(user_wait), DATA), (int)i);
	/* Hold the space: all threads may end before this CPU has left the space. */
	space = task->space;
	vm_space_get(space);
	space_use(space);
	EXPECT_EQ(t, copy_to_user(DATA, &go, sizeof(go)), 0);
	space_use(NULL);
	vm_space_put(space);
	expect_end(t, task, TASK_EXITED, 0);
}

KTEST(calls_keep_registers)
{
	run(t, code_at(user_registers), 0, TASK_EXITED, 0);
}

KTEST(faults_end_the_task_alone, .says = six_faults)
{
	struct task *other = NEED(t, new_task(t));

	EXPECT_EQ(t, add_thread(other, -1, code_at(user_spin), 0), 0);
	run(t, code_at(user_ud2), 0, TASK_FAULTED, 0);
	run(t, code_at(user_load), 0, TASK_FAULTED, 0);
	run(t, code_at(user_load), ARCH_DIRECT_MAP, TASK_FAULTED, 0);
	run(t, 0x1000, 0, TASK_FAULTED, 0);
	run(t, DATA, 0, TASK_FAULTED, 0);
	run(t, USER_END - 1, 0, TASK_FAULTED, 0);
	EXPECT_EQ(t, tasks_alive(), 1);
	expect_killed(t, other, 0);
}

/*
 * The call's return address is no user address: SYSRET would fault in the kernel, on the user's
 * stack.
 */
KTEST(system_call_at_the_end_of_user_memory_faults,
    .says = ENDS_BY("test", "continues at an address that is not a user's"))
{
	struct task *task = new_task(t);
	char *page = kmalloc(PAGE_SIZE);
	size_t len = (size_t)(user_last_end - user_last);
	struct vm_object *object;

	REQUIRE(t, task && page);
	memcpy(page + PAGE_SIZE - len, user_last, len);
	object = NEED(t, map_page(task, USER_END - PAGE_SIZE, VM_READ | VM_EXEC, page, PAGE_SIZE));
	vm_object_put(object);
	kfree(page);
	EXPECT_EQ(t, add_thread(task, -1, USER_END - len, 0), 0);
	expect_end(t, task, TASK_FAULTED, 0);
}

KTEST(task_is_killed_in_any_state)
{
	const u64 entry[] = {code_at(user_spin), code_at(user_sleep), code_at(user_store_cpu)};
	unsigned i, j;

	for (i = 0; i < ARRAY_SIZE(entry); i++) {
		struct task *task = new_task(t);

		REQUIRE(t, task);
		for (j = 0; j < 3; j++)
			EXPECT_EQ(t, add_thread(task, -1, entry[i], DATA), (int)j);
		thread_sleep(20000000);
		EXPECT(t, !load_acquire(&task->ended));
		task_end(task, TASK_KILLED, 9);
		EXPECT_EQ(t, add_thread(task, -1, entry[i], DATA), -EAGAIN);
		expect_end(t, task, TASK_KILLED, 9);
	}
}

KTEST(limits_of_threads_and_tasks_hold)
{
	struct task *task = new_task(t), *many[ABI_MAX_TASKS];
	unsigned i;

	REQUIRE(t, task);
	EXPECT_EQ(t, add_thread(task, -1, USER_END, 0), -EINVAL);
	EXPECT_EQ(t, add_thread(task, -1, ~0UL, 0), -EINVAL);
	EXPECT_EQ(t, add_thread(task, (int)nr_cpus, code_at(user_spin), 0), -ENOMEM);
	for (i = 0; i < ABI_MAX_THREADS; i++)
		REQUIRE(t, add_thread(task, -1, code_at(user_sleep), 0) == (int)i);
	EXPECT_EQ(t, add_thread(task, -1, code_at(user_sleep), 0), -EAGAIN);
	for (i = 0; i < ABI_MAX_TASKS - 1; i++)
		REQUIRE(t, task_create("many", &many[i]) == 0);
	EXPECT_EQ(t, task_create("one more", &many[i]), -EAGAIN);
	while (i-- > 0) {
		task_abandon(many[i]);
		task_put(many[i]);
	}
	expect_killed(t, task, 0);
}

/* ---- waiting for an end ---- */

struct waiter {
	struct task *task;
	struct thread *thread;
	int err;
};

static void wait_for_end(void *arg)
{
	struct waiter *w = arg;
	enum task_end how;
	s32 status;

	w->err = task_wait(w->task, END_NS, &how, &status);
}

enum { KEEPS_NO_CPU, KEEPS_CPU, LEAVES_CPU };

/* No other thread runs on this CPU meanwhile. */
static void keep_cpu(void *arg)
{
	u32 *state = arg;

	preempt_disable();
	store_release(state, (u32)KEEPS_CPU);
	while (load_acquire(state) != LEAVES_CPU)
		cpu_relax();
	preempt_enable();
}

/* If the waiter were woken, it would be queued, since it cannot run. */
KTEST_COST(the_end_of_another_task_wakes_no_waiter)
{
	struct task *other;
	struct waiter w;
	u32 state = KEEPS_NO_CPU;

	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, !task_create("other", &other) && !task_create("awaited", &w.task));
	w.thread = NEED(t, thread_start("waiter", 1, wait_for_end, &w));
	EXPECT(t, YIELD_UNTIL(!READ_ONCE(w.thread->on_queue)));
	ktest_start(1, keep_cpu, &state);
	EXPECT(t, YIELD_UNTIL(load_acquire(&state) == KEEPS_CPU));
	task_abandon(other);
	task_put(other);
	EXPECT(t, !READ_ONCE(w.thread->on_queue));
	task_abandon(w.task);
	EXPECT(t, READ_ONCE(w.thread->on_queue));
	store_release(&state, (u32)LEAVES_CPU);
	ktest_join(1);
	thread_join(w.thread);
	EXPECT_EQ(t, w.err, 0);
	task_put(w.task);
}

/* ---- SMAP, SMEP and bounds of copies ---- */

static void touch(void *arg)
{
	READ_ONCE(*(char *)arg);
}

static void overwrite(void *arg)
{
	WRITE_ONCE(*(char *)arg, 0);
}

static void call_there(void *arg)
{
	void (*fn)(void) = (void (*)(void))(uintptr_t)arg;

	fn();
}

/* On a machine without SMAP and SMEP only the kernel's own checks remain. */
KTEST(smap_and_smep_are_on)
{
	struct task *task = NEED(t, new_task(t));
	char copy[16];

	space_use(task->space);
	/* Touch both pages, so that they are present. */
	EXPECT_EQ(t, copy_from_user(copy, CODE, sizeof(copy)), 0);
	EXPECT_EQ(t, memcmp(copy, user_code, sizeof(copy)), 0);
	EXPECT_EQ(t, arch_probe(touch, (void *)CODE), arch_has_smap() ? -EFAULT : 0);
	EXPECT_EQ(
	    t, arch_probe(call_there, (void *)code_at(user_ret)), arch_has_smep() ? -EFAULT : 0);
	/* After a copy the kernel cannot access user pages, if there is SMAP. */
	EXPECT_EQ(t, copy_to_user(DATA, copy, sizeof(copy)), 0);
	EXPECT_EQ(t, arch_probe(overwrite, (void *)DATA), arch_has_smap() ? -EFAULT : 0);
	space_use(NULL);
	EXPECT_EQ(t, arch_probe(touch, (void *)CODE), -EFAULT);
	EXPECT_EQ(t, arch_probe(touch, NULL), -EFAULT);
	EXPECT_EQ(t, arch_probe(overwrite, (void *)(uintptr_t)smap_and_smep_are_on), -EFAULT);
	EXPECT_EQ(t, arch_probe(call_there, copy), -EFAULT);
	EXPECT_EQ(t, arch_probe(touch, copy), 0);
	task_abandon(task);
	task_put(task);
}

KTEST(user_copies_stop_at_unmapped_memory)
{
	static const u64 bad[] = {
	    0, DATA + PAGE_SIZE, USER_END - 4, USER_END, 1UL << 47, ARCH_DIRECT_MAP, ~0UL - 3};
	struct task *task = NEED(t, new_task(t));
	char text[64] = "one, two, three";
	unsigned i;

	EXPECT_EQ(t, copy_to_user(DATA, text, 16), -EFAULT);
	space_use(task->space);
	EXPECT_EQ(t, copy_to_user(DATA + 100, text, 16), 0);
	memset(text, 0, sizeof(text));
	EXPECT_EQ(t, copy_from_user(text, DATA + 100, 16), 0);
	EXPECT(t, !strcmp(text, "one, two, three"));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(t, copy_from_user(text, bad[i], 8), -EFAULT);
		EXPECT_EQ(t, copy_to_user(bad[i], text, 8), -EFAULT);
	}
	EXPECT_EQ(t, copy_from_user(text, DATA + PAGE_SIZE - 8, 16), -EFAULT);
	EXPECT_EQ(t, copy_to_user(DATA + PAGE_SIZE - 8, text, 16), -EFAULT);
	EXPECT_EQ(t, copy_to_user(CODE, text, 1), -EFAULT);
	EXPECT_EQ(t, copy_from_user(text, DATA, ~0UL), -EFAULT);
	space_use(NULL);
	task_abandon(task);
	task_put(task);
}

/* ---- nothing is left ---- */

/* Signs of leaked memory: pages in use outside the caches, and pages of small objects. */
struct in_use {
	unsigned long pages, slab;
};

static struct in_use look(void)
{
	struct in_use u = {.slab = 0};
	pfn_t pfn;

	drain_all_pages(&kernel_memory, NULL);
	for (pfn = kernel_memory.start_pfn; pfn < kernel_memory.end_pfn; pfn++)
		u.slab += pfn_valid_in(&kernel_memory, pfn) &&
		    word_state(page_word(pfn_to_page_in(&kernel_memory, pfn))) == PG_SLAB;
	u.pages = memory_managed_pages(&kernel_memory) - memory_free_pages(&kernel_memory) -
	    u.slab - arch_stack_pages();
	return u;
}

static void scenario(struct ktest *t)
{
	run(t, code_at(user_exit), 1, TASK_EXITED, 1);
	run(t, code_at(user_ud2), 0, TASK_FAULTED, 0);
	task_is_killed_in_any_state(t);
	last_thread_ends_the_task(t);
}

/* task_start takes the capability, whether a task starts or not. */
KTEST(a_gift_is_dropped_if_no_task_starts)
{
	struct cap gift = {.kind = CAP_PROGRAMS, .rights = RIGHT_EXEC};
	const u64 arg[2] = {0};
	struct task *task;

	EXPECT_EQ(t, task_start("nosuch", &gift, arg, NULL, &task), -ENOENT);
	EXPECT_EQ(t, gift.kind, CAP_NONE);
}

KTEST(ended_tasks_leave_no_memory_behind, .says = two_faults)
{
	struct in_use before, after;
	unsigned i;

	/* This test needs the most stacks, whose tables stay allocated. */
	limits_of_threads_and_tasks_hold(t);
	scenario(t);
	before = look();
	for (i = 0; i < 3; i++)
		limits_of_threads_and_tasks_hold(t);
	scenario(t);
	after = look();
	EXPECT_EQ(t, after.pages, before.pages);
	/*
	 * One empty page of each size may be kept. If each thread lost an object, the lost objects
	 * would fill more pages.
	 */
	EXPECT(t, after.slab <= before.slab + 8);
	EXPECT(t, LIST_EMPTY(&kernel_memory.vm.spaces) && LIST_EMPTY(&kernel_memory.vm.objects));
	expect_sound(t, &kernel_memory);
}
