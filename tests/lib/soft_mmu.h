/* SPDX-License-Identifier: MIT */
/*
 * soft_mmu.h: a machine's memory management unit in software: walks the page tables of a space,
 * sets their A and D bits, and caches the entries in a small TLB for each CPU.
 *
 * So suites can use address spaces hosted and in the kernel alike; like a real CPU, it uses a
 * stale entry until that entry is flushed. A thread bound to a CPU loads a space there, accesses
 * it, and unloads it.
 */
#ifndef QUARRY_TESTS_SOFT_MMU_H
#define QUARRY_TESTS_SOFT_MMU_H

#include <quarry/vm.h>

/* This CPU has the tables of @space loaded from now on; and no more. */
void soft_load_space(struct vm_space *space);
void soft_unload_space(void);
/* No CPU has any loaded; those that have are gone. */
void soft_forget_all(void);
/*
 * Read or write the word at @va (aligned) of the space loaded here, taking faults as they come.
 * Returns 0, or the error of vm_fault.
 */
int soft_read(uintptr_t va, u64 *value);
int soft_write(uintptr_t va, u64 value);
/* Fetch an instruction there: only the permission matters. */
int soft_exec(uintptr_t va);
/* Write only if it needs no fault: 0, or -EFAULT. */
int soft_try_write(uintptr_t va, u64 value);

#endif
