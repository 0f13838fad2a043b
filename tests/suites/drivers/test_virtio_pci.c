/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_pci.c: virtio devices on a PCI bus: the choice of devices, and each access to their
 * registers.
 */
#include "tests/lib/said_help.h"
#include "virtio_pci_help.h"
#include <quarry/console.h>

KTEST_SUITE(virtio_pci, 0);

KTEST(a_device_is_mapped_reset_routed_and_probed, KTEST_REPORTS)
{
	struct virtio_pci *p = &bus.device[0];
	u64 pos = log_position();

	start_over();
	space_set(PCI_COMMAND, 2, 0);
	space_set(CONFIG + VIRTIO_PCI_CAP_LENGTH, 4, 0x2c);
	space_set(NOTIFY + VIRTIO_PCI_CAP_LENGTH, 4, 0x14);
	space_set(NOTIFY + VIRTIO_PCI_NOTIFY_CAP_MULT, 4, 6);
	p->lent = true; /* the previous driver left it set */
	p->notify_off[3] = 7;
	EXPECT_DOES(t, virtio_bus_found(&bus, &fn), "map0 map1 map2 map3 c14.1=0 route3 probe24 ");
	EXPECT_EQ(t, bus.nr, 1);
	EXPECT(t, fake.probed == &p->dev && p->dev.name == p->name && !strcmp(p->name, "virtio0"));
	EXPECT(t, p->regs == &regs && !p->lent && !p->notify_off[3] && p->fn.device == 3);
	EXPECT_EQ(t, p->dev.id, VIRTIO_ID_MEM);
	EXPECT_EQ(t, p->dev.patience_ns, VIRTIO_PATIENCE_NS);
	EXPECT(t, p->dev.node_of && p->dev.node_of(4) == 5);
	EXPECT(t, p->dev.wq.lock.name == p->name && p->dev.wq.lock.rank == RANK_WAIT);
	EXPECT_EQ(t, p->config_len, 0x2c);
	EXPECT_EQ(t, p->notify_len, 0x14);
	EXPECT_EQ(t, p->notify_step, 6);
	/* The device may answer and access memory. */
	EXPECT_EQ(t, pci_read(&fn, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	EXPECT(t, said(pos, "virtio0: PCI 02:03.1: virtio-mem\n"));
	/* The next device gets the next number. */
	fn.device_id = BALLOON_ID;
	fn.device = 4;
	EXPECT_DOES(t, virtio_bus_found(&bus, &fn), "map0 map1 map2 map3 c14.1=0 route4 probe5 ");
	EXPECT(t,
	    bus.nr == 2 && fake.probed == &bus.device[1].dev &&
	        !strcmp(bus.device[1].name, "virtio1"));
	EXPECT(t, said(pos, "virtio1: PCI 02:04.1: virtio-balloon\n"));
}

KTEST(only_devices_with_a_driver_are_taken, KTEST_REPORTS)
{
	static const struct {
		u16 vendor, device;
		u32 id; /* 0: left alone */
	} ids[] = {{0x1af4, 0x1002, VIRTIO_ID_BALLOON}, {0x1af4, 0x1045, VIRTIO_ID_BALLOON},
	    {0x1af4, 0x1058, VIRTIO_ID_MEM}, {0x1af5, 0x1058, 0}, {0x8086, 0x1002, 0},
	    {0x1af4, 0x1000, 0}, {0x1af4, 0x1001, 0}, {0x1af4, 0x1003, 0}, {0x1af4, 0x1040, 0},
	    {0x1af4, 0x1044, 0}, {0x1af4, 0x1046, 0}, {0x1af4, 0x1057, 0}, {0x1af4, 0x1059, 0},
	    {0x1af4, 0x107f, 0}, {0x1af4, 5, 0}, {0x1af4, 0, 0}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		start_over();
		fn.vendor_id = ids[i].vendor;
		fn.device_id = ids[i].device;
		space.reads = 0;
		virtio_bus_found(&bus, &fn);
		if (bus.nr != (ids[i].id != 0) || (fake.probed ? fake.probed->id : 0) != ids[i].id)
			ktest_fail(t, __FILE__, __LINE__, "%04x:%04x: taken %u", ids[i].vendor,
			    ids[i].device, bus.nr);
		if (!ids[i].id)
			EXPECT(t, space.reads == 0 && fake.len == 0);
	}
}

KTEST(device_with_unmappable_registers_is_refused, KTEST_REPORTS)
{
	static const char *const names[NR_VIRTIO_PARTS] = {
	    "common configuration", "notification", "interrupt status", "device configuration"};
	static const char *const done[NR_VIRTIO_PARTS] = {
	    "map0 ", "map0 map1 ", "map0 map1 map2 ", "map0 map1 map2 map3 "};
	char line[100];
	u64 pos = 0;
	unsigned i;

	for (i = 0; i < NR_VIRTIO_PARTS; i++) {
		pos = log_position();
		start_over();
		fake.no_map = (int)i;
		EXPECT_DOES(t, virtio_bus_found(&bus, &fn), done[i]);
		ksnprintf(line, sizeof(line),
		    "virtio0: PCI 02:03.1: %s: cannot be mapped: left alone\n", names[i]);
		EXPECT(t, said(pos, line));
		EXPECT_EQ(t, bus.nr, 0);
		/* The next device takes the same place on the bus. */
		fake.no_map = -1;
		virtio_bus_found(&bus, &fn);
		EXPECT(t, bus.nr == 1 && fake.probed == &bus.device[0].dev);
	}
	start_over();
	space_set(ISR + VIRTIO_PCI_CAP_LENGTH, 4, 0);
	EXPECT_DOES(t, virtio_bus_found(&bus, &fn), "");
	EXPECT(t,
	    bus.nr == 0 &&
	        said(pos, "virtio0: PCI 02:03.1: interrupt status: it is too short: left alone\n"));
}

/* The device is reset and stays known to the bus, but gets no driver. */
KTEST(a_device_without_an_interrupt_has_no_driver, KTEST_REPORTS)
{
	u64 pos = log_position();

	start_over();
	fake.no_route = -ENODEV;
	EXPECT_DOES(t, virtio_bus_found(&bus, &fn), "map0 map1 map2 map3 c14.1=0 route3 ");
	EXPECT(t, said(pos, "virtio0: PCI 02:03.1: no interrupt: left alone\n"));
	EXPECT(t, bus.nr == 1 && !fake.probed);
}

KTEST(eight_devices_are_taken, KTEST_REPORTS)
{
	u64 pos = log_position();
	unsigned i;

	start_over();
	for (i = 0; i < VIRTIO_BUS_MAX; i++)
		virtio_bus_found(&bus, &fn);
	EXPECT_EQ(t, bus.nr, VIRTIO_BUS_MAX);
	EXPECT(t, fake.probed == &bus.device[VIRTIO_BUS_MAX - 1].dev && !said(pos, "more than"));
	fake.probed = NULL;
	virtio_bus_found(&bus, &fn);
	EXPECT(t, bus.nr == VIRTIO_BUS_MAX && !fake.probed);
	EXPECT(t, said(pos, "virtio: more than 8 devices: the rest is left alone\n"));
	/* Devices without a driver are not counted. */
	fn.device_id = 0x1041;
	pos = log_position();
	virtio_bus_found(&bus, &fn);
	EXPECT(t, !said(pos, "more than"));
}

KTEST(features_are_read_in_halves, KTEST_REPORTS)
{
	struct virtio_device *dev;

	start_over();
	dev = taken(t);
	fake.offered = 0x89abcdef01234567ULL;
	EXPECT(t, dev->ops->features(dev) == 0x89abcdef01234567ULL);
	EXPECT_DONE(t, "c0.4=1 c4.4? c0.4=0 c4.4? ");
	EXPECT_DOES(t, dev->ops->accept(dev, 0xfedcba9876543210ULL),
	    "c8.4=0 cc.4=76543210 c8.4=1 cc.4=fedcba98 ");
}

KTEST(reset_ends_when_status_reads_0, KTEST_REPORTS)
{
	static const u32 delays[] = {0, 1, 2, 50};
	struct virtio_device *dev;
	unsigned i;

	start_over();
	dev = taken(t);
	for (i = 0; i < ARRAY_SIZE(delays); i++) {
		bus.device[0].lent = true;
		fake.status_reads = 0;
		EXPECT_DOES(t, dev->ops->set_status(dev, 0x8f), "c14.1=8f ");
		EXPECT(t, !fake.status_reads && bus.device[0].lent);
		EXPECT_EQ(t, dev->ops->get_status(dev), 0x8f);
		fake.status_reads = 0;
		fake.resets_after = delays[i];
		EXPECT_DOES(t, dev->ops->set_status(dev, 0), "c14.1=0 ");
		EXPECT_EQ(t, fake.status_reads, MAX(delays[i], 1u));
		EXPECT(t, !bus.device[0].lent);
	}
	/* The wait for a reset is bounded if the device has none of the kernel's pages. */
	fake.status_reads = 0;
	fake.resets_after = STUCK;
	dev->ops->set_status(dev, 0);
	EXPECT_EQ(t, fake.status_reads, 1000001);
	EXPECT_EQ(t, dev->ops->get_status(dev), 0xff);
}

/* Only fields that end within the configuration exist. */
KTEST(configuration_has_the_length_of_its_structure, KTEST_REPORTS)
{
	static const struct {
		u32 at, len;
		bool there;
	} fields[] = {{0, 1, true}, {0, 2, true}, {0, 4, true}, {4, 4, true}, {8, 2, true},
	    {10, 1, true}, {9, 1, true}, {8, 4, false}, {10, 2, false}, {11, 1, false},
	    {12, 1, false}, {12, 4, false}, {0xffc, 4, false}};
	struct virtio_device *dev;
	char done[32];
	unsigned i;

	start_over();
	space_set(CONFIG + VIRTIO_PCI_CAP_LENGTH, 4, 11);
	dev = taken(t);
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		u32 at = fields[i].at, len = fields[i].len;

		memcpy(fake.part[VIRTIO_CONFIG], "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20", 16);
		done[0] = '\0';
		if (fields[i].there)
			ksnprintf(done, sizeof(done), "d%x.%u? ", at, len);
		/* Byte n of the configuration has the value n + 1. */
		EXPECT_EQ(t, dev->ops->read(dev, at, len),
		    fields[i].there
		        ? (0x04030201 + at * 0x01010101) & (len == 4 ? ~0u : (1u << 8 * len) - 1)
		        : ~0u);
		EXPECT_DONE(t, done);
		if (fields[i].there)
			ksnprintf(done, sizeof(done), "d%x.%u=a1b2c3d4 ", at, len);
		EXPECT_DOES(t, dev->ops->write(dev, at, len, 0xa1b2c3d4), done);
	}
	for (i = 0; i < 3; i++) {
		fake.part[VIRTIO_COMMON][0x15] = (u8)(0xfe + i);
		EXPECT_EQ(t, dev->ops->generation(dev), (u8)(0xfe + i));
		EXPECT_DONE(t, "c15.1? ");
	}
}

KTEST(queue_size_is_the_devices, KTEST_REPORTS)
{
	static const struct {
		u8 queues;
		unsigned index, size;
		const char *done;
	} cases[] = {{3, 0, 128, "c12.2? c16.2=0 c18.2? "},
	    {3, 2, 0x8000, "c12.2? c16.2=2 c18.2? "}, {3, 1, 0, "c12.2? c16.2=1 c18.2? "},
	    {3, 3, 0, "c12.2? "}, {0, 0, 0, "c12.2? "}, {20, 7, 70, "c12.2? c16.2=7 c18.2? "},
	    {20, 8, 0, "c12.2? "}};
	struct virtio_device *dev;
	unsigned i;

	start_over();
	dev = taken(t);
	fake.size[0] = 128;
	fake.size[2] = 0x8000;
	fake.size[3] = fake.size[8] = 4;
	fake.size[7] = 70;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		fake.part[VIRTIO_COMMON][0x12] = cases[i].queues;
		EXPECT_EQ(t, dev->ops->queue_size(dev, cases[i].index), cases[i].size);
		EXPECT_DONE(t, cases[i].done);
	}
}

/* A queue whose ring is said to lie at @pfn; it is never read. */
static struct virtqueue queue_at(unsigned index, unsigned size, pfn_t pfn)
{
	static struct vring_desc desc[64];
	struct virtqueue q = {
	    .index = index, .size = size, .page = pfn_to_page_in(&kernel_memory, pfn)};

	q.ring.desc = desc;
	q.ring.avail = (struct vring_avail *)(void *)((char *)desc + 0x80);
	q.ring.used = (struct vring_used *)(void *)((char *)desc + 0xc4);
	return q;
}

KTEST(queue_addresses_are_written_before_enable, KTEST_REPORTS)
{
	struct virtqueue q = queue_at(1, 8, 0x2345678), r = queue_at(7, 64, 0x12);
	struct virtio_device *dev;

	start_over();
	dev = taken(t);
	fake.notify_off[1] = 5;
	EXPECT_EQ(t, dev->ops->queue_start(dev, &q), 0);
	EXPECT_DONE(t,
	    "c16.2=1 c18.2=8 c20.4=45678000 c24.4=23 c28.4=45678080 c2c.4=23 c30.4=456780c4 "
	    "c34.4=23 c1e.2? c1c.2=1 ");
	EXPECT(t, bus.device[0].lent);
	fake.notify_off[7] = 9;
	EXPECT_EQ(t, dev->ops->queue_start(dev, &r), 0);
	EXPECT_DONE(t,
	    "c16.2=7 c18.2=40 c20.4=12000 c24.4=0 c28.4=12080 c2c.4=0 c30.4=120c4 c34.4=0 c1e.2? "
	    "c1c.2=1 ");
	/* Each queue has a notify address of its own. */
	EXPECT_DOES(t, dev->ops->notify(dev, &q), "n14.2=1 ");
	EXPECT_DOES(t, dev->ops->notify(dev, &r), "n24.2=7 ");
}

KTEST(queue_without_a_notify_address_is_refused, KTEST_REPORTS)
{
	static const struct {
		u32 step, len;
		u16 off;
		bool good;
	} places[] = {{4, 0x1000, 0x3ff, true}, {4, 0x1000, 0x400, false}, {2, 0x1000, 0x7ff, true},
	    {2, 0x1000, 0x800, false}, {2, 0x0fff, 0x7fe, true}, {2, 0x0fff, 0x7ff, false},
	    {0, 2, 0xffff, true}, {2, 2, 0, true}, {2, 2, 1, false},
	    {0x20000, 0x1000, 0x8000, false}, {0xfffffffe, 0x1000, 1, false},
	    {0xfffffffe, 0x1000, 0, true}};
	struct virtqueue q = queue_at(0, 8, 0x2345678);
	struct virtio_device *dev;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		start_over();
		space_set(NOTIFY + VIRTIO_PCI_NOTIFY_CAP_MULT, 4, places[i].step);
		space_set(NOTIFY + VIRTIO_PCI_CAP_LENGTH, 4, places[i].len);
		dev = taken(t);
		fake.notify_off[0] = places[i].off;
		if (dev->ops->queue_start(dev, &q) != (places[i].good ? 0 : -EIO))
			ktest_fail(t, __FILE__, __LINE__, "step %#x, offset %#x", places[i].step,
			    places[i].off);
		/* A refused queue is not enabled, and the device has none of the kernel's pages. */
		EXPECT_EQ(t, common_word(0x1c, 2), places[i].good);
		EXPECT_EQ(t, bus.device[0].lent, places[i].good);
	}
}

KTEST(shared_interrupt_line_asks_each_device, KTEST_REPORTS)
{
	static u8 isr[] = {0, 1, 2, 3};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(isr); i++) {
		struct virtio_device *first, *second;

		start_over();
		first = taken(t);
		virtio_bus_found(&bus, &fn);
		second = &bus.device[1].dev;
		bus.device[1].part[VIRTIO_ISR] += 8;
		forget();
		fake.part[VIRTIO_ISR][8] = isr[i];
		EXPECT_DOES(t, virtio_bus_interrupt(&bus), "i0.1? i8.1? ");
		EXPECT_EQ(t, first->config_changed, 0);
		EXPECT_EQ(t, second->config_changed, isr[i] >> 1);
		/* Reading the status has cleared it. */
		second->config_changed = 0;
		fake.part[VIRTIO_ISR][0] = isr[i];
		virtio_bus_interrupt(&bus);
		EXPECT_EQ(t, first->config_changed, isr[i] >> 1);
		EXPECT_EQ(t, second->config_changed, 0);
	}
	start_over();
	EXPECT_DOES(t, virtio_bus_interrupt(&bus), "");
}

/* pci.c, Invariants. */
KTEST(device_that_is_left_alone_writes_to_no_memory, KTEST_REPORTS)
{
	unsigned how;

	for (how = 0; how < 4; how++) {
		start_over();
		space_set(PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE); /* as pci_scan leaves it */
		if (how == 0)
			fake.no_map = VIRTIO_CONFIG;
		else if (how == 1)
			space_set(PCI_CAPABILITY_LIST, 1, 0);
		else if (how == 2)
			fake.no_route = -ENODEV;
		else
			fake.no_driver = -EIO;
		virtio_bus_found(&bus, &fn);
		EXPECT_EQ(t, fake.probed != NULL, how == 3);
		EXPECT_EQ(t, pci_read(&fn, PCI_COMMAND, 2) & PCI_COMMAND_MASTER, 0);
	}
}
