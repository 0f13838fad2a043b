/* SPDX-License-Identifier: MIT */
/* play_help.c: see play_help.h. */
#include "tests/host/play_help.h"

struct play play;

unsigned long long play_llu(u64 value)
{
	return (unsigned long long)value;
}

static u32 play_in(u16 port, unsigned bytes)
{
	u32 kept = 0;
	unsigned i;

	for (i = 0; i < bytes; i++)
		kept |= (u32)play.port[(u16)(port + i)] << 8 * i;
	if (play.in)
		kept = play.in(port, bytes, kept);
	if (play.reads)
		judge_note("in%u %x\n", 8 * bytes, port);
	return kept;
}

static void play_out(u16 port, unsigned bytes, u32 value)
{
	unsigned i;

	for (i = 0; i < bytes; i++)
		play.port[(u16)(port + i)] = (u8)(value >> 8 * i);
	judge_note("out%u %x=%x\n", 8 * bytes, port, value);
	if (play.out)
		play.out(port);
}

static u64 *play_msr(u32 msr)
{
	return &play.msr[msr % PLAY_MSRS];
}

static u64 play_rdmsr(u32 msr)
{
	if (play.reads)
		judge_note("read msr %x\n", msr);
	return *play_msr(msr);
}

static void play_wrmsr(u32 msr, u64 value)
{
	*play_msr(msr) = value;
	judge_note("msr %x=%llx\n", msr, play_llu(value));
}

static struct cpuid_regs play_cpuid(u32 leaf, u32 subleaf)
{
	if (play.cpuid)
		return play.cpuid(leaf);
	return leaf == 1 && !subleaf ? play.leaf1 : play.other;
}

static u32 play_mmio_read(const volatile u32 *at)
{
	return play.mmio_read(at);
}

static void play_mmio_write(volatile u32 *at, u32 value)
{
	play.mmio_write(at, value);
}

static void play_mmio_write8(volatile u8 *at, u8 value)
{
	play.mmio_write8(at, value);
}

static u64 play_read_cr4(void)
{
	return play.cr4;
}

static void play_write_cr4(u64 value)
{
	play.cr4 = value;
	judge_note("cr4=%llx\n", play_llu(value));
}

/* A call that never returns ends here: see PLAY_TO_THE_END. */
static void play_note(const char *what)
{
	judge_note("%s%s\n", arch_irqs_enabled() ? "irqs on: " : "", what);
	if (!strcmp(what + strlen(what) - 3, "hlt") && play.halts && --play.halts == 0)
		longjmp(play.end, 1);
	if (play.noted)
		play.noted();
}

void play_turn(void)
{
	play.turns++;
}

static const struct host_machine play_machine = {.in = play_in,
    .out = play_out,
    .rdmsr = play_rdmsr,
    .wrmsr = play_wrmsr,
    .cpuid = play_cpuid,
    .mmio_read = play_mmio_read,
    .mmio_write = play_mmio_write,
    .mmio_write8 = play_mmio_write8,
    .read_cr4 = play_read_cr4,
    .write_cr4 = play_write_cr4,
    .note = play_note,
    .cpu = &play.cpu};

void play_begin(void)
{
	memset(&play, 0, sizeof(play));
	host_machine = &play_machine;
	judge_begin();
}
