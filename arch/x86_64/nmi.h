/* SPDX-License-Identifier: MIT */
/*
 * nmi.h: backtraces by NMI (nmi.c).
 *
 * Tests:      play_nmi.
 */
#ifndef ARCH_X86_64_NMI_H
#define ARCH_X86_64_NMI_H

/* arch_backtrace_others. */
void nmi_ask_others(void);

#endif
