/* SPDX-License-Identifier: MIT */
/*
 * ktest.h: tests that run unchanged at boot and in the hosted program; output is KTAP version 1.
 *
 * A suite is a file tests/suites/<room>/.../test_<subject>.c with the line KTEST_SUITE(subject,
 * flags); each function below this line that begins with KTEST(name) is a test of it, and runs in
 * the order of the file.  A test has an argument, struct ktest *t, builds what it needs with
 * ktest_memory(), and checks results with EXPECT.  After the test returns, check_memory() is run on
 * the memory that it built; after the suite, on the kernel's own memory.  A test fails if it
 * printed other things than its head says: KTEST(name, .reports = "words|of reports").
 *
 * Each test has one tag, which says which changes may break it:
 *
 *   contract  promises of docs/ and include/; another implementation passes it too
 *   cost      how often something is done: drain rounds, IPIs, locks, wake-ups, tries; the
 *             project's own promise about performance
 *   inside    the implementation: fields, lists, the order of steps, actions of other CPUs between
 *             two steps
 */
#ifndef QUARRY_KTEST_H
#define QUARRY_KTEST_H

#include <quarry/mm.h>

struct ktest {
	const char *name;
	u64 seed; /* of this test in this run; printed when it fails */
	unsigned failures;
	bool skipped;
	struct memory *mem; /* built by ktest_memory; NULL: none */
};

enum ktest_tag {
	KTEST_TAG_OF_SUITE,
	KTEST_TAG_CONTRACT,
	KTEST_TAG_COST,
	KTEST_TAG_INSIDE,
	NR_KTEST_TAGS
};

/*
 * A test; or, without a function, the beginning of a suite, of which name and flags are used.  The
 * linker makes one array of all of them, in which the tests of a suite follow it.
 */
struct ktest_case {
	const char *name;
	void (*fn)(struct ktest *t);
	enum ktest_tag tag;
	unsigned flags;
	/*
	 * The expected output: words, with | between them.  Each line must contain one of the
	 * words, and each word must occur in a line, unless it begins with "?". NULL: the test
	 * prints nothing, unless it has KTEST_REPORTS.
	 */
	const char *reports;
	/*
	 * Alternatively, the whole output line by line, each with its newline; * stands for one or
	 * more characters.  Comments, which begin with " # ", are not compared.
	 */
	const char *says;
};
#define KTEST_SLOW          1u /* of a test: selftest=quick leaves it out of its suite */
#define KTEST_REPORTS       2u /* of a test: it prints, and compares the text itself */
#define KTEST_QUICK         1u /* of a suite: part of selftest=quick */
#define KTEST_EXTRA         2u /* of a suite: runs only when named */
#define KTEST_MOSTLY_COST   4u /* of a suite: the tag of its KTEST tests; contract unless given */
#define KTEST_MOSTLY_INSIDE 8u
struct ktest_suite {
	const char *name;
	const struct ktest_case *cases;
	unsigned nr_cases;
	unsigned flags;
};
/* gcc keeps the order of variables only if it is told to. */
#if __has_attribute(no_reorder)
#define KTEST_IN_ORDER no_reorder
#else
#define KTEST_IN_ORDER used
#endif
#define KTEST_ENTRY(var)                                                                           \
	var __attribute__((used, KTEST_IN_ORDER, section("ktest_cases"), aligned(8)))
/* The type makes a test without a suite above it an error. */
#define KTEST_SUITE(suite, fl)                                                                     \
	typedef const struct ktest_case ktest_case_of_suite;                                       \
	static KTEST_ENTRY(ktest_case_of_suite suite##_suite) = {.name = #suite, .flags = (fl)}
#define KTEST_TAGGED(of, f, ...)                                                                   \
	static void f(struct ktest *t);                                                            \
	static KTEST_ENTRY(ktest_case_of_suite f##_case) = {                                       \
	    .name = #f, .fn = f, .tag = of, ##__VA_ARGS__};                                        \
	static void f(struct ktest *t)
#define KTEST(f, ...)          KTEST_TAGGED(KTEST_TAG_OF_SUITE, f, ##__VA_ARGS__)
#define KTEST_CONTRACT(f, ...) KTEST_TAGGED(KTEST_TAG_CONTRACT, f, ##__VA_ARGS__)
#define KTEST_COST(f, ...)     KTEST_TAGGED(KTEST_TAG_COST, f, ##__VA_ARGS__)
#define KTEST_INSIDE(f, ...)   KTEST_TAGGED(KTEST_TAG_INSIDE, f, ##__VA_ARGS__)

/* Record a failure with file and line.  Any thread of the test may call it. */
void ktest_fail(struct ktest *t, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same where the value @have of the expression @what is not @want, whose text is @wanted. */
void ktest_differ(struct ktest *t, const char *file, int line, const char *what, const char *wanted,
    long long have, long long want);
void ktest_skip(struct ktest *t, const char *why);
/* Are there @nr CPUs for tests?  If not, the test counts as skipped. */
bool ktest_needs_cpus(struct ktest *t, unsigned nr);

#define EXPECT(t, cond)                                                                            \
	do {                                                                                       \
		if (!(cond))                                                                       \
			ktest_fail((t), __FILE__, __LINE__, "expected %s", #cond);                 \
	} while (0)
#define EXPECT_EQ(t, have, want)                                                                   \
	do {                                                                                       \
		long long have_ = (long long)(have), want_ = (long long)(want);                    \
		if (have_ != want_)                                                                \
			ktest_differ((t), __FILE__, __LINE__, #have, #want, have_, want_);         \
	} while (0)
/* @have is at least @least and at most @most. */
#define EXPECT_RANGE(t, have, least, most)                                                         \
	do {                                                                                       \
		long long have_ = (long long)(have), least_ = (least), most_ = (most);             \
		if (have_ < least_ || have_ > most_)                                               \
			ktest_fail((t), __FILE__, __LINE__,                                        \
			    "expected %s from %lld to %lld, got %lld", #have, least_, most_,       \
			    have_);                                                                \
	} while (0)
/*
 * @event of @mem was counted @want times.  Not checked if ktest_failed is set (a student's code).
 */
#define EXPECT_COUNTED(t, mem, event, want)                                                        \
	do {                                                                                       \
		if (!ktest_failed)                                                                 \
			EXPECT_EQ(t, mm_event_sum(mem, event), want);                              \
	} while (0)
/* As EXPECT, but leave the test on failure: for conditions that the rest of the test needs. */
#define REQUIRE(t, cond)                                                                           \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			ktest_fail((t), __FILE__, __LINE__, "required %s", #cond);                 \
			return;                                                                    \
		}                                                                                  \
	} while (0)
/* The value of @expr.  The test fails and is left if the value is 0 or NULL. */
#define NEED(t, expr)                                                                              \
	({                                                                                         \
		__typeof__(expr) need_ = (expr);                                                   \
		if (!need_) {                                                                      \
			ktest_fail((t), __FILE__, __LINE__, "required %s", #expr);                 \
			return;                                                                    \
		}                                                                                  \
		need_;                                                                             \
	})

/*
 * The form of ktest_run's reports; set before the first run.  @ktest_short: show only the KTAP
 * lines of whole suites, and everything of a test that fails; the rest is in the log.
 * @ktest_clock: a clock in nanoseconds, to print the duration of each test; NULL: durations are not
 * printed.
 */
extern bool ktest_short;
extern u64 (*ktest_clock)(void);

/*
 * Run the tests that @which names: "quick", "most", "all", "none"; "contract", "cost", "inside":
 * those of "all" with that tag; or a comma-separated list of SUITE and SUITE.TEST.  Prints KTAP by
 * printk.  Returns the number of tests that failed, or -EINVAL for an unknown name (reported with
 * the list of the suites).
 */
int ktest_run(const char *which, u64 seed);

/* The number of tests that ktest_run would run. */
unsigned ktest_count(const char *which);

/*
 * Print the tests that ktest_run would run, SUITE.TEST and the tag, one per line.  Returns 0, or
 * -EINVAL as ktest_run.
 */
int ktest_list(const char *which);
/* Make *@s, at first all 0, the next suite in the order of linking; false after the last. */
bool ktest_next_suite(struct ktest_suite *s);

/*
 * Build a private memory in the test's arena, one node, with caches for min(nr_cpus, 8) CPUs: the
 * first @dma32 pageblocks are zone DMA32, then @normal of NORMAL, then @movable of MOVABLE, all
 * pages free, caches on, reclaim thread running.  Not backed by bytes.  NULL (and the test fails)
 * if it does not fit.
 */
struct memory *ktest_memory(struct ktest *t, unsigned dma32, unsigned normal, unsigned movable);

/* As memory_start; on failure it undoes its first steps. */
int ktest_start_memory(struct memory *mem);

/*
 * As ktest_memory, with bytes behind the pages: @normal pageblocks of zone NORMAL, @movable of
 * MOVABLE, in a range that the kernel's memory lends until the test is over.  NULL, and the test
 * counts as skipped, if it has none to lend.
 */
struct memory *ktest_backed_memory(struct ktest *t, unsigned normal, unsigned movable);
/* Borrow @nr pages, once in a test; returns the first one's number, PFN_NONE as above. */
pfn_t ktest_borrow(struct ktest *t, unsigned long nr);

/*
 * Called before each test, and after it, when its threads have ended but its memory is still there;
 * NULL: not called.
 */
extern void (*ktest_hook)(const char *suite, const struct ktest *t, bool begins);
/* Called for a test that has failed, after all output about it; NULL: not called. */
extern void (*ktest_failed)(const char *suite, const struct ktest *t);

/* The number of CPUs a test may use: those of ktest_memory. */
unsigned ktest_cpus(void);
/* Let tests use only CPUs below @nr, which are always present.  Called before the first run. */
void ktest_limit_cpus(unsigned nr);
/* Start fn(arg) on @cpu without waiting; one at a time per CPU.  Pair with ktest_join. */
void ktest_start(unsigned cpu, void (*fn)(void *), void *arg);
/* Wait for the function that ktest_start started on @cpu; if there is none, the test fails. */
void ktest_join(unsigned cpu);
/* Run fn(arg) on @cpu, and wait for its end. */
void ktest_on_cpu(unsigned cpu, void (*fn)(void *), void *arg);

/* xorshift64*: the tests' only source of chance.  *state must not be 0. */
static inline u64 ktest_rand(u64 *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

#endif
