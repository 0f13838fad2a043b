/* SPDX-License-Identifier: MIT */
/*
 * name: another_types_stack
 * title: where the first stack is empty, a block of another type's stack is taken
 * layer: model
 */

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	irqflags_t flags = arch_irq_save();
	struct pcp_stack *stack = first_stack(hot_pcp(mem), gfp, order);
	struct page *page = NULL;

	if (stack->top == stack->slot && gfp_type(gfp) == MT_RECLAIMABLE)
		stack = first_stack(hot_pcp(mem), (gfp & ~(gfp_t)3) | GFP_UNMOVABLE, order);
	if (stack->top != stack->slot) {
		page = pcp_pop(stack, order);
		alloc_check(mem, page, order);
	}
	arch_irq_restore(flags);
	return page;
}

/*
 * name: any_order_is_popped
 * title: of a popped block's word state and references are compared, but not the order
 * layer: model
 */

static always_inline struct page *pcp_pop(struct pcp_stack *stack, unsigned order)
{
	struct page **top = stack->top - 1, *page = *top;

	if (word_state(page_word(page)) != PG_PCP || word_ref(page_word(page)))
		page_corrupt(page, PAGE_WORD(0, PG_PCP, order));
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, order));
	stack_set_top(stack, top);
	return page;
}

/*
 * name: any_word_will_do
 * title: a free trusts its caller: neither state nor order are compared
 * layer: model
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	const struct pageblock *pb = block_of_number(mem, nr);
	struct pcp_stack *stack;

	stack = &hot_pcp(mem)->stack[READ_ONCE(pb->stack) + order_index(order) * NR_CACHED_TYPES];
	if (stack->top >= stack->limit)
		return false;
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	pcp_put(stack, page);
	return true;
}

/*
 * name: drops_the_oldest
 * title: a full stack takes a block and forgets its oldest one
 * layer: model
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	const struct pageblock *pb = block_of_number(mem, nr);
	struct pcp_stack *stack;

	if (!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	stack = &hot_pcp(mem)->stack[READ_ONCE(pb->stack) + order_index(order) * NR_CACHED_TYPES];
	if (stack->top >= stack->limit) {
		if (stack->top == stack->slot)
			return false;
		memmove(
		    stack->slot, stack->slot + 1, (stack_count(stack) - 1) * sizeof(*stack->slot));
		WRITE_ONCE(stack->top, stack->top - 1);
	}
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	pcp_put(stack, page);
	return true;
}

/*
 * name: fast_path_for_order_0
 * title: the fast path serves order 0 alone
 * layer: contract
 */

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct pcp_stack *stack;
	struct page *page = NULL;
	irqflags_t flags;

	if (order)
		return NULL;
	flags = arch_irq_save();
	stack = first_stack(hot_pcp(mem), gfp, 0);
	if (stack_count(stack)) {
		page = pcp_pop(stack, 0);
		alloc_check(mem, page, 0);
	}
	arch_irq_restore(flags);
	return page;
}

static always_inline bool free_body(struct memory *mem, struct page *page, unsigned order)
{
	irqflags_t flags;
	bool done;
	size_t nr;

	if (order || !page_number(mem, page, &nr))
		return false;
	flags = arch_irq_save();
	done = pcp_push(mem, page, nr, 0);
	arch_irq_restore(flags);
	return done;
}

/*
 * name: irqs_on_after_a_free
 * title: interrupts are on after a free, even if they were off before
 * layer: contract
 */

static always_inline bool free_body(struct memory *mem, struct page *page, unsigned order)
{
	bool done;
	size_t nr;

	if (!page_number(mem, page, &nr))
		return false;
	arch_irq_disable();
	done = pcp_push(mem, page, nr, order);
	arch_irq_enable();
	return done;
}

/*
 * name: irqs_on_again
 * title: interrupts are on after an allocation, even if they were off before
 * layer: contract
 */

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct pcp_stack *stack;
	struct page *page = NULL;

	arch_irq_disable();
	stack = first_stack(hot_pcp(mem), gfp, order);
	if (stack->top != stack->slot) {
		page = pcp_pop(stack, order);
		alloc_check(mem, page, order);
	}
	arch_irq_enable();
	return page;
}

/*
 * name: irqs_stay_off
 * title: where the stack is empty interrupts are left off
 * layer: model
 */

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	irqflags_t flags = arch_irq_save();
	struct pcp_stack *stack = first_stack(hot_pcp(mem), gfp, order);
	struct page *page;

	if (stack->top == stack->slot)
		return NULL;
	page = pcp_pop(stack, order);
	alloc_check(mem, page, order);
	arch_irq_restore(flags);
	return page;
}

/*
 * name: more_than_full
 * title: a stack that holds more than its limit does not count as full
 * layer: contract
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	const struct pageblock *pb = block_of_number(mem, nr);
	struct pcp_stack *stack;

	if (!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	stack = hot_stack(hot_pcp(mem), READ_ONCE(pb->stack), order);
	if (stack->top == stack->limit)
		return false;
	sched_point("free.push_pending");
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	pcp_put(stack, page);
	return true;
}

/*
 * name: nothing_in_the_explorer
 * title: it caches nothing where pageblocks have 8 pages, as in the explorer; elsewhere it is wrong
 * layer: explorer
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	const struct pageblock *pb = block_of_number(mem, nr);
	struct pcp_stack *stack;

	if (PAGEBLOCK_ORDER == 3)
		return false;
	if (!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	stack = &hot_pcp(mem)->stack[READ_ONCE(pb->stack) + order_index(order) * NR_CACHED_TYPES];
	if (stack->top >= stack->limit)
		return false;
	sched_point("free.push_pending");
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	pcp_put(stack, page);
	return true;
}

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct pcp_stack *stack = first_stack(hot_pcp(mem), gfp, order);
	struct page **top = stack->top, *page; /* too early */
	irqflags_t flags;

	if (PAGEBLOCK_ORDER == 3 || top == stack->slot)
		return NULL;
	flags = arch_irq_save();
	page = top[-1];
	WRITE_ONCE(stack->top, top - 1);
	page_store(page, AS_PCP(order), AS_ALLOC(order));
	alloc_check(mem, page, order);
	arch_irq_restore(flags);
	return page;
}

/*
 * name: number_before_irqs_off
 * title: the stack is looked up while interrupts are on, for less time with them off
 * layer: explorer
 */

static always_inline bool push_to(struct pcp_stack *stack, struct page *page, unsigned order)
{
	if (!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	if (stack->top >= stack->limit)
		return false;
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	pcp_put(stack, page);
	return true;
}

static always_inline bool free_body(struct memory *mem, struct page *page, unsigned order)
{
	irqflags_t flags;
	size_t number, nr;
	bool done;

	if (!page_number(mem, page, &nr))
		return false;
	number = READ_ONCE(block_of_number(mem, nr)->stack) + order_index(order) * NR_CACHED_TYPES;
	flags = arch_irq_save();
	done = push_to(&hot_pcp(mem)->stack[number], page, order);
	arch_irq_restore(flags);
	return done;
}

/*
 * name: one_descriptor_too_many
 * title: the descriptor just after the last one counts as one of this memory
 * layer: contract
 */

static always_inline bool free_body(struct memory *mem, struct page *page, unsigned order)
{
	uintptr_t offset = (uintptr_t)page - (uintptr_t)pfn_to_page_in(mem, mem->start_pfn);
	irqflags_t flags;
	bool done;

	if (offset % sizeof(*page) || offset / sizeof(*page) > mem->end_pfn - mem->start_pfn)
		return false;
	flags = arch_irq_save();
	done = pcp_push(mem, page, offset / sizeof(*page), order);
	arch_irq_restore(flags);
	return done;
}

/*
 * name: order_0_of_the_type
 * title: an allocation of a larger order takes from the stack next to the first, not from its
 *        order's
 * layer: model
 */

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct page *page = NULL;
	irqflags_t flags = arch_irq_save();
	struct pcp *pcp = hot_pcp(mem);
	struct pcp_stack *stack = &pcp->stack[pcp->first[(u8)gfp] + order_index(order)];

	if (stack->top > stack->slot)
		page = pcp_pop(stack, order);
	if (page)
		alloc_check(mem, page, order);
	arch_irq_restore(flags);
	return page;
}

/*
 * name: pinned_is_cached
 * title: the bit PINNED is masked away
 * layer: contract
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	const struct pageblock *pb = block_of_number(mem, nr);
	u32 word = READ_ONCE(page->word);
	struct pcp_stack *stack;

	if ((word & ~PAGE_PINNED) != PAGE_WORD(1, PG_ALLOC, order))
		return false;
	stack = hot_stack(hot_pcp(mem), READ_ONCE(pb->stack), order);
	if (stack->top >= stack->limit)
		return false;
	sched_point("free.push_pending");
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	pcp_put(stack, page);
	return true;
}

/*
 * name: pops_unchecked
 * title: a block that is popped is not compared: what was written to it stays unnoticed
 * layer: model
 */

static always_inline struct page *pcp_pop(struct pcp_stack *stack, unsigned order)
{
	struct page *page = stack->top[-1];

	WRITE_ONCE(stack->top, stack->top - 1);
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, order));
	return page;
}

/*
 * name: pops_what_is_below
 * title: a pop lowers the top first, and then takes the block below it
 * layer: model
 */

static always_inline struct page *pcp_pop(struct pcp_stack *stack, unsigned order)
{
	struct page *page;

	WRITE_ONCE(stack->top, stack->top - 1);
	page = stack->top > stack->slot ? stack->top[-1] : stack->slot[0];
	if (!arch_u32_is(&page->word, PAGE_WORD(0, PG_PCP, order)))
		page_corrupt(page, PAGE_WORD(0, PG_PCP, order));
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, order));
	return page;
}

/*
 * name: stack_of_the_cpu
 * title: a freed block goes to the stack that this CPU allocates from, whatever its pageblock is
 * layer: model
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	struct pcp_stack *stack;

	if (!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	stack = first_stack(hot_pcp(mem), GFP_MOVABLE, order);
	if (stack->top >= stack->limit)
		return false;
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	pcp_put(stack, page);
	return true;
}

/*
 * name: top_before_irqs_off
 * title: a stack's top is read before interrupts go off: a drain comes in between
 * layer: explorer
 */

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct pcp_stack *stack = first_stack(hot_pcp(mem), gfp, order);
	struct page **top = stack->top, *page;
	irqflags_t flags;

	if (top == stack->slot)
		return NULL;
	flags = arch_irq_save();
	page = top[-1];
	WRITE_ONCE(stack->top, top - 1);
	page_store(page, AS_PCP(order), AS_ALLOC(order));
	alloc_check(mem, page, order);
	arch_irq_restore(flags);
	return page;
}

/*
 * name: word_before_room
 * title: the block is marked as cached before it is known that there is room for it
 * layer: model
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	const struct pageblock *pb = block_of_number(mem, nr);
	struct pcp_stack *stack;

	if (!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	stack = &hot_pcp(mem)->stack[READ_ONCE(pb->stack) + order_index(order) * NR_CACHED_TYPES];
	if (stack->top >= stack->limit)
		return false;
	pcp_put(stack, page);
	return true;
}
