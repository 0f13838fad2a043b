/* SPDX-License-Identifier: MIT */
/*
 * test_handle_exact.c: a table of movable objects at its bounds: memory behind its last handle is
 * not its own, each access takes the handle's lock a single time, and a migrator gets the reason
 * why an object stays.
 */
#include "tests/lib/mm_test.h"
#include <quarry/handle.h>

#define HANDLES 4u

/* Only one test runs at a time. */
static struct handle handles[HANDLES];
static struct handle_table table;

static struct page *page_of(struct handle_table *ht, u32 h)
{
	return pfn_to_page_in(ht->mem, handle_pfn(ht, h));
}

enum op { OP_ALLOC, OP_TAKEN, OP_WRITE, OP_VERIFY, OP_PIN, OP_UNPIN, OP_PFN, OP_FREE, NR_OPS };

static int run_op(struct handle_table *ht, u32 h, enum op op)
{
	switch (op) {
	case OP_ALLOC:
	case OP_TAKEN: return handle_alloc(ht, h, 0, GFP_NOWAIT, 1);
	case OP_WRITE: return handle_write(ht, h, 2);
	case OP_VERIFY: return handle_verify(ht, h);
	case OP_PIN: return handle_pin(ht, h);
	case OP_UNPIN: return handle_unpin(ht, h);
	case OP_PFN: return handle_pfn(ht, h) == PFN_NONE ? -EINVAL : 0;
	default: return handle_free(ht, h);
	}
}

/* Expect each operation from @op on to end with @err. */
static void expect_each(struct ktest *t, struct handle_table *ht, u32 h, unsigned op, int err)
{
	for (; op < NR_OPS; op++) {
		int is = run_op(ht, h, (enum op)op);

		if (is != err)
			ktest_fail(t, __FILE__, __LINE__, "operation %u: %d, not %d", op, is, err);
	}
}

KTEST_SUITE(handle_exact, KTEST_QUICK);

/* ---- bounds ---- */

/*
 * The array of handles is longer than the table @small, so an object of another table lies behind
 * the end of @small.
 */
KTEST(no_handle_is_beyond_the_last)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 2));
	struct handle_table small;
	unsigned long free;
	u32 h;

	handle_table_init(&table, mem, handles, HANDLES);
	small = table;
	small.nr = HANDLES - 1;
	for (h = 0; h < HANDLES; h++)
		REQUIRE(t, !handle_alloc(&table, h, h % 2, GFP_NOWAIT, h));
	h = HANDLES - 1;
	free = memory_free_pages(mem);
	expect_each(t, &small, h, OP_ALLOC, -EINVAL);
	EXPECT_EQ(t, handle_pin(&table, h), 0);
	EXPECT_EQ(t, handle_unpin(&small, h), -EINVAL);
	EXPECT_EQ(t, handle_free(&table, h), -EBUSY);
	EXPECT_EQ(t, handle_unpin(&table, h), 0);
	EXPECT_EQ(t, handle_unpin(&table, h), -EINVAL);
	EXPECT_EQ(t, memory_free_pages(mem), free);
	/* The table's own last handle is valid. */
	expect_each(t, &small, h - 1, OP_WRITE, 0);
	EXPECT_EQ(t, handle_alloc(&small, h - 1, 3, GFP_NOWAIT, 1), 0);
	for (h = 0; h < HANDLES; h++)
		EXPECT_EQ(t, handle_free(&table, h), 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

KTEST(a_free_handle_has_no_object)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 2));

	memset(handles, 0xa5, sizeof(handles));
	handle_table_init(&table, mem, handles, HANDLES);
	expect_each(t, &table, 1, OP_WRITE, -EINVAL);
	EXPECT_EQ(t, table.corrupt, 0);
	EXPECT_EQ(t, table.moved, 0);
}

/* ---- the lock ---- */

static unsigned locks;

static void count_lock(const char *what, const struct spinlock *lock)
{
	locks += lock == &handles[1].lock;
}

/* The number of times that @op takes the handle's lock. */
static unsigned locks_of(enum op op, int *err)
{
	locks = 0;
	locks_told_begin(RANK_OBJECT, count_lock);
	*err = run_op(&table, 1, op);
	locks_told_end();
	return locks;
}

KTEST_COST(each_call_takes_the_handles_lock_once)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 2));
	unsigned op;
	int err;

	handle_table_init(&table, mem, handles, HANDLES);
	EXPECT_EQ(t, handles[1].lock.rank, RANK_OBJECT);
	for (op = 0; op < NR_OPS; op++) {
		EXPECT_EQ(t, locks_of((enum op)op, &err), 1);
		EXPECT_EQ(t, err, op == OP_TAKEN ? -EBUSY : 0);
		EXPECT(t, !spin_is_held(&handles[1].lock));
	}
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

/* ---- migration ---- */

KTEST(migrator_gets_the_reason_why_an_object_stays)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 2));
	struct page *page, *target;

	handle_table_init(&table, mem, handles, HANDLES);
	REQUIRE(t, !handle_alloc(&table, 1, 0, GFP_NOWAIT, 1));
	page = page_of(&table, 1);
	target = NEED(t, mem_alloc_pages(mem, GFP_NOWAIT | GFP_MOVABLE, 0));
	/* The page has only its owner's reference, so it is not isolated. */
	EXPECT_EQ(t, table.owner.ops->migrate(&table.owner, mem, target, page), -EAGAIN);
	EXPECT_EQ(t, get_page(page), 0);
	EXPECT_EQ(t, get_page(page), 0);
	EXPECT_EQ(t, table.owner.ops->migrate(&table.owner, mem, target, page), -EAGAIN);
	EXPECT_EQ(t, mem_put_page(mem, page), 0);
	EXPECT_EQ(t, mem_put_page(mem, page), 0);
	EXPECT_EQ(t, handle_pin(&table, 1), 0);
	EXPECT_EQ(t, table.owner.ops->migrate(&table.owner, mem, target, page), -EBUSY);
	EXPECT_EQ(t, handle_unpin(&table, 1), 0);
	EXPECT(t, page_of(&table, 1) == page);
	EXPECT_EQ(t, handles[1].moves, 0);
	EXPECT_EQ(t, table.moved, 0);
	EXPECT_EQ(t, page_word(target), PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, mem_free_pages(mem, target, 0), 0);
	EXPECT_EQ(t, handle_free(&table, 1), 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

KTEST(moves_are_counted_for_each_object)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 2));
	struct page *page;
	unsigned i;

	handle_table_init(&table, mem, handles, HANDLES);
	for (i = 0; i < 6; i++) {
		if (i % 3 == 0)
			REQUIRE(t, !handle_alloc(&table, 1, i / 3, GFP_NOWAIT, 1));
		EXPECT_EQ(t, handles[1].moves, i % 3);
		page = page_of(&table, 1);
		EXPECT_EQ(t, isolate_movable_page(mem, handle_pfn(&table, 1)), 0);
		EXPECT_EQ(t, migrate_pages(mem, &page, 1, NULL), 0);
		EXPECT_EQ(t, handles[1].moves, i % 3 + 1);
		EXPECT_EQ(t, table.moved, i + 1);
		if (i % 3 == 2)
			EXPECT_EQ(t, handle_free(&table, 1), 0);
	}
	EXPECT_EQ(t, handles[0].moves, 0);
}

/* ---- content ---- */

/* The checksum covers the place and each bit of each word, to the last page of the object. */
KTEST(checksum_notices_any_damage)
{
	unsigned order, bit;
	size_t words, at;
	u64 *p, other;

	handle_table_init(&table, &kernel_memory, handles, HANDLES);
	for (order = 0; order <= 3; order++) {
		REQUIRE(t, !handle_alloc(&table, 1, order, GFP_KERNEL, t->seed));
		p = page_address(page_of(&table, 1));
		words = (PAGE_SIZE << order) / sizeof(u64);
		for (at = 0; at < words; at += words / 8 - 1) {
			bit = (unsigned)at % 64;
			p[at] ^= 1ULL << bit;
			EXPECT_EQ(t, handle_verify(&table, 1), -EUCLEAN);
			p[at] ^= 1ULL << bit;
			EXPECT_EQ(t, handle_verify(&table, 1), 0);
		}
		/* Two words have changed places. */
		other = p[1];
		EXPECT(t, p[1] != p[0] && p[words - 1] != p[words - 2]);
		p[1] = p[0];
		p[0] = other;
		EXPECT_EQ(t, handle_verify(&table, 1), -EUCLEAN);
		p[0] = p[1];
		p[1] = other;
		EXPECT_EQ(t, handle_free(&table, 1), 0);
	}
}

/* The same seed gives the same content, another seed another content. */
KTEST(content_follows_from_the_seed)
{
	u64 sum, first;
	u64 *p;

	handle_table_init(&table, &kernel_memory, handles, HANDLES);
	REQUIRE(t, !handle_alloc(&table, 1, 0, GFP_KERNEL, 5));
	p = page_address(page_of(&table, 1));
	sum = handles[1].checksum;
	first = p[0];
	EXPECT_EQ(t, handle_write(&table, 1, 6), 0);
	EXPECT(t, handles[1].checksum != sum && p[0] != first);
	EXPECT_EQ(t, handle_write(&table, 1, 5), 0);
	EXPECT(t, handles[1].checksum == sum && p[0] == first);
	EXPECT_EQ(t, handle_free(&table, 1), 0);
}
