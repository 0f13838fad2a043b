/* SPDX-License-Identifier: MIT */
/*
 * monitor_offline.c: the prompt's commands that take memory offline and bring it back.
 *
 * Owns:       a page that is always busy.
 * Locks:      none.
 * Tests:      tests/qemu/test_monitor.py, tests/qemu/test_script.py.
 */
#include "kernel/cma_area.h"
#include "demo/live.h"
#include "demo/monitor.h"

#include <quarry/acpi.h>
#include <quarry/console.h>
#include <quarry/contig.h>
#include <quarry/errname.h>
#include <quarry/errno.h>
#include <quarry/memory_hotplug.h>
#include <quarry/movable.h>
#include <quarry/isolation.h>
#include <quarry/panic.h>
#include <quarry/plural.h>
#include <quarry/string.h>

/* ---- a page that is always in use: a blocker for an offline to wait for ---- */

/* The page's owner never lets it be isolated, so the page is never moved. */
static int busy_isolate(struct memory *mem, struct page *page)
{
	return -EBUSY;
}

static const struct movable_ops busy_ops = {.isolate = busy_isolate};
static struct {
	struct page *page; /* NULL: none */
	struct movable_owner owner;
} busy = {.owner.ops = &busy_ops};

static pfn_t busy_pfn(void)
{
	return page_to_pfn_in(&kernel_memory, busy.page);
}

/* ---- offlines ---- */

/* An offline of a range or of a node: the arguments and the result of the thread that runs it. */
struct job {
	u32 cancel; /* atomic: for struct offline_opts */
	struct offline_opts opts;
	pfn_t pfn;
	unsigned long nr;
	unsigned node;
	bool whole;
	struct offline_result res;
};

static int run_job(const char *what, int (*fn)(void *arg), struct job *job)
{
	job->opts.cancel = &job->cancel;
	return monitor_wait(what, fn, job, &job->cancel, &job->res.fail);
}

/* Parse a range: its first page and the number of pages. */
static bool two_numbers(char **arg, u64 *pfn, u64 *nr)
{
	return monitor_number(arg[0], pfn) && monitor_number(arg[1], nr);
}

/* Print the error, and the page that caused it unless the range itself is refused. */
static void say_failed(const char *what, int err, const struct mm_fail *fail, const char *text)
{
	char where[32] = "";

	if (fail->why != WHY_RANGE && fail->pfn != PFN_NONE)
		ksnprintf(where, sizeof(where), ", pfn %#lx", fail->pfn);
	printk("%s: error %s: %s%s\n", what, errno_name(err), text, where);
}

/* The text for a refused range: it is not whole pageblocks, or else @other. */
static const char *range_bad(u64 pfn, u64 nr, const char *other)
{
	const char *misfit = range_misfit(pfn, nr);

	return misfit ? misfit : other;
}

/* ---- commands ---- */

static int offline_job(void *arg)
{
	struct job *job = arg;
	struct offline_result *res = &job->res;
	int err;

	live_range(job->pfn, job->nr);
	live_offline(res);
	err = offline_pages(&kernel_memory, job->pfn, job->nr, &job->opts, res);
	live_offline(NULL);
	if (err)
		say_failed("offline", err, &res->fail,
		    range_why(res->fail.why, job->pfn, job->nr, "already offline"));
	else
		printk("offline: done: %u drain round%s, %u IPI%s\n", res->rounds,
		    plural(res->rounds), res->ipis, plural(res->ipis));
	if (!err || res->loops)
		printk("offline: %u block%s moved in %u pass%s, %u retr%s\n", res->moved,
		    plural(res->moved), res->loops, res->loops == 1 ? "" : "es", res->retries,
		    res->retries == 1 ? "y" : "ies");
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
		say_failed("online", err, &fail, range_why(fail.why, pfn, nr, "already online"));
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
		printk("add: error %s: %s\n", errno_name(err),
		    err == -EINVAL       ? range_bad(pfn, nr, "no memory can come there")
		        : err == -EEXIST ? "some of it is there"
		        : err == -ENODEV ? "no such node"
		        : err == -EBUSY  ? "standby memory, or another operation, is there"
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
		printk("remove: error %s: %s\n", errno_name(err),
		    err == -EINVAL ? range_bad(pfn, nr, "no memory is there")
		                   : "some of it is not offline");
	else
		printk("remove: done\n");
	return err;
}

#define USER_TEXT 64 /* bytes of the text of user_of */

/* Print for each zone MOVABLE the numbers of pages that can move, that are free, and of others. */
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
		/* A page may have several reasons to stay; here each page is counted once. */
		printk("query: pfn %#lx, %lu pages, node %u\n"
		       "  %lu can move, %lu free, %lu neither\n",
		    zone->start_pfn, nr, zone->node, s.movable, s.free,
		    nr - MIN(nr, s.movable + s.free));
	}
}

/* The state of the blocker @pfn, and its user if that is known; "" if @why is not about a page. */
static const char *user_of(enum mm_why why, pfn_t pfn, char text[USER_TEXT])
{
	const struct cma *cma = cma_area();
	u32 word;

	text[0] = '\0';
	if (why != WHY_UNMOVABLE && why != WHY_PINNED && why != WHY_BUSY && why != WHY_HWPOISON)
		return text;
	word = block_word(&kernel_memory, pfn);
	ksnprintf(text, USER_TEXT, " (%s%s)", page_state_name(word_state(word)),
	    cma && pfn >= cma->start && pfn < cma->end && word_state(word) == PG_ALLOC
	        ? ", of a user of the CMA area"
	        : "");
	return text;
}

/*
 * Print the number of pages that their owners move, the first of them, and its owner's function
 * isolate.
 */
static void say_owned(const struct offline_survey *s)
{
	const struct movable_ops *ops;
	char name[48];
	unsigned len;

	if (!s->owned)
		return;
	ops = movable_ops_at(&kernel_memory, s->first_owned);
	if (!ops)
		return; /* the page has left meanwhile */
	symbol_name((uintptr_t)ops->isolate, name, sizeof(name));
	for (len = 0; name[len] && name[len] != '+'; len++)
		;
	name[len] = '\0';
	printk("  %8lu of them by %s, the first at pfn %#lx (%s)\n", s->owned,
	    s->owned == 1 ? "its owner" : "their owners", s->first_owned, name);
}

int cmd_query(unsigned n, char **arg)
{
	static struct offline_survey s;
	char user[USER_TEXT];
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
			printk("  %8lu page%s: %s, the first at pfn %#lx%s\n", s.pages[why],
			    plural(s.pages[why]), mm_why_text((enum mm_why)why), s.first[why],
			    user_of((enum mm_why)why, s.first[why], user));
	}
	printk("  %8lu page%s can move, %lu %s free\n", s.movable, plural(s.movable), s.free,
	    s.free == 1 ? "is" : "are");
	say_owned(&s);
	if (s.retired)
		printk(
		    "  %8lu %s broken and out of use\n", s.retired, s.retired == 1 ? "is" : "are");
	if (s.err) {
		printk("query: an offline would be refused:\n");
		say_failed(
		    "query", s.err, &s.fail, range_why(s.fail.why, pfn, nr, "already offline"));
	} else if (busy.page && busy_pfn() >= pfn && busy_pfn() - pfn < nr)
		printk(
		    "query: an offline would wait for pfn %#lx, which is kept busy\n", busy_pfn());
	else if (s.pages[WHY_BUSY])
		printk("query: an offline would wait for pfn %#lx%s\n", s.first[WHY_BUSY],
		    user_of(WHY_BUSY, s.first[WHY_BUSY], user));
	else
		printk("query: an offline would be tried\n");
	return s.err;
}

static const char *evacuate_why(int err, enum mm_why why)
{
	if (why != WHY_NONE)
		return mm_why_text(why);
	return err == -EINVAL ? "no such node" : "no memory to note what has left";
}

static int evacuate_job(void *arg)
{
	struct job *job = arg;
	struct node_result res;
	int err = offline_node(&kernel_memory, job->node, &job->opts, job->whole, &res);

	printk("evacuate: %lu pages offlined, %lu stayed; drain rounds: %u, blocks moved: %u\n",
	    res.offlined, res.stayed, res.rounds, res.moved);
	if (err)
		say_failed("evacuate", err, &res.fail, evacuate_why(err, res.fail.why));
	else
		printk("evacuate: done\n");
	return err;
}

static int evacuate_undo(unsigned node)
{
	long back = online_node(&kernel_memory, node);

	if (back < 0)
		printk("evacuate: error %s: no such node\n", errno_name(back));
	else
		printk("evacuate: %ld page%s %s back online\n", back, plural(back),
		    back == 1 ? "is" : "are");
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
	int err = monitor_wait("compact", compact_job, &stats, NULL, NULL);

	if (err)
		printk("compact: error %s\n", errno_name(err));
	else
		printk("compact: %lu block%s moved, %lu could not be moved\n", stats.moved,
		    plural(stats.moved), stats.failed);
	return err;
}

/* ---- the page that is always busy ---- */

int cmd_busy(unsigned n, char **arg)
{
	struct mm_fail fail = {0};
	u64 pfn;
	int err;

	if (!busy.page && n == 0)
		printk("busy: no page is kept busy\n");
	if (busy.page) {
		page_release_movable(&kernel_memory, busy.page);
		movable_owner_drain(&busy.owner);
		printk("busy: pfn %#lx released\n", busy_pfn());
		busy.page = NULL;
	}
	if (n == 0)
		return 0;
	if (!monitor_number(arg[0], &pfn))
		return -EINVAL;
	err = alloc_contig_range(&kernel_memory, pfn, pfn + 1, MT_MOVABLE, &fail);
	if (err) {
		say_failed("busy", err, &fail, mm_why_text(fail.why));
		return err;
	}
	busy.page = pfn_to_page_in(&kernel_memory, pfn);
	if (!page_make_movable(&kernel_memory, busy.page, &busy.owner, 0)) {
		(void)free_pages(busy.page, 0);
		busy.page = NULL;
		return -EHWPOISON;
	}
	printk("busy: pfn %#lx will not be moved\n", busy_pfn());
	return 0;
}
