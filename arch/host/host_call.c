/* SPDX-License-Identifier: MIT */
/*
 * host_call.c: the host's own cross-calls: a mailbox of one call for each pair of CPUs.
 *
 * Owns:       the mailboxes, smp_stats, the online mask.
 * Locks:      none.
 * Invariants: a sender has at most one call under way, so its mailboxes are free when it starts a
 *             call.
 *             A call lives on its sender's stack until every target has decremented its count.
 */
#include <quarry/errno.h>
#include <quarry/smp.h>

struct call {
	void (*fn)(void *);
	void *arg;
	u32 left; /* atomic: targets that have not finished the call */
};

static struct call *box[HOST_MAX_CPUS][HOST_MAX_CPUS]; /* atomic: [to][from] */
static cpumask_t online[CPUMASK_WORDS(HOST_MAX_CPUS)];
cpumask_t *cpu_online_mask = online;
struct rwsem cpu_hotplug = RWSEM("cpu_hotplug");
struct smp_stats smp_stats;
u64 smp_timeout_ns = 10000000000ULL, smp_worst_ns;

void smp_init(void)
{
}

void cpu_set_online(unsigned cpu)
{
	cpumask_set(cpu_online_mask, cpu);
}

unsigned nr_cpus_online(void)
{
	unsigned cpu, nr = 0;

	for (cpu = 0; cpu < nr_cpus; cpu++)
		nr += cpumask_test(cpu_online_mask, cpu);
	return nr;
}

/* No CPU leaves the mask here, so there is nothing to wait for. */
bool smp_wait_senders(void)
{
	return true;
}

bool smp_call_pending(void)
{
	unsigned from;

	for (from = 0; from < nr_cpus; from++)
		if (READ_ONCE(box[arch_cpu_id()][from]))
			return true;
	return false;
}

bool smp_unanswered(unsigned from, unsigned to)
{
	return READ_ONCE(box[to][from]) != NULL;
}

bool smp_calling(unsigned cpu)
{
	unsigned to;

	for (to = 0; to < nr_cpus; to++)
		if (smp_unanswered(cpu, to))
			return true;
	return false;
}

/* Run the call's function; true: it must run once more. */
static bool run(const struct call *call)
{
	port_task()->call_again = false;
	call->fn(call->arg);
	return port_task()->call_again;
}

void smp_call_serve(void)
{
	struct call *call;
	unsigned from;

	for (from = 0; from < nr_cpus; from++) {
		if (!READ_ONCE(box[arch_cpu_id()][from]))
			continue;
		call = atomic_xchg(&box[arch_cpu_id()][from], NULL);
		if (!call)
			continue;
		if (run(call)) {
			store_release(&box[arch_cpu_id()][from], call);
			arch_ipi_call(arch_cpu_id());
			continue;
		}
		atomic_sub(&call->left, 1); /* the sender may return now */
	}
}

/* Wait for all targets.  A slow target may have lost its wake-up, and gets another one. */
static void wait_for_all(const struct call *call, unsigned self)
{
	u64 since = 0;
	u32 turns = 0;
	unsigned cpu;

	while (load_acquire(&call->left)) {
		cpu_relax();
		if (++turns % 1024)
			continue;
		since = since ? since : arch_clock_ns();
		if (arch_clock_ns() - since <= smp_timeout_ns)
			continue;
		since = 0;
		for (cpu = 0; cpu < nr_cpus; cpu++)
			if (READ_ONCE(box[cpu][self]) == call)
				arch_ipi_call(cpu);
	}
}

int smp_call_mask(const cpumask_t *mask, void (*fn)(void *), void *arg)
{
	struct call call = {.fn = fn, .arg = arg};
	unsigned self, cpu;
	irqflags_t flags;
	int asked = 0;
	bool more;

	if (!arch_irqs_enabled() || spin_depth() || arch_in_interrupt()) {
		counter_add(&smp_stats.bad_context, 1);
		return -EDEADLK;
	}
	if (port_task()->in_alloc)
		counter_add(&smp_stats.from_alloc, 1);
	counter_add(&smp_stats.calls, 1);
	preempt_disable();
	self = arch_cpu_id();
	for (cpu = 0; mask && cpu < CPUMASK_WORDS(nr_cpus) * CPUMASK_BITS; cpu++)
		if (cpumask_test(mask, cpu) && cpu >= nr_cpus)
			counter_add(&smp_stats.bad_cpu, 1);
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		if (cpu == self || (mask && !cpumask_test(mask, cpu)))
			continue;
		if (!cpumask_test(cpu_online_mask, cpu)) {
			counter_add(&smp_stats.offline_cpu, mask != NULL);
			continue;
		}
		atomic_add(&call.left, 1);
		store_release(&box[cpu][self], &call);
		arch_ipi_call(cpu);
		asked++;
	}
	counter_add(&smp_stats.ipis, (u64)asked);
	if (!mask || cpumask_test(mask, self)) {
		do {
			flags = arch_irq_save();
			more = run(&call);
			arch_irq_restore(flags);
		} while (more);
	}
	wait_for_all(&call, self);
	preempt_enable();
	return asked;
}
