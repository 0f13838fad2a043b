/* SPDX-License-Identifier: MIT */
/* virtio_balloon.h: the balloon's parts, for its thread and for tests. */
#ifndef DRIVERS_VIRTIO_BALLOON_H
#define DRIVERS_VIRTIO_BALLOON_H

#include "drivers/virtio.h"

#include <linux/virtio_balloon.h>
#include <quarry/movable.h>

/* Pages that the host is told of in one buffer, and pageblocks in one report. */
#define BALLOON_BATCH  256
#define BALLOON_REPORT 32

struct virtio_balloon {
	struct movable_owner owner; /* of its pages */
	struct virtio_device *dev;
	struct memory *mem;         /* whose pages it lends */
	struct mutex lock;          /* the first two queues, pfns[], the list */
	struct virtqueue inflate, deflate, stats, report;
	struct page *dma;           /* for pfns[] and stat[] */
	u32 *pfns;                  /* what the host is told of */
	struct virtio_balloon_stat *stat;
	u32 first;                  /* the pages that are lent, by their links; PFN_NONE: none */
	unsigned long nr;           /* how many; read racily by those who show it */
	unsigned long want;         /* how many the host last asked for */
	u64 moved, reported;        /* a: pages moved; pageblocks reported, */
	u64 asked;                  /* a: and how often the host wanted statistics */
	bool has_stats, has_report; /* the host offers them */
	struct virtqueue *late;     /* lock: whose buffer is out; NULL: none.  Then pfns[] is the device's */
	pfn_t late_pfn;             /* lock: the page to let go of when it comes back; PFN_NONE: none */
	u32 slow;                   /* a: the device takes its time, and the thread shall wait for it */
	u32 broken;                 /* a: the device did not answer, and has been reset for good */
};

/* Agree with the device and set up the queues.  0 or negative errno; then nothing is left behind. */
int balloon_open(struct virtio_balloon *b, struct virtio_device *dev, struct memory *mem);
/* Reset the device, take all pages back, free what balloon_open allocated. */
void balloon_close(struct virtio_balloon *b);
/* The device is broken: it is reset, and all that it had is ours.  -EIO. */
int balloon_give_up(struct virtio_balloon *b);
/* Take back all pages, after a reset. */
void balloon_take_all(struct virtio_balloon *b);
/*
 * Lend or take back pages until the host has what it asks for.  0; -ENOMEM: there are no more to lend now;
 * -EIO: the device is broken.
 */
int balloon_follow(struct virtio_balloon *b);
/* Answer the host's questions.  0; -EIO. */
int balloon_serve_stats(struct virtio_balloon *b);
/* Is there anything for these two to do?  Any context. */
bool balloon_has_work(const struct virtio_balloon *b);
/* Report all of the memory that is free and has not been reported.  0; -EIO: it is reset already. */
int balloon_report(struct virtio_balloon *b);
/*
 * One turn of the balloon's thread: answer the host, follow it, say what is new.  Returns for how long the next turn may
 * wait, unless there is work: nanoseconds; 0: the device was broken and is reset, all pages are ours, and no turn follows.
 * Context: thread, may sleep.
 */
u64 balloon_turn(struct virtio_balloon *b);

#endif
