/* SPDX-License-Identifier: MIT */
/*
 * pci.c: what functions there are on the PCI buses, and how to reach them.
 *
 * Owns:       I/O ports 0xcf8-0xcff (configuration mechanism 1), which every machine with PCI has and
 *             which reach all that is needed here; bus numbers and BARs stay as the firmware set them.
 * Locks:      pci_lock: an address and the access to it.
 * Invariants: a function without a driver does not interrupt: its INTx is off from the scan on, so that a
 *             line that is shared is not held by one that nobody asks.
 * Tests:      tests/qemu/test_virtio.py.
 *
 * Interrupts are INTx, by the line that the firmware wrote into the function: see docs/virtio.md for why
 * not MSI-X.  Registers: PCI Local Bus Specification 3.0, chapter 6.
 */
#include "drivers/pci.h"

#include "x86.h"
#include <quarry/acpi.h>

#include <linux/pci_regs.h>

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define ADDRESS_ENABLE 0x80000000u
#define NR_DEVICES     32
#define NR_FUNCTIONS   8
#define MAX_DEPTH      8  /* of bridges below bridges */

static struct spinlock pci_lock = SPINLOCK("pci", RANK_NONE);

static void set_address(const struct pci_function *fn, unsigned reg)
{
	outl(CONFIG_ADDRESS, ADDRESS_ENABLE | (u32)fn->bus << 16 | (u32)fn->device << 11 |
	    (u32)fn->function << 8 | (reg & 0xfcu));
}

u32 pci_read(const struct pci_function *fn, unsigned reg, unsigned len)
{
	irqflags_t flags = spin_lock_irqsave(&pci_lock);
	u16 port = (u16)(CONFIG_DATA + (reg & 3));
	u32 value;

	set_address(fn, reg);
	value = len == 1 ? inb(port) : len == 2 ? inw(port) : inl(port);
	spin_unlock_irqrestore(&pci_lock, flags);
	return value;
}

void pci_write(const struct pci_function *fn, unsigned reg, unsigned len, u32 value)
{
	irqflags_t flags = spin_lock_irqsave(&pci_lock);
	u16 port = (u16)(CONFIG_DATA + (reg & 3));

	set_address(fn, reg);
	if (len == 1)
		outb(port, (u8)value);
	else if (len == 2)
		outw(port, (u16)value);
	else
		outl(port, value);
	spin_unlock_irqrestore(&pci_lock, flags);
}

static void scan_bus(u8 bus, unsigned depth, void (*found)(const struct pci_function *));

static void look_at(struct pci_function *fn, unsigned depth, void (*found)(const struct pci_function *))
{
	u8 type = (u8)pci_read(fn, PCI_HEADER_TYPE, 1) & 0x7f;

	fn->device_id = (u16)pci_read(fn, PCI_DEVICE_ID, 2);
	if (type == PCI_HEADER_TYPE_BRIDGE) {
		u8 below = (u8)pci_read(fn, PCI_SECONDARY_BUS, 1);

		if (below > fn->bus && depth < MAX_DEPTH)
			scan_bus(below, depth + 1, found);
		return;
	}
	if (type != PCI_HEADER_TYPE_NORMAL)
		return;
	pci_write(fn, PCI_COMMAND, 2, pci_read(fn, PCI_COMMAND, 2) | PCI_COMMAND_INTX_DISABLE);
	found(fn);
}

static void scan_bus(u8 bus, unsigned depth, void (*found)(const struct pci_function *))
{
	for (unsigned device = 0; device < NR_DEVICES; device++) {
		unsigned functions = 1;

		for (unsigned f = 0; f < functions; f++) {
			struct pci_function fn = {.bus = bus, .device = (u8)device, .function = (u8)f};

			fn.vendor_id = (u16)pci_read(&fn, PCI_VENDOR_ID, 2);
			if (fn.vendor_id == 0xffff)
				continue;
			if (f == 0 && pci_read(&fn, PCI_HEADER_TYPE, 1) & 0x80)
				functions = NR_FUNCTIONS;
			look_at(&fn, depth, found);
		}
	}
}

void pci_scan(void (*found)(const struct pci_function *))
{
	scan_bus(0, 0, found);
}

unsigned pci_capability(const struct pci_function *fn, u8 id, unsigned after)
{
	unsigned at = after ? pci_read(fn, after + PCI_CAP_LIST_NEXT, 1)
	    : pci_read(fn, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST ? pci_read(fn, PCI_CAPABILITY_LIST, 1)
	                                                        : 0;

	for (unsigned i = 0; i < PCI_MAX_CAPS && (at & 0xfc) >= PCI_STD_HEADER_SIZEOF; i++) {
		at &= 0xfc;
		if (pci_read(fn, at + PCI_CAP_LIST_ID, 1) == id)
			return at;
		at = pci_read(fn, at + PCI_CAP_LIST_NEXT, 1);
	}
	return 0;
}

/* Where the memory of a BAR is, and in *@size how much; 0: it is none, or has no address. */
static phys_t bar_memory(const struct pci_function *fn, unsigned bar, u64 *size)
{
	unsigned reg = PCI_BASE_ADDRESS_0 + 4 * bar;
	u32 low = pci_read(fn, reg, 4), high = 0, command = pci_read(fn, PCI_COMMAND, 2);
	u64 mask;
	bool wide;

	if (bar >= PCI_NR_BARS || low & PCI_BASE_ADDRESS_SPACE_IO)
		return 0;
	wide = (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
	if (wide && bar + 1 == PCI_NR_BARS)
		return 0;
	/* Its size is what of all ones stays; meanwhile it answers nowhere. */
	pci_write(fn, PCI_COMMAND, 2, command & ~(u32)PCI_COMMAND_MEMORY);
	pci_write(fn, reg, 4, ~0u);
	mask = pci_read(fn, reg, 4) | 0xffffffff00000000ULL;
	pci_write(fn, reg, 4, low);
	if (wide) {
		high = pci_read(fn, reg + 4, 4);
		pci_write(fn, reg + 4, 4, ~0u);
		mask = (mask & 0xffffffffu) | (u64)pci_read(fn, reg + 4, 4) << 32;
		pci_write(fn, reg + 4, 4, high);
	}
	pci_write(fn, PCI_COMMAND, 2, command);
	*size = ~(mask & (u64)PCI_BASE_ADDRESS_MEM_MASK) + 1;
	return ((u64)high << 32 | low) & (u64)PCI_BASE_ADDRESS_MEM_MASK;
}

void *pci_map(const struct pci_function *fn, unsigned bar, u64 offset, size_t len)
{
	u64 size = 0;
	phys_t pa = bar_memory(fn, bar, &size);

	if (!pa || !len || offset >= size || len > size - offset)
		return NULL;
	return arch_map_mmio(pa + offset, len);
}

void pci_enable(const struct pci_function *fn)
{
	u32 command = pci_read(fn, PCI_COMMAND, 2);

	pci_write(fn, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

int pci_route_intx(const struct pci_function *fn)
{
	unsigned line = pci_read(fn, PCI_INTERRUPT_LINE, 1);
	int err;

	if (!pci_read(fn, PCI_INTERRUPT_PIN, 1) || line == 0 || line >= ACPI_NR_ISA)
		return -ENODEV;
	/* Others may hold the line too: it is a level, whatever the ISA interrupt of that number is. */
	err = ioapic_route(acpi.isa[line].gsi, VEC_PCI, true, acpi.isa[line].active_low);
	if (!err)
		pci_write(fn, PCI_COMMAND, 2, pci_read(fn, PCI_COMMAND, 2) & ~(u32)PCI_COMMAND_INTX_DISABLE);
	return err;
}
