/* SPDX-License-Identifier: MIT */
/*
 * title: the error of a movable owner's page is that of the first try
 * layer: contract
 * file: mm/move/migrate.c
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
