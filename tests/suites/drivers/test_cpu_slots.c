/* SPDX-License-Identifier: MIT */
/*
 * test_cpu_slots.c: a CPU is put into its slot and does not come online, for each reason, with a
 * simulated CPU hotplug. Hosted only.
 */
#include "tests/host/play_help.h"
#include "tests/lib/slots_help.h"

#include <quarry/errno.h>

#define ID 9u /* APIC id of CPU 1 */

static const struct slot_user user = {.take = cpu_slot_take, .give = cpu_slot_give};

static void begin(void)
{
	static struct cpu area[HOST_MAX_CPUS], *areas[HOST_MAX_CPUS];

	memset(&play, 0, sizeof(play));
	for (unsigned i = 0; i < HOST_MAX_CPUS; i++) {
		area[i].apic_id = i == 1 ? ID : 0x100 + i;
		areas[i] = &area[i];
	}
	cpus = areas;
	slots_begin(SLOT_CPU);
	slot_bank_init(&slots_bank, SLOT_CPU, &fake_regs, &user, NR);
}

KTEST_SUITE(cpu_slots, 0);

/* A CPU that may still come online stays in use, so that it is not ejected as it is. */
KTEST(cpu_is_made_absent_before_its_eject, .reports = "slots: ")
{
	static const struct {
		int plug, up, unplug;
		enum slot_state state;
		unsigned ejected; /* how often, when the host asks for the CPU */
	} c[] = {
	    {0, 0, -EBUSY, SLOT_USED, 0}, {-EALREADY, 0, -EBUSY, SLOT_USED, 0},
	    {-ENODEV, 0, -ENODEV, SLOT_REFUSED, 1},
	    {-EIO, 0, -EALREADY, SLOT_REFUSED, 1}, /* it did not start */
	    {-EIO, 0, -EBUSY, SLOT_USED, 0},       /* it did not park in time */
	    {0, -EIO, 0, SLOT_REFUSED, 1}, {0, -EIO, -EBUSY, SLOT_USED, 0},
	    {0, -ETIMEDOUT, -ETIMEDOUT, SLOT_USED, 0},
	    {-ETIMEDOUT, 0, -EALREADY, SLOT_REFUSED, 1}, /* still absent */
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		begin();
		play.cpu_plug = c[i].plug;
		play.cpu_up = c[i].up;
		play.cpu_unplug = c[i].unplug;
		slots_insert(1, 0, 0, ID);
		EXPECT_EQ(t, slots_bank.slot[1].state, c[i].state);
		slots_eject(1);
		EXPECT_EQ(t, fake_slots.slot[1].ejected, c[i].ejected);
		/* Once it has parked, it is made absent, and ejected. */
		play.cpu_unplug = 0;
		slots_eject(1);
		EXPECT_EQ(t, fake_slots.slot[1].ejected, 1);
		EXPECT_EQ(t, play.unplugged, c[i].unplug != -ENODEV && c[i].unplug != -EALREADY);
	}
}

#define NO_EVENTS "0 taken, 0 given back, 0 refused, 0 odd\n"

KTEST(only_blocks_that_are_there_are_shown,
    .says = "slots: none\n"
            "slots: 0 of 2 DIMM slots full; " NO_EVENTS "slots: 0 of 3 CPU slots full; " NO_EVENTS
            "slots: 0 of 2 DIMM slots full; " NO_EVENTS "slots: 0 of 3 CPU slots full; " NO_EVENTS)
{
	static struct slot_bank memory;

	begin();
	for (unsigned i = 0; i < 4; i++) {
		slot_bank_init(&memory, SLOT_MEMORY, &fake_regs, &user, i & 1 ? 2 : 0);
		slot_bank_init(&slots_bank, SLOT_CPU, &fake_regs, &user, i & 2 ? 3 : 0);
		show_slot_banks(&memory, &slots_bank);
	}
}
