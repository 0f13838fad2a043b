/* SPDX-License-Identifier: MIT */
/* pci.h: functions of PCI devices: their configuration space, and what is mapped for them. */
#ifndef DRIVERS_PCI_H
#define DRIVERS_PCI_H

#include <quarry/types.h>

#define PCI_NR_BARS 6

struct pci_function {
	u8 bus, device, function;
	u16 vendor_id, device_id;
};

/* Registers of the first 256 bytes of configuration space, 1, 2 or 4 bytes, aligned.  Context: thread. */
u32 pci_read(const struct pci_function *fn, unsigned reg, unsigned len);
void pci_write(const struct pci_function *fn, unsigned reg, unsigned len, u32 value);
/* Call @found for each function of each bus that the firmware has numbered.  Context: thread. */
void pci_scan(void (*found)(const struct pci_function *fn));
/* There is room for no more capabilities: a list that is longer runs in a circle. */
#define PCI_MAX_CAPS 48
/* The next capability @id behind the one at @after (0: the first); 0: no more. */
unsigned pci_capability(const struct pci_function *fn, u8 id, unsigned after);
/* Map [@offset, @offset + @len) of memory BAR @bar.  NULL: no such memory, or none to map it with. */
void *pci_map(const struct pci_function *fn, unsigned bar, u64 offset, size_t len);
/* Let it answer at its addresses, and read and write memory. */
void pci_enable(const struct pci_function *fn);
/*
 * Let VEC_PCI be raised by the function's INTx pin.  0; -ENODEV the firmware has given it no line.
 */
int pci_route_intx(const struct pci_function *fn);

#endif
