/* SPDX-License-Identifier: MIT */
/*
 * test_play_slab.c: the lists of small objects, checked from inside after each step, and the frees
 * that kfree refuses. The test has a copy of mm/vm/slab.c of its own, whose pages are counted and
 * whose panics come back here.
 */
#include "tests/lib/mm_test.h"
#include "tests/host/play_help.h"
#include <quarry/account.h>
#include <quarry/console.h>
#include <quarry/lock.h>

void *play_kmalloc(size_t size);
void play_kfree(void *ptr);
void play_counts(u64 in_use[NR_SLAB_COUNTS]);
void play_trim(void);

static struct {
	unsigned pages; /* pages that the slab has now */
	gfp_t gfp;      /* flags of the last request */
	unsigned order;
	bool none;                /* there is no memory */
	void *(*meanwhile)(void); /* called once, as another thread, when the slab wants a page */
	void *got;                /* the object that the other thread got */
	const struct page *blamed;
	char said[80];
	jmp_buf end;
} slabs;

static struct page *pages_taken(gfp_t gfp, unsigned order)
{
	void *(*meanwhile)(void) = slabs.meanwhile;
	struct page *page;

	slabs.meanwhile = NULL;
	if (meanwhile)
		slabs.got = meanwhile();
	slabs.gfp = gfp;
	slabs.order = order;
	page = slabs.none ? NULL : mem_alloc_pages(&kernel_memory, gfp, order);
	slabs.pages += page ? 1U << order : 0;
	return page;
}

static void pages_given(struct page *page, unsigned order)
{
	slabs.pages -= 1U << order;
	mem_free_pages(&kernel_memory, page, order);
}

static void blame(const struct memory *mem, const struct page *page)
{
	slabs.blamed = page;
}

static void __attribute__((noreturn, format(printf, 1, 2))) end_here(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(slabs.said, sizeof(slabs.said), fmt, ap);
	va_end(ap);
	longjmp(slabs.end, 1);
}

#define alloc_pages    pages_taken
#define free_pages     pages_given
#define panic_blame    blame
#define panic          end_here
#define kmalloc        play_kmalloc
#define kfree          play_kfree
#define kmalloc_counts play_counts
#define kmalloc_trim   play_trim
#include "mm/vm/slab.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef alloc_pages
#undef free_pages
#undef panic_blame
#undef panic

/* ---- the lists ---- */

static unsigned objects_a_page(unsigned shift)
{
	return (unsigned)((PAGE_SIZE - MAX((size_t)1 << shift, (size_t)SLAB_HEADER)) >> shift);
}

/* Check a page that is on the list of its size; returns the number of its free objects. */
static unsigned look_at_slab(struct ktest *t, const struct slab *slab, unsigned shift, int line)
    NO_LOCK_ANALYSIS
{
	unsigned nr = 0;
	void **object;

	for (object = slab->free; object && nr <= objects_a_page(shift); object = *object) {
		size_t at = (size_t)((char *)object - (char *)slab);

		if (at < SLAB_HEADER || at + ((size_t)1 << shift) > PAGE_SIZE ||
		    at & (((size_t)1 << shift) - 1))
			ktest_fail(t, __FILE__, line,
			    "a free object of %u bytes at %zu of its page", 1U << shift, at);
		nr++;
	}
	if (slab->shift != shift || !nr || nr + slab->used != objects_a_page(shift))
		ktest_fail(t, __FILE__, line, "a page of size %u: %u free, %u used, of size %u",
		    1U << shift, nr, slab->used, 1U << slab->shift);
	return nr;
}

/*
 * The lists must have @in_use objects in use of each size, and, of all sizes together, @empty pages
 * without an object in use.
 */
static void look_at_lists(struct ktest *t, const unsigned *in_use, unsigned empty, int line)
    NO_LOCK_ANALYSIS
{
	unsigned shift, all_empty = 0;

	for (shift = MIN_SHIFT; shift <= MAX_SHIFT; shift++) {
		struct slab *const *link = &LIST_FIRST(&sizes[shift].partial);
		unsigned nr_empty = 0, used = 0;
		struct slab *slab;

		for (slab = *link; slab; link = &LIST_NEXT(slab, link), slab = *link) {
			if (slab->link.le_prev != link)
				ktest_fail(t, __FILE__, line,
				    "size %u: a page does not know its neighbour", 1U << shift);
			look_at_slab(t, slab, shift, line);
			nr_empty += !slab->used;
			used += slab->used;
		}
		if (sizes[shift].nr_empty != nr_empty ||
		    sizes[shift].in_use != in_use[shift - MIN_SHIFT])
			ktest_fail(t, __FILE__, line,
			    "size %u: %u pages empty, %u counted; %llu objects, not %u",
			    1U << shift, nr_empty, sizes[shift].nr_empty,
			    (unsigned long long)sizes[shift].in_use, in_use[shift - MIN_SHIFT]);
		if (used > in_use[shift - MIN_SHIFT] ||
		    (in_use[shift - MIN_SHIFT] - used) % objects_a_page(shift))
			ktest_fail(t, __FILE__, line,
			    "size %u: a page that is not full is on no list", 1U << shift);
		all_empty += nr_empty;
	}
	if (all_empty != empty)
		ktest_fail(t, __FILE__, line, "%u pages are empty, not %u", all_empty, empty);
}

static void slabs_begin(void)
{
	memset(&slabs, 0, sizeof(slabs));
}

static void slabs_end(struct ktest *t)
{
	static const unsigned none[NR_SLAB_COUNTS];
	u64 counts[NR_SLAB_COUNTS];
	unsigned i;

	play_trim();
	look_at_lists(t, none, 0, __LINE__);
	EXPECT_EQ(t, slabs.pages, 0);
	play_counts(counts);
	for (i = 0; i < NR_SLAB_COUNTS; i++)
		EXPECT_EQ(t, counts[i], 0);
}

KTEST_SUITE(play_slab, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- objects come and go ---- */

/* A page has one object of 2048 bytes, so each list operation is seen by itself. */
KTEST(one_page_without_objects_is_kept)
{
	unsigned in_use[NR_SLAB_COUNTS] = {0}, *large = &in_use[MAX_SHIFT - MIN_SHIFT];
	void *object[3];
	unsigned i;

	slabs_begin();
	for (i = 0; i < 3; i++) {
		object[i] = play_kmalloc(2048);
		REQUIRE(t, object[i]);
		*large = i + 1;
		look_at_lists(t, in_use, 0, __LINE__);
		EXPECT_EQ(t, slabs.pages, i + 1);
		EXPECT_EQ(t, slabs.gfp, GFP_KERNEL);
		EXPECT_EQ(t, slabs.order, 0);
	}
	for (i = 0; i < 3; i++) {
		play_kfree(object[i]);
		*large = 2 - i;
		look_at_lists(t, in_use, 1, __LINE__);
		/* The first page stays, and the others go. */
		EXPECT_EQ(t, slabs.pages, 3 - i);
	}
	object[1] = play_kmalloc(2000);
	EXPECT(t, object[1] == object[0]);
	*large = 1;
	look_at_lists(t, in_use, 0, __LINE__);
	play_kfree(object[1]);
	*large = 0;
	look_at_lists(t, in_use, 1, __LINE__);
	EXPECT_EQ(t, slabs.pages, 1);
	slabs_end(t);
}

#define OBJECTS 400
#define STEPS   4000

static struct parcel {
	u8 *ptr;
	unsigned shift;
} parcel[OBJECTS];

static void put_parcel(struct ktest *t, unsigned i, unsigned shift)
{
	size_t size = (size_t)1 << shift, at;

	parcel[i] = (struct parcel){play_kmalloc(size - i % 7), shift};
	REQUIRE(t, parcel[i].ptr);
	for (at = 0; at < size && !parcel[i].ptr[at]; at++)
		;
	EXPECT_EQ(t, at, size);
	memset(parcel[i].ptr, (int)(i % 255 + 1), size);
}

static void take_parcel(struct ktest *t, unsigned i)
{
	size_t size = (size_t)1 << parcel[i].shift, at;

	for (at = 0; at < size && parcel[i].ptr[at] == i % 255 + 1; at++)
		;
	EXPECT_EQ(t, at, size);
	play_kfree(parcel[i].ptr);
	parcel[i].ptr = NULL;
}

KTEST(slab_lists_are_consistent_after_each_step)
{
	unsigned in_use[NR_SLAB_COUNTS] = {0}, step, i, empty, shift;
	u64 rand = t->seed, counts[NR_SLAB_COUNTS];

	slabs_begin();
	for (step = 0; step < STEPS && !t->failures; step++) {
		i = (unsigned)(ktest_rand(&rand) % OBJECTS);
		shift = MIN_SHIFT + (unsigned)(ktest_rand(&rand) % (MAX_SHIFT - MIN_SHIFT + 1));
		if (parcel[i].ptr) {
			in_use[parcel[i].shift - MIN_SHIFT]--;
			take_parcel(t, i);
		} else {
			put_parcel(t, i, shift);
			in_use[shift - MIN_SHIFT]++;
		}
		for (empty = 0, shift = MIN_SHIFT; shift <= MAX_SHIFT; shift++) {
			EXPECT(t, sizes[shift].nr_empty <= 1);
			empty += sizes[shift].nr_empty;
		}
		look_at_lists(t, in_use, empty, __LINE__);
	}
	play_counts(counts);
	for (i = 0; i < NR_SLAB_COUNTS; i++)
		EXPECT_EQ(t, counts[i], in_use[i]);
	for (i = 0; i < OBJECTS; i++) {
		if (parcel[i].ptr)
			take_parcel(t, i);
	}
	slabs_end(t);
}

static void *one_more(void)
{
	return play_kmalloc(500);
}

/* Both threads find no free object, and each brings a page. */
KTEST(two_threads_may_each_add_a_slab_page)
{
	unsigned in_use[NR_SLAB_COUNTS] = {0}, *ours = &in_use[9 - MIN_SHIFT];
	void *object;

	slabs_begin();
	slabs.meanwhile = one_more;
	object = play_kmalloc(500);
	REQUIRE(t, object && slabs.got);
	EXPECT(t, object != slabs.got);
	*ours = 2;
	look_at_lists(t, in_use, 0, __LINE__);
	EXPECT_EQ(t, slabs.pages, 2);
	play_kfree(object);
	*ours = 1;
	look_at_lists(t, in_use, 1, __LINE__);
	play_kfree(slabs.got);
	*ours = 0;
	look_at_lists(t, in_use, 1, __LINE__);
	EXPECT_EQ(t, slabs.pages, 1);
	slabs_end(t);
}

KTEST(failed_slab_page_is_not_counted)
{
	static const unsigned none[NR_SLAB_COUNTS];
	u64 pages = mm_event_sum(&kernel_memory, EV_SLAB_PAGES), counts[NR_SLAB_COUNTS];

	slabs_begin();
	slabs.none = true;
	EXPECT(t, !play_kmalloc(16));
	EXPECT(t, !play_kmalloc(2048));
	EXPECT_EQ(t, slabs.order, 0);
	EXPECT(t, !play_kmalloc(2049));
	EXPECT_EQ(t, slabs.order, 0);
	EXPECT(t, !play_kmalloc(PAGE_SIZE * 4 + 1));
	EXPECT_EQ(t, slabs.order, 3);
	EXPECT_EQ(t, slabs.gfp, GFP_KERNEL | GFP_ZERO);
	EXPECT_EQ(t, mm_event_sum(&kernel_memory, EV_SLAB_PAGES), pages);
	look_at_lists(t, none, 0, __LINE__);
	play_counts(counts);
	EXPECT_EQ(t, counts[NR_SLAB_COUNTS - 1], 0);
	slabs_end(t);
}

KTEST(blocks_are_counted)
{
	u64 counts[NR_SLAB_COUNTS];
	void *object[2];

	slabs_begin();
	object[0] = play_kmalloc(2049);
	object[1] = play_kmalloc(PAGE_SIZE + 1);
	REQUIRE(t, object[0] && object[1]);
	EXPECT_EQ(t, slabs.pages, 3);
	play_counts(counts);
	EXPECT_EQ(t, counts[NR_SLAB_COUNTS - 1], 2);
	play_kfree(object[1]);
	EXPECT_EQ(t, slabs.pages, 1);
	play_counts(counts);
	EXPECT_EQ(t, counts[NR_SLAB_COUNTS - 1], 1);
	play_kfree(object[0]);
	slabs_end(t);
}

static unsigned slab_locks;

static void count_slab_lock(const char *what, const struct spinlock *lock)
{
	slab_locks += !strcmp(lock->name, "slab");
}

/*
 * A lock of the same rank is held here, so the lock checker reports each time that the lock of a
 * size is taken.
 */
KTEST(lists_are_used_under_the_lock_of_their_size)
{
	struct spinlock held = SPINLOCK("held", RANK_SLAB);
	u64 counts[NR_SLAB_COUNTS];
	unsigned locked[4];
	irqflags_t flags;
	void *object;

	slabs_begin();
	/* Now there is a page with a free object. */
	play_kfree(play_kmalloc(64));
	flags = arch_irq_save();
	slab_locks = 0;
	spin_violation_hook = count_slab_lock;
	spin_lock(&held);
	object = play_kmalloc(64);
	locked[0] = slab_locks;
	play_kfree(object);
	locked[1] = slab_locks;
	play_counts(counts);
	locked[2] = slab_locks;
	play_trim();
	locked[3] = slab_locks;
	spin_unlock(&held);
	spin_violation_hook = NULL;
	arch_irq_restore(flags);
	EXPECT_EQ(t, locked[0], 1);
	EXPECT_EQ(t, locked[1], 2);
	EXPECT_EQ(t, locked[2] - locked[1], MAX_SHIFT - MIN_SHIFT + 1);
	/* The size that has an empty page is looked at twice. */
	EXPECT_EQ(t, locked[3] - locked[2], MAX_SHIFT - MIN_SHIFT + 2);
	slabs_end(t);
}

/* ---- frees that kfree refuses ---- */

/* A panic in kfree leaves the lock taken: release it. */
static void drop_locks(void) NO_LOCK_ANALYSIS
{
	unsigned shift;

	for (shift = MIN_SHIFT; shift <= MAX_SHIFT; shift++) {
		if (sizes[shift].lock.locked)
			spin_unlock(&sizes[shift].lock);
	}
}

static void expect_panic(
    struct ktest *t, void *ptr, const struct page *page, const char *why, int line)
{
	char want[sizeof(slabs.said)];

	slabs.said[0] = '\0';
	slabs.blamed = NULL;
	if (!setjmp(slabs.end))
		play_kfree(ptr);
	drop_locks();
	ksnprintf(want, sizeof(want), "kfree(%p): %s", ptr, why);
	if (strcmp(slabs.said, want) != 0)
		ktest_fail(t, __FILE__, line, "\"%s\", not \"%s\"", slabs.said, want);
	if (slabs.blamed != page)
		ktest_fail(t, __FILE__, line, "the panic does not show the page");
}
#define EXPECT_PANIC(t, ptr, page, why) expect_panic((t), (ptr), (page), (why), __LINE__)

static struct page *page_of(const void *ptr)
{
	return pfn_to_page_in(
	    &kernel_memory, ((uintptr_t)ptr - (uintptr_t)arch_phys_to_virt(0)) >> PAGE_SHIFT);
}

KTEST(kfree_of_a_pointer_that_is_no_object_is_refused)
{
	static const char why[] = "not an object of its slab";
	unsigned in_use[NR_SLAB_COUNTS] = {0}, shift;

	slabs_begin();
	for (shift = MIN_SHIFT; shift <= MAX_SHIFT; shift++) {
		char *object = play_kmalloc((size_t)1 << shift);
		char *start = (char *)ALIGN_DOWN((uintptr_t)object, PAGE_SIZE);
		size_t at;

		REQUIRE(t, object);
		in_use[shift - MIN_SHIFT] = 1;
		/* The header, at every offset at which an object could begin, is no object. */
		for (at = 0; at < SLAB_HEADER; at += MIN((size_t)1 << shift, (size_t)SLAB_HEADER))
			EXPECT_PANIC(t, start + at, page_of(object), why);
		/* Nor is a pointer into an object. */
		EXPECT_PANIC(t, object + 1, page_of(object), why);
		EXPECT_PANIC(t, object + ((size_t)1 << shift) / 2, page_of(object), why);
		look_at_lists(t, in_use, shift - MIN_SHIFT, __LINE__);
		play_kfree(object);
		in_use[shift - MIN_SHIFT] = 0;
		/* The object's page has no object in use. */
		EXPECT_PANIC(t, object, page_of(object), why);
		look_at_lists(t, in_use, shift - MIN_SHIFT + 1, __LINE__);
	}
	slabs_end(t);
}

KTEST(double_kfree_is_refused)
{
	unsigned in_use[NR_SLAB_COUNTS] = {0};
	void *object[3];
	unsigned i;

	slabs_begin();
	for (i = 0; i < 3; i++)
		object[i] = play_kmalloc(64);
	REQUIRE(t, object[0] && object[1] && object[2]);
	play_kfree(object[0]);
	play_kfree(object[1]);
	in_use[6 - MIN_SHIFT] = 1;
	EXPECT_PANIC(t, object[1], page_of(object[1]), "freed twice");
	EXPECT_PANIC(t, object[0], page_of(object[0]), "freed twice");
	look_at_lists(t, in_use, 0, __LINE__);
	play_kfree(object[2]);
	slabs_end(t);
}

KTEST(kfree_outside_slab_pages_is_refused)
{
	static const char why[] = "its page is no slab's, and not allocated";
	char *block, *beyond = (char *)arch_phys_to_virt((u64)kernel_memory.end_pfn << PAGE_SHIFT);
	struct page *page;

	slabs_begin();
	block = NEED(t, play_kmalloc(2 * PAGE_SIZE));
	EXPECT_PANIC(t, block + 16, page_of(block), why);
	EXPECT_PANIC(t, block + PAGE_SIZE, page_of(block + PAGE_SIZE), why);
	EXPECT_PANIC(t, beyond, NULL, "not memory of the kernel");
	EXPECT_EQ(t, slabs.pages, 2);
	play_kfree(block);
	page = NEED(t, mem_alloc_pages(&kernel_memory, GFP_KERNEL, 0));
	/* The page is in use, but this call may not free it. */
	page_cas_state(page, PG_ALLOC, PG_PGTABLE);
	EXPECT_PANIC(t, page_address(page), page, why);
	page_cas_state(page, PG_PGTABLE, PG_ALLOC);
	EXPECT_EQ(t, mem_free_pages(&kernel_memory, page, 0), 0);
	play_kfree(NULL);
	slabs_end(t);
}
