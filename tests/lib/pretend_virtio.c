/* SPDX-License-Identifier: MIT */
/* pretend_virtio.c: see pretend_virtio.h. */
#include "tests/lib/pretend_virtio.h"

struct pretend pretend_dev;

static struct pretend *to_pretend(struct virtio_device *dev)
{
	return container_of(dev, struct pretend, dev);
}

/*
 * Note a call as a letter. R: reset; A, D, F, K, X: the status bit ACKNOWLEDGE, DRIVER,
 * FEATURES_OK, DRIVER_OK, FAILED is set; !: a status bit is cleared; f: features read; a: features
 * accepted; q: a queue started.
 */
static void pretend_note(struct pretend *p, char what)
{
	size_t len = strlen(p->log);

	if (len + 1 < sizeof(p->log))
		p->log[len] = what;
}

static void pretend_note_status(struct pretend *p, u8 status)
{
	static const struct {
		u8 bit;
		char what;
	} bits[] = {{VIRTIO_CONFIG_S_ACKNOWLEDGE, 'A'}, {VIRTIO_CONFIG_S_DRIVER, 'D'},
	    {VIRTIO_CONFIG_S_FEATURES_OK, 'F'}, {VIRTIO_CONFIG_S_DRIVER_OK, 'K'},
	    {VIRTIO_CONFIG_S_FAILED, 'X'}};
	unsigned i;

	if (!status)
		pretend_note(p, 'R');
	else if (p->status & ~status)
		pretend_note(p, '!');
	for (i = 0; i < ARRAY_SIZE(bits); i++)
		if (status & ~p->status & bits[i].bit)
			pretend_note(p, bits[i].what);
}

void *pretend_memory(phys_t addr)
{
	return arch_phys_to_virt(addr);
}

void pretend_return(struct pretend *p, unsigned queue, u16 first, u32 wrote)
{
	struct vring *ring = &p->queue[queue]->ring;
	u16 idx = ring->used->idx;
	struct vring_used_elem elem = {
	    .id = p->lie == LIE_ID ? ring->num : first, .len = p->lie == LIE_LEN ? ~0u : wrote};

	ring->used->ring[idx % ring->num] = elem;
	ring->used->ring[(idx + 1) % ring->num] = elem;
	idx = (u16)(idx + (p->lie == LIE_COUNT ? 2 * ring->num : p->lie == LIE_TWICE ? 2 : 1));
	store_release(&ring->used->idx, idx);
	p->lie = LIE_NONE;
}

void pretend_gather(struct pretend *p, struct pretend_buf *buf, u16 first)
{
	const struct vring *ring = &p->queue[buf->queue]->ring;
	u16 at = first;

	buf->nr_out = buf->nr_in = 0;
	for (;;) {
		const struct vring_desc *d = &ring->desc[at];
		struct virtio_buf piece = {d->addr, d->len};

		if (d->flags & VRING_DESC_F_WRITE)
			buf->in[buf->nr_in++] = piece;
		else
			buf->out[buf->nr_out++] = piece;
		if (!(d->flags & VRING_DESC_F_NEXT))
			return;
		at = d->next;
	}
}

/* Serve one buffer of the queue. False: the queue has no buffer left. */
static bool pretend_serve(struct pretend *p, unsigned queue)
{
	struct vring *ring = &p->queue[queue]->ring;
	struct pretend_buf buf = {.queue = queue};
	u16 first;
	u32 wrote;

	if (load_acquire(&ring->avail->idx) == p->seen[queue])
		return false;
	first = ring->avail->ring[p->seen[queue]++ % ring->num];
	pretend_gather(p, &buf, first);
	wrote = p->serve ? p->serve(p, &buf) : NO_ANSWER;
	if (wrote == NO_ANSWER)
		store_release(&p->kept[queue], (u16)(first + 1));
	else
		pretend_return(p, queue, first, wrote);
	return true;
}

void pretend_answer(struct pretend *p, unsigned queue, u32 wrote)
{
	pretend_return(p, queue, (u16)(p->kept[queue] - 1), wrote);
	p->kept[queue] = 0;
	virtio_interrupt(&p->dev, 1);
}

static u64 pretend_features(struct virtio_device *dev)
{
	struct pretend *p = to_pretend(dev);

	pretend_note(p, 'f');
	return p->asked++ && p->offered_later ? p->offered_later : p->offered;
}

static void pretend_accept(struct virtio_device *dev, u64 features)
{
	pretend_note(to_pretend(dev), 'a');
	to_pretend(dev)->accepted = features;
}

static u8 pretend_get_status(struct virtio_device *dev)
{
	struct pretend *p = to_pretend(dev);

	if (atomic_add(&p->polls, 1u) + 1 == p->breaks_at)
		WRITE_ONCE(p->status, p->status | VIRTIO_CONFIG_S_NEEDS_RESET);
	return READ_ONCE(p->status);
}

static void pretend_set_status(struct virtio_device *dev, u8 status)
{
	struct pretend *p = to_pretend(dev);
	unsigned i;

	pretend_note_status(p, status);
	WRITE_ONCE(p->status, (u8)((status & ~(unsigned)p->refused) | p->stuck));
	if (status)
		return;
	if (p->on_reset)
		p->on_reset(p);
	/* The rings are the device's until its reset. */
	for (i = 0; i < PRETEND_QUEUES; i++)
		EXPECT(p->t, !p->queue[i] || p->queue[i]->page);
	p->resets++;
	p->asked = 0;
	memset(p->queue, 0, sizeof(p->queue));
	memset(p->seen, 0, sizeof(p->seen));
	memset(p->kept, 0, sizeof(p->kept));
}

static u32 pretend_read(struct virtio_device *dev, unsigned at, unsigned len)
{
	u32 value = 0;

	memcpy(&value, to_pretend(dev)->config + at, len);
	if (to_pretend(dev)->on_read)
		to_pretend(dev)->on_read(to_pretend(dev), at);
	return value;
}

static void pretend_write(struct virtio_device *dev, unsigned at, unsigned len, u32 value)
{
	memcpy(to_pretend(dev)->config + at, &value, len);
}

static u8 pretend_generation(struct virtio_device *dev)
{
	struct pretend *p = to_pretend(dev);

	if (p->unsteady && p->unsteady != 0xff)
		p->unsteady--;
	return p->unsteady ? p->generation++ : p->generation;
}

static unsigned pretend_queue_size(struct virtio_device *dev, unsigned index)
{
	return index < PRETEND_QUEUES ? to_pretend(dev)->size[index] : 0;
}

static int pretend_queue_start(struct virtio_device *dev, const struct virtqueue *q)
{
	if (to_pretend(dev)->refuse_queue)
		return to_pretend(dev)->refuse_queue;
	pretend_note(to_pretend(dev), 'q');
	to_pretend(dev)->queue[q->index] = (struct virtqueue *)(uintptr_t)q;
	return 0;
}

static void pretend_notify(struct virtio_device *dev, const struct virtqueue *q)
{
	struct pretend *p = to_pretend(dev);

	p->notified++;
	if (!p->queue[q->index]) {
		ktest_fail(
		    p->t, __FILE__, __LINE__, "told of queue %u, which it has not got", q->index);
		return;
	}
	if (p->polls_itself)
		return;
	while (!(p->status & VIRTIO_CONFIG_S_NEEDS_RESET) && pretend_serve(p, q->index))
		;
	virtio_interrupt(dev, 1);
}

static const struct virtio_ops pretend_ops = {
    .features = pretend_features,
    .accept = pretend_accept,
    .get_status = pretend_get_status,
    .set_status = pretend_set_status,
    .read = pretend_read,
    .write = pretend_write,
    .generation = pretend_generation,
    .queue_size = pretend_queue_size,
    .queue_start = pretend_queue_start,
    .notify = pretend_notify,
};

void pretend_init(struct pretend *p, struct ktest *t, u64 features,
    u32 (*serve)(struct pretend *, const struct pretend_buf *))
{
	unsigned i;

	*p = (struct pretend){
	    .offered = features | 1ULL << VIRTIO_F_VERSION_1, .serve = serve, .t = t};
	p->dev = (struct virtio_device){.ops = &pretend_ops,
	    .name = "pretend",
	    .wq = WAITQ("pretend"),
	    .patience_ns = VIRTIO_PATIENCE_NS};
	for (i = 0; i < PRETEND_QUEUES; i++)
		p->size[i] = 64;
}

bool pretend_start_queue(struct ktest *t, struct pretend *p, struct virtqueue *q)
{
	int err = virtio_begin(&p->dev, 0);

	err = err ? err : virtqueue_start(q, &p->dev, 0);
	EXPECT_EQ(t, err, 0);
	if (!err)
		virtio_ready(&p->dev);
	return !err;
}
