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

/* The copy of a function has its type, and is this suite's own. */
#define COPY(name) static unused __typeof__(name) copy_##name
COPY(pt_init);
COPY(pt_destroy);
COPY(pt_prepare);
COPY(pt_entry);
COPY(pt_entry_anew);
COPY(pt_next);
COPY(rmap_add);
COPY(rmap_remove);
COPY(rmap_cut);
COPY(rmap_stale);
COPY(rmap_map);
COPY(rmap_take_entry);
COPY(rmap_age);
COPY(rmap_unmap);
COPY(rmap_restore);
COPY(rmap_migrate);
COPY(rmap_arrive);
COPY(object_wait);
COPY(object_lock);
COPY(object_lock_to_remove);
COPY(object_walk_ends);
COPY(object_slot);
COPY(object_lookup);
COPY(object_prepare);
COPY(object_fill);
COPY(object_release_page);
COPY(object_tryget);
COPY(lru_get_object);
COPY(lru_get_objects);
COPY(vm_object_create);
COPY(vm_object_get);
COPY(vm_object_put);
COPY(vm_object_put_many);
COPY(vm_object_supply);
COPY(vm_object_supply_by);
COPY(vm_object_remove);
COPY(vm_object_remove_some);
COPY(vm_object_has);
COPY(vm_await_memory);
COPY(vm_object_pages);
COPY(vm_object_tables);
COPY(vm_object_pin);
COPY(region_find);
COPY(vm_space_create);
COPY(vm_space_get);
COPY(vm_space_put);
COPY(vm_map);
COPY(vm_unmap);
COPY(vm_protect);
COPY(vm_space_resident);
COPY(vm_fault);

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
