/* SPDX-License-Identifier: MIT */
/*
 * play_help.h: a machine whose ports and registers store and note each write, for suites that call
 * sources of arch/x86_64, or drivers of a PC: the text of judge_help.h has every access of the
 * source, in order, and all that it prints.
 *
 * The machine is that of the test's thread, from play_begin to the end of the test.  The parts of
 * the kernel around it that are not in the hosted program (play_kernel.c) note their calls too.
 */
#ifndef QUARRY_TESTS_PLAY_HELP_H
#define QUARRY_TESTS_PLAY_HELP_H

#include "tests/host/judge_help.h"
#include "x86.h"
#include <quarry/acpi.h>
#include <quarry/bootinfo.h>
#include <quarry/cmdline.h>
#include <quarry/port.h>
#include <quarry/string.h>

#include <setjmp.h>

#define PLAY_MSRS    0x900u
#define PLAY_LAPIC   0xfee00000u
#define PLAY_IOAPIC  0xfec00000u /* the first; each further one is a page behind */
#define PLAY_IOAPICS 3u          /* the last one cannot be mapped */
#define PLAY_PINS    24u
#define PLAY_CODE    0xb0u       /* bytes of the trampoline */
#define PLAY_SLEEP   0xfea00200u /* the sleep control register in memory */

struct play {
	u8 port[0x10000];
	u64 msr[PLAY_MSRS];
	struct cpuid_regs leaf1, other; /* results of cpuid: leaf 1, subleaf 0; any other */
	u64 cr4, tsc;
	struct cpu cpu; /* this CPU */
	bool reads;     /* reads are noted too */
	unsigned halts; /* the call ends at its @halts-th hlt; 0: no hlt ends it */
	u32 lapic[1024];
	unsigned busy; /* number of reads that find the local APIC's ICR busy */
	u32 window[PLAY_IOAPICS][8];
	u32 redirect[PLAY_IOAPICS][0x10 + 2 * PLAY_PINS]; /* contents of each register */
	void *mapped; /* where all other addresses are mapped; NULL: they cannot be */
	bool logs;    /* what is printed goes to the log */
	/* A test may set these functions; NULL: nothing is called. */
	u32 (*in)(u16 port, unsigned bytes, u32 kept);
	void (*out)(u16 port);
	struct cpuid_regs (*cpuid)(u32 leaf);
	u32 (*count)(void);                  /* of the local APIC's timer */
	void (*noted)(void);                 /* after an instruction without operand */
	void (*sent)(u32 dest, u32 icr_low); /* instead of the notes of both writes; xAPIC only */
	void (*turned)(void);                /* at each 16th cpu_relax */
	void (*clocked)(u64 now);            /* at each reading of a timed clock */
	void (*flushed)(uintptr_t va);       /* from this CPU's TLB */
	/* The kernel around the sources. */
	bool (*panics)(void);
	void (*frames)(void);            /* called by frame_backtrace */
	void (*loaded)(struct cpu *cpu); /* at the end of cpu_load */
	unsigned no_page, no_table;      /* this page or mapping fails, counted from 1; 0: none */
	phys_t given[8];                 /* the pages allocated last, @nr_given */
	unsigned nr_given;
	bool out_of_reach;                /* a CPU is */
	int cpu_plug, cpu_up, cpu_unplug; /* results of these calls, for CPU 1 */
	unsigned unplugged;               /* calls of cpu_unplug that returned 0 */
	bool mce_full, mce_started;       /* the ring of records is; its thread has */
	void (*posted)(void);             /* as a record is handed over; may be NULL */
	jmp_buf end;
};
extern struct play play;
extern char play_code[]; /* the trampoline */

unsigned long long play_llu(u64 value);
/*
 * All registers are 0, and nothing has been noted; there is a local APIC, and the firmware's tables
 * name no other device.
 */
void play_begin(void);
/* Use another machine, and @clock, until the end of the test; NULL: the usual clock. */
void play_use(const struct host_machine *machine, u64 (*clock)(void));
/* The code runs on @cpu; at first on play.cpu. */
void play_cpu(struct cpu *cpu);
/* The clock is judge_clock, which advances by @tick ns at each reading. */
void play_timed(u64 tick);
/* Start the APICs, with @nr I/O APICs of 24 pins each, and forget the notes. */
void play_apics(unsigned nr);
/* There is a serial port, or a screen, or there is none.  A screen stays until it is taken away. */
void play_serial(bool present);
void play_screen(bool present);

/* Forget all boot memory.  play_stack: the end of a CPU's stack. */
void play_pool_clear(void);
void *play_stack(unsigned cpu);

/* @call makes the accesses @want, after those noted before; EXPECT_CALL: and returns @result. */
#define EXPECT_DOES(t, call, want)                                                                 \
	do {                                                                                       \
		call;                                                                              \
		EXPECT_SAID((t), (want));                                                          \
	} while (0)
#define EXPECT_CALL(t, call, result, want)                                                         \
	do {                                                                                       \
		EXPECT_EQ((t), (call), (result));                                                  \
		EXPECT_SAID((t), (want));                                                          \
	} while (0)

/* Make @call, which never returns, and continue here at its @nr-th hlt. */
#define PLAY_TO_THE_END(nr, call)                                                                  \
	do {                                                                                       \
		play.halts = (nr);                                                                 \
		if (!setjmp(play.end))                                                             \
			(call);                                                                    \
	} while (0)

#endif
