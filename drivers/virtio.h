/* SPDX-License-Identifier: MIT */
/*
 * virtio.h: a virtio device as its driver sees it, whatever lies between: PCI, or the pretend device of a
 * test.  Virtio 1.2 without the legacy interface; sections are those of that specification.
 */
#ifndef DRIVERS_VIRTIO_H
#define DRIVERS_VIRTIO_H

#include <quarry/mm.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

/* What is little-endian in the device's structures is written as it is. */
BUILD_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

/* Descriptors of a queue at most: then all of its ring fits into a page. */
#define VIRTQUEUE_MAX 64
/* A device that has not answered for so long is reported; after so many times as long it is broken. */
#define VIRTIO_PATIENCE_NS 10000000000ULL
#define VIRTIO_PATIENCES   3

struct virtio_device;
struct virtqueue;

/* How a device is reached.  Context: thread, may sleep. */
struct virtio_ops {
	u64 (*features)(struct virtio_device *dev); /* what it offers */
	void (*accept)(struct virtio_device *dev, u64 features);
	u8 (*get_status)(struct virtio_device *dev);
	/* 0 is a reset, and done at return: from then on the device uses no memory of ours. */
	void (*set_status)(struct virtio_device *dev, u8 status);
	/* Its own configuration: a field of 1, 2 or 4 bytes at @at.  @generation: of all of it. */
	u32 (*read)(struct virtio_device *dev, unsigned at, unsigned len);
	void (*write)(struct virtio_device *dev, unsigned at, unsigned len, u32 value);
	u8 (*generation)(struct virtio_device *dev);
	/* Descriptors of queue @index at most; 0: there is no such queue. */
	unsigned (*queue_size)(struct virtio_device *dev, unsigned index);
	/* Tell the device where the ring is, and turn the queue on.  0 or negative errno. */
	int (*queue_start)(struct virtio_device *dev, const struct virtqueue *q);
	void (*notify)(struct virtio_device *dev, const struct virtqueue *q);
};

struct virtio_device {
	const struct virtio_ops *ops;
	const char *name;
	u32 id;              /* VIRTIO_ID_... */
	u64 offered;         /* what it said it offers, when it was asked: once after each reset */
	u64 features;        /* offered and accepted */
	u32 config_changed;  /* a: since it was last cleared; a word that calls an offline off */
	struct waitq wq;     /* woken by each interrupt */
	u64 patience_ns;     /* VIRTIO_PATIENCE_NS, but for tests */
	unsigned (*node_of)(u32 domain); /* the node of a proximity domain of the firmware; NULL: 0 */
};

/* ---- starting a device (3.1.1) ---- */

/*
 * virtio_begin - reset @dev and agree on features: those of @want that it offers, and VERSION_1.
 * Returns 0; -ENODEV it is a legacy device; -EIO it does not agree, or does not reset.
 */
int virtio_begin(struct virtio_device *dev, u64 want);
/* The queues are there: the device may work from here on. */
void virtio_ready(struct virtio_device *dev);
/* Reset it, for good or before the next virtio_begin: what it had of ours is ours again. */
void virtio_reset(struct virtio_device *dev);
/* It wants to be reset, or has stopped: it will answer no more. */
bool virtio_is_broken(struct virtio_device *dev);
/* For the transport: an interrupt, with these bits of the ISR status.  Any context. */
void virtio_interrupt(struct virtio_device *dev, u8 isr);

/* ---- configuration ---- */

struct virtio_field {
	u8 at, len; /* 1, 2, 4 or 8 bytes */
};
#define VIRTIO_FIELD(type, member) {offsetof(type, member), sizeof(((type *)0)->member)}
/*
 * Read @nr fields to the same places of @to, all of one moment.  0; -EIO it changes all the time.
 */
int virtio_read_config(struct virtio_device *dev, const struct virtio_field *field, unsigned nr, void *to);

/* ---- split virtqueues (2.7) ---- */

struct virtio_buf {
	phys_t addr;
	u32 len;
};

/* Used by one thread at a time: its owner's lock, or the only thread there is. */
struct virtqueue {
	struct virtio_device *dev; /* c */
	unsigned index, size;      /* c; size in descriptors */
	struct page *page;         /* c: the ring */
	struct vring ring;
	bool broken;               /* the device returned what it did not have; it is not believed any more */
	u16 free, nr_free;         /* descriptors of no buffer, linked by next[] */
	u16 given, seen;           /* buffers that went out, and came back, as the ring counts them */
	/* Of each descriptor; not in the ring, where the device could write: */
	u16 next[VIRTQUEUE_MAX];
	u16 used[VIRTQUEUE_MAX];   /* first of a buffer that is out: how many descriptors it has; else 0 */
	u32 room[VIRTQUEUE_MAX];   /* bytes of that buffer that the device may write */
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
 * virtqueue_add - hand over one buffer: @out pieces that the device reads, then @in that it writes.
 * @token: what virtqueue_take returns; not NULL.  Until then the memory is the device's.
 * Returns 0; -ENOSPC no room for it now; -EIO broken.  The device is not told yet.
 */
int virtqueue_add(struct virtqueue *q, const struct virtio_buf *bufs, unsigned out, unsigned in, void *token);
/* Tell the device. */
void virtqueue_notify(struct virtqueue *q);
/* A buffer that came back, and in *@len how many bytes were written; NULL: none, or broken. */
void *virtqueue_take(struct virtqueue *q, u32 *len);
/* Would virtqueue_take find anything?  Any context. */
bool virtqueue_pending(const struct virtqueue *q);
/*
 * virtqueue_wait - wait until the only buffer that is out comes back, for @timeout_ns at most.
 * Returns bytes written; -EAGAIN not yet: it is still out; -EIO the queue or the device is broken: reset it.
 */
long virtqueue_wait(struct virtqueue *q, u64 timeout_ns);
/*
 * virtqueue_call - hand over one buffer on a queue with none out, and wait until it comes back.  A device
 * that takes longer than VIRTIO_PATIENCES times its patience is broken: the memory is its own until the reset.
 * Returns bytes written; -ENOSPC the pieces are too many; -EIO the queue or the device is broken: reset it.
 */
long virtqueue_call(struct virtqueue *q, const struct virtio_buf *bufs, unsigned out, unsigned in);

/* ---- drivers: take over a device that was found.  0 or negative errno, which has been reported ---- */

int virtio_mem_probe(struct virtio_device *dev);
int virtio_balloon_probe(struct virtio_device *dev);

/* Print one line for each; the monitor's. */
void virtio_mem_show(void);
void virtio_balloon_show(void);

#endif
