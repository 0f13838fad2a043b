/* SPDX-License-Identifier: MIT */
/*
 * test_device_pages.c: the drivers of virtio-mem and the balloon give back each of the kernel's own
 * pages, at whatever step they fail; and a lent page leaves the balloon's list before it is free.
 * Hosted only: in the kernel other code allocates meanwhile.
 */
#include "tests/host/moment.h"
#include "tests/lib/balloon_help.h"
#include "tests/lib/vmem_help.h"

static unsigned long kernel_pages(void)
{
	drain_all_pages(&kernel_memory, NULL);
	return memory_free_pages(&kernel_memory);
}

static u32 keep(struct pretend *p, const struct pretend_buf *buf)
{
	return NO_ANSWER;
}

/* Devices, and the result of opening a driver for each. */
static const struct stop {
	u64 offered;      /* features besides VERSION_1; ~0: not even VERSION_1 */
	unsigned size[3]; /* size of each queue */
	int err;
} stops[] = {
    {0, {64, 64, 64}, 0},
    {1ULL << VIRTIO_BALLOON_F_STATS_VQ, {64, 64, 64}, 0},
    {~0ULL, {64, 64, 64}, -ENODEV},
    {0, {0, 64, 64}, -ENODEV},
    {0, {64, 0, 64}, -ENODEV},
    {1ULL << VIRTIO_BALLOON_F_STATS_VQ, {64, 64, 0}, -ENODEV},
};

KTEST_SUITE(device_pages, KTEST_QUICK);

KTEST(balloon_driver_gives_every_page_back, .reports = "pretend: a legacy device: left alone")
{
	unsigned long before;
	unsigned i;
	int err;

	vmem = NEED(t, ktest_memory(t, 0, 2, 4));
	for (i = 0; i < ARRAY_SIZE(stops); i++) {
		const struct stop *s = &stops[i];

		pretend_init(&pretend_dev, t, s->offered, keep);
		if (s->offered == ~0ULL)
			pretend_dev.offered = 1;
		memcpy(pretend_dev.size, s->size, sizeof(s->size));
		before = kernel_pages();
		err = balloon_open(&balloon, &pretend_dev.dev, vmem);
		EXPECT_EQ(t, err, s->err);
		EXPECT_EQ(t, before - kernel_pages(), s->err ? 0 : s->offered ? 4 : 3);
		if (!err)
			balloon_close(&balloon);
		EXPECT_EQ(t, kernel_pages(), before);
	}
}

KTEST(virtio_mem_driver_gives_every_page_back,
    .reports = "pretend: a legacy device: left alone|pretend: the device says what makes no sense: "
               "block size (|pretend: STATE of|pretend: reset, and asked again what is plugged")
{
	unsigned long before;
	unsigned how;
	int err;

	REQUIRE(t, vmem_begin(t));
	virtio_mem_close(&vmem_dev);
	/* The page of the driver's small objects is allocated already. */
	for (how = 0; how < 5; how++) {
		before = kernel_pages();
		pretend_dev.size[0] = how == 1 ? 0 : 64;
		pretend_dev.offered = how == 2 ? 1 : 1ULL << VIRTIO_F_VERSION_1;
		vmem_config.block_size = how == 3 ? 12345 : BLOCK_BYTES;
		vmem_set_config();
		vmem_set_fault(
		    how == 4 ? VIRTIO_MEM_REQ_STATE : NO_FAULT, VIRTIO_MEM_RESP_ERROR, false);
		err = virtio_mem_open(&vmem_dev, &pretend_dev.dev, vmem);
		EXPECT_EQ(t, err, how == 0 ? 0 : how < 3 ? -ENODEV : -EIO);
		EXPECT_EQ(t, before - kernel_pages(), how ? 0 : 2);
		if (!err)
			virtio_mem_close(&vmem_dev);
		EXPECT_EQ(t, kernel_pages(), before);
	}
	/* After a restart the driver holds one page for its queue; after a failed restart none. */
	vmem_set_fault(NO_FAULT, 0, false);
	REQUIRE(t, virtio_mem_open(&vmem_dev, &pretend_dev.dev, vmem) == 0);
	EXPECT_EQ(t, virtio_mem_restart(&vmem_dev), 0);
	EXPECT_EQ(t, before - kernel_pages(), 2);
	pretend_dev.size[0] = 0;
	EXPECT_EQ(t, virtio_mem_restart(&vmem_dev), -ENODEV);
	EXPECT_EQ(t, before - kernel_pages(), 1);
	virtio_mem_close(&vmem_dev);
	EXPECT_EQ(t, kernel_pages(), before);
}

static struct ktest *now;

/* A page is about to be free: whoever gets it uses its links. */
static void look_at_list(void)
{
	pfn_t pfn;

	for (pfn = balloon.first; pfn != PFN_NONE; pfn = pfn_to_page_in(balloon.mem, pfn)->next)
		EXPECT(now, pfn_to_page_in(balloon.mem, pfn)->owner);
}

KTEST(lent_page_leaves_its_list_before_it_is_free)
{
	struct page *page;

	now = t;
	REQUIRE(t, balloon_begin(t));
	LEND(t, 3, 0, 3);
	page = pfn_to_page_in(balloon.mem, balloon.first);
	REQUIRE(t, balloon.nr == 3 && !isolate_movable_page(balloon.mem, balloon.first));
	EXPECT_AT(t, migrate_pages(balloon.mem, &page, 1, NULL), 0, .point = "own.released",
	    .act = look_at_list);
	EXPECT_AT(t, balloon_resize(2), 0, .point = "own.released", .act = look_at_list);
	balloon_end(t);
}
