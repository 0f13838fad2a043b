/* SPDX-License-Identifier: MIT */
/*
 * test_step_stock.c: a report to the host that begins or ends while an offline counts free pages.
 * The suite includes mm/hotplug/offline_query.c.  Hosted only.
 */
#define enough_left       stock_enough_left
#define offline_candidate stock_offline_candidate
#define offline_check     stock_offline_check
#define offline_query     stock_offline_query
#define offline_survey    stock_offline_survey
#define zone_pcp_pages    stock_pcp_pages
#include "tests/lib/mm_test.h"
#include <quarry/page_report.h>

#include "mm/hotplug/offline_query.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static struct report_walk walk;
static struct memory *mem;
static pfn_t reported;
static unsigned nr;
static bool begins;

/* Replaces the count of cached pages, of which there are none. */
unsigned long stock_pcp_pages(const struct zone *zone)
{
	if (zone->kind != ZONE_NORMAL)
		return 0;
	if (begins)
		nr = take_unreported(mem, &walk, &reported, 1);
	else
		give_reported(mem, &reported, 1, false);
	return 0;
}

KTEST_SUITE(step_stock, 0);

KTEST(pages_of_a_report_are_counted_once)
{
	struct stock s;
	unsigned long free;

	mem = NEED(t, ktest_memory(t, 0, 8, 0));
	walk = (struct report_walk){0};
	free = memory_free_pages(mem);
	begins = true;
	take_stock(mem, &s);
	EXPECT_EQ(t, nr, 1);
	EXPECT_EQ(t, s.free, free);
	begins = false;
	take_stock(mem, &s);
	EXPECT(t, s.free <= free);
}
