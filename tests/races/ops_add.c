/* SPDX-License-Identifier: MIT */
/*
 * ops_add.c: adding and removing memory, and taking all of it, for the roles of a race.
 *
 * Owns: the operations of reclaim while a role takes all memory.
 */
#include "ops.h"
#include <quarry/memory_hotplug.h>

static int grow_nothing(struct memory *mem, pfn_t start, unsigned long nr, pfn_t at)
{
	return 0;
}
const struct memory_arrays ops_standby_arrays = {.grow_inside = grow_nothing};

int add_op_add(unsigned role, const char *arg)
{
	unsigned long nr;
	pfn_t start;

	return ops_range(arg, &start, &nr) ? add_memory(ops.mem, start, nr, 0) : -EINVAL;
}

int add_op_remove(unsigned role, const char *arg)
{
	unsigned long nr;
	pfn_t start;

	return ops_range(arg, &start, &nr) ? remove_memory(ops.mem, start, nr) : -EINVAL;
}

static void no_wish(struct memory *mem, gfp_t gfp, unsigned order)
{
}

/*
 * Refusals here ask for nothing: what the reclaim thread does for them would come at any time, so
 * the script's next allocation would find a page on some machines and none on others.
 */
int add_op_hoard(unsigned role, const char *arg)
{
	const struct reclaim_ops *reclaim = ops.mem->reclaim;
	static struct reclaim_ops quiet;
	unsigned order;

	quiet = *reclaim;
	quiet.wish = no_wish;
	quiet.refused = NULL;
	WRITE_ONCE(ops.mem->reclaim, &quiet);
	for (order = MAX_ORDER + 1; order-- > 0;) {
		while (ops.nr_hoard < MAX_HOARD) {
			struct page *page =
			    mem_alloc_pages(ops.mem, ops_gfp(arg) | GFP_NOWAIT, order);

			if (!page)
				break;
			ops.hoard[ops.nr_hoard++] = page;
		}
	}
	WRITE_ONCE(ops.mem->reclaim, reclaim);
	return ops.nr_hoard < MAX_HOARD ? 0 : -ENOMEM;
}
