/* SPDX-License-Identifier: MIT */
/*
 * vm_help.h: helpers of the suites of objects, spaces and migration: a backed memory, a space with
 * an object mapped, and checks.
 */
#ifndef QUARRY_TESTS_VM_HELP_H
#define QUARRY_TESTS_VM_HELP_H

#include "tests/lib/mm_priv.h"
#include "mm/vm/lru.h"
#include "mm/vm/vm.h"
#include "tests/lib/soft_mmu.h"
#include "tests/lib/mm_test.h"
#include <quarry/ktest.h>

/*
 * Pageblocks of the zones: enough for the tables of a few spaces, and some hundred pages of data.
 */
#define VM_NORMAL  (PAGEBLOCK_ORDER >= 9 ? 2u : 30u)
#define VM_MOVABLE (PAGEBLOCK_ORDER >= 9 ? 6u : 40u)
#define VM_BASE    0x400000UL
#define VM_RW      (VM_READ | VM_WRITE)

uintptr_t page_at(unsigned long nr);

/* One object in one space: its first page is mapped at VM_BASE. */
struct vm_scene {
	struct memory *mem;
	struct vm_object *object;
	struct vm_space *space;
	unsigned nr;
	unsigned long free; /* free pages before the scene was made */
};

/* A pager that supplies zeroed pages, for suites that do not test the pager. */
int scene_get(struct vm_object *object, u32 index);
extern const struct vm_pager_ops scene_pager;
/*
 * Make a scene of @nr pages. False: the test has failed or is skipped. Without @ops the object is
 * anonymous; with @ops its pages are on the lists that reclaim scans.
 */
bool scene_begin_pager(
    struct ktest *t, struct vm_scene *s, unsigned nr, const struct vm_pager_ops *ops, void *pager);

bool scene_begin(struct ktest *t, struct vm_scene *s, unsigned nr);
/* As scene_begin, and every slot has a page of zeros. */
bool scene_begin_filled(struct ktest *t, struct vm_scene *s, unsigned nr);
/* Drop everything, and expect every page back. */
void scene_end(struct ktest *t, struct vm_scene *s);
/* As scene_end; but first unload the space that is loaded on this CPU, and check the memory. */
void scene_unload(struct ktest *t, struct vm_scene *s);
/* The number of threads that wait for pages of @mem that are being moved. */
static inline u64 migwait_waiting(const struct memory *mem)
{
	u64 woken = mm_event_sum(mem, EV_MIGWAIT_WOKEN);

	return mm_event_sum(mem, EV_MIGWAIT_QUEUED) - woken;
}
/* The page in slot @index. NULL: the slot is empty, has a marker, or its page is lost. */
struct page *page_in(struct vm_object *object, u32 index);
/* Unmap the page at VM_BASE, without the shootdown: the caller does that by tlb_flush(@g). */
void unmap_without_flush(struct vm_scene *s, struct tlb_gather *g);
/* Is there a page in each of the first @nr slots? */
bool pages_there(struct vm_scene *s, u32 nr);
/* The table entry of @va. */
u64 pte_at(struct vm_space *space, uintptr_t va);
/* A value that differs by page, word and seed. */
u64 stamp(unsigned long page, unsigned word, u64 seed);
/* Write to pages @from to @to - 1 of a scene, through the space loaded here. */
void write_pages(struct ktest *t, unsigned from, unsigned to, u64 seed);
/* Read pages @from to @to - 1 of a scene, through the space loaded here. */
void read_pages(struct ktest *t, unsigned from, unsigned to);
/* Fault pages @from to @to - 1 of a scene in, to write to them. */
void fault_pages(struct ktest *t, struct vm_scene *s, unsigned from, unsigned to);
/* A scene of @nr pages, all written to; the space stays loaded on this CPU. */
bool scene_begin_loaded(struct ktest *t, struct vm_scene *s, unsigned nr, u64 seed);
/* A scene of @nr pages, all mapped and written to; the object's pager is scene_pager. */
bool scene_begin_written(struct ktest *t, struct vm_scene *s, unsigned nr);

void expect_pages(struct ktest *t, unsigned from, unsigned to, u64 seed);

#endif
