/* SPDX-License-Identifier: MIT */
/*
 * test_acpi_event.c: the interrupt of ACPI events, from the firmware's hand-over to a delivered
 * event, with ports that only store bytes; and slots that are accessed through ports.
 */
#include "tests/lib/hotplug_help.h"
#include "x86.h"
#include <quarry/acpi.h>
#include <quarry/errno.h>
#include <quarry/machine.h>

/*
 * A and B are the first of three page registers each, in the DMA controller. Such a register stores
 * a byte, and does nothing while no channel is in use.
 */
#define A            0x81u
#define B            0x89u
#define WANTED       0xa6u
#define CONFIG       0xcf8u /* of PCI: keeps 32 bits */
#define TIMER_STATUS 1u     /* bit of PM1: the power management timer has wrapped */

static u32 told, times_told;

static void tell(u32 events)
{
	told = events;
	times_told++;
}

static void set_ports(u16 first, u8 a, u8 b, u8 c)
{
	outb(first, a);
	outb((u16)(first + 1), b);
	outb((u16)(first + 2), c);
}

static void expect_ports(struct ktest *t, u16 first, u8 a, u8 b, u8 c)
{
	EXPECT_EQ(t, inb(first), a);
	EXPECT_EQ(t, inb((u16)(first + 1)), b);
	EXPECT_EQ(t, inb((u16)(first + 2)), c);
}

static int start_events(u16 gpe0, u8 len, u16 sci, u16 pm1a_cnt)
{
	acpi.gpe0 = gpe0;
	acpi.gpe0_len = len;
	acpi.sci = sci;
	acpi.pm1a_cnt = pm1a_cnt;
	return acpi_events_start(WANTED, tell);
}

static void events_are_refused(struct ktest *t, const struct acpi_info *was)
{
	set_ports(A, 1, 2, 3);
	EXPECT_EQ(t, start_events(0, 2, was->sci, was->pm1a_cnt), -ENODEV);
	EXPECT_EQ(t, start_events(A, 1, was->sci, was->pm1a_cnt), -ENODEV);
	EXPECT_EQ(t, start_events(A, 2, ACPI_NR_ISA, was->pm1a_cnt), -ENODEV);
	EXPECT_EQ(t, start_events(A, 2, was->sci, 0), -ENODEV);
	/* The firmware does not hand over: the control register stays 0. */
	set_ports(B, 0, 0, 0);
	acpi.smi_cmd = B;
	acpi.acpi_enable = 2;
	EXPECT_EQ(t, start_events(A, 2, was->sci, B), -ENODEV);
	expect_ports(t, A, 1, 2, 3);
	expect_ports(t, B, 2, 0, 0);
}

/* The firmware hands over when asked, and is not asked again. */
static void firmware_hands_over(struct ktest *t, const struct acpi_info *was)
{
	acpi.smi_cmd = B;
	acpi.acpi_enable = 0x81;
	EXPECT_EQ(t, start_events(A, 2, was->sci, B), 0);
	expect_ports(t, B, 0x81, 0, 0);
	acpi.acpi_enable = 0x41;
	EXPECT_EQ(t, start_events(A, 2, was->sci, B), 0);
	expect_ports(t, B, 0x81, 0, 0);
}

/* Only handled events are enabled in both blocks; the status registers are left alone. */
static void enable_registers_are_written(struct ktest *t, const struct acpi_info *was)
{
	acpi.pm1a_evt = B;
	acpi.pm1_evt_len = 3; /* too short for an enable register */
	set_ports(A, 7, 0x77, 0x55);
	set_ports(B, 0x11, 0x22, 0x44);
	EXPECT_EQ(t, start_events(A, 3, was->sci, was->pm1a_cnt), 0);
	expect_ports(t, A, 7, WANTED, 0x55);
	expect_ports(t, B, 0x11, 0x22, 0x44);
	acpi.pm1_evt_len = 4;
	EXPECT_EQ(t, start_events(A - 1, 4, was->sci, was->pm1a_cnt), 0);
	expect_ports(t, A, 7, WANTED, 0);
	expect_ports(t, B, 0x11, 0x22, 0);
}

/*
 * Handled bits of @status are delivered, and written back to clear them; other bits are not. The
 * port only stores that write.
 */
static void expect_told(struct ktest *t, u8 status, u32 want)
{
	irqflags_t flags = arch_irq_save();

	outb(A, status);
	told = times_told = 0;
	acpi_interrupt();
	EXPECT_EQ(t, told, want);
	EXPECT_EQ(t, times_told, want != 0);
	EXPECT_EQ(t, inb(A), want);
	arch_irq_restore(flags);
}

static void events_are_told(struct ktest *t, const struct acpi_info *was)
{
	u64 end = arch_clock_ns() + 10000000000ULL;

	EXPECT_EQ(t, start_events(A, 2, was->sci, was->pm1a_cnt), 0);
	acpi.pm1a_evt = was->pm1a_evt;
	while (!(inw(was->pm1a_evt) & TIMER_STATUS) && arch_clock_ns() < end)
		thread_sleep(10000000);
	acpi.pm1a_evt = 0; /* no block: nothing is cleared */
	expect_told(t, 0xff, WANTED);
	EXPECT_EQ(t, inw(was->pm1a_evt) & TIMER_STATUS, TIMER_STATUS);
	acpi.pm1a_evt = was->pm1a_evt;
	expect_told(t, 0x02, 0x02);
	EXPECT_EQ(t, inw(was->pm1a_evt) & TIMER_STATUS, 0);
	expect_told(t, 0xff & ~WANTED, 0);
}

/* The SCI's pin is set up and unmasked.  Mask it again, as it was before. */
static void expect_sci_pin(struct ktest *t, const struct acpi_info *was)
{
	const struct acpi_isa *isa = &was->isa[was->sci];
	volatile u32 *ioapic = arch_map_mmio(was->ioapic[0].address, 0x20);

	REQUIRE(t, ioapic);
	ioapic[0] = 0x10 + 2 * isa->gsi;
	EXPECT_EQ(t, ioapic[4] & 0x1ffff & ~0x5000u,
	    VEC_SCI | (u32)isa->level << 15 | (u32)isa->active_low << 13);
	ioapic[4] = 0x10000;
}

static void slots_are_reached_by_ports(struct ktest *t)
{
	u16 port = A;
	struct slot_regs regs = acpi_slot_ports(&port);
	irqflags_t flags = arch_irq_save();
	u32 was = inl(CONFIG);

	set_ports(A, 1, 2, 3);
	regs.write(regs.arg, 1, 1, 0x1ab);
	expect_ports(t, A, 1, 0xab, 3);
	EXPECT_EQ(t, regs.read(regs.arg, 1, 1), 0xab);
	EXPECT_EQ(t, regs.read(regs.arg, 2, 1), 3);
	port = CONFIG - 4;
	regs.write(regs.arg, 4, 4, 0x80123454);
	EXPECT_EQ(t, inl(CONFIG), 0x80123454);
	EXPECT_EQ(t, regs.read(regs.arg, 4, 4), 0x80123454);
	outl(CONFIG, was);
	arch_irq_restore(flags);
}

static struct acpi_info real;

static void try_events(void *arg)
{
	static void (*const part[])(struct ktest *, const struct acpi_info *) = {events_are_refused,
	    firmware_hands_over, enable_registers_are_written, events_are_told, expect_sci_pin};
	unsigned i;

	real = acpi;
	for (i = 0; i < ARRAY_SIZE(part); i++) {
		part[i](arg, &real);
		acpi = real;
	}
	slots_are_reached_by_ports(arg);
}

static void enabled_acpi_events_are_delivered_once(struct ktest *t)
{
	if (!acpi.pm1a_cnt || !acpi.pm1a_evt || acpi.nr_ioapics != 1 || acpi.nr_memory_slots ||
	    nr_cpus > nr_boot_cpus)
		ktest_skip(t, "needs a machine with ACPI events and without slots");
	else
		ktest_on_cpu(0, try_events, t);
}

KTEST_SUITE(acpi_event, 0, KTEST(enabled_acpi_events_are_delivered_once));
