/* SPDX-License-Identifier: MIT */
/*
 * paged.c: uses memory that a pager supplies: a good pager, and four bad pagers.
 *
 * handle: the capability to start programs.  For each manner the program starts a pager and maps
 * its object.  Another task of this program (handle: the object; arg0: the page) touches a page
 * that cannot be supplied, and must end by a fault.  A system call that reads such a page returns
 * -EFAULT.  The exit status is the number of wrong results.
 */
#include "paged.h"

#define NR_PAGES   64
#define NR_THREADS 8
#define LIMIT_NS   (60 * NS_PER_S)

static u64 programs;
static int surprises;
static volatile u64 *memory; /* the object's pages are mapped from here on */

static void want(int line, s64 have, s64 wanted)
{
	if (have == wanted)
		return;
	printf("paged.c:%d: %ld, not %ld\n", line, have, wanted);
	surprises++;
}
#define WANT(call, wanted) want(__LINE__, (call), (wanted))

struct service {
	s64 task, endpoint, from, object;
};

/* Start a pager, and map its object at `memory`. */
static bool begin(struct service *s, enum paged_manner manner)
{
	struct message m;
	s64 send;

	s->endpoint = endpoint_create();
	send = handle_dup((u64)s->endpoint, RIGHT_SEND | RIGHT_DUP);
	s->task = task_create(programs, "pager", (u64)send, NR_PAGES, manner);
	handle_close((u64)send);
	s->from = receive((u64)s->endpoint, &m, LIMIT_NS);
	s->object = (s64)m.handle;
	memory = address_for(NR_PAGES);
	WANT(s->task > 0, 1);
	WANT(s->from > 0, 1);
	if (s->from <= 0)
		return false;
	WANT(info(INFO_RIGHTS, (u64)s->object), RIGHT_READ | RIGHT_WRITE | RIGHT_DUP);
	WANT(map((u64)s->object, (void *)memory, NR_PAGES, 0, ABI_READ | ABI_WRITE), 0);
	return true;
}

static void end(struct service *s, int wanted)
{
	struct message m = {.word = {0}};
	int status = -1;

	WANT(unmap((void *)memory, NR_PAGES), 0);
	handle_close((u64)s->object);
	reply((u64)s->from, &m);
	WANT(task_wait((u64)s->task, LIMIT_NS, &status), TASK_EXITED);
	WANT(status, wanted);
	handle_close((u64)s->task);
	handle_close((u64)s->endpoint);
}

static volatile u64 *page(u64 i)
{
	return memory + i * (ABI_PAGE_SIZE / sizeof(*memory));
}

/* Touch the page in another task, which must end as @how. */
static void touch_elsewhere(const struct service *s, u64 i, enum task_end how)
{
	s64 task = task_create(programs, "paged", (u64)s->object, i, 1);
	int status;

	WANT(task_wait((u64)task, LIMIT_NS, &status), how);
	handle_close((u64)task);
}

static s64 write_from(const volatile void *at)
{
	return sys(SYS_DEBUG_WRITE, (u64)at, 1, 0, 0, 0);
}

static u32 threads_wrong;

static void read_all(u64 arg)
{
	u64 i;

	for (i = 0; i < NR_PAGES; i++)
		if (page(i)[0] != PAGED_WORD(i) || page(i)[511] != 0)
			__atomic_fetch_add(&threads_wrong, 1, __ATOMIC_RELAXED);
}

/* All threads touch the same pages at the same time; each page is supplied once. */
static void good_pager(void)
{
	static struct thread threads[NR_THREADS];
	struct service s;
	u64 i;

	if (!begin(&s, PAGED_GOOD))
		return;
	WANT(info(INFO_OBJECT_PRESENT, (u64)s.object), 0);
	for (i = 0; i < NR_THREADS; i++)
		WANT(thread_start(&threads[i], read_all, i), 0);
	for (i = 0; i < NR_THREADS; i++)
		thread_join(&threads[i]);
	WANT(threads_wrong, 0);
	WANT(info(INFO_OBJECT_PRESENT, (u64)s.object), NR_PAGES);
	for (i = 0; i < NR_PAGES; i++)
		page(i)[1] = ~i;
	for (i = 0; i < NR_PAGES; i++)
		WANT(page(i)[0] == PAGED_WORD(i) && page(i)[1] == ~i, 1);
	/* Another task sees the same page. */
	touch_elsewhere(&s, 5, TASK_EXITED);
	end(&s, 0);
}

static void pager_without_odd_pages(void)
{
	struct service s;

	if (!begin(&s, PAGED_ODD_FAIL))
		return;
	WANT(page(2)[0] == PAGED_WORD(2), 1);
	touch_elsewhere(&s, 3, TASK_FAULTED);
	WANT(write_from(page(3)), -EFAULT);
	WANT(write_from(page(4)), 0);
	end(&s, 0);
}

static void bad_pager(enum paged_manner manner, int status)
{
	struct service s;

	if (!begin(&s, manner))
		return;
	touch_elsewhere(&s, 1, TASK_FAULTED);
	WANT(write_from(page(2)), -EFAULT);
	end(&s, status);
}

int main(u64 handle, u64 arg0, u64 arg1)
{
	if (arg1) {
		memory = address_for(NR_PAGES);
		if (map(handle, (void *)memory, NR_PAGES, 0, ABI_READ))
			return 9;
		return page(arg0)[0] == PAGED_WORD(arg0) ? 0 : 8;
	}
	programs = handle;
	good_pager();
	pager_without_odd_pages();
	bad_pager(PAGED_LIES, 0);
	bad_pager(PAGED_SILENT, 0);
	bad_pager(PAGED_DIES, 3);
	printf("%d surprises\n", surprises);
	return surprises;
}
