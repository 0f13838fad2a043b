/* SPDX-License-Identifier: MIT */
/*
 * ktest.c: runs the suites, in the kernel and in the hosted program alike; output is KTAP version
 * 1.
 *
 * Owns:       the run's state, the arena that private memories are built in, one at a time, and the
 *             range of the kernel's memory that one with bytes has borrowed.
 * Locks:      none: one thread runs the tests; ktest_fail alone may be called by others.
 * Invariants: a test starts with a zeroed arena, and leaves no thread running.
 */
#include "tests/lib/ktest_select.h"
#include <quarry/account.h>
#include <quarry/console.h>
#include <quarry/errno.h>
#include <quarry/memory_hotplug.h>
#include <quarry/memory_init.h>
#include <quarry/string.h>

#define MAX_TEST_CPUS 8
#define MAX_BLOCKS    (PAGEBLOCK_ORDER >= 9 ? 72 : 256)
#define MAX_REPORTS   20    /* failures of one test that are printed */
#define MAX_TURNS     10000 /* of a thread that waits for others to end */
#define ARENA_SIZE    (2UL << 20)
BUILD_ASSERT(MAX_BLOCKS *(PAGEBLOCK_PAGES * sizeof(struct page) + sizeof(struct pageblock)) <
    ARENA_SIZE - (512UL << 10));

static char arena[ARENA_SIZE] __attribute__((aligned(4096)));
static size_t arena_used;
static pfn_t borrowed_start;      /* what a backed memory lies in, */
static unsigned long borrowed_nr; /* offline as far as the kernel's memory goes */
static struct thread *running[MAX_TEST_CPUS];
static const char *skip_reason;
void (*ktest_hook)(const char *suite, const struct ktest *t, bool begins);

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

static const char *base_name(const char *path)
{
	const char *base = path;

	for (; *path; path++)
		if (*path == '/')
			base = path + 1;
	return base;
}

void ktest_fail(struct ktest *t, const char *file, int line, const char *fmt, ...)
{
	unsigned before = __atomic_fetch_add(&t->failures, 1, __ATOMIC_RELAXED);
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (before < MAX_REPORTS)
		printk("  # %s:%d: %s\n", base_name(file), line, text);
	else if (before == MAX_REPORTS)
		printk("  # more failures of this test are not printed\n");
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

/* Zones one after the other from @start on; all pages free.  Returns 0 or the error of mm/. */
static int build(struct memory *mem, const unsigned blocks[NR_ZONE_KINDS], pfn_t start,
    unsigned long nr, bool backed)
{
	char *memmap = arena_alloc(NULL, nr * sizeof(struct page));
	char *pageblocks = arena_alloc(NULL, nr / PAGEBLOCK_PAGES * sizeof(struct pageblock));
	struct memory_config cfg = {
	    .name = "test",
	    /* Of pfn 0, which may lie outside the arrays. */
	    .memmap = (struct page *)((uintptr_t)memmap - start * sizeof(struct page)),
	    .pageblocks = (struct pageblock *)((uintptr_t)pageblocks -
	        start / PAGEBLOCK_PAGES * sizeof(struct pageblock)),
	    .start_pfn = start,
	    .end_pfn = start + nr,
	    .nr_cpus = ktest_cpus(),
	    /* Its threads free pages, so they run where it has caches. */
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

/* Offline memory is unused: the test may use its bytes, and brings its own descriptors. */
struct memory *ktest_backed_memory(struct ktest *t, unsigned normal, unsigned movable)
{
	const unsigned blocks[NR_ZONE_KINDS] = {0, normal, movable};
	unsigned long nr = (normal + movable) * PAGEBLOCK_PAGES, got;
	pfn_t start = offline_candidate(&kernel_memory, nr, &got);
	int err;

	if (start == PFN_NONE || got < nr) {
		ktest_skip(t, "the kernel has no range to lend");
		return NULL;
	}
	err = offline_pages(&kernel_memory, start, nr, NULL, NULL);
	if (err) {
		ktest_fail(t, __FILE__, __LINE__, "no range borrowed: error %d", err);
		return NULL;
	}
	borrowed_start = start;
	borrowed_nr = nr;
	return new_memory(t, blocks, start, true);
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
	KASSERT(cpu < ktest_cpus() && running[cpu]);
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

/* Of the run's seed and the names only: a test gets the same seed whichever others run. */
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

/*
 * A test that passes has given back all that it had the kernel allocate.  Threads that it has
 * started may be on their way out: they get turns enough to be freed.
 */
static void check_counts(struct ktest *t, const struct counts *before)
{
	const char *what = NULL;
	struct counts after;
	u64 had, has;
	unsigned turn;

	for (turn = 0; turn < MAX_TURNS; turn++) {
		counts_read(&after);
		what = counts_differ(before, &after, &had, &has);
		if (!what || t->failures)
			return;
		thread_yield();
	}
	ktest_fail(t, __FILE__, __LINE__, "%s: %llu before the test, %llu after it", what,
	    (unsigned long long)had, (unsigned long long)has);
}

/* Test @i of its suite, the @nr-th of this run. */
static bool run_test(const struct ktest_suite *s, unsigned i, unsigned nr, u64 seed)
{
	struct ktest t = {.name = s->cases[i].name};
	struct counts before;
	unsigned cpu;

	t.seed = test_seed(seed, s->name, t.name);
	/* A crash or a hang leaves this as the last word about a test. */
	printk("  # begin %s.%s\n", s->name, t.name);
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
	if (t.failures) {
		printk("  # seed %#llx; run again: selftest=%s.%s seed=%#llx\n",
		    (unsigned long long)t.seed, s->name, t.name, (unsigned long long)seed);
		printk("  not ok %u %s\n", nr, t.name);
	} else if (t.skipped) {
		printk("  ok %u %s # SKIP %s\n", nr, t.name, skip_reason);
	} else {
		printk("  ok %u %s\n", nr, t.name);
	}
	return t.failures == 0;
}

static unsigned nr_selected(const struct ktest_suite *s, const char *which)
{
	unsigned i, nr = 0;

	for (i = 0; i < s->nr_cases; i++)
		nr += ktest_selected(s, i, which);
	return nr;
}

static unsigned run_suite(const struct ktest_suite *s, const char *which, unsigned nr, u64 seed)
{
	unsigned i, n = 0, failed = 0;

	printk("  KTAP version 1\n  1..%u\n", nr_selected(s, which));
	for (i = 0; i < s->nr_cases; i++)
		if (ktest_selected(s, i, which))
			failed += !run_test(s, i, ++n, seed);
	failed += !check_whole(&kernel_memory, "");
	printk("%s %u %s\n", failed ? "not ok" : "ok", nr, s->name);
	return failed;
}

int ktest_run(const char *which, u64 seed)
{
	unsigned nr = 0, failed = 0, tests = 0;
	const struct ktest_suite *s;

	if (ktest_check_names(which))
		return -EINVAL;
	for (s = suites_start; s < suites_end; s++)
		nr += nr_selected(s, which) > 0;
	printk("KTAP version 1\n1..%u\n", nr);
	nr = 0;
	for (s = suites_start; s < suites_end; s++) {
		if (nr_selected(s, which)) {
			failed += run_suite(s, which, ++nr, seed);
			tests += nr_selected(s, which);
		}
	}
	printk("# selftest: %u suites, %u tests, %u failed (seed %#llx)\n", nr, tests, failed,
	    (unsigned long long)seed);
	return (int)failed;
}
