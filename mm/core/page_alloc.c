/* SPDX-License-Identifier: MIT */
/*
 * page_alloc.c: the code of alloc_pages and free_pages (mm.h): fast paths, slow paths, bad frees.
 *
 * Owns:       pages in state ALLOC, until their owner gives them another state.
 * Locks:      none of its own.
 * Invariants: an allocation never makes a cross-call.
 * Tests:      page_alloc, play_alloc, badinput, zone_locks, reclaim, oom, compact.
 */
#include "mm/core/drain.h"
#include "mm/core/event.h"
#include "mm/core/pcp_inline.h"

noinline struct page *zero_block(const struct memory *mem, struct page *page, unsigned order)
{
	memset(page_address_in(mem, page), 0, PAGE_SIZE << order);
	return page;
}

static always_inline struct page *alloc_any(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct page *page =
	    order_index(order) < NR_CACHED_ORDERS ? alloc_body(mem, gfp, order) : NULL;

	if (unlikely(!page))
		return alloc_slow(mem, gfp, order);
	return unlikely(gfp & GFP_ZERO) ? zero_block(mem, page, order) : page;
}

static noinline struct page *alloc_recorded(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct page *page = alloc_any(mem, gfp, order);

	if (page)
		trace_page(mem, TR_alloc, page_to_pfn_in(mem, page), order);
	return page;
}

struct page *mem_alloc_page(struct memory *mem, gfp_t gfp)
{
	struct page *page;

	if (unlikely(READ_ONCE(mem->tracing)))
		return alloc_recorded(mem, gfp, 0);
	page = alloc_body(mem, gfp, 0);
	return likely(page) ? page : alloc_slow(mem, gfp, 0);
}

struct page *mem_alloc_pages(struct memory *mem, gfp_t gfp, unsigned order)
{
	if (!(order | (gfp & GFP_ZERO)))
		return mem_alloc_page(mem, gfp);
	if (unlikely(READ_ONCE(mem->tracing)))
		return alloc_recorded(mem, gfp, order);
	return alloc_any(mem, gfp, order);
}

static always_inline int free_any(struct memory *mem, struct page *page, unsigned order)
{
	if (order_index(order) < NR_CACHED_ORDERS && likely(free_body(mem, page, order)))
		return 0;
	return free_slow(mem, page, order);
}

/* After the free another CPU may have the page, so the record comes first. */
static noinline int free_recorded(struct memory *mem, struct page *page, unsigned order)
{
	size_t nr;

	if (page_number(mem, page, &nr))
		trace_page(mem, TR_free, mem->start_pfn + nr, order);
	return free_any(mem, page, order);
}

int mem_free_page(struct memory *mem, struct page *page)
{
	if (unlikely(READ_ONCE(mem->tracing)))
		return free_recorded(mem, page, 0);
	return likely(free_body(mem, page, 0)) ? 0 : free_slow(mem, page, 0);
}

int mem_free_pages(struct memory *mem, struct page *page, unsigned order)
{
	if (!order)
		return mem_free_page(mem, page);
	if (unlikely(READ_ONCE(mem->tracing)))
		return free_recorded(mem, page, order);
	return free_any(mem, page, order);
}

/*
 * Never a cross-call from here, and never the CPU hotplug lock.  A cross-call can deadlock: its
 * caller may hold a lock that the other CPU waits for, or both CPUs may wait for answers.  Without
 * the hotplug lock, a CPU could go offline before the interrupt reaches it; with it, an allocation
 * of the thread that holds this lock would wait for itself.  Under pressure every CPU would
 * interrupt every other, for pages that hardly ever decide the outcome.  The reclaim thread drains
 * the other CPUs' caches: it holds no locks, and makes one round for all waiters.
 */
struct page *alloc_slow(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct page *page = alloc_uncached(mem, gfp, order);
	struct mm_task *task = port_task();

	if (page)
		return gfp & GFP_ZERO ? zero_block(mem, page, order) : page;
	MM_EVENT(mem, ALLOC_SLOW);
	if (order > MAX_ORDER) {
		MM_EVENT(mem, ALLOC_BAD_ORDER);
		MM_EVENT(mem, ALLOC_FAIL);
		return NULL;
	}
	/* An interrupt handler may not use the reserve of the thread that it interrupts. */
	if (READ_ONCE(task->reserve) && !arch_in_interrupt())
		gfp |= GFP_ALL_RESERVE;
	task->in_alloc++;
	page = alloc_from_zonelist(memory_node(mem, arch_cpu_id()), gfp, order);
	if (!page && order > 0) {
		/* This CPU's cached pages may be all that keeps a larger block from merging. */
		MM_EVENT(mem, ALLOC_DRAIN_LOCAL);
		drain_local_pages(mem, NULL);
		page = alloc_from_zonelist(memory_node(mem, arch_cpu_id()), gfp, order);
	}
	if (!page && mem->reclaim && !(gfp & GFP_NOWAIT) && may_sleep())
		page = mem->reclaim->wait(mem, gfp, order);
	/* A reclaim thread does what it can already, and an OOM victim exits. */
	if (!page && mem->reclaim && !(gfp & GFP_ALL_RESERVE))
		mem->reclaim->wish(mem, gfp, order);
	CHECKED_ASSERT(task->in_alloc > 0);
	task->in_alloc--;
	if (!page) {
		MM_EVENT(mem, ALLOC_FAIL);
		CHECKED_ASSERT(!mem->reclaim || !mem->reclaim->refused || gfp & GFP_ALL_RESERVE ||
		    mem->reclaim->refused(mem, gfp, order));
		if (gfp & GFP_NOWAIT)
			MM_EVENT(mem, ALLOC_ATOMIC_FAIL);
		return NULL;
	}
	if (gfp & GFP_ZERO)
		zero_block(mem, page, order);
	return page;
}

int bad_free(struct memory *mem, const struct page *page, unsigned order, const char *why)
{
	uintptr_t first = (uintptr_t)pfn_to_page_in(mem, mem->start_pfn);
	uintptr_t end = (uintptr_t)pfn_to_page_in(mem, mem->end_pfn);
	bool ours = (uintptr_t)page >= first && (uintptr_t)page < end;

	MM_EVENT(mem, BAD_FREE);
	if (mem->badpage_panic) {
		if (ours)
			panic_blame(mem, page);
		panic("bad free of page %p, order %u: %s", (const void *)page, order, why);
	}
	if (!ours) {
		printk("bad free: %s: page %p is not of this memory\n", why, (const void *)page);
	} else {
		dump_page(mem, page_to_pfn_in(mem, page), "bad free");
		printk("bad free: %s, order %u\n", why, order);
		trace_history(mem, page_to_pfn_in(mem, page));
		trace_page(mem, TR_bad_free, page_to_pfn_in(mem, page), 0);
	}
	return -EINVAL;
}

/* Refuse a wrong free; pass any other, which the fast path did not serve, to pcp_free_slow. */
int free_slow(struct memory *mem, struct page *page, unsigned order)
{
	size_t nr;
	u32 word;

	if (free_uncached(mem, page, order))
		return 0;
	if (!page_number(mem, page, &nr) || !pfn_valid_in(mem, mem->start_pfn + nr))
		return bad_free(mem, page, order, "no such page");
	word = block_word(mem, page_to_pfn_in(mem, page));
	if (order > MAX_ORDER)
		return bad_free(mem, page, order, "no such order");
	if (pageblock_state(pageblock_of(mem, page_to_pfn_in(mem, page))) != PB_ONLINE)
		return bad_free(mem, page, order, "page is offline");
	switch (word_state(word)) {
	case PG_ALLOC: break;
	case PG_FREE:
	case PG_PCP:
	case PG_FREEING: return bad_free(mem, page, order, "double free");
	case PG_TAIL: return bad_free(mem, page, order, "not the head of an allocated block");
	case PG_RESERVED:
	case PG_SLAB:
	case PG_PGTABLE:
	case PG_OBJECT:
	case PG_MOVABLE_OPS:
	case PG_LRU:
	case PG_ISO_MIG:
	case PG_BALLOON:
	case PG_HWPOISON:
	case NR_PAGE_STATES:
		return bad_free(mem, page, order, "not allocated by alloc_pages, or still in use");
	}
	if (word_order(word) != order)
		return bad_free(mem, page, order, "wrong order");
	if ((word & ~(PAGE_PINNED | PAGE_POISON)) != PAGE_WORD(1, PG_ALLOC, order))
		return bad_free(mem, page, order, "page still referenced or flagged");
	/* The one reference is a pin's: the owner has released the page already. */
	if (word & PAGE_PINNED && READ_ONCE(page->pincount))
		return bad_free(mem, page, order, "page still pinned");
	if (!pcp_free_slow(mem, page, order, word))
		return bad_free(mem, page, order, "freed by two CPUs at once");
	return 0;
}

/* Pages that the bulk functions move in one interrupt-off section. */
#define BULK_CHUNK 64

unsigned long mem_alloc_pages_bulk(
    struct memory *mem, gfp_t gfp, unsigned long nr, struct page **pages)
{
	unsigned long got = 0, i;

	while (got < nr) {
		unsigned long end = MIN(nr, got + BULK_CHUNK), start = got;
		irqflags_t flags = arch_irq_save();

		got += pcp_pop_many(mem, gfp, pages + got, end - got);
		arch_irq_restore(flags);
		if (gfp & GFP_ZERO) {
			for (i = start; i < got; i++)
				zero_block(mem, pages[i], 0);
		}
		if (got >= end)
			continue;
		/* This refills the stack too, with one lock hold for each batch. */
		pages[got] = alloc_slow(mem, gfp, 0);
		if (!pages[got])
			break;
		got++;
	}
	if (unlikely(READ_ONCE(mem->tracing)))
		trace_bulk(mem, TR_alloc, pages, got);
	return got;
}

unsigned long mem_free_pages_bulk(struct memory *mem, unsigned long nr, struct page **pages)
{
	unsigned long done = 0, refused = 0;

	if (unlikely(READ_ONCE(mem->tracing)))
		trace_bulk(mem, TR_free, pages, nr);
	while (done < nr) {
		unsigned long end = MIN(nr, done + BULK_CHUNK);
		irqflags_t flags = arch_irq_save();

		done += pcp_push_many(mem, pages + done, end - done);
		arch_irq_restore(flags);
		if (done >= end)
			continue;
		if (free_slow(mem, pages[done], 0))
			refused++;
		done++;
	}
	return refused;
}
