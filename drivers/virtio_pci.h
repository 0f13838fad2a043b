/* SPDX-License-Identifier: MIT */
/* virtio_pci.h: the virtio devices of a PCI bus: the machine's (virtio_start.c), or those of a test. */
#ifndef DRIVERS_VIRTIO_PCI_H
#define DRIVERS_VIRTIO_PCI_H

#include "drivers/pci.h"
#include "drivers/virtio.h"
#include "drivers/virtio_cap.h"

#define VIRTIO_BUS_MAX 8

/* How a register of 1, 2 or 4 bytes is read and written where it is mapped. */
struct virtio_regs {
	u32 (*read)(const volatile u8 *at, unsigned len);
	void (*write)(volatile u8 *at, unsigned len, u32 value);
};

struct virtio_pci {
	struct virtio_device dev;
	struct pci_function fn;
	char name[16];
	const struct virtio_regs *regs;
	volatile u8 *part[NR_VIRTIO_PARTS]; /* where each structure is mapped */
	u32 config_len, notify_len, notify_step; /* bytes */
	u16 notify_off[8]; /* by queue */
	bool lent;         /* it has been told of memory of ours, and not been reset since */
};

struct virtio_bus {
	const struct virtio_regs *regs;
	void *(*map)(phys_t start, size_t len);          /* device registers; NULL: cannot be mapped */
	int (*route)(const struct pci_function *fn);     /* its interrupt; 0 or negative errno */
	unsigned (*node_of)(u32 domain);                 /* of struct virtio_device */
	int (*probe)(struct virtio_device *dev);         /* its driver, by its id; the driver reports what is wrong */
	struct virtio_pci device[VIRTIO_BUS_MAX];
	unsigned nr; /* a: those before it are complete */
};

/*
 * Take over @fn, if it is a virtio device that has a driver; what is wrong with it has been reported, and it is left
 * alone.  Context: thread; once for each function of the bus.
 */
void virtio_bus_found(struct virtio_bus *bus, const struct pci_function *fn);
/* The line of the bus's devices: those with news hear of it.  irqs off. */
void virtio_bus_interrupt(struct virtio_bus *bus);

#endif
