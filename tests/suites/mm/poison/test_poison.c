/* SPDX-License-Identifier: MIT */
/*
 * test_poison.c: broken pages and their surroundings: blocks that are cut and merged again,
 * pageblocks that are offlined and onlined, concurrent requests.  test_poison_states.c tests each
 * page state.
 */
#include "tests/lib/poison_help.h"
#include <quarry/contig.h>
#include <quarry/handle.h>
#include <quarry/memory_hotplug.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)

static struct zone *movable(struct memory *mem)
{
	return &mem->zones[ZONE_MOVABLE];
}

/* The number of blocks on the lists of one order. */
static unsigned long listed(const struct zone *zone, unsigned order)
{
	unsigned long nr = 0;
	unsigned type;

	for (type = 0; type < NR_MIGRATETYPES; type++)
		nr += zone_free_blocks(zone, order, type);
	return nr;
}

/* ---- in a free block of the largest order ---- */

static const pfn_t places[] = {0, PAGEBLOCK_PAGES - 1, PAGEBLOCK_PAGES / 2, 5};

KTEST_SUITE(poison, KTEST_QUICK);

KTEST(the_rest_of_a_free_block_stays_free, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	unsigned i, order;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		pfn_t pfn = BLOCK(2) + places[i];

		REQUIRE(t, page_head(mem, pfn) == BLOCK(2));
		EXPECT_EQ(t, mem_memory_failure(mem, pfn, 0, NULL), 0);
		/* A free block of each smaller order is left around the broken page. */
		for (order = 0; order < MAX_ORDER; order++)
			EXPECT_EQ(t, listed(movable(mem), order), 1);
		EXPECT_EQ(t, listed(movable(mem), MAX_ORDER), 3);
		EXPECT_EQ(t, movable(mem)->nr_free, BLOCK(4) - 1);
		EXPECT_EQ(t, pageblock_of(mem, pfn)->nr_free, PAGEBLOCK_PAGES - 1);
		EXPECT_EQ(t, pageblock_of(mem, pfn)->nr_poisoned, 1);
		expect_poisoned(t, mem, 1);
		/* After an unpoison the pages form one block again. */
		EXPECT_EQ(t, mem_unpoison_page(mem, pfn), 0);
		EXPECT_EQ(t, listed(movable(mem), MAX_ORDER), 4);
		expect_poisoned(t, mem, 0);
	}
}

KTEST(many_pages_of_one_block_break, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	u64 rand = t->seed | 1;
	bool out[PAGEBLOCK_PAGES] = {false};
	unsigned i, nr = 0;

	for (i = 0; i < 40; i++) {
		pfn_t at = ktest_rand(&rand) % PAGEBLOCK_PAGES;

		EXPECT_EQ(t, mem_soft_offline_page(mem, BLOCK(1) + at), 0);
		nr += !out[at];
		out[at] = true;
	}
	expect_poisoned(t, mem, nr);
	EXPECT_EQ(t, mm_event_sum(mem, EV_POISON_RETIRED), nr);
	for (i = 0; i < PAGEBLOCK_PAGES; i++)
		EXPECT_EQ(t, is_retired(mem, BLOCK(1) + i), out[i]);
	for (i = 0; i < PAGEBLOCK_PAGES; i++)
		EXPECT_EQ(t, mem_unpoison_page(mem, BLOCK(1) + i), out[i] ? 0 : -EINVAL);
	EXPECT_EQ(t, listed(movable(mem), MAX_ORDER), 4);
	expect_poisoned(t, mem, 0);
}

/* A neighbour that is freed does not merge with a retired page. */
KTEST(neighbour_of_a_broken_page_is_not_merged, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	struct page *page, *buddy;
	pfn_t pfn;

	page = take_block(movable(mem), 0, MT_MOVABLE);
	buddy = take_block(movable(mem), 0, MT_MOVABLE);
	REQUIRE(t, page && buddy);
	pfn = page_to_pfn_in(mem, page);
	REQUIRE(t, page_to_pfn_in(mem, buddy) == (pfn ^ 1));
	give_block(movable(mem), page);
	EXPECT_EQ(t, mem_soft_offline_page(mem, pfn), 0);
	EXPECT_EQ(t, mem_free_pages(mem, buddy, 0), 0);
	drain_all_pages(mem, NULL);
	EXPECT_EQ(t, free_order_at(mem, pfn ^ 1), 0);
	expect_poisoned(t, mem, 1);
	expect_never_allocated(t, mem, pfn);
	EXPECT_EQ(t, mem_unpoison_page(mem, pfn), 0);
	EXPECT_EQ(t, listed(movable(mem), MAX_ORDER), 4);
}

/* ---- blocks in use with flagged pages ---- */

KTEST(a_block_is_freed_around_its_flagged_pages, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct zone *zone;
	struct page *page;
	unsigned order;
	pfn_t pfn;

	zone = &mem->zones[ZONE_NORMAL];
	for (order = 1; order <= MAX_ORDER; order++) {
		page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, order));
		pfn = page_to_pfn_in(mem, page);
		EXPECT_EQ(t, mem_memory_failure(mem, pfn, 0, NULL), -EBUSY);
		EXPECT_EQ(t, mem_memory_failure(mem, pfn + (1UL << order) - 1, 0, NULL), -EBUSY);
		EXPECT_EQ(t, page_word(page),
		    PAGE_WORD(1, PG_ALLOC, order) | PAGE_F_HWPOISON | PAGE_F_HAS_HWPOISON);
		EXPECT_EQ(t, mem_poisoned(mem).doomed, 2);
		EXPECT_EQ(t, zone->nr_doomed, 2);
		expect_poisoned(t, mem, 2);
		EXPECT_EQ(t, mem_free_pages(mem, page, order), 0);
		drain_all_pages(mem, NULL);
		EXPECT(t, is_retired(mem, pfn) && is_retired(mem, pfn + (1UL << order) - 1));
		EXPECT_EQ(t, mem_poisoned(mem).retired, 2);
		EXPECT_EQ(t, zone->nr_doomed, 0);
		EXPECT_EQ(t, memory_free_pages(mem), BLOCK(4) - 2);
		expect_poisoned(t, mem, 2);
		EXPECT_EQ(t, mem_unpoison_page(mem, pfn), 0);
		EXPECT_EQ(t, mem_unpoison_page(mem, pfn + (1UL << order) - 1), 0);
		EXPECT_EQ(t, listed(zone, MAX_ORDER), 4);
	}
	EXPECT_EQ(t, mm_event_sum(mem, EV_BAD_FREE), 0);
}

/* Every way to free checks the flag: singly, in bulk, by the last put; caches on or off. */
KTEST(every_kind_of_free_retires_a_flagged_page)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct page *page[4];
	unsigned i;

	REQUIRE(t, mem_alloc_pages_bulk(mem, GFP_KERNEL, 4, page) == 4);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(
		    t, mem_memory_failure(mem, page_to_pfn_in(mem, page[i]), 0, NULL), -EBUSY);
	EXPECT_EQ(t, mem_free_pages(mem, page[0], 0), 0);
	EXPECT_EQ(t, mem_free_pages_bulk(mem, 1, &page[1]), 0);
	EXPECT_EQ(t, mem_put_page(mem, page[2]), 0);
	EXPECT_EQ(t, zone_pcp_disable(&mem->zones[ZONE_NORMAL]), 0);
	EXPECT_EQ(t, mem_free_pages(mem, page[3], 0), 0);
	EXPECT_EQ(t, zone_pcp_enable(&mem->zones[ZONE_NORMAL]), 0);
	for (i = 0; i < 4; i++)
		EXPECT(t, is_retired(mem, page_to_pfn_in(mem, page[i])));
	EXPECT_EQ(t, mm_event_sum(mem, EV_POISON_RETIRED), 4);
	expect_poisoned(t, mem, 4);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(t, mem_unpoison_page(mem, page_to_pfn_in(mem, page[i])), 0);
}

KTEST(bad_free_of_a_flagged_page_is_refused,
    .reports =
        "bad free: pfn|bad free: block|bad free: wrong order, order|?history of pfn|? us  cpu "
        "|bad free: not "
        "the head of an allocated block, order|bad free: not allocated by alloc_pages, or "
        "still in use, order|bad free: last put of what a put does not free, order")
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct page *page;
	pfn_t pfn;

	REQUIRE(t, (page = mem_alloc_pages(mem, GFP_KERNEL, 1)));
	pfn = page_to_pfn_in(mem, page);
	EXPECT_EQ(t, mem_memory_failure(mem, pfn, 0, NULL), -EBUSY);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), -EINVAL);
	EXPECT_EQ(t, mem_free_pages(mem, page + 1, 0), -EINVAL);
	EXPECT_EQ(t, mem_free_pages(mem, page, 1), 0);
	/* A retired page can be neither freed nor put. */
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), -EINVAL);
	EXPECT_EQ(t, mem_put_page(mem, page), -EINVAL);
	EXPECT_EQ(t, mm_event_sum(mem, EV_BAD_FREE), 4);
	expect_poisoned(t, mem, 1);
}

/* ---- offline and online ---- */

KTEST(offline_and_online_keep_the_poison_flag, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 8));
	struct offline_survey survey;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(places); i++)
		EXPECT_EQ(t, mem_soft_offline_page(mem, BLOCK(3) + places[i]), 0);
	EXPECT_EQ(t, offline_survey(mem, BLOCK(2), BLOCK(2), &survey), 0);
	EXPECT_EQ(t, survey.err, 0);
	EXPECT_EQ(t, survey.retired, ARRAY_SIZE(places));
	EXPECT_EQ(t, survey.free, BLOCK(2) - ARRAY_SIZE(places));
	EXPECT_EQ(t, offline_pages(mem, BLOCK(2), BLOCK(2), NULL, NULL), 0);
	EXPECT_EQ(t, mem_poisoned(mem).offline, ARRAY_SIZE(places));
	expect_poisoned(t, mem, ARRAY_SIZE(places));
	/* While the range is offline, one more page breaks and another is unpoisoned. */
	EXPECT_EQ(t, mem_memory_failure(mem, BLOCK(2) + 1, 0, NULL), -ENXIO);
	EXPECT_EQ(t, mem_unpoison_page(mem, BLOCK(3) + places[0]), 0);
	expect_poisoned(t, mem, ARRAY_SIZE(places));
	EXPECT_EQ(t, online_pages(mem, BLOCK(2), BLOCK(2), NULL), 0);
	EXPECT_EQ(t, mem_poisoned(mem).retired, ARRAY_SIZE(places));
	expect_poisoned(t, mem, ARRAY_SIZE(places));
	EXPECT_EQ(t, memory_free_pages(mem), BLOCK(8) - ARRAY_SIZE(places));
	expect_never_allocated(t, mem, BLOCK(2) + 1);
	for (i = 1; i < ARRAY_SIZE(places); i++) {
		expect_never_allocated(t, mem, BLOCK(3) + places[i]);
		EXPECT_EQ(t, mem_unpoison_page(mem, BLOCK(3) + places[i]), 0);
	}
	EXPECT_EQ(t, mem_unpoison_page(mem, BLOCK(2) + 1), 0);
	EXPECT_EQ(t, listed(movable(mem), MAX_ORDER), 8);
}

KTEST(wholly_broken_pageblock_is_offlined_and_onlined, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	pfn_t pfn;

	for (pfn = BLOCK(1); pfn < BLOCK(2); pfn++)
		EXPECT_EQ(t, mem_soft_offline_page(mem, pfn), 0);
	EXPECT_EQ(t, pageblock_of(mem, BLOCK(1))->nr_free, 0);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(1), BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, online_pages(mem, BLOCK(1), BLOCK(1), NULL), 0);
	EXPECT_EQ(t, pageblock_of(mem, BLOCK(1))->nr_free, 0);
	EXPECT_EQ(t, mem_poisoned(mem).retired, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, memory_free_pages(mem), BLOCK(3));
	expect_sound(t, mem);
	for (pfn = BLOCK(1); pfn < BLOCK(2); pfn++)
		EXPECT_EQ(t, mem_unpoison_page(mem, pfn), 0);
	EXPECT_EQ(t, listed(movable(mem), MAX_ORDER), 4);
}

enum { HARD, SOFT, AND_BACK, NR_WAYS };

struct hit {
	struct memory *mem;
	pfn_t pfn;
	unsigned way;
	int err;
};

static void hit_it(void *arg)
{
	struct hit *h = arg;

	h->err = h->way == SOFT ? mem_soft_offline_page(h->mem, h->pfn)
	                        : mem_memory_failure(h->mem, h->pfn, 0, NULL);
	if (h->way == AND_BACK)
		h->err = h->err ? h->err : mem_unpoison_page(h->mem, h->pfn);
}

/* The page breaks while the range is isolated, or just before the commit, when all is free. */
KTEST(a_page_breaks_during_an_offline, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 8));
	struct hit hit = {.mem = mem, .pfn = BLOCK(2) + 3};
	unsigned turn;

	for (turn = 0; turn < NR_ISO_POLICIES * 2 * NR_WAYS; turn++) {
		bool late = turn & 1;
		struct offline_opts opts = {.policy = (enum iso_policy)(turn / 2 % NR_ISO_POLICIES),
		    .arg = &hit,
		    .on_isolated = late ? NULL : hit_it,
		    .on_commit = late ? hit_it : NULL};

		hit.way = turn / 2 / NR_ISO_POLICIES;
		EXPECT_EQ(t, offline_pages(mem, BLOCK(2), BLOCK(1), &opts, NULL), 0);
		EXPECT_EQ(t, hit.err, 0);
		expect_poisoned(t, mem, hit.way != AND_BACK);
		EXPECT_EQ(t, mem_poisoned(mem).offline, hit.way != AND_BACK);
		EXPECT_EQ(t, online_pages(mem, BLOCK(2), BLOCK(1), NULL), 0);
		EXPECT_EQ(t, is_retired(mem, hit.pfn), hit.way != AND_BACK);
		EXPECT_EQ(t, mem_unpoison_page(mem, hit.pfn), hit.way != AND_BACK ? 0 : -EINVAL);
		expect_poisoned(t, mem, 0);
	}
}

/* A broken page in use keeps the range online, and the result names it. */
KTEST(a_flagged_page_in_use_is_named)
{
	static struct handle handle;
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 8));
	struct handle_table table;
	struct offline_result res;
	pfn_t pfn;

	handle_table_init(&table, mem, &handle, 1);
	REQUIRE(t, !handle_alloc(&table, 0, 0, GFP_MOVABLE, 1));
	pfn = handle_pfn(&table, 0);
	/* If the page could be isolated, the offlines below would wait until their deadline. */
	REQUIRE(t, mem_memory_failure(mem, pfn, 0, NULL) == -EBUSY);
	REQUIRE(t, isolate_movable_page(mem, pfn) == -EBUSY);
	EXPECT_EQ(t, offline_pages(mem, ALIGN_DOWN(pfn, BLOCK(1)), BLOCK(1), NULL, &res), -EBUSY);
	EXPECT_EQ(t, res.fail.why, WHY_HWPOISON);
	EXPECT_EQ(t, res.fail.pfn, pfn);
	EXPECT_EQ(t, handle_free(&table, 0), 0);
	EXPECT_EQ(t, offline_pages(mem, ALIGN_DOWN(pfn, BLOCK(1)), BLOCK(1), NULL, &res), 0);
	EXPECT_EQ(t, online_pages(mem, ALIGN_DOWN(pfn, BLOCK(1)), BLOCK(1), NULL), 0);
	EXPECT(t, is_retired(mem, pfn));
	EXPECT_EQ(t, mem_unpoison_page(mem, pfn), 0);
}

KTEST(contiguous_range_excludes_broken_pages)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 8));
	pfn_t start = BLOCK(2) + 2, end = BLOCK(4) + 2;
	struct mm_fail fail;

	EXPECT_EQ(t, mem_soft_offline_page(mem, BLOCK(3) + 1), 0);
	EXPECT_EQ(t, alloc_contig_range(mem, start, end, MT_MOVABLE, &fail), -EBUSY);
	EXPECT_EQ(t, fail.why, WHY_HWPOISON);
	EXPECT_EQ(t, fail.pfn, BLOCK(3) + 1);
	EXPECT_EQ(t, memory_free_pages(mem), BLOCK(8) - 1);
	expect_poisoned(t, mem, 1);
	/* The range behind the broken page is not affected. */
	EXPECT_EQ(t, alloc_contig_range(mem, BLOCK(3) + 2, end, MT_MOVABLE, &fail), 0);
	EXPECT_EQ(t, free_contig_range(mem, BLOCK(3) + 2, end - BLOCK(3) - 2), 0);
	drain_all_pages(mem, NULL);
	EXPECT_EQ(t, mem_unpoison_page(mem, BLOCK(3) + 1), 0);
	EXPECT_EQ(t, listed(movable(mem), MAX_ORDER), 8);
}

/* ---- contexts, and concurrent requests ---- */

KTEST(page_broken_by_a_machine_check_is_not_unpoisoned)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));

	EXPECT_EQ(t, mem_soft_offline_page(mem, 7), 0);
	EXPECT_EQ(t, mem_memory_failure(mem, 9, FAILURE_MACHINE_CHECK, NULL), 0);
	EXPECT_EQ(t, mem_unpoison_page(mem, 7), -EOPNOTSUPP);
	EXPECT_EQ(t, mem_unpoison_page(mem, 9), -EOPNOTSUPP);
	expect_poisoned(t, mem, 2);
}

/* A machine check may name any address; an address outside memory does not disable unpoison. */
KTEST(machine_check_outside_memory_leaves_unpoison_on)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));

	EXPECT_EQ(t, mem_soft_offline_page(mem, 7), 0);
	EXPECT_EQ(t, mem_memory_failure(mem, mem->end_pfn, FAILURE_MACHINE_CHECK, NULL), -ENXIO);
	EXPECT_EQ(t, mem_memory_failure(mem, PFN_NONE, FAILURE_MACHINE_CHECK, NULL), -ENXIO);
	EXPECT_EQ(t, mem_unpoison_page(mem, 7), 0);
	expect_poisoned(t, mem, 0);
}

KTEST(wrong_contexts_are_refused)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	irqflags_t flags;

	flags = arch_irq_save();
	EXPECT_EQ(t, mem_soft_offline_page(mem, 7), -EDEADLK);
	EXPECT_EQ(t, mem_memory_failure(mem, 7, 0, NULL), -EDEADLK);
	arch_irq_restore(flags);
	EXPECT_EQ(t, zone_pcp_disable(movable(mem)), 0);
	WRITE_ONCE(movable(mem)->pcp_depth, 65535u);
	EXPECT_EQ(t, mem_memory_failure(mem, 7, 0, NULL), -EOVERFLOW);
	WRITE_ONCE(movable(mem)->pcp_depth, 1u);
	/* A soft offline works also if the caches are off already. */
	EXPECT_EQ(t, mem_soft_offline_page(mem, 7), 0);
	EXPECT_EQ(t, zone_pcp_enable(movable(mem)), 0);
	EXPECT_EQ(t, zone_pcp_enable(movable(mem)), -EINVAL);
	EXPECT_EQ(t, mem_unpoison_page(mem, 7), 0);
}

#define ROUNDS 300 /* of all CPUs together */
#define CPUS   8

struct asker {
	struct memory *mem;
	u64 rand;
	unsigned cpu;
	unsigned done, wrong;
};

/* Every CPU retires and unpoisons the same pages of one pageblock. */
static void ask(void *arg)
{
	struct asker *a = arg;
	unsigned i;

	for (i = 0; i < ROUNDS / ktest_cpus(); i++) {
		pfn_t pfn = BLOCK(1) + ktest_rand(&a->rand) % 8;
		int err;

		switch (ktest_rand(&a->rand) % 3) {
		case 0: a->wrong += mem_soft_offline_page(a->mem, pfn) != 0; break;
		case 1:
			err = mem_memory_failure(a->mem, pfn, 0, NULL);
			a->done += err == 0;
			a->wrong += err != 0 && err != -EHWPOISON;
			break;
		default:
			err = mem_unpoison_page(a->mem, pfn);
			a->wrong += err != 0 && err != -EINVAL;
		}
	}
}

KTEST(concurrent_poison_requests_succeed, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	struct asker asker[CPUS];
	unsigned cpu;
	pfn_t pfn;

	for (cpu = 0; cpu < ktest_cpus(); cpu++) {
		asker[cpu] = (struct asker){.mem = mem, .rand = t->seed + cpu + 1, .cpu = cpu};
		ktest_start(cpu, ask, &asker[cpu]);
	}
	for (cpu = 0; cpu < ktest_cpus(); cpu++) {
		ktest_join(cpu);
		EXPECT_EQ(t, asker[cpu].wrong, 0);
	}
	EXPECT_EQ(t, nr_poisoned(mem), nr_flagged(mem));
	expect_sound(t, mem);
	for (pfn = BLOCK(1); pfn < BLOCK(1) + 8; pfn++)
		mem_unpoison_page(mem, pfn);
	EXPECT_EQ(t, listed(movable(mem), MAX_ORDER), 4);
}
