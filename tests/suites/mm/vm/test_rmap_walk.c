/* SPDX-License-Identifier: MIT */
/*
 * test_rmap_walk.c: walks over the regions that show a slot: the result of each entry, changes by
 * other threads in the pauses, in which the lock is released, and waits for the end of a walk, or
 * of the first of many. Hosted only.
 */
#include "tests/lib/vm_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/watch.h>

/* ---- the scene ---- */

#define REGIONS 9u
#define WIDE    8u /* pages of a region */
#define SLOT    5u

static struct vm_scene s;
static struct pause {
	struct ktest *t;
	void (*then)(void);
	unsigned nr;
} pause;
static bool gone[REGIONS];

static void in_a_pause(const char *name)
{
	u32 preempt_off = arch_preempt_count();

	if (strcmp(name, "rmap.pause") != 0)
		return;
	EXPECT(pause.t, !spin_is_held(&s.object->lock));
	EXPECT_EQ(pause.t, s.object->walked, SLOT + 1);
	/* Nothing else runs on this CPU until the walk is over. */
	EXPECT_EQ(pause.t, preempt_off, 1);
	pause.nr++;
	if (!pause.then || !preempt_off)
		return;
	/* In place of a thread of another CPU. */
	preempt_enable();
	pause.then();
	preempt_disable();
}

/* Page @index of the object in region @i. */
static uintptr_t shown_at(unsigned i, unsigned index)
{
	return page_at(64 + i * WIDE + index);
}

/*
 * Replace the scene's region by REGIONS regions, each of which shows the first pages of the object.
 */
static bool begin(struct ktest *t, void (*then)(void))
{
	unsigned i, err = 0;

	if (!scene_begin_filled(t, &s, WIDE) || vm_unmap(s.space, VM_BASE, WIDE))
		return false;
	for (i = 0; i < REGIONS; i++) {
		err += vm_map(s.space, shown_at(i, 0), WIDE, VM_RW, s.object, 0) != 0;
		err += vm_fault(s.space, shown_at(i, SLOT), VM_WRITE) != 0;
		gone[i] = false;
	}
	EXPECT_EQ(t, err, 0);
	if (err) {
		scene_end(t, &s);
		return false;
	}
	s.mem->vm.at_once = 1;
	pause = (struct pause){.t = t, .then = then};
	return true;
}

/* Walk the slot and remove every entry; returns the number of regions visited. */
static unsigned unmap_slot(void)
{
	struct tlb_gather g;
	unsigned nr;

	tlb_gather_init(&g, s.mem);
	watch_set(&(const struct watch){.point = in_a_pause});
	spin_lock(&s.object->lock);
	nr = rmap_unmap(s.object, SLOT, 0, &g);
	spin_unlock(&s.object->lock);
	watch_set(NULL);
	tlb_flush(&g);
	EXPECT_EQ(pause.t, s.object->walked, 0);
	EXPECT_EQ(pause.t, page_in(s.object, SLOT)->mapcount, 0);
	return nr;
}

static void unmap_region(unsigned i)
{
	gone[i] = true;
	EXPECT_EQ(pause.t, vm_unmap(s.space, shown_at(i, 0), WIDE), 0);
}

/* ---- changes during a pause ---- */

/*
 * Unmap the region that was visited last; in the third pause also a region that the walk has not
 * reached.
 */
static void unmap_some(void)
{
	bool more = pause.nr == 3;
	unsigned i;

	for (i = 0; i < REGIONS; i++) {
		if (gone[i])
			continue;
		if (!pte_at(s.space, shown_at(i, SLOT))) {
			unmap_region(i);
		} else if (more) {
			unmap_region(i);
			more = false;
		}
	}
}

KTEST_SUITE(rmap_walk, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(rmap_walk_continues_after_a_removed_region)
{
	unsigned i;

	if (!begin(t, unmap_some))
		return;
	EXPECT_EQ(t, unmap_slot(), REGIONS - 1);
	EXPECT_EQ(t, pause.nr, REGIONS - 1);
	for (i = 0; i < REGIONS; i++)
		EXPECT(t, gone[i] && !pte_at(s.space, shown_at(i, SLOT)));
	EXPECT_EQ(t, s.space->nr_regions, 0);
	scene_end(t, &s);
}

/* Cut all regions in the first pause: their upper parts begin at a later slot. */
static void cut_all(void)
{
	unsigned i;

	if (pause.nr != 1)
		return;
	for (i = 0; i < REGIONS; i++)
		EXPECT_EQ(pause.t, vm_protect(s.space, shown_at(i, 2), WIDE - 2, VM_READ), 0);
}

/*
 * The upper part of a cut region shows the slot, and is visited at its later place; the lower part
 * is not visited.
 */
KTEST(rmap_walk_finds_both_parts_of_a_cut_region)
{
	unsigned i;

	if (!begin(t, cut_all))
		return;
	for (i = 0; i < REGIONS; i++)
		EXPECT_EQ(t, vm_fault(s.space, shown_at(i, 1), VM_READ), 0);
	EXPECT_EQ(t, unmap_slot(), REGIONS + 1);
	EXPECT_EQ(t, pause.nr, REGIONS + 1);
	for (i = 0; i < REGIONS; i++) {
		EXPECT_EQ(t, pte_at(s.space, shown_at(i, SLOT)), 0);
		EXPECT(t, pte_at(s.space, shown_at(i, 1)));
	}
	scene_end(t, &s);
}

/* Only the slot of the walk must not be accessed. */
static void look_at_slots(void)
{
	struct ktest *t = pause.t;
	struct page *page = NULL;

	EXPECT_EQ(t, vm_object_pin(s.object, SLOT, &page), -EAGAIN);
	EXPECT(t, !page);
	EXPECT_EQ(t, vm_object_pin(s.object, SLOT - 1, &page), 0);
	if (page)
		mem_unpin_page(s.mem, page);
	EXPECT(t, vm_object_has(s.object, SLOT));
	EXPECT_EQ(t, vm_fault(s.space, shown_at(0, SLOT - 1), VM_WRITE), 0);
	EXPECT_EQ(t, vm_fault(s.space, shown_at(1, SLOT + 1), VM_WRITE), 0);
	EXPECT(t, pte_at(s.space, shown_at(0, SLOT - 1)) && pte_at(s.space, shown_at(1, SLOT + 1)));
}

KTEST(other_slots_are_usable_during_a_pause_of_the_walk)
{
	struct page *page = NULL;

	if (!begin(t, look_at_slots))
		return;
	EXPECT_EQ(t, unmap_slot(), REGIONS);
	EXPECT_EQ(t, pause.nr, REGIONS);
	EXPECT_EQ(t, vm_object_pin(s.object, SLOT, &page), 0);
	if (page)
		mem_unpin_page(s.mem, page);
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

/* ---- entries ---- */

static void plant(unsigned i, u64 bits)
{
	u64 *entry = pt_entry(&s.space->pt, shown_at(i, SLOT));

	atomic_and(entry, ~(PTE_ACCESSED | PTE_DIRTY));
	atomic_or(entry, bits);
}

static u64 noted(unsigned i)
{
	return pte_at(s.space, shown_at(i, SLOT)) & (PTE_ACCESSED | PTE_DIRTY);
}

static u64 age(unsigned *forgotten)
{
	struct tlb_gather g;
	u64 bits;

	tlb_gather_init(&g, s.mem);
	spin_lock(&s.object->lock);
	bits = rmap_age(s.object, SLOT, &g);
	spin_unlock(&s.object->lock);
	*forgotten = g.nr;
	tlb_flush(&g);
	return bits;
}

/* The bits of all entries are reported; accessed bits are cleared, dirty bits stay. */
KTEST(aging_reports_and_clears_accessed_bits)
{
	unsigned i, forgotten;

	if (!begin(t, NULL))
		return;
	for (i = 0; i < REGIONS; i++)
		plant(i, 0);
	EXPECT_EQ(t, age(&forgotten), 0);
	EXPECT_EQ(t, forgotten, 0);
	plant(1, PTE_DIRTY);
	EXPECT_EQ(t, age(&forgotten), PTE_DIRTY);
	EXPECT_EQ(t, forgotten, 0);
	plant(4, PTE_ACCESSED);
	EXPECT_EQ(t, age(&forgotten), PTE_ACCESSED | PTE_DIRTY);
	EXPECT_EQ(t, forgotten, 1);
	EXPECT_EQ(t, noted(1), PTE_DIRTY);
	EXPECT_EQ(t, noted(4), 0);
	plant(1, PTE_DIRTY | PTE_ACCESSED);
	plant(8, PTE_ACCESSED);
	EXPECT_EQ(t, age(&forgotten), PTE_ACCESSED | PTE_DIRTY);
	EXPECT_EQ(t, forgotten, 2);
	EXPECT_EQ(t, age(&forgotten), PTE_DIRTY);
	scene_end(t, &s);
}

static u32 page_bits(struct page *page)
{
	return page_word(page) & (PAGE_REFERENCED | PAGE_DIRTY);
}

/* Each bit of a removed entry is set in the page, and no other bit. */
KTEST(removed_entry_passes_its_bits_to_the_page)
{
	struct page *page;

	if (!begin(t, NULL))
		return;
	page = page_in(s.object, SLOT);
	atomic_and(&page->word, ~(PAGE_REFERENCED | PAGE_DIRTY));
	plant(0, 0);
	unmap_region(0);
	EXPECT_EQ(t, page_bits(page), 0);
	plant(1, PTE_ACCESSED);
	unmap_region(1);
	EXPECT_EQ(t, page_bits(page), PAGE_REFERENCED);
	atomic_and(&page->word, ~PAGE_REFERENCED);
	plant(2, PTE_DIRTY);
	unmap_region(2);
	EXPECT_EQ(t, page_bits(page), PAGE_DIRTY);
	EXPECT_EQ(t, page->mapcount, REGIONS - 3);
	scene_end(t, &s);
}

/* ---- waiters ---- */

#define TURNS (1u << 14)

static u32 ended; /* atomic: the operation that had to wait has ended */
static bool early;

/*
 * End the walk in progress after TURNS passes, or when the operation that must wait has ended too
 * early.
 */
static void end_the_walk(void *arg)
{
	struct tlb_gather g;
	u32 turn;

	for (turn = 0; turn < TURNS && !load_acquire(&ended); turn++)
		cpu_relax();
	early = load_acquire(&ended);
	tlb_gather_init(&g, s.mem);
	spin_lock(&s.object->lock);
	rmap_unmap(s.object, SLOT, 0, &g);
	spin_unlock(&s.object->lock);
	tlb_flush(&g);
}

static void walk_begins(void)
{
	early = false;
	store_release(&ended, 0u);
	spin_lock(&s.object->lock);
	s.object->walked = SLOT + 1;
	spin_unlock(&s.object->lock);
	ktest_start(1, end_the_walk, NULL);
}

static void expect_waited(struct ktest *t, int line)
{
	store_release(&ended, 1u);
	ktest_join(1);
	if (early)
		ktest_fail(t, __FILE__, line, "did not wait until the walk was over");
	EXPECT_EQ(t, s.object->walked, 0);
}

KTEST(a_fault_waits_for_a_walk)
{
	u64 faults;

	if (!ktest_needs_cpus(t, 2) || !begin(t, NULL))
		return;
	EXPECT_EQ(t, unmap_slot(), REGIONS);
	s.mem->vm.at_once = RMAP_AT_ONCE;
	faults = mm_event_sum(s.mem, EV_FAULTS);
	walk_begins();
	EXPECT_EQ(t, vm_fault(s.space, shown_at(0, SLOT), VM_READ), 0);
	expect_waited(t, __LINE__);
	/* The fault was tried once, and has mapped nothing. */
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_FAULTS), faults + 1);
	EXPECT_EQ(t, pte_at(s.space, shown_at(0, SLOT)), 0);
	EXPECT_EQ(t, vm_fault(s.space, shown_at(0, SLOT), VM_READ), 0);
	EXPECT(t, pte_at(s.space, shown_at(0, SLOT)));
	scene_end(t, &s);
}

KTEST(a_removal_waits_for_a_walk)
{
	if (!ktest_needs_cpus(t, 2) || !begin(t, NULL))
		return;
	s.mem->vm.at_once = RMAP_AT_ONCE;
	/* The removal of another slot waits too, because it would begin a walk. */
	walk_begins();
	EXPECT_EQ(t, vm_object_remove(s.object, SLOT - 1, 1), 0);
	expect_waited(t, __LINE__);
	walk_begins();
	EXPECT_EQ(t, vm_object_remove(s.object, SLOT, 1), 0);
	expect_waited(t, __LINE__);
	EXPECT_EQ(t, vm_object_present(s.object), WIDE - 2);
	scene_end(t, &s);
}

/* ---- walks one after the other ---- */

static bool is_over(void)
{
	return true;
}

static bool slot_is_removed(void)
{
	u32 nr = vm_object_remove_some(s.object, SLOT, 1, is_over);

	EXPECT_EQ(pause.t, nr, !vm_object_has(s.object, SLOT));
	return nr;
}

/* A removal waits for a walk, and for a thread that waits for a walk; and only then can it end. */
KTEST(a_removal_gives_way_until_it_is_told_to_end)
{
	if (!begin(t, NULL))
		return;
	s.object->walked = SLOT;
	EXPECT(t, !slot_is_removed());
	s.object->walked = 0;
	s.object->waiting = 1;
	EXPECT(t, !slot_is_removed());
	s.object->waiting = 0;
	EXPECT(t, slot_is_removed());
	scene_end(t, &s);
}

static u16 waiting; /* other threads that waited when the thread got the lock */

static void lock_and_look(void *arg)
{
	object_lock(s.object);
	early = s.object->walked;
	waiting = s.object->waiting;
	spin_unlock(&s.object->lock);
}

KTEST(a_thread_that_waits_for_a_walk_is_counted)
{
	if (!ktest_needs_cpus(t, 2) || !begin(t, NULL))
		return;
	s.object->walked = SLOT + 1;
	early = true;
	waiting = 1;
	ktest_start(1, lock_and_look, NULL);
	EXPECT(t, YIELD_UNTIL(READ_ONCE(s.object->waiting)));
	EXPECT_EQ(t, READ_ONCE(s.object->waiting), 1);
	spin_lock(&s.object->lock);
	object_walk_ends(s.object);
	spin_unlock(&s.object->lock);
	ktest_join(1);
	EXPECT(t, !early && !waiting);
	scene_end(t, &s);
}

/* Walks end, again and again, but whenever another thread looks there is one. */
static void walk_without_end(void *arg)
{
	struct vm_object *other = arg;
	struct wait_limit limit = {0};

	while (!load_acquire(&ended) && wait_goes_on(&limit)) {
		spin_lock(&other->lock);
		object_walk_ends(other);
		spin_unlock(&other->lock);
		cpu_relax();
	}
	early = !load_acquire(&ended);
	spin_lock(&s.object->lock);
	object_walk_ends(s.object);
	spin_unlock(&s.object->lock);
}

KTEST(a_wait_ends_with_the_walk_under_way)
{
	struct vm_object *other;

	if (!ktest_needs_cpus(t, 2) || !begin(t, NULL))
		return;
	REQUIRE(t, !vm_object_create(s.mem, OBJ_ANON, 1, NULL, NULL, &other));
	s.object->walked = SLOT + 1;
	ended = 0;
	ktest_start(1, walk_without_end, other);
	object_wait(s.object);
	store_release(&ended, 1u);
	ktest_join(1);
	EXPECT(t, !early);
	vm_object_put(other);
	scene_end(t, &s);
}
