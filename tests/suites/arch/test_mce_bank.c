/* SPDX-License-Identifier: MIT */
/*
 * test_mce_bank.c: the machine-check banks of a CPU: cleared when it starts, printed, polled, and
 * handled for a program that consumes an error. The test fills them, so it needs an emulator.
 */
#include "tests/lib/mce_help.h"
#include "tests/lib/said_help.h"
#include "x86.h"
#include <quarry/hotplug.h>
#include <quarry/machine.h>
#include <quarry/port.h>
#include <quarry/string.h>

#define LAST 9u /* the last bank that the test fills */
#define HIT  (MCE_VAL | MCE_UC | MCE_EN | MCE_MISCV | MCE_ADDRV | MCE_S | MCE_AR | 0x134)
#define MISC 0x8c
#define MCE_FRAME(at)                                                                              \
	{                                                                                          \
		.vector = VEC_MC, .rip = (at), .cs = SEL_USER_CODE | 3                             \
	}

static const char *printed;

static unsigned banks(void)
{
	return rdmsr(MSR_MCG_CAP) & MCG_CAP_BANKS;
}

static void fill(unsigned bank, u64 status, u64 address)
{
	const struct mce_bank b = {status, address, MISC};

	if (mce_inject(bank, &b, 0))
		panic("bank %u cannot be filled", bank);
}

static void empty_all(void)
{
	for (unsigned i = 0; i < banks(); i++)
		wrmsr(MSR_MC0_STATUS + 4 * i, 0);
	wrmsr(MSR_MCG_STATUS, 0);
}

#define EXPECT_BANK(t, bank, status, address, misc, text)                                          \
	EXPECT_EQ((t),                                                                             \
	    times_in(printed,                                                                      \
	        "  bank " bank ": status " status " address " address " misc " misc ": " text),    \
	    1)

/* ---- when a CPU starts ---- */

static void start_with_banks_full(void *arg)
{
	irqflags_t flags = arch_irq_save();
	struct ktest *t = arg;
	unsigned i, wrong = 0;
	u64 pos = log_position();

	for (i = 0; i < banks(); i++)
		wrmsr(MSR_MC0_CTL + 4 * i, 0);
	if (rdmsr(MSR_MCG_CAP) & MCG_CAP_CTL)
		wrmsr(MSR_MCG_CTL, 0);
	fill(1, HIT & ~MCE_VAL, 0x1000); /* not valid */
	fill(2, HIT, 0x12345678);
	fill(LAST, MCE_VAL | MCE_ADDRV | 0x134, 0x77000);
	mce_init_cpu();
	printed = text_since(pos);
	for (i = 0; i < banks(); i++)
		wrong += rdmsr(MSR_MC0_CTL + 4 * i) != ~0UL || rdmsr(MSR_MC0_STATUS + 4 * i);
	EXPECT_EQ(t, wrong, 0);
	if (rdmsr(MSR_MCG_CAP) & MCG_CAP_CTL)
		EXPECT_EQ(t, rdmsr(MSR_MCG_CTL), ~0UL);
	arch_irq_restore(flags);
	EXPECT_EQ(t, times_in(printed, ": left from before the start:\n"), 2);
	EXPECT_EQ(t, times_in(printed, "  bank "), 2);
	EXPECT_BANK(t, "2", "bd80000000000134", "0000000012345678", "000000000000008c",
	    "VAL UC EN MISCV ADDRV S AR code 0x0134 data load\n");
	EXPECT_BANK(t, "9", "8400000000000134", "0000000000077000", "0000000000000000", "");
}

KTEST_SUITE(mce_bank, 0);

KTEST(errors_left_by_firmware_are_reported_and_cleared, KTEST_REPORTS)
{
	unsigned cpu;

	for (cpu = 0; emulated(t, LAST) && cpu < ktest_cpus(); cpu++)
		ktest_on_cpu(cpu, start_with_banks_full, t);
}

/* ---- printed text ---- */

/* Address and misc are printed only if the bank is valid and marks them as valid. */
static void print_both_ways(void *arg)
{
	irqflags_t flags = arch_irq_save();
	struct ktest *t = arg;
	u64 pos = log_position();

	fill(0, MCE_VAL | MCE_ADDRV, 0x1000);
	fill(1, MCE_VAL | MCE_MISCV, 0x2000);
	fill(2, MCE_ADDRV | MCE_MISCV, 0x3000);
	mce_print_banks(false);
	printed = text_since(pos);
	EXPECT_EQ(t, times_in(printed, "  bank "), 2);
	EXPECT_BANK(t, "0", "8400000000000000", "0000000000001000", "0000000000000000", "");
	EXPECT_BANK(t, "1", "8800000000000000", "0000000000000000", "000000000000008c", "");
	EXPECT_EQ(t, times_in(printed, "  8 of 10 banks are empty\n"), banks() == 10);
	EXPECT_EQ(t, times_in(printed, " banks are empty\n"), 1);
	pos = log_position();
	mce_print_banks(true);
	printed = text_since(pos);
	EXPECT_EQ(t, times_in(printed, "  bank "), banks());
	EXPECT_BANK(t, "2", "0c00000000000000", "0000000000000000", "0000000000000000", "");
	EXPECT_EQ(t, times_in(printed, " banks are empty\n"), 0);
	EXPECT_EQ(t, times_in(printed, "MCG_CAP "), 1);
	empty_all();
	arch_irq_restore(flags);
}

KTEST(banks_are_printed_with_their_registers, KTEST_REPORTS)
{
	if (emulated(t, LAST))
		ktest_on_cpu(0, print_both_ways, t);
}

/* ---- polling for corrected errors ---- */

/* Take one interrupt of the timer at least, and two at most. */
static void tick(struct cpu *cpu)
{
	u64 before = cpu->ticks;
	unsigned turns = 1000;

	apic_send_self(VEC_TIMER);
	arch_irq_enable();
	while (READ_ONCE(cpu->ticks) == before && --turns)
		cpu_relax();
	arch_irq_disable();
}

static void tick_around_a_second(void *arg)
{
	irqflags_t flags = arch_irq_save();
	struct cpu *cpu = this_cpu();
	u64 was = cpu->ticks, second = was / 100 * 100,
	    found = READ_ONCE(mce_stats.found[MCE_CORRECTED]);
	struct ktest *t = arg;

	preempt_disable();
	fill(3, MCE_VAL | MCE_EN | 0xc0, 0);
	cpu->ticks = second;
	tick(cpu);
	EXPECT_EQ(t, rdmsr(MSR_MC0_STATUS + 4 * 3), MCE_VAL | MCE_EN | 0xc0);
	EXPECT(t, cpu->ticks > second);
	cpu->ticks = second + 100 - cpu->tick_step;
	tick(cpu);
	EXPECT_EQ(t, rdmsr(MSR_MC0_STATUS + 4 * 3), 0);
	EXPECT_EQ(t, READ_ONCE(mce_stats.found[MCE_CORRECTED]), found + 1);
	cpu->ticks = was;
	preempt_enable();
	arch_irq_restore(flags);
}

/* Banks are polled once a second, not at each tick. */
KTEST(corrected_errors_are_polled_every_second, .says = "mce: CPU 0 bank 3: corrected, no page\n")
{
	if (!emulated(t, LAST))
		return;
	wait_all_dealt();
	if (READ_ONCE(cpus[0]->tick_step) > 40)
		ktest_skip(t, "needs a timer that is not slow");
	else
		ktest_on_cpu(0, tick_around_a_second, t);
	wait_all_dealt();
}

/* ---- errors that hit a program ---- */

/* Take the exception as if from ring 3: interrupts stay off until the CPU would return there. */
static void hit_program(struct ktest *t)
{
	struct trap_frame frame = MCE_FRAME(0x1234);
	irqflags_t flags;

	flags = arch_irq_save();
	wrmsr(MSR_MCG_STATUS, MCG_STATUS_RIPV | MCG_STATUS_EIPV);
	trap_from_user(&frame);
	EXPECT(t, !arch_irqs_enabled());
	EXPECT_EQ(t, rdmsr(MSR_MCG_STATUS), 0);
	arch_irq_restore(flags);
}

static void hit_it(void *arg)
{
	struct ktest *t = arg;
	pfn_t pfn = some_page(t);
	irqflags_t flags;
	u64 dealt;

	REQUIRE(t, pfn != PFN_NONE);
	dealt = wait_all_dealt();
	flags = arch_irq_save();
	fill(3, HIT, (u64)pfn << PAGE_SHIFT);
	hit_program(t);
	arch_irq_restore(flags);
	EXPECT(t, is_flagged(&kernel_memory, pfn));
	EXPECT_EQ(t, READ_ONCE(mce_stats.dealt), dealt + 1);
	undo(t, pfn);
	/* An error of another CPU: nothing is to be done. */
	flags = arch_irq_save();
	fill(3, MCE_VAL | MCE_UC, 0);
	hit_program(t);
	empty_all();
	arch_irq_restore(flags);
	EXPECT_EQ(t, READ_ONCE(mce_stats.dealt), dealt + 1);
}

KTEST(machine_check_in_a_thread_retires_the_page, KTEST_REPORTS)
{
	if (emulated(t, LAST))
		ktest_on_cpu(0, hit_it, t);
}

/* The program handles the first error that it consumed; the others are left to the thread. */
static void hit_three_times(void *arg)
{
	struct ktest *t = arg;
	struct page *page = alloc_pages(GFP_MOVABLE, 2);
	struct mce_record hit = {0};
	irqflags_t flags;
	pfn_t pfn;
	u64 dealt;

	REQUIRE(t, page);
	pfn = page_to_pfn_in(&kernel_memory, page);
	EXPECT_EQ(t, free_pages(page, 2), 0);
	dealt = wait_all_dealt();
	flags = arch_irq_save();
	fill(2, (HIT & ~(MCE_AR | 0xffff)) | 0xc0, (u64)pfn << PAGE_SHIFT);
	fill(3, HIT, (u64)(pfn + 1) << PAGE_SHIFT);
	fill(5, HIT, (u64)(pfn + 2) << PAGE_SHIFT);
	wrmsr(MSR_MCG_STATUS, MCG_STATUS_RIPV | MCG_STATUS_EIPV);
	EXPECT(t, !mce_exception(0x55, MCE_FROM_USER, &hit));
	arch_irq_restore(flags);
	EXPECT_EQ(t, hit.severity, MCE_REQUIRED);
	EXPECT_EQ(t, hit.bank, 3);
	EXPECT_EQ(t, hit.pfn, pfn + 1);
	EXPECT(t, wait_for_count(&mce_stats.dealt, dealt + 2));
	EXPECT(t, is_flagged(&kernel_memory, pfn) && !is_flagged(&kernel_memory, pfn + 1));
	EXPECT(t, is_flagged(&kernel_memory, pfn + 2));
	EXPECT(t, mce_deal(&hit));
	EXPECT(t, is_flagged(&kernel_memory, pfn + 1));
	EXPECT_EQ(t, READ_ONCE(mce_stats.dealt), dealt + 3);
	undo(t, pfn);
	undo(t, pfn + 1);
	undo(t, pfn + 2);
}

KTEST(one_of_several_errors_is_the_programs, KTEST_REPORTS)
{
	if (emulated(t, LAST))
		ktest_on_cpu(0, hit_three_times, t);
}

extern char user_copy_words[], user_copy_bytes[], user_copy_end[]; /* syscall_entry.S */

/* The kernel's read or write of the word at @rip meets the error. */
static void hit_copy(struct ktest *t, const char *rip)
{
	struct trap_frame frame = {
	    .vector = VEC_MC, .rip = (uintptr_t)rip, .cs = SEL_KERNEL_CODE, .rcx = 1};
	u64 dealt = wait_all_dealt();
	pfn_t pfn = some_page(t);
	irqflags_t flags;

	REQUIRE(t, pfn != PFN_NONE);
	flags = arch_irq_save();
	fill(3, HIT, (u64)pfn << PAGE_SHIFT);
	wrmsr(MSR_MCG_STATUS, MCG_STATUS_RIPV | MCG_STATUS_EIPV);
	trap_dispatch(&frame);
	EXPECT_EQ(t, rdmsr(MSR_MC0_STATUS + 4 * 3), 0);
	EXPECT_EQ(t, rdmsr(MSR_MCG_STATUS), 0);
	arch_irq_restore(flags);
	EXPECT_EQ(t, frame.rip, (uintptr_t)user_copy_end);
	EXPECT_EQ(t, frame.rcx, 1);
	EXPECT(t, wait_for_count(&mce_stats.dealt, dealt + 1));
	EXPECT(t, is_flagged(&kernel_memory, pfn));
	undo(t, pfn);
}

static void hit_copies(void *arg)
{
	hit_copy(arg, user_copy_words);
	hit_copy(arg, user_copy_bytes);
}

KTEST(machine_check_in_a_user_copy_fails_the_copy, KTEST_REPORTS)
{
	if (emulated(t, LAST))
		ktest_on_cpu(0, hit_copies, t);
}

/* ---- a CPU that parks ---- */

static void park_after_a_machine_check(void *arg)
{
	const struct mce_bank b = {HIT & ~(MCE_AR | MCE_ADDRV), 0, MISC};
	u64 dealt = wait_all_dealt();
	irqflags_t flags = arch_irq_save();
	struct ktest *t = arg;

	/* Of no page: to retire a page needs an answer of this CPU. */
	EXPECT_EQ(t, mce_inject(LAST, &b, MCG_STATUS_RIPV | MCG_STATUS_MCIP), 0);
	EXPECT_EQ(t, arch_irqs_pending(), true);
	WRITE_ONCE(this_cpu()->started, STARTED_PARKED);
	mce_parked();
	WRITE_ONCE(this_cpu()->started, STARTED_RUNS);
	EXPECT(t, SPIN_UNTIL(READ_ONCE(mce_stats.dealt) == dealt + 1));
	arch_irq_restore(flags);
}

/* The machine check came after the last moment at which the CPU took interrupts. */
KTEST(a_cpu_that_parks_passes_its_interrupt_on,
    .says = "mce: CPU 1 bank 9: action optional, no page: nothing was done\n")
{
	if (!ktest_needs_cpus(t, 2) || !emulated(t, LAST))
		return;
	/* The thread that deals with machine checks leaves CPU 1. */
	REQUIRE(t, !cpu_down(1) && !cpu_up(1));
	ktest_on_cpu(1, park_after_a_machine_check, t);
}
