/* SPDX-License-Identifier: MIT */
/*
 * virtio_mem.c: memory that the host plugs and unplugs at run time, in blocks of 2 MiB.
 *
 * Owns:       plugged memory that is not in use, of each device.
 * Locks:      none: all data belongs to the driver's thread.  Functions that it calls take their
 *             own locks.
 * Invariants: a unit is plugged, then added, then online; in the other direction it is offline,
 *             then removed, then unplugged: memory that is not plugged is never accessed.
 * Tests:      virtio_mem, virtio_mem_turn, tests/qemu/test_virtio.py.
 *
 * Virtio 1.2, 5.15.
 */
#include "drivers/virtio_mem.h"
#include "drivers/virtio_mem_request.h"

#include <quarry/errname.h>
#include <quarry/memory_hotplug.h>

/* The time limit for taking one chunk offline. */
#define OFFLINE_NS 10000000000ULL

/* May one operation cover both units? Descriptors are added and removed by sections. */
static bool together(const struct virtio_mem *vm, unsigned long a, unsigned long b)
{
	return unit_pfn(vm, a) >> SECTION_ORDER == unit_pfn(vm, b) >> SECTION_ORDER;
}

/*
 * Find the lowest units in @state below @end, at most @max, that one operation may cover.  Returns
 * their number, and the first of them in *@first; 0: none.
 */
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

/* As lowest, but from the highest unit down. */
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

/* ---- plugging ---- */

/* Add plugged units and bring them online. */
static int use_units(struct virtio_mem *vm, unsigned long first, unsigned long nr)
{
	int err = add_memory(vm->mem, unit_pfn(vm, first), nr * vm->unit, vm->node);

	if (err) {
		printk("%s: %lu MiB at pfn %#lx cannot be added: error %s\n", vm->dev->name,
		    nr * vm->unit >> (20 - PAGE_SHIFT), unit_pfn(vm, first), errno_name(err));
		return err == -ENOMEM ? -ENOMEM : -EBUSY;
	}
	return virtio_mem_use(
	    vm, first, nr, online_pages(vm->mem, unit_pfn(vm, first), nr * vm->unit, NULL));
}

int virtio_mem_use(struct virtio_mem *vm, unsigned long first, unsigned long nr, int err)
{
	/*
	 * Another operation has brought the units online already, or works on them.  If they cannot
	 * be removed again, they count as in use, like units that were taken offline by hand.
	 */
	if (err && err != -EALREADY && !remove_memory(vm->mem, unit_pfn(vm, first), nr * vm->unit))
		return -EBUSY;
	virtio_mem_set_state(vm, first, nr, UNIT_IN_USE);
	return 0;
}

static int plug_units(struct virtio_mem *vm)
{
	unsigned long first,
	    nr = lowest(vm, UNIT_UNPLUGGED, vm->usable, vm->goal - vm->nr_plugged, &first);
	int err;

	if (!nr)
		return -EBUSY; /* the rest of the region is not usable yet */
	err = virtio_mem_request(vm, VIRTIO_MEM_REQ_PLUG, first, nr, NULL);
	if (err)
		return err;
	vm->plugs += nr;
	virtio_mem_set_state(vm, first, nr, UNIT_PLUGGED);
	return 0;
}

/* ---- unplugging ---- */

/* Give units that are not in use back to the host. */
static int unplug_units(struct virtio_mem *vm, unsigned long first, unsigned long nr)
{
	int err = virtio_mem_request(vm, VIRTIO_MEM_REQ_UNPLUG, first, nr, NULL);

	if (err)
		return err;
	vm->unplugs += nr;
	virtio_mem_set_state(vm, first, nr, UNIT_UNPLUGGED);
	return 0;
}

/*
 * Handle units that could not be taken offline.  0: other units, or fewer, will be tried; -ENOMEM
 * no free memory for their content.
 */
static int keep_units(struct virtio_mem *vm, unsigned long first, unsigned long nr, int err)
{
	pfn_t pfn = vm->fail.pfn;

	if (err == -EINTR)
		return 0; /* the host has changed its wish */
	/* The last three name no unit: other operations work on a part, so try smaller ones. */
	if (vm->fail.why == WHY_LAST || vm->fail.why == WHY_NO_TARGET ||
	    (nr > 1 &&
	        (vm->fail.why == WHY_MIXED || vm->fail.why == WHY_CLAIMED ||
	            vm->fail.why == WHY_HOLE))) {
		vm->chunk = nr / 2;
		return vm->chunk ? 0 : -ENOMEM;
	}
	if (pfn >= unit_pfn(vm, first) && pfn < unit_pfn(vm, first + nr)) {
		first += (pfn - unit_pfn(vm, first)) / vm->unit;
		nr = 1;
	}
	virtio_mem_set_state(vm, first, nr, UNIT_KEPT);
	return 0;
}

/* Take up to @excess units offline, from the top. */
static int offline_units(struct virtio_mem *vm, unsigned long excess)
{
	struct offline_opts opts = {.policy = NR_ISO_POLICIES,
	    .deadline_ns = OFFLINE_NS,
	    .cancel = &vm->dev->config_changed};
	unsigned long first, nr = highest(vm, UNIT_IN_USE, MIN(excess, vm->chunk), &first);
	struct offline_result res;
	int offline, err;

	if (!nr)
		return -EBUSY;
	if (!memory_there(vm->mem, unit_pfn(vm, first), nr * vm->unit)) {
		virtio_mem_set_state(vm, first, nr, UNIT_PLUGGED);
		return 0;
	}
	offline = offline_pages(vm->mem, unit_pfn(vm, first), nr * vm->unit, &opts, &res);
	/* Units that were taken offline by hand before can be removed too. */
	if (offline && offline != -EALREADY) {
		vm->fail = res.fail;
		return keep_units(vm, first, nr, offline);
	}
	err = remove_memory(vm->mem, unit_pfn(vm, first), nr * vm->unit);
	if (!err) {
		virtio_mem_set_state(vm, first, nr, UNIT_PLUGGED);
		return 0;
	}
	/* Another operation works on the units: undo, and try again later. */
	if (offline || online_pages(vm->mem, unit_pfn(vm, first), nr * vm->unit, NULL))
		virtio_mem_set_state(vm, first, nr, UNIT_KEPT);
	return -EBUSY;
}

/* ---- following the host's wish ---- */

/*
 * Has the device as many units as the host wishes, and is each in use?  Units that were not may
 * have been added by hand, even since the last step.
 */
static bool agree(struct virtio_mem *vm)
{
	unsigned long first, i;

	for (i = 0; i < vm->nr_units; i++)
		if (vm->state[i] == UNIT_PLUGGED &&
		    memory_there(vm->mem, unit_pfn(vm, i), vm->unit))
			vm->state[i] = UNIT_IN_USE;
	return vm->nr_plugged == vm->goal && !lowest(vm, UNIT_PLUGGED, vm->nr_units, 1, &first);
}

/* Make one step towards the goal; returns as virtio_mem_follow, or -EAGAIN: read the goal again. */
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
	return offline_units(vm, vm->nr_plugged - vm->goal);
}

int virtio_mem_follow(struct virtio_mem *vm)
{
	unsigned long i;
	int err;

	if (vm->queue.broken)
		return -EIO;
	for (i = 0; i < vm->nr_units; i++)
		if (vm->state[i] == UNIT_KEPT)
			vm->state[i] = UNIT_IN_USE;
	vm->chunk = MAX(SECTION_PAGES / vm->unit, 1UL);
	vm->fail = (struct mm_fail){.pfn = PFN_NONE};
	err = virtio_mem_read_goal(vm);
	while (!err && !agree(vm)) {
		unsigned long goal = vm->goal;

		err = step(vm);
		if (err == -EAGAIN) {
			err = virtio_mem_read_goal(vm);
			if (!err && vm->goal == goal)
				err = -EBUSY; /* the device refuses every request */
		} else if (!err && (agree(vm) || READ_ONCE(vm->dev->config_changed))) {
			/*
			 * After the last step too: the device must count the same units as plugged.
			 * This read may bring another wish, so no read comes after the loop.
			 */
			err = virtio_mem_read_goal(vm);
		}
	}
	return err;
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
	/*
	 * A wish up to now will be read after the reset.  If the restart fails before that, only a
	 * later wish ends the pause.
	 */
	store_release(&vm->dev->config_changed, 0u);
	virtio_reset(vm->dev);
	virtqueue_free(&vm->queue);
	err = begin(vm);
	err = err ? err : virtio_mem_ask_all(vm);
	/*
	 * The device has no queue, or the state of its units is unknown: it gets no requests until
	 * a restart succeeds.
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
	err = err ? err : virtio_mem_read_geometry(vm);
	if (!err) {
		vm->state = kmalloc(vm->nr_units);
		vm->dma = alloc_pages(GFP_KERNEL, 0);
		err = vm->state && vm->dma ? virtio_mem_ask_all(vm) : -ENOMEM;
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
