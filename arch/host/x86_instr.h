/* SPDX-License-Identifier: MIT */
/*
 * x86_instr.h: the machine's instructions, simulated by a test; arch/x86_64/x86_instr.h says what
 * each does.
 *
 * Sources of arch/x86_64, boot/ and drivers/ that need a PC are part of the hosted test program,
 * unchanged.  A test that calls them simulates a machine for its own thread
 * (tests/host/play_help.h).
 *
 * Owns: host_machine.
 */
#ifndef QUARRY_HOST_X86_INSTR_H
#define QUARRY_HOST_X86_INSTR_H

#include <quarry/cpu.h>
#include <quarry/types.h>

#define X86_FLAGS_IF 0x200UL

static inline bool arch_may_sleep(void)
{
	return !host_this.irqs_off && !host_this.irq_depth && !host_this.preempt;
}

/* Kernel stacks, which are only addresses here. */
#define ARCH_STACK_BASE 0xffffd00000000000UL

static inline phys_t arch_virt_to_phys(const void *p)
{
	return (phys_t)((const char *)p - host_ram);
}

struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};

struct host_machine {
	u32 (*in)(u16 port, unsigned bytes);
	void (*out)(u16 port, unsigned bytes, u32 value);
	u64 (*rdmsr)(u32 msr);
	void (*wrmsr)(u32 msr, u64 value);
	struct cpuid_regs (*cpuid)(u32 leaf, u32 subleaf);
	u32 (*mmio_read)(const volatile u32 *at);
	void (*mmio_write)(volatile u32 *at, u32 value);
	void (*mmio_write8)(volatile u8 *at, u8 value);
	u64 (*read_cr4)(void);
	void (*write_cr4)(u64 value);
	void (*invlpg)(uintptr_t va);
	void (*note)(const char *what); /* called for an instruction without operand and result */
	void *(*map)(phys_t pa, size_t len, unsigned flags); /* arch_map_device */
	u64 (*tsc)(void);
	struct cpu *cpu;
};
extern __thread const struct host_machine *host_machine;

static inline u8 inb(u16 port)
{
	return (u8)host_machine->in(port, 1);
}

static inline u16 inw(u16 port)
{
	return (u16)host_machine->in(port, 2);
}

static inline u32 inl(u16 port)
{
	return host_machine->in(port, 4);
}

static inline void outb(u16 port, u8 value)
{
	host_machine->out(port, 1, value);
}

static inline void outw(u16 port, u16 value)
{
	host_machine->out(port, 2, value);
}

static inline void outl(u16 port, u32 value)
{
	host_machine->out(port, 4, value);
}

static inline u64 rdmsr(u32 msr)
{
	return host_machine->rdmsr(msr);
}

static inline void wrmsr(u32 msr, u64 value)
{
	host_machine->wrmsr(msr, value);
}

static inline struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	return host_machine->cpuid(leaf, subleaf);
}

/* A CPU that only serves a call of the test's has no machine. */
static inline u64 read_cr4(void)
{
	return host_machine ? host_machine->read_cr4() : 0;
}

static inline void write_cr4(u64 value)
{
	if (host_machine)
		host_machine->write_cr4(value);
}

static inline void invlpg(uintptr_t va)
{
	if (host_machine)
		host_machine->invlpg(va);
}

static inline u64 rdtsc(void)
{
	return host_machine->tsc();
}

static inline u32 mmio_read(const volatile u32 *at)
{
	return host_machine->mmio_read(at);
}

static inline void mmio_write(volatile u32 *at, u32 value)
{
	host_machine->mmio_write(at, value);
}

static inline void mmio_write8(volatile u8 *at, u8 value)
{
	host_machine->mmio_write8(at, value);
}

static inline void stores_out(void)
{
	host_machine->note("fence");
}

static inline void halt(void)
{
	host_machine->note("hlt");
}

static inline void halt_deaf(void)
{
	host_machine->note("cli hlt");
}

static inline void lldt_none(void)
{
	host_machine->note("lldt");
}

static inline struct cpu *this_cpu(void)
{
	return host_machine->cpu;
}

#endif
