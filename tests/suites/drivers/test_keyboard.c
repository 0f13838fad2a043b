/* SPDX-License-Identifier: MIT */
/* test_keyboard.c: the codes of a keyboard, set 1, to characters of a US layout. */
#include "drivers/keyboard.h"

#include <quarry/ktest.h>

#define UP         0x80
#define CTRL       0x1d
#define LEFT_SHIFT 0x2a
#define RIGHT      0x36
#define CAPS       0x3a

static struct keyboard keyboard;
static char typed[200];
static unsigned nr;

static void start(void)
{
	keyboard = (struct keyboard){0};
	nr = 0;
	typed[0] = '\0';
}

static void code(unsigned c)
{
	char out[KEYBOARD_CHARS];
	unsigned i, n = keyboard_decode(&keyboard, (u8)c, out);

	for (i = 0; i < n && nr < sizeof(typed) - 1; i++)
		typed[nr++] = out[i];
	typed[nr] = '\0';
}

static void press(unsigned c)
{
	code(c);
	code(c | UP);
}

static void press_extended(unsigned c)
{
	code(0xe0);
	code(c);
	code(0xe0);
	code(c | UP);
}

/* All that was typed must be @want; then it is forgotten. */
#define EXPECT_TYPED(t, want)                                                                      \
	do {                                                                                       \
		EXPECT((t), strcmp(typed, (want)) == 0);                                           \
		nr = 0;                                                                            \
		typed[0] = '\0';                                                                   \
	} while (0)

static void press_all(void)
{
	unsigned c;

	for (c = 0x02; c <= 0x35; c++)
		if (c != CTRL && c != LEFT_SHIFT)
			press(c);
	press(0x39);
}

KTEST_SUITE(keyboard, KTEST_QUICK);

KTEST(every_key_has_its_character)
{
	start();
	press(0x01);
	EXPECT_TYPED(t, "\033");
	press_all();
	EXPECT_TYPED(t, "1234567890-=\177\tqwertyuiop[]\rasdfghjkl;'`\\zxcvbnm,./ ");
	code(LEFT_SHIFT);
	press_all();
	code(LEFT_SHIFT | UP);
	EXPECT_TYPED(t, "!@#$%^&*()_+\177\tQWERTYUIOP{}\rASDFGHJKL:\"~|ZXCVBNM<>? ");
	press(0x56);
	EXPECT_TYPED(t, "<");
	press_all();
	EXPECT_EQ(t, nr, 51);
}

KTEST(either_shift_holds_until_both_are_released)
{
	start();
	code(LEFT_SHIFT);
	code(RIGHT);
	press(0x1e);
	code(LEFT_SHIFT | UP);
	press(0x1e);
	code(RIGHT | UP);
	press(0x1e);
	EXPECT_TYPED(t, "AAa");
}

/* Caps Lock concerns letters only; Shift then makes small ones.  A held key repeats its code. */
KTEST(caps_lock_turns_letters_round)
{
	start();
	code(CAPS);
	code(CAPS);
	code(CAPS | UP);
	press(0x1e);
	press(0x02);
	code(RIGHT);
	press(0x1e);
	press(0x02);
	code(RIGHT | UP);
	press(CAPS);
	press(0x1e);
	EXPECT_TYPED(t, "A1a!a");
}

KTEST(ctrl_makes_control_characters)
{
	start();
	code(CTRL);
	press(0x2e); /* c */
	press(0x16); /* u */
	press(0x1a); /* [ */
	press(0x02); /* 1: nothing */
	press(0x39); /* space: nothing */
	press(0x1c); /* Enter */
	press(0x0e); /* Backspace */
	press(0x0c); /* - */
	code(CTRL | UP);
	press(0x2e);
	code(0xe0);
	code(CTRL);
	code(LEFT_SHIFT);
	press(0x2e);
	code(LEFT_SHIFT | UP);
	code(0xe0);
	code(CTRL | UP);
	press(0x2e);
	EXPECT_TYPED(t, "\003\025\033\r\b\037c\003c");
}

KTEST(keys_of_the_cursor_give_sequences)
{
	static const u8 keys[] = {0x48, 0x50, 0x4d, 0x4b, 0x47, 0x4f, 0x53, 0x49, 0x51};
	unsigned i;

	start();
	for (i = 0; i < ARRAY_SIZE(keys); i++)
		press_extended(keys[i]);
	EXPECT_TYPED(t, "\033[A\033[B\033[C\033[D\033[H\033[F\033[3~\033[5~\033[6~");
	press_extended(0x1c);
	press_extended(0x35);
	EXPECT_TYPED(t, "\r/");
}

KTEST(number_pad_types_digits)
{
	unsigned c;

	start();
	for (c = 0x47; c <= 0x53; c++)
		press(c);
	press(0x37);
	EXPECT_TYPED(t, "789-456+1230.*");
}

/* Keys without a character, Print Screen and Pause: none of it may hold a key down. */
KTEST(other_keys_type_nothing)
{
	static const u8 pause[] = {0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5};
	unsigned i;

	start();
	for (i = 0x3b; i <= 0x46; i++)
		press(i);
	for (i = 0x57; i <= 0x7f; i++)
		press(i);
	press(0);
	press(0x38);                /* Alt */
	press_extended(0x38);       /* Alt Gr */
	press_extended(0x5b);       /* the key with a logo */
	press_extended(LEFT_SHIFT); /* Print Screen */
	press_extended(0x37);
	code(0xe0);
	code(0x2a); /* before an arrow key while Num Lock is on */
	for (i = 0; i < ARRAY_SIZE(pause); i++)
		code(pause[i]);
	code(0xfa); /* answers of the keyboard */
	code(0xfe);
	code(0xaa);
	EXPECT_TYPED(t, "");
	press(0x1e);
	EXPECT_TYPED(t, "a");
}

KTEST(any_codes_are_accepted)
{
	u64 state = 0x5eed;
	unsigned i, n, most = 0;
	char out[KEYBOARD_CHARS];

	start();
	for (i = 0; i < 20000; i++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		n = keyboard_decode(&keyboard, (u8)(state >> 56), out);
		most = MAX(most, n);
	}
	EXPECT(t, most > 0 && most <= KEYBOARD_CHARS);
}
