/* SPDX-License-Identifier: MIT */
/*
 * smp.c: cross-calls: run a function on other CPUs, in their call interrupt, and wait for it.
 *
 * Each CPU has one slot for the call it makes, and an inbox with a bit for every CPU that calls it.
 * An interrupt only means "check your inbox".  Several interrupts merge into one while the target's
 * interrupts are off; so requests and answers are numbers, not interrupts.
 *
 * Owns:       the slots, the inboxes, the gates; the online mask; smp_stats.
 * Locks:      none.  Nothing is allocated: a call works when memory is used up.
 * Invariants: a CPU has at most one call under way: preemption is off from claiming the slot to the
 *             last answer, and handlers may not call.
 *             A slot's fn and arg do not change while an inbox bit for it is set.  Setting and
 *             taking the bit are full barriers, which order request, fn and arg.
 * Tests:      smp, smp_dead, play_smp, silence_smp, hotplug_race, tests/qemu/test_arch.py.
 */
#include <quarry/errno.h>
#include <quarry/machine.h>
#include <quarry/sched_point.h>
#include <quarry/smp.h>

#define TURNS_PER_LOOK 1024 /* passes of a waiting loop between two readings of the clock */
#define WORST_FACTOR   6    /* times smp_timeout_ns: the longest wait, if smp_worst_ns is 0 */
#define MAX_REPORTS    8    /* the most reports of calls in a wrong context */

/* Letters after fields: a atomic; o only the owner, this CPU. */
struct call_cpu {
	void (*fn)(void *); /* the call this CPU makes: written by it, read by its targets */
	void *arg;
	u64 request;      /* a: number of that call; none comes twice */
	u32 gate;         /* a: odd while this CPU makes a call */
	u32 closed;       /* a: this CPU accepts no calls */
	u64 *answered;    /* a: for each CPU, this slot's last request that the CPU has run */
	cpumask_t *asked; /* o: targets of the call under way */
	cpumask_t *inbox; /* a: CPUs that call this one */
} __attribute__((aligned(64)));

static struct call_cpu *slots;
static cpumask_t first_online; /* until smp_init: only CPU 0 */
cpumask_t *cpu_online_mask = &first_online;
struct rwsem cpu_hotplug = RWSEM("cpu_hotplug");
struct smp_stats smp_stats;

/* The arrays of one CPU, answered, asked and inbox, lie together in cache lines of their own. */
void smp_init(void)
{
	size_t words = CPUMASK_WORDS(nr_cpus);
	size_t size = ALIGN_UP(2 * words * sizeof(cpumask_t) + nr_cpus * sizeof(u64), 64);
	char *lines = arch_boot_zalloc(nr_cpus * size);
	unsigned cpu;

	slots = arch_boot_zalloc(nr_cpus * sizeof(*slots));
	for (cpu = 0; cpu < nr_cpus; cpu++, lines += size) {
		slots[cpu].inbox = (cpumask_t *)(void *)lines;
		slots[cpu].asked = slots[cpu].inbox + words;
		slots[cpu].answered = (u64 *)(void *)(slots[cpu].asked + words);
	}
	cpu_online_mask = arch_boot_zalloc(words * sizeof(cpumask_t));
	cpu_online_mask[0] = first_online;
}

void cpu_set_online(unsigned cpu)
{
	KASSERT(cpu < nr_cpus);
	WRITE_ONCE(slots[cpu].closed, 0u);
	cpumask_set(cpu_online_mask, cpu);
}

void cpu_clear_online(unsigned cpu)
{
	KASSERT(cpu < nr_cpus);
	cpumask_clear(cpu_online_mask, cpu);
}

unsigned nr_cpus_online(void)
{
	unsigned i, nr = 0;

	for (i = 0; i < CPUMASK_WORDS(nr_cpus); i++)
		nr += count_bits(READ_ONCE(cpu_online_mask[i]));
	return nr;
}

/*
 * The gate.  A sender makes its number odd before it reads the online mask, and even after the last
 * answer.  A CPU that has cleared a bit of the mask and then reads an even number knows that this
 * sender's next read of the mask sees the bit cleared (all these accesses are sequentially
 * consistent).  An odd number belongs to a call that may have seen the bit set: wait until the
 * number changes. Later calls are not waited for.
 *
 * A sender may have died inside its call; then its number stays odd.  So the wait has a limit.  If
 * that sender goes on later, its request to the offline CPU is withdrawn (withdraw).
 */
bool smp_wait_senders(void)
{
	u64 end = arch_clock_ns() + smp_timeout_ns;
	unsigned cpu, late = 0;
	u32 gate;

	for (cpu = 0; cpu < nr_cpus; cpu++) {
		gate = atomic_add(&slots[cpu].gate, 0);
		while (gate % 2 && load_acquire(&slots[cpu].gate) == gate) {
			if (arch_clock_ns() >= end) {
				printk("smp: CPU %u has not ended its call %lu in time\n", cpu,
				    READ_ONCE(slots[cpu].request));
				late++;
				break;
			}
			cpu_relax();
		}
	}
	counter_add(&smp_stats.silent, late > 0);
	return late == 0;
}

bool smp_call_pending(void)
{
	const struct call_cpu *self = &slots[arch_cpu_id()];
	unsigned i;

	for (i = 0; i < CPUMASK_WORDS(nr_cpus); i++)
		if (READ_ONCE(self->inbox[i]))
			return true;
	return false;
}

/* Run fn; true: it must run once more. irqs off, so that the thread stays the same. */
static bool smp_run(void (*fn)(void *), void *arg)
{
	struct mm_task *task = port_task();

	task->call_again = false;
	fn(arg);
	return task->call_again;
}

/*
 * A request whose function must run once more is not answered, so its sender does not change it.
 * The request is put into the inbox again, with an interrupt that comes as soon as this handler
 * returns.  @last: no interrupt will come, so the function runs again here.
 */
static void serve_one(unsigned self, unsigned from, bool last)
{
	struct call_cpu *sender = &slots[from];
	u64 request = READ_ONCE(sender->request);

	if (READ_ONCE(sender->answered[self]) == request)
		return;
	while (smp_run(sender->fn, sender->arg)) {
		sched_point("ipi.again");
		if (last)
			continue;
		cpumask_set(slots[self].inbox, from);
		arch_ipi_call(self);
		return;
	}
	/* Pairs with the acquire in smp_await(): what fn did is visible before it is answered. */
	store_release(&sender->answered[self], request);
}

/*
 * Clear the bits before reading the requests.  A sender that sets a bit after that raises another
 * interrupt, which finds the bit.  In the other order a request between the read and the clearing
 * would be lost, its interrupt having merged with this one.
 */
static void serve_all(unsigned self, bool last)
{
	cpumask_t senders;
	unsigned i;

	for (i = 0; i < CPUMASK_WORDS(nr_cpus); i++) {
		if (!READ_ONCE(slots[self].inbox[i]))
			continue;
		senders = atomic_xchg(&slots[self].inbox[i], 0UL);
		for (; senders; senders &= senders - 1)
			serve_one(self, i * CPUMASK_BITS + (unsigned)__builtin_ctzl(senders), last);
	}
}

void smp_call_serve(void)
{
	unsigned self = arch_cpu_id();

	/*
	 * A call that reaches a closed slot is spurious and counted.  It is served: its sender
	 * waits.
	 */
	counter_add(&smp_stats.spurious_calls, READ_ONCE(slots[self].closed));
	serve_all(self, false);
}

/* This serves calls without an interrupt, so closing a slot again counts no spurious call. */
void smp_call_close(void)
{
	unsigned self = arch_cpu_id();

	serve_all(self, true);
	WRITE_ONCE(slots[self].closed, 1u);
}

bool smp_unanswered(unsigned from, unsigned to)
{
	const struct call_cpu *sender = &slots[from];

	return cpumask_test(sender->asked, to) &&
	    READ_ONCE(sender->answered[to]) != READ_ONCE(sender->request);
}

bool smp_calling(unsigned cpu)
{
	return READ_ONCE(slots[cpu].gate) % 2;
}

/* The interrupts are sent again: they may have been lost. */
static void report_silence(const struct call_cpu *slot, u64 request, bool fatal)
{
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++) {
		if (!cpumask_test(slot->asked, cpu) || READ_ONCE(slot->answered[cpu]) == request)
			continue;
		printk("smp: CPU %u has not answered call %lu of CPU %u, inbox bit %s\n", cpu,
		    request, arch_cpu_id(),
		    cpumask_test(slots[cpu].inbox, arch_cpu_id()) ? "still set" : "taken");
		arch_ipi_call(cpu);
	}
	if (fatal)
		panic("smp: a cross-call of CPU %u was not answered", arch_cpu_id());
	arch_backtrace_self();
	arch_backtrace_others();
	counter_add(&smp_stats.silent, 1);
}

/*
 * Take back a request to a CPU that has closed its slot meanwhile.  False: the slot is open, or the
 * CPU cleared the bit before it closed the slot, and will answer.  After a withdrawal that CPU does
 * not use fn and arg.
 */
static bool withdraw(const struct call_cpu *slot, unsigned cpu, unsigned self)
{
	cpumask_t bit = 1UL << self % CPUMASK_BITS;

	if (likely(!READ_ONCE(slots[cpu].closed)) ||
	    !(atomic_and(&slots[cpu].inbox[self / CPUMASK_BITS], ~bit) & bit))
		return false;
	cpumask_clear(slot->asked, cpu);
	counter_add(&smp_stats.offline_cpu, 1);
	return true;
}

/*
 * Interrupts are on here, so this CPU serves calls of other CPUs while it waits: two CPUs that call
 * each other both finish.
 */
static void smp_await(
    const struct call_cpu *slot, unsigned cpu, u64 request, u64 *since, bool *told)
{
	u32 turns = 0;
	u64 waited;

	while (!sched_look(slot, false, load_acquire(&slot->answered[cpu]) == request)) {
		if (withdraw(slot, cpu, arch_cpu_id()))
			return;
		if (!turns)
			sched_wait("answer");
		cpu_relax();
		if (++turns % TURNS_PER_LOOK)
			continue;
		if (!*since)
			*since = arch_clock_ns();
		waited = arch_clock_ns() - *since;
		if (waited > (smp_worst_ns ? smp_worst_ns : smp_timeout_ns * WORST_FACTOR))
			report_silence(slot, request, true);
		if (waited > smp_timeout_ns && !*told) {
			*told = true;
			report_silence(slot, request, false);
			/* Do not count the time of the report against the target. */
			*since = arch_clock_ns() - waited;
		}
	}
}

/* Choose the targets: the other online CPUs of @mask.  Errors are counted. */
static int smp_choose(struct call_cpu *slot, const cpumask_t *mask, unsigned self)
{
	unsigned i, spare = nr_cpus % CPUMASK_BITS, last = CPUMASK_WORDS(nr_cpus) - 1;
	cpumask_t want, known, online;
	int asked = 0;

	for (i = 0; i <= last; i++) {
		known = i == last && spare ? (1UL << spare) - 1 : ~0UL;
		want = mask ? READ_ONCE(mask[i]) : known;
		online = __atomic_load_n(&cpu_online_mask[i], __ATOMIC_SEQ_CST);
		if (unlikely(want & ~known))
			counter_add(&smp_stats.bad_cpu, count_bits(want & ~known));
		want &= known;
		if (i == self / CPUMASK_BITS)
			want &= ~(1UL << self % CPUMASK_BITS);
		if (unlikely(mask && want & ~online))
			counter_add(&smp_stats.offline_cpu, count_bits(want & ~online));
		slot->asked[i] = want & online;
		if (slot->asked[i])
			asked += (int)count_bits(slot->asked[i]);
	}
	return asked;
}

static void smp_ask(const struct call_cpu *slot, unsigned self)
{
	cpumask_t left;
	unsigned i, cpu;

	for (i = 0; i < CPUMASK_WORDS(nr_cpus); i++) {
		for (left = slot->asked[i]; left; left &= left - 1) {
			cpu = i * CPUMASK_BITS + (unsigned)__builtin_ctzl(left);
			cpumask_set(slots[cpu].inbox, self);
			arch_ipi_call(cpu);
		}
	}
}

static bool smp_context_ok(void)
{
	if (likely(arch_irqs_enabled() && !spin_depth() && !arch_in_interrupt()))
		return true;
	if (atomic_add(&smp_stats.bad_context, 1) < MAX_REPORTS)
		printk("smp: a cross-call was refused: irqs %s, %u locks held%s\n",
		    arch_irqs_enabled() ? "on" : "off", spin_depth(),
		    arch_in_interrupt() ? ", in an interrupt" : "");
	return false;
}

int smp_call_mask(const cpumask_t *mask, void (*fn)(void *), void *arg)
{
	struct call_cpu *slot;
	bool told = false, again = false;
	unsigned self, i;
	u64 since = 0;
	irqflags_t flags;
	cpumask_t left;
	u64 request;
	int asked;

	if (!smp_context_ok())
		return -EDEADLK;
	if (port_task()->in_alloc && !atomic_add(&smp_stats.from_alloc, 1))
		printk("smp: a cross-call was made inside an allocation\n");
	counter_add(&smp_stats.calls, 1);
	preempt_disable();
	self = arch_cpu_id();
	slot = &slots[self];
	atomic_add(&slot->gate, 1);
	sched_point("ipi.gate");
	asked = smp_choose(slot, mask, self);
	sched_point("look.online");
	counter_add(&smp_stats.ipis, (u64)asked);
	slot->fn = fn;
	slot->arg = arg;
	request = slot->request + 1;
	WRITE_ONCE(slot->request, request);
	smp_ask(slot, self);
	sched_point("ipi.sent");
	if (!mask || cpumask_test(mask, self)) {
		do {
			flags = arch_irq_save();
			again = smp_run(fn, arg);
			arch_irq_restore(flags);
		} while (again);
	}
	for (i = 0; asked && i < CPUMASK_WORDS(nr_cpus); i++)
		for (left = slot->asked[i]; left; left &= left - 1)
			smp_await(slot, i * CPUMASK_BITS + (unsigned)__builtin_ctzl(left), request,
			    &since, &told);
	atomic_add(&slot->gate, 1);
	preempt_enable();
	return asked;
}
