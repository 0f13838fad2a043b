/* SPDX-License-Identifier: MIT */
/*
 * fuzz_mm.c: turns bytes into calls of the memory manager on several CPUs; a model judges the
 * results.
 *
 * The first two bytes choose the memory (fuzz_model.c).  Then each call is an opcode, whose upper
 * bits choose the CPU, and its operands.  At the end everything is freed, and all memory must be
 * free.
 */
#include "fuzz_model.h"
#include <quarry/memory_init.h>
#include <quarry/memory_hotplug.h>
#include <quarry/isolation.h>

#define MAX_OPS     200
#define CHECK_EVERY 16

static pfn_t last_freed;

static bool irqs_off_if(bool off)
{
	host_this.irqs_off = off;
	return off;
}

/* Flags for an allocation; without GFP_ZERO if the memory has no bytes behind its pages. */
static gfp_t take_gfp(struct bytes *b)
{
	gfp_t gfp = take_u8(b);

	return m.mem->backed ? gfp : gfp & ~GFP_ZERO;
}

static void op_alloc(struct bytes *b)
{
	gfp_t gfp = take_gfp(b);
	u8 how = take_u8(b);
	unsigned order = how & 3;
	struct page *page;
	bool must;

	if ((how & 0x1c) == 0x1c)
		order = MAX_ORDER + 1 + take_u8(b);
	if (m.nr_live == MODEL_LIVE)
		return;
	must = model_must_succeed(gfp, order);
	irqs_off_if(how & 0x20 && gfp & GFP_NOWAIT);
	page = how & 0x40 ? alloc_pages(gfp, order) : mem_alloc_pages(m.mem, gfp, order);
	irqs_off_if(false);
	m.bad_order += order > MAX_ORDER;
	MUST(page || !must, "no block of order %u, gfp %#x, where there is one", order, gfp);
	if (page)
		model_allocated(page, gfp, order);
}

/* Free the block that @page names, and judge the result. */
static void free_one(struct page *page, pfn_t pfn, unsigned order, bool own)
{
	unsigned index = MODEL_LIVE;
	int err;

	if (pfn != PFN_NONE && m.owner[pfn] & OWNER_LIVE) {
		index = m.owner[pfn] - OWNER_LIVE;
		if (m.live[index].pfn != pfn || m.live[index].order != order ||
		    m.live[index].refs != 1 || m.live[index].pins)
			index = MODEL_LIVE;
	}
	err = own ? free_pages(page, order) : mem_free_pages(m.mem, page, order);
	if (index < MODEL_LIVE) {
		MUST(err == 0, "a block at %#lx could not be freed: %d", pfn, err);
		last_freed = pfn;
		model_freed(index);
	} else {
		MUST(err == -EINVAL, "a wrong free at %#lx was taken: %d", pfn, err);
		m.bad_free++;
	}
}

static void free_foreign(u8 which)
{
	static struct page other[4];
	struct page *first = pfn_to_page_in(m.mem, MODEL_START);
	unsigned order = which >> 4 & 3;

	switch (which & 7) {
	case 0: free_one(NULL, PFN_NONE, order, which & 0x80); break;
	case 1: free_one(&other[which >> 6], PFN_NONE, order, false); break;
	case 2:
		free_one((struct page *)((char *)first + 8 * (1 + (which >> 4) % 3)), PFN_NONE,
		    order, false);
		break;
	case 3: free_one(first - 1, PFN_NONE, order, false); break;
	case 4: free_one(pfn_to_page_in(m.mem, m.mem->end_pfn), PFN_NONE, order, false); break;
	default: free_one((struct page *)(uintptr_t)(which << 20), PFN_NONE, order, false); break;
	}
}

static void op_free(struct bytes *b)
{
	u8 how = take_u8(b), which = take_u8(b);
	struct model_live *l = m.nr_live ? &m.live[which % m.nr_live] : NULL;
	pfn_t pfn;

	switch (how & 7) {
	case 6: free_foreign(which); return;
	case 5:
		pfn = MODEL_START + (which | take_u8(b) << 8) % (m.nr_blocks * PAGEBLOCK_PAGES);
		free_one(pfn_to_page_in(m.mem, pfn), pfn, how >> 3 & 7, how & 0x40);
		return;
	case 7:
		pfn = last_freed;
		free_one(pfn_to_page_in(m.mem, pfn), pfn, how >> 3 & 3, how & 0x40);
		return;
	case 4:
		if (l)
			free_one(l->page, l->pfn, how >> 3 & 7, how & 0x40);
		return;
	default:
		if (l)
			free_one(l->page, l->pfn, l->order, how & 0x40);
		return;
	}
}

static void op_bulk_alloc(struct bytes *b)
{
	gfp_t gfp = take_gfp(b);
	struct page *pages[40];
	u8 how = take_u8(b);
	unsigned long nr = MIN(how % 41u, MODEL_LIVE - m.nr_live), got, i;
	bool must = model_must_succeed(gfp, 0);

	got = how & 0x80 ? alloc_pages_bulk(gfp, nr, pages)
	                 : mem_alloc_pages_bulk(m.mem, gfp, nr, pages);
	MUST(got <= nr && (got || !must || !nr), "%lu of %lu pages", got, nr);
	for (i = 0; i < got; i++)
		model_allocated(pages[i], gfp, 0);
}

static void op_bulk_free(struct bytes *b)
{
	u8 how = take_u8(b), want = how & 31, index[32];
	unsigned long nr = 0, ok = 0, refused;
	struct page *pages[36];
	unsigned i;

	for (i = m.nr_live; i-- > 0 && nr < want;) {
		pages[nr++] = m.live[i].page;
		if (m.live[i].order == 0 && m.live[i].refs == 1 && !m.live[i].pins)
			index[ok++] = (u8)i;
	}
	if (how & 0x20)
		pages[nr++] = NULL;
	if (how & 0x40 && nr) {
		pages[nr] = pages[0]; /* the same page twice */
		nr++;
	}
	refused = how & 0x80 ? free_pages_bulk(nr, pages) : mem_free_pages_bulk(m.mem, nr, pages);
	MUST(refused == nr - ok, "%lu of %lu refused, %lu were right", refused, nr, ok);
	m.bad_free += refused;
	for (i = 0; i < ok; i++)
		model_freed(index[i]);
}

static void put_live(unsigned index)
{
	struct model_live *l = &m.live[index];
	bool refused = l->refs == 1 && l->pins == 1;
	int err;

	if (l->refs > 1 && l->refs == l->pins)
		return;
	err = mem_put_page(m.mem, l->page);
	MUST(err == (refused ? -EINVAL : 0), "put: %d", err);
	m.bad_free += refused;
	if (refused)
		return;
	if (--l->refs == 0)
		model_freed(index);
}

/*
 * Put the page at @pfn, unless a live block begins there or a handle pins it; the put must be
 * refused.
 */
static void put_stray(pfn_t pfn)
{
	u16 who = m.owner[pfn];
	int err;

	if (who & OWNER_LIVE && m.live[who - OWNER_LIVE].pfn == pfn)
		return;
	if (who & OWNER_HANDLE && m.handle_pins[who - OWNER_HANDLE])
		return;
	err = mem_put_page(m.mem, pfn_to_page_in(m.mem, pfn));
	MUST(err == -EINVAL, "a stray put at %#lx was taken: %d", pfn, err);
	m.bad_free++;
}

static void op_refs(struct bytes *b)
{
	u8 how = take_u8(b), which = take_u8(b);
	struct model_live *l = m.nr_live ? &m.live[which % m.nr_live] : NULL;

	if ((how & 7) == 7) {
		put_stray(
		    MODEL_START + (which | take_u8(b) << 8) % (m.nr_blocks * PAGEBLOCK_PAGES));
		return;
	}
	if (!l)
		return;
	switch (how & 3) {
	case 0:
		MUST(get_page(l->page) == 0, "get");
		l->refs++;
		break;
	case 1: put_live((unsigned)(l - m.live)); break;
	case 2:
		MUST(pin_page(l->page) == 0, "pin");
		l->refs++;
		l->pins++;
		break;
	default:
		if (!l->pins)
			break;
		mem_unpin_page(m.mem, l->page);
		l->pins--;
		if (--l->refs == 0)
			model_freed((unsigned)(l - m.live));
		break;
	}
}

static void handle_new(struct bytes *b, u32 h)
{
	u8 how = take_u8(b);
	unsigned order = how & 7;
	gfp_t gfp = how & 8 ? take_gfp(b) & ~GFP_ZERO : 0;
	bool used = h < MODEL_HANDLES && m.handle_pfn[h] != PFN_NONE;
	bool must = model_must_succeed(gfp | GFP_MOVABLE, order);
	int err = handle_alloc(&m.table, h, order, gfp, how);

	if (h >= MODEL_HANDLES || order > 3) {
		MUST(err == -EINVAL, "handle_alloc: %d", err);
	} else if (used || err) {
		MUST(err == -ENOMEM ? !must : used && err == -EBUSY, "handle_alloc: %d", err);
	} else {
		m.handle_order[h] = (u8)order;
		m.handle_pins[h] = 0;
		model_resync();
	}
}

static void op_handle(struct bytes *b)
{
	u8 how = take_u8(b);
	u32 h = (how >> 3) % (MODEL_HANDLES + 1);
	bool used = h < MODEL_HANDLES && m.handle_pfn[h] != PFN_NONE;
	bool pinned = used && m.handle_pins[h];
	int err, want = used ? 0 : -EINVAL;

	switch (how & 7) {
	case 0:
	case 1: handle_new(b, h); return;
	case 2:
		err = handle_free(&m.table, h);
		want = pinned ? -EBUSY : want;
		break;
	case 3: err = handle_write(&m.table, h, take_u8(b)); break;
	case 4: err = handle_verify(&m.table, h); break;
	case 5:
		if (used && m.handle_pins[h] == 255)
			return;
		err = handle_pin(&m.table, h);
		if (used)
			m.handle_pins[h]++;
		break;
	default:
		err = handle_unpin(&m.table, h);
		want = pinned ? 0 : -EINVAL;
		if (pinned)
			m.handle_pins[h]--;
		break;
	}
	MUST(err == want, "handle %u, call %u: %d, not %d", h, how & 7, err, want);
	model_resync();
}

/* A zone that has memory. */
static struct zone *some_zone(u8 which)
{
	unsigned i = which % (m.mem->nr_nodes * NR_ZONE_KINDS);

	while (m.mem->zones[i].end_pfn == m.mem->zones[i].start_pfn)
		i = (i + 1) % (m.mem->nr_nodes * NR_ZONE_KINDS);
	return &m.mem->zones[i];
}

static void op_cache(struct bytes *b)
{
	u8 how = take_u8(b);
	struct zone *zone = some_zone(how >> 3);
	bool atomic = (how & 0xc0) == 0xc0;
	int err;

	switch (how & 7) {
	case 0:
	case 1:
		irqs_off_if(atomic);
		err = drain_all_pages(m.mem, how & 1 ? zone : NULL);
		irqs_off_if(false);
		MUST(atomic ? err == -EDEADLK : err >= 0, "drain: %d", err);
		MUST(atomic || zone_pcp_pages(zone) == 0, "pages cached after a drain");
		break;
	case 2:
	case 3:
		drain_local_pages(m.mem, how & 1 ? zone : NULL);
		MUST(!pcp_zone_nonempty(m.mem, host_this.cpu, zone),
		    "pages cached after a local drain");
		break;
	case 4: pcp_refresh_all(m.mem); break;
	case 5:
		irqs_off_if(atomic);
		err = m.depth[zone->id] < 8 ? zone_pcp_disable(zone) : -EDEADLK;
		irqs_off_if(false);
		MUST(err == (atomic || m.depth[zone->id] == 8 ? -EDEADLK : 0), "disable: %d", err);
		m.depth[zone->id] += !err;
		MUST(err || zone_pcp_pages(zone) == 0, "pages cached after the disable");
		break;
	default:
		err = zone_pcp_enable(zone);
		MUST(err == (m.depth[zone->id] ? 0 : -EINVAL), "enable: %d", err);
		m.unbalanced += err != 0;
		m.depth[zone->id] -= !err;
		break;
	}
}

static void one_call(struct bytes *b)
{
	u8 op = take_u8(b);

	host_fuzz_cpu((op >> 6) % m.mem->nr_cpus);
	switch (op & 15) {
	case 0:
	case 1:
	case 2: op_alloc(b); break;
	case 3:
	case 4: op_free(b); break;
	case 5: op_bulk_alloc(b); break;
	case 6: op_bulk_free(b); break;
	case 7: op_refs(b); break;
	case 8:
	case 9: op_handle(b); break;
	case 10: op_cache(b); break;
	case 11: op_isolate(b); break;
	case 12: op_undo(b, op & 0x30); break;
	case 13: op_offline(b); break;
	case 14: op_online(b); break;
	default: op_migrate(b); break;
	}
	model_compacted();
}

/* Free everything, drain all CPUs, and undo every isolation, offline and disable. */
static void give_back(void)
{
	unsigned i;

	host_fuzz_cpu(0);
	for (i = 0; i < m.mem->nr_nodes * NR_ZONE_KINDS; i++) {
		for (; m.depth[i]; m.depth[i]--)
			MUST(zone_pcp_enable(&m.mem->zones[i]) == 0, "enable");
	}
	for (i = 0; i < m.nr_blocks; i++) {
		if (m.block[i].offline)
			MUST(online_pages(m.mem, block_pfn(i), PAGEBLOCK_PAGES, NULL) == 0,
			    "online");
		if (m.block[i].isolated)
			undo_isolate_page_range(m.mem, block_pfn(i), PAGEBLOCK_PAGES);
		m.block[i].offline = m.block[i].isolated = false;
	}
	m.managed = m.managed_at_start;
	for (i = 0; i < MODEL_HANDLES; i++) {
		for (; m.handle_pins[i]; m.handle_pins[i]--)
			MUST(handle_unpin(&m.table, i) == 0, "unpin");
		if (m.handle_pfn[i] != PFN_NONE)
			MUST(handle_free(&m.table, i) == 0, "handle_free");
	}
	while (m.nr_live) {
		struct model_live *l = &m.live[0];

		for (; l->pins; l->pins--, l->refs--)
			mem_unpin_page(m.mem, l->page);
		for (; l->refs > 1; l->refs--)
			MUST(mem_put_page(m.mem, l->page) == 0, "put");
		if (l->refs)
			free_one(l->page, l->pfn, l->order, false);
		else
			model_freed(0);
	}
	drain_all_pages(m.mem, NULL);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct bytes b = {data, data + size};
	unsigned ops, i;

	host_fuzz_log = false;
	i = take_u8(&b);
	model_build((u8)i, take_u8(&b));
	last_freed = MODEL_START;
	for (ops = 1; ops <= MAX_OPS && b.at < b.end; ops++) {
		one_call(&b);
		if (ops % CHECK_EVERY == 0)
			model_check();
	}
	model_check();
	give_back();
	model_check();
	for (i = 0; i < m.mem->nr_nodes * NR_ZONE_KINDS; i++)
		MUST(m.mem->zones[i].nr_free == m.mem->zones[i].managed, "zone %u: %lu free of %lu",
		    i, m.mem->zones[i].nr_free, m.mem->zones[i].managed);
	MUST(mm_event_sum(m.mem, EV_ISO_BLOCKS) ==
	        mm_event_sum(m.mem, EV_ISO_UNDONE) + m.offlined_blocks,
	    "isolations and undos");
	memory_stop(m.mem);
	return 0;
}
