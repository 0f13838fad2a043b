/* SPDX-License-Identifier: MIT */
/* test_pci.c: buses, registers, capabilities and BARs of PCI functions with arbitrary contents. */
#include "tests/lib/pretend_pci.h"

KTEST_SUITE(pci, KTEST_QUICK);

/* ---- BARs ---- */

KTEST(bar_size_follows_its_read_only_bits)
{
	struct pci_memory memory;
	unsigned bits;

	for (bits = 4; bits < 32; bits++) {
		good_space();
		space_set(PCI_BASE_ADDRESS_0, 4, 1u << bits);
		space.writable[0] = (u32)(~0ULL << bits);
		EXPECT_EQ(t, pci_bar_memory(&space_fn, 0, &memory), 0);
		EXPECT_EQ(t, memory.start, 1UL << bits);
		EXPECT_EQ(t, memory.size, 1UL << bits);
	}
	for (bits = 32; bits < 52; bits++) {
		good_space();
		space_set(BAR_REG, 4, PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
		space_set(BAR_REG + 4, 4, 1u << (bits - 32));
		space.writable[BAR] = 0;
		space.writable[BAR + 1] = (u32)(~0ULL << (bits - 32));
		EXPECT_EQ(t, pci_bar_memory(&space_fn, BAR, &memory), 0);
		EXPECT_EQ(t, memory.start, 1UL << bits);
		EXPECT_EQ(t, memory.size, 1UL << bits);
	}
	/* Writable bits with a gap give no size; a single writable bit gives one. */
	good_space();
	space_set(PCI_BASE_ADDRESS_0, 4, 0x80000000);
	space.writable[0] = 0xfff0f000;
	EXPECT_EQ(t, pci_bar_memory(&space_fn, 0, &memory), -EFAULT);
	space.writable[0] = 0x80000000;
	EXPECT_EQ(t, pci_bar_memory(&space_fn, 0, &memory), 0);
	EXPECT_EQ(t, memory.size, 1UL << 31);
	space_set(BAR_REG + 4, 4, 0);
	EXPECT_EQ(t, pci_bar_memory(&space_fn, BAR, &memory), 0);
	EXPECT_EQ(t, memory.start, (u32)START);
}

static u16 command_when_sized;

/* While a BAR holds all ones, the function must not answer: the address in the BAR is wrong. */
static void watch_sizing(const struct pci_function *fn, unsigned reg, unsigned len, u32 value)
{
	if (reg != PCI_COMMAND && value == ~0u)
		memcpy(&command_when_sized, space.byte + PCI_COMMAND, 2);
	space_write(fn, reg, len, value);
}

KTEST(function_is_disabled_while_its_bars_are_sized)
{
	static const struct pci_access watched = {.read = space_read, .write = watch_sizing};
	static const struct pci_function fn = {.access = &watched};
	static const u16 commands[] = {0, 0x107, 0x407, 0x503};
	struct pci_memory memory;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		good_space();
		space_set(PCI_COMMAND, 2, commands[i]);
		command_when_sized = 0xffff;
		EXPECT_EQ(t, pci_bar_memory(&fn, BAR, &memory), 0);
		EXPECT_EQ(t, command_when_sized, commands[i] & ~PCI_COMMAND_MEMORY);
		EXPECT_EQ(
		    t, space.byte[PCI_COMMAND] | space.byte[PCI_COMMAND + 1] << 8, commands[i]);
		EXPECT_EQ(t, memory.start, START);
		EXPECT_EQ(t, memory.size, 0x4000);
		pci_enable(&fn);
		EXPECT_EQ(t, space.byte[PCI_COMMAND] | space.byte[PCI_COMMAND + 1] << 8,
		    commands[i] | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		EXPECT_EQ(t, space.beyond, 0);
	}
}

/* What a register is depends on all before it; BARs of ports have 32 bits, whatever bit 2 says. */
KTEST(upper_halves_of_bars_are_no_bars)
{
	static const struct {
		u32 low[PCI_NR_BARS];
		int err[PCI_NR_BARS + 2];
	} layouts[] = {
	    {{0xfe000004, 1, 0xfd000000, 0xfc00000c, 1, 0xfb000000},
	        {0, -EINVAL, 0, 0, -EINVAL, 0, -EINVAL, -EINVAL}},
	    {{0xc005, 0xfe000004, 1, 0xd001, 0xfd000004, 1},
	        {-ENODEV, 0, -EINVAL, -ENODEV, 0, -EINVAL, -EINVAL, -EINVAL}},
	    {{0xfe000000, 0xfd000002, 0, 0xfc000008, 0xfb000004, 4},
	        {0, 0, -ENODEV, 0, 0, -EINVAL, -EINVAL, -EINVAL}},
	    {{0xfe000000, 0xfd000000, 0xfc000000, 0xfa000000, 0xc001, 0xfb000004},
	        {0, 0, 0, 0, -ENODEV, -EINVAL, -EINVAL, -EINVAL}},
	};
	struct pci_memory memory;
	unsigned i, bar;

	for (i = 0; i < ARRAY_SIZE(layouts); i++) {
		for (bar = 0; bar < ARRAY_SIZE(layouts[i].err); bar++) {
			unsigned j, high = 0;
			int err;

			good_space();
			for (j = 0; j < PCI_NR_BARS; j++) {
				space_set(PCI_BASE_ADDRESS_0 + 4 * j, 4, layouts[i].low[j]);
				space.writable[j] = layouts[i].low[j] > 4 ? 0xffff0000 : ~0u;
			}
			if (bar < PCI_NR_BARS - 1 && (layouts[i].low[bar] & 7) == 4)
				high = layouts[i].low[bar + 1];
			err = pci_bar_memory(&space_fn, bar, &memory);
			if (err != layouts[i].err[bar])
				ktest_fail(
				    t, __FILE__, __LINE__, "layout %u, BAR %u: %d", i, bar, err);
			if (!err)
				EXPECT_EQ(t, memory.start,
				    (u64)high << 32 | (layouts[i].low[bar] & ~0xfu));
			if (!err)
				EXPECT_EQ(t, memory.size, 0x10000);
			EXPECT_EQ(t, space.beyond, 0);
		}
	}
}

KTEST(bar_may_end_at_the_last_address)
{
	static const struct {
		u32 low, high, writable_low, writable_high;
		int err;
	} ends[] = {
	    {0xffffc004, 0xfffff, ~0x3fffu, ~0u, 0},
	    {4, 0x80000, 0, 0xfff80000, 0},
	    {0xffffc004, 0x100000, ~0x3fffu, ~0u, -EFAULT},
	    {4, 0x100000, 0, 0xfff00000, -EFAULT},
	    {4, 0x80000000, 0, 0x80000000, -EFAULT},
	    {4, 1, 0, 0, -EFAULT},
	    {0xffff0004, 1, 0, 0, -EFAULT},
	};
	struct pci_memory memory;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		good_space();
		space_set(BAR_REG, 4, ends[i].low);
		space_set(BAR_REG + 4, 4, ends[i].high);
		space.writable[BAR] = ends[i].writable_low;
		space.writable[BAR + 1] = ends[i].writable_high;
		EXPECT_EQ(t, pci_bar_memory(&space_fn, BAR, &memory), ends[i].err);
	}
}

/* ---- registers ---- */

KTEST(any_register_of_the_256_bytes_is_reached)
{
	unsigned reg, len;

	good_space();
	for (reg = PCI_STD_HEADER_SIZEOF; reg < PCI_CONFIG_LEN; reg++) {
		for (len = 1; len <= 4 && reg % len == 0; len *= 2) {
			u32 want = 0x87654321u & (u32)((1ULL << 8 * len) - 1), have = 0;

			pci_write(&space_fn, reg, len, want);
			memcpy(&have, space.byte + reg, len);
			EXPECT_EQ(t, have, want);
			if (len != 2)
				EXPECT_EQ(t, pci_read(&space_fn, reg, len), want);
		}
	}
}

KTEST(capabilities_are_found_by_their_id)
{
	static const u8 at[] = {0x40, 0x44, 0x48, 0xf8, 0xfc, 0x80, 0x84, 0x88};
	struct pci_walk walk = {0};
	unsigned i;

	good_space();
	space_set(PCI_CAPABILITY_LIST, 1, at[0] + 3); /* the lowest two bits are reserved */
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		space_set(at[i], 1, i % 2 ? PCI_CAP_ID_MSIX : PCI_CAP_ID_VNDR);
		space_set(
		    at[i] + PCI_CAP_LIST_NEXT, 1, i + 1 < ARRAY_SIZE(at) ? at[i + 1] + i % 4 : 3);
	}
	for (i = 1; i < ARRAY_SIZE(at); i += 2)
		EXPECT_EQ(t, pci_next_capability(&space_fn, &walk, PCI_CAP_ID_MSIX), at[i]);
	EXPECT_EQ(t, pci_next_capability(&space_fn, &walk, PCI_CAP_ID_MSIX), 0);
	walk = (struct pci_walk){0};
	for (i = 0; i < ARRAY_SIZE(at); i += 2)
		EXPECT_EQ(t, pci_next_capability(&space_fn, &walk, PCI_CAP_ID_VNDR), at[i]);
	EXPECT_EQ(t, pci_next_capability(&space_fn, &walk, PCI_CAP_ID_VNDR), 0);
	EXPECT_EQ(t, space.beyond, 0);
}

/* ---- buses ---- */

static struct ktest *bus_test;
static unsigned nr_found;

/* The functions on a few buses.  @silent: the command register after the scan. */
static struct tree_function {
	u8 bus, device, function, type;
	u16 id, command, silent, class;
} tree[] = {
    {0, 0, 0, 0, 0x10, 0x0007, 0x0407, 0x600}, /* the host bridge */
    {0, 0, 1, 0, 0x11, 0x0007, 0x0007, 0x200}, /* function 0 claims to be the only one */
    {0, 1, 0, 1, 0x12, 0x0007, 0x0407, 0x600},
    {0, 2, 0, 0x80, 0x13, 0x0106, 0x0502, 0x200},
    {0, 2, 3, 0, 0x14, 0x0000, 0x0400, 0x106},
    {0, 2, 7, 0x80, 0x15, 0x0407, 0x0407, 0x300}, /* a display */
    {0, 3, 1, 0, 0x16, 0x0007, 0x0007, 0x200},    /* without function 0 there is no device */
    {0, 5, 0, 2, 0x17, 0x0007, 0x0407, 0x600},    /* a CardBus bridge has another header */
    {0, 5, 1, 3, 0x22, 0x0007, 0x0007, 0x200},    /* behind the only function */
    {0, 6, 0, 0x81, 0x18, 0x0007, 0x0407, 0x600},
    {0, 6, 2, 1, 0x19, 0x0007, 0x0407, 0xff00}, /* a bridge by its header */
    {0, 7, 0, 3, 0x23, 0x0007, 0x0007, 0x200},  /* there is no such header */
    {0, 31, 0, 0, 0x1a, 0x0007, 0x0403, 0},
    {3, 4, 0, 0, 0x1c, 0x0007, 0x0403, 0xc00},
    {3, 5, 0, 0, 0x1d, 0x0007, 0x0407, 0xc03},  /* USB, perhaps the firmware's keyboard */
    {64, 0, 0, 0, 0x1e, 0x0007, 0x0407, 0x600}, /* no bridge leads to its bus */
    {65, 0, 0, 0, 0x20, 0x0007, 0x0403, 0x200},
    {255, 31, 0, 0, 0x21, 0x0007, 0x0403, 0x200},
};
static const u8 tree_order[] = {0x10, 0x13, 0x14, 0x15, 0x1a, 0x1c, 0x1d, 0x1e, 0x20, 0x21};
static u16 tree_command[ARRAY_SIZE(tree)];

static unsigned tree_find(const struct pci_function *fn)
{
	unsigned i = 0;

	EXPECT(bus_test, fn->device < 32 && fn->function < 8);
	while (i < ARRAY_SIZE(tree) &&
	    (tree[i].bus != fn->bus || tree[i].device != fn->device ||
	        tree[i].function != fn->function))
		i++;
	return i;
}

static u32 tree_read(const struct pci_function *fn, unsigned reg, unsigned len)
{
	unsigned i = tree_find(fn);

	EXPECT(bus_test, is_register(reg, len));
	if (i == ARRAY_SIZE(tree))
		return len == 4 ? ~0u : (1u << 8 * len) - 1;
	return reg == PCI_VENDOR_ID   ? 0x1af4
	    : reg == PCI_DEVICE_ID    ? tree[i].id
	    : reg == PCI_COMMAND      ? tree_command[i]
	    : reg == PCI_HEADER_TYPE  ? tree[i].type
	    : reg == PCI_CLASS_DEVICE ? tree[i].class
	                              : 0;
}

static void tree_write(const struct pci_function *fn, unsigned reg, unsigned len, u32 value)
{
	unsigned i = tree_find(fn);

	REQUIRE(bus_test, i < ARRAY_SIZE(tree));
	EXPECT(bus_test, reg == PCI_COMMAND && len == 2);
	tree_command[i] = (u16)value;
}

static void note_found(const struct pci_function *fn)
{
	unsigned i = tree_find(fn);

	REQUIRE(bus_test, i < ARRAY_SIZE(tree) && nr_found < ARRAY_SIZE(tree_order));
	EXPECT_EQ(bus_test, tree[i].id, tree_order[nr_found++]);
	EXPECT_EQ(bus_test, fn->vendor_id, 0x1af4);
	EXPECT_EQ(bus_test, fn->device_id, tree[i].id);
	/* Interrupt and DMA are off before the function's driver is called. */
	EXPECT_EQ(bus_test, tree_command[i], tree[i].silent);
}

KTEST(functions_are_found_in_order_and_silenced)
{
	static const struct pci_access access = {.read = tree_read, .write = tree_write};
	unsigned i;

	bus_test = t;
	nr_found = 0;
	for (i = 0; i < ARRAY_SIZE(tree); i++)
		tree_command[i] = tree[i].command;
	pci_scan(&access, note_found);
	EXPECT_EQ(t, nr_found, ARRAY_SIZE(tree_order));
	for (i = 0; i < ARRAY_SIZE(tree); i++)
		EXPECT_EQ(t, tree_command[i], tree[i].silent);
}

/* ---- interrupts ---- */

KTEST(interrupt_line_is_an_isa_interrupt_of_a_pin)
{
	static const struct {
		u8 pin, line;
		int want;
	} lines[] = {{1, 1, 1}, {1, 11, 11}, {4, 15, 15}, {1, 16, -ENODEV}, {1, 0, -ENODEV},
	    {1, 255, -ENODEV}, {0, 11, -ENODEV}, {0, 0, -ENODEV}, {255, 2, 2}};
	static const u16 commands[][2] = {{0x400, 0}, {0x407, 7}, {7, 7}, {0xffff, 0xfbff}};
	unsigned i;
	u16 have;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		good_space();
		space_set(PCI_INTERRUPT_PIN, 1, lines[i].pin);
		space_set(PCI_INTERRUPT_LINE, 1, lines[i].line);
		EXPECT_EQ(t, pci_intx_line(&space_fn), lines[i].want);
		EXPECT_EQ(t, space.beyond, 0);
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		space_set(PCI_COMMAND, 2, commands[i][0]);
		pci_enable_intx(&space_fn);
		memcpy(&have, space.byte + PCI_COMMAND, 2);
		EXPECT_EQ(t, have, commands[i][1]);
	}
}
