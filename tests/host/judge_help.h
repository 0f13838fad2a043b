/* SPDX-License-Identifier: MIT */
/*
 * judge_help.h: one text has every call that a tested source makes and all that it prints; a test
 * compares it with the expected one.  The time is the test's.
 */
#ifndef QUARRY_TESTS_JUDGE_HELP_H
#define QUARRY_TESTS_JUDGE_HELP_H

#include <quarry/console.h>
#include <quarry/ktest.h>
#include <quarry/mm.h>
#include <quarry/string.h>

#define JUDGE_TEXT 16384

struct judge {
	char text[JUDGE_TEXT];
	size_t len;
	bool quiet;    /* calls are not noted */
	u64 now, tick; /* the clock, and the time that each reading takes */
};
extern struct judge judge;

void judge_clear(void);
void judge_begin(void);

/* Append text that the source prints, or a call that it makes. */
void judge_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define judge_note(...) (judge.quiet ? (void)0 : judge_say(__VA_ARGS__))

unsigned judge_times(const char *words);

/* The text so far must be @want; then the text is cleared. */
void judge_expect(struct ktest *t, const char *file, const char *want, int line);
#define EXPECT_SAID(t, want) judge_expect((t), __FILE__, (want), __LINE__)

/*
 * @words, apart from each other by |, must be in the text, each once, or as often as a number and a
 * colon before it say.  No FAIL is in the text but theirs.  Then the text is cleared.
 */
void judge_words(struct ktest *t, const char *file, const char *words, int line);
#define EXPECT_WORDS(t, words) judge_words((t), __FILE__, (words), __LINE__)

u64 judge_clock(void);

#endif
