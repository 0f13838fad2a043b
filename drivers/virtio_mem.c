/* SPDX-License-Identifier: MIT */
/*
 * virtio_mem.c: memory that the host plugs and unplugs at run time, in blocks of 2 MiB.
 *
 * Owns:       the state of each unit of each device's region, and plugged memory that is not in
 *             use.
 * Locks:      none: all data belongs to the driver's thread.  Functions that it calls take their
 *             own locks.
 * Invariants: a unit is plugged, then added, then online; in the other direction it is offline,
 *             then removed, then unplugged: memory that is not plugged is never accessed.  A
 *             request that the device refuses, or answers wrongly, changes no state: the memory
 *             keeps its owner.
 * Tests:      virtio_mem, virtio_mem_use, virtio_mem_turn, tests/qemu/test_virtio.py.
 *
 * Virtio 1.2, 5.15.
 */
#include "drivers/virtio_mem.h"

#include <quarry/memory_hotplug.h>

/* The time limit for taking one chunk offline. */
#define OFFLINE_NS 10000000000ULL
/* Physical addresses that a pfn_t of 32 bits can link. */
#define MAX_ADDRESS ((u64)PFN_NONE << PAGE_SHIFT)
#define MAX_UNITS   (2UL << 20) /* bytes that kmalloc gives */
#define MAX_BLOCKS  0xffffu     /* of one request */

static u64 unit_bytes(const struct virtio_mem *vm)
{
	return (u64)vm->unit << PAGE_SHIFT;
}

static pfn_t unit_pfn(const struct virtio_mem *vm, unsigned long unit)
{
	return vm->start + unit * vm->unit;
}

static void set_state(
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

/* May one operation cover both?  Descriptors come and go by sections. */
static bool together(const struct virtio_mem *vm, unsigned long a, unsigned long b)
{
	return unit_pfn(vm, a) >> SECTION_ORDER == unit_pfn(vm, b) >> SECTION_ORDER;
}

/* The lowest units in @state below @end, up to @max that one operation may cover; 0: none. */
static unsigned long lowest(const struct virtio_mem *vm, enum unit_state state, unsigned long end,
    unsigned long max, unsigned long *first)
{
	unsigned long nr = 0;

	for (*first = 0; *first < end && vm->state[*first] != state;)
		++*first;
	while (nr < max && *first + nr < end && vm->state[*first + nr] == state &&
	    together(vm, *first, *first + nr))
		nr++;
	return nr;
}

/* The same from the highest unit down. */
static unsigned long highest(
    const struct virtio_mem *vm, enum unit_state state, unsigned long max, unsigned long *first)
{
	unsigned long end = vm->nr_units, nr = 0;

	while (end > 0 && vm->state[end - 1] != state)
		end--;
	while (nr < max && nr < end && vm->state[end - 1 - nr] == state &&
	    together(vm, end - 1, end - 1 - nr))
		nr++;
	*first = end - nr;
	return nr;
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
	printk("%s: %s of %llu blocks at %#llx: %s\n", vm->dev->name, types[type],
	    (unsigned long long)blocks, (unsigned long long)addr, answers[answer]);
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

static int request_units(
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
 * Ask the device which of the units [@first, @first + @nr), none in use, are plugged; split if
 * mixed.
 */
static int ask_state(struct virtio_mem *vm, unsigned long first, unsigned long nr)
{
	unsigned long most = MAX_BLOCKS / (unsigned long)(unit_bytes(vm) / vm->block_size);
	u16 state = VIRTIO_MEM_STATE_MIXED;
	int err = 0;

	if (nr <= most)
		err = request_units(vm, VIRTIO_MEM_REQ_STATE, first, nr, &state);
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
		set_state(vm, first, nr,
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

/* Read the constant part: the region, cut into units. */
static int read_geometry(struct virtio_mem *vm)
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

/* Read the host's wish; *@plugged, if not NULL: the bytes that it counts as plugged. */
static int read_wish(struct virtio_mem *vm, u64 *plugged)
{
	struct virtio_mem_config c;
	u64 start = (u64)vm->start << PAGE_SHIFT;
	int err;

	/* Before the read: a later change is then seen by the read or the next time. */
	store_release(&vm->dev->config_changed, 0u);
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

/* The same, and check that both sides count the same plugged units. */
static int read_goal(struct virtio_mem *vm)
{
	u64 plugged;
	int err = read_wish(vm, &plugged);

	if (!err && plugged != vm->nr_plugged * unit_bytes(vm))
		err = wrong(vm, "another size plugged than it acknowledged", plugged);
	return err;
}

/*
 * Units in use are plugged: the device must not unplug them.  All others are as the device answers.
 * Behind the usable part of the region nothing is plugged, and the device must not be asked.
 */
static int ask_all(struct virtio_mem *vm)
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
		set_state(vm, asked, end - asked, UNIT_UNPLUGGED);
	}
	return err;
}

/* ---- plugging ---- */

/* Add plugged units and bring them online. */
static int use_units(struct virtio_mem *vm, unsigned long first, unsigned long nr)
{
	int err = add_memory(vm->mem, unit_pfn(vm, first), nr * vm->unit, vm->node);

	if (err) {
		printk("%s: %lu MiB at pfn %#lx cannot be added: error %d\n", vm->dev->name,
		    nr * vm->unit >> (20 - PAGE_SHIFT), unit_pfn(vm, first), err);
		return err == -ENOMEM ? -ENOMEM : -EBUSY;
	}
	err = online_pages(vm->mem, unit_pfn(vm, first), nr * vm->unit, NULL);
	if (err)
		panic("%s: memory that was added is not offline: error %d", vm->dev->name, err);
	set_state(vm, first, nr, UNIT_IN_USE);
	return 0;
}

static int plug_units(struct virtio_mem *vm)
{
	unsigned long first,
	    nr = lowest(vm, UNIT_UNPLUGGED, vm->usable, vm->goal - vm->nr_plugged, &first);
	int err;

	if (!nr)
		return -EBUSY; /* the rest of the region is not usable yet */
	err = request_units(vm, VIRTIO_MEM_REQ_PLUG, first, nr, NULL);
	if (err)
		return err;
	vm->plugs += nr;
	set_state(vm, first, nr, UNIT_PLUGGED);
	return 0;
}

/* ---- unplugging ---- */

/* Give units that are not in use back to the host. */
static int unplug_units(struct virtio_mem *vm, unsigned long first, unsigned long nr)
{
	int err = request_units(vm, VIRTIO_MEM_REQ_UNPLUG, first, nr, NULL);

	if (err)
		return err;
	vm->unplugs += nr;
	set_state(vm, first, nr, UNIT_UNPLUGGED);
	return 0;
}

/*
 * Units could not be taken offline: 0, others will be tried; -ENOMEM no free memory for their
 * content.
 */
static int keep_units(struct virtio_mem *vm, unsigned long first, unsigned long nr, int err)
{
	pfn_t pfn = vm->fail.pfn;

	if (err == -EINTR)
		return 0; /* the host has changed its wish */
	/* WHY_MIXED: some of it was taken offline by hand, so try smaller parts. */
	if (vm->fail.why == WHY_LAST || vm->fail.why == WHY_NO_TARGET ||
	    (vm->fail.why == WHY_MIXED && nr > 1)) {
		vm->chunk = nr / 2;
		return vm->chunk ? 0 : -ENOMEM;
	}
	if (pfn >= unit_pfn(vm, first) && pfn < unit_pfn(vm, first + nr)) {
		first += (pfn - unit_pfn(vm, first)) / vm->unit;
		nr = 1;
	}
	set_state(vm, first, nr, UNIT_KEPT);
	return 0;
}

/* Take up to @excess units offline, from the top. */
static int free_units(struct virtio_mem *vm, unsigned long excess)
{
	struct offline_opts opts = {.policy = NR_ISO_POLICIES,
	    .deadline_ns = OFFLINE_NS,
	    .cancel = &vm->dev->config_changed};
	unsigned long first, nr = highest(vm, UNIT_IN_USE, MIN(excess, vm->chunk), &first);
	struct offline_result res;
	int offline, err;

	if (!nr)
		return -EBUSY;
	offline = offline_pages(vm->mem, unit_pfn(vm, first), nr * vm->unit, &opts, &res);
	/* Units that were taken offline by hand before are as good. */
	if (offline && offline != -EALREADY) {
		vm->fail = res.fail;
		return keep_units(vm, first, nr, offline);
	}
	err = remove_memory(vm->mem, unit_pfn(vm, first), nr * vm->unit);
	if (!err) {
		set_state(vm, first, nr, UNIT_PLUGGED);
		return 0;
	}
	/* Another operation works on it: undo, and try again later. */
	if (offline || online_pages(vm->mem, unit_pfn(vm, first), nr * vm->unit, NULL))
		set_state(vm, first, nr, UNIT_KEPT);
	return -EBUSY;
}

/* ---- following the host's wish ---- */

static bool agree(const struct virtio_mem *vm)
{
	unsigned long first;

	return vm->nr_plugged == vm->goal && !lowest(vm, UNIT_PLUGGED, vm->nr_units, 1, &first);
}

/* One step towards the goal; returns as virtio_mem_follow, or -EAGAIN. */
static int step(struct virtio_mem *vm)
{
	unsigned long first, nr = lowest(vm, UNIT_PLUGGED, vm->nr_units, vm->nr_units, &first);

	/* Units that are plugged but not in use come first. */
	if (nr && vm->nr_plugged > vm->goal)
		return unplug_units(vm, first, MIN(nr, vm->nr_plugged - vm->goal));
	if (nr)
		return use_units(vm, first, nr);
	if (vm->nr_plugged < vm->goal)
		return plug_units(vm);
	return free_units(vm, vm->nr_plugged - vm->goal);
}

int virtio_mem_follow(struct virtio_mem *vm)
{
	unsigned long i;
	int err;

	if (vm->queue.broken)
		return -EIO;
	for (i = 0; i < vm->nr_units; i++) {
		if (vm->state[i] == UNIT_KEPT)
			vm->state[i] = UNIT_IN_USE;
	}
	vm->chunk = MAX(SECTION_PAGES / vm->unit, 1UL);
	vm->fail = (struct mm_fail){.pfn = PFN_NONE};
	err = read_goal(vm);
	while (!err && !agree(vm)) {
		unsigned long goal = vm->goal;

		err = step(vm);
		if (err == -EAGAIN) {
			err = read_goal(vm);
			if (!err && vm->goal == goal)
				err = -EBUSY; /* the device refuses every request */
		} else if (!err && READ_ONCE(vm->dev->config_changed)) {
			err = read_goal(vm);
		}
	}
	/* Does the device count the same? */
	return err ? err : read_goal(vm);
}

/* ---- opening and closing ---- */

static int begin(struct virtio_mem *vm)
{
	u64 want = 1ULL << VIRTIO_MEM_F_ACPI_PXM | 1ULL << VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE;
	int err = virtio_begin(vm->dev, want);

	err = err ? err : virtqueue_start(&vm->queue, vm->dev, 0);
	if (!err)
		virtio_ready(vm->dev);
	return err;
}

int virtio_mem_restart(struct virtio_mem *vm)
{
	int err;

	printk("%s: reset, and asked again what is plugged\n", vm->dev->name);
	virtio_reset(vm->dev);
	virtqueue_free(&vm->queue);
	err = begin(vm);
	err = err ? err : ask_all(vm);
	/*
	 * Its queue is gone, or its units are in doubt: it gets no requests before it is restarted.
	 */
	if (err)
		vm->queue.broken = true;
	return err;
}

int virtio_mem_open(struct virtio_mem *vm, struct virtio_device *dev, struct memory *mem)
{
	int err;

	*vm = (struct virtio_mem){.dev = dev, .mem = mem, .fail.pfn = PFN_NONE};
	err = begin(vm);
	err = err ? err : read_geometry(vm);
	if (!err) {
		vm->state = kmalloc(vm->nr_units);
		vm->dma = alloc_pages(GFP_KERNEL, 0);
		err = vm->state && vm->dma ? ask_all(vm) : -ENOMEM;
	}
	if (err)
		virtio_mem_close(vm);
	return err;
}

void virtio_mem_close(struct virtio_mem *vm)
{
	virtio_reset(vm->dev);
	virtqueue_free(&vm->queue);
	if (vm->dma)
		free_pages(vm->dma, 0);
	kfree(vm->state);
}
