/* SPDX-License-Identifier: MIT */
/*
 * test_dimm_late.c: another operation claims a module's memory between the driver's offline_pages
 * and its remove_memory.  The test includes the source of drivers/dimm.c, to step in between.
 * Hosted only.
 */
#include "tests/lib/slots_help.h"

#define FREE   (START + BLOCK(2 * SIZE)) /* no memory is here */
#define DOMAIN 7u
#define BLOCKS 2u

static bool claimed;

static int remove_unless_claimed(struct memory *mem, pfn_t start, unsigned long nr)
{
	return claimed ? -EBUSY : remove_memory(mem, start, nr);
}

int late_take(void *arg, const struct slot_device *dev, const char **why);
int late_give(void *arg, const struct slot_device *dev, const char **why);

#define remove_memory remove_unless_claimed
#define dimm_take     late_take
#define dimm_give     late_give
#include "drivers/dimm.c" /* NOLINT(bugprone-suspicious-include): the tested source */

/* The module stays as it was: online, or offline if an operator has taken it offline. */
static void module_that_cannot_be_removed_stays_as_it_was(struct ktest *t)
{
	static const u32 domain[1] = {DOMAIN};
	const struct slot_device dev = {.address = (u64)FREE << PAGE_SHIFT,
	    .size = (u64)BLOCK(BLOCKS) << PAGE_SHIFT,
	    .id = DOMAIN};
	struct memory *mem = one_node(t);
	struct dimm_user user = {.mem = mem, .domain = domain, .nr_nodes = 1};
	const char *why = NULL;

	REQUIRE(t, mem);
	claimed = true;
	EXPECT_EQ(t, late_take(&user, &dev, &why), 0);
	EXPECT_EQ(t, late_give(&user, &dev, &why), -EBUSY);
	EXPECT(t, why && !strcmp(why, "another operation works on it"));
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(BLOCKS)), PB_ONLINE), BLOCKS);
	EXPECT_EQ(t, offline_pages(mem, FREE, BLOCK(BLOCKS), NULL, NULL), 0);
	EXPECT_EQ(t, late_give(&user, &dev, &why), -EBUSY);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(BLOCKS)), PB_OFFLINE), BLOCKS);
	claimed = false;
	EXPECT_EQ(t, late_give(&user, &dev, &why), 0);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(BLOCKS)), PB_HOLE), BLOCKS);
	drop_memory(t, mem);
}

KTEST_SUITE(dimm_late, KTEST_QUICK | KTEST_MOSTLY_INSIDE,
    KTEST(module_that_cannot_be_removed_stays_as_it_was));
