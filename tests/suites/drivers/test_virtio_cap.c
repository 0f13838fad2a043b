/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_cap.c: the structures of a virtio device, with a configuration space of arbitrary
 * content.
 */
#include "tests/lib/pretend_pci.h"
#include <quarry/string.h>

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

KTEST_SUITE(virtio_cap, KTEST_QUICK);

KTEST(structures_of_a_device_are_found)
{
	struct pretend_pci before;

	good_space();
	before = space;
	expect_found(t);
	/* BARs and command are as before. */
	EXPECT(t, !memcmp(before.byte, space.byte, PCI_CONFIG_LEN));
	/* The first of each kind counts; other vendors' capabilities and unknown kinds do not. */
	space_set(NOTIFY + PCI_CAP_LIST_NEXT, 1, 0x88);
	add_cap(0x88, 0x98, VIRTIO_PCI_CAP_COMMON_CFG, 0x800, 64);
	add_cap(0x98, 0xa8, 0, 0, 0);
	add_cap(0xa8, 0xb8, 0xff, 0, 0);
	space_set(0xb8, 1, PCI_CAP_ID_MSIX);
	expect_found(t);
}

/* Structures in reverse order without gaps; a capability in the last bytes of the space. */
KTEST(structures_may_lie_in_any_order)
{
	struct virtio_places places;
	unsigned i;

	good_space();
	for (i = 0; i < NR_VIRTIO_PARTS; i++)
		space_set(COMMON + 16 * i + VIRTIO_PCI_CAP_OFFSET, 4, 0x3000 - 0x1000 * i);
	EXPECT_EQ(t, virtio_find_places(&space_fn, &places), 0);
	EXPECT_EQ(t, places.part[VIRTIO_COMMON].start, START + 0x3000);
	EXPECT_EQ(t, places.part[VIRTIO_ISR].start, START + 0x2000);
	EXPECT_EQ(t, places.part[VIRTIO_CONFIG].start, START + 0x1000);
	EXPECT_EQ(t, places.part[VIRTIO_NOTIFY].start, START);
	good_space();
	space_set(CONFIG + PCI_CAP_LIST_NEXT, 1, 0xec);
	add_cap(0xec, 0, VIRTIO_PCI_CAP_NOTIFY_CFG, 0x3000, 0x1000);
	space_set(0xec + VIRTIO_PCI_NOTIFY_CAP_MULT, 4, 4);
	expect_found(t);
	good_space();
	space_set(COMMON + PCI_CAP_LIST_NEXT, 1, 0xf0);
	add_cap(0xf0, CONFIG, VIRTIO_PCI_CAP_ISR_CFG, 0x1000, 0x1000);
	expect_found(t);
}

KTEST(structure_lengths_are_honoured)
{
	static const struct {
		u8 at;
		enum virtio_part part;
		u32 len;
	} least[] = {{COMMON, VIRTIO_COMMON, sizeof(struct virtio_pci_common_cfg)},
	    {ISR, VIRTIO_ISR, 1}, {CONFIG, VIRTIO_CONFIG, 4}, {NOTIFY, VIRTIO_NOTIFY, 2}};
	static const char *const names[] = {
	    "common configuration", "notification", "interrupt status", "device configuration"};
	struct virtio_places places;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(least); i++) {
		good_space();
		space_set(least[i].at + VIRTIO_PCI_CAP_LENGTH, 4, least[i].len);
		EXPECT_EQ(t, virtio_find_places(&space_fn, &places), 0);
		EXPECT_EQ(t, places.part[least[i].part].len, least[i].len);
		EXPECT(t, !strcmp(virtio_part_name((enum virtio_part)i), names[i]));
		/* Of a structure that is too long, only the first MiB counts. */
		good_space();
		space.writable[BAR] = 0xff000000;
		space_set(BAR_REG, 4, PCI_BASE_ADDRESS_MEM_TYPE_64);
		space_set(least[i].at + VIRTIO_PCI_CAP_OFFSET, 4, 0x100000);
		space_set(least[i].at + VIRTIO_PCI_CAP_LENGTH, 4, 0xf00000);
		EXPECT_EQ(t, virtio_find_places(&space_fn, &places), 0);
		EXPECT_EQ(t, places.part[least[i].part].len, VIRTIO_PART_MAX);
	}
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
    {"a list into the header", -EFAULT, VIRTIO_COMMON,
        "the list of capabilities leads into the header", {{PCI_CAPABILITY_LIST, 1, 0x3c}}},
    {"a list into the identity", -EFAULT, VIRTIO_NOTIFY,
        "the list of capabilities leads into the header",
        {{ISR + 1, 1, CONFIG}, {CONFIG + 1, 1, 0x04}}},
    {"one that follows itself", -ELOOP, VIRTIO_NOTIFY, "the list of capabilities runs in a circle",
        {{COMMON + 1, 1, COMMON}}},
    {"a circle of three", -ELOOP, VIRTIO_NOTIFY, "the list of capabilities runs in a circle",
        {{CONFIG + 1, 1, COMMON + 3}}},
    {"a circle of others", -ELOOP, VIRTIO_COMMON, "the list of capabilities runs in a circle",
        {{PCI_CAPABILITY_LIST, 1, 0xc0}, {0xc0, 2, 0xc409}, {0xc4, 2, 0xc009}}},
    {"a capability without a length", -EINVAL, VIRTIO_ISR, "its capability is too short",
        {{ISR + 2, 1, 0}}},
    {"one byte short", -EINVAL, VIRTIO_COMMON, "its capability is too short",
        {{COMMON + 2, 1, 15}}},
    {"no room for the steps", -EINVAL, VIRTIO_NOTIFY, "its capability is too short",
        {{NOTIFY + 2, 1, 16}}},
    {"the last 12 bytes", -EFAULT, VIRTIO_COMMON, "its capability ends behind configuration space",
        {{PCI_CAPABILITY_LIST, 1, 0xf4}, {0xf4, 4, 0x01105009}, {0xf8, 4, BAR}}},
    {"the last 16 bytes, for 20", -EFAULT, VIRTIO_NOTIFY,
        "its capability ends behind configuration space",
        {{CONFIG + 1, 1, 0xf0}, {0xf0, 4, 0x02140009}, {0xf4, 4, BAR}}},
    {"BAR 6", -EINVAL, VIRTIO_COMMON, "it has no such BAR", {{COMMON + 4, 1, 6}}},
    {"BAR 255", -EINVAL, VIRTIO_CONFIG, "it has no such BAR", {{CONFIG + 4, 1, 255}}},
    {"the upper half of a BAR", -EINVAL, VIRTIO_ISR, "it has no such BAR",
        {{ISR + 4, 1, BAR + 1}, {ISR + 8, 4, 0}, {ISR + 12, 4, 8}}},
    {"a BAR whose upper half would be none", -EINVAL, VIRTIO_ISR, "it has no such BAR",
        {{ISR + 4, 1, 5}, {BAR_REG, 4, 0xfe000000}, {BAR_REG + 4, 4, 0xfd000004}}},
    {"a BAR of ports", -ENODEV, VIRTIO_ISR, "its BAR has no memory",
        {{ISR + 4, 1, 0}, {0x10, 4, 0xc001}}},
    {"a BAR without an address", -ENODEV, VIRTIO_ISR, "its BAR has no memory", {{ISR + 4, 1, 1}}},
    {"a BAR that is not at its size", -EFAULT, VIRTIO_COMMON, "its BAR makes no sense",
        {{BAR_REG, 4, 0x2004}}},
    {"a BAR beyond all addresses", -EFAULT, VIRTIO_COMMON, "its BAR makes no sense",
        {{BAR_REG + 4, 4, 0x100000}}},
    {"a BAR that wraps", -EFAULT, VIRTIO_COMMON, "its BAR makes no sense",
        {{BAR_REG, 4, 0xffffc004}, {BAR_REG + 4, 4, ~0u}}},
    {"common configuration too short", -EINVAL, VIRTIO_COMMON, "it is too short",
        {{COMMON + 12, 4, 55}}},
    {"no notification", -EINVAL, VIRTIO_NOTIFY, "it is too short", {{NOTIFY + 12, 4, 1}}},
    {"nothing of the device", -EINVAL, VIRTIO_CONFIG, "it is too short", {{CONFIG + 12, 4, 0}}},
    {"no interrupt status", -EINVAL, VIRTIO_ISR, "it is too short", {{ISR + 12, 4, 0}}},
    {"an odd place", -EINVAL, VIRTIO_COMMON, "it is not aligned",
        {{COMMON + 8, 4, 2}, {COMMON + 12, 4, 64}}},
    {"odd notifications", -EINVAL, VIRTIO_NOTIFY, "it is not aligned", {{NOTIFY + 8, 4, 0x3001}}},
    {"odd steps", -EINVAL, VIRTIO_NOTIFY, "its steps are odd", {{NOTIFY + 16, 4, 3}}},
    {"from the end of the BAR", -EFAULT, VIRTIO_ISR, "it ends behind its BAR",
        {{ISR + 8, 4, 0x4000}, {ISR + 12, 4, 1}}},
    {"a byte too long", -EFAULT, VIRTIO_NOTIFY, "it ends behind its BAR",
        {{NOTIFY + 12, 4, 0x1001}}},
    {"offset and length that wrap", -EFAULT, VIRTIO_CONFIG, "it ends behind its BAR",
        {{CONFIG + 8, 4, 0xfffff000}, {CONFIG + 12, 4, 0x2000}}},
    {"a length of all", -EFAULT, VIRTIO_COMMON, "it ends behind its BAR", {{COMMON + 12, 4, ~0u}}},
    {"two at one place", -EFAULT, VIRTIO_CONFIG, "it overlaps another", {{CONFIG + 8, 4, 0x1000}}},
    {"notifications within the rest", -EFAULT, VIRTIO_NOTIFY, "it overlaps another",
        {{NOTIFY + 8, 4, 0x2ffe}, {NOTIFY + 12, 4, 4}}},
};

KTEST(hostile_spaces_are_refused_by_name)
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
		if (err != h->err || places.wrong != h->part || !places.why ||
		    strcmp(places.why, h->why) != 0)
			ktest_fail(t, __FILE__, __LINE__, "%s: %d, %s: %s", h->what, err,
			    virtio_part_name(places.wrong), places.why ? places.why : "found");
		if (space.beyond || space.reads > MAX_READS)
			ktest_fail(t, __FILE__, __LINE__, "%s: %u reads, %u beyond", h->what,
			    space.reads, space.beyond);
	}
}

/* An unusable structure is skipped, as the specification demands for reserved BARs. */
KTEST(valid_structure_behind_an_invalid_one_is_found)
{
	static const struct edit bad[] = {{0x88 + 4, 1, 6}, {0x88 + 4, 1, 0}, {0x88 + 2, 1, 4},
	    {0x88 + 8, 4, ~0u}, {0x88 + 12, 4, 1}, {0x88 + 8, 4, 1}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		good_space();
		add_cap(0x88, COMMON, VIRTIO_PCI_CAP_COMMON_CFG, 0x400, 64);
		space_set(PCI_CAPABILITY_LIST, 1, 0x88);
		space_set(bad[i].reg, bad[i].len, bad[i].value);
		expect_found(t);
	}
	/* A loop behind all needed structures does no harm. */
	good_space();
	space_set(NOTIFY + PCI_CAP_LIST_NEXT, 1, COMMON);
	expect_found(t);
}

KTEST(absent_function_has_no_structures)
{
	struct virtio_places places;
	struct pci_memory memory;

	good_space();
	space.gone = true;
	EXPECT_EQ(t, virtio_find_places(&space_fn, &places), -ELOOP);
	EXPECT_EQ(t, pci_bar_memory(&space_fn, 0, &memory), -ENODEV);
	EXPECT(t, !space.beyond && space.reads < MAX_READS);
}
