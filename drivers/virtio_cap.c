/* SPDX-License-Identifier: MIT */
/*
 * virtio_cap.c: finds the structures of a virtio device's modern interface on the PCI bus.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: capabilities are not trusted: a capability is used only if it lies within
 *             configuration space, and its structure within the memory of a BAR.
 * Tests:      pci, virtio_cap, tests/fuzz/fuzz_pci.c, tests/qemu/test_virtio.py.
 *
 * Virtio 1.2, 4.1.4.
 */
#include "drivers/virtio_cap.h"

#include <quarry/mm.h>

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

#define NOTIFY_CAP_LEN sizeof(struct virtio_pci_notify_cap)

static const struct {
	const char *name;
	u32 min, align; /* the least length and the alignment, in bytes */
} parts[NR_VIRTIO_PARTS] = {
    [VIRTIO_COMMON] = {"common configuration", sizeof(struct virtio_pci_common_cfg), 4},
    [VIRTIO_NOTIFY] = {"notification", 2, 2},
    [VIRTIO_ISR] = {"interrupt status", 1, 1},
    [VIRTIO_CONFIG] = {"device configuration", 4, 4},
};

BUILD_ASSERT(VIRTIO_PCI_CAP_COMMON_CFG == VIRTIO_COMMON + 1 &&
    VIRTIO_PCI_CAP_DEVICE_CFG == VIRTIO_CONFIG + 1);

const char *virtio_part_name(enum virtio_part part)
{
	return parts[part].name;
}

static int cap_refuse(struct virtio_places *places, enum virtio_part part, int err, const char *why)
{
	places->wrong = part;
	places->why = why;
	return err;
}

static bool overlaps(const struct virtio_places *places, phys_t start, u32 len)
{
	for (unsigned i = 0; i < NR_VIRTIO_PARTS; i++) {
		const struct virtio_place *other = &places->part[i];

		if (start < other->start + other->len && other->start < start + len)
			return true;
	}
	return false;
}

/* Take the capability at @at for structure @part. */
static int take(
    const struct pci_function *fn, unsigned at, enum virtio_part part, struct virtio_places *places)
{
	unsigned need = part == VIRTIO_NOTIFY ? NOTIFY_CAP_LEN : sizeof(struct virtio_pci_cap);
	unsigned cap_len = pci_read(fn, at + VIRTIO_PCI_CAP_LEN, 1);
	struct pci_memory memory;
	u32 offset, len;
	int err;

	if (cap_len < need)
		return cap_refuse(places, part, -EINVAL, "its capability is too short");
	if (at + need > PCI_CONFIG_LEN)
		return cap_refuse(
		    places, part, -EFAULT, "its capability ends behind configuration space");
	offset = pci_read(fn, at + VIRTIO_PCI_CAP_OFFSET, 4);
	len = pci_read(fn, at + VIRTIO_PCI_CAP_LENGTH, 4);
	if (len < parts[part].min)
		return cap_refuse(places, part, -EINVAL, "it is too short");
	if (offset & (parts[part].align - 1))
		return cap_refuse(places, part, -EINVAL, "it is not aligned");
	err = pci_bar_memory(fn, pci_read(fn, at + VIRTIO_PCI_CAP_BAR, 1), &memory);
	if (err)
		return cap_refuse(places, part, err,
		    err == -EINVAL       ? "it has no such BAR"
		        : err == -ENODEV ? "its BAR has no memory"
		                         : "its BAR makes no sense");
	if (offset >= memory.size || len > memory.size - offset)
		return cap_refuse(places, part, -EFAULT, "it ends behind its BAR");
	len = MIN(len, VIRTIO_PART_MAX);
	if (overlaps(places, memory.start + offset, len))
		return cap_refuse(places, part, -EFAULT, "it overlaps another");
	if (part == VIRTIO_NOTIFY)
		places->notify_step = pci_read(fn, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
	if (part == VIRTIO_NOTIFY && places->notify_step & 1)
		return cap_refuse(places, part, -EINVAL, "its steps are odd");
	places->part[part] = (struct virtio_place){memory.start + offset, len};
	return 0;
}

int virtio_find_places(const struct pci_function *fn, struct virtio_places *places)
{
	struct pci_walk walk = {0};
	int at, wrong[NR_VIRTIO_PARTS] = {0};
	const char *why[NR_VIRTIO_PARTS] = {NULL};
	unsigned i;

	*places = (struct virtio_places){0};
	while ((at = pci_next_capability(fn, &walk, PCI_CAP_ID_VNDR)) > 0) {
		i = pci_read(fn, (unsigned)at + VIRTIO_PCI_CAP_CFG_TYPE, 1) -
		    VIRTIO_PCI_CAP_COMMON_CFG;
		if (i >= NR_VIRTIO_PARTS || places->part[i].len)
			continue;
		wrong[i] = take(fn, (unsigned)at, (enum virtio_part)i, places);
		why[i] = places->why;
	}
	for (i = 0; i < NR_VIRTIO_PARTS; i++) {
		enum virtio_part part = (enum virtio_part)i;

		if (places->part[i].len)
			continue;
		if (wrong[i])
			return cap_refuse(places, part, wrong[i], why[i]);
		return at ? cap_refuse(places, part, at,
		                at == -ELOOP ? "the list of capabilities runs in a circle"
		                             : "the list of capabilities leads into the header")
		          : cap_refuse(places, part, -ENODEV, "it is missing");
	}
	return 0;
}
