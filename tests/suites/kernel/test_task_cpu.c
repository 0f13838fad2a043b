/* SPDX-License-Identifier: MIT */
/*
 * test_task_cpu.c: tasks on several CPUs: their registers, migration between CPUs, CPU hotplug, and
 * memory that is migrated.
 */
#include "tests/lib/move_help.h"
#include "tests/lib/task_help.h"
#include <quarry/machine.h>
#include <quarry/smp.h>

#define SEEN_NS 15000000000ULL

/* ---- threads and CPUs ---- */

/*
 * Tasks that keep value[i] in registers, all on one CPU, so that each call switches between threads
 * with other values.  One sleeping thread keeps the task alive, so that a good end of the other
 * thread differs from a bad one.
 */
static void keep_registers(struct ktest *t, const char *code, const u64 value[4])
{
	struct task *task[4];
	unsigned i;

	for (i = 0; i < 4; i++) {
		task[i] = new_task(t);
		REQUIRE(t, task[i]);
		EXPECT_EQ(t, add_thread(task[i], 0, code_at(user_sleep), 0), 0);
		EXPECT_EQ(t, add_thread(task[i], 0, code_at(code), value[i]), 1);
	}
	for (i = 0; i < 4; i++) {
		u64 until = arch_clock_ns() + END_NS;

		while (READ_ONCE(task[i]->nr_threads) > 1 && arch_clock_ns() < until)
			thread_sleep(1000000);
		expect_killed(t, task[i], 0);
	}
}

KTEST_SUITE(task_cpu, 0);

KTEST(fpu_registers_are_each_threads_own)
{
	static const u64 value[4] = {
	    0x0123456789abcdef, 0x02468acf13579bde, 0x0369d0369d0369cd, 0x048d159e26af37bc};

	keep_registers(t, user_sse, value);
}

/* A switch sets the selectors to 0; a thread never sees those of another. */
KTEST(selectors_are_each_threads_own)
{
	static const u64 value[4] = {0, 0x18, 0x1b, 0x23};

	keep_registers(t, user_selectors, value);
}

/* A new thread's selectors are null, whatever thread ran on the CPU before. */
KTEST(selectors_of_a_new_thread_are_null)
{
	struct task *task = new_task(t), *before = new_task(t);
	u64 until = arch_clock_ns() + END_NS;

	REQUIRE(t, task && before);
	EXPECT_EQ(t, add_thread(before, 0, code_at(user_sleep), 0), 0);
	EXPECT_EQ(t, add_thread(before, 0, code_at(user_selectors), 0x1b), 1);
	while (READ_ONCE(before->nr_threads) > 1 && !load_acquire(&before->ending) &&
	    arch_clock_ns() < until)
		thread_yield();
	EXPECT_EQ(t, add_thread(task, 0, code_at(user_null_selectors), 0), 0);
	expect_end(t, task, TASK_EXITED, 0);
	expect_killed(t, before, 0);
}

/*
 * The CPUs on which the task's threads have run since the word was cleared; waits until all of
 * @want are among them.
 */
static u64 cpus_seen(struct ktest *t, struct task *task, u64 want)
{
	u64 seen = 0, until = arch_clock_ns() + SEEN_NS;

	space_use(task->space);
	EXPECT_EQ(t, copy_to_user(DATA, &seen, sizeof(seen)), 0);
	do {
		thread_sleep(10000000);
		EXPECT_EQ(t, copy_from_user(&seen, DATA, sizeof(seen)), 0);
	} while ((seen & want) != want && arch_clock_ns() < until);
	space_use(NULL);
	return seen & want;
}

/*
 * All threads start on the only online CPU; CPUs that come online later are idle and get some of
 * the threads.
 */
KTEST(threads_move_to_idle_cpus)
{
	u64 all = ktest_cpus() >= 64 ? ~0UL : (1UL << ktest_cpus()) - 1;
	struct task *task;
	unsigned cpu;

	if (nr_cpus_online() < nr_boot_cpus || nr_boot_cpus < 2 || nr_boot_cpus > ktest_cpus()) {
		ktest_skip(t, "needs 2 to 8 CPUs, all of them online");
		return;
	}
	task = NEED(t, new_task(t));
	for (cpu = 1; cpu < nr_boot_cpus; cpu++)
		EXPECT_EQ(t, cpu_down(cpu), 0);
	for (cpu = 0; cpu < 2 * nr_boot_cpus; cpu++)
		EXPECT(t, add_thread(task, -1, code_at(user_store_cpu), DATA) >= 0);
	EXPECT_EQ(t, cpus_seen(t, task, 1), 1);
	for (cpu = 1; cpu < nr_boot_cpus; cpu++)
		EXPECT_EQ(t, cpu_up(cpu), 0);
	EXPECT_EQ(t, cpus_seen(t, task, all), all);
	expect_killed(t, task, 0);
}

/* A CPU that comes back takes system calls again; while it is offline its threads run elsewhere. */
KTEST(programs_survive_cpu_hotplug)
{
	struct task *task;
	unsigned cpu, i;

	if (nr_cpus_online() < nr_boot_cpus || nr_boot_cpus < 2) {
		ktest_skip(t, "needs 2 CPUs, all of them online");
		return;
	}
	task = NEED(t, new_task(t));
	for (i = 0; i < 2 * ktest_cpus(); i++)
		EXPECT(t, add_thread(task, -1, code_at(user_store_cpu), DATA) >= 0);
	for (cpu = 1; cpu < ktest_cpus(); cpu++) {
		struct task *bound = new_task(t);

		REQUIRE(t, bound);
		EXPECT_EQ(t, cpu_down(cpu), 0);
		EXPECT_EQ(t, cpu_up(cpu), 0);
		EXPECT_EQ(t, add_thread(bound, (int)cpu, code_at(user_spin), 0), 0);
		EXPECT_EQ(t, add_thread(bound, (int)cpu, code_at(user_registers), 0), 1);
		expect_end(t, bound, TASK_EXITED, 0);
	}
	EXPECT(t, !load_acquire(&task->ended));
	expect_killed(t, task, 0);
}

/* ---- memory that moves ---- */

#define COUNTED 16 /* pages in which user_count of user_code.S counts */
#define MOVES   10

/* For MOVES pages, one after the other: offline the page's pageblock, and online it again. */
static void move_pages(struct ktest *t, struct vm_object *object, u32 nr)
{
	unsigned i, moved = 0;

	for (i = 0; i < MOVES; i++) {
		u32 index = i * 7 % nr;
		pfn_t pfn = frame_of(object, index), block = ALIGN_DOWN(pfn, PAGEBLOCK_PAGES);
		struct offline_result res;

		EXPECT_EQ(t, offline_pages(&kernel_memory, block, PAGEBLOCK_PAGES, NULL, &res), 0);
		EXPECT_EQ(t, res.fail.why, WHY_NONE);
		moved += res.moved;
		EXPECT(t, frame_of(object, index) != pfn);
		EXPECT_EQ(t, online_pages(&kernel_memory, block, PAGEBLOCK_PAGES, NULL), 0);
	}
	EXPECT(t, moved >= MOVES);
}

static void nothing(void *arg)
{
}

/*
 * A CPU with a stale entry uses the old page until it loads the tables again. So make each CPU load
 * the tables once: after that each thread continues to count, or notices the damage.
 */
static void count_on(struct ktest *t, struct task *task, struct vm_space *space)
{
	u64 until = arch_clock_ns() + END_NS, before, now;
	unsigned i;

	for (i = 0; i < ktest_cpus(); i++) {
		struct thread *other = thread_start("switch", (int)i, nothing, NULL);

		REQUIRE(t, other);
		thread_join(other);
	}
	space_use(space);
	for (i = 0; i < ktest_cpus() && !load_acquire(&task->ending); i++) {
		u64 at_page = DATA + (1 + i * COUNTED) * PAGE_SIZE;

		EXPECT_EQ(t, copy_from_user(&before, at_page, sizeof(before)), 0);
		do {
			thread_yield();
			EXPECT_EQ(t, copy_from_user(&now, at_page, sizeof(now)), 0);
		} while (
		    now < before + 2 && !load_acquire(&task->ending) && arch_clock_ns() < until);
		EXPECT(t, now >= before + 2 || load_acquire(&task->ending));
	}
	space_use(NULL);
}

/* Threads of one space count on all CPUs, in pages that are migrated again and again. */
KTEST(programs_survive_migration)
{
	struct task *task = NEED(t, new_task(t));
	u32 nr = ktest_cpus() * COUNTED, i;
	struct vm_object *object;
	struct vm_space *space;

	space = task->space;
	vm_space_get(space); /* in case the task ends and drops it */
	REQUIRE(t, vm_object_create(&kernel_memory, OBJ_ANON, nr, NULL, NULL, &object) == 0);
	EXPECT_EQ(t, vm_map(task->space, DATA + PAGE_SIZE, nr, VM_READ | VM_WRITE, object, 0), 0);
	hoard_pages(t);
	for (i = 0; i < nr; i++)
		EXPECT_EQ(t, vm_object_supply(object, i, NULL), 0);
	for (i = 0; i < ktest_cpus(); i++)
		EXPECT(t,
		    add_thread(
		        task, -1, code_at(user_count), DATA + (1 + i * COUNTED) * PAGE_SIZE) >= 0);
	count_on(t, task, space);
	move_pages(t, object, nr);
	release_pages(t);
	count_on(t, task, space);
	EXPECT(t, !load_acquire(&task->ending));
	task_end(task, TASK_KILLED, 0);
	vm_space_put(space);
	expect_end(t, task, TASK_KILLED, 0);
	vm_object_put(object);
}
