/* SPDX-License-Identifier: MIT */
/*
 * test_init.c: building a memory: geometry, nodes, zones, RAM that does not fill its pageblocks,
 * free ranges with any borders, standby memory, and running out of memory on the way; and the state
 * after each step, before the start and after the stop.
 */
#include "tests/lib/mm_test.h"
#include <quarry/string.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)

/* The memory can be started, and is sound. */
static void expect_start(struct ktest *t, struct memory *mem)
{
	if (begin_memory(t, mem, 0))
		drop_memory(t, mem);
}

/* memory_init refuses @good if @field has this value. */
#define REFUSE(t, mem, good, field, value)                                                         \
	do {                                                                                       \
		struct memory_config cfg_ = (good);                                                \
		cfg_.field = (value);                                                              \
		EXPECT_EQ((t), memory_init((mem), &cfg_), -EINVAL);                                \
	} while (0)

KTEST_SUITE(init, KTEST_QUICK);

KTEST(bad_geometry_is_refused)
{
	struct memory_config good;
	struct memory *mem;

	REQUIRE(t, bare_config(t, &good, BLOCK(4), 2));
	mem = NEED(t, good.alloc(good.arg, sizeof(*mem)));
	REFUSE(t, mem, good, end_pfn, good.start_pfn);
	REFUSE(t, mem, good, end_pfn, good.start_pfn - BLOCK(1));
	REFUSE(t, mem, good, end_pfn, good.end_pfn - 1);
	REFUSE(t, mem, good, end_pfn, (PFN_NONE & ~(PAGEBLOCK_PAGES - 1)) + PAGEBLOCK_PAGES);
	REFUSE(t, mem, good, start_pfn, good.start_pfn + 1);
	REFUSE(t, mem, good, nr_cpus, 0);
	REFUSE(t, mem, good, nr_cpus, nr_cpus + 1);
	REFUSE(t, mem, good, thread_cpus, good.nr_cpus + 1);
	REFUSE(t, mem, good, standby_step, PAGEBLOCK_PAGES + 1);
	REFUSE(t, mem, good, nr_nodes, 0);
	REFUSE(t, mem, good, nr_nodes, MAX_NODES + 1);
	good.thread_cpus = good.nr_cpus;
	good.standby_step = 2 * PAGEBLOCK_PAGES;
	EXPECT_EQ(t, memory_init(mem, &good), 0);
}

static struct page *moved_by(struct page *memmap, size_t bytes)
{
	return (struct page *)(void *)((char *)memmap + bytes);
}

/* If a memmap shifted by a page were accepted, stack numbers would be wrong. */
KTEST(memmap_at_wrong_address_is_refused)
{
	struct memory_config good;
	struct memory *mem;

	REQUIRE(t, bare_config(t, &good, BLOCK(4), 2));
	mem = NEED(t, good.alloc(good.arg, sizeof(*mem)));
	REFUSE(t, mem, good, memmap, moved_by(good.memmap, 4));
	REFUSE(t, mem, good, pageblocks, (void *)((uintptr_t)good.pageblocks + 1));
	REFUSE(t, mem, good, trees, (void *)((uintptr_t)good.trees + 8));
	/* For the kernel's own memory, wrong arrays are refused too, before anything is changed. */
	good.memmap = ARCH_MEMMAP;
	good.pageblocks = ARCH_PAGEBLOCKS;
	REFUSE(t, &kernel_memory, good, memmap, moved_by(ARCH_MEMMAP, PAGE_SIZE));
	REFUSE(t, &kernel_memory, good, pageblocks, ARCH_PAGEBLOCKS + 1);
}

KTEST(bad_zones_are_refused)
{
	const unsigned long p = PAGEBLOCK_PAGES;
	struct memory *mem = NEED(t, bare_memory(t, 2 * p, 4, 1, NULL));

	EXPECT_EQ(t, memory_add_zone(mem, 1, ZONE_NORMAL, 2 * p, 3 * p), -EINVAL);
	EXPECT_EQ(t, memory_add_zone(mem, 0, NR_ZONE_KINDS, 2 * p, 3 * p), -EINVAL);
	EXPECT_EQ(t, memory_add_zone(mem, 0, ZONE_NORMAL, 3 * p, 3 * p), -EINVAL);
	EXPECT_EQ(t, memory_add_zone(mem, 0, ZONE_NORMAL, 3 * p, 2 * p), -EINVAL);
	EXPECT_EQ(t, memory_add_zone(mem, 0, ZONE_NORMAL, 2 * p + 1, 3 * p), -EINVAL);
	EXPECT_EQ(t, memory_add_zone(mem, 0, ZONE_NORMAL, 2 * p, 3 * p - 1), -EINVAL);
	EXPECT_EQ(t, memory_add_zone(mem, 0, ZONE_NORMAL, p, 3 * p), -EINVAL);
	EXPECT_EQ(t, memory_add_zone(mem, 0, ZONE_NORMAL, 5 * p, 7 * p), -EINVAL);
	EXPECT_EQ(t, memory_add_zone(mem, 0, ZONE_NORMAL, 2 * p, 6 * p), 0);
}

KTEST(zones_are_disjoint)
{
	const unsigned long p = PAGEBLOCK_PAGES;
	struct memory *mem = NEED(t, bare_memory(t, 0, 8, 1, NULL));

	EXPECT_EQ(t, memory_add_zone(mem, 0, ZONE_NORMAL, 2 * p, 5 * p), 0);
	EXPECT_EQ(t, memory_add_zone(mem, 0, ZONE_DMA32, 0, 3 * p), -EINVAL);
	EXPECT_EQ(t, memory_add_zone(mem, 0, ZONE_DMA32, 3 * p, 4 * p), -EINVAL);
	EXPECT_EQ(t, memory_add_zone(mem, 0, ZONE_DMA32, 4 * p, 6 * p), -EINVAL);
	EXPECT_EQ(t, memory_add_zone(mem, 0, ZONE_DMA32, 0, 8 * p), -EINVAL);
	/* Adding the zone a second time does not extend it. */
	EXPECT_EQ(t, memory_add_zone(mem, 0, ZONE_NORMAL, 6 * p, 7 * p), -EINVAL);
	EXPECT_EQ(t, memory_add_zone(mem, 0, ZONE_DMA32, 0, 2 * p), 0);
	EXPECT_EQ(t, memory_add_zone(mem, 0, ZONE_MOVABLE, 5 * p, 8 * p), 0);
	memory_add_ram(mem, 0, 8 * p);
	EXPECT_EQ(t, pageblock_of(mem, 2 * p - 1)->zone, ZONE_DMA32);
	EXPECT_EQ(t, pageblock_of(mem, 2 * p)->zone, ZONE_NORMAL);
	EXPECT_EQ(t, pageblock_of(mem, 5 * p - 1)->zone, ZONE_NORMAL);
	EXPECT_EQ(t, pageblock_of(mem, 5 * p)->zone, ZONE_MOVABLE);
}

static enum page_state state_at(struct memory *mem, pfn_t pfn)
{
	return word_state(block_word(mem, page_head(mem, pfn)));
}

KTEST(missing_pages_of_a_pageblock_are_reserved)
{
	const pfn_t block = PAGEBLOCK_PAGES, start = block + 3, end = block + PAGEBLOCK_PAGES - 2;
	struct zone *zone = NEED(t, bare_zone(t, 3));
	struct memory *mem = zone->mem;
	pfn_t pfn;

	memory_add_ram(mem, start, end);
	memory_free_range(mem, start, end);
	for (pfn = block; pfn < block + PAGEBLOCK_PAGES; pfn++) {
		bool ram = pfn >= start && pfn < end;

		EXPECT_EQ(t, state_at(mem, pfn), ram ? PG_FREE : PG_RESERVED);
		EXPECT(t, pfn_valid_in(mem, pfn));
	}
	EXPECT_EQ(t, zone->present, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, zone->managed, end - start);
	EXPECT_EQ(t, zone->nr_free, end - start);
	expect_start(t, mem);
}

KTEST(pageblocks_without_ram_stay_holes)
{
	const unsigned long p = PAGEBLOCK_PAGES;
	struct memory *mem = NEED(t, bare_memory(t, 0, 4, 1, NULL));

	REQUIRE(t, !memory_add_zone(mem, 0, ZONE_NORMAL, 0, 3 * p));
	memory_add_ram(mem, 0, p);
	memory_add_ram(mem, 2 * p, 3 * p);
	EXPECT(t, pfn_valid_in(mem, p - 1) && pfn_valid_in(mem, 2 * p));
	EXPECT(t, !pfn_valid_in(mem, p) && !pfn_valid_in(mem, 2 * p - 1));
	/* This pageblock lies in no zone. */
	EXPECT(t, !pfn_valid_in(mem, 3 * p));
	EXPECT_EQ(t, mem->zones[ZONE_NORMAL].present, 2 * p);
	EXPECT_EQ(t, memory_managed_pages(mem), 0);
	memory_free_range(mem, 2 * p, 3 * p);
	expect_start(t, mem);
}

KTEST(ram_added_twice_counts_once)
{
	const unsigned long p = PAGEBLOCK_PAGES;
	struct zone *zone = NEED(t, bare_zone(t, 2));
	struct memory *mem = zone->mem;

	memory_add_ram(mem, 0, 4);
	memory_free_range(mem, 0, 4);
	/* Add the rest of the first pageblock, and another pageblock: free pages stay free. */
	memory_add_ram(mem, 4, 2 * p);
	memory_free_range(mem, 4, 2 * p);
	EXPECT_EQ(t, zone->present, 2 * p);
	EXPECT_EQ(t, zone->managed, 2 * p);
	EXPECT_EQ(t, zone_free_blocks(zone, MAX_ORDER, MT_MOVABLE), 2);
}

/*
 * In each pageblock the free range has other borders. It begins in the first 8 pages, and ends
 * there or at the end of the pageblock.
 */
KTEST(free_ranges_may_have_any_borders)
{
	struct zone *zone = NEED(t, bare_zone(t, 36));
	struct memory *mem = zone->mem;
	pfn_t block = 0, pfn, start, end, at;
	unsigned long managed = 0;

	memory_add_ram(mem, 0, 36 * PAGEBLOCK_PAGES);
	for (start = 0; start < 8; start++) {
		for (end = start + 1; end <= 8; end++, block += PAGEBLOCK_PAGES) {
			pfn_t last = end == 8 ? PAGEBLOCK_PAGES : end;

			memory_free_range(mem, block + start, block + last);
			managed += last - start;
			for (pfn = block, at = 0; at < PAGEBLOCK_PAGES; pfn++, at++) {
				bool freed = at >= start && at < last;

				if ((state_at(mem, pfn) == PG_FREE) != freed)
					ktest_fail(t, __FILE__, __LINE__,
					    "page %lu of [%lu, %lu): %s", at, start, last,
					    page_state_name(state_at(mem, pfn)));
			}
		}
	}
	EXPECT_EQ(t, block, 36 * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, zone->managed, managed);
	EXPECT_EQ(t, zone->present, 36 * PAGEBLOCK_PAGES);
	expect_start(t, mem);
}

KTEST(free_range_crosses_pageblocks_and_zones)
{
	const unsigned long p = PAGEBLOCK_PAGES;
	struct memory *mem = NEED(t, bare_memory(t, 0, 6, 1, NULL));

	REQUIRE(t, !memory_add_zone(mem, 0, ZONE_DMA32, 0, 3 * p));
	REQUIRE(t, !memory_add_zone(mem, 0, ZONE_NORMAL, 3 * p, 6 * p));
	memory_add_ram(mem, 0, 6 * p);
	memory_free_range(mem, p - 1, 5 * p + 1);
	EXPECT_EQ(t, mem->zones[ZONE_DMA32].managed, 2 * p + 1);
	EXPECT_EQ(t, mem->zones[ZONE_NORMAL].managed, 2 * p + 1);
	EXPECT_EQ(t, zone_free_blocks(&mem->zones[ZONE_DMA32], MAX_ORDER, MT_MOVABLE), 2);
	EXPECT_EQ(t, zone_free_blocks(&mem->zones[ZONE_NORMAL], MAX_ORDER, MT_MOVABLE), 2);
	EXPECT_EQ(t, zone_free_blocks(&mem->zones[ZONE_DMA32], 0, MT_MOVABLE), 1);
	EXPECT_EQ(t, zone_free_blocks(&mem->zones[ZONE_NORMAL], 0, MT_MOVABLE), 1);
	expect_start(t, mem);
}

KTEST(memory_may_start_anywhere, KTEST_SLOW)
{
	const pfn_t start = 100 * PAGEBLOCK_PAGES, end = start + 4 * PAGEBLOCK_PAGES;
	struct memory *mem = NEED(t, bare_memory(t, start, 4, 1, NULL));
	struct pile pile = {NULL, 0};

	REQUIRE(t, !memory_add_zone(mem, 0, ZONE_NORMAL, start, end));
	memory_add_ram(mem, start, end);
	memory_free_range(mem, start, end);
	REQUIRE(t, !memory_ready(mem));
	REQUIRE(t, !memory_start(mem));
	EXPECT(t, !pfn_valid_in(mem, start - 1) && pfn_valid_in(mem, start));
	EXPECT(t, pfn_valid_in(mem, end - 1) && !pfn_valid_in(mem, end));
	EXPECT(t, pile_alloc(mem, &pile, GFP_NOWAIT, 1, ALL_THERE_IS) > PAGEBLOCK_PAGES);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	EXPECT_EQ(t, memory_free_pages(mem), end - start);
	drop_memory(t, mem);
}

/* An allocator that takes memory from the arena and fails after a number of requests. */
struct miser {
	struct memory *arena;
	unsigned left;
};

static void *miser_alloc(void *arg, size_t bytes)
{
	struct miser *m = arg;

	if (!m->left)
		return NULL;
	m->left--;
	return m->arena->alloc(m->arena->alloc_arg, bytes);
}

KTEST(running_out_of_memory_is_reported_at_every_step)
{
	struct memory_config cfg;
	struct miser miser;
	struct memory *mem;
	unsigned granted, failed = 0, begun = 0;
	int err = -ENOMEM;

	REQUIRE(t, bare_config(t, &cfg, 0, 1));
	mem = NEED(t, cfg.alloc(cfg.arg, sizeof(*mem)));
	miser.arena = t->mem;
	cfg.alloc = miser_alloc;
	cfg.arg = &miser;
	/*
	 * With more than one CPU the arena would not suffice: a failed step does not free its
	 * memory.
	 */
	cfg.nr_cpus = cfg.thread_cpus = 1;
	for (granted = 0; granted < 16 && err; granted++) {
		miser.left = granted;
		memset(cfg.pageblocks, 0, sizeof(struct pageblock));
		err = memory_init(mem, &cfg);
		begun += !err;
		if (!err)
			err = memory_add_zone(mem, 0, ZONE_NORMAL, 0, PAGEBLOCK_PAGES);
		if (!err)
			err = memory_ready(mem);
		if (err) {
			EXPECT_EQ(t, err, -ENOMEM);
			failed++;
		}
	}
	EXPECT_EQ(t, err, 0);
	/*
	 * One failure per allocation: the mask, the array of caches, a cache, its ring, its slots.
	 */
	EXPECT_EQ(t, failed, 5);
	EXPECT_EQ(t, begun, 2);
}

KTEST(node_distances_are_kept)
{
	static const u8 given[] = {10, 12, 13, 21, 10, 23, 31, 32, 10};
	struct memory *mem = bare_memory(t, 0, 1, 3, NULL), *told = bare_memory(t, 0, 1, 3, given);
	unsigned i, j;

	REQUIRE(t, mem && told);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(t, mem->nodes[i].id, i);
		EXPECT(t, mem->nodes[i].mem == mem);
		for (j = 0; j < 3; j++) {
			EXPECT_EQ(t, mem->nodes[i].distance[j], i == j ? 10 : 20);
			EXPECT_EQ(t, told->nodes[i].distance[j], given[3 * i + j]);
		}
	}
}

KTEST_INSIDE(zones_have_their_ids)
{
	struct memory *mem = NEED(t, bare_memory(t, 0, 4, 2, NULL));
	unsigned id;

	for (id = 0; id < MAX_ZONES; id++) {
		const struct zone *zone = &mem->zones[id];

		EXPECT(t, zone->mem == mem && !zone_has_span(zone));
		EXPECT_EQ(t, zone->id, id);
		EXPECT_EQ(t, zone->node, id / NR_ZONE_KINDS);
		EXPECT_EQ(t, zone->kind, id % NR_ZONE_KINDS);
	}
	EXPECT_EQ(t, memory_add_zone(mem, 1, ZONE_MOVABLE, BLOCK(1), BLOCK(3)), 0);
	EXPECT_EQ(t, mem->zones[NR_ZONE_KINDS + ZONE_MOVABLE].start_pfn, BLOCK(1));
	EXPECT_EQ(t, mem->zones[NR_ZONE_KINDS + ZONE_MOVABLE].end_pfn, BLOCK(3));
	EXPECT_EQ(t, memory_add_zone(mem, 1, ZONE_MOVABLE, BLOCK(3), BLOCK(4)), -EINVAL);
	EXPECT_EQ(t, memory_add_zone(mem, 2, ZONE_MOVABLE, BLOCK(3), BLOCK(4)), -EINVAL);
}

/* The second piece lies behind the first; the two form one range, from the start of the first. */
KTEST_INSIDE(standby_in_two_pieces)
{
	struct zone *zone = NEED(t, bare_zone(t, 7));
	struct memory *mem = zone->mem;
	unsigned i;

	memory_add_ram(mem, 0, BLOCK(1));
	memory_free_range(mem, 0, BLOCK(1));
	memory_add_standby(mem, BLOCK(1), BLOCK(4));
	EXPECT_EQ(t, zone->standby, BLOCK(1));
	EXPECT_EQ(t, zone->standby_end, BLOCK(4));
	memory_add_standby(mem, BLOCK(5), BLOCK(7));
	EXPECT_EQ(t, zone->standby, BLOCK(1));
	EXPECT_EQ(t, zone->standby_end, BLOCK(7));
	for (i = 1; i < 7; i++) {
		EXPECT_EQ(
		    t, pageblock_state(pageblock_of(mem, BLOCK(i))), i == 4 ? PB_HOLE : PB_OFFLINE);
		if (i != 4)
			EXPECT_EQ(t,
			    memcmp(pageblock_of(mem, BLOCK(i)), pageblock_of(mem, BLOCK(1)),
			        sizeof(struct pageblock)),
			    0);
	}
	EXPECT_EQ(t, zone->present, BLOCK(1));
	REQUIRE(t, !memory_ready(mem) && !ktest_start_memory(mem));
	/* The default step is a pageblock. */
	EXPECT_EQ(t, mem->standby_step, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, standby_online(zone), (long)PAGEBLOCK_PAGES);
	EXPECT_EQ(t, zone->standby, BLOCK(2));
	drop_memory(t, mem);
}

static bool listed(const struct memory *mem)
{
	irqflags_t flags = spin_lock_irqsave(&memories_lock);
	const struct memory *m;
	bool found = false;

	LIST_FOREACH(m, &memories, link)
		found = found || m == mem;
	spin_unlock_irqrestore(&memories_lock, flags);
	return found;
}

KTEST(caches_are_on_from_the_start_to_the_stop)
{
	struct zone *zone = NEED(t, bare_zone(t, CACHED_BLOCKS));
	struct memory *mem = zone->mem;
	struct page *page;
	unsigned cpu, stack;

	memory_add_ram(mem, 0, BLOCK(CACHED_BLOCKS));
	memory_free_range(mem, 0, BLOCK(CACHED_BLOCKS));
	REQUIRE(t, !memory_ready(mem));
	stack = zone_stack(zone, 0, MT_UNMOVABLE);
	/* Stopping a memory that was not started does no harm. */
	EXPECT(t, !listed(mem));
	memory_stop(mem);
	EXPECT(t, !listed(mem));
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	REQUIRE(t, ktest_start_memory(mem) == 0);
	EXPECT(t, listed(mem));
	EXPECT(t, zone->pcp_capacity[0][MT_UNMOVABLE] > 0);
	for (cpu = 0; cpu < mem->nr_cpus; cpu++)
		EXPECT_EQ(t, stack_capacity(&mem->pcp[cpu]->stack[stack]),
		    zone->pcp_capacity[0][MT_UNMOVABLE]);
	page = mem_alloc_pages(mem, GFP_KERNEL, 0);
	EXPECT(t, page && mem_free_pages(mem, page, 0) == 0);
	EXPECT(t, zone_pcp_pages(zone) > 0);
	drop_memory(t, mem);
	EXPECT(t, !listed(mem));
	EXPECT_EQ(t, zone_pcp_pages(zone), 0);
	EXPECT_EQ(t, zone->nr_free, zone->managed);
	memory_stop(mem);
	EXPECT(t, !listed(mem));
	/* The other memories are still listed. */
	EXPECT(t, listed(&kernel_memory) && listed(t->mem));
}

KTEST(new_memory_is_sound, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 2, 3, 4));
	struct mm_violation v;
	unsigned kind;

	EXPECT_EQ(t, check_memory(mem, &v), 0);
	for (kind = 0; kind < NR_ZONE_KINDS; kind++) {
		const struct zone *zone = &mem->zones[kind];

		EXPECT_EQ(t, zone->end_pfn - zone->start_pfn, (2 + kind) * PAGEBLOCK_PAGES);
		EXPECT_EQ(t, zone->managed, (2 + kind) * PAGEBLOCK_PAGES);
		EXPECT_EQ(t, zone_free_blocks(zone, MAX_ORDER, MT_MOVABLE), 2 + kind);
	}
	EXPECT_EQ(t, memory_free_pages(mem), 9 * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, check_memory(&kernel_memory, &v), 0);
}
