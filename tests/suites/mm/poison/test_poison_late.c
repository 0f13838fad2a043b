/* SPDX-License-Identifier: MIT */
/*
 * test_poison_late.c: a page that breaks after its allocation, when only its owner knows of it: no
 * check takes it for an error, and it gets into no object; and pages that break while somebody
 * waits for something else.
 */
#include "mm/core/buddy.h"
#include "mm/core/zone.h"
#include "mm/move/migrate.h"
#include "mm/poison/poison.h"
#include "tests/host/moment.h"
#include "tests/lib/poison_help.h"
#include "tests/lib/standby_help.h"
#include "tests/lib/vm_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/lock.h>
#include <quarry/movable.h>
#include <quarry/string.h>

static struct memory *the_memory;
static struct page *the_page;
static struct poison_result res;
static int failed;

static void breaks(void *arg)
{
	failed = mem_memory_failure(the_memory, page_to_pfn_in(the_memory, the_page), 0, &res);
}

/* The page that broke, and no other, is retired; it is mended. */
static void expect_retired(struct ktest *t)
{
	pfn_t pfn = page_to_pfn_in(the_memory, the_page);

	EXPECT(t, is_retired(the_memory, pfn));
	expect_poisoned(t, the_memory, 1);
	EXPECT_EQ(t, mem_unpoison_page(the_memory, pfn), 0);
}

KTEST_SUITE(poison_late, 0);

/*
 * The other thread runs as soon as this CPU's interrupts are on: its slice has come when the
 * allocation begins, and the allocation ends its interrupt-off section with the page.
 */
KTEST(a_page_may_break_just_after_its_allocation)
{
	struct thread *other;
	struct page *again;
	u64 until;

	the_memory = NEED(t, ktest_memory(t, 0, CACHED_BLOCKS, 0));
	failed = 1;
	/* its pageblock is UNMOVABLE now */
	the_page = NEED(t, mem_alloc_pages(the_memory, GFP_KERNEL, 0));
	EXPECT_EQ(t, mem_free_pages(the_memory, the_page, 0), 0); /* on top of this CPU's stack */
	other = NEED(t, thread_start("breaks", 0, breaks, NULL));
	for (until = arch_clock_ns() + 20000000ULL; arch_clock_ns() < until;)
		;
	again = mem_alloc_pages(the_memory, GFP_KERNEL, 0);
	EXPECT(t, again == the_page);
	thread_join(other);
	EXPECT_EQ(t, failed, -EBUSY);
	EXPECT_EQ(t, res.outcome, POISON_IGNORED);
	EXPECT_EQ(t, mem_free_pages(the_memory, again, 0), 0);
	expect_retired(t);
}

/* ---- a page breaks before others can find it ---- */

static int fill_and_break(void *data, void *arg)
{
	the_page = pfn_to_page_in(the_memory, virt_to_pfn(data));
	memset(data, 0x5a, PAGE_SIZE);
	breaks(NULL);
	return 0;
}

KTEST(a_page_that_breaks_while_it_is_filled_is_not_supplied)
{
	struct vm_scene s;

	if (!scene_begin(t, &s, 4))
		return;
	the_memory = s.mem;
	EXPECT_EQ(t, vm_object_supply_by(s.object, 0, fill_and_break, NULL), -EAGAIN);
	EXPECT_EQ(t, failed, -EBUSY);
	EXPECT(t, !vm_object_has(s.object, 0));
	expect_retired(t);
	scene_end(t, &s);
}

static struct {
	struct movable_owner owner;
	bool moved;
} owned;

static int owned_isolate(struct memory *mem, struct page *page)
{
	return 0;
}

static bool owned_putback(struct memory *mem, struct page *page)
{
	return true;
}

/* The target breaks while the owner copies. */
static int owned_migrate(
    struct movable_owner *owner, struct memory *mem, struct page *dst, struct page *src)
{
	the_page = dst;
	breaks(NULL);
	owned.moved = page_make_movable(mem, dst, owner, 0);
	if (!owned.moved)
		return -EBUSY;
	page_release_movable(mem, src);
	return 0;
}

KTEST(a_page_of_an_owner_does_not_move_to_a_frame_that_broke)
{
	static const struct movable_ops ops = {
	    .isolate = owned_isolate, .migrate = owned_migrate, .putback = owned_putback};
	struct memory *mem = NEED(t, ktest_memory(t, 0, CACHED_BLOCKS, CACHED_BLOCKS));
	struct page *page = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE, 0));

	the_memory = mem;
	the_page = NULL;
	owned.owner.ops = &ops;
	REQUIRE(t, page_make_movable(mem, page, &owned.owner, 0));
	EXPECT_EQ(t, isolate_movable_page(mem, page_to_pfn_in(mem, page)), 0);
	EXPECT_EQ(t, migrate_pages(mem, &page, 1, NULL), 1);
	EXPECT_EQ(t, failed, -EBUSY);
	EXPECT(t, !owned.moved);
	page_release_movable(mem, owned.moved ? the_page : page);
	REQUIRE(t, the_page);
	expect_retired(t);
}

/* A page that broke keeps its state, and its free retires it. */
KTEST(a_broken_page_is_not_taken_out_of_alloc)
{
	the_memory = NEED(t, ktest_memory(t, 0, CACHED_BLOCKS, 0));
	the_page = NEED(t, mem_alloc_pages(the_memory, GFP_KERNEL, 0));
	breaks(NULL);
	EXPECT_EQ(t, failed, -EBUSY);
	EXPECT(t, !page_take_state(the_page, PG_PGTABLE));
	EXPECT_EQ(t, word_state(page_word(the_page)), PG_ALLOC);
	EXPECT_EQ(t, mem_free_pages(the_memory, the_page, 0), 0);
	expect_retired(t);
}

/* ---- a page that breaks while a target for it is awaited; a page of small objects ---- */

static bool asked;

static int failure_now(struct memory *mem, pfn_t pfn)
{
	unsigned turns = patience_turns;
	u64 ns = poison_patience_ns;
	int err;

	patience_turns = 0;
	poison_patience_ns = 0;
	err = mem_memory_failure(mem, pfn, 0, &res);
	patience_turns = turns;
	poison_patience_ns = ns;
	return err;
}

static int lost_migrate(
    struct movable_owner *owner, struct memory *mem, struct page *dst, struct page *src)
{
	asked = true;
	return -EBUSY;
}

/* The wait for a target takes so long that a failure gives up waiting, and flags the page. */
static struct page *slow_get(struct migrate_target *to, struct memory *mem, unsigned order)
{
	if (failed == 1)
		failed = failure_now(mem, page_to_pfn_in(mem, the_page));
	return migrate_anywhere.get(to, mem, order);
}

KTEST(a_page_flagged_while_a_target_is_awaited_is_not_copied)
{
	static const struct movable_ops ops = {
	    .isolate = owned_isolate, .migrate = lost_migrate, .putback = owned_putback};
	static struct movable_owner owner = {.ops = &ops};
	struct memory *mem = NEED(t, ktest_memory(t, 0, CACHED_BLOCKS, CACHED_BLOCKS));
	struct migrate_target to = migrate_anywhere;
	int err = 1;

	to.get = slow_get;
	asked = false;
	failed = 1;
	the_page = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE, 0));
	REQUIRE(t, page_make_movable(mem, the_page, &owner, 0));
	EXPECT_EQ(t, isolate_movable_page(mem, page_to_pfn_in(mem, the_page)), 0);
	migrate_movable_batch(mem, &the_page, 1, &to, &err);
	EXPECT_EQ(t, failed, -EBUSY);
	EXPECT_EQ(t, res.outcome, POISON_IGNORED);
	EXPECT(t, !asked);
	EXPECT_EQ(t, err, -EHWPOISON);
	putback_movable_page(mem, the_page);
	page_release_movable(mem, the_page);
	EXPECT(t, is_retired(mem, page_to_pfn_in(mem, the_page)));
	EXPECT_EQ(t, mem_unpoison_page(mem, page_to_pfn_in(mem, the_page)), 0);
}

static bool is_away(void)
{
	return word_state(page_word(the_page)) == PG_ISO_MIG;
}

/* Returns the error of going. */
static int come_or_go(void)
{
	if (!is_away())
		return isolate_lru_page(the_memory, page_to_pfn_in(the_memory, the_page));
	putback_lru_page(the_memory, the_page);
	return 0;
}

static void comes_and_goes(void)
{
	failed = come_or_go();
	/* Back before the last judgement, and away again before it is taken. */
	moment.point = "mf.flagged";
	moment.nth = 0;
	moment.always = moment.acted == 1;
}

KTEST(a_page_that_moves_on_at_the_last_moment_is_flagged)
{
	struct vm_scene s;

	if (!scene_begin_filled(t, &s, 3))
		return;
	the_memory = s.mem;
	the_page = page_in(s.object, 1);
	REQUIRE(t, !isolate_lru_page(s.mem, page_to_pfn_in(s.mem, the_page)));
	failed = 1;
	EXPECT_EQ(t,
	    AT(failure_now(s.mem, page_to_pfn_in(s.mem, the_page)), .point = "mf.before_flag",
	        .nth = 2, .act = comes_and_goes),
	    -EBUSY);
	EXPECT_EQ(t, moment.acted, 2);
	EXPECT_EQ(t, failed, 0);
	EXPECT_EQ(t, res.outcome, POISON_IGNORED);
	EXPECT(t, page_word(the_page) & PAGE_F_HWPOISON);
	putback_lru_page(s.mem, the_page);
	EXPECT_EQ(t, vm_object_remove(s.object, 1, 1), 0);
	expect_retired(t);
	scene_end(t, &s);
}

/* There for each judgement, and away for each take. */
static void never_stays(void)
{
	failed |= come_or_go();
	moment.point = is_away() ? "mf.before_flag" : "mf.flagged";
	moment.always = true;
}

/* Other failures wait meanwhile, and the caches are off. */
KTEST(a_page_that_never_stays_ends_the_request)
{
	struct vm_scene s;

	if (!scene_begin_filled(t, &s, 3))
		return;
	the_memory = s.mem;
	the_page = page_in(s.object, 1);
	failed = 0;
	EXPECT_EQ(t,
	    AT(failure_now(s.mem, page_to_pfn_in(s.mem, the_page)), .point = "mf.flagged",
	        .act = never_stays),
	    -EBUSY);
	EXPECT_EQ(t, failed, 0);
	EXPECT_EQ(t, res.outcome, POISON_FAILED);
	EXPECT_RANGE(t, moment.acted, 4, 100);
	EXPECT(t, is_away());
	putback_lru_page(s.mem, the_page);
	scene_end(t, &s);
}

KTEST(no_object_is_allocated_in_a_broken_slab_page)
{
	void *first = kmalloc(2048), *second;
	pfn_t pfn = virt_to_pfn(first);

	REQUIRE(t, first);
	EXPECT_EQ(t, memory_failure(pfn, 0, &res), -EBUSY);
	EXPECT_EQ(t, res.outcome, POISON_IGNORED);
	kfree(first);
	EXPECT(t, is_retired(&kernel_memory, pfn));
	second = kmalloc(2048);
	EXPECT(t, second != first);
	kfree(second);
	kmalloc_trim();
	EXPECT_EQ(t, unpoison_page(pfn), 0);
}

/* ---- unpoison of a page whose standby step becomes holes ---- */

static u32 go;

static void unpoison_it(void *arg)
{
	while (!load_acquire(&go))
		thread_yield();
	failed = mem_unpoison_page(the_memory, BLOCK(ONLINE) + 1);
}

/* A step that is all broken becomes holes, as by block_comes(), while unpoison waits. */
KTEST(unpoison_in_a_new_hole_is_refused_as_a_hole)
{
	struct zone *zone;
	irqflags_t flags;
	unsigned i;
	u64 until;

	if (!ktest_needs_cpus(t, 2))
		return;
	the_memory = NEED(t, without_descriptors(t));
	zone = zone_in(the_memory, ZONE_MOVABLE);
	for (i = 0; i < STEP; i++)
		EXPECT_EQ(
		    t, mem_memory_failure(the_memory, BLOCK(ONLINE + i) + 3, 0, &res), -ENXIO);
	go = 0;
	ktest_start(1, unpoison_it, NULL);
	flags = zone_lock_irqsave(zone);
	store_release(&go, 1u);
	while (!mutex_is_held(&the_memory->poison))
		;
	for (until = arch_clock_ns() + 50000000ULL; arch_clock_ns() < until;)
		;
	for (i = 0; i < STEP; i++) {
		WRITE_ONCE(zone->standby, BLOCK(ONLINE + i + 1));
		pageblock_set_hole(zone, BLOCK(ONLINE + i));
	}
	zone_unlock_irqrestore(zone, flags);
	ktest_join(1);
	EXPECT_EQ(t, failed, -ENXIO);
	drop_memory(t, the_memory);
}

/* ---- a soft offline, and a pin in its last moment ---- */

static struct vm_object *object;

static void pin_and_remove(void)
{
	failed = vm_object_pin(object, 0, &the_page);
	vm_object_remove(object, 0, 1);
}

KTEST(a_page_that_was_pinned_and_removed_is_not_taken_softly)
{
	struct vm_scene s;
	pfn_t pfn;

	if (!scene_begin(t, &s, 4))
		return;
	object = s.object;
	REQUIRE(t, !vm_object_supply(object, 0, NULL));
	pfn = page_to_pfn_in(s.mem, page_in(object, 0));
	EXPECT_AT(t, mem_soft_offline_page(s.mem, pfn), -EBUSY, .point = "mig.locked",
	    .act = pin_and_remove);
	EXPECT_EQ(t, failed, 0);
	expect_poisoned(t, s.mem, 0);
	if (!failed)
		mem_unpin_page(s.mem, the_page);
	scene_end(t, &s);
}
