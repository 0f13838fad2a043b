/* SPDX-License-Identifier: MIT */
/*
 * play_help.h: a machine whose ports and registers store and note each write, for suites that
 * include a source of arch/x86_64 or of a driver: the text of judge_help.h has every access of
 * the source, in order.
 */
#ifndef QUARRY_TESTS_PLAY_HELP_H
#define QUARRY_TESTS_PLAY_HELP_H

#include "tests/host/judge_help.h"
#include "x86.h"
#include <quarry/port.h>
#include <quarry/string.h>

#include <setjmp.h>

#define PLAY_MSRS 0x900u

struct play {
	u8 port[0x10000];
	u64 msr[PLAY_MSRS];
	struct cpuid_regs leaf1, other; /* results of cpuid: leaf 1, subleaf 0; any other */
	u64 cr4;
	struct cpu cpu; /* this CPU */
	bool reads;     /* reads are noted too */
	unsigned halts; /* the call ends at its @halts-th hlt; 0: no hlt ends it */
	u32 turns;      /* passes of waiting loops */
	/* A test may set these functions; NULL: nothing is called. */
	u32 (*in)(u16 port, unsigned bytes, u32 kept);
	void (*out)(u16 port);
	struct cpuid_regs (*cpuid)(u32 leaf);
	void (*noted)(void); /* after an instruction without operand */
	u32 (*mmio_read)(const volatile u32 *at);
	void (*mmio_write)(volatile u32 *at, u32 value);
	void (*mmio_write8)(volatile u8 *at, u8 value);
	jmp_buf end;
};
extern struct play play;

unsigned long long play_llu(u64 value);

/*
 * Replaces cpu_relax, which lets other threads run on a host: too slow for waits of a million
 * passes.
 */
void play_turn(void);

/* All registers are 0, and nothing has been noted. */
void play_begin(void);

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
