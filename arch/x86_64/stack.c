/* SPDX-License-Identifier: MIT */
/*
 * stack.c: kernel stacks, each with unmapped pages below it.
 *
 * Owns:       the addresses from ARCH_STACK_BASE on, in slots of STACK_SLOT bytes: the upper
 *             STACK_SIZE bytes of a slot are a stack, the rest is its guard.
 * Locks:      stack_lock for the lists of slots; mapping and cross-calls happen outside it.
 *             cpu_hotplug, shared and only if it is free, to make every CPU forget a stack.
 * Invariants: a slot is in one place: in use, on cached[] (mapped), on empty[] (not mapped) or
 *             beyond next_slot.
 *             A page goes back to the allocator, and a slot gets new pages, only when the old
 *             address is in no CPU's TLB.
 * Tests:      arch_page, arch_map, arch_full, play_stack, tests/qemu/test_arch.py,
 *             tests/qemu/test_exception.py.
 */
#include <quarry/hotplug.h>
#include <quarry/lock.h>
#include <quarry/machine.h>
#include <quarry/mm.h>

#include "x86.h"

#define STACK_SIZE  16384UL
#define STACK_SLOT  32768UL
#define NR_SLOTS    8192
#define STACK_PAGES (STACK_SIZE / PAGE_SIZE)
#define TABLE_SLOTS ((2UL << 20) / STACK_SLOT) /* slots of one page table */
/* The most freed stacks that are kept for new threads; the pages of further stacks are freed. */
#define KEEP_STACKS 64
/* The most stacks whose pages one call frees. */
#define FREE_AT_ONCE 8

static struct spinlock stack_lock = SPINLOCK("stacks", RANK_NONE);
static u16 cached[NR_SLOTS], empty[NR_SLOTS];
static unsigned nr_cached GUARDED_BY(stack_lock);
static unsigned nr_empty GUARDED_BY(stack_lock);
static unsigned next_slot GUARDED_BY(stack_lock);
static u8 has_table[NR_SLOTS / TABLE_SLOTS]; /* set once: a table stays when its slots are empty */

/* switch.S */
void thread_entry(void);

static uintptr_t slot_top(unsigned slot)
{
	return ARCH_STACK_BASE + (slot + 1) * STACK_SLOT;
}

static unsigned slot_of(uintptr_t top)
{
	return (unsigned)((top - ARCH_STACK_BASE) / STACK_SLOT - 1);
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

/* Unmap @pages pages right below @top; page[]: which. */
static void unmap_stack(uintptr_t top, unsigned pages, phys_t *page)
{
	for (unsigned i = 0; i < pages; i++) {
		page[i] = arch_mapped_at(top - (i + 1) * PAGE_SIZE);
		KASSERT(page[i]);
	}
	arch_unmap(top - pages * PAGE_SIZE, pages * PAGE_SIZE);
}

static void forget_stack(uintptr_t top)
{
	int asked = smp_call_mask(NULL, flush_stack, (void *)top);

	KASSERT(asked >= 0); /* a caller that may sleep may make cross-calls */
}

/*
 * Make every CPU forget a stack that is unmapped.  False: a CPU that comes, goes or is dead may
 * still reach it.  The lock is only tried, so that a thread can end while a CPU does not park.
 */
static bool all_forget_stack(uintptr_t top)
{
	bool all;

	if (!rwsem_try_shared(&cpu_hotplug))
		return false;
	forget_stack(top);
	all = !cpu_out_of_reach();
	rwsem_unlock_shared(&cpu_hotplug);
	return all;
}

/* Map page[] right below @top.  Returns how many were mapped: fewer only without memory. */
static unsigned map_pages(uintptr_t top, const phys_t *page)
{
	unsigned i = 0;

	while (
	    i < STACK_PAGES && !arch_map(top - (i + 1) * PAGE_SIZE, page[i], PAGE_SIZE, MAP_WRITE))
		i++;
	return i;
}

/*
 * Map memory under the stack that ends at @top.  False: no memory, and nothing is mapped; no CPU
 * has used the addresses meanwhile.
 */
static bool map_stack(uintptr_t top)
{
	phys_t page[STACK_PAGES];
	unsigned nr = 0, mapped;
	void *memory;

	while (nr < STACK_PAGES && (memory = arch_page_alloc()))
		page[nr++] = arch_virt_to_phys(memory);
	mapped = nr == STACK_PAGES ? map_pages(top, page) : 0;
	if (mapped)
		WRITE_ONCE(has_table[slot_of(top) / TABLE_SLOTS], 1);
	if (mapped == STACK_PAGES)
		return true;
	if (mapped) {
		unmap_stack(top, mapped, page);
		forget_stack(top);
	}
	while (nr)
		page_free(page[--nr]);
	return false;
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

/* Take a mapped slot that is not to be kept; NR_SLOTS: there is none. */
static unsigned take_surplus(void)
{
	irqflags_t flags = spin_lock_irqsave(&stack_lock);
	unsigned slot = nr_cached > KEEP_STACKS ? cached[--nr_cached] : NR_SLOTS;

	spin_unlock_irqrestore(&stack_lock, flags);
	return slot;
}

/* Free the pages of a mapped slot.  False: a CPU may still use them, and the slot stays mapped. */
static bool free_slot(unsigned slot)
{
	phys_t page[STACK_PAGES];
	bool gone;

	unmap_stack(slot_top(slot), STACK_PAGES, page);
	gone = all_forget_stack(slot_top(slot));
	for (unsigned i = 0; gone && i < STACK_PAGES; i++)
		page_free(page[i]);
	/* The tables are still there, so mapping needs no memory. */
	if (!gone && map_pages(slot_top(slot), page) < STACK_PAGES)
		panic("stack: slot %u cannot be mapped again", slot);
	put_slot(slot, !gone);
	return gone;
}

void arch_stack_free(void *top)
{
	unsigned slot = slot_of((uintptr_t)top);

	KASSERT(slot < NR_SLOTS && (uintptr_t)top == slot_top(slot));
	put_slot(slot, true);
	/* Stacks that could not be freed earlier are freed too, a few at a time. */
	for (unsigned i = 0; i < FREE_AT_ONCE && READ_ONCE(nr_cached) > KEEP_STACKS; i++) {
		slot = cpu_out_of_reach() ? NR_SLOTS : take_surplus();
		if (slot == NR_SLOTS || !free_slot(slot))
			break;
	}
}

unsigned long arch_stack_pages(void)
{
	irqflags_t flags = spin_lock_irqsave(&stack_lock);
	unsigned long pages = (next_slot - nr_empty) * STACK_PAGES;

	spin_unlock_irqrestore(&stack_lock, flags);
	return pages;
}

unsigned long arch_stack_tables(void)
{
	unsigned long nr = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(has_table); i++)
		nr += READ_ONCE(has_table[i]);
	return nr;
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
