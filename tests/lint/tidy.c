/* SPDX-License-Identifier: MIT */
/* tidy.c: what clang-tidy must find (tools/lint/analyse.py).  Never linked. */
#include <quarry/types.h>

#define TWICE(x) x + x /* finds: bugprone-macro-parentheses */

int plants(const int *p, const char *text, u64 big, unsigned n);

static int null_followed(const int *p)
{
	if (!p)
		return *p; /* finds: clang-analyzer-core.NullDereference */
	return 0;
}

static int never_written(unsigned n)
{
	int value;

	if (n > 3)
		value = 1;
	return value; /* finds: clang-analyzer-core.uninitialized.UndefReturn */
}

static int narrowed(u64 big)
{
	int value = 0;

	value += (unsigned)big; /* finds: bugprone-narrowing-conversions */
	return value;
}

int plants(const int *p, const char *text, u64 big, unsigned n)
{
	if (__builtin_strcmp(text, "x") == 0)
		return TWICE(1);
	return null_followed(p) + never_written(n) + narrowed(big);
}
