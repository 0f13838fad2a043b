/* SPDX-License-Identifier: MIT */
/*
 * fiber_user.h: a simulated ring 3 on CPUs that are fibers.
 *
 * A program is a C function that calls the kernel by user_call only, and accesses its memory by
 * user_load and user_store only.  The kernel's side is its own code: system calls, tasks, address
 * spaces, faults.  User addresses are translated by the tables that a CPU has loaded, with a small
 * TLB.
 */
#ifndef QUARRY_FIBER_USER_H
#define QUARRY_FIBER_USER_H

#include "fiber_threads.h"
#include <quarry/task.h>
#include <quarry/user.h>

#define THREADS_PAGES 1024 /* pages of the kernel's memory */

/* Set up kernel_memory: caches on, reclaim thread running.  Context: the first thread. */
void threads_memory_start(void);
/* The program that runs as ring 3 for @entry; when it returns, its thread ends. */
extern void (*threads_program)(uintptr_t entry, const u64 arg[3]);

/* Functions for programs.  They do not return if the task is ending. */

/* Make a system call; returns its result, further results in @regs. */
s64 user_call(struct syscall_regs *regs);
/* Load the aligned word at @va; a fault that cannot be served ends the task. */
u64 user_load(uintptr_t va);
void user_store(uintptr_t va, u64 value);
/* Allow an interrupt here. */
void user_turn(void);

#endif
