/* SPDX-License-Identifier: MIT */
/*
 * fault.c: faults made on purpose, to see that they are found.
 *
 * Owns:       nothing; the caller brings struct fault_hang.
 * Locks:      none.
 * Invariants: a fault that has an end ends without help from the CPU that has it.
 */
#include <quarry/hotplug.h>
#include <quarry/kernel.h>

static void hang(void *arg)
{
	struct fault_hang *h = arg;
	irqflags_t flags = arch_irq_save();

	store_release(&h->deaf, 1u);
	while (!load_acquire(&h->release) && arch_clock_ns() < h->until)
		cpu_relax();
	arch_irq_restore(flags);
}

int fault_hang_start(struct fault_hang *h, unsigned cpu, u64 ns)
{
	u64 now = arch_clock_ns();

	if (cpu >= nr_cpus || !cpumask_test(cpu_online_mask, cpu))
		return -ENODEV;
	if (cpu == arch_cpu_id() && ns == WAIT_FOREVER)
		return -EDEADLK;
	*h = (struct fault_hang){.cpu = cpu, .until = ns < WAIT_FOREVER - now ? now + ns : WAIT_FOREVER};
	h->thread = thread_start("hang", (int)cpu, hang, h);
	if (!h->thread)
		return -ENOMEM;
	while (!load_acquire(&h->deaf)) {
		cpu_relax();
		thread_yield();
	}
	return 0;
}

void fault_hang_end(struct fault_hang *h)
{
	store_release(&h->release, 1u);
	thread_join(h->thread);
}
