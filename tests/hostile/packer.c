/* SPDX-License-Identifier: MIT */
/*
 * packer.c: a pager for more pages than the machine has.  It keeps the version of each page
 * (packed.h), makes the content again on request, and verifies every word of a page that it takes
 * back.  It does not take a page that is being written.
 *
 * handle: an endpoint to report to.  arg0: pages of the object.  It reports by one call: word 0 is
 * 1, and the object comes with it.  The answer ends the program; its status is 0 if every page that
 * came back was correct.
 *
 * Like pager.c it allocates its memory before it serves, and serves with two threads.
 */
#include "user/packed.h"

#define NR_SERVERS 2u
#define TIMEOUT_NS (10 * NS_PER_S)

static u64 endpoint, object, pages;
static u32 *version;
static u64 supplied, again, taken_back, failed, half, wrong;

static u64 get(u64 index, u64 *page)
{
	s64 err;

	packed_write(page, index, version[index]);
	err = pager_supply(object, index, page);
	if (err == -ENOMEM)
		return ABI_PAGER_NO_MEMORY;
	__atomic_fetch_add(err ? &again : &supplied, 1, __ATOMIC_RELAXED);
	return !err || err == -EEXIST || err == -EAGAIN ? ABI_PAGER_DONE : ABI_PAGER_FAILED;
}

/*
 * Does the page have the previous version from word @i on? Then a task is writing it, or was killed
 * while it wrote: the page cannot be kept as one number.
 */
static bool half_written(const u64 *page, u64 index, u64 i)
{
	u32 before = (u32)page[0] - 1;

	while (i < PACKED_WORDS && page[i] == packed_word(index, before, i))
		i++;
	return i == PACKED_WORDS;
}

static u64 clean(u64 index, u64 *page)
{
	u64 i;

	if (pager_take_back(object, index, page)) {
		__atomic_fetch_add(&failed, 1, __ATOMIC_RELAXED);
		return ABI_PAGER_FAILED;
	}
	i = packed_check(page, index, (u32)page[0]);
	if (i < PACKED_WORDS && half_written(page, index, i)) {
		__atomic_fetch_add(&half, 1, __ATOMIC_RELAXED);
		return ABI_PAGER_FAILED;
	}
	if (i < PACKED_WORDS) {
		__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
		printf("page %lu came back wrong: word %lu is %lx\n", index, i, page[i]);
		return ABI_PAGER_FAILED;
	}
	__atomic_store_n(&version[index], (u32)page[0], __ATOMIC_RELEASE);
	__atomic_fetch_add(&taken_back, 1, __ATOMIC_RELAXED);
	return ABI_PAGER_DONE;
}

static void serve(u64 buffer)
{
	for (;;) {
		struct message m;
		s64 from = receive(endpoint, &m, ABI_WAIT_FOREVER);

		if (from < 0)
			exit(4);
		m = (struct message){
		    .word = {m.word[0] == ABI_PAGER_GET ? get(m.word[1], (u64 *)buffer)
		                                        : clean(m.word[1], (u64 *)buffer)}};
		reply((u64)from, &m); /* -EPIPE: the caller has timed out */
	}
}

int main(u64 handle, u64 arg0, u64 arg1)
{
	static u64 buffer[NR_SERVERS][PACKED_WORDS];
	static struct thread servers[NR_SERVERS];
	struct message m = {.word = {1}};
	u64 i;
	s64 err;

	pages = arg0;
	version = pages_alloc((pages * sizeof(*version) + ABI_PAGE_SIZE - 1) / ABI_PAGE_SIZE);
	if (!version)
		return 2;
	memset(version, 0, pages * sizeof(*version));
	memset(buffer, 0, sizeof(buffer));
	endpoint = (u64)endpoint_create();
	object = (u64)pager_bind(endpoint, pages, 0, TIMEOUT_NS);
	for (i = 0; i < NR_SERVERS; i++)
		if (thread_start(&servers[i], serve, (u64)buffer[i]))
			return 2;
	m.handle = (u64)handle_dup(object, RIGHT_READ | RIGHT_WRITE | RIGHT_DUP);
	err = call(handle, &m, ABI_WAIT_FOREVER);
	printf("%lu pages: %lu supplied, %lu taken back, %lu not needed, %lu too late, "
	       "%lu half written, %lu wrong\n",
	    pages, supplied, taken_back, again, failed, half, wrong);
	return err ? 5 : wrong ? 6 : 0;
}
