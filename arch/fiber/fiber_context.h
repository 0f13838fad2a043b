/* SPDX-License-Identifier: MIT */
/*
 * fiber_context.h: the context of a fiber: its stack, and what it was left with.
 *
 * swapcontext of glibc makes a system call in each switch, for the mask of signals, and all fibers
 * have the same mask.  So x86_64 has a switch of its own, three times as fast in all
 * (fiber_context.c).  Other hosts use POSIX's functions, and so does WebAssembly
 * (web/wasm/switch.c).
 */
#ifndef QUARRY_FIBER_CONTEXT_H
#define QUARRY_FIBER_CONTEXT_H

#include <stddef.h>

/* clang says it in its own way. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#if defined(__x86_64__)
struct fiber_context {
	void *sp; /* the saved registers are on the stack */
};
#else
#include <ucontext.h>
struct fiber_context {
	ucontext_t posix;
};
#endif

/* @to will run @fn, which must not return, on this stack of @size bytes, a multiple of 16. */
void fiber_context_make(struct fiber_context *to, char *stack, size_t size, void (*fn)(void));
/* Continue @to.  Returns when another context continues @from. */
void fiber_context_swap(struct fiber_context *from, const struct fiber_context *to);

#endif
