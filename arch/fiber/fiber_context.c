/* SPDX-License-Identifier: MIT */
/*
 * fiber_context.c: from one fiber's context to another's.
 *
 * Owns:       nothing.
 * Locks:      none: one OS thread.
 * Invariants: a context that is left has on its stack the registers that a called function keeps
 *             (System V ABI), and above them the address where it goes on.
 */
#include "fiber_context.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define ASAN_NEW(stack, size) __asan_unpoison_memory_region((stack), (size))
#else
#define ASAN_NEW(stack, size) ((void)0)
#endif

#if defined(__x86_64__)
#define SAVED 6 /* registers */

__asm__(".text\n"
        ".globl fiber_context_swap\n"
        ".type fiber_context_swap, @function\n"
        "fiber_context_swap:\n"
        "push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
        "mov %rsp, (%rdi)\n"
        "mov (%rsi), %rsp\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
        "ret\n"
        ".size fiber_context_swap, . - fiber_context_swap\n");

void fiber_context_make(struct fiber_context *to, char *stack, size_t size, void (*fn)(void))
{
	void **sp = (void **)(void *)(stack + size);
	unsigned i;

	/* A function that never returned may have left parts of the stack poisoned. */
	ASAN_NEW(stack, size);
	*--sp = NULL; /* where @fn would return to; it aligns the stack as a call does */
	*--sp = (void *)fn;
	for (i = 0; i < SAVED; i++)
		*--sp = NULL;
	to->sp = sp;
}
#else
void fiber_context_make(struct fiber_context *to, char *stack, size_t size, void (*fn)(void))
{
	ASAN_NEW(stack, size);
	getcontext(&to->posix);
	to->posix.uc_stack.ss_sp = stack;
	to->posix.uc_stack.ss_size = size;
	to->posix.uc_link = NULL;
	makecontext(&to->posix, fn, 0);
}

void fiber_context_swap(struct fiber_context *from, const struct fiber_context *to)
{
	swapcontext(&from->posix, &to->posix);
}
#endif
