/* SPDX-License-Identifier: MIT */
/*
 * title: pages to try again are gathered at the batch's start: those of earlier batches are lost
 * layer: contract
 * file: mm/move/migrate.c
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
