/* SPDX-License-Identifier: MIT */
/*
 * test_mce_cpu.c: machine checks that the test raises: it fills a bank, which an emulator allows,
 * and raises the exception. test_mce_outside.c has machine checks from the host.
 */
#include "tests/lib/mce_help.h"
#include "x86.h"
#include <quarry/machine.h>
#include <quarry/vm.h>

#define BANK     3
#define MISC     0x8c
#define HERE     (MCG_STATUS_RIPV | MCG_STATUS_MCIP)
#define SCRUBBED (MCE_VAL | MCE_UC | MCE_EN | MCE_MISCV | MCE_ADDRV | MCE_S | 0xc0)
#define DEFERRED (SCRUBBED & ~MCE_S)
#define FIXED    (SCRUBBED & ~(MCE_S | MCE_UC))

static int inject(u64 status, pfn_t pfn, u64 mcg_status)
{
	const struct mce_bank b = {status, (u64)pfn << PAGE_SHIFT | 0x123, MISC};
	irqflags_t flags = arch_irq_save();
	int err = mce_inject(BANK, &b, mcg_status);

	arch_irq_restore(flags);
	return err;
}

static bool wait_flagged(pfn_t pfn)
{
	u64 end = arch_clock_ns() + WAIT_NS;
	unsigned rounds = 0;

	while (!is_flagged(&kernel_memory, pfn) && !waited_enough(end, &rounds))
		thread_yield();
	return is_flagged(&kernel_memory, pfn);
}

/* ---- every CPU ---- */

struct seen {
	u32 deaf; /* atomic: CPUs without machine checks enabled */
};

static void listens(void *arg)
{
	struct seen *seen = arg;
	unsigned banks = rdmsr(MSR_MCG_CAP) & MCG_CAP_BANKS;
	bool good = read_cr4() & CR4_MCE || !(cpuid(1, 0).edx & CPUID_MCE);

	for (unsigned i = 0; i < banks; i++)
		good &= rdmsr(MSR_MC0_CTL + 4 * i) == ~0UL &&
		    !(rdmsr(MSR_MC0_STATUS + 4 * i) & MCE_VAL);
	if (!good)
		atomic_add(&seen->deaf, 1u);
}

KTEST_SUITE(mce_cpu, 0);

KTEST(every_cpu_enables_machine_checks)
{
	struct seen seen = {0};

	EXPECT(t, smp_call_mask(NULL, listens, &seen) >= 0);
	EXPECT_EQ(t, seen.deaf, 0);
}

struct on_cpu {
	struct ktest *t;
	pfn_t pfn;
};

static void inject_here(void *arg)
{
	const struct on_cpu *o = arg;

	EXPECT_EQ(o->t, inject(SCRUBBED, o->pfn, HERE), 0);
	EXPECT_EQ(o->t, rdmsr(MSR_MC0_STATUS + 4 * BANK), 0);
	EXPECT_EQ(o->t, rdmsr(MSR_MCG_STATUS), 0);
}

/* The handler empties the bank, and soon after that the page is retired. */
KTEST(action_optional_error_is_handled_on_each_cpu, .reports = ": page was FREE; out of use")
{
	unsigned cpu;

	if (!emulated(t, BANK))
		return;
	for (cpu = 0; cpu < ktest_cpus(); cpu++) {
		struct on_cpu o = {t, some_page(t)};
		u64 before = READ_ONCE(mce_stats.exceptions);

		REQUIRE(t, o.pfn != PFN_NONE);
		ktest_on_cpu(cpu, inject_here, &o);
		EXPECT(t, wait_flagged(o.pfn));
		EXPECT_EQ(t, READ_ONCE(mce_stats.exceptions), before + 1);
		EXPECT_EQ(t, unpoison_page(o.pfn), -EOPNOTSUPP);
		undo(t, o.pfn);
	}
}

#define MCE     "mce: CPU * bank *: "
#define AO_LINE MCE "action optional, pfn *: page was FREE; out of use\n"
#define NO_PAGE MCE "action optional, no page: nothing was done\n"

/* With interrupts off the handler only records the error; the rest waits for interrupts. */
KTEST(handler_with_interrupts_off_only_records, .says = AO_LINE)
{
	irqflags_t flags;
	u64 end, dealt;
	pfn_t pfn;

	if (!emulated(t, BANK))
		return;
	pfn = some_page(t);
	REQUIRE(t, pfn != PFN_NONE);
	dealt = wait_all_dealt();
	flags = arch_irq_save();
	EXPECT_EQ(t, inject(SCRUBBED, pfn, HERE), 0);
	EXPECT_EQ(t, arch_irqs_pending(), true);
	for (end = arch_clock_ns() + 20000000; arch_clock_ns() < end;)
		cpu_relax();
	EXPECT_EQ(t, READ_ONCE(mce_stats.dealt), dealt);
	arch_irq_restore(flags);
	EXPECT(t, wait_flagged(pfn));
	undo(t, pfn);
}

/* ---- kinds ---- */

KTEST(two_banks_at_once_are_both_handled, .says = AO_LINE AO_LINE)
{
	struct mce_bank other = {.status = SCRUBBED, .misc = MISC};
	irqflags_t flags;
	pfn_t a, b;

	if (!emulated(t, BANK))
		return;
	a = some_pages(t, 1);
	REQUIRE(t, a != PFN_NONE);
	b = a + 1;
	other.address = (u64)b << PAGE_SHIFT;
	flags = arch_irq_save();
	EXPECT_EQ(t, mce_inject(rdmsr(MSR_MCG_CAP) & MCG_CAP_BANKS, &other, 0), -EOPNOTSUPP);
	EXPECT_EQ(t, mce_inject(BANK - 1, &other, 0), 0);
	EXPECT_EQ(t, inject(SCRUBBED, a, HERE), 0);
	arch_irq_restore(flags);
	EXPECT(t, wait_flagged(a));
	EXPECT(t, wait_flagged(b));
	undo(t, a);
	undo(t, b);
}

/* One of two records fits into the ring: the error is fatal, and both banks keep their errors. */
KTEST(full_ring_leaves_all_banks_as_they_were,
    .reports = ": action optional, no page: nothing was done")
{
	const struct mce_record rec = {.pfn = PFN_NONE, .severity = MCE_OPTIONAL};
	const struct mce_bank b = {.status = SCRUBBED & ~MCE_ADDRV, .misc = MISC};
	struct mce_record hit;
	irqflags_t flags;
	const char *why;
	u64 dealt;
	unsigned i;

	if (!emulated(t, BANK))
		return;
	dealt = wait_all_dealt();
	flags = arch_irq_save();
	for (i = 0; i < MCE_RING_SIZE - 1; i++)
		EXPECT(t, mce_post(&rec));
	EXPECT_EQ(t, mce_inject(BANK - 1, &b, 0), 0);
	EXPECT_EQ(t, mce_inject(BANK, &b, 0), 0);
	wrmsr(MSR_MCG_STATUS, HERE & ~MCG_STATUS_MCIP);
	why = mce_exception(0, MCE_FROM_KERNEL, &hit);
	EXPECT(t, why);
	EXPECT_EQ(t, rdmsr(MSR_MC0_STATUS + 4 * (BANK - 1)), b.status);
	EXPECT_EQ(t, rdmsr(MSR_MC0_STATUS + 4 * BANK), b.status);
	wrmsr(MSR_MC0_STATUS + 4 * (BANK - 1), 0);
	wrmsr(MSR_MC0_STATUS + 4 * BANK, 0);
	wrmsr(MSR_MCG_STATUS, 0);
	arch_irq_restore(flags);
	/* The posted records were found in no bank, but are dealt with, so count them. */
	counter_add(&mce_stats.found[MCE_OPTIONAL], (u64)MCE_RING_SIZE);
	mce_wake();
	EXPECT(t, wait_for_count(&mce_stats.dealt, dealt + MCE_RING_SIZE));
}

/* The broken page stays in use, and is retired when it is freed. */
KTEST(broken_kernel_page_stays_in_use_until_freed,
    .says = MCE "deferred, pfn *: page was ALLOC; in use, until it is freed\n")
{
	struct page *page;
	pfn_t pfn;

	if (!emulated(t, BANK))
		return;
	page = NEED(t, alloc_pages(GFP_KERNEL, 0));
	pfn = page_to_pfn_in(&kernel_memory, page);
	EXPECT_EQ(t, inject(DEFERRED, pfn, HERE), 0);
	EXPECT(t, wait_flagged(pfn));
	EXPECT(t, !is_retired(&kernel_memory, pfn));
	EXPECT_EQ(t, free_pages(page, 0), 0);
	EXPECT(t, is_retired(&kernel_memory, pfn));
	undo(t, pfn);
}

/* An address outside memory, and an error without an address. */
KTEST(errors_without_a_usable_address_do_nothing,
    .says = MCE "action optional, pfn *: not memory in use\n" NO_PAGE NO_PAGE)
{
	u64 dealt;

	if (!emulated(t, BANK))
		return;
	dealt = wait_all_dealt();
	EXPECT_EQ(t, inject(SCRUBBED, 0xffffff0, HERE), 0);
	EXPECT_EQ(t, inject(SCRUBBED & ~MCE_ADDRV, 0, HERE), 0);
	EXPECT(t, wait_for_count(&mce_stats.dealt, dealt + 2));
	EXPECT_EQ(t, READ_ONCE(mce_stats.dealt), dealt + 2);
	EXPECT_EQ(t, inject(SCRUBBED, ~0UL >> PAGE_SHIFT, HERE), 0);
	EXPECT(t, wait_for_count(&mce_stats.dealt, dealt + 3));
	WRITE_ONCE(kernel_memory.machine_check, real_check);
}

/* Corrected errors raise no exception.  Polling finds them; MCE_THRESHOLD of them retire a page. */
KTEST(corrected_errors_are_polled,
    .says = MCE "corrected, pfn 0x*\n" MCE "corrected, pfn 0x*\n" MCE
                "corrected, pfn 0x*: number 3: out of use\n")
{
	u64 dealt, exceptions;
	unsigned i;
	pfn_t pfn;

	if (!emulated(t, BANK))
		return;
	pfn = some_page(t);
	REQUIRE(t, pfn != PFN_NONE);
	exceptions = READ_ONCE(mce_stats.exceptions);
	for (i = 1; i <= MCE_THRESHOLD; i++) {
		EXPECT(t, !is_flagged(&kernel_memory, pfn));
		dealt = wait_all_dealt();
		EXPECT_EQ(t, inject(FIXED, pfn, 0), 0);
		REQUIRE(t, wait_for_count(&mce_stats.dealt, dealt + 1));
	}
	EXPECT(t, is_retired(&kernel_memory, pfn));
	EXPECT_EQ(t, READ_ONCE(mce_stats.exceptions), exceptions);
	/* None of these errors says that data is lost. */
	EXPECT_EQ(t, READ_ONCE(kernel_memory.machine_check), real_check);
	undo(t, pfn);
}

/* A reference to the released page remains; two threads that needed it may both try again. */
KTEST(page_being_freed_kills_no_task,
    .says = MCE "action required, pfn *: page was LRU; out of use with its last "
                "reference; its content is lost\n" MCE "action required, pfn *: reported before\n")
{
	struct mce_record rec = {.severity = MCE_REQUIRED};
	struct vm_object *object;
	struct page *page;

	if (!emulated(t, BANK))
		return;
	REQUIRE(t, !vm_object_create(&kernel_memory, OBJ_ANON, 1, NULL, NULL, &object));
	EXPECT_EQ(t, vm_object_supply(object, 0, NULL), 0);
	REQUIRE(t, vm_object_pin(object, 0, &page) == 0);
	rec.pfn = page_to_pfn_in(&kernel_memory, page);
	counter_add(&mce_stats.found[MCE_REQUIRED], 2UL);
	EXPECT(t, mce_deal(&rec));
	EXPECT(t, mce_deal(&rec));
	EXPECT(t, is_flagged(&kernel_memory, rec.pfn) && !is_retired(&kernel_memory, rec.pfn));
	mem_unpin_page(&kernel_memory, page);
	EXPECT(t, is_retired(&kernel_memory, rec.pfn));
	vm_object_put(object);
	undo(t, rec.pfn);
}

/* ---- the entry ---- */

#define DEPTH  1024 /* bytes of the stack that a first handler may have in use */
#define CANARY 0x5157415252590000UL

/* Raise a machine check on the machine checks' own stack; returns how many words above changed. */
static unsigned nested(const struct mce_bank *b)
{
	char *top = cpu_ist_top(IST_MC);
	u64 *used = (u64 *)(void *)(top - DEPTH);
	/* The last 8 words hold the CPU's frame and saved registers. */
	unsigned i, nr = DEPTH / sizeof(u64) - 8, wrong = 0;

	wrmsr(MSR_MC0_ADDR + 4 * BANK, b->address);
	wrmsr(MSR_MC0_MISC + 4 * BANK, b->misc);
	for (i = 0; i < nr; i++)
		used[i] = CANARY + i;
	wrmsr(MSR_MC0_STATUS + 4 * BANK, b->status);
	wrmsr(MSR_MCG_STATUS, HERE);
	__asm__ volatile("movq %%rsp, %%rbx\n\t"
	                 "movq %0, %%rsp\n\t"
	                 "int $18\n\t"
	                 "movq %%rbx, %%rsp"
	                 :
	                 : "r"(used)
	                 : "rbx", "memory");
	for (i = 0; i < nr; i++)
		wrong += used[i] != CANARY + i;
	return wrong;
}

/* The second machine check comes before the first one's handler has returned. */
KTEST(second_machine_check_keeps_the_first_record, .says = AO_LINE)
{
	struct mce_bank b = {.status = SCRUBBED, .misc = MISC};
	irqflags_t flags;
	unsigned wrong;
	pfn_t pfn;

	if (!emulated(t, BANK))
		return;
	pfn = some_page(t);
	REQUIRE(t, pfn != PFN_NONE);
	b.address = (u64)pfn << PAGE_SHIFT;
	flags = arch_irq_save();
	wrong = nested(&b);
	arch_irq_restore(flags);
	EXPECT_EQ(t, wrong, 0);
	EXPECT(t, wait_flagged(pfn));
	undo(t, pfn);
}
