/* SPDX-License-Identifier: MIT */
/*
 * poison_soak.c: pages break under full load: memory is allocated, freed, mapped, reclaimed, moved,
 * taken offline and brought back, and CPUs go offline and come back.
 *
 * Owns:       the scene: an object larger than free memory, whose pager keeps a number for each
 *             page; the list of pages that are flagged according to the answers to requests.
 * Locks:      none.
 * Invariants: a page of the object belongs to one user thread, which knows its content: the number
 *             that it wrote last or, after a loss, the pager's number.
 * Tests:      verdict, tests/qemu/test_poison.py; make soak TARGET=poison.
 */
#include "tests/soak/soak_verdict.h"
#include "tests/soak/soaks.h"
#include "demo/soak.h"

#include <quarry/ktest.h>
#include <quarry/machine.h>
#include <quarry/task.h>
#include <quarry/user.h>
#include <quarry/vm.h>

#define BASE        0x10000000UL
#define USERS       4
#define CHECK_EVERY 250
#define BESIDE_NS   20000000000ULL
#define SAID_MAX    10 /* fewer failures than this are printed */
#define RANGE       (4 * PAGEBLOCK_PAGES)
#define PAUSE_NS    5000000ULL

static struct {
	struct soak begun;
	struct shaker shaker; /* its stop ends the user threads too */
	struct memory *mem;
	struct vm_object *object;
	struct vm_space *space;
	u32 nr;      /* pages of the object */
	u64 *store;  /* the pager's number for each page */
	u64 *want;   /* the number that the user thread of each page expects there */
	u64 *listed; /* a bit for each page of the memory: an answer said that it is flagged */
	unsigned long nr_listed;
	u32 wrong;     /* atomic: pages with wrong content */
	u32 lost_seen; /* atomic: lost pages that user threads met */
	u32 failed;    /* atomic: other failures; the first ones are printed */
	unsigned lost; /* pages that are lost according to the answers */
	unsigned soft_ok, soft_no, hard_ok, hard_no, delayed, ignored, back;
	u64 rand;
} soak;

static void failed(const char *what, pfn_t pfn, long err)
{
	counter_add(&soak.failed, 1u);
	if (READ_ONCE(soak.failed) < SAID_MAX)
		printk("poison: FAIL: %s: pfn %#lx: %ld\n", what, pfn, err);
}

/* ---- the object and its pager ---- */

/* Supply a page with its number at both ends. */
static int store_get(struct vm_object *object, u32 index)
{
	u64 *data = kmalloc(PAGE_SIZE);
	int err = -ENOMEM;

	if (data) {
		data[0] = data[PAGE_SIZE / sizeof(u64) - 1] = READ_ONCE(soak.store[index]);
		err = vm_object_supply(object, index, data);
		kfree(data);
	}
	return err == -EEXIST || err == -EAGAIN ? 0 : err;
}

static int store_clean(struct vm_object *object, u32 index, const void *data, u64 limit_ns)
{
	const u64 *page = data;

	/* The user thread may be between its two writes. */
	if (!page_is_cleanable(page[0], page[PAGE_SIZE / sizeof(u64) - 1]))
		counter_add(&soak.wrong, 1u);
	WRITE_ONCE(soak.store[index], page[0]);
	return 0;
}

static const struct vm_pager_ops store_ops = {.get = store_get, .clean = store_clean};

static uintptr_t address(u32 index)
{
	return BASE + ((uintptr_t)index << PAGE_SHIFT);
}

/* The reason of a failed access; 0: try again. */
static int reason(u32 index)
{
	int err = vm_fault(soak.space, address(index), VM_WRITE);

	/* Memory is short; try again: pages of other user threads are reclaimed. */
	return err == -ENOMEM || err == -EAGAIN ? 0 : err;
}

/*
 * Read the number at one end of a page, or, with @write, write *@write there.  Returns 0;
 * -EHWPOISON: the page is lost.
 */
static int touch(u32 index, bool last, u64 *have, const u64 *write)
{
	u64 va = address(index) + (last ? PAGE_SIZE - sizeof(u64) : 0);
	int err;

	while ((write ? copy_to_user(va, write, sizeof(*write))
	              : copy_from_user(have, va, sizeof(*have)))) {
		err = reason(index);
		if (err)
			return err;
		thread_yield();
	}
	return 0;
}

static int use_page(u32 index, bool write)
{
	u64 have[2], next = soak.want[index] + 1;
	int err = touch(index, false, &have[0], NULL);

	err = err ? err : touch(index, true, &have[1], NULL);
	if (!err && (have[0] != soak.want[index] || have[1] != have[0]))
		counter_add(&soak.wrong, 1u);
	if (err || !write)
		return err;
	err = touch(index, false, NULL, &next);
	return err ? err : touch(index, true, NULL, &next);
}

static void user(void *arg)
{
	u32 me = (u32)(uintptr_t)arg;
	u64 rand = soak.rand + me * 2 + 1;

	space_use(soak.space);
	while (!READ_ONCE(soak.shaker.stop)) {
		u32 index = (u32)(ktest_rand(&rand) % (soak.nr / USERS)) * USERS + me;
		bool write = ktest_rand(&rand) % 4 == 0;
		int err = use_page(index, write);

		if (err == -EHWPOISON) {
			counter_add(&soak.lost_seen, 1u);
			vm_object_remove(soak.object, index, 1);
			soak.want[index] = READ_ONCE(soak.store[index]);
		} else if (err) {
			failed("a page could not be used", index, err);
		} else if (write) {
			soak.want[index]++;
		}
	}
	space_use(NULL);
}

static void scene_end(void)
{
	if (soak.object)
		vm_object_put(soak.object);
	if (soak.space)
		vm_space_put(soak.space);
	kfree(soak.store);
	kfree(soak.want);
	kfree(soak.listed);
}

/* Make an object of one and a half times the free memory, and the tables of its pages. */
static bool scene_begin(struct memory *mem, u64 seed)
{
	unsigned long pages = (mem->end_pfn - mem->start_pfn + 63) / 64,
	              free = memory_free_pages(mem);

	memset(&soak, 0, sizeof(soak));
	soak_begin(&soak.begun, mem, "poison");
	soak.mem = mem;
	soak.rand = seed | 1;
	soak.shaker = (struct shaker){.mem = mem,
	    .name = "poison",
	    .pick = offline_candidate,
	    .range = RANGE,
	    .pause_ns = PAUSE_NS};
	soak.nr = (u32)ALIGN_DOWN(MIN(free + free / 2, OBJ_MAX_PAGES), USERS);
	soak.store = kmalloc(soak.nr * sizeof(u64));
	soak.want = kmalloc(soak.nr * sizeof(u64));
	soak.listed = kmalloc(pages * sizeof(u64));
	return soak.store && soak.want && soak.listed &&
	    !vm_object_create(mem, OBJ_PAGER, soak.nr, &store_ops, NULL, &soak.object) &&
	    !vm_space_create(mem, &soak.space) &&
	    !vm_map(soak.space, BASE, soak.nr, VM_READ | VM_WRITE, soak.object, 0);
}

/* ---- requests, and their answers ---- */

static bool pfn_is_listed(pfn_t pfn)
{
	pfn -= soak.mem->start_pfn;
	return soak.listed[pfn / 64] >> pfn % 64 & 1;
}

static void list_pfn(pfn_t pfn, bool on)
{
	if (pfn_is_listed(pfn) == on)
		return;
	soak.nr_listed += on ? 1 : -1UL;
	pfn -= soak.mem->start_pfn;
	soak.listed[pfn / 64] ^= 1ULL << pfn % 64;
}

static void take_answer(pfn_t pfn, int err, struct poison_answer a)
{
	if (a.failure)
		failed(a.failure, pfn, err);
	list_pfn(pfn, a.listed);
}

static void request_soft(pfn_t pfn)
{
	int err = mem_soft_offline_page(soak.mem, pfn);

	soak.soft_ok += !err;
	soak.soft_no += err != 0;
	take_answer(pfn, err, soft_answer(err, pfn_is_listed(pfn)));
}

static void request_hard(pfn_t pfn)
{
	struct poison_result res;
	int err = mem_memory_failure(soak.mem, pfn, 0, &res);

	soak.hard_ok += res.outcome == POISON_RECOVERED;
	soak.delayed += res.outcome == POISON_DELAYED;
	soak.ignored += res.outcome == POISON_IGNORED;
	soak.hard_no += res.outcome == POISON_FAILED;
	soak.lost += res.lost;
	take_answer(pfn, err, hard_answer(res.outcome, err, pfn_is_listed(pfn)));
}

/* Unpoison the first flagged page from @from on; it must be on the list. */
static void request_back(pfn_t from)
{
	pfn_t pfn = mem_poisoned_next(soak.mem, from);
	int err;

	if (pfn == PFN_NONE)
		return;
	err = mem_unpoison_page(soak.mem, pfn);
	soak.back += !err;
	take_answer(pfn, err, back_answer(err, pfn_is_listed(pfn)));
}

static void request(void)
{
	pfn_t pfn = soak.mem->start_pfn +
	    ktest_rand(&soak.rand) % (soak.mem->end_pfn - soak.mem->start_pfn);

	switch (poison_request(ktest_rand(&soak.rand), soak.nr_listed)) {
	case ASK_SOFT: request_soft(pfn); break;
	case ASK_HARD: request_hard(pfn); break;
	case ASK_BACK: request_back(pfn); break;
	}
}

static bool any_failed(void)
{
	return READ_ONCE(soak.failed) || READ_ONCE(soak.shaker.failed);
}

static void check(void)
{
	if (!soak_check(&soak.begun))
		counter_add(&soak.failed, 1u);
}

/* With no load any more, the flagged pages must be the listed ones, and the counts must agree. */
static void compare(void)
{
	struct poison_count n = mem_poisoned(soak.mem);
	unsigned long found = 0;
	pfn_t pfn;

	for (pfn = mem_poisoned_next(soak.mem, 0); pfn != PFN_NONE;
	     pfn = mem_poisoned_next(soak.mem, pfn + 1)) {
		found++;
		if (!pfn_is_listed(pfn))
			failed("flagged, and not on the list", pfn, 0);
	}
	if (!flags_agree(found, soak.nr_listed, n))
		failed("flagged pages", soak.nr_listed, (long)found);
	printk("poison: %lu pages flagged, on the list %lu; %lu retired, %lu in use, %lu offline\n",
	    found, soak.nr_listed, n.retired, n.doomed, n.offline);
}

static void all_back(void)
{
	pfn_t pfn;

	for (pfn = mem_poisoned_next(soak.mem, 0); pfn != PFN_NONE;
	     pfn = mem_poisoned_next(soak.mem, pfn + 1))
		mem_unpoison_page(soak.mem, pfn);
}

static struct beside beside_now(void)
{
	return (struct beside){mm_event_sum(soak.mem, EV_RECLAIM_FREED),
	    mm_event_sum(soak.mem, EV_MIGRATE_OK), READ_ONCE(soak.shaker.offlines),
	    READ_ONCE(soak.shaker.downs)};
}

/*
 * Wait until each kind of load has progressed since @then, for BESIDE_NS at most: requests may be
 * faster.
 */
static void wait_for_load(struct beside then)
{
	u64 end = arch_clock_ns() + BESIDE_NS;
	struct beside now = beside_now();

	while (!beside_went_on(then, now, nr_boot_cpus) && arch_clock_ns() < end && !any_failed()) {
		thread_sleep(1000000);
		now = beside_now();
	}
}

static void run(unsigned requests)
{
	struct thread *thread[USERS] = {NULL};
	struct beside began = beside_now();
	unsigned i;

	for (i = 0; i < USERS; i++)
		thread[i] = thread_start("user", -1, user, (void *)(uintptr_t)i);
	if (!shaker_start(&soak.shaker, soak.rand))
		failed("no memory for a thread", USERS, -ENOMEM);
	for (i = 0; i < USERS; i++)
		if (!thread[i])
			failed("no memory for a thread", i, -ENOMEM);
	for (i = 0; i < requests && !any_failed(); i++) {
		request();
		if (i % CHECK_EVERY == CHECK_EVERY - 1) {
			wait_for_load(began);
			check();
			printk("poison: %u of %u requests, %lu pages flagged\n", i + 1, requests,
			    soak.nr_listed);
		}
	}
	shaker_stop(&soak.shaker);
	for (i = 0; i < USERS; i++)
		if (thread[i])
			thread_join(thread[i]);
}

int poison_soak(struct memory *mem, unsigned requests, u64 seed)
{
	struct stress_report report = {0};
	struct stress *stress;
	bool good;

	stress = scene_begin(mem, seed) ? stress_start(mem, 0, nr_cpus, seed) : NULL;
	if (!stress) {
		printk("poison: FAIL: no memory for the load\n");
		scene_end();
		return -EIO;
	}
	run(requests);
	if (stress_stop(stress, &report) == -EUCLEAN)
		failed("stress: damaged", 0, (long)report.corrupt);
	compare();
	all_back();
	good = soak_end(&soak.begun);
	printk("poison: soft %u done, %u refused; hard %u retired, %u delayed, %u ignored, %u "
	       "refused; %u taken back\n",
	    soak.soft_ok, soak.soft_no, soak.hard_ok, soak.delayed, soak.ignored, soak.hard_no,
	    soak.back);
	printk("poison: %u pages lost, %u met by their users, %u wrong; %llu reclaimed, %llu "
	       "moved, %u offlines, "
	       "%u refused, %u downs, %u ups; stress made %llu operations\n",
	    soak.lost, soak.lost_seen, soak.wrong,
	    (unsigned long long)mm_event_sum(mem, EV_RECLAIM_FREED),
	    (unsigned long long)mm_event_sum(mem, EV_MIGRATE_OK), soak.shaker.offlines,
	    soak.shaker.refused, soak.shaker.downs, soak.shaker.ups,
	    (unsigned long long)report.ops);
	good = good && poison_passes(any_failed(), soak.wrong, soak.lost_seen, soak.lost);
	scene_end();
	printk("poison: %s\n", good ? "PASS" : "FAIL");
	return good ? 0 : -EIO;
}
