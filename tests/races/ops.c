/* SPDX-License-Identifier: MIT */
/*
 * ops.c: the operations of the roles of a race: on a private memory, fresh for each run.
 *
 * The memory has NORMAL and MOVABLE pageblocks and as many CPUs as there are roles, or more.  Page
 * P is a page of zone MOVABLE, Q (with scene(Q)) another in the same pageblock; U is the pageblock
 * of zone NORMAL from which the next unmovable page will be taken, K (with scene(K)) an unmovable
 * page in it.  O is an object behind a handle, which can be moved; each role may have one of its
 * own, too.  T is the second page of a block of two pages.  V (with scene(V), instead of P) is a
 * page of a memory object, mapped in address spaces: ops_vm.c, ops_space.c.  B (with scene(B)) is
 * the first page of the pageblocks at the end of zone MOVABLE that are on standby at first.
 * Operations on broken pages take the page of P, Q, K or V as it was when the scene was set,
 * whichever role has it now.
 *
 * Owns: the arena; ops.
 */
#include "ops.h"
#include <quarry/poison.h>
#include <quarry/isolation.h>
#include <quarry/memory_hotplug.h>
#include <quarry/memory_init.h>
#include <quarry/smp.h>
#include <quarry/string.h>

#define BLOCKS 32u /* pageblocks of each zone */
/* The same where they are lent, which not every machine has so much to spare for. */
#define LENT       (PAGEBLOCK_ORDER >= 9 ? 8u : BLOCKS)
#define STANDBY    4u
#define ARENA_SIZE (BLOCKS * 2 * PAGEBLOCK_PAGES * sizeof(struct page) + (152UL << 10))

static char arena[ARENA_SIZE] __attribute__((aligned(4096)));
static size_t arena_used;
u32 ops_cancel;

struct ops ops;

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

/* Is the scene of that kind? */
static bool has_scene(const struct race_script *s, const char *scene)
{
	unsigned i;

	for (i = 0; i < s->first || (!s->first && i < s->nr); i++)
		if (!strcmp(s->entry[i].op, scene))
			return true;
	return false;
}

void ops_build(const struct race_script *s)
{
	const bool backed =
	    has_scene(s, "scene(V)") || has_scene(s, "scene(N)") || has_scene(s, "scene(G)");
	const unsigned blocks = backed ? LENT : BLOCKS;
	const unsigned long nr = 2 * blocks * PAGEBLOCK_PAGES;
	const pfn_t start = backed ? race_ram(nr) : 0, middle = start + nr / 2, end = start + nr;
	const pfn_t online_end = has_scene(s, "scene(B)") ? end - STANDBY * PAGEBLOCK_PAGES : end;
	struct memory_config cfg = {.name = "race",
	    .start_pfn = start,
	    .end_pfn = end,
	    .nr_cpus = s->nr_cpus,
	    .nr_nodes = 1,
	    .backed = backed,
	    .reclaim = &memory_reclaim,
	    .alloc = arena_alloc,
	    .standby_step = STANDBY * PAGEBLOCK_PAGES,
	    .arrays = online_end < end ? &ops_standby_arrays : NULL};
	struct memory *mem;
	char *map;
	int err;

	if (start == PFN_NONE)
		panic("race: no pages to lend");
	vm_forget();
	memset(arena, 0, arena_used);
	memset(&ops, 0, sizeof(ops));
	arena_used = 0;
	mem = arena_alloc(NULL, sizeof(*mem));
	/* Both of pfn 0, which may lie outside. */
	map = arena_alloc(NULL, nr * sizeof(struct page));
	cfg.memmap = (struct page *)((uintptr_t)map - start * sizeof(struct page));
	map = arena_alloc(NULL, nr / PAGEBLOCK_PAGES * sizeof(struct pageblock));
	cfg.pageblocks = (struct pageblock *)((uintptr_t)map -
	    start / PAGEBLOCK_PAGES * sizeof(struct pageblock));
	err = memory_init(mem, &cfg);
	err = err ? err : memory_add_zone(mem, 0, ZONE_NORMAL, start, middle);
	err = err ? err : memory_add_zone(mem, 0, ZONE_MOVABLE, middle, end);
	if (!err) {
		memory_add_ram(mem, start, online_end);
		memory_free_range(mem, start, online_end);
		if (online_end < end)
			memory_add_standby(mem, online_end, end);
	}
	err = err ? err : memory_ready(mem);
	err = err ? err : memory_start(mem);
	if (err)
		panic("race: no memory: error %d", err);
	mem->policy = s->policy;
	ops.mem = mem;
	handle_table_init(&ops.objects, mem, ops.object, ARRAY_SIZE(ops.object));
	ops.offline_cpu = READ_ONCE(smp_stats.offline_cpu);
	ops.timeout_ns = smp_timeout_ns;
	ops.from_alloc = READ_ONCE(smp_stats.from_alloc);
}

void ops_stop(bool sound)
{
	smp_timeout_ns = ops.timeout_ns;
	struct thread *t =
	    sound && ops.vm.object ? thread_start("race", 0, vm_drop_all, NULL) : NULL;

	if (t)
		thread_join(t);
	memory_stop(ops.mem);
}

bool ops_view(struct ops_view *view)
{
	*view = (struct ops_view){.mem = ops.mem, .page_p = ops.page_p, .block_u = ops.block_u};
	return ops.page_p != 0;
}

bool ops_owns(const void *what)
{
	return ((const char *)what >= arena && (const char *)what < arena + sizeof(arena)) ||
	    vm_owns(what);
}

static pfn_t block_of(const struct page *page)
{
	return ALIGN_DOWN(page_to_pfn_in(ops.mem, page), PAGEBLOCK_PAGES);
}

static int op_scene(unsigned role, const char *arg)
{
	struct page *u = mem_alloc_pages(ops.mem, GFP_UNMOVABLE, 0);

	if (arg[0] == 'V' || arg[0] == 'N' || arg[0] == 'G')
		vm_scene(arg[0]);
	if (!strcmp(arg, "V")) {
		ops.page_p = page_to_pfn_in(ops.mem, ops.vm.v);
		ops.vm.block_v = block_of(ops.vm.v);
	} else {
		ops.p = mem_alloc_pages(ops.mem, GFP_MOVABLE, 0);
		KASSERT(ops.p);
		ops.page_p = page_to_pfn_in(ops.mem, ops.p);
		ops.block_p = block_of(ops.p);
	}
	if (!strcmp(arg, "Q")) {
		ops.q = mem_alloc_pages(ops.mem, GFP_MOVABLE, 0);
		ops.page_q = page_to_pfn_in(ops.mem, ops.q);
	}
	KASSERT(u);
	ops.block_u = block_of(u);
	ops.page_k = page_to_pfn_in(ops.mem, u);
	if (!strcmp(arg, "K"))
		ops.k = u;
	else
		mem_free_pages(ops.mem, u, 0);
	drain_local_pages(ops.mem, NULL);
	return 0;
}

/* ---- arguments ---- */

/*
 * P, O, V: its pageblock; S: the 4 aligned pageblocks around P; U; N-M: pageblocks of zone MOVABLE.
 */
bool ops_range(const char *arg, pfn_t *start, unsigned long *nr)
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
	if (!strcmp(arg, "U") || !strcmp(arg, "O") || !strcmp(arg, "V")) {
		*start = arg[0] == 'U' ? ops.block_u : arg[0] == 'O' ? ops.block_o : ops.vm.block_v;
		return *start || arg[0] == 'U';
	}
	for (; *arg >= '0' && *arg <= '9'; arg++)
		from = from * 10 + (unsigned)(*arg - '0');
	if (*arg++ != '-')
		return false;
	for (; *arg >= '0' && *arg <= '9'; arg++)
		to = to * 10 + (unsigned)(*arg - '0');
	if (*arg || from > to ||
	    to >= (movable()->end_pfn - movable()->start_pfn) / PAGEBLOCK_PAGES)
		return false;
	*start = movable()->start_pfn + from * PAGEBLOCK_PAGES;
	*nr = (to - from + 1) * PAGEBLOCK_PAGES;
	return true;
}

static struct page **page_of(unsigned role, const char *arg)
{
	switch (arg[0]) {
	case 'P': return &ops.p;
	case 'Q': return &ops.q;
	case 'K': return &ops.k;
	case 'V': return &ops.vm.v;
	default: return &ops.own[role];
	}
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
	/* It keeps its earlier page. */
	if (ops.own[role] && ops.nr_hoard < MAX_HOARD)
		ops.hoard[ops.nr_hoard++] = ops.own[role];
	ops.own[role] = mem_alloc_pages(ops.mem, gfp_of(arg), 0);
	/* After a last put it may be one of these. */
	if (ops.own[role] == ops.k)
		ops.k = NULL;
	if (ops.own[role] == ops.p)
		ops.p = NULL;
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

	if (!ops_range(arg, &start, &nr))
		return -EINVAL;
	return start_isolate_page_range(ops.mem, start, nr, ops.mem->policy, NULL);
}

static int op_undo(unsigned role, const char *arg)
{
	unsigned long nr;
	pfn_t start;

	if (!ops_range(arg, &start, &nr))
		return -EINVAL;
	undo_isolate_page_range(ops.mem, start, nr);
	return 0;
}

static int op_offline(unsigned role, const char *arg)
{
	const struct offline_opts opts = {.policy = NR_ISO_POLICIES, .cancel = &ops_cancel};
	unsigned long nr;
	pfn_t start;

	if (!ops_range(arg, &start, &nr))
		return -EINVAL;
	return offline_pages(ops.mem, start, nr, &opts, NULL);
}

static int op_online(unsigned role, const char *arg)
{
	unsigned long nr;
	pfn_t start;

	if (!ops_range(arg, &start, &nr))
		return -EINVAL;
	return online_pages(ops.mem, start, nr, NULL);
}

/*
 * Everything that may be had without waiting, of NORMAL with hoard(UNMOVABLE), largest blocks
 * first.
 */
static int op_hoard(unsigned role, const char *arg)
{
	unsigned order;

	for (order = MAX_ORDER + 1; order-- > 0;) {
		while (ops.nr_hoard < MAX_HOARD) {
			struct page *page =
			    mem_alloc_pages(ops.mem, gfp_of(arg) | GFP_NOWAIT, order);

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

/*
 * A cross-call to every CPU that has nothing to do with drains; call(locked): made with the lock
 * of zone MOVABLE held, which is refused.
 */
static int op_call(unsigned role, const char *arg)
{
	bool locked = !strcmp(arg, "locked");
	irqflags_t flags = locked ? spin_lock_irqsave(&movable()->lock) : 0;
	int asked = smp_call_mask(NULL, nothing, NULL);

	if (locked)
		spin_unlock_irqrestore(&movable()->lock, flags);
	return asked < 0 ? asked : 0;
}

/* ---- operations on objects behind handles: O, or the role's own ---- */

static u32 object_of(unsigned role, const char *arg)
{
	return arg[0] == 'O' ? RACE_ROLES : role;
}

static int op_hold(unsigned role, const char *arg)
{
	const unsigned order = arg[0] == 'T';
	int err = handle_alloc(&ops.objects, object_of(role, arg), order, GFP_MOVABLE, 1);

	if (!err && arg[0] == 'O')
		ops.block_o =
		    block_of(pfn_to_page_in(ops.mem, handle_pfn(&ops.objects, RACE_ROLES)));
	if (!err && order)
		ops.page_t = handle_pfn(&ops.objects, role) + 1;
	return err;
}

static int op_drop(unsigned role, const char *arg)
{
	return handle_free(&ops.objects, object_of(role, arg));
}

static int op_write(unsigned role, const char *arg)
{
	return handle_write(&ops.objects, object_of(role, arg), role + 2);
}

static int op_pin(unsigned role, const char *arg)
{
	return arg[0] == 'V' ? vm_op_pin(role) : handle_pin(&ops.objects, object_of(role, arg));
}

static int op_unpin(unsigned role, const char *arg)
{
	return arg[0] == 'V' ? vm_op_unpin(role) : handle_unpin(&ops.objects, object_of(role, arg));
}

/* As a scanner does: find its address, isolate it from its owner, move it. */
static int op_migrate(unsigned role, const char *arg)
{
	pfn_t pfn = handle_pfn(&ops.objects, object_of(role, arg));
	struct page *page;
	int err;

	if (pfn == PFN_NONE)
		return -EINVAL;
	err = isolate_movable_page(ops.mem, pfn);
	page = pfn_to_page_in(ops.mem, pfn);
	return err ? err : migrate_pages(ops.mem, &page, 1, NULL) ? -EBUSY : 0;
}

/* ---- operations on broken pages ---- */

pfn_t ops_pfn(const char *arg)
{
	if (arg[0] == 'B')
		return movable()->end_pfn - STANDBY * PAGEBLOCK_PAGES;
	return arg[0] == 'T' ? ops.page_t
	    : arg[0] == 'Q'  ? ops.page_q
	    : arg[0] == 'K'  ? ops.page_k
	                     : ops.page_p;
}

static int op_soft(unsigned role, const char *arg)
{
	return mem_soft_offline_page(ops.mem, ops_pfn(arg));
}

static int op_fail(unsigned role, const char *arg)
{
	return mem_memory_failure(ops.mem, ops_pfn(arg), 0, NULL);
}

/* The same, and it is the machine that reports it. */
static int op_machine(unsigned role, const char *arg)
{
	return mem_memory_failure(ops.mem, ops_pfn(arg), FAILURE_MACHINE_CHECK, NULL);
}

static int op_standby(unsigned role, const char *arg)
{
	long pages = standby_online(movable());

	return pages < 0 ? (int)pages : 0;
}

static int op_unpoison(unsigned role, const char *arg)
{
	return mem_unpoison_page(ops.mem, ops_pfn(arg));
}

static const struct {
	const char *name;
	int (*fn)(unsigned role, const char *arg);
} known[] = {
    {"scene", op_scene},
    {"alloc", op_alloc},
    {"free", op_free},
    {"fill", op_fill},
    {"disable", op_disable},
    {"enable", op_enable},
    {"drain", op_drain},
    {"isolate", op_isolate},
    {"undo", op_undo},
    {"offline", op_offline},
    {"online", op_online},
    {"hoard", op_hoard},
    {"call", op_call},
    {"get", op_get},
    {"put", op_put},
    {"cpu_down", cpu_op_down},
    {"cpu_up", cpu_op_up},
    {"timeout", cpu_op_timeout},
    {"hold", op_hold},
    {"drop", op_drop},
    {"write", op_write},
    {"pin", op_pin},
    {"unpin", op_unpin},
    {"migrate", op_migrate},
    {"touch", vm_op_touch},
    {"hammer", vm_op_hammer},
    {"move", vm_op_move},
    {"once", vm_op_once},
    {"unmap", vm_op_unmap},
    {"remove", vm_op_remove},
    {"store", vm_op_store},
    {"remap", vm_op_remap},
    {"shift", vm_op_shift},
    {"protect", vm_op_protect},
    {"supply", vm_op_supply},
    {"leave", vm_op_leave},
    {"close", vm_op_close},
    {"end", vm_op_end},
    {"limit", vm_op_limit},
    {"soft", op_soft},
    {"fail", op_fail},
    {"machine", op_machine},
    {"unpoison", op_unpoison},
    {"standby", op_standby},
    {"add_memory", add_op_add},
    {"remove_memory", add_op_remove},
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
