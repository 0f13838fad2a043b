/* SPDX-License-Identifier: MIT */
/*
 * test_cpu_slots.c: a CPU is put into its slot and does not come online, for each reason. It
 * includes the source of drivers/acpi_hotplug.c, with a simulated CPU hotplug. Hosted only.
 */
#include "tests/lib/slots_help.h"
#include <quarry/acpi.h>
#include <quarry/cpu.h>
#include <quarry/hotplug.h>

#define ID 9u /* APIC id of CPU 1 */

static int plug_result, up_result, unplug_result;
static unsigned unplugged;

static int fake_plug(unsigned cpu)
{
	return cpu == 1 ? plug_result : -ENODEV;
}

static int fake_up(unsigned cpu)
{
	return up_result;
}

static int fake_unplug(unsigned cpu)
{
	if (!unplug_result)
		unplugged++;
	return unplug_result;
}

static int fake_down(unsigned cpu)
{
	return -EALREADY;
}

static const char *fake_state(unsigned cpu)
{
	return "arriving";
}

static struct cpu fake_cpu[2] = {{.apic_id = 0}, {.apic_id = ID}};
static struct cpu *fake_cpus[] = {&fake_cpu[0], &fake_cpu[1]};
static struct acpi_info fake_acpi;
static unsigned fake_boot_cpus;

void late_init(void);
void late_start(void);
void late_show(void);

#define cpu_plug           fake_plug
#define cpu_up             fake_up
#define cpu_down           fake_down
#define cpu_unplug         fake_unplug
#define cpu_state_name     fake_state
#define cpus               fake_cpus
#define acpi               fake_acpi
#define nr_boot_cpus       fake_boot_cpus
#define acpi_hotplug_init  late_init
#define acpi_hotplug_start late_start
#define show_all_slots     late_show
#include "drivers/acpi_hotplug.c" /* NOLINT(bugprone-suspicious-include): the tested source */

KTEST_SUITE(cpu_slots, 0);

/* A CPU that may still come online stays in use, so that it is not ejected as it is. */
KTEST(cpu_is_made_absent_before_its_eject, .reports = "slots: ")
{
	static const struct {
		int plug, up, unplug;
		enum slot_state state;
		unsigned ejected; /* how often, when the host asks for the CPU */
	} c[] = {
	    {0, 0, -EBUSY, SLOT_USED, 0},
	    {-EALREADY, 0, -EBUSY, SLOT_USED, 0},
	    {-ENODEV, 0, -ENODEV, SLOT_REFUSED, 1},
	    {-EIO, 0, -EALREADY, SLOT_REFUSED, 1}, /* it did not start */
	    {-EIO, 0, -EBUSY, SLOT_USED, 0},       /* it did not park in time */
	    {0, -EIO, 0, SLOT_REFUSED, 1},
	    {0, -EIO, -EBUSY, SLOT_USED, 0},
	};
	const struct slot_user user = {.take = cpu_take, .give = cpu_give};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		slots_begin(SLOT_CPU);
		slot_bank_init(&slots_bank, SLOT_CPU, &fake_regs, &user, NR);
		plug_result = c[i].plug;
		up_result = c[i].up;
		unplug_result = c[i].unplug;
		slots_insert(1, 0, 0, ID);
		EXPECT_EQ(t, slots_bank.slot[1].state, c[i].state);
		slots_eject(1);
		EXPECT_EQ(t, fake_slots.slot[1].ejected, c[i].ejected);
		/* Once it has parked, it is made absent, and ejected. */
		unplug_result = 0;
		slots_eject(1);
		EXPECT_EQ(t, fake_slots.slot[1].ejected, 1);
	}
	EXPECT_EQ(t, unplugged, 5);
}

#define NO_EVENTS "0 taken, 0 given back, 0 refused, 0 odd\n"

KTEST(only_blocks_that_are_there_are_shown,
    .says = "slots: none\n"
            "slots: 0 of 2 DIMM slots full; " NO_EVENTS "slots: 0 of 3 CPU slots full; " NO_EVENTS
            "slots: 0 of 2 DIMM slots full; " NO_EVENTS "slots: 0 of 3 CPU slots full; " NO_EVENTS)
{
	const struct slot_user user = {.take = cpu_take, .give = cpu_give};
	unsigned i;

	slots_begin(SLOT_CPU);
	for (i = 0; i < 4; i++) {
		slot_bank_init(&memory_slots, SLOT_MEMORY, &fake_regs, &user, i & 1 ? 2 : 0);
		slot_bank_init(&cpu_slots, SLOT_CPU, &fake_regs, &user, i & 2 ? 3 : 0);
		late_show();
	}
}
