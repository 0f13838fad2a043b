/* SPDX-License-Identifier: MIT */
/*
 * test_silence_picture.c: the picture of the pageblocks is drawn on request without a wait for
 * the next of its drawings.  Time is the machine's (arch/fiber/fiber_whole.c).
 */
#include "demo/picture.h"
#include "tests/fiber/silence_help.h"
#include "tests/lib/mm_help.h"

static void picture_is_drawn_at_once_on_request(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, 16, TEST_BLOCKS - 16);
	struct picture *p;
	unsigned i;
	u64 began;

	REQUIRE(t, mem);
	p = picture_start(mem, 0, PAGEBLOCK_PAGES, "plain", 1);
	REQUIRE(t, p);
	began = arch_clock_ns();
	for (i = 0; i < 100; i++)
		picture_sync(p);
	EXPECT_TOOK(t, arch_clock_ns() - began, 0);
	/* Nor does the end of the picture wait for the next drawing. */
	picture_stop(p);
	EXPECT_TOOK(t, arch_clock_ns() - began, 0);
}

KTEST_SUITE(silence_picture, 0, KTEST(picture_is_drawn_at_once_on_request));
