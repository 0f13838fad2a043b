/* SPDX-License-Identifier: MIT */
/*
 * test_memory_add.c: adding and removing memory: which calls are refused, the pages behind the
 * descriptors, and adding and removing while the memory is used.
 */
#include "tests/lib/add_help.h"
#include "tests/lib/poison_help.h"
#include "tests/lib/wait_help.h"

#include <quarry/poison.h>

KTEST_SUITE(memory_add, KTEST_QUICK);

/* ---- one after the other ---- */

KTEST(added_memory_is_used_and_removed)
{
	struct memory *mem = NEED(t, one_node(t));
	const pfn_t start = START + BLOCK(2 * SIZE + 2), nr = BLOCK(4);
	struct pile pile = {NULL, 0};
	unsigned long managed;

	managed = memory_managed_pages(mem);
	EXPECT_EQ(t, add_memory(mem, start, nr, 0), 0);
	EXPECT_EQ(t, range_count(mem, pfn_range(start, nr), PB_OFFLINE), 4);
	EXPECT_EQ(
	    t, range_count(mem, pfn_range(START, END - START), PB_HOLE), 2 * HALF - 2 * SIZE - 4);
	EXPECT_EQ(t, memory_managed_pages(mem), managed);
	EXPECT(t, pfn_valid_in(mem, start) && !pfn_valid_in(mem, start - 1));
	expect_sound(t, mem);
	EXPECT_EQ(t, online_pages(mem, start, nr, NULL), 0);
	EXPECT_EQ(t, memory_managed_pages(mem), managed + nr);
	pile_alloc(mem, &pile, GFP_MOVABLE | GFP_NOWAIT, 0, ALL_THERE_IS);
	EXPECT(t, pile_inside(mem, &pile, start, start + nr) > nr / 2);
	EXPECT_EQ(t, pile_inside(mem, &pile, START + BLOCK(2 * SIZE), start), 0);
	EXPECT_EQ(t, remove_memory(mem, start, nr), -EBUSY);
	expect_sound(t, mem);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	EXPECT_EQ(t, offline_pages(mem, start, nr, NULL, NULL), 0);
	EXPECT_EQ(t, remove_memory(mem, start, nr), 0);
	EXPECT_EQ(t, range_count(mem, pfn_range(start, nr), PB_HOLE), 4);
	EXPECT_EQ(t, memory_managed_pages(mem), managed);
	EXPECT(t, !pfn_valid_in(mem, start));
	EXPECT_EQ(t, mm_event_sum(mem, EV_MEMORY_ADDED), 4);
	EXPECT_EQ(t, mm_event_sum(mem, EV_MEMORY_REMOVED), 4);
	drop_memory(t, mem);
}

/* The range may begin and end amid pageblocks, and outside of the memory. */
KTEST(memory_is_there_if_one_pageblock_of_the_range_is)
{
	const pfn_t gap = START + BLOCK(2 * SIZE);
	struct memory *mem = NEED(t, one_node(t));

	EXPECT(t, memory_there(mem, gap - 1, 1) && memory_there(mem, gap - 1, BLOCK(1)));
	EXPECT(t, !memory_there(mem, gap, 1) && !memory_there(mem, gap, END));
	EXPECT(t, !memory_there(mem, 0, START) && memory_there(mem, 0, START + 1));
	EXPECT(t, !memory_there(mem, END, BLOCK(1)) && !memory_there(mem, END - 1, 2));
	drop_memory(t, mem);
}

KTEST(refused_add_or_remove_changes_nothing)
{
	const pfn_t there = START + BLOCK(SIZE), gap = START + BLOCK(2 * SIZE);
	const struct {
		bool add;
		pfn_t start;
		unsigned long nr;
		int err;
	} rows[] = {{true, gap, 0, -EINVAL}, {true, gap + 1, BLOCK(1), -EINVAL},
	    {true, gap, BLOCK(1) - 1, -EINVAL}, {true, gap, 0UL - BLOCK(1), -EINVAL},
	    {true, START - BLOCK(1), BLOCK(1), -EINVAL}, {true, END - BLOCK(1), BLOCK(2), -EINVAL},
	    {true, gap - BLOCK(1), BLOCK(2), -EEXIST}, {true, there, BLOCK(1), -EEXIST},
	    {false, there, 0, -EINVAL}, {false, there + 1, BLOCK(1), -EINVAL},
	    {false, END, BLOCK(1), -EINVAL}, {false, gap, BLOCK(1), -EINVAL},
	    {false, gap - BLOCK(2), BLOCK(3), -EINVAL}, {false, there, BLOCK(2), -EBUSY}};
	struct memory *mem = NEED(t, one_node(t));
	struct fingerprint before, after;
	unsigned i;

	EXPECT_EQ(t, offline_pages(mem, there, BLOCK(1), NULL, NULL), 0);
	before = take_fingerprint(mem);
	EXPECT_EQ(t, add_memory(mem, gap, BLOCK(1), mem->nr_nodes), -ENODEV);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		int err = rows[i].add ? add_memory(mem, rows[i].start, rows[i].nr, 0)
		                      : remove_memory(mem, rows[i].start, rows[i].nr);

		if (err != rows[i].err)
			ktest_fail(t, __FILE__, __LINE__, "row %u: %d", i, err);
	}
	after = take_fingerprint(mem);
	EXPECT(t, fingerprint_same(&before, &after));
	expect_untouched(t, mem);
	EXPECT_EQ(t, arrays.grown + arrays.shrunk + arrays.mapped, 0);
	drop_memory(t, mem);
}

static void try_remove(void *arg)
{
	struct ktest *t = arg;
	struct memory *mem = mov.mem;

	EXPECT_EQ(t, remove_memory(mem, START + BLOCK(SIZE), BLOCK(1)), -EBUSY);
}

KTEST(claimed_memory_is_not_removed)
{
	struct memory *mem = NEED(t, one_node(t));
	const struct offline_opts opts = {
	    .policy = NR_ISO_POLICIES, .on_commit = try_remove, .arg = t};

	mov.mem = mem;
	EXPECT_EQ(t, offline_pages(mem, START + BLOCK(SIZE), BLOCK(1), &opts, NULL), 0);
	EXPECT_EQ(t, remove_memory(mem, START + BLOCK(SIZE), BLOCK(1)), 0);
	drop_memory(t, mem);
}

/* The memory is offline, and another operation has begun to online it. */
KTEST(memory_being_onlined_is_not_removed)
{
	struct memory *mem = NEED(t, one_node(t));
	struct range_claim claim = {.range = {START + BLOCK(SIZE), START + BLOCK(SIZE + 2)}};

	EXPECT_EQ(t, offline_pages(mem, claim.range.start, BLOCK(2), NULL, NULL), 0);
	EXPECT_EQ(t, range_claim(mem, &claim), 0);
	EXPECT_EQ(t, remove_memory(mem, START + BLOCK(SIZE + 1), BLOCK(1)), -EBUSY);
	range_unclaim(mem, &claim);
	EXPECT_EQ(t, remove_memory(mem, START + BLOCK(SIZE + 1), BLOCK(1)), 0);
	drop_memory(t, mem);
}

KTEST(removed_memory_comes_back_as_new, KTEST_SLOW)
{
	struct memory *mem = NEED(t, one_node(t));
	const pfn_t start = START + BLOCK(2 * SIZE);
	struct mm_violation v;
	struct page *page;
	pfn_t pfn;

	add_online(t, mem, start, BLOCK(1), 0);
	EXPECT_EQ(t, offline_pages(mem, start, BLOCK(1), NULL, NULL), 0);
	for (pfn = start; pfn < start + BLOCK(1); pfn++) {
		page = pfn_to_page_in(mem, pfn);
		page->owner = page;
		page->index = page->spare = 1;
	}
	EXPECT_EQ(t, mem_memory_failure(mem, start + 3, 0, NULL), -ENXIO);
	EXPECT_EQ(t, mem_poisoned(mem).offline, 1);
	EXPECT_EQ(t, remove_memory(mem, start, BLOCK(1)), 0);
	/* The broken page was removed with its memory. */
	EXPECT_EQ(t, mem_poisoned(mem).offline, 0);
	EXPECT_EQ(t, mem_poisoned_next(mem, 0), PFN_NONE);
	EXPECT_EQ(t, check_memory(mem, &v), 0);
	EXPECT_EQ(t, add_memory(mem, start, BLOCK(1), 0), 0);
	for (pfn = start; pfn < start + BLOCK(1); pfn++) {
		page = pfn_to_page_in(mem, pfn);
		EXPECT(t, !page->word && !page->owner && !page->index && !page->spare);
	}
	EXPECT_EQ(t, online_pages(mem, start, BLOCK(1), NULL), 0);
	drop_memory(t, mem);
}

/*
 * A broken page is no longer flagged or counted after its memory was removed, whether its section
 * was removed or not.  The section's descriptors stay, as those from the boot do.
 */
KTEST(broken_pages_are_forgotten_with_their_memory, KTEST_SLOW)
{
	struct memory *mem = NEED(t, one_node(t));

	EXPECT_EQ(t, add_memory(mem, BORDER - BLOCK(1), BLOCK(3), 0), 0);
	EXPECT_EQ(t, mem_memory_failure(mem, BORDER - 1, 0, NULL), -ENXIO);
	EXPECT_EQ(t, online_pages(mem, BORDER, BLOCK(2), NULL), 0);
	EXPECT_EQ(t, mem_soft_offline_page(mem, BORDER + 3), 0);
	EXPECT_EQ(t, mem_memory_failure(mem, BORDER + 5, 0, NULL), 0);
	EXPECT_EQ(t, offline_pages(mem, BORDER, BLOCK(2), NULL, NULL), 0);
	EXPECT_EQ(t, mem_poisoned(mem).offline, 3);
	expect_poisoned(t, mem, 3);
	EXPECT_EQ(t, remove_memory(mem, BORDER - BLOCK(1), BLOCK(3)), 0);
	EXPECT_EQ(t, arrays.shrunk, 1);
	expect_untouched(t, mem);
	expect_poisoned(t, mem, 0);
	EXPECT_EQ(t, mem_unpoison_page(mem, BORDER + 3), -ENXIO);
	EXPECT_EQ(t, add_memory(mem, BORDER - BLOCK(1), BLOCK(3), 0), 0);
	EXPECT_EQ(t, mem_unpoison_page(mem, BORDER + 5), -EINVAL);
	EXPECT_EQ(t, online_pages(mem, BORDER - BLOCK(1), BLOCK(3), NULL), 0);
	expect_poisoned(t, mem, 0);
	expect_sound(t, mem);
	drop_memory(t, mem);
}

/* ---- pages behind the descriptors ---- */

KTEST(sections_are_mapped_by_their_first_pageblock_and_unmapped_by_their_last)
{
	struct memory *mem = NEED(t, one_node(t));

	/* Add memory in a section that is mapped; then across the border to the next section. */
	EXPECT_EQ(t, add_memory(mem, BORDER - BLOCK(2), BLOCK(1), 0), 0);
	EXPECT_EQ(t, arrays.grown, 0);
	EXPECT_EQ(t, add_memory(mem, BORDER - BLOCK(1), BLOCK(3), 0), 0);
	EXPECT_EQ(t, arrays.grown, 1);
	EXPECT(t, arrays.behind[1]);
	EXPECT_EQ(t, add_memory(mem, BORDER + BLOCK(4), BLOCK(1), 0), 0);
	EXPECT_EQ(t, arrays.grown, 1);
	EXPECT_EQ(t, arrays.mapped, 5);
	EXPECT_EQ(t, online_pages(mem, BORDER, BLOCK(2), NULL), 0);
	EXPECT_EQ(t, remove_memory(mem, BORDER + BLOCK(4), BLOCK(1)), 0);
	EXPECT_EQ(t, arrays.shrunk, 0);
	EXPECT_EQ(t, offline_pages(mem, BORDER, BLOCK(2), NULL, NULL), 0);
	EXPECT_EQ(t, remove_memory(mem, BORDER, BLOCK(2)), 0);
	EXPECT_EQ(t, arrays.shrunk, 1);
	EXPECT(t, arrays.behind[0] && !arrays.behind[1]);
	EXPECT_EQ(t, arrays.mapped, 2);
	expect_untouched(t, mem);
	expect_sound(t, mem);
	add_online(t, mem, BORDER, BLOCK(1), 0);
	EXPECT_EQ(t, arrays.grown, 2);
	drop_memory(t, mem);
}

KTEST(add_without_memory_for_descriptors_changes_nothing)
{
	struct memory *mem = NEED(t, one_node(t));
	struct fingerprint before, after;

	before = take_fingerprint(mem);
	arrays.maps_left = 0;
	EXPECT_EQ(t, add_memory(mem, BORDER, BLOCK(2), 0), -ENOMEM);
	arrays.grows_left = 0;
	EXPECT_EQ(t, add_memory(mem, BORDER, BLOCK(2), 0), -ENOMEM);
	after = take_fingerprint(mem);
	EXPECT(t, fingerprint_same(&before, &after));
	EXPECT_EQ(t, arrays.mapped, 0);
	EXPECT(t, arrays.behind[0] && !arrays.behind[1]);
	expect_untouched(t, mem);
	/* The next try succeeds. */
	EXPECT_EQ(t, add_memory(mem, BORDER, BLOCK(2), 0), 0);
	drop_memory(t, mem);
}

static void *no_alloc(void *arg, size_t bytes)
{
	return NULL;
}

KTEST(add_without_memory_for_caches_changes_nothing)
{
	struct memory *mem = NEED(t, growing_normal(t, 1));
	const pfn_t start = START + BLOCK(SIZE);
	void *(*alloc)(void *arg, size_t bytes);
	struct fingerprint before, after;

	before = take_fingerprint(mem);
	alloc = mem->alloc;
	mem->alloc = no_alloc;
	EXPECT_EQ(t, add_memory(mem, start, BLOCK(SIZE), 0), -ENOMEM);
	mem->alloc = alloc;
	after = take_fingerprint(mem);
	EXPECT(t, fingerprint_same(&before, &after));
	EXPECT(t, !zone_has_span(&mem->zones[ZONE_MOVABLE]));
	add_online(t, mem, start, BLOCK(SIZE), 0);
	drop_memory(t, mem);
}

/* ---- beside other operations ---- */

static unsigned beside; /* offlines that succeeded while memory was added or removed */

static void offline_beside(struct memory *mem)
{
	const pfn_t start = START + BLOCK(SIZE + 1);
	unsigned round;

	for (round = 0; round < 200; round++) {
		/* If the caller holds the lock, an offline here would wait for ever. */
		if (!hotplug_trylock(mem))
			return;
		hotplug_unlock(mem);
		beside += !offline_pages(mem, start, BLOCK(2), NULL, NULL) &&
		    !online_pages(mem, start, BLOCK(2), NULL);
	}
}

static int map_beside(struct memory *mem, pfn_t start, unsigned long nr)
{
	offline_beside(mem);
	return test_map(mem, start, nr);
}

static void unmap_beside(struct memory *mem, pfn_t start, unsigned long nr)
{
	offline_beside(mem);
	test_unmap(mem, start, nr);
}

KTEST(offlines_work_beside_add_and_remove, KTEST_SLOW)
{
	static const struct memory_arrays slow = {
	    .map = map_beside, .unmap = unmap_beside, .grow = test_grow, .shrink = test_shrink};
	struct memory *mem = NEED(t, one_node(t));

	mem->arrays = &slow;
	beside = 0;
	EXPECT_EQ(t, add_memory(mem, BORDER, BLOCK(HALF), 0), 0);
	EXPECT_EQ(t, beside, 200);
	EXPECT_EQ(t, remove_memory(mem, BORDER, BLOCK(HALF)), 0);
	EXPECT_EQ(t, beside, 400);
	drop_memory(t, mem);
}

/* ---- under load ---- */

struct user {
	struct memory *mem;
	u32 *stop;
	u64 seed;
	unsigned long wrong;
};

/* Allocate and free pages, and walk over zones, while memory is added and removed. */
static void use_memory(void *arg)
{
	struct user *u = arg;
	struct page *pages[32];
	unsigned i;

	while (!load_acquire(u->stop)) {
		unsigned order = ktest_rand(&u->seed) % 3, nr = 0;

		while (nr < ARRAY_SIZE(pages) &&
		    (pages[nr] = mem_alloc_pages(u->mem, GFP_MOVABLE | GFP_NOWAIT, order)))
			nr++;
		u->wrong += memory_free_pages(u->mem) > END - START;
		for (i = 0; i < nr; i++)
			u->wrong += mem_free_pages(u->mem, pages[i], order) != 0;
		if (ktest_rand(&u->seed) % 64 == 0)
			drain_all_pages(u->mem, NULL);
		cpu_relax();
	}
}

KTEST(memory_is_added_and_removed_under_load, KTEST_SLOW)
{
	struct memory *mem = NEED(t, growing_normal(t, 2));
	struct user users[8];
	unsigned cpu, nr = MIN(ktest_cpus(), (unsigned)ARRAY_SIZE(users)), round, went = 0;
	u32 stop = 0;

	for (cpu = 0; cpu < nr; cpu++) {
		users[cpu] = (struct user){.mem = mem, .stop = &stop, .seed = t->seed + cpu};
		ktest_start(cpu, use_memory, &users[cpu]);
	}
	for (round = 0; round < 40; round++) {
		pfn_t start = START + BLOCK(SIZE + ktest_rand(&t->seed) % (2 * HALF - SIZE - 4));

		if (add_memory(mem, start, BLOCK(4), round % 2))
			break;
		EXPECT_EQ(t, online_pages(mem, start, BLOCK(4), NULL), 0);
		/* Pages in use cannot be moved, so retry the offline until they have been freed. */
		EXPECT(t, SPIN_UNTIL(!offline_pages(mem, start, BLOCK(4), NULL, NULL)));
		EXPECT_EQ(t, remove_memory(mem, start, BLOCK(4)), 0);
		went++;
	}
	store_release(&stop, 1u);
	for (cpu = 0; cpu < nr; cpu++) {
		ktest_join(cpu);
		EXPECT_EQ(t, users[cpu].wrong, 0);
	}
	EXPECT_EQ(t, went, 40);
	EXPECT_EQ(t,
	    range_count(mem, pfn_range(START + BLOCK(SIZE), END - START - BLOCK(SIZE)), PB_HOLE),
	    2 * HALF - SIZE);
	drop_memory(t, mem);
}

/* ---- the kernel's memory ---- */

/* The last empty section of the kernel's memory; PFN_NONE: there is none. */
static pfn_t empty_section(void)
{
	pfn_t pfn = ALIGN_DOWN(kernel_memory.end_pfn, SECTION_PAGES);

	if (!kernel_memory.arrays)
		return PFN_NONE;
	while (pfn > kernel_memory.start_pfn + SECTION_PAGES) {
		pfn -= SECTION_PAGES;
		if (range_count(&kernel_memory, pfn_range(pfn, SECTION_PAGES), PB_HOLE) ==
		    SECTION_PAGES >> PAGEBLOCK_ORDER)
			return pfn;
	}
	return PFN_NONE;
}

KTEST(kernel_memmap_grows_and_shrinks)
{
	const pfn_t start = empty_section();
	unsigned long free, less;
	unsigned i;

	if (start == PFN_NONE) {
		ktest_skip(t, "no address for memory to come at: wants maxmem=");
		return;
	}
	EXPECT_EQ(t, pfn_to_page_in(&kernel_memory, start)->word, 0);
	/* The first round also allocates page tables, which stay. */
	for (i = 0; i < 2; i++) {
		drain_all_pages(&kernel_memory, NULL);
		free = memory_free_pages(&kernel_memory);
		EXPECT_EQ(t, add_memory(&kernel_memory, start, SECTION_PAGES, 0), 0);
		less = free - memory_free_pages(&kernel_memory);
		EXPECT(t, less >= SECTION_PAGES * sizeof(struct page) / PAGE_SIZE);
		pfn_to_page_in(&kernel_memory, start + SECTION_PAGES - 1)->index = 1;
		EXPECT_EQ(t, remove_memory(&kernel_memory, start, SECTION_PAGES), 0);
		EXPECT_EQ(t, pfn_to_page_in(&kernel_memory, start + SECTION_PAGES - 1)->index, 0);
	}
	EXPECT_EQ(t, memory_free_pages(&kernel_memory), free);
}
