/* SPDX-License-Identifier: MIT */
/* virtio_mem.h: the parts of the virtio-mem driver, for its thread and for tests. */
#ifndef DRIVERS_VIRTIO_MEM_H
#define DRIVERS_VIRTIO_MEM_H

#include "drivers/virtio.h"

#include <linux/virtio_mem.h>

/*
 * The device's memory, in units that are plugged and added at once: a pageblock or, if larger, a
 * block of the device.
 */
enum unit_state {
	UNIT_UNPLUGGED, /* belongs to the host */
	UNIT_PLUGGED,   /* belongs to the kernel, and is not in use */
	UNIT_IN_USE,    /* online */
	UNIT_KEPT,      /* online; could not be taken offline in this attempt */
};

struct virtio_mem {
	struct virtio_device *dev;
	struct memory *mem; /* the memory that units are added to */
	struct virtqueue queue;
	struct page *dma;            /* for one request and its answer */
	u64 block_size;              /* constant: bytes of the device's blocks */
	pfn_t start;                 /* constant: the first unit's first page */
	unsigned long unit;          /* constant: pages of one unit */
	unsigned long nr_units;      /* constant */
	unsigned node;               /* constant */
	u8 *state;                   /* the state of each unit */
	unsigned long nr_plugged;    /* units not UNPLUGGED; read by other threads when shown */
	unsigned long goal;          /* units that the host asks for */
	unsigned long usable;        /* units, from the first on, that may be plugged now */
	unsigned long chunk;         /* units taken offline at once; halved if that is too many */
	u64 plugs, unplugs, refused; /* units plugged, unplugged; answers other than ACK */
	struct mm_fail fail;         /* the reason why memory could not be taken offline */
	unsigned restarts;           /* restarts in a row */
	struct {                     /* the values printed last */
		unsigned long plugged, goal;
		int err;
	} said;
};

/*
 * Agree with the device, read its configuration, and ask which units are plugged already;
 * virtio_mem_follow will use these units.
 * Returns 0; or negative errno, which has been reported, and nothing is allocated.
 */
int virtio_mem_open(struct virtio_mem *vm, struct virtio_device *dev, struct memory *mem);
/* Reset the device and free the driver's memory; units in use stay in use. */
void virtio_mem_close(struct virtio_mem *vm);
/*
 * virtio_mem_follow - plug or unplug until the host's wish is met, or no step is possible.  Returns
 * 0; -EBUSY some memory cannot be taken offline now (vm->fail), or the device wants to be asked
 * later; -ENOMEM; -EIO the device is broken, or gives invalid answers: virtio_mem_restart.
 * Context: thread, may sleep; one at a time.
 */
int virtio_mem_follow(struct virtio_mem *vm);
/*
 * A part of it: online_pages of added units [@first, @first + @nr) has returned @err.  What another
 * operation uses is in use; else the units are removed: -EBUSY.
 */
int virtio_mem_use(struct virtio_mem *vm, unsigned long first, unsigned long nr, int err);
/*
 * Reset the device, agree again, and ask for the state of units in doubt.  0; or negative errno:
 * the device gets no requests, and virtio_mem_follow returns -EIO, until a restart succeeds.
 */
int virtio_mem_restart(struct virtio_mem *vm);
/*
 * One pass of the device's thread: follow the host's wish, after a restart if the last pass found
 * the device broken, and print news.
 * Returns the longest time until the next pass, in nanoseconds; a new wish of the host ends that
 * wait early.  Context: thread, may sleep.
 */
u64 virtio_mem_turn(struct virtio_mem *vm);

#endif
