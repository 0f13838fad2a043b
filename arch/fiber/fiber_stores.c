/* SPDX-License-Identifier: MIT */
/*
 * fiber_stores.c: store buffers: stores that other CPUs see later than the CPU that made them.
 *
 * As on x86 (TSO), a CPU reads its own stores at once, and they reach the others in order.  So here
 * they are made in memory at once, and noted with the old values.  When the CPU is preempted it
 * puts the old values back for the others, and when it continues it makes its stores again.  Full
 * barriers and locked instructions let them out, and so do interrupts, IPIs and waits.
 *
 * Plain stores and stores to the CPU's own stack are seen at once.
 *
 * Owns:       the buffers, one for each CPU.
 * Locks:      none: one OS thread.
 * Invariants: no other CPU runs while this one's stores are made, unless they are out.
 */
#include "fiber_stores.h"
#include <string.h>

#define BUFFERS 12 /* CPUs of both programs on fibers */
#define STORES  56 /* as many as a real buffer holds; the oldest leaves a full one */

/* A store that the others need not have seen: while it is held, @other is the CPU's own value. */
struct store {
	void *p;
	size_t size;
	u64 other;
	const char *what; /* the source's expression of @p */
};

static struct buffer {
	struct store store[STORES];
	unsigned nr;
	bool held;
} buffers[BUFFERS];

enum fiber_model fiber_model;
void (*fiber_at_store)(void);

static struct buffer *mine(void)
{
	return &buffers[fiber_this->id];
}

void stores_reset(void)
{
	memset(buffers, 0, sizeof(buffers));
}

void stores_drain(void)
{
	if (fiber_this && !mine()->held)
		mine()->nr = 0;
}

void stores_out(void)
{
	if (fiber_at_store)
		fiber_at_store();
	stores_drain();
}

void store_begins(void *p, size_t size, const char *what)
{
	struct buffer *b;
	struct store *s;

	if (fiber_at_store)
		fiber_at_store();
	if (fiber_model == FIBER_SC || !fiber_this || mine()->held || fiber_on_stack(p))
		return;
	b = mine();
	if (b->nr == STORES)
		memmove(b->store, b->store + 1, --b->nr * sizeof(*b->store));
	s = &b->store[b->nr++];
	*s = (struct store){.p = p, .size = size, .what = what};
	memcpy(&s->other, p, size);
}

static void swap(struct store *s)
{
	u64 now = 0;

	memcpy(&now, s->p, s->size);
	memcpy(s->p, &s->other, s->size);
	s->other = now;
}

void stores_hold(void)
{
	struct buffer *b = mine();
	unsigned i;

	if (b->held)
		return;
	b->held = true;
	for (i = b->nr; i-- > 0;)
		swap(&b->store[i]);
}

static void make_again(struct buffer *b)
{
	unsigned i;

	if (!b->held)
		return;
	for (i = 0; i < b->nr; i++)
		swap(&b->store[i]);
	b->held = false;
}

void stores_go_on(void)
{
	make_again(mine());
}

bool stores_arrive(void)
{
	bool any = false;
	unsigned i;

	for (i = 0; i < BUFFERS; i++) {
		any |= buffers[i].held && buffers[i].nr;
		make_again(&buffers[i]);
		buffers[i].nr = 0;
	}
	return any;
}

void stores_leave(void)
{
	stores_go_on();
	mine()->nr = 0;
}

const char *stores_unseen(unsigned cpu, unsigned i)
{
	const struct buffer *b = &buffers[cpu];

	return b->held && i < b->nr ? b->store[i].what : NULL;
}
