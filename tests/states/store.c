/* SPDX-License-Identifier: MIT */
/*
 * store.c: the states that have been found.
 *
 * A state is kept as its differences to the first one, in the arena and in the model; when it is
 * loaded, all else is as in the first.  The arena is write-protected in the beginning, so that the
 * first write to each of its pages tells that this page can differ: some ten of hundreds do.
 *
 * States are told apart by a hash of 64 bits.  With a million states, the chance that any two
 * different ones have the same is below 3e-8.  What the hash covers, and what not:
 *
 *  - the word of each page and its pins; each pageblock, its free blocks and its neighbours in a
 *    list; the counts, lists and limits of each zone; the content of each stack; what the model
 *    knows.
 *  - not the numbers of events, claims and rounds, the records, or what pages contain: nothing is
 *    decided by them.
 *  - not whether a stack that is empty ever had slots: it gets them at its first use, which is one
 *    store more.
 *  - not which handle an object has.  Handles differ in their numbers only, and no code of mm/
 *    compares numbers: exchanging two is a symmetry of all states and all calls.
 *
 * So two states with one hash must behave alike.  search() does not believe that: it makes all
 * calls in some states that were found again, and compares the results (SAME_EACH).
 *
 * Owns:       the states, the write protection of the arena.
 * Locks:      none: one thread.
 * Invariants: a page of the arena that is not in hot[] is as in the first state.
 * Tests:      tests/qemu/test_states.py.
 */
#define _GNU_SOURCE
#include "states.h"
#include "mm/core/buddy.h"
#include "mm/core/pcp.h"
#include <quarry/string.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

#define MODEL_WORDS    (sizeof(struct model) / sizeof(u32))
#define PAGE_WORDS     (PAGE_SIZE / sizeof(u32))
#define MAX_DIFF       0xffffu
#define TABLE_BITS     24
#define STATES_AT_ONCE 65536

static u32 *first_arena;
static struct model first_model;
static unsigned hot[ARENA_SIZE / PAGE_SIZE], nr_hot; /* pages of the arena that can differ */
static unsigned most_live;                           /* blocks of the model that can differ */
static void (*crashed_call)(int sig);

static struct state **states; /* in pieces of STATES_AT_ONCE */
static u32 nr_states;
static u32 *table; /* by hash: the number of a state; 0: none */
static u64 bytes;

/* ---- pages that differ ---- */

static void written(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr - ARENA_BASE;

	if (at >= ARENA->used || info->si_code != SEGV_ACCERR) {
		crashed_call(sig);
		return;
	}
	at /= PAGE_SIZE;
	hot[nr_hot++] = (unsigned)at;
	mprotect((char *)ARENA_BASE + at * PAGE_SIZE, PAGE_SIZE, PROT_READ | PROT_WRITE);
}

void store_begin(void (*crashed)(int sig))
{
	struct sigaction act = {.sa_sigaction = written, .sa_flags = SA_SIGINFO | SA_NODEFER};
	size_t size = ALIGN_UP(ARENA->used, PAGE_SIZE);

	while (nr_states)
		state_free(store_at(nr_states--));
	free(first_arena);
	first_arena = malloc(size);
	if (!states)
		states = calloc((1U << TABLE_BITS) / STATES_AT_ONCE, sizeof(*states));
	if (!table)
		table = malloc(sizeof(*table) << TABLE_BITS);
	if (!first_arena || !states || !table)
		panic("states: no memory");
	memset(table, 0, sizeof(*table) << TABLE_BITS);
	memcpy(first_arena, ARENA, size);
	first_model = m;
	nr_hot = most_live = 0;
	bytes = 0;
	crashed_call = crashed;
	sigaction(SIGSEGV, &act, NULL);
	mprotect((void *)ARENA_BASE, size, PROT_READ);
}

/* ---- one state ---- */

static unsigned note(u32 *to, unsigned nr, const u32 *now, const u32 *then, u32 from, u32 words)
{
	u32 i;

	for (i = 0; i < words; i++) {
		if (now[i] == then[i])
			continue;
		if (nr >= 2 * MAX_DIFF)
			panic("states: a state differs too much");
		to[nr++] = from + i;
		to[nr++] = now[i];
	}
	return nr;
}

void state_save(struct state *s)
{
	static u32 buffer[2 * MAX_DIFF + 2];
	u32 used =
	    (u32)((offsetof(struct model, live) + m.nr_live * sizeof(m.live[0])) / sizeof(u32));
	unsigned i, nr = 0, all;

	most_live = MAX(most_live, m.nr_live);
	for (i = 0; i < nr_hot; i++) {
		u32 at = hot[i] * (u32)PAGE_WORDS;

		nr = note(
		    buffer, nr, (const u32 *)ARENA_BASE + at, first_arena + at, at, PAGE_WORDS);
	}
	all = note(buffer, nr, (const u32 *)(const void *)&m,
	    (const u32 *)(const void *)&first_model, 0, used);
	s->words = (u16)(nr / 2);
	s->model_words = (u16)((all - nr) / 2);
	s->diff = malloc(all * sizeof(u32));
	if (!s->diff)
		panic("states: no memory");
	memcpy(s->diff, buffer, all * sizeof(u32));
	bytes += all * sizeof(u32) + sizeof(*s);
}

void state_free(struct state *s)
{
	free(s->diff);
	s->diff = NULL;
}

void state_load(const struct state *s)
{
	const u32 *d = s->diff;
	unsigned i;

	for (i = 0; i < nr_hot; i++)
		memcpy((char *)ARENA_BASE + hot[i] * PAGE_SIZE, first_arena + hot[i] * PAGE_WORDS,
		    PAGE_SIZE);
	memcpy(&m, &first_model, offsetof(struct model, live) + most_live * sizeof(m.live[0]));
	for (i = 0; i < s->words; i++, d += 2)
		((u32 *)ARENA_BASE)[d[0]] = d[1];
	for (i = 0; i < s->model_words; i++, d += 2)
		((u32 *)(void *)&m)[d[0]] = d[1];
}

/* ---- the hash ---- */

static inline u64 mix(u64 h, u64 value)
{
	h = (h ^ value) * 0xff51afd7ed558ccdULL;
	return h ^ h >> 32;
}

static u64 mix_bytes(u64 h, const void *from, size_t size)
{
	const u64 *word = from;

	for (; size >= sizeof(u64); size -= sizeof(u64))
		h = mix(h, *word++);
	if (size)
		h = mix(h, *(const u32 *)word);
	return h;
}

static u64 mix_page(u64 h, pfn_t pfn)
{
	const struct page *page = pfn_to_page_in(m.mem, pfn);
	u16 who = m.owner[pfn];
	u64 known = who & (OWNER_KEPT | OWNER_BROKEN | OWNER_HANDLE | OWNER_LIVE);

	if (who & OWNER_LIVE) {
		const struct model_live *l = &m.live[who - OWNER_LIVE];

		known |= (pfn - l->pfn) << 16 | (u64)l->order << 32 | (u64)l->refs << 40 |
		    (u64)l->pins << 48;
	} else if (who & OWNER_HANDLE) {
		unsigned handle = who - OWNER_HANDLE;

		known |= (pfn - m.at[handle]) << 16 | (u64)m.handle_order[handle] << 32 |
		    (u64)m.handle_pins[handle] << 40;
	}
	h = mix(h, page->word | (u64)page->pincount << 32 | (u64)m.doomed[pfn] << 48);
	return mix(h, known);
}

static u64 mix_block(u64 h, unsigned block) NO_LOCK_ANALYSIS
{
	const struct pageblock_tree *tree = tree_of(m.mem, block_pfn(block));
	const struct model_block *known = &m.block[block];

	h = mix_bytes(h, pageblock_of(m.mem, block_pfn(block)), sizeof(struct pageblock));
	h = mix_bytes(h, &tree->map, sizeof(tree->map));
	if (tree->list)
		h = mix(h, (u64)tree->next << 32 | tree->prev);
	return mix(
	    h, tree->list | known->isolated << 8 | known->offline << 9 | known->reported << 10);
}

/* The fields of a zone that change, and count, lie side by side. */
BUILD_ASSERT(offsetof(struct zone, nr_free) < offsetof(struct zone, pcp_limit));

static u64 mix_zone(u64 h, const struct zone *zone) NO_LOCK_ANALYSIS
{
	unsigned cpu, i, k;

	/* From nr_free to the limits of the caches. */
	h = mix_bytes(h, &zone->nr_free,
	    offsetof(struct zone, pcp_limit) + sizeof(zone->pcp_limit) -
	        offsetof(struct zone, nr_free));
	h = mix(h, m.depth[zone->id] | (u64)zone->nr_reclaiming << 32);
	for (cpu = 0; cpu < m.shape.cpus; cpu++) {
		const struct pcp_stack *stack = &m.mem->pcp[cpu]->stack[stacks_of(zone->id)];

		for (i = 0; i < STACKS_PER_ZONE; i++, stack++) {
			h = mix(h, stack_count(stack) | (u64)stack_capacity(stack) << 32);
			for (k = 0; k < stack_count(stack); k++)
				h = mix(h, page_to_pfn_in(m.mem, stack->slot[k]));
		}
	}
	return h;
}

u64 state_hash(void)
{
	u64 h = mix(1, m.mem->iso_pending | (u64)m.mem->machine_check << 32);
	pfn_t pfn;
	unsigned i;

	for (pfn = block_pfn(m.first); pfn < block_pfn(m.first + m.blocks); pfn++)
		h = mix_page(h, pfn);
	for (i = m.first; i < m.first + m.blocks; i++)
		h = mix_block(h, i);
	for (i = 0; i < m.shape.nodes * NR_ZONE_KINDS; i++) {
		if (zone_there(i))
			h = mix_zone(h, &m.mem->zones[i]);
	}
	return h;
}

/* ---- all states ---- */

struct state *store_at(u32 number)
{
	return &states[(number - 1) / STATES_AT_ONCE][(number - 1) % STATES_AT_ONCE];
}

static u32 *place_of(u64 hash)
{
	u64 mask = (1ULL << TABLE_BITS) - 1, at = hash & mask;

	while (table[at] && store_at(table[at])->hash != hash)
		at = (at + 1) & mask;
	return &table[at];
}

u32 store_find(u64 hash)
{
	return *place_of(hash);
}

u32 store_add(u64 hash, u32 parent, u16 op)
{
	struct state **piece = &states[nr_states / STATES_AT_ONCE], *s;

	if (nr_states >= 3U << (TABLE_BITS - 2))
		panic("states: too many");
	if (!*piece)
		*piece = malloc(STATES_AT_ONCE * sizeof(**piece));
	if (!*piece)
		panic("states: no memory");
	s = store_at(++nr_states);
	*s = (struct state){.hash = hash, .parent = parent, .op = op};
	state_save(s);
	*place_of(hash) = nr_states;
	return nr_states;
}

u32 store_count(void)
{
	return nr_states;
}

u64 store_bytes(void)
{
	return bytes;
}
