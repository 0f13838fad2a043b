/* SPDX-License-Identifier: MIT */
/* crt.S: the first instructions of a program; main's arguments are in their registers already. */
#define SYS_EXIT 1 /* as in abi.h, which is C; quarry.h checks it */

	.section .text.start, "ax", @progbits
	.globl _start
_start:
	xorl %ebp, %ebp
	call main
	movslq %eax, %rdi
	movl $SYS_EXIT, %eax
	syscall
	ud2

	.section .note.GNU-stack, "", @progbits
