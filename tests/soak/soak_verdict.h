/* SPDX-License-Identifier: MIT */
/*
 * soak_verdict.h: what the soaks expect, and what they conclude from their figures.  The same
 * figures give the same words.  Any context; no locks.
 */
#ifndef TESTS_SOAK_VERDICT_H
#define TESTS_SOAK_VERDICT_H

#include "demo/verdict.h"

#include <quarry/errno.h>
#include <quarry/poison.h>
#include <quarry/smp.h>

#define FAIR       100 /* the most CPU downs for one memory offline */
#define LISTED_MAX 512 /* with more flagged pages than this, only unpoison */

/* The step of hotplug_soak for a CPU that is @online or not: up or down, and its result. */
struct hotplug_step {
	bool up;
	int want; /* the last CPU online must refuse to go down */
};
static inline struct hotplug_step hotplug_step(bool online, unsigned nr_online)
{
	return (struct hotplug_step){!online, online && nr_online == 1 ? -EBUSY : 0};
}

/* CPU and memory hotplug need the same lock: neither may starve the other. */
static inline struct verdict hotplug_verdict(unsigned offlines, unsigned downs, bool no_range)
{
	return verdict_of(no_range || (offlines + 1) * FAIR >= downs,
	    "%u offlines beside %u downs: they hardly got through", offlines, downs);
}

/* Counter @i, below NR_BAD_CALLS, of the cross-calls that must not happen: it may not rise. */
#define NR_BAD_CALLS 5
static inline struct verdict calls_verdict(
    unsigned i, const struct smp_stats *before, const struct smp_stats *now)
{
	const struct {
		const char *what;
		u64 more;
	} of[NR_BAD_CALLS] = {
	    {"calls asked of CPUs that are not online", now->offline_cpu - before->offline_cpu},
	    {"call interrupts at CPUs that are not online",
	        now->spurious_calls - before->spurious_calls},
	    {"calls asked of CPUs out of range", now->bad_cpu - before->bad_cpu},
	    {"calls in a wrong context", now->bad_context - before->bad_context},
	    {"CPUs reported silent", now->silent - before->silent}};

	return verdict_of(!of[i].more, "%s: %llu", of[i].what, (unsigned long long)of[i].more);
}

/* May an offline beside a load fail with @err?  Memory is full, a page in use, or it is stopped. */
static inline bool shaken_may_fail(int err)
{
	return err == -ENOMEM || err == -EBUSY || err == -ETIMEDOUT || err == -EINTR;
}

/* Pages free at rest, now and before. */
static inline struct verdict rest_verdict(unsigned long now, unsigned long before)
{
	return verdict_of(now == before, "%lu pages free, %lu before", now, before);
}

/* An answer to a request says whether its page is on the list of flagged pages from now on. */
struct poison_answer {
	bool listed;
	const char *failure; /* NULL: the answer is allowed */
};
/* @listed: the page is on the list before. */
static inline struct poison_answer soft_answer(int err, bool listed)
{
	bool allowed = !err || err == -EBUSY || err == -ENOMEM || err == -ENXIO;

	return (struct poison_answer){!err || listed, allowed ? NULL : "soft offline"};
}

static inline struct poison_answer hard_answer(enum poison_outcome outcome, int err, bool listed)
{
	struct poison_answer a = {.listed = listed || outcome != POISON_FAILED};

	if (err == -EHWPOISON && !listed)
		a.failure = "flagged, and no answer said so";
	else if (outcome == POISON_FAILED && err != -EHWPOISON && err != -EBUSY && err != -ENXIO)
		a.failure = "memory failure";
	return a;
}

static inline struct poison_answer back_answer(int err, bool listed)
{
	struct poison_answer a = {.listed = listed && err};

	if (!listed)
		a.failure = "flagged, and no answer said so";
	else if (err && err != -EBUSY)
		a.failure = "unpoison";
	return a;
}

enum poison_what { ASK_SOFT, ASK_HARD, ASK_BACK };
/* The next request, by chance; with more than 512 listed pages it takes one back. */
static inline enum poison_what poison_request(u64 random, unsigned long listed)
{
	if (listed > LISTED_MAX || random % 8 == 7)
		return ASK_BACK;
	return random % 8 < 4 ? ASK_SOFT : ASK_HARD;
}

/* Are these the two ends of a page whose user may be between its two writes? */
static inline bool page_is_cleanable(u64 first, u64 last)
{
	return first - last <= 1;
}

/* Progress of the load beside the requests; did each kind of it progress? */
struct beside {
	u64 reclaimed, moved;
	unsigned offlines, downs;
};
static inline bool beside_went_on(struct beside then, struct beside now, unsigned cpus)
{
	return now.reclaimed != then.reclaimed && now.moved != then.moved &&
	    now.offlines != then.offlines && (cpus == 1 || now.downs != then.downs);
}

/* The list, the flags found, and the counts must agree. */
static inline bool flags_agree(unsigned long found, unsigned long listed, struct poison_count n)
{
	return found == listed && n.retired + n.doomed + n.offline == found;
}

/* Did a poison_soak with these failures, wrong pages, and lost pages met and reported pass? */
static inline bool poison_passes(unsigned failed, unsigned wrong, unsigned met, unsigned lost)
{
	return !failed && !wrong && met <= lost;
}

#endif
