/* SPDX-License-Identifier: MIT */
/*
 * test_acts.c: the tour and its acts, on the hosted program's own memory: what they show, and that
 * all memory is as before.
 */
#include "demo/act.h"
#include "demo/live_screen.h"
#include "tests/host/tty_help.h"
#include "tests/lib/said_help.h"
#include "tests/lib/vm_help.h"
#include "tests/lib/wait_help.h"

#include <quarry/contig.h>
#include <quarry/errno.h>
#include <quarry/poison.h>
#include <quarry/smp.h>

#define MINUTE_NS 60000000000ULL

static u64 began; /* position in the log */

static void begin(void)
{
	tty_begin("", 0, 0, "");
	began = log_position();
}

/* These words, apart from each other by |, were printed, each once, and no FAIL but theirs. */
static void expect_words(struct ktest *t, const char *words, int line)
{
	const char *text = text_since(began);
	unsigned fails = 0;
	char part[120];

	while (*words) {
		size_t len = 0;

		while (words[len] && words[len] != '|')
			len++;
		ksnprintf(part, sizeof(part), "%.*s", (int)len, words);
		fails += says(part, "FAIL: ");
		if (times_in(text, part) != 1)
			ktest_fail(t, __FILE__, line, "%u times: %s", times_in(text, part), part);
		words += len + (words[len] == '|');
	}
	if (times_in(text, "FAIL: ") != fails)
		ktest_fail(t, __FILE__, line, "another number of failures");
	began = log_position();
}
#define EXPECT_WORDS(t, words) expect_words((t), (words), __LINE__)

/* Free pages, with empty caches. */
static unsigned long all_free(void)
{
	kmalloc_trim();
	drain_all_pages(&kernel_memory, NULL);
	return memory_free_pages(&kernel_memory);
}

/* As many pages are free as before, and the memory is sound. */
static void expect_back(struct ktest *t, unsigned long free)
{
	EXPECT_EQ(t, all_free(), free);
	expect_sound(t, &kernel_memory);
}

KTEST_SUITE(acts, KTEST_MOSTLY_INSIDE);

/* ---- what the acts share ---- */

KTEST(at_most_four_cpus_take_part)
{
	static const struct {
		unsigned long online;
		unsigned nr, last;
	} rows[] = {{0xff, 4, 3}, {0x91, 3, 7}, {0x01, 1, 0}};
	unsigned nr_cpus_then = kernel_memory.nr_cpus, i;
	unsigned long online = cpu_online_mask[0];

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned cpu[ACT_CPUS] = {9, 9, 9, 9}, nr;

		irqflags_t flags = arch_irq_save();

		cpu_online_mask[0] = rows[i].online;
		kernel_memory.nr_cpus = 8;
		nr = act_cpus(cpu);
		cpu_online_mask[0] = online;
		kernel_memory.nr_cpus = nr_cpus_then;
		arch_irq_restore(flags);
		EXPECT_EQ(t, nr, rows[i].nr);
		EXPECT(t, cpu[0] == arch_cpu_id() && cpu[rows[i].nr - 1] == rows[i].last);
	}
}

KTEST(failure_names_its_reason, KTEST_REPORTS)
{
	begin();
	EXPECT(t, !act_failed("one", -5, NULL));
	EXPECT(t, !act_failed("two", -6, &(struct mm_fail){.pfn = 7, .why = WHY_PINNED}));
	EXPECT(t, !act_failed("three", -7, &(struct mm_fail){.pfn = 7, .why = WHY_NONE}));
	EXPECT(t,
	    !strcmp(text_since(began),
	        "  FAIL: one: error EIO\n  FAIL: two: error ENXIO, pfn 0x7: pinned page\n"
	        "  FAIL: three: error E2BIG\n"));
}

/* ---- a CPU that is held ---- */

static struct act_hold hold;

/* Hold CPU 1 in the free of a movable page.  False: there is no such CPU, page or thread. */
static bool begin_hold(struct ktest *t, bool until_call)
{
	struct page *page;

	if (nr_cpus < 2)
		return false;
	drain_all_pages(&kernel_memory, NULL);
	page = alloc_pages(GFP_MOVABLE, 0);
	EXPECT(t, page);
	if (!page)
		return false;
	hold = (struct act_hold){.mem = &kernel_memory,
	    .page = page,
	    .cpu = 1,
	    .until_call = until_call,
	    .linger_ns = 20000000};
	if (act_hold_start(&hold)) {
		ktest_fail(t, __FILE__, __LINE__, "CPU 1 is not held");
		free_pages(page, 0);
		return false;
	}
	EXPECT(t,
	    hold.cached && !load_acquire(&hold.pushed) &&
	        page_word(page) == PAGE_WORD(1, PG_ALLOC, 0));
	return true;
}

static void call_nothing(void *arg)
{
}

KTEST(cpu_is_held_until_it_is_called_or_its_page_is_pushed)
{
	unsigned long free = all_free();
	u64 then = arch_clock_ns();

	if (!begin_hold(t, false))
		return;
	act_hold_push(&hold);
	EXPECT_EQ(t, word_state(page_word(hold.page)), PG_PCP);
	act_hold_end(&hold);
	EXPECT(t, hold.cached && !hold.late);
	/* The end returns when the page is freed. */
	if (!begin_hold(t, false))
		return;
	act_hold_end(&hold);
	EXPECT(t, word_state(page_word(hold.page)) != PG_ALLOC && hold.pushed);
	/* The cross-call is answered after the page was pushed, and not at once. */
	if (!begin_hold(t, true))
		return;
	then = arch_clock_ns();
	EXPECT_EQ(t, call_cpu(1, call_nothing, NULL), 1);
	EXPECT(t, load_acquire(&hold.pushed) && arch_clock_ns() - then >= hold.linger_ns);
	act_hold_end(&hold);
	EXPECT(t, hold.cached && !hold.late);
	expect_back(t, free);
}

/* For a minute at most: before the push, and after it. */
KTEST(held_cpu_continues_by_itself)
{
	unsigned long free = all_free();

	if (!begin_hold(t, false))
		return;
	atomic_add(&hosted_clock_ahead, MINUTE_NS);
	EXPECT(t, OWN_YIELD_UNTIL(load_acquire(&hold.pushed)));
	act_hold_end(&hold);
	EXPECT(t, hold.cached && hold.late);
	if (!begin_hold(t, false))
		return;
	act_hold_push(&hold);
	atomic_add(&hosted_clock_ahead, MINUTE_NS);
	ktest_on_cpu(1, call_nothing, NULL); /* no other thread runs there before */
	act_hold_end(&hold);
	EXPECT(t, hold.late);
	expect_back(t, free);
}

KTEST(cpu_that_is_not_there_is_not_held)
{
	hold = (struct act_hold){.mem = &kernel_memory, .cpu = nr_cpus};
	EXPECT_EQ(t, act_hold_start(&hold), -ENOMEM);
}

/* ---- CPUs that allocate ---- */

KTEST(each_cpu_uses_its_pages)
{
	const unsigned cpu[] = {0, nr_cpus - 1};
	unsigned long free = all_free();
	struct act_load *load;
	unsigned i;
	u64 allocs;
	pfn_t pfn;

	for (i = 0; i < 2; i++) {
		load = NEED(t, act_load_start(&kernel_memory, cpu, 2, 10, t->seed));
		EXPECT(t, act_load_allocs(load, 0) >= 20 && act_load_allocs(load, 1) >= 20);
		EXPECT(t, memory_free_pages(&kernel_memory) < free);
		EXPECT(t, YIELD_UNTIL(act_load_misses(load, 0) > 0));
		EXPECT(t, YIELD_UNTIL(act_load_page(load, 0, 13) != PFN_NONE));
		/* This thread and the first loader take turns on CPU 0. */
		for (pfn = PFN_NONE; i && pfn == PFN_NONE; thread_yield()) {
			preempt_disable();
			pfn = act_load_page(load, 0, 3);
			if (pfn != PFN_NONE)
				*(u64 *)page_address(pfn_to_page_in(&kernel_memory, pfn)) ^= 1;
			preempt_enable();
		}
		act_load_pause(load, 1, true);
		allocs = act_load_allocs(load, 1);
		EXPECT(t, OWN_YIELD_UNTIL(act_load_allocs(load, 0) > 2000));
		EXPECT_EQ(t, act_load_allocs(load, 1), allocs);
		act_load_pause(load, 1, false);
		EXPECT(t, OWN_YIELD_UNTIL(act_load_allocs(load, 1) > allocs));
		EXPECT_EQ(t, act_load_stop(load), !i);
		expect_back(t, free);
	}
	EXPECT(t, !act_load_start(&kernel_memory, (unsigned[]){0, nr_cpus}, 2, 10, t->seed));
	expect_back(t, free);
}

/* ---- acts 1 and 2 ---- */

KTEST(page_in_a_cache_keeps_its_range_until_it_is_drained, KTEST_REPORTS)
{
	unsigned long free = all_free();
	char want[120];

	begin();
	EXPECT(t, act_drain());
	ksnprintf(want, sizeof(want), "cannot leave: %lu of %lu pages are in the buddy allocator\n",
	    PAGEBLOCK_PAGES - 1, PAGEBLOCK_PAGES);
	if (nr_cpus > 1)
		EXPECT(t, said(began, want));
	EXPECT_WORDS(t,
	    "act 1 of 4: why a drain is needed\n|: not in the buddy allocator\n|"
	    "  after 1 drain round, |: it has left (");
	expect_back(t, free);
}

/* The sum of the numbers before @words in the text. */
static u64 sum_before(const char *text, const char *words)
{
	size_t len = strlen(words), i, at;
	u64 sum = 0, digit;

	for (i = 0; text[i]; i++)
		for (at = i, digit = 1; !strncmp(text + i, words, len) && at-- > 0 &&
		     text[at] >= '0' && text[at] <= '9';
		     digit *= 10)
			sum += (u64)(text[at] - '0') * digit;
	return sum;
}

/* The range is one that is in use, and the times of the rows are within the act's. */
KTEST(policies_differ, KTEST_REPORTS)
{
	u64 then = arch_clock_ns(), moved = mm_event_sum(&kernel_memory, EV_MIGRATE_OK);
	unsigned long free = all_free();

	if (!tty_fits(t))
		return;
	begin();
	EXPECT(t, act_policies(t->seed));
	EXPECT(t, mm_event_sum(&kernel_memory, EV_MIGRATE_OK) > moved);
	EXPECT(t, sum_before(text_since(began), " ms\n") <= (arch_clock_ns() - then) / 1000000);
	EXPECT_WORDS(t,
	    nr_cpus > 1
	        ? "act 2 of 4: a range leaves while |  a fault by request: cpu|  disable       1 "
	          "round "
	          "|  precise       1 round |  redrain  |redrain drains again; disable costs the "
	          "caches; precise neither\n"
	        : "no free was held back: one CPU");
	expect_back(t, free);
}

/* ---- act 4 ---- */

#define PAGES 5u
static struct {
	u64 verified, wrong;
	bool stops, dies;
} users;

static u64 verified_so_far(const struct crowd *crowd, u64 *wrong)
{
	*wrong = users.wrong;
	return users.verified += users.stops ? 0 : 7;
}

static bool is_whole(const struct crowd *crowd)
{
	return !users.dies;
}

static const struct act_users all_users = {NULL, verified_so_far, is_whole};
static struct vm_scene scene;

/* An object in the kernel's own memory whose pages are mapped, except the first one. */
static bool begin_mapped(struct ktest *t)
{
	bool loaded;
	unsigned i;
	int err;

	scene = (struct vm_scene){.mem = &kernel_memory, .nr = PAGES};
	memset(&users, 0, sizeof(users));
	err = vm_object_create(&kernel_memory, OBJ_ANON, PAGES, NULL, NULL, &scene.object);
	err = err ? err : vm_space_create(&kernel_memory, &scene.space);
	err = err ? err : vm_map(scene.space, VM_BASE, PAGES, VM_RW, scene.object, 0);
	err = err ? err : vm_map(scene.space, page_at(PAGES), 1, VM_RW, scene.object, 1);
	err = err ? err : vm_object_supply(scene.object, 0, NULL);
	loaded = !err;
	if (loaded)
		soft_load_space(scene.space);
	for (i = 1; i <= PAGES && !err; i++)
		err = soft_write(page_at(i), 100 + i);
	begin();
	if (err) {
		if (loaded)
			soft_unload_space();
		ktest_fail(t, __FILE__, __LINE__, "nothing is mapped: %d", err);
		if (scene.space)
			vm_space_put(scene.space);
		if (scene.object)
			vm_object_put(scene.object);
	}
	return !err;
}

/* Take the broken pages back. */
static void end_mapped(struct ktest *t)
{
	pfn_t pfn = mem_poisoned_next(&kernel_memory, 0);

	soft_unload_space();
	vm_space_put(scene.space);
	vm_object_put(scene.object);
	for (; pfn != PFN_NONE; pfn = mem_poisoned_next(&kernel_memory, pfn + 1))
		EXPECT_EQ(t, unpoison_page(pfn), 0);
}

/* Of the pages that are mapped once, the one with the lowest number, after the page @skip. */
static u32 lowest(u32 skip)
{
	u32 i, best = 0;

	for (i = 2; i < PAGES; i++)
		if (i != skip && (!best || page_in(scene.object, i) < page_in(scene.object, best)))
			best = i;
	return best;
}

static bool broke(const struct page *page)
{
	return word_state(page_word(page)) == PG_HWPOISON;
}

KTEST(page_mapped_once_is_replaced, KTEST_REPORTS)
{
	unsigned long free = all_free();
	struct page *page, *pinned;
	u64 value = 0;
	u32 nr;

	if (!begin_mapped(t))
		return;
	nr = lowest(0);
	page = page_in(scene.object, nr);
	EXPECT(t, act_broken(&all_users));
	EXPECT_WORDS(t,
	    "act 4 of 4: a page breaks, and is replaced\n|, mapped by a program, begins "
	    "to fail\n|is out of use (x): its content was moved to another page\n|the "
	    "programs go on: 7 pages verified since, 0 wrong\n");
	EXPECT(t, broke(page) && page_in(scene.object, nr) != page);
	EXPECT(t, soft_read(page_at(nr), &value) == 0 && value == 100 + nr);
	/* A busy page is left for the next one. */
	nr = lowest(0);
	pinned = page_in(scene.object, nr);
	page = page_in(scene.object, lowest(nr));
	EXPECT_EQ(t, pin_page(pinned), 0);
	EXPECT(t, act_broken(&all_users));
	EXPECT_WORDS(t, "act 4 of 4|is out of use (x)|the programs go on: 7 pages");
	EXPECT(t, broke(page) && !broke(pinned));
	mem_unpin_page(&kernel_memory, pinned);
	end_mapped(t);
	expect_back(t, free);
}

KTEST(act_without_a_page_or_with_a_failure_says_so, KTEST_REPORTS)
{
	unsigned long free = all_free();
	struct page *page[PAGES];
	u32 i;

	begin();
	EXPECT(t, act_broken(&all_users));
	EXPECT_WORDS(t, "act 4 of 4|no program has a page mapped in a zone MOVABLE\n");
	if (!begin_mapped(t))
		return;
	users.wrong = 1;
	EXPECT(t, !act_broken(&all_users));
	EXPECT_WORDS(t, "act 4 of 4|FAIL: page |: 1 wrong\n");
	users.wrong = 0;
	users.dies = true;
	EXPECT(t, !act_broken(&all_users));
	EXPECT_WORDS(t, "act 4 of 4|FAIL: page ");
	for (i = 2; i < PAGES; i++) {
		page[i] = page_in(scene.object, i);
		EXPECT_EQ(t, pin_page(page[i]), 0);
	}
	EXPECT(t, !act_broken(&all_users));
	EXPECT_WORDS(t, "act 4 of 4|FAIL: no page could be replaced: error EBUSY\n");
	for (i = 2; i < PAGES; i++)
		mem_unpin_page(&kernel_memory, page[i]);
	end_mapped(t);
	expect_back(t, free);
}

/* ---- the tour ---- */

static bool first(u64 seed)
{
	live_result("first %llu", (unsigned long long)seed);
	return true;
}

static bool second(u64 seed)
{
	live_result("second");
	return true;
}

static bool fails(u64 seed)
{
	live_result("bad");
	return false;
}

static bool calls(u64 seed)
{
	smp_stats.from_alloc++;
	return true;
}

static bool quits(u64 seed)
{
	tty.keys = "q";
	live_hold(1);
	live_stop();
	return true;
}

KTEST(tour_shows_its_acts_in_order_and_judges_them, KTEST_REPORTS)
{
	static const struct {
		bool (*act[2])(u64 seed);
		bool good;
		const char *words;
	} rows[] = {{{first, second}, true,
	                "  first 6\n  second\n  check_memory: every invariant "
	                "holds\n|, of these 0 by allocations\n"},
	    {{fails, first}, false, "  bad\n  first 6\n  check_memory: every invariant holds\n"},
	    {{first, fails}, false, "  first 6\n  bad\n  check_memory: every"},
	    {{calls, first}, false, "tour: FAIL: allocations made cross-calls\n| of these 1 by"},
	    {{quits, first}, true,
	        "  the tour ends early, as asked; all memory is online\n|every inv"}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 from_alloc = smp_stats.from_alloc;

		if (rows[i].act[0] == quits && !tty_fits(t))
			return;
		smp_stats.from_alloc = 0;
		tty_begin("live", 80, 24, "");
		if (rows[i].act[0] == quits)
			REQUIRE(t, live_begin("tour"));
		began = log_position();
		EXPECT_EQ(t, tour(rows[i].act, 2, 6), rows[i].good);
		EXPECT_WORDS(t, rows[i].words);
		smp_stats.from_alloc = from_alloc;
		live_screen.quit = false;
		tty_forget();
	}
}
