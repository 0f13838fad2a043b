/* SPDX-License-Identifier: MIT */
/*
 * test_check_stop.c: how check_memory stops the CPUs: it waits for every CPU, one check runs at a
 * time for all memories, and a waiting check holds no lock of its memory.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/wait_help.h"
#include <quarry/errno.h>
#include <quarry/lock.h>
#include <quarry/smp.h>
#include "tests/lib/mm_help.h"

#define TURNS (1u << 16) /* turns of a wait for an event that must not happen */
/*
 * A late CPU answers after this many turns. On a busy host a turn may take some ms, and a CPU that
 * has not answered is reported after 10 s.
 */
#define LONGER (1u << 10)

/* ---- a CPU that arrives late ---- */

static struct {
	struct zone *zone;
	u32 ready; /* atomic */
	bool asked;
} late;

/* Leave a change unfinished until the check has called this CPU, and a while longer. */
static void change_and_repair(void *arg)
{
	irqflags_t flags = arch_irq_save();
	unsigned turn;

	late.zone->nr_free++;
	store_release(&late.ready, 1u);
	late.asked = SPIN_UNTIL(smp_call_pending());
	for (turn = 0; turn < LONGER; turn++)
		cpu_relax();
	late.zone->nr_free--;
	arch_irq_restore(flags);
}

KTEST_SUITE(check_stop, 0);

KTEST(check_waits_for_every_cpu)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	struct mm_violation v;
	unsigned cpu;

	for (cpu = 1; cpu < ktest_cpus(); cpu++) {
		late.zone = &mem->zones[ZONE_NORMAL];
		late.ready = 0;
		ktest_start(cpu, change_and_repair, NULL);
		EXPECT(t, YIELD_UNTIL(load_acquire(&late.ready)));
		EXPECT_EQ(t, check_memory(mem, &v), 0);
		ktest_join(cpu);
		EXPECT(t, late.asked);
	}
	ktest_needs_cpus(t, 2);
}

/* ---- a CPU that changes something all the time ---- */

static u32 changed, enough; /* atomic */

static void change_all_the_time(void *arg)
{
	while (!load_acquire(&enough)) {
		irqflags_t flags = arch_irq_save();
		unsigned i;

		late.zone->nr_free++;
		for (i = 0; i < 8; i++)
			cpu_relax();
		late.zone->nr_free--;
		arch_irq_restore(flags);
		atomic_add(&changed, 1u);
	}
}

/* The changing CPU is held as long as a check runs, so each check finds the memory at rest. */
KTEST(memory_does_not_change_during_a_check)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	struct mm_violation v;
	unsigned i, found = 0;
	u32 before;

	if (!ktest_needs_cpus(t, 2))
		return;
	late.zone = &mem->zones[ZONE_NORMAL];
	changed = enough = 0;
	ktest_start(1, change_all_the_time, NULL);
	for (i = 0; i < 20; i++) {
		before = load_acquire(&changed);
		EXPECT(t, YIELD_UNTIL(load_acquire(&changed) != before));
		found += check_memory(mem, &v) != 0;
	}
	store_release(&enough, 1u);
	ktest_join(1);
	EXPECT_EQ(t, found, 0);
}

/* ---- two checks ---- */

struct checker {
	struct memory *mem;
	int err;
	u32 began, done; /* atomic */
};

static void check(void *arg)
{
	struct checker *c = arg;
	struct mm_violation v;

	store_release(&c->began, 1u);
	c->err = check_memory(c->mem, &v);
	store_release(&c->done, 1u);
}

static void start(unsigned cpu, struct checker *c)
{
	ktest_start(cpu, check, c);
	YIELD_UNTIL(load_acquire(&c->began));
}

/*
 * The first check waits for a drain round of its memory to end. Meanwhile the second check, of
 * another memory, does not begin, and does not take that memory's lock.
 */
KTEST(one_check_runs_at_a_time)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, 2}};
	struct checker c[2];
	unsigned i, turn;
	bool held = false;

	if (!ktest_needs_cpus(t, 3))
		return;
	for (i = 0; i < 2; i++) {
		c[i] = (struct checker){.mem = build_memory(t, 1, NULL, specs, 1), .err = 1};
		REQUIRE(t, c[i].mem);
	}
	rounds_lock(c[0].mem);
	start(1, &c[0]);
	EXPECT(t, YIELD_UNTIL(sleep_lock_waiters(&c[0].mem->pcp_ctl.l)));
	start(2, &c[1]);
	for (turn = 0; turn < TURNS / 4 && !load_acquire(&c[1].done); turn++) {
		held = held || mutex_is_held(&c[1].mem->pcp_ctl);
		cpu_relax();
	}
	EXPECT(t, !held && !load_acquire(&c[0].done) && !load_acquire(&c[1].done));
	rounds_unlock(c[0].mem);
	for (i = 0; i < 2; i++) {
		ktest_join(i + 1);
		EXPECT_EQ(t, c[i].err, 0);
		drop_memory(t, c[i].mem);
	}
}

/* Each CPU requests checks again and again: no request is lost, and no check finds damage. */
#define CHECKS 4

static void check_often(void *arg)
{
	struct checker *c = arg;
	struct mm_violation v;
	unsigned i;

	for (i = 0; i < CHECKS; i++)
		c->err |= check_memory(c->mem, &v);
}

KTEST(all_may_check_at_once)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	struct checker c[4];
	unsigned cpu, nr = MIN(ktest_cpus(), (unsigned)ARRAY_SIZE(c));

	for (cpu = 0; cpu < nr; cpu++) {
		c[cpu] = (struct checker){.mem = cpu % 2 ? mem : &kernel_memory};
		ktest_start(cpu, check_often, &c[cpu]);
	}
	for (cpu = 0; cpu < nr; cpu++) {
		ktest_join(cpu);
		EXPECT_EQ(t, c[cpu].err, 0);
	}
}

/* ---- an isolation that begins while the check waits ---- */

static struct {
	struct memory *mem;
	pfn_t block;
	u32 ready; /* atomic */
	bool asked;
} begun;

/* Begin an isolation after the check has called this CPU, and before this CPU stops. */
static void isolate_late(void *arg)
{
	irqflags_t flags = arch_irq_save();
	struct zone *zone = zone_of(begun.mem, begun.block);

	store_release(&begun.ready, 1u);
	begun.asked = SPIN_UNTIL(smp_call_pending());
	atomic_add(&begun.mem->nr_isolating, 1u);
	atomic_add(&begun.mem->iso_pending, 1u);
	zone_lock(zone);
	pageblock_set_isolated(zone, begun.block, true);
	zone_unlock(zone);
	arch_irq_restore(flags);
}

/* The check accepts the cached page, because the drain round of the isolation is to come. */
KTEST(isolation_may_begin_until_every_cpu_has_stopped)
{
	struct memory *mem = ktest_memory(t, 0, 0, 8);
	struct mm_violation v;
	struct page *page;
	irqflags_t flags;

	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, mem);
	page = mem_alloc_pages(mem, GFP_MOVABLE, 0);
	REQUIRE(t, page && !mem_free_pages(mem, page, 0));
	begun.mem = mem;
	begun.block = ALIGN_DOWN(page_to_pfn_in(mem, page), PAGEBLOCK_PAGES);
	begun.ready = 0;
	ktest_start(1, isolate_late, NULL);
	EXPECT(t, YIELD_UNTIL(load_acquire(&begun.ready)));
	EXPECT_EQ(t, check_memory(mem, &v), 0);
	ktest_join(1);
	EXPECT(t, begun.asked);
	/* The page was in the cache all the time. */
	EXPECT_EQ(t, word_state(page_word(page)), PG_PCP);
	flags = zone_lock_irqsave(zone_of(mem, begun.block));
	pageblock_set_isolated(zone_of(mem, begun.block), begun.block, false);
	zone_unlock_irqrestore(zone_of(mem, begun.block), flags);
	atomic_sub(&mem->iso_pending, 1u);
	EXPECT_EQ(t, check_memory(mem, &v), 0);
}

KTEST(check_in_atomic_context_is_refused)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	struct spinlock lock = SPINLOCK("test", RANK_NONE);
	struct mm_violation v = {.what = "old"};
	irqflags_t flags;

	mem->zones[ZONE_NORMAL].nr_free++;
	flags = arch_irq_save();
	EXPECT_EQ(t, check_memory(mem, &v), -EDEADLK);
	arch_irq_restore(flags);
	EXPECT(t, !v.what);
	spin_lock(&lock);
	EXPECT_EQ(t, check_memory(mem, &v), -EDEADLK);
	spin_unlock(&lock);
	EXPECT_EQ(t, check_memory(mem, &v), -EUCLEAN);
	mem->zones[ZONE_NORMAL].nr_free--;
}
