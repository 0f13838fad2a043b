/* SPDX-License-Identifier: MIT */
/*
 * switch.c: contexts in WebAssembly, which has no instruction to change stacks.
 *
 * binaryen's asyncify rewrites the functions that may switch: while it unwinds, each saves its
 * locals in a buffer and returns; while it rewinds, each takes them back and calls on, down to
 * where it was.  So a switch returns all the way up to main, which calls the first function of the
 * other context, or rewinds it.  Only main and swapcontext stay as they were compiled: asyncify
 * knows them by the functions they call.  The C stack is memory: main sets its pointer for each
 * context.
 *
 * Owns:       the context that runs, and the one that runs next.
 * Locks:      none: one thread.
 * Invariants: asyncify unwinds or rewinds only between swapcontext and main.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <ucontext.h>

#define FROM_ASYNCIFY(name) __attribute__((import_module("asyncify"), import_name(name)))

FROM_ASYNCIFY("start_unwind") void asyncify_start_unwind(void *saved);
FROM_ASYNCIFY("stop_unwind") void asyncify_stop_unwind(void);
FROM_ASYNCIFY("start_rewind") void asyncify_start_rewind(void *saved);
FROM_ASYNCIFY("stop_rewind") void asyncify_stop_rewind(void);

/* The program's main; fiber_main.c is compiled with -Dmain=race_main. */
int race_main(int argc, char **argv);

static ucontext_t program, *now = &program, *next;
static bool rewinding;
static int nr_args, status;
static char **args;

__asm__(".globaltype __stack_pointer, i32\n");

static char *stack_pointer(void)
{
	char *sp;

	__asm__ volatile("global.get __stack_pointer\n\tlocal.set %0" : "=r"(sp));
	return sp;
}

static void set_stack_pointer(char *sp)
{
	__asm__ volatile("local.get %0\n\tglobal.set __stack_pointer" : : "r"(sp));
}

int getcontext(ucontext_t *context)
{
	return 0;
}

static void empty_buffer(ucontext_t *context)
{
	if (!context->buffer)
		context->buffer = malloc(WASM_SAVED);
	if (!context->buffer)
		abort();
	context->saved.at = context->buffer;
	context->saved.end = context->buffer + WASM_SAVED;
}

void makecontext(ucontext_t *context, void (*fn)(void), int nr, ...)
{
	empty_buffer(context);
	context->stack_pointer = (char *)context->uc_stack.ss_sp + context->uc_stack.ss_size;
	context->fn = fn;
	context->begun = false;
}

/* Asyncify calls this function again, to end the rewinding where the unwinding began. */
__attribute__((noinline)) int swapcontext(ucontext_t *from, const ucontext_t *to)
{
	if (rewinding) {
		rewinding = false;
		asyncify_stop_rewind();
		return 0;
	}
	empty_buffer(from);
	from->stack_pointer = stack_pointer();
	from->begun = true;
	next = (ucontext_t *)to;
	now = from;
	asyncify_start_unwind(&from->saved);
	return 0;
}

static void run_program(void)
{
	status = race_main(nr_args, args);
}

__attribute__((noinline)) static void enter(void (*fn)(void))
{
	fn();
}

int main(int argc, char **argv)
{
	char *sp = stack_pointer();

	nr_args = argc;
	args = argv;
	program.fn = run_program;
	program.stack_pointer = sp;
	for (;;) {
		next = NULL;
		set_stack_pointer(now->stack_pointer);
		if (now->begun) {
			rewinding = true;
			asyncify_start_rewind(&now->saved);
		}
		enter(now->fn);
		set_stack_pointer(sp);
		if (!next)
			return status;
		asyncify_stop_unwind();
		now = next;
	}
}
