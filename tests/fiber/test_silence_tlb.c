/* SPDX-License-Identifier: MIT */
/*
 * test_silence_tlb.c: CPU 2 dies in a program, and later uses the old entries of its TLB: the pages
 * that it may still write to belong to nobody else until it has left the program.
 */
#include "mm/reclaim/reclaim.h"
#include "tests/fiber/silence_help.h"
#include "tests/lib/vm_help.h"

#define PAGES 3u

static struct vm_scene scene;
static struct page *first, *taken[64];
static struct {
	struct vm_space *space; /* that is loaded on the CPU */
	bool reads;             /* the CPU has read the pages; else it has written to them */
	int late;               /* the result of a write after the silence */
} victim;

/* A thread of a program: the CPU dies between two writes to the program's first page. */
static void die_in_program(void *arg)
{
	irqflags_t flags;
	unsigned i;
	u64 value;

	soft_load_space(victim.space);
	for (i = 0; i < PAGES && victim.reads; i++)
		EXPECT_EQ(playing, soft_read(page_at(i), &value), 0);
	if (victim.space == scene.space && !victim.reads)
		write_pages(playing, 0, PAGES, 1);
	flags = arch_irq_save();
	stay_silent(NULL);
	/* In a machine a pending interrupt may come after the next instructions. */
	victim.late = victim.reads ? 0 : soft_try_write(page_at(0), 0xdead);
	soft_unload_space();
	arch_irq_restore(flags);
}

/* A CPU loads @space and dies. */
static void lose_cpu(struct ktest *t, struct vm_space *space, bool reads)
{
	victim.space = space;
	victim.reads = reads;
	playing = t;
	silence_in(2, die_in_program, NULL, WAIT_FOREVER);
	first = page_in(scene.object, 0);
	PLAY(t, "down 2 = -EIO @timeout");
}

/* A scene whose pages a CPU has mapped that is dead now. */
static bool begin(struct ktest *t)
{
	bool begun = scene_begin_filled(t, &scene, PAGES);

	if (begun)
		lose_cpu(t, scene.space, false);
	return begun;
}

/* Nothing is kept, and all pages are free when the scene ends. */
static void end(struct ktest *t)
{
	tlb_release_kept(scene.mem);
	EXPECT_EQ(t, scene.mem->vm.nr_kept, 0);
	expect_sound(t, scene.mem);
	scene_end(t, &scene);
}

/* Pages of other owners: are they zero, and none of them the first page? */
static bool take_others(void)
{
	unsigned i, wrong = 0;

	for (i = 0; i < ARRAY_SIZE(taken); i++) {
		taken[i] = mem_alloc_pages(scene.mem, GFP_MOVABLE | GFP_ZERO, 0);
		wrong += !taken[i] || taken[i] == first;
	}
	return !wrong;
}

static bool give_others(void)
{
	unsigned i, wrong = 0;

	for (i = 0; i < ARRAY_SIZE(taken); i++) {
		wrong += *(u64 *)page_address_in(scene.mem, taken[i]) != 0;
		wrong += mem_free_pages(scene.mem, taken[i], 0) != 0;
	}
	return !wrong;
}

VERB(unmap, vm_unmap(scene.space, page_at((u64)a[0]), 1));
VERB(map,
    vm_map(scene.space, page_at((u64)a[0]), 1, VM_RW, scene.object, 0)
        ?: vm_fault(scene.space, page_at((u64)a[0]), VM_WRITE));
VERB(remove, vm_object_remove(scene.object, (u32)a[0], 1));
VERB(refs, word_ref(page_word(first))); /* of the first page */
VERB(pins, first->pincount);
VERB(there, page_in(scene.object, 0) == first);
VERB(content, *(u64 *)page_address_in(scene.mem, page_in(scene.object, 0)));
VERB(nr_kept, scene.mem->vm.nr_kept);
VERB(take_others, !take_others());
VERB(give_others, !give_others());
VERB(late_write, victim.late);
WAIT(release_kept, tlb_release_kept(scene.mem));
DO(kill_again, lose_cpu(playing, scene.space, true));
VERB(pinned, play_res.fail.why == WHY_PINNED);
VERB(block_of_first, block_of(page_to_pfn_in(scene.mem, first)));

/* The page is in use by @refs references, one of which is a pin. */
#define KEPT(nr) "refs = " #nr "; pins = 1; sound;"
/* The dead CPU continues, writes by its old entry, and parks. */
#define END_SILENCE "back 2; late_write;"

KTEST_SUITE(silence_tlb, 0);

/*
 * The pages of other owners keep their content, and the kept page is not among them.  The next
 * shootdown drops the pin: an unmapping of another page.
 */
KTEST(pages_unmapped_beside_a_dead_cpu_are_kept_for_it)
{
	struct page *page;

	REQUIRE(t, begin(t));
	PLAY(t,
	    "unmap 0;" KEPT(2) "remove 0;" KEPT(1) "nr_kept = 1; take_others;" END_SILENCE
	                                           "give_others");
	page = NEED(t, page_in(scene.object, 1));
	PLAY(t, "unmap 1; refs");
	EXPECT_EQ(t, word_ref(page_word(page)), 1);
	end(t);
}

/* However often a page is mapped and unmapped, it is kept once. */
KTEST(page_is_kept_once)
{
	REQUIRE(t, begin(t));
	PLAY(t,
	    "unmap 0;" KEPT(2) "map 0; unmap 0;" KEPT(2) "map 0; unmap 0;" KEPT(
	        2) "nr_kept = 1;" END_SILENCE);
	end(t);
}

/* On a machine with more than TLB_CPUS CPUs no mask names those that must flush. */
KTEST(a_shootdown_of_all_cpus_keeps_the_pages_of_a_dead_one)
{
	struct tlb_gather g;

	REQUIRE(t, begin(t));
	EXPECT_EQ(t, get_page(first), 0);
	tlb_gather_init(&g, scene.mem);
	g.everybody = true;
	tlb_gather_page(&g, first);
	EXPECT(t, !tlb_flush(&g));
	PLAY(t, KEPT(3) END_SILENCE);
	end(t);
}

/* A thread that releases kept pages waits for the lock.  A CPU dies then, and the pages stay. */
KTEST(a_cpu_that_dies_meanwhile_keeps_the_pages)
{
	struct mutex *keeping;

	REQUIRE(t, begin(t));
	keeping = &scene.mem->vm.keeping;
	PLAY(t, "unmap 0;" END_SILENCE);
	EXPECT_EQ(t, vm_map(scene.space, page_at(0), 1, VM_RW, scene.object, 0), 0);
	mutex_lock(keeping);
	PLAY(t, "1> release_kept");
	while (!READ_ONCE(keeping->l.first))
		thread_yield();
	lose_cpu(t, scene.space, true);
	mutex_unlock(keeping);
	PLAY(t, "join; nr_kept = 1;" END_SILENCE);
	end(t);
}

/* An offline does not move a page that the dead CPU may write to.  The late write is not lost. */
KTEST(offline_waits_for_the_end_of_a_dead_cpu)
{
	pfn_t block;

	REQUIRE(t, begin(t));
	play_opts = (struct offline_opts){.policy = NR_ISO_POLICIES};
	block = block_of(page_to_pfn_in(scene.mem, first));
	PLAY(t,
	    "offline %lu = -EBUSY; pinned = 1; there = 1; pins = 1; sound;" END_SILENCE
	    "offline %lu; online %lu; content = %u",
	    block, block, block, 0xdead);
	end(t);
}

static struct lru_scan scan;

DO(reclaim, reclaim_batch(&scan));
VERB(freed, scan.freed);

/*
 * Reclaim drops no page that the dead CPU may use, though its pager has the content.  Later the
 * pages have become active.
 */
KTEST(reclaim_leaves_the_pages_of_a_dead_cpu)
{
	unsigned i;

	REQUIRE(t, scene_begin_pager(t, &scene, PAGES, &scene_pager, NULL));
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(t, scene_get(scene.object, i), 0);
	lose_cpu(t, scene.space, true);
	scan = (struct lru_scan){.batch = 32, .desperate = true};
	scan.zone = zone_of(scene.mem, page_to_pfn_in(scene.mem, NEED(t, first)));
	PLAY(t,
	    "reclaim; freed; there = 1; pins = 1; nr_kept = 3; sound;" END_SILENCE
	    "reclaim; reclaim; reclaim; reclaim; freed = 3");
	end(t);
}

/* A dead CPU has entries of the program that it ran, and of no other. */
KTEST(pages_of_other_programs_are_not_kept)
{
	struct vm_space *other;

	REQUIRE(t, scene_begin_filled(t, &scene, PAGES));
	REQUIRE(t, !vm_space_create(scene.mem, &other));
	soft_load_space(scene.space);
	write_pages(t, 0, PAGES, 1);
	lose_cpu(t, other, false);
	PLAY(t, "unmap 0; refs = 1; nr_kept");
	soft_unload_space();
	PLAY(t, "back 2; late_write = -EFAULT");
	vm_space_put(other);
	end(t);
}
