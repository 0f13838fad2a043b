/* SPDX-License-Identifier: MIT */
/*
 * stack.c: kernel stacks, each with unmapped pages below it.
 *
 * Owns:       the addresses from ARCH_STACK_BASE on, in slots of STACK_SLOT bytes: the upper
 *             STACK_SIZE bytes of a slot are a stack, the rest is its guard.
 * Locks:      stack_lock for the lists of slots; mapping and cross-calls happen outside it.
 * Invariants: a slot is in one place: in use, on cached[] (mapped), on empty[] (not mapped) or
 *             beyond next_slot.
 *             A page goes back to the allocator only when its old address is in no CPU's TLB.
 * Tests:      arch_page, arch_map, arch_full, tests/qemu/test_arch.py,
 *             tests/qemu/test_exception.py.
 */
#include <quarry/machine.h>
#include <quarry/mm.h>

#include "x86.h"

#define STACK_SIZE  16384UL
#define STACK_SLOT  32768UL
#define NR_SLOTS    8192
#define STACK_PAGES (STACK_SIZE / PAGE_SIZE)
/* The most freed stacks that are kept for new threads; the pages of further stacks are freed. */
#define KEEP_STACKS 64

static struct spinlock stack_lock = SPINLOCK("stacks", RANK_NONE);
static u16 cached[NR_SLOTS], empty[NR_SLOTS];
static unsigned nr_cached GUARDED_BY(stack_lock);
static unsigned nr_empty GUARDED_BY(stack_lock);
static unsigned next_slot GUARDED_BY(stack_lock);

/* switch.S */
void thread_entry(void);

static uintptr_t slot_top(unsigned slot)
{
	return ARCH_STACK_BASE + (slot + 1) * STACK_SLOT;
}

bool stack_is_guard(uintptr_t va)
{
	uintptr_t off = va - ARCH_STACK_BASE;

	return off < NR_SLOTS * STACK_SLOT && off % STACK_SLOT < STACK_SLOT - STACK_SIZE;
}

static void page_free(phys_t page)
{
	free_pages(pfn_to_page_in(&kernel_memory, page >> PAGE_SHIFT), 0);
}

/* Flush the addresses of the stack that ends at @top from this CPU's TLB. */
static void flush_stack(void *top)
{
	for (unsigned i = 1; i <= STACK_PAGES; i++)
		invlpg((uintptr_t)top - i * PAGE_SIZE);
}

/* Unmap and free @pages pages right below @top. */
static void unmap_stack(uintptr_t top, unsigned pages)
{
	phys_t page[STACK_PAGES];
	int asked;

	for (unsigned i = 0; i < pages; i++) {
		page[i] = arch_mapped_at(top - (i + 1) * PAGE_SIZE);
		KASSERT(page[i]);
	}
	arch_unmap(top - pages * PAGE_SIZE, pages * PAGE_SIZE);
	asked = smp_call_mask(NULL, flush_stack, (void *)top);
	KASSERT(asked >= 0); /* a caller that may sleep may make cross-calls */
	for (unsigned i = 0; i < pages; i++)
		page_free(page[i]);
}

/* Map memory under the stack that ends at @top.  False: no memory, and nothing is mapped. */
static bool map_stack(uintptr_t top)
{
	for (unsigned i = 0; i < STACK_PAGES; i++) {
		void *memory = arch_page_alloc();

		if (memory &&
		    !arch_map(
		        top - (i + 1) * PAGE_SIZE, arch_virt_to_phys(memory), PAGE_SIZE, MAP_WRITE))
			continue;
		if (memory)
			page_free(arch_virt_to_phys(memory));
		unmap_stack(top, i);
		return false;
	}
	return true;
}

static void put_slot(unsigned slot, bool mapped)
{
	irqflags_t flags = spin_lock_irqsave(&stack_lock);

	if (mapped)
		cached[nr_cached++] = (u16)slot;
	else
		empty[nr_empty++] = (u16)slot;
	spin_unlock_irqrestore(&stack_lock, flags);
}

void *arch_stack_alloc(void)
{
	irqflags_t flags = spin_lock_irqsave(&stack_lock);
	bool mapped = nr_cached > 0;
	unsigned slot = NR_SLOTS;

	if (mapped)
		slot = cached[--nr_cached];
	else if (nr_empty)
		slot = empty[--nr_empty];
	else if (next_slot < NR_SLOTS)
		slot = next_slot++;
	spin_unlock_irqrestore(&stack_lock, flags);
	if (slot == NR_SLOTS)
		return NULL;
	if (!mapped && !map_stack(slot_top(slot))) {
		put_slot(slot, false);
		return NULL;
	}
	return (void *)slot_top(slot);
}

void arch_stack_free(void *top)
{
	unsigned slot = (unsigned)(((uintptr_t)top - ARCH_STACK_BASE) / STACK_SLOT - 1);
	bool keep;

	KASSERT(slot < NR_SLOTS && (uintptr_t)top == slot_top(slot));
	keep = READ_ONCE(nr_cached) < KEEP_STACKS;
	if (!keep)
		unmap_stack((uintptr_t)top, STACK_PAGES);
	put_slot(slot, keep);
}

unsigned long arch_stack_pages(void)
{
	irqflags_t flags = spin_lock_irqsave(&stack_lock);
	unsigned long pages = (next_slot - nr_empty) * STACK_PAGES;

	spin_unlock_irqrestore(&stack_lock, flags);
	return pages;
}

/* Build the stack to which arch_switch returns: see arch_switch and switch.S. */
void *arch_stack_prepare(void *stack_top, void (*fn)(void *), void *arg)
{
	u64 *sp = (u64 *)stack_top - 2;

	*--sp = (uintptr_t)fn;
	*--sp = (uintptr_t)arg;
	*--sp = (uintptr_t)thread_entry;
	return sp;
}
