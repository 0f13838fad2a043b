/* SPDX-License-Identifier: MIT */
/*
 * porting_check.c: checks that a port does what mm/ relies on in port.h and arch.h: `make
 * porting-check PORT=...`.
 *
 * A check is skipped, and says so, if it needs another CPU or threads that the port lacks.  Each
 * wait is bounded, so that a wrong port fails and does not hang, unless one of its functions never
 * returns.
 *
 * Owns:       its own locks and counters.
 * Locks:      `zone' (RANK_ZONE), also in cross-calls; `lru' (RANK_LRU) around it.
 * Invariants: none.
 */
#include "porting_tests.h"

static struct spinlock zone = SPINLOCK("porting zone", RANK_ZONE),
                       lru = SPINLOCK("porting lru", RANK_LRU);
bool porting_failed;

void porting_expect(bool good, const char *what, const char *file, int line)
{
	if (good)
		return;
	if (!READ_ONCE(porting_failed))
		printk("  %s:%d: expected %s\n", file, line, what);
	WRITE_ONCE(porting_failed, true);
}

bool porting_late(u64 since)
{
	return arch_clock_ns() - since > PATIENCE;
}

/* Wait, with irqs as they are, until *@word is at least @value.  False: not in time. */
bool porting_becomes(const u32 *word, u32 value)
{
	u64 since = arch_clock_ns();

	while (load_acquire(word) < value && !porting_late(since))
		cpu_relax();
	return load_acquire(word) >= value;
}

unsigned porting_cpus(void)
{
	unsigned cpu, nr = 0;

	for (cpu = 0; cpu < nr_cpus; cpu++)
		nr += cpumask_test(cpu_online_mask, cpu);
	return nr;
}

/* Another CPU that is online; there must be one. */
unsigned porting_other_cpu(void)
{
	unsigned cpu = 0;

	while (cpu == arch_cpu_id() || !cpumask_test(cpu_online_mask, cpu))
		cpu++;
	return cpu;
}

cpumask_t *porting_only(unsigned cpu)
{
	static cpumask_t mask[CPUMASK_WORDS(MAX_CPUS)];

	memset(mask, 0, sizeof(mask));
	cpumask_set(mask, cpu);
	return mask;
}

/* Run @fn(@arg) in a thread on each CPU that is online, and wait for all; returns their number. */
unsigned porting_on_all(void (*fn)(void *), void *arg)
{
	static struct thread *threads[MAX_CPUS];
	unsigned cpu, nr = 0;

	for (cpu = 0; cpu < nr_cpus; cpu++) {
		threads[cpu] = cpumask_test(cpu_online_mask, cpu)
		    ? thread_start("all", (int)cpu, fn, arg)
		    : NULL;
		nr += threads[cpu] != NULL;
	}
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		if (threads[cpu])
			thread_join(threads[cpu]);
	}
	return nr;
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

/* Add in two steps, between which other CPUs would add if the lock did not keep them out. */
static void add_under_lock(void *arg) NO_LOCK_ANALYSIS
{
	unsigned i;

	atomic_add(&all.here, 1u);
	porting_becomes(&all.here, *(unsigned *)arg);
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
	unsigned nr = porting_cpus();

	all.here = all.sum = 0;
	smp_call_mask(NULL, add_under_lock, &nr);
	EXPECT(all.sum == nr * ADDS);
}

/* The first CPU holds the lock until the others have checked that they do not hold it. */
static void look_whose_lock(void *arg) NO_LOCK_ANALYSIS
{
	if (atomic_add(&all.here, 1u) == 0) {
		spin_lock(&zone);
		store_release(&all.sum, 1u);
		porting_becomes(&all.seen, *(unsigned *)arg - 1);
		if (!spin_is_held(&zone))
			atomic_add(&all.wrong, 1u);
		spin_unlock(&zone);
		return;
	}
	if (porting_becomes(&all.sum, 1) && (spin_is_held(&zone) || spin_depth()))
		atomic_add(&all.wrong, 1u);
	atomic_add(&all.seen, 1u);
}

static void lock_of_another_cpu_is_not_ours(void)
{
	unsigned nr = porting_cpus();

	memset(&all, 0, sizeof(all));
	smp_call_mask(NULL, look_whose_lock, &nr);
	EXPECT(all.wrong == 0);
}

/* Also checks that page 1 is mapped right behind page 0. */
static void arrays_are_aligned(void)
{
	EXPECT((uintptr_t)ARCH_MEMMAP % _Alignof(struct page) == 0);
	EXPECT((uintptr_t)ARCH_PAGEBLOCKS % _Alignof(struct pageblock) == 0);
	EXPECT((char *)arch_phys_to_virt(PAGE_SIZE) - (char *)arch_phys_to_virt(0) == PAGE_SIZE);
}

/* ---- sets of CPUs ---- */

/* All bits must work, even if words of the mask have only 32 bits. */
static void mask_has_a_bit_for_each_cpu(void)
{
	static cpumask_t mask[CPUMASK_WORDS(MAX_CPUS)];
	unsigned cpu, other;

	for (cpu = 0; cpu < MAX_CPUS; cpu++) {
		cpumask_set(mask, cpu);
		for (other = 0; other < MAX_CPUS; other++)
			EXPECT(cpumask_test(mask, other) == (other == cpu));
		cpumask_clear(mask, cpu);
	}
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

enum needs { NOTHING, CPUS = 1, THREADS = 2 };

static const struct {
	const char *name;
	void (*run)(void);
	unsigned needs;
} checks[] = {
#define CHECK(name, needs)                                                                         \
	{                                                                                          \
#name, name, needs                                                                 \
	}
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
    CHECK(arrays_are_aligned, NOTHING),
    CHECK(mask_has_a_bit_for_each_cpu, NOTHING),
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

/* Can a thread be started?  A port without threads may lack thread_start, or return NULL. */
static bool have_threads(void)
{
	struct thread *t = thread_start ? thread_start("first", -1, nothing, NULL) : NULL;

	if (t)
		thread_join(t);
	return t;
}

int porting_check(void)
{
	unsigned have = (porting_cpus() > 1 ? CPUS : 0) | (have_threads() ? THREADS : 0), i,
	         bad = 0, skipped = 0;

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
		porting_failed = false;
		checks[i].run();
		printk("%s %s\n", porting_failed ? "not ok" : "ok", checks[i].name);
		bad += porting_failed;
	}
	printk("porting-check: %u passed, %u failed, %u skipped, on %u CPU%s\n",
	    (unsigned)ARRAY_SIZE(checks) - bad - skipped, bad, skipped, porting_cpus(),
	    porting_cpus() == 1 ? "" : "s");
	return (int)bad;
}
