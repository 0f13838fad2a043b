/* SPDX-License-Identifier: MIT */
/* test_account.c: the account charged for an object, limits, and the totals of all accounts. */
#include "tests/lib/vm_help.h"
#include <quarry/account.h>

#define UNLIMITED [0 ... NR_ACCOUNT_KINDS - 1] = ~0ULL

KTEST_SUITE(account, KTEST_QUICK);

KTEST(a_charge_counts_in_each_parent)
{
	struct account top = {.limit = {UNLIMITED}}, left = {.parent = &top, .limit = {UNLIMITED}};
	struct account right = {.parent = &top, .limit = {UNLIMITED}};

	EXPECT_EQ(t, account_charge(&left, ACCOUNT_REGIONS, 3), 0);
	EXPECT_EQ(t, account_charge(&right, ACCOUNT_REGIONS, 4), 0);
	account_count(&right, ACCOUNT_TABLES, 5);
	EXPECT_EQ(t, left.used[ACCOUNT_REGIONS], 3);
	EXPECT_EQ(t, right.used[ACCOUNT_REGIONS], 4);
	EXPECT_EQ(t, top.used[ACCOUNT_REGIONS], 7);
	EXPECT_EQ(t, top.used[ACCOUNT_TABLES], 5);
	account_uncharge(&left, ACCOUNT_REGIONS, 2);
	account_uncharge(&right, ACCOUNT_REGIONS, 4);
	EXPECT_EQ(t, left.used[ACCOUNT_REGIONS], 1);
	EXPECT_EQ(t, right.used[ACCOUNT_REGIONS], 0);
	EXPECT_EQ(t, top.used[ACCOUNT_REGIONS], 1);
}

KTEST(a_limit_of_any_parent_refuses_and_counts_nothing)
{
	struct account top = {.limit = {UNLIMITED}}, mid = {.parent = &top, .limit = {UNLIMITED}};
	struct account low = {.parent = &mid, .limit = {UNLIMITED}};

	mid.limit[ACCOUNT_OBJECTS] = 10;
	EXPECT_EQ(t, account_charge(&low, ACCOUNT_OBJECTS, 10), 0);
	EXPECT_EQ(t, account_charge(&low, ACCOUNT_OBJECTS, 1), -EDQUOT);
	EXPECT_EQ(t, account_charge(&low, ACCOUNT_OBJECTS, ~0ULL), -EDQUOT);
	EXPECT_EQ(t, low.used[ACCOUNT_OBJECTS], 10);
	EXPECT_EQ(t, mid.used[ACCOUNT_OBJECTS], 10);
	EXPECT_EQ(t, top.used[ACCOUNT_OBJECTS], 10);
	/* Regions have no limit here; account_count may exceed the limit of objects. */
	EXPECT_EQ(t, account_charge(&low, ACCOUNT_REGIONS, 11), 0);
	account_count(&low, ACCOUNT_OBJECTS, 2);
	account_uncharge(&low, ACCOUNT_OBJECTS, 1);
	EXPECT_EQ(t, account_charge(&low, ACCOUNT_OBJECTS, 1), -EDQUOT);
	account_uncharge(&low, ACCOUNT_OBJECTS, 2);
	EXPECT_EQ(t, account_charge(&low, ACCOUNT_OBJECTS, 1), 0);
}

/* Expect these increases since @before. */
static void expect_more(
    struct ktest *t, const struct counts *before, u64 objects, u64 regions, u64 tables, u64 slots)
{
	struct counts now;

	counts_read(&now);
	EXPECT_EQ(t, now.kind[ACCOUNT_OBJECTS] - before->kind[ACCOUNT_OBJECTS], objects);
	EXPECT_EQ(t, now.kind[ACCOUNT_REGIONS] - before->kind[ACCOUNT_REGIONS], regions);
	EXPECT_EQ(t, now.kind[ACCOUNT_TABLES] - before->kind[ACCOUNT_TABLES], tables);
	EXPECT_EQ(t, now.kind[ACCOUNT_SLOTS] - before->kind[ACCOUNT_SLOTS], slots);
}

KTEST(objects_regions_and_tables_are_counted, KTEST_SLOW)
{
	struct counts before;
	struct vm_scene s;

	counts_read(&before);
	if (!scene_begin(t, &s, 600))
		return;
	expect_more(t, &before, 1, 1, 1, 1);
	EXPECT_EQ(t, vm_fault(s.space, page_at(0), VM_READ), 0);
	EXPECT_EQ(t, vm_fault(s.space, page_at(1), VM_READ), 0);
	expect_more(t, &before, 1, 1, 4, 2);
	EXPECT_EQ(t, vm_fault(s.space, page_at(599), VM_READ), 0);
	expect_more(t, &before, 1, 1, 5, 3);
	EXPECT_EQ(t, vm_protect(s.space, page_at(2), 2, VM_READ), 0);
	EXPECT_EQ(t, vm_map(s.space, page_at(3), 1, VM_READ, s.object, 0), -EEXIST);
	expect_more(t, &before, 1, 3, 5, 3);
	EXPECT_EQ(t, vm_unmap(s.space, VM_BASE, 600), 0);
	expect_more(t, &before, 1, 0, 5, 3); /* tables stay until the space is freed */
	vm_space_put(s.space);
	expect_more(t, &before, 1, 0, 0, 3);
	vm_object_put(s.object);
	expect_more(t, &before, 0, 0, 0, 0);
}

/* ---- an account of its own ---- */

static struct account mine;

/* A scene charged to `mine', which has no limit yet; the caller has its own account again. */
static bool begin(struct ktest *t, struct vm_scene *s, unsigned nr)
{
	struct account *before;
	bool begun;

	mine =
	    (struct account){.parent = &account_all, .limit = {UNLIMITED}, .max_mappings = ~0ULL};
	before = account_use(&mine);
	begun = scene_begin(t, s, nr);
	EXPECT(t, account_use(before) == &mine);
	return begun;
}

/* Whichever thread destroys objects and spaces, their account is uncharged. */
static void end(struct ktest *t, struct vm_scene *s)
{
	unsigned i;

	vm_space_put(s->space);
	vm_object_put(s->object);
	for (i = 0; i < NR_ACCOUNT_KINDS; i++)
		EXPECT_EQ(t, mine.used[i], 0);
}

/* A call that would exceed a limit fails and changes nothing; after a free it succeeds. */
KTEST(calls_at_a_limit_are_refused_and_change_nothing)
{
	struct vm_object *object;
	struct account *before;
	struct vm_scene s;

	if (!begin(t, &s, 16))
		return;
	EXPECT_EQ(t, mine.used[ACCOUNT_OBJECTS], 1);
	EXPECT_EQ(t, mine.used[ACCOUNT_TABLES], 1);
	EXPECT_EQ(t, mine.used[ACCOUNT_SLOTS], 1);
	mine.limit[ACCOUNT_OBJECTS] = 1;
	mine.limit[ACCOUNT_REGIONS] = 2;
	mine.limit[ACCOUNT_TABLES] = 3;
	before = account_use(&mine);
	EXPECT_EQ(t, vm_object_create(s.mem, OBJ_ANON, 1, NULL, NULL, &object), -EDQUOT);
	account_use(before);
	/* The region would be cut twice, but the limit allows only one more region. */
	EXPECT_EQ(t, vm_protect(s.space, page_at(4), 4, VM_READ), -EDQUOT);
	EXPECT_EQ(t, vm_unmap(s.space, page_at(4), 4), -EDQUOT);
	EXPECT_EQ(t, mine.used[ACCOUNT_REGIONS], 1);
	EXPECT_EQ(t, vm_protect(s.space, page_at(4), 12, VM_READ), 0);
	EXPECT_EQ(t, vm_map(s.space, page_at(20), 1, VM_READ, s.object, 0), -EDQUOT);
	EXPECT_EQ(t, vm_unmap(s.space, page_at(4), 12), 0);
	EXPECT_EQ(t, vm_map(s.space, page_at(20), 1, VM_READ, s.object, 0), 0);
	EXPECT_EQ(t, vm_fault(s.space, page_at(0), VM_READ), -EDQUOT);
	EXPECT_EQ(t, mine.used[ACCOUNT_TABLES], 3);
	mine.limit[ACCOUNT_TABLES] = 4;
	EXPECT_EQ(t, vm_fault(s.space, page_at(0), VM_READ), 0);
	EXPECT_EQ(t, mine.used[ACCOUNT_TABLES], 4);
	EXPECT_EQ(t, mine.used[ACCOUNT_SLOTS], 2);
	EXPECT_EQ(t, mine.used[ACCOUNT_REGIONS], 2);
	end(t, &s);
}

/* The number of regions of a space that map one object is limited; parts of a cut region count. */
KTEST(an_object_is_mapped_so_often_in_a_space_and_no_more)
{
	struct vm_object *other;
	struct vm_space *space;
	struct vm_scene s;
	unsigned i;

	if (!begin(t, &s, 8))
		return;
	mine.max_mappings = 5;
	EXPECT_EQ(t, vm_protect(s.space, page_at(2), 2, VM_READ), 0);
	EXPECT_EQ(t, vm_map(s.space, page_at(20), 1, VM_READ, s.object, 3), 0);
	EXPECT_EQ(t, vm_map(s.space, page_at(30), 1, VM_READ, s.object, 3), 0);
	EXPECT_EQ(t, vm_map(s.space, page_at(40), 1, VM_READ, s.object, 3), -EMLINK);
	/* The limit does not apply to another object here, or to this object in another space. */
	REQUIRE(t,
	    !vm_object_create(s.mem, OBJ_ANON, 1, NULL, NULL, &other) &&
	        !vm_space_create(s.mem, &space));
	EXPECT_EQ(t, vm_map(s.space, page_at(40), 1, VM_READ, other, 0), 0);
	for (i = 0; i < 9; i++)
		EXPECT_EQ(t, vm_map(space, page_at(2 * i), 1, VM_READ, s.object, 3), 0);
	EXPECT_EQ(t, vm_unmap(s.space, page_at(20), 1), 0);
	EXPECT_EQ(t, vm_map(s.space, page_at(50), 1, VM_READ, s.object, 3), 0);
	EXPECT_EQ(t, vm_map(s.space, page_at(60), 1, VM_READ, s.object, 3), -EMLINK);
	vm_space_put(space);
	vm_object_put(other);
	end(t, &s);
}

KTEST(small_objects_are_counted_by_size)
{
	void *object[NR_SLAB_COUNTS];
	struct counts before, after;
	unsigned i;

	counts_read(&before);
	for (i = 0; i < NR_SLAB_COUNTS; i++) {
		object[i] = kmalloc((size_t)1 << (SLAB_MIN_SHIFT + i));
		REQUIRE(t, object[i]);
	}
	counts_read(&after);
	for (i = 0; i < NR_SLAB_COUNTS; i++) {
		EXPECT(t, after.slab[i] >= before.slab[i] + 1);
		kfree(object[i]);
	}
}

static unsigned released;

static void count_release(struct account *account)
{
	released++;
}

KTEST(the_last_put_releases)
{
	mine = (struct account){.refs = 1, .release = count_release};
	released = 0;
	account_get(&mine);
	EXPECT_EQ(t, mine.refs, 2);
	account_put(&mine);
	EXPECT_EQ(t, released, 0);
	account_put(&mine);
	EXPECT_EQ(t, released, 1);
	EXPECT_EQ(t, mine.refs, 0);
	/* Without a release function the last put only drops the reference. */
	mine.release = NULL;
	account_get(&mine);
	account_put(&mine);
	EXPECT_EQ(t, mine.refs, 0);
}

KTEST(charges_stand_for_pages)
{
	struct account top = {.limit = {UNLIMITED}};

	EXPECT_EQ(t, account_pages(&top), 0);
	top.used[ACCOUNT_TABLES] = 3;
	top.used[ACCOUNT_REGIONS] = 31;
	EXPECT_EQ(t, account_pages(&top), 3);
	top.used[ACCOUNT_REGIONS] = 32;
	EXPECT_EQ(t, account_pages(&top), 4);
	top.used[ACCOUNT_TASKS] = 1;
	top.used[ACCOUNT_THREADS] = 1;
	EXPECT_EQ(t, account_pages(&top), 12);
}
