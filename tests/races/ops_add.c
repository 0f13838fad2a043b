/* SPDX-License-Identifier: MIT */
/*
 * ops_add.c: adding and removing memory, taking all of it, and telling the host what is free, for
 * the roles of a race.
 *
 * Owns: the operations of reclaim while a role takes all memory; the pageblock that is being
 * reported.
 */
#include "mm/core/page.h"
#include "mm/reclaim/request.h"
#include "ops.h"
#include <quarry/memory_hotplug.h>
#include <quarry/oom.h>
#include <quarry/page_report.h>

static pfn_t reported;
static unsigned nr_reported;

static int grow_nothing(struct memory *mem, pfn_t start, unsigned long nr, pfn_t at)
{
	return 0;
}
const struct memory_arrays ops_standby_arrays = {.grow_inside = grow_nothing};

static int op_add(pfn_t start, unsigned long nr)
{
	return add_memory(ops.mem, start, nr, 0);
}

static int op_remove(pfn_t start, unsigned long nr)
{
	return remove_memory(ops.mem, start, nr);
}

/*
 * Report one free pageblock to the host: report(take), then report(give), in two operations.
 * -EBUSY: none can be spared.
 */
static int op_report(unsigned role, const char *arg)
{
	struct report_walk walk = {0};

	if (strcmp(arg, "give") != 0)
		nr_reported = take_unreported(ops.mem, &walk, &reported, 1);
	if (!nr_reported)
		return -EBUSY;
	if (strcmp(arg, "take") != 0)
		give_reported(ops.mem, &reported, nr_reported, true);
	return 0;
}

/* Would an offline of the pageblocks succeed? */
static int op_query(pfn_t start, unsigned long nr)
{
	return offline_query(ops.mem, start, nr, NULL);
}

/* Finds no victim, and notes in *@arg if a pageblock of a report was to come back, or is back. */
static bool nobody(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	pfn_t pfn;

	for (pfn = ops_movable()->start_pfn; pfn < ops_movable()->end_pfn; pfn += PAGEBLOCK_PAGES) {
		u32 word = page_word(pfn_to_page_in(mem, pfn));

		*(bool *)arg |= word_order(word) == MAX_ORDER &&
		    (word_state(word) == PG_FREEING || word_state(word) == PG_FREE);
	}
	return false;
}

/* Ask the OOM killer for a page.  -EUCLEAN: a victim is sought although a report has pages. */
static int op_oom(unsigned role, const char *arg)
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
 * Allocate all pages that can be had without waiting, largest blocks first; hoard(UNMOVABLE): from
 * zone NORMAL. Refusals here ask for nothing: what the reclaim thread does for them would come at
 * any time, so the script's next allocation would find a page on some machines and none on others.
 */
static int op_hoard(unsigned role, const char *arg)
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

const struct op ops_add[] = {
    {.name = "hoard", .fn = op_hoard},
    {.name = "report", .fn = op_report},
    {.name = "query", .range = op_query},
    {.name = "oom", .fn = op_oom},
    {.name = "add_memory", .range = op_add},
    {.name = "remove_memory", .range = op_remove},
    {.name = NULL},
};
