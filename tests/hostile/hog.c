/* SPDX-License-Identifier: MIT */
/*
 * hog.c: a task that takes memory and verifies that the content stays.
 *
 * handle: an endpoint, or 0.  arg0: pages; arg1: their kind (enum hog_kind), and from bit 8 on a
 * seed.  It writes to each page, calls the endpoint, waits for the answer, and then reads all
 * mapped pages again.  The exit status is 0 if every word was as written, 1 if a word was not, and
 * 2 if the program failed before it could compare.
 */
#include "tests/hostile/hog.h"
#include "user/packed.h"

/*
 * Write each page through a mapping of one page, and unmap it again: only the handle keeps the
 * pages.
 */
static bool fill_unmapped(u64 pages, u32 seed)
{
	s64 object = object_create(pages);
	volatile u64 *window = address_for(1);
	u64 i;

	for (i = 0; object > 0 && i < pages; i++) {
		if (map((u64)object, (void *)window, 1, i, ABI_READ | ABI_WRITE))
			return false;
		packed_write(window, i, seed);
		unmap((void *)window, 1);
	}
	return object > 0;
}

int main(u64 handle, u64 pages, u64 arg1)
{
	u32 seed = (u32)(arg1 >> 8);
	struct message m = {.word = {1}};
	volatile u64 *at = NULL;
	u64 i, wrong = 0;

	if ((arg1 & 0xff) == HOG_UNMAPPED) {
		if (!fill_unmapped(pages, seed))
			return 2;
	} else {
		at = pages_alloc(pages);
		for (i = 0; at && i < pages; i++) {
			wrong += at[i * PACKED_WORDS] != 0; /* a new page must be zeroed */
			packed_write(at + i * PACKED_WORDS, i, seed);
		}
		if (!at)
			return 2;
	}
	if (handle && call(handle, &m, ABI_WAIT_FOREVER))
		return 2;
	for (i = 0; at && i < pages; i++)
		wrong += packed_check(at + i * PACKED_WORDS, i, seed) < PACKED_WORDS;
	printf("%lu pages, %lu of them wrong\n", pages, wrong);
	return wrong != 0;
}
