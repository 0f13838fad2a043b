/* SPDX-License-Identifier: MIT */
/*
 * title: the store is not touched before the first request, and has no words in it
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
	endpoint = (u64)endpoint_create();
	object =
	    (u64)pager_bind(endpoint, pages, 0, manner == PAGED_SILENT ? SHORT_NS : TIMEOUT_NS);
	for (i = 0; i < NR_SERVERS; i++)
		if (thread_start(&servers[i], serve, 0))
			return 2;
	m.handle = (u64)handle_dup(object, RIGHT_READ | RIGHT_WRITE | RIGHT_DUP);
	err = call(handle, &m, ABI_WAIT_FOREVER);
	return err ? 5 : 0;
}
