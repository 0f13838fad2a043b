/* SPDX-License-Identifier: MIT */
/*
 * vmem_help.h: helpers of the suites of the virtio-mem driver: a memory with a region missing, and
 * a device that has this region. The device records the blocks plugged, and checks that the memory
 * has no page in blocks that it plugs or unplugs. It refuses, lies or breaks as a test sets it.
 */
#ifndef QUARRY_TESTS_VMEM_HELP_H
#define QUARRY_TESTS_VMEM_HELP_H

#include "drivers/virtio_mem.h"
#include "tests/lib/mov_help.h"
#include "tests/lib/pretend_virtio.h"

#include <quarry/memory_hotplug.h>

#define REGION_BLOCKS 12u /* pageblocks of the device's region, the last of the memory */
#define OTHER_BLOCKS  (PAGEBLOCK_ORDER >= 9 ? 4u : 24u)
#define BLOCK_BYTES   ((u64)PAGEBLOCK_PAGES << PAGE_SHIFT)
#define NO_FAULT      0xffffu

/* The variables below serve one test at a time. */
extern struct virtio_mem vmem_dev;
extern struct memory *vmem;
extern struct virtio_mem_config vmem_config; /* of the device; vmem_set_config copies it there */
extern bool vmem_plugged[2 * REGION_BLOCKS]; /* plugged blocks, by their number in the device */
extern unsigned vmem_requests[4];            /* requests, by their type */
struct vmem_fault {
	u16 type;   /* type of the request that fails; NO_FAULT: none */
	u16 answer; /* the type of the answer */
	bool once;
	bool done;      /* the device carries out the request that fails */
	bool dies;      /* the device breaks, and does not answer */
	bool scribbles; /* the device writes over the request */
	u64 requested;  /* pageblocks that the host requests at the fault; ~0: no new request */
};
extern struct vmem_fault vmem_fault;

void vmem_set_config(void);
void vmem_ask_for(unsigned blocks);

/* The host wants @blocks pageblocks; returns the driver's result. */
int vmem_follow(unsigned blocks);
/* vmem_follow(@blocks) returns @err; then @plugged pageblocks are plugged, @used of them online. */
#define FOLLOW(t, blocks, err, plugged, used)                                                      \
	do {                                                                                       \
		EXPECT_EQ((t), vmem_follow(blocks), (err));                                        \
		expect_units((t), (plugged), (used));                                              \
	} while (0)

u32 serve(struct pretend *p, const struct pretend_buf *buf);
void vmem_set_fault(u16 type, u16 answer, bool once);
/* A memory without its last pageblocks, and a device that has them, in blocks of @size. */
bool vmem_prepare(struct ktest *t, u64 size);

bool vmem_begin(struct ktest *t);
/* Open the driver on the same memory, after vmem_end. */
bool vmem_begin_again(struct ktest *t);
/* Fill the memory with movable pages, except four pageblocks' worth; mov_end frees them. */
bool vmem_fill(struct ktest *t);
/* Unplug everything and close the device. */
void vmem_end(struct ktest *t);
/*
 * The device, the driver and the memory agree: @blocks pageblocks are plugged, @used of them
 * online.
 */
void expect_units(struct ktest *t, unsigned blocks, unsigned used);

#endif
