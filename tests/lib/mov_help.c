/* SPDX-License-Identifier: MIT */
/* mov_help.c: see mov_help.h. */
#include "tests/lib/mov_help.h"

struct zone *zone_in(struct memory *mem, enum zone_kind kind)
{
	return &mem->zones[kind];
}

void empty_caches(struct memory *mem)
{
	drain_all_pages(mem, NULL);
}

struct mov mov;

int mov_isolate(struct memory *mem, struct page *page)
{
	return 0;
}

int mov_migrate(struct movable_owner *owner, struct memory *mem, struct page *dst, struct page *src)
{
	unsigned long free = READ_ONCE(zone_of(mem, page_to_pfn_in(mem, src))->nr_free);

	if (mov.busy > 0) {
		mov.busy--;
		return -EAGAIN;
	}
	mov.least = MIN(mov.least, free);
	if (mov.refuse && ++mov.calls % mov.refuse == 0) {
		u64 now = arch_clock_ns();

		if (mov.calls > MOV_MANY)
			mov.least_gap = MIN(mov.least_gap, now - mov.last);
		mov.last = now;
		if (mov.on_refuse)
			mov.on_refuse();
		store_release(&mov.enough, mov.calls >= MOV_ENOUGH);
		return -EBUSY;
	}
	mov.downwards += page_to_pfn_in(mem, dst) >> PAGEBLOCK_ORDER <= page_to_pfn_in(mem, src) >>
	    PAGEBLOCK_ORDER;
	EXPECT(mov.t, mov.pages[src->index] == src);
	if (!page_make_movable(mem, dst, owner, src->index))
		return -EAGAIN;
	mov.pages[src->index] = dst;
	mov.moved++;
	if (mov.on_move)
		mov.on_move(dst, src);
	page_release_movable(mem, src);
	return 0;
}

bool mov_putback(struct memory *mem, struct page *page)
{
	return true;
}

const struct movable_ops mov_ops = {
    .isolate = mov_isolate, .migrate = mov_migrate, .putback = mov_putback};

static void no_wish(struct memory *mem, gfp_t gfp, unsigned order)
{
}

bool mov_begin(struct ktest *t, struct memory *mem)
{
	static struct reclaim_ops no_wishes;

	/* Else requests that fail would let the reclaim thread move pages beside the test. */
	if (mem && mem->reclaim) {
		no_wishes = *mem->reclaim;
		no_wishes.wish = no_wish;
		no_wishes.refused = NULL;
		mem->reclaim = &no_wishes;
	}
	memset(&mov, 0, sizeof(mov));
	mov.owner.ops = &mov_ops;
	mov.mem = mem;
	mov.t = t;
	mov.least = ~0UL;
	mov.least_gap = ~0ULL;
	/*
	 * The array is in the memory's arena: it is freed with the memory, however the test ends.
	 */
	mov.pages = mem
	    ? mem->alloc(mem->alloc_arg, (mem->end_pfn - mem->start_pfn) * sizeof(mov.pages[0]))
	    : NULL;
	return mov.pages;
}

void mov_fill(unsigned long max)
{
	struct page *page;

	while (max-- > 0 && (page = mem_alloc_pages(mov.mem, GFP_MOVABLE | GFP_NOWAIT, 0))) {
		make_movable(mov.mem, page, &mov.owner, mov.nr);
		mov.pages[mov.nr++] = page;
	}
}

struct page *mov_begin_one(struct ktest *t, struct memory *mem)
{
	if (!mov_begin(t, mem))
		return NULL;
	mov_fill(1);
	return mov.nr == 1 ? mov.pages[0] : NULL;
}

void mov_fill_range(pfn_t start, pfn_t end)
{
	struct zone *zone = zone_of(mov.mem, start);
	pfn_t pfn;

	for (pfn = start; pfn < end; pfn += PAGEBLOCK_PAGES) {
		irqflags_t flags = zone_lock_irqsave(zone);

		buddy_take_range(zone, pfn, pfn + PAGEBLOCK_PAGES);
		zone_unlock_irqrestore(zone, flags);
	}
	for (pfn = start; pfn < end; pfn++) {
		/*
		 * In one of the labs a student writes buddy_take_range: it may not have taken the
		 * page.
		 */
		if (word_state(page_word(pfn_to_page_in(mov.mem, pfn))) != PG_ALLOC)
			return;
		mov.pages[mov.nr] = pfn_to_page_in(mov.mem, pfn);
		make_movable(mov.mem, mov.pages[mov.nr], &mov.owner, mov.nr);
		mov.nr++;
	}
}

struct zone *mov_only_zone(struct ktest *t, enum zone_kind kind, unsigned blocks)
{
	unsigned normal = kind == ZONE_NORMAL ? blocks : 0;
	struct memory *mem = ktest_memory(t, 0, normal, blocks - normal);

	if (!mem || !mov_begin(t, mem))
		return NULL;
	all_caches_off(t, mem);
	return zone_in(mem, kind);
}

void mov_half_fill(pfn_t start, pfn_t end)
{
	u32 i = mov.nr;

	for (mov_fill_range(start, end); i < mov.nr; i++)
		if (page_to_pfn_in(mov.mem, mov.pages[i]) % 2)
			mov_free(i);
}

void mov_free(u32 index)
{
	if (mov.pages[index])
		page_release_movable(mov.mem, mov.pages[index]);
	mov.pages[index] = NULL;
}

void mov_take_rest(void)
{
	struct page *page;
	unsigned kind;

	empty_caches(mov.mem);
	for (kind = ZONE_NORMAL; kind <= ZONE_MOVABLE; kind++) {
		while ((page = take_block(zone_in(mov.mem, (enum zone_kind)kind), 0, MT_MOVABLE)))
			pile_push(&mov.rest, page);
	}
}

void mov_thin_out(void)
{
	u32 i;

	mov_take_rest();
	for (i = 0; i < mov.nr; i++) {
		if (page_to_pfn_in(mov.mem, mov.pages[i]) % 5 == 0)
			mov_free(i);
	}
	empty_caches(mov.mem);
}

unsigned free_blocks(struct zone *zone)
{
	unsigned nr = 0;
	pfn_t pfn;

	for (pfn = zone->start_pfn; pfn < zone->end_pfn; pfn += PAGEBLOCK_PAGES)
		nr += pageblock_all_free(pageblock_of(zone->mem, pfn));
	return nr;
}

struct zone *mov_fragmented(struct ktest *t, struct memory *mem, enum zone_kind kind)
{
	struct zone *zone = zone_in(mem, kind);

	mov_fill(ALL_THERE_IS);
	mov_thin_out();
	EXPECT(t, zone->nr_free >= zone->managed / 6 && zone->nr_free <= zone->managed / 4);
	EXPECT_EQ(t, free_blocks(zone), 0);
	return zone;
}

void mov_wait_until(u64 ns)
{
	unsigned i;

	/* Pause rarely: under icount every pause lets all other CPUs run. */
	while (arch_clock_ns() < ns) {
		for (i = 0; i < 10000; i++)
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
		cpu_relax();
	}
}

void mov_end(struct ktest *t)
{
	u32 i;

	for (i = 0; i < mov.nr; i++)
		mov_free(i);
	EXPECT_EQ(t, pile_free(mov.mem, &mov.rest), 0);
	EXPECT_EQ(t, mm_event_sum(mov.mem, EV_BAD_FREE), 0);
	EXPECT_EQ(t, memory_free_pages(mov.mem), memory_managed_pages(mov.mem));
}

void mov_end_upwards(struct ktest *t)
{
	EXPECT_EQ(t, mov.downwards, 0);
	mov_end(t);
}
