/* SPDX-License-Identifier: MIT */
/*
 * test_poison_late.c: a page that breaks after its allocation, when only its owner knows of it: no
 * check takes it for an error, and it gets into no object.
 */
#include "mm/vm/lru.h"
#include "tests/lib/poison_help.h"
#include "tests/lib/vm_help.h"
#include <quarry/movable.h>
#include <quarry/string.h>

static void at_point(const char *name);

static unsigned late_replace(struct memory *mem, struct page **old, struct page **new, unsigned nr);
static enum page_state late_doom(struct zone *zone, pfn_t head, pfn_t pfn);

#undef SCHED_POINT
#define SCHED_POINT(name) at_point(name)
#define lru_replace_pages late_replace
#define migrate_lru_kind  late_kind
#include "mm/move/migrate_lru.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef migrate_lru_kind
#undef lru_replace_pages

#define poison_judge_once copy_poison_judge_once
#define poison_retire     copy_poison_retire
#define poison_doom       late_doom
#include "mm/poison/poison_judge.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef poison_doom

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
	pfn_t pfn = ((uintptr_t)data - (uintptr_t)arch_phys_to_virt(0)) >> PAGE_SHIFT;

	the_page = pfn_to_page_in(the_memory, pfn);
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

/* The target of the first page breaks after its copy, while the second page is copied. */
static struct page *moved[2];
static unsigned copied;
static int last; /* the page whose target breaks when it is put into the object; -1: none */

static void at_point(const char *name)
{
	if (strcmp(name, "mig.copied") != 0 || ++copied != 2 || last >= 0)
		return;
	the_page = pfn_to_page_in(the_memory, moved[0]->next);
	breaks(NULL);
}

/* The object's lock is held, so memory_failure cannot run here; its flag can come. */
static unsigned late_replace(struct memory *mem, struct page **old, struct page **new, unsigned nr)
{
	if (last >= 0 && (unsigned)last < nr) {
		the_page = new[last];
		doom_page(mem, page_to_pfn_in(mem, the_page));
		last = -2;
	}
	return lru_replace_pages(mem, old, new, nr);
}

/* Move two pages of an object; the target of page @stays breaks. */
static void expect_one_stays(struct ktest *t, struct vm_scene *s, int stays)
{
	struct migrate_target to = migrate_anywhere;
	int err[2] = {1, 1}, i;

	copied = 0;
	for (i = 0; i < 2; i++) {
		REQUIRE(t, !vm_object_supply(s->object, (u32)i, NULL));
		moved[i] = page_in(s->object, (u32)i);
		EXPECT_EQ(t, isolate_lru_page(the_memory, page_to_pfn_in(the_memory, moved[i])), 0);
	}
	migrate_lru_batch(the_memory, moved, 2, &to, err);
	EXPECT_EQ(t, err[stays], -EAGAIN);
	EXPECT_EQ(t, err[!stays], 0);
	EXPECT(t, page_in(s->object, (u32)stays) == moved[stays]);
	EXPECT(t, page_in(s->object, (u32)!stays) != moved[!stays]);
	for (i = 0; i < 2; i++) {
		if (err[i])
			putback_lru_page(the_memory, moved[i]);
		else
			mem_put_page(the_memory, moved[i]);
	}
	EXPECT_EQ(t, vm_object_remove(s->object, 0, 2), 0);
	expect_retired(t);
}

KTEST(a_page_does_not_move_to_a_frame_that_broke)
{
	struct vm_scene s;
	int late;

	if (!scene_begin(t, &s, 4))
		return;
	the_memory = s.mem;
	/* It breaks after its copy; when it is put into the object, as the first; as the last. */
	for (late = -1; late < 2; late++) {
		failed = 0;
		last = late;
		expect_one_stays(t, &s, late == 1);
		EXPECT_EQ(t, last, late < 0 ? -1 : -2);
		EXPECT_EQ(t, failed, late < 0 ? -EBUSY : 0);
	}
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

/* ---- a page gets into an object between memory_failure's judgement and its flag ---- */

static struct vm_object *taker;

static enum page_state late_doom(struct zone *zone, pfn_t head, pfn_t pfn)
{
	WRITE_ONCE(the_page->owner, taker);
	page_cas_state(the_page, PG_ALLOC, PG_LRU);
	return poison_doom(zone, head, pfn);
}

KTEST(a_page_is_judged_again_when_its_owner_came_before_the_flag)
{
	struct poison_request r = {.hard = true, .last = true, .res = &res};
	struct vm_scene s;
	int err;

	if (!scene_begin(t, &s, 4))
		return;
	the_memory = r.mem = s.mem;
	taker = s.object;
	the_page = NEED(t, mem_alloc_pages(s.mem, GFP_MOVABLE, 0));
	r.pfn = page_to_pfn_in(s.mem, the_page);
	r.zone = zone_of(s.mem, r.pfn);
	EXPECT_EQ(t, zone_pcp_disable(r.zone), 0);
	poison_lock(s.mem);
	EXPECT_EQ(t, copy_poison_judge_once(&r, &err), TAKE);
	poison_unlock(s.mem);
	WRITE_ONCE(the_page->owner, NULL);
	mem_put_page(s.mem, the_page);
	EXPECT_EQ(t, zone_pcp_enable(r.zone), 0);
	expect_retired(t);
	scene_end(t, &s);
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
