/* SPDX-License-Identifier: MIT */
/*
 * wrong.c: ports with one fault each, which a check of porting_check.c must find
 * (tools/test/library.py).
 *
 * Linked in front of arch/host by the linker's --wrap.  The environment variable WRONG chooses the
 * fault; without it the port is right.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: none.
 */
#include <quarry/port.h>
#include <stdlib.h>

/*
 * The two names that --wrap gives a function: __wrap_NAME replaces it, __real_NAME is the port's.
 */
#define WRAPPED(type, name, ...)                                                                   \
	type __real_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__)

static bool wrong(const char *what)
{
	static const char *chosen;

	if (!chosen)
		chosen = getenv("WRONG") ? getenv("WRONG") : "";
	return !strcmp(chosen, what);
}

/* Is @lock to be left open?  Only the checks' lock, and in calls: the port must still work. */
static bool not_locked(const struct spinlock *lock)
{
	return wrong("lock") && arch_in_interrupt() && lock->name &&
	    !strcmp(lock->name, "porting zone");
}

WRAPPED(void, spin_lock, struct spinlock *lock) NO_LOCK_ANALYSIS
{
	if (!not_locked(lock))
		__real_spin_lock(lock);
}

WRAPPED(void, spin_unlock, struct spinlock *lock) NO_LOCK_ANALYSIS
{
	if (!not_locked(lock))
		__real_spin_unlock(lock);
}

WRAPPED(void, spin_unlock_irqrestore, struct spinlock *lock, irqflags_t flags) NO_LOCK_ANALYSIS
{
	__real_spin_unlock_irqrestore(lock, wrong("irqrestore") ? true : flags);
}

WRAPPED(bool, spin_is_held, const struct spinlock *lock)
{
	return wrong("is_held") ? READ_ONCE(lock->locked) : __real_spin_is_held(lock);
}

WRAPPED(unsigned, spin_depth, void)
{
	return wrong("depth") ? 0 : __real_spin_depth();
}

WRAPPED(int, smp_call_mask, const cpumask_t *mask, void (*fn)(void *), void *arg)
{
	unsigned cpu, self = arch_cpu_id();

	if (wrong("mask"))
		return __real_smp_call_mask(NULL, fn, arg);
	if (wrong("refusal") && !arch_irqs_enabled()) {
		fn(arg);
		return 0;
	}
	if (!wrong("target"))
		return __real_smp_call_mask(mask, fn, arg);
	/* Run @fn here for all CPUs, even for those with interrupts off. */
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		if (!mask || cpumask_test(mask, cpu))
			fn(arg);
	}
	return (int)nr_cpus - (!mask || cpumask_test(mask, self));
}

WRAPPED(u64, arch_clock_ns, void)
{
	static u32 calls;
	u64 now = __real_arch_clock_ns();

	return wrong("clock") && atomic_add(&calls, 1u) % 1024 == 0 ? now - 1000000 : now;
}

WRAPPED(bool, wait_until, struct waitq *wq, bool (*cond)(void *), void *arg, u64 timeout_ns)
{
	return __real_wait_until(
	    wq, cond, arg, wrong("timeout") && timeout_ns != WAIT_FOREVER ? 0 : timeout_ns);
}

WRAPPED(void, wake_up_locked, struct waitq *wq, const void *arg)
{
	if (!wrong("wake_up") || !wq->lock.name || strcmp(wq->lock.name, "porting ball") != 0)
		__real_wake_up_locked(wq, arg);
}

WRAPPED(void, thread_sleep, u64 ns)
{
	__real_thread_sleep(wrong("sleep") ? 0 : ns);
}

WRAPPED(struct mm_task *, port_task, void)
{
	static struct mm_task task;

	return wrong("task") ? &task : __real_port_task();
}
