/* SPDX-License-Identifier: MIT */
/* virtio.h: the devices by which the host gives and takes memory (drivers/virtio_start.c). */
#ifndef QUARRY_VIRTIO_H
#define QUARRY_VIRTIO_H

#include <quarry/types.h>

/* Find them, and start the drivers' threads.  Context: thread, may sleep. */
void virtio_init(void);
/* Print what each driver has done. */
void virtio_show(void);

#endif
