/* SPDX-License-Identifier: MIT */
/*
 * stores.c: when the explorer grades, a scheduling point before each of the student's stores to a
 * variable that other CPUs read without a lock, however the store is written.
 *
 * The student's sources are compiled as for gcc's thread sanitizer: before a load or a store they
 * call a function of this file, and an atomic operation is a call of one.  All of these functions
 * but those of stores do nothing else, so other accesses add no schedules.  A zone's watermarks are
 * stored under its lock.
 *
 * Owns:       lab_passed.
 * Locks:      none: one OS thread runs all CPUs.
 * Invariants: a store has one point, here or by a macro of points.h.
 * Tests:      make labs-check LAB=5; tests/qemu/test_grade_rules.py.
 */
#include "ops.h"
#include <quarry/sched_point.h>

/* The compiler knows the prototypes. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/* The variable whose store follows now, after a point by points.h; NULL: none. */
const volatile void *lab_passed;

#define IN(at, variable) ((uintptr_t)(at) - (uintptr_t) & (variable) < sizeof(variable))

/* The tops and limits of stacks: the owners of the caches store them with WRITE_ONCE. */
static const struct pcp_stack *stack_at(const struct memory *mem, const volatile void *at)
{
	size_t bytes = nr_stacks(mem) * sizeof(struct pcp_stack), offset;
	unsigned cpu;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		offset = (uintptr_t)at - (uintptr_t)mem->pcp[cpu]->stack;
		if (offset < bytes)
			return &mem->pcp[cpu]->stack[offset / sizeof(struct pcp_stack)];
	}
	return NULL;
}

static bool is_depth(const struct memory *mem, const volatile void *at)
{
	const struct zone *zone;

	for_each_zone(mem, zone)
		if (IN(at, zone->pcp_depth))
			return true;
	return false;
}

static void expect_locked(const struct memory *mem, const volatile void *at)
{
	const struct zone *zone;

	for_each_zone(mem, zone)
		if ((IN(at, zone->wmark) || IN(at, zone->reserve)) && !spin_is_held(&zone->lock))
			panic("a watermark is stored without the zone's lock");
}

/* The zones' depths, the numbers of drain rounds, and of isolations under way. */
static bool in_memory(const struct memory *mem, const volatile void *at)
{
	return is_depth(mem, at) || IN(at, mem->round_started) || IN(at, mem->round_done) ||
	    IN(at, mem->iso_pending);
}

/* ---- users that are counted without an atomic operation ---- */

/* The pages of an owner may lie in several zones, each with a lock of its own. */
static void at_users_store(const volatile void *at)
{
	if (ops.mem && IN(at, ops.objects.owner.users))
		panic("the users of an owner are changed, but not by an atomic operation");
}

/* ---- words that other CPUs change, too ---- */

#define SHARED                                                                                     \
	(1u << PG_OBJECT | 1u << PG_LRU | 1u << PG_MOVABLE_OPS | 1u << PG_BALLOON |                \
	    1u << PG_ISO_MIG)

/* Before a store that is neither atomic nor volatile. */
static void at_word_store(const volatile void *at)
{
	const struct page *page = (const void *)((uintptr_t)at - offsetof(struct page, word));
	size_t nr;

	if (ops.mem && page_number(ops.mem, page, &nr) && SHARED >> word_state(page_word(page)) & 1)
		panic("the word of a page in use is changed, but not by an atomic operation");
}

/* ---- a depth that is lowered without a release ---- */

static const volatile u32 *depth; /* an access that is no release stores to it now; or NULL */
static u32 depth_was;

/* Before the next store, and at the end of a function. */
static void at_depth_stored(void)
{
	if (depth && *depth < depth_was)
		panic("the depth of a zone is lowered without a release");
	depth = NULL;
}

/* Before a store that is no release. */
static void at_depth_store(const volatile void *at)
{
	if (ops.mem && is_depth(ops.mem, at)) {
		depth = at;
		depth_was = *depth;
	}
}

/* ---- a count that is lowered before the blocks are free ---- */

static const struct pcp_stack *lowered; /* a store to its top is under way; or NULL */
static struct page *const *top_was;

/* Is the block cached, and in no later slot below @end? */
static bool cached_last(struct page *const *slot, struct page *const *end)
{
	struct page *const *other;

	for (other = slot + 1; other < end; other++)
		if (*other == *slot)
			return false;
	return word_state(page_word(*slot)) == PG_PCP;
}

/*
 * Under a zone's lock a stack's owner gives blocks back.  Before the next store or gift, and at the
 * end of a function: a CPU that reads the new count must find the others with the buddy allocator.
 */
void lab_count_stored(void)
{
	const struct pcp_stack *stack = lowered;
	struct page *const *slot;
	unsigned cached = 0;

	lowered = NULL; /* a panic begins the next schedule */
	if (!stack || stack->top >= top_was)
		return;
	for (slot = stack->slot; slot < top_was; slot++)
		cached += cached_last(slot, top_was);
	if (cached > (unsigned)(stack->top - stack->slot))
		panic("the count of a stack is lowered before its blocks are given back");
}

/* ---- before a store; @plain: it is neither atomic nor volatile ---- */

static void at_store(const volatile void *at, bool plain)
{
	const struct memory *mem = ops.mem;
	const struct pcp_stack *stack;

	if (mem)
		expect_locked(mem, at);
	at_depth_stored();
	lab_count_stored();
	if (!mem)
		return;
	stack = stack_at(mem, at);
	if (stack && plain)
		panic("the top or limit of a stack is stored without WRITE_ONCE");
	if (at != lab_passed && (stack || in_memory(mem, at)))
		race_point("lab.store");
	lab_passed = NULL;
	if (stack && at == &stack->top && spin_depth()) {
		lowered = stack;
		top_was = stack->top;
	}
}

/* ---- loads and stores ---- */

#define HOOK(name, step)                                                                           \
	void __tsan_##name(void *at)                                                               \
	{                                                                                          \
		step;                                                                              \
	}
#define ACCESS(bytes)                                                                              \
	HOOK(read##bytes, (void)at)                                                                \
	HOOK(unaligned_read##bytes, (void)at)                                                      \
	HOOK(volatile_read##bytes, (void)at)                                                       \
	HOOK(unaligned_volatile_read##bytes, (void)at)                                             \
	HOOK(write##bytes,                                                                         \
	    (at_store(at, true), at_depth_store(at), at_users_store(at), at_word_store(at)))       \
	HOOK(unaligned_write##bytes, at_store(at, true))                                           \
	HOOK(volatile_write##bytes, (at_store(at, false), at_depth_store(at), at_users_store(at))) \
	HOOK(unaligned_volatile_write##bytes, at_store(at, false))

ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

void __tsan_read_range(void *at, size_t bytes)
{
}

void __tsan_write_range(void *at, size_t bytes)
{
	at_store(at, true);
}

/* ---- atomic operations ---- */

/* Sequentially consistent whatever the student's code asks for: there is one OS thread. */
#define CHANGE(bits, what)                                                                         \
	u##bits __tsan_atomic##bits##_##what(volatile u##bits *at, u##bits value, int order)       \
	{                                                                                          \
		at_store(at, false);                                                               \
		if (order < __ATOMIC_RELEASE)                                                      \
			at_depth_store(at);                                                        \
		return __atomic_##what(at, value, __ATOMIC_SEQ_CST);                               \
	}
#define EXCHANGE(bits, how)                                                                        \
	bool __tsan_atomic##bits##_compare_exchange_##how(                                         \
	    volatile u##bits *at, u##bits *old, u##bits value, int order, int failed)              \
	{                                                                                          \
		at_store(at, false);                                                               \
		return __atomic_compare_exchange_n(                                                \
		    at, old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                    \
	}
#define ATOMIC(bits)                                                                               \
	u##bits __tsan_atomic##bits##_load(const volatile u##bits *at, int order)                  \
	{                                                                                          \
		return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                      \
	}                                                                                          \
	void __tsan_atomic##bits##_store(volatile u##bits *at, u##bits value, int order)           \
	{                                                                                          \
		at_store(at, false);                                                               \
		at_users_store(at);                                                                \
		if (order < __ATOMIC_RELEASE)                                                      \
			at_depth_store(at);                                                        \
		__atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                     \
	}                                                                                          \
	u##bits __tsan_atomic##bits##_exchange(volatile u##bits *at, u##bits value, int order)     \
	{                                                                                          \
		at_store(at, false);                                                               \
		return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                           \
	}                                                                                          \
	CHANGE(bits, fetch_add)                                                                    \
	CHANGE(bits, fetch_sub)                                                                    \
	CHANGE(bits, fetch_and)                                                                    \
	CHANGE(bits, fetch_or)                                                                     \
	CHANGE(bits, fetch_xor)                                                                    \
	CHANGE(bits, fetch_nand)                                                                   \
	EXCHANGE(bits, strong)                                                                     \
	EXCHANGE(bits, weak)

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int order)
{
}

void __tsan_atomic_signal_fence(int order)
{
}

/* ---- functions ---- */

void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller)
{
}

void __tsan_func_exit(void)
{
	at_depth_stored();
	lab_count_stored();
}
