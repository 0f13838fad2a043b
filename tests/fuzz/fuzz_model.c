/* SPDX-License-Identifier: MIT */
/*
 * fuzz_model.c: the oracle of fuzz_mm.c.
 *
 * Owns: m, and the arena from which caches and slots are allocated, with poisoned gaps between.
 */
#include "fuzz_model.h"
#include <quarry/memory_init.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONED 1
#endif
#endif
#ifdef POISONED
void __asan_poison_memory_region(void const volatile *addr, size_t size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#else
#define __asan_poison_memory_region(addr, size)   ((void)(addr))
#define __asan_unpoison_memory_region(addr, size) ((void)(addr))
#endif

#define ARENA_SIZE (256UL << 10)
#define GAP        64

struct model m;
static char arena[ARENA_SIZE] __attribute__((aligned(64)));
static size_t arena_used;
static struct trace_ring ring; /* all CPUs share it, and nothing reads it */

static void *arena_alloc(void *arg, size_t bytes)
{
	size_t size = ALIGN_UP(bytes, 8), step = ALIGN_UP(size + GAP, 64);
	char *ptr = arena + arena_used;

	if (bytes == sizeof(struct trace_ring))
		return &ring;
	if (step > ARENA_SIZE - arena_used)
		panic("fuzz: the arena is too small");
	arena_used += step;
	__asan_unpoison_memory_region(ptr, size);
	memset(ptr, 0, size);
	__asan_poison_memory_region(ptr + size, step - size);
	return ptr;
}

static const struct shape {
	u8 node, kind, blocks;
} shapes[][5] = {
    {{0, ZONE_DMA32, 8}, {0, ZONE_NORMAL, 32}, {0, ZONE_MOVABLE, 24}, {1, ZONE_NORMAL, 8},
        {1, ZONE_MOVABLE, 8}},
    {{0, ZONE_DMA32, 2}, {0, ZONE_NORMAL, 4}, {0, ZONE_MOVABLE, 3}, {1, ZONE_MOVABLE, 2}},
    {{0, ZONE_NORMAL, 64}, {1, ZONE_NORMAL, 32}},
    {{0, ZONE_NORMAL, 32}, {0, ZONE_MOVABLE, 48}},
};

/*
 * Add a zone.  All of it is free, except for parts that @more chooses: a hole, reserved pages.  A
 * pageblock may be of type CMA.
 */
static void add_zone(const struct shape *s, u8 node, pfn_t start, u8 more)
{
	pfn_t end = start + s->blocks * PAGEBLOCK_PAGES, pfn, from;
	struct zone *zone = &m.mem->zones[node * NR_ZONE_KINDS + s->kind];

	if (memory_add_zone(m.mem, node, (enum zone_kind)s->kind, start, end))
		panic("fuzz: memory_add_zone");
	if (more & 1 && s->kind != ZONE_MOVABLE && s->blocks > 8)
		pageblock_init(m.mem, start + PAGEBLOCK_PAGES, zone, MT_CMA);
	for (pfn = start; pfn < end; pfn += PAGEBLOCK_PAGES) {
		struct model_block *b = &m.block[block_index(pfn)];

		b->hole = more & 2 && pfn == start + 2 * PAGEBLOCK_PAGES;
		b->reserved = more & 4 && pfn == start;
		if (b->hole)
			continue;
		from = pfn + (b->reserved ? 3 : 0);
		memory_add_ram(m.mem, pfn, pfn + PAGEBLOCK_PAGES);
		memory_free_range(m.mem, from, pfn + PAGEBLOCK_PAGES);
		m.managed += pfn + PAGEBLOCK_PAGES - from;
		for (; from > pfn; from--)
			m.owner[from - 1] = OWNER_RESERVED;
	}
}

void model_build(u8 shape, u8 more)
{
	const struct shape *s = shapes[shape >> 4 & 3];
	struct memory_config cfg = {
	    .name = "fuzz",
	    .memmap = ARCH_MEMMAP,
	    .pageblocks = ARCH_PAGEBLOCKS,
	    .trees = host_trees,
	    .start_pfn = MODEL_START,
	    .nr_cpus = 1 + (shape & 3),
	    .nr_nodes = 1 + (shape >> 2 & 1),
	    .backed = shape >> 3 & 1,
	    .reclaim = &memory_reclaim,
	    .alloc = arena_alloc,
	};
	pfn_t pfn = MODEL_START;
	unsigned i;

	host_fuzz_reset(cfg.nr_cpus);
	host_fuzz_cpu(0);
	arena_used = 0;
	memset(&m, 0, sizeof(m));
	m.mem = &kernel_memory;
	for (i = 0; i < ARRAY_SIZE(shapes[0]); i++)
		m.nr_blocks += s[i].node < cfg.nr_nodes ? s[i].blocks : 0;
	cfg.end_pfn = block_pfn(m.nr_blocks);
	memset(ARCH_MEMMAP, 0, cfg.end_pfn * sizeof(struct page));
	memset(ARCH_PAGEBLOCKS, 0, (cfg.end_pfn >> PAGEBLOCK_ORDER) * sizeof(struct pageblock));
	memset(host_trees, 0, (cfg.end_pfn >> PAGEBLOCK_ORDER) * sizeof(*host_trees));
	if (memory_init(m.mem, &cfg))
		panic("fuzz: memory_init");
	m.mem->policy = (enum iso_policy)((more >> 4) % NR_ISO_POLICIES);
	for (i = 0; i < ARRAY_SIZE(shapes[0]); i++) {
		if (s[i].node >= cfg.nr_nodes || !s[i].blocks)
			continue;
		add_zone(&s[i], s[i].node, pfn, more);
		pfn += s[i].blocks * PAGEBLOCK_PAGES;
	}
	if (memory_ready(m.mem) || memory_start(m.mem))
		panic("fuzz: memory_start");
	for (i = 0; i < cfg.nr_cpus; i++)
		m.mem->pcp[i]->ring = NULL;
	m.managed_at_start = m.managed;
	handle_table_init(&m.table, m.mem, m.handle, MODEL_HANDLES);
	for (i = 0; i < MODEL_HANDLES; i++)
		m.handle_pfn[i] = PFN_NONE;
}

/* Has @zone a free block for a request of @type: a lent one if @lent, else one that is not lent? */
static bool has_block(const struct zone *zone, unsigned order, enum migratetype type, bool lent)
{
	unsigned have, from;

	if ((zone->kind == ZONE_MOVABLE || lent) && type != MT_MOVABLE)
		return false;
	for (have = order; have <= MAX_ORDER; have++) {
		for (from = 0; from < NR_MIGRATETYPES; from++) {
			if (zone_free_blocks(zone, have, from) && (from == MT_CMA) == lent)
				return true;
		}
	}
	return false;
}

/* True: with @free free pages, @zone is well above all its watermarks after a request. */
static bool well_above(const struct zone *zone, unsigned long free, unsigned order)
{
	return free >= zone->managed / 8 + zone->managed / 32 + 17 + (1UL << order);
}

bool model_must_succeed(gfp_t gfp, unsigned order)
{
	enum migratetype type = gfp & GFP_MOVABLE ? MT_MOVABLE
	    : (gfp & GFP_RECLAIMABLE)             ? MT_RECLAIMABLE
	                                          : MT_UNMOVABLE;
	enum zone_kind kind = gfp & GFP_DMA32 ? ZONE_DMA32
	    : gfp & GFP_MOVABLE               ? ZONE_MOVABLE
	                                      : ZONE_NORMAL;
	unsigned i, node = arch_cpu_node(host_this.cpu) % m.mem->nr_nodes;

	if (order > MAX_ORDER)
		return false;
	for (i = 0; i < m.mem->nr_nodes * NR_ZONE_KINDS; i++) {
		const struct zone *z = &m.mem->zones[i];

		if (z->kind > kind || (gfp & GFP_THISNODE && z->node != node) ||
		    z->end_pfn == z->start_pfn)
			continue;
		/* Lent pages do not count for the watermarks of requests that get other pages. */
		if ((well_above(z, z->nr_free - z->nr_free_cma, order) &&
		        has_block(z, order, type, false)) ||
		    (well_above(z, z->nr_free, order) && has_block(z, order, type, true)))
			return true;
	}
	return false;
}

static void own(pfn_t pfn, unsigned order, unsigned who)
{
	pfn_t end = pfn + (1UL << order);

	MUST(pfn >= MODEL_START && end <= m.mem->end_pfn, "a block outside the memory: pfn %#lx",
	    pfn);
	MUST(!(pfn & ((1UL << order) - 1)), "an unaligned block: pfn %#lx order %u", pfn, order);
	for (; pfn < end; pfn++) {
		MUST(!m.owner[pfn], "pfn %#lx belongs to %#x and to %#x", pfn, m.owner[pfn], who);
		m.owner[pfn] = (u16)who;
	}
	m.in_use += 1UL << order;
}

static void disown(pfn_t pfn, unsigned order)
{
	memset(&m.owner[pfn], 0, sizeof(m.owner[0]) << order);
	m.in_use -= 1UL << order;
}

/* Check that a request with the flags @gfp may get the page @pfn. */
static void judge_place(pfn_t pfn, gfp_t gfp)
{
	const struct model_block *b = &m.block[block_index(pfn)];
	const struct zone *zone = zone_of(m.mem, pfn);
	unsigned node = arch_cpu_node(host_this.cpu) % m.mem->nr_nodes;
	bool movable = gfp & GFP_MOVABLE;

	MUST(!b->hole && !b->offline, "memory that is not there: pfn %#lx", pfn);
	MUST(!b->isolated, "from an isolated pageblock: pfn %#lx", pfn);
	MUST(movable || zone->kind != ZONE_MOVABLE, "unmovable in zone MOVABLE: pfn %#lx", pfn);
	MUST(!(gfp & GFP_DMA32) || zone->kind == ZONE_DMA32, "above 4 GiB: pfn %#lx", pfn);
	MUST(!(gfp & GFP_THISNODE) || zone->node == node, "of another node: pfn %#lx", pfn);
	MUST(movable || pageblock_type(pageblock_of(m.mem, pfn)) != MT_CMA,
	    "unmovable in CMA: pfn %#lx", pfn);
}

void model_allocated(struct page *page, gfp_t gfp, unsigned order)
{
	pfn_t pfn = page_to_pfn_in(m.mem, page);

	MUST(order <= MAX_ORDER, "a block of order %u", order);
	MUST(m.nr_live < MODEL_LIVE, "the model is full");
	model_compacted();
	own(pfn, order, OWNER_LIVE + m.nr_live);
	judge_place(pfn, gfp);
	MUST(page_word(page) == PAGE_WORD(1, PG_ALLOC, order), "word %#x", page_word(page));
	if (gfp & GFP_ZERO) {
		const u64 *p = page_address(page);

		MUST(!p[0] && !p[(PAGE_SIZE << order) / 8 - 1], "not zeroed: pfn %#lx", pfn);
	}
	if (m.mem->backed)
		*(u64 *)page_address(page) = ~0ULL;
	m.live[m.nr_live++] =
	    (struct model_live){.page = page, .pfn = pfn, .order = (u8)order, .refs = 1};
}

void model_freed(unsigned index)
{
	struct model_live *l = &m.live[index];

	disown(l->pfn, l->order);
	*l = m.live[--m.nr_live];
	if (index < m.nr_live) {
		disown(l->pfn, l->order);
		own(l->pfn, l->order, OWNER_LIVE + index);
	}
}

/* The word without the pinned flag, which must be set if the page has pins. */
static u32 unpinned_word(const struct page *page, unsigned pins)
{
	u32 word = page_word(page);

	MUST(!pins || word & PAGE_PINNED, "word %#x of a pinned page", word);
	return word & ~PAGE_PINNED;
}

void model_resync(void)
{
	unsigned h;

	for (h = 0; h < MODEL_HANDLES; h++) {
		if (m.handle_pfn[h] != PFN_NONE)
			disown(m.handle_pfn[h], m.handle_order[h]);
		m.handle_pfn[h] = PFN_NONE;
	}
	for (h = 0; h < MODEL_HANDLES; h++) {
		pfn_t pfn = handle_pfn(&m.table, h);

		if (pfn == PFN_NONE)
			continue;
		m.handle_pfn[h] = pfn;
		own(pfn, m.handle_order[h], OWNER_HANDLE + h);
		MUST(unpinned_word(pfn_to_page_in(m.mem, pfn), m.handle_pins[h]) ==
		        PAGE_WORD(1 + m.handle_pins[h], PG_MOVABLE_OPS, m.handle_order[h]),
		    "handle %u: word %#x", h, page_word(pfn_to_page_in(m.mem, pfn)));
	}
}

void model_compacted(void)
{
	u64 moved = mm_event_sum(m.mem, EV_COMPACT_MOVED);

	if (moved == m.compacted)
		return;
	m.compacted = moved;
	model_resync();
}

struct model_range model_look(pfn_t start, unsigned long nr)
{
	struct model_range r = {0};
	unsigned i, h;

	r.bad = nr == 0 || start % PAGEBLOCK_PAGES || nr % PAGEBLOCK_PAGES || start < MODEL_START ||
	    start >= m.mem->end_pfn || nr > m.mem->end_pfn - start;
	if (r.bad)
		return r;
	r.blocks = (unsigned)(nr >> PAGEBLOCK_ORDER);
	for (i = block_index(start); i < block_index(start) + r.blocks; i++) {
		r.bad |= m.block[i].hole || zone_of(m.mem, block_pfn(i)) != zone_of(m.mem, start);
		r.offline += m.block[i].offline;
		r.isolated += m.block[i].isolated;
		r.reserved += m.block[i].reserved;
	}
	for (i = 0; i < m.nr_live; i++) {
		pfn_t pfn = m.live[i].pfn;

		if (pfn < start || pfn - start >= nr)
			continue;
		r.live++;
		r.unmovable += zone_of(m.mem, pfn)->kind != ZONE_MOVABLE &&
		    pageblock_type(pageblock_of(m.mem, pfn)) != MT_MOVABLE;
	}
	for (h = 0; h < MODEL_HANDLES; h++) {
		if (m.handle_pfn[h] != PFN_NONE && m.handle_pfn[h] >= start &&
		    m.handle_pfn[h] - start < nr) {
			r.handles++;
			r.pinned += m.handle_pins[h] > 0;
		}
	}
	return r;
}

void model_check_blocks(const char *after)
{
	unsigned i;

	for (i = 0; i < m.nr_blocks; i++) {
		const struct pageblock *pb = pageblock_of(m.mem, block_pfn(i));
		const struct model_block *b = &m.block[i];
		enum pageblock_state state = b->hole ? PB_HOLE
		    : b->offline                     ? PB_OFFLINE
		                                     : PB_ONLINE;

		MUST(
		    pageblock_isolated(pb) == b->isolated, "%s: isolate bit of block %u", after, i);
		MUST(pageblock_state(pb) == state, "%s: state of block %u", after, i);
	}
}

static void check_events(void)
{
	MUST(mm_event_sum(m.mem, EV_BAD_FREE) == m.bad_free, "%llu bad frees counted, %llu made",
	    (unsigned long long)mm_event_sum(m.mem, EV_BAD_FREE), (unsigned long long)m.bad_free);
	MUST(mm_event_sum(m.mem, EV_ALLOC_BAD_ORDER) == m.bad_order, "bad orders counted");
	MUST(mm_event_sum(m.mem, EV_PCP_UNBALANCED) == m.unbalanced, "unbalanced enables counted");
	MUST(mm_event_sum(m.mem, EV_OFFLINE_OK) == m.offlined, "offlines counted");
}

void model_check(void)
{
	struct mm_violation v;
	unsigned long have;
	unsigned i;
	int err;

	model_resync();
	for (i = 0; i < m.nr_live; i++)
		MUST(unpinned_word(m.live[i].page, m.live[i].pins) ==
		        PAGE_WORD(m.live[i].refs, PG_ALLOC, m.live[i].order),
		    "word %#x of a live block at %#lx", page_word(m.live[i].page), m.live[i].pfn);
	err = check_memory(m.mem, &v);
	MUST(!err, "check_memory: %d %s: pfn %#lx have %#lx want %#lx", err, v.what ? v.what : "?",
	    v.pfn, v.have, v.want);
	MUST(memory_managed_pages(m.mem) == m.managed, "%lu pages managed, %lu expected",
	    memory_managed_pages(m.mem), m.managed);
	have = memory_free_pages(m.mem) + m.in_use;
	MUST(have == m.managed, "free and in use are %lu, managed %lu", have, m.managed);
	for (i = 0; i < m.mem->nr_nodes * NR_ZONE_KINDS; i++) {
		MUST(m.mem->zones[i].pcp_depth == m.depth[i], "depth of zone %u", i);
		MUST(!m.depth[i] || zone_pcp_pages(&m.mem->zones[i]) == 0,
		    "zone %u caches while off", i);
	}
	MUST(m.table.corrupt == 0, "an object's content changed");
	model_check_blocks("check");
	check_events();
}
