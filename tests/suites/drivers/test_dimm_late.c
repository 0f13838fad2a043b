/* SPDX-License-Identifier: MIT */
/*
 * test_dimm_late.c: another operation works on a module's memory between two steps of the driver:
 * add_memory and online_pages, or offline_pages and remove_memory. The test includes the source of
 * drivers/dimm.c, to step in between. Hosted only.
 */
#include "tests/lib/slots_help.h"

#define FREE   (START + BLOCK(2 * SIZE)) /* no memory is here */
#define BLOCKS 4u                        /* pageblocks of the module */

static unsigned online_before; /* pageblocks that the other operation brings online */

static int online_late(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	if (online_before && online_pages(mem, start, BLOCK(online_before), NULL))
		panic("test: the memory does not come online");
	return online_pages(mem, start, nr, fail);
}

static bool claimed;        /* another operation has claimed the memory when it is to be removed */
static bool offline_before; /* another operation takes it offline before that */

static int remove_late(struct memory *mem, pfn_t start, unsigned long nr)
{
	if (offline_before && offline_pages(mem, start, nr, NULL, NULL))
		panic("test: the memory does not go offline");
	return claimed ? -EBUSY : remove_memory(mem, start, nr);
}

int late_take(void *arg, const struct slot_device *dev, const char **why);
int late_give(void *arg, const struct slot_device *dev, const char **why);
bool late_used(void *arg, const struct slot_device *dev);
bool late_again(void *arg, const struct slot_device *dev);

#define online_pages  online_late
#define remove_memory remove_late
#define dimm_take     late_take
#define dimm_give     late_give
#define dimm_used     late_used
#define dimm_again    late_again
#include "drivers/dimm.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef online_pages

static const struct slot_device dev = {
    .address = (u64)FREE << PAGE_SHIFT, .size = (u64)BLOCK(BLOCKS) << PAGE_SHIFT};

static struct dimm_user user_of(struct memory *mem)
{
	static const u32 domain[1] = {0};

	return (struct dimm_user){.mem = mem, .domain = domain, .nr_nodes = 1};
}

KTEST_SUITE(dimm_late, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* Memory in use must go offline before its module is ejected. */
KTEST(memory_that_others_use_is_not_ejected,
    .says = "slots: DIMM slot 0, * MiB at *, domain 0: in use\n"
            "slots: blocker: pfn *: partly offline\n"
            "slots: DIMM slot 0, * MiB at *, domain 0: cannot leave\n"
            "slots:   error EINVAL: partly offline\n"
            "slots: DIMM slot 0, * MiB at *, domain 0: in use\n"
            "slots: DIMM slot 0, * MiB at *, domain 0: gone\n")
{
	for (online_before = 1; online_before <= BLOCKS; online_before += BLOCKS - 1) {
		struct memory *mem = one_node(t);
		struct dimm_user dimms = user_of(mem);
		const struct slot_user user = {.take = late_take, .give = late_give, .arg = &dimms};

		REQUIRE(t, mem);
		slots_begin(SLOT_MEMORY);
		slot_bank_init(&slots_bank, SLOT_MEMORY, &fake_regs, &user, NR);
		slots_insert(0, dev.address, dev.size, 0);
		EXPECT_EQ(t, slots_bank.slot[0].state, SLOT_USED);
		slots_eject(0);
		/* A module that is partly offline stays, one that is online goes offline first. */
		EXPECT_EQ(t, fake_slots.slot[0].ejected, online_before == BLOCKS);
		EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(BLOCKS)), PB_ONLINE),
		    online_before % BLOCKS);
		drop_memory(t, mem);
	}
}

/* The driver finds the memory online already; before it acts on that, the memory goes offline. */
KTEST(module_offlined_meanwhile_is_refused)
{
	struct memory *mem = NEED(t, one_node(t));
	struct dimm_user user = user_of(mem);
	const char *why = NULL;

	online_before = BLOCKS;
	offline_before = true;
	EXPECT_EQ(t, late_take(&user, &dev, &why), -EAGAIN);
	offline_before = false;
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(BLOCKS)), PB_HOLE), BLOCKS);
	drop_memory(t, mem);
}

/* The module stays as it was: online, or offline if an operator has taken it offline. */
KTEST(module_that_cannot_be_removed_stays_as_it_was)
{
	struct memory *mem = NEED(t, one_node(t));
	struct dimm_user user = user_of(mem);
	const char *why = NULL;

	online_before = 0;
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
