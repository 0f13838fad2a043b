/* SPDX-License-Identifier: MIT */
/*
 * test_migrate.c: isolating movable pages, moving them and putting them back, with handles as the
 * owner, and with an owner whose results a test sets. Tests that read content use the kernel's
 * memory.
 */
#include "tests/lib/handle_help.h"
#include "tests/lib/mov_help.h"
#include <quarry/oom.h>

/*
 * Isolate the page of a handle and move it. Returns the result of migrate_pages, or -1 if the
 * isolation failed.
 */
static int move_handle(struct handle_table *ht, u32 h, struct mm_fail *fail)
{
	struct page *page = page_of(ht, h);

	return isolate_movable_page(ht->mem, handle_pfn(ht, h))
	    ? -1
	    : (int)migrate_pages(ht->mem, &page, 1, fail);
}

static struct memory *any_memory(struct ktest *t)
{
	return ktest_memory(t, 0, 4, MAX(2u, CACHED_BLOCKS / 2));
}

static u64 hash_bytes(const struct page *page, unsigned order)
{
	const u64 *p = page_address(page);
	u64 hash = 0;
	size_t i;

	for (i = 0; i < (PAGE_SIZE << order) / sizeof(u64); i++)
		hash = (hash ^ p[i]) * 0x100000001b3ULL;
	return hash;
}

KTEST_SUITE(migrate, KTEST_QUICK);

KTEST(content_survives_a_move)
{
	struct handle_table *ht = new_table(&kernel_memory);
	u64 ok = mm_event_sum(&kernel_memory, EV_MIGRATE_OK);
	struct page *pages[4];
	u64 before[4];
	u32 h;

	for (h = 0; h < 4; h++) {
		REQUIRE(t, !handle_alloc(ht, h, h, GFP_KERNEL, t->seed + h));
		pages[h] = page_of(ht, h);
		before[h] = hash_bytes(pages[h], h);
		EXPECT_EQ(t, isolate_movable_page(ht->mem, handle_pfn(ht, h)), 0);
	}
	EXPECT_EQ(t, migrate_pages(ht->mem, pages, 4, NULL), 0);
	EXPECT_COUNTED(t, &kernel_memory, EV_MIGRATE_OK, ok + 4);
	for (h = 0; h < 4; h++) {
		EXPECT_EQ(t, ht->handles[h].moves, 1);
		EXPECT_EQ(t, hash_bytes(page_of(ht, h), h), before[h]);
		EXPECT_EQ(t, handle_verify(ht, h), 0);
		EXPECT_EQ(t, word_order(page_word(page_of(ht, h))), h);
		EXPECT_EQ(t, handle_free(ht, h), 0);
	}
	EXPECT_EQ(t, ht->moved, 4);
	EXPECT_EQ(t, ht->corrupt, 0);
}

KTEST(migration_keeps_references, KTEST_SLOW)
{
	struct handle_table *ht = new_table(any_memory(t));
	unsigned long free;
	struct page *src;

	REQUIRE(t, ht->mem);
	REQUIRE(t, !handle_alloc(ht, 0, 0, GFP_NOWAIT, 1));
	free = memory_free_pages(ht->mem);
	src = page_of(ht, 0);
	EXPECT_EQ(t, page_word(src), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
	EXPECT_EQ(t, isolate_movable_page(ht->mem, handle_pfn(ht, 0)), 0);
	EXPECT_EQ(t, page_word(src), PAGE_WORD(2, PG_ISO_MIG, 0));
	EXPECT_EQ(t, migrate_pages(ht->mem, &src, 1, NULL), 0);
	EXPECT(t, page_of(ht, 0) != src);
	EXPECT_EQ(t, page_word(page_of(ht, 0)), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
	EXPECT_EQ(t, memory_free_pages(ht->mem), free);
	EXPECT_EQ(t, handle_free(ht, 0), 0);
	EXPECT_EQ(t, memory_free_pages(ht->mem), memory_managed_pages(ht->mem));
}

KTEST(putback_leaves_the_page_as_it_was)
{
	struct handle_table *ht = new_table(any_memory(t));
	struct page *page;

	REQUIRE(t, ht->mem);
	REQUIRE(t, !handle_alloc(ht, 3, 2, GFP_NOWAIT, 1));
	page = page_of(ht, 3);
	EXPECT_EQ(t, isolate_movable_page(ht->mem, handle_pfn(ht, 3)), 0);
	putback_movable_page(ht->mem, page);
	EXPECT(t, page_of(ht, 3) == page);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_MOVABLE_OPS, 2));
	EXPECT_EQ(t, ht->handles[3].moves, 0);
	EXPECT_EQ(t, handle_free(ht, 3), 0);
}

KTEST(only_movable_pages_are_isolated)
{
	struct handle_table *ht = new_table(any_memory(t));
	struct isolated_pages pages = {.to = NULL};
	struct page *page;
	pfn_t pfn;

	REQUIRE(t, ht->mem);
	page = mem_alloc_pages(ht->mem, GFP_KERNEL, 0);
	REQUIRE(t, page && !handle_alloc(ht, 0, 1, GFP_NOWAIT, 1));
	pfn = handle_pfn(ht, 0);
	EXPECT_EQ(t, isolate_movable_page(ht->mem, page_to_pfn_in(ht->mem, page)), -EAGAIN);
	EXPECT_EQ(t, isolate_movable_page(ht->mem, pfn + 1), -EAGAIN);
	EXPECT_EQ(t, isolate_page(ht->mem, pfn + 1, &pages), -EAGAIN);
	EXPECT_EQ(
	    t, isolate_movable_page(ht->mem, ht->mem->zones[ZONE_MOVABLE].end_pfn - 1), -EAGAIN);
	EXPECT_EQ(t, isolate_movable_page(ht->mem, pfn), 0);
	/* Only one migrator can isolate a page. */
	EXPECT_EQ(t, isolate_movable_page(ht->mem, pfn), -EAGAIN);
	EXPECT_EQ(t, page_word(pfn_to_page_in(ht->mem, pfn)), PAGE_WORD(2, PG_ISO_MIG, 1));
	putback_movable_page(ht->mem, pfn_to_page_in(ht->mem, pfn));
	EXPECT_EQ(t, handle_free(ht, 0), 0);
	EXPECT_EQ(t, mem_free_pages(ht->mem, page, 0), 0);
}

KTEST(object_freed_while_isolated_is_freed_once)
{
	struct handle_table *ht = new_table(any_memory(t));
	struct page *page;

	REQUIRE(t, ht->mem);
	REQUIRE(t, !handle_alloc(ht, 0, 1, GFP_NOWAIT, 1));
	page = page_of(ht, 0);
	EXPECT_EQ(t, isolate_movable_page(ht->mem, handle_pfn(ht, 0)), 0);
	EXPECT_EQ(t, handle_free(ht, 0), 0);
	EXPECT_EQ(t, handle_pfn(ht, 0), PFN_NONE);
	/* The migrator's reference is the last. */
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ISO_MIG, 1));
	EXPECT_EQ(t, memory_free_pages(ht->mem), memory_managed_pages(ht->mem) - 2);
	EXPECT_EQ(t, migrate_pages(ht->mem, &page, 1, NULL), 0);
	EXPECT_EQ(t, memory_free_pages(ht->mem), memory_managed_pages(ht->mem));
	EXPECT_EQ(t, mm_event_sum(ht->mem, EV_BAD_FREE), 0);
	EXPECT_COUNTED(t, ht->mem, EV_MIGRATE_OK, 0);
	EXPECT_EQ(t, ht->moved, 0);
}

KTEST(object_freed_before_putback_is_freed_once)
{
	struct handle_table *ht = new_table(any_memory(t));
	struct page *page;

	REQUIRE(t, ht->mem);
	REQUIRE(t, !handle_alloc(ht, 0, 0, GFP_NOWAIT, 1));
	page = page_of(ht, 0);
	EXPECT_EQ(t, isolate_movable_page(ht->mem, handle_pfn(ht, 0)), 0);
	EXPECT_EQ(t, handle_free(ht, 0), 0);
	/* The migrator must not touch a new object that has the same handle. */
	EXPECT_EQ(t, handle_alloc(ht, 0, 0, GFP_NOWAIT, 2), 0);
	EXPECT(t, handle_pfn(ht, 0) != page_to_pfn_in(ht->mem, page));
	/* A reader keeps the old page, which no owner has any more. */
	EXPECT_EQ(t, get_page(page), 0);
	putback_movable_page(ht->mem, page);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ISO_MIG, 0));
	EXPECT_EQ(t, mem_put_page(ht->mem, page), 0);
	REQUIRE(t, handle_pfn(ht, 0) != PFN_NONE);
	EXPECT_EQ(t, memory_free_pages(ht->mem), memory_managed_pages(ht->mem) - 1);
	EXPECT_EQ(t, page_word(page_of(ht, 0)), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
	EXPECT_EQ(t, handle_free(ht, 0), 0);
	EXPECT_EQ(t, memory_free_pages(ht->mem), memory_managed_pages(ht->mem));
}

KTEST(pinned_page_is_not_isolated)
{
	struct handle_table *ht = new_table(any_memory(t));

	REQUIRE(t, ht->mem);
	REQUIRE(t, !handle_alloc(ht, 0, 0, GFP_NOWAIT, 1));
	EXPECT_EQ(t, handle_pin(ht, 0), 0);
	EXPECT_EQ(t, isolate_movable_page(ht->mem, handle_pfn(ht, 0)), -EBUSY);
	EXPECT_EQ(t, page_word(page_of(ht, 0)), PAGE_WORD(2, PG_MOVABLE_OPS, 0) | PAGE_PINNED);
	EXPECT_EQ(t, handle_unpin(ht, 0), 0);
	EXPECT_EQ(t, move_handle(ht, 0, NULL), 0);
	EXPECT_EQ(t, handle_free(ht, 0), 0);
}

KTEST(page_pinned_while_isolated_is_put_back)
{
	struct handle_table *ht = new_table(any_memory(t));
	struct mm_fail fail = {0, WHY_NONE};
	struct page *page, *list[1];

	REQUIRE(t, ht->mem);
	REQUIRE(t, !handle_alloc(ht, 0, 0, GFP_NOWAIT, 1));
	page = list[0] = page_of(ht, 0);
	EXPECT_EQ(t, isolate_movable_page(ht->mem, handle_pfn(ht, 0)), 0);
	EXPECT_EQ(t, handle_pin(ht, 0), 0);
	EXPECT_EQ(t, migrate_pages(ht->mem, list, 1, &fail), 1);
	EXPECT_EQ(t, fail.why, WHY_PINNED);
	EXPECT_EQ(t, fail.pfn, page_to_pfn_in(ht->mem, page));
	EXPECT_COUNTED(t, ht->mem, EV_MIGRATE_FAIL, 1);
	/* A pin may last long, so the page is not tried again. */
	EXPECT_COUNTED(t, ht->mem, EV_MIGRATE_AGAIN, 0);
	EXPECT(t, page_of(ht, 0) == page);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(2, PG_MOVABLE_OPS, 0) | PAGE_PINNED);
	EXPECT_EQ(t, handle_unpin(ht, 0), 0);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_MOVABLE_OPS, 0) | PAGE_PINNED);
	EXPECT_EQ(t, memory_free_pages(ht->mem), memory_managed_pages(ht->mem) - 1);
	EXPECT_EQ(t, handle_free(ht, 0), 0);
}

/* The holder of the extra reference may still read the old page, so the page must not move. */
KTEST(page_with_a_reference_too_many_is_put_back)
{
	struct handle_table *ht = new_table(any_memory(t));
	struct mm_fail fail = {0, WHY_NONE};
	struct page *page, *list[1];

	REQUIRE(t, ht->mem);
	REQUIRE(t, !handle_alloc(ht, 0, 0, GFP_NOWAIT, 1));
	page = list[0] = page_of(ht, 0);
	EXPECT_EQ(t, get_page(page), 0);
	EXPECT_EQ(t, isolate_movable_page(ht->mem, handle_pfn(ht, 0)), 0);
	EXPECT_EQ(t, migrate_pages(ht->mem, list, 1, &fail), 1);
	EXPECT_EQ(t, fail.why, WHY_BUSY);
	EXPECT(t, page_of(ht, 0) == page);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(2, PG_MOVABLE_OPS, 0));
	EXPECT_EQ(t, mem_put_page(ht->mem, page), 0);
	EXPECT_EQ(t, handle_free(ht, 0), 0);
	EXPECT_EQ(t, memory_free_pages(ht->mem), memory_managed_pages(ht->mem));
}

static unsigned asked;

static bool count_asked(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	asked++;
	return false;
}

KTEST(pages_without_a_target_are_put_back)
{
	struct handle_table *ht = new_table(any_memory(t));
	struct mm_fail fail = {0, WHY_NONE};
	struct pile pile = {NULL, 0};
	struct page *pages[3];
	u32 h;

	REQUIRE(t, ht->mem);
	for (h = 0; h < 3; h++) {
		REQUIRE(t, !handle_alloc(ht, h, 1, GFP_NOWAIT, h));
		pages[h] = page_of(ht, h);
		EXPECT_EQ(t, isolate_movable_page(ht->mem, handle_pfn(ht, h)), 0);
	}
	pile_alloc_last(ht->mem, &pile);
	/* A migration reclaims no page and kills no task. */
	asked = 0;
	memory_set_oom(ht->mem, count_asked, NULL);
	EXPECT_EQ(t, migrate_pages(ht->mem, pages, 3, &fail), 3);
	memory_set_oom(ht->mem, NULL, NULL);
	EXPECT_EQ(t, asked, 0);
	EXPECT_EQ(t, fail.why, WHY_NO_TARGET);
	EXPECT_EQ(t, fail.pfn, handle_pfn(ht, 0));
	/* If a user were still counted, movable_owner_drain would wait for ever. */
	EXPECT_EQ(t, ht->owner.users, 0);
	EXPECT_COUNTED(t, ht->mem, EV_MIGRATE_FAIL, 3);
	for (h = 0; h < 3; h++) {
		EXPECT_EQ(t, page_word(page_of(ht, h)), PAGE_WORD(1, PG_MOVABLE_OPS, 1));
		EXPECT_EQ(t, ht->handles[h].moves, 0);
	}
	EXPECT_EQ(t, pile_free(ht->mem, &pile), 0);
	EXPECT_EQ(t, move_handle(ht, 1, NULL), 0);
	for (h = 0; h < 3; h++)
		EXPECT_EQ(t, handle_free(ht, h), 0);
}

KTEST(write_between_isolation_and_migration_is_kept)
{
	struct handle_table *ht = new_table(&kernel_memory);
	struct page *page;
	u64 written;

	REQUIRE(t, !handle_alloc(ht, 0, 2, GFP_KERNEL, 1));
	page = page_of(ht, 0);
	EXPECT_EQ(t, isolate_movable_page(ht->mem, handle_pfn(ht, 0)), 0);
	EXPECT_EQ(t, handle_write(ht, 0, 2), 0);
	written = hash_bytes(page, 2);
	EXPECT_EQ(t, migrate_pages(ht->mem, &page, 1, NULL), 0);
	EXPECT_EQ(t, hash_bytes(page_of(ht, 0), 2), written);
	EXPECT_EQ(t, handle_write(ht, 0, 3), 0);
	EXPECT(t, hash_bytes(page_of(ht, 0), 2) != written);
	EXPECT_EQ(t, handle_free(ht, 0), 0);
	EXPECT_EQ(t, ht->corrupt, 0);
}

/* An owner whose results a test sets. */
struct actor {
	struct movable_owner owner;
	int isolate, migrate; /* the results of isolate and migrate */
	unsigned busy;        /* this many calls return -EAGAIN first */
	bool keep;            /* the result of putback */
	unsigned calls;
};
static struct actor actor;

static int actor_isolate(struct memory *mem, struct page *page)
{
	return actor.isolate;
}

static int actor_migrate(
    struct movable_owner *owner, struct memory *mem, struct page *dst, struct page *src)
{
	actor.calls++;
	if (actor.busy) {
		actor.busy--;
		return -EAGAIN;
	}
	if (!actor.migrate) {
		if (!page_make_movable(mem, dst, owner, src->index))
			return -EAGAIN;
		page_release_movable(mem, src);
	}
	return actor.migrate;
}

static bool actor_putback(struct memory *mem, struct page *page)
{
	return actor.keep;
}

static const struct movable_ops actor_ops = {
    .isolate = actor_isolate, .migrate = actor_migrate, .putback = actor_putback};

/* Make a page of the actor, and try to isolate it; *@err: the result of the isolation. */
static struct page *actor_page(struct memory *mem, struct actor how, int *err)
{
	struct page *page = mem_alloc_pages(mem, GFP_MOVABLE | GFP_NOWAIT, 0);

	actor = how;
	actor.owner.ops = &actor_ops;
	KASSERT(page);
	make_movable(mem, page, &actor.owner, 7);
	*err = isolate_movable_page(mem, page_to_pfn_in(mem, page));
	return page;
}

KTEST(owner_may_refuse_isolation)
{
	static const int errors[] = {-EBUSY, -EAGAIN, -EINTR};
	struct memory *mem = NEED(t, any_memory(t));
	struct page *page;
	unsigned i;
	int err;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		page = actor_page(mem, (struct actor){.isolate = errors[i]}, &err);
		EXPECT_EQ(t, err, errors[i]);
		EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
		page_release_movable(mem, page);
	}
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

KTEST(pinned_page_is_not_offered_to_its_owner)
{
	struct memory *mem = NEED(t, any_memory(t));
	struct mm_fail fail = {0, WHY_NONE};
	struct page *page, *list[1];
	int err;

	page = list[0] = actor_page(mem, (struct actor){.keep = true}, &err);
	EXPECT_EQ(t, err, 0);
	EXPECT_EQ(t, pin_page(page), 0);
	EXPECT_EQ(t, migrate_pages(mem, list, 1, &fail), 1);
	EXPECT_EQ(t, fail.why, WHY_PINNED);
	EXPECT_EQ(t, actor.calls, 0);
	mem_unpin_page(mem, page);
	page_release_movable(mem, page);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

KTEST_COST(busy_page_is_tried_again)
{
	struct memory *mem = NEED(t, any_memory(t));
	struct isolated_pages pages = {.nr_movable = 1};
	struct migrate_stats stats = {0};
	struct page *page;
	pfn_t pfn;
	int err;

	page = actor_page(mem, (struct actor){.busy = 3, .keep = true}, &err);
	EXPECT_EQ(t, err, 0);
	pages.lru[MIGRATE_BATCH - 1] = page;
	EXPECT_EQ(t, migrate_isolated(mem, &pages, NULL, &stats), 0);
	EXPECT_EQ(t, actor.calls, 4);
	EXPECT_EQ(t, stats.at_try[3], 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_MIGRATE_AGAIN), 3);
	EXPECT_EQ(t, mm_event_sum(mem, EV_MIGRATE_OK), 1);
	/* Find the page that the owner has now. */
	for (pfn = 0; pfn < mem->end_pfn; pfn++) {
		struct page *now = pfn_to_page_in(mem, pfn);

		if (word_state(page_word(now)) == PG_MOVABLE_OPS && now->index == 7)
			page_release_movable(mem, now);
	}
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

KTEST_COST(page_that_stays_busy_is_put_back_in_the_end)
{
	struct memory *mem = NEED(t, any_memory(t));
	struct mm_fail fail = {0, WHY_NONE};
	struct page *page, *list[1];
	int err;

	page = list[0] = actor_page(mem, (struct actor){.busy = 1000, .keep = true}, &err);
	EXPECT_EQ(t, err, 0);
	EXPECT_EQ(t, migrate_pages(mem, list, 1, &fail), 1);
	EXPECT_EQ(t, fail.why, WHY_BUSY);
	EXPECT_EQ(t, actor.calls, MIGRATE_PASSES);
	EXPECT_EQ(t, mm_event_sum(mem, EV_MIGRATE_FAIL), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_MIGRATE_AGAIN), MIGRATE_PASSES - 1);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
	/* Each target that was not used has been given back. */
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem) - 1);
	page_release_movable(mem, page);
}

/*
 * An allocator of targets. @has: the pages it can still give; @orders: the orders of the @nr
 * requests; @back: the pages given back.
 */
static struct {
	struct migrate_target to;
	unsigned has, orders[4], nr, back;
} stock;

static struct page *get_stock(struct migrate_target *to, struct memory *mem, unsigned order)
{
	KASSERT(to == &stock.to && stock.nr < ARRAY_SIZE(stock.orders));
	stock.orders[stock.nr++] = order;
	if (order > 0 || stock.has == 0)
		return NULL;
	stock.has--;
	return mem_alloc_pages(mem, GFP_MOVABLE | GFP_NOWAIT, order);
}

static void give_back_stock(
    struct migrate_target *to, struct memory *mem, struct page *page, unsigned order)
{
	stock.back++;
	mem_free_pages(mem, page, order);
}

/*
 * After a request of some order got no target, this order and larger ones are not requested again.
 * Smaller orders are.
 */
KTEST_COST(missing_targets_are_requested_once_per_order)
{
	static const unsigned orders[] = {2, 2, 3, 0, 1, 0, 0};
	struct isolated_pages pages = {.to = &stock.to};
	struct handle_table *ht = new_table(any_memory(t));
	struct migrate_stats stats = {0};
	struct mm_fail fail = {0, WHY_NONE};
	u32 h;

	REQUIRE(t, ht->mem);
	memset(&stock, 0, sizeof(stock));
	stock.to = (struct migrate_target){.get = get_stock, .give_back = give_back_stock};
	stock.has = 1;
	/* The page that was isolated last is moved first. */
	for (h = ARRAY_SIZE(orders); h-- > 0;) {
		REQUIRE(t, !handle_alloc(ht, h, orders[h], GFP_NOWAIT, h));
		EXPECT_EQ(t, isolate_page(ht->mem, handle_pfn(ht, h), &pages), 0);
	}
	EXPECT_EQ(t, pages.nr_movable, ARRAY_SIZE(orders));
	EXPECT_EQ(t, pages.nr_lru, 0);
	EXPECT_EQ(t, migrate_isolated(ht->mem, &pages, &fail, &stats), ARRAY_SIZE(orders) - 1);
	EXPECT_EQ(t, fail.why, WHY_NO_TARGET);
	EXPECT_EQ(t, fail.pfn, handle_pfn(ht, 0));
	EXPECT_EQ(t, stats.at_try[0], 1);
	EXPECT_EQ(t, stats.retries, 0);
	REQUIRE(t, stock.nr == 4);
	EXPECT_EQ(t, stock.orders[0], 2);
	EXPECT_EQ(t, stock.orders[1], 0);
	EXPECT_EQ(t, stock.orders[2], 1);
	EXPECT_EQ(t, stock.orders[3], 0);
	EXPECT_EQ(t, stock.back, 0);
	EXPECT_EQ(t, ht->handles[3].moves, 1);
	for (h = 0; h < ARRAY_SIZE(orders); h++)
		EXPECT_EQ(t, handle_free(ht, h), 0);
	EXPECT_EQ(t, memory_free_pages(ht->mem), memory_managed_pages(ht->mem));
}
