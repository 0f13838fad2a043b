/* SPDX-License-Identifier: MIT */
/* pretend_pci.c: see pretend_pci.h. */
#include "tests/lib/pretend_pci.h"

struct pretend_pci space;

bool is_register(unsigned reg, unsigned len)
{
	if (reg + len > PCI_CONFIG_LEN)
		return false;
	if (reg >= PCI_STD_HEADER_SIZEOF)
		return len == 1 || (len == 4 && reg % 4 == 0);
	if (reg >= PCI_BASE_ADDRESS_0 && reg < PCI_BASE_ADDRESS_0 + 4 * PCI_NR_BARS)
		return len == 4 && reg % 4 == 0;
	return reg < PCI_CLASS_REVISION || reg == PCI_CLASS_DEVICE ? len == 2 && reg % 2 == 0
	                                                           : len == 1;
}

u32 space_read(const struct pci_function *fn, unsigned reg, unsigned len)
{
	u32 value = 0;

	space.reads++;
	if (!is_register(reg, len)) {
		space.beyond++;
		return ~0u;
	}
	memcpy(&value, space.byte + reg, len);
	if (space.gone)
		value = len == 4 ? ~0u : (1u << 8 * len) - 1;
	return value;
}

void space_write(const struct pci_function *fn, unsigned reg, unsigned len, u32 value)
{
	unsigned bar = (reg - PCI_BASE_ADDRESS_0) / 4;
	u32 was;

	space.beyond += !is_register(reg, len);
	if (reg >= PCI_BASE_ADDRESS_0 && bar < PCI_NR_BARS) {
		memcpy(&was, space.byte + reg, 4);
		value = (value & space.writable[bar]) | (was & ~space.writable[bar] & 0xf);
	}
	if (reg + len <= PCI_CONFIG_LEN)
		memcpy(space.byte + reg, &value, len);
}

const struct pci_access space_access = {.read = space_read, .write = space_write};
const struct pci_function space_fn = {.access = &space_access, .vendor_id = 0x1af4};

void space_set(unsigned reg, unsigned len, u32 value)
{
	memcpy(space.byte + reg, &value, len);
}
