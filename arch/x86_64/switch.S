/* SPDX-License-Identifier: MIT */
/*
 * switch.S: the first code of a thread, to which arch_switch returns on the stack that stack.c has
 * prepared.
 */
	.section .text
	.globl thread_entry

/* On the stack: the argument, the function.  RBP is 0, which ends backtraces. */
thread_entry:
	xorl %ebp, %ebp
	popq %rdi
	popq %rax
	sti
	call *%rax
	ud2

	.section .note.GNU-stack, "", @progbits
