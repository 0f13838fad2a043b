/* SPDX-License-Identifier: MIT */
/*
 * pager_test.c: lab P: tests of a pager's promises, by tasks that use its pages.
 *
 * handle: the capability to start programs.  arg1: 0, or the number of the one test to run.  Each
 * test is a task of its own, so a test that faults or hangs does not stop the others.  Prints lines
 * "ok NAME", "not ok NAME: why" and "hangs NAME"; the exit status is the number of tests that are
 * not ok.
 */
#include "packed.h"
#include "paged.h"

#define NR_PAGES   64
#define NR_THREADS 8
#define LIMIT_NS   (20 * NS_PER_S) /* for one step of a pager */
#define TEST_NS    (200 * NS_PER_S)
#define TEST       (1UL << 32) /* in arg1: run this test */
#define TOUCH      (2UL << 32) /* touch page arg0 of the object @handle */
#define STATUS_LIE 8           /* exit status of a task that touched a page with wrong content */
/* Exit statuses of a pager. */
#define STATUS_START   2
#define STATUS_RECEIVE 4
#define STATUS_CALL    5

static u64 programs, nr_pages = NR_PAGES;
static int failures;
static volatile u64 *memory; /* the object's pages are mapped from here on */

static void expect(const char *what, s64 have, s64 want)
{
	if (have == want)
		return;
	printf("expected %s == %ld, got %ld\n", what, want, have);
	failures++;
}
#define EXPECT(have, want) expect(#have, (s64)(have), (s64)(want))

/* ---- a pager, and its pages ---- */

struct service {
	s64 task, endpoint, from, object;
};

static bool start(
    struct service *s, const char *name, enum paged_manner manner, const struct abi_limits *limits)
{
	s64 send;

	s->endpoint = endpoint_create();
	send = handle_dup((u64)s->endpoint, RIGHT_SEND | RIGHT_DUP);
	s->task = task_create_limited(programs, name, (u64)send, nr_pages, manner, limits);
	handle_close((u64)send);
	if (s->task > 0)
		return true;
	printf("the pager is not started: error %ld\n", s->task);
	failures++;
	return false;
}

/* Start a pager, and map its object at `memory`. */
static bool begin_named(struct service *s, const char *name, enum paged_manner manner)
{
	struct message m;
	s64 mapped;

	if (!start(s, name, manner, NULL))
		return false;
	s->from = receive((u64)s->endpoint, &m, LIMIT_NS);
	if (s->from <= 0) {
		printf("no report from the pager: error %ld\n", s->from);
		failures++;
		return false;
	}
	EXPECT(m.word[0], 1);
	s->object = (s64)m.handle;
	EXPECT(info(INFO_OBJECT_PAGES, (u64)s->object), nr_pages);
	memory = address_for(nr_pages);
	mapped = map((u64)s->object, (void *)memory, nr_pages, 0, ABI_READ | ABI_WRITE);
	EXPECT(mapped, 0);
	return mapped == 0;
}

static bool begin(struct service *s, enum paged_manner manner)
{
	return begin_named(s, "pager", manner);
}

static void expect_exit(const struct service *s, int wanted)
{
	int status = -1;
	s64 how = task_wait((u64)s->task, LIMIT_NS, &status);

	EXPECT(how, TASK_EXITED);
	EXPECT(status, wanted);
}

/* Answer the pager's report, which ends the pager; or let its call fail (STATUS_CALL). */
static void end(struct service *s, int wanted)
{
	struct message m = {.word = {0}};

	EXPECT(unmap((void *)memory, nr_pages), 0);
	handle_close((u64)s->object);
	if (wanted == STATUS_CALL)
		handle_close((u64)s->from);
	else
		reply((u64)s->from, &m);
	expect_exit(s, wanted);
}

static volatile u64 *page(u64 i)
{
	return memory + i * PACKED_WORDS;
}

/* Touch the page in another task, which must end as @wanted, with the status @with. */
static void touch_elsewhere(const struct service *s, u64 i, enum task_end wanted, int with)
{
	s64 task = task_create(programs, "pager_test", (u64)s->object, i, TOUCH);
	int status = 0;
	s64 how = task_wait((u64)task, LIMIT_NS, &status);

	EXPECT(how, wanted);
	if (how == TASK_EXITED)
		EXPECT(status, with);
	handle_close((u64)task);
}

static int touch(u64 object, u64 i)
{
	memory = address_for(NR_PAGES);
	if (map(object, (void *)memory, NR_PAGES, 0, ABI_READ))
		return 9;
	return page(i)[0] == PAGED_WORD(i) ? 0 : STATUS_LIE;
}

/* Let the kernel read the byte at @at. */
static s64 write_from(const volatile void *at)
{
	return sys(SYS_DEBUG_WRITE, (u64)at, 1, 0, 0, 0);
}

/* ---- the tests ---- */

static void pages_begin_with_their_word(void)
{
	struct service s;
	u64 i;

	if (!begin(&s, PAGED_GOOD))
		return;
	for (i = 0; i < NR_PAGES; i++) {
		EXPECT(page(i)[0], PAGED_WORD(i));
		EXPECT(page(i)[1], 0);
		EXPECT(page(i)[PACKED_WORDS - 1], 0);
	}
	EXPECT(info(INFO_OBJECT_PRESENT, (u64)s.object), NR_PAGES);
	end(&s, 0);
}

static u32 threads_wrong;

static void read_all(u64 arg)
{
	u64 i;

	for (i = 0; i < NR_PAGES; i++)
		if (page(i)[0] != PAGED_WORD(i) || page(i)[PACKED_WORDS - 1] != 0)
			__atomic_fetch_add(&threads_wrong, 1, __ATOMIC_RELAXED);
}

static void threads_touch_the_same_pages(void)
{
	static struct thread threads[NR_THREADS];
	struct service s;
	u64 i;

	if (!begin(&s, PAGED_GOOD))
		return;
	for (i = 0; i < NR_THREADS; i++)
		EXPECT(thread_start(&threads[i], read_all, i), 0);
	for (i = 0; i < NR_THREADS; i++)
		thread_join(&threads[i]);
	EXPECT(threads_wrong, 0);
	end(&s, 0);
}

static void other_tasks_see_the_same_page(void)
{
	struct service s;

	if (!begin(&s, PAGED_GOOD))
		return;
	touch_elsewhere(&s, 5, TASK_EXITED, 0);
	page(6)[0] = 0;
	touch_elsewhere(&s, 6, TASK_EXITED, STATUS_LIE);
	EXPECT(page(7)[0], PAGED_WORD(7));
	end(&s, 0);
}

/* Users may map the object and pass it on; only the pager supplies pages. */
static void only_the_pager_may_supply(void)
{
	static u64 other[PACKED_WORDS];
	struct service s;

	if (!begin(&s, PAGED_GOOD))
		return;
	EXPECT(info(INFO_RIGHTS, (u64)s.object), RIGHT_READ | RIGHT_WRITE | RIGHT_DUP);
	EXPECT(pager_supply((u64)s.object, 3, other), -EACCES);
	end(&s, 0);
}

static void odd_pages_are_refused(void)
{
	struct service s;

	if (!begin(&s, PAGED_ODD_FAIL))
		return;
	EXPECT(page(2)[0], PAGED_WORD(2));
	touch_elsewhere(&s, 3, TASK_FAULTED, 0);
	EXPECT(write_from(page(3)), -EFAULT);
	EXPECT(write_from(page(4)), 0);
	end(&s, 0);
}

/* Returns for how long the kernel has waited for a page. */
static u64 bad_pager(enum paged_manner manner, int status)
{
	struct service s;
	u64 waited;

	if (!begin(&s, manner))
		return 0;
	touch_elsewhere(&s, 1, TASK_FAULTED, 0);
	waited = clock_ns();
	EXPECT(write_from(page(2)), -EFAULT);
	waited = clock_ns() - waited;
	end(&s, status);
	return waited;
}

static void a_lie_is_seen_through(void)
{
	bad_pager(PAGED_LIES, 0);
}

static void silence_ends_after_the_timeout(void)
{
	u64 waited = bad_pager(PAGED_SILENT, 0);

	EXPECT(waited >= NS_PER_S / 10, 1);
	EXPECT(waited < 5 * NS_PER_S, 1);
}

static void a_request_may_end_the_pager(void)
{
	bad_pager(PAGED_DIES, 3);
}

/* A pager that may have one more thread only, or that has too many pages, makes no report. */
static void exit_status_says_what_failed(void)
{
	struct abi_limits limits;
	struct service s;
	u64 i;

	for (i = 0; i < NR_LIMITS; i++)
		limits.limit[i] = ABI_LIMIT_INHERIT;
	limits.limit[LIMIT_THREADS] = 2;
	if (start(&s, "pager", PAGED_GOOD, &limits))
		expect_exit(&s, STATUS_START);
	nr_pages = ABI_MAX_PAGES + 1;
	if (start(&s, "pager", PAGED_GOOD, NULL))
		expect_exit(&s, STATUS_START);
	nr_pages = NR_PAGES;
	if (begin(&s, PAGED_GOOD))
		end(&s, STATUS_CALL);
}

/* The pager's system calls return what returns.h says. */
static void answers_fit_the_results(void)
{
	struct service s;
	u64 i;

	for (i = PAGED_GOOD + 1; i < NR_PAGED; i++)
		if (begin_named(&s, "pager_returns", (enum paged_manner)i))
			end(&s, 0);
	if (!begin_named(&s, "pager_returns", PAGED_GOOD))
		return;
	for (i = 0; i < NR_PAGES - 1; i++)
		EXPECT(page(i)[0], PAGED_WORD(i));
	/* After this request none is received; the pager may end before it answers. */
	handle_close((u64)task_create(programs, "pager_test", (u64)s.object, NR_PAGES - 1, TOUCH));
	expect_exit(&s, STATUS_RECEIVE);
}

/* Zero is content, too. */
static u64 written(u64 i)
{
	return i % 2 ? ~i : 0;
}

/* The pager's store and the object's pages exceed the free memory, so some pages are taken back. */
static void what_was_written_comes_back(void)
{
	struct service s;
	u64 i, present;

	nr_pages = (u64)info(INFO_FREE_PAGES, 0) / 3 * 2;
	if (!begin(&s, PAGED_GOOD))
		return;
	for (i = 0; i < nr_pages; i++) {
		EXPECT(page(i)[0], PAGED_WORD(i));
		page(i)[0] = written(i);
		page(i)[PACKED_WORDS - 1] = i;
	}
	present = (u64)info(INFO_OBJECT_PRESENT, (u64)s.object);
	EXPECT(present < nr_pages, 1);
	for (i = 0; i < nr_pages && failures < 4; i++) {
		EXPECT(page(i)[0], written(i));
		EXPECT(page(i)[PACKED_WORDS - 1], i);
	}
	end(&s, 0);
}

static const struct {
	const char *name;
	void (*fn)(void);
} tests[] = {
    {"pages_begin_with_their_word", pages_begin_with_their_word},
    {"threads_touch_the_same_pages", threads_touch_the_same_pages},
    {"other_tasks_see_the_same_page", other_tasks_see_the_same_page},
    {"only_the_pager_may_supply", only_the_pager_may_supply},
    {"odd_pages_are_refused", odd_pages_are_refused},
    {"a_lie_is_seen_through", a_lie_is_seen_through},
    {"silence_ends_after_the_timeout", silence_ends_after_the_timeout},
    {"a_request_may_end_the_pager", a_request_may_end_the_pager},
    {"exit_status_says_what_failed", exit_status_says_what_failed},
    {"answers_fit_the_results", answers_fit_the_results},
    {"what_was_written_comes_back", what_was_written_comes_back},
};

/* Run a test; true: it is ok. */
static bool run(u64 i)
{
	const char *name = tests[i].name;
	int status = -1;
	s64 task, how;

	printf("begin %s\n", name);
	task = task_create(programs, "pager_test", programs, 0, TEST | i);
	how = task_wait((u64)task, TEST_NS, &status);
	if (how == -ETIMEDOUT) {
		task_kill((u64)task);
		task_wait((u64)task, TEST_NS, &status);
		printf("hangs %s\n", name);
	} else if (how == TASK_EXITED && status == 0) {
		printf("ok %s\n", name);
	} else {
		printf("not ok %s: %s\n", name,
		    how == TASK_FAULTED ? "a page was not supplied" : "see above");
	}
	handle_close((u64)task);
	return how == TASK_EXITED && status == 0;
}

int main(u64 handle, u64 arg0, u64 arg1)
{
	u64 i;
	int failed = 0;

	programs = handle;
	if (arg1 & TOUCH)
		return touch(handle, arg0);
	if (arg1 & TEST) {
		tests[arg1 & ~TEST].fn();
		return failures != 0;
	}
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		if (!arg1 || arg1 == i + 1)
			failed += !run(i);
	printf("%d of %lu not ok\n", failed, arg1 ? 1UL : (unsigned long)ARRAY_SIZE(tests));
	return failed;
}
