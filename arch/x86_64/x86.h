/* SPDX-License-Identifier: MIT */
/*
 * x86.h: declarations shared by arch/x86_64, boot/ and the drivers; not for mm/.
 *
 * Start-up order for kernel_main, on the boot CPU:
 *
 *   boot_info_init     called by boot.S, before kernel_main
 *   serial_init        printing works from here on, without locks at first
 *   arch_early_init    per-CPU area, GDT, TSS, IDT: locks work, faults are reported
 *   pci_silence        the firmware's devices stop writing to memory
 *   acpi_init          reads the firmware's tables through the first 4 GiB of the direct map
 *   (boot memory; memory allocated before the next line must lie below 4 GiB)
 *   arch_paging_init   final page tables; all RAM is in the direct map from here
 *   arch_apic_init     local APIC, I/O APIC; interrupts may be enabled
 *   arch_timer_init    clock and timer calibration
 *   arch_cpus_init     nr_cpus and cpus[] with their areas, stacks and nodes
 *   (smp_init, memmap, memory_init, boot_memory_hand_over)
 *   arch_boot_memory_done   kernel stacks and page tables come from alloc_pages from here
 *   (sched_init_cpu)
 *   smp_start_aps      every other CPU runs kernel_ap_entry
 *
 * Tests:      arch_cpu, arch_page, tests/qemu/test_arch.py.
 */
#ifndef ARCH_X86_64_X86_H
#define ARCH_X86_64_X86_H

/* The kernel's link address less its load address (linker.ld). */
#define KERNEL_VMA 0xffffffff80000000

/* Values of boot_info_init's second argument. */
#define BOOT_BY_PVH        1
#define BOOT_BY_MULTIBOOT2 2

/*
 * Segment selectors.  SYSCALL finds the kernel's data segment just behind its code segment, SYSRET
 * the user's code segment just behind the user's data segment (SDM vol. 2B).
 */
#define SEL_KERNEL_CODE 0x08
#define SEL_KERNEL_DATA 0x10
#define SEL_USER_DATA   0x18
#define SEL_USER_CODE   0x20
#define SEL_TSS         0x28

/* Control register bits (SDM vol. 3A, 2.5); always written as a whole. */
#define CR0_VALUE      0x80010033 /* PG WP NE ET MP PE */
#define CR4_PAE        0x20
#define CR4_MCE        0x40
#define CR4_PGE        0x80
#define CR4_OSFXSR     0x200
#define CR4_OSXMMEXCPT 0x400
#define CR4_UMIP       0x800
#define CR4_OSXSAVE    0x40000
#define CR4_SMEP       0x100000
#define CR4_SMAP       0x200000
#define CR4_BOOT       (CR4_PAE | CR4_PGE)

#define CPUID_MCE        (1u << 7)  /* of leaf 1, EDX: the CPU has machine checks */
#define CPUID_HYPERVISOR (1u << 31) /* of leaf 1, ECX: a virtual machine */
#define VENDOR_INTEL     0x756e6547 /* of leaf 0, EBX: the first letters of the maker's name */
#define VENDOR_AMD       0x68747541
#define VENDOR_HYGON     0x6f677948 /* its CPUs are AMD's */
#define CPUID_NX         (1 << 20)  /* of leaf 0x80000001, EDX: no-execute pages */

/* Model-specific registers (SDM vol. 4, table 2-2). */
#define MSR_APIC_BASE      0x1b
#define MSR_SYSENTER_CS    0x174
#define MSR_MCG_CAP        0x179
#define MSR_MCG_STATUS     0x17a
#define MSR_MCG_CTL        0x17b
#define MSR_MISC_ENABLE    0x1a0
#define MISC_XD_DISABLE    (1UL << 34)
#define MSR_PAT            0x277
#define MSR_MC0_CTL        0x400 /* for bank i add 4i; the same for the next three */
#define MSR_MC0_STATUS     0x401
#define MSR_MC0_ADDR       0x402
#define MSR_MC0_MISC       0x403
#define MSR_X2APIC         0x800 /* the first x2APIC register; add a register's offset / 16 */
#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_FMASK          0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define EFER_SCE           0x1
#define EFER_LME           0x100
#define EFER_NXE           0x800

/* Error code of a page fault (SDM vol. 3A, 4.7). */
#define PF_PRESENT  0x1u
#define PF_WRITE    0x2u
#define PF_USER     0x4u
#define PF_RESERVED 0x8u
#define PF_EXECUTE  0x10u

/* Interrupt vectors. */
#define VEC_NMI      2
#define VEC_DF       8
#define VEC_PF       14
#define VEC_MC       18
#define NR_EXCEPTION 32
#define VEC_SYSCALL  0x100 /* not a vector: marks the frame of a system call */
#define VEC_CALL     0x40  /* lowest priority: others can come between the pieces of a call */
#define VEC_TIMER    0x41
#define VEC_KICK     0x42
#define VEC_SERIAL   0x43
#define VEC_PCI      0x44 /* every line of the PCI buses */
#define VEC_SCI      0x45 /* ACPI events */
#define VEC_KEYBOARD 0x46
#define VEC_MCE      0x4f /* a machine check has been recorded */
#define VEC_SPURIOUS 0xff

/* Interrupt stack table slots, 1 based (SDM vol. 3A, 6.14.5). */
#define IST_NMI        1
#define IST_DF         2
#define IST_MC         3
#define NR_IST         3
#define IST_STACK_SIZE 8192
#define NMI_FLAG       56 /* bytes from the flag of nmi_entry to the end of its stack */

/* Offsets in struct cpu for assembly code; cpu.c asserts them.  More are in arch_inline.h. */
#define X86_GS_KERNEL_SP 96
#define X86_GS_USER_SP   104
#define X86_GS_PROBE_SP  112

/* Bytes from one stub of trap_entry.S to the next. */
#define TRAP_STUB_SIZE 16

#ifdef __ASSEMBLER__

/* clang-format off */

/*
 * Save the registers of struct trap_frame that the CPU does not push, in the order of the struct.
 */
	.macro push_registers
	pushq %r12
	pushq %r9
	pushq %r8
	pushq %r10
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %rax
	pushq %rbx
	pushq %rcx
	pushq %rbp
	pushq %r11
	pushq %r13
	pushq %r14
	pushq %r15
	.endm

/* The registers that a system call may change are last. */
	.macro pop_call_registers
	popq %rax
	popq %rdi
	popq %rsi
	popq %rdx
	popq %r10
	popq %r8
	popq %r9
	popq %r12
	.endm

	.macro pop_registers
	popq %r15
	popq %r14
	popq %r13
	popq %r11
	popq %rbp
	popq %rcx
	popq %rbx
	pop_call_registers
	.endm

/* clang-format on */

#else

#include <quarry/cpu.h>

/* The frame that trap_entry.S and syscall_entry.S push, lowest address first. */
struct trap_frame {
	u64 r15, r14, r13, r11, rbp, rcx, rbx;
	u64 rax, rdi, rsi, rdx, r10, r8, r9, r12; /* as in struct syscall_regs */
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

#include <x86_instr.h>

/* This CPU's APIC id by CPUID: all 32 bits where leaf 0xb has them, as in ap_trampoline.S. */
static inline u32 cpuid_apic_id(void)
{
	struct cpuid_regs leaf = {0};

	if (cpuid(0, 0).eax >= 0xb)
		leaf = cpuid(0xb, 0);
	return leaf.ebx ? leaf.edx : cpuid(1, 0).ebx >> 24;
}

/* Bounds of the kernel, from linker.ld: addresses, page aligned. */
extern char image_start[], text_end[], rodata_start[], rodata_end[], data_start[], data_end[];
extern char bss_start[], image_end[];

/* The physical address of @p, which is part of the kernel. */
static inline phys_t image_phys(const void *p)
{
	return (uintptr_t)p - KERNEL_VMA;
}

/*
 * boot/bootinfo.c: fill bootinfo from the loader's data at physical address @info.  @by:
 * BOOT_BY_...
 */
void boot_info_init(u32 info, u32 by);
/* The page below 1 MiB in which other CPUs start; 0: none was free.  Listed in bootinfo.used. */
extern phys_t boot_trampoline_page;

/*
 * kernel/main.c: entry of the boot CPU; and of every other CPU, irqs off, with its tables loaded.
 */
void kernel_main(void) __attribute__((noreturn));
void kernel_ap_entry(void) __attribute__((noreturn));

/* start.c.  Context: boot CPU / the CPU that starts; irqs off. */
void arch_early_init(void);
/* Load GDT, TSS, IDT, GS base and control registers of @cpu, which is this CPU. */
void cpu_load(struct cpu *cpu);

/*
 * firmware.c.  Boot CPU: can no-execute pages be used, perhaps after the firmware's setting was
 * changed?  The other CPUs do so by themselves if firmware_hid_nx is not 0 (ap_trampoline.S).
 */
bool firmware_nx(void);
extern u32 firmware_hid_nx;
/* On each CPU: switch off C1E. */
void firmware_c1e(void);

/* cpu.c: load GDT, TSS and GS base, as the first part of cpu_load. */
void cpu_load_tables(struct cpu *cpu);
/* Allocate the tables of @cpu for cpu_load; boot memory. */
void cpu_prepare(struct cpu *cpu);
/* Fill the tables of the boot CPU, without allocating memory. */
struct cpu *cpu_prepare_boot(void);
/* The operand of lgdt and lidt. */
struct table_register {
	u16 limit;
	u64 base;
} __attribute__((packed));
static inline bool cpu_has_nx(void)
{
	return cpuid(0x80000001, 0).edx & CPUID_NX;
}
/* The family in bits 8 and up, the model below (SDM vol. 2A, CPUID, leaf 1). */
static inline u32 cpu_model(void)
{
	u32 id = cpuid(1, 0).eax, family = id >> 8 & 0xf, model = id >> 4 & 0xf;

	if (family == 6 || family == 15)
		model |= id >> 12 & 0xf0;
	if (family == 15)
		family += id >> 20 & 0xff;
	return family << 8 | model;
}
static inline bool cpu_is_amd(void)
{
	u32 vendor = cpuid(0, 0).ebx;

	return vendor == VENDOR_AMD || vendor == VENDOR_HYGON;
}
/*
 * Do FXSAVE and XSAVE leave out the addresses of the last x87 instruction and its operand, unless
 * an exception of it is pending?  Then FXRSTOR and XRSTOR do not load them either (APM vol. 5,
 * FXSAVE and FXRSTOR).  CPUID 8000_0008 EBX bit 2: the CPU always saves them.
 */
static inline bool cpu_keeps_x87_pointers(void)
{
	return cpu_is_amd() &&
	    (cpuid(0x80000000, 0).eax < 0x80000008 || !(cpuid(0x80000008, 0).ebx & 4));
}
/* Else power states of the CPU may change the TSC's rate or stop it. */
static inline bool cpu_has_invariant_tsc(void)
{
	return cpuid(0x80000000, 0).eax >= 0x80000007 && cpuid(0x80000007, 0).edx & (1u << 8);
}
static inline bool cpu_has_gib_pages(void)
{
	return cpuid(0x80000001, 0).edx & (1u << 26);
}
/* The size of the physical address space, at most 2^52; 2^36 if CPUID does not tell. */
static inline phys_t cpu_physical_end(void)
{
	bool tells = cpuid(0x80000000, 0).eax >= 0x80000008;

	return 1UL << (tells ? cpuid(0x80000008, 0).eax & 0xff : 36);
}
/* The end of this CPU's stack in IST slot @ist, IST_...; irqs off. */
void *cpu_ist_top(unsigned ist);

/* paging.c */
#define MAP_WRITE        0x1u
#define MAP_EXEC         0x2u
#define MAP_UNCACHED     0x4u
#define MAP_COMBINE      0x8u /* write-combining: for framebuffers, not for registers */
void arch_paging_init(void);
void arch_boot_memory_done(void);
/* A zeroed page, of boot memory until arch_boot_memory_done; NULL without memory. */
void *arch_page_alloc(void);
extern u64 kernel_cr3;
/* flush.c: flush this CPU's TLB, global entries included. */
void flush_tlb(void);
/*
 * Flush the TLBs of all CPUs; a parked CPU flushes its own when it wakes.  False: a CPU that is
 * dead, say, has not flushed its TLB (cpu_out_of_reach).
 * Context: thread, may sleep, cpu_hotplug not held.
 */
bool flush_everywhere(void);
/*
 * Map [pa, pa + len) at @va in 4 KiB pages, all page aligned; MAP_ flags.  An existing equal
 * mapping stays.  Returns 0; -ENOMEM; -EEXIST another mapping exists.  Context: boot CPU or thread.
 */
int arch_map(uintptr_t va, phys_t pa, size_t len, unsigned flags) must_check;
/*
 * Map [pa, pa + len), which the CPU has, in the window for devices, for ever; MAP_ flags.  NULL: no
 * memory or addresses.  Context: as arch_map.
 */
void *arch_map_device(phys_t pa, size_t len, unsigned flags);
/*
 * The addresses of memmap, pageblocks and trees read as zeros and fault on a write where no memory
 * is mapped.  Map boot memory at [start, start + len) where there is none yet.  @zeroed: fill it
 * with zeros; else only the parts of its pages outside the range.  Boot CPU.
 */
void arch_map_array(uintptr_t start, size_t len, bool zeroed);
/* Remove 4 KiB mappings; flushes this CPU's TLB only.  False: a page was not mapped. */
bool arch_unmap(uintptr_t va, size_t len);
/* The physical address that @va is mapped to; 0: none.  Any context. */
phys_t arch_mapped_at(uintptr_t va);

/*
 * mmio.c: map device registers, uncached, for ever.  NULL: no memory or addresses, or these are
 * addresses of RAM or of added memory, or beyond those that the CPU has, whatever a BAR or a table
 * of the firmware says.  Context: as arch_map.
 */
void *arch_map_mmio(phys_t pa, size_t len);

/* stack.c: is @va in a guard page of a kernel stack? */
bool stack_is_guard(uintptr_t va);

/* apic.c.  Context: any, unless said otherwise. */
#define APIC_LVT_TIMER   0x320
#define LVT_MASKED       0x10000
void arch_apic_init(void);
/* Enable this CPU's local APIC; irqs off. */
void apic_enable(void);
u32 apic_read(u32 reg);
void apic_write(u32 reg, u32 value);
u32 apic_id(void);
/* The largest APIC id that can be sent an interrupt.  After arch_apic_init. */
u32 apic_max_id(void);
#define XAPIC_MAX_ID     0xfeu
#define X2APIC_MAX_ID    0xffffu /* ids have 32 bits; a limit keeps tables indexed by id small */
void apic_eoi(void);
/* Send an interrupt: @icr_low as in SDM vol. 3A, 10.6.1. */
void apic_send(u32 dest, u32 icr_low);
/*
 * Interrupt this CPU, even in the middle of an ICR write: for a machine check's handler.  irqs off.
 */
void apic_send_self(u8 vector);
#define ICR_FIXED        0x4000u
#define ICR_NMI          0x4400u
#define ICR_INIT         0x4500u
#define ICR_STARTUP      0x4600u
#define ICR_SELF         0x40000u
#define ICR_ALL_BUT_SELF 0xc0000u
/*
 * Deliver GSI @gsi to this CPU as @vector, unmasked.  0; -ENODEV: no such pin, or this CPU's id is
 * too large; -EBUSY: the pin is in use with another vector.
 */
int ioapic_route(u32 gsi, u8 vector, bool level, bool active_low);
/* The vector to which GSI @gsi is delivered; -1: none. */
int ioapic_vector(u32 gsi);
/* Redirect interrupts from APIC id @from to APIC id @to; not if @to is above XAPIC_MAX_ID. */
void ioapic_move(u32 from, u32 to);
/* Deliver ISA interrupt @irq, with the MADT's override.  As ioapic_route. */
int ioapic_route_isa(unsigned irq, u8 vector);

/* clock.c: clock_measure, and set the clock. */
void clock_init(void);
/* clock_rate.c: find the rates of TSC and APIC timer (divided by 16, counting down), in Hz. */
void clock_measure(void);
/*
 * Report a CPU that read @at from its TSC, while this CPU's TSC went from @before to @after, if the
 * two TSCs differ.  After clock_measure.
 */
void clock_compare(unsigned cpu, u64 before, u64 at, u64 after);

/* timer.c: measure the clock and this CPU's timer, and stop the timer.  Boot CPU. */
void arch_timer_init(void);
extern u64 clock_tsc_hz;
extern u64 clock_apic_hz;
extern bool clock_assumed; /* the rates are a guess */

/* Values of struct cpu.started. */
#define STARTED_RUNS     2u
#define STARTED_GIVEN_UP 3u
#define STARTED_PARKED   4u

/* smp_boot.c; an element of ap_slots, which is indexed by APIC id and read by ap_trampoline.S. */
struct ap_slot {
	void *stack_top;
	struct cpu *cpu;
};
extern struct ap_slot *ap_slots;
extern u32 ap_nr_slots;
/* Set cpus, nr_boot_cpus and ap_slots from the firmware's tables; returns nr_cpus. */
unsigned cpus_find(void);
void arch_cpus_init(void);
void smp_start_aps(void);
void ap_main(struct cpu *cpu) __attribute__((noreturn));

/* trap.c, trap_entry.S: all entries but syscall_entry lie between the two. */
extern char trap_stubs[], trap_entry_end[];
/* boot.S: the end of the boot CPU's first stack. */
extern char boot_stack_top[];
void nmi_entry(void);
void df_entry(void);
void mc_entry(void);
/* Traps from the kernel, and NMI and double fault from anywhere; irqs off. */
void trap_dispatch(struct trap_frame *f);
/* Ring 3 may have any value in its frame pointer, so its frames are not walked. */
void frame_backtrace(const struct trap_frame *f);
/* nmi.c */
void trap_nmi(const struct trap_frame *f);
/*
 * Handle a machine check: as mce_exception, but a fatal one panics here.  True: the interrupted
 * code used the data of @hit.
 */
struct mce_record;
bool trap_machine_check(const struct trap_frame *f, struct mce_record *hit);
/* The part of an interrupt that does not depend on the interrupted mode; irqs off. */
void trap_irq(unsigned vector);
/* Print the general registers, in lines that begin with @prefix.  Any context. */
void print_registers(const struct trap_frame *f, const char *prefix);
/*
 * Print the kind of access of @f's page fault, its address, and why it was refused.  Any context.
 */
void print_page_fault(const struct trap_frame *f);
/* The name of exception @vector; never NULL. */
const char *exception_text(u64 vector);

/* user.c, syscall_entry.S */
void syscall_entry(void);
extern char syscall_entry_end[];
/* Traps from ring 3 except NMI and double fault; system calls.  irqs off at entry and at return. */
void trap_from_user(struct trap_frame *f);
void syscall_from_user(struct trap_frame *f);
/* Load the registers of @f, and continue in ring 3; irqs off. */
void user_resume(struct trap_frame *f) __attribute__((noreturn));
/*
 * Set up ring 3 on this CPU: MSRs, the save area's size.  Context as cpu_load, after the control
 * registers.
 */
void user_init_cpu(void);
/* From now on this CPU enters the kernel from ring 3 on the stack that ends at @top.  irqs off. */
void arch_set_kernel_stack(void *top);
/*
 * Handle a page fault in the kernel.  True: the kernel was copying from or to user memory, or
 * probing, and @f may have been changed.  irqs off at entry; they may be on at return.
 */
bool user_kernel_fault(struct trap_frame *f);
/* Was a copy from or to user memory interrupted? */
bool user_copies(const struct trap_frame *f);
/* Handle a machine check in the kernel.  If such a copy met it, the copy fails: @f is changed. */
void user_kernel_machine_check(struct trap_frame *f);
/* Forbid access to user memory, whatever ring 3 left in RFLAGS.AC.  Any context. */
void user_access_off(void);

/*
 * acpi_event.c: switch to ACPI mode, in which PM1 and events work; any context.  False: the machine
 * has no such mode, or the firmware does not react within 3 s.
 */
bool acpi_mode(void);
/* Let no event of ACPI wake or interrupt the machine from now on. */
void acpi_events_stop(void);
/* The interrupt of ACPI events. */
void acpi_interrupt(void);
/* power.c: map the register that turns the machine off.  Context: boot CPU, after paging. */
void power_init(void);
/* drivers/serial.c, drivers/i8042.c: the receive interrupts. */
void serial_interrupt(void);
void keyboard_interrupt(void);
/* drivers/pci_port.c: stop DMA and interrupts of all functions.  Context: boot CPU. */
void pci_silence(void);
/* drivers/virtio_start.c: the interrupt of the PCI buses' lines.  irqs off. */
void pci_interrupt(void);

#endif
#endif
