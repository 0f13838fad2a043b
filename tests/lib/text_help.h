/* SPDX-License-Identifier: MIT */
/* text_help.h: a terminal in memory with guards around it, for the suite text. */
#ifndef QUARRY_TESTS_TEXT_HELP_H
#define QUARRY_TESTS_TEXT_HELP_H

#include "tests/lib/screen_help.h"

#include <quarry/errno.h>
#include <quarry/ktest.h>
#include <quarry/string.h>

#define COLUMNS    12
#define ROWS       16
#define SPARE      5 /* pixels at the right and at the bottom that no cell covers */
#define WIDTH      (COLUMNS * 8 + SPARE)
#define HEIGHT     (ROWS * FONT_HEIGHT + SPARE)
#define PITCH      (WIDTH * 4 + 12)
#define GUARD      256
#define GUARD_BYTE 0xa5

extern u8 text_font_file[FONT_FILE_SIZE];
extern struct psf_font text_font;
extern u8 text_memory[GUARD + PITCH * HEIGHT + GUARD];
extern struct text_cell text_cells[COLUMNS * ROWS + COLUMNS]; /* the last row is unused */
extern struct text terminal;
#define PIXELS (text_memory + GUARD)

struct framebuffer text_framebuffer(u32 pixel_size);
bool text_start(struct ktest *t, u32 pixel_size);
void text_say(const char *s);
u32 text_pixel(u32 x, u32 y);
/* Does the cell at @row and @column show @c in these colours? */
bool text_shows(u32 row, u32 column, u8 c, u32 front, u32 back);
/*
 * Is the cell all black: never written, or in a row scrolled in? A written blank shows its glyph.
 */
bool is_black(u32 row, u32 column);

void expect_row(struct ktest *t, int line, u32 row, const char *want);
#define ROW(t, row, want) expect_row((t), __LINE__, (row), (want))

/* Nothing but cells was written: not before and behind the pixels, nor between the lines. */
void expect_guards(struct ktest *t, u8 spare);

#endif
