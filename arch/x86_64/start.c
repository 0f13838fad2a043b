/* SPDX-License-Identifier: MIT */
/*
 * start.c: the first steps of a CPU: tables, vectors, control registers, machine checks, ring 3.
 *
 * Owns:       the IDT, which all CPUs share; CR0, CR4 and DR7.
 * Locks:      none: written on the boot CPU before the others run, or by the CPU itself.
 * Invariants: CR0, CR4 and DR7 are written as a whole: the firmware's values are not trusted.
 * Tests:      arch_cpu, arch, arch_full, hotplug, tests/qemu/test_arch.py.
 */
#include <quarry/mce.h>
#include <quarry/port.h>
#include <quarry/user.h>

#include "x86.h"

/* Interrupt gate (SDM vol. 3A, 6.14.1). */
struct gate {
	u16 offset0, selector;
	u8 ist, type;
	u16 offset1;
	u32 offset2, reserved;
};
BUILD_ASSERT(sizeof(struct gate) == 16);
#define DR7_NONE       0x400 /* its value after a reset (SDM vol. 3A, table 10-1) */
#define GATE_INTERRUPT 0x8e  /* present, DPL 0, interrupts off inside */

static struct gate idt[256];

static void set_gate(unsigned vector, const void *entry, unsigned ist)
{
	uintptr_t address = (uintptr_t)entry;

	idt[vector] = (struct gate){
	    .offset0 = (u16)address,
	    .selector = SEL_KERNEL_CODE,
	    .ist = (u8)ist,
	    .type = GATE_INTERRUPT,
	    .offset1 = (u16)(address >> 16),
	    .offset2 = (u32)(address >> 32),
	};
}

static void idt_init(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(idt); i++)
		set_gate(i, trap_stubs + (size_t)i * TRAP_STUB_SIZE, 0);
	set_gate(VEC_NMI, (void *)nmi_entry, IST_NMI);
	set_gate(VEC_DF, (void *)df_entry, IST_DF);
	set_gate(VEC_MC, (void *)mc_entry, IST_MC);
}

/*
 * Write CR0 and CR4: all required bits, and those protections that this CPU has.  FSGSBASE stays
 * off: with it ring 3 could set a GS base that looks like the kernel's (trap_entry.S checks its
 * sign).
 */
static void control_registers(void)
{
	u64 cr4 = CR4_BOOT | CR4_OSFXSR | CR4_OSXMMEXCPT;

	if (cpuid(1, 0).edx & CPUID_MCE)
		cr4 |= CR4_MCE;
	/* Firmware may limit the leaves of CPUID; without leaf 0xd the states are unknown. */
	if (cpuid(1, 0).ecx & (1u << 26) && cpuid(0, 0).eax >= 0xd)
		cr4 |= CR4_OSXSAVE;
	if (cpuid(0, 0).eax >= 7) {
		struct cpuid_regs leaf = cpuid(7, 0);

		if (leaf.ebx & (1u << 7))
			cr4 |= CR4_SMEP;
		if (leaf.ebx & (1u << 20))
			cr4 |= CR4_SMAP;
		if (leaf.ecx & (1u << 2))
			cr4 |= CR4_UMIP;
	}
	__asm__ volatile("movq %0, %%dr7" : : "r"((u64)DR7_NONE)); /* no breakpoints */
	__asm__ volatile("movq %0, %%cr0" : : "r"((u64)CR0_VALUE) : "memory");
	write_cr4(cr4);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE); /* NXE is on since the first page tables */
	/*
	 * The PAT has its values after a reset, except that entry 1, which PWT alone selects, is
	 * write-combining (SDM vol. 3A, 11.12).
	 */
	if (cpuid(1, 0).edx & (1u << 16))
		wrmsr(MSR_PAT, 0x0007040600070106);
}

void cpu_load(struct cpu *cpu)
{
	struct table_register idtr = {sizeof(idt) - 1, (uintptr_t)idt};

	cpu_load_tables(cpu);
	__asm__ volatile("lidt %0" : : "m"(idtr));
	mce_init_cpu();
	control_registers();
	firmware_c1e();
	user_init_cpu();
}

void arch_early_init(void)
{
	idt_init();
	cpu_load(cpu_prepare_boot());
}
