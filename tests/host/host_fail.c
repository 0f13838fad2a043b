/* SPDX-License-Identifier: MIT */
/*
 * host_fail.c: lets the n-th allocation that mm/ or kernel/ makes in each test fail;
 * tools/test/failsweep.py.
 *
 * The linker's --wrap sends the allocations of mm/ and kernel/ here, but not those of the tests;
 * calls of memory_init come here from everywhere. Allocations are blocks, small objects, threads,
 * and the memory that memory_init takes from its caller.
 *
 * With QUARRY_FAIL_AT=FROM-TO the tests run again and again. In the first run the FROM-th call of
 * each test fails, in the next run the call after it, up to the TO-th. Time passes fast for mm/, so
 * that an operation that retries until a deadline retries a few hundred times.
 *
 * Owns: fail_at, calls, looks.
 */
#include <quarry/account.h>
#include <quarry/errno.h>
#include <quarry/ktest.h>
#include <quarry/memory_init.h>
#include <stdlib.h>

#define MAX_SOURCES 256

struct page *__wrap_mem_alloc_page(struct memory *mem, gfp_t gfp);
struct page *__wrap_mem_alloc_pages(struct memory *mem, gfp_t gfp, unsigned order);
void *__wrap_kmalloc(size_t size);
struct thread *__wrap_thread_start(const char *name, int cpu, void (*fn)(void *), void *arg);
int __wrap_memory_init(struct memory *mem, const struct memory_config *cfg);
int __real_memory_init(struct memory *mem, const struct memory_config *cfg);
u64 __wrap_arch_clock_ns(void);
bool __wrap_threads_had_turn(u64 since);
int __wrap_ktest_run(const char *which, u64 seed);
int __real_ktest_run(const char *which, u64 seed);

#define LOOK_NS 1000000 /* time that a reading of the clock takes in mm/ and kernel/ */
#define MAX_LOST                                                                                   \
	1000 /* pages of the kernel's memory that failed tests may lose before the program ends */

static u32 fail_at; /* number of the call that fails; 0: none */
static u32 last;    /* fail_at in the last run */
static u32 calls;   /* atomic: calls in this test */
static u64 looks;   /* atomic: readings of the clock */
static bool armed;
static unsigned long kernel_free;
static struct counts counts;

static bool fails(void)
{
	return READ_ONCE(armed) && atomic_add(&calls, 1u) + 1 == fail_at;
}

struct page *__wrap_mem_alloc_page(struct memory *mem, gfp_t gfp)
{
	return fails() ? NULL : mem_alloc_page(mem, gfp);
}

struct page *__wrap_mem_alloc_pages(struct memory *mem, gfp_t gfp, unsigned order)
{
	return fails() ? NULL : mem_alloc_pages(mem, gfp, order);
}

void *__wrap_kmalloc(size_t size)
{
	return fails() ? NULL : kmalloc(size);
}

struct thread *__wrap_thread_start(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	return fails() ? NULL : thread_start(name, cpu, fn, arg);
}

u64 __wrap_arch_clock_ns(void)
{
	return arch_clock_ns() + (atomic_add(&looks, 1ull) + 1) * LOOK_NS;
}

/* @since is a time of the fast clock above, so the host's own function would judge it wrongly. */
bool __wrap_threads_had_turn(u64 since)
{
	thread_yield();
	return true;
}

/* The arena that the memories of one test are built from. */
static struct source {
	void *(*alloc)(void *arg, size_t bytes);
	void *arg;
} sources[MAX_SOURCES];
static unsigned nr_sources;

static void *from_source(void *arg, size_t bytes)
{
	struct source *source = arg;

	return fails() ? NULL : source->alloc(source->arg, bytes);
}

int __wrap_memory_init(struct memory *mem, const struct memory_config *cfg)
{
	struct memory_config own = *cfg;

	if (armed && cfg->alloc != from_source && nr_sources < MAX_SOURCES) {
		sources[nr_sources] = (struct source){cfg->alloc, cfg->arg};
		own.alloc = from_source;
		own.arg = &sources[nr_sources++];
	}
	return __real_memory_init(mem, &own);
}

/*
 * Print a line at the end of each test: the calls made, the pages of its memory still in use, the
 * pages that the kernel's memory lost, and the first kind of object (account.h) that is left.
 */
static void watch(const char *suite, const struct ktest *t, bool begins)
{
	unsigned long live = 0;
	const char *left;
	struct counts now;
	u64 had, has;

	WRITE_ONCE(armed, begins);
	if (begins) {
		WRITE_ONCE(calls, 0u);
		nr_sources = 0;
		kernel_free = memory_free_pages(&kernel_memory);
		counts_read(&counts);
		return;
	}
	if (t->mem)
		live = memory_managed_pages(t->mem) - memory_free_pages(t->mem);
	counts_read(&now);
	left = counts_differ(&counts, &now, &had, &has);
	printk("# fail at=%u %s.%s calls=%u live=%lu lost=%ld failures=%u left=%s\n", fail_at,
	    suite, t->name, READ_ONCE(calls), live,
	    (long)(kernel_free - memory_free_pages(&kernel_memory)), t->failures,
	    left ? left : "nothing");
}

/* The tool starts the program again at the next number, unless the last line says "done". */
int __wrap_ktest_run(const char *which, u64 seed)
{
	unsigned long before = memory_free_pages(&kernel_memory);
	int failed = __real_ktest_run(which, seed);

	/* The loss is judged after each run, when its tests have freed all that they allocated. */
	while (failed != -EINVAL && fail_at < last &&
	    memory_free_pages(&kernel_memory) + MAX_LOST > before) {
		fail_at++;
		failed = __real_ktest_run(which, seed);
	}
	if (fail_at >= last)
		printk("# fail done\n");
	return failed;
}

static void __attribute__((constructor)) fail_init(void)
{
	const char *text = getenv("QUARRY_FAIL_AT");

	char *rest = NULL;

	ktest_hook = watch;
	fail_at = text ? (u32)strtoul(text, &rest, 10) : 0;
	last = rest && *rest == '-' ? (u32)strtoul(rest + 1, NULL, 10) : 0;
}
