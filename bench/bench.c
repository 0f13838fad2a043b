/* SPDX-License-Identifier: MIT */
/*
 * bench.c: the cost of the kernel's operations, in guest instructions.
 *
 * Owns:       the list of groups of figures.
 * Locks:      none.
 * Invariants: a figure is the least of several runs (so that a timer interrupt in one of them does
 *             not show), with interrupts on, through the public functions.
 * Tests:      tests/qemu/test_bench.py.
 */
#include "bench/bench.h"

#include <quarry/cmdline.h>
#include <quarry/string.h>
#include <quarry/trace.h>

#define ALL "all"

void bench_figure(const char *name, u64 value, const char *unit)
{
	printk("bench: %s %llu %s\n", name, (unsigned long long)value, unit);
}

void bench_ratio(const char *name, u64 total, u64 count, const char *unit)
{
	u64 part = (total % count * 10000 + count / 2) / count;
	u64 whole = total / count + part / 10000;

	part %= 10000;
	if (!part)
		bench_figure(name, whole, unit);
	else
		printk("bench: %s %llu.%04llu %s\n", name, (unsigned long long)whole,
		    (unsigned long long)part, unit);
}

u64 bench_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

noinline struct page *bench_no_page(gfp_t gfp, unsigned order)
{
	__asm__ volatile("" : "+r"(gfp), "+r"(order));
	return NULL;
}

noinline int bench_no_free(struct page *page, unsigned order)
{
	__asm__ volatile("" : "+r"(page), "+r"(order));
	return 0;
}

/* The cost of check_memory, with all CPUs stopped, per page of the machine. */
static bool bench_check(void)
{
	u64 best = ~0ULL, t0, took;
	struct mm_violation v;
	unsigned run;

	for (run = 0; run < 5; run++) {
		t0 = arch_tsc();
		if (check_memory(&kernel_memory, &v))
			return false;
		took = arch_tsc() - t0;
		best = MIN(best, took);
	}
	bench_ratio(
	    "check_memory_page", best, memory_managed_pages(&kernel_memory), "instructions");
	return true;
}

/* Bytes of page descriptors, pageblock descriptors and pageblock trees, per page. */
static bool bench_memmap(void)
{
	bench_ratio("memmap_bytes_per_page",
	    sizeof(struct page) * PAGEBLOCK_PAGES + sizeof(struct pageblock) +
	        sizeof(struct pageblock_tree),
	    PAGEBLOCK_PAGES, "bytes");
	return true;
}

/*
 * Replay the trace that the command line names.  Print the cost per event, less that of reading the
 * clock.
 */
static bool bench_trace(void)
{
	struct trace_report report;

	if (trace_replay_boot(&report) || !report.events)
		return false;
	bench_ratio(
	    "trace", report.ticks - report.events * report.reading, report.events, "instructions");
	bench_ratio("fragmentation", report.fragmented, 10, "%");
	return true;
}

/* The order matters: groups that take all memory or move pages come late. */
static const struct {
	const char *name;
	bool (*run)(void);
	bool always; /* part of ALL */
} groups[] = {
    {"memmap", bench_memmap, true},
    {"pairs", bench_pairs, true},
    {"batches", bench_batches, true},
    {"largest", bench_largest, false},
    {"recorded", bench_recorded, true},
    {"check", bench_check, true},
    {"drain", bench_drain, true},
    {"softfree", bench_soft_free, true},
    {"object", bench_object, true},
    {"offline", bench_offline, true},
    {"fresh", bench_fresh, false},
    {"elsewhere", bench_elsewhere, false},
    {"wait", bench_wait, false},
    {"teardown", bench_teardown, false},
    {"contig", bench_contig, false},
    {"migrate", bench_migrate, false},
    {"policies", bench_policies, false},
    {"trace", bench_trace, false},
    {"counted", bench_counted, false},
    {"load", bench_load, false},
    {"drainfull", bench_drain_full, false},
    {"fill", bench_fill, false},
    {"stranded", bench_stranded, false},
};

/* Is @name in @list, whose names are separated by commas? */
static bool group_is_listed(const char *name, const char *list)
{
	size_t len = strlen(name);

	for (; *list; list++) {
		if (!strncmp(list, name, len) && (list[len] == ',' || !list[len]))
			return true;
		while (*list && *list != ',')
			list++;
		if (!*list)
			break;
	}
	return false;
}

/* Are all names in @list names of groups, or ALL?  If not, print the first that is not. */
static bool groups_are_known(const char *list)
{
	size_t len = 0;
	unsigned i;

	for (;; list += len + 1) {
		for (len = 0; list[len] && list[len] != ',';)
			len++;
		for (i = 0; i < ARRAY_SIZE(groups); i++)
			if (strlen(groups[i].name) == len && !strncmp(groups[i].name, list, len))
				break;
		if (i == ARRAY_SIZE(groups) && (len != strlen(ALL) || strncmp(ALL, list, len) != 0))
			break;
		if (!list[len])
			return true;
	}
	printk("bench: no group \"%.*s\"; known: " ALL, (int)len, list);
	for (i = 0; i < ARRAY_SIZE(groups); i++)
		printk(" %s", groups[i].name);
	printk("\n");
	return false;
}

bool bench_run(void)
{
	const char *list = cmdline_get("bench", ALL);
	bool good = true, all;
	unsigned i;

	list = list[0] ? list : ALL;
	if (!groups_are_known(list))
		return false;
	all = group_is_listed(ALL, list);
	printk("bench: compiler %s\n", __VERSION__);
	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		if (!(all && groups[i].always) && !group_is_listed(groups[i].name, list))
			continue;
		if (!groups[i].run()) {
			printk("bench: group %s could not be measured\n", groups[i].name);
			good = false;
		}
	}
	return good;
}
