/* SPDX-License-Identifier: MIT */
/*
 * pager.c: a pager whose store is memory of its own.
 *
 * handle: an endpoint to report to.  arg0: pages of the object; arg1: the manner (paged.h).  The
 * pager reports by one call: word 0 is 1, and the object comes with it; the answer ends the
 * program.  Page i begins with PAGED_WORD(i), and the rest is zero, until it is written to.
 *
 * The store is touched before the first request: a pager that needs memory to free memory would
 * wait for itself.  For the same reason it serves with two threads.
 */
#include "paged.h"

#define NR_SERVERS 2
#define TIMEOUT_NS (5 * NS_PER_S)
#define SHORT_NS   (100 * NS_PER_MS)

static char *store;
static u64 endpoint, object, pages, manner;
static u64 supplied, taken_back, failed;

static u64 get(u64 page)
{
	s64 err;

	if (manner == PAGED_ODD_FAIL && page % 2)
		return ABI_PAGER_FAILED;
	if (manner == PAGED_LIES)
		return ABI_PAGER_DONE;
	if (manner == PAGED_DIES)
		exit(3);
	err = pager_supply(object, page, store + page * ABI_PAGE_SIZE);
	if (err == -ENOMEM)
		return ABI_PAGER_NO_MEMORY;
	if (err == -EEXIST || err == -EAGAIN)
		return ABI_PAGER_DONE; /* the page is supplied */
	__atomic_fetch_add(err ? &failed : &supplied, 1, __ATOMIC_RELAXED);
	return err ? ABI_PAGER_FAILED : ABI_PAGER_DONE;
}

static u64 clean(u64 page)
{
	s64 err = pager_take_back(object, page, store + page * ABI_PAGE_SIZE);

	__atomic_fetch_add(err ? &failed : &taken_back, 1, __ATOMIC_RELAXED);
	return err ? ABI_PAGER_FAILED : ABI_PAGER_DONE;
}

static void serve(u64 arg)
{
	for (;;) {
		struct message m;
		s64 from = receive(endpoint, &m, ABI_WAIT_FOREVER);

		if (from < 0)
			exit(4);
		if (manner == PAGED_SILENT)
			continue; /* the handle to answer by stays open */
		m = (struct message){
		    .word = {m.word[0] == ABI_PAGER_GET ? get(m.word[1]) : clean(m.word[1])}};
		reply((u64)from, &m); /* -EPIPE: the caller has timed out */
	}
}

int main(u64 handle, u64 arg0, u64 arg1)
{
	static struct thread servers[NR_SERVERS];
	struct message m = {.word = {1}};
	u64 i;
	s64 err;

	pages = arg0;
	manner = arg1;
	store = pages_alloc(pages);
	if (!store)
		return 2;
	for (i = 0; i < pages; i++)
		*(u64 *)(store + i * ABI_PAGE_SIZE) = PAGED_WORD(i);
	endpoint = (u64)endpoint_create();
	object =
	    (u64)pager_bind(endpoint, pages, 0, manner == PAGED_SILENT ? SHORT_NS : TIMEOUT_NS);
	if ((s64)object < 0)
		return 2;
	for (i = 0; i < NR_SERVERS; i++)
		if (thread_start(&servers[i], serve, 0))
			return 2;
	/* The receiver may map the object, and pass it on; only this task serves it. */
	m.handle = (u64)handle_dup(object, RIGHT_READ | RIGHT_WRITE | RIGHT_DUP);
	err = call(handle, &m, ABI_WAIT_FOREVER);
	printf("%lu pages supplied, %lu taken back, %lu times not\n", supplied, taken_back, failed);
	return err ? 5 : 0;
}
