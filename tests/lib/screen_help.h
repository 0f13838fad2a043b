/* SPDX-License-Identifier: MIT */
/* screen_help.h: a font whose glyphs all differ, for the suites screen and text. */
#ifndef QUARRY_TESTS_SCREEN_HELP_H
#define QUARRY_TESTS_SCREEN_HELP_H

#include <quarry/port.h>
#include <quarry/screen.h>
#include <quarry/string.h>

#define FONT_HEIGHT    8
#define NR_GLYPHS      256
#define FONT_FILE_SIZE (4 + NR_GLYPHS * FONT_HEIGHT + 4096)

/*
 * Write a PSF 1 font without a table, or the part before its table; returns the length.  The first
 * line of a glyph is its number.
 */
static inline size_t make_font(u8 *file, u8 mode)
{
	const u8 header[] = {0x36, 0x04, mode, FONT_HEIGHT};
	u32 i, y;

	memcpy(file, header, sizeof(header));
	for (i = 0; i < NR_GLYPHS; i++)
		for (y = 0; y < FONT_HEIGHT; y++)
			file[4 + i * FONT_HEIGHT + y] = (u8)(y == 0 ? i : i * 37 + y * 11);
	return 4 + NR_GLYPHS * FONT_HEIGHT;
}

#endif
