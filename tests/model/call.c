/* SPDX-License-Identifier: MIT */
/*
 * call.c: makes the calls of wire.h, in the memory of the arena, and notes their raw results.
 *
 * It judges nothing and does not know the expected results.
 *
 * Owns:       nothing.
 * Locks:      none: one thread; its CPUs are numbers (tests/fuzz/host_fuzz.c).
 * Invariants: none.
 * Tests:      tests/qemu/test_grade.py, tests/qemu/test_states.py.
 */
#include "wire.h"
#include "mm/move/migrate.h"
#include "tests/fuzz/fuzz.h"
#include <quarry/contig.h>
#include <quarry/isolation.h>
#include <quarry/memory_hotplug.h>
#include <quarry/page_report.h>
#include <quarry/poison.h>

static struct memory *mem; /* of the shape that was built last */
static struct wire_call call;
static struct wire_result result;

static struct page *page_at(s64 pfn)
{
	return pfn < 0 ? NULL : pfn_to_page_in(mem, (pfn_t)pfn);
}

/* The page of a free, at @bytes from its descriptor: there a wrong free may point. */
static struct page *page_beside(s64 pfn, s64 bytes)
{
	return (struct page *)((uintptr_t)page_at(pfn) + (uintptr_t)bytes);
}

/* Note the pages of a new block that are not zeroed, as @gfp asks; then they are used. */
static void use(struct page *page, gfp_t gfp, unsigned order)
{
	unsigned long i;

	for (i = 0; page && mem->backed && i < 1UL << order; i++) {
		u64 *first = page_address_in(mem, page + i);
		u64 *last = first + PAGE_SIZE / sizeof(*first) - 1;

		result.dirty += (gfp & GFP_ZERO) && (*first || *last);
		*first = *last = ~0ULL;
	}
}

void wire_use_all(void)
{
	pfn_t pfn;

	for (pfn = mem->start_pfn; pfn < mem->end_pfn; pfn++)
		use(page_at((s64)pfn), 0, 0);
}

static s64 pfn_or_none(const struct page *page)
{
	return page ? (s64)page_to_pfn_in(mem, page) : -1;
}

static struct zone *zone_at(s64 id)
{
	return id < 0 ? NULL : &mem->zones[id];
}

static void build(void)
{
	const struct wire_shape *shape = (const struct wire_shape *)(const void *)call.pfns;

	LIST_INIT(&memories);
	arena_clear();
	arena_machine(shape->cpus);
	mem = shape_memory(shape);
	result.r = arena_build(shape);
}

static void run_bulk(void)
{
	struct page *pages[WIRE_PFNS];
	unsigned long i, nr = (unsigned long)(call.code == CALL_BULK_ALLOC ? call.b : call.a);
	gfp_t gfp = (gfp_t)call.a;

	if (call.code == CALL_BULK_ALLOC) {
		result.r = (s64)(call.own ? alloc_pages_bulk(gfp, nr, pages)
		                          : mem_alloc_pages_bulk(mem, gfp, nr, pages));
		for (i = 0; (s64)i < result.r && i < WIRE_PFNS; i++) {
			use(pages[i], gfp, 0);
			result.pfns[i] = (u32)pfn_or_none(pages[i]);
		}
		return;
	}
	for (i = 0; i < nr; i++)
		pages[i] = page_at(call.pfns[i] == (u32)PFN_NONE ? -1 : (s64)call.pfns[i]);
	result.r =
	    (s64)(call.own ? free_pages_bulk(nr, pages) : mem_free_pages_bulk(mem, nr, pages));
}

static void run_page(void)
{
	struct page *page = page_at(call.code == CALL_ALLOC ? -1 : call.a);
	unsigned order = (unsigned)call.b;
	gfp_t gfp = (gfp_t)call.a;

	switch (call.code) {
	case CALL_ALLOC:
		page = call.own ? alloc_pages(gfp, order) : mem_alloc_pages(mem, gfp, order);
		use(page, gfp, order);
		result.r = pfn_or_none(page);
		break;
	case CALL_FREE:
		page = page_beside(call.a, call.c);
		result.r = call.own ? free_pages(page, order) : mem_free_pages(mem, page, order);
		break;
	case CALL_GET: result.r = get_page(page); break;
	case CALL_PUT: result.r = mem_put_page(mem, page); break;
	case CALL_PIN: result.r = pin_page(page); break;
	case CALL_UNPIN: mem_unpin_page(mem, page); break;
	default: run_bulk(); break;
	}
}

static void run_cache(void)
{
	switch (call.code) {
	case CALL_DRAIN: result.r = drain_all_pages(mem, zone_at(call.a)); break;
	case CALL_DRAIN_HERE: drain_local_pages(mem, zone_at(call.a)); break;
	case CALL_DISABLE: result.r = zone_pcp_disable(zone_at(call.a)); break;
	case CALL_ENABLE: result.r = zone_pcp_enable(zone_at(call.a)); break;
	default: pcp_refresh_all(mem); break;
	}
}

static void run_range(void)
{
	pfn_t start = (pfn_t)call.a;
	unsigned long nr = (unsigned long)call.b;
	const u32 cancel = call.code == CALL_OFFLINE && call.d & OFFLINE_CANCELLED;
	struct offline_opts opts = {.policy = (enum iso_policy)call.c,
	    .cancel = &cancel,
	    .deadline_ns = call.d & OFFLINE_LATE ? 1 : 0};
	struct offline_result res = {0};
	struct mm_fail fail = {.pfn = PFN_NONE};

	switch (call.code) {
	case CALL_ISOLATE:
		result.r = start_isolate_page_range(mem, start, nr, (enum iso_policy)call.c, &fail);
		break;
	case CALL_UNDO: undo_isolate_page_range(mem, start, nr); break;
	case CALL_TEST: result.r = test_pages_isolated(mem, start, nr, &fail); break;
	case CALL_OFFLINE:
		result.r =
		    offline_pages(mem, start, nr, call.d & OFFLINE_PLAIN ? NULL : &opts, &res);
		fail = res.fail;
		result.moved = res.moved;
		result.rounds = (u16)res.rounds;
		break;
	case CALL_ONLINE: result.r = online_pages(mem, start, nr, &fail); break;
	case CALL_CONTIG:
		result.r =
		    alloc_contig_range(mem, start, (pfn_t)call.b, (enum migratetype)call.c, &fail);
		break;
	case CALL_FREE_RANGE: result.r = (s64)free_contig_range(mem, start, nr); break;
	default: result.r = offline_query(mem, start, nr, &fail); break;
	}
	result.pfn = (s64)fail.pfn;
	result.why = fail.why;
}

/*
 * Take the pages, and move them or put them back.  result.pfns: the error of taking each page;
 * result.moved: the number of pages taken; result.why: the error of what is done meanwhile.
 */
static void run_move(void)
{
	struct page *pages[WIRE_PFNS];
	unsigned i, nr = 0;

	for (i = 0; i < call.a; i++) {
		int err = isolate_movable_page(mem, call.pfns[i]);

		result.pfns[i] = (u32)-err;
		if (!err)
			pages[nr++] = page_at((s64)call.pfns[i]);
	}
	result.moved = nr;
	if (call.b == MEANWHILE_PIN)
		result.why = -handle_pin(&ARENA->table, (u32)call.c);
	else if (call.b == MEANWHILE_DROP)
		result.why = -handle_free(&ARENA->table, (u32)call.c);
	if (call.code == CALL_MOVE) {
		result.r = migrate_pages(mem, pages, nr, NULL);
		return;
	}
	for (i = 0; i < nr; i++)
		putback_movable_page(mem, pages[i]);
}

static void run_handle(void)
{
	u32 h = (u32)call.a;

	switch (call.code) {
	case CALL_HOLD:
		result.r = handle_alloc(&ARENA->table, h, (unsigned)call.b, (gfp_t)call.c, h + 1);
		break;
	case CALL_DROP: result.r = handle_free(&ARENA->table, h); break;
	case CALL_HOLD_WRITE: result.r = handle_write(&ARENA->table, h, (u64)call.b); break;
	case CALL_HOLD_CHECK: result.r = handle_verify(&ARENA->table, h); break;
	case CALL_HOLD_PIN: result.r = handle_pin(&ARENA->table, h); break;
	default: result.r = handle_unpin(&ARENA->table, h); break;
	}
}

static void run_poison(void)
{
	pfn_t pfn = (pfn_t)call.a;

	switch (call.code) {
	case CALL_BREAK: result.r = mem_memory_failure(mem, pfn, 0, NULL); break;
	case CALL_SOFT: result.r = mem_soft_offline_page(mem, pfn); break;
	default: result.r = mem_unpoison_page(mem, pfn); break;
	}
}

/* Take all that is to be reported, up to call.a pageblocks at once, before any is given back. */
static void run_report(void)
{
	struct report_walk walk = {0};
	pfn_t blocks[ARENA_BLOCKS];
	unsigned nr, i;

	while ((nr = take_unreported(mem, &walk, blocks + result.r, (unsigned)call.a)))
		result.r += nr;
	for (i = 0; i < result.r; i++)
		result.pfns[i] = (u32)blocks[i];
	give_reported(mem, blocks, (unsigned)result.r, call.b);
}

/* The lock of a handle is free: the call has ended. */
static u64 place_of(u32 handle) NO_LOCK_ANALYSIS
{
	const struct page *page = ARENA->handle[handle].page;

	return page ? page_to_pfn_in(mem, page) : ~0ULL;
}

void wire_run(const struct wire_call *c, struct wire_result *r)
{
	unsigned h;

	call = *c;
	result = (struct wire_result){0};
	if (call.code == CALL_BUILD) {
		build();
	} else {
		host_fuzz_cpu(call.cpu);
		host_this.irqs_off = call.irqs_off;
		if (call.code <= CALL_UNPIN)
			run_page();
		else if (call.code <= CALL_REFRESH)
			run_cache();
		else if (call.code <= CALL_QUERY || call.code == CALL_CONTIG ||
		    call.code == CALL_FREE_RANGE)
			run_range();
		else if (call.code <= CALL_HOLD_UNPIN)
			run_handle();
		else if (call.code == CALL_REPORT)
			run_report();
		else if (call.code >= CALL_BREAK)
			run_poison();
		else
			run_move();
		result.irqs_off = host_this.irqs_off;
		host_this.irqs_off = false;
	}
	for (h = 0; h < NR_HANDLES; h++)
		result.at[h] = place_of(h);
	*r = result;
}
