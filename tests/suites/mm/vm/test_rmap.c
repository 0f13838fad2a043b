/* SPDX-License-Identifier: MIT */
/*
 * test_rmap.c: objects mapped by many regions: how many regions are visited in one hold of the
 * object's lock, and which are found.
 */
#include "tests/lib/vm_help.h"
#include "tests/lib/wait_help.h"

#define SLOTS   64
#define REGIONS 400u
#define FAR     0x40000000UL

static uintptr_t far_page(unsigned i)
{
	return FAR + ((uintptr_t)i << PAGE_SHIFT);
}

/* Map @nr more regions of one page each, all of slot @index. */
static void map_often(struct ktest *t, struct vm_scene *s, u32 index, unsigned nr)
{
	unsigned i;

	for (i = 0; i < nr; i++)
		REQUIRE(t, vm_map(s->space, far_page(i), 1, VM_RW, s->object, index) == 0);
}

static u64 pauses(const struct vm_scene *s)
{
	return mm_event_sum(s->mem, EV_RMAP_PAUSES);
}

KTEST_SUITE(rmap, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* The regions of a page are found by its index: mappings of other pages cost nothing. */
KTEST_COST(regions_of_other_pages_are_not_visited)
{
	struct vm_scene s;
	u32 i;

	if (!scene_begin_filled(t, &s, SLOTS))
		return;
	s.mem->vm.at_once = 2;
	map_often(t, &s, 1, REGIONS / 2);
	for (i = 0; i < SLOTS; i++)
		EXPECT_EQ(t, vm_fault(s.space, page_at(i), VM_READ), 0);
	/* Only the region of the scene maps these pages. */
	EXPECT_EQ(t, vm_object_remove(s.object, 2, SLOTS - 2), 0);
	EXPECT_EQ(t, pauses(&s), 0);
	for (i = 2; i < SLOTS; i++)
		EXPECT_EQ(t, pte_at(s.space, page_at(i)), 0);
	scene_end(t, &s);
}

/* However many regions show a page, one hold of the lock visits only a limited number. */
KTEST_COST(rmap_lock_hold_is_bounded, KTEST_SLOW)
{
	struct vm_scene s;
	struct page *page;
	unsigned i;

	if (!scene_begin_filled(t, &s, SLOTS))
		return;
	map_often(t, &s, 3, REGIONS);
	for (i = 0; i < REGIONS; i++)
		EXPECT_EQ(t, vm_fault(s.space, far_page(i), VM_WRITE), 0);
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

/* ---- pauses ---- */

static u32 seen_walking, walks_over; /* atomic */

static void look_for_a_walk(void *arg)
{
	struct vm_object *object = arg;

	while (!load_acquire(&walks_over) && !READ_ONCE(seen_walking)) {
		spin_lock(&object->lock);
		if (object->walked)
			store_release(&seen_walking, 1u);
		spin_unlock(&object->lock);
		thread_yield();
	}
}

/* Another thread gets the lock before the walk is over. */
KTEST(rmap_walk_pauses_for_other_lock_users)
{
	struct wait_limit limit = {0};
	struct vm_scene s;

	if (!ktest_needs_cpus(t, 2))
		return;
	if (!scene_begin(t, &s, SLOTS))
		return;
	s.mem->vm.at_once = 1;
	map_often(t, &s, 3, 32);
	seen_walking = walks_over = 0;
	ktest_start(1, look_for_a_walk, s.object);
	while (!load_acquire(&seen_walking) && wait_goes_on(&limit)) {
		if (vm_fault(s.space, far_page(0), VM_READ) || vm_object_remove(s.object, 3, 1))
			break;
	}
	store_release(&walks_over, 1u);
	ktest_join(1);
	EXPECT_EQ(t, seen_walking, 1);
	scene_end(t, &s);
}

/* ---- compared with a record of all mappings ---- */

#define PLACES 96u /* pages of the space from FAR on */

/* The slot mapped at each address; SLOTS: none. */
static u32 book[PLACES];

static void change_at_random(struct ktest *t, struct vm_scene *s, u64 *seed)
{
	unsigned at = (unsigned)(ktest_rand(seed) % PLACES),
	         nr = 1 + (unsigned)(ktest_rand(seed) % 12), i;
	u32 offset = (u32)(ktest_rand(seed) % SLOTS);
	bool room = true;

	nr = MIN(MIN(nr, PLACES - at), SLOTS - offset);
	for (i = 0; i < nr; i++)
		room = room && book[at + i] == SLOTS;
	if (room) {
		EXPECT_EQ(t, vm_map(s->space, far_page(at), nr, VM_RW, s->object, offset), 0);
		for (i = 0; i < nr; i++)
			book[at + i] = offset + i;
	} else {
		EXPECT_EQ(t, vm_unmap(s->space, far_page(at), nr), 0);
		for (i = 0; i < nr; i++)
			book[at + i] = SLOTS;
	}
}

/* Removing a slot removes each of its entries, whatever regions there were, and no other entry. */
KTEST(regions_are_found_however_they_were_cut, KTEST_SLOW)
{
	u64 seed = t->seed;
	struct vm_scene s;
	unsigned round, i;

	if (!scene_begin(t, &s, SLOTS))
		return;
	s.mem->vm.at_once = 1;
	for (i = 0; i < PLACES; i++)
		book[i] = SLOTS;
	for (round = 0; round < 300; round++) {
		u32 index = (u32)(ktest_rand(&seed) % SLOTS);
		unsigned wrong = 0, shown = 1, mapped = 0;
		u64 before = pauses(&s);

		change_at_random(t, &s, &seed);
		expect_sound_unshared(t, s.mem);
		for (i = 0; i < PLACES; i++)
			if (book[i] != SLOTS)
				wrong += vm_fault(s.space, far_page(i), VM_WRITE) != 0;
		wrong += vm_fault(s.space, page_at(index), VM_READ) != 0;
		EXPECT_EQ(t, vm_object_remove(s.object, index, 1), 0);
		for (i = 0; i < PLACES; i++) {
			shown += book[i] == index;
			mapped += book[i] != SLOTS;
			wrong +=
			    !pte_at(s.space, far_page(i)) != (book[i] == SLOTS || book[i] == index);
		}
		EXPECT_EQ(t, wrong, 0);
		/* If the object has one region only, there is no walk. */
		EXPECT_EQ(t, pauses(&s) - before, mapped ? shown : 0);
	}
	scene_end(t, &s);
}

/*
 * Map regions 0 to 2, in the sequence orders[@order]. Region 0 shows the slots of the other two
 * too. The caller then cuts region 0 short: the other regions must still be found.
 */
static void map_three(struct ktest *t, struct vm_scene *s, unsigned order)
{
	static const u8 orders[][3] = {
	    {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	static const struct {
		u32 offset, nr;
	} part[3] = {{0, 8}, {2, 1}, {5, 1}};
	unsigned i, k;

	for (i = 0; i < PLACES; i++)
		book[i] = SLOTS;
	for (i = 0; i < 3; i++) {
		unsigned which = orders[order][i], at = which * 16;

		EXPECT_EQ(t,
		    vm_map(s->space, far_page(at), part[which].nr, VM_RW, s->object,
		        part[which].offset),
		    0);
		for (k = 0; k < part[which].nr; k++)
			book[at + k] = part[which].offset + k;
	}
}

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

KTEST_CONTRACT(a_region_cut_short_hides_no_other, KTEST_SLOW)
{
	unsigned order, cut, i;
	struct vm_scene s;

	if (!scene_begin(t, &s, SLOTS))
		return;
	EXPECT_EQ(t, vm_unmap(s.space, page_at(0), SLOTS), 0);
	for (order = 0; order < 6; order++) {
		for (cut = 1; cut < 8; cut++) {
			map_three(t, &s, order);
			EXPECT_EQ(t, vm_unmap(s.space, far_page(cut), 8 - cut), 0);
			for (i = cut; i < 8; i++)
				book[i] = SLOTS;
			expect_sound_unshared(t, s.mem);
			for (i = 0; i < 8; i++)
				remove_and_compare(t, &s, i);
			EXPECT_EQ(t, vm_unmap(s.space, far_page(0), PLACES), 0);
		}
	}
	scene_end(t, &s);
}
