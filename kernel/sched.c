/* SPDX-License-Identifier: MIT */
/*
 * sched.c: the scheduler: one queue per CPU, preempted by the tick.  sched_share.c decides whose
 * turn it is.
 *
 * A thread stays on the CPU where it was started, unless that CPU goes offline (cpu_hotplug.c), or
 * an idle CPU takes it while it waits (sched_move.c).  Only a CPU itself takes threads off its
 * queue; other CPUs only append.  That is why no lock is held across the switch of stacks.  The one
 * exception is a CPU that has stood still for seconds (sched_watch): other CPUs take its waiting
 * threads, but not the thread whose stack it may still be on (runq.was).
 *
 * A move follows the same rule. A CPU puts a thread on another queue only after it has left the
 * thread's stack. The next thread moves the one that ran before (leaver); the idle thread
 * (sched_hand_over) or the tick (sched_balance) moves waiting threads.  A CPU with a closed queue
 * runs its idle thread, so it is on no other stack, and any CPU may wake its sleepers elsewhere.
 *
 * Owns:       the run queues; the change of thread.state back to RUNNABLE.
 * Locks:      runq.lock (RANK_SCHED), irqs off.
 * Invariants: a thread is in exactly one of these states: queued; running; in transit between two
 *             queues (on_queue is set, one CPU owns it); off all queues (on_queue is false).
 *             A closed queue is empty and has no sleeper with a deadline, unless sched_watch closed
 *             it.
 *             The idle thread is never queued.
 * Tests:      task_cpu, share, tick, wait, hotplug, silence_sched,
 *             silence_wait, tests/fiber/explore_threads.c, tests/qemu/test_fair.py.
 */
#include "hotplug_state.h"
#include "share_inline.h"
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/hotplug.h>
#include <quarry/machine.h>
#include <quarry/mm.h>
#include <quarry/sched.h>
#include <quarry/sched_point.h>
#include <quarry/smp.h>

/* Ticks between two timer interrupts of an idle CPU: a second, for the timer's other work. */
#define IDLE_TICKS 100

static bool idle_fast; /* is idle_tick=fast on the command line?  Constant after boot */
static struct thread first_thread = {.name = "main"};

static struct runq *my_runq(void)
{
	return arch_this_cpu()->runq;
}

void must_not_sleep(const char *what)
{
	panic("%s: irqs %s, %u locks held, preemption count %u%s", what,
	    arch_irqs_enabled() ? "on" : "off", spin_depth(), arch_preempt_count(),
	    arch_in_interrupt() ? ", in an interrupt" : "");
}

/*
 * Must @t leave this CPU?  Yes if the CPU goes offline, or if the CPU that @t is bound to is back.
 */
static inline bool belongs_elsewhere(const struct runq *rq, const struct thread *t)
{
	return READ_ONCE(rq->leaving) ||
	    (t->home >= 0 && (unsigned)t->home != t->cpu && takes_threads((unsigned)t->home));
}

static void set_alarm(struct runq *rq, struct thread *t, u64 at) REQUIRES(rq->lock)
{
	t->wake_at = at;
	t->has_alarm = true;
	TAILQ_INSERT_TAIL(&rq->alarms, t, alarm_link);
}

static inline void leave_queue(struct runq *rq, struct thread *t, u64 deadline) REQUIRES(rq->lock)
{
	t->on_queue = false;
	if (deadline != WAIT_FOREVER)
		set_alarm(rq, t, deadline);
}

/*
 * Choose the next thread.  The queue's lock protects the decision whether @prev stays; thread_wake
 * makes @prev RUNNABLE under the same lock. So a wake-up comes before the decision, and @prev
 * stays; or after it, and puts @prev back on the queue. A thread that was woken already needs no
 * alarm. A preempted thread always stays: it may have announced its sleep, but has not yet checked
 * its condition a last time.
 */
static always_inline struct thread *sched_choose(struct runq *rq, struct cpu *cpu,
    struct thread *prev, bool preempted, u64 now, u64 deadline) REQUIRES(rq->lock)
{
	struct thread *next;
	u32 state;

	WRITE_ONCE(cpu->need_resched, 0u);
	/* The length of a turn that a thread yields does not matter. */
	if (preempted || rq->early)
		runq_charge(rq, prev, now);
	rq->since = now;
	state = READ_ONCE(prev->state);
	if (prev != rq->idle) {
		if (state != THREAD_DEAD && (preempted || state == THREAD_RUNNABLE)) {
			/*
			 * rq->leaver is still set if a new thread is preempted before it moves the
			 * leaver.
			 */
			if (belongs_elsewhere(rq, prev) && !rq->leaver)
				rq->leaver = prev;
			else
				runq_put_back(rq, prev, preempted);
		} else {
			leave_queue(rq, prev, deadline);
			if (state == THREAD_DEAD)
				rq->dead = prev;
		}
	}
	runq_end_turn(rq, now);
	/* If the CPU must get rid of its threads, its idle thread runs and moves them away. */
	next = READ_ONCE(rq->leaving) ? NULL : runq_take(rq);
	if (!next)
		next = rq->idle;
	rq->running = next;
	/* No other CPU may run @prev until the switch is complete (sched_watch). */
	if (next != prev)
		WRITE_ONCE(rq->was, prev);
	return next;
}

static noinline void reap_or_move(struct runq *rq)
{
	struct thread *dead = rq->dead, *leaver = rq->leaver;

	if (dead) {
		rq->dead = NULL;
		dead->gone(dead);
	}
	if (leaver) {
		rq->leaver = NULL;
		sched_place(leaver, leaver->home);
	}
}

/* This CPU has left the stack of the thread that ran before.  irqs off. */
static always_inline void stack_is_left(void)
{
	struct runq *rq = my_runq();

	CHECKED_ASSERT(!arch_irqs_enabled());
	store_release(&rq->was, NULL);
	if (unlikely((uintptr_t)rq->dead | (uintptr_t)rq->leaver))
		reap_or_move(rq);
}

void sched_finish_switch(void)
{
	irqflags_t flags = arch_irq_save();

	stack_is_left();
	arch_irq_restore(flags);
}

static always_inline void switch_to(struct cpu *cpu, struct thread *prev, struct thread *next)
{
	cpu->current = next;
	task_switch(prev, next);
	arch_switch(&prev->sp, next->sp);
	/* Here prev runs again.  A new thread gets here by thread_main, sched_finish_switch. */
	stack_is_left();
}

static always_inline void give_cpu(bool preempted, u64 deadline)
{
	struct cpu *cpu = arch_this_cpu();
	struct runq *rq = cpu->runq;
	struct thread *prev = arch_current(), *next;
	u64 now = arch_clock_ns();

	spin_lock(&rq->lock);
	next = sched_choose(rq, cpu, prev, preempted, now, deadline);
	spin_unlock(&rq->lock);
	if (next == prev)
		return;
	/*
	 * The idle thread had set the slow timer.  From here on there may be a thread to preempt.
	 */
	if (unlikely(cpu->tick_step > 1))
		arch_timer_start(1);
	switch_to(cpu, prev, next);
}

void sched_switch(u64 deadline)
{
	give_cpu(false, deadline);
}

/*
 * Give the CPU to another thread. The running thread stays on the queue, even if it has announced
 * its sleep.  Context: as sched_switch.
 */
static noinline void sched_preempt(void)
{
	give_cpu(true, WAIT_FOREVER);
}

void preempt_schedule(void)
{
	irqflags_t flags;

	if (!thread_current() || !arch_irqs_enabled() || arch_in_interrupt())
		return;
	flags = arch_irq_save();
	if (!arch_preempt_count())
		sched_preempt();
	arch_irq_restore(flags);
}

void sched_irq_exit(void)
{
	const struct cpu *cpu = arch_this_cpu();

	if (READ_ONCE(cpu->need_resched) && !cpu->preempt && !cpu->irq_depth && cpu->current)
		sched_preempt();
}

/*
 * Lock the queue of @t and return the queue; its lock keeps t->cpu constant.  Clang's analysis
 * cannot name this lock.  irqs off.
 */
static struct runq *lock_runq_of(const struct thread *t) NO_LOCK_ANALYSIS
{
	for (;;) {
		unsigned cpu = READ_ONCE(t->cpu);

		spin_lock(&runqs[cpu].lock);
		if (READ_ONCE(t->cpu) == cpu) {
			/* A CPU in the middle of a switch has said whose stack it is on. */
			CHECKED_ASSERT(load_acquire(&runqs[cpu].was) ||
			    READ_ONCE(cpus[cpu]->current) == runqs[cpu].running);
			return &runqs[cpu];
		}
		spin_unlock(&runqs[cpu].lock);
	}
}

/* Clang cannot tell which lock lock_runq_of took. */
void thread_wake(struct thread *t) NO_LOCK_ANALYSIS
{
	irqflags_t flags = arch_irq_save();
	struct runq *rq = lock_runq_of(t);
	bool elsewhere = rq->closed && !t->on_queue && READ_ONCE(t->state) == THREAD_SLEEPING &&
	    load_acquire(&rq->was) != t;

	/*
	 * A thread in transit to a closed queue has on_queue set: sched_place() handles it, so it
	 * must not be placed twice. A sleeper of a closed queue has an alarm only if another CPU
	 * closed the queue (sched_watch).
	 */
	if (elsewhere) {
		if (t->has_alarm)
			TAILQ_REMOVE(&rq->alarms, t, alarm_link);
		t->has_alarm = false;
		t->on_queue = true;
		WRITE_ONCE(t->state, (u32)THREAD_RUNNABLE);
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

	sched_switch(deadline);
	/* The thread's own CPU may be online again: continue there. */
	if (belongs_elsewhere(&runqs[t->cpu], t))
		sched_preempt();
	arch_irq_restore(flags);
}

/*
 * @lock is released only after the next thread is chosen: until then @to, which needs the lock,
 * neither continues nor ends. Interrupts stay off from the choice to the switch, so no tick
 * preempts this thread in between.
 */
bool sleep_passing(struct spinlock *lock, struct thread *to, bool (*over)(void *), void *arg,
    u64 deadline) NO_LOCK_ANALYSIS
{
	struct thread *t = arch_current();
	struct cpu *cpu;
	struct runq *rq;
	bool pass;
	u64 now;

	sched_wait(lock->name);
	atomic_xchg(&t->state, (u32)THREAD_SLEEPING);
	if (unlikely(thread_interrupted(t))) {
		thread_wake(to);
		WRITE_ONCE(t->state, (u32)THREAD_RUNNABLE);
		return false;
	}
	arch_irq_disable();
	cpu = arch_this_cpu();
	rq = cpu->runq;
	now = arch_clock_ns();
	spin_lock(&rq->lock);
	pass = may_pass(rq, t, to);
	if (likely(pass)) {
		WRITE_ONCE(cpu->need_resched, 0u);
		if (rq->early)
			runq_charge(rq, t, now);
		rq->since = now;
		leave_queue(rq, t, deadline);
		runq_end_sleep(rq, to);
		to->on_queue = true;
		to->passed = true;
		runq_pass(rq, to, now);
		rq->running = to;
		WRITE_ONCE(rq->was, t);
	}
	spin_unlock(&rq->lock);
	if (unlikely(!pass))
		thread_wake(to);
	spin_unlock(lock);
	if (likely(pass))
		switch_to(cpu, t, to);
	else
		sched_switch(deadline);
	if (unlikely(belongs_elsewhere(&runqs[t->cpu], t)))
		sched_preempt();
	arch_irq_enable();
	if (likely(was_passed(t)))
		return true;
	spin_lock(lock);
	WRITE_ONCE(t->state, (u32)THREAD_RUNNABLE);
	return false;
}

/* The time until now counts for the share that the thread leaves. */
void sched_boost(bool on)
{
	struct thread *t = thread_current();
	irqflags_t flags = arch_irq_save();
	u64 now = arch_clock_ns();
	bool waits = false;
	struct runq *rq;

	if (t) {
		rq = my_runq();
		spin_lock(&rq->lock);
		runq_charge(rq, t, now);
		rq->since = now;
		t->boosted = on;
		t->share = share_of(t);
		/* The CPU was given to the boosted thread early; its other share waits its turn. */
		waits = !on && rq->early && rq->nr_ready;
		spin_unlock(&rq->lock);
	}
	arch_irq_restore(flags);
	if (waits)
		preempt_schedule();
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
	/* No thread waits, so the running one gets another turn. */
	if (!rq->nr_ready)
		runq_end_turn(rq, now);
	if (rq->nr_ready || (rq->running != rq->idle && belongs_elsewhere(rq, rq->running)))
		WRITE_ONCE(arch_this_cpu()->need_resched, 1u);
	slow = !idle_fast && rests(rq) && TAILQ_EMPTY(&rq->alarms);
	spin_unlock(&rq->lock);
	WRITE_ONCE(rq->ticked, now);
	if (READ_ONCE(rq->nr_ready))
		sched_balance(rq);
	sched_watch(rq, now);
	/*
	 * Before a thread sets an alarm on this CPU, or must be preempted, the CPU switches threads
	 * and starts the fast timer again.
	 */
	if (slow && arch_this_cpu()->tick_step == 1)
		arch_timer_start(IDLE_TICKS);
}

void sched_add(struct thread *t)
{
	irqflags_t flags = arch_irq_save();

	KASSERT(t->mm.account);
	t->on_queue = true;
	counter_add(&runqs[t->cpu].nr_threads, 1);
	sched_place(t, t->home);
	arch_irq_restore(flags);
}

void sched_forget(struct thread *t)
{
	counter_add(&runqs[t->cpu].nr_threads, -1);
}

/*
 * No wake-up is lost before the halt.  Interrupts are off from the check of the queue to
 * arch_idle_wait, which enables them and halts in one step.  A CPU that appends a thread after the
 * check sees that the idle thread runs (sched_choose() wrote that under the lock). So it sends a
 * kick, which stays pending until the halt.
 */
void sched_idle(void)
{
	struct runq *rq = my_runq();

	for (;;) {
		arch_irq_disable();
		if (unlikely(load_acquire(&rq->leaving)))
			break;
		if (READ_ONCE(rq->nr_ready)) {
			sched_switch(WAIT_FOREVER);
			arch_irq_enable();
		} else {
			arch_idle_wait();
		}
	}
	sched_hand_over(rq);
}

static void runq_init(unsigned cpu)
{
	struct runq *rq = &runqs[cpu];
	struct thread *idle = &rq->idle_thread;

	rq->lock = SPINLOCK("runq", RANK_SCHED);
	cpus[cpu]->runq = rq;
	runq_lists_init(rq);
	TAILQ_INIT(&rq->alarms);
	share_init(&idle->own);
	idle->share = &idle->own;
	ksnprintf(idle->name, sizeof(idle->name), "idle/%u", cpu);
	idle->cpu = cpu;
	idle->home = -1;
	rq->idle = rq->running = idle;
	/* The queue of an absent CPU starts closed, like that of an offline CPU. */
	rq->leaving = rq->closed = cpu_is_absent(cpu);
}

void sched_init_cpu(void (*idle_main)(void *arg))
{
	struct cpu *cpu = arch_this_cpu();
	struct thread *idle;
	struct runq *all;
	unsigned i;

	if (!idle_main) {
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
	idle->sp = arch_stack_prepare(idle->stack_top, idle_main, NULL);
	share_init(&first_thread.own);
	first_thread.share = &first_thread.own;
	first_thread.on_queue = true;
	first_thread.home = 0;
	runqs[0].running = &first_thread;
	counter_add(&runqs[0].nr_threads, 1);
	cpu->current = &first_thread;
}
