/* SPDX-License-Identifier: MIT */
/*
 * remarks.c: the lines of the boot that say what was left out and why, kept for a person's report.
 *
 * Owns:       the kept lines.
 * Locks:      none: written once, before the prompt.
 * Tests:      monitor_about, tests/qemu/test_screen.py.
 *
 * The log itself is too short: the selftests push the boot's lines out of it.
 */
#include <quarry/console.h>
#include <quarry/port.h>
#include <quarry/remarks.h>
#include <quarry/string.h>

#define MAX_REMARKS 7
#define REMARK      (CONSOLE_COLUMNS - 2) /* bytes of a kept line, with its NUL */

static char remarks[MAX_REMARKS][REMARK];
static unsigned total;

bool is_remark(const char *line)
{
	static const char *const usual[] = {"quarry: boot", "apic: x", "clock: TSC",
	    "machine: ", "ring 3: ", "boot: by ", "slots: "};
	unsigned i;

	/* A screen that is not used says so; one that is used tells its size. */
	if (!strncmp(line, "screen: ", 8))
		return line[8] < '0' || line[8] > '9';
	for (i = 0; i < ARRAY_SIZE(usual); i++)
		if (!strncmp(line, usual[i], strlen(usual[i])))
			return false;
	return *line != '\0';
}

void remarks_keep(void)
{
	u64 at = 0, end = log_position();
	char line[160] = "", c = 0;
	size_t len = 0;

	while (at < end && log_read(&at, &c, 1)) {
		if (c != '\n' && len < sizeof(line) - 1)
			line[len++] = c;
		if (c != '\n')
			continue;
		line[len] = '\0';
		len = 0;
		if (!is_remark(line))
			continue;
		if (total < MAX_REMARKS)
			ksnprintf(remarks[total], REMARK, "%s", line);
		total++;
	}
}

const char *remark(unsigned i)
{
	return i < MIN(total, (unsigned)MAX_REMARKS) ? remarks[i] : NULL;
}

unsigned remarks_total(void)
{
	return total;
}
