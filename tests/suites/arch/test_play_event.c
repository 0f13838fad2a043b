/* SPDX-License-Identifier: MIT */
/*
 * test_play_event.c: the writes to the registers of ACPI events, the time limit of the firmware,
 * and the power-off.
 */
#include "tests/host/play_help.h"
#include <quarry/acpi.h>
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/machine.h>

static struct acpi_info firmware;
static u64 enabled_at;    /* ns: from then on the machine is in ACPI mode; 0: on request */
static const char *power; /* value of the option power= */
static bool screen, serial;

static int route(unsigned irq, u8 vector)
{
	judge_note("line %u is vector %x\n", irq, vector);
	return irq == 9 ? 0 : -EIO;
}

static const char *option(const char *name, const char *otherwise)
{
	return !strcmp(name, "poweroff") && power ? power : otherwise;
}

static bool has_screen(void)
{
	return screen;
}

static bool in_panic;

static bool panics(void)
{
	return in_panic;
}

static void pages(void)
{
	judge_note("pages\n");
}

static bool has_serial(void)
{
	return serial;
}

static void flush(void)
{
	judge_note("%s\n", arch_irqs_enabled() ? "flushed, and interrupted" : "flushed");
}

static u8 sleep_register;

static void *map(phys_t pa, size_t len)
{
	judge_note("map %llx\n", play_llu(pa));
	return len == 1 && pa == 0xfea00200 ? &sleep_register : NULL;
}

static void write_byte(volatile u8 *at, u8 value)
{
	judge_note("%s %x\n", at == &sleep_register ? "sleep control" : "another byte", value);
}

bool played_mode(void);
void played_power(void);
#define acpi             firmware
#define arch_clock_ns    judge_clock
#define cpu_relax        play_turn
#define ioapic_route_isa route
#define arch_map_mmio    map
#define acpi_mode        played_mode
#define power_init       played_power
#define cmdline_get      option
#define screen_present   has_screen
#define panicking        panics
#define panic_pages      pages
#define serial_present   has_serial
#define serial_flush     flush
#define printk           judge_say
#include "arch/x86_64/acpi_event.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#include "arch/x86_64/power.c"      /* NOLINT(bugprone-suspicious-include): the tested source */
#undef printk

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
	if (port != 0x404)
		return kept;
	return (kept & ~1u) | (enabled_at ? judge.now >= enabled_at : play.port[0xb2] == 0xf1);
}

static void begin(void)
{
	play_begin();
	play.in = mode_in;
	play.mmio_write8 = write_byte;
	sleep_control = NULL;
	judge.tick = 10 * MS;
	enabled_at = 1;
	tell = NULL;
	wanted = 0;
	firmware = (struct acpi_info){.gpe0 = 0x600,
	    .gpe0_len = 4,
	    .sci = 9,
	    .pm1a_cnt = 0x404,
	    .s5 = true,
	    .s5_type = 5,
	    .smi_cmd = 0xb2,
	    .acpi_enable = 0xf1,
	    .pm1a_evt = 0x400,
	    .pm1_evt_len = 4};
}

static int start(void)
{
	return acpi_events_start(WANTED, told);
}

#define ENABLED "out16 402=0\nout8 602=a6\nout8 603=0\nline 9 is vector 45\n"

KTEST_SUITE(play_event, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(only_handled_acpi_events_are_enabled)
{
	begin();
	EXPECT_CALL(t, start(), 0, ENABLED);
	begin();
	firmware.gpe0_len = 3;
	firmware.pm1_evt_len = 3; /* too short to have enable bits */
	EXPECT_CALL(t, start(), 0, "out8 601=a6\nline 9 is vector 45\n");
	begin();
	firmware.pm1a_evt = 0;
	firmware.gpe0_len = 6;
	EXPECT_CALL(t, start(), 0, "out8 603=a6\nout8 604=0\nout8 605=0\nline 9 is vector 45\n");
	begin();
	firmware.pm1_evt_len = 6;
	firmware.sci = 15;
	EXPECT_CALL(
	    t, start(), -EIO, "out16 403=0\nout8 602=a6\nout8 603=0\nline 15 is vector 45\n");
}

KTEST(machine_without_acpi_events_is_left_alone)
{
	unsigned i;

	for (i = 0; i < 5; i++) {
		begin();
		if (i == 0)
			firmware.gpe0 = 0;
		else if (i == 1)
			firmware.gpe0_len = 1;
		else if (i == 2)
			firmware.sci = 16;
		else if (i == 3)
			firmware.pm1a_cnt = 0;
		else
			enabled_at = ~0ULL;
		EXPECT_CALL(t, start(), -ENODEV, i == 4 ? "out8 b2=f1\n" : "");
		EXPECT_EQ(t, judge.now, i == 4 ? 120 * MS : i == 3 ? 10 * MS : 0);
	}
}

/* The limit is a tenth of a second from the first reading of the clock on. */
KTEST(firmware_hand_over_has_a_time_limit)
{
	static const struct {
		u64 enabled_at;
		u32 smi_cmd;
		u64 until;
		const char *want;
	} cases[] = {
	    {110 * MS, 0xb2, 110 * MS, "out8 b2=f1\n" ENABLED},
	    {0, 0xb2, 10 * MS, "out8 b2=f1\n" ENABLED}, /* on request */
	    {50 * MS, 0, 50 * MS, ENABLED},             /* there is no port for a request */
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		begin();
		enabled_at = cases[i].enabled_at;
		firmware.smi_cmd = cases[i].smi_cmd;
		EXPECT_CALL(t, start(), 0, cases[i].want);
		EXPECT_EQ(t, judge.now, cases[i].until);
		EXPECT(t, i || play.turns == 10);
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
	firmware.pm1a_evt = 0;
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
#define OFF    "out16 404=3401\n" /* SLP_EN, SLP_TYP 5, SCI_EN */
#define STOPS  "cli hlt\ncli hlt\n"

static void power_off(bool pass)
{
	irqflags_t flags = arch_irq_save();

	arch_irq_restore(flags);
	PLAY_TO_THE_END(2, machine_power_off(pass));
	arch_irq_restore(flags);
}

/* A machine with a screen and no serial port stays on, unless the option says otherwise. */
KTEST(power_off_depends_on_option_screen_and_serial_port)
{
	static const struct {
		const char *power;
		bool screen, serial, on;
	} cases[] = {
	    {NULL, false, false, false},
	    {NULL, false, true, false},
	    {NULL, true, true, false},
	    {NULL, true, false, true},
	    {"on", true, false, false},
	    {"off", false, true, true},
	    {"off", true, true, true},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		begin();
		power = cases[i].power;
		screen = cases[i].screen;
		serial = cases[i].serial;
		power_off(true);
		EXPECT_SAID(t,
		    cases[i].on ? "flushed\nout32 f4=10\n" HALTED STOPS
		                : "flushed\nout32 f4=10\n" OFF STOPS);
	}
}

#define EXIT  "flushed\nout32 f4=11\n"
#define STAYS EXIT HALTED

/* A row: on a machine changed by @setup, a run that failed ends with these accesses. */
#define EXPECT_END(t, setup, want)                                                                 \
	do {                                                                                       \
		begin();                                                                           \
		setup;                                                                             \
		EXPECT_DOES((t), power_off(false), want STOPS);                                    \
	} while (0)

KTEST(machine_that_cannot_power_off_says_so)
{
	power = NULL;
	screen = false;
	EXPECT_END(t, firmware.pm1a_cnt = 0, STAYS);
	EXPECT_END(t, firmware.s5 = false, STAYS); /* type 0 need not be soft-off */
	begin();
	firmware.pm1a_cnt = 0;
	firmware.sleep_control = 0xfea00300;
	firmware.sleep_in_memory = true;
	power_init();
	EXPECT_DOES(t, power_off(false), "map fea00300\n" STAYS STOPS);
}

/* A person who asked for the end has read the screen. */
KTEST(report_of_a_panic_stays_on_the_screen)
{
	power = NULL;
	screen = in_panic = true;
	EXPECT_END(t, serial = false, STAYS "pages\n");
	EXPECT_END(t, serial = true, STAYS "pages\n");
	serial = in_panic = false;
	power_off_wanted = true;
	begin();
	firmware.s5_type = 5;
	EXPECT_DOES(t, power_off(true), "flushed\nout32 f4=10\n" OFF STOPS);
	power_off_wanted = screen = false;
}

/* PM1 works in ACPI mode only, its other bits are kept, and it may have two halves. */
KTEST(pm1_powers_off_in_acpi_mode)
{
	begin();
	enabled_at = 0; /* on request */
	firmware.pm1b_cnt = 0x504;
	firmware.s5_type_b = 7;
	play.port[0x405] = 0x1a;
	play.port[0x504] = 4;
	EXPECT_DOES(t, power_off(false), EXIT "out8 b2=f1\nout16 404=3601\nout16 504=3c04\n" STOPS);
	/* the firmware does not react */
	EXPECT_END(t, enabled_at = ~0ULL, EXIT "out8 b2=f1\nout16 404=3400\n");
}

KTEST(hardware_reduced_machine_powers_off)
{
	begin();
	firmware.sleep_control = 0x620;
	power_init();
	EXPECT_DOES(t, power_off(false), EXIT "out8 620=34\n" STOPS);
	begin();
	firmware.sleep_control = 0xfea00200;
	firmware.sleep_in_memory = true;
	power_init();
	EXPECT_DOES(t, power_off(false), "map fea00200\n" EXIT "sleep control 34\n" STOPS);
}
