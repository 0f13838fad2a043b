/* SPDX-License-Identifier: MIT */
/*
 * boot.S: from a multiboot loader, and on the other CPUs from a start-up IPI, to 64-bit mode.
 *
 * GRUB and QEMU (-kernel) both know multiboot.  QEMU takes only a 32-bit ELF file for it, into
 * which objcopy turns the linked one.  EAX is a magic number, EBX the address of a memory map.
 */
	.section .multiboot, "a"
	.long 0x1badb002, 2, -(0x1badb002 + 2)

	.text
	.code32
	.globl start
start:
	cli
	movl %ebx, %edi /* the arguments of run_kernel */
	movl %eax, %esi
	lgdt gdt_pointer
to_long:
	movl $tables, %eax
	movl %eax, %cr3
	movl $0x20, %eax /* PAE */
	movl %eax, %cr4
	movl $0xc0000080, %ecx /* EFER: LME */
	movl $0x100, %eax
	xorl %edx, %edx
	wrmsr
	movl $0x80010011, %eax /* PG, WP, ET, PE; caches on */
	movl %eax, %cr0
	ljmp $0x08, $long_mode

/* The copy of this code at 32 KiB is where the other CPUs begin, in real mode. */
	.code16
	.globl trampoline, trampoline_end
trampoline:
	cli
	movw %cs, %ax
	movw %ax, %ds
	lgdtl gdt_pointer - trampoline
	movl $1, %eax /* PE */
	movl %eax, %cr0
	ljmpl $0x18, $to_long
gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
trampoline_end:

	.code64
	.globl memset, memcpy, memmove
memset:
	movq %rdi, %r8
	movl %esi, %eax
	movq %rdx, %rcx
	rep stosb
	jmp 2f
memcpy:
memmove:
	movq %rdi, %r8
	movq %rdx, %rcx
	movq %rdi, %rax
	subq %rsi, %rax
	cmpq %rdx, %rax /* is dst in the bytes of src? */
	jae 1f
	std
	leaq -1(%rdi, %rcx), %rdi
	leaq -1(%rsi, %rcx), %rsi
1:	rep movsb
	cld
2:	movq %r8, %rax
	ret

/* A CPU takes its number, its struct cpu (mini.c), whose end is its stack, and the IDT. */
long_mode:
	movl $0x10, %eax
	movl %eax, %ss
	movl $1, %ebx
	lock xaddl %ebx, next_cpu
	cmpl $8, %ebx /* NR_CPUS */
	jae too_many
	movl %ebx, %eax
	shll $14, %eax
	addl $cpus, %eax
	movl %ebx, (%rax)
	leaq 0x4000(%rax), %rsp
	movl $0xc0000101, %ecx /* GS base */
	xorl %edx, %edx
	wrmsr
	lidt idt_pointer
	testl %ebx, %ebx
	jnz run_cpu_here
	call run_kernel
run_cpu_here:
	call run_cpu
too_many:
	hlt
	jmp too_many

	.data
	.balign 8
gdt:
	.quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff /* 0x08: 64-bit code; 0x10: data */
	.quad 0x00cf9a000000ffff                        /* 0x18: 32-bit code */
gdt_end:
idt_pointer:
	.word 4095
	.quad idt
next_cpu:
	.long 0

/* Page tables: 16 GiB (RAM_MAX) at their own addresses, in pages of 2 MiB. */
	.balign 4096
tables:
	.quad pointers + 3
	.fill 511, 8, 0
pointers:
	.set at, 3
	.rept 16
	.quad pages + at
	.set at, at + 0x1000
	.endr
	.fill 496, 8, 0
pages:
	.set at, 0x83
	.rept 16 * 512
	.quad at
	.set at, at + 0x200000
	.endr
	.section .note.GNU-stack, "", @progbits
