/* SPDX-License-Identifier: MIT */
/*
 * page.h: the word of a page: the legal edges between states, how a head's state is changed, flags
 * (page.c).
 *
 * Owns:       the state field of page->word.
 * Invariants: an edge that is not in PAGE_EDGES does not compile; a page that is not in the state
 *             (and order, and reference count) the caller claims stops the machine.  Both hold of
 *             page_set_state and page_cas_state.  Code that cuts, joins or retires blocks (buddy,
 *             caches, offline, poison) stores whole words, under the zone lock or as a cache's
 *             owner, in the file that has just read them.
 */
#ifndef QUARRY_MM_PAGE_H
#define QUARRY_MM_PAGE_H

#include <quarry/mm.h>

/* ---- states ---- */

/* Report a page whose word is not the expected one, and panic. */
void page_corrupt(const struct page *page, u32 want) __attribute__((noreturn, cold));

#define TO(state) (1u << (state))
/* For each state, the set of states that may follow.  A page that becomes free is TAIL. */
#define PAGE_EDGES(from)                                                                           \
	((from) == PG_TAIL                                                                         \
	        ? TO(PG_RESERVED) | TO(PG_PCP) | TO(PG_ALLOC) | TO(PG_HWPOISON) | TO(PG_FREEING)   \
	        : (from) == PG_RESERVED ? TO(PG_TAIL)                                              \
	        : (from) == PG_PCP      ? TO(PG_ALLOC) | TO(PG_TAIL)                               \
	        : (from) == PG_FREEING  ? TO(PG_PCP) | TO(PG_TAIL) | TO(PG_HWPOISON)               \
	        : (from) == PG_ALLOC                                                               \
	        ? TO(PG_PCP) | TO(PG_TAIL) | TO(PG_MOVABLE_OPS) | TO(PG_SLAB) | TO(PG_PGTABLE) |   \
	            TO(PG_OBJECT) | TO(PG_LRU) | TO(PG_BALLOON) | TO(PG_FREEING) | TO(PG_HWPOISON) \
	        : (from) == PG_SLAB        ? TO(PG_ALLOC)                                          \
	        : (from) == PG_PGTABLE     ? TO(PG_ALLOC)                                          \
	        : (from) == PG_OBJECT      ? TO(PG_FREEING) | TO(PG_LRU) | TO(PG_ISO_MIG)          \
	        : (from) == PG_MOVABLE_OPS ? TO(PG_ISO_MIG) | TO(PG_FREEING)                       \
	        : (from) == PG_LRU         ? TO(PG_ISO_MIG) | TO(PG_FREEING)                       \
	        : (from) == PG_ISO_MIG     ? TO(PG_LRU) | TO(PG_MOVABLE_OPS) | TO(PG_FREEING) |    \
	            TO(PG_HWPOISON) | TO(PG_ALLOC) | TO(PG_BALLOON)                                \
	        : (from) == PG_BALLOON ? TO(PG_ISO_MIG) | TO(PG_FREEING)                           \
	                               : TO(PG_TAIL)) /* HWPOISON: unpoison */

/*
 * page_set_state - change the state, order and references of a page that no other CPU can change
 * now (it is free, or its owner is the caller alone): a plain compare and a plain store.
 * @from, @to: enum constants; the edge is checked when this is compiled.
 * @old, @new: the whole words, made by PAGE_WORD from the same states.
 */
#define page_set_state(page, from, to, old_ref, old_order, new_ref, new_order)                     \
	do {                                                                                       \
		_Static_assert(PAGE_EDGES(from) >> (to)&1, "no such edge: " #from " to " #to);     \
		page_store_word((page), PAGE_WORD((old_ref), (from), (old_order)),                 \
		    PAGE_WORD((new_ref), (to), (new_order)));                                      \
	} while (0)

static always_inline void page_store_word(struct page *page, u32 old, u32 new)
{
	if (unlikely(!arch_u32_is(&page->word, old)))
		page_corrupt(page, old);
	WRITE_ONCE(page->word, new);
}

/*
 * page_cas_state - the same for a page in use, whose references and flags others may change: keeps
 * them, changes the state by compare-and-swap (law 3).  Panics if the state is not @from.
 */
#define page_cas_state(page, from, to)                                                             \
	do {                                                                                       \
		_Static_assert(PAGE_EDGES(from) >> (to)&1, "no such edge: " #from " to " #to);     \
		page_swap_state((page), (from), (to));                                             \
	} while (0)

void page_swap_state(struct page *page, enum page_state from, enum page_state to);

/* ---- flags of a page in use ---- */

/*
 * Set, or clear, flags PAGE_...: by a caller with a reference, or a lock that keeps the page in
 * use.
 */
void page_set_flags(struct page *page, u32 flags);
void page_clear_flags(struct page *page, u32 flags);
/* As get_page, and sets PAGE_REFERENCED with the reference. */
int get_page_used(struct page *page) must_check;
/* Set PAGE_LOCKED; false if it is set. */
bool page_trylock(struct page *page);
/* Is the page broken, or one of the block that it is the head of?  Any context. */
static inline bool page_poisoned(const struct page *page)
{
	return page_word(page) & PAGE_POISON;
}

#endif
