/* SPDX-License-Identifier: MIT */
/*
 * page_alloc.c: the code of alloc_pages and free_pages (mm.h): hot paths, slow paths, bad frees.
 *
 * Owns:       pages in state ALLOC, until their owner gives them another state.
 * Locks:      none of its own.
 * Invariants: an allocation never makes a cross-call.
 * Tests:      page_alloc, play_alloc, badinput, free_reasons, zone_locks, events, reclaim, oom,
 *             compact.
 */
#include "mm/direct_inline.h"
#include "mm/entry.h"
#include "mm/event.h"
#include "mm/page.h"
#include "mm/page_assert.h"
#include "mm/pcp_inline.h"
#include "mm/zone.h"
#include <quarry/alloc_check.h>
#include <quarry/sched_point.h>

noinline struct page *zero_block(const struct memory *mem, struct page *page, unsigned order)
{
	memset(page_address_in(mem, page), 0, PAGE_SIZE << order);
	return page;
}

struct page *zero_pages(struct page *page, unsigned order)
{
	return page ? zero_block(&kernel_memory, page, order) : NULL;
}

/* Requests that the hot paths do not serve: the direct paths come first, then the slow ones. */
static always_inline struct page *alloc_rest(
    struct memory *mem, bool own, gfp_t gfp, unsigned order)
{
	struct page *page =
	    own ? direct_alloc(mem, true, gfp, order) : alloc_direct(mem, gfp, order);

	if (unlikely(!page))
		return alloc_slow(mem, gfp, order);
	return unlikely(gfp & GFP_ZERO) ? zero_block(mem, page, order) : page;
}

static always_inline int free_rest(struct memory *mem, bool own, struct page *page, unsigned order)
{
	bool done = own ? direct_free(mem, true, page, order) : free_direct(mem, page, order);

	return likely(done) ? 0 : free_slow(mem, page, order);
}

/*
 * The hot paths while tracing is on, which also make a record.  They are separate, so that the hot
 * paths without tracing call no function.
 */
static noinline struct page *traced_alloc(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct page *page = alloc_body(mem, false, gfp, order);

	if (!page)
		page = alloc_rest(mem, false, gfp, order);
	else if (gfp & GFP_ZERO)
		zero_block(mem, page, order);
	if (page)
		trace_page(mem, TR_alloc, page_to_pfn_in(mem, page), order);
	return page;
}

static noinline int traced_free(struct memory *mem, struct page *page, unsigned order)
{
	pfn_t pfn = page_to_pfn_in(mem, page);

	/* After the free another CPU may have the page, so the record comes first. */
	if (page)
		trace_page(mem, TR_free, pfn, order);
	return free_body(mem, false, page, order) ? 0 : free_rest(mem, false, page, order);
}

/* Requests that the hot paths of the kernel's own memory do not serve, with the same arguments. */
noinline struct page *alloc_order_past(gfp_t gfp, unsigned order)
{
	if (unlikely(body_tracing(&kernel_memory, true)))
		return traced_alloc(&kernel_memory, gfp, order);
	return alloc_rest(&kernel_memory, true, gfp, order);
}

static noinline int own_free_rest(struct page *page, unsigned order)
{
	return free_rest(&kernel_memory, false, page, order);
}

noinline int free_order_past(struct page *page, unsigned order)
{
	if (unlikely(body_tracing(&kernel_memory, true)))
		return traced_free(&kernel_memory, page, order);
	return free_rest(&kernel_memory, true, page, order);
}

/* The same for blocks of the largest order: here the order is a constant. */
static noinline struct page *alloc_max_past(gfp_t gfp)
{
	return alloc_rest(&kernel_memory, true, gfp & ~GFP_ZERO, MAX_ORDER);
}

static noinline int free_max_past(struct page *page)
{
	return free_rest(&kernel_memory, true, page, MAX_ORDER);
}

/* Make a record for the kernel's own memory, in line. */
static always_inline void own_record(enum trace_kind kind, const struct page *page, unsigned order)
{
	irqflags_t flags = arch_irq_save();
	struct trace_ring *ring = arch_pcp_load_ptr(offsetof(struct pcp, ring), 0);

	if (likely(ring))
		trace_store(ring, kind, page_to_pfn_in(&kernel_memory, page), order, 0);
	arch_irq_restore(flags);
}

/* A pair of functions for each cached order, and a second pair that is used while tracing is on. */
#define INSTANCE(name, order)                                                                      \
	static noinline struct page *traced_alloc_##name(gfp_t gfp)                                \
	{                                                                                          \
		struct page *page = alloc_body(&kernel_memory, true, gfp, (order));                \
                                                                                                   \
		if (unlikely(!page))                                                               \
			return alloc_order_past(gfp, (order));                                     \
		own_record(TR_alloc, page, (order));                                               \
		return page;                                                                       \
	}                                                                                          \
                                                                                                   \
	static noinline int traced_free_##name(struct page *page)                                  \
	{                                                                                          \
		if (unlikely(!page))                                                               \
			return free_order_past(page, (order));                                     \
		own_record(TR_free, page, (order));                                                \
		if (likely(free_body(&kernel_memory, true, page, (order))))                        \
			return 0;                                                                  \
		return own_free_rest(page, (order));                                               \
	}                                                                                          \
                                                                                                   \
	noinline struct page *alloc_##name(gfp_t gfp)                                              \
	{                                                                                          \
		struct page *page;                                                                 \
                                                                                                   \
		CHECKED_ASSERT(!(gfp & GFP_ZERO));                                                 \
		if (unlikely(body_tracing(&kernel_memory, true)))                                  \
			return traced_alloc_##name(gfp);                                           \
		page = alloc_body(&kernel_memory, true, gfp, (order));                             \
		if (likely(page))                                                                  \
			return page;                                                               \
		return (order) == MAX_ORDER ? alloc_max_past(gfp)                                  \
		                            : alloc_order_past(gfp, (order));                      \
	}                                                                                          \
                                                                                                   \
	noinline int free_##name(struct page *page)                                                \
	{                                                                                          \
		if (unlikely(body_tracing(&kernel_memory, true)))                                  \
			return traced_free_##name(page);                                           \
		if (likely(free_body(&kernel_memory, true, page, (order))))                        \
			return 0;                                                                  \
		return (order) == MAX_ORDER ? free_max_past(page)                                  \
		                            : free_order_past(page, (order));                      \
	}
INSTANCE(order0, 0)
INSTANCE(order1, 1)
INSTANCE(order2, 2)
INSTANCE(order3, 3)
INSTANCE(order_max, MAX_ORDER)
BUILD_ASSERT(NR_SMALL_CACHED == 4);

static noinline struct page *zeroed_alloc(gfp_t gfp, unsigned order)
{
	return zero_pages(alloc_order_any(gfp & ~GFP_ZERO, order), order);
}

struct page *alloc_order_any(gfp_t gfp, unsigned order)
{
	if (likely(!(order | (gfp & GFP_ZERO))))
		return alloc_order0(gfp);
	if (unlikely(gfp & GFP_ZERO))
		return zeroed_alloc(gfp, order);
	switch (order) {
	case 1: return alloc_order1(gfp);
	case 2: return alloc_order2(gfp);
	case 3: return alloc_order3(gfp);
	default: return order == MAX_ORDER ? alloc_order_max(gfp) : alloc_order_past(gfp, order);
	}
}

int free_order_any(struct page *page, unsigned order)
{
	if (likely(!order))
		return free_order0(page);
	switch (order) {
	case 1: return free_order1(page);
	case 2: return free_order2(page);
	case 3: return free_order3(page);
	default: return order == MAX_ORDER ? free_order_max(page) : free_order_past(page, order);
	}
}

struct page *mem_alloc_pages(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct page *page;

	if (unlikely(body_tracing(mem, false)))
		return traced_alloc(mem, gfp, order);
	page = alloc_body(mem, false, gfp, order);
	if (unlikely(!page))
		return alloc_rest(mem, false, gfp, order);
	if (unlikely(gfp & GFP_ZERO))
		return zero_block(mem, page, order);
	return page;
}

int mem_free_pages(struct memory *mem, struct page *page, unsigned order)
{
	if (unlikely(body_tracing(mem, false)))
		return traced_free(mem, page, order);
	if (likely(free_body(mem, false, page, order)))
		return 0;
	return free_rest(mem, false, page, order);
}

/*
 * Never a cross-call from here, and never the CPU hotplug lock.  A cross-call can deadlock: if its
 * caller holds a lock that the other CPU waits for, or if both CPUs wait for answers.  Without the
 * hotplug lock, a CPU could go offline before the interrupt reaches it; with it, an allocation of
 * the thread that holds this lock would wait for itself.  Under pressure every CPU would interrupt
 * every other, for pages that hardly ever decide the outcome.  The reclaim thread drains the other
 * CPUs' caches: it holds no locks, and makes one round for all waiters.
 */
struct page *alloc_slow(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct mm_task *task = port_task();
	struct page *page;

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
	page = alloc_from_zonelist(mem, gfp, order);
	if (!page && order > 0) {
		/* This CPU's cached pages may be all that keeps a larger block from merging. */
		MM_EVENT(mem, ALLOC_DRAIN_LOCAL);
		drain_local_pages(mem, NULL);
		page = alloc_from_zonelist(mem, gfp, order);
	}
	if (!page && !(gfp & GFP_NOWAIT) && may_sleep())
		page = alloc_wait(mem, gfp, order);
	CHECKED_ASSERT(task->in_alloc > 0);
	task->in_alloc--;
	if (!page) {
		MM_EVENT(mem, ALLOC_FAIL);
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

/*
 * A free that the hot path did not serve: the stack is full or off, the order is not cached, or the
 * free is wrong.  A wrong free is refused here; a right one is passed to pcp_free_slow.
 */
int free_slow(struct memory *mem, struct page *page, unsigned order)
{
	uintptr_t offset = (uintptr_t)page - (uintptr_t)mem->memmap;
	u32 word;

	if (!page || offset % sizeof(struct page) || !pfn_valid_in(mem, page_to_pfn_in(mem, page)))
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

static always_inline unsigned long alloc_bulk(
    struct memory *mem, bool own, gfp_t gfp, unsigned long nr, struct page **pages)
{
	unsigned long got = 0, i;

	while (got < nr) {
		unsigned long end = MIN(nr, got + BULK_CHUNK), start = got;
		irqflags_t flags = arch_irq_save();

		got += pcp_pop_many(body_pcp(mem, own), gfp, pages + got, end - got);
		arch_irq_restore(flags);
		if (got < end && nr - got > PCP_BATCH)
			got += alloc_direct_many(mem, gfp, nr - got, pages + got);
		for (i = start; i < got; i++)
			alloc_check(mem, pages[i], 0);
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
	if (unlikely(body_tracing(mem, own)))
		trace_bulk(mem, TR_alloc, pages, got);
	return got;
}

static always_inline unsigned long free_bulk(
    struct memory *mem, bool own, unsigned long nr, struct page **pages)
{
	unsigned long done = 0, refused = 0;

	if (unlikely(body_tracing(mem, own)))
		trace_bulk(mem, TR_free, pages, nr);
	while (done < nr) {
		unsigned long end = MIN(nr, done + BULK_CHUNK);
		irqflags_t flags = arch_irq_save();

		done += pcp_push_many(mem, own, pages + done, end - done);
		arch_irq_restore(flags);
		if (done < end && nr - done > PCP_BATCH)
			done += free_direct_many(mem, nr - done, pages + done);
		if (done >= end)
			continue;
		if (free_slow(mem, pages[done], 0))
			refused++;
		done++;
	}
	return refused;
}

unsigned long alloc_pages_bulk(gfp_t gfp, unsigned long nr, struct page **pages)
{
	return alloc_bulk(&kernel_memory, true, gfp, nr, pages);
}

unsigned long free_pages_bulk(unsigned long nr, struct page **pages)
{
	return free_bulk(&kernel_memory, true, nr, pages);
}

unsigned long mem_alloc_pages_bulk(
    struct memory *mem, gfp_t gfp, unsigned long nr, struct page **pages)
{
	return alloc_bulk(mem, false, gfp, nr, pages);
}

unsigned long mem_free_pages_bulk(struct memory *mem, unsigned long nr, struct page **pages)
{
	return free_bulk(mem, false, nr, pages);
}
