/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_mem.c: the virtio-mem driver follows what the host asks for, whatever the device answers or says
 * of itself.
 */
#include "tests/vmem_help.h"

static void it_follows_what_the_host_asks_for(struct ktest *t)
{
	static const unsigned steps[] = {1, REGION_BLOCKS, 5, 5, 9, 0, 2};
	unsigned long managed;
	unsigned i;

	REQUIRE(t, begin(t));
	managed = memory_managed_pages(mem);
	EXPECT_EQ(t, requests[VIRTIO_MEM_REQ_STATE], 1); /* of all: none is plugged */
	EXPECT(t, dev.accepted >> VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE & 1);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		ask_for(steps[i]);
		EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
		EXPECT_EQ(t, dev.dev.config_changed, 0);
		expect_units(t, steps[i], steps[i]);
		EXPECT_EQ(t, memory_managed_pages(mem), managed + steps[i] * PAGEBLOCK_PAGES);
	}
	EXPECT_EQ(t, vm.refused, 0);
	EXPECT_EQ(t, vm.plugs, REGION_BLOCKS + 4 + 2);
	EXPECT_EQ(t, vm.unplugs, REGION_BLOCKS - 5 + 9);
	end(t);
}

static void what_is_not_usable_yet_is_not_plugged(struct ktest *t)
{
	REQUIRE(t, prepare(t, BLOCK_BYTES));
	config.usable_region_size = 4 * BLOCK_BYTES;
	ask_for(7);
	REQUIRE(t, virtio_mem_open(&vm, &dev.dev, mem) == 0);
	EXPECT_EQ(t, virtio_mem_follow(&vm), -EBUSY);
	expect_units(t, 4, 4);
	EXPECT_EQ(t, vm.refused, 0);
	EXPECT_EQ(t, virtio_mem_restart(&vm), 0);
	EXPECT_EQ(t, virtio_mem_follow(&vm), -EBUSY);
	expect_units(t, 4, 4);
	config.usable_region_size = config.region_size;
	ask_for(7);
	EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
	expect_units(t, 7, 7);
	end(t);
}

static void what_was_plugged_before_is_taken_over(struct ktest *t)
{
	REQUIRE(t, prepare(t, BLOCK_BYTES));
	plugged[0] = plugged[3] = plugged[4] = plugged[REGION_BLOCKS - 1] = true;
	config.plugged_size = 4 * BLOCK_BYTES;
	config.requested_size = 5 * BLOCK_BYTES;
	set_config();
	REQUIRE(t, virtio_mem_open(&vm, &dev.dev, mem) == 0);
	EXPECT_EQ(t, vm.nr_plugged, 4);
	EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
	expect_units(t, 5, 5);
	EXPECT_EQ(t, vm.plugs, 1);
	EXPECT_EQ(t, vm.state[REGION_BLOCKS - 1], UNIT_IN_USE);
	end(t);
}

/* The device's blocks are smaller than ours: what it has plugged of one in parts goes back. */
static void parts_of_a_unit_are_given_back(struct ktest *t)
{
	REQUIRE(t, prepare(t, BLOCK_BYTES / 2));
	plugged[2] = plugged[3] = plugged[5] = plugged[8] = true;
	config.plugged_size = 2 * BLOCK_BYTES;
	set_config();
	REQUIRE(t, virtio_mem_open(&vm, &dev.dev, mem) == 0);
	EXPECT(t, plugged[2] && plugged[3] && !plugged[5] && !plugged[8]);
	EXPECT_EQ(t, config.plugged_size, BLOCK_BYTES);
	ask_for(3);
	EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
	expect_units(t, 3, 3);
	/* Half a unit more is no unit more. */
	config.requested_size += BLOCK_BYTES / 2;
	set_config();
	EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
	expect_units(t, 3, 3);
	end(t);
}

static void larger_blocks_are_the_unit(struct ktest *t)
{
	REQUIRE(t, prepare(t, 4 * BLOCK_BYTES));
	if (config.addr % config.block_size) {
		/* A region that does not begin at a multiple of its blocks makes no sense. */
		EXPECT_EQ(t, virtio_mem_open(&vm, &dev.dev, mem), -EIO);
		config.region_size -= 4 * BLOCK_BYTES;
		config.addr = ALIGN_UP(config.addr, config.block_size);
		config.usable_region_size = config.region_size;
		set_config();
	}
	REQUIRE(t, virtio_mem_open(&vm, &dev.dev, mem) == 0);
	EXPECT_EQ(t, vm.unit, 4 * PAGEBLOCK_PAGES);
	ask_for(8);
	EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
	expect_units(t, 8, 8);
	end(t);
}

static void a_host_that_changes_its_mind_is_followed(struct ktest *t)
{
	REQUIRE(t, begin(t));
	set_fault(VIRTIO_MEM_REQ_PLUG, VIRTIO_MEM_RESP_NACK, true);
	fault.requested = 3;
	ask_for(6);
	EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
	expect_units(t, 3, 3);
	EXPECT_EQ(t, vm.refused, 1);
	set_fault(VIRTIO_MEM_REQ_UNPLUG, VIRTIO_MEM_RESP_NACK, true);
	fault.requested = 2;
	ask_for(0);
	EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
	expect_units(t, 2, 2);
	end(t);
}

static void what_is_refused_stays_as_it_was(struct ktest *t)
{
	static const u16 answers[] = {VIRTIO_MEM_RESP_NACK, VIRTIO_MEM_RESP_BUSY};
	unsigned i;

	REQUIRE(t, begin(t));
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		ask_for(2);
		EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
		set_fault(VIRTIO_MEM_REQ_PLUG, answers[i], false);
		ask_for(6);
		EXPECT_EQ(t, virtio_mem_follow(&vm), -EBUSY);
		expect_units(t, 2, 2);
		set_fault(NO_FAULT, 0, false);
		EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
		expect_units(t, 6, 6);
		set_fault(VIRTIO_MEM_REQ_UNPLUG, answers[i], false);
		ask_for(3);
		EXPECT_EQ(t, virtio_mem_follow(&vm), -EBUSY);
		/* Out of use, and still ours. */
		expect_units(t, 6, 3);
		/* The host wants us to keep them: they are used again, and not plugged again. */
		requests[VIRTIO_MEM_REQ_PLUG] = 0;
		ask_for(5);
		EXPECT_EQ(t, virtio_mem_follow(&vm), -EBUSY);
		set_fault(NO_FAULT, 0, false);
		EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
		expect_units(t, 5, 5);
		EXPECT_EQ(t, requests[VIRTIO_MEM_REQ_PLUG], 0);
	}
	end(t);
}

/* The request lies where the device can write, and is not read again. */
static void a_device_may_write_over_the_request(struct ktest *t)
{
	static const u16 answers[] = {VIRTIO_MEM_RESP_NACK, VIRTIO_MEM_RESP_BUSY};
	unsigned i;

	REQUIRE(t, begin(t));
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		set_fault(VIRTIO_MEM_REQ_PLUG, answers[i], false);
		fault.scribbles = true;
		ask_for(2);
		EXPECT_EQ(t, virtio_mem_follow(&vm), -EBUSY);
		expect_units(t, 0, 0);
	}
	set_fault(NO_FAULT, 0, false);
	EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
	end(t);
}

/* An answer that is wrong, none at all, or one that came too late to be told from none. */
static void what_is_in_doubt_is_asked_for(struct ktest *t)
{
	static const u16 types[] = {VIRTIO_MEM_REQ_PLUG, VIRTIO_MEM_REQ_UNPLUG};
	static const u16 answers[] = {VIRTIO_MEM_RESP_ERROR, 77, VIRTIO_MEM_RESP_ACK};
	unsigned i, j, k, goal = 0;

	REQUIRE(t, begin(t));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		for (j = 0; j < ARRAY_SIZE(answers); j++) {
			for (k = 0; k < 2; k++) {
				goal = types[i] == VIRTIO_MEM_REQ_PLUG ? goal + 1 : goal - 1;
				set_fault(types[i], answers[j], true);
				fault.done = k;
				fault.dies = answers[j] == VIRTIO_MEM_RESP_ACK;
				ask_for(goal);
				EXPECT_EQ(t, virtio_mem_follow(&vm), -EIO);
				requests[VIRTIO_MEM_REQ_STATE] = 0;
				EXPECT_EQ(t, virtio_mem_restart(&vm), 0);
				EXPECT(t, requests[VIRTIO_MEM_REQ_STATE] > 0);
				EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
				expect_units(t, goal, goal);
			}
		}
	}
	/* A device that does not say which blocks are plugged is not used. */
	set_fault(VIRTIO_MEM_REQ_STATE, VIRTIO_MEM_RESP_ERROR, false);
	EXPECT_EQ(t, virtio_mem_restart(&vm), -EIO);
	set_fault(NO_FAULT, 0, false);
	EXPECT_EQ(t, virtio_mem_follow(&vm), -EIO);
	EXPECT_EQ(t, virtio_mem_restart(&vm), 0);
	end(t);
}

/* Its queue is gone until it comes back: nothing is asked, and it is not taken for one that agrees. */
static void a_device_that_does_not_come_back_is_not_used(struct ktest *t)
{
	REQUIRE(t, begin(t));
	ask_for(3);
	EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
	dev.refused = VIRTIO_CONFIG_S_FEATURES_OK;
	EXPECT_EQ(t, virtio_mem_restart(&vm), -EIO);
	EXPECT_EQ(t, virtio_mem_follow(&vm), -EIO);
	ask_for(5);
	EXPECT_EQ(t, virtio_mem_follow(&vm), -EIO);
	expect_units(t, 3, 3);
	dev.refused = 0;
	EXPECT_EQ(t, virtio_mem_restart(&vm), 0);
	EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
	expect_units(t, 5, 5);
	/* Without the queue that it must have. */
	dev.size[0] = 0;
	EXPECT_EQ(t, virtio_mem_restart(&vm), -ENODEV);
	EXPECT_EQ(t, virtio_mem_follow(&vm), -EIO);
	dev.size[0] = 64;
	EXPECT_EQ(t, virtio_mem_restart(&vm), 0);
	end(t);
}

struct absurd {
	u64 offset, value;
};
#define ABSURD(member, value) {offsetof(struct virtio_mem_config, member), (value)}

static void absurd_devices_are_left_alone(struct ktest *t)
{
	static const struct absurd at_open[] = {ABSURD(block_size, 0), ABSURD(block_size, 1), ABSURD(block_size, 2048),
	    ABSURD(block_size, 3 * BLOCK_BYTES), ABSURD(block_size, 1ULL << 63), ABSURD(addr, 4096),
	    ABSURD(addr, ~(BLOCK_BYTES - 1)), ABSURD(region_size, 0), ABSURD(region_size, BLOCK_BYTES / 2),
	    ABSURD(region_size, ~(BLOCK_BYTES - 1))};
	static const struct absurd later[] = {ABSURD(block_size, 2 * BLOCK_BYTES), ABSURD(block_size, 0),
	    ABSURD(addr, 0), ABSURD(usable_region_size, ~0ULL), ABSURD(requested_size, ~0ULL),
	    ABSURD(plugged_size, 0), ABSURD(plugged_size, ~0ULL)};
	struct virtio_mem_config good;
	unsigned i;

	REQUIRE(t, prepare(t, BLOCK_BYTES));
	good = config;
	for (i = 0; i < ARRAY_SIZE(at_open); i++) {
		memcpy((char *)&config + at_open[i].offset, &at_open[i].value, sizeof(u64));
		set_config();
		EXPECT_EQ(t, virtio_mem_open(&vm, &dev.dev, mem), -EIO);
		EXPECT_EQ(t, dev.status, 0);
		config = good;
	}
	EXPECT_EQ(t, requests[VIRTIO_MEM_REQ_STATE], 0);
	set_config();
	REQUIRE(t, virtio_mem_open(&vm, &dev.dev, mem) == 0);
	ask_for(4);
	EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
	good = config;
	for (i = 0; i < ARRAY_SIZE(later); i++) {
		memcpy((char *)&config + later[i].offset, &later[i].value, sizeof(u64));
		set_config();
		EXPECT_EQ(t, virtio_mem_follow(&vm), -EIO);
		config = good;
		set_config();
		expect_units(t, 4, 4);
	}
	dev.unsteady = 0xff;
	EXPECT_EQ(t, virtio_mem_follow(&vm), -EIO);
	dev.unsteady = 0;
	EXPECT_EQ(t, virtio_mem_follow(&vm), 0);
	expect_units(t, 4, 4);
	end(t);
}

KTEST_SUITE(virtio_mem, KTEST_QUICK, KTEST(it_follows_what_the_host_asks_for),
    KTEST(what_is_not_usable_yet_is_not_plugged), KTEST(what_was_plugged_before_is_taken_over),
    KTEST(parts_of_a_unit_are_given_back), KTEST(larger_blocks_are_the_unit),
    KTEST(a_host_that_changes_its_mind_is_followed), KTEST(what_is_refused_stays_as_it_was),
    KTEST(a_device_may_write_over_the_request),
    KTEST(what_is_in_doubt_is_asked_for),
    KTEST(a_device_that_does_not_come_back_is_not_used), KTEST(absurd_devices_are_left_alone));
