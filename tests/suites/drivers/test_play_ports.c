/* SPDX-License-Identifier: MIT */
/*
 * test_play_ports.c: drivers that access the machine by ports: the ports that they use, and their
 * interrupt lines.
 */
#include "tests/host/play_help.h"

#include "drivers/pci.h"
#include "drivers/virtio_pci.h"
#include <quarry/errno.h>

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
	play_apics(1);
	for (i = 0; i < ACPI_NR_ISA; i++)
		acpi.isa[i] =
		    (struct acpi_isa){.gsi = 8 + i, .active_low = i == 5, .level = i == 6};
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
		EXPECT_EQ(t, judge_times("io0 "), 2);
		EXPECT_EQ(t,
		    judge_times(line == 5 ? "io0 2a=a044\n"
		            : line == 6   ? "io0 2c=8044\n"
		                          : "io0 2e=8044\n"),
		    1);
		EXPECT_EQ(t, judge_times("out16 cfc=107\n"), 1);
	}
	begin();
	config[LINE] = 5;
	config[PIN] = 0;
	EXPECT_EQ(t, pci_route_intx(&fn), -ENODEV);
	EXPECT_EQ(t, judge_times("io0 ") + judge_times("out16 "), 0);
	config[PIN] = 1;
	acpi.isa[5].gsi = 99; /* there is no such pin */
	EXPECT_EQ(t, pci_route_intx(&fn), -ENODEV);
	EXPECT_EQ(t, judge_times("io0 ") + judge_times("out16 "), 0);
}

/* ---- virtio ---- */

/* Registers are read and written in their width: their neighbours do not change. */
KTEST(mapped_registers_have_their_width)
{
	static const u32 read[] = {0, 0x44, 0x5544, 0, 0x77665544};
	static u8 byte[16] __attribute__((aligned(4)));
	unsigned i, len;

	for (len = 1; len <= 4; len *= 2) {
		for (i = 0; i < sizeof(byte); i++)
			byte[i] = (u8)(0x11 * i);
		EXPECT_EQ(t, virtio_mapped_regs.read(byte + 4, len), read[len]);
		virtio_mapped_regs.write(byte + 4, len, 0x12345678);
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
	static struct acpi_info info = {.domain = {7, 5, 9, 11}, .nr_nodes = 3};

	EXPECT_EQ(t, acpi_domain_node(&info, 3, 7), 0);
	EXPECT_EQ(t, acpi_domain_node(&info, 3, 5), 1);
	EXPECT_EQ(t, acpi_domain_node(&info, 3, 9), 2);
	EXPECT_EQ(t, acpi_domain_node(&info, 3, 11), 0);
	EXPECT_EQ(t, acpi_domain_node(&info, 2, 9), 0);
	info.nr_nodes = 2;
	EXPECT_EQ(t, acpi_domain_node(&info, 3, 9), 0);
	EXPECT_EQ(t, acpi_domain_node(&info, 3, 5), 1);
}
