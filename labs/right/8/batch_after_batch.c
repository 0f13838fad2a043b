/* SPDX-License-Identifier: MIT */
/*
 * title: each batch is tried to its end before the next; pages are put one by one
 * file: mm/move/migrate.c
 */

static void release(struct migrate_list *l, struct page *page, int err)
{
	if (err == 0) {
		MM_EVENT(l->mem, MIGRATE_OK);
		l->stats->moved += 1;
	}
	l->done[0] = page;
	l->nr_done = 1;
	put_done(l);
}

static bool settle(struct migrate_list *l, struct page *page, unsigned pass, int err)
{
	bool last = pass >= MIGRATE_PASSES - 1;

	if (err == -ENOENT || !err) {
		release(l, page, err);
		return false;
	}
	if (err == -EAGAIN && !last) {
		MM_EVENT(l->mem, MIGRATE_AGAIN);
		return true;
	}
	if (l->fail && !l->failed)
		*l->fail =
		    (struct mm_fail){.pfn = page_to_pfn_in(l->mem, page), .why = migrate_why(err)};
	l->failed++;
	if (err == -ENOMEM)
		l->stats->no_target = true;
	MM_EVENT(l->mem, MIGRATE_FAIL);
	l->kind->putback(l->mem, page);
	return false;
}

static unsigned migrate_list(struct migrate_list *l)
{
	int err[MIGRATE_BATCH];

	while (l->left > 0) {
		unsigned nr = MIN(l->left, MIGRATE_BATCH + 0u), pass = 0;
		struct page **pages = l->pages + (l->left -= nr);

		while (nr) {
			unsigned i, kept = 0;

			l->kind->move(l->mem, pages, nr, l->to, err);
			for (i = 0; i < nr; i++)
				if (settle(l, pages[i], pass, err[i]))
					pages[kept++] = pages[i];
			if ((nr = kept))
				thread_yield();
			pass++;
		}
	}
	return l->failed;
}
