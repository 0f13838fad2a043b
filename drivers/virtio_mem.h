/* SPDX-License-Identifier: MIT */
/* virtio_mem.h: the parts of the virtio-mem driver, for its thread and for tests. */
#ifndef DRIVERS_VIRTIO_MEM_H
#define DRIVERS_VIRTIO_MEM_H

#include "drivers/virtio.h"

#include <linux/virtio_mem.h>

/*
 * The device's memory, in units: what is plugged and added at once, a pageblock or, where it is larger, a
 * block of the device.
 */
enum unit_state {
	UNIT_UNPLUGGED, /* the host's */
	UNIT_PLUGGED,   /* given to us, and in no use: on its way in or out */
	UNIT_IN_USE,    /* online */
	UNIT_KEPT,      /* online, and could not be taken out in this attempt */
};

struct virtio_mem {
	struct virtio_device *dev;
	struct memory *mem;        /* which it becomes part of */
	struct virtqueue queue;
	struct page *dma;          /* for one request and its answer */
	u64 block_size;            /* c: the device's, bytes */
	pfn_t start;               /* c: of the first unit */
	unsigned long unit;        /* c: pages of one */
	unsigned long nr_units;    /* c */
	unsigned node;             /* c */
	u8 *state;                 /* of each unit */
	unsigned long nr_plugged;  /* units not UNPLUGGED; read racily by those who show it */
	unsigned long goal;        /* units that the host asks for */
	unsigned long usable;      /* units from the first on that may be plugged now */
	unsigned long chunk;       /* units that are taken out at once; halved when that is too much */
	u64 plugs, unplugs, refused; /* units plugged, unplugged; answers other than ACK */
	struct mm_fail fail;       /* why memory could not be taken out */
	unsigned restarts;         /* since the last request that was answered */
	struct {                   /* what was said last */
		unsigned long plugged, goal;
		int err;
	} said;
};

/*
 * Agree with the device, read what it is, and ask it which units are plugged already: they are taken into
 * use.  Returns 0, or negative errno, which has been reported, and nothing is left behind.
 */
int virtio_mem_open(struct virtio_mem *vm, struct virtio_device *dev, struct memory *mem);
/* Reset the device and free what belongs to the driver; memory that is in use stays in use. */
void virtio_mem_close(struct virtio_mem *vm);
/*
 * virtio_mem_follow - plug or unplug until the device has what the host asks for, or it goes no further.
 * Returns 0; -EBUSY: some memory cannot be taken out now (vm->fail), or the device wants to be asked later;
 * -ENOMEM; -EIO: the device is broken, or says what makes no sense: virtio_mem_restart.
 * Context: thread, may sleep; one at a time.
 */
int virtio_mem_follow(struct virtio_mem *vm);
/*
 * Reset the device, agree again, and ask for the state of what is in doubt.  0 or negative errno: nothing is
 * asked of it, and virtio_mem_follow returns -EIO, until this has worked.
 */
int virtio_mem_restart(struct virtio_mem *vm);
/*
 * One turn of the device's thread: follow what the host asks for, after a restart if the turn before found the device
 * broken, and say what is new.  Returns for how long the next turn may wait, unless the host asks for something else:
 * nanoseconds.  Context: thread, may sleep.
 */
u64 virtio_mem_turn(struct virtio_mem *vm);

#endif
