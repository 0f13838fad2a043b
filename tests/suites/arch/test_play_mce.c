/* SPDX-License-Identifier: MIT */
/*
 * test_play_mce.c: the machine-check registers that the kernel writes, on simulated processors of
 * several makers; and what it makes of banks found by an exception, or by polling.
 */
#include "tests/host/play_help.h"
#include <quarry/machine.h>
#include <quarry/mce.h>

#define PAGE         0x12345000UL
#define ENABLED      (MCE_VAL | MCE_UC | MCE_EN | MCE_MISCV | MCE_ADDRV)
#define DEFERRED     (ENABLED & ~MCE_EN)
#define LOADED       (ENABLED | MCE_S | MCE_AR | 0x134)
#define FETCHED      (ENABLED | MCE_S | MCE_AR | 0x150)
#define STATUS(bank) play.msr[MSR_MC0_STATUS + 4 * (bank)]

static struct cpuid_regs vendor, leaf1, hypervisor, ras, sizes;
static u32 last_leaf;

static struct cpuid_regs leaf_of(u32 leaf)
{
	switch (leaf) {
	case 0: return vendor;
	case 1: return leaf1;
	case 0x40000000: return hypervisor;
	case 0x80000000: return (struct cpuid_regs){.eax = last_leaf};
	case 0x80000007: return ras;
	case 0x80000008: return sizes;
	default: return (struct cpuid_regs){0};
	}
}

/* A CPU with that many banks, all empty. */
static void begin(u32 maker, u32 signature, u64 cap)
{
	play_begin();
	memset(&mce_stats, 0, sizeof(mce_stats));
	play.cpuid = leaf_of;
	vendor.ebx = maker;
	leaf1 = (struct cpuid_regs){.eax = signature, .edx = 1u << 7 | 1u << 14};
	last_leaf = 0x80000008;
	ras.ebx = sizes.ebx = 0;
	play.msr[MSR_MCG_CAP] = cap;
	mce_init_cpu();
	judge_clear();
}

/* ---- a CPU that starts ---- */

/* How many control registers were written; the last one is that of the last bank. */
static unsigned enabled(u32 maker, u32 signature, u64 banks)
{
	unsigned i, nr = 0;

	begin(maker, signature, banks);
	for (i = 0; i < 64; i++)
		nr += play.msr[MSR_MC0_CTL + 4 * i] == ~0UL;
	return nr;
}

KTEST_SUITE(play_mce, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* Of all hypervisors QEMU alone takes errors for its banks, and only if it emulates the CPU. */
KTEST(errors_are_injected_only_into_an_emulator)
{
	const struct mce_bank b = {.status = MCE_VAL};
	irqflags_t flags = arch_irq_save();

	begin(VENDOR_INTEL, 0x000806f8, 4);
	hypervisor.ebx = 0x54474354;
	EXPECT_CALL(t, mce_inject(1, &b, 0), -EOPNOTSUPP, "");
	leaf1.ecx = 1u << 31;
	EXPECT_EQ(t, mce_inject(1, &b, 0), 0);
	EXPECT_EQ(t, STATUS(1), MCE_VAL);
	judge_clear();
	hypervisor.ebx = 0x4b4d564b; /* "KVMK" */
	EXPECT_CALL(t, mce_inject(1, &b, 0), -EOPNOTSUPP, "");
	arch_irq_restore(flags);
}

KTEST(control_of_bank_0_may_be_the_platforms)
{
	EXPECT_EQ(t, enabled(VENDOR_INTEL, 0x00000f29, 4), 4);
	EXPECT_EQ(t, enabled(VENDOR_INTEL, 0x000206a7, 9), 9);
	EXPECT_EQ(t, enabled(VENDOR_INTEL, 0x000106a5, 9), 9);
	EXPECT_EQ(t, enabled(VENDOR_INTEL, 0x00010676, 6), 5);
	EXPECT_EQ(t, enabled(VENDOR_INTEL, 0x000006fb, 6), 5);
	EXPECT_EQ(t, play.msr[MSR_MC0_CTL], 0);
	EXPECT_EQ(t, enabled(VENDOR_AMD, 0x000006fb, 6), 6);
}

/* Bank 32 would be at MSR 0x480. */
KTEST(registers_beyond_the_last_bank_are_left_alone)
{
	unsigned i, nr = 0;

	EXPECT_EQ(t, enabled(VENDOR_INTEL, 0x000806f8, 0xff), 32);
	for (i = 0; i < 32; i++)
		STATUS(i) = MCE_VAL;
	STATUS(32) = STATUS(40) = MCE_VAL;
	mce_poll();
	for (i = 0; i < 64; i++)
		nr += STATUS(i) != 0;
	EXPECT_EQ(t, nr, 2);
	EXPECT_EQ(t, mce_stats.found[MCE_CORRECTED], 32);
}

/* ---- polling ---- */

static void fill(unsigned bank, u64 status)
{
	STATUS(bank) = status;
	play.msr[MSR_MC0_ADDR + 4 * bank] = PAGE;
	play.msr[MSR_MC0_MISC + 4 * bank] = 0x8c;
}

/* A row: @bank has @status when the banks are polled. */
#define EXPECT_POLLED(t, bank, status, want)                                                       \
	do {                                                                                       \
		fill((bank), (status));                                                            \
		EXPECT_DOES((t), mce_poll(), (want));                                              \
	} while (0)

KTEST(error_without_an_exception_is_polled)
{
	begin(VENDOR_INTEL, 0x000806f8, MCG_CAP_SER | 4);
	EXPECT_POLLED(t, 2, DEFERRED | 0xc0, "bank 2: deferred, pfn 12345\nmsr 409=0\nwake\n");
	EXPECT_POLLED(
	    t, 2, DEFERRED | MCE_PCC | 0xc0, "bank 2: deferred, pfn 0\nmsr 409=0\nwake\n");
	EXPECT_EQ(t, mce_stats.found[MCE_DEFERRED], 2);
	/* The exception of these has just been raised. */
	fill(2, ENABLED | MCE_PCC | 0xc0);
	EXPECT_POLLED(t, 3, LOADED, "");
	/* If the ring is full the error stays in its bank. */
	fill(3, 0);
	play.mce_full = true;
	EXPECT_POLLED(t, 2, DEFERRED | 0xc0, "bank 2: deferred, pfn 12345\n");
	EXPECT_EQ(t, STATUS(2), DEFERRED | 0xc0);
	EXPECT_EQ(t, mce_stats.found[MCE_DEFERRED], 2);
}

/* AMD's CPUs mark an error as deferred by a bit of their own, and UC is clear then. */
KTEST(deferred_error_of_amd_is_polled)
{
	const u64 status = MCE_VAL | MCE_ADDRV | MCE_AMD_DEFERRED | 0x134;

	begin(VENDOR_AMD, 0x00600f20, 7);
	EXPECT_POLLED(t, 4, status, "bank 4: deferred, pfn 12345\nmsr 411=0\nwake\n");
	ras.ebx = MCE_AMD_SMCA;
	leaf1.eax = 0x00800f11;
	mce_init_cpu();
	judge_clear();
	EXPECT_POLLED(t, 4, status, "bank 4: deferred, pfn 0\nmsr 411=0\nwake\n");
	begin(VENDOR_INTEL, 0x000806f8, MCG_CAP_SER | 4);
	EXPECT_POLLED(t, 3, status, "bank 3: corrected, pfn 0\nmsr 40d=0\nwake\n");
}

/* ---- exceptions ---- */

static struct mce_record hit;

/* Is it fatal? */
static bool raise(u64 mcg_status, enum mce_from from)
{
	play.msr[MSR_MCG_STATUS] = mcg_status | MCG_STATUS_MCIP;
	return mce_exception(0x55, from, &hit) != NULL;
}

/* A row: bank 1 has @status when the exception is raised, which is not fatal. */
#define EXPECT_SURVIVED(t, status, mcg_status, from, want)                                         \
	do {                                                                                       \
		fill(1, (status));                                                                 \
		EXPECT_CALL((t), raise((mcg_status), (from)), false, (want));                      \
	} while (0)
#define EXPECT_FATAL(t, status, mcg_status, from)                                                  \
	do {                                                                                       \
		fill(1, (status));                                                                 \
		EXPECT_CALL((t), raise((mcg_status), (from)), true, "");                           \
	} while (0)

#define DONE     "msr 405=0\nmsr 17a=0\n"
#define OPTIONAL "bank 1: action optional, pfn 12345\n" DONE

KTEST(exception_leaves_errors_that_did_not_raise_it)
{
	begin(VENDOR_INTEL, 0x000806f8, MCG_CAP_SER | 4);
	fill(2, DEFERRED | 0xc0);
	fill(3, DEFERRED | MCE_PCC);
	EXPECT_SURVIVED(t, ENABLED | MCE_S | 0xc0, MCG_STATUS_RIPV, MCE_FROM_KERNEL, OPTIONAL);
	EXPECT_EQ(t, mce_stats.found[MCE_NOTHING], 0);
	EXPECT_CALL(t, raise(MCG_STATUS_RIPV, MCE_FROM_KERNEL), false, "msr 17a=0\n");
	EXPECT_EQ(t, mce_stats.found[MCE_NOTHING], 1);
	EXPECT_DOES(t, mce_poll(),
	    "bank 2: deferred, pfn 12345\nmsr 409=0\nbank 3: deferred, pfn 0\nmsr 40d=0\nwake\n");
}

static void fill_bank_0(void)
{
	fill(0, ENABLED | 0xc0);
	play.posted = NULL;
}

/* In a bank that was looked at already. */
KTEST(an_error_that_comes_during_an_exception_is_left_to_a_poll)
{
	begin(VENDOR_INTEL, 0x000806f8, MCG_CAP_SER | 4);
	play.posted = fill_bank_0;
	EXPECT_SURVIVED(t, ENABLED | MCE_S | 0xc0, MCG_STATUS_RIPV, MCE_FROM_KERNEL, OPTIONAL);
	EXPECT_EQ(t, mce_stats.found[MCE_DEFERRED], 0);
	EXPECT_DOES(t, mce_poll(), "bank 0: deferred, pfn 12345\nmsr 401=0\nwake\n");
}

/*
 * Both CPUs of a core see the bank.  The one that fetched cannot continue; the other one, which may
 * be idle, can (SDM vol. 3B, table 15-20).
 */
KTEST(fetch_of_poison_ends_the_program_that_fetched)
{
	begin(VENDOR_INTEL, 0x000806f8, MCG_CAP_SER | 4);
	EXPECT_SURVIVED(t, FETCHED, 0, MCE_FROM_USER, DONE);
	EXPECT(t, hit.severity == MCE_REQUIRED && hit.pfn == PAGE >> PAGE_SHIFT && hit.ends);
	EXPECT_SURVIVED(t, FETCHED, MCG_STATUS_RIPV, MCE_FROM_KERNEL, OPTIONAL);
	EXPECT_EQ(t, hit.severity, MCE_NOTHING);
	EXPECT_FATAL(t, FETCHED, 0, MCE_FROM_KERNEL);
	/* The program needs no data of a bank, but the CPU does not know where to continue. */
	EXPECT_FATAL(t, ENABLED | MCE_S | 0xc0, MCG_STATUS_EIPV, MCE_FROM_USER);
	EXPECT_EQ(t, STATUS(1), ENABLED | MCE_S | 0xc0);
}

/* A program acts on its error itself; that of a copy is handed over. */
KTEST(error_met_by_a_copy_is_handed_over)
{
	const u64 here = MCG_STATUS_RIPV | MCG_STATUS_EIPV;

	begin(VENDOR_INTEL, 0x000806f8, MCG_CAP_SER | 4);
	EXPECT_SURVIVED(
	    t, LOADED, here, MCE_FROM_COPY, "bank 1: action required, pfn 12345\n" DONE);
	EXPECT_EQ(t, hit.severity, MCE_REQUIRED);
	EXPECT_SURVIVED(t, LOADED, here, MCE_FROM_USER, DONE);
	EXPECT(t, hit.severity == MCE_REQUIRED && !hit.ends);
	EXPECT(t, hit.bank == 1 && hit.ip == 0x55 && hit.status == LOADED && !hit.cpu);
	EXPECT(t, mce_stats.exceptions == 2 && mce_stats.found[MCE_REQUIRED] == 2);
}

/* AMD's banks have no bits S and AR; a program can be ended if CPUID says so. */
KTEST(uncorrected_error_of_amd_ends_the_program)
{
	const u64 status = ENABLED | 0x134;

	begin(VENDOR_AMD, 0x00800f11, 4);
	EXPECT_FATAL(t, status, MCG_STATUS_RIPV, MCE_FROM_USER);
	begin(VENDOR_HYGON, 0x00900f01, 4);
	ras.ebx = MCE_AMD_SUCCOR | MCE_AMD_SMCA;
	mce_init_cpu();
	judge_clear();
	EXPECT_SURVIVED(t, status, MCG_STATUS_RIPV, MCE_FROM_USER, DONE);
	EXPECT(t, hit.severity == MCE_REQUIRED && hit.pfn == PFN_NONE);
	EXPECT_FATAL(t, status, MCG_STATUS_RIPV, MCE_FROM_KERNEL);
	/* CPUID has no such leaf. */
	last_leaf = 0x80000006;
	mce_init_cpu();
	judge_clear();
	EXPECT_FATAL(t, status, MCG_STATUS_RIPV, MCE_FROM_USER);
}

/* ---- the x87 registers that FXRSTOR may leave ---- */

KTEST(cpus_of_amd_before_zen_keep_x87_pointers)
{
	begin(VENDOR_AMD, 0x00600f20, 4);
	EXPECT(t, cpu_keeps_x87_pointers());
	sizes.ebx = 4;
	EXPECT(t, !cpu_keeps_x87_pointers());
	last_leaf = 0x80000007;
	EXPECT(t, cpu_keeps_x87_pointers());
	begin(VENDOR_INTEL, 0x000806f8, 4);
	EXPECT(t, !cpu_keeps_x87_pointers());
}
