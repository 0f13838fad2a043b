/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_mem_turn.c: the virtio-mem driver with memory in use, with requests that change, and
 * without memory for descriptors; and virtio_mem_turn, one pass of its thread: its messages, its
 * restarts of the device, and the pause after it.
 */
#include "tests/lib/mov_help.h"
#include "tests/lib/said_help.h"
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

KTEST_SUITE(virtio_mem_turn, KTEST_QUICK);

/* If the memory has the size that the driver reads, the driver makes no step. */
KTEST(request_changed_after_it_was_read_is_followed)
{
	for (unsigned units = 0; units <= 3; units += 3) {
		REQUIRE(t, units ? vmem_begin_again(t) : vmem_begin(t));
		new_wish = 7;
		vmem_ask_for(units);
		pretend_dev.on_read = request_once_more;
		do
			EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
		while (READ_ONCE(pretend_dev.dev.config_changed));
		expect_units(t, 7, 7);
		vmem_end(t);
	}
}

KTEST(pinned_unit_stays_and_the_others_are_unplugged, KTEST_SLOW)
{
	REQUIRE(t, vmem_begin(t));
	EXPECT_EQ(t, vmem_follow(8), 0);
	REQUIRE(t, hold_page(t, 5));
	EXPECT_EQ(t, pin_page(held), 0);
	FOLLOW(t, 0, -EBUSY, 1, 1);
	EXPECT_EQ(t, vmem_dev.fail.why, WHY_PINNED);
	EXPECT_EQ(t, vmem_dev.fail.pfn, page_to_pfn_in(vmem, held));
	/* It succeeds when the pinned unit is not among the units to remove. */
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), -EBUSY);
	FOLLOW(t, 4, 0, 4, 4);
	mem_unpin_page(vmem, held);
	page_release_movable(vmem, held);
	vmem_end(t);
}

KTEST(new_request_cancels_an_unplug)
{
	REQUIRE(t, vmem_begin(t));
	EXPECT_EQ(t, vmem_follow(6), 0);
	REQUIRE(t, hold_page(t, 5));
	new_wish = 6;
	EXPECT_EQ(t, vmem_follow(2), 0);
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
	EXPECT_EQ(t, vmem_follow(REGION_BLOCKS), 0);
	REQUIRE(t, vmem_fill(t));
	EXPECT_EQ(t, vmem_follow(0), -ENOMEM);
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
	EXPECT_EQ(t, vmem_follow(8), 0);
	start = vmem_config.addr >> PAGE_SHIFT;
	EXPECT_EQ(
	    t, offline_pages(vmem, start + 5 * PAGEBLOCK_PAGES, PAGEBLOCK_PAGES, NULL, NULL), 0);
	FOLLOW(t, 2, 0, 2, 2);
	EXPECT_EQ(t, offline_pages(vmem, start, 2 * PAGEBLOCK_PAGES, NULL, NULL), 0);
	vmem_end(t);
}

/* Of eight units one was removed by hand, and another one is being worked on. */
KTEST(removed_unit_is_unplugged)
{
	struct range_claim claim;
	pfn_t start;

	REQUIRE(t, vmem_begin(t));
	EXPECT_EQ(t, vmem_follow(8), 0);
	start = vmem_config.addr >> PAGE_SHIFT;
	EXPECT_EQ(t, offline_pages(vmem, start + PAGEBLOCK_PAGES, PAGEBLOCK_PAGES, NULL, NULL), 0);
	EXPECT_EQ(t, remove_memory(vmem, start + PAGEBLOCK_PAGES, PAGEBLOCK_PAGES), 0);
	claim.range = pfn_range(start + 3 * PAGEBLOCK_PAGES, PAGEBLOCK_PAGES);
	claim.stays = true;
	EXPECT_EQ(t, range_claim(vmem, &claim), 0);
	FOLLOW(t, 1, 0, 1, 1);
	EXPECT_EQ(t, pageblock_state(pageblock_of(vmem, claim.range.start)), PB_ONLINE);
	range_unclaim(vmem, &claim);
	vmem_end(t);
}

/*
 * Units that are plugged, and added, when another operation has brought all or some of them online:
 * they are in use.  Those that are still offline, with an error, are removed and tried again.
 */
KTEST(units_changed_before_they_come_online_are_used_or_removed, .reports = "cannot be added")
{
	static const unsigned online[] = {8, 1, 0};

	for (unsigned i = 0; i < ARRAY_SIZE(online); i++) {
		struct range_claim claim = {.stays = true};
		unsigned long unit = PAGEBLOCK_PAGES;
		pfn_t start;

		REQUIRE(t, i ? vmem_begin_again(t) : vmem_begin(t));
		start = vmem_config.addr >> PAGE_SHIFT;
		claim.range = pfn_range(start, 8 * unit);
		EXPECT_EQ(t, range_claim(vmem, &claim), 0);
		FOLLOW(t, 8, -EBUSY, 8, 0); /* they are plugged, and cannot be added yet */
		range_unclaim(vmem, &claim);
		EXPECT_EQ(t, add_memory(vmem, start, 8 * unit, vmem_dev.node), 0);
		if (online[i])
			EXPECT_EQ(t, online_pages(vmem, start, online[i] * unit, NULL), 0);
		EXPECT_EQ(t,
		    virtio_mem_use(&vmem_dev, 0, 8,
		        online[i] ? online_pages(vmem, start, 8 * unit, NULL) : -EBUSY),
		    online[i] ? 0 : -EBUSY);
		expect_units(t, 8, online[i]);
		FOLLOW(t, 8, 0, 8, online[i] ? online[i] : 8);
		FOLLOW(t, 0, 0, 0, 0);
		vmem_end(t);
	}
}

/* One of four units that are not in use is added at the prompt; the host wants none, or four. */
KTEST(
    manually_added_unit_is_used_or_goes_offline_before_its_unplug, .reports = "pretend: UNPLUG of")
{
	for (unsigned wanted = 0; wanted <= 4; wanted += 4) {
		pfn_t start;

		REQUIRE(t, wanted ? vmem_begin_again(t) : vmem_begin(t));
		EXPECT_EQ(t, vmem_follow(4), 0);
		vmem_set_fault(VIRTIO_MEM_REQ_UNPLUG, VIRTIO_MEM_RESP_BUSY, true);
		FOLLOW(t, 0, -EBUSY, 4, 0);
		start = vmem_config.addr >> PAGE_SHIFT;
		EXPECT_EQ(t, add_memory(vmem, start, PAGEBLOCK_PAGES, vmem_dev.node), 0);
		EXPECT_EQ(t, online_pages(vmem, start, PAGEBLOCK_PAGES, NULL), 0);
		FOLLOW(t, wanted, 0, wanted, wanted);
		vmem_end(t);
	}
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
	EXPECT_EQ(t, vmem_follow(5), -ENOMEM);
	vmem->arrays = NULL;
	EXPECT(t, vmem_dev.nr_plugged > 0);
	expect_units(t, (unsigned)vmem_dev.nr_plugged, 0);
	/* The host changes its request: the units go back without having been used. */
	FOLLOW(t, 0, 0, 0, 0);
	vmem->arrays = &poor;
	EXPECT_EQ(t, vmem_follow(5), -ENOMEM);
	vmem->arrays = NULL;
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	expect_units(t, 5, 5);
	vmem_end(t);
}

/* ---- passes of the device's thread ---- */

#define MIB_OF(blocks) ((unsigned long)(blocks)*PAGEBLOCK_PAGES >> (20 - PAGE_SHIFT))
#define RETRY          1000000000ULL

static const char *text;

/* Make one pass, with its output in text; returns the time until the next pass. */
static u64 turn(void)
{
	u64 pos = log_position(), wait = virtio_mem_turn(&vmem_dev);

	text = text_since(pos);
	return wait;
}

static void expect_line(
    struct ktest *t, unsigned plugged_blocks, unsigned goal, const char *rest, int line)
{
	char want[160];

	ksnprintf(want, sizeof(want), "pretend: %lu MiB plugged, %lu asked for%s\n",
	    MIB_OF(plugged_blocks), MIB_OF(goal), rest);
	if (!says(text, want))
		ktest_fail(t, __FILE__, line, "said: %s, not: %s", text, want);
}
#define EXPECT_LINE(t, plugged_blocks, goal, rest)                                                 \
	expect_line((t), (plugged_blocks), (goal), (rest), __LINE__)
#define EXPECT_SILENCE(t) EXPECT((t), !says(text, " MiB plugged"))

KTEST(virtio_mem_prints_each_change_once, KTEST_SLOW | KTEST_REPORTS)
{
	REQUIRE(t, vmem_begin(t));
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT_SILENCE(t);
	vmem_ask_for(8);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT_LINE(t, 8, 8, "");
	expect_units(t, 8, 8);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT_SILENCE(t);
	/* A failure is printed with its reason, and retried in a second. */
	vmem_set_fault(VIRTIO_MEM_REQ_UNPLUG, VIRTIO_MEM_RESP_BUSY, false);
	vmem_ask_for(4);
	EXPECT_EQ(t, turn(), RETRY);
	EXPECT_LINE(t, 8, 4, ": some is in use: trying again");
	EXPECT_EQ(t, turn(), RETRY);
	EXPECT_SILENCE(t);
	EXPECT_EQ(t, vmem_dev.restarts, 0);
	vmem_set_fault(NO_FAULT, 0, false);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT_LINE(t, 4, 4, "");
	/* A new request is printed even if nothing could be plugged. */
	vmem_set_fault(VIRTIO_MEM_REQ_PLUG, VIRTIO_MEM_RESP_BUSY, false);
	vmem_ask_for(8);
	EXPECT_EQ(t, turn(), RETRY);
	EXPECT_LINE(t, 4, 8, ": some is in use: trying again");
	vmem_ask_for(12);
	EXPECT_EQ(t, turn(), RETRY);
	EXPECT_LINE(t, 4, 12, ": some is in use: trying again");
	vmem_set_fault(NO_FAULT, 0, false);
	vmem_end(t);
}

KTEST(failed_unplug_prints_its_blocker, KTEST_SLOW | KTEST_REPORTS)
{
	char rest[120];

	REQUIRE(t, vmem_begin(t));
	vmem_ask_for(REGION_BLOCKS);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	REQUIRE(t, hold_page(t, 5));
	EXPECT_EQ(t, pin_page(held), 0);
	vmem_ask_for(0);
	EXPECT_EQ(t, turn(), RETRY);
	ksnprintf(rest, sizeof(rest), ": some is in use: trying again (%s, pfn %#lx)",
	    mm_why_text(WHY_PINNED), page_to_pfn_in(vmem, held));
	EXPECT_LINE(t, 1, 0, rest);
	mem_unpin_page(vmem, held);
	page_release_movable(vmem, held);
	/* Without a page at fault only the reason is printed. */
	vmem_ask_for(REGION_BLOCKS);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	REQUIRE(t, vmem_fill(t));
	vmem_ask_for(0);
	EXPECT_EQ(t, turn(), RETRY);
	ksnprintf(rest, sizeof(rest), ": no memory: trying again (%s)", mm_why_text(WHY_LAST));
	EXPECT_EQ(t, vmem_dev.fail.pfn, PFN_NONE);
	EXPECT_LINE(t, (unsigned)vmem_dev.nr_plugged, 0, rest);
	mov_end(t);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT_LINE(t, 0, 0, "");
	vmem_end(t);
}

/* Restarted after a second, three times in a row; then only when the host's request changes. */
KTEST(a_broken_device_is_restarted, KTEST_SLOW | KTEST_REPORTS)
{
	unsigned i;

	REQUIRE(t, vmem_begin(t));
	vmem_set_fault(VIRTIO_MEM_REQ_PLUG, VIRTIO_MEM_RESP_ERROR, false);
	vmem_fault.requested = 4; /* it says that its configuration has changed; no new wish */
	vmem_ask_for(4);
	for (i = 1; i <= 5; i++) {
		EXPECT_EQ(t, turn(), i <= 3 ? RETRY : WAIT_FOREVER);
		EXPECT_EQ(
		    t, pretend_dev.resets, 2 * i - 1); /* one at the start, two for each restart */
		EXPECT_EQ(
		    t, says(text, "pretend: reset, and asked again what is plugged\n"), i > 1);
		EXPECT(t, !says(text, "does not come back"));
		if (i == 1)
			EXPECT_LINE(t, 0, 4, ": broken");
		else
			EXPECT_SILENCE(t);
		EXPECT_EQ(t, vmem_dev.restarts, i);
		EXPECT_EQ(t, pretend_dev.dev.config_changed, 0);
	}
	vmem_fault.requested = 3;
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT_EQ(t, pretend_dev.dev.config_changed, 1);
	vmem_fault.requested = 4;
	vmem_ask_for(4);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	pretend_dev.refused = VIRTIO_CONFIG_S_FEATURES_OK;
	virtio_interrupt(&pretend_dev.dev, VIRTIO_PCI_ISR_CONFIG);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT(t, says(text, "pretend: does not come back\n"));
	/* A request that is still signalled would end the pause at once. */
	EXPECT_EQ(t, pretend_dev.dev.config_changed, 0);
	EXPECT_SILENCE(t);
	pretend_dev.refused = 0;
	/* A device that works again may again be restarted three times. */
	vmem_set_fault(NO_FAULT, 0, false);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT_LINE(t, 4, 4, "");
	EXPECT_EQ(t, vmem_dev.restarts, 0);
	expect_units(t, 4, 4);
	i = pretend_dev.resets;
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT_EQ(t, pretend_dev.resets, i);
	vmem_end(t);
}

/* Failures count in a row: after an answer of the device three restarts are allowed again. */
KTEST(answer_between_failures_allows_restarts_again, KTEST_SLOW | KTEST_REPORTS)
{
	unsigned i;

	REQUIRE(t, vmem_begin(t));
	vmem_set_fault(VIRTIO_MEM_REQ_PLUG, VIRTIO_MEM_RESP_ERROR, false);
	vmem_ask_for(4);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(t, turn(), RETRY);
	vmem_set_fault(VIRTIO_MEM_REQ_PLUG, VIRTIO_MEM_RESP_BUSY, false);
	EXPECT_EQ(t, turn(), RETRY);
	EXPECT_LINE(t, 0, 4, ": some is in use: trying again");
	vmem_set_fault(VIRTIO_MEM_REQ_PLUG, VIRTIO_MEM_RESP_ERROR, false);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(t, turn(), i < 3 ? RETRY : WAIT_FOREVER);
	vmem_set_fault(NO_FAULT, 0, false);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT_LINE(t, 4, 4, "");
	vmem_end(t);
}

/* ---- an operator adds a plugged unit while the device unplugs another one ---- */

static struct ktest *the_test;
static pfn_t start;
static unsigned unplugs;

static u32 add_meanwhile(struct pretend *p, const struct pretend_buf *buf)
{
	const struct virtio_mem_req *req = pretend_memory(buf->out[0].addr);

	if (req->type == VIRTIO_MEM_REQ_UNPLUG && !unplugs++) {
		pfn_t at = start + 2 * PAGEBLOCK_PAGES;

		EXPECT_EQ(the_test, add_memory(vmem, at, 2 * PAGEBLOCK_PAGES, vmem_dev.node), 0);
		EXPECT_EQ(the_test, online_pages(vmem, at, 2 * PAGEBLOCK_PAGES, NULL), 0);
	}
	return serve(p, buf);
}

KTEST(
    unit_added_by_hand_while_another_is_unplugged_goes_offline_first, .reports = "pretend: UNPLUG")
{
	REQUIRE(t, vmem_begin(t));
	the_test = t;
	unplugs = 0;
	start = vmem_config.addr >> PAGE_SHIFT;
	EXPECT_EQ(t, vmem_follow(4), 0);
	vmem_set_fault(VIRTIO_MEM_REQ_UNPLUG, VIRTIO_MEM_RESP_BUSY, true);
	FOLLOW(t, 0, -EBUSY, 4, 0);
	/* Unit 1 is in use again; units 0, 2 and 3 are plugged. */
	EXPECT_EQ(t, add_memory(vmem, start + PAGEBLOCK_PAGES, PAGEBLOCK_PAGES, vmem_dev.node), 0);
	EXPECT_EQ(t, online_pages(vmem, start + PAGEBLOCK_PAGES, PAGEBLOCK_PAGES, NULL), 0);
	pretend_dev.serve = add_meanwhile;
	FOLLOW(t, 0, 0, 0, 0);
	vmem_end(t);
}
