/* SPDX-License-Identifier: MIT */
/*
 * test_bootfile.c: the files among the boot modules, by name, and the console that needs one of
 * them: the font.  Hosted only: in the kernel it would undo the loader's work.
 *
 * The kernel has one screen, which keeps its state, so one test makes all checks of the screen.
 */
#include "tests/host/play_help.h"

#include "tests/lib/screen_help.h"
#include <quarry/bootfile.h>
#include <quarry/console.h>
#include <quarry/machine.h>

/* Sizes and places in unused memory of the first pageblock: modules, and two framebuffers. */
#define MODULE_BYTES 0x900
#define SCREEN_AT    0x3800
#define MAPPED_AT    0x5400

static char said[8192];

/* The text printed since @pos. */
static const char *said_since(u64 pos)
{
	said[log_read(&pos, said, sizeof(said) - 1)] = '\0';
	return said;
}

/* Add a module at a place of its own, with the command line that the loader gives. */
static void add_module(struct ktest *t, const char *cmdline, const void *data, size_t size)
{
	unsigned i = bootinfo.nr_modules++;
	struct boot_module *m = &bootinfo.module[i];

	m->start = i * MODULE_BYTES;
	m->size = size;
	EXPECT(t, size <= MODULE_BYTES && m->start + size <= SCREEN_AT);
	memcpy(arch_phys_to_virt(m->start), data, size);
	memset(m->name, 0, sizeof(m->name));
	memcpy(m->name, cmdline, strlen(cmdline));
}

static void no_modules(void)
{
	memset(&bootinfo, 0, sizeof(bootinfo));
}

/* Write a member of an archive; returns the length up to the next member. */
static size_t member(char *at, const char *name, const char *content)
{
	size_t name_len = strlen(name) + 1, len = strlen(content),
	       head = ALIGN_UP(110 + name_len, (size_t)4);

	memset(at, 0, head + len + 4);
	ksnprintf(
	    at, 111, "070701%048x%08x%032x%08x%08x", 0, (unsigned)len, 0, (unsigned)name_len, 0);
	for (size_t i = 0; i < name_len; i++)
		at[110 + i] = name[i];
	for (size_t i = 0; i < len; i++)
		at[head + i] = content[i];
	return ALIGN_UP(head + len, (size_t)4);
}

static bool content_is(const struct boot_file *file, const char *content)
{
	return file->size == strlen(content) && !memcmp(file->data, content, file->size);
}

KTEST_SUITE(bootfile, KTEST_QUICK);

KTEST(files_are_found_by_name)
{
	static const struct {
		const char *name, *content; /* NULL: there is no such file */
	} files[] = {{"first", "1"}, {"second", "22"}, {"third", "333"}, {"in", "inside"},
	    {"two", "2two"}, {"last", "4444"}, {"", NULL}, {"fir", NULL}, {"firsts", NULL},
	    {"boot", NULL}, {"boot/first", NULL}, {"pack", NULL}, {"arg", NULL},
	    {"TRAILER!!!", NULL}};
	static char archive[2048];
	struct boot_file file;
	size_t len;
	unsigned i;

	no_modules();
	add_module(t, "/boot/first", "1", 1);
	add_module(t, "second arg /not/this", "22", 2);
	len = member(archive, "dir/in", "inside");
	len += member(archive + len, "two", "2two");
	len += member(archive + len, "TRAILER!!!", "");
	add_module(t, "/a/b/pack", archive, len);
	add_module(t, "x//third", "333", 3);
	add_module(t, "last", "4444", 4);
	/* The second module of a name is not found. */
	add_module(t, "first", "5", 1);
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		bool found = boot_file_find(files[i].name, &file);

		if (found != (files[i].content != NULL) ||
		    (found &&
		        (!content_is(&file, files[i].content) ||
		            strcmp(file.name, files[i].name) != 0)))
			ktest_fail(t, __FILE__, __LINE__, "\"%s\": found %u: %s", files[i].name,
			    found, file.name);
	}
	/* Modules by number, in their order; an archive appears as its members. */
	for (i = 0; boot_file_number(i, &file); i++)
		EXPECT(t, file.name[0] == "fsittlf"[i] || i >= 7);
	EXPECT_EQ(t, i, 7);
	no_modules();
	EXPECT(t, !boot_file_find("first", &file) && !boot_file_number(0, &file));
}

#define LEN 35 /* length of the text before the long name */

KTEST(names_are_printed_in_order, KTEST_REPORTS)
{
	static char archive[1024], long_name[BOOT_NAME_MAX];
	u64 pos = log_position();
	size_t len;

	no_modules();
	boot_files_print();
	EXPECT(t, !strcmp(said_since(pos), " (none: the loader brought no boot module)"));
	len = member(archive, "in", "");
	/* The second member is damaged: the archive ends there, and the next module is listed. */
	len += member(archive + len, "broken", "");
	archive[ALIGN_UP(110 + 3, 4) + 1] = 'x';
	add_module(t, "a/first x", "1", 1);
	add_module(t, "", "2", 1);
	add_module(t, "pack", archive, len);
	memset(long_name, 'n', sizeof(long_name) - 1);
	add_module(t, long_name, "", 0);
	pos = log_position();
	boot_files_print();
	long_name[BOOT_FILE_NAME - 1] = '\0';
	EXPECT(t, !strncmp(said_since(pos), "\n    first (without a name) in\n    nnnn", 39));
	EXPECT_EQ(t, strlen(said), LEN + BOOT_FILE_NAME - 1);
	EXPECT(t, !strcmp(said + LEN, long_name));
	printk("\n");
	no_modules();
}

KTEST(dropped_modules_are_named, KTEST_REPORTS)
{
	u64 pos = log_position();

	no_modules();
	boot_files_report_dropped();
	EXPECT_EQ(t, strlen(said_since(pos)), 0);
	bootinfo.modules_dropped = 3;
	bootinfo.modules_outside = 1;
	memcpy(bootinfo.outside_name, "beside", 7);
	memcpy(bootinfo.dropped_name, "late", 5);
	boot_files_report_dropped();
	EXPECT(t,
	    !strcmp(said_since(pos),
	        "boot: 3 boot modules too many: \"late\" and all after it are left out; 128 are "
	        "taken\nboot: 1 boot module not all in usable RAM, left out: first "
	        "\"beside\"\n"));
	no_modules();
}

KTEST(a_single_file_is_one_besides_the_font)
{
	static char archive[256];
	size_t len = member(archive, "in", "");
	struct boot_file file;

	no_modules();
	EXPECT(t, !boot_file_single(&file));
	add_module(t, BOOT_FONT, "font", 4);
	EXPECT(t, !boot_file_single(&file));
	add_module(t, "trace", "abc", 3);
	EXPECT(
	    t, boot_file_single(&file) && content_is(&file, "abc") && !strcmp(file.name, "trace"));
	add_module(t, "another", "def", 3);
	EXPECT(t, !boot_file_single(&file));
	no_modules();
	add_module(t, "trace", "abc", 3);
	add_module(t, "/boot/" BOOT_FONT " x", "font", 4);
	EXPECT(t, boot_file_single(&file) && content_is(&file, "abc"));
	no_modules();
	/*
	 * An archive is no single file, nor is a program; a file shorter than the ELF magic is no
	 * program.
	 */
	add_module(t, "pack", archive, len);
	EXPECT(t, !boot_file_single(&file));
	no_modules();
	add_module(t, "program", "\177ELF", 4);
	EXPECT(t, !boot_file_single(&file));
	no_modules();
	add_module(t, "short", "\177ELF", 3);
	EXPECT(t, boot_file_single(&file) && file.size == 3);
	no_modules();
	add_module(t, "other", "\177ELG", 4);
	EXPECT(t, boot_file_single(&file) && file.size == 4);
	no_modules();
}

/* ---- the screen ---- */

#define WIDTH  64
#define HEIGHT 24
#define PITCH  272

static bool panics;
static unsigned nest; /* screen writes that panicking() still makes, inside its caller's write */
static struct text ref;
static struct psf_font ref_font;
static struct text_cell ref_cells[(WIDTH / 8) * (HEIGHT / 8)];
static u8 ref_pixels[PITCH * HEIGHT], ref_file[FONT_FILE_SIZE];

static bool panicking_now(void)
{
	if (nest) {
		nest--;
		screen_write("n", 1);
	}
	return panics;
}

static void set_framebuffer(void)
{
	bootinfo.framebuffer = (struct framebuffer){.address = SCREEN_AT,
	    .pitch = PITCH,
	    .width = WIDTH,
	    .height = HEIGHT,
	    .pixel_size = 4,
	    .red = {16, 8},
	    .green = {8, 8},
	    .blue = {0, 8}};
}

/* Returns true if the kernel prints @words and uses no screen. */
static bool refused_with(const char *words)
{
	u64 pos = log_position();

	screen_init();
	screen_map();
	screen_write("x", 1);
	return !screen_present() && !strcmp(said_since(pos), words);
}

/* Show the log so far on @text, in the same way as screen_init. */
static void show_log_on(struct text *text, void *pixels)
{
	u64 pos = 0;
	char piece[128]; /* as in screen.c: a blank that was drawn is not black in this font */
	size_t len;

	if (text_init(
	        text, &bootinfo.framebuffer, pixels, &ref_font, ref_cells, ARRAY_SIZE(ref_cells)))
		return;
	while ((len = log_read(&pos, piece, sizeof(piece))))
		text_write(text, piece, len);
}

static bool shows_as_it_should(const void *pixels)
{
	unsigned y;

	for (y = 0; y < HEIGHT; y++) {
		if (memcmp((const u8 *)pixels + y * PITCH, ref_pixels + y * PITCH, WIDTH * 4) != 0)
			return false;
	}
	return true;
}

static void refuse_what_is_no_screen(struct ktest *t)
{
	static const phys_t at = SCREEN_AT;

	EXPECT(t, refused_with(""));
	bootinfo.framebuffer_refused = true;
	bootinfo.refused_bits = 1; /* GRUB without a display */
	EXPECT(t, refused_with(""));
	bootinfo.refused_bits = 8;
	EXPECT(t, refused_with("screen: not used: the loader gives a palette, 8 bits a pixel\n"));
	bootinfo.refused_type = FRAMEBUFFER_TEXT;
	EXPECT(t, refused_with("screen: not used: the loader gives a text mode, 8 bits a pixel\n"));
	bootinfo.framebuffer_refused = false;
	set_framebuffer();
	cmdline_init("console=serial", false);
	EXPECT(t, refused_with(""));
	cmdline_init("console=screen", false);
	EXPECT(
	    t, refused_with("screen: not used: the loader brought no boot module " BOOT_FONT "\n"));
	/* Usable RAM may end where the framebuffer begins, and begin where it ends. */
	bootinfo.ram[0] = (struct boot_range){0, at};
	bootinfo.ram[1] = (struct boot_range){at + PITCH * HEIGHT, at + PITCH * HEIGHT + PAGE_SIZE};
	bootinfo.nr_ram = 2;
	add_module(t, BOOT_FONT, "no font", 7);
	EXPECT(t, refused_with("screen: not used: " BOOT_FONT " is damaged, or no console font\n"));
	bootinfo.ram[0].end++;
	EXPECT(t, refused_with("screen: the framebuffer at 0x3800 lies in usable RAM: not used\n"));
	bootinfo.ram[0].end--;
	bootinfo.ram[1].start--;
	EXPECT(t, refused_with("screen: the framebuffer at 0x3800 lies in usable RAM: not used\n"));
	bootinfo.ram[1].start++;
	bootinfo.nr_modules--;
	add_module(t, BOOT_FONT, ref_file, make_font(ref_file, 0));
	bootinfo.framebuffer.height = 8;
	EXPECT(t, refused_with("screen: too small, or too large for its font: not used\n"));
	bootinfo.framebuffer.height = HEIGHT;
}

/* The text of a panic is red.  Writes within writes are shown, up to three. */
static void a_panic_is_red(struct ktest *t)
{
	/* Each inner write calls panicking(), and writes, before the outer write does. */
	nest = 5;
	screen_write("e", 1);
	text_write(&ref, "nne", 3);
	EXPECT(t, shows_as_it_should(play.mapped));
	EXPECT_EQ(t, nest, 2);
	nest = 0;
	screen_write("f", 1);
	text_write(&ref, "f", 1);
	EXPECT(t, shows_as_it_should(play.mapped));
	panics = true;
	screen_write("g\33[32mh", 7);
	text_set_colour(&ref, TEXT_RED_ON_BLACK);
	text_write(&ref, "g\33[32mh", 7);
	EXPECT(t, shows_as_it_should(play.mapped));
	/* The colour that the text has set stays. */
	screen_write("i", 1);
	text_write(&ref, "i", 1);
	EXPECT(t, shows_as_it_should(play.mapped));
	panics = false;
}

KTEST(screen_shows_the_log_and_new_output, KTEST_REPORTS)
{
	void *first = arch_phys_to_virt(SCREEN_AT);
	u64 pos;

	play_begin();
	play.logs = true;
	play.panics = panicking_now;
	refuse_what_is_no_screen(t);
	EXPECT_EQ(t, psf_parse(&ref_font, ref_file, 4 + NR_GLYPHS * FONT_HEIGHT), 0);
	/* A framebuffer above the memory mapped so far is used later. */
	bootinfo.framebuffer.address = (1ULL << 32) - PITCH * HEIGHT + 1;
	screen_init();
	EXPECT(t, !screen_present());
	play.mapped = NULL;
	pos = log_position();
	screen_map();
	EXPECT(t,
	    !screen_present() && !strcmp(said_since(pos), "screen: cannot be mapped: not used\n"));
	play.mapped = arch_phys_to_virt(MAPPED_AT);
	pos = log_position();
	show_log_on(&ref, ref_pixels);
	screen_map();
	EXPECT(t, screen_present() && shows_as_it_should(play.mapped));
	EXPECT(t, !strcmp(said_since(pos), "screen: 64 by 24 pixels, 8 by 3 characters\n"));
	/* Now screen_init uses the framebuffer immediately; then the framebuffer moves. */
	set_framebuffer();
	show_log_on(&ref, ref_pixels);
	screen_init();
	EXPECT(t, screen_present() && shows_as_it_should(first));
	screen_write("abc", 2);
	text_write(&ref, "ab", 2);
	EXPECT(t, shows_as_it_should(first));
	memcpy(play.mapped, first, PITCH * HEIGHT);
	memset(first, 0, PITCH * HEIGHT);
	screen_map();
	screen_write("c\nd", 3);
	text_write(&ref, "c\nd", 3);
	EXPECT(t, screen_present() && shows_as_it_should(play.mapped));
	a_panic_is_red(t);
	/* A screen that cannot be mapped any more is not present. */
	play.mapped = NULL;
	screen_map();
	EXPECT(t, !screen_present());
	/* A screen that is too small is not used. */
	bootinfo.framebuffer.height = 8;
	screen_init();
	cmdline_init("", false);
	no_modules();
}
