/* SPDX-License-Identifier: MIT */
/* syscall.h: declarations shared by the files of system calls; docs/abi.md specifies each call. */
#ifndef KERNEL_SYSCALL_H
#define KERNEL_SYSCALL_H

#include "kernel/thread.h"
#include <quarry/ipc.h>
#include <quarry/task.h>
#include <quarry/user.h>

/* The running task's capabilities. */
static inline struct cap_table *my_caps(void)
{
	return &thread_current()->task->caps;
}

/* syscall_memory.c */
s64 sys_object_create(struct syscall_regs *r);
s64 sys_map(struct syscall_regs *r);
s64 sys_unmap(struct syscall_regs *r);
s64 sys_protect(struct syscall_regs *r);
s64 sys_pager_bind(struct syscall_regs *r);
s64 sys_pager_supply(struct syscall_regs *r);
s64 sys_pager_take_back(struct syscall_regs *r);
s64 sys_pager_drop(struct syscall_regs *r);
s64 sys_fault_handler(struct syscall_regs *r);

#endif
