/* SPDX-License-Identifier: MIT */
/*
 * cpu_hotplug.c: CPUs go offline and come back online, under any load.
 *
 * Owns:       struct cpu.hotplug; the order of events (docs/hotplug.md).
 * Locks:      cpu_hotplug, exclusively, for the whole of cpu_down and cpu_up.  Drains, forced
 *             rounds and check_memory hold it shared, so the set of CPUs does not change under
 *             them.
 *             Nothing is allocated under it: an allocation may wait for a drain, which waits for
 *             cpu_hotplug.  memories_lock, for the list of memories: a CPU that was declared dead
 *             may still park, and walks that list.
 * Invariants: a CPU that is not online has no threads, no cached pages, and every capacity 0,
 *             unless it is dead; no sender still uses a mask with it.
 * Tests:      hotplug, hotplug_race, cpu_plug, silence_cpu, silence_smp,
 *             tests/fiber/explore_threads.c, tests/qemu/test_slots.py, tests/qemu/test_monitor.py.
 *
 * The thread that calls cpu_down or cpu_up (the controller) and the idle thread of the CPU take
 * turns.  Each step is one change of cpu->hotplug, by the side that the state's comment names.
 */
#include "kernel/hotplug_state.h"

#include <quarry/console.h>
#include <quarry/cpu.h>
#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/lock.h>
#include <quarry/machine.h>
#include <quarry/plural.h>
#include <quarry/sched.h>
#include <quarry/sched_point.h>
#include <quarry/smp.h>

#define WAKE_NS     2000000ULL /* time between two attempts to wake a parked CPU */
#define TURN_FACTOR 6          /* times smp_timeout_ns: limit for cpu_hotplug and a CPU's start */
/* The most polls for interrupts that are still pending on a CPU that stops. */
#define MAX_LOOKS 1000

static struct waitq changed = WAITQ("cpu_hotplug state");

/* ---- on the CPU that goes offline: its idle thread, interrupts off ---- */

/*
 * No CPU can send an IPI to this CPU any more, and all calls have been answered.  An interrupt that
 * merged with another, or a kick, may still be pending.  This function takes such interrupts, so a
 * later interrupt is known to be spurious.
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
 * The drain is the last act.  A page freed after it would stay in the cache of a CPU that drain
 * rounds skip.  The threads have left, so only this function runs here, with interrupts off.  A
 * call served before the drain may free pages; after the drain no call is served.
 */
static void stop_here(struct cpu *cpu)
{
	struct memory *mem;

	/* A CPU that was dead has missed shootdowns: of arrays of descriptors, say. */
	arch_tlb_flush_user();
	arch_timer_stop();
	take_pending();
	smp_call_close();
	spin_lock(&memories_lock);
	LIST_FOREACH(mem, &memories, link)
		pcp_cpu_leave(mem);
	spin_unlock(&memories_lock);
	sched_point("cpu.self_drained");
	CHECKED_ASSERT(spin_depth() == 0); /* a lock that it held would stay held */
	/*
	 * Pairs with the acquire in cpu_is_parked: all the above is done.  The old state may be
	 * STOP, DEAD or ARRIVING.
	 */
	atomic_xchg(&cpu->hotplug, (u32)HP_PARKED);
	/* The waker may have timed out before this check; then the CPU stays parked. */
	do
		arch_cpu_park(&cpu->hotplug, HP_WAKE);
	while (!atomic_cas(&cpu->hotplug, (u32)HP_WAKE, (u32)HP_STARTING));
}

/*
 * First set COMING: from then on the controller keeps cpu_hotplug until this CPU is up.  A CPU that
 * starts too late finds STOP, and must not have changed its capacities: another operation may hold
 * the lock.
 *
 * Then set the capacities from the depths (depth ? 0 : limit).  Under cpu_hotplug no code switches
 * caches off or on, so a zone whose caches are off has them off on this CPU too.  If the CPU were
 * online before that, it could answer a call that switches caches off, and then this code would
 * switch them on.  Interrupts come next, and the online bit last: a sender that reads the bit may
 * call at once and waits for an answer.
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
	/* Interrupts sent while this CPU was offline arrive here, and are counted as spurious. */
	arch_irq_enable();
	cpu_relax();
	sched_point("cpu.vector_live");
	cpu_set_online(cpu->id);
	sched_point("cpu.online_set");
	/*
	 * Interrupts off again: else a new thread could preempt this idle thread before
	 * sched_cpu_join.
	 */
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
	return READ_ONCE(((struct cpu *)arg)->hotplug) != HP_LEAVING;
}

static bool is_up(void *arg)
{
	return load_acquire(&((struct cpu *)arg)->hotplug) == HP_UP;
}

bool cpu_is_parked(unsigned cpu)
{
	return cpu < nr_cpus && load_acquire(&cpus[cpu]->hotplug) == HP_PARKED;
}

bool cpu_out_of_reach(void)
{
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++) {
		u32 state = load_acquire(&cpus[cpu]->hotplug);

		if (state != HP_UP && state != HP_PARKED && state != HP_ABSENT)
			return true;
	}
	return false;
}

static unsigned other_online(unsigned cpu)
{
	unsigned other = 0;

	while (other == cpu || !cpumask_test(cpu_online_mask, other))
		other++;
	return other;
}

/* Number of blocks in the caches of @cpu; exact if @cpu is parked. */
static unsigned left_in_cache(unsigned cpu)
{
	irqflags_t flags = spin_lock_irqsave(&memories_lock);
	const struct memory *mem;
	unsigned i, sum = 0;

	LIST_FOREACH(mem, &memories, link)
		for (i = 0; cpu < mem->nr_cpus && i < nr_stacks(mem); i++)
			sum += stack_count(&mem->pcp[cpu]->stack[i]);
	spin_unlock_irqrestore(&memories_lock, flags);
	return sum;
}

/*
 * Poll until is(@cpu): a CPU that parks, or is in its first steps, cannot wake a waiter.  Other
 * threads of this CPU run in between.  False: not within @ns.
 */
static bool hotplug_await(bool (*is)(unsigned cpu), unsigned cpu, u64 ns)
{
	u64 end = arch_clock_ns() + ns;

	while (!is(cpu)) {
		if (arch_clock_ns() >= end)
			return false;
		cpu_relax();
		thread_yield();
	}
	return true;
}

bool cpu_wait_parked(unsigned cpu, u64 ns)
{
	return hotplug_await(cpu_is_parked, cpu, ns);
}

static bool is_online(unsigned cpu)
{
	return cpumask_test(cpu_online_mask, cpu);
}

bool cpu_wait_online(unsigned cpu, u64 ns)
{
	return hotplug_await(is_online, cpu, ns);
}

/*
 * The threads leave while the CPU still answers: a thread may be in a call of its own, or hold a
 * mutex that another thread waits for. Next the online bit is cleared. A sender may hold a lock
 * under which it must not take cpu_hotplug, so this lock does not keep all senders out.  Therefore
 * smp_wait_senders waits for senders that read the bit before it was cleared, up to a limit.  After
 * the limit such a sender withdraws its requests to this CPU.
 */
static int take_down(unsigned cpu)
{
	struct cpu *c = cpus[cpu];
	bool left;

	sched_point("cpu.down_locked");
	WRITE_ONCE(c->hotplug, (u32)HP_LEAVING);
	arch_irqs_move(cpu, other_online(cpu));
	sched_cpu_leave(cpu);
	left = wait_until(&changed, has_left, c, smp_timeout_ns);
	cpu_clear_online(cpu);
	sched_point("cpu.online_cleared");
	smp_wait_senders();
	atomic_xchg(&c->hotplug, (u32)HP_STOP);
	arch_ipi_kick(cpu);
	/* A CPU whose threads did not leave in time gets no second timeout. */
	if (!cpu_wait_parked(cpu, left ? smp_timeout_ns : 0) &&
	    atomic_cas(&c->hotplug, (u32)HP_STOP, (u32)HP_DEAD)) {
		printk("cpu: CPU %u did not park in time: dead, with %u threads; about %u cached "
		       "blocks "
		       "are out of reach\n",
		    cpu, sched_threads(cpu), left_in_cache(cpu));
		arch_backtrace_self();
		arch_backtrace_others();
		counter_add(&smp_stats.silent, 1);
		return -EIO;
	}
	KASSERT(left_in_cache(cpu) == 0);
	sched_point("cpu.parked");
	return 0;
}

/* A CPU that does not wake stays parked.  A CPU that starts too late finds STOP and parks again. */
static int bring_up(unsigned cpu)
{
	struct cpu *c = cpus[cpu];
	u64 end = arch_clock_ns() + smp_timeout_ns;

	KASSERT(left_in_cache(cpu) == 0);
	sched_point("cpu.up_locked");
	atomic_xchg(&c->hotplug, (u32)HP_WAKE);
	do {
		if (READ_ONCE(c->hotplug) == HP_WAKE)
			arch_cpu_unpark(cpu);
		if (wait_until(&changed, is_up, c, WAKE_NS))
			return 0;
	} while (arch_clock_ns() < end);
	if (atomic_cas(&c->hotplug, (u32)HP_WAKE, (u32)HP_PARKED) ||
	    atomic_cas(&c->hotplug, (u32)HP_STARTING, (u32)HP_STOP)) {
		printk("cpu: CPU %u did not come up in time\n", cpu);
		return -EIO;
	}
	/*
	 * The CPU is in the last steps of its start, and no step waits. It is partly online, so it
	 * cannot be parked.
	 */
	if (!wait_until(&changed, is_up, c, smp_timeout_ns * TURN_FACTOR))
		panic("cpu: CPU %u stopped half-way up", cpu);
	return 0;
}

/*
 * Take cpu_hotplug exclusively.  A thread that holds it shared releases it in time, or the machine
 * panics; but a thread whose CPU died never releases it.  False: timed out.
 */
bool lock_cpus(void) TRY_ACQUIRE(true, cpu_hotplug)
{
	return rwsem_lock_exclusive_timeout(&cpu_hotplug, smp_timeout_ns * TURN_FACTOR);
}

int cpu_down(unsigned cpu)
{
	int err;

	if (cpu >= nr_cpus)
		return -ENODEV;
	if (!may_sleep())
		return -EDEADLK;
	if (!lock_cpus())
		return -ETIMEDOUT;
	if (READ_ONCE(cpus[cpu]->hotplug) == HP_DEAD)
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
	if (!may_sleep())
		return -EDEADLK;
	if (!lock_cpus())
		return -ETIMEDOUT;
	if (cpumask_test(cpu_online_mask, cpu))
		err = -EALREADY;
	else if (READ_ONCE(cpus[cpu]->hotplug) == HP_ABSENT)
		err = -ENODEV;
	else if (!cpu_is_parked(cpu))
		err = -EIO; /* dead, or it never started */
	else
		err = bring_up(cpu);
	rwsem_unlock_exclusive(&cpu_hotplug);
	return err;
}

/* ---- queries ---- */

const char *cpu_state_name(unsigned cpu)
{
	switch (READ_ONCE(cpus[cpu]->hotplug)) {
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

/* Print one row for @cpu, or two if its counters are large. */
static void show_cpu(unsigned cpu)
{
	unsigned threads = sched_threads(cpu);
	unsigned long long ticks = READ_ONCE(cpus[cpu]->ticks);
	unsigned long long calls = READ_ONCE(cpus[cpu]->calls);
	unsigned long long kicks = READ_ONCE(cpus[cpu]->kicks);
	char state[CONSOLE_COLUMNS], counters[CONSOLE_COLUMNS];
	int len;

	len = ksnprintf(state, sizeof(state), "cpu %u: %s, APIC id %u, node %u, %u thread%s,", cpu,
	    cpu_state_name(cpu), cpus[cpu]->apic_id, cpus[cpu]->node, threads, plural(threads));
	len += ksnprintf(counters, sizeof(counters), " %llu tick%s, %llu call%s, %llu kick%s",
	    ticks, plural(ticks), calls, plural(calls), kicks, plural(kicks));
	printk("%s%s%s\n", state, len > CONSOLE_COLUMNS ? "\n " : "", counters);
}

void show_cpus(void)
{
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++)
		show_cpu(cpu);
	printk("calls to CPUs out of range %llu, to CPUs not online %llu\n"
	       "  taken by CPUs not online %llu; CPUs reported silent %llu\n",
	    (unsigned long long)READ_ONCE(smp_stats.bad_cpu),
	    (unsigned long long)READ_ONCE(smp_stats.offline_cpu),
	    (unsigned long long)READ_ONCE(smp_stats.spurious_calls),
	    (unsigned long long)READ_ONCE(smp_stats.silent));
}
