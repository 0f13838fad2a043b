/* SPDX-License-Identifier: MIT */
/*
 * switch.S: switching from one kernel stack to another.
 *
 * The registers that a C function must preserve are saved on the stack of the thread that does not
 * run; stack.c builds the same frame for a new thread.
 */
	.section .text
	.globl arch_switch, thread_entry

/* void arch_switch(void **from_sp, void *to_sp) */
arch_switch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret

/*
 * The first code of a thread: R12 the function, R13 its argument; RBP is 0, which ends backtraces.
 */
thread_entry:
	sti
	movq %r13, %rdi
	call *%r12
	ud2

	.section .note.GNU-stack, "", @progbits
