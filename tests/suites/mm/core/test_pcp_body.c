/* SPDX-License-Identifier: MIT */
/*
 * test_pcp_body.c: the fast paths without the slow paths, which would serve what they leave, and
 * report what they wrongly take only later: each word of a page, addresses that are no descriptor
 * of the memory, each order that has stacks; and what a drain counts.
 */
#include "mm/core/pcp_inline.h"
#include "tests/lib/mm_help.h"

#define RIGHT(order) PAGE_WORD(1, PG_ALLOC, order)

struct job {
	struct ktest *t;
	struct memory *mem;
	struct zone *zone;
	struct page *page;
	unsigned order;
};

static struct page *pages[5];

/* ---- words ---- */

static void expect_refused(const struct job *job, u32 word)
{
	struct page *page = job->page;
	bool done;

	WRITE_ONCE(page->word, word);
	done = free_body(job->mem, page, job->order);
	if (done || page_word(page) != word || zone_pcp_pages(job->zone))
		ktest_fail(job->t, __FILE__, __LINE__, "word %#x was freed with order %u", word,
		    job->order);
	WRITE_ONCE(page->word, RIGHT(job->order));
}

/* All words with some references, each state and order; and those that differ in one bit. */
static void refuse_words(const struct job *job)
{
	static const u32 refs[] = {0, 1, 2, PAGE_REF_MAX};
	unsigned i, state, order;

	for (i = 0; i < ARRAY_SIZE(refs); i++)
		for (state = 0; state < NR_PAGE_STATES; state++)
			for (order = 0; order <= MAX_ORDER; order++) {
				u32 word = PAGE_WORD(refs[i], state, order);

				if (word != RIGHT(job->order))
					expect_refused(job, word);
			}
	for (i = 0; i < 32; i++)
		expect_refused(job, RIGHT(job->order) ^ 1u << i);
}

/* The stack may hold one block. */
static void free_and_allocate(void *arg)
{
	struct job *job = arg;
	unsigned number = zone_stack(job->zone, order_index(job->order), MT_MOVABLE);
	struct pcp_stack *stack = &job->mem->pcp[0]->stack[number];
	struct ktest *t = job->t;
	irqflags_t flags;

	EXPECT(t, !alloc_body(job->mem, GFP_MOVABLE, job->order));
	refuse_words(job);
	EXPECT(t, free_body(job->mem, job->page, job->order));
	EXPECT_EQ(t, page_word(job->page), PAGE_WORD(0, PG_PCP, job->order));
	EXPECT_EQ(t, zone_pcp_pages(job->zone), 1UL << job->order);
	EXPECT(t, !free_body(job->mem, job->page, job->order));
	/* A stack that holds more than a limit that was lowered takes no block. */
	stack_set_capacity(stack, 0);
	WRITE_ONCE(job->page->word, RIGHT(job->order));
	EXPECT(t, !free_body(job->mem, job->page, job->order));
	WRITE_ONCE(job->page->word, PAGE_WORD(0, PG_PCP, job->order));
	/* But those that it holds can be taken. */
	EXPECT(t, alloc_body(job->mem, GFP_MOVABLE, job->order) == job->page);
	stack_set_capacity(stack, 1);
	EXPECT(t, free_body(job->mem, job->page, job->order));
	EXPECT(t, alloc_body(job->mem, GFP_MOVABLE, job->order) == job->page);
	EXPECT_EQ(t, page_word(job->page), RIGHT(job->order));
	EXPECT(t, !alloc_body(job->mem, GFP_MOVABLE, job->order));
	EXPECT(t, arch_irqs_enabled());
	flags = arch_irq_save();
	EXPECT(t, free_body(job->mem, job->page, job->order) && !arch_irqs_enabled());
	EXPECT(t, alloc_body(job->mem, GFP_MOVABLE, job->order) && !arch_irqs_enabled());
	arch_irq_restore(flags);
}

KTEST_SUITE(pcp_body, KTEST_QUICK);

KTEST(one_word_of_a_page_is_freed_at_each_order)
{
	struct job job = {.t = t, .mem = ktest_memory(t, 0, 0, TEST_MAX_BLOCKS)};

	REQUIRE(t, job.mem);
	job.zone = test_zone(job.mem, ZONE_MOVABLE);
	for (job.order = 0; job.order <= MAX_ORDER; job.order++) {
		if (order_index(job.order) >= NR_CACHED_ORDERS)
			continue;
		set_plan(job.zone, job.order, MT_MOVABLE, 1);
		EXPECT_EQ(t, alloc_on(0, job.mem, GFP_MOVABLE, job.order, 1, &job.page), 1);
		empty_all(job.mem);
		ktest_on_cpu(0, free_and_allocate, &job);
		EXPECT_EQ(t, mem_free_pages(job.mem, job.page, job.order), 0);
		empty_all(job.mem);
	}
	restore_plan(job.zone);
}

/* ---- addresses ---- */

/* Free what would be a descriptor @bytes from that of @pfn, if the memory had one there. */
static bool free_at(const struct job *job, pfn_t pfn, long bytes)
{
	struct page *page = pfn_to_page_in(job->mem, pfn) + bytes / (long)sizeof(struct page);
	u32 was[2 * sizeof(struct page) / sizeof(u32)], *at = (u32 *)(void *)page;
	unsigned i;
	bool done;

	memcpy(was, at, sizeof(was));
	for (i = 0; i < ARRAY_SIZE(was); i++)
		at[i] = RIGHT(0);
	at += bytes % (long)sizeof(struct page) / (long)sizeof(u32);
	done = free_body(job->mem, (struct page *)(void *)at, 0);
	memcpy(page, was, sizeof(was));
	return done;
}

/* The memory begins at pageblock @first and ends at @end; descriptors around it are there, too. */
static void set_borders(struct memory *mem, unsigned first, pfn_t end)
{
	mem->first_page = (uintptr_t)pfn_to_page_in(mem, first * PAGEBLOCK_PAGES);
	mem->first_block = pageblock_of(mem, first * PAGEBLOCK_PAGES);
	mem->start_pfn = first * PAGEBLOCK_PAGES;
	mem->end_pfn = end;
	mem->nr_pfns = mem->end_pfn - mem->start_pfn;
}

static void free_around(void *arg)
{
	struct job *job = arg;
	struct memory *mem = job->mem;
	pfn_t start = mem->start_pfn, end = mem->end_pfn, middle = 3 * PAGEBLOCK_PAGES;
	struct ktest *t = job->t;
	struct page foreign[2];
	unsigned bytes;

	for (bytes = 8; bytes < sizeof(struct page); bytes += 8)
		EXPECT(t, !free_at(job, middle, bytes));
	for (bytes = 0; bytes < ARRAY_SIZE(foreign); bytes++)
		foreign[bytes].word = RIGHT(0);
	EXPECT(t, !free_body(mem, &foreign[0], 0));
	EXPECT(t, !free_body(mem, NULL, 0));
	set_borders(mem, 2, end - 2 * PAGEBLOCK_PAGES);
	EXPECT(t, !free_at(job, mem->start_pfn - 1, 0));
	EXPECT(t, !free_at(job, mem->start_pfn - PAGEBLOCK_PAGES, 0));
	EXPECT(t, !free_at(job, mem->end_pfn, 0));
	EXPECT(t, !free_at(job, mem->end_pfn + PAGEBLOCK_PAGES, 0));
	EXPECT_EQ(t, zone_pcp_pages(job->zone), 0);
	EXPECT(t, free_body(mem, job->page, 0));
	set_borders(mem, (unsigned)(start >> PAGEBLOCK_ORDER), end);
}

/* Of many pages that are freed at once each is looked at. */
static void free_two(void *arg)
{
	struct job *job = arg;
	irqflags_t flags = arch_irq_save();
	unsigned long nr;

	WRITE_ONCE(pages[1]->word, PAGE_WORD(2, PG_ALLOC, 0));
	nr = pcp_push_many(job->mem, pages, 2);
	EXPECT_EQ(job->t, page_word(pages[1]), PAGE_WORD(2, PG_ALLOC, 0));
	WRITE_ONCE(pages[1]->word, RIGHT(0));
	arch_irq_restore(flags);
	EXPECT_EQ(job->t, nr, 1);
}

KTEST(only_descriptors_of_the_memory_are_freed)
{
	struct job job = {.t = t, .mem = ktest_memory(t, 0, 0, TEST_BLOCKS)};
	pfn_t pfn;

	REQUIRE(t, job.mem);
	job.zone = test_zone(job.mem, ZONE_MOVABLE);
	set_plan(job.zone, 0, MT_MOVABLE, 8);
	/* A page of the middle, which no border cuts off. */
	do {
		REQUIRE(t, alloc_on(0, job.mem, GFP_MOVABLE, 0, 1, &job.page) == 1);
		pfn = page_to_pfn_in(job.mem, job.page);
	} while (pfn < 2 * PAGEBLOCK_PAGES || pfn >= job.mem->end_pfn - 2 * PAGEBLOCK_PAGES);
	empty_all(job.mem);
	ktest_on_cpu(0, free_around, &job);
	empty_all(job.mem);
	REQUIRE(t, alloc_on(0, job.mem, GFP_MOVABLE, 0, 2, pages) == 2);
	empty_all(job.mem);
	ktest_on_cpu(0, free_two, &job);
	EXPECT_EQ(t, mem_free_pages(job.mem, pages[1], 0), 0);
	empty_all(job.mem);
	restore_plan(job.zone);
}

/* ---- giving back ---- */

static void drain(void *arg)
{
	pcp_drain_zone_local(((struct job *)arg)->zone);
}

/* Cache four blocks of order 0, and one of order 1. */
static void cache_five(struct job *job)
{
	EXPECT_EQ(job->t, alloc_on(0, job->mem, GFP_MOVABLE, 0, 4, pages), 4);
	EXPECT_EQ(job->t, alloc_on(0, job->mem, GFP_MOVABLE, 1, 1, pages + 4), 1);
	empty_all(job->mem);
	EXPECT_EQ(job->t, free_on(0, job->mem, 0, 4, pages), 4);
	EXPECT_EQ(job->t, free_on(0, job->mem, 1, 1, pages + 4), 1);
	EXPECT_EQ(job->t, zone_pcp_pages(job->zone), 6);
}

static u64 drained(const struct job *job)
{
	return mm_event_sum(job->mem, EV_PCP_DRAINED);
}

/* Where pageblocks are large, the zone's last stack has never been used: it holds whole ones. */
static void use_the_last_stack(const struct job *job)
{
	unsigned last = NR_CACHED_ORDERS * NR_CACHED_TYPES - NR_CACHED_TYPES + MT_MOVABLE;
	struct pcp *pcp = job->mem->pcp[0];
	unsigned stack = stacks_of(job->zone->id) + last;
	struct ktest *t = job->t;

	if (pcp->stack[stack].slot)
		return;
	job->zone->pcp_limit[last] = 1;
	EXPECT_EQ(t, pcp_update_capacity(job->zone, pcp, stack), 1);
	EXPECT(t, pcp->stack[stack].slot && stack_capacity(&pcp->stack[stack]) == 1);
	job->zone->pcp_limit[last] = 0;
	EXPECT_EQ(t, pcp_update_capacity(job->zone, pcp, stack), 0);
	EXPECT_EQ(t, stack_capacity(&pcp->stack[stack]), 0);
}

static void give_back(void *arg)
{
	struct job *job = arg;
	struct ktest *t = job->t;
	u64 before = drained(job);

	use_the_last_stack(job);
	/* Not in one hold: how many each stack has is not limited. */
	EXPECT(t, zone_locks_of(job->zone, drain, job) >= 2);
	EXPECT_EQ(t, zone_pcp_pages(job->zone), 0);
	EXPECT_EQ(t, drained(job), before + 5);
}

static void drain_many(void *arg)
{
	struct job *job = arg;

	unsigned calls, holds = 0;

	/* A call may leave some blocks to the next. */
	for (calls = 0; calls < 4 && zone_pcp_pages(job->zone); calls++)
		holds += zone_locks_of(job->zone, drain, job);
	EXPECT_EQ(job->t, zone_pcp_pages(job->zone), 0);
	EXPECT_RANGE(job->t, holds, 1, 4);
}

/* Other CPUs want the lock, too. */
KTEST_COST(a_stack_is_drained_in_few_holds)
{
	struct job job = {.t = t, .mem = ktest_memory(t, 0, 0, TEST_BLOCKS)};
	struct page *many[16];

	REQUIRE(t, job.mem);
	job.zone = test_zone(job.mem, ZONE_MOVABLE);
	set_plan(job.zone, 0, MT_MOVABLE, ARRAY_SIZE(many));
	EXPECT_EQ(t, alloc_on(0, job.mem, GFP_MOVABLE, 0, 16, many), 16);
	EXPECT_EQ(t, free_on(0, job.mem, 0, 16, many), 16);
	ktest_on_cpu(0, drain_many, &job);
	restore_plan(job.zone);
}

KTEST(each_block_given_back_is_counted)
{
	struct job job = {.t = t, .mem = ktest_memory(t, 0, 0, TEST_BLOCKS)};
	struct page *fifth;
	u64 before;

	REQUIRE(t, job.mem);
	job.zone = test_zone(job.mem, ZONE_MOVABLE);
	set_plan(job.zone, 0, MT_MOVABLE, 4);
	job.zone->pcp_capacity[1][MT_MOVABLE] = 1;
	pcp_refresh_all(job.mem);
	cache_five(&job);
	ktest_on_cpu(0, give_back, &job);
	/* A spill is no drain. */
	EXPECT_EQ(t, alloc_on(0, job.mem, GFP_MOVABLE, 0, 1, &fifth), 1);
	cache_five(&job);
	before = drained(&job);
	EXPECT_EQ(t, free_on(0, job.mem, 0, 1, &fifth), 1);
	EXPECT_EQ(t, mm_event_sum(job.mem, EV_PCP_SPILL), 1);
	EXPECT_EQ(t, drained(&job), before);
	empty_all(job.mem);
	cache_five(&job);
	before = drained(&job);
	set_plan(job.zone, 0, MT_MOVABLE, 1);
	EXPECT_EQ(t, zone_pcp_pages(job.zone), 1);
	EXPECT_EQ(t, drained(&job), before + 4);
	restore_plan(job.zone);
}
