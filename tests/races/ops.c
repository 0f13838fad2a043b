/* SPDX-License-Identifier: MIT */
/*
 * ops.c: the operations of the roles of a race, by name, and their arguments; on the memory that
 * ops_memory.c builds and describes.
 *
 * Owns: ops_cancel.
 */
#include "ops.h"
#include <quarry/console.h>
#include <quarry/contig.h>
#include <quarry/poison.h>
#include <quarry/isolation.h>
#include <quarry/memory_hotplug.h>
#include <quarry/smp.h>
#include <quarry/string.h>
#include <quarry/vm.h>

u32 ops_cancel;

/* ---- arguments ---- */

/*
 * The pageblocks that @arg names. P, O, V: the pageblock of that page; U: that pageblock; S: the 4
 * aligned pageblocks around P; E, E2: the last pageblock of zone NORMAL, the last two; N-M:
 * pageblocks of zone MOVABLE.
 */
static bool ops_range(const char *arg, pfn_t *start, unsigned long *nr)
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
	if (arg[0] == 'E') {
		*nr = arg[1] ? 2 * PAGEBLOCK_PAGES : PAGEBLOCK_PAGES;
		*start = ops.mem->zones[ZONE_NORMAL].end_pfn - *nr;
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
	    to >= (ops_movable()->end_pfn - ops_movable()->start_pfn) / PAGEBLOCK_PAGES)
		return false;
	*start = ops_movable()->start_pfn + from * PAGEBLOCK_PAGES;
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

gfp_t ops_gfp(const char *arg)
{
	return !strcmp(arg, "UNMOVABLE") ? GFP_UNMOVABLE : GFP_MOVABLE;
}

static struct zone *zone_arg(const char *arg)
{
	return !strcmp(arg, "U") ? &ops.mem->zones[ZONE_NORMAL] : ops_movable();
}

/* ---- operations ---- */

static int op_alloc(unsigned role, const char *arg)
{
	/* The role keeps its earlier page. */
	if (ops.own[role] && ops.nr_hoard < MAX_HOARD)
		ops.hoard[ops.nr_hoard++] = ops.own[role];
	ops.own[role] = mem_alloc_pages(ops.mem, ops_gfp(arg), 0);
	/* After its last put, K or P may be allocated again here. */
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

/* Leave a page in this CPU's cache. */
static int op_fill(unsigned role, const char *arg)
{
	struct page *page = mem_alloc_pages(ops.mem, ops_gfp(arg), 0);

	return page ? mem_free_pages(ops.mem, page, 0) : -ENOMEM;
}

static int op_disable(struct zone *zone)
{
	int err = zone_pcp_disable(zone);

	if (!err)
		atomic_add(&ops.depth[zone->kind], 1u);
	return err;
}

static int op_enable(struct zone *zone)
{
	int err = zone_pcp_enable(zone);

	if (!err)
		atomic_sub(&ops.depth[zone->kind], 1u);
	return err;
}

/* Drains all zones; drain(U): one zone. */
static int op_drain(unsigned role, const char *arg)
{
	int asked = drain_all_pages(ops.mem, arg[0] ? zone_arg(arg) : NULL);

	return asked < 0 ? asked : 0;
}

/*
 * op_off checks the promise of a disable that has returned. op_uncached checks the promise of a
 * drain about a page that was cached before it.
 */
static int op_off(unsigned role, const char *arg)
{
	struct mm_violation v;

	return ops_check("off", &v) ? 0 : -EBUSY;
}

static int op_uncached(unsigned role, const char *arg)
{
	u32 word = page_word(pfn_to_page_in(ops.mem, ops_pfn(arg)));

	return word_state(word) == PG_PCP ? -EBUSY : 0;
}

/*
 * Cache a page, or the one of @arg, then drain: the page was cached before the drain, so it must
 * not stay cached.
 */
static int op_empty(unsigned role, const char *arg)
{
	int err = arg[0] ? op_free(role, arg) : op_fill(role, "");
	unsigned i;

	err = err ? err : op_drain(role, "");
	if (arg[0])
		return err ? err : op_uncached(role, arg);
	for (i = 0; i < ops.mem->nr_nodes * NR_ZONE_KINDS && !err; i++)
		err = pcp_zone_nonempty(ops.mem, role, &ops.mem->zones[i]) ? -EBUSY : 0;
	return err;
}

/*
 * Two isolations must have no pageblock in common. An isolation is noted when it has returned, and
 * removed before its undo begins.
 */
static void note_isolated(pfn_t start, unsigned long nr, bool on)
{
	pfn_t pfn;

	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES) {
		pfn_t block = (pfn - ops.mem->start_pfn) / PAGEBLOCK_PAGES;

		if (block >= ARRAY_SIZE(ops.isolated))
			return;
		if (on && READ_ONCE(ops.isolated[block]))
			WRITE_ONCE(ops.isolated_twice, true);
		WRITE_ONCE(ops.isolated[block], on);
	}
}

static int op_isolate(pfn_t start, unsigned long nr)
{
	int err = start_isolate_page_range(ops.mem, start, nr, ops.mem->policy, NULL);

	if (!err)
		note_isolated(start, nr, true);
	return err;
}

static int op_undo(pfn_t start, unsigned long nr)
{
	note_isolated(start, nr, false);
	undo_isolate_page_range(ops.mem, start, nr);
	return 0;
}

static int op_offline(pfn_t start, unsigned long nr)
{
	const struct offline_opts opts = {.policy = NR_ISO_POLICIES, .cancel = &ops_cancel};

	return offline_pages(ops.mem, start, nr, &opts, NULL);
}

/* Allocate the range's pages, which are this role's alone until it frees them. */
static int op_contig(pfn_t start, unsigned long nr)
{
	int err = alloc_contig_range(ops.mem, start, start + nr, MT_MOVABLE, NULL);

	return err ? err : free_contig_range(ops.mem, start, nr) ? -EINVAL : 0;
}

static int op_online(pfn_t start, unsigned long nr)
{
	return online_pages(ops.mem, start, nr, NULL);
}

static void nothing(void *arg)
{
}

/*
 * Make a cross-call that is no drain, to every CPU. call(locked): the lock of zone MOVABLE is held,
 * so the call is refused.
 */
static int op_call(unsigned role, const char *arg)
{
	bool locked = !strcmp(arg, "locked");
	irqflags_t flags = locked ? spin_lock_irqsave(&ops_movable()->lock) : 0;
	int asked = smp_call_mask(NULL, nothing, NULL);

	if (locked)
		spin_unlock_irqrestore(&ops_movable()->lock, flags);
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
		    ops_block_of(pfn_to_page_in(ops.mem, handle_pfn(&ops.objects, RACE_ROLES)));
	if (!err && order)
		ops.page_t = handle_pfn(&ops.objects, role) + 1;
	return err;
}

static int op_drop(unsigned role, const char *arg)
{
	return handle_free(&ops.objects, object_of(role, arg));
}

/* Wait until the objects are gone, then destroy their owner. */
static int op_retire(unsigned role, const char *arg)
{
	movable_owner_drain(&ops.objects.owner);
	ops.objects.owner.ops = NULL;
	return 0;
}

static int op_write(unsigned role, const char *arg)
{
	return handle_write(&ops.objects, object_of(role, arg), role + 2);
}

static int op_pin(unsigned role, const char *arg)
{
	return arg[0] == 'V' ? vm_pin(role) : handle_pin(&ops.objects, object_of(role, arg));
}

static int op_unpin(unsigned role, const char *arg)
{
	return arg[0] == 'V' ? vm_unpin(role) : handle_unpin(&ops.objects, object_of(role, arg));
}

/* Move an object as a scanner does: find its address, isolate it from its owner, migrate it. */
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

static int op_soft(pfn_t pfn)
{
	return mem_soft_offline_page(ops.mem, pfn);
}

int ops_fail(unsigned role, const char *arg)
{
	if (arg[0] == 'V')
		store_release(&ops.vm.removed, 1u);
	return mem_memory_failure(ops.mem, ops_pfn(arg), 0, NULL);
}

/* Check the promise of a soft offline that has returned 0. */
static int op_retired(unsigned role, const char *arg)
{
	struct mm_violation v;
	char what[RACE_NAME];

	ksnprintf(what, sizeof(what), "poisoned(%s)", arg);
	return ops_check(what, &v) ? 0 : -EBUSY;
}

/* As ops_fail, but a machine check reports the page. */
static int op_machine(pfn_t pfn)
{
	return mem_memory_failure(ops.mem, pfn, FAILURE_MACHINE_CHECK, NULL);
}

static int op_standby(unsigned role, const char *arg)
{
	long pages = standby_online(ops_movable());

	return pages < 0 ? (int)pages : 0;
}

static int op_unpoison(pfn_t pfn)
{
	return mem_unpoison_page(ops.mem, pfn);
}

static const struct op ops_here[] = {
    {.name = "scene", .fn = ops_scene},
    {.name = "alloc", .fn = op_alloc},
    {.name = "free", .fn = op_free},
    {.name = "fill", .fn = op_fill},
    {.name = "disable", .zone = op_disable},
    {.name = "enable", .zone = op_enable},
    {.name = "drain", .fn = op_drain},
    {.name = "empty", .fn = op_empty},
    {.name = "off", .fn = op_off},
    {.name = "uncached", .fn = op_uncached},
    {.name = "isolate", .range = op_isolate},
    {.name = "undo", .range = op_undo},
    {.name = "offline", .range = op_offline},
    {.name = "online", .range = op_online},
    {.name = "contig", .range = op_contig},
    {.name = "call", .fn = op_call},
    {.name = "get", .fn = op_get},
    {.name = "put", .fn = op_put},
    {.name = "hold", .fn = op_hold},
    {.name = "drop", .fn = op_drop},
    {.name = "retire", .fn = op_retire},
    {.name = "write", .fn = op_write},
    {.name = "pin", .fn = op_pin},
    {.name = "unpin", .fn = op_unpin},
    {.name = "migrate", .fn = op_migrate},
    {.name = "soft", .pfn = op_soft},
    {.name = "retired", .fn = op_retired},
    {.name = "fail", .fn = ops_fail},
    {.name = "machine", .pfn = op_machine},
    {.name = "unpoison", .pfn = op_unpoison},
    {.name = "standby", .fn = op_standby},
    {.name = NULL},
};

/* Split "name(argument)"; returns the operation, or NULL. */
static const struct op *look_up(const char *op, char *arg, size_t size)
{
	static const struct op *const tables[] = {ops_here, ops_add, ops_cpu, ops_vm, ops_space};
	size_t len = 0, i;
	unsigned k;

	while (op[len] && op[len] != '(')
		len++;
	for (i = 0; op[len] && op[len + 1 + i] && op[len + 1 + i] != ')' && i + 1 < size; i++)
		arg[i] = op[len + 1 + i];
	arg[i] = '\0';
	for (k = 0; k < ARRAY_SIZE(tables); k++) {
		const struct op *o;

		for (o = tables[k]; o->name; o++)
			if (strlen(o->name) == len && !strncmp(o->name, op, len))
				return o;
	}
	return NULL;
}

bool ops_known(const char *op)
{
	char arg[RACE_NAME];

	return look_up(op, arg, sizeof(arg));
}

static int run_on_object(const struct op *o, unsigned role)
{
	struct vm_object *object = vm_object_use(false);
	int err;

	if (!object)
		return -ENOENT;
	err = o->object(object, role);
	vm_object_put(object);
	return err;
}

static int run_in_space(const struct op *o, unsigned role, const char *arg)
{
	struct vm_space *space = vm_space_use(arg);
	int err;

	if (!space)
		return -ENOENT;
	err = o->space(space, role, arg);
	vm_space_put(space);
	return err;
}

int ops_run(unsigned role, const char *op)
{
	char arg[RACE_NAME];
	const struct op *o = look_up(op, arg, sizeof(arg));
	unsigned long nr;
	pfn_t start;

	if (!o)
		return -ENOSYS;
	if (o->range)
		return ops_range(arg, &start, &nr) ? o->range(start, nr) : -EINVAL;
	if (o->pfn)
		return o->pfn(ops_pfn(arg));
	if (o->zone)
		return o->zone(zone_arg(arg));
	if (o->object)
		return run_on_object(o, role);
	return o->space ? run_in_space(o, role, arg) : o->fn(role, arg);
}
