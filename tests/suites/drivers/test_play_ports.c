/* SPDX-License-Identifier: MIT */
/*
 * test_play_ports.c: drivers that access the machine by ports: the ports that they use, and their
 * interrupt lines.
 */
#include "tests/host/play_help.h"
#include <quarry/acpi.h>
#include <quarry/virtio.h>

#include "drivers/pci.h"
#include "drivers/virtio_pci.h"

static struct acpi_info firmware;
static int route_err;

static int route(u32 gsi, u8 vector, bool level, bool active_low)
{
	judge_note("line %u is vector %x%s%s\n", gsi, vector, level ? ", level" : "",
	    active_low ? ", low" : "");
	return route_err;
}

static struct {
	unsigned nr_nodes;
} their_memory;

static void scan(const struct pci_access *access, void (*fn)(const struct pci_function *))
{
	const struct pci_function some = {.access = access, .device = 9};

	judge_note(access == &pci_ports ? "scan\n" : "scan what?\n");
	fn(&some);
}

static void take_over(struct virtio_bus *bus, const struct pci_function *fn)
{
	judge_note("device %u\n", fn->device);
}

static void news(struct virtio_bus *bus)
{
	judge_note("news\n");
}

static int mem_probe(struct virtio_device *dev)
{
	return 1;
}

static int balloon_probe(struct virtio_device *dev)
{
	return 2;
}

static bool mem_show(void)
{
	judge_note("memory\n");
	return false;
}

static bool balloon_show(void)
{
	judge_note("balloon\n");
	return false;
}

static void *map(phys_t pa, size_t len)
{
	return NULL;
}

#define acpi         firmware
#define ioapic_route route
#include "drivers/pci_port.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#define pci_scan             scan
#define virtio_bus_found     take_over
#define virtio_bus_interrupt news
#define virtio_mem_probe     mem_probe
#define virtio_balloon_probe balloon_probe
#define virtio_mem_show      mem_show
#define virtio_balloon_show  balloon_show
#define arch_map_mmio        map
#define kernel_memory        their_memory
#include "drivers/virtio_start.c" /* NOLINT(bugprone-suspicious-include): the tested source */

/* ---- PCI ---- */

#define ADDRESS "out32 cf8=8012ab" /* bus 0x12, device 0x15, function 3 */
#define LINE    0x3cu
#define PIN     0x3du

static u8 config[256];
static const struct pci_function fn = {
    .access = &pci_ports, .bus = 0x12, .device = 0x15, .function = 3};

/* The register that the address port selects. */
static u32 config_in(u16 port, unsigned bytes, u32 kept)
{
	u32 value = 0;

	if (port < 0xcfc || port + bytes > 0xd00)
		return kept;
	memcpy(&value, config + (play.port[0xcf8] & 0xfc) + port - 0xcfc, bytes);
	return value;
}

static void begin(void)
{
	unsigned i;

	play_begin();
	play.in = config_in;
	for (i = 0; i < sizeof(config); i++)
		config[i] = (u8)(i + 1);
	for (i = 0; i < ACPI_NR_ISA; i++)
		firmware.isa[i] =
		    (struct acpi_isa){.gsi = 100 + i, .active_low = i == 5, .level = i == 6};
	route_err = 0;
}

KTEST_SUITE(play_ports, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(configuration_is_reached_by_two_ports)
{
	begin();
	play.reads = true;
	EXPECT_EQ(t, pci_read(&fn, 0x10, 4), 0x14131211);
	EXPECT_EQ(t, pci_read(&fn, 0x12, 2), 0x1413);
	EXPECT_EQ(t, pci_read(&fn, 0x13, 1), 0x14);
	EXPECT_EQ(t, pci_read(&fn, 0xfe, 2), 0xff | 0 << 8);
	EXPECT_SAID(t,
	    ADDRESS "10\nin32 cfc\n" ADDRESS "10\nin16 cfe\n" ADDRESS "10\nin8 cff\n" ADDRESS
	            "fc\nin16 cfe\n");
	pci_write(&fn, 0x14, 4, 0x87654321);
	pci_write(&fn, 0x06, 2, 0x54321);
	pci_write(&fn, 0x05, 1, 0x321);
	EXPECT_SAID(t,
	    ADDRESS "14\nout32 cfc=87654321\n" ADDRESS "04\nout16 cfe=4321\n" ADDRESS
	            "04\nout8 cfd=21\n");
}

/* Level-triggered, whatever the ISA interrupt is; the function may interrupt once it is routed. */
KTEST(a_function_has_its_line)
{
	unsigned line;

	for (line = 5; line < 8; line++) {
		begin();
		config[LINE] = (u8)line;
		config[4] = 0x07;
		config[5] = 0x05;
		EXPECT_EQ(t, pci_route_intx(&fn), 0);
		EXPECT_EQ(t, judge_times("line "), 1);
		EXPECT_EQ(t,
		    judge_times(line == 5 ? "line 105 is vector 44, level, low\n"
		            : line == 6   ? "line 106 is vector 44, level\n"
		                          : "line 107 is vector 44, level\n"),
		    1);
		EXPECT_EQ(t, judge_times("out16 cfc=107\n"), 1);
	}
	begin();
	config[LINE] = 5;
	config[PIN] = 0;
	EXPECT_EQ(t, pci_route_intx(&fn), -ENODEV);
	EXPECT_EQ(t, judge_times("line ") + judge_times("out16 "), 0);
	config[PIN] = 1;
	route_err = -EIO;
	EXPECT_EQ(t, pci_route_intx(&fn), -EIO);
	EXPECT_EQ(t, judge_times("line "), 1);
	EXPECT_EQ(t, judge_times("out16 "), 0);
}

/* ---- virtio ---- */

KTEST(virtio_devices_are_those_of_the_bus)
{
	struct virtio_device dev = {.id = VIRTIO_ID_MEM};

	play_begin();
	EXPECT_DOES(t, virtio_init(), "scan\ndevice 9\n");
	EXPECT_DOES(t, pci_interrupt(), "news\n");
	EXPECT_DOES(t, virtio_show(), "memory\nballoon\n");
	EXPECT_EQ(t, bus.probe(&dev), 1);
	dev.id = VIRTIO_ID_BALLOON;
	EXPECT_EQ(t, bus.probe(&dev), 2);
	EXPECT(t, bus.map == map && bus.route == pci_route_intx);
}

/* Registers are read and written in their width: their neighbours do not change. */
KTEST(mapped_registers_have_their_width)
{
	static const u32 read[] = {0, 0x44, 0x5544, 0, 0x77665544};
	static u8 byte[16] __attribute__((aligned(4)));
	unsigned i, len;

	for (len = 1; len <= 4; len *= 2) {
		for (i = 0; i < sizeof(byte); i++)
			byte[i] = (u8)(0x11 * i);
		EXPECT_EQ(t, bus.regs->read(byte + 4, len), read[len]);
		bus.regs->write(byte + 4, len, 0x12345678);
		for (i = 0; i < sizeof(byte); i++) {
			bool its_own = i >= 4 && i < 4 + len;

			EXPECT_EQ(
			    t, byte[i], its_own ? 0x12345678 >> 8 * (i - 4) & 0xff : 0x11 * i);
		}
	}
}

/* A node that the firmware does not name, or that the memory does not have, counts as node 0. */
KTEST(nodes_are_those_of_the_firmware)
{
	firmware.nr_nodes = their_memory.nr_nodes = 3;
	firmware.domain[0] = 7;
	firmware.domain[1] = 5;
	firmware.domain[2] = 9;
	firmware.domain[3] = 11;
	EXPECT_EQ(t, bus.node_of(7), 0);
	EXPECT_EQ(t, bus.node_of(5), 1);
	EXPECT_EQ(t, bus.node_of(9), 2);
	EXPECT_EQ(t, bus.node_of(11), 0);
	firmware.nr_nodes = 2;
	EXPECT_EQ(t, bus.node_of(9), 0);
	firmware.nr_nodes = 3;
	their_memory.nr_nodes = 2;
	EXPECT_EQ(t, bus.node_of(9), 0);
	EXPECT_EQ(t, bus.node_of(5), 1);
}
