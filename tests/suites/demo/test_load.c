/* SPDX-License-Identifier: MIT */
/*
 * test_load.c: the prompt's load and bursts, on the hosted program's own memory: the words of their
 * results, and the damage that they find.
 */
#include "demo/monitor.h"
#include "tests/host/tty_help.h"
#include "tests/lib/said_help.h"
#include "tests/lib/mm_test.h"

#include <quarry/errno.h>

static int say(int (*command)(unsigned n, char **arg), const char *word, const char *other)
{
	char first[20], second[16], *arg[] = {first, second};

	ksnprintf(first, sizeof(first), "%s", word);
	ksnprintf(second, sizeof(second), "%s", other);
	return command(!!*word + !!*other, arg);
}

/* The command's result, and the text that it prints. */
static void expect(struct ktest *t, int err, int want, u64 pos, const char *words, int line)
{
	if (err != want || !said(pos, words))
		ktest_fail(t, __FILE__, line, "error %d, \"%.100s\"", err, text_since(pos));
}
#define EXPECT_SAYS(t, command, word, other, want, words)                                          \
	do {                                                                                       \
		u64 pos_ = log_position();                                                         \
		expect(t, say(command, word, other), want, pos_, words, __LINE__);                 \
	} while (0)

/* Change a word of an object of the load, once, before its threads begin. */
static void damage_one(void)
{
	pfn_t pfn = kernel_memory.zones[ZONE_MOVABLE].start_pfn;

	for (; pfn < kernel_memory.zones[ZONE_MOVABLE].end_pfn && tty.on_key; pfn++) {
		struct page *page = pfn_to_page_in(&kernel_memory, pfn);

		if (page_word(page) == PAGE_WORD(1, PG_MOVABLE_OPS, 3)) {
			*(u64 *)page_address(page) ^= 1;
			tty.on_key = NULL;
		}
	}
}

/* Free pages, with empty caches. */
static unsigned long all_free(void)
{
	kmalloc_trim();
	drain_all_pages(&kernel_memory, NULL);
	return memory_free_pages(&kernel_memory);
}

KTEST_SUITE(load, KTEST_MOSTLY_INSIDE);

KTEST(load_runs_until_it_is_ended, KTEST_REPORTS)
{
	unsigned long free;
	unsigned i;

	free = all_free();
	tty_begin("", 0, 0, "");
	EXPECT_SAYS(t, cmd_load, "", "", 0, "load: not running\n");
	EXPECT_SAYS(t, cmd_load, "0", "", -EINVAL, "load: 1 to 1024 MiB\n");
	EXPECT_SAYS(t, cmd_load, "1025", "", -EINVAL, "load: 1 to 1024 MiB\n");
	EXPECT_SAYS(t, cmd_load, "x", "", -EINVAL, "load: 1 to 1024 MiB\n");
	for (i = 0; i < 2; i++) {
		tty.on_key = i ? damage_one : NULL;
		EXPECT_SAYS(t, cmd_load, "2", "", 0,
		    "load: 2 MiB in movable objects, and stress on all CPUs\n");
		EXPECT_SAYS(t, cmd_load, "2", "", -EBUSY, "load: running already; ");
		EXPECT(t, free - memory_free_pages(&kernel_memory) >= 512);
		thread_sleep(20000000);
		EXPECT(t, !tty.on_key);
		EXPECT_SAYS(t, cmd_load, "", "", i ? -EUCLEAN : 0,
		    i ? " damaged: FAIL\n" : ", 0 damaged\n");
		EXPECT_EQ(t, all_free(), free);
	}
	/* A key ends the allocation of its objects, not the load. */
	tty_begin("", 0, 0, "\025");
	EXPECT_SAYS(t, cmd_load, "2", "", 0, "load: 0 MiB in movable objects, ");
	EXPECT_SAYS(t, cmd_load, "", "", 0, ", 0 damaged\n");
	tty_end();
}

/* ---- bursts ---- */

KTEST(a_burst_takes_what_it_wants_and_counts_each_damaged_page, KTEST_REPORTS)
{
	static const unsigned wants[] = {100, 40, 0};
	static const unsigned at[] = {0, 65, 65 * 3, 65 * 7};
	unsigned long free;
	unsigned i, k;

	free = all_free();
	for (i = 0; i < ARRAY_SIZE(wants); i++) {
		struct burst b = {.seed = t->seed};
		u64 *last = NULL;

		burst_take(&b, wants[i]);
		EXPECT_EQ(t, b.pages, wants[i]);
		if (b.pages != wants[i]) {
			burst_give(&b);
			return;
		}
		/* A word of each of four pages, and two words of one of them. */
		for (k = 0; k < 4 && b.pages; k++) {
			struct page *page = b.top;
			unsigned n;

			for (n = 0; n < k; n++)
				page = page->owner;
			last = page_address(page);
			last[at[k]] ^= 1ULL << 63;
		}
		if (last) {
			last[at[0]] ^= 1;
			last[5]++; /* no burst wrote this word */
		}
		burst_give(&b);
		EXPECT(t, b.damaged == (last ? 4 : 0) && !b.top);
		EXPECT_EQ(t, all_free(), free);
	}
}

/* Not where that is the memory of a whole machine. */
KTEST(a_burst_takes_all_there_is, KTEST_REPORTS)
{
	struct burst b = {.seed = t->seed};
	unsigned long free;

	if (PAGEBLOCK_ORDER >= 9) {
		ktest_skip(t, "256 MiB");
		return;
	}
	free = all_free();
	burst_take(&b, ~0UL);
	EXPECT(t, b.pages > free / 2 && memory_free_pages(&kernel_memory) < free / 4);
	burst_give(&b);
	EXPECT(t, !b.damaged);
	EXPECT_EQ(t, all_free(), free);
}

KTEST(bursts_are_repeated, KTEST_REPORTS)
{
	tty_begin("", 0, 0, "");
	EXPECT_SAYS(t, cmd_burst, "", "", 0, " MiB are free\n");
	EXPECT_SAYS(t, cmd_burst, "2", "x", -EINVAL, "x: not a number");
	EXPECT_SAYS(t, cmd_burst, "x", "", -EINVAL, "x: not a number");
	EXPECT_SAYS(t, cmd_burst, "2", "3", 0,
	    "burst: 3 rounds of 2 MiB used and freed, 0 pages damaged\n");
	tty.keys = "|\025";
	EXPECT_SAYS(t, cmd_burst, "1", "3", 0, "burst: 1 round of 1 MiB used and freed, ");
	tty_end();
}
