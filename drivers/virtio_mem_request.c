/* SPDX-License-Identifier: MIT */
/*
 * virtio_mem_request.c: the virtio-mem device: its configuration, requests to it, its answers.
 *
 * Owns:       the state of each unit of each device's region.
 * Locks:      none: all data belongs to the driver's thread.
 * Invariants: a request that the device refuses, or answers wrongly, changes no state: the memory
 *             keeps its owner.  Nothing that the device says is trusted.
 * Tests:      virtio_mem, virtio_mem_turn, tests/qemu/test_virtio.py.
 *
 * Virtio 1.2, 5.15.
 */
#include "drivers/virtio_mem_request.h"
#include <quarry/plural.h>

/* The limit of physical addresses: links between pages are pfns of 32 bits. */
#define MAX_ADDRESS ((u64)PFN_NONE << PAGE_SHIFT)
#define MAX_UNITS   (2UL << 20) /* one byte each: the most that kmalloc gives */
#define MAX_BLOCKS  0xffffu     /* the most in one request */

void virtio_mem_set_state(
    struct virtio_mem *vm, unsigned long first, unsigned long nr, enum unit_state state)
{
	unsigned long i, plugged = vm->nr_plugged;

	for (i = first; i < first + nr; i++) {
		plugged -= vm->state[i] != UNIT_UNPLUGGED;
		plugged += state != UNIT_UNPLUGGED;
		vm->state[i] = (u8)state;
	}
	WRITE_ONCE(vm->nr_plugged, plugged);
}

/* ---- requests ---- */

static int wrong(struct virtio_mem *vm, const char *what, unsigned long value)
{
	printk("%s: the device says what makes no sense: %s (%#lx)\n", vm->dev->name, what, value);
	return -EIO;
}

/*
 * Handle an answer other than ACK.  The type is a parameter: the device can overwrite the request.
 */
static int refused(struct virtio_mem *vm, u16 type, u64 addr, u64 blocks, u16 answer)
{
	static const char *const types[] = {"PLUG", "UNPLUG", "UNPLUG_ALL", "STATE"};
	static const char *const answers[] = {"ACK", "NACK", "BUSY", "ERROR"};

	counter_add(&vm->refused, 1u);
	if (answer >= ARRAY_SIZE(answers))
		return wrong(vm, "an unknown answer", answer);
	printk("%s: %s of %llu block%s at %#llx: %s\n", vm->dev->name, types[type],
	    (unsigned long long)blocks, plural(blocks), (unsigned long long)addr, answers[answer]);
	return answer == VIRTIO_MEM_RESP_NACK ? -EAGAIN
	    : answer == VIRTIO_MEM_RESP_BUSY  ? -EBUSY
	                                      : -EIO;
}

/*
 * Make one request about @bytes from @addr on.  0; -EAGAIN the host has changed its wish meanwhile;
 * -EBUSY try later; -EIO.  *@state, if not NULL: the answer to STATE.
 */
static int request(struct virtio_mem *vm, u16 type, u64 addr, u64 bytes, u16 *state)
{
	struct virtio_mem_req *req = page_address(vm->dma);
	struct virtio_mem_resp *resp = (struct virtio_mem_resp *)(void *)(req + 1);
	phys_t phys = (phys_t)page_to_pfn_in(&kernel_memory, vm->dma) << PAGE_SHIFT;
	struct virtio_buf bufs[2] = {{phys, sizeof(*req)}, {phys + sizeof(*req), sizeof(*resp)}};
	u16 answer;
	long len;

	KASSERT(bytes / vm->block_size <= MAX_BLOCKS);
	*req = (struct virtio_mem_req){
	    .type = type, .u.plug = {.addr = addr, .nb_blocks = (u16)(bytes / vm->block_size)}};
	*resp = (struct virtio_mem_resp){.type = 0xffff, .u.state.state = 0xffff};
	len = virtqueue_call(&vm->queue, bufs, 1, 1);
	if (len < 0)
		return (int)len;
	answer = READ_ONCE(resp->type);
	if (answer != VIRTIO_MEM_RESP_ACK)
		return refused(vm, type, addr, bytes / vm->block_size, answer);
	if (!state)
		return 0;
	*state = READ_ONCE(resp->u.state.state);
	return *state <= VIRTIO_MEM_STATE_MIXED ? 0 : wrong(vm, "an unknown state", *state);
}

int virtio_mem_request(
    struct virtio_mem *vm, u16 type, unsigned long first, unsigned long nr, u16 *state)
{
	return request(
	    vm, type, (u64)unit_pfn(vm, first) << PAGE_SHIFT, nr * unit_bytes(vm), state);
}

/* The device has plugged only a part of the unit: unplug that part. */
static int unplug_parts(struct virtio_mem *vm, unsigned long unit)
{
	u64 addr = (u64)unit_pfn(vm, unit) << PAGE_SHIFT, at;
	u16 state = 0;
	int err = 0;

	for (at = addr; at < addr + unit_bytes(vm) && !err; at += vm->block_size) {
		err = request(vm, VIRTIO_MEM_REQ_STATE, at, vm->block_size, &state);
		if (!err && state == VIRTIO_MEM_STATE_PLUGGED)
			err = request(vm, VIRTIO_MEM_REQ_UNPLUG, at, vm->block_size, NULL);
	}
	return err;
}

/*
 * Ask the device which of the units [@first, @first + @nr) are plugged; none may be in use.  If the
 * answer is "mixed", ask about each half.
 */
static int ask_state(struct virtio_mem *vm, unsigned long first, unsigned long nr)
{
	unsigned long most = MAX_BLOCKS / (unsigned long)(unit_bytes(vm) / vm->block_size);
	u16 state = VIRTIO_MEM_STATE_MIXED;
	int err = 0;

	if (nr <= most)
		err = virtio_mem_request(vm, VIRTIO_MEM_REQ_STATE, first, nr, &state);
	if (err)
		return err;
	if (state == VIRTIO_MEM_STATE_MIXED && nr > 1) {
		err = ask_state(vm, first, nr / 2);
		return err ? err : ask_state(vm, first + nr / 2, nr - nr / 2);
	}
	if (state == VIRTIO_MEM_STATE_MIXED) {
		if (unit_bytes(vm) == vm->block_size)
			return wrong(vm, "a block that is plugged in parts", unit_pfn(vm, first));
		err = unplug_parts(vm, first);
	}
	if (!err)
		virtio_mem_set_state(vm, first, nr,
		    state == VIRTIO_MEM_STATE_PLUGGED ? UNIT_PLUGGED : UNIT_UNPLUGGED);
	return err;
}

/* ---- configuration ---- */

static int read_config(struct virtio_mem *vm, struct virtio_mem_config *config)
{
	static const struct virtio_field fields[] = {
	    VIRTIO_FIELD(struct virtio_mem_config, block_size),
	    VIRTIO_FIELD(struct virtio_mem_config, node_id),
	    VIRTIO_FIELD(struct virtio_mem_config, addr),
	    VIRTIO_FIELD(struct virtio_mem_config, region_size),
	    VIRTIO_FIELD(struct virtio_mem_config, usable_region_size),
	    VIRTIO_FIELD(struct virtio_mem_config, plugged_size),
	    VIRTIO_FIELD(struct virtio_mem_config, requested_size),
	};

	return virtio_read_config(vm->dev, fields, ARRAY_SIZE(fields), config);
}

int virtio_mem_read_geometry(struct virtio_mem *vm)
{
	struct virtio_mem_config c;
	u64 unit, start, end;
	int err = read_config(vm, &c);

	if (err)
		return err;
	if (c.block_size < PAGE_SIZE || c.block_size & (c.block_size - 1))
		return wrong(vm, "block size", c.block_size);
	if (!c.region_size || (c.addr | c.region_size) & (c.block_size - 1) ||
	    c.addr >= MAX_ADDRESS || c.region_size > MAX_ADDRESS - c.addr)
		return wrong(vm, "a region of that size", c.region_size);
	unit = MAX((u64)PAGEBLOCK_PAGES << PAGE_SHIFT, c.block_size);
	start = ALIGN_UP(c.addr, unit);
	end = ALIGN_DOWN(c.addr + c.region_size, unit);
	if (start >= end || unit / c.block_size > MAX_BLOCKS)
		return wrong(vm, "a region with no room for a unit", c.region_size);
	vm->block_size = c.block_size;
	vm->unit = unit >> PAGE_SHIFT;
	vm->start = start >> PAGE_SHIFT;
	vm->nr_units = MIN((unsigned long)((end - start) / unit), MAX_UNITS);
	if (vm->dev->features >> VIRTIO_MEM_F_ACPI_PXM & 1 && vm->dev->node_of)
		vm->node = vm->dev->node_of(c.node_id);
	return 0;
}

/* Read the host's wish; *@plugged, if not NULL: the bytes that the device counts as plugged. */
static int read_wish(struct virtio_mem *vm, u64 *plugged)
{
	struct virtio_mem_config c;
	u64 start = (u64)vm->start << PAGE_SHIFT;
	int err;

	/*
	 * Clear the flag before the read: a later change is seen by this read, or sets the flag
	 * again.
	 */
	WRITE_ONCE(vm->dev->config_changed, 0u);
	full_barrier();
	err = read_config(vm, &c);
	if (err)
		return err;
	if (c.block_size != vm->block_size || c.region_size > MAX_ADDRESS ||
	    ALIGN_UP(c.addr, unit_bytes(vm)) != start)
		return wrong(vm, "another region than before", c.addr);
	if (c.usable_region_size > c.region_size)
		return wrong(vm, "more of the region usable than there is", c.usable_region_size);
	if (c.requested_size > c.region_size)
		return wrong(vm, "more asked for than there is", c.requested_size);
	if (plugged)
		*plugged = c.plugged_size;
	vm->goal = MIN((unsigned long)(c.requested_size / unit_bytes(vm)), vm->nr_units);
	vm->usable = 0;
	if (c.addr + c.usable_region_size > start)
		vm->usable =
		    MIN((unsigned long)((c.addr + c.usable_region_size - start) / unit_bytes(vm)),
		        vm->nr_units);
	return 0;
}

bool virtio_mem_wishes_anew(struct virtio_mem *vm)
{
	unsigned long goal = vm->goal;

	return READ_ONCE(vm->dev->config_changed) && !read_wish(vm, NULL) && vm->goal != goal;
}

int virtio_mem_read_goal(struct virtio_mem *vm)
{
	u64 plugged;
	int err = read_wish(vm, &plugged);

	if (!err && plugged != vm->nr_plugged * unit_bytes(vm))
		err = wrong(vm, "another size plugged than it acknowledged", plugged);
	return err;
}

/*
 * Behind the usable part of the region nothing is plugged, and no request may be made about units
 * there.
 */
int virtio_mem_ask_all(struct virtio_mem *vm)
{
	unsigned long first, end;
	int err = read_wish(vm, NULL);

	for (first = 0; first < vm->nr_units && !err; first = end + 1) {
		unsigned long asked;

		for (end = first; end < vm->nr_units && vm->state[end] <= UNIT_PLUGGED;)
			end++;
		asked = MIN(MAX(vm->usable, first), end);
		if (asked > first)
			err = ask_state(vm, first, asked - first);
		virtio_mem_set_state(vm, asked, end - asked, UNIT_UNPLUGGED);
	}
	return err;
}
