/* SPDX-License-Identifier: MIT */
/*
 * keyboard.c: the codes of a PC keyboard to characters: scan-code set 1, US layout.
 *
 * Owns:       struct keyboard.
 * Locks:      none: functions of their arguments.
 * Invariants: any sequence of codes is accepted; a key that gives no character gives nothing.
 * Tests:      keyboard.
 *
 * A key sends its code when it is pressed, and again and again while it is held; when it is
 * released, it sends the code with the highest bit set.  The keys added in 1986 send 0xe0 first.
 * Pause sends 0xe1 and two codes; it has no release.  The lights of the keyboard are left alone.
 */
#include "drivers/keyboard.h"

#include <quarry/string.h>

#define RELEASED   0x80
#define EXTENDED   0xe0
#define PAUSE      0xe1
#define CTRL_CODE  0x1d
#define SHIFT_LEFT 0x2a
#define SHIFT      0x36
#define CAPS_CODE  0x3a
#define RUBOUT     "\177"

/* Bits of held.  A second Ctrl or Shift key may stay down while the first is released. */
#define KEY_SHIFT_LEFT  0x01
#define KEY_SHIFT_RIGHT 0x02
#define KEY_CTRL_LEFT   0x04
#define KEY_CTRL_RIGHT  0x08
#define KEY_CAPS        0x10
#define KEY_SHIFTS      (KEY_SHIFT_LEFT | KEY_SHIFT_RIGHT)
#define KEY_CTRLS       (KEY_CTRL_LEFT | KEY_CTRL_RIGHT)

/* By code from 0x00 on; NUL: no character. */
static const char plain[] =
    "\0\0331234567890-=\177\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const char shifted[] =
    "\0\033!@#$%^&*()_+\177\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";
#define NR_PLAIN 0x3a
BUILD_ASSERT(sizeof(plain) == NR_PLAIN + 1 && sizeof(shifted) == NR_PLAIN + 1);

/*
 * The number pad, by code from 0x47 on.  Its digits do not depend on Num Lock, which has no light.
 */
#define PAD_FIRST 0x47
static const char pad[] = "789-456+1230.";

/* The key between left Shift and Z, which US keyboards lack. */
#define KEY_102 0x56

/* Keys after 0xe0. */
static const struct {
	u8 code;
	char text[KEYBOARD_CHARS + 1];
} extended_keys[] = {
    {0x1c, "\r"},
    {0x35, "/"},
    {0x47, "\033[H"},
    {0x48, "\033[A"},
    {0x49, "\033[5~"},
    {0x4b, "\033[D"},
    {0x4d, "\033[C"},
    {0x4f, "\033[F"},
    {0x50, "\033[B"},
    {0x51, "\033[6~"},
    {0x53, "\033[3~"},
};

/* The bit of the key with @code; 0: an ordinary key. */
static u8 modifier(u8 code, bool extended)
{
	if (code == CTRL_CODE)
		return extended ? KEY_CTRL_RIGHT : KEY_CTRL_LEFT;
	/* Some keys send shifts of their own after 0xe0, which do not count. */
	if (extended)
		return 0;
	return code == SHIFT_LEFT ? KEY_SHIFT_LEFT
	    : code == SHIFT       ? KEY_SHIFT_RIGHT
	    : code == CAPS_CODE   ? KEY_CAPS
	                          : 0;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Ctrl with '@', a letter, or one of [ \ ] ^ _ is a control character; with other keys nothing. */
static char with_ctrl(char c)
{
	if (c < ' ')
		return c;
	if (c == '-' || c == '/')
		return '\037'; /* as on most terminals */
	if (c == '\177')
		return '\b';
	if (c < '@')
		return '\0';
	return (char)(c & 0x1f);
}

static char character(const struct keyboard *k, u8 code)
{
	bool shift = k->held & KEY_SHIFTS;
	char c;

	if (code >= PAD_FIRST && code - PAD_FIRST < (int)sizeof(pad) - 1)
		return pad[code - PAD_FIRST];
	if (code == KEY_102)
		return shift ? '>' : '<';
	if (code >= NR_PLAIN)
		return 0;
	c = plain[code];
	if (k->caps && is_letter(c))
		shift = !shift;
	if (shift)
		c = shifted[code];
	if (k->held & KEY_CTRLS)
		c = with_ctrl(c);
	return c;
}

static unsigned extended_key(u8 code, char *out)
{
	unsigned i, n = 0;

	for (i = 0; i < ARRAY_SIZE(extended_keys); i++) {
		if (extended_keys[i].code != code)
			continue;
		for (; extended_keys[i].text[n]; n++)
			out[n] = extended_keys[i].text[n];
	}
	return n;
}

unsigned keyboard_decode(struct keyboard *k, u8 code, char out[KEYBOARD_CHARS])
{
	bool extended = k->extended, released = code & RELEASED;
	u8 bit;

	k->extended = false;
	if (k->skip) {
		k->skip--;
		return 0;
	}
	if (code == EXTENDED || code == PAUSE) {
		k->extended = code == EXTENDED;
		k->skip = code == PAUSE ? 2 : 0;
		return 0;
	}
	code &= (u8)~RELEASED;
	bit = modifier(code, extended);
	if (bit) {
		/* A held Caps Lock key repeats, but changes the lock once. */
		if (bit == KEY_CAPS && !released && !(k->held & KEY_CAPS))
			k->caps = !k->caps;
		k->held = released ? k->held & (u8)~bit : k->held | bit;
		return 0;
	}
	if (released)
		return 0;
	if (extended)
		return extended_key(code, out);
	out[0] = character(k, code);
	return out[0] != 0;
}
