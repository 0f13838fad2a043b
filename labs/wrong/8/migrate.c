/* SPDX-License-Identifier: MIT */
/*
 * name: counts_what_is_left
 * title: the number of pages that did not move is that of the last pass
 * layer: contract
 */

static unsigned migrate_list(struct migrate_list *l)
{
	unsigned pass, i, again = l->left;
	int err[MIGRATE_BATCH];

	for (pass = 0; l->left > 0 && pass < MIGRATE_PASSES; pass++) {
		again = 0;
		l->left = MIN(l->left, (unsigned)MIGRATE_BATCH);
		l->kind->move(l->mem, l->pages, l->left, l->to, err);
		for (i = 0; i < l->left; i++) {
			if (settle(l, l->pages[i], pass, err[i]))
				l->pages[again++] = l->pages[i];
		}
		put_done(l);
		l->left = again;
	}
	return again;
}

/*
 * name: first_batch_only
 * title: one batch is moved, and the rest of a longer list is forgotten
 * layer: contract
 */

static unsigned migrate_list(struct migrate_list *l)
{
	unsigned nr = MIN(l->left, (unsigned)MIGRATE_BATCH), pass, i, again;
	int err[MIGRATE_BATCH];

	for (pass = 0; nr > 0; pass++) {
		again = 0;
		l->kind->move(l->mem, l->pages, nr, l->to, err);
		for (i = 0; i < nr; i++) {
			if (settle(l, l->pages[i], pass, err[i]))
				l->pages[again++] = l->pages[i];
		}
		put_done(l);
		nr = again;
		if (nr)
			thread_yield();
	}
	l->left = 0;
	return l->failed;
}

/*
 * name: never_again
 * title: a page that was in use at the first try is put back
 * layer: contract
 */

static bool settle(struct migrate_list *l, struct page *page, unsigned pass, int err)
{
	if (err == 0 || err == -ENOENT) {
		if (!err) {
			MM_EVENT(l->mem, MIGRATE_OK);
			l->stats->moved++;
			l->stats->at_try[0]++;
		}
		l->done[l->nr_done++] = page;
		if (l->nr_done == PUT_MANY)
			put_done(l);
		return false;
	}
	MM_EVENT(l->mem, MIGRATE_FAIL);
	if (l->failed++ == 0)
		mm_fail(l->fail, page_to_pfn_in(l->mem, page), migrate_why(err), err);
	l->kind->putback(l->mem, page);
	return false;
}

/*
 * name: put_back_and_put
 * title: a page that did not move is put back, and its reference dropped once more
 * layer: contract
 */

static bool settle(struct migrate_list *l, struct page *page, unsigned pass, int err)
{
	if (err == -EAGAIN && pass + 1 < MIGRATE_PASSES) {
		l->stats->retries++;
		return true;
	}
	if (err && err != -ENOENT) {
		if (l->failed++ == 0)
			mm_fail(l->fail, page_to_pfn_in(l->mem, page), migrate_why(err), err);
		l->kind->putback(l->mem, page);
	} else if (!err) {
		l->stats->moved++;
		l->stats->at_try[MIN(pass, ARRAY_SIZE(l->stats->at_try) - 1)]++;
	}
	l->done[l->nr_done++] = page;
	if (l->nr_done == PUT_MANY)
		put_done(l);
	return false;
}

/*
 * name: released_is_a_failure
 * title: a page that its owner has released meanwhile counts as one that did not move
 * layer: contract
 */

static bool settle(struct migrate_list *l, struct page *page, unsigned pass, int err)
{
	if (err == -EAGAIN && pass + 1 < MIGRATE_PASSES) {
		l->stats->retries++;
		return true;
	}
	if (err) {
		if (l->failed++ == 0)
			mm_fail(l->fail, page_to_pfn_in(l->mem, page), migrate_why(err), err);
		l->kind->putback(l->mem, page);
		return false;
	}
	l->stats->moved++;
	l->stats->at_try[MIN(pass, ARRAY_SIZE(l->stats->at_try) - 1)]++;
	mem_put_page(l->mem, page);
	return false;
}
