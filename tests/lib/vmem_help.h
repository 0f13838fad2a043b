/* SPDX-License-Identifier: MIT */
/*
 * vmem_help.h: what the suites of the virtio-mem driver share: a memory with a region missing, and a device
 * that has it, which keeps a book of what is plugged, checks that nothing of ours is in what it gives or takes,
 * and refuses, lies or breaks where a test wants it.
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

/* One test at a time. */
static struct pretend dev;
static struct virtio_mem vm;
static struct memory *mem;
static struct virtio_mem_config config; /* what the device says; told by set_config */
static bool plugged[2 * REGION_BLOCKS];  /* by block of the device */
static unsigned requests[4];             /* by type */
static struct {
	u16 type;      /* of the request that goes wrong; NO_FAULT: none */
	u16 answer;    /* how */
	bool once;
	bool done;     /* it is done all the same */
	bool dies;     /* and there is no answer */
	bool scribbles; /* and it writes over the request */
	u64 requested; /* and the host asks for this; ~0: for what it did */
} fault;

static inline void set_config(void)
{
	memcpy(dev.config, &config, sizeof(config));
}

static inline void ask_for(unsigned blocks)
{
	config.requested_size = blocks * BLOCK_BYTES;
	set_config();
	virtio_interrupt(&dev.dev, VIRTIO_PCI_ISR_CONFIG);
}

static inline unsigned first_block(const struct virtio_mem_req *req)
{
	return (unsigned)((req->u.plug.addr - config.addr) / config.block_size);
}

/* Nothing of ours may be there before it is plugged, nor when it is unplugged. */
static inline void change(struct pretend *p, const struct virtio_mem_req *req, bool on)
{
	unsigned i, first = first_block(req), pages = (unsigned)(config.block_size >> PAGE_SHIFT);

	for (i = first; i < first + req->u.plug.nb_blocks; i++) {
		pfn_t pfn = (config.addr >> PAGE_SHIFT) + (pfn_t)i * pages;

		EXPECT_EQ(p->t, plugged[i], !on);
		EXPECT_EQ(p->t, pageblock_state(pageblock_of(mem, pfn)), PB_HOLE);
		plugged[i] = on;
	}
	config.plugged_size += (on ? 1ULL : ~0ULL) * req->u.plug.nb_blocks * config.block_size;
	set_config();
}

static inline u16 state_of_blocks(const struct virtio_mem_req *req)
{
	unsigned i, on = 0, first = first_block(req), nr = req->u.plug.nb_blocks;

	for (i = first; i < first + nr; i++)
		on += plugged[i];
	return on == nr ? VIRTIO_MEM_STATE_PLUGGED : on ? VIRTIO_MEM_STATE_MIXED : VIRTIO_MEM_STATE_UNPLUGGED;
}

static inline void obey(struct pretend *p, const struct virtio_mem_req *req, struct virtio_mem_resp *resp)
{
	u64 size = req->u.plug.nb_blocks * config.block_size;

	resp->type = VIRTIO_MEM_RESP_ACK;
	if (req->type == VIRTIO_MEM_REQ_STATE)
		resp->u.state.state = state_of_blocks(req);
	else if (req->type == VIRTIO_MEM_REQ_UNPLUG)
		change(p, req, false);
	else if (config.plugged_size + size > config.requested_size ||
	    req->u.plug.addr + size > config.addr + config.usable_region_size)
		resp->type = VIRTIO_MEM_RESP_NACK;
	else
		change(p, req, true);
}

static inline u32 serve(struct pretend *p, const struct pretend_buf *buf)
{
	const struct virtio_mem_req *req = pretend_memory(buf->out[0].addr);
	struct virtio_mem_resp *resp = pretend_memory(buf->in[0].addr), unread;
	bool faulty = fault.type == req->type, dies = faulty && fault.dies;

	EXPECT(p->t, buf->nr_out == 1 && buf->out[0].len == sizeof(*req) && buf->nr_in == 1);
	EXPECT(p->t, req->type < 4 && req->u.plug.nb_blocks > 0 && !(req->u.plug.addr % config.block_size));
	if ((first_block(req) + req->u.plug.nb_blocks) * config.block_size > config.usable_region_size) {
		ktest_fail(p->t, __FILE__, __LINE__, "block %u is not in the usable region", first_block(req));
		return 0;
	}
	requests[req->type & 3]++;
	if (!faulty || fault.done)
		obey(p, req, dies ? &unread : resp);
	if (faulty) {
		resp->type = fault.answer;
		if (fault.scribbles)
			memset(pretend_memory(buf->out[0].addr), 0xff, sizeof(*req));
		if (fault.requested != ~0ULL)
			ask_for((unsigned)fault.requested);
		if (fault.once)
			fault.type = NO_FAULT;
	}
	if (dies)
		p->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	return dies ? NO_ANSWER : sizeof(*resp);
}

static inline void set_fault(u16 type, u16 answer, bool once)
{
	fault.type = type;
	fault.answer = answer;
	fault.once = once;
	fault.done = fault.dies = fault.scribbles = false;
	fault.requested = ~0ULL;
}

/* A memory whose last pageblocks are missing, and a device that has them, in blocks of @size. */
static inline bool prepare(struct ktest *t, u64 size)
{
	struct zone *zone;
	pfn_t start;

	mem = ktest_memory(t, 0, 8, REGION_BLOCKS + OTHER_BLOCKS);
	if (!mem)
		return false;
	zone = zone_in(mem, ZONE_MOVABLE);
	start = zone->end_pfn - REGION_BLOCKS * PAGEBLOCK_PAGES;
	EXPECT_EQ(t, offline_pages(mem, start, REGION_BLOCKS * PAGEBLOCK_PAGES, NULL, NULL), 0);
	EXPECT_EQ(t, remove_memory(mem, start, REGION_BLOCKS * PAGEBLOCK_PAGES), 0);
	pretend_init(&dev, t, 1ULL << VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE, serve);
	dev.dev.patience_ns = 1000000;
	memset(plugged, 0, sizeof(plugged));
	memset(requests, 0, sizeof(requests));
	set_fault(NO_FAULT, 0, false);
	config = (struct virtio_mem_config){.block_size = size,
	    .addr = (u64)start << PAGE_SHIFT,
	    .region_size = REGION_BLOCKS * BLOCK_BYTES,
	    .usable_region_size = REGION_BLOCKS * BLOCK_BYTES};
	set_config();
	return true;
}

static inline bool begin(struct ktest *t)
{
	int err = prepare(t, BLOCK_BYTES) ? virtio_mem_open(&vm, &dev.dev, mem) : -ENOMEM;

	EXPECT_EQ(t, err, 0);
	return !err;
}

/* Give all back and go. */
static inline void end(struct ktest *t)
{
	ask_for(0);
	EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
	EXPECT_EQ(t, config.plugged_size, 0);
	virtio_mem_close(&vm);
}

/* The device, the driver and the memory say the same: @blocks are plugged, @used of them online. */
static inline void expect_units(struct ktest *t, unsigned blocks, unsigned used)
{
	unsigned long online = 0;
	pfn_t pfn;

	for (pfn = config.addr >> PAGE_SHIFT; pfn < mem->end_pfn; pfn += PAGEBLOCK_PAGES) {
		enum pageblock_state state = pageblock_state(pageblock_of(mem, pfn));
		unsigned i = (unsigned)(((pfn << PAGE_SHIFT) - config.addr) / config.block_size);

		online += state == PB_ONLINE;
		EXPECT(t, state == PB_HOLE || plugged[i]);
	}
	EXPECT_EQ(t, config.plugged_size, blocks * BLOCK_BYTES);
	EXPECT_EQ(t, vm.nr_plugged * vm.unit, blocks * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, online, used);
	expect_sound(t, mem);
}

#endif
