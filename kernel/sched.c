/* SPDX-License-Identifier: MIT */
/*
 * sched.c: who runs: one queue per CPU, preempted by the tick.  Whose turn it is, sched_share.c says.
 *
 * A thread stays on the CPU it was started on, unless that goes down (cpu_hotplug.c), or another CPU
 * has nothing to do while it waits (sched_move.c).  Only a CPU itself takes threads off its queue, and
 * others only append to it: that is why no lock has to be held across the switch of stacks.  The one exception is a
 * CPU that has stood still for seconds (sched_watch): others take away those that wait for it, but not the one whose
 * stack it may still be on (runq.was).  It holds
 * for moving too.  Who shall go elsewhere is put on another queue by its CPU, after that has left its
 * stack: the running one by whoever runs next (leaver), those that wait by the idle thread
 * (sched_hand_over) or by the tick (sched_balance).  A CPU whose queue is closed runs its idle thread,
 * so it is on no other stack, and anybody may wake its sleepers elsewhere.
 *
 * Owns:       the run queues; thread.state's way back to RUNNABLE.
 * Locks:      runq.lock (RANK_SCHED), irqs off.
 * Invariants: a thread is queued, or running, or on its way from one queue to another (on_queue too, and
 *             in the hands of one CPU), or has on_queue false; never two of them.
 *             A closed queue is empty, and nobody sleeps there with a deadline; unless sched_watch closed it.
 *             The idle thread is never queued.
 * Tests:      task_cpu, share, tick, wait, hotplug, silence_sched, silence_wait,
 *             tests/fiber/explore_threads.c, tests/qemu/test_fair.py.
 */
#include "share_inline.h"
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/hotplug.h>
#include <quarry/machine.h>
#include <quarry/mm.h>
#include <quarry/sched.h>
#include <quarry/sched_point.h>
#include <quarry/smp.h>

/* Ticks between the interrupts of a CPU that has nothing to do: a second, for what else the timer does there. */
#define IDLE_TICKS 100

struct runq *runqs;
static bool idle_fast; /* idle_tick=fast; since boot */
static struct thread first_thread = {.name = "main"};

struct thread *thread_current(void)
{
	return runqs ? arch_current() : NULL;
}

static struct runq *my_runq(void)
{
	return &runqs[arch_cpu_id()];
}

void assert_may_sleep(const char *what)
{
	if (unlikely(!arch_irqs_enabled() || arch_in_interrupt() || spin_depth() ||
		     arch_preempt_count()))
		panic("%s: irqs %s, %u locks held, preemption count %u%s", what,
		    arch_irqs_enabled() ? "on" : "off", spin_depth(), arch_preempt_count(),
		    arch_in_interrupt() ? ", in an interrupt" : "");
}

/* Is this CPU, where @t runs, not the one for it: it goes down, or the one @t is bound to is back. */
static inline bool belongs_elsewhere(const struct runq *rq, const struct thread *t)
{
	return READ_ONCE(rq->leaving) ||
	    (t->home >= 0 && (unsigned)t->home != t->cpu && takes_threads((unsigned)t->home));
}

static bool rests(const struct runq *rq) REQUIRES(rq->lock)
{
	return rq->running == rq->idle && !rq->nr_ready;
}

/* Who was ready on a CPU that rests has had a turn, or has gone elsewhere. */
static bool had_turn(struct runq *rq, u64 since)
{
	irqflags_t flags;
	bool had = READ_ONCE(rq->had_turn) > since;

	if (!had) {
		flags = spin_lock_irqsave(&rq->lock);
		had = rests(rq);
		spin_unlock_irqrestore(&rq->lock, flags);
	}
	return had;
}

bool threads_had_turn(u64 since)
{
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++)
		if (cpumask_test(cpu_online_mask, cpu) && !had_turn(&runqs[cpu], since))
			return sched_turns(false);
	return true;
}

/*
 * Which thread is next.  Whether the old one stays is decided under the queue's lock, under which
 * thread_wake makes it RUNNABLE: a wake-up comes either before, and it stays, or after, and finds
 * it off the queue and puts it back.  A preempted thread stays in any case: it has announced its
 * sleep but not yet asked its condition a last time.
 */
static inline struct thread *choose(struct runq *rq, struct cpu *cpu, struct thread *prev, bool preempted)
{
	u64 now = arch_clock_ns();
	struct thread *next;
	u32 state;

	spin_lock(&rq->lock);
	WRITE_ONCE(cpu->need_resched, 0u);
	/* Who gives up its turn is not asked how long it was. */
	if (preempted || rq->early)
		runq_charge(rq, prev, now);
	rq->since = now;
	state = READ_ONCE(prev->state);
	if (prev != rq->idle) {
		if (state != THREAD_DEAD && (preempted || state == THREAD_RUNNABLE)) {
			/* A new thread may be preempted before it has placed the one that ran before it. */
			if (belongs_elsewhere(rq, prev) && !rq->leaver)
				rq->leaver = prev;
			else
				runq_put_back(rq, prev, preempted);
		} else {
			prev->on_queue = false;
		}
	}
	runq_end_turn(rq, now);
	/* The idle thread hands over the others. */
	next = READ_ONCE(rq->leaving) ? NULL : runq_take(rq);
	if (!next)
		next = rq->idle;
	rq->running = next;
	/* Until the switch is over nobody else may run it (sched_watch). */
	if (next != prev)
		WRITE_ONCE(rq->was, prev);
	spin_unlock(&rq->lock);
	return next;
}

void runq_add(struct runq *rq, struct thread *t, bool woken)
{
	t->on_queue = true;
	runq_insert(rq, t, woken);
	if (rq->running != rq->idle)
		return;
	WRITE_ONCE(cpus[t->cpu]->need_resched, 1u);
	if (t->cpu != arch_cpu_id()) {
		counter_add(&smp_stats.kicks, 1);
		arch_ipi_kick(t->cpu);
	}
}

/* Who ran here before has left its stack.  irqs off. */
static void stack_is_left(void)
{
	struct runq *rq = my_runq();
	struct thread *dead = rq->dead, *leaver = rq->leaver;

	store_release(&rq->was, NULL);
	if (likely(!((uintptr_t)dead | (uintptr_t)leaver)))
		return;
	if (dead) {
		rq->dead = NULL;
		thread_reap(dead);
	}
	if (leaver) {
		rq->leaver = NULL;
		sched_place(leaver, leaver->home);
	}
}

void sched_finish_switch(void)
{
	irqflags_t flags = arch_irq_save();

	stack_is_left();
	arch_irq_restore(flags);
}

void sched_switch(bool preempted)
{
	struct runq *rq = my_runq();
	struct cpu *cpu = cpus[arch_cpu_id()];
	struct thread *prev = arch_current(), *next = choose(rq, cpu, prev, preempted);

	if (next == prev)
		return;
	/* The idle thread's: from here on there may be somebody to preempt. */
	if (unlikely(cpu->tick_step > 1))
		arch_timer_start(1);
	if (READ_ONCE(prev->state) == THREAD_DEAD)
		rq->dead = prev;
	cpu->current = next;
	task_switch(prev, next);
	arch_switch(&prev->sp, next->sp);
	/* Somebody has switched back to prev; or next is new, and thread.c does the same. */
	stack_is_left();
}

void preempt_schedule(void)
{
	irqflags_t flags;

	if (!thread_current() || !arch_irqs_enabled() || arch_in_interrupt())
		return;
	flags = arch_irq_save();
	if (!arch_preempt_count())
		sched_switch(true);
	arch_irq_restore(flags);
}

void sched_irq_exit(void)
{
	const struct cpu *cpu = cpus[arch_cpu_id()];

	if (READ_ONCE(cpu->need_resched) && !cpu->preempt && !cpu->irq_depth && cpu->current)
		sched_switch(true);
}

void runq_wake(struct runq *rq, struct thread *t)
{
	if (READ_ONCE(t->state) != THREAD_SLEEPING)
		return;
	store_release(&t->state, (u32)THREAD_RUNNABLE);
	if (t->has_alarm)
		TAILQ_REMOVE(&rq->alarms, t, alarm_link);
	t->has_alarm = false;
	if (!t->on_queue)
		runq_add(rq, t, true);
}

/* The lock that keeps t->cpu what it is: of the queue it returns, which clang cannot name.  irqs off. */
static struct runq *lock_runq_of(const struct thread *t) NO_LOCK_ANALYSIS
{
	for (;;) {
		unsigned cpu = READ_ONCE(t->cpu);

		spin_lock(&runqs[cpu].lock);
		if (READ_ONCE(t->cpu) == cpu)
			return &runqs[cpu];
		spin_unlock(&runqs[cpu].lock);
	}
}

/* Clang does not know which lock it was that lock_runq_of took. */
void thread_wake(struct thread *t) NO_LOCK_ANALYSIS
{
	irqflags_t flags = arch_irq_save();
	struct runq *rq = lock_runq_of(t);
	bool elsewhere = rq->closed && !t->on_queue && READ_ONCE(t->state) == THREAD_SLEEPING &&
	    load_acquire(&rq->was) != t;

	/*
	 * One that is on its way to a closed queue has on_queue set: it is in sched_place(), and may not be placed twice.
	 * One that sleeps there has an alarm only if the queue was closed by another CPU (sched_watch).
	 */
	if (elsewhere) {
		if (t->has_alarm)
			TAILQ_REMOVE(&rq->alarms, t, alarm_link);
		t->has_alarm = false;
		t->on_queue = true;
		store_release(&t->state, (u32)THREAD_RUNNABLE);
	} else {
		runq_wake(rq, t);
	}
	spin_unlock(&rq->lock);
	if (elsewhere)
		sched_place(t, t->home);
	arch_irq_restore(flags);
}

void sched_sleep(u64 deadline)
{
	struct thread *t = thread_current();
	irqflags_t flags = arch_irq_save();
	struct runq *rq = my_runq();

	spin_lock(&rq->lock);
	/* Woken already: then there is no alarm to set. */
	if (deadline != WAIT_FOREVER && READ_ONCE(t->state) == THREAD_SLEEPING) {
		t->wake_at = deadline;
		t->has_alarm = true;
		TAILQ_INSERT_TAIL(&rq->alarms, t, alarm_link);
	}
	spin_unlock(&rq->lock);
	sched_switch(false);
	/* Its own CPU may have come back meanwhile: go on there. */
	if (belongs_elsewhere(&runqs[t->cpu], t))
		sched_switch(true);
	arch_irq_restore(flags);
}

void sched_tick(void)
{
	struct thread *t, *following;
	struct runq *rq;
	bool slow;
	u64 now;

	if (!thread_current())
		return;
	rq = my_runq();
	now = arch_clock_ns();
	spin_lock(&rq->lock);
	for (t = TAILQ_FIRST(&rq->alarms); t; t = following) {
		following = TAILQ_NEXT(t, alarm_link);
		if (t->wake_at <= now)
			runq_wake(rq, t);
	}
	/* Nobody waits for the running one, so it gets a turn after the other. */
	if (!rq->nr_ready)
		runq_end_turn(rq, now);
	if (rq->nr_ready || (rq->running != rq->idle && belongs_elsewhere(rq, rq->running)))
		WRITE_ONCE(cpus[arch_cpu_id()]->need_resched, 1u);
	slow = !idle_fast && rests(rq) && TAILQ_EMPTY(&rq->alarms);
	spin_unlock(&rq->lock);
	WRITE_ONCE(rq->ticked, now);
	if (READ_ONCE(rq->nr_ready))
		sched_balance(rq);
	sched_watch(rq, now);
	/* Who sets an alarm here, or wants to be preempted here, runs here first. */
	if (slow && cpus[arch_cpu_id()]->tick_step == 1)
		arch_timer_start(IDLE_TICKS);
}

void sched_add(struct thread *t)
{
	irqflags_t flags = arch_irq_save();

	t->on_queue = true;
	counter_add(&runqs[t->cpu].nr_threads, 1);
	sched_place(t, t->home);
	arch_irq_restore(flags);
}

void sched_forget(struct thread *t)
{
	counter_add(&runqs[t->cpu].nr_threads, -1);
}

unsigned sched_load(unsigned cpu)
{
	const struct runq *rq = &runqs[cpu];

	return READ_ONCE(rq->nr_ready) + (READ_ONCE(rq->running) != rq->idle);
}

unsigned sched_threads(unsigned cpu)
{
	return READ_ONCE(runqs[cpu].nr_threads);
}

/*
 * No wake-up is lost on the way to the halt: interrupts are off from the look at the queue to
 * arch_idle_wait, which turns them on and halts as one.  Who appends after the look has seen the
 * idle thread running (choose() said so under the lock) and sends a kick, which stays pending
 * until then.
 */
void sched_idle(void)
{
	struct runq *rq = my_runq();

	for (;;) {
		arch_irq_disable();
		if (unlikely(load_acquire(&rq->leaving))) {
			sched_hand_over(rq);
			cpu_leave();
		} else if (READ_ONCE(rq->nr_ready)) {
			sched_switch(false);
			arch_irq_enable();
		} else {
			arch_idle_wait();
		}
	}
}

static void idle_entry(void *arg)
{
	sched_finish_switch();
	sched_idle();
}

static void runq_init(unsigned cpu)
{
	struct runq *rq = &runqs[cpu];
	struct thread *idle = &rq->idle_thread;

	rq->lock = SPINLOCK("runq", RANK_SCHED);
	runq_lists_init(rq);
	TAILQ_INIT(&rq->alarms);
	share_init(&idle->own);
	idle->share = &idle->own;
	ksnprintf(idle->name, sizeof(idle->name), "idle/%u", cpu);
	idle->cpu = cpu;
	idle->home = -1;
	rq->idle = rq->running = idle;
	/* As one that went down. */
	rq->leaving = rq->closed = cpu_is_absent(cpu);
	cpus[cpu]->idle = idle;
}

void sched_init_cpu(bool boot_cpu)
{
	struct cpu *cpu = cpus[arch_cpu_id()];
	struct thread *idle;
	struct runq *all;
	unsigned i;

	if (!boot_cpu) {
		KASSERT(runqs);
		cpu->current = my_runq()->idle;
		return;
	}
	KASSERT(cpu->id == 0);
	idle_fast = !strcmp(cmdline_get("idle_tick", "slow"), "fast");
	all = kmalloc(nr_cpus * sizeof(*all));
	if (!all)
		panic("sched: no memory for the queues of %u CPUs", nr_cpus);
	runqs = all;
	for (i = 0; i < nr_cpus; i++)
		runq_init(i);
	idle = runqs[0].idle;
	idle->stack_top = arch_stack_alloc();
	if (!idle->stack_top)
		panic("sched: no stack for the idle thread");
	idle->sp = arch_stack_prepare(idle->stack_top, idle_entry, NULL);
	share_init(&first_thread.own);
	first_thread.share = &first_thread.own;
	first_thread.on_queue = true;
	first_thread.home = 0;
	runqs[0].running = &first_thread;
	counter_add(&runqs[0].nr_threads, 1);
	cpu->current = &first_thread;
}
