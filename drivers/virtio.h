/* SPDX-License-Identifier: MIT */
/*
 * virtio.h: the interface between a virtio device and its driver, for any transport: PCI, or a
 * test's pretend device.  Virtio 1.2 without the legacy interface; section numbers are those of
 * that specification.
 */
#ifndef DRIVERS_VIRTIO_H
#define DRIVERS_VIRTIO_H

#include <quarry/mm.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

/* The device's structures are little-endian, and so is this machine. */
BUILD_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

/* The most descriptors of a queue, so that its ring fits into a page. */
#define VIRTQUEUE_MAX 64
/*
 * A device that is silent for this long is reported; after VIRTIO_PATIENCES times as long it counts
 * as broken.
 */
#define VIRTIO_PATIENCE_NS 10000000000ULL
#define VIRTIO_PATIENCES   3

struct virtio_device;
struct virtqueue;

/* The transport of a device.  Context: thread, may sleep. */
struct virtio_ops {
	u64 (*features)(struct virtio_device *dev); /* features that the device offers */
	void (*accept)(struct virtio_device *dev, u64 features);
	u8 (*get_status)(struct virtio_device *dev);
	/*
	 * @status 0 is a reset, complete at return: from then on the device uses no memory of the
	 * kernel.
	 */
	void (*set_status)(struct virtio_device *dev, u8 status);
	/*
	 * Access a field of 1, 2 or 4 bytes at @at of the device-specific configuration.
	 * generation() returns the configuration's generation.
	 */
	u32 (*read)(struct virtio_device *dev, unsigned at, unsigned len);
	void (*write)(struct virtio_device *dev, unsigned at, unsigned len, u32 value);
	u8 (*generation)(struct virtio_device *dev);
	/* The largest size of queue @index, in descriptors; 0: there is no such queue. */
	unsigned (*queue_size)(struct virtio_device *dev, unsigned index);
	/* Give the device the ring's address, and enable the queue.  0 or negative errno. */
	int (*queue_start)(struct virtio_device *dev, const struct virtqueue *q);
	void (*notify)(struct virtio_device *dev, const struct virtqueue *q);
};

struct virtio_device {
	const struct virtio_ops *ops;
	const char *name;
	u32 id;             /* VIRTIO_ID_... */
	u64 offered;        /* features offered; read once after each reset */
	u64 features;       /* features offered and accepted */
	u32 config_changed; /* atomic: the configuration has changed; cancels an offline */
	struct waitq wq;    /* woken by each interrupt */
	u64 patience_ns;    /* VIRTIO_PATIENCE_NS; tests set less */
	/* the node of a proximity domain of the firmware; NULL: always node 0 */
	unsigned (*node_of)(u32 domain);
};

/* ---- starting a device (3.1.1) ---- */

/*
 * virtio_begin - reset @dev and agree on features: those of @want that the device offers, and
 * VERSION_1.
 * Returns 0; -ENODEV a legacy device; -EIO it does not agree, or does not reset.
 */
int virtio_begin(struct virtio_device *dev, u64 want);
/* The queues are set up: the device may work from here on. */
void virtio_ready(struct virtio_device *dev);
/* Reset the device, finally or before virtio_begin; its buffers belong to the kernel again. */
void virtio_reset(struct virtio_device *dev);
/* True: the device needs a reset, or has stopped, and will not answer any more. */
bool virtio_is_broken(struct virtio_device *dev);
/* For the transport: handle an interrupt with the bits @isr of the ISR status.  Any context. */
void virtio_interrupt(struct virtio_device *dev, u8 isr);

/* ---- configuration ---- */

struct virtio_field {
	u8 at, len; /* 1, 2, 4 or 8 bytes */
};
#define VIRTIO_FIELD(type, member)                                                                 \
	{                                                                                          \
		offsetof(type, member), sizeof(((type *)0)->member)                                \
	}
/*
 * Read @nr fields to the same offsets of @to, consistently.  Returns 0; -EIO they change all the
 * time.
 */
int virtio_read_config(
    struct virtio_device *dev, const struct virtio_field *field, unsigned nr, void *to);

/* ---- split virtqueues (2.7) ---- */

struct virtio_buf {
	phys_t addr;
	u32 len;
};

/* Used by one thread at a time: under its owner's lock, or by the only thread. */
struct virtqueue {
	struct virtio_device *dev; /* constant */
	unsigned index, size;      /* constant; size in descriptors */
	struct page *page;         /* constant: the ring */
	struct vring ring;
	bool broken;       /* the device broke the protocol: do not use it */
	u16 free, nr_free; /* free descriptors, linked by next[] */
	u16 given, seen;   /* buffers handed over and returned, as the ring counts them */
	/*
	 * The arrays below are indexed by descriptor.  They are not in the ring, where the device
	 * could overwrite them.
	 */
	u16 next[VIRTQUEUE_MAX];
	u16 used[VIRTQUEUE_MAX]; /* number of a buffer's descriptors, at the first one; else 0 */
	u32 room[VIRTQUEUE_MAX]; /* bytes of a buffer that the device may write, at the first one */
	void *token[VIRTQUEUE_MAX];
};

/*
 * virtqueue_start - set up queue @index, between virtio_begin and virtio_ready.
 * Returns 0; -ENODEV no such queue; -ENOMEM; -EIO refused.
 */
int virtqueue_start(struct virtqueue *q, struct virtio_device *dev, unsigned index);
/* Free the ring, after virtio_reset. */
void virtqueue_free(struct virtqueue *q);
/*
 * virtqueue_add - hand over one buffer: @out pieces that the device reads, then @in pieces that it
 * writes.  The memory belongs to the device until virtqueue_take returns @token, which is not NULL.
 * Returns 0; -ENOSPC no free descriptors now; -EIO broken.  The device is not notified yet.
 */
int virtqueue_add(
    struct virtqueue *q, const struct virtio_buf *bufs, unsigned out, unsigned in, void *token);
/* Notify the device. */
void virtqueue_notify(struct virtqueue *q);
/*
 * Take a buffer that the device has returned: the result is its token, and *@len the bytes written.
 * NULL: no buffer, or the queue is broken.
 */
void *virtqueue_take(struct virtqueue *q, u32 *len);
/* Has the device returned a buffer that virtqueue_take has not taken?  Any context. */
bool virtqueue_pending(const struct virtqueue *q);
/*
 * virtqueue_wait - wait until the only buffer handed over comes back, for @timeout_ns at most.
 * Returns bytes written; -EAGAIN not yet; -EIO the queue or the device is broken: reset it.
 */
long virtqueue_wait(struct virtqueue *q, u64 timeout_ns);
/*
 * virtqueue_call - hand over one buffer on a queue without outstanding buffers, and wait until it
 * comes back.  A device that takes longer than VIRTIO_PATIENCES times its patience counts as
 * broken: it keeps the memory until the reset.
 * Returns bytes written; -ENOSPC too many pieces; -EIO the queue or the device is broken: reset it.
 */
long virtqueue_call(struct virtqueue *q, const struct virtio_buf *bufs, unsigned out, unsigned in);

/* ---- drivers: take over a device.  0 or negative errno, which has been reported ---- */

int virtio_mem_probe(struct virtio_device *dev);
int virtio_balloon_probe(struct virtio_device *dev);

/* For the prompt: print one line for each device.  False: there is no device. */
bool virtio_mem_show(void);
bool virtio_balloon_show(void);

#endif
