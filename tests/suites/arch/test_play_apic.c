/* SPDX-License-Identifier: MIT */
/*
 * test_play_apic.c: all writes to the APICs, in order, in both modes. The machine is simulated: not
 * every emulator has x2APIC, and no usual machine has two I/O APICs.
 */
#include "tests/host/play_help.h"
#include <quarry/machine.h>

#define HAS 0x200000u   /* the CPU has x2APIC */
#define VM  0x80000000u /* it is virtual */
#define ON  0x400u

/* Three I/O APICs, with four pins, one pin, and none that can be reached. */
static void begin(void)
{
	play_begin();
	play.other.ecx = ~0u; /* only leaf 1 may be used */
	clock_tsc_hz = 3000000000;
	clock_apic_hz = 62500050;
	play.redirect[0][1] = 0x00030011;
	play.redirect[1][1] = 0xaa00aa20;
	acpi.nr_ioapics = PLAY_IOAPICS;
	for (unsigned i = 0; i < PLAY_IOAPICS; i++)
		acpi.ioapic[i] = (struct acpi_ioapic){
		    .address = PLAY_IOAPIC + i * PAGE_SIZE, .gsi_base = i == 1 ? 24 : 8 * i};
}

static void begin_in_mode(u32 features)
{
	begin();
	play.leaf1.ecx = features;
	arch_apic_init();
	judge_clear();
}

static void begin_x2apic(void)
{
	begin_in_mode(HAS | VM);
}

static void begin_xapic(void)
{
	begin_in_mode(0);
}

/* ---- the start ---- */

#define IO_APICS                                                                                   \
	"map fec00000+20\nmap fec01000+20\nmap fec02000+20\n"                                      \
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
	play.lapic[0x30 / 4] = 0x50014; /* six entries */
	init();
	EXPECT_SAID(t,
	    "map fee00000+1000\napic: xAPIC mode\nout8 21=ff\nout8 a1=ff\nmsr 1b=fee00900\n"
	    "80=0\nf0=1ff\n320=10000\n350=10000\n360=400\n370=10000\n340=10000\n330=10000\nb0="
	    "0\n" IO_APICS "3e0=3\n380=ffffffff\nclock\n380=0\n" RATES);
	EXPECT_EQ(t, play.lapic[0x360 / 4], 0x400);
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
	begin();
	play.redirect[0][0x12] = 0x02000200; /* an SMI for CPU 2 */
	arch_apic_init();
	EXPECT_EQ(t, judge_times("io0 12="), 0);
	EXPECT_EQ(t, judge_times("io0 14=10000\n"), 1);
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
	    {HAS, 0, "apic=xapic", false, 0xff},
	    {HAS | VM, 0, NULL, true, 0},
	    {HAS | VM, 0, "apic=xapic", false, 0},
	    {HAS, 0, "apic=x2apic", true, 0},
	    {HAS, 0, "apic=xapic", false, 0},
	    {HAS, ON, "apic=xapic", true, 0}, /* x2APIC mode cannot be left */
	    {HAS, ~ON, "apic=xapic", false, 0},
	    {HAS, ON, NULL, true, 0},
	    {~HAS, 0, NULL, false, 0},
	    {~HAS, 0, "apic=xapic", false, 0},
	    {~HAS, 0, "apic=x2apic", false, 0xff},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		begin();
		play.leaf1.ecx = cases[i].ecx;
		acpi.nr_cpus = 2;
		acpi.cpu[1].apic_id = cases[i].largest_id;
		acpi.cpu[1].enabled = true;
		play.msr[0x1b] = PLAY_LAPIC | (cases[i].base & 0xfff);
		if (cases[i].option)
			cmdline_init(cases[i].option, false);
		init();
		EXPECT_EQ(t, apic_max_id() == X2APIC_MAX_ID, cases[i].x2apic);
		EXPECT_EQ(t, judge_times("map fee00000+1000\n"), !cases[i].x2apic);
		EXPECT_EQ(t, judge_times("apic: x2APIC mode"), cases[i].x2apic);
		EXPECT_EQ(t, judge_times(" mode, as the firmware left it\n"),
		    cases[i].x2apic && cases[i].option && !strcmp(cases[i].option, "apic=xapic"));
	}
	/* An entry that is not enabled has any id, and counts where CPUs can be plugged in. */
	for (i = 0; i < 2; i++) {
		begin();
		play.leaf1.ecx = HAS;
		acpi.nr_cpus = 1;
		acpi.cpu[0] = (struct acpi_cpu){.apic_id = 0xff};
		acpi.cpu_slots_port = i ? 0xcd8 : 0;
		init();
		EXPECT_EQ(t, apic_max_id() == X2APIC_MAX_ID, i == 1);
	}
}

KTEST(local_apic_is_where_the_cpu_has_it)
{
	begin();
	acpi.lapic = 0x123456789000;
	init();
	EXPECT_WORDS(t,
	    "map fee00000+1000\n|apic: local APIC at fee00000, not at 123456789000 as the MADT "
	    "says\n");
}

/* Some CPUs change the TSC's rate, or stop it while they are idle (SDM vol. 3B, 17.17.1). */
KTEST(tsc_that_may_change_its_rate_is_reported)
{
	begin();
	arch_apic_init();
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
	play.lapic[0x20 / 4] = 0x12345678;
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
	play.busy = 3;
	play.reads = true;
	EXPECT_DOES(t, apic_send(0x1a, 0x4041),
	    "read 300\nread 300\nread 300\nread 300\n310=1a000000\n300=4041\n");
	EXPECT(t, arch_irqs_enabled());
	flags = arch_irq_save();
	apic_send(1, 0x4042);
	EXPECT(t, !arch_irqs_enabled());
	EXPECT_DOES(t, arch_irq_restore(flags), "read 300\n310=1000000\n300=4042\n");
	/* If the ICR stays busy, it is written in the end all the same. */
	play.reads = false;
	play.busy = ~0u;
	EXPECT_DOES(t, apic_send(2, 0x4043), "310=2000000\n300=4043\n");
	EXPECT_EQ(t, ~0u - play.busy, 1000000);
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
	play.busy = 2;
	EXPECT_DOES(t, apic_send_self(0x4f), "read 300\nread 300\nread 300\n300=4404f\nread 300\n");
	begin_x2apic();
	play.reads = true;
	EXPECT_DOES(t, apic_send_self(0x4f), "read msr 830\nmsr 830=4404f\nread msr 830\n");
	arch_irq_restore(flags);
}

/* ---- I/O APICs ---- */

static void set_id(u32 id)
{
	play.lapic[0x20 / 4] = id << 24;
	play.msr[0x802] = id;
}

KTEST(interrupt_lines_are_routed_to_this_cpu)
{
	/* The I/O APIC of line 16 is not mapped. */
	static const u32 nowhere[] = {2, 7, 23, 25, 16, ~0u};

	begin_xapic();
	set_id(0x12);
	acpi.ioapic[0].gsi_base = 3;
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
	acpi.nr_ioapics = 1;
	EXPECT_CALL(t, ioapic_route(24, 0x45, false, true), -ENODEV, "");
}

KTEST(isa_lines_follow_the_firmware)
{
	begin_xapic();
	acpi.isa[4] = (struct acpi_isa){.gsi = 1};
	acpi.isa[9] = (struct acpi_isa){.gsi = 2, .level = true};
	acpi.isa[10] = (struct acpi_isa){.gsi = 3, .active_low = true};
	acpi.isa[11] = (struct acpi_isa){.gsi = 4, .active_low = true};
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
	for (i = 0; i < 4; i++) {
		play.redirect[0][0x10 + 2 * i] = 0x40 + i;
		play.redirect[0][0x11 + 2 * i] = i == 1 ? 0x06000000 : 0x05000000;
	}
	play.redirect[0][0x14] |= 0x10000; /* the pin is masked */
	play.redirect[0][0x18] = 0;        /* behind the last pin */
	play.redirect[0][0x19] = 0x05000000;
	play.redirect[1][0x10] = 0x8043;
	play.redirect[1][0x11] = 0x05000000;
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
	for (i = 0; i < ARRAY_SIZE(play.lapic); i++)
		play.lapic[i] = ~0u;
	for (reg = 0x200; reg < 0x280; reg += 0x10)
		play.lapic[reg / 4] = 0;
	EXPECT(t, !arch_irqs_pending());
	for (i = 0; i < 256; i++) {
		reg = 0x200 + 0x10 * (i / 32);
		play.lapic[reg / 4] = 1u << i % 32;
		EXPECT(t, arch_irqs_pending());
		play.lapic[reg / 4] = 0;
	}
}
