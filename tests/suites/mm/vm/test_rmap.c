/* SPDX-License-Identifier: MIT */
/*
 * test_rmap.c: objects mapped by many regions: how many regions are visited in one hold of the
 * object's lock, and which are found.
 */
#include "tests/lib/vm_help.h"

#define SLOTS   64
#define REGIONS 400u
#define FAR     0x40000000UL

static uintptr_t far_page(unsigned i)
{
	return FAR + ((uintptr_t)i << PAGE_SHIFT);
}

static u64 pauses(const struct vm_scene *s)
{
	return mm_event_sum(s->mem, EV_RMAP_PAUSES);
}

KTEST_SUITE(rmap, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* However many regions show a page, one hold of the lock visits only a limited number. */
KTEST_COST(rmap_lock_hold_is_bounded, KTEST_SLOW)
{
	struct vm_scene s;
	struct page *page;
	unsigned i;

	if (!scene_begin_filled(t, &s, SLOTS))
		return;
	for (i = 0; i < REGIONS; i++) {
		REQUIRE(t, vm_map(s.space, far_page(i), 1, VM_RW, s.object, 3) == 0);
		EXPECT_EQ(t, vm_fault(s.space, far_page(i), VM_WRITE), 0);
	}
	page = page_in(s.object, 3);
	EXPECT_EQ(t, page->mapcount, REGIONS);
	EXPECT_EQ(t, isolate_lru_page(s.mem, page_to_pfn_in(s.mem, page)), 0);
	{
		struct isolated_pages pages = {.lru = {page}, .nr_lru = 1};
		struct migrate_stats stats = {0};

		EXPECT_EQ(t, migrate_isolated(s.mem, &pages, NULL, &stats), 0);
	}
	/* One walk unmaps the page, and a second walk maps it again. */
	EXPECT_EQ(t, pauses(&s), 2 * (REGIONS / RMAP_AT_ONCE));
	EXPECT(t, page_in(s.object, 3) != page);
	EXPECT_EQ(t, page_in(s.object, 3)->mapcount, REGIONS);
	expect_sound(t, s.mem);
	EXPECT_EQ(t, vm_object_remove(s.object, 0, SLOTS), 0);
	EXPECT_EQ(t, pauses(&s), 3 * (REGIONS / RMAP_AT_ONCE));
	for (i = 0; i < REGIONS; i++)
		EXPECT_EQ(t, pte_at(s.space, far_page(i)), 0);
	EXPECT_EQ(t, s.object->walked, 0);
	scene_end(t, &s);
}

/* ---- compared with a record of all mappings ---- */

#define PLACES 96u /* pages of the space from FAR on */

/* The slot mapped at each address; SLOTS: none. */
static u32 book[PLACES];

static void clear_book(unsigned at, unsigned nr)
{
	while (nr-- > 0)
		book[at++] = SLOTS;
}

/* Map slots @offset to @offset + @nr - 1 at place @at, or unmap these places. */
static void change_place(struct ktest *t, struct vm_scene *s, unsigned at, unsigned nr, u32 offset)
{
	if (offset == SLOTS) {
		EXPECT_EQ(t, vm_unmap(s->space, far_page(at), nr), 0);
		clear_book(at, nr);
		return;
	}
	EXPECT_EQ(t, vm_map(s->space, far_page(at), nr, VM_RW, s->object, offset), 0);
	while (nr-- > 0)
		book[at++] = offset++;
}

static void change_at_random(struct ktest *t, struct vm_scene *s, u64 *seed)
{
	unsigned at = (unsigned)(ktest_rand(seed) % PLACES),
	         nr = 1 + (unsigned)(ktest_rand(seed) % 12), i;
	u32 offset = (u32)(ktest_rand(seed) % SLOTS);
	bool room = true;

	nr = MIN(MIN(nr, PLACES - at), SLOTS - offset);
	for (i = 0; i < nr; i++)
		room = room && book[at + i] == SLOTS;
	change_place(t, s, at, nr, room ? offset : SLOTS);
}

/* Removing a slot removes each of its entries, whatever regions there were, and no other entry. */
static void remove_and_compare(struct ktest *t, struct vm_scene *s, u32 index)
{
	unsigned wrong = 0, i;

	for (i = 0; i < PLACES; i++)
		if (book[i] != SLOTS)
			wrong += vm_fault(s->space, far_page(i), VM_WRITE) != 0;
	EXPECT_EQ(t, vm_object_remove(s->object, index, 1), 0);
	for (i = 0; i < PLACES; i++)
		wrong += !pte_at(s->space, far_page(i)) != (book[i] == SLOTS || book[i] == index);
	EXPECT_EQ(t, wrong, 0);
}

KTEST(regions_are_found_however_they_were_cut, KTEST_SLOW)
{
	u64 seed = t->seed;
	struct vm_scene s;
	unsigned round, i;

	if (!scene_begin(t, &s, SLOTS))
		return;
	s.mem->vm.at_once = 1;
	clear_book(0, PLACES);
	for (round = 0; round < 300; round++) {
		u32 index = (u32)(ktest_rand(&seed) % SLOTS);
		unsigned shown = 1, mapped = 0;
		u64 before = pauses(&s);

		change_at_random(t, &s, &seed);
		expect_sound_unshared(t, s.mem);
		EXPECT_EQ(t, vm_fault(s.space, page_at(index), VM_READ), 0);
		remove_and_compare(t, &s, index);
		EXPECT_EQ(t, pte_at(s.space, page_at(index)), 0);
		for (i = 0; i < PLACES; i++) {
			shown += book[i] == index;
			mapped += book[i] != SLOTS;
		}
		/* No other region is visited.  If the object has one only, there is no walk. */
		EXPECT_EQ(t, pauses(&s) - before, mapped ? shown : 0);
	}
	scene_end(t, &s);
}

/*
 * Three regions are mapped in each order. The first shows the slots of the other two as well; when
 * it is cut short, the others must still be found.
 */
KTEST_CONTRACT(a_region_cut_short_hides_no_other, KTEST_SLOW)
{
	static const u8 orders[][3] = {
	    {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	static const struct {
		u32 offset, nr;
	} part[3] = {{0, 8}, {2, 1}, {5, 1}};
	unsigned order, cut, i;
	struct vm_scene s;

	if (!scene_begin(t, &s, SLOTS))
		return;
	EXPECT_EQ(t, vm_unmap(s.space, page_at(0), SLOTS), 0);
	clear_book(0, PLACES);
	for (order = 0; order < ARRAY_SIZE(orders); order++) {
		for (cut = 1; cut < 8; cut++) {
			for (i = 0; i < 3; i++) {
				unsigned which = orders[order][i];

				change_place(t, &s, which * 16, part[which].nr, part[which].offset);
			}
			change_place(t, &s, cut, 8 - cut, SLOTS);
			expect_sound_unshared(t, s.mem);
			for (i = 0; i < 8; i++)
				remove_and_compare(t, &s, i);
			change_place(t, &s, 0, PLACES, SLOTS);
		}
	}
	scene_end(t, &s);
}
