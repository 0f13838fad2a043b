/* SPDX-License-Identifier: MIT */
/*
 * test_poison_task.c: a page breaks under a task: the program tests/hostile/lost.c, which is
 * among the boot modules.
 */
#include "tests/lib/mm_priv.h"
#include "mm/vm/vm.h"
#include "tests/lib/poison_help.h"
#include "tests/lib/task_help.h"
#include <quarry/task.h>

#define LOST     0x30000000UL
#define LIMIT_NS 60000000000ULL

/* Wait until @task has written to its page at LOST, and return that page. */
static pfn_t written_page(struct task *task)
{
	u64 end = arch_clock_ns() + LIMIT_NS;
	struct vm_space *space = task_get_space(task);
	pfn_t found = PFN_NONE;

	while (space && found == PFN_NONE && arch_clock_ns() < end) {
		const u64 *entry = pt_entry(&space->pt, LOST);
		u64 pte = entry ? READ_ONCE(*entry) : 0;

		if (pte & PTE_PRESENT && pte & PTE_DIRTY)
			found = pte_pfn(pte);
		thread_yield();
	}
	if (space)
		vm_space_put(space);
	return found;
}

/* Start the program, break its page, and check how the task ends. */
static void lose(struct ktest *t, u64 arg0, enum task_end how_wanted, s32 status_wanted)
{
	const u64 arg[2] = {arg0};
	struct cap none = {.kind = CAP_NONE};
	struct poison_result res;
	struct task *task;
	enum task_end how = TASK_RUNS;
	s32 status = 0;
	pfn_t pfn;
	int err = task_start("lost", &none, arg, NULL, &task);

	if (err == -ENOENT) {
		ktest_skip(t, "needs the programs as boot modules");
		return;
	}
	REQUIRE(t, !err);
	pfn = written_page(task);
	EXPECT(t, pfn != PFN_NONE);
	EXPECT_EQ(t, memory_failure(pfn, 0, &res), 0);
	EXPECT_EQ(t, res.outcome, POISON_RECOVERED);
	EXPECT(t, res.lost);
	EXPECT_EQ(t, task_wait(task, LIMIT_NS, &how, &status), 0);
	EXPECT_EQ(t, how, how_wanted);
	EXPECT_EQ(t, status, status_wanted);
	task_put(task);
	EXPECT(t, is_retired(&kernel_memory, pfn));
	EXPECT_EQ(t, unpoison_page(pfn), 0);
	EXPECT_EQ(t, tasks_wait_none(LIMIT_NS), 0);
}

KTEST_SUITE(poison_task, 0);

KTEST(access_to_lost_memory_kills_the_task,
    .says = ENDS_BY("lost", "page fault: read of 0000000030000000: lost, its memory broke"))
{
	lose(t, 0, TASK_FAULTED, 0);
}

KTEST(a_fault_handler_maps_other_memory)
{
	lose(t, 1, TASK_EXITED, 78);
}

KTEST(refusing_fault_handler_lets_the_task_die,
    .says = ENDS_BY("lost", "page fault: read of 0000000030000000: lost, its memory broke"))
{
	lose(t, 2, TASK_FAULTED, 0);
}

KTEST(a_system_call_that_meets_lost_memory_fails, .reports = "?lost: ?")
{
	lose(t, 3, TASK_EXITED, 77);
}
