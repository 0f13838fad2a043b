/* SPDX-License-Identifier: MIT */
/* screen_help.h: a font whose glyphs all differ, for the suites screen and text. */
#ifndef QUARRY_TESTS_SCREEN_HELP_H
#define QUARRY_TESTS_SCREEN_HELP_H

#include <quarry/port.h>
#include <quarry/screen.h>

#define FONT_HEIGHT    8
#define NR_GLYPHS      256
#define FONT_FILE_SIZE (4 + NR_GLYPHS * FONT_HEIGHT + 4096)

/* Write a PSF 1 font without a table, or the part before its table; returns the length. */
size_t make_font(u8 *file, u8 mode);

#endif
