/* SPDX-License-Identifier: MIT */
/*
 * ports.c: the hardware of the described machine: timers, APICs, power management, PCI.
 *
 * A port or register that the machine lacks reads as ones.  Each access takes a while, so that the
 * timers count.
 */
#include "tests/machines/ports.h"
#include "tests/host/play_help.h"
#include <quarry/console.h>
#include <quarry/port.h>
#include <quarry/string.h>

#include <linux/pci_regs.h>

#define PM_HZ      3579545ULL /* ACPI specification 6.4, 4.8.3.3 */
#define PIT_HZ     1193182ULL
#define PM1_SLP_EN 0x2000
#define ACCESS     1000 /* ticks of the TSC */

struct ports ports;

/* The ticks of a clock of @hz at this moment. */
static u64 count(u64 since, u64 hz)
{
	return (ports.ticks - since) * hz / (ports.m->tsc * 1000ULL);
}

static u64 tsc(void)
{
	return ports.ticks += 10;
}

static u64 clock_ns(void)
{
	return tsc() * 1000000ULL / ports.m->tsc;
}

/* ---- ports ---- */

static u16 fadt16(unsigned at)
{
	return (u16)acpi_get32(ports.m->memory + MACHINE_FADT + at);
}

static u32 pit_in(u16 port)
{
	bool runs = ports.m->has_pit && ports.pit_bytes >= 2;

	if (port == 0x61)
		return (ports.byte[0x61] & 0xdfu) |
		    (runs && count(ports.pit_began, PIT_HZ) > 0xffff ? 0x20 : 0);
	ports.high = !ports.high;
	return ports.high ? ports.latched & 0xff : ports.latched >> 8;
}

static u32 port_in(u16 port, unsigned bytes)
{
	ports.ticks += ACCESS;
	if (port == fadt16(76) && port)
		return ports.m->has_pm ? (u32)count(0, PM_HZ) & 0xffffff : ~0u;
	if (port == 0x61 || port == 0x42)
		return pit_in(port);
	if (port && (port == fadt16(64) || port == fadt16(68)))
		return (port == fadt16(64) && ports.sci_en) | 0x1c00u;
	if (port && port == fadt16(56))
		return 0;
	if (port >= 0x3f8 && port < 0x400 && ports.m->com1)
		return ports.byte[port];
	return ~0u;
}

static void turns_off(const char *what, u64 at, unsigned type)
{
	size_t len = strlen(ports.off);

	ksnprintf(ports.off + len, sizeof(ports.off) - len, "%s%s %llx type %u%s", len ? ", " : "",
	    what, (unsigned long long)at, type,
	    !ports.sci_en && what[0] == 'p' ? " outside ACPI mode" : "");
}

static void pit_out(u16 port, u32 value)
{
	if (port == 0x43 && value == 0x80) {
		ports.latched = ports.m->has_pit ? (u16)-count(ports.pit_began, PIT_HZ) : 0;
		ports.high = false;
	} else if (port == 0x43) {
		ports.pit_bytes = 0;
	} else if (port == 0x42 && ++ports.pit_bytes == 2) {
		ports.pit_began = ports.ticks;
	}
}

static void port_out(u16 port, unsigned bytes, u32 value)
{
	const u8 *fadt = ports.m->memory + MACHINE_FADT;

	ports.ticks += ACCESS;
	ports.byte[port] = (u8)value;
	if (port == 0x42 || port == 0x43)
		pit_out(port, value);
	else if (port && port == fadt16(48))
		ports.sci_en |= value == fadt[52];
	else if (port && (port == fadt16(64) || port == fadt16(68)) && value & PM1_SLP_EN)
		turns_off("port", port, value >> 10 & 7);
	else if (fadt[244] == 1 && port == fadt16(248) && value & 0x20)
		turns_off("register", port, value >> 2 & 7);
}

/* ---- registers ---- */

static void *map(phys_t pa, size_t len, unsigned flags)
{
	const u8 *madt = ports.m->memory + MACHINE_MADT;
	unsigned i = 0;
	size_t off;

	if (len == 1)
		return &ports.sleep;
	if (len == PAGE_SIZE) {
		ports.lapic_at = pa;
		return ports.lapic;
	}
	for (off = 44; off < ports.m->madt; off += madt[off + 1]) {
		if (madt[off] == 1 && acpi_get32(madt + off + 4) == pa)
			return (void *)(uintptr_t)ports.window[i];
		i += madt[off] == 1;
	}
	return NULL;
}

static u32 apic_register(unsigned reg)
{
	if (reg == 0x20)
		return cpuid_apic_id();
	if (reg == 0x30)
		return 0x00050014;
	if (reg == 0x390)
		return ~0u - (u32)count(0, ports.m->bus * 1000ULL / 16);
	return ports.lapic[reg / 4];
}

static u32 mmio_in(const volatile u32 *at)
{
	unsigned i = (unsigned)(at - ports.window[0]) / 8;

	ports.ticks += ACCESS;
	if (at >= ports.lapic && at < ports.lapic + ARRAY_SIZE(ports.lapic)) {
		unsigned reg = 4 * (unsigned)(at - ports.lapic);

		return apic_register(reg) << (reg == 0x20 ? 24 : 0);
	}
	return ports.redirect[i][ports.window[i][0]];
}

static void mmio_out(volatile u32 *at, u32 value)
{
	unsigned i = (unsigned)(at - ports.window[0]) / 8;

	if (at >= ports.lapic && at < ports.lapic + ARRAY_SIZE(ports.lapic))
		*at = value;
	else if (at == ports.window[i])
		*at = value;
	else
		ports.redirect[i][ports.window[i][0]] = value;
}

static void mmio_out8(volatile u8 *at, u8 value)
{
	if (at == &ports.sleep && value & 0x20)
		turns_off(
		    "register", acpi_get64(ports.m->memory + MACHINE_FADT + 248), value >> 2 & 7);
}

static u64 msr_in(u32 msr)
{
	if (msr >= 0x800 && msr < PORTS_MSRS) {
		ports.ticks += ACCESS;
		return apic_register((msr - 0x800) * 16);
	}
	return msr < PORTS_MSRS ? ports.msr[msr] : 0;
}

static void msr_out(u32 msr, u64 value)
{
	if (msr >= 0x800 && msr < PORTS_MSRS)
		ports.lapic[(msr - 0x800) * 4] = (u32)value;
	else if (msr < PORTS_MSRS)
		ports.msr[msr] = value;
	ports.banks += msr >= MSR_MC0_CTL && msr < MSR_X2APIC && msr % 4 == MSR_MC0_STATUS % 4;
}

static struct cpuid_regs cpuid_of(u32 leaf, u32 subleaf)
{
	ports.asked_cpuid = true;
	return machine_cpuid(ports.m, leaf);
}

static void note(const char *what)
{
	if (!strcmp(what + strlen(what) - 3, "hlt") && ports.ended)
		longjmp(*ports.ended, 1);
}

/* ---- PCI ---- */

static struct machine_pci *function(const struct pci_function *fn)
{
	unsigned i;

	for (i = 0; i < ports.m->nr_pci; i++) {
		struct machine_pci *p = &ports.m->pci[i];

		if (p->bus == fn->bus && p->device == fn->device && p->function == fn->function)
			return p;
	}
	return NULL;
}

static u32 pci_in(const struct pci_function *fn, unsigned reg, unsigned len)
{
	const struct machine_pci *p = function(fn);

	if (!p)
		return ~0u >> (32 - 8 * len);
	switch (reg) {
	case PCI_VENDOR_ID: return 0x8086;
	case PCI_COMMAND: return p->command;
	case PCI_CLASS_DEVICE: return p->class;
	case PCI_HEADER_TYPE: return p->header;
	default: return 0;
	}
}

static void pci_out(const struct pci_function *fn, unsigned reg, unsigned len, u32 value)
{
	if (reg == PCI_COMMAND)
		function(fn)->command = (u16)value;
}

const struct pci_access ports_pci = {.read = pci_in, .write = pci_out};

static struct cpu boot_cpu;
static const struct host_machine hardware = {.in = port_in,
    .out = port_out,
    .rdmsr = msr_in,
    .wrmsr = msr_out,
    .cpuid = cpuid_of,
    .mmio_read = mmio_in,
    .mmio_write = mmio_out,
    .mmio_write8 = mmio_out8,
    .note = note,
    .map = map,
    .tsc = tsc,
    .cpu = &boot_cpu};

void ports_begin(struct machine *m)
{
	unsigned i;

	memset(&ports, 0, sizeof(ports));
	memset(&boot_cpu, 0, sizeof(boot_cpu));
	ports.m = m;
	ports.ticks = 1000000000;
	ports.sci_en = m->acpi_mode;
	ports.msr[0x1b] = 0xfee00900; /* as after a reset of the boot CPU */
	for (i = 0; i < m->nr_msr; i++)
		ports.msr[m->msr[i].msr] = m->msr[i].value;
	for (i = 0; i < m->nr_ioapics; i++)
		ports.redirect[i][1] = (m->pins[i] - 1u) << 16;
	ports.byte[0x3fd] = 0x60; /* COM1 has sent all bytes */
	play_use(&hardware, clock_ns);
}
