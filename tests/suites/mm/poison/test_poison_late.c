/* SPDX-License-Identifier: MIT */
/*
 * test_poison_late.c: a page that breaks after its allocation, when only its owner knows of it: no
 * check takes it for an error, and it gets into no object.
 */
#include "mm/vm/lru.h"
#include "tests/lib/poison_help.h"
#include "tests/lib/vm_help.h"
#include <quarry/string.h>

static void at_point(const char *name);

#undef SCHED_POINT
#define SCHED_POINT(name) at_point(name)
#include "mm/move/migrate_lru_inline.h"

static struct memory *the_memory;
static struct page *the_page;
static struct poison_result res;
static int failed;

static void breaks(void *arg)
{
	failed = mem_memory_failure(the_memory, page_to_pfn_in(the_memory, the_page), 0, &res);
}

/*
 * The other thread runs as soon as this CPU's interrupts are on: its slice has come when the
 * allocation begins, and the allocation ends its interrupt-off section with the page.
 */
static void a_page_may_break_just_after_its_allocation(struct ktest *t)
{
	struct thread *other;
	struct page *again;
	u64 until;

	the_memory = NEED(t, ktest_memory(t, 0, CACHED_BLOCKS, 0));
	failed = 1;
	/* its pageblock is UNMOVABLE now */
	the_page = NEED(t, mem_alloc_pages(the_memory, GFP_KERNEL, 0));
	EXPECT_EQ(t, mem_free_pages(the_memory, the_page, 0), 0); /* on top of this CPU's stack */
	other = NEED(t, thread_start("breaks", 0, breaks, NULL));
	for (until = arch_clock_ns() + 20000000ULL; arch_clock_ns() < until;)
		;
	again = mem_alloc_pages(the_memory, GFP_KERNEL, 0);
	EXPECT(t, again == the_page);
	thread_join(other);
	EXPECT_EQ(t, failed, -EBUSY);
	EXPECT_EQ(t, res.outcome, POISON_IGNORED);
	EXPECT_EQ(t, mem_free_pages(the_memory, again, 0), 0);
	EXPECT_EQ(t, mem_poisoned(the_memory).retired, 1);
	EXPECT_EQ(t, mem_unpoison_page(the_memory, page_to_pfn_in(the_memory, the_page)), 0);
}

/* ---- a page breaks before others can find it ---- */

static int fill_and_break(void *data, void *arg)
{
	pfn_t pfn = ((uintptr_t)data - (uintptr_t)arch_phys_to_virt(0)) >> PAGE_SHIFT;

	the_page = pfn_to_page_in(the_memory, pfn);
	memset(data, 0x5a, PAGE_SIZE);
	breaks(NULL);
	return 0;
}

static void a_page_that_breaks_while_it_is_filled_is_not_supplied(struct ktest *t)
{
	struct vm_scene s;

	if (!scene_begin(t, &s, 4))
		return;
	the_memory = s.mem;
	EXPECT_EQ(t, vm_object_supply_by(s.object, 0, fill_and_break, NULL), -EAGAIN);
	EXPECT_EQ(t, failed, -EBUSY);
	EXPECT(t, !vm_object_has(s.object, 0));
	EXPECT(t, is_retired(the_memory, page_to_pfn_in(the_memory, the_page)));
	expect_poisoned(t, the_memory, 1);
	EXPECT_EQ(t, mem_unpoison_page(the_memory, page_to_pfn_in(the_memory, the_page)), 0);
	scene_end(t, &s);
}

/* The target of the first page breaks after its copy, while the second page is copied. */
static struct page *moved[2];
static unsigned copied;

static void at_point(const char *name)
{
	if (strcmp(name, "mig.copied") != 0 || ++copied != 2)
		return;
	the_page = pfn_to_page_in(the_memory, moved[0]->next);
	breaks(NULL);
}

static void a_page_does_not_move_to_a_frame_that_broke(struct ktest *t)
{
	struct migrate_target to = migrate_anywhere;
	int err[2] = {1, 1}, i;
	struct vm_scene s;

	if (!scene_begin_filled(t, &s, 4))
		return;
	the_memory = s.mem;
	copied = 0;
	for (i = 0; i < 2; i++) {
		moved[i] = page_in(s.object, (u32)i);
		EXPECT_EQ(t, isolate_lru_page(the_memory, page_to_pfn_in(the_memory, moved[i])), 0);
	}
	migrate_lru_batch(the_memory, moved, 2, &to, err);
	EXPECT_EQ(t, failed, -EBUSY);
	EXPECT_EQ(t, err[0], -EAGAIN);
	EXPECT_EQ(t, err[1], 0);
	EXPECT(t, page_in(s.object, 0) == moved[0]);
	EXPECT(t, is_retired(the_memory, page_to_pfn_in(the_memory, the_page)));
	for (i = 0; i < 2; i++) {
		if (err[i])
			putback_lru_page(the_memory, moved[i]);
		else
			mem_put_page(the_memory, moved[i]);
	}
	vm_object_remove(s.object, 0, 4);
	EXPECT_EQ(t, mem_unpoison_page(the_memory, page_to_pfn_in(the_memory, the_page)), 0);
	scene_end(t, &s);
}

/* A page that broke keeps its state, and its free retires it. */
static void a_broken_page_is_not_taken_out_of_alloc(struct ktest *t)
{
	the_memory = NEED(t, ktest_memory(t, 0, CACHED_BLOCKS, 0));
	the_page = NEED(t, mem_alloc_pages(the_memory, GFP_KERNEL, 0));
	breaks(NULL);
	EXPECT_EQ(t, failed, -EBUSY);
	EXPECT(t, !page_take_state(the_page, PG_PGTABLE));
	EXPECT_EQ(t, word_state(page_word(the_page)), PG_ALLOC);
	EXPECT_EQ(t, mem_free_pages(the_memory, the_page, 0), 0);
	EXPECT(t, is_retired(the_memory, page_to_pfn_in(the_memory, the_page)));
	EXPECT_EQ(t, mem_unpoison_page(the_memory, page_to_pfn_in(the_memory, the_page)), 0);
}

KTEST_SUITE(poison_late, 0, KTEST(a_page_may_break_just_after_its_allocation),
    KTEST(a_page_that_breaks_while_it_is_filled_is_not_supplied),
    KTEST(a_page_does_not_move_to_a_frame_that_broke),
    KTEST(a_broken_page_is_not_taken_out_of_alloc));
