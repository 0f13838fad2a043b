/* SPDX-License-Identifier: MIT */
/*
 * monitor_offline.c: the prompt's commands that take memory offline and bring it back.
 *
 * Owns:       a page that is always busy.
 * Locks:      none.
 * Tests:      tests/qemu/test_monitor.py, tests/qemu/test_shown.py.
 */
#include "demo/live.h"
#include "demo/monitor.h"

#include <quarry/acpi.h>
#include <quarry/console.h>
#include <quarry/contig.h>
#include <quarry/errno.h>
#include <quarry/memory_hotplug.h>
#include <quarry/movable.h>
#include <quarry/isolation.h>
#include <quarry/plural.h>

/* An offline, of a range or of a node, for the thread that does it. */
struct job {
	u32 cancel; /* a: for struct offline_opts */
	struct offline_opts opts;
	pfn_t pfn;
	unsigned long nr;
	unsigned node;
	bool whole;
};

static int run_job(const char *what, int (*fn)(void *arg), struct job *job)
{
	job->opts.cancel = &job->cancel;
	return monitor_wait(what, fn, job, &job->cancel);
}

/* A range, as first page and number. */
static bool two_numbers(char **arg, u64 *pfn, u64 *nr)
{
	return monitor_number(arg[0], pfn) && monitor_number(arg[1], nr);
}

/* ---- commands ---- */

static int offline_job(void *arg)
{
	struct job *job = arg;
	struct offline_result res;
	int err;

	live_range(job->pfn, job->nr);
	live_offline(&res);
	err = offline_pages(&kernel_memory, job->pfn, job->nr, &job->opts, &res);
	live_offline(NULL);
	if (err)
		printk("offline: error %d: %s, pfn %#lx\n", err, mm_why_text(res.fail.why),
		    res.fail.pfn);
	else
		printk("offline: done: %u drain round%s, %u IPI%s\n", res.rounds,
		    plural(res.rounds), res.ipis, plural(res.ipis));
	if (!err || res.loops)
		printk("offline: %u block%s moved in %u pass%s, %u retr%s\n", res.moved,
		    plural(res.moved), res.loops, res.loops == 1 ? "" : "es", res.retries,
		    res.retries == 1 ? "y" : "ies");
	return err;
}

int cmd_offline(unsigned n, char **arg)
{
	struct job job = {.opts.policy = NR_ISO_POLICIES};
	u64 pfn, nr;

	if (n == 0) {
		range_show_online("offline");
		range_show_offline("offline");
		return 0;
	}
	if (!two_numbers(arg, &pfn, &nr))
		return -EINVAL;
	if (n > 2 && !monitor_policy(arg[2], &job.opts.policy))
		return -EINVAL;
	job.pfn = pfn;
	job.nr = nr;
	return run_job("offline", offline_job, &job);
}

int cmd_online(unsigned n, char **arg)
{
	struct mm_fail fail;
	u64 pfn, nr;
	int err;

	if (n == 0) {
		range_show_offline("online");
		return 0;
	}
	if (!two_numbers(arg, &pfn, &nr))
		return -EINVAL;
	live_range(pfn, nr);
	err = online_pages(&kernel_memory, pfn, nr, &fail);
	if (err)
		printk("online: error %d: %s, pfn %#lx\n", err, mm_why_text(fail.why), fail.pfn);
	else
		printk("online: done\n");
	return err;
}

int cmd_add(unsigned n, char **arg)
{
	u64 pfn, nr, node;
	int err;

	if (n == 0) {
		show_all_slots();
		return 0;
	}
	if (!two_numbers(arg, &pfn, &nr))
		return -EINVAL;
	node = acpi_node_of((phys_t)pfn << PAGE_SHIFT);
	/* If nodes are interleaved, the boot has merged them into one. */
	if (node >= kernel_memory.nr_nodes)
		node = 0;
	if (n > 2 && !monitor_number(arg[2], &node))
		return -EINVAL;
	err = add_memory(&kernel_memory, pfn, nr, (unsigned)MIN(node, (u64)MAX_NODES));
	if (err)
		printk("add: error %d: %s\n", err,
		    err == -EINVAL       ? "range empty, unaligned or where no memory can come"
		        : err == -EEXIST ? "some of it is there"
		        : err == -ENODEV ? "no such node"
		                         : "no memory for its descriptors");
	else
		printk("add: done: offline, on node %llu\n", (unsigned long long)node);
	return err;
}

int cmd_remove(unsigned n, char **arg)
{
	u64 pfn, nr;
	int err;

	if (n == 0) {
		range_show_offline("remove");
		return 0;
	}
	if (!two_numbers(arg, &pfn, &nr))
		return -EINVAL;
	err = remove_memory(&kernel_memory, pfn, nr);
	if (err)
		printk("remove: error %d: %s\n", err,
		    err == -EINVAL ? "range empty, unaligned or not there"
		                   : "some of it is not offline");
	else
		printk("remove: done\n");
	return err;
}

/* A line for each whole zone MOVABLE. */
static void query_zones(void)
{
	static struct offline_survey s;
	unsigned i;

	for (i = 0; i < kernel_memory.nr_nodes * NR_ZONE_KINDS; i++) {
		const struct zone *zone = &kernel_memory.zones[i];
		unsigned long nr = zone->end_pfn - zone->start_pfn;

		if (zone->kind != ZONE_MOVABLE || !nr)
			continue;
		offline_survey(&kernel_memory, zone->start_pfn, nr, &s);
		/* A page may have several reasons: each is counted once here. */
		printk("query: pfn %#lx, %lu pages, node %u\n"
		       "  %lu can move, %lu free, %lu neither\n",
		    zone->start_pfn, nr, zone->node, s.movable, s.free,
		    nr - MIN(nr, s.movable + s.free));
	}
}

int cmd_query(unsigned n, char **arg)
{
	static struct offline_survey s;
	u64 pfn, nr;
	unsigned why;

	if (n == 0) {
		query_zones();
		return 0;
	}
	if (!two_numbers(arg, &pfn, &nr))
		return -EINVAL;
	offline_survey(&kernel_memory, pfn, nr, &s);
	for (why = WHY_NONE + 1; why < NR_MM_WHY; why++) {
		if (s.pages[why])
			printk("  %8lu pages: %s, the first at pfn %#lx\n", s.pages[why],
			    mm_why_text((enum mm_why)why), s.first[why]);
	}
	printk("  %8lu pages can move, %lu are free\n", s.movable, s.free);
	if (s.retired)
		printk("  %8lu are broken and out of use\n", s.retired);
	if (s.err)
		printk("query: an offline would be refused, error %d: %s, pfn %#lx\n", s.err,
		    mm_why_text(s.fail.why), s.fail.pfn);
	else
		printk("query: an offline would be tried\n");
	return s.err;
}

static int evacuate_job(void *arg)
{
	struct job *job = arg;
	struct node_result res;
	int err = offline_node(&kernel_memory, job->node, &job->opts, job->whole, &res);

	printk("evacuate: %lu pages offlined, %lu stayed; drain rounds: %u, blocks moved: %u\n",
	    res.offlined, res.stayed, res.rounds, res.moved);
	if (err)
		printk("evacuate: error %d: %s, pfn %#lx\n", err, mm_why_text(res.fail.why),
		    res.fail.pfn);
	else
		printk("evacuate: done\n");
	return err;
}

static int evacuate_undo(unsigned node)
{
	long back = online_node(&kernel_memory, node);

	if (back < 0)
		printk("evacuate: error %ld: no such node\n", back);
	else
		printk("evacuate: %ld pages are back online\n", back);
	return back < 0 ? (int)back : 0;
}

static void show_nodes(void)
{
	unsigned node;

	for (node = 0; node < kernel_memory.nr_nodes; node++) {
		unsigned long offline = 0, nr;
		pfn_t pfn;

		for (pfn = range_offline(0, &nr); pfn != PFN_NONE;
		     pfn = range_offline(pfn + nr, &nr))
			offline += zone_of(&kernel_memory, pfn)->node == node ? nr : 0;
		printk("evacuate: node %u: %lu pages of its zone MOVABLE, %lu pages offline\n",
		    node,
		    READ_ONCE(kernel_memory.zones[node * NR_ZONE_KINDS + ZONE_MOVABLE].present),
		    offline);
	}
}

int cmd_evacuate(unsigned n, char **arg)
{
	struct job job = {.opts.policy = NR_ISO_POLICIES};
	u64 node;

	if (n == 0) {
		show_nodes();
		return 0;
	}
	if (!monitor_number(arg[0], &node))
		return -EINVAL;
	if (n > 1 && strcmp(arg[1], "undo") != 0 && strcmp(arg[1], "whole") != 0) {
		printk("usage: evacuate NODE [whole|undo]\n");
		return -EINVAL;
	}
	job.node = (unsigned)MIN(node, (u64)MAX_NODES);
	if (n > 1 && strcmp(arg[1], "undo") == 0)
		return evacuate_undo(job.node);
	job.whole = n > 1;
	return run_job("evacuate", evacuate_job, &job);
}

static int compact_job(void *arg)
{
	return compact_memory(&kernel_memory, arg);
}

int cmd_compact(unsigned n, char **arg)
{
	struct compact_stats stats;
	int err = monitor_wait("compact", compact_job, &stats, NULL);

	if (err)
		printk("compact: error %d\n", err);
	else
		printk("compact: %lu block%s moved, %lu could not be moved\n", stats.moved,
		    plural(stats.moved), stats.failed);
	return err;
}

/* ---- a page that is always in use: a blocker for an offline to wait for ---- */

/* Its owner never lets it be isolated, so it is neither moved nor put back. */
static int busy_isolate(struct memory *mem, struct page *page)
{
	return -EBUSY;
}

int cmd_busy(unsigned n, char **arg)
{
	static const struct movable_ops ops = {.isolate = busy_isolate};
	static struct movable_owner owner = {.ops = &ops};
	static struct page *page;
	struct mm_fail fail = {0};
	u64 pfn;
	int err;

	if (page) {
		page_release_movable(&kernel_memory, page);
		movable_owner_drain(&owner);
		printk("busy: pfn %#lx released\n", page_to_pfn_in(&kernel_memory, page));
		page = NULL;
	}
	if (n == 0)
		return 0;
	if (!monitor_number(arg[0], &pfn))
		return -EINVAL;
	err = alloc_contig_range(&kernel_memory, pfn, pfn + 1, MT_MOVABLE, &fail);
	if (err) {
		printk("busy: error %d: %s, pfn %#lx\n", err, mm_why_text(fail.why), fail.pfn);
		return err;
	}
	page = pfn_to_page_in(&kernel_memory, pfn);
	page_make_movable(&kernel_memory, page, &owner, 0);
	printk("busy: pfn %#lx will not be moved\n", page_to_pfn_in(&kernel_memory, page));
	return 0;
}
