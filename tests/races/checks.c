/* SPDX-License-Identifier: MIT */
/*
 * checks.c: the checks and counts that a script can make of its roles' memory.
 *
 * Owns: nothing.
 */
#include "ops.h"
#include <quarry/console.h>
#include <quarry/poison.h>
#include <quarry/smp.h>
#include <quarry/string.h>

bool ops_broken(
    struct mm_violation *v, const char *what, pfn_t pfn, unsigned long have, unsigned long want)
{
	*v = (struct mm_violation){.what = what, .pfn = pfn, .have = have, .want = want};
	return false;
}

/* A disabled zone has no cached pages, and its capacities are 0. */
static bool check_off(const struct zone *zone, struct mm_violation *v)
{
	unsigned cpu, i;

	for (cpu = 0; cpu < zone->mem->nr_cpus; cpu++) {
		for (i = 0; i < STACKS_PER_ZONE; i++) {
			unsigned stack = stacks_of(zone->id) + i;
			const struct pcp *pcp = zone->mem->pcp[cpu];

			if (stack_count(&pcp->stack[stack]))
				return ops_broken(v, "I-P6 cached while disabled, on CPU", cpu,
				    stack_count(&pcp->stack[stack]), 0);
			if (stack_capacity(&pcp->stack[stack]))
				return ops_broken(v, "I-P6 capacity while disabled, on CPU", cpu,
				    stack_capacity(&pcp->stack[stack]), 0);
		}
	}
	return true;
}

/* An isolated pageblock has no unmovable page, as a successful isolation promises. */
static bool check_isolated(struct mm_violation *v)
{
	pfn_t pfn;

	for (pfn = ops.mem->start_pfn; pfn < ops.mem->end_pfn; pfn += PAGEBLOCK_PAGES) {
		struct mm_fail fail = {.pfn = pfn};

		if (pageblock_isolated(pageblock_of(ops.mem, pfn)) &&
		    scan_unmovable(zone_of(ops.mem, pfn), block_range(pfn), &fail))
			return ops_broken(
			    v, "I-I8 unmovable page in an isolated pageblock", fail.pfn, 1, 0);
	}
	return true;
}

/* Every page is free or cached: all allocated pages have come back. */
static bool check_unused(struct mm_violation *v)
{
	unsigned long have = memory_free_pages(ops.mem), want = memory_managed_pages(ops.mem);

	return have == want || ops_broken(v, "leak pages free or cached", 0, have, want);
}

/* True: the CPUs that the last drain round sent an IPI to are those of the roles in @roles. */
static bool check_asked(const char *roles, struct mm_violation *v)
{
	unsigned long want = 0;

	for (; *roles >= 'A' && *roles < 'A' + RACE_ROLES; roles++)
		want |= 1UL << (*roles - 'A');
	return ops.mem->drain_mask[0] == want ||
	    ops_broken(v, "asked: CPUs of the last round", 0, ops.mem->drain_mask[0], want);
}

/* True: the page is flagged, and is retired or offline. */
static bool check_poisoned(pfn_t pfn, struct mm_violation *v)
{
	u32 word = page_word(pfn_to_page_in(ops.mem, pfn));

	if (!(word & PAGE_F_HWPOISON))
		return ops_broken(v, "unflagged broken page", pfn, word, PAGE_F_HWPOISON);
	return word_state(word) == PG_HWPOISON ||
	    pageblock_state(pageblock_of(ops.mem, pfn)) == PB_OFFLINE ||
	    ops_broken(v, "used broken page", pfn, word_state(word), PG_HWPOISON);
}

static bool check_healthy(pfn_t pfn, struct mm_violation *v)
{
	u32 word = page_word(pfn_to_page_in(ops.mem, pfn));

	return !(word & PAGE_F_HWPOISON) ||
	    ops_broken(v, "flagged page that was not taken", pfn, word, 0);
}

/* True: no role has allocated the page. */
static bool check_unsold(pfn_t pfn, struct mm_violation *v)
{
	const struct page *page = pfn_to_page_in(ops.mem, pfn);
	unsigned i;

	for (i = 0; i < ops.nr_hoard + RACE_ROLES; i++) {
		const struct page *head =
		    i < ops.nr_hoard ? ops.hoard[i] : ops.own[i - ops.nr_hoard];

		if (head && page >= head && page < head + (1UL << word_order(page_word(head))))
			return ops_broken(v, "I-H3 broken page was handed out", pfn, 1, 0);
	}
	return true;
}

bool ops_check(const char *what, struct mm_violation *v)
{
	if (!*what)
		return check_memory(ops.mem, v) == 0;
	if (!strcmp(what, "off"))
		return check_off(&ops.mem->zones[ZONE_MOVABLE], v);
	if (!strcmp(what, "final"))
		return ops_final(v);
	if (!strcmp(what, "isolated"))
		return check_isolated(v);
	if (!strcmp(what, "unused"))
		return check_unused(v);
	if (!strncmp(what, "asked(", 6))
		return check_asked(what + 6, v);
	if (!strncmp(what, "poisoned(", 9))
		return check_poisoned(ops_pfn(what + 9), v);
	if (!strncmp(what, "healthy(", 8))
		return check_healthy(ops_pfn(what + 8), v);
	if (!strncmp(what, "unsold(", 7))
		return check_unsold(ops_pfn(what + 7), v);
	return ops_broken(v, "unknown: no such check", 0, 0, 0);
}

static bool in_use(const struct page *page)
{
	switch (word_state(page_word(page))) {
	case PG_TAIL: /* a free page has this state, too */
	case PG_PCP:
	case PG_HWPOISON:
	case PG_RESERVED: return false;
	default: return true;
	}
}

static unsigned owned(const struct page *page)
{
	return page && in_use(page);
}

/*
 * The blocks in use are those that the roles know of, and no others. So no block is lost, and none
 * has two owners.
 */
static bool check_owners(struct mm_violation *v)
{
	unsigned long known = owned(ops.p) + owned(ops.q) + owned(ops.k) + vm_pages(), found = 0;
	pfn_t block, pfn;
	unsigned i;

	for (i = 0; i < RACE_ROLES; i++)
		known += owned(ops.own[i]);
	for (i = 0; i < ops.nr_hoard; i++)
		known += owned(ops.hoard[i]);
	for (i = 0; i < ARRAY_SIZE(ops.object); i++) {
		const struct page *page = ops.object[i].page;

		known += owned(page);
		if (page &&
		    (word_state(page_word(page)) != PG_MOVABLE_OPS ||
		        word_ref(page_word(page)) != 1u + READ_ONCE(page->pincount)))
			return ops_broken(v, "object word of its page",
			    page_to_pfn_in(ops.mem, page), page_word(page),
			    PAGE_WORD(1 + READ_ONCE(page->pincount), PG_MOVABLE_OPS, 0));
	}
	for (block = ops.mem->start_pfn; block < ops.mem->end_pfn; block += PAGEBLOCK_PAGES) {
		if (pageblock_state(pageblock_of(ops.mem, block)) != PB_ONLINE)
			continue;
		for_each_head(ops.mem, pfn, block)
			found += in_use(pfn_to_page_in(ops.mem, pfn));
	}
	return known == found || ops_broken(v, "leak blocks in use", 0, found, known);
}

/* Poisoned pages: retired, in use still, and offline. */
static u64 poisoned(void)
{
	struct poison_count n = mem_poisoned(ops.mem);

	return n.retired + n.doomed + n.offline;
}

#define COUNT(name, value)                                                                         \
	static u64 count_##name(void)                                                              \
	{                                                                                          \
		return (value);                                                                    \
	}                                                                                          \
	_Static_assert(1, #name)
COUNT(offline_cpu, READ_ONCE(smp_stats.offline_cpu) - ops.offline_cpu);
COUNT(from_alloc, READ_ONCE(smp_stats.from_alloc) - ops.from_alloc);
COUNT(cached, zone_pcp_pages(&ops.mem->zones[ZONE_MOVABLE]));
COUNT(cached_u, zone_pcp_pages(&ops.mem->zones[ZONE_NORMAL]));
COUNT(copied, mm_event_sum(ops.mem, EV_FAILURE_COPIED));
COUNT(refs, word_ref(page_word(pfn_to_page_in(ops.mem, ops.page_p))));
COUNT(tries, READ_ONCE(ops.vm.tries));

static const struct {
	const char *name;
	u64 (*fn)(void);
} counts[] = {
    {"offline_cpu", count_offline_cpu},
    {"from_alloc", count_from_alloc},
    {"cached", count_cached},
    {"cached(U)", count_cached_u},
    {"tries", count_tries},
    {"poisoned", poisoned},
    {"copied", count_copied},
    {"refs(V)", count_refs},
    {"tables", vm_tables},
};

unsigned ops_unseen(unsigned role, char *buf, size_t size)
{
	const char *what;
	unsigned nr = 0;
	size_t used = 0;

	buf[0] = '\0';
	while ((what = stores_unseen(role, nr))) {
		size_t skip = 0, parens = 0, len;

		/* "&(stack->top)" names stack->top. */
		for (; what[skip] == '&' || what[skip] == '('; skip++)
			parens += what[skip] == '(';
		len = strlen(what) - skip - parens;
		if (used + len + 6 < size) /* ", ..." */
			used += (size_t)ksnprintf(buf + used, size - used, "%s%.*s", nr ? ", " : "",
			    (int)len, what + skip);
		else if (used + 6 < size)
			size = used + (size_t)ksnprintf(buf + used, size - used, ", ...");
		nr++;
	}
	return nr;
}

void ops_detail(const char *what, char *buf, size_t size)
{
	buf[0] = '\0';
	if (!strcmp(what, "refs(V)") && ops.vm.object)
		vm_holders(buf, size);
	else if (!strncmp(what, "unseen(", 7))
		ops_unseen((unsigned)(what[7] - 'A'), buf, size);
}

bool ops_count(const char *what, u64 *value)
{
	char names[8];
	unsigned i;

	if (!strncmp(what, "unseen(", 7) && what[7] >= 'A' && what[7] < 'A' + RACE_ROLES) {
		if (value)
			*value = ops_unseen((unsigned)(what[7] - 'A'), names, sizeof(names));
		return true;
	}
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		if (strcmp(what, counts[i].name) != 0)
			continue;
		if (value)
			*value = counts[i].fn();
		return true;
	}
	return false;
}

bool ops_final(struct mm_violation *v)
{
	unsigned i;

	for (i = 0; i < NR_ZONE_KINDS; i++) {
		unsigned depth = ops.mem->zones[i].pcp_depth;

		if (depth != READ_ONCE(ops.depth[i]))
			return ops_broken(
			    v, "depth of zone of kind", i, depth, READ_ONCE(ops.depth[i]));
		if (depth && !check_off(&ops.mem->zones[i], v))
			return false;
	}
	if (READ_ONCE(smp_stats.from_alloc) != ops.from_alloc)
		return ops_broken(v, "from_alloc cross-calls", 0,
		    READ_ONCE(smp_stats.from_alloc) - ops.from_alloc, 0);
	if (READ_ONCE(smp_stats.offline_cpu) != ops.offline_cpu)
		return ops_broken(v, "offline_cpu calls to CPUs that had gone", 0,
		    READ_ONCE(smp_stats.offline_cpu) - ops.offline_cpu, 0);
	if (READ_ONCE(ops.isolated_twice))
		return ops_broken(v, "isolated: one pageblock, by two at once", 0, 1, 0);
	return check_isolated(v) && check_memory(ops.mem, v) == 0 && check_owners(v) && vm_sound(v);
}
