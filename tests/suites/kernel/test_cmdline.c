/* SPDX-License-Identifier: MIT */
/*
 * test_cmdline.c: the table of options: both ends of every range are checked, and every wrong value
 * is refused.
 */
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/errno.h>
#include <quarry/ktest.h>

static bool has_numbers(const struct cmdline_option *option)
{
	return option->kind != OPT_TEXT && option->kind != OPT_CHOICE;
}

static int check_number(const struct cmdline_option *option, u64 number, const char *tail)
{
	char text[64];

	ksnprintf(text, sizeof(text), "%llu%s", (unsigned long long)number, tail);
	return cmdline_check(option->name, text);
}

KTEST_SUITE(cmdline, KTEST_QUICK);

KTEST(each_option_is_described_once)
{
	const struct cmdline_option *option, *other;
	unsigned i, j;

	for (i = 0; (option = cmdline_option(i)); i++) {
		EXPECT(t, option->name[0] && option->help[0] && option->unit);
		EXPECT_EQ(t, !option->choices, option->kind != OPT_CHOICE);
		EXPECT(t, option->min <= option->max);
		for (j = 0; j < i; j++) {
			other = cmdline_option(j);
			EXPECT(t, strcmp(option->name, other->name) != 0);
		}
	}
	EXPECT(t, i > 30);
	EXPECT_EQ(t, cmdline_check("nosuchoption", "1"), -ENOENT);
}

KTEST(numbers_are_accepted_within_their_range)
{
	const struct cmdline_option *option;
	unsigned i;

	for (i = 0; (option = cmdline_option(i)); i++) {
		if (!has_numbers(option))
			continue;
		EXPECT_EQ(t, check_number(option, option->min, ""), 0);
		EXPECT_EQ(t, check_number(option, option->max, ""), 0);
		if (option->min)
			EXPECT_EQ(t, check_number(option, option->min - 1, ""), -ERANGE);
		if (option->max + 1)
			EXPECT_EQ(t, check_number(option, option->max + 1, ""), -ERANGE);
	}
}

/*
 * 2^32, 2^54 and so on: values that a conversion to 32 bits, bytes or nanoseconds would make small.
 */
KTEST(numbers_that_overflow_are_refused)
{
	const struct cmdline_option *option;
	unsigned i, shift;

	for (i = 0; (option = cmdline_option(i)); i++) {
		if (!has_numbers(option) || !(option->max + 1))
			continue;
		for (shift = 32; shift < 64; shift++)
			EXPECT_EQ(t, check_number(option, 1ULL << shift, ""), -ERANGE);
		EXPECT_EQ(t, check_number(option, ~0ULL, ""), -ERANGE);
		EXPECT_EQ(t, check_number(option, ~0ULL / 1000000 + 1, ""), -ERANGE);
	}
	EXPECT_EQ(t, cmdline_check("hotplug", "4294967296"), -ERANGE);
	EXPECT_EQ(t, cmdline_check("ipi_timeout", "18446744073710"), -ERANGE);
	EXPECT_EQ(t, cmdline_check("seed", "0xffffffffffffffff"), 0);
	EXPECT_EQ(t, cmdline_check("seed", "18446744073709551616"), -EINVAL);
}

KTEST(ipi_timeout_of_0_is_refused)
{
	EXPECT_EQ(t, cmdline_check("ipi_timeout", "0"), -ERANGE);
	EXPECT_EQ(t, cmdline_check("ipi_timeout", "300"), 0);
}

KTEST(malformed_numbers_are_refused)
{
	static const char *const bad[] = {"", "x", "-1", "+1", "1 ", "0x", "1e3", "0b1", "1-", "-",
	    "2-1", "1-2-3", "12:", "1%%", "%", "M", "1MM", "1KG", "999999999999999999999999999999",
	    "000000000000000000000000"};
	const struct cmdline_option *option;
	unsigned i, j;

	for (i = 0; (option = cmdline_option(i)); i++) {
		for (j = 0; has_numbers(option) && j < ARRAY_SIZE(bad); j++)
			EXPECT_EQ(t, cmdline_check(option->name, bad[j]), -EINVAL);
	}
}

KTEST(units_match_the_kind_of_option)
{
	const struct cmdline_option *option;
	unsigned i;

	for (i = 0; (option = cmdline_option(i)); i++) {
		if (!has_numbers(option))
			continue;
		EXPECT_EQ(t, check_number(option, option->max, "%"),
		    option->kind == OPT_PERCENT ? 0 : -EINVAL);
		EXPECT_EQ(t, check_number(option, option->max, "M"),
		    option->kind == OPT_SIZE ? 0 : -EINVAL);
		EXPECT_EQ(t, check_number(option, option->min, "-9999999"),
		    option->kind != OPT_RANGE ? -EINVAL : 0);
	}
	EXPECT_EQ(t, cmdline_check("standby", "1g"), 0);
	EXPECT_EQ(t, cmdline_check("standby", "16T"), 0);
	EXPECT_EQ(t, cmdline_check("standby", "17T"), -ERANGE);
	/* 2^44 TiB are 2^64 MiB. */
	EXPECT_EQ(t, cmdline_check("standby", "17592186044416T"), -ERANGE);
	EXPECT_EQ(t, cmdline_check("movable", "95%"), 0);
	EXPECT_EQ(t, cmdline_check("movable", "96%"), -ERANGE);
	EXPECT_EQ(t, cmdline_check("pressure", "3-20"), 0);
	EXPECT_EQ(t, cmdline_check("pressure", "20-3"), -EINVAL);
}

KTEST(choices_are_whole_words)
{
	EXPECT_EQ(t, cmdline_check("isolation", "precise"), 0);
	EXPECT_EQ(t, cmdline_check("isolation", "redrain"), 0);
	EXPECT_EQ(t, cmdline_check("isolation", "prec"), -EINVAL);
	EXPECT_EQ(t, cmdline_check("isolation", ""), -EINVAL);
	EXPECT_EQ(t, cmdline_check("isolation", "precisely"), -EINVAL);
}
