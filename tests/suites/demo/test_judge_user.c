/* SPDX-License-Identifier: MIT */
/*
 * test_judge_user.c: the soak of programs in a simulated world: its steps in order, and each
 * failure it reports.
 */
#define smp_stats judge_user_stats
#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/machine.h>
#include <quarry/memory_hotplug.h>
#include <quarry/smp.h>
#include <quarry/stress.h>
#include <quarry/task.h>
#include <quarry/isolation.h>

#include "tests/host/judge_help.h"

struct smp_stats smp_stats;

static struct {
	unsigned cpus;
	const int *err; /* results of the offlines in turn; nr_err of them */
	unsigned nr_err, offlines;
	int online_err;
	bool no_range, bad_program, takes_cpu, calls_across;
	bool bad_once; /* the first run fails */
	bool tables;   /* stacks have one page table more after the first round */
	unsigned trims;
	const unsigned long *free; /* free pages at each reading; the last one repeats */
	unsigned nr_free;
	const u32 *cancel;
} world;

static pfn_t busiest(struct memory *mem, unsigned long want, unsigned long *nr)
{
	*nr = want / PAGEBLOCK_PAGES;
	return world.no_range ? PFN_NONE : 0x200;
}

static int offline(struct memory *mem, pfn_t start, unsigned long nr,
    const struct offline_opts *opts, struct offline_result *res)
{
	int err = world.err[world.offlines++];

	judge_note("[offline %lu at %#lx, %s, %llu ns%s: %d]", nr, start,
	    iso_policy_name(opts->policy), (unsigned long long)opts->deadline_ns,
	    opts->cancel == world.cancel ? "" : ", not to be cancelled", err);
	*res = (struct offline_result){
	    .moved = 30, .fail = {.pfn = 5, .why = err ? WHY_PINNED : WHY_NONE}};
	return err;
}

static int bring_back(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	judge_note("[online %lu at %#lx]\n", nr, start);
	*fail = (struct mm_fail){5, WHY_CLAIMED};
	return world.online_err;
}

static void trim(void)
{
	world.trims++;
	judge_note("[trim]");
}

static int drain(struct memory *mem, struct zone *zone)
{
	judge_note("[drain%s]", zone ? " one" : "");
	return 0;
}

static unsigned long free_pages_now(struct memory *mem)
{
	return world.nr_free > 1 ? (world.nr_free--, *world.free++) : *world.free;
}

static unsigned long stack_pages(void)
{
	return 20;
}

static unsigned long stack_tables(void)
{
	return world.tables && world.trims > 1;
}

static u64 events(const struct memory *mem, enum mm_event ev)
{
	return ev == EV_RECLAIM_FREED ? 61 : ev == EV_OOM_KILLS ? 62 : 0;
}

static bool run_once(const char *name, u64 arg0, u64 arg1)
{
	judge_note("[%s %llu %llu]\n", name, (unsigned long long)arg0, (unsigned long long)arg1);
	if (world.takes_cpu)
		judge.online[0] = 1;
	smp_stats.from_alloc += world.calls_across;
	if (world.bad_once) {
		world.bad_once = false;
		return false;
	}
	return !world.bad_program;
}

#define nr_boot_cpus      world.cpus
#define offline_busiest   busiest
#define offline_pages     offline
#define online_pages      bring_back
#define kmalloc_trim      trim
#define drain_all_pages   drain
#define memory_free_pages free_pages_now
#define arch_stack_pages  stack_pages
#define arch_stack_tables stack_tables
#define mm_event_sum      events
#define user_run          run_once
#define JUDGE(name)       judge_user_##name
#include "tests/host/judge_shake.h"
#include "demo/user_soak.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static const unsigned long same[] = {500};

static void begin(struct shaker *s, unsigned cpus, unsigned sleeps)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	world.cpus = cpus;
	judge.online[0] = (1UL << cpus) - 1;
	world.free = same;
	world.nr_free = 1;
	memset(judge.managed, 0, sizeof(judge.managed));
	smp_stats = (struct smp_stats){.from_alloc = 3};
	if (s)
		*s = (struct shaker){.mem = &kernel_memory,
		    .name = "soak",
		    .pick = busiest,
		    .range = RANGE,
		    .pause_ns = PAUSE_NS,
		    .rand_cpu = 1,
		    .rand_mem = 1};
	judge.stop = s ? &s->stop : NULL;
	world.cancel = judge.stop;
	judge.sleeps = sleeps;
}

KTEST_SUITE(judge_user, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- changes of CPUs and memory ---- */

KTEST(online_cpus_go_down_and_come_back)
{
	struct shaker s;

	begin(&s, 2, 4);
	shake_cpus(&s);
	EXPECT_SAID(t, "[down 1][sleep 2]\n[up 1][sleep 4]\n[down 1][sleep 6]\n[up 1][sleep 8]\n");
	EXPECT(t, s.downs == 2 && s.ups == 2 && !s.failed);
	/* The last CPU online stays. */
	begin(&s, 2, 2);
	judge.online[0] = 2;
	shake_cpus(&s);
	EXPECT_SAID(t, "[sleep 2]\n[sleep 4]\n");
	EXPECT(t, !s.downs && !s.ups && !s.failed);
	/* The only CPU stays. */
	begin(&s, 1, 2);
	shake_cpus(&s);
	EXPECT_SAID(t, "[sleep 2]\n[sleep 4]\n");
	EXPECT(t, !s.downs && !s.ups);
	begin(&s, 2, 1);
	judge.cpu_err = -EIO;
	shake_cpus(&s);
	EXPECT_SAID(t, "[down 1]soak: FAIL: CPU hotplug: error EIO\n[sleep 2]\n");
	EXPECT(t, !s.downs && s.failed == 1);
	begin(&s, 2, 1);
	judge.online[0] = 1;
	judge.cpu_err = -EIO;
	shake_cpus(&s);
	EXPECT(t, !s.ups && s.failed == 1);
}

KTEST(offlined_ranges_come_back_or_are_refused)
{
	static const int errors[] = {0, -ENOMEM, -EBUSY, -ETIMEDOUT, -EINTR, -EIO};
	struct shaker s;

	begin(&s, 2, 7);
	world.err = errors;
	shake_memory(&s);
	EXPECT_SAID(t,
	    "[offline 2 at 0x200, disable, 2000000000 ns: 0][sleep 2]\n"
	    "[online 2 at 0x200]\n[sleep 3]\n"
	    "[offline 2 at 0x200, disable, 2000000000 ns: -12][sleep 5]\n"
	    "[offline 2 at 0x200, redrain, 2000000000 ns: -16][sleep 7]\n"
	    "[offline 2 at 0x200, precise, 2000000000 ns: -110][sleep 9]\n"
	    "[offline 2 at 0x200, disable, 2000000000 ns: -4][sleep 11]\n"
	    "[offline 2 at 0x200, redrain, 2000000000 ns: -5]soak: FAIL: offline: "
	    "error EIO: pinned page\n[sleep 13]\n");
	EXPECT(t, s.offlines == 1 && s.moved == 30 && s.refused == 4 && s.failed == 1);
	begin(&s, 2, 2);
	world.err = errors;
	world.online_err = -EBUSY;
	shake_memory(&s);
	EXPECT_SAID(t,
	    "[offline 2 at 0x200, disable, 2000000000 ns: 0][sleep 2]\n"
	    "[online 2 at 0x200]\n"
	    "soak: FAIL: online: error EBUSY: another operation works on it\n[sleep 3]\n");
	EXPECT(t, s.offlines == 1 && s.failed == 1);
	begin(&s, 2, 2);
	world.no_range = true;
	shake_memory(&s);
	EXPECT_SAID(t, "[sleep 2]\n[sleep 4]\n");
	EXPECT(t, s.refused == 2 && !s.failed);
}

/* ---- rounds ---- */

KTEST(each_round_is_between_two_rests)
{
	begin(NULL, 3, 0);
	judge.managed[0] = judge.managed[1] = judge.managed[2] = judge.managed[3] = 900;
	world.takes_cpu = true;
	EXPECT(t, user_soak("prog", 2, 10, 5));
	EXPECT_SAID(t,
	    "[trim][drain][shake_cpus on -1][shake_memory on -1][prog 10 5]\n"
	    "[shake_cpus joined]\n[shake_memory joined]\n"
	    "[up 1][up 2][trim][drain][check]\nsoak: round 1 of 2, seed 0xa: good\n"
	    "[shake_cpus on -1][shake_memory on -1][prog 11 5]\n[shake_cpus joined]\n"
	    "[shake_memory joined]\n[up 1][up 2][trim][drain][check]\n"
	    "soak: round 2 of 2, seed 0xb: good\n"
	    "soak: 0 downs and 0 ups of 3 CPUs, 0 offlines that moved 0 pages, 0 "
	    "refused; 513 pages free as before; 61 dropped, 62 killed\n");
	/* No round is requested. */
	begin(NULL, 3, 0);
	judge.quiet = true;
	EXPECT(t, user_soak("prog", 0, 10, 5));
	EXPECT_SAID(t,
	    "soak: 0 downs and 0 ups of 3 CPUs, 0 offlines that moved 0 pages, 0 "
	    "refused; 513 pages free as before; 61 dropped, 62 killed\n");
}

KTEST(pages_in_transit_are_waited_for)
{
	static const unsigned long later[] = {500, 498, 499, 500}, never[] = {500, 499};

	begin(NULL, 1, 0);
	world.free = later;
	world.nr_free = 4;
	EXPECT(t, user_soak("prog", 1, 10, 5));
	EXPECT_SAID(t,
	    "[trim][drain][shake_cpus on -1][shake_memory on -1][prog 10 5]\n"
	    "[shake_cpus joined]\n[shake_memory joined]\n"
	    "[trim][drain][sleep 20000000]\n[trim][drain][sleep 20000000]\n"
	    "[trim][drain][check]\nsoak: round 1 of 1, seed 0xa: good\n"
	    "soak: 0 downs and 0 ups of 1 CPUs, 0 offlines that moved 0 pages, 0 "
	    "refused; 513 pages free as before; 61 dropped, 62 killed\n");
	begin(NULL, 1, 0);
	judge.quiet = world.tables = true;
	world.free = never;
	world.nr_free = 2;
	EXPECT(t, user_soak("prog", 1, 10, 5));
	begin(NULL, 1, 0);
	judge.quiet = true;
	judge.tick = 4000000000;
	world.free = never;
	world.nr_free = 2;
	EXPECT(t, !user_soak("prog", 1, 10, 5));
	EXPECT_SAID(t,
	    "soak: FAIL: 512 pages free, 513 before\n"
	    "soak: round 1 of 1, seed 0xa: FAIL\n"
	    "soak: 0 downs and 0 ups of 1 CPUs, 0 offlines that moved 0 pages, 0 "
	    "refused; 513 pages free as before; 61 dropped, 62 killed\n");
	/* The wait begins at the eighth second, and ends at the first reading after ten more. */
	EXPECT_EQ(t, judge.now, 20000000000);
}

static void expect_fails(struct ktest *t, const char *want, int line)
{
	judge.quiet = true;
	EXPECT(t, !user_soak("prog", 2, 10, 5));
	judge_expect(t, __FILE__, want, line);
}

#define FAILED_ONE                                                                                 \
	"soak: round 1 of 1, seed 0xa: FAIL\n"                                                     \
	"soak: 0 downs and 0 ups of 2 CPUs, 0 offlines that moved 0 pages, 0 refused; 513 pages "  \
	"free as before; "                                                                         \
	"61 dropped, 62 killed\n"

/* After a round that failed the soak fails, though a later round may be good. */
KTEST(each_failure_is_reported_and_fails_the_soak)
{
	unsigned job;

	begin(NULL, 2, 0);
	judge.violation = (struct mm_violation){"word", 5, 6, 7};
	expect_fails(t,
	    "soak: FAIL: word at 0x5: 0x6, should be 0x7\n"
	    "soak: round 1 of 2, seed 0xa: FAIL\n"
	    "soak: FAIL: word at 0x5: 0x6, should be 0x7\n"
	    "soak: round 2 of 2, seed 0xb: FAIL\n"
	    "soak: 0 downs and 0 ups of 2 CPUs, 0 offlines that moved 0 pages, 0 "
	    "refused; 513 pages free as before; 61 dropped, 62 killed\n",
	    __LINE__);
	begin(NULL, 2, 0);
	judge.managed[2] = judge.managed[3] = 1;
	expect_fails(t,
	    "soak: FAIL: 1 pages managed without those from standby, 0 before; 7 from standby\n"
	    "soak: round 1 of 2, seed 0xa: FAIL\n"
	    "soak: FAIL: 1 pages managed without those from standby, 0 before; 7 from standby\n"
	    "soak: round 2 of 2, seed 0xb: FAIL\n"
	    "soak: 0 downs and 0 ups of 2 CPUs, 0 offlines that moved 0 pages, 0 "
	    "refused; 513 pages free as before; 61 dropped, 62 killed\n",
	    __LINE__);
	begin(NULL, 2, 0);
	world.calls_across = true;
	expect_fails(t,
	    "soak: FAIL: allocations made cross-calls\n"
	    "soak: round 1 of 2, seed 0xa: FAIL\n"
	    "soak: FAIL: allocations made cross-calls\n"
	    "soak: round 2 of 2, seed 0xb: FAIL\n"
	    "soak: 0 downs and 0 ups of 2 CPUs, 0 offlines that moved 0 pages, 0 "
	    "refused; 513 pages free as before; 61 dropped, 62 killed\n",
	    __LINE__);
	begin(NULL, 2, 0);
	world.bad_program = true;
	expect_fails(t,
	    "soak: round 1 of 2, seed 0xa: FAIL\nsoak: round 2 of 2, seed 0xb: FAIL\n"
	    "soak: 0 downs and 0 ups of 2 CPUs, 0 offlines that moved 0 pages, 0 "
	    "refused; 513 pages free as before; 61 dropped, 62 killed\n",
	    __LINE__);
	begin(NULL, 2, 0);
	world.bad_once = true;
	expect_fails(t,
	    "soak: round 1 of 2, seed 0xa: FAIL\nsoak: round 2 of 2, seed 0xb: good\n"
	    "soak: 0 downs and 0 ups of 2 CPUs, 0 offlines that moved 0 pages, 0 "
	    "refused; 513 pages free as before; 61 dropped, 62 killed\n",
	    __LINE__);
	begin(NULL, 2, 0);
	world.takes_cpu = true;
	judge.cpu_err = -EIO;
	expect_fails(t,
	    "soak: FAIL: cpu_up: error EIO\nsoak: round 1 of 2, seed 0xa: FAIL\n"
	    "soak: FAIL: cpu_up: error EIO\nsoak: round 2 of 2, seed 0xb: FAIL\n"
	    "soak: 0 downs and 0 ups of 2 CPUs, 0 offlines that moved 0 pages, 0 "
	    "refused; 513 pages free as before; 61 dropped, 62 killed\n",
	    __LINE__);
	for (job = 1; job <= 2; job++) {
		begin(NULL, 2, 0);
		judge.no_job = job;
		EXPECT(t, !user_soak("prog", 1, 10, 5));
		EXPECT_SAID(t,
		    job == 1 ? "[trim][drain][no shake_cpus on -1][shake_memory on "
		               "-1][shake_memory joined]\n"
		               "[trim][drain][check]\n" FAILED_ONE
		             : "[trim][drain][shake_cpus on -1][no shake_memory on -1][shake_cpus "
		               "joined]\n"
		               "[trim][drain][check]\n" FAILED_ONE);
	}
}
