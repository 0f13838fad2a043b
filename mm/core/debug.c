/* SPDX-License-Identifier: MIT */
/*
 * debug.c: counts of events, and texts about events, pages and failures.
 *
 * Owns:       the texts; the counts are in struct pcp.
 * Locks:      none: it may be called with any lock held, and reads data that may be changing.
 * Invariants: nothing here changes a page, allocates or waits.
 * Tests:      events, page, words, badinput, tests/qemu/test_panic.py.
 */
#include <quarry/mm.h>

const char *const migratetype_names[] = {"unmovable", "movable", "reclaimable", "cma"};

u64 mm_event_sum(const struct memory *mem, enum mm_event ev)
{
	unsigned cpu;
	u64 sum = 0;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++)
		sum += READ_ONCE(mem->pcp[cpu]->event[ev]);
	return sum;
}

const char *mm_event_name(enum mm_event ev)
{
	static const char *const names[NR_MM_EVENTS] = {
#define MM_EVENT_TEXT(name) #name,
	    MM_EVENTS(MM_EVENT_TEXT)
#undef MM_EVENT_TEXT
	};

	return ev < NR_MM_EVENTS ? names[ev] : "?";
}

#define WHY(why, text) [WHY_##why] = (text)
const char *mm_why_text(enum mm_why why)
{
	static const char *const texts[NR_MM_WHY] = {WHY(NONE, "no reason"),
	    WHY(RANGE, "no pages, parts of pageblocks, or outside"), WHY(HOLE, "no memory there"),
	    WHY(ZONES, "more than one zone"), WHY(MIXED, "partly offline"),
	    WHY(ALREADY, "already in that state"), WHY(CLAIMED, "another operation works on it"),
	    WHY(ISOLATED, "already isolated"), WHY(RESERVED, "reserved page"),
	    WHY(UNMOVABLE, "unmovable page"), WHY(PINNED, "pinned page"), WHY(BUSY, "page busy"),
	    WHY(NO_TARGET, "no memory to move to"), WHY(LAST, "too little memory would be left"),
	    WHY(CANCELLED, "cancelled"), WHY(DEADLINE, "deadline passed"),
	    WHY(TYPE, "pageblocks of another type"), WHY(STANDBY, "standby memory"),
	    WHY(HWPOISON, "broken page")};

	return why < NR_MM_WHY ? texts[why] : "?";
}

void dump_page(const struct memory *mem, pfn_t pfn, const char *why)
{
	const struct pageblock *pb;
	const struct page *page;
	u32 word;

	if (!pfn_valid_in(mem, pfn)) {
		printk("%s: pfn %#lx: no such page\n", why, pfn);
		return;
	}
	pb = pageblock_of(mem, pfn);
	page = pfn_to_page_in(mem, pfn);
	word = block_word(mem, pfn);
	printk("%s: pfn %#lx %s order %u refs %u flags %#x pins %u\n", why, pfn,
	    page_state_name(word_state(word)), word_order(word), word_ref(word), word >> 24,
	    READ_ONCE(page->pincount));
	printk("%s: block %#lx %s%s%s, zone %u\n", why, pfn >> PAGEBLOCK_ORDER,
	    migratetype_names[pageblock_type(pb) & 3], pageblock_isolated(pb) ? " isolated" : "",
	    pageblock_state(pb) == PB_OFFLINE ? " offline" : "", pb->zone);
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
	trace_history(&kernel_memory, PFN_NONE);
}
