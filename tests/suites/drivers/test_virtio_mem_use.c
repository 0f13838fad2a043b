/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_mem_use.c: the virtio-mem driver with memory in use, with requests that change, and
 * without memory for descriptors.
 */
#include "tests/lib/movable_help.h"
#include "tests/lib/vmem_help.h"

static struct movable_owner owner;
static struct page *held;
static unsigned tries; /* steps of a migration before the host's request changes */
static unsigned new_wish;

static int hold_isolate(struct memory *m, struct page *page)
{
	return 0;
}

static int hold_migrate(
    struct movable_owner *o, struct memory *m, struct page *dst, struct page *src)
{
	if (++tries >= 3)
		vmem_ask_for(new_wish);
	return -EAGAIN;
}

static bool hold_putback(struct memory *m, struct page *page)
{
	return true;
}

static const struct movable_ops hold_ops = {
    .isolate = hold_isolate, .migrate = hold_migrate, .putback = hold_putback};

/* Hold a movable page in pageblock @block of the region. */
static bool hold_page(struct ktest *t, unsigned block)
{
	pfn_t want = (vmem_config.addr >> PAGE_SHIFT) + block * PAGEBLOCK_PAGES;
	struct pile pile = {NULL, 0};
	struct page *page;

	owner = (struct movable_owner){.ops = &hold_ops};
	tries = 0;
	held = NULL;
	while (!held && (page = mem_alloc_pages(vmem, GFP_MOVABLE | GFP_NOWAIT, 0))) {
		if (ALIGN_DOWN(page_to_pfn_in(vmem, page), PAGEBLOCK_PAGES) == want)
			held = page;
		else
			pile_push(&pile, page);
	}
	EXPECT_EQ(t, pile_free(vmem, &pile), 0);
	if (held)
		make_movable(vmem, held, &owner, 0);
	return held;
}

/* The host requests another size right after the driver has read the last of the size. */
static void request_once_more(struct pretend *p, unsigned at)
{
	if (at != offsetof(struct virtio_mem_config, requested_size) + 4)
		return;
	p->on_read = NULL;
	vmem_ask_for(new_wish);
}

/* The driver reads a request for @units, and the next request comes right after that. */
static void change_request_after(struct ktest *t, unsigned units)
{
	REQUIRE(t, vmem_begin(t));
	new_wish = 7;
	vmem_ask_for(units);
	pretend_dev.on_read = request_once_more;
	do
		EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	while (READ_ONCE(pretend_dev.dev.config_changed));
	expect_units(t, 7, 7);
	vmem_end(t);
}

KTEST_SUITE(virtio_mem_use, KTEST_QUICK);

KTEST(request_changed_after_it_was_read_is_followed)
{
	change_request_after(t, 3);
}

/* The memory has the size that the driver reads, so the driver makes no step. */
KTEST(request_changed_while_the_size_is_right_is_followed)
{
	change_request_after(t, 0);
}

KTEST(pinned_unit_stays_and_the_others_are_unplugged, KTEST_SLOW)
{
	REQUIRE(t, vmem_begin(t));
	vmem_ask_for(8);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	REQUIRE(t, hold_page(t, 5));
	EXPECT_EQ(t, pin_page(held), 0);
	vmem_ask_for(0);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), -EBUSY);
	expect_units(t, 1, 1);
	EXPECT_EQ(t, vmem_dev.fail.why, WHY_PINNED);
	EXPECT_EQ(t, vmem_dev.fail.pfn, page_to_pfn_in(vmem, held));
	/*
	 * The unplug fails again. It succeeds when the pinned unit is not among the units to
	 * remove.
	 */
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), -EBUSY);
	vmem_ask_for(4);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	expect_units(t, 4, 4);
	mem_unpin_page(vmem, held);
	page_release_movable(vmem, held);
	vmem_end(t);
}

KTEST(new_request_cancels_an_unplug)
{
	REQUIRE(t, vmem_begin(t));
	vmem_ask_for(6);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	REQUIRE(t, hold_page(t, 5));
	new_wish = 6;
	vmem_ask_for(2);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	EXPECT(t, tries >= 3);
	expect_units(t, 6, 6);
	EXPECT_EQ(t, mm_event_sum(vmem, EV_OFFLINE_FAIL), 1);
	page_release_movable(vmem, held);
	vmem_end(t);
}

/* Pages in use need free memory elsewhere, so the unplug ends when no more memory is free. */
KTEST(unplug_stops_when_no_free_memory_is_left, KTEST_SLOW)
{
	REQUIRE(t, vmem_begin(t));
	vmem_ask_for(REGION_BLOCKS);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	REQUIRE(t, vmem_fill(t));
	vmem_ask_for(0);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), -ENOMEM);
	EXPECT(t, vmem_dev.nr_plugged < REGION_BLOCKS && vmem_dev.nr_plugged >= REGION_BLOCKS - 4);
	EXPECT_EQ(t, vmem_dev.fail.why, WHY_LAST);
	expect_units(t, (unsigned)vmem_dev.nr_plugged, (unsigned)vmem_dev.nr_plugged);
	mov_end(t);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	vmem_end(t);
}

/* A unit that was offlined at the prompt is unplugged too, and blocks no other unit. */
KTEST(manually_offlined_unit_is_unplugged)
{
	pfn_t start;

	REQUIRE(t, vmem_begin(t));
	vmem_ask_for(8);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	start = vmem_config.addr >> PAGE_SHIFT;
	EXPECT_EQ(
	    t, offline_pages(vmem, start + 5 * PAGEBLOCK_PAGES, PAGEBLOCK_PAGES, NULL, NULL), 0);
	vmem_ask_for(2);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	expect_units(t, 2, 2);
	EXPECT_EQ(t, offline_pages(vmem, start, 2 * PAGEBLOCK_PAGES, NULL, NULL), 0);
	vmem_end(t);
}

/* Of eight units one was removed by hand, and another one is being worked on. */
KTEST(removed_unit_is_unplugged)
{
	struct range_claim claim;
	pfn_t start;

	REQUIRE(t, vmem_begin(t));
	vmem_ask_for(8);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	start = vmem_config.addr >> PAGE_SHIFT;
	EXPECT_EQ(t, offline_pages(vmem, start + PAGEBLOCK_PAGES, PAGEBLOCK_PAGES, NULL, NULL), 0);
	EXPECT_EQ(t, remove_memory(vmem, start + PAGEBLOCK_PAGES, PAGEBLOCK_PAGES), 0);
	claim.range = pfn_range(start + 3 * PAGEBLOCK_PAGES, PAGEBLOCK_PAGES);
	claim.stays = true;
	EXPECT_EQ(t, range_claim(vmem, &claim), 0);
	vmem_ask_for(1);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	expect_units(t, 1, 1);
	EXPECT_EQ(t, pageblock_state(pageblock_of(vmem, claim.range.start)), PB_ONLINE);
	range_unclaim(vmem, &claim);
	vmem_end(t);
}

/* One of four units that are not in use is added at the prompt; then the host wants @wanted. */
static void add_by_hand(struct ktest *t, unsigned wanted)
{
	pfn_t start;

	REQUIRE(t, vmem_begin(t));
	vmem_ask_for(4);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	vmem_set_fault(VIRTIO_MEM_REQ_UNPLUG, VIRTIO_MEM_RESP_BUSY, true);
	vmem_ask_for(0);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), -EBUSY);
	expect_units(t, 4, 0);
	start = vmem_config.addr >> PAGE_SHIFT;
	EXPECT_EQ(t, add_memory(vmem, start, PAGEBLOCK_PAGES, vmem_dev.node), 0);
	EXPECT_EQ(t, online_pages(vmem, start, PAGEBLOCK_PAGES, NULL), 0);
	vmem_ask_for(wanted);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	expect_units(t, wanted, wanted);
	vmem_end(t);
}

KTEST(manually_added_unit_goes_offline_before_it_is_unplugged, .reports = "pretend: UNPLUG of")
{
	add_by_hand(t, 0);
}

KTEST(manually_added_unit_stays_in_use, .reports = "pretend: UNPLUG of")
{
	add_by_hand(t, 4);
}

/* ---- no memory for descriptors ---- */

static int fail_grow(struct memory *m, pfn_t start, unsigned long nr)
{
	return -ENOMEM;
}

static int no_map(struct memory *m, pfn_t start, unsigned long nr)
{
	return vmem_fault.requested == 1 ? -ENOMEM : 0;
}

static void no_unmap(struct memory *m, pfn_t start, unsigned long nr)
{
}

KTEST(unit_that_cannot_be_added_stays_plugged, .reports = "cannot be added: error E")
{
	static const struct memory_arrays poor = {
	    .map = no_map, .unmap = no_unmap, .grow = fail_grow, .shrink = no_unmap};

	REQUIRE(t, vmem_begin(t));
	vmem->arrays = &poor;
	vmem_fault.requested = 1;
	vmem_ask_for(5);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), -ENOMEM);
	vmem->arrays = NULL;
	EXPECT(t, vmem_dev.nr_plugged > 0);
	expect_units(t, (unsigned)vmem_dev.nr_plugged, 0);
	/* The host changes its request: the units go back without having been used. */
	vmem_ask_for(0);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	expect_units(t, 0, 0);
	vmem->arrays = &poor;
	vmem_ask_for(5);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), -ENOMEM);
	vmem->arrays = NULL;
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	expect_units(t, 5, 5);
	vmem_end(t);
}
