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
static struct page *first, *second, *taken[64];
static pfn_t noted; /* the pageblock of the first page */
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
static int lose_cpu(struct vm_space *space, bool reads)
{
	victim.space = space;
	victim.reads = reads;
	silence_in(2, die_in_program, NULL, WAIT_FOREVER);
	first = page_in(scene.object, 0);
	return cpu_down(2);
}

/* A scene whose pages a CPU has mapped that is dead now. */
static int begin(void)
{
	return scene_begin_filled(playing, &scene, PAGES) ? lose_cpu(scene.space, false) : 0;
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

VERB(begin, begin());
/* Nothing is kept, and all pages are free when the scene ends. */
DO(release_kept, tlb_release_kept(scene.mem));
DO(end, scene_end(playing, &scene));
VERB(unmap, vm_unmap(scene.space, page_at((u64)a[0]), 1));
VERB(map_only, vm_map(scene.space, page_at((u64)a[0]), 1, VM_RW, scene.object, 0));
VERB(map, map_only_fn(a) ?: vm_fault(scene.space, page_at((u64)a[0]), VM_WRITE));
VERB(remove, vm_object_remove(scene.object, (u32)a[0], 1));
VERB(refs, word_ref(page_word(first))); /* of the first page */
VERB(pins, first->pincount);
VERB(there, page_in(scene.object, 0) == first);
VERB(content, *(u64 *)page_address_in(scene.mem, page_in(scene.object, 0)));
VERB(nr_kept, scene.mem->vm.nr_kept);
VERB(take_others, !take_others());
VERB(give_others, !give_others());
VERB(late_write, victim.late);
VERB(refs_of_second, word_ref(page_word(second)));
VERB(die_reading, lose_cpu(scene.space, true));
VERB(pinned, play_res.fail.why == WHY_PINNED);
DO(note, noted = block_with(first); second = page_in(scene.object, 1));
VERB(noted_block, noted);

#define BEGIN "begin = -EIO @timeout;"
/* The page is in use by @nr references, one of which is a pin. */
#define KEPT(nr) "refs = " #nr "; pins = 1; sound;"
/* The dead CPU continues, writes by its old entry, and parks. */
#define BACK "back 2; late_write;"
#define END  "release_kept; nr_kept; sound; end"

KTEST_SUITE(silence_tlb, 0);

/*
 * The pages of other owners keep their content, and the kept page is not among them.  The next
 * shootdown drops the pin: an unmapping of another page.
 */
KTEST(pages_unmapped_beside_a_dead_cpu_are_kept_for_it)
ROWS(BEGIN "note; unmap 0;" KEPT(2) "remove 0;" KEPT(
    1) "nr_kept = 1; take_others;" BACK "give_others; unmap 1; refs; refs_of_second = 1;" END)

/* However often a page is mapped and unmapped, it is kept once. */
KTEST(page_is_kept_once)
ROWS(BEGIN
    "unmap 0;" KEPT(2) "map 0; unmap 0;" KEPT(2) "map 0; unmap 0;" KEPT(2) "nr_kept = 1;" BACK END)

/* On a machine with more than TLB_CPUS CPUs no mask names those that must flush. */
static bool shoot_down_all(void)
{
	struct tlb_gather g;
	int err = get_page(first);

	tlb_gather_init(&g, scene.mem);
	g.everybody = true;
	tlb_gather_page(&g, first);
	return !err && !tlb_flush(&g);
}

VERB(shoot_down_all, !shoot_down_all());

KTEST(a_shootdown_of_all_cpus_keeps_the_pages_of_a_dead_one)
ROWS(BEGIN "shoot_down_all;" KEPT(3) BACK END)

DO(lock_keeping, mutex_lock(&scene.mem->vm.keeping));
DO(unlock_keeping, mutex_unlock(&scene.mem->vm.keeping));
VERB(waits_for_it, scene.mem->vm.keeping.l.first != NULL);

/* A thread that releases kept pages waits for the lock.  A CPU dies then, and the pages stay. */
KTEST(a_cpu_that_dies_meanwhile_keeps_the_pages)
ROWS(BEGIN
    "unmap 0;" BACK "map_only 0; lock_keeping; 1> release_kept @timeout; sleep 1t;"
    "waits_for_it = 1; die_reading = -EIO @timeout; unlock_keeping; join; nr_kept = 1;" BACK END)

DO(policy, play_opts = (struct offline_opts){.policy = NR_ISO_POLICIES});
VERB(dead_write, 0xdead);

/* An offline does not move a page that the dead CPU may write to.  The late write is not lost. */
KTEST(offline_waits_for_the_end_of_a_dead_cpu)
ROWS(
    BEGIN "policy; note; offline noted_block = -EBUSY; pinned = 1; there = 1; pins = 1; sound;" BACK
          "offline noted_block; online noted_block; content = dead_write;" END)

static struct lru_scan scan;

static bool begin_pager(void)
{
	bool begun = scene_begin_pager(playing, &scene, PAGES, &scene_pager, NULL);

	scan = (struct lru_scan){.batch = 32, .desperate = true};
	if (begun && !scene_get(scene.object, 0))
		scan.zone = zone_of(scene.mem, page_to_pfn_in(scene.mem, page_in(scene.object, 0)));
	return scan.zone;
}

VERB(begin_scene, !begin_pager());
VERB(get_page, scene_get(scene.object, (u32)a[0]));
DO(reclaim_some, reclaim_batch(&scan));
VERB(freed, scan.freed);

/*
 * Reclaim drops no page that the dead CPU may use, though its pager has the content.  Later the
 * pages have become active.
 */
KTEST(reclaim_leaves_the_pages_of_a_dead_cpu)
ROWS("begin_scene; get_page 1..2; die_reading = -EIO @timeout; reclaim_some; freed; there = 1;"
     "pins = 1; nr_kept = 3; sound;" BACK "reclaim_some 1..4; freed = 3;" END)

static struct vm_space *other;

static int begin_other(void)
{
	if (!scene_begin_filled(playing, &scene, PAGES) || vm_space_create(scene.mem, &other))
		return 0;
	soft_load_space(scene.space);
	write_pages(playing, 0, PAGES, 1);
	return lose_cpu(other, false);
}

VERB(begin_other, begin_other());
DO(unload, soft_unload_space());
DO(put_other, vm_space_put(other));

/* A dead CPU has entries of the program that it ran, and of no other. */
KTEST(pages_of_other_programs_are_not_kept)
ROWS("begin_other = -EIO @timeout; unmap 0; refs = 1; nr_kept; unload; back 2;"
     "late_write = -EFAULT; put_other;" END)
