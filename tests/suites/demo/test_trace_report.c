/* SPDX-License-Identifier: MIT */
/*
 * test_trace_report.c: traces at the bounds of the format; exact figures and words of the report of
 * a replay.
 */
#include "tests/lib/mm_test.h"
#include <quarry/console.h>
#include <quarry/string.h>
#include <quarry/trace.h>

#define NAME   "  # trace"
#define BLOCKS (PAGEBLOCK_ORDER >= 9 ? 8u : 64u)

static char text[2048];
static struct trace trace;
static struct trace_error error;

static int parse(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int parse(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return trace_parse(&trace, NAME, text, strlen(text), &error);
}

static void expect_refused(struct ktest *t, int err, unsigned line, const char *reason, int at)
{
	if (err != -EINVAL || error.line != line || strcmp(error.reason, reason) != 0)
		ktest_fail(t, __FILE__, at, "expected %u: %s, got %d: %u: %s", line, reason, err,
		    error.line, error.reason);
	if (!err)
		trace_free(&trace);
}
#define EXPECT_REFUSED(t, err, line, reason) expect_refused((t), (err), (line), (reason), __LINE__)

KTEST_SUITE(trace_report, KTEST_QUICK);

KTEST(every_field_of_an_event_is_kept)
{
	static const struct {
		u32 id, seq;
		u16 cpu;
		u8 order, gfp;
	} want[] = {{1, 0, 10, 0, GFP_UNMOVABLE}, {0, 0, 0, 3, GFP_MOVABLE},
	    {9, 0, 7, MAX_ORDER, GFP_RECLAIMABLE}, {1, 1, 9, 0, 0}, {1, 2, 4095, 1, GFP_MOVABLE}};
	unsigned i;

	REQUIRE(t,
	    !parse("# events=5 allocs=4 frees=1 ids=10 peak_live_pages=%lu cpus=4096\na 1 0 U "
	           "10\na 0 3 M 0\na 9 %u R 7\n"
	           "f 1 9\na 1 1 M 4095\n",
	        10 + PAGEBLOCK_PAGES, MAX_ORDER));
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		const struct trace_event *ev = trace_event_at(&trace, i);

		EXPECT(t, ev->id == want[i].id && ev->seq == want[i].seq && ev->cpu == want[i].cpu);
		EXPECT(t, ev->order == want[i].order && ev->gfp == want[i].gfp);
	}
	EXPECT(t,
	    trace.nr_events == 5 && trace.nr_allocs == 4 && trace.nr_frees == 1 &&
	        trace.nr_ids == 10);
	EXPECT(t, trace.nr_cpus == 4096 && trace.peak_pages == 10 + PAGEBLOCK_PAGES);
	trace_free(&trace);
	EXPECT(t, !trace.events.chunk && !trace.ids.chunk);
}

/* Fill and free memory, so that the next chunks are made of memory with old data. */
static void use_chunks(void)
{
	struct page *page[4];
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(page); i++) {
		page[i] = alloc_pages(GFP_KERNEL, TRACE_CHUNK_ORDER);
		if (page[i])
			memset(page_address(page[i]), 0xff, PAGE_SIZE << TRACE_CHUNK_ORDER);
	}
	while (i-- > 0)
		if (page[i])
			(void)free_pages(page[i], TRACE_CHUNK_ORDER);
}

/* Ids on both sides of the end of a chunk; and the largest id, except with small pageblocks. */
KTEST(each_id_has_a_slot_of_its_own)
{
	static const u64 ids[] = {TRACE_CHUNK_ITEMS, TRACE_CHUNK_ITEMS + 1, TRACE_MAX_IDS};
	unsigned i;

	for (i = 0; i < (PAGEBLOCK_ORDER >= 9 ? 3 : 2); i++) {
		use_chunks();
		REQUIRE(t,
		    !parse("# events=3 allocs=3 frees=0 ids=%llu peak_live_pages=7 cpus=1\na 0 0 U "
		           "0\na %llu 1 U 0\n"
		           "a %llu 2 U 0\n",
		        (unsigned long long)ids[i], (unsigned long long)ids[i] - 2,
		        (unsigned long long)ids[i] - 1));
		EXPECT_EQ(t, trace_id_at(&trace, 0)->order, 0);
		EXPECT(t,
		    !trace_id_at(&trace, 1)->page && !trace_id_at(&trace, 1)->order &&
		        !trace_id_at(&trace, 1)->done);
		EXPECT_EQ(t, trace_id_at(&trace, (u32)ids[i] - 2)->order, 1);
		EXPECT_EQ(t, trace_id_at(&trace, (u32)ids[i] - 1)->order, 2);
		EXPECT_EQ(t, trace_id_at(&trace, (u32)ids[i] - 1)->done, 1);
		trace_free(&trace);
	}
}

#define HEAD "# events=1 allocs=1 frees=0 ids=3 peak_live_pages=1 cpus=2\n"

KTEST(parser_limits_are_exact)
{
	static char line[TRACE_MAX_LINE + 2];
	unsigned long room;

	memset(line, 'a', sizeof(line) - 1);
	EXPECT_REFUSED(t, parse(HEAD "%s\n", line), 2, "line of more than 128 bytes");
	EXPECT_REFUSED(t, parse(HEAD "%s", line), 2, "line of more than 128 bytes");
	EXPECT_REFUSED(t, parse(HEAD "%s\n", line + 1), 2, "no blank before id");
	EXPECT_REFUSED(t, parse(HEAD "a /\n"), 2, "id is not a number");
	EXPECT_REFUSED(t, parse(HEAD "a :\n"), 2, "id is not a number");
	EXPECT_REFUSED(t, parse(HEAD "~\n"), 2, "neither an allocation (a) nor a free (f)");
	EXPECT_REFUSED(t, parse(HEAD "\x7f\n"), 2, "not text: byte 0x7f");
	/* Only for a file that begins like gzip the error says "unpack it first". */
	EXPECT_REFUSED(t, parse("\x1f"), 1, "not text: unpack it first, it seems to be gzip");
	EXPECT_REFUSED(t, parse("#\x1f"), 1, "not text: byte 0x1f");
	EXPECT_REFUSED(t, parse(HEAD "\x1f"), 2, "not text: byte 0x1f");
	EXPECT_REFUSED(t,
	    parse("# events=1 allocs=1 frees=0 ids=1 peak_live_pages=1099511627777 cpus=1\n"), 1,
	    "peak_live_pages is above 1099511627776");
	EXPECT_REFUSED(t,
	    parse("# events=1 allocs=1 frees=0 ids=1 peak_live_pages=1099511627776 cpus=1\na 0 0 U "
	          "0\n"),
	    1, "peak_live_pages is 1099511627776, but the events make it 1");
	EXPECT_REFUSED(t, parse("# events=4294967295"), 1, "events is above 4294967294");
	/* One event more than could fit into the trace's bytes is refused at once. */
	room = strlen("# events=10 allocs=10 frees=0 ids=1 peak_live_pages=1 cpus=1\n") / 6 + 1;
	EXPECT_REFUSED(t,
	    parse("# events=%lu allocs=%lu frees=0 ids=1 peak_live_pages=1 cpus=1\n", room + 1,
	        room + 1),
	    1, "12 events do not fit into what follows");
	EXPECT_REFUSED(t,
	    parse("# events=%lu allocs=%lu frees=0 ids=1 peak_live_pages=1 cpus=1\n", room, room),
	    1, "the trace ends after 0 of 11 events");
}

/* The text behind the first error is not checked, although it has more errors. */
KTEST(first_error_of_a_trace_is_named)
{
	static const char *const event[] = {"x", "a", "a x", "a 3 0 U 0", "a 0", "a 0 x U 0",
	    "a 0 0", "a 0 0 X 0", "a 0 0 U", "a 0 0 U x", "a 0 0 U 2", "a 0 0 U 0 1", "f", "f 0 0",
	    "f 0", "f x 0", "", "\t", "a 0 0 U 0\nf 0 0"};
	static struct trace_error first;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(event); i++) {
		EXPECT_EQ(t, parse(HEAD "%s\n", event[i]), -EINVAL);
		first = error;
		EXPECT_REFUSED(t, parse(HEAD "%s\n~\n\x7f\n", event[i]), first.line, first.reason);
		EXPECT_REFUSED(
		    t, parse(HEAD "%s\na 0 0 U 0\n", event[i]), first.line, first.reason);
	}
	EXPECT_REFUSED(t, parse("# events=x\n~\n"), 1, "events is not a number");
	EXPECT_REFUSED(t, parse("# event=1\n~\n"), 1, "expected \"# events=\" at column 1");
	EXPECT_REFUSED(t, parse("# events=1 allocs=1 frees=0 ids=3 peak_live_pages=1 cpus=2 \n~\n"),
	    1, "more on the line than belongs there");
}

/* ---- a replay, figure by figure ---- */

static u64 reads;
static struct memory *tampered;
static u64 tamper_at;
static struct page *victim;

/* Counts its calls; at one of the calls a live block gets the number of another block. */
static u64 count_reads(void)
{
	pfn_t pfn;

	if (++reads == tamper_at) {
		for (pfn = tampered->start_pfn; pfn < tampered->end_pfn; pfn++) {
			victim = pfn_to_page_in(tampered, pfn);
			if (word_state(page_word(victim)) == PG_ALLOC)
				break;
		}
		victim->index = 77;
	}
	return reads;
}
static const struct trace_clock counting = {count_reads, "reads"};

static int run(struct memory *mem, u64 at, struct trace_report *r)
{
	reads = 0;
	tampered = mem;
	tamper_at = at;
	return trace_run(&trace, mem, 1, &counting, r);
}

KTEST(figures_of_a_replay_are_exact)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, BLOCKS, 0));
	u64 slow_allocs, slow_frees, operations = 9;
	struct trace_report r;
	u64 began = arch_clock_ns();

	REQUIRE(t,
	    !parse("# events=9 allocs=5 frees=4 ids=3 peak_live_pages=7 cpus=3\na 0 0 U 0\na 1 1 U "
	           "1\na 2 2 U 2\nf 1 0\n"
	           "f 0 0\nf 2 0\na 1 0 U 0\nf 1 1\na 0 0 U 2\n"));
	slow_allocs = mm_event_sum(mem, EV_ALLOC_SLOW);
	slow_frees = mm_event_sum(mem, EV_FREE_UNCACHED);
	EXPECT_EQ(t, run(mem, 0, &r), 0);
	slow_allocs = mm_event_sum(mem, EV_ALLOC_SLOW) - slow_allocs;
	slow_frees = mm_event_sum(mem, EV_FREE_UNCACHED) - slow_frees;
	EXPECT(t, r.events == 9 && r.cpus == 1 && r.allocs == 5 && r.frees == 4);
	EXPECT(t, r.failed == 0 && r.skipped == 0 && r.waits == 0 && r.wrong == 0);
	EXPECT(t, r.live == 1 && r.live_pages == 1 && r.peak_pages == 7);
	/* The clock is read before and after each operation. */
	EXPECT(t, r.ticks == operations && reads == 2 * operations);
	EXPECT(t, r.elapsed_ns > 0 && r.elapsed_ns <= arch_clock_ns() - began);
	EXPECT_EQ(t, r.slow_allocs, slow_allocs);
	EXPECT_EQ(t, r.slow_frees, slow_frees);
	EXPECT_EQ(t, r.hits, (operations - slow_allocs - slow_frees) * 1000 / operations);
	EXPECT_EQ(t, r.fragmented_before, 0);
	EXPECT_EQ(t, r.fragmented, (PAGEBLOCK_PAGES - 1) * 1000 / (BLOCKS * PAGEBLOCK_PAGES - 1));
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
	/* A second replay gives the same figures. */
	EXPECT_EQ(t, run(mem, 0, &r), 0);
	EXPECT(t, r.allocs == 5 && r.frees == 4 && r.live == 1 && r.peak_pages == 7);
	trace_free(&trace);
}

/* Allocate pages from a cache, and more of the largest blocks than there are. */
KTEST(failed_allocations_count_as_operations)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, BLOCKS, 0));
	u64 nr = BLOCKS + 1, operations = nr + 20;
	struct trace_report r;
	unsigned i;
	int at;

	at = ksnprintf(text, sizeof(text),
	    "# events=%llu allocs=%llu frees=10 ids=%llu peak_live_pages=%llu cpus=1\n",
	    (unsigned long long)operations, (unsigned long long)nr + 10, (unsigned long long)nr + 1,
	    (unsigned long long)nr << MAX_ORDER);
	for (i = 0; i < 10; i++)
		at += ksnprintf(text + at, sizeof(text) - (size_t)at, "a 0 0 U 0\nf 0 0\n");
	for (i = 1; i <= nr; i++)
		at +=
		    ksnprintf(text + at, sizeof(text) - (size_t)at, "a %u %u U 0\n", i, MAX_ORDER);
	REQUIRE(t, !trace_parse(&trace, NAME, text, strlen(text), &error));
	EXPECT_EQ(t, run(mem, 0, &r), 0);
	EXPECT(t, r.failed > 0 && r.allocs + r.failed == nr + 10 && r.frees == 10);
	EXPECT(t, r.live == r.allocs - 10 && r.slow_allocs < operations);
	EXPECT_EQ(t, r.hits, (operations - r.slow_allocs - r.slow_frees) * 1000 / operations);
	trace_free(&trace);
}

/*
 * A block with the number of another block was allocated twice: it is not freed, and the replay has
 * failed.
 */
KTEST(blocks_handed_out_twice_are_wrong)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, BLOCKS, 0));
	struct trace_report r;

	REQUIRE(t,
	    !parse("# events=4 allocs=2 frees=2 ids=2 peak_live_pages=2 cpus=1\na 0 0 U 0\na 1 0 U "
	           "0\nf 0 0\nf 1 0\n"));
	/* The clock's third reading is before the second allocation: one block is live. */
	EXPECT_EQ(t, run(mem, 3, &r), -EUCLEAN);
	EXPECT(t, r.wrong == 1 && r.allocs == 2 && r.frees == 1 && r.live == 0 && r.skipped == 0);
	EXPECT_EQ(t, mem_free_pages(mem, victim, 0), 0);
	trace_free(&trace);
	/* A block that is live at the end is freed all the same. */
	REQUIRE(t,
	    !parse("# events=2 allocs=2 frees=0 ids=2 peak_live_pages=2 cpus=1\na 0 0 U 0\na 1 0 U "
	           "0\n"));
	EXPECT_EQ(t, run(mem, 3, &r), -EUCLEAN);
	EXPECT(t, r.wrong == 1 && r.live == 2 && r.live_pages == 2);
	trace_free(&trace);
	drain_all_pages(mem, NULL);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

KTEST(reports_are_printed_exactly, KTEST_REPORTS)
{
	static const struct trace_report r = {.cpus = 2,
	    .events = 30,
	    .live = 4,
	    .live_pages = 5,
	    .peak_pages = 6,
	    .waits = 7,
	    .ticks = 1001,
	    .elapsed_ns = 8999999,
	    .slow_allocs = 9,
	    .slow_frees = 10,
	    .hits = 366,
	    .fragmented_before = 12,
	    .fragmented = 999,
	    .failed = 11,
	    .skipped = 13};
	static const struct trace_report bad = {.events = 0, .wrong = 3};
	static const struct trace_clock clock = {count_reads, "beats"};
	struct trace some = {
	    .name = "some", .nr_allocs = 20, .nr_frees = 10, .nr_cpus = 3, .peak_pages = 14};
	static const char last[] = "  WRONG: 3 blocks refused by free_pages or handed out twice\n";
	static char have[2048], want[2048];
	u64 pos = log_position();

	trace_print_report(&some, &clock, &r);
	have[log_read(&pos, have, sizeof(have) - 1)] = '\0';
	ksnprintf(want, sizeof(want),
	    "trace some: 30 events (20 allocations, 10 frees) of 3 CPUs, run on 2\n"
	    "  33.3 beats per event in the allocator; 8 ms in all, 7 waits\n"
	    "  peak pages: 6 (in the order of the file: 14)\n"
	    "  live at the end: 4 blocks, 5 pages (header: 10 blocks)\n"
	    "  fragmentation at the end: 99.9 %% of free memory outside order %u (before: 1.2 %%)\n"
	    "  cache hit rate: 36.6 %% (9 allocations and 10 frees went to the zone)\n"
	    "  failed allocations: 11, frees skipped for them: 13\n",
	    MAX_ORDER);
	EXPECT(t, strcmp(have, want) == 0);
	some.nr_cpus = 1;
	trace_print_report(&some, &clock, &bad);
	have[log_read(&pos, have, sizeof(have) - 1)] = '\0';
	EXPECT(t,
	    strncmp(have, "trace some: 0 events (20 allocations, 10 frees) of 1 CPU, run on 0\n",
	        67) == 0);
	EXPECT(t, strcmp(have + strlen(have) - strlen(last), last) == 0);
}
