/* SPDX-License-Identifier: MIT */
/* fuzz_screen.c: console fonts (drivers/psf.c), and text written to the screen (drivers/text.c). */
#include "fuzz_boot.h"
#include <quarry/screen.h>

#define SIDE  100 /* pixels; no multiple of 8, the width of the fixed font */
#define CELLS 200

static struct text_cell cells[CELLS];

/* The buffer ends with the last pixel: an access one byte beyond is a finding. */
static void *new_pixels(struct framebuffer *fb, u32 pixel_size)
{
	*fb = (struct framebuffer){.address = 1,
	    .width = SIDE,
	    .height = SIDE,
	    .pixel_size = pixel_size,
	    .pitch = SIDE * pixel_size + 3,
	    .red = {11, 5},
	    .green = {5, 6},
	    .blue = {0, 5}};
	return __builtin_malloc((size_t)fb->pitch * (SIDE - 1) + (size_t)SIDE * pixel_size);
}

static void judge_text(const struct psf_font *font, u32 pixel_size, const u8 *data, size_t size)
{
	struct framebuffer fb;
	struct text text;
	void *pixels = new_pixels(&fb, pixel_size);
	u32 i;

	MUST(pixels, "no memory");
	if (!text_init(&text, &fb, pixels, font, cells, CELLS)) {
		MUST(text.rows * text.columns <= CELLS, "%u by %u cells", text.columns, text.rows);
		while (size) {
			size_t len = MIN((size_t)data[0] % 32 + 1, size);

			text_write(&text, (const char *)data, len);
			data += len;
			size -= len;
			MUST(text.row < text.rows && text.column <= text.columns, "at %u, %u",
			    text.row, text.column);
		}
		for (i = 0; i < text.rows * text.columns; i++)
			MUST(cells[i].c == cells[i].shown_c &&
			        cells[i].colour == cells[i].shown_colour,
			    "cell %u is not drawn", i);
	}
	__builtin_free(pixels);
}

static void judge_font(const u8 *data, size_t size)
{
	void *file = exact_copy(data, size);
	struct psf_font font;
	u8 every[512];
	u32 i;

	for (i = 0; i < sizeof(every); i++)
		every[i] = (u8)(i % 256 < ' ' ? 'x' : i % 256);
	if (!psf_parse(&font, file, size))
		judge_text(&font, 4, every, sizeof(every));
	__builtin_free(file);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static u8 file[4 + 256 * 8] = {0x36, 0x04, 0, 8};
	struct psf_font font;

	if (size < 1)
		return 0;
	if (data[0] & 1) {
		judge_font(data + 1, size - 1);
		return 0;
	}
	MUST(!psf_parse(&font, file, sizeof(file)), "no font");
	judge_text(&font, 2 + data[0] / 2 % 3, data + 1, size - 1);
	return 0;
}
