/* SPDX-License-Identifier: MIT */
/*
 * ops_add.c: adding and removing memory, taking all of it, and telling the host what is free, for
 * the roles of a race.
 *
 * Owns: the operations of reclaim while a role takes all memory.
 */
#include "mm/reclaim/request.h"
#include "ops.h"
#include <quarry/memory_hotplug.h>
#include <quarry/oom.h>
#include <quarry/page_report.h>

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

int add_op_report(unsigned role, const char *arg)
{
	struct report_walk walk = {0};
	pfn_t block;
	unsigned nr = take_unreported(ops.mem, &walk, &block, 1);

	give_reported(ops.mem, &block, nr, true);
	return nr ? 0 : -EBUSY;
}

int add_op_query(unsigned role, const char *arg)
{
	unsigned long nr;
	pfn_t start;

	return ops_range(arg, &start, &nr) ? offline_query(ops.mem, start, nr, NULL) : -EINVAL;
}

/* Finds no victim, and notes in *@arg if pages of a report were to come back. */
static bool nobody(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	const struct zone *zone;

	for_each_zone(mem, zone)
		*(bool *)arg |= READ_ONCE(zone->nr_reporting) > 0;
	return false;
}

int add_op_oom(unsigned role, const char *arg)
{
	struct request q = {.mem = ops.mem, .gfp = GFP_MOVABLE};
	enum outcome then;
	bool early = false;

	memory_set_oom(ops.mem, nobody, &early);
	request_begin(&q);
	oom_begin(&q);
	then = oom_alloc(&q);
	memory_set_oom(ops.mem, NULL, NULL);
	if (then == GOT_IT)
		return mem_free_pages(ops.mem, q.page, 0);
	return early ? -EUCLEAN : 0;
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
