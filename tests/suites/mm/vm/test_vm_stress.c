/* SPDX-License-Identifier: MIT */
/*
 * test_vm_stress.c: all CPUs use mapped memory while it is moved and offlined. No data is lost, and
 * every page moves at its first try: the threads that touch it hold no reference.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/vm_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/memory_hotplug.h>

#define PAGES  (PAGEBLOCK_ORDER >= 9 ? 96u : 48u)
#define ROUNDS 12
#define RANGE  (PAGEBLOCK_ORDER >= 9 ? PAGEBLOCK_PAGES : 8 * PAGEBLOCK_PAGES)
#define CPUS   8

static struct isolated_pages isolated;

struct load {
	struct ktest *t;
	struct vm_scene s;
	unsigned pages; /* of the scene that are touched */
	u32 stop;       /* atomic */
	u32 running;    /* atomic: CPUs that have begun */
	u32 errors;     /* atomic: accesses that failed, or read something else than was written */
	u64 touches;    /* atomic */
	/* what each CPU wrote last to its own word of each page; 0: nothing */
	u64 written[CPUS][96];
};
static struct load load;

static uintptr_t my_word(unsigned page, unsigned cpu)
{
	return page_at(page) + 512 * cpu;
}

/* Each CPU has a word of its own in every page; all CPUs share the pages. */
static void touch_at_random(void *arg)
{
	struct load *l = arg;
	unsigned cpu = arch_cpu_id();
	u64 chance = l->t->seed + cpu + 1, value;

	vm_space_get(l->s.space);
	soft_load_space(l->s.space);
	atomic_add(&l->running, 1u);
	while (!load_acquire(&l->stop)) {
		unsigned page = (unsigned)(ktest_rand(&chance) % l->pages);
		int err = soft_read(my_word(page, cpu), &value);

		if (err || value != l->written[cpu][page])
			counter_add(&l->errors, 1u);
		l->written[cpu][page] = ktest_rand(&chance);
		if (soft_write(my_word(page, cpu), l->written[cpu][page]))
			counter_add(&l->errors, 1u);
		counter_add(&l->touches, 1u);
		cpu_relax();
	}
	soft_unload_space();
	vm_space_put(l->s.space);
}

/* All CPUs but this one run @use on a scene of @pages pages. */
static bool load_begin(struct ktest *t, unsigned pages, void (*use)(void *load))
{
	if (!ktest_needs_cpus(t, 2))
		return false;
	memset(&load, 0, sizeof(load));
	load.t = t;
	load.pages = pages;
	if (!scene_begin_filled(t, &load.s, pages))
		return false;
	start_from(1, use, &load);
	EXPECT(t, YIELD_UNTIL(load_acquire(&load.running) >= ktest_cpus() - 1));
	return true;
}

static void load_end(struct ktest *t)
{
	unsigned cpu, page;
	u64 value = 0;

	store_release(&load.stop, 1u);
	join_from(1);
	soft_load_space(load.s.space);
	for (cpu = 1; cpu < ktest_cpus(); cpu++) {
		for (page = 0; page < load.pages; page++) {
			EXPECT_EQ(t, soft_read(my_word(page, cpu), &value), 0);
			EXPECT_EQ(t, value, load.written[cpu][page]);
		}
	}
	soft_unload_space();
	EXPECT_EQ(t, load.errors, 0);
	expect_sound(t, load.s.mem);
	scene_end(t, &load.s);
}

/* Move every page of the object once. */
static void move_all(struct ktest *t, struct migrate_stats *stats)
{
	struct memory *mem = load.s.mem;
	unsigned i;

	isolated.nr_lru = isolated.nr_movable = 0;
	for (i = 0; i < load.pages; i++) {
		EXPECT_EQ(t,
		    isolate_page(mem, page_to_pfn_in(mem, page_in(load.s.object, i)), &isolated),
		    0);
		if (isolated.nr_lru == MIGRATE_BATCH || i + 1 == load.pages) {
			EXPECT_EQ(t, migrate_isolated(mem, &isolated, NULL, stats), 0);
			isolated.nr_lru = 0;
		}
	}
}

static void expect_first_tries(struct ktest *t, const unsigned *at_try, unsigned moved)
{
	printk("  # %u pages moved: %u at the first try, %u at the second, %u later; %llu waits, "
	       "%llu touches\n",
	    moved, at_try[0], at_try[1], at_try[2] + at_try[3],
	    (unsigned long long)mm_event_sum(load.s.mem, EV_MIGWAIT_QUEUED),
	    (unsigned long long)READ_ONCE(load.touches));
	EXPECT_EQ(t, at_try[0], moved);
	EXPECT_EQ(t, at_try[2] + at_try[3], 0);
}

KTEST_SUITE(vm_stress, 0);

static void move_under_load(struct ktest *t, unsigned pages, unsigned rounds)
{
	struct migrate_stats stats = {0};
	unsigned round;

	if (!load_begin(t, pages, touch_at_random))
		return;
	for (round = 0; round < rounds; round++) {
		move_all(t, &stats);
		if (round == ROUNDS / 2)
			expect_sound(t, load.s.mem);
	}
	EXPECT_EQ(t, stats.moved, rounds * pages);
	EXPECT_EQ(t, stats.retries, 0);
	expect_first_tries(t, stats.at_try, stats.moved);
	load_end(t);
}

KTEST_COST(pages_move_while_all_cpus_touch_them)
{
	move_under_load(t, PAGES, ROUNDS);
}

/* If the threads that touch this page held references, no freeze could succeed. */
KTEST_COST(one_page_moves_while_all_cpus_touch_it)
{
	move_under_load(t, 1, 20 * ROUNDS);
}

KTEST(memory_in_use_is_offlined)
{
	static const enum iso_policy policies[] = {ISO_PRECISE, ISO_DISABLE, ISO_REDRAIN};
	unsigned round, moved = 0, at_try[4] = {0}, i;
	struct memory *mem;

	if (!load_begin(t, PAGES, touch_at_random))
		return;
	mem = load.s.mem;
	for (round = 0; round < ROUNDS; round++) {
		const struct offline_opts opts = {.policy = policies[round % ARRAY_SIZE(policies)]};
		pfn_t pfn = page_to_pfn_in(mem, page_in(load.s.object, round % PAGES));
		pfn_t start = ALIGN_DOWN(pfn - mem->zones[ZONE_MOVABLE].start_pfn, RANGE) +
		    mem->zones[ZONE_MOVABLE].start_pfn;
		struct offline_result res;

		EXPECT_EQ(t, offline_pages(mem, start, RANGE, &opts, &res), 0);
		EXPECT_EQ(t, res.retries, 0);
		EXPECT(t, res.moved > 0);
		moved += res.moved;
		for (i = 0; i < 4; i++)
			at_try[i] += res.at_try[i];
		EXPECT_EQ(t, online_pages(mem, start, RANGE, NULL), 0);
	}
	expect_first_tries(t, at_try, moved);
	load_end(t);
}

/* ---- mappings that come and go ---- */

/*
 * In one space of its own after the other each CPU maps, touches, protects, cuts and unmaps a part
 * of the object; every other space is destroyed with its mapping.
 */
static void map_at_random(void *arg)
{
	struct load *l = arg;
	unsigned cpu = arch_cpu_id();
	u64 chance = l->t->seed + cpu + 1, value;
	struct vm_space *space;

	atomic_add(&l->running, 1u);
	while (!load_acquire(&l->stop)) {
		unsigned first = (unsigned)(ktest_rand(&chance) % (l->pages - 8)), i;
		int err = vm_space_create(l->s.mem, &space);

		if (err) {
			counter_add(&l->errors, 1u);
			return;
		}
		soft_load_space(space);
		err = vm_map(space, page_at(first), 8, VM_RW, l->s.object, first);
		for (i = first; i < first + 8; i++) {
			err = err ? err : soft_read(my_word(i, cpu), &value);
			if (err || value != l->written[cpu][i])
				counter_add(&l->errors, 1u);
			l->written[cpu][i] = ktest_rand(&chance);
			err = err ? err : soft_write(my_word(i, cpu), l->written[cpu][i]);
		}
		err = err ? err : vm_protect(space, page_at(first + 2), 3, VM_READ);
		if (soft_try_write(my_word(first + 3, cpu), 1) == 0)
			counter_add(&l->errors, 1u);
		if (!err && first % 2)
			err = vm_unmap(space, page_at(first), 8);
		if (err)
			counter_add(&l->errors, 1u);
		counter_add(&l->touches, 1u);
		soft_unload_space();
		vm_space_put(space);
	}
}

/*
 * An unmap holds its pages until its shootdown is over, so a move may need another try, or fail if
 * the unmapping thread does not run. Then the next round finds the page.
 */
KTEST(pages_move_while_mappings_change)
{
	struct migrate_stats stats = {0};
	unsigned round, i, again = 0;

	if (!load_begin(t, PAGES / 2, map_at_random))
		return;
	for (round = 0;
	     round < ROUNDS || (READ_ONCE(load.touches) < 4 * ROUNDS && !READ_ONCE(load.errors));
	     round++) {
		isolated.nr_lru = isolated.nr_movable = 0;
		for (i = 0; i < load.pages; i++)
			EXPECT_EQ(t,
			    isolate_page(load.s.mem,
			        page_to_pfn_in(load.s.mem, page_in(load.s.object, i)), &isolated),
			    0);
		again += migrate_isolated(load.s.mem, &isolated, NULL, &stats);
		thread_yield();
	}
	EXPECT_EQ(t, stats.moved + again, round * load.pages);
	EXPECT(t, stats.moved > 0);
	printk("  # %u moved, %u retries, %u put back, %llu mappings\n", stats.moved, stats.retries,
	    again, (unsigned long long)READ_ONCE(load.touches));
	load_end(t);
}
