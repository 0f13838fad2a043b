/* SPDX-License-Identifier: MIT */
/*
 * maker.c: a pager without a store: it makes each page on request, and takes none back.
 *
 * handle: an endpoint to report to, as pager.c does: word 0 is 1, and the object comes with it; the
 * answer ends the program.  arg0: pages of the object.
 */
#include "user/paged.h"

static u64 object;

/* Report to @to; the answer ends the program. */
static void report(u64 to)
{
	const unsigned rights = RIGHT_DUP | RIGHT_WRITE | RIGHT_READ;
	struct message m = {.handle = (u64)handle_dup(object, rights), .word = {1}};

	exit(call(to, &m, ABI_WAIT_FOREVER) ? 5 : 0);
}

/* Make page @nr in the buffer @at and supply it; returns the answer to the kernel. */
static u64 make(u64 nr, u64 *at)
{
	*at = PAGED_WORD(nr);
	switch (pager_supply(object, nr, (char *)at)) {
	case 0:
	case -EAGAIN: /* another task has supplied it */
	case -EEXIST: return ABI_PAGER_DONE;
	case -ENOMEM: return ABI_PAGER_NO_MEMORY;
	default: return ABI_PAGER_FAILED;
	}
}

int main(u64 handle, u64 arg0, u64 arg1)
{
	static struct thread reporter;
	u64 requests = (u64)endpoint_create(), *page = (u64 *)pages_alloc(1);
	struct message m;
	s64 who;

	object = (u64)pager_bind(requests, arg0, 0, 2000000000UL);
	if (!page || thread_start(&reporter, report, handle))
		return 2;
	while ((who = receive(requests, &m, ABI_WAIT_FOREVER)) > 0) {
		u64 answer = ABI_PAGER_FAILED;

		if (m.word[0] == ABI_PAGER_GET)
			answer = make(m.word[1], page);
		m = (struct message){.word = {answer}};
		reply((u64)who, &m);
	}
	return 4;
}
