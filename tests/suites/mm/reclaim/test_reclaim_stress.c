/* SPDX-License-Identifier: MIT */
/*
 * test_reclaim_stress.c: all CPUs use an object with a pager that has twice as many pages as fit
 * into memory, also while pages are dropped, migrated, offlined, unmapped and destroyed.  No data
 * is lost, and no task is killed.
 */
#include "tests/lib/pager_help.h"
#include "tests/lib/request_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/oom.h>
#include <quarry/smp.h>
#include <quarry/memory_hotplug.h>

#define PAGES  160u
#define LEFT   80u
#define HOT    40u /* pages that are touched most */
#define CPUS   8
#define TURNS  4000u
#define ROUNDS 30
#define ENOUGH 300 /* the least number of pages that the test drops */
#define RANGE  (PAGEBLOCK_ORDER >= 9 ? PAGEBLOCK_PAGES : 8 * PAGEBLOCK_PAGES)

static struct store store;
static struct isolated_pages isolated;

struct load {
	struct ktest *t;
	struct vm_scene s;
	unsigned turns; /* turns of each CPU; 0: until stopped */
	u32 stop;       /* atomic */
	u32 running;    /* atomic: CPUs that have not ended */
	u32 errors;     /* atomic: accesses that failed, or read something else than was written */
	u64 touches;    /* atomic */
	u32 killed;     /* atomic: calls of the OOM hook */
	u64 written[CPUS][PAGES]; /* what each CPU wrote last to its own word of each page */
};
static struct load load;

static uintptr_t my_word(unsigned page, unsigned cpu)
{
	return page_at(page) + 512 * cpu;
}

/* Three of four touches go to the hot pages. */
static unsigned pick_page(u64 *chance)
{
	u64 r = ktest_rand(chance);

	return (unsigned)((r >> 8) % (r & 3 ? HOT : PAGES));
}

static void touch_one(struct load *l, unsigned page, u64 *chance)
{
	unsigned cpu = arch_cpu_id();
	u64 value = 0;

	if (soft_read(my_word(page, cpu), &value) || value != l->written[cpu][page])
		counter_add(&l->errors, 1u);
	if (ktest_rand(chance) & 1)
		return;
	l->written[cpu][page] = ktest_rand(chance);
	if (soft_write(my_word(page, cpu), l->written[cpu][page]))
		counter_add(&l->errors, 1u);
}

static void touch_at_random(void *arg)
{
	struct load *l = arg;
	u64 chance = l->t->seed + arch_cpu_id() + 1;
	unsigned turn;

	soft_load_space(l->s.space);
	for (turn = 0; !load_acquire(&l->stop) && (!l->turns || turn < l->turns); turn++) {
		touch_one(l, pick_page(&chance), &chance);
		counter_add(&l->touches, 1u);
		/* Let the next CPU run, if one thread of the host runs all CPUs. */
		if (turn % 64 == 0)
			cpu_relax();
	}
	soft_unload_space();
	atomic_sub(&l->running, 1u);
}

static bool count_kill(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	counter_add(&((struct load *)arg)->killed, 1u);
	return false;
}

static bool load_begin(struct ktest *t)
{
	if (!ktest_needs_cpus(t, 4))
		return false;
	memset(&load, 0, sizeof(load));
	load.t = t;
	if (!store_scene(t, &load.s, &store, PAGES))
		return false;
	store.refuse_one_in = 7;
	memory_set_oom(load.s.mem, count_kill, &load);
	return true;
}

static void start_touching(unsigned from, unsigned to)
{
	unsigned cpu;

	load.running = to - from;
	for (cpu = from; cpu < to; cpu++)
		ktest_start(cpu, touch_at_random, &load);
}

static void load_end(struct ktest *t)
{
	unsigned cpu, page;
	u64 value = 0;

	soft_load_space(load.s.space);
	for (cpu = 0; cpu < ktest_cpus(); cpu++) {
		for (page = 0; page < PAGES; page++) {
			EXPECT_EQ(t, soft_read(my_word(page, cpu), &value), 0);
			EXPECT_EQ(t, value, load.written[cpu][page]);
		}
	}
	soft_unload_space();
	EXPECT_EQ(t, load.errors, 0);
	EXPECT_EQ(t, load.killed, 0);
	expect_sound(t, load.s.mem);
	printk("  # %llu touches, %u pages brought, %llu dropped (%llu by allocations), %llu "
	       "cleaned, %llu "
	       "refused, %llu spared, %llu waits\n",
	    (unsigned long long)load.touches, READ_ONCE(store.gets),
	    (unsigned long long)mm_event_sum(load.s.mem, EV_RECLAIM_FREED),
	    (unsigned long long)mm_event_sum(load.s.mem, EV_RECLAIM_DIRECT),
	    (unsigned long long)mm_event_sum(load.s.mem, EV_RECLAIM_CLEANED),
	    (unsigned long long)mm_event_sum(load.s.mem, EV_RECLAIM_REFUSED),
	    (unsigned long long)mm_event_sum(load.s.mem, EV_RECLAIM_KEPT),
	    (unsigned long long)mm_event_sum(load.s.mem, EV_RECLAIM_WAIT));
	memory_set_oom(load.s.mem, NULL, NULL);
}

KTEST_SUITE(reclaim_stress, 0);

KTEST(working_set_of_twice_the_memory_is_served)
{
	u64 from_alloc = READ_ONCE(smp_stats.from_alloc);
	struct pile hoard = {NULL, 0};
	unsigned checks = 0;

	if (!load_begin(t))
		return;
	prepare_scene(t, &load.s);
	load.turns = TURNS;
	/* With so few pages, the caches of a few CPUs would hold all of them. */
	caches_off(t, load.s.mem);
	take_all_but(t, load.s.mem, &hoard, LEFT);
	start_touching(1, ktest_cpus());
	while (load_acquire(&load.running)) {
		if (checks++ < 5)
			expect_sound(t, load.s.mem);
		thread_yield();
	}
	join_from(1);
	EXPECT_EQ(t, load.touches, (ktest_cpus() - 1) * TURNS);
	/*
	 * Not all pages fit: some were dropped and supplied again. Most accesses found their page.
	 */
	EXPECT(t, READ_ONCE(store.gets) > PAGES && READ_ONCE(store.gets) < load.touches / 2);
	EXPECT(t, mm_event_sum(load.s.mem, EV_RECLAIM_CLEANED) > 0);
	EXPECT_EQ(t, READ_ONCE(smp_stats.from_alloc), from_alloc);
	load_end(t);
	EXPECT_EQ(t, pile_free(load.s.mem, &hoard), 0);
	caches_on(t, load.s.mem);
	store_scene_end(t, &load.s, &store);
}

/* ---- reclaim at any moment ---- */

/* Half of the batches give no second chance, which is rarer under real shortage. */
static void drop_at_random(void *arg)
{
	struct load *l = arg;
	u64 chance = l->t->seed + 99;

	while (!load_acquire(&l->stop)) {
		u64 r = ktest_rand(&chance);
		struct lru_scan scan = {.zone = movable_zone(l->s.mem),
		    .batch = RECLAIM_BATCH,
		    .direct = (r & 7) == 0,
		    .desperate = r >> 3 & 1};

		reclaim_batch(&scan);
		thread_yield();
	}
}

/* Create and destroy an object; map a part of the shared object in a space of its own. */
static void come_and_go(void *arg)
{
	struct load *l = arg;
	unsigned cpu = arch_cpu_id(), i;
	u64 chance = l->t->seed + cpu + 1, value;

	while (!load_acquire(&l->stop)) {
		unsigned first = (unsigned)(ktest_rand(&chance) % (PAGES - 8));
		struct vm_object *object;
		struct vm_space *space;
		int err = vm_space_create(l->s.mem, &space);

		err = err ? err
		          : vm_object_create(l->s.mem, OBJ_PAGER, 8, &scene_pager, NULL, &object);
		if (err) {
			counter_add(&l->errors, 1u);
			return;
		}
		err = vm_map(space, page_at(first), 8, VM_RW, l->s.object, first);
		err = err ? err : vm_map(space, page_at(1000), 8, VM_RW, object, 0);
		soft_load_space(space);
		for (i = first; !err && i < first + 8; i++)
			touch_one(l, i, &chance);
		/* This object's pager accepts nothing, so dirty pages stay. */
		for (i = 0; !err && i < 8; i++)
			err = soft_write(page_at(1000 + i), i + 1);
		err = err ? err : vm_protect(space, page_at(1000), 4, VM_READ);
		for (i = 0; !err && i < 8; i++) {
			err = soft_read(page_at(1000 + i), &value);
			err = err ? err : value != i + 1;
		}
		err = err ? err : vm_object_remove(object, 2, 3);
		err = err ? err : soft_read(page_at(1003), &value) || value != 0;
		err = err ? err : vm_unmap(space, page_at(first), 4);
		soft_unload_space();
		if (err)
			counter_add(&l->errors, 1u);
		vm_object_put(object);
		vm_space_put(space);
		cpu_relax();
	}
}

static void move_some(struct memory *mem)
{
	struct migrate_stats stats = {0};
	struct page *page;
	unsigned i;

	isolated.nr_lru = isolated.nr_movable = 0;
	for (i = 0; i < PAGES && isolated.nr_lru < MIGRATE_BATCH; i++) {
		/* Use the pfn only: the page may be free by now, or have another owner. */
		page = page_in(load.s.object, i);
		if (page && isolate_page(mem, page_to_pfn_in(mem, page), &isolated))
			continue;
	}
	migrate_isolated(mem, &isolated, NULL, &stats);
}

/* Returns whether each operation has happened. On a busy host the other CPUs may be late. */
static bool each_has_happened(const struct memory *mem, unsigned ranges)
{
	return ranges && mm_event_sum(mem, EV_MIGRATE_OK) &&
	    mm_event_sum(mem, EV_RECLAIM_FREED) >= ENOUGH;
}

KTEST(pages_are_dropped_moved_and_taken_offline_at_once)
{
	unsigned cpus = ktest_cpus(), round, done = 0;
	struct wait_limit limit = {0};
	struct memory *mem;

	if (!load_begin(t))
		return;
	mem = load.s.mem;
	start_touching(3, cpus);
	ktest_start(1, drop_at_random, &load);
	ktest_start(2, come_and_go, &load);
	for (round = 0; round < ROUNDS || (!each_has_happened(mem, done) && wait_goes_on(&limit));
	     round++) {
		struct page *page = page_in(load.s.object, round % PAGES);
		pfn_t start;

		move_some(mem);
		if (page && zone_of(mem, page_to_pfn_in(mem, page)) == movable_zone(mem)) {
			start = ALIGN_DOWN(page_to_pfn_in(mem, page) - movable_zone(mem)->start_pfn,
			            RANGE) +
			    movable_zone(mem)->start_pfn;
			if (offline_pages(mem, start, RANGE, NULL, NULL) == 0) {
				EXPECT_EQ(t, online_pages(mem, start, RANGE, NULL), 0);
				done++;
			}
		}
		if (round % 10 == 5)
			expect_sound(t, mem);
		thread_yield();
	}
	store_release(&load.stop, 1u);
	join_from(1);
	EXPECT(t, each_has_happened(mem, done));
	printk("  # %u of %u ranges offline, %llu pages moved\n", done, round,
	    (unsigned long long)mm_event_sum(mem, EV_MIGRATE_OK));
	load_end(t);
	store_scene_end(t, &load.s, &store);
}

/* ---- tickets ---- */

#define ASKED 600u

static void ask_often(void *mem)
{
	unsigned i;

	for (i = 0; i < ASKED; i++)
		(void)asked_drain(mem);
}

/* Each request has a ticket of its own, even if all that waited were woken at once. */
KTEST(every_request_has_its_own_ticket)
{
	struct memory *mem = ktest_memory(t, 4, 4, 4);
	const struct ticket_queue *drains;
	u64 before;

	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, mem);
	drains = &mem->nodes[0].reclaim.drains;
	before = drains->asked;
	run_from(1, ask_often, mem);
	EXPECT_EQ(t, drains->asked - before, (ktest_cpus() - 1) * ASKED);
	EXPECT_EQ(t, drains->done, drains->asked);
}
