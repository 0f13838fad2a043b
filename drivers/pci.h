/* SPDX-License-Identifier: MIT */
/* pci.h: functions of PCI devices: their configuration space, memory and interrupt. */
#ifndef DRIVERS_PCI_H
#define DRIVERS_PCI_H

#include <quarry/types.h>

#define PCI_NR_BARS    6
#define PCI_CONFIG_LEN 256

struct pci_function;

/* Access to configuration space: the ports of the machine, or the bytes of a test. */
struct pci_access {
	u32 (*read)(const struct pci_function *fn, unsigned reg, unsigned len);
	void (*write)(const struct pci_function *fn, unsigned reg, unsigned len, u32 value);
};

struct pci_function {
	const struct pci_access *access;
	u8 bus, device, function;
	u16 vendor_id, device_id;
};

/*
 * Read or write @len bytes (1, 2 or 4) at @reg, which is aligned, among the first 256 bytes of
 * configuration space.  Context: thread.
 */
u32 pci_read(const struct pci_function *fn, unsigned reg, unsigned len);
void pci_write(const struct pci_function *fn, unsigned reg, unsigned len, u32 value);
/*
 * Silence each function on all buses, and call @found (unless NULL) once for each that is no
 * bridge.  Context: thread, or the boot CPU early.
 */
void pci_scan(const struct pci_access *access, void (*found)(const struct pci_function *fn));

/* State of a walk over the list of capabilities; zeroed memory is its start. */
struct pci_walk {
	bool begun;
	u8 at;    /* the capability visited last */
	u64 seen; /* a bit for each four bytes of configuration space, set when they are visited */
};
/*
 * pci_next_capability - the next capability @id of the list.
 * Returns its first register, a multiple of 4; 0 no more; -ELOOP the list has a loop; -EFAULT it
 * leads into the header.
 * Context: thread.
 */
int pci_next_capability(const struct pci_function *fn, struct pci_walk *walk, u8 id);

struct pci_memory {
	phys_t start;
	u64 size; /* bytes, a power of two */
};
/*
 * pci_bar_memory - find the memory of BAR @bar.  Meanwhile the function does not answer at its
 * memory.
 * Returns 0; -EINVAL there is no such BAR; -ENODEV it has no memory; -EFAULT its address or size is
 * invalid.
 * Context: thread.
 */
int pci_bar_memory(const struct pci_function *fn, unsigned bar, struct pci_memory *memory);
/* Let the function answer at its addresses, and use DMA. */
void pci_enable(const struct pci_function *fn);
/* The function has no driver: it does not write to memory any more. */
void pci_disable(const struct pci_function *fn);
/*
 * The ISA interrupt, 1 to 15, that the firmware assigned to the function's INTx pin; -ENODEV: none.
 */
int pci_intx_line(const struct pci_function *fn);
/* Let the function raise its interrupt line. */
void pci_enable_intx(const struct pci_function *fn);

/* ---- the PCI bus of this machine: pci_port.c ---- */

extern const struct pci_access pci_ports;
/* Route the function's INTx pin to VEC_PCI.  0; -ENODEV the firmware has assigned no line. */
int pci_route_intx(const struct pci_function *fn);

#endif
