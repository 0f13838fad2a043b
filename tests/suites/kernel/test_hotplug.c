/* SPDX-License-Identifier: MIT */
/*
 * test_hotplug.c: CPUs go offline and come back, one after the other: no page is lost, and threads
 * continue.  Then a CPU is stopped, absent and started again, as if it was taken out of its slot
 * and put back.
 */
#include "tests/lib/hotplug_help.h"
#include <quarry/machine.h>
#include <quarry/smp.h>

KTEST_SUITE(hotplug, 0);

/* ---- one CPU after the other ---- */

KTEST(each_cpu_goes_down_and_comes_back)
{
	unsigned cpu;

	if (!needs_two(t))
		return;
	for (cpu = 0; cpu < ktest_cpus(); cpu++) {
		unsigned long free;

		ktest_on_cpu(cpu, warm_caches, NULL);
		EXPECT(t, cached_by(cpu) > 0);
		free = memory_free_pages(&kernel_memory);
		REQUIRE(t, cpu_down(cpu) == 0);
		EXPECT_EQ(t, strcmp(cpu_state_name(cpu), "down"), 0);
		EXPECT(t, !cpumask_test(cpu_online_mask, cpu));
		EXPECT_EQ(t, nr_cpus_online(), nr_boot_cpus - 1);
		EXPECT_EQ(t, cached_by(cpu), 0);
		EXPECT_EQ(t, capacity_of(cpu), 0);
		EXPECT_EQ(t, memory_free_pages(&kernel_memory), free);
		expect_sound(t, &kernel_memory);
		REQUIRE(t, cpu_up(cpu) == 0);
		EXPECT_EQ(t, strcmp(cpu_state_name(cpu), "online"), 0);
		EXPECT_EQ(t, nr_cpus_online(), nr_boot_cpus);
		EXPECT_EQ(t, capacity_of(cpu), planned_capacity());
		ktest_on_cpu(cpu, warm_caches, NULL);
		EXPECT(t, cached_by(cpu) > 0);
	}
	expect_sound(t, &kernel_memory);
}

KTEST(wrong_requests_change_nothing)
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
	EXPECT(t, !thread_start("nobody", (int)other, warm_caches, NULL));
	EXPECT_EQ(t, cpu_up(other), 0);
	EXPECT_EQ(t, cpu_up(other), -EALREADY);
	EXPECT_EQ(t, nr_cpus_online(), nr_boot_cpus);
}

/*
 * The first CPU, and then the last one, stays online while all others are down; it does all the
 * work.
 */
KTEST(last_online_cpu_stays)
{
	unsigned last, cpu;

	if (!needs_two(t)) {
		EXPECT(t, nr_boot_cpus > 1 || cpu_down(0) == -EBUSY);
		return;
	}
	for (last = 0; last < nr_boot_cpus; last += nr_boot_cpus - 1) {
		for (cpu = 0; cpu < nr_boot_cpus; cpu++)
			if (cpu != last)
				EXPECT_EQ(t, cpu_down(cpu), 0);
		EXPECT_EQ(t, nr_cpus_online(), 1);
		EXPECT_EQ(t, arch_cpu_id(), last);
		EXPECT_EQ(t, cpu_down(last), -EBUSY);
		warm_caches(NULL);
		EXPECT_EQ(t, zone_pcp_disable(big_zone()), 0);
		EXPECT_EQ(t, zone_pcp_enable(big_zone()), 0);
		expect_sound(t, &kernel_memory);
		for (cpu = 0; cpu < nr_boot_cpus; cpu++)
			EXPECT_EQ(t, cpu_up(cpu), cpu == last ? -EALREADY : 0);
	}
	EXPECT_EQ(t, nr_cpus_online(), nr_boot_cpus);
}

/* The caller is bound to CPU 0, which goes down: it moves to another CPU, and returns. */
KTEST(cpu_down_of_the_callers_cpu_works)
{
	if (!needs_two(t))
		return;
	EXPECT(t, wait_for(at_home, NULL));
	EXPECT_EQ(t, cpu_down(0), 0);
	EXPECT(t, arch_cpu_id() != 0);
	EXPECT_EQ(t, cpu_up(0), 0);
	EXPECT(t, wait_for(at_home, NULL));
}

static void warm_private(void *arg)
{
	struct page *page = mem_alloc_pages(arg, GFP_MOVABLE, 0);

	mem_free_pages(arg, page, 0);
}

KTEST(cpu_hotplug_reaches_private_memories)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 8));
	unsigned cpu = ktest_cpus() - 1, on;
	struct zone *zone;

	zone = &mem->zones[ZONE_MOVABLE];
	on = capacity_sum(zone, cpu);
	EXPECT(t, on > 0);
	if (!needs_two(t))
		return;
	ktest_on_cpu(cpu, warm_private, mem);
	EXPECT(t, pcp_zone_nonempty(mem, cpu, zone));
	EXPECT_EQ(t, cpu_down(cpu), 0);
	EXPECT(t, !pcp_zone_nonempty(mem, cpu, zone));
	EXPECT_EQ(t, capacity_sum(zone, cpu), 0);
	expect_sound(t, mem);
	EXPECT_EQ(t, cpu_up(cpu), 0);
	EXPECT_EQ(t, capacity_sum(zone, cpu), on);
}

/* ---- zones whose caches are off ---- */

KTEST(a_cpu_comes_up_with_caches_off)
{
	unsigned cpu = ktest_cpus() - 1, on;
	struct zone *zone = big_zone_near(cpu);

	if (!needs_two(t))
		return;
	/*
	 * Refresh the capacity of each stack, also of those that this CPU has not used since the
	 * caches were off.
	 */
	pcp_refresh_all(&kernel_memory);
	on = capacity_sum(zone, cpu);
	EXPECT(t, on > 0);
	EXPECT_EQ(t, cpu_down(cpu), 0);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	EXPECT_EQ(t, cpu_up(cpu), 0);
	EXPECT_EQ(t, capacity_sum(zone, cpu), 0);
	ktest_on_cpu(cpu, warm_caches, NULL);
	EXPECT(t, !pcp_zone_nonempty(&kernel_memory, cpu, zone));
	expect_sound(t, &kernel_memory);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	EXPECT(t, caches_after_use(cpu, zone));
	/* Disable the caches while the CPU is up, and enable them while it is down. */
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	EXPECT_EQ(t, cpu_down(cpu), 0);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	EXPECT_EQ(t, capacity_sum(zone, cpu), 0);
	EXPECT_EQ(t, cpu_up(cpu), 0);
	EXPECT_EQ(t, capacity_sum(zone, cpu), on);
}

/* ---- threads ---- */

struct traveller {
	unsigned cpu; /* atomic: the CPU on which it ran last */
	u32 steps;    /* atomic */
	u32 stop;     /* atomic */
	u64 sleep_ns; /* 0: it never sleeps; WAIT_FOREVER: until it is woken */
	struct waitq wq;
	u32 wanted; /* atomic: steps to make */
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

/* All threads continue: each makes two more steps. */
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

	return READ_ONCE(p->v->cpu) == p->cpu;
}

KTEST(threads_move_off_a_leaving_cpu_and_return)
{
	static const u64 sleeps[] = {0, 0, 1000000, WAIT_FOREVER};
	struct traveller v[ARRAY_SIZE(sleeps)];
	unsigned cpu = ktest_cpus() - 1, i, round;

	if (!needs_two(t))
		return;
	for (i = 0; i < ARRAY_SIZE(v); i++) {
		v[i] = (struct traveller){
		    .sleep_ns = sleeps[i], .wq = WAITQ("traveller"), .cpu = nr_cpus};
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

			/*
			 * A sleeping thread wakes on the CPU where it slept, and returns to its own
			 * CPU before it continues.
			 */
			if (sleeps[i] == WAIT_FOREVER)
				expect_steps(t, &v[i], 1);
			EXPECT(
			    t, sleeps[i] == WAIT_FOREVER ? is_there(&p) : wait_for(is_there, &p));
		}
	}
	for (i = 0; i < ARRAY_SIZE(v); i++) {
		WRITE_ONCE(v[i].stop, 1u);
		wake_up(&v[i].wq);
		thread_join(v[i].thread);
	}
}

/* The boot binds this thread to its CPU, and the suites after this one rely on it. */
KTEST(machine_is_left_as_it_was)
{
	EXPECT_EQ(t, nr_cpus_online(), nr_boot_cpus);
	EXPECT(t, wait_for(at_home, NULL));
}

KTEST_SUITE(cpu_plug, KTEST_QUICK);

KTEST(cpu_is_unplugged_and_plugged_again)
{
	const u64 spurious = READ_ONCE(smp_stats.spurious_calls);
	unsigned cpu = ktest_cpus() - 1, round;

	if (!needs_two(t))
		return;
	ktest_on_cpu(cpu, warm_caches, NULL);
	for (round = 0; round < 3; round++) {
		REQUIRE(t, cpu_down(cpu) == 0);
		REQUIRE(t, cpu_unplug(cpu) == 0);
		EXPECT_EQ(t, strcmp(cpu_state_name(cpu), "absent"), 0);
		EXPECT(t, !cpu_is_parked(cpu));
		EXPECT_EQ(t, cpu_up(cpu), -ENODEV);
		EXPECT_EQ(t, cpu_down(cpu), -EALREADY);
		EXPECT_EQ(t, cpu_unplug(cpu), -EALREADY);
		expect_sound(t, &kernel_memory);
		REQUIRE(t, cpu_plug(cpu) == 0);
		EXPECT(t, cpu_is_parked(cpu));
		EXPECT(t, !cpumask_test(cpu_online_mask, cpu));
		EXPECT_EQ(t, cpu_plug(cpu), -EALREADY);
		REQUIRE(t, cpu_up(cpu) == 0);
		EXPECT_EQ(t, capacity_of(cpu), planned_capacity());
		ktest_on_cpu(cpu, warm_caches, NULL);
		EXPECT(t, cached_by(cpu) > 0);
	}
	EXPECT_EQ(t, READ_ONCE(smp_stats.spurious_calls), spurious);
	EXPECT_EQ(t, nr_cpus_online(), nr_boot_cpus);
	expect_sound(t, &kernel_memory);
}

KTEST(wrong_plugs_change_nothing)
{
	struct spinlock lock = SPINLOCK("test", RANK_OBJECT);
	irqflags_t flags;

	EXPECT_EQ(t, cpu_plug(nr_cpus), -ENODEV);
	EXPECT_EQ(t, cpu_unplug(nr_cpus), -ENODEV);
	EXPECT_EQ(t, cpu_plug(0), -EALREADY);
	EXPECT_EQ(t, cpu_unplug(0), -EBUSY);
	EXPECT_EQ(t, cpu_unplug(ktest_cpus() - 1), -EBUSY);
	spin_lock(&lock);
	EXPECT_EQ(t, cpu_plug(0), -EDEADLK);
	EXPECT_EQ(t, cpu_unplug(0), -EDEADLK);
	spin_unlock(&lock);
	flags = arch_irq_save();
	EXPECT_EQ(t, cpu_plug(0), -EDEADLK);
	EXPECT_EQ(t, cpu_unplug(0), -EDEADLK);
	/* nr_cpus is the first number that no CPU has. */
	EXPECT_EQ(t, cpu_plug(nr_cpus), -ENODEV);
	EXPECT_EQ(t, cpu_unplug(nr_cpus), -ENODEV);
	arch_irq_restore(flags);
	if (!needs_two(t))
		return;
	/* The boot CPU cannot be unplugged, even when it is offline. */
	EXPECT_EQ(t, cpu_down(0), 0);
	EXPECT_EQ(t, cpu_unplug(0), -EBUSY);
	EXPECT_EQ(t, cpu_up(0), 0);
	EXPECT_EQ(t, nr_cpus_online(), nr_boot_cpus);
}
