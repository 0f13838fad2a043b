/* SPDX-License-Identifier: MIT */
/* machine.h: functions of the machine for the kernel beyond mm/ (arch/x86_64, arch/fiber). */
#ifndef QUARRY_MACHINE_H
#define QUARRY_MACHINE_H

#include <quarry/types.h>

/* ---- power, CPUs, interrupts, stacks ---- */

/*
 * Stop the machine, and report @pass as the result of the run where the machine can.  Uses
 * isa-debug-exit if present, else ACPI, else halts.  Halt instead of ACPI with poweroff=off, or if
 * the output is on the screen only, or is a panic's on a screen, and power_off_wanted is not set.
 */
void machine_power_off(bool pass) __attribute__((noreturn));
/* The person at the prompt has asked for the end: nothing is left to be read on the screen. */
extern bool power_off_wanted;
/* Send the scheduler's interrupt to @cpu; need_resched has been set.  Any context. */
void arch_ipi_kick(unsigned cpu);
/*
 * From now on the timer interrupts this CPU every @ticks ticks of 10 ms; the timer may run already.
 * irqs off.
 */
void arch_timer_start(u32 ticks);
/* Print what was found of CPUs, clock and interrupts.  One caller at a time; context: thread. */
void arch_show_machine(void);
/* Stop the timer; an interrupt that it has raised still arrives.  irqs off. */
void arch_timer_stop(void);
/* Is an interrupt pending for this CPU?  irqs off. */
bool arch_irqs_pending(void);
/* From now on device interrupts of CPU @from go to CPU @to.  Any context. */
void arch_irqs_move(unsigned from, unsigned to);
/*
 * CPUs below this number were present at boot; the others, up to nr_cpus, were empty slots.
 */
extern unsigned nr_boot_cpus;
/*
 * Halt this CPU until *word is @until and arch_cpu_unpark was called.  Meanwhile only the NMI
 * handler runs.  At return its TLB is empty.  irqs off.
 */
void arch_cpu_park(const u32 *word, u32 until);
/*
 * Make the parked @cpu check its word.  The CPU may miss this: repeat until it answers.  Any
 * context.
 */
void arch_cpu_unpark(unsigned cpu);
/*
 * Start CPU @id, which is stopped, in the same way as at boot.  False: it did not start, and is
 * still stopped.  Context: thread.
 */
bool arch_cpu_start(unsigned id);
/*
 * Stop CPU @id, which is parked: it runs nothing, and loses its state.  Not for the boot CPU.
 * Context: thread.
 */
void arch_cpu_stop(unsigned id);
/*
 * Prepare a new stack so that the first switch to it calls fn(arg) with irqs on.  Returns its sp.
 */
void *arch_stack_prepare(void *stack_top, void (*fn)(void *), void *arg);
/*
 * Enable irqs and halt until an interrupt arrives; an interrupt that arrived before ends the halt
 * too.  irqs off at entry.
 */
void arch_idle_wait(void);
/*
 * A kernel stack of 16 KiB with an unmapped guard page below it; returns its top, NULL without
 * memory.  Context: thread.
 */
void *arch_stack_alloc(void);
void arch_stack_free(void *top);
/* Pages of stacks, including stacks kept for later threads.  Any context. */
unsigned long arch_stack_pages(void);
/* Page tables of stacks: they stay when the stacks' pages are freed.  Any context. */
unsigned long arch_stack_tables(void);
/*
 * Map @len bytes of pixels at @pa, write-combining; never unmapped.  NULL: no memory.  Context:
 * thread on the boot CPU.
 */
void *arch_map_framebuffer(phys_t pa, size_t len);
/* The TSC, which counts instructions where QEMU runs with icount, else cycles of some kind. */
#ifdef __x86_64__ /* the fiber program includes this file on other machines too */
static inline u64 arch_tsc(void)
{
	return __builtin_ia32_rdtsc();
}
#endif

/* ---- also hosted: for kernel/lock.c and kernel/smp.c ---- */

/*
 * Zeroed memory, aligned to 64, for arrays allocated at start-up and never freed (slots of
 * cross-calls, records of locks).  Panics without memory.  Context: the first CPU, before the
 * others start.
 */
void *arch_boot_zalloc(size_t bytes);

/* Print the backtraces of all CPUs but this one, by NMI where the machine has one.  Any context. */
void arch_backtrace_others(void);
/* Print this CPU's own backtrace.  Any context. */
void arch_backtrace_self(void);

/* ---- memory that is added and removed: its arrays, its bytes (for kernel/memory_arrays.c) ---- */

/*
 * arch_array_grow maps zeroed pages of an array wherever [@va, @va + @len) has none.  It returns 0;
 * -ENOMEM: some pages may have been mapped.  arch_array_shrink unmaps and frees the pages; the
 * addresses then read as zeros.  But while a CPU is dead (cpu_out_of_reach) it does nothing, and
 * the pages stay until a later call.  Whole pages of 4 KiB.  At return no CPU has an old TLB entry,
 * except that a dead CPU may still read zeros where arch_array_grow mapped pages, until it has
 * parked.  Context: thread, may sleep, cpu_hotplug not held.
 */
int arch_array_grow(uintptr_t va, size_t len) must_check;
void arch_array_shrink(uintptr_t va, size_t len);
/*
 * As arch_array_grow, but with the memory at @pa, and for ever; all are multiples of 2 MiB.  It
 * does not wait for the lock of the tables: -EAGAIN another thread has it, and may itself be
 * waiting for memory.
 */
int arch_array_place(uintptr_t va, phys_t pa, size_t len) must_check;
/*
 * Make RAM at [@pa, @pa + @len), multiples of 2 MiB, accessible by arch_phys_to_virt.  0; -ENOMEM:
 * a part may be accessible.  The reverse clears entries of 2 MiB only: RAM that was present at boot
 * may be mapped by larger entries, and then stays accessible.  Context as arch_array_grow.
 */
int arch_direct_map(phys_t pa, size_t len) must_check;
void arch_direct_unmap(phys_t pa, size_t len);

/* ---- early memory (from mm/core/memblock.c) ---- */

/*
 * Boot memory: zeroed, @align bytes aligned, never freed, mapped.  Panics without memory.  Only
 * before boot_memory_hand_over.  Context: boot CPU.
 */
void *boot_alloc(size_t bytes, size_t align);
/* As boot_alloc, but not zeroed; returns the physical address. */
phys_t boot_alloc_raw(size_t bytes, size_t align);

#endif
