/* SPDX-License-Identifier: MIT */
/*
 * test_migrate_exact.c: many pages migrated at once: how often each is tried, which reason is
 * reported, and which waiters wait for which page.
 */
#include "tests/lib/mov_help.h"
#include "tests/lib/wait_help.h"

#define BLOCKS (PAGEBLOCK_ORDER >= 9 ? 4u : 64u)

/* ---- lists of more than a batch ---- */

#define MANY (2 * MIGRATE_BATCH + 7)

static struct page *many[MANY];

KTEST_SUITE(migrate_exact, KTEST_QUICK);

/* A busy page stays in the list for the next pass; each page is moved and counted once. */
KTEST_COST(busy_page_is_retried_in_the_next_pass, KTEST_SLOW)
{
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);
	u32 i;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill(MANY);
	REQUIRE(t, mov.nr == MANY);
	for (i = 0; i < MANY; i++) {
		many[i] = mov.pages[i];
		EXPECT_EQ(t, isolate_movable_page(mem, page_to_pfn_in(mem, many[i])), 0);
	}
	/* All pages are busy in the first pass, and all but the last 9 in the second. */
	mov.busy = 2 * MANY - 9;
	EXPECT_EQ(t, migrate_pages(mem, many, MANY, NULL), 0);
	EXPECT_EQ(t, mov.busy, 0);
	EXPECT_EQ(t, mov.moved, MANY);
	EXPECT_EQ(t, mm_event_sum(mem, EV_MIGRATE_AGAIN), 2 * MANY - 9);
	EXPECT_EQ(t, mm_event_sum(mem, EV_MIGRATE_OK), MANY);
	EXPECT_EQ(t, mm_event_sum(mem, EV_MIGRATE_FAIL), 0);
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(t, page_word(mov.pages[i]), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
	mov_end(t);
}

KTEST(migrations_are_counted_by_try)
{
	static struct isolated_pages pages;
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);
	struct migrate_stats stats = {.moved = 100, .retries = 100, .at_try = {100, 100, 100, 100}};
	unsigned turn;
	u32 i;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill(10);
	REQUIRE(t, mov.nr == 10);
	pages.to = NULL;
	for (turn = 0; turn < 2; turn++) {
		pages.nr_lru = pages.nr_movable = 0;
		for (i = 0; i < 10; i++)
			EXPECT_EQ(
			    t, isolate_page(mem, page_to_pfn_in(mem, mov.pages[i]), &pages), 0);
		EXPECT_EQ(t, pages.nr_movable, 10);
		/*
		 * In the first round 7 pages move at the second try and 3 at the third; in the
		 * second round 6 pages move at the sixth try and 4 at the seventh.
		 */
		mov.busy = turn ? 54 : 13;
		EXPECT_EQ(t, migrate_isolated(mem, &pages, NULL, &stats), 0);
		EXPECT_EQ(t, stats.moved, turn ? 120 : 110);
		EXPECT_EQ(t, stats.retries, turn ? 167 : 113);
		EXPECT_EQ(t, stats.at_try[0], 100);
		EXPECT_EQ(t, stats.at_try[1], 107);
		EXPECT_EQ(t, stats.at_try[2], 103);
		EXPECT_EQ(t, stats.at_try[3], turn ? 110 : 100);
	}
	mov_end(t);
}

/* ---- the reported reason ---- */

/* Of several blockers of two kinds, the first blocker found is reported; all are counted. */
KTEST(first_reason_is_reported)
{
	static struct isolated_pages pages;
	struct migrate_stats stats = {0};
	struct page *pinned, *moving[3];
	struct mm_fail fail = {.why = WHY_NONE};
	struct vm_scene s;
	unsigned i;

	if (!scene_begin_filled(t, &s, 2))
		return;
	REQUIRE(t, mov_begin(t, s.mem));
	mov_fill(3);
	REQUIRE(t, mov.nr == 3);
	for (i = 0; i < 3; i++)
		moving[i] = mov.pages[i];
	pages.to = NULL;
	pages.nr_lru = pages.nr_movable = 0;
	EXPECT_EQ(t, isolate_page(s.mem, page_to_pfn_in(s.mem, page_in(s.object, 0)), &pages), 0);
	REQUIRE(t, vm_object_pin(s.object, 0, &pinned) == 0);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(t, isolate_page(s.mem, page_to_pfn_in(s.mem, moving[i]), &pages), 0);
	EXPECT_EQ(t, pages.nr_lru, 1);
	EXPECT_EQ(t, pages.nr_movable, 3);
	EXPECT_EQ(t, pin_page(moving[2]), 0);
	mov.busy = 2 * MIGRATE_PASSES;
	EXPECT_EQ(t, migrate_isolated(s.mem, &pages, &fail, &stats), 4);
	EXPECT_EQ(t, fail.why, WHY_PINNED);
	EXPECT_EQ(t, fail.pfn, page_to_pfn_in(s.mem, pinned));
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_MIGRATE_FAIL), 4);
	EXPECT_EQ(t, stats.moved, 0);
	EXPECT(t, !stats.no_target);
	mem_unpin_page(s.mem, pinned);
	/*
	 * The object's page is no longer pinned, so the third movable page is reported: its pin is
	 * found in the first pass, before the busy pages have failed.
	 */
	pages.nr_lru = pages.nr_movable = 0;
	mem_unpin_page(s.mem, moving[2]);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(t, isolate_page(s.mem, page_to_pfn_in(s.mem, moving[i]), &pages), 0);
	EXPECT_EQ(t, pin_page(moving[2]), 0);
	mov.busy = 2 * MIGRATE_PASSES;
	EXPECT_EQ(t, migrate_isolated(s.mem, &pages, &fail, &stats), 3);
	EXPECT_EQ(t, fail.why, WHY_PINNED);
	EXPECT_EQ(t, fail.pfn, page_to_pfn_in(s.mem, moving[2]));
	mem_unpin_page(s.mem, moving[2]);
	for (i = 0; i < 3; i++)
		mov_free(i);
	scene_end(t, &s);
}

/* ---- pages of a batch that change meanwhile ---- */

#define BATCH 7u

/* An allocator of targets; at its fifth request one page is pinned and another page is removed. */
static struct {
	struct migrate_target to;
	struct vm_scene s;
	struct page *pinned;
	unsigned asked, back;
} batch;

static struct page *get_and_meddle(struct migrate_target *to, struct memory *mem, unsigned order)
{
	if (++batch.asked == 5) {
		EXPECT_EQ(mov.t, vm_object_pin(batch.s.object, 1, &batch.pinned), 0);
		EXPECT_EQ(mov.t, vm_object_remove(batch.s.object, 2, 1), 0);
	}
	return batch.asked == 6 ? NULL : mem_alloc_pages(mem, GFP_MOVABLE | GFP_NOWAIT, order);
}

static void give_back_counted(
    struct migrate_target *to, struct memory *mem, struct page *page, unsigned order)
{
	batch.back++;
	mem_free_pages(mem, page, order);
}

/*
 * After the batch was locked, one page is pinned, one is removed, and the last two get no target.
 * The other pages move.
 */
KTEST(each_page_of_a_batch_ends_by_itself, KTEST_SLOW)
{
	static struct isolated_pages pages;
	struct migrate_stats stats = {0};
	struct mm_fail fail = {.why = WHY_NONE};
	struct page *before[BATCH];
	unsigned i;

	if (!scene_begin(t, &batch.s, BATCH))
		return;
	soft_load_space(batch.s.space);
	write_pages(t, 0, BATCH, t->seed);
	REQUIRE(t, pages_there(&batch.s, BATCH));
	pages.nr_lru = pages.nr_movable = 0;
	for (i = 0; i < BATCH; i++) {
		before[i] = page_in(batch.s.object, i);
		EXPECT_EQ(t,
		    isolate_page(batch.s.mem, page_to_pfn_in(batch.s.mem, before[i]), &pages), 0);
	}
	mov.t = t;
	batch.asked = batch.back = 0;
	batch.to = (struct migrate_target){.get = get_and_meddle, .give_back = give_back_counted};
	pages.to = &batch.to;
	EXPECT_EQ(t, migrate_isolated(batch.s.mem, &pages, &fail, &stats), 3);
	EXPECT_EQ(t, fail.why, WHY_PINNED);
	EXPECT_EQ(t, fail.pfn, page_to_pfn_in(batch.s.mem, before[1]));
	EXPECT(t, stats.no_target);
	EXPECT_EQ(t, stats.moved, 3);
	EXPECT_EQ(t, stats.retries, 0);
	EXPECT_EQ(t, batch.asked, 6);
	EXPECT_EQ(t, batch.back, 2);
	EXPECT_EQ(t, vm_object_present(batch.s.object), BATCH - 1);
	for (i = 0; i < BATCH; i++) {
		bool stays = i == 1 || i >= 5;

		EXPECT_EQ(t, page_in(batch.s.object, i) == before[i], stays);
		EXPECT(t, !stays || word_state(page_word(before[i])) == PG_LRU);
		EXPECT(t, !stays || !(page_word(before[i]) & PAGE_LOCKED));
	}
	mem_unpin_page(batch.s.mem, before[1]);
	expect_pages(t, 0, 2, t->seed);
	expect_pages(t, 3, BATCH, t->seed);
	soft_unload_space();
	expect_sound(t, batch.s.mem);
	scene_end(t, &batch.s);
}

/* ---- owners ---- */

/* A memory with one movable page, whose owner has @migrate, @isolate or @putback of its own. */
static struct page *begin_one(struct ktest *t, struct movable_ops own)
{
	static struct movable_ops ops;

	struct page *page = mov_begin_one(t, ktest_memory(t, 0, 0, BLOCKS));

	ops = mov_ops;
	ops.isolate = own.isolate ? own.isolate : ops.isolate;
	ops.migrate = own.migrate ? own.migrate : ops.migrate;
	ops.putback = own.putback ? own.putback : ops.putback;
	mov.owner.ops = &ops;
	return page;
}

static bool unwanted(struct memory *mem, struct page *page)
{
	return false;
}

/*
 * A page that its owner does not take back cannot be isolated again. It is freed when the owner
 * drops its reference.
 */
KTEST(page_not_taken_back_by_its_owner_is_freed)
{
	struct page *page = NEED(t, begin_one(t, (struct movable_ops){.putback = unwanted}));
	struct memory *mem = mov.mem;

	EXPECT_EQ(t, isolate_movable_page(mem, page_to_pfn_in(mem, page)), 0);
	putback_movable_page(mem, page);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ISO_MIG, 0));
	EXPECT_EQ(t, isolate_movable_page(mem, page_to_pfn_in(mem, page)), -EAGAIN);
	mov_end(t);
}

static unsigned asked;

static int count_asked(struct memory *mem, struct page *page)
{
	asked++;
	return 0;
}

/* If no reference can be taken, the owner of the page is not called. */
KTEST_INSIDE(a_page_without_references_left_stays)
{
	struct page *page = NEED(t, begin_one(t, (struct movable_ops){.isolate = count_asked}));
	struct memory *mem = mov.mem;
	unsigned refs = 0;
	u32 word;

	while (get_page(page) == 0)
		refs++;
	word = page_word(page);
	asked = 0;
	EXPECT(t, isolate_movable_page(mem, page_to_pfn_in(mem, page)) < 0);
	EXPECT_EQ(t, asked, 0);
	EXPECT_EQ(t, page_word(page), word);
	while (refs-- > 0)
		EXPECT_EQ(t, mem_put_page(mem, page), 0);
	EXPECT_EQ(t, isolate_movable_page(mem, page_to_pfn_in(mem, page)), 0);
	EXPECT_EQ(t, asked, 1);
	putback_movable_page(mem, page);
	mov_end(t);
}

static struct {
	u32 inside, go, drained; /* atomic */
} turn;

static int migrate_and_wait(
    struct movable_owner *owner, struct memory *mem, struct page *dst, struct page *src)
{
	store_release(&turn.inside, 1u);
	SPIN_UNTIL(load_acquire(&turn.go));
	return mov_migrate(owner, mem, dst, src);
}

static void move_it(void *arg)
{
	struct page *page = arg;

	mov.refuse = (u32)migrate_pages(mov.mem, &page, 1, NULL);
	store_release(&turn.inside, 1u);
}

static void drain_it(void *arg)
{
	movable_owner_drain(&mov.owner);
	store_release(&turn.drained, 1u);
}

/* Draining an owner waits for a migration that uses it, and no longer. */
KTEST(owner_drain_waits_for_its_migrations)
{
	unsigned i;

	if (!ktest_needs_cpus(t, 3))
		return;
	NEED(t, begin_one(t, (struct movable_ops){.migrate = migrate_and_wait}));
	turn.inside = turn.go = turn.drained = 0;
	drain_it(NULL);
	EXPECT_EQ(t, turn.drained, 1);
	turn.drained = 0;
	EXPECT_EQ(t, isolate_movable_page(mov.mem, page_to_pfn_in(mov.mem, mov.pages[0])), 0);
	ktest_start(1, move_it, mov.pages[0]);
	EXPECT(t, SPIN_UNTIL(load_acquire(&turn.inside)));
	EXPECT_EQ(t, READ_ONCE(mov.owner.users), 1);
	ktest_start(2, drain_it, NULL);
	for (i = 0; i < 1000; i++)
		thread_yield();
	EXPECT_EQ(t, load_acquire(&turn.drained), 0);
	store_release(&turn.go, 1u);
	ktest_join(1);
	ktest_join(2);
	EXPECT_EQ(t, mov.owner.users, 0);
	EXPECT_EQ(t, mov.refuse, 0);
	EXPECT_EQ(t, mov.moved, 1);
	mov_end(t);
}

/* ---- waiters ---- */

#define SAME_BUCKET 64u

static pfn_t seen[8];
static unsigned nr_seen, max_seen;

static bool note_waiter(void *arg, pfn_t pfn)
{
	EXPECT(arg, nr_seen < ARRAY_SIZE(seen));
	seen[nr_seen++ % ARRAY_SIZE(seen)] = pfn;
	return nr_seen < max_seen;
}

static unsigned waiters_of(struct ktest *t, const struct memory *mem, unsigned max)
{
	nr_seen = 0;
	max_seen = max;
	migwait_check(mem, note_waiter, t);
	return nr_seen;
}

/*
 * All waiters are in one bucket. Waiters for another page, or for the same pfn of another memory,
 * continue to sleep.
 */
KTEST_INSIDE(waiters_are_matched_by_page_and_memory, KTEST_SLOW)
{
	static const struct zone_spec specs[] = {{0, ZONE_MOVABLE, BLOCKS}};
	struct memory *mem[2] = {ktest_memory(t, 0, 0, BLOCKS), NULL};
	struct migwait w[6];
	pfn_t pfn;
	unsigned i;

	REQUIRE(t, mem[0]);
	mem[1] = build_memory(t, 1, NULL, specs, ARRAY_SIZE(specs));
	REQUIRE(t, mem[1]);
	pfn = MAX(mem[0]->start_pfn, mem[1]->start_pfn);
	REQUIRE(
	    t, pfn_valid_in(mem[0], pfn + SAME_BUCKET) && pfn_valid_in(mem[1], pfn + SAME_BUCKET));
	for (i = 0; i < 6; i++)
		atomic_or(&pfn_to_page_in(mem[i % 2], pfn + (i < 4 ? 0 : SAME_BUCKET))->word,
		    PAGE_LOCKED);
	/*
	 * Alternate between the memories: each gets two waiters for page @pfn, then one for the
	 * other page of the bucket.
	 */
	for (i = 0; i < 6; i++)
		migwait_queue(&w[i], mem[i % 2], pfn + (i < 4 ? 0 : SAME_BUCKET));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(t, waiters_of(t, mem[i], 8), 3);
		EXPECT_EQ(t, waiters_of(t, mem[i], 2), 2);
		EXPECT_EQ(t, mm_event_sum(mem[i], EV_MIGWAIT_QUEUED), 3);
	}
	migwait_wake(mem[0], pfn + 1);
	EXPECT_EQ(t, mm_event_sum(mem[0], EV_MIGWAIT_WOKEN), 0);
	migwait_wake(mem[0], pfn);
	for (i = 0; i < 6; i++)
		EXPECT_EQ(t, w[i].woken, i == 0 || i == 2);
	EXPECT_EQ(t, mm_event_sum(mem[0], EV_MIGWAIT_WOKEN), 2);
	EXPECT_EQ(t, mm_event_sum(mem[1], EV_MIGWAIT_WOKEN), 0);
	EXPECT_EQ(t, waiters_of(t, mem[0], 8), 1);
	EXPECT_EQ(t, seen[0], pfn + SAME_BUCKET);
	EXPECT_EQ(t, waiters_of(t, mem[1], 8), 3);
	migwait_wake(mem[1], pfn + SAME_BUCKET);
	EXPECT_EQ(t, w[5].woken, 1);
	EXPECT_EQ(t, w[4].woken + w[3].woken + w[1].woken, 0);
	migwait_wake(mem[0], pfn + SAME_BUCKET);
	migwait_wake(mem[1], pfn);
	for (i = 0; i < 6; i++) {
		EXPECT_EQ(t, w[i].woken, 1);
		atomic_and(&pfn_to_page_in(mem[i % 2], pfn + (i < 4 ? 0 : SAME_BUCKET))->word,
		    ~PAGE_LOCKED);
	}
	EXPECT_EQ(t, waiters_of(t, mem[0], 8) + waiters_of(t, mem[1], 8), 0);
	drop_memory(t, mem[1]);
}

static unsigned bucket_locks, strange_locks;

static void count_bucket_lock(const char *what, const struct spinlock *lock)
{
	bucket_locks += !strcmp(lock->name, "migwait");
	strange_locks += !migwait_owns(lock);
}

KTEST_INSIDE(waiters_queue_and_leave_under_a_lock)
{
	const struct spinlock other = SPINLOCK("other", RANK_MIGWAIT);
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, BLOCKS));
	unsigned locks[2];
	struct migwait w;

	atomic_or(&pfn_to_page_in(mem, mem->start_pfn)->word, PAGE_LOCKED);
	bucket_locks = strange_locks = 0;
	locks_told_begin(RANK_MIGWAIT, count_bucket_lock);
	migwait_queue(&w, mem, mem->start_pfn);
	locks[0] = bucket_locks;
	migwait_wake(mem, mem->start_pfn);
	locks[1] = bucket_locks;
	locks_told_end();
	atomic_and(&pfn_to_page_in(mem, mem->start_pfn)->word, ~PAGE_LOCKED);
	EXPECT_EQ(t, w.woken, 1);
	EXPECT_EQ(t, strange_locks, 0);
	EXPECT(t, !migwait_owns(&other) && !migwait_owns(&mem->poison));
	EXPECT_EQ(t, locks[0], 1);
	EXPECT_EQ(t, locks[1], 2);
}
