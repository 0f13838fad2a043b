/* SPDX-License-Identifier: MIT */
/*
 * pretend_virtio.h: a virtio device that a test simulates. It answers immediately, within the
 * driver's notification, unless the test makes it silent, late or lying.
 */
#ifndef QUARRY_TESTS_PRETEND_VIRTIO_H
#define QUARRY_TESTS_PRETEND_VIRTIO_H

#include "drivers/virtio.h"
#include <quarry/ktest.h>
#include <quarry/string.h>

#include <linux/virtio_pci.h>

#define PRETEND_QUEUES 4
#define PRETEND_PIECES 64
/* Returned by serve() for no answer yet. */
#define NO_ANSWER (~0u)

/* The fault in the next buffer that the device returns. */
enum pretend_lie {
	LIE_NONE,
	LIE_ID,    /* an id that no descriptor of the queue has */
	LIE_TWICE, /* the device returns the buffer twice */
	LIE_LEN,   /* a length larger than the buffer */
	LIE_COUNT, /* more buffers than the driver gave */
};

/* One buffer, as the device sees it. */
struct pretend_buf {
	unsigned queue, nr_out, nr_in;
	struct virtio_buf out[PRETEND_PIECES], in[PRETEND_PIECES];
};

struct pretend {
	struct virtio_device dev;
	u64 offered, accepted;
	u64 offered_later;       /* not 0: features offered from the second read on */
	bool polls_itself;       /* a notification does not make the device read the ring */
	u8 status, refused;      /* refused: bits of the status that it does not take */
	u8 stuck;                /* bits of the status that no reset clears */
	u8 generation, unsteady; /* unsteady: this many reads of the configuration see it change */
	u8 config[64];
	char log[32]; /* calls so far, a letter each: pretend_note */
	unsigned size[PRETEND_QUEUES];
	int refuse_queue; /* the result of starting a queue */
	struct virtqueue *queue[PRETEND_QUEUES];
	u16 seen[PRETEND_QUEUES];
	u16 kept[PRETEND_QUEUES]; /* atomic: first descriptor of an unanswered buffer, + 1 */
	unsigned resets, notified, asked; /* asked: reads of its features since the last reset */
	/* atomic: reads of the status; at read number breaks_at the device breaks, 0: never */
	u32 polls, breaks_at;
	enum pretend_lie lie;
	/* Called after each read of the configuration, and at each reset; may be NULL. */
	void (*on_read)(struct pretend *p, unsigned at);
	void (*on_reset)(struct pretend *p);
	u32 (*serve)(struct pretend *p, const struct pretend_buf *buf); /* returns bytes written */
	struct ktest *t;
};

/* The memory at an address that the driver gave the device. */
void *pretend_memory(phys_t addr);

void pretend_return(struct pretend *p, unsigned queue, u16 first, u32 wrote);
void pretend_gather(struct pretend *p, struct pretend_buf *buf, u16 first);
/* Return the buffer that was kept, and interrupt. */
void pretend_answer(struct pretend *p, unsigned queue, u32 wrote);

/* The device of the running test; one test at a time. */
extern struct pretend pretend_dev;

/* A device with VERSION_1 and queues of 64, whose buffers @serve handles. */
void pretend_init(struct pretend *p, struct ktest *t, u64 features,
    u32 (*serve)(struct pretend *, const struct pretend_buf *));
/* Start @p and its queue 0. */
bool pretend_start_queue(struct ktest *t, struct pretend *p, struct virtqueue *q);

#endif
