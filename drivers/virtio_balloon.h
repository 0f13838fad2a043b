/* SPDX-License-Identifier: MIT */
/* virtio_balloon.h: the balloon's functions, for its thread and for tests. */
#ifndef DRIVERS_VIRTIO_BALLOON_H
#define DRIVERS_VIRTIO_BALLOON_H

#include "drivers/virtio.h"

#include <linux/virtio_balloon.h>
#include <quarry/movable.h>

/* The most pages in one buffer for the host, and the most pageblocks in one report. */
#define BALLOON_BATCH  256
#define BALLOON_REPORT 32

struct virtio_balloon {
	struct movable_owner owner; /* owner of the lent pages */
	struct virtio_device *dev;
	struct memory *mem; /* the memory whose pages are lent */
	struct mutex lock;  /* protects the first two queues, pfns[] and the list */
	struct virtqueue inflate, deflate, stats, report;
	struct page *dma; /* for pfns[] and stat[] */
	u32 *pfns;        /* pages reported to the host */
	struct virtio_balloon_stat *stat;
	u32 first;                  /* list of lent pages, by their links; PFN_NONE: empty */
	unsigned long nr;           /* number of lent pages; read without the lock when shown */
	unsigned long want;         /* pages that the host last asked for */
	u64 moved, reported;        /* atomic: pages moved; pageblocks reported */
	u64 asked;                  /* atomic: requests of the host for statistics */
	bool has_stats, has_report; /* the device offers statistics; reports */
	struct virtqueue *late;     /* under lock: the queue with an outstanding buffer, or NULL */
	pfn_t late_pfn; /* under lock: the page to release with that buffer, or PFN_NONE */
	u32 slow;       /* atomic: the device is slow: the balloon's thread must wait for it */
	u32 broken;     /* atomic: the device did not answer, and has been reset finally */
};

/*
 * Agree with the device and set up the queues.  Returns 0; or negative errno, and nothing stays
 * allocated.
 */
int balloon_open(struct virtio_balloon *b, struct virtio_device *dev, struct memory *mem);
/* Reset the device, take all pages back, free what balloon_open allocated. */
void balloon_close(struct virtio_balloon *b);
/* Reset the broken device; all its buffers belong to the kernel again.  Returns -EIO. */
int balloon_reset(struct virtio_balloon *b);
/* Take back all pages, after a reset. */
void balloon_take_all(struct virtio_balloon *b);
/*
 * Lend or take back pages until the host has as many as it asks for.  0; -ENOMEM no more pages to
 * lend now; -EIO the device is broken.
 */
int balloon_follow(struct virtio_balloon *b);
/* Answer the host's requests for statistics.  0; -EIO. */
int balloon_serve_stats(struct virtio_balloon *b);
/* Is there work for balloon_follow or balloon_serve_stats?  Any context. */
bool balloon_has_work(const struct virtio_balloon *b);
/* Report all free memory that has not been reported.  0; -EIO the device has been reset already. */
int balloon_report(struct virtio_balloon *b);
/*
 * One pass of the balloon's thread: answer the host, follow it, print news.  Returns the longest
 * time until the next pass if there is no work, in nanoseconds; 0: the device was broken and is
 * reset, all pages are taken back, and no pass follows.
 * Context: thread, may sleep.
 */
u64 balloon_turn(struct virtio_balloon *b);

#endif
