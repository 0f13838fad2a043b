/* SPDX-License-Identifier: MIT */
/*
 * psf.c: fonts of the Linux console, PC Screen Font versions 1 and 2.
 *
 * Owns:       nothing: the font's bytes are the caller's.
 * Locks:      none.
 * Invariants: in an accepted font all glyphs lie within its bytes, and glyph[] has no number of a
 *             glyph that does not exist.
 * Tests:      screen, tests/fuzz/fuzz_screen.c.
 *
 * A file is a header, the glyphs, and optionally a table.  The table has, for each glyph in turn,
 * the characters that it shows, then sequences of characters that it shows, then an end mark.
 * Version 1 has 16-bit characters there, version 2 UTF-8.  Without a table a glyph's number is its
 * character.  (psf(5); kbd, doc/font-formats-1.html)
 */
#include <quarry/errno.h>
#include <quarry/screen.h>

#define PSF1_MAGIC    0x0436
#define PSF1_HEADER   4
#define PSF1_512      0x01 /* a bit of the mode: 512 glyphs, else 256 */
#define PSF1_TABLE    0x06 /* two bits: the file has a table; the table has sequences */
#define PSF1_SEQUENCE 0xfffe
#define PSF1_END      0xffff

#define PSF2_MAGIC    0x864ab572u
#define PSF2_HEADER   32
#define PSF2_TABLE    0x01 /* a bit of the flags */
#define PSF2_SEQUENCE 0xfe
#define PSF2_END      0xff

#define MAX_WIDTH  32
#define MAX_HEIGHT 64
#define MAX_GLYPHS 65535 /* PSF_NONE is no glyph */
#define PSF_NONE   0xffff

static u32 get32(const u8 *p)
{
	return p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static u32 get16(const u8 *p)
{
	return p[0] | (u32)p[1] << 8;
}

/* The first glyph given for a character is used. */
static void set_glyph(struct psf_font *font, u32 code, u32 glyph)
{
	if (code < PSF_CODES && font->glyph[code] == PSF_NONE)
		font->glyph[code] = (u16)glyph;
}

/* If the table ends too early or is too long, its valid part is used. */
static void read_table1(struct psf_font *font, const u8 *p, size_t len)
{
	bool sequence = false;
	u32 glyph = 0;

	for (; len >= 2 && glyph < font->nr; p += 2, len -= 2) {
		u32 code = get16(p);

		if (code == PSF1_END) {
			glyph++;
			sequence = false;
		} else if (code == PSF1_SEQUENCE) {
			sequence = true;
		} else if (!sequence) {
			set_glyph(font, code, glyph);
		}
	}
}

/*
 * An ASCII character is one byte in UTF-8, and no byte of another character is ASCII: no decoding
 * is needed.
 */
static void read_table2(struct psf_font *font, const u8 *p, size_t len)
{
	bool sequence = false;
	u32 glyph = 0;

	for (; len && glyph < font->nr; p++, len--) {
		if (*p == PSF2_END) {
			glyph++;
			sequence = false;
		} else if (*p == PSF2_SEQUENCE) {
			sequence = true;
		} else if (!sequence) {
			set_glyph(font, *p, glyph);
		}
	}
}

static int read_header(struct psf_font *font, const u8 *p, size_t len, size_t *header, bool *table)
{
	/* A font of either version is longer than this header. */
	if (len < PSF2_HEADER)
		return -EINVAL;
	if (get16(p) == PSF1_MAGIC) {
		*header = PSF1_HEADER;
		*table = p[2] & PSF1_TABLE;
		*font = (struct psf_font){
		    .nr = p[2] & PSF1_512 ? 512 : 256, .size = p[3], .height = p[3], .width = 8};
	} else if (get32(p) == PSF2_MAGIC && get32(p + 4) == 0) {
		*header = get32(p + 8);
		*table = get32(p + 12) & PSF2_TABLE;
		*font = (struct psf_font){.nr = get32(p + 16),
		    .size = get32(p + 20),
		    .height = get32(p + 24),
		    .width = get32(p + 28)};
	} else {
		return -EINVAL;
	}
	return 0;
}

int psf_parse(struct psf_font *font, const void *data, size_t len)
{
	const u8 *p = data;
	bool table = false;
	size_t header = 0, end;
	unsigned code;

	if (read_header(font, p, len, &header, &table))
		return -EINVAL;
	if (!font->width || font->width > MAX_WIDTH || !font->height || font->height > MAX_HEIGHT)
		return -EINVAL;
	font->stride = (font->width + 7) / 8;
	if (!font->nr || font->nr > MAX_GLYPHS || font->size != font->stride * font->height)
		return -EINVAL;
	end = header + (size_t)font->nr * font->size;
	if (end > len)
		return -EINVAL;
	font->glyphs = p + header;
	for (code = 0; code < PSF_CODES; code++)
		font->glyph[code] = !table && code < font->nr ? (u16)code : PSF_NONE;
	if (table && get16(p) == PSF1_MAGIC)
		read_table1(font, p + end, len - end);
	else if (table)
		read_table2(font, p + end, len - end);
	if (font->glyph['?'] == PSF_NONE)
		font->glyph['?'] = 0;
	for (code = 0; code < PSF_CODES; code++)
		if (font->glyph[code] == PSF_NONE)
			font->glyph[code] = font->glyph['?'];
	return 0;
}

const u8 *psf_glyph(const struct psf_font *font, u8 c)
{
	return font->glyphs + (size_t)font->glyph[c < PSF_CODES ? c : '?'] * font->size;
}
