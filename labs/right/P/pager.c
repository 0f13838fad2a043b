/* SPDX-License-Identifier: MIT */
/*
 * name: by_switch
 * title: results and requests are told apart by switches
 */

static u64 get(u64 page)
{
	switch (manner) {
	case PAGED_ODD_FAIL:
		if (page & 1)
			return ABI_PAGER_FAILED;
		break;
	case PAGED_LIES: return ABI_PAGER_DONE;
	case PAGED_DIES: exit(3);
	default: break;
	}
	switch (pager_supply(object, page, store + page * ABI_PAGE_SIZE)) {
	case 0: __atomic_fetch_add(&supplied, 1, __ATOMIC_RELAXED); return ABI_PAGER_DONE;
	case -EEXIST:
	case -EAGAIN: return ABI_PAGER_DONE;
	case -ENOMEM: return ABI_PAGER_NO_MEMORY;
	default: __atomic_fetch_add(&failed, 1, __ATOMIC_RELAXED); return ABI_PAGER_FAILED;
	}
}

static void serve(u64 arg)
{
	struct message m;
	u64 answer;
	s64 from;

	while ((from = receive(endpoint, &m, ABI_WAIT_FOREVER)) >= 0) {
		if (manner == PAGED_SILENT)
			continue;
		switch (m.word[0]) {
		case ABI_PAGER_GET: answer = get(m.word[1]); break;
		default: answer = clean(m.word[1]); break;
		}
		m = (struct message){.word = {answer}};
		reply((u64)from, &m);
	}
	exit(4);
}

/*
 * name: four_servers
 * title: four threads serve; the store is filled from its end
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

/*
 * name: store_backwards
 * title: the store has the last page first
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
