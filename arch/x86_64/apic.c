/* SPDX-License-Identifier: MIT */
/*
 * apic.c: the local APIC of each CPU and the I/O APICs: acknowledge, send, timer, routing.
 *
 * Owns:       the APICs' registers.
 * Locks:      each CPU uses its own local APIC, with irqs off for the two halves of an ICR write;
 *             the I/O APICs are under ioapic_lock.
 * Invariants: only apic_read, apic_write, apic_id and apic_send depend on the mode: in xAPIC mode
 *             the registers are memory and an id has 8 bits, in x2APIC mode they are MSRs and an id
 *             has 32 bits.
 *             All CPUs are in the same mode.
 * Tests:      play_apic, arch_cpu, arch, smp, tick, hotplug, tests/qemu/test_arch.py.
 *
 * Registers: SDM vol. 3A, table 10-1, for x2APIC 10.12; I/O APIC: Intel 82093AA data sheet, 3.
 */
#include <quarry/acpi.h>
#include <quarry/cmdline.h>
#include <quarry/errno.h>
#include <quarry/machine.h>
#include <quarry/port.h>

#include "x86.h"

#define APIC_ID        0x20
#define APIC_VERSION   0x30
#define APIC_TPR       0x80
#define APIC_EOI       0xb0
#define APIC_SVR       0xf0
#define APIC_IRR       0x200 /* 8 registers of 32 vectors, 16 bytes apart */
#define APIC_ICR_LOW   0x300
#define APIC_ICR_HIGH  0x310
#define APIC_LVT_CMCI  0x2f0
#define APIC_LVT_HEAT  0x330
#define APIC_LVT_PERF  0x340
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370

#define SVR_ENABLE  0x100
#define LVT_MODE    0x700
#define LVT_SMI     0x200
#define LVT_NMI     0x400
#define ICR_BUSY    0x1000
#define BASE_ENABLE 0x800 /* bits of MSR_APIC_BASE */
#define BASE_X2APIC 0x400
#define ICR_SPIN    1000000

#define IOAPIC_WINDOW   4 /* words behind the selector */
#define IOAPIC_VERSION  1
#define IOAPIC_REDIRECT 0x10

static bool x2apic;
static volatile u32 *lapic; /* xAPIC only */
static volatile u32 *ioapic[ACPI_MAX_IOAPICS];
static struct spinlock ioapic_lock = SPINLOCK("ioapic", RANK_NONE);

u32 apic_read(u32 reg)
{
	return x2apic ? (u32)rdmsr(MSR_X2APIC + reg / 16) : mmio_read(&lapic[reg / 4]);
}

void apic_write(u32 reg, u32 value)
{
	if (x2apic)
		wrmsr(MSR_X2APIC + reg / 16, value);
	else
		mmio_write(&lapic[reg / 4], value);
}

u32 apic_id(void)
{
	return x2apic ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

u32 apic_max_id(void)
{
	return x2apic ? X2APIC_MAX_ID : XAPIC_MAX_ID;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

/*
 * x2APIC: a WRMSR to the ICR does not serialise (SDM vol. 3A, 10.12.3) and is not a store.  Earlier
 * stores of this CPU may still be in its store buffer when the interrupt arrives.  Then the target
 * reads an empty inbox, and the call is lost.  MFENCE waits until the stores are visible; LFENCE
 * keeps the WRMSR from starting before that.  The xAPIC needs neither: its registers are uncached
 * memory, and stores become visible in order.
 */
static noinline void x2apic_send(u32 dest, u32 icr_low)
{
	stores_out();
	wrmsr(MSR_X2APIC + APIC_ICR_LOW / 16, (u64)dest << 32 | icr_low);
}

static void wait_sent(void)
{
	for (unsigned i = 0; i < ICR_SPIN && apic_read(APIC_ICR_LOW) & ICR_BUSY; i++)
		cpu_relax();
}

/* irqs off: an interrupt handler's own send in between would overwrite the destination. */
static void xapic_send(u32 dest, u32 icr_low)
{
	KASSERT(!arch_irqs_enabled());
	wait_sent();
	apic_write(APIC_ICR_HIGH, dest << 24);
	apic_write(APIC_ICR_LOW, icr_low);
}

void apic_send(u32 dest, u32 icr_low)
{
	irqflags_t flags;

	if (x2apic) {
		x2apic_send(dest, icr_low);
		return;
	}
	flags = arch_irq_save(); /* an NMI's handler sends no interrupt */
	xapic_send(dest, icr_low);
	arch_irq_restore(flags);
}

/*
 * The interrupted code may be between the two halves of its own ICR write.  The self shorthand
 * needs no destination, so the destination that the interrupted code wrote is kept.  At return the
 * ICR is idle again.
 */
void apic_send_self(u8 vector)
{
	wait_sent();
	apic_write(APIC_ICR_LOW, ICR_SELF | ICR_FIXED | vector);
	wait_sent();
}

/*
 * Mask those newer entries that this APIC has, but no SMI, which is the firmware's own: it may keep
 * the CPU cool.
 */
static void mask_newer_entries(void)
{
	static const u32 entries[] = {APIC_LVT_PERF, APIC_LVT_HEAT, APIC_LVT_CMCI};
	u32 last = apic_read(APIC_VERSION) >> 16 & 0xff; /* 3: none of these */

	for (u32 i = 0; i < ARRAY_SIZE(entries) && i + 4 <= last; i++) {
		if ((apic_read(entries[i]) & LVT_MODE) != LVT_SMI)
			apic_write(entries[i], LVT_MASKED);
	}
}

void apic_enable(void)
{
	/* The only way from off to x2APIC is through xAPIC (SDM vol. 3A, 10.12.5). */
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_ENABLE);
	if (x2apic)
		wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_X2APIC);
	apic_write(APIC_TPR, 0);
	/* Before the LVT: while the APIC is off, entries stay masked (SDM vol. 3A, 10.4.7.2). */
	apic_write(APIC_SVR, SVR_ENABLE | VEC_SPURIOUS);
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	/* An NMI from the host or the operator reaches every CPU: each prints its backtrace. */
	apic_write(APIC_LVT_LINT1, LVT_NMI);
	apic_write(APIC_LVT_ERROR, LVT_MASKED);
	mask_newer_entries();
	apic_eoi();
}

static u32 ioapic_read(unsigned i, u32 reg) REQUIRES(ioapic_lock)
{
	mmio_write(ioapic[i], reg);
	return mmio_read(&ioapic[i][IOAPIC_WINDOW]);
}

static void ioapic_write(unsigned i, u32 reg, u32 value) REQUIRES(ioapic_lock)
{
	mmio_write(ioapic[i], reg);
	mmio_write(&ioapic[i][IOAPIC_WINDOW], value);
}

static u32 ioapic_pins(unsigned i) REQUIRES(ioapic_lock)
{
	return (ioapic_read(i, IOAPIC_VERSION) >> 16 & 0xff) + 1;
}

/* As mask_newer_entries: a pin may raise an SMI. */
static void ioapic_init(void)
{
	irqflags_t flags;

	for (unsigned i = 0; i < acpi.nr_ioapics; i++)
		ioapic[i] = arch_map_mmio(acpi.ioapic[i].address, 0x20);
	flags = spin_lock_irqsave(&ioapic_lock);
	for (unsigned i = 0; i < acpi.nr_ioapics; i++) {
		for (u32 pin = 0; ioapic[i] && pin < ioapic_pins(i); pin++) {
			u32 reg = IOAPIC_REDIRECT + 2 * pin;

			if ((ioapic_read(i, reg) & LVT_MODE) != LVT_SMI)
				ioapic_write(i, reg, LVT_MASKED);
		}
	}
	spin_unlock_irqrestore(&ioapic_lock, flags);
}

/* The I/O APIC with pin @gsi; -ENODEV: none. */
static int ioapic_of(u32 gsi) REQUIRES(ioapic_lock)
{
	for (unsigned i = 0; i < acpi.nr_ioapics; i++) {
		u32 base = acpi.ioapic[i].gsi_base;

		if (ioapic[i] && gsi >= base && gsi - base < ioapic_pins(i))
			return (int)i;
	}
	return -ENODEV;
}

int ioapic_route(u32 gsi, u8 vector, bool level, bool active_low)
{
	irqflags_t flags;
	int i;

	if (apic_id() > XAPIC_MAX_ID) /* a destination has 8 bits */
		return -ENODEV;
	flags = spin_lock_irqsave(&ioapic_lock);
	i = ioapic_of(gsi);
	if (i >= 0) {
		u32 reg = IOAPIC_REDIRECT + 2 * (gsi - acpi.ioapic[i].gsi_base);
		u32 was = ioapic_read((unsigned)i, reg);

		if (!(was & LVT_MASKED) && (u8)was != vector) {
			i = -EBUSY; /* another driver's interrupt */
		} else {
			ioapic_write((unsigned)i, reg + 1, apic_id() << 24);
			ioapic_write(
			    (unsigned)i, reg, vector | (u32)active_low << 13 | (u32)level << 15);
		}
	}
	spin_unlock_irqrestore(&ioapic_lock, flags);
	return i < 0 ? i : 0;
}

int ioapic_vector(u32 gsi)
{
	irqflags_t flags = spin_lock_irqsave(&ioapic_lock);
	int i = ioapic_of(gsi), vector = -1;

	if (i >= 0) {
		u32 reg = IOAPIC_REDIRECT + 2 * (gsi - acpi.ioapic[i].gsi_base);
		u32 entry = ioapic_read((unsigned)i, reg);

		vector = entry & LVT_MASKED ? -1 : (int)(entry & 0xff);
	}
	spin_unlock_irqrestore(&ioapic_lock, flags);
	return vector;
}

void ioapic_move(u32 from, u32 to)
{
	irqflags_t flags;

	if (to > XAPIC_MAX_ID)
		return;
	flags = spin_lock_irqsave(&ioapic_lock);

	for (unsigned i = 0; i < acpi.nr_ioapics; i++) {
		for (u32 pin = 0; ioapic[i] && pin < ioapic_pins(i); pin++) {
			u32 reg = IOAPIC_REDIRECT + 2 * pin;

			/*
			 * One write moves the line: an interrupt goes to the old CPU or to the new
			 * one.
			 */
			if (!(ioapic_read(i, reg) & LVT_MASKED) &&
			    ioapic_read(i, reg + 1) >> 24 == from)
				ioapic_write(i, reg + 1, to << 24);
		}
	}
	spin_unlock_irqrestore(&ioapic_lock, flags);
}

int ioapic_route_isa(unsigned irq, u8 vector)
{
	const struct acpi_isa *isa = &acpi.isa[irq];

	return ioapic_route(isa->gsi, vector, isa->level, isa->active_low);
}

/* The CPU decodes the address in its MSR (SDM vol. 3A, 10.4.4), whatever the MADT says. */
static void map_xapic(void)
{
	phys_t base = rdmsr(MSR_APIC_BASE) & ~(PAGE_SIZE - 1);

	if (acpi.lapic != base)
		printk("apic: local APIC at %lx, not at %lx as the MADT says\n", base, acpi.lapic);
	lapic = arch_map_mmio(base, PAGE_SIZE);
	if (!lapic)
		panic("apic: cannot map the local APIC");
}

/*
 * Should a CPU in xAPIC mode be switched to x2APIC mode?  Without interrupt remapping, only a
 * hypervisor promises that the I/O APIC works in that mode, and some firmware's SMM does not expect
 * it.  But in xAPIC mode a CPU with a larger id cannot be reached.  An entry that is not enabled
 * has any id, and is a CPU's only where CPUs can be plugged in.
 */
static bool wants_x2apic(void)
{
	bool wants = cpuid(1, 0).ecx & CPUID_HYPERVISOR;

	for (unsigned i = 0; i < acpi.nr_cpus; i++)
		wants |= acpi.cpu[i].apic_id > XAPIC_MAX_ID &&
		    (acpi.cpu[i].enabled || acpi.cpu_slots_port);
	return wants;
}

/* If the firmware enabled x2APIC it stays on: there is no way back. */
static void choose_mode(void)
{
	bool has = cpuid(1, 0).ecx & (1u << 21), on = rdmsr(MSR_APIC_BASE) & BASE_X2APIC;
	const char *usual = on || wants_x2apic() ? "x2apic" : "xapic";
	bool refused = !strcmp(cmdline_get("apic", usual), "xapic");

	x2apic = has && (on || !refused);
	if (!x2apic)
		map_xapic();
	printk("apic: %s mode%s\n", x2apic ? "x2APIC" : "xAPIC",
	    x2apic && refused ? ", as the firmware left it" : "");
}

void arch_apic_init(void)
{
	choose_mode();
	/* Mask all lines of the two 8259 interrupt controllers, for ever. */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	apic_enable();
	ioapic_init();
}

bool arch_irqs_pending(void)
{
	u32 pending = 0;

	for (u32 i = 0; i < 8; i++)
		pending |= apic_read(APIC_IRR + 16 * i);
	return pending != 0;
}
