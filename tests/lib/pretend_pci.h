/* SPDX-License-Identifier: MIT */
/*
 * pretend_pci.h: the configuration space of one virtio device as bytes, for tests and fuzzing:
 * BARs can be sized, reads are counted, and reads beyond the space, or of a width that the register
 * does not have, are counted too.
 */
#ifndef QUARRY_TESTS_PRETEND_PCI_H
#define QUARRY_TESTS_PRETEND_PCI_H

#include "drivers/virtio_cap.h"
#include <quarry/mm.h>

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

struct pretend_pci {
	u8 byte[PCI_CONFIG_LEN];
	/*
	 * Bits of each BAR that a write changes. Of the other bits only the lowest 4 keep their
	 * value.
	 */
	u32 writable[PCI_NR_BARS];
	bool gone;              /* reads return all ones, as if no device answered */
	unsigned reads, beyond; /* beyond: reads or writes that fit no register */
};

extern struct pretend_pci space; /* one device at a time */

/* Is there a register of @len bytes at @reg? Behind the header, capabilities may begin anywhere. */
bool is_register(unsigned reg, unsigned len);

u32 space_read(const struct pci_function *fn, unsigned reg, unsigned len);

void space_write(const struct pci_function *fn, unsigned reg, unsigned len, u32 value);

extern const struct pci_access space_access;
extern const struct pci_function space_fn;

void space_set(unsigned reg, unsigned len, u32 value);

#endif
