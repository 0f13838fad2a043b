/* SPDX-License-Identifier: MIT */
/*
 * verdict.c: what demonstrations conclude from their figures.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: the same figures give the same words.
 * Tests:      verdict.
 */
#include "demo/verdict.h"

#include <quarry/console.h>
#include <quarry/errname.h>
#include <quarry/errno.h>
#include <quarry/plural.h>

#define RANGE      (128UL << (20 - PAGE_SHIFT)) /* pages; less on small machines */
#define PRICE_MOST 5u                           /* the most cache hits under disable, in per cent */

struct verdict verdict_of(bool good, const char *fmt, ...)
{
	struct verdict v = {.good = good};
	int used = ksnprintf(v.text, sizeof(v.text), "FAIL: ");
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(v.text + used, sizeof(v.text) - (size_t)used, fmt, ap);
	va_end(ap);
	if (good)
		v.text[0] = '\0';
	return v;
}

struct verdict drain_verdict(bool deaf, bool cached, bool stuck)
{
	return verdict_of(
	    !deaf || !cached || stuck, "the page did not keep the range from leaving");
}

pfn_t range_ending_with(pfn_t used, unsigned long pages)
{
	return ALIGN_DOWN(used, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES - pages;
}

unsigned hit_rate(u64 allocs, u64 misses)
{
	return allocs > misses ? (unsigned)((allocs - misses) * 100 / allocs) : 0;
}

struct verdict policies_verdict(const struct live_policy *row, bool redrained, bool counted)
{
	struct verdict v;
	bool good = row[ISO_DISABLE].rounds == 1 && row[ISO_PRECISE].rounds == 1;

	if (redrained)
		good = good && row[ISO_REDRAIN].rounds > 1;
	if (counted)
		good = good && row[ISO_DISABLE].hit_rate <= PRICE_MOST &&
		    row[ISO_PRECISE].hit_rate > row[ISO_DISABLE].hit_rate;
	v = verdict_of(good, "these figures do not differ as the policies do");
	if (good)
		ksnprintf(v.text, sizeof(v.text), "%s",
		    redrained ? "redrain drains again; disable costs the caches; precise neither"
		              : "no free was held back: one CPU, too small a cache, or a pause");
	return v;
}

unsigned long programs_range(unsigned long largest)
{
	unsigned long want = RANGE;

	while (want > largest / 2)
		want /= 2;
	return want;
}

unsigned long programs_least(unsigned nr, unsigned long pages)
{
	return nr * pages / 8 * 7;
}

struct verdict program_round_verdict(
    int err, u64 faults, unsigned drain_rounds, enum iso_policy policy)
{
	return verdict_of(!err && faults >= PROGRAM_FAULTS &&
	        (drain_rounds == 1 || !iso_policy_one_round(policy)),
	    "online: error %s; %llu faults meanwhile, %u drain round%s", errno_name(err),
	    (unsigned long long)faults, drain_rounds, plural(drain_rounds));
}

struct verdict programs_verdict(u64 wrong, bool whole)
{
	return verdict_of(!wrong && whole, "%llu pages are wrong, or a program has ended",
	    (unsigned long long)wrong);
}

struct verdict broken_verdict(
    pfn_t pfn, bool retired, u64 verified, u64 wrong, bool whole, bool quit)
{
	struct verdict v = verdict_of(retired && !wrong && whole && (verified || quit),
	    "page %#lx is in use, or the programs do not go on: %llu wrong", pfn,
	    (unsigned long long)wrong);

	if (v.good)
		ksnprintf(v.text, sizeof(v.text),
		    "the programs go on: %llu page%s verified since, 0 wrong",
		    (unsigned long long)verified, plural(verified));
	return v;
}

struct verdict task_verdict(unsigned long id, int err, enum task_end how, int status)
{
	struct verdict v = {.good = !err && how == TASK_EXITED && status == 0};

	if (err)
		ksnprintf(v.text, sizeof(v.text), "task %lu does not end", id);
	else if (!v.good)
		ksnprintf(v.text, sizeof(v.text), "task %lu %s, status %d", id,
		    how == TASK_EXITED        ? "exited"
		        : how == TASK_FAULTED ? "faulted"
		                              : "was killed",
		    status);
	return v;
}

struct verdict crowd_verdict(unsigned nr, unsigned bad, u64 verified, u64 wrong)
{
	struct verdict v = {.good = !bad && !wrong};

	ksnprintf(v.text, sizeof(v.text), "%u verified %llu pages, %llu wrong%s", nr,
	    (unsigned long long)verified, (unsigned long long)wrong, bad ? "" : "; all ended well");
	return v;
}

struct verdict window_verdict(unsigned rounds, u64 moved, u64 freed)
{
	return verdict_of(moved && freed,
	    "in the last %u rounds %llu pages moved, %llu freed while isolated", rounds,
	    (unsigned long long)moved, (unsigned long long)freed);
}

int round_verdict(bool stalled, unsigned drain_rounds, enum iso_policy policy)
{
	if (stalled)
		return -ETIME;
	return drain_rounds == 1 || !iso_policy_one_round(policy) ? 0 : -ERANGE;
}

int stress_verdict(const struct stress_report *r, unsigned nr)
{
	if (r->corrupt)
		return -EUCLEAN;
	return nr > 1 && r->frees >= 1000 && r->frees_remote * 5 < r->frees ? -ERANGE : 0;
}
