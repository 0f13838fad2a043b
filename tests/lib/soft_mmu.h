/* SPDX-License-Identifier: MIT */
/*
 * soft_mmu.h: a memory management unit in software: it walks the page tables of a space, sets their
 * A and D bits, and caches the entries in a small TLB for each CPU.
 *
 * With it suites can use address spaces in the hosted program and in the kernel alike; like a real
 * CPU, it uses a stale entry until that entry is flushed. A thread bound to a CPU loads a space
 * there, accesses it, and unloads it.
 */
#ifndef QUARRY_TESTS_SOFT_MMU_H
#define QUARRY_TESTS_SOFT_MMU_H

#include <quarry/vm.h>

/* Load the tables of @space on this CPU; unload them. */
void soft_load_space(struct vm_space *space);
void soft_unload_space(void);
/* Forget the spaces that are loaded on the CPUs: they no longer exist. */
void soft_forget_all(void);
/*
 * Read or write the word at @va (aligned) of the space loaded here, handling faults as they occur.
 * Returns 0, or the error of vm_fault.
 */
int soft_read(uintptr_t va, u64 *value);
int soft_write(uintptr_t va, u64 value);
/* Fetch an instruction at @va: only the permission is checked. */
int soft_exec(uintptr_t va);
/* Write only if the access needs no fault: 0, or -EFAULT. */
int soft_try_write(uintptr_t va, u64 value);

#endif
