/* SPDX-License-Identifier: MIT */
/*
 * ktest.c: runs the suites, in the kernel and in the hosted program alike; output is KTAP version
 * 1.
 *
 * Owns:       the run's state; the arena in which private memories are built, one at a time; and
 *             the range that a backed memory has borrowed from the kernel's memory.
 * Locks:      none: one thread runs the tests; other threads may call only ktest_fail.
 * Invariants: a test starts with a zeroed arena, and leaves no thread running.
 */
#include "tests/lib/ktest_select.h"
#include "tests/lib/ktest_text.h"
#include "tests/lib/wait_help.h"
#include <quarry/account.h>
#include <quarry/console.h>
#include <quarry/errno.h>
#include <quarry/ktest_stop.h>
#include <quarry/memory_hotplug.h>
#include <quarry/memory_init.h>
#include <quarry/plural.h>
#include <quarry/string.h>

#define MAX_TEST_CPUS 8
#define MAX_BLOCKS    (PAGEBLOCK_ORDER >= 9 ? 72 : 256)
#define ARENA_SIZE    (15UL << 17)
#define ENOUGH        10 /* rounds of turns of all threads; then missing memory is a leak */
BUILD_ASSERT(MAX_BLOCKS *(PAGEBLOCK_PAGES * sizeof(struct page) + sizeof(struct pageblock) +
                 sizeof(struct pageblock_tree)) < ARENA_SIZE - (512UL << 10));

static char arena[ARENA_SIZE] __attribute__((aligned(4096)));
static size_t arena_used;
static pfn_t borrowed_start;      /* a backed memory's range, offline in the kernel's memory */
static unsigned long borrowed_nr; /* its pages; 0: no range is borrowed */
static struct thread *running[MAX_TEST_CPUS];
static struct ktest *test_now;
static const char *skip_reason;
void (*ktest_hook)(const char *suite, const struct ktest *t, bool begins);
void (*ktest_failed)(const char *suite, const struct ktest *t);
bool ktest_stop;
bool ktest_short;
u64 (*ktest_clock)(void);
static bool short_now; /* this run is short */
/* say() prints in a short run too, unless the console hides everything, as on the live screen. */
static void (*say)(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The counts of one suite, or of the whole run. */
struct tally {
	unsigned tests, failed, skipped;
	u64 began; /* time of the start, by ktest_clock */
};

static void *arena_alloc(void *arg, size_t bytes)
{
	void *ptr = arena + arena_used;

	if (bytes > ARENA_SIZE - arena_used)
		return NULL;
	arena_used += ALIGN_UP(bytes, 64);
	return ptr;
}

static void arena_reset(void)
{
	memset(arena, 0, arena_used);
	arena_used = 0;
}

static unsigned cpu_limit = MAX_TEST_CPUS;

void ktest_limit_cpus(unsigned nr)
{
	cpu_limit = nr;
}

unsigned ktest_cpus(void)
{
	return MIN(MIN(nr_cpus, cpu_limit), (unsigned)MAX_TEST_CPUS);
}

void ktest_skip(struct ktest *t, const char *why)
{
	t->skipped = true;
	skip_reason = why;
}

bool ktest_needs_cpus(struct ktest *t, unsigned nr)
{
	static char why[32];

	if (ktest_cpus() >= nr)
		return true;
	ksnprintf(why, sizeof(why), "needs %u CPUs", nr);
	ktest_skip(t, why);
	return false;
}

int ktest_start_memory(struct memory *mem)
{
	int err = memory_start(mem);

	if (err)
		memory_stop(mem);
	return err;
}

/* Build @mem: zones in a row from @start on, all pages free. Returns 0 or mm/'s error. */
static int build(struct memory *mem, const unsigned blocks[NR_ZONE_KINDS], pfn_t start,
    unsigned long nr, bool backed)
{
	char *memmap = arena_alloc(NULL, nr * sizeof(struct page));
	char *pageblocks = arena_alloc(NULL, nr / PAGEBLOCK_PAGES * sizeof(struct pageblock));
	char *trees = arena_alloc(NULL, nr / PAGEBLOCK_PAGES * sizeof(struct pageblock_tree));
	struct memory_config cfg = {
	    .name = "test",
	    /* The arrays are addressed from pfn 0, whose entry may lie outside them. */
	    .memmap = (struct page *)((uintptr_t)memmap - start * sizeof(struct page)),
	    .pageblocks = (struct pageblock *)((uintptr_t)pageblocks -
	        start / PAGEBLOCK_PAGES * sizeof(struct pageblock)),
	    .trees = (struct pageblock_tree *)((uintptr_t)trees -
	        start / PAGEBLOCK_PAGES * sizeof(struct pageblock_tree)),
	    .start_pfn = start,
	    .end_pfn = start + nr,
	    .nr_cpus = ktest_cpus(),
	    /* The memory's threads free pages, so they run on CPUs for which it has caches. */
	    .thread_cpus = ktest_cpus() < nr_cpus ? ktest_cpus() : 0,
	    .nr_nodes = 1,
	    .backed = backed,
	    .reclaim = &memory_reclaim,
	    .alloc = arena_alloc,
	};
	int err = memmap && pageblocks ? memory_init(mem, &cfg) : -ENOMEM, kind;
	pfn_t next;

	for (kind = 0; kind < NR_ZONE_KINDS && !err; kind++, start = next) {
		next = start + blocks[kind] * PAGEBLOCK_PAGES;
		if (next == start)
			continue;
		err = memory_add_zone(mem, 0, (enum zone_kind)kind, start, next);
		if (!err) {
			memory_add_ram(mem, start, next);
			memory_free_range(mem, start, next);
		}
	}
	err = err ? err : memory_ready(mem);
	return err ? err : ktest_start_memory(mem);
}

static struct memory *new_memory(
    struct ktest *t, const unsigned blocks[NR_ZONE_KINDS], pfn_t start, bool backed)
{
	unsigned nr = blocks[0] + blocks[1] + blocks[2];
	struct memory *mem;
	int err;

	KASSERT(!t->mem);
	mem = nr && nr <= MAX_BLOCKS ? arena_alloc(NULL, sizeof(*mem)) : NULL;
	err = mem ? build(mem, blocks, start, nr * PAGEBLOCK_PAGES, backed) : -EINVAL;
	if (err) {
		ktest_fail(t, __FILE__, __LINE__, "no memory of %u pageblocks: error %d", nr, err);
		return NULL;
	}
	t->mem = mem;
	return mem;
}

struct memory *ktest_memory(struct ktest *t, unsigned dma32, unsigned normal, unsigned movable)
{
	const unsigned blocks[NR_ZONE_KINDS] = {dma32, normal, movable};

	return new_memory(t, blocks, 0, false);
}

pfn_t ktest_borrow(struct ktest *t, unsigned long nr)
{
	unsigned long got;
	pfn_t start = offline_candidate(&kernel_memory, nr, &got);
	bool there = start != PFN_NONE && got >= nr;
	int err = there ? offline_pages(&kernel_memory, start, nr, NULL, NULL) : 0;

	if (!there)
		ktest_skip(t, "the kernel has no range to lend");
	if (err)
		ktest_fail(t, __FILE__, __LINE__, "no range borrowed: error %d", err);
	borrowed_start = start;
	borrowed_nr = there && !err ? nr : 0;
	return borrowed_nr ? start : PFN_NONE;
}

/* The test may use the bytes of the borrowed range; the descriptors are its own. */
struct memory *ktest_backed_memory(struct ktest *t, unsigned normal, unsigned movable)
{
	const unsigned blocks[NR_ZONE_KINDS] = {0, normal, movable};
	pfn_t start = ktest_borrow(t, (normal + movable) * PAGEBLOCK_PAGES);

	return start == PFN_NONE ? NULL : new_memory(t, blocks, start, true);
}

static void give_back(struct ktest *t)
{
	int err = borrowed_nr ? online_pages(&kernel_memory, borrowed_start, borrowed_nr, NULL) : 0;

	if (err)
		ktest_fail(t, __FILE__, __LINE__, "the borrowed range is lost: error %d", err);
	borrowed_nr = 0;
}

void ktest_start(unsigned cpu, void (*fn)(void *), void *arg)
{
	KASSERT(cpu < ktest_cpus());
	KASSERT(!running[cpu]);
	running[cpu] = thread_start("ktest", (int)cpu, fn, arg);
	if (!running[cpu])
		panic("ktest: no thread for CPU %u", cpu);
}

void ktest_join(unsigned cpu)
{
	KASSERT(cpu < ktest_cpus());
	if (!running[cpu]) {
		ktest_fail(test_now, __FILE__, __LINE__, "nothing was started on CPU %u", cpu);
		return;
	}
	thread_join(running[cpu]);
	running[cpu] = NULL;
}

void ktest_on_cpu(unsigned cpu, void (*fn)(void *), void *arg)
{
	ktest_start(cpu, fn, arg);
	ktest_join(cpu);
}

/* FNV-1a, with a separator at the end so that "a","bc" differs from "ab","c". */
static u64 hash_name(u64 hash, const char *name)
{
	for (; *name; name++)
		hash = (hash ^ (u8)*name) * 0x100000001b3ULL;
	return (hash ^ 0xff) * 0x100000001b3ULL;
}

/*
 * The seed of a test depends only on the run's seed and the names, not on the other selected tests.
 */
static u64 test_seed(u64 seed, const char *suite, const char *test)
{
	u64 hash = hash_name(hash_name(0xcbf29ce484222325ULL ^ seed, suite), test);

	return hash ? hash : 1;
}

static bool check_whole(struct memory *mem, const char *indent)
{
	struct mm_violation v = {.what = NULL};
	int err = check_memory(mem, &v);

	if (err)
		printk("%s# check_memory(%s): %s: pfn %#lx, have %ld, want %ld (%d)\n", indent,
		    mem->name, v.what ? v.what : "?", v.pfn, (long)v.have, (long)v.want, err);
	return err == 0;
}

/* Are threads or tasks still ending? They are counted until all their memory is freed. */
static bool some_end(const struct counts *before, const struct counts *now)
{
	return now->kind[ACCOUNT_THREADS] > before->kind[ACCOUNT_THREADS] ||
	    now->kind[ACCOUNT_TASKS] > before->kind[ACCOUNT_TASKS];
}

/*
 * A test that passes has given back everything that the kernel allocated for it. Threads that it
 * started may still be exiting: they get enough turns and time to be freed. If none is exiting,
 * memory still missing comes back within a few turns of the other threads, or never.
 */
static void check_counts(struct ktest *t, const struct counts *before)
{
	u64 since = arch_clock_ns(), had = 0, has = 0;
	const char *what = NULL;
	struct wait_limit limit = {0};
	unsigned rounds = 0;
	struct counts after;

	while (wait_goes_on(&limit)) {
		counts_read(&after);
		what = counts_differ(before, &after, &had, &has);
		if (!what || t->failures)
			return;
		if (threads_had_turn(since)) {
			rounds++;
			since = arch_clock_ns();
		}
		if (limit.turns >= RACE_TURNS && rounds >= ENOUGH && !some_end(before, &after))
			break;
		thread_yield();
	}
	ktest_fail(t, __FILE__, __LINE__, "%s: %llu before the test, %llu after it", what,
	    (unsigned long long)had, (unsigned long long)has);
}

static u64 now(void)
{
	return ktest_clock ? ktest_clock() : 0;
}

/* Write @before and the time since @began to @buf; without a clock, nothing. */
static const char *took(char (*buf)[32], const char *before, u64 began)
{
	(*buf)[0] = '\0';
	if (ktest_clock)
		ksnprintf(*buf, sizeof(*buf), "%s%llu ms", before,
		    (unsigned long long)(now() - began) / 1000000);
	return *buf;
}

static void show_failure(void)
{
	if (short_now)
		console_show_marked();
}

static void report_test(const struct ktest *t, const char *suite, unsigned nr, u64 seed, u64 began)
{
	char ms[32];

	/* One call prints a whole line, because other threads print too. */
	if (t->failures) {
		printk("  # seed %#llx; run again: selftest=%s.%s seed=%#llx\n",
		    (unsigned long long)t->seed, suite, t->name, (unsigned long long)seed);
		printk("  not ok %u %s%s\n", nr, t->name, took(&ms, " # ", began));
		show_failure();
	} else if (t->skipped) {
		printk("  ok %u %s # SKIP %s\n", nr, t->name, skip_reason);
	} else {
		printk("  ok %u %s%s\n", nr, t->name, took(&ms, " # ", began));
	}
}

/* Run test @i of @s, which is the @nr-th selected test of this suite. */
static void run_test(
    const struct ktest_suite *s, unsigned i, unsigned nr, u64 seed, struct tally *tally)
{
	struct ktest t = {.name = s->cases[i].name};
	struct counts before;
	u64 began = now(), text;
	unsigned cpu;

	test_now = &t;
	t.seed = test_seed(seed, s->name, t.name);
	console_mark();
	/* After a crash or a hang, this is the last line about the test. */
	printk("  # begin %s.%s\n", s->name, t.name);
	text = log_position();
	counts_read(&before);
	if (ktest_hook)
		ktest_hook(s->name, &t, true);
	s->cases[i].fn(&t);
	for (cpu = 0; cpu < ktest_cpus(); cpu++) {
		if (running[cpu]) {
			ktest_fail(&t, __FILE__, __LINE__, "left a thread on CPU %u", cpu);
			ktest_join(cpu);
		}
	}
	if (ktest_hook)
		ktest_hook(s->name, &t, false);
	if (t.mem) {
		if (!check_whole(t.mem, "  "))
			t.failures++;
		memory_stop(t.mem);
	}
	give_back(&t);
	arena_reset();
	check_counts(&t, &before);
	ktest_check_text(&t, &s->cases[i], text);
	report_test(&t, s->name, nr, seed, began);
	if (t.failures && ktest_failed)
		ktest_failed(s->name, &t);
	tally->failed += t.failures != 0;
	tally->skipped += t.skipped && !t.failures;
}

static unsigned nr_selected(const struct ktest_suite *s, const char *which)
{
	unsigned i, nr = 0;

	for (i = 0; i < s->nr_cases; i++)
		nr += ktest_selected(s, i, which);
	return nr;
}

/*
 * Print the suite's line of KTAP. With a clock, a comment in it tells readers the counts and the
 * time.
 */
static void report_suite(const char *name, unsigned nr, const struct tally *tally)
{
	char line[64], ms[32];

	ksnprintf(line, sizeof(line), "%s %u %s", tally->failed ? "not ok" : "ok", nr, name);
	if (!ktest_clock) {
		say("%s", line);
	} else {
		say("%-30s # %u test%s", line, tally->tests, plural(tally->tests));
		if (tally->failed)
			say(", %u failed", tally->failed);
		if (tally->skipped)
			say(", %u skipped", tally->skipped);
	}
	say("%s\n", took(&ms, ", ", tally->began));
}

static void run_suite(
    const struct ktest_suite *s, const char *which, unsigned nr, u64 seed, struct tally *all)
{
	struct tally tally = {.began = now(), .tests = nr_selected(s, which)};
	unsigned i, n = 0;

	printk("  KTAP version 1\n  1..%u\n", tally.tests);
	for (i = 0; i < s->nr_cases && !ktest_stop; i++)
		if (ktest_selected(s, i, which))
			run_test(s, i, ++n, seed, &tally);
	tally.tests = n;
	console_mark();
	if (!check_whole(&kernel_memory, "")) {
		tally.failed++;
		show_failure();
	}
	report_suite(s->name, nr, &tally);
	all->tests += tally.tests;
	all->failed += tally.failed;
	all->skipped += tally.skipped;
}

/* Tell a newcomer that the quick set is not all tests. */
static void report_left_out(unsigned tests)
{
	struct ktest_suite s = {.name = NULL};
	unsigned all = 0;

	while (ktest_next_suite(&s))
		all += nr_selected(&s, "all");
	say("# selftest=quick left out %u of %u tests; selftest=all runs them too\n", all - tests,
	    all);
}

int ktest_run(const char *which, u64 seed)
{
	struct tally all = {.began = now()};
	struct ktest_suite s = {.name = NULL};
	unsigned nr = 0;
	char ms[32];

	if (ktest_check_names(which))
		return -EINVAL;
	short_now = ktest_short && !console_hidden();
	say = short_now ? console_say : printk;
	if (short_now)
		console_hide();
	while (ktest_next_suite(&s))
		nr += nr_selected(&s, which) > 0;
	printk("KTAP version 1\n1..%u\n", nr);
	nr = 0;
	s.cases = NULL;
	while (!ktest_stop && ktest_next_suite(&s))
		if (nr_selected(&s, which))
			run_suite(&s, which, ++nr, seed, &all);
	say("# selftest: %u suite%s, %u test%s, %u failed (seed %#llx)", nr, plural(nr), all.tests,
	    plural(all.tests), all.failed, (unsigned long long)seed);
	say("%s\n", took(&ms, ", ", all.began));
	if (!strcmp(which, "quick"))
		report_left_out(all.tests);
	if (short_now)
		console_unhide();
	return (int)all.failed;
}
