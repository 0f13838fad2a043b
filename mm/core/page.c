/* SPDX-License-Identifier: MIT */
/*
 * page.c: struct page: finding heads, changing words, taking references and pins, panics.
 *
 * Owns:       reference and pin counts of pages in use.
 * Locks:      none; changes of a word in use are compare-and-swap (law 3 of mm_types.h).
 * Invariants: a reference is only ever taken by an owner, or under the lock that keeps the page
 *             where it was found.
 * Tests:      page, words, badinput, tests/qemu/test_panic.py.
 */
#include "mm/core/free_map.h"
#include "mm/core/page.h"

struct memory kernel_memory;

#define STATE_NAME(state) [PG_##state] = #state
static const char *const state_names[NR_PAGE_STATES] = {STATE_NAME(TAIL), STATE_NAME(RESERVED),
    STATE_NAME(FREE), STATE_NAME(PCP), STATE_NAME(FREEING), STATE_NAME(ALLOC), STATE_NAME(SLAB),
    STATE_NAME(PGTABLE), STATE_NAME(OBJECT), STATE_NAME(MOVABLE_OPS), STATE_NAME(LRU),
    STATE_NAME(ISO_MIG), STATE_NAME(BALLOON), STATE_NAME(HWPOISON)};

const char *page_state_name(enum page_state state)
{
	return state < NR_PAGE_STATES ? state_names[state] : "?";
}

bool pfn_valid_in(const struct memory *mem, pfn_t pfn)
{
	return pfn >= mem->start_pfn && pfn < mem->end_pfn &&
	    pageblock_state(pageblock_of(mem, pfn)) != PB_HOLE;
}

/* This and page_head read the tree without the lock; mm.h says when the answer is exact. */
int free_order_at(const struct memory *mem, pfn_t pfn) NO_LOCK_ANALYSIS
{
	return free_map_begins_at(&tree_of(mem, pfn)->map, pfn_in_block(pfn));
}

u32 free_word_at(const struct memory *mem, pfn_t pfn)
{
	u32 word = page_word(pfn_to_page_in(mem, pfn));
	int order = word ? FREE_MAP_NONE : free_order_at(mem, pfn);

	return order < 0 ? word : PAGE_WORD(0, PG_FREE, order);
}

pfn_t page_head(const struct memory *mem, pfn_t pfn) NO_LOCK_ANALYSIS
{
	int order = page_word(pfn_to_page_in(mem, pfn))
	    ? FREE_MAP_NONE
	    : free_map_order_at(&tree_of(mem, pfn)->map, pfn_in_block(pfn));

	if (order >= 0)
		return pfn & ~((1UL << order) - 1);
	/* Not free: a head of order o stands at a multiple of 2^o.  Does its block contain @pfn? */
	for (order = 0; order <= MAX_ORDER; order++) {
		pfn_t head = pfn & ~((1UL << order) - 1);
		u32 word = page_word(pfn_to_page_in(mem, head));

		if (word_state(word) == PG_TAIL)
			continue;
		return head + (1UL << word_order(word)) > pfn ? head : PFN_NONE;
	}
	return PFN_NONE;
}

/*
 * The thread records the page, so of two threads that panic at once each shows its own.  The panic
 * shows it after its first line, which is printed even if showing the page fails.
 */
void panic_blame(const struct memory *mem, const struct page *page)
{
	struct mm_task *task = port_task();

	task->blamed = mem ? mem : &kernel_memory;
	task->blamed_pfn = page_to_pfn_in(task->blamed, page);
}

void page_assert_failed(
    const struct memory *mem, const struct page *page, const char *where, const char *what)
{
	panic_blame(mem, page);
	panic("%s: assertion failed: %s", where, what);
}

void page_corrupt(const struct page *page, u32 want)
{
	u32 word = page_word(page);

	panic_blame(NULL, page);
	panic("page %p: expected %s order %u refs %u, found %s order %u refs %u flags %#x",
	    (const void *)page, page_state_name(word_state(want)), word_order(want), word_ref(want),
	    page_state_name(word_state(word)), word_order(word), word_ref(word), word >> 24);
}

/* Change the state from @from to @to, unless one of the flags @unless is set: then false. */
static always_inline bool swap_state(
    struct page *page, enum page_state from, enum page_state to, u32 unless)
{
	u32 word, next;

	do {
		word = page_word(page);
		if (word_state(word) != from)
			page_corrupt(page, PAGE_WORD(word_ref(word), from, word_order(word)));
		if (word & unless)
			return false;
		next = (word & ~PAGE_STATE_MASK) | (u32)to << PAGE_STATE_SHIFT;
	} while (!atomic_cas(&page->word, word, next));
	return true;
}

void page_swap_state(struct page *page, enum page_state from, enum page_state to)
{
	(void)swap_state(page, from, to, 0);
}

bool page_take_state(struct page *page, enum page_state to)
{
	KASSERT(EDGES_PG_ALLOC >> to & 1);
	return swap_state(page, PG_ALLOC, to, PAGE_POISON);
}

/* Each state of STATES_HELD must have an edge to FREEING. */
ASSERT_EDGE(PG_ALLOC, PG_FREEING);
ASSERT_EDGE(PG_OBJECT, PG_FREEING);
ASSERT_EDGE(PG_MOVABLE_OPS, PG_FREEING);
ASSERT_EDGE(PG_LRU, PG_FREEING);
ASSERT_EDGE(PG_ISO_MIG, PG_FREEING);
ASSERT_EDGE(PG_BALLOON, PG_FREEING);

/* May these flags be set in @word?  Poison flags have their own rules (law 4). */
#define MAY_HAVE(word, flags) ((flags)&PAGE_POISON || STATES_HELD >> word_state(word) & 1)

void page_set_flags(struct page *page, u32 flags)
{
	u32 word;

	do {
		word = page_word(page);
		PAGE_ASSERT(NULL, page, MAY_HAVE(word, flags));
	} while ((word & flags) != flags && !atomic_cas(&page->word, word, word | flags));
}

void page_clear_flags(struct page *page, u32 flags)
{
	u32 word;

	do {
		word = page_word(page);
		PAGE_ASSERT(NULL, page, MAY_HAVE(word, flags));
	} while (word & flags && !atomic_cas(&page->word, word, word & ~flags));
}

bool page_trylock(struct page *page)
{
	u32 word;

	do {
		word = page_word(page);
		if (word & PAGE_LOCKED)
			return false;
	} while (!atomic_cas(&page->word, word, word | PAGE_LOCKED));
	return true;
}

/* Take one more reference, and set the flags @bits with it. */
static int take_reference(struct page *page, u32 bits)
{
	u32 word;

	do {
		word = page_word(page);
		if (word_ref(word) >= PAGE_REF_MAX)
			return -EAGAIN;
		PAGE_ASSERT(NULL, page, word_ref(word) > 0);
	} while (!atomic_cas(&page->word, word, (word + 1) | bits));
	return 0;
}

int get_page(struct page *page)
{
	return take_reference(page, 0);
}

int get_page_used(struct page *page)
{
	return take_reference(page, PAGE_REFERENCED);
}

int pin_page(struct page *page)
{
	int err = take_reference(page, PAGE_PINNED);

	if (!err)
		atomic_add(&page->pincount, 1);
	return err;
}
