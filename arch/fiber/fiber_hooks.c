/* SPDX-License-Identifier: MIT */
/*
 * fiber_hooks.c: each load and store of mm/ and kernel/, with its order, for the weak model.
 *
 * These sources are compiled as for gcc's thread sanitizer: they call a function of this file
 * before a load or a store, and an atomic operation is a call of one.  A load of at most 8 bytes
 * may be early.  Read-modify-write operations that are sequentially consistent are full barriers,
 * as types.h promises; with acquire they are fences for loads only.
 *
 * With fiber_fine each of these stores to shared memory is a scheduling point, and so is the place
 * behind one with release: behind an unlock, say.
 *
 * Owns:  nothing.
 * Locks: none: one OS thread runs all CPUs.
 * Tests: tests/qemu/test_race.py.
 */
#include "fiber_stores.h"
#include <quarry/sched_point.h>
#include <stdio.h>
#include <stdlib.h>

/* The compiler knows the prototypes. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static bool weak(void)
{
	return fiber_model == FIBER_WEAK;
}

/* A store to @at is next, or was the last. */
static void fine_point(const void *at)
{
	if (fiber_fine && fiber_this && !fiber_on_stack(at))
		race_point("store");
}

/* ---- orders ---- */

/* Print a place that has an order. */
static void list(uintptr_t place)
{
	static uintptr_t listed[1024];
	static unsigned nr, orders;
	unsigned i;

	if (orders != fiber_orders)
		nr = 0;
	orders = fiber_orders;
	for (i = 0; i < nr; i++)
		if (listed[i] == place)
			return;
	listed[nr++ % 1024] = place;
	printf("order %lx\n", (unsigned long)place);
}

/* The order of an operation that returns to @from: as the source says, or none. */
static int order_at(const void *from, int order)
{
	uintptr_t place = (uintptr_t)from - (uintptr_t)stores_reset;
	const char *at = fiber_left_out;
	char *end;

	if (order == __ATOMIC_RELAXED)
		return order;
	if (fiber_orders)
		list(place);
	for (; at; at = *end ? end + 1 : NULL)
		if (strtoul(at, &end, 16) == place)
			return __ATOMIC_RELAXED;
	return order;
}
#define ORDER(order) order_at(__builtin_return_address(0), (order))

static void fence(int order)
{
	if (order == __ATOMIC_SEQ_CST)
		stores_drain();
	if (!weak())
		return;
	if (order == __ATOMIC_RELEASE)
		store_fence();
	if (order == __ATOMIC_SEQ_CST || order == __ATOMIC_ACQUIRE || order == __ATOMIC_ACQ_REL)
		load_fence();
}

static void reads(void *at, size_t bytes)
{
	if (weak() && bytes <= sizeof(u64))
		load_plain(at, bytes);
}

static void writes(void *at, size_t bytes)
{
	size_t part;

	fine_point(at);
	for (; weak() && bytes; at = (char *)at + part, bytes -= part)
		store_note(at, part = MIN(bytes, sizeof(u64)), false);
}

/* ---- plain loads and stores ---- */

#define HOOK(name, step)                                                                           \
	void __tsan_##name(void *at)                                                               \
	{                                                                                          \
		step;                                                                              \
	}
#define ACCESS(bytes)                                                                              \
	HOOK(read##bytes, reads(at, bytes))                                                        \
	HOOK(unaligned_read##bytes, reads(at, bytes))                                              \
	HOOK(write##bytes, writes(at, bytes))                                                      \
	HOOK(unaligned_write##bytes, writes(at, bytes))

ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

void __tsan_read_range(void *at, size_t bytes)
{
	reads(at, bytes);
}

void __tsan_write_range(void *at, size_t bytes)
{
	writes(at, bytes);
}

/* ---- atomic operations ---- */

#define CHANGE(bits, what)                                                                         \
	u##bits __tsan_atomic##bits##_##what(u##bits *at, u##bits value, int order)                \
	{                                                                                          \
		changes(at, sizeof(*at), ORDER(order));                                            \
		return __atomic_##what(at, value, __ATOMIC_SEQ_CST);                               \
	}
#define ATOMIC(bits)                                                                               \
	u##bits __tsan_atomic##bits##_load(u##bits *at, int order)                                 \
	{                                                                                          \
		return (u##bits)loads(at, sizeof(*at), ORDER(order));                              \
	}                                                                                          \
	void __tsan_atomic##bits##_store(u##bits *at, u##bits value, int order)                    \
	{                                                                                          \
		fine_point(at);                                                                    \
		if (weak())                                                                        \
			store_note(at, sizeof(*at), ORDER(order) != __ATOMIC_RELAXED);             \
		__atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                     \
		if (order != __ATOMIC_RELAXED)                                                     \
			fine_point(at);                                                            \
	}                                                                                          \
	CHANGE(bits, fetch_add)                                                                    \
	CHANGE(bits, fetch_sub)                                                                    \
	CHANGE(bits, fetch_and)                                                                    \
	CHANGE(bits, fetch_or)                                                                     \
	CHANGE(bits, fetch_xor)                                                                    \
	u##bits __tsan_atomic##bits##_exchange(u##bits *at, u##bits value, int order)              \
	{                                                                                          \
		changes(at, sizeof(*at), ORDER(order));                                            \
		return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                           \
	}                                                                                          \
	bool __tsan_atomic##bits##_compare_exchange_strong(                                        \
	    u##bits *at, u##bits *old, u##bits value, int order, int failed)                       \
	{                                                                                          \
		changes(at, sizeof(*at), ORDER(order));                                            \
		return __atomic_compare_exchange_n(                                                \
		    at, old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                    \
	}

static void changes(void *at, size_t bytes, int order)
{
	fine_point(at);
	if (fiber_model == FIBER_TSO)
		stores_drain(); /* each is a locked instruction */
	if (!weak())
		return;
	fence(order);
	store_at_once(at, bytes);
}

static u64 loads(void *at, size_t bytes, int order)
{
	u64 value = 0;

	if (!weak() || !load_early(at, bytes, order != __ATOMIC_RELAXED, &value))
		__builtin_memcpy(&value, at, bytes);
	return value;
}

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int order)
{
	fence(ORDER(order));
}

void __tsan_atomic_signal_fence(int order)
{
}

/* ---- functions ---- */

void __tsan_init(void)
{
	fiber_hooked = true;
}

void __tsan_func_entry(void *caller)
{
}

void __tsan_func_exit(void)
{
}
