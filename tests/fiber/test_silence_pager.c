/* SPDX-License-Identifier: MIT */
/*
 * test_silence_pager.c: a pager in ring 3 gets a request for a page, or to take one back, and
 * answers nothing, for a while or for ever: its effect on an offline, a cpu_down and an
 * allocation.  Its time limit is 5 s; that of reclaim for all pagers of a run is 2 s
 * (RUN_PAGERS_NS).  Time is the machine's (arch/fiber/fiber_whole.c).
 */
#include "kernel/thread.h"
#include "mm/reclaim/reclaim.h"
#include "tests/lib/mm_test.h"
#include "tests/fiber/silence_help.h"
#include "tests/lib/vm_help.h"
#include <quarry/pager.h>
#include <quarry/task.h>

#define NR    8u
#define LIMIT (5 * S)

static bool begin(struct ktest *t)
{
	play_opts = (struct offline_opts){.policy = NR_ISO_POLICIES};
	return paged_begin(t, 0, true, NR, LIMIT);
}

/* Hand over page 0, which is dirty, as the reclaim thread does. */
static int reclaim(void)
{
	struct lru_scan scan = {.batch = RECLAIM_BATCH, .desperate = true};
	struct page *page = page_in(paged[0].object, 0);

	scan.zone = zone_of(&kernel_memory, page_to_pfn_in(&kernel_memory, page));
	reclaim_batch(&scan);
	return READ_ONCE(paged[0].object->refused) == scan.run ? -ETIMEDOUT : 0;
}

static pfn_t dirty; /* the pageblock of page 0 */

VERB(reclaim, reclaim());
DO(note, dirty = paged_block(0, 0));
VERB(dirty, dirty);

/* Two threads wait, for a page and for the pager to take one; no page is lost. */
#define WAIT_ON(cpu)                                                                               \
	"write 0 0; note;" cpu "> reclaim = -ETIMEDOUT @2s;" cpu                                   \
	"> fault 0 1 = -ETIMEDOUT @5s; sleep 100ms; running = 2;"
#define WAITED "join; written 0 0; sound;"
/*
 * The page that the pager takes back is no longer handed over; a page that it supplies stays, and
 * serves the next faults.
 */
#define ANSWER_LATE "take 0 0 = -ENOENT; supply 0 1; fault 0 1; written 0 0; sound;"

KTEST_SUITE(silence_pager, 0);

/*
 * Reclaim holds the page for a bounded time, while the pager is asked to take it. Then the page is
 * moved without the pager.  While no page is handed over, the offline does not wait, though a
 * thread waits for a page.
 */
KTEST(offline_beside_a_silent_pager_ends_in_time)
{
	REQUIRE(t, begin(t));
	PLAY(t,
	    WAIT_ON("*") "offline dirty 1s = -ETIMEDOUT @1s; late dirty = 1;"
	                 "offline dirty @400ms + 600ms;" WAITED ANSWER_LATE
	                 "block 0 0 != dirty; online dirty; drop 0 1;"
	                 "*> fault 0 1 = -ETIMEDOUT @5s; sleep 100ms; note; offline dirty;"
	                 "online dirty; running = 1; join; written 0 0");
	paged_end(t, 0);
}

/* The threads go on waiting on another CPU, as long as before. */
KTEST(cpu_down_beside_a_silent_pager_succeeds_at_once)
{
	REQUIRE(t, begin(t));
	PLAY(t, WAIT_ON("2") "down 2;" WAITED "up 2;" ANSWER_LATE);
	paged_end(t, 0);
}

/* The pager has received the calls, and answers when no thread waits any more. */
KTEST(answer_after_the_time_limit_is_dropped)
{
	REQUIRE(t, begin(t));
	PLAY(t,
	    WAIT_ON("2") "receive 0 CLEAN 0; receive 0 GET 1; receive 0 GET 1 1s = -ETIMEDOUT @1s;"
	                 "down 2;" WAITED "answer 0 DONE = -EPIPE; answer 0 DONE = -EPIPE;"
	                 "up 2;" ANSWER_LATE);
	paged_end(t, 0);
}

/* ---- content that is taken too late ---- */

static u32 ended; /* atomic: a request to take page 0 has ended */

static int hand_over(u64 content)
{
	int err;

	paged_content[0] = content;
	err = paged[0].object->ops->clean(paged[0].object, 0, paged_content, 200 * MS);
	store_release(&ended, 1u);
	return err;
}

/* The first content has been copied; before the pager goes on, the page is handed over again. */
static void let_the_next_begin(void)
{
	silence_copied = NULL;
	while (!load_acquire(&ended))
		thread_sleep(TICK);
	play(playing, __FILE__, __LINE__, "2> hand_over 2 = -EIO @50ms; sleep 50ms");
}

VERB(hand_over, hand_over((u64)a[0]));
VERB(taken, paged_taken[0]);

/* What the pager has then is not what the page contains now. */
KTEST(content_of_an_earlier_request_is_refused)
{
	REQUIRE(t, begin(t));
	ended = 0;
	silence_copied = let_the_next_begin;
	PLAY(t,
	    "2> hand_over 1 = -ETIMEDOUT @200ms; receive 0 CLEAN 0 1s; take 0 0 = -ENOENT;"
	    "taken = 1; answer 0 DONE = -EPIPE; receive 0 CLEAN 0 1s; answer 0 DONE; join");
	paged_end(t, 0);
}

/* ---- requests of threads that end ---- */

static struct task ending;
static struct thread *asker;

/* Request page 0, and again each time that the request was interrupted. */
static int ask_again_and_again(void)
{
	int err;

	asker = thread_current();
	asker->task = &ending;
	do {
		port_task()->access_ns = 0; /* another access */
		err = paged[0].object->ops->get(paged[0].object, 0);
	} while (err == -EINTR && atomic_xchg(&ending.ending, 0u));
	asker->task = NULL;
	return err;
}

VERB(ask, ask_again_and_again());
DO(interrupt, store_release(&ending.ending, 1u); thread_wake(asker));

/*
 * The reader waits for another thread's request, which is interrupted again and again, and made
 * again before the reader runs: both threads run on one CPU.  The reader's waits together take no
 * longer than the pager's time limit.
 */
KTEST(wait_for_interrupted_requests_ends_in_time)
{
	REQUIRE(t, begin(t));
	ending.ending = 0;
	PLAY(t,
	    "2> ask = -ETIMEDOUT @?; sleep 100ms; 2> get 0 0 = -ETIMEDOUT @5s; sleep 2500ms;"
	    "interrupt; sleep 1250ms; running = 2; interrupt; join");
	paged_end(t, 0);
}

/* ---- an allocation ---- */

/* All pages are there, as they were written. */
static bool all_written(void)
{
	unsigned i;

	for (i = 0; i < NR && page_in(paged[0].object, i); i++)
		play(playing, __FILE__, __LINE__, "written 0 %u", i);
	return i == NR;
}

static bool alloc_again(void)
{
	u64 began = arch_clock_ns();
	struct page *page;

	while (!(page = mem_alloc_pages(&kernel_memory, GFP_MOVABLE, 0)) &&
	    arch_clock_ns() - began < 500 * S)
		thread_sleep(S);
	return page && !mem_free_pages(&kernel_memory, page, 0);
}

VERB(all_written, all_written());
VERB(alloc_again, !alloc_again());

/*
 * All pages that could be reclaimed are dirty, and their pager takes none.  Cached pages come
 * first; then reclaim waits for the pager, a single time.  When the pager answers again, it is
 * asked again as soon as it has regained the time that its silence has cost.
 */
KTEST(an_allocation_beside_a_silent_pager_ends_in_time)
{
	unsigned i;

	REQUIRE(t, begin(t));
	for (i = 0; i < NR; i++)
		PLAY(t, "write 0 %u", i);
	PLAY(t, "fill; fill_waiting @2s; alloc = -ENOMEM");
	for (i = 0; i < NR; i++)
		PLAY(t, "has 0 %u = 1", i);
	PLAY(t, "sound; serve; alloc_again @?; wrong; give; all_written; stop; sound");
	paged_end(t, 0);
}
