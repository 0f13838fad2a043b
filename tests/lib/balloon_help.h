/* SPDX-License-Identifier: MIT */
/*
 * balloon_help.h: a balloon on a device that records the pages that it is told of, for the suites
 * of its driver.
 */
#ifndef QUARRY_TESTS_BALLOON_HELP_H
#define QUARRY_TESTS_BALLOON_HELP_H

#include "drivers/virtio_balloon.h"
#include "tests/lib/mm_help.h"
#include "tests/lib/pretend_virtio.h"

#define INFLATE 0
#define DEFLATE 1
#define STATS   2
#define REPORT  3
#define ALL_FEATURES                                                                               \
	(1ULL << VIRTIO_BALLOON_F_MUST_TELL_HOST | 1ULL << VIRTIO_BALLOON_F_STATS_VQ |             \
	    1ULL << VIRTIO_BALLOON_F_REPORTING)
#define BOOK (TEST_MAX_BLOCKS * PAGEBLOCK_PAGES)

/* The variables below serve one test at a time. */
extern struct virtio_balloon balloon;
extern u8 balloon_lent[BOOK];               /* by page: the last state told to the host */
extern u8 balloon_dropped[TEST_MAX_BLOCKS]; /* by pageblock: times reported */
extern unsigned nr_lent, nr_told, nr_reports;
extern unsigned most_reported;   /* pageblocks in one report */
extern unsigned balloon_fail_at; /* this buffer, counted from 1, breaks the device; 0: none */
extern unsigned balloon_late;    /* mask of queues that the device serves, but does not answer */
extern void (*balloon_meanwhile)(void); /* called while the device gets pages */
extern struct virtio_balloon_stat balloon_stats[VIRTIO_BALLOON_S_NR];

u32 balloon_host(struct pretend *p, const struct pretend_buf *buf);
bool balloon_begin_with(struct ktest *t, u64 features, unsigned normal, unsigned movable);
bool balloon_begin(struct ktest *t);
/* Open the balloon on the same memory with a working device, after one broke. */
bool balloon_begin_again_with(struct ktest *t, u64 features);
bool balloon_begin_again(struct ktest *t);

void balloon_end(struct ktest *t);
void balloon_ask_for(u32 pages);

/* The host wants @pages; returns the driver's result. */
int balloon_resize(u32 pages);
/* balloon_resize(@pages) returns @err; then @lent pages are lent. */
#define LEND(t, pages, err, lent)                                                                  \
	do {                                                                                       \
		EXPECT_EQ((t), balloon_resize(pages), (err));                                      \
		expect_lent((t), (lent));                                                          \
	} while (0)

/* Exactly @nr pages are lent: the host has them, and no other page is in state BALLOON. */
void expect_lent(struct ktest *t, unsigned long nr);
/* A pageblock of zone MOVABLE with lent pages in it. */
pfn_t block_with_lent(struct ktest *t);

#endif
