/* SPDX-License-Identifier: MIT */
/*
 * test_silence_access.c: accesses to pages of pager 0, which answers.  Others are late: the thread
 * that has requested the same page, or pager 1.
 */
#include "mm/reclaim/reclaim.h"
#include "tests/lib/mm_test.h"
#include "tests/fiber/silence_help.h"
#include "tests/lib/vm_help.h"

#define LIMIT (S / 2) /* the time limit of pager 0; pager 1 has three times as long */

KTEST_SUITE(silence_access, 0);

/* ---- two accesses to one page ---- */

KTEST(an_answer_ends_each_wait_for_it)
{
	REQUIRE(t, paged_begin(t, 0, true, 2, 5 * S));
	PLAY(t,
	    "2> fault 0 0 = -EIO @100ms; receive 0 GET 0 1s; 1> fault 0 0 = -EIO @100ms;"
	    "sleep 100ms; running = 2; answer 0 FAILED; join");
	paged_end(t, 0);
}

/*
 * The thread that has requested the page does not run.  If the page is dropped, the pager is asked
 * for it again.
 */
KTEST(supplied_page_reaches_all_that_wait_for_it)
{
	REQUIRE(t, paged_begin(t, 0, true, 2, 5 * S));
	PLAY(t,
	    "2> fault 0 0 @?; receive 0 GET 0 1s; 1> fault 0 0 @100ms; sleep 100ms; running = 2;"
	    "silence 2; supply 0 0; answer 0 DONE; sleep 1t; running = 1; drop 0 0; 1> get 0 0;"
	    "receive 0 GET 0 1s; supply 0 0; answer 0 DONE; sleep 1t; running = 1; speak 2; join");
	paged_end(t, 0);
}

/* ---- an access beside a silent pager of another object ---- */

/* The silent pager's page is dirty, and the other pager's page was requested. */
static bool begin_beside_silence(struct ktest *t)
{
	if (!paged_begin(t, 0, true, 2, LIMIT) || !paged_begin(t, 1, true, 2, 3 * LIMIT))
		return false;
	PLAY(t, "write 1 0");
	return true;
}

static void end_beside_silence(struct ktest *t)
{
	paged_end(t, 0);
	paged_end(t, 1);
	expect_sound(t, &kernel_memory);
}

static void reclaim(struct page *page)
{
	struct lru_scan scan = {.batch = RECLAIM_BATCH, .desperate = true};

	scan.zone = zone_of(&kernel_memory, page_to_pfn_in(&kernel_memory, page));
	reclaim_batch(&scan);
}

DO(reclaim, reclaim(page_in(paged[1].object, 0)));

/*
 * The page that the access waits for is reclaimed together with a page of the silent pager, which
 * is asked first.  The access's own pager is never late.
 */
KTEST(reclaim_of_another_page_takes_no_time_of_an_access)
{
	REQUIRE(t, begin_beside_silence(t));
	PLAY(t,
	    "1> fault 0 0 @1500ms; receive 0 GET 0 1s; write 0 0; 2> reclaim @?; sleep 100ms;"
	    "has 0 0; answer 0 DONE; receive 0 CLEAN 0 1500ms @?; running = 2; take 0 0;"
	    "answer 0 DONE; receive 0 GET 0 1s; supply 0 0; answer 0 DONE; join");
	end_beside_silence(t);
}

/*
 * From now on accesses wait for memory, since reclaim waits for the silent pager.  Then there is
 * memory again, and the pager is asked once more.  At the end the reclaim thread still waits for
 * the silent pager.
 */
#define MEMORY_COMES_LATE(word)                                                                    \
	"drain; fill; answer 0 " word "; sleep 1s; running >= 1; give; receive 0 GET 0 1s;"        \
	"supply 0 0; answer 0 DONE; join; sleep 3s"

KTEST(memory_for_a_dropped_page_takes_no_time_of_an_access)
{
	REQUIRE(t, begin_beside_silence(t));
	PLAY(t,
	    "1> fault 0 0 @1s; receive 0 GET 0 1s; supply 0 0; drop 0 0;" MEMORY_COMES_LATE(
	        "DONE"));
	end_beside_silence(t);
}

/* Each access waits for memory itself. */
KTEST(memory_for_the_pager_takes_no_time_of_an_access)
{
	REQUIRE(t, begin_beside_silence(t));
	PLAY(t,
	    "1> fault 0 0 @1s; receive 0 GET 0 1s; 3> fault 0 0 @900ms; sleep 100ms;"
	    "running = 2;" MEMORY_COMES_LATE("NO_MEMORY"));
	end_beside_silence(t);
}

static struct page *pinned;

VERB(pin, vm_object_pin(paged[0].object, 0, &pinned));
DO(unpin, mem_unpin_page(&kernel_memory, pinned));

/*
 * One thread of the pager has supplied the page, the other one found no memory for it.  Reclaim
 * must not take the page.
 */
KTEST(page_supplied_without_memory_is_used)
{
	REQUIRE(t, paged_begin(t, 0, true, 2, LIMIT));
	PLAY(t,
	    "1> fault 0 0; receive 0 GET 0 1s; supply 0 0; pin; drain; fill; answer 0 NO_MEMORY;"
	    "join; unpin; give");
	paged_end(t, 0);
}
