/* SPDX-License-Identifier: MIT */
/*
 * virtio_mem_request.h: requests of the virtio-mem driver to its device: see virtio_mem_request.c.
 */
#ifndef DRIVERS_VIRTIO_MEM_REQUEST_H
#define DRIVERS_VIRTIO_MEM_REQUEST_H

#include "drivers/virtio_mem.h"

/*
 * Context of these functions: the driver's thread.  They return 0; -EIO the device is broken, or
 * its answer makes no sense, which has been reported; or an error named below.
 */

static inline u64 unit_bytes(const struct virtio_mem *vm)
{
	return (u64)vm->unit << PAGE_SHIFT;
}

static inline pfn_t unit_pfn(const struct virtio_mem *vm, unsigned long unit)
{
	return vm->start + unit * vm->unit;
}

/* The units [@first, @first + @nr) are in @state from here on. */
void virtio_mem_set_state(
    struct virtio_mem *vm, unsigned long first, unsigned long nr, enum unit_state state);
/*
 * Make one request (VIRTIO_MEM_REQ_...) about the units [@first, @first + @nr); *@state, if not
 * NULL: the answer to STATE.  -EAGAIN the host has changed its wish meanwhile; -EBUSY try later.
 */
int virtio_mem_request(
    struct virtio_mem *vm, u16 type, unsigned long first, unsigned long nr, u16 *state);
/* Read the constant part of the configuration: the region, cut into units. */
int virtio_mem_read_geometry(struct virtio_mem *vm);
/* After a failure: has the host another wish since it was last read? */
bool virtio_mem_wishes_anew(struct virtio_mem *vm);
/* Read the host's wish, and check that both sides count the same plugged units. */
int virtio_mem_read_goal(struct virtio_mem *vm);
/*
 * Read the host's wish, and ask for the state of each unit.  Units in use are plugged: the device
 * must not unplug them.  All other units are as the device answers.
 */
int virtio_mem_ask_all(struct virtio_mem *vm);

#endif
