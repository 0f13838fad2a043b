/* SPDX-License-Identifier: MIT */
/*
 * title: the receiver of the object may not write to it
 * layer: kernel
 * file: user/pager.c
 */

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
	for (i = 0; i < NR_SERVERS; i++)
		if (thread_start(&servers[i], serve, 0))
			return 2;
	m.handle = (u64)handle_dup(object, RIGHT_READ);
	err = call(handle, &m, ABI_WAIT_FOREVER);
	printf("%lu pages supplied, %lu taken back, %lu times not\n", supplied, taken_back, failed);
	return err ? 5 : 0;
}
