/* SPDX-License-Identifier: MIT */
/*
 * name: answers_only_gets
 * title: a request to clean is answered as if it asked for the page
 * layer: kernel
 */

static void serve(u64 arg)
{
	for (;;) {
		struct message m;
		s64 from = receive(endpoint, &m, ABI_WAIT_FOREVER);

		if (from < 0)
			exit(4);
		if (manner == PAGED_SILENT)
			continue;
		m = (struct message){.word = {get(m.word[1])}};
		reply((u64)from, &m);
	}
}

/*
 * name: cleans_the_first_page
 * title: every page that is cleaned is written to the start of the store
 * layer: kernel
 */

static u64 clean(u64 page)
{
	s64 err = pager_take_back(object, page, store);

	__atomic_fetch_add(err ? &failed : &taken_back, 1, __ATOMIC_RELAXED);
	return err ? ABI_PAGER_FAILED : ABI_PAGER_DONE;
}

/*
 * name: done_without_taking
 * title: a page is reported as clean, and what was written to it is not taken back
 * layer: kernel
 */

static u64 clean(u64 page)
{
	__atomic_fetch_add(&taken_back, 1, __ATOMIC_RELAXED);
	return ABI_PAGER_DONE;
}

/*
 * name: next_page_of_the_store
 * title: a page is supplied from the place behind its own
 * layer: kernel
 */

static u64 get(u64 page)
{
	s64 err;

	if (manner == PAGED_ODD_FAIL && page % 2)
		return ABI_PAGER_FAILED;
	if (manner == PAGED_LIES)
		return ABI_PAGER_DONE;
	if (manner == PAGED_DIES)
		exit(3);
	err = pager_supply(object, page, store + (page + 1) % pages * ABI_PAGE_SIZE);
	if (err == -ENOMEM)
		return ABI_PAGER_NO_MEMORY;
	return err && err != -EEXIST && err != -EAGAIN ? ABI_PAGER_FAILED : ABI_PAGER_DONE;
}

/*
 * name: reads_only
 * title: the receiver of the object may not write to it
 * layer: kernel
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

/*
 * name: serves_alone
 * title: the report is made by the one thread that would have to serve
 * layer: kernel
 */

int main(u64 handle, u64 arg0, u64 arg1)
{
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
	m.handle = (u64)handle_dup(object, RIGHT_READ | RIGHT_WRITE | RIGHT_DUP);
	err = call(handle, &m, ABI_WAIT_FOREVER);
	serve(0);
	return err ? 5 : 0;
}

/*
 * name: serves_once
 * title: a thread ends when it has answered one request
 * layer: kernel
 */

static void serve(u64 arg)
{
	struct message m;
	s64 from = receive(endpoint, &m, ABI_WAIT_FOREVER);

	if (from < 0)
		exit(4);
	if (manner == PAGED_SILENT)
		return;
	m = (struct message){
	    .word = {m.word[0] == ABI_PAGER_GET ? get(m.word[1]) : clean(m.word[1])}};
	reply((u64)from, &m);
}

/*
 * name: store_by_need
 * title: the store is not touched before the first request, and has no words in it
 * layer: kernel
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
