/* SPDX-License-Identifier: MIT */
/*
 * host_fuzz.c: arch.h and port.h for the fuzz targets: several CPUs, one thread.
 *
 * The target chooses its CPU by writing host_this.cpu. A cross-call runs immediately, on one CPU of
 * the mask after the other. A thread of mm/ runs when another thread would wait for its work, until
 * it would sleep itself. Time passes when a thread would wait, and by 1 ns when the clock is read.
 * So every input runs the same way each time, and a wait without an end panics.
 *
 * Replaces host_cpu.c, host_port.c, host_call.c and host_main.c; host_lock.c is the same.
 *
 * Owns: host_this, the threads, the clock.
 */
#include "fuzz.h"
#include "host.h"
#include <quarry/errno.h>
#include <quarry/machine.h>
#include <quarry/smp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define YIELD_NS    100000000ULL
#define MAX_THREADS 16

struct thread {
	void (*fn)(void *);
	void *arg;
	struct mm_task task;
};

char host_memmap[HOST_PAGES * sizeof(struct page)] __attribute__((aligned(4096)));
char host_pageblocks[HOST_PAGEBLOCKS * sizeof(struct pageblock)] __attribute__((aligned(4096)));
struct pageblock_tree host_trees[HOST_PAGEBLOCKS];
char host_ram[HOST_PAGES << PAGE_SHIFT] __attribute__((aligned(1 << 21)));
__thread struct host_this host_this;
struct host_attention host_attention[HOST_MAX_CPUS];
unsigned nr_cpus = 4;

static cpumask_t online[CPUMASK_WORDS(HOST_MAX_CPUS)];
cpumask_t *cpu_online_mask = online;
struct rwsem cpu_hotplug = RWSEM("cpu_hotplug");
struct smp_stats smp_stats;
u64 smp_timeout_ns = 10000000000ULL, smp_worst_ns;

static struct thread threads[MAX_THREADS];
static struct thread *running; /* NULL: the target itself */
static jmp_buf would_sleep;
static struct mm_task main_task;
static jmp_buf held_here;
static __thread bool held; /* a call runs on another CPU; libFuzzer has threads, too */
static u64 now;
static int verbose = -1;

void host_fuzz_reset(unsigned cpus)
{
	online[0] = (1UL << cpus) - 1;
	nr_cpus = cpus;
	host_this = (struct host_this){0};
	memset(threads, 0, sizeof(threads));
	memset(&smp_stats, 0, sizeof(smp_stats));
	main_task = (struct mm_task){0};
	smp_timeout_ns = 10000000000ULL;
	now = 1000000000;
}

/* ---- arch.h ---- */

u64 arch_clock_ns(void)
{
	return now++;
}

unsigned arch_cpu_node(unsigned cpu)
{
	return cpu % 2;
}

void *arch_boot_zalloc(size_t bytes)
{
	return calloc(1, bytes);
}

void arch_ipi_call(unsigned cpu)
{
}

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
}

void host_attend(bool waiting)
{
}

/* ---- cross-calls ---- */

bool smp_call_pending(void)
{
	return false;
}

void smp_call_serve(void)
{
}

static void run_on(unsigned cpu, void (*fn)(void *), void *arg)
{
	struct host_this before = host_this;

	host_this.cpu = cpu;
	host_this.irqs_off = true;
	host_this.irq_depth += cpu != before.cpu;
	do {
		port_task()->call_again = false;
		fn(arg);
	} while (port_task()->call_again);
	host_this = before;
}

/*
 * The body of cpu_relax. A thread that spins here spins for ever, with one exception: a CPU that
 * check_memory holds. That CPU has arrived, which is enough for the check, so its call ends here.
 */
void host_yield(void)
{
	if (held)
		longjmp(held_here, 1);
}

int smp_call_mask(const cpumask_t *mask, void (*fn)(void *), void *arg)
{
	struct host_this before = host_this;
	volatile unsigned cpu;
	volatile int asked = 0;

	if (!arch_irqs_enabled() || spin_depth() || arch_in_interrupt()) {
		counter_add(&smp_stats.bad_context, 1);
		return -EDEADLK;
	}
	if (port_task()->in_alloc)
		panic("fuzz: a cross-call inside an allocation");
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		if (cpu == before.cpu || (mask && !cpumask_test(mask, cpu)))
			continue;
		asked++;
		held = true;
		if (!setjmp(held_here))
			run_on(cpu, fn, arg);
		held = false;
		host_this = before;
	}
	if (!mask || cpumask_test(mask, before.cpu))
		run_on(before.cpu, fn, arg);
	return asked;
}

void host_fuzz_cpu(unsigned cpu)
{
	host_this.cpu = cpu;
}

/* ---- threads and waiting ---- */

struct mm_task *port_task(void)
{
	return running ? &running->task : &main_task;
}

struct thread *thread_start(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	unsigned i;

	for (i = 0; i < MAX_THREADS; i++) {
		if (!threads[i].fn) {
			threads[i] = (struct thread){.fn = fn, .arg = arg};
			return &threads[i];
		}
	}
	return NULL;
}

void thread_join(struct thread *t)
{
	*t = (struct thread){0};
}

/*
 * Run each thread from its start to the place where it would sleep. A thread must keep nothing on
 * its stack, because it starts anew each time.
 */
static void run_threads(void)
{
	struct host_this before = host_this;
	volatile unsigned i;

	for (i = 0; i < MAX_THREADS; i++) {
		if (!threads[i].fn)
			continue;
		running = &threads[i];
		host_this = (struct host_this){.cpu = nr_cpus - 1};
		if (!setjmp(would_sleep))
			threads[i].fn(threads[i].arg);
		running = NULL;
		host_this = before;
	}
}

bool wait_until(struct waitq *wq, bool (*cond)(void *), void *arg, u64 timeout_ns)
{
	if (host_this.irqs_off || host_this.irq_depth || host_this.preempt || spin_depth())
		panic("fuzz: sleeping with interrupts or preemption off, or a lock held");
	if (cond(arg))
		return true;
	if (running)
		longjmp(would_sleep, 1);
	run_threads();
	if (cond(arg))
		return true;
	if (timeout_ns == WAIT_FOREVER)
		panic("fuzz: sleeps for ever");
	now += timeout_ns;
	return false;
}

void wake_up_locked(struct waitq *wq, const void *arg)
{
}

void thread_yield(void)
{
	now += YIELD_NS;
}

void thread_sleep(u64 ns)
{
	now += ns;
}

/* When a thread waits, all others run until they would sleep, so no thread is ever ready. */
bool threads_had_turn(u64 since)
{
	return true;
}

/* ---- log and panic ---- */

bool host_fuzz_log = true;

/* The text is formatted although it is never read: the arguments are part of the test. */
void printk(const char *fmt, ...)
{
	static char line[8192];
	va_list ap;

	if (verbose < 0)
		verbose = getenv("FUZZ_VERBOSE") != NULL;
	if (!verbose && !host_fuzz_log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (verbose)
		fputs(line, stderr);
}

void panic(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "PANIC on CPU %u: ", host_this.cpu);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\n", stderr);
	abort();
}
