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

u32 ops_cancel;

/* ---- arguments ---- */

/*
 * The pageblocks that @arg names. P, O, V: the pageblock of that page; U: that pageblock; S: the 4
 * aligned pageblocks around P; N-M: pageblocks of zone MOVABLE.
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

static int op_disable(unsigned role, const char *arg)
{
	struct zone *zone = zone_arg(arg);
	int err = zone_pcp_disable(zone);

	if (!err)
		atomic_add(&ops.depth[zone->kind], 1u);
	return err;
}

static int op_enable(unsigned role, const char *arg)
{
	struct zone *zone = zone_arg(arg);
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

static int op_isolate(unsigned role, const char *arg)
{
	unsigned long nr;
	pfn_t start;
	int err;

	if (!ops_range(arg, &start, &nr))
		return -EINVAL;
	err = start_isolate_page_range(ops.mem, start, nr, ops.mem->policy, NULL);
	if (!err)
		note_isolated(start, nr, true);
	return err;
}

static int op_undo(unsigned role, const char *arg)
{
	unsigned long nr;
	pfn_t start;

	if (!ops_range(arg, &start, &nr))
		return -EINVAL;
	note_isolated(start, nr, false);
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

/* Allocate the range's pages, which are this role's alone until it frees them. */
static int op_contig(unsigned role, const char *arg)
{
	unsigned long nr, refused;
	pfn_t start;
	int err;

	if (!ops_range(arg, &start, &nr))
		return -EINVAL;
	err = alloc_contig_range(ops.mem, start, start + nr, MT_MOVABLE, NULL);
	if (err)
		return err;
	refused = free_contig_range(ops.mem, start, nr);
	return refused ? -EINVAL : 0;
}

static int op_online(unsigned role, const char *arg)
{
	unsigned long nr;
	pfn_t start;

	if (!ops_range(arg, &start, &nr))
		return -EINVAL;
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
	return arg[0] == 'V' ? vm_op_pin(role) : handle_pin(&ops.objects, object_of(role, arg));
}

static int op_unpin(unsigned role, const char *arg)
{
	return arg[0] == 'V' ? vm_op_unpin(role) : handle_unpin(&ops.objects, object_of(role, arg));
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

static int op_soft(unsigned role, const char *arg)
{
	return mem_soft_offline_page(ops.mem, ops_pfn(arg));
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
static int op_machine(unsigned role, const char *arg)
{
	return mem_memory_failure(ops.mem, ops_pfn(arg), FAILURE_MACHINE_CHECK, NULL);
}

static int op_standby(unsigned role, const char *arg)
{
	long pages = standby_online(ops_movable());

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
    {"scene", ops_scene},
    {"alloc", op_alloc},
    {"free", op_free},
    {"fill", op_fill},
    {"disable", op_disable},
    {"enable", op_enable},
    {"drain", op_drain},
    {"empty", op_empty},
    {"off", op_off},
    {"uncached", op_uncached},
    {"isolate", op_isolate},
    {"undo", op_undo},
    {"offline", op_offline},
    {"online", op_online},
    {"contig", op_contig},
    {"hoard", add_op_hoard},
    {"report", add_op_report},
    {"query", add_op_query},
    {"oom", add_op_oom},
    {"call", op_call},
    {"get", op_get},
    {"put", op_put},
    {"cpu_down", cpu_op_down},
    {"cpu_up", cpu_op_up},
    {"reuse", cpu_op_reuse},
    {"timeout", cpu_op_timeout},
    {"trace", cpu_op_trace},
    {"find", cpu_op_find},
    {"hold", op_hold},
    {"drop", op_drop},
    {"retire", op_retire},
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
    {"retired", op_retired},
    {"fail", ops_fail},
    {"fail_now", vm_op_fail_now},
    {"machine", op_machine},
    {"unpoison", op_unpoison},
    {"standby", op_standby},
    {"add_memory", add_op_add},
    {"remove_memory", add_op_remove},
};

/* Split "name(argument)"; returns the index of @name in known[], or known[]'s size. */
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
