/* SPDX-License-Identifier: MIT */
/*
 * test_free_map.c: the buddy of one pageblock against a model that knows only which pages are held:
 * every reachable state of a small pageblock, with every operation from each state; and, for any
 * size of a pageblock, a long random walk.
 */
#include "mm/core/free_map.h"
#include <quarry/ktest.h>
#include <quarry/string.h>

#define PAGES ((unsigned)PAGEBLOCK_PAGES)

/* At the first page of each held block: the block's order plus 1. */
struct held {
	u8 at[PAGEBLOCK_PAGES];
};

/* ---- the model: the held blocks determine the map ---- */

/* Mark the free blocks, each as large as possible: blocks without a held page. */
static bool model_free(const struct held *held, struct free_map *map, unsigned page, unsigned order)
{
	bool low, high;

	if (held->at[page] == order + 1)
		return false;
	if (order == 0)
		return true;
	low = model_free(held, map, page, order - 1);
	high = model_free(held, map, page + (1U << (order - 1)), order - 1);
	if (low != high) {
		unsigned half = page + (low ? 0 : 1U << (order - 1));
		unsigned node = free_node(half, order - 1);

		map->bit[node / 64] |= 1ULL << node % 64;
		map->counts += free_unit(order - 1);
	}
	return low && high;
}

static struct free_map model(const struct held *held)
{
	struct free_map map = {0};

	if (model_free(held, &map, 0, MAX_ORDER)) {
		map.bit[0] |= 2;
		map.counts += free_unit(MAX_ORDER);
	}
	return map;
}

static bool same(const struct free_map *map, const struct held *held)
{
	struct free_map want = model(held);

	return !memcmp(map, &want, sizeof(want)) && free_map_ok(map);
}

/* ---- each query of a map, answered bit by bit ---- */

static bool bit_of(const struct free_map *map, unsigned page, unsigned order)
{
	unsigned node = free_node(page, order);

	return map->bit[node / 64] >> node % 64 & 1;
}

static void expect_answers(struct ktest *t, const struct free_map *map)
{
	int largest = FREE_MAP_NONE, fitting[NR_ORDERS + 1], order;
	unsigned page;

	fitting[NR_ORDERS] = FREE_MAP_NONE;
	for (order = MAX_ORDER; order >= 0; order--) {
		unsigned nr = 0;

		for (page = 0; page < PAGES; page += 1U << order)
			nr += bit_of(map, page, (unsigned)order);
		EXPECT_EQ(t, free_map_count(map, (unsigned)order), nr);
		largest = nr && largest < 0 ? order : largest;
		for (page = 0; nr && !bit_of(map, page, (unsigned)order); page += 1U << order)
			;
		if (nr)
			EXPECT_EQ(t, free_map_first(map, (unsigned)order), page);
		fitting[order] = nr ? order : fitting[order + 1];
		EXPECT_EQ(t, free_map_fitting(map, (unsigned)order), fitting[order]);
	}
	EXPECT_EQ(t, free_map_largest(map), largest);
	for (page = 0; page < PAGES; page++) {
		int at = FREE_MAP_NONE;

		for (order = 0; order < NR_ORDERS; order++)
			at = bit_of(map, page, (unsigned)order) ? order : at;
		EXPECT_EQ(t, free_map_order_at(map, page), at);
	}
}

/* ---- each operation, in the model too ---- */

static void do_take(struct ktest *t, struct free_map *map, struct held *held, unsigned order)
{
	int have = free_map_fitting(map, order), page;
	struct free_map before = *map;
	unsigned had;

	page = free_map_take(map, order, &had);
	EXPECT_EQ(t, page >= 0, have >= 0);
	/* The taken pages are the first pages of a free block of order @have. */
	if (page >= 0 && have >= 0) {
		EXPECT_EQ(t, had, have);
		EXPECT(t,
		    !(page & ((1 << have) - 1)) && bit_of(&before, (unsigned)page, (unsigned)have));
	}
	if (page >= 0)
		held->at[page] = (u8)(order + 1);
}

static void do_take_at(
    struct ktest *t, struct free_map *map, struct held *held, unsigned page, unsigned order)
{
	int at = free_map_order_at(map, page);
	struct free_map before = *map;
	bool took = free_map_take_at(map, page, order);

	EXPECT_EQ(t, took, at >= (int)order);
	if (took)
		held->at[page] = (u8)(order + 1);
	else
		EXPECT(t, !memcmp(map, &before, sizeof(before)));
}

/* Take up to @max blocks of one word, of an order that has a free block. */
static void do_take_word(
    struct ktest *t, struct free_map *map, struct held *held, unsigned order, unsigned max)
{
	unsigned begin = free_node(0, order), first, nr, node;
	struct free_map before = *map;
	u64 bits = free_map_take_word(map, order, max, &first);

	EXPECT_EQ(t, first % 64, 0);
	for (nr = 0; bits; bits &= bits - 1, nr++) {
		unsigned taken = first + lowest_bit(bits);

		EXPECT(t, taken >= begin && taken < 2 * begin);
		taken = (taken << order) - PAGES;
		REQUIRE(t, taken < PAGES && bit_of(&before, taken, order) && !held->at[taken]);
		held->at[taken] = (u8)(order + 1);
	}
	EXPECT(t, nr > 0 && nr <= max);
	/* If fewer than @max were taken, the word has no free block of this order left. */
	for (node = MAX(begin, first); nr < max && node < MIN(2 * begin, first + 64); node++)
		EXPECT(t, !bit_of(map, (node << order) - PAGES, order));
}

static void do_put(struct ktest *t, struct free_map *map, struct held *held, unsigned page)
{
	unsigned order = held->at[page] - 1u, merged = free_map_put(map, page, order);

	held->at[page] = 0;
	EXPECT_EQ(t, merged, free_map_order_at(map, page));
}

/* ---- every state ---- */

/*
 * Number of states of a pageblock of order 3: a(0) = 2, a(k + 1) = a(k) * a(k) + 1, since a block
 * may also be held whole.
 */
#define STATES 677
static struct {
	struct held held[STATES + 1];
	struct free_map map[STATES + 1];
	unsigned nr;
} all;

static void reached(struct ktest *t, const struct free_map *map, const struct held *held)
{
	unsigned i = 0;

	EXPECT(t, same(map, held));
	while (i < all.nr && memcmp(&all.held[i], held, sizeof(*held)) != 0)
		i++;
	if (i < all.nr || all.nr > STATES)
		return;
	all.held[all.nr] = *held;
	all.map[all.nr++] = *map;
	expect_answers(t, map);
}

static void every_operation_from(struct ktest *t, unsigned from)
{
	struct free_map map;
	struct held held;
	unsigned order, page;

	for (order = 0; order < NR_ORDERS; order++) {
		map = all.map[from];
		held = all.held[from];
		do_take(t, &map, &held, order);
		reached(t, &map, &held);
		for (page = 1; page <= free_map_count(&all.map[from], order); page++) {
			map = all.map[from];
			held = all.held[from];
			do_take_word(t, &map, &held, order, page);
			reached(t, &map, &held);
		}
		for (page = 0; page < PAGES; page += 1U << order) {
			map = all.map[from];
			held = all.held[from];
			do_take_at(t, &map, &held, page, order);
			reached(t, &map, &held);
		}
	}
	for (page = 0; page < PAGES; page++) {
		map = all.map[from];
		held = all.held[from];
		if (!held.at[page])
			continue;
		do_put(t, &map, &held, page);
		reached(t, &map, &held);
	}
}

KTEST_SUITE(free_map, KTEST_QUICK);

KTEST(every_state_of_a_small_pageblock)
{
	struct held none = {{0}};
	struct free_map map = model(&none);
	unsigned i;

	if (PAGEBLOCK_ORDER != 3) {
		ktest_skip(t, "there are too many states of a larger one");
		return;
	}
	all.nr = 0;
	reached(t, &map, &none);
	for (i = 0; i < all.nr && all.nr <= STATES; i++)
		every_operation_from(t, i);
	EXPECT_EQ(t, all.nr, STATES);
}

/* ---- a long walk ---- */

/*
 * One random operation. If @full, takes are more frequent than puts, else puts are more frequent.
 */
static void random_step(
    struct ktest *t, struct free_map *map, struct held *held, u64 *rand, bool full)
{
	unsigned order = ktest_rand(rand) % NR_ORDERS, page = ktest_rand(rand) % PAGES, i;

	order = ktest_rand(rand) % 4 ? order / 3 : order;
	if (ktest_rand(rand) % 4 == (full ? 0 : 1)) {
		do_take_at(t, map, held, page & ~((1U << order) - 1), order);
	} else if (ktest_rand(rand) % 8 < (full ? 6 : 2)) {
		if (page % 8 == 0 && free_map_count(map, order))
			do_take_word(t, map, held, order, 1 + page / 8);
		else
			do_take(t, map, held, order);
	} else {
		for (i = 0; i < PAGES && !held->at[(page + i) % PAGES]; i++)
			;
		if (i < PAGES)
			do_put(t, map, held, (page + i) % PAGES);
	}
}

KTEST(random_walk_agrees_with_the_model)
{
	struct held held = {{0}};
	struct free_map map = model(&held);
	u64 rand = 20;
	unsigned step;

	for (step = 0; step < 6000; step++) {
		random_step(t, &map, &held, &rand, step / 600 % 2 == 0);
		REQUIRE(t, same(&map, &held));
		if (step % 50 == 0)
			expect_answers(t, &map);
	}
}

/* The first word has the nodes of several orders. */
KTEST(a_word_gives_blocks_of_one_order_only)
{
	unsigned order, page, first = 0;
	struct free_map half = {0};

	for (order = MAX_ORDER - 1; order > 0 && 2u << (MAX_ORDER - order) < 64; order--) {
		struct free_map map = {0};
		u64 bits;

		free_map_put(&map, 0, order - 1);
		free_map_put(&map, 1U << order, order);
		bits = free_map_take_word(&map, order, 2, &first);
		EXPECT_EQ(t, bits, 1ULL << (free_node(1U << order, order) - first) % 64);
		EXPECT_EQ(t, free_map_order_at(&map, 0), order - 1);
	}
	/* As many blocks of one order as there can be. */
	for (page = 0; page < PAGES; page += 2)
		free_map_put(&half, page, 0);
	EXPECT(t, free_map_take(&half, 0, &order) != FREE_MAP_NONE);
	EXPECT(t, free_map_take_word(&half, 0, PAGES / 2, &first));
}

/* A pageblock that is taken page by page and given back in any order is one block again. */
KTEST(a_pageblock_joins_again)
{
	struct held held = {{0}};
	struct free_map map = model(&held);
	unsigned page, had, step = PAGES / 2 + 3; /* odd, so it reaches every page */

	for (page = 0; page < PAGES; page++)
		EXPECT_EQ(t, free_map_take(&map, 0, &had), page);
	EXPECT_EQ(t, free_map_take(&map, 0, &had), FREE_MAP_NONE);
	EXPECT_EQ(t, map.counts, 0);
	for (page = 0; page < PAGES; page++)
		free_map_put(&map, page * step % PAGES, 0);
	EXPECT(t, same(&map, &held));
	EXPECT_EQ(t, free_map_count(&map, MAX_ORDER), 1);
}

/* ---- faults that free_map_ok must find ---- */

KTEST(damage_is_noticed)
{
	struct held held = {{0}};
	struct free_map map = model(&held);

	EXPECT(t, free_map_ok(&map));
	map.counts += free_unit(0);
	EXPECT(t, !free_map_ok(&map)); /* a count too high */
	map.bit[0] |= 4;
	map.counts = free_unit(MAX_ORDER) + free_unit(MAX_ORDER - 1);
	EXPECT(t, !free_map_ok(&map)); /* free twice */
	map.bit[0] = 4 | 8;
	map.counts = 2 * free_unit(MAX_ORDER - 1);
	EXPECT(t, !free_map_ok(&map)); /* buddies that are not merged */
	map.bit[0] = 3;
	map.counts = free_unit(MAX_ORDER);
	EXPECT(t, !free_map_ok(&map)); /* a bit that belongs to no block */
	map.bit[0] = 2;
	EXPECT(t, free_map_ok(&map));
}

/* Blocks are set and cleared one by one, as in a list of free blocks. */
KTEST(set_and_clear_note_single_blocks)
{
	struct free_map map = {0};

	free_map_set(&map, 1, 0);
	EXPECT_EQ(t, free_map_largest(&map), 0);
	if (MAX_ORDER > 3)
		free_map_set(&map, 8, 3);
	EXPECT_EQ(t, free_map_largest(&map), MAX_ORDER > 3 ? 3 : 0);
	EXPECT(t, free_map_ok(&map));
	if (MAX_ORDER > 3)
		free_map_clear(&map, 8, 3);
	free_map_set(&map, 4, MAX_ORDER > 3 ? 2 : 0);
	free_map_clear(&map, 4, MAX_ORDER > 3 ? 2 : 0);
	EXPECT_EQ(t, map.counts, free_unit(0));
	free_map_clear(&map, 1, 0);
	EXPECT_EQ(t, map.counts, 0);
	EXPECT_EQ(t, free_map_largest(&map), FREE_MAP_NONE);
	EXPECT(t, free_map_ok(&map));
}
