/* SPDX-License-Identifier: MIT */
/* virtio_cap.h: the structures of a virtio device's modern interface on the PCI bus. */
#ifndef DRIVERS_VIRTIO_CAP_H
#define DRIVERS_VIRTIO_CAP_H

#include "drivers/pci.h"

/* The structures, in the order of VIRTIO_PCI_CAP_COMMON_CFG and the constants after it. */
enum virtio_part { VIRTIO_COMMON, VIRTIO_NOTIFY, VIRTIO_ISR, VIRTIO_CONFIG, NR_VIRTIO_PARTS };

/* Of longer structures only this many bytes are used. */
#define VIRTIO_PART_MAX (1u << 20)

struct virtio_place {
	phys_t start;
	u32 len; /* 0: not found */
};

struct virtio_places {
	struct virtio_place part[NR_VIRTIO_PARTS];
	u32 notify_step;        /* bytes from one queue's notification to the next one's */
	enum virtio_part wrong; /* on failure: the structure that is wrong, and the reason */
	const char *why;
};

/*
 * virtio_find_places - find the structures of the modern interface (virtio 1.2, 4.1.4), of each
 * kind the first usable one.  Each structure lies within the memory of one BAR, has its minimum
 * length, and shares no byte with another structure.
 * Returns 0; negative errno: @places->wrong and @places->why.  Context: thread.
 */
int virtio_find_places(const struct pci_function *fn, struct virtio_places *places);
/* The structure's name, such as "common configuration". */
const char *virtio_part_name(enum virtio_part part);

#endif
