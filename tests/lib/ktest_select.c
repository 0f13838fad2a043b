/* SPDX-License-Identifier: MIT */
/*
 * ktest_select.c: which tests a list of names, a group or a tag stands for.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: none.
 */
#include "tests/lib/ktest_select.h"
#include <quarry/console.h>
#include <quarry/errno.h>
#include <quarry/port.h>
#include <quarry/string.h>

extern const struct ktest_case cases_start[] __asm__("__start_ktest_cases");
extern const struct ktest_case cases_end[] __asm__("__stop_ktest_cases");

bool ktest_next_suite(struct ktest_suite *s)
{
	const struct ktest_case *c = s->cases ? s->cases + s->nr_cases : cases_start;

	if (c == cases_end)
		return false;
	*s = (struct ktest_suite){.name = c->name, .cases = c + 1, .flags = c->flags};
	for (c++; c < cases_end && c->fn; c++)
		s->nr_cases++;
	return true;
}

/* Does the name at @p, @len characters long, stand for test @i of @s: SUITE or SUITE.TEST? */
static bool names(const char *p, size_t len, const struct ktest_suite *s, unsigned i)
{
	const char *test = s->cases[i].name;
	size_t n = strlen(s->name);

	if (len < n || strncmp(p, s->name, n) != 0)
		return false;
	return len == n ||
	    (p[n] == '.' && len - n - 1 == strlen(test) && !strncmp(p + n + 1, test, strlen(test)));
}

/* The length of the name at @p, which ends at the next comma. */
static size_t name_length(const char *p)
{
	size_t len = 0;

	while (p[len] && p[len] != ',')
		len++;
	return len;
}

/* Is test @i of @s among the comma-separated names in @list? */
static bool listed(const char *list, const struct ktest_suite *s, unsigned i)
{
	for (;; list++) {
		size_t len = name_length(list);

		if (names(list, len, s, i))
			return true;
		list += len;
		if (!*list)
			return false;
	}
}

/* Indexed by enum ktest_tag. */
static const char *const tag_names[NR_KTEST_TAGS] = {"", "contract", "cost", "inside"};

static enum ktest_tag tag_of(const struct ktest_suite *s, unsigned i)
{
	if (s->cases[i].tag != KTEST_TAG_OF_SUITE)
		return s->cases[i].tag;
	if (s->flags & KTEST_MOSTLY_COST)
		return KTEST_TAG_COST;
	return s->flags & KTEST_MOSTLY_INSIDE ? KTEST_TAG_INSIDE : KTEST_TAG_CONTRACT;
}

static bool is_tag(const char *which)
{
	unsigned tag;

	for (tag = KTEST_TAG_CONTRACT; tag < NR_KTEST_TAGS; tag++)
		if (!strcmp(which, tag_names[tag]))
			return true;
	return false;
}

bool ktest_selected(const struct ktest_suite *s, unsigned i, const char *which)
{
	if (!strcmp(which, "all"))
		return !(s->flags & KTEST_EXTRA);
	if (!strcmp(which, "quick"))
		return (s->flags & KTEST_QUICK) && !(s->cases[i].flags & KTEST_SLOW);
	if (!strcmp(which, "most"))
		return s->flags & KTEST_QUICK;
	if (is_tag(which))
		return !(s->flags & KTEST_EXTRA) && !strcmp(which, tag_names[tag_of(s, i)]);
	return listed(which, s, i);
}

unsigned ktest_count(const char *which)
{
	struct ktest_suite s = {.name = NULL};
	unsigned i, n = 0;

	while (ktest_next_suite(&s))
		for (i = 0; i < s.nr_cases; i++)
			n += ktest_selected(&s, i, which);
	return n;
}

/* Find the first name in @which that no test has; its length, or 0 if there is none. */
static size_t unknown_name(const char **which)
{
	const char *p = *which;
	unsigned i;
	size_t len;

	for (;; p += len + 1) {
		struct ktest_suite s = {.name = NULL};
		bool found = false;

		len = name_length(p);
		while (ktest_next_suite(&s))
			for (i = 0; i < s.nr_cases; i++)
				found |= names(p, len, &s, i);
		if (!found) {
			*which = p;
			return len ? len : 1;
		}
		if (!p[len])
			return 0;
	}
}

static void report_unknown(const char *name, size_t len)
{
	struct ktest_suite s = {.name = NULL};
	char known[64] = " all most quick none contract cost inside";
	size_t used = strlen(known);

	while (ktest_next_suite(&s)) {
		if (used + 1 + strlen(s.name) >= sizeof(known)) {
			printk("selftest: known:%s\n", known);
			used = 0;
		}
		used += (size_t)ksnprintf(known + used, sizeof(known) - used, " %s", s.name);
	}
	printk("selftest: known:%s\n", known);
	/* Printed last, so that it is seen. */
	printk("selftest: no suite or test \"%.*s\"\n", (int)len, name);
}

static bool is_group(const char *which)
{
	return !strcmp(which, "all") || !strcmp(which, "most") || !strcmp(which, "quick") ||
	    !strcmp(which, "none") || is_tag(which);
}

int ktest_check_names(const char *which)
{
	const char *unknown = which;
	size_t len = is_group(which) ? 0 : unknown_name(&unknown);

	if (!len)
		return 0;
	report_unknown(unknown, len);
	return -EINVAL;
}

int ktest_list(const char *which)
{
	struct ktest_suite s = {.name = NULL};
	unsigned i;

	if (ktest_check_names(which))
		return -EINVAL;
	while (ktest_next_suite(&s))
		for (i = 0; i < s.nr_cases; i++)
			if (ktest_selected(&s, i, which))
				printk("%s.%s %s\n", s.name, s.cases[i].name,
				    tag_names[tag_of(&s, i)]);
	return 0;
}
