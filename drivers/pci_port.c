/* SPDX-License-Identifier: MIT */
/*
 * pci_port.c: access to this machine's PCI functions, and their interrupt.
 *
 * Owns:       I/O ports 0xcf8-0xcff (configuration mechanism 1), which every machine with PCI has.
 *             They reach all registers that are needed here.
 * Locks:      none: one thread finds functions, at boot; they are not accessed this way later.
 * Tests:      play_ports, tests/qemu/test_virtio.py.
 *
 * Interrupts are INTx, on the line that the firmware wrote into the function; docs/virtio.md says
 * why MSI-X is not used.
 */
#include "drivers/pci.h"

#include "x86.h"
#include <quarry/acpi.h>

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define ADDRESS_ENABLE 0x80000000u

static void set_address(const struct pci_function *fn, unsigned reg)
{
	outl(CONFIG_ADDRESS,
	    ADDRESS_ENABLE | (u32)fn->bus << 16 | (u32)fn->device << 11 | (u32)fn->function << 8 |
	        (reg & 0xfcu));
}

static u32 port_read(const struct pci_function *fn, unsigned reg, unsigned len)
{
	u16 port = (u16)(CONFIG_DATA + (reg & 3));

	set_address(fn, reg);
	return len == 1 ? inb(port) : len == 2 ? inw(port) : inl(port);
}

static void port_write(const struct pci_function *fn, unsigned reg, unsigned len, u32 value)
{
	u16 port = (u16)(CONFIG_DATA + (reg & 3));

	set_address(fn, reg);
	if (len == 1)
		outb(port, (u8)value);
	else if (len == 2)
		outw(port, (u16)value);
	else
		outl(port, value);
}

const struct pci_access pci_ports = {.read = port_read, .write = port_write};

void pci_silence(void)
{
	pci_scan(&pci_ports, NULL);
}

int pci_route_intx(const struct pci_function *fn)
{
	int line = pci_intx_line(fn), err;

	if (line < 0)
		return line;
	/*
	 * The line may be shared, so it is level-triggered, whatever trigger mode the ISA interrupt
	 * of that number has.
	 */
	err = ioapic_route(acpi.isa[line].gsi, VEC_PCI, true, acpi.isa[line].active_low);
	if (!err)
		pci_enable_intx(fn);
	return err;
}
