/* SPDX-License-Identifier: MIT */
/* mm_test.c: helpers that the suites of the memory manager share. */
#include "tests/lib/mm_test.h"
#include "mm/check/check.h"
#include <quarry/lock.h>
#include <quarry/port.h>

static void judge(struct ktest *t, int err, const struct mm_violation *v)
{
	if (err)
		ktest_fail(t, __FILE__, __LINE__, "check_memory: %d %s: pfn %#lx have %ld want %ld",
		    err, v->what ? v->what : "?", v->pfn, (long)v->have, (long)v->want);
}

void expect_sound(struct ktest *t, struct memory *mem)
{
	struct mm_violation v = {.what = NULL};
	int err = check_memory(mem, &v);

	judge(t, err, &v);
}

void expect_sound_unshared(struct ktest *t, struct memory *mem) NO_LOCK_ANALYSIS
{
	struct mm_violation v = {.what = NULL};
	irqflags_t flags = arch_irq_save();

	if (check_zones(mem, false, &v))
		check_vm(mem, &v);
	arch_irq_restore(flags);
	judge(t, v.what ? -EUCLEAN : 0, &v);
}

void set_limits(struct zone *zone, unsigned long leaving)
{
	hotplug_lock(zone->mem);
	zone_set_limits(zone, leaving);
	hotplug_unlock(zone->mem);
}

bool has_free(struct zone *zone, unsigned order, enum migratetype type)
{
	irqflags_t flags = zone_lock_irqsave(zone);
	bool has = buddy_has(zone, order, type);

	zone_unlock_irqrestore(zone, flags);
	return has;
}

static struct spinlock held;
static irqflags_t told_flags;

void locks_told_begin(enum lock_rank rank,
    void (*hook)(const char *what, const struct spinlock *lock)) NO_LOCK_ANALYSIS
{
	told_flags = arch_irq_save();
	held = SPINLOCK("held", rank);
	spin_violation_hook = hook;
	spin_lock(&held);
}

void locks_told_end(void) NO_LOCK_ANALYSIS
{
	spin_unlock(&held);
	spin_violation_hook = NULL;
	arch_irq_restore(told_flags);
}

static const struct zone *counted;
static unsigned locks;

static void count_lock(const char *what, const struct spinlock *lock)
{
	locks += lock == &counted->lock;
}

unsigned zone_locks_of(const struct zone *zone, void (*fn)(void *), void *arg)
{
	counted = zone;
	locks = 0;
	locks_told_begin(RANK_ZONE, count_lock);
	fn(arg);
	locks_told_end();
	return locks;
}

void start_from(unsigned first, void (*fn)(void *), void *arg)
{
	for (; first < ktest_cpus(); first++)
		ktest_start(first, fn, arg);
}

void join_from(unsigned first)
{
	for (; first < ktest_cpus(); first++)
		ktest_join(first);
}

void run_from(unsigned first, void (*fn)(void *), void *arg)
{
	start_from(first, fn, arg);
	join_from(first);
}

void pile_push(struct pile *p, struct page *page)
{
	page->owner = p->top;
	p->top = page;
	p->nr++;
}

struct page *pile_pop(struct pile *p)
{
	struct page *page = p->top;

	if (page) {
		p->top = page->owner;
		page->owner = NULL;
		p->nr--;
	}
	return page;
}

unsigned long pile_alloc(
    struct memory *mem, struct pile *p, gfp_t gfp, unsigned order, unsigned long max)
{
	unsigned long n;

	for (n = 0; n < max; n++) {
		struct page *page = mem_alloc_pages(mem, gfp, order);

		if (!page)
			break;
		pile_push(p, page);
	}
	return n;
}

void pile_alloc_last(struct memory *mem, struct pile *p)
{
	WRITE_ONCE(port_task()->reserve, 1);
	pile_alloc(mem, p, GFP_MOVABLE, 0, ALL_THERE_IS);
	WRITE_ONCE(port_task()->reserve, 0);
}

unsigned long pile_free(struct memory *mem, struct pile *p)
{
	unsigned long refused = 0;
	struct page *page;

	while ((page = pile_pop(p)))
		refused += mem_free_pages(mem, page, word_order(page_word(page))) != 0;
	return refused;
}

void all_caches_off(struct ktest *t, struct memory *mem)
{
	unsigned i;

	for (i = 0; i < MAX_ZONES; i++) {
		if (mem->zones[i].managed)
			EXPECT_EQ(t, zone_pcp_disable(&mem->zones[i]), 0);
	}
}

bool set_badpage_panic(bool on)
{
	bool was = READ_ONCE(kernel_memory.badpage_panic);

	WRITE_ONCE(kernel_memory.badpage_panic, on);
	return was;
}

struct zone *normal_zone(struct ktest *t, unsigned blocks)
{
	struct memory *mem = ktest_memory(t, 0, blocks, 0);

	return mem ? &mem->zones[ZONE_NORMAL] : NULL;
}

static struct page *take(struct zone *zone, unsigned order, enum migratetype type,
    pfn_t (*from)(struct zone *, unsigned, enum migratetype))
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);
	pfn_t pfn = from(zone, order, type);
	struct page *page = NULL;

	if (pfn != PFN_NONE) {
		page = pfn_to_page_in(zone->mem, pfn);
		page_store(page, AS_TAIL, AS_ALLOC(order));
	}
	spin_unlock_irqrestore(&zone->lock, flags);
	return page;
}

struct page *take_block(struct zone *zone, unsigned order, enum migratetype type)
{
	return take(zone, order, type, buddy_alloc);
}

struct page *take_fallback(struct zone *zone, unsigned order, enum migratetype type)
{
	return take(zone, order, type, buddy_alloc_fallback);
}

void give_block(struct zone *zone, struct page *page)
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);

	buddy_free(zone, page_to_pfn_in(zone->mem, page), word_order(page_word(page)));
	spin_unlock_irqrestore(&zone->lock, flags);
}

struct page *hold_pfn(struct memory *mem, pfn_t pfn)
{
	struct zone *zone = zone_of(mem, pfn);
	irqflags_t flags = zone_lock_irqsave(zone);

	buddy_take_range(zone, pfn, pfn + 1);
	zone_unlock_irqrestore(zone, flags);
	return pfn_to_page_in(mem, pfn);
}

bool take_pages(struct zone *zone, unsigned long nr, struct pile *pile)
{
	struct page *page;

	while (nr-- > 0) {
		page = take_block(zone, 0, MT_MOVABLE);
		page = page ? page : take_fallback(zone, 0, MT_MOVABLE);
		if (!page)
			return false;
		pile_push(pile, page);
	}
	return true;
}

void give_pages(struct zone *zone, struct pile *pile)
{
	while (pile->top)
		give_block(zone, pile_pop(pile));
}

unsigned long kept_free(struct memory *mem)
{
	const struct zone *zone;
	unsigned long kept = 0;

	for_each_zone(mem, zone)
		kept += zone->wmark[WMARK_HIGH] + (zone->kind == ZONE_MOVABLE ? 0 : zone->reserve);
	return kept;
}

void set_type(struct zone *zone, pfn_t block, enum migratetype type)
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);

	pageblock_change_type(zone, block, type);
	spin_unlock_irqrestore(&zone->lock, flags);
}

void set_isolated(struct zone *zone, pfn_t block, bool on)
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);

	pageblock_set_isolated(zone, block, on);
	zone->mem->nr_isolating += on;
	spin_unlock_irqrestore(&zone->lock, flags);
}

static u64 mix(u64 hash, u64 value)
{
	return (hash << 7 | hash >> 57) ^ (value * 0xff51afd7ed558ccdULL);
}

static u64 hash_zone(u64 hash, const struct memory *mem, const struct zone *zone)
{
	unsigned order, type, cpu, i;

	hash = mix(mix(mix(hash, zone->nr_free), zone->present), zone->nr_isolated);
	for (order = 0; order < NR_ORDERS; order++)
		for (type = 0; type < NR_MIGRATETYPES; type++)
			hash = mix(mix(hash, zone_next_free(zone, order, type, PFN_NONE)),
			    zone_free_blocks(zone, order, type));
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		for (i = 0; i < STACKS_PER_ZONE; i++) {
			unsigned stack = stacks_of(zone->id) + i, n;

			hash = mix(hash, stack_count(&mem->pcp[cpu]->stack[stack]));
			for (n = 0; n < stack_count(&mem->pcp[cpu]->stack[stack]); n++)
				hash = mix(hash, (uintptr_t)mem->pcp[cpu]->stack[stack].slot[n]);
		}
	}
	return hash;
}

struct fingerprint take_fingerprint(struct memory *mem)
{
	struct fingerprint c = {
	    .free = memory_free_pages(mem), .managed = memory_managed_pages(mem)};
	unsigned i, ev;
	pfn_t pfn;

	for (pfn = mem->start_pfn; pfn < mem->end_pfn; pfn++) {
		const struct page *page = pfn_to_page_in(mem, pfn);

		c.hash = mix(c.hash, page_word(page));
		c.hash = mix(c.hash, (u64)page->next << 32 | page->prev);
		c.hash = mix(c.hash, (uintptr_t)page->owner + page->index);
		c.hash = mix(c.hash, (u64)page->mapcount << 16 | READ_ONCE(page->pincount));
	}
	for (pfn = mem->start_pfn; pfn < mem->end_pfn; pfn += PAGEBLOCK_PAGES) {
		const struct pageblock *pb = pageblock_of(mem, pfn);

		c.hash =
		    mix(c.hash, (u64)pb->nr_free << 32 | (u64)pb->nr_poisoned << 16 | pb->bits);
		c.hash = mix(c.hash, pb->stack);
	}
	for (i = 0; i < mem->nr_nodes * NR_ZONE_KINDS; i++) {
		c.hash = hash_zone(c.hash, mem, &mem->zones[i]);
		c.cached += zone_pcp_pages(&mem->zones[i]);
	}
	for (ev = 0; ev < NR_MM_EVENTS; ev++) {
		if (ev != EV_BAD_FREE)
			c.hash = mix(c.hash, mm_event_sum(mem, (enum mm_event)ev));
	}
	return c;
}

bool fingerprint_same(const struct fingerprint *a, const struct fingerprint *b)
{
	return a->hash == b->hash && a->free == b->free && a->managed == b->managed &&
	    a->cached == b->cached;
}

bool bare_config(struct ktest *t, struct memory_config *cfg, pfn_t start, unsigned blocks)
{
	struct memory *arena = t->mem ? t->mem : ktest_memory(t, 0, 1, 0);
	unsigned long nr = blocks * PAGEBLOCK_PAGES;
	char *pages, *pageblocks, *trees;

	if (!arena)
		return false;
	pages = arena->alloc(arena->alloc_arg, nr * sizeof(struct page));
	pageblocks = arena->alloc(arena->alloc_arg, blocks * sizeof(struct pageblock));
	trees = arena->alloc(arena->alloc_arg, blocks * sizeof(struct pageblock_tree));
	if (!pages || !pageblocks || !trees) {
		ktest_fail(t, __FILE__, __LINE__, "no room for %u pageblocks", blocks);
		return false;
	}
	*cfg = (struct memory_config){
	    .name = "built",
	    /* The entry of pfn 0; it lies outside the array if @start is not 0. */
	    .memmap = (struct page *)((uintptr_t)pages - start * sizeof(struct page)),
	    .pageblocks = (struct pageblock *)((uintptr_t)pageblocks -
	        (start >> PAGEBLOCK_ORDER) * sizeof(struct pageblock)),
	    .trees = (struct pageblock_tree *)((uintptr_t)trees -
	        (start >> PAGEBLOCK_ORDER) * sizeof(struct pageblock_tree)),
	    .start_pfn = start,
	    .end_pfn = start + nr,
	    .nr_cpus = ktest_cpus(),
	    .thread_cpus = ktest_cpus() < nr_cpus ? ktest_cpus() : 0,
	    .nr_nodes = 1,
	    .reclaim = &memory_reclaim,
	    .alloc = arena->alloc,
	    .arg = arena->alloc_arg,
	};
	return true;
}

struct memory *bare_memory(
    struct ktest *t, pfn_t start, unsigned blocks, unsigned nr_nodes, const u8 *distance)
{
	struct memory_config cfg;
	struct memory *mem;

	if (!bare_config(t, &cfg, start, blocks))
		return NULL;
	cfg.nr_nodes = nr_nodes;
	cfg.distance = distance;
	mem = cfg.alloc(cfg.arg, sizeof(*mem));
	if (mem && !memory_init(mem, &cfg))
		return mem;
	ktest_fail(t, __FILE__, __LINE__, "memory_init failed");
	return NULL;
}

struct zone *bare_zone(struct ktest *t, unsigned blocks)
{
	struct memory *mem = bare_memory(t, 0, blocks, 1, NULL);

	if (mem && !memory_add_zone(mem, 0, ZONE_NORMAL, 0, mem->end_pfn))
		return &mem->zones[ZONE_NORMAL];
	ktest_fail(t, __FILE__, __LINE__, "no zone");
	return NULL;
}

int add_zones(struct memory *mem, const struct zone_spec *specs, unsigned nr)
{
	pfn_t start = mem->start_pfn, next;
	int err = 0;
	unsigned i;

	for (i = 0; i < nr && !err; i++, start = next) {
		next = start + specs[i].blocks * PAGEBLOCK_PAGES;
		err =
		    memory_add_zone(mem, specs[i].node, (enum zone_kind)specs[i].kind, start, next);
		if (!err) {
			memory_add_ram(mem, start, next);
			memory_free_range(mem, start, next);
		}
	}
	return err;
}

struct memory *begin_memory(struct ktest *t, struct memory *mem, int err)
{
	err = err ? err : memory_ready(mem);
	err = err ? err : ktest_start_memory(mem);
	if (!err)
		return mem;
	ktest_fail(t, __FILE__, __LINE__, "no memory: error %d", err);
	return NULL;
}

struct memory *build_memory(struct ktest *t, unsigned nr_nodes, const u8 *distance,
    const struct zone_spec *specs, unsigned nr)
{
	unsigned blocks = 0, i;
	struct memory *mem;

	for (i = 0; i < nr; i++)
		blocks += specs[i].blocks;
	mem = bare_memory(t, 0, blocks, nr_nodes, distance);
	return mem ? begin_memory(t, mem, add_zones(mem, specs, nr)) : NULL;
}

void drop_memory(struct ktest *t, struct memory *mem)
{
	expect_sound(t, mem);
	memory_stop(mem);
}
