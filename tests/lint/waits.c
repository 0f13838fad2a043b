/* SPDX-License-Identifier: MIT */
/*
 * waits.c: functions that wait, which tools/lint/shared.py must find, and some that do not:
 * sleeps_, spins_ and swaps_ do.
 */
#include <quarry/port.h>

static bool never(void *arg)
{
	return false;
}

/* Names wait_until() in a comment only. */
static unsigned counts(unsigned n)
{
	while (n > 3)
		n /= 2;
	return n;
}

static void sleeps_on_a_queue(struct waitq *wq)
{
	wait_until(wq, never, NULL, WAIT_FOREVER);
}

static void sleeps_a_while(void)
{
	thread_sleep(counts(7));
}

static void spins_for_ever(void)
{
	for (;;)
		sleeps_a_while();
}

/* No swap, no wait: one look each, and a bound. */
static unsigned looks_at_each(const u32 *words, unsigned nr)
{
	unsigned i, sum = 0;

	for (i = 0; i < nr && !load_acquire(&words[i]); i++)
		sum += READ_ONCE(words[i]);
	return sum;
}

static bool takes_once(u32 *word)
{
	return atomic_cas(word, 0u, 1u);
}

static bool takes_in_so_many_tries(u32 *word)
{
	unsigned i;

	for (i = 0; i < 10; i++) {
		if (takes_once(word))
			return true;
	}
	return false;
}

static void swaps_until_it_succeeds(u32 *word)
{
	u32 old;

	do {
		old = READ_ONCE(*word);
	} while (!atomic_cas(word, old, old + looks_at_each(word, 1)));
}

static void swaps_in_the_body(u32 *word)
{
	bool done = takes_in_so_many_tries(word);

	while (!done) {
		u32 old = READ_ONCE(*word);

		done = atomic_cas(word, old, old | 1u);
	}
}

static void spins_without_a_pause(const u32 *word)
{
	while (!load_acquire(word))
		;
}

static void spins_by_do(const u32 *word, unsigned *turns)
{
	do
		++*turns;
	while (READ_ONCE(*word));
}

void spins_until_told(u32 *word, struct waitq *wq)
{
	unsigned turns = 0;

	sleeps_on_a_queue(wq);
	swaps_until_it_succeeds(word);
	swaps_in_the_body(word);
	spins_without_a_pause(word);
	spins_by_do(word, &turns);
	while (!READ_ONCE(*word))
		cpu_relax();
	spins_for_ever();
}
