/* SPDX-License-Identifier: MIT */
/*
 * ops_vm.c: the operations of the roles of a race on V, a mapped page of a memory object.
 *
 * V lies in slot VM_SLOT of an object that two spaces show at the same address, VM_V. V was touched
 * in the first space, so there is a table entry for it; in the second space, W, it was never
 * touched. In the scenes N and G no space has touched V: there are no page tables, no table of
 * slots and no page.
 *
 * Owns: ops.vm.
 */
#include "ops.h"
#include "tests/lib/mm_priv.h"
#include "mm/poison/poison.h"
#include "mm/vm/vm.h"
#include "tests/lib/soft_mmu.h"
#include <quarry/account.h>
#include <quarry/console.h>

#define CONTENT 0x5eedUL /* of V */

struct page *vm_page_now(void)
{
	struct vm_object *object = vm_object_use(false);
	u64 slot;

	if (!object)
		return NULL;
	spin_lock(&object->lock);
	slot = object_lookup(object, VM_SLOT);
	spin_unlock(&object->lock);
	vm_object_put(object);
	return slot_has_page(slot) ? slot_page(slot) : NULL;
}

struct vm_object *vm_object_use(bool other)
{
	struct vm_object *object;

	spin_lock(&ops.vm.lock);
	object = ops.vm.closed ? NULL : other ? ops.vm.other : ops.vm.object;
	if (object)
		vm_object_get(object);
	spin_unlock(&ops.vm.lock);
	return object;
}

struct vm_space *vm_space_use(const char *arg)
{
	const unsigned which = arg[0] == 'W';
	struct vm_space *space;

	spin_lock(&ops.vm.lock);
	space = ops.vm.left[which] ? NULL : ops.vm.space[which];
	if (space)
		vm_space_get(space);
	spin_unlock(&ops.vm.lock);
	return space;
}

static int make_object(enum vm_object_kind kind, struct vm_object **out)
{
	return vm_object_create(
	    ops.mem, kind, VM_PAGES, kind == OBJ_PAGER ? &vm_pager : NULL, NULL, out);
}

void vm_scene(char kind)
{
	struct account *before = vm_account_begin();
	struct ops_vm *vm = &ops.vm;
	unsigned i;
	int err;

	vm->lock = SPINLOCK("race objects", RANK_TASK);
	err = make_object(kind == 'G' ? OBJ_PAGER : OBJ_ANON, &vm->object);
	if (!err && kind != 'V')
		err = make_object(OBJ_ANON, &vm->other);
	for (i = 0; i < ARRAY_SIZE(vm->space) && !err; i++) {
		err = vm_space_create(ops.mem, &vm->space[i]);
		err = err
		    ? err
		    : vm_map(vm->space[i], VM_BASE, VM_PAGES, VM_READ | VM_WRITE, vm->object, 0);
	}
	if (!err && kind == 'V') {
		soft_load_space(vm->space[0]);
		err = soft_write(VM_V, CONTENT);
		soft_unload_space();
	}
	if (err)
		panic("race: no object: error %d", err);
	account_use(before);
	if (kind == 'V')
		vm->v = vm_page_now();
}

void vm_forget(void)
{
	soft_forget_all();
	migwait_forget();
}

void vm_drop_all(void *arg)
{
	ops_run(0, "end");
	memset(&ops.vm, 0, sizeof(ops.vm));
}

bool ops_has_objects(void)
{
	return ops.vm.object;
}

static bool inside(const void *what, const void *start, size_t size)
{
	return (uintptr_t)what - (uintptr_t)start < size;
}

bool vm_owns(const void *what)
{
	const struct ops_vm *vm = &ops.vm;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(vm->space); i++)
		if (vm->space[i] && inside(what, vm->space[i], sizeof(struct vm_space)))
			return true;
	return vm->object &&
	    (inside(what, vm->object, sizeof(struct vm_object)) || migwait_owns(what) ||
	        (vm->other && inside(what, vm->other, sizeof(struct vm_object))));
}

/* Read V where it is mapped; touch(W): where it was not touched yet.  -EUCLEAN: other content. */
static int op_touch(struct vm_space *space, unsigned role, const char *arg)
{
	u64 value = 0;
	int err;

	soft_load_space(space);
	err = soft_read(VM_V, &value);
	soft_unload_space();
	return err ? err : value == CONTENT ? 0 : -EUCLEAN;
}

/* Touch V again and again, until a move has ended. */
static int op_hammer(unsigned role, const char *arg)
{
	int err = 0;

	while (!err && !load_acquire(&ops.vm.moves) && !load_acquire(&ops_cancel)) {
		err = ops_run(role, arg[0] == 'W' ? "touch(W)" : "touch");
		thread_yield();
	}
	return err;
}

/* Move V as a scanner does: find its address, isolate it from its list, migrate it. */
static int op_move(unsigned role, const char *arg)
{
	static struct isolated_pages isolated[RACE_ROLES];
	struct isolated_pages *pages = &isolated[role];
	const struct page *page = vm_page_now();
	struct migrate_stats stats = {0};
	unsigned failed;
	int err;

	pages->nr_lru = pages->nr_movable = 0;
	err = page ? isolate_page(ops.mem, page_to_pfn_in(ops.mem, page), pages) : -EAGAIN;
	if (err)
		return err;
	failed = migrate_isolated(ops.mem, pages, NULL, &stats);
	WRITE_ONCE(ops.vm.tries, stats.retries + 1);
	counter_add(&ops.vm.moves, 1u);
	return failed ? -EBUSY : 0;
}

/* Move V, which must succeed at the first try. */
static int op_once(unsigned role, const char *arg)
{
	int err = op_move(role, arg);

	return err ? err : READ_ONCE(ops.vm.tries) == 1 ? 0 : -EAGAIN;
}

/* The wait may take seconds, and longer than the engine waits for a role that does not get on. */
static int op_fail_now(unsigned role, const char *arg)
{
	u64 limit = poison_patience_ns;
	int err;

	WRITE_ONCE(poison_patience_ns, 0);
	err = ops_fail(role, arg);
	WRITE_ONCE(poison_patience_ns, limit);
	return err;
}

int vm_pin(unsigned role)
{
	struct vm_object *object = vm_object_use(false);
	int err;

	if (!object)
		return -ENOENT;
	err = vm_object_pin(object, VM_SLOT, &ops.vm.pinned[role]);
	vm_object_put(object);
	return err;
}

int vm_unpin(unsigned role)
{
	struct page *page = ops.vm.pinned[role];

	if (!page)
		return -EINVAL;
	ops.vm.pinned[role] = NULL;
	mem_unpin_page(ops.mem, page);
	return 0;
}

void vm_holders(char *buf, size_t size)
{
	const struct page *page = pfn_to_page_in(ops.mem, ops.page_p);
	u32 word = page_word(page);
	unsigned known = page->mapcount;
	int len = 0;
	u64 slot;

	spin_lock(&ops.vm.object->lock);
	slot = object_lookup(ops.vm.object, VM_SLOT);
	spin_unlock(&ops.vm.object->lock);
	if (word_ref(word) == 0) {
		ksnprintf(
		    buf, size, word_state(word) == PG_ISO_MIG ? "all taken by the freeze" : "free");
		return;
	}
	if (page->mapcount)
		len = ksnprintf(buf, size, "%u of entries, ", page->mapcount);
	if (slot == (uintptr_t)page || slot == slot_marker(ops.page_p)) {
		known++;
		len += ksnprintf(buf + len, size - (size_t)len, "%s",
		    slot_is_marker(slot) ? "the marker's, " : "the slot's, ");
	}
	if (word_state(word) == PG_ISO_MIG || word_state(word) == PG_HWPOISON) {
		known++;
		len += ksnprintf(buf + len, size - (size_t)len, "%s",
		    word_state(word) == PG_ISO_MIG ? "the isolation's, " : "the poison owner's, ");
	}
	if (word_ref(word) != known)
		len += ksnprintf(buf + len, size - (size_t)len, "%d of others, ",
		    (int)word_ref(word) - (int)known);
	if (len >= 2)
		buf[len - 2] = '\0';
}

const struct op ops_vm[] = {
    {.name = "touch", .space = op_touch},
    {.name = "hammer", .fn = op_hammer},
    {.name = "move", .fn = op_move},
    {.name = "once", .fn = op_once},
    {.name = "fail_now", .fn = op_fail_now},
    {.name = NULL},
};
