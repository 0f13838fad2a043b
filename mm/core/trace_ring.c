/* SPDX-License-Identifier: MIT */
/*
 * trace_ring.c: the recent history of pages.
 *
 * Owns:       struct trace_ring, one for each CPU of a memory.
 * Locks:      none: a CPU writes its own ring with interrupts off; readers read racily, so they may
 *             read a record that is being overwritten.
 * Invariants: a ring keeps the last TRACE_RECORDS records of its CPU.
 * Tests:      trace_ring, words.
 */
#include "mm/core/event.h"

#define HISTORY 12                                       /* records that a report prints */
BUILD_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__); /* for trace_store() */

const char *trace_kind_name(enum trace_kind kind)
{
	static const char *const names[NR_TRACE_KINDS] = {
#define TRACE_TEXT(name) #name,
	    TRACE_KINDS(TRACE_TEXT)
#undef TRACE_TEXT
	};

	return kind < NR_TRACE_KINDS ? names[kind] : "?";
}

struct trace_ring *trace_ring_own(const struct memory *mem)
{
	unsigned cpu = arch_cpu_id();

	return cpu < mem->nr_cpus ? mem->pcp[cpu]->ring : NULL;
}

static always_inline void ring_record(
    struct memory *mem, enum trace_kind kind, pfn_t pfn, unsigned order, u16 blocks)
{
	irqflags_t flags = arch_irq_save();
	struct trace_ring *ring = trace_ring_own(mem);

	if (ring)
		trace_store(ring, kind, pfn, order, blocks);
	arch_irq_restore(flags);
}

void trace_page(struct memory *mem, enum trace_kind kind, pfn_t pfn, unsigned order)
{
	ring_record(mem, kind, pfn, order, 0);
}

/* Are two blocks neighbours: is @step, from one descriptor to the other, @size bytes or -@size? */
static always_inline bool are_neighbours(size_t step, size_t size)
{
	return !((step + size) & ~(2 * size));
}

/* How many blocks, from @pages to @last, lie side by side in the direction of the first two? */
static noinline unsigned side_by_side(struct page *const *pages, struct page *const *last)
{
	struct page *const *at = pages + 1;
	size_t step = (uintptr_t)pages[1] - (uintptr_t)pages[0];

	while (at < last && (uintptr_t)at[1] - (uintptr_t)at[0] == step)
		at++;
	return (unsigned)(at - pages) + 1;
}

static void record_blocks(struct trace_ring *ring, const struct memory *mem, enum trace_kind kind,
    struct page *const *pages, unsigned nr, unsigned order)
{
	struct page *const *last = pages + nr - 1;
	size_t size = sizeof(struct page) << order;
	u64 next = ring->next, now = arch_ticks();
	unsigned run;

	for (; pages < last; next++) {
		struct page *page = pages[0];

		if (likely(!are_neighbours((uintptr_t)pages[1] - (uintptr_t)page, size))) {
			trace_put(ring, next, now, kind, page_to_pfn_in(mem, page), order, 0);
			pages++;
			continue;
		}
		run = side_by_side(pages, last);
		pages += run;
		page = MIN(page, pages[-1]);
		trace_put(ring, next, now, kind, page_to_pfn_in(mem, page), order, (u16)run);
	}
	if (pages == last)
		trace_put(ring, next++, now, kind, page_to_pfn_in(mem, *last), order, 0);
	store_release(&ring->next, next);
}

void trace_blocks(
    struct memory *mem, enum trace_kind kind, struct page **pages, unsigned nr, unsigned order)
{
	irqflags_t flags = arch_irq_save();
	struct trace_ring *ring = trace_ring_own(mem);

	if (ring && nr)
		record_blocks(ring, mem, kind, pages, nr, order);
	arch_irq_restore(flags);
}

void trace_bulk(
    struct memory *mem, enum trace_kind kind, struct page *const *pages, unsigned long nr)
{
	unsigned long i;
	size_t at;

	for (i = 0; i < nr; i++)
		if (page_number(mem, pages[i], &at))
			trace_page(mem, kind, mem->start_pfn + at, 0);
}

void trace_pages(struct memory *mem, enum trace_kind kind, struct page **pages, unsigned nr)
{
	unsigned i, run, order;

	for (i = 0; i < nr; i += run) {
		order = word_order(page_word(pages[i]));
		run = 1;
		while (i + run < nr && word_order(page_word(pages[i + run])) == order)
			run++;
		trace_blocks(mem, kind, pages + i, run, order);
	}
}

void trace_range(struct memory *mem, enum trace_kind kind, pfn_t pfn, unsigned long nr)
{
	KASSERT(!(nr & (PAGEBLOCK_PAGES - 1)));
	while (nr) {
		unsigned long blocks = MIN(nr >> PAGEBLOCK_ORDER, 0xffffUL);

		ring_record(mem, kind, pfn, PAGEBLOCK_ORDER, (u16)blocks);
		pfn += blocks << PAGEBLOCK_ORDER;
		nr -= blocks << PAGEBLOCK_ORDER;
	}
}

void trace_switch(struct memory *mem, bool on)
{
	WRITE_ONCE(mem->tracing, on);
}

bool trace_is_on(const struct memory *mem)
{
	return READ_ONCE(mem->tracing);
}

/* Insert @hit into out[], the newest @max records by time; returns how many there are now. */
static unsigned ring_insert(
    struct trace_hit *out, unsigned nr, unsigned max, const struct trace_hit *hit)
{
	unsigned at;

	KASSERT(nr <= max);
	if (nr == max) {
		if (max == 0 || hit->rec.time <= out[0].rec.time)
			return nr;
		memmove(out, out + 1, (max - 1) * sizeof(*out));
		nr--;
	}
	for (at = nr; at > 0 && out[at - 1].rec.time > hit->rec.time; at--)
		out[at] = out[at - 1];
	out[at] = *hit;
	return nr + 1;
}

static bool concerns(const struct trace_record *rec, pfn_t pfn)
{
	return pfn == PFN_NONE ||
	    (pfn >= rec->pfn && pfn - rec->pfn < MAX(rec->blocks, 1UL) << (rec->order & 15));
}

unsigned trace_find(const struct memory *mem, pfn_t pfn, struct trace_hit *out, unsigned max)
{
	unsigned cpu, nr = 0;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		/* A panic may happen before there are rings. */
		const struct trace_ring *ring =
		    mem->pcp && mem->pcp[cpu] ? mem->pcp[cpu]->ring : NULL;
		u64 end = ring ? load_acquire(&ring->next) : 0;
		u64 at = end > TRACE_RECORDS ? end - TRACE_RECORDS : 0;

		for (; at < end; at++) {
			const struct trace_record *r = &ring->rec[at % TRACE_RECORDS];
			struct trace_hit hit = {.cpu = cpu};

			hit.rec.time = READ_ONCE(r->time);
			hit.rec.pfn = READ_ONCE(r->pfn);
			hit.rec.kind = READ_ONCE(r->kind);
			hit.rec.order = READ_ONCE(r->order);
			hit.rec.blocks = READ_ONCE(r->blocks);
			if (concerns(&hit.rec, pfn))
				nr = ring_insert(out, nr, max, &hit);
		}
	}
	return nr;
}

void trace_history(const struct memory *mem, pfn_t pfn)
{
	struct trace_hit hit[HISTORY];
	unsigned nr = trace_find(mem, pfn, hit, HISTORY), i;
	const char *what = nr ? "time, cpu, what, block" : "nothing recorded";

	if (pfn == PFN_NONE)
		printk("last events: %s%s\n", what,
		    trace_is_on(mem) ? "" : " (slow paths only; all with history=all)");
	else
		printk("history of pfn %#lx: %s\n", pfn, what);
	for (i = 0; i < nr; i++)
		printk("  %12llu us  cpu %-3u %-8s pfn %#x order %u\n",
		    (unsigned long long)divide(arch_ticks_ns(hit[i].rec.time), 1000), hit[i].cpu,
		    trace_kind_name((enum trace_kind)hit[i].rec.kind), hit[i].rec.pfn,
		    hit[i].rec.order);
}
