/* SPDX-License-Identifier: MIT */
/*
 * test_silence_access.c: accesses to pages of pager 0, which answers.  Others are late: the thread
 * that has requested the same page, or pager 1.
 */
#include "tests/fiber/silence_help.h"

KTEST_SUITE(silence_access, 0);

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
#define BEGIN(least)                                                                               \
	"begin_pager 0 1 2 500ms; begin_pager 1 1 2 1500ms; write 0 1; 1> fault 0 @" least ";"     \
	"receive GET 0 1s;"
#define END "end_pager 0; end_pager 1; sound"

/*
 * The page that the access waits for is reclaimed together with a page of the silent pager, which
 * is asked first.  The access's own pager is never late.
 */
KTEST(reclaim_of_another_page_takes_no_time_of_an_access)
ROWS(BEGIN("1500ms") "write 0; 2> reclaim 0 1 = -ETIMEDOUT @1500ms; sleep 100ms; has 0;"
                     "answer DONE; receive CLEAN 0 1500ms @?; running = 2; take 0; answer DONE; "
                     "receive GET 0 1s;"
                     "supply 0; answer DONE; join;" END)

/*
 * Accesses wait for memory, since reclaim waits for the silent pager.  Then there is memory again,
 * and the pager is asked once more.  At the end the reclaim thread still waits.
 */
#define MEMORY_COMES_LATE(word)                                                                    \
	"drain; fill; answer " word "; sleep 1s; running >= 1; give; receive GET 0 1s; supply 0;"  \
	"answer DONE; join; sleep 3s;"

KTEST(memory_for_a_dropped_page_takes_no_time_of_an_access)
ROWS(BEGIN("1s") "supply 0; drop 0;" MEMORY_COMES_LATE("DONE") END)

/* Each access waits for memory itself. */
KTEST(memory_for_the_pager_takes_no_time_of_an_access)
ROWS(BEGIN("1s") "3> fault 0 @900ms; sleep 100ms; running = 2;" MEMORY_COMES_LATE("NO_MEMORY") END)

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
