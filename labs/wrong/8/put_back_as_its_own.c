/* SPDX-License-Identifier: MIT */
/*
 * title: a page that failed is put back as a movable owner's
 * layer: contract
 * file: mm/move/migrate.c
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
