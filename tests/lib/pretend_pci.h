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
#include <quarry/ktest.h>

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

/* ---- a correct virtio device ---- */

/* Offsets of a correct device's capabilities; its only BAR has 16 KiB at 896 GiB. */
#define COMMON  0x40u
#define ISR     0x50u
#define CONFIG  0x60u
#define NOTIFY  0x70u
#define BAR     4u
#define BAR_REG (PCI_BASE_ADDRESS_0 + 4 * BAR)
#define START   0xe000004000UL
/* A driver that reads a configuration space with all capabilities makes no more reads than this. */
#define MAX_READS 2000u

void add_cap(unsigned at, unsigned next, u8 type, u32 offset, u32 len);
void good_space(void);

#endif
