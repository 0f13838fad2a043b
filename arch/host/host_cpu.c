/* SPDX-License-Identifier: MIT */
/*
 * host_cpu.c: the CPUs of the hosted program: tokens for which pthreads take turns.
 *
 * Each thread is a pthread bound to one CPU for ever, and runs only while it has that CPU's token.
 * It releases the token where a thread would sleep, and lets others go first where it could be
 * preempted (interrupts on, preemption on).  When no thread has the CPU, its idle pthread serves
 * the cross-calls.
 *
 * Owns:       host_cpus[], host_attention[].
 * Locks:      host_cpu.m, innermost, never held while code of Quarry runs.
 * Invariants: a token changes hands only with interrupts on, preemption on, and no interrupt under
 *             way.
 *             So per-CPU data of a real CPU (flags, held locks) may be per-pthread here.
 */
#include "host.h"
#include <quarry/machine.h>
#include <quarry/mm.h>
#include <quarry/smp.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#define SLICE_NS 1000000 /* a thread that others wait for is preempted after this */
#define DEAR_NS  100000  /* a yield that takes longer has cost a time slice */
#define NAPS     256     /* the number of sleeps that replace yields after such a yield */
#define NAP_NS   50000   /* length of such a sleep, which really takes some microseconds more */

struct host_cpu {
	pthread_mutex_t m;   /* protects the fields with "m:" */
	pthread_cond_t turn; /* serving has changed */
	pthread_cond_t idle; /* the CPU is free, and a cross-call waits for it */
	u64 next, serving;   /* m: tickets; equal when the CPU is free */
	u32 threads;         /* m: threads bound to this CPU */
	u64 since;           /* the time when the running thread got the CPU */
	u64 round_end;       /* m: the ticket after the last one of this round */
	u64 round_began;     /* m: the time when this round began */
	u64 had_turn;        /* m: the start of the last round that has ended */
};
static struct host_cpu host_cpus[HOST_MAX_CPUS];
struct host_attention host_attention[HOST_MAX_CPUS];
struct host_ipi_faults host_ipi_faults;
unsigned host_cpu_nodes[HOST_MAX_CPUS];
__thread struct host_this host_this;
__thread const struct host_hooks *host_hooks;
unsigned nr_cpus = 1;
u64 hosted_clock_ahead;

u64 arch_clock_ns(void)
{
	struct timespec ts;

	if (host_hooks && host_hooks->clock)
		return host_hooks->clock();
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec + READ_ONCE(hosted_clock_ahead);
}

unsigned arch_cpu_node(unsigned cpu)
{
	return READ_ONCE(host_cpu_nodes[cpu]);
}

void *arch_boot_zalloc(size_t bytes)
{
	void *ptr = aligned_alloc(64, ALIGN_UP(bytes, 64));

	if (!ptr)
		panic("host: no memory");
	return memset(ptr, 0, ALIGN_UP(bytes, 64));
}

/*
 * No hardware walks page tables here, so there is no TLB to flush; tests simulate both
 * (tests/lib/soft_mmu.c).
 */
void arch_pagetable_init(u64 *root)
{
}

void arch_tlb_flush_page(phys_t root, uintptr_t va)
{
}

void arch_tlb_flush_user(void)
{
}

void arch_backtrace_others(void)
{
	printk("host: no backtraces of other CPUs; attach a debugger\n");
}

void arch_backtrace_self(void)
{
}

/*
 * A round ends when all threads that had tickets at its beginning have released the CPU.  The
 * caller holds m.
 */
static void end_round(struct host_cpu *c)
{
	if (c->serving < c->round_end)
		return;
	c->had_turn = c->round_began;
	c->round_began = arch_clock_ns();
	c->round_end = c->next;
}

/* A round ends when its threads have released the CPU, so each running thread is told to do so. */
bool threads_had_turn(u64 since)
{
	bool all = true;
	unsigned i;

	for (i = 0; i < nr_cpus; i++) {
		struct host_cpu *c = &host_cpus[i];

		pthread_mutex_lock(&c->m);
		end_round(c);
		if (c->had_turn <= since)
			all = false;
		if (c->next != c->serving)
			atomic_or(&host_attention[i].want, HOST_WANT_CPU);
		pthread_mutex_unlock(&c->m);
	}
	return all;
}

/* Wait for this thread's turn.  The caller holds m. */
static void wait_turn(struct host_cpu *c, u64 ticket)
{
	while (c->serving != ticket) {
		atomic_or(&host_attention[host_this.cpu].want, HOST_WANT_CPU);
		pthread_cond_wait(&c->turn, &c->m);
	}
	/* No thread waits any more: a later waiter sets the bit again. */
	if (c->next - c->serving == 1)
		atomic_and(&host_attention[host_this.cpu].want, ~HOST_WANT_CPU);
	c->since = arch_clock_ns();
	end_round(c);
}

void host_cpu_take(void)
{
	struct host_cpu *c = &host_cpus[host_this.cpu];

	pthread_mutex_lock(&c->m);
	wait_turn(c, c->next++);
	pthread_mutex_unlock(&c->m);
}

/*
 * Let the threads that wait go first.  At no moment does the CPU seem to be free: a round needs
 * this thread's turn too.
 */
static void pass_cpu(void)
{
	struct host_cpu *c = &host_cpus[host_this.cpu];
	u64 ticket;

	pthread_mutex_lock(&c->m);
	ticket = c->next++;
	c->serving++;
	if (c->serving != ticket)
		pthread_cond_broadcast(&c->turn);
	wait_turn(c, ticket);
	pthread_mutex_unlock(&c->m);
}

void host_cpu_give(void)
{
	struct host_cpu *c = &host_cpus[host_this.cpu];

	pthread_mutex_lock(&c->m);
	c->serving++;
	if (c->next != c->serving)
		pthread_cond_broadcast(&c->turn);
	else if (READ_ONCE(host_attention[host_this.cpu].want) & HOST_WANT_CALL)
		pthread_cond_signal(&c->idle);
	pthread_mutex_unlock(&c->m);
}

void host_yield(void)
{
	u64 start;

	if (host_hooks) {
		if (host_hooks->turn)
			host_hooks->turn();
		return;
	}
	start = arch_clock_ns();
	if (host_this.naps) {
		host_this.naps--;
		nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
		return;
	}
	sched_yield();
	if (arch_clock_ns() - start > DEAR_NS)
		host_this.naps = NAPS;
}

/* Delay by a random time up to the test's limit, so that answers arrive in any order. */
static void be_late(void)
{
	u32 late = READ_ONCE(host_ipi_faults.late_ns);
	u64 until;

	if (!late)
		return;
	until = arch_clock_ns() + (arch_clock_ns() * 0x9e3779b97f4a7c15ULL >> 32) % late;
	while (arch_clock_ns() < until)
		host_yield();
}

/* Must this wake-up be lost, for a test? */
static bool lost(void)
{
	u32 left = READ_ONCE(host_ipi_faults.drop);

	while (left && !atomic_cas(&host_ipi_faults.drop, left, left - 1))
		left = READ_ONCE(host_ipi_faults.drop);
	return left > 0;
}

void host_attend(bool waiting)
{
	u32 *want = &host_attention[host_this.cpu].want;

	if (host_this.irqs_off || host_this.irq_depth)
		return;
	/* Clearing the bit is the interrupt's delivery: a later caller sets it again. */
	if (atomic_and(want, ~HOST_WANT_CALL) & HOST_WANT_CALL) {
		host_this.irqs_off = true;
		host_this.irq_depth++;
		be_late();
		smp_call_serve();
		host_this.irq_depth--;
		host_this.irqs_off = false;
	}
	if (READ_ONCE(*want) & HOST_WANT_CPU && !host_this.preempt &&
	    (waiting || arch_clock_ns() - host_cpus[host_this.cpu].since > SLICE_NS))
		pass_cpu();
}

/*
 * The bit is set before the mutex is taken, and a thread that releases the CPU checks it under the
 * mutex.  So either the CPU is found free here and its idle loop is woken, or the CPU's thread
 * finds the bit.
 */
void arch_ipi_call(unsigned cpu)
{
	struct host_cpu *c = &host_cpus[cpu];

	if (unlikely(READ_ONCE(host_ipi_faults.drop)) && lost())
		return;
	atomic_or(&host_attention[cpu].want, HOST_WANT_CALL);
	pthread_mutex_lock(&c->m);
	if (c->next == c->serving)
		pthread_cond_signal(&c->idle);
	pthread_mutex_unlock(&c->m);
}

static void *idle_loop(void *arg)
{
	struct host_cpu *c = arg;

	host_this.cpu = (unsigned)(c - host_cpus);
	for (;;) {
		pthread_mutex_lock(&c->m);
		while (c->next != c->serving ||
		    !(READ_ONCE(host_attention[host_this.cpu].want) & HOST_WANT_CALL))
			pthread_cond_wait(&c->idle, &c->m);
		pthread_mutex_unlock(&c->m);
		host_cpu_take();
		host_attend(true);
		host_cpu_give();
	}
	return NULL;
}

unsigned host_cpu_choose(int cpu)
{
	unsigned best = nr_cpus - 1, i;

	if (cpu >= 0)
		best = (unsigned)cpu;
	/* From the last CPU down: CPU 0, which runs the test runner, comes last. */
	for (i = nr_cpus - 1; cpu < 0 && i-- > 0;)
		if (READ_ONCE(host_cpus[i].threads) < READ_ONCE(host_cpus[best].threads))
			best = i;
	counter_add(&host_cpus[best].threads, 1);
	return best;
}

void host_cpu_leave(unsigned cpu)
{
	counter_add(&host_cpus[cpu].threads, -1);
}

void host_cpus_start(unsigned nr)
{
	pthread_t idle;
	unsigned i;

	nr_cpus = nr;
	/* Sleeps of threads started from here on end without extra delay. */
	prctl(PR_SET_TIMERSLACK, 1);
	for (i = 0; i < nr; i++) {
		pthread_mutex_init(&host_cpus[i].m, NULL);
		pthread_cond_init(&host_cpus[i].turn, NULL);
		pthread_cond_init(&host_cpus[i].idle, NULL);
	}
	host_cpu_choose(0);
	host_cpu_take();
	for (i = 0; i < nr; i++) {
		if (pthread_create(&idle, NULL, idle_loop, &host_cpus[i]) || pthread_detach(idle))
			panic("host: no pthread for CPU %u", i);
	}
}
