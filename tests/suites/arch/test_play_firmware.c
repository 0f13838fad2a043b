/* SPDX-License-Identifier: MIT */
/* test_play_firmware.c: no-execute pages and C1E as firmware leaves them, and what is changed. */
#include "tests/host/play_help.h"

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

KTEST_SUITE(play_firmware, KTEST_QUICK);

KTEST(hidden_no_execute_pages_are_switched_on)
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

KTEST(c1e_is_switched_off_where_the_timer_stops)
{
	static const struct {
		u32 vendor, signature, ecx;
		bool has; /* the register is there */
	} cpu[] = {
	    {VENDOR_AMD, 0x20f32, 0, false},  /* family 0Fh, revision E */
	    {VENDOR_AMD, 0x40f33, 0, true},   /* revision F */
	    {VENDOR_AMD, 0x100f42, 0, true},  /* family 10h */
	    {VENDOR_AMD, 0x200f31, 0, true},  /* family 11h */
	    {VENDOR_AMD, 0x300f10, 0, false}, /* family 12h */
	    {VENDOR_AMD, 0x100f42, CPUID_HYPERVISOR, false},
	    {VENDOR_INTEL, 0xf64, 0, false},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cpu); i++) {
		begin(cpu[i].vendor, cpu[i].signature, cpu[i].ecx);
		EXPECT_DOES(t, firmware_c1e(), cpu[i].has ? "read msr c0010055\n" : "");
	}
	begin(VENDOR_AMD, 0x100f42, 0);
	play.msr[0xc0010055 % PLAY_MSRS] = 0x1a000123;
	firmware_c1e();
	EXPECT_SAID(t,
	    "read msr c0010055\nmsr c0010055=2000123\n"
	    "boot: C1E, in which the CPUs' timers stop, switched off\n");
	/* The next CPU says nothing. */
	play.msr[0xc0010055 % PLAY_MSRS] = 0x8000000;
	EXPECT_DOES(t, firmware_c1e(), "read msr c0010055\nmsr c0010055=0\n");
}
