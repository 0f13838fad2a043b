/* SPDX-License-Identifier: MIT */
/* text_help.h: a terminal in memory with guards around it, for the suites text and text_sequences. */
#ifndef QUARRY_TESTS_TEXT_HELP_H
#define QUARRY_TESTS_TEXT_HELP_H

#include "tests/lib/screen_help.h"

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
static struct text_cell cells[COLUMNS * ROWS + COLUMNS]; /* the last row is nobody's */
static struct text text;
#define PIXELS (memory + GUARD)

static inline struct framebuffer framebuffer(u32 pixel_size)
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

static inline bool start(struct ktest *t, u32 pixel_size)
{
	struct framebuffer fb = framebuffer(pixel_size);
	u32 i;

	memset(memory, GUARD_BYTE, sizeof(memory));
	memset(cells, GUARD_BYTE, sizeof(cells));
	for (i = 0; i < COLUMNS; i++)
		cells[COLUMNS * ROWS + i].shown_c = 0;
	if (psf_parse(&font, font_file, make_font(font_file, 0)) ||
	    text_init(&text, &fb, PIXELS, &font, cells, COLUMNS * ROWS)) {
		EXPECT(t, !"a screen");
		return false;
	}
	EXPECT_EQ(t, text.columns, COLUMNS);
	EXPECT_EQ(t, text.rows, ROWS);
	return true;
}

static inline void say(const char *s)
{
	text_write(&text, s, strlen(s));
}

static inline u32 pixel(u32 x, u32 y)
{
	const u8 *p = PIXELS + (size_t)y * PITCH + (size_t)x * text.fb.pixel_size;
	u32 value = 0, i;

	for (i = 0; i < text.fb.pixel_size; i++)
		value |= (u32)p[i] << 8 * i;
	return value;
}

/* Do the pixels of that cell show @c in these colours? */
static inline bool shows(u32 row, u32 column, u8 c, u32 front, u32 back)
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
static inline bool is_black(u32 row, u32 column)
{
	u32 x, y;

	for (y = 0; y < FONT_HEIGHT; y++)
		for (x = 0; x < 8; x++)
			if (pixel(column * 8 + x, row * FONT_HEIGHT + y))
				return false;
	return true;
}

static inline void expect_row(struct ktest *t, int line, u32 row, const char *want)
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
static inline void expect_guards(struct ktest *t, u8 spare)
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
	for (i = COLUMNS * ROWS; i < ARRAY_SIZE(cells); i++)
		EXPECT(t, cells[i].c == GUARD_BYTE && cells[i].shown_c == 0);
}

#endif
