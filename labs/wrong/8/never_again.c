/* SPDX-License-Identifier: MIT */
/*
 * title: a page that was in use at the first try is put back
 * layer: contract
 * file: mm/move/migrate.c
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
