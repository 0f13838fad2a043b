/* SPDX-License-Identifier: MIT */
/*
 * test_hotplug_race.c: CPUs go down and come back while others make calls, drain and offline
 * memory. Offline CPUs get no IPI, and a CPU that does not answer is reported.
 */
#include "demo/provoke.h"
#include "tests/lib/hotplug_help.h"
#include "tests/lib/said_help.h"
#include <quarry/console.h>
#include <quarry/cpu.h>
#include <quarry/errno.h>
#include <quarry/machine.h>
#include <quarry/sched.h>
#include <quarry/smp.h>

#define STEPS      48
#define TIMEOUT_NS 300000000ULL /* until a silent CPU is reported */
#define LEAVE_NS   500000000ULL /* a CPU that need not wait stops in a thousandth of this time */

/* ---- while other threads work ---- */

struct worker {
	struct ktest *t;
	u32 stop; /* atomic */
	u32 done; /* atomic: calls of turn so far */
	void (*turn)(struct worker *w);
	struct thread *thread;
};

static void work(void *arg)
{
	struct worker *w = arg;

	while (!READ_ONCE(w->stop)) {
		w->turn(w);
		counter_add(&w->done, 1);
		thread_yield();
	}
}

static void add_one(void *arg)
{
	counter_add((u32 *)arg, 1);
}

static void turn_call(struct worker *w)
{
	u32 runs = 0;
	int asked = smp_call_mask(NULL, add_one, &runs);

	if (asked < 0 || runs != (u32)asked + 1)
		ktest_fail(w->t, __FILE__, __LINE__, "asked %d CPUs, %u have run it", asked, runs);
}

static void turn_drain(struct worker *w)
{
	warm_caches(NULL);
	EXPECT(w->t, drain_all_pages(&kernel_memory, NULL) >= 0);
}

static void turn_disable(struct worker *w)
{
	struct zone *zone = big_zone();
	unsigned cpu;

	EXPECT_EQ(w->t, zone_pcp_disable(zone), 0);
	warm_caches(NULL);
	for (cpu = 0; cpu < kernel_memory.nr_cpus; cpu++)
		EXPECT(w->t, !pcp_zone_nonempty(&kernel_memory, cpu, zone));
	EXPECT_EQ(w->t, zone_pcp_enable(zone), 0);
}

static void turn_offline(struct worker *w)
{
	struct offline_opts opts = {.policy = w->done % 2 ? ISO_DISABLE : ISO_PRECISE};
	struct offline_result res;
	unsigned long nr;
	pfn_t start = offline_candidate(&kernel_memory, 4 * PAGEBLOCK_PAGES, &nr);
	struct mm_fail fail;

	if (start == PFN_NONE)
		return;
	EXPECT_EQ(w->t, offline_pages(&kernel_memory, start, nr, &opts, &res), 0);
	EXPECT_EQ(w->t, online_pages(&kernel_memory, start, nr, &fail), 0);
}

static bool has_turned(void *arg)
{
	return READ_ONCE(((struct worker *)arg)->done) > 0;
}

/* CPUs go down and come back at random, while other threads call each of @turns again and again. */
static void hotplug_against(struct ktest *t, void (*const turns[])(struct worker *), unsigned nr)
{
	struct worker workers[4] = {{.t = NULL}};
	unsigned i, cpu;
	u64 rand = t->seed;

	if (!needs_two(t))
		return;
	for (i = 0; i < nr; i++) {
		workers[i] = (struct worker){.t = t, .turn = turns[i]};
		workers[i].thread =
		    thread_start("worker", i % 2 ? -1 : (int)(i % nr_boot_cpus), work, &workers[i]);
		REQUIRE(t, workers[i].thread);
	}
	for (i = 0; i < STEPS; i++) {
		int last = nr_cpus_online() == 1 ? -EBUSY : 0;

		cpu = (unsigned)(ktest_rand(&rand) % nr_boot_cpus);
		if (!cpumask_test(cpu_online_mask, cpu))
			EXPECT_EQ(t, cpu_up(cpu), 0);
		else
			EXPECT_EQ(t, cpu_down(cpu), last);
	}
	for (i = 0; i < nr; i++) {
		EXPECT(t, wait_for(has_turned, &workers[i]));
		WRITE_ONCE(workers[i].stop, 1u);
		thread_join(workers[i].thread);
	}
	for (cpu = 0; cpu < nr_boot_cpus; cpu++)
		if (!cpumask_test(cpu_online_mask, cpu))
			EXPECT_EQ(t, cpu_up(cpu), 0);
	expect_sound(t, &kernel_memory);
}

KTEST_SUITE(hotplug_race, 0);

KTEST(calls_and_drains_work_during_cpu_hotplug)
{
	static void (*const turns[])(struct worker *) = {
	    turn_call, turn_drain, turn_disable, turn_call};
	struct smp_stats before = smp_stats;

	hotplug_against(t, turns, ARRAY_SIZE(turns));
	EXPECT_EQ(t, smp_stats.offline_cpu, before.offline_cpu);
	EXPECT_EQ(t, smp_stats.spurious_calls, before.spurious_calls);
	EXPECT_EQ(t, smp_stats.bad_cpu, before.bad_cpu);
}

KTEST(offlines_work_during_cpu_hotplug)
{
	static void (*const turns[])(struct worker *) = {turn_offline, turn_drain, turn_call};
	unsigned long managed = memory_managed_pages(&kernel_memory);

	hotplug_against(t, turns, ARRAY_SIZE(turns));
	EXPECT_EQ(t, memory_managed_pages(&kernel_memory), managed);
}

/* ---- the gate ---- */

/*
 * CPU 2 makes a call that CPU 1 answers late; CPU `leaver', which goes down, is not called. The
 * answer comes when the leaver has stopped, which is wrong, or LEAVE_NS after the leaver's bit was
 * cleared: by then it would have stopped.
 */
struct long_call {
	u32 began, ended; /* atomic */
	bool stopped;     /* the leaver stopped before the answer */
	unsigned leaver;
};

static void take_long(void *arg)
{
	struct long_call *c = arg;
	u64 gone = 0, began = arch_clock_ns(), now = began;

	store_release(&c->began, 1u);
	while (!c->stopped && now - began < WAIT_NS && (!gone || now - gone < LEAVE_NS)) {
		cpu_relax();
		now = arch_clock_ns();
		if (!gone && !cpumask_test(cpu_online_mask, c->leaver))
			gone = now;
		c->stopped = cpu_is_parked(c->leaver);
	}
	store_release(&c->ended, 1u);
}

static void call_long(void *arg)
{
	call_cpu(1, take_long, arg);
}

/*
 * A sender that was active when the leaver's bit was cleared may have read the bit before. So the
 * leaver must not stop before all such senders are done.
 */
KTEST(leaving_cpu_waits_for_all_senders)
{
	struct long_call c = {.leaver = 3};

	if (ktest_cpus() < 4 || !needs_two(t)) {
		ktest_skip(t, "needs 4 CPUs, all of them online");
		return;
	}
	ktest_start(2, call_long, &c);
	EXPECT(t, YIELD_UNTIL(load_acquire(&c.began)));
	EXPECT_EQ(t, cpu_down(3), 0);
	EXPECT_EQ(t, load_acquire(&c.ended), 1);
	ktest_join(2);
	EXPECT(t, !c.stopped);
	EXPECT_EQ(t, cpu_up(3), 0);
}

/* ---- failures ---- */

KTEST(offline_and_absent_cpus_are_counted_apart)
{
	struct smp_stats before = smp_stats;
	unsigned cpu = ktest_cpus() - 1;
	u32 runs = 0;

	if (!needs_two(t))
		return;
	EXPECT_EQ(t, cpu_down(cpu), 0);
	EXPECT_EQ(t, call_cpu(cpu, add_one, &runs), 0);
	EXPECT_EQ(t, runs, 0);
	EXPECT_EQ(t, smp_stats.offline_cpu, before.offline_cpu + 1);
	EXPECT_EQ(t, smp_stats.bad_cpu, before.bad_cpu);
	if (nr_cpus % 64) {
		EXPECT_EQ(t, call_cpu(nr_cpus, add_one, &runs), 0);
		EXPECT_EQ(t, smp_stats.offline_cpu, before.offline_cpu + 1);
		EXPECT_EQ(t, smp_stats.bad_cpu, before.bad_cpu + 1);
	}
	EXPECT_EQ(t, cpu_up(cpu), 0);
	EXPECT_EQ(t, smp_stats.spurious_calls, before.spurious_calls);
}

/* Send the interrupt past all checks. The CPU finds it when it wakes, before it is online. */
KTEST(parked_cpu_counts_a_stray_interrupt)
{
	u64 before = smp_stats.spurious_calls;
	unsigned cpu = ktest_cpus() - 1;

	if (!needs_two(t))
		return;
	EXPECT_EQ(t, cpu_down(cpu), 0);
	arch_ipi_call(cpu);
	EXPECT_EQ(t, cpu_up(cpu), 0);
	EXPECT_EQ(t, smp_stats.spurious_calls, before + 1);
	/* The figure counts errors of senders; this interrupt was sent on purpose. */
	atomic_sub(&smp_stats.spurious_calls, 1);
}

static void end_once_reported(void *arg)
{
	struct fault_hang *hang = arg;
	u64 before = READ_ONCE(smp_stats.silent), end = arch_clock_ns() + WAIT_NS;

	/* A fixed number of yields would not be enough: the caller may wait on another CPU. */
	while (READ_ONCE(smp_stats.silent) == before && arch_clock_ns() < end)
		thread_yield();
	store_release(&hang->release, 1u);
}

/* The log from @pos on has backtraces of the silent CPU, made by NMI, and of the caller. */
static void expect_both_stories(struct ktest *t, u64 pos, unsigned silent)
{
	static char text[16384];
	char want[80];

	text[log_read(&pos, text, sizeof(text) - 1)] = '\0';
	ksnprintf(want, sizeof(want), "CPU %u (APIC id %u): asked, NMI in thread hang, irqs off",
	    silent, cpus[silent]->apic_id);
	EXPECT(t, says(text, want));
	/*
	 * The CPU reads the clock all the time; in the first and last instructions of
	 * arch_clock_ns, a walk of the frames cannot find its caller.
	 */
	EXPECT(t, says(text, "hang+0x") || says(text, "arch_clock_ns+0x"));
	ksnprintf(want, sizeof(want), "): asks, in thread %s", thread_name());
	EXPECT(t, says(text, want));
}

/* A CPU that answers no call, and a thread that ends this hang after it has been reported. */
struct silent {
	u64 timeout, before, pos;
	unsigned cpu;
	struct fault_hang hang;
	struct thread *ender;
};

/* False: the test is skipped, because there are fewer than @least CPUs, or has failed. */
static bool silent_begin(struct ktest *t, struct silent *s, unsigned least)
{
	if (nr_boot_cpus < least || !needs_two(t)) {
		ktest_skip(t, "needs 3 or 4 CPUs, all of them online");
		return false;
	}
	*s = (struct silent){
	    .before = smp_stats.silent, .pos = log_position(), .cpu = ktest_cpus() - 1};
	s->timeout = set_call_timeout(TIMEOUT_NS);
	if (fault_hang_start(&s->hang, s->cpu, WAIT_NS)) {
		restore_call_timeout(s->timeout);
		ktest_fail(t, __FILE__, __LINE__, "CPU %u does not hang", s->cpu);
		return false;
	}
	s->ender = thread_start("ender", 1, end_once_reported, &s->hang);
	return true;
}

static void silent_end(struct ktest *t, struct silent *s)
{
	/* Other CPUs are reported too, if the host does not run them for that long. */
	EXPECT(t, smp_stats.silent > s->before);
	restore_call_timeout(s->timeout);
	thread_join(s->ender);
	fault_hang_end(&s->hang);
	expect_both_stories(t, s->pos, s->cpu);
	WRITE_ONCE(smp_stats.silent, s->before);
}

KTEST(a_silent_cpu_is_reported, KTEST_REPORTS)
{
	struct silent s;
	u32 runs = 0;
	u64 began;

	if (!silent_begin(t, &s, 3))
		return;
	began = arch_clock_ns();
	EXPECT_EQ(t, call_cpu(s.cpu, add_one, &runs), 1);
	EXPECT(t, arch_clock_ns() - began >= smp_timeout_ns);
	EXPECT_EQ(t, runs, 1);
	silent_end(t, &s);
}

/* check_memory holds the other CPUs with interrupts off while it waits for the silent CPU. */
KTEST(check_memory_reports_a_silent_cpu, KTEST_REPORTS)
{
	struct silent s;

	if (!silent_begin(t, &s, 3))
		return;
	expect_sound(t, &kernel_memory);
	silent_end(t, &s);
}

static bool is_parked(void *arg)
{
	return cpu_is_parked(*(unsigned *)arg);
}

KTEST(cpu_that_does_not_park_is_dead_until_it_parks, KTEST_REPORTS)
{
	unsigned cpu = ktest_cpus() - 1;
	u64 timeout, before = smp_stats.silent, pos = log_position();
	struct fault_hang hang;

	if (!needs_two(t))
		return;
	ktest_on_cpu(cpu, warm_caches, NULL);
	REQUIRE(t, fault_hang_start(&hang, cpu, WAIT_FOREVER) == 0);
	timeout = set_call_timeout(TIMEOUT_NS);
	EXPECT_EQ(t, cpu_down(cpu), -EIO);
	restore_call_timeout(timeout);
	EXPECT(t, smp_stats.silent > before);
	WRITE_ONCE(smp_stats.silent, before);
	expect_both_stories(t, pos, cpu);
	EXPECT_EQ(t, strcmp(cpu_state_name(cpu), "dead"), 0);
	EXPECT(t, !cpumask_test(cpu_online_mask, cpu));
	EXPECT_EQ(t, cpu_down(cpu), -EIO);
	EXPECT_EQ(t, cpu_up(cpu), -EIO);
	/* The other CPUs work on without the dead CPU. */
	EXPECT_EQ(t, zone_pcp_disable(big_zone()), 0);
	EXPECT_EQ(t, zone_pcp_enable(big_zone()), 0);
	/*
	 * When the CPU continues, it hands over its threads, also the one that hung, and frees its
	 * cached pages.
	 */
	fault_hang_end(&hang);
	EXPECT(t, wait_for(is_parked, &cpu));
	EXPECT_EQ(t, cached_by(cpu), 0);
	EXPECT_EQ(t, cpu_up(cpu), 0);
	expect_sound(t, &kernel_memory);
}

/*
 * A sender waits for the answer of a deaf CPU that is to go down: cpu_down waits until the sender
 * has its answer.
 */
struct caller {
	unsigned cpu;
	u32 runs, asked; /* atomic */
};

static void call_one(void *arg)
{
	struct caller *c = arg;

	WRITE_ONCE(c->asked, (u32)call_cpu(c->cpu, add_one, &c->runs));
}

KTEST(call_to_a_leaving_cpu_is_answered, KTEST_REPORTS)
{
	struct caller c = {.cpu = ktest_cpus() - 1};
	struct silent s;
	u64 ipis;
	int err;

	if (!silent_begin(t, &s, 4))
		return;
	ipis = READ_ONCE(smp_stats.ipis);
	ktest_start(2, call_one, &c);
	EXPECT(t, YIELD_UNTIL(READ_ONCE(smp_stats.ipis) != ipis));
	/* The time limit is over: the CPU may have parked in time or not. */
	err = cpu_down(c.cpu);
	EXPECT(t, err == 0 || err == -EIO);
	restore_call_timeout(s.timeout);
	EXPECT_EQ(t, READ_ONCE(c.runs), 1);
	ktest_join(2);
	EXPECT_EQ(t, c.asked, 1);
	thread_join(s.ender);
	fault_hang_end(&s.hang);
	EXPECT(t, wait_for(is_parked, &c.cpu));
	EXPECT_EQ(t, cpu_up(c.cpu), 0);
	EXPECT(t, smp_stats.silent > s.before);
	WRITE_ONCE(smp_stats.silent, s.before);
}

/* The boot binds this thread to its CPU, and the suites after this one rely on it. */
KTEST(machine_is_left_as_it_was)
{
	EXPECT_EQ(t, nr_cpus_online(), nr_boot_cpus);
	EXPECT(t, wait_for(at_home, NULL));
}
