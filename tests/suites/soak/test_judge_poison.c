/* SPDX-License-Identifier: MIT */
/*
 * test_judge_poison.c: the soak of broken memory in a simulated world: the users of its pages, its
 * requests, its wait for each part of the load, its end, and each failure it reports.
 */
#define JUDGE(name) judge_poison_##name
#define poison_soak JUDGE(soak)
#include "tests/host/judge_world.h"

#include <quarry/poison.h>
#include <quarry/user.h>
#include <quarry/vm.h>

#define PAGES 8u      /* pages of the object */
#define START 0x1000u /* first pfn of the memory, which has 640 pages */
#define END   (START + 640)

static struct {
	unsigned cpus;
	int supply_err, create_err;
	int fault[4];                            /* results of vm_fault, the last repeats */
	unsigned faults, nr_copies, copies_fail; /* the first @copies_fail copies fail */
	u64 page[PAGES][2];                      /* first and last word of each page */
	int soft, hard, back; /* results of soft offline, hard failure and unpoison */
	struct poison_result res;
	bool flagged[640];
	long count_off;      /* error to add to mem_poisoned */
	unsigned wrong, met; /* pages that users find wrong or lost during the run */
} world;

/* ---- the object ---- */

static int supply(struct vm_object *object, u32 index, const void *data)
{
	const u64 *word = data;

	judge_note("[supply %u: %llu %llu]", index, (unsigned long long)word[0],
	    (unsigned long long)word[PAGE_SIZE / sizeof(u64) - 1]);
	return world.supply_err;
}

static int fault(struct vm_space *space, uintptr_t va, unsigned access)
{
	int err = world.fault[MIN(world.faults, 3u)];

	judge_note("[fault %#lx%s: %d]", va, access == VM_WRITE ? "" : ", not to write", err);
	world.faults++;
	return err;
}

/* Copy the word at @va; only the first and the last word of a page exist. */
static int copy(u64 va, void *to, const void *from)
{
	unsigned page = (unsigned)((va - 0x10000000) >> PAGE_SHIFT);
	size_t at = va % PAGE_SIZE;
	u64 *word = &world.page[page % PAGES][at != 0];

	if (world.nr_copies++ < world.copies_fail || page >= PAGES ||
	    (at && at != PAGE_SIZE - sizeof(u64)))
		return -EFAULT;
	memcpy(to ? to : word, from ? from : word, sizeof(*word));
	return 0;
}

static int create(unsigned long nr, bool pager, struct vm_object **out)
{
	judge_note("[object of %lu%s]", nr, pager ? "" : ", without a pager");
	*out = world.create_err ? NULL : (struct vm_object *)&world;
	return world.create_err;
}

/* ---- broken pages ---- */

static int soft(pfn_t pfn)
{
	judge_note("[soft %#lx]", pfn);
	world.flagged[pfn - START] |= !world.soft;
	return world.soft;
}

static int hard(pfn_t pfn, unsigned flags, struct poison_result *res)
{
	judge_note("[hard %#lx%s]", pfn, flags ? ", with flags" : "");
	*res = world.res;
	world.flagged[pfn - START] |= res->outcome != POISON_FAILED;
	return world.hard;
}

static int take_back(pfn_t pfn)
{
	judge_note("[back %#lx]", pfn);
	world.flagged[pfn - START] &= world.back != 0;
	return world.back;
}

static pfn_t next(pfn_t pfn)
{
	for (pfn = MAX(pfn, START); pfn < END; pfn++)
		if (world.flagged[pfn - START])
			return pfn;
	return PFN_NONE;
}

static struct poison_count count(const struct memory *mem);

#define nr_cpus                               world.cpus
#define nr_boot_cpus                          world.cpus
#define vm_object_supply                      supply
#define vm_object_remove(object, at, nr)      judge_note("[remove %u at %u]", (nr), (at))
#define vm_object_create(m, k, nr, o, p, out) create((nr), (k) == OBJ_PAGER, (out))
#define vm_object_put(object)                 judge_note("[object goes]")
#define vm_space_create(mem, out)             (*(out) = (struct vm_space *)&world, 0)
#define vm_space_put(space)                   judge_note("[space goes]")
#define vm_map(space, va, nr, prot, object, from)                                                  \
	(judge_note("[map %u at %#lx, %u]", (nr), (va), (prot)), (from) != 0)
#define vm_fault                           fault
#define space_use(space)                   judge_note("[%s]", (space) ? "space" : "no space")
#define copy_from_user(dst, src, len)      copy((src), (dst), NULL)
#define copy_to_user(dst, src, len)        copy((dst), NULL, (src))
#define mem_soft_offline_page(mem, pfn)    soft(pfn)
#define mem_memory_failure(mem, pfn, f, r) hard((pfn), (f), (r))
#define mem_unpoison_page(mem, pfn)        take_back(pfn)
#define mem_poisoned_next(mem, pfn)        next(pfn)
#define mem_poisoned                       count
#define memory_free_pages(mem)             7ul
#include "demo/soak.c"              /* NOLINT(bugprone-suspicious-include): the tested source */
#include "tests/soak/shake.c"       /* NOLINT(bugprone-suspicious-include): the tested source */
#include "tests/soak/poison_soak.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static struct poison_count count(const struct memory *mem)
{
	unsigned long nr = (unsigned long)world.count_off;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(world.flagged); i++)
		nr += world.flagged[i];
	soak.wrong += world.wrong;
	soak.lost_seen += world.met;
	return (struct poison_count){nr / 3, nr / 3, nr - nr / 3 * 2};
}

static void begin(void)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	world.cpus = 2;
	judge.online[0] = 3;
	judge_memory = (struct memory){.start_pfn = START, .end_pfn = END};
	judge.each[EV_RECLAIM_FREED] = judge.each[EV_MIGRATE_OK] = 1;
	judge.report.corrupt = 3;
}

/* Begin with an object of 8 pages; all counts are 0.  False: that failed. */
static bool begin_scene(void)
{
	begin();
	if (!scene_begin(&judge_memory, 6))
		return false;
	judge_clear();
	return true;
}

KTEST_SUITE(judge_poison, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- the users ---- */

/*
 * The two ends of a page may differ by 1, between its user's two writes; other differences are
 * damage.
 */
KTEST(a_page_holds_its_number_at_both_ends)
{
	static const struct {
		u64 first, last;
		u32 wrong;
	} pages[] = {{5, 5, 0}, {6, 5, 0}, {7, 5, 1}, {4, 5, 1}};
	static const int errors[][2] = {{0, 0}, {-EEXIST, 0}, {-EAGAIN, 0}, {-ENOMEM, -ENOMEM}};
	static u64 data[PAGE_SIZE / sizeof(u64)];
	unsigned i;

	for (i = 0; i < 4; i++) {
		REQUIRE(t, begin_scene());
		EXPECT(t, soak.nr == PAGES && soak.rand == 7 && soak.mem == &judge_memory);
		soak.store[2] = 9;
		world.supply_err = errors[i][0];
		EXPECT_EQ(t, store_get(soak.object, 2), errors[i][1]);
		EXPECT_SAID(t, "[supply 2: 9 9]");
		data[0] = pages[i].first;
		data[ARRAY_SIZE(data) - 1] = pages[i].last;
		EXPECT_EQ(t, store_clean(soak.object, 3, data, WAIT_FOREVER), 0);
		EXPECT(t, soak.wrong == pages[i].wrong && soak.store[3] == data[0]);
		scene_end();
	}
}

/* A failed access is tried again while the errors only mean that memory is short. */
KTEST(pages_are_read_compared_and_written)
{
	static const u64 wrong[][2] = {{2, 1}, {1, 0}, {0, 1}, {0, 0}};
	unsigned i;

	REQUIRE(t, begin_scene());
	EXPECT_EQ(t, use_page(1, false), 0);
	EXPECT(t, world.nr_copies == 2 && !world.page[1][0] && !soak.wrong);
	EXPECT_EQ(t, use_page(1, true), 0);
	EXPECT(t, world.page[1][0] == 1 && world.page[1][1] == 1 && !soak.wrong);
	soak.want[1] = 1;
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		memcpy(world.page[1], wrong[i], sizeof(wrong[i]));
		EXPECT(t, !use_page(1, false) && soak.wrong == i + 1);
	}
	world.copies_fail = world.nr_copies + 3;
	world.fault[1] = -ENOMEM;
	world.fault[2] = -EAGAIN;
	world.fault[3] = -EHWPOISON;
	soak.want[1] = 0;
	EXPECT_EQ(t, use_page(1, false), 0);
	EXPECT_SAID(t, "[fault 0x10001000: 0][fault 0x10001000: -12][fault 0x10001000: -11]");
	EXPECT_EQ(t, soak.wrong, i);
	world.copies_fail = ~0u;
	EXPECT_EQ(t, use_page(1, true), -EHWPOISON);
	EXPECT_SAID(t, "[fault 0x10001000: -133]");
	scene_end();
}

/*
 * A user uses every fourth page, and writes in one of four accesses.  The first access fails with
 * an error other than "lost", the second because its page is lost; the third succeeds after its
 * fault, and then the user stops.
 */
KTEST(user_has_every_fourth_page_and_drops_lost_ones)
{
	unsigned i;

	REQUIRE(t, begin_scene());
	judge.stop = &soak.shaker.stop;
	for (i = 0; i < PAGES; i++)
		soak.want[i] = soak.store[i] = world.page[i][0] = world.page[i][1] = i * 10;
	soak.shaker.stop = 1;
	user((void *)2);
	EXPECT_SAID(t, "[space][no space]");
	soak.shaker.stop = 0;
	soak.rand = 0;
	world.fault[0] = -EIO;
	world.fault[1] = -EHWPOISON;
	world.copies_fail = 3;
	soak.store[6] = 77;
	judge.sleeps = 1;
	user((void *)2);
	EXPECT_SAID(t,
	    "[space][fault 0x10006000: -5]poison: FAIL: a page could not be used: pfn 0x6: -5\n"
	    "[fault 0x10006000: -133][remove 1 at 6][fault 0x10006000: 0][no space]");
	EXPECT(t, soak.lost_seen == 1 && soak.want[6] == 77);
	scene_end();
}

/* ---- requests ---- */

KTEST(each_answer_is_counted_and_listed)
{
	static const struct {
		int err;
		bool listed, bad;
	} softs[] = {
	    {0, true, false}, {-EBUSY, 0, 0}, {-ENOMEM, 0, 0}, {-ENXIO, 0, 0}, {-EIO, 0, true}};
	static const struct {
		enum poison_outcome outcome;
		int err;
		bool before, after, bad;
	} hards[] = {{POISON_RECOVERED, 0, false, true, false},
	    {POISON_DELAYED, 0, false, true, false}, {POISON_IGNORED, -EBUSY, false, true, false},
	    {POISON_FAILED, -EBUSY, 0, 0, 0}, {POISON_FAILED, -ENXIO, 0, 0, 0},
	    {POISON_FAILED, -EHWPOISON, true, true, false},
	    {POISON_FAILED, -EHWPOISON, false, false, true}, {POISON_FAILED, -EIO, 0, 0, true}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(softs); i++) {
		REQUIRE(t, begin_scene());
		world.soft = softs[i].err;
		request_soft(START + 70);
		EXPECT(t, soak.soft_ok == !world.soft && soak.soft_no == !!world.soft);
		EXPECT_EQ(t, pfn_is_listed(START + 70), softs[i].listed);
		EXPECT(t, soak.nr_listed == softs[i].listed && soak.failed == softs[i].bad);
		scene_end();
	}
	for (i = 0; i < ARRAY_SIZE(hards); i++) {
		unsigned out = hards[i].outcome;

		REQUIRE(t, begin_scene());
		world.hard = hards[i].err;
		world.res = (struct poison_result){.outcome = out, .lost = true};
		list_pfn(START + 639, hards[i].before);
		request_hard(START + 639);
		EXPECT_EQ(t, soak.hard_ok, out == POISON_RECOVERED);
		EXPECT_EQ(t, soak.delayed, out == POISON_DELAYED);
		EXPECT_EQ(t, soak.ignored, out == POISON_IGNORED);
		EXPECT_EQ(t, soak.hard_no, out == POISON_FAILED);
		EXPECT_EQ(t, pfn_is_listed(START + 639), hards[i].after);
		EXPECT(t, soak.nr_listed == hards[i].after && soak.failed == hards[i].bad);
		EXPECT_EQ(t, soak.lost, 1);
		scene_end();
	}
}

KTEST(unpoisoned_page_leaves_the_list)
{
	REQUIRE(t, begin_scene());
	request_back(START);
	EXPECT_SAID(t, "");
	request_soft(START + 64);
	request_soft(START + 66);
	EXPECT_EQ(t, soak.listed[1], 5);
	world.back = -EBUSY;
	request_back(START + 10);
	EXPECT(t, soak.listed[1] == 5 && soak.nr_listed == 2 && !soak.back && !soak.failed);
	world.back = 0;
	request_back(START + 65);
	EXPECT(t, soak.listed[1] == 1 && soak.nr_listed == 1 && soak.back == 1);
	EXPECT_SAID(t, "[soft 0x1040][soft 0x1042][back 0x1040][back 0x1042]");
	/* A flagged page that no call had reported is a failure. */
	world.flagged[5] = true;
	request_back(START);
	EXPECT_SAID(
	    t, "[back 0x1005]poison: FAIL: flagged, and no answer said so: pfn 0x1005: 0\n");
	EXPECT(t, soak.nr_listed == 1 && soak.back == 2);
	/* Not more than nine failures are printed. */
	world.back = -EINVAL;
	for (soak.failed = 7; soak.failed < 10;)
		request_back(START);
	EXPECT_WORDS(t, "3:[back 0x1040]|2:poison: FAIL: unpoison: pfn 0x1040: -22\n");
	EXPECT(t, soak.nr_listed == 1 && soak.back == 2);
	scene_end();
}

/* With more listed pages than LISTED_MAX, each request repairs a page. */
KTEST(half_of_the_requests_are_soft_and_an_eighth_are_undone)
{
	unsigned i;

	REQUIRE(t, begin_scene());
	world.soft = world.hard = world.back = -EBUSY;
	world.flagged[639] = true;
	list_pfn(START + 639, true);
	for (i = 0, soak.rand = 639; i < 8; i++, soak.rand--)
		request();
	EXPECT_SAID(t,
	    "[soft 0x127f][soft 0x1000][soft 0x1001][soft 0x1002][hard 0x1003][hard "
	    "0x1004][hard 0x1005][back 0x127f]");
	for (i = 0; i < 2; i++) {
		soak.nr_listed = LISTED_MAX + i;
		soak.rand = 639;
		request();
	}
	EXPECT_SAID(t, "[soft 0x127f][back 0x127f]");
	scene_end();
}

/* ---- the amount of load ---- */

/* The counts of reclaimed and moved pages rise with each reading, the others in the third sleep. */
KTEST(each_part_of_the_load_is_waited_for)
{
	static const struct {
		bool offlined, downed, same_reclaimed, same_moved, failed;
		unsigned cpus, sleeps;
	} rows[] = {{1, 1, 0, 0, 0, 2, 0}, {0, 1, 0, 0, 0, 2, 4}, {1, 0, 0, 0, 0, 2, 4},
	    {1, 0, 0, 0, 0, 1, 0}, {1, 0, 0, 0, 1, 2, 0}, {1, 1, 1, 0, 0, 2, 1},
	    {1, 1, 0, 1, 0, 2, 1}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct beside then;

		REQUIRE(t, begin_scene());
		then = beside_now();
		judge.tick = 4000000000;
		world.cpus = rows[i].cpus;
		soak.shaker.offlines = rows[i].offlined;
		soak.shaker.downs = rows[i].downed;
		soak.failed = rows[i].failed;
		then.reclaimed += rows[i].same_reclaimed;
		then.moved += rows[i].same_moved;
		wait_for_load(then);
		EXPECT_EQ(t, judge_times("[sleep 1000000]\n"), rows[i].sleeps);
		scene_end();
	}
	REQUIRE(t, begin_scene());
	soak.shaker.downs = 1;
	judge.stop = &soak.shaker.offlines;
	judge.sleeps = 3;
	wait_for_load((struct beside){0});
	EXPECT_WORDS(t, "3:[sleep 1000000]\n");
	scene_end();
}

/* ---- the end ---- */

KTEST(flags_list_and_counts_must_agree)
{
	REQUIRE(t, begin_scene());
	request_soft(START);
	request_soft(START + 639);
	judge_clear();
	compare();
	EXPECT_SAID(t, "poison: 2 pages flagged, on the list 2; 0 retired, 0 in use, 2 offline\n");
	world.count_off = 1;
	compare();
	EXPECT_SAID(t,
	    "poison: FAIL: flagged pages: pfn 0x2: 2\n"
	    "poison: 2 pages flagged, on the list 2; 1 retired, 1 in use, 1 offline\n");
	world.count_off = 0;
	world.flagged[9] = true;
	compare();
	EXPECT_WORDS(t,
	    "poison: FAIL: flagged, and not on the list: pfn 0x1009: 0\n"
	    "|poison: FAIL: flagged pages: pfn 0x2: 3\n|poison: 3 pages flagged, on the list 2;");
	world.flagged[9] = world.flagged[0] = false;
	compare();
	EXPECT_WORDS(t, "poison: FAIL: flagged pages: pfn 0x2: 1\n");
	world.flagged[3] = true;
	all_back();
	EXPECT_SAID(t, "[back 0x1003][back 0x127f]");
	scene_end();
}

static int run_all(unsigned requests)
{
	judge.tick = 4000000000;
	return poison_soak(&judge_memory, requests, 6);
}

KTEST(poison_soak_runs_its_steps_in_order)
{
	unsigned job;

	begin();
	world.soft = -EBUSY;
	EXPECT_EQ(t, run_all(1), 0);
	EXPECT_SAID(t,
	    "[object of 8][map 8 at 0x10000000, 3][stress on 2 from 0, seed 6]\n"
	    "[user on -1][user on -1][user on -1][user on -1][shake_cpus on "
	    "-1][shake_memory on -1][soft 0x1007][shake_cpus joined]\n"
	    "[shake_memory joined]\n[space][no space][user joined]\n"
	    "[space][no space][user joined]\n[space][no space][user joined]\n"
	    "[space][no space][user joined]\n[stress ends]\n"
	    "poison: 0 pages flagged, on the list 0; 0 retired, 0 in use, 0 offline\n"
	    "[check]\n"
	    "poison: soft 0 done, 1 refused; hard 0 retired, 0 delayed, 0 ignored, 0 "
	    "refused; 0 taken back\n"
	    "poison: 0 pages lost, 0 met by their users, 0 wrong; 2 reclaimed, 2 "
	    "moved, 0 offlines, 0 refused, 0 downs, 0 ups; stress made 50 operations\n"
	    "[object goes][space goes]poison: PASS\n");
	EXPECT_VERDICT(
	    t, world.soft = world.hard = -EBUSY; judge.quiet = true, run_all(501), 0,
	    "poison: 250 of 501 requests, 0 pages flagged\n|poison: 500 of 501 requests, 0 "
	    "pages |poison: soft 0 done, 251 refused; hard 0 retired, 0 delayed, 0 ignored, "
	    "250 refused;|poison: PASS\n");
	/* At the end the soak repairs a flagged page, and brings an offline CPU online. */
	EXPECT_VERDICT(t, judge.online[0] = 1, run_all(1), 0,
	    "poison: 1 pages flagged, on the list 1; 0 retired, 0 in use, 1 offline\n"
	    "[back 0x1007][check]\n|[shake_memory joined]\n[up 1]");
	for (job = 1; job <= 6; job++)
		EXPECT_VERDICT(t, judge.no_job = job, run_all(5), -EIO,
		    "0:[soft|0:[hard|poison: FAIL: no memory for a thread: ");
	EXPECT_VERDICT(t, judge.no_stress = true, run_all(5), -EIO,
	    "[stress on 2 from 0, seed 6]\npoison: FAIL: no memory for the load\n"
	    "[object goes][space goes]|0:[user");
	EXPECT_VERDICT(t, world.create_err = -ENOMEM, run_all(5), -EIO,
	    "[object of 8]poison: FAIL: no memory for the load\n|0: goes]");
}

KTEST(each_failure_is_reported_and_fails_the_soak)
{
	/* Too few remote frees are no failure here. */
	EXPECT_VERDICT(t, judge.stop_err = -ERANGE, run_all(1), 0, "poison: PASS\n");
	EXPECT_VERDICT(t, judge.stop_err = -EUCLEAN, run_all(1), -EIO,
	    "poison: FAIL: stress: damaged: pfn 0: 3\n|poison: FAIL\n");
	EXPECT_VERDICT(t, judge.violation = JUDGE_BAD_WORD, run_all(1), -EIO,
	    "poison: FAIL: word at 0x5: 0x6, should be 0x7\n|poison: FAIL\n");
	EXPECT_VERDICT(t, judge.managed[1] = 1, run_all(1), -EIO,
	    "poison: FAIL: 1 pages managed without those from standby, 0 before; 7 from standby\n");
	EXPECT_VERDICT(
	    t, world.count_off = 3, run_all(1), -EIO, "poison: FAIL: flagged pages: pfn 0x1: 1\n");
	EXPECT_VERDICT(t, judge.online[0] = 1;
	               judge.cpu_err = -EIO, run_all(1), -EIO, "poison: FAIL: cpu_up: error EIO\n");
}
