/* SPDX-License-Identifier: MIT */
/*
 * test_ktest_text.c: printed text that fails the test that printed it, and waits for a function of
 * a lab that is not written.
 */
#include "tests/lib/ktest_text.h"
#include "tests/lib/wait_help.h"
#include <quarry/console.h>
#include <quarry/lab.h>
#include <quarry/port.h>

#define LOG_SIZE 65536u /* as in kernel/printk.c; hosted programs keep at most as much */

/* The number of failures of a test with case @c that prints @text. */
static unsigned failures_of(struct ktest_case c, const char *text)
{
	struct ktest fake = {.name = c.name};
	u64 pos = log_position(), patience = ktest_text_ns;

	printk("%s", text);
	ktest_text_ns = 0;
	ktest_check_text(&fake, &c, pos);
	ktest_text_ns = patience;
	return fake.failures;
}

KTEST_SUITE(ktest_text, KTEST_MOSTLY_INSIDE);

KTEST(text_that_no_test_expects_is_a_failure, KTEST_REPORTS)
{
	static const struct {
		const char *reports, *text;
		unsigned failures;
	} cases[] = {
	    {NULL, "", 0},
	    {NULL, "a report\n", 1},
	    {NULL, "  # a comment\n", 0},
	    {NULL, "  # a comment\na report\n", 1},
	    {NULL, "\n", 1},
	    {"one", "word one of it\n", 0},
	    {"one", "oneone\n  # a comment\n", 0},
	    {"one", "word two\n", 1},
	    {"one", "on e\n", 1},
	    /* All words must be printed, in any order, and no other line. */
	    {"one|two", "1 two\n2 one\n3 two\n", 0},
	    {"one|two", "one two\n", 0},
	    {"one|two", "one\none\n", 1},
	    {"one|two", "two\n", 1},
	    {"one|two", "", 2},
	    {"one|two", "one\nthree\ntwo\n", 1},
	    /* Words with a question mark may be missing. */
	    {"?one", "", 0},
	    {"?one", "one\n", 0},
	    {"?one", "two\n", 1},
	    {"one|?two", "one\n", 0},
	    {"?one|two", "one\n", 1},
	    {"?one|two|?three", "two\nthree\none\n", 0},
	};
	unsigned i, failures;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		failures =
		    failures_of((struct ktest_case){.reports = cases[i].reports}, cases[i].text);
		if (failures != cases[i].failures)
			ktest_fail(t, __FILE__, __LINE__, "case %u: %u failures", i, failures);
	}
}

KTEST(whole_text_is_compared_line_by_line, KTEST_REPORTS)
{
	static const struct {
		const char *says, *text;
		unsigned failures;
	} cases[] = {
	    {"", "", 0},
	    {"", "one\n", 1},
	    {"", "  # a comment\n", 0},
	    {"one\n", "", 1},
	    {"one\n", "one\n", 0},
	    {"one\n", "  # a comment\none\n  # another\n", 0},
	    {"one\n", "one \n", 1},
	    {"one\n", "on\n", 1},
	    {"one\n", "one", 1},
	    {"one\n", "one\none\n", 1},
	    {"one\ntwo\n", "one\ntwo\n", 0},
	    {"one\ntwo\n", "two\none\n", 1},
	    {"one\ntwo\n", "one\n", 1},
	    /* A star is one character or more, within the line. */
	    {"a * b *\n", "a 12 b 3\n", 0},
	    {"a * b *\n", "a b b b b\n", 0},
	    {"a * b *\n", "a  b 3\n", 1},
	    {"a * b *\n", "a 12 b \n", 1},
	    {"a*b\n", "acbb\n", 0},
	    {"a*b\n", "a\nb\n", 1},
	};
	unsigned i, failures;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		failures = failures_of((struct ktest_case){.says = cases[i].says}, cases[i].text);
		if (failures != cases[i].failures)
			ktest_fail(t, __FILE__, __LINE__, "case %u: %u failures", i, failures);
	}
}

/* A line longer than the buffer is one line. */
KTEST(words_are_looked_for_in_the_beginning_of_a_long_line, KTEST_REPORTS)
{
	char text[400];

	ksnprintf(text, sizeof(text), "one%300s\ntwo\n", "three");
	EXPECT_EQ(t, failures_of((struct ktest_case){.reports = "one|two"}, text), 0);
	EXPECT_EQ(t, failures_of((struct ktest_case){.reports = "two"}, text), 1);
}

/* If there is more text than the log keeps, only its end can be checked. */
KTEST(text_that_the_log_has_lost_is_not_checked, KTEST_REPORTS)
{
	struct ktest fake = {.name = "fake"};
	const struct ktest_case c = {.reports = "one"};
	u64 pos = log_position();
	unsigned i;

	printk("one\ntwo\n");
	for (i = 0; i < LOG_SIZE / 400 + 1; i++)
		printk("  # %395s\n", "");
	ktest_check_text(&fake, &c, pos);
	EXPECT_EQ(t, fake.failures, 0);
}

KTEST(test_that_compares_its_text_is_not_checked, KTEST_REPORTS)
{
	EXPECT_EQ(t, failures_of((struct ktest_case){.flags = KTEST_REPORTS}, "a report\n"), 0);
}

KTEST_SUITE(ktest_wait, KTEST_MOSTLY_INSIDE);

/*
 * A wait for lab code that is not written ends after RACE_TURNS turns. A wait for an event of the
 * test itself goes on, because the time that turns take depends on the host.
 */
KTEST(a_wait_for_what_is_not_written_ends_by_its_turns)
{
	struct wait_limit other = {.turns = RACE_TURNS}, own = {.turns = RACE_TURNS, .own = true};
	bool before = lab_unwritten;

	lab_unwritten = true;
	EXPECT(t, !wait_goes_on(&other));
	EXPECT(t, wait_goes_on(&own));
	lab_unwritten = before;
}
