/* SPDX-License-Identifier: MIT */
/*
 * title: one batch is moved, and the rest of a longer list is forgotten
 * layer: contract
 * file: mm/move/migrate.c
 */

static unsigned migrate_list(struct migrate_list *l)
{
	unsigned nr = MIN(l->left, (unsigned)MIGRATE_BATCH), pass, i, again;
	int err[MIGRATE_BATCH];

	for (pass = 0; nr > 0; pass++) {
		again = 0;
		l->kind->move(l->mem, l->pages, nr, l->to, err);
		for (i = 0; i < nr; i++) {
			if (settle(l, l->pages[i], pass, err[i]))
				l->pages[again++] = l->pages[i];
		}
		put_done(l);
		nr = again;
		if (nr)
			thread_yield();
	}
	l->left = 0;
	return l->failed;
}
