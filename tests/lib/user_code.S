/* SPDX-License-Identifier: MIT */
/*
 * user_code.S: what test_task.c runs in ring 3: one page, position independent, copied to an
 * address of the test's choice.  RDI, RSI and RDX are the thread's arguments.
 */
#define SYS_EXIT        1
#define SYS_THREAD_EXIT 2
#define SYS_YIELD       3
#define SYS_SLEEP       4
#define SYS_CLOCK       5
#define SYS_INFO        6
#define INFO_CPU        1

	.section .rodata
	.balign 4096
	.globl user_code, user_code_end
	.globl user_exit, user_thread_exit, user_spin, user_sleep, user_wait, user_store_cpu
	.globl user_load, user_call, user_ud2, user_registers, user_sse, user_selectors
	.globl user_null_selectors, user_count, user_ret, user_load_ds
user_code:
/* Exit with RSI as status. */
user_exit:
	movq %rsi, %rdi
	movl $SYS_EXIT, %eax
	syscall
	ud2
user_thread_exit:
	movl $SYS_THREAD_EXIT, %eax
	syscall
	ud2
/* Spin for ever, without a call. */
user_spin:
	pause
	jmp user_spin
/* Sleep for ever, in the kernel. */
user_sleep:
	movq $-1, %rdi
	movl $SYS_SLEEP, %eax
	syscall
	ud2
	.globl user_burn, user_nap
/* Add for ever, without a call, as fast as possible. */
user_burn:
	addq $1, %rax
	jmp user_burn
/* Sleep for 10 ms, RSI times; exit with the time of the longest sleep, in ms. */
user_nap:
	movq %rsi, %rbx
	xorl %ebp, %ebp
1:	movl $SYS_CLOCK, %eax
	syscall
	movq %rax, %r13
	movl $10000000, %edi
	movl $SYS_SLEEP, %eax
	syscall
	movl $SYS_CLOCK, %eax
	syscall
	subq %r13, %rax
	cmpq %rax, %rbp
	jae 2f
	movq %rax, %rbp
2:	decq %rbx
	jnz 1b
	movq %rbp, %rax
	xorl %edx, %edx
	movl $1000000, %ecx
	divq %rcx
	movq %rax, %rsi
	jmp user_exit
/* Spin until the word at RSI is not 0; then end the thread. */
user_wait:
	pause
	cmpq $0, (%rsi)
	je user_wait
	jmp user_thread_exit
/* For ever: set, in the word at RSI, the bit of the CPU that this thread runs on. */
user_store_cpu:
	movq %rsi, %rbx
1:	pause
	movl $INFO_CPU, %edi
	movl $SYS_INFO, %eax
	syscall
	lock btsq %rax, (%rbx)
	jmp 1b
/* Exit with the word at RSI as status. */
user_load:
	movq (%rsi), %rsi
	jmp user_exit
/* Make the call whose number and four arguments are at RSI, and exit with its result. */
user_call:
	movq (%rsi), %rax
	movq 8(%rsi), %rdi
	movq 24(%rsi), %rdx
	movq 32(%rsi), %r10
	movq 16(%rsi), %rsi
	syscall
	movq %rax, %rsi
	jmp user_exit
user_ud2:
	ud2
/* Load DS with the selector in RSI. */
user_load_ds:
	movl %esi, %ds
	jmp user_exit
/* Exit with 0 if a call changes no register but RAX, RCX and R11; else with 1. */
user_registers:
	movq $0x1101, %rdi
	movq $0x1102, %rsi
	movq $0x1103, %rdx
	movq $0x1104, %r10
	movq $0x1105, %r8
	movq $0x1106, %r9
	movq $0x1107, %r12
	movq $0x1108, %rbx
	movq $0x1109, %rbp
	movq $0x110a, %r13
	movq $0x110b, %r14
	movq $0x110c, %r15
	leaq 1f(%rip), %rcx		/* RCX must return as RIP, R11 as RFLAGS */
	movl $SYS_YIELD, %eax
	std
	syscall
1:	pushfq
	popq %rax
	cld
	testl $0x400, %eax		/* DF must still be set */
	jz 2f
	leaq 1b(%rip), %rax
	cmpq %rax, %rcx
	jne 2f
	cmpq $0x1101, %rdi
	jne 2f
	cmpq $0x1102, %rsi
	jne 2f
	cmpq $0x1103, %rdx
	jne 2f
	cmpq $0x1104, %r10
	jne 2f
	cmpq $0x1105, %r8
	jne 2f
	cmpq $0x1106, %r9
	jne 2f
	cmpq $0x1107, %r12
	jne 2f
	cmpq $0x1108, %rbx
	jne 2f
	cmpq $0x1109, %rbp
	jne 2f
	cmpq $0x110a, %r13
	jne 2f
	cmpq $0x110b, %r14
	jne 2f
	cmpq $0x110c, %r15
	jne 2f
	xorl %esi, %esi
	jmp user_exit
2:	movl $1, %esi
	jmp user_exit
/*
 * Fill all SSE registers from RSI, and part of the x87's control word; enter the kernel 100 times;
 * then end the thread.  If a register has changed, exit with 1.
 */
user_sse:
	movq %rsi, %rbx
	movl $100, %ebp
	movw %bx, -8(%rsp)
	andw $0x0c00, -8(%rsp)		/* rounding control */
	orw $0x037f, -8(%rsp)
	fldcw -8(%rsp)
	.irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movq %rbx, %xmm\r
	.endr
1:	movl $SYS_YIELD, %eax
	syscall
	.irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movq %xmm\r, %rax
	cmpq %rbx, %rax
	jne 2f
	.endr
	fnstcw -16(%rsp)
	movw -16(%rsp), %ax
	cmpw %ax, -8(%rsp)
	jne 2f
	decl %ebp
	jnz 1b
	jmp user_thread_exit
2:	movl $1, %esi
	jmp user_exit
/*
 * Set DS, ES, FS and GS to SI, and enter the kernel; 100 times; then end the thread.  If a selector
 * is neither that nor 0 afterwards, exit with 1.
 */
user_selectors:
	movq %rsi, %rbx
	movl $100, %ebp
1:	.irp r, ds, es, fs, gs
	movl %ebx, %\r
	.endr
	movl $SYS_YIELD, %eax
	syscall
	.irp r, ds, es, fs, gs
	movl %\r, %eax
	testl %eax, %eax
	jz 3f
	cmpw %ax, %bx
	jne 2f
3:
	.endr
	decl %ebp
	jnz 1b
	jmp user_thread_exit
2:	movl $1, %esi
	jmp user_exit
/* Exit with 0 if DS, ES, FS and GS all are 0. */
user_null_selectors:
	xorl %esi, %esi
	.irp r, ds, es, fs, gs
	movl %\r, %eax
	orl %eax, %esi
	.endr
	jmp user_exit
/*
 * For ever: in each round, compare a word in each of the 16 pages at RSI with the number of rounds
 * so far, and add 1 to it. Exit with 1 if a word differs.
 */
user_count:
	xorl %eax, %eax
1:	pause
	movl $16, %ecx
	movq %rsi, %rdx
2:	cmpq %rax, (%rdx)
	jne 3f
	incq (%rdx)
	addq $4096, %rdx
	decl %ecx
	jnz 2b
	incq %rax
	jmp 1b
3:	movl $1, %esi
	jmp user_exit
/* Called by a test to show that the kernel may not run user code. */
user_ret:
	ret
user_code_end:
/* Copied to the very end of user memory: the call returns to an address behind it. */
	.globl user_last, user_last_end
user_last:
	movl $SYS_YIELD, %eax
	syscall
user_last_end:

	.section .note.GNU-stack, "", @progbits
