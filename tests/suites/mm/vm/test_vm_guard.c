/* SPDX-License-Identifier: MIT */
/*
 * test_vm_guard.c: the locks of objects, spaces and page tables that each call takes, in order; and
 * the data guarded by a lock change only while it is held: they are recorded when the lock is
 * released, and must be the same when it is taken again, and after each call. Hosted only.
 */
#include "tests/host/moment.h"
#include "tests/lib/vm_help.h"
#include <quarry/string.h>

#define PAGES 24u

static struct vm_scene s;

/* ---- locks that are recorded ---- */

static u64 listed(void), shown(void), held_by_slots(void), entered(void), used(void);

static struct guard {
	char letter;
	u64 (*state)(void);
	const void *lock;
	u64 then; /* state when the lock was released */
} guards[] = {    /* vm lists, space, object, page tables, change of the space */
    {'L', listed, NULL, 0}, {'S', shown, NULL, 0}, {'O', held_by_slots, NULL, 0},
    {'P', entered, NULL, 0}, {'C', used, NULL, 0}};

static struct ktest *test;
static char taken[80]; /* the letters of the locks taken; '.': of another space or object */

static struct guard *guard_of(const void *lock)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(guards); i++)
		if (guards[i].lock == lock)
			return &guards[i];
	return NULL;
}

static void compare_guard(const struct guard *g, const char *when)
{
	if (g && g->state() != g->then)
		ktest_fail(test, __FILE__, __LINE__, "changed without the lock %c, seen %s",
		    g->letter, when);
}

/* @others: of another space or object. */
static void note_step(const void *lock, enum lock_step step, bool others)
{
	struct guard *g = guard_of(lock);
	size_t at = strlen(taken);

	if (step == LOCK_TAKEN && (g || others) && at + 1 < sizeof(taken))
		taken[at] = (char)(g ? g->letter : '.');
	if (step == LOCK_TAKEN)
		compare_guard(g, "when it was taken");
	if (step == LOCK_LEAVING && g)
		g->then = g->state();
}

static void note_spin(struct spinlock *lock, enum lock_step step)
{
	note_step(lock, step,
	    lock->rank == RANK_SPACE || lock->rank == RANK_OBJECT || lock->rank == RANK_PT);
}

static void note_sleep(struct sleep_lock *lock, enum lock_step step)
{
	note_step(lock, step, !strcmp(lock->wq.lock.name, s.space->change.l.wq.lock.name));
}

static const struct watch watch = {.spin = note_spin, .sleep = note_sleep};

/* ---- data guarded by each lock ---- */

static u64 mix(u64 hash, u64 value)
{
	return ((hash ^ value) * 0x9e3779b97f4a7c15ULL) ^ hash >> 29;
}

static u64 listed(void)
{
	const struct vm_object *object;
	const struct vm_space *space;
	u64 hash = 1;

	LIST_FOREACH(object, &s.mem->vm.objects, link)
		hash = mix(hash, (uintptr_t)object);
	LIST_FOREACH(space, &s.mem->vm.spaces, link)
		hash = mix(hash, (uintptr_t)space);
	return hash;
}

static u64 mix_region(u64 hash, const struct vm_region *r)
{
	return mix(mix(mix(mix(hash, r->start), r->end), r->offset), r->prot);
}

static u64 mix_shown(u64 hash, struct vm_region *r)
{
	return r ? mix_shown(mix_shown(mix_region(hash, r), RB_LEFT(r, node)), RB_RIGHT(r, node))
	         : mix(hash, 0);
}

static u64 mix_showing(u64 hash, struct vm_region *r)
{
	if (!r)
		return mix(hash, 0);
	hash = mix(mix_region(hash, r), r->below);
	return mix_showing(mix_showing(hash, RB_LEFT(r, link)), RB_RIGHT(r, link));
}

static u64 mix_uses(u64 hash, struct vm_use *use)
{
	if (!use)
		return mix(hash, 0);
	hash = mix(mix(hash, (uintptr_t)use->object), use->nr);
	return mix_uses(mix_uses(hash, RB_LEFT(use, node)), RB_RIGHT(use, node));
}

static u64 shown(void)
{
	return mix_shown(s.space->nr_regions, RB_ROOT(&s.space->regions));
}

static u64 held_by_slots(void)
{
	u64 hash = mix(s.object->nr_present, s.object->walked);
	u32 i;

	for (i = 0; i < s.object->nr_pages; i++) {
		u64 slot = object_lookup(s.object, i);

		hash = mix(hash, slot);
		if (slot_has_page(slot))
			hash = mix(hash, slot_page(slot)->mapcount);
	}
	return mix_showing(hash, RB_ROOT(&s.object->regions));
}

static u64 entered(void)
{
	u64 hash = s.space->pt.nr_tables;
	unsigned i;

	for (i = 0; i < 2 * PAGES; i++) {
		const u64 *entry = pt_entry(&s.space->pt, page_at(i));

		hash = mix(hash, entry ? *entry : 1);
	}
	return hash;
}

static u64 used(void)
{
	return mix_uses(1, RB_ROOT(&s.space->uses));
}

/* ---- the tests ---- */

static bool begin(struct ktest *t)
{
	const void *locks[ARRAY_SIZE(guards)];
	unsigned i;

	test = t;
	for (i = 0; i < ARRAY_SIZE(guards); i++)
		guards[i].lock = NULL;
	if (!scene_begin(t, &s, PAGES))
		return false;
	locks[0] = &s.mem->vm.lock;
	locks[1] = &s.space->lock;
	locks[2] = &s.object->lock;
	locks[3] = &s.space->pt.lock;
	locks[4] = &s.space->change;
	for (i = 0; i < ARRAY_SIZE(guards); i++) {
		guards[i].lock = locks[i];
		guards[i].then = guards[i].state();
	}
	return true;
}

static void end(struct ktest *t)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(guards); i++)
		guards[i].lock = NULL;
	scene_end(t, &s);
}

static void settle(const char *call)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(guards); i++)
		compare_guard(&guards[i], call);
}

/* @call takes @locks, returns @want, and changes nothing after it released its locks. */
#define CALL(t, call, want, locks)                                                                 \
	do {                                                                                       \
		memset(taken, 0, sizeof(taken));                                                   \
		EXPECT_EQ(t, WATCHED(&watch, call), (want));                                       \
		if (strcmp(taken, (locks)) != 0)                                                   \
			ktest_fail(t, __FILE__, __LINE__, "took %s: %s", taken, #call);            \
		settle("after " #call);                                                            \
	} while (0)

KTEST_SUITE(vm_guard, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(regions_change_under_their_locks)
{
	if (!begin(t))
		return;
	CALL(t, vm_map(s.space, page_at(PAGES), 4, VM_RW, s.object, 2), 0, "CSO");
	CALL(t, vm_map(s.space, page_at(PAGES), 4, VM_RW, s.object, 2), -EEXIST, "C");
	CALL(t, vm_fault(s.space, page_at(4), VM_WRITE), 0, "SPPPOOSOP");
	CALL(t, vm_fault(s.space, page_at(4), VM_WRITE), 0, "SOSOP");
	CALL(t, vm_fault(s.space, page_at(5), VM_WRITE), 0, "SOSOP");
	CALL(t, vm_fault(s.space, page_at(PAGES + 2), VM_READ), 0, "SOSOP");
	CALL(t, vm_fault(s.space, page_at(2 * PAGES), VM_READ), -EFAULT, "S");
	EXPECT_EQ(t, page_in(s.object, 4)->mapcount, 2);
	CALL(t, vm_protect(s.space, page_at(3), 4, VM_READ), 0, "CSOSOSOOP");
	CALL(t, vm_fault(s.space, page_at(4), VM_WRITE), -EACCES, "S");
	CALL(t, vm_protect(s.space, page_at(5), PAGES - 5, VM_RW), 0, "CSOSOSO");
	CALL(t, vm_fault(s.space, page_at(5), VM_WRITE), 0, "SOSOP");
	CALL(t, vm_space_resident(s.space, ZONE_MOVABLE, NULL, NULL), 3, "SPPSPSPSPSPS");
	CALL(t, vm_unmap(s.space, page_at(4), 1), 0, "CSOSOPO");
	CALL(t, vm_unmap(s.space, page_at(0), 2 * PAGES), 0, "CSOPOSOPOSOPOSOPOSOPO");
	EXPECT_EQ(t, s.object->refs, 1);
	end(t);
}

KTEST(slots_change_under_their_locks)
{
	struct page *page = NULL;
	unsigned i;

	if (!begin(t))
		return;
	CALL(t, vm_object_supply(s.object, 0, NULL), 0, "OOO");
	for (i = 1; i < 8; i++)
		CALL(t, vm_object_supply(s.object, i, NULL), 0, "OO");
	CALL(t, vm_object_supply(s.object, 3, NULL), -EEXIST, "OO");
	CALL(t, vm_map(s.space, page_at(PAGES), 8, VM_RW, s.object, 0), 0, "CSO");
	s.mem->vm.at_once = 1;
	CALL(t, vm_fault(s.space, page_at(0), VM_READ), 0, "SPPPOSOP");
	for (i = 1; i < 6; i++)
		CALL(t, vm_fault(s.space, page_at(i), VM_READ), 0, "SOSOP");
	CALL(t, vm_fault(s.space, page_at(PAGES + 2), VM_READ), 0, "SOSOP");
	CALL(t, vm_object_has(s.object, 2), 1, "O");
	CALL(t, vm_object_pages(s.object, ZONE_MOVABLE), 8, "O");
	CALL(t, vm_object_tables(s.object), 2, "O");
	CALL(t, vm_object_pin(s.object, 2, &page), 0, "O");
	if (page)
		mem_unpin_page(s.mem, page);
	CALL(t, vm_object_remove(s.object, 2, 3), 0, "OPOPOOPOPOOPOPO");
	CALL(t, vm_object_remove(s.object, 0, PAGES), 0, "OPOPOOPOPOOPOPOO");
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	end(t);
}

/* The entries of slot 1 become migration entries, and show its page again. */
KTEST(entries_change_under_their_locks)
{
	struct tlb_gather g;
	struct page *page;
	u64 mark;

	if (!begin(t))
		return;
	CALL(t, vm_map(s.space, page_at(PAGES), 2, VM_RW, s.object, 0), 0, "CSO");
	CALL(t, vm_fault(s.space, page_at(1), VM_WRITE), 0, "SPPPOOSOP");
	CALL(t, vm_fault(s.space, page_at(PAGES + 1), VM_WRITE), 0, "SOSOP");
	page = page_in(s.object, 1);
	REQUIRE(t, page && !get_page(page));
	mark = pte_migration(page_to_pfn_in(s.mem, page));
	tlb_gather_init(&g, s.mem);
	atomic_or(pt_entry(&s.space->pt, page_at(1)), PTE_ACCESSED);
	guards[3].then = entered();
	spin_lock(&s.object->lock);
	CALL(t, rmap_age(s.object, 1, &g), PTE_ACCESSED, "PP");
	EXPECT_EQ(t, g.nr, 1);
	memset(taken, 0, sizeof(taken));
	watch_set(&watch);
	EXPECT_EQ(t, rmap_unmap(s.object, 1, mark, &g), 2);
	EXPECT_EQ(t, g.nr, 3);
	EXPECT_EQ(t, pte_at(s.space, page_at(1)), mark);
	EXPECT_EQ(t, page->mapcount, 0);
	rmap_restore(s.object, 1, mark, page);
	EXPECT_EQ(t, strcmp(taken, "PPPP"), 0);
	spin_unlock(&s.object->lock);
	watch_set(NULL);
	settle("after a walk");
	tlb_flush(&g);
	EXPECT_EQ(t, page->mapcount, 2);
	EXPECT_EQ(t, word_ref(page_word(page)), 4);
	mem_put_page(s.mem, page);
	end(t);
}

KTEST(lists_of_objects_and_spaces_change_under_their_locks)
{
	struct vm_object *object = NULL;
	struct vm_space *space = NULL;

	if (!begin(t))
		return;
	CALL(t, vm_object_create(s.mem, OBJ_ANON, 600, NULL, NULL, &object), 0, "L");
	CALL(t, vm_space_create(s.mem, &space), 0, "L");
	REQUIRE(t, object && space);
	CALL(t, vm_map(space, page_at(0), 600, VM_RW, object, 0), 0, "...");
	CALL(t, vm_fault(space, page_at(599), VM_WRITE), 0, ".........");
	CALL(t, (vm_space_put(space), 0), 0, "....L");
	EXPECT_EQ(t, object->refs, 1);
	CALL(t, (vm_object_put(object), 0), 0, "L");
	end(t);
}
