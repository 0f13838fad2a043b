/* SPDX-License-Identifier: MIT */
/*
 * test_play_input.c: what is typed at the console: the ports of the serial port and of the keyboard
 * controller, their interrupt lines, and the ring that both fill.
 */
#include "tests/host/moment.h"
#include "tests/host/play_help.h"

#include "drivers/input.h"
#include <quarry/console.h>

/* ---- the serial port ---- */

#define START                                                                                      \
	"out8 3ff=5a\nout8 3f9=0\nout8 3fb=80\nout8 3f8=1\nout8 3f9=0\nout8 3fb=3\nout8 "          \
	"3fa=7\nout8 3fc=b\n"

static void begin_serial(void)
{
	play_begin();
	play_apics(1);
	console_input.tail = console_input.head;
	play_serial(true);
}

KTEST_SUITE(play_input, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(the_serial_port_is_com1)
{
	play_begin();
	play_serial(false);
	EXPECT(t, !serial_present());
	EXPECT_DOES(t, serial_init(), START);
	EXPECT(t, serial_present());
	begin_serial();
	play.reads = true;
	serial_write("ab", 2);
	EXPECT_DOES(t, serial_flush(), "in8 3fd\nout8 3f8=61\nout8 3f8=62\nin8 3fd\n");
	EXPECT(t, serial_polled());
	EXPECT_CALL(t, console_getc(), -1, "in8 3fd\n");
}

static unsigned char next;
static unsigned coming;

/* The bytes @next, @next + 1 ...; @coming of them. */
static u32 count_bytes(u16 port, unsigned bytes, u32 kept)
{
	if (port == 0x3fd)
		return coming ? 0x61 : 0x60;
	if (port != 0x3f8)
		return kept;
	coming--;
	return next++;
}

/* A byte of value 0 is received too. */
KTEST(every_byte_is_received)
{
	begin_serial();
	play.in = count_bytes;
	next = 254;
	coming = 3;
	EXPECT_EQ(t, console_getc_wait(), 254);
	EXPECT_EQ(t, console_getc(), 255);
	EXPECT_EQ(t, console_getc_wait(), 0);
	EXPECT_EQ(t, console_getc(), -1);
}

static u8 there; /* the byte at the head, as the head moves */

static void read_the_head(void)
{
	there = console_input.ring[console_input.head % sizeof(console_input.ring)];
}

static void use_the_place(void)
{
	console_input.ring[console_input.tail % sizeof(console_input.ring)] = 0xee;
}

/* A place of the ring is filled before its reader can see it, and read before it is filled anew. */
KTEST(byte_is_moved_before_its_place_changes_hands)
{
	begin_serial();
	play.in = count_bytes;
	next = 5;
	coming = 1;
	EXPECT_AT(t, console_getc(), 5, .store = &console_input.head, .act = read_the_head);
	EXPECT_EQ(t, there, 5);
	coming = 1;
	EXPECT_AT(t, console_getc(), 6, .store = &console_input.tail, .act = use_the_place);
}

/* The interrupt is set up a single time, and only when it can be delivered. */
KTEST(the_serial_port_interrupts)
{
	begin_serial();
	play_serial(false);
	EXPECT_DOES(t, serial_enable_irq(), "");
	play_serial(true);
	acpi.nr_ioapics = 0;
	EXPECT_DOES(t, serial_enable_irq(), "");
	EXPECT(t, arch_irqs_enabled() && serial_polled());
	acpi.nr_ioapics = 1;
	EXPECT_DOES(t, serial_enable_irq(), "io0 19=0\nio0 18=43\nout8 3f9=1\n");
	EXPECT(t, arch_irqs_enabled() && !serial_polled());
	EXPECT_DOES(t, serial_enable_irq(), "");
	play.in = count_bytes;
	coming = 0;
	serial_interrupt();
	EXPECT_EQ(t, console_getc(), -1);
	coming = 1;
	next = 'q';
	EXPECT_EQ(t, console_getc(), -1);
	serial_interrupt();
	EXPECT_EQ(t, console_getc(), 'q');
	EXPECT_DOES(t, serial_disable_irq(), "out8 3f9=0\n");
	EXPECT(t, serial_polled());
}

/* ---- the keyboard ---- */

/* The pretended controller: bytes that can be read, and what it does with commands. */
static struct {
	u8 bytes[300];
	bool mouse[300]; /* the byte is the mouse's */
	unsigned first, nr;
	bool busy, absent, dumb; /* dumb: commands have no answer */
	u8 config, command;
	unsigned looks; /* reads of the status */
} chip;

static void chip_gives(u8 byte, bool mouse)
{
	chip.mouse[chip.nr] = mouse;
	chip.bytes[chip.nr++] = byte;
}

static u32 chip_in(u16 port, unsigned bytes, u32 kept)
{
	bool full = chip.first < chip.nr;

	if (port == 0x64) {
		chip.looks++;
		return chip.absent
		    ? 0xff
		    : (u32)full | (u32)chip.busy << 1 | (u32)(full && chip.mouse[chip.first]) << 5;
	}
	return port == 0x60 && full ? chip.bytes[chip.first++] : kept;
}

static void chip_out(u16 port)
{
	u8 value = play.port[port];

	if (port == 0x60 && chip.command == 0x60)
		chip.config = value;
	else if (port == 0x60 && !chip.dumb)
		chip_gives(0xfa, false);
	if (port == 0x64 && value == 0x20 && !chip.dumb)
		chip_gives(chip.config, false);
	if (port == 0x64)
		chip.command = value;
	else
		chip.command = 0;
}

static void begin_keyboard(void)
{
	begin_serial();
	play_serial(false);
	memset(&chip, 0, sizeof(chip));
	chip.config = 0x32; /* the mouse interrupts, and both are off, as some firmware leaves it */
	play.in = chip_in;
	play.out = chip_out;
}

#define SETTING "out8 64=a7\nout8 64=20\nout8 64=60\nout8 60=61\nout8 64=ae\nout8 60=f4\n"
#define ROUTED  "io0 13=0\nio0 12=46\n"

KTEST(keyboard_is_switched_on_and_the_mouse_off)
{
	begin_keyboard();
	chip_gives(0x1e, false); /* a key from before the start */
	chip_gives(0x55, true);
	EXPECT_DOES(t, keyboard_init(), SETTING ROUTED);
	EXPECT_EQ(t, chip.config, 0x61);
	EXPECT(t, keyboard_present() && keyboard_by_interrupt());
	EXPECT_EQ(t, console_getc(), -1);
}

/* An emulation may have no answers: the keyboard is used as the firmware left it. */
KTEST(controller_without_answers_is_used)
{
	begin_keyboard();
	chip.dumb = true;
	EXPECT_DOES(t, keyboard_init(), "out8 64=a7\nout8 64=20\nout8 64=ae\nout8 60=f4\n" ROUTED);
	EXPECT(t, keyboard_present());
	EXPECT(t, chip.looks < 3 * 50000);
}

KTEST(missing_controller_is_said_and_left_alone)
{
	begin_keyboard();
	chip.absent = true;
	EXPECT_DOES(t, keyboard_init(), "keyboard: not used: there is no controller (i8042)\n");
	EXPECT_EQ(t, chip.looks, 1);
	keyboard_poll();
	EXPECT_EQ(t, keyboard_getc_in_panic(), -1);
	EXPECT(t, !keyboard_present() && chip.looks == 1);
	chip.absent = false;
	chip.busy = true;
	EXPECT_DOES(
	    t, keyboard_init(), "keyboard: not used: its controller (i8042) takes no command\n");
	EXPECT(t, !keyboard_present() && chip.looks < 3 * 50000);
}

KTEST(keys_come_by_interrupt_or_by_polls)
{
	begin_keyboard();
	acpi.nr_ioapics = 0;
	EXPECT_DOES(t, keyboard_init(), SETTING "keyboard: polled: no route for its interrupt\n");
	EXPECT(t, keyboard_present() && !keyboard_by_interrupt());
	chip_gives(0x1e, false);
	chip_gives(0x2a, true); /* the mouse moves: no Shift */
	chip_gives(0x30, false);
	EXPECT_EQ(t, console_getc(), 'a');
	EXPECT_EQ(t, console_getc_wait(), 'b');
	chip_gives(0xe0, false);
	keyboard_interrupt();
	chip_gives(0x48, false);
	keyboard_interrupt();
	EXPECT_EQ(t, console_getc(), 033);
	EXPECT_EQ(t, console_getc(), '[');
	EXPECT_EQ(t, console_getc(), 'A');
	EXPECT_EQ(t, console_getc(), -1);
	chip_gives(0x2e, false);
	EXPECT_EQ(t, keyboard_getc_in_panic(), 'c');
	EXPECT_EQ(t, keyboard_getc_in_panic(), -1);
}

/* A controller that vanishes reads as all ones: no key, and no endless interrupt. */
KTEST(vanished_controller_types_nothing)
{
	begin_keyboard();
	keyboard_init();
	chip.absent = true;
	chip.looks = 0;
	keyboard_interrupt();
	EXPECT_EQ(t, chip.looks, 1);
	EXPECT_EQ(t, console_getc(), -1);
}

/* Both devices fill one ring, in the order of time. */
KTEST(serial_port_and_keyboard_share_the_ring)
{
	begin_keyboard();
	keyboard_init();
	play_serial(true);
	chip_gives(0x1e, false);
	keyboard_interrupt();
	play.in = count_bytes;
	coming = 1;
	next = 'z';
	serial_poll();
	EXPECT_EQ(t, console_getc(), 'a');
	EXPECT_EQ(t, console_getc(), 'z');
	EXPECT_EQ(t, console_getc(), -1);
}

/* A keyboard counts only beside a screen: without one its user would see nothing. */
KTEST(a_person_can_type_where_output_is_seen)
{
	begin_keyboard();
	chip.absent = true;
	keyboard_init();
	play_screen(true);
	EXPECT(t, !console_can_read());
	play_serial(true);
	EXPECT(t, console_can_read());
	play_serial(false);
	chip.absent = false;
	keyboard_init();
	EXPECT(t, console_can_read());
	play_screen(false);
	EXPECT(t, !console_can_read());
	chip.absent = true;
	keyboard_init();
}
