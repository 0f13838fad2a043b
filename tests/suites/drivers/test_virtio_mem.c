/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_mem.c: the virtio-mem driver follows the host's requests, whatever the device
 * answers.
 */
#include "tests/lib/vmem_help.h"

KTEST_SUITE(virtio_mem, KTEST_QUICK);

KTEST(device_memory_follows_the_requested_size)
{
	static const unsigned steps[] = {1, REGION_BLOCKS, 5, 5, 9, 0, 2};
	unsigned long managed;
	unsigned i;

	REQUIRE(t, vmem_begin(t));
	managed = memory_managed_pages(vmem);
	EXPECT_EQ(t, vmem_requests[VIRTIO_MEM_REQ_STATE], 1); /* one request for all blocks */
	EXPECT(t, pretend_dev.accepted >> VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE & 1);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		EXPECT_EQ(t, vmem_follow(steps[i]), 0);
		EXPECT_EQ(t, pretend_dev.dev.config_changed, 0);
		expect_units(t, steps[i], steps[i]);
		EXPECT_EQ(t, memory_managed_pages(vmem), managed + steps[i] * PAGEBLOCK_PAGES);
	}
	EXPECT_EQ(t, vmem_dev.refused, 0);
	EXPECT_EQ(t, vmem_dev.plugs, REGION_BLOCKS + 4 + 2);
	EXPECT_EQ(t, vmem_dev.unplugs, REGION_BLOCKS - 5 + 9);
	vmem_end(t);
}

static unsigned long sections(unsigned first, unsigned end)
{
	pfn_t start = vmem_config.addr >> PAGE_SHIFT;

	return end <= first ? 0
	                    : ((start + end * PAGEBLOCK_PAGES - 1) >> SECTION_ORDER) -
	        ((start + first * PAGEBLOCK_PAGES) >> SECTION_ORDER) + 1;
}

/* Plugged from below, unplugged from above; one request covers the units of a section. */
KTEST(lowest_units_are_plugged_first_and_unplugged_last, KTEST_SLOW)
{
	static const unsigned steps[] = {
	    1, 2, 7, REGION_BLOCKS, REGION_BLOCKS - 1, 6, 1, 0, REGION_BLOCKS};
	unsigned i, j, was = 0;

	REQUIRE(t, vmem_begin(t));
	for (i = 0; i < ARRAY_SIZE(steps); was = steps[i++]) {
		memset(vmem_requests, 0, sizeof(vmem_requests));
		FOLLOW(t, steps[i], 0, steps[i], steps[i]);
		for (j = 0; j < REGION_BLOCKS; j++) {
			EXPECT_EQ(t, vmem_plugged[j], j < steps[i]);
			EXPECT_EQ(
			    t, vmem_dev.state[j], j < steps[i] ? UNIT_IN_USE : UNIT_UNPLUGGED);
		}
		EXPECT_EQ(t, vmem_requests[VIRTIO_MEM_REQ_PLUG], sections(was, steps[i]));
		EXPECT_EQ(t, vmem_requests[VIRTIO_MEM_REQ_UNPLUG], sections(steps[i], was));
		EXPECT_EQ(t, vmem_requests[VIRTIO_MEM_REQ_STATE], 0);
	}
	vmem_end(t);
}

static unsigned node_asked(u32 domain)
{
	return domain + 1;
}

/* clang-format off */
#define NO_SENSE "pretend: the device says what makes no sense: "
#define STOPPED  "pretend: queue 0: the device has stopped (79): it is not used any more\n"
#define RESET    "pretend: reset, and asked again what is plugged\n"
static const char absurd[] =
    NO_SENSE "block size (0)\n"
    NO_SENSE "block size (0x1)\n"
    NO_SENSE "block size (0x800)\n"
    NO_SENSE "block size (*)\n"
    NO_SENSE "a region of that size (*)\n"
    NO_SENSE "a region of that size (*)\n"
    NO_SENSE "a region of that size (*)\n"
    NO_SENSE "a region of that size (0)\n"
    NO_SENSE "a region of that size (*)\n"
    NO_SENSE "a region of that size (*)\n"
    NO_SENSE "another region than before (*)\n"
    NO_SENSE "another region than before (*)\n"
    NO_SENSE "another region than before (0)\n"
    NO_SENSE "more of the region usable than there is (0xffffffffffffffff)\n"
    NO_SENSE "more asked for than there is (0xffffffffffffffff)\n"
    NO_SENSE "another size plugged than it acknowledged (0)\n"
    NO_SENSE "another size plugged than it acknowledged (0xffffffffffffffff)\n"
    "pretend: its configuration changes all the time\n";

/* Each kind of doubtful answer to a request, of which the device has done nothing, or all. */
#define DOUBTS(request) \
	"pretend: " request " of * at *: ERROR\n" RESET \
	"pretend: " request " of * at *: ERROR\n" RESET \
	NO_SENSE "an unknown answer (0x4d)\n" RESET \
	NO_SENSE "an unknown answer (0x4d)\n" RESET \
	STOPPED RESET STOPPED RESET
static const char doubts[] = DOUBTS("PLUG") DOUBTS("UNPLUG")
    RESET
    "pretend: STATE of * at *: ERROR\n"
    RESET;
static const char no_restart[] = RESET
    "pretend: does not agree to features 0x100000002 of 0x100000002\n"
    RESET RESET RESET;
static const char no_room[] =
    NO_SENSE "a region with no room for a unit (0x*)\n"
    NO_SENSE "a region with no room for a unit (0x*)\n";
/* clang-format on */

KTEST(a_region_is_cut_into_whole_units, .says = no_room)
{
	static const struct {
		u64 before, after; /* half units cut off at the start, and at the end */
		unsigned units;
	} cuts[] = {{0, 0, 12}, {1, 0, 11}, {0, 1, 11}, {1, 1, 10}, {2, 1, 10}, {3, 3, 8},
	    {22, 0, 1}, {23, 0, 0}, {22, 1, 0}};
	struct virtio_mem_config good;
	unsigned i;
	int err;

	REQUIRE(t, vmem_prepare(t, BLOCK_BYTES / 2));
	good = vmem_config;
	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		u64 start = good.addr + cuts[i].before * BLOCK_BYTES / 2;

		vmem_config = good;
		vmem_config.addr = start;
		vmem_config.region_size -= (cuts[i].before + cuts[i].after) * BLOCK_BYTES / 2;
		vmem_config.usable_region_size = vmem_config.region_size;
		vmem_config.node_id = (u16)i;
		vmem_set_config();
		pretend_dev.dev.node_of = node_asked;
		pretend_dev.offered =
		    1ULL << VIRTIO_F_VERSION_1 | (i % 2 ? 1ULL << VIRTIO_MEM_F_ACPI_PXM : 0);
		err = virtio_mem_open(&vmem_dev, &pretend_dev.dev, vmem);
		EXPECT_EQ(t, err, cuts[i].units ? 0 : -EIO);
		if (err)
			continue;
		EXPECT_EQ(t, vmem_dev.nr_units, cuts[i].units);
		EXPECT_EQ(t, (u64)vmem_dev.start << PAGE_SHIFT, ALIGN_UP(start, BLOCK_BYTES));
		EXPECT_EQ(t, vmem_dev.unit, PAGEBLOCK_PAGES);
		EXPECT_EQ(t, vmem_dev.block_size, BLOCK_BYTES / 2);
		EXPECT_EQ(t, vmem_dev.node, i % 2 ? i + 1 : 0);
		EXPECT_EQ(t, vmem_dev.usable, cuts[i].units);
		EXPECT_EQ(t, vmem_dev.goal, 0);
		EXPECT_EQ(t, vmem_dev.nr_plugged, 0);
		virtio_mem_close(&vmem_dev);
	}
}

static u64 next_asked; /* the next request for states begins at this address */

/* Answer as a device whose region is far larger than memory: all its blocks are unplugged. */
static u32 serve_large(struct pretend *p, const struct pretend_buf *buf)
{
	const struct virtio_mem_req *req = pretend_memory(buf->out[0].addr);
	struct virtio_mem_resp *resp = pretend_memory(buf->in[0].addr);

	EXPECT_EQ(p->t, req->type, VIRTIO_MEM_REQ_STATE);
	EXPECT_EQ(p->t, req->u.state.addr, next_asked);
	EXPECT(p->t, req->u.state.nb_blocks > 0);
	vmem_requests[VIRTIO_MEM_REQ_STATE]++;
	next_asked += req->u.state.nb_blocks * vmem_config.block_size;
	*resp = (struct virtio_mem_resp){
	    .type = VIRTIO_MEM_RESP_ACK, .u.state.state = VIRTIO_MEM_STATE_UNPLUGGED};
	return sizeof(*resp);
}

/* A request has 16 bits for the number of blocks, and the driver follows at most 2 Mi units. */
KTEST(large_region_is_plugged_in_parts, KTEST_SLOW)
{
	static const struct {
		u64 units, usable, known, requests;
	} regions[] = {{65535, 65535, 65535, 1}, {65536, 65536, 65536, 2},
	    {131070, 131070, 131070, 2}, {131071, 131071, 131071, 3}, {262144, 65535, 262144, 1},
	    {2097152, 1, 2097152, 1}, {2097153, 2, 2097152, 1}};
	unsigned i;

	REQUIRE(t, vmem_prepare(t, BLOCK_BYTES));
	pretend_dev.serve = serve_large;
	for (i = 0; i < ARRAY_SIZE(regions); i++) {
		vmem_config.region_size = regions[i].units * BLOCK_BYTES;
		vmem_config.usable_region_size = regions[i].usable * BLOCK_BYTES;
		vmem_set_config();
		next_asked = vmem_config.addr;
		vmem_requests[VIRTIO_MEM_REQ_STATE] = 0;
		/* Each unit needs a byte, in total perhaps more than kmalloc can give. */
		if (regions[i].known > PAGE_SIZE << MAX_ORDER) {
			EXPECT_EQ(t, virtio_mem_open(&vmem_dev, &pretend_dev.dev, vmem), -ENOMEM);
			continue;
		}
		REQUIRE(t, virtio_mem_open(&vmem_dev, &pretend_dev.dev, vmem) == 0);
		EXPECT_EQ(t, vmem_dev.nr_units, regions[i].known);
		EXPECT_EQ(t, vmem_dev.usable, regions[i].usable);
		EXPECT_EQ(t, next_asked - vmem_config.addr, regions[i].usable * BLOCK_BYTES);
		EXPECT(t, vmem_requests[VIRTIO_MEM_REQ_STATE] >= regions[i].requests);
		EXPECT(t, regions[i].requests > 1 || vmem_requests[VIRTIO_MEM_REQ_STATE] == 1);
		virtio_mem_close(&vmem_dev);
	}
}

KTEST(units_beyond_the_usable_region_are_not_plugged, KTEST_SLOW, .says = RESET)
{
	REQUIRE(t, vmem_prepare(t, BLOCK_BYTES));
	vmem_config.usable_region_size = 4 * BLOCK_BYTES;
	vmem_ask_for(7);
	REQUIRE(t, virtio_mem_open(&vmem_dev, &pretend_dev.dev, vmem) == 0);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), -EBUSY);
	expect_units(t, 4, 4);
	EXPECT_EQ(t, vmem_dev.refused, 0);
	EXPECT_EQ(t, virtio_mem_restart(&vmem_dev), 0);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), -EBUSY);
	expect_units(t, 4, 4);
	vmem_config.usable_region_size = vmem_config.region_size;
	FOLLOW(t, 7, 0, 7, 7);
	vmem_end(t);
}

KTEST(units_plugged_before_the_start_are_adopted, KTEST_SLOW)
{
	REQUIRE(t, vmem_prepare(t, BLOCK_BYTES));
	vmem_plugged[0] = vmem_plugged[3] = vmem_plugged[4] = vmem_plugged[REGION_BLOCKS - 1] =
	    true;
	vmem_config.plugged_size = 4 * BLOCK_BYTES;
	vmem_config.requested_size = 5 * BLOCK_BYTES;
	vmem_set_config();
	REQUIRE(t, virtio_mem_open(&vmem_dev, &pretend_dev.dev, vmem) == 0);
	EXPECT_EQ(t, vmem_dev.nr_plugged, 4);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	expect_units(t, 5, 5);
	EXPECT_EQ(t, vmem_dev.plugs, 1);
	EXPECT_EQ(t, vmem_dev.state[REGION_BLOCKS - 1], UNIT_IN_USE);
	vmem_end(t);
}

/* The device's blocks are smaller than the unit: a partly plugged unit is unplugged. */
KTEST(partly_plugged_unit_is_unplugged, KTEST_SLOW)
{
	REQUIRE(t, vmem_prepare(t, BLOCK_BYTES / 2));
	vmem_plugged[2] = vmem_plugged[3] = vmem_plugged[5] = vmem_plugged[8] = true;
	vmem_config.plugged_size = 2 * BLOCK_BYTES;
	vmem_set_config();
	REQUIRE(t, virtio_mem_open(&vmem_dev, &pretend_dev.dev, vmem) == 0);
	EXPECT(t, vmem_plugged[2] && vmem_plugged[3] && !vmem_plugged[5] && !vmem_plugged[8]);
	EXPECT_EQ(t, vmem_config.plugged_size, BLOCK_BYTES);
	FOLLOW(t, 3, 0, 3, 3);
	/* Half a unit more plugs no further unit. */
	vmem_config.requested_size += BLOCK_BYTES / 2;
	vmem_set_config();
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	expect_units(t, 3, 3);
	vmem_end(t);
}

KTEST(unit_is_the_larger_of_block_and_pageblock, KTEST_SLOW)
{
	REQUIRE(t, vmem_prepare(t, 4 * BLOCK_BYTES));
	if (vmem_config.addr % vmem_config.block_size) {
		/* A region that does not begin at a multiple of its blocks makes no sense. */
		EXPECT_EQ(t, virtio_mem_open(&vmem_dev, &pretend_dev.dev, vmem), -EIO);
		vmem_config.region_size -= 4 * BLOCK_BYTES;
		vmem_config.addr = ALIGN_UP(vmem_config.addr, vmem_config.block_size);
		vmem_config.usable_region_size = vmem_config.region_size;
		vmem_set_config();
	}
	REQUIRE(t, virtio_mem_open(&vmem_dev, &pretend_dev.dev, vmem) == 0);
	EXPECT_EQ(t, vmem_dev.unit, 4 * PAGEBLOCK_PAGES);
	FOLLOW(t, 8, 0, 8, 8);
	vmem_end(t);
}

KTEST(changed_request_is_followed_at_once, KTEST_SLOW,
    .says = "pretend: PLUG of * at *: NACK\n"
            "pretend: UNPLUG of * at *: NACK\n")
{
	REQUIRE(t, vmem_begin(t));
	vmem_set_fault(VIRTIO_MEM_REQ_PLUG, VIRTIO_MEM_RESP_NACK, true);
	vmem_fault.requested = 3;
	FOLLOW(t, 6, 0, 3, 3);
	EXPECT_EQ(t, vmem_dev.refused, 1);
	vmem_set_fault(VIRTIO_MEM_REQ_UNPLUG, VIRTIO_MEM_RESP_NACK, true);
	vmem_fault.requested = 2;
	FOLLOW(t, 0, 0, 2, 2);
	vmem_end(t);
}

KTEST(refused_request_changes_nothing, KTEST_SLOW,
    .says = "pretend: PLUG of * at *: NACK\n"
            "pretend: UNPLUG of * at *: NACK\n"
            "pretend: UNPLUG of * at *: NACK\n"
            "pretend: PLUG of * at *: BUSY\n"
            "pretend: UNPLUG of * at *: BUSY\n"
            "pretend: UNPLUG of * at *: BUSY\n")
{
	static const u16 answers[] = {VIRTIO_MEM_RESP_NACK, VIRTIO_MEM_RESP_BUSY};
	unsigned i;

	REQUIRE(t, vmem_begin(t));
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		EXPECT_EQ(t, vmem_follow(2), 0);
		vmem_set_fault(VIRTIO_MEM_REQ_PLUG, answers[i], false);
		FOLLOW(t, 6, -EBUSY, 2, 2);
		vmem_set_fault(NO_FAULT, 0, false);
		EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
		expect_units(t, 6, 6);
		vmem_set_fault(VIRTIO_MEM_REQ_UNPLUG, answers[i], false);
		EXPECT_EQ(t, vmem_follow(3), -EBUSY);
		/* The units are offline, but still plugged. */
		expect_units(t, 6, 3);
		/* The units are used again without being plugged again. */
		vmem_requests[VIRTIO_MEM_REQ_PLUG] = 0;
		EXPECT_EQ(t, vmem_follow(5), -EBUSY);
		vmem_set_fault(NO_FAULT, 0, false);
		EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
		expect_units(t, 5, 5);
		EXPECT_EQ(t, vmem_requests[VIRTIO_MEM_REQ_PLUG], 0);
	}
	vmem_end(t);
}

/* The device can write to the request, so the driver does not read it again. */
KTEST(request_may_be_overwritten_by_the_device,
    .says = "pretend: PLUG of * at *: NACK\n"
            "pretend: PLUG of * at *: BUSY\n")
{
	static const u16 answers[] = {VIRTIO_MEM_RESP_NACK, VIRTIO_MEM_RESP_BUSY};
	unsigned i;

	REQUIRE(t, vmem_begin(t));
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		vmem_set_fault(VIRTIO_MEM_REQ_PLUG, answers[i], false);
		vmem_fault.scribbles = true;
		FOLLOW(t, 2, -EBUSY, 0, 0);
	}
	vmem_set_fault(NO_FAULT, 0, false);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	vmem_end(t);
}

/* The answer is an error, unknown, or missing, and the device may have done the request or not. */
KTEST(doubtful_state_is_queried_from_the_device, KTEST_SLOW, .says = doubts)
{
	static const u16 types[] = {VIRTIO_MEM_REQ_PLUG, VIRTIO_MEM_REQ_UNPLUG};
	static const u16 answers[] = {VIRTIO_MEM_RESP_ERROR, 77, VIRTIO_MEM_RESP_ACK};
	unsigned i, j, k, goal = 0;

	REQUIRE(t, vmem_begin(t));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		for (j = 0; j < ARRAY_SIZE(answers); j++) {
			for (k = 0; k < 2; k++) {
				goal = types[i] == VIRTIO_MEM_REQ_PLUG ? goal + 1 : goal - 1;
				vmem_set_fault(types[i], answers[j], true);
				vmem_fault.done = k;
				vmem_fault.dies = answers[j] == VIRTIO_MEM_RESP_ACK;
				EXPECT_EQ(t, vmem_follow(goal), -EIO);
				vmem_requests[VIRTIO_MEM_REQ_STATE] = 0;
				EXPECT_EQ(t, virtio_mem_restart(&vmem_dev), 0);
				EXPECT(t, vmem_requests[VIRTIO_MEM_REQ_STATE] > 0);
				EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
				expect_units(t, goal, goal);
			}
		}
	}
	/* A device that does not tell which blocks are plugged is not used. */
	vmem_set_fault(VIRTIO_MEM_REQ_STATE, VIRTIO_MEM_RESP_ERROR, false);
	EXPECT_EQ(t, virtio_mem_restart(&vmem_dev), -EIO);
	vmem_set_fault(NO_FAULT, 0, false);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), -EIO);
	EXPECT_EQ(t, virtio_mem_restart(&vmem_dev), 0);
	vmem_end(t);
}

/* After a failed restart the device has no queue: it gets no request until a restart succeeds. */
KTEST(device_that_fails_its_restart_is_not_used, KTEST_SLOW, .says = no_restart)
{
	REQUIRE(t, vmem_begin(t));
	EXPECT_EQ(t, vmem_follow(3), 0);
	pretend_dev.refused = VIRTIO_CONFIG_S_FEATURES_OK;
	EXPECT_EQ(t, virtio_mem_restart(&vmem_dev), -EIO);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), -EIO);
	FOLLOW(t, 5, -EIO, 3, 3);
	pretend_dev.refused = 0;
	EXPECT_EQ(t, virtio_mem_restart(&vmem_dev), 0);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	expect_units(t, 5, 5);
	/* The device lacks the queue that it must have. */
	pretend_dev.size[0] = 0;
	EXPECT_EQ(t, virtio_mem_restart(&vmem_dev), -ENODEV);
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), -EIO);
	pretend_dev.size[0] = 64;
	EXPECT_EQ(t, virtio_mem_restart(&vmem_dev), 0);
	vmem_end(t);
}

struct absurd {
	u64 offset, value;
};
#define ABSURD(member, value)                                                                      \
	{                                                                                          \
		offsetof(struct virtio_mem_config, member), (value)                                \
	}

KTEST(devices_with_absurd_configurations_are_refused, KTEST_SLOW, .says = absurd)
{
	static const struct absurd at_open[] = {ABSURD(block_size, 0), ABSURD(block_size, 1),
	    ABSURD(block_size, 2048), ABSURD(block_size, 3 * BLOCK_BYTES),
	    ABSURD(block_size, 1ULL << 63), ABSURD(addr, 4096), ABSURD(addr, ~(BLOCK_BYTES - 1)),
	    ABSURD(region_size, 0), ABSURD(region_size, BLOCK_BYTES / 2),
	    ABSURD(region_size, ~(BLOCK_BYTES - 1))};
	static const struct absurd later[] = {ABSURD(block_size, 2 * BLOCK_BYTES),
	    ABSURD(block_size, 0), ABSURD(addr, 0), ABSURD(usable_region_size, ~0ULL),
	    ABSURD(requested_size, ~0ULL), ABSURD(plugged_size, 0), ABSURD(plugged_size, ~0ULL)};
	struct virtio_mem_config good;
	unsigned i;

	REQUIRE(t, vmem_prepare(t, BLOCK_BYTES));
	good = vmem_config;
	for (i = 0; i < ARRAY_SIZE(at_open); i++) {
		memcpy((char *)&vmem_config + at_open[i].offset, &at_open[i].value, sizeof(u64));
		vmem_set_config();
		EXPECT_EQ(t, virtio_mem_open(&vmem_dev, &pretend_dev.dev, vmem), -EIO);
		EXPECT_EQ(t, pretend_dev.status, 0);
		vmem_config = good;
	}
	EXPECT_EQ(t, vmem_requests[VIRTIO_MEM_REQ_STATE], 0);
	vmem_set_config();
	REQUIRE(t, virtio_mem_open(&vmem_dev, &pretend_dev.dev, vmem) == 0);
	EXPECT_EQ(t, vmem_follow(4), 0);
	good = vmem_config;
	for (i = 0; i < ARRAY_SIZE(later); i++) {
		memcpy((char *)&vmem_config + later[i].offset, &later[i].value, sizeof(u64));
		vmem_set_config();
		EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), -EIO);
		vmem_config = good;
		vmem_set_config();
		expect_units(t, 4, 4);
	}
	pretend_dev.unsteady = 0xff;
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), -EIO);
	pretend_dev.unsteady = 0;
	EXPECT_EQ(t, virtio_mem_follow(&vmem_dev), 0);
	expect_units(t, 4, 4);
	vmem_end(t);
}
