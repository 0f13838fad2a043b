/* SPDX-License-Identifier: MIT */
/*
 * fiber_cpu.c: the CPUs, each a fiber with a stack of its own: how they run, yield, park and end.
 *
 * Owns:       fibers[]; the clock, which advances when it is read and when all CPUs wait.
 * Locks:      none: one OS thread.
 * Invariants: exactly one fiber runs, fiber_this; a CPU's registers stay with its fiber.
 */
#define _GNU_SOURCE
#include "fiber_cpu.h"
#include "fiber_stores.h"
#include <quarry/hotplug.h>
#include <quarry/machine.h>
#include <quarry/smp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define SANITIZED                      true
#define ASAN_ENTER(save, bottom, size) __sanitizer_start_switch_fiber((save), (bottom), (size))
#define ASAN_LEFT(save)                __sanitizer_finish_switch_fiber((save), NULL, NULL)

#define ASAN_BEGUN() __sanitizer_finish_switch_fiber(NULL, &outside_bottom, &outside_size)
#else
#define SANITIZED                      false
#define ASAN_ENTER(save, bottom, size) ((void)0)
#define ASAN_LEFT(save)                ((void)0)
#define ASAN_BEGUN()                   ((void)0)
#endif

#define STACK_SIZE (128UL << 10)
#define LOOK_NS    100 /* time that a reading of the clock takes */

struct thread fibers[FIBER_CPUS];
static struct fiber_context outside;
static unused void *outside_fake;
static unused const void *outside_bottom;
static unused size_t outside_size;
static bool left_early;
static u64 clock_ns, preemptions;

struct fiber_cpu *fiber_this;
void (*fiber_at_lock)(void);
void (*fiber_preempt)(void);
unsigned nr_cpus = 1;
void (*fiber_on_panic)(const char *text);
char fiber_memmap[PAGEBLOCK_PAGES * sizeof(struct page)] __attribute__((aligned(4096)));
char fiber_pageblocks[sizeof(struct pageblock)] __attribute__((aligned(64)));
char fiber_ram[FIBER_RAM] __attribute__((aligned(PAGE_SIZE)));

static struct thread *self(void)
{
	return container_of(fiber_this, struct thread, cpu);
}

u64 arch_clock_ns(void)
{
	return clock_ns += LOOK_NS;
}

void fiber_clock_advance(u64 ns)
{
	clock_ns += ns;
}

u64 fiber_clock(void)
{
	return clock_ns;
}

unsigned arch_cpu_node(unsigned cpu)
{
	return 0;
}

void arch_backtrace_self(void)
{
}

void arch_backtrace_others(void)
{
}

void arch_ipi_call(unsigned cpu)
{
	stores_leave();
	fibers[cpu].cpu.wanted = true;
	fiber_progress();
}

void fiber_interrupt(void)
{
	struct fiber_cpu *cpu = fiber_this;

	while (cpu->wanted && !cpu->irqs_off && !cpu->irq_depth) {
		stores_leave();
		cpu->wanted = false;
		cpu->irqs_off = true;
		cpu->irq_depth++;
		smp_call_serve();
		cpu->irq_depth--;
		cpu->irqs_off = false;
		stores_leave();
		fiber_progress();
	}
}

struct mm_task *fiber_task(void)
{
	return self()->left ? &self()->idle_task : &self()->task;
}

bool fiber_on_stack(const void *p)
{
	return (uintptr_t)p - (uintptr_t)self()->stack < STACK_SIZE ||
	    (uintptr_t)p - (uintptr_t)fibers < sizeof(fibers);
}

static void switch_to(struct thread *to)
{
	struct thread *from = self();

	if (to == from)
		return;
	stores_drain();
	fiber_this = &to->cpu;
	ASAN_ENTER(&from->fake_stack, to->stack, STACK_SIZE);
	fiber_context_swap(&from->context, &to->context);
	ASAN_LEFT(from->fake_stack);
}

void fiber_relax(void)
{
	struct thread *t = self();

	t->state = FIBER_SPINS;
	t->seen = fiber_events();
	switch_to(fiber_choose());
	t->state = FIBER_READY;
	fiber_interrupt();
}

/* A thread without work acts as the idle thread of its CPU. */
static void leave_if_asked(struct thread *t)
{
	if (!t->leaving || t->cpu.irqs_off || t->cpu.preempt)
		return;
	t->left = true;
	arch_irq_disable();
	cpu_leave();
	arch_irq_enable();
	t->left = false;
}

void fiber_ask_to_leave(unsigned cpu, bool leave)
{
	struct thread *t = &fibers[cpu];

	t->leaving = leave;
	if (leave && t->state == FIBER_IDLE)
		t->state = FIBER_READY;
	fiber_progress();
}

void fiber_park(void)
{
	struct thread *t = self();

	t->state = FIBER_PARKED;
	switch_to(fiber_choose());
}

void fiber_unpark(unsigned cpu)
{
	if (fibers[cpu].state == FIBER_PARKED)
		fibers[cpu].state = FIBER_READY;
	fiber_progress();
}

void fiber_yield(void)
{
	struct thread *t = self();

	t->state = FIBER_YIELDED;
	switch_to(fiber_choose());
	t->state = FIBER_READY;
	load_fence();
	fiber_interrupt();
	leave_if_asked(t);
}

bool fiber_preempt_to(unsigned cpu)
{
	struct thread *t = self();

	if (t->preempted || !fiber_can_run(cpu))
		return false;
	t->preempted = true;
	t->preempted_at = ++preemptions;
	fibers[cpu].preempted = false;
	stores_hold();
	switch_to(&fibers[cpu]);
	/* While preempted, this thread is chosen only to take an interrupt. */
	while (t->preempted) {
		t->preempted = false;
		fiber_interrupt();
		t->preempted = true;
		switch_to(fiber_choose());
	}
	stores_go_on();
	fiber_interrupt();
	return true;
}

void fiber_idle(void)
{
	struct thread *t = self();

	fiber_progress();
	for (;;) {
		t->state = FIBER_IDLE;
		switch_to(fiber_choose());
		fiber_interrupt();
		leave_if_asked(t);
	}
}

void fiber_wait_all(void)
{
	struct thread *t = self();

	for (;;) {
		t->state = FIBER_WAITS_ALL;
		switch_to(fiber_choose());
		if (!t->cpu.wanted)
			break;
		fiber_interrupt();
	}
	t->state = FIBER_READY;
	load_fence();
}

/* ---- a run ---- */

static void fiber_main(void)
{
	struct thread *t = self();

	/* The first thread is entered from outside the run. */
	if (t->name == NULL)
		ASAN_BEGUN();
	else
		ASAN_LEFT(t->fake_stack);
	load_fence();
	fiber_interrupt();
	t->fn(t->arg);
	if (t->name == NULL) {
		left_early = false;
		fiber_leave();
	}
	fiber_progress();
	/* The CPU continues to answer calls. */
	for (;;) {
		t->state = FIBER_ENDED;
		switch_to(fiber_choose());
		fiber_interrupt();
	}
}

struct thread *fiber_start(const char *name, unsigned cpu, void (*fn)(void *), void *arg)
{
	struct thread *t = &fibers[cpu];

	if (!t->stack)
		t->stack = mmap(
		    NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t->stack == MAP_FAILED)
		abort();
	memset(&t->cpu, 0, sizeof(t->cpu));
	memset(&t->task, 0, sizeof(t->task));
	t->cpu.id = cpu;
	t->preempted = t->leaving = t->left = false;
	t->fake_stack = NULL;
	t->name = name;
	t->fn = fn;
	t->arg = arg;
	fiber_context_make(&t->context, t->stack, STACK_SIZE, fiber_main);
	t->state = FIBER_READY;
	fiber_progress();
	return t;
}

/* Choose a CPU for a thread that is bound to none: from the highest number down. */
int fiber_free_cpu(void)
{
	unsigned i;

	for (i = FIBER_CPUS; i-- > 0;)
		if (fibers[i].state == FIBER_NONE || fibers[i].state == FIBER_ENDED)
			return (int)i;
	return -1;
}

bool fiber_ended(const struct thread *t)
{
	return t->state == FIBER_ENDED;
}

/* A wild pointer causes a panic.  The address sanitizer's own report has more details. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
	panic("signal %d at %p", sig, info->si_addr);
}

static void catch_faults(void)
{
	static char stack[STACK_SIZE];
	static bool done;
	const stack_t alt = {.ss_sp = stack, .ss_size = sizeof(stack)};
	/* The signal is not blocked in on_fault, which never returns. */
	const struct sigaction act = {
	    .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};

	if (done || SANITIZED)
		return;
	done = true;
	sigaltstack(&alt, NULL);
	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
	sigaction(SIGFPE, &act, NULL);
}

bool fiber_run(unsigned cpu, void (*fn)(void *), void *arg)
{
	unsigned i;

	catch_faults();
	for (i = 0; i < FIBER_CPUS; i++) {
		fibers[i].state = FIBER_NONE;
		fibers[i].preempted = false;
		fibers[i].cpu.wanted = false;
	}
	clock_ns = preemptions = 0;
	stores_reset();
	fiber_choose_begin();
	nr_cpus = FIBER_CPUS; /* the online mask contains the CPUs that answer calls */
	fiber_start(NULL, cpu, fn, arg);
	fiber_this = &fibers[cpu].cpu;
	left_early = true;
	ASAN_ENTER(&outside_fake, fibers[cpu].stack, STACK_SIZE);
	fiber_context_swap(&outside, &fibers[cpu].context);
	ASAN_LEFT(outside_fake);
	return !left_early;
}

void fiber_leave(void)
{
	ASAN_ENTER(NULL, outside_bottom, outside_size);
	fiber_context_swap(&self()->context, &outside);
	abort();
}
