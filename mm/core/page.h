/* SPDX-License-Identifier: MIT */
/*
 * page.h: the word of a page: the legal edges between states, how a head's state is changed, flags
 * (page.c).
 *
 * Owns:       the state field of page->word.
 * Invariants: an edge that is not in the table below does not compile; if a page is not in the
 *             state (and order, and reference count) that the caller claims, the kernel panics.
 *             Both hold for page_store and page_cas_state.  Code that has just read a word itself
 *             (the push into a cache, batches, offline, poison) stores whole words, under the zone
 *             lock or as a cache's owner.
 */
#ifndef QUARRY_MM_PAGE_H
#define QUARRY_MM_PAGE_H

#include <quarry/mm.h>

/* ---- assertions and panics that are about a page ---- */

/* If this thread panics next, the panic shows @page of @mem; NULL: of the kernel's memory. */
void panic_blame(const struct memory *mem, const struct page *page) __attribute__((cold));
void page_assert_failed(const struct memory *mem, const struct page *page, const char *where,
    const char *what) __attribute__((noreturn, cold));
/* KASSERT, with a page for the panic to show. */
#define PAGE_ASSERT(mem, page, cond)                                                               \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			page_assert_failed(                                                        \
			    (mem), (page), __FILE__ ":" PAGE_ASSERT_TEXT(__LINE__), #cond);        \
	} while (0)
#define PAGE_ASSERT_TEXT(line)  PAGE_ASSERT_TEXT_(line)
#define PAGE_ASSERT_TEXT_(line) #line

/* ---- states ---- */

/* Report a page whose word is not the expected one, and panic. */
void page_corrupt(const struct page *page, u32 want) __attribute__((noreturn, cold));

#define TO(state) (1u << PG_##state)
/* For each state, the set of states that may follow.  A page that becomes free is TAIL. */
/* clang-format off */
#define EDGES_PG_TAIL        (TO(RESERVED) | TO(PCP) | TO(ALLOC) | TO(HWPOISON) | TO(FREEING))
#define EDGES_PG_RESERVED    (TO(TAIL) | TO(RESERVED)) /* RESERVED: the block is cut in two */
#define EDGES_PG_PCP         (TO(ALLOC) | TO(TAIL))
#define EDGES_PG_FREEING     (TO(PCP) | TO(TAIL) | TO(HWPOISON))
#define EDGES_PG_ALLOC       (TO(PCP) | TO(TAIL) | TO(FREEING) | TO(HWPOISON) | TO(SLAB) | \
                              TO(PGTABLE) | TO(OBJECT) | TO(MOVABLE_OPS) | TO(LRU) | TO(BALLOON))
#define EDGES_PG_SLAB        TO(ALLOC)
#define EDGES_PG_PGTABLE     TO(ALLOC)
#define EDGES_PG_OBJECT      (TO(FREEING) | TO(LRU) | TO(ISO_MIG))
#define EDGES_PG_MOVABLE_OPS (TO(ISO_MIG) | TO(FREEING))
#define EDGES_PG_LRU         (TO(ISO_MIG) | TO(FREEING))
#define EDGES_PG_ISO_MIG     (TO(LRU) | TO(MOVABLE_OPS) | TO(BALLOON) | TO(FREEING) | \
                              TO(HWPOISON) | TO(ALLOC))
#define EDGES_PG_BALLOON     (TO(ISO_MIG) | TO(FREEING))
#define EDGES_PG_HWPOISON    TO(TAIL) /* TAIL: by unpoison */
/* States of pages in use that the last put frees; other states have no flags but poison. */
#define STATES_HELD          (TO(ALLOC) | TO(OBJECT) | TO(MOVABLE_OPS) | TO(LRU) | TO(ISO_MIG) | \
                              TO(BALLOON))
/* clang-format on */
#define ASSERT_EDGE(from, to)                                                                      \
	_Static_assert(EDGES_##from >> (to)&1, "no such edge: " #from " to " #to)

/* State and order of a head that no other CPU can change; the references follow from the state. */
#define AS_TAIL            PG_TAIL, 0
#define AS_PCP(order)      PG_PCP, (order)
#define AS_FREEING(order)  PG_FREEING, (order)
#define AS_ALLOC(order)    PG_ALLOC, (order)
#define AS_RESERVED(order) PG_RESERVED, (order)
#define STATE_WORD(state, order)                                                                   \
	PAGE_WORD((state) == PG_ALLOC || (state) == PG_RESERVED, (state), (order))

/*
 * page_store - change the state of a page that no other CPU can change now (it is free, or the
 * caller alone owns it): a plain compare and store.  @from, @to: AS_TAIL, AS_PCP(order), ...; the
 * edge is checked when this is compiled, and the whole word when it runs.
 */
#define page_store(page, ...) page_store_edge(page, __VA_ARGS__)
#define page_store_edge(page, from, old_order, to, new_order)                                      \
	do {                                                                                       \
		ASSERT_EDGE(from, to);                                                             \
		page_store_word((page), STATE_WORD(from, old_order), STATE_WORD(to, new_order));   \
	} while (0)

/* page_store for words that are known only at run time, or that have flags. */
static always_inline void page_store_word(struct page *page, u32 old, u32 new)
{
	if (unlikely(!arch_u32_is(&page->word, old)))
		page_corrupt(page, old);
	WRITE_ONCE(page->word, new);
}

/*
 * page_cas_state - change the state of a page in use, whose references and flags other CPUs may
 * change: references and flags stay, and the state changes by compare-and-swap (law 3).  Panics if
 * the state is not @from.
 */
#define page_cas_state(page, from, to)                                                             \
	do {                                                                                       \
		ASSERT_EDGE(from, to);                                                             \
		page_swap_state((page), (from), (to));                                             \
	} while (0)

void page_swap_state(struct page *page, enum page_state from, enum page_state to);
/*
 * page_take_state - change an allocated page to a state in which others can find it.  False: a
 * frame of it broke since its allocation; it stays ALLOC, and its free retires the frame.  State
 * and flag are in one word: memory_failure either flags the page first, or finds the new state.
 */
bool page_take_state(struct page *page, enum page_state to) must_check;

/* ---- flags and references of a page in use ---- */

/* Set or clear flags (PAGE_DIRTY and so on); a reference or a lock keeps the page in use. */
void page_set_flags(struct page *page, u32 flags);
void page_clear_flags(struct page *page, u32 flags);
/* As get_page; also sets PAGE_REFERENCED, in the same step. */
int get_page_used(struct page *page) must_check;
/*
 * Drop a reference to each of @nr pages, at most PUT_MANY, as mem_put_page (put_page.c).  Freed
 * pages go past the caches to the buddy allocator; neighbours in @pages of one zone share one hold
 * of the zone lock.  Any context.
 */
#define PUT_MANY 16u
void put_many(struct memory *mem, struct page **pages, unsigned nr) EXCLUDES(zone_class);
/* Set PAGE_LOCKED; false if it was set already. */
bool page_trylock(struct page *page);
/* Is the page broken or, if it is a head, any page of its block?  Any context. */
static inline bool page_poisoned(const struct page *page)
{
	return page_word(page) & PAGE_POISON;
}

#endif
