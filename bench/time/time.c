/* SPDX-License-Identifier: MIT */
/*
 * time.c: the time of single operations of an allocator, for `make bench TIME=1`.
 *
 *     time SECONDS [CPU]    prints "time: ROW NS" for each row; CPU: the host's, of a second thread
 *
 * It is linked with one allocator, which has the functions of examples/plugin/plugin.h: mm/ through
 * port.c, floor.c, or a plugin.
 *
 * A row is repeated for SECONDS in chunks of some microseconds; its figure is the median of the
 * chunks, so those in which the host ran something else do not count.  fill_order0 and the rows
 * that free at random are done once: their chunks are 1,024 pages each.  The rows of a second
 * thread, which frees what the first one allocates, count single allocations.
 *
 * Owns:       the table of the frames held; the ring between the two threads.
 * Locks:      none: each index of the ring has one writer.
 * Invariants: the same requests for each allocator, from a fixed seed; each row begins and ends
 *             with all memory free.
 * Tests:      tests/qemu/test_bench.py.
 */
#define _GNU_SOURCE
#include "subject.h"
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MANY   4096
#define FILL   1500000u /* pages: the rest is above the watermarks */
#define CHUNK  1024
#define BULK   64 /* pages in a call of put_many */
#define PAIRS  250
#define CHUNKS 100000
#define RING   4096 /* pages on the way to the second thread */
#define REMOTE 1000000

static uint64_t held[FILL];
static double chunk[CHUNKS];
static unsigned nr_chunks;
static double ticks_per_ns, seconds;

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("time: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static uint64_t ticks(void)
{
	return __builtin_ia32_rdtsc();
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void find_ticks_per_ns(void)
{
	double start = now_ns();
	uint64_t at = ticks();

	while (now_ns() - start < 2e7)
		;
	ticks_per_ns = (double)(ticks() - at) / (now_ns() - start);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int by_ticks(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* A chunk of @nr operations has taken the ticks since @from. */
static void add(uint64_t from, unsigned nr)
{
	if (nr_chunks < CHUNKS)
		chunk[nr_chunks++] = (double)(ticks() - from) / nr / ticks_per_ns;
}

static void say(const char *row)
{
	qsort(chunk, nr_chunks, sizeof(chunk[0]), by_size);
	printf("time: %s %.3f\n", row, chunk[nr_chunks / 2]);
	nr_chunks = 0;
}

/* ---- two threads ---- */

static uint64_t ring[RING];
static struct {
	unsigned at __attribute__((aligned(64)));
} made, freed; /* frames put into the ring, and taken out of it */
static unsigned other_cpu;

static void *free_all(void *arg)
{
	cpu_set_t set;
	unsigned i;

	CPU_ZERO(&set);
	CPU_SET(other_cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fail("no CPU %u", other_cpu);
	enter(1);
	for (i = 0; i < REMOTE; i++) {
		while (__atomic_load_n(&made.at, __ATOMIC_ACQUIRE) == i)
			__builtin_ia32_pause();
		put(1, ring[i % RING], 0);
		__atomic_store_n(&freed.at, i + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* The time of each of many allocations, while another CPU frees what they gave before. */
static void remote_frees(void)
{
	static uint32_t took[REMOTE];
	static const struct {
		const char *row;
		unsigned at;
	} parts[] = {{"alloc_remote_p50", REMOTE / 2}, {"alloc_remote_p99", REMOTE / 100 * 99},
	    {"alloc_remote_p999", REMOTE / 1000 * 999}};
	pthread_t thread;
	uint64_t from;
	unsigned i;

	if (pthread_create(&thread, NULL, free_all, NULL))
		fail("no second thread");
	for (i = 0; i < REMOTE; i++) {
		while (i - __atomic_load_n(&freed.at, __ATOMIC_ACQUIRE) == RING)
			__builtin_ia32_pause();
		from = ticks();
		ring[i % RING] = get(0, 0);
		took[i] = (uint32_t)(ticks() - from);
		__atomic_store_n(&made.at, i + 1, __ATOMIC_RELEASE);
	}
	pthread_join(thread, NULL);
	qsort(took, REMOTE, sizeof(took[0]), by_ticks);
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		printf("time: %s %.3f\n", parts[i].row, took[parts[i].at] / ticks_per_ns);
}

/* ---- rows that are repeated ---- */

static void pairs(unsigned order, unsigned nr)
{
	unsigned i;

	for (i = 0; i < nr; i++)
		put(0, get(0, order), order);
}

/* The loop of pairs() with two functions that do nothing. */
static __attribute__((noinline)) uint64_t get_nothing(unsigned cpu, unsigned order)
{
	__asm__ volatile("");
	return order;
}

static __attribute__((noinline)) void put_nothing(unsigned cpu, uint64_t at, unsigned order)
{
	__asm__ volatile("");
}

static void calls(unsigned order, unsigned nr)
{
	unsigned i;

	for (i = 0; i < nr; i++)
		put_nothing(0, get_nothing(0, order), order);
}

static void batch(unsigned order, unsigned nr)
{
	unsigned i;

	for (i = 0; i < nr; i++)
		held[i] = get(0, order);
	for (i = 0; i < nr; i++)
		put(0, held[i], order);
}

static void repeat(const char *row, void (*work)(unsigned, unsigned), unsigned order, unsigned nr)
{
	double end = (double)ticks() + seconds * 1e9 * ticks_per_ns;

	work(order, nr);
	do {
		uint64_t from = ticks();

		work(order, nr);
		add(from, nr);
	} while ((double)ticks() < end);
	say(row);
}

/* ---- all memory ---- */

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

static void fill(void)
{
	uint64_t state = 88172645463325252, from = 0, other;
	unsigned i, k;

	for (i = 0; i < FILL; i++) {
		if (i % CHUNK == 0)
			from = ticks();
		held[i] = get(0, 0);
		if (i % CHUNK == CHUNK - 1)
			add(from, CHUNK);
	}
	for (i = FILL; i-- > 1;) {
		k = (unsigned)(next_random(&state) % (i + 1));
		other = held[i];
		held[i] = held[k];
		held[k] = other;
	}
}

/* Free all that fill() has allocated, in its random order; @bulk: 64 pages in a call. */
static void empty(int bulk)
{
	uint64_t from;
	unsigned i, k;

	for (i = 0; i < FILL; i += CHUNK) {
		unsigned nr = FILL - i < CHUNK ? FILL - i : CHUNK;

		from = ticks();
		for (k = 0; !bulk && k < nr; k++)
			put(0, held[i + k], 0);
		for (; k < nr; k += BULK)
			put_many(0, held + i + k, nr - k < BULK ? nr - k : BULK);
		if (nr == CHUNK)
			add(from, CHUNK);
	}
}

static void measure(void)
{
	repeat("calls", calls, 0, PAIRS);
	repeat("order0_pair", pairs, 0, PAIRS);
	repeat("batch4096_pair", batch, 0, MANY);
	repeat("order1_pair", pairs, 1, PAIRS);
	repeat("order4_pair", pairs, 4, PAIRS);
	repeat("order9_pair", pairs, 9, PAIRS);
	if (cache) {
		int err = cache(0);

		repeat("order9_pair_uncached", pairs, 9, PAIRS);
		if (err || cache(1))
			fail("the caches cannot be turned off and on");
	}
	fill();
	say("fill_order0");
	empty(0);
	say("free_random_order0");
	if (put_many) {
		fill();
		nr_chunks = 0;
		empty(1);
		say("free_random_bulk64");
	}
}

int main(int argc, char **argv)
{
	int two = argc == 3 && enter;

	if (argc < 2 || argc > 3 || (seconds = strtod(argv[1], NULL)) <= 0)
		fail("usage: time SECONDS [CPU]");
	if (init(SUBJECT_FRAMES, two ? 2 : 1))
		fail("init: no memory");
	find_ticks_per_ns();
	measure();
	if (two) {
		other_cpu = (unsigned)strtoul(argv[2], NULL, 10);
		remote_frees();
	}
	return 0;
}
