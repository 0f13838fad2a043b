/* SPDX-License-Identifier: MIT */
/*
 * test_play_slab.c: small objects in any order, with their counts and pages; two threads that need
 * a page at once; and the frees that kfree refuses. Hosted only.
 */
#include "tests/host/moment.h"
#include "tests/lib/mm_test.h"
#include <quarry/account.h>
#include <quarry/console.h>
#include <quarry/string.h>

#define SIZES  (NR_SLAB_COUNTS - 1)
#define HEADER 64u /* of a slab page */

static struct ktest *now;
static u64 begun[NR_SLAB_COUNTS];

static void slabs_begin(struct ktest *t)
{
	now = t;
	kmalloc_trim();
	kmalloc_counts(begun);
}

/* Since slabs_begin, objects in use of class @i; SIZES: blocks. */
static u64 in_use(unsigned i)
{
	u64 counts[NR_SLAB_COUNTS];

	kmalloc_counts(counts);
	return counts[i] - begun[i];
}

static bool in_slab(const void *ptr)
{
	return word_state(page_word(virt_to_page(ptr))) == PG_SLAB;
}

KTEST_SUITE(play_slab, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- objects come and go ---- */

/* The first of three pages without objects stays, and is the next to be used. */
KTEST(one_page_without_objects_is_kept)
{
	void *object[3], *again;
	unsigned i;

	slabs_begin(t);
	for (i = 0; i < 3; i++)
		object[i] = NEED(t, kmalloc(2048));
	for (i = 0; i < 3; i++) {
		EXPECT(t, in_slab(object[i]));
		kfree(object[i]);
		EXPECT_EQ(t, in_slab(object[i]), i == 0);
		EXPECT_EQ(t, in_use(SIZES - 1), 2 - i);
	}
	again = kmalloc(2000);
	EXPECT(t, again == object[0]);
	kfree(again);
	kmalloc_trim();
	EXPECT(t, !in_slab(object[0]));
}

#define OBJECTS 400
#define STEPS   4000

static struct parcel {
	u8 *ptr;
	unsigned class;
} parcel[OBJECTS];

static size_t size_of(unsigned class)
{
	return (size_t)1 << (SLAB_MIN_SHIFT + class);
}

/* Every byte of an object is zero at first, and stays as its owner has set it. */
static void put_parcel(struct ktest *t, unsigned i, unsigned class)
{
	size_t size = size_of(class), at;

	parcel[i] = (struct parcel){kmalloc(size - i % 7), class};
	REQUIRE(t, parcel[i].ptr);
	for (at = 0; at < size && !parcel[i].ptr[at]; at++)
		;
	EXPECT_EQ(t, at, size);
	memset(parcel[i].ptr, (int)(i % 255 + 1), size);
}

static void take_parcel(struct ktest *t, unsigned i)
{
	size_t size = size_of(parcel[i].class), at;

	for (at = 0; at < size && parcel[i].ptr[at] == i % 255 + 1; at++)
		;
	EXPECT_EQ(t, at, size);
	kfree(parcel[i].ptr);
	parcel[i].ptr = NULL;
}

/* Without objects no page is left. */
KTEST(objects_come_and_go_in_any_order)
{
	unsigned nr[SIZES] = {0}, step, i;
	unsigned long free;
	u64 rand = t->seed;

	slabs_begin(t);
	free = memory_free_pages(&kernel_memory);
	for (step = 0; step < STEPS && !t->failures; step++) {
		unsigned class = (unsigned)(ktest_rand(&rand) % SIZES);

		i = (unsigned)(ktest_rand(&rand) % OBJECTS);
		if (parcel[i].ptr) {
			class = parcel[i].class;
			nr[class]--;
			take_parcel(t, i);
		} else {
			put_parcel(t, i, class);
			nr[class]++;
		}
		EXPECT_EQ(t, in_use(class), nr[class]);
	}
	for (i = 0; i < OBJECTS; i++) {
		if (parcel[i].ptr)
			take_parcel(t, i);
	}
	for (i = 0; i < SIZES; i++)
		EXPECT_EQ(t, in_use(i), 0);
	kmalloc_trim();
	EXPECT_EQ(t, memory_free_pages(&kernel_memory), free);
}

static void *theirs;

static void allocate_too(void)
{
	theirs = kmalloc(500);
}

static void before_the_second_lock(struct spinlock *lock, enum lock_step step)
{
	if (step == LOCK_WANTED && !strcmp(lock->name, "slab") && ++moment.seen == 2)
		allocate_too();
}

/* Both threads find no free object, and each brings a page; both pages are used. */
KTEST(two_threads_may_each_add_a_slab_page)
{
	static const struct watch watch = {.spin = before_the_second_lock};
	u64 pages;
	void *ours;

	slabs_begin(t);
	pages = mm_event_sum(&kernel_memory, EV_SLAB_PAGES);
	moment.seen = 0;
	theirs = NULL;
	ours = WATCHED(&watch, kmalloc(500));
	REQUIRE(t, ours && theirs);
	EXPECT(t, virt_to_page(ours) != virt_to_page(theirs));
	EXPECT_EQ(t, mm_event_sum(&kernel_memory, EV_SLAB_PAGES) - pages, 2);
	EXPECT_EQ(t, in_use(9 - SLAB_MIN_SHIFT), 2);
	kfree(ours);
	kfree(theirs);
	EXPECT_EQ(t, in_slab(ours) + in_slab(theirs), 1);
	kmalloc_trim();
	EXPECT(t, !in_slab(ours) && !in_slab(theirs));
}

KTEST(blocks_are_counted)
{
	void *object[2];

	slabs_begin(t);
	object[0] = NEED(t, kmalloc(2049));
	object[1] = NEED(t, kmalloc(PAGE_SIZE + 1));
	EXPECT_EQ(t, in_use(SIZES), 2);
	kfree(object[1]);
	EXPECT_EQ(t, in_use(SIZES), 1);
	kfree(object[0]);
	EXPECT_EQ(t, in_use(SIZES), 0);
}

/* ---- frees that kfree refuses ---- */

static void expect_panic(
    struct ktest *t, void *ptr, const struct page *page, const char *why, int line)
{
	char want[sizeof(panicked.text)];

	port_task()->blamed_pfn = PFN_NONE;
	if (!PANICS(kfree(ptr)))
		ktest_fail(t, __FILE__, line, "no panic");
	ksnprintf(want, sizeof(want), "kfree(%p): %s", ptr, why);
	if (strcmp(panicked.text, want) != 0)
		ktest_fail(t, __FILE__, line, "\"%s\", not \"%s\"", panicked.text, want);
	if (port_task()->blamed_pfn !=
	    (page ? page_to_pfn_in(&kernel_memory, page) : (pfn_t)PFN_NONE))
		ktest_fail(t, __FILE__, line, "the panic does not show the page");
}
#define EXPECT_PANIC(t, ptr, page, why) expect_panic((t), (ptr), (page), (why), __LINE__)

KTEST(kfree_of_a_pointer_that_is_no_object_is_refused)
{
	static const char why[] = "not an object of its slab";
	unsigned class;

	slabs_begin(t);
	for (class = 0; class < SIZES; class ++) {
		size_t size = size_of(class), at;
		char *object = NEED(t, kmalloc(size));
		char *start = (char *)ALIGN_DOWN((uintptr_t)object, PAGE_SIZE);

		/* The header, at every offset at which an object could begin, is no object. */
		for (at = 0; at < HEADER; at += MIN(size, (size_t)HEADER))
			EXPECT_PANIC(t, start + at, virt_to_page(object), why);
		/* Nor is a pointer into an object. */
		EXPECT_PANIC(t, object + 1, virt_to_page(object), why);
		EXPECT_PANIC(t, object + size / 2, virt_to_page(object), why);
		EXPECT_EQ(t, in_use(class), 1);
		kfree(object);
		/* The object's page has no object in use. */
		EXPECT_PANIC(t, object, virt_to_page(object), why);
		EXPECT_EQ(t, in_use(class), 0);
	}
}

KTEST(double_kfree_is_refused)
{
	void *object[3];
	unsigned i;

	slabs_begin(t);
	for (i = 0; i < 3; i++)
		object[i] = NEED(t, kmalloc(64));
	kfree(object[0]);
	kfree(object[1]);
	EXPECT_PANIC(t, object[1], virt_to_page(object[1]), "freed twice");
	EXPECT_PANIC(t, object[0], virt_to_page(object[0]), "freed twice");
	EXPECT_EQ(t, in_use(6 - SLAB_MIN_SHIFT), 1);
	kfree(object[2]);
}

KTEST(kfree_outside_slab_pages_is_refused)
{
	static const char why[] = "its page is no slab's, and not allocated";
	char *block, *beyond = (char *)arch_phys_to_virt((u64)kernel_memory.end_pfn << PAGE_SHIFT);
	struct page *page;

	block = NEED(t, kmalloc(2 * PAGE_SIZE));
	EXPECT_PANIC(t, block + 16, virt_to_page(block), why);
	EXPECT_PANIC(t, block + PAGE_SIZE, virt_to_page(block + PAGE_SIZE), why);
	EXPECT_PANIC(t, beyond, NULL, "not memory of the kernel");
	kfree(block);
	page = NEED(t, mem_alloc_pages(&kernel_memory, GFP_KERNEL, 0));
	/* The page is in use, but this call may not free it. */
	page_cas_state(page, PG_ALLOC, PG_PGTABLE);
	EXPECT_PANIC(t, page_address(page), page, why);
	page_cas_state(page, PG_PGTABLE, PG_ALLOC);
	EXPECT_EQ(t, mem_free_pages(&kernel_memory, page, 0), 0);
}
