/* SPDX-License-Identifier: MIT */
/*
 * title: the number of pages that did not move is that of the last pass
 * layer: contract
 * file: mm/move/migrate.c
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
