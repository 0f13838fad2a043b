/* SPDX-License-Identifier: MIT */
/* play_help.c: see play_help.h. */
#include "tests/host/play_help.h"
#include "host.h"
#include "tests/lib/screen_help.h"
#include <quarry/bootfile.h>
#include <quarry/console.h>

#define PLAY_FONT   0x0
#define PLAY_PIXELS 0x3800

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

/* ---- registers in memory ---- */

static u8 sleep_register;

static void *play_map(phys_t pa, size_t len, unsigned flags)
{
	unsigned i = (unsigned)(pa - PLAY_IOAPIC) / PAGE_SIZE;

	judge_note("map %llx+%lx%s\n", play_llu(pa), (unsigned long)len,
	    flags == MAP_UNCACHED      ? ""
	        : flags == MAP_COMBINE ? ", combining"
	                               : ", cached");
	if (pa == PLAY_LAPIC && len == PAGE_SIZE)
		return play.lapic;
	if (pa == PLAY_SLEEP && len == 1)
		return &sleep_register;
	if (pa % PAGE_SIZE == 0 && i < PLAY_IOAPICS)
		return i + 1 < PLAY_IOAPICS ? play.window[i] : NULL;
	return play.mapped;
}

/* The register of the local APIC at @at; -1: it is none. */
static int lapic_register(const volatile u32 *at)
{
	bool is = at >= play.lapic && at < play.lapic + ARRAY_SIZE(play.lapic);

	return is ? 4 * (int)(at - play.lapic) : -1;
}

/* The register that an I/O APIC's window shows; NULL: there is none. */
static u32 *ioapic_register(const volatile u32 *at)
{
	unsigned i = (unsigned)(at - play.window[0]) / 8;
	u32 reg = i < PLAY_IOAPICS ? play.window[i][0] : ~0u;

	if (reg < ARRAY_SIZE(play.redirect[0]) && at == &play.window[i][4])
		return &play.redirect[i][reg];
	judge_note("no register\n");
	return NULL;
}

static u32 play_mmio_read(const volatile u32 *at)
{
	int reg = lapic_register(at);

	if (reg < 0) {
		const u32 *its = ioapic_register(at);

		return its ? *its : 0;
	}
	if (play.reads)
		judge_note("read %x\n", reg);
	if (reg == 0x390 && play.count)
		return play.count();
	return *at | (reg == 0x300 && play.busy && play.busy-- ? 0x1000u : 0);
}

/* While the APIC is disabled, as after a reset, the entries of its table stay masked. */
static bool stays_masked(int reg)
{
	return reg >= 0x320 && reg <= 0x370 && !(play.lapic[0xf0 / 4] & 0x100);
}

static void play_mmio_write(volatile u32 *at, u32 value)
{
	unsigned i = (unsigned)(at - play.window[0]) / 8;
	int reg = lapic_register(at);
	u32 *its;

	if (play.sent && (reg == 0x300 || reg == 0x310)) {
		*at = value;
		if (reg == 0x300)
			play.sent(play.lapic[0x310 / 4] >> 24, value);
	} else if (reg >= 0) {
		judge_note("%s%x=%x\n", arch_irqs_enabled() ? "irqs on: " : "", reg, value);
		*at = value | (stays_masked(reg) ? LVT_MASKED : 0);
	} else if (i < PLAY_IOAPICS && at == play.window[i]) {
		*at = value;
	} else if ((its = ioapic_register(at))) {
		judge_note("io%u %x=%x\n", i, play.window[i][0], value);
		*its = value;
	}
}

static void play_mmio_write8(volatile u8 *at, u8 value)
{
	judge_note("%s %x\n", at == &sleep_register ? "sleep control" : "another byte", value);
}

/* ---- the CPU ---- */

static u64 play_read_cr4(void)
{
	return play.cr4;
}

static void play_write_cr4(u64 value)
{
	play.cr4 = value;
	judge_note("cr4=%llx\n", play_llu(value));
	if (play.noted)
		play.noted();
}

static void play_invlpg(uintptr_t va)
{
	if (play.flushed)
		play.flushed(va);
}

static u64 play_tsc(void)
{
	return play.tsc;
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

static u64 play_clock(void)
{
	u64 now = judge_clock();

	if (play.clocked)
		play.clocked(now);
	return now;
}

/* A test's own comments begin with " # ". */
static bool play_say(const char *text)
{
	if (play.logs || !strncmp(text, "  # ", 4))
		return false;
	judge_say("%s", text);
	return true;
}

static void play_turn(void)
{
	if (play.turned)
		play.turned();
}

static struct host_machine play_machine = {
    .in = play_in,
    .out = play_out,
    .rdmsr = play_rdmsr,
    .wrmsr = play_wrmsr,
    .cpuid = play_cpuid,
    .mmio_read = play_mmio_read,
    .mmio_write = play_mmio_write,
    .mmio_write8 = play_mmio_write8,
    .read_cr4 = play_read_cr4,
    .write_cr4 = play_write_cr4,
    .invlpg = play_invlpg,
    .note = play_note,
    .map = play_map,
    .tsc = play_tsc,
};
static void (*hook_before)(const char *suite, const struct ktest *t, bool begins);

/* The machine is gone with its test. */
static void end(const char *suite, const struct ktest *t, bool begins)
{
	host_machine = NULL;
	host_hooks = NULL;
	if (hook_before)
		hook_before(suite, t, begins);
}

void play_use(const struct host_machine *machine, u64 (*clock)(void))
{
	static struct host_hooks hooks;

	hooks = (struct host_hooks){.clock = clock, .turn = play_turn, .say = play_say};
	host_machine = machine;
	host_hooks = &hooks;
	if (ktest_hook != end)
		hook_before = ktest_hook;
	ktest_hook = end;
}

void play_cpu(struct cpu *cpu)
{
	play_machine.cpu = cpu;
}

void play_begin(void)
{
	memset(&play, 0, sizeof(play));
	memset(&acpi, 0, sizeof(acpi));
	memset(&bootinfo, 0, sizeof(bootinfo));
	play_cpu(&play.cpu);
	play_use(&play_machine, NULL);
	judge_begin();
	cmdline_init("", false);
	acpi.lapic = PLAY_LAPIC;
	play.msr[MSR_APIC_BASE] = PLAY_LAPIC | 0x100; /* the boot CPU's, off */
}

void play_timed(u64 tick)
{
	play_use(&play_machine, play_clock);
	judge.tick = tick;
}

void play_apics(unsigned nr)
{
	acpi.nr_ioapics = nr;
	for (unsigned i = 0; i < ACPI_NR_ISA; i++)
		acpi.isa[i].gsi = i;
	for (unsigned i = 0; i < nr; i++) {
		acpi.ioapic[i] = (struct acpi_ioapic){
		    .address = PLAY_IOAPIC + i * PAGE_SIZE, .gsi_base = i * PLAY_PINS};
		play.redirect[i][1] = (PLAY_PINS - 1) << 16;
	}
	arch_apic_init();
	judge_clear();
}

static u32 com1_in(u16 port, unsigned bytes, u32 kept)
{
	return port == 0x3ff ? 0xff : kept;
}

void play_serial(bool present)
{
	u32 (*in)(u16, unsigned, u32) = play.in;

	play.in = present ? NULL : com1_in;
	play.port[0x3fd] = 0x60; /* all bytes have been sent */
	serial_init();
	play.in = in;
	judge_clear();
}

/* The pixels and the font lie in the first pages of memory, which nobody else uses. */
void play_screen(bool present)
{
	static struct bootinfo kept;
	struct framebuffer *fb = &bootinfo.framebuffer;

	kept = bootinfo;
	memset(&bootinfo, 0, sizeof(bootinfo));
	*fb = (struct framebuffer){PLAY_PIXELS, 256, 64, 24, 4, {16, 8}, {8, 8}, {0, 8}};
	if (!present)
		fb->address = 1ULL << 32; /* not mapped yet, and cannot be */
	bootinfo.nr_modules = 1;
	bootinfo.module[0] = (struct boot_module){.name = BOOT_FONT,
	    .start = PLAY_FONT,
	    .size = make_font(arch_phys_to_virt(PLAY_FONT), 0)};
	screen_init();
	if (!present)
		screen_map();
	bootinfo = kept;
	judge_clear();
}
