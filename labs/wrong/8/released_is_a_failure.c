/* SPDX-License-Identifier: MIT */
/*
 * title: a page that its owner has released meanwhile counts as one that did not move
 * layer: contract
 * file: mm/move/migrate.c
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
