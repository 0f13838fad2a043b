/* SPDX-License-Identifier: MIT */
/*
 * test_vm_exact.c: objects and spaces to the last page: ranges at both ends of the address space,
 * the rights of entries, the number of cross-calls that a change makes, the counts, and the order
 * in which errors are found.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/vm_help.h"

#define AT_ONCE 128u /* entries handled in one hold of the locks */
#define SLOTS   512u /* slots of an object */

KTEST_SUITE(vm_exact, KTEST_QUICK);

/* ---- ranges ---- */

KTEST(the_first_and_the_last_page_can_be_mapped)
{
	const unsigned long all = (VM_USER_END - VM_USER_START) >> PAGE_SHIFT;
	const uintptr_t last = VM_USER_END - PAGE_SIZE;
	struct vm_scene s;
	unsigned round;

	if (!scene_begin(t, &s, 4))
		return;
	for (round = 0; round < 2; round++) {
		EXPECT_EQ(t, vm_map(s.space, VM_USER_START, 1, VM_RW, s.object, 0), 0);
		EXPECT_EQ(t, vm_map(s.space, last, 1, VM_RW, s.object, 3), 0);
		EXPECT_EQ(t, vm_fault(s.space, VM_USER_START, VM_WRITE), 0);
		EXPECT_EQ(t, vm_fault(s.space, VM_USER_END - 1, VM_WRITE), 0);
		EXPECT_EQ(t, vm_protect(s.space, VM_USER_START, 1, VM_READ), 0);
		EXPECT_EQ(t, vm_protect(s.space, last, 1, VM_READ), 0);
		EXPECT_EQ(t, pte_at(s.space, VM_USER_START) & PTE_WRITE, 0);
		EXPECT_EQ(t, pte_at(s.space, last) & PTE_WRITE, 0);
		EXPECT_EQ(t, vm_unmap(s.space, VM_USER_START, all + 1), -EINVAL);
		EXPECT_EQ(t, s.space->nr_regions, round ? 2 : 3);
		/* In the second round the mappings are destroyed with the space. */
		if (round == 0)
			EXPECT_EQ(t, vm_unmap(s.space, VM_USER_START, all), 0);
	}
	scene_end(t, &s);
}

/* ---- rights of entries ---- */

KTEST_INSIDE(entries_allow_what_the_region_allows)
{
	struct vm_scene s;
	u64 frame;

	if (!scene_begin_filled(t, &s, 2))
		return;
	frame =
	    (u64)page_to_pfn_in(s.mem, page_in(s.object, 1)) << PAGE_SHIFT | PTE_PRESENT | PTE_USER;
	EXPECT_EQ(t, vm_fault(s.space, page_at(1) + 17, VM_READ), 0);
	EXPECT_EQ(t, pte_at(s.space, page_at(1)), frame | PTE_WRITE | PTE_NX);
	/* Removed rights end at once; added rights come with the next fault. */
	EXPECT_EQ(t, vm_protect(s.space, page_at(1), 1, VM_READ | VM_EXEC), 0);
	EXPECT_EQ(t, pte_at(s.space, page_at(1)), frame | PTE_NX);
	EXPECT_EQ(t, vm_fault(s.space, page_at(1), VM_EXEC), 0);
	EXPECT_EQ(t, pte_at(s.space, page_at(1)), frame);
	EXPECT_EQ(t, vm_protect(s.space, page_at(1), 1, VM_RW), 0);
	EXPECT_EQ(t, pte_at(s.space, page_at(1)), frame | PTE_NX);
	EXPECT_EQ(t, vm_fault(s.space, page_at(1), VM_WRITE), 0);
	EXPECT_EQ(t, pte_at(s.space, page_at(1)), frame | PTE_WRITE | PTE_NX);
	EXPECT_EQ(t, vm_protect(s.space, page_at(1), 1, VM_READ), 0);
	EXPECT_EQ(t, pte_at(s.space, page_at(1)), frame | PTE_NX);
	EXPECT_EQ(t, page_in(s.object, 1)->mapcount, 1);
	scene_end(t, &s);
}

/* A fault that adds rights keeps the dirty bit. */
KTEST_INSIDE(hardware_bits_stay_when_more_is_allowed)
{
	struct vm_scene s;
	u64 before, value;

	if (!scene_begin(t, &s, 2))
		return;
	soft_load_space(s.space);
	EXPECT_EQ(t, soft_write(page_at(0), 1), 0);
	EXPECT_EQ(t, soft_read(page_at(1), &value), 0);
	soft_unload_space();
	before = pte_at(s.space, page_at(0));
	EXPECT_EQ(t, before & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED | PTE_DIRTY);
	EXPECT_EQ(t, vm_protect(s.space, VM_BASE, 2, VM_READ), 0);
	EXPECT_EQ(t, pte_at(s.space, page_at(0)), before & ~PTE_WRITE);
	EXPECT_EQ(t, vm_protect(s.space, VM_BASE, 2, VM_RW), 0);
	EXPECT_EQ(t, vm_fault(s.space, page_at(0), VM_WRITE), 0);
	EXPECT_EQ(t, vm_fault(s.space, page_at(1), VM_WRITE), 0);
	EXPECT_EQ(t, pte_at(s.space, page_at(0)), before);
	EXPECT_EQ(t, pte_at(s.space, page_at(1)) & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED);
	EXPECT(t, pte_at(s.space, page_at(1)) & PTE_WRITE);
	scene_end(t, &s);
}

/* ---- cross-calls ---- */

static u64 rounds_before;

static void rounds_begin(const struct vm_scene *s)
{
	rounds_before = mm_event_sum(s->mem, EV_TLB_ROUNDS);
}

/* Expect @call to succeed, and to make @nr cross-calls. */
#define ROUNDS(t, s, nr, call)                                                                     \
	do {                                                                                       \
		rounds_begin(s);                                                                   \
		EXPECT_EQ(t, (call), 0);                                                           \
		EXPECT_EQ(t, mm_event_sum((s)->mem, EV_TLB_ROUNDS) - rounds_before, nr);           \
	} while (0)

static void touch(struct ktest *t, struct vm_scene *s, unsigned nr)
{
	unsigned i, wrong = 0;

	for (i = 0; i < nr; i++)
		wrong += vm_fault(s->space, page_at(i), VM_WRITE) != 0;
	EXPECT_EQ(t, wrong, 0);
}

/* Entries are changed 128 at a time, pages dropped 64 at a time: one cross-call each time. */
KTEST_COST(shootdowns_of_a_change_are_bounded)
{
	static const unsigned sizes[] = {64, 65, 128, 129, 256, 257};
	struct vm_scene s;
	unsigned i;

	if (!scene_begin_filled(t, &s, 257))
		return;
	soft_load_space(s.space);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		const unsigned nr = sizes[i];

		touch(t, &s, 257);
		ROUNDS(
		    t, &s, (nr + AT_ONCE - 1) / AT_ONCE, vm_protect(s.space, VM_BASE, nr, VM_READ));
		ROUNDS(t, &s, 0, vm_protect(s.space, VM_BASE, nr, VM_RW));
		ROUNDS(t, &s, 0, vm_fault(s.space, VM_BASE, VM_WRITE));
		EXPECT_EQ(t, pte_at(s.space, page_at(nr - 1)) & PTE_WRITE, 0);
		ROUNDS(t, &s, (nr + TLB_PAGES - 1) / TLB_PAGES, vm_unmap(s.space, VM_BASE, nr));
		EXPECT_EQ(t, s.mem->vm.flushing, 0);
		/* Make the range one region again. */
		EXPECT_EQ(t, vm_unmap(s.space, VM_BASE, 257), 0);
		EXPECT_EQ(t, vm_map(s.space, VM_BASE, 257, VM_RW, s.object, 0), 0);
	}
	touch(t, &s, 257);
	ROUNDS(t, &s, 5, vm_object_remove(s.object, 0, 257));
	EXPECT_EQ(t, s.mem->vm.flushing, 0);
	soft_unload_space();
	scene_end(t, &s);
}

/* Addresses without entries need no shootdown, even if there are tables for them. */
KTEST_COST(unmapped_addresses_need_no_shootdown)
{
	struct vm_scene s;

	if (!scene_begin_filled(t, &s, 16))
		return;
	soft_load_space(s.space);
	EXPECT_EQ(t, vm_fault(s.space, page_at(0), VM_WRITE), 0);
	ROUNDS(t, &s, 0, vm_protect(s.space, page_at(1), 7, VM_READ));
	ROUNDS(t, &s, 0, vm_object_remove(s.object, 1, 7));
	ROUNDS(t, &s, 0, vm_unmap(s.space, page_at(1), 7));
	ROUNDS(t, &s, 0, vm_unmap(s.space, page_at(8), 8));
	ROUNDS(t, &s, 1, vm_unmap(s.space, page_at(0), 1));
	soft_unload_space();
	scene_end(t, &s);
}

/* A removal handles 512 slots in one hold of the lock, or as many regions as may be visited. */
KTEST_COST(removal_works_in_bounded_steps)
{
	static const u32 filled[] = {0, SLOTS - 1, SLOTS, 2 * SLOTS};
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, 2 * SLOTS + 1))
		return;
	soft_load_space(s.space);
	for (i = 0; i < ARRAY_SIZE(filled); i++)
		EXPECT_EQ(t, vm_fault(s.space, page_at(filled[i]), VM_WRITE), 0);
	ROUNDS(t, &s, 3, vm_object_remove(s.object, 0, 2 * SLOTS + 1));
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	/* If the removal begins at slot 1, its steps end at other slots. */
	EXPECT_EQ(t, vm_fault(s.space, page_at(1), VM_WRITE), 0);
	EXPECT_EQ(t, vm_fault(s.space, page_at(SLOTS), VM_WRITE), 0);
	EXPECT_EQ(t, vm_fault(s.space, page_at(SLOTS + 1), VM_WRITE), 0);
	ROUNDS(t, &s, 2, vm_object_remove(s.object, 1, 2 * SLOTS));
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	touch(t, &s, 7);
	s.mem->vm.at_once = 2;
	ROUNDS(t, &s, 4, vm_object_remove(s.object, 0, 7));
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_RMAP_PAUSES), 0);
	EXPECT_EQ(t, vm_object_remove(s.object, 2 * SLOTS, 0), 0);
	EXPECT_EQ(t, vm_object_remove(s.object, SLOTS, SLOTS + 1), 0);
	EXPECT_EQ(t, vm_object_remove(s.object, SLOTS, SLOTS + 2), -EINVAL);
	soft_unload_space();
	scene_end(t, &s);
}

/* A table may be missing at any level: the pages behind the gap are found. */
KTEST_INSIDE(missing_tables_are_skipped)
{
	static const struct {
		uintptr_t start;
		unsigned long nr, touched;
	} places[] = {{1UL << 32, 4 * SLOTS, SLOTS + 7}, {1UL << 32, 4 * SLOTS, 2 * SLOTS},
	    {8UL << 30 | 1UL << 29, OBJ_MAX_PAGES, OBJ_MAX_PAGES / 2},
	    {9UL << 30 | 1UL << 29, OBJ_MAX_PAGES, OBJ_MAX_PAGES / 2},
	    {(1UL << 39) - PAGE_SIZE, 2, 1}, {(2UL << 39) - PAGE_SIZE, 2, 1}};
	struct vm_object *object = NULL;
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, 1))
		return;
	REQUIRE(t, !vm_object_create(s.mem, OBJ_ANON, OBJ_MAX_PAGES, NULL, NULL, &object));
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		const uintptr_t start = places[i].start,
		                va = start + (places[i].touched << PAGE_SHIFT);

		EXPECT_EQ(t, vm_map(s.space, start, places[i].nr, VM_RW, object, 0), 0);
		EXPECT_EQ(t, vm_fault(s.space, va, VM_WRITE), 0);
		EXPECT_EQ(t, vm_space_resident(s.space, ZONE_MOVABLE, NULL, NULL), 1);
		EXPECT_EQ(t, vm_protect(s.space, start, places[i].nr, VM_READ), 0);
		EXPECT_EQ(t, pte_at(s.space, va) & PTE_WRITE, 0);
		EXPECT_EQ(t, vm_unmap(s.space, start, places[i].nr), 0);
		EXPECT_EQ(t, pte_at(s.space, va), 0);
	}
	vm_object_put(object);
	scene_end(t, &s);
}

/* ---- memory of objects ---- */

#define TRIES 32

/* Fill @page with pointers to @to. */
static void point_to(const struct vm_scene *s, struct page *page, const struct page *to)
{
	u64 *word = page_address_in(s->mem, page);
	unsigned i;

	for (i = 0; i < PAGE_SIZE / sizeof(*word); i++)
		word[i] = (uintptr_t)to;
}

/* Pointers fill the top page of the largest object; those in the page behind it are not read. */
KTEST(top_page_is_read_to_its_end_only)
{
	struct vm_object *object = NULL;
	struct page *page[TRIES], *behind;
	bool found = false;
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, 1))
		return;
	/* With the caches off, pages are allocated one behind the other. */
	EXPECT_EQ(t, zone_pcp_disable(&s.mem->zones[ZONE_NORMAL]), 0);
	for (i = 0; i < TRIES; i++) {
		if (i == TRIES / 2)
			REQUIRE(t,
			    !vm_object_create(s.mem, OBJ_ANON, OBJ_MAX_PAGES, NULL, NULL, &object));
		page[i] = mem_alloc_pages(s.mem, GFP_KERNEL, 0);
		REQUIRE(t, page[i]);
		point_to(&s, page[i], page[0]);
	}
	for (i = 0; i < TRIES; i++)
		found = found || page[i] == object->top + 1;
	EXPECT(t, found);
	EXPECT_EQ(t, vm_object_supply(object, OBJ_MAX_PAGES - 1, NULL), 0);
	/* The page behind the new table of slots holds no slots either. */
	behind = NEED(t, mem_alloc_pages(s.mem, GFP_KERNEL, 0));
	point_to(&s, behind, page[0]);
	EXPECT_EQ(t, vm_object_pages(object, ZONE_MOVABLE), 1);
	EXPECT_EQ(t, vm_object_remove(object, 0, OBJ_MAX_PAGES), 0);
	vm_object_put(object);
	EXPECT_EQ(t, mem_free_pages(s.mem, behind, 0), 0);
	for (i = 0; i < TRIES; i++)
		EXPECT_EQ(t, mem_free_pages(s.mem, page[i], 0), 0);
	EXPECT_EQ(t, zone_pcp_enable(&s.mem->zones[ZONE_NORMAL]), 0);
	scene_end(t, &s);
}

/* A supply to an object with a pager may use the reserve: for the page and the table of slots. */
KTEST(pager_serves_the_last_pages_of_an_object, KTEST_SLOW)
{
	struct pile pile = {NULL, 0};
	struct vm_scene s;

	if (!scene_begin_pager(t, &s, 2 * SLOTS, &scene_pager, NULL))
		return;
	pile_alloc(s.mem, &pile, GFP_NOWAIT | GFP_KERNEL, 0, ALL_THERE_IS);
	pile_alloc(s.mem, &pile, GFP_NOWAIT | GFP_MOVABLE, 0, ALL_THERE_IS);
	EXPECT_EQ(t, vm_object_supply(s.object, 0, NULL), 0);
	EXPECT_EQ(t, vm_object_supply(s.object, SLOTS, NULL), 0);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_RECLAIM_WAIT), 0);
	EXPECT_EQ(t, pile_free(s.mem, &pile), 0);
	scene_end(t, &s);
}

/* ---- counts ---- */

static struct told {
	const struct vm_object *object;
	unsigned long nr;
} told[8];
static unsigned nr_told;

static void note_region(struct vm_object *object, unsigned long nr, void *arg)
{
	if (arg == &nr_told && nr_told < ARRAY_SIZE(told))
		told[nr_told] = (struct told){object, nr};
	nr_told++;
}

KTEST(space_is_listed_region_by_region)
{
	static const unsigned touched[] = {
	    0, AT_ONCE - 1, AT_ONCE, 2 * AT_ONCE - 1, 2 * AT_ONCE, 600};
	/* Pages present in the 5 pieces of the region of 601 pages, and in each other region. */
	static const unsigned in_piece[] = {2, 2, 1, 0, 1, 1, 0};
	struct vm_object *phys = NULL;
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, 601))
		return;
	REQUIRE(t, !vm_object_create(s.mem, OBJ_PHYS, 4, NULL, NULL, &phys));
	EXPECT_EQ(t, vm_map(s.space, page_at(700), 4, VM_RW, phys, 0), 0);
	EXPECT_EQ(t, vm_map(s.space, page_at(800), 4, VM_RW, s.object, 0), 0);
	for (i = 0; i < ARRAY_SIZE(touched); i++)
		EXPECT_EQ(t, vm_fault(s.space, page_at(touched[i]), VM_READ), 0);
	EXPECT_EQ(t, vm_fault(s.space, page_at(702), VM_READ), 0);
	nr_told = 0;
	EXPECT_EQ(t, vm_space_resident(s.space, ZONE_MOVABLE, note_region, &nr_told), 7);
	EXPECT_EQ(t, nr_told, ARRAY_SIZE(in_piece));
	for (i = 0; i < ARRAY_SIZE(in_piece); i++)
		EXPECT(
		    t, told[i].nr == in_piece[i] && told[i].object == (i == 5 ? phys : s.object));
	EXPECT_EQ(t, vm_space_resident(s.space, ZONE_NORMAL, NULL, NULL), 1);
	EXPECT_EQ(t, vm_space_resident(s.space, ZONE_DMA32, NULL, NULL), 0);
	vm_object_put(phys);
	scene_end(t, &s);
}

/*
 * Regions that show one object are counted together, apart from other objects, in any order of
 * mapping.
 */
KTEST_INSIDE(space_counts_each_object_apart)
{
	static const u8 orders[6][3] = {
	    {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	struct vm_object *object[3];
	struct vm_scene s;
	unsigned i, k;

	if (!scene_begin(t, &s, 1))
		return;
	EXPECT_EQ(t, vm_unmap(s.space, VM_BASE, 1), 0);
	EXPECT(t, RB_EMPTY(&s.space->uses));
	for (i = 0; i < 3; i++)
		REQUIRE(t, !vm_object_create(s.mem, OBJ_ANON, 8, NULL, NULL, &object[i]));
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		/* Two regions map object 1, and three map object 2: one of its pages is cut out. */
		for (k = 0; k < 3; k++)
			EXPECT_EQ(t,
			    vm_map(s.space, page_at(10 * orders[i][k]), 4, VM_RW,
			        object[orders[i][k]], 0),
			    0);
		EXPECT_EQ(t, vm_map(s.space, page_at(14), 1, VM_RW, object[1], 0), 0);
		EXPECT_EQ(t, vm_protect(s.space, page_at(21), 1, VM_READ), 0);
		for (k = 0; k < 3; k++) {
			const struct vm_region *r = region_find(s.space, page_at(10 * k));

			REQUIRE(t, r && r->use);
			EXPECT(t, r->use->object == object[k]);
			EXPECT_EQ(t, r->use->nr, k + 1);
		}
		EXPECT_EQ(t, vm_unmap(s.space, VM_BASE, 30), 0);
		EXPECT(t, RB_EMPTY(&s.space->uses));
	}
	for (i = 0; i < 3; i++)
		vm_object_put(object[i]);
	scene_end(t, &s);
}

/* ---- references ---- */

KTEST_INSIDE(reference_is_taken_only_from_a_live_object)
{
	struct vm_object object = {.refs = 0};

	EXPECT(t, !object_tryget(&object));
	EXPECT_EQ(t, object.refs, 0);
	object.refs = 1;
	EXPECT(t, object_tryget(&object));
	EXPECT_EQ(t, object.refs, 2);
}

/* A tlb_gather begins and ends empty, whatever its memory held before. */
KTEST_INSIDE(tlb_gather_starts_empty)
{
	struct tlb_gather g;
	struct vm_scene s;
	struct page *page;
	unsigned i;

	if (!scene_begin_filled(t, &s, 1))
		return;
	page = page_in(s.object, 0);
	memset(&g, 0xff, sizeof(g));
	tlb_gather_init(&g, s.mem);
	EXPECT(t, g.mem == s.mem && !g.everybody && !g.nr && !g.nr_pages);
	for (i = 0; i < ARRAY_SIZE(g.cpus); i++)
		EXPECT_EQ(t, g.cpus[i], 0);
	tlb_flush(&g);
	EXPECT_EQ(t, s.mem->vm.flushing, 0);
	for (i = 0; i < TLB_PAGES; i++) {
		EXPECT(t, !tlb_gather_full(&g));
		EXPECT_EQ(t, get_page(page), 0);
		tlb_gather_page(&g, page);
		EXPECT_EQ(t, s.mem->vm.flushing, 1);
	}
	EXPECT(t, tlb_gather_full(&g));
	EXPECT_EQ(t, word_ref(page_word(page)), 1 + TLB_PAGES);
	tlb_flush(&g);
	EXPECT_EQ(t, word_ref(page_word(page)), 1);
	EXPECT_EQ(t, s.mem->vm.flushing, 0);
	EXPECT_EQ(t, g.nr_pages, 0);
	scene_end(t, &s);
}
