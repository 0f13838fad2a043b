/* SPDX-License-Identifier: MIT */
/*
 * put_page.c: dropping references; the last one frees the page, alone or with others.
 *
 * Owns:       pages in state FREEING, between the drop of the last reference and the free.
 * Locks:      the zone lock, for at most PUT_MANY pages at a time.
 * Invariants: the last put makes the page FREEING, held by the putting thread, or puts it into the
 *             cache in the same step.  As in pcp_free_slow the word is read again under the zone
 *             lock, so that poison flags set meanwhile are noticed.
 * Tests:      page, step_core, badinput, events, migrate, poison_race.
 */
#include "mm/core/buddy.h"
#include "mm/core/pcp_inline.h"

/*
 * Put a page of order 0, in state ALLOC, never pinned, whose reference is the last, into the stack
 * of its pageblock.  This is pcp_push, but the word changes by compare-and-swap, because only that
 * tells whether the reference is the last.  It fails if the page was flagged as broken first.
 * False: take the slow path.
 */
static always_inline bool put_body(struct memory *mem, struct page *page)
{
	irqflags_t flags = arch_irq_save();
	const struct pageblock *pb = pageblock_of(mem, page_to_pfn_in(mem, page));
	struct pcp_stack *stack = &hot_pcp(mem)->stack[READ_ONCE(pb->stack)]; /* rule 1 */
	bool done = stack->top < stack->limit &&                              /* rules 2 and 3 */
	    !page->mapcount &&
	    atomic_cas(&page->word, PAGE_WORD(1, PG_ALLOC, 0), PAGE_WORD(0, PG_PCP, 0));

	if (likely(done))
		pcp_put(stack, page);
	arch_irq_restore(flags);
	return done;
}

int put_page(struct page *page)
{
	if (unlikely(READ_ONCE(kernel_memory.tracing)) || unlikely(!put_body(&kernel_memory, page)))
		return mem_put_page(&kernel_memory, page);
	return 0;
}

/* States whose pages a scanner may find and take, as long as they have an owner. */
#define STATES_FOUND (TO(MOVABLE_OPS) | TO(BALLOON) | TO(LRU) | TO(OBJECT))

/*
 * Drop a reference without freeing.  If it was the last one, *@freeing is the page's new word,
 * FREEING, and the caller now holds the page; otherwise it is 0.
 */
static int put_reference(struct memory *mem, struct page *page, u32 *freeing)
{
	u32 word, next;

	sched_point("put.begin");
	do {
		/* The last holder sees what the others did before they dropped their references. */
		word = load_acquire(&page->word);
		sched_point("put.read");
		if (word_ref(word) == 0)
			return bad_free(
			    mem, page, word_order(word), "put of a page without references");
		if (word_ref(word) > 1) {
			next = word - 1;
			continue;
		}
		if (!(STATES_HELD >> word_state(word) & 1))
			return bad_free(
			    mem, page, word_order(word), "last put of what a put does not free");
		/* This is the last reference: nobody can find the page, so these fields stay. */
		if (page->mapcount || READ_ONCE(page->pincount) || (word & PAGE_LOCKED) ||
		    (page->owner && STATES_FOUND >> word_state(word) & 1)) {
			/* The page is not freed: it stays in its state for ever. */
			MM_EVENT(mem, QUARANTINED);
			return bad_free(mem, page, word_order(word), "last put of a page in use");
		}
		next = PAGE_WORD(0, PG_FREEING, word_order(word)) | (word & PAGE_POISON);
	} while (!atomic_cas(&page->word, word, next));
	*freeing = word_state(next) == PG_FREEING ? next : 0;
	return 0;
}

int mem_put_page(struct memory *mem, struct page *page)
{
	u32 freeing;
	int err = put_reference(mem, page, &freeing);

	if (!err && freeing) {
		trace_page(mem, TR_put, page_to_pfn_in(mem, page), word_order(freeing));
		sched_point("put.zero");
		if (!pcp_free_slow(mem, page, word_order(freeing), freeing))
			page_corrupt(page, freeing);
	}
	return err;
}

void mem_unpin_page(struct memory *mem, struct page *page)
{
	/* With irqs off: check_memory stops no CPU between the change of pincount and the put. */
	irqflags_t flags = arch_irq_save();

	PAGE_ASSERT(mem, page, READ_ONCE(page->pincount) > 0);
	atomic_sub(&page->pincount, 1);
	mem_put_page(mem, page);
	arch_irq_restore(flags);
}

/*
 * The order of the largest block that begins with pages[0] and consists of the next pages: side by
 * side, of order 0, FREEING and not flagged.
 */
static unsigned order_of_run(pfn_t pfn, struct page **pages, unsigned nr)
{
	const u32 word = PAGE_WORD(0, PG_FREEING, 0);
	unsigned order = 0, run = 0;

	while (order < MAX_ORDER && !(pfn >> order & 1) && 2U << order <= nr) {
		while (run < 2U << order && pages[run] == pages[0] + run &&
		    page_word(pages[run]) == word)
			run++;
		if (run < 2U << order)
			break;
		order++;
	}
	return order;
}

/* Free pages[0] and the pages that form a larger block with it, all FREEING; returns how many. */
static unsigned free_run(struct zone *zone, struct page **pages, unsigned nr) REQUIRES_ZONE(zone)
{
	pfn_t pfn = page_to_pfn_in(zone->mem, pages[0]);
	unsigned order = order_of_run(pfn, pages, nr), i;

	if (!order) {
		buddy_free(zone, pfn, word_order(page_word(pages[0])));
		return 1;
	}
	for (i = 1; i < 1U << order; i++)
		WRITE_ONCE(pages[i]->word, 0);
	if (pageblock_isolated(pageblock_of(zone->mem, pfn)))
		MM_EVENT_ADD(zone->mem, FREE_ISOLATED, i - 1);
	buddy_free(zone, pfn, order);
	return i;
}

/* Blocks given back in one lock hold; each may merge up to a pageblock. */
#define FREE_STEPS 6

/* Free pages of one zone from @first on, as many as one lock hold takes; returns how many. */
static unsigned free_freeing(struct memory *mem, struct page **first, unsigned nr)
{
	struct zone *zone = zone_of(mem, page_to_pfn_in(mem, *first));
	irqflags_t flags = zone_lock_irqsave(zone);
	unsigned i = 0, steps;

	for (steps = 0; i < nr && steps < FREE_STEPS; steps++) {
		pfn_t pfn = page_to_pfn_in(mem, first[i]);
		u32 word = page_word(first[i]);

		if (zone_of(mem, pfn) != zone)
			break;
		PAGE_ASSERT(mem, first[i], word_state(word) == PG_FREEING && !word_ref(word));
		if (unlikely(word & PAGE_POISON)) {
			poison_free_block(zone, pfn, word_order(word));
			i++;
		} else {
			i += free_run(zone, first + i, nr - i);
		}
	}
	zone_unlock_irqrestore(zone, flags);
	MM_EVENT_ADD(mem, FREE_UNCACHED, i);
	return i;
}

/*
 * A fast path for the last put of a page that its object has released, with no flag besides those
 * in `may'.  False: use put_reference.  What is read too early here can only be a use that ended.
 */
static always_inline bool put_released(struct page *page)
{
	u32 word = page_word(page), may = PAGE_DIRTY | PAGE_REFERENCED | PAGE_ACTIVE;

	sched_point("put.read");
	return (word & ~may) == PAGE_WORD(1, PG_LRU, 0) && !page->mapcount &&
	    !READ_ONCE(page->pincount) && !page->owner &&
	    atomic_cas(&page->word, word, PAGE_WORD(0, PG_FREEING, 0));
}

void put_many(struct memory *mem, struct page **pages, unsigned nr)
{
	unsigned i, last = 0, orders = 0;
	u32 freeing = 0;

	KASSERT(nr <= PUT_MANY);
	for (i = 0; i < nr; i++) {
		if (likely(put_released(pages[i]))) {
			pages[last++] = pages[i];
		} else if (!put_reference(mem, pages[i], &freeing) && freeing) {
			orders |= word_order(freeing);
			pages[last++] = pages[i];
		}
	}
	if (orders)
		trace_pages(mem, TR_put, pages, last);
	else
		trace_blocks(mem, TR_put, pages, last, 0);
	sched_point("put.many");
	for (i = 0; i < last;)
		i += free_freeing(mem, pages + i, last - i);
}
