/* SPDX-License-Identifier: MIT */
/*
 * pressure.c: every CPU allocates until no memory is left; prints the cost, and the pages that
 * drains missed.
 *
 * Four threads on each CPU grow and shrink in phases, each phase with one type of page, so that
 * caches hold pages of other types.  On every fourth CPU, a quiet one, the threads stop early, and
 * the CPU's caches keep their pages.  On other CPUs a thread that failed to get a page frees some
 * blocks and continues; after TRIES failures it stops, and keeps its blocks.
 *
 * Owns:       the single run, and the blocks that its threads hold: a list for each thread, linked
 *             through the blocks' first words.
 * Locks:      none: a list belongs to its thread, and to the caller once all threads have stopped.
 * Invariants: at the end every page is free again, and check_memory finds nothing.
 * Tests:      tests/qemu/test_pressure.py; docs/races/pressure.md has the figures.
 */
#include "tests/soak/soaks.h"

#include <quarry/machine.h>
#include <quarry/smp.h>

#include <quarry/ktest.h>

#define THREADS_PER_CPU 4
#define QUIET_CPU       4   /* one CPU in QUIET_CPU is quiet */
#define QUIET_PHASES    16  /* phases of a quiet CPU's threads */
#define TRIES           16  /* failures until a thread stops */
#define GIVE_BACK       32  /* blocks freed after a failure, at most */
#define PHASE_OPS       128 /* operations of a phase, at most */
#define YIELD_OPS       16
#define U(x)            ((unsigned long long)(x))

/* Memory left when a request failed. */
struct left {
	/* free pages above the request's watermark; cached pages are not included */
	unsigned long free;
	unsigned long cached; /* in caches of the zones that the request may use */
	/* at least so many of these pages were cached during the whole request */
	unsigned long stale;
	unsigned most; /* the most pages that one refill may push, with the present limits */
};

struct presser {
	struct thread *thread;
	struct page *held; /* list of blocks, newest first */
	u64 rand;
	unsigned refusals;
	bool quiet;
};

static struct {
	struct presser *threads;
	unsigned nr;
	u32 go;    /* atomic: 1 run, 2 end at once */
	u32 quiet; /* atomic: threads of quiet CPUs that have not stopped */
	u32 left;  /* atomic: threads that have not stopped */
	/* atomic: allocated blocks; failed requests for one page; for more pages */
	u64 allocs, failed, high_failed;
	u64 taken;     /* atomic: allocated pages, counted after the allocation */
	u64 freeing;   /* atomic: freed pages, counted before the free */
	u64 freed;     /* atomic: freed pages, counted after the free */
	u64 peak_ipis; /* atomic: the most IPIs of the whole machine during one failed request */
	u64 stale;     /* atomic: the largest left.stale of a failed request */
	struct left first_left; /* at the first failed request for one page */
	u64 first_allocs, first_held;
} run;
static struct waitq turn = WAITQ("pressure");

/* Counts before a run. */
struct before {
	struct smp_stats smp;
	u64 waits; /* waits of allocations for a drain */
};

/* The memory left in the zones that a request with @gfp may use. */
static struct left left_for(gfp_t gfp)
{
	enum zone_kind kind = gfp & GFP_MOVABLE ? ZONE_MOVABLE : ZONE_NORMAL;
	struct left left = {.free = memory_spare_pages(&kernel_memory, gfp), .most = PCP_BATCH};
	unsigned i;

	for (i = 0; i < kernel_memory.nr_nodes * NR_ZONE_KINDS; i++) {
		const struct zone *zone = &kernel_memory.zones[i];
		unsigned capacity = READ_ONCE(zone->pcp_capacity[0][MT_MOVABLE]);

		if (zone->kind > kind || zone->end_pfn == zone->start_pfn)
			continue;
		left.cached += zone_pcp_pages(zone);
		if (capacity > PCP_ENOUGH)
			left.most = MAX(left.most, capacity / 2);
	}
	return left;
}

static void raise_to(u64 *max, u64 value)
{
	u64 old;

	do
		old = READ_ONCE(*max);
	while (old < value && !atomic_cas(max, old, value));
}

static void give_one(struct presser *t)
{
	struct page *page = t->held;
	unsigned order = word_order(page_word(page));

	t->held = *(struct page **)page_address(page);
	atomic_add(&run.freeing, 1UL << order);
	/* free_pages reports a free that it refuses, and its pages are missing at the end. */
	free_pages(page, order);
	atomic_add(&run.freed, 1UL << order);
}

/*
 * A request for one page failed.  How many of the cached pages were cached before it began?  A page
 * enters a cache by a free or by a refill.  A free that pushed since then is counted in run.freeing
 * now, and was not in @freed.  A refill pushes fewer than left.most pages.  It is counted in the
 * interrupt-off section that pushes, so each CPU may have one uncounted refill.  Cached pages
 * beyond these were cached during the whole request.
 */
static void refused(gfp_t gfp, u64 freed, u64 refills, u64 ipis)
{
	struct left left;
	u64 came;

	preempt_disable(); /* no other thread of this CPU may run before the counters are read */
	left = left_for(gfp);
	full_barrier();
	came = READ_ONCE(run.freeing) - freed +
	    (mm_event_sum(&kernel_memory, EV_PCP_REFILL) - refills + nr_cpus) * (left.most - 1);
	left.stale = left.cached > came ? left.cached - came : 0;
	raise_to(&run.stale, left.stale);
	raise_to(&run.peak_ipis, READ_ONCE(smp_stats.ipis) - ipis);
	if (atomic_add(&run.failed, 1) == 0) {
		run.first_left = left;
		run.first_allocs = READ_ONCE(run.allocs);
		run.first_held = READ_ONCE(run.taken) - READ_ONCE(run.freed);
	}
	preempt_enable();
}

/* Allocate a block; 15 of 16 blocks have one page.  False: not even one page was left. */
static bool take_one(struct presser *t, gfp_t gfp)
{
	u64 freed = load_acquire(&run.freed), refills = mm_event_sum(&kernel_memory, EV_PCP_REFILL);
	u64 ipis = READ_ONCE(smp_stats.ipis), r = ktest_rand(&t->rand);
	unsigned order = r % 16 ? 0 : 1 + (unsigned)(r >> 8) % 3;
	/* No compaction: the test is about drains. */
	struct page *page = alloc_pages(gfp | GFP_NORETRY, order);

	if (page) {
		*(struct page **)page_address(page) = t->held;
		t->held = page;
		atomic_add(&run.allocs, 1);
		atomic_add(&run.taken, 1UL << order);
	} else if (order > 0) {
		atomic_add(&run.high_failed, 1);
	} else {
		t->refusals++;
		refused(gfp, freed, refills, ipis);
	}
	return page || order > 0;
}

/* Three of four phases allocate, the others free.  A failed request for one page ends a phase. */
static void one_phase(struct presser *t)
{
	static const gfp_t types[] = {GFP_UNMOVABLE, GFP_MOVABLE, GFP_RECLAIMABLE};
	u64 r = ktest_rand(&t->rand);
	unsigned ops = 1 + (unsigned)(r % PHASE_OPS), back = 1 + (unsigned)(r >> 8) % GIVE_BACK;
	gfp_t gfp = types[(r >> 16) % ARRAY_SIZE(types)];
	bool grows = (r >> 32) % 4, full = false;

	for (; ops > 0 && !full; ops--) {
		if (grows)
			full = !take_one(t, gfp);
		else if (t->held)
			give_one(t);
		if (ops % YIELD_OPS == 0)
			thread_yield();
	}
	for (; full && t->refusals < TRIES && back > 0 && t->held; back--)
		give_one(t);
}

static bool my_turn(void *arg)
{
	u32 go = load_acquire(&run.go);

	return go == 2 || (go && (((struct presser *)arg)->quiet || load_acquire(&run.quiet) == 0));
}

static bool all_stopped(void *arg)
{
	return load_acquire(&run.left) == 0;
}

static void presser_main(void *arg)
{
	struct presser *t = arg;
	unsigned phases = t->quiet ? QUIET_PHASES : ~0u;

	wait_until(&turn, my_turn, t, WAIT_FOREVER);
	for (; run.go == 1 && phases > 0 && t->refusals < TRIES; phases--)
		one_phase(t);
	atomic_sub(&run.quiet, (u32)t->quiet);
	atomic_sub(&run.left, 1u);
	wake_up(&turn);
}

/* ---- a run ---- */

static void join_all(void)
{
	while (run.nr > 0)
		thread_join(run.threads[--run.nr].thread);
	kfree(run.threads);
}

/* Start all threads, which wait for run.go; false: some could not be started. */
static bool prepare(u64 seed)
{
	unsigned nr = nr_boot_cpus * THREADS_PER_CPU;

	memset(&run, 0, sizeof(run));
	run.left = nr;
	run.quiet = nr_boot_cpus / QUIET_CPU * THREADS_PER_CPU;
	run.threads = kmalloc(nr * sizeof(struct presser));
	for (; run.threads && run.nr < nr; run.nr++) {
		struct presser *t = &run.threads[run.nr];

		t->quiet = run.nr % nr_boot_cpus % QUIET_CPU == QUIET_CPU - 1;
		/* Never 0, and different for each thread and each seed below 2^48. */
		t->rand = ((seed << 16) + run.nr + 1) * 0x9e3779b97f4a7c15ULL;
		t->thread = thread_start("pressure", (int)(run.nr % nr_boot_cpus), presser_main, t);
		if (!t->thread)
			return false;
	}
	return run.nr == nr;
}

static bool wrong(u64 seed, const char *what, u64 have)
{
	if (have)
		printk("pressure: seed %llu: FAIL: %s: %llu\n", U(seed), what, U(have));
	return have != 0;
}

/* All threads have stopped: print the figures, and the failures. */
static bool report_pressure(u64 seed, const struct before *before)
{
	const struct smp_stats *old = &before->smp, new = smp_stats;
	struct left last = left_for(GFP_MOVABLE);
	bool bad;

	printk(
	    "pressure: seed=%llu cpus=%u threads=%u pages=%lu allocs=%llu failed=%llu "
	    "high_failed=%llu "
	    "waits=%llu calls=%llu from_alloc=%llu ipis=%llu peak_ipis=%llu kicks=%llu stale=%llu "
	    "first_allocs=%llu first_held=%llu first_free=%lu first_cached=%lu first_stale=%lu "
	    "last_held=%llu last_free=%lu last_cached=%lu\n",
	    U(seed), nr_boot_cpus, run.nr, memory_managed_pages(&kernel_memory), U(run.allocs),
	    U(run.failed), U(run.high_failed),
	    U(mm_event_sum(&kernel_memory, EV_ALLOC_DRAIN_WAIT) - before->waits),
	    U(new.calls - old->calls), U(new.from_alloc - old->from_alloc), U(new.ipis - old->ipis),
	    U(run.peak_ipis), U(new.kicks - old->kicks), U(run.stale), U(run.first_allocs),
	    U(run.first_held), run.first_left.free, run.first_left.cached, run.first_left.stale,
	    U(run.taken - run.freed), last.free, last.cached);
	bad = wrong(seed, "cross-calls made by allocations", new.from_alloc - old->from_alloc);
	bad |= wrong(seed, "pages lay in caches all the while a request failed", run.stale);
	return wrong(seed, "pages still in caches when all had failed", last.cached) || bad;
}

static bool one_seed(u64 seed)
{
	struct mm_violation v;
	struct before before;
	unsigned long free;
	unsigned i;
	bool bad;

	if (!prepare(seed)) {
		store_release(&run.go, 2u);
		wake_up(&turn);
		join_all();
		printk("pressure: FAIL: no memory for the threads, or a CPU is not online\n");
		return false;
	}
	drain_all_pages(&kernel_memory, NULL);
	free = memory_free_pages(&kernel_memory);
	before = (struct before){
	    .smp = smp_stats, .waits = mm_event_sum(&kernel_memory, EV_ALLOC_DRAIN_WAIT)};
	store_release(&run.go, 1u);
	wake_up(&turn);
	wait_until(&turn, all_stopped, NULL, WAIT_FOREVER);
	bad = report_pressure(seed, &before);
	for (i = 0; i < run.nr; i++)
		while (run.threads[i].held)
			give_one(&run.threads[i]);
	bad |= wrong(seed, "pages lost", free - memory_free_pages(&kernel_memory));
	if (check_memory(&kernel_memory, &v)) {
		printk("pressure: seed %llu: FAIL: %s at %#lx\n", U(seed), v.what, v.pfn);
		bad = true;
	}
	join_all();
	return !bad;
}

int pressure_run(u64 first, u64 last)
{
	bool good = true;

	do
		good &= one_seed(first);
	while (first++ != last);
	return good ? 0 : -EIO;
}
