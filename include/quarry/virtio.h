/* SPDX-License-Identifier: MIT */
/* virtio.h: the devices through which the host gives and takes memory (drivers/virtio_start.c). */
#ifndef QUARRY_VIRTIO_H
#define QUARRY_VIRTIO_H

#include <quarry/types.h>

/* Find the devices, and start the drivers' threads.  Context: thread, may sleep. */
void virtio_init(void);
/* Print the statistics of each driver that has a device; false: there is none. */
bool virtio_show(void);

#endif
