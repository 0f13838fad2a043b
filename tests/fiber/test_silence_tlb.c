/* SPDX-License-Identifier: MIT */
/*
 * test_silence_tlb.c: a CPU dies in a program, and later uses the old entries of its TLB: the pages
 * that it may still write to belong to nobody else until it has left the program.
 */
#include "mm/reclaim/reclaim.h"
#include "tests/fiber/silence_help.h"
#include "tests/lib/vm_help.h"
#include <quarry/errno.h>
#include <quarry/memory_hotplug.h>

#define SILENT 2u /* the CPU that dies */
#define PAGES  3u

static struct vm_scene scene;
static struct {
	struct deaf deaf;
	struct vm_space *space; /* that is loaded on the CPU */
	bool reads;             /* the CPU has read the pages; else it has written to them */
	int late;               /* the result of a write after the silence */
} victim;

/* A thread of a program: the CPU dies between two writes to the program's first page. */
static void die_in_program(void *arg)
{
	struct ktest *t = arg;
	irqflags_t flags;
	unsigned i;
	u64 value;

	soft_load_space(victim.space);
	for (i = 0; i < PAGES && victim.reads; i++)
		EXPECT_EQ(t, soft_read(page_at(i), &value), 0);
	if (victim.space == scene.space && !victim.reads)
		write_pages(t, 0, PAGES, 1);
	flags = arch_irq_save();
	deaf_main(&victim.deaf);
	/* In a machine a pending interrupt may come after the next instructions. */
	victim.late = victim.reads ? 0 : soft_try_write(page_at(0), 0xdead);
	soft_unload_space();
	arch_irq_restore(flags);
}

/* Expect that the page is in use, by one reference that is a pin. */
static void expect_kept(struct ktest *t, const struct page *page, unsigned refs)
{
	EXPECT_EQ(t, word_ref(page_word(page)), refs);
	EXPECT_EQ(t, page->pincount, 1);
	expect_sound(t, scene.mem);
}

/* A CPU loads @space and dies. */
static void lose_cpu(struct ktest *t, struct vm_space *space, bool reads)
{
	memset(&victim, 0, sizeof(victim));
	victim.space = space;
	victim.reads = reads;
	victim.deaf = (struct deaf){.cpu = SILENT, .ns = WAIT_FOREVER};
	ktest_start(SILENT, die_in_program, t);
	while (!load_acquire(&victim.deaf.is))
		thread_yield();
	EXPECT_EQ(t, cpu_down(SILENT), -EIO);
}

/* A scene whose pages a CPU has mapped that is dead now. */
static bool begin(struct ktest *t)
{
	bool begun = scene_begin_filled(t, &scene, PAGES);

	if (begun)
		lose_cpu(t, scene.space, false);
	return begun;
}

/* The dead CPU continues, writes by its old entry, and parks. */
static void end_silence(struct ktest *t)
{
	deaf_end(&victim.deaf);
	dead_comes_back(t, SILENT);
	EXPECT_EQ(t, victim.late, 0);
}

/* Nothing is kept, and all pages are free when the scene ends. */
static void end(struct ktest *t)
{
	tlb_release_kept(scene.mem);
	EXPECT_EQ(t, scene.mem->vm.nr_kept, 0);
	expect_sound(t, scene.mem);
	scene_end(t, &scene);
}

KTEST_SUITE(silence_tlb, 0);

KTEST(pages_unmapped_beside_a_dead_cpu_are_kept_for_it)
{
	struct page *first, *page, *taken[64];
	unsigned i, nr;

	REQUIRE(t, begin(t));
	first = NEED(t, page_in(scene.object, 0));
	EXPECT_EQ(t, vm_unmap(scene.space, page_at(0), 1), 0);
	expect_kept(t, first, 2);
	EXPECT_EQ(t, vm_object_remove(scene.object, 0, 1), 0);
	expect_kept(t, first, 1);
	EXPECT_EQ(t, scene.mem->vm.nr_kept, 1);
	/* The pages of other owners keep their content, and the kept page is not among them. */
	for (nr = 0; nr < ARRAY_SIZE(taken); nr++) {
		taken[nr] = NEED(t, mem_alloc_pages(scene.mem, GFP_MOVABLE | GFP_ZERO, 0));
		EXPECT(t, taken[nr] != first);
	}
	end_silence(t);
	for (i = 0; i < nr; i++) {
		EXPECT_EQ(t, *(u64 *)page_address_in(scene.mem, taken[i]), 0);
		EXPECT_EQ(t, mem_free_pages(scene.mem, taken[i], 0), 0);
	}
	/* The next shootdown drops the pin: an unmapping of another page. */
	page = NEED(t, page_in(scene.object, 1));
	EXPECT_EQ(t, vm_unmap(scene.space, page_at(1), 1), 0);
	EXPECT_EQ(t, word_ref(page_word(first)), 0);
	EXPECT_EQ(t, word_ref(page_word(page)), 1);
	end(t);
}

/* However often a page is mapped and unmapped, it is kept once. */
KTEST(page_is_kept_once)
{
	struct page *first;
	unsigned i;

	REQUIRE(t, begin(t));
	first = NEED(t, page_in(scene.object, 0));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(t, vm_unmap(scene.space, page_at(0), 1), 0);
		expect_kept(t, first, 2);
		EXPECT_EQ(t, vm_map(scene.space, page_at(0), 1, VM_RW, scene.object, 0), 0);
		EXPECT_EQ(t, vm_fault(scene.space, page_at(0), VM_WRITE), 0);
	}
	EXPECT_EQ(t, scene.mem->vm.nr_kept, 1);
	end_silence(t);
	end(t);
}

/* On a machine with more than TLB_CPUS CPUs no mask names those that must flush. */
KTEST(a_shootdown_of_all_cpus_keeps_the_pages_of_a_dead_one)
{
	struct tlb_gather g;
	struct page *page;

	REQUIRE(t, begin(t));
	page = NEED(t, page_in(scene.object, 0));
	EXPECT_EQ(t, get_page(page), 0);
	tlb_gather_init(&g, scene.mem);
	g.everybody = true;
	tlb_gather_page(&g, page);
	EXPECT(t, !tlb_flush(&g));
	expect_kept(t, page, 3);
	end_silence(t);
	end(t);
}

static void release_kept(void *arg)
{
	tlb_release_kept(scene.mem);
}

/* A thread that releases kept pages waits for the lock.  A CPU dies then, and the pages stay. */
KTEST(a_cpu_that_dies_meanwhile_keeps_the_pages)
{
	struct mutex *keeping;

	REQUIRE(t, begin(t));
	keeping = &scene.mem->vm.keeping;
	EXPECT_EQ(t, vm_unmap(scene.space, page_at(0), 1), 0);
	EXPECT_EQ(t, vm_map(scene.space, page_at(0), 1, VM_RW, scene.object, 0), 0);
	end_silence(t);
	mutex_lock(keeping);
	ktest_start(1, release_kept, NULL);
	while (!READ_ONCE(keeping->l.first))
		thread_yield();
	lose_cpu(t, scene.space, true);
	mutex_unlock(keeping);
	ktest_join(1);
	EXPECT_EQ(t, scene.mem->vm.nr_kept, 1);
	end_silence(t);
	end(t);
}

/* An offline does not move a page that the dead CPU may write to. */
KTEST(offline_waits_for_the_end_of_a_dead_cpu)
{
	struct offline_result res;
	struct page *first;
	pfn_t block;

	REQUIRE(t, begin(t));
	first = NEED(t, page_in(scene.object, 0));
	block = block_of(page_to_pfn_in(scene.mem, first));
	EXPECT_EQ(t, offline_pages(scene.mem, block, PAGEBLOCK_PAGES, NULL, &res), -EBUSY);
	EXPECT_EQ(t, res.fail.why, WHY_PINNED);
	EXPECT(t, page_in(scene.object, 0) == first && first->pincount == 1);
	expect_sound(t, scene.mem);
	end_silence(t);
	EXPECT_EQ(t, offline_pages(scene.mem, block, PAGEBLOCK_PAGES, NULL, &res), 0);
	EXPECT_EQ(t, online_pages(scene.mem, block, PAGEBLOCK_PAGES, NULL), 0);
	/* The late write was not lost. */
	EXPECT_EQ(t, *(u64 *)page_address_in(scene.mem, NEED(t, page_in(scene.object, 0))), 0xdead);
	end(t);
}

/* Reclaim drops no page that the dead CPU may use, though its pager has the content. */
KTEST(reclaim_leaves_the_pages_of_a_dead_cpu)
{
	struct lru_scan scan = {.batch = 32, .desperate = true};
	struct page *first;
	unsigned i;

	REQUIRE(t, scene_begin_pager(t, &scene, PAGES, &scene_pager, NULL));
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(t, scene_get(scene.object, i), 0);
	lose_cpu(t, scene.space, true);
	first = NEED(t, page_in(scene.object, 0));
	scan.zone = zone_of(scene.mem, page_to_pfn_in(scene.mem, first));
	reclaim_batch(&scan);
	EXPECT_EQ(t, scan.freed, 0);
	EXPECT(t, page_in(scene.object, 0) == first);
	EXPECT_EQ(t, first->pincount, 1);
	EXPECT_EQ(t, scene.mem->vm.nr_kept, PAGES);
	expect_sound(t, scene.mem);
	end_silence(t);
	/* The pages have become active. */
	for (i = 0; i < 4; i++)
		reclaim_batch(&scan);
	EXPECT_EQ(t, scan.freed, PAGES);
	end(t);
}

/* A dead CPU has entries of the program that it ran, and of no other. */
KTEST(pages_of_other_programs_are_not_kept)
{
	struct vm_space *other;
	struct page *first;

	REQUIRE(t, scene_begin_filled(t, &scene, PAGES));
	REQUIRE(t, !vm_space_create(scene.mem, &other));
	soft_load_space(scene.space);
	write_pages(t, 0, PAGES, 1);
	lose_cpu(t, other, false);
	first = NEED(t, page_in(scene.object, 0));
	EXPECT_EQ(t, vm_unmap(scene.space, page_at(0), 1), 0);
	EXPECT_EQ(t, word_ref(page_word(first)), 1);
	EXPECT_EQ(t, scene.mem->vm.nr_kept, 0);
	soft_unload_space();
	deaf_end(&victim.deaf);
	dead_comes_back(t, SILENT);
	EXPECT_EQ(t, victim.late, -EFAULT);
	vm_space_put(other);
	end(t);
}
