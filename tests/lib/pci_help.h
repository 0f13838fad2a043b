/* SPDX-License-Identifier: MIT */
/*
 * pci_help.h: the configuration space of a correct virtio device, for the suites pci and
 * virtio_cap.
 */
#ifndef QUARRY_TESTS_PCI_HELP_H
#define QUARRY_TESTS_PCI_HELP_H

#include "tests/lib/pretend_pci.h"
#include <quarry/ktest.h>

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
