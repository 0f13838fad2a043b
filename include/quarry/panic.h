/* SPDX-License-Identifier: MIT */
/* panic.h: the state and the helpers of a panic (kernel/panic.c). */
#ifndef QUARRY_PANIC_H
#define QUARRY_PANIC_H

#include <quarry/types.h>

/* The seed of all random numbers of this run.  main.c sets it from seed=; a panic prints it. */
extern u64 run_seed;
/* Has a panic begun?  Any context. */
bool panicking(void);
/*
 * Does not return if a panic has begun on another CPU: then only that CPU may print or change
 * anything.
 */
void panic_stop(void);
/*
 * This CPU begins the report of a panic, which stays in one piece: other CPUs print nothing from
 * now on.  Interrupts are off afterwards.  Returns on one CPU only; any context.
 */
void panic_begin(void);
/*
 * After a report that is on the screen: show it page by page, one for each key, for ever.  Returns
 * at once if the machine has no screen or keyboard.  For power.c.
 */
void panic_pages(void);
/* Name and offset of the function at @addr: "name+0x12", or the number.  Any context. */
const char *symbol_name(uintptr_t addr, char *buf, size_t size);
/* Walk frame pointers from @rbp, and print each return address with its name.  Any context. */
void print_backtrace(uintptr_t rip, uintptr_t rbp);

#endif
