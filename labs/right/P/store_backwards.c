/* SPDX-License-Identifier: MIT */
/*
 * title: the store has the last page first
 * file: user/pager.c
 */

static char *place(u64 page)
{
	return store + (pages - 1 - page) * ABI_PAGE_SIZE;
}

static u64 get(u64 page)
{
	s64 err;

	if (manner == PAGED_DIES)
		exit(3);
	if (manner == PAGED_LIES)
		return ABI_PAGER_DONE;
	if (manner == PAGED_ODD_FAIL && page % 2)
		return ABI_PAGER_FAILED;
	err = pager_supply(object, page, place(page));
	if (!err)
		__atomic_fetch_add(&supplied, 1, __ATOMIC_RELAXED);
	if (!err || err == -EEXIST || err == -EAGAIN)
		return ABI_PAGER_DONE;
	if (err == -ENOMEM)
		return ABI_PAGER_NO_MEMORY;
	__atomic_fetch_add(&failed, 1, __ATOMIC_RELAXED);
	return ABI_PAGER_FAILED;
}

static u64 clean(u64 page)
{
	if (pager_take_back(object, page, place(page))) {
		__atomic_fetch_add(&failed, 1, __ATOMIC_RELAXED);
		return ABI_PAGER_FAILED;
	}
	__atomic_fetch_add(&taken_back, 1, __ATOMIC_RELAXED);
	return ABI_PAGER_DONE;
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
		*(u64 *)place(i) = PAGED_WORD(i);
	endpoint = (u64)endpoint_create();
	object =
	    (u64)pager_bind(endpoint, pages, 0, manner == PAGED_SILENT ? SHORT_NS : TIMEOUT_NS);
	for (i = 0; i < NR_SERVERS; i++)
		if (thread_start(&servers[i], serve, 0))
			return 2;
	m.handle = (u64)handle_dup(object, RIGHT_READ | RIGHT_WRITE | RIGHT_DUP);
	err = call(handle, &m, ABI_WAIT_FOREVER);
	printf("%lu pages supplied, %lu taken back, %lu times not\n", supplied, taken_back, failed);
	return err ? 5 : 0;
}
