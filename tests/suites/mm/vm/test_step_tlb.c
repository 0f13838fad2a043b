/* SPDX-License-Identifier: MIT */
/*
 * test_step_tlb.c: the CPUs that get a shootdown, and the entries that each of them flushes, on
 * machines with any number of CPUs.
 *
 * The test has a copy of mm/vm/tlb.c, and its own number of CPUs, cross-call and TLB.
 */
#include "tests/lib/mm_priv.h"
#include "mm/vm/vm.h"
#include <quarry/ktest.h>
#include <quarry/string.h>

#define MOST  320u /* CPUs: more than a gathering has bits for */
#define WORDS CPUMASK_WORDS(MOST)

static unsigned cpus_here;
static struct {
	unsigned calls;
	bool all; /* the call had no mask */
	cpumask_t mask[CPUMASK_WORDS(TLB_CPUS)];
	int answer;
} call;
static struct {
	unsigned pages, all, hooked, hooked_all;
	phys_t root;
	uintptr_t first, last;
} forgot;

/* A CPU that goes offline in the next cross-call, or before the next lock is taken; 0: none. */
static unsigned dies_in_call, dies_before_lock;
static cpumask_t all_online[WORDS];

static int note_call(const cpumask_t *mask, void (*fn)(void *), void *arg)
{
	if (dies_in_call)
		cpumask_clear(all_online, dies_in_call);
	call.calls++;
	call.all = !mask;
	if (mask)
		memcpy(call.mask, mask, CPUMASK_WORDS(cpus_here) * sizeof(*mask));
	fn(arg);
	return call.answer;
}

static void note_page(phys_t root, uintptr_t va)
{
	if (forgot.pages++ == 0)
		forgot.first = va;
	forgot.last = va;
	forgot.root = root;
}

static void note_all(void)
{
	forgot.all++;
}

static struct {
	unsigned pages, calls; /* cross-calls made before the put */
	u32 flushing;
} put;

static void note_put(struct memory *mem, struct page **pages, unsigned nr)
{
	put.pages += nr;
	put.calls = call.calls;
	put.flushing = READ_ONCE(mem->vm.flushing);
}

static void lock_late(struct mutex *m)
{
	if (dies_before_lock)
		cpumask_clear(all_online, dies_before_lock);
	mutex_lock(m);
}

static void my_init(struct tlb_gather *g, struct memory *mem);
static void my_add(struct tlb_gather *g, const struct vm_space *space, uintptr_t va);
static void my_cpus(struct tlb_gather *g, const struct vm_space *space);
static void my_page(struct tlb_gather *g, struct page *page);
static bool my_flush(struct tlb_gather *g);
static void my_flush_pending(struct memory *mem);
static void my_release_kept(struct memory *mem);
static void my_keep(struct memory *mem, struct page *page) unused;
static cpumask_t *my_online = all_online;
extern void (*tlb_many_hook)(phys_t root, uintptr_t va, bool all);

#define nr_cpus             cpus_here
#define cpu_online_mask     my_online
#define smp_call_mask       note_call
#define arch_tlb_flush_page note_page
#define put_many            note_put
#define mutex_lock          lock_late
#define arch_tlb_flush_user note_all
#define tlb_gather_init     my_init
#define tlb_gather_add      my_add
#define tlb_gather_cpus     my_cpus
#define tlb_gather_page     my_page
#define tlb_flush           my_flush
#define tlb_flush_pending   my_flush_pending
#define tlb_release_kept    my_release_kept
#define tlb_keep            my_keep
#define tlb_flush_hook      tlb_many_hook
#include "mm/vm/tlb.c" /* NOLINT(bugprone-suspicious-include): a copy of its own */

/* ---- the scene ---- */

static union {
	struct vm_space space;
	u8 bytes[sizeof(struct vm_space) + WORDS * sizeof(cpumask_t)];
} room[2];
static struct vm_space *const one = &room[0].space, *const two = &room[1].space;

static void begin(unsigned cpus)
{
	cpus_here = cpus;
	memset(all_online, 0xff, sizeof(all_online));
	memset(room, 0, sizeof(room));
	one->pt.root = 0x1000;
	two->pt.root = 0x2000;
	memset(&call, 0, sizeof(call));
	memset(&forgot, 0, sizeof(forgot));
	dies_in_call = dies_before_lock = 0;
}

static bool same_mask(u64 first, u64 second, u64 third, u64 fourth)
{
	const u64 want[] = {first, second, third, fourth};

	return !call.all && memcmp(call.mask, want, sizeof(want)) == 0;
}

KTEST_SUITE(tlb_many, KTEST_QUICK | KTEST_MOSTLY_COST);

/* ---- CPUs that get an IPI ---- */

KTEST(cpus_with_the_space_loaded_get_the_shootdown)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 1, 1));
	struct tlb_gather g;

	begin(TLB_CPUS);
	my_init(&g, mem);
	/* No CPU has the space loaded. */
	my_add(&g, one, 0x5000);
	my_flush(&g);
	EXPECT_EQ(t, call.calls, 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_TLB_ROUNDS), 0);
	EXPECT_EQ(t, g.nr, 0);
	/* The first and the last CPU have the space loaded, and one CPU has another space. */
	cpumask_set(one->active, 0);
	cpumask_set(one->active, TLB_CPUS - 1);
	cpumask_set(two->active, 70);
	call.answer = 2;
	my_add(&g, one, 0x5000);
	my_add(&g, two, 0x6000);
	my_flush(&g);
	EXPECT_EQ(t, call.calls, 1);
	EXPECT(t, same_mask(1, 1UL << 6, 0, 1UL << 63));
	EXPECT_EQ(t, mm_event_sum(mem, EV_TLB_ROUNDS), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_TLB_ASKED), 2);
	/* CPUs of an earlier shootdown that do not have the space loaded now get no IPI. */
	cpumask_clear(one->active, 0);
	my_add(&g, one, 0x5000);
	my_flush(&g);
	EXPECT(t, same_mask(0, 0, 0, 1UL << 63));
	EXPECT_EQ(t, mm_event_sum(mem, EV_TLB_ASKED), 4);
}

KTEST(shootdown_to_too_many_cpus_goes_to_all)
{
	static const unsigned sizes[] = {TLB_CPUS + 1, MOST};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 1, 1));
	struct tlb_gather g;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		begin(sizes[i]);
		my_init(&g, mem);
		my_add(&g, one, 0x5000);
		my_flush(&g);
		EXPECT_EQ(t, call.calls, 0);
		cpumask_set(one->active, 3);
		my_add(&g, one, 0x5000);
		EXPECT(t, g.everybody);
		my_flush(&g);
		EXPECT_EQ(t, call.calls, 1);
		EXPECT(t, call.all && !g.everybody);
		/* One CPU has no bit in the gathering. */
		cpumask_clear(one->active, 3);
		cpumask_set(two->active, sizes[i] - 1);
		my_add(&g, one, 0x5000);
		my_add(&g, two, 0x6000);
		EXPECT_EQ(t, g.entry[0].root, one->pt.root);
		EXPECT_EQ(t, g.entry[1].root, two->pt.root);
		my_flush(&g);
		EXPECT_EQ(t, call.calls, 2);
		EXPECT(t, call.all);
	}
}

/* ---- shootdowns ---- */

static void note_hook(phys_t root, uintptr_t va, bool all)
{
	if (all)
		forgot.hooked_all++;
	else
		forgot.hooked += root == forgot.root && va == forgot.last;
}

/* The test runs with a hook, and without one. */
KTEST(entries_are_flushed_one_by_one_up_to_a_limit)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 1, 1));
	struct tlb_gather g;
	unsigned nr, i;

	for (nr = 31; nr <= 33; nr++) {
		const bool all = nr > 32;

		begin(1);
		tlb_many_hook = nr == 31 ? NULL : note_hook;
		cpumask_set(two->active, 0);
		my_init(&g, mem);
		for (i = 0; i < nr; i++)
			my_add(&g, two, 0x10000 + i * PAGE_SIZE);
		EXPECT_EQ(t, g.nr, nr);
		my_flush(&g);
		EXPECT_EQ(t, forgot.all, all);
		EXPECT_EQ(t, forgot.pages, all ? 0 : nr);
		EXPECT_EQ(t, forgot.hooked_all, all);
		EXPECT_EQ(t, forgot.hooked, nr == 32 ? nr : 0);
		if (!all) {
			EXPECT_EQ(t, forgot.root, two->pt.root);
			EXPECT_EQ(t, forgot.first, 0x10000);
			EXPECT_EQ(t, forgot.last, 0x10000 + (nr - 1) * PAGE_SIZE);
		}
	}
	tlb_many_hook = NULL;
}

/*
 * As long as a gathering has references, check_memory must not compare references exactly: the
 * memory counts it until the last reference has been dropped, which follows the cross-call.
 */
KTEST(gathering_counts_until_its_references_are_dropped)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 1, 1));
	struct tlb_gather g;
	struct page *page;

	page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 0));
	begin(TLB_CPUS);
	memset(&put, 0, sizeof(put));
	cpumask_set(one->active, 1);
	my_init(&g, mem);
	my_add(&g, one, 0x5000);
	my_page(&g, page);
	EXPECT_EQ(t, mem->vm.flushing, 1);
	my_flush(&g);
	EXPECT_EQ(t, put.pages, 1);
	EXPECT_EQ(t, put.calls, 1);
	EXPECT_EQ(t, put.flushing, 1);
	EXPECT_EQ(t, mem->vm.flushing, 0);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
}

/* The entries of other threads are not known: every CPU flushes all. */
KTEST(shootdown_for_other_threads_goes_to_all)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 1, 1));

	begin(4);
	my_flush_pending(mem);
	EXPECT_EQ(t, call.calls, 1);
	EXPECT(t, call.all);
	EXPECT_EQ(t, forgot.all, 1);
	EXPECT_EQ(t, forgot.pages, 0);
}

/* ---- CPUs that die ---- */

/* Gather a page for a shootdown in which @cpu dies; true: the page is kept. */
static bool kept_for(struct memory *mem, struct page *page, unsigned cpu)
{
	struct tlb_gather g;
	bool all;

	cpumask_set(one->active, cpu);
	my_init(&g, mem);
	my_add(&g, one, 0x5000);
	my_page(&g, page);
	dies_in_call = cpu;
	all = my_flush(&g);
	dies_in_call = 0;
	return !all && page->kept;
}

#define KEPT "vm: a CPU died in a program: pages that it may still use are kept\n"

/* A CPU with a bit in the gathering, one that has none, and one of a machine where none has. */
KTEST_INSIDE(a_page_is_kept_for_a_cpu_that_dies_in_the_call, .says = KEPT KEPT KEPT KEPT)
{
	static const struct {
		unsigned cpus, dies;
	} machine[] = {{TLB_CPUS, 1}, {TLB_CPUS, TLB_CPUS - 1}, {MOST, 3}, {MOST, MOST - 1}};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 1, 1));
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(machine); i++) {
		struct page *page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 0));

		begin(machine[i].cpus);
		LIST_INSERT_HEAD(&mem->vm.spaces, one, link);
		EXPECT(t, kept_for(mem, page, machine[i].dies));
		my_release_kept(mem);
		EXPECT(t, page->kept && mem->vm.nr_kept == 1);
		/* It dies again after the first look. */
		cpumask_set(all_online, machine[i].dies);
		dies_before_lock = machine[i].dies;
		my_release_kept(mem);
		EXPECT(t, page->kept && mem->vm.nr_kept == 1);
		dies_before_lock = 0;
		cpumask_clear(one->active, machine[i].dies);
		my_release_kept(mem);
		EXPECT(t, !page->kept && !mem->vm.nr_kept);
		LIST_REMOVE(one, link);
	}
}
