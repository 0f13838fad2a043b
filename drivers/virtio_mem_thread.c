/* SPDX-License-Identifier: MIT */
/*
 * virtio_mem_thread.c: a thread for each virtio-mem device, which follows the host's wish.
 *
 * Owns:       the kernel's own devices; the times and numbers of attempts.
 * Locks:      none: devices are found at boot, one after the other; then each belongs to its
 *             thread.
 * Invariants: a step that is not possible now is tried again each second.  A device that gives only
 *             invalid answers gets no requests until the host changes its wish.
 * Tests:      virtio_mem_turn, tests/qemu/test_virtio.py.
 */
#include "drivers/virtio_mem_request.h"
#include <quarry/errname.h>

/* Time before an impossible step is tried again. */
#define RETRY_NS 1000000000ULL
/* The most restarts in a row; the next restart waits until the host changes its wish. */
#define MAX_RESTARTS 3

static struct virtio_mem *mems[4];
static unsigned nr_mems;

static u64 in_mib(const struct virtio_mem *vm, unsigned long units)
{
	return units * vm->unit >> (20 - PAGE_SHIFT);
}

static bool changed(void *arg)
{
	return load_acquire(&((struct virtio_mem *)arg)->dev->config_changed);
}

/* Print the state, which has changed, and @err, the result of virtio_mem_follow. */
static void mem_tell(struct virtio_mem *vm, int err)
{
	static const char *const texts[] = {
	    "", ": some is in use: trying again", ": no memory: trying again", ": broken"};
	unsigned i = err == 0 ? 0 : err == -ENOMEM ? 2 : err == -EIO ? 3 : 1;

	printk("%s: %llu MiB plugged, %llu asked for%s", vm->dev->name,
	    (unsigned long long)in_mib(vm, vm->nr_plugged),
	    (unsigned long long)in_mib(vm, vm->goal), texts[i]);
	if (err && vm->fail.why != WHY_NONE) {
		printk(" (%s", mm_why_text(vm->fail.why));
		if (vm->fail.pfn != PFN_NONE)
			printk(", pfn %#lx", vm->fail.pfn);
		printk(")");
	}
	printk("\n");
}

u64 virtio_mem_turn(struct virtio_mem *vm)
{
	u64 wait;
	int err;

	if (vm->said.err == -EIO && virtio_mem_restart(vm))
		printk("%s: does not come back\n", vm->dev->name);
	err = virtio_mem_follow(vm);
	wait = err ? RETRY_NS : WAIT_FOREVER;
	if (vm->nr_plugged != vm->said.plugged || vm->goal != vm->said.goal || err != vm->said.err)
		mem_tell(vm, err);
	vm->said.plugged = vm->nr_plugged;
	vm->said.goal = vm->goal;
	vm->said.err = err;
	if (err != -EIO) {
		vm->restarts = 0;
		return wait;
	}
	/* A device that fails says that its configuration has changed: only a wish counts. */
	if (virtio_mem_wishes_anew(vm))
		store_release(&vm->dev->config_changed, 1u);
	return ++vm->restarts > MAX_RESTARTS ? WAIT_FOREVER : wait;
}

static void mem_thread(void *arg)
{
	struct virtio_mem *vm = arg;

	for (;;)
		wait_until(&vm->dev->wq, changed, vm, virtio_mem_turn(vm));
}

int virtio_mem_probe(struct virtio_device *dev)
{
	struct virtio_mem *vm = nr_mems < ARRAY_SIZE(mems) ? kmalloc(sizeof(*vm)) : NULL;
	int err = vm ? virtio_mem_open(vm, dev, &kernel_memory) : -ENOMEM;

	if (err) {
		printk("%s: left alone: error %s\n", dev->name, errno_name(err));
		kfree(vm);
		return err;
	}
	printk("%s: %llu MiB from pfn %#lx on, node %u, blocks of %llu KiB\n", dev->name,
	    (unsigned long long)in_mib(vm, vm->nr_units), vm->start, vm->node,
	    (unsigned long long)vm->block_size >> 10);
	mems[nr_mems++] = vm;
	if (!thread_start("virtio-mem", -1, mem_thread, vm))
		printk("%s: no memory for a thread\n", dev->name);
	return 0;
}

bool virtio_mem_show(void)
{
	unsigned i;

	for (i = 0; i < nr_mems; i++) {
		const struct virtio_mem *vm = mems[i];

		printk(
		    "%s: virtio-mem: %llu MiB plugged, %llu asked for; %llu units plugged so far, "
		    "%llu unplugged, %llu answers not ACK\n",
		    vm->dev->name, (unsigned long long)in_mib(vm, READ_ONCE(vm->nr_plugged)),
		    (unsigned long long)in_mib(vm, READ_ONCE(vm->goal)),
		    (unsigned long long)READ_ONCE(vm->plugs),
		    (unsigned long long)READ_ONCE(vm->unplugs),
		    (unsigned long long)READ_ONCE(vm->refused));
	}
	return nr_mems > 0;
}
