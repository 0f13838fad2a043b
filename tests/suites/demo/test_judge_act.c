/* SPDX-License-Identifier: MIT */
/*
 * test_judge_act.c: the parts that the acts of the tour share, in a simulated world: the CPUs that
 * take part, a CPU that is held in a free, and the threads that allocate.
 */
#define JUDGE(name) judge_act_##name
#include "tests/host/judge_world.h"

#include "demo/act.h"
#include <quarry/free_held.h>
#include <quarry/handle.h>

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

static void restore(void)
{
	world.irqs_off = false;
	judge_note("[irqs on, preempt %u]", world.preempt);
}

static int held(void (*at)(void *arg), void *arg)
{
	judge_note("[free%s]", world.irqs_off ? "" : ", irqs on");
	if (world.no_cache)
		return 1;
	at(arg);
	judge_note("[pushed]");
	return 0;
}

static void on(void)
{
	world.preempt--;
	judge_note("[preempt]");
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

static int object_free(struct handle_table *t, u32 h)
{
	if (!t->handles[h].moves)
		return -EINVAL;
	t->handles[h].moves = 0;
	return ++world.freed == world.bad ? -EUCLEAN : 0;
}

static int object_alloc(struct handle_table *t, u32 h, unsigned order, gfp_t gfp)
{
	t->handles[h].moves = 1;
	return order || gfp != (GFP_MOVABLE | GFP_NORETRY) ? -EINVAL : 0;
}

#define arch_cpu_id()                      1u
#define arch_irq_save                      save
#define arch_irq_restore(flags)            ((void)(flags), restore())
#define drain_local_pages(mem, zone)       judge_note("[drain%s]", (zone) ? " a zone" : "")
#define mem_free_held(m, page, o, at, arg) held((at), (arg))
#define smp_call_pending()                 (world.called)
#define preempt_disable()                  (world.preempt++)
#define preempt_enable                     on
#define kmalloc                            get
#define kfree(ptr)                         judge_note("[put]")
#define handle_table_init(t, m, h, n)      (*(t) = (struct handle_table){.handles = (h), .nr = (n)})
#define handle_free                        object_free
#define handle_alloc(t, h, o, gfp, seed)   object_alloc((t), (h), (o), (gfp))
#define handle_pfn(t, h)                   ((t)->handles[h].moves ? 1000 + (h) : PFN_NONE)
#define movable_owner_drain(owner)         judge_note("[owner]")
#include "demo/act.c"      /* NOLINT(bugprone-suspicious-include): the tested source */
#include "demo/act_hold.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef LIMIT_NS
#include "demo/act_load.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void begin(void)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	judge.tick = 1000000;
	judge_memory = (struct memory){.pcp = world.of};
	world.of[1] = &world.cache;
	world.cache.event[EV_ALLOC_UNCACHED] = 5;
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
	EXPECT(t, !act_failed("one", -5, NULL));
	EXPECT(t, !act_failed("two", -6, &(struct mm_fail){.pfn = 7, .why = WHY_PINNED}));
	EXPECT(t, !act_failed("three", -7, &(struct mm_fail){.pfn = 7, .why = WHY_NONE}));
	EXPECT_SAID(t,
	    "  FAIL: one: error EIO\n  FAIL: two: error ENXIO, pfn 0x7: pinned page\n"
	    "  FAIL: three: error E2BIG\n");
}

/*
 * A CPU is held until it is called, or its push is asked for; for 60 seconds at most.  A CPU that
 * pushed runs no other thread until the end, so that the page stays in its cache.
 */
KTEST(cpu_is_held_until_it_is_called_or_its_page_is_pushed)
{
	static const struct {
		bool until_call, called, no_cache;
		u32 push, end;
		bool cached, late;
		u64 least_ms, most_ms;
	} rows[] = {{1, 1, 0, 0, 0, true, false, 500, 600},
	    {1, 0, 0, 0, 0, true, true, 60000, 61000}, {0, 0, 0, 1, 0, true, true, 60000, 61000},
	    {0, 0, 0, 1, 1, true, false, 0, 1000}, {0, 0, 1, 0, 0, false, false, 0, 1000}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct act_hold h = {.cpu = 3,
		    .linger_ns = 500000000,
		    .until_call = rows[i].until_call,
		    .push = rows[i].push,
		    .end = rows[i].end};

		begin();
		judge.at_once = true;
		world.called = rows[i].called;
		world.no_cache = rows[i].no_cache;
		EXPECT_EQ(t, act_hold_start(&h), 0);
		EXPECT_WORDS(t,
		    rows[i].no_cache
		        ? "[irqs off][drain][free][irqs on, preempt 1][preempt]"
		        : "[irqs off][drain][free][pushed][irqs on, preempt 1][preempt]");
		EXPECT(t, h.there && h.pushed && h.cached == rows[i].cached);
		EXPECT_EQ(t, h.late, rows[i].late);
		EXPECT(t, judge.now >= rows[i].least_ms * 1000000);
		EXPECT(t, judge.now < rows[i].most_ms * 1000000);
		act_hold_push(&h);
		act_hold_end(&h);
		EXPECT_SAID(t, "[hold joined]\n");
		EXPECT(t, h.push && h.end);
	}
	EXPECT_VERDICT(t, judge.no_job = 1, act_hold_start(&(struct act_hold){.cpu = 3}), -ENOMEM,
	    "[no hold on 3]");
}

/* ---- threads that allocate ---- */

static const unsigned cpu[] = {1, 0};

static struct act_load *start(void)
{
	return act_load_start(&judge_memory, cpu, 2, 10, 6);
}

/* All pages that the loaders allocated are freed, and damage is found. */
KTEST(each_cpu_uses_its_pages)
{
	struct act_load *load;
	struct loader *l;

	begin();
	judge.tick = 1000000000;
	load = NEED(t, start());
	EXPECT_WORDS(t, "[load on 1]|[load on 0]|3:[get]");
	l = &load->loader[0];
	EXPECT_EQ(t, act_load_page(load, 0, 3), PFN_NONE);
	use(l, 3);
	EXPECT_EQ(t, act_load_page(load, 0, 13), 1003);
	EXPECT(t, act_load_allocs(load, 0) == 1 && act_load_misses(load, 0) == 5);
	use(l, 3);
	EXPECT_EQ(t, act_load_allocs(load, 0), 1);
	EXPECT(t, act_load_stop(load));
	EXPECT_WORDS(t, "2:[owner]|3:[put]");
	EXPECT_EQ(t, world.freed, 1 + 2 * 10);
	begin();
	judge.tick = 1000000000;
	world.bad = 20;
	load = NEED(t, start());
	EXPECT(t, !act_load_stop(load));
}

KTEST(load_without_memory_is_undone)
{
	unsigned which;

	for (which = 1; which < 6; which++) {
		begin();
		world.no_memory = which < 4 ? which : 0;
		judge.no_job = which < 4 ? 0 : which - 3;
		EXPECT(t, !start());
		EXPECT_EQ(t, judge_times("[get]"), judge_times("[put]"));
	}
}
