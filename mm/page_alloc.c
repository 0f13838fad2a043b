/* SPDX-License-Identifier: MIT */
/*
 * page_alloc.c: the front door: alloc_pages and free_pages, their slow paths, and bad frees.
 *
 * Owns:       the order in which an allocation tries things.
 * Locks:      none of its own.
 * Invariants: an allocation never makes a cross-call; it holds no lock while it waits.
 * Tests:      page_alloc, play_alloc, badinput, free_reasons, zone_locks, events, reclaim, oom,
 *             compact.
 */
#include "mm/pcp_body.h"

struct memory kernel_memory;

noinline struct page *zero_block(const struct memory *mem, struct page *page, unsigned order)
{
	memset(page_address_in(mem, page), 0, PAGE_SIZE << order);
	return page;
}

/* The hot paths while tracing is on: the same, and a record; apart, so that those stay leaves. */
static noinline struct page *traced_alloc(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct page *page = alloc_body(mem, false, gfp, order);

	if (page)
		trace_page(mem, TR_alloc, page_to_pfn_in(mem, page), order);
	return page;
}

static noinline int traced_free(struct memory *mem, struct page *page, unsigned order)
{
	pfn_t pfn = page_to_pfn_in(mem, page);

	/* Before the free: a moment later another CPU may have it. */
	if (page)
		trace_page(mem, TR_free, pfn, order);
	return free_body(mem, false, page, order) ? 0 : free_slow(mem, page, order);
}

struct page *alloc_pages(gfp_t gfp, unsigned order)
{
	if (unlikely(body_tracing(&kernel_memory, true)))
		return traced_alloc(&kernel_memory, gfp, order);
	return alloc_body(&kernel_memory, true, gfp, order);
}

int free_pages(struct page *page, unsigned order)
{
	if (unlikely(body_tracing(&kernel_memory, true)))
		return traced_free(&kernel_memory, page, order);
	if (likely(free_body(&kernel_memory, true, page, order)))
		return 0;
	return free_slow(&kernel_memory, page, order);
}

struct page *mem_alloc_pages(struct memory *mem, gfp_t gfp, unsigned order)
{
	if (unlikely(body_tracing(mem, false)))
		return traced_alloc(mem, gfp, order);
	return alloc_body(mem, false, gfp, order);
}

int mem_free_pages(struct memory *mem, struct page *page, unsigned order)
{
	if (unlikely(body_tracing(mem, false)))
		return traced_free(mem, page, order);
	if (likely(free_body(mem, false, page, order)))
		return 0;
	return free_slow(mem, page, order);
}

struct page *alloc_from_zonelist(struct memory *mem, gfp_t gfp, unsigned order)
{
	unsigned cpu_node = arch_cpu_node(arch_cpu_id()), i;
	const struct node *node = &mem->nodes[cpu_node < mem->nr_nodes ? cpu_node : 0];
	enum zone_kind kind = gfp_kind(gfp);

	for (i = 0; i < load_acquire(&node->nr_zones[kind]); i++) {
		struct zone *zone = &mem->zones[load_acquire(&node->zonelist[kind][i])];
		struct page *page;

		if ((gfp & GFP_THISNODE) && zone->node != node->id)
			continue;
		if (unlikely(READ_ONCE(zone->futile)))
			reclaim_reconsider(zone);
		page = pcp_alloc_zone(zone, gfp, order, zone->kind != kind);
		if (zone_low(zone))
			reclaim_wake(zone);
		if (page)
			return page;
	}
	return NULL;
}

/* What a compaction has made others may take first: then once more, so often. */
#define COMPACT_TRIES 4

/* A high order: the reclaim thread makes room, which takes calls to other CPUs. */
static struct page *alloc_compacted(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct page *page = NULL;
	unsigned try;

	for (try = 0; try < COMPACT_TRIES && !page; try++) {
		MM_EVENT(mem, ALLOC_COMPACT_WAIT);
		if (!reclaim_wait_compact(mem, gfp, order))
			break;
		page = alloc_from_zonelist(mem, gfp, order);
	}
	return page;
}

/* What keeps an allocation from trying for ever to free pages for a block that does not come together. */
#define RECLAIM_TURNS 16

/*
 * Nothing was free.  In this order, until there is a page: reclaim, as long as it frees anything
 * that the request can use (for a larger block a few times only: what is freed need not lie
 * together); compaction, for a larger block; a drain; standby memory that another thread's lock
 * keeps offline; the last resort.  For one page the first loop has no other bound: in each of its
 * turns pages that would do were freed, and other requests were served with them.
 */
static struct page *alloc_wait(struct memory *mem, gfp_t gfp, unsigned order)
{
	const u32 *reserve = &port_task()->reserve;
	struct oom_seen seen = {.runs = 0};
	struct page *page = NULL;
	bool again = true;

	while (!page && again) {
		unsigned turns = 0;
		int brought = 0;
		bool freed;

		oom_begin(mem, &seen);
		do {
			freed = reclaim_direct(mem, gfp, order);
			page = alloc_from_zonelist(mem, gfp, order);
		} while (!page && freed && (order == 0 || ++turns < RECLAIM_TURNS));
		/* Chosen to die meanwhile: no more waiting. */
		if (!page && READ_ONCE(*reserve))
			return alloc_from_zonelist(mem, gfp | GFP_ALL_RESERVE, order);
		if (!page && order > 0 && !(gfp & GFP_NORETRY))
			page = alloc_compacted(mem, gfp, order);
		if (!page) {
			MM_EVENT(mem, ALLOC_DRAIN_WAIT);
			sched_point("slow.drain_wait");
			if (reclaim_wait_drain(mem))
				page = alloc_from_zonelist(mem, gfp, order);
		}
		if (!page && !(gfp & GFP_NORETRY))
			brought = reclaim_wait_standby(mem, gfp, order);
		if (brought < 0)
			return NULL;
		if (!page && !brought)
			page = oom_alloc(mem, gfp, order, &seen, &again);
	}
	return page;
}

/*
 * Never a cross-call from here, and never the CPU hotplug lock: a CPU that waits for an answer while
 * it holds what the asked CPU waits for (or while both wait) is a deadlock; a CPU may leave between the
 * look at the mask and the interrupt; the hotplug thread itself allocates; and under pressure every
 * CPU would interrupt every other for pages that are hardly ever what decides.  What is stuck in other
 * caches is fetched by the reclaim thread, which holds nothing and asks once for all who wait.
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
	/* An interrupt does not allocate for the thread that it interrupts. */
	if (READ_ONCE(task->reserve) && !arch_in_interrupt())
		gfp |= GFP_ALL_RESERVE;
	task->in_alloc++;
	page = alloc_from_zonelist(mem, gfp, order);
	if (!page && order > 0) {
		/* What this CPU caches may be all that keeps a larger block from merging. */
		MM_EVENT(mem, ALLOC_DRAIN_LOCAL);
		drain_local_pages(mem, NULL);
		page = alloc_from_zonelist(mem, gfp, order);
	}
	if (!page && !(gfp & GFP_NOWAIT) && may_sleep())
		page = alloc_wait(mem, gfp, order);
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

/* A free that the fast path did not take: full or off, no cached order, or wrong. */
int free_slow(struct memory *mem, struct page *page, unsigned order)
{
	uintptr_t offset = (uintptr_t)page - (uintptr_t)mem->memmap;
	u32 word;

	if (!page || offset % sizeof(struct page) || !pfn_valid_in(mem, page_to_pfn_in(mem, page)))
		return bad_free(mem, page, order, "no such page");
	word = page_word(page);
	if (order > MAX_ORDER)
		return bad_free(mem, page, order, "no such order");
	if (pageblock_state(pageblock_of(mem, page_to_pfn_in(mem, page))) != PB_ONLINE)
		return bad_free(mem, page, order, "page is offline");
	switch (word_state(word)) {
	case PG_ALLOC:
		break;
	case PG_FREE:
	case PG_PCP:
	case PG_FREEING:
		return bad_free(mem, page, order, "double free");
	case PG_TAIL:
		return bad_free(mem, page, order, "not the head of an allocated block");
	default:
		return bad_free(mem, page, order, "not allocated by alloc_pages, or still in use");
	}
	if (word_order(word) != order)
		return bad_free(mem, page, order, "wrong order");
	if ((word & ~(PAGE_PINNED | PAGE_POISON)) != PAGE_WORD(1, PG_ALLOC, order))
		return bad_free(mem, page, order, "page still referenced or flagged");
	/* The one reference is the pin's: its owner has let go of it already. */
	if (word & PAGE_PINNED && READ_ONCE(page->pincount))
		return bad_free(mem, page, order, "page still pinned");
	if (!pcp_free_slow(mem, page, order, word))
		return bad_free(mem, page, order, "freed by two CPUs at once");
	return 0;
}

/* Pages moved in one interrupt-off section of the bulk forms. */
#define BULK_CHUNK 32

static always_inline unsigned long alloc_bulk(struct memory *mem, bool own, gfp_t gfp,
    unsigned long nr, struct page **pages)
{
	unsigned long got = 0, i;

	while (got < nr) {
		unsigned long end = MIN(nr, got + BULK_CHUNK), start = got;
		irqflags_t flags = arch_irq_save();
		struct pcp *pcp = body_pcp(mem, own);
		size_t stack = pcp_stack(pcp, gfp, 0), count = body_count(pcp, stack);

		while (got < end && count > 0)
			pages[got++] = pcp_pop(pcp, stack, count--, 0);
		arch_irq_restore(flags);
		for (i = start; i < got; i++)
			alloc_check(mem, pages[i], 0);
		if (gfp & GFP_ZERO) {
			for (i = start; i < got; i++)
				zero_block(mem, pages[i], 0);
		}
		if (got == end)
			continue;
		/* Refills the stack, one lock hold a batch. */
		pages[got] = alloc_slow(mem, gfp, 0);
		if (!pages[got])
			break;
		got++;
	}
	return got;
}

static always_inline unsigned long free_bulk(struct memory *mem, bool own, unsigned long nr,
    struct page **pages)
{
	unsigned long done = 0, refused = 0;

	while (done < nr) {
		unsigned long end = MIN(nr, done + BULK_CHUNK);
		irqflags_t flags = arch_irq_save();

		while (done < end && pages[done] && pcp_push(mem, own, pages[done], 0, 0))
			done++;
		arch_irq_restore(flags);
		if (done == end)
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

unsigned long mem_alloc_pages_bulk(struct memory *mem, gfp_t gfp, unsigned long nr, struct page **pages)
{
	return alloc_bulk(mem, false, gfp, nr, pages);
}

unsigned long mem_free_pages_bulk(struct memory *mem, unsigned long nr, struct page **pages)
{
	return free_bulk(mem, false, nr, pages);
}
