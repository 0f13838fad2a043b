/* SPDX-License-Identifier: MIT */
/*
 * programs.c: memory goes offline and comes back while programs in ring 3 have it mapped.
 *
 * Owns:       the rules for a valid round.
 * Locks:      none.
 * Invariants: the range is the one with the most pages in use; a round commits only after FAULTS
 *             page faults between its last isolate bit and its commit; it succeeds at the first
 *             call or fails.
 * Tests:      verdict, tests/qemu/test_start.py.
 */
#include "demo/act.h"
#include "demo/soak.h"

#include <quarry/bootfile.h>
#include <quarry/contig.h>
#include <quarry/errname.h>
#include <quarry/errno.h>

#define NR_PROGRAMS  4
#define ACT_PROGRAMS 2 /* programs of the tour: few, so that the offline gets more CPU time */
#define MOST         (192UL << (20 - PAGE_SHIFT)) /* pages of a program, at most */
#define LARGE_BLOCKS 4u
#define WAIT_NS      60000000000ULL
#define HOLD_MS      1000u
#define LOOK_NS      10000000ULL

struct program_round {
	pfn_t start;
	unsigned long nr, mapped; /* pages of the range; the part mapped by programs */
	unsigned long least;      /* the round begins when this many pages are mapped */
	u64 faults0, faults; /* page faults until all was isolated, and from then to the commit */
	u64 ns;
	bool act;   /* an act of the tour, which is shown, and which the user may end */
	u32 cancel; /* atomic */
	struct offline_result res;
};

static u64 faults_so_far(void)
{
	return mm_event_sum(&kernel_memory, EV_FAULTS);
}

/* Wait until programs have made progress while the range is isolated. */
static void program_isolated(void *arg)
{
	struct program_round *r = arg;
	u64 until = arch_clock_ns() + WAIT_NS;

	r->faults0 = faults_so_far();
	while (faults_so_far() - r->faults0 < PROGRAM_FAULTS && arch_clock_ns() < until) {
		if (r->act && live_quit())
			store_release(&r->cancel, 1u);
		if (r->cancel)
			break;
		thread_yield();
	}
}

static void program_commits(void *arg)
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

/* Pages of memory objects in all zones; read without locks. */
static unsigned long mapped_anywhere(void)
{
	unsigned long mapped = 0;
	unsigned i, list;

	for (i = 0; i < kernel_memory.nr_nodes * NR_ZONE_KINDS; i++)
		for (list = 0; list < NR_LRU; list++)
			mapped += READ_ONCE(kernel_memory.zones[i].lru[list].nr);
	return mapped;
}

/* Pages of all zones MOVABLE; *@largest: of the largest zone. */
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

/* The round's range is offline: show it for a while, then bring it back.  0, or an error. */
static int come_back(struct program_round *r)
{
	struct mm_fail fail;
	int err;

	if (r->act) {
		live_say("the range is offline (-), and the programs run on");
		live_hold(HOLD_MS);
		r->faults = faults_so_far() - r->faults0;
	}
	err = online_pages(&kernel_memory, r->start, r->nr, &fail);
	if (r->act && !err)
		live_say("the range is online again");
	return err;
}

/*
 * Wait, for WAIT_NS at most, until programs have mapped r->least pages: they release and take
 * memory all the time.  Choose the range with the most pages in use.  False: there is no range.
 */
static bool choose_program_range(struct program_round *r, unsigned long want)
{
	u64 until = arch_clock_ns() + WAIT_NS;

	for (;;) {
		r->start = offline_busiest(&kernel_memory, want, &r->nr);
		if (r->start == PFN_NONE)
			return false;
		r->mapped = mapped_pages(r->start, r->nr);
		if (mapped_anywhere() >= r->least || arch_clock_ns() >= until ||
		    (r->act && live_quit()))
			return true;
		thread_sleep(LOOK_NS);
	}
}

/* Offline the range and bring it back online.  Returns 0, or an error, printed unless -EINTR. */
static int one_round(struct program_round *r, unsigned long want, enum iso_policy policy)
{
	struct offline_opts opts = {.policy = policy,
	    .deadline_ns = ACT_DEADLINE_NS,
	    .cancel = &r->cancel,
	    .on_isolated = program_isolated,
	    .on_commit = program_commits,
	    .arg = r};
	u64 began = arch_clock_ns();
	struct verdict v;
	int err;

	*r = (struct program_round){.act = r->act, .least = r->least};
	if (!choose_program_range(r, want)) {
		printk("programs: no movable range to take offline\n");
		return -ENOENT;
	}
	if (r->act) {
		live_range(r->start, r->nr);
		live_offline(&r->res);
	}
	err = offline_pages(&kernel_memory, r->start, r->nr, &opts, &r->res);
	r->ns = arch_clock_ns() - began;
	if (r->act)
		live_offline(NULL);
	if (err == -EINTR && r->cancel)
		return err;
	if (err) {
		printk("programs: FAIL: offline of %lu MiB at pfn %#lx: error %s, pfn %#lx: %s\n",
		    r->nr >> (20 - PAGE_SHIFT), r->start, errno_name(err), r->res.fail.pfn,
		    mm_why_text(r->res.fail.why));
		return err;
	}
	err = come_back(r);
	v = program_round_verdict(err, r->faults, r->res.rounds, policy);
	if (v.good)
		return 0;
	printk("programs: %s\n", v.text);
	return err ? err : -EIO;
}

static int all_rounds(
    struct soak *soak, const struct crowd *crowd, unsigned rounds, unsigned long want)
{
	u64 moved = 0, later = 0, mapped = 0, pages = 0;
	struct program_round r = {.act = false};
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
		if (soak_report_due(soak))
			printk("programs: %u of %u\n", i + 1, rounds);
	}
	printk("programs: %u offline%s, each at the first call: %llu of %llu pages mapped, %llu "
	       "moved, %llu of them not at the first try\n",
	    i, plural(i), (unsigned long long)mapped, (unsigned long long)pages,
	    (unsigned long long)moved, (unsigned long long)later);
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
	unsigned long largest, pages = movable_pages(&largest) / 4 * 3 / NR_PROGRAMS;
	unsigned long want = programs_range(largest);
	struct crowd *crowd;
	struct soak soak;
	int err;

	soak_begin(&soak, &kernel_memory, "programs");
	pages = MIN(pages, MOST);
	if (want < PAGEBLOCK_PAGES) {
		printk("programs: this machine is too small to take a movable range offline\n");
		return 0;
	}
	crowd = crowd_start(NR_PROGRAMS, pages, seed);
	if (!crowd)
		return -EIO;
	printk("programs: %u programs hold %lu MiB each, and verify it all the time\n", NR_PROGRAMS,
	    pages >> (20 - PAGE_SHIFT));
	err = all_rounds(&soak, crowd, rounds, want);
	if (!err)
		compact_under_programs();
	if (!crowd_stop(crowd))
		err = -EIO;
	return soak_end(&soak) ? err : -EIO;
}

/* ---- acts 3 and 4 of the tour ---- */

static void say_round(const struct program_round *r, u64 verified)
{
	const struct offline_result *res = &r->res;

	live_result("%lu of %lu pages were mapped; %u moved, in %u pass%s, in %llu ms", r->mapped,
	    r->nr, res->moved, res->loops, res->loops == 1 ? "" : "es",
	    (unsigned long long)r->ns / 1000000);
	live_result("meanwhile %llu fault%s, %llu page%s verified", (unsigned long long)r->faults,
	    plural(r->faults), (unsigned long long)verified, plural(verified));
}

/* Act 3: offline the range once, show it offline, and bring it back. */
static bool leave_once(const struct crowd *crowd, unsigned long want, unsigned long least)
{
	struct program_round r = {.act = true, .least = least};
	u64 wrong, before = crowd_verified(crowd, &wrong);
	int err = one_round(&r, want, ISO_PRECISE);

	if (err == -EINTR && live_quit())
		return true;
	if (err)
		return false;
	before = crowd_verified(crowd, &wrong) - before;
	say_round(&r, before);
	if (!act_concludes(programs_verdict(wrong, crowd_is_whole(crowd))))
		return false;
	live_hold(HOLD_MS / 2);
	return true;
}

/* Is the program of act 3, stress, among the boot modules? */
static bool programs_are_there(void)
{
	struct boot_file file;

	return boot_file_find("stress", &file);
}

bool act_programs(u64 seed)
{
	unsigned long largest, want, pages;
	struct crowd *crowd;
	bool good;

	movable_pages(&largest);
	want = programs_range(largest);
	pages = want / 8 * 3 / ACT_PROGRAMS;
	live_act(3, NR_ACTS, "%lu MiB leave under running programs", want >> (20 - PAGE_SHIFT));
	if (!programs_are_there() || want < PAGEBLOCK_PAGES) {
		live_result(want < PAGEBLOCK_PAGES
		        ? "this machine is too small to take a movable range offline"
		        : "no programs among the boot modules: acts 3 and 4 are left out");
		return true;
	}
	crowd = crowd_start(ACT_PROGRAMS, pages, seed);
	if (!crowd)
		return false;
	live_say("%u programs in ring 3 hold %lu MiB each, and verify every word", ACT_PROGRAMS,
	    pages >> (20 - PAGE_SHIFT));
	good = leave_once(crowd, want, programs_least(ACT_PROGRAMS, pages));
	live_range(0, 0);
	if (good && !live_quit())
		good = act_broken(&(struct act_users){crowd, crowd_verified, crowd_is_whole});
	return crowd_stop(crowd) && good;
}
