/* SPDX-License-Identifier: MIT */
/*
 * console_in.c: the console's input: what is typed at the serial port or at the keyboard.
 *
 * Owns:       the console's ring of bytes.
 * Locks:      as drivers/input.c.
 * Tests:      play_input, tests/qemu/test_screen.py, tests/qemu/test_prompt.py.
 *
 * Both devices put their bytes into one ring, by interrupt where they can.  A reader that finds the
 * ring empty polls them.  So a device without an interrupt works too; and so does a keyboard whose
 * interrupt is lost, as on machines where the firmware emulates it.
 */
#include "drivers/input.h"
#include <quarry/console.h>

#define POLL_NS  10000000ULL  /* between polls of a serial port without an interrupt */
#define CHECK_NS 100000000ULL /* between polls of a keyboard */

struct input console_input = INPUT("console input");

bool console_can_read(void)
{
	return serial_present() || (keyboard_present() && screen_present());
}

int console_getc(void)
{
	int c = input_get(&console_input);

	if (c >= 0)
		return c;
	serial_poll();
	keyboard_poll();
	return input_get(&console_input);
}

int console_getc_wait(void)
{
	bool cursor = keyboard_present() && screen_present();
	int c = console_getc();

	if (c < 0 && cursor)
		console_cursor(true);
	else
		cursor = false;
	while (c < 0) {
		input_wait(&console_input,
		    serial_polled()          ? POLL_NS
		        : keyboard_present() ? CHECK_NS
		                             : WAIT_FOREVER);
		c = console_getc();
	}
	if (cursor)
		console_cursor(false);
	return c;
}
