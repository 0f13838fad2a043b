/* SPDX-License-Identifier: MIT */
/*
 * pcp_inline.h: the fast paths of allocating and freeing, written once for all struct memory.
 *
 * Allocating and freeing each compile them twice: for order 0, and for an order that is known only
 * at run time.  docs/performance.md has their costs.
 *
 * The three rules that make a cache both fast and right (docs/mm/pcp.md):
 *  1. The pageblock's stack number, and with it type and isolate bit, is read inside the
 *     interrupt-off section that pushes the page, never before it.
 *  2. Isolated pageblocks have the stack number of a stack of capacity 0, so the usual comparison
 *     with the limit sends their pages down the slow path.
 *  3. A cache is off when its owner has set every capacity to 0 and emptied it; then top >= limit
 *     sends each free, and top == slot each allocation, down the slow path.
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

#include "mm/core/page.h"
#include "mm/core/pcp.h"
#include <quarry/alloc_check.h>
#include <quarry/sched_point.h>

/* The pageblock of page number @nr of the memory. */
static always_inline const struct pageblock *block_of_number(const struct memory *mem, size_t nr)
{
	return mem->first_block + (nr >> PAGEBLOCK_ORDER);
}

/*
 * The stack for blocks of @order beside that of order 0, which has the @number.  The address is
 * computed by hand, since gcc would compute that of an array's element again at each use.
 */
static always_inline struct pcp_stack *hot_stack(struct pcp *pcp, unsigned number, unsigned order)
{
	number += order_index(order) * NR_CACHED_TYPES;
	return (struct pcp_stack *)((uintptr_t)pcp->stack + number * sizeof(struct pcp_stack));
}

/* The stack from which a request for @order takes its block first. */
static always_inline struct pcp_stack *first_stack(struct pcp *pcp, gfp_t gfp, unsigned order)
{
	return hot_stack(pcp, pcp->first[(u8)gfp], order);
}

/* Take the newest block of a stack that has one; its blocks have @order.  irqs off. */
static always_inline struct page *pcp_pop(struct pcp_stack *stack, unsigned order)
{
	struct page **top = stack->top - 1, *page = *top;

	stack_set_top(stack, top);
	page_store(page, AS_PCP(order), AS_ALLOC(order));
	return page;
}

/* Put a block, whose word is that of a cached one, into a stack with space for it.  irqs off. */
static always_inline void pcp_put(struct pcp_stack *stack, struct page *page)
{
	struct page **top = stack->top;

	*top = page;
	stack_set_top(stack, top + 1);
}

/*
 * Put a block, which begins with page number @nr, into the stack of its pageblock; false: it is not
 * a block of that order that the caller may free, or the stack is full or off.  irqs off.
 */
static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	const struct pageblock *pb = block_of_number(mem, nr);
	struct pcp_stack *stack;

	/* State, order, references, flags and poison: all in one compare. */
	if (unlikely(!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order))))
		return false;
	stack = hot_stack(hot_pcp(mem), READ_ONCE(pb->stack), order); /* rule 1 */
	sched_point("free.irqoff");
	if (unlikely(stack->top >= stack->limit)) /* rules 2 and 3 */
		return false;
	sched_point("free.push_pending");
	ASSERT_EDGE(PG_ALLOC, PG_PCP);
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	sched_point("free.slot");
	pcp_put(stack, page);
	return true;
}

/* Take up to @nr pages of order 0 for @gfp into @out; returns how many.  irqs off. */
static always_inline unsigned long pcp_pop_many(
    struct memory *mem, gfp_t gfp, struct page **out, unsigned long nr)
{
	struct pcp_stack *stack = first_stack(hot_pcp(mem), gfp, 0);
	unsigned long i;

	nr = MIN(nr, stack_count(stack));
	for (i = 0; i < nr; i++) {
		out[i] = pcp_pop(stack, 0);
		alloc_check(mem, out[i], 0);
	}
	return nr;
}

/* Push pages of order 0, up to the first that pcp_push refuses; returns how many.  irqs off. */
static always_inline unsigned long pcp_push_many(
    struct memory *mem, struct page **pages, unsigned long nr)
{
	unsigned long done;
	size_t at;

	/* Words of pages freed long after their allocation are in no cache: fetch all at once. */
	for (done = 0; done < nr; done++)
		__builtin_prefetch(pages[done], 1);
	done = 0;
	while (done < nr && page_number(mem, pages[done], &at) && pcp_push(mem, pages[done], at, 0))
		done++;
	return done;
}

/* Take a block from the cache, not zeroed; NULL: take the slow path. */
static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	irqflags_t flags = arch_irq_save();
	struct pcp_stack *stack = first_stack(hot_pcp(mem), gfp, order);
	struct page *page;

	if (unlikely(stack->top == stack->slot)) {
		arch_irq_restore(flags);
		return NULL;
	}
	page = pcp_pop(stack, order);
	alloc_check(mem, page, order);
	arch_irq_restore(flags);
	if (!page)
		__builtin_unreachable(); /* not NULL, since its word was read */
	return page;
}

/* Free a block to the cache; false: take the slow path. */
static always_inline bool free_body(struct memory *mem, struct page *page, unsigned order)
{
	irqflags_t flags;
	bool done;
	size_t nr;

	if (unlikely(!page_number(mem, page, &nr)))
		return false;
	sched_point("free.prep");
	flags = arch_irq_save();
	done = pcp_push(mem, page, nr, order);
	arch_irq_restore(flags);
	sched_point("free.done");
	return done;
}

#endif
