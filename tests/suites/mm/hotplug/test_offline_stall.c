/* SPDX-License-Identifier: MIT */
/*
 * test_offline_stall.c: an offline that meets a page in use. The offline is refused when every
 * thread that may hold the page has had its turns; while such a thread cannot run, the offline
 * waits.
 */
#include "tests/lib/mm_help.h"
#include "tests/lib/race_free.h"

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)
#define STALL_NS 300000000ULL /* longer than an offline waits if every thread gets its turns */
#define STUCK_NS 200000000ULL
#define TURNS    5
#define READS    64 /* for each cpu_relax: it costs QEMU as much time as 1,000 instructions */

/* A page held by a thread whose CPU keeps interrupts off for @ns, and then until @go is set. */
struct stall {
	struct memory *mem;
	pfn_t start;
	struct page *page;
	u64 ns;
	u32 deaf, go; /* atomic */
	int err;
};

static void stand_still(void *arg)
{
	struct stall *s = arg;
	irqflags_t flags = arch_irq_save();
	u64 end = arch_clock_ns() + s->ns;
	unsigned n;

	store_release(&s->deaf, 1u);
	for (n = 1; arch_clock_ns() < end || !load_acquire(&s->go); n++)
		if (n % READS == 0)
			cpu_relax();
	arch_irq_restore(flags);
	s->err = mem_free_pages(s->mem, s->page, 0);
}

static void begin_stall(void *arg)
{
	struct stall *s = arg;

	s->deaf = 0;
	ktest_start(1, stand_still, s);
	own_wait(&s->deaf);
}

static bool take_page(struct ktest *t, struct stall *s)
{
	EXPECT_EQ(t, alloc_on(0, s->mem, GFP_MOVABLE, 0, 1, &s->page), 1);
	empty_all(s->mem);
	s->start = ALIGN_DOWN(page_to_pfn_in(s->mem, s->page), BLOCK(4));
	return s->page != NULL;
}

KTEST_SUITE(offline_stall, 0);

KTEST(stalled_cpu_is_waited_for)
{
	struct stall s = {.ns = STALL_NS, .go = 1};
	unsigned p;

	if (!ktest_needs_cpus(t, 2))
		return;
	s.mem = ktest_memory(t, 0, 0, TEST_MAX_BLOCKS / 2);
	REQUIRE(t, s.mem);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		const struct offline_opts opts = {
		    .policy = policies[p], .on_isolated = begin_stall, .arg = &s};
		struct offline_result res;

		REQUIRE(t, take_page(t, &s));
		EXPECT_EQ(t, offline_pages(s.mem, s.start, BLOCK(4), &opts, &res), 0);
		ktest_join(1);
		EXPECT_EQ(t, s.err, 0);
		EXPECT_EQ(t, res.rounds, 1);
		expect_sound(t, s.mem);
		EXPECT_EQ(t, online_pages(s.mem, s.start, BLOCK(4), NULL), 0);
	}
}

KTEST(deadline_ends_the_wait_for_a_stalled_cpu)
{
	struct stall s = {.ns = 0};
	const struct offline_opts opts = {
	    .policy = ISO_PRECISE, .deadline_ns = STALL_NS, .on_isolated = begin_stall, .arg = &s};
	struct offline_result res;

	if (!ktest_needs_cpus(t, 2))
		return;
	s.mem = ktest_memory(t, 0, 0, TEST_MAX_BLOCKS / 2);
	REQUIRE(t, s.mem && take_page(t, &s));
	EXPECT_EQ(t, offline_pages(s.mem, s.start, BLOCK(4), &opts, &res), -ETIMEDOUT);
	EXPECT_EQ(t, res.fail.why, WHY_DEADLINE);
	EXPECT_EQ(t, res.fail.pfn, page_to_pfn_in(s.mem, s.page));
	EXPECT_EQ(t, test_zone(s.mem, ZONE_MOVABLE)->nr_isolated, 0);
	store_release(&s.go, 1u);
	ktest_join(1);
	EXPECT_EQ(t, s.err, 0);
	EXPECT_EQ(t, memory_free_pages(s.mem), memory_managed_pages(s.mem));
}

KTEST(page_that_stays_unmovable_is_refused)
{
	const struct offline_opts opts = {.policy = ISO_PRECISE, .deadline_ns = WAIT_FOREVER};
	struct stall s = {.mem = ktest_memory(t, 0, 0, TEST_MAX_BLOCKS / 2)};
	struct offline_result res;
	u64 began;

	REQUIRE(t, s.mem && take_page(t, &s));
	began = arch_clock_ns();
	EXPECT_EQ(t, offline_pages(s.mem, s.start, BLOCK(4), &opts, &res), -EBUSY);
	/* Every possible holder has had enough turns and time. */
	EXPECT(t, arch_clock_ns() - began >= STUCK_NS);
	EXPECT_EQ(t, res.fail.why, WHY_UNMOVABLE);
	EXPECT_EQ(t, res.fail.pfn, page_to_pfn_in(s.mem, s.page));
	EXPECT(t, res.loops > TURNS);
	EXPECT_EQ(t, free_on(0, s.mem, 0, 1, &s.page), 1);
}

/* ---- threads_had_turn ---- */

struct runner {
	u32 turns; /* atomic */
	u32 *stop; /* atomic */
};

static void run_and_yield(void *arg)
{
	struct runner *r = arg;

	while (!load_acquire(r->stop)) {
		counter_add(&r->turns, 1);
		thread_yield();
	}
}

static void take_turns(struct ktest *t, u64 since)
{
	unsigned turn;

	for (turn = 0; turn < TURNS; turn++) {
		EXPECT(t, OWN_YIELD_UNTIL(threads_had_turn(since)));
		since = arch_clock_ns();
	}
}

KTEST_INSIDE(ready_threads_have_had_their_turns)
{
	struct runner runners[TEST_MAX_CPUS] = {{.turns = 0}};
	unsigned cpu, round;
	u32 stop = 0;

	for (cpu = 0; cpu < ktest_cpus(); cpu++) {
		runners[cpu].stop = &stop;
		ktest_start(cpu, run_and_yield, &runners[cpu]);
	}
	for (cpu = 0; cpu < ktest_cpus(); cpu++)
		EXPECT(t, OWN_YIELD_UNTIL(READ_ONCE(runners[cpu].turns)));
	for (round = 0; round < 5; round++) {
		u32 before[TEST_MAX_CPUS];

		for (cpu = 0; cpu < ktest_cpus(); cpu++)
			before[cpu] = READ_ONCE(runners[cpu].turns);
		take_turns(t, arch_clock_ns());
		for (cpu = 0; cpu < ktest_cpus(); cpu++)
			EXPECT(t, READ_ONCE(runners[cpu].turns) != before[cpu]);
	}
	store_release(&stop, 1u);
	join_from(0);
}

KTEST(cpu_with_interrupts_off_gives_no_turns)
{
	struct stall s = {.ns = 0};
	u64 since, end;
	bool early = false;

	if (!ktest_needs_cpus(t, 2))
		return;
	s.mem = ktest_memory(t, 0, 0, TEST_MAX_BLOCKS / 2);
	REQUIRE(t, s.mem && take_page(t, &s));
	begin_stall(&s);
	since = arch_clock_ns();
	for (end = since + STALL_NS / 2; arch_clock_ns() < end; thread_yield())
		early = early || threads_had_turn(since);
	EXPECT(t, !early);
	store_release(&s.go, 1u);
	take_turns(t, since);
	ktest_join(1);
	EXPECT_EQ(t, s.err, 0);
}
