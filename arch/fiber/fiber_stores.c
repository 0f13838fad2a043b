/* SPDX-License-Identifier: MIT */
/*
 * fiber_stores.c: stores that other CPUs see later than the CPU that made them, and loads that
 * return an older value than others have seen.
 *
 * As on x86 (TSO), a CPU reads its own stores at once, and they reach the others in order.  So here
 * they are made in memory at once, and noted with the old values.  When the CPU is preempted it
 * puts the old values back for the others, and when it continues it makes its stores again.  Full
 * barriers and locked instructions let them out, and so do interrupts, IPIs and waits.
 *
 * Under the weak model some of the stores arrive when the CPU is preempted, others do not: chance
 * decides, but a store with release semantics, or behind a store barrier, arrives after the stores
 * before it.  A load may return a value that was current at some time since the CPU's last acquire,
 * unless the CPU has seen or stored a newer one there.  No load is late: a store does not overtake
 * an earlier load.  Stores and loads are noted by fiber_hooks.c, plain ones too.
 *
 * Under TSO plain stores, and under both models stores to the CPU's own stack, are seen at once.
 *
 * Owns:       the buffers, one for each CPU; the last changes of memory.
 * Locks:      none: one OS thread.
 * Invariants: no other CPU runs while this one's stores are made, unless they are out.
 */
#include "fiber_stores.h"
#include <string.h>

#define BUFFERS 12   /* CPUs of both programs on fibers */
#define STORES  56   /* as many as a real buffer holds; the oldest leaves a full one */
#define CHANGES 128  /* the last changes, of which a load may miss some */
#define PLACES  1024 /* rows of a table by address; two addresses in a row miss fewer changes */

/* A store that the others need not have seen: while it is held, @other is the CPU's own value. */
struct store {
	void *p;
	size_t size;
	u64 other;
	const char *what; /* the source's expression of @p */
	u64 nr;           /* of this CPU's stores */
	u64 after;        /* weak: stores with smaller numbers arrive earlier */
};

static struct buffer {
	struct store store[STORES];
	unsigned nr;
	bool held;
	u64 made;         /* stores so far */
	u64 barrier;      /* those before the last store barrier */
	u64 since;        /* the number of changes at the last acquire: all of them are seen */
	u64 foreign;      /* the number of the last change by another CPU */
	u64 seen[PLACES]; /* the number of changes when a word of the row was loaded or stored */
} buffers[BUFFERS];

/* Memory has changed for all CPUs; @old is the value before. */
static struct change {
	void *p;
	size_t size;
	u64 old;
} changes[CHANGES];

static u64 nr_changes, chance;
static struct change stale; /* @p holds an older value for the load that follows; @old is the new */
static const void *named;
static const char *name; /* the source's expression of the store to @named that follows */

enum fiber_model fiber_model;
bool fiber_hooked;
const char *fiber_left_out;
unsigned fiber_orders;
bool fiber_fine;
void (*fiber_at_irq)(void);
u64 fiber_chance;

static struct buffer *mine(void)
{
	return &buffers[fiber_this->id];
}

static bool overlap(const void *p, size_t size, const void *q, size_t other)
{
	return (uintptr_t)p < (uintptr_t)q + other && (uintptr_t)q < (uintptr_t)p + size;
}

static u64 *row(const void *p)
{
	return &mine()->seen[((uintptr_t)p >> 3) % PLACES];
}

/* Once in 2^(1..3) times; the run's number says which. */
static bool coin(void)
{
	chance = chance * 6364136223846793005ULL + 1;
	return (chance >> 33) % (2ULL << fiber_chance % 3) == 0;
}

void stores_reset(void)
{
	memset(buffers, 0, sizeof(buffers));
	stale.p = NULL;
	nr_changes = 0;
	chance = fiber_chance * 0x9e3779b97f4a7c15ULL;
}

/* ---- stores ---- */

void stores_drain(void)
{
	load_made();
	if (fiber_this && !mine()->held)
		mine()->nr = 0;
}

void stores_out(void)
{
	if (!fiber_hooked)
		stores_drain();
}

static void note_change(const void *p, size_t size, u64 old)
{
	unsigned i;

	changes[nr_changes++ % CHANGES] = (struct change){(void *)p, size, old};
	for (i = 0; i < BUFFERS; i++)
		if (i != fiber_this->id)
			buffers[i].foreign = nr_changes;
	*row(p) = nr_changes;
}

void store_note(void *p, size_t size, bool release)
{
	struct buffer *b;
	struct store *s;

	load_made();
	if (!fiber_this || mine()->held || fiber_on_stack(p))
		return;
	b = mine();
	if (b->nr == STORES)
		memmove(b->store, b->store + 1, --b->nr * sizeof(*b->store));
	s = &b->store[b->nr++];
	*s = (struct store){.p = p, .size = size, .what = p == named ? name : "a plain store"};
	s->nr = b->made++;
	s->after = release ? s->nr : b->barrier;
	memcpy(&s->other, p, size);
	if (fiber_model == FIBER_WEAK)
		note_change(p, size, s->other);
}

void store_begins(void *p, size_t size, const char *what)
{
	named = p;
	name = what;
	if (fiber_model == FIBER_TSO)
		store_note(p, size, true);
}

void store_fence(void)
{
	if (fiber_this)
		mine()->barrier = mine()->made;
}

void store_at_once(void *p, size_t size)
{
	struct buffer *b;
	unsigned i;
	u64 old = 0;

	load_made();
	if (!fiber_this || fiber_on_stack(p))
		return;
	b = mine();
	for (i = 0; i < b->nr; i++)
		if (overlap(b->store[i].p, b->store[i].size, p, size))
			stores_drain();
	memcpy(&old, p, size);
	note_change(p, size, old);
}

static void swap(struct store *s)
{
	u64 now = 0;

	memcpy(&now, s->p, s->size);
	memcpy(s->p, &s->other, s->size);
	s->other = now;
}

/* Under the weak model: some stores of @b arrive, and leave it. */
static void let_some_arrive(struct buffer *b)
{
	bool seen[STORES] = {false};
	unsigned i, j, left = 0;
	u64 before = 0;

	for (i = b->nr; i-- > 0;) {
		const struct store *s = &b->store[i];

		seen[i] = s->nr < before || coin();
		for (j = i + 1; j < b->nr; j++)
			seen[i] |=
			    seen[j] && overlap(s->p, s->size, b->store[j].p, b->store[j].size);
		if (seen[i])
			before = MAX(before, s->after);
	}
	for (i = 0; i < b->nr; i++)
		if (!seen[i])
			b->store[left++] = b->store[i];
	b->nr = left;
}

void stores_hold(void)
{
	struct buffer *b = mine();
	unsigned i;

	load_made();
	if (b->held)
		return;
	if (fiber_model == FIBER_WEAK)
		let_some_arrive(b);
	b->held = true;
	for (i = b->nr; i-- > 0;)
		swap(&b->store[i]);
}

static void make_again(struct buffer *b)
{
	unsigned i;

	if (!b->held)
		return;
	for (i = 0; i < b->nr; i++) {
		swap(&b->store[i]);
		if (fiber_model == FIBER_WEAK)
			note_change(b->store[i].p, b->store[i].size, b->store[i].other);
	}
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
	load_fence();
}

const char *stores_unseen(unsigned cpu, unsigned i)
{
	const struct buffer *b = &buffers[cpu];

	return b->held && i < b->nr ? b->store[i].what : NULL;
}

/* ---- loads ---- */

void load_fence(void)
{
	if (fiber_this)
		mine()->since = nr_changes;
}

void load_made(void)
{
	if (stale.p)
		memcpy(stale.p, &stale.old, stale.size);
	stale.p = NULL;
}

bool load_early(const void *p, size_t size, bool acquire, u64 *value)
{
	struct buffer *b;
	u64 i, from;

	load_made();
	if (!fiber_this || fiber_on_stack(p))
		return false;
	b = mine();
	from = MAX(b->since, *row(p));
	if (from < b->foreign) {
		if (nr_changes > CHANGES)
			from = MAX(from, nr_changes - CHANGES);
		for (i = from; i < nr_changes; i++) {
			const struct change *c = &changes[i % CHANGES];
			size_t at = (uintptr_t)p - (uintptr_t)c->p;

			if (at >= c->size || at + size > c->size)
				continue;
			if (!coin())
				break;
			*value = c->old >> 8 * at;
			*row(p) = i;
			if (acquire)
				b->since = MAX(b->since, i);
			return true;
		}
	}
	*row(p) = nr_changes;
	if (acquire)
		b->since = nr_changes;
	return false;
}

void load_plain(void *p, size_t size)
{
	u64 value;

	if (!load_early(p, size, false, &value))
		return;
	stale = (struct change){.p = p, .size = size};
	memcpy(&stale.old, p, size);
	memcpy(p, &value, size);
}
