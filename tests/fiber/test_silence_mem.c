/* SPDX-License-Identifier: MIT */
/*
 * test_silence_mem.c: a virtio-mem device accepts requests and answers none: its effect on an
 * offline, a cpu_down and an allocation.
 */
#include "tests/lib/vmem_help.h"

#include "tests/fiber/silence_help.h"

static u32 no_answer(struct pretend *p, const struct pretend_buf *buf)
{
	return NO_ANSWER;
}

VERB(follow, virtio_mem_follow(&vmem_dev));
VERB(restart, virtio_mem_restart(&vmem_dev));
DO(serving, pretend_dev.serve = a[0] ? serve : no_answer);
DO(ask_for, vmem_ask_for((unsigned)a[0]));
DO(units, expect_units(playing, (unsigned)a[0], (unsigned)a[0]));

KTEST_SUITE(silence_mem, 0);

/*
 * The size changes from 3 blocks to another while the device answers nothing.  It gets no request
 * before it is reset; then it is asked for the plugged units, which are as before, and the driver
 * follows the change.
 */
KTEST(silent_memory_device_blocks_no_caller)
{
	static const unsigned blocks[] = {5, 2};
	unsigned i;

	REQUIRE(t, vmem_begin(t));
	pretend_dev.dev.patience_ns = S;
	play_opts = (struct offline_opts){.policy = NR_ISO_POLICIES};
	PLAY(t, "ask_for 3; follow");
	for (i = 0; i < ARRAY_SIZE(blocks); i++)
		PLAY(t,
		    "serving 0; ask_for %u; 2> follow = -EIO @3s; sleep 100ms; running = 1; "
		    "offline 0;"
		    "online 0; down 2; alloc; give; join; up 2; follow = -EIO; serving 1; restart;"
		    "follow; units %u",
		    blocks[i], blocks[i]);
	vmem_end(t);
}
