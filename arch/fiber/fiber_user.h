/* SPDX-License-Identifier: MIT */
/*
 * fiber_user.h: a pretend ring 3 on CPUs that are fibers.
 *
 * A program is a C function that reaches the kernel by user_call and its memory by user_load and user_store only; the
 * kernel's half is its own: system calls, tasks, address spaces, faults.  User addresses are translated by
 * the tables that a CPU has loaded, with a small TLB.
 */
#ifndef QUARRY_FIBER_USER_H
#define QUARRY_FIBER_USER_H

#include "fiber_threads.h"
#include <quarry/task.h>
#include <quarry/user.h>

#define THREADS_PAGES 1024 /* of the kernel's memory */

/* Set up kernel_memory, its caches on, its reclaim thread running.  Context: the first thread. */
void threads_memory_start(void);
/* Runs as ring 3 what starts at @entry; when it returns, its thread ends. */
extern void (*threads_program)(uintptr_t entry, const u64 arg[3]);

/* For programs.  The task may have ended meanwhile: then they do not return. */

/* A system call: the result; what a call gives back is in @regs. */
s64 user_call(struct syscall_regs *regs);
/* The word at @va, aligned; a fault that cannot be served ends the task. */
u64 user_load(uintptr_t va);
void user_store(uintptr_t va, u64 value);
/* An interrupt may come here. */
void user_turn(void);

#endif
