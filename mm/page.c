/* SPDX-License-Identifier: MIT */
/*
 * page.c: struct page: finding heads, references, pins, and what to say about a page.
 *
 * Owns:       reference and pin counts of pages in use.
 * Locks:      none; changes of a word in use are compare-and-swap (law 3 of mm_types.h).
 * Invariants: a reference is only ever taken by an owner, or under the lock that keeps the page where
 *             it was found; the last put leaves the page FREEING, in the putting thread's hands.
 * Tests:      page, words, badinput, tests/qemu/test_panic.py.
 */
#include "mm/mm_priv.h"

static const char *const state_names[NR_PAGE_STATES] = {
    [PG_TAIL] = "TAIL",
    [PG_RESERVED] = "RESERVED",
    [PG_FREE] = "FREE",
    [PG_PCP] = "PCP",
    [PG_FREEING] = "FREEING",
    [PG_ALLOC] = "ALLOC",
    [PG_SLAB] = "SLAB",
    [PG_PGTABLE] = "PGTABLE",
    [PG_OBJECT] = "OBJECT",
    [PG_MOVABLE_OPS] = "MOVABLE_OPS",
    [PG_LRU] = "LRU",
    [PG_ISO_MIG] = "ISO_MIG",
    [PG_BALLOON] = "BALLOON",
    [PG_HWPOISON] = "HWPOISON",
};

const char *page_state_name(enum page_state state)
{
	return state < NR_PAGE_STATES ? state_names[state] : "?";
}

const char *mm_why_text(enum mm_why why)
{
	static const char *const texts[NR_MM_WHY] = {
	    [WHY_NONE] = "no reason",
	    [WHY_RANGE] = "range empty, unaligned or outside",
	    [WHY_HOLE] = "no memory there",
	    [WHY_ZONES] = "more than one zone",
	    [WHY_MIXED] = "partly offline",
	    [WHY_ALREADY] = "already so",
	    [WHY_CLAIMED] = "another operation works on it",
	    [WHY_ISOLATED] = "already isolated",
	    [WHY_RESERVED] = "reserved page",
	    [WHY_UNMOVABLE] = "unmovable page",
	    [WHY_PINNED] = "pinned page",
	    [WHY_BUSY] = "page busy",
	    [WHY_NO_TARGET] = "no memory to move to",
	    [WHY_LAST] = "too little memory would be left",
	    [WHY_CANCELLED] = "cancelled",
	    [WHY_DEADLINE] = "deadline passed",
	    [WHY_TYPE] = "pageblocks of another type",
	    [WHY_STANDBY] = "memory that stands by",
	    [WHY_HWPOISON] = "broken page",
	};

	return why < NR_MM_WHY ? texts[why] : "?";
}

bool pfn_valid_in(const struct memory *mem, pfn_t pfn)
{
	return pfn >= mem->start_pfn && pfn < mem->end_pfn &&
	    pageblock_state(pageblock_of(mem, pfn)) != PB_HOLE;
}

pfn_t page_head(const struct memory *mem, pfn_t pfn)
{
	unsigned order;

	/* A head of order o stands at a multiple of 2^o: look there, and see if its block reaches us. */
	for (order = 0; order <= MAX_ORDER; order++) {
		pfn_t head = pfn & ~((1UL << order) - 1);
		u32 word = page_word(pfn_to_page_in(mem, head));

		if (word_state(word) == PG_TAIL)
			continue;
		return head + (1UL << word_order(word)) > pfn ? head : PFN_NONE;
	}
	return PFN_NONE;
}

void dump_page(const struct memory *mem, pfn_t pfn, const char *why)
{
	static const char *const types[] = {"unmovable", "movable", "reclaimable", "cma"};
	const struct pageblock *pb;
	const struct page *page;
	u32 word;

	if (!pfn_valid_in(mem, pfn)) {
		printk("%s: pfn %#lx: no such page\n", why, pfn);
		return;
	}
	pb = pageblock_of(mem, pfn);
	page = pfn_to_page_in(mem, pfn);
	word = page_word(page);
	printk("%s: pfn %#lx %s order %u refs %u flags %#x pins %u; block %#lx %s%s%s, zone %u\n", why,
	    pfn, page_state_name(word_state(word)), word_order(word), word_ref(word), word >> 24,
	    READ_ONCE(page->pincount), pfn >> PAGEBLOCK_ORDER, types[pageblock_type(pb) & 3],
	    pageblock_isolated(pb) ? " isolated" : "",
	    pageblock_state(pb) == PB_OFFLINE ? " offline" : "", pb->zone);
}

/*
 * Kept with the thread that is going to panic, so that two that do so at once name a page each, and shown
 * by the panic after its first line: should showing it fail, that line is out.
 */
void panic_blame(const struct memory *mem, const struct page *page)
{
	struct mm_task *task = port_task();

	task->blamed = mem ? mem : &kernel_memory;
	task->blamed_pfn = page_to_pfn_in(task->blamed, page);
}

void page_assert_failed(const struct memory *mem, const struct page *page, const char *where,
    const char *what)
{
	panic_blame(mem, page);
	panic("%s: assertion failed: %s", where, what);
}

void memory_panic_page(void)
{
	const struct memory *mem = port_task()->blamed;
	pfn_t pfn = port_task()->blamed_pfn, head;

	if (!mem)
		return;
	dump_page(mem, pfn, "page");
	if (!pfn_valid_in(mem, pfn))
		return;
	head = page_head(mem, pfn);
	if (head != pfn && head != PFN_NONE)
		dump_page(mem, head, "head of its block");
	trace_history(mem, pfn);
}

void memory_panic_events(void)
{
	trace_recent(&kernel_memory);
}

void page_corrupt(const struct page *page, u32 want)
{
	u32 word = page_word(page);

	panic_blame(NULL, page);
	panic("page %p: expected %s order %u refs %u, found %s order %u refs %u flags %#x",
	    (const void *)page, page_state_name(word_state(want)), word_order(want), word_ref(want),
	    page_state_name(word_state(word)), word_order(word), word_ref(word), word >> 24);
}

void page_swap_state(struct page *page, enum page_state from, enum page_state to)
{
	u32 word, next;

	do {
		word = page_word(page);
		if (word_state(word) != from)
			page_corrupt(page, PAGE_WORD(word_ref(word), from, word_order(word)));
		next = (word & ~PAGE_STATE_MASK) | (u32)to << PAGE_STATE_SHIFT;
	} while (!atomic_cas(&page->word, word, next));
}

void page_set_flags(struct page *page, u32 flags)
{
	u32 word;

	do {
		word = page_word(page);
	} while ((word & flags) != flags && !atomic_cas(&page->word, word, word | flags));
}

void page_clear_flags(struct page *page, u32 flags)
{
	u32 word;

	do {
		word = page_word(page);
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

/* One more reference, and bits that it sets. */
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

/* States whose pages a scanner may find and take, as long as they have an owner. */
#define STATES_FOUND (TO(PG_MOVABLE_OPS) | TO(PG_BALLOON) | TO(PG_LRU) | TO(PG_OBJECT))

int mem_put_page(struct memory *mem, struct page *page)
{
	u32 word, next;

	do {
		word = page_word(page);
		sched_point("put.read");
		if (word_ref(word) == 0)
			return bad_free(mem, page, word_order(word), "put of a page without references");
		if (word_ref(word) > 1) {
			next = word - 1;
			continue;
		}
		if (!(PAGE_EDGES(word_state(word)) >> PG_FREEING & 1))
			return bad_free(mem, page, word_order(word), "last put of what a put does not free");
		/* The last one: nobody can find the page any more, so these cannot change either. */
		if (page->mapcount || READ_ONCE(page->pincount) || (word & PAGE_LOCKED) ||
		    (page->owner && TO(word_state(word)) & STATES_FOUND)) {
			/* On no list, and its last owner is gone: it stays where it is. */
			MM_EVENT(mem, QUARANTINED);
			return bad_free(mem, page, word_order(word), "last put of a page in use");
		}
		next = PAGE_WORD(0, PG_FREEING, word_order(word)) |
		    (word & PAGE_POISON);
	} while (!atomic_cas(&page->word, word, next));
	if (word_state(next) == PG_FREEING) {
		trace_page(mem, TR_put, page_to_pfn_in(mem, page), word_order(next));
		sched_point("put.zero");
		if (!pcp_free_slow(mem, page, word_order(next), next))
			page_corrupt(page, next);
	}
	return 0;
}

int pin_page(struct page *page)
{
	int err = take_reference(page, PAGE_PINNED);

	if (!err)
		__atomic_fetch_add(&page->pincount, 1, __ATOMIC_SEQ_CST);
	return err;
}

void mem_unpin_page(struct memory *mem, struct page *page)
{
	/* Both in one, as far as the checker can see: it stops CPUs where interrupts are on. */
	irqflags_t flags = arch_irq_save();

	PAGE_ASSERT(mem, page, READ_ONCE(page->pincount) > 0);
	__atomic_fetch_sub(&page->pincount, 1, __ATOMIC_SEQ_CST);
	mem_put_page(mem, page);
	arch_irq_restore(flags);
}
