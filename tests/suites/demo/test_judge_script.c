/* SPDX-License-Identifier: MIT */
/*
 * test_judge_script.c: a script of the prompt's commands in a simulated world: the lines that are
 * carried out, and the line at which it ends.
 */
#include "demo/line_edit.h"
#include "demo/monitor.h"
#include <quarry/bootfile.h>
#include <quarry/cmdline.h>
#include <quarry/errno.h>

#include "tests/host/judge_help.h"

static struct {
	const char *option, *name; /* value of script=; name of the module, NULL: there is none */
	const char *text;
	size_t len;
} world;
static struct monitor_state state;

static const char *option(const char *name, const char *fallback)
{
	return strcmp(name, "script") == 0 && world.option ? world.option : fallback;
}

static bool fill(struct boot_file *out)
{
	*out = (struct boot_file){.data = world.text, .size = world.len};
	ksnprintf(out->name, sizeof(out->name), "%s", world.name);
	return true;
}

static bool find_file(const char *name, struct boot_file *out)
{
	return world.name && *world.name && strcmp(world.name, name) == 0 && fill(out);
}

static bool only_file(struct boot_file *out)
{
	return world.name && fill(out);
}

static void print_files(void)
{
	judge_say(" files");
}

static int obey(char *text)
{
	judge_note("[%s%s]", text, state.no_keys ? "" : ", no script");
	if (strcmp(text, "halt") == 0)
		state.halted = true;
	return strncmp(text, "bad", 3) == 0 ? -EINVAL : 0;
}

#define printk            judge_say
#define cmdline_get       option
#define boot_file_find    find_file
#define boot_file_single  only_file
#define boot_files_print  print_files
#define monitor_obey_text obey
#define monitor_state     state
#include "demo/script.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static bool run(const char *text, size_t len)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	memset(&state, 0, sizeof(state));
	world.option = world.name = "a.script";
	world.text = text;
	world.len = len;
	return script_run(6);
}

#define DIGITS "bad 01234567890123456789012345678901234567890123"

KTEST_SUITE(judge_script, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* Each line is carried out, up to the first failure, or halt. */
KTEST(each_line_is_carried_out_up_to_a_failure)
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

		EXPECT_EQ(t, run(rows[i].text, len), rows[i].good);
		EXPECT_SAID(t, rows[i].said);
		EXPECT(t, state.seed == 6 && !state.no_keys);
	}
}

KTEST(a_line_has_a_limit)
{
	char text[LINE_MAX + 8];

	memset(text, 'x', sizeof(text));
	text[LINE_MAX - 1] = '\n';
	EXPECT(t, run(text, LINE_MAX));
	text[LINE_MAX - 1] = 'x';
	EXPECT(t, !run(text, LINE_MAX));
	EXPECT_SAID(t, "script: line 1: longer than 119 bytes: failed\n");
}

KTEST(without_a_module_of_its_name_it_fails)
{
	run("mem", 3);
	judge_clear();
	world.option = NULL;
	EXPECT(t, script_run(6));
	EXPECT_SAID(t, "");
	world.option = "b.script";
	EXPECT(t, !script_run(6));
	EXPECT_SAID(t, "script=b.script: no module of that name; the loader brought: files\n");
	/* The loader gives its only module no name. */
	world.name = "";
	EXPECT(t, script_run(6));
	EXPECT_SAID(t, "> mem\n[mem]script: 1 command done\n");
	world.name = NULL;
	EXPECT(t, !script_run(6));
}
