/* SPDX-License-Identifier: MIT */
/*
 * monitor_poison.c: the prompt's commands for memory that breaks.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Tests:      tests/qemu/test_monitor.py.
 */
#include "demo/monitor.h"

#include <quarry/errname.h>
#include <quarry/errno.h>
#include <quarry/plural.h>
#include <quarry/poison.h>

#define LIST_MAX 64 /* pages that are listed */

static const char *error_text(int err)
{
	return err == -ENXIO     ? "no such page, or it is offline"
	    : err == -EBUSY      ? "in use, and cannot be moved"
	    : err == -ENOMEM     ? "no memory to move it to"
	    : err == -EHWPOISON  ? "flagged already"
	    : err == -EINVAL     ? "it is not flagged"
	    : err == -EOPNOTSUPP ? "the machine itself has reported broken memory"
	                         : "refused";
}

static int poison_said(const char *what, int err)
{
	if (err)
		printk("%s: error %s: %s\n", what, errno_name(err), error_text(err));
	else
		printk("%s: done\n", what);
	return err;
}

static const char *state_of(pfn_t pfn)
{
	u32 word = page_word(pfn_to_page_in(&kernel_memory, pfn));

	if (pageblock_state(pageblock_of(&kernel_memory, pfn)) != PB_ONLINE)
		return "offline";
	return word_state(word) == PG_HWPOISON ? "retired" : "in use";
}

static int poison_list(const char *what)
{
	struct poison_count n = mem_poisoned(&kernel_memory);
	pfn_t pfn = mem_poisoned_next(&kernel_memory, 0);
	unsigned listed;

	printk("%s: %lu page%s retired, %lu flagged and in use, %lu offline\n", what, n.retired,
	    plural(n.retired), n.doomed, n.offline);
	for (listed = 0; pfn != PFN_NONE && listed < LIST_MAX; listed++) {
		printk("  pfn %#lx %s\n", pfn, state_of(pfn));
		pfn = mem_poisoned_next(&kernel_memory, pfn + 1);
	}
	if (pfn != PFN_NONE)
		printk("  and more\n");
	return 0;
}

int cmd_poison(unsigned n, char **arg)
{
	static const char *const outcomes[] = {
	    [POISON_FAILED] = "nothing was done",
	    [POISON_RECOVERED] = "out of use",
	    [POISON_DELAYED] = "out of use with its last reference",
	    [POISON_IGNORED] = "in use, until it is freed",
	};
	struct poison_result res;
	u64 pfn;
	int err;

	if (n == 0)
		return poison_list("poison");
	if (!monitor_number(arg[0], &pfn))
		return -EINVAL;
	err = memory_failure(pfn, 0, &res);
	poison_said("poison", err);
	/* For memory that is not online only the pageblock has a state. */
	if (err != -ENXIO && !res.standby)
		printk("poison: page was %s; %s%s\n", page_state_name(res.state),
		    outcomes[res.outcome], res.lost ? "; its content is lost" : "");
	else if (res.standby && res.outcome == POISON_RECOVERED)
		printk("poison: standby memory; flagged, with all of its pageblock\n");
	else if (res.outcome == POISON_RECOVERED)
		printk("poison: offline; flagged, so it stays out of use when it comes online\n");
	return err;
}

int cmd_soft(unsigned n, char **arg)
{
	u64 pfn;

	if (n == 0)
		return poison_list("soft");
	return monitor_number(arg[0], &pfn) ? poison_said("soft", soft_offline_page(pfn)) : -EINVAL;
}

int cmd_unpoison(unsigned n, char **arg)
{
	u64 pfn;

	if (n == 0)
		return poison_list("unpoison");
	return monitor_number(arg[0], &pfn) ? poison_said("unpoison", unpoison_page(pfn)) : -EINVAL;
}
