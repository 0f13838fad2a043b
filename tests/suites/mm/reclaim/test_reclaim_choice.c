/* SPDX-License-Identifier: MIT */
/*
 * test_reclaim_choice.c: which pages a scan isolates from a list, and in which order; and which
 * changes to an isolated page keep it from being dropped, before its check or before its pager is
 * called.
 */
#include "tests/lib/pager_help.h"
#include "tests/lib/wait_help.h"

#define PAGES 8u

static struct store store;
static struct vm_scene s;

/* Replace all pages by new ones, unmapped; page 0 is at the tail of the list. */
static void supply_anew(struct ktest *t)
{
	EXPECT_EQ(t, vm_object_remove(s.object, 0, PAGES), 0);
	supply_all(t, &s, &store, 0);
}

/* A scene of PAGES pages that have a pager. */
static bool begin(struct ktest *t)
{
	if (!store_scene(t, &s, &store, PAGES))
		return false;
	supply_anew(t);
	if (vm_object_present(s.object) == PAGES)
		return true;
	ktest_fail(t, __FILE__, __LINE__, "not all pages are there");
	store_scene_end(t, &s, &store);
	return false;
}

static void end(struct ktest *t)
{
	expect_sound(t, s.mem);
	store_scene_end(t, &s, &store);
}

static struct lru_list *list(unsigned which)
{
	return &movable_zone(s.mem)->lru[which];
}

/* Expect the list to hold the pages of slots @index, from its tail on. */
static void expect_list(struct ktest *t, unsigned which, const u32 *index, unsigned nr)
{
	u32 pfn = list(which)->tail;
	unsigned i;

	EXPECT_EQ(t, list(which)->nr, nr);
	for (i = 0; i < nr && pfn != PFN_NONE; i++) {
		EXPECT_EQ(t, pfn_to_page_in(s.mem, pfn)->index, index[i]);
		pfn = pfn_to_page_in(s.mem, pfn)->prev;
	}
	EXPECT_EQ(t, i, nr);
	EXPECT_EQ(t, pfn, PFN_NONE);
}

/* A scan of the inactive list for @max pages isolates just the pages of @index, in this order. */
static void expect_taken(
    struct ktest *t, bool unmapped, unsigned max, const u32 *index, unsigned nr)
{
	struct zone *zone = movable_zone(s.mem);
	struct page *taken[RECLAIM_BATCH];
	unsigned got, i;

	got = lru_isolate_tail(zone, LRU_INACTIVE, unmapped ? TAKE_UNMAPPED : TAKE_ANY, taken, max);
	EXPECT_EQ(t, got, nr);
	EXPECT_EQ(t, zone->nr_reclaiming, got);
	for (i = 0; i < got; i++) {
		EXPECT_EQ(t, taken[i]->index, i < nr ? index[i] : PAGES);
		EXPECT_EQ(t, word_state(page_word(taken[i])), PG_ISO_MIG);
	}
	EXPECT_EQ(t, list(LRU_INACTIVE)->nr, PAGES - got);
	/* Put the pages back at the head, in the order in which they were taken. */
	for (i = 0; i < got; i++) {
		atomic_sub(&zone->nr_reclaiming, 1u);
		putback_lru_page(s.mem, taken[i]);
	}
}

KTEST_SUITE(reclaim_choice, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* Direct reclaim skips pages that are mapped, dirty, in use or recently used. */
KTEST(direct_reclaim_takes_idle_clean_pages_only)
{
	static const u32 plain[] = {4, 6, 7}, two[] = {4, 6}, first[] = {0, 1, 2};
	static const u32 after[] = {0, 1, 2, 3, 5, 4, 6, 7};
	struct page *page[PAGES];
	u64 value;
	u32 i;

	if (!begin(t))
		return;
	for (i = 0; i < PAGES; i++)
		page[i] = page_in(s.object, i);
	page_set_flags(page[0], PAGE_REFERENCED);
	page_set_flags(page[1], PAGE_DIRTY);
	EXPECT(t, page_trylock(page[2]));
	EXPECT_EQ(t, get_page(page[3]), 0);
	soft_load_space(s.space);
	EXPECT_EQ(t, soft_read(page_at(5), &value), 0);
	soft_unload_space();
	expect_taken(t, true, RECLAIM_BATCH, plain, 3);
	expect_list(t, LRU_INACTIVE, after, PAGES);
	/* The skipped pages stay as they are. */
	EXPECT_EQ(t, page_word(page[0]), PAGE_WORD(1, PG_LRU, 0) | PAGE_REFERENCED);
	EXPECT_EQ(t, page_word(page[1]), PAGE_WORD(1, PG_LRU, 0) | PAGE_DIRTY);
	EXPECT_EQ(t, page_word(page[4]), PAGE_WORD(1, PG_LRU, 0));
	/* A scan takes no more pages than requested. */
	expect_taken(t, true, 2, two, 2);
	expect_taken(t, true, 0, two, 0);
	/* A scan of the reclaim thread takes the first pages, whatever their flags. */
	expect_taken(t, false, 3, first, 3);
	page_clear_flags(page[2], PAGE_LOCKED);
	EXPECT_EQ(t, mem_put_page(s.mem, page[3]), 0);
	end(t);
}

/*
 * Pinned pages, broken pages and pages at the reference limit go to the head: the next scan must
 * not meet them again.
 */
KTEST(unreclaimable_pages_move_to_the_other_end, KTEST_SLOW)
{
	static const u32 rest[] = {3, 4}, after[] = {5, 6, 7, 0, 1, 2, 3, 4};
	struct page *page[3];
	u32 i, word;

	if (!begin(t))
		return;
	for (i = 0; i < 3; i++)
		page[i] = page_in(s.object, i);
	REQUIRE(t, vm_object_pin(s.object, 0, &page[0]) == 0);
	word = page_word(page[0]);
	page_set_flags(page[1], PAGE_F_HWPOISON);
	for (i = 1; i < PAGE_REF_MAX; i++)
		EXPECT_EQ(t, get_page(page[2]), 0);
	expect_taken(t, false, 2, rest, 2);
	expect_list(t, LRU_INACTIVE, after, PAGES);
	EXPECT_EQ(t, page_word(page[0]), word);
	EXPECT_EQ(t, page_word(page[1]), PAGE_WORD(1, PG_LRU, 0) | PAGE_F_HWPOISON);
	EXPECT_EQ(t, page_word(page[2]), PAGE_WORD(PAGE_REF_MAX, PG_LRU, 0));
	/* Other code cannot isolate these pages either. */
	EXPECT_EQ(t, isolate_lru_page(s.mem, page_to_pfn_in(s.mem, page[1])), -EBUSY);
	EXPECT(t, isolate_lru_page(s.mem, page_to_pfn_in(s.mem, page[2])) != 0);
	EXPECT_EQ(t, isolate_broken_page(s.mem, page_to_pfn_in(s.mem, page[2])), -EOVERFLOW);
	expect_list(t, LRU_INACTIVE, after, PAGES);
	EXPECT_EQ(t, page_word(page[2]), PAGE_WORD(PAGE_REF_MAX, PG_LRU, 0));
	for (i = 1; i < PAGE_REF_MAX; i++)
		EXPECT_EQ(t, mem_put_page(s.mem, page[2]), 0);
	page_clear_flags(page[1], PAGE_F_HWPOISON);
	mem_unpin_page(s.mem, page[0]);
	end(t);
}

/* ---- changes to an isolated page ---- */

/* A change to a page that a scan has isolated, and the page's state afterwards. */
struct change {
	const char *what;
	void (*make)(struct page *page), (*undo)(struct page *page);
	bool direct, desperate, clean; /* kind of scan; clean: the pager is called */
	bool dropped, active, kept;    /* result; kept: counted as touched */
};

static void nothing(struct page *page)
{
}

static void touch(struct page *page)
{
	page_set_flags(page, PAGE_REFERENCED);
}

static void dirty(struct page *page)
{
	page_set_flags(page, PAGE_DIRTY);
}

/* The page was written to, and has broken. */
static void spoil(struct page *page)
{
	page_set_flags(page, PAGE_DIRTY | PAGE_F_HWPOISON);
}

static void wash(struct page *page)
{
	page_clear_flags(page, PAGE_DIRTY | PAGE_F_HWPOISON);
}

static void use(struct page *page)
{
	if (get_page(page))
		panic("test: no reference");
}

static void leave(struct page *page)
{
	if (mem_put_page(s.mem, page))
		panic("test: the last reference");
}

static void pin(struct page *page)
{
	if (pin_page(page))
		panic("test: not pinned");
}

static void unpin(struct page *page)
{
	mem_unpin_page(s.mem, page);
}

/* Act as if another thread were changing entries of the object. */
static void walk(struct page *page)
{
	WRITE_ONCE(s.object->walked, PAGES);
}

static void walk_on(struct page *page)
{
	WRITE_ONCE(s.object->walked, 0u);
}

/* Empty the slot as a removal does, but keep its reference, which undo drops. */
static void drop_slot(struct page *page)
{
	*object_slot(s.object, page->index) = 0;
	WRITE_ONCE(s.object->nr_present, s.object->nr_present - 1);
	lru_release_pages(s.mem, &page, 1);
}

static const struct change changes[] = {
    {"nothing, direct", nothing, nothing, .direct = true, .dropped = true},
    {"touched, direct", touch, nothing, .direct = true, .active = true, .kept = true},
    {"written, direct", dirty, wash, .direct = true},
    {"used, direct", use, leave, .direct = true},
    {"pinned, direct", pin, unpin, .direct = true, .active = true},
    {"walked, direct", walk, walk_on, .direct = true},
    {"nothing", nothing, nothing, .dropped = true},
    {"touched", touch, nothing, .active = true, .kept = true},
    {"touched, desperate", touch, nothing, .desperate = true, .dropped = true},
    {"written", dirty, nothing, .clean = true, .dropped = true},
    {"written and broken", spoil, wash, .clean = false},
    {"used", use, leave, .direct = false},
    {"used, desperate", use, leave, .desperate = true},
    {"pinned, desperate", pin, unpin, .desperate = true, .active = true},
    {"walked, desperate", walk, walk_on, .desperate = true},
    {"let go, desperate", drop_slot, leave, .desperate = true, .dropped = true},
};

static const struct change *change;
static struct page *chosen;
static u32 held, late; /* atomic */

/* Hold the object's lock until the scan has locked the page and waits; then change the page. */
static void change_it(void *arg)
{
	spin_lock(&s.object->lock);
	store_release(&held, 1u);
	if (!SPIN_UNTIL(page_word(chosen) & PAGE_LOCKED))
		WRITE_ONCE(late, 1);
	change->make(chosen);
	spin_unlock(&s.object->lock);
}

/* Scan one batch beside @other, on another CPU, once that has begun. */
static void scan_beside(struct ktest *t, struct lru_scan *scan, void (*other)(void *arg))
{
	scan->zone = movable_zone(s.mem);
	store_release(&held, 0u);
	ktest_start(1, other, NULL);
	EXPECT(t, YIELD_UNTIL(load_acquire(&held)));
	reclaim_batch(scan);
	ktest_join(1);
	EXPECT_EQ(t, READ_ONCE(late), 0);
}

static void change_once(struct ktest *t, const struct change *c)
{
	struct lru_scan scan = {.batch = 1, .direct = c->direct, .desperate = c->desperate};
	u64 kept = mm_event_sum(s.mem, EV_RECLAIM_KEPT);
	u32 cleans = READ_ONCE(store.cleans);
	bool right, let = c->make == drop_slot;

	chosen = NEED(t, page_in(s.object, 0));
	change = c;
	scan_beside(t, &scan, change_it);
	right = scan.freed == (c->dropped && !let) &&
	    vm_object_present(s.object) == PAGES - c->dropped &&
	    list(LRU_ACTIVE)->nr == c->active &&
	    mm_event_sum(s.mem, EV_RECLAIM_KEPT) - kept == c->kept &&
	    READ_ONCE(store.cleans) - cleans == c->clean && movable_zone(s.mem)->nr_reclaiming == 0;
	if (!right)
		ktest_fail(t, __FILE__, __LINE__,
		    "%s: %lu freed, %lu present, %lu active, %u cleaned", c->what, scan.freed,
		    (unsigned long)vm_object_present(s.object), list(LRU_ACTIVE)->nr,
		    READ_ONCE(store.cleans) - cleans);
	c->undo(chosen);
}

KTEST(changes_to_a_page_count_until_it_is_judged, KTEST_SLOW)
{
	unsigned i;

	if (!ktest_needs_cpus(t, 2) || !begin(t))
		return;
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		change_once(t, &changes[i]);
		expect_sound(t, s.mem);
		supply_anew(t);
	}
	end(t);
}

/* ---- changes after the check, and while a pager cleans ---- */

static bool is_unmapped(void)
{
	bool marker;

	spin_lock(&s.object->lock);
	marker = slot_is_marker(*object_slot(s.object, 0));
	spin_unlock(&s.object->lock);
	return marker;
}

/* Act as if a thread wrote to the page just before the shootdown, which waits for this CPU. */
static void write_late(void *arg)
{
	irqflags_t flags;

	soft_load_space(s.space);
	flags = arch_irq_save();
	store_release(&held, 1u);
	if (!SPIN_UNTIL(is_unmapped()))
		WRITE_ONCE(late, 1);
	page_set_flags(chosen, PAGE_DIRTY);
	arch_irq_restore(flags);
	soft_unload_space();
}

/* A dirty page whose pager cannot clean it stays, though it was clean when it was checked. */
KTEST(page_dirtied_later_stays_without_a_pager)
{
	struct lru_scan scan = {.batch = 1, .desperate = true};
	u64 value;

	if (!ktest_needs_cpus(t, 2) || !scene_begin_pager(t, &s, 1, &scene_pager, NULL))
		return;
	soft_load_space(s.space);
	EXPECT_EQ(t, soft_read(page_at(0), &value), 0);
	chosen = NEED(t, page_in(s.object, 0));
	scan_beside(t, &scan, write_late);
	EXPECT_EQ(t, scan.freed, 0);
	EXPECT(t, page_in(s.object, 0) == chosen && page_word(chosen) & PAGE_DIRTY);
	EXPECT_EQ(t, soft_try_write(page_at(0), 2), 0); /* it is mapped again */
	soft_unload_space();
	scene_end(t, &s);
}

static u64 refused_ns;

static int refuse_after_a_while(struct vm_object *object, u32 index, const void *data, u64 limit_ns)
{
	u64 began = arch_clock_ns();

	while (arch_clock_ns() - began < 1000)
		cpu_relax();
	refused_ns = arch_clock_ns() - began;
	return -EIO;
}

/* The time that a run has for all pagers is used up by a refusal too. */
KTEST_CONTRACT(refusing_pager_uses_up_time_of_the_run)
{
	static const struct vm_pager_ops refuses = {
	    .get = scene_get, .clean = refuse_after_a_while};
	struct lru_scan scan = {.batch = 1, .desperate = true};

	if (!scene_begin_pager(t, &s, 1, &refuses, NULL))
		return;
	soft_load_space(s.space);
	EXPECT_EQ(t, soft_write(page_at(0), 1), 0);
	soft_unload_space();
	scan.zone = movable_zone(s.mem);
	reclaim_batch(&scan);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_RECLAIM_REFUSED), 1);
	EXPECT(t, scan.waited_ns >= refused_ns);
	EXPECT_EQ(t, vm_object_present(s.object), 1);
	scene_end(t, &s);
}

static void remove_it(struct store *st, struct vm_object *object, u32 index)
{
	EXPECT_EQ((struct ktest *)st->arg, vm_object_remove(object, index, 1), 0);
}

/* The removal, not the scan, has freed the page. */
KTEST(a_page_removed_meanwhile_does_not_count_as_dropped)
{
	struct lru_scan scan = {.batch = 1};

	if (!begin(t))
		return;
	page_set_flags(page_in(s.object, 0), PAGE_DIRTY);
	store.arg = t;
	store.meanwhile = remove_it;
	scan.zone = movable_zone(s.mem);
	reclaim_batch(&scan);
	store.meanwhile = NULL;
	EXPECT_EQ(t, store.cleans, 1);
	EXPECT_EQ(t, scan.freed, 0);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_RECLAIM_FREED), 0);
	EXPECT_EQ(t, vm_object_present(s.object), PAGES - 1);
	EXPECT_EQ(t, movable_zone(s.mem)->nr_reclaiming, 0);
	end(t);
}

/* The trace ring records a drop by direct reclaim, and a drop by a run. */
KTEST(a_dropped_page_leaves_a_record)
{
	struct lru_scan direct = {.batch = 1, .direct = true}, run = {.batch = 1};
	struct trace_hit hit[8];
	unsigned nr, i, said[2] = {0, 0};
	pfn_t pfn[2];

	if (!begin(t))
		return;
	direct.zone = run.zone = movable_zone(s.mem);
	pfn[0] = page_to_pfn_in(s.mem, page_in(s.object, 0));
	pfn[1] = page_to_pfn_in(s.mem, page_in(s.object, 1));
	page_set_flags(page_in(s.object, 1), PAGE_DIRTY);
	reclaim_batch(&direct);
	reclaim_batch(&run);
	EXPECT_EQ(t, direct.freed + run.freed, 2);
	for (i = 0; i < 2; i++) {
		for (nr = trace_find(s.mem, pfn[i], hit, ARRAY_SIZE(hit)); nr-- > 0;)
			said[i] += hit[nr].rec.kind == TR_dropped;
		EXPECT_EQ(t, said[i], 1);
	}
	end(t);
}

/* ---- broken pages ---- */

KTEST(a_broken_page_is_taken_from_objects_only, KTEST_SLOW)
{
	struct page *page, *pinned;
	pfn_t pfn;

	if (!begin(t))
		return;
	page = NEED(t, mem_alloc_pages(s.mem, GFP_MOVABLE, 0));
	pfn = page_to_pfn_in(s.mem, page);
	EXPECT_EQ(t, isolate_broken_page(s.mem, pfn), -EAGAIN);
	/* A driver's page, which is on no list, is not taken either. */
	page->owner = &store;
	EXPECT_EQ(t, isolate_broken_page(s.mem, pfn), -EAGAIN);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ALLOC, 0));
	page->owner = NULL;
	EXPECT_EQ(t, mem_free_pages(s.mem, page, 0), 0);
	/* An object's page is taken even if it is pinned. */
	REQUIRE(t, vm_object_pin(s.object, 3, &pinned) == 0);
	EXPECT_EQ(t, isolate_broken_page(s.mem, page_to_pfn_in(s.mem, pinned)), 0);
	EXPECT_EQ(t, word_state(page_word(pinned)), PG_ISO_MIG);
	EXPECT_EQ(t, list(LRU_INACTIVE)->nr, PAGES - 1);
	putback_lru_page(s.mem, pinned);
	EXPECT_EQ(t, list(LRU_INACTIVE)->nr, PAGES);
	mem_unpin_page(s.mem, pinned);
	/* A page that its object has released has no owner. */
	page = page_in(s.object, 2);
	EXPECT_EQ(t, get_page(page), 0);
	EXPECT_EQ(t, vm_object_remove(s.object, 2, 1), 0);
	EXPECT_EQ(t, isolate_broken_page(s.mem, page_to_pfn_in(s.mem, page)), -EAGAIN);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_LRU, 0));
	EXPECT_EQ(t, mem_put_page(s.mem, page), 0);
	end(t);
}
