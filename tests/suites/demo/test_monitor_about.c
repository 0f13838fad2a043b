/* SPDX-License-Identifier: MIT */
/* test_monitor_about.c: the page about this machine fits a screen, and has each subject once. */
#include "demo/monitor.h"

#include <quarry/console.h>
#include <quarry/ktest.h>
#include <quarry/port.h>
#include <quarry/remarks.h>
#include <quarry/string.h>

#define ROWS    24
#define COLUMNS 79

KTEST_SUITE(monitor_about, KTEST_QUICK);

KTEST(usual_lines_are_no_remarks)
{
	static const char *const usual[] = {"", "quarry: boot", "screen: 1024 by 768 pixels",
	    "apic: x2APIC mode", "clock: TSC 2000 MHz, APIC timer 1000 MHz",
	    "machine: 4 CPUs online of 4", "ring 3: SMEP on", "boot: by pvh, 7 thousand cycles"};
	static const char *const remarks[] = {"screen: cannot be mapped: not used",
	    "clock: no timer to measure by, 1 GHz assumed", "keyboard: not used: there is none",
	    "boot: memory map damaged (error EINVAL); its readable part is used",
	    "smp: CPU 3 (APIC id 6) did not start", "acpi: no FACP table: no power-off",
	    "apic: local APIC at fee00000, not at fec00000 as the MADT says"};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(usual); i++)
		EXPECT(t, !is_remark(usual[i]));
	for (i = 0; i < ARRAY_SIZE(remarks); i++)
		EXPECT(t, is_remark(remarks[i]));
}

KTEST(page_fits_a_screen_of_24_rows, KTEST_REPORTS)
{
	static const char *const labels[] = {
	    "CPU ", "CPUs", "clock", "interrupts", "memory", "screen", "input", "options"};
	u64 at = log_position(), end;
	unsigned rows = 0, column = 0, widest = 0, i, found = 0;
	char c, line[16] = "";

	monitor_about();
	end = log_position();
	while (at < end && log_read(&at, &c, 1)) {
		if (c != '\n') {
			if (column < sizeof(line) - 1) {
				line[column] = c;
				line[column + 1] = '\0';
			}
			widest = MAX(widest, ++column);
			continue;
		}
		for (i = 0; i < ARRAY_SIZE(labels); i++)
			found += !strncmp(line, labels[i], strlen(labels[i]));
		rows++;
		column = 0;
		line[0] = '\0';
	}
	EXPECT(t, rows > 8 && rows <= ROWS);
	EXPECT(t, widest <= COLUMNS);
	EXPECT_EQ(t, found, ARRAY_SIZE(labels));
}
