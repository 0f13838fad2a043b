/* SPDX-License-Identifier: MIT */
/* mm_help.c: see mm_help.h. */
#include "tests/lib/mm_help.h"

struct zone *test_zone(struct memory *mem, enum zone_kind kind)
{
	return &mem->zones[kind];
}

unsigned cached(const struct zone *zone, unsigned cpu, unsigned order, unsigned type)
{
	const struct pcp *pcp = zone->mem->pcp[cpu];

	return stack_count(&pcp->stack[zone_stack(zone, order_index(order), type)]);
}

const struct page *movable_slot(const struct zone *zone, unsigned cpu, unsigned i)
{
	const struct pcp_stack *stack =
	    &zone->mem->pcp[cpu]->stack[zone_stack(zone, 0, MT_MOVABLE)];

	return i < stack_count(stack) ? stack->slot[i] : NULL;
}

unsigned may_cache(const struct zone *zone, unsigned cpu, unsigned order, unsigned type)
{
	const struct pcp *pcp = zone->mem->pcp[cpu];

	return stack_capacity(&pcp->stack[zone_stack(zone, order_index(order), type)]);
}

unsigned capacity_sum(const struct zone *zone, unsigned cpu)
{
	unsigned i, sum = 0;

	for (i = 0; i < STACKS_PER_ZONE; i++)
		sum += stack_capacity(&zone->mem->pcp[cpu]->stack[stacks_of(zone->id) + i]);
	return sum;
}

void set_plan(struct zone *zone, unsigned order, enum migratetype type, u16 capacity)
{
	memset(zone->pcp_capacity, 0, sizeof(zone->pcp_capacity));
	zone->pcp_capacity[order_index(order)][type] = capacity;
	pcp_refresh_all(zone->mem);
}

void restore_plan(struct zone *zone)
{
	set_limits(zone, 0);
	pcp_refresh_all(zone->mem);
}

enum page_state state_of(const struct memory *mem, const struct page *page)
{
	pfn_t head = page_head(mem, page_to_pfn_in(mem, page));

	return head == PFN_NONE ? NR_PAGE_STATES : word_state(block_word(mem, head));
}

/* ---- work on a chosen CPU ---- */

static void job_alloc(void *arg)
{
	struct page_job *job = arg;

	for (job->done = 0; job->done < job->nr; job->done++) {
		job->pages[job->done] = mem_alloc_pages(job->mem, job->gfp, job->order);
		if (!job->pages[job->done])
			break;
	}
}

static void job_free(void *arg)
{
	struct page_job *job = arg;
	unsigned i;

	for (i = 0; i < job->nr; i++)
		job->done += mem_free_pages(job->mem, job->pages[i], job->order) == 0;
}

void job_drain(void *arg)
{
	drain_local_pages(arg, NULL);
}

unsigned alloc_on(
    unsigned cpu, struct memory *mem, gfp_t gfp, unsigned order, unsigned nr, struct page **pages)
{
	struct page_job job = {.mem = mem, .gfp = gfp, .order = order, .nr = nr, .pages = pages};

	ktest_on_cpu(cpu, job_alloc, &job);
	return job.done;
}

unsigned free_on(unsigned cpu, struct memory *mem, unsigned order, unsigned nr, struct page **pages)
{
	struct page_job job = {.mem = mem, .order = order, .nr = nr, .pages = pages};

	ktest_on_cpu(cpu, job_free, &job);
	return job.done;
}

void empty_all(struct memory *mem)
{
	unsigned cpu;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++)
		ktest_on_cpu(cpu, job_drain, mem);
}

/* ---- using a zone up ---- */

void hoard_take(void *arg)
{
	struct hoard *h = arg;
	unsigned order;

	for (order = MAX_ORDER + 1; order-- > 0;) {
		while (h->nr < ARRAY_SIZE(h->page)) {
			h->page[h->nr] = mem_alloc_pages(h->mem, h->gfp | GFP_NOWAIT, order);
			if (!h->page[h->nr])
				break;
			h->order[h->nr++] = (u8)order;
		}
	}
}

void hoard_give(void *arg)
{
	struct hoard *h = arg;

	while (h->nr > 0) {
		h->nr--;
		if (mem_free_pages(h->mem, h->page[h->nr], h->order[h->nr]))
			panic("hoard: a page could not be freed");
	}
}

/* ---- census ---- */

static u64 census_hash(u64 hash, u64 value)
{
	return ((hash ^ value) * 0x9e3779b97f4a7c15ULL) ^ (hash >> 29);
}

void census_take(struct census *c, struct memory *mem)
{
	unsigned kind, order, type;
	pfn_t pfn;

	memset(c, 0, sizeof(*c));
	c->pending = READ_ONCE(mem->iso_pending);
	for (kind = 0; kind < NR_ZONE_KINDS; kind++) {
		const struct zone *zone = &mem->zones[kind];
		struct zone_census *z = &c->zone[kind];

		z->free = zone->nr_free;
		z->present = zone->present;
		z->managed = zone->managed;
		z->isolated = zone->nr_isolated;
		z->high = zone->wmark[WMARK_HIGH];
		z->depth = zone->pcp_depth;
		for (order = 0; order < NR_ORDERS; order++) {
			for (type = 0; type < NR_MIGRATETYPES; type++) {
				z->nr[order][type] = zone_free_blocks(zone, order, type);
				for_each_free_block(zone, order, type, pfn) z->list[order][type] +=
				    census_hash(1, pfn);
			}
		}
	}
	for (pfn = mem->start_pfn; pfn < mem->end_pfn; pfn++) {
		unsigned block = (unsigned)((pfn - mem->start_pfn) >> PAGEBLOCK_ORDER);

		c->block[block] = *pageblock_of(mem, pfn);
		c->tree[block] = *tree_of(mem, pfn);
		/* The order within a list may differ. */
		c->tree[block].next = c->tree[block].prev = 0;
		c->words[block] = census_hash(c->words[block], page_word(pfn_to_page_in(mem, pfn)));
	}
}

static void census_compare_zone(
    struct ktest *t, const struct zone_census *a, const struct zone_census *b)
{
	unsigned order, type;

	EXPECT_EQ(t, b->free, a->free);
	EXPECT_EQ(t, b->present, a->present);
	EXPECT_EQ(t, b->managed, a->managed);
	EXPECT_EQ(t, b->isolated, a->isolated);
	EXPECT_EQ(t, b->high, a->high);
	EXPECT_EQ(t, b->depth, a->depth);
	for (order = 0; order < NR_ORDERS; order++) {
		for (type = 0; type < NR_MIGRATETYPES; type++) {
			EXPECT_EQ(t, b->nr[order][type], a->nr[order][type]);
			EXPECT_EQ(t, b->list[order][type], a->list[order][type]);
		}
	}
}

void census_compare(struct ktest *t, const struct census *a, const struct census *b)
{
	unsigned i;

	EXPECT_EQ(t, b->pending, a->pending);
	for (i = 0; i < NR_ZONE_KINDS; i++)
		census_compare_zone(t, &a->zone[i], &b->zone[i]);
	for (i = 0; i < TEST_MAX_BLOCKS; i++) {
		EXPECT_EQ(t, b->block[i].bits, a->block[i].bits);
		EXPECT_EQ(t, b->block[i].nr_free, a->block[i].nr_free);
		EXPECT_EQ(t, memcmp(&b->block[i], &a->block[i], sizeof(a->block[i])), 0);
		EXPECT_EQ(t, memcmp(&b->tree[i].map, &a->tree[i].map, sizeof(a->tree[i].map)), 0);
		EXPECT_EQ(t, b->tree[i].list, a->tree[i].list);
		EXPECT_EQ(t, b->words[i], a->words[i]);
	}
}

void make_hole(struct ktest *t, struct memory *mem, pfn_t pfn)
{
	struct zone *zone = zone_of(mem, pfn);
	irqflags_t flags;

	REQUIRE(t, offline_pages(mem, pfn, PAGEBLOCK_PAGES, NULL, NULL) == 0);
	flags = spin_lock_irqsave(&zone->lock);
	pageblock_set_state(zone, pfn, PB_HOLE);
	spin_unlock_irqrestore(&zone->lock, flags);
}
