/* SPDX-License-Identifier: MIT */
/*
 * virtio_pci.c: virtio devices on the PCI bus, by the modern interface: find them, reach them, be
 * interrupted by them.
 *
 * Owns:       the registers of each device that was found, and VEC_PCI.
 * Locks:      none: devices are found once, at boot; what comes later is the drivers' own.
 * Invariants: the ISR status is read, and by that cleared, before the interrupt is acknowledged: the line is a
 *             level, and would be raised again.
 * Tests:      tests/test_virtio.c, tests/qemu/test_virtio.py.
 *
 * Layout: virtio 1.2, 4.1.  A device with only the legacy interface is left alone.
 */
#include "drivers/pci.h"
#include "drivers/virtio.h"
#include "drivers/virtio_cap.h"

#include "x86.h"
#include <quarry/acpi.h>

#include <linux/virtio_pci.h>

#define VIRTIO_VENDOR    0x1af4
#define MODERN_FIRST     0x1040 /* + VIRTIO_ID_..., up to 0x107f */
#define MODERN_LAST      0x107f
#define TRANSITIONAL_BALLOON 0x1002 /* can do both; virtio 1.2, 4.1.2.1 */
#define MAX_DEVICES      8
#define RESET_SPIN       1000000

struct virtio_pci {
	struct virtio_device dev;
	struct pci_function fn;
	char name[16];
	volatile struct virtio_pci_common_cfg *common;
	volatile u8 *isr, *config, *notify;
	u32 config_len, notify_len, notify_step;
	u16 notify_off[8]; /* by queue */
	bool lent;         /* it has been told of memory of ours, and not been reset since */
};

static struct virtio_pci devices[MAX_DEVICES];
static unsigned nr_devices; /* a: those before it are complete */

static struct virtio_pci *to_pci(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_pci, dev);
}

/* ---- struct virtio_ops ---- */

static u64 pci_features(struct virtio_device *dev)
{
	volatile struct virtio_pci_common_cfg *common = to_pci(dev)->common;
	u64 features;

	common->device_feature_select = 1;
	features = (u64)common->device_feature << 32;
	common->device_feature_select = 0;
	return features | common->device_feature;
}

static void pci_accept(struct virtio_device *dev, u64 features)
{
	volatile struct virtio_pci_common_cfg *common = to_pci(dev)->common;

	common->guest_feature_select = 0;
	common->guest_feature = (u32)features;
	common->guest_feature_select = 1;
	common->guest_feature = (u32)(features >> 32);
}

static u8 pci_get_status(struct virtio_device *dev)
{
	return to_pci(dev)->common->device_status;
}

static void pci_set_status(struct virtio_device *dev, u8 status)
{
	volatile struct virtio_pci_common_cfg *common = to_pci(dev)->common;
	u8 still = 0;

	common->device_status = status;
	if (status)
		return;
	/* A reset is over when 0 can be read (4.1.4.3.1), once. */
	for (unsigned i = 0; (still = common->device_status) && i < RESET_SPIN; i++)
		cpu_relax();
	if (still && to_pci(dev)->lent)
		panic("%s: cannot be reset, and has memory of ours", dev->name);
	to_pci(dev)->lent = false;
}

static u32 pci_config_read(struct virtio_device *dev, unsigned at, unsigned len)
{
	struct virtio_pci *p = to_pci(dev);

	/* Fields that this device does not have are all ones, as on a bus. */
	if (at + len > p->config_len)
		return ~0u;
	return len == 1 ? p->config[at]
	    : len == 2  ? *(volatile u16 *)(p->config + at)
	                : *(volatile u32 *)(p->config + at);
}

static void pci_config_write(struct virtio_device *dev, unsigned at, unsigned len, u32 value)
{
	struct virtio_pci *p = to_pci(dev);

	if (at + len > p->config_len)
		return;
	if (len == 1)
		p->config[at] = (u8)value;
	else if (len == 2)
		*(volatile u16 *)(p->config + at) = (u16)value;
	else
		*(volatile u32 *)(p->config + at) = value;
}

static u8 pci_generation(struct virtio_device *dev)
{
	return to_pci(dev)->common->config_generation;
}

static unsigned pci_queue_size(struct virtio_device *dev, unsigned index)
{
	volatile struct virtio_pci_common_cfg *common = to_pci(dev)->common;

	if (index >= common->num_queues || index >= ARRAY_SIZE(to_pci(dev)->notify_off))
		return 0;
	common->queue_select = (u16)index;
	return common->queue_size;
}

static phys_t ring_phys(const struct virtqueue *q, const volatile void *part)
{
	return ((phys_t)page_to_pfn_in(&kernel_memory, q->page) << PAGE_SHIFT) +
	    ((uintptr_t)part - (uintptr_t)q->ring.desc);
}

static int pci_queue_start(struct virtio_device *dev, const struct virtqueue *q)
{
	struct virtio_pci *p = to_pci(dev);
	volatile struct virtio_pci_common_cfg *common = p->common;
	phys_t desc = ring_phys(q, q->ring.desc), avail = ring_phys(q, q->ring.avail);
	phys_t used = ring_phys(q, q->ring.used);

	common->queue_select = (u16)q->index;
	common->queue_size = (u16)q->size;
	common->queue_desc_lo = (u32)desc;
	common->queue_desc_hi = (u32)(desc >> 32);
	common->queue_avail_lo = (u32)avail;
	common->queue_avail_hi = (u32)(avail >> 32);
	common->queue_used_lo = (u32)used;
	common->queue_used_hi = (u32)(used >> 32);
	p->notify_off[q->index] = common->queue_notify_off;
	if ((u64)p->notify_off[q->index] * p->notify_step + 2 > p->notify_len)
		return -EIO;
	p->lent = true;
	common->queue_enable = 1;
	return 0;
}

static void pci_notify(struct virtio_device *dev, const struct virtqueue *q)
{
	struct virtio_pci *p = to_pci(dev);

	*(volatile u16 *)(p->notify + (size_t)p->notify_off[q->index] * p->notify_step) = (u16)q->index;
}

static const struct virtio_ops pci_ops = {
    .features = pci_features,
    .accept = pci_accept,
    .get_status = pci_get_status,
    .set_status = pci_set_status,
    .read = pci_config_read,
    .write = pci_config_write,
    .generation = pci_generation,
    .queue_size = pci_queue_size,
    .queue_start = pci_queue_start,
    .notify = pci_notify,
};

/* ---- finding them ---- */

/* Find the structures and map them.  False: that failed, and has been reported. */
static bool map_all(struct virtio_pci *p)
{
	volatile void *at[NR_VIRTIO_PARTS];
	struct virtio_places places;
	unsigned i;

	if (virtio_find_places(&p->fn, &places)) {
		printk("%s: PCI %02x:%02x.%x: %s: %s: left alone\n", p->name, p->fn.bus, p->fn.device,
		    p->fn.function, virtio_part_name(places.wrong), places.why);
		return false;
	}
	for (i = 0; i < NR_VIRTIO_PARTS; i++) {
		at[i] = arch_map_mmio(places.part[i].start, places.part[i].len);
		if (at[i])
			continue;
		printk("%s: PCI %02x:%02x.%x: %s: cannot be mapped: left alone\n", p->name, p->fn.bus, p->fn.device,
		    p->fn.function, virtio_part_name((enum virtio_part)i));
		return false;
	}
	p->common = at[VIRTIO_COMMON];
	p->notify = at[VIRTIO_NOTIFY];
	p->isr = at[VIRTIO_ISR];
	p->config = at[VIRTIO_CONFIG];
	p->notify_len = places.part[VIRTIO_NOTIFY].len;
	p->notify_step = places.notify_step;
	p->config_len = places.part[VIRTIO_CONFIG].len;
	return true;
}

static int (*probe_for(u32 id))(struct virtio_device *dev)
{
	return id == VIRTIO_ID_MEM   ? virtio_mem_probe
	    : id == VIRTIO_ID_BALLOON ? virtio_balloon_probe
	                              : NULL;
}

static unsigned node_of(u32 domain)
{
	for (unsigned i = 0; i < acpi.nr_nodes && i < kernel_memory.nr_nodes; i++) {
		if (acpi.domain[i] == domain)
			return i;
	}
	return 0;
}

static void found(const struct pci_function *fn)
{
	struct virtio_pci *p = &devices[nr_devices];
	u32 id = fn->device_id == TRANSITIONAL_BALLOON ? VIRTIO_ID_BALLOON : fn->device_id - MODERN_FIRST;
	int (*probe)(struct virtio_device *) = probe_for(id);
	int err;

	if (fn->vendor_id != VIRTIO_VENDOR || fn->device_id > MODERN_LAST || !probe)
		return;
	if (nr_devices == MAX_DEVICES) {
		printk("virtio: more than %u devices: the rest is left alone\n", MAX_DEVICES);
		return;
	}
	*p = (struct virtio_pci){.fn = *fn, .dev = {.ops = &pci_ops, .id = id}};
	ksnprintf(p->name, sizeof(p->name), "virtio%u", nr_devices);
	p->dev.name = p->name;
	p->dev.wq = WAITQ(p->name);
	p->dev.patience_ns = VIRTIO_PATIENCE_NS;
	p->dev.node_of = node_of;
	pci_enable(fn);
	if (!map_all(p))
		return;
	virtio_reset(&p->dev);
	store_release(&nr_devices, nr_devices + 1);
	err = pci_route_intx(fn);
	if (err) {
		printk("%s: PCI %02x:%02x.%x: no interrupt: left alone\n", p->name, fn->bus, fn->device,
		    fn->function);
		return;
	}
	printk("%s: PCI %02x:%02x.%x: %s\n", p->name, fn->bus, fn->device, fn->function,
	    id == VIRTIO_ID_MEM ? "virtio-mem" : "virtio-balloon");
	probe(&p->dev);
}

void virtio_init(void)
{
	pci_scan(&pci_ports, found);
}

/* The line may be shared: each is asked.  irqs off. */
void pci_interrupt(void)
{
	unsigned nr = load_acquire(&nr_devices);

	for (unsigned i = 0; i < nr; i++) {
		u8 isr = *devices[i].isr;

		if (isr)
			virtio_interrupt(&devices[i].dev, isr);
	}
}

void virtio_show(void)
{
	virtio_mem_show();
	virtio_balloon_show();
}
