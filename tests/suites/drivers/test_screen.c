/* SPDX-License-Identifier: MIT */
/*
 * test_screen.c: the loader's tag of the framebuffer, and fonts: valid ones are accepted, others
 * are refused.
 */
#include "tests/lib/screen_help.h"

#include <quarry/errno.h>
#include <quarry/ktest.h>

static u8 font_file[FONT_FILE_SIZE];
static struct psf_font font;

static void put16(u8 *p, u32 value)
{
	p[0] = (u8)value;
	p[1] = (u8)(value >> 8);
}

static void put32(u8 *p, u32 value)
{
	put16(p, value);
	put16(p + 2, value >> 16);
}

/* ---- the loader's tag ---- */

static u8 tag[40];

/* Make a tag for 1024 by 768 pixels of 32 bits at 0xfd000000, as GRUB gives it. */
static void make_tag(void)
{
	static const u8 fields[] = {16, 8, 8, 8, 0, 8};

	memset(tag, 0, sizeof(tag));
	put32(tag, 8);
	put32(tag + 4, 38);
	put32(tag + 8, 0xfd000000);
	put32(tag + 16, 4096);
	put32(tag + 20, 1024);
	put32(tag + 24, 768);
	tag[28] = 32;
	tag[29] = 1;
	memcpy(tag + 32, fields, sizeof(fields));
}

KTEST_SUITE(screen, KTEST_QUICK);

KTEST(valid_framebuffer_tag_is_parsed)
{
	struct framebuffer fb = {0};

	make_tag();
	put32(tag + 12, 0x12);
	REQUIRE(t, framebuffer_from_tag(&fb, tag, 38) == 0);
	EXPECT_EQ(t, fb.address, 0x12fd000000);
	EXPECT_EQ(t, fb.pitch, 4096);
	EXPECT_EQ(t, fb.width, 1024);
	EXPECT_EQ(t, fb.height, 768);
	EXPECT_EQ(t, fb.pixel_size, 4);
	EXPECT(t, fb.red.position == 16 && fb.green.position == 8 && fb.blue.position == 0);
	EXPECT(t, fb.red.size == 8 && fb.green.size == 8 && fb.blue.size == 8);
}

/* A sound tag with one change is refused, and nothing is written. */
#define TAG_REFUSED(t, want, ...)                                                                  \
	do {                                                                                       \
		struct framebuffer fb_ = {.address = 77};                                          \
		make_tag();                                                                        \
		EXPECT_EQ((t), (__VA_ARGS__, framebuffer_from_tag(&fb_, tag, 38)), (want));        \
		EXPECT_EQ((t), fb_.address, 77);                                                   \
	} while (0)

KTEST(bad_tags_are_refused)
{
	struct framebuffer fb;
	u32 size;

	TAG_REFUSED(t, -ENODEV, tag[29] = 0); /* a palette */
	TAG_REFUSED(t, -ENODEV, tag[29] = 2); /* text */
	TAG_REFUSED(t, -ENODEV, tag[28] = 1);
	TAG_REFUSED(t, -ENODEV, tag[28] = 15);
	TAG_REFUSED(t, -ENODEV, tag[28] = 64);
	TAG_REFUSED(t, -EINVAL, put32(tag + 8, 0));           /* no address */
	TAG_REFUSED(t, -EINVAL, put32(tag + 12, 0xffffffff)); /* beyond the last possible address */
	TAG_REFUSED(t, -EINVAL, put32(tag + 12, 0xfffff), put32(tag + 8, 0xffffff00));
	TAG_REFUSED(t, -EINVAL, put32(tag + 20, 0));
	TAG_REFUSED(t, -EINVAL, put32(tag + 24, 0));
	TAG_REFUSED(t, -EINVAL, put32(tag + 16, 4095)); /* lines that overlap */
	/* 4 * width wraps */
	TAG_REFUSED(t, -EINVAL, put32(tag + 20, 0x40000001), put32(tag + 16, 16));
	TAG_REFUSED(t, -EINVAL, put32(tag + 24, 0x80000000));
	TAG_REFUSED(t, -EINVAL, put32(tag + 16, 0xfffffffc));
	TAG_REFUSED(t, -EINVAL, tag[32] = 25); /* red ends outside of the pixel */
	TAG_REFUSED(t, -EINVAL, tag[35] = 0);
	TAG_REFUSED(t, -EINVAL, tag[37] = 17);
	TAG_REFUSED(t, -EINVAL, tag[28] = 16); /* here red ends outside too */
	make_tag();
	for (size = 0; size < 38; size++)
		EXPECT_EQ(t, framebuffer_from_tag(&fb, tag, size), -EINVAL);
}

/* 30-bit modes have 10 bits for each colour. */
KTEST(wide_colours_are_accepted)
{
	static const u8 fields[] = {20, 10, 10, 10, 0, 10};
	struct framebuffer fb = {0};

	make_tag();
	memcpy(tag + 32, fields, sizeof(fields));
	REQUIRE(t, framebuffer_from_tag(&fb, tag, 38) == 0);
	EXPECT(t, fb.red.position == 20 && fb.red.size == 10 && fb.blue.size == 10);
	tag[33] = 13; /* ends outside of the pixel */
	EXPECT_EQ(t, framebuffer_from_tag(&fb, tag, 38), -EINVAL);
}

KTEST(kind_of_a_refused_tag_is_known)
{
	u8 type, bits;

	make_tag();
	tag[29] = FRAMEBUFFER_TEXT;
	tag[28] = 16;
	framebuffer_kind(tag, 32, &type, &bits);
	EXPECT(t, type == FRAMEBUFFER_TEXT && bits == 16);
	framebuffer_kind(tag, 31, &type, &bits);
	EXPECT(t, type == 0xff && bits == 0);
}

/* ---- fonts ---- */

KTEST(font_without_a_table)
{
	size_t len = make_font(font_file, 0);
	u32 c;

	REQUIRE(t, psf_parse(&font, font_file, len) == 0);
	EXPECT_EQ(t, font.width, 8);
	EXPECT_EQ(t, font.height, FONT_HEIGHT);
	for (c = 0; c < PSF_CODES; c++)
		EXPECT_EQ(t, psf_glyph(&font, (u8)c)[0], c);
	EXPECT_EQ(t, psf_glyph(&font, 0xe4)[0], '?');
}

/* In the table glyph 200 is an 'A', and 201 begins a sequence that has a 'B' in it. */
static size_t make_font_with_table(void)
{
	size_t at = make_font(font_file, 2);
	u32 glyph;

	for (glyph = 0; glyph < NR_GLYPHS; glyph++) {
		if (glyph == 200) {
			put16(font_file + at, 0x391);
			put16(font_file + at + 2, 'A');
			at += 4;
		} else if (glyph == 201 || glyph == 202) {
			put16(font_file + at, 0x3b2);
			put16(font_file + at + 2, glyph == 201 ? 0xfffe : '?');
			put16(font_file + at + 4, 'B');
			at += 6;
		}
		put16(font_file + at, 0xffff);
		at += 2;
	}
	return at;
}

KTEST(font_with_a_table)
{
	size_t len = make_font_with_table();

	REQUIRE(t, psf_parse(&font, font_file, len) == 0);
	EXPECT_EQ(t, psf_glyph(&font, 'A')[0], 200);
	EXPECT_EQ(t, psf_glyph(&font, 'B')[0], 202); /* not 201, which has 'B' only in a sequence */
	EXPECT_EQ(t, psf_glyph(&font, 'C')[0], 202); /* no glyph of its own: '?' */
	/* The entries left in a truncated table are used. */
	REQUIRE(t, psf_parse(&font, font_file, 4 + NR_GLYPHS * FONT_HEIGHT + 2 * 200 + 4) == 0);
	EXPECT_EQ(t, psf_glyph(&font, 'A')[0], 200);
	EXPECT_EQ(t, psf_glyph(&font, '?')[0], 0);
	REQUIRE(t, psf_parse(&font, font_file, 4 + NR_GLYPHS * FONT_HEIGHT + 1) == 0);
	EXPECT_EQ(t, psf_glyph(&font, 'A')[0], 0);
}

/* Version 1: the right glyphs, with the table cut off at any byte, and with bytes behind it. */
KTEST(truncated_table_is_used_to_its_end)
{
	static const struct {
		u32 glyph;
		u16 code;
	} entries[] = {
	    {3, 'A'}, {3, 0x80}, {3, 127}, {5, 'A'}, {5, 'B'}, {9, PSF_CODES + 1}, {255, '~'}};
	size_t start = make_font(font_file, 2), at = start, ends[ARRAY_SIZE(entries)], len;
	struct {
		struct psf_font font;
		u8 guard[64];
	} small;
	u32 glyph, i = 0, wrong = 0;

	for (glyph = 0; glyph < NR_GLYPHS; glyph++) {
		for (; i < ARRAY_SIZE(entries) && entries[i].glyph == glyph; i++, at += 2) {
			put16(font_file + at, entries[i].code);
			ends[i] = at + 2;
		}
		put16(font_file + at, 0xffff);
		at += 2;
	}
	/* This entry is for a glyph 256, which does not exist. */
	put16(font_file + at, 'Z');
	put16(font_file + at + 2, 0xffff);
	at += 4;
	memset(&small, 0xa5, sizeof(small));
	for (len = start; len <= at; len++) {
		REQUIRE(t, psf_parse(&small.font, font_file, len) == 0);
		wrong += small.font.glyph['A'] != (len >= ends[0] ? 3 : 0);
		wrong += small.font.glyph[127] != (len >= ends[2] ? 3 : 0);
		wrong += small.font.glyph['B'] != (len >= ends[4] ? 5 : 0);
		wrong += small.font.glyph['~'] != (len >= ends[6] ? 255 : 0);
		wrong += small.font.glyph['Z'] != 0 || small.font.glyph[0] != 0 ||
		    small.font.glyph[5] != 0;
	}
	EXPECT_EQ(t, wrong, 0);
	for (i = 0; i < sizeof(small.guard); i++)
		EXPECT_EQ(t, small.guard[i], 0xa5);
	/* A font whose header names no table has none, whatever follows its glyphs. */
	font_file[2] = 0;
	REQUIRE(t, psf_parse(&font, font_file, at) == 0);
	EXPECT(t, font.glyph['A'] == 'A' && font.glyph['~'] == '~');
	/* The other bit of the mode also announces a table. */
	font_file[2] = 4;
	REQUIRE(t, psf_parse(&font, font_file, at) == 0);
	EXPECT(t, font.glyph['A'] == 3 && font.glyph['~'] == 255);
}

#define PSF2_GLYPHS 130
#define PSF2_SIZE   (3 * 2) /* 12 by 3 pixels */

/* Version 2, with glyphs in reverse order, in UTF-8.  The header is longer than needed. */
static size_t make_font2(void)
{
	static const u32 header[8] = {0x864ab572, 0, 40, 1, PSF2_GLYPHS, PSF2_SIZE, 3, 12};
	size_t at = 40;
	u32 i;

	memset(font_file, 0, 64);
	for (i = 0; i < 8; i++)
		put32(font_file + 4 * i, header[i]);
	for (i = 0; i < PSF2_GLYPHS * PSF2_SIZE; i++)
		font_file[at++] = (u8)(i / PSF2_SIZE);
	for (i = 0; i < PSF2_GLYPHS; i++) {
		if (i < 128)
			font_file[at++] = (u8)(127 - i);
		font_file[at++] = 0xc3; /* a character that is not ASCII */
		font_file[at++] = 0xa4;
		font_file[at++] = 0xfe;
		font_file[at++] = 'a';
		font_file[at++] = 0xff;
	}
	return at;
}

KTEST(font_of_version_2)
{
	size_t len = make_font2();
	u32 c;

	REQUIRE(t, psf_parse(&font, font_file, len) == 0);
	EXPECT_EQ(t, font.width, 12);
	EXPECT_EQ(t, font.height, 3);
	EXPECT_EQ(t, font.stride, 2);
	for (c = 0; c < PSF_CODES; c++)
		EXPECT_EQ(t, psf_glyph(&font, (u8)c)[0], 127 - c);
}

/* A font of version 2 with one header field changed is refused. */
static void expect_refused2(struct ktest *t, u32 field, u32 value)
{
	size_t len = make_font2();

	put32(font_file + 4 * field, value);
	if (psf_parse(&font, font_file, len) != -EINVAL)
		ktest_fail(
		    t, __FILE__, __LINE__, "field %u = %#x of a font is not refused", field, value);
}

/* Version 2: each character has the right glyph, with the table cut off at any byte. */
KTEST(truncated_table_of_version_2_is_used_to_its_end)
{
	size_t whole = make_font2(), start = 40 + PSF2_GLYPHS * PSF2_SIZE, len;
	u32 c, wrong = 0;

	font_file[whole] = 'a'; /* for a glyph 130, which does not exist */
	for (len = start; len <= whole + 1; len++) {
		REQUIRE(t, psf_parse(&font, font_file, len) == 0);
		for (c = 0; c < PSF_CODES; c++) {
			/* An entry has six bytes, first its character. Glyph 64 is '?'. */
			u32 want = len > start + 6 * (127 - c) ? 127 - c
			    : len > start + 6 * 64             ? 64
			                                       : 0;

			wrong += font.glyph[c] != want;
		}
	}
	EXPECT_EQ(t, wrong, 0);
	put32(font_file + 12, 2); /* no table */
	REQUIRE(t, psf_parse(&font, font_file, whole) == 0);
	for (c = 0; c < 256; c++)
		EXPECT(t,
		    psf_glyph(&font, (u8)c) ==
		        font_file + 40 + PSF2_SIZE * (c < PSF_CODES ? c : '?'));
	/* The font has fewer glyphs than characters. */
	put32(font_file + 16, 100);
	REQUIRE(t, psf_parse(&font, font_file, whole) == 0);
	EXPECT(t, font.glyph[99] == 99 && font.glyph[100] == '?' && font.glyph[127] == '?');
	put32(font_file + 16, '?');
	REQUIRE(t, psf_parse(&font, font_file, whole) == 0);
	EXPECT(t, font.glyph['?' - 1] == '?' - 1 && font.glyph['?'] == 0 && font.glyph[127] == 0);
}

KTEST(fonts_have_limits)
{
	static u8 file[32 + 65536];
	static const struct {
		u32 nr, size, height, width;
		int err;
	} fonts[] = {{1, 256, 64, 32, 0}, {256, 256, 64, 32, 0}, {1, 320, 64, 33, -EINVAL},
	    {1, 260, 65, 32, -EINVAL}, {1, 0, 64, 0, -EINVAL}, {1, 0, 0, 32, -EINVAL},
	    {65535, 1, 1, 8, 0}, {65535, 1, 1, 1, 0}, {65536, 1, 1, 8, -EINVAL},
	    {0, 1, 1, 8, -EINVAL}, {32768, 2, 1, 9, 0}, {32768, 2, 2, 8, 0},
	    {32769, 2, 2, 8, -EINVAL}, {1, 256, 64, 25, 0}, {1, 256, 64, 24, -EINVAL}};
	static const u8 version_1[] = {0x36, 0x04, 1, 16};
	u32 i;

	memset(file, 0, sizeof(file));
	put32(file, 0x864ab572);
	put32(file + 8, 32);
	for (i = 0; i < ARRAY_SIZE(fonts); i++) {
		put32(file + 16, fonts[i].nr);
		put32(file + 20, fonts[i].size);
		put32(file + 24, fonts[i].height);
		put32(file + 28, fonts[i].width);
		if (psf_parse(&font, file, sizeof(file)) != fonts[i].err)
			ktest_fail(t, __FILE__, __LINE__, "font %u: not %d", i, fonts[i].err);
		if (!fonts[i].err)
			EXPECT(t,
			    font.nr == fonts[i].nr && font.size == fonts[i].size &&
			        font.height == fonts[i].height && font.width == fonts[i].width &&
			        font.stride == font.size / font.height && font.glyphs == file + 32);
	}
	/* A header without space for glyphs is refused. Version 1 needs all its 512 glyphs. */
	put32(file + 8, sizeof(file));
	EXPECT_EQ(t, psf_parse(&font, file, sizeof(file)), -EINVAL);
	memcpy(file, version_1, sizeof(version_1));
	EXPECT_EQ(t, psf_parse(&font, file, 4 + 512 * 16 - 1), -EINVAL);
	EXPECT_EQ(t, psf_parse(&font, file, 4 + 512 * 16), 0);
	EXPECT(t,
	    font.nr == 512 && font.size == 16 && font.height == 16 && font.width == 8 &&
	        font.stride == 1);
}

KTEST(bad_fonts_are_refused)
{
	static const u32 wrong[][2] = {{0, 0x864ab573}, {1, 1}, {2, 0xffffffff}, {2, 1u << 20},
	    {4, 0}, {4, 65536}, {4, 0xffffffff}, {4, 0x2aaaaaab}, {5, 0}, {5, 5}, {5, 7},
	    {5, 0xffffffff}, {6, 0}, {6, 65}, {6, 4}, {7, 0}, {7, 33}, {7, 17}, {7, 0xffffffff}};
	size_t len, whole = make_font(font_file, 0);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		expect_refused2(t, wrong[i][0], wrong[i][1]);
	for (len = 0; len < 40 + PSF2_GLYPHS * PSF2_SIZE; len++) {
		make_font2();
		EXPECT_EQ(t, psf_parse(&font, font_file, len), -EINVAL);
	}
	make_font(font_file, 0);
	for (len = 0; len < whole; len++)
		EXPECT_EQ(t, psf_parse(&font, font_file, len), -EINVAL);
	EXPECT_EQ(t, psf_parse(&font, font_file, whole), 0);
	make_font(font_file, 1); /* announces 512 glyphs, and has half of them */
	EXPECT_EQ(t, psf_parse(&font, font_file, whole), -EINVAL);
	make_font(font_file, 0);
	font_file[3] = 0;
	EXPECT_EQ(t, psf_parse(&font, font_file, whole), -EINVAL);
}
