/* SPDX-License-Identifier: MIT */
/*
 * monitor_complete.c: the words that Tab completes at the prompt.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: nothing is changed.
 * Tests:      tests/qemu/test_prompt.py.
 */
#include "demo/line_edit.h"
#include "demo/monitor.h"

#include <quarry/bootfile.h>
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/isolation.h>
#include <quarry/ktest.h>
#include <quarry/poison.h>
#include <quarry/stress.h>
#include <quarry/string.h>

#define BUSIEST    (16UL << (20 - PAGE_SHIFT)) /* pages */
#define MAX_OFFERS 16
#define NAME_SIZE  64

static void offer_number(struct line_edit *e, const char *format, u64 number)
{
	char text[24];

	ksnprintf(text, sizeof(text), format, number);
	line_offer(e, text, true);
}

/* Offer each word of @words, which are separated by blanks. */
static void offer_each(struct line_edit *e, const char *words)
{
	char word[NAME_SIZE];
	size_t n;

	for (; words && *words; words += n + (words[n] == ' ')) {
		for (n = 0; words[n] && words[n] != ' '; n++)
			;
		if (n < sizeof(word)) {
			memcpy(word, words, n);
			word[n] = '\0';
			line_offer(e, word, true);
		}
	}
}

static void offer_commands(struct line_edit *e)
{
	const struct command *c;
	unsigned i;

	for (i = 0; (c = monitor_command(i)); i++)
		line_offer(e, c->name, *c->args != '\0');
}

/* Offer suites and groups; behind a dot, the tests of one suite. */
static void offer_tests(struct line_edit *e, const char *word)
{
	struct ktest_suite s = {.name = NULL};
	char name[LINE_MAX];
	unsigned i;
	bool dotted = false;

	for (i = 0; word[i]; i++)
		dotted |= word[i] == '.';
	while (ktest_next_suite(&s)) {
		size_t len = strlen(s.name);

		if (!dotted)
			line_offer(e, s.name, false);
		if (!dotted || strncmp(word, s.name, len) != 0 || word[len] != '.')
			continue;
		for (i = 0; i < s.nr_cases; i++) {
			ksnprintf(name, sizeof(name), "%s.%s", s.name, s.cases[i].name);
			line_offer(e, name, false);
		}
	}
	if (!dotted)
		offer_each(e, "all quick none contract cost inside");
}

static void offer_offline(struct line_edit *e)
{
	unsigned long nr;
	unsigned i = 0;
	pfn_t pfn;

	for (pfn = range_offline(0, &nr); pfn != PFN_NONE && i < MAX_OFFERS; i++) {
		offer_number(e, "%#lx", pfn);
		pfn = range_offline(pfn + nr, &nr);
	}
}

static void offer_online(struct line_edit *e)
{
	unsigned long nr;
	pfn_t pfn = offline_busiest(&kernel_memory, BUSIEST, &nr);

	if (pfn != PFN_NONE)
		offer_number(e, "%#lx", pfn);
}

static void offer_broken(struct line_edit *e)
{
	pfn_t pfn = mem_poisoned_next(&kernel_memory, 0);
	unsigned i;

	for (i = 0; pfn != PFN_NONE && i < MAX_OFFERS; i++) {
		offer_number(e, "%#lx", pfn);
		pfn = mem_poisoned_next(&kernel_memory, pfn + 1);
	}
}

/*
 * Complete a number of pages: the size of the offline range that begins at @first, or of the range
 * that could go offline from there.
 */
static void offer_nr(struct line_edit *e, const char *first)
{
	unsigned long nr;
	u64 pfn;

	if (parse_u64(first, &pfn) || pfn >= kernel_memory.end_pfn)
		return;
	if (range_offline(pfn, &nr) == pfn)
		offer_number(e, "%lu", nr);
	else if (range_online(pfn, &nr) == pfn)
		offer_number(e, "%lu", MIN(nr, BUSIEST));
}

static void offer_programs(struct line_edit *e)
{
	struct boot_file file;
	unsigned i;

	for (i = 0; boot_file_number(i, &file); i++)
		if (file.size > 4 && memcmp(file.data, "\177ELF", 4) == 0)
			line_offer(e, file.name, true);
}

static void offer_below(struct line_edit *e, unsigned limit)
{
	unsigned i;

	for (i = 0; i < limit; i++)
		offer_number(e, "%lu", i);
}

static void offer(struct line_edit *e, const struct command *c, enum word_kind kind,
    const char *last, const char *word)
{
	unsigned i;

	switch (kind) {
	case WORD_NONE: break;
	case WORD_CHOICE: offer_each(e, c->choices); break;
	case WORD_COMMAND: offer_commands(e); break;
	case WORD_HELP:
		offer_commands(e);
		for (i = 0; i < NR_COMMAND_GROUPS; i++)
			line_offer(e, monitor_subject(i), false);
		line_offer(e, "all", false);
		break;
	case WORD_POLICY: offer_each(e, ISO_POLICY_NAMES(" ")); break;
	case WORD_TEST: offer_tests(e, word); break;
	case WORD_ONLINE: offer_online(e); break;
	case WORD_OFFLINE: offer_offline(e); break;
	case WORD_BROKEN: offer_broken(e); break;
	case WORD_NR: offer_nr(e, last); break;
	case WORD_NODE: offer_below(e, kernel_memory.nr_nodes); break;
	case WORD_CPU: offer_below(e, nr_cpus); break;
	case WORD_PROGRAM: offer_programs(e); break;
	}
}

/* Take the next word of *@text, cut to @size, and step behind it; false: there is none. */
static bool next_word(const char **text, char *word, size_t size)
{
	size_t n = 0;

	while (**text == ' ')
		(*text)++;
	if (!**text)
		return false;
	for (; **text && **text != ' '; (*text)++)
		if (n + 1 < size)
			word[n++] = **text;
	word[n] = '\0';
	return true;
}

void monitor_complete(void *arg, struct line_edit *e, const char *before, const char *word)
{
	const struct command *c = NULL;
	char last[NAME_SIZE] = "";
	unsigned nr = 0;

	while (next_word(&before, last, sizeof(last))) {
		/*
		 * A word that ends in a comma is not complete: the cursor is still in that
		 * argument.
		 */
		if (last[strlen(last) - 1] == ',' && !*before)
			break;
		/* After watch, for example, the next word is a command's name again. */
		if (!c || (c->word[0] == WORD_COMMAND && nr == 0)) {
			c = monitor_find(last);
			if (!c)
				return;
			nr = 0;
		} else {
			nr++;
		}
	}
	if (!c)
		offer_commands(e);
	else if (nr < COMMAND_WORDS)
		offer(e, c, c->word[nr], last, word);
}
