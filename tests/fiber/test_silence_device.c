/* SPDX-License-Identifier: MIT */
/*
 * test_silence_device.c: a device accepts requests and answers nothing, for a while or for ever:
 * its effect on an offline, a cpu_down and an allocation.  It is declared broken after three
 * patiences (VIRTIO_PATIENCES) of a second.  Time is the machine's (arch/fiber/fiber_whole.c).  The
 * device is a balloon, or has memory that is plugged.
 */
#include "tests/lib/balloon_help.h"
#include "tests/lib/vmem_help.h"
#include "tests/fiber/silence_help.h"

/* On the same memory, after a device broke; or on a new one. */
static bool begin(bool again)
{
	bool begun = again ? balloon_begin_again(playing) : balloon_begin(playing);

	play_opts = (struct offline_opts){.policy = NR_ISO_POLICIES};
	pretend_dev.dev.patience_ns = S;
	return begun;
}

/* ---- the balloon's thread ---- */

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
static int follow(struct virtio_balloon *b)
{
	stop = 0;
	followed = 1;
	do {
		followed = balloon_follow(b);
		if (followed != -EIO)
			wait_until(&b->dev->wq, has_work, b, WAIT_FOREVER);
	} while (followed != -EIO && !load_acquire(&stop));
	if (followed == -EIO) {
		balloon_reset(b);
		balloon_take_all(b);
	}
	return followed;
}

static pfn_t block;
static unsigned resets;

VERB(begin, !begin(a[0]));
DO(end, balloon_end(playing));
VERB(follow, follow(&balloon));
VERB(follow_once, balloon_follow(&balloon));
VERB(followed, followed);
DO(end_follow, store_release(&stop, 1u); wake_up(&pretend_dev.dev.wq));
DO(ask_for, balloon_ask_for((u32)a[0]));
DO(find_block, block = block_with_lent(playing); resets = pretend_dev.resets);
VERB(block_with, block);
DO(late_queues, balloon_late = (unsigned)a[0]);
VERB(block_pages, PAGEBLOCK_PAGES);
VERB(bit, 1u << a[0]);
VERB(kept, pretend_dev.kept[a[0]] != 0);
DO(answer_now, balloon_late = 0; pretend_answer(&pretend_dev, (unsigned)a[0], 0));
DO(lent, expect_lent(playing, (unsigned long)a[0]));
VERB(nr_lent, balloon.nr);
VERB(was_reset, pretend_dev.resets > resets);
DO(interrupt, virtio_interrupt(&pretend_dev.dev, 1));
VERB(wait_queue, virtqueue_wait(&balloon.inflate, (u64)a[0]));

KTEST_SUITE(silence_device, 0);

/*
 * The caller's limit holds, even if it is no multiple of the interval between checks that the
 * device still works.
 */
KTEST(wait_ends_at_the_callers_limit)
ROWS("begin; wait_queue 500ms = -EAGAIN @500ms + 60ms; wait_queue 1s = -EAGAIN @1s + 60ms;"
     "wait_queue 1250ms = -EAGAIN @1250ms + 60ms; wait_queue 2250ms = -EAGAIN @2250ms + 60ms; end")

/* ---- an offline ---- */

#define LATE_ON(queue)                                                                             \
	"ask_for block_pages; follow_once; find_block; late_queues bit." #queue                    \
	"; offline block_with 1s = -ETIMEDOUT @1s; late block_with = 1; sound; kept " #queue       \
	" = 1; answer_now " #queue "; follow_once; lent block_pages; offline block_with;"          \
	"online block_with; ask_for 0; follow_once;"

/* The device answers after all: its request takes effect, and nothing else. */
KTEST(offline_of_lent_pages_ends_at_its_deadline)
ROWS("begin;" LATE_ON(0) LATE_ON(1) "end")

/* An interrupt of a device that has been reset changes nothing. */
KTEST(offline_of_lent_pages_succeeds_once_the_device_is_marked_broken)
ROWS("begin; ask_for block_pages; *> follow = -EIO @3s; sleep 100ms; followed; find_block;"
     "late_queues 3; offline block_with @3s; end_follow; join; was_reset = 1; nr_lent;"
     "online block_with; interrupt; follow_once = -EIO; end")

/*
 * The thread that waits for the device is bound to CPU 2: it moves to another CPU, and goes on
 * waiting.  The answer wakes the thread there.  Then the device gives no answer at all.
 */
KTEST(cpu_down_beside_a_silent_device_succeeds_at_once)
ROWS("begin; late_queues 1; ask_for 5; 2> follow = -EIO @?; sleep 100ms; kept 0 = 1; down 2; sound;"
     "answer_now 0; sleep 100ms; followed; lent 5; up 2; sleep 100ms; late_queues 1;"
     "ask_for 9; sleep 100ms; down 2; sleep 2800ms; running = 1; sleep 600ms; running; join;"
     "up 2; end")

/* ---- an allocation ---- */

static struct hoard hoard;

VERB(report, balloon_report(&balloon));
DO(hoard, hoard = (struct hoard){.mem = balloon.mem, .gfp = GFP_MOVABLE}; hoard_take(&hoard));
VERB(hoarded, hoard.nr < ARRAY_SIZE(hoard.page));
DO(hoard_give, hoard_give(&hoard));

DO(told_free_allocates_nothing, nr_reports = 1);

#define SILENT "= -EIO @3s"
#define REPORT_ENDS(how, answers)                                                                  \
	"told_free_allocates_nothing; late_queues 8; 1> report " how "; sleep 100ms; kept 3 = 1;"  \
	"hoard; hoarded = 1; alloc = -ENOMEM; running = 1;" answers "join; alloc; give;"           \
	"hoard_give; end;"

/*
 * All free pageblocks are being reported to the device, and cannot be allocated.  A silent device
 * is reset before the pages are back, so it cannot write to them.
 */
KTEST(an_allocation_beside_a_silent_device_ends_in_time)
ROWS("begin;" REPORT_ENDS(SILENT, "late_queues 0;") "begin 1;" REPORT_ENDS("", "answer_now 3;"))

/* ---- a virtio-mem device ---- */

static u32 no_answer(struct pretend *p, const struct pretend_buf *buf)
{
	return NO_ANSWER;
}

static bool begin_mem(void)
{
	bool begun = vmem_begin(playing);

	play_opts = (struct offline_opts){.policy = NR_ISO_POLICIES};
	pretend_dev.dev.patience_ns = S;
	return begun;
}

VERB(begin_mem, !begin_mem());
DO(end_mem, vmem_end(playing));
VERB(mem_follow, virtio_mem_follow(&vmem_dev));
VERB(restart, virtio_mem_restart(&vmem_dev));
DO(answering, pretend_dev.serve = a[0] ? serve : no_answer);
DO(mem_ask_for, vmem_ask_for((unsigned)a[0]));
DO(units, expect_units(playing, (unsigned)a[0], (unsigned)a[0]));

#define SIZE(blocks)                                                                               \
	"answering 0; mem_ask_for " #blocks                                                        \
	"; 2> mem_follow = -EIO @3s; sleep 100ms; running = 1;"                                    \
	"offline 0; online 0; down 2; alloc; give; join; up 2; mem_follow = -EIO; answering 1;"    \
	"restart; mem_follow; units " #blocks ";"

/*
 * The size changes from 3 blocks to another while the device answers nothing.  It gets no request
 * before it is reset; then it is asked for the plugged units, which are as before, and the driver
 * follows the change.
 */
KTEST(silent_memory_device_blocks_no_caller)
ROWS("begin_mem; mem_ask_for 3; mem_follow;" SIZE(5) SIZE(2) "end_mem")
