/* SPDX-License-Identifier: MIT */
/*
 * pcp_inline.h: the hot paths of allocate and free, once, for every instance of struct memory.
 *
 * Compiled by page_alloc.c for the kernel's own memory, whose bases are constants and whose caches
 * stand at a constant offset from gs (@own), and for any other memory; and by a test with
 * scheduling points in it.
 *
 * The three rules that make a cache both fast and right (docs/mm/pcp.md):
 *  1. The pageblock's stack number, and with it type and isolate bit, is read inside the
 *     interrupt-off section that pushes the page, never before it.
 *  2. Isolated pageblocks have the stack number of a stack of capacity 0, so that their pages take
 *     the slow path by the comparison that is there anyway.
 *  3. A cache is off when its owner has set every capacity to 0 and emptied it; then count >=
 *     capacity sends each free, and count == 0 each allocation, down the slow path.
 *
 * Why one forced round (an interrupt to every CPU, served with interrupts off) is enough after the
 * capacity, or a pageblock's bit, has changed.  A free on CPU X is, when the interrupt reaches X,
 *   before its interrupt-off section   it has read neither number nor capacity, and will read the
 *                                      new;
 *   inside it, having read the old     it ends its push first; only then can the handler run on X,
 *                                      and the handler finds the page in the stack and gives it
 *                                      back;
 *   after it                           the page is in the stack already, and the handler finds it.
 * There is no fourth case, because reading and pushing are one interrupt-off section.
 */
#ifndef QUARRY_MM_PCP_INLINE_H
#define QUARRY_MM_PCP_INLINE_H

#include "mm/alloc.h"
#include "mm/page.h"
#include "mm/pcp.h"
#include <quarry/alloc_check.h>
#include <quarry/sched_point.h>

/* This CPU's cache: NULL stands for the kernel's own, reached straight off gs.  irqs off. */
static always_inline struct pcp *body_pcp(const struct memory *mem, bool own)
{
	return own ? NULL : this_pcp(mem);
}

static always_inline size_t body_count(struct pcp *pcp, size_t stack)
{
	return pcp ? READ_ONCE(pcp->count[stack])
	           : arch_pcp_load(offsetof(struct pcp, count), stack);
}

static always_inline void body_set_count(struct pcp *pcp, size_t stack, size_t count)
{
	if (pcp)
		WRITE_ONCE(pcp->count[stack], (u16)count);
	else
		arch_pcp_store(offsetof(struct pcp, count), stack, (unsigned)count);
}

static always_inline size_t body_capacity(struct pcp *pcp, size_t stack)
{
	return pcp ? READ_ONCE(pcp->capacity[stack])
	           : arch_pcp_load(offsetof(struct pcp, capacity), stack);
}

static always_inline struct page **body_slots(struct pcp *pcp, size_t stack)
{
	return pcp ? pcp->slot[stack] : arch_pcp_load_ptr(offsetof(struct pcp, slot), stack);
}

static always_inline size_t body_first(struct pcp *pcp, gfp_t gfp)
{
	return pcp ? READ_ONCE(pcp->first[gfp & 7])
	           : arch_pcp_load(offsetof(struct pcp, first), gfp & 7);
}

/* Shall the hot paths be recorded?  A hint; the CPU may change after it. */
static always_inline bool body_tracing(const struct memory *mem, bool own)
{
	return own ? arch_pcp_test(offsetof(struct pcp, tracing)) : READ_ONCE(mem->pcp[0]->tracing);
}

/* The stack that a request tries first.  irqs off. */
static always_inline size_t pcp_stack(struct pcp *pcp, gfp_t gfp, size_t index)
{
	return body_first(pcp, gfp) + index * NR_CACHED_TYPES;
}

/* Take the newest of the @count > 0 blocks of a stack.  irqs off. */
static always_inline struct page *pcp_pop(
    struct pcp *pcp, size_t stack, size_t count, unsigned order)
{
	struct page *page = body_slots(pcp, stack)[count - 1];
	u32 cached = PAGE_WORD(0, PG_PCP, order);

	_Static_assert(PAGE_EDGES(PG_PCP) >> PG_ALLOC & 1, "no such edge");
	page_store_word(page, cached, cached + PAGE_WORD(1, PG_ALLOC - PG_PCP, 0));
	body_set_count(pcp, stack, count - 1);
	return page;
}

/* log2 of the bytes of memmap for which there is one byte of pageblock descriptors. */
#define PB_SHIFT (PAGEBLOCK_ORDER + 1)
BUILD_ASSERT(sizeof(struct page) << PAGEBLOCK_ORDER == sizeof(struct pageblock) << PB_SHIFT);

/*
 * The descriptor of the pageblock of @page.  Both arrays of the kernel's own memory stand at
 * constant addresses, so a shift, a mask and at most one constant lead from one to the other (none
 * where the machine placed them well).  The memmap's base is aligned to a pageblock's descriptors.
 */
static always_inline const struct pageblock *body_pageblock(
    const struct memory *mem, bool own, const struct page *page)
{
	if (own) {
		intptr_t base = (intptr_t)ARCH_PAGEBLOCKS - ((intptr_t)ARCH_MEMMAP >> PB_SHIFT);

		return (const struct pageblock *)(((intptr_t)page >> PB_SHIFT &
		                                      -(intptr_t)sizeof(struct pageblock)) +
		    base);
	}
	return pageblock_of(mem, page_to_pfn_in(mem, page));
}

/*
 * Put a block into the stack of its pageblock; false: it is not a block of that order that the
 * caller may free, or the stack is full or off.  irqs off.
 */
static always_inline bool pcp_push(
    const struct memory *mem, bool own, struct page *page, unsigned order, unsigned index)
{
	uintptr_t first = (uintptr_t)pfn_to_page_in(mem, mem->start_pfn);
	struct pcp *pcp = body_pcp(mem, own);
	size_t stack, count;

	/* The kernel's own callers bring descriptors of its memmap; elsewhere it is checked. */
	if (!own &&
	    unlikely(
	        (uintptr_t)page - first >= (mem->end_pfn - mem->start_pfn) * sizeof(struct page)))
		return false;
	/* State, order, references, flags and poison: all in one compare. */
	if (unlikely(page_word(page) != PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	stack = READ_ONCE(body_pageblock(mem, own, page)->stack[index]); /* rule 1 */
	sched_point("free.irqoff");
	count = body_count(pcp, stack);
	if (unlikely(count >= body_capacity(pcp, stack))) /* rules 2 and 3 */
		return false;
	sched_point("free.push_pending");
	_Static_assert(PAGE_EDGES(PG_ALLOC) >> PG_PCP & 1, "no such edge");
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	body_slots(pcp, stack)[count] = page;
	sched_point("free.slot");
	body_set_count(pcp, stack, count + 1);
	return true;
}

static always_inline struct page *alloc_body(
    struct memory *mem, bool own, gfp_t gfp, unsigned order)
{
	size_t index = order_index(order), stack, count;
	irqflags_t flags;
	struct page *page;
	struct pcp *pcp;

	if (unlikely(index >= NR_CACHED_ORDERS))
		return alloc_slow(mem, gfp, order);
	flags = arch_irq_save();
	pcp = body_pcp(mem, own);
	stack = pcp_stack(pcp, gfp, index);
	count = body_count(pcp, stack);
	if (unlikely(count == 0)) {
		arch_irq_restore(flags);
		return alloc_slow(mem, gfp, order);
	}
	page = pcp_pop(pcp, stack, count, order);
	arch_irq_restore(flags);
	alloc_check(mem, page, order);
	if (unlikely(gfp & GFP_ZERO))
		return zero_block(mem, page, order);
	return page;
}

/* false: take the slow path. */
static always_inline bool free_body(struct memory *mem, bool own, struct page *page, unsigned order)
{
	unsigned index = order_index(order);
	irqflags_t flags;
	bool done;

	if (unlikely(index >= NR_CACHED_ORDERS || !page))
		return false;
	sched_point("free.prep");
	flags = arch_irq_save();
	done = pcp_push(mem, own, page, order, index);
	arch_irq_restore(flags);
	sched_point("free.done");
	return done;
}

#endif
