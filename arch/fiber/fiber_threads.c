/* SPDX-License-Identifier: MIT */
/*
 * fiber_threads.c: the machine for kernel/sched.c, thread.c and wait.c, with CPUs that are fibers.
 *
 * Owns:       machine[], the clock, the stacks.
 * Locks:      none: one OS thread.
 * Invariants: exactly one CPU executes, fiber_this; a CPU's registers stay with it for all its
 *             threads.
 */
#define _GNU_SOURCE
#include "fiber_context.h"
#include "fiber_stores.h"
#include "fiber_threads.h"
#include <quarry/cpu.h>
#include <quarry/hotplug.h>
#include <quarry/machine.h>
#include <quarry/sched.h>
#include <quarry/smp.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define ASAN_ENTER(save, s) __sanitizer_start_switch_fiber((save), (s)->bottom, (s)->size)
#define ASAN_LEFT(save)     __sanitizer_finish_switch_fiber((save), NULL, NULL)
#else
#define ASAN_ENTER(save, s) ((void)0)
#define ASAN_LEFT(save)     ((void)0)
#endif

#define STACK_SIZE (64UL << 10)
#define LOOK_NS    100

/* A stack, and the context in which it was left. */
struct stack {
	struct fiber_context context;
	char *bottom;
	size_t size;
	void *fake; /* for the address sanitizer */
	void (*fn)(void *);
	void *arg;
	void (*main)(void *); /* the function of a kernel thread, and its argument */
	void *main_arg;
};

enum cpu_state { CPU_RUNS, CPU_SPINS, CPU_HALTS };

struct machine_cpu {
	struct fiber_cpu cpu; /* first: fiber_this points here */
	struct cpu area;
	enum cpu_state state;
	bool preempted;
	u64 preempted_at; /* number of the preemption */
	u64 seen;         /* value of progress at this CPU's last check */
	bool kick, tick;  /* pending interrupts */
	bool timer;       /* the timer is on */
	struct stack *on;
	struct stack boot;
};

static struct machine_cpu machine[THREADS_CPUS];
static struct cpu *areas[THREADS_CPUS];
struct cpu **cpus = areas;
struct fiber_cpu *fiber_this;
void (*fiber_at_lock)(void);
void (*fiber_preempt)(void);
unsigned nr_cpus = THREADS_CPUS;
unsigned threads_patience = 200;
bool threads_sleep_on;
void (*threads_set_up)(void);
void (*threads_on_stuck)(void);
void (*threads_on_panic)(const char *text);
u64 hosted_clock_ahead;

static u64 clock_ns = LOOK_NS, progress, preemptions, idle_ticks;
static const struct threads_cut *cuts;
static unsigned nr_cuts, next_cut, points;
static bool planned;

static struct machine_cpu *self(void)
{
	return container_of(fiber_this, struct machine_cpu, cpu);
}

void threads_progress(void)
{
	progress++;
	idle_ticks = 0;
}

/* ---- choosing the CPU that continues ---- */

static bool has_interrupt(const struct machine_cpu *c)
{
	return (c->kick || c->tick || c->cpu.wanted) && !c->cpu.irqs_off && !c->cpu.irq_depth;
}

static bool can_run(const struct machine_cpu *c)
{
	return c->state == CPU_RUNS || has_interrupt(c) ||
	    (c->state == CPU_SPINS && c->seen != progress);
}

static void time_goes_by(void)
{
	unsigned i;

	clock_ns += THREADS_TICK_NS;
	for (i = 0; i < THREADS_CPUS; i++)
		machine[i].tick |= machine[i].timer;
}

static struct machine_cpu *choose(void)
{
	struct machine_cpu *best = NULL;
	unsigned i;

	for (;;) {
		for (i = 0; i < THREADS_CPUS; i++)
			if (!machine[i].preempted && can_run(&machine[i]))
				return &machine[i];
		for (i = 0; i < THREADS_CPUS; i++)
			if (machine[i].preempted &&
			    (!best || machine[i].preempted_at < best->preempted_at))
				best = &machine[i];
		if (best) {
			best->preempted = false;
			best = NULL;
			continue;
		}
		if (++idle_ticks > threads_patience)
			threads_on_stuck();
		time_goes_by();
		/* A spinning CPU may be waiting for time to pass. */
		progress++;
	}
}

static void jump(struct stack *from, struct stack *to)
{
	bool stored = stores_wait; /* until a barrier of this thread */

	ASAN_ENTER(&from->fake, to);
	fiber_context_swap(&from->context, &to->context);
	ASAN_LEFT(from->fake);
	stores_wait = stored;
}

bool fiber_on_stack(const void *p)
{
	const struct stack *s = self()->on;

	return (uintptr_t)p - (uintptr_t)s->bottom < s->size ||
	    (uintptr_t)p - (uintptr_t)fiber_this < sizeof(*fiber_this);
}

static void run_cpu(struct machine_cpu *to)
{
	struct machine_cpu *from = self();

	if (to == from)
		return;
	stores_drain();
	fiber_this = &to->cpu;
	jump(from->on, to->on);
}

static void take_interrupts(void)
{
	while (has_interrupt(self())) {
		struct machine_cpu *c = self();
		bool tick = c->tick;

		stores_leave();
		c->cpu.irqs_off = true;
		c->cpu.irq_depth++;
		c->area.irq_depth++;
		c->kick = c->tick = false;
		if (c->cpu.wanted) {
			c->cpu.wanted = false;
			smp_call_serve();
			threads_progress();
		}
		if (tick)
			sched_tick();
		c->area.irq_depth--;
		c->cpu.irq_depth--;
		stores_leave();
		progress++;
		/* Another thread may continue on this CPU, and this thread later on another CPU. */
		if (!c->cpu.preempt)
			sched_irq_exit();
		self()->cpu.irqs_off = false;
	}
}

void fiber_interrupt(void)
{
	take_interrupts();
}

static void wait_as(enum cpu_state state)
{
	struct machine_cpu *c = self();

	c->state = state;
	c->seen = progress;
	run_cpu(choose());
	c->state = CPU_RUNS;
	take_interrupts();
}

void fiber_relax(void)
{
	wait_as(CPU_SPINS);
}

/* ---- plans ---- */

static void preempted_for(struct machine_cpu *to, bool late)
{
	struct machine_cpu *c = self();

	if (to != c && (to->preempted || can_run(to))) {
		c->preempted = true;
		c->preempted_at = ++preemptions;
		to->preempted = false;
		if (late)
			stores_hold();
		run_cpu(to);
		stores_go_on();
	}
	take_interrupts();
}

static void at_point(void)
{
	const struct threads_cut *cut;

	if (!planned || self() == &machine[0])
		return;
	points++;
	if (next_cut == nr_cuts || cuts[next_cut].at != points)
		return;
	cut = &cuts[next_cut++];
	if (cut->tick) {
		clock_ns += THREADS_TICK_NS;
		machine[cut->cpu].tick |= machine[cut->cpu].timer;
	}
	preempted_for(&machine[cut->cpu], cut->late);
}

void threads_plan(const struct threads_cut *list, unsigned nr)
{
	cuts = list;
	nr_cuts = nr;
	next_cut = points = 0;
	planned = true;
}

unsigned threads_plan_end(void)
{
	planned = false;
	return points;
}

/* ---- stacks ---- */

static void enter(void)
{
	struct stack *s = self()->on;

	ASAN_LEFT(s->fake);
	stores_wait = false;
	s->fn(s->arg);
	abort();
}

static void stack_prepare(struct stack *s, void (*fn)(void *), void *arg)
{
	s->fake = NULL;
	s->fn = fn;
	s->arg = arg;
	fiber_context_make(&s->context, s->bottom, s->size, enter);
}

void *arch_stack_alloc(void)
{
	struct stack *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->bottom = malloc(STACK_SIZE);
	if (!s->bottom) {
		free(s);
		return NULL;
	}
	s->size = STACK_SIZE;
	threads_count(1);
	return s;
}

void arch_stack_free(void *top)
{
	struct stack *s = top;

	stores_drain(); /* another CPU may get this memory next */
	free(s->bottom);
	free(s);
	threads_count(-1);
}

/* A kernel thread begins with interrupts on. */
static void begin(void *arg)
{
	const struct stack *s = arg;

	arch_irq_enable();
	s->main(s->main_arg);
}

void *arch_stack_prepare(void *stack_top, void (*fn)(void *), void *arg)
{
	struct stack *s = stack_top;

	s->main = fn;
	s->main_arg = arg;
	stack_prepare(s, begin, s);
	return s;
}

struct cpu *arch_this_cpu(void)
{
	return cpus[arch_cpu_id()];
}

void arch_switch(void **from_sp, void *to_sp)
{
	struct machine_cpu *c = self();
	struct stack *from = c->on;

	stores_drain();
	*from_sp = from;
	c->on = to_sp;
	jump(from, to_sp);
}

/* ---- the machine ---- */

u64 arch_clock_ns(void)
{
	return (clock_ns += LOOK_NS) + hosted_clock_ahead;
}

void arch_ipi_kick(unsigned cpu)
{
	stores_drain();
	machine[cpu].kick = true;
	threads_progress();
}

void arch_ipi_call(unsigned cpu)
{
	stores_drain();
	machine[cpu].cpu.wanted = true;
	threads_progress();
}

void arch_idle_wait(void)
{
	self()->cpu.irqs_off = false;
	if (has_interrupt(self()))
		take_interrupts();
	else
		wait_as(CPU_HALTS);
}

void arch_timer_start(u32 ticks)
{
	self()->area.tick_step = ticks;
	self()->timer = true;
}

void arch_timer_stop(void)
{
	self()->area.tick_step = 0;
	self()->timer = false;
}

bool arch_irqs_pending(void)
{
	return self()->kick || self()->tick || self()->cpu.wanted;
}

/* The CPU that receives device interrupts. */
static unsigned irqs_at;

void arch_cpu_park(const u32 *word, u32 until)
{
	KASSERT(irqs_at != arch_cpu_id());
	while (threads_sleep_on || load_acquire(word) != until)
		cpu_relax();
}

void arch_cpu_unpark(unsigned cpu)
{
	threads_progress();
}

void arch_irqs_move(unsigned from, unsigned to)
{
	KASSERT(from != to && to < nr_cpus && cpumask_test(cpu_online_mask, to));
	if (irqs_at == from)
		irqs_at = to;
}

/* ---- start ---- */

static int (*first_fn)(void *);

static void boot_cpu_main(void *arg)
{
	unsigned i;

	fiber_this->irqs_off = true;
	smp_init();
	if (threads_set_up)
		threads_set_up();
	for (i = 0; i < THREADS_CPUS; i++)
		cpu_set_online(i);
	sched_init_cpu(cpu_idle);
	/* The other CPUs were halted until now. */
	for (i = 1; i < THREADS_CPUS; i++)
		machine[i].state = CPU_RUNS;
	arch_timer_start(1);
	arch_irq_enable();
	exit(first_fn(arg));
}

static void other_cpu_main(void *arg)
{
	fiber_this->irqs_off = true;
	sched_init_cpu(NULL);
	arch_timer_start(1);
	cpu_idle(NULL);
}

void threads_boot(int (*fn)(void *), void *arg)
{
	static struct stack outside;
	unsigned i;

	first_fn = fn;
	for (i = 0; i < THREADS_CPUS; i++) {
		struct machine_cpu *c = &machine[i];

		areas[i] = &c->area;
		c->area.id = c->cpu.id = i;
		c->cpu.need_resched = &c->area.need_resched;
		c->cpu.current = (void *const *)&c->area.current;
		c->state = CPU_HALTS;
		c->cpu.irqs_off = true;
		c->boot.bottom = malloc(STACK_SIZE);
		c->boot.size = STACK_SIZE;
		stack_prepare(&c->boot, i ? other_cpu_main : boot_cpu_main, arg);
		c->on = &c->boot;
	}
	machine[0].state = CPU_RUNS;
	fiber_preempt = preempt_schedule;
	fiber_at_lock = at_point;
	fiber_at_irq = fiber_fine ? at_point : NULL;
	fiber_model = fiber_hooked ? FIBER_WEAK : FIBER_TSO;
	fiber_this = &machine[0].cpu;
	jump(&outside, &machine[0].boot);
	abort();
}
