/* SPDX-License-Identifier: MIT */
/*
 * vm_copy.h: a copy of objects, spaces, faults, reverse mapping and page tables for one suite,
 * under the same names.
 *
 * It is included as text, not compiled once: macros that the suite has defined before, such as
 * SCHED_POINT or spin_lock, apply to its copy only.
 */
#ifndef QUARRY_TESTS_VM_COPY_H
#define QUARRY_TESTS_VM_COPY_H

#include "mm/vm/lru.h"
#include "tests/lib/mm_priv.h"
#include "mm/vm/vm.h"

static unused int copy_pt_init(struct pagetable *pt, struct memory *mem);
static unused void copy_pt_destroy(struct pagetable *pt);
static unused int copy_pt_prepare(struct pagetable *pt, uintptr_t va);
static unused u64 *copy_pt_entry(const struct pagetable *pt, uintptr_t va);
static unused u64 *copy_pt_entry_anew(struct pagetable *pt, uintptr_t va);
static unused u64 *copy_pt_next(const struct pagetable *pt, uintptr_t *va, uintptr_t end);
static unused void copy_rmap_add(struct vm_region *r);
static unused void copy_rmap_remove(struct vm_region *r);
static unused void copy_rmap_cut(struct vm_region *r, uintptr_t end);
static unused struct vm_region *copy_rmap_stale(struct vm_object *object, u32 *below, u32 *nr);
static unused int copy_rmap_map(struct vm_region *r, uintptr_t va, struct page *page);
static unused struct page *copy_rmap_take_entry(struct memory *mem, u64 *entry, u64 with);
static unused u64 copy_rmap_age(struct vm_object *object, u32 index, struct tlb_gather *g);
static unused unsigned copy_rmap_unmap(
    struct vm_object *object, u32 index, u64 with, struct tlb_gather *g);
static unused void copy_rmap_restore(
    struct vm_object *object, u32 index, u64 entry, struct page *page);
static unused void copy_rmap_migrate(
    struct vm_object *object, struct page **pages, unsigned nr, struct tlb_gather *g);
static unused void copy_rmap_arrive(
    struct vm_object *object, struct page **old, struct page **new, unsigned nr);
static unused void copy_object_wait(const struct vm_object *object);
static unused void copy_object_lock(struct vm_object *object);
static unused bool copy_object_lock_to_remove(struct vm_object *object, bool (*over)(void));
static unused void copy_object_walk_ends(struct vm_object *object);
static unused u64 *copy_object_slot(const struct vm_object *object, u32 index);
static unused u64 copy_object_lookup(struct vm_object *object, u32 index);
static unused int copy_object_prepare(struct vm_object *object, u32 index, gfp_t gfp);
static unused bool copy_object_fill(
    struct vm_object *object, u64 *slot, u32 index, struct page *page);
static unused void copy_object_release_page(struct vm_object *object, struct page *page, u64 with);
static unused bool copy_object_tryget(struct vm_object *object);
static unused struct vm_object *copy_lru_get_object(struct memory *mem, struct page *page);
static unused void copy_lru_get_objects(
    struct memory *mem, struct page **pages, unsigned nr, struct vm_object **object);
static unused int copy_vm_object_create(struct memory *mem, enum vm_object_kind kind,
    unsigned long nr_pages, const struct vm_pager_ops *ops, void *pager, struct vm_object **out);
static unused void copy_vm_object_get(struct vm_object *object);
static unused void copy_vm_object_put(struct vm_object *object);
static unused void copy_vm_object_put_many(struct vm_object *object, u32 nr);
static unused int copy_vm_object_supply(struct vm_object *object, u32 index, const void *data);
static unused int copy_vm_object_supply_by(
    struct vm_object *object, u32 index, int (*fill)(void *page, void *arg), void *arg);
static unused int copy_vm_object_remove(struct vm_object *object, u32 index, u32 nr);
static unused u32 copy_vm_object_remove_some(
    struct vm_object *object, u32 index, u32 nr, bool (*over)(void));
static unused bool copy_vm_object_has(struct vm_object *object, u32 index);
static unused int copy_vm_await_memory(struct vm_object *object, u32 index);
static unused unsigned long copy_vm_object_pages(struct vm_object *object, enum zone_kind highest);
static unused unsigned long copy_vm_object_tables(struct vm_object *object);
static unused int copy_vm_object_pin(struct vm_object *object, u32 index, struct page **page);
static unused struct vm_region *copy_region_find(struct vm_space *space, uintptr_t va);
static unused int copy_vm_space_create(struct memory *mem, struct vm_space **out);
static unused void copy_vm_space_get(struct vm_space *space);
static unused void copy_vm_space_put(struct vm_space *space);
static unused int copy_vm_map(struct vm_space *space, uintptr_t va, unsigned long nr, unsigned prot,
    struct vm_object *object, unsigned long offset);
static unused int copy_vm_unmap(struct vm_space *space, uintptr_t va, unsigned long nr);
static unused int copy_vm_protect(
    struct vm_space *space, uintptr_t va, unsigned long nr, unsigned prot);
static unused unsigned long copy_vm_space_resident(struct vm_space *space, enum zone_kind highest,
    void (*fn)(struct vm_object *object, unsigned long nr, void *arg), void *arg);
static unused int copy_vm_fault(struct vm_space *space, uintptr_t va, unsigned access);

#define pt_init               copy_pt_init
#define pt_destroy            copy_pt_destroy
#define pt_prepare            copy_pt_prepare
#define pt_entry              copy_pt_entry
#define pt_entry_anew         copy_pt_entry_anew
#define pt_next               copy_pt_next
#define rmap_add              copy_rmap_add
#define rmap_remove           copy_rmap_remove
#define rmap_cut              copy_rmap_cut
#define rmap_stale            copy_rmap_stale
#define rmap_map              copy_rmap_map
#define rmap_take_entry       copy_rmap_take_entry
#define rmap_age              copy_rmap_age
#define rmap_unmap            copy_rmap_unmap
#define rmap_restore          copy_rmap_restore
#define rmap_migrate          copy_rmap_migrate
#define rmap_arrive           copy_rmap_arrive
#define object_wait           copy_object_wait
#define object_lock           copy_object_lock
#define object_lock_to_remove copy_object_lock_to_remove
#define object_walk_ends      copy_object_walk_ends
#define object_slot           copy_object_slot
#define object_lookup         copy_object_lookup
#define object_prepare        copy_object_prepare
#define object_fill           copy_object_fill
#define object_release_page   copy_object_release_page
#define object_tryget         copy_object_tryget
#define lru_get_object        copy_lru_get_object
#define lru_get_objects       copy_lru_get_objects
#define vm_object_create      copy_vm_object_create
#define vm_object_get         copy_vm_object_get
#define vm_object_put         copy_vm_object_put
#define vm_object_put_many    copy_vm_object_put_many
#define vm_object_supply      copy_vm_object_supply
#define vm_object_supply_by   copy_vm_object_supply_by
#define vm_object_remove      copy_vm_object_remove
#define vm_object_remove_some copy_vm_object_remove_some
#define vm_object_has         copy_vm_object_has
#define vm_await_memory       copy_vm_await_memory
#define vm_object_pages       copy_vm_object_pages
#define vm_object_tables      copy_vm_object_tables
#define vm_object_pin         copy_vm_object_pin
#define region_find           copy_region_find
#define vm_space_create       copy_vm_space_create
#define vm_space_get          copy_vm_space_get
#define vm_space_put          copy_vm_space_put
#define vm_map                copy_vm_map
#define vm_unmap              copy_vm_unmap
#define vm_protect            copy_vm_protect
#define vm_space_resident     copy_vm_space_resident
#define vm_fault              copy_vm_fault

#include <quarry/account.h>
#include <quarry/sched_point.h>

#include "mm/vm/pagetable.c" /* NOLINT(bugprone-suspicious-include): a copy of its own */
/* Before rmap.c, whose RB_AUGMENT is for its own tree. */
#include "mm/vm/vm_space.c"    /* NOLINT(bugprone-suspicious-include): a copy of its own */
#include "mm/vm/object_lock.c" /* NOLINT(bugprone-suspicious-include): a copy of its own */
#include "mm/vm/rmap.c"        /* NOLINT(bugprone-suspicious-include): a copy of its own */
#include "mm/vm/vm_object.c"   /* NOLINT(bugprone-suspicious-include): a copy of its own */
#include "mm/vm/vm_fault.c"    /* NOLINT(bugprone-suspicious-include): a copy of its own */

#endif
