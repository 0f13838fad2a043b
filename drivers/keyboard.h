/* SPDX-License-Identifier: MIT */
/* keyboard.h: the codes of a keyboard to characters; its controller is in console.h. */
#ifndef DRIVERS_KEYBOARD_H
#define DRIVERS_KEYBOARD_H

#include <quarry/types.h>

#define KEYBOARD_CHARS 4 /* the most characters that one key gives */

/* The keys that are held, and what the next code belongs to.  Zeroed: none. */
struct keyboard {
	u8 held;       /* KEY_ bits of keyboard.c */
	bool caps;     /* caps lock is on */
	bool extended; /* the code before was 0xe0 */
	u8 skip;       /* codes of a sequence that are still to be ignored */
};

/*
 * Handle @code, a byte of scan-code set 1, with the layout of US keyboards.  Writes the characters
 * of that key to @out, and returns their number: 0 for most codes.  Keys that move the cursor give
 * the escape sequences of a terminal (ECMA-48), Enter a CR, Backspace DEL.
 */
unsigned keyboard_decode(struct keyboard *k, u8 code, char out[KEYBOARD_CHARS]);

#endif
