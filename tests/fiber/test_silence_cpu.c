/* SPDX-License-Identifier: MIT */
/*
 * test_silence_cpu.c: a CPU answers nothing, for a minute or for ever: the results of an offline, a
 * cpu_down and an allocation.  Time is the machine's (arch/fiber/fiber_whole.c): each limit below
 * is exact to half a second.
 */
#include "kernel/hotplug_state.h"
#include "kernel/runq.h"
#include "tests/lib/mm_help.h"
#include "tests/fiber/silence_help.h"
#include "tests/lib/request_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/errno.h>
#include <quarry/smp.h>

#define SILENT 2u /* the CPU that answers nothing */
#define OTHER  3u

static struct memory *new_memory(struct ktest *t)
{
	return ktest_memory(t, 0, 16, TEST_BLOCKS - 16);
}

/* Leave a page of zone MOVABLE in the cache of @cpu; returns its pfn. */
static pfn_t leave_in_cache(struct ktest *t, struct memory *mem, unsigned cpu)
{
	struct page *page = NULL;

	EXPECT_EQ(t, alloc_on(cpu, mem, GFP_MOVABLE, 0, 1, &page), 1);
	EXPECT_EQ(t, free_on(cpu, mem, 0, 1, &page), 1);
	EXPECT(t, pcp_zone_nonempty(mem, cpu, test_zone(mem, ZONE_MOVABLE)));
	return page_to_pfn_in(mem, page);
}

static void expect_all_free(struct ktest *t, struct memory *mem)
{
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
	expect_sound(t, mem);
}

/* Make a memory with a page in the cache of a CPU that from now on answers nothing. */
static struct memory *fall_silent(struct ktest *t, struct deaf *deaf)
{
	struct memory *mem = new_memory(t);

	if (mem) {
		leave_in_cache(t, mem, SILENT);
		deaf_begin(deaf, SILENT, WAIT_FOREVER);
	}
	return mem;
}

KTEST_SUITE(silence_cpu, 0);

/* ---- cpu_down ---- */

KTEST(cpu_down_of_a_silent_cpu_fails_in_time)
{
	struct deaf deaf;
	struct memory *mem = NEED(t, fall_silent(t, &deaf));
	u64 began;

	began = arch_clock_ns();
	EXPECT_EQ(t, cpu_down(SILENT), -EIO);
	EXPECT_TOOK(t, arch_clock_ns() - began, smp_timeout_ns);
	EXPECT(t, !strcmp(cpu_state_name(SILENT), "dead"));
	/* No caller waits for the dead CPU again. */
	began = arch_clock_ns();
	EXPECT_EQ(t, cpu_down(SILENT), -EIO);
	EXPECT_EQ(t, cpu_up(SILENT), -EIO);
	EXPECT(t, drain_all_pages(mem, NULL) >= 0);
	EXPECT_EQ(t, cpu_down(OTHER), 0);
	EXPECT_EQ(t, cpu_up(OTHER), 0);
	EXPECT_TOOK(t, arch_clock_ns() - began, 0);
	/* The dead CPU's cached pages return with the CPU. */
	EXPECT(t, pcp_zone_nonempty(mem, SILENT, test_zone(mem, ZONE_MOVABLE)));
	deaf_end(&deaf);
	dead_comes_back(t, SILENT);
	EXPECT(t, !pcp_zone_nonempty(mem, SILENT, test_zone(mem, ZONE_MOVABLE)));
	expect_all_free(t, mem);
}

static void come_late(void *arg)
{
	thread_sleep(S);
	*(int *)arg = cpu_up(OTHER);
}

KTEST(a_cpu_that_comes_online_late_is_waited_for)
{
	int err = cpu_down(OTHER);
	u64 began = arch_clock_ns();

	REQUIRE(t, !err);
	/* In turn: the CPU never arrives; the time limit is 0; the CPU arrives. */
	EXPECT(t, !cpu_wait_online(OTHER, 2 * S));
	EXPECT_TOOK(t, arch_clock_ns() - began, 2 * S);
	EXPECT(t, !cpu_wait_online(OTHER, 0));
	began = arch_clock_ns();
	ktest_start(SILENT, come_late, &err);
	EXPECT(t, cpu_wait_online(OTHER, 60 * S));
	EXPECT_TOOK(t, arch_clock_ns() - began, S);
	ktest_join(SILENT);
	EXPECT_EQ(t, err, 0);
	/* A CPU that is online needs no time. */
	began = arch_clock_ns();
	EXPECT(t, cpu_wait_online(OTHER, 0) && cpu_wait_online(OTHER, 60 * S));
	EXPECT_TOOK(t, arch_clock_ns() - began, 0);
}

/* Stop in the middle of this CPU's own call: its gate is odd, and it may use an old online mask. */
static void call_itself(void *arg)
{
	static cpumask_t self[CPUMASK_WORDS(64)];

	memset(self, 0, sizeof(self));
	cpumask_set(self, arch_cpu_id());
	smp_call_mask(self, deaf_main, arg);
}

KTEST(cpu_down_beside_a_silent_sender_succeeds_in_time)
{
	struct deaf deaf = {.cpu = SILENT, .ns = WAIT_FOREVER};
	struct memory *mem = NEED(t, new_memory(t));
	u64 began;

	leave_in_cache(t, mem, OTHER);
	ktest_start(SILENT, call_itself, &deaf);
	while (!load_acquire(&deaf.is))
		thread_yield();
	began = arch_clock_ns();
	EXPECT_EQ(t, cpu_down(OTHER), 0);
	EXPECT_TOOK(t, arch_clock_ns() - began, smp_timeout_ns);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
	deaf_end(&deaf);
	EXPECT_EQ(t, cpu_up(OTHER), 0);
	expect_all_free(t, mem);
}

/* ---- threads of a CPU that stands still ---- */

struct sleeper {
	struct waitq wq;
	u32 flag, ran; /* atomic */
};

static bool flagged(void *arg)
{
	return load_acquire(&((struct sleeper *)arg)->flag);
}

static void sleep_until_flagged(void *arg)
{
	struct sleeper *s = arg;

	wait_until(&s->wq, flagged, s, WAIT_FOREVER);
	store_release(&s->ran, 1u);
}

/*
 * A thread that is woken while its CPU is dead continues on another CPU, unless the dead CPU may
 * still use its stack.
 */
KTEST(sleeper_of_a_dead_cpu_moves_unless_its_stack_is_in_use)
{
	unsigned way;

	for (way = 0; way < 4; way++) {
		bool in_use = way & 1, woken_early = way & 2;
		struct sleeper s = {.wq = WAITQ("sleeper")};
		struct thread *thread = thread_start("sleeper", SILENT, sleep_until_flagged, &s);
		struct deaf deaf;

		REQUIRE(t, thread);
		thread_sleep(20 * MS);
		deaf_begin(&deaf, SILENT, WAIT_FOREVER);
		/*
		 * The state of a CPU that stopped in the middle of the switch away from this
		 * thread.
		 */
		if (in_use)
			store_release(&runqs[SILENT].was, thread);
		store_release(&s.flag, 1u);
		if (woken_early)
			wake_up(&s.wq);
		EXPECT_EQ(t, cpu_down(SILENT), -EIO);
		wake_up(&s.wq);
		thread_sleep(5 * S);
		EXPECT_EQ(t, s.ran, !in_use);
		deaf_end(&deaf);
		dead_comes_back(t, SILENT);
		thread_join(thread);
		EXPECT_EQ(t, s.ran, 1);
	}
}

static void drain(void *arg)
{
	drain_all_pages(arg, NULL);
}

/*
 * A drain holds cpu_hotplug until the silent CPU answers; here the watchdog of calls does not end
 * the drain.
 */
KTEST(cpu_down_behind_a_drain_of_a_silent_cpu_times_out)
{
	struct deaf deaf;
	struct memory *mem = NEED(t, fall_silent(t, &deaf));
	u64 began, timeout;

	timeout = set_call_timeout(smp_timeout_ns);
	ktest_start(1, drain, mem);
	thread_sleep(20 * MS);
	began = arch_clock_ns();
	EXPECT_EQ(t, cpu_down(OTHER), -ETIMEDOUT);
	EXPECT_EQ(t, cpu_up(OTHER), -ETIMEDOUT);
	EXPECT_TOOK(t, arch_clock_ns() - began, 12 * smp_timeout_ns);
	restore_call_timeout(timeout);
	deaf_end(&deaf);
	ktest_join(1);
	EXPECT_EQ(t, cpu_down(OTHER), 0);
	EXPECT_EQ(t, cpu_up(OTHER), 0);
	expect_all_free(t, mem);
}

/* ---- an offline ---- */

struct offline {
	struct memory *mem;
	pfn_t start;
	struct offline_opts opts;
	struct offline_result res;
	int err;
};

static void offline(void *arg)
{
	struct offline *o = arg;

	o->err = offline_pages(o->mem, o->start, PAGEBLOCK_PAGES, &o->opts, &o->res);
}

KTEST(offline_beside_a_silent_cpu_ends_by_its_answer_or_in_a_panic)
{
	struct offline o = {.mem = new_memory(t)};
	struct deaf deaf;
	u64 began, took;

	REQUIRE(t, o.mem);
	for (o.opts.policy = 0; o.opts.policy < NR_ISO_POLICIES; o.opts.policy++) {
		/* The silent CPU caches a page of the range: each policy must send it an IPI. */
		o.start = block_of(leave_in_cache(t, o.mem, SILENT));
		deaf_begin(&deaf, SILENT, WAIT_FOREVER);
		EXPECT(t, whole_panics(offline, &o, "was not answered", &took));
		EXPECT_TOOK_CALL(t, took, 6 * smp_timeout_ns);
		/* The CPU answers at the last moment. */
		began = arch_clock_ns();
		deaf.ns = 59 * S;
		offline(&o);
		EXPECT_TOOK(t, arch_clock_ns() - began, 59 * S);
		deaf_end(&deaf);
		EXPECT_EQ(t, o.err, 0);
		EXPECT_EQ(t, o.res.rounds, 1);
		expect_sound(t, o.mem);
		EXPECT_EQ(t, online_pages(o.mem, o.start, PAGEBLOCK_PAGES, NULL), 0);
		expect_all_free(t, o.mem);
	}
}

static unsigned unsound;

static void check_isolated(void *arg)
{
	struct mm_violation v;

	unsound += check_memory(arg, &v) != 0;
}

/* A dead CPU's cached pages are out of reach until it is back; other pages can be offlined. */
KTEST(offline_beside_a_dead_cpu_ends_in_time)
{
	struct offline o = {.mem = new_memory(t)};
	struct deaf deaf;
	pfn_t cached;
	u64 began;

	REQUIRE(t, o.mem);
	unsound = 0;
	o.opts.on_isolated = check_isolated;
	o.opts.arg = o.mem;
	cached = leave_in_cache(t, o.mem, SILENT);
	deaf_begin(&deaf, SILENT, WAIT_FOREVER);
	EXPECT_EQ(t, cpu_down(SILENT), -EIO);
	for (o.opts.policy = 0; o.opts.policy < NR_ISO_POLICIES; o.opts.policy++) {
		began = arch_clock_ns();
		o.start = block_of(cached);
		o.opts.deadline_ns = S;
		offline(&o);
		EXPECT_EQ(t, o.err, -ETIMEDOUT);
		EXPECT_EQ(t, o.res.fail.why, WHY_DEADLINE);
		EXPECT_EQ(t, block_of(o.res.fail.pfn), o.start);
		EXPECT_TOOK(t, arch_clock_ns() - began, S);
		/* Without a limit from its caller an offline uses its own. */
		began = arch_clock_ns();
		o.opts.deadline_ns = 0;
		offline(&o);
		EXPECT_EQ(t, o.err, -ETIMEDOUT);
		EXPECT_TOOK(t, arch_clock_ns() - began, 30 * S);
		began = arch_clock_ns();
		o.start = test_zone(o.mem, ZONE_NORMAL)->start_pfn;
		offline(&o);
		EXPECT_EQ(t, o.err, 0);
		EXPECT_TOOK(t, arch_clock_ns() - began, 0);
		EXPECT_EQ(t, online_pages(o.mem, o.start, PAGEBLOCK_PAGES, NULL), 0);
	}
	EXPECT_EQ(t, unsound, 0);
	deaf_end(&deaf);
	dead_comes_back(t, SILENT);
	o.start = block_of(cached);
	offline(&o);
	EXPECT_EQ(t, o.err, 0);
	EXPECT_EQ(t, online_pages(o.mem, o.start, PAGEBLOCK_PAGES, NULL), 0);
	expect_all_free(t, o.mem);
}

/* ---- an allocation ---- */

/* The last free pages lie in the cache of @cpu. */
static void only_in_cache(struct ktest *t, struct hoard *h, unsigned cpu)
{
	leave_in_cache(t, h->mem, cpu);
	hoard_take(h);
	EXPECT(t, h->nr > 0 && h->nr < ARRAY_SIZE(h->page));
	EXPECT(t, pcp_zone_nonempty(h->mem, cpu, test_zone(h->mem, ZONE_MOVABLE)));
	EXPECT(t, !mem_alloc_pages(h->mem, GFP_MOVABLE | GFP_NOWAIT, 0));
}

static struct hoard hoard;
static struct page *got;

static void alloc_one(void *arg)
{
	got = mem_alloc_pages(arg, GFP_MOVABLE, 0);
}

/* Make the reclaim thread of @mem sleep on @cpu: wake it while all other CPUs are down. */
static void settle_on(struct ktest *t, struct memory *mem, unsigned cpu)
{
	unsigned other;

	for (other = 0; other < ktest_cpus(); other++)
		EXPECT_EQ(t, other == cpu ? 0 : cpu_down(other), 0);
	EXPECT(t, asked_drain(mem));
	for (other = 0; other < ktest_cpus(); other++)
		EXPECT_EQ(t, other == cpu ? 0 : cpu_up(other), 0);
}

static void give_all_back(struct ktest *t, struct memory *mem)
{
	EXPECT(t, got);
	if (got)
		EXPECT_EQ(t, mem_free_pages(mem, got, 0), 0);
	hoard_give(&hoard);
	drain_all_pages(mem, NULL);
	expect_all_free(t, mem);
}

KTEST(an_allocation_beside_a_silent_cpu_ends_by_its_answer_or_in_a_panic)
{
	struct memory *mem = NEED(t, new_memory(t));
	struct deaf deaf;
	u64 began, took;

	hoard = (struct hoard){.mem = mem, .gfp = GFP_MOVABLE};
	settle_on(t, mem, SILENT);
	only_in_cache(t, &hoard, SILENT);
	deaf_begin(&deaf, SILENT, WAIT_FOREVER);
	began = arch_clock_ns();
	EXPECT(t, !mem_alloc_pages(mem, GFP_MOVABLE | GFP_NOWAIT, 0));
	EXPECT_TOOK(t, arch_clock_ns() - began, 0);
	EXPECT(t, whole_panics(alloc_one, mem, "was not answered", &took));
	EXPECT_TOOK_CALL(t, took, 6 * smp_timeout_ns);
	deaf.ns = 59 * S;
	alloc_one(mem);
	EXPECT_TOOK(t, arch_clock_ns() - began, 59 * S);
	deaf_end(&deaf);
	give_all_back(t, mem);
}

/* Each CPU in turn is dead, and the reclaim thread sleeps on it. */
KTEST(an_allocation_beside_a_dead_cpu_fails_in_time)
{
	struct memory *mem = NEED(t, new_memory(t));
	struct deaf deaf;
	unsigned cpu;
	u64 began;

	for (cpu = 1; cpu < ktest_cpus(); cpu++) {
		hoard = (struct hoard){.mem = mem, .gfp = GFP_MOVABLE};
		settle_on(t, mem, cpu);
		only_in_cache(t, &hoard, cpu);
		deaf_begin(&deaf, cpu, WAIT_FOREVER);
		EXPECT_EQ(t, cpu_down(cpu), -EIO);
		began = arch_clock_ns();
		alloc_one(mem);
		EXPECT(t, !got);
		EXPECT_TOOK(t, arch_clock_ns() - began, 0);
		expect_sound(t, mem);
		deaf_end(&deaf);
		dead_comes_back(t, cpu);
		alloc_one(mem);
		give_all_back(t, mem);
	}
}

/* ---- a spin lock ---- */

static struct spinlock held_lock;

static void die_in_section(void *arg)
{
	spin_lock(&held_lock);
	deaf_main(arg);
	spin_unlock(&held_lock);
}

static void take_held_lock(void *arg)
{
	spin_lock(&held_lock);
	spin_unlock(&held_lock);
}

/*
 * Take the lock with interrupts off, as most locks are taken. The waiting CPU answers no
 * cross-call, so it must find the silent holder itself.
 */
static void take_held_lock_deaf(void *arg)
{
	irqflags_t flags = arch_irq_save();

	take_held_lock(NULL);
	arch_irq_restore(flags);
}

KTEST(a_lock_that_a_silent_cpu_holds_ends_by_its_release_or_in_a_panic)
{
	struct deaf deaf = {.cpu = SILENT, .ns = WAIT_FOREVER};
	u64 took;

	held_lock = SPINLOCK("held", RANK_NONE);
	ktest_start(SILENT, die_in_section, &deaf);
	while (!load_acquire(&deaf.is))
		thread_yield();
	EXPECT(
	    t, whole_panics(take_held_lock, NULL, "lock held: CPU 2 does not release it", &took));
	EXPECT_TOOK_CALL(t, took, 6 * smp_timeout_ns);
	EXPECT(t,
	    whole_panics(take_held_lock_deaf, NULL, "lock held: CPU 2 does not release it", &took));
	deaf.ns = 59 * S;
	took = arch_clock_ns();
	take_held_lock(NULL);
	EXPECT_TOOK(t, arch_clock_ns() - took, 59 * S - 100 * MS);
	deaf_end(&deaf);
}

/* Its CPU holds the lock for 40 s, and then, without the lock being free between, another one. */
static void hand_over(void *arg)
{
	spin_lock(&held_lock);
	deaf_main(arg);
	WRITE_ONCE(held_lock.locked, SILENT);
	deaf_main(arg);
	spin_unlock(&held_lock);
}

KTEST_INSIDE(a_lock_that_changes_hands_is_waited_for)
{
	struct deaf deaf = {.cpu = SILENT, .ns = 40 * S};
	u64 took;

	held_lock = SPINLOCK("held", RANK_NONE);
	ktest_start(SILENT, hand_over, &deaf);
	while (!load_acquire(&deaf.is))
		thread_yield();
	took = arch_clock_ns();
	take_held_lock(NULL);
	EXPECT_TOOK(t, arch_clock_ns() - took, 80 * S - 100 * MS);
	ktest_join(SILENT);
}
