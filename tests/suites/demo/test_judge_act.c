/* SPDX-License-Identifier: MIT */
/*
 * test_judge_act.c: the parts that the acts of the tour share, in a simulated world: the CPUs that
 * take part, a CPU that is held in a free, and the threads that allocate.
 */
#include <quarry/errno.h>
#include <quarry/free_held.h>
#include <quarry/handle.h>
#include <quarry/ktest.h>
#include <quarry/smp.h>

#define JUDGE(name)     judge_act_##name
#define act_hold_start  JUDGE(hold_start)
#define act_hold_push   JUDGE(hold_push)
#define act_hold_end    JUDGE(hold_end)
#define act_load_start  JUDGE(load_start)
#define act_load_page   JUDGE(load_page)
#define act_load_allocs JUDGE(load_allocs)
#define act_load_misses JUDGE(load_misses)
#define act_load_stop   JUDGE(load_stop)
#include "tests/host/judge_act.h"

static struct {
	bool irqs_off, no_cache, called;
	unsigned preempt;       /* calls of preempt_disable not yet undone */
	unsigned no_memory;     /* number of the request, from 1, that fails */
	unsigned requests, bad; /* bad: number of the object, from 1, that is damaged */
	unsigned freed;
	struct pcp cache, *of[2];
} world;

static irqflags_t save(void)
{
	world.irqs_off = true;
	judge_note("[irqs off]");
	return 0;
}

static void restore(irqflags_t flags)
{
	world.irqs_off = false;
	judge_note("[irqs on, preempt %u]", world.preempt);
}

static void drain(struct memory *mem, struct zone *zone)
{
	judge_note("[drain%s]", zone ? " a zone" : "");
}

static int held(
    struct memory *mem, struct page *page, unsigned order, void (*at)(void *arg), void *arg)
{
	judge_note("[free%s]", world.irqs_off ? "" : ", irqs on");
	if (world.no_cache)
		return 1;
	at(arg);
	judge_note("[pushed]");
	return 0;
}

static bool pending(void)
{
	return world.called;
}

static struct thread *begin_thread(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	if (++judge.jobs == judge.no_job)
		return NULL;
	judge_note("[%s on %d]", name, cpu);
	fn(arg);
	return (struct thread *)&world;
}

static void join_thread(struct thread *t)
{
	judge_note("[joined]");
}

static void off(void)
{
	world.preempt++;
}

static void on(void)
{
	world.preempt--;
	judge_note("[preempt]");
}

#define arch_irq_save     save
#define arch_irq_restore  restore
#define drain_local_pages drain
#define mem_free_held     held
#define smp_call_pending  pending
#define thread_start      begin_thread
#define thread_join       join_thread
#define preempt_disable   off
#define preempt_enable    on
#include "demo/act_hold.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void begin(void)
{
	judge_again();
	judge_clear();
	memset(&world, 0, sizeof(world));
	memset(&live, 0, sizeof(live));
	judge.tick = 1000000;
}

KTEST_SUITE(judge_act, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(at_most_four_cpus_take_part)
{
	unsigned cpu[ACT_CPUS] = {9, 9, 9, 9};

	begin();
	judge_cpus(8);
	EXPECT_EQ(t, act_cpus(cpu), 4);
	EXPECT(t, cpu[0] == 1 && cpu[1] == 0 && cpu[2] == 2 && cpu[3] == 3);
	judge.online[0] = 0x82;
	EXPECT_EQ(t, act_cpus(cpu), 2);
	EXPECT(t, cpu[0] == 1 && cpu[1] == 7);
	judge_cpus(1);
	EXPECT_EQ(t, act_cpus(cpu), 1);
	EXPECT(t, strcmp(plural(0), "s") == 0 && strcmp(plural(1), "") == 0);
	EXPECT(t, !act_failed("one", -5, NULL));
	EXPECT(t, !act_failed("two", -6, &(struct mm_fail){.pfn = 7, .why = WHY_PINNED}));
	EXPECT(t, !act_failed("three", -7, &(struct mm_fail){.pfn = 7, .why = WHY_NONE}));
	EXPECT_SAID(t,
	    "  FAIL: one: error EIO\n  FAIL: two: error ENXIO, pfn 0x7: pinned page\n"
	    "  FAIL: three: error E2BIG\n");
}

KTEST(cpu_is_held_until_it_is_called)
{
	struct act_hold h = {.cpu = 3, .until_call = true, .linger_ns = 500000000};

	begin();
	world.called = true;
	EXPECT_EQ(t, act_hold_start(&h), 0);
	EXPECT_SAID(t, "[hold on 3][irqs off][drain][free][pushed][irqs on, preempt 1][preempt]");
	EXPECT(t, h.cached && !h.late && judge.now >= 500000000 && judge.now < 600000000);
	act_hold_end(&h);
	EXPECT_SAID(t, "[joined]");
	/* Without a call, the CPU is held for 60 seconds only. */
	begin();
	h = (struct act_hold){.cpu = 3, .until_call = true};
	EXPECT_EQ(t, act_hold_start(&h), 0);
	EXPECT(t, h.cached && h.late && judge.now >= 60000000000 && judge.now < 61000000000);
	judge_clear();
}

/*
 * The held CPU runs no other thread until the end, so the page that it pushed stays in its cache.
 */
KTEST(cpu_that_pushed_keeps_the_page)
{
	struct act_hold h = {.cpu = 3, .push = 1};

	begin();
	EXPECT_EQ(t, act_hold_start(&h), 0);
	EXPECT_EQ(t, h.pushed, 1);
	EXPECT(t, h.cached && h.late && judge.now >= 60000000000 && judge.now < 61000000000);
	judge_clear();
	begin();
	h = (struct act_hold){.cpu = 3, .push = 1, .end = 1};
	EXPECT_EQ(t, act_hold_start(&h), 0);
	EXPECT(t, h.cached && !h.late && judge.now < 1000000000);
	judge_clear();
}

KTEST(cpu_without_a_cache_is_not_held)
{
	struct act_hold h = {.cpu = 3};

	begin();
	world.no_cache = true;
	EXPECT_EQ(t, act_hold_start(&h), 0);
	EXPECT(t, !h.cached && h.there && h.pushed && judge.now < 1000000000);
	judge_clear();
	begin();
	judge.no_job = 1;
	EXPECT_EQ(t, act_hold_start(&h), -ENOMEM);
	EXPECT_SAID(t, "");
}

/* ---- threads that allocate ---- */

static void *get(size_t size)
{
	static u64 memory[4][8192];

	if (++world.requests == world.no_memory)
		return NULL;
	judge_note("[get]");
	memset(memory[world.requests % 4], 0, sizeof(memory[0]));
	return memory[world.requests % 4];
}

static void put(void *ptr)
{
	judge_note("[put]");
}

static void table_init(struct handle_table *t, struct memory *mem, struct handle *handles, u32 nr)
{
	*t = (struct handle_table){.handles = handles, .nr = nr};
}

static int object_free(struct handle_table *t, u32 h)
{
	if (!t->handles[h].moves)
		return -EINVAL;
	t->handles[h].moves = 0;
	return ++world.freed == world.bad ? -EUCLEAN : 0;
}

static int object_alloc(struct handle_table *t, u32 h, unsigned order, gfp_t gfp, u64 seed)
{
	t->handles[h].moves = 1;
	return order || gfp != (GFP_MOVABLE | GFP_NORETRY) ? -EINVAL : 0;
}

static pfn_t object_pfn(struct handle_table *t, u32 h)
{
	return t->handles[h].moves ? 1000 + h : PFN_NONE;
}

static void owner_drain(struct movable_owner *owner)
{
	judge_note("[owner]");
}

/* Threads run when they are joined, and find that they must stop. */
#undef thread_start
#undef thread_join
#define thread_start        judge_start
#define thread_join         judge_join
#define kmalloc             get
#define kfree               put
#define handle_table_init   table_init
#define handle_free         object_free
#define handle_alloc        object_alloc
#define handle_pfn          object_pfn
#define movable_owner_drain owner_drain
#include "demo/act_load.c" /* NOLINT(bugprone-suspicious-include): the tested source */

KTEST(each_cpu_uses_its_pages)
{
	static const unsigned cpu[] = {1, 0};
	struct act_load *load;
	struct loader *l;

	begin();
	judge.tick = 1000000000;
	pretend.pcp = world.of;
	world.of[1] = &world.cache;
	world.cache.event[EV_ALLOC_UNCACHED] = 5;
	load = NEED(t, act_load_start(&pretend, cpu, 2, 10, 6));
	EXPECT_EQ(t, judge_times("[load on 1]") + judge_times("[load on 0]"), 2);
	l = &load->loader[0];
	EXPECT_EQ(t, act_load_page(load, 0, 3), PFN_NONE);
	use(l, 3);
	EXPECT_EQ(t, act_load_page(load, 0, 13), 1003);
	EXPECT(t, act_load_allocs(load, 0) == 1 && act_load_misses(load, 0) == 5);
	use(l, 3);
	EXPECT_EQ(t, act_load_allocs(load, 0), 1);
	judge_clear();
	EXPECT(t, act_load_stop(load));
	EXPECT_EQ(t, judge_times("[owner]"), 2);
	EXPECT_EQ(t, judge_times("[put]"), 3);
	/* All pages that the loaders allocated are freed, and damage is found. */
	EXPECT_EQ(t, world.freed, 1 + 2 * 10);
	begin();
	judge.tick = 1000000000;
	world.bad = 20;
	load = NEED(t, act_load_start(&pretend, cpu, 2, 10, 6));
	EXPECT(t, !act_load_stop(load));
	judge_clear();
}

KTEST(load_without_memory_is_undone)
{
	static const unsigned cpu[] = {1, 0};
	unsigned which;

	for (which = 1; which < 6; which++) {
		begin();
		world.no_memory = which < 4 ? which : 0;
		judge.no_job = which < 4 ? 0 : which - 3;
		EXPECT(t, !act_load_start(&pretend, cpu, 2, 10, 6));
		EXPECT_EQ(t, judge_times("[get]"), judge_times("[put]"));
		judge_clear();
	}
}
