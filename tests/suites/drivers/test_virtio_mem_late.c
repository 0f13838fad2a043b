/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_mem_late.c: the virtio-mem driver when another operation gets at memory between the
 * driver's add_memory and its online_pages. It includes the source of drivers/virtio_mem.c, to step
 * in between. Hosted only.
 */
#include "tests/lib/vmem_help.h"

static int (*between)(struct memory *mem, pfn_t start, unsigned long nr); /* 0: go on */

static int online_late(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	int (*now)(struct memory *, pfn_t, unsigned long) = between;
	int err;

	between = NULL;
	err = now ? now(mem, start, nr) : 0;
	return err ? err : online_pages(mem, start, nr, fail);
}

int late_follow(struct virtio_mem *vm);
int late_restart(struct virtio_mem *vm);
int late_open(struct virtio_mem *vm, struct virtio_device *dev, struct memory *mem);
void late_close(struct virtio_mem *vm);

#define online_pages       online_late
#define virtio_mem_follow  late_follow
#define virtio_mem_restart late_restart
#define virtio_mem_open    late_open
#define virtio_mem_close   late_close
#include "drivers/virtio_mem.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef online_pages

static int online_all(struct memory *mem, pfn_t start, unsigned long nr)
{
	return online_pages(mem, start, nr, NULL);
}

static int online_some(struct memory *mem, pfn_t start, unsigned long nr)
{
	return online_pages(mem, start, PAGEBLOCK_PAGES, NULL);
}

static int claim(struct memory *mem, pfn_t start, unsigned long nr)
{
	return -EBUSY;
}

/* Plug eight units, with @meanwhile in between: @used of them are in use. Then unplug all. */
static void plug_and_unplug(
    struct ktest *t, int (*meanwhile)(struct memory *, pfn_t, unsigned long), unsigned used)
{
	REQUIRE(t, vmem_begin(t));
	between = meanwhile;
	vmem_ask_for(8);
	EXPECT_EQ(t, late_follow(&vmem_dev), 0);
	expect_units(t, 8, used);
	vmem_ask_for(0);
	EXPECT_EQ(t, late_follow(&vmem_dev), 0);
	expect_units(t, 0, 0);
	vmem_end(t);
}

KTEST_SUITE(virtio_mem_late, KTEST_QUICK);

KTEST(memory_that_is_online_already_is_in_use)
{
	plug_and_unplug(t, online_all, 8);
}

KTEST(memory_that_is_partly_online_is_unplugged_later)
{
	plug_and_unplug(t, online_some, 1);
}

KTEST(claimed_memory_is_removed_and_tried_again)
{
	REQUIRE(t, vmem_begin(t));
	between = claim;
	vmem_ask_for(8);
	EXPECT_EQ(t, late_follow(&vmem_dev), -EBUSY);
	expect_units(t, 8, 0);
	EXPECT_EQ(t, late_follow(&vmem_dev), 0);
	expect_units(t, 8, 8);
	vmem_end(t);
}
