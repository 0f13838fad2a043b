/* SPDX-License-Identifier: MIT */
/*
 * title: four threads serve; the store is filled from its end
 * file: user/pager.c
 */

#define FOUR 4

int main(u64 handle, u64 arg0, u64 arg1)
{
	static struct thread servers[FOUR];
	struct message m;
	u64 i, limit;
	s64 err;

	pages = arg0;
	manner = arg1;
	limit = manner == PAGED_SILENT ? SHORT_NS : TIMEOUT_NS;
	store = pages_alloc(pages);
	if (!store)
		return 2;
	for (i = pages; i-- > 0;)
		*(u64 *)(store + i * ABI_PAGE_SIZE) = PAGED_WORD(i);
	endpoint = (u64)endpoint_create();
	object = (u64)pager_bind(endpoint, pages, 0, limit);
	for (i = 0; i < FOUR; i++) {
		if (thread_start(&servers[i], serve, 0))
			return 2;
	}
	m = (struct message){.word = {1}};
	m.handle = (u64)handle_dup(object, RIGHT_READ | RIGHT_WRITE | RIGHT_DUP);
	err = call(handle, &m, ABI_WAIT_FOREVER);
	printf("%lu pages supplied, %lu taken back, %lu times not\n", supplied, taken_back, failed);
	return err ? 5 : 0;
}
