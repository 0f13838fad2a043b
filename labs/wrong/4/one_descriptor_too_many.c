/* SPDX-License-Identifier: MIT */
/*
 * title: the descriptor just after the last one counts as one of this memory
 * layer: contract
 * file: mm/core/pcp_inline.h
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
