/* SPDX-License-Identifier: MIT */
/*
 * trap.c: handling interrupts and exceptions.
 *
 * Owns:       the vectors of x86.h.
 * Locks:      none of its own.
 * Invariants: irq_depth is above 0 exactly while a handler of this CPU runs.  Serving a fault of
 *             ring 3, or of a copy from or to its memory, does not count: it may sleep.
 *             An interrupt is acknowledged before its handler may switch threads.
 * Tests:      arch_fault, arch_cpu, arch, mce_cpu, tests/qemu/test_exception.py,
 *             tests/qemu/test_panic.py.
 */
#include <quarry/machine.h>
#include <quarry/mce.h>
#include <quarry/panic.h>
#include <quarry/port.h>
#include <quarry/sched.h>
#include <quarry/smp.h>

#include "nmi.h"
#include "x86.h"

static const char *const exception_name[] = {
    "divide error",
    "debug",
    "NMI",
    "breakpoint",
    "overflow",
    "bound",
    "invalid opcode",
    "no FPU",
    "double fault",
    "coprocessor overrun",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection",
    "page fault",
    "reserved 15",
    "FPU error",
    "alignment check",
    "machine check",
    "SIMD error",
    "virtualization",
    "control protection",
};

/*
 * Atomic: the CPU whose fault is being reported, the first one that faulted; and the number of its
 * faults.
 */
static struct cpu *fault_cpu;
static u32 nr_faults;
#define MAX_TOLD 2
/* Ticks between two checks of the banks for corrected errors: a second. */
#define MCE_TICKS 100
void print_registers(const struct trap_frame *f, const char *prefix)
{
	printk("%srip %016lx cs %04lx rflags %08lx rsp %016lx ss %04lx\n", prefix, f->rip, f->cs,
	    f->rflags, f->rsp, f->ss);
	printk("%srax %016lx rbx %016lx rcx %016lx rdx %016lx\n", prefix, f->rax, f->rbx, f->rcx,
	    f->rdx);
	printk("%srsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", prefix, f->rsi, f->rdi, f->rbp,
	    f->r8);
	printk("%sr9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", prefix, f->r9, f->r10, f->r11,
	    f->r12);
	printk("%sr13 %016lx r14 %016lx r15 %016lx error %lx\n", prefix, f->r13, f->r14, f->r15,
	    f->error);
}

const char *exception_text(u64 vector)
{
	return vector < ARRAY_SIZE(exception_name) ? exception_name[vector] : "reserved";
}

/* May RBP still, or again, be the program's at this instruction of the kernel? */
static bool in_entry(uintptr_t rip)
{
	return (rip >= (uintptr_t)trap_stubs && rip < (uintptr_t)trap_entry_end) ||
	    (rip >= (uintptr_t)syscall_entry && rip < (uintptr_t)syscall_entry_end);
}

void frame_backtrace(const struct trap_frame *f)
{
	if (f->cs & 3)
		printk("  %016lx in ring 3\n", f->rip);
	else
		print_backtrace(f->rip, in_entry(f->rip) ? 0 : f->rbp);
}

/* The error code: SDM vol. 3A, 4.7. */
void print_page_fault(const struct trap_frame *f)
{
	u64 address = read_cr2();
	const char *what = f->error & PF_EXECUTE ? "execute"
	    : f->error & PF_WRITE                ? "write"
	                                         : "read";
	const char *why = f->error & PF_RESERVED ? "reserved bit set in a page table"
	    : f->error & PF_PRESENT              ? "not allowed there"
	                                         : "not mapped";

	printk("page fault: %s of %016lx by the %s: %s\n", what, address,
	    f->error & PF_USER ? "user" : "kernel", why);
	if (!(f->error & PF_PRESENT) && stack_is_guard(address))
		printk("guard page: kernel stack overflow\n");
	else if (address < PAGE_SIZE)
		printk("null pointer, or a member of one\n");
}

/* Report the exception and panic.  @why: a reason to add to the message, or NULL. */
static void exception(const struct trap_frame *f, const char *why)
{
	const char *name = exception_text(f->vector);
	struct cpu *self = this_cpu();

	/* After a panic has begun no CPU waits here: the reporting CPU may have been stopped. */
	while (!atomic_cas(&fault_cpu, NULL, self) && READ_ONCE(fault_cpu) != self && !panicking())
		cpu_relax();
	panic_begin();
	/* A fault that occurs while a fault or a panic is reported gets a shorter report. */
	if (++nr_faults > MAX_TOLD)
		panic("exception %lu: %s, at %lx", f->vector, name, f->rip);
	printk("\nCPU %u: exception %lu, %s, in thread %s\n", arch_cpu_id(), f->vector, name,
	    thread_name());
	if (f->vector == VEC_PF)
		print_page_fault(f);
	else if (f->vector == VEC_DF && stack_is_guard(f->rsp - 1))
		printk("guard page: kernel stack overflow\n");
	else if (f->vector == VEC_MC)
		mce_print_banks(true);
	print_registers(f, "");
	printk("cr2 %016lx cr3 %016lx\n", read_cr2(), read_cr3());
	frame_backtrace(f);
	panic("exception %lu: %s%s%s", f->vector, name, why ? ": " : "", why ? why : "");
}

bool trap_machine_check(const struct trap_frame *f, struct mce_record *hit)
{
	enum mce_from from = f->cs & 3 ? MCE_FROM_USER
	    : user_copies(f)           ? MCE_FROM_COPY
	                               : MCE_FROM_KERNEL;
	const char *why = mce_exception(f->rip, from, hit);

	if (why)
		exception(f, why);
	return hit->severity == MCE_REQUIRED;
}

void trap_irq(unsigned vector)
{
	struct cpu *cpu = this_cpu();
	u64 before;

	WRITE_ONCE(cpu->irq_depth, cpu->irq_depth + 1);
	switch (vector) {
	case VEC_TIMER:
		before = cpu->ticks;
		WRITE_ONCE(cpu->ticks, before + cpu->tick_step);
		apic_eoi();
		if (cpu->ticks / MCE_TICKS != before / MCE_TICKS)
			mce_poll();
		sched_tick();
		break;
	case VEC_CALL:
		apic_eoi();
		smp_call_serve();
		break;
	case VEC_KICK: apic_eoi(); break;
	case VEC_SERIAL:
		serial_interrupt();
		apic_eoi();
		break;
	case VEC_KEYBOARD:
		keyboard_interrupt();
		apic_eoi();
		break;
	case VEC_PCI: /* level-triggered: the device must lower the line before the EOI */
		pci_interrupt();
		apic_eoi();
		break;
	case VEC_MCE:
		apic_eoi();
		mce_wake();
		break;
	case VEC_SCI:
		acpi_interrupt();
		apic_eoi();
		break;
	case VEC_SPURIOUS: /* not in service: no acknowledgement (SDM vol. 3A, 10.9) */ break;
	default: apic_eoi(); printk("CPU %u: unexpected interrupt, vector %u\n", cpu->id, vector);
	}
	WRITE_ONCE(cpu->irq_depth, cpu->irq_depth - 1);
	sched_irq_exit();
}

void trap_dispatch(struct trap_frame *f)
{
	struct cpu *cpu = this_cpu();

	user_access_off();
	if (f->vector >= NR_EXCEPTION) {
		trap_irq((unsigned)f->vector);
		return;
	}
	if (f->vector == VEC_PF && user_kernel_fault(f))
		return;
	WRITE_ONCE(cpu->irq_depth, cpu->irq_depth + 1);
	if (f->vector == VEC_NMI)
		trap_nmi(f);
	else if (f->vector == VEC_MC)
		user_kernel_machine_check(f);
	else
		exception(f, NULL);
	WRITE_ONCE(cpu->irq_depth, cpu->irq_depth - 1);
}

void arch_ipi_call(unsigned cpu)
{
	counter_add(&cpus[cpu]->calls, 1);
	apic_send(cpus[cpu]->apic_id, ICR_FIXED | VEC_CALL);
}

void arch_ipi_kick(unsigned cpu)
{
	counter_add(&cpus[cpu]->kicks, 1);
	apic_send(cpus[cpu]->apic_id, ICR_FIXED | VEC_KICK);
}

void arch_backtrace_self(void)
{
	printk("CPU %u (APIC id %u): asks, in thread %s\n", arch_cpu_id(), this_cpu()->apic_id,
	    thread_name());
	print_backtrace(0, (uintptr_t)__builtin_frame_address(0));
}

void arch_backtrace_others(void)
{
	nmi_ask_others();
}
