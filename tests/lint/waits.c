/* SPDX-License-Identifier: MIT */
/* waits.c: functions that wait, which tools/waits.py must find, and some that do not: sleeps_ and spins_ do. */
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

void spins_until_told(const u32 *word, struct waitq *wq)
{
	sleeps_on_a_queue(wq);
	while (!READ_ONCE(*word))
		cpu_relax();
	spins_for_ever();
}
