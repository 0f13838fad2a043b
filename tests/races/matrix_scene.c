/* SPDX-License-Identifier: MIT */
/*
 * matrix_scene.c: the memory of a cell of the matrix, with pages in each state, and its checks
 * between any two steps of an operation.
 *
 * Owns: the scene; movable objects of single pages.
 */
#include "fiber_cpu.h"
#include "matrix.h"
#include "mm/check/check.h"
#include <quarry/isolation.h>
#include <quarry/memory_hotplug.h>
#include <quarry/movable.h>
#include <quarry/poison.h>

#define OBJECTS 256
#define PAGES   64

/* A broken page, and its state and owner when it broke. */
struct broken {
	pfn_t pfn;
	enum page_state state;
	const void *owner;
};

static struct {
	const struct matrix_scene *plan;
	struct movable_owner owner, lender;
	struct page *object[OBJECTS]; /* pages of the movable objects, by index */
	unsigned nr_objects;
	struct page *page[PAGES]; /* owned by the scene alone */
	unsigned nr_pages;
	struct broken broken[4];
	unsigned nr_broken;
	pfn_t isolated;
	unsigned long others; /* other blocks in use at first */
} scene;

/* ---- objects ---- */

static int object_isolate(struct memory *mem, struct page *page)
{
	return 0;
}

static int object_migrate(
    struct movable_owner *owner, struct memory *mem, struct page *dst, struct page *src)
{
	u32 index = src->index;

	if (!page_make_movable(mem, dst, owner, index))
		return -EAGAIN;
	scene.object[index] = dst;
	page_release_movable(mem, src);
	return 0;
}

static bool object_putback(struct memory *mem, struct page *page)
{
	return true;
}

static const struct movable_ops object_ops = {
    .isolate = object_isolate, .migrate = object_migrate, .putback = object_putback};
static const struct movable_ops lent_ops = {.isolate = object_isolate,
    .migrate = object_migrate,
    .putback = object_putback,
    .balloon = true};

/* ---- setting the scene ---- */

static pfn_t block_at(unsigned nr)
{
	return ops_movable()->start_pfn + nr * PAGEBLOCK_PAGES;
}

struct pfn_range matrix_range(void)
{
	pfn_t start = block_at(scene.plan->first);

	return (struct pfn_range){start, start + scene.plan->going * PAGEBLOCK_PAGES};
}

pfn_t matrix_other(void)
{
	return block_at(1);
}

/* Take the page at @pfn, which is free. */
static struct page *take(pfn_t pfn)
{
	struct zone *zone = zone_of(ops.mem, pfn);
	irqflags_t flags = zone_lock_irqsave(zone);

	buddy_take_range(zone, pfn, pfn + 1);
	zone_unlock_irqrestore(zone, flags);
	return pfn_to_page_in(ops.mem, pfn);
}

static void put_object(pfn_t pfn, struct movable_owner *owner)
{
	KASSERT(scene.nr_objects < OBJECTS);
	scene.object[scene.nr_objects] = take(pfn);
	if (!page_make_movable(ops.mem, scene.object[scene.nr_objects], owner, scene.nr_objects))
		panic("a page of the scene broke");
	scene.nr_objects++;
}

/* Put into the range three objects, a page lent to the host, and a broken page. */
static void fill_range(struct pfn_range range)
{
	put_object(range.start + 1, &scene.owner);
	put_object(range.start + 3, &scene.owner);
	put_object(range.start + 4, &scene.lender);
	put_object(range.start + PAGEBLOCK_PAGES + 2, &scene.owner);
	if (mem_memory_failure(ops.mem, range.start + PAGEBLOCK_PAGES + 6, 0, NULL))
		panic("matrix: a free page is not retired");
}

/* Take four pages in zone NORMAL for the kernel, each in a state of its own. */
static void fill_normal(void)
{
	pfn_t start = ops.mem->zones[ZONE_NORMAL].start_pfn;

	page_cas_state(take(start + 1), PG_ALLOC, PG_SLAB);
	page_cas_state(take(start + 2), PG_ALLOC, PG_PGTABLE);
	page_cas_state(take(start + 3), PG_ALLOC, PG_OBJECT);
	take(start + 4);
}

static unsigned long in_use(void)
{
	unsigned long nr = 0;
	pfn_t block, pfn;

	for (block = ops.mem->start_pfn; block < ops.mem->end_pfn; block += PAGEBLOCK_PAGES) {
		if (pageblock_state(pageblock_of(ops.mem, block)) != PB_ONLINE)
			continue;
		for_each_head(ops.mem, pfn, block) {
			enum page_state state = word_state(block_word(ops.mem, pfn));

			nr += state != PG_FREE && state != PG_PCP && state != PG_HWPOISON;
		}
	}
	return nr;
}

void matrix_set(const struct matrix_scene *plan, enum iso_policy policy)
{
	static struct race_script script;
	struct pfn_range range;
	unsigned i;

	memset(&scene, 0, sizeof(scene));
	memset(&script, 0, sizeof(script));
	script.nr_cpus = MATRIX_CPUS;
	script.policy = policy;
	script.movable = plan->blocks;
	ops_build(&script);
	scene.plan = plan;
	scene.owner.ops = &object_ops;
	scene.lender.ops = &lent_ops;
	scene.isolated = PFN_NONE;
	/* A critical section works on a quarter of the range, so a narrow range too has several. */
	ops.mem->blocks_at_once = MAX(1u, plan->going / 4);
	range = matrix_range();
	if (plan->offline) {
		if (offline_pages(ops.mem, range.start, range_pages(range), NULL, NULL))
			panic("matrix: the range does not go");
	} else {
		fill_range(range);
	}
	fill_normal();
	for (i = 0; plan->every && i < plan->blocks; i++) {
		if (i < plan->first || i >= plan->first + 2) {
			put_object(block_at(i) + 2, &scene.owner);
			put_object(block_at(i) + 5, &scene.owner);
		}
	}
	while (plan->no_kernel_pages && mem_alloc_pages(ops.mem, GFP_UNMOVABLE | GFP_NOWAIT, 0))
		;
	drain_local_pages(ops.mem, NULL);
	scene.others = in_use() - scene.nr_objects;
}

/* Fill this CPU's cache, partly from the range, and take some more pages. */
void matrix_set_visitor(void)
{
	struct zone *zone = ops_movable();
	const struct pcp *pcp = ops.mem->pcp[arch_cpu_id()];
	unsigned stack = zone_stack(zone, 0, MT_MOVABLE), i;
	struct pfn_range range = matrix_range();
	pfn_t pfn = matrix_other();

	for (i = 0; i < 4; pfn++) {
		if (free_order_at(ops.mem, page_head(ops.mem, pfn)) < 0)
			continue;
		matrix_push(take(pfn));
		i++;
	}
	if (!scene.plan->offline && !scene.plan->every) {
		mem_free_pages(ops.mem, take(range.start + 5), 0);
		mem_free_pages(ops.mem, take(range.end - 1), 0);
	}
	/* Fill the cache from outside the range, so that the range has no other pages in use. */
	for (pfn = block_at(0); pfn < matrix_other() || pfn < range.start; pfn++) {
		if (stack_count(&pcp->stack[stack]) == stack_capacity(&pcp->stack[stack]) &&
		    stack_count(&pcp->stack[stack]))
			break;
		if (free_order_at(ops.mem, page_head(ops.mem, pfn)) >= 0)
			mem_free_pages(ops.mem, take(pfn), 0);
	}
}

struct page *matrix_pop(void)
{
	return scene.nr_pages ? scene.page[--scene.nr_pages] : NULL;
}

void matrix_push(struct page *page)
{
	if (page && scene.nr_pages < PAGES)
		scene.page[scene.nr_pages++] = page;
}

pfn_t matrix_find(enum page_state state)
{
	pfn_t block, pfn;

	/* Search from the start of the range on, then the pageblocks before it. */
	for (block = matrix_range().start; block < ops.mem->end_pfn; block += PAGEBLOCK_PAGES) {
		if (pageblock_state(pageblock_of(ops.mem, block)) != PB_ONLINE)
			continue;
		for_each_head(ops.mem, pfn, block) {
			if (word_state(block_word(ops.mem, pfn)) == state)
				return pfn;
		}
	}
	for (block = ops.mem->start_pfn; block < matrix_range().start; block += PAGEBLOCK_PAGES) {
		for_each_head(ops.mem, pfn, block) {
			if (word_state(block_word(ops.mem, pfn)) == state)
				return pfn;
		}
	}
	return PFN_NONE;
}

/* ---- checks ---- */

static enum page_state state_at(pfn_t pfn)
{
	pfn_t head = page_head(ops.mem, pfn);

	if (pageblock_state(pageblock_of(ops.mem, pfn)) != PB_ONLINE || head == PFN_NONE)
		return PG_TAIL;
	return word_state(block_word(ops.mem, head));
}

void matrix_broke(pfn_t pfn)
{
	struct broken *b = &scene.broken[scene.nr_broken];

	if (scene.nr_broken == ARRAY_SIZE(scene.broken))
		return;
	b->pfn = pfn;
	b->state = state_at(pfn);
	b->owner = pfn_to_page_in(ops.mem, pfn)->owner;
	scene.nr_broken++;
}

void matrix_isolated(pfn_t block)
{
	scene.isolated = block;
}

void matrix_undo(void)
{
	if (scene.isolated != PFN_NONE)
		undo_isolate_page_range(ops.mem, scene.isolated, PAGEBLOCK_PAGES);
	scene.isolated = PFN_NONE;
}

/* True: a page in @state has an owner that is known. */
static bool has_owner(enum page_state state)
{
	return state == PG_MOVABLE_OPS || state == PG_BALLOON || state == PG_LRU ||
	    state == PG_OBJECT || state == PG_SLAB || state == PG_PGTABLE;
}

/* A page that had no owner when it broke must not get one. */
static bool check_broken(struct mm_violation *v)
{
	unsigned i;

	for (i = 0; i < scene.nr_broken; i++) {
		const struct broken *b = &scene.broken[i];
		u32 word = page_word(pfn_to_page_in(ops.mem, b->pfn));
		enum page_state state = state_at(b->pfn);

		if (word & PAGE_F_HWPOISON && !has_owner(b->state) && b->state != PG_ISO_MIG &&
		    has_owner(state))
			return ops_broken(
			    v, "I-H5 broken page got an owner", b->pfn, state, b->state);
	}
	return true;
}

/*
 * True: a check is allowed, as for check_memory: no CPU is inside a zone lock or a cache, and no
 * drain round is under way.
 */
static bool may_look(void)
{
	unsigned cpu;

	for (cpu = 0; cpu < FIBER_CPUS; cpu++) {
		if (fibers[cpu].state != FIBER_NONE && fibers[cpu].cpu.irqs_off)
			return false;
	}
	return !mutex_is_held(&ops.mem->pcp_ctl);
}

bool matrix_check(struct mm_violation *v) NO_LOCK_ANALYSIS
{
	return !may_look() ||
	    (check_zones(ops.mem, READ_ONCE(ops.mem->iso_pending) > 0, v) && check_broken(v));
}

/* When all is idle, no CPU's capacity is above its limit. */
static bool check_limits(struct mm_violation *v)
{
	const struct zone *zone;
	unsigned cpu, i;

	for_each_zone(ops.mem, zone) {
		for (cpu = 0; cpu < ops.mem->nr_cpus; cpu++) {
			const struct pcp_stack *stack =
			    &ops.mem->pcp[cpu]->stack[stacks_of(zone->id)];

			for (i = 0; i < ARRAY_SIZE(zone->pcp_limit); i++) {
				unsigned have = stack_capacity(&stack[i]);

				if (have > zone->pcp_limit[i])
					return ops_broken(v, "I-P8 capacity above its limit", cpu,
					    have, zone->pcp_limit[i]);
			}
		}
	}
	return true;
}

bool matrix_check_end(struct mm_violation *v)
{
	unsigned long known = scene.nr_objects + scene.nr_pages + scene.others, found;

	matrix_undo();
	if (!may_look())
		return ops_broken(v, "I-E1 a CPU has not ended its section", 0, 1, 0);
	if (!matrix_check(v) || !check_limits(v))
		return false;
	if (ops.mem->iso_pending)
		return ops_broken(v, "I-E2 an isolation has not ended", 0, ops.mem->iso_pending, 0);
	found = in_use();
	return found == known || ops_broken(v, "leak blocks in use", 0, found, known);
}
