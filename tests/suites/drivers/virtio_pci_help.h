/* SPDX-License-Identifier: MIT */
/*
 * virtio_pci_help.h: the first half of the suite virtio_pci, which alone includes it. It pretends a
 * PCI bus with virtio devices: a configuration space as in pci_help.h, and registers that are bytes
 * here. fake.done lists each access to the registers in order.
 */
#ifndef QUARRY_TESTS_VIRTIO_PCI_HELP_H
#define QUARRY_TESTS_VIRTIO_PCI_HELP_H

#include "tests/lib/pretend_pci.h"
#include <quarry/console.h>

#include "drivers/virtio_pci.h"

#define DONE_MAX   600
#define STUCK      (~0u)
#define MEM_ID     (0x1040 + VIRTIO_ID_MEM)
#define BALLOON_ID (0x1040 + VIRTIO_ID_BALLOON)

/* Offsets of the pretended device's structures behind START, in the order of enum virtio_part. */
static const u32 offsets[NR_VIRTIO_PARTS] = {0, 0x3000, 0x1000, 0x2000};

static struct virtio_bus bus;
static struct pci_function fn;

static struct fake {
	u8 part[NR_VIRTIO_PARTS][0x1000];
	u64 offered;
	u16 size[16], notify_off[16]; /* by queue */
	u32 resets_after;             /* reads of the status before a reset is over */
	unsigned status_reads;
	int no_map; /* a part that cannot be mapped; -1: none */
	int no_route, no_driver;
	struct virtio_device *probed;
	char done[DONE_MAX];
	size_t len;
} fake;

/* ---- the device ---- */

static inline void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (fake.len < DONE_MAX - 40)
		fake.len += (size_t)kvsnprintf(fake.done + fake.len, 40, fmt, ap);
	va_end(ap);
}

/* The part in which @at lies; *@reg: the offset in that part. */
static unsigned part_of(const volatile u8 *at, size_t *reg)
{
	*reg = (size_t)(at - (const volatile u8 *)fake.part) % sizeof(fake.part[0]);
	return (unsigned)((size_t)(at - (const volatile u8 *)fake.part) / sizeof(fake.part[0]));
}

static u32 common_word(size_t reg, unsigned len)
{
	u32 value = 0;

	memcpy(&value, fake.part[VIRTIO_COMMON] + reg, len);
	return value;
}

static u32 common_read(size_t reg, unsigned len)
{
	unsigned queue = common_word(0x16, 2) % 16;

	switch (reg) {
	case 0x04: return (u32)(fake.offered >> (common_word(0x00, 4) ? 32 : 0));
	case 0x14:
		fake.status_reads++;
		if (fake.resets_after && fake.resets_after != STUCK)
			fake.resets_after--;
		return fake.resets_after ? 0xff : common_word(reg, len);
	case 0x18: return fake.size[queue];
	case 0x1e: return fake.notify_off[queue];
	default: return common_word(reg, len);
	}
}

static u32 reg_read(const volatile u8 *at, unsigned len)
{
	size_t reg;
	unsigned part = part_of(at, &reg);
	u32 value = 0;

	if (part != VIRTIO_COMMON || reg != 0x14)
		note("%c%zx.%u? ", "cnid"[part], reg, len);
	if (part == VIRTIO_COMMON)
		return common_read(reg, len);
	memcpy(&value, fake.part[part] + reg, len);
	if (part == VIRTIO_ISR)
		fake.part[part][reg] = 0;
	return value;
}

static void reg_write(volatile u8 *at, unsigned len, u32 value)
{
	size_t reg;
	unsigned part = part_of(at, &reg);

	note("%c%zx.%u=%x ", "cnid"[part], reg, len, value);
	memcpy(fake.part[part] + reg, &value, len);
}

static const struct virtio_regs regs = {.read = reg_read, .write = reg_write};

static void *map(phys_t start, size_t len)
{
	unsigned i;

	for (i = 0; i < NR_VIRTIO_PARTS; i++) {
		if (start == START + offsets[i] && len <= sizeof(fake.part[i])) {
			note("map%u ", i);
			return fake.no_map == (int)i ? NULL : fake.part[i];
		}
	}
	return NULL;
}

static int route(const struct pci_function *f)
{
	note("route%u ", f->device);
	return fake.no_route;
}

static unsigned node_of(u32 domain)
{
	return domain + 1;
}

static int probe(struct virtio_device *dev)
{
	fake.probed = dev;
	note("probe%u ", dev->id);
	return fake.no_driver;
}

static inline void start_over(void)
{
	good_space();
	memset(&fake, 0, sizeof(fake));
	memset(&bus, 0, sizeof(bus));
	bus.regs = &regs;
	bus.map = map;
	bus.route = route;
	bus.node_of = node_of;
	bus.probe = probe;
	fake.no_map = -1;
	fn = (struct pci_function){.access = &space_access,
	    .bus = 2,
	    .device = 3,
	    .function = 1,
	    .vendor_id = 0x1af4,
	    .device_id = MEM_ID};
}

static inline void forget(void)
{
	fake.len = 0;
	fake.done[0] = '\0';
}

/* Let the bus take the device over, and empty the list of accesses. */
static inline struct virtio_device *taken(struct ktest *t)
{
	virtio_bus_found(&bus, &fn);
	EXPECT_EQ(t, bus.nr, 1);
	forget();
	return &bus.device[0].dev;
}

/* The accesses since the last forget() must be @what; then forgets them. */
static inline void expect_done(struct ktest *t, const char *what, int line)
{
	if (strcmp(fake.done, what) != 0)
		ktest_fail(t, __FILE__, line, "done: %s, wanted: %s", fake.done, what);
	forget();
}
#define EXPECT_DONE(t, what) expect_done(t, what, __LINE__)
#define EXPECT_DOES(t, call, what)                                                                 \
	do {                                                                                       \
		call;                                                                              \
		EXPECT_DONE((t), (what));                                                          \
	} while (0)

#endif
