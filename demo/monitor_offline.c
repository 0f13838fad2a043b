/* SPDX-License-Identifier: MIT */
/*
 * monitor_offline.c: the prompt's commands that take memory offline and bring it back.
 *
 * Owns:       the operation under way, in a thread of its own; a page that is always busy.
 * Locks:      none.
 * Invariants: while an operation runs, the prompt's thread waits for it and for Ctrl-U (or Ctrl-C,
 *             unless a program reads that), which cancels the operation; other keys are ignored.
 * Tests:      tests/qemu/test_monitor.py, tests/qemu/test_shown.py.
 */
#include "demo/monitor.h"

#include <quarry/acpi.h>
#include <quarry/console.h>
#include <quarry/contig.h>
#include <quarry/errno.h>
#include <quarry/memory_hotplug.h>
#include <quarry/movable.h>
#include <quarry/isolation.h>

#define CTRL_C 3
#define CTRL_U 21

/* ---- cancelling ---- */

struct job {
	void (*run)(struct job *job);
	u32 cancel; /* a: for struct offline_opts */
	u32 done;   /* a */
	struct offline_opts opts;
	pfn_t pfn;
	unsigned long nr;
	unsigned node;
	bool whole;
};

static void job_thread(void *arg)
{
	struct job *job = arg;

	job->run(job);
	store_release(&job->done, 1u);
}

/* Run the job in a thread of its own, and watch for a key meanwhile. */
static void run_job(struct job *job)
{
	struct thread *thread;

	job->opts.cancel = &job->cancel;
	thread = thread_start("offline", -1, job_thread, job);
	if (!thread) {
		printk("no memory for a thread\n");
		return;
	}
	while (!load_acquire(&job->done)) {
		int c = serial_getc();

		if (c == CTRL_C || c == CTRL_U)
			store_release(&job->cancel, 1u);
		thread_sleep(1000000);
	}
	thread_join(thread);
}

/* ---- commands ---- */

static void offline_job(struct job *job)
{
	struct offline_result res;
	int err = offline_pages(&kernel_memory, job->pfn, job->nr, &job->opts, &res);

	if (err)
		printk("offline: error %d: %s, pfn %#lx (%u pass%s, %u blocks moved)\n", err,
		    mm_why_text(res.fail.why), res.fail.pfn, res.loops, res.loops == 1 ? "" : "es",
		    res.moved);
	else
		printk("offline: done: %u drain round%s, %u IPI%s, %u blocks moved, %u retries, "
		       "%u pass%s\n",
		    res.rounds, res.rounds == 1 ? "" : "s", res.ipis, res.ipis == 1 ? "" : "s",
		    res.moved, res.retries, res.loops, res.loops == 1 ? "" : "es");
}

void cmd_offline(unsigned n, char **arg)
{
	struct job job = {.run = offline_job, .opts.policy = NR_ISO_POLICIES};
	u64 pfn, nr;

	if (!monitor_number(arg[0], &pfn) || !monitor_number(arg[1], &nr))
		return;
	if (n > 2 && !monitor_policy(arg[2], &job.opts.policy))
		return;
	job.pfn = pfn;
	job.nr = nr;
	run_job(&job);
}

void cmd_online(unsigned n, char **arg)
{
	struct mm_fail fail;
	u64 pfn, nr;
	int err;

	if (!monitor_number(arg[0], &pfn) || !monitor_number(arg[1], &nr))
		return;
	err = online_pages(&kernel_memory, pfn, nr, &fail);
	if (err)
		printk("online: error %d: %s, pfn %#lx\n", err, mm_why_text(fail.why), fail.pfn);
	else
		printk("online: done\n");
}

void cmd_add(unsigned n, char **arg)
{
	u64 pfn, nr, node;
	int err;

	if (!monitor_number(arg[0], &pfn) || !monitor_number(arg[1], &nr))
		return;
	node = acpi_node_of((phys_t)pfn << PAGE_SHIFT);
	/* With interleaved nodes the boot made one node of them. */
	if (node >= kernel_memory.nr_nodes)
		node = 0;
	if (n > 2 && !monitor_number(arg[2], &node))
		return;
	err = add_memory(&kernel_memory, pfn, nr, (unsigned)MIN(node, (u64)MAX_NODES));
	if (err)
		printk("add: error %d: %s\n", err,
		    err == -EINVAL       ? "range empty, unaligned or where no memory can come"
		        : err == -EEXIST ? "some of it is there"
		        : err == -ENODEV ? "no such node"
		                         : "no memory for its descriptors");
	else
		printk("add: done: offline, on node %llu\n", (unsigned long long)node);
}

void cmd_remove(unsigned n, char **arg)
{
	u64 pfn, nr;
	int err;

	if (!monitor_number(arg[0], &pfn) || !monitor_number(arg[1], &nr))
		return;
	err = remove_memory(&kernel_memory, pfn, nr);
	if (err)
		printk("remove: error %d: %s\n", err,
		    err == -EINVAL ? "range empty, unaligned or not there"
		                   : "some of it is not offline");
	else
		printk("remove: done\n");
}

void cmd_query(unsigned n, char **arg)
{
	static struct offline_survey s;
	u64 pfn, nr;
	unsigned why;

	if (!monitor_number(arg[0], &pfn) || !monitor_number(arg[1], &nr))
		return;
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
}

static void evacuate_job(struct job *job)
{
	struct node_result res;
	int err = offline_node(&kernel_memory, job->node, &job->opts, job->whole, &res);

	printk("evacuate: %lu pages offlined, %lu stayed; drain rounds: %u, blocks moved: %u\n",
	    res.offlined, res.stayed, res.rounds, res.moved);
	if (err)
		printk("evacuate: error %d: %s, pfn %#lx\n", err, mm_why_text(res.fail.why),
		    res.fail.pfn);
	else
		printk("evacuate: done\n");
}

void cmd_evacuate(unsigned n, char **arg)
{
	struct job job = {.run = evacuate_job, .opts.policy = NR_ISO_POLICIES};
	u64 node;

	if (!monitor_number(arg[0], &node))
		return;
	if (n > 1 && strcmp(arg[1], "undo") != 0 && strcmp(arg[1], "whole") != 0) {
		printk("usage: evacuate NODE [whole|undo]\n");
		return;
	}
	job.node = (unsigned)MIN(node, (u64)MAX_NODES);
	if (n > 1 && strcmp(arg[1], "undo") == 0) {
		long back = online_node(&kernel_memory, job.node);

		if (back < 0)
			printk("evacuate: error %ld: no such node\n", back);
		else
			printk("evacuate: %ld pages are back online\n", back);
		return;
	}
	job.whole = n > 1;
	run_job(&job);
}

void cmd_compact(unsigned n, char **arg)
{
	struct compact_stats stats;
	int err = compact_memory(&kernel_memory, &stats);

	if (err)
		printk("compact: error %d\n", err);
	else
		printk("compact: %lu blocks moved, %lu could not be moved\n", stats.moved,
		    stats.failed);
}

/* ---- a page that is always in use: a blocker for an offline to wait for ---- */

/* Its owner never lets it be isolated, so it is neither moved nor put back. */
static int busy_isolate(struct memory *mem, struct page *page)
{
	return -EBUSY;
}

void cmd_busy(unsigned n, char **arg)
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
	if (n == 0 || !monitor_number(arg[0], &pfn))
		return;
	err = alloc_contig_range(&kernel_memory, pfn, pfn + 1, MT_MOVABLE, &fail);
	if (err) {
		printk("busy: error %d: %s, pfn %#lx\n", err, mm_why_text(fail.why), fail.pfn);
		return;
	}
	page = pfn_to_page_in(&kernel_memory, pfn);
	page_make_movable(&kernel_memory, page, &owner, 0);
	printk("busy: pfn %#lx will not be moved\n", page_to_pfn_in(&kernel_memory, page));
}
