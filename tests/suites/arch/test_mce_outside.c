/* SPDX-License-Identifier: MIT */
/*
 * test_mce_outside.c: machine checks that the host injects. Each test prints its request on the
 * console; tests/qemu/test_mce.py serves it and judges the outcome from there. The suite runs only
 * when it is named.
 */
#include "tests/lib/mm_priv.h"
#include "mm/vm/vm.h"
#include "tests/lib/hotplug_help.h"
#include "tests/lib/mce_help.h"
#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/machine.h>
#include <quarry/task.h>

#define LOST 0x30000000UL /* the address that tests/hostile/lost.c uses */

struct scene {
	struct ktest *t;
	void (*fn)(struct scene *s);
	unsigned cpu; /* the last CPU */
	/* Of an error that a program consumes: its kind, the program's argument, and its end. */
	const char *kind;
	u64 arg0;
	enum task_end how;
	s32 status;
};

static void ask(const char *kind, unsigned cpu, pfn_t pfn)
{
	printk("inject: %s cpu %u address %#lx\n", kind, cpu, pfn << PAGE_SHIFT);
}

static bool wait_retired(pfn_t pfn)
{
	u64 end = arch_clock_ns() + WAIT_NS;
	unsigned rounds = 0;

	while (!is_retired(&kernel_memory, pfn) && !waited_enough(end, &rounds))
		thread_yield();
	return is_retired(&kernel_memory, pfn);
}

static pfn_t free_page(struct ktest *t)
{
	struct page *page = alloc_pages(GFP_MOVABLE, 0);
	pfn_t pfn = page ? page_to_pfn_in(&kernel_memory, page) : PFN_NONE;

	EXPECT(t, page && free_pages(page, 0) == 0);
	return pfn;
}

static struct task *start_lost(struct ktest *t, int cpu, u64 arg0, u64 arg1)
{
	const u64 arg[3] = {0, arg0, arg1};
	struct task *task;
	u64 entry, sp;
	int err = task_create("lost", &task);

	EXPECT_EQ(t, err, 0);
	if (err)
		return NULL;
	err = task_load(task, "lost", &entry, &sp);
	if (!err)
		err = task_add_thread(task, cpu, entry, sp, arg);
	if (err < 0) {
		ktest_fail(t, __FILE__, __LINE__, "program lost: error %d", err);
		task_abandon(task);
		task_put(task);
		return NULL;
	}
	return task;
}

/*
 * Wait until the program's entry for LOST has all of @bits; returns the page there, or PFN_NONE
 * after a timeout. With PTE_DIRTY, the program has written to that page.
 */
static pfn_t page_with(struct task *task, u64 bits)
{
	u64 end = arch_clock_ns() + WAIT_NS;
	struct vm_space *space = task_get_space(task);
	pfn_t found = PFN_NONE;
	unsigned rounds = 0;

	while (space && found == PFN_NONE && !waited_enough(end, &rounds)) {
		const u64 *entry = pt_entry(&space->pt, LOST);
		u64 pte = entry ? READ_ONCE(*entry) : 0;

		if ((pte & bits) == bits)
			found = pte_pfn(pte);
		thread_yield();
	}
	if (space)
		vm_space_put(space);
	return found;
}

static pfn_t page_of(struct task *task)
{
	return page_with(task, PTE_PRESENT | PTE_DIRTY);
}

static void expect_end(
    struct ktest *t, struct task *task, enum task_end how_wanted, s32 status_wanted)
{
	enum task_end how = TASK_RUNS;
	s32 status = 0;

	EXPECT_EQ(t, task_wait(task, WAIT_NS, &how, &status), 0);
	EXPECT_EQ(t, how, how_wanted);
	EXPECT_EQ(t, status, status_wanted);
	task_put(task);
}

/* The scene runs on CPU 0, because it stops the timer of another CPU. */
static void run_scene(void *arg)
{
	struct scene *s = arg;

	s->fn(s);
}

static void play_scene(struct scene *s)
{
	s->cpu = nr_cpus - 1;
	if (!needs_two(s->t))
		return;
	ktest_on_cpu(0, run_scene, s);
	EXPECT_EQ(s->t, tasks_wait_none(WAIT_NS), 0);
}

static void play(struct ktest *t, void (*fn)(struct scene *s))
{
	play_scene(&(struct scene){.t = t, .fn = fn});
}

/* ---- action optional ---- */

static void free_page_breaks(struct scene *s)
{
	pfn_t pfn = free_page(s->t);

	ask("optional", s->cpu, pfn);
	EXPECT(s->t, wait_retired(pfn));
	EXPECT_EQ(s->t, unpoison_page(pfn), -EOPNOTSUPP);
}

KTEST_SUITE(mce_outside, KTEST_EXTRA);

KTEST(injected_error_retires_a_free_page, KTEST_REPORTS)
{
	play(t, free_page_breaks);
}

/* The memory scrubber finds the error; the program learns of it when it touches the page. */
static void program_breaks(struct scene *s)
{
	struct task *task = start_lost(s->t, -1, 0, 0);
	pfn_t pfn = task ? page_of(task) : PFN_NONE;

	if (!task)
		return;
	ask("optional", 0, pfn);
	expect_end(s->t, task, TASK_FAULTED, 0);
	EXPECT(s->t, wait_retired(pfn));
}

KTEST(injected_error_unmaps_a_page_of_a_program, KTEST_REPORTS)
{
	play(t, program_breaks);
}

/* ---- action required in ring 3 ---- */

static void timer(struct scene *s, void (*fn)(void *))
{
	cpumask_t *mask = kmalloc(CPUMASK_WORDS(nr_cpus) * sizeof(*mask));

	EXPECT(s->t, mask);
	if (!mask)
		return;
	cpumask_set(mask, s->cpu);
	EXPECT_EQ(s->t, smp_call_mask(mask, fn, NULL), 1);
	kfree(mask);
}

static void timer_off(void *arg)
{
	arch_timer_stop();
}

static void timer_on(void *arg)
{
	arch_timer_start(1);
}

/* Without a timer and system calls, s->cpu is in ring 3 when the machine check comes. */
static void required(struct scene *s)
{
	struct task *task = start_lost(s->t, (int)s->cpu, s->arg0, 1);
	u64 before = READ_ONCE(mce_stats.found[MCE_REQUIRED]);
	pfn_t pfn = task ? page_of(task) : PFN_NONE;

	if (!task)
		return;
	timer(s, timer_off);
	ask(s->kind, s->cpu, pfn);
	EXPECT(s->t, wait_for_count(&mce_stats.found[MCE_REQUIRED], before + 1));
	timer(s, timer_on);
	expect_end(s->t, task, s->how, s->status);
	EXPECT(s->t, wait_retired(pfn));
}

/* The page is the kernel's, not the program's, so it cannot be unmapped from the program. */
static void required_of_kernel(struct scene *s)
{
	struct task *task = start_lost(s->t, (int)s->cpu, 0, 1);
	u64 before = READ_ONCE(mce_stats.found[MCE_REQUIRED]);
	struct page *page = alloc_pages(GFP_KERNEL, 0);

	EXPECT(s->t, page);
	if (!task || !page)
		return;
	EXPECT(s->t, page_of(task) != PFN_NONE);
	timer(s, timer_off);
	ask("required", s->cpu, page_to_pfn_in(&kernel_memory, page));
	EXPECT(s->t, wait_for_count(&mce_stats.found[MCE_REQUIRED], before + 1));
	timer(s, timer_on);
	expect_end(s->t, task, TASK_FAULTED, 0);
	EXPECT(s->t, is_flagged(&kernel_memory, page_to_pfn_in(&kernel_memory, page)));
	EXPECT_EQ(s->t, free_pages(page, 0), 0);
}

static void play_required(
    struct ktest *t, const char *kind, u64 arg0, enum task_end how, s32 status)
{
	play_scene(&(struct scene){t, required, 0, kind, arg0, how, status});
}

KTEST(consumed_error_kills_the_task, KTEST_REPORTS)
{
	play_required(t, "required", 0, TASK_FAULTED, 0);
}

KTEST(consumed_error_reaches_the_fault_handler, KTEST_REPORTS)
{
	play_required(t, "required", 1, TASK_EXITED, 78);
}

/* The program has a fault handler, but the CPU does not know where to continue. */
KTEST(fetched_error_retires_the_page_and_kills_the_task, KTEST_REPORTS)
{
	play_required(t, "fetched", 1, TASK_FAULTED, 0);
}

KTEST(consumed_error_in_kernel_memory_kills_the_task, KTEST_REPORTS)
{
	play(t, required_of_kernel);
}

/* ---- corrected ---- */

static void corrected(struct scene *s)
{
	struct task *task = start_lost(s->t, -1, 0, 0);
	pfn_t pfn = task ? page_of(task) : PFN_NONE;
	u64 exceptions = READ_ONCE(mce_stats.exceptions);
	pfn_t moved;

	if (!task)
		return;
	for (unsigned i = 0; i < MCE_THRESHOLD; i++) {
		u64 dealt = wait_all_dealt();

		EXPECT_EQ(s->t, page_of(task), pfn);
		ask("corrected", s->cpu, pfn);
		EXPECT(s->t, wait_for_count(&mce_stats.dealt, dealt + 1));
	}
	EXPECT(s->t, is_retired(&kernel_memory, pfn));
	/* The program continues in another page with the same content; otherwise it would end. */
	moved = page_with(task, PTE_PRESENT);
	EXPECT(s->t, moved != pfn && moved != PFN_NONE);
	EXPECT_EQ(s->t, READ_ONCE(mce_stats.exceptions), exceptions);
	task_end(task, TASK_KILLED, 5);
	expect_end(s->t, task, TASK_KILLED, 5);
}

KTEST(corrected_errors_migrate_the_page, KTEST_REPORTS)
{
	play(t, corrected);
}

/* ---- standby memory ---- */

/* The memory comes online all the same, with its descriptors, but the pageblock is never used. */
static void standby_breaks(struct scene *s, struct zone *zone)
{
	pfn_t start = zone->standby, pfn;
	u64 dealt = wait_all_dealt();
	long pages;

	ask("optional", s->cpu, start + 5);
	EXPECT(s->t, wait_for_count(&mce_stats.dealt, dealt + 1));
	EXPECT_EQ(s->t, mem_poisoned_next(&kernel_memory, start), start);
	EXPECT_EQ(s->t, memory_failure(start, 0, NULL), -EHWPOISON);
	YIELD_UNTIL((pages = standby_online(zone)) != -EAGAIN);
	EXPECT(s->t, pages > 0);
	for (pfn = start; pfn < start + PAGEBLOCK_PAGES; pfn++)
		EXPECT(s->t, is_retired(&kernel_memory, pfn));
	EXPECT_EQ(s->t, word_state(page_word(pfn_to_page_in(&kernel_memory, pfn))), PG_RESERVED);
	expect_sound(s->t, &kernel_memory);
}

static void any_standby_breaks(struct scene *s)
{
	unsigned i;

	for (i = 0; i < MAX_ZONES; i++) {
		if (zone_standby(&kernel_memory.zones[i])) {
			standby_breaks(s, &kernel_memory.zones[i]);
			return;
		}
	}
	ktest_skip(s->t, "nothing stands by");
}

KTEST(error_in_standby_memory_keeps_the_page_out, KTEST_REPORTS)
{
	play(t, any_standby_breaks);
}

/* ---- all CPUs; CPUs that are down, and come up ---- */

static void broadcast(struct scene *s)
{
	u64 exceptions = READ_ONCE(mce_stats.exceptions),
	    told = READ_ONCE(mce_stats.found[MCE_NOTHING]);
	pfn_t pfn = free_page(s->t);

	ask("broadcast", s->cpu, pfn);
	EXPECT(s->t, wait_retired(pfn));
	EXPECT(s->t, wait_for_count(&mce_stats.exceptions, exceptions + nr_cpus));
	EXPECT(s->t, wait_for_count(&mce_stats.found[MCE_NOTHING], told + nr_cpus - 1));
}

KTEST(broadcast_machine_check_reaches_every_cpu, KTEST_REPORTS)
{
	play(t, broadcast);
}

static void down_and_up(struct scene *s)
{
	pfn_t pfn = free_page(s->t);

	EXPECT_EQ(s->t, cpu_down(s->cpu), 0);
	ask("optional", s->cpu, pfn);
	EXPECT(s->t, wait_retired(pfn));
	EXPECT_EQ(s->t, cpu_up(s->cpu), 0);
	pfn = free_page(s->t);
	ask("optional", s->cpu, pfn);
	EXPECT(s->t, wait_retired(pfn));
}

KTEST(offline_cpu_clears_its_banks_when_it_comes_up, KTEST_REPORTS)
{
	play(t, down_and_up);
}
