/* SPDX-License-Identifier: MIT */
/*
 * name: batch_after_batch
 * title: each batch is tried to its end before the next; pages are put one by one
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

/*
 * name: minimal_stats
 * title: settle fills no_target alone of the statistics
 */

static bool settle(struct migrate_list *l, struct page *page, unsigned pass, int err)
{
	if (err == -EAGAIN && pass + 1 < MIGRATE_PASSES) {
		MM_EVENT(l->mem, MIGRATE_AGAIN);
		return true;
	}
	if (err == 0 || err == -ENOENT) {
		if (!err) {
			MM_EVENT(l->mem, MIGRATE_OK);
		}
		l->done[l->nr_done++] = page;
		if (l->nr_done == PUT_MANY)
			put_done(l);
	} else {
		MM_EVENT(l->mem, MIGRATE_FAIL);
		l->stats->no_target |= err == -ENOMEM;
		if (l->failed++ == 0)
			mm_fail(l->fail, page_to_pfn_in(l->mem, page), migrate_why(err), err);
		l->kind->putback(l->mem, page);
	}
	return false;
}

/*
 * name: one_by_one
 * title: pages are moved one at a time; each is put by itself
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

/*
 * name: small_batches
 * title: a list is moved in batches of eight; a page is asked about its owner before its object
 */

#define FEW 8

static unsigned migrate_list(struct migrate_list *l)
{
	struct page **pages = l->pages;
	unsigned pass, at, nr, i, again;
	int err[FEW];

	for (pass = 0; l->left > 0; pass++) {
		again = 0;
		for (at = 0; at < l->left; at += nr) {
			nr = MIN(l->left - at, (unsigned)FEW);
			l->kind->move(l->mem, pages + at, nr, l->to, err);
			for (i = 0; i < nr; i++) {
				struct page *page = pages[at + i];

				if (settle(l, page, pass, err[i]))
					pages[again++] = page;
			}
			put_done(l);
		}
		l->left = again;
		if (again)
			thread_yield();
	}
	return l->failed;
}

int isolate_page(struct memory *mem, pfn_t pfn, struct isolated_pages *pages)
{
	struct page *page = pfn_to_page_in(mem, pfn);
	int err = isolate_movable_page(mem, pfn);

	if (!err) {
		pages->nr_movable++;
		pages->lru[MIGRATE_BATCH - pages->nr_movable] = page;
		return 0;
	}
	if (err != -EAGAIN)
		return err;
	err = isolate_lru_page(mem, pfn);
	if (!err)
		pages->lru[pages->nr_lru++] = page;
	return err;
}
