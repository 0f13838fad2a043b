/* SPDX-License-Identifier: MIT */
/*
 * test_poison_race.c: a page breaks during its migration, and while many CPUs use it; how long and
 * how often a page in transit is tried.
 * tests/races/R-PSN.race tests a page that breaks between two steps of a free.
 */
#include "mm/poison/poison.h"
#include "tests/lib/mov_help.h"
#include "tests/lib/race_migrate.h"
#include "tests/lib/poison_help.h"

/* How long a failure waits for a page in transit. */
struct waits {
	unsigned turns;
	u64 ns;
};

static struct waits set_patience(unsigned turns, u64 ns)
{
	struct waits before = {READ_ONCE(patience_turns), READ_ONCE(poison_patience_ns)};

	WRITE_ONCE(patience_turns, turns);
	WRITE_ONCE(poison_patience_ns, ns);
	return before;
}

struct failure {
	struct memory *mem;
	pfn_t pfn;
	bool soft;
	struct poison_result res;
	int err;
	u32 ended; /* atomic */
	struct waits before;
};

static void fail(void *arg)
{
	struct failure *f = arg;

	f->err = f->soft ? mem_soft_offline_page(f->mem, f->pfn)
	                 : mem_memory_failure(f->mem, f->pfn, 0, &f->res);
	store_release(&f->ended, 1u);
}

/*
 * Start the failure on CPU 2, and wait until it has found the page in transit or has ended.  A busy
 * host may stop the migration for any time, so the patience is unlimited meanwhile.
 */
static void start_failure(struct stage *st, struct failure *f, pfn_t pfn, bool soft)
{
	*f = (struct failure){.mem = st->s.mem, .pfn = pfn, .soft = soft};
	f->before = set_patience(~0u, ~0ULL);
	ktest_start(2, fail, f);
	SPIN_UNTIL(mm_event_sum(st->s.mem, EV_POISON_WAIT) || load_acquire(&f->ended));
}

static void join_failure(const struct failure *f)
{
	ktest_join(2);
	set_patience(f->before.turns, f->before.ns);
}

KTEST_SUITE(poison_race, KTEST_MOSTLY_INSIDE);

/* A failure that finds the page held by a migrator waits until the migration has freed the page. */
KTEST(page_that_breaks_during_its_migration_is_retired)
{
	static const char *const points[] = {"mig.locked", "mig.unmapped", "mig.copied"};
	struct failure f;
	struct stage st;
	unsigned i;

	/* A test can have one scene only, so the seed chooses the scheduling point. */
	i = (unsigned)(t->seed % ARRAY_SIZE(points));
	if (!stage_begin(t, &st, points[i]))
		return;
	start_failure(&st, &f, stage_source(&st), false);
	EXPECT_EQ(t, load_acquire(&f.ended), 0);
	EXPECT(t, !is_flagged(st.s.mem, stage_source(&st)));
	race_migrate_end(t, &st.r, 1);
	join_failure(&f);
	EXPECT_EQ(t, f.err, 0);
	/* The failure may find the page at its last put, before it is free. */
	EXPECT_EQ(t, f.res.outcome, f.res.state == PG_FREE ? POISON_RECOVERED : POISON_DELAYED);
	EXPECT(t, f.res.state == PG_FREE || f.res.state == PG_FREEING);
	EXPECT(t, is_retired(st.s.mem, stage_source(&st)));
	/* The migrator has copied the page, damaged or not. */
	EXPECT_EQ(t, mm_event_sum(st.s.mem, EV_FAILURE_COPIED), 1);
	expect_content(&st);
	expect_poisoned(t, st.s.mem, 1);
	EXPECT_EQ(t, mem_unpoison_page(st.s.mem, stage_source(&st)), 0);
	stage_end(&st, 0);
}

/* The migration fails and puts the page back. The page is lost, and retired at its last put. */
KTEST(page_that_breaks_during_a_failed_migration_is_retired)
{
	struct failure f;
	struct stage st;
	u64 value;

	if (!stage_begin(t, &st, "mig.unmapped"))
		return;
	EXPECT_EQ(t, get_page(st.r.page), 0);
	start_failure(&st, &f, stage_source(&st), false);
	race_migrate_end(t, &st.r, 1);
	join_failure(&f);
	EXPECT_EQ(t, f.err, 0);
	EXPECT_EQ(t, f.res.outcome, POISON_DELAYED);
	EXPECT(t, f.res.lost);
	expect_poisoned(t, st.s.mem, 1);
	EXPECT_EQ(t, mem_put_page(st.s.mem, st.r.page), 0);
	EXPECT(t, is_retired(st.s.mem, stage_source(&st)));
	soft_load_space(st.s.space);
	EXPECT_EQ(t, soft_read(page_at(1), &value), -EHWPOISON);
	soft_unload_space();
	expect_poisoned(t, st.s.mem, 1);
	EXPECT_EQ(t, mem_unpoison_page(st.s.mem, stage_source(&st)), 0);
	stage_end(&st, -EAGAIN);
}

/* The failure waits no longer for the migrator, and flags the page: it is not copied any more. */
KTEST(page_flagged_during_its_migration_is_not_copied)
{
	static const char *const points[] = {"mig.locked", "mig.unmapped", "mig.frozen"};
	struct poison_result res;
	struct waits before;
	struct stage st;

	if (!stage_begin(t, &st, points[t->seed % ARRAY_SIZE(points)]))
		return;
	before = set_patience(0, 0);
	EXPECT_EQ(t, mem_memory_failure(st.s.mem, stage_source(&st), 0, &res), -EBUSY);
	set_patience(before.turns, before.ns);
	EXPECT_EQ(t, res.outcome, POISON_IGNORED);
	race_migrate_end(t, &st.r, 1);
	EXPECT(t, page_in(st.s.object, 1) == st.r.page);
	expect_poisoned(t, st.s.mem, 1);
	/* The second report finds the page in its slot. */
	EXPECT_EQ(t, mem_memory_failure(st.s.mem, stage_source(&st), 0, &res), 0);
	EXPECT(t, is_retired(st.s.mem, stage_source(&st)));
	EXPECT_EQ(t, mem_unpoison_page(st.s.mem, stage_source(&st)), 0);
	stage_end(&st, -EAGAIN);
}

KTEST(page_flagged_while_isolated_is_not_moved)
{
	struct vm_scene v;
	struct page *page;

	if (!scene_begin_filled(t, &v, 2))
		return;
	page = page_in(v.object, 1);
	EXPECT_EQ(t, isolate_lru_page(v.mem, page_to_pfn_in(v.mem, page)), 0);
	page_set_flags(page, PAGE_F_HWPOISON);
	EXPECT_EQ(t, race_migrate_try(v.mem, page), -EHWPOISON);
	page_clear_flags(page, PAGE_F_HWPOISON);
	putback_lru_page(v.mem, page);
	EXPECT(t, page_in(v.object, 1) == page);
	scene_end(t, &v);
}

KTEST(soft_offline_during_a_migration_succeeds)
{
	struct failure f;
	struct stage st;

	if (!stage_begin(t, &st, "mig.copied"))
		return;
	start_failure(&st, &f, stage_source(&st), true);
	race_migrate_end(t, &st.r, 1);
	join_failure(&f);
	EXPECT_EQ(t, f.err, 0);
	EXPECT(t, is_retired(st.s.mem, stage_source(&st)));
	expect_content(&st);
	EXPECT_EQ(t, mem_unpoison_page(st.s.mem, stage_source(&st)), 0);
	stage_end(&st, 0);
}

/* The target of the migration: the only allocated page that belongs to no object. */
static pfn_t target_of(struct memory *mem)
{
	const struct zone *zone = &mem->zones[ZONE_MOVABLE];
	pfn_t pfn, found = PFN_NONE;

	for (pfn = zone->start_pfn; pfn < zone->end_pfn; pfn++)
		if (page_word(pfn_to_page_in(mem, pfn)) == PAGE_WORD(1, PG_ALLOC, 0))
			found = pfn;
	return found;
}

KTEST(target_that_breaks_during_the_copy_is_retired)
{
	struct failure f;
	struct stage st;
	pfn_t dst;

	if (!stage_begin(t, &st, "mig.copied"))
		return;
	dst = target_of(st.s.mem);
	if (dst != PFN_NONE) {
		start_failure(&st, &f, dst, false);
		join_failure(&f);
	}
	race_migrate_end(t, &st.r, 1);
	REQUIRE(t, dst != PFN_NONE);
	EXPECT_EQ(t, f.err, -EBUSY);
	EXPECT_EQ(t, f.res.outcome, POISON_IGNORED);
	/* The source stays in its slot, and the target is retired. */
	EXPECT(t, page_in(st.s.object, 1) == st.r.page);
	EXPECT(t, is_retired(st.s.mem, dst));
	expect_poisoned(t, st.s.mem, 1);
	expect_content(&st);
	EXPECT_EQ(t, mem_unpoison_page(st.s.mem, dst), 0);
	stage_end(&st, -EAGAIN);
}

/* ---- waiters ---- */

#define PATIENCE_NS 200000000ULL
#define BLOCKS      8u

struct spinner {
	const u32 *stop; /* atomic */
	u64 ns;
	u32 spins; /* atomic */
	bool gave_up;
};

/* Occupy this CPU: it serves interrupts, but runs no other thread. */
static void spin(void *arg)
{
	struct spinner *s = arg;
	u64 end = arch_clock_ns() + s->ns;

	preempt_disable();
	store_release(&s->spins, 1u);
	while (!load_acquire(s->stop) && arch_clock_ns() < end)
		cpu_relax();
	s->gave_up = !load_acquire(s->stop);
	preempt_enable();
}

/* The wait ends even if a CPU lets no thread have its turn. */
KTEST(wait_for_the_holder_of_a_page_is_bounded)
{
	u32 stop = 0;
	struct spinner s = {.stop = &stop, .ns = 20000000000ULL};
	struct poison_result res;
	struct waits before;
	struct vm_scene v;
	struct page *page;
	u64 began;
	pfn_t pfn;

	if (!ktest_needs_cpus(t, 2) || !scene_begin_filled(t, &v, 3))
		return;
	page = page_in(v.object, 1);
	pfn = page_to_pfn_in(v.mem, page);
	EXPECT_EQ(t, isolate_lru_page(v.mem, pfn), 0);
	ktest_start(1, spin, &s);
	EXPECT(t, SPIN_UNTIL(load_acquire(&s.spins)));
	before = set_patience(patience_turns, 2 * PATIENCE_NS);
	EXPECT(t, before.ns <= s.ns / 2);
	began = arch_clock_ns();
	EXPECT_EQ(t, mem_memory_failure(v.mem, pfn, 0, &res), -EBUSY);
	EXPECT(t, arch_clock_ns() - began >= PATIENCE_NS);
	set_patience(before.turns, before.ns);
	EXPECT_EQ(t, res.outcome, POISON_IGNORED);
	store_release(&stop, 1u);
	ktest_join(1);
	EXPECT(t, !s.gave_up);
	putback_lru_page(v.mem, page);
	/* After the object has the page back, the page can be retired. */
	EXPECT_EQ(t, mem_memory_failure(v.mem, pfn, 0, &res), 0);
	EXPECT(t, is_retired(v.mem, pfn));
	expect_poisoned(t, v.mem, 1);
	EXPECT_EQ(t, mem_unpoison_page(v.mem, pfn), 0);
	scene_end(t, &v);
}

/*
 * A migrator never returns the page. The soft offline fails, but not before it has waited for
 * PATIENCE_NS, and each thread has had its turns, of which a wait counts one at most.
 */
KTEST_COST(page_under_migration_is_waited_for, KTEST_SLOW)
{
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);
	struct waits before;
	struct page *page = NEED(t, mov_begin_one(t, mem));
	u64 began;

	/* The turns alone decide, however long they take here. */
	before = set_patience(patience_turns, WAIT_FOREVER);
	EXPECT_EQ(t, isolate_movable_page(mem, page_to_pfn_in(mem, page)), 0);
	began = arch_clock_ns();
	EXPECT_EQ(t, mem_soft_offline_page(mem, page_to_pfn_in(mem, page)), -EBUSY);
	set_patience(before.turns, before.ns);
	EXPECT(t, arch_clock_ns() - began >= PATIENCE_NS);
	EXPECT(t, mm_event_sum(mem, EV_POISON_WAIT) >= patience_turns);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(2, PG_ISO_MIG, 0));
	putback_movable_page(mem, page);
	mov_end(t);
}

KTEST_COST(migrations_of_a_soft_offline_are_bounded)
{
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);
	struct page *page = NEED(t, mov_begin_one(t, mem));
	pfn_t pfn = page_to_pfn_in(mem, page);

	mov.busy = MIGRATE_PASSES;
	EXPECT_EQ(t, mem_soft_offline_page(mem, pfn), -EBUSY);
	EXPECT_EQ(t, mov.busy, 0);
	EXPECT_EQ(t, mov.moved, 0);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
	EXPECT_EQ(t, mem_poisoned(mem).retired, 0);
	mov.busy = MIGRATE_PASSES - 1;
	EXPECT_EQ(t, mem_soft_offline_page(mem, pfn), 0);
	EXPECT_EQ(t, mov.moved, 1);
	EXPECT_EQ(t, mem_poisoned(mem).retired, 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_POISON_WAIT), 0);
	EXPECT_EQ(t, mem_unpoison_page(mem, pfn), 0);
	mov_end(t);
}

/* ---- under load ---- */

#define LOAD_PAGES 40
#define HITS       60

static struct {
	struct vm_scene s;
	u32 stop;  /* atomic */
	u32 wrong; /* atomic: wrong content, or another error than "lost" */
	u32 lost;  /* atomic */
} load;

/* Read and write random pages: each must hold its number, or be lost. */
static void use_pages(void *arg)
{
	u64 rand = (uintptr_t)arg * 0x9e3779b97f4a7c15ULL | 1;

	soft_load_space(load.s.space);
	while (!load_acquire(&load.stop)) {
		unsigned i = (unsigned)(ktest_rand(&rand) % LOAD_PAGES);
		u64 value = 0;
		int err = soft_read(page_at(i), &value);

		if (!err && value == i + 1 && ktest_rand(&rand) % 4 == 0)
			err = soft_write(page_at(i), i + 1);
		if (err == -EHWPOISON)
			counter_add(&load.lost, 1u);
		else if (err || value != i + 1)
			counter_add(&load.wrong, 1u);
		thread_yield();
	}
	soft_unload_space();
}

/* The page that is in slot @i now. */
static pfn_t pfn_of(unsigned i)
{
	struct page *page = page_in(load.s.object, i);

	return page ? page_to_pfn_in(load.s.mem, page) : PFN_NONE;
}

KTEST_CONTRACT(pages_break_while_all_cpus_use_them)
{
	unsigned cpu, i, hard = 0;
	u64 rand = t->seed | 1;
	pfn_t pfn;

	if (!scene_begin(t, &load.s, LOAD_PAGES))
		return;
	load.stop = load.wrong = load.lost = 0;
	soft_load_space(load.s.space);
	for (i = 0; i < LOAD_PAGES; i++)
		EXPECT_EQ(t, soft_write(page_at(i), i + 1), 0);
	soft_unload_space();
	for (cpu = 1; cpu < ktest_cpus(); cpu++)
		ktest_start(cpu, use_pages, (void *)(uintptr_t)cpu);
	for (i = 0; i < HITS; i++) {
		struct poison_result res = {.lost = false};
		int err;

		pfn = pfn_of((unsigned)(ktest_rand(&rand) % LOAD_PAGES));
		if (pfn == PFN_NONE)
			continue;
		/* A failure loses a few of the pages; a soft offline moves most of them. */
		if (ktest_rand(&rand) % 8 == 0)
			err = mem_memory_failure(load.s.mem, pfn, 0, &res);
		else
			err = mem_soft_offline_page(load.s.mem, pfn);
		hard += res.lost;
		EXPECT(t, err == 0 || err == -EBUSY);
	}
	store_release(&load.stop, 1u);
	join_from(1);
	EXPECT_EQ(t, load.wrong, 0);
	EXPECT_EQ(t, vm_object_present(load.s.object), LOAD_PAGES - hard);
	EXPECT_EQ(t, nr_poisoned(load.s.mem), nr_flagged(load.s.mem));
	EXPECT_EQ(t, mem_poisoned(load.s.mem).doomed, 0);
	expect_sound(t, load.s.mem);
	while ((pfn = mem_poisoned_next(load.s.mem, 0)) != PFN_NONE)
		EXPECT_EQ(t, mem_unpoison_page(load.s.mem, pfn), 0);
	scene_end(t, &load.s);
}

/* ---- removals ---- */

#define TAKEN 1000

static void remove_often(void *arg)
{
	unsigned turn;

	for (turn = 0; !load_acquire(&load.stop); turn++) {
		EXPECT_EQ((struct ktest *)arg, vm_object_remove(load.s.object, 0, 1), 0);
		/* Let the next CPU run, if one thread of the host runs all CPUs. */
		if (turn % 16 == 0)
			cpu_relax();
	}
}

/* A removal is counted as under way by the object, and later counted out without its lock. */
KTEST(removals_are_counted_in_and_out)
{
	struct poison_result res;
	unsigned i;
	pfn_t pfn;

	if (!ktest_needs_cpus(t, 2) || !scene_begin(t, &load.s, 2))
		return;
	load.stop = 0;
	ktest_start(1, remove_often, t);
	for (i = 0; i < TAKEN; i++) {
		EXPECT_EQ(t, vm_fault(load.s.space, page_at(1), VM_WRITE), 0);
		pfn = pfn_of(1);
		EXPECT_EQ(t, mem_memory_failure(load.s.mem, pfn, 0, &res), 0);
		EXPECT_EQ(t, vm_object_remove(load.s.object, 1, 1), 0);
		EXPECT_EQ(t, mem_unpoison_page(load.s.mem, pfn), 0);
	}
	store_release(&load.stop, 1u);
	ktest_join(1);
	EXPECT_EQ(t, READ_ONCE(load.s.object->unflushed), 0);
	scene_end(t, &load.s);
}
