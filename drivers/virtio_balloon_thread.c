/* SPDX-License-Identifier: MIT */
/*
 * virtio_balloon_thread.c: the threads of the kernel's balloon: one follows the host, one reports
 * free memory.
 *
 * Owns:       the kernel's own balloon; the times between attempts.
 * Locks:      none: the device is found at boot; then it belongs to its threads.
 * Invariants: only the first thread waits for a slow device.  When the device is broken, that
 *             thread takes back all pages and ends, whichever thread noticed.
 * Tests:      balloon_late, tests/qemu/test_virtio.py.
 */
#include "drivers/virtio_balloon.h"
#include <quarry/errname.h>

/*
 * Time between two attempts to find pages for the host, and between two checks for free memory to
 * report.
 */
#define RETRY_NS  1000000000ULL
#define REPORT_NS 500000000ULL

static struct virtio_balloon *balloon; /* NULL: none */

static bool work_to_do(void *arg)
{
	return balloon_has_work(arg);
}

u64 balloon_turn(struct virtio_balloon *b)
{
	unsigned long was = READ_ONCE(b->nr), nr;
	int err = balloon_serve_stats(b);

	err = err ? err : balloon_follow(b);
	nr = READ_ONCE(b->nr);
	if (nr != was)
		printk("%s: %lu MiB lent to the host, which wants %lu%s\n", b->dev->name,
		    nr >> (20 - PAGE_SHIFT), b->want >> (20 - PAGE_SHIFT),
		    err == -ENOMEM ? ": no more to be had" : "");
	if (err != -EIO)
		return err ? RETRY_NS : WAIT_FOREVER;
	/* @b is not freed: another thread may be reading it. */
	balloon_reset(b);
	printk(
	    "%s: broken: reset, and not used any more; all pages are taken back\n", b->dev->name);
	balloon_take_all(b);
	return 0;
}

static void balloon_thread(void *arg)
{
	struct virtio_balloon *b = arg;
	u64 wait;

	while ((wait = balloon_turn(b)))
		wait_until(&b->dev->wq, work_to_do, b, wait);
}

static void report_thread(void *arg)
{
	struct virtio_balloon *b = arg;

	while (balloon_report(b) == 0)
		thread_sleep(REPORT_NS);
	printk("%s: free memory is no longer reported\n", b->dev->name);
}

int virtio_balloon_probe(struct virtio_device *dev)
{
	struct virtio_balloon *b = balloon ? NULL : kmalloc(sizeof(*b));
	int err = b ? balloon_open(b, dev, &kernel_memory) : balloon ? -EBUSY : -ENOMEM;

	if (err) {
		printk("%s: no balloon: error %s\n", dev->name, errno_name(err));
		kfree(b);
		return err;
	}
	balloon = b;
	if (!thread_start("balloon", -1, balloon_thread, b) ||
	    (b->has_report && !thread_start("report", -1, report_thread, b)))
		printk("%s: no memory for a thread\n", dev->name);
	return 0;
}

bool virtio_balloon_show(void)
{
	const struct virtio_balloon *b = balloon;

	if (!b)
		return false;
	printk(
	    "%s: virtio-balloon: %lu pages lent, %lu asked for, %llu moved; %llu statistics given; "
	    "%llu free pageblocks reported\n",
	    b->dev->name, READ_ONCE(b->nr), READ_ONCE(b->want),
	    (unsigned long long)READ_ONCE(b->moved), (unsigned long long)READ_ONCE(b->asked),
	    (unsigned long long)READ_ONCE(b->reported));
	return true;
}
