/* SPDX-License-Identifier: MIT */
/* fiber_cpu.h: a CPU that is a fiber, for fiber_cpu.c and fiber_choose.c alone. */
#ifndef QUARRY_FIBER_CPU_H
#define QUARRY_FIBER_CPU_H

#include "fiber.h"
#include "fiber_context.h"

enum fiber_state {
	FIBER_NONE,
	FIBER_READY,
	FIBER_SPINS,
	FIBER_YIELDED,
	FIBER_WAITS_ALL,
	FIBER_IDLE,
	FIBER_PARKED,
	FIBER_ENDED
};

struct thread {
	struct fiber_cpu cpu; /* first: fiber_this points here */
	enum fiber_state state;
	bool leaving; /* cpu_down waits for the CPU */
	bool left;    /* the thread is in cpu_leave, as the CPU's idle thread */
	bool preempted;
	u64 preempted_at; /* number of the preemption in the run */
	u64 seen;         /* number of events at the thread's last check */
	struct fiber_context context;
	char *stack;
	void *fake_stack; /* for the address sanitizer */
	struct mm_task task, idle_task;
	const char *name;
	void (*fn)(void *);
	void *arg;
};

extern struct thread fibers[FIBER_CPUS];

/* The thread that runs next, perhaps the present one.  fiber_on_stuck is called if none can run. */
struct thread *fiber_choose(void);
/* Begin a run: no events, and no passes of waiting, until now. */
void fiber_choose_begin(void);
/* The number of events until now (fiber_progress). */
u64 fiber_events(void);
/* Advance the clock, when all CPUs wait. */
void fiber_clock_advance(u64 ns);

#endif
