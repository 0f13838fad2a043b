/* SPDX-License-Identifier: MIT */
/*
 * monitor_cma.c: the prompt's commands for contiguous memory.
 *
 * Owns:       nothing: memory allocated at the prompt stays allocated until it is freed there.
 * Locks:      none.
 * Tests:      tests/qemu/test_cma.py.
 */
#include "kernel/cma_area.h"
#include "demo/monitor.h"

#include <quarry/errname.h>
#include <quarry/errno.h>
#include <quarry/port.h>

static int cma_said(const char *what, int err)
{
	if (!err)
		printk("cma %s: done\n", what);
	else
		printk("cma %s: error %s: %s\n", what, errno_name(err),
		    err == -EEXIST       ? "there is one already"
		        : err == -ENOENT ? "there is no area"
		        : err == -EBUSY  ? "memory in it is in use and could not be moved"
		        : err == -ENOMEM ? "no free memory of that size in one piece"
		                         : "no such pages");
	return err;
}

static int alloc(unsigned n, const u64 *number)
{
	struct cma *cma = cma_area();
	struct page *page;
	int err = -ENOENT;

	if (cma)
		err = cma_alloc(cma, number[0], (unsigned)MIN(n > 1 ? number[1] : 0, 64ULL), &page);
	if (err)
		return cma_said("alloc", err);
	printk("cma alloc: pfn %#lx\n", page_to_pfn_in(&kernel_memory, page));
	return 0;
}

static int free_pages_of(u64 pfn, u64 nr)
{
	struct cma *cma = cma_area();

	if (!cma)
		return -ENOENT;
	if (pfn < cma->start || pfn >= cma->end)
		return -EINVAL;
	return cma_free(cma, pfn_to_page_in(&kernel_memory, pfn), nr);
}

/* The forms: cma; cma make MIB; cma end; cma alloc NR [ALIGN]; cma free PFN NR. */
int cmd_cma(unsigned n, char **arg)
{
	u64 number[2] = {0};
	unsigned i;

	for (i = 1; i < n; i++) {
		if (!monitor_number(arg[i], &number[i - 1]))
			return -EINVAL;
	}
	if (n == 0) {
		cma_area_show();
		return 0;
	}
	if (n == 2 && strcmp(arg[0], "make") == 0)
		return cma_said("make", cma_area_make(number[0]));
	if (n == 1 && strcmp(arg[0], "end") == 0)
		return cma_said("end", cma_area_end());
	if (n >= 2 && strcmp(arg[0], "alloc") == 0)
		return alloc(n - 1, number);
	if (n == 3 && strcmp(arg[0], "free") == 0)
		return cma_said("free", free_pages_of(number[0], number[1]));
	printk("usage: cma, cma make MIB, cma end, cma alloc NR [ALIGN], cma free PFN NR\n");
	return -EINVAL;
}
