/* SPDX-License-Identifier: MIT */
/*
 * x86_instr.h: functions for single instructions: ports, registers of devices and of the CPU.
 *
 * They make no decisions.  Hosted tests, which simulate the machine, include arch/host/x86_instr.h
 * instead.
 *
 * Tests:      arch_cpu, arch_page, tests/qemu/test_arch.py.
 */
#ifndef ARCH_X86_64_INSTR_H
#define ARCH_X86_64_INSTR_H

#include <quarry/cpu.h>
#include <quarry/types.h>

static inline void outb(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline u8 inb(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline void outw(u16 port, u16 value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline u16 inw(u16 port)
{
	u16 value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline void outl(u16 port, u32 value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline u32 inl(u16 port)
{
	u32 value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline u64 rdmsr(u32 msr)
{
	u32 low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (u64)high << 32 | low;
}

static inline void wrmsr(u32 msr, u64 value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid"
	                 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
	                 : "a"(leaf), "c"(subleaf));
	return r;
}

static inline u64 read_cr2(void)
{
	u64 value;

	__asm__ volatile("movq %%cr2, %0" : "=r"(value));
	return value;
}

static inline u64 read_cr3(void)
{
	u64 value;

	__asm__ volatile("movq %%cr3, %0" : "=r"(value));
	return value;
}

static inline void invlpg(uintptr_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline u64 read_cr4(void)
{
	u64 value;

	__asm__ volatile("movq %%cr4, %0" : "=r"(value));
	return value;
}

static inline void write_cr4(u64 value)
{
	__asm__ volatile("movq %0, %%cr4" : : "r"(value) : "memory");
}

static inline u64 rdtsc(void)
{
	return __builtin_ia32_rdtsc();
}

/*
 * Load an empty LDT, so that each LDT selector faults.  After a reset the LDT has base 0 and 64 KiB
 * (SDM vol. 3A, table 10-1), and the CPU would read descriptors and gates from user memory.
 */
static inline void lldt_none(void)
{
	__asm__ volatile("lldt %w0" : : "r"(0));
}

static inline struct cpu *this_cpu(void)
{
	return (struct cpu *)x86_this_cpu(uintptr_t, 0);
}

/* Registers of a device, uncached: each call is one access. */
static inline u32 mmio_read(const volatile u32 *at)
{
	return *at;
}

static inline void mmio_write(volatile u32 *at, u32 value)
{
	*at = value;
}

static inline void mmio_write8(volatile u8 *at, u8 value)
{
	*at = value;
}

/* At return all CPUs see the earlier stores, and no later instruction has begun. */
static inline void stores_out(void)
{
	__asm__ volatile("mfence\n\tlfence" : : : "memory");
}

/* Halt until an interrupt; with interrupts off, until an NMI. */
static inline void halt(void)
{
	__asm__ volatile("hlt" : : : "memory");
}

static inline void halt_deaf(void)
{
	__asm__ volatile("cli\n\thlt" : : : "memory");
}

#endif
