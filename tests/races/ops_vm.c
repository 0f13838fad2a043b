/* SPDX-License-Identifier: MIT */
/*
 * ops_vm.c: what the roles of a race can do with V, a page of a memory object that is mapped.
 *
 * V lies in slot VM_SLOT of an object that two spaces show at the same address.  In the first it was touched, so
 * there is an entry for it; in the second, W, nobody has been there yet.
 *
 * Owns: ops.vm.
 */
#include "ops.h"
#include "mm/vm_priv.h"
#include "tests/soft_mmu.h"

#define PAGES   4u
#define BASE    0x400000UL
#define ADDRESS (BASE + VM_SLOT * PAGE_SIZE)
#define CONTENT 0x5eedUL /* of V */

/* The page in V's slot, wherever that is now; NULL: it is being moved, or gone. */
static struct page *page_now(void)
{
	u64 slot;

	spin_lock(&ops.vm.object->lock);
	slot = object_lookup(ops.vm.object, VM_SLOT);
	spin_unlock(&ops.vm.object->lock);
	return slot_has_page(slot) ? slot_page(slot) : NULL;
}

void vm_scene(void)
{
	struct ops_vm *vm = &ops.vm;
	int err = vm_object_create(ops.mem, OBJ_ANON, PAGES, NULL, NULL, &vm->object);
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(vm->space) && !err; i++) {
		err = vm_space_create(ops.mem, &vm->space[i]);
		err = err ? err : vm_map(vm->space[i], BASE, PAGES, VM_READ | VM_WRITE, vm->object, 0);
	}
	if (!err) {
		soft_load_space(vm->space[0]);
		err = soft_write(ADDRESS, CONTENT);
		soft_unload_space();
	}
	if (err)
		panic("race: no object: error %d", err);
	vm->v = page_now();
}

void vm_forget(void)
{
	soft_forget_all();
	migwait_forget();
}

void vm_drop_all(void *arg)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(ops.vm.space); i++)
		if (ops.vm.space[i])
			vm_space_put(ops.vm.space[i]);
	if (ops.vm.object)
		vm_object_put(ops.vm.object);
	memset(&ops.vm, 0, sizeof(ops.vm));
}

static bool inside(const void *what, const void *start, size_t size)
{
	return (uintptr_t)what - (uintptr_t)start < size;
}

bool vm_owns(const void *what)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(ops.vm.space); i++)
		if (ops.vm.space[i] && inside(what, ops.vm.space[i], sizeof(struct vm_space)))
			return true;
	return ops.vm.object && (inside(what, ops.vm.object, sizeof(struct vm_object)) || migwait_owns(what));
}

unsigned long vm_pages(void)
{
	unsigned long nr = 0;
	unsigned i;

	if (!ops.vm.object)
		return 0;
	for (i = 0; i < ARRAY_SIZE(ops.vm.space); i++)
		nr += ops.vm.space[i]->pt.nr_tables;
	/* Its slots, and what they are found by. */
	return nr + ops.vm.object->nr_present + 2;
}

static struct vm_space *space_of(const char *arg)
{
	return ops.vm.space[arg[0] == 'W'];
}

/* Read V where it is mapped, or with touch(W) where it was not yet; not its content: -EUCLEAN. */
int vm_op_touch(unsigned role, const char *arg)
{
	u64 value = 0;
	int err;

	soft_load_space(space_of(arg));
	err = soft_read(ADDRESS, &value);
	soft_unload_space();
	return err ? err : value == CONTENT ? 0 : -EUCLEAN;
}

/* Touch it again and again, until a move has ended. */
int vm_op_hammer(unsigned role, const char *arg)
{
	int err = 0;

	while (!err && !load_acquire(&ops.vm.moves) && !load_acquire(&ops_cancel)) {
		err = vm_op_touch(role, arg);
		thread_yield();
	}
	return err;
}

/* As a scanner does: look where it lies, take it off its list, move it. */
int vm_op_move(unsigned role, const char *arg)
{
	static struct isolated_pages isolated[RACE_ROLES];
	struct isolated_pages *pages = &isolated[role];
	const struct page *page = page_now();
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

/* The same, and it must succeed at the first try. */
int vm_op_once(unsigned role, const char *arg)
{
	int err = vm_op_move(role, arg);

	return err ? err : READ_ONCE(ops.vm.tries) == 1 ? 0 : -EAGAIN;
}

int vm_op_unmap(unsigned role, const char *arg)
{
	return vm_unmap(space_of(arg), ADDRESS, 1);
}

int vm_op_remove(unsigned role, const char *arg)
{
	return vm_object_remove(ops.vm.object, VM_SLOT, 1);
}

int vm_op_pin(unsigned role)
{
	return vm_object_pin(ops.vm.object, VM_SLOT, &ops.vm.pinned[role]);
}

int vm_op_unpin(unsigned role)
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
		ksnprintf(buf, size, word_state(word) == PG_ISO_MIG ? "all taken by the freeze" : "free");
		return;
	}
	if (page->mapcount)
		len = ksnprintf(buf, size, "%u of entries, ", page->mapcount);
	if (slot == (uintptr_t)page || slot == slot_marker(ops.page_p)) {
		known++;
		len += ksnprintf(buf + len, size - (size_t)len, "%s", slot_is_marker(slot) ? "the marker's, " : "the slot's, ");
	}
	if (word_state(word) == PG_ISO_MIG || word_state(word) == PG_HWPOISON) {
		known++;
		len += ksnprintf(buf + len, size - (size_t)len, "%s",
		    word_state(word) == PG_ISO_MIG ? "the isolation's, " : "the poison owner's, ");
	}
	if (word_ref(word) != known)
		len += ksnprintf(buf + len, size - (size_t)len, "%d of others, ", (int)word_ref(word) - (int)known);
	if (len >= 2)
		buf[len - 2] = '\0';
}
