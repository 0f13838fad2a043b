/* SPDX-License-Identifier: MIT */
/*
 * test_short.c: calls that need a small object when the kernel has no memory for one: each fails,
 * and leaves no trace. Hosted only: in the kernel other threads need small objects meanwhile.
 */
#include "tests/lib/vm_help.h"
#include <quarry/account.h>

/* ---- no page for small objects ---- */

#define NO_MEMORY (1UL << 40) /* a watermark that no zone can reach */

static unsigned long marks[MAX_ZONES];

struct hogged {
	struct hogged *next;
};

static void short_begin(struct ktest *t)
{
	unsigned i;

	for (i = 0; i < kernel_memory.nr_nodes * NR_ZONE_KINDS; i++) {
		struct zone *zone = &kernel_memory.zones[i];

		EXPECT_EQ(t, zone_pcp_disable(zone), 0);
		marks[i] = zone->wmark[WMARK_MIN];
		WRITE_ONCE(zone->wmark[WMARK_MIN], NO_MEMORY);
	}
	kmalloc_trim();
}

static void short_end(struct ktest *t)
{
	unsigned i;

	for (i = 0; i < kernel_memory.nr_nodes * NR_ZONE_KINDS; i++) {
		struct zone *zone = &kernel_memory.zones[i];

		WRITE_ONCE(zone->wmark[WMARK_MIN], marks[i]);
		EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	}
}

/* Take every free object of the size class of @size. */
static struct hogged *hog(size_t size)
{
	struct hogged *first = NULL, *one;

	while ((one = kmalloc(size))) {
		one->next = first;
		first = one;
	}
	return first;
}

static void give_back(struct hogged *one)
{
	struct hogged *next;

	for (; one; one = next) {
		next = one->next;
		kfree(one);
	}
}

/* Free one object again. */
static struct hogged *give_one(struct hogged *first)
{
	struct hogged *rest = first->next;

	kfree(first);
	return rest;
}

static struct counts before;

static void expect_unchanged(struct ktest *t, int line)
{
	struct counts now;
	const char *what;
	u64 was, is;

	counts_read(&now);
	what = counts_differ(&before, &now, &was, &is);
	if (what)
		ktest_fail(t, __FILE__, line, "%s: %llu before the call, %llu after it", what,
		    (unsigned long long)was, (unsigned long long)is);
}

/* @call fails without memory, and counts nothing. */
#define FAILS(t, call)                                                                             \
	do {                                                                                       \
		counts_read(&before);                                                              \
		EXPECT_EQ(t, (call), -ENOMEM);                                                     \
		expect_unchanged((t), __LINE__);                                                   \
	} while (0)

KTEST_SUITE(short, 0);

/* The one page that is kept for each size is freed too; a page with an object in use stays. */
KTEST(trim_frees_every_slab_page_without_objects)
{
	unsigned shift;

	for (shift = SLAB_MIN_SHIFT; shift <= SLAB_MAX_SHIFT; shift++) {
		u64 pages = mm_event_sum(&kernel_memory, EV_SLAB_PAGES);
		struct hogged *first = NULL, *one = NULL;
		struct page *page;

		/* The last object has a page of its own. */
		while (mm_event_sum(&kernel_memory, EV_SLAB_PAGES) == pages &&
		    (one = kmalloc((size_t)1 << shift))) {
			one->next = first;
			first = one;
		}
		REQUIRE(t, one);
		page = virt_to_page(one);
		kmalloc_trim();
		EXPECT_EQ(t, word_state(page_word(page)), PG_SLAB);
		first = give_one(first);
		kmalloc_trim();
		EXPECT(t, word_state(page_word(page)) != PG_SLAB);
		give_back(first);
	}
}

KTEST(creation_without_memory_fails)
{
	struct vm_object *object = NULL;
	struct vm_space *space = NULL;
	struct hogged *hogged;
	struct vm_scene s;

	if (!scene_begin(t, &s, 4))
		return;
	short_begin(t);
	hogged = hog(sizeof(*object));
	FAILS(t, vm_object_create(s.mem, OBJ_ANON, 1, NULL, NULL, &object));
	EXPECT(t, !object && LIST_FIRST(&s.mem->vm.objects) == s.object);
	give_back(hogged);
	hogged = hog(sizeof(*space) + CPUMASK_WORDS(nr_cpus) * sizeof(space->active[0]));
	FAILS(t, vm_space_create(s.mem, &space));
	EXPECT(t, !space && LIST_FIRST(&s.mem->vm.spaces) == s.space);
	give_back(hogged);
	counts_read(&before);
	EXPECT(t, !kmalloc(2 * PAGE_SIZE));
	EXPECT(t, !kmalloc(PAGE_SIZE));
	expect_unchanged(t, __LINE__);
	short_end(t);
	EXPECT_EQ(t, vm_object_create(s.mem, OBJ_ANON, 1, NULL, NULL, &object), 0);
	EXPECT_EQ(t, vm_space_create(s.mem, &space), 0);
	if (object)
		vm_object_put(object);
	if (space)
		vm_space_put(space);
	scene_end(t, &s);
}

/* Here there is no memory for pages of page tables and slot tables. */
KTEST(failed_creation_leaves_nothing)
{
	struct vm_object *object = NULL;
	struct vm_space *space = NULL;
	struct vm_scene s;

	if (!scene_begin(t, &s, 4))
		return;
	WRITE_ONCE(s.mem->zones[ZONE_NORMAL].wmark[WMARK_MIN], NO_MEMORY);
	EXPECT_EQ(t, zone_pcp_disable(&s.mem->zones[ZONE_NORMAL]), 0);
	FAILS(t, vm_object_create(s.mem, OBJ_ANON, 1, NULL, NULL, &object));
	FAILS(t, vm_space_create(s.mem, &space));
	FAILS(t, vm_fault(s.space, page_at(0), VM_WRITE));
	FAILS(t, object_prepare(s.object, 0, 0));
	FAILS(t, pt_prepare(&s.space->pt, page_at(0)));
	EXPECT_EQ(t, zone_pcp_enable(&s.mem->zones[ZONE_NORMAL]), 0);
	zone_set_watermarks(&s.mem->zones[ZONE_NORMAL]);
	EXPECT_EQ(t, vm_fault(s.space, page_at(0), VM_WRITE), 0);
	scene_end(t, &s);
}

KTEST(failed_change_leaves_a_space_alone)
{
	struct vm_object *other = NULL;
	struct hogged *hogged;
	struct vm_scene s;

	if (!scene_begin(t, &s, 16))
		return;
	REQUIRE(t, !vm_object_create(s.mem, OBJ_ANON, 4, NULL, NULL, &other));
	EXPECT_EQ(t, vm_fault(s.space, page_at(5), VM_WRITE), 0);
	short_begin(t);
	hogged = hog(sizeof(struct vm_region));
	FAILS(t, vm_map(s.space, page_at(40), 1, VM_RW, s.object, 0));
	FAILS(t, vm_protect(s.space, page_at(4), 4, VM_READ));
	FAILS(t, vm_unmap(s.space, page_at(4), 4));
	FAILS(t, vm_unmap(s.space, page_at(0), 4));
	FAILS(t, vm_unmap(s.space, page_at(4), 12));
	/* There is memory for one of the two regions that a hole makes. */
	if (hogged)
		hogged = give_one(hogged);
	FAILS(t, vm_protect(s.space, page_at(4), 4, VM_READ));
	FAILS(t, vm_unmap(s.space, page_at(4), 4));
	give_back(hogged);
	EXPECT_EQ(t, s.space->nr_regions, 1);
	EXPECT_EQ(t, region_find(s.space, page_at(0))->end, page_at(16));
	EXPECT_EQ(t, region_find(s.space, page_at(5))->prot, VM_RW);
	EXPECT(t, pte_at(s.space, page_at(5)) & PTE_WRITE);
	/* There is memory for the region, but none for the record of the object's regions. */
	hogged = hog(sizeof(struct vm_use));
	FAILS(t, vm_map(s.space, page_at(40), 1, VM_RW, other, 0));
	EXPECT_EQ(t, READ_ONCE(other->refs), 1);
	give_back(hogged);
	short_end(t);
	EXPECT_EQ(t, vm_map(s.space, page_at(40), 1, VM_RW, other, 0), 0);
	vm_object_put(other);
	expect_sound(t, s.mem);
	scene_end(t, &s);
}
