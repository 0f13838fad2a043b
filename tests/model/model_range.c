/* SPDX-License-Identifier: MIT */
/*
 * model_range.c: judges the results of calls on ranges and movable pages: isolate, offline, online,
 * contiguous ranges, handles, moves.
 *
 * Owns:       the pageblocks and handles in m.
 * Locks:      none: one thread.
 * Invariants: as model.c.
 * Tests:      tests/qemu/test_grade.py, tests/qemu/test_states.py.
 */
#include "model.h"
#include "mm/hotplug/isolate.h"
#include <quarry/isolation.h>
#include <quarry/memory_hotplug.h>

struct model_range model_look(pfn_t start, unsigned long nr)
{
	pfn_t from = block_pfn(m.first), to = block_pfn(m.first + m.blocks);
	struct model_range r = {.first = -1};
	unsigned i, h;

	r.beyond = nr == 0 || start % PAGEBLOCK_PAGES || nr % PAGEBLOCK_PAGES || start < from ||
	    start >= to || nr > to - start;
	r.bad = r.beyond;
	if (r.bad)
		return r;
	r.blocks = (unsigned)(nr >> PAGEBLOCK_ORDER);
	for (i = block_index(start); i < block_index(start) + r.blocks; i++) {
		const struct model_block *b = &m.block[i];

		r.bad |= b->hole || b->zone != m.block[block_index(start)].zone;
		r.offline += b->offline;
		r.isolated += b->isolated;
		r.reserved += b->reserved;
	}
	for (i = 0; i < m.nr_live; i++) {
		pfn_t pfn = m.live[i].pfn;
		const struct model_block *b = &m.block[block_index(pfn)];

		if (pfn < start || pfn - start >= nr)
			continue;
		r.live++;
		if (m.mem->zones[b->zone].kind == ZONE_MOVABLE || b->lent ||
		    pageblock_type(pageblock_of(m.mem, pfn)) == MT_MOVABLE)
			continue;
		r.unmovable++;
		if (r.first < 0 || r.first > (s64)pfn)
			r.first = (s64)pfn;
	}
	for (h = 0; h < NR_HANDLES; h++) {
		if (m.at[h] != ~0ULL && m.at[h] >= start && m.at[h] - start < nr) {
			r.handles++;
			r.pinned += m.handle_pins[h] > 0;
		}
	}
	return r;
}

void check_blocks(void)
{
	unsigned i;

	for (i = m.first; i < m.first + m.blocks; i++) {
		const struct pageblock *pb = pageblock_of(m.mem, block_pfn(i));
		const struct model_block *b = &m.block[i];
		enum pageblock_state state = b->hole ? PB_HOLE
		    : b->offline                     ? PB_OFFLINE
		                                     : PB_ONLINE;

		WANT_OF(pageblock_isolated(pb) == b->isolated, block_pfn(i),
		    "the pageblock at pfn %#lx is %sisolated: expected %s", block_pfn(i),
		    pageblock_isolated(pb) ? "" : "not ",
		    b->isolated ? "that it is" : "that it is not");
		WANT_OF(pageblock_state(pb) == state, block_pfn(i),
		    "the pageblock at pfn %#lx is in state %d: expected %d", block_pfn(i),
		    pageblock_state(pb), state);
		WANT_OF(!(pb->bits & PB_REPORTED) == !b->reported, block_pfn(i),
		    "the pageblock at pfn %#lx is %smarked as reported", block_pfn(i),
		    b->reported ? "not " : "");
		WANT_OF(b->hole || (pageblock_type(pb) == MT_CMA) == b->lent, block_pfn(i),
		    "the pageblock at pfn %#lx is of type %d: it is %slent", block_pfn(i),
		    pageblock_type(pb), b->lent ? "" : "not ");
	}
}

static void mark(pfn_t start, unsigned long nr, bool isolated, bool offline)
{
	unsigned i;

	for (i = block_index(start); i < block_index(start) + (nr >> PAGEBLOCK_ORDER); i++) {
		m.block[i].isolated = isolated;
		m.block[i].offline = offline;
	}
}

/* The number of retired pages: they go offline with their pageblock, and come back retired. */
static unsigned long broken_in(pfn_t start, unsigned long nr)
{
	unsigned long found = 0;
	pfn_t pfn;

	for (pfn = start; pfn < start + nr; pfn++)
		found += m.owner[pfn] == OWNER_BROKEN;
	return found;
}

/*
 * Is much of the remaining memory free?  Then a block of a small order is easy to find, unless the
 * memory is as small as those of tests/states.
 */
static bool much_is_free(unsigned long leaving)
{
	return !model_strict() && m.managed - m.in_use > leaving + m.managed / 2;
}

static void judge_isolate(const struct wire_call *c, const struct wire_result *r)
{
	pfn_t start = (pfn_t)c->a;
	unsigned long nr = (unsigned long)c->b;
	struct model_range range = model_look(start, nr);
	const char *text = mm_why_text((enum mm_why)r->why);

	if (!range.bad && !c->irqs_off)
		range.bad = iso_ops((enum iso_policy)c->c)->caches_off &&
		    !m.depth[m.block[block_index(start)].zone];
	if (range.bad) {
		WANT(r->r == -EINVAL, "isolating a bad range returned %lld: expected -EINVAL",
		    (long long)r->r);
	} else if (c->irqs_off) {
		WANT(r->r < 0, "isolating with interrupts off returned %lld", (long long)r->r);
	} else if (range.offline || range.isolated || range.reserved || range.unmovable ||
	    range.pinned) {
		WANT(r->r == -EBUSY || (range.offline && r->r == -EINVAL),
		    "isolating %u pageblocks at %#lx returned %lld: expected -EBUSY: %u are "
		    "offline, "
		    "%u isolated, %u with reserved pages, %u unmovable blocks, %u pinned pages",
		    range.blocks, start, (long long)r->r, range.offline, range.isolated,
		    range.reserved, range.unmovable, range.pinned);
		WANT(range.offline || range.isolated || range.reserved || range.pinned ||
		        r->pfn == range.first,
		    "isolating failed, as expected, but names pfn %#llx as the first blocker: "
		    "expected %#llx",
		    (unsigned long long)r->pfn, (unsigned long long)range.first);
	} else {
		WANT(r->r == 0,
		    "isolating %u pageblocks at %#lx returned %lld (%s, pfn %#llx): expected 0",
		    range.blocks, start, (long long)r->r, text, (unsigned long long)r->pfn);
		mark(start, nr, true, false);
		model_counts(EV_ISO_BLOCKS, range.blocks);
	}
	WANT(!r->r || c->irqs_off || r->why != WHY_NONE, "isolating failed without a reason");
}

/* As test_pages_isolated: the first page that is not isolated, or not free, decides. */
static void judge_test(const struct wire_call *c, const struct wire_result *r)
{
	pfn_t start = (pfn_t)c->a, end = start + (pfn_t)c->b, pfn, busy = PFN_NONE;
	s64 want = model_look(start, (unsigned long)c->b).bad ? -EINVAL : 0;

	for (pfn = start; pfn < end && !want; pfn++) {
		if (!m.block[block_index(pfn)].isolated)
			want = -EINVAL;
		else if (m.owner[pfn])
			want = -EBUSY, busy = pfn;
	}
	WANT_OF(r->r == want, want == -EBUSY ? (s64)busy : -1,
	    "test_pages_isolated of [%#lx, %#lx) returned %lld: expected %lld", start, end,
	    (long long)r->r, (long long)want);
	WANT_OF(want != -EBUSY || r->pfn == (s64)busy, busy,
	    "test_pages_isolated names pfn %#llx: the first page that is not free is %#lx",
	    (unsigned long long)r->pfn, busy);
}

static void judge_offline(const struct wire_call *c, const struct wire_result *r)
{
	struct model_range range = model_look((pfn_t)c->a, (unsigned long)c->b);
	long long err = (long long)r->r, query = (long long)m.queried;
	bool opts = !(c->d & OFFLINE_PLAIN);
	enum iso_policy policy =
	    opts && c->c < NR_ISO_POLICIES ? (enum iso_policy)c->c : m.mem->policy;

	WANT(!range.bad || query == -EINVAL, "a query of a bad range returned %lld", query);
	WANT(!query || err == query, "a query returned %lld, the offline %lld", query, err);
	if (!query) {
		WANT(!range.reserved && !range.pinned && !range.unmovable && !range.offline,
		    "offline_query has missed a blocker");
		if (range.isolated)
			WANT(err == -EBUSY, "offlining an isolated range returned %lld", err);
		else if (opts && c->d & OFFLINE_CANCELLED)
			WANT(err == -EINTR, "offlining, cancelled before, returned %lld", err);
		else if (range.live)
			WANT(err < 0, "offlining a range with pages in use returned %lld", err);
		else if (range.handles && !c->d && much_is_free((unsigned long)c->b))
			WANT(!err,
			    "offlining a range with movable pages only, which have room elsewhere, "
			    "returned %lld (%s, pfn %#llx)",
			    err, mm_why_text((enum mm_why)r->why), (unsigned long long)r->pfn);
		else if (range.handles)
			WANT(!err || err == -ENOMEM || err == -EBUSY || err == -ETIMEDOUT,
			    "offlining a range with movable pages returned %lld", err);
		else
			WANT(!err, "offlining free memory returned %lld (%s, pfn %#llx)", err,
			    mm_why_text((enum mm_why)r->why), (unsigned long long)r->pfn);
	}
	WANT(!err || r->why != WHY_NONE, "offlining failed without a reason");
	if (err) {
		model_counts(EV_OFFLINE_FAIL, 1);
		return;
	}
	WANT(r->moved == range.handles, "%lld blocks were moved: %u were there",
	    (long long)r->moved, range.handles);
	/* No round is made where the caches are off already. */
	WANT(!model_strict() || r->rounds == 1 || (r->rounds && !iso_policy_one_round(policy)) ||
	        (!r->rounds && iso_ops(policy)->caches_off &&
	            m.depth[m.block[block_index((pfn_t)c->a)].zone]),
	    "the offline made %u drain rounds", r->rounds);
	model_counts(EV_OFFLINE_OK, 1);
	model_counts(EV_ISO_BLOCKS, range.blocks);
	mark((pfn_t)c->a, (unsigned long)c->b, false, true);
	m.managed -= (unsigned long)c->b;
	m.in_use -= broken_in((pfn_t)c->a, (unsigned long)c->b);
}

static void judge_online(const struct wire_call *c, const struct wire_result *r)
{
	struct model_range range = model_look((pfn_t)c->a, (unsigned long)c->b);
	s64 want = range.bad || (range.offline && range.offline < range.blocks) ? -EINVAL
	    : !range.offline                                                    ? -EALREADY
	                                                                        : 0;

	WANT(r->r == want, "onlining %lld pages at %#llx returned %lld: expected %lld",
	    (long long)c->b, (unsigned long long)c->a, (long long)r->r, (long long)want);
	model_counts(want ? EV_ONLINE_FAIL : EV_ONLINE_OK, 1);
	if (want)
		return;
	mark((pfn_t)c->a, (unsigned long)c->b, false, false);
	m.managed += (unsigned long)c->b;
	m.in_use += broken_in((pfn_t)c->a, (unsigned long)c->b);
}

/* The pages [start, end) need not be whole pageblocks; they become live blocks, as if movable. */
static void judge_contig(const struct wire_call *c, const struct wire_result *r)
{
	pfn_t start = (pfn_t)c->a, end = (pfn_t)c->b, pfn;
	pfn_t from = ALIGN_DOWN(start, PAGEBLOCK_PAGES), to = ALIGN_UP(end, PAGEBLOCK_PAGES);
	struct model_range range = model_look(from, to - from);
	bool busy = range.isolated > 0, fixed = false, moves = false;
	long long err = (long long)r->r;

	for (pfn = start; !range.bad && pfn < end; pfn++) {
		u16 who = m.owner[pfn];

		fixed |= who == OWNER_KEPT || who & OWNER_LIVE ||
		    (who & OWNER_HANDLE && m.handle_pins[who - OWNER_HANDLE]);
		moves |= (who & OWNER_HANDLE) != 0;
	}
	if (range.bad || range.offline)
		WANT(err == -EINVAL, "alloc_contig_range of a bad range returned %lld", err);
	else if (busy)
		WANT(err == -EBUSY, "alloc_contig_range of isolated pages returned %lld", err);
	else if (fixed)
		WANT(err < 0, "alloc_contig_range over what cannot move returned %lld", err);
	else
		WANT(!err || (moves && (err == -EBUSY || err == -ENOMEM)),
		    "alloc_contig_range of [%#lx, %#lx) returned %lld (%s, pfn %#llx)", start, end,
		    err, mm_why_text((enum mm_why)r->why), (unsigned long long)r->pfn);
	WANT(!err || r->why != WHY_NONE, "alloc_contig_range failed without a reason");
	model_counts(err ? EV_CONTIG_FAIL : EV_CONTIG_OK, 1);
	if (err)
		return;
	/* The pages that were moved are elsewhere now. */
	model_resync(r->at);
	for (pfn = start; pfn < end; pfn++)
		model_own_page(pfn);
}

static void judge_contig_free(const struct wire_call *c, const struct wire_result *r)
{
	s64 i;

	for (i = 0; i < c->b; i++)
		model_disown_page((pfn_t)(c->a + i));
	WANT(r->r == 0, "free_contig_range refused %lld of %lld pages", (long long)r->r,
	    (long long)c->b);
}

/*
 * Each pageblock that is wholly free, and that the host does not know, is reported; but the zone
 * keeps its high watermark, and another such pageblock, in lent ones only if this one is lent.
 */
static void judge_report(const struct wire_call *c, const struct wire_result *r)
{
	unsigned gone[MAX_ZONES][2] = {{0}}, wholes[MAX_ZONES][2] = {{0}}, i, nr = 0;
	struct model_block *b;

	for (i = m.first; i < m.first + m.blocks; i++) {
		b = &m.block[i];
		wholes[b->zone][b->lent] += model_whole(i) && !b->isolated;
	}
	for (i = m.first; i < m.first + m.blocks; i++) {
		const struct zone *z = &m.mem->zones[(b = &m.block[i])->zone];
		unsigned long left = z->nr_free - PAGEBLOCK_PAGES * gone[b->zone][b->lent];

		left -= b->lent ? PAGEBLOCK_PAGES * gone[b->zone][false] : z->nr_free_cma;
		if (b->reported || b->isolated || !model_whole(i) || wholes[b->zone][b->lent] < 2 ||
		    left < z->wmark[WMARK_HIGH] + PAGEBLOCK_PAGES)
			continue;
		wholes[b->zone][b->lent]--;
		gone[b->zone][b->lent]++;
		WANT_OF(nr < r->r && r->pfns[nr] == block_pfn(i), block_pfn(i),
		    "the free pageblock at pfn %#lx is not reported", block_pfn(i));
		nr++;
		b->reported = c->b;
	}
	WANT(nr == r->r, "%lld pageblocks are reported: expected %u", (long long)r->r, nr);
	model_counts(EV_REPORTED, c->b ? nr : 0);
}

void judge_range(const struct wire_call *c, const struct wire_result *r)
{
	switch (c->code) {
	case CALL_ISOLATE: judge_isolate(c, r); break;
	case CALL_UNDO:
		if (!model_look((pfn_t)c->a, (unsigned long)c->b).beyond) {
			unsigned i = block_index((pfn_t)c->a);
			unsigned end = i + (unsigned)(c->b >> PAGEBLOCK_ORDER);

			for (; i < end; i++) {
				model_counts(EV_ISO_UNDONE, m.block[i].isolated);
				m.block[i].isolated = false;
			}
		}
		break;
	case CALL_TEST: judge_test(c, r); break;
	case CALL_QUERY: m.queried = r->r; break;
	case CALL_OFFLINE: judge_offline(c, r); break;
	case CALL_ONLINE: judge_online(c, r); break;
	case CALL_CONTIG: judge_contig(c, r); break;
	case CALL_FREE_RANGE: judge_contig_free(c, r); break;
	case CALL_REPORT: judge_report(c, r); break;
	default: break;
	}
}

static void judge_hold(const struct wire_call *c, const struct wire_result *r)
{
	bool bad = c->a >= NR_HANDLES || c->b > 3;

	if (bad || m.at[c->a] != ~0ULL) {
		WANT(r->r == (bad ? -EINVAL : -EBUSY) || (!bad && r->r == -ENOMEM && !before.must),
		    "handle_alloc of a handle that is in use, or not there, returned %lld",
		    (long long)r->r);
		return;
	}
	WANT(!r->r || (r->r == -ENOMEM && !before.must), "handle_alloc returned %lld: expected 0",
	    (long long)r->r);
	if (r->r)
		judge_refusal((gfp_t)c->c | GFP_MOVABLE, (unsigned)c->b, c->cpu);
	m.handle_order[c->a] = (u8)c->b;
	m.handle_pins[c->a] = 0;
}

static void judge_move(const struct wire_call *c, const struct wire_result *r)
{
	unsigned i, h, dropped = c->b == MEANWHILE_DROP, pinned = c->b == MEANWHILE_PIN;

	for (i = 0; i < c->a; i++) {
		unsigned who = m.owner[c->pfns[i]], want = EAGAIN;

		if (who & OWNER_HANDLE)
			want = m.handle_pins[who - OWNER_HANDLE] ? EBUSY : 0;
		WANT_OF(r->pfns[i] == want, c->pfns[i],
		    "isolate_movable_page of pfn %#x returned -%u: expected -%u", c->pfns[i],
		    r->pfns[i], want);
	}
	WANT(!r->why, "an isolated object could not be pinned or freed: -%lld", (long long)r->why);
	m.handle_pins[c->c] += pinned;
	if (c->code == CALL_MOVE)
		WANT(r->r >= pinned && r->r <= (much_is_free(0) ? c->b != 0 : r->moved),
		    "migrate_pages of %lld pages, %lu of %lu being free, returned %lld: so many "
		    "stay",
		    (long long)r->moved, m.managed - m.in_use, m.managed, (long long)r->r);
	for (h = 0; c->code == CALL_MOVE && c->a == 1 && r->r && !c->b && h < NR_HANDLES; h++) {
		if (m.at[h] == c->pfns[0])
			judge_refusal(GFP_MOVABLE, m.handle_order[h], c->cpu);
	}
	for (h = 0, i = 0; h < NR_HANDLES; h++)
		i += m.at[h] != r->at[h];
	WANT(c->code != CALL_PUT_BACK || i == dropped, "%u pages have moved that were put back", i);
	/*
	 * An object that is dropped meanwhile has either moved or stayed.  Where it may wait for
	 * memory, a compaction moves others.
	 */
	WANT(c->code != CALL_MOVE || (m.shape.kernel && i >= r->moved - r->r) ||
	        i - (unsigned)(r->moved - r->r) <= dropped,
	    "%u pages have moved: migrate_pages says that %lld of %lld stayed", i, (long long)r->r,
	    (long long)r->moved);
}

void judge_handle(const struct wire_call *c, const struct wire_result *r)
{
	unsigned h = (unsigned)c->a;
	bool there = h < NR_HANDLES && m.at[h] != ~0ULL, pins = there && m.handle_pins[h];
	s64 want = there ? 0 : -EINVAL;

	switch (c->code) {
	case CALL_HOLD: judge_hold(c, r); return;
	case CALL_MOVE:
	case CALL_PUT_BACK: judge_move(c, r); return;
	case CALL_DROP: want = pins ? -EBUSY : want; break;
	case CALL_HOLD_PIN:
		if (there)
			m.handle_pins[h]++;
		break;
	case CALL_HOLD_UNPIN:
		want = pins ? 0 : -EINVAL;
		if (pins)
			m.handle_pins[h]--;
		break;
	default: break;
	}
	WANT(r->r == want, "the call for handle %u returned %lld: expected %lld", h,
	    (long long)r->r, (long long)want);
}
