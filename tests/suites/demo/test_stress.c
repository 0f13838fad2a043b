/* SPDX-License-Identifier: MIT */
/*
 * test_stress.c: stress threads use memory and free it, and notice each kind of damage; rounds of
 * offline and online run meanwhile.
 */
#include "demo/soak.h"
#include "tests/lib/mm_test.h"
#include "tests/lib/said_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/console.h>
#include <quarry/memory_hotplug.h>
#include <quarry/stress.h>
#include <quarry/isolation.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)
#define NORMAL   (PAGEBLOCK_ORDER >= 9 ? 6u : 24u)
#define MOVABLE  (PAGEBLOCK_ORDER >= 9 ? 8u : 200u)
#define OPS      2000
#define LOAD_NS  60000000000ULL
#define DAMAGED  4u
#define WORD_STEP                                                                                  \
	(PAGE_SIZE / 8 / 8 + 1) /* distance of the words of a page that stress threads write */

static struct memory *stress_memory(struct ktest *t)
{
	return ktest_backed_memory(t, NORMAL, MOVABLE);
}

static unsigned some_cpus(void)
{
	return MIN(ktest_cpus(), 2u);
}

/* Wait until each thread has made @ops operations. */
static bool wait_for_ops(const struct stress *s, u64 ops)
{
	u64 until = arch_clock_ns() + LOAD_NS;
	unsigned cpu;

	for (cpu = 0; cpu < stress_cpus(s); cpu++) {
		while (stress_ops(s, cpu) < ops && arch_clock_ns() < until)
			thread_yield();
		if (stress_ops(s, cpu) < ops)
			return false;
	}
	return true;
}

KTEST_SUITE(stress, 0);

KTEST(stress_threads_give_all_memory_back)
{
	struct memory *mem = stress_memory(t);
	unsigned nr = some_cpus();
	struct stress_report r;
	unsigned long free;
	struct stress *s;
	u64 slow;

	if (!mem)
		return;
	free = memory_free_pages(mem);
	slow = mm_event_sum(mem, EV_ALLOC_SLOW);
	s = NEED(t, stress_start(mem, 0, nr, t->seed));
	EXPECT_EQ(t, stress_cpus(s), nr);
	EXPECT(t, wait_for_ops(s, OPS));
	/* CPUs on which no stress thread runs have no operations. */
	EXPECT_EQ(t, stress_ops(s, nr) + stress_ops(s, ~0u), 0);
	EXPECT(t, memory_free_pages(mem) < free);
	EXPECT_EQ(t, stress_stop(s, &r), 0);
	EXPECT_EQ(t, r.corrupt, 0);
	EXPECT(t, r.ops >= (u64)OPS * nr);
	/*
	 * A thread whose partner does not run gives it 32 blocks, and after 7/3 as many frees of
	 * its own it waits for room.
	 */
	EXPECT_RANGE(t, r.frees, nr > 1 ? 150 : OPS / 10, r.ops - 1);
	EXPECT(t, mm_event_sum(mem, EV_ALLOC_SLOW) > slow);
	/* About three of ten frees are remote. */
	if (nr > 1)
		EXPECT_RANGE(t, r.frees_remote, r.frees / 5 + 1, r.frees / 2);
	else
		EXPECT_EQ(t, r.frees_remote, 0);
	drain_all_pages(mem, NULL);
	EXPECT_EQ(t, memory_free_pages(mem), free);
}

KTEST(the_second_cpu_is_the_second_thread)
{
	struct memory *mem = stress_memory(t);
	struct stress_report r;
	struct stress *s;

	if (!mem || ktest_cpus() < 2)
		return;
	s = NEED(t, stress_start(mem, 1, 1, t->seed));
	EXPECT(t, YIELD_UNTIL(stress_ops(s, 1)));
	EXPECT_EQ(t, stress_ops(s, 0) + stress_ops(s, 2), 0);
	EXPECT_EQ(t, stress_cpus(s), 1);
	EXPECT_EQ(t, stress_stop(s, &r), 0);
	EXPECT_EQ(t, r.frees_remote, 0);
}

struct damage {
	struct memory *mem;
	struct zone *zone;
	enum page_state state;
	unsigned done;
};

/*
 * Change a word of the last page of up to DAMAGED blocks, each time another word. Runs on the CPU
 * of the stress thread, which does not run meanwhile.
 */
static void do_damage(void *arg)
{
	struct damage *d = arg;
	pfn_t pfn;

	preempt_disable();
	for (pfn = d->zone->start_pfn; pfn < d->zone->end_pfn && d->done < DAMAGED; pfn++) {
		u32 word = page_word(pfn_to_page_in(d->mem, pfn));
		unsigned at = d->done * 7 / (DAMAGED - 1);
		u64 *data;

		if (word_state(word) != d->state)
			continue;
		data = page_address_in(
		    d->mem, pfn_to_page_in(d->mem, pfn + (1UL << word_order(word)) - 1));
		data[d->state == PG_ALLOC ? at * WORD_STEP : 0] ^= 1;
		d->done++;
	}
	preempt_enable();
}

static void expect_noticed(struct ktest *t, enum zone_kind kind, enum page_state state)
{
	struct damage d = {.mem = stress_memory(t), .state = state};
	struct stress_report r;
	struct stress *s;

	if (!d.mem)
		return;
	d.zone = &d.mem->zones[kind];
	s = NEED(t, stress_start(d.mem, 0, 1, t->seed));
	EXPECT(t, wait_for_ops(s, OPS));
	ktest_on_cpu(0, do_damage, &d);
	EXPECT_EQ(t, d.done, DAMAGED);
	EXPECT_EQ(t, stress_stop(s, &r), -EUCLEAN);
	/* The thread may have been stopped between allocating a block and writing to it. */
	EXPECT(t, r.corrupt >= DAMAGED - 1);
	if (state == PG_ALLOC)
		EXPECT(t, r.corrupt <= DAMAGED);
}

KTEST(damaged_blocks_are_noticed, KTEST_REPORTS)
{
	expect_noticed(t, ZONE_NORMAL, PG_ALLOC);
}

KTEST(damaged_objects_are_noticed)
{
	expect_noticed(t, ZONE_MOVABLE, PG_MOVABLE_OPS);
}

/* ---- rounds ---- */

static void use(struct memory *mem, unsigned block, int pages)
{
	struct pageblock *pb = pageblock_of(mem, BLOCK(block));

	WRITE_ONCE(pb->nr_free, (u16)(pb->nr_free - pages));
}

/*
 * The busiest range lies in zone MOVABLE, and only ranges that could go offline count. Among
 * equally busy ranges, it is the one that offline_candidate chooses.
 */
KTEST(busiest_range_has_most_in_use)
{
	static const struct {
		unsigned block, pages, busiest;
	} step[] = {
	    {3, 8, 18}, {9, 2, 8}, {12, 2, 8}, {13, 1, 12}, {4, 4, 4}, {19, 5, 18}, {5, 1, 18}};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 16));
	unsigned long nr;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(step); i++) {
		use(mem, step[i].block, (int)step[i].pages);
		EXPECT_EQ(t, offline_busiest(mem, BLOCK(2), &nr), BLOCK(step[i].busiest));
		EXPECT_EQ(t, nr, BLOCK(2));
	}
	for (i = 0; i < ARRAY_SIZE(step); i++)
		use(mem, step[i].block, -(int)step[i].pages);
}

KTEST(offline_pageblocks_are_not_busy)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 16));
	unsigned long nr;

	REQUIRE(t, offline_pages(mem, BLOCK(10), BLOCK(2), NULL, NULL) == 0);
	EXPECT(t, offline_busiest(mem, BLOCK(2), &nr) != BLOCK(10));
	EXPECT_EQ(t, nr, BLOCK(2));
	REQUIRE(t, online_pages(mem, BLOCK(10), BLOCK(2), NULL) == 0);
}

KTEST(without_movable_memory_no_range_is_busiest)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	unsigned long nr;

	EXPECT_EQ(t, offline_busiest(mem, BLOCK(2), &nr), PFN_NONE);
}

static void count_call(void *arg)
{
	atomic_add((u32 *)arg, 1u);
}

KTEST(rounds_wait_for_the_stress)
{
	struct memory *mem = stress_memory(t);
	struct offline_result res;
	struct round_opts opts = {.nr = BLOCK(2), .on_isolated = count_call};
	struct stress_report r;
	struct stress *s;
	u32 calls = 0;
	unsigned policy;
	u64 ops;

	if (!mem)
		return;
	s = NEED(t, stress_start(mem, 0, some_cpus(), t->seed));
	opts.stress = s;
	opts.arg = &calls;
	opts.start = mem->zones[ZONE_MOVABLE].start_pfn + BLOCK(2);
	for (policy = 0; policy < NR_ISO_POLICIES; policy++) {
		opts.policy = (enum iso_policy)policy;
		EXPECT_EQ(t, offline_round(mem, &opts, &res, &ops), 0);
		EXPECT_EQ(t, res.policy, policy);
		EXPECT(t, ops >= 100 && calls == policy + 1);
		EXPECT(
		    t, res.rounds == 1 || (res.rounds > 1 && !iso_policy_one_round(opts.policy)));
		EXPECT_EQ(t, pageblock_state(pageblock_of(mem, opts.start)), PB_ONLINE);
	}
	opts.start++;
	EXPECT_EQ(t, offline_round(mem, &opts, &res, &ops), -EINVAL);
	EXPECT_EQ(t, ops, 0);
	EXPECT_EQ(t, calls, policy);
	EXPECT_EQ(t, stress_stop(s, &r), 0);
}

KTEST(lost_and_damaged_pages_are_reported)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	struct soak soak;
	char want[120];
	u64 pos;

	soak_begin(&soak, mem, "  # test");
	pos = log_position();
	EXPECT(t, soak_end(&soak));
	EXPECT_EQ(t, log_position(), pos);
	soak.managed++;
	EXPECT(t, !soak_end(&soak));
	ksnprintf(want, sizeof(want),
	    "  # test: FAIL: %lu pages managed without those from standby, %lu before; 0 from "
	    "standby\n",
	    soak.managed - 1, soak.managed);
	EXPECT(t, said(pos, want));
	soak.managed--;
	mem->zones[ZONE_NORMAL].nr_free++;
	pos = log_position();
	EXPECT(t, !soak_check(&soak) && !soak_end(&soak));
	EXPECT_EQ(t, times_in(text_since(pos), "  # test: FAIL: "), 2);
	mem->zones[ZONE_NORMAL].nr_free--;
	EXPECT(t, soak_check(&soak));
	/* A line of progress is due every two seconds. */
	EXPECT(t, !soak_report_due(&soak));
	soak.next_report -= 3000000000;
	EXPECT(t, soak_report_due(&soak) && !soak_report_due(&soak));
}

KTEST(soaks_run_each_policy, KTEST_REPORTS)
{
	/* With blocks of eight pages most of a small memory is always in use. */
	struct memory *mem =
	    PAGEBLOCK_ORDER < 9 ? NULL : ktest_backed_memory(t, 2 * NORMAL, MOVABLE);
	char want[120];
	unsigned policy;
	u64 pos;

	if (!mem)
		return;
	for (policy = 0; policy <= NR_ISO_POLICIES; policy++) {
		enum iso_policy p;

		pos = log_position();
		EXPECT_EQ(t, offline_soak(mem, 2, (enum iso_policy)policy, t->seed), 0);
		for (p = 0; p < NR_ISO_POLICIES; p++) {
			ksnprintf(
			    want, sizeof(want), "rounds: %s: 2 offlines of ", iso_policy_name(p));
			EXPECT_EQ(t, said(pos, want),
			    p == (enum iso_policy)policy || policy == NR_ISO_POLICIES);
		}
		EXPECT(t, said(pos, " 0 damaged\n") && !said(pos, "FAIL"));
		if (policy == ISO_DISABLE || policy == ISO_PRECISE)
			EXPECT(t, said(pos, " MiB: 2 drain rounds (one each)\n"));
	}
}

KTEST(soaks_without_movable_memory_report_it, KTEST_REPORTS)
{
	struct memory *mem = ktest_backed_memory(t, NORMAL, 0);
	u64 pos = log_position();

	if (!mem)
		return;
	EXPECT_EQ(t, offline_soak(mem, 2, ISO_PRECISE, t->seed), 0);
	EXPECT(t, said(pos, "rounds: precise: no movable range to take offline on this machine\n"));
}
