/* SPDX-License-Identifier: MIT */
/*
 * port.c: port.h for the core of mm/, to start a port from: locks, waiting, cross-calls, log and
 * panic.
 *
 * As it is, it is right for CPUs that run one thread each.  "Write:" says what your kernel adds;
 * docs/porting.md says what mm/ relies on, and `make porting-check PORT=examples/port-template`
 * checks that.
 *
 * Owns:       the count of locks each CPU holds, the calls under way, the online mask.
 * Locks:      call_busy: one cross-call at a time.
 * Invariants: a call lives on its sender's stack until every CPU that must run it has lowered
 *             `left`.
 */
#include "port.h"
#include <quarry/mm.h>
#include <stdarg.h>

bool port_irqs_off[NR_CPUS];
unsigned port_irq_depth[NR_CPUS];

/* ---- locks ---- */

static unsigned locks_held[NR_CPUS];

/*
 * Write: preemption goes off here, where a thread can be preempted, and on again in spin_unlock.
 * Check the ranks of locks.
 */
void spin_lock(struct spinlock *lock) NO_LOCK_ANALYSIS
{
	KASSERT(!spin_is_held(lock));
	while (!atomic_cas(&lock->locked, 0u, arch_cpu_id() + 1))
		cpu_relax();
	locks_held[arch_cpu_id()]++;
}

void spin_unlock(struct spinlock *lock) NO_LOCK_ANALYSIS
{
	KASSERT(spin_is_held(lock));
	locks_held[arch_cpu_id()]--;
	store_release(&lock->locked, 0u);
}

irqflags_t spin_lock_irqsave(struct spinlock *lock) NO_LOCK_ANALYSIS
{
	irqflags_t flags = arch_irq_save();

	spin_lock(lock);
	return flags;
}

void spin_unlock_irqrestore(struct spinlock *lock, irqflags_t flags) NO_LOCK_ANALYSIS
{
	spin_unlock(lock);
	arch_irq_restore(flags);
}

bool spin_is_held(const struct spinlock *lock)
{
	return READ_ONCE(lock->locked) == arch_cpu_id() + 1;
}

unsigned spin_depth(void)
{
	return locks_held[arch_cpu_id()];
}

/* ---- waiting, and the data that mm/ keeps for a thread ---- */

/*
 * Write: where the loop below spins, put this thread into a list behind @wq->first, under
 * @wq->lock; check cond a second time; switch to another thread.  A wake-up may come between the
 * check in the `while' and the insertion: the second check finds cond true.  From the insertion on,
 * a wake-up must make the thread ready, even if the thread has not switched yet.  cond is called
 * without the lock.
 */
bool wait_until(struct waitq *wq, bool (*cond)(void *), void *arg, u64 timeout_ns)
{
	u64 start = arch_clock_ns();

	KASSERT(arch_irqs_enabled() && !arch_in_interrupt() && spin_depth() == 0);
	while (!cond(arg)) {
		if (timeout_ns != WAIT_FOREVER && arch_clock_ns() - start >= timeout_ns)
			return cond(arg);
		cpu_relax();
	}
	return true;
}

/*
 * Write: make the threads of @wq ready whose condition has the argument @arg, or all threads if
 * @arg is NULL; @wq->lock is held, interrupts are off.  Here each thread checks by itself.
 */
void wake_up_locked(struct waitq *wq, const void *arg)
{
}

/* Write: a struct mm_task in your struct thread, zeroed when the thread starts. */
struct mm_task *port_task(void)
{
	static struct mm_task tasks[NR_CPUS];

	return &tasks[arch_cpu_id()];
}

/* ---- cross-calls ---- */

static cpumask_t online[CPUMASK_WORDS(NR_CPUS)] = {1}; /* CPU 0 runs */
cpumask_t *cpu_online_mask = online;
/* Write: if CPUs go offline and online, hold this lock exclusively meanwhile (lock.h). */
struct rwsem cpu_hotplug = RWSEM("cpu_hotplug");

struct call {
	void (*fn)(void *);
	void *arg;
	u32 left; /* atomic: number of CPUs that have not finished fn */
};
static struct call *waiting[NR_CPUS]; /* atomic: for each CPU, the call that it must run */
static u32 call_busy;                 /* atomic: a call is under way */

/* Write: call this from the handler of the interrupt that port_send_interrupt raises.  irqs off. */
void port_serve_calls(void)
{
	unsigned cpu = arch_cpu_id();
	struct call *call;

	if (!READ_ONCE(waiting[cpu]))
		return;
	call = atomic_xchg(&waiting[cpu], NULL);
	if (!call)
		return;
	port_irq_depth[cpu]++;
	port_task()->call_again = false;
	call->fn(call->arg);
	port_irq_depth[cpu]--;
	/* Run fn again in a new interrupt, so that other pending interrupts are taken first. */
	if (port_task()->call_again) {
		store_release(&waiting[cpu], call);
		port_send_interrupt(cpu);
		return;
	}
	atomic_sub(&call->left, 1u); /* the sender may return now */
}

/* Write: preemption off from here to the end, so that the thread stays on its CPU. */
int smp_call_mask(const cpumask_t *mask, void (*fn)(void *), void *arg)
{
	struct call call = {.fn = fn, .arg = arg};
	unsigned self, cpu;
	irqflags_t flags;
	int asked = 0;
	bool more;

	if (!arch_irqs_enabled() || arch_in_interrupt() || spin_depth())
		return -EDEADLK;
	/* Wait with interrupts on, because the sender before us may be waiting for this CPU. */
	while (atomic_xchg(&call_busy, 1u))
		cpu_relax();
	self = arch_cpu_id();
	for (cpu = 0; cpu < NR_CPUS && cpu < nr_cpus; cpu++) {
		if (cpu == self || (mask && !cpumask_test(mask, cpu)) ||
		    !cpumask_test(cpu_online_mask, cpu))
			continue;
		atomic_add(&call.left, 1u);
		store_release(&waiting[cpu], &call);
		port_send_interrupt(cpu);
		asked++;
	}
	if (!mask || cpumask_test(mask, self)) {
		do {
			flags = arch_irq_save();
			port_task()->call_again = false;
			fn(arg);
			more = port_task()->call_again;
			arch_irq_restore(flags);
		} while (more);
	}
	while (load_acquire(&call.left))
		cpu_relax();
	store_release(&call_busy, 0u);
	return asked;
}

/* ---- log and panic ---- */

static void print_number(u64 value, unsigned base, bool negative)
{
	char text[24];
	unsigned at = sizeof(text);

	do {
		u64 rest = divide(value, base);

		text[--at] = "0123456789abcdef"[value - rest * base];
		value = rest;
	} while (value);
	if (negative)
		text[--at] = '-';
	port_console(text + at, sizeof(text) - at);
}

static void print_text(const char *text)
{
	size_t len = 0;

	while (text[len])
		len++;
	port_console(text, len);
}

/*
 * Print one conversion; @at is behind its '%'.  Widths and flags are skipped.  Returns the place of
 * the conversion's last character.
 */
static const char *print_one(const char *at, va_list *ap)
{
	unsigned longs = 0;
	char c;

	for (; (*at >= '0' && *at <= '9') || *at == '-' || *at == '#' || *at == '.' || *at == 'l' ||
	     *at == 'z';
	     at++)
		longs += *at == 'l' || *at == 'z';
	if (*at == 's') {
		print_text(va_arg(*ap, const char *));
	} else if (*at == 'c') {
		c = (char)va_arg(*ap, int);
		port_console(&c, 1);
	} else if (*at == 'p') {
		print_number((uintptr_t)va_arg(*ap, void *), 16, false);
	} else if (*at == 'd') {
		s64 n = longs ? (longs > 1 ? va_arg(*ap, long long) : va_arg(*ap, long))
		              : va_arg(*ap, int);

		print_number(n < 0 ? -(u64)n : (u64)n, 10, n < 0);
	} else if (*at == 'u' || *at == 'x') {
		u64 n = longs
		    ? (longs > 1 ? va_arg(*ap, unsigned long long) : va_arg(*ap, unsigned long))
		    : va_arg(*ap, unsigned);

		print_number(n, *at == 'x' ? 16 : 10, false);
	} else {
		port_console(at, 1);
	}
	return at;
}

static void print(const char *fmt, va_list *ap)
{
	for (; *fmt; fmt++) {
		if (*fmt == '%' && fmt[1])
			fmt = print_one(fmt + 1, ap);
		else
			port_console(fmt, 1);
	}
}

/* Write: your kernel's own print function. */
void printk(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(fmt, &ap);
	va_end(ap);
}

/*
 * Write: stop the other CPUs, print backtraces.  It must not take a lock of mm/, since any lock may
 * be held.
 */
void panic(const char *fmt, ...)
{
	va_list ap;

	print_text("panic: ");
	va_start(ap, fmt);
	print(fmt, &ap);
	va_end(ap);
	print_text("\n");
	memory_panic_page();
	memory_panic_events();
	port_halt(1);
}
