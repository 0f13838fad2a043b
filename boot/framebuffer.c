/* SPDX-License-Identifier: MIT */
/*
 * framebuffer.c: the multiboot2 loader's description of the screen.
 *
 * Owns:       nothing: a function of its arguments, called before other code runs; also tested
 *             hosted.
 * Locks:      none.
 * Invariants: an accepted framebuffer can be drawn on: every pixel lies in the bytes that address,
 *             pitch and height span, and every colour field lies in a pixel.
 * Tests:      screen, tests/fuzz/fuzz_multiboot2.c.
 *
 * Offsets are those of the multiboot2 specification 2.0, 3.6.12, with a reserved field of 16 bits,
 * as in GRUB and the specification's own header file; its text says 8.
 */
#include <quarry/errno.h>
#include <quarry/screen.h>

#define TAG_BASE    32
#define TAG_DIRECT  38
#define MAX_SIDE    16384
#define MAX_FIELD   16           /* bits of a colour; a 30-bit mode has 10 */
#define MAX_ADDRESS (1ULL << 52) /* physical */

static u64 get(const u8 *p, unsigned bytes)
{
	u64 value = 0;

	while (bytes--)
		value = value << 8 | p[bytes];
	return value;
}

static bool field_fits(const struct colour_field *f, u32 bits)
{
	return f->size >= 1 && f->size <= MAX_FIELD && f->position + f->size <= bits;
}

void framebuffer_kind(const void *tag, u32 size, u8 *type, u8 *bits)
{
	const u8 *t = tag;
	bool whole = size >= TAG_BASE;

	*type = whole ? t[29] : 0xff;
	*bits = whole ? t[28] : 0;
}

int framebuffer_from_tag(struct framebuffer *fb, const void *tag, u32 size)
{
	const u8 *t = tag;
	struct framebuffer new;
	u32 bits;

	if (size < TAG_BASE)
		return -EINVAL;
	bits = t[28];
	if (t[29] != FRAMEBUFFER_DIRECT || (bits != 16 && bits != 24 && bits != 32))
		return -ENODEV;
	if (size < TAG_DIRECT)
		return -EINVAL;
	new = (struct framebuffer){
	    .address = get(t + 8, 8),
	    .pitch = (u32)get(t + 16, 4),
	    .width = (u32)get(t + 20, 4),
	    .height = (u32)get(t + 24, 4),
	    .pixel_size = bits / 8,
	    .red = {t[32], t[33]},
	    .green = {t[34], t[35]},
	    .blue = {t[36], t[37]},
	};
	if (!new.width || new.width > MAX_SIDE || !new.height || new.height > MAX_SIDE ||
	    new.pitch < new.width *new.pixel_size || new.pitch > MAX_SIDE * 8)
		return -EINVAL;
	if (!new.address || new.address > MAX_ADDRESS - (u64) new.pitch *new.height)
		return -EINVAL;
	if (!field_fits(&new.red, bits) || !field_fits(&new.green, bits) ||
	    !field_fits(&new.blue, bits))
		return -EINVAL;
	*fb = new;
	return 0;
}
