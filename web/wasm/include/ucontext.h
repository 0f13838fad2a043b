/* SPDX-License-Identifier: MIT */
/* ucontext.h: contexts in WebAssembly, as much of POSIX's as arch/fiber uses; web/wasm/switch.c. */
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
	/* Private: what asyncify saved, up to where; its buffer ends at @end. */
	struct {
		char *at, *end;
	} saved;
	char *stack_pointer;
	void (*fn)(void);
	char *buffer;
	int begun;
} ucontext_t;

/* @context can be given to makecontext; nothing else.  Always 0. */
int getcontext(ucontext_t *context);
/* @context will run @fn() on its uc_stack.  @nr_args: 0. */
void makecontext(ucontext_t *context, void (*fn)(void), int nr_args, ...);
/* Go on in @to; returns 0 when something goes on in @from. */
int swapcontext(ucontext_t *from, const ucontext_t *to);
/* Go on in @to, and never here again. */
int setcontext(const ucontext_t *to);

#endif
