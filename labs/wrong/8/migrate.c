/* SPDX-License-Identifier: MIT */
/*
 * name: any_error_tries_the_other
 * title: after any error a page is tried as a movable owner's
 * layer: contract
 */

int isolate_page(struct memory *mem, pfn_t pfn, struct isolated_pages *pages)
{
	struct page *page = pfn_to_page_in(mem, pfn);
	int err = isolate_lru_page(mem, pfn);

	if (!err) {
		pages->lru[pages->nr_lru++] = page;
		return 0;
	}
	err = isolate_movable_page(mem, pfn);
	if (!err)
		pages->lru[MIGRATE_BATCH - ++pages->nr_movable] = page;
	return err;
}

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
 * name: first_error_of_a_batch
 * title: each page of a batch gets the error of its first
 * layer: contract
 */

static unsigned migrate_list(struct migrate_list *l)
{
	unsigned pass, from, i, again;
	int err[MIGRATE_BATCH];

	for (pass = 0; l->left > 0; pass++) {
		again = 0;
		for (from = 0; from < l->left; from += MIGRATE_BATCH) {
			unsigned nr = MIN(l->left - from, (unsigned)MIGRATE_BATCH);

			l->kind->move(l->mem, l->pages + from, nr, l->to, err);
			for (i = from; i < from + nr; i++) {
				if (settle(l, l->pages[i], pass, err[0]))
					l->pages[again++] = l->pages[i];
			}
			put_done(l);
		}
		l->left = again;
		if (again)
			thread_yield();
	}
	return l->failed;
}

/*
 * name: lru_error_of_an_owners_page
 * title: the error of a movable owner's page is that of the first try
 * layer: contract
 */

int isolate_page(struct memory *mem, pfn_t pfn, struct isolated_pages *pages)
{
	struct page *page = pfn_to_page_in(mem, pfn);
	int err = isolate_lru_page(mem, pfn);

	if (!err) {
		pages->lru[pages->nr_lru++] = page;
	} else if (err == -EAGAIN) {
		if (!isolate_movable_page(mem, pfn))
			err = 0, pages->lru[MIGRATE_BATCH - ++pages->nr_movable] = page;
	}
	return err;
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
 * name: no_target_of_the_last
 * title: whether memory was missing is that of the last page that failed
 * layer: contract
 */

static bool settle(struct migrate_list *l, struct page *page, unsigned pass, int err)
{
	if (err == -EAGAIN && pass + 1 < MIGRATE_PASSES) {
		MM_EVENT(l->mem, MIGRATE_AGAIN);
		l->stats->retries++;
		return true;
	}
	if (err == 0 || err == -ENOENT) {
		if (!err) {
			MM_EVENT(l->mem, MIGRATE_OK);
			l->stats->moved++;
			l->stats->at_try[MIN(pass, ARRAY_SIZE(l->stats->at_try) - 1)]++;
		}
		l->done[l->nr_done++] = page;
		if (l->nr_done == PUT_MANY)
			put_done(l);
	} else {
		MM_EVENT(l->mem, MIGRATE_FAIL);
		l->stats->no_target = err == -ENOMEM;
		if (l->failed++ == 0)
			mm_fail(l->fail, page_to_pfn_in(l->mem, page), migrate_why(err), err);
		l->kind->putback(l->mem, page);
	}
	return false;
}

/*
 * name: no_target_unset
 * title: stats.no_target is not set if no memory was free
 * layer: contract
 */

static bool settle(struct migrate_list *l, struct page *page, unsigned pass, int err)
{
	if (err == -EAGAIN && pass + 1 < MIGRATE_PASSES) {
		MM_EVENT(l->mem, MIGRATE_AGAIN);
		l->stats->retries++;
		return true;
	}
	if (err == 0 || err == -ENOENT) {
		if (!err) {
			MM_EVENT(l->mem, MIGRATE_OK);
			l->stats->moved++;
			l->stats->at_try[MIN(pass, ARRAY_SIZE(l->stats->at_try) - 1)]++;
		}
		l->done[l->nr_done++] = page;
		if (l->nr_done == PUT_MANY)
			put_done(l);
	} else {
		MM_EVENT(l->mem, MIGRATE_FAIL);
		if (l->failed++ == 0)
			mm_fail(l->fail, page_to_pfn_in(l->mem, page), migrate_why(err), err);
		l->kind->putback(l->mem, page);
	}
	return false;
}

/*
 * name: one_try_less
 * title: a page in use is tried nine times
 * layer: contract
 */

static bool settle(struct migrate_list *l, struct page *page, unsigned pass, int err)
{
	if (err == -EAGAIN && pass + 2 < MIGRATE_PASSES) {
		MM_EVENT(l->mem, MIGRATE_AGAIN);
		l->stats->retries++;
		return true;
	}
	if (err == 0 || err == -ENOENT) {
		if (!err) {
			MM_EVENT(l->mem, MIGRATE_OK);
			l->stats->moved++;
			l->stats->at_try[MIN(pass, ARRAY_SIZE(l->stats->at_try) - 1)]++;
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
 * name: overwrites_its_list
 * title: pages to try again are gathered at the batch's start: those of earlier batches are lost
 * layer: contract
 */

static unsigned migrate_list(struct migrate_list *l)
{
	unsigned pass, from, i, again = 0;
	int err[MIGRATE_BATCH];

	for (pass = 0; l->left > 0; pass++) {
		for (from = 0; from < l->left; from += MIGRATE_BATCH) {
			unsigned nr = MIN(l->left - from, (unsigned)MIGRATE_BATCH);

			again = 0;
			l->kind->move(l->mem, l->pages + from, nr, l->to, err);
			for (i = 0; i < nr; i++) {
				if (settle(l, l->pages[from + i], pass, err[i]))
					l->pages[again++] = l->pages[from + i];
			}
			put_done(l);
		}
		l->left = again;
		if (again)
			thread_yield();
	}
	return l->failed;
}

/*
 * name: passes_of_all_batches
 * title: tries are counted over all batches
 * layer: contract
 */

static unsigned migrate_list(struct migrate_list *l)
{
	unsigned pass, from, i, again;
	int err[MIGRATE_BATCH];

	for (pass = 0; l->left > 0; pass++) {
		again = 0;
		for (from = 0; from < l->left; from += MIGRATE_BATCH) {
			unsigned nr = MIN(l->left - from, (unsigned)MIGRATE_BATCH);

			l->kind->move(l->mem, l->pages + from, nr, l->to, err);
			for (i = from; i < from + nr; i++) {
				if (settle(
				        l, l->pages[i], pass + from / MIGRATE_BATCH, err[i - from]))
					l->pages[again++] = l->pages[i];
			}
			put_done(l);
		}
		l->left = again;
		if (again)
			thread_yield();
	}
	return l->failed;
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
 * name: put_back_as_its_own
 * title: a page that failed is put back as a movable owner's
 * layer: contract
 */

static bool settle(struct migrate_list *l, struct page *page, unsigned pass, int err)
{
	if (err == -EAGAIN && pass + 1 < MIGRATE_PASSES) {
		MM_EVENT(l->mem, MIGRATE_AGAIN);
		l->stats->retries++;
		return true;
	}
	if (err == 0 || err == -ENOENT) {
		if (!err) {
			MM_EVENT(l->mem, MIGRATE_OK);
			l->stats->moved++;
			l->stats->at_try[MIN(pass, ARRAY_SIZE(l->stats->at_try) - 1)]++;
		}
		l->done[l->nr_done++] = page;
		if (l->nr_done == PUT_MANY)
			put_done(l);
	} else {
		MM_EVENT(l->mem, MIGRATE_FAIL);
		l->stats->no_target |= err == -ENOMEM;
		if (l->failed++ == 0)
			mm_fail(l->fail, page_to_pfn_in(l->mem, page), migrate_why(err), err);
		putback_movable_page(l->mem, page);
	}
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

/*
 * name: returns_this_calls_failures
 * title: failures are counted from 0 by each call
 * layer: contract
 */

static unsigned migrate_list(struct migrate_list *l)
{
	unsigned pass, from, i, again, before = l->failed;
	int err[MIGRATE_BATCH];

	for (pass = 0; l->left > 0; pass++) {
		again = 0;
		for (from = 0; from < l->left; from += MIGRATE_BATCH) {
			unsigned nr = MIN(l->left - from, (unsigned)MIGRATE_BATCH);

			l->kind->move(l->mem, l->pages + from, nr, l->to, err);
			for (i = from; i < from + nr; i++) {
				if (settle(l, l->pages[i], pass, err[i - from]))
					l->pages[again++] = l->pages[i];
			}
			put_done(l);
		}
		l->left = again;
		if (again)
			thread_yield();
	}
	return l->failed - before;
}

/*
 * name: tail_is_its_head
 * title: a pfn inside a block isolates the block
 * layer: contract
 */

int isolate_page(struct memory *mem, pfn_t pfn, struct isolated_pages *pages)
{
	struct page *page = pfn_to_page_in(mem, pfn);
	int err;

	pfn = page_head(mem, pfn);
	page = pfn_to_page_in(mem, pfn);
	err = isolate_lru_page(mem, pfn);

	if (!err) {
		pages->lru[pages->nr_lru++] = page;
	} else if (err == -EAGAIN) {
		err = isolate_movable_page(mem, pfn);
		if (!err)
			pages->lru[MIGRATE_BATCH - ++pages->nr_movable] = page;
	}
	return err;
}
