/* SPDX-License-Identifier: MIT */
/*
 * title: a list is moved in batches of eight; a page is asked about its owner before its object
 * file: mm/move/migrate.c
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
