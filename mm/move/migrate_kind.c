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
#include "mm/move/migrate.h"

static struct page *get_anywhere(struct migrate_target *to, struct memory *mem, unsigned order)
{
	return mem_alloc_pages(mem, GFP_MOVABLE | GFP_NORETRY, order);
}

static void give_back_anywhere(
    struct migrate_target *to, struct memory *mem, struct page *page, unsigned order)
{
	mem_free_pages(mem, page, order);
}

static unsigned get_many_anywhere(
    struct migrate_target *to, struct memory *mem, struct page **pages, unsigned nr)
{
	return (unsigned)mem_alloc_pages_bulk(mem, GFP_MOVABLE | GFP_NORETRY, nr, pages);
}

struct migrate_target migrate_anywhere = {
    .get = get_anywhere, .get_many = get_many_anywhere, .give_back = give_back_anywhere};

const struct migrate_kind migrate_movable_kind = {
    .move = migrate_movable_batch,
    .putback = putback_movable_page,
};
