/* SPDX-License-Identifier: MIT */
/*
 * test_play_apic.c: all writes to the APICs, in order, in both modes. The machine is simulated: not
 * every emulator has x2APIC, and no usual machine has two I/O APICs.
 */
#include "tests/host/play_help.h"
#include <quarry/acpi.h>
#include <quarry/cmdline.h>
#include <quarry/machine.h>

#define LAPIC   0xfee00000u
#define IOAPICS 3u /* the last I/O APIC cannot be mapped */
#define PINS    4u

static struct acpi_info firmware;
static u64 tsc_hz, apic_hz;
static const char *wanted_mode; /* NULL: not on the command line */
static volatile u32 lapic_words[1024], ioapic_words[IOAPICS][8];
static u32 redirect[IOAPICS][0x10 + 2 * PINS + 2]; /* contents of each register */
static unsigned busy;                              /* number of reads that find the ICR busy */

static const char *option(const char *name, const char *otherwise)
{
	return !strcmp(name, "apic") && wanted_mode ? wanted_mode : otherwise;
}

static void *map(phys_t pa, size_t len)
{
	judge_note("map %llx+%lx\n", play_llu(pa), (unsigned long)len);
	if (pa == LAPIC)
		return (void *)(uintptr_t)lapic_words;
	return pa == 2 ? NULL : (void *)(uintptr_t)ioapic_words[pa];
}

static void measure(void)
{
	judge_note("clock\n");
}

#define acpi          firmware
#define clock_tsc_hz  tsc_hz
#define clock_apic_hz apic_hz
#define clock_init    measure
#define cmdline_get   option
#define arch_map_mmio map
#define cpu_relax     play_turn
#define printk        judge_say
#include "arch/x86_64/apic.c"  /* NOLINT(bugprone-suspicious-include): the tested source */
#include "arch/x86_64/timer.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef printk

/* ---- the registers ---- */

static bool is_lapic(const volatile u32 *at)
{
	return at >= lapic_words && at < lapic_words + ARRAY_SIZE(lapic_words);
}

static u32 read_ioapic(const volatile u32 *at)
{
	unsigned i = (unsigned)(at - ioapic_words[0]) / 8;
	u32 reg = ioapic_words[i][0];

	if (at != &ioapic_words[i][4] || reg >= ARRAY_SIZE(redirect[i]))
		judge_note("no register\n");
	return reg < ARRAY_SIZE(redirect[i]) ? redirect[i][reg] : 0;
}

static u32 read_word(const volatile u32 *at)
{
	unsigned reg = 4 * (unsigned)(at - lapic_words);

	if (!is_lapic(at))
		return read_ioapic(at);
	if (play.reads)
		judge_note("read %x\n", reg);
	return *at | (reg == 0x300 && busy && busy-- ? 0x1000u : 0);
}

#define MASKED 0x10000u

/* While the APIC is disabled, as after a reset, the entries of its table stay masked. */
static bool is_lvt(unsigned reg)
{
	return reg >= 0x320 && reg <= 0x370;
}

static void write_word(volatile u32 *at, u32 value)
{
	unsigned i = (unsigned)(at - ioapic_words[0]) / 8;

	if (is_lapic(at)) {
		unsigned reg = 4 * (unsigned)(at - lapic_words);

		judge_note("%s%x=%x\n", arch_irqs_enabled() ? "irqs on: " : "", reg, value);
		*at = value | (is_lvt(reg) && !(lapic_words[0xf0 / 4] & 0x100) ? MASKED : 0);
	} else if (at == ioapic_words[i]) {
		*at = value;
	} else if (at == &ioapic_words[i][4] && *ioapic_words[i] < ARRAY_SIZE(redirect[i])) {
		judge_note("io%u %x=%x\n", i, *ioapic_words[i], value);
		redirect[i][*ioapic_words[i]] = value;
	} else {
		judge_note("no register\n");
	}
}

static void begin(void)
{
	play_begin();
	play.mmio_read = read_word;
	play.mmio_write = write_word;
	play.other.ecx = ~0u; /* only leaf 1 may be used */
	busy = 0;
	tsc_hz = 3000000000;
	apic_hz = 62500050;
	wanted_mode = NULL;
	x2apic = false;
	lapic = NULL;
	memset(ioapic, 0, sizeof(ioapic));
	memset((void *)(uintptr_t)lapic_words, 0, sizeof(lapic_words));
	memset((void *)(uintptr_t)ioapic_words, 0, sizeof(ioapic_words));
	memset(redirect, 0, sizeof(redirect));
	redirect[0][1] = 0x00030011; /* four pins */
	redirect[1][1] = 0xaa00aa20; /* one pin */
	for (unsigned i = 0; i < IOAPICS * PINS; i++)
		redirect[i / PINS][0x10 + 2 * (i % PINS)] = 0x10000; /* masked, as after a reset */
	memset(&firmware, 0, sizeof(firmware));
	firmware.lapic = LAPIC;
	play.msr[0x1b] = LAPIC | 0x100; /* the boot CPU's, off */
	firmware.nr_ioapics = IOAPICS;
	for (unsigned i = 0; i < IOAPICS; i++)
		firmware.ioapic[i] =
		    (struct acpi_ioapic){.address = i, .gsi_base = i == 1 ? 24 : 8 * i};
}

static void begin_x2apic(void)
{
	begin();
	x2apic = true;
	ioapic[0] = ioapic_words[0];
	ioapic[1] = ioapic_words[1];
}

static void begin_xapic(void)
{
	begin_x2apic();
	x2apic = false;
	lapic = lapic_words;
}

/* ---- the start ---- */

#define HAS 0x200000u   /* the CPU has x2APIC */
#define VM  0x80000000u /* it is virtual */
#define ON  0x400u
#define IO_APICS                                                                                   \
	"map 0+20\nmap 1+20\nmap 2+20\n"                                                           \
	"io0 10=10000\nio0 12=10000\nio0 14=10000\nio0 16=10000\nio1 10=10000\n"

#define RATES "clock: TSC 3000 MHz, not invariant; APIC timer 1000 MHz\n"

static void init(void)
{
	irqflags_t flags = arch_irq_save();

	arch_apic_init();
	arch_timer_init();
	arch_irq_restore(flags);
}

KTEST_SUITE(play_apic, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(every_register_is_set_at_the_start)
{
	begin();
	play.leaf1.ecx = ~HAS;
	lapic_words[0x30 / 4] = 0x50014; /* six entries */
	init();
	EXPECT_SAID(t,
	    "map fee00000+1000\napic: xAPIC mode\nout8 21=ff\nout8 a1=ff\nmsr 1b=fee00900\n"
	    "80=0\nf0=1ff\n320=10000\n350=10000\n360=400\n370=10000\n340=10000\n330=10000\nb0="
	    "0\n" IO_APICS "3e0=3\n380=ffffffff\nclock\n380=0\n" RATES);
	EXPECT_EQ(t, lapic_words[0x360 / 4], 0x400);
	EXPECT_EQ(t, apic_max_id(), 254);
	begin();
	play.leaf1.ecx = HAS | VM;
	init();
	EXPECT_SAID(t,
	    "apic: x2APIC mode\nout8 21=ff\nout8 a1=ff\nmsr 1b=fee00900\nmsr 1b=fee00d00\n"
	    "msr 808=0\nmsr 80f=1ff\nmsr 832=10000\nmsr 835=10000\nmsr 836=400\nmsr 837=10000\n"
	    "msr 80b=0\n" IO_APICS "msr 83e=3\nmsr 838=ffffffff\nclock\nmsr 838=0\n" RATES);
	EXPECT_EQ(t, apic_max_id(), 65535);
}

/* Entries that the APIC lacks are not touched, nor an SMI of the firmware's. */
KTEST(newer_entries_are_masked)
{
	begin_x2apic();
	play.msr[0x803] = 0xff03ffff;
	apic_enable();
	EXPECT_WORDS(t, "3:=10000\n");
	begin_x2apic();
	play.msr[0x803] = 0xff06ffff;
	play.msr[0x833] = 0x12fa; /* thermal */
	play.msr[0x82f] = 0x14fa; /* CMCI: an NMI */
	apic_enable();
	EXPECT_WORDS(t, "msr 834=10000\n|msr 82f=10000\n|5:=10000\n");
	EXPECT_EQ(t, play.msr[0x833], 0x12fa);
}

KTEST(apic_mode_follows_cpu_and_option)
{
	static const struct {
		u32 ecx, base;
		const char *option;
		bool x2apic;
		u32 largest_id;
	} cases[] = {
	    {HAS, 0, NULL, false, 0},
	    {HAS, 0, NULL, false, 0xfe},
	    {HAS, 0, NULL, true, 0xff},
	    {HAS, 0, "xapic", false, 0xff},
	    {HAS | VM, 0, NULL, true, 0},
	    {HAS | VM, 0, "xapic", false, 0},
	    {HAS, 0, "x2apic", true, 0},
	    {HAS, 0, "xapic", false, 0},
	    {HAS, ON, "xapic", true, 0}, /* x2APIC mode cannot be left */
	    {HAS, ~ON, "xapic", false, 0},
	    {HAS, ON, NULL, true, 0},
	    {~HAS, 0, NULL, false, 0},
	    {~HAS, 0, "xapic", false, 0},
	    {~HAS, 0, "x2apic", false, 0xff},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		begin();
		play.leaf1.ecx = cases[i].ecx;
		firmware.nr_cpus = 2;
		firmware.cpu[1].apic_id = cases[i].largest_id;
		play.msr[0x1b] = LAPIC | (cases[i].base & 0xfff);
		wanted_mode = cases[i].option;
		init();
		EXPECT_EQ(t, apic_max_id() == X2APIC_MAX_ID, cases[i].x2apic);
		EXPECT_EQ(t, judge_times("map fee00000+1000\n"), !cases[i].x2apic);
		EXPECT_EQ(t, judge_times("apic: x2APIC mode"), cases[i].x2apic);
		EXPECT_EQ(t, judge_times(" mode, as the firmware left it\n"),
		    cases[i].x2apic && cases[i].option && !strcmp(cases[i].option, "xapic"));
	}
}

KTEST(local_apic_is_where_the_cpu_has_it)
{
	begin();
	firmware.lapic = 0x123456789000;
	init();
	EXPECT_WORDS(t,
	    "map fee00000+1000\n|apic: local APIC at fee00000, not at 123456789000 as the MADT "
	    "says\n");
}

/* Some CPUs change the TSC's rate, or stop it while they are idle (SDM vol. 3B, 17.17.1). */
KTEST(tsc_that_may_change_its_rate_is_reported)
{
	begin();
	lapic = lapic_words;
	play.other.eax = 0x80000007;
	play.other.edx = 0x100;
	arch_timer_init();
	EXPECT_EQ(t, judge_times("clock: TSC 3000 MHz; APIC timer 1000 MHz\n"), 1);
	play.other.edx = ~0x100u;
	arch_timer_init();
	play.other.edx = 0x100;
	play.other.eax = 0x80000006;
	arch_timer_init();
	EXPECT_EQ(t, judge_times(RATES), 2);
}

/* ---- registers, interrupts sent ---- */

KTEST(registers_are_memory_or_msrs)
{
	begin_xapic();
	lapic_words[0x20 / 4] = 0x12345678;
	EXPECT_EQ(t, apic_id(), 0x12);
	EXPECT_EQ(t, apic_read(0x20), 0x12345678);
	apic_write(0x3f0, 5);
	EXPECT_DOES(t, apic_eoi(), "irqs on: 3f0=5\nirqs on: b0=0\n");
	begin_x2apic();
	play.msr[0x802] = 0xa12345678;
	EXPECT_EQ(t, apic_id(), 0x12345678);
	apic_write(0x3f0, 5);
	EXPECT_DOES(t, apic_eoi(), "msr 83f=5\nmsr 80b=0\n");
}

/* In xAPIC mode two writes send an interrupt, once the last one was sent; nothing comes between. */
KTEST(interrupts_are_sent_whole)
{
	irqflags_t flags;

	begin_xapic();
	busy = 3;
	play.reads = true;
	EXPECT_DOES(t, apic_send(0x1a, 0x4041),
	    "read 300\nread 300\nread 300\nread 300\n310=1a000000\n300=4041\n");
	EXPECT_EQ(t, play.turns, 3);
	EXPECT(t, arch_irqs_enabled());
	flags = arch_irq_save();
	apic_send(1, 0x4042);
	EXPECT(t, !arch_irqs_enabled());
	EXPECT_DOES(t, arch_irq_restore(flags), "read 300\n310=1000000\n300=4042\n");
	/* If the ICR stays busy, it is written in the end all the same. */
	play.reads = false;
	play.turns = 0;
	busy = ~0u;
	EXPECT_DOES(t, apic_send(2, 0x4043), "310=2000000\n300=4043\n");
	EXPECT_EQ(t, play.turns, 1000000);
	begin_x2apic();
	EXPECT_DOES(
	    t, apic_send(0x12345678, 0xc4041), "irqs on: fence\nmsr 830=12345678000c4041\n");
	EXPECT(t, arch_irqs_enabled());
}

/* A sender that is interrupted between its writes finds its destination, and the ICR free. */
KTEST(ipi_to_this_cpu_needs_no_destination)
{
	irqflags_t flags = arch_irq_save();

	begin_xapic();
	play.reads = true;
	busy = 2;
	EXPECT_DOES(t, apic_send_self(0x4f), "read 300\nread 300\nread 300\n300=4404f\nread 300\n");
	EXPECT_EQ(t, play.turns, 2);
	begin_x2apic();
	play.reads = true;
	EXPECT_DOES(t, apic_send_self(0x4f), "read msr 830\nmsr 830=4404f\nread msr 830\n");
	arch_irq_restore(flags);
}

/* ---- I/O APICs ---- */

static void set_id(u32 id)
{
	lapic_words[0x20 / 4] = id << 24;
	play.msr[0x802] = id;
}

KTEST(interrupt_lines_are_routed_to_this_cpu)
{
	/* The I/O APIC of line 16 is not mapped. */
	static const u32 nowhere[] = {2, 7, 23, 25, 16, ~0u};

	begin_xapic();
	set_id(0x12);
	firmware.ioapic[0].gsi_base = 3;
	for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++)
		EXPECT_CALL(t, ioapic_route(nowhere[i], 0x43, true, true), -ENODEV, "");
	EXPECT_CALL(t, ioapic_route(3, 0x43, false, false), 0, "io0 11=12000000\nio0 10=43\n");
	EXPECT_CALL(t, ioapic_route(6, 0x44, true, false), 0, "io0 17=12000000\nio0 16=8044\n");
	EXPECT_CALL(t, ioapic_route(24, 0x45, false, true), 0, "io1 11=12000000\nio1 10=2045\n");
	EXPECT(t, arch_irqs_enabled());
	/* A pin in use keeps its vector; drivers with one vector may share it. */
	EXPECT_CALL(t, ioapic_route(6, 0x43, true, false), -EBUSY, "");
	EXPECT_CALL(t, ioapic_route(6, 0x44, true, true), 0, "io0 17=12000000\nio0 16=a044\n");
	/* A line of an I/O APIC that is not in the list has no route. */
	firmware.nr_ioapics = 1;
	EXPECT_CALL(t, ioapic_route(24, 0x45, false, true), -ENODEV, "");
}

KTEST(isa_lines_follow_the_firmware)
{
	begin_xapic();
	firmware.isa[4] = (struct acpi_isa){.gsi = 1};
	firmware.isa[9] = (struct acpi_isa){.gsi = 2, .level = true};
	firmware.isa[10] = (struct acpi_isa){.gsi = 3, .active_low = true};
	firmware.isa[11] = (struct acpi_isa){.gsi = 4, .active_low = true};
	EXPECT_EQ(t, ioapic_route_isa(4, 0x43), 0);
	EXPECT_EQ(t, ioapic_route_isa(9, 0x45), 0);
	EXPECT_EQ(t, ioapic_route_isa(10, 0x46), 0);
	EXPECT_CALL(t, ioapic_route_isa(11, 0x47), -ENODEV,
	    "io0 13=0\nio0 12=43\nio0 15=0\nio0 14=8045\nio0 17=0\nio0 16=2046\n");
}

/* A line's destination has 8 bits, and the largest number means all CPUs. */
KTEST(cpu_with_a_large_id_gets_no_interrupt_line)
{
	begin_x2apic();
	set_id(0xff);
	EXPECT_EQ(t, ioapic_route(0, 0x43, false, false), -ENODEV);
	set_id(0x10000);
	EXPECT_EQ(t, ioapic_route(0, 0x43, false, false), -ENODEV);
	EXPECT_DOES(t, ioapic_move(0, 0xff), "");
	set_id(0xfe);
	EXPECT_CALL(t, ioapic_route(0, 0x43, false, false), 0, "io0 11=fe000000\nio0 10=43\n");
	EXPECT_DOES(t, ioapic_move(0xfe, 1), "io0 11=1000000\n");
	EXPECT_DOES(t, ioapic_move(1, 0xfe), "io0 11=fe000000\n");
}

KTEST(interrupt_lines_move_between_cpus)
{
	unsigned i;

	begin_xapic();
	for (i = 0; i < PINS; i++) {
		redirect[0][0x10 + 2 * i] = 0x40 + i;
		redirect[0][0x11 + 2 * i] = i == 1 ? 0x06000000 : 0x05000000;
	}
	redirect[0][0x14] |= 0x10000; /* the pin is masked */
	redirect[0][0x18] = 0;        /* behind the last pin */
	redirect[0][0x19] = 0x05000000;
	redirect[1][0x10] = 0x8043;
	redirect[1][0x11] = 0x05000000;
	EXPECT_DOES(t, ioapic_move(5, 9), "io0 11=9000000\nio0 17=9000000\nio1 11=9000000\n");
	EXPECT(t, arch_irqs_enabled());
}

/* ---- the timer, pending interrupts ---- */

KTEST(local_timer_starts_and_stops)
{
	irqflags_t flags = arch_irq_save();

	begin_xapic();
	EXPECT_DOES(t, arch_timer_start(3),
	    "3e0=3\n320=20041\n380=1c9c38\n"); /* three hundredths of a second */
	EXPECT_EQ(t, play.cpu.tick_step, 3);
	EXPECT_DOES(t, arch_timer_stop(), "320=10000\n380=0\n");
	EXPECT_EQ(t, play.cpu.tick_step, 0);
	arch_irq_restore(flags);
}

/* Each of the eight registers counts, and no other register. */
KTEST(pending_interrupt_is_seen)
{
	unsigned i, reg;

	begin_xapic();
	for (i = 0; i < ARRAY_SIZE(lapic_words); i++)
		lapic_words[i] = ~0u;
	for (reg = 0x200; reg < 0x280; reg += 0x10)
		lapic_words[reg / 4] = 0;
	EXPECT(t, !arch_irqs_pending());
	for (i = 0; i < 256; i++) {
		reg = 0x200 + 0x10 * (i / 32);
		lapic_words[reg / 4] = 1u << i % 32;
		EXPECT(t, arch_irqs_pending());
		lapic_words[reg / 4] = 0;
	}
}
