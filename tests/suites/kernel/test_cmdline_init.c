/* SPDX-License-Identifier: MIT */
/*
 * test_cmdline_init.c: a whole command line: the words that are accepted, the values that callers
 * get, and the messages about the other words. Hosted only: in the kernel it would undo the command
 * line that the machine was booted with.
 */
#include <quarry/bootinfo.h>
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/ktest.h>
#include <quarry/string.h>

static char text[16384];
#define HELP           "command line options:\n"
#define LEFT_OUT(what) "command line: " what " and left out\n"

/*
 * The text that cmdline_init printed, without the list of all options; *@help tells if the list
 * followed.
 */
static const char *init(const char *line, bool truncated, bool *help)
{
	u64 pos = log_position();
	char *at;

	cmdline_init(line, truncated);
	text[log_read(&pos, text, sizeof(text) - 1)] = '\0';
	for (at = text; *at && strncmp(at, HELP, strlen(HELP)) != 0;)
		at++;
	*help = *at;
	*at = '\0';
	return text;
}

KTEST_SUITE(cmdline_init, KTEST_QUICK);

KTEST(options_are_split_at_blanks, KTEST_REPORTS)
{
	u64 first = 9, last = 9;
	bool help;

	EXPECT_EQ(t,
	    strlen(init("  selftest=a,b \t seed=0x2A\nmovable=25% cma=2G pressure=3-20 trace=x=y  ",
	        false, &help)),
	    0);
	EXPECT(t, !help);
	EXPECT(t, strcmp(cmdline_get("selftest", "quick"), "a,b") == 0);
	EXPECT(t, strcmp(cmdline_get("trace", ""), "x=y") == 0);
	EXPECT_EQ(t, cmdline_u64("seed", 1), 42);
	EXPECT_EQ(t, cmdline_u64("movable", 50), 25);
	EXPECT_EQ(t, cmdline_u64("cma", 0), 2048);
	EXPECT(t, cmdline_range("pressure", &first, &last) && first == 3 && last == 20);
	/* Options that were not given have their default. */
	EXPECT_EQ(t, cmdline_u64("rounds", 7), 7);
	EXPECT(t, strcmp(cmdline_get("tour", "on"), "on") == 0 && !cmdline_get("bench", NULL));
	EXPECT(t, !cmdline_range("race_seed", &first, &last));
	/* The last value of an option counts; values of an earlier line are forgotten. */
	init("seed=1 seed=2 pressure=5", false, &help);
	EXPECT(t, cmdline_u64("seed", 9) == 2 && cmdline_u64("movable", 50) == 50);
	EXPECT(t, cmdline_range("pressure", &first, &last) && first == 5 && last == 5);
	/* A wrong value does not replace an earlier right value. */
	init("seed=1 seed=x", false, &help);
	EXPECT(t, help && cmdline_u64("seed", 9) == 1);
	init("", false, &help);
	EXPECT(t, !help && cmdline_u64("seed", 9) == 9);
}

KTEST(wrong_options_are_named, KTEST_REPORTS)
{
	static const struct {
		const char *line, *said;
	} bad[] = {
	    {"nosuch=1", "command line: no option \"nosuch\"\n"},
	    {"=", "command line: no option \"\"\n"},
	    {"seed=x", LEFT_OUT("seed=x is malformed") "  seed takes a number\n"},
	    {"movable=96%",
	        LEFT_OUT("movable=96% is out of range") "  movable takes a number from 0 to 95%\n"},
	    {"ipi_timeout=199",
	        LEFT_OUT("ipi_timeout=199 is out of range") "  ipi_timeout takes a number from 200 "
	                                                    "to 1000000 milliseconds\n"},
	    {"cma=17T",
	        LEFT_OUT("cma=17T is out of range") "  cma takes a number from 0 to 16777216 MiB, "
	                                            "or with M, G, T\n"},
	    {"pressure=2-1", LEFT_OUT("pressure=2-1 is malformed") "  pressure takes N or N-M\n"},
	    {"tour=maybe", LEFT_OUT("tour=maybe is malformed") "  tour takes on off\n"},
	    {"tour", LEFT_OUT("tour= is malformed") "  tour takes on off\n"},
	    {"fault=x",
	        LEFT_OUT(
	            "fault=x is malformed") "  fault takes badfree corrupt freelist null printk "
	                                    "both report silent mcering\n"
	                                    "    nulls overflow mce talk talknull\n"},
	};
	unsigned i;
	bool help;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT(t, strcmp(init(bad[i].line, false, &help), bad[i].said) == 0);
		EXPECT(t, help);
	}
	EXPECT(t,
	    strcmp(init("seed=4", true, &help), "command line: too long; its end was cut off\n") ==
	        0);
	EXPECT(t, help && cmdline_u64("seed", 0) == 4);
	init("", false, &help);
}

KTEST(lines_of_all_lengths_are_kept_or_cut, KTEST_REPORTS)
{
	static char line[BOOT_CMDLINE_MAX + 1];
	unsigned len;
	bool help;

	for (len = BOOT_CMDLINE_MAX - 2; len <= BOOT_CMDLINE_MAX; len++) {
		const char *said;

		memset(line, ' ', len);
		line[len] = '\0';
		memcpy(line + len - 7, " seed=7", 7);
		said = init(line, false, &help);
		EXPECT_EQ(t, strlen(said) == 0, len < BOOT_CMDLINE_MAX);
		/* A line that is too long ends with "seed=" here, so the option has no value. */
		EXPECT_EQ(t, cmdline_u64("seed", 1), len < BOOT_CMDLINE_MAX ? 7 : 1);
	}
	init("", false, &help);
}

KTEST(help_has_each_option_in_80_columns, KTEST_REPORTS)
{
	const struct cmdline_option *option;
	char want[64];
	u64 pos = log_position();
	unsigned i, column = 0, most = 0;
	const char *at;

	cmdline_help();
	text[log_read(&pos, text, sizeof(text) - 1)] = '\0';
	for (at = text; *at; at++) {
		column = *at == '\n' ? 0 : column + 1;
		most = MAX(most, column);
	}
	EXPECT(t, most > 70 && most <= 80 && !column);
	for (i = 0; (option = cmdline_option(i)); i++) {
		ksnprintf(want, sizeof(want), "\n  %-13s ", option->name);
		for (at = text; *at && strncmp(at, want, strlen(want)) != 0;)
			at++;
		EXPECT(t, *at);
	}
}
