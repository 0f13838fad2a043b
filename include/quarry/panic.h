/* SPDX-License-Identifier: MIT */
/* panic.h: what a panic tells, and whom it stops (kernel/panic.c). */
#ifndef QUARRY_PANIC_H
#define QUARRY_PANIC_H

#include <quarry/types.h>

/* What all chance of this run derives from; set by main.c from seed=, printed by a panic. */
extern u64 run_seed;
/* True once a panic began.  Any context. */
bool panicking(void);
/*
 * Once a panic began on another CPU this does not return: nobody shall print or change anything
 * more.
 */
void panic_stop(void);
/* Name and offset of the function that @addr lies in: "name+0x12", or the number.  Any context. */
const char *symbol_name(uintptr_t addr, char *buf, size_t size);
/* Walk frame pointers from @rbp, print each return address with its name.  Any context. */
void print_backtrace(uintptr_t rip, uintptr_t rbp);

#endif
