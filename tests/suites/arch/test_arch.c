/* SPDX-License-Identifier: MIT */
/* test_arch.c: each CPU's own tables and registers, before and after the CPU was offline. */
#include "tests/lib/task_help.h"
#include <quarry/acpi.h>
#include <quarry/machine.h>
#include <quarry/smp.h>
#include "x86.h"

#define TI_USER   7u /* the first selector of an LDT, of ring 3 */
#define SEL_LDT   0x40u
#define UNTOUCHED 0x600000UL

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

/*
 * LSL reads the descriptor of a selector.  With the LDT that a reset sets, this reads user memory.
 */
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

/*
 * The number of unmasked pins of all I/O APICs that lead to @cpu, or to any CPU if @cpu is nr_cpus.
 */
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
