/* SPDX-License-Identifier: MIT */
/*
 * test_play_event.c: the writes to the registers of ACPI events, the time limit of the firmware,
 * and the power-off.
 */
#include "tests/host/play_help.h"
#include <quarry/console.h>
#include <quarry/machine.h>

static u64 enabled_at; /* ns: from then on the machine is in ACPI mode; 0: on request */

/* ---- events ---- */

#define WANTED 0xa6u
#define MS     1000000u

static void told(u32 events)
{
	judge_note("told %x\n", events);
}

/* ACPI mode is on from @enabled_at on; 0: as soon as the firmware is asked for it. */
static u32 mode_in(u16 port, unsigned bytes, u32 kept)
{
	if (port == 0x3fd)
		judge_note("%s\n", arch_irqs_enabled() ? "flushed, and interrupted" : "flushed");
	if (port != 0x404)
		return kept;
	return (kept & ~1u) | (enabled_at ? judge.now >= enabled_at : play.port[0xb2] == 0xf1);
}

static void begin(void)
{
	play_begin();
	play_apics(1);
	play_serial(true);
	power_init();
	play_timed(10 * MS);
	play.in = mode_in;
	enabled_at = 1;
	power_off_wanted = false;
	acpi.gpe0 = 0x600;
	acpi.gpe0_len = 4;
	acpi.sci = 9;
	acpi.pm1a_cnt = 0x404;
	acpi.s5 = true;
	acpi.s5_type = 5;
	acpi.smi_cmd = 0xb2;
	acpi.acpi_enable = 0xf1;
	acpi.pm1a_evt = 0x400;
	acpi.pm1_evt_len = 4;
}

static int start(void)
{
	return acpi_events_start(WANTED, told);
}

#define ENABLED "out16 402=0\nout8 602=a6\nout8 603=0\nio0 23=0\nio0 22=45\n"

KTEST_SUITE(play_event, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(only_handled_acpi_events_are_enabled)
{
	begin();
	EXPECT_CALL(t, start(), 0, ENABLED);
	begin();
	acpi.gpe0_len = 3;
	acpi.pm1_evt_len = 3; /* too short to have enable bits */
	EXPECT_CALL(t, start(), 0, "out8 601=a6\nio0 23=0\nio0 22=45\n");
	begin();
	acpi.pm1a_evt = 0;
	acpi.gpe0_len = 6;
	EXPECT_CALL(t, start(), 0, "out8 603=a6\nout8 604=0\nout8 605=0\nio0 23=0\nio0 22=45\n");
	begin();
	acpi.pm1_evt_len = 6;
	acpi.isa[9].gsi = 99; /* there is no such pin */
	EXPECT_CALL(t, start(), -ENODEV, "out16 403=0\nout8 602=a6\nout8 603=0\n");
}

KTEST(machine_without_acpi_events_is_left_alone)
{
	unsigned i;

	for (i = 0; i < 5; i++) {
		begin();
		if (i == 0)
			acpi.gpe0 = 0;
		else if (i == 1)
			acpi.gpe0_len = 1;
		else if (i == 2)
			acpi.sci = 16;
		else if (i == 3)
			acpi.pm1a_cnt = 0;
		else
			enabled_at = ~0ULL;
		EXPECT_CALL(t, start(), -ENODEV, i == 4 ? "out8 b2=f1\n" : "");
		EXPECT_EQ(t, judge.now, i == 4 ? 3020 * MS : i == 3 ? 10 * MS : 0);
	}
}

/* The limit is three seconds from the first reading of the clock on. */
KTEST(firmware_hand_over_has_a_time_limit)
{
	static const struct {
		u64 enabled_at;
		u32 smi_cmd;
		u64 until;
		const char *want;
	} cases[] = {
	    {3010 * MS, 0xb2, 3010 * MS, "out8 b2=f1\n" ENABLED},
	    {0, 0xb2, 10 * MS, "out8 b2=f1\n" ENABLED}, /* on request */
	    {50 * MS, 0, 50 * MS, ENABLED},             /* there is no port for a request */
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		begin();
		enabled_at = cases[i].enabled_at;
		acpi.smi_cmd = cases[i].smi_cmd;
		EXPECT_CALL(t, start(), 0, cases[i].want);
		EXPECT_EQ(t, judge.now, cases[i].until);
	}
}

KTEST(events_are_cleared_before_delivery)
{
	begin();
	EXPECT_EQ(t, start(), 0);
	judge_clear();
	play.port[0x400] = 0x33;
	play.port[0x401] = 0x81;
	play.port[0x600] = 0xff;
	EXPECT_DOES(t, acpi_interrupt(), "out8 600=a6\nout16 400=8133\ntold a6\n");
	play.port[0x400] = play.port[0x401] = 0;
	play.port[0x600] = (u8)~WANTED;
	EXPECT_DOES(t, acpi_interrupt(), "out8 600=0\nout16 400=0\n");
	acpi.pm1a_evt = 0;
	play.port[0x600] = 0x02;
	EXPECT_DOES(t, acpi_interrupt(), "out8 600=2\ntold 2\n");
}

KTEST(slots_are_ports)
{
	u16 port = 0xa00;
	struct slot_regs regs = acpi_slot_ports(&port);

	play_begin();
	play.reads = true;
	regs.write(regs.arg, 4, 1, 0x1ab);
	regs.write(regs.arg, 8, 4, 0x87654321);
	EXPECT_EQ(t, regs.read(regs.arg, 4, 1), 0xab);
	EXPECT_EQ(t, regs.read(regs.arg, 8, 4), 0x87654321);
	EXPECT_EQ(t, regs.read(regs.arg, 9, 1), 0x43);
	EXPECT_SAID(t, "out8 a04=ab\nout32 a08=87654321\nin8 a04\nin32 a08\nin8 a09\n");
}

/* ---- power ---- */

#define HALTED "quarry: halted; the power may be switched off\n"
#define QUIET  "out8 602=0\nout8 603=0\nout16 400=0\n"
#define OFF    QUIET "out16 404=1401\nout16 404=3401\n" /* SLP_TYP 5, SCI_EN; SLP_EN, too */
#define STOPS  "cli hlt\ncli hlt\n"

static void power_off(bool pass)
{
	irqflags_t flags = arch_irq_save();

	arch_irq_restore(flags);
	PLAY_TO_THE_END(2, machine_power_off(pass));
	arch_irq_restore(flags);
}

static bool panics(void)
{
	return true;
}

#define EXIT  "flushed\nout32 f4=11\n"
#define STAYS EXIT HALTED

/* A machine with a screen and no serial port stays on, unless the option says otherwise. */
KTEST(power_off_depends_on_option_screen_and_serial_port)
{
	static const struct {
		const char *option;
		bool screen, serial, on;
	} cases[] = {
	    {"", false, false, false},
	    {"", false, true, false},
	    {"", true, true, false},
	    {"", true, false, true},
	    {"poweroff=on", true, false, false},
	    {"poweroff=off", false, true, true},
	    {"poweroff=off", true, true, true},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		begin();
		play_screen(cases[i].screen);
		play_serial(cases[i].serial);
		cmdline_init(cases[i].option, false);
		EXPECT_DOES(t, power_off(true),
		    cases[i].serial   ? cases[i].on ? "flushed\nout32 f4=10\n" HALTED STOPS
		                                    : "flushed\nout32 f4=10\n" OFF STOPS
		        : cases[i].on ? "out32 f4=10\n" HALTED STOPS
		                      : "out32 f4=10\n" OFF STOPS);
	}
	play_screen(false);
}

/* A row: on a machine changed by @setup, a run that failed ends with these accesses. */
#define EXPECT_END(t, setup, want)                                                                 \
	do {                                                                                       \
		begin();                                                                           \
		setup;                                                                             \
		EXPECT_DOES((t), power_off(false), want STOPS);                                    \
	} while (0)

KTEST(machine_that_cannot_power_off_says_so)
{
	EXPECT_END(t, acpi.pm1a_cnt = 0, STAYS);
	EXPECT_END(t, acpi.s5 = false, STAYS); /* type 0 need not be soft-off */
	begin();
	acpi.pm1a_cnt = 0;
	acpi.sleep_control = 0xfea00300;
	acpi.sleep_in_memory = true;
	power_init();
	EXPECT_DOES(t, power_off(false), "map fea00300+1\n" STAYS STOPS);
}

/* A person who asked for the end has read the screen. */
KTEST(report_of_a_panic_stays_on_the_screen)
{
	EXPECT_END(t, (play.panics = panics, play_screen(true)), STAYS "pages\n");
	EXPECT_END(t, (play_screen(true), power_off_wanted = true), EXIT OFF);
	EXPECT_END(t, play_screen(true), EXIT OFF);
	EXPECT_END(t, (play_screen(true), play_serial(false)), "out32 f4=11\n" HALTED);
	EXPECT_END(t, (play_screen(true), play_serial(false), power_off_wanted = true),
	    "out32 f4=11\n" OFF);
	power_off_wanted = false;
	play_screen(false);
}

/* PM1 works in ACPI mode only, its other bits are kept, and it may have two halves. */
KTEST(pm1_powers_off_in_acpi_mode)
{
	begin();
	enabled_at = 0; /* on request */
	acpi.pm1b_cnt = 0x504;
	acpi.s5_type_b = 7;
	play.port[0x405] = 0x1a;
	play.port[0x504] = 4;
	EXPECT_DOES(t, power_off(false),
	    EXIT "out8 b2=f1\n" QUIET
	         "out16 404=1601\nout16 504=1c04\nout16 404=3601\nout16 504=3c04\n" STOPS);
	/* the firmware does not react */
	EXPECT_END(
	    t, enabled_at = ~0ULL, EXIT "out8 b2=f1\n" QUIET "out16 404=1400\nout16 404=3400\n");
	/* without events */
	EXPECT_END(t, (acpi.gpe0 = acpi.pm1a_evt = 0), EXIT "out16 404=1401\nout16 404=3401\n");
}

KTEST(hardware_reduced_machine_powers_off)
{
	begin();
	acpi.sleep_control = 0x620;
	power_init();
	EXPECT_DOES(t, power_off(false), EXIT "out8 620=34\n" STOPS);
	begin();
	acpi.sleep_control = 0xfea00200;
	acpi.sleep_in_memory = true;
	power_init();
	EXPECT_DOES(t, power_off(false), "map fea00200+1\n" EXIT "sleep control 34\n" STOPS);
}
