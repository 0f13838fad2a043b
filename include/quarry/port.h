/* SPDX-License-Identifier: MIT */
/*
 * port.h: the kernel's interface for mm/: locks, waiting, threads, log and panic.
 *
 * A port of mm/ needs this and arch.h, the machine's interface.  kernel/ implements port.h for
 * Quarry, arch/host for a Linux process.
 *
 * Lock order, outer to inner (enum lock_rank): a lock may be taken only if all locks held have
 * lower ranks, so never two of one rank.  An interrupt may take RANK_LRU and inner locks only, so
 * these are always taken with interrupts off.
 */
#ifndef QUARRY_PORT_H
#define QUARRY_PORT_H

#include <quarry/arch.h>
#include <quarry/types.h>

/* Log, panic and assertions */

/* Print to the console and its log: %s, d, u, x, p, with l, ll, #, - and widths.  Any context. */
void printk(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/*
 * Report (@fmt ends without a newline), print mm/'s data about the fault (memory_panic_page,
 * memory_panic_events) and the backtraces of all CPUs, stop the machine.  Any context, with any
 * locks held; never returns.
 */
void panic(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Panics if @cond, an invariant, is false; in every build.  One condition, no side effects. */
#define KASSERT(cond)                                                                              \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #cond);           \
	} while (0)

/*
 * As KASSERT, but only in a checked build (-DCHECKED_BUILD): for paths whose instructions are
 * counted (docs/bench.md).
 */
#ifdef CHECKED_BUILD
#define CHECKED_ASSERT KASSERT
#else
#define CHECKED_ASSERT(cond) ((void)sizeof(!(cond)))
#endif

/* Spin locks */

enum lock_rank {
	RANK_NONE, /* the rank is not checked */
	RANK_MEM_HOTPLUG,
	RANK_POISON, /* one broken page at a time */
	RANK_CPU_HOTPLUG,
	RANK_PCP_CTL,
	RANK_TASK,    /* tasks, capabilities, endpoints */
	RANK_SPACE,   /* regions of an address space */
	RANK_OBJECT,  /* slots of an object; movable objects */
	RANK_PT,      /* page tables of a space */
	RANK_MIGWAIT, /* threads that wait for a page being moved */
	RANK_SLAB,
	RANK_LRU,
	RANK_ZONE,
	RANK_WAIT,
	RANK_SCHED,
	RANK_CONSOLE,
};

/* Zeroed memory is an unlocked lock without a rank. */
struct spinlock {
	u32 locked; /* atomic: CPU + 1 of the holder; 0: free */
	u8 rank;    /* enum lock_rank */
	/*
	 * for the port, written by the holder: the highest rank of this lock and the locks under it
	 */
	u8 highest;
	const char *name;       /* for reports */
	struct spinlock *under; /* likewise: the lock that the holder took before this one */
} CAPABILITY("spin lock");
/*
 * This and the similar macros below also work as static initialisers.  Inside another initialiser,
 * where compilers accept no compound literal, bare braces are needed instead.
 */
#define SPINLOCK(n, r) ((struct spinlock){.rank = (r), .name = (n)})

/*
 * Context: any; a lock that an interrupt handler takes must always be taken with interrupts off
 * (the irqsave form).  Preemption is off while it is held.  Nothing may sleep or make a cross-call.
 */
void spin_lock(struct spinlock *lock) ACQUIRE(lock);
void spin_unlock(struct spinlock *lock) RELEASE(lock);
irqflags_t spin_lock_irqsave(struct spinlock *lock) ACQUIRE(lock);
void spin_unlock_irqrestore(struct spinlock *lock, irqflags_t flags) RELEASE(lock);
/* True if this CPU holds @lock. */
bool spin_is_held(const struct spinlock *lock);
/* The number of spin locks that this CPU holds. */
unsigned spin_depth(void);

/* Waiting */

struct wait_entry;
struct waitq {
	struct spinlock lock;
	struct wait_entry *first; /* under lock: threads asleep here, oldest first */
};
#define WAITQ(n) ((struct waitq)WAITQ_BARE(n))
#define WAITQ_BARE(n)                                                                              \
	{                                                                                          \
		.lock = {.rank = RANK_WAIT, .name = (n) }                                          \
	}

#define WAIT_FOREVER (~0ULL)

/*
 * A set of CPUs, one bit each; as many words as nr_cpus needs.  Masks that are kept are allocated
 * from boot memory, so no path allocates a mask later.
 */
typedef unsigned long cpumask_t;
#define CPUMASK_BITS     (8 * (unsigned)sizeof(cpumask_t)) /* of a word: 32 where long has 32 */
#define CPUMASK_WORDS(n) (((n) + CPUMASK_BITS - 1) / CPUMASK_BITS)

static inline bool cpumask_test(const cpumask_t *mask, unsigned cpu)
{
	return READ_ONCE(mask[cpu / CPUMASK_BITS]) >> (cpu % CPUMASK_BITS) & 1;
}

static inline void cpumask_set(cpumask_t *mask, unsigned cpu)
{
#ifdef ARCH_CPUMASK
	arch_cpumask_set(mask, cpu);
#else
	atomic_or(&mask[cpu / CPUMASK_BITS], 1UL << (cpu % CPUMASK_BITS));
#endif
}

static inline void cpumask_clear(cpumask_t *mask, unsigned cpu)
{
#ifdef ARCH_CPUMASK
	arch_cpumask_clear(mask, cpu);
#else
	atomic_and(&mask[cpu / CPUMASK_BITS], ~(1UL << (cpu % CPUMASK_BITS)));
#endif
}

/* CPUs that answer cross-calls: read under the gate that smp_call_mask takes, or as a hint. */
extern cpumask_t *cpu_online_mask;

/* May this thread make a cross-call and sleep now? */
static inline bool may_sleep(void)
{
	return arch_irqs_enabled() && !arch_in_interrupt() && spin_depth() == 0;
}

/*
 * Sleep until cond(arg) is true or @timeout_ns nanoseconds have passed; returns the last result of
 * cond.  cond is called with no lock held, in this thread; code that makes it true must call
 * wake_up afterwards.
 * Context: thread, irqs on, no spin lock held.  An idle CPU serves cross-calls meanwhile.
 */
bool wait_until(struct waitq *wq, bool (*cond)(void *), void *arg, u64 timeout_ns);
/*
 * Wake those sleepers of @wq whose condition has the argument @arg, or all if @arg is NULL; they
 * check their conditions.  A port may wake more.  Any context, irqs off, under wq->lock.
 */
void wake_up_locked(struct waitq *wq, const void *arg) REQUIRES(wq->lock);
/*
 * As wake_up_locked.  What @arg points to may be gone: only the address counts.  Any context where
 * RANK_WAIT may be taken.
 */
static inline void wake_up_for(struct waitq *wq, const void *arg)
{
	irqflags_t flags = spin_lock_irqsave(&wq->lock);

	wake_up_locked(wq, arg);
	spin_unlock_irqrestore(&wq->lock, flags);
}
/* Wake all sleepers of @wq to check their conditions.  Any context where RANK_WAIT may be taken. */
static inline void wake_up(struct waitq *wq)
{
	wake_up_for(wq, NULL);
}

/*
 * Sleeping locks: first come, first served.  A thread that finds the lock held, or finds waiters,
 * puts a claim at the end of the line.  The lock is handed to the first claim, so neither its last
 * holder nor a new thread can take it before; and only that claim's thread is woken.  The holder
 * may free the lock's memory, even right after it got the lock: the unlock before touched the lock
 * for the last time under wq.lock, and the holder has taken wq.lock since.  Zeroed memory with
 * WAITQ is an unlocked lock.
 */
struct sleep_claim {
	struct sleep_claim *next; /* wq.lock */
	bool share;
	bool (*over)(void); /* true: the claim's thread stops waiting; NULL: never true */
	u32 granted; /* atomic: set in the hold of wq.lock that takes the claim off the line */
};

struct sleep_lock {
	u32 count; /* wq.lock, read as a hint: number of sharers, or SLEEP_EXCLUSIVE */
	struct sleep_claim *first; /* wq.lock: claims, oldest first */
	struct waitq wq;
};
#define SLEEP_EXCLUSIVE (~0u)

/*
 * Take the lock if it is free, or shared and wanted shared.  Under wq.lock; the caller decides
 * whether waiting claims may be passed.
 */
static inline bool sleep_lock_enter(struct sleep_lock *l, bool share)
{
	if (share ? l->count == SLEEP_EXCLUSIVE : l->count != 0)
		return false;
	WRITE_ONCE(l->count, share ? l->count + 1 : SLEEP_EXCLUSIVE);
	return true;
}

/* Under wq.lock: hand the lock to the first claims, and wake their threads. */
static inline void sleep_lock_admit(struct sleep_lock *l) REQUIRES(l->wq.lock)
{
	struct sleep_claim *c;

	while ((c = l->first) && sleep_lock_enter(l, c->share)) {
		l->first = c->next;
		WRITE_ONCE(c->granted, 1u);
		wake_up_locked(&l->wq, c);
	}
}

static inline bool sleep_lock_try(struct sleep_lock *l, bool share) NO_LOCK_ANALYSIS
{
	irqflags_t flags = spin_lock_irqsave(&l->wq.lock);
	bool mine = !l->first && sleep_lock_enter(l, share);

	spin_unlock_irqrestore(&l->wq.lock, flags);
	return mine;
}

static inline bool sleep_lock_granted(void *arg)
{
	struct sleep_claim *claim = (struct sleep_claim *)arg;

	return READ_ONCE(claim->granted) || (claim->over && claim->over());
}

/*
 * The wait of @claim has ended.  True: the lock was handed to the claim; else the claim has left
 * the line.
 */
static inline bool sleep_lock_waited(struct sleep_lock *l, struct sleep_claim *claim)
    NO_LOCK_ANALYSIS
{
	irqflags_t flags = spin_lock_irqsave(&l->wq.lock);
	struct sleep_claim **link = &l->first;
	bool mine = claim->granted;

	if (!mine) {
		while (*link != claim)
			link = &(*link)->next;
		*link = claim->next;
		/* Sharers may have waited behind this claim. */
		sleep_lock_admit(l);
	}
	spin_unlock_irqrestore(&l->wq.lock, flags);
	return mine;
}

/*
 * False: not taken within @timeout_ns, or @over() became true while the thread waited; code that
 * makes it true must wake the thread.  In a context that must not sleep it panics, even if the lock
 * is free.  It does not panic before a CPU is online, when interrupts are off and no other thread
 * runs.
 */
static inline bool sleep_lock_take(
    struct sleep_lock *l, bool share, bool (*over)(void), u64 timeout_ns) NO_LOCK_ANALYSIS
{
	/* g++ would warn about an initialiser that names only some members. */
	struct sleep_claim claim = {}, **link = &l->first;
	irqflags_t flags;
	bool mine;

	claim.share = share;
	claim.over = over;
	WATCH(sleep, l, LOCK_WANTED);
	if (unlikely(!may_sleep()) && cpu_online_mask[0])
		panic("lock %s taken where nothing may sleep",
		    l->wq.lock.name ? l->wq.lock.name : "without a name");
	flags = spin_lock_irqsave(&l->wq.lock);
	mine = !l->first && sleep_lock_enter(l, share);
	if (!mine) {
		while (*link)
			link = &(*link)->next;
		*link = &claim;
	}
	spin_unlock_irqrestore(&l->wq.lock, flags);
	if (!mine) {
		wait_until(&l->wq, sleep_lock_granted, &claim, timeout_ns);
		mine = sleep_lock_waited(l, &claim);
	}
	if (mine)
		WATCH(sleep, l, LOCK_TAKEN);
	return mine;
}

static inline void sleep_lock_drop(struct sleep_lock *l, bool share) NO_LOCK_ANALYSIS
{
	irqflags_t flags;

	WATCH(sleep, l, LOCK_LEAVING);
	flags = spin_lock_irqsave(&l->wq.lock);
	WRITE_ONCE(l->count, share ? l->count - 1 : 0);
	sleep_lock_admit(l);
	spin_unlock_irqrestore(&l->wq.lock, flags);
}

/*
 * A mutex is held by one thread at a time.  Context of its functions, except mutex_trylock and
 * mutex_unlock: thread, may sleep.
 */
struct mutex {
	struct sleep_lock l;
} CAPABILITY("mutex");
#define MUTEX(n) ((struct mutex){.l = {.wq = WAITQ_BARE(n)}})

/* False also if the lock was handed to a waiting thread that has not run yet. */
static inline bool mutex_trylock(void *m)
{
	return sleep_lock_try(&((struct mutex *)m)->l, false);
}

static inline void mutex_lock(struct mutex *m) ACQUIRE(m) NO_LOCK_ANALYSIS
{
	sleep_lock_take(&m->l, false, NULL, WAIT_FOREVER);
}

/* Take @m.  False: not taken within @timeout_ns, or @over() became true (sleep_lock_take). */
static inline bool mutex_lock_unless(struct mutex *m, bool (*over)(void), u64 timeout_ns)
    TRY_ACQUIRE(true, m) NO_LOCK_ANALYSIS
{
	return sleep_lock_take(&m->l, false, over, timeout_ns);
}

static inline void mutex_unlock(struct mutex *m) RELEASE(m) NO_LOCK_ANALYSIS
{
	sleep_lock_drop(&m->l, false);
}

/* Is @m held?  A hint, unless the caller holds it. */
static inline bool mutex_is_held(const struct mutex *m)
{
	return READ_ONCE(m->l.count) != 0;
}

/*
 * A lock that many threads may share, as mm/ does; lock.h has the exclusive side.  A sharer that
 * comes after a thread waiting for the exclusive side waits behind that thread.  Otherwise a few
 * sharers, one of them always inside, could keep that thread out for ever.  So no thread may take
 * the shared side twice.
 */
struct rwsem {
	struct sleep_lock l;
} CAPABILITY("rwsem");
#define RWSEM(n) ((struct rwsem){.l = {.wq = WAITQ_BARE(n)}})

/* Does any thread hold @s, shared or not?  A hint, unless the caller holds it. */
static inline bool rwsem_is_held(const struct rwsem *s)
{
	return READ_ONCE(s->l.count) != 0;
}

/* Context: thread, may sleep. */
static inline void rwsem_lock_shared(struct rwsem *s) ACQUIRE_SHARED(s) NO_LOCK_ANALYSIS
{
	sleep_lock_take(&s->l, true, NULL, WAIT_FOREVER);
}

static inline void rwsem_unlock_shared(struct rwsem *s) RELEASE_SHARED(s) NO_LOCK_ANALYSIS
{
	sleep_lock_drop(&s->l, true);
}

/*
 * The order of the lock classes of mm/, repeated for clang (lock_attr.h).  mem_adding is the
 * outermost; cpu_hotplug, declared below, stands for its own rank.
 */
extern struct rwsem cpu_hotplug;
extern struct lock_class mem_adding_class;
extern struct lock_class mem_hotplug_class ACQUIRED_AFTER(mem_adding_class);
extern struct lock_class poison_class ACQUIRED_AFTER(mem_hotplug_class);
extern struct lock_class pcp_ctl_class ACQUIRED_AFTER(mem_hotplug_class, poison_class);
extern struct lock_class object_class ACQUIRED_AFTER(pcp_ctl_class, cpu_hotplug);
extern struct lock_class slab_class ACQUIRED_AFTER(object_class);
extern struct lock_class lru_class ACQUIRED_AFTER(slab_class);
extern struct lock_class zone_class ACQUIRED_AFTER(lru_class);

/* Threads */

struct thread;

/*
 * Start a thread that runs fn(arg), on @cpu or, with @cpu < 0, on the best CPU.  It stays there
 * unless that CPU goes offline: then it moves to another one and, if it was bound to @cpu, is moved
 * back soon after @cpu is online again.  A thread that must not be moved in between disables
 * preemption.
 * Returns NULL without memory, without a free slot, or if @cpu is not online.
 * Context: thread, may sleep.
 */
struct thread *thread_start(const char *name, int cpu, void (*fn)(void *), void *arg) must_check;
/* Wait until the thread has returned, and free it.  Each started thread is joined exactly once. */
void thread_join(struct thread *t);
/* Let other threads run.  Context: thread, no spin lock held. */
void thread_yield(void);
/* Sleep for at least @ns nanoseconds.  Context: thread, no spin lock held. */
void thread_sleep(u64 ns);
/*
 * Has every thread that was ready to run at @since (arch_clock_ns), on any online CPU, had a turn
 * since, or the rest of a turn?  The caller repeats the call, and yields in between, until it
 * returns true.  The result stays false while a CPU does not run, because its interrupts are off or
 * its host has stopped it.  A turn may be short: wait for several where one is not enough.
 * Context: thread, or irqs off.
 */
bool threads_had_turn(u64 since);

struct account;
struct memory;

/*
 * mm/'s data of each thread.  in_alloc is above 0 inside an allocation: a cross-call at that time
 * is counted as a fault, since an allocation never makes one.
 */
struct mm_task {
	u32 in_alloc; /* nesting of allocation slow paths */
	/*
	 * atomic: its allocations may use the memory below the watermarks, and never wait.  Set for
	 * a reclaim thread, and for a thread of an OOM victim (oom.h), which needs a little memory
	 * to exit.
	 */
	u32 reserve;
	const struct memory *blamed; /* the memory of blamed_pfn, for a panic; NULL: none */
	pfn_t blamed_pfn;
	struct account *account; /* charged for its memory (account.h); NULL: account_all */
	bool call_again;         /* set by smp_call_again, in an interrupt of this thread */
	/*
	 * when the thread's access first requested a page from a pager, plus the time that
	 * access_waited has added; 0: no access waits
	 */
	u64 access_ns;
};
struct mm_task *port_task(void);
/*
 * The running thread has waited since @began, but not for the pager of its access: that time does
 * not count in the access's time limit.
 */
static inline void access_waited(u64 began)
{
	struct mm_task *task = port_task();
	u64 now = task->access_ns ? arch_clock_ns() : 0;

	if (now > began)
		task->access_ns += now - began;
}

/* Cross-calls (kernel/smp.c, or the host's) */

/* Taken shared where the set of online CPUs must not change; RANK_CPU_HOTPLUG. */
extern struct rwsem cpu_hotplug ACQUIRED_AFTER(mem_hotplug_class);

/*
 * smp_call_mask - run fn(arg) on every online CPU of @mask, and wait until all have finished.
 * @mask: nr_cpus bits; NULL means all online CPUs.  The caller's own CPU, if it is in @mask, calls
 * fn directly.  fn runs with interrupts off, in the target's interrupt, and may take RANK_LRU and
 * inner locks.  Context: thread, irqs on, no spin lock held, not in an interrupt; not from an
 * allocation.
 * Returns the number of other CPUs that got an IPI; -EDEADLK (reported, counted, no CPU called) in
 * a wrong context.  A target that never answers causes a panic, with the backtraces of both sides.
 */
int smp_call_mask(const cpumask_t *mask, void (*fn)(void *), void *arg);
/*
 * Called by fn: run fn again on this CPU before the call is answered, after interrupts have been
 * on.  This splits long work into many short sections with interrupts off; for the caller it is
 * still one call.  Threads of the CPU may run in between.
 */
static inline void smp_call_again(void)
{
	port_task()->call_again = true;
}

/*
 * Freestanding string functions; on a host these are libc's.  string.h has more.  C++ programs take
 * them from <cstring>, whose declarations may have the word noexcept, and would contradict these.
 */
#ifndef __cplusplus
void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
void *memmove(void *dst, const void *src, size_t n);
int strcmp(const char *a, const char *b);
#endif

#endif
