/* SPDX-License-Identifier: MIT */
/*
 * ap_trampoline.S: the path of a CPU from its start-up interrupt to ap_main().
 *
 * smp_boot.c copies the first part to a page below 1 MiB, and fills in the words at its end.  All
 * CPUs run it at the same time: it writes nothing and uses no stack.  Each CPU finds its own stack
 * by its APIC id, without a lock.
 */
#include "arch/x86_64/x86.h"

#define OFF(sym) ((sym) - ap_trampoline)

	.section .rodata
	.balign 16
	.globl ap_trampoline, ap_trampoline_end
	.globl ap_slot_gdtr, ap_slot_far32, ap_slot_far64, ap_slot_cr3, ap_slot_entry
	.code16
ap_trampoline:
	cli
	cld
	xorl %ebx, %ebx
	movw %cs, %bx
	movw %bx, %ds
	shll $4, %ebx			/* EBX: the address of this page */
	lgdtl OFF(ap_slot_gdtr)
	movl $0x11, %eax		/* ET PE */
	movl %eax, %cr0
	ljmpl *OFF(ap_slot_far32)

	.code32
	.globl ap_start32, ap_start64
ap_start32:
	movw $SEL_KERNEL_DATA, %ax
	movw %ax, %ds
	movl $CR4_BOOT, %eax
	movl %eax, %cr4
	movl OFF(ap_slot_cr3)(%ebx), %eax
	movl %eax, %cr3
	cmpl $0, firmware_hid_nx - KERNEL_VMA	/* firmware.c */
	je 1f
	movl $MSR_MISC_ENABLE, %ecx
	rdmsr
	andl $~4, %edx
	wrmsr
1:	movl $MSR_EFER, %ecx
	movl $(EFER_LME | EFER_NXE), %eax
	xorl %edx, %edx
	wrmsr
	movl $CR0_VALUE, %eax
	movl %eax, %cr0
	ljmpl *OFF(ap_slot_far64)(%ebx)

	.code64
ap_start64:
	movl %ebx, %ebx
	movq OFF(ap_slot_entry)(%rbx), %rax
	jmp *%rax

	.balign 8
ap_gdt:	/* Null, 64-bit code, data, 32-bit code: 0x18. */
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
ap_slot_entry:
	.quad 0
ap_slot_cr3:
	.long 0
ap_slot_far32:
	.long 0
	.short 0x18
ap_slot_far64:
	.long 0
	.short SEL_KERNEL_CODE
	.short 0
ap_slot_gdtr:	/* limit and base; smp_boot.c adds the address of the page to the base */
	.short ap_slot_entry - ap_gdt - 1
	.long ap_gdt - ap_trampoline
ap_trampoline_end:

	.section .text
	.globl ap_entry64
/*
 * A CPU comes here with the boot CPU's first tables, and loads the kernel's.  ap_slots[] has, by
 * APIC id: { stack top, struct cpu }.
 */
ap_entry64:
	movq kernel_cr3, %rax
	movq %rax, %cr3
	/* The 32-bit id is in EDX of leaf 0xb, if EBX there is not 0; the 8-bit id in leaf 1. */
	xorl %eax, %eax
	cpuid
	cmpl $0xb, %eax
	jb 2f
	movl $0xb, %eax
	xorl %ecx, %ecx
	cpuid
	testl %ebx, %ebx
	movl %edx, %ebx
	jnz 3f
2:	movl $1, %eax
	cpuid
	shrl $24, %ebx
3:	cmpl ap_nr_slots, %ebx
	jae 1f
	shlq $4, %rbx
	addq ap_slots, %rbx
	movq (%rbx), %rsp
	movq 8(%rbx), %rdi
	testq %rdi, %rdi
	jz 1f
	xorl %ebp, %ebp
	movl %ebp, %ds
	movl %ebp, %es
	movl %ebp, %ss
	movl %ebp, %fs
	movl %ebp, %gs
	call ap_main
1:	cli				/* the firmware did not list this CPU */
	hlt
	jmp 1b

	.section .note.GNU-stack, "", @progbits
