/* SPDX-License-Identifier: MIT */
/*
 * test_boot_zones.c: how RAM is divided into nodes and zones at boot, and which part is standby.
 *
 * Each machine is a table of RAM and firmware data, with the exact plan that it must get.
 */
#include <quarry/acpi.h>
#include <quarry/boot_zones.h>
#include <quarry/ktest.h>
#include <quarry/memblock.h>

#define M          (1UL << (20 - PAGE_SHIFT)) /* pages of a MiB */
#define B          PAGEBLOCK_PAGES
#define S          ((pfn_t)BOOT_STANDBY_STEP)
#define G4         (4096 * M)
#define MAX_RANGES 5
#define MAX_WANTED 8

struct part {
	pfn_t start, end; /* end 0: the end of the list */
};

struct layout {
	const char *what;
	struct part ram[MAX_RANGES]; /* pages */
	struct part taken[MAX_RANGES];
	struct {
		pfn_t start, end;
		u32 node;
	} affinity[MAX_RANGES];
	unsigned nr_nodes;
	unsigned long movable;
	u64 standby; /* MiB */
	/* The expected plan. */
	unsigned planned_nodes;
	struct part span;
	struct {
		unsigned node;
		enum zone_kind kind;
		pfn_t start, end, standby, standby_end;
	} zone[MAX_WANTED]; /* the other zones are empty */
};

#define DMA32   ZONE_DMA32
#define NORMAL  ZONE_NORMAL
#define MOVABLE ZONE_MOVABLE

static const struct layout layouts[] = {
    {"half of it is movable", {{0, 512 * M}}, {{0, 1}}, {{0}}, 1, 50, 0, 1, {0, 512 * M},
        {{0, DMA32, 0, 256 * M, 0, 0}, {0, MOVABLE, 256 * M, 512 * M, 0, 0}}},
    {"none of it", {{0, 512 * M}}, {{0}}, {{0}}, 1, 0, 0, 1, {0, 512 * M},
        {{0, DMA32, 0, 512 * M, 0, 0}}},
    {"a quarter", {{0, 400 * M}}, {{0}}, {{0}}, 1, 25, 0, 1, {0, 400 * M},
        {{0, DMA32, 0, 300 * M, 0, 0}, {0, MOVABLE, 300 * M, 400 * M, 0, 0}}},
    {"a part of a pageblock is not movable", {{0, 7 * B}}, {{0}}, {{0}}, 1, 50, 0, 1, {0, 7 * B},
        {{0, DMA32, 0, 4 * B, 0, 0}, {0, MOVABLE, 4 * B, 7 * B, 0, 0}}},
    {"above 4 GiB", {{0, 3072 * M}, {G4, 8192 * M}}, {{0}}, {{0}}, 1, 50, 0, 1, {0, 8192 * M},
        {{0, DMA32, 0, G4, 0, 0}, {0, NORMAL, G4, 4608 * M, 0, 0},
            {0, MOVABLE, 4608 * M, 8192 * M, 0, 0}}},
    {"a border below 4 GiB", {{0, 3072 * M}, {G4, 5120 * M}}, {{0}}, {{0}}, 1, 50, 0, 1,
        {0, 5120 * M}, {{0, DMA32, 0, 2048 * M, 0, 0}, {0, MOVABLE, 2048 * M, 5120 * M, 0, 0}}},
    {"a border at the hole", {{0, 2048 * M}, {G4, 6144 * M}}, {{0}}, {{0}}, 1, 50, 0, 1,
        {0, 6144 * M}, {{0, DMA32, 0, G4, 0, 0}, {0, MOVABLE, G4, 6144 * M, 0, 0}}},
    {"a hole at 4 GiB", {{0, 2048 * M}, {6144 * M, 10240 * M}}, {{0}}, {{0}}, 1, 50, 0, 1,
        {0, 10240 * M},
        {{0, DMA32, 0, G4, 0, 0}, {0, NORMAL, 6144 * M, 7168 * M, 0, 0},
            {0, MOVABLE, 7168 * M, 10240 * M, 0, 0}}},
    {"RAM that begins late", {{512 * M, 1024 * M}}, {{0}}, {{0}}, 1, 50, 0, 1, {512 * M, 1024 * M},
        {{0, DMA32, 512 * M, 768 * M, 0, 0}, {0, MOVABLE, 768 * M, 1024 * M, 0, 0}}},
    {"a node above 4 GiB alone", {{G4, G4 + 8 * B}}, {{0}}, {{0}}, 1, 50, 0, 1, {G4, G4 + 8 * B},
        {{0, NORMAL, G4, G4 + 4 * B, 0, 0}, {0, MOVABLE, G4 + 4 * B, G4 + 8 * B, 0, 0}}},

    {"two nodes", {{0, 2048 * M}}, {{0}}, {{0, 1024 * M, 0}, {1024 * M, 2048 * M, 1}}, 2, 50, 0, 2,
        {0, 2048 * M},
        {{0, DMA32, 0, 512 * M, 0, 0}, {0, MOVABLE, 512 * M, 1024 * M, 0, 0},
            {1, DMA32, 1024 * M, 1536 * M, 0, 0}, {1, MOVABLE, 1536 * M, 2048 * M, 0, 0}}},
    {"the upper one first", {{0, 2048 * M}}, {{0}}, {{1024 * M, 2048 * M, 0}, {0, 1024 * M, 1}}, 2,
        0, 0, 2, {0, 2048 * M},
        {{0, DMA32, 1024 * M, 2048 * M, 0, 0}, {1, DMA32, 0, 1024 * M, 0, 0}}},
    {"one of three has no memory", {{0, 2048 * M}}, {{0}},
        {{0, 1024 * M, 0}, {1024 * M, 2048 * M, 2}}, 3, 0, 0, 3, {0, 2048 * M},
        {{0, DMA32, 0, 1024 * M, 0, 0}, {2, DMA32, 1024 * M, 2048 * M, 0, 0}}},
    {"what nothing is said of is node 0's", {{0, 2048 * M}}, {{0}}, {{0, 1024 * M, 1}}, 2, 0, 0, 2,
        {0, 2048 * M}, {{1, DMA32, 0, 1024 * M, 0, 0}, {0, DMA32, 1024 * M, 2048 * M, 0, 0}}},
    {"a hole between nodes", {{0, 1024 * M}, {2048 * M, 3072 * M}}, {{0}},
        {{0, 1024 * M, 0}, {2048 * M, 3072 * M, 1}}, 2, 0, 0, 2, {0, 3072 * M},
        {{0, DMA32, 0, 1024 * M, 0, 0}, {1, DMA32, 2048 * M, 3072 * M, 0, 0}}},
    {"a node that there is not", {{0, 2048 * M}}, {{0}}, {{1024 * M, 2048 * M, 2}}, 2, 0, 0, 2,
        {0, 2048 * M}, {{0, DMA32, 0, 2048 * M, 0, 0}}},
    {"a pageblock of two nodes is the first one's", {{0, 20 * B}}, {{0}},
        {{0, 10 * B + 1, 0}, {10 * B + 1, 20 * B, 1}}, 2, 50, 0, 2, {0, 20 * B},
        {{0, DMA32, 0, 6 * B, 0, 0}, {0, MOVABLE, 6 * B, 11 * B, 0, 0},
            {1, DMA32, 11 * B, 16 * B, 0, 0}, {1, MOVABLE, 16 * B, 20 * B, 0, 0}}},
    {"of the first page with RAM", {{0, 4 * B}, {4 * B + 3, 8 * B}}, {{0}},
        {{0, 4 * B + 3, 0}, {4 * B + 3, 8 * B, 1}}, 2, 0, 0, 2, {0, 8 * B},
        {{0, DMA32, 0, 4 * B, 0, 0}, {1, DMA32, 4 * B, 8 * B, 0, 0}}},
    {"nodes that interleave are one", {{0, 1536 * M}}, {{0}},
        {{0, 512 * M, 0}, {512 * M, 1024 * M, 1}, {1024 * M, 1536 * M, 0}}, 2, 50, 0, 1,
        {0, 1536 * M}, {{0, DMA32, 0, 768 * M, 0, 0}, {0, MOVABLE, 768 * M, 1536 * M, 0, 0}}},
    {"the second and third interleave", {{0, 2048 * M}}, {{0}},
        {{0, 512 * M, 0}, {512 * M, 1024 * M, 2}, {1024 * M, 1536 * M, 1}, {1536 * M, 2048 * M, 2}},
        3, 0, 0, 1, {0, 2048 * M}, {{0, DMA32, 0, 2048 * M, 0, 0}}},

    {"RAM from and to the middle of a pageblock", {{3 * B + 1, 10 * B - 1}}, {{0}}, {{0}}, 1, 50, 0,
        1, {3 * B, 10 * B}, {{0, DMA32, 3 * B, 7 * B, 0, 0}, {0, MOVABLE, 7 * B, 10 * B, 0, 0}}},
    {"page 0 alone is no RAM", {{0, 1}, {4 * B, 8 * B}}, {{0}}, {{0}}, 1, 50, 0, 1, {0, 8 * B},
        {{0, DMA32, 4 * B, 6 * B, 0, 0}, {0, MOVABLE, 6 * B, 8 * B, 0, 0}}},
    {"pages 0 and 1 are", {{0, 2}, {4 * B, 7 * B}}, {{0}}, {{0}}, 1, 50, 0, 1, {0, 7 * B},
        {{0, DMA32, 0, 5 * B, 0, 0}, {0, MOVABLE, 5 * B, 7 * B, 0, 0}}},
    {"page 0 says nothing of its pageblock's node", {{0, 8 * B}}, {{0}}, {{0, 1, 1}, {1, 8 * B, 0}},
        2, 0, 0, 2, {0, 8 * B}, {{0, DMA32, 0, 8 * B, 0, 0}}},
    {"a hole within a pageblock", {{0, 2 * B + 1}, {2 * B + 3, 6 * B}}, {{0}}, {{0}}, 1, 50, 0, 1,
        {0, 6 * B}, {{0, DMA32, 0, 3 * B, 0, 0}, {0, MOVABLE, 3 * B, 6 * B, 0, 0}}},
    {"a hole where one begins", {{0, 2 * B}, {2 * B + 3, 6 * B}}, {{0}}, {{0}}, 1, 50, 0, 1,
        {0, 6 * B}, {{0, DMA32, 0, 3 * B, 0, 0}, {0, MOVABLE, 3 * B, 6 * B, 0, 0}}},
    {"a hole of one pageblock", {{0, 2 * B}, {3 * B, 7 * B}}, {{0}}, {{0}}, 1, 50, 0, 1, {0, 7 * B},
        {{0, DMA32, 0, 4 * B, 0, 0}, {0, MOVABLE, 4 * B, 7 * B, 0, 0}}},
    {"a hole of one and a half", {{0, 2 * B}, {3 * B + 5, 7 * B}}, {{0}}, {{0}}, 1, 50, 0, 1,
        {0, 7 * B}, {{0, DMA32, 0, 4 * B, 0, 0}, {0, MOVABLE, 4 * B, 7 * B, 0, 0}}},

    {"256 MiB are online, above 4 GiB", {{0, 1024 * M}, {G4, 6144 * M}}, {{0}}, {{0}}, 1, 0, 256, 1,
        {0, 6144 * M}, {{0, DMA32, 0, G4, 0, 0}, {0, NORMAL, G4, 6144 * M, 4352 * M, 6144 * M}}},
    {"of each zone", {{0, 1024 * M}, {G4, 6144 * M}}, {{0}}, {{0}}, 1, 50, 256, 1, {0, 6144 * M},
        {{0, DMA32, 0, G4, 0, 0}, {0, NORMAL, G4, 4608 * M, 4352 * M, 4608 * M},
            {0, MOVABLE, 4608 * M, 6144 * M, 4864 * M, 6144 * M}}},
    {"and of each node", {{G4, 6144 * M}}, {{0}}, {{G4, 5120 * M, 0}, {5120 * M, 6144 * M, 1}}, 2,
        0, 512, 2, {G4, 6144 * M},
        {{0, NORMAL, G4, 5120 * M, 4608 * M, 5120 * M},
            {1, NORMAL, 5120 * M, 6144 * M, 5632 * M, 6144 * M}}},
    {"holes are not counted", {{G4, 4224 * M}, {5120 * M, 6144 * M}}, {{0}}, {{0}}, 1, 0, 256, 1,
        {G4, 6144 * M}, {{0, NORMAL, G4, 6144 * M, (5248 * M + S - 1) / S *S, 6144 * M}}},
    {"a zone that is shorter", {{G4, 4224 * M}}, {{0}}, {{0}}, 1, 0, 1024, 1, {G4, 4224 * M},
        {{0, NORMAL, G4, 4224 * M, (4224 * M + S - 1) / S *S, (4224 * M + S - 1) / S *S}}},
    {"the border is a step's", {{G4, 4700 * M}}, {{0}}, {{0}}, 1, 50, 1024, 1, {G4, 4700 * M},
        {{0, NORMAL, G4, 4398 * M / S *S, 4398 * M / S *S, 4398 * M / S *S},
            {0, MOVABLE, 4398 * M / S *S, 4700 * M, (4700 * M + S - 1) / S *S,
                (4700 * M + S - 1) / S *S}}},
    {"but for a node within one", {{G4, G4 + S}}, {{0}}, {{0}}, 1, 50, 1024, 1, {G4, G4 + S},
        {{0, NORMAL, G4, G4 + S / 2, G4 + S, G4 + S},
            {0, MOVABLE, G4 + S / 2, G4 + S, G4 + S, G4 + S}}},
    {"a last step that is not whole", {{G4, 5120 * M + S / 2}}, {{0}}, {{0}}, 1, 0, 256, 1,
        {G4, 5120 * M + S / 2},
        {{0, NORMAL, G4, 5120 * M, 4352 * M, 5120 * M},
            {0, MOVABLE, 5120 * M, 5120 * M + S / 2, 5120 * M + S, 5120 * M + S}}},
    {"it ends before what is taken", {{G4, 6144 * M}}, {{5120 * M, 5120 * M + 1}}, {{0}}, 1, 0, 256,
        1, {G4, 6144 * M}, {{0, NORMAL, G4, 6144 * M, 4352 * M, 5120 * M}}},
    {"at the end of a step too", {{G4, 6144 * M}}, {{5120 * M + S - 1, 5120 * M + S}}, {{0}}, 1, 0,
        256, 1, {G4, 6144 * M}, {{0, NORMAL, G4, 6144 * M, 4352 * M, 5120 * M}}},
    {"what is taken below it is no matter", {{G4, 6144 * M}}, {{4352 * M - 1, 4352 * M}}, {{0}}, 1,
        0, 256, 1, {G4, 6144 * M}, {{0, NORMAL, G4, 6144 * M, 4352 * M, 6144 * M}}},
    {"nor above", {{G4, 6144 * M}}, {{6144 * M, 6145 * M}}, {{0}}, 1, 0, 256, 1, {G4, 6144 * M},
        {{0, NORMAL, G4, 6144 * M, 4352 * M, 6144 * M}}},
    {"whole steps without RAM", {{G4, 5120 * M}, {6144 * M, 7168 * M}}, {{0}}, {{0}}, 1, 0, 256, 1,
        {G4, 7168 * M}, {{0, NORMAL, G4, 7168 * M, 4352 * M, 7168 * M}}},
    {"one that has RAM in its first half", {{G4, 5120 * M + S / 2}, {6144 * M, 7168 * M + S / 2}},
        {{0}}, {{0}}, 1, 0, 256, 1, {G4, 7168 * M + S / 2},
        {{0, NORMAL, G4, 7168 * M, 4352 * M, 5120 * M},
            {0, MOVABLE, 7168 * M, 7168 * M + S / 2, 7168 * M + S, 7168 * M + S}}},
    {"one that has RAM in its second half", {{G4, 5120 * M}, {5120 * M + S / 2, 7168 * M + S}},
        {{0}}, {{0}}, 1, 0, 256, 1, {G4, 7168 * M + S},
        {{0, NORMAL, G4, 7168 * M + S, 4352 * M, 5120 * M}}},
    {"nothing up to 64 GiB", {{0, 65536 * M}}, {{0}}, {{0}}, 1, 0, BOOT_STANDBY_BY_SIZE, 1,
        {0, 65536 * M}, {{0, DMA32, 0, G4, 0, 0}, {0, NORMAL, G4, 65536 * M, 0, 0}}},
    {"all but 512 MiB above that", {{0, 65792 * M}}, {{0}}, {{0}}, 1, 0, BOOT_STANDBY_BY_SIZE, 1,
        {0, 65792 * M}, {{0, DMA32, 0, G4, 0, 0}, {0, NORMAL, G4, 65792 * M, 4608 * M, 65792 * M}}},
    {"of all nodes together", {{0, 65792 * M}}, {{0}}, {{0, G4, 0}, {G4, 65792 * M, 1}}, 2, 0,
        BOOT_STANDBY_BY_SIZE, 2, {0, 65792 * M},
        {{0, DMA32, 0, G4, 0, 0}, {1, NORMAL, G4, 65792 * M, 4608 * M, 65792 * M}}},
    {"but if nothing shall", {{0, 65792 * M}}, {{0}}, {{0}}, 1, 0, 0, 1, {0, 65792 * M},
        {{0, DMA32, 0, G4, 0, 0}, {0, NORMAL, G4, 65792 * M, 0, 0}}},
};

static struct memblock mb;
static struct acpi_info info;
static struct boot_plan plan;

static void make_plan(struct ktest *t, const struct layout *l)
{
	struct boot_machine machine = {
	    .mb = &mb, .info = &info, .movable = l->movable, .standby = l->standby};
	unsigned i;

	memset(&mb, 0, sizeof(mb));
	memset(&info, 0, sizeof(info));
	memset(&plan, 0xa5, sizeof(plan));
	info.nr_nodes = l->nr_nodes;
	for (i = 0; i < MAX_RANGES; i++) {
		if (l->ram[i].end)
			EXPECT_EQ(t,
			    memblock_add(
			        &mb, l->ram[i].start << PAGE_SHIFT, l->ram[i].end << PAGE_SHIFT),
			    0);
		if (l->taken[i].end)
			EXPECT_EQ(t,
			    memblock_reserve(&mb, l->taken[i].start << PAGE_SHIFT,
			        l->taken[i].end << PAGE_SHIFT),
			    0);
		if (l->affinity[i].end)
			info.affinity[info.nr_affinity++] =
			    (struct acpi_affinity){.start = l->affinity[i].start << PAGE_SHIFT,
			        .end = l->affinity[i].end << PAGE_SHIFT,
			        .node = l->affinity[i].node};
	}
	boot_zones_plan(&machine, &plan);
}

static void expect_zone(struct ktest *t, const struct layout *l, unsigned i)
{
	struct zone_plan want = {0}, have = plan.zone[i];
	unsigned j;

	for (j = 0; j < MAX_WANTED; j++) {
		if (l->zone[j].end && l->zone[j].node * NR_ZONE_KINDS + l->zone[j].kind == i)
			want = (struct zone_plan){l->zone[j].start, l->zone[j].end,
			    l->zone[j].standby, l->zone[j].standby_end};
	}
	if (have.start != want.start || have.end != want.end || have.standby != want.standby ||
	    have.standby_end != want.standby_end)
		ktest_fail(t, __FILE__, __LINE__,
		    "%s: zone %u of node %u: [%#lx, %#lx), standby [%#lx, %#lx)", l->what,
		    i % NR_ZONE_KINDS, i / NR_ZONE_KINDS, have.start, have.end, have.standby,
		    have.standby_end);
}

KTEST_SUITE(boot_zones, KTEST_QUICK);

KTEST(machines_are_divided_into_zones,
    .reports = "boot: memory of the nodes interleaves; taking it all as one node")
{
	unsigned i, zone;

	for (i = 0; i < ARRAY_SIZE(layouts); i++) {
		const struct layout *l = &layouts[i];

		make_plan(t, l);
		if (plan.nr_nodes != l->planned_nodes || plan.start != l->span.start ||
		    plan.end != l->span.end)
			ktest_fail(t, __FILE__, __LINE__, "%s: %u nodes, [%#lx, %#lx)", l->what,
			    plan.nr_nodes, plan.start, plan.end);
		for (zone = 0; zone < MAX_ZONES; zone++)
			expect_zone(t, l, zone);
	}
}

/* A partial last page counts as a whole one, and so does a partial pageblock. */
KTEST(partial_last_page_is_within_the_span)
{
	struct boot_machine machine = {.mb = &mb, .info = &info, .movable = 50};

	memset(&mb, 0, sizeof(mb));
	memset(&info, 0, sizeof(info));
	info.nr_nodes = 1;
	EXPECT_EQ(t, memblock_add(&mb, 0, ((phys_t)(4 * B) << PAGE_SHIFT) + 1), 0);
	boot_zones_plan(&machine, &plan);
	EXPECT_EQ(t, plan.end, 5 * B);
	EXPECT_EQ(t, plan.zone[MOVABLE].start, 3 * B);
	EXPECT_EQ(t, plan.zone[MOVABLE].end, 5 * B);
}

KTEST(standby_memory_is_listed_in_parts)
{
	static const struct layout both = {
	    "", {{0, 1024 * M}, {G4, 6144 * M}}, {{0}}, {{0}}, 1, 50, 256, 0, {0}, {{0}}};
	/* Standby, in MiB: NORMAL from 4352 to 4608, MOVABLE from 4864 to 6144. */
	static const struct {
		pfn_t start, end, to;
		bool stands_by;
	} parts[] = {{0, 8192 * M, 4352 * M, false}, {0, G4, G4, false},
	    {4351 * M, 4352 * M, 4352 * M, false}, {4352 * M - 1, 8192 * M, 4352 * M, false},
	    {4352 * M, 8192 * M, 4608 * M, true}, {4352 * M, 4353 * M, 4353 * M, true},
	    {4608 * M - 1, 4700 * M, 4608 * M, true}, {4608 * M, 8192 * M, 4864 * M, false},
	    {4608 * M, 4700 * M, 4700 * M, false}, {4864 * M, 8192 * M, 6144 * M, true},
	    {6144 * M - 1, 6144 * M, 6144 * M, true}, {6144 * M, 8192 * M, 8192 * M, false}};
	static const struct layout none = {
	    "", {{G4, 4224 * M}}, {{0}}, {{0}}, 1, 0, 1024, 0, {0}, {{0}}};
	unsigned i;
	pfn_t to;

	make_plan(t, &both);
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		to = 0;
		if (boot_is_standby(&plan, parts[i].start, parts[i].end, &to) !=
		        parts[i].stands_by ||
		    to != parts[i].to)
			ktest_fail(t, __FILE__, __LINE__, "[%#lx, %#lx): to %#lx", parts[i].start,
			    parts[i].end, to);
	}
	/* Without standby memory no part is standby either. */
	make_plan(t, &none);
	EXPECT(t, !boot_is_standby(&plan, G4, 8192 * M, &to) && to == 8192 * M);
}
