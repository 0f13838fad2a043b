/* SPDX-License-Identifier: MIT */
/*
 * screen.c: the console on the framebuffer that the loader set up.
 *
 * Owns:       the framebuffer, the cells of its text, and whether it is in use.
 * Locks:      none: the console (kernel/printk.c) serialises writers; a panic may interrupt them
 *             anywhere.
 * Invariants: while `shown` is set the pixels are mapped.
 * Tests:      bootfile, tests/qemu/test_screen.py.
 *
 * The screen is used if the loader gave a framebuffer and a font (the boot module font.psf), as
 * GRUB does on a machine with a display.  Otherwise all functions return after one test of a flag.
 *
 * A panic prints here too, in the middle of another write; drivers/text.c allows for that.  A fault
 * in here causes a panic that would print here again.  So writes that are nested too deeply are
 * left out, and the report continues on the serial line.
 */
#include <quarry/bootfile.h>
#include <quarry/bootinfo.h>
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/machine.h>
#include <quarry/panic.h>
#include <quarry/port.h>
#include <quarry/screen.h>

#define MAX_CELLS  (240 * 68)   /* 1920 by 1088 pixels in a font of 8 by 16; 4K: of 16 by 32 */
#define MAX_NESTED 3            /* a writer, an NMI or a fault that prints meanwhile, one more */
#define BOOT_LIMIT (1ULL << 32) /* the initial tables map up to here */

static struct text text;
static struct psf_font font;
static struct text_cell cells[MAX_CELLS];
static bool wanted; /* a framebuffer and a font are present */
static bool shown;
static bool alarmed; /* the text that is written now is a panic's */
static u32 nested;   /* atomic: nested writers */

static u64 size_in_bytes(void)
{
	return (u64)bootinfo.framebuffer.pitch * bootinfo.framebuffer.height;
}

bool screen_present(void)
{
	return shown;
}

/* Show the log so far, and from then on everything that is printed. */
static void show(void *pixels)
{
	char piece[128];
	u64 position = 0;
	size_t len;

	if (text_init(&text, &bootinfo.framebuffer, pixels, &font, cells, ARRAY_SIZE(cells))) {
		wanted = false;
		printk("screen: too small, or too large for its font: not used\n");
		return;
	}
	while ((len = log_read(&position, piece, sizeof(piece))))
		text_write(&text, piece, len);
	shown = true;
}

static bool in_ram(const struct framebuffer *fb)
{
	unsigned i;

	for (i = 0; i < bootinfo.nr_ram; i++)
		if (bootinfo.ram[i].start < fb->address + size_in_bytes() &&
		    fb->address < bootinfo.ram[i].end)
			return true;
	return false;
}

/* Without a display GRUB describes a palette of one bit: no screen, so nothing is said. */
static void report_refused(void)
{
	const char *kind = bootinfo.refused_type == FRAMEBUFFER_TEXT ? "a text mode"
	    : bootinfo.refused_type == FRAMEBUFFER_PALETTE           ? "a palette"
	    : bootinfo.refused_type == FRAMEBUFFER_DIRECT            ? "a layout that is not known"
	                                                             : "damaged data";

	if (bootinfo.refused_type == FRAMEBUFFER_PALETTE && bootinfo.refused_bits == 1)
		return;
	printk("screen: not used: the loader gives %s, %u bits a pixel\n", kind,
	    bootinfo.refused_bits);
}

void screen_init(void)
{
	const struct framebuffer *fb = &bootinfo.framebuffer;
	struct boot_file file;

	if (!strcmp(cmdline_get("console", "screen"), "serial"))
		return;
	if (bootinfo.framebuffer_refused)
		report_refused();
	if (!fb->address)
		return;
	if (in_ram(fb)) {
		printk(
		    "screen: the framebuffer at %#lx lies in usable RAM: not used\n", fb->address);
		return;
	}
	if (!boot_file_find(BOOT_FONT, &file)) {
		printk("screen: not used: the loader brought no boot module " BOOT_FONT "\n");
		return;
	}
	if (psf_parse(&font, file.data, file.size)) {
		printk("screen: not used: " BOOT_FONT " is damaged, or no console font\n");
		return;
	}
	wanted = true;
	if (fb->address + size_in_bytes() <= BOOT_LIMIT)
		show(arch_phys_to_virt(fb->address));
}

void screen_cursor(bool on)
{
	if (READ_ONCE(shown))
		text_cursor(&text, on);
}

void screen_map(void)
{
	void *pixels;

	if (!wanted)
		return;
	pixels = arch_map_framebuffer(bootinfo.framebuffer.address, size_in_bytes());
	if (!pixels) {
		shown = false;
		printk("screen: cannot be mapped: not used\n");
	} else if (shown) {
		text_move(&text, pixels);
	} else {
		show(pixels);
	}
	if (shown)
		printk("screen: %u by %u pixels, %u by %u characters\n", bootinfo.framebuffer.width,
		    bootinfo.framebuffer.height, text.columns, text.rows);
}

u64 screen_page(u64 from, u64 end)
{
	u32 row = 0, column = 0;
	u64 next = from;
	char c;

	if (!shown)
		return end;
	text_write(&text, "\033[H\033[2J", 7);
	while (next < end && row + 1 < text.rows && log_read(&next, &c, 1)) {
		if (c != '\n' && column == text.columns) {
			row++;
			column = 0;
			if (row + 1 >= text.rows)
				break;
		}
		text_write(&text, &c, 1);
		column = c == '\n' ? 0 : column + 1;
		row += c == '\n';
		from = next;
	}
	return from;
}

void screen_write(const char *s, size_t len)
{
	if (!READ_ONCE(shown))
		return;
	if (atomic_add(&nested, 1u) < MAX_NESTED) {
		if (panicking() && !alarmed) {
			alarmed = true;
			text_set_colour(&text, TEXT_RED_ON_BLACK);
		}
		text_write(&text, s, len);
	}
	atomic_sub(&nested, 1u);
}
