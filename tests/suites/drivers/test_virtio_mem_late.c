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

KTEST_SUITE(virtio_mem_late, KTEST_QUICK);

/* Memory that is partly online is unplugged later; claimed memory is removed and tried again. */
KTEST(memory_changed_before_it_comes_online_is_used_or_removed)
{
	static const struct {
		int (*between)(struct memory *mem, pfn_t start, unsigned long nr);
		int err;
		unsigned used, used_again;
	} cases[] = {{online_all, 0, 8, 8}, {online_some, 0, 1, 1}, {claim, -EBUSY, 0, 8}};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		REQUIRE(t, i ? vmem_begin_again(t) : vmem_begin(t));
		between = cases[i].between;
		vmem_ask_for(8);
		EXPECT_EQ(t, late_follow(&vmem_dev), cases[i].err);
		expect_units(t, 8, cases[i].used);
		if (cases[i].err)
			EXPECT_EQ(t, late_follow(&vmem_dev), 0);
		expect_units(t, 8, cases[i].used_again);
		vmem_ask_for(0);
		EXPECT_EQ(t, late_follow(&vmem_dev), 0);
		expect_units(t, 0, 0);
		vmem_end(t);
	}
}
