/* SPDX-License-Identifier: MIT */
/*
 * i8042.c: the PC's keyboard controller, or the firmware's emulation of one for a USB keyboard.
 *
 * Owns:       I/O ports 0x60 and 0x64, interrupt ISA 1; the keys that are held.
 * Locks:      console_input.receive: from the look at the status until the byte's characters are
 *             in the ring.
 * Invariants: every wait ends after a number of polls, whatever the ports read; ports that nothing
 *             answers read as all ones.
 * Tests:      play_input, tests/qemu/test_screen.py.
 *
 * The controller translates the keyboard's codes to set 1, which keyboard.c decodes.  An emulation
 * may know only a part of the commands, so a command without an answer is no reason to give up.
 * (IBM PS/2 Hardware Interface Technical Reference, Keyboard and Auxiliary Device Controller.)
 */
#include "drivers/keyboard.h"
#include "drivers/input.h"
#include "x86.h"
#include <quarry/console.h>

#define DATA         0x60
#define STATUS       0x64 /* a command when written */
#define KEYBOARD_IRQ 1

#define STATUS_FULL  0x01 /* a byte to read */
#define STATUS_BUSY  0x02 /* the byte written last has not been taken yet */
#define STATUS_MOUSE 0x20 /* the byte to read is the mouse's */
#define ABSENT       0xff

#define READ_CONFIG  0x20
#define WRITE_CONFIG 0x60
#define MOUSE_OFF    0xa7
#define KEYBOARD_ON  0xae

#define CONFIG_INTERRUPT       0x01
#define CONFIG_MOUSE_INTERRUPT 0x02
#define CONFIG_KEYBOARD_OFF    0x10
#define CONFIG_MOUSE_OFF       0x20
#define CONFIG_TRANSLATE       0x40

#define SCAN_ON 0xf4 /* to the keyboard: send codes */
#define ACK     0xfa

/* The most polls of a wait.  A port takes about 1 us on a PC, and a keyboard answers in 20 ms. */
#define POLLS     50000
#define MAX_BYTES 64 /* bytes that one interrupt takes, at most */
#define MAX_OLD   32 /* bytes from before the start */

static struct keyboard keys;
static bool present, by_interrupt;

bool keyboard_present(void)
{
	return present;
}

bool keyboard_by_interrupt(void)
{
	return by_interrupt;
}

/* Poll until a byte can be read; -1: none came.  The mouse's bytes are left out. */
static int answer(void)
{
	unsigned i;

	for (i = 0; i < POLLS; i++) {
		u8 status = inb(STATUS);

		if (status == ABSENT)
			break;
		if (status & STATUS_FULL) {
			u8 byte = inb(DATA);

			if (!(status & STATUS_MOUSE))
				return byte;
		}
		cpu_relax();
	}
	return -1;
}

/* Write @byte to @port once the controller has taken the byte before; false: it does not. */
static bool send(u16 port, u8 byte)
{
	unsigned i;

	for (i = 0; i < POLLS; i++) {
		if (!(inb(STATUS) & STATUS_BUSY)) {
			outb(port, byte);
			return true;
		}
		cpu_relax();
	}
	return false;
}

/* Bytes that came before the start are not typed by the person who sees the prompt. */
static void drop_old(void)
{
	unsigned i;

	for (i = 0; i < MAX_OLD && inb(STATUS) & STATUS_FULL; i++)
		inb(DATA);
}

/* Keyboard on, translated, with its interrupt; the mouse off.  False: it takes no command. */
static bool configure(void)
{
	int config;

	if (!send(STATUS, MOUSE_OFF))
		return false;
	drop_old();
	if (!send(STATUS, READ_CONFIG))
		return false;
	config = answer();
	if (config >= 0) {
		config |= CONFIG_INTERRUPT | CONFIG_TRANSLATE | CONFIG_MOUSE_OFF;
		config &= ~(CONFIG_KEYBOARD_OFF | CONFIG_MOUSE_INTERRUPT);
		if (!send(STATUS, WRITE_CONFIG) || !send(DATA, (u8)config))
			return false;
	}
	if (!send(STATUS, KEYBOARD_ON) || !send(DATA, SCAN_ON))
		return false;
	/* Any other answer, such as a key's code, and none at all are as good. */
	answer();
	return true;
}

void keyboard_init(void)
{
	present = by_interrupt = false;
	if (inb(STATUS) == ABSENT) {
		printk("keyboard: not used: there is no controller (i8042)\n");
		return;
	}
	if (!configure()) {
		printk("keyboard: not used: its controller (i8042) takes no command\n");
		return;
	}
	present = true;
	by_interrupt = !ioapic_route_isa(KEYBOARD_IRQ, VEC_KEYBOARD);
	if (!by_interrupt)
		printk("keyboard: polled: no route for its interrupt\n");
	/* A key typed before the route existed raises no interrupt any more. */
	keyboard_poll();
}

/* Is there a byte to read?  The status goes to *@status. */
static bool full(u8 *status)
{
	*status = inb(STATUS);
	return *status != ABSENT && *status & STATUS_FULL;
}

void keyboard_interrupt(void)
{
	irqflags_t flags = spin_lock_irqsave(&console_input.receive);
	char out[KEYBOARD_CHARS];
	bool typed = false;
	unsigned i, j, n;
	u8 status;

	for (i = 0; i < MAX_BYTES && full(&status); i++) {
		u8 code = inb(DATA);

		n = status & STATUS_MOUSE ? 0 : keyboard_decode(&keys, code, out);
		for (j = 0; j < n; j++)
			input_put(&console_input, (u8)out[j]);
		typed |= n > 0;
	}
	spin_unlock_irqrestore(&console_input.receive, flags);
	if (typed)
		wake_up(&console_input.readers);
}

void keyboard_poll(void)
{
	if (present)
		keyboard_interrupt();
}

int keyboard_getc_in_panic(void)
{
	char out[KEYBOARD_CHARS];
	u8 status;

	if (!present || !full(&status) || status & STATUS_MOUSE)
		return -1;
	return keyboard_decode(&keys, inb(DATA), out) ? (u8)out[0] : -1;
}
