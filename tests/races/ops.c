/* SPDX-License-Identifier: MIT */
/*
 * ops.c: what the roles of a race can do, and what is checked: on a private memory, fresh for each run.
 *
 * The memory has NORMAL and MOVABLE pageblocks and as many CPUs as there are roles.  Page P is a page
 * of zone MOVABLE, Q (with scene(Q)) another in the same pageblock; U is the pageblock of zone NORMAL from which
 * the next unmovable page will be taken.
 *
 * Owns: the arena; ops.
 */
#include "engine.h"
#include "mm/mm_priv.h"

#define BLOCKS     32 /* pageblocks of each zone */
#define MAX_HOARD  1024
#define ARENA_SIZE (BLOCKS * 2 * PAGEBLOCK_PAGES * sizeof(struct page) + (192UL << 10))

static char arena[ARENA_SIZE] __attribute__((aligned(4096)));
static size_t arena_used;
u32 ops_cancel;

static struct {
	struct memory *mem;
	struct page *p, *q;          /* NULL: freed */
	pfn_t page_p, block_p, block_u; /* page_p 0: no scene */
	struct page *own[RACE_ROLES]; /* what a role allocated last */
	struct page *hoard[MAX_HOARD];
	unsigned nr_hoard;
} ops;

static void *arena_alloc(void *arg, size_t bytes)
{
	void *ptr = arena + arena_used;

	if (bytes > ARENA_SIZE - arena_used)
		return NULL;
	arena_used += ALIGN_UP(bytes, 64);
	return ptr;
}

static struct zone *movable(void)
{
	return &ops.mem->zones[ZONE_MOVABLE];
}

void ops_build(unsigned nr, enum iso_policy policy)
{
	const pfn_t middle = BLOCKS * PAGEBLOCK_PAGES, end = 2 * middle;
	struct memory_config cfg = {
	    .name = "race", .end_pfn = end, .nr_cpus = nr, .nr_nodes = 1, .alloc = arena_alloc};
	struct memory *mem;
	int err;

	memset(arena, 0, arena_used);
	memset(&ops, 0, sizeof(ops));
	arena_used = 0;
	mem = arena_alloc(NULL, sizeof(*mem));
	cfg.memmap = arena_alloc(NULL, end * sizeof(struct page));
	cfg.pageblocks = arena_alloc(NULL, end / PAGEBLOCK_PAGES * sizeof(struct pageblock));
	err = memory_init(mem, &cfg);
	err = err ? err : memory_add_zone(mem, 0, ZONE_NORMAL, 0, middle);
	err = err ? err : memory_add_zone(mem, 0, ZONE_MOVABLE, middle, end);
	if (!err) {
		memory_add_ram(mem, 0, end);
		memory_free_range(mem, 0, end);
	}
	err = err ? err : memory_ready(mem);
	err = err ? err : memory_start(mem);
	if (err)
		panic("race: no memory: error %d", err);
	mem->policy = policy;
	ops.mem = mem;
}

void ops_stop(void)
{
	memory_stop(ops.mem);
}

bool ops_view(struct ops_view *view)
{
	*view = (struct ops_view){.mem = ops.mem, .page_p = ops.page_p, .block_u = ops.block_u};
	return ops.page_p != 0;
}

bool ops_owns(const void *what)
{
	return (const char *)what >= arena && (const char *)what < arena + sizeof(arena);
}

static int op_scene(unsigned role, const char *arg)
{
	struct page *u = mem_alloc_pages(ops.mem, GFP_UNMOVABLE, 0);

	ops.p = mem_alloc_pages(ops.mem, GFP_MOVABLE, 0);
	if (!strcmp(arg, "Q"))
		ops.q = mem_alloc_pages(ops.mem, GFP_MOVABLE, 0);
	KASSERT(ops.p && u);
	ops.page_p = page_to_pfn_in(ops.mem, ops.p);
	ops.block_p = ALIGN_DOWN(ops.page_p, PAGEBLOCK_PAGES);
	ops.block_u = ALIGN_DOWN(page_to_pfn_in(ops.mem, u), PAGEBLOCK_PAGES);
	mem_free_pages(ops.mem, u, 0);
	drain_local_pages(ops.mem, NULL);
	return 0;
}

/* ---- arguments ---- */

/* P: its pageblock; S: the 4 aligned pageblocks around it; U; N-M: pageblocks of zone MOVABLE. */
static bool range_of(const char *arg, pfn_t *start, unsigned long *nr)
{
	unsigned from = 0, to = 0;

	*nr = PAGEBLOCK_PAGES;
	*start = ops.block_p;
	if (!strcmp(arg, "P"))
		return true;
	if (!strcmp(arg, "S")) {
		*nr = 4 * PAGEBLOCK_PAGES;
		*start = ALIGN_DOWN(ops.block_p, 4 * PAGEBLOCK_PAGES);
		return true;
	}
	if (!strcmp(arg, "U")) {
		*start = ops.block_u;
		return true;
	}
	for (; *arg >= '0' && *arg <= '9'; arg++)
		from = from * 10 + (unsigned)(*arg - '0');
	if (*arg++ != '-')
		return false;
	for (; *arg >= '0' && *arg <= '9'; arg++)
		to = to * 10 + (unsigned)(*arg - '0');
	if (*arg || from > to || to >= BLOCKS)
		return false;
	*start = movable()->start_pfn + from * PAGEBLOCK_PAGES;
	*nr = (to - from + 1) * PAGEBLOCK_PAGES;
	return true;
}

static struct page **page_of(unsigned role, const char *arg)
{
	return !strcmp(arg, "P") ? &ops.p : !strcmp(arg, "Q") ? &ops.q : &ops.own[role];
}

static gfp_t gfp_of(const char *arg)
{
	return !strcmp(arg, "UNMOVABLE") ? GFP_UNMOVABLE : GFP_MOVABLE;
}

static struct zone *zone_arg(const char *arg)
{
	return !strcmp(arg, "U") ? &ops.mem->zones[ZONE_NORMAL] : movable();
}

/* ---- operations ---- */

static int op_alloc(unsigned role, const char *arg)
{
	ops.own[role] = mem_alloc_pages(ops.mem, gfp_of(arg), 0);
	return ops.own[role] ? 0 : -ENOMEM;
}

static int op_free(unsigned role, const char *arg)
{
	struct page **page = page_of(role, arg), *it = *page;

	*page = NULL;
	return mem_free_pages(ops.mem, it, 0);
}

static int op_get(unsigned role, const char *arg)
{
	return get_page(*page_of(role, arg));
}

static int op_put(unsigned role, const char *arg)
{
	return mem_put_page(ops.mem, *page_of(role, arg));
}

/* Leave something in this CPU's cache. */
static int op_fill(unsigned role, const char *arg)
{
	struct page *page = mem_alloc_pages(ops.mem, gfp_of(arg), 0);

	return page ? mem_free_pages(ops.mem, page, 0) : -ENOMEM;
}

static int op_disable(unsigned role, const char *arg)
{
	return zone_pcp_disable(zone_arg(arg));
}

static int op_enable(unsigned role, const char *arg)
{
	return zone_pcp_enable(zone_arg(arg));
}

static int op_drain(unsigned role, const char *arg)
{
	int asked = drain_all_pages(ops.mem, NULL);

	return asked < 0 ? asked : 0;
}

static int op_isolate(unsigned role, const char *arg)
{
	unsigned long nr;
	pfn_t start;

	if (!range_of(arg, &start, &nr))
		return -EINVAL;
	return start_isolate_page_range(ops.mem, start, nr, ops.mem->policy, NULL);
}

static int op_undo(unsigned role, const char *arg)
{
	unsigned long nr;
	pfn_t start;

	if (!range_of(arg, &start, &nr))
		return -EINVAL;
	undo_isolate_page_range(ops.mem, start, nr);
	return 0;
}

static int op_offline(unsigned role, const char *arg)
{
	const struct offline_opts opts = {.policy = NR_ISO_POLICIES, .cancel = &ops_cancel};
	unsigned long nr;
	pfn_t start;

	if (!range_of(arg, &start, &nr))
		return -EINVAL;
	return offline_pages(ops.mem, start, nr, &opts, NULL);
}

static int op_online(unsigned role, const char *arg)
{
	unsigned long nr;
	pfn_t start;

	if (!range_of(arg, &start, &nr))
		return -EINVAL;
	return online_pages(ops.mem, start, nr, NULL);
}

/* Everything that may be had without waiting, largest blocks first. */
static int op_hoard(unsigned role, const char *arg)
{
	unsigned order;

	for (order = MAX_ORDER + 1; order-- > 0;) {
		while (ops.nr_hoard < MAX_HOARD) {
			struct page *page = mem_alloc_pages(ops.mem, GFP_MOVABLE | GFP_NOWAIT, order);

			if (!page)
				break;
			ops.hoard[ops.nr_hoard++] = page;
		}
	}
	return ops.nr_hoard < MAX_HOARD ? 0 : -ENOMEM;
}

static void nothing(void *arg)
{
}

/* A cross-call to every CPU, by somebody who has nothing to do with drains. */
static int op_call(unsigned role, const char *arg)
{
	int asked = smp_call_mask(NULL, nothing, NULL);

	return asked < 0 ? asked : 0;
}

static const struct {
	const char *name;
	int (*fn)(unsigned role, const char *arg);
} known[] = {
    {"scene", op_scene}, {"alloc", op_alloc}, {"free", op_free}, {"fill", op_fill},
    {"disable", op_disable}, {"enable", op_enable}, {"drain", op_drain}, {"isolate", op_isolate},
    {"undo", op_undo}, {"offline", op_offline}, {"online", op_online}, {"hoard", op_hoard},
    {"call", op_call}, {"get", op_get}, {"put", op_put},
};

/* Split "name(argument)"; the number of @name in known[], or its size. */
static unsigned look_up(const char *op, char *arg, size_t size)
{
	size_t len = 0, i;
	unsigned k;

	while (op[len] && op[len] != '(')
		len++;
	for (i = 0; op[len] && op[len + 1 + i] && op[len + 1 + i] != ')' && i + 1 < size; i++)
		arg[i] = op[len + 1 + i];
	arg[i] = '\0';
	for (k = 0; k < ARRAY_SIZE(known); k++)
		if (strlen(known[k].name) == len && !strncmp(known[k].name, op, len))
			break;
	return k;
}

bool ops_known(const char *op)
{
	char arg[RACE_NAME];

	return look_up(op, arg, sizeof(arg)) < ARRAY_SIZE(known);
}

int ops_run(unsigned role, const char *op)
{
	char arg[RACE_NAME];
	unsigned k = look_up(op, arg, sizeof(arg));

	return k < ARRAY_SIZE(known) ? known[k].fn(role, arg) : -ENOSYS;
}

/* ---- checks ---- */

static bool broken(struct mm_violation *v, const char *what, pfn_t pfn, unsigned long have,
    unsigned long want)
{
	*v = (struct mm_violation){.what = what, .pfn = pfn, .have = have, .want = want};
	return false;
}

/* A zone that is disabled has nothing in caches, and no room there. */
static bool check_off(const struct zone *zone, struct mm_violation *v)
{
	unsigned cpu, i;

	for (cpu = 0; cpu < zone->mem->nr_cpus; cpu++) {
		for (i = 0; i < STACKS_PER_ZONE; i++) {
			unsigned stack = zone->id * STACKS_PER_ZONE + i;
			const struct pcp *pcp = zone->mem->pcp[cpu];

			if (READ_ONCE(pcp->count[stack]))
				return broken(v, "I-P6 cached while disabled, on CPU", cpu,
				    READ_ONCE(pcp->count[stack]), 0);
			if (READ_ONCE(pcp->capacity[stack]))
				return broken(v, "I-P6 capacity while disabled, on CPU", cpu,
				    READ_ONCE(pcp->capacity[stack]), 0);
		}
	}
	return true;
}

/* What a successful isolation promised about pageblocks that are isolated still. */
static bool check_isolated(struct mm_violation *v)
{
	pfn_t pfn;

	for (pfn = ops.mem->start_pfn; pfn < ops.mem->end_pfn; pfn += PAGEBLOCK_PAGES) {
		struct mm_fail fail = {.pfn = pfn};

		if (pageblock_isolated(pageblock_of(ops.mem, pfn)) &&
		    scan_unmovable(zone_of(ops.mem, pfn), pfn, PAGEBLOCK_PAGES, &fail))
			return broken(v, "I-I8 unmovable page in an isolated pageblock", fail.pfn, 1, 0);
	}
	return true;
}

/* Every page is free or cached: what was allocated has come back. */
static bool check_unused(struct mm_violation *v)
{
	unsigned long have = memory_free_pages(ops.mem), want = memory_managed_pages(ops.mem);

	return have == want || broken(v, "leak pages free or cached", 0, have, want);
}

/* The CPUs that the last round asked are those of the roles that @roles names. */
static bool check_asked(const char *roles, struct mm_violation *v)
{
	unsigned long want = 0;

	for (; *roles >= 'A' && *roles < 'A' + RACE_ROLES; roles++)
		want |= 1UL << (*roles - 'A');
	return ops.mem->drain_mask[0] == want ||
	    broken(v, "asked: CPUs of the last round", 0, ops.mem->drain_mask[0], want);
}

bool ops_check(const char *what, struct mm_violation *v)
{
	if (!*what)
		return check_memory(ops.mem, v) == 0;
	if (!strcmp(what, "off"))
		return check_off(movable(), v);
	if (!strcmp(what, "final"))
		return ops_final(v);
	if (!strcmp(what, "isolated"))
		return check_isolated(v);
	if (!strcmp(what, "unused"))
		return check_unused(v);
	if (!strncmp(what, "asked(", 6))
		return check_asked(what + 6, v);
	return broken(v, "unknown: no such check", 0, 0, 0);
}

bool ops_final(struct mm_violation *v)
{
	unsigned i;

	for (i = 0; i < NR_ZONE_KINDS; i++)
		if (ops.mem->zones[i].pcp_depth && !check_off(&ops.mem->zones[i], v))
			return false;
	return check_isolated(v) && check_memory(ops.mem, v) == 0;
}
