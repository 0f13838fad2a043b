/* SPDX-License-Identifier: MIT */
/*
 * firmware.c: settings of the firmware that the kernel changes: hidden no-execute pages, C1E.
 *
 * Owns:       firmware_hid_nx, the MSRs of the two settings.
 * Locks:      none: each CPU has registers of its own.
 * Tests:      play_firmware, tests/qemu/test_screen.py; the other CPUs: make lint (nx).
 *
 * A timer that stops: an idle CPU halts by HLT, which is C1.  In C1 the APIC's timer counts on
 * every CPU but AMD's in C1E, which is switched off here.  In the deeper states it may stop unless
 * CPUID 6 EAX bit 2 (ARAT) is set (SDM vol. 3A, 10.5.4), but only MWAIT or a port enters those, and
 * Intel's C1E is C1 at a lower voltage.  So nothing is needed where ARAT is clear.
 */
#include "x86.h"
#include <quarry/port.h>

#define MSR_INT_PENDING 0xc0010055
/* A HLT on all cores makes an SMI, or makes the chipset enter C1E (AMD 31116, 32559). */
#define INT_PENDING_C1E 0x18000000u

u32 firmware_hid_nx;

bool firmware_nx(void)
{
	u64 misc;

	if (cpu_has_nx() || cpuid(0, 0).ebx != VENDOR_INTEL)
		return cpu_has_nx();
	misc = rdmsr(MSR_MISC_ENABLE);
	if (!(misc & MISC_XD_DISABLE))
		return false;
	wrmsr(MSR_MISC_ENABLE, misc & ~MISC_XD_DISABLE);
	firmware_hid_nx = 1;
	printk("boot: the firmware had switched off no-execute pages (XD); switched on\n");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	return cpu_has_nx();
}

/* Families 0Fh (from revision F on), 10h and 11h have the MSR and its bits. */
void firmware_c1e(void)
{
	static u32 said;
	u32 model = cpu_model();
	u64 value;

	if (!cpu_is_amd() || model < 0xf40 || model > 0x11ff || cpuid(1, 0).ecx & CPUID_HYPERVISOR)
		return;
	value = rdmsr(MSR_INT_PENDING);
	if (!(value & INT_PENDING_C1E))
		return;
	wrmsr(MSR_INT_PENDING, value & ~(u64)INT_PENDING_C1E);
	if (!atomic_xchg(&said, 1u))
		printk("boot: C1E, in which the CPUs' timers stop, switched off\n");
}
