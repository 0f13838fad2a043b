/* SPDX-License-Identifier: MIT */
/*
 * script.c: carries out commands of the prompt from a boot module.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: the first line that fails is the last one that is carried out.
 * Tests:      judge_script, tests/qemu/test_script.py.
 */
#include "demo/line_edit.h"
#include "demo/monitor.h"

#include <quarry/bootfile.h>
#include <quarry/cmdline.h>
#include <quarry/plural.h>
#include <quarry/port.h>
#include <quarry/string.h>

#define SHOWN 48 /* columns of a line in a message */

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
static bool one_line(unsigned nr, const char *line, size_t len)
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
	err = strlen(text) == len ? monitor_obey_text(text) : -1;
	if (err)
		printk("script: line %u: %.*s: failed\n", nr, (int)MIN(len, (size_t)SHOWN), line);
	return !err;
}

static bool each_line(const char *text, const char *end)
{
	unsigned nr, done = 0;

	for (nr = 1; text < end && !monitor_state.halted; nr++) {
		const char *line = text;
		size_t len = 0;

		while (line + len < end && line[len] != '\n')
			len++;
		text = line + len + 1;
		len = trim(&line, len);
		if (!len || *line == '#')
			continue;
		if (!one_line(nr, line, len))
			return false;
		done++;
	}
	printk("script: %u command%s done\n", done, plural(done));
	return true;
}

bool script_run(u64 seed)
{
	const char *name = cmdline_get("script", NULL);
	struct boot_file file;
	bool good;

	if (!name)
		return true;
	/* A boot by PVH gives modules no names; only files of an archive have names. */
	if (!boot_file_find(name, &file) && (!boot_file_single(&file) || file.name[0])) {
		printk("script=%s: no module of that name; the loader brought:", name);
		boot_files_print();
		printk("\n");
		return false;
	}
	monitor_state.seed = seed;
	monitor_state.no_keys = true;
	good = each_line(file.data, (const char *)file.data + file.size);
	monitor_state.no_keys = false;
	return good;
}
