/* SPDX-License-Identifier: MIT */
/*
 * title: after any error a page is tried as a movable owner's
 * layer: contract
 * file: mm/move/migrate.c
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
