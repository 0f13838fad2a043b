/* SPDX-License-Identifier: MIT */
/*
 * power.c: ending the run: power-off.
 *
 * QEMU's isa-debug-exit ends the emulator with status (value << 1) | 1: 33 for a pass, 35 for a
 * fail; never 0, the status after a triple fault.  On other machines no device uses that port, and
 * ACPI's S5 state turns the machine off (ACPI specification 6.4: 4.8.3.2.1 PM1 control, 4.8.3.7
 * sleep control).  The firmware's method _PTS is not called: there is no AML interpreter.
 *
 * Tests:      play_event, tests/qemu/test_arch.py.
 */
#include <quarry/acpi.h>
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/machine.h>
#include <quarry/panic.h>
#include <quarry/port.h>

#include "x86.h"

#define DEBUG_EXIT_PORT 0xf4
#define DEBUG_EXIT_PASS 0x10
#define DEBUG_EXIT_FAIL 0x11
#define PM1_SLP_EN      0x2000
#define PM1_SLP_TYP     10 /* bit position of the sleep type */
#define SLEEP_EN        0x20
#define SLEEP_TYP       2 /* of the sleep type, in the sleep control register */

static volatile u8 *sleep_control; /* where acpi.sleep_control is mapped, if it is in memory */

void power_init(void)
{
	bool mapped = acpi.sleep_in_memory && acpi.sleep_control;

	sleep_control = mapped ? arch_map_mmio(acpi.sleep_control, 1) : NULL;
}

bool power_off_wanted;

/* A serial port may lead nowhere, so the report of a panic stays on the screen all the same. */
static bool stays_on(void)
{
	bool to_read = screen_present() && (!serial_present() || panicking());
	const char *choice = cmdline_get("poweroff", to_read && !power_off_wanted ? "off" : "on");

	return !strcmp(choice, "off");
}

/* Write the type of sleep, with or without PM1_SLP_EN.  The specification keeps the other bits. */
static void pm1_sleep(u16 port, u8 type, unsigned enable)
{
	u16 kept = inw(port) & (u16) ~(PM1_SLP_EN | 7u << PM1_SLP_TYP);

	outw(port, (u16)(kept | enable | type << PM1_SLP_TYP));
}

/*
 * The sleep begins with PM1_SLP_EN, so both halves have their types before; some machines also want
 * the type in a write of its own.
 */
static void pm1_off(void)
{
	static const unsigned enable[] = {0, PM1_SLP_EN};

	for (unsigned i = 0; i < ARRAY_SIZE(enable); i++) {
		pm1_sleep(acpi.pm1a_cnt, acpi.s5_type, enable[i]);
		if (acpi.pm1b_cnt)
			pm1_sleep(acpi.pm1b_cnt, acpi.s5_type_b, enable[i]);
	}
}

/* Enter S5.  False: this machine has no register for it, or its firmware no S5. */
static bool soft_off(void)
{
	u8 value = (u8)(SLEEP_EN | acpi.s5_type << SLEEP_TYP);

	if (!acpi.s5)
		return false;
	if (sleep_control) {
		mmio_write8(sleep_control, value);
	} else if (acpi.sleep_control && !acpi.sleep_in_memory) {
		outb((u16)acpi.sleep_control, value);
	} else if (acpi.pm1a_cnt) {
		acpi_mode();        /* PM1 may work even if the firmware does not react */
		acpi_events_stop(); /* one that waits would wake the machine at once */
		pm1_off();
	} else {
		return false;
	}
	return true;
}

void machine_power_off(bool pass)
{
	arch_irq_disable();
	serial_flush();
	outl(DEBUG_EXIT_PORT, pass ? DEBUG_EXIT_PASS : DEBUG_EXIT_FAIL);
	if (stays_on() || !soft_off())
		printk("quarry: halted; the power may be switched off\n");
	if (panicking())
		panic_pages();
	for (;;)
		halt_deaf();
}
