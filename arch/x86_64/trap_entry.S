/* SPDX-License-Identifier: MIT */
/*
 * trap_entry.S: from the CPU's interrupt and exception gates to trap_dispatch().
 *
 * Every vector has a stub of TRAP_STUB_SIZE bytes that pushes the vector, and an error code if the
 * CPU pushes none; the rest is common.  Below the saved registers is a frame record (rbp, rip) of
 * the interrupted code, so that a walk of the frame pointers goes through the trap.
 *
 * An entry from ring 3 starts with the user's GS base, on the running thread's empty stack.  It
 * returns only after trap_from_user has checked that the thread may continue.
 *
 * NMI, #DF and #MC have stacks of their own.  They can occur anywhere, even before the GS base is
 * right, so they check the base: only a kernel base is negative as a signed number.
 */
#include "x86.h"

	.section .text
	.globl trap_stubs, nmi_entry, df_entry, mc_entry, user_resume, trap_entry_end

	.balign TRAP_STUB_SIZE
trap_stubs:
	.set vector, 0
	.rept 256
	.balign TRAP_STUB_SIZE
	/* Vectors for which the CPU pushes an error code (SDM vol. 3A, table 6-1). */
	.if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21
	.else
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

	.macro save_registers
	push_registers
	cld
	.endm

	/* 22 words are on a stack that was 16-byte aligned; two more form a frame record. */
	.macro call_dispatch
	movq %rsp, %rdi
	pushq 17*8(%rdi)
	pushq %rbp
	movq %rsp, %rbp
	call trap_dispatch
	addq $16, %rsp
	.endm

trap_common:
	testb $3, 24(%rsp)		/* CS */
	jnz trap_user
	cmpq $user_iret, 16(%rsp)	/* RIP */
	je fault_of_user_iret
trap_kernel:
	save_registers
	call_dispatch
	pop_registers
	addq $16, %rsp
	iretq

trap_user:
	swapgs
trap_user_gs:
	save_registers
	xorl %ebp, %ebp			/* backtraces end here */
	movq %rsp, %rdi
	call trap_from_user
	movq %rsp, %rdi

/* void user_resume(struct trap_frame *f) */
user_resume:
	movq %rdi, %rsp
	pop_registers
	addq $16, %rsp
	swapgs
user_iret:
	iretq

/* The panic that follows needs the kernel's GS base. */
fault_of_user_iret:
	swapgs
	jmp trap_kernel

	/* EBX: 1 if the GS base was the user's and must be restored. */
	.macro save_gs
	xorl %ebx, %ebx
	movl $MSR_GS_BASE, %ecx
	rdmsr
	testl %edx, %edx
	js 1f
	swapgs
	incl %ebx
1:
	.endm

	.macro restore_gs
	testl %ebx, %ebx
	jz 1f
	swapgs
1:
	.endm

	/* Jump to @to if @rip is in syscall_entry, where RSP may be the program's. */
	.macro if_in_syscall rip, to
	cmpq $syscall_entry, \rip
	jb 1f
	cmpq $syscall_entry_end, \rip
	jb \to
1:
	.endm

df_entry:
	pushq $VEC_DF
paranoid_common:
	save_registers
	save_gs
	call_dispatch
	restore_gs
	pop_registers
	addq $16, %rsp
	iretq

/*
 * A machine check from ring 3 continues as any trap from ring 3, on the thread's own stack, which
 * is empty.  So the thread can be ended.  The word at USER_SP is unused while ring 3 runs.
 *
 * In the kernel a second machine check may arrive after MCIP was cleared, before the first handler
 * has returned.  The CPU starts the second handler at the top of this stack, over the first one's
 * frame.  So each handler works on a copy of its frame.  A handler that interrupts code on this
 * stack puts its copy below the part in use.  (One case is not noticed: an NMI before the first
 * handler's return, and a machine check during that NMI.)  At some instructions of syscall_entry
 * the stack pointer is the program's, and may lie in this stack.
 *
 * From the top: SS RSP RFLAGS CS RIP, saved RDX, saved RAX, 0, the first five again, error, vector,
 * registers.
 */
mc_entry:
	testb $3, 8(%rsp)		/* CS */
	jz mc_kernel
	swapgs
	movq %rax, %gs:X86_GS_USER_SP
	movq %rsp, %rax
	movq %gs:X86_GS_KERNEL_SP, %rsp
	pushq 32(%rax)
	pushq 24(%rax)
	pushq 16(%rax)
	pushq 8(%rax)
	pushq (%rax)
	pushq $0
	pushq $VEC_MC
	movq %gs:X86_GS_USER_SP, %rax
	jmp trap_user_gs
mc_kernel:
	pushq %rdx
	pushq %rax
	movq %rsp, %rax
	if_in_syscall 16(%rax), mc_first
	movq 40(%rax), %rdx		/* interrupted RSP */
	subq %rsp, %rdx
	addq $IST_STACK_SIZE, %rdx
	cmpq $(IST_STACK_SIZE + 56), %rdx
	jae mc_first
	movq 40(%rax), %rsp
mc_first:
	andq $~15, %rsp
	pushq 48(%rax)
	pushq 40(%rax)
	pushq 32(%rax)
	pushq 24(%rax)
	pushq 16(%rax)
	pushq $0
	pushq $VEC_MC
	movq 8(%rax), %rdx
	movq (%rax), %rax
	jmp paranoid_common

/*
 * An iret inside the handler (of a fault or #MC in it) unmasks NMIs too early.  The next NMI then
 * starts at the top of the same stack, over the first one's frame.  So the first handler works on a
 * copy of its frame further down, and a nested handler returns at once: its NMI overwrote only the
 * frame at the top, which is not needed any more.  An NMI is nested if the flag is set, or if it
 * interrupts code on this stack: at the first handler's last instruction, iretq, the flag is clear
 * already.  In ring 3 and in syscall_entry the stack pointer may have any value, and is not
 * checked.
 *
 * From the top: SS RSP RFLAGS CS RIP, saved RDX, flag, 0, the first five again, error, vector,
 * registers.
 */
nmi_entry:
	pushq %rdx
	cmpl $0, -8(%rsp)
	jne nmi_nested
	testb $3, 16(%rsp)		/* CS */
	jnz nmi_first
	if_in_syscall 8(%rsp), nmi_first
	movq 32(%rsp), %rdx		/* interrupted RSP */
	subq %rsp, %rdx
	addq $IST_STACK_SIZE, %rdx
	cmpq $(IST_STACK_SIZE + 48), %rdx
	jb nmi_nested
nmi_first:
	pushq $1			/* the flag */
	pushq $0			/* keeps 16 byte alignment */
	.rept 5
	pushq 56(%rsp)			/* each push moves RSP down */
	.endr
	pushq $0
	pushq $VEC_NMI
	movq 72(%rsp), %rdx
	save_registers
	save_gs
	call_dispatch
	restore_gs
	pop_registers
	addq $16, %rsp
	movq $0, 48(%rsp)
	iretq
nmi_nested:
	popq %rdx
	iretq
trap_entry_end:

	.section .note.GNU-stack, "", @progbits
