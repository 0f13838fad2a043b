/* SPDX-License-Identifier: MIT */
/* text_help.c: see text_help.h. */
#include "tests/lib/text_help.h"

u8 text_font_file[FONT_FILE_SIZE];
struct psf_font text_font;
u8 text_memory[GUARD + PITCH * HEIGHT + GUARD];
struct text_cell text_cells[COLUMNS * ROWS + COLUMNS];
struct text terminal;

struct framebuffer text_framebuffer(u32 pixel_size)
{
	struct framebuffer fb = {.address = 1,
	    .pitch = PITCH,
	    .width = WIDTH,
	    .height = HEIGHT,
	    .pixel_size = pixel_size,
	    .red = {16, 8},
	    .green = {8, 8},
	    .blue = {0, 8}};

	if (pixel_size == 2) {
		fb.red = (struct colour_field){11, 5};
		fb.green = (struct colour_field){5, 6};
		fb.blue = (struct colour_field){0, 5};
	}
	return fb;
}

bool text_start(struct ktest *t, u32 pixel_size)
{
	struct framebuffer fb = text_framebuffer(pixel_size);
	u32 i;

	memset(text_memory, GUARD_BYTE, sizeof(text_memory));
	memset(text_cells, GUARD_BYTE, sizeof(text_cells));
	for (i = 0; i < COLUMNS; i++)
		text_cells[COLUMNS * ROWS + i].shown_c = 0;
	if (psf_parse(&text_font, text_font_file, make_font(text_font_file, 0)) ||
	    text_init(&terminal, &fb, PIXELS, &text_font, text_cells, COLUMNS * ROWS)) {
		EXPECT(t, !"a screen");
		return false;
	}
	EXPECT_EQ(t, terminal.columns, COLUMNS);
	EXPECT_EQ(t, terminal.rows, ROWS);
	return true;
}

void text_say(const char *s)
{
	text_write(&terminal, s, strlen(s));
}

u32 text_pixel(u32 x, u32 y)
{
	const u8 *p = PIXELS + (size_t)y * PITCH + (size_t)x * terminal.fb.pixel_size;
	u32 value = 0, i;

	for (i = 0; i < terminal.fb.pixel_size; i++)
		value |= (u32)p[i] << 8 * i;
	return value;
}

bool text_shows(u32 row, u32 column, u8 c, u32 front, u32 back)
{
	u32 x, y;

	for (y = 0; y < FONT_HEIGHT; y++)
		for (x = 0; x < 8; x++)
			if (text_pixel(column * 8 + x, row * FONT_HEIGHT + y) !=
			    (psf_glyph(&text_font, c)[y] >> (7 - x) & 1 ? front : back))
				return false;
	return true;
}

bool is_black(u32 row, u32 column)
{
	u32 x, y;

	for (y = 0; y < FONT_HEIGHT; y++)
		for (x = 0; x < 8; x++)
			if (text_pixel(column * 8 + x, row * FONT_HEIGHT + y))
				return false;
	return true;
}

void expect_row(struct ktest *t, int line, u32 row, const char *want)
{
	u32 column;

	for (column = 0; column < COLUMNS; column++) {
		u8 c = (u8)(column < strlen(want) ? want[column] : ' ');

		if (text_shows(row, column, c, 0xaaaaaa, 0) || (c == ' ' && is_black(row, column)))
			continue;
		ktest_fail(t, __FILE__, line, "row %u, column %u: not '%c' of \"%s\"", row, column,
		    c, want);
		return;
	}
}

void expect_guards(struct ktest *t, u8 spare)
{
	size_t i, outside = 0, beside = 0;

	for (i = 0; i < sizeof(text_memory); i++) {
		size_t at = i - GUARD, x = at % PITCH;

		if (i < GUARD || i >= sizeof(text_memory) - GUARD ||
		    x >= (size_t)WIDTH * terminal.fb.pixel_size)
			outside += text_memory[i] != GUARD_BYTE;
		else if (x >= (size_t)COLUMNS * 8 * terminal.fb.pixel_size ||
		    at / PITCH >= ROWS * FONT_HEIGHT)
			beside += text_memory[i] != spare;
	}
	EXPECT_EQ(t, outside, 0);
	EXPECT_EQ(t, beside, 0);
	for (i = COLUMNS * ROWS; i < ARRAY_SIZE(text_cells); i++)
		EXPECT(t, text_cells[i].c == GUARD_BYTE && text_cells[i].shown_c == 0);
}
