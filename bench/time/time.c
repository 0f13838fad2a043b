/* SPDX-License-Identifier: MIT */
/*
 * time.c: the time of single operations of an allocator, for `make bench TIME=1`.
 *
 *     time SECONDS      prints "time: ROW NS" for each row
 *
 * It is linked with one allocator, which has the functions of examples/plugin/plugin.h: mm/ through
 * port.c, floor.c, or a plugin.
 *
 * A row is repeated for SECONDS in chunks of some microseconds; its figure is the median of the
 * chunks, so those in which the host ran something else do not count.  fill_order0 and the rows
 * that free at random are done once: their chunks are 1,024 pages each.
 *
 * Owns:       the table of the frames held.
 * Locks:      none: one thread.
 * Invariants: the same requests for each allocator, from a fixed seed; each row begins and ends
 *             with all memory free.
 * Tests:      tests/qemu/test_bench_time.py.
 */
#include "subject.h"
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
	if (argc != 2 || (seconds = strtod(argv[1], NULL)) <= 0)
		fail("usage: time SECONDS");
	if (init(SUBJECT_FRAMES, 1))
		fail("init: no memory");
	find_ticks_per_ns();
	measure();
	return 0;
}
