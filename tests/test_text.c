/* SPDX-License-Identifier: MIT */
/* test_text.c: text on a framebuffer: what is drawn, what is not, and what bad input does. */
#include "tests/screen_help.h"

#include <quarry/errno.h>
#include <quarry/ktest.h>

#define COLUMNS    12
#define ROWS       16
#define SPARE      5 /* pixels at the right and at the bottom that no cell covers */
#define WIDTH      (COLUMNS * 8 + SPARE)
#define HEIGHT     (ROWS * FONT_HEIGHT + SPARE)
#define PITCH      (WIDTH * 4 + 12)
#define GUARD      256
#define GUARD_BYTE 0xa5

static u8 font_file[FONT_FILE_SIZE];
static struct psf_font font;
static u8 memory[GUARD + PITCH * HEIGHT + GUARD];
static struct text_cell cells[COLUMNS * ROWS];
static struct text text;
#define PIXELS (memory + GUARD)

static struct framebuffer framebuffer(u32 pixel_size)
{
	struct framebuffer fb = {.address = 1, .pitch = PITCH, .width = WIDTH, .height = HEIGHT,
	    .pixel_size = pixel_size, .red = {16, 8}, .green = {8, 8}, .blue = {0, 8}};

	if (pixel_size == 2) {
		fb.red = (struct colour_field){11, 5};
		fb.green = (struct colour_field){5, 6};
		fb.blue = (struct colour_field){0, 5};
	}
	return fb;
}

static bool start(struct ktest *t, u32 pixel_size)
{
	struct framebuffer fb = framebuffer(pixel_size);

	memset(memory, GUARD_BYTE, sizeof(memory));
	if (psf_parse(&font, font_file, make_font(font_file, 0)) ||
	    text_init(&text, &fb, PIXELS, &font, cells, ARRAY_SIZE(cells))) {
		EXPECT(t, !"a screen");
		return false;
	}
	EXPECT_EQ(t, text.columns, COLUMNS);
	EXPECT_EQ(t, text.rows, ROWS);
	return true;
}

static void say(const char *s)
{
	text_write(&text, s, strlen(s));
}

static u32 pixel(u32 x, u32 y)
{
	const u8 *p = PIXELS + (size_t)y * PITCH + (size_t)x * text.fb.pixel_size;
	u32 value = 0, i;

	for (i = 0; i < text.fb.pixel_size; i++)
		value |= (u32)p[i] << 8 * i;
	return value;
}

/* Do the pixels of that cell show @c in these colours? */
static bool shows(u32 row, u32 column, u8 c, u32 front, u32 back)
{
	u32 x, y;

	for (y = 0; y < FONT_HEIGHT; y++)
		for (x = 0; x < 8; x++)
			if (pixel(column * 8 + x, row * FONT_HEIGHT + y) !=
			    (psf_glyph(&font, c)[y] >> (7 - x) & 1 ? front : back))
				return false;
	return true;
}

/* A blank has a glyph in this font; what was never written, or scrolled in, is plain. */
static bool is_black(u32 row, u32 column)
{
	u32 x, y;

	for (y = 0; y < FONT_HEIGHT; y++)
		for (x = 0; x < 8; x++)
			if (pixel(column * 8 + x, row * FONT_HEIGHT + y))
				return false;
	return true;
}

static void expect_row(struct ktest *t, int line, u32 row, const char *want)
{
	u32 column;

	for (column = 0; column < COLUMNS; column++) {
		u8 c = (u8)(column < strlen(want) ? want[column] : ' ');

		if (shows(row, column, c, 0xaaaaaa, 0) || (c == ' ' && is_black(row, column)))
			continue;
		ktest_fail(t, __FILE__, line, "row %u, column %u: not '%c' of \"%s\"", row, column, c, want);
		return;
	}
}
#define ROW(t, row, want) expect_row((t), __LINE__, (row), (want))

/* Nothing but cells was written: not before and behind the pixels, nor between the lines. */
static void expect_guards(struct ktest *t, u8 spare)
{
	size_t i, outside = 0, beside = 0;

	for (i = 0; i < sizeof(memory); i++) {
		size_t at = i - GUARD, x = at % PITCH;

		if (i < GUARD || i >= sizeof(memory) - GUARD || x >= (size_t)WIDTH * text.fb.pixel_size)
			outside += memory[i] != GUARD_BYTE;
		else if (x >= (size_t)COLUMNS * 8 * text.fb.pixel_size || at / PITCH >= ROWS * FONT_HEIGHT)
			beside += memory[i] != spare;
	}
	EXPECT_EQ(t, outside, 0);
	EXPECT_EQ(t, beside, 0);
}

static void characters_are_drawn(struct ktest *t)
{
	static const u32 grey[] = {0, 0, 0xad55 /* 21, 42, 21 */, 0xaaaaaa, 0xaaaaaa};
	u32 size;

	for (size = 2; size <= 4; size++) {
		if (!start(t, size))
			return;
		say("Hi\nyou");
		EXPECT(t, shows(0, 0, 'H', grey[size], 0));
		EXPECT(t, shows(0, 1, 'i', grey[size], 0));
		EXPECT(t, is_black(0, 2));
		EXPECT(t, shows(1, 2, 'u', grey[size], 0));
		expect_guards(t, 0);
	}
}

static void lines_wrap(struct ktest *t)
{
	if (!start(t, 4))
		return;
	say("abcdefghijkl");
	EXPECT_EQ(t, text.row, 0); /* full, and nothing more: no empty line if a line feed comes now */
	say("\nmnopqrstuvwxyz");
	ROW(t, 0, "abcdefghijkl");
	ROW(t, 1, "mnopqrstuvwx");
	ROW(t, 2, "yz");
}

static void control_characters(struct ktest *t)
{
	if (!start(t, 4))
		return;
	say("abc\rX\n12\b3\n\tT\n\b\bB\n\a\001\177N\n");
	ROW(t, 0, "Xbc");
	ROW(t, 1, "13");
	ROW(t, 2, "        T");
	ROW(t, 3, "B");
	ROW(t, 4, "N");
	say("abcdefghijkl\b \b"); /* as the monitor takes back the last character of a full line */
	ROW(t, 5, "abcdefghijk");
	say("\t\tZ");
	ROW(t, 5, "abcdefghijkZ");
}

static void text_scrolls(struct ktest *t)
{
	char line[] = "line A\n";
	u32 i;

	if (!start(t, 4))
		return;
	for (i = 0; i < ROWS; i++, line[5]++)
		say(line);
	/* The last line feed went beyond the bottom: two rows, an eighth, have gone. */
	ROW(t, 0, "line C");
	ROW(t, ROWS - 3, "line P");
	ROW(t, ROWS - 2, "");
	ROW(t, ROWS - 1, "");
	say("next\nlast");
	ROW(t, ROWS - 2, "next");
	ROW(t, ROWS - 1, "last");
	say("\n");
	ROW(t, 0, "line E");
	ROW(t, ROWS - 4, "next");
	ROW(t, ROWS - 3, "last");
	expect_guards(t, 0);
}

/* Drawn over with something else, only what changes is drawn again. */
static void only_changes_are_drawn(struct ktest *t)
{
	if (!start(t, 4))
		return;
	say("abc");
	memset(PIXELS, 0x11, (size_t)PITCH * HEIGHT);
	say("\rabX");
	EXPECT(t, shows(0, 2, 'X', 0xaaaaaa, 0));
	EXPECT_EQ(t, pixel(0, 0), 0x11111111);
	EXPECT_EQ(t, pixel(8 + 3, 4), 0x11111111);
	EXPECT_EQ(t, pixel(0, FONT_HEIGHT), 0x11111111);
}

static void colours_are_set(struct ktest *t)
{
	if (!start(t, 4))
		return;
	say("\033[31mr\033[92;44mg\033[0mn\033[1;33my\033[22my\033[7mi\033[0;105;30mm\033[39;49md");
	EXPECT(t, shows(0, 0, 'r', 0xaa0000, 0));
	EXPECT(t, shows(0, 1, 'g', 0x55ff55, 0x0000aa));
	EXPECT(t, shows(0, 2, 'n', 0xaaaaaa, 0));
	EXPECT(t, shows(0, 3, 'y', 0xffff55, 0));
	EXPECT(t, shows(0, 4, 'y', 0xaa5500, 0));
	EXPECT(t, shows(0, 5, 'i', 0, 0xaa5500));
	EXPECT(t, shows(0, 6, 'm', 0, 0xff55ff));
	EXPECT(t, shows(0, 7, 'd', 0xaaaaaa, 0));
	text_set_colour(&text, TEXT_RED_ON_BLACK);
	say("R\033[32mg\033[0mR");
	EXPECT(t, shows(0, 8, 'R', 0xff5555, 0));
	EXPECT(t, shows(0, 9, 'g', 0x55ff55, 0)); /* a colour of its own, as bright as before */
	EXPECT(t, shows(0, 10, 'R', 0xff5555, 0));
}

static void cursor_moves(struct ktest *t)
{
	if (!start(t, 4))
		return;
	say("one\ntwo\nthree\n\033[2AT\033[BH\033[2DX\033[3Cx");
	ROW(t, 1, "Two");
	ROW(t, 2, "XHrex");
	say("\033[5;3HA\033[H1\033[99;99HZ\033[99A\033[99DB\033[99C\033[99B\bY");
	ROW(t, 4, "  A");
	ROW(t, 0, "Bne");
	ROW(t, ROWS - 1, "          YZ");
}

static void parts_are_erased(struct ktest *t)
{
	if (!start(t, 4))
		return;
	say("aaaaaa\nbbbbbb\ncccccc\ndddddd\neeeeee");
	say("\033[2;3H\033[K\033[3;3H\033[1K\033[4;3H\033[2KX\033[5;3H\033[J");
	ROW(t, 0, "aaaaaa");
	ROW(t, 1, "bb");
	ROW(t, 2, "   ccc");
	ROW(t, 3, "  X");
	ROW(t, 4, "ee");
	say("\033[3;4H\033[1J");
	ROW(t, 0, "");
	ROW(t, 2, "    cc");
	ROW(t, 3, "  X");
	say("\033[2JY");
	ROW(t, 2, "   Y");
	ROW(t, 3, "");
}

/* What is not understood is swallowed whole, and what comes after it is text again. */
static void other_sequences_do_nothing(struct ktest *t)
{
	if (!start(t, 4))
		return;
	say("a\033[?25lb\033[99999999999999999999Zc");
	ROW(t, 0, "abc");
	/* Four arguments count, and none of those of a sequence for more colours than there are. */
	say("\r\033[1;2;3;4;5;6;7;31;41md\033[38;5;200me\033(f\033[\ng");
	EXPECT(t, shows(0, 0, 'd', 0xffffff, 0));
	EXPECT(t, shows(0, 1, 'e', 0xffffff, 0));
	EXPECT(t, shows(0, 2, 'f', 0xffffff, 0));
	EXPECT(t, shows(1, 0, 'g', 0xffffff, 0));
}

static void small_screens(struct ktest *t)
{
	struct framebuffer fb = framebuffer(4);

	REQUIRE(t, psf_parse(&font, font_file, make_font(font_file, 0)) == 0);
	memset(memory, GUARD_BYTE, sizeof(memory));
	fb.width = TEXT_MIN_COLUMNS * 8 - 1;
	EXPECT_EQ(t, text_init(&text, &fb, PIXELS, &font, cells, ARRAY_SIZE(cells)), -EINVAL);
	fb.width = TEXT_MIN_COLUMNS * 8;
	fb.height = TEXT_MIN_ROWS * FONT_HEIGHT - 1;
	EXPECT_EQ(t, text_init(&text, &fb, PIXELS, &font, cells, ARRAY_SIZE(cells)), -EINVAL);
	EXPECT_EQ(t, PIXELS[0], GUARD_BYTE);
	fb.height++;
	EXPECT_EQ(t, text_init(&text, &fb, PIXELS, &font, cells, ARRAY_SIZE(cells)), 0);
	say("abcdefgh12345678next");
	EXPECT(t, shows(0, 0, '1', 0xaaaaaa, 0));
	EXPECT(t, shows(1, 0, 'n', 0xaaaaaa, 0));
	/* Fewer cells than there is room: fewer rows. */
	fb = framebuffer(4);
	EXPECT_EQ(t, text_init(&text, &fb, PIXELS, &font, cells, 2 * COLUMNS - 1), -EINVAL);
	EXPECT_EQ(t, text_init(&text, &fb, PIXELS, &font, cells, 3 * COLUMNS + 1), 0);
	EXPECT_EQ(t, text.rows, 3);
}

/* Whatever is written, the pixels show what the cells say, and nothing else is touched. */
static void anything_may_be_written(struct ktest *t)
{
	static const u8 pieces[] = "\033[\033[;019mABCDHJK\n\r\b\t xyz\377\177?";
	u64 state = t->seed | 1;
	u8 junk[64];
	u32 round, i, differ = 0;

	if (!start(t, 3))
		return;
	for (round = 0; round < 400; round++) {
		u32 len = (u32)(ktest_rand(&state) % sizeof(junk));

		for (i = 0; i < len; i++) {
			u64 chance = ktest_rand(&state);

			junk[i] = chance & 0x100 ? (u8)chance : pieces[chance % (sizeof(pieces) - 1)];
		}
		/* Where another CPU may have been stopped, in a panic. */
		if (round % 16 == 0) {
			text.row = ROWS;
			text.column = round % 32 ? COLUMNS + 1 : 3;
			text.dirty_to = ROWS + 1;
		}
		text_write(&text, (const char *)junk, len);
	}
	expect_guards(t, 0);
	for (i = 0; i < COLUMNS * ROWS; i++) {
		const struct text_cell *cell = &cells[i];

		differ += cell->c != cell->shown_c || cell->colour != cell->shown_colour ||
		    !(shows(i / COLUMNS, i % COLUMNS, cell->c, text.palette[cell->colour & 0xf],
			  text.palette[cell->colour >> 4]) || is_black(i / COLUMNS, i % COLUMNS));
	}
	EXPECT_EQ(t, differ, 0);
}

KTEST_SUITE(text, KTEST_QUICK, KTEST(characters_are_drawn), KTEST(lines_wrap), KTEST(control_characters),
    KTEST(text_scrolls), KTEST(only_changes_are_drawn), KTEST(colours_are_set), KTEST(cursor_moves),
    KTEST(parts_are_erased), KTEST(other_sequences_do_nothing), KTEST(small_screens), KTEST(anything_may_be_written));
