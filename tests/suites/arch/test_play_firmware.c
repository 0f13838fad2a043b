/* SPDX-License-Identifier: MIT */
/* test_play_firmware.c: no-execute pages as firmware leaves them, and what is changed. */
#include "tests/host/play_help.h"

#define printk judge_say
#include "arch/x86_64/firmware.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef printk

static u32 vendor, signature, features;
static bool without; /* the CPU has no such pages at all */

/* The CPU hides the feature while the bit is set (SDM vol. 4, table 2-2). */
static struct cpuid_regs leaf_of(u32 leaf)
{
	bool nx = !without && !(play.msr[MSR_MISC_ENABLE] & MISC_XD_DISABLE);

	switch (leaf) {
	case 0: return (struct cpuid_regs){.ebx = vendor};
	case 1: return (struct cpuid_regs){.eax = signature, .ecx = features};
	case 0x80000001: return (struct cpuid_regs){.edx = nx ? CPUID_NX : 0};
	default: return (struct cpuid_regs){0};
	}
}

static void begin(u32 maker, u32 leaf1, u32 ecx)
{
	play_begin();
	play.reads = true;
	play.cpuid = leaf_of;
	vendor = maker;
	signature = leaf1;
	features = ecx;
	without = false;
	firmware_hid_nx = 0;
}

static void hidden_no_execute_pages_are_switched_on(struct ktest *t)
{
	begin(VENDOR_INTEL, 0x6fb, 0);
	play.msr[MSR_MISC_ENABLE] = MISC_XD_DISABLE | 1;
	EXPECT(t, firmware_nx() && firmware_hid_nx);
	EXPECT_SAID(t,
	    "read msr 1a0\nmsr 1a0=1\n"
	    "boot: the firmware had switched off no-execute pages (XD); switched on\n"
	    "read msr c0000080\nmsr c0000080=800\n");
	/* Nothing is hidden. */
	EXPECT(t, firmware_nx());
	/* A virtual machine without such pages; another maker's CPU, which lacks the register. */
	without = true;
	EXPECT(t, !firmware_nx());
	EXPECT_SAID(t, "read msr 1a0\n");
	begin(VENDOR_AMD, 0x60fb2, 0);
	without = true;
	EXPECT(t, !firmware_nx() && !firmware_hid_nx);
	EXPECT_SAID(t, "");
}

KTEST_SUITE(play_firmware, KTEST_QUICK, KTEST(hidden_no_execute_pages_are_switched_on));
