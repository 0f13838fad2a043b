/* SPDX-License-Identifier: MIT */
/*
 * test_play_stack.c: freed stacks that are kept, and those whose pages are freed: not while a CPU
 * that gets no cross-calls may still use them.  Page tables, pages and the CPUs are simulated.
 */
#include "tests/host/play_help.h"
#include <quarry/hotplug.h>
#include <quarry/lock.h>
#include <quarry/machine.h>
#include <quarry/mm.h>

#define SLOTS 128u
#define KEPT  64u /* the most freed stacks that are kept */
#define NR    70u
#define PAGES 4u

static phys_t table[SLOTS][8];  /* by slot and page: the page that is mapped there */
static unsigned given;          /* pages allocated and not freed */
static unsigned no_table;       /* this mapping fails, counted from 1; 0: none */
static unsigned no_page;        /* this allocation fails, counted from 1; 0: none */
static bool out_of_reach, dies; /* a CPU is dead; dies in the next cross-call */
static void *tops[NR];

static void *give_page(void)
{
	static uintptr_t next;

	if (no_page && --no_page == 0)
		return NULL;
	given++;
	return (void *)(++next << PAGE_SHIFT);
}

static void take_page(void)
{
	given--;
	judge_note("free\n");
}

#define BASE 0x40000000UL

static phys_t *entry(uintptr_t va)
{
	return &table[(va - BASE) / 32768][(va - BASE) / PAGE_SIZE % 8];
}

static int map(uintptr_t va, phys_t pa, size_t len, unsigned flags)
{
	if (no_table && --no_table == 0)
		return -1;
	if (*entry(va) || len != PAGE_SIZE || flags != MAP_WRITE)
		panic("mapped twice");
	*entry(va) = pa;
	return 0;
}

static bool unmap(uintptr_t va, size_t len)
{
	judge_note("unmap %lu\n", (unsigned long)(va - BASE) / 32768);
	for (; len; len -= PAGE_SIZE, va += PAGE_SIZE)
		*entry(va) = 0;
	return true;
}

static phys_t mapped_at(uintptr_t va)
{
	return *entry(va);
}

static void flush_page(uintptr_t va)
{
	if (*entry(va))
		judge_note("flush of %lx too early\n", (unsigned long)va);
}

static int call(const cpumask_t *mask, void (*fn)(void *arg), void *arg)
{
	judge_note("call%s\n", mask ? " some" : "");
	fn(arg);
	out_of_reach |= dies;
	return 0;
}

static bool any_out_of_reach(void)
{
	return out_of_reach;
}

void played_entry(void);
void played_entry(void)
{
}

bool played_guard(uintptr_t va);
void *played_alloc(void);
void played_free(void *top);
unsigned long played_pages(void), played_tables(void);
void *played_prepare(void *stack_top, void (*fn)(void *), void *arg);
#undef ARCH_STACK_BASE
#define ARCH_STACK_BASE          BASE
#define arch_page_alloc          give_page
#define arch_virt_to_phys(p)     ((phys_t)(uintptr_t)(p))
#define pfn_to_page_in(mem, pfn) (pfn)
#define free_pages(page, order)  ((void)(page), take_page())
#define arch_map                 map
#define arch_unmap               unmap
#define arch_mapped_at           mapped_at
#define invlpg                   flush_page
#define smp_call_mask            call
#define cpu_out_of_reach         any_out_of_reach
#define thread_entry             played_entry
#define stack_is_guard           played_guard
#define arch_stack_alloc         played_alloc
#define arch_stack_free          played_free
#define arch_stack_pages         played_pages
#define arch_stack_tables        played_tables
#define arch_stack_prepare       played_prepare
#include "arch/x86_64/stack.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void begin(void)
{
	play_begin();
	memset(table, 0, sizeof(table));
	given = no_table = no_page = 0;
	out_of_reach = dies = false;
	nr_cached = nr_empty = next_slot = 0;
	memset(has_table, 0, sizeof(has_table));
}

/* Allocate NR stacks, and free the first @nr of them, without notes. */
static void use_stacks(struct ktest *t, unsigned nr)
{
	unsigned i;

	for (i = 0; i < NR; i++) {
		tops[i] = arch_stack_alloc();
		EXPECT(t, tops[i]);
	}
	for (i = 0; i < nr; i++)
		arch_stack_free(tops[i]);
	judge_clear();
}

#define FREED(slot) "unmap " #slot "\ncall\nfree\nfree\nfree\nfree\n"

KTEST_SUITE(play_stack, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* A page is freed after all CPUs have forgotten its address. */
KTEST(surplus_stacks_are_freed)
{
	begin();
	use_stacks(t, KEPT);
	EXPECT_EQ(t, given, NR * PAGES);
	EXPECT_DOES(t, arch_stack_free(tops[KEPT]), FREED(64));
	EXPECT_DOES(t, arch_stack_free(tops[KEPT + 1]), FREED(65));
	EXPECT_EQ(t, given, (NR - 2) * PAGES);
	EXPECT_EQ(t, arch_stack_pages(), given);
	/* A table for 64 slots each: that of slot 64 and 65 stays. */
	EXPECT_EQ(t, arch_stack_tables(), 2);
}

KTEST(stacks_are_kept_while_a_cpu_is_out_of_reach)
{
	unsigned i;

	begin();
	use_stacks(t, KEPT);
	out_of_reach = true;
	for (i = KEPT; i < NR; i++)
		EXPECT_DOES(t, arch_stack_free(tops[i]), "");
	/* They are used again, the stack freed last first. */
	EXPECT(t, arch_stack_alloc() == tops[NR - 1]);
	arch_stack_free(tops[NR - 1]);
	use_stacks(t, NR - 1);
	EXPECT_EQ(t, given, NR * PAGES);
	/* The next free after the end of that time frees all that are too many. */
	out_of_reach = false;
	arch_stack_free(tops[NR - 1]);
	EXPECT_EQ(t, judge_times("unmap "), NR - KEPT);
	EXPECT_EQ(t, given, KEPT * PAGES);
	EXPECT_EQ(t, arch_stack_pages(), given);
}

/* The CPU dies, or the set of CPUs begins to change, when the stack is unmapped already. */
KTEST(stack_that_a_cpu_may_reach_is_mapped_again)
{
	phys_t page;

	begin();
	use_stacks(t, KEPT);
	page = mapped_at((uintptr_t)tops[KEPT] - 1);
	dies = true;
	EXPECT_DOES(t, arch_stack_free(tops[KEPT]), "unmap 64\ncall\n");
	EXPECT_EQ(t, mapped_at((uintptr_t)tops[KEPT] - 1), page);
	dies = out_of_reach = false;
	EXPECT(t, rwsem_lock_exclusive_timeout(&cpu_hotplug, 0));
	arch_stack_free(tops[KEPT + 1]);
	EXPECT_DOES(t, rwsem_unlock_exclusive(&cpu_hotplug), "unmap 65\n");
	EXPECT_EQ(t, given, NR * PAGES);
	EXPECT_EQ(t, arch_stack_pages(), given);
	EXPECT_DOES(t, arch_stack_free(tops[KEPT + 2]), FREED(66) FREED(65) FREED(64));
	EXPECT(t, !rwsem_is_held(&cpu_hotplug));
}

KTEST(stack_without_memory_leaves_nothing)
{
	unsigned at;

	for (at = 1; at <= PAGES; at++) {
		begin();
		no_table = at;
		EXPECT(t, !arch_stack_alloc());
		EXPECT_EQ(t, given + (unsigned)arch_stack_pages(), 0);
		EXPECT_EQ(t, judge_times("call\n"), at > 1);
		EXPECT_EQ(t, arch_stack_tables(), at > 1);
		EXPECT(t, arch_stack_alloc());
		begin();
		no_page = at;
		EXPECT(t, !arch_stack_alloc());
		EXPECT_EQ(t, given + (unsigned)arch_stack_pages(), 0);
	}
}
