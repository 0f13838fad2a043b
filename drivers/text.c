/* SPDX-License-Identifier: MIT */
/*
 * text.c: a terminal drawn in pixels.
 *
 * Owns:       the cells and pixels that it was given.
 * Locks:      none: the console (kernel/printk.c) serialises writers, except in a panic.
 * Invariants: if a cell's shown_c is not 0, its pixels show shown_c in shown_colour.
 *             Every index is checked where it is used, not where it is computed: in a panic another
 *             CPU may have been stopped in the middle of any function here.
 * Tests:      text, tests/fuzz/fuzz_screen.c, tests/qemu/test_screen.py.
 *
 * Writing changes cells only; at the end of a write the cells that differ from their pixels are
 * drawn.  So scrolling moves cells, in ordinary memory, and draws only changes.  Pixels are slow to
 * write and far slower to read: they are written once and never read.  For the same reason the text
 * scrolls by several rows at a time.
 */
#include <quarry/errno.h>
#include <quarry/port.h>
#include <quarry/screen.h>

#define TAB_STOPS   8
#define MAX_ARG     9999
#define SCROLL_PART 8 /* one eighth of the rows scrolls at a time */
#define BRIGHT      0x08

/* ECMA-48's order of colours, as 0xrrggbb. */
static const u32 colours[16] = {
    0x000000,
    0xaa0000,
    0x00aa00,
    0xaa5500,
    0x0000aa,
    0xaa00aa,
    0x00aaaa,
    0xaaaaaa,
    0x555555,
    0xff5555,
    0x55ff55,
    0xffff55,
    0x5555ff,
    0xff55ff,
    0x55ffff,
    0xffffff,
};

/* ---- pixels ---- */

static u32 field_value(const struct colour_field *f, u32 component)
{
	u32 fitted = f->size <= 8 ? component >> (8 - f->size) : component << (f->size - 8);

	return fitted << f->position;
}

static u32 pixel_value(const struct framebuffer *fb, u32 rgb)
{
	return field_value(&fb->red, rgb >> 16 & 0xff) | field_value(&fb->green, rgb >> 8 & 0xff) |
	    field_value(&fb->blue, rgb & 0xff);
}

static inline void put_pixel(u8 *p, u32 size, u32 value)
{
	if (size == sizeof(value)) {
		__builtin_memcpy(p, &value, sizeof(value));
		return;
	}
	for (; size--; value >>= 8)
		*p++ = (u8)value;
}

static void draw_cell(const struct text *t, u32 row, u32 column, const struct text_cell *cell)
{
	const struct psf_font *font = t->font;
	const u8 *glyph = psf_glyph(font, cell->c);
	u32 front = t->palette[cell->colour & 0xf], back = t->palette[cell->colour >> 4];
	u32 size = t->fb.pixel_size, x, y;
	u32 scale = t->scale;
	u8 *line = t->pixels + (size_t)row * font->height * scale * t->fb.pitch +
	    (size_t)column * font->width * scale * size;

	for (y = 0; y < font->height * scale; y++) {
		const u8 *bits = glyph + (size_t)(y / scale) * font->stride;

		for (x = 0; x < font->width; x++) {
			u32 pixel = bits[x / 8] & 0x80 >> x % 8 ? front : back, i;

			for (i = 0; i < scale; i++)
				put_pixel(line + ((size_t)x * scale + i) * size, size, pixel);
		}
		line += t->fb.pitch;
	}
}

static void draw_changes(struct text *t)
{
	u32 row = t->dirty_from, end = MIN(t->dirty_to, t->rows), column;

	t->dirty_from = t->rows;
	t->dirty_to = 0;
	for (; row < end; row++) {
		struct text_cell *cell = &t->cells[(size_t)row * t->columns];

		for (column = 0; column < t->columns; column++, cell++) {
			if (cell->c == cell->shown_c && cell->colour == cell->shown_colour)
				continue;
			cell->shown_c = cell->c;
			cell->shown_colour = cell->colour;
			draw_cell(t, row, column, cell);
		}
	}
}

/* Show the cursor; the next write draws its cell again. */
static void draw_cursor(struct text *t)
{
	u32 row = t->row, column = MIN(t->column, t->columns - 1);
	struct text_cell *cell, turned;

	if (!t->cursor || row >= t->rows)
		return;
	cell = &t->cells[(size_t)row * t->columns + column];
	turned = *cell;
	turned.colour = (u8)(cell->colour << 4 | cell->colour >> 4);
	draw_cell(t, row, column, &turned);
	cell->shown_c = 0;
	t->dirty_from = MIN(t->dirty_from, row);
	t->dirty_to = MAX(t->dirty_to, row + 1);
}

/* ---- cells ---- */

static void set_cell(struct text *t, u32 row, u32 column, u8 c, u8 colour)
{
	struct text_cell *cell;

	if (row >= t->rows || column >= t->columns)
		return;
	cell = &t->cells[(size_t)row * t->columns + column];
	cell->c = c;
	cell->colour = colour;
	t->dirty_from = MIN(t->dirty_from, row);
	t->dirty_to = MAX(t->dirty_to, row + 1);
}

/* Erase cells [from, to), counted row by row. */
static void erase(struct text *t, u32 from, u32 to)
{
	for (; from < to; from++)
		set_cell(t, from / t->columns, from % t->columns, ' ', t->colour);
}

static void scroll(struct text *t)
{
	u32 by = MAX(t->rows / SCROLL_PART, 1u), row, column;

	for (row = 0; row < t->rows - by; row++) {
		for (column = 0; column < t->columns; column++) {
			const struct text_cell *from =
			    &t->cells[(size_t)(row + by) * t->columns + column];

			set_cell(t, row, column, from->c, from->colour);
		}
	}
	erase(t, row * t->columns, t->rows * t->columns);
	t->row = row;
}

static void line_feed(struct text *t)
{
	t->column = 0;
	if (t->row + 1 >= t->rows)
		scroll(t);
	else
		t->row++;
}

static void put_character(struct text *t, u8 c)
{
	if (t->column >= t->columns)
		line_feed(t);
	set_cell(t, t->row, t->column, c, t->colour);
	t->column++;
}

/* ---- control characters and sequences ---- */

/* Select Graphic Rendition (SGR) with one argument. */
static void set_attribute(struct text *t, u32 arg)
{
	u8 low = (u8)(arg % 10);

	if (arg == 0)
		t->colour = t->normal;
	else if (arg == 1)
		t->colour |= BRIGHT;
	else if (arg == 22)
		t->colour &= (u8)~BRIGHT;
	else if (arg == 7)
		t->colour = (u8)(t->colour << 4 | t->colour >> 4);
	else if (arg == 39)
		t->colour = (t->colour & 0xf0) | (t->normal & 0x0f);
	else if (arg == 49)
		t->colour = (t->colour & 0x0f) | (t->normal & 0xf0);
	else if (low < 8 && arg / 10 == 3)
		t->colour = (u8)((t->colour & (0xf0 | BRIGHT)) | low);
	else if (low < 8 && arg / 10 == 4)
		t->colour = (u8)((t->colour & 0x0f) | low << 4);
	else if (low < 8 && arg / 10 == 9)
		t->colour = (u8)((t->colour & 0xf0) | BRIGHT | low);
	else if (low < 8 && arg / 10 == 10)
		t->colour = (u8)((t->colour & 0x0f) | (BRIGHT | low) << 4);
}

static void move_to(struct text *t, u32 row, u32 column)
{
	t->row = MIN(row, t->rows - 1);
	t->column = MIN(column, t->columns - 1);
}

/*
 * Erase cells from @start to @end (ED, EL). @which is 0: from the cursor on; 1: up to the cursor
 * and including it; 2: all.
 */
static void erase_part(struct text *t, u32 which, u32 start, u32 end)
{
	u32 here = t->row * t->columns + MIN(t->column, t->columns - 1);

	if (which <= 2)
		erase(t, which == 0 ? here : start, which == 1 ? here + 1 : end);
}

static void sequence(struct text *t, u8 final)
{
	u32 nr = MIN(t->nr_args + 1, (u32)TEXT_ARGS), by = MAX(t->arg[0], 1u),
	    line = t->row * t->columns, i;

	switch (final) {
	case 'A': move_to(t, t->row - MIN(by, t->row), t->column); break;
	case 'B': move_to(t, t->row + by, t->column); break;
	case 'C': move_to(t, t->row, t->column + by); break;
	case 'D': move_to(t, t->row, t->column - MIN(by, t->column)); break;
	case 'H': move_to(t, by - 1, MAX(t->arg[1], 1u) - 1); break;
	case 'K': erase_part(t, t->arg[0], line, line + t->columns); break;
	case 'J': erase_part(t, t->arg[0], 0, t->rows * t->columns); break;
	case 'm':
		for (i = 0; i < nr; i++)
			set_attribute(t, t->arg[i]);
		break;
	default: break;
	}
}

static void control_character(struct text *t, u8 c)
{
	switch (c) {
	case '\b': t->column -= t->column > 0; break;
	case '\r': t->column = 0; break;
	case '\t':
		t->column = MIN(ALIGN_DOWN(t->column, TAB_STOPS) + TAB_STOPS, t->columns - 1);
		break;
	case '\n': line_feed(t); break;
	case 033: t->state = TEXT_ESCAPE; break;
	default: break;
	}
}

static void in_sequence(struct text *t, u8 c)
{
	u32 i = t->nr_args;

	if (c >= '0' && c <= '9') {
		if (i < TEXT_ARGS) /* further arguments are ignored */
			t->arg[i] = MIN(t->arg[i] * 10 + (c - '0'), (u32)MAX_ARG);
	} else if (c == ';') {
		t->nr_args = MIN(i + 1, (u32)TEXT_ARGS);
	} else if (c >= '@') {
		t->state = TEXT_PLAIN;
		sequence(t, c);
	}
}

static void put_byte(struct text *t, u8 c)
{
	if (c < ' ') {
		t->state = TEXT_PLAIN;
		control_character(t, c);
	} else if (t->state == TEXT_SEQUENCE) {
		in_sequence(t, c);
	} else if (t->state == TEXT_ESCAPE) {
		t->state = c == '[' ? TEXT_SEQUENCE : TEXT_PLAIN;
		t->nr_args = 0;
		memset(t->arg, 0, sizeof(t->arg));
	} else if (c != 0x7f) {
		put_character(t, c);
	}
}

/* ---- public ---- */

void text_write(struct text *t, const char *s, size_t len)
{
	while (len--)
		put_byte(t, (u8)*s++);
	draw_changes(t);
	draw_cursor(t);
}

void text_cursor(struct text *t, bool on)
{
	t->cursor = on;
	text_write(t, "", 0);
}

void text_set_colour(struct text *t, u8 colour)
{
	t->colour = t->normal = colour;
}

void text_move(struct text *t, void *pixels)
{
	t->pixels = pixels;
}

/*
 * The least enlargement of the font with which the cells fill the whole screen, or the last one
 * that leaves a screen of the least size.
 */
static u32 scale_for(const struct framebuffer *fb, const struct psf_font *font, size_t nr_cells)
{
	u32 columns = fb->width / font->width, rows = fb->height / font->height, scale = 1;

	while ((size_t)(columns / scale) * (rows / scale) > nr_cells &&
	    columns / (scale + 1) >= TEXT_MIN_COLUMNS && rows / (scale + 1) >= TEXT_MIN_ROWS)
		scale++;
	return scale;
}

int text_init(struct text *t, const struct framebuffer *fb, void *pixels,
    const struct psf_font *font, struct text_cell *cells, size_t nr_cells)
{
	u32 scale = scale_for(fb, font, nr_cells);
	u32 columns = fb->width / font->width / scale, rows = fb->height / font->height / scale, i;

	if (columns < TEXT_MIN_COLUMNS || nr_cells / columns < TEXT_MIN_ROWS ||
	    rows < TEXT_MIN_ROWS)
		return -EINVAL;
	rows = (u32)MIN((size_t)rows, nr_cells / columns);
	*t = (struct text){.fb = *fb,
	    .font = font,
	    .pixels = pixels,
	    .cells = cells,
	    .columns = columns,
	    .rows = rows,
	    .scale = scale,
	    .dirty_from = rows};
	text_set_colour(t, TEXT_GREY_ON_BLACK);
	for (i = 0; i < ARRAY_SIZE(colours); i++)
		t->palette[i] = pixel_value(fb, colours[i]);
	for (i = 0; i < fb->height; i++)
		memset(t->pixels + (size_t)i * fb->pitch, 0, (size_t)fb->width * fb->pixel_size);
	for (i = 0; i < rows * columns; i++)
		cells[i] = (struct text_cell){' ', t->colour, ' ', t->colour};
	return 0;
}
