/* SPDX-License-Identifier: MIT */
/* test_choose.c: the scenario that the command line selects, and the lines of a script. */
#include "demo/demo.h"
#include "demo/line_edit.h"
#include "tests/lib/said_help.h"

#include <quarry/cmdline.h>
#include <quarry/errno.h>
#include <quarry/ktest.h>

KTEST_SUITE(choose, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(first_requested_scenario_runs)
{
	static const struct {
		const char *line;
		enum scenario want;
	} rows[] = {{"", SCENARIO_TOUR}, {"tour=off", SCENARIO_TRACE},
	    {"tour=off trace=x.trace", SCENARIO_TRACE}, {"bench= fault=null", SCENARIO_BENCH},
	    {"fault=null programs=3", SCENARIO_FAULT}, {"programs=3 poison=4", SCENARIO_PROGRAMS},
	    {"poison=4 hotplug=5", SCENARIO_POISON}, {"hotplug=5 pressure=0", SCENARIO_HOTPLUG},
	    {"pressure=0 race=all", SCENARIO_PRESSURE}, {"race=all rounds=7", SCENARIO_RACE},
	    {"rounds=7 tour=on", SCENARIO_ROUNDS}, {"tour=off rounds=1", SCENARIO_ROUNDS},
	    {"programs=0 poison=0 hotplug=0 rounds=0", SCENARIO_TOUR}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cmdline_init(rows[i].line, false);
		EXPECT_EQ(t, scenario_asked(), rows[i].want);
	}
	cmdline_init("", false);
}

/* ---- scripts ---- */

static bool halted;

static int obey(char *text)
{
	printk("[%s]", text);
	halted = !strcmp(text, "halt");
	return strncmp(text, "bad", 3) == 0 ? -EINVAL : 0;
}

static bool run(const char *text, size_t len)
{
	halted = false;
	return script_lines(text, text + len, obey, &halted);
}

#define DIGITS "bad 01234567890123456789012345678901234567890123"

/* Each line is carried out, up to the first failure, or halt. */
KTEST(each_line_is_carried_out_up_to_a_failure, KTEST_REPORTS)
{
	static const struct {
		const char *text, *said;
		size_t len; /* 0: the whole text */
		bool good;
	} rows[] = {{"mem\nzone 1 2\n",
	                "> mem\n[mem]> zone 1 2\n[zone 1 2]script: 2 commands done\n", 0, 1},
	    /* No newline at the end, line ends of other systems, blanks and tabs. */
	    {"mem\r\n\t zone\t1 \r\ncheck",
	        "> mem\n[mem]> zone\t1\n[zone\t1]> check\n[check]script: 3 commands done\n", 0, 1},
	    {"# a comment\n\n   \n\t# another\r\n\r\nmem\n\n",
	        "> mem\n[mem]script: 1 command done\n", 0, 1},
	    {"", "script: 0 commands done\n", 0, 1}, {"\n", "script: 0 commands done\n", 0, 1},
	    {"mem\nzone\n", "> mem\n[mem]script: 1 command done\n", 4, 1},
	    {"mem\n\n# x\nbad 1 2\nzone\n",
	        "> mem\n[mem]> bad 1 2\n[bad 1 2]script: line 4: bad 1 2: failed\n", 0, 0},
	    /* A failure in the last line counts too; of a long line the beginning is printed. */
	    {DIGITS "4567",
	        "> " DIGITS "4567\n[" DIGITS "4567]script: line 1: " DIGITS ": failed\n", 0, 0},
	    /* A command may not contain a byte 0. */
	    {"mem\0 bad\nzone", "> mem\nscript: line 1: mem: failed\n", 13, 0},
	    {"mem\nhalt\nbad\n", "> mem\n[mem]> halt\n[halt]script: 2 commands done\n", 0, 1}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = rows[i].len ? rows[i].len : strlen(rows[i].text);
		u64 pos = log_position();

		EXPECT_EQ(t, run(rows[i].text, len), rows[i].good);
		EXPECT(t, !strcmp(text_since(pos), rows[i].said));
	}
}

KTEST(a_line_has_a_limit, KTEST_REPORTS)
{
	char text[LINE_MAX + 8];
	u64 pos;

	memset(text, 'x', sizeof(text));
	text[LINE_MAX - 1] = '\n';
	EXPECT(t, run(text, LINE_MAX));
	text[LINE_MAX - 1] = 'x';
	pos = log_position();
	EXPECT(t, !run(text, LINE_MAX));
	EXPECT(t, said(pos, "script: line 1: longer than 119 bytes: failed\n"));
}
