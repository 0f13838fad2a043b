/* SPDX-License-Identifier: MIT */
/*
 * test_silence_device.c: a device accepts requests and answers nothing, for a while or for ever:
 * its effect on an offline, a cpu_down and an allocation.  Time is the machine's
 * (arch/fiber/fiber_whole.c).
 */
#include "tests/lib/balloon_help.h"
#include "tests/fiber/silence_help.h"

#define PATIENCE (1 * S)
#define GIVEN_UP (VIRTIO_PATIENCES * PATIENCE)

static bool begin_patient(struct ktest *t)
{
	bool begun = balloon_begin(t);

	pretend_dev.dev.patience_ns = PATIENCE;
	return begun;
}

/* ---- the balloon's thread ---- */

static struct thread *follower;
static int followed; /* result of the thread; 1: none yet */
static u32 stop;     /* atomic */

static bool has_work(void *arg)
{
	return balloon_has_work(arg) || load_acquire(&stop);
}

/*
 * Like the kernel's thread, this thread alone waits for a late device, and takes all pages back
 * from a broken device.
 */
static void follow(void *arg)
{
	struct virtio_balloon *b = arg;

	do {
		followed = balloon_follow(b);
		if (followed != -EIO)
			wait_until(&b->dev->wq, has_work, b, WAIT_FOREVER);
	} while (followed != -EIO && !load_acquire(&stop));
	if (followed == -EIO) {
		balloon_reset(b);
		balloon_take_all(b);
	}
}

static void follow_begin(struct ktest *t, int cpu)
{
	stop = 0;
	followed = 1;
	follower = NEED(t, thread_start("balloon", cpu, follow, &balloon));
}

static void follow_end(void)
{
	store_release(&stop, 1u);
	wake_up(&pretend_dev.dev.wq);
	thread_join(follower);
}

KTEST_SUITE(silence_device, 0);

/*
 * The caller's limit holds, even if it is no multiple of the interval between checks that the
 * device still works.
 */
KTEST(wait_ends_at_the_callers_limit)
{
	static const u64 limits[] = {
	    PATIENCE / 2, PATIENCE, PATIENCE + PATIENCE / 4, 2 * PATIENCE + PATIENCE / 4};
	unsigned i;

	REQUIRE(t, begin_patient(t));
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		u64 began = arch_clock_ns();

		EXPECT_EQ(t, virtqueue_wait(&balloon.inflate, limits[i]), -EAGAIN);
		expect_took(t, __FILE__, __LINE__, arch_clock_ns() - began, limits[i], 60 * MS);
	}
	balloon_end(t);
}

/* ---- an offline ---- */

KTEST(offline_of_lent_pages_ends_at_its_deadline)
{
	struct offline_opts opts = {.policy = NR_ISO_POLICIES, .deadline_ns = S};
	struct offline_result res;
	unsigned queue;
	pfn_t block;
	u64 began;

	REQUIRE(t, begin_patient(t));
	for (queue = INFLATE; queue <= DEFLATE; queue++) {
		balloon_ask_for((u32)PAGEBLOCK_PAGES);
		EXPECT_EQ(t, balloon_follow(&balloon), 0);
		block = block_with_lent(t);
		balloon_late = 1u << queue;
		began = arch_clock_ns();
		EXPECT_EQ(
		    t, offline_pages(balloon.mem, block, PAGEBLOCK_PAGES, &opts, &res), -ETIMEDOUT);
		EXPECT_TOOK(t, arch_clock_ns() - began, S);
		EXPECT_EQ(t, res.fail.why, WHY_DEADLINE);
		EXPECT_EQ(t, block_of(res.fail.pfn), block);
		expect_sound(t, balloon.mem);
		/* The device answers after all: its request takes effect, and nothing else. */
		balloon_late = 0;
		EXPECT(t, pretend_dev.kept[queue]);
		pretend_answer(&pretend_dev, queue, 0);
		EXPECT_EQ(t, balloon_follow(&balloon), 0);
		expect_lent(t, PAGEBLOCK_PAGES);
		EXPECT_EQ(t, offline_pages(balloon.mem, block, PAGEBLOCK_PAGES, NULL, NULL), 0);
		EXPECT_EQ(t, online_pages(balloon.mem, block, PAGEBLOCK_PAGES, NULL), 0);
		balloon_ask_for(0);
		EXPECT_EQ(t, balloon_follow(&balloon), 0);
	}
	balloon_end(t);
}

KTEST(offline_of_lent_pages_succeeds_once_the_device_is_marked_broken)
{
	struct offline_opts opts = {.policy = NR_ISO_POLICIES};
	unsigned resets;
	pfn_t block;
	u64 began;

	REQUIRE(t, begin_patient(t));
	balloon_ask_for((u32)PAGEBLOCK_PAGES);
	follow_begin(t, -1);
	thread_sleep(100 * MS);
	EXPECT_EQ(t, followed, 0);
	block = block_with_lent(t);
	resets = pretend_dev.resets;
	balloon_late = 1u << INFLATE | 1u << DEFLATE;
	began = arch_clock_ns();
	EXPECT_EQ(t, offline_pages(balloon.mem, block, PAGEBLOCK_PAGES, &opts, NULL), 0);
	EXPECT_TOOK(t, arch_clock_ns() - began, GIVEN_UP);
	follow_end();
	EXPECT_EQ(t, followed, -EIO);
	EXPECT(t, pretend_dev.resets > resets);
	EXPECT_EQ(t, balloon.nr, 0);
	EXPECT_EQ(t, online_pages(balloon.mem, block, PAGEBLOCK_PAGES, NULL), 0);
	/* An interrupt of a device that has been reset changes nothing. */
	virtio_interrupt(&pretend_dev.dev, 1);
	EXPECT_EQ(t, balloon_follow(&balloon), -EIO);
	balloon_end(t);
}

/* ---- cpu_down ---- */

/*
 * The thread that waits for the device is bound to CPU 2: it moves to another CPU, and goes on
 * waiting.
 */
KTEST(cpu_down_beside_a_silent_device_succeeds_at_once)
{
	u64 began, down;

	REQUIRE(t, begin_patient(t));
	balloon_late = 1u << INFLATE;
	balloon_ask_for(5);
	follow_begin(t, 2);
	thread_sleep(100 * MS);
	EXPECT(t, pretend_dev.kept[INFLATE]);
	began = arch_clock_ns();
	EXPECT_EQ(t, cpu_down(2), 0);
	EXPECT_TOOK(t, arch_clock_ns() - began, 0);
	expect_sound(t, balloon.mem);
	/* The answer wakes the thread on its new CPU. */
	balloon_late = 0;
	pretend_answer(&pretend_dev, INFLATE, 0);
	thread_sleep(100 * MS);
	EXPECT_EQ(t, followed, 0);
	expect_lent(t, 5);
	EXPECT_EQ(t, cpu_up(2), 0);
	thread_sleep(100 * MS);
	/* Now the device gives no answer at all. */
	balloon_late = 1u << INFLATE;
	began = arch_clock_ns();
	balloon_ask_for(9);
	thread_sleep(100 * MS);
	down = arch_clock_ns();
	EXPECT_EQ(t, cpu_down(2), 0);
	EXPECT_TOOK(t, arch_clock_ns() - down, 0);
	thread_join(follower);
	EXPECT_TOOK(t, arch_clock_ns() - began, GIVEN_UP);
	EXPECT_EQ(t, followed, -EIO);
	EXPECT_EQ(t, cpu_up(2), 0);
	balloon_end(t);
}

/* ---- an allocation ---- */

static int reported; /* result of balloon_report; 1: none yet */

static void report(void *arg)
{
	reported = balloon_report(arg);
}

/* All free pageblocks are being reported to the device, and cannot be allocated. */
KTEST(an_allocation_beside_a_silent_device_ends_in_time)
{
	static struct hoard hoard;
	struct page *page;
	unsigned answers;
	u64 began;

	for (answers = 0; answers < 2; answers++) {
		if (answers) {
			balloon_end(t);
			pretend_init(&pretend_dev, t, ALL_FEATURES, balloon_host);
			memset(balloon_lent, 0, sizeof(balloon_lent));
			REQUIRE(t, balloon_open(&balloon, &pretend_dev.dev, t->mem) == 0);
			pretend_dev.dev.patience_ns = PATIENCE;
		} else {
			REQUIRE(t, begin_patient(t));
		}
		nr_reports = 1; /* so that told_free allocates nothing */
		balloon_late = 1u << REPORT;
		reported = 1;
		began = arch_clock_ns();
		ktest_start(1, report, &balloon);
		thread_sleep(100 * MS);
		EXPECT(t, pretend_dev.kept[REPORT]);
		hoard = (struct hoard){.mem = balloon.mem, .gfp = GFP_MOVABLE};
		hoard_take(&hoard);
		EXPECT(t, hoard.nr < ARRAY_SIZE(hoard.page));
		page = mem_alloc_pages(balloon.mem, GFP_MOVABLE, 0);
		EXPECT(t, !page);
		EXPECT(t, arch_clock_ns() - began < S);
		EXPECT_EQ(t, reported, 1);
		balloon_late = 0;
		if (answers)
			pretend_answer(&pretend_dev, REPORT, 0);
		ktest_join(1);
		EXPECT_EQ(t, reported, answers ? 0 : -EIO);
		EXPECT(t, answers || arch_clock_ns() - began >= GIVEN_UP);
		EXPECT(t, arch_clock_ns() - began < GIVEN_UP + S);
		/*
		 * The pages are back; a silent device was reset before that, so it cannot write to
		 * them.
		 */
		page = mem_alloc_pages(balloon.mem, GFP_MOVABLE, 0);
		EXPECT(t, page);
		if (page)
			EXPECT_EQ(t, mem_free_pages(balloon.mem, page, 0), 0);
		hoard_give(&hoard);
	}
	balloon_end(t);
}
