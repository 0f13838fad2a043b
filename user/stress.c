/* SPDX-License-Identifier: MIT */
/*
 * stress.c: threads that allocate memory, write patterns into it, and read them again, until they
 * are stopped.
 *
 * handle: an endpoint to report to, or 0.  Every half second a call reports the pages verified, the
 * pages found wrong, the pages held now, and the seed; an answer other than 0 ends the program.
 * arg0 is the seed; arg1: the approximate number of pages to hold, or, without an endpoint, the
 * number of rounds.  Every word of every page is computed from its area's seed and its place, and
 * is verified in each round.  The exit status is 0 if no page was ever wrong.
 */
#include "quarry.h"

#define MAX_THREADS 4u
#define KEEP        6  /* areas of a thread at a time */
#define CALM        8  /* rounds between two replacements, if the program holds many pages */
#define FEW_PAGES   64 /* the most pages of an area, by default */
#define WORDS       (ABI_PAGE_SIZE / 8)
#define TOLD        8 /* wrong pages that get a line each */

struct area {
	u64 *at;
	u64 pages, seed; /* pages 0: no area */
};

static u32 stop;
static u64 rounds, verified, wrong_pages, no_memory, held, max_rounds;
static u64 first_seed, min_pages, max_pages;
static unsigned nr_threads, calm;

static u64 word_of(u64 seed, u64 i)
{
	return (seed + i) * 0x9e3779b97f4a7c15ULL;
}

static void fill(const struct area *a)
{
	u64 i;

	for (i = 0; i < a->pages * WORDS; i++)
		a->at[i] = word_of(a->seed, i);
}

static void verify(const struct area *a, bool zero)
{
	u64 i = 0;

	while (i < a->pages * WORDS) {
		u64 want = zero ? 0 : word_of(a->seed, i);

		if (a->at[i] == want) {
			i++;
			continue;
		}
		if (__atomic_fetch_add(&wrong_pages, 1, __ATOMIC_RELAXED) < TOLD)
			printf("page %lu of %lu, word %lu: %lx, not %lx\n", i / WORDS, a->pages,
			    i % WORDS, a->at[i], want);
		i = (i / WORDS + 1) * WORDS; /* the next page */
	}
	__atomic_fetch_add(&verified, a->pages, __ATOMIC_RELAXED);
}

/* Replace an area by a new one; new pages must be zero. */
static void replace(struct area *a, u64 *random)
{
	if (a->pages) {
		verify(a, false);
		unmap(a->at, a->pages);
		__atomic_fetch_sub(&held, a->pages, __ATOMIC_RELAXED);
	}
	a->pages = min_pages + next_random(random) % (max_pages - min_pages + 1);
	a->seed = next_random(random);
	if (!pages_map(a->at, a->pages)) {
		__atomic_fetch_add(&no_memory, 1, __ATOMIC_RELAXED);
		a->pages = 0;
		return;
	}
	verify(a, true);
	fill(a);
	__atomic_fetch_add(&held, a->pages, __ATOMIC_RELAXED);
}

static void work(u64 number)
{
	u64 random = (first_seed + number) * 0x2545f4914f6cdd1dULL | 1, left = max_rounds;
	unsigned i, round = 0;
	struct area areas[KEEP];

	for (i = 0; i < KEEP; i++)
		areas[i] = (struct area){.at = address_for(max_pages)};
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED) && (!max_rounds || left--)) {
		for (i = 0; i < KEEP; i++)
			verify(&areas[i], false);
		for (i = 0; i < KEEP && areas[i].pages; i++)
			;
		if (i < KEEP || ++round % calm == 0)
			replace(&areas[i < KEEP ? i : next_random(&random) % KEEP], &random);
		__atomic_fetch_add(&rounds, 1, __ATOMIC_RELAXED);
	}
	for (i = 0; i < KEEP; i++) {
		verify(&areas[i], false);
		if (areas[i].pages)
			unmap(areas[i].at, areas[i].pages);
	}
}

static void report(u64 endpoint)
{
	while (!stop) {
		struct message m = {.word = {verified, wrong_pages, held, first_seed}};

		/* An error means that no receiver is left to stop this program: end. */
		if (call(endpoint, &m, 10 * NS_PER_S) || m.word[0])
			__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
		else
			sleep_ns(NS_PER_S / 2);
	}
}

int main(u64 handle, u64 seed, u64 nr)
{
	static struct thread threads[MAX_THREADS];
	bool reports = info(INFO_RIGHTS, handle) > 0 && info(INFO_RIGHTS, handle) & RIGHT_SEND;
	bool holds = reports && nr;
	u64 i;

	first_seed = seed;
	max_rounds = reports ? 0 : nr ? nr : 100;
	/* On average an area has 3/4 of the largest size. */
	nr_threads = holds ? 2 : MAX_THREADS;
	max_pages = holds ? nr / (nr_threads * KEEP) * 4 / 3 + 1 : FEW_PAGES;
	min_pages = holds ? (max_pages + 1) / 2 : 1;
	calm = holds ? CALM : 1;
	for (i = 0; i < nr_threads; i++)
		if (thread_start(&threads[i], work, i))
			return 2;
	if (reports)
		report(handle);
	for (i = 0; i < nr_threads; i++)
		thread_join(&threads[i]);
	printf("%lu rounds of %u threads, %lu pages wrong, %lu times no memory\n", rounds,
	    nr_threads, wrong_pages, no_memory);
	return wrong_pages ? 1 : 0;
}
