/* SPDX-License-Identifier: MIT */
/*
 * title: a pfn inside a block isolates the block
 * layer: contract
 * file: mm/move/migrate.c
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
