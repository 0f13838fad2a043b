/* SPDX-License-Identifier: MIT */
/*
 * migrate_lru.c: moving pages of memory objects, mapped or not.
 *
 * Owns:       isolated pages of objects while they are moved; markers and migration entries.
 * Locks:      a page's LOCKED bit, by trylock; the object's lock, and inside it the tables' and the
 *             lru lock.
 * Invariants: at every instant either a page or its copy can be reached, or neither, and then
 *             readers wait.  A marker, and a migration entry, exists only while its page is locked,
 *             isolated and held by a migrator.
 * Tests:      migrate_lru, migrate_race.
 */
#include "mm/move/migrate_lru_inline.h"
#include "mm/vm/lru.h"

const struct migrate_kind migrate_lru_kind = {
    .move = migrate_lru_batch,
    .putback = putback_lru_page,
};
