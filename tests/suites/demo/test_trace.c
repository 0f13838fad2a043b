/* SPDX-License-Identifier: MIT */
/* test_trace.c: the parser of allocation traces, line by line; their replay on 1, 2 and 4 CPUs. */
#include <quarry/console.h>
#include <quarry/ktest.h>
#include <quarry/string.h>
#include <quarry/trace.h>

#define NAME "  # trace" /* text that the parser prints appears as a remark of the test */

#define HEAD(events, allocs, frees, peak)                                                          \
	"# events=" #events " allocs=" #allocs " frees=" #frees " ids=3 peak_live_pages=" #peak    \
	" cpus=2\n"
/* The header of a trace of one event, behind the number of events; and the event. */
#define REST  " allocs=1 frees=0 ids=1 peak_live_pages=1 cpus=1\n"
#define EVENT "a 0 0 U 0\n"

struct bad_text {
	const char *text;
	unsigned line;
	const char *reason; /* its first words */
};

static const struct bad_text bad_headers[] = {
    {"", 1, "empty"},
    {"\n", 1, "empty line"},
    {EVENT, 1, "expected \"# events=\" at column 1"},
    {"# events=1 allocs=1 frees=0 ids=1 peak_live_pages=1\n", 1,
        "expected \" cpus=\" at column 52"},
    {"# events=1 frees=0 allocs=1 ids=1 peak_live_pages=1 cpus=1\n", 1,
        "expected \" allocs=\" at column 11"},
    {"# events=1 " REST, 1, "expected \" allocs=\" at column 11"},
    {"# events=" REST, 1, "events is not a number"},
    {"# events=-1" REST, 1, "events is not a number"},
    {"# events=1k" REST, 1, "events is not a number"},
    {"# events=01" REST, 1, "events has a leading zero"},
    {"# events=1 allocs=1 frees=0 ids=1 peak_live_pages=1 cpus=", 1, "cpus is missing"},
    {"# events=1 allocs=1 frees=0 ids=1 peak_live_pages=1 cpus=1 \n", 1, "more on the line"},
    {"# events=1 allocs=1 frees=0 ids=1 peak_live_pages=1 cpus=1 x=2\n", 1, "more on the line"},
    {"# events=1 allocs=1 frees=0 ids=1 peak_live_pages=1 cpus=0\n" EVENT, 1, "cpus is 0"},
    {"# events=1 allocs=1 frees=0 ids=1 peak_live_pages=1 cpus=4097\n" EVENT, 1,
        "cpus is above 4096"},
    {"# events=2" REST EVENT EVENT, 1, "events is not allocs + frees"},
    {"# events=4000000000" REST EVENT, 1, "4000000000 events do not fit"},
    {"# events=1 allocs=1 frees=0 ids=16777217 peak_live_pages=1 cpus=1\n" EVENT, 1,
        "ids is above 16777216"},
    {"# events=18446744073709551617" REST, 1, "events is above"},
    {"# events=99999999999999999999999999999" REST, 1, "events is above"},
    {"\x1f\x8b\x08", 1, "not text: unpack it first"},
    {"\x7f"
     "ELF\x02\x01",
        1, "not text: byte 0x7f"},
    {"\xef\xbb\xbf# events=1" REST EVENT, 1, "not text: byte 0xef"},
    {"# events=1 allocs=1 frees=0 ids=1 peak_live_pages=1 cpus=1\r\n", 1, "carriage return"},
};

static const struct bad_text bad_events[] = {
    {HEAD(1, 1, 0, 1) "\n", 2, "empty line"},
    {HEAD(1, 1, 0, 1) "a 0 0 U 0\n\n", 3, "empty line"},
    {HEAD(1, 1, 0, 1) "x 0 0 U 0\n", 2, "neither an allocation (a) nor a free (f)"},
    {HEAD(1, 1, 0, 1) " a 0 0 U 0\n", 2, "neither an allocation (a) nor a free (f)"},
    {HEAD(1, 1, 0, 1) "# a comment\n", 2, "neither an allocation (a) nor a free (f)"},
    {HEAD(1, 1, 0, 1) "a\n", 2, "id is missing"},
    {HEAD(1, 1, 0, 1) "a \n", 2, "id is missing"},
    {HEAD(1, 1, 0, 1) "alloc 0 0 U 0\n", 2, "no blank before id"},
    {HEAD(1, 1, 0, 1) "a\t0 0 U 0\n", 2, "not text: byte 0x09"},
    {HEAD(1, 1, 0, 1) "a  0 0 U 0\n", 2, "id is not a number"},
    {HEAD(1, 1, 0, 1) "a -1 0 U 0\n", 2, "id is not a number"},
    {HEAD(1, 1, 0, 1) "a 0x1 0 U 0\n", 2, "id is not a number"},
    {HEAD(1, 1, 0, 1) "a 3 0 U 0\n", 2, "id is above 2"},
    {HEAD(1, 1, 0, 1) "a 4294967296 0 U 0\n", 2, "id is above 2"},
    {HEAD(1, 1, 0, 1) "a 18446744073709551616 0 U 0\n", 2, "id is above 2"},
    {HEAD(1, 1, 0, 1) "a 0\n", 2, "order is missing"},
    {HEAD(1, 1, 0, 1) "a 0 16 U 0\n", 2, "order is above"},
    {HEAD(1, 1, 0, 1) "a 0 0\n", 2, "type is missing"},
    {HEAD(1, 1, 0, 1) "a 0 0 X 0\n", 2, "type is none of U, M and R"},
    {HEAD(1, 1, 0, 1) "a 0 0 m 0\n", 2, "type is none of U, M and R"},
    {HEAD(1, 1, 0, 1) "a 0 0 MU 0\n", 2, "no blank before cpu"},
    {HEAD(1, 1, 0, 1) "a 0 0 U\n", 2, "cpu is missing"},
    {HEAD(1, 1, 0, 1) "a 0 0 U", 2, "cpu is missing"},
    {HEAD(1, 1, 0, 1) "a 0 0 U 2\n", 2, "cpu is above 1"},
    {HEAD(1, 1, 0, 1) "a 0 0 U 0 \n", 2, "more on the line"},
    {HEAD(1, 1, 0, 1) "a 0 0 U 0 0\n", 2, "more on the line"},
    {HEAD(1, 1, 0, 1) "a 0 0 U 0\r\n", 2, "carriage return"},
    {HEAD(2, 1, 1, 1) "f 0 0\na 0 0 U 0\n", 2, "id 0 is not allocated"},
    {HEAD(2, 2, 0, 2) "a 1 0 U 0\na 1 0 U 0\n", 3, "id 1 is allocated already"},
    {HEAD(3, 1, 2, 1) "a 2 0 U 0\nf 2 0\nf 2 0\n", 4, "id 2 is not allocated"},
    {HEAD(2, 1, 1, 1) "a 0 0 U 0\nf 0 2\n", 3, "cpu is above 1"},
    {HEAD(2, 1, 1, 1) "a 0 0 U 0\nf 0 0 U 0\n", 3, "more on the line"},
    {HEAD(2, 1, 1, 1) "a 0 0 U 0\na 1 0 U 0\n", 3, "more allocations than the header's 1"},
    {HEAD(2, 2, 0, 1) "a 0 0 U 0\nf 0 0\n", 3, "more frees than the header's 0"},
    {HEAD(1, 1, 0, 1) "a 0 0 U 0\nf 0 0\n", 3, "more events than the header's 1"},
    {HEAD(2, 1, 1, 1) "a 0 0 U 0\n", 2, "the trace ends after 1 of 2 events"},
    {HEAD(1, 1, 0, 2) "a 0 0 U 0\n", 1, "peak_live_pages is 2, but the events make it 1"},
    {"# events=1 allocs=1 frees=0 ids=0 peak_live_pages=1 cpus=1\n" EVENT, 2,
        "an event, but the header has no ids"},
};

static void expect_refused(struct ktest *t, const struct bad_text *bad, unsigned nr)
{
	struct trace_error error;
	struct trace trace;
	unsigned i;

	for (i = 0; i < nr; i++) {
		const char *want = bad[i].reason;
		int err = trace_parse(&trace, NAME, bad[i].text, strlen(bad[i].text), &error);

		if (err != -EINVAL || error.line != bad[i].line ||
		    strncmp(error.reason, want, strlen(want)) != 0)
			ktest_fail(t, __FILE__, __LINE__, "text %u: expected %u: %s, got %d", i,
			    bad[i].line, want, err);
		if (!err)
			trace_free(&trace);
	}
}

KTEST_SUITE(trace, 0);

KTEST(malformed_headers_are_refused)
{
	unsigned long before = memory_free_pages(&kernel_memory);

	expect_refused(t, bad_headers, ARRAY_SIZE(bad_headers));
	EXPECT_EQ(t, memory_free_pages(&kernel_memory), before);
}

KTEST(malformed_events_are_refused)
{
	unsigned long before;

	expect_refused(t, bad_events, 1); /* the small-object allocator may keep a page */
	before = memory_free_pages(&kernel_memory);
	expect_refused(t, bad_events, ARRAY_SIZE(bad_events));
	EXPECT_EQ(t, memory_free_pages(&kernel_memory), before);
}

/* Texts that no string can hold: a NUL, a line without an end, an order just above the largest. */
KTEST(odd_bytes_and_sizes_are_refused)
{
	static char text[400];
	struct bad_text bad = {text, 2, "line of more than 128 bytes"};
	size_t head = (size_t)ksnprintf(text, sizeof(text), "%s", HEAD(1, 1, 0, 1));
	struct trace_error error;
	struct trace trace;

	memset(text + head, 'a', 200);
	text[head + 200] = 0;
	expect_refused(t, &bad, 1);

	memcpy(text + head, "a 0\0 0 U 0\n", 11);
	EXPECT_EQ(t, trace_parse(&trace, NAME, text, head + 11, &error), -EINVAL);
	EXPECT_EQ(t, error.line, 2);
	EXPECT(t, !strcmp(error.reason, "not text: byte 0x00"));

	ksnprintf(text + head, sizeof(text) - head, "a 0 %u U 0\n", MAX_ORDER + 1);
	bad.reason = "order is above";
	expect_refused(t, &bad, 1);
}

KTEST(last_newline_may_be_missing)
{
	static const char text[] = HEAD(2, 1, 1, 4) "a 2 2 R 1\nf 2 0";
	struct trace_error error;
	struct trace trace;
	const struct trace_event *ev;

	REQUIRE(t, trace_parse(&trace, NAME, text, sizeof(text) - 1, &error) == 0);
	ev = trace_event_at(&trace, 0);
	EXPECT(t, ev->id == 2 && ev->seq == 0 && ev->cpu == 1 && ev->order == 2);
	EXPECT_EQ(t, ev->gfp, GFP_RECLAIMABLE);
	ev = trace_event_at(&trace, 1);
	EXPECT(t, ev->id == 2 && ev->seq == 1 && ev->cpu == 0);
	EXPECT_EQ(t, trace.nr_events, 2);
	EXPECT_EQ(t, trace.nr_cpus, 2);
	EXPECT_EQ(t, trace.peak_pages, 4);
	trace_free(&trace);
}

/* A replay that takes longer than 2 s prints its progress. */
#define REPLAY .reports = "? events"

/* A trace may have a header only. */
KTEST(empty_trace_runs, REPLAY)
{
	static const char text[] = "# events=0 allocs=0 frees=0 ids=0 peak_live_pages=0 cpus=1\n";
	struct trace_report report;
	struct trace trace;

	REQUIRE(t, trace_parse(&trace, NAME, text, sizeof(text) - 1, NULL) == 0);
	EXPECT_EQ(t, trace_run(&trace, &kernel_memory, 1, &trace_clock_ns, &report), 0);
	EXPECT_EQ(t, report.events + report.live + report.peak_pages + report.hits, 0);
	trace_free(&trace);
}

static bool parse_short(struct trace *trace)
{
	return trace_parse(trace, "short.trace", trace_short,
	           (size_t)(trace_short_end - trace_short), NULL) == 0;
}

/* Run the short trace once, with enough memory. */
static void run_short(
    struct ktest *t, struct trace *trace, unsigned cpus, struct trace_report *report)
{
	EXPECT_EQ(t, trace_run(trace, &kernel_memory, cpus, &trace_clock_ns, report), 0);
	EXPECT_EQ(t, report->cpus, MIN(cpus, trace->nr_cpus));
	EXPECT_EQ(t, report->live, trace->nr_allocs - trace->nr_frees);
	EXPECT_EQ(t, report->failed + report->skipped + report->wrong, 0);
	EXPECT(t, report->peak_pages >= report->live_pages);
	EXPECT(t, report->hits > 0 && report->hits < 1000);
}

/* Expect the same live pages as on one CPU, and that no page is kept. */
static void run_short_on(struct ktest *t, unsigned cpus)
{
	struct trace_report one, report;
	struct trace trace;
	unsigned long before;

	if (!ktest_needs_cpus(t, cpus))
		return;
	REQUIRE(t, parse_short(&trace));
	run_short(t, &trace, 1, &one);
	EXPECT_EQ(t, one.peak_pages, trace.peak_pages);
	/* The first run on that many CPUs fills the stores that keep pages: objects, stacks. */
	if (cpus > 1)
		run_short(t, &trace, cpus, &report);
	before = memory_free_pages(&kernel_memory);
	run_short(t, &trace, cpus, &report);
	EXPECT_EQ(t, report.live_pages, one.live_pages);
	EXPECT_EQ(t, memory_free_pages(&kernel_memory), before);
	trace_free(&trace);
}

KTEST(live_pages_at_the_end_match_the_header, REPLAY)
{
	run_short_on(t, 1);
}

KTEST(two_cpus_leave_the_same_pages_live, REPLAY)
{
	run_short_on(t, 2);
}

KTEST(four_cpus_leave_the_same_pages_live, REPLAY)
{
	run_short_on(t, 4);
}

KTEST(failures_are_counted_and_their_frees_skipped, REPLAY)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 1, 0));
	struct trace_report report;
	struct trace trace;
	unsigned cpus;

	REQUIRE(t, parse_short(&trace));
	for (cpus = 1; cpus <= 2 && cpus <= ktest_cpus(); cpus++) {
		EXPECT_EQ(t, trace_run(&trace, mem, cpus, &trace_clock_ns, &report), 0);
		EXPECT(t, report.failed > 0);
		EXPECT(t, report.skipped <= report.failed);
		EXPECT_EQ(t, report.allocs + report.failed, trace.nr_allocs);
		EXPECT_EQ(t, report.frees + report.skipped, trace.nr_frees);
		EXPECT_EQ(t, report.live + report.failed - report.skipped,
		    trace.nr_allocs - trace.nr_frees);
		EXPECT(t, report.peak_pages <= memory_managed_pages(mem));
		EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
	}
	trace_free(&trace);
}

/* At least two of the four largest blocks do not fit: they are neither allocated nor freed. */
KTEST(only_allocations_that_do_not_fit_fail, REPLAY)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 2));
	struct trace_report report;
	struct trace trace;
	char text[256];
	int n, i;

	n = ksnprintf(text, sizeof(text),
	    "# events=8 allocs=4 frees=4 ids=4 peak_live_pages=%lu cpus=1\n", 4 * PAGEBLOCK_PAGES);
	for (i = 0; i < 8; i++)
		n += ksnprintf(text + n, sizeof(text) - (size_t)n,
		    i < 4 ? "a %d %u M 0\n" : "f %d 0\n", i % 4, MAX_ORDER);
	REQUIRE(t, trace_parse(&trace, NAME, text, (size_t)n, NULL) == 0);
	EXPECT_EQ(t, trace_run(&trace, mem, 1, &trace_clock_ns, &report), 0);
	EXPECT_EQ(t, report.failed, report.skipped);
	EXPECT_EQ(t, report.allocs, report.frees);
	EXPECT(t, report.failed >= 2 && report.failed < 4);
	EXPECT_EQ(t, report.peak_pages, report.allocs * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, report.live, 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
	trace_free(&trace);
}

#define TURNS 300

/* Two CPUs allocate and free one id in turn: a single event out of order is a double free. */
KTEST(events_of_one_id_keep_their_order, REPLAY)
{
	static char text[TURNS * 24 + 128];
	struct memory *mem = NEED(t, ktest_memory(t, 0, 1, 1));
	struct trace_report report;
	struct trace trace;
	int n, i;

	n = ksnprintf(text, sizeof(text),
	    "# events=%d allocs=%d frees=%d ids=1 peak_live_pages=2 cpus=2\n", 2 * TURNS, TURNS,
	    TURNS);
	for (i = 0; i < TURNS; i++)
		n += ksnprintf(
		    text + n, sizeof(text) - (size_t)n, "a 0 1 R %d\nf 0 %d\n", i % 2, i % 3 == 0);
	REQUIRE(t, trace_parse(&trace, NAME, text, (size_t)n, NULL) == 0);
	EXPECT_EQ(t, trace_run(&trace, mem, MIN(2u, ktest_cpus()), &trace_clock_ns, &report), 0);
	EXPECT_EQ(t, report.frees, TURNS);
	EXPECT_EQ(t, report.peak_pages, 2);
	EXPECT_EQ(t, report.live + report.wrong, 0);
	EXPECT(t, ktest_cpus() == 1 || report.waits > 0);
	trace_free(&trace);
}

KTEST(cpus_out_of_range_are_refused)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 1, 0));
	struct trace_report report;
	struct trace trace;

	REQUIRE(t, parse_short(&trace));
	EXPECT_EQ(t, trace_run(&trace, mem, 0, &trace_clock_ns, &report), -EINVAL);
	EXPECT_EQ(t, trace_run(&trace, mem, mem->nr_cpus + 1, &trace_clock_ns, &report), -EINVAL);
	trace_free(&trace);
}
