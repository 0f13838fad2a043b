/* SPDX-License-Identifier: MIT */
/*
 * over.c: tasks that use twice as much memory as the machine has.
 *
 * handle: the capability to start programs.  arg0: the seed; arg1: the case:
 *   1  pages of a pager: pages in use stay, others are reclaimed, and no task is killed
 *   2  anonymous pages: the task with the most is killed, the other tasks keep every word
 *   3  as 2, and the largest task holds its pages by a handle, mapped nowhere
 *   4  this task, the first one, wants too much: the OOM killer never chooses the first task, so
 *      a failed access ends it
 *   5  random system calls (fuzz.c) beside tasks as in 1 and 2; arg1 >> 8: the number of calls
 *   6  a pager (maker.c) has the most memory, and all its pages are in use: another task is killed
 *   7  a pager (pager.c) has the most memory, as its store, and only a few of its pages are in use:
 *      the pager is killed
 * In the cases 1 and 5 the program also starts itself as a worker, which writes and compares pages
 * (handle: the object; arg0: the first page, and from bit 32 on the number of pages; arg1: WORKER,
 * and possibly FOREVER).  The exit status is the number of wrong results.
 */
#include "tests/hostile/hog.h"
#include "user/packed.h"
#include "user/paged.h"

#define LIMIT_NS   (200 * NS_PER_S)
#define NR_WORKERS 2u
#define NR_SMALL   3u
#define NR_FUZZ    2u
#define HOT_PART   8 /* a worker uses the first 1/HOT_PART of its pages most of the time */
#define WORKER     (1UL << 32)
#define FOREVER    (1UL << 33) /* the worker runs until it is killed, or a page is wrong */

static u64 programs, seed;
static int surprises;

static void want(int line, s64 have, s64 wanted)
{
	if (have == wanted)
		return;
	printf("over.c:%d: %ld, not %ld\n", line, have, wanted);
	surprises++;
}
#define WANT(have, wanted) want(__LINE__, (have), (wanted))

/* ---- case 1 ---- */

struct worker {
	volatile u64 *at;
	u64 first, pages, random, wrong;
	u32 *version;
};

static void visit(struct worker *w, u64 i, bool write)
{
	volatile u64 *page = w->at + i * PACKED_WORDS;
	u64 bad = packed_check(page, w->first + i, w->version[i]);

	if (bad < PACKED_WORDS) {
		printf("page %lu, word %lu: %lx, of version %u\n", w->first + i, bad, page[bad],
		    w->version[i]);
		w->wrong++;
	}
	if (write)
		packed_write(page, w->first + i, ++w->version[i]);
}

/* Write all pages; then use some often and others rarely; then compare all. */
static int work(u64 object, u64 first, u64 pages, bool forever)
{
	struct worker w = {
	    .first = first, .pages = pages, .random = first * 2 + 1, .at = address_for(pages)};
	u64 i;

	w.version = pages_alloc((pages * sizeof(u32) + ABI_PAGE_SIZE - 1) / ABI_PAGE_SIZE);
	if (pages < HOT_PART || !w.version ||
	    map(object, (void *)w.at, pages, first, ABI_READ | ABI_WRITE))
		return 100;
	for (i = 0; i < pages; i++)
		visit(&w, i, true);
	for (i = 0; i < pages || (forever && !w.wrong); i++) {
		u64 r = next_random(&w.random), range = r % 16 ? pages / HOT_PART : pages;

		visit(&w, (r >> 8) % range, r >> 40 & 1);
	}
	for (i = 0; i < pages; i++)
		visit(&w, i, false);
	return w.wrong ? 1 : 0;
}

static void paged(void)
{
	u64 pages = 2 * (u64)info(INFO_FREE_PAGES, 0), part = pages / NR_WORKERS, i;
	s64 endpoint = endpoint_create(), send = handle_dup((u64)endpoint, RIGHT_SEND | RIGHT_DUP);
	s64 pager = task_create(programs, "packer", (u64)send, pages, 0), task[NR_WORKERS], from,
	    present;
	struct message m, none = {.word = {0}};
	int status;

	from = receive((u64)endpoint, &m, LIMIT_NS);
	WANT(pager > 0 && from > 0, 1);
	for (i = 0; i < NR_WORKERS; i++)
		task[i] = task_create(programs, "over", m.handle, part << 32 | i * part, WORKER);
	for (i = 0; i < NR_WORKERS; i++) {
		WANT(task_wait((u64)task[i], LIMIT_NS, &status), TASK_EXITED);
		WANT(status, 0);
	}
	present = info(INFO_OBJECT_PRESENT, m.handle);
	printf("%lu pages were used, %ld have memory\n", part * NR_WORKERS, present);
	handle_close(m.handle);
	WANT(reply((u64)from, &none), 0);
	WANT(task_wait((u64)pager, LIMIT_NS, &status), TASK_EXITED);
	WANT(status, 0);
}

/* ---- cases 2 and 3 ---- */

static s64 start_hog(u64 endpoint, u64 pages, enum hog_kind kind, u64 number)
{
	s64 task = task_create(programs, "hog", endpoint, pages, (seed + number) << 8 | kind);

	WANT(task > 0, 1);
	return task;
}

/* Three tasks want a sixth of the memory each, a fourth task wants more than all of it. */
static void anonymous(enum hog_kind kind)
{
	u64 all = (u64)info(INFO_FREE_PAGES, 0), i;
	s64 endpoint = endpoint_create(), send = handle_dup((u64)endpoint, RIGHT_SEND | RIGHT_DUP);
	s64 small[NR_SMALL], large, from[NR_SMALL];
	struct message m, none = {.word = {0}};
	int status = 0;

	for (i = 0; i < NR_SMALL; i++)
		small[i] = start_hog((u64)send, all / 6, HOG_MAPPED, i);
	large = start_hog((u64)send, all * 3 / 2, kind, i);
	WANT(task_wait((u64)large, LIMIT_NS, &status), TASK_KILLED);
	WANT(status, -ENOMEM);
	/* The small tasks may end only now: their memory was in use all the time. */
	for (i = 0; i < NR_SMALL; i++)
		from[i] = receive((u64)endpoint, &m, LIMIT_NS);
	for (i = 0; i < NR_SMALL; i++)
		WANT(reply((u64)from[i], &none), 0);
	for (i = 0; i < NR_SMALL; i++) {
		WANT(task_wait((u64)small[i], LIMIT_NS, &status), TASK_EXITED);
		WANT(status, 0);
	}
}

/* ---- cases 6 and 7 ---- */

/* @all_of_it: the pager has no store and all its pages are written to, so they stay. */
static void use_pager(bool all_of_it)
{
	u64 all = (u64)info(INFO_FREE_PAGES, 0);
	s64 endpoint = endpoint_create(), send = handle_dup((u64)endpoint, RIGHT_SEND | RIGHT_DUP);
	s64 pager = task_create(
	        programs, all_of_it ? "maker" : "pager", (u64)send, all * 3 / 5, PAGED_GOOD),
	    from, hog;
	u64 pages = all_of_it ? all * 3 / 5 : 6, i;
	volatile u64 *page = address_for(pages);
	struct message m, none = {.word = {0}};
	int status;

	from = receive((u64)endpoint, &m, LIMIT_NS);
	WANT(map(m.handle, (void *)page, pages, 0, ABI_READ | ABI_WRITE), 0);
	for (i = 0; i < pages; i++) {
		WANT(page[i * PACKED_WORDS], PAGED_WORD(i));
		if (all_of_it)
			page[i * PACKED_WORDS + 1] = i;
	}
	hog = start_hog(0, all_of_it ? all : all / 2, HOG_MAPPED, 0);
	if (!all_of_it) {
		WANT(task_wait((u64)pager, LIMIT_NS, &status), TASK_KILLED);
		WANT(status, -ENOMEM);
		WANT(task_wait((u64)hog, LIMIT_NS, &status), TASK_EXITED);
		WANT(status, 0);
		return;
	}
	WANT(task_wait((u64)hog, LIMIT_NS, &status), TASK_KILLED);
	WANT(status, -ENOMEM);
	for (i = 0; i < pages; i++) {
		WANT(page[i * PACKED_WORDS], PAGED_WORD(i));
		WANT(page[i * PACKED_WORDS + 1], i);
	}
	WANT(reply((u64)from, &none), 0);
	WANT(task_wait((u64)pager, LIMIT_NS, &status), TASK_EXITED);
	handle_close(m.handle);
}

/* ---- case 4 ---- */

static void too_much(void)
{
	u64 pages = 2 * (u64)info(INFO_FREE_PAGES, 0), i;
	volatile char *at = pages_alloc(pages);

	for (i = 0; at && i < pages; i++)
		at[i * ABI_PAGE_SIZE] = 1;
	printf("page %lu of %lu\n", i, pages);
}

/* ---- case 5 ---- */

/* The pager's pages are in use all the time, and early on a task wants too much. */
static void fuzzed(u64 calls)
{
	u64 pages = (u64)info(INFO_FREE_PAGES, 0), i;
	s64 endpoint = endpoint_create(), send = handle_dup((u64)endpoint, RIGHT_SEND | RIGHT_DUP);
	s64 pager = task_create(programs, "packer", (u64)send, pages, 0), worker, hog,
	    fuzz[NR_FUZZ], from;
	struct message m, none = {.word = {0}};
	int status;

	from = receive((u64)endpoint, &m, LIMIT_NS);
	WANT(pager > 0 && from > 0, 1);
	worker = task_create(programs, "over", m.handle, pages << 32, WORKER | FOREVER);
	hog = start_hog(0, pages * 3 / 2, HOG_MAPPED, 0);
	for (i = 0; i < NR_FUZZ; i++)
		fuzz[i] =
		    task_create(programs, "fuzz", m.handle, seed * NR_FUZZ + i, calls / NR_FUZZ);
	for (i = 0; i < NR_FUZZ; i++) {
		WANT(task_wait((u64)fuzz[i], ABI_WAIT_FOREVER, &status), TASK_EXITED);
		WANT(status, 0);
	}
	WANT(task_wait((u64)hog, LIMIT_NS, &status), TASK_KILLED);
	WANT(status, -ENOMEM);
	WANT(task_wait((u64)worker, 0, &status), -ETIMEDOUT);
	task_kill((u64)worker);
	WANT(task_wait((u64)worker, LIMIT_NS, &status), TASK_KILLED);
	handle_close(m.handle);
	WANT(reply((u64)from, &none), 0);
	WANT(task_wait((u64)pager, LIMIT_NS, &status), TASK_EXITED);
	WANT(status, 0);
}

int main(u64 handle, u64 arg0, u64 arg1)
{
	if (arg1 & WORKER)
		return work(handle, arg0 & 0xffffffff, arg0 >> 32, arg1 & FOREVER);
	programs = handle;
	seed = arg0;
	switch (arg1 & 0xff) {
	case 1: paged(); break;
	case 2: anonymous(HOG_MAPPED); break;
	case 3: anonymous(HOG_UNMAPPED); break;
	case 4: too_much(); return 99;
	case 5: fuzzed(arg1 >> 8); break;
	case 6: use_pager(true); break;
	case 7: use_pager(false); break;
	default: return 98;
	}
	printf("%d surprises\n", surprises);
	return surprises;
}
