/* SPDX-License-Identifier: MIT */
/*
 * isolation.h: isolating ranges of pageblocks, so that nothing is allocated from them
 * (mm/hotplug/page_isolation.c).
 */
#ifndef QUARRY_ISOLATION_H
#define QUARRY_ISOLATION_H

#include <quarry/mm.h>

/* Make the one forced round of the policy "precise": see mm/hotplug/page_isolation.c. */
int drain_isolated_pages(struct memory *mem) EXCLUDES(pcp_ctl_class, zone_class);

/*
 * start_isolate_page_range - let no page of [start, start + nr) be allocated any more.  Under
 * ISO_DISABLE the caller has disabled the zone's caches; in one lock hold each pageblock is scanned
 * for unmovable pages and its bit is set.  Under ISO_PRECISE all bits are set, then one drain round
 * sends every CPU an IPI, and then the pageblocks are scanned.  ISO_REDRAIN does the same, but
 * sends IPIs only to the CPUs that seem to hold pages: the caller must drain again until the range
 * is free.  Free pages leave the lists; allocated ones stay where they are.  Returns 0; -EINVAL bad
 * range or, under ISO_DISABLE, caches on; -EBUSY a pageblock is isolated already, or holds an
 * unmovable page (*@fail has it); -EDEADLK context.  On an error nothing is changed.  Context:
 * thread, may sleep.  Locks: zone; but for ISO_DISABLE also cpu_hotplug shared, pcp_ctl.
 */
int start_isolate_page_range(struct memory *mem, pfn_t start, unsigned long nr,
    enum iso_policy policy, struct mm_fail *fail) must_check EXCLUDES(pcp_ctl_class, zone_class);
/* The names of all policies, as one literal: ISO_POLICY_NAMES("|") is "redrain|disable|precise". */
#define ISO_POLICY_NAMES(between)   ISO_POLICIES(ISO_POLICY_NAME, between)
#define ISO_POLICY_NAME(id, string) string
/*
 * The name of @policy, as in ISO_POLICIES; NULL for no policy.  iso_policy_by_name is the reverse;
 * NR_ISO_POLICIES if unknown.
 */
const char *iso_policy_name(enum iso_policy policy);
enum iso_policy iso_policy_by_name(const char *name);
/* A line for the console that says what the policy does. */
const char *iso_policy_story(enum iso_policy policy);
/*
 * Does an offline with @policy make exactly one drain round, whatever happens meanwhile?  With
 * ISO_DISABLE it makes none if the zone's caches were off already.
 */
bool iso_policy_one_round(enum iso_policy policy);
/*
 * Undo start_isolate_page_range; the pageblocks have kept their types.  Never fails; nothing
 * happens if the range is bad.  Context: any.  Locks: zone.
 */
void undo_isolate_page_range(struct memory *mem, pfn_t start, unsigned long nr)
    EXCLUDES(zone_class);
/*
 * Are all pages of [start, start + nr) free or retired?  Its pageblocks are isolated; the first and
 * the last may extend beyond it.  0; -EBUSY, *@fail: the first other page and why; -EINVAL bad
 * range, or a pageblock is not isolated.  Any context.  Locks: zone.
 */
int test_pages_isolated(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
    EXCLUDES(zone_class);

#endif
