/* SPDX-License-Identifier: MIT */
/*
 * test_hotplug.c: CPUs go and come back, on the kernel's own memory: nothing is lost, nobody is asked
 * who is not there, and one that does not answer is found.
 */
#include "mm_help.h"
#include <quarry/hotplug.h>
#include <quarry/smp.h>

#define WARM_PAGES 8
#define ROUNDS     12
#define MASK_WORDS 64
#define WAIT_NS    20000000000ULL

static cpumask_t mask[MASK_WORDS];

/* ---- help ---- */

static void warm(void *arg)
{
	struct page *page[WARM_PAGES];
	unsigned i;

	for (i = 0; i < WARM_PAGES; i++)
		page[i] = alloc_pages(i % 2 ? GFP_MOVABLE : GFP_KERNEL, 0);
	for (i = 0; i < WARM_PAGES; i++)
		free_pages(page[i], 0);
}

/* Blocks that @cpu caches of the kernel's memory; and the sum of its capacities. */
static unsigned cached_by(unsigned cpu)
{
	unsigned i, sum = 0;

	for (i = 0; i < NR_STACKS; i++)
		sum += READ_ONCE(kernel_memory.pcp[cpu]->count[i]);
	return sum;
}

static unsigned capacity_of(unsigned cpu)
{
	unsigned i, sum = 0;

	for (i = 0; i < NR_STACKS; i++)
		sum += READ_ONCE(kernel_memory.pcp[cpu]->capacity[i]);
	return sum;
}

static bool needs_two(struct ktest *t)
{
	if (nr_cpus_online() == nr_cpus && nr_cpus >= 2)
		return true;
	ktest_skip(t, "needs 2 CPUs, all of them online");
	return false;
}

/* The zone with the most memory: the one that caches most. */
static struct zone *big_zone(void)
{
	struct zone *best = &kernel_memory.zones[0];
	unsigned i;

	for (i = 0; i < kernel_memory.nr_nodes * NR_ZONE_KINDS; i++)
		if (kernel_memory.zones[i].managed > best->managed)
			best = &kernel_memory.zones[i];
	return best;
}

static bool wait_for(bool (*cond)(void *), void *arg)
{
	u64 end = arch_clock_ns() + WAIT_NS;

	while (!cond(arg)) {
		if (arch_clock_ns() > end)
			return false;
		thread_yield();
	}
	return true;
}

/* ---- one CPU after the other ---- */

static void each_cpu_goes_and_comes_back(struct ktest *t)
{
	unsigned cpu, capacity;

	if (!needs_two(t))
		return;
	for (cpu = 0; cpu < ktest_cpus(); cpu++) {
		unsigned long free;

		ktest_on_cpu(cpu, warm, NULL);
		EXPECT(t, cached_by(cpu) > 0);
		capacity = capacity_of(cpu);
		free = memory_free_pages(&kernel_memory);
		REQUIRE(t, cpu_down(cpu) == 0);
		EXPECT_EQ(t, strcmp(cpu_state_name(cpu), "down"), 0);
		EXPECT(t, !cpumask_test(cpu_online_mask, cpu));
		EXPECT_EQ(t, nr_cpus_online(), nr_cpus - 1);
		EXPECT_EQ(t, cached_by(cpu), 0);
		EXPECT_EQ(t, capacity_of(cpu), 0);
		EXPECT_EQ(t, memory_free_pages(&kernel_memory), free);
		expect_clean(t, &kernel_memory);
		REQUIRE(t, cpu_up(cpu) == 0);
		EXPECT_EQ(t, strcmp(cpu_state_name(cpu), "online"), 0);
		EXPECT_EQ(t, nr_cpus_online(), nr_cpus);
		EXPECT_EQ(t, capacity_of(cpu), capacity);
		ktest_on_cpu(cpu, warm, NULL);
		EXPECT(t, cached_by(cpu) > 0);
	}
	expect_clean(t, &kernel_memory);
}

static void wrong_requests_change_nothing(struct ktest *t)
{
	struct spinlock lock = SPINLOCK("test", RANK_OBJECT);
	unsigned other = ktest_cpus() - 1;

	EXPECT_EQ(t, cpu_down(nr_cpus), -ENODEV);
	EXPECT_EQ(t, cpu_up(nr_cpus), -ENODEV);
	EXPECT_EQ(t, cpu_up(0), -EALREADY);
	spin_lock(&lock);
	EXPECT_EQ(t, cpu_down(0), -EDEADLK);
	EXPECT_EQ(t, cpu_up(0), -EDEADLK);
	spin_unlock(&lock);
	if (!needs_two(t))
		return;
	EXPECT_EQ(t, cpu_down(other), 0);
	EXPECT_EQ(t, cpu_down(other), -EALREADY);
	EXPECT(t, !thread_start("nobody", (int)other, warm, NULL));
	EXPECT_EQ(t, cpu_up(other), 0);
	EXPECT_EQ(t, cpu_up(other), -EALREADY);
	EXPECT_EQ(t, nr_cpus_online(), nr_cpus);
}

/* All but one go, another one each time; what is left does all the work. */
static void the_last_one_stays(struct ktest *t)
{
	unsigned last, cpu;

	if (!needs_two(t)) {
		EXPECT(t, nr_cpus > 1 || cpu_down(0) == -EBUSY);
		return;
	}
	for (last = 0; last < nr_cpus; last += nr_cpus - 1) {
		for (cpu = 0; cpu < nr_cpus; cpu++)
			if (cpu != last)
				EXPECT_EQ(t, cpu_down(cpu), 0);
		EXPECT_EQ(t, nr_cpus_online(), 1);
		EXPECT_EQ(t, arch_cpu_id(), last);
		EXPECT_EQ(t, cpu_down(last), -EBUSY);
		warm(NULL);
		EXPECT_EQ(t, zone_pcp_disable(big_zone()), 0);
		EXPECT_EQ(t, zone_pcp_enable(big_zone()), 0);
		expect_clean(t, &kernel_memory);
		for (cpu = 0; cpu < nr_cpus; cpu++)
			EXPECT_EQ(t, cpu_up(cpu), cpu == last ? -EALREADY : 0);
	}
	EXPECT_EQ(t, nr_cpus_online(), nr_cpus);
}

static bool at_home(void *arg)
{
	return arch_cpu_id() == 0;
}

/* The caller is bound to CPU 0, which goes, so it goes on elsewhere, and returns. */
static void the_callers_own_cpu_may_go(struct ktest *t)
{
	if (!needs_two(t))
		return;
	EXPECT(t, wait_for(at_home, NULL));
	EXPECT_EQ(t, cpu_down(0), 0);
	EXPECT(t, arch_cpu_id() != 0);
	EXPECT_EQ(t, cpu_up(0), 0);
	EXPECT(t, wait_for(at_home, NULL));
}

/* ---- zones whose caches are off ---- */

static void a_cpu_comes_up_with_caches_off(struct ktest *t)
{
	struct zone *zone = big_zone();
	unsigned cpu = ktest_cpus() - 1, on;

	if (!needs_two(t))
		return;
	on = capacity_sum(zone, cpu);
	EXPECT(t, on > 0);
	EXPECT_EQ(t, cpu_down(cpu), 0);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	EXPECT_EQ(t, cpu_up(cpu), 0);
	EXPECT_EQ(t, capacity_sum(zone, cpu), 0);
	ktest_on_cpu(cpu, warm, NULL);
	EXPECT(t, !pcp_zone_nonempty(&kernel_memory, cpu, zone));
	expect_clean(t, &kernel_memory);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	EXPECT_EQ(t, capacity_sum(zone, cpu), on);
	/* And off while it is up, on while it is down. */
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	EXPECT_EQ(t, cpu_down(cpu), 0);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	EXPECT_EQ(t, capacity_sum(zone, cpu), 0);
	EXPECT_EQ(t, cpu_up(cpu), 0);
	EXPECT_EQ(t, capacity_sum(zone, cpu), on);
}

/* ---- with others at work ---- */

struct worker {
	struct ktest *t;
	u32 stop; /* a */
	u32 done; /* a: turns */
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
	warm(NULL);
	EXPECT(w->t, drain_all_pages(&kernel_memory, NULL) >= 0);
}

static void turn_disable(struct worker *w)
{
	struct zone *zone = big_zone();
	unsigned cpu;

	EXPECT_EQ(w->t, zone_pcp_disable(zone), 0);
	warm(NULL);
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

/* CPUs go and come at random while each of the turns is made again and again. */
static void hotplug_against(struct ktest *t, void (*const turns[])(struct worker *), unsigned nr)
{
	struct worker workers[4] = {{.t = NULL}};
	unsigned i, cpu;
	u64 rand = t->seed;

	if (!needs_two(t))
		return;
	for (i = 0; i < nr; i++) {
		workers[i] = (struct worker){.t = t, .turn = turns[i]};
		workers[i].thread = thread_start("worker", i % 2 ? -1 : (int)(i % nr_cpus), work, &workers[i]);
		REQUIRE(t, workers[i].thread);
	}
	for (i = 0; i < ROUNDS * nr_cpus; i++) {
		int last = nr_cpus_online() == 1 ? -EBUSY : 0;

		cpu = (unsigned)(ktest_rand(&rand) % nr_cpus);
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
	for (cpu = 0; cpu < nr_cpus; cpu++)
		if (!cpumask_test(cpu_online_mask, cpu))
			EXPECT_EQ(t, cpu_up(cpu), 0);
	expect_clean(t, &kernel_memory);
}

static void calls_and_drains_go_on(struct ktest *t)
{
	static void (*const turns[])(struct worker *) = {turn_call, turn_drain, turn_disable, turn_call};
	struct smp_stats before = smp_stats;

	hotplug_against(t, turns, ARRAY_SIZE(turns));
	EXPECT_EQ(t, smp_stats.offline_cpu, before.offline_cpu);
	EXPECT_EQ(t, smp_stats.spurious_calls, before.spurious_calls);
	EXPECT_EQ(t, smp_stats.bad_cpu, before.bad_cpu);
}

static void offlines_go_on(struct ktest *t)
{
	static void (*const turns[])(struct worker *) = {turn_offline, turn_drain, turn_call};
	unsigned long managed = memory_managed_pages(&kernel_memory);

	hotplug_against(t, turns, ARRAY_SIZE(turns));
	EXPECT_EQ(t, memory_managed_pages(&kernel_memory), managed);
}

/* ---- threads ---- */

struct traveller {
	unsigned cpu;  /* a: where it was last */
	u32 steps;     /* a */
	u32 stop;      /* a */
	u64 sleep_ns;  /* 0: it never sleeps; WAIT_FOREVER: until it is woken */
	struct waitq wq;
	u32 wanted;    /* a: steps it shall have made */
	struct thread *thread;
};

static bool is_wanted(void *arg)
{
	struct traveller *v = arg;

	return READ_ONCE(v->wanted) > READ_ONCE(v->steps) || READ_ONCE(v->stop);
}

static void travel(void *arg)
{
	struct traveller *v = arg;

	while (!READ_ONCE(v->stop)) {
		WRITE_ONCE(v->cpu, arch_cpu_id());
		counter_add(&v->steps, 1);
		if (v->sleep_ns == WAIT_FOREVER)
			wait_until(&v->wq, is_wanted, v, WAIT_FOREVER);
		else if (v->sleep_ns)
			thread_sleep(v->sleep_ns);
		else
			cpu_relax();
	}
}

static bool arrived(void *arg)
{
	struct traveller *v = arg;

	return !READ_ONCE(v->wanted) || READ_ONCE(v->steps) >= READ_ONCE(v->wanted);
}

/* All go on: two more steps each, the last of them here or there. */
static void expect_steps(struct ktest *t, struct traveller *v, unsigned nr)
{
	unsigned i, step;

	for (i = 0; i < nr; i++) {
		for (step = 0; step < 2; step++) {
			WRITE_ONCE(v[i].wanted, READ_ONCE(v[i].steps) + 1);
			wake_up(&v[i].wq);
			EXPECT(t, wait_for(arrived, &v[i]));
		}
	}
}

struct place {
	struct traveller *v;
	unsigned cpu;
};

static bool is_there(void *arg)
{
	struct place *p = arg;

	/* A sleeper has to be woken to get anywhere. */
	WRITE_ONCE(p->v->wanted, READ_ONCE(p->v->steps) + 1);
	wake_up(&p->v->wq);
	return READ_ONCE(p->v->cpu) == p->cpu;
}

static void threads_go_on_elsewhere_and_return(struct ktest *t)
{
	static const u64 sleeps[] = {0, 0, 1000000, WAIT_FOREVER};
	struct traveller v[ARRAY_SIZE(sleeps)];
	unsigned cpu = ktest_cpus() - 1, i, round;

	if (!needs_two(t))
		return;
	for (i = 0; i < ARRAY_SIZE(v); i++) {
		v[i] = (struct traveller){.sleep_ns = sleeps[i], .wq = WAITQ("traveller"), .cpu = nr_cpus};
		v[i].thread = thread_start("traveller", (int)cpu, travel, &v[i]);
		REQUIRE(t, v[i].thread);
	}
	for (round = 0; round < 3; round++) {
		expect_steps(t, v, ARRAY_SIZE(v));
		EXPECT_EQ(t, cpu_down(cpu), 0);
		expect_steps(t, v, ARRAY_SIZE(v));
		for (i = 0; i < ARRAY_SIZE(v); i++)
			EXPECT(t, READ_ONCE(v[i].cpu) != cpu);
		EXPECT_EQ(t, cpu_up(cpu), 0);
		for (i = 0; i < ARRAY_SIZE(v); i++) {
			struct place p = {.v = &v[i], .cpu = cpu};

			EXPECT(t, wait_for(is_there, &p));
		}
	}
	for (i = 0; i < ARRAY_SIZE(v); i++) {
		WRITE_ONCE(v[i].stop, 1u);
		wake_up(&v[i].wq);
		thread_join(v[i].thread);
	}
}

/* ---- what goes wrong ---- */

static void who_left_and_who_never_was_are_told_apart(struct ktest *t)
{
	struct smp_stats before = smp_stats;
	unsigned cpu = ktest_cpus() - 1;
	u32 runs = 0;

	if (!needs_two(t))
		return;
	memset(mask, 0, sizeof(mask));
	cpumask_set(mask, cpu);
	EXPECT_EQ(t, cpu_down(cpu), 0);
	EXPECT_EQ(t, smp_call_mask(mask, add_one, &runs), 0);
	EXPECT_EQ(t, runs, 0);
	EXPECT_EQ(t, smp_stats.offline_cpu, before.offline_cpu + 1);
	EXPECT_EQ(t, smp_stats.bad_cpu, before.bad_cpu);
	if (nr_cpus % 64) {
		cpumask_clear(mask, cpu);
		cpumask_set(mask, nr_cpus);
		EXPECT_EQ(t, smp_call_mask(mask, add_one, &runs), 0);
		EXPECT_EQ(t, smp_stats.offline_cpu, before.offline_cpu + 1);
		EXPECT_EQ(t, smp_stats.bad_cpu, before.bad_cpu + 1);
	}
	EXPECT_EQ(t, cpu_up(cpu), 0);
	EXPECT_EQ(t, smp_stats.spurious_calls, before.spurious_calls);
}

/* Past all checks: the interrupt itself.  The CPU finds it when it wakes, before it is online. */
static void an_interrupt_to_a_parked_cpu_is_counted_by_it(struct ktest *t)
{
	u64 before = smp_stats.spurious_calls;
	unsigned cpu = ktest_cpus() - 1;

	if (!needs_two(t))
		return;
	EXPECT_EQ(t, cpu_down(cpu), 0);
	arch_ipi_call(cpu);
	EXPECT_EQ(t, cpu_up(cpu), 0);
	EXPECT_EQ(t, smp_stats.spurious_calls, before + 1);
	/* The figure is a promise of the senders; this was none. */
	atomic_sub(&smp_stats.spurious_calls, 1);
}

static void end_once_reported(void *arg)
{
	struct fault_hang *hang = arg;
	u64 before = READ_ONCE(smp_stats.silent), end = arch_clock_ns() + WAIT_NS;

	/* Not a loop of yields: the CPU that waits may not be this one. */
	while (READ_ONCE(smp_stats.silent) == before && arch_clock_ns() < end)
		thread_yield();
	store_release(&hang->release, 1u);
}

/* Its NMI and both backtraces are in the log; what can be asked here is that it was seen, in time. */
static void a_silent_cpu_is_reported(struct ktest *t)
{
	u64 timeout = smp_timeout_ns, before = smp_stats.silent, began;
	unsigned cpu = ktest_cpus() - 1;
	struct fault_hang hang;
	struct thread *ender;
	u32 runs = 0;

	if (nr_cpus < 3 || !needs_two(t)) {
		ktest_skip(t, "needs 3 CPUs, all of them online");
		return;
	}
	smp_timeout_ns = 100000000;
	REQUIRE(t, fault_hang_start(&hang, cpu, WAIT_NS) == 0);
	ender = thread_start("ender", 1, end_once_reported, &hang);
	memset(mask, 0, sizeof(mask));
	cpumask_set(mask, cpu);
	began = arch_clock_ns();
	EXPECT_EQ(t, smp_call_mask(mask, add_one, &runs), 1);
	EXPECT(t, arch_clock_ns() - began >= smp_timeout_ns);
	EXPECT_EQ(t, runs, 1);
	EXPECT_EQ(t, smp_stats.silent, before + 1);
	smp_timeout_ns = timeout;
	thread_join(ender);
	fault_hang_end(&hang);
	atomic_sub(&smp_stats.silent, 1);
}

static bool is_parked(void *arg)
{
	return cpu_is_parked(*(unsigned *)arg);
}

static void one_that_does_not_park_is_dead_until_it_does(struct ktest *t)
{
	unsigned cpu = ktest_cpus() - 1;
	u64 timeout = smp_timeout_ns;
	struct fault_hang hang;

	if (!needs_two(t))
		return;
	ktest_on_cpu(cpu, warm, NULL);
	REQUIRE(t, fault_hang_start(&hang, cpu, WAIT_FOREVER) == 0);
	smp_timeout_ns = 50000000;
	EXPECT_EQ(t, cpu_down(cpu), -EIO);
	smp_timeout_ns = timeout;
	EXPECT_EQ(t, strcmp(cpu_state_name(cpu), "dead"), 0);
	EXPECT(t, !cpumask_test(cpu_online_mask, cpu));
	EXPECT_EQ(t, cpu_down(cpu), -EIO);
	EXPECT_EQ(t, cpu_up(cpu), -EIO);
	/* The others go on without it. */
	EXPECT_EQ(t, zone_pcp_disable(big_zone()), 0);
	EXPECT_EQ(t, zone_pcp_enable(big_zone()), 0);
	/* When it goes on it hands over its threads, the one that hung too, and gives back its pages. */
	fault_hang_end(&hang);
	EXPECT(t, wait_for(is_parked, &cpu));
	EXPECT_EQ(t, cached_by(cpu), 0);
	EXPECT_EQ(t, cpu_up(cpu), 0);
	expect_clean(t, &kernel_memory);
}

/* Boot binds it there, and the suites after this one rely on it. */
static void all_is_as_it_was(struct ktest *t)
{
	EXPECT_EQ(t, nr_cpus_online(), nr_cpus);
	EXPECT(t, wait_for(at_home, NULL));
}

KTEST_SUITE(hotplug, 0, KTEST(each_cpu_goes_and_comes_back), KTEST(wrong_requests_change_nothing),
    KTEST(the_last_one_stays), KTEST(the_callers_own_cpu_may_go), KTEST(a_cpu_comes_up_with_caches_off),
    KTEST(calls_and_drains_go_on), KTEST(offlines_go_on), KTEST(threads_go_on_elsewhere_and_return),
    KTEST(who_left_and_who_never_was_are_told_apart),
    KTEST(an_interrupt_to_a_parked_cpu_is_counted_by_it), KTEST(a_silent_cpu_is_reported),
    KTEST(one_that_does_not_park_is_dead_until_it_does), KTEST(all_is_as_it_was));
