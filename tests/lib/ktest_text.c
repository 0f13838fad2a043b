/* SPDX-License-Identifier: MIT */
/*
 * ktest_text.c: what a failed check prints; and text that nobody expects: it may be the report of a
 * fault, so the test that printed it fails.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: none.
 * Tests:      ktest_text.
 */
#include "tests/lib/ktest_text.h"
#include "tests/lib/wait_help.h"
#include <quarry/console.h>
#include <quarry/port.h>
#include <quarry/string.h>

/* A thread waits at least so many turns, and ktest_text_ns, for text of other threads. */
#define MAX_TURNS   MIN(10000u, RACE_TURNS)
#define MAX_LINE    255 /* of a line of a text that is compared as a whole */
#define MAX_REPORTS 20  /* failures of one test that are printed */
u64 ktest_text_ns = 10000000000ULL;

static const char *base_name(const char *path)
{
	const char *base = path;

	for (; *path; path++)
		if (*path == '/')
			base = path + 1;
	return base;
}

void ktest_fail(struct ktest *t, const char *file, int line, const char *fmt, ...)
{
	unsigned before = __atomic_fetch_add(&t->failures, 1, __ATOMIC_RELAXED);
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (before < MAX_REPORTS)
		printk("  # %s:%d: %s\n", base_name(file), line, text);
	else if (before == MAX_REPORTS)
		printk("  # more failures of this test are not printed\n");
}

/* "-EBUSY" and "FREE_MAP_NONE", not "page" and not "12". */
static bool is_constant(const char *text)
{
	text += *text == '-';
	if (*text < 'A' || *text > 'Z')
		return false;
	while ((*text >= 'A' && *text <= 'Z') || (*text >= '0' && *text <= '9') || *text == '_')
		text++;
	return !*text;
}

void ktest_differ(struct ktest *t, const char *file, int line, const char *what, const char *wanted,
    long long have, long long want)
{
	if (is_constant(wanted))
		ktest_fail(t, file, line, "expected %s == %lld, got %lld; %lld is %s", what, want,
		    have, want, wanted);
	else
		ktest_fail(t, file, line, "expected %s == %lld, got %lld", what, want, have);
}

static size_t word_length(const char *word)
{
	size_t len = 0;

	while (word[len] && word[len] != '|')
		len++;
	return len;
}

static bool has(const char *line, const char *word, size_t len)
{
	for (; *line; line++)
		if (strncmp(line, word, len) == 0)
			return true;
	return len == 0;
}

/* The words of @reports that are in the line, as bits. */
static u32 words_in(const char *line, const char *reports)
{
	u32 found = 0, bit = 1;
	size_t len;

	for (; *reports; reports += len + (reports[len] == '|'), bit <<= 1) {
		bool may = *reports == '?';

		len = word_length(reports);
		if (has(line, reports + may, len - may))
			found |= bit;
	}
	return found;
}

/* The number of words that were not found and do not begin with "?"; @t fails for each. */
static unsigned missing(struct ktest *t, const char *reports, u32 found)
{
	unsigned nr = 0;
	size_t len;

	for (; *reports; reports += len + (reports[len] == '|'), found >>= 1) {
		len = word_length(reports);
		if (*reports != '?' && !(found & 1)) {
			nr++;
			if (t)
				ktest_fail(
				    t, __FILE__, __LINE__, "not printed: %.*s", (int)len, reports);
		}
	}
	return nr;
}

/* Wait for text behind @pos: a thread that works for the test may print a moment later. */
static bool wait_for_text(u64 pos)
{
	u64 end = arch_clock_ns() + ktest_text_ns;
	unsigned turn;

	for (turn = 0; log_position() == pos && (turn < MAX_TURNS || arch_clock_ns() < end); turn++)
		thread_yield();
	return log_position() != pos;
}

/* Did the test itself print @line, as a comment? */
static bool is_comment(const char *line)
{
	return strncmp(line, "  # ", 4) == 0;
}

/* ---- the whole text ---- */

/* Is @line the first line of @want, in which * is one or more characters? */
static bool is_line(const char *line, const char *want)
{
	for (; *want != '*'; line++, want++) {
		if (*want == '\n' || !*want)
			return !*line;
		if (*line != *want)
			return false;
	}
	while (*line)
		if (is_line(++line, want + 1))
			return true;
	return false;
}

static void check_says(struct ktest *t, const char *want, u64 pos)
{
	char line[MAX_LINE + 1];

	while (pos < log_position() || (*want && wait_for_text(pos))) {
		u64 from = pos;
		size_t n = log_read(&pos, line, MAX_LINE), len = 0;

		while (len < n && line[len] != '\n')
			len++;
		line[len] = '\0';
		if (pos - n == from && len < n && is_comment(line)) {
			pos -= n - len - 1;
			continue;
		}
		if (pos - n != from || len == n || !*want || !is_line(line, want)) {
			ktest_fail(t, __FILE__, __LINE__, "printed: %s; expected: %s", line,
			    *want ? want : "nothing");
			return;
		}
		pos -= n - len - 1;
		while (*want++ != '\n')
			;
	}
	if (*want)
		ktest_fail(t, __FILE__, __LINE__, "not printed: %s", want);
}

/* ---- words ---- */

void ktest_check_text(struct ktest *t, const struct ktest_case *c, u64 pos)
{
	const char *reports = c->reports ? c->reports : "";
	bool begins = true; /* a line begins at pos */
	bool lost = false;  /* the log no longer has all of the text */
	char line[160];
	size_t n, len;
	u32 found = 0;

	if (t->failures || t->skipped || (c->flags & KTEST_REPORTS))
		return;
	if (c->says) {
		check_says(t, c->says, pos);
		return;
	}
	while (pos < log_position() ||
	    (!lost && missing(NULL, reports, found) && wait_for_text(pos))) {
		u64 from = pos;
		u32 words;

		n = log_read(&pos, line, sizeof(line) - 1);
		if (pos - n != from) {
			lost = true;
			begins = false;
		}
		for (len = 0; len < n && line[len] != '\n';)
			len++;
		line[len] = '\0';
		words = words_in(line, reports);
		if (begins && !words && !is_comment(line)) {
			ktest_fail(t, __FILE__, __LINE__, "printed, and not expected: %s", line);
			return;
		}
		found |= words;
		begins = len < n;
		pos -= n - len - begins;
	}
	if (!lost)
		missing(t, reports, found);
}
