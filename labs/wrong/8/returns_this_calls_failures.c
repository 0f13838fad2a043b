/* SPDX-License-Identifier: MIT */
/*
 * title: failures are counted from 0 by each call
 * layer: contract
 * file: mm/move/migrate.c
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
