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

/* ---- a correct virtio device ---- */

void add_cap(unsigned at, unsigned next, u8 type, u32 offset, u32 len)
{
	space_set(at + PCI_CAP_LIST_ID, 1, PCI_CAP_ID_VNDR);
	space_set(at + PCI_CAP_LIST_NEXT, 1, next);
	space_set(at + VIRTIO_PCI_CAP_LEN, 1, type == VIRTIO_PCI_CAP_NOTIFY_CFG ? 20 : 16);
	space_set(at + VIRTIO_PCI_CAP_CFG_TYPE, 1, type);
	space_set(at + VIRTIO_PCI_CAP_BAR, 1, BAR);
	space_set(at + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	space_set(at + VIRTIO_PCI_CAP_LENGTH, 4, len);
}

void good_space(void)
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
