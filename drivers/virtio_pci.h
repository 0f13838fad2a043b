/* SPDX-License-Identifier: MIT */
/* virtio_pci.h: the virtio devices of a PCI bus: the machine's (virtio_start.c), or a test's. */
#ifndef DRIVERS_VIRTIO_PCI_H
#define DRIVERS_VIRTIO_PCI_H

#include "drivers/pci.h"
#include "drivers/virtio.h"
#include "drivers/virtio_cap.h"

#define VIRTIO_BUS_MAX 8

/* Access to a mapped register of 1, 2 or 4 bytes. */
struct virtio_regs {
	u32 (*read)(const volatile u8 *at, unsigned len);
	void (*write)(volatile u8 *at, unsigned len, u32 value);
};

/* virtio_start.c: registers that are mapped as they are. */
extern const struct virtio_regs virtio_mapped_regs;

struct virtio_pci {
	struct virtio_device dev;
	struct pci_function fn;
	char name[16];
	const struct virtio_regs *regs;
	volatile u8 *part[NR_VIRTIO_PARTS];      /* the mapped structures */
	u32 config_len, notify_len, notify_step; /* bytes */
	u16 notify_off[8];                       /* of each queue */
	bool lent; /* the device may use a queue's memory: it has not been reset since */
};

struct virtio_bus {
	const struct virtio_regs *regs;
	void *(*map)(phys_t start, size_t len); /* map registers; NULL: cannot be mapped */
	/* route the interrupt line of @fn; 0 or negative errno */
	int (*route)(const struct pci_function *fn);
	unsigned (*node_of)(u32 domain); /* as in struct virtio_device */
	/* start the device's driver, which reports errors; 0 or negative errno */
	int (*probe)(struct virtio_device *dev);
	struct virtio_pci device[VIRTIO_BUS_MAX];
	unsigned nr; /* atomic: the devices below this index are complete */
};

/*
 * Take over @fn, if it is a virtio device with a driver.  A device with an error is reported and
 * not used.  Context: thread; once for each function of the bus.
 */
void virtio_bus_found(struct virtio_bus *bus, const struct pci_function *fn);
/*
 * Handle an interrupt on the line of the bus's devices: read the status of each device.  irqs off.
 */
void virtio_bus_interrupt(struct virtio_bus *bus);

#endif
