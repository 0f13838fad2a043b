/* SPDX-License-Identifier: MIT */
/*
 * kernel.h: what the parts of the kernel outside mm/ offer each other and the drivers.
 */
#ifndef QUARRY_KERNEL_H
#define QUARRY_KERNEL_H

#include <quarry/bootinfo.h>
#include <quarry/cmdline.h>
#include <quarry/errno.h>
#include <quarry/port.h>
#include <quarry/smp.h>
#include <quarry/types.h>
#include <stdarg.h>

/* ---- console (kernel/printk.c) ---- */

void vprintk(const char *fmt, va_list ap);
/* Write bytes as they are, whole: no other CPU's output comes between.  Any context. */
void console_write(const char *s, size_t len);
/*
 * Printing bypasses the lock from now on.  If another CPU has it just now, a moment is given to it to end
 * its line.  For panic; irqs off.
 */
void console_bust_lock(void);

/* ---- serial port (drivers/serial.c), 16550 at COM1 ---- */

void serial_init(void);
bool serial_present(void);
void serial_write(const char *s, size_t len);
/* Wait until all has been sent. */
void serial_flush(void);
/* Next byte received, or -1: does not wait.  Interrupt-driven once serial_enable_irq was called. */
int serial_getc(void);
/* Sleep until a byte has come; thread context. */
int serial_getc_wait(void);
void serial_enable_irq(void);
/* From here on serial_getc asks the port, on whatever CPU: the one that gets its interrupt may be busy. */
void serial_disable_irq(void);

/* ---- virtio devices (drivers/virtio_start.c) ---- */

/* Find them, and start the drivers' threads.  Context: thread, may sleep. */
void virtio_init(void);
/* Print what each driver has done. */
void virtio_show(void);
/* ---- screen (drivers/screen.c), where the loader set up a framebuffer ---- */

/*
 * screen_init: what has been printed appears, and what will be; on the initial tables, after cmdline_init.
 * screen_map: the same on the final ones, with nothing printed since they were loaded.  Boot CPU.
 */
void screen_init(void);
void screen_map(void);
/* Is there one that shows what is printed?  Any context. */
bool screen_present(void);
/* For kernel/printk.c, which keeps writers apart, but for a panic.  Any context. */
void screen_write(const char *s, size_t len);
/* The machine's: map @len bytes of pixels at @pa, write-combining; never unmapped.  NULL: no memory.  Thread, boot CPU. */
void *arch_map_framebuffer(phys_t pa, size_t len);

/* ---- threads (kernel/sched.c), beyond port.h ---- */

/*
 * Turn the running boot flow of this CPU into its first thread (boot CPU) or its idle thread (others).
 * The boot CPU's call sets up the queues of all, so kmalloc and arch_stack_alloc must work: after
 * memory_ready, before the first thread_start and before other CPUs start.  irqs off.
 */
void sched_init_cpu(bool boot_cpu);
/* The idle loop of a CPU; never returns. */
void sched_idle(void) __attribute__((noreturn));
/* Called at the end of timer and kick interrupts, irqs off: switch if asked and allowed. */
void sched_irq_exit(void);
/* The timer interrupt's part of the scheduler; irqs off. */
void sched_tick(void);
/* Called by preempt_enable when it reached 0 and a switch is wanted. */
void preempt_schedule(void);
/* Panic unless the caller may sleep: irqs on, no lock held, preemption on, not in an interrupt. */
void assert_may_sleep(const char *what);
/* Name of the running thread, for reports. */
const char *thread_name(void);
/* Busy-work accounting: threads that are runnable on @cpu, the running one included. */
unsigned sched_load(unsigned cpu);

/*
 * CPU hotplug, under cpu_hotplug exclusive.  sched_cpu_leave: @cpu shall hand over its threads; its idle
 * thread does it and calls cpu_leave when none is left.  sched_cpu_join: this CPU takes threads again.
 */
void sched_cpu_leave(unsigned cpu);
void sched_cpu_join(void);
/* Threads that belong to @cpu now, asleep or not; racy. */
unsigned sched_threads(unsigned cpu);

/* ---- panic (kernel/panic.c) ---- */

/* What all chance of this run derives from; set by main.c from seed=, printed by a panic. */
extern u64 run_seed;
/* True once a panic began.  Any context. */
bool panicking(void);
/* Once a panic began on another CPU this does not return: nobody shall print or change anything more. */
void panic_stop(void);
/* Name and offset of the function that @addr lies in: "name+0x12", or the number.  Any context. */
const char *symbol_name(uintptr_t addr, char *buf, size_t size);
/* Walk frame pointers from @rbp, print each return address with its name.  Any context. */
void print_backtrace(uintptr_t rip, uintptr_t rbp);

/* ---- machine (arch/x86_64) ---- */

/*
 * Stop the machine: true → pass, false → fail.  By isa-debug-exit where it is, else by ACPI, else halt;
 * halt instead of ACPI with poweroff=off, or where all that was said is on the screen and nowhere else.
 */
void machine_power_off(bool pass) __attribute__((noreturn));
/* An interrupt of the scheduler on @cpu: need_resched has been set.  Any context. */
void arch_ipi_kick(unsigned cpu);
/* From now on the timer of this CPU interrupts it once in @ticks ticks, of 10 ms; also when it is on.  irqs off. */
void arch_timer_start(u32 ticks);
/* Stop it; what it has raised already still comes.  irqs off. */
void arch_timer_stop(void);
/* Does an interrupt wait for this CPU to turn them on?  irqs off. */
bool arch_irqs_pending(void);
/* Device interrupts that CPU @from gets go to CPU @to from now on.  Any context. */
void arch_irqs_move(unsigned from, unsigned to);
/* CPUs below this one came with the machine; for the others, up to nr_cpus, there was only a place. */
extern unsigned nr_boot_cpus;
/*
 * Halt this CPU until *word is @until and arch_cpu_unpark was called; nothing else is executed but
 * the handler of NMIs.  At return its TLB is empty.  irqs off.
 */
void arch_cpu_park(const u32 *word, u32 until);
/* Make @cpu look at its word.  It may miss this: repeat it until there is an answer.  Any context. */
void arch_cpu_unpark(unsigned cpu);
/* Start CPU @id, which runs nothing, as at boot; false: it did not start, and runs nothing still.  Thread. */
bool arch_cpu_start(unsigned id);
/* Stop CPU @id, which is parked: it runs nothing, and forgets all.  Not the boot CPU.  Thread. */
void arch_cpu_stop(unsigned id);
/* Switch stacks: save this thread's in *from, load to's.  irqs off. */
void arch_switch(void **from_sp, void *to_sp);
/* Prepare a new stack so that the first switch to it calls fn(arg) with irqs on.  Returns its sp. */
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
/* Under TCG with icount the TSC counts instructions; else cycles of some kind. */
#ifdef __x86_64__ /* the fiber program includes this file on other machines too */
static inline u64 arch_tsc(void)
{
	return __builtin_ia32_rdtsc();
}
#endif

/* ---- the arrays and bytes of memory that comes and goes (kernel/memory_arrays.c is who calls) ---- */

/*
 * Put zeroed pages behind [@va, @va + @len) of an array, where there are none yet.  0; -ENOMEM: some may be
 * there now.  And take back those that came by it; zeros are read there then.  Whole pages of 4 KiB.
 * When they return no CPU knows the old mapping any more.  Context: thread, may sleep, cpu_hotplug not held.
 */
int arch_array_grow(uintptr_t va, size_t len) must_check;
void arch_array_shrink(uintptr_t va, size_t len);
/*
 * The same with the memory at @pa, for good; all multiples of 2 MiB.  For the reclaim thread: -EAGAIN somebody
 * changes the tables just now, and may wait for memory.
 */
int arch_array_place(uintptr_t va, phys_t pa, size_t len) must_check;
/*
 * Make RAM at [@pa, @pa + @len), multiples of 2 MiB, reachable by arch_phys_to_virt.  0; -ENOMEM: some is.
 * And the reverse, after which no CPU reaches it, unless it was there at boot.  Context as above.
 */
int arch_direct_map(phys_t pa, size_t len) must_check;
void arch_direct_unmap(phys_t pa, size_t len);

/* ---- early memory (mm/memblock.c is the allocator before the allocator) ---- */

/*
 * Boot memory: zeroed, @align bytes aligned, never freed, mapped.  Panics when there is none: nothing
 * can run then.  Until boot_memory_hand_over.  Context: boot CPU.
 */
void *boot_alloc(size_t bytes, size_t align);

#endif
