/* SPDX-License-Identifier: MIT */
/*
 * acpi_event.c: the interrupt by which the machine announces devices that are plugged in or to be
 * removed.
 *
 * Owns:       the general purpose event block 0 and the event block of power management.
 * Locks:      none: set up once; afterwards only the interrupt handler uses these registers, on the
 *             one CPU to which the I/O APIC delivers the interrupt.
 * Invariants: an event is cleared before it is reported, so a later event raises the interrupt
 *             again.  Only requested events can raise it.
 * Tests:      play_event, tests/qemu/test_slots.py.
 *
 * Registers: ACPI specification 6.4, 4.8.3 and 4.8.4.  The first half of a block is status bits,
 * which a written 1 clears; the second half is enable bits.  The interrupt is level-triggered.
 */
#include <quarry/acpi.h>
#include <quarry/errno.h>
#include <quarry/port.h>

#include "x86.h"

#define PM1_SCI_EN 1u
#define ENABLE_NS  3000000000ULL /* firmware that takes so long is known */

static void (*tell)(u32 events);
static u8 wanted;

bool acpi_mode(void)
{
	u64 end = arch_clock_ns() + ENABLE_NS;

	if (!acpi.pm1a_cnt)
		return false;
	if (!(inw(acpi.pm1a_cnt) & PM1_SCI_EN) && acpi.smi_cmd)
		outb(acpi.smi_cmd, acpi.acpi_enable);
	while (!(inw(acpi.pm1a_cnt) & PM1_SCI_EN)) {
		if (arch_clock_ns() > end)
			return false;
		cpu_relax();
	}
	return true;
}

static void clear_pm1(void)
{
	if (acpi.pm1a_evt)
		outw(acpi.pm1a_evt, inw(acpi.pm1a_evt));
}

/* Enable only those of the events 0 to 7.  The second half of the registers enables. */
static void enable_gpe0(u8 events)
{
	unsigned half = acpi.gpe0_len / 2;

	for (unsigned i = 0; acpi.gpe0 && i < half; i++)
		outb((u16)(acpi.gpe0 + half + i), i ? 0 : events);
}

int acpi_events_start(u32 events, void (*fn)(u32 events))
{
	if (!acpi.gpe0 || acpi.gpe0_len < 2 || acpi.sci >= ACPI_NR_ISA || !acpi_mode())
		return -ENODEV;
	tell = fn;
	wanted = (u8)events;
	/* No other event may raise an interrupt: no code would clear it. */
	if (acpi.pm1a_evt && acpi.pm1_evt_len >= 4)
		outw((u16)(acpi.pm1a_evt + acpi.pm1_evt_len / 2), 0);
	enable_gpe0(wanted);
	return ioapic_route_isa(acpi.sci, VEC_SCI);
}

void acpi_events_stop(void)
{
	enable_gpe0(0);
	clear_pm1();
}

void acpi_interrupt(void)
{
	u8 events = inb(acpi.gpe0) & wanted;

	outb(acpi.gpe0, events);
	clear_pm1();
	if (events)
		tell(events);
}

static u32 port_read(void *arg, unsigned offset, unsigned bytes)
{
	u16 port = (u16)(*(const u16 *)arg + offset);

	return bytes == 1 ? inb(port) : inl(port);
}

static void port_write(void *arg, unsigned offset, unsigned bytes, u32 value)
{
	u16 port = (u16)(*(const u16 *)arg + offset);

	if (bytes == 1)
		outb(port, (u8)value);
	else
		outl(port, value);
}

struct slot_regs acpi_slot_ports(u16 *port)
{
	return (struct slot_regs){.read = port_read, .write = port_write, .arg = port};
}
