/* SPDX-License-Identifier: MIT */
/*
 * firmware.c: settings of the firmware that the kernel changes: hidden no-execute pages.
 *
 * Owns:       firmware_hid_nx, the MSR of this setting.
 * Locks:      none: each CPU has registers of its own.
 * Tests:      play_firmware, tests/qemu/test_screen.py.
 */
#include "x86.h"
#include <quarry/port.h>

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
