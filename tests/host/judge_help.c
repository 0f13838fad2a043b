/* SPDX-License-Identifier: MIT */
/* judge_help.c: see judge_help.h. */
#include "tests/host/judge_help.h"

struct judge judge;

void judge_clear(void)
{
	judge.len = 0;
	judge.text[0] = '\0';
}

void judge_begin(void)
{
	memset(&judge, 0, sizeof(judge));
	judge.tick = 1;
}

void judge_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	judge.len += (size_t)kvsnprintf(judge.text + judge.len, JUDGE_TEXT - judge.len, fmt, ap);
	va_end(ap);
	if (judge.len >= JUDGE_TEXT)
		panic("judge: the text is full");
}

static unsigned times_in(const char *text, size_t size, const char *words, size_t len)
{
	unsigned found = 0;
	size_t i;

	for (i = 0; i + len <= size; i++)
		found += strncmp(text + i, words, len) == 0;
	return found;
}

unsigned judge_times(const char *words)
{
	return times_in(judge.text, judge.len, words, strlen(words));
}

/* Print the text in pieces, because the length of a line is limited. */
static void judge_print(void)
{
	size_t i;

	printk("  # said:\n");
	for (i = 0; i < judge.len; i += 200)
		printk("%.200s", judge.text + i);
	printk("\n  # end\n");
}

void judge_expect(struct ktest *t, const char *file, const char *want, int line)
{
	size_t i;

	for (i = 0; judge.text[i] && judge.text[i] == want[i]; i++)
		;
	if (judge.text[i] != want[i]) {
		judge_print();
		ktest_fail(t, file, line, "from byte %lu on it is \"%.70s\", not \"%.70s\"",
		    (unsigned long)i, judge.text + i, want + i);
	}
	judge_clear();
}

void judge_words(struct ktest *t, const char *file, const char *words, int line)
{
	unsigned failures = 0, said = judge_times("FAIL: ");
	bool good = true;

	while (*words) {
		unsigned len, found, want = 1;

		if (words[1] == ':') {
			want = (unsigned)(*words - '0');
			words += 2;
		}
		for (len = 0; words[len] && words[len] != '|'; len++)
			;
		found = times_in(judge.text, judge.len, words, len);
		if (found != want) {
			ktest_fail(
			    t, file, line, "%u times, not %u: %.*s", found, want, (int)len, words);
			good = false;
		}
		failures += want * times_in(words, len, "FAIL: ", 6);
		words += len + (words[len] == '|');
	}
	if (failures != said)
		ktest_fail(t, file, line, "%u failures are printed, not %u", said, failures);
	if (!good || failures != said)
		judge_print();
	judge_clear();
}

u64 judge_clock(void)
{
	judge.now += judge.tick;
	return judge.now;
}
