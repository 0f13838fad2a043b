/* SPDX-License-Identifier: MIT */
/*
 * fuzz_range.c: the calls of fuzz_mm.c that work on ranges: isolate, offline, online, migrate.
 */
#include "fuzz_model.h"
#include "mm/hotplug/isolate.h"
#include <quarry/memory_hotplug.h>
#include <quarry/isolation.h>

static pfn_t take_range(struct bytes *b, unsigned long *nr)
{
	u8 start = take_u8(b), len = take_u8(b);
	pfn_t pfn = block_pfn(start % (m.nr_blocks + 2));

	*nr = (len & 7) * PAGEBLOCK_PAGES;
	if ((len & 0xf0) == 0xf0) {
		pfn += len & 8 ? 3 : 0;
		*nr = len & 4 ? ~0UL - pfn - (len & 3) : *nr + 1;
	} else if ((len & 0xf0) == 0xe0) {
		*nr = (pfn_t)(m.nr_blocks * PAGEBLOCK_PAGES);
	}
	return pfn;
}

static void mark_isolated(pfn_t start, unsigned long nr, bool on)
{
	unsigned i;

	for (i = block_index(start); i < block_index(start) + (nr >> PAGEBLOCK_ORDER); i++)
		m.block[i].isolated = on;
}

void op_isolate(struct bytes *b)
{
	enum iso_policy policy = (enum iso_policy)(take_u8(b) % NR_ISO_POLICIES);
	unsigned long nr;
	pfn_t start = take_range(b, &nr);
	struct model_range r = model_look(start, nr);
	struct mm_fail fail = {0};
	int err = start_isolate_page_range(m.mem, start, nr, policy, &fail);

	if (r.bad || (iso_ops(policy)->caches_off && !m.depth[zone_of(m.mem, start)->id]))
		MUST(err == -EINVAL, "isolate: %d", err);
	else if (r.offline || r.isolated || r.reserved || r.unmovable || r.pinned)
		MUST(err == -EBUSY || (r.offline && err == -EINVAL), "isolate: %d", err);
	else
		MUST(err == 0, "isolate: %d, %s at %#lx", err, mm_why_text(fail.why), fail.pfn);
	MUST(!err || fail.why != WHY_NONE, "isolate failed without a reason");
	if (!err)
		mark_isolated(start, nr, true);
	model_check_blocks("isolate");
}

/* The result of test_pages_isolated: the first pageblock with a fault decides. */
static int expect_tested(pfn_t start, unsigned long nr)
{
	pfn_t pfn;

	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES) {
		pfn_t p;

		if (!m.block[block_index(pfn)].isolated)
			return -EINVAL;
		for (p = pfn; p < pfn + PAGEBLOCK_PAGES; p++) {
			if (m.owner[p])
				return -EBUSY;
		}
	}
	return 0;
}

void op_undo(struct bytes *b, bool undo)
{
	unsigned long nr;
	pfn_t start = take_range(b, &nr);
	struct mm_fail fail;
	int err;

	if (model_look(start, nr).bad)
		return;
	err = test_pages_isolated(m.mem, start, nr, &fail);
	MUST(err == expect_tested(start, nr), "test_pages_isolated: %d", err);
	if (!undo)
		return;
	undo_isolate_page_range(m.mem, start, nr);
	mark_isolated(start, nr, false);
	model_check_blocks("undo");
}

static void judge_offline(int err, int query, const struct model_range *r, bool cancelled)
{
	MUST(!r->bad || query == -EINVAL, "query of a bad range: %d", query);
	MUST(!query || err == query, "query said %d, offline %d", query, err);
	if (query)
		return;
	MUST(!r->reserved && !r->pinned && !r->unmovable && !r->offline,
	    "query saw nothing in the way");
	if (r->isolated)
		MUST(err == -EBUSY, "offline of what is isolated: %d", err);
	else if (cancelled)
		MUST(err == -EINTR, "cancelled, but %d", err);
	else if (r->live)
		MUST(err < 0, "offline of pages in use");
	else if (r->handles)
		MUST(!err || err == -ENOMEM || err == -EBUSY || err == -ETIMEDOUT, "offline: %d",
		    err);
	else
		MUST(!err, "offline of free memory: %d", err);
}

void op_offline(struct bytes *b)
{
	u8 how = take_u8(b);
	u32 cancel = (how & 0x38) == 0x38;
	struct offline_opts opts = {.policy = (enum iso_policy)(how % (NR_ISO_POLICIES + 1)),
	    .cancel = &cancel,
	    .deadline_ns = (how & 0x30) == 0x20 ? 1 : 0};
	struct offline_result res;
	unsigned long nr;
	pfn_t start = take_range(b, &nr);
	struct model_range r = model_look(start, nr);
	bool off = !r.bad && m.depth[zone_of(m.mem, start)->id];
	int query = offline_query(m.mem, start, nr, NULL);
	int err = offline_pages(m.mem, start, nr, how & 4 ? NULL : &opts, &res);
	unsigned i;

	judge_offline(err, query, &r, !(how & 4) && cancel);
	MUST(!err || res.fail.why != WHY_NONE, "offline failed without a reason: %d", err);
	for (i = 0; !err && i < r.blocks; i++)
		m.block[block_index(start) + i].offline = true;
	if (!err) {
		/* No round is made if the caches are off already. */
		MUST(res.rounds == 1 || (iso_ops(res.policy)->caches_off && off && !res.rounds) ||
		        (!iso_policy_one_round(res.policy) && res.rounds),
		    "%u rounds", res.rounds);
		MUST(res.moved == r.handles, "%u moved, %u were there", res.moved, r.handles);
		m.managed -= nr;
		m.offlined++;
		m.offlined_blocks += r.blocks;
	}
	model_resync();
	model_check_blocks("offline");
}

void op_online(struct bytes *b)
{
	unsigned long nr;
	pfn_t start = take_range(b, &nr);
	struct model_range r = model_look(start, nr);
	int err = online_pages(m.mem, start, nr, NULL), want = 0;
	unsigned i;

	if (r.bad || (r.offline && r.offline < r.blocks))
		want = -EINVAL;
	else if (!r.offline)
		want = -EALREADY;
	MUST(err == want, "online: %d, not %d", err, want);
	for (i = 0; !err && i < r.blocks; i++)
		m.block[block_index(start) + i].offline = false;
	if (!err)
		m.managed += nr;
	model_check_blocks("online");
}

/* Isolate up to four handles' pages, interfere with the first page, then move or put back all. */
void op_migrate(struct bytes *b)
{
	u8 how = take_u8(b), stray = take_u8(b);
	struct page *pages[4];
	unsigned nr = 0, h, failed, first = MODEL_HANDLES;
	int err;

	for (h = how & 15; h < MODEL_HANDLES && nr < 4; h += 1 + (how >> 4 & 1)) {
		if (m.handle_pfn[h] == PFN_NONE)
			continue;
		err = isolate_movable_page(m.mem, m.handle_pfn[h]);
		MUST(err == (m.handle_pins[h] ? -EBUSY : 0), "isolate_movable_page: %d", err);
		if (err)
			continue;
		pages[nr++] = pfn_to_page_in(m.mem, m.handle_pfn[h]);
		first = MIN(first, h);
	}
	if (!(m.owner[MODEL_START + stray] & OWNER_HANDLE))
		MUST(isolate_movable_page(m.mem, MODEL_START + stray) == -EAGAIN,
		    "isolated a stray page");
	if (nr && (how & 0x60) == 0x20 && m.handle_pins[first] < 255) {
		MUST(handle_pin(&m.table, first) == 0, "pin");
		m.handle_pins[first]++;
	} else if (nr && (how & 0x60) == 0x40) {
		MUST(handle_free(&m.table, first) == 0, "free of an isolated object");
	}
	if (how & 0x80) {
		for (h = 0; h < nr; h++)
			putback_movable_page(m.mem, pages[h]);
	} else {
		failed = migrate_pages(m.mem, pages, nr, NULL);
		MUST(failed <= nr && (failed || !nr || (how & 0x60) != 0x20), "%u of %u failed",
		    failed, nr);
	}
	model_resync();
}
