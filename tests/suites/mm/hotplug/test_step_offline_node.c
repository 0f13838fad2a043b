/* SPDX-License-Identifier: MIT */
/*
 * test_step_offline_node.c: offline_node and events between its steps. It includes the source of
 * mm/hotplug/offline_node.c, and replaces the offlines and allocations that it requests. Hosted
 * only.
 */
#include "tests/lib/add_help.h"

static struct {
	unsigned notes;      /* notes of ranges so far */
	unsigned no_note_at; /* number of the note, from 1, that finds no memory; 0: none */
	bool bring_back;     /* another thread onlines pageblock 2 of each range */
	bool to_node_1;      /* another thread moves pageblock @moved of each range to node 1 */
	unsigned moved;
} steps;

static int steps_offline(struct memory *mem, pfn_t start, unsigned long nr,
    const struct offline_opts *opts, struct offline_result *result)
{
	int err = offline_pages(mem, start, nr, opts, result);

	if (!err && steps.bring_back)
		err = online_pages(mem, start + BLOCK(2), BLOCK(1), NULL);
	if (!err && steps.to_node_1)
		err = remove_memory(mem, start + BLOCK(steps.moved), BLOCK(1));
	if (!err && steps.to_node_1)
		err = add_memory(mem, start + BLOCK(steps.moved), BLOCK(1), 1);
	return err;
}

int steps_offline_node(struct memory *mem, unsigned node, const struct offline_opts *opts,
    bool whole, struct node_result *result);
long steps_online_node(struct memory *mem, unsigned node);

#define kmalloc(size) (++steps.notes == steps.no_note_at ? NULL : kmalloc(size))
#define offline_pages steps_offline
#define offline_node  steps_offline_node
#define online_node   steps_online_node
#include "mm/hotplug/offline_node.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static struct node_result res;

static struct memory *begin(struct ktest *t)
{
	static const struct zone_spec specs[] = {
	    {0, ZONE_NORMAL, SIZE}, {0, ZONE_MOVABLE, SIZE}, {1, ZONE_NORMAL, SIZE}};

	memset(&steps, 0, sizeof(steps));
	return build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs));
}

static unsigned count(const struct memory *mem, enum pageblock_state state)
{
	return (unsigned)range_count(mem, pfn_range(0, BLOCK(2 * SIZE)), state);
}

KTEST_SUITE(offline_node_steps, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* Another thread onlines memory before it is noted as offlined with its node. */
KTEST(memory_back_online_is_not_noted_with_its_node)
{
	struct memory *mem = NEED(t, begin(t));

	steps.bring_back = true;
	EXPECT_EQ(t, steps_offline_node(mem, 0, NULL, false, &res), 0);
	EXPECT_EQ(t, count(mem, PB_ONLINE), 2);
	EXPECT_EQ(t, READ_ONCE(pageblock_of(mem, BLOCK(2))->bits) & PB_EVACUATED, 0);
	EXPECT_EQ(t, READ_ONCE(pageblock_of(mem, BLOCK(3))->bits) & PB_EVACUATED, PB_EVACUATED);
	EXPECT_EQ(t, steps.notes, 0);
	EXPECT_EQ(t, steps_online_node(mem, 0), BLOCK(2 * SIZE - 2));
	drop_memory(t, mem);
}

/* Pageblock @moved of each range of zone MOVABLE that is offlined moves to node 1. */
static struct memory *begin_moving(struct ktest *t, unsigned moved)
{
	static const struct zone_spec specs[] = {
	    {0, ZONE_NORMAL, SIZE}, {0, ZONE_MOVABLE, SIZE}, {1, ZONE_MOVABLE, SIZE}};

	memset(&steps, 0, sizeof(steps));
	steps.to_node_1 = true;
	steps.moved = moved;
	return growing(t, 2, specs, ARRAY_SIZE(specs));
}

/* Memory that is removed before it is noted, and added to another node, is of that node. */
KTEST(memory_of_another_node_is_not_noted)
{
	struct memory *mem = NEED(t, begin_moving(t, 2));
	pfn_t moved = START + BLOCK(SIZE + 2);

	EXPECT_EQ(t, steps_offline_node(mem, 0, NULL, false, &res), 0);
	EXPECT_EQ(t, READ_ONCE(pageblock_of(mem, moved)->bits) & PB_EVACUATED, 0);
	EXPECT_EQ(t, steps_online_node(mem, 1), 0);
	EXPECT_EQ(t, state_at(mem, moved), PB_OFFLINE);
	EXPECT_EQ(t, steps_online_node(mem, 0), BLOCK(SIZE - 1));
	drop_memory(t, mem);
}

/* The first pageblock of the range has come to another node: the rest is brought back online. */
KTEST(rest_of_a_moved_range_is_brought_back)
{
	struct memory *mem = NEED(t, begin_moving(t, 0));
	pfn_t moved = START + BLOCK(SIZE);

	/* An offline pageblock divides the zone in two ranges; the second one finds no memory. */
	EXPECT_EQ(t, offline_pages(mem, moved + BLOCK(4), BLOCK(1), NULL, NULL), 0);
	steps.no_note_at = 2;
	EXPECT_EQ(t, steps_offline_node(mem, 0, NULL, true, &res), -ENOMEM);
	EXPECT_EQ(t, zone_of(mem, moved)->node, 1);
	EXPECT_EQ(t, state_at(mem, moved), PB_OFFLINE);
	EXPECT_EQ(t, range_count(mem, pfn_range(moved, BLOCK(SIZE)), PB_ONLINE), SIZE - 2);
	drop_memory(t, mem);
}

/* The range without a note stays online, and those before it are brought back. */
KTEST(offline_node_without_memory_for_its_note_is_undone)
{
	struct memory *mem = NEED(t, begin(t));

	steps.no_note_at = 1;
	EXPECT_EQ(t, steps_offline_node(mem, 0, NULL, true, &res), -ENOMEM);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_OK), 0);
	EXPECT_EQ(t, res.fail.why, WHY_NONE);
	steps.notes = 0;
	steps.no_note_at = 2;
	EXPECT_EQ(t, steps_offline_node(mem, 0, NULL, true, &res), -ENOMEM);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_OK), 1);
	EXPECT_EQ(t, res.offlined, 0);
	EXPECT_EQ(t, res.stayed, 0);
	EXPECT_EQ(t, count(mem, PB_ONLINE), 2 * SIZE);
	/* If offlined ranges may stay offline, no note is needed. */
	steps.notes = 0;
	steps.no_note_at = 1;
	EXPECT_EQ(t, steps_offline_node(mem, 0, NULL, false, &res), 0);
	EXPECT_EQ(t, steps_online_node(mem, 0), BLOCK(2 * SIZE));
	drop_memory(t, mem);
}
