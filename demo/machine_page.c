/* SPDX-License-Identifier: MIT */
/*
 * machine_page.c: one page about this machine: what was found, and what was left out and why.
 *
 * Owns:       the kept lines of the boot.
 * Locks:      none: written once, before the prompt.
 * Tests:      machine_page, tests/qemu/test_screen.py.
 */
#include "demo/machine_page.h"
#include "demo/monitor.h"

#include <quarry/bootinfo.h>
#include <quarry/console.h>
#include <quarry/machine.h>
#include <quarry/mm.h>
#include <quarry/plural.h>
#include <quarry/port.h>
#include <quarry/string.h>

#define MAX_REMARKS 7
#define REMARK      (CONSOLE_COLUMNS - 2) /* bytes of a kept line, with its NUL */
#define OPTIONS     66                    /* bytes of the command line that are shown */

static char remarks[MAX_REMARKS][REMARK];
static unsigned nr_remarks; /* all, also those that were not kept */

bool machine_page_remark(const char *line)
{
	static const char *const usual[] = {"quarry: boot", "apic: ", "clock: TSC",
	    "machine: ", "ring 3: ", "boot: by ", "slots: ", "screen: "};
	unsigned i;

	/* A screen that is not used says so; one that is used tells its size. */
	if (!strncmp(line, "screen: ", 8))
		return line[8] < '0' || line[8] > '9';
	for (i = 0; i < ARRAY_SIZE(usual); i++)
		if (!strncmp(line, usual[i], strlen(usual[i])))
			return false;
	return *line != '\0';
}

static void keep(const char *line)
{
	if (!machine_page_remark(line))
		return;
	if (nr_remarks < MAX_REMARKS)
		ksnprintf(remarks[nr_remarks], REMARK, "%s", line);
	nr_remarks++;
}

void machine_page_keep(void)
{
	u64 at = 0, end = log_position();
	char line[160], c;
	size_t len = 0;

	while (at < end && log_read(&at, &c, 1)) {
		if (c != '\n' && len < sizeof(line) - 1)
			line[len++] = c;
		if (c != '\n')
			continue;
		line[len] = '\0';
		keep(line);
		len = 0;
	}
}

static void show_memory(void)
{
	unsigned long managed = memory_managed_pages(&kernel_memory) >> (20 - PAGE_SHIFT);
	u64 ram = 0;
	unsigned i;

	for (i = 0; i < bootinfo.nr_ram; i++)
		ram += bootinfo.ram[i].end - bootinfo.ram[i].start;
	printk("memory      %llu MiB of RAM in %u range%s, up to %#llx\n"
	       "            %lu MiB managed, in %u node%s\n",
	    (unsigned long long)ram >> 20, bootinfo.nr_ram, plural(bootinfo.nr_ram),
	    (unsigned long long)(bootinfo.nr_ram ? bootinfo.ram[bootinfo.nr_ram - 1].end : 0),
	    managed, kernel_memory.nr_nodes, plural(kernel_memory.nr_nodes));
}

static void show_console(void)
{
	const struct framebuffer *fb = &bootinfo.framebuffer;

	if (screen_present())
		printk("screen      %u by %u pixels of %u bits at %#lx\n", fb->width, fb->height,
		    fb->pixel_size * 8, fb->address);
	else
		printk("screen      none\n");
	printk("input       serial port %s; keyboard %s\n", serial_present() ? "COM1" : "none",
	    !keyboard_present()           ? "none"
	        : keyboard_by_interrupt() ? "i8042, real or emulated, by interrupt"
	                                  : "i8042, real or emulated, polled");
}

static void show_remarks(void)
{
	unsigned i, shown = MIN(nr_remarks, (unsigned)MAX_REMARKS);

	if (!nr_remarks) {
		printk("left out    nothing that was found\n");
		return;
	}
	printk("Left out, or unusual:\n");
	for (i = 0; i < shown; i++)
		printk("  %s\n", remarks[i]);
	if (nr_remarks > shown)
		printk("  and %u line%s more\n", nr_remarks - shown, plural(nr_remarks - shown));
}

void machine_page(void)
{
	const char *options = bootinfo.cmdline;

	printk("What Quarry found on this machine (started by %s):\n", bootinfo.path);
	arch_show_machine();
	show_memory();
	show_console();
	printk("options     %.*s%s\n", OPTIONS, *options ? options : "none",
	    strlen(options) > OPTIONS ? "..." : "");
	show_remarks();
}

int cmd_about(unsigned n, char **arg)
{
	machine_page();
	return 0;
}
