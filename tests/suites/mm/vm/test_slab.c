/* SPDX-License-Identifier: MIT */
/*
 * test_slab.c: small objects of the kernel's own memory: pages that are freed, blocks, and objects
 * that pass between CPUs.  The lists are in test_play_slab.c.
 */
#include "tests/lib/mm_test.h"

#define LARGEST (PAGE_SIZE << MAX_ORDER)

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

KTEST_SUITE(slab, KTEST_QUICK);

KTEST_COST(pages_without_objects_are_freed)
{
	static void *objects[16];
	u64 before, direct;
	unsigned i, slabs = 0;

	before = mm_event_sum(&kernel_memory, EV_SLAB_PAGES);
	/* A page holds one of these objects. */
	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		objects[i] = kmalloc(2048);
		EXPECT(t, objects[i] && word_state(page_word(virt_to_page(objects[i]))) == PG_SLAB);
	}
	direct = mm_event_sum(&kernel_memory, EV_SLAB_PAGES) - before;
	EXPECT(t, direct >= ARRAY_SIZE(objects) - 1);
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		kfree(objects[i]);
	/* One page is kept for the next request. */
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		slabs += objects[i] && word_state(page_word(virt_to_page(objects[i]))) == PG_SLAB;
	EXPECT_EQ(t, slabs, 1);
}

KTEST(large_objects_are_whole_blocks)
{
	unsigned order;

	for (order = 0; order <= MAX_ORDER; order++) {
		size_t size = PAGE_SIZE << order;
		u8 *object = kmalloc(size);

		REQUIRE(t, object);
		EXPECT_EQ(t, page_word(virt_to_page(object)), PAGE_WORD(1, PG_ALLOC, order));
		EXPECT(t, zeroed(object, size) && !((uintptr_t)object & (PAGE_SIZE - 1)));
		memset(object, 0xa5, size);
		kfree(object);
		/* One byte more needs the next order. */
		if (order < MIN((unsigned)MAX_ORDER, 4u)) {
			object = NEED(t, kmalloc(size + 1));
			EXPECT_EQ(t, word_order(page_word(virt_to_page(object))), order + 1);
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
	unsigned i;

	run_from(0, pass_objects_on, &x);
	for (i = 0; i < SHARED; i++) {
		if (x.slot[i])
			check_and_free(&x, x.slot[i]);
	}
	EXPECT_EQ(t, x.damaged, 0);
}
