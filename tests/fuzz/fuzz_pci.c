/* SPDX-License-Identifier: MIT */
/*
 * fuzz_pci.c: the capabilities of a virtio device, from its configuration space.  An input is:
 * the mode, six BARs' writable bits, then the space; or, for a space that differs at each read,
 * the results of the reads.
 */
#include "fuzz_boot.h"
#include "tests/lib/pretend_pci.h"

#define MOST_READS 10000u

static struct bytes answers;

static u32 any_read(const struct pci_function *fn, unsigned reg, unsigned len)
{
	u32 value = take_u16(&answers);

	MUST(reg + len <= PCI_CONFIG_LEN, "register %#x", reg);
	space.reads++;
	return len == 4 ? value | (u32)take_u16(&answers) << 16 : len == 2 ? value : value & 0xff;
}

static void no_write(const struct pci_function *fn, unsigned reg, unsigned len, u32 value)
{
	MUST(reg + len <= PCI_CONFIG_LEN, "register %#x", reg);
}

static const struct pci_access any_access = {.read = any_read, .write = no_write};

static void judge(const struct pci_function *fn)
{
	struct virtio_places places;
	int err = virtio_find_places(fn, &places);
	unsigned i, j;

	MUST(space.reads < MOST_READS && !space.beyond, "%u reads, %u beyond", space.reads,
	    space.beyond);
	MUST(!err || places.why, "error %d without a reason", err);
	for (i = 0; !err && i < NR_VIRTIO_PARTS; i++) {
		const struct virtio_place *p = &places.part[i];

		MUST(p->len && p->len <= VIRTIO_PART_MAX && p->start && p->start < 1ULL << 52,
		    "place %u", i);
		for (j = 0; j < i; j++)
			MUST(p->start >= places.part[j].start + places.part[j].len ||
			        places.part[j].start >= p->start + p->len,
			    "%u overlaps %u", i, j);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	const struct pci_function any = {.access = &any_access, .vendor_id = 0x1af4};
	unsigned i;

	answers = (struct bytes){data, data + size};
	space = (struct pretend_pci){0};
	if (take_u8(&answers) & 1) {
		judge(&any);
		return 0;
	}
	for (i = 0; i < PCI_NR_BARS; i++)
		space.writable[i] = ~0u << take_u8(&answers) % 32;
	for (i = 0; i < PCI_CONFIG_LEN; i++)
		space.byte[i] = take_u8(&answers);
	judge(&space_fn);
	return 0;
}
