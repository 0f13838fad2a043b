/* SPDX-License-Identifier: MIT */
/*
 * host_port.c: waiting, threads, log and panic of port.h, for a Linux process.
 *
 * Owns:       every struct thread; the sleepers, of which only a count and the number of the last
 *             wake-up are kept, for all wait queues together.
 * Locks:      wake_lock and print_lock, pthread mutexes, innermost.
 * Invariants: no thread sleeps with a CPU's token.
 */
#include "host.h"
#include <execinfo.h>
#include <pthread.h>
#include <quarry/console.h>
#include <quarry/errno.h>
#include <quarry/log_ring.h>
#include <quarry/mm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct thread {
	pthread_t pthread;
	unsigned cpu;
	const char *name;
	void (*fn)(void *);
	void *arg;
	const struct watch *watch; /* of the thread that started it */
};

static pthread_mutex_t wake_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake_cond;
static u64 wake_nr;   /* wake_lock: number of wake-ups that found a waiter */
static u32 nr_asleep; /* atomic: threads in wait_until, asleep or about to be */
static pthread_mutex_t print_lock = PTHREAD_MUTEX_INITIALIZER;
static __thread struct mm_task task;

struct mm_task *port_task(void)
{
	return &task;
}

static struct timespec to_timespec(u64 ns)
{
	ns -= READ_ONCE(hosted_clock_ahead);
	return (struct timespec){
	    .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
}

static void init_wake_cond(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&wake_cond, &attr);
	pthread_condattr_destroy(&attr);
}

/* Sleep without the CPU until the wake-up after number @nr, or until @deadline. */
static void sleep_until_woken(u64 nr, u64 deadline)
{
	struct timespec ts = to_timespec(deadline);

	host_cpu_give();
	pthread_mutex_lock(&wake_lock);
	while (wake_nr == nr) {
		if (deadline == WAIT_FOREVER)
			pthread_cond_wait(&wake_cond, &wake_lock);
		else if (pthread_cond_timedwait(&wake_cond, &wake_lock, &ts))
			break;
	}
	pthread_mutex_unlock(&wake_lock);
	host_cpu_take();
}

static void assert_may_sleep(void)
{
	if (host_this.irqs_off || host_this.irq_depth || host_this.preempt)
		panic("host: sleeping with interrupts or preemption off");
}

/*
 * No wake-up is lost.  The sleeper counts itself, reads the number of the last wake-up, and then
 * checks its condition.  The waker makes the condition true and then reads the count.  Both sides
 * are sequentially consistent.  So either the sleeper sees the condition, or the waker sees the
 * sleeper and changes the number, which the sleeper compares under the lock before it sleeps.
 */
bool wait_until(struct waitq *wq, bool (*cond)(void *), void *arg, u64 timeout_ns)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	u64 now = arch_clock_ns(), nr;
	u64 deadline = timeout_ns > WAIT_FOREVER - now ? WAIT_FOREVER : now + timeout_ns;
	bool done;

	assert_may_sleep();
	pthread_once(&once, init_wake_cond);
	while (!(done = cond(arg)) && arch_clock_ns() < deadline) {
		atomic_add(&nr_asleep, 1);
		pthread_mutex_lock(&wake_lock);
		nr = wake_nr;
		pthread_mutex_unlock(&wake_lock);
		done = cond(arg);
		if (!done)
			sleep_until_woken(nr, deadline);
		atomic_sub(&nr_asleep, 1);
		if (done)
			break;
	}
	return done;
}

/*
 * All threads sleep at one condition variable: each checks its own condition, and may sleep again.
 */
void wake_up_locked(struct waitq *wq, const void *arg)
{
	if (!atomic_add(&nr_asleep, 0))
		return;
	pthread_mutex_lock(&wake_lock);
	wake_nr++;
	pthread_cond_broadcast(&wake_cond);
	pthread_mutex_unlock(&wake_lock);
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	host_this.cpu = t->cpu;
	host_cpu_take();
	watch_set(t->watch);
	t->fn(t->arg);
	assert_may_sleep();
	host_cpu_give();
	return NULL;
}

struct thread *thread_start(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	struct thread *t;

	assert_may_sleep();
	if (cpu >= (int)nr_cpus)
		return NULL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	*t = (struct thread){
	    .cpu = host_cpu_choose(cpu), .name = name, .fn = fn, .arg = arg, .watch = watch_get()};
	if (pthread_create(&t->pthread, NULL, thread_main, t)) {
		host_cpu_leave(t->cpu);
		free(t);
		return NULL;
	}
	return t;
}

void thread_join(struct thread *t)
{
	assert_may_sleep();
	host_cpu_give();
	pthread_join(t->pthread, NULL);
	host_cpu_take();
	host_cpu_leave(t->cpu);
	free(t);
}

void thread_yield(void)
{
	assert_may_sleep();
	host_attend(true);
	host_yield();
}

void thread_sleep(u64 ns)
{
	struct timespec ts = to_timespec(arch_clock_ns() + ns);

	assert_may_sleep();
	host_cpu_give();
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL))
		;
	host_cpu_take();
}

/* print_lock: the latest output, and the total number of bytes. */
static char log_bytes[16384];
static struct log_ring printed = {.bytes = log_bytes, .size = sizeof(log_bytes)};

void printk(const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (host_hooks && host_hooks->say(text))
		return;
	pthread_mutex_lock(&print_lock);
	fputs(text, stdout);
	fflush(stdout);
	log_ring_put(&printed, text, (size_t)MIN(len, (int)sizeof(text) - 1));
	pthread_mutex_unlock(&print_lock);
}

u64 log_position(void)
{
	u64 end;

	pthread_mutex_lock(&print_lock);
	end = printed.end;
	pthread_mutex_unlock(&print_lock);
	return end;
}

size_t log_read(u64 *pos, char *buf, size_t size)
{
	size_t n;

	pthread_mutex_lock(&print_lock);
	n = log_ring_get(&printed, pos, buf, size);
	pthread_mutex_unlock(&print_lock);
	return n;
}

void panic(const char *fmt, ...)
{
	char text[512];
	void *frames[32];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	WATCH(panic, text);
	/* Without print_lock: the panic message must come out. */
	printf("\nPANIC on CPU %u: %s\n", host_this.cpu, text);
	fflush(stdout);
	memory_panic_page();
	memory_panic_events();
	backtrace_symbols_fd(frames, backtrace(frames, 32), STDOUT_FILENO);
	abort();
}
