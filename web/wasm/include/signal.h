/* SPDX-License-Identifier: MIT */
/*
 * signal.h: declarations that arch/fiber needs.  WebAssembly has no signals: a wild pointer traps,
 * and the page says that the module crashed.
 */
#ifndef QUARRY_WASM_SIGNAL_H
#define QUARRY_WASM_SIGNAL_H

#include <stddef.h>

#define SIGFPE     8
#define SIGBUS     7
#define SIGSEGV    11
#define SA_SIGINFO 4
#define SA_ONSTACK 8
#define SA_NODEFER 16

typedef struct {
	void *si_addr;
} siginfo_t;

typedef struct {
	void *ss_sp;
	size_t ss_size;
} stack_t;

struct sigaction {
	void (*sa_sigaction)(int, siginfo_t *, void *);
	int sa_flags;
};

static inline int sigaltstack(const stack_t *new, stack_t *old)
{
	return 0;
}

static inline int sigaction(int sig, const struct sigaction *new, struct sigaction *old)
{
	return 0;
}

#endif
