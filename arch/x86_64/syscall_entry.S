/* SPDX-License-Identifier: MIT */
/*
 * syscall_entry.S: system calls, copies from and to user memory, and probes.
 *
 * SYSCALL changes neither stack nor GS base, and enters with interrupts off (MSR_FMASK).  In the
 * few instructions with the user's stack pointer only NMI and machine check can occur, and they
 * have stacks of their own (trap_entry.S).
 */
#include "x86.h"
#include <quarry/errno.h>

	.section .text
	.globl syscall_entry, syscall_entry_end
syscall_entry:
	swapgs
	movq %rsp, %gs:X86_GS_USER_SP
	movq %gs:X86_GS_KERNEL_SP, %rsp
	/* Build the frame that an interrupt would have built. */
	pushq $(SEL_USER_DATA | 3)
	pushq %gs:X86_GS_USER_SP
	pushq %r11
	pushq $(SEL_USER_CODE | 3)
	pushq %rcx
	pushq $0
	pushq $VEC_SYSCALL
	push_registers
	xorl %ebp, %ebp			/* backtraces end here */
	movq %rsp, %rdi
	call syscall_from_user
	/*
	 * SYSRET to a non-canonical RIP would fault in ring 0, on the user's stack (SDM vol. 2B).
	 * So syscall_from_user makes sure that RIP is below USER_END.  RBX and R13 to R15 need not
	 * be popped: C functions preserve them.
	 */
	movq 32(%rsp), %rbp
	addq $56, %rsp
	pop_call_registers
	movq 16(%rsp), %rcx		/* RIP */
	movq 32(%rsp), %r11		/* RFLAGS */
	movq 40(%rsp), %rsp
	swapgs
	sysretq
syscall_entry_end:

/*
 * size_t user_copy(void *dst, const void *src, size_t len): returns 0 if all was copied.
 * It has the kernel's only two instructions that may access user memory: one for words, one for the
 * bytes of the last, partial word.
 */
	.globl user_copy, user_copy_words, user_copy_bytes, user_copy_end
user_copy:
	movq %rdx, %rcx
	shrq $3, %rcx
	cmpb $0, user_smap(%rip)
	je 1f
	stac
1:
user_copy_words:
	rep movsq
	movl %edx, %ecx
	andl $7, %ecx
user_copy_bytes:
	rep movsb
user_copy_end:
	cmpb $0, user_smap(%rip)
	je 2f
	clac
2:	movq %rcx, %rax
	ret

/*
 * int arch_probe(void (*fn)(void *), void *arg): 0, or -EFAULT if fn faulted.  Interrupts are off
 * inside, so the word at PROBE_SP belongs to this call.
 */
	.globl arch_probe
arch_probe:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushfq
	cli
	movq %rsp, %gs:X86_GS_PROBE_SP
	movq %rdi, %rax
	movq %rsi, %rdi
	call *%rax
	xorl %eax, %eax
	jmp 1f
	.globl probe_faulted
probe_faulted:
	movl $-EFAULT, %eax
1:	movq $0, %gs:X86_GS_PROBE_SP
	popfq
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret

	.section .note.GNU-stack, "", @progbits
