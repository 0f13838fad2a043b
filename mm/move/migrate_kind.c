/* SPDX-License-Identifier: MIT */
/*
 * migrate_kind.c: the tables of functions that migrate.c uses: the usual source of targets, and
 * moving pages of movable owners.  The table for pages of objects is in migrate_lru.c.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: the tables never change.
 * Tests:      migrate, migrate_exact.
 */
#include "mm/core/zone.h"
#include "mm/move/migrate.h"

#define GFP_TARGET (GFP_MOVABLE | GFP_NORETRY)

static struct page *get_anywhere(struct migrate_target *to, struct memory *mem, unsigned order)
{
	/* At home, too: the CPU's last target may have come from another node (pcp.first). */
	struct page *page = alloc_from_zonelist(to->node, GFP_TARGET, order);

	return page ? page : mem_alloc_pages(mem, GFP_TARGET, order);
}

static void give_back_anywhere(
    struct migrate_target *to, struct memory *mem, struct page *page, unsigned order)
{
	mem_free_pages(mem, page, order);
}

static unsigned get_many_anywhere(
    struct migrate_target *to, struct memory *mem, struct page **pages, unsigned nr)
{
	unsigned got = 0;

	while (got < nr && (pages[got] = get_anywhere(to, mem, 0))) {
		got++;
		/* At home the other pages are allocated where this one was. */
		if (to->node == memory_node(mem, arch_cpu_id()))
			return got +
			    (unsigned)mem_alloc_pages_bulk(mem, GFP_TARGET, nr - got, pages + got);
	}
	return got;
}

struct migrate_target migrate_anywhere = {
    .get = get_anywhere, .get_many = get_many_anywhere, .give_back = give_back_anywhere};

const struct migrate_kind migrate_movable_kind = {
    .move = migrate_movable_batch,
    .putback = putback_movable_page,
};
