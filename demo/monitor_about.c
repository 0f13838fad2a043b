/* SPDX-License-Identifier: MIT */
/*
 * monitor_about.c: one page about this machine: what was found, and what was left out and why.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Tests:      monitor_about, tests/qemu/test_screen.py.
 */
#include "demo/monitor.h"

#include <quarry/bootinfo.h>
#include <quarry/console.h>
#include <quarry/machine.h>
#include <quarry/mm.h>
#include <quarry/plural.h>
#include <quarry/port.h>
#include <quarry/remarks.h>
#include <quarry/string.h>

#define OPTIONS 64 /* bytes of the command line that are shown; "..." has room behind them */

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
	unsigned i;

	if (!remarks_total()) {
		printk("left out    nothing that was found\n");
		return;
	}
	printk("Left out, or unusual:\n");
	for (i = 0; remark(i); i++)
		printk("  %s\n", remark(i));
	if (remarks_total() > i)
		printk("  and %u line%s more\n", remarks_total() - i, plural(remarks_total() - i));
}

void monitor_about(void)
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
	monitor_about();
	return 0;
}
