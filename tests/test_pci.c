/* SPDX-License-Identifier: MIT */
/*
 * test_pci.c: buses, capabilities and BARs of PCI functions, and the structures of virtio devices, with a
 * configuration space that says anything.
 */
#include "tests/pretend_pci.h"
#include <quarry/ktest.h>

/* The capabilities of a device that is as it should be, and its only BAR: 16 KiB at 896 GiB. */
#define COMMON   0x40u
#define ISR      0x50u
#define CONFIG   0x60u
#define NOTIFY   0x70u
#define BAR      4u
#define BAR_REG  (PCI_BASE_ADDRESS_0 + 4 * BAR)
#define START    0xe000004000UL
/* Of a whole configuration space with all its capabilities. */
#define MAX_READS 2000u

static void add_cap(unsigned at, unsigned next, u8 type, u32 offset, u32 len)
{
	space_set(at + PCI_CAP_LIST_ID, 1, PCI_CAP_ID_VNDR);
	space_set(at + PCI_CAP_LIST_NEXT, 1, next);
	space_set(at + VIRTIO_PCI_CAP_LEN, 1, type == VIRTIO_PCI_CAP_NOTIFY_CFG ? 20 : 16);
	space_set(at + VIRTIO_PCI_CAP_CFG_TYPE, 1, type);
	space_set(at + VIRTIO_PCI_CAP_BAR, 1, BAR);
	space_set(at + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	space_set(at + VIRTIO_PCI_CAP_LENGTH, 4, len);
}

static void good_space(void)
{
	space = (struct pretend_pci){0};
	space_set(PCI_VENDOR_ID, 2, 0x1af4);
	space_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	space_set(PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
	space_set(PCI_CAPABILITY_LIST, 1, COMMON);
	space_set(BAR_REG, 4, (u32)START | PCI_BASE_ADDRESS_MEM_TYPE_64);
	space_set(BAR_REG + 4, 4, (u32)(START >> 32));
	space.writable[BAR] = ~0x3fffu;
	space.writable[BAR + 1] = ~0u;
	add_cap(COMMON, ISR, VIRTIO_PCI_CAP_COMMON_CFG, 0, 0x1000);
	add_cap(ISR, CONFIG, VIRTIO_PCI_CAP_ISR_CFG, 0x1000, 0x1000);
	add_cap(CONFIG, NOTIFY, VIRTIO_PCI_CAP_DEVICE_CFG, 0x2000, 0x1000);
	add_cap(NOTIFY, 0, VIRTIO_PCI_CAP_NOTIFY_CFG, 0x3000, 0x1000);
	space_set(NOTIFY + VIRTIO_PCI_NOTIFY_CAP_MULT, 4, 4);
}

static void expect_found(struct ktest *t)
{
	struct virtio_places places;
	unsigned i;

	EXPECT_EQ(t, virtio_find_places(&space_fn, &places), 0);
	EXPECT_EQ(t, places.part[VIRTIO_COMMON].start, START);
	EXPECT_EQ(t, places.part[VIRTIO_ISR].start, START + 0x1000);
	EXPECT_EQ(t, places.part[VIRTIO_CONFIG].start, START + 0x2000);
	EXPECT_EQ(t, places.part[VIRTIO_NOTIFY].start, START + 0x3000);
	for (i = 0; i < NR_VIRTIO_PARTS; i++)
		EXPECT_EQ(t, places.part[i].len, 0x1000);
	EXPECT_EQ(t, places.notify_step, 4);
	EXPECT(t, !space.beyond && space.reads < MAX_READS);
}

static void structures_of_a_device_are_found(struct ktest *t)
{
	struct pretend_pci before;

	good_space();
	before = space;
	expect_found(t);
	/* BARs and command are what they were. */
	EXPECT(t, !memcmp(before.byte, space.byte, PCI_CONFIG_LEN));
	/* The first of each counts; other vendors' capabilities, and kinds that nobody knows, do not. */
	space_set(NOTIFY + PCI_CAP_LIST_NEXT, 1, 0x88);
	add_cap(0x88, 0x98, VIRTIO_PCI_CAP_COMMON_CFG, 0x800, 64);
	add_cap(0x98, 0xa8, 0, 0, 0);
	add_cap(0xa8, 0xb8, 0xff, 0, 0);
	space_set(0xb8, 1, PCI_CAP_ID_MSIX);
	expect_found(t);
}

struct edit {
	u8 reg, len;
	u32 value;
};

static const struct hostile {
	const char *what;
	int err;
	enum virtio_part part;
	const char *why;
	struct edit edit[3];
} hostile[] = {
    {"no list", -ENODEV, VIRTIO_COMMON, "it is missing", {{PCI_STATUS, 2, 0}}},
    {"an empty list", -ENODEV, VIRTIO_COMMON, "it is missing", {{PCI_CAPABILITY_LIST, 1, 0}}},
    {"a list that ends early", -ENODEV, VIRTIO_NOTIFY, "it is missing", {{CONFIG + 1, 1, 0}}},
    {"a list into the header", -EFAULT, VIRTIO_COMMON, "the list of capabilities leads into the header",
        {{PCI_CAPABILITY_LIST, 1, 0x3c}}},
    {"a list into the identity", -EFAULT, VIRTIO_NOTIFY, "the list of capabilities leads into the header",
        {{ISR + 1, 1, CONFIG}, {CONFIG + 1, 1, 0x04}}},
    {"one that follows itself", -ELOOP, VIRTIO_NOTIFY, "the list of capabilities runs in a circle",
        {{COMMON + 1, 1, COMMON}}},
    {"a circle of three", -ELOOP, VIRTIO_NOTIFY, "the list of capabilities runs in a circle",
        {{CONFIG + 1, 1, COMMON + 3}}},
    {"a circle of others", -ELOOP, VIRTIO_COMMON, "the list of capabilities runs in a circle",
        {{PCI_CAPABILITY_LIST, 1, 0xc0}, {0xc0, 2, 0xc409}, {0xc4, 2, 0xc009}}},
    {"a capability without a length", -EINVAL, VIRTIO_ISR, "its capability is too short", {{ISR + 2, 1, 0}}},
    {"one byte short", -EINVAL, VIRTIO_COMMON, "its capability is too short", {{COMMON + 2, 1, 15}}},
    {"no room for the steps", -EINVAL, VIRTIO_NOTIFY, "its capability is too short", {{NOTIFY + 2, 1, 16}}},
    {"the last 12 bytes", -EFAULT, VIRTIO_COMMON, "its capability ends behind configuration space",
        {{PCI_CAPABILITY_LIST, 1, 0xf4}, {0xf4, 4, 0x01105009}, {0xf8, 4, BAR}}},
    {"the last 16 bytes, for 20", -EFAULT, VIRTIO_NOTIFY, "its capability ends behind configuration space",
        {{CONFIG + 1, 1, 0xf0}, {0xf0, 4, 0x02140009}, {0xf4, 4, BAR}}},
    {"BAR 6", -EINVAL, VIRTIO_COMMON, "it has no such BAR", {{COMMON + 4, 1, 6}}},
    {"BAR 255", -EINVAL, VIRTIO_CONFIG, "it has no such BAR", {{CONFIG + 4, 1, 255}}},
    {"the upper half of a BAR", -EINVAL, VIRTIO_ISR, "it has no such BAR",
        {{ISR + 4, 1, BAR + 1}, {ISR + 8, 4, 0}, {ISR + 12, 4, 8}}},
    {"a BAR whose upper half would be none", -EINVAL, VIRTIO_ISR, "it has no such BAR",
        {{ISR + 4, 1, 5}, {BAR_REG, 4, 0xfe000000}, {BAR_REG + 4, 4, 0xfd000004}}},
    {"a BAR of ports", -ENODEV, VIRTIO_ISR, "its BAR has no memory", {{ISR + 4, 1, 0}, {0x10, 4, 0xc001}}},
    {"a BAR without an address", -ENODEV, VIRTIO_ISR, "its BAR has no memory", {{ISR + 4, 1, 1}}},
    {"a BAR that is not at its size", -EFAULT, VIRTIO_COMMON, "its BAR makes no sense",
        {{BAR_REG, 4, 0x2004}}},
    {"a BAR beyond all addresses", -EFAULT, VIRTIO_COMMON, "its BAR makes no sense",
        {{BAR_REG + 4, 4, 0x100000}}},
    {"a BAR that wraps", -EFAULT, VIRTIO_COMMON, "its BAR makes no sense",
        {{BAR_REG, 4, 0xffffc004}, {BAR_REG + 4, 4, ~0u}}},
    {"common configuration too short", -EINVAL, VIRTIO_COMMON, "it is too short", {{COMMON + 12, 4, 55}}},
    {"no notification", -EINVAL, VIRTIO_NOTIFY, "it is too short", {{NOTIFY + 12, 4, 1}}},
    {"nothing of the device", -EINVAL, VIRTIO_CONFIG, "it is too short", {{CONFIG + 12, 4, 0}}},
    {"no interrupt status", -EINVAL, VIRTIO_ISR, "it is too short", {{ISR + 12, 4, 0}}},
    {"an odd place", -EINVAL, VIRTIO_COMMON, "it is not aligned", {{COMMON + 8, 4, 2}, {COMMON + 12, 4, 64}}},
    {"odd notifications", -EINVAL, VIRTIO_NOTIFY, "it is not aligned", {{NOTIFY + 8, 4, 0x3001}}},
    {"odd steps", -EINVAL, VIRTIO_NOTIFY, "its steps are odd", {{NOTIFY + 16, 4, 3}}},
    {"from the end of the BAR", -EFAULT, VIRTIO_ISR, "it ends behind its BAR", {{ISR + 8, 4, 0x4000}, {ISR + 12, 4, 1}}},
    {"a byte too long", -EFAULT, VIRTIO_NOTIFY, "it ends behind its BAR", {{NOTIFY + 12, 4, 0x1001}}},
    {"offset and length that wrap", -EFAULT, VIRTIO_CONFIG, "it ends behind its BAR",
        {{CONFIG + 8, 4, 0xfffff000}, {CONFIG + 12, 4, 0x2000}}},
    {"a length of all", -EFAULT, VIRTIO_COMMON, "it ends behind its BAR", {{COMMON + 12, 4, ~0u}}},
    {"two at one place", -EFAULT, VIRTIO_CONFIG, "it overlaps another", {{CONFIG + 8, 4, 0x1000}}},
    {"notifications within the rest", -EFAULT, VIRTIO_NOTIFY, "it overlaps another",
        {{NOTIFY + 8, 4, 0x2ffe}, {NOTIFY + 12, 4, 4}}},
};

static void hostile_spaces_are_refused_by_name(struct ktest *t)
{
	unsigned i, j;

	for (i = 0; i < ARRAY_SIZE(hostile); i++) {
		const struct hostile *h = &hostile[i];
		struct virtio_places places;
		int err;

		good_space();
		for (j = 0; j < ARRAY_SIZE(h->edit) && h->edit[j].len; j++)
			space_set(h->edit[j].reg, h->edit[j].len, h->edit[j].value);
		err = virtio_find_places(&space_fn, &places);
		if (err != h->err || places.wrong != h->part || !places.why || strcmp(places.why, h->why) != 0)
			ktest_fail(t, __FILE__, __LINE__, "%s: %d, %s: %s", h->what, err,
			    virtio_part_name(places.wrong), places.why ? places.why : "found");
		if (space.beyond || space.reads > MAX_READS)
			ktest_fail(t, __FILE__, __LINE__, "%s: %u reads, %u beyond", h->what, space.reads, space.beyond);
	}
}

/* What is unusable is passed over for the next of its kind; the specification wants it so of reserved BARs. */
static void a_usable_structure_behind_a_bad_one_is_found(struct ktest *t)
{
	static const struct edit bad[] = {{0x88 + 4, 1, 6}, {0x88 + 4, 1, 0}, {0x88 + 2, 1, 4}, {0x88 + 8, 4, ~0u},
	    {0x88 + 12, 4, 1}, {0x88 + 8, 4, 1}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		good_space();
		add_cap(0x88, COMMON, VIRTIO_PCI_CAP_COMMON_CFG, 0x400, 64);
		space_set(PCI_CAPABILITY_LIST, 1, 0x88);
		space_set(bad[i].reg, bad[i].len, bad[i].value);
		expect_found(t);
	}
	/* A circle behind all that is needed harms nobody. */
	good_space();
	space_set(NOTIFY + PCI_CAP_LIST_NEXT, 1, COMMON);
	expect_found(t);
}

static void a_function_that_is_gone_has_nothing(struct ktest *t)
{
	struct virtio_places places;
	struct pci_memory memory;

	good_space();
	space.gone = true;
	EXPECT_EQ(t, virtio_find_places(&space_fn, &places), -ELOOP);
	EXPECT_EQ(t, pci_bar_memory(&space_fn, 0, &memory), -ENODEV);
	EXPECT(t, !space.beyond && space.reads < MAX_READS);
}

/* ---- BARs ---- */

static void a_bar_is_as_large_as_the_bits_that_cannot_be_written(struct ktest *t)
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
	/* Bits that make no size, and none at all. */
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

/* Where all ones are written, the function must not answer: its memory would lie anywhere. */
static void watch_sizing(const struct pci_function *fn, unsigned reg, unsigned len, u32 value)
{
	if (reg != PCI_COMMAND && value == ~0u)
		memcpy(&command_when_sized, space.byte + PCI_COMMAND, 2);
	space_write(fn, reg, len, value);
}

static void a_function_does_not_answer_while_it_is_sized(struct ktest *t)
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
		EXPECT_EQ(t, space.byte[PCI_COMMAND] | space.byte[PCI_COMMAND + 1] << 8, commands[i]);
		EXPECT_EQ(t, memory.start, START);
		EXPECT_EQ(t, memory.size, 0x4000);
		pci_enable(&fn);
		EXPECT_EQ(t, space.byte[PCI_COMMAND] | space.byte[PCI_COMMAND + 1] << 8,
		    commands[i] | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		EXPECT_EQ(t, space.beyond, 0);
	}
}

/* Which of the six are BARs of their own depends on all before them; ports are 32 bits wide, whatever bit 2 says. */
static void bars_are_told_from_upper_halves(struct ktest *t)
{
	static const struct {
		u32 low[PCI_NR_BARS];
		int err[PCI_NR_BARS + 2];
	} layouts[] = {
	    {{0xfe000004, 1, 0xfd000000, 0xfc00000c, 1, 0xfb000000}, {0, -EINVAL, 0, 0, -EINVAL, 0, -EINVAL, -EINVAL}},
	    {{0xc005, 0xfe000004, 1, 0xd001, 0xfd000004, 1}, {-ENODEV, 0, -EINVAL, -ENODEV, 0, -EINVAL, -EINVAL, -EINVAL}},
	    {{0xfe000000, 0xfd000002, 0, 0xfc000008, 0xfb000004, 4}, {0, 0, -ENODEV, 0, 0, -EINVAL, -EINVAL, -EINVAL}},
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
				ktest_fail(t, __FILE__, __LINE__, "layout %u, BAR %u: %d", i, bar, err);
			if (!err)
				EXPECT_EQ(t, memory.start, (u64)high << 32 | (layouts[i].low[bar] & ~0xfu));
			if (!err)
				EXPECT_EQ(t, memory.size, 0x10000);
			EXPECT_EQ(t, space.beyond, 0);
		}
	}
}

static void the_last_address_is_the_end(struct ktest *t)
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

static void any_register_of_the_256_bytes_is_reached(struct ktest *t)
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

static void capabilities_are_told_by_their_id(struct ktest *t)
{
	static const u8 at[] = {0x40, 0x44, 0x48, 0xf8, 0xfc, 0x80, 0x84, 0x88};
	struct pci_walk walk = {0};
	unsigned i;

	good_space();
	space_set(PCI_CAPABILITY_LIST, 1, at[0] + 3); /* the lowest two bits are reserved */
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		space_set(at[i], 1, i % 2 ? PCI_CAP_ID_MSIX : PCI_CAP_ID_VNDR);
		space_set(at[i] + PCI_CAP_LIST_NEXT, 1, i + 1 < ARRAY_SIZE(at) ? at[i + 1] + i % 4 : 3);
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

/* Nine buses of 256 functions, a few registers of each. */
#define MAX_BUS_READS (9u * 256 * 8)

static struct ktest *bus_test;
static unsigned nr_found, nr_reads;
static u8 next_bus; /* what a bridge says is behind it, from its own bus on */
static bool all_bridges;

/* Every function is a bridge, or, if not all are, those of device 0 are and device 1 is something. */
static u32 bus_read(const struct pci_function *fn, unsigned reg, unsigned len)
{
	bool bridge = all_bridges || fn->device == 0;

	nr_reads++;
	if (reg == PCI_VENDOR_ID && nr_reads > MAX_BUS_READS)
		return 0xffff; /* the test ends whatever is scanned */
	if (reg == PCI_VENDOR_ID)
		return bridge || (fn->device == 1 && !fn->function) ? 0x1234 : 0xffff;
	if (reg == PCI_HEADER_TYPE)
		return bridge ? 0x80 | PCI_HEADER_TYPE_BRIDGE : PCI_HEADER_TYPE_NORMAL;
	if (reg == PCI_SECONDARY_BUS)
		return (u8)(fn->bus + next_bus);
	return 0;
}

static void bus_write(const struct pci_function *fn, unsigned reg, unsigned len, u32 value)
{
	EXPECT(bus_test, reg == PCI_COMMAND && len == 2 && value == PCI_COMMAND_INTX_DISABLE);
}

static void count_found(const struct pci_function *fn)
{
	nr_found++;
}

static const struct pci_access bus_access = {.read = bus_read, .write = bus_write};

static void buses_are_scanned_once_whatever_bridges_say(struct ktest *t)
{
	static const struct {
		u8 next;
		bool all;
		unsigned found;
	} buses[] = {{0, false, 1}, {1, false, 9}, {255, false, 2}, {128, false, 2}, {0, true, 0}, {1, true, 0}};
	unsigned i;

	bus_test = t;
	for (i = 0; i < ARRAY_SIZE(buses); i++) {
		nr_found = nr_reads = 0;
		next_bus = buses[i].next;
		all_bridges = buses[i].all;
		pci_scan(&bus_access, count_found);
		EXPECT_EQ(t, nr_found, buses[i].found);
		EXPECT(t, nr_reads < MAX_BUS_READS);
	}
}

/* A few buses; a bridge names the one behind it. */
static struct tree_function {
	u8 bus, device, function, type, behind;
	u16 id, command;
	bool found; /* it shall be, and has been */
} tree[] = {
    {0, 0, 0, 0, 0, 0x10, 0x0007, true},
    {0, 0, 1, 0, 0, 0x11, 0x0007, false}, /* the first says that it is the only one */
    {0, 1, 0, 1, 3, 0x12, 0x0007, false},
    {0, 2, 0, 0x80, 0, 0x13, 0x0106, true},
    {0, 2, 3, 0, 0, 0x14, 0x0000, true},
    {0, 2, 7, 0x80, 0, 0x15, 0x0400, true},
    {0, 3, 1, 0, 0, 0x16, 0x0007, false}, /* without a function 0 there is none */
    {0, 5, 0, 2, 6, 0x17, 0x0007, false}, /* a CardBus bridge: another header */
    {0, 6, 0, 0x81, 3, 0x18, 0x0007, false}, /* to a bus that has been scanned */
    {0, 6, 2, 1, 67, 0x19, 0x0007, false},
    {0, 31, 0, 0, 0, 0x1a, 0x0007, true},
    {3, 0, 0, 1, 1, 0x1b, 0x0007, false}, /* back to a lower bus */
    {3, 4, 0, 0, 0, 0x1c, 0x0007, true},
    {3, 31, 0, 1, 4, 0x1d, 0x0007, false},
    {1, 0, 0, 0, 0, 0x1e, 0x0007, false},
    {4, 1, 0, 0, 0, 0x1f, 0x0007, true},
    {67, 9, 0, 0, 0, 0x20, 0x0007, true},
    {6, 0, 0, 0, 0, 0x21, 0x0007, false},
};
static const u8 tree_order[] = {0x10, 0x1c, 0x1f, 0x13, 0x14, 0x15, 0x20, 0x1a};
static u16 tree_command[ARRAY_SIZE(tree)];

static unsigned tree_find(const struct pci_function *fn)
{
	unsigned i = 0;

	EXPECT(bus_test, fn->device < 32 && fn->function < 8);
	while (i < ARRAY_SIZE(tree) &&
	    (tree[i].bus != fn->bus || tree[i].device != fn->device || tree[i].function != fn->function))
		i++;
	return i;
}

static u32 tree_read(const struct pci_function *fn, unsigned reg, unsigned len)
{
	unsigned i = tree_find(fn);

	EXPECT(bus_test, reg == PCI_SECONDARY_BUS ? len == 1 : is_register(reg, len));
	if (i == ARRAY_SIZE(tree))
		return len == 4 ? ~0u : (1u << 8 * len) - 1;
	return reg == PCI_VENDOR_ID     ? 0x1af4
	    : reg == PCI_DEVICE_ID      ? tree[i].id
	    : reg == PCI_COMMAND        ? tree_command[i]
	    : reg == PCI_HEADER_TYPE    ? tree[i].type
	    : reg == PCI_SECONDARY_BUS  ? tree[i].behind
	                                : 0;
}

static void tree_write(const struct pci_function *fn, unsigned reg, unsigned len, u32 value)
{
	unsigned i = tree_find(fn);

	REQUIRE(bus_test, i < ARRAY_SIZE(tree));
	EXPECT(bus_test, reg == PCI_COMMAND && len == 2 && tree[i].found);
	tree_command[i] = (u16)value;
}

static void note_found(const struct pci_function *fn)
{
	unsigned i = tree_find(fn);

	REQUIRE(bus_test, i < ARRAY_SIZE(tree) && nr_found < ARRAY_SIZE(tree_order));
	EXPECT_EQ(bus_test, tree[i].id, tree_order[nr_found++]);
	EXPECT_EQ(bus_test, fn->vendor_id, 0x1af4);
	EXPECT_EQ(bus_test, fn->device_id, tree[i].id);
	/* Before its driver hears of it. */
	EXPECT_EQ(bus_test, tree_command[i], tree[i].command | PCI_COMMAND_INTX_DISABLE);
}

static void functions_are_found_in_order_and_do_not_interrupt(struct ktest *t)
{
	static const struct pci_access access = {.read = tree_read, .write = tree_write};
	unsigned i;

	bus_test = t;
	nr_found = 0;
	for (i = 0; i < ARRAY_SIZE(tree); i++)
		tree_command[i] = tree[i].command;
	pci_scan(&access, note_found);
	EXPECT_EQ(t, nr_found, ARRAY_SIZE(tree_order));
}

KTEST_SUITE(pci, KTEST_QUICK, KTEST(structures_of_a_device_are_found), KTEST(hostile_spaces_are_refused_by_name),
    KTEST(a_usable_structure_behind_a_bad_one_is_found), KTEST(a_function_that_is_gone_has_nothing),
    KTEST(a_bar_is_as_large_as_the_bits_that_cannot_be_written),
    KTEST(a_function_does_not_answer_while_it_is_sized), KTEST(bars_are_told_from_upper_halves),
    KTEST(the_last_address_is_the_end), KTEST(any_register_of_the_256_bytes_is_reached),
    KTEST(capabilities_are_told_by_their_id), KTEST(functions_are_found_in_order_and_do_not_interrupt),
    KTEST(buses_are_scanned_once_whatever_bridges_say));
