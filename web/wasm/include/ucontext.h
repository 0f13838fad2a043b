/* SPDX-License-Identifier: MIT */
/* ucontext.h: the part of POSIX's contexts that arch/fiber uses; web/wasm/switch.c defines it. */
#ifndef QUARRY_WASM_UCONTEXT_H
#define QUARRY_WASM_UCONTEXT_H

#include <stddef.h>

#define WASM_SAVED (32 << 10) /* bytes for the locals of all functions of a stack */

typedef struct ucontext {
	struct {
		void *ss_sp;
		size_t ss_size;
	} uc_stack;
	struct ucontext *uc_link;
	/* Private: the end of the locals that asyncify saved, and the end of its buffer. */
	struct {
		char *at, *end;
	} saved;
	char *stack_pointer;
	void (*fn)(void);
	char *buffer;
	int begun;
} ucontext_t;

/* Call this before makecontext; it does nothing, and returns 0. */
int getcontext(ucontext_t *context);
/* @context will run @fn() on its uc_stack.  @nr_args: 0. */
void makecontext(ucontext_t *context, void (*fn)(void), int nr_args, ...);
/* Continue @to; returns 0 once a context continues @from. */
int swapcontext(ucontext_t *from, const ucontext_t *to);

#endif
