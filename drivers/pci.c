/* SPDX-License-Identifier: MIT */
/*
 * pci.c: finds the functions on the PCI buses, and reads their configuration space.
 *
 * Owns:       nothing; bus numbers and BARs stay as the firmware set them.
 * Locks:      none: functions are found once, at boot.
 * Invariants: a function without a driver does not interrupt: its INTx is off from the scan on, so
 *             that it cannot hold a shared line that no driver would clear.  Nor does it write to
 *             memory, whatever the firmware used it for, unless it is a bridge, a display or a
 *             USB controller.  The first scan comes before any memory is taken.
 *             Configuration space is not trusted: each loop over it is bounded, and no register
 *             beyond it is read.
 * Tests:      pci, virtio_cap, tests/fuzz/fuzz_pci.c, tests/qemu/test_virtio.py.
 *
 * Registers: PCI Local Bus Specification 3.0, chapter 6.
 */
#include "drivers/pci.h"

#include <quarry/mm.h>

#include <linux/pci_regs.h>

#define NR_BUSES     256
#define NR_DEVICES   32
#define NR_FUNCTIONS 8
#define NR_LINES     16 /* ISA interrupts */
/* Base classes, and one with its sub-class (appendix D). */
#define CLASS_DISPLAY 3
#define CLASS_BRIDGE  6
#define CLASS_USB     0xc03
/* Bits of the longest physical address of any x86-64 processor. */
#define MAX_PHYS_BITS 52

u32 pci_read(const struct pci_function *fn, unsigned reg, unsigned len)
{
	KASSERT(reg + len <= PCI_CONFIG_LEN && !(reg & (len - 1)));
	return fn->access->read(fn, reg, len);
}

void pci_write(const struct pci_function *fn, unsigned reg, unsigned len, u32 value)
{
	KASSERT(reg + len <= PCI_CONFIG_LEN && !(reg & (len - 1)));
	fn->access->write(fn, reg, len, value);
}

/* ---- finding functions ---- */

/*
 * Turn off the function's INTx and, except on bridges, displays and USB controllers, its DMA: a
 * network controller of the firmware's, say, may still receive.  pci_enable turns DMA on again.  By
 * the DMA of a USB controller the firmware emulates a PS/2 keyboard until a driver takes the
 * controller over (OHCI 1.0a, 5.1.1.3).  This DMA is to memory that the firmware reserves; drivers
 * of UEFI stop at ExitBootServices.
 */
static void silence(const struct pci_function *fn, u8 type)
{
	u32 command = pci_read(fn, PCI_COMMAND, 2) | PCI_COMMAND_INTX_DISABLE;
	u32 class = pci_read(fn, PCI_CLASS_DEVICE, 2);

	if (type == PCI_HEADER_TYPE_NORMAL && class >> 8 != CLASS_BRIDGE &&
	    class >> 8 != CLASS_DISPLAY && class != CLASS_USB)
		command &= ~(u32)PCI_COMMAND_MASTER;
	pci_write(fn, PCI_COMMAND, 2, command);
}

static void look_at_function(struct pci_function *fn, void (*found)(const struct pci_function *))
{
	u8 type = (u8)pci_read(fn, PCI_HEADER_TYPE, 1) & 0x7f;

	fn->device_id = (u16)pci_read(fn, PCI_DEVICE_ID, 2);
	if (type <= PCI_HEADER_TYPE_CARDBUS)
		silence(fn, type);
	if (type == PCI_HEADER_TYPE_NORMAL && found)
		found(fn);
}

/* @address: the numbers of bus and device, as in a configuration address. */
static void scan_device(
    const struct pci_access *access, unsigned address, void (*found)(const struct pci_function *))
{
	unsigned functions = 1;

	for (unsigned f = 0; f < functions; f++) {
		struct pci_function fn = {.access = access,
		    .bus = (u8)(address / NR_DEVICES),
		    .device = (u8)(address % NR_DEVICES),
		    .function = (u8)f};

		fn.vendor_id = (u16)pci_read(&fn, PCI_VENDOR_ID, 2);
		if (fn.vendor_id == 0xffff)
			continue;
		if (f == 0 && pci_read(&fn, PCI_HEADER_TYPE, 1) & 0x80)
			functions = NR_FUNCTIONS;
		look_at_function(&fn, found);
	}
}

/*
 * All buses, not only those behind the bridges of bus 0: further host bridges have root buses of
 * their own, whose numbers only the firmware's AML tells.
 */
void pci_scan(const struct pci_access *access, void (*found)(const struct pci_function *))
{
	for (unsigned address = 0; address < NR_BUSES * NR_DEVICES; address++)
		scan_device(access, address, found);
}

/* ---- capabilities ---- */

int pci_next_capability(const struct pci_function *fn, struct pci_walk *walk, u8 id)
{
	for (;;) {
		unsigned at;
		u64 bit;

		if (walk->begun)
			at = pci_read(fn, walk->at + PCI_CAP_LIST_NEXT, 1);
		else if (pci_read(fn, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST)
			at = pci_read(fn, PCI_CAPABILITY_LIST, 1);
		else
			at = 0;
		at &= 0xfc;
		if (!at)
			return 0;
		if (at < PCI_STD_HEADER_SIZEOF)
			return -EFAULT;
		bit = 1ULL << at / 4;
		if (walk->seen & bit)
			return -ELOOP;
		*walk = (struct pci_walk){.begun = true, .at = (u8)at, .seen = walk->seen | bit};
		if (pci_read(fn, at + PCI_CAP_LIST_ID, 1) == id)
			return (int)at;
	}
}

/* ---- memory ---- */

static bool is_wide(u32 low)
{
	return !(low & PCI_BASE_ADDRESS_SPACE_IO) &&
	    (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
}

/* Is @bar a BAR of its own, and not the upper half of the previous BAR? */
static bool is_bar(const struct pci_function *fn, unsigned bar)
{
	unsigned i = 0;

	while (i < bar && i < PCI_NR_BARS)
		i += is_wide(pci_read(fn, PCI_BASE_ADDRESS_0 + 4 * i, 4)) ? 2 : 1;
	return i == bar && bar < PCI_NR_BARS;
}

/* The bits of a BAR that can be written, which tell its size. */
static u32 size_mask(const struct pci_function *fn, unsigned reg, u32 was)
{
	u32 mask;

	pci_write(fn, reg, 4, ~0u);
	mask = pci_read(fn, reg, 4);
	pci_write(fn, reg, 4, was);
	return mask;
}

int pci_bar_memory(const struct pci_function *fn, unsigned bar, struct pci_memory *memory)
{
	unsigned reg = PCI_BASE_ADDRESS_0 + 4 * bar;
	u32 low, high = 0, command;
	u64 mask;

	if (!is_bar(fn, bar))
		return -EINVAL;
	low = pci_read(fn, reg, 4);
	if (low & PCI_BASE_ADDRESS_SPACE_IO)
		return -ENODEV;
	if (is_wide(low) && bar + 1 == PCI_NR_BARS)
		return -EINVAL;
	/* While the BAR is overwritten, the function must answer at no address. */
	command = pci_read(fn, PCI_COMMAND, 2);
	pci_write(fn, PCI_COMMAND, 2, command & ~(u32)PCI_COMMAND_MEMORY);
	mask = size_mask(fn, reg, low) | 0xffffffff00000000ULL;
	if (is_wide(low)) {
		high = pci_read(fn, reg + 4, 4);
		mask = (mask & 0xffffffffu) | (u64)size_mask(fn, reg + 4, high) << 32;
	}
	pci_write(fn, PCI_COMMAND, 2, command);
	memory->size = ~(mask & (u64)PCI_BASE_ADDRESS_MEM_MASK) + 1;
	memory->start = ((u64)high << 32 | low) & (u64)PCI_BASE_ADDRESS_MEM_MASK;
	if (!memory->start)
		return -ENODEV;
	/*
	 * The size must be a power of two, and the start a multiple of it with at most
	 * MAX_PHYS_BITS bits.
	 */
	if (memory->size & (memory->size - 1) || memory->start & (memory->size - 1) ||
	    memory->start >> MAX_PHYS_BITS)
		return -EFAULT;
	return 0;
}

void pci_enable(const struct pci_function *fn)
{
	u32 command = pci_read(fn, PCI_COMMAND, 2);

	pci_write(fn, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void pci_disable(const struct pci_function *fn)
{
	u32 command = pci_read(fn, PCI_COMMAND, 2);

	pci_write(fn, PCI_COMMAND, 2, command & ~(u32)PCI_COMMAND_MASTER);
}

/* ---- interrupts ---- */

int pci_intx_line(const struct pci_function *fn)
{
	unsigned line = pci_read(fn, PCI_INTERRUPT_LINE, 1);

	return pci_read(fn, PCI_INTERRUPT_PIN, 1) && line && line < NR_LINES ? (int)line : -ENODEV;
}

void pci_enable_intx(const struct pci_function *fn)
{
	u32 command = pci_read(fn, PCI_COMMAND, 2);

	pci_write(fn, PCI_COMMAND, 2, command & ~(u32)PCI_COMMAND_INTX_DISABLE);
}
