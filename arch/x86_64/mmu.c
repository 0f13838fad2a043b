/* SPDX-License-Identifier: MIT */
/*
 * mmu.c: what mm/'s page tables of address spaces need from this machine.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: the kernel's half of every root table is a copy of that half of the kernel's own root
 *             table.  The tables that it names all exist since arch_paging_init, and are never
 *             freed.
 * Tests:      arch_page, vm, task, tests/qemu/test_arch.py.
 */
#include "x86.h"
#include <quarry/port.h>

#define ROOT_ENTRIES 512
#define CR3_ADDRESS  0x000ffffffffff000UL

void arch_pagetable_init(u64 *root)
{
	const u64 *kernel = arch_phys_to_virt(kernel_cr3 & CR3_ADDRESS);

	memcpy(
	    root + ROOT_ENTRIES / 2, kernel + ROOT_ENTRIES / 2, ROOT_ENTRIES / 2 * sizeof(*root));
}

void arch_tlb_flush_page(phys_t root, uintptr_t va)
{
	if ((read_cr3() & CR3_ADDRESS) == root)
		invlpg(va);
}

/* Kernel mappings are global, so they stay in the TLB. */
void arch_tlb_flush_user(void)
{
	__asm__ volatile("movq %0, %%cr3" : : "r"(read_cr3()) : "memory");
}
