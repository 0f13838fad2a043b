/* SPDX-License-Identifier: MIT */
/*
 * cpu.c: the data of each CPU: per-CPU area, GDT, TSS with its stacks.
 *
 * Owns:       the boot CPU's area; struct cpu_arch of every CPU.
 * Locks:      none: written on the boot CPU before the others run, or by the CPU itself.
 * Invariants: in the kernel, from cpu_load_tables() on, the GS base is this CPU's struct cpu; in
 *             ring 3 it is 0.
 *             There is no LDT.
 * Tests:      arch_cpu, arch, arch_full, hotplug, tests/qemu/test_arch.py.
 */
#include <quarry/lock.h>
#include <quarry/machine.h>
#include <quarry/port.h>

#include "x86.h"

BUILD_ASSERT(offsetof(struct cpu, self) == 0);
BUILD_ASSERT(offsetof(struct cpu, id) == X86_GS_ID);
BUILD_ASSERT(offsetof(struct cpu, preempt) == X86_GS_PREEMPT);
BUILD_ASSERT(offsetof(struct cpu, need_resched) == X86_GS_NEED_RESCHED);
BUILD_ASSERT(offsetof(struct cpu, irq_depth) == X86_GS_IRQ_DEPTH);
BUILD_ASSERT(offsetof(struct cpu, current) == X86_GS_CURRENT);
BUILD_ASSERT(offsetof(struct cpu, kernel_sp) == X86_GS_KERNEL_SP);
BUILD_ASSERT(offsetof(struct cpu, user_sp) == X86_GS_USER_SP);
BUILD_ASSERT(offsetof(struct cpu, probe_sp) == X86_GS_PROBE_SP);
BUILD_ASSERT(offsetof(struct cpu, top_lock) == X86_GS_TOP_LOCK);

/* 64-bit task state segment (SDM vol. 3A, 8.7). */
struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap;
} __attribute__((packed));
BUILD_ASSERT(sizeof(struct tss) == 104);

struct cpu_arch {
	u64 gdt[7];
	struct tss tss;
};

static struct cpu_arch boot_cpu_arch;
static struct cpu boot_cpu = {.self = &boot_cpu,
    .arch = &boot_cpu_arch,
    .boot_stack_top = boot_stack_top,
    .top_lock = &lock_none,
    .started = STARTED_RUNS};
static char boot_ist_stacks[NR_IST * IST_STACK_SIZE] __attribute__((aligned(16)));
static struct cpu *boot_cpus[1] = {&boot_cpu};

unsigned nr_cpus = 1, nr_boot_cpus = 1;
struct cpu **cpus = boot_cpus;

/* @ist_stacks: NR_IST stacks of IST_STACK_SIZE bytes, zeroed, as nmi_entry keeps a flag there. */
static void tables_fill(struct cpu_arch *a, char *ist_stacks)
{
	const uintptr_t tss = (uintptr_t)&a->tss;
	const u64 gdt[] = {
	    [SEL_KERNEL_CODE / 8] = 0x00af9b000000ffff,
	    [SEL_KERNEL_DATA / 8] = 0x00cf93000000ffff,
	    [SEL_USER_DATA / 8] = 0x00cff3000000ffff,
	    [SEL_USER_CODE / 8] = 0x00affb000000ffff,
	    /* Available 64-bit TSS, present (SDM vol. 3A, 8.2.3). */
	    [SEL_TSS / 8] = (sizeof(a->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ULL << 40 |
	        (tss >> 24 & 0xff) << 56,
	    [SEL_TSS / 8 + 1] = tss >> 32,
	};

	BUILD_ASSERT(sizeof(gdt) == sizeof(a->gdt));
	memcpy(a->gdt, gdt, sizeof(gdt));
	for (unsigned i = 0; i < NR_IST; i++)
		a->tss.ist[i] = (uintptr_t)ist_stacks + (u64)(i + 1) * IST_STACK_SIZE;
	a->tss.iomap = sizeof(a->tss);
}

void cpu_load_tables(struct cpu *cpu)
{
	struct cpu_arch *a = cpu->arch;
	struct table_register gdtr = {sizeof(a->gdt) - 1, (uintptr_t)a->gdt};

	/*
	 * ltr marks the TSS descriptor busy, and faults on a busy one: a CPU that is plugged in
	 * again loads it again.  It may have been unplugged in nmi_entry's handler, whose flag
	 * would make it drop every NMI.
	 */
	a->gdt[SEL_TSS / 8] &= ~(1ULL << 41);
	*(u64 *)(a->tss.ist[IST_NMI - 1] - NMI_FLAG) = 0;
	__asm__ volatile(
	    "lgdt %0\n\t"
	    "pushq %1\n\t"
	    "leaq 1f(%%rip), %%rax\n\t"
	    "pushq %%rax\n\t"
	    "lretq\n"
	    "1:\tmovl %2, %%ds\n\t"
	    "movl %2, %%es\n\t"
	    "movl %2, %%ss\n\t"
	    "movl %3, %%fs\n\t"
	    "movl %3, %%gs\n\t"
	    "ltr %w4"
	    :
	    : "m"(gdtr), "i"(SEL_KERNEL_CODE), "r"(SEL_KERNEL_DATA), "r"(0), "r"(SEL_TSS)
	    : "rax", "memory");
	lldt_none();
	/* Write the bases after the selectors: loading a selector sets its base to 0. */
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_GS_BASE, (uintptr_t)cpu);
}

/*
 * The stack for entries from ring 3, in two places: the CPU reads the TSS at an interrupt or a
 * fault, syscall_entry.S reads kernel_sp.
 */
void arch_set_kernel_stack(void *top)
{
	struct cpu *cpu = this_cpu();
	struct cpu_arch *a = cpu->arch;

	a->tss.rsp[0] = (uintptr_t)top;
	cpu->kernel_sp = top;
}

void *cpu_ist_top(unsigned ist)
{
	const struct cpu_arch *a = this_cpu()->arch;

	return (void *)a->tss.ist[ist - 1];
}

void cpu_prepare(struct cpu *cpu)
{
	struct cpu_arch *a = boot_alloc(sizeof(*a), 64);

	tables_fill(a, boot_alloc(NR_IST * IST_STACK_SIZE, 16));
	cpu->self = cpu;
	cpu->arch = a;
	cpu->top_lock = &lock_none;
	cpu->boot_stack_top = arch_stack_alloc();
	KASSERT(cpu->boot_stack_top);
}

struct cpu *cpu_prepare_boot(void)
{
	tables_fill(&boot_cpu_arch, boot_ist_stacks);
	boot_cpu.apic_id = cpuid_apic_id();
	return &boot_cpu;
}

unsigned arch_cpu_node(unsigned cpu)
{
	return cpus[cpu]->node;
}

/* sti takes effect after the next instruction, so no interrupt can arrive between sti and hlt. */
void arch_idle_wait(void)
{
	__asm__ volatile("sti\n\thlt" : : : "memory");
}
