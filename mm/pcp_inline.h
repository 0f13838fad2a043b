/* SPDX-License-Identifier: MIT */
/*
 * pcp_inline.h: the hot paths of allocating and freeing, written once for all struct memory.
 *
 * page_alloc.c compiles them for the kernel's own memory (@own), once for each cached order: there
 * the order and the bases are constants, and the caches are at a constant offset from gs.  It also
 * compiles them for any other memory; and a test compiles them with scheduling points in them.
 * docs/performance.md lists the resulting instructions.
 *
 * The three rules that make a cache both fast and right (docs/mm/pcp.md):
 *  1. The pageblock's stack number, and with it type and isolate bit, is read inside the
 *     interrupt-off section that pushes the page, never before it.
 *  2. Isolated pageblocks have the stack number of a stack of capacity 0, so the usual comparison
 *     with the capacity sends their pages down the slow path.
 *  3. A cache is off when its owner has set every capacity to 0 and emptied it; then count >=
 *     capacity sends each free, and count == 0 each allocation, down the slow path.
 *
 * One forced round (an interrupt to every CPU, served with interrupts off) is enough after the
 * capacity, or a pageblock's bit, has changed.  There are three cases for a free on CPU X at the
 * moment when the interrupt reaches X: it is
 *   before its interrupt-off section   it has read neither number nor capacity, and will read the
 *                                      new ones;
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

/* This CPU's cache; NULL stands for the kernel's own, which is addressed through gs.  irqs off. */
static always_inline struct pcp *body_pcp(const struct memory *mem, bool own)
{
	struct pcp *pcp = own ? NULL : this_pcp(mem);

	if (!own && !pcp)
		__builtin_unreachable();
	return pcp;
}

/*
 * The following functions are about stack number @stack + @more.  For the kernel's own cache @more
 * is a constant, which becomes part of the address.
 */
static always_inline size_t body_count(struct pcp *pcp, size_t stack, size_t more)
{
	return pcp ? READ_ONCE(pcp->count[stack + more])
	           : arch_pcp_load(offsetof(struct pcp, count) + more * sizeof(u16), stack);
}

/* Change the count of the stack from @count to @count + @by. */
static always_inline void body_add(struct pcp *pcp, size_t stack, size_t more, size_t count, int by)
{
	if (pcp)
		WRITE_ONCE(pcp->count[stack + more], (u16)(count + (size_t)by));
	else
		arch_pcp_add(offsetof(struct pcp, count) + more * sizeof(u16), stack, by);
}

static always_inline struct page **body_slots(struct pcp *pcp, size_t stack, size_t more)
{
	return pcp ? pcp->slot[stack + more]
	           : arch_pcp_load_ptr(offsetof(struct pcp, slot) + more * sizeof(void *), stack);
}

/* Has a stack of @count blocks space for one more? */
static always_inline bool body_room(struct pcp *pcp, size_t stack, size_t count)
{
	return pcp ? count < READ_ONCE(pcp->capacity[stack])
	           : arch_pcp_below(count, offsetof(struct pcp, capacity), stack);
}

/* For how many more blocks has a stack of @count blocks space?  Not below 0. */
static always_inline size_t body_left(struct pcp *pcp, size_t stack, size_t count)
{
	size_t capacity = pcp ? READ_ONCE(pcp->capacity[stack])
	                      : arch_pcp_load(offsetof(struct pcp, capacity), stack);

	return capacity > count ? capacity - count : 0;
}

/* The stack of order 0 that a request tries first.  irqs off. */
static always_inline size_t body_first(struct pcp *pcp, gfp_t gfp)
{
	return pcp ? READ_ONCE(pcp->first[(u8)gfp])
	           : arch_pcp_load(offsetof(struct pcp, first), (u8)gfp);
}

/* Is tracing of the hot paths on?  A hint: the thread may move to another CPU after the read. */
static always_inline bool body_tracing(const struct memory *mem, bool own)
{
	return own ? arch_pcp_test(offsetof(struct pcp, tracing)) : READ_ONCE(mem->pcp[0]->tracing);
}

/* Take the newest of the @count > 0 blocks of stack @stack + @more.  irqs off. */
static always_inline struct page *pcp_pop(
    struct pcp *pcp, size_t stack, size_t more, size_t count, unsigned order)
{
	struct page **slots = body_slots(pcp, stack, more), *page;

	body_add(pcp, stack, more, count, -1);
	page = slots[count - 1];
	page_store(page, AS_PCP(order), AS_ALLOC(order));
	return page;
}

/* log2 of the bytes of memmap per byte of pageblock descriptors. */
#define PB_SHIFT (PAGEBLOCK_ORDER + 5 - PAGEBLOCK_SHIFT)
BUILD_ASSERT(sizeof(struct page) << PAGEBLOCK_ORDER == sizeof(struct pageblock) << PB_SHIFT);

/*
 * The descriptor of the pageblock of @page.  The kernel's own memmap and its array of pageblock
 * descriptors are at constant addresses, and the memmap is aligned to MEMMAP_ALIGN.  So the result
 * is @page shifted and masked, plus a constant, which may be 0.
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

	/* With @own, callers pass descriptors of the memmap; else @page may be any pointer. */
	if (!own &&
	    unlikely(
	        (uintptr_t)page - first >= (mem->end_pfn - mem->start_pfn) * sizeof(struct page)))
		return false;
	/* State, order, references, flags and poison: all in one compare. */
	if (unlikely(!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order))))
		return false;
	stack = READ_ONCE(body_pageblock(mem, own, page)->stack[index]); /* rule 1 */
	sched_point("free.irqoff");
	count = body_count(pcp, stack, 0);
	if (unlikely(!body_room(pcp, stack, count))) /* rules 2 and 3 */
		return false;
	sched_point("free.push_pending");
	ASSERT_EDGE(PG_ALLOC, PG_PCP);
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	body_slots(pcp, stack, 0)[count] = page;
	sched_point("free.slot");
	body_add(pcp, stack, 0, count, 1);
	return true;
}

/* Give a page of a stack of order 0 to the caller. */
static always_inline void pcp_hand_out(struct page *page, struct page **out)
{
	page_store(page, AS_PCP(0), AS_ALLOC(0));
	*out = page;
}

/* Take up to @nr pages of order 0 for @gfp into @out; returns how many.  irqs off. */
static always_inline unsigned long pcp_pop_many(
    struct pcp *pcp, gfp_t gfp, struct page **out, unsigned long nr)
{
	size_t stack = body_first(pcp, gfp), count = body_count(pcp, stack, 0);
	struct page **top = body_slots(pcp, stack, 0) + count, **end;

	nr = MIN(nr, count);
	body_add(pcp, stack, 0, count, -(int)nr);
	end = out + nr;
	if (nr % 2)
		pcp_hand_out(*--top, out++);
	for (; out < end; out += 2, top -= 2) {
		pcp_hand_out(top[-1], out);
		pcp_hand_out(top[-2], out + 1);
	}
	return nr;
}

/*
 * Push pages of order 0, up to the first that pcp_push would refuse; returns how many.  The pages
 * of one stack are added to its count together, after the last of them is in it.  irqs off.
 */
static always_inline unsigned long pcp_push_many(
    const struct memory *mem, bool own, struct page **pages, unsigned long nr)
{
	struct pcp *pcp = body_pcp(mem, own);
	unsigned long done = 0, from, end;
	size_t count, stack;
	struct page **slots;
	uintptr_t block;

	while (done < nr && pages[done] && pcp_push(mem, own, pages[done], 0, 0)) {
		stack = READ_ONCE(body_pageblock(mem, own, pages[done])->stack[0]);
		block = ALIGN_DOWN((uintptr_t)pages[done], MEMMAP_ALIGN);
		from = ++done;
		count = body_count(pcp, stack, 0);
		end = own ? MIN(nr, done + body_left(pcp, stack, count)) : done;
		slots = body_slots(pcp, stack, 0) + count - done;
		for (; done < end; done++) {
			struct page *page = pages[done];

			if (!page || !arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, 0)))
				break;
			/* Is the page in another pageblock? */
			if ((uintptr_t)page - block >= MEMMAP_ALIGN) {
				if (READ_ONCE(body_pageblock(mem, own, page)->stack[0]) != stack)
					break;
				block = ALIGN_DOWN((uintptr_t)page, MEMMAP_ALIGN);
			}
			WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, 0));
			slots[done] = page;
		}
		body_add(pcp, stack, 0, count, (int)(done - from));
	}
	return done;
}

/* Take a block from the cache, not zeroed; NULL: take the slow path. */
static always_inline struct page *alloc_body(
    struct memory *mem, bool own, gfp_t gfp, unsigned order)
{
	unsigned index = order_index(order), more = index * NR_CACHED_TYPES;
	size_t first, count;
	irqflags_t flags;
	struct page *page;
	struct pcp *pcp;

	if (unlikely(index >= NR_CACHED_ORDERS))
		return NULL;
	flags = arch_irq_save();
	pcp = body_pcp(mem, own);
	first = body_first(pcp, gfp);
	count = body_count(pcp, first, more);
	if (unlikely(count == 0)) {
		arch_irq_restore(flags);
		return NULL;
	}
	page = pcp_pop(pcp, first, more, count, order);
	arch_irq_restore(flags);
	alloc_check(mem, page, order);
	if (!page)
		__builtin_unreachable(); /* not NULL, since its word was read */
	return page;
}

/* Free a block to the cache; false: take the slow path. */
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
