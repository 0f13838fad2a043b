/* SPDX-License-Identifier: MIT */
/*
 * test_poison_vm.c: broken pages of memory objects: each state, as in test_poison_states.c; writes
 * that only a table entry records; and a walk in progress.  test_poison_object.c tests the users of
 * such pages.
 */
#include "tests/lib/poison_help.h"
#include "tests/lib/vm_help.h"

#define PAGES  4
#define SPACES 3
#define WORD   0x5eedf00dUL

/* ---- an object in some spaces; the page is in slot 1 ---- */

static struct {
	struct vm_object *object;
	struct vm_space *space[SPACES];
	struct page *page;
	unsigned asked; /* calls of the pager */
} scene;

/* A pager that has WORD at the start of each page. */
static int bring(struct vm_object *object, u32 index)
{
	static u64 data[PAGE_SIZE / sizeof(u64)];
	int err;

	scene.asked++;
	data[0] = WORD;
	err = vm_object_supply(object, index, data);
	return err == -EEXIST || err == -EAGAIN ? 0 : err;
}
static const struct vm_pager_ops pager = {.get = bring};

/* Read the page through a space. Returns 0 and sets *@value, or returns the error of the fault. */
static int look(unsigned space, u64 *value)
{
	int err;

	soft_load_space(scene.space[space]);
	err = soft_read(page_at(1), value);
	soft_unload_space();
	return err;
}

static bool make(struct stand *s, enum vm_object_kind kind, unsigned spaces, bool write)
{
	int err = vm_object_create(
	    s->mem, kind, PAGES, kind == OBJ_PAGER ? &pager : NULL, NULL, &scene.object);
	unsigned i;
	u64 value;

	scene.asked = 0;
	for (i = 0; i < SPACES && !err; i++) {
		err = vm_space_create(s->mem, &scene.space[i]);
		err = err ? err : vm_map(scene.space[i], VM_BASE, PAGES, VM_RW, scene.object, 0);
	}
	if (!err && !spaces)
		err = vm_object_supply(scene.object, 1, NULL);
	for (i = 0; i < spaces && !err; i++) {
		soft_load_space(scene.space[i]);
		err = soft_read(page_at(1), &value);
		if (!err && write)
			err = soft_write(page_at(1), WORD);
		soft_unload_space();
	}
	scene.page = err ? NULL : page_in(scene.object, 1);
	if (scene.page)
		s->pfn = page_to_pfn_in(s->mem, scene.page);
	return scene.page;
}

static void drop(struct stand *s)
{
	unsigned i;

	for (i = 0; i < SPACES; i++)
		vm_space_put(scene.space[i]);
	vm_object_put(scene.object);
}

/* Every reader sees the old content, or an error that says that the page is lost. */
static void look_and_drop(struct stand *s)
{
	struct ktest *t = s->t;
	bool lost = mm_event_sum(s->mem, EV_FAILURE_RECOVERED) > s->order;
	unsigned i;
	u64 value;

	s->order = (unsigned)mm_event_sum(s->mem, EV_FAILURE_RECOVERED);
	for (i = 0; i < SPACES; i++) {
		int err = look(i, &value);

		EXPECT_EQ(t, err, lost ? -EHWPOISON : 0);
		if (!err)
			EXPECT_EQ(t, value, WORD);
	}
	drop(s);
}

/* The pager has the content, and supplies it again. */
static void look_again_and_drop(struct stand *s)
{
	struct ktest *t = s->t;
	u64 value = 0;

	EXPECT_EQ(t, look(0, &value), 0);
	EXPECT_EQ(t, value, WORD);
	EXPECT_RANGE(t, scene.asked, 0, 2);
	drop(s);
}

static bool make_mapped_anonymous(struct stand *s)
{
	return make(s, OBJ_ANON, 1, true);
}

static bool make_shared_by_three(struct stand *s)
{
	return make(s, OBJ_ANON, SPACES, true);
}

static bool make_unmapped_page(struct stand *s)
{
	return make(s, OBJ_ANON, 0, false);
}

static bool make_clean_pager_page(struct stand *s)
{
	return make(s, OBJ_PAGER, 2, false);
}

static bool make_dirty_pager_page(struct stand *s)
{
	return make(s, OBJ_PAGER, 2, true);
}

static bool make_fixed_page(struct stand *s)
{
	return make(s, OBJ_PHYS, 1, true);
}

static bool make_pinned_page(struct stand *s)
{
	return make(s, OBJ_ANON, 2, true) && pin_page(scene.page) == 0;
}

static void unpin_and_drop(struct stand *s)
{
	mem_unpin_page(s->mem, pfn_to_page_in(s->mem, s->pfn));
	drop(s);
}

/* The object has released the page; the pin remains. */
static bool make_left_to_a_pin(struct stand *s)
{
	return make_pinned_page(s) && vm_object_remove(scene.object, 1, 1) == 0;
}

/* The same, while a migrator had the page. */
static bool make_moving_left_to_a_pin(struct stand *s)
{
	bool left;

	if (!make(s, OBJ_ANON, 2, true) || isolate_lru_page(s->mem, s->pfn))
		return false;
	left = pin_page(scene.page) == 0 && vm_object_remove(scene.object, 1, 1) == 0;
	putback_lru_page(s->mem, scene.page);
	return left;
}

static bool make_fixed_left_to_a_pin(struct stand *s)
{
	return make(s, OBJ_PHYS, 1, true) && pin_page(scene.page) == 0 &&
	    vm_object_remove(scene.object, 1, 1) == 0;
}

/* The page has another reference, for example of an unmap whose shootdown is not over. */
static bool make_referenced_page(struct stand *s)
{
	atomic_add(&s->mem->vm.flushing, 1u);
	return make(s, OBJ_ANON, 1, true) && get_page(scene.page) == 0;
}

static void put_and_drop(struct stand *s)
{
	EXPECT_EQ(s->t, mem_put_page(s->mem, pfn_to_page_in(s->mem, s->pfn)), 0);
	atomic_sub(&s->mem->vm.flushing, 1u);
	drop(s);
}

static unsigned too_many;

/* The page has the most references possible: one more, for an isolation, is refused. */
static bool make_page_with_all_references(struct stand *s)
{
	atomic_add(&s->mem->vm.flushing, 1u);
	if (!make(s, OBJ_ANON, 2, true))
		return false;
	for (too_many = 0; get_page(scene.page) == 0; too_many++)
		;
	return true;
}

static void put_all_and_drop(struct stand *s)
{
	while (too_many-- > 0)
		EXPECT_EQ(s->t, mem_put_page(s->mem, pfn_to_page_in(s->mem, s->pfn)), 0);
	atomic_sub(&s->mem->vm.flushing, 1u);
	drop(s);
}

static bool make_page_of_slots(struct stand *s)
{
	if (!make(s, OBJ_ANON, 1, true))
		return false;
	s->pfn = page_to_pfn_in(s->mem, scene.object->top);
	return true;
}

static bool make_top_page_table(struct stand *s)
{
	if (!make(s, OBJ_ANON, 1, true))
		return false;
	s->pfn = scene.space[0]->pt.root >> PAGE_SHIFT;
	return true;
}

/* Columns as in test_poison_states.c. */
#define STATES(X)                                                                                  \
	X(mapped_anonymous, "anonymous, mapped", 0, 0, RECOVERED, 0, look_and_drop)                \
	X(shared_by_three, "anonymous, shared by three spaces", 0, 0, RECOVERED, 0, look_and_drop) \
	X(unmapped_page, "anonymous, not mapped", 0, 0, RECOVERED, 0, drop)                        \
	X(clean_pager_page, "a pager's, clean", 0, 0, RECOVERED, 0, look_again_and_drop)           \
	X(dirty_pager_page, "a pager's, written to", 0, 0, RECOVERED, 0, look_and_drop)            \
	X(fixed_page, "of an object whose pages stay", -EBUSY, 0, RECOVERED, 0, look_and_drop)     \
	X(pinned_page, "an object's, pinned", -EBUSY, 0, DELAYED, -EBUSY, unpin_and_drop)          \
	X(left_to_a_pin, "an object's no more, pinned", -EBUSY, 0, DELAYED, -EBUSY,                \
	    unpin_and_drop)                                                                        \
	X(moving_left_to_a_pin, "the same, a migrator had it", -EBUSY, 0, DELAYED, -EBUSY,         \
	    unpin_and_drop)                                                                        \
	X(fixed_left_to_a_pin, "the same, its pages stay", -EBUSY, 0, DELAYED, -EBUSY,             \
	    unpin_and_drop)                                                                        \
	X(referenced_page, "an object's, somebody looks at it", -EBUSY, 0, DELAYED, -EBUSY,        \
	    put_and_drop)                                                                          \
	X(page_with_all_references, "an object's, no reference left", -EBUSY, 0, DELAYED, -EBUSY,  \
	    put_all_and_drop)                                                                      \
	X(page_of_slots, "an object's own memory", -EBUSY, -EBUSY, IGNORED, -EBUSY, drop)          \
	X(top_page_table, "page table of a space", -EBUSY, -EBUSY, IGNORED, -EBUSY, drop)

KTEST_SUITE(poison_vm, 0);

#define STATE_TEST(name, text, soft, hard, outcome, unpoison, release)                             \
	KTEST(name)                                                                                \
	{                                                                                          \
		static const struct page_in_state state = {                                        \
		    make_##name, release, soft, hard, POISON_##outcome, unpoison};                 \
		try_state(t, ktest_backed_memory(t, VM_NORMAL, VM_MOVABLE), &state);               \
	}
STATES(STATE_TEST)

/* ---- entries of the page ---- */

/* Make a clean page of a pager, mapped in two spaces; false if skipped or failed. */
static bool begin_clean_page(struct ktest *t, struct stand *s)
{
	*s = (struct stand){.t = t, .mem = ktest_backed_memory(t, VM_NORMAL, VM_MOVABLE)};
	if (!s->mem)
		return false;
	if (make(s, OBJ_PAGER, 2, false))
		return true;
	ktest_fail(t, __FILE__, __LINE__, "no clean page of a pager");
	return false;
}

/* Only the dirty bit of an entry tells of the write. So the page is lost: it has no other copy. */
KTEST(dirty_bit_in_an_entry_makes_a_page_lost)
{
	struct poison_result res;
	struct stand s;
	u64 value;

	if (!begin_clean_page(t, &s))
		return;
	soft_load_space(scene.space[1]);
	EXPECT_EQ(t, soft_try_write(page_at(1) + 8, 1), 0);
	soft_unload_space();
	EXPECT(t, !(page_word(scene.page) & PAGE_DIRTY));
	EXPECT_EQ(t, mem_memory_failure(s.mem, s.pfn, 0, &res), 0);
	EXPECT_EQ(t, res.unmapped, 2);
	EXPECT(t, res.lost);
	EXPECT_EQ(t, look(0, &value), -EHWPOISON);
	EXPECT_EQ(t, scene.asked, 1);
	drop(&s);
	EXPECT_EQ(t, mem_unpoison_page(s.mem, s.pfn), 0);
}

KTEST(clean_page_is_requested_again)
{
	struct poison_result res;
	struct stand s;
	u64 value;

	if (!begin_clean_page(t, &s))
		return;
	EXPECT_EQ(t, mem_memory_failure(s.mem, s.pfn, 0, &res), 0);
	EXPECT(t, !res.lost);
	EXPECT_EQ(t, vm_object_present(scene.object), 0);
	EXPECT_EQ(t, look(0, &value), 0);
	EXPECT_EQ(t, value, WORD);
	EXPECT_EQ(t, look(1, &value), 0);
	EXPECT_EQ(t, scene.asked, 2);
	EXPECT(t, page_in(scene.object, 1) != scene.page);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_FAULT_LOST), 0);
	drop(&s);
	EXPECT_EQ(t, mem_unpoison_page(s.mem, s.pfn), 0);
}

static void fail_it(void *arg)
{
	struct stand *s = arg;

	s->order = (unsigned)-mem_memory_failure(s->mem, s->pfn, 0, NULL);
}

/* A failure waits while another thread is between two steps of changing entries. */
KTEST_INSIDE(poison_waits_for_a_walk_in_progress)
{
	struct stand s = {.t = t, .mem = ktest_backed_memory(t, VM_NORMAL, VM_MOVABLE)};
	struct tlb_gather g;
	unsigned turn;

	if (!s.mem || ktest_cpus() < 2)
		return;
	REQUIRE(t, make_page_with_all_references(&s));
	spin_lock(&scene.object->lock);
	scene.object->walked = 1;
	spin_unlock(&scene.object->lock);
	ktest_start(1, fail_it, &s);
	for (turn = 0; turn < 1u << 16 && READ_ONCE(scene.object->walked); turn++)
		thread_yield();
	EXPECT_EQ(t, READ_ONCE(scene.object->walked), 1);
	EXPECT(t, !is_flagged(s.mem, s.pfn));
	tlb_gather_init(&g, s.mem);
	spin_lock(&scene.object->lock);
	rmap_unmap(scene.object, 0, 0, &g);
	spin_unlock(&scene.object->lock);
	tlb_flush(&g);
	ktest_join(1);
	EXPECT_EQ(t, s.order, 0);
	EXPECT(t, is_flagged(s.mem, s.pfn));
	put_all_and_drop(&s);
	EXPECT_EQ(t, mem_unpoison_page(s.mem, s.pfn), 0);
}

static struct {
	void (*hook)(phys_t root, uintptr_t va, bool all);
	unsigned calls, unflushed;
} flushed;

static void note_unflushed(phys_t root, uintptr_t va, bool all)
{
	flushed.calls++;
	flushed.unflushed += READ_ONCE(scene.object->unflushed);
	flushed.hook(root, va, all);
}

/* Until no CPU can use the page, a thread that empties its entries makes a shootdown too. */
KTEST_INSIDE(a_page_that_was_taken_is_unflushed_until_its_shootdown)
{
	struct stand s = {.t = t, .mem = ktest_backed_memory(t, VM_NORMAL, VM_MOVABLE)};
	struct poison_result res;

	if (!s.mem)
		return;
	REQUIRE(t, make(&s, OBJ_ANON, 1, true));
	soft_load_space(scene.space[0]);
	flushed.calls = flushed.unflushed = 0;
	flushed.hook = tlb_flush_hook;
	WRITE_ONCE(tlb_flush_hook, note_unflushed);
	EXPECT_EQ(t, mem_memory_failure(s.mem, s.pfn, 0, &res), 0);
	WRITE_ONCE(tlb_flush_hook, flushed.hook);
	soft_unload_space();
	EXPECT(t, res.unmapped == 1 && flushed.calls > 0);
	EXPECT_EQ(t, flushed.unflushed, flushed.calls);
	EXPECT_EQ(t, scene.object->unflushed, 0);
	drop(&s);
	EXPECT_EQ(t, mem_unpoison_page(s.mem, s.pfn), 0);
}
