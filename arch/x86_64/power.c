/* SPDX-License-Identifier: MIT */
/*
 * power.c: ending the run: power-off.
 *
 * QEMU's isa-debug-exit ends the emulator with status (value << 1) | 1: 33 for a pass, 35 for a
 * fail; never 0, the status after a triple fault.  On other machines no device uses that port, and
 * ACPI's S5 state (specification 4.8.3.2) turns the machine off.
 *
 * Tests:      play_event, tests/qemu/test_power.py.
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

bool power_off_wanted;

/* A serial port may lead nowhere, so the report of a panic stays on the screen all the same. */
static bool stays_on(void)
{
	bool to_read = screen_present() && (!serial_present() || panicking());
	const char *choice = cmdline_get("poweroff", to_read && !power_off_wanted ? "off" : "on");

	if (strcmp(choice, "off") != 0)
		return false;
	printk("quarry: halted; the power may be switched off\n");
	return true;
}

void machine_power_off(bool pass)
{
	arch_irq_disable();
	serial_flush();
	outl(DEBUG_EXIT_PORT, pass ? DEBUG_EXIT_PASS : DEBUG_EXIT_FAIL);
	if (acpi.pm1a_cnt && !stays_on())
		outw(acpi.pm1a_cnt, (u16)(PM1_SLP_EN | acpi.s5_type << PM1_SLP_TYP));
	if (panicking())
		panic_pages();
	for (;;)
		halt_deaf();
}
