/* SPDX-License-Identifier: MIT */
/*
 * title: results and requests are told apart by switches
 * file: user/pager.c
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
