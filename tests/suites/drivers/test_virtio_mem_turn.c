/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_mem_turn.c: virtio_mem_turn, one pass of a virtio-mem device's thread: its messages,
 * its restarts of the device, and the pause after it.
 */
#include "tests/lib/said_help.h"
#include "tests/lib/vmem_help.h"
#include <quarry/console.h>

#define MIB_OF(blocks) ((unsigned long)(blocks)*PAGEBLOCK_PAGES >> (20 - PAGE_SHIFT))
#define RETRY          1000000000ULL

static char text[4096];

/* Make one pass, with its output in text[]; returns the time until the next pass. */
static u64 turn(void)
{
	u64 pos = log_position(), wait = virtio_mem_turn(&vmem_dev);

	text[log_read(&pos, text, sizeof(text) - 1)] = '\0';
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

KTEST_SUITE(virtio_mem_turn, 0);

KTEST(virtio_mem_prints_each_change_once, KTEST_REPORTS)
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

KTEST(failed_unplug_prints_its_blocker, KTEST_REPORTS)
{
	char rest[120];

	REQUIRE(t, vmem_begin(t));
	vmem_ask_for(REGION_BLOCKS);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	REQUIRE(t, vmem_fill(t));
	vmem_ask_for(0);
	EXPECT_EQ(t, turn(), RETRY);
	ksnprintf(rest, sizeof(rest), ": no memory: trying again (%s, pfn %#lx)",
	    mm_why_text(vmem_dev.fail.why), vmem_dev.fail.pfn);
	EXPECT(t, vmem_dev.fail.why != WHY_NONE);
	EXPECT_LINE(t, (unsigned)vmem_dev.nr_plugged, 0, rest);
	mov_end(t);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT_LINE(t, 0, 0, "");
	vmem_end(t);
}

/*
 * A broken device is restarted after a second, three times in a row. After that it is restarted
 * only when the host's request changes.
 */
KTEST(a_broken_device_is_restarted, KTEST_REPORTS)
{
	unsigned i;

	REQUIRE(t, vmem_begin(t));
	vmem_set_fault(VIRTIO_MEM_REQ_PLUG, VIRTIO_MEM_RESP_ERROR, false);
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
	}
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
KTEST(answer_between_failures_allows_restarts_again, KTEST_REPORTS)
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
