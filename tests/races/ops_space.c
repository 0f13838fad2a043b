/* SPDX-License-Identifier: MIT */
/*
 * ops_space.c: the operations of the roles of a race on the objects and spaces of ops_vm.c, and
 * the checks at the end.
 *
 * A space shows V's slot at address VM_V. It can be mapped to the other object there, or to the
 * object's next slot.  Each role that writes there has a word of its own in the page, which must
 * be found again in the end, in the slot that the space showed.
 *
 * Owns: the account that objects and spaces are charged to.
 */
#include "ops.h"
#include "tests/lib/mm_priv.h"
#include "mm/vm/vm.h"
#include "tests/lib/soft_mmu.h"
#include <quarry/account.h>
#include <quarry/sched_point.h>

static struct account account;

struct account *vm_account_begin(void)
{
	unsigned i;

	account = (struct account){.parent = &account_all, .max_mappings = ~0ULL};
	for (i = 0; i < NR_ACCOUNT_KINDS; i++)
		account.limit[i] = ~0ULL;
	return account_use(&account);
}

/* ---- the pager ---- */

/* A fault waits for the pager only between these points. */
static int bring(struct vm_object *object, u32 index)
{
	int err;

	sched_point("pager.asked");
	if (READ_ONCE(ops_cancel)) /* a wrong kernel may have freed the object */
		return -EINTR;
	err = vm_object_supply(object, index, NULL);
	sched_point("pager.answered");
	return err == -EEXIST || err == -EAGAIN ? 0 : err;
}

const struct vm_pager_ops vm_pager = {.get = bring};

/* ---- operations ---- */

static unsigned space_nr(const char *arg)
{
	return arg[0] == 'W';
}

/* The offset of @role's word in a page. */
static size_t word_of(unsigned role)
{
	return (2 + role) * sizeof(u64);
}

/*
 * Write twice to the role's word in the page that the space shows: the second write needs no fault
 * unless something changed.
 */
static int op_store(struct vm_space *space, unsigned role, const char *arg)
{
	const u64 value = 0x1000 + atomic_add(&ops.vm.stores, 1u);
	const unsigned nr = space_nr(arg);
	int err = 0, i;

	soft_load_space(space);
	for (i = 0; i < 2 && !err; i++) {
		u32 refused = load_acquire(&ops.vm.refused[nr]),
		    shows = load_acquire(&ops.vm.shows[nr]);

		err = soft_write(VM_V + word_of(role), value);
		if (err)
			break;
		if (refused)
			WRITE_ONCE(ops.vm.stale, true);
		ops.vm.stored[role] = value;
		ops.vm.stored_in[role] =
		    shows == load_acquire(&ops.vm.shows[nr]) ? shows : SHOWS_ANY;
		sched_point("op.stored");
	}
	soft_unload_space();
	return err;
}

/* Unless @err, a write in the space that @arg names must fail from now on. */
static int refuse(int err, const char *arg)
{
	if (!err)
		store_release(&ops.vm.refused[space_nr(arg)], 1u);
	return err;
}

static int op_unmap(struct vm_space *space, unsigned role, const char *arg)
{
	return refuse(vm_unmap(space, VM_V, 1), arg);
}

static int op_protect(struct vm_space *space, unsigned role, const char *arg)
{
	return refuse(vm_protect(space, VM_BASE, VM_PAGES, VM_READ), arg);
}

/* Map another page at the same addresses. */
static int show_instead(const char *arg, unsigned offset, enum vm_shows shows)
{
	struct vm_object *object = vm_object_use(shows == SHOWS_OTHER);
	struct vm_space *space = vm_space_use(arg);
	u32 *now = &ops.vm.shows[space_nr(arg)];
	int err = object && space ? 0 : -ENOENT;

	if (!err) {
		store_release(now, (u32)SHOWS_ANY);
		err = vm_unmap(space, VM_BASE, VM_PAGES);
	}
	if (!err)
		err = vm_map(space, VM_BASE, VM_PAGES - offset, VM_READ | VM_WRITE, object, offset);
	if (!err)
		store_release(now, (u32)shows);
	if (space)
		vm_space_put(space);
	if (object)
		vm_object_put(object);
	return err;
}

static int op_remap(unsigned role, const char *arg)
{
	return show_instead(arg, 0, SHOWS_OTHER);
}

static int op_shift(unsigned role, const char *arg)
{
	return show_instead(arg, 1, SHOWS_NEXT);
}

static int op_remove(struct vm_object *object, unsigned role)
{
	store_release(&ops.vm.removed, 1u);
	return vm_object_remove(object, VM_SLOT, 1);
}

/* Supply V's slot, as a pager or a loader does. */
static int op_supply(struct vm_object *object, unsigned role)
{
	return vm_object_supply(object, VM_SLOT, NULL);
}

/*
 * The scene's reference to the space is dropped: the space ends with the last role that is in it.
 */
static int op_leave(unsigned role, const char *arg)
{
	const unsigned nr = space_nr(arg);
	bool left;

	spin_lock(&ops.vm.lock);
	left = ops.vm.left[nr];
	ops.vm.left[nr] = true;
	spin_unlock(&ops.vm.lock);
	if (left || !ops.vm.space[nr])
		return -ENOENT;
	vm_space_put(ops.vm.space[nr]);
	return 0;
}

/* Drop the scene's references to the objects, which end with the last region or fault. */
static int op_close(unsigned role, const char *arg)
{
	bool closed;

	spin_lock(&ops.vm.lock);
	closed = ops.vm.closed;
	ops.vm.closed = true;
	spin_unlock(&ops.vm.lock);
	if (closed || !ops.vm.object)
		return -ENOENT;
	vm_object_put(ops.vm.object);
	if (ops.vm.other)
		vm_object_put(ops.vm.other);
	return 0;
}

/* Drop all pins and references. */
static int op_end(unsigned role, const char *arg)
{
	unsigned i;

	for (i = 0; i < RACE_ROLES; i++)
		vm_unpin(i);
	op_leave(role, "V");
	op_leave(role, "W");
	op_close(role, "");
	return 0;
}

/* Allow only @arg more page tables. */
static int op_limit(unsigned role, const char *arg)
{
	account.limit[ACCOUNT_TABLES] = account.used[ACCOUNT_TABLES] + (u64)(arg[0] - '0');
	return 0;
}

const struct op ops_space[] = {
    {.name = "unmap", .space = op_unmap},
    {.name = "remove", .object = op_remove},
    {.name = "store", .space = op_store},
    {.name = "remap", .fn = op_remap},
    {.name = "shift", .fn = op_shift},
    {.name = "protect", .space = op_protect},
    {.name = "supply", .object = op_supply},
    {.name = "leave", .fn = op_leave},
    {.name = "close", .fn = op_close},
    {.name = "end", .fn = op_end},
    {.name = "limit", .fn = op_limit},
    {.name = NULL},
};

/* ---- checks while every role is idle ---- */

static unsigned long leaves_of(const struct vm_object *object)
{
	struct page *const *top = page_address_in(ops.mem, object->top);
	unsigned long nr = 0;
	unsigned i;

	for (i = 0; i < PAGE_SIZE / sizeof(*top); i++)
		nr += top[i] != NULL;
	return nr;
}

u64 vm_tables(void)
{
	const struct vm_space *space;
	unsigned long nr = 0;

	LIST_FOREACH(space, &ops.mem->vm.spaces, link)
		nr += space->pt.nr_tables;
	return nr;
}

unsigned long vm_pages(void)
{
	const struct vm_object *object;
	unsigned long nr = vm_tables();

	LIST_FOREACH(object, &ops.mem->vm.objects, link)
		nr += 1 + leaves_of(object) + object->nr_present;
	return nr;
}

/* Regions of an object's tree, from @r down. */
static u64 regions_below(const struct vm_region *r)
{
	return r ? 1 + regions_below(RB_LEFT(r, link)) + regions_below(RB_RIGHT(r, link)) : 0;
}

static bool counted(struct mm_violation *v, const char *what, enum account_kind kind, u64 there)
{
	return account.used[kind] == there || ops_broken(v, what, 0, account.used[kind], there);
}

/* Everything that is charged exists, and its references are counted right. */
static bool check_references(struct mm_violation *v)
{
	u64 objects = 0, slots = 0, shown = 0, regions = 0;
	const struct vm_object *object;
	const struct vm_space *space;

	LIST_FOREACH(object, &ops.mem->vm.objects, link) {
		u64 nr = regions_below(RB_ROOT(&object->regions));

		objects++;
		slots += 1 + leaves_of(object);
		shown += nr;
		if (object->refs != nr + !ops.vm.closed)
			return ops_broken(
			    v, "references of an object", 0, object->refs, nr + !ops.vm.closed);
		if (object->unflushed)
			return ops_broken(
			    v, "unflushed removals of an object", 0, object->unflushed, 0);
	}
	LIST_FOREACH(space, &ops.mem->vm.spaces, link) {
		regions += space->nr_regions;
		if (space->refs != 1 || ops.vm.left[space == ops.vm.space[1]])
			return ops_broken(v, "references of a space", 0, space->refs, 1);
	}
	if (shown != regions)
		return ops_broken(v, "regions of spaces, and of objects", 0, regions, shown);
	return counted(v, "charge objects", ACCOUNT_OBJECTS, objects) &&
	    counted(v, "charge tables of slots", ACCOUNT_SLOTS, slots) &&
	    counted(v, "charge regions", ACCOUNT_REGIONS, regions) &&
	    counted(v, "charge page tables", ACCOUNT_TABLES, vm_tables());
}

/* The role's word in the page that @shows names; 0: there is none. */
static u64 word_in(unsigned role, enum vm_shows shows)
{
	struct vm_object *object = shows == SHOWS_OTHER ? ops.vm.other : ops.vm.object;
	u64 slot = object ? object_lookup(object, VM_SLOT + (shows == SHOWS_NEXT)) : 0;

	return slot_has_page(slot)
	    ? *(u64 *)((char *)page_address_in(ops.mem, slot_page(slot)) + word_of(role))
	    : 0;
}

static bool check_stored(struct mm_violation *v)
{
	unsigned role, in;

	if (ops.vm.stale)
		return ops_broken(v, "stale: written where that was refused before", 0, 1, 0);
	for (role = 0; role < RACE_ROLES && !ops.vm.removed && !ops.vm.closed; role++) {
		for (in = SHOWS_V; in < SHOWS_ANY; in++)
			if ((ops.vm.stored_in[role] == in || ops.vm.stored_in[role] == SHOWS_ANY) &&
			    word_in(role, (enum vm_shows)in) == ops.vm.stored[role])
				break;
		if (ops.vm.stored[role] && in == SHOWS_ANY)
			return ops_broken(
			    v, "lost: what a role has stored", role, 0, ops.vm.stored[role]);
	}
	return true;
}

bool vm_sound(struct mm_violation *v)
{
	return !ops.vm.object || (check_references(v) && check_stored(v));
}
