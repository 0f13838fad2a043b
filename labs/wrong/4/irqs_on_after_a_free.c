/* SPDX-License-Identifier: MIT */
/*
 * title: interrupts are on after a free, even if they were off before
 * layer: contract
 * file: mm/core/pcp_inline.h
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
