/* SPDX-License-Identifier: MIT */
/*
 * fiber_hotplug.c: the machine and scheduler functions that kernel/cpu_hotplug.c calls, for fibers.
 *
 * A CPU has one thread at most, so none is moved away: the thread itself leaves where it idles or
 * yields, and continues there when the CPU is online again.
 *
 * Owns: cpus[]; boot memory, from which kmalloc allocates; the machine's state at the start of a
 *       run.
 */
#include "fiber.h"
#include <quarry/account.h>
#include <quarry/cpu.h>
#include <quarry/hotplug.h>
#include <quarry/machine.h>
#include <quarry/sched.h>
#include <quarry/smp.h>

#define BOOT_SIZE (64UL << 10)

static struct cpu areas[FIBER_CPUS];
static struct cpu *pointers[FIBER_CPUS];
struct cpu **cpus = pointers;
static char boot_memory[BOOT_SIZE] __attribute__((aligned(64)));
static size_t boot_used;

void *arch_boot_zalloc(size_t bytes)
{
	void *ptr = boot_memory + boot_used;

	if (bytes > BOOT_SIZE - boot_used)
		panic("fiber: no boot memory");
	boot_used += ALIGN_UP(bytes, 64);
	return ptr;
}

/* The size of a kmalloc allocation, in front of it; an allocation is as aligned as its block. */
struct block {
	size_t size;
} __attribute__((aligned(64)));

/* There is no kernel memory for slabs; boot memory is reset when a run begins. */
void *kmalloc(size_t size)
{
	struct block *block = arch_boot_zalloc(sizeof(*block) + size);

	block->size = size;
	return block + 1;
}

/* Nothing is freed, only overwritten, so that a use after free finds no pointer and no count. */
void kfree(void *ptr)
{
	if (ptr)
		memset(ptr, 0x5a, ((struct block *)ptr - 1)->size);
}

void kmalloc_counts(u64 in_use[NR_SLAB_COUNTS])
{
	memset(in_use, 0, NR_SLAB_COUNTS * sizeof(*in_use));
}

void fiber_boot(unsigned online)
{
	unsigned i;

	memset(boot_memory, 0, boot_used);
	boot_used = 0;
	smp_init();
	cpu_hotplug = RWSEM("cpu_hotplug");
	LIST_INIT(&memories);
	memories_lock.locked = 0;
	for (i = 0; i < FIBER_CPUS; i++) {
		areas[i] = (struct cpu){.id = i};
		pointers[i] = &areas[i];
	}
	for (i = 0; i < online; i++)
		cpu_set_online(i);
}

void sched_cpu_leave(unsigned cpu)
{
	fiber_ask_to_leave(cpu, true);
}

void sched_cpu_join(void)
{
	fiber_ask_to_leave(arch_cpu_id(), false);
}

unsigned sched_threads(unsigned cpu)
{
	return 0;
}

void arch_cpu_park(const u32 *word, u32 until)
{
	while (load_acquire(word) != until)
		fiber_park();
}

void arch_cpu_unpark(unsigned cpu)
{
	fiber_unpark(cpu);
}

void arch_idle_wait(void)
{
	arch_irq_enable();
	cpu_relax();
}

bool arch_irqs_pending(void)
{
	return fiber_this->wanted;
}

/* Waiting CPUs check again by themselves. */
void arch_ipi_kick(unsigned cpu)
{
	fiber_progress();
}

/* A CPU that is a fiber has no timer and no devices. */
void arch_timer_start(u32 ticks)
{
}

void arch_timer_stop(void)
{
}

void arch_irqs_move(unsigned from, unsigned to)
{
}
