/* SPDX-License-Identifier: MIT */
/*
 * virtio_start.c: the virtio devices of this machine: their detection, and the choice of drivers.
 *
 * Owns:       the machine's bus, and VEC_PCI.
 * Locks:      none: devices are found once, at boot.
 * Tests:      play_ports, tests/qemu/test_virtio.py.
 */
#include "drivers/virtio_pci.h"

#include "x86.h"
#include <quarry/acpi.h>
#include <quarry/virtio.h>

static u32 reg_read(const volatile u8 *at, unsigned len)
{
	return len == 1 ? *at : len == 2 ? *(const volatile u16 *)at : *(const volatile u32 *)at;
}

static void reg_write(volatile u8 *at, unsigned len, u32 value)
{
	if (len == 1)
		*at = (u8)value;
	else if (len == 2)
		*(volatile u16 *)at = (u16)value;
	else
		*(volatile u32 *)at = value;
}

const struct virtio_regs virtio_mapped_regs = {.read = reg_read, .write = reg_write};

static unsigned virtio_node(u32 domain)
{
	return acpi_domain_node(&acpi, kernel_memory.nr_nodes, domain);
}

static int probe(struct virtio_device *dev)
{
	return dev->id == VIRTIO_ID_MEM ? virtio_mem_probe(dev) : virtio_balloon_probe(dev);
}

static struct virtio_bus bus = {.regs = &virtio_mapped_regs,
    .map = arch_map_mmio,
    .route = pci_route_intx,
    .node_of = virtio_node,
    .probe = probe};

static void found(const struct pci_function *fn)
{
	virtio_bus_found(&bus, fn);
}

void virtio_init(void)
{
	pci_scan(&pci_ports, found);
}

/* The handler of VEC_PCI.  irqs off. */
void pci_interrupt(void)
{
	virtio_bus_interrupt(&bus);
}

bool virtio_show(void)
{
	bool any = virtio_mem_show();

	return virtio_balloon_show() || any;
}
