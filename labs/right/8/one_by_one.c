/* SPDX-License-Identifier: MIT */
/*
 * title: pages are moved one at a time; each is put by itself
 * file: mm/move/migrate.c
 */

static bool settle(struct migrate_list *l, struct page *page, unsigned pass, int err)
{
	switch (err) {
	case -EAGAIN:
		if (pass + 1 < MIGRATE_PASSES) {
			l->stats->retries++;
			MM_EVENT(l->mem, MIGRATE_AGAIN);
			return true;
		}
		break;
	case 0:
		l->stats->moved++;
		MM_EVENT(l->mem, MIGRATE_OK);
		l->stats->at_try[MIN(pass, ARRAY_SIZE(l->stats->at_try) - 1)]++;
		mem_put_page(l->mem, page);
		return false;
	case -ENOENT: mem_put_page(l->mem, page); return false;
	default: break;
	}
	if (err == -ENOMEM)
		l->stats->no_target = true;
	if (l->failed == 0)
		mm_fail(l->fail, page_to_pfn_in(l->mem, page), migrate_why(err), err);
	l->failed++;
	MM_EVENT(l->mem, MIGRATE_FAIL);
	l->kind->putback(l->mem, page);
	return false;
}

static unsigned migrate_list(struct migrate_list *l)
{
	unsigned pass, i, again;
	int err;

	for (pass = 0; l->left > 0; pass++) {
		again = 0;
		for (i = 0; i < l->left; i++) {
			l->kind->move(l->mem, l->pages + i, 1, l->to, &err);
			if (settle(l, l->pages[i], pass, err))
				l->pages[again++] = l->pages[i];
		}
		l->left = again;
		if (again)
			thread_yield();
	}
	return l->failed;
}
