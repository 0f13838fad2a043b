/* SPDX-License-Identifier: MIT */
/*
 * virtio_pci.c: virtio devices on the PCI bus, through the modern interface: detection, access,
 * interrupts.
 *
 * Owns:       the registers of each device of a bus.
 * Locks:      none: devices are found once, at boot; later the drivers serialise their calls.
 * Invariants: the ISR status is read, and thereby cleared, before the interrupt is acknowledged:
 *             the line is level-triggered, and would be raised again.
 * Tests:      virtio_pci, tests/qemu/test_virtio.py.
 *
 * Layout: virtio 1.2, 4.1.  A device with only the legacy interface is not used.
 */
#include "drivers/virtio_pci.h"
#include <quarry/console.h>

#include <linux/virtio_pci.h>

#define VIRTIO_VENDOR        0x1af4
#define MODERN_FIRST         0x1040 /* a device id is this + VIRTIO_ID_... */
#define TRANSITIONAL_BALLOON 0x1002 /* has both interfaces; virtio 1.2, 4.1.2.1 */
#define RESET_SPIN           1000000

/* A register of the common configuration: its offset and bytes. */
#define REG(name)                                                                                  \
	offsetof(struct virtio_pci_common_cfg, name),                                              \
	    sizeof(((struct virtio_pci_common_cfg *)0)->name)

static struct virtio_pci *to_pci(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_pci, dev);
}

static u32 vpci_get(const struct virtio_pci *p, size_t at, unsigned len)
{
	return p->regs->read(p->part[VIRTIO_COMMON] + at, len);
}

static void vpci_put(const struct virtio_pci *p, size_t at, unsigned len, u32 value)
{
	p->regs->write(p->part[VIRTIO_COMMON] + at, len, value);
}

/* ---- struct virtio_ops ---- */

static u64 pci_features(struct virtio_device *dev)
{
	const struct virtio_pci *p = to_pci(dev);
	u64 features;

	vpci_put(p, REG(device_feature_select), 1);
	features = (u64)vpci_get(p, REG(device_feature)) << 32;
	vpci_put(p, REG(device_feature_select), 0);
	return features | vpci_get(p, REG(device_feature));
}

static void pci_accept(struct virtio_device *dev, u64 features)
{
	const struct virtio_pci *p = to_pci(dev);

	vpci_put(p, REG(guest_feature_select), 0);
	vpci_put(p, REG(guest_feature), (u32)features);
	vpci_put(p, REG(guest_feature_select), 1);
	vpci_put(p, REG(guest_feature), (u32)(features >> 32));
}

static u8 pci_get_status(struct virtio_device *dev)
{
	return (u8)vpci_get(to_pci(dev), REG(device_status));
}

static void pci_set_status(struct virtio_device *dev, u8 status)
{
	struct virtio_pci *p = to_pci(dev);
	u8 still = 0;

	vpci_put(p, REG(device_status), status);
	if (status)
		return;
	/* A reset is complete when 0 has been read (4.1.4.3.1). */
	for (unsigned i = 0; (still = pci_get_status(dev)) && i < RESET_SPIN; i++)
		cpu_relax();
	if (still && p->lent)
		panic("%s: cannot be reset, and has memory of ours", dev->name);
	p->lent = false;
}

static u32 pci_config_read(struct virtio_device *dev, unsigned at, unsigned len)
{
	const struct virtio_pci *p = to_pci(dev);

	/* Missing fields read as all ones, as on a bus. */
	return at + len > p->config_len ? ~0u : p->regs->read(p->part[VIRTIO_CONFIG] + at, len);
}

static void pci_config_write(struct virtio_device *dev, unsigned at, unsigned len, u32 value)
{
	const struct virtio_pci *p = to_pci(dev);

	if (at + len <= p->config_len)
		p->regs->write(p->part[VIRTIO_CONFIG] + at, len, value);
}

static u8 pci_generation(struct virtio_device *dev)
{
	return (u8)vpci_get(to_pci(dev), REG(config_generation));
}

static unsigned pci_queue_size(struct virtio_device *dev, unsigned index)
{
	const struct virtio_pci *p = to_pci(dev);

	if (index >= vpci_get(p, REG(num_queues)) || index >= ARRAY_SIZE(p->notify_off))
		return 0;
	vpci_put(p, REG(queue_select), index);
	return vpci_get(p, REG(queue_size));
}

static phys_t ring_phys(const struct virtqueue *q, const volatile void *part)
{
	return ((phys_t)page_to_pfn_in(&kernel_memory, q->page) << PAGE_SHIFT) +
	    ((uintptr_t)part - (uintptr_t)q->ring.desc);
}

static int pci_queue_start(struct virtio_device *dev, const struct virtqueue *q)
{
	struct virtio_pci *p = to_pci(dev);
	phys_t desc = ring_phys(q, q->ring.desc), avail = ring_phys(q, q->ring.avail);
	phys_t used = ring_phys(q, q->ring.used);

	vpci_put(p, REG(queue_select), q->index);
	vpci_put(p, REG(queue_size), q->size);
	vpci_put(p, REG(queue_desc_lo), (u32)desc);
	vpci_put(p, REG(queue_desc_hi), (u32)(desc >> 32));
	vpci_put(p, REG(queue_avail_lo), (u32)avail);
	vpci_put(p, REG(queue_avail_hi), (u32)(avail >> 32));
	vpci_put(p, REG(queue_used_lo), (u32)used);
	vpci_put(p, REG(queue_used_hi), (u32)(used >> 32));
	p->notify_off[q->index] = (u16)vpci_get(p, REG(queue_notify_off));
	if ((u64)p->notify_off[q->index] * p->notify_step + 2 > p->notify_len)
		return -EIO;
	p->lent = true;
	vpci_put(p, REG(queue_enable), 1);
	return 0;
}

static void pci_notify(struct virtio_device *dev, const struct virtqueue *q)
{
	const struct virtio_pci *p = to_pci(dev);

	p->regs->write(
	    p->part[VIRTIO_NOTIFY] + (size_t)p->notify_off[q->index] * p->notify_step, 2, q->index);
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

/* ---- detection ---- */

/* Find the structures and map them.  False: that failed, and has been reported. */
static bool map_all(const struct virtio_bus *bus, struct virtio_pci *p)
{
	struct virtio_places places;
	unsigned i;

	if (virtio_find_places(&p->fn, &places)) {
		printk("%s: PCI %02x:%02x.%x: %s: %s: left alone\n", p->name, p->fn.bus,
		    p->fn.device, p->fn.function, virtio_part_name(places.wrong), places.why);
		return false;
	}
	for (i = 0; i < NR_VIRTIO_PARTS; i++) {
		p->part[i] = bus->map(places.part[i].start, places.part[i].len);
		if (p->part[i])
			continue;
		printk("%s: PCI %02x:%02x.%x: %s: cannot be mapped: left alone\n", p->name,
		    p->fn.bus, p->fn.device, p->fn.function, virtio_part_name((enum virtio_part)i));
		return false;
	}
	p->notify_len = places.part[VIRTIO_NOTIFY].len;
	p->notify_step = places.notify_step;
	p->config_len = places.part[VIRTIO_CONFIG].len;
	return true;
}

/* The VIRTIO_ID_ of a device with a driver; 0: no driver. */
static u32 id_of(const struct pci_function *fn)
{
	u32 id = fn->device_id == TRANSITIONAL_BALLOON ? VIRTIO_ID_BALLOON
	                                               : fn->device_id - MODERN_FIRST;

	if (fn->vendor_id != VIRTIO_VENDOR)
		return 0;
	return id == VIRTIO_ID_MEM || id == VIRTIO_ID_BALLOON ? id : 0;
}

void virtio_bus_found(struct virtio_bus *bus, const struct pci_function *fn)
{
	struct virtio_pci *p = &bus->device[bus->nr];
	u32 id = id_of(fn);
	int err;

	if (!id)
		return;
	if (bus->nr == VIRTIO_BUS_MAX) {
		printk("virtio: more than %u devices: the rest is left alone\n", VIRTIO_BUS_MAX);
		return;
	}
	*p = (struct virtio_pci){.fn = *fn, .regs = bus->regs, .dev = {.ops = &pci_ops, .id = id}};
	ksnprintf(p->name, sizeof(p->name), "virtio%u", bus->nr);
	p->dev.name = p->name;
	p->dev.wq = WAITQ(p->name);
	p->dev.patience_ns = VIRTIO_PATIENCE_NS;
	p->dev.node_of = bus->node_of;
	pci_enable(fn);
	if (!map_all(bus, p)) {
		pci_disable(fn);
		return;
	}
	virtio_reset(&p->dev);
	store_release(&bus->nr, bus->nr + 1);
	err = bus->route(fn);
	if (err) {
		printk("%s: PCI %02x:%02x.%x: no interrupt: left alone\n", p->name, fn->bus,
		    fn->device, fn->function);
		pci_disable(fn);
		return;
	}
	printk("%s: PCI %02x:%02x.%x: %s\n", p->name, fn->bus, fn->device, fn->function,
	    id == VIRTIO_ID_MEM ? "virtio-mem" : "virtio-balloon");
	if (bus->probe(&p->dev))
		pci_disable(fn); /* it may still run as the firmware left it */
}

/* The line may be shared, so the status of each device is read. */
void virtio_bus_interrupt(struct virtio_bus *bus)
{
	unsigned nr = load_acquire(&bus->nr);

	for (unsigned i = 0; i < nr; i++) {
		struct virtio_pci *p = &bus->device[i];
		u8 isr = (u8)p->regs->read(p->part[VIRTIO_ISR], 1);

		if (isr)
			virtio_interrupt(&p->dev, isr);
	}
}
