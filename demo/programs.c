/* SPDX-License-Identifier: MIT */
/*
 * programs.c: memory goes offline and comes back while programs in ring 3 have it mapped.
 *
 * Owns:       the rules for a valid round.
 * Locks:      none.
 * Invariants: the range is the fullest one; a round commits only after FAULTS page faults between
 *             its last isolate bit and its commit; it succeeds at the first call or fails.
 * Tests:      judge_programs, tests/qemu/test_start.py.
 */
#include "demo/crowd.h"
#include "demo/soak.h"
#include "demo/tour.h"

#include <quarry/bootfile.h>
#include <quarry/contig.h>
#include <quarry/errno.h>
#include <quarry/memory_hotplug.h>
#include <quarry/stress.h>
#include <quarry/isolation.h>

#define NR_PROGRAMS  4
#define RANGE        (128UL << (20 - PAGE_SHIFT)) /* pages, on machines that have as many */
#define MOST         (192UL << (20 - PAGE_SHIFT)) /* pages of a program, at most: it touches each */
#define FAULTS       100
#define LARGE_BLOCKS 4u
#define WAIT_NS      60000000000ULL
#define DEADLINE_NS  240000000000ULL

struct program_round {
	pfn_t start;
	unsigned long nr, mapped; /* pages of the range; of these, mapped by programs */
	u64 faults0, faults;      /* when all was isolated; from then to the commit */
	u64 ns;
	struct offline_result res;
};

static u64 faults_so_far(void)
{
	return mm_event_sum(&kernel_memory, EV_FAULTS);
}

/* Wait until programs have made progress while the range is isolated. */
static void isolated(void *arg)
{
	struct program_round *r = arg;
	u64 until = arch_clock_ns() + WAIT_NS;

	r->faults0 = faults_so_far();
	while (faults_so_far() - r->faults0 < FAULTS && arch_clock_ns() < until)
		thread_yield();
}

static void committing(void *arg)
{
	struct program_round *r = arg;

	r->faults = faults_so_far() - r->faults0;
}

/* Pages of memory objects in the range; read without locks. */
static unsigned long mapped_pages(pfn_t start, unsigned long nr)
{
	unsigned long mapped = 0;
	pfn_t pfn;

	for (pfn = start; pfn < start + nr; pfn++)
		mapped += word_state(page_word(pfn_to_page_in(&kernel_memory, pfn))) == PG_LRU;
	return mapped;
}

/* Pages of the largest zone MOVABLE, and of all of them. */
static unsigned long movable_pages(unsigned long *largest)
{
	unsigned long all = 0;
	unsigned i;

	*largest = 0;
	for (i = 0; i < kernel_memory.nr_nodes * NR_ZONE_KINDS; i++) {
		const struct zone *zone = &kernel_memory.zones[i];

		if (zone->kind != ZONE_MOVABLE)
			continue;
		all += READ_ONCE(zone->present);
		*largest = MAX(*largest, READ_ONCE(zone->present));
	}
	return all;
}

/* One offline and online.  0; or an error, printed. */
static int one_round(struct program_round *r, unsigned long want, enum iso_policy policy)
{
	struct offline_opts opts = {.policy = policy,
	    .deadline_ns = DEADLINE_NS,
	    .on_isolated = isolated,
	    .on_commit = committing,
	    .arg = r};
	u64 began = arch_clock_ns();
	struct mm_fail fail;
	int err;

	*r = (struct program_round){.nr = 0};
	r->start = offline_busiest(&kernel_memory, want, &r->nr);
	if (r->start == PFN_NONE) {
		printk("programs: no movable range to take offline\n");
		return -ENOENT;
	}
	r->mapped = mapped_pages(r->start, r->nr);
	err = offline_pages(&kernel_memory, r->start, r->nr, &opts, &r->res);
	if (err) {
		printk("programs: FAIL: offline of %lu MiB at pfn %#lx: error %d, pfn %#lx: %s\n",
		    r->nr >> (20 - PAGE_SHIFT), r->start, err, r->res.fail.pfn,
		    mm_why_text(r->res.fail.why));
		return err;
	}
	err = online_pages(&kernel_memory, r->start, r->nr, &fail);
	r->ns = arch_clock_ns() - began;
	if (err || r->faults < FAULTS || (r->res.rounds != 1 && iso_policy_one_round(policy))) {
		printk("programs: FAIL: online: error %d; %llu faults meanwhile, %u drain rounds\n",
		    err, (unsigned long long)r->faults, r->res.rounds);
		return err ? err : -EIO;
	}
	return 0;
}

static void print_round(const struct program_round *r)
{
	const struct offline_result *res = &r->res;

	printk("programs: offline %s: %lu MiB at pfn %#lx, %lu of %lu pages mapped by programs, "
	       "and back online: %u drain round%s, %u pages moved (%u at the first try, %u "
	       "later), %u pass%s, %llu ms, %llu faults meanwhile\n",
	    iso_policy_name(res->policy), r->nr >> (20 - PAGE_SHIFT), r->start, r->mapped, r->nr,
	    res->rounds, res->rounds == 1 ? "" : "s", res->moved, res->at_try[0],
	    res->moved - res->at_try[0], res->loops, res->loops == 1 ? "" : "es",
	    (unsigned long long)r->ns / 1000000, (unsigned long long)r->faults);
}

static int all_rounds(
    struct soak *soak, const struct crowd *crowd, unsigned rounds, unsigned long want, bool each)
{
	u64 moved = 0, later = 0, mapped = 0, pages = 0;
	struct program_round r;
	unsigned i;
	int err = 0;

	for (i = 0; i < rounds && !err; i++) {
		err = one_round(&r, want, (enum iso_policy)(i % NR_ISO_POLICIES));
		if (!err && !crowd_is_whole(crowd))
			err = -ESRCH;
		if (err)
			break;
		moved += r.res.moved;
		later += r.res.moved - r.res.at_try[0];
		mapped += r.mapped;
		pages += r.nr;
		if (each)
			print_round(&r);
		else if (soak_report_due(soak))
			printk("programs: %u of %u\n", i + 1, rounds);
	}
	printk("programs: %u offlines, each at the first call: %llu of %llu pages mapped, %llu "
	       "moved, %llu of them "
	       "not at the first try\n",
	    i, (unsigned long long)mapped, (unsigned long long)pages, (unsigned long long)moved,
	    (unsigned long long)later);
	return err;
}

/* Compact memory that programs use, then allocate large blocks; no program may notice. */
static void compact_under_programs(void)
{
	struct page *block[LARGE_BLOCKS];
	struct compact_stats stats;
	unsigned nr, i;

	compact_memory(&kernel_memory, &stats);
	for (nr = 0; nr < LARGE_BLOCKS; nr++) {
		block[nr] = alloc_pages(GFP_MOVABLE | GFP_NORETRY, MAX_ORDER);
		if (!block[nr])
			break;
	}
	for (i = 0; i < nr; i++)
		free_pages(block[i], MAX_ORDER);
	printk("programs: compaction: %lu pages moved to gather what is free; %u of %u blocks of 2 "
	       "MiB allocated\n",
	    stats.moved, nr, LARGE_BLOCKS);
}

int programs_run(unsigned rounds, u64 seed)
{
	unsigned long largest, want = RANGE, pages = movable_pages(&largest) / 4 * 3 / NR_PROGRAMS;
	struct crowd *crowd;
	struct soak soak;
	int err;

	soak_begin(&soak, &kernel_memory, "programs");
	pages = MIN(pages, MOST);
	while (want > largest / 2)
		want /= 2;
	if (want < PAGEBLOCK_PAGES) {
		printk("programs: this machine is too small to take a movable range offline\n");
		return 0;
	}
	crowd = crowd_start(NR_PROGRAMS, pages, seed);
	if (!crowd)
		return -EIO;
	printk("programs: %u programs hold %lu MiB each, and verify it all the time\n", NR_PROGRAMS,
	    pages >> (20 - PAGE_SHIFT));
	err = all_rounds(&soak, crowd, rounds ? rounds : NR_ISO_POLICIES, want, !rounds);
	if (!err && !rounds)
		compact_under_programs();
	if (!crowd_stop(crowd))
		err = -EIO;
	return soak_end(&soak) ? err : -EIO;
}

bool programs_are_there(void)
{
	struct boot_file file;

	return boot_file_find("stress", &file);
}
