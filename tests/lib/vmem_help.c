/* SPDX-License-Identifier: MIT */
/* vmem_help.c: see vmem_help.h. */
#include "tests/lib/vmem_help.h"

struct virtio_mem vmem_dev;
struct memory *vmem;
struct virtio_mem_config vmem_config;
bool vmem_plugged[2 * REGION_BLOCKS];
unsigned vmem_requests[4];
struct vmem_fault vmem_fault;

void vmem_set_config(void)
{
	memcpy(pretend_dev.config, &vmem_config, sizeof(vmem_config));
}

void vmem_ask_for(unsigned blocks)
{
	vmem_config.requested_size = blocks * BLOCK_BYTES;
	vmem_set_config();
	virtio_interrupt(&pretend_dev.dev, VIRTIO_PCI_ISR_CONFIG);
}

int vmem_follow(unsigned blocks)
{
	vmem_ask_for(blocks);
	return virtio_mem_follow(&vmem_dev);
}

static unsigned first_block(const struct virtio_mem_req *req)
{
	return (unsigned)((req->u.plug.addr - vmem_config.addr) / vmem_config.block_size);
}

/* Record a plug or an unplug. Before either, the memory must have no page in these blocks. */
static void change(struct pretend *p, const struct virtio_mem_req *req, bool on)
{
	unsigned i, first = first_block(req),
	            pages = (unsigned)(vmem_config.block_size >> PAGE_SHIFT);

	for (i = first; i < first + req->u.plug.nb_blocks; i++) {
		pfn_t pfn = (vmem_config.addr >> PAGE_SHIFT) + (pfn_t)i * pages;

		EXPECT_EQ(p->t, vmem_plugged[i], !on);
		EXPECT_EQ(p->t, pageblock_state(pageblock_of(vmem, pfn)), PB_HOLE);
		vmem_plugged[i] = on;
	}
	vmem_config.plugged_size +=
	    (on ? 1ULL : ~0ULL) * req->u.plug.nb_blocks * vmem_config.block_size;
	vmem_set_config();
}

static u16 state_of_blocks(const struct virtio_mem_req *req)
{
	unsigned i, on = 0, first = first_block(req), nr = req->u.plug.nb_blocks;

	for (i = first; i < first + nr; i++)
		on += vmem_plugged[i];
	return on == nr ? VIRTIO_MEM_STATE_PLUGGED
	    : on        ? VIRTIO_MEM_STATE_MIXED
	                : VIRTIO_MEM_STATE_UNPLUGGED;
}

static void obey(struct pretend *p, const struct virtio_mem_req *req, struct virtio_mem_resp *resp)
{
	u64 size = req->u.plug.nb_blocks * vmem_config.block_size;

	resp->type = VIRTIO_MEM_RESP_ACK;
	if (req->type == VIRTIO_MEM_REQ_STATE)
		resp->u.state.state = state_of_blocks(req);
	else if (req->type == VIRTIO_MEM_REQ_UNPLUG)
		change(p, req, false);
	else if (vmem_config.plugged_size + size > vmem_config.requested_size ||
	    req->u.plug.addr + size > vmem_config.addr + vmem_config.usable_region_size)
		resp->type = VIRTIO_MEM_RESP_NACK;
	else
		change(p, req, true);
}

u32 serve(struct pretend *p, const struct pretend_buf *buf)
{
	const struct virtio_mem_req *req = pretend_memory(buf->out[0].addr);
	struct virtio_mem_resp *resp = pretend_memory(buf->in[0].addr), unread;
	bool faulty = vmem_fault.type == req->type, dies = faulty && vmem_fault.dies;

	EXPECT(p->t, buf->nr_out == 1 && buf->out[0].len == sizeof(*req) && buf->nr_in == 1);
	EXPECT(p->t,
	    req->type < 4 && req->u.plug.nb_blocks > 0 &&
	        !(req->u.plug.addr % vmem_config.block_size));
	if ((first_block(req) + req->u.plug.nb_blocks) * vmem_config.block_size >
	    vmem_config.usable_region_size) {
		ktest_fail(p->t, __FILE__, __LINE__, "block %u is not in the usable region",
		    first_block(req));
		return 0;
	}
	vmem_requests[req->type & 3]++;
	if (!faulty || vmem_fault.done)
		obey(p, req, dies ? &unread : resp);
	if (faulty) {
		resp->type = vmem_fault.answer;
		if (vmem_fault.scribbles)
			memset(pretend_memory(buf->out[0].addr), 0xff, sizeof(*req));
		if (vmem_fault.requested != ~0ULL)
			vmem_ask_for((unsigned)vmem_fault.requested);
		if (vmem_fault.once)
			vmem_fault.type = NO_FAULT;
	}
	if (dies)
		p->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	return dies ? NO_ANSWER : sizeof(*resp);
}

void vmem_set_fault(u16 type, u16 answer, bool once)
{
	vmem_fault.type = type;
	vmem_fault.answer = answer;
	vmem_fault.once = once;
	vmem_fault.done = vmem_fault.dies = vmem_fault.scribbles = false;
	vmem_fault.requested = ~0ULL;
}

bool vmem_prepare(struct ktest *t, u64 size)
{
	struct zone *zone;
	pfn_t start;

	vmem = ktest_memory(t, 0, 8, REGION_BLOCKS + OTHER_BLOCKS);
	if (!vmem)
		return false;
	zone = zone_in(vmem, ZONE_MOVABLE);
	start = zone->end_pfn - REGION_BLOCKS * PAGEBLOCK_PAGES;
	EXPECT_EQ(t, offline_pages(vmem, start, REGION_BLOCKS * PAGEBLOCK_PAGES, NULL, NULL), 0);
	EXPECT_EQ(t, remove_memory(vmem, start, REGION_BLOCKS * PAGEBLOCK_PAGES), 0);
	pretend_init(&pretend_dev, t, 1ULL << VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE, serve);
	pretend_dev.dev.patience_ns = 1000000;
	memset(vmem_plugged, 0, sizeof(vmem_plugged));
	memset(vmem_requests, 0, sizeof(vmem_requests));
	vmem_set_fault(NO_FAULT, 0, false);
	vmem_config = (struct virtio_mem_config){.block_size = size,
	    .addr = (u64)start << PAGE_SHIFT,
	    .region_size = REGION_BLOCKS * BLOCK_BYTES,
	    .usable_region_size = REGION_BLOCKS * BLOCK_BYTES};
	vmem_set_config();
	return true;
}

bool vmem_begin_again(struct ktest *t)
{
	int err = virtio_mem_open(&vmem_dev, &pretend_dev.dev, vmem);

	EXPECT_EQ(t, err, 0);
	return !err;
}

bool vmem_begin(struct ktest *t)
{
	return vmem_prepare(t, BLOCK_BYTES) && vmem_begin_again(t);
}

bool vmem_fill(struct ktest *t)
{
	u32 i;

	if (!mov_begin(t, vmem))
		return false;
	mov_fill(~0UL);
	for (i = 0; i < 4 * PAGEBLOCK_PAGES; i++)
		mov_free(i);
	empty_caches(vmem);
	return true;
}

void vmem_end(struct ktest *t)
{
	EXPECT_EQ(t, vmem_follow(0), 0);
	EXPECT_EQ(t, vmem_config.plugged_size, 0);
	virtio_mem_close(&vmem_dev);
}

void expect_units(struct ktest *t, unsigned blocks, unsigned used)
{
	unsigned long online = 0;
	pfn_t pfn;

	for (pfn = vmem_config.addr >> PAGE_SHIFT; pfn < vmem->end_pfn; pfn += PAGEBLOCK_PAGES) {
		enum pageblock_state state = pageblock_state(pageblock_of(vmem, pfn));
		unsigned i =
		    (unsigned)(((pfn << PAGE_SHIFT) - vmem_config.addr) / vmem_config.block_size);

		online += state == PB_ONLINE;
		EXPECT(t, state == PB_HOLE || vmem_plugged[i]);
	}
	EXPECT_EQ(t, vmem_config.plugged_size, blocks * BLOCK_BYTES);
	EXPECT_EQ(t, vmem_dev.nr_plugged * vmem_dev.unit, blocks * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, online, used);
	expect_sound(t, vmem);
}
