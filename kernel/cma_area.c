/* SPDX-License-Identifier: MIT */
/*
 * cma_area.c: the kernel's own area of contiguous memory, made by cma=SIZE at boot or by a command
 * of the monitor.
 *
 * Owns:       the area.
 * Locks:      none of its own: the boot thread makes the area; later only the monitor's thread
 *             makes and destroys it.  Users take the area's own lock (mm/hotplug/cma.c).
 * Tests:      tests/qemu/test_cma.py.
 */
#include "kernel/cma_area.h"

#include <quarry/cmdline.h>
#include <quarry/errname.h>
#include <quarry/errno.h>
#include <quarry/port.h>

#define MIB_PAGES (1UL << (20 - PAGE_SHIFT))

static struct cma area;
static bool there;

struct cma *cma_area(void)
{
	return there ? &area : NULL;
}

int cma_area_make(u64 mib)
{
	int err;

	if (there)
		return -EEXIST;
	if (mib > CMA_AREA_MAX_MIB)
		return -ENOMEM;
	err = cma_create_anywhere(
	    &area, "kernel", &kernel_memory, ALIGN_UP(mib * MIB_PAGES, PAGEBLOCK_PAGES));
	there = !err;
	return err;
}

int cma_area_end(void)
{
	int err = there ? cma_destroy(&area) : -ENOENT;

	if (!err)
		there = false;
	return err;
}

void cma_area_show(void)
{
	struct cma_use use;

	if (!there) {
		printk("cma: no area\n");
		return;
	}
	use = cma_count(&area);
	printk(
	    "cma: %lu MiB at pfn %#lx\n  pages: %lu users', %lu lent, %lu free, %lu offline, %lu "
	    "gone\n",
	    (area.end - area.start) / MIB_PAGES, area.start, use.users, use.lent, use.free,
	    use.offline, use.gone);
}

void cma_area_boot(void)
{
	u64 mib = cmdline_u64("cma", 0);
	int err = mib ? cma_area_make(mib) : 0;

	if (err)
		printk("cma: no area of %llu MiB: error %s: at most half of the kernel's free "
		       "memory, in one piece\n",
		    (unsigned long long)mib, errno_name(err));
	else if (mib)
		cma_area_show();
}
