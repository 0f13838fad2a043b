/* SPDX-License-Identifier: MIT */
/* vm_help.c: see vm_help.h. */
#include "mm/reclaim/reclaim.h"
#include "tests/lib/request_help.h"
#include "tests/lib/vm_help.h"

uintptr_t page_at(unsigned long nr)
{
	return VM_BASE + (nr << PAGE_SHIFT);
}

int scene_get(struct vm_object *object, u32 index)
{
	int err = vm_object_supply(object, index, NULL);

	return err == -EEXIST || err == -EAGAIN ? 0 : err;
}

const struct vm_pager_ops scene_pager = {.get = scene_get};

bool scene_begin_pager(
    struct ktest *t, struct vm_scene *s, unsigned nr, const struct vm_pager_ops *ops, void *pager)
{
	int err;

	*s = (struct vm_scene){.mem = ktest_backed_memory(t, VM_NORMAL, VM_MOVABLE), .nr = nr};
	if (!s->mem)
		return false;
	s->free = memory_free_pages(s->mem);
	err = vm_object_create(s->mem, ops ? OBJ_PAGER : OBJ_ANON, nr, ops, pager, &s->object);
	err = err ? err : vm_space_create(s->mem, &s->space);
	err = err ? err : vm_map(s->space, VM_BASE, nr, VM_RW, s->object, 0);
	if (err)
		ktest_fail(t, __FILE__, __LINE__, "no scene: error %d", err);
	return !err;
}

bool scene_begin(struct ktest *t, struct vm_scene *s, unsigned nr)
{
	return scene_begin_pager(t, s, nr, NULL, NULL);
}

bool scene_begin_filled(struct ktest *t, struct vm_scene *s, unsigned nr)
{
	int err = 0;
	u32 i;

	if (!scene_begin(t, s, nr))
		return false;
	for (i = 0; i < nr && !err; i++)
		err = vm_object_supply(s->object, i, NULL);
	if (err)
		ktest_fail(t, __FILE__, __LINE__, "no page %u: error %d", i, err);
	return !err;
}

void scene_end(struct ktest *t, struct vm_scene *s)
{
	if (s->object)
		vm_object_put(s->object);
	if (s->space)
		vm_space_put(s->space);
	/*
	 * A batch of the reclaim thread may hold the last reference to a page: wait for a drain,
	 * which begins after the batch.
	 */
	(void)asked_drain(s->mem);
	EXPECT_EQ(t, memory_free_pages(s->mem), s->free);
	EXPECT_EQ(t, mm_event_sum(s->mem, EV_BAD_FREE), 0);
	EXPECT_EQ(t, migwait_waiting(s->mem), 0);
	EXPECT(t, LIST_EMPTY(&s->mem->vm.spaces));
	EXPECT(t, LIST_EMPTY(&s->mem->vm.objects));
}

void scene_unload(struct ktest *t, struct vm_scene *s)
{
	soft_unload_space();
	expect_sound(t, s->mem);
	scene_end(t, s);
}

struct page *page_in(struct vm_object *object, u32 index)
{
	u64 slot;

	spin_lock(&object->lock);
	slot = object_lookup(object, index);
	spin_unlock(&object->lock);
	return slot_has_page(slot) ? slot_page(slot) : NULL;
}

void unmap_without_flush(struct vm_scene *s, struct tlb_gather *g)
{
	struct page *page;

	tlb_gather_init(g, s->mem);
	spin_lock(&s->object->lock);
	page = rmap_take_entry(s->mem, pt_entry(&s->space->pt, VM_BASE), 0);
	tlb_gather_add(g, s->space, VM_BASE);
	tlb_gather_page(g, page);
	spin_unlock(&s->object->lock);
}

bool pages_there(struct vm_scene *s, u32 nr)
{
	while (nr && page_in(s->object, nr - 1))
		nr--;
	return nr == 0;
}

u64 pte_at(struct vm_space *space, uintptr_t va)
{
	const u64 *entry = pt_entry(&space->pt, va);

	return entry ? READ_ONCE(*entry) : 0;
}

u64 stamp(unsigned long page, unsigned word, u64 seed)
{
	return (seed + page * 512 + word) * 0x9e3779b97f4a7c15ULL | 1;
}

void write_pages(struct ktest *t, unsigned from, unsigned to, u64 seed)
{
	unsigned i;

	for (i = from; i < to; i++) {
		EXPECT_EQ(t, soft_write(page_at(i), stamp(i, 0, seed)), 0);
		EXPECT_EQ(t, soft_write(page_at(i) + PAGE_SIZE - 8, stamp(i, 511, seed)), 0);
	}
}

void read_pages(struct ktest *t, unsigned from, unsigned to)
{
	u64 value;

	for (; from < to; from++)
		EXPECT_EQ(t, soft_read(page_at(from), &value), 0);
}

void fault_pages(struct ktest *t, struct vm_scene *s, unsigned from, unsigned to)
{
	for (; from < to; from++)
		EXPECT_EQ(t, vm_fault(s->space, page_at(from), VM_WRITE), 0);
}

bool scene_begin_loaded(struct ktest *t, struct vm_scene *s, unsigned nr, u64 seed)
{
	if (!scene_begin(t, s, nr))
		return false;
	soft_load_space(s->space);
	write_pages(t, 0, nr, seed);
	if (!pages_there(s, nr))
		ktest_fail(t, __FILE__, __LINE__, "required %u pages", nr);
	return pages_there(s, nr);
}

bool scene_begin_written(struct ktest *t, struct vm_scene *s, unsigned nr)
{
	if (!scene_begin_pager(t, s, nr, &scene_pager, NULL))
		return false;
	soft_load_space(s->space);
	write_pages(t, 0, nr, 1);
	soft_unload_space();
	expect_sound(t, s->mem);
	return pages_there(s, nr);
}

void expect_pages(struct ktest *t, unsigned from, unsigned to, u64 seed)
{
	unsigned i;

	for (i = from; i < to; i++) {
		u64 first = 0, last = 0;

		EXPECT_EQ(t, soft_read(page_at(i), &first), 0);
		EXPECT_EQ(t, soft_read(page_at(i) + PAGE_SIZE - 8, &last), 0);
		EXPECT_EQ(t, first, stamp(i, 0, seed));
		EXPECT_EQ(t, last, stamp(i, 511, seed));
	}
}
