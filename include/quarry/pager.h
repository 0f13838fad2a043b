/* SPDX-License-Identifier: MIT */
/*
 * pager.h: memory objects whose pages a program in ring 3 supplies and takes back.
 *
 * The kernel calls the pager's endpoint to request a page (ABI_PAGER_GET), or to hand over a dirty
 * one (ABI_PAGER_CLEAN).  Before it answers, the pager supplies the page, or takes its content.
 * docs/abi.md has the protocol.
 */
#ifndef QUARRY_PAGER_H
#define QUARRY_PAGER_H

#include <quarry/ipc.h>
#include <quarry/vm.h>

/* Context of all functions below: thread, may sleep, no spin lock held. */

/*
 * pager_create - a new object of @nr_pages pages in *@out; its pager is the running task, or the
 * kernel.  The pager is called at @ep: the object takes a reference to it that can only call.  Each
 * call has @number, and times out after @timeout_ns.
 * Returns 0; -EINVAL @timeout_ns is 0 or above ABI_MAX_PAGER_NS, or as vm_object_create; -ENOMEM.
 */
int pager_create(struct endpoint *ep, unsigned long nr_pages, u64 number, u64 timeout_ns,
    struct vm_object **out) must_check;
/*
 * pager_supply - fill an empty slot of @object with the page at @from, an address of ring 3.
 * Returns as vm_object_supply; also -EINVAL: the object has no pager; -EFAULT; -EINTR the caller's
 * task is ending.
 */
int pager_supply(struct vm_object *object, u64 index, u64 from) must_check;
/*
 * pager_take_back - copy the page that is being handed over to @to, an address of ring 3.
 * Returns 0; -EINVAL no such page, no pager; -ENOENT the page is not being handed over, or not any
 * more: then the copy is invalid; -EFAULT; -EINTR the caller's task is ending.
 */
int pager_take_back(struct vm_object *object, u64 index, u64 to) must_check;
/*
 * pager_drop - empty slots, as vm_object_remove.  Also -EINVAL: the object has no pager; -EINTR:
 * the caller's task is ending, and the last slots may be as they were.
 */
int pager_drop(struct vm_object *object, u64 index, u64 nr);

#endif
