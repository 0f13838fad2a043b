/* SPDX-License-Identifier: MIT */
/*
 * test_offline_race.c: offlining while other threads use the memory: frees in progress, late pins,
 * other offlines, a cancel; and repeated offlines while all CPUs use movable objects.
 */
#include "tests/lib/mm_help.h"
#include "tests/lib/race_free.h"
#include <quarry/handle.h>

#define BLOCK(n)    ((pfn_t)(n) << PAGEBLOCK_ORDER)
#define PER_CPU     8 /* objects of each CPU */
#define ROUNDS      8 /* offlines of each policy while all CPUs are busy */
#define A_MOMENT_NS 1000000ULL

static struct census before, after;
static struct hoard hoard;
static struct handle handles[PER_CPU * TEST_MAX_CPUS];
static struct handle_table table;

/* An object, and the change that a callback of the offline makes to it. */
struct scene {
	struct ktest *t;
	struct memory *mem;
	enum iso_policy policy;
	pfn_t start; /* the 4 pageblocks that the object lies in */
	u32 cancel;  /* atomic */
	u32 begun;   /* atomic: the range is isolated */
	int err;
	struct page *page;
	struct offline_result result;
};

static bool set_scene(struct ktest *t, struct scene *s)
{
	*s = (struct scene){.t = t, .mem = ktest_memory(t, 0, 0, TEST_MAX_BLOCKS / 2)};
	if (!s->mem)
		return false;
	handle_table_init(&table, s->mem, handles, 1);
	EXPECT_EQ(t, handle_alloc(&table, 0, 0, GFP_KERNEL, 1), 0);
	/* A pin sets a flag that stays; set it before states are compared. */
	EXPECT_EQ(t, handle_pin(&table, 0) || handle_unpin(&table, 0), 0);
	empty_all(s->mem);
	s->start = ALIGN_DOWN(handle_pfn(&table, 0), BLOCK(4));
	return true;
}

static void pin_late(void *arg)
{
	struct scene *s = arg;

	s->err = handle_pin(&table, 0);
}

/* The offline fails with @err and @why, and everything is as before. */
static void expect_undone(
    struct scene *s, const struct offline_opts *opts, int err, enum mm_why why)
{
	struct zone *zone = test_zone(s->mem, ZONE_MOVABLE);
	struct ktest *t = s->t;
	struct page *page;

	empty_all(s->mem);
	census_take(&before, s->mem);
	EXPECT_EQ(t, offline_pages(s->mem, s->start, BLOCK(4), opts, &s->result), err);
	EXPECT_EQ(t, s->result.fail.why, why);
	EXPECT_EQ(t, s->result.rounds, 1);
	EXPECT_EQ(t, s->result.moved, 0);
	EXPECT_EQ(t, zone->pcp_depth, 0);
	EXPECT_EQ(t, alloc_on(0, s->mem, GFP_MOVABLE, 0, 1, &page), 1);
	EXPECT_EQ(t, capacity_sum(zone, 0) > 0, zone->pcp_capacity[0][MT_MOVABLE] > 0);
	EXPECT_EQ(t, free_on(0, s->mem, 0, 1, &page), 1);
	EXPECT(t, LIST_EMPTY(&s->mem->claims));
	if (opts->on_isolated == pin_late) {
		EXPECT_EQ(t, s->err, 0);
		EXPECT_EQ(t, s->result.fail.pfn, handle_pfn(&table, 0));
		EXPECT_EQ(t, handle_unpin(&table, 0), 0);
	}
	empty_all(s->mem);
	census_take(&after, s->mem);
	census_compare(t, &before, &after);
}

/* Under each policy the offline is undone, after at least @loops and at most @most passes. */
static void expect_undone_by_each(struct ktest *t, struct offline_opts opts, int err,
    enum mm_why why, unsigned loops, unsigned most)
{
	struct scene s;
	unsigned p;

	if (!set_scene(t, &s))
		return;
	opts.arg = &s;
	opts.cancel = &s.cancel;
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		opts.policy = policies[p];
		s.cancel = 0;
		expect_undone(&s, &opts, err, why);
		EXPECT_RANGE(t, s.result.loops, loops, most);
	}
	EXPECT_EQ(t, handle_free(&table, 0), 0);
}

KTEST_SUITE(offline_race, 0);

KTEST(late_pin_is_named_and_the_offline_undone)
{
	const struct offline_opts opts = {.on_isolated = pin_late};

	expect_undone_by_each(t, opts, -EBUSY, WHY_PINNED, 3, ~0u);
}

KTEST(deadline_ends_an_offline)
{
	const struct offline_opts opts = {.deadline_ns = A_MOMENT_NS, .on_isolated = pin_late};

	expect_undone_by_each(t, opts, -ETIMEDOUT, WHY_DEADLINE, 0, ~0u);
}

/*
 * An offline waits until the deadline for a page in transit to the buddy allocator; it does not
 * report the page as unmovable.
 */
KTEST(a_page_being_freed_is_waited_for)
{
	struct offline_opts opts = {.policy = ISO_PRECISE, .deadline_ns = 300 * A_MOMENT_NS};
	struct scene s;

	if (!set_scene(t, &s))
		return;
	REQUIRE(t, alloc_on(0, s.mem, GFP_MOVABLE, 0, 1, &s.page) == 1);
	EXPECT_EQ(t, handle_free(&table, 0), 0);
	WRITE_ONCE(s.page->word, PAGE_WORD(0, PG_FREEING, 0));
	s.start = ALIGN_DOWN(page_to_pfn_in(s.mem, s.page), BLOCK(4));
	expect_undone(&s, &opts, -ETIMEDOUT, WHY_DEADLINE);
	EXPECT_EQ(t, s.result.fail.pfn, page_to_pfn_in(s.mem, s.page));
	WRITE_ONCE(s.page->word, PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, free_on(0, s.mem, 0, 1, &s.page), 1);
}

static void cancel_now(void *arg)
{
	WRITE_ONCE(((struct scene *)arg)->cancel, 1u);
}

KTEST(cancel_ends_an_offline)
{
	const struct offline_opts opts = {.on_isolated = cancel_now};

	expect_undone_by_each(t, opts, -EINTR, WHY_CANCELLED, 0, 0);
}

static void take_all(void *arg)
{
	hoard_take(&hoard);
}

KTEST(offline_without_migration_targets_fails)
{
	struct scene s;
	unsigned p;

	if (!set_scene(t, &s))
		return;
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		const struct offline_opts opts = {.policy = policies[p], .on_isolated = take_all};

		hoard = (struct hoard){.mem = s.mem, .gfp = GFP_MOVABLE | GFP_ATOMIC};
		EXPECT_EQ(t, offline_pages(s.mem, s.start, BLOCK(4), &opts, &s.result), -ENOMEM);
		EXPECT_EQ(t, s.result.fail.why, WHY_NO_TARGET);
		EXPECT_EQ(t, s.result.moved, 0);
		EXPECT_EQ(t, test_zone(s.mem, ZONE_MOVABLE)->nr_isolated, 0);
		EXPECT_EQ(t, test_zone(s.mem, ZONE_MOVABLE)->managed, BLOCK(TEST_MAX_BLOCKS / 2));
		hoard_give(&hoard);
		expect_sound(t, s.mem);
	}
	EXPECT_EQ(t, handle_free(&table, 0), 0);
}

/* ---- state during an offline ---- */

static void look_at_caches(void *arg)
{
	struct scene *s = arg;
	struct zone *zone = test_zone(s->mem, ZONE_MOVABLE);
	unsigned cpu;

	EXPECT_EQ(s->t, zone->pcp_depth, s->policy == ISO_DISABLE);
	EXPECT_EQ(s->t, zone->nr_isolated, 4);
	for (cpu = 0; cpu < s->mem->nr_cpus; cpu++)
		EXPECT_EQ(s->t, capacity_sum(zone, cpu) > 0,
		    s->policy == ISO_PRECISE && zone->pcp_capacity[0][MT_MOVABLE] > 0);
	s->begun++;
}

KTEST(precise_leaves_the_caches_on)
{
	struct scene s;
	unsigned p;

	if (!set_scene(t, &s))
		return;
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		const struct offline_opts opts = {.policy = policies[p],
		    .on_isolated = look_at_caches,
		    .on_commit = look_at_caches,
		    .arg = &s};

		s.policy = policies[p];
		s.begun = 0;
		EXPECT_EQ(t, offline_pages(s.mem, s.start, BLOCK(4), &opts, &s.result), 0);
		EXPECT_EQ(t, s.begun, 2);
		EXPECT_EQ(t, test_zone(s.mem, ZONE_MOVABLE)->pcp_depth, 0);
		EXPECT_EQ(t, online_pages(s.mem, s.start, BLOCK(4), NULL), 0);
		s.start = ALIGN_DOWN(handle_pfn(&table, 0), BLOCK(4));
	}
	EXPECT_EQ(t, handle_free(&table, 0), 0);
}

static void offline_others(void *arg)
{
	const struct offline_opts opts = {.policy = NR_ISO_POLICIES};
	struct offline_result res;
	struct scene *s = arg;
	struct mm_fail fail;

	/* Ranges that overlap the claimed range at either end, lie inside it, or contain it. */
	EXPECT_EQ(s->t, offline_pages(s->mem, BLOCK(11), BLOCK(2), &opts, &res), -EBUSY);
	EXPECT_EQ(s->t, res.fail.why, WHY_CLAIMED);
	EXPECT_EQ(s->t, offline_pages(s->mem, BLOCK(15), BLOCK(2), NULL, &res), -EBUSY);
	EXPECT_EQ(s->t, res.fail.why, WHY_CLAIMED);
	EXPECT_EQ(s->t, offline_pages(s->mem, BLOCK(13), BLOCK(1), NULL, &res), -EBUSY);
	EXPECT_EQ(s->t, offline_pages(s->mem, BLOCK(8), BLOCK(12), NULL, &res), -EBUSY);
	EXPECT_EQ(s->t, online_pages(s->mem, BLOCK(12), BLOCK(4), &fail), -EBUSY);
	EXPECT_EQ(s->t, fail.why, WHY_CLAIMED);
	/* A range directly behind the claimed range. */
	s->err = offline_pages(s->mem, BLOCK(16), BLOCK(4), NULL, &s->result);
	EXPECT_EQ(s->t, online_pages(s->mem, BLOCK(16), BLOCK(4), &fail), 0);
}

KTEST(overlapping_offlines_are_refused_disjoint_ones_succeed)
{
	struct scene s = {.t = t, .mem = ktest_memory(t, 0, 0, 32)};
	struct offline_result res;
	unsigned p;

	REQUIRE(t, s.mem);
	census_take(&before, s.mem);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		const struct offline_opts opts = {
		    .policy = policies[p], .on_isolated = offline_others, .arg = &s};

		WRITE_ONCE(s.mem->policy, policies[p]);
		EXPECT_EQ(t, offline_pages(s.mem, BLOCK(12), BLOCK(4), &opts, &res), 0);
		EXPECT_EQ(t, s.err, 0);
		EXPECT_EQ(t, s.result.policy, policies[p]);
		/* With `disable' the caches are off already: the second offline needs no round. */
		EXPECT_EQ(t, s.result.rounds, policies[p] == ISO_PRECISE);
		EXPECT_EQ(t, res.rounds, 1);
		EXPECT(t, LIST_EMPTY(&s.mem->claims));
		EXPECT_EQ(t, online_pages(s.mem, BLOCK(12), BLOCK(4), NULL), 0);
	}
	census_take(&after, s.mem);
	census_compare(t, &before, &after);
}

/* ---- with other CPUs ---- */

/*
 * Offline 4 pageblocks while CPU 1 frees one of their pages. CPU 1 has read the stack number of the
 * page's pageblock, and caches the page when @race releases it.
 */
static void offline_beside(struct ktest *t, struct race_free *race, const struct offline_opts *opts,
    struct offline_result *res)
{
	struct memory *mem = race->mem;
	pfn_t start;

	race_free_page(t, race);
	start = ALIGN_DOWN(page_to_pfn_in(mem, race->page), BLOCK(4));
	set_limits(test_zone(mem, ZONE_MOVABLE), 0);
	EXPECT(t, race_free_start(race, 1));
	EXPECT_EQ(t, offline_pages(mem, start, BLOCK(4), opts, res), 0);
	race_free_end(t, race, 1);
	EXPECT(t, race->cached);
	expect_sound(t, mem);
	EXPECT_EQ(t, online_pages(mem, start, BLOCK(4), NULL), 0);
}

KTEST_COST(free_in_progress_is_found_by_the_one_round)
{
	struct memory *mem;
	unsigned p;

	if (!ktest_needs_cpus(t, 2))
		return;
	mem = NEED(t, ktest_memory(t, 0, 0, TEST_MAX_BLOCKS));
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		const struct offline_opts opts = {.policy = policies[p]};
		struct race_free race = {
		    .mem = mem, .point = "free.push_pending", .until_call = true};
		struct offline_result res;

		offline_beside(t, &race, &opts, &res);
		EXPECT_EQ(t, res.rounds, 1);
		EXPECT_RANGE(t, res.loops, 0, 2);
	}
}

/* Let the page be cached after redrain's first drain, so that only a later drain finds it. */
static void let_it_be_cached(void *arg)
{
	struct race_free *race = arg;

	store_release(&race->release, 1u);
	YIELD_UNTIL(pcp_zone_nonempty(race->mem, 1, test_zone(race->mem, ZONE_MOVABLE)));
}

KTEST_INSIDE(redrain_drains_a_page_that_its_first_drain_missed)
{
	struct race_free race = {.point = "free.push_pending"};
	const struct offline_opts opts = {.policy = ISO_REDRAIN,
	    .deadline_ns = 3000 * A_MOMENT_NS,
	    .on_isolated = let_it_be_cached,
	    .arg = &race};
	struct offline_result res;

	if (!ktest_needs_cpus(t, 2))
		return;
	race.mem = ktest_memory(t, 0, 0, TEST_MAX_BLOCKS);
	REQUIRE(t, race.mem);
	offline_beside(t, &race, &opts, &res);
	EXPECT_EQ(t, res.policy, ISO_REDRAIN);
	EXPECT(t, res.rounds > 1 && res.loops == res.rounds);
}

static void free_when_begun(void *arg)
{
	struct scene *s = arg;

	race_wait(&s->begun);
	s->err = mem_free_pages(s->mem, s->page, 0);
}

static void note_begun(void *arg)
{
	store_release(&((struct scene *)arg)->begun, 1u);
}

KTEST(a_page_freed_meanwhile_on_another_cpu_is_caught)
{
	struct scene s;
	unsigned p;

	if (!ktest_needs_cpus(t, 2))
		return;
	if (!set_scene(t, &s))
		return;
	EXPECT_EQ(t, handle_free(&table, 0), 0);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		const struct offline_opts opts = {
		    .policy = policies[p], .on_isolated = note_begun, .arg = &s};

		REQUIRE(t, alloc_on(0, s.mem, GFP_MOVABLE, 0, 1, &s.page) == 1);
		s.start = ALIGN_DOWN(page_to_pfn_in(s.mem, s.page), BLOCK(4));
		s.begun = 0;
		ktest_start(1, free_when_begun, &s);
		EXPECT_EQ(t, offline_pages(s.mem, s.start, BLOCK(4), &opts, &s.result), 0);
		ktest_join(1);
		EXPECT_EQ(t, s.err, 0);
		EXPECT_EQ(t, s.result.rounds, 1);
		expect_sound(t, s.mem);
		EXPECT_EQ(t, online_pages(s.mem, s.start, BLOCK(4), NULL), 0);
	}
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_FREE_ISOLATED) >= 2, 1);
}

struct worker {
	struct ktest *t;
	u64 seed;
	unsigned first; /* number of the worker's first object */
	bool pins;
	u32 *stop; /* atomic */
};

/* Allocate, free, rewrite and pin this worker's objects until told to stop. */
static void use_objects(void *arg)
{
	struct worker *w = arg;
	u64 rand = w->seed;

	while (!load_acquire(w->stop)) {
		u64 r = ktest_rand(&rand);
		u32 h = w->first + (u32)(r % PER_CPU);
		int err = 0;

		if (handle_pfn(&table, h) == PFN_NONE)
			err = handle_alloc(&table, h, r >> 8 & 1, GFP_KERNEL, r);
		else if ((r >> 16) % 4 == 0)
			err = handle_free(&table, h);
		else if (w->pins && (r >> 16) % 4 == 1)
			err = handle_pin(&table, h) || handle_unpin(&table, h);
		else
			err = handle_write(&table, h, r);
		if (err)
			ktest_fail(w->t, __FILE__, __LINE__, "object %u: error %d", h, err);
		cpu_relax();
	}
}

static void stress(struct ktest *t, bool pins)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, PAGEBLOCK_ORDER >= 9 ? 24 : 64));
	const struct offline_opts opts[] = {{.policy = ISO_DISABLE}, {.policy = ISO_PRECISE}};
	struct worker workers[TEST_MAX_CPUS];
	unsigned cpu, round, done = 0;
	u64 rand = t->seed;
	u32 stop = 0, h;

	handle_table_init(&table, mem, handles, ARRAY_SIZE(handles));
	for (cpu = 1; cpu < mem->nr_cpus; cpu++) {
		workers[cpu] = (struct worker){.t = t,
		    .seed = ktest_rand(&rand),
		    .first = cpu * PER_CPU,
		    .pins = pins,
		    .stop = &stop};
		ktest_start(cpu, use_objects, &workers[cpu]);
	}
	for (round = 0; round < 2 * ROUNDS; round++) {
		unsigned blocks = (unsigned)((mem->end_pfn - mem->start_pfn) >> PAGEBLOCK_ORDER);
		pfn_t start = BLOCK(ktest_rand(&rand) % (blocks - 7));
		struct offline_result res;
		int err = offline_pages(mem, start, BLOCK(8), &opts[round % 2], &res);

		/* If the first check of an offline meets a pin, the offline is refused. */
		if (err && !(pins && err == -EBUSY && res.fail.why == WHY_PINNED))
			ktest_fail(t, __FILE__, __LINE__, "offline: %d at %#lx: %s", err,
			    res.fail.pfn, mm_why_text(res.fail.why));
		EXPECT(t, err || res.rounds == 1);
		if (!err)
			EXPECT_EQ(t, online_pages(mem, start, BLOCK(8), NULL), 0);
		done += !err;
		expect_sound(t, mem);
	}
	store_release(&stop, 1u);
	join_from(1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_OK), done);
	EXPECT_EQ(t, table.corrupt, 0);
	for (h = 0; h < ARRAY_SIZE(handles); h++)
		if (handle_pfn(&table, h) != PFN_NONE)
			EXPECT_EQ(t, handle_free(&table, h), 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

KTEST(offlines_under_load_all_succeed)
{
	stress(t, false);
}

KTEST(offlines_under_load_with_pins_succeed_or_name_a_pin)
{
	stress(t, true);
}
