/* SPDX-License-Identifier: MIT */
/*
 * boot.S: from the loader's 32-bit protected mode to kernel_main() in 64-bit mode.
 *
 * Two entries, one for each loader, and one path after them.  Multiboot2 (specification 2.0, 3.3)
 * gives a magic in EAX and its info block in EBX; PVH gives start_info in EBX and nothing in EAX,
 * hence the second entry.  Neither gives a stack or a GDT.
 *
 * The tables built here map the first 4 GiB at address 0 and in the direct map, and the first GiB
 * also at KERNEL_VMA.  Everything is writable and executable until arch_paging_init(); the
 * other CPUs start with the same tables.
 */
#include "arch/x86_64/x86.h"

#define PHYS(sym) ((sym) - KERNEL_VMA)

	.section .boot.header, "a", @progbits

/* Multiboot2 header (3.1): in the first 32 KiB of the file, 8 byte aligned. */
#define MB2_MAGIC  0xe85250d6
#define MB2_LENGTH (mb2_header_end - mb2_header)
	.balign 8
mb2_header:
	.long MB2_MAGIC, 0, MB2_LENGTH
	.long 0x100000000 - (MB2_MAGIC + 0 + MB2_LENGTH)
	/* Modules page aligned (3.1.11). */
	.short 6, 0
	.long 8
	/* A framebuffer, if there can be one (3.1.10): width, height, bits of a pixel. */
	.short 5, 1
	.long 20, 1024, 768, 32
	.balign 8
	.short 0, 0
	.long 8
mb2_header_end:

/* XEN_ELFNOTE_PHYS32_ENTRY (xen/elfnote.h): type 18. */
	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18
	.asciz "Xen"
	.long PHYS(pvh_entry)

	.section .boot, "ax", @progbits
	.code32
	.globl pvh_entry, mb2_entry
pvh_entry:
	movl $BOOT_BY_PVH, %esi
	jmp start32

mb2_entry:
	movl $BOOT_BY_MULTIBOOT2, %esi
	cmpl $0x36d76289, %eax
	je start32
	movl $PHYS(msg_loader), %ebx
	jmp fail

/* EBX: physical address of the loader's data; ESI: the kind of loader. */
start32:
	cli
	cld
	movl %ebx, %edi
	movl $PHYS(boot_stack_top), %esp
	lgdtl PHYS(boot_gdtr32)

	/*
	 * Long mode and no-execute pages: CPUID 0x80000001 EDX bits 29 and 20.  EBP collects the
	 * new value of EFER.  Firmware can hide no-execute pages; kernel_main switches them on
	 * again, or says on the screen why it stops.
	 */
	movl $0x80000000, %eax
	cpuid
	cmpl $0x80000001, %eax
	jb no_long_mode
	movl $0x80000001, %eax
	cpuid
	testl $(1 << 29), %edx
	jz no_long_mode
	movl $EFER_LME, %ebp
	testl $CPUID_NX, %edx
	jz 1f
	orl $EFER_NXE, %ebp
1:
	call build_tables
	movl $PHYS(boot_pml4), %eax
	movl %eax, %cr3
	movl $CR4_BOOT, %eax
	movl %eax, %cr4
	movl $MSR_EFER, %ecx
	movl %ebp, %eax
	xorl %edx, %edx
	wrmsr
	movl $CR0_VALUE, %eax
	movl %eax, %cr0
	ljmpl $SEL_KERNEL_CODE, $PHYS(start64_low)

no_long_mode:
	movl $PHYS(msg_cpu), %ebx

/*
 * Print the string at EBX on COM1, with the port set up as the firmware left it, and at the top of
 * the VGA text screen, and stop.  In a graphics mode nobody sees the latter.
 */
fail:
	movl $0xb8000, %edi
	movw $0x3f8, %dx
1:	movb (%ebx), %al
	testb %al, %al
	jz 2f
	outb %al, %dx
	incl %ebx
	movb $0x0f, %ah			/* white on black */
	cmpb $' ', %al
	jb 1b
	movw %ax, (%edi)
	addl $2, %edi
	jmp 1b
2:	cli
	hlt
	jmp 2b

/*
 * Fill the page tables with 2 MiB pages, present and writable (0x83).  Entry 273 of the PML4 is the
 * direct map, entry 511 is for KERNEL_VMA.  Clobbers EAX, ECX.
 */
build_tables:
	xorl %ecx, %ecx
1:	movl %ecx, %eax
	shll $21, %eax
	orl $0x83, %eax
	movl %eax, PHYS(boot_pd)(, %ecx, 8)
	incl %ecx
	cmpl $2048, %ecx
	jne 1b
	xorl %ecx, %ecx
2:	movl %ecx, %eax
	shll $12, %eax
	addl $(PHYS(boot_pd) + 3), %eax
	movl %eax, PHYS(boot_pdpt_low)(, %ecx, 8)
	incl %ecx
	cmpl $4, %ecx
	jne 2b
	movl $(PHYS(boot_pd) + 3), PHYS(boot_pdpt_high) + 510 * 8
	movl $(PHYS(boot_pdpt_low) + 3), PHYS(boot_pml4)
	movl $(PHYS(boot_pdpt_low) + 3), PHYS(boot_pml4) + 273 * 8
	movl $(PHYS(boot_pdpt_high) + 3), PHYS(boot_pml4) + 511 * 8
	ret

	.code64
start64_low:
	movabsq $start64, %rax
	jmp *%rax

	.section .text
start64:
	xorl %eax, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %eax, %fs
	movl %eax, %gs
	movq $boot_stack_top, %rsp
	xorl %ebp, %ebp
	/* The upper halves of registers are undefined after the switch of mode. */
	movl %edi, %edi
	movl %esi, %esi
	call boot_info_init
	call kernel_main
1:	cli
	hlt
	jmp 1b

	.section .rodata
	.balign 8
/* Null, 64-bit code, data: SEL_KERNEL_CODE and SEL_KERNEL_DATA (SDM vol. 3A, 3.4.5). */
boot_gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_end:
boot_gdtr32:
	.short boot_gdt_end - boot_gdt - 1
	.long PHYS(boot_gdt)
msg_loader:
	.asciz "Quarry: not started by a multiboot2 or PVH loader\r\n"
msg_cpu:
	.asciz "Quarry: this CPU has no 64-bit mode\r\n"

	.section .bss
	.balign 4096
	.globl boot_pml4
boot_pml4:
	.skip 4096
boot_pdpt_low:
	.skip 4096
boot_pdpt_high:
	.skip 4096
boot_pd:
	.skip 4 * 4096
	.skip 16384
	.globl boot_stack_top
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
