/* SPDX-License-Identifier: MIT */
/*
 * virtio.c: the common part of all virtio devices: start, configuration, virtqueues.
 *
 * Owns:       the rings of virtqueues; the status of a device.
 * Locks:      none of its own; the user of a queue serialises its calls.
 * Invariants: the device is not trusted.  A queue is broken if the device returns a buffer that it
 *             did not have, or more buffers than it had, or reports more bytes than fit into a
 *             buffer, or does not answer.  From then on nothing is added to the queue or taken from
 *             it, so no memory changes hands.
 *             Memory that the device can write is read once: it may change at any time.
 *             A buffer handed to the device stays there until it comes back or the device has been
 *             reset.
 * Tests:      virtio, virtio_poll, virtio_steps, silence_device, tests/qemu/test_virtio.py.
 */
#include "drivers/virtio.h"

#include <linux/virtio_pci.h>

/* Attempts to read a configuration that changes during the read. */
#define CONFIG_TRIES 100

/* ---- status and features ---- */

static void add_status(struct virtio_device *dev, u8 bits)
{
	dev->ops->set_status(dev, dev->ops->get_status(dev) | bits);
}

int virtio_begin(struct virtio_device *dev, u64 want)
{
	u64 offered;

	virtio_reset(dev);
	if (dev->ops->get_status(dev)) {
		printk("%s: does not reset: left alone\n", dev->name);
		return -EIO;
	}
	add_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	add_status(dev, VIRTIO_CONFIG_S_DRIVER);
	offered = dev->offered = dev->ops->features(dev);
	if (!(offered >> VIRTIO_F_VERSION_1 & 1)) {
		printk("%s: a legacy device: left alone\n", dev->name);
		add_status(dev, VIRTIO_CONFIG_S_FAILED);
		return -ENODEV;
	}
	dev->features = offered & (want | 1ULL << VIRTIO_F_VERSION_1);
	dev->ops->accept(dev, dev->features);
	add_status(dev, VIRTIO_CONFIG_S_FEATURES_OK);
	if (!(dev->ops->get_status(dev) & VIRTIO_CONFIG_S_FEATURES_OK)) {
		printk("%s: does not agree to features %#llx of %#llx\n", dev->name,
		    (unsigned long long)dev->features, (unsigned long long)offered);
		add_status(dev, VIRTIO_CONFIG_S_FAILED);
		return -EIO;
	}
	return 0;
}

void virtio_ready(struct virtio_device *dev)
{
	add_status(dev, VIRTIO_CONFIG_S_DRIVER_OK);
}

void virtio_reset(struct virtio_device *dev)
{
	dev->ops->set_status(dev, 0);
}

bool virtio_is_broken(struct virtio_device *dev)
{
	u8 status = dev->ops->get_status(dev);

	return status & VIRTIO_CONFIG_S_NEEDS_RESET || !(status & VIRTIO_CONFIG_S_DRIVER_OK);
}

void virtio_interrupt(struct virtio_device *dev, u8 isr)
{
	if (isr & VIRTIO_PCI_ISR_CONFIG)
		store_release(&dev->config_changed, 1u);
	wake_up(&dev->wq);
}

/* ---- configuration ---- */

static void read_fields(
    struct virtio_device *dev, const struct virtio_field *field, unsigned nr, void *to)
{
	unsigned i, part;

	for (i = 0; i < nr; i++) {
		/* Fields of eight bytes are read as two parts of four bytes (4.1.3.1). */
		for (part = 0; part < field[i].len; part += 4) {
			unsigned at = field[i].at + part;
			u32 value = dev->ops->read(dev, at, MIN(field[i].len, 4u));

			memcpy((char *)to + at, &value, MIN(field[i].len, 4u));
		}
	}
}

int virtio_read_config(
    struct virtio_device *dev, const struct virtio_field *field, unsigned nr, void *to)
{
	unsigned try;

	for (try = 0; try < CONFIG_TRIES; try++) {
		u8 before = dev->ops->generation(dev);

		read_fields(dev, field, nr, to);
		if (dev->ops->generation(dev) == before)
			return 0;
		cpu_relax();
	}
	printk("%s: its configuration changes all the time\n", dev->name);
	return -EIO;
}

/* ---- queues ---- */

int virtqueue_start(struct virtqueue *q, struct virtio_device *dev, unsigned index)
{
	unsigned size = dev->ops->queue_size(dev, index), i;
	int err;

	if (!size)
		return -ENODEV;
	*q = (struct virtqueue){.dev = dev, .index = index, .size = 1};
	/* Choose a power of two (2.7) for which the ring fits into a page. */
	while (q->size * 2 <= size && q->size < VIRTQUEUE_MAX)
		q->size *= 2;
	q->page = alloc_pages(GFP_KERNEL, 0);
	if (!q->page)
		return -ENOMEM;
	memset(page_address(q->page), 0, PAGE_SIZE);
	BUILD_ASSERT(
	    VIRTQUEUE_MAX * (sizeof(struct vring_desc) + 2 + sizeof(struct vring_used_elem)) + 16 <=
	    PAGE_SIZE);
	vring_init(&q->ring, q->size, page_address(q->page), VRING_USED_ALIGN_SIZE);
	q->nr_free = (u16)q->size;
	for (i = 0; i < q->size; i++)
		q->next[i] = (u16)(i + 1);
	err = dev->ops->queue_start(dev, q);
	if (err)
		virtqueue_free(q);
	return err;
}

void virtqueue_free(struct virtqueue *q)
{
	if (q->page && free_pages(q->page, 0))
		panic("%s: queue %u: its page is not ours", q->dev->name, q->index);
	q->page = NULL;
}

int virtqueue_add(
    struct virtqueue *q, const struct virtio_buf *bufs, unsigned out, unsigned in, void *token)
{
	u16 first = q->free, at = first, last = first;
	unsigned i, nr = out + in;

	if (q->broken)
		return -EIO;
	if (nr == 0 || nr > q->nr_free)
		return -ENOSPC;
	q->room[first] = 0;
	for (i = 0; i < nr; i++) {
		u16 flags = (u16)((i < out ? 0 : VRING_DESC_F_WRITE) |
		    (i + 1 < nr ? VRING_DESC_F_NEXT : 0));

		q->ring.desc[at] = (struct vring_desc){
		    .addr = bufs[i].addr, .len = bufs[i].len, .flags = flags, .next = q->next[at]};
		if (i >= out)
			q->room[first] += bufs[i].len;
		last = at;
		at = q->next[at];
	}
	q->free = q->next[last];
	q->nr_free = (u16)(q->nr_free - nr);
	q->used[first] = (u16)nr;
	q->token[first] = token;
	q->ring.avail->ring[q->given++ % q->size] = first;
	/* The device reads the index first: the entries below it must be visible. */
	store_release(&q->ring.avail->idx, q->given);
	return 0;
}

void virtqueue_notify(struct virtqueue *q)
{
	full_barrier(); /* the index must be visible before the notification */
	q->dev->ops->notify(q->dev, q);
}

bool virtqueue_pending(const struct virtqueue *q)
{
	return load_acquire(&q->ring.used->idx) != q->seen;
}

static void *broken(struct virtqueue *q, const char *what, u32 value)
{
	q->broken = true;
	printk("%s: queue %u: the device %s (%u): it is not used any more\n", q->dev->name,
	    q->index, what, value);
	return NULL;
}

void *virtqueue_take(struct virtqueue *q, u32 *len)
{
	u16 idx = load_acquire(&q->ring.used->idx), last;
	const struct vring_used_elem *elem = &q->ring.used->ring[q->seen % q->size];
	u32 first, wrote;
	unsigned i;

	if (q->broken || idx == q->seen)
		return NULL;
	first = READ_ONCE(elem->id);
	wrote = READ_ONCE(elem->len);
	if ((u16)(idx - q->seen) > q->size - q->nr_free)
		return broken(q, "returned more buffers than it had", (u16)(idx - q->seen));
	if (first >= q->size || !q->used[first])
		return broken(q, "returned a buffer that it did not have", first);
	if (wrote > q->room[first])
		return broken(q, "wrote more than there was room for", wrote);
	last = (u16)first;
	for (i = 1; i < q->used[first]; i++)
		last = q->next[last];
	q->next[last] = q->free;
	q->free = (u16)first;
	q->nr_free = (u16)(q->nr_free + q->used[first]);
	q->used[first] = 0;
	q->seen++;
	*len = wrote;
	return q->token[first];
}

struct answer {
	struct virtqueue *q;
	bool came;
	u32 len;
};

/*
 * Has the answer come?  This also takes the buffer, so the index is read only once: between two
 * reads the device could withdraw the answer.
 */
static bool answered(void *arg)
{
	struct answer *answer = arg;

	answer->came = answer->came || virtqueue_take(answer->q, &answer->len);
	return answer->came || answer->q->broken;
}

long virtqueue_wait(struct virtqueue *q, u64 timeout_ns)
{
	struct virtio_device *dev = q->dev;
	u64 began = arch_clock_ns(), spent = 0;
	struct answer answer = {.q = q};

	while (
	    !wait_until(&dev->wq, answered, &answer, MIN(dev->patience_ns, timeout_ns - spent))) {
		if (virtio_is_broken(dev)) {
			broken(q, "has stopped", dev->ops->get_status(dev));
			return -EIO;
		}
		spent = arch_clock_ns() - began;
		if (spent >= timeout_ns)
			return -EAGAIN;
	}
	return answer.came ? (long)answer.len : -EIO;
}

long virtqueue_call(struct virtqueue *q, const struct virtio_buf *bufs, unsigned out, unsigned in)
{
	u64 patience = q->dev->patience_ns;
	long len = virtqueue_add(q, bufs, out, in, q);

	if (len)
		return len;
	virtqueue_notify(q);
	len = virtqueue_wait(q, patience);
	if (len == -EAGAIN) {
		printk("%s: queue %u: no answer for %llu ms\n", q->dev->name, q->index,
		    (unsigned long long)(patience / 1000000));
		len = virtqueue_wait(q, (VIRTIO_PATIENCES - 1) * patience);
	}
	if (len == -EAGAIN) {
		broken(q, "does not answer", q->seen);
		len = -EIO;
	}
	return len;
}
