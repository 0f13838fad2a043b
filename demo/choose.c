/* SPDX-License-Identifier: MIT */
/*
 * choose.c: what runs after the selftests: the command line names a scenario; a script's text is
 * split into lines.
 *
 * Owns:       the options of the scenarios.
 * Locks:      none.
 * Invariants: the first scenario that is requested is chosen; the last one always is.
 * Tests:      choose, tests/qemu/test_start.py, tests/qemu/test_script.py.
 */
#include "demo/demo.h"
#include "demo/line_edit.h"

#include <quarry/cmdline.h>
#include <quarry/plural.h>
#include <quarry/port.h>
#include <quarry/string.h>

#define SHOWN 48 /* columns of a line in a message */

/* ---- the scenario ---- */

static const struct {
	const char *option;
	bool counts; /* its value 0 asks for nothing */
} wanted[SCENARIO_TOUR] = {
    [SCENARIO_BENCH] = {"bench", false},
    [SCENARIO_FAULT] = {"fault", false},
    [SCENARIO_PROGRAMS] = {"programs", true},
    [SCENARIO_POISON] = {"poison", true},
    [SCENARIO_HOTPLUG] = {"hotplug", true},
    [SCENARIO_PRESSURE] = {"pressure", false},
    [SCENARIO_RACE] = {"race", false},
    [SCENARIO_ROUNDS] = {"rounds", true},
};

enum scenario scenario_asked(void)
{
	unsigned i;

	for (i = 0; i < SCENARIO_TOUR; i++)
		if (wanted[i].counts ? cmdline_u64(wanted[i].option, 0) > 0
		                     : cmdline_get(wanted[i].option, NULL) != NULL)
			return (enum scenario)i;
	return strcmp(cmdline_get("tour", "on"), "off") ? SCENARIO_TOUR : SCENARIO_TRACE;
}

/* ---- scripts ---- */

/* Leave out blanks, tabs and the line end at both ends of a line. */
static size_t trim(const char **line, size_t len)
{
	while (len &&
	    ((*line)[len - 1] == '\r' || (*line)[len - 1] == ' ' || (*line)[len - 1] == '\t'))
		len--;
	while (len && (**line == ' ' || **line == '\t')) {
		(*line)++;
		len--;
	}
	return len;
}

/* Carry out a line; false, with a line that says so: it failed. */
static bool one_line(unsigned nr, const char *line, size_t len, int (*obey)(char *text))
{
	char text[LINE_MAX];
	int err;

	if (len >= sizeof(text)) {
		printk("script: line %u: longer than %u bytes: failed\n", nr, LINE_MAX - 1);
		return false;
	}
	memcpy(text, line, len);
	text[len] = '\0';
	printk("> %s\n", text);
	err = strlen(text) == len ? obey(text) : -1;
	if (err)
		printk("script: line %u: %.*s: failed\n", nr, (int)MIN(len, (size_t)SHOWN), line);
	return !err;
}

bool script_lines(const char *text, const char *end, int (*obey)(char *text), const bool *halted)
{
	unsigned nr, done = 0;

	for (nr = 1; text < end && !*halted; nr++) {
		const char *line = text;
		size_t len = 0;

		while (line + len < end && line[len] != '\n')
			len++;
		text = line + len + 1;
		len = trim(&line, len);
		if (!len || *line == '#')
			continue;
		if (!one_line(nr, line, len, obey))
			return false;
		done++;
	}
	printk("script: %u command%s done\n", done, plural(done));
	return true;
}
