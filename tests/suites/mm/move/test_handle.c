/* SPDX-License-Identifier: MIT */
/*
 * test_handle.c: the contract of a table of movable objects: which calls it refuses, that it
 * notices damage, and objects that move while other CPUs use them.
 */
#include "tests/lib/handle_help.h"

static struct memory *any_memory(struct ktest *t)
{
	return ktest_memory(t, 0, 4, 2);
}

static void damage_one_byte(struct handle_table *ht, u32 h)
{
	u8 *p = page_address(page_of(ht, h));

	p[PAGE_SIZE - 1] ^= 1;
}

KTEST_SUITE(handle, KTEST_QUICK);

KTEST(damage_is_noticed_at_every_access)
{
	struct handle_table *ht = new_table(&kernel_memory);
	struct page *page;

	REQUIRE(t, !handle_alloc(ht, 0, 0, GFP_KERNEL, 1));
	damage_one_byte(ht, 0);
	EXPECT_EQ(t, handle_verify(ht, 0), -EUCLEAN);
	EXPECT_EQ(t, handle_write(ht, 0, 2), -EUCLEAN);
	EXPECT_EQ(t, ht->corrupt, 2);
	/* The write reported the damage, but stored new content and its checksum. */
	EXPECT_EQ(t, handle_verify(ht, 0), 0);
	damage_one_byte(ht, 0);
	page = page_of(ht, 0);
	EXPECT_EQ(t, isolate_movable_page(ht->mem, handle_pfn(ht, 0)), 0);
	EXPECT_EQ(t, migrate_pages(ht->mem, &page, 1, NULL), 0);
	EXPECT_EQ(t, ht->corrupt, 3);
	EXPECT_EQ(t, handle_free(ht, 0), -EUCLEAN);
	EXPECT_EQ(t, handle_pfn(ht, 0), PFN_NONE);
	EXPECT_EQ(t, ht->corrupt, 4);
}

KTEST(wrong_handles_are_refused, KTEST_SLOW)
{
	struct handle_table *ht = new_table(any_memory(t));
	unsigned long free;

	REQUIRE(t, ht->mem);
	EXPECT_EQ(t, handle_alloc(ht, HANDLES, 0, GFP_NOWAIT, 1), -EINVAL);
	EXPECT_EQ(t, handle_alloc(ht, 0, 4, GFP_NOWAIT, 1), -EINVAL);
	EXPECT_EQ(t, handle_free(ht, 0), -EINVAL);
	EXPECT_EQ(t, handle_free(ht, HANDLES), -EINVAL);
	EXPECT_EQ(t, handle_write(ht, 0, 1), -EINVAL);
	EXPECT_EQ(t, handle_verify(ht, HANDLES), -EINVAL);
	EXPECT_EQ(t, handle_pin(ht, 0), -EINVAL);
	EXPECT_EQ(t, handle_unpin(ht, 0), -EINVAL);
	EXPECT_EQ(t, handle_pfn(ht, HANDLES), PFN_NONE);
	REQUIRE(t, !handle_alloc(ht, 0, 0, GFP_NOWAIT, 1));
	free = memory_free_pages(ht->mem);
	EXPECT_EQ(t, handle_alloc(ht, 0, 0, GFP_NOWAIT, 1), -EBUSY);
	EXPECT_EQ(t, memory_free_pages(ht->mem), free);
	EXPECT_EQ(t, handle_unpin(ht, 0), -EINVAL);
	EXPECT_EQ(t, handle_free(ht, 0), 0);
	EXPECT_EQ(t, handle_free(ht, 0), -EINVAL);
}

KTEST(pinned_object_is_not_freed)
{
	struct handle_table *ht = new_table(any_memory(t));

	REQUIRE(t, ht->mem);
	REQUIRE(t, !handle_alloc(ht, 0, 0, GFP_NOWAIT, 1));
	EXPECT_EQ(t, handle_pin(ht, 0), 0);
	EXPECT_EQ(t, handle_free(ht, 0), -EBUSY);
	EXPECT(t, handle_pfn(ht, 0) != PFN_NONE);
	EXPECT_EQ(t, handle_unpin(ht, 0), 0);
	EXPECT_EQ(t, handle_free(ht, 0), 0);
	EXPECT_EQ(t, memory_free_pages(ht->mem), memory_managed_pages(ht->mem));
}

KTEST(handle_stays_free_without_memory)
{
	struct handle_table *ht = new_table(ktest_memory(t, 0, 0, 2));
	struct pile pile = {NULL, 0};

	REQUIRE(t, ht->mem);
	pile_alloc_last(ht->mem, &pile);
	EXPECT_EQ(t, handle_alloc(ht, 0, 0, GFP_NOWAIT, 1), -ENOMEM);
	EXPECT_EQ(t, handle_pfn(ht, 0), PFN_NONE);
	EXPECT_EQ(t, pile_free(ht->mem, &pile), 0);
	EXPECT_EQ(t, handle_alloc(ht, 0, 0, GFP_NOWAIT, 1), 0);
	EXPECT_EQ(t, handle_free(ht, 0), 0);
}

/* A migrator that looked up the owner before the object was replaced moves nothing. */
KTEST(only_the_objects_own_page_is_moved)
{
	struct handle_table *ht = new_table(any_memory(t));
	struct page *old, *now, *target;

	REQUIRE(t, ht->mem);
	REQUIRE(t, !handle_alloc(ht, 0, 0, GFP_NOWAIT, 1));
	old = page_of(ht, 0);
	EXPECT_EQ(t, isolate_movable_page(ht->mem, handle_pfn(ht, 0)), 0);
	EXPECT_EQ(t, handle_free(ht, 0), 0);
	REQUIRE(t, !handle_alloc(ht, 0, 0, GFP_NOWAIT, 2));
	now = page_of(ht, 0);
	/* Take a second reference, in place of the one that the old owner had. */
	EXPECT_EQ(t, get_page(old), 0);
	target = NEED(t, mem_alloc_pages(ht->mem, GFP_NOWAIT | GFP_MOVABLE, 0));
	EXPECT_EQ(t, ht->owner.ops->migrate(&ht->owner, ht->mem, target, old), -ENOENT);
	EXPECT(t, page_of(ht, 0) == now);
	EXPECT_EQ(t, page_word(target), PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, mem_free_pages(ht->mem, target, 0), 0);
	EXPECT_EQ(t, mem_put_page(ht->mem, old), 0);
	EXPECT_EQ(t, mem_put_page(ht->mem, old), 0);
	EXPECT_EQ(t, handle_free(ht, 0), 0);
	EXPECT_EQ(t, memory_free_pages(ht->mem), memory_managed_pages(ht->mem));
}

KTEST(objects_of_every_order_arrive_whole)
{
	struct handle_table *ht = new_table(&kernel_memory);
	unsigned order;

	for (order = 0; order <= 3; order++) {
		struct page *page;

		REQUIRE(t, !handle_alloc(ht, order, order, GFP_KERNEL, t->seed + order));
		page = page_of(ht, order);
		EXPECT_EQ(t, isolate_movable_page(ht->mem, handle_pfn(ht, order)), 0);
		EXPECT_EQ(t, migrate_pages(ht->mem, &page, 1, NULL), 0);
		EXPECT_EQ(t, ht->moved, order + 1);
		EXPECT_EQ(t, handle_verify(ht, order), 0);
		EXPECT_EQ(t, handle_free(ht, order), 0);
	}
}

#define WRITER_OPS 300

struct writers {
	struct handle_table *ht;
	u64 seed;
	u32 running; /* atomic */
	u32 errors;  /* atomic */
};

static void write_and_verify(void *arg)
{
	struct writers *w = arg;
	u64 rand = w->seed + 13 * arch_cpu_id();
	unsigned i;

	for (i = 0; i < WRITER_OPS; i++) {
		u64 r = ktest_rand(&rand);
		u32 h = (u32)(r >> 8) % HANDLES;
		int err = 0;

		if (r % 8 == 0) {
			err = handle_free(w->ht, h);
			handle_alloc(w->ht, h, (unsigned)(r >> 40) % 2, GFP_NOWAIT, r);
		} else if (r % 8 == 1 && handle_pin(w->ht, h) == 0) {
			handle_unpin(w->ht, h);
		} else {
			err = r % 2 ? handle_write(w->ht, h, r) : handle_verify(w->ht, h);
		}
		if (err == -EUCLEAN)
			counter_add(&w->errors, 1);
	}
	atomic_sub(&w->running, 1);
}

/* Move all objects while other CPUs write, verify, free and pin, for at least 20 passes. */
static void move_everything(struct writers *w)
{
	unsigned pass;
	u32 h;

	for (pass = 0; pass < 20 || READ_ONCE(w->running); pass++) {
		for (h = 0; h < HANDLES; h++) {
			pfn_t pfn = handle_pfn(w->ht, h);
			struct page *page = pfn_to_page_in(w->ht->mem, pfn);

			if (pfn != PFN_NONE && !isolate_movable_page(w->ht->mem, pfn))
				migrate_pages(w->ht->mem, &page, 1, NULL);
		}
		thread_yield();
	}
}

KTEST(objects_move_while_they_are_used)
{
	struct writers w = {
	    .ht = new_table(&kernel_memory), .seed = t->seed, .running = ktest_cpus()};
	u64 bad = mm_event_sum(&kernel_memory, EV_BAD_FREE);
	u32 h;

	for (h = 0; h < HANDLES; h++)
		EXPECT_EQ(t, handle_alloc(w.ht, h, h % 3, GFP_KERNEL, h), 0);
	start_from(0, write_and_verify, &w);
	move_everything(&w);
	join_from(0);
	EXPECT_EQ(t, w.errors, 0);
	EXPECT_EQ(t, w.ht->corrupt, 0);
	EXPECT(t, w.ht->moved > 0);
	for (h = 0; h < HANDLES; h++) {
		if (handle_pfn(w.ht, h) != PFN_NONE)
			EXPECT_EQ(t, page_word(page_of(w.ht, h)) & ~(PAGE_ORDER_MASK | PAGE_PINNED),
			    PAGE_WORD(1, PG_MOVABLE_OPS, 0));
		handle_free(w.ht, h);
	}
	EXPECT_EQ(t, mm_event_sum(&kernel_memory, EV_BAD_FREE), bad);
}
