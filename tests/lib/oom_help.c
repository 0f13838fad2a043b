/* SPDX-License-Identifier: MIT */
/* oom_help.c: see oom_help.h. */
#include "tests/lib/oom_help.h"

struct killer killer;

void killer_victim_dies(struct killer *k)
{
	unsigned i;
	struct page *page;

	for (i = 0; i < k->give && (page = pile_pop(k->hoard)); i++) {
		if (mem_free_pages(k->mem, page, 0))
			panic("test: a page could not be freed");
	}
	memory_oom_gone(k->mem, READ_ONCE(k->mem->oom.going));
}

static bool kill_hook(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	struct killer *k = arg;

	atomic_add(&k->calls, 1u);
	k->gfp = gfp;
	k->order = order;
	if (k->at_once)
		killer_victim_dies(k);
	return !k->nobody;
}

struct memory *killer_begin(struct ktest *t, struct pile *hoard)
{
	struct memory *mem = ktest_memory(t, 0, VM_NORMAL, VM_MOVABLE);

	if (!mem)
		return NULL;
	caches_off(t, mem);
	*hoard = (struct pile){NULL, 0};
	killer = (struct killer){.mem = mem, .hoard = hoard};
	take_all_but(t, mem, hoard, 0);
	memory_set_oom(mem, kill_hook, &killer);
	return mem;
}

void killer_end(struct ktest *t, struct memory *mem)
{
	memory_set_oom(mem, NULL, NULL);
	EXPECT_EQ(t, mem->oom.going, 0);
	EXPECT_EQ(t, pile_free(mem, killer.hoard), 0);
	caches_on(t, mem);
}

void free_single_pages(struct ktest *t, struct memory *mem, struct pile *kept, unsigned long nr)
{
	struct zone *zone = movable_zone(mem);
	struct page *page;

	while (zone->nr_free < nr && (page = pile_pop(killer.hoard))) {
		pfn_t pfn = page_to_pfn_in(mem, page);

		if (pfn & 1 && zone_of(mem, pfn) == zone)
			EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
		else
			pile_push(kept, page);
	}
	EXPECT_EQ(t, zone->nr_free, nr);
}

bool alloc_one(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct page *page = mem_alloc_pages(mem, gfp, order);

	return page && !mem_free_pages(mem, page, order);
}
