/* SPDX-License-Identifier: MIT */
/*
 * test_step_memory_add.c: the steps of adding and removing memory, in order, and their undo when
 * one fails. It includes the source of mm/hotplug/memory_add.c, and notes a letter for each step.
 * Hosted only.
 */
#include "tests/lib/add_help.h"

#define STEPS 64

static struct {
	struct ktest *t;
	char text[STEPS];
	unsigned nr;
	bool slots_fail, online_first; /* online_first: a range is onlined before its claim */
	bool plan; /* before the claim ends, the limits of the zone's caches are computed again */
	/* The span of zone MOVABLE that the test expects from the next unlock on; 0: any. */
	pfn_t start, end;
} steps;

static void note(char letter)
{
	if (steps.nr < STEPS - 1)
		steps.text[steps.nr++] = letter;
}

static void expect_steps(const char *want)
{
	steps.text[steps.nr] = '\0';
	if (strcmp(steps.text, want) != 0)
		ktest_fail(steps.t, __FILE__, __LINE__, "steps %s, expected %s", steps.text, want);
	steps.nr = 0;
}

static int steps_claim(struct memory *mem, struct range_claim *claim)
{
	note('c');
	if (steps.online_first)
		EXPECT_EQ(steps.t, online_pages(mem, claim->range.start, BLOCK(1), NULL), 0);
	return range_claim(mem, claim);
}

static void steps_unclaim(struct memory *mem, struct range_claim *claim)
{
	note('u');
	if (steps.plan) {
		struct zone *zone = zone_of(mem, claim->range.start);
		u16 before = zone->pcp_capacity[0][MT_MOVABLE];

		hotplug_lock(mem);
		zone_reset_limits(zone);
		hotplug_unlock(mem);
		EXPECT(steps.t, before > 0);
		EXPECT_EQ(steps.t, zone->pcp_capacity[0][MT_MOVABLE], before);
	}
	range_unclaim(mem, claim);
}

static irqflags_t steps_lock(struct zone *zone) NO_LOCK_ANALYSIS
{
	irqflags_t flags = zone_lock_irqsave(zone);

	note('(');
	if (steps.end && mutex_is_held(&zone->mem->hotplug))
		EXPECT(steps.t, zone->start_pfn != steps.start || zone->end_pfn != steps.end);
	return flags;
}

static void steps_unlock(struct zone *zone, irqflags_t flags) NO_LOCK_ANALYSIS
{
	note(')');
	if (steps.end && mutex_is_held(&zone->mem->hotplug)) {
		EXPECT_EQ(steps.t, zone->start_pfn, steps.start);
		EXPECT_EQ(steps.t, zone->end_pfn, steps.end);
	}
	zone_unlock_irqrestore(zone, flags);
}

static int steps_map(struct memory *mem, pfn_t start, unsigned long nr)
{
	note('m');
	return test_map(mem, start, nr);
}

static void steps_unmap(struct memory *mem, pfn_t start, unsigned long nr)
{
	note('n');
	test_unmap(mem, start, nr);
}

static int steps_grow(struct memory *mem, pfn_t start, unsigned long nr)
{
	note('g');
	return test_grow(mem, start, nr);
}

static void steps_shrink(struct memory *mem, pfn_t start, unsigned long nr)
{
	note('k');
	test_shrink(mem, start, nr);
}

static const struct memory_arrays steps_arrays = {
    .map = steps_map, .unmap = steps_unmap, .grow = steps_grow, .shrink = steps_shrink};

int steps_add(struct memory *mem, pfn_t start, unsigned long nr, unsigned node) must_check;
int steps_remove(struct memory *mem, pfn_t start, unsigned long nr) must_check;
bool steps_there(const struct memory *mem, pfn_t start, unsigned long nr);

#define range_claim(mem, c)        steps_claim(mem, c)
#define range_unclaim(mem, c)      steps_unclaim(mem, c)
#define zone_alloc_slots(z)        (note('s'), steps.slots_fail ? -ENOMEM : zone_alloc_slots(z))
#define memory_build_zonelists(m)  (note('l'), memory_build_zonelists(m))
#define pcp_zones_changed(mem)     (note('z'), pcp_zones_changed(mem))
#define hotplug_lock(mem)          (note('H'), hotplug_lock(mem))
#define hotplug_unlock(mem)        (note('h'), hotplug_unlock(mem))
#define zone_lock_irqsave          steps_lock
#define zone_unlock_irqrestore     steps_unlock
#define pageblock_init(m, p, z, t) (note('i'), pageblock_init(m, p, z, t))
#define pageblock_set_state(z, p, to)                                                              \
	(note((to) == PB_OFFLINE ? 'o' : '?'), pageblock_set_state(z, p, to))
#define pageblock_set_hole(z, p) (note('x'), pageblock_set_hole(z, p))
#define add_memory               steps_add
#define remove_memory            steps_remove
#define memory_there             steps_there
#include "mm/hotplug/memory_add.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static bool begin(struct ktest *t, struct memory *mem)
{
	memset(&steps, 0, sizeof(steps));
	steps.t = t;
	if (mem)
		mem->arrays = &steps_arrays;
	return mem;
}

static void expect_span(pfn_t start, pfn_t end)
{
	steps.start = start;
	steps.end = end;
}

KTEST_SUITE(memory_add_steps, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* The claim surrounds all steps, and the descriptors those of pageblocks. */
KTEST(add_and_remove_take_their_steps_in_order)
{
	struct memory *mem = one_node(t);

	REQUIRE(t, begin(t, mem));
	expect_span(START + BLOCK(SIZE), BORDER + BLOCK(2));
	EXPECT_EQ(t, steps_add(mem, BORDER, BLOCK(2), 0), 0);
	expect_steps("csmgH()h(ioio)u");
	/* The range is within the span, and has descriptors. */
	EXPECT_EQ(t, steps_remove(mem, BORDER, BLOCK(1)), 0);
	expect_steps("c(x)nu");
	expect_span(0, 0);
	EXPECT_EQ(t, steps_add(mem, BORDER, BLOCK(1), 0), 0);
	expect_steps("csmH()h(io)u");
	EXPECT_EQ(t, steps_remove(mem, BORDER, BLOCK(2)), 0);
	expect_steps("c(x)(x)knu");
	drop_memory(t, mem);
}

/* A CPU that looks up its first zones finds the new zone in the lists. */
KTEST(first_span_of_a_zone_enters_the_zonelists)
{
	struct memory *mem = growing_normal(t, 1);

	REQUIRE(t, begin(t, mem));
	expect_span(START + BLOCK(SIZE + 2), START + BLOCK(SIZE + 3));
	EXPECT_EQ(t, steps_add(mem, START + BLOCK(SIZE + 2), BLOCK(1), 0), 0);
	expect_steps("csmH()hlz(io)u");
	/* The span grows downwards; no list changes. */
	expect_span(START + BLOCK(SIZE), START + BLOCK(SIZE + 3));
	EXPECT_EQ(t, steps_add(mem, START + BLOCK(SIZE), BLOCK(1), 0), 0);
	expect_steps("csmH()h(io)u");
	drop_memory(t, mem);
}

/* A failed step is undone, and no change has become visible. */
KTEST(failed_add_is_undone_in_reverse_order)
{
	struct memory *mem = one_node(t);
	struct range_claim claim = {.range = {BORDER, BORDER + BLOCK(1)}};

	REQUIRE(t, begin(t, mem));
	steps.slots_fail = true;
	EXPECT_EQ(t, steps_add(mem, BORDER, BLOCK(2), 0), -ENOMEM);
	expect_steps("csu");
	steps.slots_fail = false;
	arrays.maps_left = 0;
	EXPECT_EQ(t, steps_add(mem, BORDER, BLOCK(2), 0), -ENOMEM);
	expect_steps("csmknu");
	arrays.maps_left = -1;
	arrays.grows_left = 0;
	EXPECT_EQ(t, steps_add(mem, BORDER - BLOCK(2), BLOCK(3), 0), -ENOMEM);
	expect_steps("csmgknu");
	EXPECT_EQ(t, range_count(mem, pfn_range(BORDER - BLOCK(2), BLOCK(4)), PB_HOLE), 4);
	arrays.grows_left = -1;
	/*
	 * A range that is refused anyway is not claimed, and another operation's claim is not
	 * touched.
	 */
	EXPECT_EQ(t, steps_add(mem, START, BLOCK(1), 0), -EEXIST);
	EXPECT_EQ(t, steps_remove(mem, START, BLOCK(1)), -EBUSY);
	EXPECT_EQ(t, steps_remove(mem, BORDER, BLOCK(1)), -EINVAL);
	EXPECT_EQ(t, steps_add(mem, BORDER, BLOCK(1), 1), -ENODEV);
	expect_steps("");
#undef range_claim
#undef range_unclaim
	EXPECT_EQ(t, range_claim(mem, &claim), 0);
	EXPECT_EQ(t, steps_add(mem, BORDER, BLOCK(2), 0), -EBUSY);
	expect_steps("c");
	range_unclaim(mem, &claim);
	EXPECT_EQ(t, mm_event_sum(mem, EV_MEMORY_ADDED) + mm_event_sum(mem, EV_MEMORY_REMOVED), 0);
	drop_memory(t, mem);
}

/* Part of the range is onlined between the check and the claim: nothing is removed. */
KTEST(memory_onlined_before_the_claim_stays)
{
	struct memory *mem = one_node(t);

	REQUIRE(t, begin(t, mem));
	EXPECT_EQ(t, steps_add(mem, BORDER - BLOCK(1), BLOCK(2), 0), 0);
	steps.nr = 0;
	steps.online_first = true;
	EXPECT_EQ(t, steps_remove(mem, BORDER - BLOCK(1), BLOCK(2)), -EBUSY);
	expect_steps("cu");
	EXPECT_EQ(t, state_at(mem, BORDER - BLOCK(1)), PB_ONLINE);
	EXPECT_EQ(t, state_at(mem, BORDER), PB_OFFLINE);
	EXPECT(t, LIST_EMPTY(&mem->claims));
	drop_memory(t, mem);
}

/* Memory that is being added or removed is not about to leave: the caches stay as large. */
KTEST(claims_of_changes_leave_the_limits)
{
	struct memory *mem = one_node(t);

	REQUIRE(t, begin(t, mem));
	steps.plan = true;
	EXPECT_EQ(t, steps_add(mem, BORDER, BLOCK(SIZE), 0), 0);
	expect_steps("csmgH()h(ioioioioioioioio)u");
	steps.nr = 0;
	drop_memory(t, mem);
}

/* Remove @last, a section's last pageblock inside the memory; @outside is one outside of it. */
static void expect_section_goes(struct ktest *t, struct memory *mem, pfn_t last, pfn_t outside)
{
	struct pageblock *pb = pageblock_of(mem, outside);

	pb->bits = PB_OFFLINE << PB_STATE_SHIFT;
	EXPECT_EQ(t, arrays.shrunk, 0);
	EXPECT_EQ(t, steps_remove(mem, last, BLOCK(1)), 0);
	expect_steps("c(x)knu");
	EXPECT_EQ(t, arrays.shrunk, 1);
	pb->bits = 0;
}

/* Sections reach beyond the memory, before and behind it; pageblocks outside are not read. */
KTEST(a_section_goes_with_the_last_pageblock_inside_the_memory)
{
	static const struct zone_spec specs[] = {{0, ZONE_MOVABLE, HALF + SIZE}};
	struct memory *mem = one_node(t);

	REQUIRE(t, begin(t, mem));
	EXPECT_EQ(t, steps_add(mem, BORDER, BLOCK(1), 0), 0);
	expect_steps("csmgH()h(io)u");
	mem->end_pfn -= BLOCK(1);
	expect_section_goes(t, mem, BORDER, mem->end_pfn);
	mem->end_pfn += BLOCK(1);
	drop_memory(t, mem);
	/* The section lies before the border: all but its last pageblock are removed first. */
	mem = growing(t, 1, specs, ARRAY_SIZE(specs));
	REQUIRE(t, begin(t, mem));
	arrays.behind[1] = true;
	EXPECT_EQ(t, offline_pages(mem, START, BLOCK(HALF), NULL, NULL), 0);
	EXPECT_EQ(t, steps_remove(mem, START, BLOCK(HALF - 1)), 0);
	steps.nr = 0;
	mem->start_pfn += BLOCK(1);
	expect_section_goes(t, mem, BORDER - BLOCK(1), START);
	mem->start_pfn -= BLOCK(1);
	drop_memory(t, mem);
}
