/* SPDX-License-Identifier: MIT */
/*
 * test_init_exact.c: the state of a memory after each step of its set-up: default distances,
 * standby memory in two pieces, caches enabled, and a stop before the start and after another stop.
 */
#include "tests/lib/mm_test.h"
#include <quarry/string.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)

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

static struct memory *bare(struct ktest *t, unsigned blocks, unsigned nr_nodes, const u8 *distance)
{
	struct memory_config cfg;
	struct memory *mem;

	if (!bare_config(t, &cfg, 0, blocks))
		return NULL;
	cfg.nr_nodes = nr_nodes;
	cfg.distance = distance;
	mem = cfg.alloc(cfg.arg, sizeof(*mem));
	return mem && !memory_init(mem, &cfg) ? mem : NULL;
}

KTEST_SUITE(init_exact, KTEST_MOSTLY_INSIDE);

KTEST_CONTRACT(node_distances_are_kept)
{
	static const u8 given[] = {10, 12, 13, 21, 10, 23, 31, 32, 10};
	struct memory *mem = bare(t, 1, 3, NULL), *told = bare(t, 1, 3, given);
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

KTEST(zones_have_their_ids)
{
	struct memory *mem = NEED(t, bare(t, 4, 2, NULL));
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
KTEST(standby_in_two_pieces)
{
	struct memory *mem = bare(t, 7, 1, NULL);
	struct zone *zone;
	unsigned i;

	REQUIRE(t, mem && !memory_add_zone(mem, 0, ZONE_NORMAL, 0, BLOCK(7)));
	zone = &mem->zones[ZONE_NORMAL];
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

KTEST_CONTRACT(caches_are_on_from_the_start_to_the_stop)
{
	struct memory *mem = bare(t, CACHED_BLOCKS, 1, NULL);
	struct zone *zone;
	struct page *page;
	unsigned cpu, stack;

	REQUIRE(t, mem && !memory_add_zone(mem, 0, ZONE_NORMAL, 0, BLOCK(CACHED_BLOCKS)));
	memory_add_ram(mem, 0, BLOCK(CACHED_BLOCKS));
	memory_free_range(mem, 0, BLOCK(CACHED_BLOCKS));
	REQUIRE(t, !memory_ready(mem));
	zone = &mem->zones[ZONE_NORMAL];
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
