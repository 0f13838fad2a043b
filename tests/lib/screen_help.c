/* SPDX-License-Identifier: MIT */
/* screen_help.c: see screen_help.h. */
#include "tests/lib/screen_help.h"

/* The first line of a glyph is its number. */
static u8 glyph_line(u32 glyph, u32 y)
{
	return (u8)(y == 0 ? glyph : glyph * 37 + y * 11);
}

size_t make_font(u8 *file, u8 mode)
{
	const u8 header[] = {0x36, 0x04, mode, FONT_HEIGHT};
	u32 i, y;

	memcpy(file, header, sizeof(header));
	for (i = 0; i < NR_GLYPHS; i++)
		for (y = 0; y < FONT_HEIGHT; y++)
			file[4 + i * FONT_HEIGHT + y] = glyph_line(i, y);
	return 4 + NR_GLYPHS * FONT_HEIGHT;
}
