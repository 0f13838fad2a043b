/* SPDX-License-Identifier: MIT */
/*
 * judge_poison.h: a simulated world, and in it the soak of broken memory. It is included as text,
 * with the soak's source, so that both suites of the soak can read the soak's data. The soak's
 * functions are named JUDGE(name) in a suite.
 */
#ifndef QUARRY_TESTS_JUDGE_POISON_H
#define QUARRY_TESTS_JUDGE_POISON_H

#define smp_stats   JUDGE(smp_stats)
#define poison_soak JUDGE(poison_soak)
#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/machine.h>
#include <quarry/memory_hotplug.h>
#include <quarry/poison.h>
#include <quarry/smp.h>
#include <quarry/stress.h>
#include <quarry/task.h>
#include <quarry/user.h>
#include <quarry/vm.h>
#include <quarry/isolation.h>

#include "tests/host/judge_help.h"

#define PAGES 8u      /* pages of the object */
#define START 0x1000u /* first pfn of the memory, which has 640 pages */
#define END   (START + 640)

struct smp_stats smp_stats;

static struct {
	unsigned cpus;
	int offline_err, online_err, supply_err, create_err;
	int fault[4];                            /* results of vm_fault, the last repeats */
	unsigned faults, nr_copies, copies_fail; /* the first @copies_fail copies fail */
	u64 page[PAGES][2];                      /* first and last word of each page */
	bool no_range, no_stress;
	int stop_err;
	int soft, hard, back; /* results of soft offline, hard failure and unpoison */
	struct poison_result res;
	bool flagged[640];
	long count_off; /* error to add to mem_poisoned */
	u64 reclaimed, moved;
	unsigned calls_across;
} world;
static struct memory pretend;

/* ---- ranges ---- */

static pfn_t candidate(struct memory *mem, unsigned long want, unsigned long *nr)
{
	*nr = want / PAGEBLOCK_PAGES;
	return world.no_range ? PFN_NONE : 0x200;
}

static int offline(struct memory *mem, pfn_t start, unsigned long nr,
    const struct offline_opts *opts, struct offline_result *res)
{
	judge_note("[offline %lu at %#lx, %s, %llu ns%s]", nr, start, iso_policy_name(opts->policy),
	    (unsigned long long)opts->deadline_ns,
	    opts->cancel == judge.stop ? "" : ", not to be cancelled");
	*res = (struct offline_result){
	    .fail = {.pfn = 5, .why = world.offline_err ? WHY_PINNED : WHY_NONE}};
	return world.offline_err;
}

static int bring_back(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	judge_note("[online %lu at %#lx]\n", nr, start);
	*fail = (struct mm_fail){5, WHY_BUSY};
	return world.online_err;
}

/* ---- the object ---- */

static int supply(struct vm_object *object, u32 index, const void *data)
{
	const u64 *word = data;

	judge_note("[supply %u: %llu %llu]", index, (unsigned long long)word[0],
	    (unsigned long long)word[PAGE_SIZE / sizeof(u64) - 1]);
	return world.supply_err;
}

static int empty(struct vm_object *object, u32 index, u32 nr)
{
	judge_note("[remove %u at %u]", nr, index);
	return 0;
}

static void use(struct vm_space *space)
{
	judge_note("[%s]", space ? "space" : "no space");
}

static int fault(struct vm_space *space, uintptr_t va, unsigned access)
{
	int err = world.fault[MIN(world.faults, 3u)];

	judge_note("[fault %#lx%s: %d]", va, access == VM_WRITE ? "" : ", not to write", err);
	world.faults++;
	return err;
}

static u64 *word_at(u64 va)
{
	unsigned page = (unsigned)((va - 0x10000000) >> PAGE_SHIFT);
	size_t at = va % PAGE_SIZE;

	if (world.nr_copies++ < world.copies_fail || page >= PAGES ||
	    (at && at != PAGE_SIZE - sizeof(u64)))
		return NULL;
	return &world.page[page][at != 0];
}

static int copy_in(void *dst, u64 src, size_t len)
{
	u64 *word = word_at(src);

	if (word)
		memcpy(dst, word, len);
	return word ? 0 : -EFAULT;
}

static int copy_out(u64 dst, const void *src, size_t len)
{
	u64 *word = word_at(dst);

	if (word)
		memcpy(word, src, len);
	return word ? 0 : -EFAULT;
}

static int create(struct memory *mem, enum vm_object_kind kind, unsigned long nr,
    const struct vm_pager_ops *ops, void *pager, struct vm_object **out)
{
	judge_note("[object of %lu%s]", nr, kind == OBJ_PAGER ? "" : ", without a pager");
	*out = world.create_err ? NULL : (struct vm_object *)&world;
	return world.create_err;
}

static void put(struct vm_object *object)
{
	judge_note("[object goes]");
}

static int create_space(struct memory *mem, struct vm_space **out)
{
	*out = (struct vm_space *)&world;
	return 0;
}

static void put_space(struct vm_space *space)
{
	judge_note("[space goes]");
}

static int map(struct vm_space *space, uintptr_t va, unsigned long nr, unsigned prot,
    struct vm_object *object, unsigned long offset)
{
	judge_note("[map %lu at %#lx, %x, from %lu]\n", nr, va, prot, offset);
	return 0;
}

/* ---- broken pages ---- */

static int soft(struct memory *mem, pfn_t pfn)
{
	judge_note("[soft %#lx]", pfn);
	if (!world.soft)
		world.flagged[pfn - START] = true;
	return world.soft;
}

static int hard(struct memory *mem, pfn_t pfn, unsigned flags, struct poison_result *res)
{
	judge_note("[hard %#lx%s]", pfn, flags ? ", with flags" : "");
	*res = world.res;
	if (res->outcome != POISON_FAILED)
		world.flagged[pfn - START] = true;
	return world.hard;
}

static int take_back(struct memory *mem, pfn_t pfn)
{
	judge_note("[back %#lx]", pfn);
	if (!world.back)
		world.flagged[pfn - START] = false;
	return world.back;
}

static pfn_t next(struct memory *mem, pfn_t pfn)
{
	for (pfn = MAX(pfn, START); pfn < END; pfn++)
		if (world.flagged[pfn - START])
			return pfn;
	return PFN_NONE;
}

static struct poison_count count(const struct memory *mem)
{
	unsigned long nr = 0;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(world.flagged); i++)
		nr += world.flagged[i];
	nr += (unsigned long)world.count_off;
	return (struct poison_count){nr / 3, nr / 3, nr - nr / 3 * 2};
}

/* ---- other calls ---- */

static struct stress *begin_stress(struct memory *mem, unsigned first, unsigned nr, u64 seed)
{
	judge_note("[stress on %u from %u, seed %llu]\n", nr, first, (unsigned long long)seed);
	return world.no_stress ? NULL : (struct stress *)&world;
}

static int end_stress(struct stress *s, struct stress_report *report)
{
	judge_note("[stress ends]\n");
	smp_stats.from_alloc += world.calls_across;
	*report = (struct stress_report){.ops = 50, .corrupt = 3};
	return world.stop_err;
}

static unsigned long free_pages_now(struct memory *mem)
{
	return 7;
}

static u64 events(const struct memory *mem, enum mm_event ev)
{
	return ev == EV_RECLAIM_FREED ? world.reclaimed++ : ev == EV_MIGRATE_OK ? world.moved++ : 0;
}

#define thread_yield          judge_yield
#define nr_cpus               world.cpus
#define nr_boot_cpus          world.cpus
#define offline_candidate     candidate
#define offline_pages         offline
#define online_pages          bring_back
#define vm_object_supply      supply
#define vm_object_remove      empty
#define vm_object_create      create
#define vm_object_put         put
#define vm_space_create       create_space
#define vm_space_put          put_space
#define vm_map                map
#define vm_fault              fault
#define space_use             use
#define copy_from_user        copy_in
#define copy_to_user          copy_out
#define mem_soft_offline_page soft
#define mem_memory_failure    hard
#define mem_unpoison_page     take_back
#define mem_poisoned_next     next
#define mem_poisoned          count
#define memory_free_pages     free_pages_now
#define mm_event_sum          events
#define stress_start          begin_stress
#define stress_stop           end_stress
#include "tests/host/judge_shake.h"
#include "demo/poison_soak.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void begin(unsigned cpus)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	world.cpus = cpus;
	judge.online[0] = (1UL << cpus) - 1;
	pretend = (struct memory){.start_pfn = START, .end_pfn = END};
	smp_stats = (struct smp_stats){.from_alloc = 3};
	judge.stop = &soak.shaker.stop;
}

/* Begin with an object of 8 pages; all counts are 0. */
static bool begin_scene(void)
{
	begin(2);
	judge.quiet = true;
	if (!scene_begin(&pretend, 6))
		return false;
	judge.quiet = false;
	return true;
}

#endif
