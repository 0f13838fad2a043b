/* SPDX-License-Identifier: MIT */
/*
 * model.c: judges the results of allocations, frees, references and poison requests.
 *
 * Owns:       m.
 * Locks:      none: one thread.
 * Invariants: the model judges results, and the state that a contract names: words of pages,
 *             counts, and the invariants of check_memory; never how often or in what order the code
 *             did something.
 * Tests:      tests/qemu/test_grade.py, tests/qemu/test_states.py.
 */
#include "model.h"
#include "mm/core/buddy.h"
#include "mm/core/free_map.h"
#include <quarry/poison.h>
#include <quarry/string.h>
#include <stdarg.h>
#include <stdio.h>

struct model m;
struct model_before before;
struct verdict verdict;
jmp_buf verdict_given;

void broken(s64 pfn, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(verdict.text, sizeof(verdict.text), fmt, ap);
	va_end(ap);
	verdict.pfn = pfn;
	longjmp(verdict_given, 1);
}

void model_begin(const struct wire_shape *s)
{
	unsigned i, k, at = 1;

	memset(&m, 0, sizeof(m));
	m.mem = shape_memory(s);
	m.shape = *s;
	m.first = 1;
	m.last_freed = -1;
	memset(m.at, 0xff, sizeof(m.at));
	for (i = 0; i < WIRE_ZONES; i++) {
		for (k = 0; k < s->zone[i].blocks; k++, at++) {
			struct model_block *b = &m.block[at];
			unsigned kept = at == s->reserved ? 3 : 0, n;

			b->zone = (u8)(s->zone[i].node * NR_ZONE_KINDS + s->zone[i].kind);
			b->hole = at == s->hole;
			b->reserved = kept > 0;
			b->lent = at == s->lent;
			if (b->hole)
				continue;
			m.managed += PAGEBLOCK_PAGES - kept;
			for (n = 0; n < kept; n++)
				m.owner[block_pfn(at) + n] = OWNER_KEPT;
		}
	}
	m.blocks = at - 1;
	m.managed_at_start = m.managed;
}

/* ---- owners of pages ---- */

static void own(pfn_t pfn, unsigned order, unsigned who)
{
	pfn_t end = pfn + (1UL << order);

	WANT_OF(pfn >= block_pfn(m.first) && end <= block_pfn(m.first + m.blocks), pfn,
	    "a block outside the memory: pfn %#lx, order %u", pfn, order);
	WANT_OF(!(pfn & ((1UL << order) - 1)), pfn,
	    "a block that is not aligned to its order: pfn %#lx, order %u", pfn, order);
	for (; pfn < end; pfn++) {
		WANT_OF(
		    !m.owner[pfn], pfn, "pfn %#lx was handed out, but it is in use already", pfn);
		m.owner[pfn] = (u16)who;
	}
	m.in_use += 1UL << order;
}

static void disown(pfn_t pfn, unsigned order)
{
	memset(&m.owner[pfn], 0, sizeof(m.owner[0]) << order);
	m.in_use -= 1UL << order;
}

void model_resync(const u64 *at)
{
	unsigned h;

	for (h = 0; h < NR_HANDLES; h++) {
		if (m.at[h] != ~0ULL)
			disown(m.at[h], m.handle_order[h]);
		m.at[h] = ~0ULL;
	}
	for (h = 0; h < NR_HANDLES; h++) {
		if (at[h] == ~0ULL)
			continue;
		own(at[h], m.handle_order[h], OWNER_HANDLE + h);
		m.at[h] = at[h];
	}
}

/* Judge whether a request with these flags may be served from @pfn. */
static void judge_place(pfn_t pfn, gfp_t gfp, unsigned cpu)
{
	const struct model_block *b = &m.block[block_index(pfn)];
	const struct zone *zone = &m.mem->zones[b->zone];
	bool movable = gfp & GFP_MOVABLE;

	WANT_OF(!b->hole && !b->offline, pfn, "pfn %#lx was handed out: its pageblock is %s", pfn,
	    b->hole ? "a hole" : "offline");
	WANT_OF(!b->isolated, pfn, "pfn %#lx was handed out from an isolated pageblock", pfn);
	WANT_OF(movable || zone->kind != ZONE_MOVABLE, pfn,
	    "an unmovable request got pfn %#lx of zone MOVABLE", pfn);
	WANT_OF(movable || !b->lent, pfn,
	    "an unmovable request got pfn %#lx, of a pageblock that is lent to movable ones", pfn);
	WANT_OF(!(gfp & GFP_DMA32) || zone->kind == ZONE_DMA32, pfn,
	    "a request for memory below 4 GiB got pfn %#lx above", pfn);
	WANT_OF(!(gfp & GFP_THISNODE) || zone->node == cpu % 2 % m.shape.nodes, pfn,
	    "a request for this node only got pfn %#lx of another", pfn);
}

/* @alone: no other block was taken by the same call. */
static void allocated(s64 pfn, gfp_t gfp, unsigned order, unsigned cpu, bool alone)
{
	u32 word;

	WANT(order <= MAX_ORDER, "an allocation of order %u succeeded: the largest is %d", order,
	    MAX_ORDER);
	WANT(m.nr_live < NR_LIVE, "the judge's table is full");
	own((pfn_t)pfn, order, OWNER_LIVE + m.nr_live);
	judge_place((pfn_t)pfn, gfp, cpu);
	if (alone)
		judge_split((pfn_t)pfn, gfp, order);
	word = page_word(pfn_to_page_in(m.mem, (pfn_t)pfn));
	WANT_OF(word == PAGE_WORD(1, PG_ALLOC, order), pfn,
	    "the head of an allocated block of order %u is in state %s, order %u, with %u "
	    "references: expected state alloc with 1",
	    order, page_state_name(word_state(word)), word_order(word), word_ref(word));
	m.live[m.nr_live++] =
	    (struct model_live){.pfn = (u32)pfn, .order = (u8)order, .refs = 1, .gfp = gfp};
}

static void retire(pfn_t pfn)
{
	own(pfn, 0, OWNER_BROKEN);
	m.nr_retired++;
	model_counts(EV_POISON_RETIRED, 1);
}

static void freed(unsigned index)
{
	struct model_live *l = &m.live[index];
	pfn_t pfn;

	m.last_freed = l->pfn;
	disown(l->pfn, l->order);
	for (pfn = l->pfn; pfn < l->pfn + (1UL << l->order); pfn++) {
		if (!m.doomed[pfn])
			continue;
		m.doomed[pfn] = false;
		m.nr_doomed--;
		retire(pfn);
	}
	*l = m.live[--m.nr_live];
	if (index < m.nr_live) {
		disown(l->pfn, l->order);
		own(l->pfn, l->order, OWNER_LIVE + index);
	}
}

/* ---- calls ---- */

bool model_whole(unsigned block)
{
	return !m.block[block].hole && !m.block[block].offline &&
	    free_map_largest(&tree_of(m.mem, block_pfn(block))->map) == MAX_ORDER;
}

void model_before(const struct wire_call *c)
{
	if (c->code == CALL_ALLOC || c->code == CALL_BULK_ALLOC)
		split_before();
	stacks_before(c);
	counts_before();
	records_before();
	before.must =
	    (c->code == CALL_ALLOC && model_must_succeed((gfp_t)c->a, (unsigned)c->b, c->cpu)) ||
	    (c->code == CALL_BULK_ALLOC && model_must_succeed((gfp_t)c->a, 0, c->cpu)) ||
	    (c->code == CALL_HOLD &&
	        model_must_succeed((gfp_t)c->c | GFP_MOVABLE, (unsigned)c->b, c->cpu));
}

static unsigned live_at(s64 pfn)
{
	if (pfn < 0 || pfn >= (s64)ARENA_PAGES || !(m.owner[pfn] & OWNER_LIVE) ||
	    m.live[m.owner[pfn] - OWNER_LIVE].pfn != pfn)
		return NR_LIVE;
	return m.owner[pfn] - OWNER_LIVE;
}

void model_own_page(pfn_t pfn)
{
	WANT(m.nr_live < NR_LIVE, "the judge's table is full");
	own(pfn, 0, OWNER_LIVE + m.nr_live);
	m.live[m.nr_live++] = (struct model_live){.pfn = (u32)pfn, .refs = 1, .gfp = GFP_MOVABLE};
}

void model_disown_page(pfn_t pfn)
{
	freed(live_at((s64)pfn));
}

bool model_plain_page(pfn_t pfn)
{
	unsigned i = live_at((s64)pfn);

	return i < NR_LIVE && !m.live[i].order && m.live[i].refs == 1 && !m.live[i].pins;
}

static void judge_alloc(const struct wire_call *c, const struct wire_result *r)
{
	unsigned order = (unsigned)c->b;

	WANT(r->r >= 0 || !before.must,
	    "an allocation of order %u failed, where a zone has a block and is above its "
	    "watermarks",
	    order);
	if (r->r >= 0)
		allocated(r->r, (gfp_t)c->a, order, c->cpu, true);
	else
		judge_refusal((gfp_t)c->a, order, c->cpu);
	model_counts(EV_ALLOC_BAD_ORDER, order > MAX_ORDER);
	model_counts_alloc(order > MAX_ORDER ? 0 : (gfp_t)c->a, r->r < 0);
}

static void judge_free(const struct wire_call *c, const struct wire_result *r)
{
	unsigned i = live_at(c->a);

	if (i < NR_LIVE &&
	    (m.live[i].order != c->b || m.live[i].refs != 1 || m.live[i].pins || c->c))
		i = NR_LIVE;
	if (i == NR_LIVE) {
		WANT_OF(r->r == -EINVAL, c->a,
		    "a wrong free of pfn %#llx, order %lld, returned %lld: expected -EINVAL",
		    (unsigned long long)c->a, (long long)c->b, (long long)r->r);
		model_counts(EV_BAD_FREE, 1);
		return;
	}
	WANT_OF(r->r == 0, c->a, "a free of pfn %#llx, order %lld, returned %lld: expected 0",
	    (unsigned long long)c->a, (long long)c->b, (long long)r->r);
	freed(i);
}

static void judge_bulk(const struct wire_call *c, const struct wire_result *r)
{
	s64 i, ok = 0;

	if (c->code == CALL_BULK_ALLOC) {
		WANT(r->r >= 0 && r->r <= c->b && (r->r || !before.must || !c->b),
		    "a bulk allocation of %lld pages returned %lld", (long long)c->b,
		    (long long)r->r);
		for (i = 0; i < r->r; i++)
			allocated(r->pfns[i], (gfp_t)c->a, 0, c->cpu, false);
		if (r->r < c->b)
			judge_refusal((gfp_t)c->a, 0, c->cpu);
		model_counts_alloc((gfp_t)c->a, r->r < c->b);
		return;
	}
	for (i = 0; i < c->a; i++) {
		unsigned l = live_at((s32)c->pfns[i]);

		if (l < NR_LIVE && !m.live[l].order && m.live[l].refs == 1 && !m.live[l].pins) {
			freed(l);
			ok++;
		}
	}
	WANT(r->r == c->a - ok, "a bulk free refused %lld pages: expected %lld", (long long)r->r,
	    (long long)(c->a - ok));
	model_counts(EV_BAD_FREE, (u64)r->r);
}

static void judge_refs(const struct wire_call *c, const struct wire_result *r)
{
	unsigned i = live_at(c->a);
	struct model_live *l = &m.live[MIN(i, NR_LIVE - 1u)];
	s64 want = 0;

	WANT(i < NR_LIVE || c->code == CALL_PUT, "the judge asked for a page that is not in use");
	switch (c->code) {
	case CALL_PIN: l->pins++; /* fall through */
	case CALL_GET: l->refs++; break;
	case CALL_UNPIN: l->pins--; /* fall through */
	default:
		if (i == NR_LIVE || (c->code == CALL_PUT && l->refs == 1 && l->pins == 1))
			want = -EINVAL;
		else
			l->refs--;
		break;
	}
	WANT_OF(r->r == want, c->a, "the call returned %lld: expected %lld", (long long)r->r,
	    (long long)want);
	model_counts(EV_BAD_FREE, want != 0);
	if (i < NR_LIVE && !l->refs)
		freed(i);
}

/*
 * Judge a request for a page that is not reserved, in a pageblock that is online and not isolated.
 */
static void judge_poison(const struct wire_call *c, const struct wire_result *r)
{
	u16 who = m.owner[c->a];
	bool live = who & OWNER_LIVE, held = who & OWNER_HANDLE, no_room = false;
	bool pinned = held && m.handle_pins[who - OWNER_HANDLE];
	s64 want = 0;

	switch (c->code) {
	case CALL_BREAK:
		want = who == OWNER_BROKEN || m.doomed[c->a] ? -EHWPOISON : live ? -EBUSY : 0;
		break;
	case CALL_SOFT:
		want = live || pinned ? -EBUSY : 0;
		no_room = held && !pinned && r->r == -ENOMEM;
		break;
	default: want = who == OWNER_BROKEN ? 0 : m.doomed[c->a] ? -EBUSY : -EINVAL; break;
	}
	WANT_OF(r->r == want || no_room, c->a, "the call returned %lld: expected %lld",
	    (long long)r->r, (long long)want);
	if (c->code == CALL_SOFT)
		model_counts(r->r ? EV_SOFT_OFFLINE_FAIL : EV_SOFT_OFFLINE_OK, 1);
	else
		model_counts(c->code == CALL_BREAK ? EV_FAILURE_RECOVERED : EV_UNPOISON_OK, !want);
	if (c->code == CALL_BREAK && want == -EBUSY) {
		m.doomed[c->a] = true;
		m.nr_doomed++;
		model_counts(EV_FAILURE_IGNORED, 1);
	}
	if (want || no_room)
		return;
	if (c->code == CALL_REPAIR) {
		disown((pfn_t)c->a, 0);
		m.nr_retired--;
	} else if (who != OWNER_BROKEN) {
		/* The content of the page has been moved elsewhere. */
		model_resync(r->at);
		retire((pfn_t)c->a);
	}
}

void model_after(const struct wire_call *c, const struct wire_result *r)
{
	unsigned i;

	WANT(!r->dirty, "%u blocks are not zeroed, as GFP_ZERO asks", r->dirty);
	/* An allocation that waits may get a page from which an object was moved. */
	if (c->code == CALL_ALLOC || c->code == CALL_BULK_ALLOC)
		model_resync(r->at);
	switch (c->code) {
	case CALL_ALLOC: judge_alloc(c, r); break;
	case CALL_FREE: judge_free(c, r); break;
	case CALL_BULK_ALLOC:
	case CALL_BULK_FREE: judge_bulk(c, r); break;
	case CALL_GET:
	case CALL_PUT:
	case CALL_PIN:
	case CALL_UNPIN: judge_refs(c, r); break;
	case CALL_DRAIN:
	case CALL_DRAIN_HERE:
	case CALL_DISABLE:
	case CALL_ENABLE:
	case CALL_REFRESH: judge_cache(c, r); break;
	case CALL_BUILD:
		WANT(r->r == 0, "the memory could not be built: step %lld", (long long)r->r);
		break;
	case CALL_HOLD:
	case CALL_DROP:
	case CALL_HOLD_WRITE:
	case CALL_HOLD_CHECK:
	case CALL_HOLD_PIN:
	case CALL_HOLD_UNPIN:
	case CALL_MOVE:
	case CALL_PUT_BACK: judge_handle(c, r); break;
	case CALL_BREAK:
	case CALL_SOFT:
	case CALL_REPAIR: judge_poison(c, r); break;
	default: judge_range(c, r); break;
	}
	model_resync(r->at);
	for (i = m.first; i < m.first + m.blocks; i++)
		m.block[i].reported = m.block[i].reported && model_whole(i);
	if (c->code == CALL_BUILD)
		return;
	judge_records(c);
	judge_counts(c);
}

/* ---- the whole memory ---- */

/* The word without the pinned flag, which must be set if the page has pins. */
static u32 unpinned(u32 word, pfn_t pfn, unsigned pins)
{
	WANT_OF(!pins || word & PAGE_PINNED, pfn, "pfn %#lx is pinned, and not marked so", pfn);
	return word & ~PAGE_PINNED;
}

static void check_words(void)
{
	unsigned i;

	for (i = 0; i < m.nr_live; i++) {
		const struct model_live *l = &m.live[i];
		u32 word = page_word(pfn_to_page_in(m.mem, l->pfn));

		WANT_OF((unpinned(word, l->pfn, l->pins) & ~PAGE_POISON) ==
		        PAGE_WORD(l->refs, PG_ALLOC, l->order),
		    l->pfn,
		    "the allocated block at pfn %#x is in state %s, order %u, with %u references: "
		    "expected state alloc, order %u, %u references",
		    l->pfn, page_state_name(word_state(word)), word_order(word), word_ref(word),
		    l->order, l->refs);
	}
	for (i = 0; i < NR_HANDLES; i++) {
		u32 word;

		if (m.at[i] == ~0ULL)
			continue;
		word = page_word(pfn_to_page_in(m.mem, m.at[i]));
		WANT_OF(unpinned(word, m.at[i], m.handle_pins[i]) ==
		        PAGE_WORD(1 + m.handle_pins[i], PG_MOVABLE_OPS, m.handle_order[i]),
		    m.at[i], "the page of handle %u, pfn %#llx, is in state %s, with %u references",
		    i, (unsigned long long)m.at[i], page_state_name(word_state(word)),
		    word_ref(word));
	}
}

void model_check(void)
{
	struct mm_violation v;
	unsigned long have;
	unsigned i;

	struct poison_count broken_pages = mem_poisoned(m.mem);

	check_words();
	WANT(!ARENA->table.corrupt, "the content of a movable object has changed");
	WANT(m.mem->iso_pending == 0, "%u isolations are still counted as pending after the call",
	    m.mem->iso_pending);
	/* I-P7, the last condition on a zone, does not hold for the caches that a shape sets. */
	if (check_memory(m.mem, &v) &&
	    !(m.shape.caches[0] && v.what && !strncmp(v.what, "I-P7", 4)))
		broken((s64)v.pfn, "check_memory: %s: at %#lx, %#lx instead of %#lx",
		    v.what ? v.what : "it could not run", v.pfn, v.have, v.want);
	WANT(broken_pages.retired + broken_pages.offline == m.nr_retired &&
	        broken_pages.doomed == m.nr_doomed,
	    "%lu pages are retired and %lu doomed: expected %u and %u",
	    broken_pages.retired + broken_pages.offline, broken_pages.doomed, m.nr_retired,
	    m.nr_doomed);
	have = memory_managed_pages(m.mem);
	WANT(have == m.managed, "%lu pages are managed: expected %lu", have, m.managed);
	have = memory_free_pages(m.mem);
	WANT(have + m.in_use == m.managed, "%lu pages are free, listed or cached: expected %lu",
	    have, m.managed - m.in_use);
	for (i = 0; i < m.shape.nodes * NR_ZONE_KINDS; i++) {
		WANT(m.mem->zones[i].pcp_depth == m.depth[i],
		    "the caches of zone %u are off %u times: expected %u", i,
		    m.mem->zones[i].pcp_depth, m.depth[i]);
		WANT(!m.depth[i] || zone_pcp_pages(&m.mem->zones[i]) == 0,
		    "%lu pages of zone %u are cached while its caches are off",
		    zone_pcp_pages(&m.mem->zones[i]), i);
	}
	check_blocks();
}

void model_end(void)
{
	unsigned i;

	WANT(!m.nr_live && !m.in_use, "the judge has not given everything back");
	for (i = 0; i < m.shape.nodes * NR_ZONE_KINDS; i++)
		WANT(m.mem->zones[i].nr_free == m.mem->zones[i].managed,
		    "after everything was given back, zone %u has %lu free pages of %lu", i,
		    m.mem->zones[i].nr_free, m.mem->zones[i].managed);
	for (i = m.first; i < m.first + m.blocks; i++)
		WANT(m.block[i].hole || m.block[i].reserved ||
		        free_map_largest(&tree_of(m.mem, block_pfn(i))->map) == MAX_ORDER,
		    "after everything was given back, the pageblock at pfn %#lx is not one block",
		    block_pfn(i));
}
