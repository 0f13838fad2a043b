/* SPDX-License-Identifier: MIT */
/*
 * title: names of variables end with an underscore
 * file: mm/core/pcp_inline.h
 */

static always_inline struct page *pcp_pop(struct pcp_stack *stack, unsigned order)
{
	struct page **to_ = stack->top - 1, *value_ = *to_;
	const u32 word_ = PAGE_WORD(1, PG_ALLOC, order);

	if (page_word(value_) != PAGE_WORD(0, PG_PCP, order))
		page_corrupt(value_, PAGE_WORD(0, PG_PCP, order));
	WRITE_ONCE(value_->word, word_);
	WRITE_ONCE(stack->top, to_);
	return value_;
}

static always_inline bool free_body(struct memory *mem, struct page *page, unsigned order)
{
	irqflags_t flags_;
	bool value_ = false;
	size_t nr_;

	if (page_number(mem, page, &nr_)) {
		flags_ = arch_irq_save();
		value_ = pcp_push(mem, page, nr_, order);
		arch_irq_restore(flags_);
	}
	return value_;
}
