/* SPDX-License-Identifier: MIT */
/*
 * test_slab.c: small objects of all sizes: their addresses and content, the freeing of their pages,
 * and several CPUs at once.  All are allocated from the kernel's own memory.
 */
#include "tests/lib/mm_test.h"
#include <quarry/lock.h>

#define LARGEST (PAGE_SIZE << MAX_ORDER)

static struct page *page_of(const void *ptr)
{
	uintptr_t offset = (uintptr_t)ptr - (uintptr_t)arch_phys_to_virt(0);

	return pfn_to_page_in(&kernel_memory, offset >> PAGE_SHIFT);
}

/* A pattern that differs by object and by place. */
static void fill(void *ptr, size_t size, unsigned tag)
{
	u8 *p = ptr;
	size_t i;

	for (i = 0; i < size; i++)
		p[i] = (u8)(tag * 31 + i * 7 + 1);
}

static bool filled(const void *ptr, size_t size, unsigned tag)
{
	const u8 *p = ptr;
	size_t i;

	for (i = 0; i < size; i++)
		if (p[i] != (u8)(tag * 31 + i * 7 + 1))
			return false;
	return true;
}

static bool zeroed(const void *ptr, size_t size)
{
	const u8 *p = ptr;
	size_t i;

	for (i = 0; i < size; i++)
		if (p[i])
			return false;
	return true;
}

static const size_t sizes[] = {1, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100, 127, 128, 129, 255,
    256, 257, 511, 512, 513, 1000, 1024, 1025, 2000, 2047, 2048, 2049, 3000, 4095, 4096, 4097, 8192,
    10000};

KTEST_SUITE(slab, KTEST_QUICK);

KTEST(objects_are_aligned)
{
	void *objects[5];
	unsigned i, n;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (n = 0; n < ARRAY_SIZE(objects); n++) {
			objects[n] = kmalloc(sizes[i]);
			EXPECT(t, objects[n] && !((uintptr_t)objects[n] & 15));
		}
		for (n = 0; n < ARRAY_SIZE(objects); n++)
			kfree(objects[n]);
	}
}

KTEST(objects_are_zeroed_again_and_again)
{
	unsigned i, round;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (round = 0; round < 3; round++) {
			void *object = kmalloc(sizes[i]);

			REQUIRE(t, object);
			EXPECT(t, zeroed(object, sizes[i]));
			memset(object, 0xa5, sizes[i]);
			kfree(object);
		}
	}
}

KTEST(objects_do_not_overlap)
{
	static void *objects[ARRAY_SIZE(sizes) * 6];
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		objects[i] = kmalloc(sizes[i % ARRAY_SIZE(sizes)]);
		EXPECT(t, objects[i]);
		if (objects[i])
			fill(objects[i], sizes[i % ARRAY_SIZE(sizes)], i);
	}
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		EXPECT(t, !objects[i] || filled(objects[i], sizes[i % ARRAY_SIZE(sizes)], i));
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		kfree(objects[i]);
}

KTEST_COST(freed_objects_are_used_again)
{
	u64 pages = mm_event_sum(&kernel_memory, EV_SLAB_PAGES);
	unsigned i, n;
	void *object;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (n = 0; n < 64; n++) {
			object = NEED(t, kmalloc(sizes[i]));
			kfree(object);
		}
	}
	/* At most one page for each size of 16 to 2048. */
	EXPECT(t, mm_event_sum(&kernel_memory, EV_SLAB_PAGES) - pages <= 8);
}

/* One free object is enough to put a full page back on the list of its size. */
KTEST_INSIDE(a_full_page_comes_back_with_its_first_free_object)
{
	static void *objects[60]; /* of 1024 bytes: 3 a page */
	u64 pages;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(objects); i++)
		EXPECT(t, (objects[i] = kmalloc(1024)) != NULL);
	for (i = 0; i < ARRAY_SIZE(objects); i += 3)
		kfree(objects[i]);
	pages = mm_event_sum(&kernel_memory, EV_SLAB_PAGES);
	for (i = 0; i < ARRAY_SIZE(objects); i += 3)
		EXPECT(t, (objects[i] = kmalloc(1024)) != NULL);
	EXPECT(t, mm_event_sum(&kernel_memory, EV_SLAB_PAGES) - pages <= 1);
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		kfree(objects[i]);
}

KTEST_COST(a_page_holds_many_objects)
{
	u64 pages = mm_event_sum(&kernel_memory, EV_SLAB_PAGES);
	static void *objects[2 * 252];
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		objects[i] = kmalloc(16);
		EXPECT(t, objects[i]);
		if (objects[i])
			fill(objects[i], 16, i);
	}
	/* A page holds 252 objects behind its first 64 bytes, so at most two pages are new. */
	EXPECT(t, mm_event_sum(&kernel_memory, EV_SLAB_PAGES) - pages <= 2);
	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		EXPECT(t, !objects[i] || filled(objects[i], 16, i));
		kfree(objects[i]);
	}
}

KTEST_COST(pages_without_objects_are_freed)
{
	static void *objects[16];
	u64 before, direct;
	unsigned i, slabs = 0;

	before = mm_event_sum(&kernel_memory, EV_SLAB_PAGES);
	/* A page holds one of these objects. */
	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		objects[i] = kmalloc(2048);
		EXPECT(t, objects[i] && word_state(page_word(page_of(objects[i]))) == PG_SLAB);
	}
	direct = mm_event_sum(&kernel_memory, EV_SLAB_PAGES) - before;
	EXPECT(t, direct >= ARRAY_SIZE(objects) - 1);
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		kfree(objects[i]);
	/* One page is kept for the next request. */
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		slabs += objects[i] && word_state(page_word(page_of(objects[i]))) == PG_SLAB;
	EXPECT_EQ(t, slabs, 1);
}

KTEST(order_of_frees_does_not_matter)
{
	static void *objects[600];
	u64 rand = t->seed;
	unsigned i, slabs = 0;

	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		objects[i] = kmalloc(64);
		EXPECT(t, objects[i]);
		if (!objects[i])
			break;
		fill(objects[i], 64, i);
	}
	if (i < ARRAY_SIZE(objects)) {
		while (i > 0)
			kfree(objects[--i]);
		return;
	}
	for (i = ARRAY_SIZE(objects); i > 1; i--) {
		unsigned at = ktest_rand(&rand) % i;
		void *object = objects[at];

		objects[at] = objects[i - 1];
		objects[i - 1] = object;
	}
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		kfree(objects[i]);
	/* Count the pages that stayed, each once. */
	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		struct page *page = page_of(objects[i]);

		if (page->index != 0x51ab && word_state(page_word(page)) == PG_SLAB) {
			page->index = 0x51ab;
			slabs++;
		}
	}
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		page_of(objects[i])->index = 0;
	/* Ten pages held 63 objects each. One may have objects of other code, and one is kept. */
	EXPECT(t, slabs <= 2);
}

KTEST(large_objects_are_whole_blocks)
{
	unsigned order;

	for (order = 0; order <= MAX_ORDER; order++) {
		size_t size = PAGE_SIZE << order;
		u8 *object = kmalloc(size);

		REQUIRE(t, object);
		EXPECT_EQ(t, page_word(page_of(object)), PAGE_WORD(1, PG_ALLOC, order));
		EXPECT(
		    t, !object[0] && !object[size - 1] && !((uintptr_t)object & (PAGE_SIZE - 1)));
		object[0] = object[size - 1] = 1;
		kfree(object);
		/* One byte more needs the next order. */
		if (order < MIN((unsigned)MAX_ORDER, 4u)) {
			object = NEED(t, kmalloc(size + 1));
			EXPECT_EQ(t, word_order(page_word(page_of(object))), order + 1);
			kfree(object);
		}
	}
}

KTEST(sizes_0_and_too_large_are_refused)
{
	EXPECT(t, !kmalloc(0));
	EXPECT(t, !kmalloc(LARGEST + 1));
	EXPECT(t, !kmalloc(~(size_t)0));
	kfree(NULL);
}

#define CPU_OPS 800
#define SHARED  32

static unsigned slab_locks;

static void count_slab_lock(const char *what, const struct spinlock *lock)
{
	slab_locks += !strcmp(lock->name, "slab");
}

/*
 * The test holds a lock of the same rank, so the lock of a size is reported each time it is taken:
 * once in kmalloc and once in kfree.
 */
KTEST_INSIDE(lists_are_changed_under_their_lock)
{
	struct spinlock held = SPINLOCK("held", RANK_SLAB);
	void *kept = kmalloc(64), *object;
	unsigned to_take;
	irqflags_t flags;

	REQUIRE(t, kept);
	/* Make sure that there is a page with a free object. */
	kfree(kmalloc(64));
	flags = arch_irq_save();
	slab_locks = 0;
	spin_violation_hook = count_slab_lock;
	spin_lock(&held);
	object = kmalloc(64);
	to_take = slab_locks;
	kfree(object);
	spin_unlock(&held);
	spin_violation_hook = NULL;
	arch_irq_restore(flags);
	EXPECT_EQ(t, to_take, 1);
	EXPECT_EQ(t, slab_locks, 2);
	kfree(kept);
}

struct exchange {
	/* atomic: objects passed between CPUs; each starts with its size and tag */
	void *slot[SHARED];
	u64 seed;
	u32 damaged; /* atomic */
};

struct parcel {
	u32 size, tag;
	u8 rest[];
};

static void check_and_free(struct exchange *x, struct parcel *p)
{
	if (!filled(p->rest, p->size - sizeof(*p), p->tag))
		counter_add(&x->damaged, 1);
	kfree(p);
}

/* Put new objects into slots, and free the objects that were there: most are another CPU's. */
static void pass_objects_on(void *arg)
{
	struct exchange *x = arg;
	u64 rand = x->seed + 77 * arch_cpu_id();
	unsigned i;

	for (i = 0; i < CPU_OPS; i++) {
		u64 r = ktest_rand(&rand);
		u32 size = (u32)(sizeof(struct parcel) + (r >> 40) % (r % 16 ? 200 : 3000));
		struct parcel *p = kmalloc(size), *old;

		if (!p || !zeroed(p, size)) {
			counter_add(&x->damaged, 1);
			kfree(p);
			continue;
		}
		p->size = size;
		p->tag = (u32)r;
		fill(p->rest, size - sizeof(*p), p->tag);
		old = atomic_xchg(&x->slot[(r >> 8) % SHARED], (void *)p);
		if (old)
			check_and_free(x, old);
	}
}

KTEST(objects_pass_between_cpus)
{
	struct exchange x = {.seed = t->seed};
	unsigned cpu, i;

	for (cpu = 0; cpu < ktest_cpus(); cpu++)
		ktest_start(cpu, pass_objects_on, &x);
	for (cpu = 0; cpu < ktest_cpus(); cpu++)
		ktest_join(cpu);
	for (i = 0; i < SHARED; i++) {
		if (x.slot[i])
			check_and_free(&x, x.slot[i]);
	}
	EXPECT_EQ(t, x.damaged, 0);
}
