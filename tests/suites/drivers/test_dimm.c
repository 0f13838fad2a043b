/* SPDX-License-Identifier: MIT */
/* test_dimm.c: memory modules in pretended slots; their memory is added to a memory of the test. */
#include "tests/lib/slots_help.h"

#define FREE        (START + BLOCK(2 * SIZE)) /* no memory is here */
#define DOMAIN      7u                        /* belongs to node 0 */
#define DEADLINE_NS 100000000ULL

static struct dimm_user dimms;

static struct memory *begin_dimms(struct ktest *t)
{
	static const u32 domain[1] = {DOMAIN};
	const struct slot_user user = {.take = dimm_take,
	    .give = dimm_give,
	    .used = dimm_used,
	    .again = dimm_again,
	    .arg = &dimms};
	struct memory *mem = one_node(t);

	slots_begin(SLOT_MEMORY);
	dimms = (struct dimm_user){
	    .mem = mem, .domain = domain, .nr_nodes = 1, .deadline_ns = DEADLINE_NS};
	slot_bank_init(&slots_bank, SLOT_MEMORY, &fake_regs, &user, NR);
	return mem;
}

static void plug_blocks(unsigned i, pfn_t pfn, unsigned blocks)
{
	slots_plug(i, (u64)pfn << PAGE_SHIFT, (u64)BLOCK(blocks) << PAGE_SHIFT, DOMAIN);
}

static void insert_blocks(unsigned i, pfn_t pfn, unsigned blocks)
{
	plug_blocks(i, pfn, blocks);
	slot_bank_scan(&slots_bank);
}

/* An operator adds the memory of a module of two pageblocks, and brings it online. */
static void add_by_hand(struct ktest *t, struct memory *mem)
{
	EXPECT_EQ(t, add_memory(mem, FREE, BLOCK(2), 0), 0);
	EXPECT_EQ(t, online_pages(mem, FREE, BLOCK(2), NULL), 0);
}

/* Such a module is refused for lack of memory for its descriptors; then its memory is added. */
static void refuse_and_add(struct ktest *t, struct memory *mem)
{
	arrays.maps_left = 0;
	insert_blocks(0, FREE, 2);
	EXPECT_EQ(t, slots_bank.slot[0].err, -ENOMEM);
	arrays.maps_left = -1;
	add_by_hand(t, mem);
}

KTEST_SUITE(dimm, KTEST_QUICK);

KTEST(dimm_is_plugged_and_unplugged, KTEST_SLOW,
    .says = "slots: DIMM slot 0, * MiB at *, domain 7: in use\n"
            "slots: DIMM slot 0, * MiB at *, domain 7: gone\n")
{
	struct memory *mem = NEED(t, begin_dimms(t));
	unsigned long managed;

	managed = memory_managed_pages(mem);
	insert_blocks(0, FREE, 4);
	EXPECT_EQ(t, memory_managed_pages(mem), managed + BLOCK(4));
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(4)), PB_ONLINE), 4);
	expect_sound(t, mem);
	slots_eject(0);
	EXPECT_EQ(t, fake_slots.slot[0].status, 0);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(4)), PB_HOLE), 4);
	EXPECT_EQ(t, memory_managed_pages(mem), managed);
	EXPECT_EQ(t, slots_bank.odd + slots_bank.refused, 0);
	drop_memory(t, mem);
}

KTEST(dimm_in_use_is_not_unplugged, KTEST_SLOW,
    .says = "slots: DIMM slot 1, * MiB at *, domain 7: in use\n"
            "slots: DIMM slot 1, * MiB at *, domain 7: cannot leave\n"
            "slots:   error EBUSY: too little memory would be left\n"
            "slots: DIMM slot 1, * MiB at *, domain 7: gone\n")
{
	struct memory *mem = begin_dimms(t);
	u32 i;

	REQUIRE(t, mem && mov_begin(t, mem));
	insert_blocks(1, FREE, 2);
	mov_fill(ALL_THERE_IS);
	mov.refuse = 1;
	slots_eject(1);
	EXPECT(t, slots_bank.slot[1].err && slots_bank.slot[1].why);
	EXPECT_EQ(t, fake_slots.slot[1].status, ENABLED);
	EXPECT_EQ(t, fake_slots.slot[1].event, 3);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(2)), PB_ONLINE), 2);
	for (i = 0; i < mov.nr; i++)
		mov_free(i);
	slots_eject(1);
	EXPECT_EQ(t, fake_slots.slot[1].status, 0);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(2)), PB_HOLE), 2);
	EXPECT_EQ(t, slots_bank.refused, 1);
	drop_memory(t, mem);
}

/* Memory that an operator offlined or onlined by hand is respected. */
KTEST(partly_offline_dimm_is_not_unplugged,
    .says = "slots: DIMM slot 0, * MiB at *, domain 7: in use\n"
            "slots: blocker: pfn *: partly offline\n"
            "slots: DIMM slot 0, * MiB at *, domain 7: cannot leave\n"
            "slots:   error EINVAL: partly offline\n"
            "slots: DIMM slot 0, * MiB at *, domain 7: gone\n")
{
	struct memory *mem = NEED(t, begin_dimms(t));

	insert_blocks(0, FREE, 2);
	EXPECT_EQ(t, offline_pages(mem, FREE, BLOCK(1), NULL, NULL), 0);
	slots_eject(0);
	EXPECT_EQ(t, slots_bank.refused, 1);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(2)), PB_ONLINE), 1);
	EXPECT_EQ(t, offline_pages(mem, FREE + BLOCK(1), BLOCK(1), NULL, NULL), 0);
	slots_eject(0);
	EXPECT_EQ(t, fake_slots.slot[0].status, 0);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(2)), PB_HOLE), 2);
	drop_memory(t, mem);
}

/* Memory that was removed by hand needs the eject only. */
KTEST(removed_dimm_is_unplugged,
    .says = "slots: DIMM slot 0, * MiB at *, domain 7: in use\n"
            "slots: DIMM slot 0, * MiB at *, domain 7: gone\n")
{
	struct memory *mem = NEED(t, begin_dimms(t));

	insert_blocks(0, FREE, 2);
	EXPECT_EQ(t, offline_pages(mem, FREE, BLOCK(2), NULL, NULL), 0);
	EXPECT_EQ(t, remove_memory(mem, FREE, BLOCK(2)), 0);
	slots_eject(0);
	EXPECT_EQ(t, fake_slots.slot[0].status, 0);
	EXPECT_EQ(t, slots_bank.refused, 0);
	drop_memory(t, mem);
}

KTEST(absurd_dimms_change_nothing, .reports = "?slots: ")
{
	const u64 at = (u64)FREE << PAGE_SHIFT, size = (u64)BLOCK(2) << PAGE_SHIFT;
	static const char *const whole = "not whole pageblocks, or where no memory can be";
	static const char *const there = "some of its addresses have memory already";
	static const char *const domain =
	    "of a proximity domain that the firmware does not describe";
	const struct {
		u64 address, size;
		u32 domain;
		int err;
		const char *why;
	} bad[] = {
	    {at, 0, DOMAIN, -EINVAL, whole},
	    {at, size + 1, DOMAIN, -EINVAL, whole},
	    {at + 1, size, DOMAIN, -EINVAL, whole},
	    {at, size + PAGE_SIZE, DOMAIN, -EINVAL, whole},
	    {at + PAGE_SIZE, size, DOMAIN, -EINVAL, whole},
	    {at, ~0ULL - size + 1, DOMAIN, -EINVAL, whole},
	    {0ULL - size, 2 * size, DOMAIN, -EINVAL, whole},
	    {~0ULL, ~0ULL, DOMAIN, -EINVAL, whole},
	    {(u64)END << PAGE_SHIFT, size, DOMAIN, -EINVAL, whole},
	    {(u64)START << PAGE_SHIFT, size, DOMAIN, -EEXIST, there},
	    {at - size, 2 * size, DOMAIN, -EEXIST, there},
	    {at, size, DOMAIN + 1, -ENODEV, domain},
	};
	struct memory *mem = NEED(t, begin_dimms(t));
	struct fingerprint before, after;
	unsigned i;

	before = take_fingerprint(mem);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		slots_insert(i % NR, bad[i].address, bad[i].size, bad[i].domain);
		EXPECT_EQ(t, slots_bank.slot[i % NR].state, SLOT_REFUSED);
		EXPECT_EQ(t, slots_bank.slot[i % NR].err, bad[i].err);
		EXPECT(t,
		    slots_bank.slot[i % NR].why &&
		        !strcmp(slots_bank.slot[i % NR].why, bad[i].why));
		expect_told(t, i % NR, 1, 1);
		slots_eject(i % NR);
		EXPECT_EQ(t, fake_slots.slot[i % NR].status, 0);
	}
	after = take_fingerprint(mem);
	EXPECT(t, fingerprint_same(&before, &after));
	expect_untouched(t, mem);
	EXPECT_EQ(t, arrays.grown + arrays.shrunk + arrays.mapped, 0);
	drop_memory(t, mem);
}

/* It is tried again when the kernel can use enough free memory, and not before. */
KTEST(dimm_without_memory_for_its_descriptors_is_refused,
    .says = "slots: DIMM slot 0, * MiB at *, domain 7: not taken\n"
            "slots:   error ENOMEM: no memory for its descriptors\n"
            "slots: DIMM slot 0, * MiB at *, domain 7: in use\n")
{
	struct memory *mem = NEED(t, begin_dimms(t));
	struct fingerprint before, after;
	struct zone *zone = &mem->zones[ZONE_NORMAL];
	struct pile pile = {NULL, 0};
	unsigned long n;

	all_caches_off(t, mem);
	/* descriptors do not move: they get no lent page */
	set_type(zone, zone->start_pfn, MT_CMA);
	pile_alloc(mem, &pile, GFP_KERNEL | GFP_NOWAIT, 0, ALL_THERE_IS);
	EXPECT(t, zone->nr_free >= PAGEBLOCK_PAGES);
	before = take_fingerprint(mem);
	arrays.maps_left = 0;
	insert_blocks(0, FREE, 4);
	EXPECT_EQ(t, slots_bank.slot[0].state, SLOT_REFUSED);
	EXPECT_EQ(t, slots_bank.slot[0].err, -ENOMEM);
	EXPECT(t,
	    slots_bank.slot[0].why &&
	        !strcmp(slots_bank.slot[0].why, "no memory for its descriptors"));
	after = take_fingerprint(mem);
	EXPECT(t, fingerprint_same(&before, &after));
	EXPECT_EQ(t, arrays.mapped, 0);
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, slots_bank.refused, 1);
	EXPECT(t, slot_bank_lacks_memory(&slots_bank));
	/* A small module needs a section's descriptors: of twice these, one page is missing. */
	for (n = 1; n < 2 * (SECTION_PAGES * sizeof(struct page) >> PAGE_SHIFT); n++)
		give_block(zone, pile_pop(&pile));
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, slots_bank.slot[0].state, SLOT_REFUSED);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	/* A try that fails for the same reason is not reported again. */
	arrays.maps_left = 0;
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, slots_bank.slot[0].err, -ENOMEM);
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, slots_bank.slot[0].state, SLOT_USED);
	EXPECT(t, !slot_bank_lacks_memory(&slots_bank));
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(4)), PB_ONLINE), 4);
	drop_memory(t, mem);
}

/* An operator adds the memory of a module that the driver has refused. It goes offline first. */
KTEST(refused_dimm_in_use_goes_offline_before_the_eject,
    .says = "slots: DIMM slot 0, * MiB at *, domain 7: not taken\n"
            "slots:   error ENOMEM: no memory for its descriptors\n"
            "slots: blocker: pfn *: partly offline\n"
            "slots: DIMM slot 0, * MiB at *, domain 7: cannot leave\n"
            "slots:   error EINVAL: partly offline\n"
            "slots: DIMM slot 0, * MiB at *, domain 7: gone\n")
{
	struct memory *mem = NEED(t, begin_dimms(t));

	refuse_and_add(t, mem);
	EXPECT_EQ(t, slots_bank.slot[0].state, SLOT_REFUSED);
	EXPECT_EQ(t, offline_pages(mem, FREE, BLOCK(1), NULL, NULL), 0);
	slots_eject(0);
	EXPECT_EQ(t, fake_slots.slot[0].ejected, 0);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(2)), PB_ONLINE), 1);
	EXPECT_EQ(t, online_pages(mem, FREE, BLOCK(1), NULL), 0);
	slots_eject(0);
	EXPECT_EQ(t, fake_slots.slot[0].ejected, 1);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(2)), PB_HOLE), 2);
	expect_sound(t, mem);
	drop_memory(t, mem);
}

/* Modules of both known domains belong to node 0; one of a third domain is refused. */
KTEST(merged_nodes_accept_dimms_of_each,
    .says = "slots: DIMM slot 0, * MiB at *, domain 7: in use\n"
            "slots: DIMM slot 1, * MiB at *, domain 3: in use\n"
            "slots: DIMM slot 2, * MiB at *, domain 5: not taken\n"
            "slots:   error ENODEV: of a proximity domain that the firmware does not describe\n"
            "slots: DIMM slot 0, * MiB at *, domain 7: gone\n"
            "slots: DIMM slot 1, * MiB at *, domain 3: gone\n")
{
	static const u32 domain[3] = {3, DOMAIN, 5};
	struct memory *mem = NEED(t, begin_dimms(t));

	dimms.domain = domain;
	dimms.nr_nodes = 2;
	plug_blocks(0, FREE, 1);
	plug_blocks(1, FREE + BLOCK(1), 1);
	fake_slots.slot[1].dev.id = 3;
	plug_blocks(2, FREE + BLOCK(2), 1);
	fake_slots.slot[2].dev.id = 5;
	slot_bank_scan(&slots_bank);
	EXPECT(t, slots_bank.slot[0].state == SLOT_USED && slots_bank.slot[1].state == SLOT_USED);
	EXPECT_EQ(t, slots_bank.slot[2].err, -ENODEV);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(3)), PB_ONLINE), 2);
	slots_ask_for(0);
	slots_eject(1);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(3)), PB_HOLE), 3);
	drop_memory(t, mem);
}

KTEST(second_dimm_at_one_address_is_refused, KTEST_SLOW,
    .says = "slots: DIMM slot 0, * MiB at *, domain 7: in use\n"
            "slots: DIMM slot 1, * MiB at *, domain 7: not taken\n"
            "slots:   error EEXIST: some of its addresses have memory already\n"
            "slots: DIMM slot 1, * MiB at *, domain 7: gone\n"
            "slots: DIMM slot 0, * MiB at *, domain 7: gone\n")
{
	struct memory *mem = NEED(t, begin_dimms(t));

	plug_blocks(0, FREE, 3);
	insert_blocks(1, FREE + BLOCK(2), 3);
	EXPECT_EQ(t, slots_bank.slot[0].state, SLOT_USED);
	EXPECT_EQ(t, slots_bank.slot[1].err, -EEXIST);
	slots_eject(1);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(3)), PB_ONLINE), 3);
	expect_sound(t, mem);
	slots_eject(0);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(5)), PB_HOLE), 5);
	drop_memory(t, mem);
}

/* The module was given back but not ejected, so its memory is online again. */
KTEST(dimm_that_fails_to_eject_is_onlined_again, KTEST_SLOW,
    .says = "slots: DIMM slot 0, * MiB at *, domain 7: in use\n"
            "slots: DIMM slot 0 was told to eject and did not: the device is used again\n"
            "slots: DIMM slot 0, * MiB at *, domain 7: in use\n")
{
	struct memory *mem = NEED(t, begin_dimms(t));

	insert_blocks(0, FREE, 2);
	fake_slots.holds_on = true;
	slots_eject(0);
	EXPECT_EQ(t, slots_bank.odd, 1);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(2)), PB_ONLINE), 2);
	expect_sound(t, mem);
	drop_memory(t, mem);
}

/* Whatever the registers hold, a scan ends and the memory is sound. */
KTEST(random_registers_lose_nothing, KTEST_SLOW, .reports = "?slots: ")
{
	struct memory *mem = NEED(t, begin_dimms(t));
	u64 rand = t->seed | 1;
	unsigned round, i;

	for (round = 0; round < 200; round++) {
		for (i = 0; i < NR; i++) {
			u64 r = ktest_rand(&rand);

			fake_slots.slot[i].status = r & 0xf;
			fake_slots.slot[i].dev.address = (FREE + BLOCK(r >> 8 & 31)) << PAGE_SHIFT;
			fake_slots.slot[i].dev.size = (r >> 16 & 7)
			    << (PAGE_SHIFT + PAGEBLOCK_ORDER - (r >> 24 & 1));
			fake_slots.slot[i].dev.id = DOMAIN + (r >> 32 & 7) / 7;
		}
		slot_bank_scan(&slots_bank);
	}
	expect_sound(t, mem);
	EXPECT(t, slots_bank.taken > 0 && slots_bank.refused > 0 && slots_bank.odd > 0);
	drop_memory(t, mem);
}

/* ---- other threads work on the memory at the same time ---- */

static unsigned online_before; /* pageblocks brought online after the driver has added them */

static int take_late(void *arg, const struct slot_device *dev, const char **why)
{
	pfn_t start = dev->address >> PAGE_SHIFT;
	unsigned long nr = dev->size >> PAGE_SHIFT;

	if (add_memory(dimms.mem, start, nr, 0) ||
	    online_pages(dimms.mem, start, BLOCK(online_before), NULL))
		return -EIO;
	return dimm_use(arg, dev, online_pages(dimms.mem, start, nr, NULL));
}

/* Insert 4 pageblocks, of which @online go online, and ask for them back. */
static void eject_with_online(struct ktest *t, unsigned online)
{
	struct memory *mem = NEED(t, begin_dimms(t));
	const struct slot_user user = {.take = take_late, .give = dimm_give, .arg = &dimms};

	online_before = online;
	slot_bank_init(&slots_bank, SLOT_MEMORY, &fake_regs, &user, NR);
	insert_blocks(0, FREE, 4);
	EXPECT_EQ(t, slots_bank.slot[0].state, SLOT_USED);
	slots_eject(0);
	EXPECT_EQ(t, fake_slots.slot[0].ejected, online == 4);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(4)), PB_ONLINE), online % 4);
	drop_memory(t, mem);
}

KTEST(memory_that_is_partly_offline_stays,
    .says = "slots: DIMM slot 0, * MiB at *, domain 7: in use\n"
            "slots: blocker: pfn *: partly offline\n"
            "slots: DIMM slot 0, * MiB at *, domain 7: cannot leave\n"
            "slots:   error EINVAL: partly offline\n")
{
	eject_with_online(t, 1);
}

KTEST(memory_in_use_goes_offline_before_its_module_is_ejected,
    .says = "slots: DIMM slot 0, * MiB at *, domain 7: in use\n"
            "slots: DIMM slot 0, * MiB at *, domain 7: gone\n")
{
	eject_with_online(t, 4);
}

/*
 * Memory that was online, and went offline again, is not in use.  A module that cannot be removed
 * stays as it was: online, or offline if an operator has taken it offline.
 */
KTEST(module_stays_as_it_was, .reports = "another operation works on it")
{
	struct memory *mem = NEED(t, begin_dimms(t));
	const struct slot_device dev = {
	    .address = (u64)FREE << PAGE_SHIFT, .size = (u64)BLOCK(4) << PAGE_SHIFT};
	struct pfn_range range = pfn_range(FREE, BLOCK(4));
	struct range_claim claim = {.range = range, .stays = true};
	const char *why = NULL;

	EXPECT_EQ(t, add_memory(mem, FREE, BLOCK(4), 0), 0);
	EXPECT_EQ(t, dimm_use(&dimms, &dev, -EALREADY), -EAGAIN);
	EXPECT_EQ(t, range_count(mem, range, PB_HOLE), 4);
	EXPECT_EQ(t, add_memory(mem, FREE, BLOCK(4), 0), 0);
	dimm_keep(&dimms, &dev, false);
	EXPECT_EQ(t, range_count(mem, range, PB_OFFLINE), 4);
	dimm_keep(&dimms, &dev, true);
	EXPECT_EQ(t, range_count(mem, range, PB_ONLINE), 4);
	EXPECT_EQ(t, offline_pages(mem, FREE, BLOCK(4), NULL, NULL), 0);
	EXPECT_EQ(t, range_claim(mem, &claim), 0);
	EXPECT_EQ(t, dimm_use(&dimms, &dev, -EBUSY), 0);
	EXPECT_EQ(t, dimm_give(&dimms, &dev, &why), -EBUSY);
	range_unclaim(mem, &claim);
	EXPECT_EQ(t, dimm_give(&dimms, &dev, &why), 0);
	EXPECT_EQ(t, range_count(mem, range, PB_HOLE), 4);
	drop_memory(t, mem);
}

/* A second arrival is signalled for a refused module whose memory an operator has added. */
KTEST(second_arrival_does_not_make_memory_in_use_foreign, .reports = "slots")
{
	struct memory *mem = NEED(t, begin_dimms(t));

	refuse_and_add(t, mem);
	fake_slots.slot[0].status |= INSERT;
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, slots_bank.slot[0].state, SLOT_REFUSED);
	slots_eject(0);
	EXPECT_EQ(t, fake_slots.slot[0].ejected, 1);
	/* The module is gone: is its memory still online? */
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(2)), PB_ONLINE), 0);
	drop_memory(t, mem);
}

/* The other module has gone; an operator adds the memory of this one. */
KTEST(module_is_not_foreign_for_ever, .reports = "slots")
{
	struct memory *mem = NEED(t, begin_dimms(t));

	plug_blocks(0, FREE, 2);
	insert_blocks(1, FREE, 2);
	EXPECT_EQ(t, slots_bank.slot[1].err, -EEXIST);
	slots_eject(0);
	EXPECT_EQ(t, slots_bank.slot[0].state, SLOT_EMPTY);
	add_by_hand(t, mem);
	slots_eject(1);
	EXPECT_EQ(t, fake_slots.slot[1].ejected, 1);
	EXPECT_EQ(t, range_count(mem, pfn_range(FREE, BLOCK(2)), PB_ONLINE), 0);
	drop_memory(t, mem);
}

/* A removal that was refused does not end the tries of a module refused for lack of memory. */
KTEST(module_without_descriptors_is_tried_again_after_a_refused_removal, .reports = "slots")
{
	struct memory *mem = NEED(t, begin_dimms(t));

	refuse_and_add(t, mem);
	EXPECT_EQ(t, offline_pages(mem, FREE, BLOCK(1), NULL, NULL), 0);
	slots_eject(0);
	EXPECT_EQ(t, fake_slots.slot[0].ejected, 0);
	EXPECT_EQ(t, offline_pages(mem, FREE + BLOCK(1), BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, remove_memory(mem, FREE, BLOCK(2)), 0);
	EXPECT(t, slot_bank_lacks_memory(&slots_bank));
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, slots_bank.slot[0].state, SLOT_USED);
	drop_memory(t, mem);
}
