/* SPDX-License-Identifier: MIT */
/*
 * syscall_memory.c: system calls for memory: objects, mappings, pagers.  The rules of syscall.c
 * hold.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Tests:      tests/fiber/explore_good.c, tests/fiber/explore_calls.c, user/abi.c, user/paged.c,
 *             user/fuzz.c, tests/qemu/test_hostile.py.
 */
#include "kernel/syscall.h"

#include <quarry/mm.h>
#include <quarry/pager.h>

BUILD_ASSERT(ABI_READ == VM_READ && ABI_WRITE == VM_WRITE && ABI_EXEC == VM_EXEC);
BUILD_ASSERT(RIGHT_READ == VM_READ && RIGHT_WRITE == VM_WRITE && RIGHT_EXEC == VM_EXEC);
BUILD_ASSERT(ABI_PAGE_SIZE == PAGE_SIZE && ABI_MAX_PAGES == OBJ_MAX_PAGES);

/* ---- objects and mappings ---- */

s64 sys_object_create(struct syscall_regs *r)
{
	struct cap cap = {
	    .kind = CAP_OBJECT,
	    .rights = RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC | RIGHT_DUP,
	};
	struct vm_object *object;
	int err = vm_object_create(&kernel_memory, OBJ_ANON, r->arg[0], NULL, NULL, &object);

	if (err)
		return err;
	cap.object = object;
	return cap_give(my_caps(), &cap);
}

s64 sys_map(struct syscall_regs *r)
{
	u64 prot = r->arg[4];
	struct cap cap;
	unsigned may;
	int err;

	if (prot & ~(u64)(VM_READ | VM_WRITE | VM_EXEC))
		return -EINVAL;
	err = cap_lookup(my_caps(), r->arg[0], CAP_OBJECT, (unsigned)prot, &cap);
	if (err)
		return err;
	/* sys_protect takes no handle, so the mapping records the rights of this handle. */
	may = cap.rights & (VM_READ | VM_WRITE | VM_EXEC);
	task_gives(cap.object);
	err = vm_map(task_current()->space, r->arg[1], r->arg[2], (unsigned)prot | VM_MAY(may),
	    cap.object, r->arg[3]);
	task_gives(NULL);
	cap_drop(&cap);
	return err;
}

s64 sys_unmap(struct syscall_regs *r)
{
	return vm_unmap(task_current()->space, r->arg[0], r->arg[1]);
}

s64 sys_protect(struct syscall_regs *r)
{
	if (r->arg[2] & ~(u64)(VM_READ | VM_WRITE | VM_EXEC))
		return -EINVAL;
	return vm_protect(task_current()->space, r->arg[0], r->arg[1], (unsigned)r->arg[2]);
}

/* ---- pagers ---- */

s64 sys_pager_bind(struct syscall_regs *r)
{
	struct cap ep,
	    cap = {
	        .kind = CAP_OBJECT,
	        .rights = RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC | RIGHT_DUP | RIGHT_SUPPLY,
	    };
	struct vm_object *object;
	int err = cap_lookup(my_caps(), r->arg[0], CAP_ENDPOINT, RIGHT_RECEIVE, &ep);

	if (err)
		return err;
	err = pager_create(ep.object, r->arg[1], r->arg[2], r->arg[3], &object);
	cap_drop(&ep);
	if (err)
		return err;
	cap.object = object;
	return cap_give(my_caps(), &cap);
}

/* Carry out a call that a pager makes for one of its pages. */
static s64 serve(struct syscall_regs *r, int (*fn)(struct vm_object *, u64, u64))
{
	struct cap cap;
	int err = cap_lookup(my_caps(), r->arg[0], CAP_OBJECT, RIGHT_SUPPLY, &cap);

	if (err)
		return err;
	task_gives(cap.object);
	err = fn(cap.object, r->arg[1], r->arg[2]);
	task_gives(NULL);
	cap_drop(&cap);
	return err;
}

s64 sys_pager_supply(struct syscall_regs *r)
{
	return serve(r, pager_supply);
}

s64 sys_pager_take_back(struct syscall_regs *r)
{
	return serve(r, pager_take_back);
}

s64 sys_pager_drop(struct syscall_regs *r)
{
	return serve(r, pager_drop);
}

/* ---- memory that is lost ---- */

s64 sys_fault_handler(struct syscall_regs *r)
{
	struct cap ep = {.kind = CAP_NONE};
	int err = r->arg[0] ? cap_lookup(my_caps(), r->arg[0], CAP_ENDPOINT, RIGHT_SEND, &ep) : 0;

	if (!err)
		task_set_handler(task_current(), ep.object);
	cap_drop(&ep);
	return err;
}
