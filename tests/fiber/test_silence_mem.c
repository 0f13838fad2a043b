/* SPDX-License-Identifier: MIT */
/*
 * test_silence_mem.c: a virtio-mem device accepts requests and answers none: its effect on an
 * offline, a cpu_down and an allocation.
 */
#include "tests/lib/vmem_help.h"

#include "tests/fiber/silence_help.h"

#define PATIENCE (1 * S)

static u32 no_answer(struct pretend *p, const struct pretend_buf *buf)
{
	return NO_ANSWER;
}

static int followed;

static void follow(void *arg)
{
	followed = virtio_mem_follow(arg);
}

/*
 * Change the size from 3 blocks to @blocks while the device answers nothing; after a reset the
 * driver follows the change.
 */
static void silent_while(struct ktest *t, unsigned blocks)
{
	struct page *page;
	u64 began;

	pretend_dev.serve = no_answer;
	vmem_ask_for(blocks);
	followed = 1;
	ktest_start(2, follow, &vmem_dev);
	thread_sleep(100 * MS);
	began = arch_clock_ns();
	EXPECT_EQ(t, followed, 1);
	EXPECT_EQ(t, offline_pages(vmem, 0, PAGEBLOCK_PAGES, NULL, NULL), 0);
	EXPECT_EQ(t, online_pages(vmem, 0, PAGEBLOCK_PAGES, NULL), 0);
	EXPECT_EQ(t, cpu_down(2), 0);
	page = mem_alloc_pages(vmem, GFP_MOVABLE, 0);
	EXPECT(t, page && !mem_free_pages(vmem, page, 0));
	EXPECT_TOOK(t, arch_clock_ns() - began, 0);
	ktest_join(2);
	EXPECT_TOOK(t, arch_clock_ns() - began + 100 * MS, VIRTIO_PATIENCES * PATIENCE);
	EXPECT_EQ(t, followed, -EIO);
	EXPECT_EQ(t, cpu_up(2), 0);
	/*
	 * The device gets no request before it is reset; then it is asked for the plugged units,
	 * which are as before.
	 */
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), -EIO);
	pretend_dev.serve = serve;
	EXPECT_EQ(t, virtio_mem_restart(&vmem_dev), 0);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	expect_units(t, blocks, blocks);
}

KTEST_SUITE(silence_mem, 0);

KTEST(silent_memory_device_blocks_no_caller)
{
	REQUIRE(t, vmem_begin(t));
	pretend_dev.dev.patience_ns = PATIENCE;
	vmem_ask_for(3);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	silent_while(t, 5);
	silent_while(t, 2);
	vmem_end(t);
}
