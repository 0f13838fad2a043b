/* SPDX-License-Identifier: MIT */
/*
 * test_silence_pager.c: a pager in ring 3 gets a request for a page, or to take one back, and
 * answers nothing, for a while or for ever: its effect on an offline, a cpu_down, an allocation,
 * and accesses to pages of another pager, which answers.  Its time limit is 5 s; that of reclaim
 * for all pagers of a run is 2 s (RUN_PAGERS_NS).  Time is the machine's
 * (arch/fiber/fiber_whole.c).
 */
#include "kernel/thread.h"
#include "tests/fiber/silence_help.h"
#include "tests/lib/vm_help.h"
#include <quarry/pager.h>
#include <quarry/poison.h>
#include <quarry/task.h>

DO(policy, play_opts = (struct offline_opts){.policy = NR_ISO_POLICIES});

#define BEGIN "policy; begin_pager 0 1 8 5s;"
#define END   "end_pager 0"
/* Two threads wait, for a page and for the pager to take one; no page is lost. */
#define WAIT_ON(cpu)                                                                               \
	BEGIN "write 0; note_block 0;" cpu "> reclaim 0 = -ETIMEDOUT @2s;" cpu                     \
	      "> fault 1 = -ETIMEDOUT @5s; sleep 100ms; running = 2;"
#define WAITED "join; written 0; sound;"
/*
 * The page that the pager takes back is no longer handed over; a page that it supplies stays, and
 * serves the next faults.
 */
#define ANSWER_LATE "take 0 = -ENOENT; supply 1; fault 1; written 0; sound;"

KTEST_SUITE(silence_pager, 0);

/*
 * Reclaim holds the page for a bounded time, while the pager is asked to take it. Then the page is
 * moved without the pager.  While no page is handed over, the offline does not wait, though a
 * thread waits for a page.
 */
KTEST(offline_beside_a_silent_pager_ends_in_time)
ROWS(WAIT_ON(
    "*") "offline noted 1s = -ETIMEDOUT @1s; late noted = 1; offline noted @400ms + 600ms;" WAITED
        ANSWER_LATE "block 0 != noted; online noted; drop 1; *> fault 1 = -ETIMEDOUT @5s;"
         "sleep 100ms; note_block 0; offline noted; online noted; running = 1; join; written "
         "0;" END)

/* The threads go on waiting on another CPU, as long as before. */
KTEST(cpu_down_beside_a_silent_pager_succeeds_at_once)
ROWS(WAIT_ON("2") "down 2;" WAITED "up 2;" ANSWER_LATE END)

/* The pager has received the calls, and answers when no thread waits any more. */
KTEST(answer_after_the_time_limit_is_dropped)
ROWS(
    WAIT_ON("2") "receive CLEAN 0; receive GET 1; receive GET 1 1s = -ETIMEDOUT @1s; down 2;" WAITED
                 "answer DONE = -EPIPE; answer DONE = -EPIPE; up 2;" ANSWER_LATE END)

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
	PLAY(playing, "2> hand_over 2 = -EIO @50ms; sleep 50ms");
}

VERB(hand_over, hand_over((u64)a[0]));
DO(begin_copy, ended = 0; silence_copied = let_the_next_begin);
VERB(taken, paged_taken[0]);

/* What the pager has then is not what the page contains now. */
KTEST(content_of_an_earlier_request_is_refused)
ROWS(BEGIN "begin_copy; 2> hand_over 1 = -EAGAIN @200ms; receive CLEAN 0 1s; take 0 = -ENOENT;"
           "taken = 1; answer DONE = -EPIPE; receive CLEAN 0 1s; answer DONE; join;" END)

/*
 * Both pages were taken out of their slots to be handed over.  While the pager takes the first, it
 * drops and replaces the second: the request for that comes too late.
 */
KTEST(content_of_a_page_that_was_dropped_before_the_request_is_refused)
ROWS("policy; begin_pager 0 1 2 5s; write 0..1; 2> reclaim 0 = -ETIMEDOUT @?; receive CLEAN 0 1s;"
     "drop 1; supply 1; take 0; answer DONE; receive CLEAN 1 1s @?; take 1 = -ENOENT; answer DONE;"
     "join; has 1 = 1; end_pager 0")

/* ---- requests of threads that end ---- */

static struct task ending;
static struct thread *asker;

/* Request page 0, and again each time that the request was interrupted. */
static int ask_again_and_again(void)
{
	int err;

	asker = thread_current();
	asker->task = &ending;
	ending.ending = 0;
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
ROWS(
    BEGIN "2> ask = -ETIMEDOUT @?; sleep 100ms; 2> get 0 = -ETIMEDOUT @5s; sleep 2500ms; interrupt;"
          "sleep 1250ms; running = 2; interrupt; join;" END)

/* ---- an allocation ---- */

/* The number of the first page that was handed over; those before it are as they were written. */
static unsigned first_taken(void)
{
	unsigned i;

	for (i = 0; i < 8 && page_in(paged[0].object, i); i++)
		PLAY(playing, "written %u", i);
	return i;
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

VERB(first_taken, first_taken());
VERB_OF(alloc_again, true, !alloc_again());

/*
 * The run's time for pagers is nearly over as it asks the second one: that did not refuse the page.
 */
KTEST(a_pager_that_a_run_had_no_time_for_has_not_refused)
ROWS("begin_pager 0 1 2 1950ms; begin_pager 1 1 2 5s; write 0; write 0 1; 2> reclaim 0 1 = 0 @2s;"
     "receive CLEAN 0 3s 1 @?; sleep 100ms; answer DONE 1 = -EPIPE; join; has 0 1 = 1;"
     "end_pager 1; end_pager 0")

/*
 * All pages that could be reclaimed are dirty, and their pager takes none.  Cached pages come
 * first; then reclaim waits for the pager, a single time.  When the pager answers again, it is
 * asked again as soon as it has regained the time that its silence has cost.
 */
KTEST(an_allocation_beside_a_silent_pager_ends_in_time)
ROWS(BEGIN "write 0..7; fill; fill_waiting @2s; alloc = -ENOMEM; has 0..7 = 1; sound; serve;"
           "alloc_again; wrong; give; first_taken <= 7; stop; sound;" END)

/* ---- two accesses to one page ---- */

KTEST(an_answer_ends_each_wait_for_it)
ROWS("begin_pager 0 1 2 5s; 2> fault 0 = -EIO @100ms; receive GET 0 1s; 1> fault 0 = -EIO @100ms;"
     "sleep 100ms; running = 2; answer FAILED; join; end_pager 0")

/*
 * The thread that has requested the page does not run.  If the page is dropped, the pager is asked
 * for it again.
 */
KTEST(supplied_page_reaches_all_that_wait_for_it)
ROWS("begin_pager 0 1 2 5s; 2> fault 0 @?; receive GET 0 1s; 1> fault 0 @100ms; sleep 100ms;"
     "running = 2; silence 2; supply 0; answer DONE; sleep 1t; running = 1; drop 0; 1> get 0;"
     "receive GET 0 1s; supply 0; answer DONE; sleep 1t; running = 1; speak 2; join; end_pager 0")

/* ---- an access beside a silent pager of another object ---- */

/*
 * The silent pager 1 has a dirty page, and a page of pager 0, whose limit is half a second, was
 * requested.
 */
#define BESIDE(least)                                                                              \
	"begin_pager 0 1 2 500ms; begin_pager 1 1 2 1500ms; write 0 1; 1> fault 0 @" least ";"     \
	"receive GET 0 1s;"
#define END_BOTH "end_pager 0; end_pager 1; sound"

/*
 * The page that the access waits for is reclaimed together with a page of the silent pager, which
 * is asked first.  The access's own pager is never late.
 */
KTEST(reclaim_of_another_page_takes_no_time_of_an_access)
ROWS(BESIDE("1500ms") "write 0; 2> reclaim 0 1 = -ETIMEDOUT @1500ms; sleep 100ms; has 0;"
                      "answer DONE; receive CLEAN 0 1500ms @?; running = 2; take 0; answer DONE; "
                      "receive GET 0 1s;"
                      "supply 0; answer DONE; join;" END_BOTH)

/*
 * Accesses wait for memory, since reclaim waits for the silent pager.  Then there is memory again,
 * and the pager is asked once more.  At the end the reclaim thread still waits.
 */
#define MEMORY_COMES_LATE(word)                                                                    \
	"drain; fill; answer " word "; sleep 1s; running >= 1; give; receive GET 0 1s; supply 0;"  \
	"answer DONE; join; sleep 3s;"

KTEST(memory_for_a_dropped_page_takes_no_time_of_an_access)
ROWS(BESIDE("1s") "supply 0; drop 0;" MEMORY_COMES_LATE("DONE") END_BOTH)

/* Each access waits for memory itself. */
KTEST(memory_for_the_pager_takes_no_time_of_an_access)
ROWS(BESIDE("1s") "3> fault 0 @900ms; sleep 100ms; running = 2;" MEMORY_COMES_LATE("NO_MEMORY")
        END_BOTH)

static struct page *pinned;

VERB(pin, vm_object_pin(paged[0].object, 0, &pinned));
DO(unpin, mem_unpin_page(&kernel_memory, pinned));

/*
 * One thread of the pager has supplied the page, the other one found no memory for it.  Reclaim
 * must not take the page.
 */
KTEST(page_supplied_without_memory_is_used)
ROWS("begin_pager 0 1 2 500ms; 1> fault 0; receive GET 0 1s; supply 0; pin; drain; fill;"
     "answer NO_MEMORY; join; unpin; give; end_pager 0")

/* ---- a page that breaks while it is handed over ---- */

static struct poison_result broken;
static pfn_t frame;

DO(note_frame, frame = page_to_pfn_in(&kernel_memory, page_in(paged[0].object, 0)));
VERB(fails, memory_failure(frame, 0, &broken));
VERB(mended, unpoison_page(frame));

KTEST(a_broken_page_is_not_handed_over)
ROWS(BEGIN "write 0; note_frame; 2> reclaim 0 = -ETIMEDOUT @?; receive CLEAN 0 1s;"
           "fails = -EBUSY @?; take 0 = -ENOENT; answer DONE; join; drop 0;" END "; mended")
