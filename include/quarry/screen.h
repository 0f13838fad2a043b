/* SPDX-License-Identifier: MIT */
/*
 * screen.h: text on a framebuffer: its description by the loader, a font, and a terminal.
 *
 * boot/framebuffer.c, drivers/psf.c and drivers/text.c need only memory, and are tested hosted;
 * drivers/screen.c is the kernel's single screen (console.h).
 */
#ifndef QUARRY_SCREEN_H
#define QUARRY_SCREEN_H

#include <quarry/types.h>

/* ---- the framebuffer ---- */

struct colour_field {
	u8 position, size; /* bits */
};
struct framebuffer {
	phys_t address;    /* of the upper left pixel; 0: no framebuffer */
	u32 pitch;         /* bytes from one line to the next */
	u32 width, height; /* pixels */
	u32 pixel_size;    /* bytes: 2, 3 or 4 */
	struct colour_field red, green, blue;
};

/*
 * Read @tag, a framebuffer tag (8) of the multiboot2 info block, @size bytes.
 * Returns 0; -EINVAL if it is too short or invalid; -ENODEV if it is valid but no direct-colour
 * framebuffer of 16, 24 or 32 bits (text, palette).  *fb is written only on success.  Any context.
 */
int framebuffer_from_tag(struct framebuffer *fb, const void *tag, u32 size) must_check;
/*
 * The type (FRAMEBUFFER_...) and the bits of a pixel that @tag gives; 0xff and 0 if it is too
 * short.  Any context.
 */
void framebuffer_kind(const void *tag, u32 size, u8 *type, u8 *bits);
#define FRAMEBUFFER_PALETTE 0 /* a pixel is an index into a palette */
#define FRAMEBUFFER_DIRECT  1 /* a pixel is a colour */
#define FRAMEBUFFER_TEXT    2 /* characters, as in the old VGA text mode */

/* ---- the font ---- */

#define PSF_CODES 128 /* ASCII */

struct psf_font {
	const u8 *glyphs;
	u32 nr;            /* glyphs */
	u32 width, height; /* pixels */
	u32 stride, size;  /* bytes of a line of a glyph, and of a glyph */
	u16 glyph[PSF_CODES];
};

/*
 * Read a console font, PSF version 1 or 2, of @len bytes at @data, which must stay there: *font
 * points into it.  A character that the font lacks is shown as '?' or, if that is missing too, as
 * glyph 0.
 * Returns 0; -EINVAL if it is no such font, damaged, or larger than 32 by 64 pixels.  Any context.
 */
int psf_parse(struct psf_font *font, const void *data, size_t len) must_check;
/*
 * The lines of the glyph for @c, the leftmost pixel in the highest bit of each line's first byte.
 */
const u8 *psf_glyph(const struct psf_font *font, u8 c);

/* ---- text ---- */

struct text_cell {
	u8 c, colour;             /* the cell; colour: background in the upper 4 bits */
	u8 shown_c, shown_colour; /* the cell that the pixels show; c 0: unknown */
};

enum text_state { TEXT_PLAIN, TEXT_ESCAPE, TEXT_SEQUENCE };
#define TEXT_ARGS 4

/* A terminal.  Fields are for drivers/text.c and its tests. */
struct text {
	struct framebuffer fb;
	const struct psf_font *font;
	u8 *pixels;
	struct text_cell *cells; /* rows * columns, line by line */
	u32 columns, rows;
	u32 scale;       /* pixels of the screen for a pixel of the font, each way */
	bool cursor;     /* the place of the next character is shown */
	u32 row, column; /* place of the next character; column == columns: it starts a new line */
	u8 colour, normal;        /* as in a cell; normal: the colour after SGR 0 */
	u32 dirty_from, dirty_to; /* rows that may differ from their pixels: [from, to) */
	u32 palette[16];
	enum text_state state;
	u32 arg[TEXT_ARGS];
	u32 nr_args;
};

#define TEXT_GREY_ON_BLACK 0x07
#define TEXT_RED_ON_BLACK  0x09
#define TEXT_MIN_COLUMNS   8
#define TEXT_MIN_ROWS      2

/*
 * Clear @fb, whose pixels are at @pixels, and write from its top in @font.  The text has as many
 * columns as fit the width, and as many rows as fit the height.  If that is more than @nr_cells
 * cells, the font is enlarged, twice, three times ..., until the cells suffice for the screen;
 * where that would leave too few columns or rows, the text uses only the upper part of the screen.
 * Returns 0; -EINVAL, without any effect, if that is less than TEXT_MIN_COLUMNS or TEXT_MIN_ROWS.
 */
int text_init(struct text *t, const struct framebuffer *fb, void *pixels,
    const struct psf_font *font, struct text_cell *cells, size_t nr_cells) must_check;
/* From now on the pixels are mapped at @pixels. */
void text_move(struct text *t, void *pixels);
/* Set the colour, a TEXT_ value, for further text and after SGR 0. */
void text_set_colour(struct text *t, u8 colour);
/* From now on the place of the next character is shown in exchanged colours, or no longer. */
void text_cursor(struct text *t, bool on);
/*
 * Write @len bytes and update the pixels.  Interpreted are CR, LF (which also goes to the first
 * column), BS, TAB, and of ECMA-48 the sequences CUU, CUD, CUF, CUB, CUP, ED, EL and SGR with 16
 * colours; other sequences and control characters are ignored.  At the bottom the text scrolls by
 * an eighth of the screen.
 *
 * One caller at a time.  If there are several, because a panic broke the lock, the text may be
 * mixed, but nothing outside pixels and cells is written.  Pixels are never read.
 */
void text_write(struct text *t, const char *s, size_t len);

#endif
