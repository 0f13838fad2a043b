/* SPDX-License-Identifier: MIT */
/*
 * porting_check.c: what mm/ relies on in port.h and arch.h, looked at from outside: `make porting-check PORT=...`.
 *
 * A check that needs more than the port has, another CPU or threads, is skipped and says so.  Each wait is bounded, so
 * that a wrong port fails and does not hang, but for one that never returns from a function itself.
 *
 * Owns:       its own locks and counters.
 * Locks:      `zone', of RANK_ZONE, also in calls.
 * Invariants: none.
 */
#include "porting_check.h"
#include <quarry/errno.h>
#include <quarry/mm_types.h>

#define MS           1000000ULL
#define PATIENCE     (2000 * MS)
#define MAX_CPUS     256
#define ADDS         2000u
#define ROUNDS       200u
#define EXPECT(cond) expect((cond), #cond, __LINE__)

/* Only the whole library needs these, so a port of the core may lack them. */
#pragma weak thread_start
#pragma weak thread_join
#pragma weak thread_yield
#pragma weak thread_sleep
#pragma weak threads_had_turn

enum needs { NOTHING, CPUS = 1, THREADS = 2 };

static struct spinlock zone = SPINLOCK("porting zone", RANK_ZONE), lru = SPINLOCK("porting lru", RANK_LRU);
static bool failed;

static void expect(bool good, const char *what, int line)
{
	if (good)
		return;
	if (!READ_ONCE(failed))
		printk("  %s:%d: expected %s\n", "porting_check.c", line, what);
	WRITE_ONCE(failed, true);
}

static bool late(u64 since)
{
	return arch_clock_ns() - since > PATIENCE;
}

/* Wait, with irqs as they are, until *@word is at least @value.  False: not in time. */
static bool becomes(const u32 *word, u32 value)
{
	u64 since = arch_clock_ns();

	while (load_acquire(word) < value && !late(since))
		cpu_relax();
	return load_acquire(word) >= value;
}

static unsigned nr_online(void)
{
	unsigned cpu, nr = 0;

	for (cpu = 0; cpu < nr_cpus; cpu++)
		nr += cpumask_test(cpu_online_mask, cpu);
	return nr;
}

/* Some other CPU that is online; there is one. */
static unsigned other_cpu(void)
{
	unsigned cpu = 0;

	while (cpu == arch_cpu_id() || !cpumask_test(cpu_online_mask, cpu))
		cpu++;
	return cpu;
}

static cpumask_t *only(unsigned cpu)
{
	static cpumask_t mask[CPUMASK_WORDS(MAX_CPUS)];

	memset(mask, 0, sizeof(mask));
	cpumask_set(mask, cpu);
	return mask;
}

/* ---- interrupts and locks ---- */

static void interrupts_off_nest(void)
{
	irqflags_t outer, inner;

	EXPECT(arch_irqs_enabled() && !arch_in_interrupt());
	outer = arch_irq_save();
	EXPECT(!arch_irqs_enabled());
	inner = arch_irq_save();
	arch_irq_restore(inner);
	EXPECT(!arch_irqs_enabled());
	arch_irq_restore(outer);
	EXPECT(arch_irqs_enabled());
}

static void lock_is_held_until_released(void) NO_LOCK_ANALYSIS
{
	EXPECT(!spin_is_held(&zone) && spin_depth() == 0);
	spin_lock(&zone);
	EXPECT(spin_is_held(&zone) && spin_depth() == 1);
	spin_unlock(&zone);
	EXPECT(!spin_is_held(&zone) && spin_depth() == 0);
}

static void irqsave_turns_interrupts_off(void) NO_LOCK_ANALYSIS
{
	irqflags_t outer = spin_lock_irqsave(&lru), inner;

	EXPECT(!arch_irqs_enabled());
	inner = spin_lock_irqsave(&zone);
	EXPECT(spin_depth() == 2 && spin_is_held(&lru) && spin_is_held(&zone));
	spin_unlock_irqrestore(&zone, inner);
	EXPECT(!arch_irqs_enabled() && spin_depth() == 1);
	spin_unlock_irqrestore(&lru, outer);
	EXPECT(arch_irqs_enabled() && spin_depth() == 0);
}

static void zeroed_memory_is_an_unlocked_lock(void) NO_LOCK_ANALYSIS
{
	static struct spinlock zeroed;

	spin_lock(&zeroed);
	EXPECT(spin_is_held(&zeroed));
	spin_unlock(&zeroed);
}

static struct {
	u32 here, seen, wrong, sum;
} all;

/* Add in two steps that another CPU may come between, unless the lock keeps it out. */
static void add_under_lock(void *arg) NO_LOCK_ANALYSIS
{
	unsigned i;

	atomic_add(&all.here, 1u);
	becomes(&all.here, *(unsigned *)arg);
	for (i = 0; i < ADDS; i++) {
		u32 sum;

		spin_lock(&zone);
		sum = READ_ONCE(all.sum);
		if (i % 16 == 0)
			cpu_relax();
		WRITE_ONCE(all.sum, sum + 1);
		spin_unlock(&zone);
	}
}

static void lock_keeps_other_cpus_out(void)
{
	unsigned nr = nr_online();

	all.here = all.sum = 0;
	smp_call_mask(NULL, add_under_lock, &nr);
	EXPECT(all.sum == nr * ADDS);
}

/* On the first CPU that comes: hold the lock until the others have looked whose it is. */
static void look_whose_lock(void *arg) NO_LOCK_ANALYSIS
{
	if (atomic_add(&all.here, 1u) == 0) {
		spin_lock(&zone);
		store_release(&all.sum, 1u);
		becomes(&all.seen, *(unsigned *)arg - 1);
		if (!spin_is_held(&zone))
			atomic_add(&all.wrong, 1u);
		spin_unlock(&zone);
		return;
	}
	if (becomes(&all.sum, 1) && (spin_is_held(&zone) || spin_depth()))
		atomic_add(&all.wrong, 1u);
	atomic_add(&all.seen, 1u);
}

static void lock_of_another_cpu_is_not_ours(void)
{
	unsigned nr = nr_online();

	memset(&all, 0, sizeof(all));
	smp_call_mask(NULL, look_whose_lock, &nr);
	EXPECT(all.wrong == 0);
}

/* ---- cross-calls ---- */

static struct {
	u32 runs[MAX_CPUS], bad, payload[MAX_CPUS];
	unsigned caller;
} calls;

static void count_call(void *arg)
{
	unsigned cpu = arch_cpu_id();
	u64 since = arch_clock_ns();

	if (arch_irqs_enabled() || (cpu != calls.caller && !arch_in_interrupt()) || arg != &calls)
		atomic_add(&calls.bad, 1u);
	/* So that a sender that does not wait is caught. */
	while (cpu != calls.caller && arch_clock_ns() - since < MS)
		;
	calls.payload[cpu] += 7;
	calls.runs[cpu]++;
}

static void begin_calls(void)
{
	memset(&calls, 0, sizeof(calls));
	calls.caller = arch_cpu_id();
}

static void call_runs_once_on_every_online_cpu(void)
{
	unsigned cpu, nr = nr_online();

	begin_calls();
	EXPECT(smp_call_mask(NULL, count_call, &calls) == (int)nr - 1);
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		u32 want = cpumask_test(cpu_online_mask, cpu);

		EXPECT(calls.runs[cpu] == want && calls.payload[cpu] == 7 * want);
	}
	EXPECT(calls.bad == 0);
}

static void call_runs_on_cpus_of_the_mask_only(void)
{
	unsigned to = other_cpu(), cpu;

	begin_calls();
	EXPECT(smp_call_mask(only(to), count_call, &calls) == 1);
	for (cpu = 0; cpu < nr_cpus; cpu++)
		EXPECT(calls.runs[cpu] == (cpu == to));
	EXPECT(calls.bad == 0);
}

static void call_to_oneself_is_made_directly(void)
{
	begin_calls();
	EXPECT(smp_call_mask(only(arch_cpu_id()), count_call, &calls) == 0);
	EXPECT(calls.runs[calls.caller] == 1 && calls.bad == 0);
	EXPECT(arch_irqs_enabled());
}

static void call_is_refused_where_it_would_deadlock(void) NO_LOCK_ANALYSIS
{
	irqflags_t flags;

	begin_calls();
	flags = arch_irq_save();
	EXPECT(smp_call_mask(NULL, count_call, &calls) == -EDEADLK);
	arch_irq_restore(flags);
	spin_lock(&zone);
	EXPECT(smp_call_mask(NULL, count_call, &calls) == -EDEADLK);
	spin_unlock(&zone);
	EXPECT(calls.runs[calls.caller] == 0);
	EXPECT(smp_call_mask(only(calls.caller), count_call, &calls) == 0 && calls.runs[calls.caller] == 1);
}

static struct {
	u32 off, on, came, too_early, stop;
} quiet;

static void note_call(void *arg)
{
	if (READ_ONCE(quiet.off) && !READ_ONCE(quiet.on))
		WRITE_ONCE(quiet.too_early, 1u);
	atomic_add(&quiet.came, 1u);
}

/* On the other CPU: interrupts off for a while, in which a call comes. */
static void be_quiet(void *arg)
{
	irqflags_t flags = arch_irq_save();
	u64 since = arch_clock_ns();

	store_release(&quiet.off, 1u);
	while (arch_clock_ns() - since < 20 * MS)
		cpu_relax();
	store_release(&quiet.on, 1u);
	arch_irq_restore(flags);
	becomes(&quiet.came, 1);
}

static void call_waits_while_interrupts_are_off_there(void)
{
	unsigned cpu = other_cpu();
	struct thread *t;

	memset(&quiet, 0, sizeof(quiet));
	t = thread_start("quiet", (int)cpu, be_quiet, NULL);
	EXPECT(t != NULL);
	if (!t)
		return;
	EXPECT(becomes(&quiet.off, 1));
	EXPECT(smp_call_mask(only(cpu), note_call, NULL) == 1);
	EXPECT(quiet.came == 1 && !quiet.too_early);
	thread_join(t);
}

static u32 total;

static void add_one(void *arg)
{
	atomic_add(&total, 1u);
}

static void call_often(void *arg)
{
	unsigned i;

	for (i = 0; i < ROUNDS; i++)
		smp_call_mask(NULL, add_one, NULL);
}

/* Run @fn(@arg) in a thread on each CPU that is online, and wait for all. */
static unsigned on_all(void (*fn)(void *), void *arg)
{
	static struct thread *threads[MAX_CPUS];
	unsigned cpu, nr = 0;

	for (cpu = 0; cpu < nr_cpus; cpu++) {
		threads[cpu] = cpumask_test(cpu_online_mask, cpu) ? thread_start("all", (int)cpu, fn, arg) : NULL;
		nr += threads[cpu] != NULL;
	}
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		if (threads[cpu])
			thread_join(threads[cpu]);
	}
	return nr;
}

static void calls_of_all_cpus_at_once_all_arrive(void)
{
	unsigned nr;

	total = 0;
	nr = on_all(call_often, NULL);
	EXPECT(nr == nr_online() && total == nr * nr * ROUNDS);
}

/* ---- this CPU's caches ---- */

static void use_own_cache(void *arg)
{
	const size_t count = offsetof(struct pcp, count), tracing = offsetof(struct pcp, tracing);
	unsigned cpu = arch_cpu_id(), i;

	for (i = 0; i < 2; i++) {
		arch_pcp_store(count, i, 1000 + 2 * cpu + i);
		atomic_add(&all.here, 1u);
		becomes(&all.here, (i + 1) * *(unsigned *)arg);
	}
	for (i = 0; i < 2; i++) {
		if (arch_pcp_load(count, i) != 1000 + 2 * cpu + i)
			atomic_add(&all.wrong, 1u);
		arch_pcp_store(count, i, 0);
	}
	if (arch_pcp_test(tracing) || arch_pcp_load_ptr(offsetof(struct pcp, slot), 0) != NULL)
		atomic_add(&all.wrong, 1u);
}

static void each_cpu_has_a_cache_of_its_own(void)
{
	unsigned nr = nr_online();

	memset(&all, 0, sizeof(all));
	smp_call_mask(NULL, use_own_cache, &nr);
	EXPECT(all.wrong == 0);
}

/* And RAM lies in one piece where the kernel sees it. */
static void memmap_is_aligned(void)
{
	EXPECT((uintptr_t)ARCH_MEMMAP % MEMMAP_ALIGN == 0);
	EXPECT((uintptr_t)ARCH_PAGEBLOCKS % _Alignof(struct pageblock) == 0);
	EXPECT((char *)arch_phys_to_virt(PAGE_SIZE) - (char *)arch_phys_to_virt(0) == PAGE_SIZE);
}

/* ---- time and waiting ---- */

static void clock_goes_on_and_never_back(void)
{
	u64 start = arch_clock_ns(), last = start, now = start;
	unsigned i;

	for (i = 0; i < 100000; i++) {
		now = arch_clock_ns();
		EXPECT(now >= last);
		last = now;
	}
	EXPECT(now > start);
}

static bool never(void *arg)
{
	EXPECT(spin_depth() == 0 && arch_irqs_enabled());
	return false;
}

static bool at_once(void *arg)
{
	return true;
}

static void wait_ends_with_its_time(void)
{
	static struct waitq wq = WAITQ("porting never");
	u64 since = arch_clock_ns(), waited;

	EXPECT(!wait_until(&wq, never, NULL, 5 * MS));
	waited = arch_clock_ns() - since;
	EXPECT(waited >= 5 * MS && waited < PATIENCE);
	EXPECT(wait_until(&wq, at_once, NULL, 0));
	EXPECT(wait_until(&wq, at_once, NULL, WAIT_FOREVER));
	wake_up(&wq);
}

static struct {
	struct waitq wq;
	u32 turn;
} ball = {.wq = WAITQ("porting ball")};

static bool is_turn(void *turn)
{
	return load_acquire(&ball.turn) >= *(u32 *)turn;
}

static void throw_back(void *arg)
{
	u32 turn;

	for (turn = 1; turn < 2 * ROUNDS; turn += 2) {
		if (!wait_until(&ball.wq, is_turn, &turn, PATIENCE))
			return;
		store_release(&ball.turn, turn + 1);
		wake_up(&ball.wq);
	}
}

/* A wake-up between the question and the sleep counts: else a round lasts as long as the wait may. */
static void no_wake_up_is_lost(void)
{
	struct thread *t;
	u32 turn;

	ball.turn = 0;
	t = thread_start("ball", -1, throw_back, NULL);
	EXPECT(t != NULL);
	if (!t)
		return;
	for (turn = 2; turn <= 2 * ROUNDS && !failed; turn += 2) {
		store_release(&ball.turn, turn - 1);
		wake_up(&ball.wq);
		EXPECT(wait_until(&ball.wq, is_turn, &turn, PATIENCE));
	}
	store_release(&ball.turn, 2 * ROUNDS);
	wake_up(&ball.wq);
	thread_join(t);
}

static void wake_from_call(void *arg)
{
	store_release(&ball.turn, 1u);
	wake_up(&ball.wq);
}

static void call_later(void *arg)
{
	thread_sleep(5 * MS);
	smp_call_mask(only(*(unsigned *)arg), wake_from_call, NULL);
}

static void sleeper_is_woken_from_a_call(void)
{
	unsigned self = arch_cpu_id();
	struct thread *t;
	u32 turn = 1;

	ball.turn = 0;
	t = thread_start("caller", (int)other_cpu(), call_later, &self);
	EXPECT(t != NULL);
	if (!t)
		return;
	EXPECT(wait_until(&ball.wq, is_turn, &turn, PATIENCE));
	thread_join(t);
}

/* ---- threads ---- */

static struct mutex mutex = MUTEX("porting mutex");

static void add_under_mutex(void *arg) NO_LOCK_ANALYSIS
{
	unsigned i;

	for (i = 0; i < ROUNDS; i++) {
		u32 sum;

		mutex_lock(&mutex);
		sum = READ_ONCE(all.sum);
		if (i % 32 == 0)
			thread_yield();
		WRITE_ONCE(all.sum, sum + 1);
		mutex_unlock(&mutex);
	}
}

static void mutex_keeps_other_threads_out(void)
{
	all.sum = 0;
	EXPECT(on_all(add_under_mutex, NULL) * ROUNDS == all.sum);
}

static struct mm_task *tasks[MAX_CPUS];

static void note_thread(void *arg)
{
	unsigned cpu = arch_cpu_id();
	struct mm_task *task = port_task();
	u64 since = arch_clock_ns();

	if (task->in_alloc || task->reserve || task->account || task == *(struct mm_task **)arg)
		atomic_add(&all.wrong, 1u);
	tasks[cpu] = task;
	atomic_add(&all.here, 1u);
	while (READ_ONCE(all.here) < nr_online() && !late(since)) /* so that none has another's place */
		thread_yield();
	if (port_task() != task || arch_cpu_id() != cpu)
		atomic_add(&all.wrong, 1u);
}

static void thread_runs_where_it_is_bound(void)
{
	struct mm_task *own = port_task();
	unsigned cpu, other;

	memset(&all, 0, sizeof(all));
	memset(tasks, 0, sizeof(tasks));
	EXPECT(on_all(note_thread, &own) == nr_online() && all.wrong == 0);
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		EXPECT(!cpumask_test(cpu_online_mask, cpu) || tasks[cpu]);
		for (other = 0; tasks[cpu] && other < cpu; other++)
			EXPECT(tasks[other] != tasks[cpu]);
	}
}

static void sleep_lasts_as_long_as_asked(void)
{
	u64 since = arch_clock_ns();

	thread_sleep(5 * MS);
	EXPECT(arch_clock_ns() - since >= 5 * MS);
}

static void all_threads_have_their_turn(void)
{
	u64 since = arch_clock_ns();

	while (!threads_had_turn(since) && !late(since))
		thread_yield();
	EXPECT(threads_had_turn(since));
}

/* ---- strings ---- */

static void bytes_are_copied_and_set(void)
{
	char text[16] = "0123456789", copy[16];

	memset(copy, 'x', sizeof(copy));
	memcpy(copy, text, 4);
	EXPECT(copy[3] == '3' && copy[4] == 'x' && copy[15] == 'x');
	memmove(text + 2, text, 8);
	EXPECT(text[1] == '1' && text[2] == '0' && text[9] == '7');
	memmove(text, text + 2, 8);
	EXPECT(text[0] == '0' && text[7] == '7');
}

static const struct {
	const char *name;
	void (*run)(void);
	unsigned needs;
} checks[] = {
#define CHECK(name, needs) {#name, name, needs}
    CHECK(interrupts_off_nest, NOTHING),
    CHECK(lock_is_held_until_released, NOTHING),
    CHECK(irqsave_turns_interrupts_off, NOTHING),
    CHECK(zeroed_memory_is_an_unlocked_lock, NOTHING),
    CHECK(lock_keeps_other_cpus_out, CPUS),
    CHECK(lock_of_another_cpu_is_not_ours, CPUS),
    CHECK(call_runs_once_on_every_online_cpu, NOTHING),
    CHECK(call_runs_on_cpus_of_the_mask_only, CPUS),
    CHECK(call_to_oneself_is_made_directly, NOTHING),
    CHECK(call_is_refused_where_it_would_deadlock, NOTHING),
    CHECK(call_waits_while_interrupts_are_off_there, CPUS | THREADS),
    CHECK(calls_of_all_cpus_at_once_all_arrive, CPUS | THREADS),
    CHECK(each_cpu_has_a_cache_of_its_own, NOTHING),
    CHECK(memmap_is_aligned, NOTHING),
    CHECK(clock_goes_on_and_never_back, NOTHING),
    CHECK(wait_ends_with_its_time, NOTHING),
    CHECK(no_wake_up_is_lost, THREADS),
    CHECK(sleeper_is_woken_from_a_call, CPUS | THREADS),
    CHECK(mutex_keeps_other_threads_out, THREADS),
    CHECK(thread_runs_where_it_is_bound, THREADS),
    CHECK(sleep_lasts_as_long_as_asked, THREADS),
    CHECK(all_threads_have_their_turn, THREADS),
    CHECK(bytes_are_copied_and_set, NOTHING),
};

static void nothing(void *arg)
{
}

/* Are there threads, and not only a function that says no? */
static bool have_threads(void)
{
	struct thread *t = thread_start ? thread_start("first", -1, nothing, NULL) : NULL;

	if (t)
		thread_join(t);
	return t;
}

int porting_check(void)
{
	unsigned have = (nr_online() > 1 ? CPUS : 0) | (have_threads() ? THREADS : 0), i, bad = 0, skipped = 0;

	if (nr_cpus > MAX_CPUS) {
		printk("porting-check: more than %d CPUs\n", MAX_CPUS);
		return 1;
	}
	for (i = 0; i < ARRAY_SIZE(checks); i++) {
		if (checks[i].needs & ~have) {
			printk("skipped %s: there is no %s\n", checks[i].name,
			    checks[i].needs & ~have & CPUS ? "other CPU" : "thread_start");
			skipped++;
			continue;
		}
		failed = false;
		checks[i].run();
		printk("%s %s\n", failed ? "not ok" : "ok", checks[i].name);
		bad += failed;
	}
	printk("porting-check: %u passed, %u failed, %u skipped, on %u CPU%s\n",
	    (unsigned)ARRAY_SIZE(checks) - bad - skipped, bad, skipped, nr_online(),
	    nr_online() == 1 ? "" : "s");
	return (int)bad;
}
