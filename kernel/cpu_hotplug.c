/* SPDX-License-Identifier: MIT */
/*
 * cpu_hotplug.c: CPUs leave and come back, under any load.
 *
 * Owns:       struct cpu.hotplug; the order of events (docs/hotplug.md).
 * Locks:      cpu_hotplug, exclusively, for the whole of cpu_down and cpu_up: so drains, forced rounds
 *             and check_memory, which hold it shared, see the same CPUs from choosing to the last answer.
 *             Nothing is allocated under it: an allocation may wait for a drain, which waits for it.
 *             memories_lock, for the list alone: a CPU that was given up for dead may park at any time.
 * Invariants: a CPU that is not online has no threads, no cached pages, and every capacity 0, unless
 *             it is dead; who holds a mask with it in it has been waited for.
 * Tests:      hotplug, hotplug_race, cpu_plug, silence_cpu, silence_smp,
 *             tests/fiber/explore_threads.c.
 *
 * The one who asks (the controller) and the idle thread of the CPU take turns; each step is one change of
 * cpu->hotplug by the side that is named.
 */
#include "kernel/hotplug_state.h"

#include <quarry/cpu.h>
#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/lock.h>
#include <quarry/machine.h>
#include <quarry/sched.h>
#include <quarry/sched_point.h>
#include <quarry/smp.h>

#define WAKE_NS 2000000ULL /* between two attempts to wake a parked CPU */
#define TURN_FACTOR 6 /* times smp_timeout_ns: until cpu_hotplug is not waited for any longer */
/* Looks for interrupts that are still on their way to a CPU that stops. */
#define MAX_LOOKS 1000

static struct waitq changed = WAITQ("cpu_hotplug state");

/* ---- on the CPU that goes, its idle thread, interrupts off ---- */

/*
 * Nobody can ask this CPU any more, and who has asked has been answered; but an interrupt that merged
 * with another, or a kick, may still wait.  It is taken now, so that whatever comes later is known
 * to be one too many.
 */
static void take_pending(void)
{
	unsigned i;

	for (i = 0; i < MAX_LOOKS && arch_irqs_pending(); i++) {
		arch_irq_enable();
		cpu_relax();
		arch_irq_disable();
	}
}

/*
 * The drain is the last act: whatever this CPU did after it could free a page, and the page would lie
 * in the cache of a CPU that nobody asks to give it back.  The threads left first, so from here on only
 * this function runs here, with interrupts off; a call served before the drain may free, after it none
 * is served.
 */
static void stop_here(struct cpu *cpu)
{
	struct memory *mem;

	arch_timer_stop();
	take_pending();
	smp_call_close();
	spin_lock(&memories_lock);
	LIST_FOREACH(mem, &memories, link)
		pcp_cpu_leave(mem);
	spin_unlock(&memories_lock);
	sched_point("cpu.self_drained");
	/* Pairs with the acquire in is_parked: all the above is done.  LEFT, STOP or DEAD: all the same. */
	atomic_xchg(&cpu->hotplug, (u32)HP_PARKED);
	/* Who wakes it may have given up before it looks: then it is parked as it was. */
	do
		arch_cpu_park(&cpu->hotplug, HP_WAKE);
	while (!atomic_cas(&cpu->hotplug, (u32)HP_WAKE, (u32)HP_STARTING));
}

/*
 * COMING first: from there on the controller keeps cpu_hotplug for us.  A CPU that starts too late finds STOP, and
 * must not have touched its capacities by then: the lock may be somebody else's.
 *
 * Then the capacities, from the depths (depth ? 0 : plan): under cpu_hotplug no
 * disable or enable is under way, and a zone whose caches are off starts off here; were we online
 * before, a disable could find us, be answered, and then we would turn the cache on.  Then interrupts,
 * and the online bit last: who finds it set may ask at once, and waits for an answer.
 */
static bool start_here(struct cpu *cpu)
{
	struct memory *mem;

	sched_point("cpu.started");
	if (!atomic_cas(&cpu->hotplug, (u32)HP_STARTING, (u32)HP_COMING))
		return false;
	spin_lock(&memories_lock);
	LIST_FOREACH(mem, &memories, link)
		pcp_cpu_join(mem);
	spin_unlock(&memories_lock);
	sched_point("cpu.pcp_ready");
	arch_timer_start(1);
	/* What was sent to us while we were away is taken here, and counted as spurious. */
	arch_irq_enable();
	cpu_relax();
	sched_point("cpu.vector_live");
	cpu_set_online(cpu->id);
	sched_point("cpu.online_set");
	/* Off again, or threads would come and this one, the idle thread, not get to the next line. */
	arch_irq_disable();
	sched_cpu_join();
	store_release(&cpu->hotplug, (u32)HP_UP);
	wake_up(&changed);
	return true;
}

void cpu_leave(void)
{
	struct cpu *cpu = cpus[arch_cpu_id()];

	if (atomic_cas(&cpu->hotplug, (u32)HP_LEAVING, (u32)HP_LEFT))
		wake_up(&changed);
	while (load_acquire(&cpu->hotplug) == HP_LEFT) {
		arch_idle_wait();
		arch_irq_disable();
	}
	do {
		stop_here(cpu);
	} while (!start_here(cpu));
}

/* ---- the controller, holding cpu_hotplug exclusively ---- */

static bool has_left(void *arg)
{
	return load_acquire(&((struct cpu *)arg)->hotplug) != HP_LEAVING;
}

static bool is_up(void *arg)
{
	return load_acquire(&((struct cpu *)arg)->hotplug) == HP_UP;
}

bool cpu_is_parked(unsigned cpu)
{
	return cpu < nr_cpus && load_acquire(&cpus[cpu]->hotplug) == HP_PARKED;
}

static unsigned other_online(unsigned cpu)
{
	unsigned other = 0;

	while (other == cpu || !cpumask_test(cpu_online_mask, other))
		other++;
	return other;
}

/* Blocks in the caches of @cpu; exact once it is parked. */
static unsigned left_in_cache(unsigned cpu)
{
	irqflags_t flags = spin_lock_irqsave(&memories_lock);
	const struct memory *mem;
	unsigned i, sum = 0;

	LIST_FOREACH(mem, &memories, link)
		for (i = 0; cpu < mem->nr_cpus && i < NR_STACKS; i++)
			sum += READ_ONCE(mem->pcp[cpu]->count[i]);
	spin_unlock_irqrestore(&memories_lock, flags);
	return sum;
}

/* It cannot say when it has parked, so this looks; other threads of this CPU run in between. */
bool cpu_wait_parked(unsigned cpu, u64 ns)
{
	u64 end = arch_clock_ns() + ns;

	while (!cpu_is_parked(cpu)) {
		if (arch_clock_ns() >= end)
			return false;
		cpu_relax();
		thread_yield();
	}
	return true;
}

/*
 * The threads leave while the CPU still answers, because they may be in the middle of a call of their
 * own, or hold a mutex that somebody waits for.  Then the bit goes, then the senders who saw it are
 * waited for (smp_wait_senders): they may hold locks that keep them from taking cpu_hotplug.  One that does not end
 * its call in time is left behind: what it asks of this CPU later is withdrawn.
 */
static int take_down(unsigned cpu)
{
	struct cpu *c = cpus[cpu];
	bool left;

	sched_point("cpu.down_locked");
	store_release(&c->hotplug, (u32)HP_LEAVING);
	arch_irqs_move(cpu, other_online(cpu));
	sched_cpu_leave(cpu);
	left = wait_until(&changed, has_left, c, smp_timeout_ns);
	cpu_clear_online(cpu);
	sched_point("cpu.online_cleared");
	smp_wait_senders();
	atomic_xchg(&c->hotplug, (u32)HP_STOP);
	arch_ipi_kick(cpu);
	/* One that did not get so far in all that time is not waited for twice. */
	if (!cpu_wait_parked(cpu, left ? smp_timeout_ns : 0) &&
	    atomic_cas(&c->hotplug, (u32)HP_STOP, (u32)HP_DEAD)) {
		printk("cpu: CPU %u did not park in time: dead, with %u threads; about %u cached blocks "
		       "are out of reach\n", cpu, sched_threads(cpu), left_in_cache(cpu));
		arch_backtrace_self();
		arch_backtrace_others();
		counter_add(&smp_stats.silent, 1);
		return -EIO;
	}
	KASSERT(left_in_cache(cpu) == 0);
	sched_point("cpu.parked");
	return 0;
}

/* If it does not even wake, it stays parked; if it starts too late, it finds STOP and parks again. */
static int bring_up(unsigned cpu)
{
	struct cpu *c = cpus[cpu];
	u64 end = arch_clock_ns() + smp_timeout_ns;

	KASSERT(left_in_cache(cpu) == 0);
	sched_point("cpu.up_locked");
	atomic_xchg(&c->hotplug, (u32)HP_WAKE);
	do {
		if (load_acquire(&c->hotplug) == HP_WAKE)
			arch_cpu_unpark(cpu);
		if (wait_until(&changed, is_up, c, WAKE_NS))
			return 0;
	} while (arch_clock_ns() < end);
	if (atomic_cas(&c->hotplug, (u32)HP_WAKE, (u32)HP_PARKED) ||
	    atomic_cas(&c->hotplug, (u32)HP_STARTING, (u32)HP_STOP)) {
		printk("cpu: CPU %u did not come up in time\n", cpu);
		return -EIO;
	}
	/* It is on its last steps, with nothing to wait for; and half of it is there, so it cannot be given up. */
	if (!wait_until(&changed, is_up, c, smp_timeout_ns * TURN_FACTOR))
		panic("cpu: CPU %u stopped half-way up", cpu);
	return 0;
}

static bool context_ok(void)
{
	return arch_irqs_enabled() && !arch_in_interrupt() && !spin_depth();
}

/*
 * Sharers end in time, or the machine panics: but one whose CPU died inside never does.  False: not had in time.
 */
static bool lock_cpus(void) TRY_ACQUIRE(true, cpu_hotplug)
{
	return rwsem_lock_exclusive_timeout(&cpu_hotplug, smp_timeout_ns * TURN_FACTOR);
}

int cpu_down(unsigned cpu)
{
	int err;

	if (cpu >= nr_cpus)
		return -ENODEV;
	if (!context_ok())
		return -EDEADLK;
	if (!lock_cpus())
		return -ETIMEDOUT;
	if (load_acquire(&cpus[cpu]->hotplug) == HP_DEAD)
		err = -EIO;
	else if (!cpumask_test(cpu_online_mask, cpu))
		err = -EALREADY;
	else if (nr_cpus_online() == 1)
		err = -EBUSY;
	else
		err = take_down(cpu);
	rwsem_unlock_exclusive(&cpu_hotplug);
	return err;
}

int cpu_up(unsigned cpu)
{
	int err;

	if (cpu >= nr_cpus)
		return -ENODEV;
	if (!context_ok())
		return -EDEADLK;
	if (!lock_cpus())
		return -ETIMEDOUT;
	if (cpumask_test(cpu_online_mask, cpu))
		err = -EALREADY;
	else if (load_acquire(&cpus[cpu]->hotplug) == HP_ABSENT)
		err = -ENODEV;
	else if (!cpu_is_parked(cpu))
		err = -EIO; /* dead, or it never started */
	else
		err = bring_up(cpu);
	rwsem_unlock_exclusive(&cpu_hotplug);
	return err;
}

/* ---- to look at ---- */

const char *cpu_state_name(unsigned cpu)
{
	switch (load_acquire(&cpus[cpu]->hotplug)) {
	case HP_UP: return cpumask_test(cpu_online_mask, cpu) ? "online" : "absent";
	case HP_LEAVING:
	case HP_LEFT:
	case HP_STOP: return "leaving";
	case HP_PARKED: return "down";
	case HP_DEAD: return "dead";
	case HP_ABSENT: return "absent";
	default: return "coming";
	}
}

void show_cpus(void)
{
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++)
		printk("cpu %u: %s, APIC id %u, node %u, %u threads, %llu ticks, %llu calls, %llu kicks\n",
		    cpu, cpu_state_name(cpu), cpus[cpu]->apic_id, cpus[cpu]->node, sched_threads(cpu),
		    (unsigned long long)READ_ONCE(cpus[cpu]->ticks),
		    (unsigned long long)READ_ONCE(cpus[cpu]->calls),
		    (unsigned long long)READ_ONCE(cpus[cpu]->kicks));
	printk("calls to CPUs out of range %llu, to CPUs not online %llu, taken by CPUs not online %llu; "
	       "CPUs reported silent %llu\n",
	    (unsigned long long)READ_ONCE(smp_stats.bad_cpu),
	    (unsigned long long)READ_ONCE(smp_stats.offline_cpu),
	    (unsigned long long)READ_ONCE(smp_stats.spurious_calls),
	    (unsigned long long)READ_ONCE(smp_stats.silent));
}
