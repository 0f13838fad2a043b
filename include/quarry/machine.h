/* SPDX-License-Identifier: MIT */
/* machine.h: what the kernel, beyond mm/, needs of the machine (arch/x86_64, arch/fiber). */
#ifndef QUARRY_MACHINE_H
#define QUARRY_MACHINE_H

#include <quarry/types.h>

struct pcp;

/* ---- power, CPUs, interrupts, stacks ---- */

/*
 * Stop the machine: true → pass, false → fail.  By isa-debug-exit where it is, else by ACPI, else
 * halt; halt instead of ACPI with poweroff=off, or where all that was said is on the screen and
 * nowhere else.
 */
void machine_power_off(bool pass) __attribute__((noreturn));
/* An interrupt of the scheduler on @cpu: need_resched has been set.  Any context. */
void arch_ipi_kick(unsigned cpu);
/*
 * From now on the timer of this CPU interrupts it once in @ticks ticks, of 10 ms; also when it is
 * on.  irqs off.
 */
void arch_timer_start(u32 ticks);
/* Stop it; what it has raised already still comes.  irqs off. */
void arch_timer_stop(void);
/* Does an interrupt wait for this CPU to turn them on?  irqs off. */
bool arch_irqs_pending(void);
/* Device interrupts that CPU @from gets go to CPU @to from now on.  Any context. */
void arch_irqs_move(unsigned from, unsigned to);
/*
 * CPUs below this one came with the machine; for the others, up to nr_cpus, there was only a place.
 */
extern unsigned nr_boot_cpus;
/*
 * Halt this CPU until *word is @until and arch_cpu_unpark was called; nothing else is executed but
 * the handler of NMIs.  At return its TLB is empty.  irqs off.
 */
void arch_cpu_park(const u32 *word, u32 until);
/*
 * Make @cpu look at its word.  It may miss this: repeat it until there is an answer.  Any context.
 */
void arch_cpu_unpark(unsigned cpu);
/*
 * Start CPU @id, which runs nothing, as at boot; false: it did not start, and runs nothing still.
 * Thread.
 */
bool arch_cpu_start(unsigned id);
/* Stop CPU @id, which is parked: it runs nothing, and forgets all.  Not the boot CPU.  Thread. */
void arch_cpu_stop(unsigned id);
/* Switch stacks: save this thread's in *from, load to's.  irqs off. */
void arch_switch(void **from_sp, void *to_sp);
/*
 * Prepare a new stack so that the first switch to it calls fn(arg) with irqs on.  Returns its sp.
 */
void *arch_stack_prepare(void *stack_top, void (*fn)(void *), void *arg);
/* Enable irqs and halt until one comes, without losing one that came before.  irqs off at entry. */
void arch_idle_wait(void);
/*
 * A kernel stack of 16 KiB with an unmapped guard page below it; returns its top, NULL without
 * memory.  Context: thread.
 */
void *arch_stack_alloc(void);
void arch_stack_free(void *top);
/* Pages under stacks, those kept for later included.  Any context. */
unsigned long arch_stack_pages(void);
/*
 * Map @len bytes of pixels at @pa, write-combining; never unmapped.  NULL: no memory.  Thread, boot
 * CPU.
 */
void *arch_map_framebuffer(phys_t pa, size_t len);
/* Under TCG with icount the TSC counts instructions; else cycles of some kind. */
#ifdef __x86_64__ /* the fiber program includes this file on other machines too */
static inline u64 arch_tsc(void)
{
	return __builtin_ia32_rdtsc();
}
#endif

/* ---- also hosted: for kernel/lock.c and kernel/smp.c ---- */

/*
 * Zeroed memory, aligned to 64, for what is sized at start-up and kept for ever (slots of
 * cross-calls, records of locks).  Panics when there is none.  Context: the first CPU, before the
 * others start.
 */
void *arch_boot_zalloc(size_t bytes);

/* Print the backtraces of all CPUs but this one, by NMI where the machine has one.  Any context. */
void arch_backtrace_others(void);
/* Print this CPU's own.  Any context. */
void arch_backtrace_self(void);
/* The page cache of @cpu for the kernel's own memory.  Any context. */
struct pcp *arch_cpu_pcp(unsigned cpu);

/* ---- memory that comes and goes: its arrays, its bytes (for kernel/memory_arrays.c) ---- */

/*
 * Put zeroed pages behind [@va, @va + @len) of an array, where there are none yet.  0; -ENOMEM:
 * some may be there now.  And take back those that came by it; zeros are read there then.  Whole
 * pages of 4 KiB. When they return no CPU knows the old mapping any more.  Context: thread, may
 * sleep, cpu_hotplug not held.
 */
int arch_array_grow(uintptr_t va, size_t len) must_check;
void arch_array_shrink(uintptr_t va, size_t len);
/*
 * The same with the memory at @pa, for good; all multiples of 2 MiB.  For the reclaim thread:
 * -EAGAIN somebody changes the tables just now, and may wait for memory.
 */
int arch_array_place(uintptr_t va, phys_t pa, size_t len) must_check;
/*
 * Make RAM at [@pa, @pa + @len), multiples of 2 MiB, reachable by arch_phys_to_virt.  0; -ENOMEM:
 * some is. And the reverse, after which no CPU reaches it, unless it was there at boot.  Context as
 * above.
 */
int arch_direct_map(phys_t pa, size_t len) must_check;
void arch_direct_unmap(phys_t pa, size_t len);

/* ---- early memory (mm/memblock.c is the allocator before the allocator) ---- */

/*
 * Boot memory: zeroed, @align bytes aligned, never freed, mapped.  Panics when there is none:
 * nothing can run then.  Until boot_memory_hand_over.  Context: boot CPU.
 */
void *boot_alloc(size_t bytes, size_t align);

#endif
