/* SPDX-License-Identifier: MIT */
/*
 * test_arch.c: each CPU's own tables and registers, before and after the CPU was offline; NMIs; and
 * when a thread is preempted.
 */
#include "kernel/runq.h"
#include "tests/lib/hotplug_help.h"
#include "tests/lib/said_help.h"
#include "tests/lib/task_help.h"
#include <quarry/acpi.h>
#include <quarry/machine.h>
#include <quarry/smp.h>
#include "x86.h"

#define TI_USER   7u /* the first selector of an LDT, of ring 3 */
#define SEL_LDT   0x40u
#define UNTOUCHED 0x600000UL
#define NOBODY    0xf0u /* an APIC id that no CPU here has */
#define TURNS     1000u
#define TRIES     50u
#define FEW_CPUS  16u

/* Call fn(t, cpu) for each CPU; then again for each but CPU 0, after it was offline. */
static void each_cpu_twice(struct ktest *t, void (*fn)(struct ktest *, unsigned))
{
	unsigned cpu;

	for (cpu = 0; cpu < ktest_cpus(); cpu++)
		fn(t, cpu);
	if (nr_cpus_online() < nr_boot_cpus)
		return;
	for (cpu = 1; cpu < ktest_cpus(); cpu++) {
		EXPECT_EQ(t, cpu_down(cpu), 0);
		EXPECT_EQ(t, cpu_up(cpu), 0);
		fn(t, cpu);
	}
}

/* ---- no LDT ---- */

/* LSL reads a selector's descriptor: in user memory, with the LDT that a reset sets. */
static void look_up(void *arg)
{
	unsigned *found = arg, selector, limit = 0;

	for (selector = TI_USER; selector < 0x10000; selector += PAGE_SIZE / 2) {
		bool there;

		__asm__ volatile("lsl %2, %1" : "=@ccz"(there), "+r"(limit) : "r"(selector));
		*found += there;
	}
}

struct looked_up {
	int err;
	unsigned found;
};

static void probe_ldt(void *arg)
{
	struct looked_up *l = arg;

	l->err = arch_probe(look_up, &l->found);
}

static void expect_no_ldt(struct ktest *t, unsigned cpu)
{
	struct looked_up l = {.found = 0};

	ktest_on_cpu(cpu, probe_ldt, &l);
	EXPECT_EQ(t, l.err, 0);
	EXPECT_EQ(t, l.found, 0);
}

KTEST_SUITE(arch, 0);

KTEST(no_cpu_has_an_ldt)
{
	each_cpu_twice(t, expect_no_ldt);
}

/* Give this CPU an LDT at UNTOUCHED, from a GDT that is in use only while LDTR is loaded. */
static void plant_ldt(void *arg)
{
	struct table_register old, new;
	u64 gdt[SEL_LDT / 8 + 2];
	irqflags_t flags = arch_irq_save();

	__asm__ volatile("sgdt %0" : "=m"(old));
	memcpy(gdt, (void *)old.base, old.limit + 1UL);
	gdt[SEL_LDT / 8] =
	    0xfff | (UNTOUCHED & 0xffffff) << 16 | 0x82UL << 40 | (UNTOUCHED >> 24) << 56;
	gdt[SEL_LDT / 8 + 1] = 0;
	new = (struct table_register){sizeof(gdt) - 1, (uintptr_t)gdt};
	__asm__ volatile("lgdt %0\n\t"
	                 "lldt %w1\n\t"
	                 "lgdt %2"
	                 :
	                 : "m"(new), "r"(SEL_LDT), "m"(old), "m"(gdt));
	arch_irq_restore(flags);
}

static void take_ldt(void *arg)
{
	lldt_none();
}

/*
 * The CPU itself reads a descriptor in user memory, and faults. If the kernel mapped the page, SMAP
 * would still forbid the read, and the program would retry for ever. Without SMAP, a page that no
 * program touched would be mapped.
 */
KTEST(fault_of_a_descriptor_ends_the_task,
    .reports = "test: page fault: read of|?rflags|?rax|?rsi|?r8 |?r9 |?error")
{
	unsigned cpu = ktest_cpus() - 1;
	struct task *task = NEED(t, new_task(t));
	struct vm_object *object;
	u64 until;

	object = NEED(t, map_page(task, UNTOUCHED, VM_READ | VM_WRITE, NULL, 0));
	ktest_on_cpu(cpu, plant_ldt, NULL);
	EXPECT_EQ(t, add_thread(task, (int)cpu, code_at(user_load_ds), TI_USER), 0);
	until = arch_clock_ns() + END_NS;
	while (!load_acquire(&task->ended) && !vm_object_present(object) && arch_clock_ns() < until)
		thread_yield();
	EXPECT_EQ(t, vm_object_present(object), 0);
	ktest_on_cpu(cpu, take_ldt, NULL);
	task_end(task, TASK_KILLED, 0); /* no effect if the task has ended, as it should */
	expect_end(t, task, TASK_FAULTED, 0);
	vm_object_put(object);
}

/* ---- system calls ---- */

/* Flags that ring 3 may set and the kernel must not have: AC, NT, IOPL, DF, IF, TF. */
static const u64 masked[] = {0x40000, 0x4000, 0x3000, 0x400, 0x200, 0x100};

static void read_fmask(void *arg)
{
	*(u64 *)arg = rdmsr(MSR_FMASK);
}

static void expect_fmask(struct ktest *t, unsigned cpu)
{
	u64 fmask = 0;
	unsigned i;

	ktest_on_cpu(cpu, read_fmask, &fmask);
	for (i = 0; i < ARRAY_SIZE(masked); i++)
		EXPECT_EQ(t, fmask & masked[i], masked[i]);
}

KTEST(calls_begin_with_clean_flags)
{
	each_cpu_twice(t, expect_fmask);
}

/* ---- device interrupts ---- */

#define IOAPIC_VERSION  1
#define IOAPIC_REDIRECT 0x10
#define IOAPIC_MASKED   0x10000u

/* The number of unmasked pins that lead to @cpu; if it is nr_cpus, to any CPU. */
static unsigned pins_of(unsigned cpu)
{
	static volatile u32 *ioapic[ACPI_MAX_IOAPICS];
	unsigned i, nr = 0;
	u32 pin, pins;

	for (i = 0; i < acpi.nr_ioapics; i++) {
		if (!ioapic[i])
			ioapic[i] = arch_map_mmio(acpi.ioapic[i].address, 0x20);
		if (!ioapic[i])
			continue;
		ioapic[i][0] = IOAPIC_VERSION;
		pins = (ioapic[i][4] >> 16 & 0xff) + 1;
		for (pin = 0; pin < pins; pin++) {
			u32 low, dest;

			ioapic[i][0] = IOAPIC_REDIRECT + 2 * pin;
			low = ioapic[i][4];
			ioapic[i][0] = IOAPIC_REDIRECT + 2 * pin + 1;
			dest = ioapic[i][4] >> 24;
			nr += !(low & IOAPIC_MASKED) &&
			    (cpu == nr_cpus || dest == cpus[cpu]->apic_id);
		}
	}
	return nr;
}

static void expect_pins(struct ktest *t, unsigned nr0, unsigned nr1, unsigned nr2)
{
	EXPECT_EQ(t, pins_of(0), nr0);
	EXPECT_EQ(t, pins_of(1), nr1);
	EXPECT_EQ(t, pins_of(2), nr2);
}

/* Only the interrupts of a CPU that goes offline move.  No driver starts during the test. */
KTEST(interrupts_move_off_a_leaving_cpu)
{
	unsigned all = pins_of(nr_cpus);

	if (nr_cpus_online() < nr_boot_cpus || ktest_cpus() < 3) {
		ktest_skip(t, "needs 3 CPUs, all of them online");
		return;
	}
	EXPECT(t, all > 0);
	EXPECT_EQ(t, cpu_down(0), 0);
	EXPECT_EQ(t, pins_of(0), 0);
	EXPECT_EQ(t, cpu_down(1), 0);
	expect_pins(t, 0, 0, all);
	EXPECT_EQ(t, cpu_up(0), 0);
	EXPECT_EQ(t, cpu_up(1), 0);
	EXPECT_EQ(t, cpu_down(1), 0);
	expect_pins(t, 0, 0, all);
	EXPECT_EQ(t, cpu_up(1), 0);
	EXPECT_EQ(t, cpu_down(2), 0);
	expect_pins(t, all, 0, 0);
	EXPECT_EQ(t, cpu_up(2), 0);
	EXPECT_EQ(t, pins_of(nr_cpus), all);
}

/* ---- a CPU that is plugged in again ---- */

static void load_again(void *arg)
{
	u64 *flag = (u64 *)((uintptr_t)cpu_ist_top(IST_NMI) - NMI_FLAG);
	irqflags_t flags = arch_irq_save();
	bool *set = arg;

	WRITE_ONCE(*flag, 1UL);
	cpu_load_tables(this_cpu());
	*set = READ_ONCE(*flag);
	WRITE_ONCE(*flag, 0UL);
	arch_irq_restore(flags);
}

/* It was unplugged while it handled an NMI: the handler's flag is still set. */
KTEST_INSIDE(cpu_that_starts_takes_nmis)
{
	bool set = true;

	ktest_on_cpu(ktest_cpus() - 1, load_again, &set);
	EXPECT(t, !set);
}

/* ---- preemption ---- */

static u64 since(void)
{
	return READ_ONCE(runqs[arch_cpu_id()].since);
}

/* Each check of the run queue sets its `since`, even if the same thread runs on. */
static void count_switches(void *arg)
{
	unsigned *switches = arg, i;

	for (i = 0; i < TURNS; i++) {
		u64 before;

		preempt_disable();
		before = since();
		preempt_enable();
		*switches += since() != before;
	}
}

/* Only the last preempt_enable, with interrupts on, switches threads. */
static void ask_for_a_switch(void *arg)
{
	struct ktest *t = arg;
	irqflags_t flags;
	u64 before;

	preempt_disable();
	preempt_disable();
	flags = arch_irq_save();
	EXPECT_EQ(t, arch_preempt_count(), 2);
	before = since();
	WRITE_ONCE(this_cpu()->need_resched, 1u);
	preempt_enable();
	EXPECT_EQ(t, arch_preempt_count(), 1);
	preempt_enable();
	EXPECT_EQ(t, arch_preempt_count(), 0);
	EXPECT(t, since() == before);
	EXPECT_EQ(t, this_cpu()->need_resched, 1);
	preempt_disable();
	arch_irq_restore(flags);
	preempt_enable();
	EXPECT(t, since() != before);
}

/* A few switches may come from timer ticks. */
KTEST_COST(threads_are_preempted_on_request)
{
	unsigned switches = 0;

	ktest_on_cpu(0, count_switches, &switches);
	EXPECT(t, switches < TURNS / 10);
	ktest_on_cpu(0, ask_for_a_switch, t);
}

/* Each alone forbids to sleep: interrupts off, the preemption count, the interrupt depth. */
static void ask_to_sleep(void *arg)
{
	struct ktest *t = arg;
	irqflags_t flags;

	EXPECT(t, arch_may_sleep());
	preempt_disable();
	EXPECT(t, !arch_may_sleep());
	preempt_enable();
	flags = arch_irq_save();
	EXPECT(t, !arch_may_sleep());
	arch_irq_restore(flags);
	WRITE_ONCE(this_cpu()->irq_depth, 1u);
	EXPECT(t, !arch_may_sleep());
	WRITE_ONCE(this_cpu()->irq_depth, 0u);
	EXPECT(t, arch_may_sleep());
	EXPECT(t, arch_this_cpu() == cpus[0] && cpus[0]->runq == &runqs[0]);
}

KTEST_INSIDE(only_a_thread_that_may_be_preempted_may_sleep)
{
	ktest_on_cpu(0, ask_to_sleep, t);
}

/* ---- sets of CPUs ---- */

KTEST(masks_have_a_bit_for_each_cpu)
{
	cpumask_t mask[3] = {0};
	unsigned cpu, other;

	for (cpu = 0; cpu < 3 * CPUMASK_BITS; cpu += 43) {
		cpumask_set(mask, cpu);
		for (other = 0; other < 3 * CPUMASK_BITS; other++)
			EXPECT_EQ(t, cpumask_test(mask, other), other <= cpu && other % 43 == 0);
	}
	cpumask_clear(mask, 86);
	cpumask_clear(mask, 87);
	EXPECT_EQ(t, mask[0], 1UL << 43 | 1);
	EXPECT_EQ(t, mask[1], 0);
	EXPECT_EQ(t, mask[2], 1UL << 1 | 1UL << 44);
}

/* ---- NMIs ---- */

static const char *printed;

static unsigned times_said(const char *fmt, unsigned cpu)
{
	char text[80];

	ksnprintf(text, sizeof(text), fmt, cpu, cpus[cpu]->apic_id);
	return times_in(printed, text);
}

#define ASKED  "CPU %u (APIC id %u): asked, NMI in thread "
#define SILENT "CPU %u (APIC id %u): does not answer an NMI\n"
#define OWN    "CPU %u (APIC id %u): not asked, NMI in thread "

static u32 stop;     /* atomic */
static u64 first_ns; /* atomic: time when the other thread ran after stop was 1; 0: not yet */

static void run_beside(void *arg)
{
	while (READ_ONCE(stop) != 2) {
		if (READ_ONCE(stop) == 1 && !READ_ONCE(first_ns))
			WRITE_ONCE(first_ns, arch_clock_ns());
		thread_yield();
	}
}

/* One CPU does not answer for 100 ms; meanwhile no other thread runs on the CPU that asks. */
static void ask_all(void *arg)
{
	struct thread *other;
	struct ktest *t = arg;
	u64 begin;

	WRITE_ONCE(stop, 0u);
	WRITE_ONCE(first_ns, 0UL);
	other = thread_start("beside", 0, run_beside, NULL);
	REQUIRE(t, other);
	begin = arch_clock_ns();
	WRITE_ONCE(stop, 1u);
	arch_backtrace_others();
	EXPECT_EQ(t, arch_preempt_count(), 0);
	EXPECT(t, YIELD_UNTIL(READ_ONCE(first_ns)));
	EXPECT(t, READ_ONCE(first_ns) - begin >= 100000000);
	WRITE_ONCE(stop, 2u);
	thread_join(other);
}

/* True: all CPUs answered in time.  On a busy host an NMI may come too late. */
static bool all_answer(struct ktest *t, unsigned silent)
{
	u64 pos = log_position();
	unsigned cpu, late = 0;

	ktest_on_cpu(0, ask_all, t);
	printed = text_since(pos);
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		bool asked = cpu && cpu != silent && cpu < nr_boot_cpus;

		EXPECT_EQ(
		    t, times_said(ASKED, cpu) + times_said(SILENT, cpu), asked || cpu == silent);
		late += times_said(ASKED, cpu) != asked;
	}
	return !late;
}

static void nothing(void *arg)
{
}

KTEST(every_cpu_reports_by_nmi_but_a_silent_one, KTEST_REPORTS)
{
	unsigned silent = ktest_cpus() - 1, tries = TRIES, cpu;
	u32 id = cpus[silent]->apic_id;
	u64 pos;

	if (!needs_two(t))
		return;
	if (nr_cpus > FEW_CPUS) {
		ktest_skip(t, "needs few CPUs: the log has no place for all their stories");
		return;
	}
	EXPECT_EQ(t, cpu_down(silent), 0);
	cpus[silent]->apic_id = NOBODY;
	WRITE_ONCE(cpus[silent]->started, STARTED_RUNS);
	while (!all_answer(t, silent) && --tries)
		thread_yield();
	EXPECT(t, tries);
	/* A parked CPU gets no NMI. */
	cpus[silent]->apic_id = id;
	WRITE_ONCE(cpus[silent]->started, STARTED_PARKED);
	pos = log_position();
	ktest_on_cpu(0, (void (*)(void *))(uintptr_t)arch_backtrace_others, NULL);
	printed = text_since(pos);
	EXPECT_EQ(t, times_said(ASKED, silent) + times_said(SILENT, silent), 0);
	EXPECT_EQ(t, cpu_up(silent), 0);
	/* A CPU that was too late to answer takes its NMI now. */
	for (cpu = 0; cpu < nr_cpus; cpu++)
		if (cpumask_test(cpu_online_mask, cpu))
			ktest_on_cpu(cpu, nothing, NULL);
}

/* The backtraces that @cpu prints after an NMI; a call that runs there comes after it. */
static unsigned stories_after_nmi(unsigned cpu)
{
	u64 pos = log_position();

	apic_send(cpus[cpu]->apic_id, ICR_NMI);
	ktest_on_cpu(cpu, nothing, NULL);
	printed = text_since(pos);
	return times_said(OWN, cpu);
}

/* An NMI that wakes a CPU, or is too late to wake it, prints no backtrace; any other one does. */
KTEST(nmi_from_the_host_is_reported, KTEST_REPORTS)
{
	unsigned cpu = ktest_cpus() - 1;
	u64 pos = log_position();

	if (!needs_two(t))
		return;
	EXPECT_EQ(t, cpu_down(cpu), 0);
	apic_send(cpus[cpu]->apic_id, ICR_NMI);
	EXPECT_EQ(t, cpu_up(cpu), 0);
	ktest_on_cpu(cpu, nothing, NULL);
	printed = text_since(pos);
	EXPECT_EQ(t, times_said(OWN, cpu), 0);
	WRITE_ONCE(cpus[cpu]->quiet_until, arch_clock_ns() + 1000000000000UL);
	EXPECT_EQ(t, stories_after_nmi(cpu), 0);
	WRITE_ONCE(cpus[cpu]->quiet_until, 0UL);
	EXPECT_EQ(t, stories_after_nmi(cpu), 1);
}
